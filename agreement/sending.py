"""One worker's stretch of work: batches on their way, each message settled before the next is sent."""

from __future__ import annotations

import logging
import random
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import zip_longest
from typing import Any

from django.contrib.auth import get_user_model
from django.db import Error, InterfaceError, OperationalError, connections, router, transaction
from django.db.models import Max, Value

from agreement import conf, pseudonyms
from agreement.channels import Channel, Deferred, Refused, Unavailable
from agreement.heartbeat import Heartbeat
from agreement.models import Acceptance, Delivery, NoticeText, Pace
from agreement.models.deliveries import LEASE
from agreement.models.notices import ACCOUNT_GONE, ENDED, INACTIVE, LEFT
from agreement.runs import Run

logger = logging.getLogger("agreement")

#: Attempts before a delivery fails for good. The pauses double from the first to the longest, so the last attempt
#: comes about a day and a half after the first: a daily quota, or a mistake somebody must find, fails nobody.
ATTEMPTS = 16
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=4)
#: So many deferred messages in a row, without one that was taken, are the server's fault and nobody else's; those that
#: are surely the recipient's (``Deferred.personal``) are not among them.
IN_A_ROW = 10
#: A database that is away, or full: it may take the same words later.
Away = (OperationalError, InterfaceError)

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
    #: Who was refused since a message was taken last, and why: him, or everybody?
    doubted: list[tuple[Message, str]] = field(default_factory=list)
    #: What was settled, and may not be on the disk yet.
    written: list[Callable[[], bool]] = field(default_factory=list)

    def done(self, heartbeat: Heartbeat) -> bool:
        """Send the batch; ``False`` if the channel turned out to be away."""
        lease, name, away = self.batch[0].lease, self.channel.name, None
        self.held = {delivery.pk for delivery in self.batch}
        try:
            try:
                with self.channel, heartbeat.holding(lease, name), _connection().cursor() as self.cursor:
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
        try:
            self.send_all()
        finally:
            for message, reason in self.doubted:
                self.postpone(message.delivery, message.language, reason)

    def send_all(self) -> None:
        renewed, third, limits = time.monotonic(), LEASE.total_seconds() / 3, conf.limits(self.channel.name)
        messages = self.messages()
        for message, following in zip_longest(messages, messages[1:]):
            delivery = message.delivery
            if self.run.over():
                return
            if self.lost or time.monotonic() - renewed > third:
                renewed, at, self.lost = time.monotonic(), self.run.clock(), False
                self.held = Delivery.objects.renew(lease=delivery.lease, at=at)
                if limits and not Pace.objects.renew(self.channel.name, lease=delivery.lease, at=at):
                    return
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
        earlier, usual, last = self.run.before(notice)
        since = notice.since_by_user(channel=name, users=users, earlier=earlier, usual=usual)
        if behind := [user for user, number in since.items() if number < last]:
            # Who has joined an edition knows it, told or not.
            joined = Acceptance.objects.filter(edition__agreement=notice.edition.agreement_id, user__in=behind)
            joined = joined.filter(edition__cancelled_at=None)
            for user, number in joined.order_by().values_list("user").annotate(Max("edition__number")):
                since[user] = max(since[user], min(number, last))
        return since

    def ended(self) -> set[Any]:
        """The users whose agreement has ended and who have not joined it again. No query where that never happened,
        else 1, and 2 if there are any.
        """
        agreement = self.batch[0].notice.edition.agreement_id
        if not self.run.sight(self.channel).departed.get(agreement, True):
            return set()
        users = {delivery.user_id for delivery in self.batch} - {None}
        left = Acceptance.objects.departed(users=users, agreement=agreement, at=self.run.clock())
        return {user for user, rows in left.items() if any(row.outcome == row.Outcome.ENDED for row in rows)}

    def attempt(self, message: Message, said: NoticeText, following: Message | None) -> None:
        """Send one message and write down what became of it, the next one's envelope already on its way."""
        delivery = message.delivery
        self.used += 1
        try:
            if message.fault:
                raise message.fault
            self.channel.send(delivery, message.address, said)
        except Refused as error:
            if error.doubtful:
                self.doubted.append((message, str(error)))
                self.defer(str(error))
            else:
                self.refuse(message, str(error))
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
            if not (isinstance(error, Deferred) and error.personal):
                self.defer(reason)
        else:
            self.deferred = 0
            self.sent += 1
            if following and following.said and following.delivery.pk in self.held and not self.run.over():
                with suppress(Exception):  # Whatever that is, this message was sent, and is written down as sent.
                    self.channel.begin(following.address)
            self.run.tally.sent += self.settle(delivery, Delivery.Outcome.SENT, **message.facts())
            while self.doubted:
                self.refuse(*self.doubted.pop())

    def defer(self, reason: str) -> None:
        """One more that was not taken; so many in a row are the server's fault."""
        self.deferred += 1
        if self.deferred >= IN_A_ROW:
            raise Unavailable(reason) from None

    def refuse(self, message: Message, reason: str) -> None:
        facts = message.facts()
        self.run.tally.failed += self.settle(message.delivery, Delivery.Outcome.FAILED, reason=reason, **facts)

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
