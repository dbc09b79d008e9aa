"""Before an edition is published: how many users are notified, by when, and whether that is in time."""

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
    """What to expect of one channel if the draft is published now."""

    channel: str
    languages: list[tuple[str, int]]
    """(language, how many users); empty if the number of users is taken from the last notice."""
    recipients: int
    unreachable: int
    """Users without an address that the channel can send to."""
    ends: str
    before_effect: int
    before_notice: int
    late: bool
    """Is sending expected to end after the edition takes effect?"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingForecast:
    """What to expect of all channels if the draft is published now."""

    begins: str
    channels: list[ChannelForecast]
    effective: str
    """When it takes effect, if not at once."""
    notice_days: int
    replaced: int
    """Messages about earlier editions that are not sent yet, and that this notice replaces."""


def sending_forecast(edition: Edition, effective_from: datetime | None, binding: Edition | None) -> SendingForecast:
    """1 query, and per channel at most 9 and 1 for each notice that waits. None depends on the number of users, but for
    the first notice of a site with more than ``COUNTED_UP_TO`` users.

    ``effective_from`` is the moment chosen or proposed; ``None`` means at once. ``binding`` is the edition in force,
    which promises days of notice.
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
