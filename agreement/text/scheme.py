"""Decides, for a text as a whole, what a number of one part, a Roman numeral or a word such as ``Глава`` begins.

``1.`` may begin a section, a clause of rules that are numbered from 1 to 57, a clause of an article, or an item of a
list. One line does not show which. Therefore ``candidates`` collects the lines that begin so, and :class:`Scheme`
decides by their order, by their form and by what follows them. Numbers of two and more parts (``1.1``) are read by
``outline``.

The units found here get these numbers (``clauses.Clause.number``):

- The innermost headings have their number: ``5`` for ``5. Оплата``, ``Статья 5`` and ``5-бап``. Headings around them
  have the number ``ch2`` (one level up), ``pt1`` (two levels up), ``bk1`` (three) or ``vo1`` (more). The word does not
  matter, because a translation may use another one.
- Clauses that are numbered on through all headings have their number: ``15``. The innermost headings then are ``ch2``.
- Clauses that are numbered anew in each heading have the number of the heading before their own: ``5.2``.
- A heading that was inserted after the heading 12 (``Статья 12.1``, ``12-1-бап``) has the number ``12_1``.
- Headings that are numbered anew in each outer heading have the number of the outer one before their own: ``1.2``, or
  ``ch1.2`` if they contain other headings, or clauses that are numbered on.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from agreement.text.candidates import Candidates
from agreement.text.headings import ARABIC, HEADING, LEVELS, PLAIN_LEVEL, Head, heading_words
from agreement.text.series import in_series, nested, outermost, renewed, restarts, runs

#: How the last section of a contract begins.
_CLOSING = re.compile(
    r"(?:(?:юридические\s)?адреса|(?:банковские\s)?реквизиты|подпис[ьи]|(?:заңды\s)?мекен-?жай|деректемелер|тараптардың\s"
    r"|қол(?:дары|ы)?(?!\w))",
    re.IGNORECASE,
)
#: How a preamble ends whose contract consists of the points below it, also if they end with semicolons.
_CONCLUDED = re.compile(
    r"\bо\s+(?:нижеследующем|следующем)\s*:\s*$|\b(?:төмендегі|мына)\w*\s+(?:туралы|жөнінде|жайында)[^\n]{0,60}:\s*$",
    re.IGNORECASE,
)
_CONTENTS = re.compile(r"[1-9]\d?\.?\s")

#: What is doubtful about a unit; ``outline.Start`` describes it.
Doubt = Literal["", "clauses", "list", "glued", "repeated", "counted"]


@dataclass(frozen=True, slots=True)
class Role:
    """What a line begins: a section or a clause.

    ``number`` and ``parent`` are those of ``clauses.Clause``, without the prefix of an appendix (``a1.``). ``label``
    is the number as it is printed, with its word (``Глава 2.``); ``""`` for a heading without a number. ``rest`` are
    the other words of the line or of the heading. ``tag`` is the HTML element. ``last`` is the index of the last line
    of the heading. ``doubt`` is that of ``outline.Start``.
    """

    kind: Literal["section", "clause"]
    number: str
    parent: str
    label: str
    rest: str
    tag: str
    last: int
    doubt: Doubt = ""


class Scheme:
    """The units of a text that begin with a number of one part, a numeral or a word, and its appendices.

    ``roles`` and ``appendices`` map the index of a line to the unit that begins there. An appendix is its words and the
    index of the last line of its heading. ``points`` maps the index of the line of each item of a list ``1.``, ``2.``
    to the label, the words and the tag. ``lists`` are the indexes of the lines with which lists begin that might also
    be clauses. ``contents`` are the indexes of the lines of a table of contents with pages. ``title`` is the index of
    the title line, -1 if there is none.
    """

    def __init__(self, lines: Sequence[str], title: int) -> None:
        self.lines = lines
        self._title = title
        self.roles: dict[int, Role] = {}
        self.points: dict[int, tuple[str, str, str]] = {}
        self.lists: set[int] = set()
        self._found = found = Candidates(lines, title)
        self.appendices, self.contents, self.ahead = found.appendices, found.contents, found.ahead
        heads, breaks = found.heads, found.breaks
        edges = [0, *self.appendices, len(lines)]
        at = broken = 0
        for start, end in pairwise(edges):
            first, unnumbered = at, broken
            while at < len(heads) and heads[at].line < end:
                at += 1
            while broken < len(breaks) and breaks[broken] < end:
                broken += 1
            if first < at:
                self._decide(heads[first:at], breaks[unnumbered:broken], start, end)
        self._find_points()

    @property
    def has_section_1(self) -> bool:
        """Is the first section or clause that was found a section with the number 1?"""
        first = next(iter(self.roles.values()), None)
        return first is not None and first.kind == "section" and first.number == "1"

    def _decide(self, heads: list[Head], breaks: list[int], start: int, end: int) -> None:
        """Decide what the lines of the agreement itself or of one appendix begin. ``heads`` are these lines, all from
        the index ``start`` up to ``end``, and ``breaks`` are the headings without a number in that range.
        """
        worded = in_series(head for head in heads if head.level < ARABIC)
        bare = [head for head in heads if head.level >= ARABIC]
        clauses = self.ahead.has_clauses(start, end)
        if not clauses and any(head.dot or head.marked for head in bare):
            bare = [head for head in bare if head.dot or head.marked]  # «2 Читатель» is a number of no kind here.
        outer = outermost(bare)
        if inner := [head for head in bare if outer and head.marked > outer[0].marked]:
            if not (clauses or worded) and self._are_inner(outer, inner):
                return
            bare = [head for head in bare if head.marked <= outer[0].marked]
        fixed = [head for head in bare if head.marked or (head.capitals and head.dot)]
        words = [head for head in worded if head.source == "word"]
        if words and words[0].line == worded[0].line:
            worded = words  # «I.», «II.» in a chapter are a list.
        if worded and fixed and fixed[0].line < worded[0].line and len(words) < len(fixed):
            worded = []  # They do not contain the sections: «Статья 8» quoted in an agreement with its own sections.
        if clauses and self._are_clauses(bare, start, end):
            outer, _ = nested(bare)
            self._assign(worded, outer, anew=False)
            return
        if clauses:
            sections = self._sections(bare, end)
            if worded and sections and sections[0].line < worded[0].line:
                worded = []
            if worded and self._are_sections(worded, start, end):
                self._assign(worded, [], anew=False)
                return
            if not worded or len(sections) * 3 > len(bare):
                self._fill(bare, end)
                sections = [head for head in bare if head.taken]
                self._assign(sorted([*worded, *sections], key=lambda head: head.line), [], anew=False)
                return
            for head in sections:
                head.taken = False
        if worded:
            self._points(worded, bare)
            return
        if not clauses and self._in_unnumbered(bare, breaks, start):
            return
        if any(head.marked or (head.capitals and head.dot and not self._is_listed(head, None)) for head in bare):
            sections = self._sections(bare, end)
            if not self._run_on(sections, bare):
                self._fill(bare, end)
                sections = [head for head in bare if head.taken]
            self._points(sections, [head for head in bare if not head.taken])
            return
        self._free(bare, breaks, start, end)

    def _are_inner(self, outer: list[Head], inner: list[Head]) -> bool:
        """Take the headings ``outer`` and ``inner``, if the inner ones are numbered on through all outer ones or anew
        in each. Return whether they were taken. The inner ones have more marks ``#``.
        """
        for anew in (False, True):
            points = [head for group in runs(outer, inner, anew=anew) for head in group]
            if len(points) == len(inner):
                self._assign(outer, points, anew=anew)
                return True
        return False

    def _in_unnumbered(self, bare: list[Head], breaks: list[int], start: int) -> bool:
        """Take the headings without a number and what is numbered in them. Return whether they were taken. They are
        taken if at least two of them contain lines with a plain number, and if the numbers in each of these headings
        begin at 1. They are not taken if a line with a number is a heading with as many marks ``#`` as they have, or
        with fewer.

        The number of such a heading is its place. The title is one of these headings if it has as many marks ``#`` as
        the first of them, and a list from 1 on follows the title directly. ``bare`` are the lines with a plain number,
        ``breaks`` the lines of the headings without a number, and ``start`` is the index of the first line of the
        agreement or of the appendix.
        """
        first = self.lines[self._title] if bare and self._title >= 0 and not start else ""
        title = _depth(first) if HEADING.match(first) else 0
        like_title = bool(breaks) and title == _depth(self.lines[breaks[0]])
        if like_title and self._found.next_line(self._title) == bare[0].line and bare[0].number == 1:
            breaks, like_title = [self._title, *breaks], False
        if breaks and bare and breaks[0] > bare[0].line and not bare[0].marked:
            bare = [head for head in bare if head.line > breaks[0]]  # A list above the first heading.
        at = bisect_left(breaks, bare[0].line) - 1 if bare else -1
        if at < 0:
            return False
        depth = _depth(self.lines[breaks[at]])
        found = [line for line in breaks if _depth(self.lines[line]) == depth]
        counted = like_title and title == depth
        heads = [
            Head(
                line, PLAIN_LEVEL, place, "", heading_words(self.lines[line].lstrip("#")), line, marked=depth,
                counted=counted,
            )
            for place, line in enumerate(found, start=1)
        ]  # fmt: skip
        edges = [bisect_right(found, head.line) for head in bare]
        begins = [head for head, before, here in zip(bare, [0, *edges], edges, strict=False) if before != here]
        points = [head for group in runs(heads, bare, anew=True) for head in group]
        taken = set(map(id, points))
        if len(begins) < 2 or not taken or any(0 < head.marked <= depth for head in bare):
            return False
        if any(head.number != 1 or not (head.listed or id(head) in taken) for head in begins):
            return False
        self._assign(heads, points, anew=True)
        return True

    def _are_clauses(self, bare: list[Head], start: int, end: int) -> bool:
        """Are the lines ``bare`` clauses that are numbered from 1 on? There must be at least four. At most half of them
        may look like headings. At most half may contain clauses of two parts, and each of these, such as 5.1, must
        stand under the line with the number 5. ``start`` and ``end`` limit the lines in which clauses of two parts are
        looked for.
        """
        outer, _ = nested(bare)
        if len(outer) < 4 or sum(head.titled for head in outer) * 2 > len(outer):
            return False
        place, owners = -1, set[int]()
        for line, section, _clause in self.ahead.clauses(start, end):
            while place + 1 < len(outer) and outer[place + 1].line < line:
                place += 1
            if place < 0 or outer[place].number != section:
                return False
            owners.add(section)
        return len(owners) * 2 <= len(outer)

    def _are_sections(self, heads: list[Head], start: int, end: int) -> bool:
        """Do most clauses such as 5.1 stand under a heading with the number 5?"""
        place, right, clauses = -1, 0, self.ahead.clauses(start, end)
        for line, section, _clause in clauses:
            while place + 1 < len(heads) and heads[place + 1].line < line:
                place += 1
            right += place >= 0 and heads[place].number == section
        return right * 2 > len(clauses)

    def _is_listed(self, head: Head, before: Head | None) -> bool:
        """Is the line an item of a list? A line with the number 1 is one if it follows a colon and a clause such as 1.1
        is above it. Another line is one if the line directly above begins with the number before its own, unless that
        line is ``before``, the head before this one, and is taken.
        """
        if head.number == 1:
            return head.colon and self.ahead.clause_before(head.line)
        if before is not None and before.line == head.line - 1 and before.taken:
            return False
        line = self.lines[head.line - 1].strip() if head.line else ""
        return line.startswith(f"{head.number - 1}. ")

    def _sections(self, bare: list[Head], end: int) -> list[Head]:
        """Take the sections among ``bare``, the lines with a plain number, that a heading, capitals or their first
        clause show. Return the sections that are taken. ``end`` is the index of the line after the agreement or the
        appendix.
        """
        last, before = 0, None
        for head in bare:
            if self._is_section(head, last, before, end):
                last = head.number
                if before and not before.taken and self._is_heading_of(before, head):
                    before.taken = before.repeated = True  # The author wrote 1. for 1.1.
                else:
                    head.taken = True
            before = head
        return [head for head in bare if head.taken]

    def _is_heading_of(self, head: Head, clause: Head) -> bool:
        """Is ``head`` a heading, and is ``clause`` a sentence that begins with the same number on the next line that is
        not empty?
        """
        follows = head.number == clause.number and self._found.next_line(head.last) == clause.line
        sentence = not clause.titled or len(clause.words) > max(60, 2 * len(head.words))
        return follows and head.dot and head.upper and head.titled and sentence and not clause.marked

    def _is_section(self, head: Head, last: int, before: Head | None, end: int) -> bool:
        if head.marked:
            return True
        following, next_in_order = self._found.next_words(head.line), head.number == last + 1
        if head.continues and not next_in_order:
            return False
        if _CONTENTS.match(following) and self.ahead.comes_again(head.number, head.line):
            return False
        if following.lstrip("#*_ ").startswith(f"{head.number}.1"):
            return head.dot or head.words.isupper() or (head.upper and next_in_order)
        if not head.dot or self._is_listed(head, before):
            return False
        if head.capitals:
            return True
        if not head.upper or not self.ahead.opens(head.number, head.line, end):
            return False
        return next_in_order or (head.separate and head.titled)

    def _fill(self, bare: list[Head], end: int) -> None:
        """Take lines that may be sections without clauses: those whose numbers are missing among the sections that are
        taken, and the last one of ``bare``, if it may be a section after them. ``bare`` and ``end`` are those of
        ``_sections``.
        """
        self._fill_before(bare)
        following: list[Head | None] = []
        nearest: Head | None = None
        for head in reversed(bare):
            following.append(nearest)
            if head.taken:
                nearest = head
        following.reverse()
        last = listed = 0
        for place, head in enumerate(bare):
            if head.taken:
                last, listed = head.number, 0
                continue
            then = following[place]
            is_missing = head.number == last + 1 and (then is None or head.number < then.number)
            if then is None and last and place == len(bare) - 1 and head.titled and head.below:
                is_missing = last < head.number <= last + 3
            until = then.line if then else end
            if (
                is_missing
                and not (listed and listed == head.number - 1)
                and (
                    head.may_fill
                    or (head.number == 1 and not place and head.opens)
                    or (place == len(bare) - 1 and head.separate and _CLOSING.match(head.words))
                )
                and not self._is_listed(head, bare[place - 1] if place else None)
                and not (last == 0 and then is None)
                and not (last and self.ahead.next_section(head.line, until) == last)
            ):  # fmt: skip
                head.taken, last, listed = True, head.number, 0
            else:
                listed = head.number

    def _fill_before(self, bare: list[Head]) -> None:
        """Take two or more paragraphs whose numbers lead to that of a section: ``4.``, ``5.``, ``6.`` before ``7.``"""
        last, run = 0, list[Head]()
        for head in bare:
            follows = run and head.number == run[-1].number + 1
            if head.taken:
                clear = follows and len(run) > 1 and not self.ahead.next_section(run[0].line, head.line)
                for one in run if clear and last < run[0].number <= last + 3 else ():
                    one.taken = True
                last, run = head.number, []
            else:
                run = run if follows else []
                if head.dot and head.upper and head.separate and not head.colon:
                    run.append(head)
                else:
                    run = []

    def _points(self, heads: list[Head], bare: list[Head]) -> None:
        """Decide whether the numbers of ``bare`` under the headings are clauses, numbered on or numbered anew, or
        lists, and store the roles of the headings and clauses.
        """
        if points := self._run_on(heads, bare):
            self._assign(heads, points, anew=False)
            return
        found = runs(heads, bare, anew=True)
        points = [head for group in found for head in group]
        worded = any(head.level < ARABIC for head in heads)
        if worded or sum(map(bool, found)) > 1 or any(head.bold for head in points):
            self._assign(heads, points, anew=True)
        else:
            self._assign(heads, [], anew=False)
            self._doubt(bare)

    def _run_on(self, heads: list[Head], bare: list[Head]) -> list[Head]:
        """The lines of ``bare`` whose numbers run on through several of the headings. Empty if they do not, or if at
        least as many lines count from 1 anew under each heading.
        """
        bare = [head for head in bare if not head.taken]
        found = runs(heads, bare, anew=False)
        points = [head for group in found for head in group]
        anew = sum(map(len, runs(heads, bare, anew=True)))
        return points if sum(map(bool, found)) > 1 and len(points) > anew else []

    def _free(self, bare: list[Head], breaks: list[int], start: int, end: int) -> None:
        """Decide what numbers of one part begin in a text in which nothing else shows sections or clauses. The
        arguments are those of ``_decide``, and ``bare`` are the lines with a plain number.
        """
        outer, inner = nested(bare)
        count, first = len(outer), outer[0] if outer else None
        if first is None or count < 2 or restarts(bare, breaks):
            self._doubt(bare)
            return
        if not all(head.dot or (head.separate and head.titled) for head in outer):
            return
        edges = [*(head.line for head in outer[1:]), end]
        lines = [
            self._found.filled[edge] - self._found.filled[head.last + 1]
            for head, edge in zip(outer, edges, strict=True)
        ]
        titled = sum(head.titled for head in outer)
        short = titled * 3 >= count * 2 or all(head.short and not head.wrapped for head in outer)
        if short and sum(map(bool, lines)) * 3 >= count * 2 and all(head.upper for head in outer):
            direct = [found for found in inner.values() if not found[0].colon]
            points = [head for found in direct for head in found] if len(direct) * 2 >= count else []
            self._assign(outer, points, anew=True)
            return
        after = inner.get(outer[-1].line, [])
        again = len(after) > 2 and len(after) * 2 >= count and after[0].shape[1:] == first.shape[1:]
        if again or sum(head.number == 1 for head in bare) > count:
            self._doubt(bare)  # The same numbers begin again under lines without a number.
            return
        # Not more lines belong to the last number than to one before it.
        whole = self._found.filled[end] - self._found.filled[start] - (start == 0)
        covered = (
            self._found.filled[outer[-1].last + 1] - self._found.filled[first.line] + min(lines[-1], max(lines[:-1]))
        )
        marked = any(head.bold for head in outer)
        uppers = sum(head.upper for head in outer)
        listed = first.colon and sum(head.goes_on for head in outer) * 2 >= count
        rules = self._concludes(first.line) or (covered * 2 >= whole and not listed)
        if marked or (count >= 3 and uppers * 2 > count and rules):
            adjacent = sum(not head.separate for head in outer[1:]) * 2 > count
            self._assign([], outer, anew=False, doubt="clauses" if adjacent and not marked else "")
            return
        self._doubt(bare)

    def _concludes(self, index: int) -> bool:
        """Do the parties agree on what begins at this line: does the line above it say «о нижеследующем:»?"""
        above = next((line for line in reversed(self.lines[max(0, index - 3) : index]) if line.strip()), "")
        return _CONCLUDED.search(above[-150:]) is not None

    def _find_points(self) -> None:
        """Find the lists ``1.``, ``2.``: at least two lines in one unit, or before the first unit, that begin no
        section and no clause. A list is left out if an item such as ``1)`` stands in its unit, because both would have
        the same numbers.
        """
        edges = sorted({*self.roles, *self.appendices, *self._found.written, *self._found.breaks})
        units: dict[int, list[Head]] = defaultdict(list)
        for head in self._found.heads:
            if head.source == "number" and (head.dot or head.marked) and head.line not in self.roles:
                units[bisect_right(edges, head.line)].append(head)
        edges.append(len(self.lines))
        for place, its in units.items():
            start, end = edges[place - 1] if place else 0, edges[place]
            items = bisect_left(self._found.items, end) > bisect_left(self._found.items, start)
            outer, inner = ([], {}) if items else nested(its)
            # A list that begins after the last item is another one, unless it is indented in that item.
            again = inner.get(outer[-1].line, []) if outer else []
            for its_list in (outer, again if again and again[0].indent <= outer[-1].indent else []):
                if len(its_list) > 1 and all(b.number > a.number for a, b in pairwise(its_list)):
                    self.points |= {one.line: (one.label, one.rest, "h4" if one.marked else "p") for one in its_list}
                    self.lists -= {one.line for one in its_list if place}

    def _doubt(self, bare: list[Head]) -> None:
        outer, _ = nested(bare)
        if len(outer) > 2 and not outer[0].colon and all(head.upper for head in outer):
            self.lists.add(outer[0].line)

    def _assign(self, heads: list[Head], points: list[Head], *, anew: bool, doubt: Doubt = "") -> None:
        """Store the roles of the headings and of the clauses in them, with their numbers. ``anew``: do the clauses
        begin again at 1 under each heading? ``doubt`` is that of the first clause.
        """
        levels = sorted({head.level for head in heads})
        outer = levels if points and not anew else levels[:-1]
        prefixes = dict(zip(reversed(outer), ("ch", "pt", "bk", *["vo"] * len(outer)), strict=False))
        restarted = renewed(heads)
        sentences = {
            level
            for level in levels
            if level == LEVELS["статья"]
            and sum(not head.titled for head in heads if head.level == level) * 2
            > sum(head.level == level for head in heads)
        }
        opened: dict[int, str] = {}
        clauses = {head.line for head in points}
        kind = _kind_of_points(points)
        for head in sorted([*heads, *points], key=lambda head: head.line):
            above = [opened[level] for level in sorted(opened)]
            if head.line in clauses:
                parent = above[-1] if above else ""
                number = f"{parent}.{head.number}" if anew and parent else str(head.number)
                tag = "p" if kind == "clause" else f"h{min(4, 2 + len(levels))}"
                self._role(head, kind, number, parent, tag, doubt)
                doubt = ""
                continue
            opened = {level: number for level, number in opened.items() if level < head.level}
            above = [opened[level] for level in sorted(opened)]
            parent = above[-1] if above else ""
            number = f"{head.number}{head.inserted}"
            if head.level in restarted and parent:
                number = f"{parent.lstrip('chptbkvo')}.{number}"
            number = prefixes.get(head.level, "") + number
            opened[head.level] = number
            sentence = head.level in sentences
            self._role(
                head, "clause" if sentence else "section", number, parent,
                "p" if sentence else f"h{min(4, 2 + levels.index(head.level))}", "",
            )  # fmt: skip

    def _role(
        self, head: Head, kind: Literal["section", "clause"], number: str, parent: str, tag: str, doubt: Doubt
    ) -> None:
        if number.count(".") < 3:
            self.roles[head.line] = Role(
                kind,
                number,
                parent,
                head.label,
                head.rest,
                tag,
                head.last,
                "glued" if head.glued else "repeated" if head.repeated else "counted" if head.counted else doubt,
            )


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip("#"))


def _kind_of_points(points: Sequence[Head]) -> Literal["section", "clause"]:
    """``section`` if more than two thirds of the lines look like headings, otherwise ``clause``."""
    return "section" if points and sum(head.titled for head in points) * 3 > len(points) * 2 else "clause"
