"""The lint's rules about what an edition states about itself, about an edition that changes nothing, and about clauses
that pages of the site quote.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from agreement.text.clauses import Clause, Document
from agreement.text.lint.messages import make_message

if TYPE_CHECKING:
    from agreement.text.lint.messages import Message
    from agreement.text.lint.texts import Texts

#: The fields of an edition that are checked, in words.
NAMES = {
    "notice_days": {"kk": "хабарлау мерзімі (күн)", "ru": "срок уведомления (дней)", "en": "the notice period (days)"},
    "retention_years": {
        "kk": "деректерді сақтау мерзімі (жыл)",
        "ru": "срок хранения данных (лет)",
        "en": "the retention period (years)",
    },
    "prevailing_language": {
        "kk": "басым мәтіннің тілі",
        "ru": "язык текста, имеющего преимущество,",
        "en": "the prevailing language",
    },
}
_LANGUAGES = {
    "kk": {"kk": "қазақша", "ru": "казахский", "en": "Kazakh"},
    "ru": {"kk": "орысша", "ru": "русский", "en": "Russian"},
    "": {"kk": "көрсетілмеген", "ru": "не указан", "en": "not stated"},
}

_RU_WORDS = {
    "один": 1, "одного": 1, "одну": 1, "одной": 1, "два": 2, "две": 2, "двух": 2, "три": 3, "трёх": 3, "трех": 3,
    "четыре": 4, "четырёх": 4, "четырех": 4, "пять": 5, "пяти": 5, "шесть": 6, "шести": 6, "семь": 7, "семи": 7,
    "восемь": 8, "восьми": 8, "девять": 9, "девяти": 9, "десять": 10, "десяти": 10, "четырнадцать": 14,
    "четырнадцати": 14, "пятнадцать": 15, "пятнадцати": 15, "двадцать": 20, "двадцати": 20, "тридцать": 30,
    "тридцати": 30, "сорок": 40, "сорока": 40, "шестьдесят": 60, "шестидесяти": 60, "девяносто": 90, "девяноста": 90,
}  # fmt: skip
_KK_WORDS = {
    "бір": 1, "екі": 2, "үш": 3, "төрт": 4, "бес": 5, "алты": 6, "жеті": 7, "сегіз": 8, "тоғыз": 9, "он": 10,
    "жиырма": 20, "отыз": 30, "қырық": 40, "елу": 50, "алпыс": 60, "тоқсан": 90,
}  # fmt: skip


def _number(words: dict[str, int], unit: str) -> re.Pattern[str]:
    """A pattern for a number in digits or words before a unit of time. ``words`` maps the words for numbers to the
    numbers, and ``unit`` is the pattern for the unit of time.
    """
    one = "|".join(sorted(words, key=len, reverse=True))
    return re.compile(
        rf"(?<![\w.,])(?P<number>\d{{1,3}}|(?:{one})(?:\s+(?:{one}))?)(?:\s*\([^()\n]{{1,30}}\))?\s+{unit}",
        re.IGNORECASE,
    )


class _Period(NamedTuple):
    """How the texts in one language write a period that the edition states. ``field`` is the field of the edition with
    the period, and ``words`` maps the words of the language for numbers to the numbers. A sentence is about the period
    if all patterns of ``sentence`` occur in it. ``number`` is the pattern for the number in it.
    """

    field: str
    words: dict[str, int]
    sentence: tuple[re.Pattern[str], ...]
    number: re.Pattern[str]


def _patterns(*patterns: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pattern, re.IGNORECASE) for pattern in patterns)


_PERIODS = {
    "ru": (
        _Period(
            "notice_days",
            _RU_WORDS,
            _patterns(
                "уведом|извещ|сообща|публик|размеща|информир",
                r"измен[её]?н|редакци",
                r"(?<!\w)(?:до|за)\s|не\s+позднее|заранее",
            ),
            _number(_RU_WORDS, r"(?:календарн\w+\s+)?(?:дн(?:ей|я)|день|сут)"),
        ),
        _Period(
            "retention_years",
            _RU_WORDS,
            _patterns("хран", "прекращ|расторж|окончани|истечени"),
            _number(_RU_WORDS, r"(?:календарн\w+\s+)?(?:лет|год)"),
        ),
    ),
    "kk": (
        _Period(
            "notice_days",
            _KK_WORDS,
            _patterns("хабар|жариялан|ескерт", "өзгер|редакция", "бұрын|дейін"),
            _number(_KK_WORDS, r"(?:күнтізбелік\s+)?күн"),
        ),
        _Period(
            "retention_years",
            _KK_WORDS,
            _patterns("сақта", "тоқта|бұзыл|аяқта|кейін"),
            _number(_KK_WORDS, "жыл(?!ғы)"),
        ),
    ),
}
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


def stated_periods(texts: Texts) -> Iterator[Message]:
    """L036: the days of notice or the years of retention in a text differ from those that the edition states. One
    message for each text and period. Only sentences about that period are read. Nothing is reported if the edition does
    not state it, if one of the sentences contains the stated number, or if none contains a number. Working days are not
    compared.
    """
    for language, document in texts.documents.items():
        for period in _PERIODS.get(language, ()):
            stated = texts.stated.get(period.field)
            if stated is None:
                continue
            found = [number for unit in document.units for number in _written(unit, period)]
            if found and all(number != stated for _, number in found):
                unit, number = found[0]
                yield make_message(
                    "agreement.L036", language, unit, name=NAMES[period.field], written=number, stated=stated
                )


def read_periods(documents: Mapping[str, Document]) -> dict[str, int]:
    """Return the periods that the texts themselves state, in the order of their fields: the field of the edition → the
    number. A period is left out if a text states none, if a text states several numbers, or if two texts differ. The
    documents are given by language.
    """
    found: dict[str, list[set[int]]] = {}
    for language, document in documents.items():
        for period in _PERIODS[language]:
            numbers = {number for unit in document.units for _, number in _written(unit, period)}
            found.setdefault(period.field, []).append(numbers)
    agreed = {field: sets[0] for field, sets in found.items() if all(one == sets[0] for one in sets)}
    return {field: min(numbers) for field, numbers in agreed.items() if len(numbers) == 1}


def _written(unit: Clause, period: _Period) -> Iterator[tuple[Clause, int]]:
    if not period.sentence[0].search(unit.text):
        return
    for sentence in _SENTENCE_END.split(unit.text):
        if all(pattern.search(sentence) for pattern in period.sentence):
            for match in period.number.finditer(sentence):
                words = match["number"].lower().split()
                number = sum(period.words.get(word, 0) for word in words)
                yield unit, int(words[0]) if words[0].isdecimal() else number


def unchanged(texts: Texts) -> Iterator[Message]:
    """L038: in each language, the body has the same words in the same order as that of the previous edition. Marks of
    Markdown count as parts of words; white space does not. One message about all texts. Nothing is reported without a
    previous edition, or if one language differs.
    """
    previous = texts.previous or {}
    if previous and all(body.split() == previous.get(language, "").split() for language, body in texts.bodies.items()):
        yield make_message("agreement.L038")


def changed_statements(texts: Texts) -> Iterator[Message]:
    """L039: the edition states another notice period, retention period or prevailing language than the previous one.
    One message for each of the three that differs. ``None``, 0 and ``""`` count as equal. A field that is missing in
    ``stated`` or in ``previous_stated`` is not compared.
    """
    for name, words in NAMES.items():
        if name not in texts.stated or name not in texts.previous_stated:
            continue
        old, new = texts.previous_stated[name], texts.stated[name]
        if (old or 0) != (new or 0):
            yield make_message("agreement.L039", name=words, old=_in_words(old), new=_in_words(new))


def missing_citations(texts: Texts) -> Iterator[Message]:
    """L052: pages of the site quote a clause whose number is missing in at least one of the texts. One message for each
    number.
    """
    for number, pages in texts.cited.items():
        lacking = [language for language, document in texts.documents.items() if number not in document.numbers]
        if lacking:
            language = lacking[0] if len(lacking) < len(texts.documents) else ""
            yield make_message("agreement.L052", language, number=number, pages=", ".join(pages))


def _in_words(value: object) -> dict[str, str]:
    if value is None or isinstance(value, str):
        return _LANGUAGES.get(value or "", dict.fromkeys(("kk", "ru", "en"), str(value)))
    return dict.fromkeys(("kk", "ru", "en"), str(value))
