"""Compares automatic numbers with those that LibreOffice prints: ``python -m tests.word.libreoffice [FOLDER]``.

Without a folder it compares the cases of ``numbering_cases.py``. With one it compares every numbered paragraph of the
.docx files in it. It needs ``soffice`` (Debian: ``libreoffice-writer-nogui``), which the tests do not.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import django


def converted(files: list[Path], folder: Path) -> dict[str, str]:
    """The text of each Word file as LibreOffice prints it, by the stem of its name."""
    command = ["soffice", f"-env:UserInstallation=file://{folder}/profile", "--headless"]
    for first in range(0, len(files), 40):
        batch = [str(file) for file in files[first : first + 40]]
        subprocess.run(
            [*command, "--convert-to", "txt:Text (encoded):UTF8", "--outdir", str(folder / "out"), *batch],
            check=False,
            capture_output=True,
            timeout=600,
        )
    return {file.stem: file.read_text("utf-8-sig") for file in (folder / "out").glob("*.txt")}


def compare_cases(folder: Path) -> int:
    """Print each case that LibreOffice prints otherwise, and return how many there are."""
    from tests.word.numbering_cases import CASES, labels

    files = []
    for place, case in enumerate(CASES):
        files.append(folder / f"{place}.docx")
        files[-1].write_bytes(case.content())
    texts = converted(files, folder)
    wrong = 0
    for place, case in enumerate(CASES):
        expected = case.expected(libreoffice=True)
        found = labels(texts.get(str(place), ""), len(expected))
        if found != expected:
            wrong += 1
            print(f"{case.name}: LibreOffice prints {found}, not {expected}")
    print(f"{len(CASES)} cases, {wrong} differ; {sum(bool(case.libreoffice) for case in CASES)} known differences.")
    return wrong


def compare_files(source: Path, folder: Path) -> int:
    """Print each numbered paragraph that LibreOffice prints otherwise, and return how many there are."""
    from agreement.text.source import SourceError
    from agreement.word import numbering, reader

    files = sorted(source.glob("*.docx"))
    texts = converted(files, folder)
    wrong = total = 0
    for file in files:
        paragraphs: list[tuple[str, str]] = []
        label = numbering.Numbering.label

        def noted(self: Any, element: Any, words: str, *look: Any, found: Any = paragraphs, label: Any = label) -> str:
            number: str = label(self, element, words, *look)
            if self.accept:
                found.append((number, words))
            return number

        numbering.Numbering.label = noted  # type: ignore[method-assign]  # Only here, to see all numbers.
        try:
            manuscript = reader.read_manuscript(file.read_bytes(), file.name)
        except SourceError as error:
            print(f"{file.name}: refused: {error}")
            continue
        finally:
            numbering.Numbering.label = label  # type: ignore[method-assign]
        lines = [squeezed(line) for line in texts.get(file.stem, "").splitlines()]
        at = differ = numbered = lost = 0
        for number, words in paragraphs:
            start = squeezed(words.split("\n")[0])[:40]
            if not start:
                continue
            near = range(at, min(at + 400, len(lines)))
            right = (it for it in near[:20] if lines[it].startswith(squeezed(number) + start))
            place = next(right, next((it for it in near if start in lines[it]), None))
            if place is None:
                lost += 1
                continue
            at = place
            numbered += bool(number)
            line = lines[place]
            before = line[: line.index(start)]
            bullet = number == "-" and len(before) == 1
            if not line.startswith(squeezed(number) + start) and not bullet:
                differ += 1
                if differ <= 10:
                    print(f"{file.name}: {number!r} is {before!r} in LibreOffice: {words[:50]!r}")
            at += 1
        wrong += differ
        total += numbered
        print(
            f"{file.name}: {numbered} numbers, {differ} differ, {lost} paragraphs not found, "
            f"{len(manuscript.uncertain)} uncertain, {len(manuscript.empty_numbers)} of empty paragraphs"
        )
    print(f"{len(files)} files, {total} numbers, {wrong} differ.")
    return wrong


def squeezed(words: str) -> str:
    return re.sub(r"[\s\u200b\u00ad]+", "", words)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        sys.exit(min(compare_files(Path(sys.argv[1]), place) if sys.argv[1:] else compare_cases(place), 1))
