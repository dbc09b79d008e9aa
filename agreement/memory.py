"""The registry of what a process remembers between requests. Every cache of the app is registered here.

``agreement/README.md`` lists the caches, each with its key, its size and for how long an entry is right. The command
``flush`` empties all of them, because it deletes rows under a running process. A forked process begins with empty
caches, because it may use another database.
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
    """Register the function that empties the cache of a module: ``register(__name__, clear)``."""
    _caches[module.removeprefix("agreement.")] = clear


def remembered(function: Function) -> Function:
    """Register the cache of a function that ``functools.cache`` or ``lru_cache`` decorates. Returns the function."""
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
