"""The lease of a batch, and its slots, kept up while a worker waits for a mail server."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from django.db import Error, connections

from agreement import conf
from agreement.models import Delivery, Pace
from agreement.models.deliveries import LEASE

logger = logging.getLogger("agreement")


class Heartbeat(threading.Thread):
    """Renews a lease, and the slots drawn for it, while a message is on its way: a server may take a minute over one,
    and a lease is shorter.

    A thread with a connection of its own, which first does anything when a batch has lasted a third of its lease. It
    dies with its process, and gives up on a batch that takes longer than ``STUCK`` seconds.
    """

    STUCK = 3600

    def __init__(self) -> None:
        super().__init__(name="agreement-lease", daemon=True)
        self.lease, self.channel, self.begun, self.done = "", "", 0.0, threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.done.set()
        if self.is_alive():
            self.join()

    @contextmanager
    def holding(self, lease: str, channel: str) -> Iterator[None]:
        self.lease, self.channel, self.begun = lease, channel, time.monotonic()
        if not self.is_alive():
            self.start()
        try:
            yield
        finally:
            self.lease = ""

    def run(self) -> None:
        third = LEASE.total_seconds() / 3
        while not self.done.wait(third / 2):
            lease, lasted = self.lease, time.monotonic() - self.begun
            if not lease or not third / 2 <= lasted < self.STUCK:
                continue
            try:
                Delivery.objects.renew(lease=lease)
                if conf.limits(self.channel):
                    Pace.objects.renew(self.channel, lease=lease)
            except Error as error:
                logger.warning("N106 a lease was not renewed: %s", type(error).__name__)
            finally:
                connections.close_all()
