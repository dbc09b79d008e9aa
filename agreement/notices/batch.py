"""Sends one claimed batch of deliveries, and records the outcomes."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import zip_longest
from typing import Any, NamedTuple

from django.contrib.auth import get_user_model
from django.db import Error, InterfaceError, OperationalError, connections, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Value

from agreement import conf
from agreement.models import (
    Acceptance,
    ChannelState,
    Delivery,
    DeliveryOutcome,
    NoticeKind,
    NoticeText,
    WithdrawalOutcome,
    channel_state,
    knowledge,
    pseudonyms,
)
from agreement.models.backoff import MAX_ATTEMPTS, retry_pause
from agreement.models.deliveries import LEASE
from agreement.models.fields import UserKey
from agreement.models.notices import ACCOUNT_GONE, ENDED, INACTIVE, NOT_IN_AUDIENCE
from agreement.notices.audience import notice_audience
from agreement.notices.channels import Channel, Deferred, Refused, Unavailable
from agreement.notices.lease import LeaseRenewer
from agreement.notices.worker import Worker
from agreement.text import languages

logger = logging.getLogger("agreement")

#: After this many failures in a row the channel counts as unavailable. Failures that concern only one recipient
#: (:class:`Refused` without ``doubtful``, and :class:`Deferred` with ``personal``) are not counted.
DEFERRALS_IN_A_ROW = 10
#: The errors of a database that does not answer, or whose disk is full. The same statement may succeed later.
DatabaseUnavailable = (OperationalError, InterfaceError)

#: Outcomes that this process could not record yet.
_unrecorded: deque[Callable[[], bool]] = deque()


def _connection() -> BaseDatabaseWrapper:
    return connections[router.db_for_write(Delivery)]


def record_outcomes() -> None:
    """Record the outcomes of this process that could not be written to the database when they occurred, or that the
    database may have lost. It makes no query if there are none. An outcome is dropped if the delivery no longer waits
    with the lease of this process. If the database raises an error again, the error is raised, and the outcomes remain
    to be recorded.

    It is called before deliveries are claimed, so that the error prevents the claim. Without this, users would be sent
    the same message again and again while the database does not answer or its disk is full.
    """
    while _unrecorded:
        write = _unrecorded.popleft()
        try:
            write()
        except Error:
            _unrecorded.appendleft(write)
            raise


class Recipient(NamedTuple):
    """The address and the language of one user of the audience, as a batch reads them before it sends."""

    address: str
    """The address in the channel; ``""`` if they have none."""
    language: str
    """``kk``, ``ru``, or ``mul`` (both languages) if the language of the user is not known or is another one. A channel
    that is not bilingual sends Kazakh in place of ``mul``.
    """


@dataclass(slots=True)
class PreparedMessage:
    """The message for one delivery of a batch, or the reason to skip the delivery. ``text`` is ``None`` if
    ``skip_reason`` is not empty. Otherwise there is a text, also if there is a ``fault``.
    """

    delivery: Delivery
    skip_reason: str = ""
    address: str = ""
    language: str = ""
    text: NoticeText | None = None
    fault: Exception | None = None
    """The exception that the channel raised when it checked the address. It is raised again in place of sending."""

    def columns(self) -> dict[str, Any]:
        """Return the columns that the ledger stores for a message that was sent or refused: ``language``, ``since`` and
        ``cancelled``, which identify its text, and ``address_digest``, which is ``""`` if the site has no keys of
        pseudonyms.
        """
        text = {"since": self.text.since, "cancelled": self.text.cancelled} if self.text else {}
        return {"language": self.language, **text, "address_digest": pseudonyms.address_digest(self.address)}


@dataclass(slots=True)
class Batch:
    """The deliveries of one notice and channel that a worker claimed together."""

    worker: Worker
    channel: Channel
    deliveries: list[Delivery]
    began_at: datetime = field(init=False)
    #: How many attempts the rate limits count: all except those that raised ``Unavailable`` without ``tried``.
    used: int = 0
    deferred: int = 0
    sent: int = 0
    #: The keys of the deliveries that this worker still has to handle.
    remaining: set[int] = field(default_factory=set)
    #: Whether the last outcome was not recorded, because another worker has the lease.
    lease_lost: bool = False
    #: The cursor that records outcomes. It stays open, because opening one takes half as long as the statement.
    #: ``None`` after the connection broke.
    cursor: Any = None
    #: The messages that the channel refused doubtfully since it last accepted a message, with the reasons. They fail
    #: when it accepts a later message; until then it may be refusing every message.
    doubtful: list[tuple[PreparedMessage, str]] = field(default_factory=list)
    #: The outcomes of this batch that the database may lose if its server crashes.
    unconfirmed: list[Callable[[], bool]] = field(default_factory=list)

    def deliver(self, renewer: LeaseRenewer) -> bool:
        """Send the batch, record its outcomes and release the deliveries that were not handled. Return ``False`` if the
        channel became unavailable, else ``True``. An outage is recorded, and the released deliveries count as
        postponed. The channel is then not used for a while: for the shortest pause if a message of this batch was sent,
        otherwise for a pause that grows with the number of outages in a row. If a message was sent and there was no
        outage, the recorded outage of the channel is removed, at most once for each snapshot of the channel.

        Raises the errors of the database; if it does not answer, the lease of the batch is not released. Any other
        exception is raised after the lease was released.
        """
        lease, name, outage, self.began_at = self.deliveries[0].lease, self.channel.name, None, self.worker.clock()
        self.remaining = {delivery.pk for delivery in self.deliveries}
        try:
            try:
                with self.channel, renewer.renewing(lease, name), _connection().cursor() as self.cursor:
                    self.send()
            except Unavailable as error:
                outage = error
                at, progress = self.worker.clock(), self.sent > 0
                ChannelState.objects.mark_away(name, at=at, reason=str(error), progress=progress)
                self.worker.counts.outage = str(error)
            except DatabaseUnavailable:
                raise
            except BaseException:
                self.finish()
                raise
            left = self.finish()
        except DatabaseUnavailable:
            # The lease is not released, because the outcomes of some sent messages may not be recorded yet.
            self.reconnect()
            raise
        if outage:
            self.worker.counts.postponed += left
            logger.warning("N105 channel %s is unavailable, %s deliveries wait: %s", name, left, outage)
            return False
        snapshot = self.worker.snapshot(self.channel)
        if self.sent and not snapshot.marked_available:
            ChannelState.objects.mark_available(name)
            snapshot.marked_available = True
        return True

    def finish(self) -> int:
        """Add the outcomes to the progress of the notice. If the database lost some, they are recorded again and added.
        Release the deliveries that were not handled, and the slots (reserved places under the rate limits) that were
        not used. Return how many deliveries were released.
        """
        lease, name, left = self.deliveries[0].lease, self.channel.name, 0
        if self.count_outcomes() < len(self.unconfirmed):
            # Behind a connection pool, a crash of the database server may go unnoticed. Outcomes that were not on its
            # disk are then lost, and are recorded again here.
            for write in self.unconfirmed:
                write()
            self.count_outcomes()
        self.unconfirmed.clear()
        if self.remaining:
            left = Delivery.objects.release(lease=lease, due_at=self.deliveries[0].notice.due_at)
        if limits := channel_state.limits_for(name):
            with transaction.atomic(using=router.db_for_write(ChannelState)):
                state = ChannelState.objects.lock(name)
                state.record_sent(limits, lease=lease, used=self.used, at=self.worker.clock())
        return left

    def count_outcomes(self) -> int:
        """Add the recorded outcomes of this batch that were not added yet to the progress of the notice, with the time
        that the batch took. Return how many were added; 0 if there are none or another process has added them.
        """
        lease, at = self.deliveries[0].lease, self.worker.clock()
        return Delivery.objects.count_outcomes(lease=lease, began_at=self.began_at, at=at)

    def send(self) -> None:
        """Send the messages. At the end, also after an exception, call :meth:`postpone` for each doubtful refusal that
        did not become final: a failed attempt is counted, and after the last attempt the delivery fails.
        """
        try:
            self.send_messages()
        finally:
            for message, reason in self.doubtful:
                self.postpone(message, reason)

    def send_messages(self) -> None:
        """Send or skip the deliveries of the batch in their order, and call ``on_outcome`` after each. Stop at the
        deadline of the worker, or when the slots reserved for the batch are lost. The lease is renewed before a message
        if its last renewal by this method, or the beginning, was more than a third of a lease ago, or if an outcome was
        not recorded because another worker has the lease. A delivery is left out if it had an outcome, or no longer had
        the lease of the batch, when the lease was renewed. Raises ``Unavailable`` if the channel can reach no
        recipient, and what :meth:`messages` raises.
        """
        messages, renewed_at = self.messages(), time.monotonic()
        for message, following in zip_longest(messages, messages[1:]):
            delivery = message.delivery
            if self.worker.out_of_time():
                return
            if self.lease_lost or time.monotonic() - renewed_at > LEASE.total_seconds() / 3:
                renewed_at = time.monotonic()
                if not self.renew(delivery.lease):
                    return
            if delivery.pk not in self.remaining:
                continue
            if message.text:
                self.send_message(message, message.text, following)
            else:
                skipped = DeliveryOutcome.SKIPPED
                self.worker.counts.skipped += self.record(delivery, skipped, reason=message.skip_reason)
            self.remaining.discard(delivery.pk)
            if self.worker.on_outcome:
                self.worker.on_outcome(delivery)

    def renew(self, lease: str) -> bool:
        """Renew the lease of the deliveries, and the slots (places under the rate limits) reserved for them.
        ``remaining`` then contains the deliveries that still wait with the lease. Return ``False`` if the reservation
        had run out and a later claim has counted the slots as used: nothing more of this batch may be sent. Otherwise,
        or if the channel has no rate limits, return ``True``.
        """
        at, name, self.lease_lost = self.worker.read_clock(), self.channel.name, False
        self.remaining = Delivery.objects.renew(lease=lease, at=at)
        return not channel_state.limits_for(name) or ChannelState.objects.renew(name, lease=lease, at=at)

    def messages(self) -> list[PreparedMessage]:
        """Return the message or the skip reason of each delivery of the batch, in the same order. Texts that do not
        exist yet are composed and stored. Raises what ``channel.compose()`` raises. An exception of
        ``channel.unreachable()`` is stored in ``fault`` of the message.
        """
        recipients, ended, notice = self.recipients(), self.users_with_ended_agreement(), self.deliveries[0].notice
        # It is read after the deliveries were claimed. A cancellation that does not find them claimed is in it.
        history = self.worker.history(notice)
        since = knowledge.since_by_user(
            notice=notice,
            history=history,
            users=recipients.keys(),
            created_at=account_dates,
        )
        prepared = []
        for delivery in self.deliveries:
            message = PreparedMessage(delivery)
            prepared.append(message)
            recipient = recipients.get(delivery.user_id)
            message.skip_reason = ENDED if delivery.user_id in ended else self.skip_reason(delivery, recipient)
            if message.skip_reason or recipient is None:
                continue
            message.address, message.language = recipient.address, recipient.language
            try:
                message.skip_reason = self.channel.unreachable(message.address)
            except Exception as error:
                message.fault = error
            if message.skip_reason:
                continue
            if message.language == "mul" and not self.channel.bilingual:
                message.language = languages.LANGUAGES[0]
            texts = self.worker.texts_for(self.channel, notice, since=since[delivery.user_id], history=history)
            message.text = texts[message.language]
        return prepared

    def skip_reason(self, delivery: Delivery, recipient: Recipient | None) -> str:
        """Return why the delivery has no recipient; ``""`` if it has one. ``recipient`` is ``None`` if the user is not
        in the audience. The reason is then ``ACCOUNT_GONE`` if the delivery has no user any more, ``INACTIVE`` if
        ``is_active`` of the user is false, else ``NOT_IN_AUDIENCE``. 1 query if the user is not in the audience, but
        the delivery still has a user.
        """
        if recipient is not None:
            return ""
        if delivery.user_id is None:
            return ACCOUNT_GONE
        user = get_user_model()._default_manager.filter(pk__in=[delivery.user_id]).first()
        return NOT_IN_AUDIENCE if getattr(user, "is_active", True) else INACTIVE

    def users_with_ended_agreement(self) -> set[UserKey]:
        """Return the keys of those users of the batch for whom the agreement has ended and who have not accepted it
        again. For the notice of a breach the result is empty. The withdrawals are not read if the snapshot of the
        channel says that no withdrawal has ended the agreement.
        """
        if self.deliveries[0].notice.kind == NoticeKind.BREACH:  # Their data may be affected all the same.
            return set()
        agreement = self.deliveries[0].notice.edition.agreement_id
        if not self.worker.snapshot(self.channel).has_ended.get(agreement, True):
            return set()
        users = {delivery.user_id for delivery in self.deliveries} - {None}
        withdrawals = Acceptance.objects.withdrawals_in_effect(users=users, agreement=agreement, at=self.worker.clock())
        return {
            user for user, rows in withdrawals.items() if any(row.outcome == WithdrawalOutcome.ENDED for row in rows)
        }

    def send_message(self, message: PreparedMessage, text: NoticeText, following: PreparedMessage | None) -> None:
        """Send one message and record its outcome. ``text`` is the text of the message.

        If the channel accepts the message, three things happen in this order. The channel prepares the ``following``
        message (``None``: there is none). The outcome is recorded. The deliveries of the earlier messages in
        :attr:`doubtful` fail.

        If the channel refuses the message, its delivery fails; a doubtful refusal is stored in :attr:`doubtful`. After
        ``Unavailable`` with ``tried`` and after any other exception, :meth:`postpone` is called. After ``Unavailable``
        without ``tried`` nothing is recorded. Raises ``Unavailable`` if the channel raises it, or if
        :meth:`count_deferral` does. Other exceptions of the channel are not raised.
        """
        delivery = message.delivery
        self.used += 1
        try:
            if message.fault:
                raise message.fault
            columns = message.columns()  # Nothing may fail between sending and recording.
            self.channel.send(delivery, message.address, text)
        except Refused as error:
            if error.doubtful:
                self.doubtful.append((message, str(error)))
                self.count_deferral(str(error))
            else:
                self.fail(message, str(error))
        except Unavailable as error:
            if error.tried:
                self.postpone(message, str(error))
            else:
                self.used -= 1
            raise
        except Exception as error:
            # A failed message does not stop the others. The text of an unknown exception may contain the address, which
            # must not be stored.
            if isinstance(error, Deferred):
                reason, personal, perhaps_sent = str(error), error.personal, error.perhaps_sent
            else:
                reason, personal, perhaps_sent = type(error).__name__, False, error is not message.fault
            self.postpone(message, reason, perhaps_sent=perhaps_sent)
            if not personal:
                self.count_deferral(reason)
        else:
            self.deferred = 0
            self.sent += 1
            self.begin(following)
            self.worker.counts.sent += self.record(delivery, DeliveryOutcome.SENT, **columns)
            while self.doubtful:
                self.fail(*self.doubtful.pop())

    def begin(self, message: PreparedMessage | None) -> None:
        """Let the channel prepare this message ahead. Nothing is done for ``None``, for a message that is to be skipped
        or that another worker has claimed, or after the deadline. Exceptions of the channel are ignored.
        """
        if message and message.text and message.delivery.pk in self.remaining and not self.worker.out_of_time():
            with suppress(Exception):  # The message before it was sent. An error about this one must not change that.
                self.channel.begin(message.address)

    def count_deferral(self, reason: str) -> None:
        """Count a failure that may concern every recipient. Raises ``Unavailable`` with this reason if it is at least
        number ``DEFERRALS_IN_A_ROW`` in this batch since the channel last accepted a message.
        """
        self.deferred += 1
        if self.deferred >= DEFERRALS_IN_A_ROW:
            raise Unavailable(reason) from None

    def fail(self, message: PreparedMessage, reason: str) -> None:
        """Record that a delivery failed, with this reason. No further attempt is scheduled."""
        outcome = DeliveryOutcome.FAILED
        self.worker.counts.failed += self.record(message.delivery, outcome, reason=reason, **message.columns())

    def record(self, delivery: Delivery, outcome: DeliveryOutcome, **columns: Any) -> bool:
        """Record the outcome of a delivery, over a new connection if the old one broke. Return ``False``, and record
        nothing, if the delivery no longer waits with this lease, for example because another worker has claimed it.
        Otherwise return ``True``. If a new connection was needed, the result is ``True`` even if nothing was recorded.
        Raises the error of the database if the new connection fails too; ``record_outcomes()`` then records the outcome
        later.
        """
        write = partial(delivery.record_outcome, outcome, at=self.worker.clock(), **columns)
        self.unconfirmed.append(write)
        try:
            recorded = write(cursor=self.cursor)
        except DatabaseUnavailable:
            self.cursor = None
            self.reconnect()
            record_outcomes()
            return True
        self.lease_lost = not recorded
        return recorded

    def reconnect(self) -> None:
        """Mark all outcomes of this batch that are not counted yet as unrecorded, because the database server may have
        lost them. Then close the database connection if it is unusable or too old; the next statement opens a new one.
        Inside a transaction it is not closed.
        """
        _unrecorded.extend(self.unconfirmed)
        self.unconfirmed.clear()
        connection = _connection()
        if not connection.in_atomic_block:  # The caller that opened the transaction needs the connection.
            connection.close_if_unusable_or_obsolete()

    def postpone(self, message: PreparedMessage, reason: str, *, perhaps_sent: bool = False) -> None:
        """Count a failed attempt and schedule the next one, after the pause of ``retry_pause()``. If this was attempt
        number ``MAX_ATTEMPTS``, record instead that the delivery failed, with this reason and the digest of the
        address. If another worker has claimed the delivery, nothing is changed. ``perhaps_sent`` means that the attempt
        ended without an answer.
        """
        delivery = message.delivery
        logger.warning("N104 delivery %s, attempt %s: %s", delivery.pk, delivery.attempts + 1, reason)
        if delivery.attempts + 1 >= MAX_ATTEMPTS:
            digest = pseudonyms.address_digest(message.address)
            columns = {"language": message.language, "reason": reason, "perhaps_sent": perhaps_sent}
            columns["address_digest"] = digest
            self.worker.counts.failed += self.record(delivery, DeliveryOutcome.FAILED, **columns)
            return
        due_at = self.worker.clock() + retry_pause(delivery.attempts)
        self.worker.counts.postponed += delivery.postpone(due_at=due_at, reason=reason, perhaps_sent=perhaps_sent)

    def recipients(self) -> dict[UserKey, Recipient]:
        """Return the recipients of the batch who are in the audience, by user key. They are read for each batch, so
        that a corrected address is used. At most 1 query.
        """
        language = conf.user_language()
        rows = (
            notice_audience(self.deliveries[0].notice)
            .filter(pk__in={delivery.user_id for delivery in self.deliveries} - {None})
            .annotate(
                agreement_address=self.channel.address(),
                agreement_language=language if language is not None else Value(""),
            )
            .values_list("pk", "agreement_address", "agreement_language")
        )
        # An address need not be text: a channel of the host may send to a number.
        return {
            key: Recipient("" if address is None else str(address), languages.notice_language(code))
            for key, address, code in rows
        }


def account_dates(users: Collection[UserKey]) -> dict[UserKey, datetime | None]:
    """Return when the accounts of these users were created, by the primary key of the user. The value is ``None`` if
    the database has no date for the account, and an account that was deleted is missing. The result is empty, and no
    query is made, if the user model does not record this (:func:`agreement.conf.user_created_at`). Otherwise 1 query.
    """
    if (created_at := conf.user_created_at()) is None:
        return {}
    accounts = get_user_model()._default_manager.filter(pk__in=users).annotate(agreement_created_at=created_at)
    return dict(accounts.values_list("pk", "agreement_created_at"))
