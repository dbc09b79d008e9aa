"""What the task engine calls, and nothing else. The ledger is the truth; a task is only a nudge."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from datetime import datetime, timedelta

from django.db import Error
from django.utils import timezone

try:
    from django.tasks import task
except ImportError:  # Django 5.2
    from django_tasks import task  # type: ignore[no-redef]

from agreement import conf, dispatch

#: Seconds one task works before it hands on to the next, so that a worker is never held for hours.
SLICE = 20
#: How long a fault is left alone that stops all there is to do, a database's included: a person has to mend it.
FAULT_PAUSE = timedelta(minutes=1)
#: The furthest ahead a task is put, to look again: what a worker keeps until its time, RabbitMQ takes back after half
#: an hour (``consumer_timeout``) and Redis after an hour (``visibility_timeout``).
FURTHEST = timedelta(minutes=15)


class _Here(threading.local):
    """Is this thread in a task already, and was it nudged meanwhile?"""

    working = nudged = False


_here = _Here()


@task()
def deliver_notices() -> None:
    """Send what is due for ``SLICE`` seconds, then leave the rest to a task of its own: now, or for when the rest is
    due, if the engine can defer. If it can't, the sweep (``deliver_notices --watch``) finds it; so it does where the
    database fails the task, and may not even take the next one.
    """
    _here.nudged = True
    if _here.working:  # The engine runs a task where it is enqueued: the one below goes on, a level up.
        return
    _here.working = True
    try:
        while _here.nudged:
            _here.nudged = False
            if at := _work(time.monotonic() + SLICE):
                _hand_on(at)
    except Error:
        with suppress(Exception):
            _hand_on(timezone.now() + FAULT_PAUSE)
        raise
    finally:
        _here.working = False


def _work(deadline: float) -> datetime | None:
    """Send what is due until then; when there is next anything to do."""
    while True:
        tally = dispatch.work(deadline=deadline)
        at = dispatch.next_at()
        if at and tally.faults and tally.idle:  # What is due can't be written; trying it at once is of no use.
            at = max(at, timezone.now() + FAULT_PAUSE)
        pause = max(0.0, (at - timezone.now()).total_seconds()) if at else 0.0
        if at is None or time.monotonic() + pause >= deadline:
            return at
        time.sleep(pause)


def enqueue(at: datetime | None = None) -> None:
    """Nudge the engine: there may be something to send, now or at that moment, for ``SENDERS`` tasks."""
    for _sender in range(conf.get().SENDERS):
        _hand_on(at)


def _hand_on(at: datetime | None) -> None:
    if at is None or at <= timezone.now():
        deliver_notices.enqueue()
    elif deliver_notices.get_backend().supports_defer:
        deliver_notices.using(run_after=min(at, timezone.now() + FURTHEST)).enqueue()
