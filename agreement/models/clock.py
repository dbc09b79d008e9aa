"""One clock for all processes of a site. On PostgreSQL it is that of the database server, which the machines share. On
other databases it is the clock of the process, because the processes of a site are on one machine.
"""

from __future__ import annotations

from datetime import datetime

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
