"""When a notice will have gone out, and to how many in time: before the first message is sent."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connections
from django.db.models import Count, QuerySet, Sum, Value
from django.utils import timezone

from agreement import conf, pace
from agreement.models import Delivery, Notice, Pace, Progress
from agreement.models.notices import leaves_at
from agreement.pace import Cap

#: Messages a second, where no notice has gone out yet by which it could be measured.
SPEED = 20.0
#: So many users are counted, more are estimated.
FEW = 500
#: A notice this large says how fast a channel is, by a sample of so many of its deliveries.
MEASURED, SAMPLE = 1000, 500


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
    agreement: int | None = None,
    at: datetime | None = None,
) -> Forecast:
    """What to expect of a notice to so many users that is published at that instant (now). At most 7 queries and 1 a
    notice that waits, none of which counts a ledger.

    Whatever waits in the channel goes first, but what is paused, and what is said of earlier editions of that
    ``agreement`` (its key): this replaces it. What the caps have seen counts.
    """
    at = at or timezone.now()
    limits, speed = conf.limits(channel), _speed(channel)
    replaces = {Notice.Kind.PUBLISHED, Notice.Kind.REMINDER}
    goes = (one for one in _news(channel, at) if one.edition.agreement_id != agreement or one.kind not in replaces)
    ahead = _waiting(channel, goes)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How many users would be told now, by the language of their notice (``kk``, ``ru``, ``mul``)."""

    languages: dict[str, int]
    exact: bool

    @property
    def total(self) -> int:
        return sum(self.languages.values())


def reach(*, exact: bool = False) -> Reach:
    """Who would be told now: counted where users are few, estimated where they are many, so that it costs the same for
    ten users and for ten million. At most 4 queries; ``exact`` counts, whatever it costs (1 query).

    An estimate is the planner's on PostgreSQL, elsewhere the audience of the last notice; its languages are those of
    the first and the last users there are.
    """
    users = conf.audience().order_by("pk")
    if exact:
        return Reach(languages=count_by_language(users), exact=True)
    spoken = _spoken(users)
    sample = list(spoken.values_list("agreement_language", flat=True)[: FEW + 1])
    if len(sample) <= FEW:
        return Reach(languages=_by_language((code, 1) for code in sample), exact=True)
    sample += spoken.order_by("-pk").values_list("agreement_language", flat=True)[: FEW + 1]
    shares, total = _by_language((code, 1) for code in sample), max(_estimate(users), FEW + 1)
    return Reach(languages={code: round(total * n / len(sample)) for code, n in shares.items()}, exact=False)


def count_by_language(users: QuerySet[Any]) -> dict[str, int]:
    """How many those users are, by the language of their notice. 1 query, which reads them all."""
    spoken = _spoken(users).order_by().values_list("agreement_language")
    return _by_language(spoken.annotate(agreement_count=Count("pk")))


def _spoken(users: QuerySet[Any]) -> Any:
    language = conf.user_language()
    return users.annotate(agreement_language=Value("") if language is None else language)


def _by_language(rows: Iterable[tuple[object, int]]) -> dict[str, int]:
    counts: dict[str, int] = dict.fromkeys((*conf.LANGUAGES, "mul"), 0)
    for code, count in rows:
        counts[conf.notice_language(code)] += count
    return counts


def _estimate(users: QuerySet[Any]) -> int:
    """About how many there are, without counting them."""
    if connections[users.db].vendor == "postgresql":
        return int(json.loads(users.order_by().explain(format="json"))[0]["Plan"]["Plan Rows"])
    last = Progress.objects.filter(notice__kind=Notice.Kind.PUBLISHED, notice__fanned_out_at__isnull=False)
    row = last.order_by("-notice").first()
    return row.audience if row else users.count()


def expected_end(row: Progress, *, at: datetime | None = None) -> datetime:
    """When what waits of a notice in a channel will have gone out, as things stand; what older notices have waiting
    goes first. At most 7 queries, with the notice at hand, and 1 a notice that waits.
    """
    at = at or timezone.now()
    limits = conf.limits(row.channel)
    waiting = _waiting(row.channel, (one for one in _news(row.channel, at) if one.pk <= row.notice_id))
    start = _start(row.channel, limits, max(at, row.notice.due_at))
    return start + timedelta(seconds=pace.seconds(waiting, limits, _speed(row.channel)))


def _news(channel: str, at: datetime) -> list[Notice]:
    """What waits in a channel and will be sent, as ``sending`` sees it: not what is paused, nor what is no news."""
    return [notice for notice in Notice.objects.sendable(channel=channel) if not notice.stale(at)]


def _waiting(channel: str, notices: Iterable[Notice]) -> int:
    rows = Progress.objects.filter(channel=channel, notice__in=[notice.pk for notice in notices])
    return rows.aggregate(waiting=Sum("waiting"))["waiting"] or 0


def _start(channel: str, limits: Sequence[Cap], at: datetime) -> datetime:
    row = Pace.objects.filter(channel=channel).first()
    return max(at, row.opens_at(limits, at) if limits else at, row.back_at(at)) if row else at


def speed(row: Progress) -> float | None:
    """Messages a second at which a notice goes out in a channel, ``None`` where nothing says so: over the shortest time
    in which a third of them did, so that neither a pause counts nor whoever was tried again the day after. At most 3
    queries, of a sample of the ledger by its keys.
    """
    rows = Delivery.objects.filter(notice=row.notice_id, channel=row.channel)
    keys = rows.filter(user__isnull=False).values_list("pk", flat=True)
    first, last = keys.order_by("user_id").first(), keys.order_by("-user_id").first()
    if first is None or last is None:
        return None
    sample = {first + (last - first) * number // (SAMPLE - 1) for number in range(SAMPLE)}
    # Not what was found in the mail log after a restore: nobody knows when that was sent.
    out = rows.filter(pk__in=sample, outcome=Delivery.Outcome.SENT, reason="", settled_at__isnull=False)
    moments = sorted(moment.timestamp() for moment in out.values_list("settled_at", flat=True) if moment)
    third = len(moments) // 3
    if not third:
        return None
    took = min(later - moment for moment, later in zip(moments, moments[third:], strict=False))
    rate = third * (row.sent - 1) / (len(moments) - 1) / max(took, 0.001)
    # What a cap lets go at once is not its speed.
    return min([rate, *(one.count / one.seconds for one in conf.limits(row.channel))])


def _speed(channel: str) -> float:
    """Messages a second, by the newest notice that was large enough."""
    last = Progress.objects.filter(channel=channel, sent__gte=MEASURED).order_by("-pk").first()
    return (speed(last) if last else None) or SPEED
