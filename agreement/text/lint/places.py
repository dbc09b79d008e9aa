"""Names of places in a text, as people read them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from agreement.text import clauses
from agreement.text.clauses import Clause

_APPENDIX = {"kk": "{}‑қосымша", "ru": "приложение {}", "en": "appendix {}"}
_APPENDIX_NUMBER = re.compile(r"\ba(\d+)\b", re.ASCII)
_CHAPTER = {"kk": "{}-тарау", "ru": "глава {}", "en": "chapter {}"}
_BEFORE = {"kk": "{} (бірінші нөмірге дейін)", "ru": "{} (до первого номера)", "en": "{} (before the first number)"}
_COUNT = {"kk": "{} (барлығы {})", "ru": "{} (всего {})", "en": "{} ({} in all)"}


def printed(unit: Clause) -> str:
    """The number of a unit as people read it: ``3.1``, ``Глава 2``, ``3.1 2)``, ``3.1 2) ә)``; in an appendix ``3.1
    (a1)``, and of the appendix itself ``a1``. ``""`` for a unit without a number.
    """
    if name := clauses.named_label(unit):
        return name
    return readable(unit.number) if unit.kind != "item" else f"{readable(unit.parent)} {unit.label}".strip()


def readable(number: str) -> str:
    """The number as people read it, for a unit that is unknown or does not exist: ``3.1``; ``3.1 2)`` for ``3.1-2``;
    ``3.1 (a1)`` for ``a1.3.1`` in an appendix, and ``a1`` for the appendix itself. The number ``ch2`` of a chapter
    gives ``2``, and ``12_1`` gives ``12.1``. In the number of an item with a letter, the dash and everything after it
    are left out: ``3.1-2b`` gives ``3.1``. The number ``0``, the parent of what stands before the first number, is left
    out: ``0`` gives ``""``, and ``0-2`` gives ``2)``.
    """
    head, dash, tail = number.partition("-")
    if head.startswith("a"):
        appendix, _, within = head.partition(".")
        within = within.lstrip("chptbkvo")
        head = f"{within} ({appendix})" if within else appendix
    else:
        head = "" if head == "0" else head.lstrip("chptbkvo")
    head = head.removeprefix("0") if head.startswith("00") else head.replace("_", ".")
    return f"{head} {tail})".strip() if dash and tail.isdigit() else head


def place(number: str, language: str, name: str = "") -> str:
    """Where the unit with that number is, in words of that language: ``приложение 1, 2.3`` for ``a1.2.3``, ``глава 2``
    for ``ch2`` (also for the prefixes ``pt``, ``bk`` and ``vo``), ``2) (до первого номера)`` for ``0-2``. Any other
    number is returned as people read it, without further words: ``3.1``. ``name`` is the result of :func:`printed` if
    the unit is known, and is used in place of the number. ``""`` means that the unit is not known.
    """
    if number.startswith("a"):
        appendix, _, _ = number.partition("-")[0].partition(".")
        inner = (name or readable(number)).replace(f"({appendix})", "").replace(appendix, "", 1)
        where = _APPENDIX[language].format(appendix[1:])
        return f"{where}, {' '.join(inner.split())}" if inner.strip() else where
    if number.partition("-")[0] == "0":
        return _BEFORE[language].format(name or readable(number)).strip()
    if not name and number[:2] in {"ch", "pt", "bk", "vo"}:
        return _CHAPTER[language].format(readable(number))
    return name or readable(number)


def in_words(numbers: str, language: str) -> str:
    """The numbers, which :func:`printed` or :func:`readable` returned, with each appendix in words of that language:
    ``1.2 (a1)`` becomes ``1.2 (приложение 1)``.
    """
    return _APPENDIX_NUMBER.sub(lambda match: _APPENDIX[language].format(match[1]), numbers)


def stretch(units: Sequence[Clause]) -> Mapping[str, str]:
    """Language → the numbers of these units, which follow each other: of one unit ``2.2``, of two ``2.2, 2.3``, of more
    the first, the last and their count: ``2.2 – 5.4 (всего 23)``. There must be at least one unit.
    """
    first = printed(units[0])
    if len(units) == 1:
        return dict.fromkeys(_COUNT, first)
    if len(units) == 2:
        return dict.fromkeys(_COUNT, f"{first}, {printed(units[1])}")
    numbers = f"{first} – {printed(units[-1])}"
    return {language: words.format(numbers, len(units)) for language, words in _COUNT.items()}
