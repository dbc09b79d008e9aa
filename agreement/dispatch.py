"""From a notice to a message in every user's mailbox: write the ledger, then work it off.

Both steps may run anywhere, any number of times, at once, and be killed at any moment: the ledger knows what is
done. What was sent is settled before the next message is sent, so a kill repeats one message at most, under the
same ``Message-ID``.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Self

from django.db import DatabaseError, connections, router, transaction
from django.db.models import Value
from django.utils import timezone
from django.utils.module_loading import import_string

from agreement import audience, conf
from agreement.channels import Channel, Deferred, Refused, Unavailable
from agreement.models import Delivery, Notice, NoticeText, Pace
from agreement.models.deliveries import CLAIM, LEASE
from agreement.text import seal

logger = logging.getLogger("agreement")

#: Attempts before a delivery fails for good. The pauses double from the first to the longest, so the last attempt
#: comes about a day and a half after the first: a daily quota, or a mistake somebody must find, fails nobody.
ATTEMPTS = 16
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=4)
#: So many deferred messages in a row, without one that was taken, are the server's fault and nobody else's.
IN_A_ROW = 10

Settled = Callable[[Delivery], None]
Clock = Callable[[], datetime]


@dataclass(slots=True)
class Tally:
    """What one round did.

    ``outage`` says what is wrong with a channel that is away, ``faults`` what needs a person; ``held`` that the
    setting ``HOLD`` keeps everything back.
    """

    written: int = 0
    sent: int = 0
    failed: int = 0
    skipped: int = 0
    postponed: int = 0
    outage: str = ""
    faults: list[str] = field(default_factory=list)
    held: bool = False

    @property
    def idle(self) -> bool:
        """Did nothing happen to any delivery?"""
        return not any((self.written, self.sent, self.failed, self.skipped, self.postponed))


def channels() -> list[Channel]:
    """The channels of the site, made anew: each holds connections of its own."""
    return [import_string(path)() for path in conf.get().CHANNELS]


def work(*, deadline: float | None = None, settled: Settled | None = None, clock: Clock = timezone.now) -> Tally:
    """Everything that is due now: fan out, then deliver, until ``deadline`` (of ``time.monotonic()``)."""
    tally = Tally()
    if conf.get().HOLD:
        tally.held = True
        return tally
    for notice in Notice.objects.unfinished(clock()):
        try:
            tally.written += fan_out(notice, deadline=deadline)
        except DatabaseError:
            raise
        except Exception as error:
            # One notice that can't be written never stops the others.
            logger.exception("notice %s: not written", notice.pk)
            tally.faults.append(f"Notice {notice.pk}: {error}")
    return deliver(deadline=deadline, settled=settled, tally=tally, clock=clock)


def fan_out(notice: Notice, *, deadline: float | None = None) -> int:
    """Seal the notice's words, then write a delivery for every user of the audience; how many were written."""
    compose(notice)
    return audience.fan_out(notice, channels=[channel.name for channel in channels()], deadline=deadline)


def compose(notice: Notice) -> None:
    """Keep, sealed, what the notice says in each language and channel."""
    there = set(notice.texts.values_list("channel", "language"))
    for channel in channels():
        for language in (*conf.LANGUAGES, "mul"):
            if (channel.name, language) in there:
                continue
            said = channel.compose(notice, language)
            NoticeText.objects.get_or_create(
                notice=notice,
                channel=channel.name,
                language=language,
                defaults={
                    "subject": said.subject,
                    "text": said.text,
                    "html": said.html,
                    "digest": seal.said(said.subject, said.text, said.html),
                },
            )


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
    for lease in Delivery.objects.uncounted(clock()):
        Delivery.objects.count_in(lease=lease)
    for channel in channels():
        texts: dict[int, dict[str, NoticeText]] = {}
        while deadline is None or time.monotonic() < deadline:
            batch = _claim(channel, tally, clock())
            if not batch:
                break
            notice = batch[0].notice
            if notice.pk not in texts:  # Sealed, so once is enough.
                said = NoticeText.objects.filter(notice=notice, channel=channel.name)
                texts[notice.pk] = {text.language: text for text in said}
            round_ = _Round(channel, batch, texts[notice.pk], tally, settled, deadline, clock)
            if not round_.done():
                break
    return tally


def next_at(at: datetime | None = None) -> datetime | None:
    """When there is next anything to do: now or before, later, or never as things stand (``None``).

    2 queries, and 2 a channel and notice that is not finished.
    """
    at = at or timezone.now()
    if conf.get().HOLD:
        return None
    moments = list(Notice.objects.filter(fanned_out_at__isnull=True).values_list("due_at", flat=True))
    for channel in channels():
        waiting = Delivery.objects.waiting().filter(channel=channel.name).order_by("due_at")
        notices = Notice.objects.sendable(channel=channel.name)
        due = [waiting.filter(notice=notice).values_list("due_at", flat=True).first() for notice in notices]
        if found := [moment for moment in due if moment]:
            moments.append(max(min(found), _open_from(channel, at)))
    return min(moments, default=None)


def _open_from(channel: Channel, at: datetime) -> datetime:
    """From when on the channel may be used: not while it is away, nor while its caps leave no room."""
    pace, limits = Pace.objects.filter(channel=channel.name).first(), conf.limits(channel.name)
    if pace is None:
        return at
    opens_at = pace.opens_at(limits, at) if limits else at
    return max(opens_at, pace.away_until or at)


def _claim(channel: Channel, tally: Tally, at: datetime) -> list[Delivery]:
    """The next batch: of the oldest notice that has one, and no larger than the caps allow."""
    if away := Pace.objects.filter(channel=channel.name, away_until__gt=at).first():
        tally.outage = tally.outage or away.reason
        return []
    limits = conf.limits(channel.name)
    if not limits:
        return _first_batch(channel, CLAIM, at)
    with transaction.atomic(using=router.db_for_write(Pace)):
        pace = Pace.objects.lock(channel.name)
        size = min(CLAIM, pace.room(limits, at))
        if not size:
            return []
        if batch := _first_batch(channel, size, at):
            pace.draw(limits, lease=batch[0].lease, count=len(batch), at=at)
        return batch


def _first_batch(channel: Channel, size: int, at: datetime) -> list[Delivery]:
    for notice in Notice.objects.sendable(channel=channel.name).select_related("edition"):
        if batch := Delivery.objects.claim(notice=notice, channel=channel.name, size=size, at=at):
            return batch
    return []


class Heartbeat(threading.Thread):
    """Renews a lease while a message is on its way: a server may take a minute over one, and a lease is shorter.

    A thread with a connection of its own, which first does anything when a third of the lease is over. It dies with
    its process, and gives up on a batch that takes longer than ``STUCK`` seconds.
    """

    STUCK = 3600

    def __init__(self, lease: str) -> None:
        super().__init__(name="agreement-lease", daemon=True)
        self.lease, self.done = lease, threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.done.set()
        self.join()

    def run(self) -> None:
        until = time.monotonic() + self.STUCK
        while not self.done.wait(LEASE.total_seconds() / 3) and time.monotonic() < until:
            try:
                Delivery.objects.renew(lease=self.lease)
            except DatabaseError as error:
                logger.warning("a lease was not renewed: %s", type(error).__name__)
            finally:
                connections.close_all()


@dataclass(slots=True)
class _Round:
    """One batch on its way."""

    channel: Channel
    batch: list[Delivery]
    texts: dict[str, NoticeText]
    tally: Tally
    settled: Settled | None
    deadline: float | None
    clock: Clock
    #: Messages the server was asked to take: what the caps count.
    used: int = 0
    deferred: int = 0
    sent: int = 0

    def done(self) -> bool:
        """Send the batch; ``False`` if the channel turned out to be away."""
        lease, name, away = self.batch[0].lease, self.channel.name, None
        try:
            with self.channel, Heartbeat(lease):
                self.send()
        except Unavailable as error:
            away = error
            Pace.objects.away(name, at=self.clock(), reason=str(error))
            self.tally.outage = str(error)
        finally:
            # Stopped in the middle: what is left is at once anybody's.
            left = Delivery.objects.release(lease=lease, due_at=self.batch[0].notice.due_at)
            Delivery.objects.count_in(lease=lease, at=self.clock())
            if limits := conf.limits(name):
                with transaction.atomic(using=router.db_for_write(Pace)):
                    pace = Pace.objects.lock(name)
                    pace.settle(limits, lease=lease, used=self.used, at=self.clock())
        if away:
            self.tally.postponed += left
            logger.warning("channel %s is away, %s deliveries wait: %s", name, left, away)
            return False
        if self.sent:
            Pace.objects.back(name)
        return True

    def send(self) -> None:
        renewed = time.monotonic()
        held = {delivery.pk for delivery in self.batch}
        users = self.recipients()
        for delivery in self.batch:
            if self.deadline is not None and time.monotonic() >= self.deadline:
                return
            if time.monotonic() - renewed > LEASE.total_seconds() / 3:
                held, renewed = Delivery.objects.renew(lease=delivery.lease), time.monotonic()
            if delivery.pk not in held:
                continue
            recipient = users.get(delivery.user_id)
            if reason := self.skipped(recipient):
                self.tally.skipped += delivery.settle(Delivery.Outcome.SKIPPED, reason=reason, at=self.clock())
            elif recipient:
                self.attempt(delivery, *recipient)
            if self.settled:
                self.settled(delivery)

    def skipped(self, recipient: tuple[str, str] | None) -> str:
        """Why there is nothing to send, or ``""``."""
        if self.batch[0].notice.edition.cancelled_at:
            return "edition cancelled"
        if recipient is None:
            return "left the audience"
        return self.channel.unreachable(recipient[0])

    def attempt(self, delivery: Delivery, address: str, language: str) -> None:
        outcome, at = Delivery.Outcome, self.clock
        self.used += 1
        try:
            self.channel.send(delivery, address, self.texts[language])
        except Refused as error:
            self.tally.failed += delivery.settle(outcome.FAILED, language=language, reason=str(error), at=at())
        except Unavailable as error:
            if error.tried:
                self.postpone(delivery, language, str(error))
            else:
                self.used -= 1
            raise
        except Exception as error:
            # One message never stops the others. The log names no address; an exception's text might.
            reason = str(error) if isinstance(error, Deferred) else type(error).__name__
            self.postpone(delivery, language, reason)
            self.deferred += 1
            if self.deferred >= IN_A_ROW:
                raise Unavailable(reason) from None
        else:
            self.deferred = 0
            self.sent += 1
            self.tally.sent += delivery.settle(outcome.SENT, language=language, at=at())

    def postpone(self, delivery: Delivery, language: str, reason: str) -> None:
        logger.warning("delivery %s, attempt %s: %s", delivery.pk, delivery.attempts + 1, reason)
        if delivery.attempts + 1 >= ATTEMPTS:
            settled = delivery.settle(Delivery.Outcome.FAILED, language=language, reason=reason, at=self.clock())
            self.tally.failed += settled
            return
        pause = min(FIRST_PAUSE * 2**delivery.attempts, LONGEST_PAUSE) * random.uniform(0.75, 1.25)  # noqa: S311
        self.tally.postponed += delivery.postpone(due_at=self.clock() + pause, reason=reason)

    def recipients(self) -> dict[Any, tuple[str, str]]:
        """User key → address and language, as they are now: a corrected address counts (1 query)."""
        language = conf.user_language()
        rows = (
            conf.audience()
            .filter(pk__in={delivery.user_id for delivery in self.batch} - {None})
            .annotate(
                agreement_address=self.channel.address(),
                agreement_language=language if language is not None else Value(""),
            )
            .values_list("pk", "agreement_address", "agreement_language")
        )
        return {key: (address or "", conf.notice_language(code)) for key, address, code in rows}
