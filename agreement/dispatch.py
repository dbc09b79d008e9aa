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
from datetime import timedelta
from typing import Any, Self

from django.contrib.auth import get_user_model
from django.core.exceptions import EmptyResultSet, FieldDoesNotExist
from django.db import DatabaseError, connections, router, transaction
from django.db.models import F, Model, QuerySet, Value
from django.db.models.constants import OnConflict
from django.utils import timezone
from django.utils.module_loading import import_string

from agreement import conf
from agreement.channels import Channel, Deferred, Refused, Unavailable
from agreement.models import Delivery, Notice, NoticeText
from agreement.models.notices import LEASE
from agreement.text import seal

logger = logging.getLogger("agreement")

#: Users whose deliveries are written by one statement: well under a second, which is how long SQLite is locked.
FAN_OUT = 10_000
#: Attempts before a delivery fails for good. The pauses double from the first to the longest, so the last attempt
#: comes about a day and a half after the first: a daily quota, or a mistake somebody must find, fails nobody.
ATTEMPTS = 16
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=4)
#: How long everything waits when a channel is away.
OUTAGE_PAUSE = timedelta(minutes=1)

Settled = Callable[[Delivery], None]


@dataclass(slots=True)
class Tally:
    """What one round did; ``outage`` says what is wrong with a channel that is away, ``faults`` what needs a person."""

    written: int = 0
    sent: int = 0
    failed: int = 0
    skipped: int = 0
    postponed: int = 0
    outage: str = ""
    faults: list[str] = field(default_factory=list)


def active_users() -> QuerySet[Model]:
    """The default audience: users who may log in."""
    users = get_user_model()
    everybody: QuerySet[Model] = users._default_manager.all()
    try:
        users._meta.get_field("is_active")
    except FieldDoesNotExist:
        return everybody
    return everybody.filter(is_active=True)


def channels() -> list[Channel]:
    """The channels of the site, made anew: each holds connections of its own."""
    return [import_string(path)() for path in conf.get().CHANNELS]


def work(*, deadline: float | None = None, settled: Settled | None = None) -> Tally:
    """Everything that is due now: fan out, then deliver, until ``deadline`` (of ``time.monotonic()``)."""
    tally = Tally()
    for notice in Notice.objects.unfinished():
        try:
            tally.written += fan_out(notice, deadline=deadline)
        except DatabaseError:
            raise
        except Exception as error:
            # One notice that can't be written never stops the others.
            logger.exception("notice %s: not written", notice.pk)
            tally.faults.append(f"Notice {notice.pk}: {error}")
    return deliver(deadline=deadline, settled=settled, tally=tally)


def fan_out(notice: Notice, *, deadline: float | None = None) -> int:
    """Seal the notice's words, then write a delivery for every user of the audience; how many were written.

    One ``INSERT … SELECT`` for ``FAN_OUT`` users, each in its own transaction with the place it came to.
    """
    compose(notice)
    written = 0
    while deadline is None or time.monotonic() < deadline:
        count, done = _fan_out_batch(notice)
        written += count
        if done:
            logger.info("notice %s: deliveries written", notice.pk)
            break
    return written


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


def deliver(*, deadline: float | None = None, settled: Settled | None = None, tally: Tally | None = None) -> Tally:
    """Claim, send and settle every delivery that is due, until ``deadline``. Safe to run in many places at once."""
    tally = tally or Tally()
    for channel in channels():
        while deadline is None or time.monotonic() < deadline:
            batch = Delivery.objects.claim(channel=channel.name)
            if not batch:
                break
            try:
                with channel, Heartbeat(batch[0].lease):
                    _send(channel, batch, tally, settled or (lambda delivery: None), deadline)
            except Unavailable as error:
                tally.outage = str(error)
                due_at = timezone.now() + OUTAGE_PAUSE
                count = Delivery.objects.release(lease=batch[0].lease, due_at=due_at)
                tally.postponed += count
                logger.warning("channel %s is away, %s deliveries wait: %s", channel.name, count, error)
                break
            finally:
                # Stopped in the middle: what is left is at once anybody's.
                Delivery.objects.release(lease=batch[0].lease, due_at=timezone.now())
    return tally


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


def _fan_out_batch(notice: Notice) -> tuple[int, bool]:
    alias = router.db_for_write(Delivery)
    connection = connections[alias]
    with transaction.atomic(using=alias):
        # A write first, as Agreement.lock() does: it locks the row, or SQLite's database.
        Notice.objects.filter(pk=notice.pk).update(fan_out_cursor=F("fan_out_cursor"))
        notice.refresh_from_db(fields=["fan_out_cursor", "fanned_out_at"])
        if notice.fanned_out_at:
            return 0, True
        key = get_user_model()._meta.pk
        users = conf.audience().using(alias).order_by("pk")
        if notice.fan_out_cursor:
            users = users.filter(pk__gt=key.to_python(notice.fan_out_cursor))
        last = users.values_list("pk", flat=True)[FAN_OUT - 1 : FAN_OUT].first()
        if last is not None:
            users = users.filter(pk__lte=last)
        written = 0
        now = timezone.now()
        for channel in channels():
            written += _insert(connection, notice, users, channel.name, now)
        progress = {"fan_out_cursor": str(last)} if last is not None else {"fanned_out_at": now}
        Notice.objects.filter(pk=notice.pk).update(**progress)
    return written, last is None


def _insert(connection: Any, notice: Notice, users: QuerySet[Model], channel: str, now: Any) -> int:
    constants = {
        "notice": notice.pk,
        "channel": channel,
        "language": "",
        "outcome": Delivery.Outcome.WAITING.value,
        "reason": "",
        "attempts": 0,
        "due_at": now,
        "lease": "",
    }
    fields: dict[str, Any] = {name: Delivery._meta.get_field(name) for name in ("user", *constants)}
    values = [fields[name].get_db_prep_save(value, connection=connection) for name, value in constants.items()]
    keys = users.annotate(agreement_user=F("pk")).values_list("agreement_user")
    try:
        users_sql, users_params = keys.query.get_compiler(connection=connection).as_sql()
    except EmptyResultSet:  # The audience is nobody.
        return 0
    quote = connection.ops.quote_name
    verb = connection.ops.insert_statement(on_conflict=OnConflict.IGNORE)
    suffix = connection.ops.on_conflict_suffix_sql(list(fields.values()), OnConflict.IGNORE, [], [])
    columns = ", ".join(quote(field.column) for field in fields.values())
    marks = ", ".join(["%s"] * len(values))
    sql = (
        f"{verb} {quote(Delivery._meta.db_table)} ({columns}) "
        f"SELECT audience.agreement_user, {marks} FROM ({users_sql}) AS audience WHERE 1 = 1 {suffix}"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [*values, *users_params])
        return int(max(cursor.rowcount, 0))


def _send(channel: Channel, batch: list[Delivery], tally: Tally, settled: Settled, deadline: float | None) -> None:
    lease, renewed = batch[0].lease, time.monotonic()
    held = {delivery.pk for delivery in batch}
    users = _recipients(batch)
    texts = {
        (text.notice_id, text.language): text
        for text in NoticeText.objects.filter(
            notice__in={delivery.notice_id for delivery in batch}, channel=channel.name
        )
    }
    cancelled = set(
        Notice.objects.filter(pk__in={delivery.notice_id for delivery in batch})
        .exclude(edition__cancelled_at=None)
        .values_list("pk", flat=True)
    )
    for delivery in batch:
        if deadline is not None and time.monotonic() >= deadline:
            return
        if time.monotonic() - renewed > LEASE.total_seconds() / 3:
            held, renewed = Delivery.objects.renew(lease=lease), time.monotonic()
        if delivery.pk not in held:
            continue
        recipient = users.get(delivery.user_id)
        reason = "left the audience"
        if delivery.notice_id in cancelled:
            reason = "edition cancelled"
        elif recipient:
            reason = channel.unreachable(recipient[0])
        if reason or not recipient:
            tally.skipped += delivery.settle(Delivery.Outcome.SKIPPED, reason=reason)
        else:
            _attempt(channel, delivery, recipient, texts, tally)
        settled(delivery)


def _attempt(
    channel: Channel,
    delivery: Delivery,
    recipient: tuple[str, str],
    texts: dict[tuple[int, str], NoticeText],
    tally: Tally,
) -> None:
    address, language = recipient
    try:
        channel.send(delivery, address, texts[delivery.notice_id, language])
    except Refused as error:
        tally.failed += delivery.settle(Delivery.Outcome.FAILED, language=language, reason=str(error))
    except Unavailable:
        raise
    except Exception as error:
        # One message never stops the others. The log names no address; an exception's text might.
        reason = str(error) if isinstance(error, Deferred) else type(error).__name__
        logger.warning("delivery %s, attempt %s: %s", delivery.pk, delivery.attempts + 1, reason)
        if delivery.attempts + 1 >= ATTEMPTS:
            tally.failed += delivery.settle(Delivery.Outcome.FAILED, language=language, reason=reason)
        else:
            pause = min(FIRST_PAUSE * 2**delivery.attempts, LONGEST_PAUSE) * random.uniform(0.75, 1.25)  # noqa: S311
            tally.postponed += delivery.postpone(due_at=timezone.now() + pause, reason=reason)
    else:
        tally.sent += delivery.settle(Delivery.Outcome.SENT, language=language)


def _recipients(batch: list[Delivery]) -> dict[Any, tuple[str, str]]:
    """User key → address and language, as they are now: a corrected address counts (1 query)."""
    language = conf.user_language()
    rows = (
        conf.audience()
        .filter(pk__in={delivery.user_id for delivery in batch} - {None})
        .annotate(
            agreement_email=conf.user_email(),
            agreement_language=language if language is not None else Value(""),
        )
        .values_list("pk", "agreement_email", "agreement_language")
    )
    return {key: (address or "", conf.notice_language(code)) for key, address, code in rows}
