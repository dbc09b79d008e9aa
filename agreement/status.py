"""Is all well? What a monitor asks every minute: a few queries, none of which counts the ledger."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.apps import apps
from django.db import DatabaseError, connections, router
from django.utils import timezone

from agreement import conf, dispatch
from agreement.models import Act, Delivery, Edition, Notice, Pace, Progress, Withdrawal, triggers

#: A delivery that has been due for so long has nobody to send it: a person is to look, then to act.
LATE, TOO_LATE = timedelta(minutes=15), timedelta(hours=4)
#: An old verification proves little: it is to run nightly, and somebody is to look when it did not for so long.
VERIFY = timedelta(days=7)
#: A part of an audience that failed which a person is to look at, while the last of it is no older than that.
FAILED, RECENT = 0.05, timedelta(days=7)

WELL, LOOK, ACT = 0, 1, 2


@dataclass(slots=True)
class Status:
    """The level (0 well, 1 look, 2 act), why, and the facts."""

    at: datetime
    level: int = WELL
    problems: list[str] = field(default_factory=list)
    agreements: list[dict[str, Any]] = field(default_factory=list)
    deliveries: dict[str, int] = field(default_factory=dict)
    oldest_due: datetime | None = None
    channels: list[dict[str, Any]] = field(default_factory=list)
    verified_at: datetime | None = None

    def problem(self, level: int, sentence: str) -> None:
        self.level = max(self.level, level)
        self.problems.append(sentence)

    def as_dict(self) -> dict[str, Any]:
        return {
            "level": self.level,
            "at": self.at.isoformat(),
            "problems": self.problems,
            "agreements": self.agreements,
            "deliveries": self.deliveries,
            "oldest_due": self.oldest_due and self.oldest_due.isoformat(),
            "channels": self.channels,
            "verified_at": self.verified_at and self.verified_at.isoformat(),
        }

    def lines(self) -> list[str]:
        said = [f"{('well', 'look', 'act')[self.level]}: {'; '.join(self.problems) or 'nothing is wrong'}"]
        for one in self.agreements:
            coming = f", next {one['next']} from {one['next_from']}" if one["next"] else ""
            said.append(f"{one['agreement']}: edition {one['in_force'] or 'none'} in force{coming}")
        said.append(", ".join(f"{name} {count}" for name, count in self.deliveries.items()))
        if self.oldest_due:
            said.append(f"oldest delivery due since {self.oldest_due.isoformat(timespec='seconds')}")
        verified = self.verified_at.isoformat(timespec="seconds") if self.verified_at else "never"
        return [*said, f"editions verified: {verified}"]


def status(at: datetime | None = None) -> Status:
    """What is, and what is wrong, at that instant (now). Never raises for a database that is away: that is level 2."""
    found = Status(at or timezone.now())
    try:
        _agreements(found)
        _deliveries(found)
        _channels(found)
        _seal(found)
    except DatabaseError as error:
        found.problem(ACT, f"the database does not answer ({type(error).__name__})")
    return found


def _agreements(found: Status) -> None:
    facts = ("agreement__slug", "number", "effective_from")
    by_slug: dict[str, dict[str, Any]] = {}
    for slug, number, _from in Edition.objects.in_force(found.at).values_list(*facts):
        by_slug[slug] = {"agreement": slug, "in_force": number, "next": None, "next_from": None}
    coming = Edition.objects.binding().filter(effective_from__gt=found.at).order_by("-effective_from")
    for slug, number, effective_from in coming.values_list(*facts):
        known = by_slug.setdefault(slug, {"agreement": slug, "in_force": None})
        known |= {"next": number, "next_from": effective_from.isoformat()}
    found.agreements = [by_slug[slug] for slug in sorted(by_slug)]
    if not any(one["in_force"] for one in found.agreements):
        found.problem(LOOK, "no edition is in force")


def _deliveries(found: Status) -> None:
    found.deliveries = Progress.objects.total()
    removed = dispatch.removed()
    waiting = Progress.objects.filter(waiting__gt=0).exclude(channel__in=removed).select_related("notice")
    # Since when something has been due in a channel that has room for it, and nothing has been sent.
    still = list(Notice.objects.unfinished(found.at).values_list("due_at", flat=True))
    oldest = list(still)
    for row in waiting.filter(notice__paused_at__isnull=True):
        queue = Delivery.objects.waiting().filter(notice=row.notice, channel=row.channel).order_by("due_at")
        due = queue.values_list("due_at", flat=True).first()
        if due and due <= found.at:
            oldest.append(due)
            if _has_room(row.channel, found.at):
                still.append(max(due, row.latest_at or due))
    found.oldest_due = min(oldest, default=None)
    reply = Withdrawal.objects.unconfirmed().filter(registered_at__lt=found.at - LATE).first()
    if reply:
        found.problem(LOOK, f"the reply to withdrawal {reply.pk} is not sent, attempts: {reply.confirm_attempts}")
    if paused := waiting.filter(notice__paused_at__isnull=False).values("notice").distinct().count():
        found.problem(LOOK, f"paused notices: {paused}")
    for channel, count in removed.items():
        found.problem(LOOK, f"{count} deliveries wait for {channel}, which CHANNELS does not name")
    if conf.get().HOLD:
        found.problem(LOOK, "HOLD is set: nothing is sent")
    elif still and found.at - min(still) > LATE:
        late = found.at - min(still)
        found.problem(ACT if late > TOO_LATE else LOOK, f"nothing has been sent for {late.total_seconds():.0f} s")
    for row in Progress.objects.filter(failed__gt=0, latest_at__gt=found.at - RECENT).order_by("-pk")[:10]:
        if row.failed > FAILED * row.audience:
            found.problem(LOOK, f"notice {row.notice_id}: {row.failed} of {row.audience} failed by {row.channel}")


def _has_room(channel: str, at: datetime) -> bool:
    limits, row = conf.limits(channel), Pace.objects.filter(channel=channel).first()
    return not (limits and row) or row.room(limits, at) > 0


def _channels(found: Status) -> None:
    for row in Pace.objects.order_by("channel"):
        # Left alone, or to be tried by what waits: an outage nobody has met since is over for all that is known.
        trying = row.outages and Notice.objects.sendable(channel=row.channel).exists()
        away = row.away_until if trying or row.back_at(found.at) > found.at else None
        found.channels.append({"channel": row.channel, "away_until": away and away.isoformat(), "reason": row.reason})
        if away:
            found.problem(LOOK, f"{row.channel} is away ({row.reason})")


def _seal(found: Status) -> None:
    last = Act.objects.last_verification()
    if last is None and found.agreements:
        found.problem(LOOK, "verify_editions has never run")
    elif last and last.at:
        found.verified_at = last.at
        if last.kind == Act.Kind.FAULTY:
            found.problem(ACT, f"verify_editions found {last.note} faults")
        elif (ago := found.at - last.at) > VERIFY:
            found.problem(LOOK, f"verify_editions last ran {ago.days} days ago")
    connection = connections[router.db_for_write(Edition)]
    if connection.vendor not in triggers.VENDORS:
        return
    for name in triggers.missing(connection, apps.get_model):
        found.problem(ACT, f"the trigger {name} is missing")
