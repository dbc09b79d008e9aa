"""The clock of the database. Several machines share it, and the application can't choose what it shows."""

from __future__ import annotations

from datetime import datetime

from django.db import connections
from django.utils import timezone


def database_now(using: str) -> datetime:
    """Return the present moment by the clock of that database, which is given by alias.

    1 query on PostgreSQL. Other databases are not asked: the result is the clock of this process. An SQLite file is
    used by processes of one machine, so that is the same clock.
    """
    connection = connections[using]
    if connection.vendor != "postgresql":
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (now,) = cursor.fetchone()
    moment: datetime = now
    return moment
