"""The seal and migrations: it goes on and off with its own, and outlives any later one that rebuilds a table."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import IntegrityError, connection, migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.models import AlterModelManagers, AlterModelOptions
from django.db.migrations.state import ProjectState

from agreement.models import Edition, verification
from agreement.seal import inspection, triggers
from agreement.seal.operations import CloseSeal, OpenSeal
from tests.support import factories

# A rebuild needs SQLite's foreign keys off, which no transaction allows.
pytestmark = pytest.mark.django_db(transaction=True)

SEALED = {seal.model for seal in triggers.SEALS}


@pytest.fixture(autouse=True)
def migrated() -> Iterator[None]:
    yield
    call_command("migrate", verbosity=0)


def differences() -> list[str]:
    return inspection.differences(connection, apps.get_model)


def attack(edition: Edition, column: str = "body_kk") -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE agreement_edition SET {column} = {column} || 'x' WHERE id = %s", [edition.pk])


def assert_refused(edition: Edition, column: str = "body_kk") -> None:
    with pytest.raises(IntegrityError, match="agreement_edition is sealed"):
        attack(edition, column)


def test_the_migration_of_the_seal_drops_and_installs_the_triggers():
    edition = factories.published()

    call_command("migrate", "agreement", "0001", verbosity=0)
    every = [
        f"The trigger {name} is missing, disabled or altered."
        for seal in triggers.SEALS
        for name in (
            triggers.postgresql_events(seal)
            if connection.vendor == "postgresql"
            else triggers.sqlite_triggers(seal, apps.get_model("agreement", seal.model))
        )
    ]
    assert differences() == every != []
    assert not triggers.expected(connection)
    assert not triggers.any_installed(connection)

    call_command("migrate", "agreement", triggers.MIGRATION, verbosity=0)
    assert differences() == []
    assert triggers.expected(connection)
    assert_refused(edition)


# A later migration, which adds a column with a default: on SQLite that rebuilds the table.

ADD = migrations.AddField("edition", "remark", models.CharField(max_length=20, default="none"))


class Later:
    """A throw-away migration of ours, applied to the database alone; taken back at the end."""

    def __init__(self, *operations: migrations.operations.base.Operation) -> None:
        self.migration = migrations.Migration("9999_later", "agreement")
        self.migration.operations = list(operations)
        self.before: ProjectState = MigrationLoader(connection).project_state()

    def __enter__(self) -> None:
        with connection.schema_editor(atomic=True) as editor:
            self.migration.apply(self.before.clone(), editor)

    def __exit__(self, *exception: object) -> None:
        with connection.schema_editor(atomic=True) as editor:
            self.migration.unapply(self.before.clone(), editor)


def test_a_migration_that_opens_and_closes_the_seal_installs_it_on_the_new_table():
    edition = factories.published()

    with Later(OpenSeal(), ADD, CloseSeal()):
        assert_refused(edition)
        assert_refused(edition, "remark")

    assert differences() == []
    assert_refused(edition)


def test_a_migration_without_the_operations_loses_the_triggers_on_sqlite_until_migrate_ends():
    edition = factories.published()

    with Later(ADD):
        if connection.vendor == "sqlite":
            assert differences() == [
                f"The trigger agreement_seal_edition_{event} is missing, disabled or altered."
                for event in ("update", "delete", "insert", "collide", "new", "become")
            ]
            attack(edition)
        else:
            assert differences() == []

        call_command("migrate", verbosity=0)

        assert differences() == []
        assert_refused(edition)
        if connection.vendor == "postgresql":  # Whole rows are compared, so the new column is sealed too.
            assert_refused(edition, "remark")


def test_verify_finds_what_was_changed_while_the_triggers_were_lost():
    edition = factories.published()
    triggers.remove(connection, apps.get_model)
    attack(edition)
    triggers.install(connection, apps.get_model)

    assert [row for row, _sentence in verification.faults()] == [edition] * 2


def test_rows_written_by_the_migration_itself_do_not_keep_the_seal_open():
    edition = factories.published()

    def copy(apps, schema_editor):
        model = apps.get_model("agreement", "Edition")
        model.objects.create(agreement_id=edition.agreement_id, notice_days=1)
        model.objects.update(notice_days=2)

    with Later(OpenSeal(), migrations.RunPython(copy, migrations.RunPython.noop), CloseSeal()):
        assert differences() == []

    assert set(Edition.objects.values_list("notice_days", flat=True)) == {2}
    assert_refused(edition)


def _model(operation: migrations.operations.base.Operation) -> str:
    names = (getattr(operation, attribute, "") for attribute in ("model_name", "old_name", "name"))
    return next(filter(None, names), "").lower()


def forgets_the_seal(migration: migrations.Migration) -> bool:
    """Does it touch a sealed table without opening the seal first and closing it last?"""
    operations = migration.operations
    touched = {
        _model(operation)
        for operation in operations
        if not isinstance(operation, (AlterModelManagers, AlterModelOptions))
    }
    # What Python does to sealed rows the triggers refuse; SQL of one's own may rebuild a table.
    sql = " ".join(str(operation.sql) for operation in operations if isinstance(operation, migrations.RunSQL))
    blind = any(f"agreement_{model}" in sql for model in SEALED)
    if not blind and not touched & SEALED:
        return False
    return type(operations[0]) is not OpenSeal or type(operations[-1]) is not CloseSeal


def test_every_migration_after_the_seal_that_touches_a_sealed_table_opens_and_closes_it():
    ours = {
        name: migration
        for (label, name), migration in MigrationLoader(None).disk_migrations.items()
        if label == "agreement" and name > triggers.MIGRATION
    }
    assert [name for name, migration in ours.items() if forgets_the_seal(migration)] == []


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        ([ADD], True),
        ([OpenSeal(), ADD], True),
        ([ADD, CloseSeal()], True),
        ([CloseSeal(), ADD, OpenSeal()], True),
        ([OpenSeal(), ADD, CloseSeal()], False),
        ([migrations.RenameModel("Edition", "Version")], True),
        ([migrations.DeleteModel("NoticeText")], True),
        ([migrations.RunSQL("ALTER TABLE agreement_noticetext ADD x integer")], True),
        ([migrations.RunSQL("CREATE INDEX x ON agreement_progress (notice_id)")], False),
        ([migrations.AddField("progress", "remark", models.TextField(default=""))], False),
        ([migrations.AlterModelOptions("edition", {"verbose_name": "edition"})], False),
    ],
)
def test_the_rule_above_finds_every_operation_on_a_sealed_table(operations, expected):
    migration = migrations.Migration("9999_later", "agreement")
    migration.operations = operations
    assert forgets_the_seal(migration) is expected


def test_the_migrations_agree_with_the_models():
    out = StringIO()
    call_command("makemigrations", "agreement", check=True, dry_run=True, stdout=out)
    assert "No changes detected" in out.getvalue()
