"""The forecasts on the pages of publication and of cancellation: how many users will be notified, until when, and
whether that is in time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from agreement.admin.base import moment
from agreement.models import Edition, Notice, NoticeKind, Progress
from agreement.models.ledger_labels import CHANNEL_LABELS
from agreement.models.notices import DESCRIBING, NOTICE_LANGUAGES, notice_due_at, overtaken_by
from agreement.notices.audience import count_recipients
from agreement.notices.channels import Channel, site_channels
from agreement.notices.forecast import COUNTED_UP_TO, Recipients, forecast, known_recipients, recipients
from agreement.text.languages import LANGUAGES


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelForecast:
    """The forecast for one channel if the draft is published now. Moments are phrases in the language of the page."""

    channel: str
    languages: list[tuple[str, int]]
    """Pairs of the name of a language and the number of users who get the notice in it, which may be 0. Empty if the
    number of recipients is taken from an earlier notice.
    """
    known: int
    """The number of recipients whose language is known; 0 if they were not counted by language."""
    recipients: int
    unreachable: int
    """The number of users without an address to which this channel can send. They are not among the recipients."""
    users: int
    """The number of users in the audience: the recipients, and those without an address."""
    ends: str
    before_effect: int
    """How many users will be notified before the edition takes effect."""
    before_notice: int
    """How many users will be notified at least ``SendingForecast.notice_days`` before the edition takes effect."""
    late: bool
    """Whether the sending is expected to end after the edition takes effect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingForecast:
    """The forecast for all channels if the draft is published now. Moments are phrases in the language of the page."""

    begins: str
    """When the first message is due."""
    channels: list[ChannelForecast]
    """Empty if the users were not counted."""
    counted: bool
    """Whether the numbers of all channels are known."""
    effective: str
    """When the edition takes effect; ``""`` if it does so at the moment of publication."""
    notice_days: int
    """The days of notice that the edition in force promises. 0 if it promises none, if no edition is in force, or if
    the draft takes effect at the moment of publication.
    """
    replaced: int
    """The number of waiting deliveries of notices and reminders about editions of the agreement. They are expected not
    to be sent, because this notice overtakes them.
    """


def sending_forecast(
    edition: Edition, effective_from: datetime | None, binding: Edition | None, *, count: bool
) -> SendingForecast:
    """Return the forecast of the notice about this draft, if the draft is published now.

    ``effective_from`` is the chosen or proposed moment; ``None`` means the moment of publication. ``binding`` is the
    edition in force, which may promise days of notice; ``None`` means that no edition is in force.

    The cost does not grow with the number of users beyond ``COUNTED_UP_TO``, except for a channel whose number of users
    is not known from an earlier notice (:func:`known_recipients`). There all users are counted if ``count`` is true.
    Otherwise the result has no channels, and ``counted`` is false.
    """
    now, zone = timezone.now(), edition.agreement.time_zone
    languages = dict(NOTICE_LANGUAGES)
    days = binding.notice_days if binding and effective_from else 0
    unsent = Progress.objects.filter(notice__edition__agreement=edition.agreement_id, notice__kind__in=DESCRIBING)
    numbers_of, slug = recipients if count else known_recipients, edition.agreement.slug
    channels = [(channel, numbers_of(channel, agreement=slug)) for channel in site_channels()]
    known = [(channel, numbers) for channel, numbers in channels if numbers is not None]
    counted = len(known) == len(channels)

    def channel_forecast(channel: Channel, found: Recipients) -> ChannelForecast:
        expected = forecast(
            channel=channel.name,
            recipients=found.total,
            effective_from=effective_from or now,
            notice_days=days,
            agreement=edition.agreement_id,
            at=now,
        )
        return ChannelForecast(
            channel=str(CHANNEL_LABELS.get(channel.name, channel.name)),
            languages=[(str(languages[code]), count) for code, count in found.by_language.items()],
            known=sum(found.by_language.get(code, 0) for code in LANGUAGES),
            recipients=found.total,
            unreachable=found.unreachable,
            users=found.users,
            ends=moment(expected.ends_at, zone, seconds=False),
            before_effect=expected.before_effect,
            before_notice=expected.before_notice,
            late=expected.ends_at > (effective_from or now),
        )

    return SendingForecast(
        begins=moment(notice_due_at(now, effective_from or now), zone, seconds=False),
        channels=[channel_forecast(channel, numbers) for channel, numbers in known] if counted else [],
        counted=counted,
        effective=moment(effective_from, zone, seconds=False) if effective_from else "",
        notice_days=days,
        replaced=unsent.total()["waiting"],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelCancellation:
    """The forecast for one channel if the edition is cancelled now."""

    channel: str
    notified: int
    """How many users get the notice of the cancellation in this channel: those who were notified of the edition so far,
    directly or by a notice about a later edition, opened such a notice on the site, or accepted it by confirmation.
    """
    waiting: int
    """How many deliveries about the edition wait. The cancellation stops them, except those that are being sent."""
    ends: str
    """When the sending of the cancellation is expected to end, as a phrase; ``""`` if nobody was notified."""
    late: bool
    """Whether this end is after the moment when the edition was to take effect; ``False`` if nobody was notified."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancellationForecast:
    """The forecast for all channels if the edition is cancelled now."""

    begins: str
    """When the first message is due, as a phrase in the language of the page."""
    channels: list[ChannelCancellation]
    notified: int
    """The sum of ``notified`` of all channels. A user counts once for each channel."""
    later: int
    """How many messages about later editions, which may cover this one too, were sent so far. Users who got one that
    covers it get the notice of the cancellation too.
    """
    revived: int
    """How many messages about earlier editions, which this one overtook, will be sent after all. It is an upper limit:
    users who were notified of this edition are left out.
    """


def cancellation_forecast(edition: Edition) -> CancellationForecast:
    """Return the forecast of the notice of cancellation. ``edition`` is a scheduled one as it would be if it were
    cancelled now. The numbers are the present ones. Users to whom a message about the edition is being sent at this
    moment are not counted, but they get the notice of the cancellation too. If more than ``COUNTED_UP_TO`` users would
    get the notice in a channel, the forecast does not count them: it takes the number of the sent messages of the
    publication or of the reminder, whichever is larger, and at least ``COUNTED_UP_TO + 1``.
    """
    now, zone = timezone.now(), edition.agreement.time_zone
    of_agreement = Progress.objects.filter(notice__edition__agreement=edition.agreement_id)
    own = of_agreement.filter(notice__edition=edition.pk, notice__kind__in=DESCRIBING)
    later = of_agreement.filter(notice__edition__number__gt=edition.number, notice__kind__in=DESCRIBING)
    overtaken = of_agreement.filter(notice__edition__number__lt=edition.number, skipped__gt=0)
    reason = overtaken_by(edition.number or 0)
    effective = edition.effective_from or now
    notice = Notice(edition=edition, kind=NoticeKind.CANCELLED, created_at=now)

    def channel_cancellation(channel: Channel) -> ChannelCancellation:
        rows = [row for row in own if row.channel == channel.name]
        notified = count_recipients(notice, channel.name, up_to=COUNTED_UP_TO + 1)
        if notified > COUNTED_UP_TO:  # A reminder goes to the same users.
            notified = max([notified, *(row.sent for row in rows)])
        expected = forecast(channel=channel.name, recipients=notified, effective_from=effective, at=now)
        return ChannelCancellation(
            channel=str(CHANNEL_LABELS.get(channel.name, channel.name)),
            notified=notified,
            waiting=sum(row.waiting for row in rows),
            ends=moment(expected.ends_at, zone, seconds=False) if notified else "",
            late=bool(notified) and expected.ends_at > effective,
        )

    channels = [channel_cancellation(channel) for channel in site_channels()]
    return CancellationForecast(
        begins=moment(notice_due_at(now), zone, seconds=False),
        channels=channels,
        notified=sum(channel.notified for channel in channels),
        later=later.total()["sent"],
        revived=sum(row.reasons.get("skipped", {}).get(reason, 0) for row in overtaken),
    )
