"""The registry of what a process remembers between requests. ``agreement/README.md`` lists the caches, each with its
key, its size and for how long an entry is valid.

A forked process calls :func:`clear` by itself when it begins, because it may use another database. The command
``flush`` calls it on a test database, for the caches of its own process.
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
    it. Returns the function. Every cached function of the app needs this decorator or :func:`remembered_for_machine`.
    """
    register(f"{function.__module__}.{function.__qualname__}", function.cache_clear)
    return function


def remembered_for_machine(function: Function) -> Function:
    """Decorator above ``functools.cache``: register the function's cache, which ``clear()`` does not empty. It is for
    results that depend on the machine and not on the database. Returns the function.
    """
    register(f"{function.__module__}.{function.__qualname__}", lambda: None)
    return function


def names() -> frozenset[str]:
    """The names of the registered caches, which are those of the modules that this process has imported. A name is that
    of a module or of a cached function, without ``agreement.``.
    """
    return frozenset(_caches)


def clear() -> None:
    """Empty every cache that is registered in this module, except those of :func:`remembered_for_machine`."""
    for empty in _caches.values():
        empty()


os.register_at_fork(after_in_child=clear)
