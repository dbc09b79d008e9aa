"""Django's command ``flush``, adapted to a database with sealed rows.

Django's ``TransactionTestCase`` and the ``transactional_db`` fixture of pytest-django empty the database by calling the
*command* ``flush``. Django's own command fails halfway if there are sealed rows. Therefore the app replaces the
command. On a test database this command opens the seal, so that the tests of a site need no set-up, and then empties
the caches of the process. On any other database it refuses to start if :func:`has_sealed_rows` finds a row.
"""

from __future__ import annotations

from typing import Any

from django.core.management.commands import flush
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from agreement import memory
from agreement.management import command_error
from agreement.models import Acceptance, Agreement, AuditEntry, Edition, NoticeText, TimeStamp, Withdrawal
from agreement.testing import is_test_database, open_seal


class Command(flush.Command):
    help = f"{flush.Command.help} It refuses if editions are published, except on a test database."

    def handle(self, **options: Any) -> None:
        using = options["database"]
        if is_test_database(connections[using]):
            with open_seal(using):
                super().handle(**options)
            memory.clear()
            return
        if has_sealed_rows(connections[using]):
            raise command_error(
                f"The database {str(connections[using].settings_dict['NAME'])!r} contains published"
                " editions or audit entries, which are sealed. Nothing was deleted.",
                "To start again, create a new database. To keep the records, export them first.",
            )
        super().handle(**options)


def has_sealed_rows(connection: BaseDatabaseWrapper) -> bool:
    """Return whether this database contains a published edition, an agreement with a head of its chain, the text of a
    notice, an acceptance, a time stamp, a withdrawal or an audit entry, even if it has no triggers. Consents are not
    looked for. Tables that do not exist are passed over. At most 7 queries, and those that list the tables.
    """
    tables = set(connection.introspection.table_names())
    sealed = (
        Edition.objects.published(),
        Agreement.objects.exclude(head=""),
        NoticeText.objects.all(),
        Acceptance.objects.all(),
        TimeStamp.objects.all(),
        Withdrawal.objects.all(),
        AuditEntry.objects.all(),
    )
    return any(rows.model._meta.db_table in tables and rows.using(connection.alias).exists() for rows in sealed)
