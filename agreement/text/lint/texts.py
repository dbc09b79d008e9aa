"""The texts that the rules of the lint check."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

from agreement.text import clauses, references
from agreement.text.clauses import Clause, Document
from agreement.text.lint.sequence import Sequence
from agreement.text.lint.wording import swallowed
from agreement.text.redline import changes
from agreement.text.references import Reference


class Further(NamedTuple):
    """A further document in a text: its first numbered unit, and the line and the words with which it begins."""

    unit: Clause
    line: int
    words: str


@dataclass(frozen=True)
class Texts:
    """The texts of an edition and, if there is one, of the previous edition. ``bodies`` are the texts to check. The
    keys of ``bodies``, ``titles``, ``summaries`` and ``previous`` are the codes of languages.
    """

    bodies: Mapping[str, str]
    titles: Mapping[str, str] | None = None
    """``None``: the titles are unknown and are not checked."""
    summaries: Mapping[str, str] | None = None
    """``None``: the summaries are unknown and are not checked."""
    previous: Mapping[str, str] | None = None
    """The bodies of the previous edition; ``None`` or empty if there is none."""
    stated: Mapping[str, object] = field(default_factory=dict)
    """What the edition states about itself, by the names of its fields: ``notice_days``, ``retention_years`` and
    ``prevailing_language``. Fields that are unknown are left out."""
    previous_stated: Mapping[str, object] = field(default_factory=dict)
    """What the previous edition states about itself; empty if there is none or if it is unknown."""
    cited: Mapping[str, Collection[str]] = field(default_factory=dict)
    """The numbers of the clauses that pages of the site quote, each with the names of these pages."""

    @cached_property
    def documents(self) -> dict[str, Document]:
        """The parsed bodies."""
        return {language: clauses.parse(body) for language, body in self.bodies.items()}

    @cached_property
    def previous_documents(self) -> dict[str, Document]:
        """The parsed bodies of the previous edition; empty if there is none."""
        return {language: clauses.parse(body) for language, body in (self.previous or {}).items()}

    @cached_property
    def pairs(self) -> dict[str, list[tuple[Clause, Clause]]]:
        """The pairs of units, previous and new, that are the same clause, by language; empty if there is no previous
        edition. A language that the previous edition does not have is left out.
        """
        found = {}
        for language, new in self.documents.items():
            if old := self.previous_documents.get(language):
                found[language] = [(old.units[a], new.units[b]) for a, b in changes.align(old.units, new.units)]
        return found

    @cached_property
    def references(self) -> dict[str, dict[Clause, list[Reference]]]:
        """The units of each text that contain references, with these references."""
        return {
            language: {unit: found for unit in document.units if (found := list(references.find(unit.text)))}
            for language, document in self.documents.items()
        }

    @cached_property
    def repeated(self) -> dict[str, dict[Clause, int]]:
        """The units of each text whose number is used earlier, with the line of the first unit that uses it.

        Items with letters are left out. A sub-clause ``1)`` begins a new list in its clause: the earlier sub-clauses in
        lists of the same clause no longer count.
        """
        return {language: _repeated(document) for language, document in self.documents.items()}

    @cached_property
    def further(self) -> dict[str, list[Further]]:
        """The second and each further document in each text."""
        return {
            language: list(_further(document, self.bodies[language], self.repeated[language]))
            for language, document in self.documents.items()
        }

    @cached_property
    def ends(self) -> dict[str, int]:
        """The line at which the second document of each text begins; larger than any line if there is none."""
        return {language: its[0].line if its else sys.maxsize for language, its in self.further.items()}

    @cached_property
    def swallowed(self) -> dict[str, dict[str, tuple[Clause, int, str]]]:
        """The numbers of the clauses of each text that begin in the middle of a line, with the unit that contains them,
        the line and the words.
        """
        return {language: swallowed(document, self.bodies[language]) for language, document in self.documents.items()}

    @cached_property
    def sequences(self) -> dict[str, Sequence]:
        """The order of the numbers of each text."""
        return {
            language: Sequence(
                document,
                clauses.LINE_END.split(self.bodies[language]),
                repeated=self.repeated[language],
                end=self.ends[language],
                swallowed=self.swallowed[language],
            )
            for language, document in self.documents.items()
        }


_TOP = re.compile(r"(?P<kind>(?:a\d+\.)?(?:ch|pt|bk|vo)?)(?P<number>\d+)(?:\.|$)")


def _further(document: Document, body: str, repeated: Mapping[Clause, int]) -> Iterator[Further]:
    """Yield the second and each further document of a text, in the order of their lines. What counts is the first part
    of each number: 3 for 3.1. A document begins where this part becomes 1 again and then 2, and the two units that
    begin with these parts have numbers that were used earlier. Numbers with a letter prefix such as ``ch`` are compared
    only with those of the same prefix, and the numbers of each appendix only with one another. Numbers with a dash do
    not count.

    ``repeated`` contains the units whose number is used earlier; its values are not read. ``body`` is the source of the
    text. The words of a document are the line above its first unit, if it looks like a title and is at most seven lines
    away; otherwise they are those of the unit itself.
    """
    lines, numbered = clauses.LINE_END.split(body), {unit.line for unit in document.clauses}
    tops: dict[str, list[tuple[int, Clause]]] = {}  # Chapters, sections and those of each appendix: number and unit.
    for unit in document.clauses:
        if "-" not in unit.number and (match := _TOP.match(unit.number)):
            its = tops.setdefault(match["kind"], [])
            if not its or its[-1][0] != int(match["number"]):
                its.append((int(match["number"]), unit))
    found = [
        unit
        for its in tops.values()
        for (number, unit), (following, other) in pairwise(its[1:])
        if (number, following) == (1, 2) and unit in repeated and other in repeated
    ]
    for unit in sorted(found, key=lambda unit: unit.line):
        above = next((at for at in range(unit.line - 1, max(unit.line - 8, 0), -1) if lines[at - 1].strip()), 0)
        words = lines[above - 1].strip().strip("#*_ ") if above else ""
        if words and above not in numbered and len(words) <= 120 and words[-1] not in ".;,:|":
            yield Further(unit, above, words)
        else:
            yield Further(unit, unit.line, f"{unit.label} {unit.text}".strip())


def _repeated(document: Document) -> dict[Clause, int]:
    repeated = dict[Clause, int]()
    lines: dict[str, dict[str, int]] = {}  # The lists of each clause begin again; all other numbers are under "".
    for unit in document.clauses:
        if unit.kind == "item":
            continue  # Numbered by place, so never twice.
        listed = unit.parent if "-" in unit.number else ""
        if listed and unit.label in {"1)", "(1)", "1."}:
            lines.pop(listed, None)  # A second list "1) 2)" in one clause counts from 1 again. It is no mistake.
        first = lines.setdefault(listed, {})
        if unit.number in first:
            repeated[unit] = first[unit.number]
        else:
            first[unit.number] = unit.line
    return repeated
