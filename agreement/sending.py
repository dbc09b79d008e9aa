"""One worker's stretch of work: batches on their way, each message settled before the next is sent."""

from __future__ import annotations

import logging
import random
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import zip_longest
from typing import Any

from django.contrib.auth import get_user_model
from django.db import Error, InterfaceError, OperationalError, connections, router, transaction
from django.db.models import Max, Value
from django.utils import timezone

from agreement import conf, pseudonyms
from agreement.channels import Channel, Deferred, Refused, Unavailable
from agreement.heartbeat import Heartbeat
from agreement.models import Acceptance, Delivery, Notice, NoticeText, Pace, Withdrawal
from agreement.models.deliveries import LEASE
from agreement.models.notices import ACCOUNT_GONE, ENDED, INACTIVE, LEFT
from agreement.text import seal

logger = logging.getLogger("agreement")

#: Attempts before a delivery fails for good. The pauses double from the first to the longest, so the last attempt
#: comes about a day and a half after the first: a daily quota, or a mistake somebody must find, fails nobody.
ATTEMPTS = 16
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=4)
#: So many deferred messages in a row, without one that was taken, are the server's fault and nobody else's.
IN_A_ROW = 10
#: Seconds for which a worker goes by what it saw of a channel and its notices.
SIGHT = 1.0

Settled = Callable[[Delivery], None]
Clock = Callable[[], datetime]
#: A database that is away, or full: it may take the same words later.
Away = (OperationalError, InterfaceError)
#: Sealed words by channel, notice and edition compared with, then by language.
Texts = dict[tuple[str, int, int], dict[str, NoticeText]]


#: What became of messages and could not be written down, by this process.
_owed: deque[Callable[[], bool]] = deque()


def _connection() -> Any:
    return connections[router.db_for_write(Delivery)]


def pause(attempts: int) -> timedelta:
    """How long to wait after so many attempts before another one; never in step with others."""
    longest = min(FIRST_PAUSE * 2.0**attempts, LONGEST_PAUSE)
    return longest * random.uniform(0.75, 1.25)  # noqa: S311


def settle_owed() -> None:
    """Write down what the database could not take when it happened: before anything else is sent, so that a database
    that stays away, or a disk that stays full, has nobody told again and again. 0 queries if nothing is owed.
    """
    while _owed:
        write = _owed.popleft()
        try:
            write()
        except Error:
            _owed.appendleft(write)
            raise


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

    @contextmanager
    def containing(self, notice: Notice) -> Iterator[None]:
        """One notice, or one channel's words for it, that can't be written never stops the others; a database does."""
        try:
            yield
        except Error:
            raise
        except Exception as error:
            logger.exception("N102 notice %s: its audience or words could not be written", notice.pk)
            if (fault := f"Notice {notice.pk}: {error}") not in self.faults:
                self.faults.append(fault)

    @property
    def idle(self) -> bool:
        """Did nothing happen to any delivery?"""
        return not any((self.written, self.sent, self.failed, self.skipped, self.postponed))


def said(channel: Channel, notice: Notice, since: int) -> dict[str, NoticeText]:
    """The sealed words by language, made where they are missing."""
    kept = {text.language: text for text in notice.texts.filter(channel=channel.name, since=since)}
    for language in (*conf.LANGUAGES, *(["mul"] if channel.both else [])):
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


@dataclass(slots=True)
class Sight:
    """What a worker saw of a channel, and goes by for ``SIGHT`` seconds; with every claim it asks for a pause alone."""

    taken: float
    away: str
    """Why the channel is left alone, or ``""``."""
    notices: list[Notice]
    """What may be sent, the oldest first."""
    departed: dict[int, bool]
    """By agreement: has it ever ended for anybody?"""
    fresh: bool = True
    """Has nothing been claimed by it yet?"""
    thanked: bool = False
    """Has the channel's outage been taken off, since it takes messages?"""


@dataclass(slots=True)
class Run:
    """What a worker knows from its first batch to its last."""

    tally: Tally
    deadline: float | None = None
    settled: Settled | None = None
    clock: Clock = timezone.now
    texts: Texts = field(default_factory=dict)
    known: dict[int, tuple[dict[int, int], int]] = field(default_factory=dict)
    sights: dict[str, Sight] = field(default_factory=dict)
    #: Channels and notices whose messages could not be prepared.
    faulty: set[tuple[str, int]] = field(default_factory=set)

    def sight(self, channel: Channel) -> Sight:
        """The channel and its notices as they were, at most ``SIGHT`` seconds ago."""
        sight = self.sights.get(channel.name)
        if sight is None or time.monotonic() - sight.taken > SIGHT:
            return self.look(channel)
        return sight

    def look(self, channel: Channel) -> Sight:
        """The channel and its notices as they are: 2 queries, 1 a notice and 1 an agreement."""
        taken, at = time.monotonic(), self.clock()
        away = Pace.objects.left_alone(at).filter(channel=channel.name).values_list("reason", flat=True).first()
        notices = [notice for notice in Notice.objects.sendable(channel=channel.name) if not notice.stale(at)]
        ended = Withdrawal.objects.departures(at).filter(outcome=Withdrawal.Outcome.ENDED)
        agreements = {notice.edition.agreement_id for notice in notices}
        departed = {key: ended.filter(agreement=key).exists() for key in agreements}
        self.sights[channel.name] = Sight(taken, away or "", notices, departed)
        return self.sights[channel.name]

    def over(self) -> bool:
        """Is it time to stop?"""
        return self.deadline is not None and time.monotonic() >= self.deadline

    def said(self, channel: Channel, notice: Notice, since: int) -> dict[str, NoticeText]:
        """The sealed words, which are read or made once."""
        key = (channel.name, notice.pk, since)
        if key not in self.texts:
            self.texts[key] = said(channel, notice, since)
        return self.texts[key]

    def before(self, notice: Notice) -> tuple[dict[int, int], int]:
        """The earlier notices, and the edition most readers were told of last."""
        if notice.pk not in self.known:
            self.known[notice.pk] = notice.earlier(), notice.since()
        return self.known[notice.pk]


@dataclass(slots=True)
class Message:
    """What one delivery of a batch is to be sent, or why it is not."""

    delivery: Delivery
    since: int
    skip: str = ""
    address: str = ""
    language: str = ""
    said: NoticeText | None = None
    fault: Exception | None = None
    """What the channel raised when it was asked about the address."""

    def facts(self) -> dict[str, Any]:
        """What the ledger keeps of a message that was sent, or refused."""
        digest = pseudonyms.address(self.address)
        return {"language": self.language, "since": self.since, "address_digest": digest}


@dataclass(slots=True)
class Round:
    """One batch on its way."""

    run: Run
    channel: Channel
    batch: list[Delivery]
    #: Messages the server was asked to take: what the caps count.
    used: int = 0
    deferred: int = 0
    sent: int = 0
    #: What is still in this worker's hands, by key.
    held: set[int] = field(default_factory=set)
    #: Did another worker take the lease over?
    lost: bool = False
    #: What the settles are written by, while the connection holds.
    cursor: Any = None
    #: What was settled, and may not be on the disk yet.
    written: list[Callable[[], bool]] = field(default_factory=list)

    def done(self, heartbeat: Heartbeat) -> bool:
        """Send the batch; ``False`` if the channel turned out to be away."""
        lease, name, away = self.batch[0].lease, self.channel.name, None
        self.held = {delivery.pk for delivery in self.batch}
        try:
            try:
                with self.channel, heartbeat.holding(lease), _connection().cursor() as self.cursor:
                    self.send()
            except Unavailable as error:
                away = error
                Pace.objects.away(name, at=self.run.clock(), reason=str(error))
                self.run.tally.outage = str(error)
            except Away:
                raise
            except BaseException:
                self.close()
                raise
            left = self.close()
        except Away:
            # The lease is kept to its end: what was sent may not be written down yet.
            self.reconnect()
            raise
        if away:
            self.run.tally.postponed += left
            logger.warning("N105 channel %s is away, %s deliveries wait: %s", name, left, away)
            return False
        sight = self.run.sight(self.channel)
        if self.sent and not sight.thanked:
            Pace.objects.back(name)
            sight.thanked = True
        return True

    def close(self) -> int:
        """Stopped in the middle or not, what is left is at once anybody's; how many."""
        lease, name, left = self.batch[0].lease, self.channel.name, 0
        if Delivery.objects.count_in(lease=lease, at=self.run.clock()) < len(self.written):
            # Behind a pool of connections a server may crash unseen, and forget what was not on its disk yet.
            for write in self.written:
                write()
            Delivery.objects.count_in(lease=lease, at=self.run.clock())
        self.written.clear()
        if self.held:
            left = Delivery.objects.release(lease=lease, due_at=self.batch[0].notice.due_at)
        if limits := conf.limits(name):
            with transaction.atomic(using=router.db_for_write(Pace)):
                pace = Pace.objects.lock(name)
                pace.settle(limits, lease=lease, used=self.used, at=self.run.clock())
        return left

    def send(self) -> None:
        renewed, third = time.monotonic(), LEASE.total_seconds() / 3
        messages = self.messages()
        for message, following in zip_longest(messages, messages[1:]):
            delivery = message.delivery
            if self.run.over():
                return
            if self.lost or time.monotonic() - renewed > third:
                self.held, renewed = Delivery.objects.renew(lease=delivery.lease), time.monotonic()
                self.lost = False
            if delivery.pk not in self.held:
                continue
            if message.said:
                self.attempt(message, message.said, following)
            else:
                self.run.tally.skipped += self.settle(delivery, Delivery.Outcome.SKIPPED, reason=message.skip)
            self.held.discard(delivery.pk)
            if self.run.settled:
                self.run.settled(delivery)

    def messages(self) -> list[Message]:
        """What is to be done with each delivery of the batch."""
        users, since, ended = self.recipients(), self.since(), self.ended()
        found = []
        for delivery in self.batch:
            message, recipient = Message(delivery, since=since[delivery.user_id]), users.get(delivery.user_id)
            found.append(message)
            message.skip = ENDED if delivery.user_id in ended else self.skipped(delivery, recipient)
            if message.skip or recipient is None:
                continue
            message.address, message.language = recipient
            try:
                message.skip = self.channel.unreachable(message.address)
            except Exception as error:
                message.fault = error
            if message.skip:
                continue
            if message.language == "mul" and not self.channel.both:
                message.language = conf.LANGUAGES[0]
            message.said = self.run.said(self.channel, delivery.notice, message.since)[message.language]
        return found

    def skipped(self, delivery: Delivery, recipient: tuple[str, str] | None) -> str:
        """Why there is nobody to send to, or ``""``."""
        if recipient is None and delivery.user_id is None:
            return ACCOUNT_GONE
        if recipient is None:
            gone: Any = get_user_model()._default_manager.filter(pk__in=[delivery.user_id]).first()
            return LEFT if getattr(gone, "is_active", True) else INACTIVE
        return ""

    def since(self) -> dict[Any, int]:
        """User key → the last edition he was told of by this channel. At most 3 queries."""
        notice, name = self.batch[0].notice, self.channel.name
        users = {delivery.user_id for delivery in self.batch}
        earlier, usual = self.run.before(notice)
        since = notice.since_by_user(channel=name, users=users, earlier=earlier, usual=usual)
        if behind := [user for user, number in since.items() if number < usual]:
            # Who has joined an edition knows it, told or not.
            joined = Acceptance.objects.filter(edition__agreement=notice.edition.agreement_id, user__in=behind)
            for user, number in joined.order_by().values_list("user").annotate(Max("edition__number")):
                since[user] = max(since[user], min(number, usual))
        return since

    def ended(self) -> set[Any]:
        """The users whose agreement has ended and who have not joined it again. No query where that never happened,
        else 1, and 2 if there are any.
        """
        agreement = self.batch[0].notice.edition.agreement_id
        if not self.run.sight(self.channel).departed.get(agreement, True):
            return set()
        users = [delivery.user_id for delivery in self.batch if delivery.user_id is not None]
        left = Withdrawal.objects.departures(self.run.clock()).filter(outcome=Withdrawal.Outcome.ENDED)
        left = left.filter(agreement=agreement, user__in=users).order_by()
        gone = dict(left.values_list("user").annotate(Max("effective_at")))
        if not gone:
            return set()
        joined = Acceptance.objects.filter(edition__agreement=agreement, user__in=gone).order_by()
        back = dict(joined.values_list("user").annotate(Max("at")))
        return {user for user, at in gone.items() if user not in back or back[user] <= at}

    def attempt(self, message: Message, said: NoticeText, following: Message | None) -> None:
        """Send one message and write down what became of it, the next one's envelope already on its way."""
        outcome, delivery = Delivery.Outcome, message.delivery
        self.used += 1
        try:
            if message.fault:
                raise message.fault
            self.channel.send(delivery, message.address, said)
        except Refused as error:
            self.run.tally.failed += self.settle(delivery, outcome.FAILED, reason=str(error), **message.facts())
        except Unavailable as error:
            if error.tried:
                self.postpone(delivery, message.language, str(error))
            else:
                self.used -= 1
            raise
        except Exception as error:
            # One message never stops the others. The log names no address; an exception's text might.
            reason = str(error) if isinstance(error, Deferred) else type(error).__name__
            self.postpone(delivery, message.language, reason)
            self.deferred += 1
            if self.deferred >= IN_A_ROW:
                raise Unavailable(reason) from None
        else:
            self.deferred = 0
            self.sent += 1
            if following and following.said and following.delivery.pk in self.held and not self.run.over():
                with suppress(Exception):  # Whatever that is, this message was sent, and is written down as sent.
                    self.channel.begin(following.address)
            self.run.tally.sent += self.settle(delivery, outcome.SENT, **message.facts())

    def settle(self, delivery: Delivery, outcome: Delivery.Outcome, **columns: Any) -> bool:
        """Write the final state down, on a new connection if the old one broke; ``False`` if the lease was lost."""
        write = partial(delivery.settle, outcome, at=self.run.clock(), **columns)
        self.written.append(write)
        try:
            held = write(cursor=self.cursor)
        except Away:
            self.cursor = None
            self.reconnect()
            settle_owed()
            return True
        self.lost = not held
        return held

    def reconnect(self) -> None:
        """Let the next statement open a new connection, where this one is of no use any more; what this batch wrote
        may be gone with the server, and is written again.
        """
        _owed.extend(self.written)
        self.written.clear()
        connection = _connection()
        if not connection.in_atomic_block:  # It is not this app's, then.
            connection.close_if_unusable_or_obsolete()

    def postpone(self, delivery: Delivery, language: str, reason: str) -> None:
        logger.warning("N104 delivery %s, attempt %s: %s", delivery.pk, delivery.attempts + 1, reason)
        if delivery.attempts + 1 >= ATTEMPTS:
            self.run.tally.failed += self.settle(delivery, Delivery.Outcome.FAILED, language=language, reason=reason)
            return
        due_at = self.run.clock() + pause(delivery.attempts)
        self.run.tally.postponed += delivery.postpone(due_at=due_at, reason=reason)

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
