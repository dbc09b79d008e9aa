"""Redlines of sealed editions: computed once a pair and language, and kept.

An edition's digest covers its texts, so a pair of digests is a pair of texts for ever: nothing kept is ever stale.
"""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import Future
from threading import Lock

from agreement.models import Edition
from agreement.text import clauses
from agreement.text.redline import Redline
from agreement.text.redline import redline as compare

#: What one process keeps at most: pairs, and characters of the texts compared (a real agreement has about 10,000).
PAIRS = 500
CHARACTERS = 5_000_000

_Key = tuple[str, str, str]


class _Kept:
    """Redlines by digests and language, the one asked for longest ago going first."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._known: OrderedDict[_Key, tuple[Redline, int]] = OrderedDict()
        self._running: dict[_Key, Future[Redline]] = {}
        self._characters = 0

    def get(self, old: Edition, new: Edition, language: str) -> Redline:
        key = old.digest, new.digest, language
        with self._lock:
            if found := self._known.get(key):
                self._known.move_to_end(key)
                return found[0]
            running = self._running.get(key)
            if running is None:
                ours = self._running[key] = Future()
        if running:
            return running.result()
        try:
            made, size = _compare(old, new, language)
        except BaseException as error:
            with self._lock:
                del self._running[key]
            ours.set_exception(error)
            raise
        with self._lock:
            del self._running[key]
            self._known[key] = made, size
            self._characters += size
            while len(self._known) > PAIRS or (self._characters > CHARACTERS and len(self._known) > 1):
                self._characters -= self._known.popitem(last=False)[1][1]
        ours.set_result(made)
        return made

    def clear(self) -> None:
        with self._lock:
            self._known.clear()
            self._characters = 0


_kept = _Kept()


def redline(old: Edition, new: Edition, language: str) -> Redline:
    """What changed from one sealed edition to another, in ``kk`` or ``ru``. Whoever asks meanwhile waits for it.

    No query where it is kept: the editions may come without their texts, which are read (1 query each) if need be.
    Raises ``ValueError`` for a draft, whose texts may change.
    """
    if not (old.digest and new.digest):
        msg = "Only sealed editions are compared here: a draft has no digest to be known by."
        raise ValueError(msg)
    return _kept.get(old, new, language)


def forget() -> None:
    """Keep nothing."""
    _kept.clear()


def _compare(old: Edition, new: Edition, language: str) -> tuple[Redline, int]:
    before, after = (getattr(edition, f"body_{language}") or "" for edition in (old, new))
    made = compare(clauses.parse(before), clauses.parse(after))
    for change in made.changed:  # The words of a clause are compared when first looked at: look now.
        _ = change.words
    return made, len(before) + len(after)
