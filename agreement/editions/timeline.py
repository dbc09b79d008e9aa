"""The dates of all sealed editions, remembered by the process for at most one second.

They are dates and not states: the state of an edition at any instant is computed from them. :func:`current_timelines`
says when they are read.
"""

from __future__ import annotations

import itertools
import threading
import time
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from django.db import connections, router
from django.db.models import Exists
from django.utils import timezone

from agreement import conf, memory
from agreement.models import AcceptanceMode, Edition, Withdrawal, succession
from agreement.models.succession import EDITION_DATES_FIELDS, EditionDates, State

#: After this time, at the latest, a process notices a publication in another process.
MAX_AGE_SECONDS = 1.0
#: A withdrawal is reported to the listeners for this long, because its commit may take time and the clocks of two
#: machines may differ.
COMMIT_DELAY = timedelta(seconds=60)

#: Each is called when the dates are read outside a transaction, before they are used, with the primary keys of users:
#: those with a withdrawal that is in effect, and took effect or was registered since the last reading. At the first
#: reading, and at the first one after :func:`clear`, the argument is ``None``: any user may have withdrawn. A
#: withdrawal is reported again at each reading for ``COMMIT_DELAY``.
withdrawal_listeners: list[Callable[[frozenset[Any] | None], None]] = []

_serials = itertools.count()


@dataclass(frozen=True)
class Timeline:
    """The dates of sealed editions of one agreement, cancelled ones too, in the order of their numbers. They are all
    editions, or those that were recorded by some instant. ``key`` is the primary key of the agreement.
    """

    key: int
    slug: str
    time_zone: str
    acceptance_mode: str
    editions: tuple[EditionDates, ...]

    @cached_property
    def binding(self) -> tuple[EditionDates, ...]:
        """The editions that were not cancelled, in the order of their numbers, in which they also take effect."""
        return tuple(edition for edition in self.editions if edition.cancelled_at is None)

    @cached_property
    def _effects(self) -> list[datetime]:
        return [edition.effective_from for edition in self.binding]

    @cached_property
    def _numbers(self) -> list[int]:
        return [edition.number for edition in self.binding]

    def in_force(self, at: datetime) -> EditionDates | None:
        """The edition that binds at that instant, from its moment of effect on; ``None`` before the first edition takes
        effect. Cancelled editions are left out.
        """
        place = bisect_right(self._effects, at)
        return self.binding[place - 1] if place else None

    def announced(self, at: datetime) -> EditionDates | None:
        """Of the editions that were published by that instant and take effect after it, the first to take effect;
        ``None`` if there is none. Editions that were cancelled, also after that instant, are left out. The setting
        ``SHOW_SCHEDULED`` is not considered.
        """
        later = self.binding[bisect_right(self._effects, at) :]
        return next((edition for edition in later if edition.published_at <= at), None)

    def predecessor(self, edition: EditionDates) -> EditionDates | None:
        """The edition that this one replaced, will replace or, if it was cancelled, would have replaced: the last
        edition with a lower number that was not cancelled. ``None`` if there is none.
        """
        # By number, because the edition after a cancelled one may take effect at the same moment or before.
        place = bisect_left(self._numbers, edition.number)
        return self.binding[place - 1] if place else None

    def successor(self, edition: EditionDates) -> EditionDates | None:
        """The edition that replaced this one or will replace it: the first edition with a higher number that was not
        cancelled. ``None`` if there is none. A cancelled edition can have one too.
        """
        place = bisect_right(self._numbers, edition.number)
        return self.binding[place] if place < len(self.binding) else None

    def counting_editions(self, edition: EditionDates) -> tuple[EditionDates, ...]:
        """The editions whose acceptance counts for this one, in the order of their numbers: the edition itself, and
        each earlier one if all editions after it, up to this one, changed only the wording.
        :func:`agreement.models.succession.counting_editions` says how cancelled editions count.
        """
        return succession.counting_editions(edition, self.editions)

    def sufficient_editions(self, edition: EditionDates, at: datetime) -> tuple[EditionDates, ...]:
        """The editions of which an acceptance is sufficient at that instant to go on, while ``edition`` is in force, in
        the order of their numbers. They are those of :meth:`counting_editions` and, during the days to accept that
        ``edition`` gives, also those that are sufficient at that instant for the edition before these, by the same rule
        (:func:`agreement.models.succession.sufficient_editions`). Only an agreement that is accepted by confirmation
        gives such days.
        """
        if self.acceptance_mode != AcceptanceMode.BY_CONFIRMATION:
            return self.counting_editions(edition)
        return succession.sufficient_editions(edition, self.editions, at)

    def grace_ends_at(self, edition: EditionDates) -> datetime | None:
        """The end of the days to accept that this edition gives; ``None`` if it gives none, or if the agreement is not
        accepted by confirmation.
        """
        by_confirmation = self.acceptance_mode == AcceptanceMode.BY_CONFIRMATION
        return succession.grace_ends_at(edition, self.editions) if by_confirmation else None

    def gives_grace(self, at: datetime) -> bool:
        """Is an acceptance that does not count for the edition in force nevertheless sufficient at that instant,
        because users still have days to accept? ``False`` if no edition is in force.
        """
        edition = self.in_force(at)
        return edition is not None and self.sufficient_editions(edition, at) != self.counting_editions(edition)

    def grace_until(self, accepted: Collection[int], at: datetime) -> datetime | None:
        """The moment until which a user may go on who has accepted the editions with these primary keys and not the
        edition in force at that instant. ``None`` if no edition is in force, if they have accepted that edition or one
        from which it differs only in wording, or if none of their acceptances is sufficient at that instant.
        Withdrawals are not considered.

        Editions that take effect later are considered, because such an edition may give less time.
        """
        edition = self.in_force(at)
        if edition is None or not self._is_sufficient(accepted, at):
            return None
        if any(one.pk in accepted for one in self.counting_editions(edition)):
            return None
        ends = {ends_at for one in self.binding if (ends_at := self.grace_ends_at(one))}
        later = sorted(moment for moment in {*ends, *self._effects} if moment > at)
        return next((moment for moment in later if not self._is_sufficient(accepted, moment)), None)

    def _is_sufficient(self, accepted: Collection[int], at: datetime) -> bool:
        edition = self.in_force(at)
        return edition is not None and any(one.pk in accepted for one in self.sufficient_editions(edition, at))

    def state(self, edition: EditionDates, at: datetime) -> State:
        """The state of that edition at that instant. It is a draft before its publication. Until it is cancelled, a
        cancelled edition is scheduled.
        """
        successor = self.successor(edition)
        return edition.state(at, lambda: successor.effective_from if successor else None)

    def public(self, at: datetime) -> tuple[EditionDates, ...]:
        """The editions that anyone may read at that instant, in the order of their numbers: those that took effect,
        and, if the setting ``SHOW_SCHEDULED`` is true, also announced and cancelled ones. No edition is public before
        its publication.
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
    """The timelines of all agreements that have a sealed edition, by slug."""

    agreements: dict[str, Timeline]
    serial: int = field(default_factory=_serials.__next__, compare=False)
    """A number that changes when a reading finds something else: an edition was published or cancelled, or the slug,
    the time zone or the acceptance mode of an agreement was changed. It also changes after :func:`clear`. Otherwise
    it stays the same in this process, also when the dates are read again. Inside a transaction each reading has
    another number.
    """

    def containing(self, edition: int) -> Timeline | None:
        """The timeline of the edition with that primary key; ``None`` if these dates do not contain the edition,
        because it is a draft or was published after they were read. A page that reads rows from the database must leave
        such an edition out.
        """
        return self._by_edition.get(edition)

    def of_agreement(self, key: int) -> Timeline | None:
        """The timeline of the agreement with that primary key; ``None`` if none of its editions is sealed."""
        return next((timeline for timeline in self.agreements.values() if timeline.key == key), None)

    @cached_property
    def _by_edition(self) -> dict[int, Timeline]:
        return {edition.pk: timeline for timeline in self.agreements.values() for edition in timeline.editions}

    @cached_property
    def _moments(self) -> list[datetime]:
        editions = [edition for timeline in self.agreements.values() for edition in timeline.editions]
        moments = {edition.published_at for edition in editions} | {edition.effective_from for edition in editions}
        moments |= {edition.effective_from + timedelta(days=edition.grace_days) for edition in editions}
        return sorted(moments | {edition.cancelled_at for edition in editions if edition.cancelled_at})

    def version(self, at: datetime) -> tuple[int, int]:
        """A value for these dates at that instant. If two values of one process are equal, there are the same editions
        with the same states at both instants. Different values may stand for the same states. Values of different
        processes can't be compared.
        """
        return self.serial, bisect_right(self._moments, at)

    def seconds_until_next(self, at: datetime) -> float:
        """For how many seconds after that instant the version stays the same, if the dates do not change: until the
        next moment in these dates, such as the moment at which an edition takes effect. Infinity if there is no later
        moment.
        """
        place = bisect_right(self._moments, at)
        return (self._moments[place] - at).total_seconds() if place < len(self._moments) else float("inf")


def current_timelines() -> Timelines:
    """The dates of all sealed editions. The process remembers them for one second, but not beyond the next moment in
    them, such as the moment at which an edition takes effect. While they are remembered, a call outside a transaction
    makes no query. Otherwise one thread reads them while the others wait, and calls each of the
    ``withdrawal_listeners`` with the primary keys of the users who withdrew recently, or with ``None`` at the first
    reading. It makes 1 query, and at most 1 more, for these users. Inside a transaction, every call reads the dates
    with 1 query, and calls no listener.
    """
    return _timelines(read_after=float("-inf"))


def _timelines(*, read_after: float) -> Timelines:
    """The remembered dates. They are read again if their reading began before ``read_after``, by ``time.monotonic()``,
    or if they are not valid any more. Inside a transaction, they are read and not remembered.
    """
    global _known, _read_at, _since, _valid_seconds
    if not may_remember():
        return _read()[0]
    # In this order: a reading stores the dates first, and then the moment when it began.
    if _read_at >= read_after and time.monotonic() < valid_until() and (known := _known):
        return known
    connection = connections[router.db_for_read(Edition)]
    if getattr(connection, "pool", None):
        # Else the thread that reads could wait for a connection that is held by the threads which wait for it.
        connection.ensure_connection()
    with _reading:  # One thread reads the dates; the others wait and then use them.
        if not _known or _read_at < read_after or time.monotonic() >= valid_until():
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
    """The dates of all sealed editions, by a reading that began after this call, also if the process still remembers
    earlier ones. Use this function if the result is about to bind a user. Outside a transaction, the dates are then
    remembered, and the ``withdrawal_listeners`` called, as by :func:`current_timelines`. At most 2 queries.
    """
    return _timelines(read_after=time.monotonic())


def valid_until() -> float:
    """The moment, by ``time.monotonic()``, from which the remembered dates must be read again. The value has no meaning
    if none are remembered.
    """
    return _read_at + min(MAX_AGE_SECONDS, _valid_seconds)


def may_remember() -> bool:
    """May other requests use what is read now? No inside a transaction of the database from which editions are read,
    because it may be rolled back; yes outside.
    """
    return not connections[router.db_for_read(Edition)].in_atomic_block


def clear() -> None:
    """Forget the dates, so that the next call reads them again. The next reading outside a transaction calls the
    ``withdrawal_listeners`` with ``None``, as the first one does: any user may have withdrawn.
    """
    global _known, _since
    _known = _since = None


memory.register(__name__, clear)


_known: Timelines | None = None
_since: datetime | None = None
"""Withdrawals since that moment are read with the dates; ``None`` before the first reading and after ``clear()``."""
_read_at = 0.0
_valid_seconds = float("inf")
_reading = threading.Lock()


def _read(since: datetime | None = None) -> tuple[Timelines, frozenset[Any] | None]:
    """The dates of all sealed editions, and the primary keys of the users with a withdrawal whose moment of effect has
    come, and that took effect or was registered after ``since``. The second value is ``None`` if ``since`` is ``None``;
    otherwise it is empty if no edition is sealed. 1 query, which also finds out whether there is such a user, and 1
    more if there is one.
    """
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
