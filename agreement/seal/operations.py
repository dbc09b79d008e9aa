"""Migration operations that drop and install the triggers of the seal."""

from __future__ import annotations

from collections.abc import Callable

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from agreement.seal.loss import refuse_loss
from agreement.seal.triggers import VENDORS, GetModel, install, remove


class CloseSeal(Operation):
    """Migration operation that installs the triggers of the seal for the models at that point of the migrations. Its
    reverse drops them. It does nothing on a database that is not in ``VENDORS``, or if a router keeps the editions out
    of the database.

    It is the last operation of a migration that changes a sealed table, and ``OpenSeal`` is the first.
    """

    reversible = True
    reduces_to_sql = False

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        pass

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        self._apply(schema_editor, to_state, install)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        self._apply(schema_editor, to_state, remove)

    def describe(self) -> str:
        return "Install the triggers of the seal"

    def _apply(
        self,
        schema_editor: BaseDatabaseSchemaEditor,
        state: ProjectState,
        verb: Callable[[BaseDatabaseWrapper, GetModel], None],
    ) -> None:
        connection = schema_editor.connection
        model = state.apps.get_model("agreement", "edition")
        if connection.vendor in VENDORS and self.allow_migrate_model(connection.alias, model):
            verb(connection, state.apps.get_model)


class OpenSeal(CloseSeal):
    """Migration operation that drops the triggers of the seal, before the changes to a sealed table. Its reverse
    installs them. It does nothing on a database that is not in ``VENDORS``, or if a router keeps the editions out of
    the database.
    """

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        self._apply(schema_editor, to_state, remove)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        self._apply(schema_editor, to_state, install)

    def describe(self) -> str:
        return "Drop the triggers of the seal"


class BeginSeal(CloseSeal):
    """Migration operation that installs the triggers of the seal for the first time, as ``CloseSeal`` does. Its reverse
    raises ``CommandError`` if there is a sealed row, unless the database is a test database. Otherwise it drops the
    triggers. ``migrate agreement zero`` runs the reverse before it drops the tables, so sealed rows are not lost.
    """

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        refuse_loss(schema_editor.connection, to_state.apps.get_model)
        super().database_backwards(app_label, schema_editor, from_state, to_state)
