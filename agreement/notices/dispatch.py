"""Does the work that is due for notices. ``fan_out()`` writes deliveries into the ledger, and ``deliver()`` sends them.
``work()`` calls both, and mails the replies to withdrawals.

Several processes may do this at the same time, repeat it, or be killed at any moment, because the database records what
is done. After a worker has sent a message, it records the outcome before it sends another one. Therefore a process that
is killed while the database works causes at most one message to be sent twice.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import router, transaction
from django.db.models import Sum

from agreement import conf
from agreement.models import (
    ChannelState,
    Delivery,
    Notice,
    NoticeKind,
    Progress,
    Withdrawal,
    channel_state,
    knowledge,
    log_records,
)
from agreement.models.deliveries import CLAIM_SIZE, DeliveryQuerySet, ledger_clock, ledger_now
from agreement.models.knowledge import History
from agreement.models.notices import REMOVED
from agreement.notices import audience, withdrawal_replies
from agreement.notices.batch import Batch, record_outcomes
from agreement.notices.channels import Channel, EmailChannel, site_channels
from agreement.notices.lease import LeaseRenewer
from agreement.notices.worker import Clock, DeliveryCounts, OutcomeCallback, Worker, sealed_texts

__all__ = ["reconcile", "work"]

logger = logging.getLogger("agreement")


def work(
    *, deadline: float | None = None, on_outcome: OutcomeCallback | None = None, clock: Clock | None = None
) -> DeliveryCounts:
    """Do the work that is due: write deliveries, add to the logs (:func:`agreement.models.log_records.sweep`), mail the
    replies to withdrawals, send deliveries. Return the counts.

    The deliveries of a notice are written from ``NOTICE_DELAY`` before the notice is due, and sent from its due time
    on. Those of a paused notice are written, but not claimed. One call mails at most ``CLAIM_SIZE`` replies. Deliveries
    are written and sent until the ``deadline`` (a value of ``time.monotonic()``; ``None``: no deadline), or until
    nothing more can be sent now. The ``deadline`` does not apply to the replies.

    ``on_outcome`` is called with each claimed delivery after an attempt to send it, or after it was skipped. It is not
    called after an attempt that showed that the channel is unavailable, nor for deliveries that are skipped before they
    are claimed. ``clock`` returns the present moment (``None``: the clock of the database with the ledger). While the
    setting ``SENDING_SUSPENDED`` is on, nothing is done, and ``suspended`` of the counts is true. Raises the errors of
    the database. An error about one notice is added to ``faults`` of the counts, and the other notices are still sent.
    """
    counts = DeliveryCounts()
    if conf.get().SENDING_SUSPENDED:
        counts.suspended = True
        return counts
    clock = clock or ledger_clock()
    # The deliveries are written during the notice delay, so that the publisher sees how many there will be.
    for notice in Notice.objects.unfinished(clock() + conf.get().NOTICE_DELAY):
        with counts.catch_faults(notice):
            counts.written += fan_out(notice, deadline=deadline, counts=counts, at=clock())
    log_records.sweep(clock())
    counts.outage = withdrawal_replies.send_due(clock=clock)
    return deliver(deadline=deadline, on_outcome=on_outcome, counts=counts, clock=clock)


def fan_out(
    notice: Notice,
    *,
    deadline: float | None = None,
    counts: DeliveryCounts | None = None,
    at: datetime | None = None,
) -> int:
    """Seal texts of the notice (:func:`compose_texts`), then write a delivery for each user of the audience whom it
    concerns in each channel of the site. Return how many deliveries this call wrote. It does not check whether the
    notice is due or paused. If the edition was cancelled, the notice of its publication and its reminder get no further
    deliveries.

    The deliveries of a cancellation are only for users who were, or may have been, notified of the edition. First, the
    unclaimed deliveries of its publication and its reminder are skipped. While others wait, because a worker has
    claimed them, this function returns 0; if the worker was killed, this is until its lease ends. Afterwards it is
    known who was notified. The deliveries about earlier editions that had been skipped in favour of the cancelled
    edition then wait again, except those whose channel sent the user a notice of the cancelled edition.

    ``deadline`` is a value of ``time.monotonic()``, after which no further transaction that writes deliveries begins;
    the next call continues where this one stopped. ``at`` is the present moment (``None``: now). If ``counts`` is
    given, skipped deliveries and faults are added to it. A channel that can't compose its texts is a fault; its
    deliveries are written nevertheless.
    """
    names, counts = [channel.name for channel in site_channels()], counts or DeliveryCounts()
    if notice.kind == NoticeKind.CANCELLED and not notice.fan_out_cursor:
        for other in notice.other_notices().filter(fanned_out_at__isnull=True):
            audience.write_deliveries(other, channels=names)  # It writes no row of the publication or the reminder.
        counts.skipped += _clean_up(at or ledger_now())
        if _in_flight(notice).exists():
            return 0
        Delivery.objects.revive(cancelled=notice)
    compose_texts(notice, counts)
    return audience.write_deliveries(notice, channels=names, deadline=deadline)


def _in_flight(notice: Notice) -> DeliveryQuerySet:
    """Return the waiting deliveries, claimed or not, in all channels, of the notice of the publication and of the
    reminder of the same edition. Those of this notice itself are left out.
    """
    return Delivery.objects.primary().waiting().filter(notice__in=notice.other_notices())


def compose_texts(notice: Notice, counts: DeliveryCounts | None = None) -> None:
    """Compose and seal, in each channel, the texts of the notice that compare its edition with the one that
    :func:`agreement.models.knowledge.base_number` returns. If there is none, or for a notice that describes no changes,
    these texts compare nothing. Texts that are sealed already are not composed again.

    The texts that compare with another edition are composed when they are sent. If a channel raises an error, the error
    is logged and added to the faults of ``counts``, if given; the missing texts of that channel are composed when they
    are sent. Errors of the database are raised.
    """
    counts, history = counts or DeliveryCounts(), History.of(notice)
    since = knowledge.base_number(notice, history)
    for channel in site_channels():
        with counts.catch_faults(notice):
            sealed_texts(channel, notice, since=since, history=history)


def deliver(
    *,
    deadline: float | None = None,
    on_outcome: OutcomeCallback | None = None,
    counts: DeliveryCounts | None = None,
    clock: Clock | None = None,
) -> DeliveryCounts:
    """Claim and send the deliveries that are due, as far as the rate limits allow, and record their outcomes. Return
    the counts.

    It begins with :func:`_clean_up`, which also skips the unclaimed deliveries that are not to be sent any more.
    Deliveries of paused notices are not claimed. The function stops after the ``deadline`` (a value of
    ``time.monotonic()``; ``None``: no deadline), or when nothing more can be sent now. If a channel is unavailable, the
    others are still used. An error about one notice is added to ``faults`` of the counts; the other notices are still
    sent. Raises the errors of the database.

    ``on_outcome`` is called with each claimed delivery after an attempt to send it, or after it was skipped. It is not
    called after an attempt that showed that the channel is unavailable, nor for deliveries that are skipped before they
    are claimed. ``clock`` returns the present moment (``None``: the clock of the database with the ledger). If
    ``counts`` is given, the numbers are added to it, and it is returned. Several processes may call this at the same
    time. While the setting ``SENDING_SUSPENDED`` is on, nothing is done, and ``suspended`` of the counts is true.
    """
    counts = counts or DeliveryCounts()
    if conf.get().SENDING_SUSPENDED:
        counts.suspended = True
        return counts
    clock = clock or ledger_clock()
    counts.skipped += _clean_up(clock())
    worker = Worker(counts, clock, deadline=deadline, on_outcome=on_outcome)
    with LeaseRenewer() as renewer:
        for channel in site_channels():
            while not worker.out_of_time() and (claimed := _claim(channel, worker)):
                notice = claimed[0].notice
                worker.faulty.add((channel.name, notice.pk))  # Removed below if no error occurs.
                with counts.catch_faults(notice):
                    if not Batch(worker, channel, claimed).deliver(renewer):
                        break
                    worker.faulty.discard((channel.name, notice.pk))
    return counts


def reconcile(message_ids: Iterable[str], *, at: datetime | None = None) -> int:
    """Correct the ledger after a restore from a backup. Return how many deliveries were recorded as sent. ``at`` is the
    present moment (``None``: now). The setting ``SENDING_SUSPENDED`` must be on, which is not checked.

    First, the missing deliveries of the notices that are due are written. Then each waiting delivery whose
    ``Message-ID`` is among ``message_ids``, which come from the log of the mail server, is recorded as sent. A delivery
    with a lease that has not run out is left as it is. Unknown ids are ignored. The deliveries of cancellations are
    written and compared last, because they depend on which users were notified.
    """
    at, message_ids, unfinished = at or ledger_now(), list(message_ids), Notice.objects.unfinished(at)
    for notice in unfinished.exclude(kind=NoticeKind.CANCELLED):
        fan_out(notice)
    found = Delivery.objects.reconcile(message_ids, at=at)
    # A cancellation concerns the users who were notified of the edition. They are known only now.
    if cancellations := list(unfinished.filter(kind=NoticeKind.CANCELLED)):
        for notice in cancellations:
            fan_out(notice)
        found += Delivery.objects.reconcile(message_ids, at=at)
    return found


@dataclass(slots=True)
class PendingDeliveries:
    """How many deliveries wait in the site's channels, and why. Each is counted in one of ``due``, ``later``,
    ``paused`` and ``overtaken``. ``due`` can be sent now, if sending is not suspended. ``unwritten`` counts notices,
    not deliveries.
    """

    due: int = 0
    later: int = 0
    """Other deliveries: they wait for their due time, for an unavailable channel, or for the rate limits, or a worker
    has claimed them.
    """
    paused: int = 0
    """Waiting deliveries of paused notices, claimed or not, except those that count as ``overtaken``."""
    overtaken: int = 0
    """Waiting deliveries, claimed or not, of notices that are not to be sent any more: a newer notice has overtaken
    them, the edition was cancelled, or the edition of a reminder is in effect already.
    """
    unwritten: int = 0
    """The number of notices that are due already or within ``NOTICE_DELAY``, and whose deliveries are not all written.
    """


def pending(at: datetime | None = None) -> PendingDeliveries:
    """Return how many deliveries wait in the site's channels, and why. ``at`` is the present moment (``None``: now).
    Nothing is changed. The setting ``SENDING_SUSPENDED`` is not considered. The function counts rows of the ledger,
    which is too slow for a page.
    """
    at = at or ledger_now()
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
    """Return the number of waiting deliveries by name of the channel, for the channels that the setting ``CHANNELS`` no
    longer names. A channel in which none wait is left out. 1 query.
    """
    rows = Progress.objects.filter(waiting__gt=0).exclude(channel__in=[channel.name for channel in site_channels()])
    return dict(rows.order_by("channel").values_list("channel").annotate(Sum("waiting")))


def drop_channel(channel: str) -> int:
    """Skip, with the reason ``REMOVED``, the deliveries that wait in the channel with this name. Those with a lease
    that has not run out are left as they are. Return how many were skipped. It is not checked that the channel was
    removed from the setting ``CHANNELS``.
    """
    notices = Notice.objects.filter(progress__channel=channel, progress__waiting__gt=0)
    return sum(Delivery.objects.filter(channel=channel).skip(notice=notice, reason=REMOVED) for notice in notices)


def next_due_at(at: datetime | None = None) -> datetime | None:
    """Return when the next work is due; ``None`` if no work is left, or while the setting ``SENDING_SUSPENDED`` is on.
    ``at`` is the present moment (``None``: now). The result is not after ``at`` if something can be done already.

    Work is to write the deliveries of a notice, to mail the reply to a withdrawal, and to send a delivery. A delivery
    is sent when it is due, its channel has no outage, and the rate limits allow a message. A claimed delivery counts as
    due when its lease ends. Written deliveries of paused notices, and deliveries of removed channels, are not
    considered.

    At most 3 queries, and 1 for each cancellation whose deliveries are not all written. In addition, for each channel,
    at most 2 queries, and 1 for each notice with deliveries that wait in that channel. On PostgreSQL 1 more without
    ``at``.
    """
    at = at or ledger_now()
    if conf.get().SENDING_SUSPENDED:
        return None
    moments = [_fan_out_from(notice) for notice in Notice.objects.filter(fanned_out_at__isnull=True)]
    if reply_at := Withdrawal.objects.unconfirmed().values_list("confirm_due_at", flat=True).first():
        state = ChannelState.objects.filter(channel=EmailChannel.name).first() or ChannelState()
        moments.append(max(reply_at, state.retry_at(at)))
    for channel in site_channels():
        waiting = Delivery.objects.waiting().filter(channel=channel.name).order_by("due_at")
        notices = Notice.objects.sendable(channel=channel.name)
        due = [waiting.filter(notice=notice).values_list("due_at", flat=True).first() for notice in notices]
        if found := [moment for moment in due if moment]:
            moments.append(max(min(found), _available_from(channel, at)))
    return min(moments, default=None)


def _fan_out_from(notice: Notice) -> datetime:
    """Return the moment from which the deliveries of this notice may be written: ``NOTICE_DELAY`` before the notice is
    due.

    A cancellation may have to wait longer. If workers have claimed deliveries of the edition's other notices, the
    moment is not before the end of the lease that ends first.
    """
    due_at = notice.due_at - conf.get().NOTICE_DELAY
    if notice.kind != NoticeKind.CANCELLED:
        return due_at
    leased = _in_flight(notice).leased().order_by("due_at")
    return max([due_at, *leased.values_list("due_at", flat=True)[:1]])


def _available_from(channel: Channel, at: datetime) -> datetime:
    """Return the first moment, ``at`` (the present moment) or later, at which the channel may be tried: the pause after
    an outage is over, and its rate limits allow a message. A delivery that a worker has claimed counts as sent.
    """
    state, limits = ChannelState.objects.filter(channel=channel.name).first(), channel_state.limits_for(channel.name)
    if state is None:
        return at
    free_at = state.next_free_at(limits, at) if limits else at
    return max(free_at, state.retry_at(at))


def _claim(channel: Channel, worker: Worker) -> list[Delivery]:
    """Claim the next batch in this channel: deliveries of one notice, at most ``CLAIM_SIZE``, and no more than the rate
    limits allow. Return them. If the channel has rate limits, a slot (the place of one message under them) is reserved
    for each.

    Return ``[]`` if no delivery can be claimed, the channel has an outage, or the rate limits allow no message now. The
    reason of an outage is stored in the counts of the worker, unless they contain one already.
    """
    at, snapshot = worker.read_clock(), worker.snapshot(channel)
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
    """Record the outcomes that this process could not record before. Shorten the leases that end too late because the
    clock was put back. Count the outcomes whose leases ran out, such as those of killed workers. Then skip the
    unclaimed deliveries that are not to be sent any more. Return how many deliveries were skipped. ``at`` is the
    present moment.
    """
    record_outcomes()
    Delivery.objects.shorten(at)
    for lease in Delivery.objects.uncounted_leases(at):
        Delivery.objects.count_outcomes(lease=lease, at=at)
    return _skip_overtaken(at)


def _skip_overtaken(at: datetime) -> int:
    """Skip the waiting deliveries of notices that are not to be sent any more: a newer notice has overtaken them, the
    edition was cancelled, or the edition of a reminder is in effect. Deliveries with a lease that has not run out are
    left as they are. Return how many were skipped. ``at`` is the present moment.
    """
    skipped = 0
    for notice in Notice.objects.filter(progress__waiting__gt=0).with_edition().distinct():
        if reason := notice.skip_reason(at):
            count = Delivery.objects.skip(notice=notice, reason=reason, at=at)
            skipped += count
            logger.info("N103 notice %s: %s deliveries skipped, %s", notice.pk, count, reason)
    return skipped


def _claim_oldest(channel: Channel, worker: Worker, size: int, at: datetime) -> list[Delivery]:
    """Claim up to ``size`` deliveries of one notice, and return them; ``[]`` if there are none to claim. ``at`` is the
    present moment. Deliveries about breaches come before all others. First attempts come before later attempts. Within
    each group, older notices come before newer ones. A delivery whose lease ran out, or that was made to wait again by
    ``reopen()``, comes with the later attempts.

    Paused notices, notices whose deliveries are to be skipped, and notices about which this worker met an error in this
    channel are left out.
    """
    while True:
        snapshot = worker.snapshot(channel)
        notices = [notice for notice in snapshot.notices if (channel.name, notice.pk) not in worker.faulty]
        turns = [(notice, at) for notice in notices]
        # First attempts are due when their notice is due, later attempts after that. First attempts of all notices come
        # first.
        if len(turns) > 1:
            turns = [(notice, min(at, notice.due_at)) for notice in notices] + turns
            turns.sort(key=lambda turn: not turn[0].goes_first)
        for notice, due in turns:
            if claimed := Delivery.objects.claim(notice=notice, channel=channel.name, size=size, at=at, due=due):
                snapshot.unclaimed = False
                return claimed
        if snapshot.unclaimed:
            return []
        worker.take_snapshot(channel)  # The snapshot may be out of date: try once more.
