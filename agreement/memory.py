"""The registry of what a process remembers between requests. Every cache of the app is registered here.

Each process has its own caches. ``agreement/README.md`` lists them, each with its key, its size and for how long an
entry is valid. The command ``flush`` deletes the rows from which caches were filled. On a test database it then empties
the caches of its own process, because tests call it in the process in which they run. It can't empty the caches of
other running processes. A forked process begins with empty caches, because it may use another database. Only what
``remembered_for_machine`` registers stays.
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
    """Register ``clear``, the function that empties the cache of a module: ``register(__name__, clear)``. The cache is
    named after the module, without ``agreement.``. A second registration under the same name replaces the first.
    """
    _caches[module.removeprefix("agreement.")] = clear


def remembered(function: Function) -> Function:
    """Decorator above ``functools.cache`` or ``lru_cache``: register the function's cache, so that ``clear()`` empties
    it. Every cached function of the app needs it. Returns the function.
    """
    register(f"{function.__module__}.{function.__qualname__}", function.cache_clear)
    return function


def remembered_for_machine(function: Function) -> Function:
    """Decorator above ``functools.cache``: register the function's cache, which ``clear()`` does not empty, because its
    results depend on the machine alone. Returns the function.
    """
    register(f"{function.__module__}.{function.__qualname__}", lambda: None)
    return function


def names() -> frozenset[str]:
    """The names of the registered caches, which are those of the modules that this process has imported. A name is that
    of a module or of a cached function, without ``agreement.``.
    """
    return frozenset(_caches)


def clear() -> None:
    """Empty every cache that is registered in this module, except those whose entries depend on the machine alone."""
    for empty in _caches.values():
        empty()


os.register_at_fork(after_in_child=clear)
