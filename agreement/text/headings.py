"""Reads one line that may begin a unit with a number of one part, a Roman numeral or a word such as ``Глава``.

``candidates`` collects these lines of a text, and ``scheme`` decides what they begin.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_BLANK = "[ \u00a0\u2000-\u200b\u202f\u2060\ufeff]"  # Word and web pages indent with all of these.
#: What may begin a unit. It excludes four digits (a year), a leading zero (a date) and more than six parts. A letter
#: may follow the final dot or the parenthesis directly: then ``glued`` matches. ``4.A.`` is a number of no kind here.
NUMBERED = re.compile(
    rf"(?P<indent>{_BLANK}*+)(?:(?P<hashes>\#{{1,6}})[ ]++)?(?P<strong>\*{{1,3}}|_{{1,3}})?"
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
_ABBREVIATED = re.compile(r"(?<!\w)(?:гг?|ж|ст|гл|ч|см|стр|им|др|пр|тг|тыс|млн|млрд|руб|коп|мың)\.\s*$", re.IGNORECASE)
HEADING = re.compile(r"(?P<hashes>\#{1,6})(?P<rest>\s+\S.*)$")
_UNDERLINE = re.compile(r"(?:=+|-+) *$")

_ROMAN = "[IVXLІХ]{1,7}|[Ⅰ-Ⅻ]"
_NUMBER = rf"(?:[1-9]\d{{0,2}}|{_ROMAN})"
_INSERTED = r"(?:[.‑-][1-9]\d?)?"  #: What follows the number of an article that was inserted later: 12.1, 12-1.
#: The level of a heading by its word. A heading of a smaller level contains those of a greater one.
LEVELS = {
    "часть": 1, "бөлік": 1, "раздел": 2, "бөлім": 2, "глава": 3, "тарау": 3, "параграф": 4, "§": 4, "статья": 5,
    "статьи": 5, "бап": 5, "пункт": 7, "тармақ": 7,
}  # fmt: skip
_INSERTABLE = {LEVELS["глава"], LEVELS["статья"]}
PLAIN_LEVEL, ARABIC, _CLAUSE = 2, 6, 7  # The levels of ``I.``, of ``1.`` as a section, and of clauses.
_RU = "часть|раздел|глава|параграф|§|стать[яи]|пункт|бөлік|бөл[іi]м|тарау|бап|тармақ"  # Also a Latin i.
_KK = "бөлік|бөл[іi]м|тарау|параграф|бап|тармақ"
WORDED = re.compile(
    r"\s*(?P<hashes>\#{1,6} +)?(?P<strong>\*{1,3}|_{1,3})?(?P<label>"
    rf"(?:(?P<word>(?i:{_RU}))\s*№?\s*(?P<number>{_NUMBER}{_INSERTED})"
    rf"|(?P<kk>{_NUMBER}{_INSERTED})\s?(?:[-–‑]\s?)?(?:[ыіЫІ]?[нН]?[шШ][ыіЫІ]\s)?(?P<word_kk>(?i:{_KK}))"
    rf"|(?P<roman>{_ROMAN})(?=[.)])|(?P<letter>[A-Z])(?=\.\s+[A-Z]))"
    r"(?![\w-]|\.\d)(?P<separator>\s?[.:)]|\s[–—-](?=\s)|))(?P<closed>\*{1,3}|_{1,3})?\s*(?P<rest>.*)"
)
#: The first characters that a line of ``WORDED`` may have, without its marks.
WORDED_BEGINS = frozenset("чраглпстбөқ§ЧРГЛПСТБӨIVXLІХⅠⅡⅢⅣⅤⅥⅦⅧⅨⅩⅪⅫABCDEFGH0123456789")
_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50}
_CYRILLIC = str.maketrans("ІХ", "IX")

# «Қосымша» is also an adjective («Қосымша шарттар»). It is an appendix only if the line ends after it, or if its number
# or a punctuation mark follows.
APPENDIX = re.compile(
    r"(?:приложение(?:\s*(?:№|n)?\s*\d{1,2}(?:\.\d{1,2})?|\s+[а-яa-z])?(?!\w)(?P<of>\s+(?:к|ко)(?:\s.*|$))?"
    r"|(?P<to>(?:[«\"№$<{\[_]{0,3}\s?\w[^.;:!?]{0,250}\s)?\S*[гқкғн][еа][»\"]?\s+|(?:\S+\s+){0,8}?\S*[дтн][ыі]ң\s+)?"
    r"(?:№\s*)?(?:\d{1,2}\s*[-–‑]?\s*(?:[ыі]?н?ш[ыі]\s+)?)?қосымша(?:сы)?(?:\s*(?:№\s*)?\d{1,2})?)"
    r"\s*(?P<title>(?:[.:–—-]|\().*)?",
    re.IGNORECASE,
)
_LAW = re.compile(r"(?:закон|кодекс|конституц|гражданск|уголовн|трудов|налогов|заң|қазақстан|республик)", re.IGNORECASE)


@dataclass(slots=True)
class Head:
    """A line that may begin a section or a clause. ``level`` is smaller for a heading that contains others. ``number``
    is the value of its number or numeral. ``label`` and ``rest`` are those of ``scheme.Role``. ``source`` says what
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
    """Did ``scheme`` find that it begins a section?"""

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


def next_line(lines: Sequence[str], index: int) -> int:
    """The index of the next line after ``index`` that is not empty, at most three lines on; otherwise -1."""
    return next((at for at in range(index + 1, min(index + 4, len(lines))) if lines[at].strip()), -1)


def numbered_head(
    lines: Sequence[str], index: int, match: re.Match[str], before: str, *, separate: bool, ended: bool
) -> Head | None:
    """The line at that index, which ``NUMBERED`` matches with a number of one part. None if it can't begin a unit.
    ``before`` is the end of the paragraph above the line, ``""`` if the line is ``separate``. ``separate`` and
    ``ended`` are those of the result.
    """
    rest = match["rest"].strip()
    if before and (REFERS.search(before) or rest.startswith(("тармақ", "тармағ", "бөлім"))):
        return None
    heads = len(match["hashes"] or "") or 2 * (separate and underlined(lines, index))
    last = index
    following = "".join(lines[index + 1 : index + 2]).strip()
    if not rest and match["dot"] and following[:1].isupper() and not WORDED.match(following):
        rest, last = following, index + 1  # The number is alone on its line.
    if not (rest or heads) or (match["glued"] is not None and not rest.lstrip('«"“„')[:1].isupper()):
        return None
    rest = unmarked(match, rest)
    strong = match["strong"] or ""
    return Head(
        index, ARABIC, int(match["number"]), match["number"] + ("." if match["dot"] else ""), rest, last, separate,
        ended, CONTINUES.search(before) is not None, marked=heads, bold=bool(strong and match["closed"] == strong),
        dot=bool(match["dot"]), source="number", indent=bool(match["indent"]),
        glued=match["glued"] is not None,
        wrapped="".join(lines[last + 1 : last + 2]).lstrip()[:1].islower(),
    )  # fmt: skip


def worded_head(
    lines: Sequence[str], index: int, match: re.Match[str], before: str, *, separate: bool, ended: bool
) -> Head | None:
    """The line at that index, which ``WORDED`` matches. None if it can't begin a unit. The other arguments are those of
    ``numbered_head``.
    """
    word, written = match["word"] or match["word_kk"], match["number"] or match["kk"] or match["roman"]
    level = LEVELS[word.lower().replace("i", "і")] if word else PLAIN_LEVEL
    written, _, inserted = (written or "").replace("‑", "-").replace("-", ".").partition(".")
    number = numeral(written) if written else ord(match["letter"]) - 64
    rest, separator, strong = unmarked(match, match["rest"].strip()), match["separator"], match["strong"]
    words = rest.strip("*_ ")
    if not number or not ended or words[:1].islower() or REFERS.search(before) or (match["word"] and word[0].islower()):
        return None
    if level == _CLAUSE and (not separator or not words or (written and not written.isdigit())):
        return None
    if inserted and level not in _INSERTABLE:
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
        at = next_line(lines, index)
        title = lines[at].strip() if index < at <= index + 2 else ""
        if _is_title(title):
            rest, last = title.strip("#*_ "), at
    return Head(
        index, level, number, match["label"].rstrip(" –—-"), rest, last, separate,
        marked=len(match["hashes"] or ""), bold=bool(strong and match["closed"] == strong),
        source="word" if word else "roman" if written else "letter", inserted=inserted and f"_{inserted}",
    )  # fmt: skip


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
        and not WORDED.match(line)
        and not is_appendix(words)
    )


def is_appendix(line: str) -> bool:
    """May the line, without white space and marks at its ends, begin an appendix?"""
    return len(line) <= 300 and APPENDIX.fullmatch(line) is not None


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


def is_ended(before: str) -> bool:
    """Do a sentence or an item end with these words? They do not if they end with an abbreviation such as «гг.»."""
    return ENDED.search(before) is not None and not _ABBREVIATED.search(before)


def underlined(lines: Sequence[str], index: int) -> bool:
    """Is the line at that index underlined by the next one, which makes it a heading in Markdown? The next line then
    contains only ``=`` or only ``-``, one or more, and perhaps spaces after them. The line itself is not examined.
    False for the last line.
    """
    return index + 1 < len(lines) and lines[index + 1][:1] in ("=", "-") and bool(_UNDERLINE.match(lines[index + 1]))
