"""The dates of all sealed editions, remembered by the process for at most one second.

One query reads the dates of all sealed editions, and no text. Everything else is arithmetic on these dates. They are
dates and not states, so an announced edition takes effect to the microsecond, whenever the dates were read. The same
query finds the users who withdrew since the last reading, so ``withdrawal_listeners`` learn of them within the same
second.

Inside a transaction nothing is remembered and nothing remembered is used, because the transaction may be rolled back.
"""

from __future__ import annotations

import itertools
import threading
import time
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from django.db import connections, router
from django.db.models import Exists
from django.utils import timezone

from agreement import conf, memory
from agreement.models import Edition, Withdrawal, succession
from agreement.models.succession import EDITION_DATES_FIELDS, EditionDates, State

#: After this time a process learns of a publication in another process.
MAX_AGE_SECONDS = 1.0
#: A withdrawal is reported for this long, because its commit may take time and the clocks of two machines may differ.
COMMIT_DELAY = timedelta(seconds=60)

#: Each is called with the keys of the users who withdrew since the dates were read last, before the new dates are used,
#: or with ``None`` at the first reading: it may be any user. A withdrawal is reported again for ``COMMIT_DELAY``.
withdrawal_listeners: list[Callable[[frozenset[Any] | None], None]] = []

_serials = itertools.count()


@dataclass(frozen=True)
class Timeline:
    """The sealed editions of one agreement, in the order of their numbers."""

    key: int
    slug: str
    time_zone: str
    acceptance_mode: str
    editions: tuple[EditionDates, ...]

    @cached_property
    def binding(self) -> tuple[EditionDates, ...]:
        """The editions that were not cancelled, in the order of their effect, which is that of their numbers."""
        return tuple(edition for edition in self.editions if edition.cancelled_at is None)

    @cached_property
    def _effects(self) -> list[datetime]:
        return [edition.effective_from for edition in self.binding]

    @cached_property
    def _numbers(self) -> list[int]:
        return [edition.number for edition in self.binding]

    def in_force(self, at: datetime) -> EditionDates | None:
        """The edition that binds at that instant; ``None`` before the first."""
        place = bisect_right(self._effects, at)
        return self.binding[place - 1] if place else None

    def announced(self, at: datetime) -> EditionDates | None:
        """The next edition to take effect, published by then."""
        later = self.binding[bisect_right(self._effects, at) :]
        return next((edition for edition in later if edition.published_at <= at), None)

    def predecessor(self, edition: EditionDates) -> EditionDates | None:
        """The edition that this one replaced, or would have replaced; never one that was published later."""
        # Not by the moments: what follows a cancelled edition may take effect at its moment, or before.
        place = bisect_left(self._numbers, edition.number)
        return self.binding[place - 1] if place else None

    def successor(self, edition: EditionDates) -> EditionDates | None:
        """The edition that replaced this one, or will replace it."""
        place = bisect_right(self._numbers, edition.number)
        return self.binding[place] if place < len(self.binding) else None

    def counting_editions(self, edition: EditionDates) -> tuple[EditionDates, ...]:
        """The editions whose acceptance counts for this one: itself, and those that it changed in wording alone."""
        return succession.counting_editions(edition, self.editions)

    def state(self, edition: EditionDates, at: datetime) -> State:
        successor = self.successor(edition)
        return edition.state(at, lambda: successor.effective_from if successor else None)

    def public(self, at: datetime) -> tuple[EditionDates, ...]:
        """The editions that anyone may read: those that took effect, and with ``SHOW_SCHEDULED`` also announced and
        cancelled ones.
        """
        show_scheduled = conf.get().SHOW_SCHEDULED
        return tuple(
            edition
            for edition in self.editions
            if edition.published_at <= at
            and (show_scheduled or (edition.effective_from <= at and edition.cancelled_at is None))
        )


@dataclass(frozen=True)
class Timelines:
    """All agreements of the site, by slug."""

    agreements: dict[str, Timeline]
    serial: int = field(default_factory=_serials.__next__, compare=False)
    """Another number whenever anything was published or cancelled; equal dates keep theirs."""

    def containing(self, edition: int) -> Timeline | None:
        """The timeline of the edition with that primary key.

        ``None`` for an edition that another process published after these dates were read. A page that reads rows from
        the database displays such an edition from the next request on.
        """
        return self._by_edition.get(edition)

    @cached_property
    def _by_edition(self) -> dict[int, Timeline]:
        return {edition.pk: timeline for timeline in self.agreements.values() for edition in timeline.editions}

    @cached_property
    def _moments(self) -> list[datetime]:
        editions = [edition for timeline in self.agreements.values() for edition in timeline.editions]
        moments = {edition.published_at for edition in editions} | {edition.effective_from for edition in editions}
        return sorted(moments | {edition.cancelled_at for edition in editions if edition.cancelled_at})

    def version(self, at: datetime) -> tuple[int, int]:
        """The same as long as nothing is published or cancelled and no edition's moment has passed."""
        return self.serial, bisect_right(self._moments, at)

    def seconds_until_next(self, at: datetime) -> float:
        """How long the version stays the same if nothing is published or cancelled meanwhile."""
        place = bisect_right(self._moments, at)
        return (self._moments[place] - at).total_seconds() if place < len(self._moments) else float("inf")


def current_timelines() -> Timelines:
    """The dates of every sealed edition. 1 query, or none if they were read within the last second and no edition has
    taken effect since. 1 query more during the minute after a withdrawal.
    """
    global _known, _read_at, _since, _valid_seconds
    if not may_remember():
        return _read()[0]
    if (known := _known) and time.monotonic() < valid_until():
        return known
    with _reading:  # One thread reads; the others wait for it and do not read the same dates.
        if not _known or time.monotonic() >= valid_until():
            asked_at, at = time.monotonic(), timezone.now()
            found, withdrawn = _read(_since)
            for listener in withdrawal_listeners:
                listener(withdrawn)
            _since = at - COMMIT_DELAY
            # An edition may be cancelled until the moment it takes effect: read again at that moment.
            _valid_seconds = found.seconds_until_next(at)
            _known = _known if _known == found else found
            _read_at = asked_at
        return _known


def fresh_timelines() -> Timelines:
    """The dates of every sealed edition, read now: for a user who is about to be bound by the answer. 1 query."""
    global _read_at
    _read_at = float("-inf")
    return current_timelines()


def valid_until() -> float:
    """When the remembered dates must be read again, by ``time.monotonic()``."""
    return _read_at + min(MAX_AGE_SECONDS, _valid_seconds)


def may_remember() -> bool:
    """May other requests use what is read now? Not inside a transaction, which may be rolled back."""
    return not connections[router.db_for_read(Edition)].in_atomic_block


def clear() -> None:
    """Read the dates again at the next call."""
    global _known, _since
    _known = _since = None


memory.register(__name__, clear)


_known: Timelines | None = None
_since: datetime | None = None
"""Withdrawals since that moment are read with the dates; ``None`` before the first reading."""
_read_at = 0.0
_valid_seconds = float("inf")
_reading = threading.Lock()


def _read(since: datetime | None = None) -> tuple[Timelines, frozenset[Any] | None]:
    """The dates, and the users who withdrew since that moment. 1 query, and 1 more if there are any."""
    alias = router.db_for_read(Edition)
    withdrawals = Withdrawal.objects.using(alias)
    withdrawals = withdrawals.in_effect_since(since).order_by() if since else withdrawals.none()
    rows = (
        Edition.objects.using(alias)
        .published()
        .order_by("agreement__slug", "number")
        .annotate(any_withdrawal=Exists(withdrawals))
        .values_list(
            *("agreement", "agreement__slug", "agreement__time_zone", "agreement__acceptance_mode", "any_withdrawal"),
            *EDITION_DATES_FIELDS,
        )
    )
    found: dict[tuple[int, str, str, str], list[EditionDates]] = defaultdict(list)
    any_withdrawal = False
    for key, slug, zone, acceptance_mode, any_withdrawal, *dated in rows:  # noqa: B007 - the same in each
        found[key, slug, zone, acceptance_mode].append(EditionDates(*dated))
    users = frozenset(withdrawals.values_list("user", flat=True)) if any_withdrawal else frozenset()
    timelines = Timelines({key[1]: Timeline(*key, tuple(editions)) for key, editions in found.items()})
    return timelines, users if since else None
