"""Inspection: compares what should stand in the database with what stands. Each difference is one sentence.

What should stand are the sealed tables, as ordinary tables of one owner; on each of them the triggers of the seal, word
for word, and no other trigger that fires; and the constraints of the models. The rows are not read.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from agreement.seal.triggers import (
    SEALS,
    SEARCH_PATH,
    VENDORS,
    GetModel,
    Seal,
    postgresql_events,
    postgresql_function,
    sqlite_triggers,
)

if TYPE_CHECKING:
    AnyModel = type[models.Model]


def differences(connection: BaseDatabaseWrapper, get_model: GetModel) -> list[str]:
    """Return one sentence, in English, for each difference: what is missing, replaced, disabled, altered or added.

    Every table of ``SEALS`` should exist. ``get_model(app_label, name)`` returns its model or raises ``LookupError``,
    as ``apps.get_model`` does; a model that it does not know is passed over. 3 queries on PostgreSQL, 2 on SQLite.
    Empty without a query on a database that is not in ``VENDORS``, because it has no triggers.
    """
    if connection.vendor not in VENDORS:
        return []
    sealed: dict[str, tuple[Seal, AnyModel]] = {}
    for seal in SEALS:
        try:
            model = get_model("agreement", seal.model)
        except LookupError:
            continue
        sealed[model._meta.db_table] = seal, model
    inspect = _sqlite if connection.vendor == "sqlite" else _postgresql
    with connection.cursor() as cursor:
        return list(inspect(cursor, sealed))


def _missing(name: str) -> str:
    return f"The trigger {name} is missing, disabled or altered."


def _foreign(name: str, table: str) -> str:
    return f"The trigger {name} on the table {table} is not part of the seal."


def _absent(table: str) -> str:
    return f"The table {table} does not exist."


def _not_ordinary(table: str) -> str:
    return f"{table} is not an ordinary table: a view or another kind of table stands in its place."


def _constraint(name: str, table: str) -> str:
    return f"The constraint {name} of the table {table} is missing or not valid."


def _foreign_key(column: str, table: str) -> str:
    return f"The foreign key of the column {column} of the table {table} is missing or not valid."


def _foreign_keys(model: AnyModel) -> list[str]:
    """The columns of the model that have a foreign key in the database."""
    return [str(field.column) for field in model._meta.concrete_fields if getattr(field, "db_constraint", False)]


def _normalised(sql: object) -> str:
    return re.sub(r"\s+", " ", str(sql)).strip()


def _sqlite(cursor: Any, sealed: dict[str, tuple[Seal, AnyModel]]) -> Iterator[str]:
    cursor.execute("SELECT type, name, tbl_name, sql FROM sqlite_master WHERE type <> 'index' OR sql IS NOT NULL")
    stored = [(kind, name, table, _normalised(sql)) for kind, name, table, sql in cursor.fetchall()]
    kinds = {name: (kind, sql) for kind, name, _table, sql in stored if kind in {"table", "view"}}
    cursor.execute(
        "SELECT t.name, f.\"from\" FROM sqlite_master t, pragma_foreign_key_list(t.name) f WHERE t.type = 'table'"
    )
    keys = set(cursor.fetchall())
    for table, (seal, model) in sealed.items():
        if table not in kinds:
            yield _absent(table)
            continue
        kind, create = kinds[table]
        if kind != "table" or not create.startswith("CREATE TABLE"):
            yield _not_ordinary(table)
            continue
        found = {name: sql for kind, name, on, sql in stored if kind == "trigger" and on == table}
        wanted = sqlite_triggers(seal, model)
        yield from (_missing(name) for name, sql in wanted.items() if found.get(name) != _normalised(sql))
        yield from (_foreign(name, table) for name in found if name not in wanted)
        unique = {name for kind, name, on, sql in stored if on == table and sql.startswith("CREATE UNIQUE INDEX")}
        for constraint in model._meta.constraints:
            if f'CONSTRAINT "{constraint.name}" ' not in create and constraint.name not in unique:
                yield _constraint(constraint.name, table)
        yield from (_foreign_key(column, table) for column in _foreign_keys(model) if (table, column) not in keys)


_TABLES = """
SELECT wanted.name, c.relkind = 'r' AND c.relpersistence = 'p' AND NOT c.relispartition, pg_get_userbyid(c.relowner),
  EXISTS (SELECT 1 FROM pg_rewrite r WHERE r.ev_class = c.oid),
  c.relrowsecurity,
  EXISTS (SELECT 1 FROM pg_inherits i WHERE c.oid IN (i.inhrelid, i.inhparent))
FROM unnest(%s::text[]) AS wanted (name) LEFT JOIN pg_class c ON c.oid = to_regclass(quote_ident(wanted.name))
"""
#: The definition of a trigger is one text: its type, and of its function the language, the rights, the settings and the
#: body. A trigger with a condition, a list of columns or arguments has another text.
_TRIGGERS = """
SELECT c.relname, t.tgname, t.tgisinternal, t.tgenabled IN ('O', 'A'), t.tgenabled <> 'D', p.proowner = c.relowner,
  concat_ws(' ', t.tgtype, l.lanname, CASE WHEN p.prosecdef THEN 'SECURITY DEFINER' END,
    array_to_string(p.proconfig, ' '), pg_get_expr(t.tgqual, t.tgrelid), nullif(t.tgattr::text, ''),
    CASE WHEN t.tgnargs > 0 THEN 'arguments' END, p.prosrc)
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid
  JOIN pg_language l ON l.oid = p.prolang
WHERE t.tgrelid = ANY (SELECT to_regclass(quote_ident(name)) FROM unnest(%s::text[]) AS name)
ORDER BY c.relname, t.tgname
"""
_CONSTRAINTS = """
SELECT c.relname, k.conname, CASE WHEN k.contype = 'f' THEN (
  SELECT string_agg(a.attname, ',') FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = ANY (k.conkey)
) END
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
WHERE k.convalidated AND k.conrelid = ANY (SELECT to_regclass(quote_ident(name)) FROM unnest(%s::text[]) AS name)
UNION ALL
SELECT c.relname, x.relname, NULL FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
  JOIN pg_class x ON x.oid = i.indexrelid
WHERE i.indisunique AND i.indisvalid AND i.indisready AND i.indislive
  AND i.indrelid = ANY (SELECT to_regclass(quote_ident(name)) FROM unnest(%s::text[]) AS name)
"""


def _postgresql(cursor: Any, sealed: dict[str, tuple[Seal, AnyModel]]) -> Iterator[str]:
    names = list(sealed)
    cursor.execute(_TABLES, [names])
    tables = cursor.fetchall()
    cursor.execute(_TRIGGERS, [names])
    triggers = cursor.fetchall()
    cursor.execute(_CONSTRAINTS, [names, names])
    valid = cursor.fetchall()
    constraints = {(table, name) for table, name, _columns in valid}
    keys = {(table, columns) for table, _name, columns in valid}
    owners = Counter(owner for _table, _ordinary, owner, *_flags in tables if owner)
    common = owners.most_common(1)[0][0] if owners else None
    for table, ordinary, owner, rules, row_security, inherits in tables:
        seal, model = sealed[table]
        if owner is None:
            yield _absent(table)
            continue
        if not ordinary:
            yield _not_ordinary(table)
            continue
        if owner != common:
            yield f"The table {table} belongs to the role {owner}, the other sealed tables to {common}."
        if rules:
            yield f"The table {table} has a rewrite rule."
        if row_security:
            yield f"The table {table} has row security, which hides rows."
        if inherits:
            yield f"The table {table} inherits from another table, or another table inherits from it."
        yield from _postgresql_triggers(seal, table, [row for row in triggers if row[0] == table])
        for constraint in model._meta.constraints:
            if (table, constraint.name) not in constraints:
                yield _constraint(constraint.name, table)
        yield from (_foreign_key(column, table) for column in _foreign_keys(model) if (table, column) not in keys)


def _postgresql_triggers(seal: Seal, table: str, rows: list[tuple[Any, ...]]) -> Iterator[str]:
    """Yield the differences of the triggers on one table. ``rows`` are those of ``_TRIGGERS`` about this table."""
    events = postgresql_events(seal)
    search_path = SEARCH_PATH.replace(" = ", "=")
    wanted = {
        name: _normalised(f"{kind} plpgsql {search_path} {postgresql_function(seal)}")
        for name, (_event, _level, kind) in events.items()
    }
    found = {
        name: _normalised(definition)
        for _table, name, internal, enabled, _fires, same_owner, definition in rows
        if enabled and same_owner and not internal
    }
    yield from (_missing(name) for name, definition in wanted.items() if found.get(name) != definition)
    for _table, name, internal, enabled, fires, *_rest in rows:
        if not internal and fires and name not in wanted:
            yield _foreign(name, table)
        elif internal and not enabled:
            yield f"The trigger {name} of a foreign key of the table {table} is disabled."
