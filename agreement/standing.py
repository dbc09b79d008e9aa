"""What users are asked to join now, and who has joined it already, without asking the database for each request.

What a process remembers is positive alone: this session's user has joined what was asked then. It is compared by the
editions whose joining holds, so an announcement, or a change of wording, makes nobody be looked up anew; an edition
that takes effect makes everybody, at that very moment. A user who left is dropped from it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Any

from django.utils import timezone

from agreement import gate
from agreement.models.acceptances import Asked
from agreement.models.agreements import Joining

#: Sessions, and users, one process remembers at most; the longest known go first.
LIMIT = 50_000
#: A session's key is 32 characters; a longer cookie is anybody's, and no process keeps it.
LONGEST = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand(Asked):
    """What is asked about one agreement, by its names."""

    slug: str
    number: int
    outside: bool = False
    """Has this user left the agreement, and not joined it again?"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demands:
    """What is asked of every user at one instant."""

    each: tuple[Demand, ...]
    by_confirming: bool
    """Is anything asked that entering does not answer?"""
    key: tuple[tuple[str, bool, int], ...]
    """Equal as long as whoever has joined everything need not join anything anew."""
    remembered: bool
    """May what is found out now be remembered? Not inside a transaction, where it may never have happened."""


def now() -> Demands:
    """What is asked of users now; a look at the clock, and once a second what ``gate.timelines()`` costs."""
    global _current
    if (known := _current) and time.monotonic() < known[1]:
        return known[0]
    at, began = timezone.now(), time.monotonic()
    timelines = gate.timelines()
    found = _demands(timelines, at)
    if found.remembered:
        if (left := gate.lately_left()) is None:
            memory.clear()
        else:
            memory.drop(left)
        _current = found, min(gate.good_until(), began + timelines.seconds_until_next(at))
    return found


def _demands(timelines: gate.Timelines, at: datetime) -> Demands:
    each = []
    for timeline in timelines.agreements.values():
        edition = timeline.in_force(at)
        if edition and timeline.joining != Joining.APART:
            each.append(
                Demand(
                    agreement=timeline.key,
                    slug=timeline.slug,
                    edition=edition.pk,
                    number=edition.number,
                    digest=edition.digest,
                    holds=tuple(dated.pk for dated in timeline.holding(edition)),
                    by_entering=timeline.joining == Joining.DEEMED,
                )
            )
    return Demands(
        each=tuple(each),
        by_confirming=not all(one.by_entering for one in each),
        key=tuple((one.slug, one.by_entering, one.holds[0]) for one in each),
        remembered=gate.remembers(),
    )


class Memory:
    """Whose session it is, and what that user is known to have joined."""

    def __init__(self) -> None:
        self._users: dict[str, Any] = {}
        self._joined: dict[Any, object] = {}
        self._lock = Lock()

    def settled(self, session: str, demanded: Demands) -> bool:
        """Has the user of that session joined all of it, or is the session nobody's?"""
        if not demanded.remembered:
            return False
        user = self._users.get(session, self)
        return user is None or self._joined.get(user) == demanded.key

    def joined(self, user: Any, demanded: Demands) -> bool:
        return demanded.remembered and self._joined.get(user) == demanded.key

    def keep(self, session: str | None, user: Any, demanded: Demands) -> None:
        """That user (``None``: nobody), whose session this is, has nothing left to join."""
        if not demanded.remembered:
            return
        with self._lock:
            if user is not None:
                _add(self._joined, user, demanded.key)
            if session and len(session) <= LONGEST:
                _add(self._users, session, user)

    def drop(self, users: Iterable[Any]) -> None:
        """Look those users up at their next request: they left, or may have."""
        with self._lock:
            for user in users:
                self._joined.pop(user, None)

    def clear(self) -> None:
        with self._lock:
            self._users.clear()
            self._joined.clear()


def _add(known: dict[Any, Any], key: Any, value: object) -> None:
    known.pop(key, None)
    known[key] = value
    if len(known) > LIMIT:
        del known[next(iter(known))]


memory = Memory()
_current: tuple[Demands, float] | None = None
"""What is asked, and until when, by the monotonic clock, that is known to be so."""


def forget() -> None:
    """Know nobody; for whoever empties a database under a running process."""
    global _current
    _current = None
    memory.clear()
