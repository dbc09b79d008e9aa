"""Reads the words of a PDF file with pypdf, in a child process: a PDF file can be made so that reading it takes all
memory, or does not end. It uses nothing of Django or of the app.

Run as a program, it reads a PDF file from standard input and prints the texts of its pages as a JSON array.
"""

from __future__ import annotations

import io
import json
import logging
import os
import re
import subprocess
import sys
from contextlib import suppress
from importlib.util import find_spec
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pypdf import PageObject

#: How long the child process may run, and how long a request waits for the files of others, in seconds.
MAX_SECONDS, MAX_WAIT_SECONDS = 8, 8.0
#: How much memory the child process may take, in bytes.
MAX_MEMORY = 600_000_000
#: How many pages and how many characters are read.
MAX_PAGES, MAX_CHARACTERS = 200, 300_000
#: How many lines at each end of a page may be its header or footer.
MARGIN_LINES = 3
#: The largest part of the characters that may be unreadable, as control characters are. A text with more of them has
#: the numbers of glyphs instead of letters.
MAX_UNREADABLE = 0.05

_NUMBER = re.compile(r"\d+")
_UNREADABLE = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\ue000-\uf8ff\ufffd]")
#: The ranges of the codes of a font, as its CMap declares them, and a code in it.
_CODE_SPACE = re.compile(rb"begincodespacerange(.*?)endcodespacerange", re.DOTALL)
_CODE = re.compile(rb"<([0-9a-fA-F]+)>")
_one_at_a_time = Lock()


def read_pages(content: bytes) -> list[str]:
    """The texts of the first ``MAX_PAGES`` pages of a PDF file. As soon as the pages that were read have more than
    ``MAX_CHARACTERS`` characters together, the pages after them are left out. Empty if the file has no words, as a
    scanned one, if more than ``MAX_UNREADABLE`` of its characters are no letters, if it can't be read, or not within
    ``MAX_SECONDS`` and (except on Windows) ``MAX_MEMORY``, if this process reads other files for all of
    ``MAX_WAIT_SECONDS``, or if pypdf is not installed.
    """
    if find_spec("pypdf") is None or not _one_at_a_time.acquire(timeout=MAX_WAIT_SECONDS):
        return []
    # The child must find the same modules as this process, and not those beside the program.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONSAFEPATH": "1"}
    try:
        child = subprocess.run(  # noqa: S603 - No part of the command comes from a request.
            [sys.executable, "-X", "utf8", __file__],
            input=content,
            env=environment,
            capture_output=True,
            timeout=MAX_SECONDS,
            check=True,
        )
        pages: list[str] = json.loads(child.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return []
    finally:
        _one_at_a_time.release()
    text = "".join(pages)
    return pages if text.strip() and len(_UNREADABLE.findall(text)) <= MAX_UNREADABLE * len(text) else []


def split_margins(pages: list[str]) -> tuple[str, list[str]]:
    """The text of these pages without their headers and footers, and the different lines of all headers and footers.
    A header or footer is a line that stands among the first or last ``MARGIN_LINES`` lines of every page; the
    numbers in it may differ from page to page. Empty lines and pages without words are ignored and left out. If at most
    one page has words, there is no header or footer, and the text is that of all pages unchanged.
    """
    split = [[line for line in page.splitlines() if line.strip()] for page in pages]
    split = [lines for lines in split if lines]
    if len(split) < 2:
        return "\n".join(pages), []
    repeated = set.intersection(*({_key(line) for line in _ends(lines)} for lines in split))
    body = []
    for lines in split:
        inner = range(MARGIN_LINES, len(lines) - MARGIN_LINES)
        body += [line for place, line in enumerate(lines) if place in inner or _key(line) not in repeated]
    margins = dict.fromkeys(line for lines in split for line in _ends(lines) if _key(line) in repeated)
    return "\n".join(body), list(margins)


def _ends(lines: list[str]) -> list[str]:
    return lines if len(lines) <= 2 * MARGIN_LINES else [*lines[:MARGIN_LINES], *lines[-MARGIN_LINES:]]


def _key(line: str) -> str:
    return _NUMBER.sub("0", " ".join(line.split()))


def _extracted(content: bytes) -> list[str]:
    from pypdf import PdfReader

    pages: list[str] = []
    for page in PdfReader(io.BytesIO(content)).pages:
        if len(pages) == MAX_PAGES or sum(map(len, pages)) > MAX_CHARACTERS:
            break
        with suppress(Exception):  # The file is hostile. Without this, only these fonts can't be read.
            _declare_codes(page)
        pages.append(page.extract_text())
    return pages


def _declare_codes(page: PageObject) -> None:
    """Let pypdf read the fonts of the page whose encoding is a CMap in the file with codes of two bytes. pypdf reads
    two bytes as one code only if the encoding has a standard name. The table from codes to characters is another entry
    of the font, so only the length of the codes matters here.
    """
    from pypdf.generic import DictionaryObject, NameObject, StreamObject

    resources = page["/Resources"].get_object()
    fonts = resources["/Font"].get_object() if isinstance(resources, DictionaryObject) else None
    for reference in fonts.values() if isinstance(fonts, DictionaryObject) else ():
        font = reference.get_object()
        encoding = font["/Encoding"].get_object()
        if isinstance(encoding, StreamObject):
            codes = [code for ranges in _CODE_SPACE.findall(encoding.get_data()) for code in _CODE.findall(ranges)]
            if codes and all(len(code) == 4 for code in codes):
                font[NameObject("/Encoding")] = NameObject("/Identity-H")


if __name__ == "__main__":
    logging.disable()
    with suppress(ImportError):  # Windows has no such limits.
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    sys.stdout.write(json.dumps(_extracted(sys.stdin.buffer.read())))
