"""Collects the lines of a text that may begin a unit, its appendices, and what helps to decide between them."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence

from agreement.text.headings import (
    APPENDIX,
    ARABIC,
    HEADING,
    NUMBERED,
    REFERS,
    WORDED,
    WORDED_BEGINS,
    Head,
    is_appendix,
    is_ended,
    next_line,
    numbered_head,
    underlined,
    worded_head,
)

#: The page at the end of a line of a table of contents, and the signs before it. Also ``""`` at the end of any line.
_PAGE = re.compile(
    r"(?<![\s.…·_,–—-])[\s.…·_,–—-]*+(?:(?:(?:стр|с)\b\.?\s*)?\d{1,4}(?:\s?[-–‑]?\s?(?:стр|с|б|бет)\b\.?)?)?\s*$",
    re.IGNORECASE,
)
_LEADER = re.compile(r"\t|\s\s|[.·_…]\s*[.·_…]|…|(?:стр|бет)\b", re.IGNORECASE)
#: A word that was typed without the space before it: «шартынаҚосымша».
_GLUED = re.compile("(?<=[а-яәғқңөұүһі])(?=Қосымша)")
#: How the third line of an appendix's heading begins: «№ 5 от 1 марта», «на оказание услуг».
_DATED = re.compile(r"(?:№|от|на|об?)\s", re.IGNORECASE)
_DATIVE = re.compile(r"[гқкғн][еа][»\"]?\s*$", re.IGNORECASE)
_OF = re.compile(r"\sк(?:о)?\s*$", re.IGNORECASE)
_LOWER_OF = re.compile(r"ко?\s", re.IGNORECASE)


class Candidates:
    """The lines of a text that may begin a section or a clause, and its appendices. ``title`` is the index of the title
    line, -1 if there is none.

    ``heads`` are these lines, without those of a table of contents. ``appendices`` maps the index of a line to the
    appendix that begins there: its words and the index of the last line of its heading. ``breaks`` are the lines of
    Markdown headings without a number, ``written`` those that begin with a number of several parts such as ``1.1``,
    ``items`` those that begin with a label such as ``1)``, and ``contents`` those of a table of contents with pages.
    ``filled`` says how many lines are not empty before each line.
    """

    def __init__(self, lines: Sequence[str], title: int) -> None:
        self.lines = lines
        self.heads: list[Head] = []
        self.appendices: dict[int, tuple[str, int]] = {}
        self.breaks: list[int] = []
        self.written: list[int] = []
        self.items: list[int] = []
        self.contents = _contents(lines)
        self.filled = [0]
        self.ahead = Ahead()
        self._title = title
        self._list = -1, 0  # The last line of a list of appendices, and its number.
        self._last_appendix: dict[int, int] | None = None  # Number → the last line that may begin this appendix.
        self._collect()
        self.heads = self._without_contents()
        for head, line in zip(self.heads, [*(head.line for head in self.heads[1:]), len(lines)], strict=False):
            head.below = self.filled[line] > self.filled[head.last + 1]

    def next_line(self, index: int) -> int:
        """The index of the next line after ``index`` that is not empty, at most three lines on; otherwise -1."""
        return next_line(self.lines, index)

    def next_words(self, index: int) -> str:
        """The line at the index that :meth:`next_line` gives, without white space at its ends; ``""`` if none."""
        at = self.next_line(index)
        return self.lines[at].strip() if at >= 0 else ""

    def _collect(self) -> None:
        """Collect the lines that may begin a unit, the appendices and the headings without a number."""
        previous = colon = ""
        blank = heading = True  # ``heading``: is the line before a title, a heading or a section?
        numbered_yet = False
        begun = numbered = False  # ``numbered``: does the line before begin with a number?
        skip = -1
        for index, line in enumerate(self.lines):
            bare = line.strip()
            self.filled.append(self.filled[-1] + bool(bare))
            if not bare:
                blank = True
                continue
            if index <= skip:
                continue
            if index in self.contents:
                blank = True
                continue
            before = "" if blank or heading else previous[-60:]
            separate = not before
            ended = separate or numbered or is_ended(before)
            first = bare[0]
            mark = bare.lstrip("#*_\u200b\u2060\ufeff ")[:1] if first in "#*_\u200b\u2060\ufeff" else first
            found: Head | None = None
            heading = numbered = False
            # Above the first number, «Приложение 1 к приказу» says of which order the text itself is an appendix.
            headed = numbered_yet or self.filled[index] > 8
            if headed and ("осымша" in bare or "ОСЫМША" in bare or mark in "Пп"):
                skip = self._appendix(index, bare, separate=separate or is_ended(before))
                heading = skip >= 0
            if not heading and mark:
                match = NUMBERED.match(line) if mark.isdigit() or (mark == "(" and ")" in bare[1:5]) else None
                if match and match["item"]:
                    if match["item"].isdigit():
                        self.items.append(index)
                elif match:
                    numbered = True
                    self.ahead.add(match["number"], index, ended=ended)
                    if "." not in match["number"]:
                        found = numbered_head(self.lines, index, match, before, separate=separate, ended=ended)
                    elif ended:
                        self.written.append(index)
                    if found and not (found.dot or found.marked) and (kk := WORDED.match(line)):  # «1 тарау».
                        found = worded_head(self.lines, index, kk, before, separate=separate, ended=ended) or found
                if found is None and mark in WORDED_BEGINS and (match := WORDED.match(line)):
                    found = worded_head(self.lines, index, match, before, separate=separate, ended=ended)
            numbered_yet = numbered_yet or numbered or found is not None
            if found:
                found.colon = colon.endswith(":")
                self.heads.append(found)
                numbered, skip = True, max(skip, found.last)
                heading = bool(found.marked) or found.level < ARABIC or found.capitals
            elif first == "#" and line[0] == "#" and (match := HEADING.match(line)) and not NUMBERED.match(line):
                heading = True
                if index > self._title and index not in self.appendices:
                    self.breaks.append(index)
            heading = heading or not begun
            begun, blank, previous, colon = True, False, line, bare[-1]

    def _appendix(self, index: int, bare: str, *, separate: bool) -> int:
        """Store the appendix that begins at this line, or at a line above that names its document («Келісімге»). Return
        the index of the last line of its heading; -1 if no appendix begins here. ``bare`` is the line without white
        space at its ends. ``separate``: does it begin a paragraph, or does the line before it end a sentence?
        """
        words = _GLUED.sub(" ", bare.strip("#*_ "))
        heads = bare[0] == "#" or words.isupper() or (separate and underlined(self.lines, index))
        if words[-1:] == "." and separate and not "".join(self.lines[index + 1 : index + 2]).strip():
            before, _ = next(reversed(self.appendices.values()), ("", 0))
            if before and _first_number(words) == _first_number(before) + 1:
                words = words[:-1]  # The next appendix, with a full stop after its heading.
        match = APPENDIX.fullmatch(words) if len(words) <= 300 else None
        begins = heads or words[:1].isupper() or words[:1].isdigit() or words[:1] in '№«"$<{[' or bare[0] == "_"
        if match is None or not begins:
            return -1
        before = self.lines[index - 1].strip() if index else ""
        listed = is_appendix(before) or is_appendix("".join(self.lines[index + 1 : index + 2]).strip())
        listed = listed or self._is_in_list(index, words)
        if not heads and (words[-1] in ".;,:" or listed or REFERS.search(before[-60:])):
            return -1  # A sentence about an appendix, or a list of appendices.
        if not heads and match["to"] and len(match["to"].split()) > 1 and not separate:
            return -1
        start, last = index, index
        if match["to"] is None and words[:1] not in "Пп" and (at := self._dative_before(index)) >= 0:
            start, words = at, f"{self.lines[at].strip().strip('#*_ ')} {words}"
        while last - index < 6 and not match["title"]:
            at = self.next_line(last)
            line = self.lines[at].strip().strip("*_ ") if 0 <= at <= last + 2 else ""
            if not line or len(line) > 150 or NUMBERED.match(line):
                break
            is_named = words[:1] in "Пп" and last == index and _LOWER_OF.match(line)
            if not (_OF.search(words) or is_named or (last > index and _DATED.match(line))):
                break
            words, last = f"{words} {line}", at
        self.appendices[start] = words, last
        return last

    def _is_in_list(self, index: int, words: str) -> bool:
        """Is this line, which names an appendix, in a list of appendices whose lines are separate paragraphs? ``words``
        are those of the line. If it is, the line is remembered for the next call.
        """
        number = _first_number(words)
        before = next((at for at in range(index - 1, max(index - 4, -1), -1) if self.lines[at].strip()), -1)
        last, its = self._list
        if before < 0 or not number:
            return False
        follows = before == last and number > its
        in_row = follows or is_appendix(self.next_words(index))
        if not in_row:
            return False
        if self._last_appendix is None:
            found = ((at, line.strip().strip("#*_ ")) for at, line in enumerate(self.lines) if len(line) <= 300)
            self._last_appendix = {_first_number(line): at for at, line in found if is_appendix(line)}
        again = self._last_appendix.get(number, -1) > index
        if again or follows or self.lines[before].rstrip().endswith(":"):
            self._list = index, number
            return True
        return False

    def _dative_before(self, index: int) -> int:
        """The index of the line above an appendix that names the document it belongs to («Пайдаланушы келісіміне»); -1
        if there is none.
        """
        at = next((at for at in range(index - 1, max(index - 3, 0), -1) if self.lines[at].strip()), 0)
        line = self.lines[at].strip()
        if at < 1 or self.lines[at - 1].strip() or len(line) > 120 or not _DATIVE.search(line.strip("*_ ")):
            return -1
        if not self.filled[at] or line[0] in "|>-" or at in self.appendices or NUMBERED.match(line):
            return -1
        return -1 if self.heads and self.heads[-1].last >= at else at

    def _without_contents(self) -> list[Head]:
        """The lines that may begin a unit, without those of a table of contents: lines under each other, from the
        number 1 on, whose words come again below.
        """
        heads, kept = self.heads, list[Head]()
        if len({(head.level, head.number) for head in heads}) == len(heads):
            return heads
        keys = [(head.level, head.number, _PAGE.sub("", head.words).lower()) for head in heads]
        last = {key: place for place, key in enumerate(keys)}
        again = [bool(key[2]) and last[key] != place for place, key in enumerate(keys)]
        until = -1  # The last line of the table of contents.
        for place, head in enumerate(heads):
            follows = (
                again[place]
                and not kept
                and head.number == 1
                and True in again[place + 1 : place + 2]
                and self.next_line(head.last) == heads[place + 1].line
                and self.next_line(heads[last[keys[place]]].last) != heads[last[keys[place + 1]]].line
            )
            near = until >= 0 and head.line - until <= 2
            if again[place] and (follows or near):
                until = head.last
            else:
                kept.append(head)
        return kept


class Ahead:
    """The lines that begin with each number. They help to decide whether a line begins a unit, by what precedes and
    follows it. Only the beginnings of lines are compared, so a reference that a line break moved there may count too.
    The clauses are the numbers of two parts, such as 3.1, at places where a unit may begin.
    """

    def __init__(self) -> None:
        self._lines: dict[str, list[int]] = defaultdict(list)
        self._last: dict[str, int] = {}
        self._clauses: list[tuple[int, int, int]] = []  # (line, section, clause) after finished sentences.

    def add(self, number: str, index: int, *, ended: bool) -> None:
        """Add a line that begins with the number. ``ended``: may a unit begin there, because the line before it is
        empty, a heading or the end of a sentence, or begins with a number?
        """
        self._lines[number].append(index)
        if ended:
            self._last[number] = index
            if number.count(".") == 1:
                section, _, clause = number.partition(".")
                self._clauses.append((index, int(section), int(clause)))

    def stands(self, number: str, index: int) -> bool:
        """Does the number begin a line after ``index`` at which a unit may begin?"""
        return self._last.get(number, -1) > index

    def opens(self, number: int, index: int, end: int) -> bool:
        """Does a line after ``index`` and before ``end`` begin with the number of the first clause of this section
        (``3.1`` for ``3``), before another line begins with the number of the section itself?
        """
        first, again = self._after(f"{number}.1", index), self._after(str(number), index)
        return first is not None and first < end and (again is None or first < again)

    def comes_again(self, number: int, index: int) -> bool:
        """Does this number of a section begin another line after ``index``, before its first clause, as in a table of
        contents?
        """
        first, again = self._after(f"{number}.1", index), self._after(str(number), index)
        return first is not None and again is not None and again < first

    def clauses(self, start: int, end: int) -> list[tuple[int, int, int]]:
        """The clauses from the line ``start`` up to ``end``, without ``end``: the line, and the two parts of the
        number.
        """
        return self._clauses[bisect_left(self._clauses, (start,)) : bisect_left(self._clauses, (end,))]

    def has_clauses(self, start: int, end: int) -> bool:
        """Is one of the clauses from ``start`` up to ``end`` the first one of a section, such as 3.1?"""
        return any(clause == 1 for _, _, clause in self.clauses(start, end))

    def clause_before(self, index: int) -> bool:
        """Does a clause begin before ``index``?"""
        return bool(self._clauses) and self._clauses[0][0] < index

    def next_section(self, index: int, end: int) -> int:
        """The section of the first clause after ``index`` and before ``end``; 0 if there is none."""
        at = bisect_right(self._clauses, (index, 1000))
        return self._clauses[at][1] if at < len(self._clauses) and self._clauses[at][0] < end else 0

    def _after(self, number: str, index: int) -> int | None:
        lines = self._lines.get(number, [])
        place = bisect_right(lines, index)
        return lines[place] if place < len(lines) else None


def _contents(lines: Sequence[str]) -> set[int]:
    """The indexes of the lines of a table of contents. Each contains a number and ends with a page, and its words come
    again below without the page. If there is only one, it needs dots, a tab, several spaces or a word such as «стр.» at
    the page.
    """
    entries: dict[str, int] = {}
    for index, line in enumerate(lines):
        page = _PAGE.search(line) if any(map(str.isdigit, line[-12:])) else None
        words = _bare(line[: page.start()]) if page and any(map(str.isdigit, page[0])) else ""
        if any(map(str.isdigit, words)):  # «Приложение 1» is no entry «Приложение» on page 1.
            entries[words] = index
    if not entries:
        return set()
    again = ((index, entries.get(_bare(line), index)) for index, line in enumerate(lines))
    found = {entry for index, entry in again if entry < index}
    return found if len(found) > 1 or any(_LEADER.search(lines[entry][-20:]) for entry in found) else set()


def _bare(line: str) -> str:
    """The words of a line in small letters, without marks, dots and colons at the ends of the line."""
    return " ".join(line.strip("#*_ 	.:").lower().split())


def _first_number(words: str) -> int:
    """The first one to three digits in the words of an appendix, as a number; of a longer number only the first three
    digits. 0 if the words have no digit.
    """
    match = re.search(r"\d{1,3}", words)
    return int(match[0]) if match else 0
