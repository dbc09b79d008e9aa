"""The seal in the database: triggers on SQLite and PostgreSQL that refuse to change or delete what is sealed. They also
refuse to add some rows, such as one whose moment is not the present. ``SEALS`` says what is sealed and refused in each
table.

They act on SQL statements, so also on ``update()``, bulk calls and a shell. A database role that may drop the triggers
can still change the rows; ``agreement/docs/evidence.md`` says what finds it. The triggers work on every connection,
because they use no function that only Django defines.

A migration that changes a sealed table begins with ``OpenSeal`` and ends with ``CloseSeal`` (``seal.operations``),
because SQLite drops the triggers of a table that is rebuilt. No trigger names a table other than its own, because
SQLite can't rebuild a table that a trigger of another table names. On PostgreSQL the functions do not use the
``search_path`` of the caller. Otherwise a function or table of the caller could replace the one that is meant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from django.db import models, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder

#: The databases for which this module has triggers.
VENDORS = frozenset({"postgresql", "sqlite"})
#: The migration that installs the triggers; before it there is nothing to reinstall.
MIGRATION = "0002_seal"

#: A moment that is recorded may differ by this much from the clock of the database.
CLOCK_TOLERANCE = timedelta(seconds=60)
#: The condition of a sealed row in a table in which all rows are sealed.
EVERY = "{row}.id IS NOT NULL"

GetModel = Callable[[str, str], type[models.Model]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """What is sealed in one table.

    ``model`` is the name of the model in lower case. ``sealed`` is the condition of a sealed row, in SQL that both
    databases understand, with ``{row}`` in place of the name of the row. A sealed row can't be deleted, unless
    ``deletable`` is true. Only its ``mutable`` columns can change; if ``frozen`` is not empty, all columns but the
    ``frozen`` ones. A change to a sealed row for which the condition ``forbidden`` on ``OLD`` and ``NEW`` is true is
    refused too; ``""`` is none.

    A row can't be added as a sealed row, and can't become sealed, if one of two conditions is true: ``forbidden_new``,
    a condition on ``NEW``, or ``forbidden_beside``, a condition on ``NEW`` and any row of the table, ``stored``. A
    table with a ``forbidden_beside`` must have a ``forbidden_new`` too. ``""`` is none.

    ``keys`` are the unique keys by which SQLite's ``REPLACE`` would delete a sealed row. Each is the columns, and a
    further condition on the two rows, ``stored`` and ``NEW``; ``""`` is none. If ``skips_stored`` is true, SQLite
    ignores a row that is added again, instead of refusing the statement.

    If ``forbidden`` or ``forbidden_new`` is unknown, because of a NULL, the statement is refused too. In these two,
    ``{now}`` is the clock of the database, ``{earliest}`` and ``{latest}`` are ``CLOCK_TOLERANCE`` before and after it,
    ``{differs}`` is ``<>`` for which NULL is a value like any other, and ``{names}`` is the condition that
    ``NEW.pseudonyms`` is a list in JSON.

    ``moments`` are columns with a moment. A new moment in a sealed row must be one that Django can read. It is checked
    when the row is changed, and if there is a ``forbidden_new``, also when it is added or becomes sealed.
    """

    model: str
    sealed: str = EVERY
    keys: tuple[tuple[tuple[str, ...], str], ...]
    frozen: tuple[str, ...] = ()
    mutable: tuple[str, ...] = ()
    forbidden: str = ""
    forbidden_new: str = ""
    forbidden_beside: str = ""
    moments: tuple[str, ...] = ()
    deletable: bool = False
    skips_stored: bool = False

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


_SECONDS = int(CLOCK_TOLERANCE.total_seconds())
#: Vendor → what stands for the names in braces in the conditions.
_WORDS = {
    "sqlite": {
        "now": "strftime('%Y-%m-%d %H:%M:%f', 'now')",
        "earliest": f"strftime('%Y-%m-%d %H:%M:%f', 'now', '-{_SECONDS} seconds')",
        "latest": f"strftime('%Y-%m-%d %H:%M:%f', 'now', '+{_SECONDS} seconds')",
        "differs": "IS NOT",
        "names": "CASE WHEN json_valid(NEW.pseudonyms) THEN json_type(NEW.pseudonyms) END = 'array'",
    },
    "postgresql": {
        "now": "clock_timestamp()",
        "earliest": f"clock_timestamp() - interval '{_SECONDS} seconds'",
        "latest": f"clock_timestamp() + interval '{_SECONDS} seconds'",
        "differs": "IS DISTINCT FROM",
        "names": "jsonb_typeof(NEW.pseudonyms) = 'array'",
    },
}


def _not_now(column: str) -> str:
    """The condition, in SQL with names in braces, that the moment in this column of ``NEW`` differs from the clock of
    the database by more than ``CLOCK_TOLERANCE``. It is true for NULL.
    """
    return f"NOT COALESCE(NEW.{column} BETWEEN {{earliest}} AND {{latest}}, FALSE)"


def _once_and_now(column: str) -> str:
    """The condition of a forbidden change to the moment in this column, in SQL with names in braces. It is forbidden to
    change it once it is set, and to set it to a moment that differs from now by more than ``CLOCK_TOLERANCE``.
    """
    return f"(NEW.{column} {{differs}} OLD.{column} AND (OLD.{column} IS NOT NULL OR {_not_now(column)}))"


#: The condition of a forbidden change to the account of a row, in SQL. It is forbidden to give the row to another
#: account, to restore its removed link to an account, to change ``account_deleted_at`` once it is set, and to set it to
#: another moment than now.
_ACCOUNT = f"{_once_and_now('account_deleted_at')} OR (NEW.user_id IS NOT NULL AND NEW.user_id {{differs}} OLD.user_id)"


def _personal(*columns: str) -> str:
    """The condition of a forbidden change to a row about a person, in SQL with names in braces. ``columns`` are its
    personal columns.

    It is forbidden to change the account in a way that ``_ACCOUNT`` forbids, to remove the link to the account from a
    row with neither ``account_deleted_at`` nor ``erased_at``, to change ``erased_at`` in a way that ``_once_and_now``
    forbids, and to change a personal column, except to empty it in a row whose ``erased_at`` is set by the same
    statement or before.
    """
    return (
        f"{_ACCOUNT} OR (NEW.user_id IS NULL AND OLD.user_id IS NOT NULL"
        " AND NEW.account_deleted_at IS NULL AND NEW.erased_at IS NULL)"
        f" OR {_once_and_now('erased_at')}"
        + "".join(
            f" OR (NEW.{column} {{differs}} OLD.{column} AND (NEW.{column} {{differs}} '' OR NEW.erased_at IS NULL))"
            for column in columns
        )
    )


#: In SQL: a delivery that must not wait again, because it waits, or was sent and its message was not returned.
_NOT_REOPENED = (
    "(OLD.outcome {differs} 'failed' AND OLD.outcome {differs} 'skipped'"
    " AND (OLD.outcome {differs} 'sent' OR OLD.returns <= OLD.returns_before))"
)
#: The conditions of a forbidden change to a delivery, in SQL: to any delivery, and to one that has an outcome.
_DELIVERY = (
    f"{_ACCOUNT} OR (NEW.user_id IS NULL AND OLD.user_id IS NOT NULL AND NEW.account_deleted_at IS NULL)",
    # A pseudonym is given once, while the account is deleted, and emptied once after that.
    *(
        f"(NEW.{column} {{differs}} OLD.{column} AND (NEW.account_deleted_at IS NULL OR NEW.{column} IS NULL"
        f" OR NEW.{column} <> '' AND (OLD.{column} {{differs}} '' OR OLD.user_id IS NULL)))"
        for column in ("pseudonym", "pseudonym_key")
    ),
    # Only a resending, which an audit entry records, makes a delivery wait again.
    (f"(NEW.reopened_by_id {{differs}} OLD.reopened_by_id AND ({_NOT_REOPENED} OR NEW.outcome {{differs}} 'waiting'))"),
    # Returns are counted one by one, and are past only when the delivery waits again.
    "(NEW.returns {differs} OLD.returns AND NEW.returns {differs} OLD.returns + 1)",
    (
        "(NEW.returns_before {differs} OLD.returns_before AND (NEW.returns_before {differs} OLD.returns"
        " OR NEW.outcome {differs} 'waiting' OR NOT (OLD.outcome {differs} 'waiting')))"
    ),
)
_FINAL_DELIVERY = (
    "NEW.language {differs} OLD.language OR NEW.since {differs} OLD.since OR NEW.cancelled {differs} OLD.cancelled",
    "NEW.perhaps_sent {differs} OLD.perhaps_sent",
    "(NEW.address_digest {differs} OLD.address_digest AND NEW.address_digest {differs} '')",
    "(NEW.lease {differs} OLD.lease AND NEW.lease {differs} '')",
    # An outcome changes only to waiting.
    (
        "(NEW.outcome {differs} 'waiting' AND (NEW.outcome {differs} OLD.outcome OR NEW.reason {differs} OLD.reason"
        " OR NEW.attempts {differs} OLD.attempts OR NEW.outcome_at {differs} OLD.outcome_at"
        " OR (NEW.due_at {differs} OLD.due_at AND COALESCE(OLD.lease, '') = '')))"
    ),
    (
        f"(NEW.outcome {{differs}} OLD.outcome AND ({_NOT_REOPENED}"
        " OR COALESCE(NEW.reopened_by_id, 0) <= COALESCE(OLD.reopened_by_id, 0)))"
    ),
)

#: The setting of each function on PostgreSQL.
SEARCH_PATH = "search_path = pg_catalog, pg_temp"

SEALS = (
    Seal(
        model="agreement",
        sealed="{row}.head <> ''",
        frozen=("id", "slug"),
        forbidden="COALESCE(NEW.head, '') = ''",
        keys=((("id",), ""), (("slug",), "")),
    ),
    Seal(
        model="edition",
        sealed="{row}.published_at IS NOT NULL",
        mutable=("cancelled_at",),
        forbidden=(
            f"{_once_and_now('cancelled_at')}"
            " OR (NEW.cancelled_at {differs} OLD.cancelled_at AND NOT COALESCE(OLD.effective_from > {now}, FALSE))"
        ),
        # An edition is never backdated, and history is recorded only before the first ordinary edition.
        forbidden_new=f"{_not_now('recorded_at')} OR (NEW.imported IS NOT TRUE AND {_not_now('published_at')})",
        forbidden_beside=(
            "NEW.imported AND stored.agreement_id = NEW.agreement_id AND stored.published_at IS NOT NULL"
            " AND stored.imported IS NOT TRUE"
        ),
        moments=("begun_at", "published_at", "effective_from", "recorded_at", "cancelled_at"),
        keys=(
            (("id",), ""),
            (("agreement_id", "number"), ""),
            (("agreement_id", "effective_from"), "stored.cancelled_at IS NULL AND NEW.cancelled_at IS NULL"),
            (("digest",), ""),
            (("agreement_id", "previous_digest"), "NEW.digest <> ''"),
        ),
    ),
    # A notice is paused and resumed. Its deliveries are written once; until then it may become due at another moment.
    Seal(
        model="notice",
        mutable=("due_at", "fan_out_cursor", "fanned_out_at", "paused_at"),
        forbidden=(
            "OLD.fanned_out_at IS NOT NULL AND (NEW.fanned_out_at {differs} OLD.fanned_out_at"
            " OR NEW.fan_out_cursor {differs} OLD.fan_out_cursor OR NEW.due_at {differs} OLD.due_at)"
        ),
        moments=("created_at", "due_at", "fanned_out_at", "paused_at"),
        keys=((("id",), ""), (("uuid",), ""), (("edition_id", "kind"), "stored.kind <> 'breach'")),
    ),
    Seal(model="breach", sealed="{row}.notice_id IS NOT NULL", keys=((("id",), ""), (("notice_id",), ""))),
    Seal(
        model="noticetext",
        keys=((("id",), ""), (("notice_id", "channel", "language", "since", "cancelled"), "")),
    ),
    # Workers write a delivery while it waits. Its notice, user and channel never change, and a sent one changes only if
    # its message is returned.
    Seal(
        model="delivery",
        frozen=("id", "notice_id", "channel", "rank"),
        forbidden=" OR ".join(
            (*_DELIVERY, f"(OLD.outcome {{differs}} 'waiting' AND ({' OR '.join(_FINAL_DELIVERY)}))")
        ),
        moments=("due_at", "outcome_at", "account_deleted_at"),
        keys=((("id",), ""), (("notice_id", "user_id", "channel"), "")),
        skips_stored=True,
    ),
    Seal(model="bounce", keys=((("id",), ""),)),
    # It is deleted with the account.
    Seal(model="noticeread", keys=(), deletable=True),
    Seal(
        model="timestamp",
        keys=((("id",), ""), (("checkpoint_id", "authority"), "")),
    ),
    Seal(
        model="displayedtext",
        keys=((("id",), ""), (("edition_id", "language", "renderer", "digest"), "")),
    ),
    # A log is only added to.
    Seal(
        model="transparencylog",
        mutable=("origin", "keys", "size", "accepted", "withdrawn", "swept_at"),
        forbidden=(
            "NEW.size < OLD.size OR NEW.accepted < OLD.accepted OR NEW.withdrawn < OLD.withdrawn"
            " OR (OLD.origin <> '' AND NEW.origin {differs} OLD.origin)"
            " OR substr(NEW.keys, 1, length(OLD.keys)) {differs} OLD.keys"
        ),
        moments=("swept_at",),
        keys=((("id",), ""), (("agreement_id",), "")),
    ),
    Seal(
        model="logentry",
        mutable=("salt",),
        forbidden="NEW.salt {differs} OLD.salt AND NEW.salt {differs} ''",
        keys=((("id",), ""), (("agreement_id", "index"), ""), (("row", "kind"), "")),
    ),
    Seal(model="logtile", keys=((("id",), ""), (("agreement_id", "level", "number"), ""))),
    Seal(
        model="checkpoint",
        forbidden_new=_not_now("at"),
        moments=("at",),
        keys=((("id",), ""), (("agreement_id", "size"), "")),
    ),
    Seal(
        model="signature",
        forbidden_new=_not_now("recorded_at"),
        moments=("signed_at", "recorded_at"),
        keys=((("id",), ""), (("edition_id", "number"), ""), (("edition_id", "signer_key"), "")),
    ),
    # An account may be deleted at any time. An erasure empties the other personal columns once and sets ``erased_at``.
    Seal(
        model="acceptance",
        mutable=(
            *("user_id", "account_deleted_at", "pseudonym", "pseudonym_key", "ip", "user_agent", "reason", "erased_at"),
        ),
        forbidden=(
            _personal("pseudonym", "pseudonym_key", "user_agent", "reason")
            + " OR (NEW.ip {differs} OLD.ip AND (NEW.ip IS NOT NULL OR NEW.erased_at IS NULL))"
        ),
        forbidden_new=(
            f"NEW.erased_at IS NOT NULL OR {_not_now('recorded_at')}"
            f" OR (NEW.kind {{differs}} 'imported' AND {_not_now('at')})"
        ),
        moments=("at", "recorded_at", "account_deleted_at", "erased_at"),
        keys=((("id",), ""), (("edition_id", "user_id", "round"), "")),
    ),
    Seal(
        model="decline",
        mutable=("user_id", "account_deleted_at", "pseudonym", "pseudonym_key", "ip", "user_agent", "erased_at"),
        forbidden=(
            _personal("pseudonym", "pseudonym_key", "user_agent")
            + " OR (NEW.ip {differs} OLD.ip AND (NEW.ip IS NOT NULL OR NEW.erased_at IS NULL))"
        ),
        forbidden_new=f"NEW.erased_at IS NOT NULL OR {_not_now('at')}",
        moments=("at", "account_deleted_at", "erased_at"),
        keys=((("id",), ""), (("edition_id", "user_id"), "")),
    ),
    Seal(
        model="withdrawal",
        mutable=(
            *("user_id", "account_deleted_at", "pseudonym", "pseudonym_key", "applicant", "application_number", "scan"),
            *("ground", "confirmed_at", "confirm_due_at", "confirm_attempts", "replied_on", "erased_at"),
        ),
        forbidden=(
            _personal("pseudonym", "pseudonym_key", "applicant", "application_number", "ground", "scan")
            + " OR (OLD.confirmed_at IS NOT NULL AND NEW.confirmed_at {differs} OLD.confirmed_at)"
            " OR (OLD.replied_on IS NOT NULL AND NEW.replied_on {differs} OLD.replied_on)"
        ),
        forbidden_new=f"NEW.erased_at IS NOT NULL OR {_not_now('registered_at')}",
        moments=(
            *("registered_at", "effective_at", "confirmed_at", "confirm_due_at", "account_deleted_at", "erased_at"),
        ),
        keys=((("id",), ""), (("agreement_id", "year", "serial"), "")),
    ),
    Seal(
        model="consent",
        mutable=("user_id", "account_deleted_at", "pseudonym", "pseudonym_key", "withdrawn_at", "erased_at"),
        forbidden=(  # A withdrawal in the future may be moved to an earlier moment that is not past.
            _personal("pseudonym", "pseudonym_key") + " OR (NEW.withdrawn_at {differs} OLD.withdrawn_at"
            " AND (NOT COALESCE(NEW.withdrawn_at >= {earliest}, FALSE) OR (OLD.withdrawn_at IS NOT NULL"
            " AND (NEW.withdrawn_at > OLD.withdrawn_at OR NOT COALESCE(OLD.withdrawn_at > {now}, FALSE)))))"
        ),
        forbidden_new=f"NEW.erased_at IS NOT NULL OR {_not_now('given_at')}",
        moments=("given_at", "withdrawn_at", "account_deleted_at", "erased_at"),
        keys=(
            (("id",), ""),
            (("user_id", "purpose", "digest"), "stored.withdrawn_at IS NULL AND NEW.withdrawn_at IS NULL"),
        ),
    ),
    # A hold ends now or later, never in the past. The names by which its person is found are only added to, until the
    # hold has ended and an erasure empties it. Without names, it keeps its account until it has ended.
    Seal(
        model="legalhold",
        mutable=("user_id", "pseudonyms", "held_until", "ground", "erased_at"),
        forbidden=(
            "(NEW.user_id IS NOT NULL AND NEW.user_id {differs} OLD.user_id)"
            " OR (NEW.user_id IS NULL AND OLD.user_id IS NOT NULL AND CAST(NEW.pseudonyms AS text) = '[]'"
            " AND NOT COALESCE(NEW.held_until <= {latest}, FALSE))"
            " OR (NEW.held_until {differs} OLD.held_until"
            " AND ((NEW.held_until IS NOT NULL AND NOT COALESCE(NEW.held_until >= {earliest}, FALSE))"
            " OR (OLD.held_until IS NOT NULL AND NOT COALESCE(OLD.held_until > {now}, FALSE))))"
            f" OR {_once_and_now('erased_at')}"
            " OR (NEW.erased_at {differs} OLD.erased_at AND NOT COALESCE(NEW.held_until <= {latest}, FALSE))"
            " OR (NEW.ground {differs} OLD.ground AND (NEW.ground {differs} '' OR NEW.erased_at IS NULL))"
            " OR (NEW.erased_at IS NOT NULL AND CAST(NEW.pseudonyms AS text) {differs} '[]')"
            " OR (NEW.erased_at IS NULL AND (NOT COALESCE({names}, FALSE)"
            " OR substr(CAST(NEW.pseudonyms AS text), 1, length(CAST(OLD.pseudonyms AS text)) - 1)"
            " {differs} substr(CAST(OLD.pseudonyms AS text), 1, length(CAST(OLD.pseudonyms AS text)) - 1)))"
        ),
        forbidden_new=(
            "NEW.erased_at IS NOT NULL OR NOT COALESCE({names}, FALSE)"
            " OR (NEW.held_until IS NOT NULL AND NOT COALESCE(NEW.held_until >= {earliest}, FALSE))"
        ),
        moments=("held_from", "held_until", "erased_at"),
        keys=((("id",), ""),),
    ),
    Seal(
        model="auditentry",
        mutable=("user_id", "account_deleted_at", "pseudonym", "pseudonym_key", "note", "erased_at"),
        forbidden=(  # An entry about no person can't be erased.
            _personal("pseudonym", "pseudonym_key", "note")
            + " OR (OLD.user_id IS NULL AND OLD.account_deleted_at IS NULL AND COALESCE(OLD.pseudonym, '') = ''"
            " AND (NEW.erased_at IS NOT NULL OR NEW.account_deleted_at IS NOT NULL))"
        ),
        forbidden_new=f"NEW.erased_at IS NOT NULL OR {_not_now('at')}",
        moments=("at", "account_deleted_at", "erased_at"),
        keys=((("id",), ""),),
    ),
)


def install(connection: BaseDatabaseWrapper, get_model: GetModel) -> None:
    """Create the triggers, and replace those that exist, in one transaction. Nothing is created for a table that does
    not exist or a model that ``get_model`` does not know.

    ``get_model(app_label, name)`` returns a model or raises ``LookupError``, as ``apps.get_model`` does. The database
    must be one of ``VENDORS``; this is not checked.
    """
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        for seal, model in present(connection, get_model):
            for sql in (*_drop(connection.vendor, seal, model), *_create(connection.vendor, seal, model)):
                cursor.execute(sql)


def remove(connection: BaseDatabaseWrapper, get_model: GetModel) -> None:
    """Drop the triggers of the seal, in one transaction; on PostgreSQL also their functions. Those of a table that does
    not exist, or of a model that ``get_model`` does not know, are passed over. A trigger that does not exist is
    ignored.

    ``get_model(app_label, name)`` returns a model or raises ``LookupError``, as ``apps.get_model`` does. The database
    must be one of ``VENDORS``; this is not checked.
    """
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        for seal, model in present(connection, get_model):
            for sql in _drop(connection.vendor, seal, model):
                cursor.execute(sql)


@contextmanager
def opened(connection: BaseDatabaseWrapper, get_model: GetModel) -> Iterator[None]:
    """Context manager: drop the triggers, and install them again afterwards, also after an error, which is raised
    again. ``get_model`` is ``apps.get_model`` or the same for the models of a migration.

    Inside a transaction, an error rolls back everything that was done in the meantime. Outside one, nothing is rolled
    back.
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
        if not any_installed(connection):  # After a flush or a migrate they are installed already.
            install(connection, get_model)


def removable(connection: BaseDatabaseWrapper, get_model: GetModel) -> bool:
    """Could the current database role remove the triggers or a sealed table? On PostgreSQL: is it, or the role that
    logged in (to which ``SET ROLE NONE`` returns), a superuser, may one of them create roles, or is one of them a
    member of a role that owns a sealed table or its schema? False if there is no such table. 1 query; it raises
    ``LookupError`` if ``get_model``, such as ``apps.get_model``, does not know a model. On any other database the
    result is true without a query.
    """
    if connection.vendor != "postgresql":
        return True
    tables = [get_model("agreement", seal.model)._meta.db_table for seal in SEALS]
    with connection.cursor() as cursor:
        # The schema is named, because a function or table of the caller could replace the one that is meant.
        cursor.execute(
            "SELECT COALESCE(pg_catalog.bool_or(r.rolsuper OR r.rolcreaterole"
            " OR pg_catalog.pg_has_role(r.oid, c.relowner, 'MEMBER')"
            " OR pg_catalog.pg_has_role(r.oid, n.nspowner, 'MEMBER')), FALSE)"
            " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace,"
            " pg_catalog.pg_roles r WHERE c.oid = ANY (SELECT pg_catalog.to_regclass(pg_catalog.quote_ident(name))"
            " FROM pg_catalog.unnest(%s::pg_catalog.text[]) AS name)"
            " AND r.rolname IN (current_user, session_user)",
            [tables],
        )
        (found,) = cursor.fetchone()
    return bool(found)


def any_installed(connection: BaseDatabaseWrapper) -> bool:
    """Is any trigger of the seal installed, even an altered one? 1 query. On a database that is not in ``VENDORS`` it
    is false without a query.
    """
    if connection.vendor not in VENDORS:
        return False
    catalogue, name = ("sqlite_master", "name") if connection.vendor == "sqlite" else ("pg_trigger", "tgname")
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT 1 FROM {catalogue} WHERE {name} LIKE 'agreement$_seal$_%%' ESCAPE '$' LIMIT 1", [])  # noqa: S608 - only names and constants of the app
        return cursor.fetchone() is not None


def expected(connection: BaseDatabaseWrapper) -> bool:
    """Should the triggers be installed? Not on a database that is not in ``VENDORS``, not if a router keeps the table
    of the editions out of this database, and not before the migration that installs them. If the migrations of the app
    are switched off (as in some test runs), no migration is required. Whether the triggers exist is not checked.
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


def present(connection: BaseDatabaseWrapper, get_model: GetModel) -> Iterator[tuple[Seal, type[models.Model]]]:
    """Yield the seals whose model ``get_model`` knows and whose table exists, with their models, in the order of
    ``SEALS``. A view is not a table. ``get_model(app_label, name)`` returns a model or raises ``LookupError``, as
    ``apps.get_model`` does.
    """
    with connection.cursor() as cursor:
        tables = {table.name for table in connection.introspection.get_table_list(cursor) if table.type == "t"}
    for seal in SEALS:
        try:
            model = get_model("agreement", seal.model)
        except LookupError:
            continue
        if model._meta.db_table in tables:
            yield seal, model


def _create(vendor: str, seal: Seal, model: type[models.Model]) -> list[str]:
    if vendor == "sqlite":
        return list(sqlite_triggers(seal, model).values())
    table = model._meta.db_table
    function = f"{seal.name}()"
    header = f"{function} RETURNS trigger LANGUAGE plpgsql SET {SEARCH_PATH}"
    return [
        f"CREATE OR REPLACE FUNCTION {header} AS $seal${postgresql_function(seal)}$seal$",
        *(
            f'CREATE TRIGGER {name} {event} ON "{table}" FOR EACH {each} EXECUTE FUNCTION {function}'
            for name, (event, each, _type) in postgresql_events(seal).items()
        ),
    ]


def _drop(vendor: str, seal: Seal, model: type[models.Model]) -> list[str]:
    if vendor == "sqlite":
        return [f"DROP TRIGGER IF EXISTS {name}" for name in sqlite_triggers(seal, model)]
    table = model._meta.db_table
    drops = [f'DROP TRIGGER IF EXISTS {name} ON "{table}"' for name in postgresql_events(seal)]
    return [*drops, f"DROP FUNCTION IF EXISTS {seal.name}() CASCADE"]


#: Events of a row trigger, in SQL → the bits of ``pg_trigger.tgtype`` in which PostgreSQL stores them.
_ROW_EVENTS = {"UPDATE OR DELETE": 25, "INSERT OR UPDATE OR DELETE": 29, "UPDATE": 17}


def postgresql_events(seal: Seal) -> dict[str, tuple[str, str, int]]:
    """Name of each trigger of this table → when it fires, in SQL, such as ``BEFORE UPDATE OR DELETE``; its level,
    ``ROW`` or ``STATEMENT``; and ``pg_trigger.tgtype``, the bits in which PostgreSQL stores both.
    """
    event = "UPDATE" if seal.deletable else "INSERT OR UPDATE OR DELETE" if seal.forbidden_new else "UPDATE OR DELETE"
    triggers = {
        f"{seal.name}_row": (f"BEFORE {event}", "ROW", _ROW_EVENTS[event] + 2),
        # Another trigger that fires after the first may still change the row. This one checks the result.
        f"{seal.name}_written": (f"AFTER {event}", "ROW", _ROW_EVENTS[event]),
    }
    truncate = {f"{seal.name}_truncate": ("BEFORE TRUNCATE", "STATEMENT", 34)}
    return triggers if seal.deletable else triggers | truncate


def postgresql_function(seal: Seal) -> str:
    """The body, in PL/pgSQL, of the function that all triggers of this table call."""
    if seal.frozen:
        changed = " OR ".join(f'NEW."{column}" IS DISTINCT FROM OLD."{column}"' for column in seal.frozen)
    else:
        # Whole rows are compared, so that a column that is added later is sealed without a change here.
        mutable = "".join(f" - '{column}'" for column in seal.mutable)
        changed = f"to_jsonb(NEW){mutable} IS DISTINCT FROM to_jsonb(OLD){mutable}"
    changed += "".join(
        f" OR (NEW.{column} {_WORDS['postgresql']['differs']} OLD.{column} AND {_postgresql_unreadable(column)})"
        for column in seal.moments
    )
    if seal.forbidden:
        changed += " OR " + seal.forbidden.format(**_WORDS["postgresql"])
    refuse = f"RAISE EXCEPTION '{_refusal(seal)}' USING ERRCODE = 'check_violation'"
    sealed = seal.where("stored").replace("'", "''")
    # TRUNCATE holds the lock of the table here, so a new snapshot contains every sealed row. The snapshot of another
    # isolation level than READ COMMITTED may be older, so TRUNCATE is refused there.
    return f"""
DECLARE
  found boolean;
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    EXECUTE format('SELECT EXISTS (SELECT 1 FROM %I.%I AS stored WHERE {sealed})', TG_TABLE_SCHEMA, TG_TABLE_NAME)
      INTO found;
    IF found OR current_setting('transaction_isolation') <> 'read committed' THEN {refuse}; END IF;
    RETURN NULL;
  ELSIF TG_OP = 'DELETE' THEN
    IF {seal.where("OLD")} THEN {refuse}; END IF;
    RETURN OLD;
  ELSIF TG_OP = 'UPDATE' THEN
    IF {seal.where("OLD")} THEN
      IF ({changed}) IS NOT FALSE THEN {refuse}; END IF;
      RETURN NEW;
    END IF;
  END IF;{_postgresql_new(seal)}
  RETURN NEW;
END
"""  # noqa: S608 - only names and constants of the app


def _postgresql_new(seal: Seal) -> str:
    """The part of the function that refuses a row which ``forbidden_new``, ``forbidden_beside`` or ``moments`` forbid
    to be added or to become sealed. ``""`` if there is no ``forbidden_new``.
    """
    if not seal.forbidden_new:
        return ""
    refuse = f"RAISE EXCEPTION '{_refusal_new(seal)}' USING ERRCODE = 'check_violation'"
    forbidden = seal.forbidden_new.format(**_WORDS["postgresql"])
    forbidden += "".join(f" OR {_postgresql_unreadable(column)}" for column in seal.moments)
    beside = ""
    if seal.forbidden_beside:
        # EXECUTE, because only the trigger knows the schema of its table. $1 is the row.
        condition = seal.forbidden_beside.replace("NEW.", "($1).").replace("'", "''")
        beside = f"""
    EXECUTE format('SELECT EXISTS (SELECT 1 FROM %I.%I AS stored WHERE {condition})', TG_TABLE_SCHEMA, TG_TABLE_NAME)
      INTO found USING NEW;
    IF found THEN {refuse}; END IF;"""  # noqa: S608 - only names and constants of the app
    return f"""
  IF {seal.where("NEW")} THEN
    IF ({forbidden}) IS NOT FALSE THEN {refuse}; END IF;{beside}
  END IF;"""


def _postgresql_unreadable(column: str) -> str:
    """The condition, in SQL, that the moment in this column of ``NEW`` is not between 2 January of the year 1 and 1
    January of the year 9999, such as ``infinity``, so that Django may not be able to read it. It is false for NULL.
    """
    return f"(NEW.{column} IS NOT NULL AND NEW.{column} NOT BETWEEN '0001-01-02 00:00+00' AND '9999-01-01 00:00+00')"


def _sqlite_unreadable(column: str) -> str:
    """The condition, in SQL, that the moment in this column of ``NEW`` is not a text that Django can read: the date and
    the time of a day that exists, to the second or with six decimal places, between 2 January of the year 1 and the end
    of the year 9998. It is false for NULL.
    """
    # SQLite reads the text without the decimal places, because it would round them. The modifier makes it normalise a
    # day that does not exist. The length is counted in bytes, because a text ends at a NUL for most functions.
    moment, size = f"NEW.{column}", f"length(CAST(NEW.{column} AS BLOB))"
    second = f"substr({moment}, 1, 19)"
    return (
        f"({moment} IS NOT NULL AND (typeof({moment}) <> 'text'"
        f" OR strftime('%Y-%m-%d %H:%M:%S', {second}, '+0 days') IS NOT {second}"
        f" OR NOT ({size} = 19 OR ({size} = 26 AND substr({moment}, 20) GLOB '.{'[0-9]' * 6}'))"
        f" OR {moment} NOT BETWEEN '0001-01-02' AND '9999-01-01'))"
    )


def sqlite_triggers(seal: Seal, model: type[models.Model]) -> dict[str, str]:
    """Name of each trigger of this table → the statement that creates it. ``model`` is the model of the seal, perhaps
    of an earlier migration.
    """
    table = model._meta.db_table
    # Sorted, because the model of a migration may have its columns in another order.
    columns = sorted(str(field.column) for field in model._meta.concrete_fields)
    frozen = seal.frozen or tuple(column for column in columns if column not in seal.mutable)
    changed = " OR ".join(f'OLD."{column}" IS NOT NEW."{column}"' for column in frozen)
    # During an earlier migration, the table may lack a column.
    moments = [column for column in seal.moments if column in columns]
    changed += "".join(
        f' OR (NEW."{column}" IS NOT OLD."{column}" AND {_sqlite_unreadable(column)})' for column in moments
    )
    if seal.forbidden:
        changed += " OR " + seal.forbidden.format(**_WORDS["sqlite"])
    same_key = " OR ".join(
        "("
        + " AND ".join([*(f'stored."{column}" = NEW."{column}"' for column in key), *([also] if also else [])])
        + ")"
        # During an earlier migration, the table may lack a column of a present key.
        for key, also in ((tuple(column for column in key if column in columns), also) for key, also in seal.keys)
    )
    collides = f'EXISTS (SELECT 1 FROM "{table}" AS stored WHERE {seal.where("stored")} AND ({same_key})'  # noqa: S608 - only names and constants of the app
    refuse, refuse_new = (f"RAISE(ABORT, '{refusal}')" for refusal in (_refusal(seal), _refusal_new(seal)))
    events = {"update": ("UPDATE", f"{seal.where('OLD')} AND ({changed}) IS NOT FALSE", refuse)}
    if not seal.deletable:
        events["delete"] = ("DELETE", seal.where("OLD"), refuse)
        events["insert"] = ("INSERT", f"{collides})", "RAISE(IGNORE)" if seal.skips_stored else refuse)
    if seal.sealed != EVERY:  # In any other table the first trigger refuses a new key.
        events["collide"] = ("UPDATE", f"{collides} AND stored.id <> OLD.id)", refuse)
    if seal.forbidden_new:
        forbidden = seal.forbidden_new.format(**_WORDS["sqlite"])
        forbidden += "".join(f" OR {_sqlite_unreadable(column)}" for column in moments)
        if seal.forbidden_beside:
            forbidden += f' OR EXISTS (SELECT 1 FROM "{table}" AS stored WHERE {seal.forbidden_beside})'  # noqa: S608 - only names and constants of the app
        new = f"{seal.where('NEW')} AND ({forbidden}) IS NOT FALSE"
        events["new"] = ("INSERT", new, refuse_new)
        if seal.sealed != EVERY:
            events["become"] = ("UPDATE", f"NOT ({seal.where('OLD')}) AND {new}", refuse_new)
    return {
        f"{seal.name}_{event}": (
            f'CREATE TRIGGER {seal.name}_{event} BEFORE {verb} ON "{table}" FOR EACH ROW WHEN {when} '
            f"BEGIN SELECT {action}; END"
        )
        for event, (verb, when, action) in events.items()
    }


def _refusal(seal: Seal) -> str:
    return f"agreement_{seal.model} is sealed: published words, numbers and dates never change"


def _refusal_new(seal: Seal) -> str:
    return f"agreement_{seal.model} is recorded now: its moment must be that of the clock of the database"
