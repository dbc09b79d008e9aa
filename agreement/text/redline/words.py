"""Compares two texts by whole words. The result is equal, deleted and inserted runs that restore both texts exactly.

**The engine** is difflib (``autojunk=False``) on the words of one pair of clauses. The table contains milliseconds,
including the time to split the text into words, for two real editions (954 words) and for texts ten times as long. The
last row compares clause by clause; the other rows compare the whole texts:

=============================================== ======= ========= =================================================
difflib, words with their trailing space            3.2       458 exact
difflib, words and spaces apart                     176    70,000 exact, but slower than parsing the text
RapidFuzz 3 ``Indel`` on words                      0.7        37 exact; a dependency in C++
fast-diff-match-patch on words                      1.4        19 exact; a dependency; words encoded as letters
fast-diff-match-patch on characters                 1.4        14 cuts inside words
pair by pair, aligned, both runs (this module)      1.1        20 exact, and similar to marks made by a person
=============================================== ======= ========= =================================================

A redline by clauses needs the alignment anyway. It makes difflib as fast as the engines in C++.

**The limit**: if the words of a pair match each other more than ``MAX_MATCHES`` times, the pair is split at the words
that occur once in both texts. A piece that is still too large is replaced as a whole. ``Change.replaced`` shows it.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

#: How often words of one piece may match words of the other. The time of difflib grows with it: 0.4 s at most.
MAX_MATCHES = 20_000

# A word includes its inner hyphens, dots and slashes: іс-әрекет, v1.2, 4.3, 01.03.2024, example.kz. A number includes
# the separators of its thousands and decimals: 1 000 000, 2,5.
_INNER = r"(?:[-‑–.’'/@:]+\w+|,(?<=\d,)\d+)*"
_WORD = rf"(?:(?<!\w)\d{{1,3}}(?:[ \u00a0\u202f]\d{{3}}(?!\w))+{_INNER}|\w+{_INNER})"
_TOKEN = re.compile(rf"{_WORD}\s*|[^\w\s]\s*|\s+")
_FINE = re.compile(rf"{_WORD}|[^\w\s]|\s+")
WORD = re.compile(_WORD)


@dataclass(frozen=True, slots=True)
class Run:
    """A part of a text that is equal in both texts, deleted or inserted. It consists of words, punctuation and white
    space.
    """

    kind: Literal["equal", "delete", "insert"]
    text: str


def compare(old: str, new: str) -> tuple[Run, ...]:
    """The runs that turn the old text into the new one, by whole words. A deletion comes before its insertion.

    The equal and deleted runs give exactly the old text, the equal and inserted ones the new text. Two empty texts give
    no run. A single equal word between two changes may be part of both the deletion and the insertion.
    """
    if old == new:
        return (Run("equal", old),) if old else ()
    if not old or not new:
        return (Run("delete", old) if old else Run("insert", new),)
    head, tail = _common_ends(old, new)
    a, b = _TOKEN.findall(old[head : len(old) - tail]), _TOKEN.findall(new[head : len(new) - tail])
    blocks = [(True, old[:head], ""), *_merged_islands(_blocks(a, b)), (True, old[len(old) - tail :], "")]
    return merged_runs(_trimmed(blocks))


def separated(runs: Iterable[Run]) -> Iterator[Run]:
    """The runs with a space between a deletion and the insertion after it, if no white space is between their words.
    The space is an equal run. It is for display only: without it, a reader who copies both words gets one.
    """
    previous = Run("equal", "")
    for run in runs:
        if (
            previous.kind == "delete"
            and run.kind == "insert"
            and previous.text[-1:].isalnum()
            and run.text[:1].isalnum()
        ):
            yield Run("equal", " ")
        yield run
        previous = run


def longest_increasing(places: list[int]) -> set[int]:
    """The numbers in ``places`` that keep their order: those of a longest strictly increasing subsequence (Fredman
    1975). No number occurs twice in ``places``. The time is n log n.
    """
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


def _common_ends(old: str, new: str) -> tuple[int, int]:
    """The lengths in characters of the beginning and of the end that both texts have in common, cut where white space
    ends. The two do not overlap. 0 means that no such part was found. The texts are not empty and differ.
    """
    most = min(len(old), len(new))
    low, high = 0, most
    while low < high:  # Bisection, because Python compares slices in C.
        middle = (low + high + 1) // 2
        low, high = (middle, high) if old[:middle] == new[:middle] else (low, middle - 1)
    head = low - 1
    while head > 0 and not (_is_boundary(old, head) and _is_boundary(new, head)):
        head -= 1
    head = max(head, 0)
    low, high = 0, most - head
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if old[-middle:] == new[-middle:] else (low, middle - 1)
    tail = low - 1
    while tail > 0 and not (_is_boundary(old, len(old) - tail) and _is_boundary(new, len(new) - tail)):
        tail -= 1
    return head, max(tail, 0)


def _is_boundary(text: str, place: int) -> bool:
    """Does white space end before this place? A single white space between two digits, as in ``1 000``, does not
    count.
    """
    if not text[place - 1].isspace() or text[place].isspace():
        return False
    return place < 2 or not (text[place].isdigit() and text[place - 2].isdigit())


def _common(a: Sequence[str], b: Sequence[str]) -> int:
    return next((at for at, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def too_large(old: str, new: str) -> bool:
    """Do the words of two changed parts match so often that they were not compared word by word? True if they
    match more than half of ``MAX_MATCHES`` times.
    """
    return _count_matches(_TOKEN.findall(old), _TOKEN.findall(new)) > MAX_MATCHES // 2


def _count_matches(a: Sequence[str], b: Sequence[str]) -> int:
    there = Counter(b)
    return sum(count * there[token] for token, count in Counter(a).items())


_Block = tuple[bool, str, str]  # Equal (its text, ""), or changed (deleted text, inserted text).


def _blocks(a: list[str], b: list[str], *, split: bool = True) -> list[_Block]:
    if not a and not b:
        return []
    if a and b and _count_matches(a, b) > MAX_MATCHES:
        return _split(a, b) if split else [(False, "".join(a), "".join(b))]
    matcher = SequenceMatcher(None, a, b, autojunk=False)
    return [
        (tag == "equal", "".join(a[i:j]), "" if tag == "equal" else "".join(b[k:m]))
        for tag, i, j, k, m in matcher.get_opcodes()
    ]


def _split(a: list[str], b: list[str]) -> list[_Block]:
    """Split at the words that occur once in both and keep their order, and compare the pieces between them (Cohen's
    patience diff). A piece that is still too large is one changed block.
    """
    once = {token for token, count in Counter(b).items() if count == 1}
    once &= {token for token, count in Counter(a).items() if count == 1}
    there = {token: place for place, token in enumerate(b) if token in once}
    here = [(place, there[token]) for place, token in enumerate(a) if token in once]
    kept = longest_increasing([k for _, k in here])
    blocks: list[_Block] = []
    i = k = 0
    for place, other in [pair for pair in here if pair[1] in kept]:
        blocks += _blocks(a[i:place], b[k:other], split=False)
        blocks.append((True, a[place], ""))
        i, k = place + 1, other + 1
    return blocks + _blocks(a[i:], b[k:], split=False)


def _merged_islands(blocks: list[_Block]) -> list[_Block]:
    """Join neighbours of one kind. Join an equal block of at most one word between two changes with them, which reads
    more easily, if the changes together delete something, insert something, and have more than two words.
    """
    tidy: list[_Block] = []
    for index, (equal, old, new) in enumerate(blocks):
        island = (
            equal
            and 0 < index < len(blocks) - 1
            and bool(tidy)
            and not tidy[-1][0]
            and not blocks[index + 1][0]
            and len(WORD.findall(old)) <= 1
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
    return len(WORD.findall(block[1])) + len(WORD.findall(block[2]))


def _trimmed(blocks: list[_Block]) -> Iterator[_Block]:
    """Separate from a change the words and signs that both sides begin or end with: a word that only lost its comma did
    not change.
    """
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


def merged_runs(blocks: Iterable[_Block]) -> tuple[Run, ...]:
    """The runs of these blocks. Neighbouring equal blocks become one run. Neighbouring changed blocks become one
    deletion and then one insertion. Empty blocks and empty runs are left out. A block is ``(True, text, "")`` or
    ``(False, deleted text, inserted text)``.
    """
    merged: list[list[str]] = []  # [equal, ""] or [deleted, inserted], in turn
    kinds: list[bool] = []
    for equal, old, new in blocks:
        if not old and not new:
            continue
        if kinds and kinds[-1] == equal:
            merged[-1][0] += old
            merged[-1][1] += new
        else:
            merged.append([old, new])
            kinds.append(equal)
    runs: list[Run] = []
    for equal, (old, new) in zip(kinds, merged, strict=True):
        if equal:
            runs.append(Run("equal", old))
            continue
        if old:
            runs.append(Run("delete", old))
        if new:
            runs.append(Run("insert", new))
    return tuple(runs)
