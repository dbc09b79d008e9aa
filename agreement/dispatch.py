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

from django.db import DatabaseError, connections
from django.db.models import Value
from django.utils import timezone
from django.utils.module_loading import import_string

from agreement import audience, conf
from agreement.channels import Channel, Deferred, Refused, Unavailable
from agreement.models import Delivery, Notice, NoticeText
from agreement.models.deliveries import LEASE
from agreement.text import seal

logger = logging.getLogger("agreement")

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


def deliver(*, deadline: float | None = None, settled: Settled | None = None, tally: Tally | None = None) -> Tally:
    """Claim, send and settle every delivery that is due, until ``deadline``. Safe to run in many places at once."""
    tally = tally or Tally()
    for lease in Delivery.objects.uncounted():
        Delivery.objects.count_in(lease=lease)
    for channel in channels():
        texts: dict[int, dict[str, NoticeText]] = {}
        while deadline is None or time.monotonic() < deadline:
            batch = _claim(channel)
            if not batch:
                break
            notice, lease = batch[0].notice, batch[0].lease
            if notice.pk not in texts:  # Sealed, so once is enough.
                said = NoticeText.objects.filter(notice=notice, channel=channel.name)
                texts[notice.pk] = {text.language: text for text in said}
            try:
                with channel, Heartbeat(lease):
                    _send(channel, batch, texts[notice.pk], tally, settled or (lambda delivery: None), deadline)
            except Unavailable as error:
                tally.outage = str(error)
                count = Delivery.objects.release(lease=lease, due_at=timezone.now() + OUTAGE_PAUSE)
                tally.postponed += count
                logger.warning("channel %s is away, %s deliveries wait: %s", channel.name, count, error)
                break
            finally:
                # Stopped in the middle: what is left is at once anybody's.
                Delivery.objects.release(lease=lease, due_at=timezone.now())
                Delivery.objects.count_in(lease=lease)
    return tally


def _claim(channel: Channel) -> list[Delivery]:
    """The next batch: of the oldest notice that has one."""
    for notice in Notice.objects.sendable(channel=channel.name).select_related("edition"):
        if batch := Delivery.objects.claim(notice=notice, channel=channel.name):
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


def _send(
    channel: Channel,
    batch: list[Delivery],
    texts: dict[str, NoticeText],
    tally: Tally,
    settled: Settled,
    deadline: float | None,
) -> None:
    lease, renewed = batch[0].lease, time.monotonic()
    held = {delivery.pk for delivery in batch}
    users = _recipients(channel, batch)
    cancelled = batch[0].notice.edition.cancelled_at
    for delivery in batch:
        if deadline is not None and time.monotonic() >= deadline:
            return
        if time.monotonic() - renewed > LEASE.total_seconds() / 3:
            held, renewed = Delivery.objects.renew(lease=lease), time.monotonic()
        if delivery.pk not in held:
            continue
        recipient = users.get(delivery.user_id)
        reason = "left the audience"
        if cancelled:
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
    texts: dict[str, NoticeText],
    tally: Tally,
) -> None:
    address, language = recipient
    try:
        channel.send(delivery, address, texts[language])
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


def _recipients(channel: Channel, batch: list[Delivery]) -> dict[Any, tuple[str, str]]:
    """User key → address and language, as they are now: a corrected address counts (1 query)."""
    language = conf.user_language()
    rows = (
        conf.audience()
        .filter(pk__in={delivery.user_id for delivery in batch} - {None})
        .annotate(
            agreement_address=channel.address(),
            agreement_language=language if language is not None else Value(""),
        )
        .values_list("pk", "agreement_address", "agreement_language")
    )
    return {key: (address or "", conf.notice_language(code)) for key, address, code in rows}
