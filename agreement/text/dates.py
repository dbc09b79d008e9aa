"""Dates, zones and large numbers as Kazakh, Russian and English readers write them.

Django has no Kazakh formats: it prints "Наурыз 1, 2026, 9 Т.Ж.". A Kazakh or Russian sentence needs the name of the
month in other cases than the nominative. Therefore the names and their cases are here.

A no-break space stands where a line must not break: between the day and the month, before «жылғы» and «г.», and after
«сағат». The texts of :func:`short` have none.

In all functions ``name`` is the name of a time zone, such as ``Asia/Almaty``, and ``language`` is ``kk``, ``ru`` or
another code, which gives English (in :func:`format_number` only ``en`` does). Instants must have a time zone.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

#: The space at which a line does not break. A search in the page finds it as an ordinary space.
NBSP = "\N{NO-BREAK SPACE}"
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
# The month of a Russian date is always in the genitive.
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
#: The names of the months in all languages and cases, in lower case.
MONTHS = frozenset(name.lower() for names in (*_KK, _RU, _EN) for name in names)
_CASES: tuple[Case, ...] = ("nominative", "from", "until", "on")
# The whole country has one civil time, which is named after the capital.
_KAZAKHSTAN = frozenset(
    f"Asia/{city}" for city in ("Almaty", "Aqtau", "Aqtobe", "Atyrau", "Oral", "Qostanay", "Qyzylorda")
)


def offset(at: datetime) -> str:
    """The offset of the instant in its own zone: ``UTC+5``, ``UTC+5:30``, ``UTC``. The seconds of an offset are left
    out. Raises ``ValueError`` for an instant without a zone.
    """
    delta = at.utcoffset()
    if delta is None:
        msg = f"{at!r} is naive: give it a time zone."
        raise ValueError(msg)
    if not delta:
        return "UTC"
    hours, minutes = divmod(abs(delta) // timedelta(minutes=1), 60)
    return f"UTC{'-' if delta < timedelta(0) else '+'}{hours}" + (f":{minutes:02}" if minutes else "")


def outdated_zones() -> dict[str, str]:
    """The zones of Kazakhstan that do not have ``UTC+5`` on 1 March 2024 in the zone data that this process reads,
    because the data is from before the change of that day. Maps each name to the wrong offset, such as ``UTC+6``. Zones
    that had UTC+5 before are not found. Raises ``ZoneInfoNotFoundError`` if the data lacks one of the zones.

    Python reads the files of the system first. It reads the package ``tzdata`` only for a zone that these lack.
    """
    after = datetime(2024, 3, 1, 12, tzinfo=UTC)
    found = {name: offset(after.astimezone(ZoneInfo(name))) for name in sorted(_KAZAKHSTAN)}
    return {name: wrong for name, wrong in found.items() if wrong != "UTC+5"}


def utc(at: datetime) -> datetime:
    """The instant in UTC. ``at`` must have a time zone. An instant that is outside the years 1 to 9999 in UTC becomes
    ``CALENDAR_START`` or ``CALENDAR_END``.
    """
    try:
        return at.astimezone(UTC)
    except OverflowError:
        return CALENDAR_START if at.year == 1 else CALENDAR_END


def first_instant(day: date, name: str) -> datetime:
    """The instant, in UTC, at which that date begins in the zone ``name``.

    If the clocks go back over midnight, it is the first of the two midnights. If they skip midnight or the whole day,
    it is the instant of the skip. An instant outside the calendar becomes ``CALENDAR_START`` or ``CALENDAR_END``.
    """
    midnight = datetime.combine(day, time.min, ZoneInfo(name))
    # If midnight is skipped, fold 1 gives an instant before the skip, and fold 0 the skip or an instant after it. If
    # midnight exists, fold 1 is not earlier than fold 0.
    before, after = (utc(midnight.replace(fold=fold)) for fold in (1, 0))
    while before < after:
        middle = before + (after - before) // 2
        if middle.astimezone(ZoneInfo(name)).date() < day:
            before = middle + timedelta(microseconds=1)
        else:
            after = middle
    return after


def zone(at: datetime, language: str, name: str) -> str:
    """The time zone ``name`` in words, with its offset at the instant ``at``: «Астана уақыты, UTC+5», "Astana time,
    UTC+5". A zone outside Kazakhstan gives its offset alone. A language other than ``kk`` and ``ru`` gives English.
    """
    local = offset(at.astimezone(ZoneInfo(name)))
    if name not in _KAZAKHSTAN:
        return local
    words = {"kk": "Астана уақыты", "ru": "время Астаны"}.get(language, "Astana time")
    return f"{words}, {local}"


def day(at: datetime, language: str, name: str, case: Case = "nominative", *, year: bool = True) -> str:
    """The date in the time zone ``name``: «2026 жылғы 1 наурыз», «1 марта 2026 г.», "1 March 2026"; ``year=False``
    leaves the year out. A language other than ``kk`` and ``ru`` gives English.

    ``case`` is the case of the Kazakh month: ``"from"`` gives «2026 жылғы 1 наурыздан», ``"until"`` «…наурызға» and
    ``"on"`` «…наурызда». Russian and English dates do not depend on it.
    """
    local = at.astimezone(ZoneInfo(name))
    if language == "kk":
        month, before, after = _KK[local.month - 1][_CASES.index(case)], f"{local.year}{NBSP}жылғы ", ""
    elif language == "ru":
        month, before, after = _RU[local.month - 1], "", f" {local.year}{NBSP}г."
    else:
        month, before, after = _EN[local.month - 1], "", f" {local.year}"
    return f"{before}{local.day}{NBSP}{month}{after}" if year else f"{local.day}{NBSP}{month}"


def clock(at: datetime, name: str, *, seconds: bool = True) -> str:
    """The time of day in the zone ``name``: ``09:00``, or ``09:00:30`` if its seconds are not zero. ``seconds=False``
    leaves the seconds out.
    """
    local = at.astimezone(ZoneInfo(name))
    return local.strftime("%H:%M:%S" if seconds and local.second else "%H:%M")


def short(at: datetime, language: str, name: str) -> str:
    """The date and time in the time zone ``name``, for tables: «29.11.2026, 03:41» in Kazakh and Russian, "29 Nov 2026,
    03:41" in any other language. The zone is left out, and so are the seconds.
    """
    local = at.astimezone(ZoneInfo(name))
    written = (
        f"{local:%d.%m.%Y}" if language in {"kk", "ru"} else f"{local.day} {_EN[local.month - 1][:3]} {local.year}"
    )
    return f"{written}, {local:%H:%M}"


def instant(at: datetime, language: str, name: str, *, seconds: bool = True) -> str:
    """The date and time in the time zone ``name``, and the zone: «2026 жылғы 1 наурыз, сағат 09:00 (Астана уақыты,
    UTC+5)». The date is in the nominative. A language other than ``kk`` and ``ru`` gives English.

    It follows a colon or stands alone, because only :func:`placeholders` give a sentence its cases. The seconds are
    written if they are not zero; ``seconds=False`` leaves them out, as sentences do.
    """
    hour = f"сағат{NBSP}" if language == "kk" else ""
    return f"{day(at, language, name)}, {hour}{clock(at, name, seconds=seconds)} ({zone(at, language, name)})"


def placeholders(at: datetime, language: str, name: str, case: Case) -> dict[str, str]:
    """The values of the placeholders ``day``, ``clock`` and ``zone`` of a sentence: the date and the time, without
    seconds, in the time zone ``name``, such as ``Asia/Almaty``, and this zone in words. ``case`` is the case of the
    Kazakh month. A sentence has three placeholders, because each language has its own order of words.
    """
    return {
        "day": day(at, language, name, case),
        "clock": clock(at, name, seconds=False),
        "zone": zone(at, language, name),
    }


def last_day(until: datetime, language: str, name: str) -> str:
    """The last day of a period that ends at the instant ``until``: «2026 жылғы 10 желтоқсан». If ``until`` is midnight
    in the zone ``name``, that is the date of the day before. Otherwise the result is the :func:`instant` of the end,
    without the seconds.
    """
    local = until.astimezone(ZoneInfo(name))
    if local.time() == time.min:
        return day(until - timedelta(microseconds=1), language, name)
    return instant(until, language, name, seconds=False)


def format_number(count: int, language: str) -> str:
    """The number with separated thousands: "1,000,000" for ``en``, «1 000 000» with no-break spaces for any other
    language. Django does not separate them in Kazakh.
    """
    return f"{count:,}".replace(",", "," if language == "en" else NBSP)
