"""The inspection: what the owner of the tables removes, replaces, alters or adds is named, and the command fails."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection

from agreement.checks.seal import check_seal
from agreement.seal import inspection, triggers
from agreement.status.report import Level, status
from tests.support import factories
from tests.support.attacks import MODELS, run

pytestmark = pytest.mark.django_db


def differences() -> list[str]:
    return inspection.differences(connection, apps.get_model)


def _change(*statements: str) -> None:
    run([(sql, []) for sql in statements])


def assert_named(sentence: str) -> None:
    """All who look say it: the function, the command, the check and the status."""
    factories.published()
    assert sentence in differences()

    out = io.StringIO()
    with pytest.raises(CommandError, match="faults"):
        call_command("verify_editions", stdout=out, stderr=out)
    assert sentence in out.getvalue().splitlines()

    said = sentence[:1].lower() + sentence[1:]
    assert [message.id for message in check_seal(None, ["default"]) if said in message.msg] == ["agreement.E007"]
    report = status()
    assert report.level is Level.ACT
    assert said.rstrip(".") in report.problems


def test_nothing_differs_after_migrate(django_assert_num_queries):
    with django_assert_num_queries(3 if connection.vendor == "postgresql" else 2):
        assert differences() == []


SEALED = sorted(triggers.SEALS, key=lambda seal: seal.model)


@pytest.mark.parametrize("seal", SEALED, ids=lambda seal: seal.model)
def test_a_view_in_place_of_a_sealed_table_is_named(seal):
    table = MODELS[seal.model]._meta.db_table
    run([("PRAGMA legacy_alter_table = ON", [])] if connection.vendor == "sqlite" else [])
    _change(f"ALTER TABLE {table} RENAME TO hidden", f"CREATE VIEW {table} AS SELECT * FROM hidden")
    run([("PRAGMA legacy_alter_table = OFF", [])] if connection.vendor == "sqlite" else [])

    assert differences() == [f"{table} is not an ordinary table: a view or another kind of table stands in its place."]


@pytest.mark.parametrize("seal", SEALED, ids=lambda seal: seal.model)
def test_a_sealed_table_that_is_gone_is_named(seal):
    table = MODELS[seal.model]._meta.db_table
    if connection.vendor == "sqlite":
        _change("PRAGMA legacy_alter_table = ON", f"ALTER TABLE {table} RENAME TO hidden")
        _change("PRAGMA legacy_alter_table = OFF")
    else:
        _change(f"DROP TABLE {table} CASCADE")

    assert f"The table {table} does not exist." in differences()
    out = io.StringIO()
    with pytest.raises(CommandError, match="faults in"):
        call_command("verify_editions", stdout=out, stderr=out)
    assert f"The table {table} does not exist." in out.getvalue().splitlines()


def test_a_table_that_is_gone_is_said_by_the_command_the_check_and_the_status():
    _change("DROP TABLE agreement_timestamp")
    assert_named("The table agreement_timestamp does not exist.")


def test_a_view_is_said_by_the_command_the_check_and_the_status():
    _change("ALTER TABLE agreement_bounce RENAME TO hidden", "CREATE VIEW agreement_bounce AS SELECT * FROM hidden")
    assert_named("agreement_bounce is not an ordinary table: a view or another kind of table stands in its place.")


def test_a_trigger_of_another_hand_is_said_by_the_command_the_check_and_the_status():
    """One that returns NULL would make a cancellation do nothing."""
    if connection.vendor == "sqlite":
        _change("CREATE TRIGGER a BEFORE UPDATE ON agreement_edition BEGIN SELECT RAISE(IGNORE); END")
    else:
        _change(
            "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
            "CREATE TRIGGER a BEFORE UPDATE ON agreement_edition FOR EACH ROW EXECUTE FUNCTION nothing()",
        )
    assert_named("The trigger a on the table agreement_edition is not part of the seal.")


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("model", "old", "new", "sentence"),
    [
        (
            "edition",
            'CONSTRAINT "agreement_edition_not_backdated" CHECK',
            'CONSTRAINT "other" CHECK',
            "The constraint agreement_edition_not_backdated of the table agreement_edition is missing or not valid.",
        ),
        (
            "acceptance",
            'CONSTRAINT "agreement_acceptance_once" UNIQUE',
            'CONSTRAINT "other" UNIQUE',
            "The constraint agreement_acceptance_once of the table agreement_acceptance is missing or not valid.",
        ),
        (
            "acceptance",
            'REFERENCES "agreement_edition" ("id") DEFERRABLE INITIALLY DEFERRED',
            "",
            "The foreign key of the column edition_id of the table agreement_acceptance is missing or not valid.",
        ),
    ],
)
def test_a_constraint_that_is_gone_is_named_on_sqlite(model, old, new, sentence):
    with connection.cursor() as cursor:
        table = f"agreement_{model}"
        cursor.execute("SELECT sql FROM sqlite_master WHERE name = %s", [table])
        (sql,) = cursor.fetchone()
        assert old in sql
        cursor.execute("PRAGMA writable_schema = ON")
        cursor.execute("UPDATE sqlite_master SET sql = %s WHERE name = %s", [sql.replace(old, new), table])
        cursor.execute("PRAGMA writable_schema = RESET")

    assert differences() == [sentence]

    with connection.cursor() as cursor:  # The rollback does not reset what this connection has parsed.
        cursor.execute("PRAGMA writable_schema = ON")
        cursor.execute("UPDATE sqlite_master SET sql = %s WHERE name = %s", [sql, table])
        cursor.execute("PRAGMA writable_schema = RESET")
    assert differences() == []


@pytest.mark.sqlite
def test_a_unique_index_that_is_gone_is_named_on_sqlite():
    _change("DROP INDEX agreement_edition_digest")
    assert differences() == [
        "The constraint agreement_edition_digest of the table agreement_edition is missing or not valid."
    ]


_EDITION = "The table agreement_edition"


@pytest.mark.postgresql
@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            ["CREATE ROLE fort_other", "ALTER TABLE agreement_edition OWNER TO fort_other"],
            # Its function has another owner.
            "The trigger agreement_seal_edition_row is missing, disabled or altered.",
        ),
        (
            [
                "CREATE ROLE fort_other",
                "ALTER TABLE agreement_edition OWNER TO fort_other",
                "GRANT CREATE ON SCHEMA public TO fort_other",
                "ALTER FUNCTION agreement_seal_edition() OWNER TO fort_other",
            ],
            f"{_EDITION} belongs to the role fort_other, the other sealed tables to {{owner}}.",
        ),
        (
            ["CREATE TABLE child () INHERITS (agreement_edition)"],
            f"{_EDITION} inherits from another table, or another table inherits from it.",
        ),
        (
            ["CREATE RULE nothing AS ON UPDATE TO agreement_edition DO INSTEAD NOTHING"],
            f"{_EDITION} has a rewrite rule.",
        ),
        (
            ["ALTER TABLE agreement_edition ENABLE ROW LEVEL SECURITY"],
            f"{_EDITION} has row security, which hides rows.",
        ),
        (
            ["ALTER TABLE agreement_bounce SET UNLOGGED"],
            "agreement_bounce is not an ordinary table: a view or another kind of table stands in its place.",
        ),
        (
            ["ALTER FUNCTION agreement_seal_edition() SECURITY DEFINER"],
            "The trigger agreement_seal_edition_row is missing, disabled or altered.",
        ),
        (
            ["ALTER FUNCTION agreement_seal_edition() SET role = 'postgres'"],
            "The trigger agreement_seal_edition_row is missing, disabled or altered.",
        ),
        (
            ["ALTER TABLE agreement_edition DROP CONSTRAINT agreement_edition_not_backdated"],
            "The constraint agreement_edition_not_backdated of the table agreement_edition is missing or not valid.",
        ),
        (
            [
                "ALTER TABLE agreement_edition DROP CONSTRAINT agreement_edition_not_backdated",
                (
                    "ALTER TABLE agreement_edition ADD CONSTRAINT agreement_edition_not_backdated"
                    " CHECK (effective_from >= published_at) NOT VALID"
                ),
            ],
            "The constraint agreement_edition_not_backdated of the table agreement_edition is missing or not valid.",
        ),
        (
            ["DROP INDEX agreement_edition_one_in_force"],
            "The constraint agreement_edition_one_in_force of the table agreement_edition is missing or not valid.",
        ),
        (
            ["UPDATE pg_index SET indisvalid = FALSE WHERE indexrelid = 'agreement_edition_digest'::regclass"],
            "The constraint agreement_edition_digest of the table agreement_edition is missing or not valid.",
        ),
        (
            [
                (
                    "DO $$ DECLARE name text; BEGIN SELECT conname INTO name FROM pg_constraint"
                    " WHERE conrelid = 'agreement_bounce'::regclass AND contype = 'f';"
                    " EXECUTE format('ALTER TABLE agreement_bounce DROP CONSTRAINT %%I', name); END $$"
                )
            ],
            "The foreign key of the column delivery_id of the table agreement_bounce is missing or not valid.",
        ),
    ],
)
def test_what_an_owner_changes_is_named_on_postgresql(changes: list[str], sentence: str) -> None:
    connection.check_constraints()
    with connection.cursor() as cursor:
        for sql in changes:
            cursor.execute(sql.replace("%%", "%"))
    assert_named(sentence.replace("{owner}", connection.settings_dict["USER"]))


@pytest.mark.postgresql
def test_disabled_foreign_keys_are_named() -> None:
    _change("ALTER TABLE agreement_bounce DISABLE TRIGGER ALL")
    assert any("of a foreign key of the table agreement_bounce is disabled" in said for said in differences())


@pytest.mark.postgresql
def test_a_table_of_the_same_name_that_hides_a_sealed_one_is_named() -> None:
    _change("CREATE TEMPORARY TABLE agreement_bounce (id bigint)")
    assert differences() == [
        "agreement_bounce is not an ordinary table: a view or another kind of table stands in its place."
    ]


class Elsewhere:
    vendor = "oracle"


def test_a_database_without_triggers_is_not_inspected() -> None:
    elsewhere: Any = Elsewhere()
    assert inspection.differences(elsewhere, apps.get_model) == []
