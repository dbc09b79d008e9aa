"""Consents to data processing with parts: the words that are rendered from the parts, and what is wrong with the parts.

The parts are those that article 8(4) of the law of Kazakhstan on personal data (No 94-V of 21 May 2013) requires in a
consent, the purpose, to which article 7 limits the processing, and ``other``, which may be left out. Neither the name
of the person nor the dates of the record are among the parts: the record of a consent is about an account, and its
words are the same for all users.

The words of a consent are stored with each record, and users are asked again if they change. So a change in the words
of this module asks every user of each consent with parts again, and :func:`split` must still know the former words.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from agreement.text.languages import LANGUAGES

#: The parts of a consent in the order in which they are displayed. Those in ``OPTIONAL`` may be missing; each of those
#: in ``REFUSABLE`` may be ``False``, and the words then state that this is not done.
PARTS = ("purpose", "operator", "data", "term", "third_parties", "cross_border", "publication", "other")
OPTIONAL = {"other"}
REFUSABLE = {"third_parties", "cross_border", "publication"}
#: The numbers that identify an operator: of a legal entity or of a person.
NUMBERS = ("bin", "iin")
#: A number that is never assigned, because it has no month. Examples use it; its check digit is right.
NOBODY = "000000000000"

_SENTENCE = {
    "kk": "Дербес деректерімді жинауға және өңдеуге келісім беремін.",
    "ru": "Даю согласие на сбор и обработку моих персональных данных.",
}
_LABELS = {
    "kk": {
        "purpose": "Мақсаты",
        "operator": "Оператор",
        "data": "Жиналатын деректер",
        "term": "Келісімнің қолданылу мерзімі",
        "third_parties": "Үшінші тұлғаларға беру",
        "cross_border": "Трансшекаралық беру",
        "publication": "Жалпыға қолжетімді көздерде тарату",
        "other": "Өзге мәліметтер",
        "bin": "БСН",
        "iin": "ЖСН",
    },
    "ru": {
        "purpose": "Цель",
        "operator": "Оператор",
        "data": "Собираемые данные",
        "term": "Срок действия согласия",
        "third_parties": "Передача третьим лицам",
        "cross_border": "Трансграничная передача",
        "publication": "Распространение в общедоступных источниках",
        "other": "Иные сведения",
        "bin": "БИН",
        "iin": "ИИН",
    },
}
_REFUSALS = {
    "kk": {
        "third_parties": "деректер үшінші тұлғаларға берілмейді",
        "cross_border": "деректер басқа мемлекеттерге берілмейді",
        "publication": "деректер таратылмайды",
    },
    "ru": {
        "third_parties": "данные третьим лицам не передаются",
        "cross_border": "данные в другие государства не передаются",
        "publication": "данные не распространяются",
    },
}


class Part(NamedTuple):
    """One part of a consent: its label and its words."""

    label: str
    words: str


class Words(NamedTuple):
    """The words of a consent, as pages display them: the sentence beside the checkbox, and the parts that follow it.
    A consent that the site wrote as a plain text has no parts, and its sentence is the whole text.
    """

    sentence: str
    parts: tuple[Part, ...] = ()


class Fault(NamedTuple):
    """Something wrong in a consent: the key, with dots (``operator.bin``), what is wrong with it, and what to do."""

    key: str
    problem: str
    hint: str


def has_parts(stated: Mapping[str, Any]) -> bool:
    """Return whether a consent consists of parts, and not of one text for each language. False for an empty mapping."""
    return bool(stated) and not set(stated) & set(LANGUAGES)


def render(stated: Mapping[str, Any], language: str) -> str:
    """Return the words of a consent in ``kk`` or ``ru``: its text or, if it consists of parts, a line for the sentence
    with the purpose, and a line for each other part that is stated. The parts must have no faults.
    """
    if not has_parts(stated):
        return str(stated[language])
    lines = [f"{_SENTENCE[language]} {_line(stated, 'purpose', language)}"]
    lines += [_line(stated, part, language) for part in PARTS[1:] if part not in OPTIONAL or part in stated]
    return "\n".join(lines)


def _line(stated: Mapping[str, Any], part: str, language: str) -> str:
    labels, value = _LABELS[language], stated[part]
    if part == "operator":
        number = next(name for name in NUMBERS if name in value)
        words = f"{value['name'][language]}, {labels[number]} {value[number]}"
    elif value is False:
        words = _REFUSALS[language][part]
    else:
        words = "; ".join(value[language]) if part == "data" else value[language]
    return f"{labels[part]}: {words.strip().rstrip('.')}."


def split(text: str) -> Words:
    """Return the words that :func:`render` returned, in any language, as a sentence and parts. Any other text is a
    sentence without parts.
    """
    sentence, *lines = text.split("\n")
    parts = tuple(Part(*line.split(": ", 1)) for line in lines if ": " in line)
    if not sentence.startswith(tuple(_SENTENCE.values())) or not lines or len(parts) < len(lines):
        return Words(text)
    return Words(sentence, parts)


def faults(stated: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield what is wrong with a consent that consists of parts, such as an unknown or a missing part, words that are
    missing in a language, or a number of the operator that can't be right.
    """
    for key in stated:
        if key not in PARTS:
            near = difflib.get_close_matches(str(key), PARTS, n=1)
            yield Fault(
                str(key),
                "is no part of a consent",
                f'Write "{near[0]}".' if near else f"The parts are: {', '.join(PARTS)}.",
            )
    for part in PARTS:
        if part not in stated:
            if part not in OPTIONAL:
                yield Fault(part, "is missing", _hint(part))
        elif part == "operator":
            yield from _operator_faults(stated[part])
        elif part == "data":
            yield from _list_faults(stated[part])
        elif not (part in REFUSABLE and stated[part] is False):
            yield from _words_faults(part, stated[part])


def _hint(part: str) -> str:
    """Return how to state a part that is missing or has the wrong form."""
    if part == "operator":
        return 'Write {"name": {"kk": "…", "ru": "…"}, "bin": "…"}, or "iin" if the operator is a person.'
    example = '{"kk": ["…", "…"], "ru": ["…", "…"]}' if part == "data" else '{"kk": "…", "ru": "…"}'
    return f"Write {example}" + (", or False if this is not done." if part in REFUSABLE else ".")


def _words_faults(key: str, value: object) -> Iterator[Fault]:
    if not isinstance(value, dict) or set(value) != set(LANGUAGES):
        yield Fault(key, "must have words in kk, words in ru, and nothing else", _hint(key))
    elif not all(_is_line(text) for text in value.values()):
        yield Fault(key, "must be one line of words in each language", _hint(key))


def _list_faults(value: object) -> Iterator[Fault]:
    if not isinstance(value, dict) or set(value) != set(LANGUAGES):
        yield Fault("data", "must have a list in kk, a list in ru, and nothing else", _hint("data"))
    elif not all(isinstance(items, (list, tuple)) and items and all(map(_is_line, items)) for items in value.values()):
        yield Fault("data", "must be a list of words in each language, and not be empty", _hint("data"))
    elif len({len(items) for items in value.values()}) > 1:
        counts = ", ".join(f"{len(value[language])} in {language}" for language in LANGUAGES)
        yield Fault("data", f"has {counts}", "List the same data in both languages.")


def _operator_faults(value: object) -> Iterator[Fault]:
    if not isinstance(value, dict):
        yield Fault("operator", "must have a name and a number", _hint("operator"))
        return
    if unknown := sorted(set(map(str, value)) - {"name", *NUMBERS}):
        yield Fault(f"operator.{unknown[0]}", "is unknown", _hint("operator"))
    for fault in _words_faults("name", value.get("name")):
        yield fault._replace(key="operator.name")
    numbers = [name for name in NUMBERS if name in value]
    if len(numbers) != 1:
        problem = "has two numbers" if numbers else "has no number"
        yield Fault("operator", problem, 'Add "bin", or "iin" if the operator is a person.')
    for name in numbers:
        if problem := number_fault(value[name]):
            yield Fault(f"operator.{name}", problem, "Copy it from the certificate of registration, as a text.")


def number_fault(number: object) -> str:
    """Return what is wrong with a BIN or IIN; ``""`` if it is right. It is a string of 12 digits, and the last one is
    computed from the others.
    """
    if not isinstance(number, str) or len(number) != 12 or not (number.isascii() and number.isdigit()):
        return f"is {number!r}, and not a text of 12 digits"
    digits = [int(digit) for digit in number]
    for weights in (range(1, 12), (3, 4, 5, 6, 7, 8, 9, 10, 11, 1, 2)):
        check = sum(digit * weight for digit, weight in zip(digits, weights, strict=False)) % 11
        if check < 10:
            return "" if check == digits[11] else f"is {number!r}, whose last digit must be {check}"
    return f"is {number!r}, and no number begins with {number[:11]!r}"


def _is_line(text: object) -> bool:
    return isinstance(text, str) and bool(text.strip()) and len(text.splitlines()) == 1
