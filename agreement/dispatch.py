"""From a notice to a message in every user's mailbox: write the ledger, then work it off.

Both steps may run anywhere, any number of times, at once, and be killed at any moment: the ledger knows what is
done. What was sent is settled before the next message is sent, so a kill repeats one message at most, under the
same ``Message-ID``.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import router, transaction
from django.db.models import Sum
from django.utils import timezone
from django.utils.module_loading import import_string

from agreement import audience, conf, withdrawing
from agreement.channels import Channel
from agreement.heartbeat import Heartbeat
from agreement.models import Delivery, Notice, Pace, Progress, Withdrawal
from agreement.models.deliveries import CLAIM, DeliveryQuerySet
from agreement.models.notices import REMOVED
from agreement.runs import Clock, Run, Settled, Tally, said
from agreement.sending import Round, settle_owed

logger = logging.getLogger("agreement")


def channels() -> list[Channel]:
    """The channels of the site, made anew: each holds connections of its own."""
    return [import_string(path)() for path in conf.get().CHANNELS]


def work(*, deadline: float | None = None, settled: Settled | None = None, clock: Clock = timezone.now) -> Tally:
    """Everything that is due now: fan out, then deliver, until ``deadline`` (of ``time.monotonic()``)."""
    tally = Tally()
    if conf.get().HOLD:
        tally.held = True
        return tally
    # The audience is written while a notice waits for nothing but its breath: a publisher sees the numbers.
    for notice in Notice.objects.unfinished(clock() + conf.get().NOTICE_DELAY):
        with tally.containing(notice):
            tally.written += fan_out(notice, deadline=deadline, tally=tally, at=clock())
    tally.outage = withdrawing.confirm(clock=clock)
    return deliver(deadline=deadline, settled=settled, tally=tally, clock=clock)


def fan_out(
    notice: Notice, *, deadline: float | None = None, tally: Tally | None = None, at: datetime | None = None
) -> int:
    """Seal the notice's words, then write a delivery for every user of the audience; how many were written.

    A cancellation waits until nobody is being told of the edition any more, the length of a lease at most: then it is
    known who was told, and is told of the cancellation, and who is to hear instead what the edition had overtaken.
    """
    names, tally = [channel.name for channel in channels()], tally or Tally()
    if notice.kind == Notice.Kind.CANCELLED and not notice.fan_out_cursor:
        for other in notice.others().filter(fanned_out_at__isnull=True):
            audience.fan_out(other, channels=names)  # No row comes after.
        tally.skipped += _clear(at or timezone.now())
        if _on_their_way(notice).exists():
            return 0
        Delivery.objects.revive(cancelled=notice)
    compose(notice, tally)
    return audience.fan_out(notice, channels=names, deadline=deadline)


def _on_their_way(notice: Notice) -> DeliveryQuerySet:
    """Deliveries that tell of the edition by its other notices, and may still be sent."""
    return Delivery.objects.primary().waiting().filter(notice__in=notice.others())


def compose(notice: Notice, tally: Tally | None = None) -> None:
    """Keep, sealed, what the notice says to those who were told of the edition before, by each channel; one that can't
    say it is asked again when it sends.
    """
    since, tally = notice.since(), tally or Tally()
    for channel in channels():
        with tally.containing(notice):
            said(channel, notice, since)


def deliver(
    *,
    deadline: float | None = None,
    settled: Settled | None = None,
    tally: Tally | None = None,
    clock: Clock = timezone.now,
) -> Tally:
    """Claim, send and settle every delivery that is due and that the channel's caps leave room for, until
    ``deadline``. Safe to run in many places at once.
    """
    tally = tally or Tally()
    if conf.get().HOLD:
        tally.held = True
        return tally
    tally.skipped += _clear(clock())
    run = Run(tally, deadline=deadline, settled=settled, clock=clock)
    with Heartbeat() as heartbeat:
        for channel in channels():
            while not run.over() and (batch := _claim(channel, run)):
                notice = batch[0].notice
                run.faulty.add((channel.name, notice.pk))  # Unless all goes well: then its messages wait.
                with tally.containing(notice):
                    if not Round(run, channel, batch).done(heartbeat):
                        break
                    run.faulty.discard((channel.name, notice.pk))
    return tally


def reconcile(message_ids: Iterable[str], *, at: datetime | None = None) -> int:
    """After a restore, while ``HOLD`` keeps everything back: write the audiences that were not written whole when the
    backup was made, and settle as sent whatever the mail server's log has the ``Message-ID`` of; how many.
    """
    at, known, unfinished = at or timezone.now(), list(message_ids), Notice.objects.unfinished(at)
    for notice in unfinished.exclude(kind=Notice.Kind.CANCELLED):
        fan_out(notice)
    settled = Delivery.objects.reconcile(known, at=at)
    # Whom a cancellation concerns, namely who was told of the edition, is known only now.
    if cancellations := list(unfinished.filter(kind=Notice.Kind.CANCELLED)):
        for notice in cancellations:
            fan_out(notice)
        settled += Delivery.objects.reconcile(known, at=at)
    return settled


@dataclass(slots=True)
class Pending:
    """What a round would find: deliveries it would send, and those that wait and why."""

    due: int = 0
    later: int = 0
    """For their moment, their channel, or its caps."""
    paused: int = 0
    stale: int = 0
    """No news any more: they would be skipped."""
    unwritten: int = 0
    """Notices whose audience is still to be written."""


def pending(at: datetime | None = None) -> Pending:
    """What a round would find at that instant (now). Counts the ledger, for a person who asks: not for a page."""
    at = at or timezone.now()
    found = Pending(unwritten=Notice.objects.unfinished(at + conf.get().NOTICE_DELAY).count())
    for channel in channels():
        pace, limits = Pace.objects.filter(channel=channel.name).first() or Pace(), conf.limits(channel.name)
        room = 0 if pace.back_at(at) > at else pace.room(limits, at) if limits else sys.maxsize
        waiting = Progress.objects.filter(channel=channel.name, waiting__gt=0).select_related("notice__edition")
        for row in waiting.order_by("notice_id"):
            if row.notice.stale(at):
                found.stale += row.waiting
            elif row.notice.paused_at:
                found.paused += row.waiting
            else:
                queue = Delivery.objects.due(at).filter(notice=row.notice, channel=channel.name)
                due = min(room, queue.count())
                room, found.due, found.later = room - due, found.due + due, found.later + row.waiting - due
    return found


def removed() -> dict[str, int]:
    """Channel → how many deliveries wait for it, though ``CHANNELS`` names it no more. 1 query."""
    rows = Progress.objects.filter(waiting__gt=0).exclude(channel__in=[channel.name for channel in channels()])
    return dict(rows.order_by("channel").values_list("channel").annotate(Sum("waiting")))


def drop(channel: str) -> int:
    """Skip whatever waits for a channel that was removed; how many."""
    notices = Notice.objects.filter(progress__channel=channel, progress__waiting__gt=0)
    return sum(Delivery.objects.filter(channel=channel).skip(notice=notice, reason=REMOVED) for notice in notices)


def next_at(at: datetime | None = None) -> datetime | None:
    """When there is next anything to do: now or before, later, or never as things stand (``None``).

    3 queries, 1 a cancellation that is not written, and 2 a channel and notice that is not finished.
    """
    at = at or timezone.now()
    if conf.get().HOLD:
        return None
    moments = [_writable_from(notice) for notice in Notice.objects.filter(fanned_out_at__isnull=True)]
    moments += Withdrawal.objects.unconfirmed().values_list("confirm_due_at", flat=True)[:1]
    for channel in channels():
        waiting = Delivery.objects.waiting().filter(channel=channel.name).order_by("due_at")
        notices = Notice.objects.sendable(channel=channel.name)
        due = [waiting.filter(notice=notice).values_list("due_at", flat=True).first() for notice in notices]
        if found := [moment for moment in due if moment]:
            moments.append(max(min(found), _open_from(channel, at)))
    return min(moments, default=None)


def _writable_from(notice: Notice) -> datetime:
    """From when on the audience may be written: of a cancellation, when nobody is being told of the edition."""
    due_at = notice.due_at - conf.get().NOTICE_DELAY
    if notice.kind != Notice.Kind.CANCELLED:
        return due_at
    held = _on_their_way(notice).leased().order_by("due_at")
    return max([due_at, *held.values_list("due_at", flat=True)[:1]])


def _open_from(channel: Channel, at: datetime) -> datetime:
    """From when on the channel may be used: not while it is away, nor while its caps leave no room."""
    pace, limits = Pace.objects.filter(channel=channel.name).first(), conf.limits(channel.name)
    if pace is None:
        return at
    opens_at = pace.opens_at(limits, at) if limits else at
    return max(opens_at, pace.back_at(at))


def _claim(channel: Channel, run: Run) -> list[Delivery]:
    """The next batch: of the oldest notice that has one, first attempts first, and no larger than the caps allow."""
    at, sight = run.clock(), run.sight(channel)
    if sight.away:
        run.tally.outage = run.tally.outage or sight.away
        return []
    limits = conf.limits(channel.name)
    if not limits:
        return _first_batch(channel, run, CLAIM, at)
    with transaction.atomic(using=router.db_for_write(Pace)):
        pace = Pace.objects.lock(channel.name)
        size = min(CLAIM, pace.room(limits, at))
        if not size:
            return []
        if batch := _first_batch(channel, run, size, at):
            pace.draw(limits, lease=batch[0].lease, count=len(batch), at=at)
        return batch


def _clear(at: datetime) -> int:
    """Write down, count and take back what workers left behind, and skip what is no news any more; how many were."""
    settle_owed()
    Delivery.objects.shorten(at)
    for lease in Delivery.objects.uncounted(at):
        Delivery.objects.count_in(lease=lease)
    return _skip_stale(at)


def _skip_stale(at: datetime) -> int:
    """Skip whatever waits and is no news any more, set by set."""
    skipped = 0
    for notice in Notice.objects.filter(progress__waiting__gt=0).with_edition().distinct():
        if reason := notice.stale(at):
            count = Delivery.objects.skip(notice=notice, reason=reason, at=at)
            skipped += count
            logger.info("N103 notice %s: %s deliveries skipped, %s", notice.pk, count, reason)
    return skipped


def _first_batch(channel: Channel, run: Run, size: int, at: datetime) -> list[Delivery]:
    while True:
        sight = run.sight(channel)
        notices = [notice for notice in sight.notices if (channel.name, notice.pk) not in run.faulty]
        turns = [(notice, at) for notice in notices]
        if len(turns) > 1:  # A first attempt is due since its notice is; whoever is tried again holds up nobody.
            turns = [(notice, min(at, notice.due_at)) for notice in notices] + turns
        for notice, due in turns:
            if batch := Delivery.objects.claim(notice=notice, channel=channel.name, size=size, at=at, due=due):
                sight.fresh = False
                return batch
        if sight.fresh:
            return []
        run.look(channel)  # Before it is said that nothing is left.
