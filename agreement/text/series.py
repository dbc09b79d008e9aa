"""Finds which lines have numbers that follow each other, in one list or in lists that contain others."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import dropwhile, pairwise

from agreement.text.headings import Head


def nested(heads: Sequence[Head]) -> tuple[list[Head], dict[int, list[Head]]]:
    """The lines whose numbers run on from 1, and by the index of each of them the lines below it that begin again at 1.
    Lines of a third list, inside those, are in neither. If no inner list is open, a paragraph of the same form may
    repeat a number or leave out up to two. It also sets ``Head.closes`` of the lines.
    """
    outer: list[Head] = []
    inner: dict[int, list[Head]] = {}
    opened: list[Head] = []  # The last line of the outer numbers, of the inner ones and of a list in these.
    for place, head in enumerate(heads):
        levels = [level for level, last in enumerate(opened) if head.number == last.number + 1]
        if head.number == 1:
            levels.append(min(len(opened), 2))
        if levels:
            level = levels[0]
            if len(levels) > 1:
                following = heads[place + 1].number if place + 1 < len(heads) else 0
                level = _level(head, {level: opened[level] for level in levels}, following)
            before = opened[level] if level < len(opened) else None
            head.closes = before is not None and before.goes_on and head.words[-1:] == "."
            opened[level:] = [head]
            if level == 0:
                outer.append(head)
            elif level == 1:
                inner.setdefault(opened[0].line, []).append(head)
        elif (
            len(opened) == 1
            and head.separate
            and 1 < opened[0].number <= head.number <= opened[0].number + 3
            and head.looks == opened[0].looks
        ):
            outer.append(head)  # A number is missing, or is used twice.
            opened = [head]
    return outer, inner


def _level(head: Head, opened: dict[int, Head], following: int) -> int:
    """The level of the list that the line continues. ``opened`` maps each possible level to the last line of its list,
    whose form is compared with that of the line. ``following`` is the number of the next line, 0 if there is none.
    """
    deepest = opened[max(opened)]
    if following == head.number or (deepest.goes_on and not deepest.below):
        return max(opened)
    opened = {level: last for level, last in opened.items() if not last.closes} or opened
    alike = {level: sum(a == b for a, b in zip(head.shape, last.shape, strict=True)) for level, last in opened.items()}
    best = [level for level, count in alike.items() if count == max(alike.values())]
    best = [level for level in best if opened[level].below == head.below] or best
    return best[0] if following == 1 else best[-1]


def outermost(heads: Sequence[Head]) -> list[Head]:
    """The headings of Markdown with the fewest marks, if they are at least two and count from 1 without the others;
    otherwise none.
    """
    fewest = min((head.marked for head in heads if head.marked), default=0)
    found = [head for head in heads if head.marked == fewest] if fewest else []
    return found if [head.number for head in found] == list(range(1, len(found) + 1)) and len(found) > 1 else []


def runs(heads: Sequence[Head], bare: Sequence[Head], *, anew: bool) -> list[list[Head]]:
    """For each of ``heads``, the lines of ``bare`` below it whose numbers follow each other: from 1 on through all of
    ``heads``, or, if ``anew`` is true, from 1 on below each. The first list contains the lines before the first of
    ``heads``; it is empty if ``anew`` is true.
    """
    groups: list[list[Head]] = [[] for _ in range(len(heads) + 1)]
    place = 0
    for head in bare if anew else nested(_from_first(bare))[0]:
        while place < len(heads) and heads[place].line < head.line:
            place += 1
        groups[place].append(head)
    return [[], *(nested(_from_first(group))[0] for group in groups[1:])] if anew else groups


def _from_first(heads: Sequence[Head]) -> list[Head]:
    """The lines from the first one that has the number 1 and does not look like the beginning of a list. Empty if there
    is no such line.
    """
    return list(dropwhile(lambda head: head.number > 1 or head.listed, heads))


def restarts(bare: list[Head], breaks: list[int]) -> bool:
    """Do the numbers begin again at 1 under a heading without a number?"""
    return any(
        head.number == 1 and bisect_right(breaks, head.line) > bisect_right(breaks, before.line)
        for before, head in pairwise(bare)
    )


def renewed(heads: Sequence[Head]) -> set[int]:
    """The levels of headings whose numbers begin again at 1 under another outer heading."""
    found: set[int] = set()
    around: dict[int, int] = {}  # Level → place of the last heading of a smaller level when it had the number 1.
    place: dict[int, int] = {}
    for index, head in enumerate(heads):
        place[head.level] = index
        if head.number == 1:
            above = max((at for level, at in place.items() if level < head.level), default=-1)
            if head.level in around and above > around[head.level]:
                found.add(head.level)
            around[head.level] = index
    return found


def in_series(heads: Iterable[Head]) -> list[Head]:
    """The headings, without those that belong to no series. Headings with a word are kept if they begin with the number
    1 or if two follow each other; a Roman numeral or a letter alone (``I.``) needs both. An inserted heading such as
    ``Статья 12.1`` is kept only after ``Статья 12`` or another one that was inserted after it.
    """
    kinds: dict[tuple[int, str], list[Head]] = defaultdict(list)
    for head in heads:
        kinds[head.level, head.source].append(head)
    kept = list[Head]()
    for (_, source), its in kinds.items():
        found = [
            head
            for place, head in enumerate(its)
            if not head.inserted or (place and its[place - 1].number == head.number)
        ]
        if not found:
            continue
        numbers = [head.number for head in found]
        follow = any(b == a + 1 for a, b in pairwise(numbers))
        if (numbers[0] == 1 and (source == "word" or follow)) or (source == "word" and follow):
            kept += found
    return sorted(kept, key=lambda head: head.line)
