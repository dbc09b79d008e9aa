"""The seal in the database: triggers on SQLite and PostgreSQL that refuse to change or delete what is sealed.

They refuse every SQL statement that would do so: ``save()``, ``update()``, bulk calls, cascades, ``REPLACE``, upserts,
``MERGE`` and ``TRUNCATE``, also from a shell. A database role that may drop the triggers can still change the rows. The
command ``verify_editions`` then finds a change to what the manifest of an edition contains, or to the text of a notice,
because the digest no longer matches. The triggers work on every connection, because they use no function that only
Django defines.

A migration that changes a sealed table begins with ``OpenSeal`` and ends with ``CloseSeal`` (``seal.operations``).
SQLite alters a table by rebuilding it, and silently drops its triggers. For the same reason no trigger names a table
other than its own, and missing triggers are installed again after every ``migrate``. On PostgreSQL the functions do not
use the ``search_path`` of the caller. Otherwise a function or table of the caller could replace the one that is meant.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import models, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder

#: The databases for which this module has triggers.
VENDORS = frozenset({"postgresql", "sqlite"})
#: The migration that installs the triggers; before it there is nothing to reinstall.
MIGRATION = "0002_seal"

GetModel = Callable[[str, str], type[models.Model]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """What is sealed in one table.

    ``model`` is the name of the model in lower case. ``sealed`` is the condition of a sealed row, in SQL that both
    databases understand, with ``{row}`` in place of the name of the row. A sealed row can't be deleted. Only its
    ``mutable`` columns can change; if ``frozen`` is not empty, all columns but the ``frozen`` ones. A change to a
    sealed row for which the condition ``forbidden`` on ``OLD`` and ``NEW`` is true is refused too; ``""`` is none.

    ``keys`` are the unique keys by which SQLite's ``REPLACE`` would delete a sealed row. Each has a further condition
    on the two rows, ``stored`` and ``NEW``; ``""`` is none. A test compares the keys with the model's constraints.
    """

    model: str
    sealed: str
    keys: tuple[tuple[tuple[str, ...], str], ...]
    frozen: tuple[str, ...] = ()
    mutable: tuple[str, ...] = ()
    forbidden: str = ""

    @property
    def name(self) -> str:
        """The beginning of the names of the triggers of this table: ``agreement_seal_`` and the name of the model. On
        PostgreSQL it is also the name of their function.
        """
        return f"agreement_seal_{self.model}"

    def where(self, row: str) -> str:
        """The condition, in SQL, that a row is sealed. ``row`` is the name of the row in the statement, such as
        ``OLD``.
        """
        return self.sealed.format(row=row)


_NOW = {
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f', 'now')",
    "postgresql": "clock_timestamp()",
}


def _personal(*columns: str) -> str:
    """The condition of a forbidden change to a row about a person, in SQL.

    It is forbidden to give the row to another account, to restore its removed link to an account, to change the moments
    ``account_deleted_at`` and ``erased_at`` once they are set, and to change a personal column, except to empty it in a
    row whose ``erased_at`` is set, by the same statement or before. ``columns`` are the personal columns.
    """
    return (
        "(OLD.account_deleted_at IS NOT NULL AND (NEW.account_deleted_at IS NULL"
        " OR NEW.account_deleted_at <> OLD.account_deleted_at))"
        " OR (NEW.user_id IS NOT NULL AND (OLD.user_id IS NULL OR NEW.user_id <> OLD.user_id))"
        " OR (OLD.erased_at IS NOT NULL AND (NEW.erased_at IS NULL OR NEW.erased_at <> OLD.erased_at))"
        + "".join(
            f" OR (NEW.{column} <> OLD.{column} AND (NEW.{column} <> '' OR NEW.erased_at IS NULL))"
            for column in columns
        )
    )


_SEARCH_PATH = "search_path = pg_catalog, pg_temp"

SEALS = (
    Seal(
        model="agreement",
        sealed="{row}.head <> ''",
        frozen=("id", "slug"),
        forbidden="NEW.head = ''",
        keys=((("id",), ""), (("slug",), "")),
    ),
    Seal(
        model="edition",
        sealed="{row}.published_at IS NOT NULL",
        mutable=("cancelled_at",),
        forbidden=(
            "(OLD.cancelled_at IS NOT NULL AND (NEW.cancelled_at IS NULL OR NEW.cancelled_at <> OLD.cancelled_at))"
            " OR (OLD.cancelled_at IS NULL AND NEW.cancelled_at IS NOT NULL AND OLD.effective_from <= {now})"
        ),
        keys=(
            (("id",), ""),
            (("agreement_id", "number"), ""),
            (("agreement_id", "effective_from"), "stored.cancelled_at IS NULL AND NEW.cancelled_at IS NULL"),
            (("digest",), ""),
            (("agreement_id", "previous_digest"), "NEW.digest <> ''"),
        ),
    ),
    Seal(
        model="noticetext",
        sealed="{row}.id IS NOT NULL",
        keys=((("id",), ""), (("notice_id", "channel", "language", "since"), "")),
    ),
    Seal(
        model="timestamp",
        sealed="{row}.id IS NOT NULL",
        keys=((("id",), ""), (("edition_id", "authority"), "")),
    ),
    # An account may be deleted at any time. An erasure empties the other personal columns once and sets ``erased_at``.
    Seal(
        model="acceptance",
        sealed="{row}.id IS NOT NULL",
        mutable=(
            *("user_id", "account_deleted_at", "pseudonym", "pseudonym_key", "ip", "user_agent", "reason", "erased_at"),
        ),
        forbidden=(
            _personal("pseudonym", "pseudonym_key", "user_agent", "reason")
            + " OR (NEW.ip IS NOT NULL AND (OLD.ip IS NULL OR NEW.ip <> OLD.ip))"
            " OR (NEW.ip IS NULL AND OLD.ip IS NOT NULL AND NEW.erased_at IS NULL)"
        ),
        keys=((("id",), ""), (("edition_id", "user_id", "round"), "")),
    ),
    Seal(
        model="withdrawal",
        sealed="{row}.id IS NOT NULL",
        mutable=(
            *("user_id", "account_deleted_at", "pseudonym", "pseudonym_key", "applicant", "application_number", "scan"),
            *("ground", "confirmed_at", "confirm_due_at", "confirm_attempts", "erased_at"),
        ),
        forbidden=(
            _personal("pseudonym", "pseudonym_key", "applicant", "application_number", "ground", "scan")
            + " OR (OLD.confirmed_at IS NOT NULL"
            " AND (NEW.confirmed_at IS NULL OR NEW.confirmed_at <> OLD.confirmed_at))"
        ),
        keys=((("id",), ""), (("agreement_id", "year", "serial"), "")),
    ),
    Seal(
        model="consent",
        sealed="{row}.id IS NOT NULL",
        mutable=("user_id", "account_deleted_at", "pseudonym", "pseudonym_key", "withdrawn_at", "erased_at"),
        forbidden=(  # A withdrawal in the future may be moved to an earlier moment.
            _personal("pseudonym", "pseudonym_key") + " OR NEW.withdrawn_at > OLD.withdrawn_at"
            " OR (OLD.withdrawn_at IS NOT NULL AND (NEW.withdrawn_at IS NULL"
            " OR (NEW.withdrawn_at <> OLD.withdrawn_at AND OLD.withdrawn_at <= {now})))"
        ),
        keys=(
            (("id",), ""),
            (("user_id", "purpose", "digest"), "stored.withdrawn_at IS NULL AND NEW.withdrawn_at IS NULL"),
        ),
    ),
    Seal(
        model="auditentry",
        sealed="{row}.id IS NOT NULL",
        mutable=("user_id", "account_deleted_at", "pseudonym", "pseudonym_key", "note", "erased_at"),
        forbidden=(  # An entry about no person can't be erased.
            _personal("pseudonym", "pseudonym_key", "note")
            + " OR (OLD.user_id IS NULL AND OLD.account_deleted_at IS NULL AND OLD.pseudonym = ''"
            " AND (NEW.erased_at IS NOT NULL OR NEW.account_deleted_at IS NOT NULL))"
        ),
        keys=((("id",), ""),),
    ),
)


def install(connection: BaseDatabaseWrapper, get_model: GetModel) -> None:
    """Create all triggers, and replace those that exist, in one transaction. Nothing is created for a table that does
    not exist or a model that ``get_model`` does not know.

    ``get_model(app_label, name)`` returns a model or raises ``LookupError``, as ``apps.get_model`` does. The database
    must be one of ``VENDORS``; this is not checked.
    """
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        for seal, model in _present(connection, get_model):
            for sql in (*_drop(connection.vendor, seal, model), *_create(connection.vendor, seal, model)):
                cursor.execute(sql)


def remove(connection: BaseDatabaseWrapper, get_model: GetModel) -> None:
    """Drop all triggers of the seal, in one transaction. A trigger that does not exist is ignored. The arguments are
    those of :func:`install`.
    """
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        for seal, model in _present(connection, get_model):
            for sql in _drop(connection.vendor, seal, model):
                cursor.execute(sql)


@contextmanager
def opened(connection: BaseDatabaseWrapper, get_model: GetModel) -> Iterator[None]:
    """Context manager: drop the triggers, and install them again afterwards, also after an error. If this runs inside a
    transaction, an error rolls back everything that was done meanwhile. The error is raised in either case.
    """
    if connection.in_atomic_block:
        # After a database error nothing can be installed here, but the rollback to the savepoint restores the triggers.
        with transaction.atomic(using=connection.alias):
            remove(connection, get_model)
            yield
            install(connection, get_model)
        return
    remove(connection, get_model)
    try:
        yield
    finally:
        if missing(connection, get_model):  # After a flush or a migrate they are installed already.
            install(connection, get_model)


def missing(connection: BaseDatabaseWrapper, get_model: GetModel) -> list[str]:
    """The names of triggers that are absent, disabled or not as :func:`install` writes them (2 queries).

    Empty on a database that is not in ``VENDORS``, because it has no triggers. The triggers of a table that does not
    exist are not named.
    """
    if connection.vendor not in VENDORS:
        return []
    installed = _installed(connection)
    wanted: dict[str, str] = {}
    for seal, model in _present(connection, get_model):
        wanted |= _wanted(connection.vendor, seal, model)
    return [name for name, sql in wanted.items() if installed.get(name) != _normalised(sql)]


def removable(connection: BaseDatabaseWrapper, get_model: GetModel) -> bool:
    """Could the current database role drop the triggers? On PostgreSQL, whether it is a superuser or a member of the
    role that owns the table of the editions; false if there is no such table (1 query). On any other database true
    without a query; for example, everyone who may write the file of SQLite can drop them.
    """
    if connection.vendor != "postgresql":
        return True
    table = get_model("agreement", "edition")._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT r.rolsuper OR pg_has_role(c.relowner, 'MEMBER') FROM pg_class c, pg_roles r"
            " WHERE c.oid = to_regclass(%s) AND r.rolname = current_user",
            [connection.ops.quote_name(table)],
        )
        row = cursor.fetchone()
    return bool(row and row[0])


def any_installed(connection: BaseDatabaseWrapper) -> bool:
    """Is any trigger of the seal installed, whatever its function does? On PostgreSQL a trigger that is disabled, has a
    condition or is only for certain columns does not count. 1 query. On a database that is not in ``VENDORS`` it is
    false without a query.
    """
    return connection.vendor in VENDORS and bool(_installed(connection))


def expected(connection: BaseDatabaseWrapper) -> bool:
    """Should the triggers be installed? Not on a database that is not in ``VENDORS``, not if a router keeps the table
    of the editions out of this database, and not before the migration that installs them. If the migrations of the app
    are switched off (as in some test runs), no migration is required. It is not checked whether the triggers exist.
    """
    if connection.vendor not in VENDORS:
        return False
    if not router.allow_migrate(connection.alias, "agreement", model_name="edition"):
        return False
    from django.db.migrations.loader import MigrationLoader

    module, _explicit = MigrationLoader.migrations_module("agreement")
    if module is None:  # A test run without migrations: the tables are as the models say.
        return True
    return ("agreement", MIGRATION) in MigrationRecorder(connection).applied_migrations()


def _present(connection: BaseDatabaseWrapper, get_model: GetModel) -> Iterator[tuple[Seal, type[models.Model]]]:
    """Yield the seals whose tables exist, with their models. A migration does not know the models of later ones."""
    tables = set(connection.introspection.table_names())
    for seal in SEALS:
        try:
            model = get_model("agreement", seal.model)
        except LookupError:
            continue
        if model._meta.db_table in tables:
            yield seal, model


def _create(vendor: str, seal: Seal, model: type[models.Model]) -> list[str]:
    if vendor == "sqlite":
        return list(_wanted(vendor, seal, model).values())
    table = model._meta.db_table
    function = f"{seal.name}()"
    header = f"{function} RETURNS trigger LANGUAGE plpgsql SET {_SEARCH_PATH}"
    return [
        f"CREATE OR REPLACE FUNCTION {header} AS $seal${_postgresql(seal)}$seal$",
        *(
            f'CREATE TRIGGER {name} {event} ON "{table}" FOR EACH {each} EXECUTE FUNCTION {function}'
            for name, (event, each, _type) in _events(seal).items()
        ),
    ]


def _drop(vendor: str, seal: Seal, model: type[models.Model]) -> list[str]:
    if vendor == "sqlite":
        return [f"DROP TRIGGER IF EXISTS {name}" for name in _wanted(vendor, seal, model)]
    table = model._meta.db_table
    drops = [f'DROP TRIGGER IF EXISTS {name} ON "{table}"' for name in _events(seal)]
    return [*drops, f"DROP FUNCTION IF EXISTS {seal.name}() CASCADE"]


def _events(seal: Seal) -> dict[str, tuple[str, str, int]]:
    """Trigger name → event, level, and ``pg_trigger.tgtype``, the bits in which PostgreSQL stores both."""
    return {
        f"{seal.name}_row": ("BEFORE UPDATE OR DELETE", "ROW", 27),
        # Another trigger that fires after the first may still change the row. This one checks the result.
        f"{seal.name}_written": ("AFTER UPDATE OR DELETE", "ROW", 25),
        f"{seal.name}_truncate": ("BEFORE TRUNCATE", "STATEMENT", 34),
    }


def _wanted(vendor: str, seal: Seal, model: type[models.Model]) -> dict[str, str]:
    """Trigger name → what :func:`_installed` finds in the database if the trigger is correct.

    This is the statement that creates the trigger on SQLite. On PostgreSQL it is one text of the table, the type of the
    trigger, the ``search_path`` and the body of the function.
    """
    table = model._meta.db_table
    if vendor == "sqlite":
        # Sorted, because the model of a migration may have its columns in another order.
        return _sqlite(seal, table, tuple(sorted(str(field.column) for field in model._meta.concrete_fields)))
    return {
        name: f"{table} {kind} {_SEARCH_PATH.replace(' = ', '=')} {_postgresql(seal)}"
        for name, (_event, _each, kind) in _events(seal).items()
    }


def _sqlite(seal: Seal, table: str, columns: tuple[str, ...]) -> dict[str, str]:
    frozen = seal.frozen or tuple(column for column in columns if column not in seal.mutable)
    changed = " OR ".join(f'OLD."{column}" IS NOT NEW."{column}"' for column in frozen)
    if seal.forbidden:
        changed += " OR " + seal.forbidden.format(now=_NOW["sqlite"])
    same_key = " OR ".join(
        "("
        + " AND ".join([*(f'stored."{column}" = NEW."{column}"' for column in key), *([also] if also else [])])
        + ")"
        # During an earlier migration, the table may lack a column of a present key.
        for key, also in ((tuple(column for column in key if column in columns), also) for key, also in seal.keys)
    )
    collides = f'EXISTS (SELECT 1 FROM "{table}" AS stored WHERE {seal.where("stored")} AND ({same_key})'  # noqa: S608 - only names and constants of the app
    events = {
        "update": ("UPDATE", f"{seal.where('OLD')} AND ({changed})"),
        "delete": ("DELETE", seal.where("OLD")),
        "insert": ("INSERT", f"{collides})"),
        "collide": ("UPDATE", f"{collides} AND stored.id <> OLD.id)"),
    }
    return {
        f"{seal.name}_{event}": (
            f'CREATE TRIGGER {seal.name}_{event} BEFORE {verb} ON "{table}" FOR EACH ROW WHEN {when} '
            f"BEGIN SELECT RAISE(ABORT, '{_refusal(seal)}'); END"
        )
        for event, (verb, when) in events.items()
    }


def _postgresql(seal: Seal) -> str:
    if seal.frozen:
        changed = " OR ".join(f'NEW."{column}" IS DISTINCT FROM OLD."{column}"' for column in seal.frozen)
    else:
        # Whole rows are compared, so that a column that is added later is sealed without a change here.
        mutable = "".join(f" - '{column}'" for column in seal.mutable)
        changed = f"to_jsonb(NEW){mutable} IS DISTINCT FROM to_jsonb(OLD){mutable}"
    if seal.forbidden:
        changed += " OR " + seal.forbidden.format(now=_NOW["postgresql"])
    refuse = f"RAISE EXCEPTION '{_refusal(seal)}' USING ERRCODE = 'check_violation'"
    sealed = seal.where("stored").replace("'", "''")
    # TRUNCATE holds the lock of the table here, so a new snapshot contains every sealed row. The snapshot of another
    # isolation level than READ COMMITTED may be older, so TRUNCATE is refused there.
    return f"""
DECLARE
  any_stored boolean;
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    EXECUTE format('SELECT EXISTS (SELECT 1 FROM %I.%I AS stored WHERE {sealed})', TG_TABLE_SCHEMA, TG_TABLE_NAME)
      INTO any_stored;
    IF any_stored OR current_setting('transaction_isolation') <> 'read committed' THEN {refuse}; END IF;
    RETURN NULL;
  ELSIF TG_OP = 'DELETE' THEN
    IF {seal.where("OLD")} THEN {refuse}; END IF;
    RETURN OLD;
  END IF;
  IF {seal.where("OLD")} AND ({changed}) THEN {refuse}; END IF;
  RETURN NEW;
END
"""  # noqa: S608 - only names and constants of the app


def _refusal(seal: Seal) -> str:
    return f"agreement_{seal.model} is sealed: published words, numbers and dates never change"


def _installed(connection: BaseDatabaseWrapper) -> dict[str, str]:
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(
                r"SELECT name, sql FROM sqlite_master"
                r" WHERE type = 'trigger' AND name LIKE 'agreement\_seal%' ESCAPE '\'"
            )
        else:
            cursor.execute(
                "SELECT t.tgname, concat_ws(' ', c.relname, t.tgtype, array_to_string(p.proconfig, ' '), p.prosrc)"
                " FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_class c ON c.oid = t.tgrelid"
                " WHERE t.tgname LIKE %s AND t.tgenabled IN ('O', 'A') AND t.tgqual IS NULL"
                " AND t.tgattr::text = '' AND pg_table_is_visible(c.oid)",
                ["agreement\\_seal%"],
            )
        return {name: _normalised(sql) for name, sql in cursor.fetchall()}


def _normalised(sql: object) -> str:
    return re.sub(r"\s+", " ", str(sql)).strip()
