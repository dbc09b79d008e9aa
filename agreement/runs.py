"""What a worker knows on its way through the ledger, and what it did there."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from django.db import Error
from django.utils import timezone

from agreement import conf
from agreement.channels import Channel
from agreement.models import Delivery, Notice, NoticeText, Pace, Withdrawal
from agreement.text import seal

logger = logging.getLogger("agreement")

#: Seconds for which a worker goes by what it saw of a channel and its notices.
SIGHT = 1.0

Settled = Callable[[Delivery], None]
Clock = Callable[[], datetime]
#: Sealed words by channel, notice and edition compared with, then by language.
Texts = dict[tuple[str, int, int], dict[str, NoticeText]]


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
    known: dict[int, tuple[dict[int, int], int, int]] = field(default_factory=dict)
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

    def before(self, notice: Notice) -> tuple[dict[int, int], int, int]:
        """The earlier notices, the edition most readers were told of last, and the last edition, told of or not."""
        if notice.pk not in self.known:
            self.known[notice.pk] = notice.earlier(), *notice.before()
        return self.known[notice.pk]
