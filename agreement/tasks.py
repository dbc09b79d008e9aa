"""What the task engine calls, and nothing else. The ledger is the truth; a task is only a nudge."""

from __future__ import annotations

import time

try:
    from django.tasks import task
except ImportError:  # Django 5.2
    from django_tasks import task  # type: ignore[no-redef]

from agreement import dispatch
from agreement.models import Delivery, Notice

#: Seconds one task works before it hands on to the next, so that a worker is never held for hours.
SLICE = 20


@task()
def deliver_notices() -> None:
    """Send what is due for ``SLICE`` seconds, then enqueue the rest as a task of its own."""
    tally = dispatch.work(deadline=time.monotonic() + SLICE)
    if not tally.outage and (Notice.objects.unfinished().exists() or Delivery.objects.due().exists()):
        enqueue()


def enqueue() -> None:
    """Nudge the engine: there may be something to send."""
    deliver_notices.enqueue()
