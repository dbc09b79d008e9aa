"""Tells whether the database of the gate is away, or whether it may only be busy."""

from __future__ import annotations

import os
import socket
import time
from threading import Lock

from django.db import connections, router
from django.db.backends.base.base import BaseDatabaseWrapper

from agreement import memory
from agreement.models import Acceptance, Edition

#: How long the server of a database has to answer, in seconds. A server that needs longer may only be busy.
ANSWER_SECONDS = 2
#: For how many seconds a database that was found busy is not asked again, because each question is a connection.
BUSY_SECONDS = 5


def is_away(error: Exception) -> bool:
    """Return whether the database is certainly away, after a query of the gate raised this error. If editions are read
    from one database and acceptances written to another, the answer is yes if either of them is away.

    Load alone must not open the gate, so the answer is no whenever the database may only be busy: it has too many
    connections, a pool has none left, a statement took too long, a file is locked, the process has no file descriptors
    left, or the server does not answer within ``ANSWER_SECONDS``.

    PostgreSQL is away only if there was no connection, it broke or it could not be made, and the server, which is then
    asked, can't be reached, accepts no network connection, is starting or is shutting down. The answer is no if the
    server responds in another way, for example because it has too many connections or refuses the password. The answer
    is no, and the server is not asked, if it reported the error on an open connection, if psycopg or a pool reported a
    time-out, and if the site uses psycopg 2 and not psycopg 3. If the server was asked and may be busy, it is not asked
    for ``BUSY_SECONDS``, and the answer is no.

    SQLite is away if its file can't be read and written; a database in memory, or one whose ``NAME`` begins with
    ``file:``, is never away. Of any other database it is not known: the answer is no.
    """
    aliases = {router.db_for_read(Edition), router.db_for_write(Acceptance)}
    return any(_is_away(connections[alias], error) for alias in aliases)


def _is_away(connection: BaseDatabaseWrapper, error: Exception) -> bool:
    if connection.vendor == "postgresql":
        return _postgresql_is_away(connection, error)
    name = str(connection.settings_dict["NAME"])
    in_memory = name.startswith((":memory:", "file:"))
    return connection.vendor == "sqlite" and not in_memory and not os.access(name, os.R_OK | os.W_OK)


def _postgresql_is_away(connection: BaseDatabaseWrapper, error: Exception) -> bool:
    global _busy_until
    try:
        from psycopg import OperationalError
    except ImportError:
        return False
    # An answer of the server has a class of its own, and so has a time-out of psycopg or of its pool. What is left is
    # that there was no connection, or that the server refused one: libpq does not pass on why.
    if type(error.__cause__) is not OperationalError:
        return False
    with _asking:
        if time.monotonic() < _busy_until:
            return False
        away = _refuses(connection)
        _busy_until = 0.0 if away else time.monotonic() + BUSY_SECONDS
    return away


def _refuses(connection: BaseDatabaseWrapper) -> bool:
    """Return ``True`` if the PostgreSQL server can't be reached, refuses connections, or is starting or shutting down.
    Return ``False`` if it answers in another way or does not answer within ``ANSWER_SECONDS``, or if this process can't
    open a socket. An attempt to connect that fails only after half of ``ANSWER_SECONDS`` counts as no answer.
    """
    from psycopg import conninfo, pq

    names = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    params = {key: value for key, value in connection.get_connection_params().items() if key in names}
    parameters = conninfo.make_conninfo(**params | {"connect_timeout": ANSWER_SECONDS}).encode()
    try:
        socket.socket().close()
    except OSError:  # This process can't open any connection.
        return False
    began = time.monotonic()
    answer = pq.PGconn.ping(parameters)
    if answer == pq.Ping.NO_RESPONSE:
        # A refusal comes at once. libpq counts the seconds of its time-out with another clock, and may end early.
        return time.monotonic() - began < ANSWER_SECONDS / 2
    return answer == pq.Ping.REJECT


_asking = Lock()
_busy_until = 0.0
"""Until that value of the monotonic clock, no database is asked whether it is away."""


def clear() -> None:
    """Forget that a database was found busy: at the next error it is asked again, even within ``BUSY_SECONDS``."""
    global _busy_until
    _busy_until = 0.0


memory.register(__name__, clear)
