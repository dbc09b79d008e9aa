"""Renews the lease of a batch, and its reserved slots, while messages are being sent.

The lease is the time for which claimed deliveries belong to one worker. A slot is the place of one message under the
rate limits.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from django.db import Error, connections

from agreement.models import ChannelState, Delivery, channel_state
from agreement.models.deliveries import LEASE

logger = logging.getLogger("agreement")


class LeaseRenewer(threading.Thread):
    """A thread that renews the lease of a batch, and the slots reserved for it, because one message may take longer
    than a lease.

    It is a context manager. The thread starts with the first batch (:meth:`renewing`), serves one batch at a time, and
    is stopped at the end of the context; it also ends with the process. It has its own database connections. If the
    database raises an error, the error is logged and the next check tries again.
    """

    STUCK = 3600
    """Seconds after which the thread no longer renews a batch, so that other workers may claim its deliveries."""

    def __init__(self) -> None:
        super().__init__(name="agreement-lease", daemon=True)
        self.lease, self.channel, self.started_at, self.done = "", "", 0.0, threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.done.set()
        if self.is_alive():
            self.join()

    @contextmanager
    def renewing(self, lease: str, channel: str) -> Iterator[None]:
        """Context manager: let the thread renew this lease while the block runs, and the slots reserved for it if the
        channel with that name has rate limits. After ``STUCK`` seconds it is no longer renewed. Starts the thread if it
        is not running.
        """
        self.lease, self.channel, self.started_at = lease, channel, time.monotonic()
        if not self.is_alive():
            self.start()
        try:
            yield
        finally:
            self.lease = ""

    def run(self) -> None:
        third = LEASE.total_seconds() / 3
        while not self.done.wait(third / 2):
            lease, duration = self.lease, time.monotonic() - self.started_at
            if not lease or not third / 2 <= duration < self.STUCK:
                continue
            try:
                Delivery.objects.renew(lease=lease)
                if channel_state.limits_for(self.channel):
                    ChannelState.objects.renew(self.channel, lease=lease)
            except Error as error:
                logger.warning("N106 a lease was not renewed: %s", type(error).__name__)
            finally:
                connections.close_all()
