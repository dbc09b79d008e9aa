"""From a notice to a message in every user's mailbox: what is due, in which order, and who does it.

Fan-out writes the ledger, delivery works it off. Both may run in several processes at the same time, be repeated, and
be killed at any moment, because the ledger records what is done. The outcome of a message is recorded before the next
one is sent, so that a kill repeats one message at most, under the same ``Message-ID``.
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

from agreement import conf
from agreement.models import ChannelState, Delivery, Notice, NoticeKind, Progress, Withdrawal, channel_state
from agreement.models.deliveries import CLAIM_SIZE, DeliveryQuerySet
from agreement.models.notices import REMOVED
from agreement.notices import audience, withdrawal_replies
from agreement.notices.batch import Batch, record_outcomes
from agreement.notices.channels import Channel, site_channels
from agreement.notices.lease import LeaseRenewer
from agreement.notices.worker import Clock, DeliveryCounts, OutcomeCallback, Worker, sealed_texts

logger = logging.getLogger("agreement")


def work(
    *, deadline: float | None = None, on_outcome: OutcomeCallback | None = None, clock: Clock = timezone.now
) -> DeliveryCounts:
    """Do everything that is due now: fan out, reply to withdrawals, deliver. Stops at the ``deadline`` (of
    ``time.monotonic()``).
    """
    counts = DeliveryCounts()
    if conf.get().SENDING_SUSPENDED:
        counts.suspended = True
        return counts
    # The audience is written during the notice delay, so that the publisher sees the numbers.
    for notice in Notice.objects.unfinished(clock() + conf.get().NOTICE_DELAY):
        with counts.catch_faults(notice):
            counts.written += fan_out(notice, deadline=deadline, counts=counts, at=clock())
    counts.outage = withdrawal_replies.send_due(clock=clock)
    return deliver(deadline=deadline, on_outcome=on_outcome, counts=counts, clock=clock)


def fan_out(
    notice: Notice,
    *,
    deadline: float | None = None,
    counts: DeliveryCounts | None = None,
    at: datetime | None = None,
) -> int:
    """Seal the texts of the notice, then write a delivery for every user of the audience; return how many were written.

    A cancellation waits until no notice of the edition is being sent, which takes the length of a lease at most. Then
    it is known which users were notified and get the cancellation, and which users get instead the notices that the
    edition had overtaken.
    """
    names, counts = [channel.name for channel in site_channels()], counts or DeliveryCounts()
    if notice.kind == NoticeKind.CANCELLED and not notice.fan_out_cursor:
        for other in notice.other_notices().filter(fanned_out_at__isnull=True):
            audience.write_deliveries(other, channels=names)  # The edition is cancelled: this writes no row.
        counts.skipped += _clean_up(at or timezone.now())
        if _in_flight(notice).exists():
            return 0
        Delivery.objects.revive(cancelled=notice)
    compose_texts(notice, counts)
    return audience.write_deliveries(notice, channels=names, deadline=deadline)


def _in_flight(notice: Notice) -> DeliveryQuerySet:
    """Deliveries of the edition's other notices that may still be sent."""
    return Delivery.objects.primary().waiting().filter(notice__in=notice.other_notices())


def compose_texts(notice: Notice, counts: DeliveryCounts | None = None) -> None:
    """Compose and seal the texts for users who were notified of the edition before, for each channel. A channel that
    fails is asked again when it sends.
    """
    since, counts = notice.base_number(), counts or DeliveryCounts()
    for channel in site_channels():
        with counts.catch_faults(notice):
            sealed_texts(channel, notice, since)


def deliver(
    *,
    deadline: float | None = None,
    on_outcome: OutcomeCallback | None = None,
    counts: DeliveryCounts | None = None,
    clock: Clock = timezone.now,
) -> DeliveryCounts:
    """Claim and send every delivery that is due and that the rate limits allow, and record its outcome, until the
    ``deadline``. Several processes may call it at the same time.
    """
    counts = counts or DeliveryCounts()
    if conf.get().SENDING_SUSPENDED:
        counts.suspended = True
        return counts
    counts.skipped += _clean_up(clock())
    worker = Worker(counts, deadline=deadline, on_outcome=on_outcome, clock=clock)
    with LeaseRenewer() as renewer:
        for channel in site_channels():
            while not worker.out_of_time() and (claimed := _claim(channel, worker)):
                notice = claimed[0].notice
                worker.faulty.add((channel.name, notice.pk))  # Removed again unless its messages fail to be prepared.
                with counts.catch_faults(notice):
                    if not Batch(worker, channel, claimed).deliver(renewer):
                        break
                    worker.faulty.discard((channel.name, notice.pk))
    return counts


def reconcile(message_ids: Iterable[str], *, at: datetime | None = None) -> int:
    """After a restore, while ``SENDING_SUSPENDED`` is set: complete the audiences that were incomplete when the backup
    was made, and record as sent every delivery whose ``Message-ID`` is in the log of the mail server; return how many.
    """
    at, message_ids, unfinished = at or timezone.now(), list(message_ids), Notice.objects.unfinished(at)
    for notice in unfinished.exclude(kind=NoticeKind.CANCELLED):
        fan_out(notice)
    found = Delivery.objects.reconcile(message_ids, at=at)
    # The users that a cancellation concerns, who were notified of the edition, are known only now.
    if cancellations := list(unfinished.filter(kind=NoticeKind.CANCELLED)):
        for notice in cancellations:
            fan_out(notice)
        found += Delivery.objects.reconcile(message_ids, at=at)
    return found


@dataclass(slots=True)
class PendingDeliveries:
    """How many deliveries ``work()`` would send, and how many wait and why."""

    due: int = 0
    later: int = 0
    """They wait for their due time, their channel, or its rate limits."""
    paused: int = 0
    overtaken: int = 0
    """They would be skipped."""
    unwritten: int = 0
    """Notices whose audience is not written yet."""


def pending(at: datetime | None = None) -> PendingDeliveries:
    """What ``work()`` would find at that instant (now). It counts the ledger: for a command, not for a page."""
    at = at or timezone.now()
    found = PendingDeliveries(unwritten=Notice.objects.unfinished(at + conf.get().NOTICE_DELAY).count())
    for channel in site_channels():
        state, limits = (
            ChannelState.objects.filter(channel=channel.name).first() or ChannelState(),
            channel_state.limits_for(channel.name),
        )
        room = 0 if state.retry_at(at) > at else state.free_slots(limits, at) if limits else sys.maxsize
        waiting = Progress.objects.filter(channel=channel.name, waiting__gt=0).select_related("notice__edition")
        for row in waiting.order_by("notice_id"):
            if row.notice.skip_reason(at):
                found.overtaken += row.waiting
            elif row.notice.paused_at:
                found.paused += row.waiting
            else:
                queue = Delivery.objects.due(at).filter(notice=row.notice, channel=channel.name)
                due = min(room, queue.count())
                room, found.due, found.later = room - due, found.due + due, found.later + row.waiting - due
    return found


def removed_channels() -> dict[str, int]:
    """Channel → how many deliveries wait for it although ``CHANNELS`` no longer names it. 1 query."""
    rows = Progress.objects.filter(waiting__gt=0).exclude(channel__in=[channel.name for channel in site_channels()])
    return dict(rows.order_by("channel").values_list("channel").annotate(Sum("waiting")))


def drop_channel(channel: str) -> int:
    """Skip every delivery that waits for a removed channel; return how many."""
    notices = Notice.objects.filter(progress__channel=channel, progress__waiting__gt=0)
    return sum(Delivery.objects.filter(channel=channel).skip(notice=notice, reason=REMOVED) for notice in notices)


def next_due_at(at: datetime | None = None) -> datetime | None:
    """When the next work is due: now or in the past, later, or not as things stand (``None``).

    3 queries, 1 per cancellation that is not written, and 2 per channel and unfinished notice.
    """
    at = at or timezone.now()
    if conf.get().SENDING_SUSPENDED:
        return None
    moments = [_fan_out_from(notice) for notice in Notice.objects.filter(fanned_out_at__isnull=True)]
    replies = Withdrawal.objects.unconfirmed().values_list("confirm_due_at", flat=True)[:1]
    moments += [due_at for due_at in replies if due_at]
    for channel in site_channels():
        waiting = Delivery.objects.waiting().filter(channel=channel.name).order_by("due_at")
        notices = Notice.objects.sendable(channel=channel.name)
        due = [waiting.filter(notice=notice).values_list("due_at", flat=True).first() for notice in notices]
        if found := [moment for moment in due if moment]:
            moments.append(max(min(found), _available_from(channel, at)))
    return min(moments, default=None)


def _fan_out_from(notice: Notice) -> datetime:
    """From when the audience may be written: for a cancellation, when no notice of the edition is being sent."""
    due_at = notice.due_at - conf.get().NOTICE_DELAY
    if notice.kind != NoticeKind.CANCELLED:
        return due_at
    leased = _in_flight(notice).leased().order_by("due_at")
    return max([due_at, *leased.values_list("due_at", flat=True)[:1]])


def _available_from(channel: Channel, at: datetime) -> datetime:
    """From when the channel may be used: after its outage, and when its rate limits have a free slot."""
    state, limits = ChannelState.objects.filter(channel=channel.name).first(), channel_state.limits_for(channel.name)
    if state is None:
        return at
    free_at = state.next_free_at(limits, at) if limits else at
    return max(free_at, state.retry_at(at))


def _claim(channel: Channel, worker: Worker) -> list[Delivery]:
    """The next batch: of the oldest notice that has one, first attempts first, no larger than the rate limits allow."""
    at, snapshot = worker.clock(), worker.snapshot(channel)
    if snapshot.outage:
        worker.counts.outage = worker.counts.outage or snapshot.outage
        return []
    limits = channel_state.limits_for(channel.name)
    if not limits:
        return _claim_oldest(channel, worker, CLAIM_SIZE, at)
    with transaction.atomic(using=router.db_for_write(ChannelState)):
        state = ChannelState.objects.lock(channel.name)
        size = min(CLAIM_SIZE, state.free_slots(limits, at))
        if not size:
            return []
        if claimed := _claim_oldest(channel, worker, size, at):
            state.reserve(limits, lease=claimed[0].lease, count=len(claimed), at=at)
        return claimed


def _clean_up(at: datetime) -> int:
    """Record, count and release what earlier workers left, and skip overtaken notices; return how many deliveries were
    skipped.
    """
    record_outcomes()
    Delivery.objects.shorten(at)
    for lease in Delivery.objects.uncounted_leases(at):
        Delivery.objects.count_outcomes(lease=lease)
    return _skip_overtaken(at)


def _skip_overtaken(at: datetime) -> int:
    """Skip the waiting deliveries of cancelled and overtaken notices, many rows per statement; return how many."""
    skipped = 0
    for notice in Notice.objects.filter(progress__waiting__gt=0).with_edition().distinct():
        if reason := notice.skip_reason(at):
            count = Delivery.objects.skip(notice=notice, reason=reason, at=at)
            skipped += count
            logger.info("N103 notice %s: %s deliveries skipped, %s", notice.pk, count, reason)
    return skipped


def _claim_oldest(channel: Channel, worker: Worker, size: int, at: datetime) -> list[Delivery]:
    while True:
        snapshot = worker.snapshot(channel)
        notices = [notice for notice in snapshot.notices if (channel.name, notice.pk) not in worker.faulty]
        turns = [(notice, at) for notice in notices]
        if len(turns) > 1:  # First attempts are due since their notice is: later attempts delay no other notice.
            turns = [(notice, min(at, notice.due_at)) for notice in notices] + turns
        for notice, due in turns:
            if claimed := Delivery.objects.claim(notice=notice, channel=channel.name, size=size, at=at, due=due):
                snapshot.unclaimed = False
                return claimed
        if snapshot.unclaimed:
            return []
        worker.take_snapshot(channel)  # A snapshot that was used may be old: look once more before the end.
