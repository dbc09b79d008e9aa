"""Finds which lines of an agreement begin a unit, by the grammar of numbers, without parsing Markdown.

The docstring of ``clauses`` describes the grammar.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from agreement.text.front_matter import MAX_LINES, front_matter

Kind = Literal["title", "section", "clause", "subclause", "item", "note", "heading", "text"]

_BLANK = "[ \u00a0\u2000-\u200b\u202f\u2060\ufeff]"  # Word and web pages indent with all of these.
#: What may begin a unit. It excludes four digits (a year), a leading zero (a date) and four parts (an address).
_NUMBERED = re.compile(
    rf"(?P<indent>{_BLANK}*+)(?P<hashes>\#{{0,6}})[ ]*+(?P<strong>\*{{1,3}}|_{{1,3}})?"
    r"(?:(?P<number>[1-9]\d{0,2}(?:\.[1-9]\d{0,2}){0,2})(?P<dot>\\?\.|)|(?P<item>[1-9]\d{0,2}|[a-zа-яёәғқңөұүһі])\))"
    r"(?P<closed>\*{1,3}|_{1,3})?(?=\s|$)\s*(?P<rest>.*)"
)
_NOTE = re.compile(r"(?P<label>(?:Ескерту|Ескертпе|Примечани[ея]|Сноска)\s?[.:])\s*(?P<rest>.*)")
_HEADING = re.compile(r"(?P<hashes>\#{1,6})(?P<rest>.*)")
_UNDERLINE = re.compile(r"(?:=+|-+) *$")
_BULLET = re.compile(r" {0,3}(?:[-*+]|\d+\.)\s")
# «Қосымша» is also an adjective («Қосымша шарттар»). It is an appendix only if the line ends after it, or if its number
# or a punctuation mark follows.
_APPENDIX = re.compile(
    r"(?:приложение(?:\s*(?:№|n)?\s*\d{1,2}|\s+[а-я])?(?P<of>\s+к\s.*)?"
    r"|(?P<to>\S*[гқкғ][еа]\s+)?(?:№\s*)?(?:\d{1,2}\s*[-–‑]?\s*(?:ші\s+)?)?қосымша(?:\s*(?:№\s*)?\d{1,2})?)"
    r"\s*(?P<title>(?:[.:–—-]|\().*)?",
    re.IGNORECASE,
)

_CONTENTS = re.compile(r"[1-9]\d?\.?\s")
#: After a line that ends so, a number is a reference or counts something. It begins no unit.
_REFERS = re.compile(
    r"(?:(?<!\w)(?:п?п\.|(?:под)?пункт\w*|раздел\w*|стать\w*|ст\.|с|по|от|до|TLS|SSL|WPA|HTTPS?|USB|ISO|DSS|v|верси\w+"
    r"|нұсқа\w*|хаттама\w*|протокол\w*)"
    r"|(?<!\w)(?:п?п\.|пункт\w*|раздел\w*)\s*[\d.]+(?:\s*(?:[,–—-]|и|по)\s*[\d.]+)*\s*(?:[,–—-]|и|или|либо|по))\s*$",
    re.IGNORECASE,
)
_ITEM_REFERS = re.compile(r"(?:\bподпункт\w*|\w(?:тың|тің|ның|нің|дың|дің))\s*$", re.IGNORECASE)
#: After a line that ends so, the sentence or the list continues.
_CONTINUES = re.compile(r"(?:[,–—-]|\b(?:и|или|либо|және|мен|немесе))\s*$", re.IGNORECASE)
_ENDED = re.compile(r"(?:[.;:!?…][»”\")*_]*|\|)\s*$")
_ABBREVIATED = re.compile(r"(?<!\w)(?:гг?|ж|ст|гл|ч|см|стр|им|др|пр|тг|тыс|млн|млрд|руб|коп|мың)\.\s*$", re.IGNORECASE)
#: Before such a unit of measurement, a number without a final dot is a quantity. It begins no unit of the text.
_UNIT = re.compile(
    r"(?:[%°€$₸₽]|(?:МРП|АЕК|МЗП|тыс|мың|млн|млрд|тенге|теңге|тг|руб|раз|есе|пайыз|процент|[КМГТ]?[бБ]|[KMGT]i?B|кг|к?м|га"
    r"|час|сағат|мин|день|дня|дней|күн|год|лет|жыл)(?!\w)|(?:тенге|теңге|процент|пайыз|раз|минут|час|рубл)\w{0,4}(?!\w))"
)


@dataclass(slots=True)
class Start:
    """A unit that begins at ``line``, counted from 0.

    ``kind``, ``number``, ``label`` and ``parent`` are those of ``clauses.Clause``: ``number`` is ``""`` if the unit has
    none, ``label`` is the number as it is printed or the first word of a note, and ``parent`` is the number of the unit
    that contains this one. ``rest`` is the line without its label and without the marks of a heading; ``""`` for a
    text. ``tag`` is the HTML element of the unit. ``words`` are its lines of text; :func:`outline` leaves them empty,
    and ``clauses`` fills them.
    """

    line: int
    kind: Kind
    number: str = ""
    label: str = ""
    parent: str = ""
    rest: str = ""
    tag: str = "p"
    words: list[str] | tuple[str, ...] = ()


def outline(lines: list[str]) -> Iterator[Start]:
    """Yield the units that begin in these lines, in order. The lines have no line ends. The first line that is not
    empty always begins a unit. The time is linear in the length of the lines.
    """
    reading = _Reading(lines)
    for index, line in enumerate(lines):
        if start := reading.line(index, line):
            yield start


class _Reading:
    """One reading of an agreement. What a number at a line means depends on the lines read so far, and sometimes on
    later lines.
    """

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.title = front_matter("\n".join(lines[:MAX_LINES])).line  # No unit but a text begins before it.
        self.current: Start | None = None  # The last unit. The next line belongs to it, unless it begins a unit.
        self.in_list = self.blank = False
        self.section = self.clause = ""  # As printed: in an appendix without the prefix.
        self.dot = "."  # What follows the number of the last clause: "." or "".
        # ``appendix`` is "a1" until its first number decides. ``scope`` is then "a1." if it starts its own numbering.
        self.scope = self.appendix = ""
        self.appendices = 0
        self.has_clauses = False
        self.sub = ""
        self.seen: set[str] = set()
        self.counts: dict[str, int] = {}

    def line(self, index: int, line: str) -> Start | None:
        """The unit that begins at this line; ``None`` if none does. Call it once for each line, in order."""
        bare, current = line.strip(), self.current
        if not bare:
            self.blank = True
            return None
        separate = self.blank or current is None or current.kind in {"title", "section", "heading"}
        self.blank = False
        if current and current.line + 1 == index and current.tag != "p" and underlined(self.lines, index - 1):
            return None
        start = self._begin(index, bare, separate=separate) if index >= self.title else None
        if start is None:
            self.in_list = (self.in_list and (not separate or line[:1] == " ")) or _BULLET.match(line) is not None
            first = index == self.title or (current is None and index > self.title)
            if first and not self.in_list and line[:4].strip() and bare[0] not in ">|":
                start = Start(index, "title", rest=bare.strip("#").strip(), tag="h1")
            elif current is None or current.kind in {"title", "section", "heading"}:
                start = Start(index, "text")
            else:
                return None
        else:
            self.in_list = False
            if (current is None or index == self.title) and start.kind == "heading" and not start.number:
                start.kind = "title"
        self._number(start)
        self.current = start
        return start

    def _number(self, start: Start) -> None:
        """Set the number and the parent of the unit, which depend on the units before it, and remember them for the
        units after it. The number of an appendix is already set. ``2)`` before the first number has the parent ``0``,
        and so has ``ә)`` if it follows no ``2)``.
        """
        if start.kind == "heading" and start.number:
            self.appendix, self.scope, self.section, self.clause, self.sub = start.number, "", "", "", ""
            return
        if start.number:
            if self.appendix and not self.scope:
                self.scope, self.appendix = (f"{self.appendix}." if start.number in self.seen else ""), ""
            if not self.scope:
                self.seen.add(start.number)
            if start.kind == "section":
                self.section, self.clause = start.number, ""
            else:
                self.clause, self.dot, self.has_clauses = start.number, start.label[len(start.number) :], True
            self.sub = ""
            start.number = self.scope + start.number
            start.parent = start.number.rpartition(".")[0]
            return
        here = self._here()
        if start.kind == "subclause":
            start.parent = here or "0"
            start.number = self.sub = f"{start.parent}-{start.label[:-1]}"
        elif start.kind == "item":
            start.parent = self.sub or here or "0"
            self.counts[start.parent] = self.counts.get(start.parent, 0) + 1
            start.number = start.parent + ("" if self.sub else "-") + _letter(self.counts[start.parent])
        else:
            start.parent = self.sub or here

    def _here(self) -> str:
        """The number of the last section, clause, sub-clause such as 1.1.1 or appendix; ``""`` before the first."""
        local = self.clause or self.section
        return self.scope + local if local else self.scope.rstrip(".") or self.appendix

    def _begin(self, index: int, bare: str, *, separate: bool) -> Start | None:
        """The unit that begins at this line, before ``_number`` completes its number; ``None`` if none begins. A title
        without a heading mark and a text are not found here: ``line`` begins them.

        ``bare`` is the line without white space at its ends. ``separate``: is the line the first one, or does it follow
        an empty line, a title, a section or a heading?
        """
        lines, first = self.lines, bare[0]
        start: Start | None = None
        if "осымша" in bare or "ОСЫМША" in bare or bare.lstrip("#*_ ")[:10].lower() == "приложение":
            start = self._appendix(index, bare, separate=separate)
        if start:
            return start
        if first in "#*_\u200b\u2060\ufeff" or first.isdigit() or bare[1:2] == ")":
            if (match := _NUMBERED.match(lines[index])) and not (len(match["indent"]) > 3 and self.in_list):
                start = self._numbered(index, match, separate=separate)
        elif match := _NOTE.match(bare):
            start = Start(index, "note", label=match["label"], rest=match["rest"])
        if start:
            return start
        if first == "#" and lines[index][0] == "#" and (match := _HEADING.match(lines[index])):
            rest = match["rest"].rstrip().rstrip("#").strip()
            return Start(index, "heading", rest=rest, tag=f"h{max(2, len(match['hashes']))}")
        if separate and not lines[index].startswith("    ") and underlined(lines, index) and first not in "->|=*+":
            return Start(index, "heading", rest=bare, tag="h2")
        return None

    def _appendix(self, index: int, bare: str, *, separate: bool) -> Start | None:
        words = bare.strip("#*_ ")
        heads = bare[0] == "#" or words.isupper() or (separate and underlined(self.lines, index))
        match = _APPENDIX.fullmatch(words)
        if match is None or not (heads or (words[0].isupper() or words[0].isdigit() or words[0] == "№")):
            return None
        before = self.lines[index - 1].strip() if index else ""
        listed = _APPENDIX.fullmatch(before) or _APPENDIX.fullmatch(self._next(index))
        if not heads and (words[-1] in ".;,:" or listed or _REFERS.search(before[-60:])):
            return None  # A sentence about an appendix, or a list of appendices.
        self.appendices += 1
        return Start(index, "heading", f"a{self.appendices}", rest=words, tag="h2")

    def _numbered(self, index: int, match: re.Match[str], *, separate: bool) -> Start | None:
        rest = match["rest"].strip()
        number, dot = match["number"], "." if match["dot"] else ""
        depth = number.count(".") if number else 0
        if (strong := match["strong"]) and not match["closed"]:
            if number and not depth and rest.endswith(strong) and strong not in rest[: -len(strong)]:
                rest = rest[: -len(strong)]  # **1. ALL OF IT**: a heading needs no emphasis.
            else:
                rest = strong + rest
        elif match["closed"] and not strong:
            rest = match["closed"] + " " + rest
        if match["hashes"]:
            rest = rest.rstrip("#").rstrip()
        previous = "" if separate or not index else self.lines[index - 1][-60:]
        if label := match["item"]:
            if match["hashes"] or _ITEM_REFERS.search(previous) or rest.startswith(("тармақша", "подпункт")):
                return None
            return Start(index, "subclause" if label.isdigit() else "item", label=f"{label})", rest=rest)
        heads = bool(match["hashes"]) or (separate and underlined(self.lines, index))
        if previous and (_REFERS.search(previous) or rest.startswith(("тармақ", "тармағ", "бөлім"))):
            return None
        if not depth:
            begins = heads or self._opens(index, number, dot, rest.lstrip("*_"), previous)
            return Start(index, "section", number, number + dot, rest=rest, tag="h2") if begins else None
        if not heads and not self._begins(index, number, dot, rest, previous):
            return None
        kind: Kind = "clause" if depth == 1 else "subclause"
        return Start(index, kind, number, number + dot, rest=rest, tag="h3" if heads else "p")

    def _opens(self, index: int, number: str, dot: str, rest: str, previous: str) -> bool:
        """Does the number begin a section? Otherwise it may be an item of a Markdown list or part of a sentence.

        ``dot`` is the dot after the number or ``""``, and ``rest`` the text after it. ``previous`` is the end of the
        line before, ``""`` if that line does not belong to the same paragraph.
        """
        next_in_order = int(number) == int(self.section or 0) + 1
        if not rest or (_CONTINUES.search(previous) and not next_in_order):
            return False
        following = self._next(index)
        if _CONTENTS.match(following) and self.ahead.comes_again(number, index):
            return False
        if following.lstrip("#*_ ").startswith(f"{number}.1"):
            return bool(dot) or rest.isupper() or (rest[0].isupper() and next_in_order)
        if not dot or self._lists(index, number):
            return False
        if rest.isupper() and len(rest) > 2:
            return True
        if not rest[0].isupper() or not next_in_order:
            return False
        return self.ahead.opens(number, index) or self._stands_alone(index, number, rest, previous)

    def _lists(self, index: int, number: str) -> bool:
        """Is the line an item of a list: ``1.`` in a clause, after a line that ends with a colon, or an item directly
        under the one before it? The one before it must begin no unit other than a text.
        """
        if number == "1":
            before = next((line for line in reversed(self.lines[max(0, index - 3) : index]) if line.strip()), "")
            return bool(self.clause) and before.rstrip().endswith(":")
        listed = self.current is None or self.current.line != index - 1 or self.current.kind == "text"
        return listed and index > 0 and self.lines[index - 1].strip().startswith(f"{int(number) - 1}. ")

    def _stands_alone(self, index: int, number: str, rest: str, previous: str) -> bool:
        """Is the line a section without clauses that follows sections with clauses, such as «7. Реквизиты сторон»?

        ``number`` and ``rest`` are the number and the other words of the line. ``previous`` is the end of the line
        before it, ``""`` if that is not in the same paragraph.
        """
        if self.in_list or not self.section or not self.has_clauses or len(rest) > 100 or rest[-1] in ",;:":
            return False
        return (not previous or _ENDED.search(previous) is not None) and not self.ahead.stands_again(number, index)

    def _next(self, index: int) -> str:
        return next((line.strip() for line in self.lines[index + 1 : index + 4] if line.strip()), "")

    def _begins(self, index: int, number: str, dot: str, rest: str, previous: str) -> bool:
        """Does the number, of two or three parts, begin a clause or sub-clause? Otherwise it is a quantity or a date,
        or it belongs to a sentence that was wrapped before it. Headings are not asked about.

        ``dot`` is the dot after the number or ``""``, and ``rest`` the text after it. ``previous`` is the end of the
        line before, ``""`` if that line does not belong to the same paragraph.
        """
        head = number.partition(".")[0]
        follows = self._follows(number)
        if not dot and not follows:  # "2.5 МРП", "10.12.24 г.", "10.30 начало", "8.727.250 00 00" begin no clause.
            if _UNIT.match(rest) or (number.count(".") == 2 and _is_date(number)):
                return False
            if self.section and head != self.section and (rest[:1].islower() or rest[:1].isdigit()):
                return False
        if not previous or (_ENDED.search(previous) and not _ABBREVIATED.search(previous)):
            return True
        if not rest or self.ahead.stands(number, index) or (self.dot and not dot):
            return False
        if follows:
            return bool(dot) or not (rest[0].islower() or _UNIT.match(rest) or _CONTINUES.search(previous))
        here = self.section or self.clause.partition(".")[0]
        return head == here and rest[0].isupper() and not _CONTINUES.search(previous)

    def _follows(self, number: str) -> bool:
        """Is this the next number after that of the last clause, at any depth: after 1.1, is it 1.1.1, 1.2 or 2.1?

        If the section has no clause yet: is it the first clause of the section, such as 2.1? If there is no section
        either, the first clause of any section is the next number.
        """
        if not self.clause:
            return number == f"{self.section or number.partition('.')[0]}.1"
        parts = [int(part) for part in self.clause.split(".")]
        following = {f"{self.clause}.1", f"{parts[0] + 1}.1"}
        for depth in range(1, len(parts)):
            following.add(".".join(map(str, [*parts[:depth], parts[depth] + 1])))
        return number in following

    @cached_property
    def ahead(self) -> _Ahead:
        return _Ahead(self.lines)


class _Ahead:
    """The indexes of the lines that begin with each number. They are collected when a line alone does not show whether
    it begins a unit, once for a text.
    """

    _NUMBER = re.compile(rf"{_BLANK}*+#{{0,6}} *+[*_]*+([1-9]\d{{0,2}}(?:\.[1-9]\d{{0,2}}){{0,2}})(?=[.\s*_])")

    def __init__(self, lines: list[str]) -> None:
        self._lines: dict[str, list[int]] = defaultdict(list)
        self._last: dict[str, int] = {}
        previous = ""
        for index, line in enumerate(lines):
            if match := self._NUMBER.match(line):
                self._lines[match[1]].append(index)
                if not previous.strip() or _ENDED.search(previous[-9:]):
                    self._last[match[1]] = index
            previous = line

    def stands(self, number: str, index: int) -> bool:
        """Does the number begin a line after ``index`` that follows a finished sentence or an empty line?"""
        return self._last.get(number, -1) > index

    def opens(self, number: str, index: int) -> bool:
        """Does a line after ``index`` begin with the number of the first clause of this section (``3.1`` for ``3``),
        before another line begins with the number of the section itself? Only the beginnings of lines are compared, so
        a reference that a line break moved there counts too.
        """
        first, again = self._after(f"{number}.1", index), self._after(number, index)
        return first is not None and (again is None or first < again)

    def comes_again(self, number: str, index: int) -> bool:
        """Is this number of a section repeated after ``index``, before its first clause? Then the line at ``index`` is
        in a table of contents.
        """
        first, again = self._after(f"{number}.1", index), self._after(number, index)
        return first is not None and again is not None and again < first

    def stands_again(self, number: str, index: int) -> bool:
        """Does a line after ``index`` begin with this number?"""
        return self._after(number, index) is not None

    def _after(self, number: str, index: int) -> int | None:
        lines = self._lines.get(number, [])
        place = bisect_right(lines, index)
        return lines[place] if place < len(lines) else None


def _is_date(number: str) -> bool:
    day, month, year = map(int, number.split("."))
    return day <= 31 and month <= 12 and year >= 20


#: Beginnings of lines that authors mean as numbers, but that are not recognised: 1.1.Text, 1.1.1.1., 1.1), 1. 1., (1),
#: A), I. TEXT, Статья 1., 1-бап., and a number after a bullet.
_ALMOST = re.compile(
    r"[\s\u200b]*+(?:[*_]{0,3}(?:"
    r"[1-9]\d{0,2}(?:\.[1-9]\d{0,2}){0,3}\.[A-Z\u0400-\u052f]"
    r"|[1-9]\d{0,2}(?:\.[1-9]\d{0,2}){1,2}(?:[A-Z\u0410-\u042f]|\.?[):])"
    r"|(?P<deep>[1-9]\d{0,2}(?:\.[1-9]\d{0,2}){3,})(?P<dot>\.?)(?=\s|$)"
    r"|[1-9]\d?\.\s+[1-9]\d?\.\s(?!\d)"
    r"|\((?:\d{1,2}|[a-zа-яәғқңөұүһі])\)\s|[A-ZА-ЯӘҒҚҢӨҰҮҺІ]\)\s"
    r"|[IVXІХ]{1,5}[.)]\s+[*_]*[A-ZА-ЯЁӘҒҚҢӨҰҮҺІ]"
    r"|(?i:статья|глава|раздел|параграф|пункт|подпункт|часть|бап|тарау|§)\s*№?\s*(?:\d{1,3}(?:\.\d{1,3}){0,2}|[IVXІХ]{1,5})"
    r"\s*(?:[.:)]|$)"
    r"|\d{1,3}(?:\.\d{1,3}){0,2}\s?[-–‑]\s?(?i:бап|тарау|бөлім|тармақ|параграф)\s*(?:[.:]|$))"
    r"|(?:(?:[-*+•·◦▪–—>]|[1-9]\d?[.)])\s+)+[*_]{0,3}[1-9]\d{0,2}(?:\.[1-9]\d{0,2}){1,2}"
    r"(?:\.[*_]{0,3}\s|\s+[A-ZА-ЯЁӘҒҚҢӨҰҮҺІ]))"
)


def resembles_number(line: str, previous: str, clause: str) -> bool:
    """Does the line begin with something like a number, written in a way that the grammar does not recognise?

    The caller asks only about lines that begin no numbered unit. ``previous`` is the line before it; the answer is no
    if that line is not empty and does not end a sentence. ``clause`` is the number of the unit that contains the line.
    """
    if not (match := _ALMOST.match(line)) or (previous.strip() and not _ENDED.search(previous[-60:])):
        return False
    # 192.168.0.1 is an address, but 1.1.1.1 inside clause 1.1.1 is not.
    return not match["deep"] or bool(match["dot"]) or match["deep"].startswith(f"{clause}.")


def underlined(lines: list[str], index: int) -> bool:
    """Is the line at that index underlined by the next one, which makes it a heading in Markdown? The next line then
    contains only ``=`` or only ``-``, one or more, and perhaps spaces after them. The line itself is not examined.
    """
    return index + 1 < len(lines) and lines[index + 1][:1] in ("=", "-") and bool(_UNDERLINE.match(lines[index + 1]))


def _letter(place: int) -> str:
    """The letters for a place: 1 → a, 26 → z, 27 → aa. Every place after 702 gives zz."""
    place = min(place, 702) - 1
    return (chr(96 + place // 26) if place >= 26 else "") + chr(97 + place % 26)
