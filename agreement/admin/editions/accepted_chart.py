"""The chart of the acceptances of an edition over time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.db import connections, models
from django.db.models import Count, Func
from django.db.models.functions import TruncHour
from django.utils.translation import gettext

from agreement.conf import active_language
from agreement.models import Acceptance, Edition
from agreement.text import dates

#: The chart counts at most this many acceptances of an edition, the earliest.
MAX_ACCEPTANCES = 100_000
#: The largest number of bars. A bar stands for a day; for longer periods it stands for a week or a month.
MAX_BARS = 62
#: The size of the chart in SVG units.
WIDTH, HEIGHT = 620, 120


class _Hour(Func):
    """Truncates a moment to the hour by a function of SQLite. The value is a text in UTC, such as ``2026-03-01 18``.
    Django's ``TruncHour`` is slow there, because it calls Python for each row.
    """

    template = "strftime('%%%%Y-%%%%m-%%%%d %%%%H', %(expressions)s)"
    output_field = models.CharField()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartBar:
    """The bar of a day, week or month: its first day as a phrase, the number of acceptances, and its place and size in
    the chart, in SVG units.
    """

    day: str
    count: int
    x: str
    y: str
    width: str
    height: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptanceChart:
    """The bars of the counted acceptances. Every acceptance is counted if the edition has at most ``limit`` of them;
    then ``complete`` is true. Otherwise only the ``limit`` earliest are counted. The bars go from the first counted
    acceptance to the last. If these would be more than ``MAX_BARS`` bars, only the latest ``MAX_BARS`` are kept.
    """

    title: str
    bars: list[ChartBar]
    complete: bool
    limit: int = MAX_ACCEPTANCES
    width: int = WIDTH
    height: int = HEIGHT


def acceptance_chart(edition: Edition) -> AcceptanceChart | None:
    """Return the chart of the acceptances of an edition, by day, week or month in the time zone of the agreement;
    ``None`` if there are none. Each acceptance counts, of every kind, also before a withdrawal and of deleted accounts.
    It belongs to the day, in that time zone, on which its hour in UTC begins.

    If there are more than ``MAX_ACCEPTANCES``, only so many, the earliest, are counted. 2 queries, if the agreement of
    the edition is loaded.
    """
    rows = Acceptance.objects.filter(edition=edition.pk)
    complete = not rows.order_by("at")[MAX_ACCEPTANCES : MAX_ACCEPTANCES + 1].exists()
    rows = rows if complete else Acceptance.objects.filter(pk__in=rows.order_by("at").values("pk")[:MAX_ACCEPTANCES])
    sqlite = connections[rows.db].vendor == "sqlite"
    hour = _Hour("at") if sqlite else TruncHour("at", tzinfo=UTC)
    found = rows.order_by().annotate(agreement_hour=hour).values_list("agreement_hour").annotate(Count("pk"))
    zone = ZoneInfo(edition.agreement.time_zone)
    days: Counter[date] = Counter()
    for at, count in found:
        moment = datetime.strptime(at, "%Y-%m-%d %H").replace(tzinfo=UTC) if sqlite else at
        days[moment.astimezone(zone).date()] += count
    return _chart(days, edition.agreement.time_zone, complete=complete) if days else None


def _chart(days: Counter[date], zone: str, *, complete: bool) -> AcceptanceChart:
    """Return the chart of these numbers of acceptances by day, of which there must be at least one. ``zone`` is the
    name of the agreement's time zone. ``complete`` says whether the numbers contain every acceptance of the edition.
    """
    title, counts = _grouped(days)
    # If there are more than MAX_BARS months, only the latest are displayed.
    starts = sorted(counts)[-MAX_BARS:]
    highest, width = max(counts[day] for day in starts) or 1, WIDTH / max(len(starts), 10)
    bars = []
    for place, day in enumerate(starts):
        height = counts[day] * HEIGHT / highest
        bars.append(
            ChartBar(
                day=dates.day(datetime.combine(day, time(12), ZoneInfo(zone)), active_language(), zone),
                count=counts[day],
                x=f"{place * width:.2f}",
                y=f"{HEIGHT - height:.2f}",
                width=f"{width * 0.8:.2f}",
                height=f"{height:.2f}",
            )
        )
    return AcceptanceChart(title=title, bars=bars, complete=complete)


def _grouped(days: Counter[date]) -> tuple[str, Counter[date]]:
    """Return the title of the chart, and the number of acceptances by the first day of each bar. A bar is a day if the
    days from the first to the last are at most ``MAX_BARS``. Otherwise it is a week, which begins on Monday, if the
    weeks are at most ``MAX_BARS``; otherwise a month. A bar without acceptances has the number 0. ``days`` must not be
    empty.
    """
    first, last = min(days), max(days)
    title, start = gettext("Acceptances by day"), _day
    if (last - first).days >= MAX_BARS:
        title, start = gettext("Acceptances by week"), _week
        if (_week(last) - _week(first)).days >= 7 * MAX_BARS:
            title, start = gettext("Acceptances by month"), _month
    counts: Counter[date] = Counter()
    day = first
    while day <= last:  # Days without acceptances have a bar too.
        counts[start(day)] += days[day]
        day += timedelta(days=1)
    return title, counts


def _day(day: date) -> date:
    return day


def _week(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _month(day: date) -> date:
    return day.replace(day=1)
