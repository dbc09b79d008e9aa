"""The lint's rule about passages in another language."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from agreement.text.lint.letters import excerpt
from agreement.text.lint.messages import collected

if TYPE_CHECKING:
    from agreement.text.clauses import Clause, Document
    from agreement.text.lint.messages import Message
    from agreement.text.lint.texts import Texts

_KAZAKH = "әғқңөұүһі"
#: Kazakh words without a letter that only Kazakh has, and endings of such words.
_KAZAKH_WORDS = frozenset(
    "және мен пен бен туралы бойынша осы бар жалпы ала деп бола болса болады болып табылады арналған ретінде сондай"
    " ережелер ережелері тараптар тараптары тараптардың шарттар шарттары талаптар талаптары немесе дейін кейін ол оны"
    " оның сондай-ақ жасалады берілген".split()
)
_RUSSIAN_WORDS = frozenset("и в во на не с со по для что при или от о об к из за до его её их это как является".split())
_ENGLISH_WORDS = frozenset("the of and to is are for by or you your we our this that with any shall be not may".split())
#: Endings of Russian words that Kazakh words, and words that Kazakh borrowed, do not have.
_RUSSIAN_ENDINGS = tuple(
    "ые ие ый ий ыми ими ых их ая яя ое ее ого его его ому ему ость ости остью ение ении ению ения ание ании анию"
    " ением анием ать ять ить еть ться тся уют ют ыть".split()
)
_QUOTED = re.compile(
    r"«[^»]{0,300}»|“[^”]{0,300}”|\"[^\"\n]{0,300}\"|\([^()]{0,300}\)"
    r"|(?<!\S)\S*[@/\\_{}$<>]\S*|(?<!\S)\S+\.(?:kz|ru|com|org|net)\S*"
)
_SENTENCE = re.compile(r"(?<=[.!?;:])\s+(?=[«\"“]?[A-ZА-ЯЁӘҒҚҢӨҰҮҺІ])")
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_SIGNS = _KAZAKH_WORDS | _ENGLISH_WORDS
_OWN = frozenset(_KAZAKH + _KAZAKH.upper())


def foreign_passages(texts: Texts) -> Iterator[Message]:
    """L021: titles, headings and sentences that seem to be in another language. One message for each text and each
    other language.

    Kazakh is recognised by its own letters and frequent words, Russian in a Kazakh text by short words and endings, and
    English by frequent words. Quotations, words in round brackets, URLs and e-mail addresses are ignored, and so is a
    sentence of one or two words that is no heading. Nothing is reported from the line on at which a second document
    begins.
    """
    for language, document in texts.documents.items():
        foreign: dict[str, list[tuple[Clause, int, str]]] = {}
        for found, line, unit, text in _foreign(document, language):
            if line >= texts.ends[language]:
                break  # L051 reports a second document, which may be in another language.
            its = foreign.setdefault(found, [])
            if not its or its[-1][1] != line:
                its.append((unit, line, excerpt(text)))
        for its in foreign.values():
            yield from collected("agreement.L021", language, its, "text")


def _foreign(document: Document, language: str) -> Iterator[tuple[str, int, Clause, str]]:
    """Yield each heading or sentence that seems to be in another language than ``language``: the language that it seems
    to be in, the line on which it begins, its unit, and its words.
    """
    for unit in document.units:
        if language == "ru" and _OWN.isdisjoint(unit.text) and _SIGNS.isdisjoint(unit.text.lower().split()):
            continue
        at, line = 0, 1 if unit.start == 0 else unit.line
        for number, paragraph in enumerate(unit.text.split("\n")):
            heads = not number and unit.kind in {"title", "section", "heading"}
            for sentence in _SENTENCE.split(paragraph):
                if language == "kk" and not _OWN.isdisjoint(sentence):
                    continue
                found = _language(_QUOTED.sub(" ", sentence), heads=heads)
                if found and found != language:
                    begin = unit.source.find(sentence[:12], at, at + 5000)  # Markdown may have changed the words.
                    if begin >= 0:
                        at, line = begin, line + unit.source.count("\n", at, begin)
                    yield found, line, unit, sentence


def _language(sentence: str, *, heads: bool) -> str:
    """The language of a sentence or heading: ``kk``, ``ru`` or ``en``; ``""`` if it is not clear. ``heads`` means that
    it is a title or a heading: then one word can be enough. Without ``heads``, one or two words always give ``""``.
    """
    words = [word.lower() for word in _WORD.findall(sentence)]
    if len(words) < (1 if heads else 3):
        return ""
    latin = sum(word.isascii() for word in words)
    if latin * 2 > len(words):
        english = sum(word in _ENGLISH_WORDS for word in words)
        return "en" if english >= 2 or (english and latin == len(words)) else ""
    own = sum(not _OWN.isdisjoint(word) for word in words)
    kazakh = own + sum(word in _KAZAKH_WORDS for word in words)
    short = sum(word in _RUSSIAN_WORDS for word in words)
    russian = short + sum(map(_is_russian, words))
    if own and kazakh * 5 >= len(words) * 2 and kazakh > russian * 2:
        return "kk"
    if not own and kazakh * 2 >= len(words) and kazakh > russian * 2:
        return "kk"
    clear = russian >= 2 or (heads and russian) or (short and len(words) > 3)
    if not own and not kazakh and clear and russian * 4 >= len(words):
        return "ru"
    return ""


def _is_russian(word: str) -> bool:
    return len(word) > 4 and word.endswith(_RUSSIAN_ENDINGS) and _OWN.isdisjoint(word)
