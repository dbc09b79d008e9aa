"""For the tests of sites that install the app: opens the seal, which is a set of database triggers, but only on a test
database.

A test that itself changes or deletes a sealed row needs :func:`open_seal`. ``TransactionTestCase`` and pytest-django's
``transactional_db`` need nothing: they empty the test database by the app's own command ``flush``, which opens the seal
by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, connections

from agreement.seal import triggers
from agreement.seal.loss import is_test_database

__all__ = ["open_seal"]


@contextmanager
def open_seal(using: str = DEFAULT_DB_ALIAS) -> Iterator[None]:
    """Context manager: inside the block, a test may change and delete sealed rows of the database with the alias
    ``using``. The triggers are removed at the beginning of the block and installed again at its end, also after an
    error. If the database has no triggers, the block runs and nothing else is done.

    If the block is inside a transaction and ends with an error, everything that was done in the block is rolled back.
    Outside a transaction it is not. Raises ``RuntimeError`` if the database is not a test database, with triggers or
    without.
    """
    connection = connections[using]
    if not is_test_database(connection):
        msg = (
            f"{str(connection.settings_dict['NAME'])!r} is not a test database, so its seal can't be opened."
            " Call open_seal() in a test run, on the database the run has made."
        )
        raise RuntimeError(msg)
    if not triggers.any_installed(connection):
        yield
        return
    # Not get_model(): a test case with available_apps may hide the app, but its triggers remain.
    with triggers.opened(connection, apps.get_registered_model):
        yield
