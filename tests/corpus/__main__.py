"""What the lint finds: ``python -m tests.corpus`` or ``python -m tests.corpus FOLDER``.

Without a folder: the precision and the recall of each rule on the agreements of this package with one defect each. The
exit code is 1 if either is below 1.00, or if there is a message about an agreement without a defect.

With a folder: every message about the real texts in it (``.docx``, ``.md`` and ``.txt``), sorted by rule, for a person
who judges whether it is true. Two files ``NAME.kk.*`` and ``NAME.ru.*`` are one edition. The texts are no part of the
project. ``--rules L003 L010`` prints only the messages of these rules.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter, defaultdict
from pathlib import Path

from agreement.text.lint import Message
from agreement.text.lint.rules import lint
from tests.corpus.clean import ALL
from tests.corpus.defects import CASES

KAZAKH = "әғқңөұүһі"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.corpus", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--rules", nargs="*", default=[], metavar="L…")
    options = parser.parse_args()
    return judged(options.folder, options.rules) if options.folder else measured()


def measured() -> int:
    right, wrong, lost = Counter[str](), Counter[str](), Counter[str]()
    for case in CASES:
        said = {(message.id, message.language) for message in lint(case.bodies, **case.more)}
        right.update(id_ for id_, _ in said & case.expected)
        wrong.update(id_ for id_, _ in said - case.expected)
        lost.update(id_ for id_, _ in case.expected - said)
        for kind, found in (("false alarm", said - case.expected), ("missed", case.expected - said)):
            for id_, language in sorted(found):
                print(f"{kind}: {case.name}: {id_} {language}")
    print(f"{'id':<16} right wrong missed")
    for id_ in sorted(right | wrong | lost):
        print(f"{id_:<16} {right[id_]:5} {wrong[id_]:5} {lost[id_]:6}")
    precision = right.total() / ((right.total() + wrong.total()) or 1)
    recall = right.total() / ((right.total() + lost.total()) or 1)
    print(f"{len(CASES)} defects: precision {precision:.2f}, recall {recall:.2f}")
    blamed = 0
    for agreement in ALL:
        for message in lint(agreement.texts()):
            blamed += 1
            print(f"clean {agreement.name}: {message.id} {message.language} {message.clause} {message.sentence('en')}")
    print(f"{len(ALL)} clean agreements: {blamed} messages")
    return 0 if precision == recall == 1 and not blamed else 1


def judged(folder: Path, rules: list[str]) -> int:
    found: dict[str, list[tuple[str, Message, str]]] = defaultdict(list)
    editions: dict[str, dict[str, str]] = defaultdict(dict)
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in {".docx", ".md", ".txt"}:
            name, _, language = path.stem.rpartition(".")
            if language in {"kk", "ru"}:
                editions[name][language] = _read(path, language)
                continue
            # A Word file with a column for each language contains both texts.
            kk, ru = _read(path, "kk"), _read(path, "ru")
            editions[path.stem] |= {"kk": kk, "ru": ru} if kk != ru else {_language(ru): ru} if ru else {}
    for name, bodies in editions.items():
        for message in lint(bodies):
            if not rules or message.id.rpartition(".")[2] in rules:
                lines = bodies[message.language].split("\n") if message.language and message.line else []
                line = lines[message.line - 1].strip()[:100] if lines else ""
                found[message.id].append((name, message, line))
    for id_, its in sorted(found.items()):
        print(f"\n{id_}: {len(its)} messages in {len({name for name, *_ in its})} of {len(editions)} editions")
        for name, message, line in its:
            place = f"{message.language or '–'} {message.place('ru') or '–'} {message.line}"
            print(f"  {name} · {place} · {message.sentence('ru')}\n      {line}")
    return 0


def _read(path: Path, language: str) -> str:
    """The text of a file in that language as the desk reads it, with tracked changes accepted; ``""`` if the desk
    refuses the file.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    import django

    django.setup()
    from agreement.text.source import SourceError
    from agreement.word.files import read_file

    try:
        return read_file(path.read_bytes(), path.name, language=language, encoding="").manuscript.accepted
    except SourceError as error:
        print(f"{path.name} is refused: {error}")
        return ""


def _language(text: str) -> str:
    """``kk`` or ``ru``: the text is Kazakh if at least every sixteenth letter is one that only Kazakh has."""
    letters = [char for char in text.lower() if "\u0400" <= char <= "\u052f"]
    return "kk" if sum(char in KAZAKH for char in letters) * 16 > len(letters) else "ru"


if __name__ == "__main__":
    sys.exit(main())
