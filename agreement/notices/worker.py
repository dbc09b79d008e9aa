"""The state of one delivery worker: its view of the channels, prepared texts, and counts of what it did."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from django.db import Error
from django.utils import timezone

from agreement.models import ChannelState, Delivery, Notice, NoticeText, Withdrawal, WithdrawalOutcome
from agreement.notices.channels import Channel
from agreement.seal import manifest
from agreement.text import languages

logger = logging.getLogger("agreement")

#: Seconds for which a worker uses its snapshot of a channel.
SNAPSHOT_SECONDS = 1.0

#: Called after each delivery that was sent, failed, skipped or postponed.
OutcomeCallback = Callable[[Delivery], None]
Clock = Callable[[], datetime]


@dataclass(slots=True)
class DeliveryCounts:
    """What one call of ``dispatch.work()`` did.

    ``outage`` says what is wrong with an unavailable channel; ``faults`` need a person; ``suspended`` means that the
    setting ``SENDING_SUSPENDED`` stopped everything.
    """

    written: int = 0
    sent: int = 0
    failed: int = 0
    skipped: int = 0
    postponed: int = 0
    outage: str = ""
    faults: list[str] = field(default_factory=list)
    suspended: bool = False

    @contextmanager
    def catch_faults(self, notice: Notice) -> Iterator[None]:
        """Record an error about one notice as a fault, so that the other notices are still sent. Errors of the database
        are raised.
        """
        try:
            yield
        except Error:
            raise
        except Exception as error:
            logger.exception("N102 notice %s: its audience or words could not be written", notice.pk)
            if (fault := f"Notice {notice.pk}: {error}") not in self.faults:
                self.faults.append(fault)

    def add(self, other: DeliveryCounts) -> None:
        """Add the counts of a later call; its outage and faults replace the earlier ones."""
        self.written += other.written
        self.sent += other.sent
        self.failed += other.failed
        self.skipped += other.skipped
        self.postponed += other.postponed
        self.outage, self.faults = other.outage, other.faults

    @property
    def idle(self) -> bool:
        """Did nothing happen to any delivery?"""
        return not any((self.written, self.sent, self.failed, self.skipped, self.postponed))


def sealed_texts(channel: Channel, notice: Notice, since: int) -> dict[str, NoticeText]:
    """The sealed texts of a notice by language. Missing texts are composed and stored."""
    texts = {text.language: text for text in notice.texts.filter(channel=channel.name, since=since)}
    for language in (*languages.LANGUAGES, *(["mul"] if channel.bilingual else [])):
        if language not in texts:
            content = channel.compose(notice, language, since=since)
            texts[language] = NoticeText.objects.get_or_create(
                notice=notice,
                channel=channel.name,
                language=language,
                since=since,
                defaults={
                    "subject": content.subject,
                    "text": content.text,
                    "html": content.html,
                    "digest": manifest.notice_digest(content.subject, content.text, content.html),
                },
            )[0]
    return texts


@dataclass(slots=True)
class ChannelSnapshot:
    """A worker's view of a channel, used for ``SNAPSHOT_SECONDS``. Only a pause is checked again with every claim."""

    taken_at: float
    outage: str
    """Why the channel is not used now, or ``""``."""
    notices: list[Notice]
    """The notices that may be sent, the oldest first."""
    has_ended: dict[int, bool]
    """Agreement → has it ended for any user?"""
    unclaimed: bool = True
    """Has nothing been claimed from this snapshot?"""
    marked_available: bool = False
    """Has the recorded outage of the channel been removed, because it takes messages again?"""


@dataclass(slots=True)
class Worker:
    """What a worker keeps from its first batch to its last."""

    counts: DeliveryCounts
    deadline: float | None = None
    on_outcome: OutcomeCallback | None = None
    clock: Clock = timezone.now
    #: Channel, notice and edition compared with → language → sealed text.
    texts: dict[tuple[str, int, int], dict[str, NoticeText]] = field(default_factory=dict)
    #: Notice → what ``comparison()`` returns.
    comparisons: dict[int, tuple[dict[int, int], int, int]] = field(default_factory=dict)
    #: Channel → snapshot.
    snapshots: dict[str, ChannelSnapshot] = field(default_factory=dict)
    #: Channels and notices whose messages could not be prepared.
    faulty: set[tuple[str, int]] = field(default_factory=set)

    def snapshot(self, channel: Channel) -> ChannelSnapshot:
        """The channel and its notices as they were at most ``SNAPSHOT_SECONDS`` ago."""
        snapshot = self.snapshots.get(channel.name)
        if snapshot is None or time.monotonic() - snapshot.taken_at > SNAPSHOT_SECONDS:
            return self.take_snapshot(channel)
        return snapshot

    def take_snapshot(self, channel: Channel) -> ChannelSnapshot:
        """The channel and its notices as they are now: 2 queries, 1 per notice and 1 per agreement."""
        taken_at, at = time.monotonic(), self.clock()
        outage = ChannelState.objects.away(at).filter(channel=channel.name).values_list("reason", flat=True).first()
        notices = [notice for notice in Notice.objects.sendable(channel=channel.name) if not notice.skip_reason(at)]
        ended = Withdrawal.objects.in_effect(at).filter(outcome=WithdrawalOutcome.ENDED)
        agreements = {notice.edition.agreement_id for notice in notices}
        has_ended = {key: ended.filter(agreement=key).exists() for key in agreements}
        self.snapshots[channel.name] = ChannelSnapshot(taken_at, outage or "", notices, has_ended)
        return self.snapshots[channel.name]

    def out_of_time(self) -> bool:
        """Is the deadline over?"""
        return self.deadline is not None and time.monotonic() >= self.deadline

    def texts_for(self, channel: Channel, notice: Notice, since: int) -> dict[str, NoticeText]:
        """The sealed texts by language. They are read or composed once."""
        key = (channel.name, notice.pk, since)
        if key not in self.texts:
            self.texts[key] = sealed_texts(channel, notice, since)
        return self.texts[key]

    def comparison(self, notice: Notice) -> tuple[dict[int, int], int, int]:
        """The earlier notices with their edition numbers, the edition that most users were last notified of, and the
        last edition, whether users were notified of it or not.
        """
        if notice.pk not in self.comparisons:
            self.comparisons[notice.pk] = notice.earlier_numbers(), *notice.previous_numbers()
        return self.comparisons[notice.pk]
