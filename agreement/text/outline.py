"""Finds which lines of an agreement begin a unit, by the grammar of numbers, without parsing Markdown.

The docstring of ``clauses`` describes the grammar.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from agreement.text.front_matter import MAX_LINES, front_matter
from agreement.text.headings import (
    CONTINUES,
    ENDED,
    HEADING,
    NUMBERED,
    REFERS,
    heading_words,
    is_ended,
    numeral,
    underlined,
    unmarked,
)
from agreement.text.scheme import Doubt, Scheme

Kind = Literal["front", "title", "section", "clause", "subclause", "item", "note", "heading", "text"]

_NOTE = re.compile(r"(?P<label>(?:Ескерту|Ескертпе|Примечани[ея]|Сноска)\s?[.:])\s*(?P<rest>.*)")
#: A section before the first one, and its clauses. The section has the number 00, because items before the first
#: number have the parent 0.
_ZERO = re.compile(r"\#{1,6}\s+0\.\s+(?P<rest>.*\w.*)")
_ZERO_CLAUSE = re.compile(r"(?P<label>0\.[1-9]\d?\.?)\s+(?P<rest>.+)")
_BULLET = re.compile(r" {0,3}(?:[-*+]|\d+\.)\s")
_ITEM_REFERS = re.compile(r"(?:\bподпункт\w*|\w(?:тың|тің|ның|нің|дың|дің))\s*$", re.IGNORECASE)
#: A heading that stands in an anchor of HTML or behind one. The anchor remains text, and its words begin a unit.
_ANCHORED = re.compile(
    r"(?P<hashes>#{1,6}\s+)(?P<open><a\s+(?:name|id)\s*=\s*(?:\"[^\"<>]*\"|'[^'<>]*'|[\w-]+)\s*>)"
    r"(?:(?P<close></a>)\s*(?P<behind>[^\s<].*)|(?P<inside>[^<]+)</a>(?P<end>[\s#]*)$)",
    re.IGNORECASE,
)
#: A line or heading that is bold by HTML. The tags remain text, and its words begin a unit.
_BOLD = re.compile(
    r"(?P<hashes>\s*(?:#{1,6}\s+)?)(?P<open><(?P<tag>b|strong)>)\s*(?P<words>[^\s<][^<]*)(?P<close></(?P=tag)>)\s*$",
    re.IGNORECASE,
)
#: A heading in a list of Markdown.
_LISTED = re.compile(r" {0,3}(?P<number>[1-9]\d{0,2}(?:\.\d{1,3}){0,3}\.?) +(?P<hashes>#{1,6}) +(?P<rest>\S.*)")
#: Before such a unit of measurement, a number without a final dot is a quantity. It begins no unit of the text.
_UNIT = re.compile(
    r"(?:[%°€$₸₽]|(?:МРП|АЕК|МЗП|тыс|мың|млн|млрд|тенге|теңге|тг|руб|раз|есе|пайыз|процент|[КМГТ]?[бБ]|[KMGT]i?B|кг|к?м|га"
    r"|час|сағат|мин|день|дня|дней|күн|год|лет|жыл)(?!\w)|(?:тенге|теңге|процент|пайыз|раз|минут|час|рубл)\w{0,4}(?!\w))"
)


@dataclass(slots=True)
class Start:
    """A unit that begins at ``line``, counted from 0.

    ``kind``, ``number``, ``label`` and ``parent`` are those of ``clauses.Clause``. ``label`` is the number as it is
    printed, or the first word of a note; ``""`` if the unit has neither, for an appendix, and for a section that has no
    printed number but the number of its place among the headings. ``parent`` is the number of the unit that contains
    this one, which need not be in the text: 1.1 has the parent 1. It is ``0`` for ``2)`` before the first section,
    clause or appendix, and for ``ә)`` there if no ``2)`` precedes it; ``""`` for a unit that no other one contains.
    ``rest`` are the words of the line or of the whole heading, without the label and without the marks of a heading;
    ``""`` for a text and for the front. ``tag`` is the HTML element of the unit. ``last`` is the index of the last
    line of its heading, or ``line``. ``words`` are its lines of text; :func:`outline` leaves them empty, and
    ``clauses`` fills them.

    ``doubt`` is ``clauses`` if the numbers that begin here were read as clauses and might be a list, ``list`` if
    numbers in this unit were read as a list and might be clauses, ``glued`` if no space follows the number,
    ``repeated`` if the line after a heading begins with its number again, ``counted`` if the number of a heading is its
    place among headings of which the title may be the first, and ``""`` otherwise.
    """

    line: int
    kind: Kind
    number: str = ""
    label: str = ""
    parent: str = ""
    rest: str = ""
    tag: str = "p"
    last: int = -1
    doubt: Doubt = ""
    words: list[str] | tuple[str, ...] = ()


def outline(lines: list[str]) -> Iterator[Start]:
    """Yield the units that begin in these lines, in order. The lines have no line ends. The first line that is not
    empty begins a unit.
    """
    reading = _Reading(lines)
    for index in range(len(lines)):
        if start := reading.line(index):
            yield start


class _Reading:
    """One reading of an agreement. What a number at a line means depends on the lines read so far, and sometimes on
    later lines.
    """

    def __init__(self, lines: list[str]) -> None:
        self.anchors: dict[int, tuple[str, str]] = {}  # Line → the tags around its words.
        self.lines = lines = [self._without_tags(index, line) for index, line in enumerate(lines)]
        self.title = front_matter("\n".join(lines[:MAX_LINES])).line  # Only the front begins before it.
        self.scheme = Scheme(lines, self.title)
        self.current: Start | None = None  # The last unit. The next line belongs to it, unless it begins a unit.
        self.in_list = self.blank = False
        self.section = self.clause = ""  # As printed: in an appendix without the prefix.
        self.dot = "."  # What follows the number of the last clause: "." or "".
        # ``appendix`` is "a1" until its first number decides. ``scope`` is then "a1." if it starts its own numbering.
        self.scope = self.appendix = ""
        self.appendices = 0
        self.sub = self.point = ""
        self.seen: set[str] = set()
        self.last = 0  # The first part of the last number outside of such appendices.
        self.counts: dict[str, int] = {}
        # The lists of items that are open, the inner one last: is it Roman, the value of its last label, its parent.
        self.lists: list[tuple[bool, int, str]] = []
        self.item = ""  # The number of the last item.

    def _without_tags(self, index: int, line: str) -> str:
        """The line without an anchor of HTML around or before the words of its heading, and without tags that make the
        whole line bold. The tags are stored in ``anchors`` under ``index``, the index of the line. In a heading in a
        list, such as ``1. ## Words``, the marks are put before the number.
        """
        if "#" in line[2:16] and (match := _LISTED.match(line)):
            return f"{match['hashes']} {match['number']} {match['rest']}"
        if line.rstrip()[-1:] == ">" and (match := _BOLD.match(line)):
            self.anchors[index] = match["open"], match["close"]
            return match["hashes"] + match["words"].rstrip()
        match = _ANCHORED.match(line) if line[:1] == "#" else None
        if match is None:
            return line
        self.anchors[index] = match["open"] + (match["close"] or ""), "" if match["close"] else "</a>"
        return match["hashes"] + (match["behind"] or match["inside"] + match["end"])

    def line(self, index: int) -> Start | None:
        """The unit that begins at the line with this index; ``None`` if none does. Call it for each line, in order."""
        line = self.lines[index]
        bare, current = line.strip(), self.current
        if current and index <= current.last:
            return None
        if not bare:
            self.blank = True
            return None
        separate = self.blank or current is None or current.kind in {"title", "section", "heading"}
        self.blank = False
        if current and current.last + 1 == index and current.tag != "p" and underlined(self.lines, index - 1):
            return None
        first = index == self.title or (current is None and index > self.title >= 0)
        start = self._begin(index, bare, separate=separate) if index >= self.title else None
        if start is None:
            self.in_list = (self.in_list and (not separate or line[:1] == " ")) or _BULLET.match(line) is not None
            if first and not self.in_list and line[:4].strip() and bare[0] not in ">|":
                start = Start(index, "title", rest=bare.strip("#").strip(), tag="h1")
            elif current is None or current.kind in {"title", "section", "heading"}:
                start = Start(index, "front" if index < self.title else "text")
            else:
                if index in self.scheme.lists:
                    current.doubt = "list"
                return None
        else:
            self.in_list = False
            if first and start.kind == "heading" and not start.number:
                start.kind = "title"
        start.last = max(start.last, index)
        for at in range(start.last, index - 1, -1) if start.kind not in {"front", "text"} else ():
            start.rest = start.rest.join(self.anchors.get(at, ("", "")))
        if index in self.scheme.lists:
            start.doubt = "list"
        self._number(start)
        self.current = start
        return start

    def _number(self, start: Start) -> None:
        """Complete the number and the parent of the unit, which depend on the units before it, and remember them for
        the units after it. The number of an appendix is already complete.
        """
        if start.kind == "heading" and start.number:
            self.appendix, self.scope, self.section, self.clause, self.sub = start.number, "", "", "", ""
            self.point, self.lists = "", []
            return
        if start.number:
            if self.appendix and not self.scope:
                first = start.number.partition(".")[0]
                anew = start.number in self.seen or (first.isdigit() and int(first) < self.last)
                self.scope, self.appendix = (f"{self.appendix}." if anew else ""), ""
            if not self.scope:
                self.seen.add(start.number)
                first = start.number.partition(".")[0]
                self.last = int(first) if first.isdigit() else self.last
            if start.kind == "section":
                self.section, self.clause, self.point = start.number, "", ""
            else:
                label = start.label.rstrip(".")
                if "." not in label:
                    # The point «2.» of the article 54 has the number 54.2.
                    self.point = label if start.number.endswith(f".{label}") else ""
                self.clause, self.dot = start.number, start.label[-1:] if start.label.endswith(".") else ""
            self.sub, self.lists = "", []
            start.number = self.scope + start.number
            start.parent = self.scope + start.parent if start.parent else self.scope.rstrip(".")
            return
        here = self._here()
        if start.kind == "subclause":
            start.parent = here or "0"
            start.number = self.sub = f"{start.parent}-{start.label.strip('().')}"
            self.lists = []
        elif start.kind == "item":
            self._number_item(start, self.sub or here or "0")
        else:
            start.parent = self.sub or here

    def _number_item(self, start: Start, owner: str) -> None:
        """Set the number and the parent of an item. ``owner`` is the number of the unit that contains the list, such as
        a clause or a sub-clause; ``0`` before the first one. Roman numerals from ``i`` on that follow a letter, and
        letters from ``a`` on that follow a numeral, are items of that item.
        """
        roman, value = self._item(start.line, start.label.strip("()"))
        kinds = [kind for kind, _, _ in self.lists]
        if roman in kinds:
            del self.lists[kinds.index(roman) + 1 :]
        elif not self.lists:
            self.lists.append((roman, value, owner))
        elif value == 1:
            self.lists.append((roman, value, self.item))
        kind, _, start.parent = self.lists[-1]
        self.lists[-1] = kind, value, start.parent
        place = self.counts[start.parent] = self.counts.get(start.parent, 0) + 1
        if len(self.lists) > 1:
            start.number = f"{start.parent}{min(place, 999)}"
        else:
            start.number = start.parent + ("" if self.sub else "-") + _letter(place)
        self.item = start.number

    def _item(self, index: int, label: str) -> tuple[bool, int]:
        """Is the label of an item read as a Roman numeral, and what is its value?

        A label of several letters is a numeral. The value of one Latin letter that is no numeral is its place in the
        alphabet. Of the Cyrillic letters, ``а`` has 1, ``б`` and ``ә`` have 2, and all others have 0 except ``ы``.
        ``ы`` has 8, as ``h`` has, because ``і`` follows ``ы`` as ``i`` follows ``h``. What one letter such as ``i`` is
        depends on the lists that are open, and after ``h`` or ``ы`` on the label of the next item. ``index`` is the
        index of the line, and ``label`` has no brackets.
        """
        value = numeral(label.upper())
        letter = _LETTERS.get(label, 0)
        if len(label) > 1:
            return True, value
        letters = any(not kind for kind, _, _ in self.lists)
        if value and any(
            kind and (last + 1 == value or (last < value and not letters)) for kind, last, _ in self.lists
        ):
            return True, value
        if value != 1 or not any(not kind and last == 8 for kind, last, _ in self.lists):
            return value == 1, value if value == 1 else letter
        # After ``h`` comes ``i``, unless ``ii`` shows that numerals begin.
        for line in self.lines[index + 1 : index + 20]:
            if (match := NUMBERED.match(line)) and match["item"]:
                roman = len(match["item"]) == 2 and numeral(match["item"].upper()) == 2
                return roman, 1 if roman else letter
        return False, letter

    def _here(self) -> str:
        """The number of the last section, clause, sub-clause such as 1.1.1 or appendix; ``""`` before the first."""
        local = self.clause or self.section
        return self.scope + local if local else self.scope.rstrip(".") or self.appendix

    def _begin(self, index: int, bare: str, *, separate: bool) -> Start | None:
        """The unit that begins at this line, before ``_number`` completes its number; ``None`` if none begins. A title
        without a heading mark and a text are not found here: ``line`` begins them.

        ``index`` is the index of the line, and ``bare`` the line without white space at its ends. ``separate``: is the
        line the first one, or does it follow an empty line, a title, a section or a heading?
        """
        lines, first = self.lines, bare[0]
        start: Start | None = None
        if index in self.scheme.contents:
            return None
        if found := self.scheme.appendices.get(index):
            self.appendices += 1
            return Start(index, "heading", f"a{self.appendices}", rest=found[0], tag="h2", last=found[1])
        if role := self.scheme.roles.get(index):
            return Start(
                index, role.kind, role.number, role.label, role.parent, role.rest, role.tag, role.last, role.doubt
            )
        if (point := self.scheme.points.get(index)) and not (self.in_list and lines[index].startswith("    ")):
            return Start(index, "subclause", label=point[0], rest=point[1], tag=point[2])
        if first in "#*_(\u200b\u2060\ufeff" or first.isdigit() or ")" in bare[1:7]:
            if (match := NUMBERED.match(lines[index])) and not (len(match["indent"]) > 3 and self.in_list):
                start = self._numbered(index, match, separate=separate)
        elif match := _NOTE.match(bare):
            start = Start(index, "note", label=match["label"], rest=match["rest"])
        if start:
            return start
        if first == "0" and self.section == "00" and (match := _ZERO_CLAUSE.match(bare)):
            return Start(index, "clause", f"0{match['label']}".rstrip("."), match["label"], "00", match["rest"])
        if first == "#" and lines[index][0] == "#" and (match := HEADING.match(lines[index])):
            if (zero := _ZERO.match(lines[index])) and self.scheme.has_section_1 and not (self.seen or self.appendix):
                return Start(index, "section", "00", "0.", "", heading_words(zero["rest"]), "h2")
            rest = heading_words(match["rest"])
            return Start(index, "heading", rest=rest, tag=f"h{max(2, len(match['hashes']))}")
        if separate and not lines[index].startswith("    ") and underlined(lines, index) and first not in "->|=*+":
            return Start(index, "heading", rest=bare, tag="h2")
        return None

    def _numbered(self, index: int, match: re.Match[str], *, separate: bool) -> Start | None:
        number, dot = match["number"], "." if match["dot"] else ""
        depth = number.count(".") if number else 0
        rest = unmarked(match, match["rest"].strip(), whole=False)
        previous = "" if separate or not index else self.lines[index - 1][-60:]
        if label := match["item"]:
            if match["hashes"] or _ITEM_REFERS.search(previous) or rest.startswith(("тармақша", "подпункт")):
                return None
            if len(label) > 1 and not (label.isdigit() or numeral(label.upper())):
                return None
            if match["open"] and not self._opens(index, label, rest, previous):
                return None
            glued = match["glued"] is not None
            if glued and (match["open"] or not self._is_next_item(label, rest, previous)):
                return None
            kind: Kind = "subclause" if label.isdigit() else "item"
            printed = f"{match['open'] or ''}{label})"
            return Start(index, kind, label=printed, rest=rest, doubt="glued" if glued else "")
        heads = bool(match["hashes"]) or (separate and underlined(self.lines, index))
        if previous and (REFERS.search(previous) or rest.startswith(("тармақ", "тармағ", "бөлім"))):
            return None
        if not depth or not (heads or self._begins(index, number, dot, rest, previous)):
            return None
        glued = match["glued"] is not None
        if glued and not (
            self._follows(number) and (rest.lstrip('«"“„')[:1].isupper() or self._is_in_row(index, number))
        ):
            return None
        kind = "clause" if depth == 1 else "subclause"
        if depth == 1 and self.point and number.startswith(f"{self.point}."):
            # After the point 2 of the article 54, «2.1.» is the sub-clause 54.2.1.
            doubt_: Doubt = "glued" if glued else ""
            owner = ".".join(self.clause.split(".")[:2])
            inner = owner + number.removeprefix(self.point)
            return Start(index, "subclause", inner, number + dot, owner, rest, "h3" if heads else "p", doubt=doubt_)
        doubt: Doubt = "glued" if glued else ""
        parent, tag = number.rpartition(".")[0], "h3" if heads else "p"
        return Start(index, kind, number, number + dot, parent, rest, tag, doubt=doubt)

    def _is_in_row(self, index: int, number: str) -> bool:
        """Is this number, such as 1.1.2, in a row of numbers: has the last clause or sub-clause the number before it
        (1.1.1), or does a later line that may begin a unit begin with the one after it (1.1.3)? False for a number of
        fewer than three parts. ``index`` is the index of the line.
        """
        parent, _, last = number.rpartition(".")
        before, after = f"{parent}.{int(last) - 1}", f"{parent}.{int(last) + 1}"
        return "." in parent and (self.clause == before or self.scheme.ahead.stands(after, index))

    def _is_next_item(self, label: str, rest: str, previous: str) -> bool:
        """Does a label without a space after it, such as ``2)`` in «2)текст», begin the next sub-clause? Its number
        must be the next one after that of the last sub-clause, and either a capital letter must follow it, or no
        unfinished sentence may precede it. ``label`` has no bracket, ``rest`` is the text after it, and ``previous``
        the end of the line before, as in ``_begins``.
        """
        ended = not previous or ENDED.search(previous) is not None
        begins = rest.lstrip('«"“„')[:1].isupper() or ended
        return begins and label.isdigit() and self.sub == f"{self._here() or '0'}-{int(label) - 1}"

    def _opens(self, index: int, label: str, rest: str, previous: str) -> bool:
        """Does a label in brackets, such as ``(2)`` or ``(a)``, begin a sub-clause or item? It does if three conditions
        are met:

        - Text follows the label, and the label is not ``(c)`` before a year, which is the sign of copyright.
        - The label is in order. A number is 1 or the one after that of the last sub-clause; if ``previous`` is empty,
          it may be any number. A letter is the first of the alphabet, a Roman numeral is ``i``, or a list of the same
          kind is open.
        - ``previous`` is empty, or ends with a sign such as ``.``, ``;`` or ``:`` and not with an abbreviation. A label
          other than ``(1)`` may also follow directly the first line of a unit whose own label is in brackets.

        ``index`` is the index of the line, ``label`` has no brackets, ``rest`` is the text after it, and ``previous``
        the end of the line before, as in ``_begins``.
        """
        if not rest or (label in "cс" and rest[:4].isdigit()):
            return False
        if label.isdigit():
            before = self.sub.rpartition("-")[2]
            follows = label == "1" or (before.isdigit() and int(label) == int(before) + 1)
            if not (follows or not previous):
                return False
        else:
            roman, value = self._item(index, label)
            follows = value == 1 or any(kind == roman for kind, _, _ in self.lists)
            if not follows:
                return False
        if not previous or is_ended(previous):
            return True
        current = self.current
        return label != "1" and current is not None and current.line == index - 1 and current.label[:1] == "("

    def _begins(self, index: int, number: str, dot: str, rest: str, previous: str) -> bool:
        """Does the number, of two or more parts, begin a clause or sub-clause? Otherwise it is a quantity, a date or an
        IP address, or it belongs to a sentence that was wrapped before it. The caller does not call it for headings.

        ``index`` is the index of the line that begins with the number. ``dot`` is the dot after the number or ``""``,
        and ``rest`` the text after both. ``previous`` is the end of the line before, ``""`` if that line does not
        belong to the same paragraph.
        """
        ended = not previous or is_ended(previous)
        if number.count(".") > 2 and number.split(".")[:3] != self.clause.split(".")[:3]:
            return False  # 192.168.1.1 is an IP address. Only 3.3.14.1 below 3.3.14 is a number.
        if dot and ended:
            return True
        head, section = number.partition(".")[0], self._section()
        follows = self._follows(number)
        if not dot and not follows:  # "2.5 МРП", "10.12.24 г.", "10.30 начало", "8.727.250 00 00" begin no clause.
            if not rest or _UNIT.match(rest):
                return False
            if number.count(".") == 2 and (_is_date(number) or rest[0].islower()):
                return False
            if section and head != section and (rest[:1].islower() or rest[:1].isdigit()):
                return False
        if ended:
            return True
        below_clause = self.current is not None and self.current.line == index - 1
        if follows and below_clause and rest[:1].isupper() and not (CONTINUES.search(previous) or _UNIT.match(rest)):
            return True
        if not rest or self.scheme.ahead.stands(number, index) or (self.dot and not dot):
            return False
        if follows:
            return bool(dot) or not (rest[0].islower() or _UNIT.match(rest) or CONTINUES.search(previous))
        here = section or self.clause.partition(".")[0]
        return head == here and rest[0].isupper() and not CONTINUES.search(previous)

    def _follows(self, number: str) -> bool:
        """Is this the next number after that of the last clause, at any depth: after 1.1, is it 1.1.1, 1.2 or 2.1?

        If the section has no clause yet: is it the first clause of the section, such as 2.1? If there is no section
        either, the first clause of any section is the next number.
        """
        if not self.clause[:1].isdigit():
            return number == f"{self._section() or number.partition('.')[0]}.1"
        parts = [int(part) for part in self.clause.split(".")]
        following = {f"{self.clause}.1", f"{parts[0] + 1}.1"}
        for depth in range(1, len(parts)):
            following.add(".".join(map(str, [*parts[:depth], parts[depth] + 1])))
        return number in following

    def _section(self) -> str:
        """The number of the section; ``""`` if there is none, or if it does not consist of digits alone (``ch1``)."""
        return self.section if self.section.isdigit() else ""


#: The letters of lists and the values that ``_Reading._item`` needs: 8 is the letter before i or the Cyrillic і.
_LETTERS = dict(zip("abcdefghijklmnopqrstuvwxyz", range(1, 27), strict=True)) | {"а": 1, "б": 2, "ә": 2, "ы": 8}


def _is_date(number: str) -> bool:
    day, month, year = map(int, number.split("."))
    return day <= 31 and month <= 12 and year >= 20


#: Beginnings of lines that authors mean as numbers, but that are not recognised: 1.1.text, 1.1.1.1., 1.1), 1. 1.,
#: A), 1-1., а., I. TEXT, Статья 1., 1-бап., and a number after a bullet.
_ALMOST = re.compile(
    r"[\s\u200b]*+(?:[*_]{0,3}(?:"
    r"[1-9]\d{0,2}(?:\.[1-9]\d{0,2}){0,3}\.[A-Z\u0400-\u052f]"
    r"|[1-9]\d{0,2}(?:\.[1-9]\d{0,2}){1,2}(?:[A-Z\u0410-\u042f]|\.?[):])"
    r"|(?P<deep>[1-9]\d{0,2}(?:\.[1-9]\d{0,2}){3,})(?P<dot>\.?)(?=\s|$)"
    r"|[1-9]\d?\.\s+[1-9]\d?\.\s(?!\d)"
    r"|[A-ZА-ЯӘҒҚҢӨҰҮҺІ]\)\s"
    r"|[1-9]\d{0,2}[-–‑][1-9]\d?\.\s+[A-Z\u0400-\u052f]|[abаәб]\.\s+[^\W\d_]{2}"
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
    if that line is not empty and does not end a sentence. ``clause`` is the number of the unit that contains the line:
    a number of four or more parts without a final dot counts only if it begins with that number.
    """
    if not (match := _ALMOST.match(line)) or (previous.strip() and not ENDED.search(previous[-60:])):
        return False
    # 192.168.0.1 is an IP address, but 1.1.1.1 inside clause 1.1.1 is not.
    return not match["deep"] or bool(match["dot"]) or match["deep"].startswith(f"{clause}.")


def _letter(place: int) -> str:
    """The letters for a place: 1 → a, 26 → z, 27 → aa. Every place after 702 gives zz."""
    place = min(place, 702) - 1
    return (chr(96 + place // 26) if place >= 26 else "") + chr(97 + place % 26)
