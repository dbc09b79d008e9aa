"""Before an edition is published: how many users are notified, by when, and whether that is in time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from agreement.admin.base import moment
from agreement.admin.notices.progress import CHANNEL_LABELS
from agreement.models import Edition, NoticeKind, Progress
from agreement.models.notices import NOTICE_LANGUAGES, notice_due_at
from agreement.notices.channels import site_channels
from agreement.notices.forecast import AudienceEstimate, estimate_audience, forecast


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelForecast:
    """What to expect of one channel if the draft is published now."""

    channel: str
    ends: str
    before_effect: int
    before_notice: int
    late: bool
    """Is sending expected to end after the edition takes effect?"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingForecast:
    """What to expect of all channels if the draft is published now."""

    recipients: list[tuple[str, str, int]]
    """(channel, language, how many)."""
    exact: bool
    total: int
    begins: str
    channels: list[ChannelForecast]
    effective: str
    """When it takes effect, if not at once."""
    notice_days: int
    replaced: int
    """Messages about earlier editions that are not sent yet, and that this notice replaces."""


def sending_forecast(
    edition: Edition, effective_from: datetime | None, binding: Edition | None, *, exact: bool
) -> SendingForecast:
    """At most 6 queries, 7 a channel, and 1 a channel and notice that waits.

    ``effective_from`` is the moment chosen or proposed, ``None``: at once. ``exact``: users are counted, not estimated.
    """
    now, zone, audience = timezone.now(), edition.agreement.time_zone, estimate_audience(exact=exact)
    languages = dict(NOTICE_LANGUAGES)
    labels = {channel.name: str(CHANNEL_LABELS.get(channel.name, channel.name)) for channel in site_channels()}
    days = binding.notice_days if binding and effective_from else 0
    unsent = Progress.objects.filter(
        notice__edition__agreement=edition.agreement_id, notice__kind__in=[NoticeKind.PUBLISHED, NoticeKind.REMINDER]
    )
    return SendingForecast(
        recipients=[
            (label, str(languages[code]), count)
            for label in labels.values()
            for code, count in audience.languages.items()
        ],
        exact=audience.exact,
        total=audience.total,
        begins=moment(notice_due_at(now, effective_from or now), zone),
        channels=[
            _channel_forecast(name, label, edition, audience, effective_from or now, days, now)
            for name, label in labels.items()
        ],
        effective=moment(effective_from, zone) if effective_from else "",
        notice_days=days,
        replaced=unsent.total()["waiting"],
    )


def _channel_forecast(
    name: str,
    label: str,
    edition: Edition,
    audience: AudienceEstimate,
    effective_from: datetime,
    notice_days: int,
    at: datetime,
) -> ChannelForecast:
    expected = forecast(
        channel=name,
        recipients=audience.total,
        effective_from=effective_from,
        notice_days=notice_days,
        agreement=edition.agreement_id,
        at=at,
    )
    return ChannelForecast(
        channel=label,
        ends=moment(expected.ends_at, edition.agreement.time_zone),
        before_effect=expected.before_effect,
        before_notice=expected.before_notice,
        late=expected.ends_at > effective_from,
    )
