"""The lint's rules about characters: scripts, Unicode forms, spaces, HTML tags, languages and pairs of marks."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from agreement.text.clauses import Clause, Document
from agreement.text.lint.messages import Message, make_message

if TYPE_CHECKING:
    from agreement.text.lint.texts import Texts

_CYRILLIC = "\u0400-\u052f"
UNREADABLE = re.compile("[\x00\ud800-\udfff]")
_TWO_SCRIPTS = re.compile(
    # A match begins only at the first letter of a word. Otherwise a long word would be read again from each letter.
    rf"(?<![A-Za-z{_CYRILLIC}])(?:[{_CYRILLIC}]+[A-Za-z]|[A-Za-z]+[{_CYRILLIC}])[A-Za-z{_CYRILLIC}]*"
)
# Latin abbreviations that are typed in Cyrillic letters of the same look.
_LATIN_WORD = re.compile(r"(?<!\w)(?:ІР|АРІ|НТТР|ТСР|РКІ|ІМЕІ|САРТСНА)(?![\w])")
_LETTER_FOR_DIGIT = re.compile(r"^(?:[#*]|[^\S\n])*+(?:\d{1,2}\.)?([ЗзОоlIІ])\.(?=(?<=\d\.\w\.)\s|\d)", re.MULTILINE)
_LOOK_ALIKE = {"latin": set("aceikopxyABCEHIKMOPTXYhj"), "cyrillic": set("асеікорхуАВСЕНІКМОРТХУһјЅѕ")}
_WORDS = re.compile(r"\S+")
_INVISIBLE = re.compile("[\u00ad\u180e\u200b-\u200d\u2060-\u2064\ufeff\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# A no-break space is correct after a number or a short word and before a dash; between two long words it is odd. A tab
# is correct after a number or a bullet, where Word writes it: such a match begins with the number, and _is_odd() is
# false for it.
_ODD_SPACE = re.compile(
    r"(?m:^[ \t]*+[#*]*+[ ]*+(?:\d[\d.]*\)?|\w\)|[•·▪◦●–—*+-])\t+)"
    r"|[\u1680\u2000-\u2008\u200a\u205f\u3000\u2028\u2029]|(?<=\S)\t+(?=\S)|(?<=[^\W\d]{4})\xa0(?=[^\W\d]{4})"
)
_DOUBLED = re.compile(r"(?<=[^\s|])[ \xa0]{2,}(?=[^\s|])")
_TAG = re.compile(r"<(?!https?:|mailto:|(?i:br) {0,9}/?>)[/!]?[A-Za-z][^<>\n@]{0,300}>|<!--")
_KAZAKH = "әғқңөұүһіӘҒҚҢӨҰҮҺІ"
_RUSSIAN = re.compile(
    r"(?<!\w)(?:и|в|во|на|не|с|по|для|что|при|или|от|о|об|к|из|за|до|его|их|является)(?!\w)", re.IGNORECASE
)
_LATIN = re.compile(r"[A-Za-z]{2,}")
_PAIRED = re.compile(r"[()\[\]{}«»„“”\"]")
_LABEL = re.compile(r"(?<![\w.])(?:\d{1,3}(?:\.\d{1,3})*|[A-Za-zА-Яа-яЁёӘәҒғҚқҢңӨөҰұҮүҺһІі])\)")


def odd_characters(texts: Texts) -> Iterator[Message]:
    """L020: letters of the wrong script, in a word of two scripts, an abbreviation such as API or a number. L022:
    decomposed letters. L023: invisible characters. L024: characters that change the direction. L025: odd spaces. L026:
    several spaces between words. L028: HTML tags and comments.

    At most one message for each line and pattern. L020 has three patterns; each other id has one.
    """
    for language, body in texts.bodies.items():
        document = texts.documents[language]
        for unit, line, match in first_matches(document, body, _TWO_SCRIPTS, _foreign_letters):
            word = match[0]
            yield make_message("agreement.L020", language, unit, line, word=word, letters=_foreign_letters(word))
        for unit, line, match in first_matches(document, body, _LATIN_WORD):
            word = match[0]
            yield make_message("agreement.L020", language, unit, line, word=word, letters=_with_code_points(word))
        for unit, line, match in first_matches(document, body, _LETTER_FOR_DIGIT):
            word, letter = match[0].strip("#* \t\xa0"), match[1]
            yield make_message("agreement.L020", language, unit, line, word=word, letters=_with_code_points(letter))
        if not unicodedata.is_normalized("NFC", body):
            for unit, line, match in first_matches(document, body, _WORDS, _is_decomposed):
                yield make_message("agreement.L022", language, unit, line, word=match[0])
        for id_, pattern in (("agreement.L023", _INVISIBLE), ("agreement.L024", _BIDI), ("agreement.L025", _ODD_SPACE)):
            for unit, line, match in first_matches(document, body, pattern, _is_odd):
                yield make_message(
                    id_, language, unit, line, char=character_name(match[0].strip(" ")[:1] or match[0][:1])
                )
        for unit, line, match in first_matches(document, body, _DOUBLED):
            yield make_message("agreement.L026", language, unit, line, text=match[0])
        for unit, line, match in first_matches(document, body, _TAG):
            yield make_message("agreement.L028", language, unit, line, tag=excerpt(match[0]))


def foreign_paragraphs(texts: Texts) -> Iterator[Message]:
    """L021: paragraphs of 25 characters or more that seem to be in another language. At most one message for each unit.

    Kazakh in a Russian text is recognised by its own letters, Russian in a Kazakh text by its short words, and English
    by its Latin words.
    """
    for language, document in texts.documents.items():
        for unit in document.units:
            for paragraph in unit.text.split("\n"):
                if len(paragraph) >= 25 and _is_foreign(paragraph, language):
                    yield make_message("agreement.L021", language, unit, text=excerpt(paragraph))
                    break


def _is_foreign(paragraph: str, language: str) -> bool:
    kazakh = sum(map(paragraph.count, _KAZAKH))
    if language == "ru" and kazakh * 10 > len(paragraph):
        return True
    if language == "kk" and not kazakh and len(_RUSSIAN.findall(paragraph)) >= 2:
        return True
    if kazakh or len(paragraph) - len(paragraph.encode("ascii", "ignore")) > len(paragraph) // 5:
        return False
    return len(_LATIN.findall(paragraph)) > 5


def unpaired_marks(texts: Texts) -> Iterator[Message]:
    """L027: quotes and brackets without a pair, at most one message for each unit. The bracket of ``2)`` needs no pair.
    The marks of a unit are counted; their order is not checked.
    """
    for language, document in texts.documents.items():
        for unit in document.units:
            if lonely := _unpaired(unit.text):
                yield make_message("agreement.L027", language, unit, marks=" ".join(lonely))


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
    document: Document, body: str, pattern: re.Pattern[str], counts: Callable[[str], object] | None = None
) -> Iterator[tuple[Clause | None, int, re.Match[str]]]:
    """Yield (unit, line number, match) of the first match on each line of ``body``. The unit is ``None`` if the
    document has no units. A match belongs to the line on which it begins. ``document`` is the parsed ``body``, whose
    lines end with LF.

    ``counts`` is called with the text of a match. A match for which it returns a false value is ignored, and a later
    one on the line may be yielded. Without ``counts`` every match counts.
    """
    seen = 0
    starts = [unit.start for unit in document.units]
    line, counted = 1, 0
    for match in pattern.finditer(body):
        line += body.count("\n", counted, match.start())
        counted = match.start()
        if line != seen and (counts is None or counts(match[0])):
            seen = line
            yield document.units[bisect_right(starts, match.start()) - 1] if starts else None, line, match


def _is_odd(found: str) -> bool:
    return found.isspace() or not found.strip().isprintable()


def _is_decomposed(word: str) -> bool:
    return not unicodedata.is_normalized("NFC", word)


def _foreign_letters(word: str) -> str:
    """The letters of one script in a word of two scripts, with their code points, if each of them looks like a letter
    of the other script; else ``""``. If this is true for both scripts, they are the letters of the script with fewer
    letters.

    Also ``""`` for a Latin abbreviation with a Cyrillic ending (``HTTPSті``).
    """
    latin = [char for char in word if char.isascii()]
    cyrillic = [char for char in word if not char.isascii()]
    stem = "".join(latin)
    if len(latin) > 1 and word.startswith(stem) and stem.isupper() and "".join(cyrillic).islower():
        return ""
    for few, kind in sorted(((latin, "latin"), (cyrillic, "cyrillic")), key=lambda found: len(found[0])):
        if set(few) <= _LOOK_ALIKE[kind]:
            return _with_code_points("".join(few))
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
