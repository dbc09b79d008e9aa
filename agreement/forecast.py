"""When a notice will have gone out, and to how many in time: before the first message is sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Sum
from django.utils import timezone

from agreement import conf, pace
from agreement.models import Pace, Progress
from agreement.models.notices import leaves_at
from agreement.pace import Cap

#: Messages a second, where no notice has gone out yet by which it could be measured.
SPEED = 20.0
#: A notice this large says how fast a channel is.
MEASURED = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Of one channel: when its last message will be out, and how many users will have been told by two moments."""

    channel: str
    recipients: int
    ends_at: datetime
    before_effect: int
    before_notice: int
    """How many by the day that leaves the days of notice the edition in force promises."""


def forecast(
    *,
    channel: str,
    recipients: int,
    effective_from: datetime,
    notice_days: int = 0,
    at: datetime | None = None,
) -> Forecast:
    """What to expect of a notice to so many users that is published at that instant (now). 3 queries, none of which
    counts a ledger.

    Whatever waits in the channel goes first; what the caps have seen counts.
    """
    at = at or timezone.now()
    limits, speed = conf.limits(channel), _speed(channel)
    ahead = Progress.objects.filter(channel=channel).aggregate(waiting=Sum("waiting"))["waiting"] or 0
    start = _start(channel, limits, leaves_at(at, effective_from))

    def told(by: datetime) -> int:
        out = pace.sent((by - start).total_seconds(), limits, speed)
        return min(recipients, max(0, out - ahead))

    return Forecast(
        channel=channel,
        recipients=recipients,
        ends_at=start + timedelta(seconds=pace.seconds(ahead + recipients, limits, speed)),
        before_effect=told(effective_from),
        before_notice=told(effective_from - timedelta(days=notice_days)),
    )


def expected_end(row: Progress, *, at: datetime | None = None) -> datetime:
    """When what waits of a notice in a channel will have gone out, as things stand; what older notices have waiting
    goes first. 3 queries, with the notice at hand.
    """
    at = at or timezone.now()
    limits = conf.limits(row.channel)
    ahead = Progress.objects.filter(channel=row.channel, notice__lte=row.notice_id, notice__paused_at__isnull=True)
    waiting = ahead.aggregate(waiting=Sum("waiting"))["waiting"] or 0
    start = _start(row.channel, limits, max(at, row.notice.due_at))
    return start + timedelta(seconds=pace.seconds(waiting, limits, _speed(row.channel)))


def _start(channel: str, limits: Sequence[Cap], at: datetime) -> datetime:
    row = Pace.objects.filter(channel=channel).first()
    return max(at, row.opens_at(limits, at) if limits else at, row.back_at(at)) if row else at


def _speed(channel: str) -> float:
    """Messages a second, by the newest notice that was large enough and has an end."""
    rows = Progress.objects.filter(channel=channel, sent__gte=MEASURED, latest_at__isnull=False).order_by("-pk")
    last = rows.first()
    if last is None or last.began_at is None or last.latest_at is None:
        return SPEED
    return (last.sent + last.failed) / max((last.latest_at - last.began_at).total_seconds(), 1.0)
