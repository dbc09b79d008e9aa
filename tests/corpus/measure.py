"""Measures a folder of real documents: what the desk reads, which units it finds and what the lint says of them.

Run ``python -m tests.corpus.measure FOLDER``. The folder contains ``.docx``, ``.md`` and ``.txt`` files; the name of a
file is what it is called in every table. The documents are no part of the project.

``--libreoffice`` compares the words and the printed numbers of each Word file with the text that LibreOffice prints
(Debian's ``libreoffice-writer-nogui``).
``--verdicts FILE`` reads what a person found: one line for each document with its name without the extension, a
verdict (``clean`` or another word) and a reason, separated by tabs. ``--outline`` prints every line with the unit that
begins at it, for the person who judges, and ``--messages`` each message of the rules about numbers with its line.
``--json FILE`` writes all figures, and ``--against FILE`` prints what differs from the figures of an earlier run.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass, field
from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agreement.text.clauses import Document
    from agreement.text.lint.messages import Message

EXTENSIONS = frozenset({".docx", ".md", ".txt"})
#: Rules about numbers. Their messages about one document are the first suspects for a fault of the grammar.
SUSPECT = frozenset(f"agreement.L0{number}" for number in ("03", "10", "11", "12", "18", "29"))
#: More than this share of Kazakh letters makes a text Kazakh.
KAZAKH = 0.06

_NUMBERED = re.compile(
    r"[\s#>*_]*(?:(?:статья|глава|раздел|пункт|приложение|бап|тарау|бөлім|қосымша|§)\s*№?\s*[\dIVXІХ]+"
    r"|\d{1,3}\s*-?\s*(?:бап|тарау|бөлім|тармақ|қосымша)\b|\d{1,3}(?:\\?\.\d{1,3})*\\?[.)](?!\d)|\d{1,3}(?:\.\d{1,3})+\s"
    r"|[IVXІХ]+\.\s|[a-zа-яәғқңөұүһі]\\?\)\s)",
    re.IGNORECASE,
)
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
_LABEL = re.compile(r"[\W\d_]*?(?:[^\W\d_][.)]\s*|[IVXLCІХ]+[.)]\s*)?(?=[^\W\d_]{2}|[^\W\d_]\s|$)", re.IGNORECASE)
_NUMBER = re.compile(r"(?:\d{1,3}(?:\.\d{1,3}){0,8}|[^\W\d_]|[IVXLCІХ]+)[.)]?", re.IGNORECASE)
_CELL = re.compile(r"(?<!\\)\||<br ?/?>|\t")


@dataclass(slots=True)
class Measured:
    """The figures of one document. ``refused`` is the sentence of a refusal, or ``""``."""

    name: str
    language: str = ""
    refused: str = ""
    units: dict[str, int] = field(default_factory=dict)
    messages: dict[str, int] = field(default_factory=dict)
    errors: int = 0
    unnumbered: list[str] = field(default_factory=list)
    """The lines that look numbered and begin no unit."""
    missing: dict[str, int] = field(default_factory=dict)
    """Words that LibreOffice prints and the text lacks."""
    labels: list[str] = field(default_factory=list)
    """The numbers that differ from LibreOffice's."""
    verdict: str = ""
    reason: str = ""

    def suspect(self) -> bool:
        """Does any figure point to a fault?"""
        return bool(self.refused or self.unnumbered or self.missing or self.labels or SUSPECT & self.messages.keys())


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.corpus.measure", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", metavar="name", help="only documents whose name begins so")
    parser.add_argument("--libreoffice", action="store_true", help="compare Word files with LibreOffice")
    parser.add_argument("--verdicts", type=Path, metavar="FILE", help="what a person found")
    parser.add_argument("--outline", action="store_true", help="print every line with its unit")
    parser.add_argument("--messages", action="store_true", help="print the messages of the rules about numbers")
    parser.add_argument("--against", type=Path, metavar="FILE", help="print what differs from these figures")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    import django

    django.setup()
    verdicts = _verdicts(options.verdicts)
    chosen = tuple(options.names) or ("",)
    paths = [
        path
        for path in sorted(options.folder.iterdir())
        if path.suffix.lower() in EXTENSIONS and path.name.startswith(chosen)
    ]
    printed = _printed(paths) if options.libreoffice else {}
    found = [
        measure(path, printed=printed.get(path.stem), outline=options.outline, messages=options.messages)
        for path in paths
    ]
    for one in found:
        one.verdict, one.reason = verdicts.get(one.name.partition(".")[0], ("", ""))
    _table(found)
    if options.against:
        _changes(found, json.loads(options.against.read_text()), printed=options.libreoffice)
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in found], ensure_ascii=False, indent=1))
    return 0


def measure(path: Path, *, printed: str | None = None, outline: bool = False, messages: bool = False) -> Measured:
    """The figures of the document at this path. ``printed`` is its text as LibreOffice prints it; ``None`` if that is
    unknown. ``outline`` and ``messages`` print.
    """
    from agreement.text.clauses import parse
    from agreement.text.lint.rules import lint

    found = Measured(path.name)
    text = _read(path, found, language="ru")
    if found.refused:
        return found
    found.language = _language(text)
    document, found_by_lint = parse(text), lint({found.language: text})
    found.units = dict(Counter(unit.kind for unit in document.units))
    found.messages = dict(Counter(message.id for message in found_by_lint))
    found.errors = sum(message.severity == "error" for message in found_by_lint)
    begun = {unit.line for unit in document.units if unit.number}
    found.unnumbered = [
        f"{number}: {line.strip()[:70]}"
        for number, line in enumerate(text.split("\n"), start=1)
        if number not in begun and _NUMBERED.match(line)
    ]
    if printed is not None:
        found.missing, found.labels = compare(_read(path, found, language=""), printed)
    if outline:
        _outline(path.name, text, document, found_by_lint)
    lines = text.split("\n")
    for message in found_by_lint if messages else ():
        if message.id in SUSPECT:
            line = lines[message.line - 1].strip()[:60] if message.line else ""
            print(f"{path.name} {message.id[-4:]} {message.line}: {message.sentence('ru')[:90]} | {line}")
    return found


def compare(text: str, printed: str) -> tuple[dict[str, int], list[str]]:
    """What a text lacks of the words that LibreOffice prints, and each number that differs from LibreOffice's.

    A number is compared where both texts have a line of their own with the same words after it. Elsewhere, as in a cell
    with several paragraphs, the number has to stand somewhere in the text before the first words of its line.
    """
    ours, theirs = _lines(text), _lines(printed)
    lacking = Counter(word for _, line in theirs for word in line) - Counter(word for _, line in ours for word in line)
    matcher = SequenceMatcher(None, [line for _, line in theirs], [line for _, line in ours], autojunk=False)
    beside = {a + step: ours[b + step][0] for a, b, size in matcher.get_matching_blocks() for step in range(size)}
    everything = " ".join(("", *_words(_ESCAPE.sub(r"\1", text)), ""))
    labels = []
    for place, (label, words) in enumerate(theirs):
        if place in beside:
            differs = beside[place] != label
        else:
            differs = bool(label) and f" {' '.join((*_words(label), *words[:5]))} " not in everything
        if differs:
            labels.append(f"{beside.get(place, '?')!r} for {label!r}: {' '.join(words)[:50]}")
    return dict(lacking), labels


def _words(text: str) -> list[str]:
    """The words and numbers of a text, without soft hyphens."""
    return re.findall(r"[^\W_]+", text.replace("\u00ad", ""))


def _lines(text: str) -> list[tuple[str, tuple[str, ...]]]:
    """The label and the words of each paragraph or cell that has words. Bullets and soft hyphens are left out."""
    found = []
    for line in text.split("\n"):
        for part in _CELL.split(line):
            bare = _ESCAPE.sub(r"\1", part).strip().lstrip("#").strip()
            label = match[0] if (match := _LABEL.match(bare)) else ""
            words = tuple(_words(bare[len(label) :]))
            kept = re.sub(r"[^\w.)]|_", "", label)
            if words:
                found.append((kept if _NUMBER.fullmatch(kept) else "", words))
    return found


def _read(path: Path, found: Measured, *, language: str) -> str:
    """The text of a file as the desk reads it, with tracked changes accepted; ``""`` and ``found.refused`` if the desk
    refuses the file. Of a Word file with a column for each language, it is the text in ``language``, or all columns for
    ``""``.
    """
    from django.utils.translation import override

    from agreement.text.source import SourceError
    from agreement.word.files import read_file

    with override("en"):
        try:
            return read_file(path.read_bytes(), path.name, language=language, encoding="").manuscript.accepted
        except SourceError as error:
            found.refused = f"{error} {error.hint}"
            return ""


def _language(text: str) -> str:
    """``kk`` or ``ru``, by the share of the letters that only Kazakh has."""
    letters = re.findall(r"[а-яёәғқңөұүһі]", text, re.IGNORECASE)
    kazakh = sum(letter.lower() in "әғқңөұүһі" for letter in letters)
    return "kk" if kazakh > KAZAKH * len(letters) else "ru"


def _printed(paths: list[Path]) -> dict[str, str]:
    """The text of each Word file as LibreOffice prints it, by the name without the extension."""
    files = [str(path) for path in paths if path.suffix.lower() == ".docx"]
    with tempfile.TemporaryDirectory() as folder:
        command = [
            "soffice",
            f"-env:UserInstallation={Path(folder, 'profile').as_uri()}",
            "--headless",
            "--convert-to",
            "txt:Text (encoded):UTF8",
            "--outdir",
            folder,
        ]
        for first in range(0, len(files), 20):
            subprocess.run([*command, *files[first : first + 20]], check=False, capture_output=True, timeout=600)
        return {path.stem: path.read_text(encoding="utf-8-sig") for path in Path(folder).glob("*.txt")}


def _verdicts(path: Path | None) -> dict[str, tuple[str, str]]:
    """Name without the extension → verdict and reason."""
    rows = [line.split("\t") for line in path.read_text().splitlines()] if path else []
    return {row[0]: (row[1], row[2] if len(row) > 2 else "") for row in rows if len(row) > 1}


def _outline(name: str, text: str, document: Document, messages: tuple[Message, ...]) -> None:
    """Print each line after the kind and the number of the unit that begins at it, and the messages below."""
    begun = {unit.line: unit for unit in document.units}
    print(f"\n=== {name}: {document.title[:80]!r}")
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            unit = begun.get(number)
            print(f"{f'{unit.kind} {unit.number}' if unit else '.':<20} {line.strip()[:100]}")
    for message in messages:
        print(f"    {message.id} {message.line}: {message.sentence('ru')[:150]}")


def _table(found: list[Measured]) -> None:
    """Print one line for each document, the sums by rule, and the share of the clean ones."""
    print(f"{'document':<14} la sect clau subc item refu erro unnu miss labe  verdict  messages")
    for one in found:
        counts = (one.units.get(kind, 0) for kind in ("section", "clause", "subclause", "item"))
        figures = (*counts, bool(one.refused), one.errors, len(one.unnumbered), sum(one.missing.values()))
        messages = " ".join(f"{id_[-4:]}×{count}" for id_, count in sorted(one.messages.items()))
        row = " ".join(f"{int(figure):>4}" for figure in (*figures, len(one.labels)))
        print(f"{one.name:<14} {one.language:<2} {row}  {one.verdict:<8} {one.refused or messages}")
    by_rule = Counter[str]()
    for one in found:
        by_rule.update(one.messages)
    print("messages: " + ", ".join(f"{id_[-4:]} {count}" for id_, count in sorted(by_rule.items())))
    refused, suspects = sum(bool(one.refused) for one in found), sum(map(Measured.suspect, found))
    print(f"{len(found)} documents: {refused} refused, {suspects} suspect")
    if judged := [one for one in found if one.verdict]:
        clean = sum(one.verdict == "clean" for one in judged)
        print(f"{clean} of {len(judged)} judged are clean: {clean / len(judged):.0%}")


def _changes(found: list[Measured], before: list[dict[str, object]], *, printed: bool) -> None:
    """Print the figures of each document that differ from those of an earlier run. ``printed`` says whether this run
    compared with LibreOffice.
    """
    left_out = {"verdict", "reason"} if printed else {"verdict", "reason", "missing", "labels"}
    earlier = {one["name"]: one for one in before}
    for one in found:
        for name, now in asdict(one).items():
            then = earlier.get(one.name, {}).get(name)
            if then != now and name not in left_out:
                print(f"{one.name} {name}: {str(then)[:150]} → {str(now)[:150]}")


if __name__ == "__main__":
    sys.exit(main())
