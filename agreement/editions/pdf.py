"""An edition as a PDF, where the site has the ``pdf`` extra (WeasyPrint and the system's Pango).

The renderer is given words and one stylesheet of ours, and may open nothing: no address, no file. The bytes depend on
the text, its dates and the machine's fonts alone, so every process of a site gives the same.
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

#: What may become a PDF. The time it takes grows with the square of lines and of long words, and no agreement has so
#: many: at these limits it is a few seconds, and the browser prints whatever is beyond them.
MAX_CHARACTERS, MAX_LINES, MAX_LONG_WORDS = 100_000, 1_500, 1_000_000
#: How long a request waits for those before it, seconds.
MAX_WAIT_SECONDS = 10.0
STYLE = "agreement/pdf.css"

_one_at_a_time = Lock()


class RendererBusy(Exception):
    """Others are being made, and it is better to ask again than to wait."""


def is_available(text: str) -> bool:
    """Is there a PDF of an edition with this text?"""
    if len(text) > MAX_CHARACTERS or text.count("\n") > MAX_LINES:
        return False
    long = sum(len(word) ** 2 for word in text.split() if len(word) > 60)
    return long <= MAX_LONG_WORDS and _weasyprint() is not None


def render(page: str) -> bytes:
    """The PDF of that HTML page. One is made at a time in a process; raises :class:`Busy` after ``PATIENCE``."""
    if not _one_at_a_time.acquire(timeout=MAX_WAIT_SECONDS):
        raise RendererBusy
    try:
        return _rendered(page)
    finally:
        _one_at_a_time.release()


@remembered
@lru_cache(maxsize=4)  # Whoever waited for the same one finds it here.
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
    """The library, or ``None`` where it is not installed, or finds no Pango (which is an ``OSError``)."""
    try:
        import weasyprint
    except (ImportError, OSError) as error:
        logger.debug("Editions have no PDF: %s", error)
        return None
    return weasyprint


@remembered
@cache
def _closed_fetcher() -> Any:
    """What opens no address."""
    from weasyprint.urls import URLFetcher, URLFetchingError

    class Nothing(URLFetcher):  # type: ignore[misc]  # The package has no types.
        def fetch(self, url: str, headers: object = None) -> NoReturn:
            msg = f"{url!r} is not opened: a PDF is made of the edition's words alone."
            raise URLFetchingError(msg)

    return Nothing()


def _style() -> str:
    """Our stylesheet, or the one a site put in its place."""
    found = finders.find(STYLE)
    return Path(found).read_text(encoding="utf-8") if found else ""
