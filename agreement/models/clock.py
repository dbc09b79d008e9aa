"""One clock for all processes of a site. On PostgreSQL it is that of the database server, which the machines share. On
other databases it is the clock of the process, because the processes of a site are on one machine.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from django.db import connections
from django.utils import timezone


def database_now(using: str) -> datetime:
    """Return the moment of this call, which is not that of the start of the transaction. ``using`` is the alias of the
    database. 1 query on PostgreSQL, which is asked; on another database no query, and the clock of this process.
    """
    connection = connections[using]
    if connection.vendor != "postgresql":
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (now,) = cursor.fetchone()
    moment: datetime = now
    return moment


class DatabaseClock:
    """The clock of a database, for a worker that needs the present moment for each
    message. ``using`` is the alias of the database.

    The object reads the clock when it is created, and again by ``read()``. A call of the object returns the moment of
    the last reading and adds the time since then, as the monotonic clock of this process measures it. A call makes no
    query, so it can't fail between sending a message and recording it. The wall clock of this machine may be wrong, or
    may be corrected in the meantime.
    """

    def __init__(self, using: str) -> None:
        self.using = using
        self.read()

    def read(self) -> datetime:
        """Read the clock of the database, as :func:`database_now` does, and return what
        it shows. 1 query on PostgreSQL.
        """
        self._moment, self._read_at = database_now(self.using), time.monotonic()
        return self._moment

    def __call__(self) -> datetime:
        """Return the present moment: that of the last reading of the clock, and the time since then. 0 queries."""
        return self._moment + timedelta(seconds=time.monotonic() - self._read_at)
