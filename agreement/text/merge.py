"""Merges the texts of two authors who began with the same text, clause by clause. The functions are pure, and each
call is for one language.

The units of the common text are paired with those of each author (:func:`redline.changes.align`). A unit that only one
author changed, inserted, deleted, moved or renumbered becomes as that author wrote it. A new number and new words of
one unit are merged even if they come from different authors. What both authors changed in different ways is a
:class:`Question`; but if both moved a unit, its place is that of ``mine``. Sources are copied character for character;
white space between units never gives a question.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from agreement.text.clauses import Clause, parse
from agreement.text.redline.changes import HEADINGS, align
from agreement.text.redline.words import longest_increasing

Author = Literal["theirs", "mine", "both"]
#: The white space after a unit that was the last one of its text, if another unit now follows.
APART = "\n\n"


@dataclass(frozen=True, slots=True)
class Question:
    """A unit that both authors changed in different ways: its sources, each without the white space at its end. If the
    authors disagree only about the printed number, or only about the rest, ``theirs`` and ``mine`` both contain the
    other part as merged. A source is ``""`` if that text does not contain the unit. ``base`` is also ``""`` if the
    common text is not known. ``unit`` is that of ``mine``, or of another text if ``mine`` does not contain it.
    """

    unit: Clause
    base: str
    theirs: str
    mine: str


@dataclass(frozen=True, slots=True)
class Taken:
    """A unit that was merged without a question: who changed it, its source ``old`` in the common text, and its source
    ``new`` in the merged text. A source is ``""`` if that text does not contain the unit. The sources are equal if the
    unit was only moved. ``unit`` is from the text of the author who changed or moved it, and from ``mine`` if both did.
    If they deleted the unit, it is from the text of the other author, or from the common text if both deleted it.
    """

    unit: Clause
    author: Author
    old: str
    new: str
    moved: bool = False
    disputed: bool = False
    """Did both authors move it to different places? It is where ``mine`` has it."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the merged text: the source of a unit, or the question about it; and the white space after it."""

    source: str | Question
    gap: str


@dataclass(frozen=True, slots=True)
class Merge:
    """The result of :func:`merge`: the pieces of the merged text in order, and the units that were merged without a
    question. ``taken`` is empty if the common text is not known.
    """

    pieces: tuple[Piece, ...]
    taken: tuple[Taken, ...]
    end: str
    """The white space at the end of the text."""

    @property
    def questions(self) -> tuple[Question, ...]:
        return tuple(piece.source for piece in self.pieces if isinstance(piece.source, Question))

    def text(self, answers: Iterable[str] = ()) -> str:
        """The merged text. ``answers`` are the sources for the questions, in their order; a missing answer is that of
        ``mine``, and further answers are ignored. White space at the end of an answer is removed. The unit of an empty
        answer is left out.
        """
        left = iter(answers)
        parts: list[tuple[str, str]] = []
        for piece in self.pieces:
            source = piece.source
            if isinstance(source, Question):
                source = next(left, source.mine).rstrip()
            if source:
                parts.append((source, piece.gap or APART))
        return "".join(source + gap for source, gap in parts[:-1]) + (parts[-1][0] if parts else "") + self.end


@dataclass(frozen=True, slots=True)
class _Block:
    """A unit: its source without the white space at its end, and that white space, ``""`` for the last unit."""

    unit: Clause
    source: str
    gap: str


@dataclass(slots=True)
class _Item:
    """The same unit in the three texts. ``None`` means that a text does not contain it. ``moved_by`` is ``None`` if no
    author moved it. ``disputed`` means that both moved it, to different places. :func:`_ordered` sets these two.
    """

    base: _Block | None = None
    theirs: _Block | None = None
    mine: _Block | None = None
    moved_by: Author | None = None
    disputed: bool = False


def merge(base: str | None, theirs: str, mine: str) -> Merge:
    """Merge the texts of two authors. ``base`` is the text with which both began. Without it (``None``), nobody knows
    who changed what, so every unit whose sources differ is a question.

    If only one text differs from ``base``, or both are equal, there is no question, and the result is that text,
    character for character. A unit that both inserted with the same source, at the same place or under the same number,
    is in the result once. A unit that both inserted under the same number, with different words, is a question. Other
    units that both inserted at the same place are all in the result, those of ``theirs`` first.
    """
    known = base is not None
    first = theirs if base is None else base
    (old, old_end), (left, left_end), (right, right_end) = map(_blocks, (first, theirs, mine))
    items = [_Item(base=block if known else None) for block in old]
    ours = [_Item() for _ in left], [_Item() for _ in right]
    places: list[dict[int, int]] = []  # Of each author: index in ``old`` → index in their text.
    for own, blocks in zip(ours, (left, right), strict=True):
        same = blocks is left and not known
        units = [block.unit for block in old], [block.unit for block in blocks]
        pairs = [(index, index) for index in range(len(old))] if same else align(*units)
        places.append(dict(pairs))
        for a, b in pairs:
            own[b] = items[a]
    _pair_insertions(old, (left, right), ours, places)
    for item, block in zip(ours[0], left, strict=True):
        item.theirs = block
    for item, block in zip(ours[1], right, strict=True):
        item.mine = block
    pieces, taken = [], []
    for item in _ordered(items, ours, places):
        source = _source(item, known=known)
        if source is not None:
            pieces.append(Piece(source, _gap(item)))
        if known and not isinstance(source, Question):
            taken += _taken(item, source or "")
    return Merge(tuple(pieces), tuple(taken), _choose(old_end, left_end, right_end))


def _blocks(body: str) -> tuple[list[_Block], str]:
    """The units of a text that have characters other than white space, and the white space at the end of the text."""
    found = [_Block(unit, unit.source.rstrip(), unit.source[len(unit.source.rstrip()) :]) for unit in parse(body).units]
    found = [block for block in found if block.source]
    if not found:
        return [], body
    *others, last = found
    return [*others, _Block(last.unit, last.source, "")], last.gap


def _choose(base: str, theirs: str, mine: str) -> str:
    """The value that changed; that of ``mine`` if both did."""
    return theirs if mine == base else mine


def _pair_insertions(
    old: Sequence[_Block],
    blocks: tuple[Sequence[_Block], Sequence[_Block]],
    ours: tuple[list[_Item], list[_Item]],
    places: Sequence[dict[int, int]],
) -> None:
    """Give one item to two units that both authors inserted, if their sources are equal and their place or their number
    is the same, or if only their number is the same. A heading is not paired with another kind by its number.

    ``old`` are the units of the common text. The other parameters have two elements, the first for ``theirs`` and the
    second for ``mine``. ``blocks`` are the units of the two authors, and ``ours`` the items of those units; some items
    of ``mine`` are replaced by items of ``theirs``. ``places`` maps the index of a unit in ``old`` to that in the text
    of the author.
    """
    added: list[list[tuple[int, _Block, int]]] = []  # Of each author: index, unit, and the unit of ``old`` before it.
    for own, paired in zip(blocks, places, strict=True):
        backwards = {b: a for a, b in paired.items()}
        before, found = -1, []
        for index, block in enumerate(own):
            before = backwards.get(index, before)
            if index not in backwards:
                found.append((index, block, before))
        added.append(found)
    theirs, mine = added
    keys = (
        lambda block, before: (block.source, before),
        lambda block, _: block.unit.number and (block.source, block.unit.number),
        lambda block, _: block.unit.number and (block.unit.number, block.unit.kind in HEADINGS),
    )
    free = dict.fromkeys(index for index, *_ in mine)
    for key in keys:
        waiting: dict[object, list[int]] = {}
        for index, block, before in reversed(mine):
            if index in free and (found_key := key(block, before)):
                waiting.setdefault(found_key, []).append(index)
        remaining = []
        for index, block, before in theirs:
            if matches := waiting.get(key(block, before)):
                place = matches.pop()
                ours[1][place] = ours[0][index]
                del free[place]
            else:
                remaining.append((index, block, before))
        theirs = remaining


def _ordered(
    items: list[_Item], ours: tuple[list[_Item], list[_Item]], places: Sequence[dict[int, int]]
) -> list[_Item]:
    """All items in the order of the result. They begin in the order of the common text. Then each unit that an author
    moved or inserted is put after the unit before it in the text of that author. If both moved a unit, ``mine`` counts.
    ``items`` are those of the common text; ``ours`` and ``places`` are those of :func:`_pair_insertions`. It also sets
    ``moved_by`` of each item that was moved, and ``disputed`` if both authors moved it, to different places.
    """
    start = _Item()
    chain = [start, *items]
    after = {id(one): other for one, other in zip(chain, [*items, None], strict=True)}
    before = {id(other): one for one, other in zip(chain, items, strict=False)}
    present = {id(item) for item in items}
    alone = {id(item) for item in ours[0]} - {id(item) for item in ours[1]} - present  # Inserted by ``theirs`` alone.

    def put(item: _Item, place: _Item) -> None:
        following = after[id(place)]
        after[id(place)], after[id(item)], before[id(item)] = item, following, place
        if following:
            before[id(following)] = item

    moved: list[set[int]] = []
    for paired in places:
        in_order = longest_increasing([paired[a] for a in sorted(paired)])
        moved.append({id(items[a]) for a, b in paired.items() if b not in in_order})
    for author, own, shifted in zip(("theirs", "mine"), ours, moved, strict=True):
        last = start
        for item in own:
            if id(item) in shifted:
                following, previous = after[id(item)], before[id(item)]
                after[id(previous)] = following
                if following:
                    before[id(following)] = previous
                put(item, last)
                item.disputed = item.moved_by is not None and previous is not last
                item.moved_by = "theirs" if author == "theirs" else "both" if item.moved_by else "mine"
            if id(item) in present:
                last = item
    for author, own in zip(("theirs", "mine"), ours, strict=True):
        last = start
        for item in own:
            if id(item) not in present:
                while author == "mine" and (following := after[id(last)]) and id(following) in alone:
                    last = following
                put(item, last)
                present.add(id(item))
            last = item
    found: list[_Item] = []
    current = after[id(start)]
    while current:
        found.append(current)
        current = after[id(current)]
    return found


def _source(item: _Item, *, known: bool) -> str | Question | None:
    """The merged source of a unit, a question, or ``None`` if the unit is deleted. If both authors changed the unit,
    its label and the rest are merged each on its own. ``known``: is the common text known? If not, every difference is
    a question.
    """
    base, theirs, mine = (block.source if block else None for block in (item.base, item.theirs, item.mine))
    if theirs == mine:
        return mine
    shown = item.mine or item.theirs or item.base
    assert shown  # noqa: S101 - an item has at least one unit
    if not known:
        return Question(shown.unit, "", theirs or "", mine or "")
    if mine == base:
        return theirs
    if theirs == base:
        return mine
    if item.base is None or item.theirs is None or item.mine is None:
        return Question(shown.unit, base or "", theirs or "", mine or "")
    heads, rests = zip(*(_split(block) for block in (item.base, item.theirs, item.mine)), strict=True)
    head, rest = _merged(*heads), _merged(*rests)
    if head is not None and rest is not None:
        return head + rest
    head_pair = heads[1:] if head is None else (head, head)
    rest_pair = rests[1:] if rest is None else (rest, rest)
    return Question(shown.unit, item.base.source, head_pair[0] + rest_pair[0], head_pair[1] + rest_pair[1])


def _split(block: _Block) -> tuple[str, str]:
    """The source up to the end of the printed number, and the rest; ``""`` and the whole source if no number is
    printed.
    """
    label = block.unit.label and re.match(r"[#\s*_]*" + re.escape(block.unit.label), block.source)
    end = label.end() if label else 0
    return block.source[:end], block.source[end:]


def _merged(base: str, theirs: str, mine: str) -> str | None:
    """The value that one of them, or both alike, made of ``base``; ``None`` if both changed it in different ways."""
    return mine if theirs in {base, mine} else theirs if mine == base else None


def _gap(item: _Item) -> str:
    """The white space after a unit. If all three texts contain the unit, it is that of the author who changed it, and
    that of ``mine`` if both did. Otherwise, or if that is empty, it is the first of ``mine``, ``theirs`` and the common
    text that is not empty. ``""`` if the unit is the last one of all texts that contain it.
    """
    gaps = [block.gap for block in (item.base, item.theirs, item.mine) if block]
    if item.base and item.theirs and item.mine:
        return _choose(*gaps) or next(filter(None, reversed(gaps)), "")
    return next(filter(None, reversed(gaps)), "")


def _taken(item: _Item, source: str) -> list[Taken]:
    """What was done with the unit, as a list of one; empty if neither author changed or moved it. ``source`` is the
    merged source, ``""`` if the unit is deleted.
    """
    old = item.base.source if item.base else ""
    changed = [(block.source if block else "") != old for block in (item.theirs, item.mine)]
    if not any(changed) and not item.moved_by:
        return []
    shown = item.mine or item.theirs or item.base
    assert shown  # noqa: S101 - an item has at least one unit
    theirs = changed[0] or item.moved_by in {"theirs", "both"}
    mine = changed[1] or item.moved_by in {"mine", "both"}
    author: Author = "both" if theirs and mine else "theirs" if theirs else "mine"
    # The heading of a change is that of the text that has it.
    unit = item.theirs.unit if author == "theirs" and item.theirs else shown.unit
    return [Taken(unit, author, old, source, moved=item.moved_by is not None, disputed=item.disputed)]
