"""Dates, zones and large numbers as Kazakh, Russian and English readers write them.

Django has no Kazakh formats (it prints "Наурыз 1, 2026, 9 Т.Ж."), and neither language's sentence can be
made from a nominative alone, so the month names and their cases are here.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

CALENDAR_START, CALENDAR_END = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
Case = Literal["nominative", "from", "until", "on"]

# Kazakh: the bare month, then the ablative ("from"), dative ("until") and locative ("on") with vowel
# harmony and assimilation. Source: the declension of Kazakh nouns (септік жалғаулары).
_KK = (
    ("қаңтар", "қаңтардан", "қаңтарға", "қаңтарда"),
    ("ақпан", "ақпаннан", "ақпанға", "ақпанда"),
    ("наурыз", "наурыздан", "наурызға", "наурызда"),
    ("сәуір", "сәуірден", "сәуірге", "сәуірде"),
    ("мамыр", "мамырдан", "мамырға", "мамырда"),
    ("маусым", "маусымнан", "маусымға", "маусымда"),
    ("шілде", "шілдеден", "шілдеге", "шілдеде"),
    ("тамыз", "тамыздан", "тамызға", "тамызда"),
    ("қыркүйек", "қыркүйектен", "қыркүйекке", "қыркүйекте"),
    ("қазан", "қазаннан", "қазанға", "қазанда"),
    ("қараша", "қарашадан", "қарашаға", "қарашада"),
    ("желтоқсан", "желтоқсаннан", "желтоқсанға", "желтоқсанда"),
)
# Russian dates stand in the genitive whatever the sentence around them says.
_RU = (
    "января",
    "февраля",
    "марта",
    "апреля",
    "мая",
    "июня",
    "июля",
    "августа",
    "сентября",
    "октября",
    "ноября",
    "декабря",
)
_EN = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_CASES: tuple[Case, ...] = ("nominative", "from", "until", "on")
# One civil time holds in the whole country and is called by the capital's name.
_KAZAKHSTAN = frozenset(
    f"Asia/{city}" for city in ("Almaty", "Aqtau", "Aqtobe", "Atyrau", "Oral", "Qostanay", "Qyzylorda")
)


def offset(at: datetime) -> str:
    """``UTC+5``, ``UTC+5:30``, ``UTC``: the offset valid at that instant, in the instant's own zone."""
    delta = at.utcoffset()
    if delta is None:
        msg = f"{at!r} is naive: give it a time zone."
        raise ValueError(msg)
    if not delta:
        return "UTC"
    hours, minutes = divmod(abs(delta) // timedelta(minutes=1), 60)
    return f"UTC{'-' if delta < timedelta(0) else '+'}{hours}" + (f":{minutes:02}" if minutes else "")


def utc(at: datetime) -> datetime:
    """The instant in UTC; one beyond the calendar is the calendar's end."""
    try:
        return at.astimezone(UTC)
    except OverflowError:
        return CALENDAR_START if at.year == 1 else CALENDAR_END


def first_instant(day: date, name: str) -> datetime:
    """The instant, in UTC, at which that date begins in the zone ``name``.

    The first of two midnights, where clocks go back over midnight; where they skip it, or the whole day, the instant
    of the skip. A date at either end of the calendar begins at the calendar's end.
    """
    midnight = datetime.combine(day, time.min, ZoneInfo(name))
    # Of a time that does not exist, fold 1 lies before the skip and fold 0 after it; of one that exists, not so.
    before, after = (utc(midnight.replace(fold=fold)) for fold in (1, 0))
    while before < after:
        middle = before + (after - before) // 2
        if middle.astimezone(ZoneInfo(name)).date() < day:
            before = middle + timedelta(microseconds=1)
        else:
            after = middle
    return after


def zone(at: datetime, language: str, name: str) -> str:
    """The zone in words: «Астана уақыты, UTC+5», «время Астаны, UTC+5», "Astana time, UTC+5"."""
    local = offset(at.astimezone(ZoneInfo(name)))
    if name not in _KAZAKHSTAN:
        return local
    words = {"kk": "Астана уақыты", "ru": "время Астаны"}.get(language, "Astana time")
    return f"{words}, {local}"


def day(at: datetime, language: str, name: str, case: Case = "nominative") -> str:
    """The date alone, in the zone ``name``: «2026 жылғы 1 наурыз», «1 марта 2026 г.», "1 March 2026"."""
    local = at.astimezone(ZoneInfo(name))
    if language == "kk":
        return f"{local.year} жылғы {local.day} {_KK[local.month - 1][_CASES.index(case)]}"
    if language == "ru":
        return f"{local.day} {_RU[local.month - 1]} {local.year} г."
    return f"{local.day} {_EN[local.month - 1]} {local.year}"


def clock(at: datetime, name: str) -> str:
    """The time of day in the zone ``name``, to the minute, or to the second where there is one: ``09:00``."""
    local = at.astimezone(ZoneInfo(name))
    return local.strftime("%H:%M:%S" if local.second else "%H:%M")


def instant(at: datetime, language: str, name: str, case: Case = "nominative") -> str:
    """Date, time and zone: «2026 жылғы 1 наурыз, сағат 09:00 (Астана уақыты, UTC+5)»."""
    hour = "сағат " if language == "kk" else ""
    return f"{day(at, language, name, case)}, {hour}{clock(at, name)} ({zone(at, language, name)})"


def format_number(count: int, language: str) -> str:
    """A large number with its thousands apart, which Django does not do in Kazakh: «1 000 000», "1,000,000"."""
    return f"{count:,}".replace(",", "," if language == "en" else "\N{NO-BREAK SPACE}")
