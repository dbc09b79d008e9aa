"""The history of one clause through a series of editions, also if it was renumbered or moved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise

from django.utils.safestring import SafeString
from django.utils.text import capfirst

from agreement.editions import redlines
from agreement.editions.changes import redline_html, unit_name
from agreement.editions.display import DisplayedEdition
from agreement.text import quoting
from agreement.text.clauses import Clause, Document
from agreement.text.redline.changes import Change, Redline

#: Units that contain the clauses below them. Each of these clauses has a history of its own.
_HEADINGS = frozenset({"section", "heading"})


@dataclass(frozen=True)
class Wording:
    """One wording of a clause and the consecutive editions that have it, or the deletion of the clause and the edition
    that deleted it.
    """

    editions: tuple[DisplayedEdition, ...]
    """The editions with this wording, in the order of their numbers, at least one; for a deletion, only the one that
    deleted the clause."""
    unit: Clause | None
    """The clause in the first of these editions; ``None`` if this is its deletion."""
    units: tuple[Clause, ...]
    """``unit`` and the units in it, in order; only ``unit`` if that is a section or heading; empty if it was deleted.
    """
    redline: Redline | None
    """What changed in these units since the wording before; ``None`` for the first wording."""

    @property
    def edition(self) -> DisplayedEdition:
        """The first edition with this wording, or the one that deleted the clause."""
        return self.editions[0]

    @property
    def later(self) -> tuple[DisplayedEdition, ...]:
        """``editions`` without the first one: the editions that follow it, up to the next change of the clause. Empty
        for a deletion.
        """
        return self.editions[1:]

    @property
    def name(self) -> str:
        """The name of the clause at the beginning of a sentence, such as "Clause 2.3"; ``""`` if it was deleted."""
        return capfirst(unit_name(self.unit)) if self.unit else ""

    @property
    def number(self) -> str:
        """The number of the clause; ``""`` if it was deleted, or if the unit had no number in this wording."""
        return self.unit.number if self.unit else ""

    @property
    def html(self) -> SafeString:
        """The units with what changed since the wording before, or as they are if this is the first wording."""
        redline = self.redline or Redline(tuple(Change(unit, unit) for unit in self.units))
        return redline_html(redline, self.edition.language, whole=True)


@dataclass(frozen=True)
class ClauseHistory:
    """The wordings of one clause in one language, in the order of the editions, from the edition that added it to the
    one that deleted it, as far as these are among the given editions.
    """

    wordings: tuple[Wording, ...]
    present: int
    """The index in ``wordings`` of the wording of the edition that the history was asked for."""

    @property
    def wording(self) -> Wording:
        """The wording of the edition for which :func:`clause_history` was called. In that edition the clause has the
        number with which the function was called.
        """
        return self.wordings[self.present]

    @property
    def newest_first(self) -> tuple[Wording, ...]:
        return self.wordings[::-1]


class _Step:
    """A clause in one edition: the unit itself (``None``: it does not exist there), and the units that belong to it."""

    def __init__(self, edition: DisplayedEdition, unit: Clause | None) -> None:
        self.edition, self.unit = edition, unit
        self.document = edition.document

    @cached_property
    def units(self) -> tuple[Clause, ...]:
        return _members(self.document, self.unit) if self.unit else ()

    @property
    def words(self) -> list[tuple[str, str, str, str]]:
        return [(unit.kind, unit.number, unit.label, unit.text) for unit in self.units]


def clause_history(editions: Sequence[DisplayedEdition], place: int, number: str) -> ClauseHistory | None:
    """The history of the clause that has this number in ``editions[place]``; ``None`` if that edition has no such
    number. If several units have the number, the first one is meant.

    ``editions`` are sealed editions of one agreement, in the order of their numbers and with their texts in one
    language. Do not give cancelled editions, which changed nothing. The clause is followed from each edition to the
    next one, and back: until an edition deleted it, and back to the edition that added it. A unit with the same number
    is the same clause if it and all units in it have the same kinds, numbers, labels and words (in a section or heading
    only it is compared); otherwise the redline of the two editions decides. No query is made if the editions were read
    with their texts.
    """
    start = editions[place]
    unit = next((unit for unit in start.document.units if number and unit.number == number), None)
    if unit is None:
        return None
    steps = [_Step(start, unit)]
    for older in reversed(editions[:place]):
        found = _counterpart(steps[0], _Step(older, None), forwards=False)
        if found is None:
            break
        steps.insert(0, _Step(older, found))
    present = len(steps) - 1
    for newer in editions[place + 1 :]:
        steps.append(_Step(newer, _counterpart(steps[-1], _Step(newer, None), forwards=True)))
        if steps[-1].unit is None:
            break
    wordings = tuple(_wordings(steps))
    ends = accumulate(len(wording.editions) for wording in wordings)
    return ClauseHistory(wordings, next(index for index, end in enumerate(ends) if present < end))


def other_holders(editions: Sequence[DisplayedEdition], history: ClauseHistory) -> list[DisplayedEdition]:
    """The editions in which another clause has the number with which :func:`clause_history` was called for this
    history. If this is so in several editions in a row, the result has only the last of them, also if the other clause
    is not the same in all of them. ``editions`` are those with which :func:`clause_history` was called.
    """
    number = history.wording.number
    numbers = {edition.edition.number: wording.number for wording in history.wordings for edition in wording.editions}
    found: list[DisplayedEdition] = []
    before = False
    for displayed in editions:
        other = numbers.get(displayed.edition.number) != number and any(
            unit.number == number for unit in displayed.document.units
        )
        if other and before:
            found.pop()
        if other:
            found.append(displayed)
        before = other
    return found


def _counterpart(known: _Step, other: _Step, *, forwards: bool) -> Clause | None:
    """The unit of the edition ``other`` that is the same clause as ``known.unit``; ``None`` if there is none.
    ``forwards``: is ``other`` the later one of the two editions?
    """
    assert known.unit  # noqa: S101 - a clause that was deleted is not followed further
    same = next((unit for unit in other.document.units if unit.number == known.unit.number), None)
    if same and known.unit.number and _Step(other.edition, same).words == known.words:
        return same
    old, new = (known, other) if forwards else (other, known)
    for change in redlines.sealed_redline(old.edition.edition, new.edition.edition, new.edition.language).changes:
        here, there = (change.old, change.new) if forwards else (change.new, change.old)
        if here and here.start == known.unit.start:
            return there
    return None


def _wordings(steps: Iterable[_Step]) -> Iterator[Wording]:
    """Yield the wordings of one clause, whose steps are given in the order of the editions. Neighbouring steps become
    one wording if their units have the same kinds, numbers, labels and words, or if the redline of the two editions has
    no change of them.
    """
    steps = list(steps)
    redline: Redline | None = None
    group = [steps[0]]
    for before, step in pairwise(steps):
        changes = _changes(before, step) if step.words != before.words else ()
        if not changes:
            group.append(step)
            continue
        yield _wording(group, redline)
        group, redline = [step], Redline(changes)
    yield _wording(group, redline)


def _wording(group: list[_Step], redline: Redline | None) -> Wording:
    first = group[0]
    return Wording(tuple(step.edition for step in group), first.unit, first.units, redline)


def _changes(old: _Step, new: _Step) -> tuple[Change, ...]:
    """The changes from ``old`` to ``new`` of all units of this clause, unchanged units included; empty if all of them
    are unchanged. A unit that was moved into the clause or out of it is among them.
    """
    redline = redlines.sealed_redline(old.edition.edition, new.edition.edition, new.edition.language)
    olds, news = ({unit.start for unit in step.units} for step in (old, new))
    found = tuple(
        change
        for change in redline.changes
        if (change.old and change.old.start in olds) or (change.new and change.new.start in news)
    )
    return found if any(not change.unchanged for change in found) else ()


def _members(document: Document, unit: Clause) -> tuple[Clause, ...]:
    """The unit and, unless it is a section or heading, everything that it contains."""
    if unit.kind in _HEADINGS:
        return (unit,)
    return quoting.contents(document, next(place for place, one in enumerate(document.units) if one is unit))
