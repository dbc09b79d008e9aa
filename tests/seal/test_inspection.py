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
    with django_assert_num_queries(6 if connection.vendor == "postgresql" else 1):
        assert differences() == []


SEALED = sorted(triggers.SEALS, key=lambda seal: seal.model)


@pytest.mark.parametrize("seal", SEALED, ids=lambda seal: seal.model)
def test_a_view_in_place_of_a_sealed_table_is_named(seal):
    table = MODELS[seal.model]._meta.db_table
    run([("PRAGMA legacy_alter_table = ON", [])] if connection.vendor == "sqlite" else [])
    _change(f"ALTER TABLE {table} RENAME TO hidden", f"CREATE VIEW {table} AS SELECT * FROM hidden")
    run([("PRAGMA legacy_alter_table = OFF", [])] if connection.vendor == "sqlite" else [])

    # The foreign keys of other tables now name the table that was renamed, so they are named too.
    sentence = f"{table} is not an ordinary table: a view or another kind of table stands in its place."
    assert sentence in differences()


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
            'CONSTRAINT "agreement_edition_not_backdated" CHECK (',
            'CONSTRAINT "agreement_edition_not_backdated" CHECK (1 OR ',
            "The constraint agreement_edition_not_backdated of the table agreement_edition is missing or not valid.",
        ),
        (
            "acceptance",
            'CONSTRAINT "agreement_acceptance_once" UNIQUE ("edition_id", ',
            'CONSTRAINT "agreement_acceptance_once" UNIQUE (',
            "The constraint agreement_acceptance_once of the table agreement_acceptance is missing or not valid.",
        ),
        (
            "acceptance",
            'REFERENCES "agreement_edition" ("id") DEFERRABLE INITIALLY DEFERRED',
            "",
            "The column edition_id of the table agreement_acceptance is missing, or its definition is altered.",
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
def test_disabled_foreign_keys_of_the_table_that_they_name_are_named() -> None:
    """Accounts could be deleted, and the rows about them would name nobody."""
    _change("ALTER TABLE auth_user DISABLE TRIGGER ALL")
    assert any("of a foreign key of the table auth_user is disabled" in said for said in differences())


@pytest.mark.postgresql
def test_a_table_of_the_same_name_that_hides_a_sealed_one_is_named() -> None:
    _change("CREATE TEMPORARY TABLE agreement_bounce (id bigint)")
    assert differences() == [
        "agreement_bounce is not an ordinary table: a view or another kind of table stands in its place."
    ]


_OUTCOME = "The column outcome of the table agreement_delivery is missing, or its definition is altered."
_NOTICE = "The column notice_id of the table agreement_delivery is missing, or its definition is altered."
_COMPLETE = (
    "The constraint agreement_delivery_outcome_complete of the table agreement_delivery is missing or not valid."
)


@pytest.mark.sqlite
@pytest.mark.parametrize(
    "sql",
    [
        'CREATE TRIGGER a BEFORE INSERT ON "AGREEMENT_ACCEPTANCE" BEGIN SELECT RAISE(IGNORE); END',
        "create  trigger a before insert on agreement_Acceptance begin select raise(ignore); end",
    ],
)
@pytest.mark.parametrize("kind", ["trigger", "Trigger", "index"])
def test_a_trigger_of_another_hand_is_named_in_any_case_and_of_any_kind_on_sqlite(sql, kind):
    _change(
        sql,
        "PRAGMA writable_schema = ON",
        f"UPDATE sqlite_master SET type = '{kind}' WHERE name = 'a'",
        "PRAGMA writable_schema = OFF",
    )
    assert differences() == ["The trigger a on the table agreement_acceptance is not part of the seal."]


def test_white_space_in_a_trigger_is_compared_too():
    """A no-break space in the modifier of strftime() makes the clock of SQLite NULL."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("SELECT sql FROM sqlite_master WHERE name = 'agreement_seal_acceptance_new'")
            (sql,) = cursor.fetchone()
        assert "-60 seconds" in sql
        _change("DROP TRIGGER agreement_seal_acceptance_new", sql.replace("60 seconds", "60\u00a0seconds"))
        wrong = ["new"]
    else:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_get_functiondef('agreement_seal_acceptance'::regproc)")
            (sql,) = cursor.fetchone()
        _change(sql.replace("60 seconds", "60  seconds").replace("%", "%%"))
        wrong = ["row", "written", "truncate"]
    assert differences() == [
        f"The trigger agreement_seal_acceptance_{name} is missing, disabled or altered." for name in wrong
    ]


@pytest.mark.postgresql
@pytest.mark.parametrize(
    ("change", "column", "table"),
    [
        ("ALTER TABLE agreement_delivery ALTER outcome DROP NOT NULL", "outcome", "agreement_delivery"),
        ("ALTER TABLE agreement_acceptance ALTER at TYPE timestamp", "at", "agreement_acceptance"),
        ("ALTER TABLE agreement_edition ALTER title TYPE varchar(9000)", "title", "agreement_edition"),
        ('ALTER TABLE agreement_edition ALTER body TYPE text COLLATE "C"', "body", "agreement_edition"),
        ("ALTER TABLE agreement_timestamp DROP COLUMN authority", "authority", "agreement_timestamp"),
        ("ALTER TABLE agreement_bounce ALTER reason SET DEFAULT 'x'", "reason", "agreement_bounce"),
        ("ALTER TABLE agreement_delivery ALTER pseudonym DROP DEFAULT", "pseudonym", "agreement_delivery"),
        ("ALTER TABLE agreement_delivery DROP CONSTRAINT agreement_delivery_rank_check", "rank", "agreement_delivery"),
    ],
)
def test_a_column_that_is_altered_is_named_on_postgresql(change: str, column: str, table: str) -> None:
    connection.check_constraints()
    _change(change)
    assert_named(f"The column {column} of the table {table} is missing, or its definition is altered.")


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            '"outcome" varchar(8) NOT NULL',
            '"outcome" varchar(8)',
            _OUTCOME,
        ),
        (
            '"outcome" varchar(8) NOT NULL',
            '"outcome" BLOB NOT NULL',
            _OUTCOME,
        ),
        (
            '"outcome" varchar(8) NOT NULL',
            '"outcome" varchar(8) NOT NULL COLLATE NOCASE',
            _OUTCOME,
        ),
        ('"outcome" varchar(8) NOT NULL', '"outcome" varchar(8) NOT NULL COLLATE\tNOCASE', _OUTCOME),
        ('"outcome" varchar(8) NOT NULL', '"outcome" varchar(8) NOT NULL ON CONFLICT IGNORE', _OUTCOME),
        ('"outcome" varchar(8) NOT NULL', "\"outcome\" varchar(8) NOT NULL DEFAULT 'sent'", _OUTCOME),
        ('"outcome" varchar(8) NOT NULL', "\"outcome\" varchar(8) NOT NULL GENERATED ALWAYS AS ('sent')", _OUTCOME),
        (
            '"id" integer NOT NULL PRIMARY KEY AUTOINCREMENT',
            '"id" integer NOT NULL',
            "The column id of the table agreement_delivery is missing, or its definition is altered.",
        ),
        (
            ' CHECK ("rank" >= 0)',
            "",
            "The column rank of the table agreement_delivery is missing, or its definition is altered.",
        ),
        (
            '"agreement_delivery_outcome_complete" CHECK (',
            '"agreement_delivery_outcome_complete" CHECK (1 OR ',
            _COMPLETE,
        ),
        # The text of the constraint is still in the statement.
        (' AND "outcome_at" IS NOT NULL))', ' AND "outcome_at" IS NOT NULL) OR 1)', _COMPLETE),
        (
            ' CHECK ("rank" >= 0)',
            ' /* CHECK ("rank" >= 0) */',
            "The column rank of the table agreement_delivery is missing, or its definition is altered.",
        ),
        (
            'CONSTRAINT "agreement_delivery_outcome_complete" CHECK (',
            (
                'CONSTRAINT "other" UNIQUE ("channel") ON CONFLICT REPLACE,'
                ' CONSTRAINT "agreement_delivery_outcome_complete" CHECK ('
            ),
            "The constraint or index other of the table agreement_delivery is not part of the models.",
        ),
        (
            'REFERENCES "agreement_notice" ("id")',
            'REFERENCES "agreement_notice" ("id") ON DELETE CASCADE',
            _NOTICE,
        ),
        (
            'REFERENCES "agreement_notice" ("id")',
            'REFERENCES "agreement_edition" ("id")',
            _NOTICE,
        ),
    ],
)
def test_a_table_that_is_altered_under_its_name_is_named_on_sqlite(old, new, sentence):
    with connection.cursor() as cursor:
        cursor.execute("SELECT sql FROM sqlite_master WHERE name = 'agreement_delivery'")
        (sql,) = cursor.fetchone()
        assert old in sql
        update = "UPDATE sqlite_master SET sql = %s WHERE name = 'agreement_delivery'"
        cursor.execute("PRAGMA writable_schema = ON")
        cursor.execute(update, [sql.replace(old, new)])
        cursor.execute("PRAGMA writable_schema = RESET")

    assert differences() == [sentence]

    with connection.cursor() as cursor:  # The rollback does not reset what this connection has parsed.
        cursor.execute("PRAGMA writable_schema = ON")
        cursor.execute(update, [sql])
        cursor.execute("PRAGMA writable_schema = RESET")
    assert differences() == []


@pytest.mark.sqlite
def test_a_unique_index_that_was_added_is_named_on_sqlite():
    """By its key, REPLACE would delete a sealed row that has another value in the keys of the model."""
    _change('CREATE UNIQUE INDEX "other" ON "agreement_delivery" ("channel")')
    assert differences() == ["The constraint or index other of the table agreement_delivery is not part of the models."]


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("kind", "statement", "sentence"),
    [
        (
            "TRIGGER",
            "CREATE TEMP TRIGGER other BEFORE INSERT ON main.agreement_bounce BEGIN SELECT RAISE(IGNORE); END",
            "The trigger other on the table agreement_bounce is not part of the seal.",
        ),
        *(
            (
                kind,
                f"CREATE TEMP {kind} agreement_bounce AS SELECT * FROM main.agreement_bounce",
                "agreement_bounce is not an ordinary table: a view or another kind of table stands in its place.",
            )
            for kind in ("TABLE", "VIEW")
        ),
    ],
)
def test_what_a_connection_has_for_itself_is_named_on_sqlite(kind, statement, sentence):
    _change(statement)
    try:
        assert differences() == [sentence]
    finally:
        _change(f"DROP {kind} temp.{'other' if kind == 'TRIGGER' else 'agreement_bounce'}")


@pytest.mark.sqlite
def test_a_unique_index_of_another_condition_is_named_on_sqlite():
    _change(
        "DROP INDEX agreement_edition_digest",
        'CREATE UNIQUE INDEX "agreement_edition_digest" ON "agreement_edition" ("digest") WHERE 0',
    )
    assert differences() == [
        "The constraint agreement_edition_digest of the table agreement_edition is missing or not valid."
    ]


@pytest.mark.sqlite
def test_a_unique_column_that_is_not_unique_any_more_is_named_on_sqlite():
    with connection.cursor() as cursor:
        cursor.execute("SELECT sql FROM sqlite_master WHERE name = 'agreement_notice'")
        (sql,) = cursor.fetchone()
        changed = sql.replace('"uuid" char(32) NOT NULL UNIQUE', '"uuid" char(32) NOT NULL')
        assert changed != sql
    _change(
        "ALTER TABLE agreement_notice RENAME TO hidden",
        changed.replace('"hidden"', '"agreement_notice"'),
    )
    assert "The column uuid of the table agreement_notice is missing, or its definition is altered." in differences()


@pytest.mark.postgresql
@pytest.mark.parametrize(("table", "column"), [("agreement_agreement", "slug"), ("agreement_notice", "uuid")])
@pytest.mark.parametrize("instead", ["", " WHERE FALSE"])
def test_a_unique_column_that_is_not_unique_any_more_is_named_on_postgresql(table, column, instead):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'u'"
            " AND pg_get_constraintdef(oid) = %s",
            [table, f"UNIQUE ({column})"],
        )
        (name,) = cursor.fetchone()
    _change(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    if instead:
        _change(f"CREATE UNIQUE INDEX other ON {table} ({column}){instead}")
    sentence = f"The unique index of the column {column} of the table {table} is missing or not valid."
    added = f"The constraint or index other of the table {table} is not part of the models."
    assert differences() == [added] * bool(instead) + [sentence]


@pytest.mark.postgresql
@pytest.mark.parametrize("relation", ["pg_trigger", "pg_class", "pg_constraint"])
def test_a_catalogue_of_another_schema_hides_nothing(relation: str) -> None:
    _change(
        "DROP TRIGGER agreement_seal_bounce_row ON agreement_bounce",
        "CREATE SCHEMA evil",
        f"CREATE TABLE evil.{relation} AS SELECT * FROM pg_catalog.{relation}",
        "SET LOCAL search_path = evil, pg_catalog, public",
    )
    assert differences() == [
        "Another schema precedes pg_catalog in the search_path, so its functions could hide what is altered.",
        "The trigger agreement_seal_bounce_row is missing, disabled or altered.",
    ]


@pytest.mark.postgresql
def test_a_temporary_catalogue_hides_nothing() -> None:
    _change(
        "DROP TRIGGER agreement_seal_bounce_row ON agreement_bounce",
        "CREATE TEMPORARY TABLE pg_trigger AS SELECT * FROM pg_catalog.pg_trigger WHERE FALSE",
    )
    assert differences() == ["The trigger agreement_seal_bounce_row is missing, disabled or altered."]


@pytest.mark.postgresql
def test_a_sealed_table_in_another_schema_than_the_others_is_named() -> None:
    _change("CREATE SCHEMA other", "ALTER TABLE agreement_bounce SET SCHEMA other")
    _change("SET LOCAL search_path = public, other")
    assert differences() == [
        "The table agreement_bounce is in the schema other, the other sealed tables in public.",
    ]


@pytest.mark.postgresql
@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            [
                "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
                (
                    "CREATE TRIGGER a BEFORE INSERT ON agreement_bounce FOR EACH ROW WHEN (NEW.id > 0)"
                    " EXECUTE FUNCTION nothing()"
                ),
            ],
            "The trigger a on the table agreement_bounce is not part of the seal.",
        ),
        (
            [
                "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
                (
                    "CREATE TRIGGER a AFTER UPDATE ON agreement_bounce FOR EACH ROW"
                    " WHEN (NEW.id > OLD.id) EXECUTE FUNCTION nothing()"
                ),
                "UPDATE pg_trigger SET tgisinternal = TRUE WHERE tgname = 'a'",
            ],
            "The trigger a on the table agreement_bounce is not part of the seal.",
        ),
        (
            [
                "DROP TRIGGER agreement_seal_bounce_row ON agreement_bounce",
                (
                    "CREATE TRIGGER agreement_seal_bounce_row BEFORE UPDATE OR DELETE ON agreement_bounce FOR EACH ROW"
                    " WHEN (OLD.id < 0) EXECUTE FUNCTION agreement_seal_bounce()"
                ),
            ],
            "The trigger agreement_seal_bounce_row is missing, disabled or altered.",
        ),
        (
            ["ALTER FUNCTION agreement_seal_bounce() STABLE"],
            "The trigger agreement_seal_bounce_row is missing, disabled or altered.",
        ),
        (
            [
                "DROP TRIGGER agreement_seal_bounce_written ON agreement_bounce",
                (
                    "CREATE CONSTRAINT TRIGGER agreement_seal_bounce_written AFTER UPDATE OR DELETE ON agreement_bounce"
                    " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION agreement_seal_bounce()"
                ),
            ],
            "The trigger agreement_seal_bounce_written is missing, disabled or altered.",
        ),
        (
            [
                "CREATE FUNCTION evil(bigint) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT TRUE'",
                "ALTER TABLE agreement_bounce ADD CONSTRAINT harmless CHECK (evil(id)) NOT VALID",
            ],
            "The constraint or index harmless of the table agreement_bounce is not part of the models.",
        ),
        (
            [
                "CREATE FUNCTION evil(bigint) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT TRUE'",
                "CREATE INDEX harmless ON agreement_bounce (evil(id))",
            ],
            "The constraint or index harmless of the table agreement_bounce is not part of the models.",
        ),
        (
            ["CREATE UNIQUE INDEX harmless ON agreement_delivery (channel)"],
            "The constraint or index harmless of the table agreement_delivery is not part of the models.",
        ),
        (
            [
                (
                    "ALTER TABLE agreement_bounce ADD CONSTRAINT harmless FOREIGN KEY (delivery_id)"
                    " REFERENCES agreement_delivery (id) ON DELETE CASCADE"
                ),
            ],
            "The constraint or index harmless of the table agreement_bounce is not part of the models.",
        ),
        (
            [
                (
                    "DO $$ DECLARE name text; BEGIN SELECT conname INTO name FROM pg_constraint"
                    " WHERE conrelid = 'agreement_bounce'::regclass AND contype = 'f';"
                    " EXECUTE format('ALTER TABLE agreement_bounce DROP CONSTRAINT %%I, ADD CONSTRAINT %%I"
                    " FOREIGN KEY (delivery_id) REFERENCES agreement_notice (id)', name, name); END $$"
                )
            ],
            "The foreign key of the column delivery_id of the table agreement_bounce is missing or not valid.",
        ),
        (
            [
                "ALTER TABLE agreement_delivery DROP CONSTRAINT agreement_delivery_outcome_complete",
                "ALTER TABLE agreement_delivery ADD CONSTRAINT agreement_delivery_outcome_complete CHECK (TRUE)",
            ],
            _COMPLETE,
        ),
        (
            [
                "DROP INDEX agreement_edition_digest",
                "CREATE UNIQUE INDEX agreement_edition_digest ON agreement_edition (digest) WHERE FALSE",
            ],
            "The constraint agreement_edition_digest of the table agreement_edition is missing or not valid.",
        ),
        (
            [
                "ALTER TABLE agreement_edition DROP CONSTRAINT agreement_edition_number",
                "CREATE UNIQUE INDEX agreement_edition_number ON agreement_edition (agreement_id, number, id)",
            ],
            "The constraint agreement_edition_number of the table agreement_edition is missing or not valid.",
        ),
        (
            ["ALTER TABLE agreement_consent DROP CONSTRAINT agreement_consent_pkey CASCADE"],
            "The unique index of the column id of the table agreement_consent is missing or not valid.",
        ),
        *(
            (
                [
                    "ALTER TABLE agreement_acceptance DROP CONSTRAINT agreement_acceptance_once",
                    (
                        "ALTER TABLE agreement_acceptance ADD CONSTRAINT agreement_acceptance_once"
                        f" UNIQUE {before} (edition_id, user_id, round) {after}"
                    ),
                ],
                "The constraint agreement_acceptance_once of the table agreement_acceptance is missing or not valid.",
            )
            for before, after in (("NULLS NOT DISTINCT", ""), ("", "DEFERRABLE INITIALLY DEFERRED"))
        ),
        # Another kind of constraint or index has the name of one of the models.
        *(
            (
                statements,
                f"The constraint or index agreement_{name} of the table agreement_{table} is not part of the models.",
            )
            for table, name, statements in (
                (
                    "bounce",
                    "bounce_reason_check",
                    ["ALTER TABLE agreement_bounce ADD CONSTRAINT agreement_bounce_reason_check CHECK (reason <> 'x')"],
                ),
                (
                    "edition",
                    "edition_digest",
                    ["ALTER TABLE agreement_edition ADD CONSTRAINT agreement_edition_digest CHECK (title <> 'x')"],
                ),
                (
                    "edition",
                    "edition_not_backdated",
                    ["CREATE UNIQUE INDEX agreement_edition_not_backdated ON agreement_edition (title)"],
                ),
                *(
                    (
                        "acceptance",
                        "acceptance_when",
                        ["DROP INDEX agreement_acceptance_when", f"CREATE {index}"],
                    )
                    for index in (
                        "UNIQUE INDEX agreement_acceptance_when ON agreement_acceptance (edition_id, at)",
                        "INDEX agreement_acceptance_when ON agreement_acceptance (edition_id, abs(id))",
                        "INDEX agreement_acceptance_when ON agreement_acceptance (edition_id, at) WHERE abs(id) > 0",
                    )
                ),
            )
        ),
        (
            [
                "ALTER TABLE agreement_delivery DROP CONSTRAINT agreement_delivery_outcome_complete",
                (
                    "ALTER TABLE agreement_delivery ADD CONSTRAINT agreement_delivery_outcome_complete"
                    " EXCLUDE USING btree (outcome WITH =, outcome_at WITH =)"
                ),
            ],
            _COMPLETE,
        ),
        (
            ["SET LOCAL session_replication_role = replica"],
            "session_replication_role is replica, so the triggers of the seal may not fire.",
        ),
        (
            ["CREATE ROLE fort_app", "ALTER ROLE fort_app SET session_replication_role = replica"],
            "session_replication_role is set for fort_app, so the triggers may not fire.",
        ),
    ],
)
def test_what_else_an_owner_changes_is_named_on_postgresql(changes: list[str], sentence: str) -> None:
    connection.check_constraints()
    _change(*changes)
    assert sentence in differences()


@pytest.mark.postgresql
@pytest.mark.parametrize(
    ("statements", "removable"),
    [
        (["CREATE ROLE fort_app", "SET LOCAL SESSION AUTHORIZATION fort_app"], False),
        (["CREATE ROLE fort_app CREATEROLE", "SET LOCAL SESSION AUTHORIZATION fort_app"], True),
        (["CREATE ROLE fort_app", "SET LOCAL ROLE fort_app"], True),  # SET ROLE NONE ends it.
        (
            [
                "CREATE ROLE fort_app",
                "CREATE SCHEMA evil",
                "CREATE TABLE evil.pg_roles AS SELECT * FROM pg_catalog.pg_roles WHERE FALSE",
                "SET LOCAL search_path = evil, pg_catalog, public",
            ],
            True,
        ),
    ],
)
def test_a_role_that_could_remove_the_triggers_is_recognised(statements: list[str], removable: bool) -> None:
    connection.check_constraints()
    _change(*statements)
    assert triggers.removable(connection, apps.get_model) is removable


def _unreadable_catalogue() -> None:
    connection.check_constraints()
    _change(
        "CREATE ROLE fort_app",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO fort_app",
        "REVOKE SELECT ON pg_catalog.pg_inherits FROM PUBLIC",
        "SET LOCAL SESSION AUTHORIZATION fort_app",
    )


@pytest.mark.postgresql
def test_a_catalogue_that_can_not_be_read_is_named_by_the_command() -> None:
    factories.published()
    _unreadable_catalogue()
    out = io.StringIO()
    with pytest.raises(CommandError, match="1 faults in 1 editions"):
        call_command("verify_editions", stdout=out, stderr=out)
    assert "The records can't be read: permission denied for table pg_inherits." in out.getvalue().splitlines()


@pytest.mark.postgresql
def test_a_catalogue_that_can_not_be_read_is_named_by_the_check() -> None:
    _unreadable_catalogue()
    (message,) = check_seal(None, ["default"])
    assert message.id == "agreement.E007"
    assert "can't be inspected: permission denied for table pg_inherits" in message.msg


class Elsewhere:
    vendor = "oracle"


def test_a_database_without_triggers_is_not_inspected() -> None:
    elsewhere: Any = Elsewhere()
    assert inspection.differences(elsewhere, apps.get_model) == []
