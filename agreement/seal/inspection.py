"""Inspection: compares the definitions of the sealed tables and of their triggers in a database with what they should
be. The rows are not read. On PostgreSQL it also compares the owners and the schemas of the tables with each other, and
finds settings by which triggers do not fire.
"""

from __future__ import annotations

import re
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
    """Return one sentence, in English, for each difference between the sealed tables with their triggers in the
    database and what they should be. A trigger, constraint or unique index that was added is a difference, and on
    PostgreSQL also an index with a condition or an expression. A column that was added is not. On PostgreSQL there is
    also a sentence for each setting by which triggers may not fire, or by which differences may be hidden.

    Every table of ``SEALS`` should exist. ``get_model(app_label, name)`` returns its model or raises ``LookupError``,
    as ``apps.get_model`` does; a model that it does not know is passed over. 6 queries on PostgreSQL, 1 on SQLite. The
    list is empty, without a query, on a database that is not in ``VENDORS``, because it has no triggers.
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
        return list(inspect(connection, cursor, sealed))


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


def _foreign_constraint(name: str, table: str) -> str:
    return f"The constraint or index {name} of the table {table} is not part of the models."


def _column(column: str, table: str) -> str:
    return f"The column {column} of the table {table} is missing, or its definition is altered."


def _uniqueness(column: str, table: str) -> str:
    return f"The unique index of the column {column} of the table {table} is missing or not valid."


def _unique_columns(model: AnyModel) -> set[str]:
    """The names of the columns that the model declares unique by themselves, the primary key among them."""
    return {str(field.column) for field in model._meta.concrete_fields if field.unique}


def _foreign_key(column: str, table: str) -> str:
    return f"The foreign key of the column {column} of the table {table} is missing or not valid."


def _foreign_keys(model: AnyModel) -> set[tuple[str, str, str]]:
    """The foreign keys that the model has in the database, each as three names: its column, and the table and the
    column to which it refers. Those without a constraint (``db_constraint=False``) are left out.
    """
    return {
        (str(field.column), target.model._meta.db_table, str(target.column))
        for field in model._meta.concrete_fields
        if isinstance(field, models.ForeignKey) and getattr(field, "db_constraint", True)
        for target in field.foreign_related_fields
    }


def _sqlite(connection: BaseDatabaseWrapper, cursor: Any, sealed: dict[str, tuple[Seal, AnyModel]]) -> Iterator[str]:
    # SQLite ignores the case of names, and what the column "type" contains: it reads the text. The tables and views of
    # this connection alone hide those of the file, and its triggers fire on them.
    cursor.execute(
        "SELECT 'main', type, name, lower(tbl_name), sql FROM main.sqlite_master WHERE sql IS NOT NULL"
        " UNION ALL SELECT 'temp', type, name, lower(tbl_name), sql FROM temp.sqlite_master WHERE sql IS NOT NULL"
    )
    stored = cursor.fetchall()
    kinds = {name: (kind, sql) for at, kind, name, _on, sql in stored if at == "main" and kind in {"table", "view"}}
    hidden = {name.lower() for at, kind, name, *_rest in stored if at == "temp" and kind in {"table", "view"}}
    editor = connection.schema_editor()
    for table, (seal, model) in sealed.items():
        if table not in kinds:
            yield _absent(table)
            continue
        kind, create = kinds[table]
        if kind != "table" or not create.startswith(f'CREATE TABLE "{table}" (') or table in hidden:
            yield _not_ordinary(table)
            continue
        others = [(name, sql) for _at, _kind, name, on, sql in stored if on == table and sql != create]
        indexes = {name: sql for name, sql in others if re.match("CREATE (UNIQUE )?INDEX ", sql, re.IGNORECASE)}
        found = [(name, sql) for name, sql in others if name not in indexes]
        wanted = sqlite_triggers(seal, model)
        yield from (_missing(name) for name, sql in wanted.items() if [s for n, s in found if n == name] != [sql])
        yield from (_foreign(name, table) for name, _sql in found if name not in wanted)
        editor.deferred_sql = []  # table_sql() adds the statements of indexes to it.
        expected, present = (_definitions(sql) for sql in (editor.table_sql(model)[0], create))
        altered = {_name(definition) for definition in expected - present}
        for constraint in model._meta.constraints:
            if isinstance(constraint, models.UniqueConstraint) and constraint.condition:  # It is an index.
                same = _bare(indexes.pop(constraint.name, "")) == _bare(str(constraint.create_sql(model, editor)))
            else:
                same = constraint.name not in altered
            if not same:
                yield _constraint(constraint.name, table)
        columns = [str(field.column) for field in model._meta.concrete_fields]
        yield from (_column(column, table) for column in columns if column in altered)
        # A column that the model does not have is not a difference.
        added = {_name(definition) for definition in present - expected if not definition.startswith('"')} - altered
        added |= {name for name, sql in indexes.items() if re.match("CREATE UNIQUE ", sql, re.IGNORECASE)}
        yield from (_foreign_constraint(name, table) for name in sorted(added))


def _definitions(create: str) -> set[str]:
    """The definitions of the columns and constraints in a ``CREATE TABLE`` of SQLite, each without comments, and
    without white space and round brackets outside quotation marks. What follows the definitions, such as ``WITHOUT
    ROWID``, is in the set too.
    """
    quoted = r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\]"""
    found, depth = [""], 0
    for part in re.findall(rf"{quoted}|--[^\n]*|/\*.*?(?:\*/|$)|.", create.partition("(")[2], re.DOTALL):
        if part == "(":
            depth += 1
        elif part == ")":
            depth -= 1
        elif not part.isspace() and not part.startswith(("--", "/*")):
            found[-1] += part
        if (part == "," and depth == 0) or (part == ")" and depth < 0):
            found[-1] = found[-1].removesuffix(",")
            found.append("")
    return set(found) - {""}


def _name(definition: str) -> str:
    """The name of the column or constraint that ``definition`` defines; the definition itself if it has no name."""
    named = re.match(r'(?:CONSTRAINT)?"(\w+)"', definition, re.IGNORECASE)
    return named[1] if named else definition


#: In every query, the catalogue and its functions are named with their schema, because a table or function of another
#: schema that precedes it in the search_path could hide what is to be found. Only operators can't be named so simply.
_SESSION = """
SELECT pg_catalog.current_schemas(TRUE)::pg_catalog.text[],
  pg_catalog.current_setting('session_replication_role'),
  ARRAY(
    SELECT COALESCE(r.rolname, 'all roles') FROM pg_catalog.pg_db_role_setting s
      LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole
    WHERE EXISTS (
      SELECT 1 FROM pg_catalog.unnest(s.setconfig) AS setting
      WHERE setting LIKE 'session_replication_role=%%' AND setting <> 'session_replication_role=origin'
    )
  )::pg_catalog.text[]
"""
_OIDS = """(
  SELECT pg_catalog.to_regclass(pg_catalog.quote_ident(name)) FROM pg_catalog.unnest(%s::pg_catalog.text[]) AS name
)"""
_TABLES = """
SELECT wanted.name, c.relkind = 'r' AND c.relpersistence = 'p' AND NOT c.relispartition,
  pg_catalog.pg_get_userbyid(c.relowner), n.nspname,
  EXISTS (SELECT 1 FROM pg_catalog.pg_rewrite r WHERE r.ev_class = c.oid),
  c.relrowsecurity,
  EXISTS (SELECT 1 FROM pg_catalog.pg_inherits i WHERE c.oid IN (i.inhrelid, i.inhparent))
FROM pg_catalog.unnest(%s::pg_catalog.text[]) AS wanted (name)
  LEFT JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(pg_catalog.quote_ident(wanted.name))
  LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
"""
#: The definition of a trigger is one text: its type, and of its function the language, the rights, the settings and the
#: body. A trigger with a condition, a list of columns, arguments or transition tables, one that can be deferred, and
#: one whose function is not volatile (it would not see the rows of the statement) has another text.
_TRIGGERS = f"""
SELECT c.relname, t.tgname, t.tgisinternal AND p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace,
  t.tgenabled IN ('O', 'A'), t.tgenabled <> 'D', p.proowner = c.relowner,
  pg_catalog.concat_ws(' ', t.tgtype, l.lanname, CASE WHEN p.prosecdef THEN 'SECURITY DEFINER' END,
    pg_catalog.array_to_string(p.proconfig, ' '), CASE WHEN t.tgqual IS NOT NULL THEN 'condition' END,
    NULLIF(t.tgattr::pg_catalog.text, ''), CASE WHEN t.tgnargs > 0 THEN 'arguments' END,
    CASE WHEN t.tgconstraint <> 0 OR t.tgdeferrable OR t.tginitdeferred THEN 'constraint trigger' END,
    t.tgoldtable, t.tgnewtable, CASE WHEN p.provolatile <> 'v' THEN 'not volatile' END, p.prosrc)
FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
  JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid JOIN pg_catalog.pg_language l ON l.oid = p.prolang
WHERE t.tgrelid = ANY {_OIDS} OR t.tgconstrrelid = ANY {_OIDS}
ORDER BY c.relname, t.tgname
"""  # noqa: S608 - only names of the app
_COLUMNS = f"""
SELECT c.relname, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull,
  CASE WHEN a.attcollation <> t.typcollation THEN o.collname END, a.atthasdef
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
  JOIN pg_catalog.pg_type t ON t.oid = a.atttypid LEFT JOIN pg_catalog.pg_collation o ON o.oid = a.attcollation
WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attrelid = ANY {_OIDS}
"""  # noqa: S608 - only names of the app
#: Checks, exclusions and foreign keys; the latter with what they name, unless they do more than to refuse.
_CONSTRAINTS = f"""
SELECT c.relname, k.conname, k.contype, k.convalidated, ARRAY(
    SELECT a.attname FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = ANY (k.conkey)
  )::pg_catalog.text[],
  CASE WHEN k.confdeltype = 'a' AND k.confupdtype = 'a' AND pg_catalog.pg_table_is_visible(k.confrelid) THEN (
    SELECT t.relname FROM pg_catalog.pg_class t WHERE t.oid = k.confrelid
  ) END,
  (SELECT a.attname FROM pg_catalog.pg_attribute a WHERE a.attrelid = k.confrelid AND a.attnum = k.confkey[1])
FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
WHERE k.contype IN ('c', 'f', 'x') AND k.conrelid = ANY {_OIDS}
"""  # noqa: S608 - only names of the app
#: Unique indexes, and those that call a function or have a condition. A unique index of which the rows are compared in
#: another way than Django's, or later than the statement, is not valid.
_INDEXES = f"""
SELECT c.relname, x.relname, i.indisunique, i.indisvalid AND i.indisready AND i.indislive AND i.indimmediate
    AND pg_catalog.pg_get_indexdef(i.indexrelid) !~ ' (COLLATE|NULLS NOT DISTINCT)', ARRAY(
    SELECT a.attname FROM pg_catalog.unnest(i.indkey::pg_catalog.int2[]) WITH ORDINALITY AS k (number, position)
      LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number
    ORDER BY k.position
  )::pg_catalog.text[], COALESCE(pg_catalog.pg_get_expr(i.indpred, i.indrelid), '')
FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
  JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
WHERE (i.indisunique OR i.indexprs IS NOT NULL OR i.indpred IS NOT NULL)
  AND i.indrelid = ANY {_OIDS}
"""  # noqa: S608 - only names of the app


def _postgresql(
    connection: BaseDatabaseWrapper, cursor: Any, sealed: dict[str, tuple[Seal, AnyModel]]
) -> Iterator[str]:
    names = list(sealed)
    cursor.execute(_SESSION, [])
    ((schemas, replication, roles),) = cursor.fetchall()
    # No function or operator is looked up in pg_temp.
    if next((schema for schema in schemas if not schema.startswith("pg_temp")), "") != "pg_catalog":
        yield "Another schema precedes pg_catalog in the search_path, so its functions could hide what is altered."
    if replication != "origin":
        yield f"session_replication_role is {replication}, so the triggers of the seal may not fire."
    yield from (f"session_replication_role is set for {role}, so the triggers may not fire." for role in roles)
    tables, triggers, columns, constraints, indexes = (
        _rows(cursor, sql, names) for sql in (_TABLES, _TRIGGERS, _COLUMNS, _CONSTRAINTS, _INDEXES)
    )
    common_owner, common_schema = (
        max(values, key=values.count)
        for values in ([row[place] for row in tables if row[2]] or [None] for place in (2, 3))
    )
    for other, name, internal, enabled, *_rest in triggers:
        if internal and not enabled:  # It may be on the table that the key names.
            yield f"The trigger {name} of a foreign key of the table {other} is disabled."
    by_name = {row[0]: row[1:] for row in tables}
    for table, (seal, model) in sealed.items():
        ordinary, owner, schema, rules, row_security, inherits = by_name[table]
        if owner is None:
            yield _absent(table)
            continue
        if not ordinary:
            yield _not_ordinary(table)
            continue
        if owner != common_owner:
            yield f"The table {table} belongs to the role {owner}, the other sealed tables to {common_owner}."
        if schema != common_schema:
            yield f"The table {table} is in the schema {schema}, the other sealed tables in {common_schema}."
        if rules:
            yield f"The table {table} has a rewrite rule."
        if row_security:
            yield f"The table {table} has row security, which hides rows."
        if inherits:
            yield f"The table {table} inherits from another table, or another table inherits from it."
        yield from _postgresql_triggers(seal, table, [row for row in triggers if row[0] == table])
        yield from _postgresql_columns(connection, model, {row[1]: row[2:] for row in columns if row[0] == table})
        yield from _postgresql_constraints(
            connection,
            model,
            {row[1]: row[2:] for row in constraints if row[0] == table},
            {row[1]: row[2:] for row in indexes if row[0] == table},
        )


def _rows(cursor: Any, sql: str, names: list[str]) -> list[tuple[Any, ...]]:
    cursor.execute(sql, [names] * sql.count("%s"))
    rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def _postgresql_triggers(seal: Seal, table: str, rows: list[tuple[Any, ...]]) -> Iterator[str]:
    """Yield a sentence for each difference of the triggers on one table. ``rows`` are those of ``_TRIGGERS`` about this
    table.
    """
    events = postgresql_events(seal)
    search_path = SEARCH_PATH.replace(" = ", "=")
    wanted = {
        name: f"{kind} plpgsql {search_path} {postgresql_function(seal)}"
        for name, (_event, _level, kind) in events.items()
    }
    found = {
        name: definition
        for _table, name, internal, enabled, _fires, same_owner, definition in rows
        if enabled and same_owner and not internal
    }
    yield from (_missing(name) for name, definition in wanted.items() if found.get(name) != definition)
    for _table, name, internal, _enabled, fires, *_rest in rows:
        if not internal and fires and name not in wanted:
            yield _foreign(name, table)


def _postgresql_columns(
    connection: BaseDatabaseWrapper, model: AnyModel, found: dict[str, tuple[Any, ...]]
) -> Iterator[str]:
    """Yield a sentence for each difference of the columns of one table. ``found`` maps the name of each of its columns
    to the type, to whether it is NOT NULL, to its collation (``None``: that of the type), and to whether it has a
    default. A column that the model does not have is not a difference.
    """
    for field in model._meta.concrete_fields:
        parameters = field.db_parameters(connection)
        kind = re.sub(r"^char\b", "character", str(parameters["type"]).replace("varchar", "character varying"))
        if found.get(str(field.column)) != (kind, not field.null, parameters.get("collation"), field.has_db_default()):
            yield _column(str(field.column), model._meta.db_table)


def _postgresql_constraints(
    connection: BaseDatabaseWrapper,
    model: AnyModel,
    constraints: dict[str, tuple[Any, ...]],
    indexes: dict[str, tuple[Any, ...]],
) -> Iterator[str]:
    """Yield a sentence for each difference of the constraints, foreign keys and indexes of one table. ``constraints``
    and ``indexes`` map the name of each to the other columns of its row of ``_CONSTRAINTS`` and ``_INDEXES``.

    PostgreSQL writes the condition of a check in its own words, so only the columns in it are compared. An index that
    is not unique and has no condition and no expression is not compared. An index that is not unique and has a
    condition or an expression is a difference, unless the model has an index of this name on the same columns, and the
    condition calls no function.
    """
    table, editor = model._meta.db_table, connection.schema_editor()
    column_of = {field.name: str(field.column) for field in model._meta.concrete_fields}
    checked = {
        column_of[field.name] for field in model._meta.concrete_fields if field.db_parameters(connection)["check"]
    }
    plain = {index.name: [column_of[name] for name in index.fields] for index in model._meta.indexes}
    known_checks, known_indexes = set(), set()
    for constraint in model._meta.constraints:
        if isinstance(constraint, models.UniqueConstraint):
            known_indexes.add(constraint.name)
            condition = str(constraint.create_sql(model, editor)).partition(" WHERE ")[2]
            unique, valid, columns, predicate = indexes.get(constraint.name, (False, False, [], ""))
            same = (
                unique
                and valid
                and columns == [column_of[name] for name in constraint.fields]
                and _bare(predicate) == _bare(condition)
            )
        else:
            known_checks.add(constraint.name)
            sql = constraint.constraint_sql(model, editor)
            kind, same, columns, *_target = constraints.get(constraint.name, ("", False, []))
            named = set(column_of.values()).intersection(re.findall(r'"(\w+)"', str(sql)))
            same = same and kind == "c" and set(columns) == named
        if not same:
            yield _constraint(constraint.name, table)
    wanted = _foreign_keys(model)
    found = {
        name: (*columns, *target)
        for name, (kind, valid, columns, *target) in constraints.items()
        if kind == "f" and valid
    }
    yield from (_foreign_key(key[0], table) for key in sorted(wanted - set(found.values())))
    for name, (kind, valid, columns, *_target) in constraints.items():
        if kind == "c" and valid and len(columns) == 1 and columns[0] in checked and name not in known_checks:
            checked.remove(columns[0])  # The check that the type of the column has.
        elif found.get(name) not in wanted if kind == "f" else name not in known_checks:
            yield _foreign_constraint(name, table)
    yield from (_column(column, table) for column in sorted(checked))
    missing = _unique_columns(model)
    for name, (unique, valid, columns, predicate) in indexes.items():
        if unique and valid and not predicate and len(columns) == 1 and columns[0] in _unique_columns(model):
            missing.discard(columns[0])
        elif name not in known_indexes and (unique or columns != plain.get(name) or re.search(r"\w\(", predicate)):
            yield _foreign_constraint(name, table)
    yield from (_uniqueness(column, table) for column in sorted(missing))


def _bare(condition: str) -> str:
    """Return the text without round brackets, double quotation marks, white space and ``::text``, so that two forms in
    which databases or versions of Django write the same condition are equal. ``condition`` is the condition of a unique
    index on PostgreSQL, and the complete ``CREATE INDEX`` on SQLite.
    """
    return re.sub(r'::text|[()"\s]', "", condition)
