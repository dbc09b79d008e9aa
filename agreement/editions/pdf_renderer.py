"""Renders an HTML page as a PDF with WeasyPrint. It uses nothing of Django or of the app.

Run as a program, it tries whether this machine can render a page. It reads the arguments of :func:`render` from
standard input as a JSON array, and prints the characters of the page that no font has. The PDF is not written. Without
any font, the libraries of WeasyPrint end the process by a signal.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import Any, NoReturn

#: PDF/UA-1 (ISO 14289-1): for reading, also with assistive technology.
ACCESSIBLE = "pdf/ua-1"
#: PDF/A-2a (ISO 19005-2): for archives. The file is tagged and contains all that its display needs.
ARCHIVE = "pdf/a-2a"


def render(page: str, style: str, variant: str = ACCESSIBLE) -> bytes:
    """The PDF of an HTML page. ``page`` is the HTML itself, and ``style`` the text of a stylesheet. ``variant`` is
    ``ACCESSIBLE`` or ``ARCHIVE``. No URL and no file that the page or the stylesheet names is opened; its content is
    missing from the PDF. Raises ``ImportError`` if WeasyPrint is not installed, and ``OSError`` if it does not find
    Pango.
    """
    import weasyprint

    nothing = _closed_fetcher()
    stylesheet = weasyprint.CSS(string=style, url_fetcher=nothing)
    document = weasyprint.HTML(string=page, url_fetcher=nothing)
    made: bytes = document.write_pdf(stylesheets=[stylesheet], pdf_variant=variant)
    return made


def _closed_fetcher() -> Any:
    """A fetcher for WeasyPrint that refuses to open any URL, also that of a file."""
    from weasyprint.urls import URLFetcher, URLFetchingError

    class Nothing(URLFetcher):  # type: ignore[misc]  # The package has no types.
        def fetch(self, url: str, headers: object = None) -> NoReturn:
            msg = f"{url!r} is not opened: a PDF contains only the text of the edition."
            raise URLFetchingError(msg)

    return Nothing()


class _Missing(logging.Handler):
    """Collects the characters for which WeasyPrint logs that no font has them."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.characters: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        if record.msg.startswith(".notdef glyph") and isinstance(record.args, tuple):
            self.characters.add(str(record.args[0]))


if __name__ == "__main__":
    missing = _Missing()
    logging.getLogger("weasyprint").addHandler(missing)
    render(*json.load(sys.stdin))
    sys.stdout.write("".join(sorted(missing.characters)))
