"""The editions that users must accept now, and a cache of the users who are known to have accepted all of them.

Each process has its own cache. Only positive answers are cached: the user of this session has accepted everything that
was required then. The key of an answer is made of the editions whose acceptance still counts. An announcement or a
change of wording therefore leaves every answer valid, and an edition that takes effect makes every answer invalid at
that moment. A user who withdraws is removed from the cache.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import TypeVar

from django.utils import timezone

from agreement import memory
from agreement.editions.timeline import (
    Timelines,
    current_timelines,
    may_remember,
    valid_until,
    withdrawal_listeners,
)
from agreement.models.acceptances import RequiredAcceptance
from agreement.models.agreements import AcceptanceMode
from agreement.models.fields import UserKey

Key = TypeVar("Key")
Value = TypeVar("Value")

#: How many sessions, and how many users, one process caches; the oldest entries are removed first.
MAX_KNOWN = 50_000
#: A session key of Django has 32 characters. A longer cookie can be sent by anyone and is not cached.
MAX_SESSION_KEY = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement(RequiredAcceptance):
    """The edition of one agreement that users must accept, with the names that an answer states."""

    slug: str
    number: int
    withdrawn: bool = False
    """Has this user withdrawn from the agreement, and not accepted it again?"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """What every user must accept at one instant."""

    agreements: tuple[Requirement, ...]
    key: tuple[tuple[str, bool, int], ...]
    """If two keys are equal, a user who has accepted everything under one need not accept anything under the other."""
    cacheable: bool
    """False inside a transaction, because what is read there may never be committed."""


def requirements() -> Requirements:
    """What users must accept now. It reads the clock, and once per second it costs what ``timelines()`` costs."""
    global _current
    if (cached := _current) and time.monotonic() < cached[1]:
        return cached[0]
    at, began = timezone.now(), time.monotonic()
    timelines = current_timelines()
    found = _requirements(timelines, at)
    if found.cacheable:
        _current = found, min(valid_until(), began + timelines.seconds_until_next(at))
    return found


def _requirements(timelines: Timelines, at: datetime) -> Requirements:
    agreements = []
    for timeline in timelines.agreements.values():
        edition = timeline.in_force(at)
        if edition and timeline.acceptance_mode != AcceptanceMode.ELSEWHERE:
            agreements.append(
                Requirement(
                    agreement=timeline.key,
                    slug=timeline.slug,
                    edition=edition.pk,
                    number=edition.number,
                    digest=edition.digest,
                    counting=tuple(dated.pk for dated in timeline.counting_editions(edition)),
                    by_use=timeline.acceptance_mode == AcceptanceMode.BY_USE,
                )
            )
    return Requirements(
        agreements=tuple(agreements),
        key=tuple((one.slug, one.by_use, one.counting[0]) for one in agreements),
        cacheable=may_remember(),
    )


class KnownAcceptances:
    """The user of each session, and under which requirements each user is known to have accepted everything."""

    def __init__(self) -> None:
        self._users: dict[str, UserKey] = {}
        self._accepted: dict[UserKey, object] = {}
        self._lock = Lock()

    def session_accepted(self, session: str, required: Requirements) -> bool:
        """Is this the session of a user who has accepted everything, or of no user?"""
        if not required.cacheable:
            return False
        user = self._users.get(session, self)
        return user is None or self._accepted.get(user) == required.key

    def user_accepted(self, user: UserKey, required: Requirements) -> bool:
        return required.cacheable and self._accepted.get(user) == required.key

    def add(self, session: str | None, user: UserKey, required: Requirements) -> None:
        """That user, to whom the session belongs, has accepted everything. ``None``: the session belongs to no user."""
        if not required.cacheable:
            return
        with self._lock:
            if user is not None:
                _add(self._accepted, user, required.key)
            if session and len(session) <= MAX_SESSION_KEY:
                _add(self._users, session, user)

    def remove(self, users: Iterable[UserKey] | None) -> None:
        """Look those users up at their next request: they have withdrawn, or may have. ``None``: look up every user."""
        with self._lock:
            for user in list(self._accepted) if users is None else users:
                self._accepted.pop(user, None)

    def clear(self) -> None:
        with self._lock:
            self._users.clear()
            self._accepted.clear()


def _add(entries: dict[Key, Value], key: Key, value: Value) -> None:
    entries.pop(key, None)
    entries[key] = value
    if len(entries) > MAX_KNOWN:
        del entries[next(iter(entries))]


cache = KnownAcceptances()
withdrawal_listeners.append(cache.remove)
_current: tuple[Requirements, float] | None = None
"""The requirements, and the value of the monotonic clock until which they are valid."""


def clear() -> None:
    """Look every user up at their next request."""
    global _current
    _current = None
    cache.clear()


memory.register(__name__, clear)
