"""Keeps ``flush``, and the reverse of the migration that seals the rows, from deleting sealed rows, except on a test
database.
"""

from __future__ import annotations

import re
from pathlib import PurePath

from django.core.management.base import CommandError
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.creation import TEST_DATABASE_PREFIX

from agreement.seal.triggers import GetModel, present


def refuse_loss(connection: BaseDatabaseWrapper, get_model: GetModel) -> None:
    """Raise ``CommandError`` if this database has a sealed row, with or without triggers, and is not a test database.
    Tables that do not exist, and models that ``get_model`` does not know, are passed over. ``get_model(app_label,
    name)`` returns a model or raises ``LookupError``, as ``apps.get_model`` does. At most 1 query for each sealed
    table, and 1 that lists the tables; none on a test database.
    """
    if is_test_database(connection):
        return
    with connection.cursor() as cursor:
        for seal, model in present(connection, get_model):
            table = connection.ops.quote_name(model._meta.db_table)
            cursor.execute(f"SELECT 1 FROM {table} AS stored WHERE {seal.where('stored')} LIMIT 1")  # noqa: S608 - only names and constants of the app
            if cursor.fetchone():
                raise CommandError(
                    f"The database {str(connection.settings_dict['NAME'])!r} contains published editions or audit"
                    " entries, which are sealed. Nothing was deleted. To start again, create a new database. To keep"
                    " the records, export them first."
                )


def is_test_database(connection: BaseDatabaseWrapper) -> bool:
    """Was this database made for tests? Its name and its settings decide, because a process can't find out whether
    tests run.

    Yes for SQLite in memory, for ``DATABASES[…]["TEST"]["NAME"]`` and its numbered clones (``test --parallel``), and
    for a name that begins with ``test_``, as Django's own names do. If the name is a path, the name of the file must
    begin so. For a mirror (``TEST["MIRROR"]``) that has the same name as its primary database, the answer is that for
    the primary database.
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
