"""Django's command ``flush``, adapted to a database with sealed rows.

Django's ``TransactionTestCase`` and the ``transactional_db`` fixture of pytest-django empty the database by calling
this command. On a test database (:func:`agreement.seal.loss.is_test_database`) it opens the seal, so that the tests of
a site need no set-up, and empties the database. Then it empties the caches of the process. On any other database it
refuses to start if there is a sealed row.
"""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.core.management.commands import flush
from django.db import connections

from agreement import memory
from agreement.seal.loss import is_test_database, refuse_loss
from agreement.testing import open_seal


class Command(flush.Command):
    help = f"{flush.Command.help} It refuses if editions are published, except on a test database."

    def handle(self, **options: Any) -> None:
        using = options["database"]
        if is_test_database(connections[using]):
            with open_seal(using):
                super().handle(**options)
            memory.clear()
            return
        refuse_loss(connections[using], apps.get_registered_model)
        super().handle(**options)
