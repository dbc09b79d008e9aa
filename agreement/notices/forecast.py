"""When a notice will have been sent, and to how many users in time. It is computed before the first message is sent."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connections
from django.db.models import Count, Model, QuerySet, Sum, Value
from django.utils import timezone

from agreement import conf
from agreement.models import (
    ChannelState,
    Delivery,
    DeliveryOutcome,
    Notice,
    NoticeKind,
    Progress,
    channel_state,
    rate_limits,
)
from agreement.models.notices import notice_due_at
from agreement.models.rate_limits import RateLimit
from agreement.text.languages import LANGUAGES, notice_language

#: Messages per second, assumed where no notice was sent yet from which the speed could be measured.
DEFAULT_SPEED = 20.0
#: Up to this many users are counted; more are estimated.
COUNTED_UP_TO = 500
#: The speed of a channel is measured from a notice of at least this size, by a sample of its deliveries.
MEASURABLE, SAMPLE_SIZE = 1000, 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """For one channel: when the last message will be sent, and how many users will be notified by two moments."""

    channel: str
    recipients: int
    ends_at: datetime
    before_effect: int
    before_notice: int
    """How many by the moment that leaves the days of notice which the edition in force promises."""


def forecast(
    *,
    channel: str,
    recipients: int,
    effective_from: datetime,
    notice_days: int = 0,
    agreement: int | None = None,
    at: datetime | None = None,
) -> Forecast:
    """What to expect of a notice to this many users that is published at that instant (now). At most 7 queries and 1
    per waiting notice; none of them counts the ledger.

    Everything that waits in the channel is sent first, except paused notices, and notices about earlier editions of
    this ``agreement`` (its key), which the new notice replaces. The rate limits count what was sent before.
    """
    at = at or timezone.now()
    limits, speed = channel_state.limits_for(channel), _channel_speed(channel)
    replaced = {NoticeKind.PUBLISHED, NoticeKind.REMINDER}
    first = (
        notice
        for notice in _sendable_notices(channel, at)
        if notice.edition.agreement_id != agreement or notice.kind not in replaced
    )
    ahead = _waiting(channel, first)
    start = _start(channel, limits, notice_due_at(at, effective_from))

    def notified_by(moment: datetime) -> int:
        sent = rate_limits.sent_after((moment - start).total_seconds(), limits, speed)
        return min(recipients, max(0, sent - ahead))

    return Forecast(
        channel=channel,
        recipients=recipients,
        ends_at=start + timedelta(seconds=rate_limits.sending_seconds(ahead + recipients, limits, speed)),
        before_effect=notified_by(effective_from),
        before_notice=notified_by(effective_from - timedelta(days=notice_days)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AudienceEstimate:
    """How many users would be notified now, by the language of their notice (``kk``, ``ru``, ``mul``)."""

    languages: dict[str, int]
    exact: bool

    @property
    def total(self) -> int:
        return sum(self.languages.values())


def estimate_audience(*, exact: bool = False) -> AudienceEstimate:
    """How many users would be notified now: counted up to ``COUNTED_UP_TO`` users and estimated above it, so that the
    cost does not depend on the number of users. At most 4 queries. ``exact=True`` counts at any cost (1 query).

    The estimate is the planner's on PostgreSQL, elsewhere the audience of the last notice. Its languages are those of
    the first and the last users.
    """
    users = conf.audience().order_by("pk")
    if exact:
        return AudienceEstimate(languages=count_by_language(users), exact=True)
    with_language = _with_language(users)
    sample = list(with_language.values_list("agreement_language", flat=True)[: COUNTED_UP_TO + 1])
    if len(sample) <= COUNTED_UP_TO:
        return AudienceEstimate(languages=_sum_by_language((code, 1) for code in sample), exact=True)
    sample += with_language.order_by("-pk").values_list("agreement_language", flat=True)[: COUNTED_UP_TO + 1]
    shares, total = _sum_by_language((code, 1) for code in sample), max(_estimate(users), COUNTED_UP_TO + 1)
    languages = {code: round(total * count / len(sample)) for code, count in shares.items()}
    return AudienceEstimate(languages=languages, exact=False)


def count_by_language(users: QuerySet[Model]) -> dict[str, int]:
    """How many these users are, by the language of their notice. 1 query, which reads all of them."""
    rows = _with_language(users).order_by().values_list("agreement_language")
    return _sum_by_language(rows.annotate(agreement_count=Count("pk")))


def _with_language(users: QuerySet[Model]) -> Any:
    language = conf.user_language()
    return users.annotate(agreement_language=Value("") if language is None else language)


def _sum_by_language(rows: Iterable[tuple[object, int]]) -> dict[str, int]:
    counts: dict[str, int] = dict.fromkeys((*LANGUAGES, "mul"), 0)
    for code, count in rows:
        counts[notice_language(code)] += count
    return counts


def _estimate(users: QuerySet[Model]) -> int:
    """About how many users there are, without counting them."""
    if connections[users.db].vendor == "postgresql":
        return int(json.loads(users.order_by().explain(format="json"))[0]["Plan"]["Plan Rows"])
    last = Progress.objects.filter(notice__kind=NoticeKind.PUBLISHED, notice__fanned_out_at__isnull=False)
    row = last.order_by("-notice").first()
    return row.audience if row else users.count()


def expected_end(row: Progress, *, at: datetime | None = None) -> datetime:
    """When the waiting deliveries of a notice in a channel will have been sent; those of older notices are sent first.
    At most 7 queries, with the notice at hand, and 1 per waiting notice.
    """
    at = at or timezone.now()
    limits = channel_state.limits_for(row.channel)
    first = (notice for notice in _sendable_notices(row.channel, at) if notice.pk <= row.notice_id)
    waiting = _waiting(row.channel, first)
    start = _start(row.channel, limits, max(at, row.notice.due_at))
    return start + timedelta(seconds=rate_limits.sending_seconds(waiting, limits, _channel_speed(row.channel)))


def _sendable_notices(channel: str, at: datetime) -> list[Notice]:
    """The notices that wait in a channel and will be sent: neither paused nor overtaken."""
    return [notice for notice in Notice.objects.sendable(channel=channel) if not notice.skip_reason(at)]


def _waiting(channel: str, notices: Iterable[Notice]) -> int:
    rows = Progress.objects.filter(channel=channel, notice__in=[notice.pk for notice in notices])
    return rows.aggregate(waiting=Sum("waiting"))["waiting"] or 0


def _start(channel: str, limits: Sequence[RateLimit], at: datetime) -> datetime:
    row = ChannelState.objects.filter(channel=channel).first()
    return max(at, row.next_free_at(limits, at) if limits else at, row.retry_at(at)) if row else at


def speed(row: Progress) -> float | None:
    """Messages per second at which a notice is sent in a channel; ``None`` if it can't be measured.

    It is measured over the shortest time in which a third of the messages was sent, so that neither a pause nor the
    retries of a later day count. At most 3 queries, of a sample of the ledger by its keys.
    """
    rows = Delivery.objects.filter(notice=row.notice_id, channel=row.channel)
    keys = rows.filter(user__isnull=False).values_list("pk", flat=True)
    first, last = keys.order_by("user_id").first(), keys.order_by("-user_id").first()
    if first is None or last is None:
        return None
    sample = {first + (last - first) * number // (SAMPLE_SIZE - 1) for number in range(SAMPLE_SIZE)}
    # Deliveries that were found in the mail log after a restore have a reason: when they were sent is not known.
    sent = rows.filter(pk__in=sample, outcome=DeliveryOutcome.SENT, reason="", outcome_at__isnull=False)
    moments = sorted(moment.timestamp() for moment in sent.values_list("outcome_at", flat=True) if moment)
    third = len(moments) // 3
    if not third:
        return None
    took = min(later - moment for moment, later in zip(moments, moments[third:], strict=False))
    rate = third * (row.sent - 1) / (len(moments) - 1) / max(took, 0.001)
    # A rate limit lets some messages through at once: the speed is not above the limit itself.
    return min([rate, *(limit.count / limit.seconds for limit in channel_state.limits_for(row.channel))])


def _channel_speed(channel: str) -> float:
    """Messages per second, measured from the newest notice that was large enough."""
    last = Progress.objects.filter(channel=channel, sent__gte=MEASURABLE).order_by("-pk").first()
    return (speed(last) if last else None) or DEFAULT_SPEED
