"""Django's ``flush``, which a sealed database refuses halfway: here it works, or says why before it starts.

Django's own test cases flush through this command too, so a site's transactional tests need no set-up.
"""

from __future__ import annotations

from typing import Any

from django.core.management.commands import flush
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from agreement import gate, pages, standing
from agreement.management import refusal
from agreement.models import Acceptance, Act, Agreement, Edition, NoticeText, TimeStamp, Withdrawal
from agreement.testing import is_test_database, open_seal


class Command(flush.Command):
    help = f"{flush.Command.help} Refused where editions are published, except on a test database."

    def handle(self, **options: Any) -> None:
        using = options["database"]
        if is_test_database(connections[using]):
            with open_seal(using):
                super().handle(**options)
            gate.forget()
            standing.forget()
            pages.forget()
            return
        if holds_sealed_rows(connections[using]):
            raise refusal(
                f"The database {str(connections[using].settings_dict['NAME'])!r} holds published editions"
                " or a log of acts, which are sealed: nothing was deleted.",
                "To begin again, make a new database; to keep these, export them first.",
            )
        super().handle(**options)


def holds_sealed_rows(connection: BaseDatabaseWrapper) -> bool:
    """Does this database hold what the seal guards, with triggers or without (at most 7 queries)?"""
    tables = set(connection.introspection.table_names())
    sealed = (
        Edition.objects.published(),
        Agreement.objects.exclude(head=""),
        NoticeText.objects.all(),
        Acceptance.objects.all(),
        TimeStamp.objects.all(),
        Withdrawal.objects.all(),
        Act.objects.all(),
    )
    return any(rows.model._meta.db_table in tables and rows.using(connection.alias).exists() for rows in sealed)
