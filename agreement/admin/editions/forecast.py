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


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelForecast:
    """The forecast for one channel if the draft is published now. Moments are phrases in the language of the page."""

    channel: str
    languages: list[tuple[str, int]]
    """Pairs of a language and the number of users who get the notice in it. Empty if the number of recipients is taken
    from the last notice.
    """
    recipients: int
    unreachable: int
    """The number of users without an address for this channel."""
    ends: str
    before_effect: int
    before_notice: int
    late: bool
    """Whether the sending is expected to end after the edition takes effect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingForecast:
    """The forecast for all channels if the draft is published now."""

    begins: str
    channels: list[ChannelForecast]
    effective: str
    """When the edition takes effect; ``""`` if at the moment of publication."""
    notice_days: int
    replaced: int
    """The number of waiting messages about earlier editions, which this notice overtakes."""


def sending_forecast(edition: Edition, effective_from: datetime | None, binding: Edition | None) -> SendingForecast:
    """Return the forecast of the notice about this draft, if the draft is published now.

    ``effective_from`` is the chosen or proposed moment; ``None`` means the moment of publication. ``binding`` is the
    edition in force, which promises days of notice.

    1 query. For each channel at most 9 queries, and 1 for each waiting notice. Their cost does not depend on the number
    of users, except for the first notice of a site with more than ``COUNTED_UP_TO`` users.
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
