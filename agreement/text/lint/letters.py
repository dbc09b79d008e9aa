"""The lint's rules about characters: look-alikes, decomposed letters, invisible characters, directions of text, spaces,
HTML tags and pairs of marks.
"""

from __future__ import annotations

import re
import string
import unicodedata
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from agreement.text.clauses import Clause, Document
from agreement.text.lint.confusables import SKELETONS
from agreement.text.lint.messages import MOST_WORDS, between_quotes, collected

if TYPE_CHECKING:
    from agreement.text.lint.messages import Message
    from agreement.text.lint.texts import Texts

_LETTERS = "абвгдеёжзийклмнопрстуфхцчшщъыьэюяәғқңөұүһі"
_CYRILLIC = "\u0400-\u052f"
UNREADABLE = re.compile("[\x00\ud800-\udfff]")
_TWO_SCRIPTS = re.compile(
    # A match begins only at the first letter of a word. Otherwise a long word would be read again from each letter.
    rf"(?<![A-Za-z{_CYRILLIC}])(?:[{_CYRILLIC}]+[A-Za-z]|[A-Za-z]+[{_CYRILLIC}])[A-Za-z{_CYRILLIC}]*"
)
# Latin abbreviations that are typed in Cyrillic letters of the same look.
_LATIN_WORD = re.compile(r"(?<!\w)(?:ІР|АРІ|НТТР|ТСР|РКІ|ІМЕІ|САРТСНА)(?![\w])")
_AS_LATIN = str.maketrans("АЕІКМНРСТ", "AEIKMHPCT")
# A letter in place of a digit of the number at the beginning of a line. «I.1.» may be a Roman numeral.
_LETTER_FOR_DIGIT = re.compile(
    r"^(?:[#*]|[^\S\n])*+(?:(?:\d{1,2}\.)([ЗзОоOolIІ])|([ЗзОоOol]))\.(?=(?<=\d\.\w\.)\s|\d)", re.MULTILINE
)
# A digit in place of a letter: «к0декс», «3аказчик».
_DIGIT_FOR_LETTER = re.compile(r"(?<![\w.,/№-])(?:[А-ЯЁӘҒҚҢӨҰҮҺІа-яёәғқңөұүһі]+[0136]|[036])[а-яёәғқңөұүһі]{2,}(?!\w)")
# A Latin letter that stands where Russian has a word of one letter: between words, or at the beginning of a sentence.
_ONE_LETTER = re.compile(
    r"[acoky](?=[ \xa0][«\"“(]?[А-Яа-яЁё]{2})(?:(?<=[а-яё][ \xa0].)|(?<=[а-яё],[ \xa0].))"
    r"|[ABCKOY](?=[ \xa0][а-яё]{2})"
    r"(?:(?<=[а-яё][.!?:;][ \xa0].)|(?<=\d\.[ \xa0].)|(?<=\d\)[ \xa0].)|(?<=\n.)|(?<!(?s:.).))"
)
_DIGIT_IN_WORD = re.compile("[0136][а-яёәғқңөұүһі]{2}")
_ALPHABET = frozenset(string.ascii_letters + string.digits + _LETTERS + _LETTERS.upper())
# Letters and digits of other scripts and styles that look like those of the alphabet.
_STRANGE = frozenset(SKELETONS) - _ALPHABET
# The lower-case к and k look alike in most fonts, though not in Unicode's list.
_CYRILLIC_LOOKS = {SKELETONS[char] for char in (_LETTERS + _LETTERS.upper()) if char in SKELETONS} | {"k"}
_LATIN_LOOKS = {SKELETONS[char] for char in string.ascii_letters if char in SKELETONS} | {"к"}
_WORDS = re.compile(r"\S+")
_WORD = re.compile(r"\w+")
# Default_Ignorable_Code_Point of Unicode 17, without those that change the direction; controls; the empty Braille
# pattern; private use; U+FFF9 to U+FFFD; noncharacters. A variation selector or joiner after a symbol belongs to it.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200d\u2060-\u2065\u206a-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff"
    "\uffa0\ufff0-\uffff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    "\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ue000-\uf8ff\ufdd0-\ufdef\U000f0000-\U0010ffff"
    + "".join(chr(plane << 16 | last) for plane in range(1, 15) for last in (0xFFFE, 0xFFFF))
    + "]"
)
_BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# A no-break space is correct after a number or a short word and before a dash; between two long words it is odd. A tab
# is correct after a number or a bullet, where Word writes it: such a match begins with the number, and _is_odd() is
# false for it.
_ODD_SPACE = re.compile(
    r"(?m:^[ \t]*+[#*]*+[ ]*+(?:\d[\d.]*\)?|\w\)|[•·▪◦●–—*+-])\t+)"
    r"|[\u1680\u2000-\u2008\u200a\u205f\u3000\u2028\u2029]|(?<=\S)\t+(?=\S)|(?<=[^\W\d]{4})\xa0(?=[^\W\d]{4})"
)
# The spaces after a bullet or the number of a clause are not displayed: such a match begins with the bullet.
_DOUBLED = re.compile(
    r"(?m:^[ \t#]*+(?:[-*+>•·▪◦●–—]++|[^\W\d_]\)|\*{0,3}\d{1,3}(?:\.\d{1,3})*[.)]?\**)[ \xa0]++)"
    r"|(?<=[^\s|])[ \xa0]{2,}(?=[^\s|])"
)
# Characters and spaces without which the patterns above match nothing.
_SPACE, _SPACES = re.compile(r"(?!\n)\s"), re.compile("[ \xa0]{2}")
_TAG = re.compile(r"<(?!https?:|mailto:|(?i:br) {0,9}/?>)[/!]?[A-Za-z][^<>\n@]{0,300}>|<!--")
_PAIRED = re.compile(r"[()\[\]{}«»„“”\"]")
_LABEL = re.compile(r"(?<![\w.])(?:\d{1,3}(?:\.\d{1,3})*|[A-Za-zА-Яа-яЁёӘәҒғҚқҢңӨөҰұҮүҺһІі])\)")


def odd_characters(texts: Texts) -> Iterator[Message]:
    """L020: characters that only look like the letters of a word or the digits of a number. L022: decomposed letters.
    L023: characters that are invisible or have no meaning. L024: characters that change the direction. L025: odd
    spaces. L026: several spaces between words. L028: HTML tags and comments.

    One message for each text and id, with all places in the text. Of L023, L024 and L025, one message for each
    different character of a text. Of each line only the first match of an id is reported; of L020, the first of each
    kind of look-alike.
    """
    for language, body in texts.bodies.items():
        document = texts.documents[language]
        found = [(unit, line, word, letters) for unit, line, word, letters in _look_alikes(document, body, language)]
        if found:
            letters = _with_code_points("".join(dict.fromkeys("".join(one[3] for one in found))))
            places = sorted((one[1], place) for place, one in enumerate(found))
            ordered = [found[place][:3] for _, place in places]
            yield from collected("agreement.L020", language, ordered, "word", letters=letters)
        if not unicodedata.is_normalized("NFC", body):
            matches = first_matches(document, body, _WORDS, _is_decomposed)
            yield from collected("agreement.L022", language, _words_of(matches), "word")
        unusual = [char for char in set(body) if not (" " <= char <= "~" or "\u0400" <= char <= "\u052f")]
        for id_, pattern, characters in (
            ("agreement.L023", _INVISIBLE, _INVISIBLE),
            ("agreement.L024", _BIDI, _BIDI),
            ("agreement.L025", _ODD_SPACE, _SPACE),
        ):
            if not any(characters.match(char) for char in unusual):
                continue
            places_of = dict[str, list[tuple[Clause | None, int, str]]]()
            for unit, line, match in first_matches(document, body, pattern, _is_odd):
                char = character_name(match[0].strip(" ")[:1] or match[0][:1])
                places_of.setdefault(char, []).append((unit, line, char))
            for its in places_of.values():
                yield from collected(id_, language, its, "char")
        if _SPACES.search(body):
            matches = first_matches(document, body, _DOUBLED, lambda match: match[0].isspace())
            yield from collected("agreement.L026", language, _words_of(matches), "text")
        tags = ((unit, line, excerpt(match[0])) for unit, line, match in first_matches(document, body, _TAG))
        yield from collected("agreement.L028", language, tags, "tag")


def _words_of(
    matches: Iterator[tuple[Clause | None, int, re.Match[str]]],
) -> Iterator[tuple[Clause | None, int, str]]:
    return ((unit, line, match[0]) for unit, line, match in matches)


def _look_alikes(document: Document, body: str, language: str) -> Iterator[tuple[Clause | None, int, str, str]]:
    """Yield the unit, the line, the word and the look-alike characters of the words that L020 reports. The kinds of
    look-alike are: a word of two scripts, a letter in place of a digit of a number, letters of other scripts and
    styles, a Latin letter in place of a Russian word of one letter (only in Russian texts), and a digit in place of a
    letter. Of each kind, the first word on each line is yielded. The unit is the one that contains the line, which may
    be the title or have no number; ``None`` if the document has no units.
    """
    for unit, line, match in first_matches(document, body, _TWO_SCRIPTS, lambda match: _foreign_letters(match[0])):
        yield unit, line, match[0], _foreign_letters(match[0])
    for unit, line, match in first_matches(document, body, _LETTER_FOR_DIGIT):
        yield unit, line, match[0].strip("#* \t\xa0"), match[1] or match[2]
    if _STRANGE.intersection(body):
        for unit, line, match in first_matches(document, body, _WORD, lambda match: _strange_letters(match[0])):
            yield unit, line, match[0], _strange_letters(match[0])
    if language == "ru":
        for unit, line, match in first_matches(document, body, _ONE_LETTER):
            yield unit, line, match[0], match[0]
    if _DIGIT_IN_WORD.search(body):
        known = set(_WORD.findall(body.lower()))
        for unit, line, match in first_matches(
            document,
            body,
            _DIGIT_FOR_LETTER,
            lambda match: _as_letters(match[0]) in known or not match[0][0].isdecimal(),
        ):
            yield unit, line, match[0], "".join(filter(str.isdecimal, match[0]))


def latin_abbreviations(texts: Texts) -> Iterator[Message]:
    """L053: Latin abbreviations that are typed in Cyrillic letters of the same look. One message for each text. Of each
    line only the first one is reported.
    """
    for language, body in texts.bodies.items():
        found = list(_words_of(first_matches(texts.documents[language], body, _LATIN_WORD)))
        words = list(dict.fromkeys(word for _unit, _line, word in found))[:MOST_WORDS]
        latin = between_quotes(word.translate(_AS_LATIN) for word in words)
        yield from collected("agreement.L053", language, found, "word", latin=latin)


def _as_letters(word: str) -> str:
    return word.translate({ord("0"): "о", ord("3"): "з", ord("6"): "б"}).lower()


def _strange_letters(word: str) -> str:
    """The characters of other scripts and styles in a word, if each of them looks like a letter of Kazakh, Russian or
    English or a digit; else ``""``. Also ``""`` for a word that consists of Latin letters only and has Latin letters
    with marks or of other languages (``Yıldız``).
    """
    strange = [char for char in word if char not in _ALPHABET]
    if not strange or not all(char in SKELETONS for char in strange):
        return ""
    latin = all(unicodedata.name(char, "").startswith("LATIN ") for char in strange)
    if latin and all(char.isascii() or char in strange for char in word):
        return ""
    return "".join(strange)


def unpaired_marks(texts: Texts) -> Iterator[Message]:
    """L027: quotes and brackets without a pair. One message for each text. The bracket of ``2)`` needs no pair. The
    marks of a unit are counted; their order is not checked.
    """
    for language, document in texts.documents.items():
        found = ((unit, unit.line, " ".join(lonely)) for unit in document.units if (lonely := _unpaired(unit.text)))
        yield from collected("agreement.L027", language, found, "marks")


def _unpaired(text: str) -> list[str]:
    if not _PAIRED.search(text):
        return []
    count = Counter(_PAIRED.findall(text))
    found = []
    spare = len(_LABEL.findall(text)) if count[")"] > count["("] else 0
    if not count["("] <= count[")"] <= count["("] + spare:
        found.append("(" if count["("] > count[")"] else ")")
    for opening, closing in ("[]", "{}", "«»"):
        if count[opening] != count[closing]:
            found.append(opening if count[opening] > count[closing] else closing)
    # “ closes in Russian and opens in Kazakh and English.
    if (count["„"] + count["“"] + count["”"]) % 2:
        found.append(next(mark for mark in "„“”" if count[mark]))
    if count['"'] % 2:
        found.append('"')
    return found


def first_matches(
    document: Document,
    body: str,
    pattern: re.Pattern[str],
    counts: Callable[[re.Match[str]], object] | None = None,
    *,
    every: bool = False,
) -> Iterator[tuple[Clause | None, int, re.Match[str]]]:
    """Yield (unit, line number, match) of the first match on each line of ``body``; with ``every``, of all matches.
    Lines are counted from 1. The unit is the one that contains the match; ``None`` if the document has no units. A
    match belongs to the line on which it begins. ``document`` is the parsed ``body``, whose lines end with LF.

    ``counts`` is called with a match. A match for which it returns a false value is ignored, and a later one on the
    line may be yielded. Without ``counts`` every match counts.
    """
    seen = 0
    starts = [unit.start for unit in document.units]
    line, counted = 1, 0
    for match in pattern.finditer(body):
        line += body.count("\n", counted, match.start())
        counted = match.start()
        if (every or line != seen) and (counts is None or counts(match)):
            seen = line
            yield document.units[bisect_right(starts, match.start()) - 1] if starts else None, line, match


def _is_odd(match: re.Match[str]) -> bool:
    found = match[0]
    if found in _OF_SYMBOLS and match.start():
        return unicodedata.category(match.string[match.start() - 1])[0] != "S"
    return found.isspace() or not found.strip().isprintable() or _PRINTABLE.match(found) is not None


#: The variation selectors and the joiner of emoji.
_OF_SYMBOLS = frozenset("\ufe0e\ufe0f\u200d")
#: Characters that Python calls printable, but that show nothing or no known character.
_PRINTABLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\ufffc\ufffd"
    "\U000e0100-\U000e01ef]"
)


def _is_decomposed(match: re.Match[str]) -> bool:
    return not unicodedata.is_normalized("NFC", match[0])


def _foreign_letters(word: str) -> str:
    """The letters of one script in a word of two scripts, if each of them looks like a letter of the other script; else
    ``""``. If this is true for both scripts, they are the letters of the script with fewer letters; if both have as
    many, the Latin ones. If it is true for one script only, they are the letters of that script, even if it has more
    letters.

    Also ``""`` for a Latin abbreviation with a Cyrillic ending (``HTTPSті``).
    """
    latin = [char for char in word if char.isascii()]
    cyrillic = [char for char in word if not char.isascii()]
    stem = "".join(latin)
    if len(latin) > 1 and word.startswith(stem) and stem.isupper() and "".join(cyrillic).islower():
        return ""
    for few, looks in sorted(((latin, _CYRILLIC_LOOKS), (cyrillic, _LATIN_LOOKS)), key=lambda found: len(found[0])):
        if all(SKELETONS.get(char, char) in looks for char in few):
            return "".join(few)
    return ""


def _with_code_points(characters: str) -> str:
    return ", ".join(f"{char} (U+{ord(char):04X})" for char in dict.fromkeys(characters))


def character_name(char: str) -> str:
    """The code point and the Unicode name of a character: ``U+00A0 NO-BREAK SPACE``. A tab is ``U+0009 TAB``. Any other
    character without a name gives its code point alone.
    """
    known = "TAB" if char == "\t" else ""
    return f"U+{ord(char):04X} {unicodedata.name(char, known)}".strip()


def excerpt(text: str) -> str:
    """The text, shortened to at most 60 characters, with ``…`` as the last one, if it is longer."""
    return text if len(text) <= 60 else text[:59].rstrip() + "…"
