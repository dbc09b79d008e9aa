"""A redline as a comparative table: the changes, the nearest headings before them, and the other unchanged units."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from agreement.text.clauses import Clause
from agreement.text.redline.changes import Change, Redline

#: The kinds of units that are headings of clauses.
_HEADINGS = frozenset({"section", "heading"})


@dataclass(frozen=True, slots=True)
class Row:
    """A row: one ``change``, one ``heading``, or one or more other unchanged units (``same``).

    A ``change`` is a unit that changed. A ``heading`` is an unchanged section or heading with a change below it, before
    the next section or heading.
    """

    kind: Literal["change", "heading", "same"]
    changes: tuple[Change, ...]
    """One change; for ``same`` one or more, which are all unchanged."""
    place: int = 0
    """The place among the rows of the kind ``change``, from 1; 0 for a row of another kind."""

    @property
    def change(self) -> Change:
        return self.changes[0]

    @property
    def unit(self) -> Clause:
        """The unit of the new edition, or of the old one if it was deleted; of several units the first."""
        return self.change.unit

    @property
    def first(self) -> str:
        """The first of the numbers that name these units; ``""`` if none has a number.

        If there are clauses such as 1.1 or 1.1.1, only their numbers name the units; otherwise all numbers do.
        """
        return self._numbers[0] if self._numbers else ""

    @property
    def last(self) -> str:
        """The last of the numbers that name these units; ``""`` if there are fewer than two."""
        return self._numbers[-1] if len(self._numbers) > 1 else ""

    @property
    def _numbers(self) -> list[str]:
        units = [change.unit for change in self.changes]
        # Items are not named, because they are part of a clause. A section is named only if there is no clause.
        clauses = [it.number for it in units if it.kind in {"clause", "subclause"} and "-" not in it.number]
        return clauses or [it.number for it in units if it.number]


def rows(redline: Redline) -> tuple[Row, ...]:
    """The rows of the comparative table. Each unit of the redline is in one row, in the order of the redline."""
    return tuple(_rows(redline.changes))


def _rows(changes: tuple[Change, ...]) -> Iterator[Row]:
    heads = set(_heads(changes))
    same: list[Change] = []
    place = 0
    for index, change in enumerate(changes):
        if change.unchanged and index not in heads:
            same.append(change)
            continue
        if same:
            yield Row("same", tuple(same))
            same = []
        if change.unchanged:
            yield Row("heading", (change,))
        else:
            place += 1
            yield Row("change", (change,), place)
    if same:
        yield Row("same", tuple(same))


def _heads(changes: Iterable[Change]) -> Iterator[int]:
    """Yield the indexes of the sections and headings with a change below them, before the next section or heading. They
    may be changed themselves.
    """
    head: int | None = None
    for index, change in enumerate(changes):
        if change.unit.kind in _HEADINGS:
            head = index
        elif not change.unchanged and head is not None:
            yield head
            head = None
