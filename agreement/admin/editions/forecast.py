"""The forecast on the publication page: how many users will be notified, until when, and whether that is in time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from agreement.admin.base import moment
from agreement.admin.notices.progress import CHANNEL_LABELS
from agreement.models import Edition, NoticeKind, Progress
from agreement.models.notices import NOTICE_LANGUAGES, notice_due_at
from agreement.notices.channels import Channel, site_channels
from agreement.notices.forecast import forecast, recipients
from agreement.text.languages import LANGUAGES


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelForecast:
    """The forecast for one channel if the draft is published now. Moments are phrases in the language of the page."""

    channel: str
    languages: list[tuple[str, int]]
    """Pairs of a language and the number of users who get the notice in it, which may be 0. Empty if the number of
    recipients is taken from the last notice.
    """
    known: int
    """The number of recipients whose language is known, if they were counted by language."""
    recipients: int
    unreachable: int
    """The number of users without an address to which this channel can send. They are not among the recipients."""
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


def sending_forecast(edition: Edition, effective_from: datetime | None, binding: Edition | None) -> SendingForecast:
    """Return the forecast of the notice about this draft, if the draft is published now.

    ``effective_from`` is the chosen or proposed moment; ``None`` means the moment of publication. ``binding`` is the
    edition in force, which may promise days of notice; ``None`` means that no edition is in force.

    The cost does not grow with the number of users beyond ``COUNTED_UP_TO``, except for a channel that has not sent the
    notice of a new edition completely yet (cancelled editions do not count): there all users are counted.
    """
    now, zone = timezone.now(), edition.agreement.time_zone
    languages = dict(NOTICE_LANGUAGES)
    days = binding.notice_days if binding and effective_from else 0
    unsent = Progress.objects.filter(
        notice__edition__agreement=edition.agreement_id, notice__kind__in=[NoticeKind.PUBLISHED, NoticeKind.REMINDER]
    )

    def channel_forecast(channel: Channel) -> ChannelForecast:
        found = recipients(channel)
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
            ends=moment(expected.ends_at, zone),
            before_effect=expected.before_effect,
            before_notice=expected.before_notice,
            late=expected.ends_at > (effective_from or now),
        )

    return SendingForecast(
        begins=moment(notice_due_at(now, effective_from or now), zone),
        channels=[channel_forecast(channel) for channel in site_channels()],
        effective=moment(effective_from, zone) if effective_from else "",
        notice_days=days,
        replaced=unsent.total()["waiting"],
    )
