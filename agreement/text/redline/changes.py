"""What changed between two editions, clause by clause and word by word, as data. ``sentences.py`` writes it in words.

The units of both editions are paired first (:func:`align`). Then each pair is compared by words. There are four
separate facts about a pair: its text changed, it was renumbered, it was moved, or only its formatting changed. A unit
without a pair was inserted or deleted. The runs of a change give the source of either unit again, character for
character.

The similarity of two units is Dice's coefficient of their words. In two real editions, in both languages, it is
0.79–0.97 for edited clauses, and 0.53 for the most similar pair of different clauses. Pairing by number alone would
compare 5 of the 29 units with a different clause.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from agreement.text.clauses import Clause, Document
from agreement.text.redline.places import Names, noun, printed
from agreement.text.redline.words import WORD, Run, compare, longest_increasing, merged_runs, too_large

#: Two units may be the same clause from this score on: their similarity, and what the same number and section add.
THRESHOLD = 0.6
SAME_NUMBER, SAME_SECTION = 0.1, 0.05
#: Two units with the same number, or two without one in the same place, may also be the same clause if the longer one
#: contains this share of the words of the shorter one, and that has at least ``FEWEST`` words: the clause was extended.
CONTAINED, FEWEST = 0.85, 5
#: The similarity of short units says little. Two units with the same number may be the same clause if neither has more
#: than ``SHORT`` words and they share one, or if neither has more than ``SHORTEST``.
SHORT, SHORTEST = 8, 3
HEADINGS = frozenset({"title", "section", "heading"})
#: The kinds of units of which a text has at most one.
ONLY_ONE = frozenset({"front", "title"})
#: A word that more units of the new edition than this contain is not used to find pairs.
FREQUENT = 16

Correction = tuple[str | None, str | None]


@dataclass(frozen=True)
class Change:
    """One unit of the old edition, of the new one or of both, and the facts about it. Several facts may be true.

    ``moved``: is the unit in another order among the units of both editions, or in another section or appendix? A
    section or appendix with a new number is still the same one. For a sub-clause or an item of a clause whose number
    has one part (``15``), the clause counts as the section. The sections within an appendix with its own numbering are
    not told apart. An inserted or deleted unit is not moved.

    ``restated``: have the two units only their number and their place in common (:func:`restated_pairs`)? Their words
    are not compared with each other.
    """

    old: Clause | None
    new: Clause | None
    moved: bool = False
    restated: bool = False

    @property
    def unit(self) -> Clause:
        """The unit of the new edition, or of the old one if it was deleted."""
        unit = self.new or self.old
        assert unit  # noqa: S101 - a change has at least one unit
        return unit

    @property
    def inserted(self) -> bool:
        """Is the unit only in the new edition?"""
        return self.old is None

    @property
    def deleted(self) -> bool:
        """Is the unit only in the old edition?"""
        return self.new is None

    @property
    def text_changed(self) -> bool:
        """Do the words differ? A reference to a clause and the address of a link are words; the unit's own label and
        the marks of Markdown are not. False for an inserted or deleted unit.
        """
        return bool(self.old and self.new) and self._texts[0] != self._texts[1]

    @property
    def renumbered(self) -> bool:
        """Does the number or the kind differ? Items are numbered by place: another letter there is no difference. False
        for an inserted or deleted unit. False also if the unit is a section in both editions and the new edition does
        not print its number.
        """
        if not self.old or not self.new or (self.old.kind == self.new.kind == "section" and not self.new.label):
            return False
        return (self.old.number, self.old.kind) != (self.new.number, self.new.kind)

    @property
    def reformatted(self) -> bool:
        """Do Markdown or white space differ, with the words the same? The unit may be renumbered or moved too. White
        space at the ends of the unit, its label and the Markdown directly before its label are not compared. False for
        an inserted or deleted unit.
        """
        if not self.old or not self.new or self.text_changed:
            return False
        return _body(self.old) != _body(self.new)

    @property
    def unchanged(self) -> bool:
        return bool(self.old and self.new) and not (
            self.text_changed or self.renumbered or self.moved or self.reformatted
        )

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """The runs that turn the old source into the new one, character for character: one run for an inserted, a
        deleted or an equal unit.
        """
        old, new = self.old.source if self.old else "", self.new.source if self.new else ""
        if old == new or not self.old or not self.new:
            return compare(old, new)
        a, b = _position(old, self._texts[0]), _position(new, self._texts[1])
        if a < 0 or b < 0:
            return (Run("delete", old), Run("insert", new)) if self.restated else compare(old, new)
        # The source contains the words unchanged, so they need not be compared again.
        ends = old[a + len(self._texts[0]) :], new[b + len(self._texts[1]) :]
        runs = (*compare(old[:a], new[:b]), *self.words, *compare(*ends))
        return merged_runs(
            (run.kind == "equal", *(("", run.text) if run.kind == "insert" else (run.text, ""))) for run in runs
        )

    @cached_property
    def words(self) -> tuple[Run, ...]:
        """The runs that turn the old words into the new ones. The labels of the units are left out; the number of an
        appendix or of a Markdown list item is part of the words. An inserted or deleted unit gives one run, or none if
        it has no words. A restated unit gives one deletion and one insertion.
        """
        old, new = self._texts
        whole = self.restated and old and new and old != new
        return (Run("delete", old), Run("insert", new)) if whole else compare(old, new)

    @property
    def replaced(self) -> bool:
        """Was a part too large to be compared word by word? Then it is one deletion and one insertion. False for an
        inserted, deleted or restated unit.
        """
        # If difflib compared two parts, few of their words match: it would have kept matching words.
        return (self.text_changed and not self.restated) and any(
            deleted.kind == "delete" and inserted.kind == "insert" and too_large(deleted.text, inserted.text)
            for deleted, inserted in pairwise(self.words)
        )

    @property
    def _texts(self) -> tuple[str, str]:
        return self.old.text if self.old else "", self.new.text if self.new else ""


@dataclass(frozen=True)
class Redline:
    """All units of both editions in the order of the new one. A deleted unit follows the nearest unit before it in the
    old edition that is in both editions and kept its order. If there is none, the deleted unit comes first.
    """

    changes: tuple[Change, ...]

    @cached_property
    def changed(self) -> tuple[Change, ...]:
        """The changes that are not ``unchanged``: also inserted, deleted, moved, renumbered and reformatted units."""
        return tuple(change for change in self.changes if not change.unchanged)


def redline(old: Document, new: Document, corrections: Iterable[Correction] = ()) -> Redline:
    """What changed from the old text to the new one, both in one language.

    ``corrections`` are the pairs of numbers (old, new) of units that are the same clause, whatever their words;
    ``None`` in place of a number means that the clause was deleted or inserted. :func:`align` describes them. Units
    that no correction states to be deleted or inserted may be restated (:func:`restated_pairs`).
    """
    corrections = tuple(corrections)
    pairs = align(old.units, new.units, corrections)
    partner = {b: a for a, b in pairs}
    in_order = longest_increasing([a for _, a in sorted((b, a) for a, b in pairs)])
    deleted = set(range(len(old.units))) - {a for a, _ in pairs}
    deleted_after: dict[int, list[int]] = defaultdict(list)  # Unit that kept its order → deleted units after it.
    last = -1
    for index in range(len(old.units)):
        if index in deleted:
            deleted_after[last].append(index)
        elif index in in_order:
            last = index
    numbers = {old.units[a].number: new.units[b].number for a, b in pairs}
    changes = [Change(old.units[index], None) for index in deleted_after[-1]]
    for index, unit in enumerate(new.units):
        place = partner.get(index)
        old_unit = None if place is None else old.units[place]
        moved = old_unit is not None and (place not in in_order or _section_changed(old_unit, unit, numbers))
        changes.append(Change(old_unit, unit, moved))
        if place is not None and place in in_order:
            changes += [Change(old.units[other], None) for other in deleted_after[place]]
    apart = {number for pair in corrections if None in pair for number in pair}
    return Redline(tuple(with_restated(changes, restated_pairs(changes, apart))))


def restated_pairs(changes: Sequence[Change], apart: Collection[str | None] = ()) -> dict[int, int]:
    """The deleted and inserted units that are one clause with new words, as a lawyer calls it: the index of each
    inserted one in ``changes`` → the index of the deleted one.

    Both have the same noun and the same printed number in the same unit, and no other deleted or inserted unit there
    has these. Units with a number in ``apart`` are left out.
    """
    old = Names(sorted((change.old for change in changes if change.old), key=lambda unit: unit.start))
    new = Names([change.new for change in changes if change.new])
    became = {one.old.number: one.new.number for one in changes if one.old and one.new and one.old.number}
    places: dict[object, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for index, change in enumerate(changes):
        if (change.inserted or change.deleted) and change.unit.number not in apart:
            holder = (old if change.old else new).holder_number(change.unit)
            holder = became.get(holder, holder) if change.old else holder
            places[noun(change.unit), printed(change.unit), holder][change.inserted].append(index)
    return {added[0]: gone[0] for gone, added in places.values() if len(gone) == len(added) == 1}


def with_restated(changes: Sequence[Change], pairs: Mapping[int, int]) -> list[Change]:
    """The changes, in which the deleted and the inserted unit of each of the ``pairs`` (:func:`restated_pairs`) are one
    restated unit.
    """
    gone = set(pairs.values())
    return [
        Change(changes[pairs[index]].old, change.new, restated=True) if index in pairs else change
        for index, change in enumerate(changes)
        if index not in gone
    ]


def align(
    old: Sequence[Clause], new: Sequence[Clause], corrections: Iterable[Correction] = ()
) -> list[tuple[int, int]]:
    """The pairs of units that are the same clause, as indexes (in ``old``, in ``new``), in the order of the old
    edition.

    Each index occurs at most once. A unit in no pair was deleted or inserted. Units with equal text are paired first.
    Then follow those with a score of at least ``THRESHOLD``, short units with the same number, titles, and what is
    above the titles, the highest score first. A title, section or heading is paired only with one of these three kinds,
    and what is above a title only with its like, except by a correction.

    ``corrections`` are applied before that, so they also override equal text. ``("3.1", "3.2")`` means that clause 3.1
    of the old edition and clause 3.2 of the new one are the same clause. ``("3.1", None)`` means that clause 3.1 was
    deleted, and ``(None, "3.2")`` that clause 3.2 was inserted: these units are in no pair. If several units have the
    number, the first one that no earlier correction used is meant. A correction with an unknown number is ignored.
    """
    free_old, free_new = dict.fromkeys(range(len(old))), dict.fromkeys(range(len(new)))
    pairs: list[tuple[int, int]] = []

    def pair(a: int, b: int) -> None:
        pairs.append((a, b))
        del free_old[a], free_new[b]

    for was, now in corrections:
        a = next((index for index in free_old if was and old[index].number == was), None)
        b = next((index for index in free_new if now and new[index].number == now), None)
        if a is not None and b is not None:
            pair(a, b)
        elif a is not None and now is None:
            del free_old[a]
        elif b is not None and was is None:
            del free_new[b]
    for a, b in _equal_pairs(old, new, free_old, free_new):
        pair(a, b)
    scores = sorted(
        _scored_pairs(old, new, tuple(free_old), tuple(free_new)), key=lambda found: (-found[0], *found[1:])
    )
    for _score, a, b in scores:
        if a in free_old and b in free_new:
            pair(a, b)
    return sorted(pairs)


def _equal_pairs(
    old: Sequence[Clause], new: Sequence[Clause], left: Iterable[int], right: Iterable[int]
) -> list[tuple[int, int]]:
    """The pairs of units with the same words: first those with the same number, then the others in order. Units without
    words need the same number. Units of different families (:func:`_family`) are not paired.

    ``left`` and ``right`` are the indexes in ``old`` and ``new`` that may be paired.
    """
    pairs: list[tuple[int, int]] = []
    left, right = dict.fromkeys(left), dict.fromkeys(right)
    for by_number in (True, False):
        places: dict[object, list[int]] = defaultdict(list)
        for b in reversed(right):
            places[_identity(new[b], by_number=by_number)].append(b)
        for a in list(left):
            if waiting := places.get(_identity(old[a], by_number=by_number)):
                pairs.append((a, waiting[-1]))
                del left[a], right[waiting.pop()]
    return pairs


def _identity(unit: Clause, *, by_number: bool) -> object:
    # A unit without words is identified by its number.
    number = unit.number if by_number or not unit.text else ""
    return unit.text, number, _family(unit)


def _family(unit: Clause) -> str:
    """Only units of one family can be the same clause: ``heading`` for the kinds in ``HEADINGS``, ``front`` for what is
    above the title, ``body`` for all others.
    """
    if unit.kind in HEADINGS:
        return "heading"
    return "front" if unit.kind == "front" else "body"


def _scored_pairs(
    old: Sequence[Clause], new: Sequence[Clause], left: Iterable[int], right: Iterable[int]
) -> Iterator[tuple[float, int, int]]:
    """Yield (score, index in ``old``, index in ``new``) of pairs that may be the same clause, in no useful order.

    For each old unit, at most four new units are tried that share the most rare words with it, and at most four with
    its number (without a number: of its kind). The score is the similarity, and the additions for the same number and
    for the same first part of the number. Two units without a number get the addition for the first part too. A pair is
    yielded if the score is at least ``THRESHOLD``, both units are short and have the same number, or both are of one
    kind in ``ONLY_ONE``. If one unit contains the other (``CONTAINED``, ``FEWEST``) and both are in the same place, the
    score is at least ``THRESHOLD``. ``left`` and ``right`` are the indexes that may be paired.
    """
    bags = {b: set(WORD.findall(new[b].text.lower())) for b in right}
    where: dict[str, list[int]] = defaultdict(list)
    for b, bag in bags.items():
        for word in bag:
            where[word].append(b)
    numbers: dict[str, list[int]] = defaultdict(list)
    for b in right:
        numbers[new[b].number or new[b].kind].append(b)
    for a in left:
        unit = old[a]
        bag = set(WORD.findall(unit.text.lower()))
        shared: Counter[int] = Counter()
        for word in bag:
            places = where.get(word, ())
            if len(places) <= FREQUENT:
                shared.update(places)
        candidates = [b for b, _ in shared.most_common(4)] + numbers[unit.number or unit.kind][:4]
        for b in dict.fromkeys(candidates):
            other = new[b]
            if _family(unit) != _family(other):
                continue
            common, longer = len(bag & bags[b]), max(len(bag), len(bags[b]))
            score = 2 * common / ((len(bag) + len(bags[b])) or 1)
            brief = bool(unit.number) and unit.number == other.number and longer <= (SHORT if common else SHORTEST)
            if unit.number and unit.number == other.number:
                score += SAME_NUMBER
            if unit.number.partition(".")[0] == other.number.partition(".")[0]:
                score += SAME_SECTION
            shorter = min(len(bag), len(bags[b]))
            if shorter >= FEWEST and common >= CONTAINED * shorter and _same_place(unit, other):
                score = max(score, THRESHOLD)
            # The title of one edition is the title of the other, whatever its words; so it is with what is above it.
            if score >= THRESHOLD or brief or (unit.kind == other.kind and unit.kind in ONLY_ONE):
                yield score, a, b


def _same_place(old: Clause, new: Clause) -> bool:
    """Have both units the same number? If neither has a number: have they the same kind and the same parent? False if
    only one has a number.
    """
    return old.number == new.number and (bool(old.number) or (old.kind, old.parent) == (new.kind, new.parent))


def _section_changed(old: Clause, new: Clause, numbers: dict[str, str]) -> bool:
    """Is the new unit in another section than the old one? Only the first part of the number of each parent is
    compared: the section, the appendix if it starts its own numbering, or a clause whose number has one part. A section
    that was only renumbered is the same. False if either unit has no parent.

    ``numbers`` maps the number of each old unit that was not deleted to its number in the new edition.
    """
    if not old.parent or not new.parent:
        return False
    was, now = old.parent.partition(".")[0].partition("-")[0], new.parent.partition(".")[0].partition("-")[0]
    return numbers.get(was, was) != now


def _position(source: str, text: str) -> int:
    """The offset at which the words begin in their source, if the source ends with them (and white space) and white
    space or nothing precedes them; -1 otherwise, for example if Markdown interrupts them or if there are no words.
    """
    place = len(source.rstrip()) - len(text)
    whole = text and source.startswith(text, max(place, 0)) and (place == 0 or source[place - 1].isspace())
    return place if whole and place >= 0 else -1


def _body(unit: Clause) -> str:
    source = unit.source.strip()
    return re.sub(r"[#\s*_]*" + re.escape(unit.label), "", source, count=1).strip() if unit.label else source
