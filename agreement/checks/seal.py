"""Checks of the seal of published editions, on the databases that a command gives them by alias. ``check --database``
gives the named ones, and ``migrate`` gives its own. A plain ``check`` gives none, so no database is checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.apps import AppConfig, apps
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own name
from django.db import DatabaseError, connections

from agreement.seal import inspection, triggers


def check_seal(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **kwargs: object
) -> Iterable[CheckMessage]:
    """Check that the seal is installed in these databases, which are given by alias (``None``: none). Each difference
    that :func:`agreement.seal.inspection.differences` finds gives an error, and so does a database that can't be
    inspected. A database system for which the app has no triggers gives a warning. A database on which the triggers are
    not expected (:func:`agreement.seal.triggers.expected`) gives nothing.
    """
    for alias in databases or ():
        connection = connections[alias]
        if connection.vendor not in triggers.VENDORS:
            yield Warning(
                f"The database {alias!r} is {connection.vendor}: published editions are protected by Python code"
                " and by their chain of digests, but not by triggers.",
                hint="Use PostgreSQL or SQLite for the full guarantee.",
                id="agreement.W003",
            )
        elif triggers.expected(connection):
            try:
                sentences = inspection.differences(connection, apps.get_model)
            except DatabaseError as error:
                sentences = [f"The tables and triggers can't be inspected: {' '.join(str(error).split())}."]
            for sentence in sentences:
                yield Error(
                    f"The seal of published editions is broken: {sentence[:1].lower()}{sentence[1:]}",
                    hint=(
                        "Run manage.py migrate --skip-checks, which installs the triggers again. Undo any other change"
                        " by hand. Then run manage.py verify_editions."
                    ),
                    id="agreement.E007",
                )


def check_role(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **kwargs: object
) -> Iterable[CheckMessage]:
    """Check that the database role of the application can't remove the triggers in these databases, which are given by
    alias (``None``: none). A role that can remove them gives a warning. Only PostgreSQL is checked, and only a database
    on which the triggers are expected (:func:`agreement.seal.triggers.expected`).
    """
    for alias in databases or ():
        connection = connections[alias]
        if (
            connection.vendor == "postgresql"
            and triggers.expected(connection)
            and triggers.removable(connection, apps.get_model)
        ):
            yield Warning(
                f"The role {connection.settings_dict['USER']!r} of the database {alias!r} could remove the triggers"
                " that seal published editions.",
                hint="Connect as a role that does not own the tables. agreement/docs/operate.md describes it.",
                id="agreement.W045",
            )
