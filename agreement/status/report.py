"""Reports the status and the problems of the installation. A monitor may ask every minute: no query reads all
deliveries, of which there may be millions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum

from django.apps import apps
from django.db import Error, connections, router
from django.utils import timezone

from agreement import conf
from agreement.models import (
    Acceptance,
    AuditAction,
    AuditEntry,
    Breach,
    ChannelState,
    Checkpoint,
    Delivery,
    Edition,
    Notice,
    Progress,
    TimeStamp,
    TransparencyLog,
    Withdrawal,
    channel_state,
)
from agreement.models.progress import ProgressQuerySet
from agreement.notices import dispatch
from agreement.seal import inspection
from agreement.text import dates

#: If an application to withdraw has no reply, and its last day for the reply is not farther away, a person must look.
REPLY_WITHIN = timedelta(days=3)
#: If deliveries are due and nothing was sent for this long, a person must look, or must act.
UNSENT_LOOK, UNSENT_ACT = timedelta(minutes=15), timedelta(hours=4)
#: If ``verify_editions`` did not run for this long, a person must look. It should run every night.
VERIFY_WITHIN = timedelta(days=7)
#: If a notice did not reach somebody, and its last batch is not older than this, a person must look.
UNREACHED_WITHIN = timedelta(days=7)
#: If the site has an authority, and an entry of a log has no time stamp for this long, a person must look.
STAMP_WITHIN = timedelta(days=1)


class Level(IntEnum):
    """Whether a person must do something: nothing (``WELL``), look at the problem (``LOOK``), or act (``ACT``). It is
    the exit code of ``agreement_status``.
    """

    WELL, LOOK, ACT = 0, 1, 2


@dataclass(slots=True)
class Status:
    """The status at one instant: the level, the problems (one sentence each, in English), and what else was read.

    ``level`` is the highest level of the problems. ``agreements`` has a dictionary for each agreement with an edition
    in force or scheduled: its slug (``agreement``), the number of the edition in force (``in_force``), and the number
    and moment of the next one to take effect (``next``, ``next_from``); ``None`` for what does not exist.
    ``deliveries`` maps ``waiting`` and each final outcome to the number of deliveries. ``oldest_due`` is the moment
    since which the oldest work on a notice is due; ``None`` if none is. It does not consider written deliveries of
    paused notices, and of channels that are not in the setting ``CHANNELS``.

    ``channels`` has a dictionary for each channel whose state is stored: its name (``channel``), until when it is not
    used because of an outage (``away_until``), and the reason of the recorded outage (``reason``, ``""`` if none is
    recorded). An outage stays recorded until the channel accepts a message. ``away_until`` is the end of the pause of
    the recorded outage, also if it is past. It is ``None`` if no outage is recorded, or if the pause has ended and
    there is nothing to send. ``verified_at`` is the moment of the last run of ``verify_editions`` that the audit log
    contains; ``None`` if it contains none. The moments in dictionaries are strings in ISO 8601. ``is_complete`` is
    false if the database did not answer: what is missing may then only be unknown.
    """

    at: datetime
    level: Level = Level.WELL
    problems: list[str] = field(default_factory=list)
    agreements: list[dict[str, object]] = field(default_factory=list)
    deliveries: dict[str, int] = field(default_factory=dict)
    oldest_due: datetime | None = None
    channels: list[dict[str, object]] = field(default_factory=list)
    verified_at: datetime | None = None
    is_complete: bool = True

    def add_problem(self, level: Level, sentence: str) -> None:
        """Add a problem. If the level of the status is lower than ``level``, raise it to ``level``."""
        self.level = max(self.level, level)
        self.problems.append(sentence)

    def as_dict(self) -> dict[str, object]:
        """Return all values of the status as a dictionary for JSON. The level is a number. Instants are strings in ISO
        8601, and ``None`` stays ``None``.
        """
        return {
            "level": int(self.level),
            "at": self.at.isoformat(),
            "problems": self.problems,
            "agreements": self.agreements,
            "deliveries": self.deliveries,
            "oldest_due": self.oldest_due and self.oldest_due.isoformat(),
            "channels": self.channels,
            "verified_at": self.verified_at and self.verified_at.isoformat(),
            "is_complete": self.is_complete,
        }

    def lines(self) -> list[str]:
        """Return the status as lines of text in English: the level with all problems, each agreement, the numbers of
        deliveries, since when the oldest work on a notice is due, if any is, and the last verification. Channels are
        named only in problems.
        """
        lines = [f"{self.level.name.lower()}: {'; '.join(self.problems) or 'nothing is wrong'}"]
        for facts in self.agreements:
            coming = f", next {facts['next']} from {facts['next_from']}" if facts["next"] else ""
            lines.append(f"{facts['agreement']}: edition {facts['in_force'] or 'none'} in force{coming}")
        if self.deliveries:
            lines.append(", ".join(f"{name} {count}" for name, count in self.deliveries.items()))
        if self.oldest_due:
            lines.append(f"oldest delivery due since {self.oldest_due.isoformat(timespec='seconds')}")
        missing = "never" if self.is_complete else "unknown"
        verified = self.verified_at.isoformat(timespec="seconds") if self.verified_at else missing
        return [*lines, f"editions verified: {verified}"]


def status(at: datetime | None = None) -> Status:
    """Return the status. ``at`` is the present moment (``None``: the clock is read). If a query raises an error of the
    database, or the connection does, that is a problem of the level ``ACT``, and the fields that were not yet filled
    stay empty or ``None``. Any other exception is raised.
    """
    found = Status(at or timezone.now())
    for name, wrong in dates.outdated_zones().items():
        found.add_problem(Level.ACT, f"the time zone data is older than 2024: it gives {name} {wrong}")
    try:
        _add_agreements(found)
        _add_deliveries(found)
        _add_breaches(found)
        _add_replies(found)
        _add_channels(found)
        _add_verification(found)
        _add_seal(found)
        _add_logs(found)
        _add_time_stamps(found)
    except Error as error:
        found.is_complete = False
        found.add_problem(Level.ACT, f"the database does not answer ({type(error).__name__})")
    return found


def _add_agreements(found: Status) -> None:
    columns = ("agreement__slug", "number", "effective_from")
    by_slug: dict[str, dict[str, object]] = {}
    for slug, number, _from in Edition.objects.in_force(found.at).values_list(*columns):
        by_slug[slug] = {"agreement": slug, "in_force": number, "next": None, "next_from": None}
    coming = Edition.objects.binding().filter(effective_from__gt=found.at).order_by("-effective_from")
    for slug, number, effective_from in coming.values_list(*columns):
        facts = by_slug.setdefault(slug, {"agreement": slug, "in_force": None})
        facts |= {"next": number, "next_from": effective_from.isoformat()}
    found.agreements = [by_slug[slug] for slug in sorted(by_slug)]
    if not any(facts["in_force"] for facts in found.agreements):
        found.add_problem(Level.LOOK, "no edition is in force")


def _add_deliveries(found: Status) -> None:
    found.deliveries = Progress.objects.total()
    removed = dispatch.removed_channels()
    waiting = Progress.objects.filter(waiting__gt=0).exclude(channel__in=removed).select_related("notice")
    reply = Withdrawal.objects.unconfirmed().filter(registered_at__lt=found.at - UNSENT_LOOK).first()
    if reply:
        attempts = reply.confirm_attempts
        found.add_problem(Level.LOOK, f"the reply to withdrawal {reply.pk} is not sent, attempts: {attempts}")
    if paused := waiting.filter(notice__paused_at__isnull=False).values("notice").distinct().count():
        found.add_problem(Level.LOOK, f"paused notices: {paused}")
    for channel, count in removed.items():
        found.add_problem(Level.LOOK, f"{count} deliveries wait for {channel}, which is not in CHANNELS")
    _add_delay(found, waiting)
    _add_unreached(found)


def _add_unreached(found: Status) -> None:
    """Add a problem of the level ``LOOK`` for each notice and channel that did not reach somebody, the newest notice
    first. Only notices that had a batch in that channel in the last ``UNREACHED_WITHIN`` are considered. Notices whose
    deliveries are to be skipped now are left out. At most 2 queries.
    """
    recent = (
        Progress.objects.filter(latest_at__gt=found.at - UNREACHED_WITHIN).with_gone().order_by("-notice", "channel")
    )
    notices = Notice.objects.filter(pk__in=recent.order_by().values("notice")).with_edition()
    relevant = {notice.pk for notice in notices.with_overtaking(at=found.at) if not notice.skip_reason(found.at)}
    for row in recent:
        if row.unreached and row.notice_id in relevant:
            sentence = f"notice {row.notice_id}: {row.unreached} of {row.audience} were not reached by {row.channel}"
            details = f"failed {row.failed}, returned {row.bounced}, skipped {row.missed}"
            details += f", accounts deleted since {row.gone}" if row.gone else ""
            found.add_problem(Level.LOOK, f"{sentence} ({details})")


def _add_delay(found: Status, waiting: ProgressQuerySet) -> None:
    """Set ``oldest_due``: since when the oldest delivery is due, or the oldest notice whose deliveries are not all
    written, if that is earlier; ``None`` if nothing is due. ``waiting`` are the rows of progress with waiting
    deliveries. Written deliveries of paused notices are left out.

    Add at most one problem. Its level is ``LOOK`` if sending is suspended. Otherwise the work that has waited longest
    decides: there is a problem if that is longer than ``UNSENT_LOOK`` (level ``LOOK``) or ``UNSENT_ACT`` (level
    ``ACT``). A notice waits since it was due, and a delivery since it was due or, if that was later, since the last
    batch of its notice in its channel. Deliveries that wait only for rate limits are no problem.
    """
    idle_since = list(Notice.objects.unfinished(found.at).values_list("due_at", flat=True))
    oldest = list(idle_since)
    for row in waiting.filter(notice__paused_at__isnull=True):
        queue = Delivery.objects.waiting().filter(notice=row.notice, channel=row.channel).order_by("due_at")
        due_at = queue.values_list("due_at", flat=True).first()
        if due_at and due_at <= found.at:
            oldest.append(due_at)
            if _has_free_slot(row.channel, found.at):
                idle_since.append(max(due_at, row.latest_at or due_at))
    found.oldest_due = min(oldest, default=None)
    if conf.get().SENDING_SUSPENDED:
        found.add_problem(Level.LOOK, "SENDING_SUSPENDED is set: nothing is sent")
    elif idle_since and (idle := found.at - min(idle_since)) > UNSENT_LOOK:
        level = Level.ACT if idle > UNSENT_ACT else Level.LOOK
        found.add_problem(level, f"nothing has been sent for {idle.total_seconds():.0f} s")


def _add_breaches(found: Status) -> None:
    """Add a problem for each breach of personal data that has no notice yet, or whose notice has deliveries that are
    not written or still wait: its level is ``ACT`` after the deadline, and ``LOOK`` before it. Add one of the level
    ``LOOK`` for each other breach whose notice was sent to nobody.
    """
    for breach in Breach.objects.open().select_related("agreement", "notice"):
        level = Level.ACT if found.at > breach.deadline else Level.LOOK
        state = "users are not notified"
        if breach.notice:
            state = "not all of its letters are sent"
            if breach.notice.fanned_out_at and not breach.notice.progress.filter(waiting__gt=0).exists():
                level, state = Level.LOOK, "its letters were sent to nobody"
        by = breach.deadline.isoformat(timespec="minutes")
        found.add_problem(level, f"breach {breach.pk}, to be announced by {by}: {state}")


def _add_replies(found: Status) -> None:
    """Add a problem of the level ``ACT`` for all applications to withdraw whose last day for the reply is over, and one
    of the level ``LOOK`` for all others whose last day is within ``REPLY_WITHIN``. At most 5 queries.
    """
    late = Withdrawal.objects.overdue(found.at).count()
    days = Withdrawal.objects.overdue(found.at + REPLY_WITHIN).values_list("reply_by", flat=True)
    for level, last_days, state in ((Level.ACT, days[:late], "late"), (Level.LOOK, days[late:], "due soon")):
        if last_days:
            sentence = f"replies to applications to withdraw that are {state}: {len(last_days)}"
            found.add_problem(level, f"{sentence}, the first by {last_days[0].isoformat()}")


def _has_free_slot(channel: str, at: datetime) -> bool:
    """Return whether the rate limits of the channel allow a message at that instant; ``True`` if the channel has no
    rate limits, or if no state of it is stored yet.
    """
    limits, row = channel_state.limits_for(channel), ChannelState.objects.filter(channel=channel).first()
    return not (limits and row) or row.free_slots(limits, at) > 0


def _add_channels(found: Status) -> None:
    for row in ChannelState.objects.order_by("channel"):
        # The channel is away if it waits for its next attempt, or if its outage is recorded and there is something to
        # send.
        trying = row.outages and Notice.objects.sendable(channel=row.channel).exists()
        away = row.away_until if trying or row.retry_at(found.at) > found.at else None
        found.channels.append({"channel": row.channel, "away_until": away and away.isoformat(), "reason": row.reason})
        if away:
            found.add_problem(Level.LOOK, f"{row.channel} is unavailable ({row.reason})")


def _add_verification(found: Status) -> None:
    last = AuditEntry.objects.last_verification()
    if last is None and found.agreements:
        found.add_problem(Level.LOOK, "verify_editions has never run")
    elif last:
        found.verified_at = last.at
        if last.action == AuditAction.FAULTY:
            found.add_problem(Level.ACT, f"verify_editions found {last.note} faults")
        elif (ago := found.at - last.at) > VERIFY_WITHIN:
            found.add_problem(Level.LOOK, f"verify_editions last ran {ago.days} days ago")


def _add_seal(found: Status) -> None:
    connection = connections[router.db_for_write(Edition)]
    for sentence in inspection.differences(connection, apps.get_model):
        found.add_problem(Level.ACT, sentence[:1].lower() + sentence[1:].rstrip("."))


def _add_logs(found: Status) -> None:
    """Add a problem of the level ``LOOK`` for each log in which an acceptance or a withdrawal is missing for longer
    than ``LOG_DELAY``. 1 query, and 2 for each agreement.
    """
    since = found.at - conf.get().LOG_DELAY
    for log in TransparencyLog.objects.select_related("agreement"):
        acceptances = Acceptance.objects.filter(edition__agreement=log.agreement_id, pk__gt=log.accepted)
        withdrawals = Withdrawal.objects.filter(agreement=log.agreement_id, pk__gt=log.withdrawn)
        if (
            acceptances.filter(recorded_at__lt=since).order_by().exists()
            or withdrawals.filter(registered_at__lt=since).order_by().exists()
        ):
            found.add_problem(
                Level.LOOK, f"the log of {log.agreement.slug} lags: run deliver_notices, or look at the workers"
            )


def _add_time_stamps(found: Status) -> None:
    """Add a problem of the level ``LOOK`` for each log with an entry that was entered longer than ``STAMP_WITHIN`` ago
    and that no stamped checkpoint contains. Entries about time stamps are left out. No query if the site has no
    authority; otherwise 1 query, and at most 3 for each log.
    """
    if not conf.get().TIMESTAMP_AUTHORITY:
        return
    for log in TransparencyLog.objects.select_related("agreement"):
        if entry := TimeStamp.objects.unstamped_entries(log.agreement_id).first():
            entered = Checkpoint.objects.covering(agreement=log.agreement_id, index=entry.index).first()
            if entered and found.at - entered.at > STAMP_WITHIN:
                sentence = f"the log of {log.agreement.slug} has entries without a time stamp"
                since = entered.at.isoformat(timespec="minutes")
                found.add_problem(Level.LOOK, f"{sentence} since {since}: run stamp_log")
