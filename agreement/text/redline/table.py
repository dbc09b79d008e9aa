"""A redline laid out as the comparative table lawyers read: what changed, in its section, and what was left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from agreement.text.clauses import Clause
from agreement.text.redline.changes import Change, Redline

#: What stands above clauses.
_HEADINGS = frozenset({"section", "heading"})


@dataclass(frozen=True, slots=True)
class Row:
    """A change with its place among the changes, the unchanged heading of its section, or unchanged units together."""

    kind: Literal["change", "heading", "same"]
    changes: tuple[Change, ...]
    """One; of ``same`` one or more."""
    place: int = 0
    """1 for the first change; 0 where nothing changed."""

    @property
    def change(self) -> Change:
        return self.changes[0]

    @property
    def unit(self) -> Clause:
        """The unit of the new edition, or of the old one where it was deleted."""
        return self.change.unit

    @property
    def first(self) -> str:
        """The number unchanged units begin with; ``""`` where none of them has one."""
        return self._numbers[0] if self._numbers else ""

    @property
    def last(self) -> str:
        """The number they end with; ``""`` where that is the first."""
        return self._numbers[-1] if len(self._numbers) > 1 else ""

    @property
    def _numbers(self) -> list[str]:
        units = [change.unit for change in self.changes]
        # An item is part of its clause; a section is named where nothing smaller is there.
        clauses = [it.number for it in units if it.kind in {"clause", "subclause"} and "-" not in it.number]
        return clauses or [it.number for it in units if it.number]


def rows(redline: Redline) -> tuple[Row, ...]:
    """The redline's units in its order, each in one row."""
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
    """The places of section headings under which something changed."""
    head: int | None = None
    for index, change in enumerate(changes):
        if change.unit.kind in _HEADINGS:
            head = index
        elif not change.unchanged and head is not None:
            yield head
            head = None
