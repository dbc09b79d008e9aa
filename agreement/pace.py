"""How fast a channel may send: caps such as ``"2500/h"`` and ``"20000/d"``, each of which holds in every rolling
window of its length, whatever paused, failed or was added meanwhile.

A channel keeps a **log** of what was drawn: pairs of a moment (seconds since 1970) and a number. A draw is allowed
as far as every window that ends now has room. The fastest cap is also spread evenly: what may go out in an hour does
not go out in its first minute. Everything here is a function of its arguments; the log is kept by ``Pace``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

PERIODS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
#: The steps in which a cap is spread: of a minute, and of this many messages at least; a tenth more than the cap
#: itself would allow, so that what a worker loses in one step it makes good in the next.
STEP, FEWEST, MORE = 60, 10, 1.1
#: A moment in the log is exact to this part of the shortest window it still counts in.
EXACT = 200
#: The log is kept this long at least, so that a cap that is added knows the past: seconds.
KEPT = 86400

Log = Sequence[tuple[float, int]]


@dataclass(frozen=True, slots=True)
class Cap:
    """At most ``count`` in any ``seconds``."""

    count: int
    seconds: float


def cap(written: str) -> Cap:
    """``"2500/h"``: a number, a stroke, and s, min, h or d. Raises ``ValueError``."""
    found = re.fullmatch(r"\s*([1-9][0-9]{0,8})\s*/\s*(s|min|h|d)\s*", written)
    if found is None:
        msg = f'{written!r} is no cap; write it as "2500/h" or "20000/d" (s, min, h, d).'
        raise ValueError(msg)
    return Cap(int(found[1]), PERIODS[found[2]])


def limits(caps: Iterable[str]) -> tuple[Cap, ...]:
    """The caps, and the fastest of them once more in small steps, the shortest window first."""
    read = [cap(written) for written in caps]
    if not read:
        return ()
    fastest = max(read, key=lambda one: one.count / one.seconds)
    rate = fastest.count / fastest.seconds
    step = Cap(math.ceil(max(FEWEST, rate * STEP) * MORE), max(FEWEST / rate, STEP))
    if step.count < fastest.count:
        read.append(step)
    return tuple(sorted(read, key=lambda one: one.seconds))


def room(log: Log, limits: Iterable[Cap], now: float) -> int:
    """How many may go out now; ``limits`` are not empty."""
    return max(0, min(one.count - _within(log, one, now) for one in limits))


def opens(log: Log, limits: Iterable[Cap], now: float) -> float:
    """The first moment from ``now`` on at which at least one may go out."""
    latest = now
    for one in limits:
        left = _within(log, one, now)
        for at, count in sorted(log):
            if left < one.count:
                break
            if at > now - one.seconds:
                left -= count
                latest = max(latest, at + one.seconds)
    return latest


def trimmed(log: Log, limits: Iterable[Cap], now: float) -> list[tuple[float, int]]:
    """The same log in few entries: moments are moved to later ones (never to earlier), a little and once.

    A moment to come means that the clock was put back: it counts as now.
    """
    windows = sorted({KEPT, *(one.seconds for one in limits)})
    kept: dict[tuple[float, int], tuple[float, int]] = {}
    for at, count in log:
        at = min(at, now)
        window = next((window for window in windows if at > now - window), None)
        if window is None:
            continue
        width = window / EXACT
        key = (width, math.floor(at / width))
        before, counted = kept.get(key, (at, 0))
        kept[key] = (max(at, before), counted + count)
    return sorted(kept.values())


def seconds(count: int, limits: Sequence[Cap], speed: float) -> float:
    """How long it takes to send ``count`` at ``speed`` a second within the limits, from a log that is empty."""
    if not (felt := _binding(limits, speed)):
        return count / speed
    *shorter, longest = felt
    full = max(0, count - 1) // longest.count
    return full * longest.seconds + seconds(count - full * longest.count, shorter, speed)


def sent(after: float, limits: Sequence[Cap], speed: float) -> int:
    """How many have gone out after that many seconds: the inverse of :func:`seconds`."""
    if after <= 0:
        return 0
    if not (felt := _binding(limits, speed)):
        return math.floor(after * speed)
    *shorter, longest = felt
    full = math.floor(after / longest.seconds)
    rest = sent(after - full * longest.seconds, shorter, speed)
    return full * longest.count + min(longest.count, rest)


def _within(log: Log, one: Cap, now: float) -> int:
    return sum(count for at, count in log if at > now - one.seconds)


def _binding(limits: Sequence[Cap], speed: float) -> list[Cap]:
    """The limits that are felt at that speed, the shortest window first."""
    felt: list[Cap] = []
    for one in sorted(limits, key=lambda one: one.seconds):
        faster = min([speed, *(shorter.count / shorter.seconds for shorter in felt)])
        if one.count / one.seconds < faster:
            felt.append(one)
    return felt
