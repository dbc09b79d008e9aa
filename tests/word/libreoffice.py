"""Compares automatic numbers with those that LibreOffice prints: ``python -m tests.word.libreoffice [FOLDER | SEED]``.

Without an argument it compares the cases of ``numbering_cases.py``. With a folder it compares every paragraph of the
.docx files in it. With a number it compares lists made at random: there, each number that differs must be one of which
the reader says that it is not sure. It needs ``soffice`` (Debian: ``libreoffice-writer-nogui``); the tests do not.
"""

from __future__ import annotations

import os
import random
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


def compare_random(seed: int, folder: Path) -> int:
    """Print each label of 300 random documents that differs without being uncertain; return how many there are."""
    from agreement.word import reader
    from tests.word.numbering_cases import labels

    chance = random.Random(seed)  # noqa: S311 - the seed repeats the documents
    files, counts = [], []
    for number in range(300):
        content, count = random_document(chance)
        files.append(folder / f"{number}.docx")
        files[-1].write_bytes(content)
        counts.append(count)
    texts = converted(files, folder)
    differ = wrong = 0
    for file, count in zip(files, counts, strict=True):
        manuscript = reader.read_manuscript(file.read_bytes(), file.name)
        uncertain = {words for _label, words in manuscript.uncertain}
        ours, theirs = labels(manuscript.accepted, count), labels(texts.get(file.stem, ""), count)
        for place, (one, other) in enumerate(zip(ours, theirs, strict=True), 1):
            differ += one != other
            if one != other and f"Слово{place}" not in uncertain:
                wrong += 1
                print(f"document {file.stem}, paragraph {place}: {one!r} is {other!r} in LibreOffice")
    print(f"{sum(counts)} labels, {differ} differ, {wrong} of them are not said to be uncertain.")
    return wrong


def random_document(chance: random.Random) -> tuple[bytes, int]:
    """A document of lists that agree with their styles, and how many paragraphs with words it has."""
    from tests.word import numbering_cases as word

    depths, definitions = range(chance.choice((2, 3, 4))), range(chance.choice((1, 2)))
    numbers = range(1, max(len(definitions), chance.choice((1, 2, 3, 4))) + 1)
    numbering = styles = body = ""
    for key in definitions:
        levels = []
        for depth in depths:
            signs = [f"%{it + 1}" for it in range(depth + 1)]
            shown = chance.choice((".".join(signs) + ".", f"{signs[-1]})", f"({'.'.join(signs)})"))
            form = chance.choice(["decimal"] * 5 + ["lowerLetter", "upperRoman", "russianLower", "decimalZero"])
            named = f'<w:pStyle w:val="S{key}{depth}"/>' if chance.random() < 0.5 else ""
            levels.append(word.level(depth, shown, form, chance.choice((1, 1, 1, 1, 1, 1, 0, 3, 5)), named))
            own = word.ilvl(depth) + (word.numid(key + 1) if not depth or chance.random() < 0.6 else "")
            styles += word.style(f"S{key}{depth}", own, based_on=f"S{key}{depth - 1}" if depth else "")
        numbering += word.definition(*levels, key=key)
    for number in numbers:
        overrides = ""
        for depth in depths:
            kind = chance.random()
            if kind < 0.25:
                overrides += word.start(depth, chance.choice((1, 1, 1, 2, 7)))
            elif kind < 0.33:
                form, first = chance.choice(("decimal", "upperLetter", None)), chance.choice((None, 1, 4))
                overrides += word.override(depth, word.level(depth, f"[%{depth + 1}]", form, first))
        of = number - 1 if number <= len(definitions) else chance.choice(definitions)
        numbering += word.num(number, overrides, of=of)
    for _paragraph in range(chance.randint(6, 22)):
        depth, number, style = chance.choice(depths), chance.choice(numbers), f"S{chance.choice(definitions)}"
        kinds = (
            (60, word.item(depth, number)),
            (10, word.empty(depth, number)),
            (10, word.plain(f"{style}{depth}")),
            (5, word.item(None, 0, style=f"{style}{depth}")),
            (5, word.item(depth, None, style=f"{style}{chance.choice(depths)}")),
            (5, word.item(None, number, style=f"{style}{depth}")),
            (5, word.plain()),
            (5, word.table(word.item(depth, number) + "|" + word.empty(depth, number))),
        )
        body += chance.choices([xml for _weight, xml in kinds], [weight for weight, _xml in kinds])[0]
    return word.document(body, numbering, styles), body.count("@")


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
        argument = "".join(sys.argv[1:])
        if argument.isdecimal():
            sys.exit(min(compare_random(int(argument), place), 1))
        sys.exit(min(compare_files(Path(argument), place) if argument else compare_cases(place), 1))
