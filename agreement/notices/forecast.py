"""Forecasts when the sending of a notice will end, and how many users will be notified in time. It also counts the
users whom a channel would notify.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Model, Q, QuerySet, Sum, Value
from django.utils import timezone

from agreement import conf
from agreement.models import (
    ChannelState,
    Delivery,
    Notice,
    NoticeKind,
    Progress,
    channel_state,
    membership,
    rate_limits,
)
from agreement.models.notices import DESCRIBING, INVALID_ADDRESS, NO_ADDRESS, notice_due_at
from agreement.models.progress import UNDER_WAY, NoticeState, notice_state
from agreement.models.rate_limits import RateLimit
from agreement.notices.audience import count_by_language, count_recipients
from agreement.notices.channels import Channel, site_channels
from agreement.text import languages

__all__ = ["Forecast", "forecast"]

#: Messages per second that are assumed until the speed of the channel can be measured.
DEFAULT_SPEED = 20.0
#: Up to this many users are counted. If there are more, :func:`known_recipients` uses the numbers of an earlier notice.
COUNTED_UP_TO = 2000
#: The speed of a channel is measured from the newest notice of which at least this many messages were sent.
MEASURABLE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """The forecast for one channel: when the last message will be sent (``ends_at``), and how many users will be
    notified before the edition takes effect, and at least ``notice_days`` before that.
    """

    channel: str
    recipients: int
    ends_at: datetime
    before_effect: int
    """How many users will be notified before the edition takes effect."""
    before_notice: int
    """How many users will be notified at least ``notice_days`` before the edition takes effect."""


def forecast(
    *,
    channel: str,
    recipients: int,
    effective_from: datetime,
    notice_days: int = 0,
    agreement: int | None = None,
    at: datetime | None = None,
) -> Forecast:
    """Return the forecast of the notice about an edition that is published at ``at`` (``None``: now) and takes effect
    at ``effective_from``. ``recipients`` is the number of users whom the channel notifies.

    The sending begins when the notice is due, the channel has no outage, and the rate limits, which also count the
    messages sent before, allow a message. The forecast assumes that from then on, the deliveries which wait in the
    channel now are sent first, and those of the new notice after them. It does not count the deliveries of paused
    notices, those that are to be skipped at ``at``, and those that the new notice overtakes: the deliveries of notices
    about new editions of the agreement with the primary key ``agreement``, and of reminders about them. If
    ``agreement`` is ``None``, no notice is overtaken. ``notice_days`` is used for :attr:`Forecast.before_notice` only.

    At most 4 queries, and 1 for each notice with deliveries that wait in the channel. None of them counts rows of the
    ledger.
    """
    at = at or timezone.now()
    limits, speed = channel_state.limits_for(channel), _channel_speed(channel)
    first = (
        notice
        for notice in _sendable_notices(channel, at)
        if notice.edition.agreement_id != agreement or notice.kind not in DESCRIBING
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
class Recipients:
    """The number of users to whom a channel would send a notice now (``total``). For a large audience the numbers may
    be those of an earlier notice. "The audience" below may also be the users that :func:`recipients` was given.
    """

    total: int
    unreachable: int
    """The number of users in the audience without an address to which the channel can send."""
    by_language: dict[str, int]
    """The total by the language of the notice (``kk``, ``ru``, ``mul``); empty if the users were not counted."""

    @property
    def users(self) -> int:
        """The number of users in the audience, with or without an address."""
        return self.total + self.unreachable


def recipients(channel: Channel, *, users: QuerySet[Model] | None = None, agreement: str = "") -> Recipients:
    """Return how many users the channel would notify now: of these users, or of the audience of the agreement with the
    slug ``agreement``, or of the site's ``AUDIENCE``.

    If :func:`known_recipients` has no answer, all users are counted, by at most 2 further queries. An address then
    counts if ``channel.reachable()`` finds it, although the channel may not accept its form.
    """
    known = known_recipients(channel, users=users, agreement=agreement)
    if known is not None:
        return known
    everybody = (membership.audience(agreement) if users is None else users).order_by()
    counts = count_by_language(channel.reachable(everybody))
    return _recipients(counts, everybody.count())


def known_recipients(
    channel: Channel, *, users: QuerySet[Model] | None = None, agreement: str = ""
) -> Recipients | None:
    """Return how many users the channel would notify now, as in :func:`recipients`. Return ``None`` if all of them
    would have to be counted. The cost does not depend on the number of users. At most 2 queries.

    If they are at most ``COUNTED_UP_TO``, they are read, and the channel checks each address. If there are more, the
    numbers are those of the last notice of a new edition, of any agreement, that was sent completely in this channel.
    Notices of editions that were cancelled are not used. An agreement that is named in ``AUDIENCES`` uses its own
    notices only, and the others do not use them. The number is unknown if there is no such notice yet, or if more than
    ``COUNTED_UP_TO`` ``users`` are given.
    """
    audience = (membership.audience(agreement) if users is None else users).order_by()
    count = audience[: COUNTED_UP_TO + 1].count()
    if count <= COUNTED_UP_TO:
        return _recipients(_checked_by_language(channel, audience), count)
    if users is not None:
        return None
    complete = {"notice__fanned_out_at__isnull": False, "notice__edition__cancelled_at": None, "waiting": 0}
    last = Progress.objects.filter(channel=channel.name, notice__kind=NoticeKind.PUBLISHED, sent__gt=0, **complete)
    if special := conf.get().AUDIENCES:
        own = Q(notice__edition__agreement__slug__in=[agreement] if agreement in special else special)
        last = last.filter(own if agreement in special else ~own)
    row = last.order_by("-notice_id").first()
    if row is None:
        return None
    skipped: dict[str, int] = row.reasons.get("skipped", {})
    unreachable = skipped.get(NO_ADDRESS, 0) + skipped.get(INVALID_ADDRESS, 0)
    return Recipients(total=row.audience - unreachable, unreachable=unreachable, by_language={})


def _recipients(counts: dict[str, int], users: int) -> Recipients:
    """Return the numbers for so many ``users``, of whom ``counts`` have an address, by the language of their notice."""
    total = sum(counts.values())
    return Recipients(total=total, unreachable=users - total, by_language=counts)


def _checked_by_language(channel: Channel, audience: QuerySet[Model]) -> dict[str, int]:
    """Return the number of these users whose address the channel accepts, by the language of their notice. At most 1
    query, which reads all these users.
    """
    language, counts = conf.user_language(), dict.fromkeys((*languages.LANGUAGES, "mul"), 0)
    rows = channel.reachable(audience).annotate(agreement_language=Value("") if language is None else language)
    for address, code in rows.values_list("agreement_address", "agreement_language"):
        counts[languages.notice_language(code)] += not channel.unreachable(address)
    return counts


def foreseen_state(notice: Notice, rows: Collection[Progress], *, at: datetime | None = None) -> NoticeState:
    """Return the state of a notice at that instant (now), as :func:`notice_state` does. ``rows`` is its progress in all
    channels. The state of the notice of a cancellation is ``DONE`` as soon as it is certain that the notice concerns
    nobody: already before a worker has written its deliveries.

    Besides the queries of :func:`notice_state`, at most 1, and 3 for each channel, for the notice of a cancellation
    whose deliveries are not written yet.
    """
    state = notice_state(notice, rows, at=at)
    unwritten = (
        notice.kind == NoticeKind.CANCELLED and not notice.fanned_out_at and not any(row.audience for row in rows)
    )
    return NoticeState.DONE if unwritten and state in UNDER_WAY and _concerns_nobody(notice) else state


def _concerns_nobody(cancellation: Notice) -> bool:
    """Return whether nobody was notified of the cancelled edition, and no message about it is being sent, or was
    perhaps sent.
    """
    others = Delivery.objects.waiting().filter(notice__in=cancellation.other_notices())
    if others.filter(~Q(lease="") | Q(perhaps_sent=True)).exists():
        return False
    return not any(count_recipients(cancellation, channel.name, up_to=1) for channel in site_channels())


def expected_end(row: Progress, *, at: datetime | None = None) -> datetime:
    """Return when the last waiting delivery of a notice in a channel will be sent, as estimated at ``at`` (``None``:
    now). ``row`` is the progress of the notice in that channel. The deliveries of older notices and of breaches are
    sent first; those of a breach wait only for those of older breaches. Deliveries of paused notices, and deliveries
    that are to be skipped, take no time, even if they are those of this notice.

    At most 4 queries, if the notice of the row is loaded, and 1 for each notice with deliveries that wait in the
    channel.
    """
    at = at or timezone.now()
    limits = channel_state.limits_for(row.channel)
    turn = _turn(row.notice)
    waiting = _waiting(row.channel, (one for one in _sendable_notices(row.channel, at) if _turn(one) <= turn))
    start = _start(row.channel, limits, max(at, row.notice.due_at))
    return start + timedelta(seconds=rate_limits.sending_seconds(waiting, limits, _channel_speed(row.channel)))


def breach_end(*, channel: str, recipients: int, at: datetime | None = None) -> datetime:
    """Return when the last message about a breach that is announced at ``at`` (``None``: now) will be sent in the
    channel, if it has so many ``recipients``. Only the deliveries of other breaches are sent before. The queries are
    those of :func:`expected_end`.
    """
    at = at or timezone.now()
    limits = channel_state.limits_for(channel)
    ahead = _waiting(channel, (notice for notice in _sendable_notices(channel, at) if notice.goes_first))
    start = _start(channel, limits, notice_due_at(at))
    return start + timedelta(seconds=rate_limits.sending_seconds(ahead + recipients, limits, _channel_speed(channel)))


def _turn(notice: Notice) -> tuple[bool, int]:
    return not notice.goes_first, notice.pk


def _sendable_notices(channel: str, at: datetime) -> list[Notice]:
    """Return the notices with deliveries that wait in the channel, the oldest first. Notices that are paused, or whose
    deliveries are to be skipped at that instant, are left out.
    """
    return [notice for notice in Notice.objects.sendable(channel=channel) if not notice.skip_reason(at)]


def _waiting(channel: str, notices: Iterable[Notice]) -> int:
    rows = Progress.objects.filter(channel=channel, notice__in=[notice.pk for notice in notices])
    return rows.aggregate(waiting=Sum("waiting"))["waiting"] or 0


def _start(channel: str, limits: Sequence[RateLimit], at: datetime) -> datetime:
    row = ChannelState.objects.filter(channel=channel).first()
    return max(at, row.next_free_at(limits, at) if limits else at, row.retry_at(at)) if row else at


def speed(row: Progress) -> float | None:
    """Return how many messages of a notice are sent per second, at most what the rate limits of the channel allow;
    ``None`` if it was not measured. ``row`` is the progress of the notice in one channel. It makes no query.
    """
    # A rate limit lets some messages through at once. The measured speed can therefore exceed the limit.
    limits = [limit.count / limit.seconds for limit in channel_state.limits_for(row.channel)]
    return min([row.speed, *limits]) if row.speed else None


def _channel_speed(channel: str) -> float:
    """Return how many messages per second the channel sends, as measured with the newest notice of which it sent at
    least ``MEASURABLE`` messages in batches whose duration is known, and at most what its rate limits allow. If there
    is none, return ``DEFAULT_SPEED``. 1 query.
    """
    last = Progress.objects.filter(channel=channel, timed__gte=MEASURABLE, sending_time__gt=timedelta()).order_by("-pk")
    measured = last.first()
    return (speed(measured) if measured else None) or DEFAULT_SPEED
