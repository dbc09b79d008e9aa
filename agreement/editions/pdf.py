"""PDF files of editions and of instruments of amendment, made by WeasyPrint. :func:`is_available` says which text can
have one. An edition has two: one for reading, and an archive copy (PDF/A) with the same pages.

The renderer gets an HTML page and one stylesheet. It opens no URL and no file that these name.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from threading import Lock, Thread

from django.contrib.staticfiles import finders
from django.template.loader import render_to_string
from django.utils.translation import gettext as _

from agreement import conf
from agreement.editions import pdf_renderer, qr
from agreement.editions.display import DisplayedEdition
from agreement.editions.pdf_renderer import ACCESSIBLE, ARCHIVE
from agreement.memory import remembered, remembered_for_machine
from agreement.models.published_log import LoggedEdition

logger = logging.getLogger("agreement")

#: The largest text that can become a PDF. Rendering time grows with the square of the number of lines and of the length
#: of long words. At these limits it is a few seconds, and no agreement is so large. A larger text has no PDF, and
#: readers print the page. The last limit is on the sum of the squared lengths of words of more than 60 characters.
MAX_CHARACTERS, MAX_LINES, MAX_LONG_WORDS = 100_000, 1_500, 1_000_000
#: How long a request waits while PDFs for other requests are rendered.
MAX_WAIT_SECONDS = 10.0
#: How long the trial may take. It takes about a second; more if the system has to build its cache of fonts.
MAX_TRIAL_SECONDS = 30.0
STYLE = "agreement/pdf.css"
#: The Kazakh alphabet, which contains the Russian one.
ALPHABET = "аәбвгғдеёжзийкқлмнңоөпрстуұүфхһцчшщъыіьэюя"
_LETTERS = f"{ALPHABET} {ALPHABET.upper()} 0123456789 «»№"
_TRIAL_PAGE = (
    f'<!doctype html><html lang="kk"><title>{_LETTERS}</title><h1>{_LETTERS}</h1>'
    f"<p>{_LETTERS} <em>{_LETTERS} <strong>{_LETTERS}</strong></em> <code>{_LETTERS}</code></p>"
)

_one_at_a_time, _one_trial = Lock(), Lock()


class RendererBusy(Exception):
    """The PDF was not made, because other calls of :func:`render` were running for all of ``MAX_WAIT_SECONDS``. The
    client should try again later.
    """


def is_installed() -> bool:
    """Is WeasyPrint installed? :func:`fault` says whether it works on this machine."""
    return find_spec("weasyprint") is not None


def fault() -> str:
    """Why this machine can't render the Kazakh and Russian letters, the digits and the signs «, » and №, as a clause
    without a full stop; ``""`` if it can.

    The first call in a process tries it, which takes about a second, and at most ``MAX_TRIAL_SECONDS``. Other calls
    wait for it in the meantime. The result is remembered. The libraries of WeasyPrint end a process that has no font,
    so a child process tries it.
    """
    with _one_trial:
        return _fault()


def is_available(text: str, *, wait: bool = True) -> bool:
    """Can a document with this text have a PDF: is the text within the limits ``MAX_CHARACTERS``, ``MAX_LINES`` and
    ``MAX_LONG_WORDS``, does the site have a ``BASE_URL``, is WeasyPrint installed, and does it work here
    (:func:`fault`)? ``text`` is the body of an edition, or the text of an instrument, in one language.

    With ``wait=False`` the call does not wait for the trial of WeasyPrint: the first call begins it in a thread, and
    until it ends, WeasyPrint is expected to work. A page that only links to a PDF needs no more.

    A PDF contains its permanent address. Without ``BASE_URL`` a request could name any host, and each would need a PDF
    of its own.
    """
    if len(text) > MAX_CHARACTERS or text.count("\n") > MAX_LINES:
        return False
    long = sum(len(word) ** 2 for word in text.split() if len(word) > 60)
    if long > MAX_LONG_WORDS or not conf.get().BASE_URL or not is_installed():
        return False
    if wait or _fault.cache_info().currsize:
        return not fault()
    if not _one_trial.locked():
        Thread(target=fault, name="agreement-pdf-trial", daemon=True).start()
    return True


def edition_file(
    displayed: DisplayedEdition,
    *,
    address: str,
    current: str,
    logged: LoggedEdition | None = None,
    archive: bool = False,
    unlimited_wait: bool = False,
) -> bytes:
    """The PDF of an edition in ``displayed.language``, with the words of the app in the active language. ``address`` is
    the permanent URL of the edition, ``current`` the URL of the edition in force, and ``logged`` its entry in the log,
    if a signed checkpoint covers it. With ``archive`` the file is the archive copy. For ``unlimited_wait`` and the
    errors, see :func:`render`.
    """
    code = qr.svg(address, title=_("QR code of the permanent address"))
    context = {"displayed": displayed, "address": address, "current": current, "qr": code, "logged": logged}
    page = render_to_string("agreement/pages/pdf.html", context)
    return render(page, variant=ARCHIVE if archive else ACCESSIBLE, unlimited_wait=unlimited_wait)


def render(page: str, *, variant: str = ACCESSIBLE, unlimited_wait: bool = False) -> bytes:
    """The PDF of an HTML page. ``page`` is the HTML itself, and ``variant`` the kind of file: ``ACCESSIBLE`` or
    ``ARCHIVE``. The 32 PDFs that were used last are remembered.

    A process renders one PDF at a time. Raises :class:`RendererBusy` if this call can't start within
    ``MAX_WAIT_SECONDS``, also if its PDF is remembered. With ``unlimited_wait`` it waits without a limit. Call
    :func:`is_available` first: nothing is checked here, and without a font the process ends.
    """
    if not _one_at_a_time.acquire(timeout=-1 if unlimited_wait else MAX_WAIT_SECONDS):
        raise RendererBusy
    try:
        return _rendered(page, variant)
    finally:
        _one_at_a_time.release()


@remembered
@lru_cache(maxsize=32)  # A request that waited for the same page finds its PDF here.
def _rendered(page: str, variant: str) -> bytes:
    return pdf_renderer.render(page, _style(), variant)


@remembered_for_machine
@cache
def _fault() -> str:
    command = [sys.executable, "-X", "utf8", pdf_renderer.__file__]
    # The child must find the same modules as this process, and not those beside the program.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONSAFEPATH": "1"}
    try:
        trial = subprocess.run(  # noqa: S603 - No part of the command comes from a request.
            command,
            input=json.dumps([_TRIAL_PAGE, _style()]),
            env=environment,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=MAX_TRIAL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        found = f"WeasyPrint can't be tried ({error})"
    else:
        found = _reason(trial)
    if found:
        logger.warning("editions have no PDF: %s", found)
    return found


def _reason(trial: subprocess.CompletedProcess[str]) -> str:
    """Why the trial failed, as a clause without a full stop; ``""`` if it succeeded and some font has each character of
    the page. ``trial`` is the child process that has ended.
    """
    if trial.returncode < 0:
        name = signal.Signals(-trial.returncode).name
        return f"WeasyPrint ended its process ({name}), as it does without any font"
    if trial.returncode:
        return f"WeasyPrint failed ({(trial.stderr.strip() or 'no message').splitlines()[-1]})"
    return f"no font has the letters {trial.stdout}" if trial.stdout else ""


def _style() -> str:
    """The text of the stylesheet ``STYLE``. A site replaces the app's file by one of the same name. ``""`` if the
    staticfiles finders find no such file.
    """
    found = finders.find(STYLE)
    return Path(found).read_text(encoding="utf-8") if found else ""
