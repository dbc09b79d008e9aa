"""For the tests of sites that install the app: opens the seal, but only on a test database. The *seal* is the set of
database triggers that refuse to change or delete published editions and the records about them.

A test that itself changes or deletes a sealed row needs :func:`open_seal`. To empty the test database,
``TransactionTestCase``, ``LiveServerTestCase`` and pytest-django's ``transactional_db`` call the app's own command
``flush``, which opens the seal on a test database by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.creation import TEST_DATABASE_PREFIX

from agreement.seal import triggers


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


def is_test_database(connection: BaseDatabaseWrapper) -> bool:
    """Was this database made for tests? Only its name decides, because a process can't find out whether tests run.

    Yes for SQLite in memory, for ``DATABASES[…]["TEST"]["NAME"]`` and its numbered clones (``test --parallel``), for a
    mirror of such a database, and for any name that begins with ``test_``, as Django's own names do. If the name is a
    path, the name of the file must begin so.
    """
    name, test = str(connection.settings_dict["NAME"] or ""), connection.settings_dict["TEST"]
    if connection.vendor == "sqlite" and (name == ":memory:" or "mode=memory" in name):
        return True
    if PurePath(name).name.startswith(TEST_DATABASE_PREFIX):
        return True
    if test["MIRROR"]:
        primary = connections[test["MIRROR"]]
        return str(primary.settings_dict["NAME"]) == name and is_test_database(primary)
    if not test["NAME"]:
        return False
    # The number of a clone is before the extension of an SQLite file, and at the end of any other name.
    path = PurePath(str(test["NAME"]))
    stem, suffix = (str(path.with_suffix("")), path.suffix) if connection.vendor == "sqlite" else (str(path), "")
    return bool(re.fullmatch(rf"{re.escape(stem)}(_\d+)?{re.escape(suffix)}", name))
