"""The state of one delivery worker: snapshots of the channels, cached texts, and counts of what it did.
``sealed_texts()`` composes and stores the texts of a notice.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from django.db import Error

from agreement.models import ChannelState, Delivery, Notice, NoticeText, Withdrawal, WithdrawalOutcome
from agreement.models.clock import DatabaseClock
from agreement.models.knowledge import History
from agreement.notices.channels import Channel
from agreement.seal import manifest
from agreement.text import languages

logger = logging.getLogger("agreement")

#: For how many seconds a worker uses a snapshot of a channel, at most.
SNAPSHOT_SECONDS = 1.0

#: Called with each claimed delivery after an attempt to send it, or after it was skipped. Not called after an attempt
#: that showed that the channel is unavailable.
OutcomeCallback = Callable[[Delivery], None]
#: Returns the present moment: a :class:`DatabaseClock`, or the clock of a test.
Clock = Callable[[], datetime]


@dataclass(slots=True)
class DeliveryCounts:
    """How many deliveries one call of ``dispatch.work()`` or ``dispatch.deliver()`` wrote, sent, skipped or postponed,
    and how many failed. A failed delivery is tried again only if a person requests it. Postponed are failed attempts
    after which the delivery is tried again, and claimed deliveries that were released because the channel became
    unavailable.

    ``outage`` is the reason of an outage that the call met, or ``""``. ``faults`` are messages about errors that a
    person must correct. ``suspended`` means that nothing was done because the setting ``SENDING_SUSPENDED`` is on.
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
        """Context manager: log an exception about one notice, and add its message, with the key of the notice, to
        ``faults`` unless they contain it. The exception is not raised, so that the other notices are still sent.
        Database errors are raised, and neither logged nor added.
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
        """Add the counts of a later call. ``outage`` and ``faults`` become those of the later call, even if these are
        empty. ``suspended`` is not changed.
        """
        self.written += other.written
        self.sent += other.sent
        self.failed += other.failed
        self.skipped += other.skipped
        self.postponed += other.postponed
        self.outage, self.faults = other.outage, other.faults

    @property
    def idle(self) -> bool:
        """Whether no delivery was written, sent, skipped or postponed, and none failed."""
        return not any((self.written, self.sent, self.failed, self.skipped, self.postponed))


def sealed_texts(channel: Channel, notice: Notice, *, since: int, history: History) -> dict[str, NoticeText]:
    """Return the sealed texts of a notice in a channel, by language: ``kk``, ``ru`` and, if the channel is bilingual,
    ``mul``. Texts that do not exist yet are composed and stored. ``since`` is the number of the edition with which they
    compare the new one; 0 if there is none. ``history`` is that of the agreement: after a cancellation, new texts are
    composed.

    1 query if they all exist. Raises what ``channel.compose()`` raises; the texts composed before that remain stored.
    """
    key = {"channel": channel.name, "since": since, "cancelled": len(history.cancelled)}
    texts = {text.language: text for text in notice.texts.filter(**key)}
    for language in (*languages.LANGUAGES, *(["mul"] if channel.bilingual else [])):
        if language not in texts:
            content = channel.compose(notice, language, since=since)
            texts[language] = NoticeText.objects.get_or_create(
                notice=notice,
                language=language,
                **key,
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
    """The state of a channel as a worker read it. The worker takes a new snapshot when it needs one and the last is
    older than ``SNAPSHOT_SECONDS``, and when it finds no delivery to claim although it claimed some with the last.
    In the meantime, it does not notice changes of what the fields contain, except that each claim checks again whether
    the notice is paused.
    """

    taken_at: float
    """A value of ``time.monotonic()``."""
    outage: str
    """The reason for which the channel is unavailable, or ``""``."""
    notices: list[Notice]
    """The notices with deliveries that wait in the channel, due or not, the oldest first. Paused notices, and notices
    whose deliveries are to be skipped, are left out.
    """
    has_ended: dict[int, bool]
    """By the primary key of each agreement of these notices: whether a withdrawal that ended it for any user has taken
    effect. An acceptance after it is not considered.
    """
    unclaimed: bool = True
    """Whether nothing was claimed with this snapshot yet."""
    marked_available: bool = False
    """Whether this worker removed the recorded outage of the channel, if there was any, since it took the snapshot."""


@dataclass(slots=True)
class Worker:
    """The state that a worker keeps for all of its batches. One call of ``dispatch.deliver()`` is one worker."""

    counts: DeliveryCounts
    clock: Clock
    #: A value of ``time.monotonic()``; ``None``: there is no deadline.
    deadline: float | None = None
    on_outcome: OutcomeCallback | None = None
    #: Sealed texts by language; by channel, notice, the number of the edition with which they compare, and how many
    #: editions were cancelled.
    texts: dict[tuple[str, int, int, int], dict[str, NoticeText]] = field(default_factory=dict)
    #: Histories of agreements, with their versions, by the primary key of the agreement.
    histories: dict[int, tuple[tuple[int, ...], History]] = field(default_factory=dict)
    #: Snapshots by channel.
    snapshots: dict[str, ChannelSnapshot] = field(default_factory=dict)
    #: The name of a channel and the primary key of a notice, in pairs. Their deliveries are not claimed: an error
    #: occurred, or a batch of them is being sent at the moment.
    faulty: set[tuple[str, int]] = field(default_factory=set)

    def read_clock(self) -> datetime:
        """Return the present moment. If ``clock`` is a :class:`DatabaseClock`, the clock of the database is read again:
        1 query on PostgreSQL. Claims and renewals need this, because the monotonic clock may miss time, for example
        while the machine was suspended.
        """
        return self.clock.read() if isinstance(self.clock, DatabaseClock) else self.clock()

    def snapshot(self, channel: Channel) -> ChannelSnapshot:
        """Return the last snapshot of the channel. If there is none, or if it is older than ``SNAPSHOT_SECONDS``, take
        a new one and return it.
        """
        snapshot = self.snapshots.get(channel.name)
        if snapshot is None or time.monotonic() - snapshot.taken_at > SNAPSHOT_SECONDS:
            return self.take_snapshot(channel)
        return snapshot

    def take_snapshot(self, channel: Channel) -> ChannelSnapshot:
        """Read the state of the channel, remember it as its last snapshot, and return it. At most 2 queries, 1 for each
        notice with deliveries that wait in the channel, and 1 for each agreement of these notices.
        """
        taken_at, at = time.monotonic(), self.clock()
        outage = ChannelState.objects.away(at).filter(channel=channel.name).values_list("reason", flat=True).first()
        notices = [notice for notice in Notice.objects.sendable(channel=channel.name) if not notice.skip_reason(at)]
        ended = Withdrawal.objects.in_effect(at).filter(outcome=WithdrawalOutcome.ENDED)
        agreements = {notice.edition.agreement_id for notice in notices}
        has_ended = {key: ended.filter(agreement=key).exists() for key in agreements}
        self.snapshots[channel.name] = ChannelSnapshot(taken_at, outage or "", notices, has_ended)
        return self.snapshots[channel.name]

    def out_of_time(self) -> bool:
        """Return whether the deadline is reached; ``False`` if there is none."""
        return self.deadline is not None and time.monotonic() >= self.deadline

    def history(self, notice: Notice) -> History:
        """Return the present history of the agreement of this notice. The worker remembers it. 1 query, and another one
        if the history was not read before or has changed since. The edition of the notice must be loaded.
        """
        agreement = notice.edition.agreement_id
        version, remembered = History.version(agreement), self.histories.get(agreement)
        if remembered is None or remembered[0] != version:
            remembered = self.histories[agreement] = version, History.of(notice)
        return remembered[1]

    def texts_for(self, channel: Channel, notice: Notice, *, since: int, history: History) -> dict[str, NoticeText]:
        """Return the sealed texts of the notice in the channel, by language, as :func:`sealed_texts` returns them. The
        worker remembers them, so that it reads them once for each notice, channel and ``since``, and again after a
        cancellation.
        """
        key = (channel.name, notice.pk, since, len(history.cancelled))
        if key not in self.texts:
            self.texts[key] = sealed_texts(channel, notice, since=since, history=history)
        return self.texts[key]
