"""Before it is published: who would be told, by when, and whether that is in time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from agreement.admin.sending import CHANNELS
from agreement.admin.tables import moment
from agreement.dispatch import channels
from agreement.forecast import forecast, reach
from agreement.models import Edition, Notice, Progress
from agreement.models.notices import LANGUAGES, leaves_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What to expect of one channel, if the draft is published now."""

    channel: str
    ends: str
    before_effect: int
    before_notice: int
    late: bool
    """Will it end after the edition takes effect?"""


def outlook(edition: Edition, effective_from: datetime | None, binding: Edition | None, *, exact: bool) -> Any:
    """Who would be told, when that begins and ends, and how many in time: at most 6 queries, 7 a channel
    and 1 a channel and notice that waits.

    ``effective_from`` is the moment asked for or proposed; ``None``: it binds at once.
    """
    now, zone, found = timezone.now(), edition.agreement.time_zone, reach(exact=exact)
    effect, names = effective_from or now, dict(LANGUAGES)
    days = binding.notice_days if binding and effective_from else 0
    rows, told = [], []
    for channel in channels():
        called = str(CHANNELS.get(channel.name, channel.name))
        rows += [(called, str(names[code]), count) for code, count in found.languages.items()]
        one = forecast(
            channel=channel.name,
            recipients=found.total,
            effective_from=effect,
            notice_days=days,
            agreement=edition.agreement_id,
            at=now,
        )
        told.append(
            Told(
                channel=called,
                ends=moment(one.ends_at, zone),
                before_effect=one.before_effect,
                before_notice=one.before_notice,
                late=one.ends_at > effect,
            )
        )
    replaced = Progress.objects.filter(
        notice__edition__agreement=edition.agreement_id, notice__kind__in=[Notice.Kind.PUBLISHED, Notice.Kind.REMINDER]
    )
    return {
        "recipients": rows,
        "exact": found.exact,
        "total": found.total,
        "begins": moment(leaves_at(now, effect), zone),
        "told": told,
        "later": effective_from and moment(effective_from, zone),
        "notice_days": days,
        "replaced": replaced.total()["waiting"],
    }
