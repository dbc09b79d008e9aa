"""What changed between two editions, clause by clause and word by word, as data. ``rendering.py`` shows it.

Units are paired first (:func:`align`), then each pair is compared by words. Four facts about a pair are separate:
its text changed, it was renumbered, it was moved, only its formatting changed; a unit without a pair was inserted or
deleted. The word runs of all pairs restore either text byte for byte (:func:`after`, :func:`before`).

**The engine** is difflib (``autojunk=False``) on the words of one pair. Measured on the real pair of editions
(954 words) and on one ten times longer, in milliseconds, words cut included; whole text against whole text but for
the last row:

=============================================== ======= ========= =================================================
difflib, words with their trailing space            3.2       458 exact
difflib, words and spaces apart                     176    70,000 exact, and slower than reading the text
RapidFuzz 3 ``Indel`` on words                      0.7        37 exact; a dependency with C++
fast-diff-match-patch on words                      1.4        19 exact; the same, and words must become letters
fast-diff-match-patch on characters                 1.4        14 cuts inside words
pair by pair, aligned, both runs (this module)      1.1        20 exact, and reads as a person would mark it
=============================================== ======= ========= =================================================

So alignment, which a clause-by-clause redline needs anyway, brings difflib to the speed of the C++ engines.
Paired by number alone, 7 of the 29 units are wrong; by text none: edited pairs share 64–98 % of their words, the
best unrelated pair 47 %.

**The guard**: a pair whose words meet each other more than ``MOST_MEETINGS`` times is split at the words that occur
once in both; a piece that is still too large is replaced as a whole, and :attr:`Change.replaced` says so.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property
from itertools import pairwise
from typing import Literal

from agreement.text.clauses import Clause, Document

#: How often words of one piece may meet words of the other: what difflib's time grows with. About 0.1 s.
MOST_MEETINGS = 20_000
#: A pair is one clause if its words, number and section are alike to this degree.
THRESHOLD = 0.55
SAME_NUMBER, SAME_SECTION = 0.1, 0.05
HEADINGS = frozenset({"title", "section", "heading"})
#: Words as frequent as this say nothing about which clause is which.
FREQUENT = 40

# A word is whole with its inner hyphens, dots and slashes: іс-әрекет, v1.2, 4.3, 01.03.2024, example.kz.
_TOKEN = re.compile(r"\w+(?:[-‑–.’'/@:]+\w+)*\s*|[^\w\s]\s*|\s+")
_FINE = re.compile(r"\w+(?:[-‑–.’'/@:]+\w+)*|[^\w\s]|\s+")
_WORD = re.compile(r"\w+(?:[-‑–.’'/@:]+\w+)*")

Correction = tuple[str | None, str | None]


@dataclass(frozen=True, slots=True)
class Run:
    """Words that stayed, went or came."""

    kind: Literal["equal", "delete", "insert"]
    text: str


@dataclass(frozen=True)
class Change:
    """One unit of the old edition, of the new, or of both; the facts about it do not exclude each other."""

    old: Clause | None
    new: Clause | None
    moved: bool = False

    @property
    def inserted(self) -> bool:
        return self.old is None

    @property
    def deleted(self) -> bool:
        return self.new is None

    @property
    def text_changed(self) -> bool:
        """Do the words differ? A reference that follows a renumbering counts; numbers and Markdown do not."""
        return bool(self.old and self.new) and self._texts[0] != self._texts[1]

    @property
    def renumbered(self) -> bool:
        """Does the number differ, as printed? (Two letters at one place, ә and б, are two numbers.)"""
        return bool(self.old and self.new) and (self.old.number, self.old.kind) != (self.new.number, self.new.kind)  # type: ignore[union-attr]

    @property
    def reformatted(self) -> bool:
        """Do only Markdown and white space differ, with the words the same?"""
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
        """From the old source to the new, byte for byte."""
        old, new = self.old.source if self.old else "", self.new.source if self.new else ""
        if old == new or not self.old or not self.new:
            return compare(old, new)
        a, b = _place(old, self._texts[0]), _place(new, self._texts[1])
        if a < 0 or b < 0:
            return compare(old, new)
        # Plain text stands in its source as it is: the words need no second comparison.
        ends = old[a + len(self._texts[0]) :], new[b + len(self._texts[1]) :]
        runs = (*compare(old[:a], new[:b]), *self.words, *compare(*ends))
        return _runs(
            (run.kind == "equal", *(("", run.text) if run.kind == "insert" else (run.text, ""))) for run in runs
        )

    @cached_property
    def words(self) -> tuple[Run, ...]:
        """From the old words to the new: what a reader is shown."""
        return compare(*self._texts)

    @property
    def replaced(self) -> bool:
        """Was a part too large to be compared word by word? Then one deletion and one insertion stand for it."""
        # Words that difflib compared hardly meet across a change: it would have kept them.
        return self.text_changed and any(
            went.kind == "delete" and came.kind == "insert" and _too_large(went.text, came.text)
            for went, came in pairwise(self.words)
        )

    @property
    def _texts(self) -> tuple[str, str]:
        return self.old.text if self.old else "", self.new.text if self.new else ""


@dataclass(frozen=True)
class Redline:
    """All units of both editions in the new edition's order; a deleted one stands where it stood."""

    changes: tuple[Change, ...]

    @cached_property
    def changed(self) -> tuple[Change, ...]:
        return tuple(change for change in self.changes if not change.unchanged)


def redline(old: Document, new: Document, corrections: Iterable[Correction] = ()) -> Redline:
    """Compare two editions of one language. ``corrections`` as in :func:`align`."""
    pairs = align(old.units, new.units, corrections)
    partner = {b: a for a, b in pairs}
    kept = _rising([a for _, a in sorted((b, a) for a, b in pairs)])
    gone = set(range(len(old.units))) - {a for a, _ in pairs}
    after: dict[int, list[int]] = defaultdict(list)  # Deleted units by the kept one they follow.
    last = -1
    for index in range(len(old.units)):
        if index in gone:
            after[last].append(index)
        elif index in kept:
            last = index
    sections = {old.units[a].number: new.units[b].number for a, b in pairs if old.units[a].kind == "section"}
    changes = [Change(old.units[index], None) for index in after[-1]]
    for index, unit in enumerate(new.units):
        was = partner.get(index)
        before = None if was is None else old.units[was]
        moved = before is not None and (was not in kept or _left_section(before, unit, sections))
        changes.append(Change(before, unit, moved))
        if was is not None and was in kept:
            changes += [Change(old.units[gone_index], None) for gone_index in after[was]]
    return Redline(tuple(changes))


def align(
    old: Sequence[Clause], new: Sequence[Clause], corrections: Iterable[Correction] = ()
) -> list[tuple[int, int]]:
    """Pairs of places, old and new, that are one clause: each place at most once, in the old order.

    Equal text comes first, then the most alike, with a bonus for the same number and section. A correction is a pair
    of numbers that are one clause, or a number and ``None``: deleted, or inserted. It wins over likeness; one that
    names an unknown number is passed over. Costs about as much as reading both texts once.
    """
    free_old, free_new = dict.fromkeys(range(len(old))), dict.fromkeys(range(len(new)))
    pairs: list[tuple[int, int]] = []

    def join(a: int, b: int) -> None:
        pairs.append((a, b))
        del free_old[a], free_new[b]

    for was, now in corrections:
        a = next((index for index in free_old if was and old[index].number == was), None)
        b = next((index for index in free_new if now and new[index].number == now), None)
        if a is not None and b is not None:
            join(a, b)
        elif a is not None and now is None:
            del free_old[a]
        elif b is not None and was is None:
            del free_new[b]
    for a, b in _equal(old, new, free_old, free_new):
        join(a, b)
    scores = sorted(_likeness(old, new, tuple(free_old), tuple(free_new)), key=lambda found: (-found[0], *found[1:]))
    for _score, a, b in scores:
        if a in free_old and b in free_new:
            join(a, b)
    return sorted(pairs)


def compare(old: str, new: str) -> tuple[Run, ...]:
    """Runs from one text to the other, by whole words; deletion before insertion. Exact: see :func:`redo`."""
    if old == new:
        return (Run("equal", old),) if old else ()
    if not old or not new:
        return (Run("delete", old) if old else Run("insert", new),)
    head, tail = _frame(old, new)
    a, b = _TOKEN.findall(old[head : len(old) - tail]), _TOKEN.findall(new[head : len(new) - tail])
    blocks = [(True, old[:head], ""), *_tidied(_blocks(a, b)), (True, old[len(old) - tail :], "")]
    return _runs(_refined(blocks))


def redo(runs: Iterable[Run], old: str) -> str:
    """The new text, from the old. Raises ``ValueError`` if the runs were made of another one."""
    return _replay(runs, old, "delete", "insert")


def undo(runs: Iterable[Run], new: str) -> str:
    """The old text, from the new. Raises ``ValueError`` if the runs were made of another one."""
    return _replay(runs, new, "insert", "delete")


def after(whole: Redline) -> str:
    """The new edition's body, byte for byte, from the runs alone."""
    return "".join(run.text for change in whole.changes if change.new for run in change.runs if run.kind != "delete")


def before(whole: Redline) -> str:
    """The old edition's body, byte for byte, from the runs alone."""
    changes = sorted((change for change in whole.changes if change.old), key=lambda change: change.old.start)  # type: ignore[union-attr]
    return "".join(run.text for change in changes for run in change.runs if run.kind != "insert")


def _replay(runs: Iterable[Run], text: str, gone: str, come: str) -> str:
    place, made = 0, []
    for run in runs:
        if run.kind != come:
            if not text.startswith(run.text, place):
                raise ValueError(f"The text has not {run.text!r} at {place}: these changes are another text's.")
            place += len(run.text)
        if run.kind != gone:
            made.append(run.text)
    if place != len(text):
        raise ValueError(f"The text goes on after {place}: these changes are another text's.")
    return "".join(made)


# Pairs


def _equal(
    old: Sequence[Clause], new: Sequence[Clause], left: Iterable[int], right: Iterable[int]
) -> list[tuple[int, int]]:
    """Pairs with the same words: at the same number if it can be, then in order."""
    pairs: list[tuple[int, int]] = []
    left, right = dict.fromkeys(left), dict.fromkeys(right)
    for by_number in (True, False):
        places: dict[object, list[int]] = defaultdict(list)
        for b in reversed(right):
            places[_key(new[b], by_number=by_number)].append(b)
        for a in list(left):
            if waiting := places.get(_key(old[a], by_number=by_number)):
                pairs.append((a, waiting[-1]))
                del left[a], right[waiting.pop()]
    return pairs


def _key(unit: Clause, *, by_number: bool) -> object:
    # Without words a unit is nothing but its number.
    number = unit.number if by_number or not unit.text else ""
    return unit.text, number, unit.kind in HEADINGS


def _likeness(
    old: Sequence[Clause], new: Sequence[Clause], left: Iterable[int], right: Iterable[int]
) -> Iterator[tuple[float, int, int]]:
    """(score, old, new) of every pair that may be one clause. Words that many units share do not propose pairs."""
    bags = {b: set(_WORD.findall(new[b].text.lower())) for b in right}
    where: dict[str, list[int]] = defaultdict(list)
    for b, bag in bags.items():
        for word in bag:
            where[word].append(b)
    numbers: dict[str, list[int]] = defaultdict(list)
    for b in right:
        numbers[new[b].number or new[b].kind].append(b)
    for a in left:
        unit = old[a]
        bag = set(_WORD.findall(unit.text.lower()))
        shared: Counter[int] = Counter()
        for word in bag:
            places = where.get(word, ())
            if len(places) <= FREQUENT:
                shared.update(places)
        candidates = [b for b, _ in shared.most_common(4)] + numbers[unit.number or unit.kind][:4]
        for b in dict.fromkeys(candidates):
            other = new[b]
            if (unit.kind in HEADINGS) != (other.kind in HEADINGS):
                continue
            score = 2 * len(bag & bags[b]) / ((len(bag) + len(bags[b])) or 1)
            if unit.number and unit.number == other.number:
                score += SAME_NUMBER
            if unit.number.partition(".")[0] == other.number.partition(".")[0]:
                score += SAME_SECTION
            # A title stays the title whatever it says; so does a heading of one section.
            if score >= THRESHOLD or (unit.kind == other.kind == "title"):
                yield score, a, b


def _rising(places: list[int]) -> set[int]:
    """The places that keep their order: a longest rising subsequence (Fredman 1975), n log n."""
    ends: list[int] = []
    tails: list[int] = []
    previous: list[int | None] = []
    for index, place in enumerate(places):
        at = bisect_left(tails, place)
        previous.append(ends[at - 1] if at else None)
        if at == len(tails):
            tails.append(place)
            ends.append(index)
        else:
            tails[at], ends[at] = place, index
    kept: set[int] = set()
    index_or_none = ends[-1] if ends else None
    while index_or_none is not None:
        kept.add(places[index_or_none])
        index_or_none = previous[index_or_none]
    return kept


def _left_section(old: Clause, new: Clause, sections: dict[str, str]) -> bool:
    """Does it stand in another section than the one its old section became?"""
    if not old.parent or not new.parent:
        return False
    was, now = old.parent.partition(".")[0].partition("-")[0], new.parent.partition(".")[0].partition("-")[0]
    return sections.get(was, was) != now


def _place(source: str, text: str) -> int:
    """Where the text stands in its source, whole and last; -1 if Markdown or line breaks are between."""
    place = len(source.rstrip()) - len(text)
    whole = text and source.startswith(text, max(place, 0)) and (place == 0 or source[place - 1].isspace())
    return place if whole and place >= 0 else -1


def _body(unit: Clause) -> str:
    source = unit.source.strip()
    return re.sub(r"[#\s*_]*" + re.escape(unit.label), "", source, count=1).strip() if unit.label else source


# Words


def _frame(old: str, new: str) -> tuple[int, int]:
    """How many characters both texts begin and end with alike, in whole words."""
    most = min(len(old), len(new))
    low, high = 0, most
    while low < high:  # Slices are compared in C.
        middle = (low + high + 1) // 2
        low, high = (middle, high) if old[:middle] == new[:middle] else (low, middle - 1)
    head = low - 1
    while head > 0 and not (old[head - 1].isspace() and not old[head].isspace()):
        head -= 1
    head = max(head, 0)
    low, high = 0, most - head
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if old[-middle:] == new[-middle:] else (low, middle - 1)
    tail = low - 1
    while tail > 0 and not (old[-tail - 1].isspace() and not old[-tail].isspace()):
        tail -= 1
    return head, max(tail, 0)


def _common(a: Sequence[str], b: Sequence[str]) -> int:
    return next((at for at, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _too_large(old: str, new: str) -> bool:
    return _meetings(_TOKEN.findall(old), _TOKEN.findall(new)) > MOST_MEETINGS // 2


def _meetings(a: Sequence[str], b: Sequence[str]) -> int:
    there = Counter(b)
    return sum(count * there[token] for token, count in Counter(a).items())


_Block = tuple[bool, str, str]  # Equal (its text, ""), or changed (what went, what came).


def _blocks(a: list[str], b: list[str], *, split: bool = True) -> list[_Block]:
    if not a and not b:
        return []
    if a and b and _meetings(a, b) > MOST_MEETINGS:
        return _split(a, b) if split else [(False, "".join(a), "".join(b))]
    matcher = SequenceMatcher(None, a, b, autojunk=False)
    return [
        (tag == "equal", "".join(a[i:j]), "" if tag == "equal" else "".join(b[k:m]))
        for tag, i, j, k, m in matcher.get_opcodes()
    ]


def _split(a: list[str], b: list[str]) -> list[_Block]:
    """Compare between the words that occur once in both (Cohen's patience diff)."""
    once = {token for token, count in Counter(b).items() if count == 1}
    once &= {token for token, count in Counter(a).items() if count == 1}
    there = {token: place for place, token in enumerate(b) if token in once}
    here = [(place, there[token]) for place, token in enumerate(a) if token in once]
    kept = _rising([k for _, k in here])
    blocks: list[_Block] = []
    i = k = 0
    for place, other in [pair for pair in here if pair[1] in kept]:
        blocks += _blocks(a[i:place], b[k:other], split=False)
        blocks.append((True, a[place], ""))
        i, k = place + 1, other + 1
    return blocks + _blocks(a[i:], b[k:], split=False)


def _tidied(blocks: list[_Block]) -> list[_Block]:
    """Join neighbours, and swallow a single word left standing between two changes: nobody reads it so."""
    tidy: list[_Block] = []
    for index, (equal, old, new) in enumerate(blocks):
        island = (
            equal
            and 0 < index < len(blocks) - 1
            and bool(tidy)
            and not tidy[-1][0]
            and not blocks[index + 1][0]
            and len(_WORD.findall(old)) <= 1
            and any(tidy[-1][1:2] + blocks[index + 1][1:2])
            and any(tidy[-1][2:3] + blocks[index + 1][2:3])
            and _words_of(tidy[-1]) + _words_of(blocks[index + 1]) > 2
        )
        if island:
            equal, new = False, old
        if tidy and tidy[-1][0] == equal:
            tidy[-1] = (equal, tidy[-1][1] + old, tidy[-1][2] + new)
        else:
            tidy.append((equal, old, new))
    return tidy


def _words_of(block: _Block) -> int:
    return len(_WORD.findall(block[1])) + len(_WORD.findall(block[2]))


def _refined(blocks: list[_Block]) -> Iterator[_Block]:
    """Give back what both sides of a change begin or end with: a word that only lost its comma did not change."""
    for equal, old, new in blocks:
        if equal or not old or not new:
            yield equal, old, new
            continue
        a, b = _FINE.findall(old), _FINE.findall(new)
        head = _common(a, b)
        tail = _common(a[head:][::-1], b[head:][::-1])
        yield True, "".join(a[:head]), ""
        yield False, "".join(a[head : len(a) - tail]), "".join(b[head : len(b) - tail])
        yield True, "".join(a[len(a) - tail :]), ""


def _runs(blocks: Iterable[_Block]) -> tuple[Run, ...]:
    joined: list[list[str]] = []  # [equal, ""] or [went, came], in turn
    kinds: list[bool] = []
    for equal, old, new in blocks:
        if not old and not new:
            continue
        if kinds and kinds[-1] == equal:
            joined[-1][0] += old
            joined[-1][1] += new
        else:
            joined.append([old, new])
            kinds.append(equal)
    runs: list[Run] = []
    for equal, (old, new) in zip(kinds, joined, strict=True):
        if equal:
            runs.append(Run("equal", old))
            continue
        if old:
            runs.append(Run("delete", old))
        if new:
            runs.append(Run("insert", new))
    return tuple(runs)
