"""How many joined an edition, over time: a chart, and the same as a table."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connections, models
from django.db.models import Count, Func
from django.db.models.functions import TruncHour
from django.utils.translation import gettext

from agreement import dates
from agreement.admin.tables import language
from agreement.models import Acceptance, Edition

#: So many joinings are looked at, the first of them: what the chart of an edition costs at most.
MOST = 100_000
#: So many bars; then they stand for weeks, then for months.
BARS = 62
#: The picture's size, in its own units.
WIDTH, HEIGHT = 620, 120


class _Hour(Func):
    """SQLite's own function: Django's would call Python for each row."""

    template = "strftime('%%%%Y-%%%%m-%%%%d %%%%H', %(expressions)s)"
    output_field = models.CharField()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A day, week or month: its first day in words, how many, and its place in the picture."""

    day: str
    count: int
    x: str
    y: str
    width: str
    height: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """The bars from the first joining to the last; ``whole`` unless there were more than are looked at."""

    title: str
    bars: list[Bar]
    whole: bool
    most: int = MOST
    width: int = WIDTH
    height: int = HEIGHT


def chart(edition: Edition) -> Chart | None:
    """The joinings of an edition by day in the agreement's zone; ``None`` while there are none.

    2 queries of the same range of an index, ``MOST`` entries at most.
    """
    rows = Acceptance.objects.filter(edition=edition.pk)
    last = rows.order_by("at").values_list("at", flat=True)[MOST - 1 : MOST].first()
    rows = rows.filter(at__lte=last) if last else rows
    native = connections[rows.db].vendor == "sqlite"
    hour: Any = _Hour("at") if native else TruncHour("at", tzinfo=UTC)
    found = rows.order_by().annotate(agreement_hour=hour).values_list("agreement_hour").annotate(Count("pk"))
    zone = ZoneInfo(edition.agreement.time_zone)
    days: Counter[date] = Counter()
    for at, count in found:
        moment = datetime.strptime(at, "%Y-%m-%d %H").replace(tzinfo=UTC) if native else at
        days[moment.astimezone(zone).date()] += count
    return _drawn(days, edition.agreement.time_zone, whole=last is None) if days else None


def _drawn(days: Counter[date], zone: str, *, whole: bool) -> Chart:
    first, last = min(days), max(days)
    title, step = gettext("Joinings by day"), _day
    if (last - first).days >= BARS:
        title, step = gettext("Joinings by week"), _week
        if (last - first).days >= 7 * BARS:
            title, step = gettext("Joinings by month"), _month
    counts: Counter[date] = Counter()
    day = first
    while day <= last:  # Days on which nobody joined have a place too.
        counts[step(day)] += days[day]
        day += timedelta(days=1)
    # What is drawn is bounded: of more months than bars, the latest.
    kept = sorted(counts)[-BARS:]
    highest, width = max(counts[day] for day in kept) or 1, WIDTH / max(len(kept), 10)
    bars = []
    for place, day in enumerate(kept):
        height = counts[day] * HEIGHT / highest
        bars.append(
            Bar(
                day=dates.day(datetime.combine(day, time(12), ZoneInfo(zone)), language(), zone),
                count=counts[day],
                x=f"{place * width:.2f}",
                y=f"{HEIGHT - height:.2f}",
                width=f"{width * 0.8:.2f}",
                height=f"{height:.2f}",
            )
        )
    return Chart(title=title, bars=bars, whole=whole)


def _day(day: date) -> date:
    return day


def _week(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _month(day: date) -> date:
    return day.replace(day=1)
