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

logger = logging.getLogger("agreement")

#: What may become a PDF. The time it takes grows with the square of lines and of long words, and no agreement has so
#: many: at these limits it is a few seconds, and the browser prints whatever is beyond them.
CHARACTERS, LINES, WORDS = 100_000, 1_500, 1_000_000
#: How long a request waits for those before it, seconds.
PATIENCE = 10.0
STYLE = "agreement/pdf.css"

_one_at_a_time = Lock()


class Busy(Exception):
    """Others are being made, and it is better to ask again than to wait."""


def offered(text: str) -> bool:
    """Is there a PDF of an edition with this text?"""
    if len(text) > CHARACTERS or text.count("\n") > LINES:
        return False
    long = sum(len(word) ** 2 for word in text.split() if len(word) > 60)
    return long <= WORDS and _weasyprint() is not None


def render(page: str) -> bytes:
    """The PDF of that HTML page. One is made at a time in a process; raises :class:`Busy` after ``PATIENCE``."""
    if not _one_at_a_time.acquire(timeout=PATIENCE):
        raise Busy
    try:
        return _rendered(page)
    finally:
        _one_at_a_time.release()


@lru_cache(maxsize=4)  # Whoever waited for the same one finds it here.
def _rendered(page: str) -> bytes:
    weasyprint = _weasyprint()
    nothing = _nothing()
    style = weasyprint.CSS(string=_style(), url_fetcher=nothing)
    document = weasyprint.HTML(string=page, url_fetcher=nothing)
    made: bytes = document.write_pdf(stylesheets=[style], pdf_variant="pdf/ua-1")
    return made


@cache
def _weasyprint() -> Any:
    """The library, or ``None`` where it is not installed, or finds no Pango (which is an ``OSError``)."""
    try:
        import weasyprint
    except (ImportError, OSError) as error:
        logger.debug("No PDF of editions: %s", error)
        return None
    return weasyprint


@cache
def _nothing() -> Any:
    """What opens no address."""
    from weasyprint.urls import URLFetcher, URLFetchingError

    class Nothing(URLFetcher):  # type: ignore[misc]
        def fetch(self, url: str, headers: object = None) -> NoReturn:
            msg = f"{url!r} is not opened: a PDF is made of the edition's words alone."
            raise URLFetchingError(msg)

    return Nothing()


def _style() -> str:
    """Our stylesheet, or the one a site put in its place."""
    found = finders.find(STYLE)
    return Path(found).read_text(encoding="utf-8") if found else ""
