"""The editions that users must accept now, and a cache of the users who are known to have accepted all of them.

The cache stores only positive answers. That a session belongs to nobody is not stored, because it may belong to a user
at its next request: an account was inactive for a while, or an authentication backend did not find it once.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import TypeVar

from django.utils import timezone

from agreement import conf, memory
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
#: How long an answer is used, in seconds. Then the site or the database is asked again.
KNOWN_SECONDS = 600
#: How long the answer that a user has accepted everything is used, in seconds, if an agreement is for some users only
#: (``AUDIENCES``). A user who joins its audience is asked after this time at the latest.
KNOWN_SECONDS_WITH_AUDIENCES = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement(RequiredAcceptance):
    """What a user must have accepted of one agreement, with the slug of the agreement and the number of the edition in
    force.
    """

    slug: str
    number: int
    withdrawn: bool = False
    """Whether this user has withdrawn from the agreement and has not accepted it again. It is false as long as the
    requirement is about no particular user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """What a user must have accepted of all agreements at one instant. Agreements that are accepted elsewhere, and
    those without an edition in force, are left out.
    """

    agreements: tuple[Requirement, ...]
    key: tuple[tuple[str, bool, int], ...]
    """For each agreement its slug, whether it is accepted by use, and the primary key of the earliest edition of
    which an acceptance is sufficient. A user who fulfilled requirements fulfils later ones with an equal key too, until
    they withdraw."""
    cacheable: bool
    """False if this was read inside a transaction, because the transaction may be rolled back."""
    for_some_users: bool = False
    """Whether one of the agreements has an audience of its own (``AUDIENCES``). A user can join it at any time, so
    the answer that they fulfil these requirements is not used for long."""

    @property
    def known_seconds(self) -> int:
        """For how many seconds at most the cache may answer that a user fulfils these requirements."""
        return KNOWN_SECONDS_WITH_AUDIENCES if self.for_some_users else KNOWN_SECONDS


def requirements() -> Requirements:
    """Return what users must have accepted now.

    The result is used again for at most a second, and not beyond the moment when an edition takes effect or its days to
    accept end: until then a call makes no query, inside a transaction too. Otherwise
    :func:`agreement.editions.timeline.current_timelines` gives the dates of the editions: at most 2 queries. A result
    that was read inside a transaction is not used again.
    """
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
                    counting=tuple(dated.pk for dated in timeline.sufficient_editions(edition, at)),
                    by_use=timeline.acceptance_mode == AcceptanceMode.BY_USE,
                )
            )
    return Requirements(
        agreements=tuple(agreements),
        key=tuple((one.slug, one.by_use, one.counting[0]) for one in agreements),
        cacheable=may_remember(),
        for_some_users=any(one.slug in conf.get().AUDIENCES for one in agreements),
    )


class KnownAcceptances:
    """A cache of two mappings: session key to user key, and user key to the ``key`` of the :class:`Requirements` that
    the user is known to fulfil. Each has at most ``MAX_KNOWN`` entries. An entry of the first is used for at most
    ``KNOWN_SECONDS``, and one of the second for at most ``known_seconds`` of its requirements. Requirements that were
    read inside a transaction are not ``cacheable``: for them nothing is stored and every answer is false.
    """

    def __init__(self) -> None:
        # Each value is stored with the moment of the monotonic clock at which it ends.
        self._users: dict[str, tuple[UserKey, float]] = {}
        self._accepted: dict[UserKey, tuple[object, float]] = {}
        self._lock = Lock()

    def session_accepted(self, session: str, required: Requirements) -> bool:
        """Return whether the session with the key ``session`` is known to belong to a user who is known to fulfil
        ``required``. ``False`` means only that the cache does not know it.
        """
        # The gate calls this for each request, so the clock is read once.
        user, until = self._users.get(session, (None, 0.0))
        key, known_until = self._accepted.get(user, (None, 0.0))
        return required.cacheable and key == required.key and until > time.monotonic() < known_until

    def user_accepted(self, user: UserKey, required: Requirements) -> bool:
        """Return whether this user is known to fulfil ``required``. ``False`` means only that the cache does not know
        it.
        """
        key, until = self._accepted.get(user, (None, 0.0))
        return required.cacheable and key == required.key and time.monotonic() < until

    def add(self, session: str | None, user: UserKey, required: Requirements) -> None:
        """Store that the session with the key ``session`` is that of this user. ``session=None`` means that no session
        is stored, and a key longer than ``MAX_SESSION_KEY`` is not stored either. Store also that the user fulfils
        ``required``; if the cache knows that already, its entry does not last longer. Nothing is stored if ``required``
        is not ``cacheable``.
        """
        if not required.cacheable:
            return
        with self._lock:
            if not self.user_accepted(user, required):
                _add(self._accepted, user, required.key, required.known_seconds)
            if session and len(session) <= MAX_SESSION_KEY:
                _add(self._users, session, user, KNOWN_SECONDS)

    def remove(self, users: Iterable[UserKey] | None) -> None:
        """Remove users who have withdrawn; ``None`` removes all users. Which session belongs to which user stays
        cached. At their next request the database is asked again whether they have accepted everything.
        """
        with self._lock:
            for user in list(self._accepted) if users is None else users:
                self._accepted.pop(user, None)

    def clear(self) -> None:
        """Remove all users and all sessions."""
        with self._lock:
            self._users.clear()
            self._accepted.clear()


def _add(entries: dict[Key, tuple[Value, float]], key: Key, value: Value, seconds: int) -> None:
    entries.pop(key, None)
    entries[key] = value, time.monotonic() + seconds
    if len(entries) > MAX_KNOWN:
        del entries[next(iter(entries))]


cache = KnownAcceptances()
withdrawal_listeners.append(cache.remove)
_current: tuple[Requirements, float] | None = None
"""The requirements, and the value of the monotonic clock until which they are valid."""


def clear() -> None:
    """Forget the requirements, all users and all sessions. At the next request of a user the database is asked again
    whether they have accepted everything.
    """
    global _current
    _current = None
    cache.clear()


memory.register(__name__, clear)
