"""Rate limits such as ``"2500/h"`` and ``"20000/d"``. Each limit applies to every rolling window of its length.

A channel keeps a **log** of what it sent: pairs of a moment (seconds since 1970) and a number of messages.
``ChannelState`` stores it; the functions here depend only on their arguments. ``now`` and all other moments are in
seconds since 1970, and a speed is in messages per second.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

PERIODS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
#: The fastest limit is spread over steps of a minute, or longer if a minute would be fewer than 10 messages. A step
#: allows a tenth more than its share of the limit, so that a worker can make up for messages it did not send in time.
STEP_SECONDS, STEP_MIN_COUNT, STEP_MARGIN = 60, 10, 1.1
#: A moment in the log is exact to one part in so many of the shortest window that still contains it.
PRECISION = 200
#: The log covers at least this many seconds, so that a limit that is added later applies to the past too.
LOG_SECONDS = 86400

Log = Sequence[tuple[float, int]]


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most ``count`` messages in any window of ``seconds``. A message that was sent exactly so many seconds ago is
    not in the window any more.
    """

    count: int
    seconds: float


def parse(written: str) -> RateLimit:
    """The limit that is written as ``"2500/h"``: a whole number from 1 to 999999999 without zeros before it, a slash,
    and s, min, h or d. White space around the number and the unit is ignored. Raises ``ValueError`` for any other text.
    """
    found = re.fullmatch(r"\s*([1-9][0-9]{0,8})\s*/\s*(s|min|h|d)\s*", written)
    if found is None:
        msg = f'{written!r} is not a rate limit. Write it like "2500/h" or "20000/d"; the units are s, min, h and d.'
        raise ValueError(msg)
    return RateLimit(int(found[1]), PERIODS[found[2]])


def parse_all(written: Iterable[str]) -> tuple[RateLimit, ...]:
    """These limits, the shortest window first; empty if there are none. One more limit may be added. It spreads the
    fastest one, which is the one with the most messages per second, over small steps.

    A step has ``STEP_SECONDS`` or, if the fastest limit allows fewer than ``STEP_MIN_COUNT`` messages in that time, the
    time in which it allows ``STEP_MIN_COUNT``. A step allows a tenth more than its share of the limit
    (``STEP_MARGIN``), rounded up. The limit is not added if a step would allow at least as many messages as the fastest
    limit.

    Raises ``ValueError`` for a text that is not a limit.
    """
    limits = [parse(limit) for limit in written]
    if not limits:
        return ()
    fastest = max(limits, key=lambda limit: limit.count / limit.seconds)
    rate = fastest.count / fastest.seconds
    step_count = math.ceil(max(STEP_MIN_COUNT, rate * STEP_SECONDS) * STEP_MARGIN)
    step = RateLimit(step_count, max(STEP_MIN_COUNT / rate, STEP_SECONDS))
    if step.count < fastest.count:
        limits.append(step)
    return tuple(sorted(limits, key=lambda limit: limit.seconds))


def free_slots(log: Log, limits: Iterable[RateLimit], now: float) -> int:
    """How many messages may be sent now, at least 0. ``limits`` must not be empty. A message whose moment is in the
    future counts as in the window.
    """
    return max(0, min(limit.count - _sent_within(log, limit, now) for limit in limits))


def next_free_at(log: Log, limits: Iterable[RateLimit], now: float) -> float:
    """The first moment from ``now`` on at which at least one message may be sent, if nothing else is sent before. It is
    ``now`` if a slot is free or if there are no limits.
    """
    latest = now
    for limit in limits:
        in_window = _sent_within(log, limit, now)
        for at, count in sorted(log):
            if in_window < limit.count:
                break
            if at > now - limit.seconds:
                in_window -= count
                latest = max(latest, at + limit.seconds)
    return latest


def trimmed(log: Log, limits: Iterable[RateLimit], now: float) -> list[tuple[float, int]]:
    """The log with as few entries as it needs, sorted by moment. Entries that are older than every window of ``limits``
    and than ``LOG_SECONDS`` are dropped. Entries in the same part of the shortest window that contains them become one,
    with the latest moment and the sum of the messages; a window has ``PRECISION`` parts.

    A moment in the future means that the clock was put back. It becomes ``now``.
    """
    windows = sorted({LOG_SECONDS, *(limit.seconds for limit in limits)})
    entries: dict[tuple[float, int], tuple[float, int]] = {}
    for at, count in log:
        at = min(at, now)
        window = next((window for window in windows if at > now - window), None)
        if window is None:
            continue
        width = window / PRECISION
        key = (width, math.floor(at / width))
        latest, total = entries.get(key, (at, 0))
        entries[key] = (max(at, latest), total + count)
    return sorted(entries.values())


def sending_seconds(count: int, limits: Sequence[RateLimit], speed: float) -> float:
    """How many seconds it takes to send ``count`` messages under the limits, starting with an empty log; 0 for no
    messages. It is computed as if each limit allowed its messages at the beginning of fixed windows, one after the
    other. ``speed`` is the number of messages per second that would be sent without limits.
    """
    if not (effective := _effective_limits(limits, speed)):
        return count / speed
    *shorter, longest = effective
    full = max(0, count - 1) // longest.count
    return full * longest.seconds + sending_seconds(count - full * longest.count, shorter, speed)


def sent_after(seconds: float, limits: Sequence[RateLimit], speed: float) -> int:
    """How many messages are sent after that many seconds, starting with an empty log, rounded down; 0 if ``seconds`` is
    0 or less. It is computed as if each limit allowed its messages at the beginning of fixed windows, one after the
    other. ``speed`` is the number of messages per second that would be sent without limits.
    """
    if seconds <= 0:
        return 0
    if not (effective := _effective_limits(limits, speed)):
        return math.floor(seconds * speed)
    *shorter, longest = effective
    full = math.floor(seconds / longest.seconds)
    rest = sent_after(seconds - full * longest.seconds, shorter, speed)
    return full * longest.count + min(longest.count, rest)


def _sent_within(log: Log, limit: RateLimit, now: float) -> int:
    return sum(count for at, count in log if at > now - limit.seconds)


def _effective_limits(limits: Sequence[RateLimit], speed: float) -> list[RateLimit]:
    """The limits that slow down sending at that speed, the shortest window first. A limit is left out if it allows at
    least that speed, or at least as many messages per second as one of those with shorter windows.
    """
    effective: list[RateLimit] = []
    for limit in sorted(limits, key=lambda limit: limit.seconds):
        slowest = min([speed, *(shorter.count / shorter.seconds for shorter in effective)])
        if limit.count / limit.seconds < slowest:
            effective.append(limit)
    return effective
