"""Dates as Kazakh, Russian and English readers write them."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from agreement.text import dates
from tests.support.zone_files import BEFORE_2024, zone_files

ALMATY = "Asia/Almaty"

KAZAKH = {
    1: ("қаңтар", "қаңтардан", "қаңтарға", "қаңтарда"),
    2: ("ақпан", "ақпаннан", "ақпанға", "ақпанда"),
    3: ("наурыз", "наурыздан", "наурызға", "наурызда"),
    4: ("сәуір", "сәуірден", "сәуірге", "сәуірде"),
    5: ("мамыр", "мамырдан", "мамырға", "мамырда"),
    6: ("маусым", "маусымнан", "маусымға", "маусымда"),
    7: ("шілде", "шілдеден", "шілдеге", "шілдеде"),
    8: ("тамыз", "тамыздан", "тамызға", "тамызда"),
    9: ("қыркүйек", "қыркүйектен", "қыркүйекке", "қыркүйекте"),
    10: ("қазан", "қазаннан", "қазанға", "қазанда"),
    11: ("қараша", "қарашадан", "қарашаға", "қарашада"),
    12: ("желтоқсан", "желтоқсаннан", "желтоқсанға", "желтоқсанда"),
}
RUSSIAN = "января февраля марта апреля мая июня июля августа сентября октября ноября декабря".split()
CASES = ("nominative", "from", "until", "on")


def noon(month: int) -> datetime:
    return datetime(2026, month, 1, 12, 0, tzinfo=ZoneInfo(ALMATY))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("month", range(1, 13))
def test_a_kazakh_date_bends_its_month(month, case):
    expected = KAZAKH[month][CASES.index(case)]
    assert dates.day(noon(month), "kk", ALMATY, case) == f"2026\u00a0жылғы 1\u00a0{expected}"


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("month", range(1, 13))
def test_a_russian_date_stands_in_the_genitive_in_every_sentence(month, case):
    assert dates.day(noon(month), "ru", ALMATY, case) == f"1\u00a0{RUSSIAN[month - 1]} 2026\u00a0г."


@pytest.mark.parametrize("language", ["en", "de", ""])
def test_any_other_language_gets_an_english_date(language):
    assert dates.day(noon(3), language, ALMATY) == "1\u00a0March 2026"


@pytest.mark.parametrize(
    ("language", "written"),
    [
        ("kk", "2026\u00a0жылғы 1\u00a0наурыз, сағат\u00a009:00 (Астана уақыты, UTC+5)"),
        ("ru", "1\u00a0марта 2026\u00a0г., 09:00 (время Астаны, UTC+5)"),
        ("en", "1\u00a0March 2026, 09:00 (Astana time, UTC+5)"),
    ],
)
def test_an_instant_names_its_zone(language, written):
    assert dates.instant(datetime(2026, 3, 1, 4, 0, tzinfo=UTC), language, ALMATY) == written


def test_the_day_is_that_of_the_zone_and_not_of_utc():
    late = datetime(2026, 12, 31, 20, 0, tzinfo=UTC)
    assert dates.day(late, "ru", ALMATY) == "1\u00a0января 2027\u00a0г."
    assert dates.day(late, "ru", "UTC") == "31\u00a0декабря 2026\u00a0г."


def test_a_time_has_seconds_only_if_they_are_not_zero():
    at = datetime(2026, 3, 1, 9, 0, 7, 500_000, tzinfo=UTC)
    assert dates.clock(at, "UTC") == "09:00:07"
    assert dates.clock(at.replace(second=0), "UTC") == "09:00"


def test_the_offset_distinguishes_the_two_hours_when_clocks_go_back():
    """Almaty left UTC+6 at 2024-03-01 00:00, and it was 23:00 again."""
    first = datetime(2024, 2, 29, 17, 30, tzinfo=UTC)
    second = first + timedelta(hours=1)

    assert dates.instant(first, "ru", ALMATY) == "29\u00a0февраля 2024\u00a0г., 23:30 (время Астаны, UTC+6)"
    assert dates.instant(second, "ru", ALMATY) == "29\u00a0февраля 2024\u00a0г., 23:30 (время Астаны, UTC+5)"


def test_fold_distinguishes_the_two_hours_in_local_time():
    local = datetime(2024, 2, 29, 23, 30, tzinfo=ZoneInfo(ALMATY))
    assert dates.offset(local) == "UTC+6"
    assert dates.offset(local.replace(fold=1)) == "UTC+5"


@pytest.mark.parametrize("city", ["Almaty", "Aqtau", "Aqtobe", "Atyrau", "Oral", "Qostanay", "Qyzylorda"])
def test_every_zone_of_kazakhstan_is_called_astana_time(city):
    assert dates.zone(noon(6), "kk", f"Asia/{city}") == "Астана уақыты, UTC+5"


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("UTC", "UTC"),
        ("Asia/Kolkata", "UTC+5:30"),
        ("America/New_York", "UTC-4"),
        ("America/St_Johns", "UTC-2:30"),
    ],
)
def test_any_other_zone_is_its_offset(name, written):
    assert dates.zone(noon(7), "ru", name) == written


def test_offset_reads_a_fixed_zone():
    assert dates.offset(datetime(2026, 1, 1, tzinfo=timezone(-timedelta(hours=3, minutes=30)))) == "UTC-3:30"


def test_offset_refuses_a_naive_time():
    with pytest.raises(ValueError, match="is naive: give it a time zone"):
        dates.offset(datetime(2026, 3, 1))  # noqa: DTZ001 - that is the point


@pytest.mark.parametrize(
    ("zone", "day", "begins"),
    [
        ("Asia/Almaty", date(2024, 2, 29), "2024-02-28T18:00:00"),
        ("Asia/Almaty", date(2024, 3, 1), "2024-02-29T19:00:00"),
        ("America/Sao_Paulo", date(2018, 11, 4), "2018-11-04T03:00:00"),  # 00:00 does not exist
        ("America/Havana", date(2018, 11, 4), "2018-11-04T04:00:00"),  # 00:00 exists twice
        ("America/Toronto", date(1919, 3, 31), "1919-03-31T04:30:00"),  # 23:30 is followed by 00:30
        ("Pacific/Apia", date(2011, 12, 30), "2011-12-30T10:00:00"),  # the whole day does not exist
        ("Asia/Almaty", date.min, "0001-01-01T00:00:00"),
        ("America/Havana", date.max, "9999-12-31T05:00:00"),
    ],
)
def test_a_day_begins_at_its_first_instant(zone, day, begins):
    assert dates.first_instant(day, zone) == datetime.fromisoformat(begins).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("language", "written"), [("kk", "1\xa0234\xa0567"), ("ru", "1\xa0234\xa0567"), ("en", "1,234,567")]
)
def test_a_large_number_has_its_thousands_apart(language, written):
    assert dates.format_number(1_234_567, language) == written
    assert dates.format_number(999, language) == "999"


# The zone data of the machine


@pytest.fixture
def zone_path(tmp_path):
    """Makes Python read zone files that ``zic`` compiles from a source."""

    def read(source: str) -> None:
        zoneinfo.reset_tzpath(to=[zone_files(tmp_path, source)])
        ZoneInfo.clear_cache()

    before = zoneinfo.TZPATH
    yield read
    zoneinfo.reset_tzpath(to=before)
    ZoneInfo.clear_cache()


def test_zone_data_from_before_2024_is_found_for_each_zone_that_changed(zone_path):
    assert dates.outdated_zones() == {}
    zone_path(BEFORE_2024)
    assert dates.outdated_zones() == {"Asia/Almaty": "UTC+6", "Asia/Qostanay": "UTC+6"}


def test_a_zone_that_the_files_lack_is_read_from_the_package_tzdata(zone_path):
    zone_path(BEFORE_2024.partition("Zone Asia/Qostanay")[0])
    assert dates.outdated_zones() == {"Asia/Almaty": "UTC+6"}


def test_the_placeholders_of_a_sentence_have_no_seconds():
    at = datetime(2026, 3, 1, 4, 0, 7, tzinfo=UTC)
    expected = {"day": "2026\u00a0жылғы 1\u00a0наурыздан", "clock": "09:00", "zone": "Астана уақыты, UTC+5"}
    assert dates.placeholders(at, "kk", ALMATY, "from") == expected


@pytest.mark.parametrize(
    ("language", "written"), [("kk", "1\u00a0наурызда"), ("ru", "1\u00a0марта"), ("en", "1\u00a0March")]
)
def test_a_day_may_be_written_without_its_year(language, written):
    assert dates.day(noon(3), language, ALMATY, "on", year=False) == written


def test_a_short_moment_has_digits_in_every_language():
    at = datetime(2026, 11, 28, 22, 41, 30, tzinfo=UTC)
    assert dates.short(at, "kk", "Asia/Almaty") == "29.11.2026, 03:41"
    assert dates.short(at, "ru", "Asia/Almaty") == "29.11.2026, 03:41"
    assert dates.short(at, "en", "Asia/Almaty") == "29 Nov 2026, 03:41"
