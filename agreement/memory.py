"""What a process remembers between requests. Every cache of the app is registered here, and ``clear()`` empties all.

Nothing remembered can be wrong for longer than the table says. Emptying costs time only: each entry is made again when
it is next needed. ``flush`` empties all, because rows disappear under a running process; a forked process begins empty,
because it may use another database.

=================================== ============================ ================= ================================
name                                key                          bound             right
=================================== ============================ ================= ================================
``conf``                            the dict ``AGREEMENT``       1                 as long as the dict is equal
``text.clauses.parse``              the text                     64                always
``models.deliveries._claim_sql``    the database's vendor        2                 always
``models.deliveries._update_sql``   columns, vendor              4                 always
``editions.timeline``               (all agreements)             1                 for one second
``editions.redlines``               two digests, language        500, 5 M letters  always
``editions.citations._sealed``      digest and dates, zone       16                always
``editions.citations._quoted``      the same, language, clause   256               always
``editions.citations._log_once``    the message                  64                (logs once)
``editions.pdf._rendered``          the HTML page                4                 always
``editions.pdf._weasyprint``        (the library)                1                 always
``editions.pdf._closed_fetcher``    (an object)                  1                 always
``acceptance.known``                session, user                50,000 each       until an edition takes effect,
                                                                                   or a second after a withdrawal
``views.cache``                     address, host, language,     16 MB             ``PAGE_SECONDS``, and until an
                                    version of the timelines                       edition's moment
``views.verify``                    the edition's digest         all editions      always
``admin.agreements._zones``         (the zones' names)           1                 until the system is updated
=================================== ============================ ================= ================================
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Protocol, TypeVar


class _Cached(Protocol):
    __module__: str
    __qualname__: str

    def cache_clear(self) -> None: ...


Function = TypeVar("Function", bound=_Cached)

_caches: dict[str, Callable[[], None]] = {}


def register(module: str, clear: Callable[[], None]) -> None:
    """Register what empties the cache of a module: ``register(__name__, clear)``."""
    _caches[module.removeprefix("agreement.")] = clear


def remembered(function: Function) -> Function:
    """Register a function that ``functools.cache`` or ``lru_cache`` decorates."""
    register(f"{function.__module__}.{function.__qualname__}", function.cache_clear)
    return function


def names() -> frozenset[str]:
    """The names of the caches in the modules that this process has imported."""
    return frozenset(_caches)


def clear() -> None:
    """Empty every cache of this process."""
    for empty in _caches.values():
        empty()


os.register_at_fork(after_in_child=clear)
