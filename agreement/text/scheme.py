"""Decides, for a text as a whole, what a number of one part, a Roman numeral or a word such as ``Глава`` begins.

``1.`` may begin a section, a clause of rules that are numbered from 1 to 57, a clause of an article, or an item of a
list. One line does not show which. Therefore :class:`Scheme` collects the lines that begin so, and decides by their
order, by their form and by what follows them. Numbers of two and more parts (``1.1``) are read by ``outline``.

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
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import dropwhile, pairwise
from typing import Literal

#: What is doubtful about a unit; ``outline.Start`` describes it.
Doubt = Literal["", "clauses", "list", "glued", "repeated", "counted"]

BLANK = "[ \u00a0\u2000-\u200b\u202f\u2060\ufeff]"  # Word and web pages indent with all of these.
#: What may begin a unit. It excludes four digits (a year), a leading zero (a date) and more than six parts. A letter
#: may follow the final dot or the parenthesis directly: then ``glued`` matches. ``4.A.`` is a number of no kind here.
NUMBERED = re.compile(
    rf"(?P<indent>{BLANK}*+)(?:(?P<hashes>\#{{1,6}})[ ]++)?(?P<strong>\*{{1,3}}|_{{1,3}})?"
    r"(?:(?P<number>[1-9]\d{0,2}(?:\.[1-9]\d{0,2}){0,5})(?P<dot>\\?\.|)|(?P<open>\()?"
    r"(?P<item>[1-9]\d{0,2}|[a-zа-яёәғқңөұүһі]|[ivxіх]{2,6})\))"
    r"(?P<closed>\*{1,3}|_{1,3})?(?:(?=\s|$)\s*|(?<=\d[.)])(?P<glued>)(?=[«\"“„]?[^\W\d_])"
    r"(?![A-ZА-ЯӘІ](?:\.(?:\d|\s|$)|(?<=[A-Z])\s+[А-ЯЁӘҒҚҢӨҰҮҺІ])))(?P<rest>.*)"
)
#: After a line that ends so, a number is a reference or counts something. It begins no unit.
REFERS = re.compile(
    r"(?:(?<!\w)(?<!т\.)(?<!т\.\s)(?:п?п\.|(?:под)?пункт\w*|раздел\w*|стать\w*|ст\.|с|по|от|до|TLS|SSL|WPA|HTTPS?|USB|ISO|DSS|v|верси\w+"
    r"|нұсқа\w*|хаттама\w*|протокол\w*)"
    r"|(?<!\w)(?:п?п\.|пункт\w*|раздел\w*)\s*[\d.]+(?:\s*(?:[,–—-]|и|по)\s*[\d.]+)*\s*(?:[,–—-]|и|или|либо|по))\s*$",
    re.IGNORECASE,
)
#: After a line that ends so, the sentence or the list continues.
CONTINUES = re.compile(r"(?:[,–—-]|\b(?:и|или|либо|және|мен|немесе))\s*$", re.IGNORECASE)
ENDED = re.compile(r"(?:[.;:!?…][»”\")*_]*|\|)\s*$")
ABBREVIATED = re.compile(r"(?<!\w)(?:гг?|ж|ст|гл|ч|см|стр|им|др|пр|тг|тыс|млн|млрд|руб|коп|мың)\.\s*$", re.IGNORECASE)
HEADING = re.compile(r"(?P<hashes>\#{1,6})(?P<rest>\s+\S.*)$")
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
_UNDERLINE = re.compile(r"(?:=+|-+) *$")
_CONTENTS = re.compile(r"[1-9]\d?\.?\s")
#: The page at the end of a line of a table of contents, and the signs before it. Also ``""`` at the end of any line.
_PAGE = re.compile(
    r"(?<![\s.…·_,–—-])[\s.…·_,–—-]*+(?:(?:(?:стр|с)\b\.?\s*)?\d{1,4}(?:\s?[-–‑]?\s?(?:стр|с|б|бет)\b\.?)?)?\s*$",
    re.IGNORECASE,
)
_LEADER = re.compile(r"\t|\s\s|[.·_…]\s*[.·_…]|…|(?:стр|бет)\b", re.IGNORECASE)

_ROMAN = "[IVXLІХ]{1,7}|[Ⅰ-Ⅻ]"
_NUMBER = rf"(?:[1-9]\d{{0,2}}|{_ROMAN})"
_INSERTED = r"(?:[.‑-][1-9]\d?)?"  #: What follows the number of an article that was inserted later: 12.1, 12-1.
#: The level of a heading by its word. A heading of a smaller level contains those of a greater one.
_LEVELS = {
    "часть": 1, "бөлік": 1, "раздел": 2, "бөлім": 2, "глава": 3, "тарау": 3, "параграф": 4, "§": 4, "статья": 5,
    "статьи": 5, "бап": 5, "пункт": 7, "тармақ": 7,
}  # fmt: skip
_INSERTABLE = {_LEVELS["глава"], _LEVELS["статья"]}
_PLAIN_LEVEL, _ARABIC, _CLAUSE = 2, 6, 7  # The levels of ``I.``, of ``1.`` as a section, and of clauses.
_RU = "часть|раздел|глава|параграф|§|стать[яи]|пункт|бөлік|бөл[іi]м|тарау|бап|тармақ"  # Also a Latin i.
_KK = "бөлік|бөл[іi]м|тарау|параграф|бап|тармақ"
_HEAD = re.compile(
    r"\s*(?P<hashes>\#{1,6} +)?(?P<strong>\*{1,3}|_{1,3})?(?P<label>"
    rf"(?:(?P<word>(?i:{_RU}))\s*№?\s*(?P<number>{_NUMBER}{_INSERTED})"
    rf"|(?P<kk>{_NUMBER}{_INSERTED})\s?(?:[-–‑]\s?)?(?:[ыіЫІ]?[нН]?[шШ][ыіЫІ]\s)?(?P<word_kk>(?i:{_KK}))"
    rf"|(?P<roman>{_ROMAN})(?=[.)])|(?P<letter>[A-Z])(?=\.\s+[A-Z]))"
    r"(?![\w-]|\.\d)(?P<separator>\s?[.:)]|\s[–—-](?=\s)|))(?P<closed>\*{1,3}|_{1,3})?\s*(?P<rest>.*)"
)
#: The first characters that a line of ``_HEAD`` may have, without its marks.
_HEAD_BEGINS = frozenset("чраглпстбөқ§ЧРГЛПСТБӨIVXLІХⅠⅡⅢⅣⅤⅥⅦⅧⅨⅩⅪⅫABCDEFGH0123456789")
_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50}
_CYRILLIC = str.maketrans("ІХ", "IX")

# «Қосымша» is also an adjective («Қосымша шарттар»). It is an appendix only if the line ends after it, or if its number
# or a punctuation mark follows.
_APPENDIX = re.compile(
    r"(?:приложение(?:\s*(?:№|n)?\s*\d{1,2}(?:\.\d{1,2})?|\s+[а-яa-z])?(?!\w)(?P<of>\s+(?:к|ко)(?:\s.*|$))?"
    r"|(?P<to>(?:[«\"№$<{\[_]{0,3}\s?\w[^.;:!?]{0,250}\s)?\S*[гқкғн][еа][»\"]?\s+|(?:\S+\s+){0,8}?\S*[дтн][ыі]ң\s+)?"
    r"(?:№\s*)?(?:\d{1,2}\s*[-–‑]?\s*(?:[ыі]?н?ш[ыі]\s+)?)?қосымша(?:сы)?(?:\s*(?:№\s*)?\d{1,2})?)"
    r"\s*(?P<title>(?:[.:–—-]|\().*)?",
    re.IGNORECASE,
)
#: A word that was typed without the space before it: «шартынаҚосымша».
_GLUED = re.compile("(?<=[а-яәғқңөұүһі])(?=Қосымша)")
#: How the third line of an appendix's heading begins: «№ 5 от 1 марта», «на оказание услуг».
_DATED = re.compile(r"(?:№|от|на|об?)\s", re.IGNORECASE)
_LAW = re.compile(r"(?:закон|кодекс|конституц|гражданск|уголовн|трудов|налогов|заң|қазақстан|республик)", re.IGNORECASE)
_DATIVE = re.compile(r"[гқкғн][еа][»\"]?\s*$", re.IGNORECASE)
_OF = re.compile(r"\sк(?:о)?\s*$", re.IGNORECASE)
_LOWER_OF = re.compile(r"ко?\s", re.IGNORECASE)


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


@dataclass(slots=True)
class _Head:
    """A line that may begin a section or a clause. ``level`` is smaller for a heading that contains others. ``number``
    is the value of its number or numeral. ``label`` and ``rest`` are those of :class:`Role`. ``source`` says what
    numbers it: a ``number``, a ``word``, a ``roman`` numeral or a ``letter``. It is ``word`` also for a heading whose
    number is its place.
    """

    line: int
    level: int
    number: int
    label: str
    rest: str
    last: int
    """The index of the last line of the heading."""
    separate: bool = True
    """Does it begin a paragraph, for example after an empty line or a heading?"""
    ended: bool = True
    """Is it separate, or does the line before it end a sentence or begin with a number too?"""
    continues: bool = False
    """Does the sentence before it continue?"""
    colon: bool = False
    """Does the last line before it that is not empty end with a colon?"""
    marked: int = 0
    """How many marks ``#`` does it have as a heading of Markdown? A line with a plain number that is underlined has 2.
    A line that is no heading has 0, and so has a word or a Roman numeral that is underlined."""
    bold: bool = False
    """Is its number emphasised, and are its words not emphasised with it?"""
    dot: bool = True
    """Does a dot follow its plain number? True if it has no plain number."""
    source: str = "word"
    inserted: str = ""
    """``_1`` for the chapter or article 12.1, which was inserted after the one with the number 12; otherwise ``""``."""
    indent: bool = False
    wrapped: bool = False
    """Does its line begin with a plain number, and the next line with a small letter?"""
    below: bool = False
    """Do lines that are not empty follow before the next line that may begin a section or a clause?"""
    closes: bool = False
    """Does it end with a full stop, and the item before it in its list with a semicolon or a comma?"""
    glued: bool = False
    """Does no space follow the number?"""
    repeated: bool = False
    """Does the line after this heading begin with the same number again, and look like its clause?"""
    counted: bool = False
    """Is its number its place among headings, of which the title may be the first?"""
    taken: bool = False
    """Did ``Scheme._sections`` or ``Scheme._fill`` find that it begins a section?"""

    @property
    def words(self) -> str:
        return self.rest.strip("*_ ")

    @property
    def capitals(self) -> bool:
        return self.words.isupper() and len(self.words) > 2

    @property
    def upper(self) -> bool:
        """Do the words begin with a capital letter, perhaps after marks of emphasis, opening quotation marks or
        brackets? After an emphasised number, a digit counts too.
        """
        first = self.rest.lstrip('*_«"“„([ ')[:1]
        return first.isupper() or (first.isdigit() and self.bold)

    @property
    def short(self) -> bool:
        """Do the words look like a heading, or like one short sentence? They have at most 110 characters and do not end
        with a comma, a colon or a semicolon. If they end with a full stop, they are one sentence of at most 60
        characters.
        """
        words = self.words
        if len(words) > 110 or words[-1:] in tuple(",;:"):
            return False
        return words[-1:] != "." or (len(words) <= 60 and ". " not in words)

    @property
    def titled(self) -> bool:
        """Is the line a heading of Markdown, or do its words look like a heading and not like a sentence?"""
        return bool(self.marked) or (self.short and self.words[-1:] != "." and not self.wrapped)

    @property
    def may_fill(self) -> bool:
        """May the line be a section without clauses among sections with clauses? It has a dot and a capital letter, is
        ``short`` and ``ended``, and no colon precedes it.
        """
        return self.dot and self.upper and self.short and self.ended and not self.colon

    @property
    def opens(self) -> bool:
        """May the line be the first section, even if a colon precedes it? It has a dot and a capital letter, and is
        ``titled`` and ``separate``. Lines that are not empty follow it before the next line that may begin a section or
        a clause.
        """
        return self.dot and self.upper and self.titled and self.separate and self.below

    @property
    def goes_on(self) -> bool:
        """Does the line end with a semicolon or a comma, like an item of a list that another one follows?"""
        return self.words[-1:] in (";", ",")

    @property
    def listed(self) -> bool:
        """Does the line look like the first item of a list: does it follow a colon, end without a full stop, and have a
        number that is not emphasised alone?
        """
        return self.colon and not self.bold and self.words[-1:] != "."

    @property
    def shape(self) -> tuple[object, ...]:
        """The form of the line, for comparison with other lines: ``looks``, and how the line ends."""
        ending = "" if self.titled else ";" if self.goes_on else "."
        return *self.looks, ending

    @property
    def looks(self) -> tuple[bool, ...]:
        """The form of the line without its end. Four answers: is it ``separate``, is it indented, is it partly
        emphasised, and do the words after its number begin with a capital letter (``upper``)? It is partly emphasised
        if its number alone is, or if its words begin with ``*`` or ``_``. Emphasis of the whole line does not count.
        """
        return self.separate, self.indent, self.rest.startswith(("*", "_")) or self.bold, self.upper


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
        self.appendices: dict[int, tuple[str, int]] = {}
        self.points: dict[int, tuple[str, str, str]] = {}
        self.lists: set[int] = set()
        self.contents = _contents(lines)
        self.ahead = Ahead()
        self._heads: list[_Head] = []
        self._list = -1, 0  # The last line of a list of appendices, and its number.
        self._last_appendix: dict[int, int] | None = None  # Number → the last line that may begin this appendix.
        self._breaks: list[int] = []  # The lines of Markdown headings without a number.
        self._written: list[int] = []  # The lines that begin with a number of several parts, such as 1.1.
        self._items: list[int] = []  # The lines that begin with a label such as 1).
        self._filled = [0]  # How many lines are not empty before each line.
        self._collect()
        heads = self._without_contents()
        for head, line in zip(heads, [*(head.line for head in heads[1:]), len(lines)], strict=False):
            head.below = self._filled[line] > self._filled[head.last + 1]
        edges = [0, *self.appendices, len(lines)]
        at = broken = 0
        for start, end in pairwise(edges):
            first, unnumbered = at, broken
            while at < len(heads) and heads[at].line < end:
                at += 1
            while broken < len(self._breaks) and self._breaks[broken] < end:
                broken += 1
            if first < at:
                self._decide(heads[first:at], self._breaks[unnumbered:broken], start, end)
        self._find_points(heads)

    def next_line(self, index: int) -> int:
        """The index of the next line after ``index`` that is not empty, at most three lines on; otherwise -1."""
        lines = self.lines
        return next((at for at in range(index + 1, min(index + 4, len(lines))) if lines[at].strip()), -1)

    def _next(self, index: int) -> str:
        at = self.next_line(index)
        return self.lines[at].strip() if at >= 0 else ""

    @property
    def has_section_1(self) -> bool:
        """Is the first section or clause that was found a section with the number 1?"""
        first = next(iter(self.roles.values()), None)
        return first is not None and first.kind == "section" and first.number == "1"

    # The lines that may begin a unit

    def _collect(self) -> None:
        """Collect the lines that may begin a unit, the appendices and the headings without a number."""
        previous = colon = ""
        blank = heading = True  # ``heading``: is the line before a title, a heading or a section?
        numbered_yet = False
        begun = numbered = False  # ``numbered``: does the line before begin with a number?
        skip = -1
        for index, line in enumerate(self.lines):
            bare = line.strip()
            self._filled.append(self._filled[-1] + bool(bare))
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
            ended = separate or numbered or _is_ended(before)
            first = bare[0]
            mark = bare.lstrip("#*_\u200b\u2060\ufeff ")[:1] if first in "#*_\u200b\u2060\ufeff" else first
            found: _Head | None = None
            heading = numbered = False
            # Above the first number, «Приложение 1 к приказу» says of which order the text itself is an appendix.
            headed = numbered_yet or self._filled[index] > 8
            if headed and ("осымша" in bare or "ОСЫМША" in bare or mark in "Пп"):
                skip = self._appendix(index, bare, separate=separate or _is_ended(before))
                heading = skip >= 0
            if not heading and mark:
                match = NUMBERED.match(line) if mark.isdigit() or (mark == "(" and ")" in bare[1:5]) else None
                if match and match["item"]:
                    if match["item"].isdigit():
                        self._items.append(index)
                elif match:
                    numbered = True
                    found = self._numbered(index, match, before, separate=separate, ended=ended)
                    if found and not (found.dot or found.marked) and (kk := _HEAD.match(line)):  # «1 тарау».
                        found = self._worded(index, kk, before, separate=separate, ended=ended) or found
                if found is None and mark in _HEAD_BEGINS and (match := _HEAD.match(line)):
                    found = self._worded(index, match, before, separate=separate, ended=ended)
            numbered_yet = numbered_yet or numbered or found is not None
            if found:
                found.colon = colon.endswith(":")
                self._heads.append(found)
                numbered, skip = True, max(skip, found.last)
                heading = bool(found.marked) or found.level < _ARABIC or found.capitals
            elif first == "#" and line[0] == "#" and (match := HEADING.match(line)) and not NUMBERED.match(line):
                heading = True
                if index > self._title and index not in self.appendices:
                    self._breaks.append(index)
            heading = heading or not begun
            begun, blank, previous, colon = True, False, line, bare[-1]

    def _numbered(self, index: int, match: re.Match[str], before: str, *, separate: bool, ended: bool) -> _Head | None:
        number = match["number"]
        self.ahead.add(number, index, ended=ended)
        rest, heads = match["rest"].strip(), len(match["hashes"] or "")
        heads = heads or 2 * (separate and underlined(self.lines, index))
        if "." in number and ended:
            self._written.append(index)
        if "." in number or (before and (REFERS.search(before) or rest.startswith(("тармақ", "тармағ", "бөлім")))):
            return None
        last = index
        following = "".join(self.lines[index + 1 : index + 2]).strip()
        if not rest and match["dot"] and following[:1].isupper() and not _HEAD.match(following):
            rest, last = following, index + 1  # The number is alone on its line.
        if not (rest or heads) or (match["glued"] is not None and not rest.lstrip('«"“„')[:1].isupper()):
            return None
        rest = unmarked(match, rest)
        strong = match["strong"] or ""
        return _Head(
            index, _ARABIC, int(number), number + ("." if match["dot"] else ""), rest, last, separate, ended,
            CONTINUES.search(before) is not None, marked=heads, bold=bool(strong and match["closed"] == strong),
            dot=bool(match["dot"]), source="number", indent=bool(match["indent"]),
            glued=match["glued"] is not None,
            wrapped="".join(self.lines[last + 1 : last + 2]).lstrip()[:1].islower(),
        )  # fmt: skip

    def _worded(self, index: int, match: re.Match[str], before: str, *, separate: bool, ended: bool) -> _Head | None:
        word, written = match["word"] or match["word_kk"], match["number"] or match["kk"] or match["roman"]
        level = _LEVELS[word.lower().replace("i", "і")] if word else _PLAIN_LEVEL
        written, _, inserted = (written or "").replace("‑", "-").replace("-", ".").partition(".")
        number = numeral(written) if written else ord(match["letter"]) - 64
        rest, separator, strong = unmarked(match, match["rest"].strip()), match["separator"], match["strong"]
        words = rest.strip("*_ ")
        if (
            not number
            or not ended
            or words[:1].islower()
            or REFERS.search(before)
            or (match["word"] and word[0].islower())
        ):
            return None
        if level == _CLAUSE and (not separator or not words or (written and not written.isdigit())):
            return None
        if inserted and (level not in _INSERTABLE or not number):
            return None
        if words and not separator:
            # "Статья 5 Закона устанавливает" is a sentence.
            if not (separate and words[0].isupper() and len(words) <= 80 and words[-1] not in ".;,:"):
                return None
            if (not words.isupper() and _LAW.match(words)) or (word and word.lower() == "статьи"):
                return None
        if not word and not (words[:1].isupper() or words[:1] in tuple('«"')):
            return None
        last = index
        if not words:
            at = self.next_line(index)
            title = self.lines[at].strip() if index < at <= index + 2 else ""
            if _is_title(title):
                rest, last = title.strip("#*_ "), at
        return _Head(
            index, level, number, match["label"].rstrip(" –—-"), rest, last, separate,
            marked=len(match["hashes"] or ""), bold=bool(strong and match["closed"] == strong),
            source="word" if word else "roman" if written else "letter", inserted=inserted and f"_{inserted}",
        )  # fmt: skip

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
        match = _APPENDIX.fullmatch(words) if len(words) <= 300 else None
        begins = heads or words[:1].isupper() or words[:1].isdigit() or words[:1] in '№«"$<{[' or bare[0] == "_"
        if match is None or not begins:
            return -1
        before = self.lines[index - 1].strip() if index else ""
        listed = _is_appendix(before) or _is_appendix("".join(self.lines[index + 1 : index + 2]).strip())
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
        in_row = follows or _is_appendix(self._next(index))
        if not in_row:
            return False
        if self._last_appendix is None:
            found = ((at, line.strip().strip("#*_ ")) for at, line in enumerate(self.lines) if len(line) <= 300)
            self._last_appendix = {_first_number(line): at for at, line in found if _is_appendix(line)}
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
        if not self._filled[at] or line[0] in "|>-" or at in self.appendices or NUMBERED.match(line):
            return -1
        return -1 if self._heads and self._heads[-1].last >= at else at

    def _without_contents(self) -> list[_Head]:
        """The lines that may begin a unit, without those of a table of contents: lines under each other, from the
        number 1 on, whose words come again below.
        """
        heads, kept = self._heads, list[_Head]()
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

    # The decision

    def _decide(self, heads: list[_Head], breaks: list[int], start: int, end: int) -> None:
        """Decide what the lines of the agreement itself or of one appendix begin. ``heads`` are these lines, all from
        the index ``start`` up to ``end``, and ``breaks`` are the headings without a number in that range.
        """
        worded = _series(head for head in heads if head.level < _ARABIC)
        bare = [head for head in heads if head.level >= _ARABIC]
        clauses = self.ahead.has_clauses(start, end)
        if not clauses and any(head.dot or head.marked for head in bare):
            bare = [head for head in bare if head.dot or head.marked]  # «2 Читатель» is a number of no kind here.
        outer = _outermost(bare)
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
            outer, _ = _nested(bare)
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

    def _are_inner(self, outer: list[_Head], inner: list[_Head]) -> bool:
        """Take the headings ``outer`` and ``inner``, if the inner ones are numbered on through all outer ones or anew
        in each. Return whether they were taken. The inner ones have more marks ``#``.
        """
        for anew in (False, True):
            points = [head for group in _runs(outer, inner, anew=anew) for head in group]
            if len(points) == len(inner):
                self._assign(outer, points, anew=anew)
                return True
        return False

    def _in_unnumbered(self, bare: list[_Head], breaks: list[int], start: int) -> bool:
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
        if like_title and self.next_line(self._title) == bare[0].line and bare[0].number == 1:
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
            _Head(
                line, _PLAIN_LEVEL, place, "", heading_words(self.lines[line].lstrip("#")), line, marked=depth,
                counted=counted,
            )
            for place, line in enumerate(found, start=1)
        ]  # fmt: skip
        edges = [bisect_right(found, head.line) for head in bare]
        begins = [head for head, before, here in zip(bare, [0, *edges], edges, strict=False) if before != here]
        points = [head for group in _runs(heads, bare, anew=True) for head in group]
        taken = set(map(id, points))
        if len(begins) < 2 or not taken or any(0 < head.marked <= depth for head in bare):
            return False
        if any(head.number != 1 or not (head.listed or id(head) in taken) for head in begins):
            return False
        self._assign(heads, points, anew=True)
        return True

    def _are_clauses(self, bare: list[_Head], start: int, end: int) -> bool:
        """Are the lines ``bare`` clauses that are numbered from 1 on? There must be at least four. At most half of them
        may look like headings. At most half may contain clauses of two parts, and each of these, such as 5.1, must
        stand under the line with the number 5. ``start`` and ``end`` limit the lines in which clauses of two parts are
        looked for.
        """
        outer, _ = _nested(bare)
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

    def _are_sections(self, heads: list[_Head], start: int, end: int) -> bool:
        """Do most clauses such as 5.1 stand under a heading with the number 5?"""
        place, right, clauses = -1, 0, self.ahead.clauses(start, end)
        for line, section, _clause in clauses:
            while place + 1 < len(heads) and heads[place + 1].line < line:
                place += 1
            right += place >= 0 and heads[place].number == section
        return right * 2 > len(clauses)

    def _is_listed(self, head: _Head, before: _Head | None) -> bool:
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

    def _sections(self, bare: list[_Head], end: int) -> list[_Head]:
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

    def _is_heading_of(self, head: _Head, clause: _Head) -> bool:
        """Is ``head`` a heading, and is ``clause`` a sentence that begins with the same number on the next line that is
        not empty?
        """
        follows = head.number == clause.number and self.next_line(head.last) == clause.line
        sentence = not clause.titled or len(clause.words) > max(60, 2 * len(head.words))
        return follows and head.dot and head.upper and head.titled and sentence and not clause.marked

    def _is_section(self, head: _Head, last: int, before: _Head | None, end: int) -> bool:
        if head.marked:
            return True
        following, next_in_order = self._next(head.line), head.number == last + 1
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

    def _fill(self, bare: list[_Head], end: int) -> None:
        """Take lines that may be sections without clauses: those whose numbers are missing among the sections that are
        taken, and the last one of ``bare``, if it may be a section after them. ``bare`` and ``end`` are those of
        ``_sections``.
        """
        self._fill_before(bare)
        following: list[_Head | None] = []
        nearest: _Head | None = None
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

    def _fill_before(self, bare: list[_Head]) -> None:
        """Take two or more paragraphs whose numbers lead to that of a section: ``4.``, ``5.``, ``6.`` before ``7.``"""
        last, run = 0, list[_Head]()
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

    def _points(self, heads: list[_Head], bare: list[_Head]) -> None:
        """Decide whether the numbers of ``bare`` under the headings are clauses, numbered on or numbered anew, or
        lists, and store the roles of the headings and clauses.
        """
        if points := self._run_on(heads, bare):
            self._assign(heads, points, anew=False)
            return
        found = _runs(heads, bare, anew=True)
        points = [head for group in found for head in group]
        worded = any(head.level < _ARABIC for head in heads)
        if worded or sum(map(bool, found)) > 1 or any(head.bold for head in points):
            self._assign(heads, points, anew=True)
        else:
            self._assign(heads, [], anew=False)
            self._doubt(bare)

    def _run_on(self, heads: list[_Head], bare: list[_Head]) -> list[_Head]:
        """The lines of ``bare`` whose numbers run on through several of the headings. Empty if they do not, or if at
        least as many lines count from 1 anew under each heading.
        """
        bare = [head for head in bare if not head.taken]
        found = _runs(heads, bare, anew=False)
        points = [head for group in found for head in group]
        anew = sum(map(len, _runs(heads, bare, anew=True)))
        return points if sum(map(bool, found)) > 1 and len(points) > anew else []

    def _free(self, bare: list[_Head], breaks: list[int], start: int, end: int) -> None:
        """Decide what numbers of one part begin in a text in which nothing else shows sections or clauses. The
        arguments are those of ``_decide``, and ``bare`` are the lines with a plain number.
        """
        outer, inner = _nested(bare)
        count, first = len(outer), outer[0] if outer else None
        if first is None or count < 2 or _restarts(bare, breaks):
            self._doubt(bare)
            return
        if not all(head.dot or (head.separate and head.titled) for head in outer):
            return
        edges = [*(head.line for head in outer[1:]), end]
        lines = [self._filled[edge] - self._filled[head.last + 1] for head, edge in zip(outer, edges, strict=True)]
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
        whole = self._filled[end] - self._filled[start] - (start == 0)
        covered = self._filled[outer[-1].last + 1] - self._filled[first.line] + min(lines[-1], max(lines[:-1]))
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

    def _find_points(self, heads: list[_Head]) -> None:
        """Find the lists ``1.``, ``2.``: at least two lines in one unit, or before the first unit, that begin no
        section and no clause. A list is left out if an item such as ``1)`` stands in its unit, because both would have
        the same numbers.
        """
        edges = sorted({*self.roles, *self.appendices, *self._written, *self._breaks})
        units: dict[int, list[_Head]] = defaultdict(list)
        for head in heads:
            if head.source == "number" and (head.dot or head.marked) and head.line not in self.roles:
                units[bisect_right(edges, head.line)].append(head)
        edges.append(len(self.lines))
        for place, its in units.items():
            start, end = edges[place - 1] if place else 0, edges[place]
            items = bisect_left(self._items, end) > bisect_left(self._items, start)
            outer, inner = ([], {}) if items else _nested(its)
            # A list that begins after the last item is another one, unless it is indented in that item.
            again = inner.get(outer[-1].line, []) if outer else []
            for its_list in (outer, again if again and again[0].indent <= outer[-1].indent else []):
                if len(its_list) > 1 and all(b.number > a.number for a, b in pairwise(its_list)):
                    self.points |= {one.line: (one.label, one.rest, "h4" if one.marked else "p") for one in its_list}
                    self.lists -= {one.line for one in its_list if place}

    def _doubt(self, bare: list[_Head]) -> None:
        outer, _ = _nested(bare)
        if len(outer) > 2 and not outer[0].colon and all(head.upper for head in outer):
            self.lists.add(outer[0].line)

    def _assign(self, heads: list[_Head], points: list[_Head], *, anew: bool, doubt: Doubt = "") -> None:
        """Store the roles of the headings and of the clauses in them, with their numbers. ``anew``: do the clauses
        begin again at 1 under each heading? ``doubt`` is that of the first clause.
        """
        levels = sorted({head.level for head in heads})
        outer = levels if points and not anew else levels[:-1]
        prefixes = dict(zip(reversed(outer), ("ch", "pt", "bk", *["vo"] * len(outer)), strict=False))
        renewed = _renewed(heads)
        sentences = {
            level
            for level in levels
            if level == _LEVELS["статья"]
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
            if head.level in renewed and parent:
                number = f"{parent.lstrip('chptbkvo')}.{number}"
            number = prefixes.get(head.level, "") + number
            opened[head.level] = number
            sentence = head.level in sentences
            self._role(
                head, "clause" if sentence else "section", number, parent,
                "p" if sentence else f"h{min(4, 2 + levels.index(head.level))}", "",
            )  # fmt: skip

    def _role(
        self, head: _Head, kind: Literal["section", "clause"], number: str, parent: str, tag: str, doubt: Doubt
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


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip("#"))


def _nested(heads: Sequence[_Head]) -> tuple[list[_Head], dict[int, list[_Head]]]:
    """The lines whose numbers run on from 1, and by the index of each of them the lines below it that begin again at 1.
    Lines of a third list, inside those, are in neither. If no inner list is open, a paragraph of the same form may
    repeat a number or leave out up to two. It also sets ``_Head.closes`` of the lines.
    """
    outer: list[_Head] = []
    inner: dict[int, list[_Head]] = {}
    opened: list[_Head] = []  # The last line of the outer numbers, of the inner ones and of a list in these.
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


def _level(head: _Head, opened: dict[int, _Head], following: int) -> int:
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


def _outermost(heads: Sequence[_Head]) -> list[_Head]:
    """The headings of Markdown with the fewest marks, if they are at least two and count from 1 without the others;
    otherwise none.
    """
    fewest = min((head.marked for head in heads if head.marked), default=0)
    found = [head for head in heads if head.marked == fewest] if fewest else []
    return found if [head.number for head in found] == list(range(1, len(found) + 1)) and len(found) > 1 else []


def _runs(heads: Sequence[_Head], bare: Sequence[_Head], *, anew: bool) -> list[list[_Head]]:
    """For each of ``heads``, the lines of ``bare`` below it whose numbers follow each other: from 1 on through all of
    ``heads``, or, if ``anew`` is true, from 1 on below each. The first list contains the lines before the first of
    ``heads``; it is empty if ``anew`` is true.
    """
    groups: list[list[_Head]] = [[] for _ in range(len(heads) + 1)]
    place = 0
    for head in bare if anew else _nested(_from_first(bare))[0]:
        while place < len(heads) and heads[place].line < head.line:
            place += 1
        groups[place].append(head)
    return [[], *(_nested(_from_first(group))[0] for group in groups[1:])] if anew else groups


def _from_first(heads: Sequence[_Head]) -> list[_Head]:
    """The lines from the first one that has the number 1 and does not look like the beginning of a list. Empty if there
    is no such line.
    """
    return list(dropwhile(lambda head: head.number > 1 or head.listed, heads))


def _restarts(bare: list[_Head], breaks: list[int]) -> bool:
    """Do the numbers begin again at 1 under a heading without a number?"""
    return any(
        head.number == 1 and bisect_right(breaks, head.line) > bisect_right(breaks, before.line)
        for before, head in pairwise(bare)
    )


def _renewed(heads: Sequence[_Head]) -> set[int]:
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


def _series(heads: Iterable[_Head]) -> list[_Head]:
    """The headings, without those that belong to no series. Headings with a word are kept if they begin with the number
    1 or if two follow each other; a Roman numeral or a letter alone (``I.``) needs both. An inserted heading such as
    ``Статья 12.1`` is kept only after ``Статья 12`` or another one that was inserted after it.
    """
    kinds: dict[tuple[int, str], list[_Head]] = defaultdict(list)
    for head in heads:
        kinds[head.level, head.source].append(head)
    kept = list[_Head]()
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


def _kind_of_points(points: Sequence[_Head]) -> Literal["section", "clause"]:
    """``section`` if more than two thirds of the lines look like headings, otherwise ``clause``."""
    return "section" if points and sum(head.titled for head in points) * 3 > len(points) * 2 else "clause"


def numeral(written: str) -> int:
    """The number that is written in digits or as a Roman numeral in capital letters, Latin or Cyrillic; 0 for anything
    else, and for a Roman numeral of 90 or more.
    """
    if written.isdigit():
        return int(written)
    if "Ⅰ" <= written <= "Ⅻ":
        return ord(written) - ord("Ⅰ") + 1
    values = [_VALUES.get(letter, 0) for letter in written.translate(_CYRILLIC)]
    total = sum(-value if value < max(values[place:]) else value for place, value in enumerate(values))
    return total if 0 < total < 90 and _roman(total) == written.translate(_CYRILLIC) else 0


def _roman(value: int) -> str:
    tens, units = divmod(value, 10)
    return ("", "X", "XX", "XXX", "XL", "L", "LX", "LXX", "LXXX")[tens] + (
        "", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX"
    )[units]  # fmt: skip


def _is_title(line: str) -> bool:
    """May the line be the title of the heading above it («ОБЩИЕ ПОЛОЖЕНИЯ» or «Общие положения» under «ГЛАВА 1»)?

    Without the marks of a heading or of emphasis, it must begin with a capital letter, have at most 120 characters, and
    end with none of ``.;,:|``. A line that begins like a numbered unit, another heading or an appendix is no title.
    """
    words = line.strip("#*_ ")
    return (
        words[:1].isupper()
        and len(words) <= 120
        and words[-1] not in ".;,:|"
        and not NUMBERED.match(line)
        and not _HEAD.match(line)
        and not _is_appendix(words)
    )


def _first_number(words: str) -> int:
    """The first one to three digits in the words of an appendix, as a number; of a longer number only the first three
    digits. 0 if the words have no digit.
    """
    match = re.search(r"\d{1,3}", words)
    return int(match[0]) if match else 0


def _is_appendix(line: str) -> bool:
    return len(line) <= 300 and _APPENDIX.fullmatch(line) is not None


def unmarked(match: re.Match[str], rest: str, *, whole: bool = True) -> str:
    """``rest``, the words after a number that ``match`` found, without the marks ``#`` at the end of a heading and
    without emphasis that surrounds the number alone. Emphasis that begins before the number and does not end directly
    after it is put before the words. If ``whole`` is true, and it covers the number and all words, it is left out. A
    mark of emphasis directly after the number, with none before the number, stays before the words.
    """
    strong, closed = match["strong"], match["closed"]
    if strong and not closed:
        if whole and rest.endswith(strong) and strong not in rest[: -len(strong)]:
            rest = rest[: -len(strong)]
        elif rest:
            rest = strong + rest
    elif closed and not strong:
        rest = f"{closed} {rest}"
    return heading_words(rest) if match["hashes"] else rest


def heading_words(line: str) -> str:
    """The words of a heading: the line without the marks ``#`` at its end, if white space or nothing is before them,
    and without the white space at its ends.
    """
    line = line.strip()
    words = line.rstrip("#")
    return words.rstrip() if not words or words[-1].isspace() else line


def _is_ended(before: str) -> bool:
    return ENDED.search(before) is not None and not ABBREVIATED.search(before)


def underlined(lines: Sequence[str], index: int) -> bool:
    """Is the line at that index underlined by the next one, which makes it a heading in Markdown? The next line then
    contains only ``=`` or only ``-``, one or more, and perhaps spaces after them. The line itself is not examined.
    False for the last line.
    """
    return index + 1 < len(lines) and lines[index + 1][:1] in ("=", "-") and bool(_UNDERLINE.match(lines[index + 1]))
