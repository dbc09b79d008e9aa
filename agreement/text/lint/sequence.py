"""The order of the numbers of a text: which are missing, and which are out of order."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Container, Iterator
from itertools import zip_longest
from operator import le
from typing import NamedTuple

from agreement.text.clauses import Clause, Document


class Gap(NamedTuple):
    """Numbers that are missing before a unit."""

    unit: Clause
    missing: list[str]


class Sequence:
    """The gaps in the numbers of one text, and the units that are out of order (``misplaced``).

    ``repeated`` are the units whose numbers are used earlier. They are ignored, and so are the other clauses of a
    repeated section: they are ``copied``. ``swallowed`` are numbers that begin in the middle of a line; they are no
    gaps. Units from the line ``end`` on are not checked. ``lines`` are the lines of the text. A line that begins with a
    missing number may be ``unread``: then the number is no gap.
    """

    def __init__(
        self, document: Document, lines: list[str], *, repeated: Container[Clause], swallowed: Collection[str], end: int
    ) -> None:
        self.document, self.lines = document, lines
        self.copied = set(_copied(document, repeated))
        self.units = [
            unit
            for unit in document.clauses
            if unit.kind != "item" and unit.line < end and unit not in repeated and unit not in self.copied
        ]
        self.by_number = {unit.number: unit for unit in reversed(self.units)}
        self.place = {unit.start: place for place, unit in enumerate(self.units)}
        self.present = {*document.numbers, *swallowed}
        self.swallowed = set(swallowed) - set(document.numbers)
        self.hidden = set(map(_section_number, swallowed)) - set(document.numbers)
        self.groups: dict[str, list[list[tuple[int, Clause, str]]]] = {}
        self.misplaced = set[Clause]()
        self.gaps: list[Gap] = []
        self.begun = {unit.line for unit in document.units if unit.number}
        self.unread: dict[int, str] = {}  # Line → missing number.
        self.headless: dict[Clause, Gap] = {}  # The first clauses of sections whose heading is missing.
        self._collect()
        runs = [run for its in self.groups.values() for run in its]
        for run in runs:
            numbers = [number for number, _, _ in run]
            if all(map(le, numbers, numbers[1:])):
                continue
            rising = _longest_rise(numbers)
            self.misplaced.update(unit for place, (_, unit, _) in enumerate(run) if place not in rising)
        wrong = [unit.start for unit in document.clauses if unit in self.misplaced or unit in repeated]
        for run in runs:
            self._check([one for one in run if one[1] not in self.misplaced], wrong)
        self.gaps = [gap for gap in self.gaps if gap.missing]

    def before(self, unit: Clause) -> Clause | None:
        """The unit in ``units`` before this one, which is one of ``units``; ``None`` before the first. So items with
        letters, repeated units and copied units are left out.
        """
        place = self.place[unit.start]
        return self.units[place - 1] if place else None

    def _collect(self) -> None:
        """Sort the units into the ``groups`` that count together. Add those that are in a section or clause with
        another number to ``misplaced``, and a section whose heading is missing to ``gaps``.
        """
        owners = set[str]()  # The numbers of the units that the next clause may belong to.
        clause = ""  # The last clause of two numbers, which the next sub-clause such as 1.1.1 belongs to.
        for unit, following in zip_longest(self.units, self.units[1:]):
            group, number, template = _position(unit)
            section = _section_number(unit.number)
            if unit.kind in {"section", "heading"}:
                owners = {unit.number} if unit.kind == "section" else set()
            elif owners and not {unit.parent, section} & owners:
                # After 1.20, the number 2.20.1 is wrong if 1.20.2 follows.
                goes_on = following and _section_number(following.number) in owners and "." in following.number
                if section in self.present - self.hidden or goes_on:
                    self.misplaced.add(unit)
                    continue
                self.present.add(section)  # Its heading has no number, or is missing.
                owners = {section}
                if section not in self.hidden and not self._follows_heading(unit):
                    self.gaps.append(Gap(unit, [section]))
                    self.headless[unit] = self.gaps[-1]
            elif (
                unit.kind == "subclause"
                and "-" not in unit.number
                and clause
                and not f"{unit.parent}.".startswith(f"{clause}.")
            ):
                # After 3.2.1, the number 3.3.2 is wrong if there is a clause 3.3 elsewhere, or if 3.2.3 follows.
                if unit.parent in self.present - self.swallowed or (following and following.parent == clause):
                    self.misplaced.add(unit)
                    continue
            elif unit.number == section:
                owners = {unit.number, unit.parent}  # A clause of one number may have clauses such as 5.1.
            if "-" not in unit.number and unit.kind != "subclause":
                clause = unit.number if unit.kind == "clause" else ""
            runs = self.groups.setdefault(group, [[]])
            if "-" in unit.number and number == 1:
                runs.append([])  # A new list begins.
            runs[-1].append((number, unit, template))

    def _check(self, run: list[tuple[int, Clause, str]], wrong: list[int]) -> None:
        """Find the gaps in one count and add them to ``gaps``. ``run`` are the units that count together, without those
        that are out of order. Each is a triple: the last part of its number, the unit, and the format of the number;
        :func:`_position` returns the first and the last of these. ``wrong`` are the offsets in the text at which units
        with a wrong number begin, in order: each of these units may be a missing one. A gap of no more numbers than
        such units in the same place is not added.
        """
        expected, last = 1, -1
        for number, unit, template in run:
            names = [template.format(missing) for missing in range(expected, min(number, expected + 1000))]
            missing = [name for name in names if name not in self.present]
            if elsewhere := [name for name in names if "-" in name and name in self.present]:
                self._truly_missing(elsewhere, last, unit)  # Another list of the same unit has these numbers.
            place = self.place[unit.start]
            before = self.units[last] if last >= 0 else self.by_number.get(unit.parent)
            if missing and unit in self.headless:
                self.headless[unit].missing.extend(missing)
            elif missing and len(missing) > (_between(wrong, before, unit) if before else 0):
                self.gaps.append(Gap(unit, self._truly_missing(missing, last, unit)))
            expected, last = number + 1, place

    def _truly_missing(self, missing: list[str], last: int, unit: Clause) -> list[str]:
        """The missing numbers, without those with which a line begins between this unit and the one at the index
        ``last`` of ``units``; -1 means the unit before this one. Such lines are added to ``unread``. If more than 20
        numbers are missing, or more than 200 lines are between the units, all numbers are returned.
        """
        place = self.place[unit.start]
        before = self.units[last if last >= 0 else max(place - 1, 0)]
        if unit.line - before.line > 200 or len(missing) > 20:
            return missing
        written = {}
        for line in range(before.line + 1, unit.line):
            match = _BEGINS.match(self.lines[line - 1]) if line not in self.begun else None
            if match:
                written[match["number"]] = line
        lines = {number: written.get(re.split(r"\D", number)[-1], 0) for number in missing}
        self.unread |= {line: number for number, line in lines.items() if line}
        return [number for number, line in lines.items() if not line]

    def _follows_heading(self, unit: Clause) -> bool:
        """Is the unit directly before ``unit`` in the document a heading without a number? False if there is no unit
        before it.
        """
        place = bisect_left(self.document.units, unit.start, key=lambda one: one.start)
        before = self.document.units[place - 1] if place else None
        return before is not None and before.kind == "heading" and not before.number


#: The number with which a line begins, perhaps after the word of its unit, in a way that begins no unit.
_BEGINS = re.compile(r"(?:<[^<>]{0,100}>|[^\w<])*(?:[^\W\d_]{3,9}\s+№?\s*)?(?:\d+\.)*(?P<number>\d{1,3})[.)]")


def _copied(document: Document, repeated: Container[Clause]) -> Iterator[Clause]:
    """Yield the units in repeated sections whose own numbers are not repeated."""
    inside = False
    for unit in document.clauses:
        if unit.kind in {"section", "heading"}:
            inside = unit in repeated
        elif inside and unit not in repeated:
            yield unit


def _between(wrong: list[int], first: Clause, last: Clause) -> int:
    return bisect_left(wrong, last.start) - bisect_right(wrong, first.start)


def _longest_rise(numbers: list[int]) -> set[int]:
    """The indexes of a largest selection of ``numbers`` in which no number is smaller than one selected before it."""
    ends: list[int] = []  # The smallest last number of a rise of each length, and its place.
    places: list[int] = []
    before: list[int] = []
    for place, number in enumerate(numbers):
        length = bisect_right(ends, number)
        before.append(places[length - 1] if length else -1)
        ends[length : length + 1], places[length : length + 1] = [number], [place]
    found = set[int]()
    place = places[-1] if places else -1
    while place >= 0:
        found.add(place)
        place = before[place]
    return found


def _position(unit: Clause) -> tuple[str, int, str]:
    """The number without its last part, the last part as an integer (0 if it has letters), and the format of the
    numbers that differ in that part: ``("1.", 2, "1.{}")`` for ``1.2``, ``("ch", 1, "ch{}")`` for ``ch1``.
    """
    head, mark, item = unit.number.partition("-")
    tail = item if mark else re.split(r"\D", head)[-1]
    group = unit.number.removesuffix(tail)
    return group, int(tail) if tail.isdigit() else 0, group + "{}"


def _section_number(number: str) -> str:
    """The first part of a number, or in an appendix (``a1.…``) the first two, without what follows a dash: ``1`` for
    ``1``, ``1.2.3`` and ``1.2-3``; ``a1.2`` for ``a1.2.3.4``; ``a1`` for ``a1``.
    """
    parts = number.partition("-")[0].split(".")
    return ".".join(parts[: 2 if number.startswith("a") else 1])
