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

from django.contrib.auth import get_user_model
from django.db import DatabaseError, connections, router, transaction
from django.db.models import Value
from django.utils import timezone
from django.utils.module_loading import import_string

from agreement import audience, conf
from agreement.channels import Channel, Deferred, Refused, Unavailable
from agreement.models import Delivery, Notice, NoticeText, Pace
from agreement.models.deliveries import CLAIM, LEASE
from agreement.models.notices import ACCOUNT_GONE, CANCELLED, INACTIVE, LEFT, NEVER_TOLD
from agreement.text import seal

logger = logging.getLogger("agreement")

#: Attempts before a delivery fails for good. The pauses double from the first to the longest, so the last attempt
#: comes about a day and a half after the first: a daily quota, or a mistake somebody must find, fails nobody.
ATTEMPTS = 16
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=4)
#: So many deferred messages in a row, without one that was taken, are the server's fault and nobody else's.
IN_A_ROW = 10
#: Instead of an edition's number: this reader was told nothing that could be taken back.
NOTHING = -1

Settled = Callable[[Delivery], None]
Clock = Callable[[], datetime]
#: Sealed words by notice, edition compared with, and language: read once.
Texts = dict[tuple[int, int], dict[str, NoticeText]]


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
    if notice.kind == Notice.Kind.CANCELLED:
        _skip_stale(timezone.now())
    compose(notice)
    return audience.fan_out(notice, channels=[channel.name for channel in channels()], deadline=deadline)


def compose(notice: Notice) -> None:
    """Keep, sealed, what the notice says to those who were told of the edition before, by each channel."""
    since = notice.since()
    for channel in channels():
        _said(channel, notice, since)


def _said(channel: Channel, notice: Notice, since: int) -> dict[str, NoticeText]:
    """The sealed words by language, made where they are missing."""
    kept = {text.language: text for text in notice.texts.filter(channel=channel.name, since=since)}
    for language in (*conf.LANGUAGES, "mul"):
        if language not in kept:
            said = channel.compose(notice, language, since=since)
            kept[language] = NoticeText.objects.get_or_create(
                notice=notice,
                channel=channel.name,
                language=language,
                since=since,
                defaults={
                    "subject": said.subject,
                    "text": said.text,
                    "html": said.html,
                    "digest": seal.said(said.subject, said.text, said.html),
                },
            )[0]
    return kept


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
    tally.skipped += _skip_stale(clock())
    for channel in channels():
        texts: Texts = {}
        while deadline is None or time.monotonic() < deadline:
            batch = _claim(channel, tally, clock())
            if not batch or not _Round(channel, batch, texts, tally, settled, deadline, clock).done():
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


def _skip_stale(at: datetime) -> int:
    """Skip whatever waits and is no news any more, set by set; let those be told after all who would miss some."""
    skipped = 0
    for notice in Notice.objects.filter(progress__waiting__gt=0).select_related("edition").distinct():
        if reason := notice.stale(at):
            count = Delivery.objects.skip(notice=notice, reason=reason, at=at)
            skipped += count
            if count and reason == CANCELLED:
                Delivery.objects.revive(cancelled=notice)
    return skipped


def _first_batch(channel: Channel, size: int, at: datetime) -> list[Delivery]:
    for notice in Notice.objects.sendable(channel=channel.name).select_related("edition__agreement"):
        if notice.stale(at):  # Since the round began; the next one skips it.
            continue
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
    texts: Texts
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
        users, since = self.recipients(), self.since()
        for delivery in self.batch:
            if self.deadline is not None and time.monotonic() >= self.deadline:
                return
            if time.monotonic() - renewed > LEASE.total_seconds() / 3:
                held, renewed = Delivery.objects.renew(lease=delivery.lease), time.monotonic()
            if delivery.pk not in held:
                continue
            recipient = users.get(delivery.user_id)
            told = since.get(delivery.user_id)
            if told is None:  # Another worker is just telling him what this takes back.
                delivery.wait(due_at=self.clock() + LEASE / 3)
                continue
            if reason := self.skipped(delivery, recipient, told):
                self.tally.skipped += delivery.settle(Delivery.Outcome.SKIPPED, reason=reason, at=self.clock())
            elif recipient:
                self.attempt(delivery, *recipient, told)
            if self.settled:
                self.settled(delivery)

    def skipped(self, delivery: Delivery, recipient: tuple[str, str] | None, told: int) -> str:
        """Why there is nothing to send, or ``""``."""
        if told == NOTHING:
            return NEVER_TOLD
        if recipient is None and delivery.user_id is None:
            return ACCOUNT_GONE
        if recipient is None:
            gone: Any = get_user_model()._default_manager.filter(pk__in=[delivery.user_id]).first()
            return LEFT if getattr(gone, "is_active", True) else INACTIVE
        return self.channel.unreachable(recipient[0])

    def since(self) -> dict[Any, int | None]:
        """User key → the last edition he was told of by this channel, ``NOTHING`` if there is nothing to take back,
        ``None`` if that is not decided yet. At most 2 queries.
        """
        notice, name = self.batch[0].notice, self.channel.name
        users = {delivery.user_id for delivery in self.batch}
        if notice.kind == Notice.Kind.CANCELLED:
            published = Delivery.objects.filter(notice__edition=notice.edition_id, notice__kind="published")
            rows = published.filter(channel=name, user__in=users - {None}).values_list("user", "outcome")
            says = {Delivery.Outcome.SENT.value: 0, Delivery.Outcome.WAITING.value: None}
            return {None: NOTHING, **dict.fromkeys(users, NOTHING), **{u: says.get(o, NOTHING) for u, o in rows}}
        return {**notice.since_by_user(channel=name, users=users)}

    def said(self, since: int) -> dict[str, NoticeText]:
        notice = self.batch[0].notice
        if (notice.pk, since) not in self.texts:
            self.texts[notice.pk, since] = _said(self.channel, notice, since)
        return self.texts[notice.pk, since]

    def attempt(self, delivery: Delivery, address: str, language: str, since: int) -> None:
        outcome, at = Delivery.Outcome, self.clock
        digest = conf.address_digest(address)
        self.used += 1
        try:
            self.channel.send(delivery, address, self.said(since)[language])
        except Refused as error:
            self.tally.failed += delivery.settle(
                outcome.FAILED, language=language, reason=str(error), address_digest=digest, at=at()
            )
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
            self.tally.sent += delivery.settle(outcome.SENT, language=language, address_digest=digest, at=at())

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
