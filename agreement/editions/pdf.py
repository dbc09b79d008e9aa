"""An edition as a PDF, if the site has the extra ``pdf`` (WeasyPrint) and the system library Pango.

The renderer gets an HTML page and one stylesheet. It can open no address and no file that these name. The PDF depends
only on the page, the stylesheet, the fonts of the machine and the versions of WeasyPrint and its libraries. Processes
for which these are the same make the same bytes.
"""

from __future__ import annotations

import logging
from functools import cache, lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, NoReturn

from django.contrib.staticfiles import finders

from agreement.memory import remembered

logger = logging.getLogger("agreement")

#: The largest text that can become a PDF. Rendering time grows with the square of the number of lines and of the length
#: of long words. At these limits it is a few seconds, and no agreement is so large. A larger text has no PDF, and
#: readers print the page. The last limit is on the sum of the squared lengths of words of more than 60 characters.
MAX_CHARACTERS, MAX_LINES, MAX_LONG_WORDS = 100_000, 1_500, 1_000_000
#: How long a request waits while PDFs for other requests are rendered.
MAX_WAIT_SECONDS = 10.0
STYLE = "agreement/pdf.css"

_one_at_a_time = Lock()


class RendererBusy(Exception):
    """The PDF was not made, because other PDFs were being rendered for all of ``MAX_WAIT_SECONDS``. The client should
    try again later.
    """


def is_available(text: str) -> bool:
    """Can an edition with this text have a PDF: is the text within the limits ``MAX_CHARACTERS``, ``MAX_LINES`` and
    ``MAX_LONG_WORDS`` (each included), and are WeasyPrint and Pango installed? ``text`` is the body in one language.
    """
    if len(text) > MAX_CHARACTERS or text.count("\n") > MAX_LINES:
        return False
    long = sum(len(word) ** 2 for word in text.split() if len(word) > 60)
    return long <= MAX_LONG_WORDS and _weasyprint() is not None


def render(page: str) -> bytes:
    """The PDF of an HTML page. ``page`` is the HTML itself. The four PDFs that were used last are remembered.

    A process renders one PDF at a time. Raises :class:`RendererBusy` if this call can't start within
    ``MAX_WAIT_SECONDS``, also if its PDF is remembered. The limits on the text are not checked. Call
    :func:`is_available` first: if WeasyPrint can't be imported, this fails with ``ImportError`` or ``OSError``.
    """
    if not _one_at_a_time.acquire(timeout=MAX_WAIT_SECONDS):
        raise RendererBusy
    try:
        return _rendered(page)
    finally:
        _one_at_a_time.release()


@remembered
@lru_cache(maxsize=4)  # A request that waited for the same page finds its PDF here.
def _rendered(page: str) -> bytes:
    weasyprint = _weasyprint()
    nothing = _closed_fetcher()
    style = weasyprint.CSS(string=_style(), url_fetcher=nothing)
    document = weasyprint.HTML(string=page, url_fetcher=nothing)
    made: bytes = document.write_pdf(stylesheets=[style], pdf_variant="pdf/ua-1")
    return made


@remembered
@cache
def _weasyprint() -> Any:
    """The module ``weasyprint``; ``None`` if it is not installed, or if it does not find Pango (then its import raises
    ``OSError``).
    """
    try:
        import weasyprint
    except (ImportError, OSError) as error:
        logger.debug("Editions have no PDF: %s", error)
        return None
    return weasyprint


@remembered
@cache
def _closed_fetcher() -> Any:
    """A fetcher for WeasyPrint that refuses to open any address."""
    from weasyprint.urls import URLFetcher, URLFetchingError

    class Nothing(URLFetcher):  # type: ignore[misc]  # The package has no types.
        def fetch(self, url: str, headers: object = None) -> NoReturn:
            msg = f"{url!r} is not opened: a PDF contains only the text of the edition."
            raise URLFetchingError(msg)

    return Nothing()


def _style() -> str:
    """The text of the stylesheet ``STYLE``. A site replaces the app's file by one of the same name. ``""`` if the
    staticfiles finders find no such file.
    """
    found = finders.find(STYLE)
    return Path(found).read_text(encoding="utf-8") if found else ""
