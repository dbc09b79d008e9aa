"""Which edition of each agreement is in force now, without asking the database for each page.

One query a second reads the dates of all sealed editions, and no text; everything else is arithmetic on them. What
is remembered is never older than a second, and since it holds dates and not states, a moment announced beforehand is
right to the microsecond: at that moment the next edition is in force, whenever the dates were read. The same query
tells whether anybody left an agreement since that was last asked, so that a withdrawal in another process is known as
soon.

Inside a transaction nothing is remembered, and nothing remembered is used: what is not committed is nobody else's.
"""

from __future__ import annotations

import itertools
import threading
import time
from bisect import bisect_left, bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from django.db import connections, router
from django.db.models import Exists
from django.utils import timezone

from agreement import conf, lineage
from agreement.lineage import DATED, Dated
from agreement.models import Edition, Withdrawal
from agreement.models.editions import State

#: How old, at most, what a process knows of other processes' publications may be.
SECONDS = 1.0
#: So long may a withdrawal take to be committed, or machines' clocks differ: for that time it is named again.
LATE = timedelta(seconds=60)

_serials = itertools.count()


@dataclass(frozen=True)
class Timeline:
    """The sealed editions of one agreement, in the order of their numbers."""

    key: int
    slug: str
    time_zone: str
    joining: str
    editions: tuple[Dated, ...]

    @cached_property
    def binding(self) -> tuple[Dated, ...]:
        """The editions that were not taken back, in the order of their effect, which is that of their numbers."""
        return tuple(edition for edition in self.editions if edition.cancelled_at is None)

    @cached_property
    def _effects(self) -> list[datetime]:
        return [edition.effective_from for edition in self.binding]

    @cached_property
    def _numbers(self) -> list[int]:
        return [edition.number for edition in self.binding]

    def in_force(self, at: datetime) -> Dated | None:
        """The edition that binds at that instant; ``None`` before the first."""
        place = bisect_right(self._effects, at)
        return self.binding[place - 1] if place else None

    def announced(self, at: datetime) -> Dated | None:
        """The next edition to take effect, published by then."""
        later = self.binding[bisect_right(self._effects, at) :]
        return next((edition for edition in later if edition.published_at <= at), None)

    def before(self, edition: Dated) -> Dated | None:
        """The edition this one replaced, or would have replaced: never one published later."""
        # Not by the moments: what follows a cancelled edition may take effect at its moment, or before.
        place = bisect_left(self._numbers, edition.number)
        return self.binding[place - 1] if place else None

    def after(self, edition: Dated) -> Dated | None:
        """The edition that replaced this one, or is to replace it."""
        place = bisect_right(self._numbers, edition.number)
        return self.binding[place] if place < len(self.binding) else None

    def holding(self, edition: Dated) -> tuple[Dated, ...]:
        """The editions whose joining holds for this one: itself, and those it differs from in wording alone."""
        return lineage.holding(edition, self.editions)

    def state(self, edition: Dated, at: datetime) -> State:
        if at < edition.published_at:
            return State.DRAFT
        if edition.cancelled(at):
            return State.CANCELLED
        if at < edition.effective_from:
            return State.SCHEDULED
        after = self.after(edition)
        return State.SUPERSEDED if after and after.effective_from <= at else State.IN_FORCE

    def public(self, at: datetime) -> tuple[Dated, ...]:
        """The editions anyone may read: those that took effect, and, where the site shows what is scheduled,
        announcements and those taken back.
        """
        shown = conf.get().SHOW_SCHEDULED
        return tuple(
            edition
            for edition in self.editions
            if edition.published_at <= at and (shown or (edition.effective_from <= at and edition.cancelled_at is None))
        )


@dataclass(frozen=True)
class Timelines:
    """All agreements of the site, by slug."""

    agreements: dict[str, Timeline]
    serial: int = field(default_factory=_serials.__next__, compare=False)
    """Another number whenever anything was published or cancelled; equal dates keep theirs."""

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


def timelines() -> Timelines:
    """The dates of every sealed edition: 1 query, or none if they were read within the last second and no edition's
    moment has passed since; 1 more in the minute after somebody left an agreement.
    """
    global _known, _read_at, _lasts, _found
    if not remembers():
        return _read()[0]
    if (known := _known) and time.monotonic() < good_until():
        return known
    with _reading:  # One thread reads; the others wait for it rather than read the same.
        if not _known or time.monotonic() >= good_until():
            asked_at, at = time.monotonic(), timezone.now()
            found, left = _read(_since)
            # Whoever cancels does so before the moment, and must be believed at it.
            _lasts = found.seconds_until_next(at)
            _known = _known if _known == found else found
            _read_at, _found = asked_at, (left, at)
        return _known


def fresh() -> Timelines:
    """As ``timelines()``, but read now: for whoever is about to be bound by the answer. 1 query."""
    global _read_at
    _read_at = float("-inf")
    return timelines()


def lately_left() -> frozenset[Any] | None:
    """The keys of the users who left an agreement since this was asked before, as ``timelines()`` found them when it
    read; ``None`` the first time, when it may be anybody. No query.
    """
    global _since
    left, at = _found
    # Not since the last reading: others read too, however long nobody asks who left.
    _since = at - LATE
    return left


def good_until() -> float:
    """When what is remembered is to be read again, by ``time.monotonic()``."""
    return _read_at + min(SECONDS, _lasts)


def remembers() -> bool:
    """May what is read now be remembered for others?"""
    return not connections[router.db_for_read(Edition)].in_atomic_block


def forget() -> None:
    """Read again at the next question; for whoever empties a database under a running process."""
    global _known, _since
    _known = _since = None


_known: Timelines | None = None
_found: tuple[frozenset[Any] | None, datetime] = (None, datetime.max.replace(tzinfo=UTC))
"""Who left, and when that was read."""
_since: datetime | None = None
"""Whoever left after that moment is still to be named; ``None``: nobody has asked yet."""
_read_at = 0.0
_lasts = float("inf")
_reading = threading.Lock()


def _read(since: datetime | None = None) -> tuple[Timelines, frozenset[Any] | None]:
    """The dates, and who left since then: 1 query, and another one while there is somebody."""
    alias = router.db_for_read(Edition)
    left = Withdrawal.objects.using(alias)
    left = left.left_since(since).order_by() if since else left.none()
    rows = (
        Edition.objects.using(alias)
        .published()
        .order_by("agreement__slug", "number")
        .annotate(left=Exists(left))
        .values_list(
            *("agreement", "agreement__slug", "agreement__time_zone", "agreement__joining", "left"),
            *DATED,
        )
    )
    found: dict[tuple[int, str, str, str], list[Dated]] = defaultdict(list)
    anybody = False
    for key, slug, zone, joining, anybody, *dated in rows:  # noqa: B007 - the same in each
        found[key, slug, zone, joining].append(Dated(*dated))
    users = frozenset(left.values_list("user", flat=True)) if anybody else frozenset()
    timelines = Timelines({of[1]: Timeline(*of, tuple(editions)) for of, editions in found.items()})
    return timelines, users if since else None
