"""What every test may use. Which database a run is on is said by ``AGREEMENT_TEST_POSTGRESQL``."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.core.management.commands import flush
from django.db import connections, transaction
from django.test import testcases
from django.utils import translation
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis

from agreement import memory
from tests.support import factories
from tests.support.officials import Official
from tests.support.scale import examples

# A busy machine is no fault of the code.
hypothesis.register_profile(
    "any machine", deadline=None, max_examples=examples(100), suppress_health_check=[HealthCheck.too_slow]
)
hypothesis.load_profile("any machine")

#: marker → (the variable without which a test with it is skipped, and the reason)
NEEDS = {
    "postgresql": (
        "AGREEMENT_TEST_POSTGRESQL",
        "needs a PostgreSQL server: set AGREEMENT_TEST_POSTGRESQL to its URL",
    ),
    "rabbitmq": ("AGREEMENT_TEST_RABBITMQ", "needs RabbitMQ: set AGREEMENT_TEST_RABBITMQ to its URL"),
    "browser": ("AGREEMENT_TEST_BROWSER", "needs Chromium: set AGREEMENT_TEST_BROWSER to its path"),
    "djangocms": (
        "AGREEMENT_TEST_DJANGOCMS_PYTHON",
        "needs django CMS: set AGREEMENT_TEST_DJANGOCMS_PYTHON to the Python of an environment that has it",
    ),
    "peers": (
        "AGREEMENT_TEST_PEERS_PYTHON",
        "needs two other packages: set AGREEMENT_TEST_PEERS_PYTHON to the Python of an environment that has them",
    ),
    "wagtail": (
        "AGREEMENT_TEST_WAGTAIL_PYTHON",
        "needs Wagtail: set AGREEMENT_TEST_WAGTAIL_PYTHON to the Python of an environment that has it",
    ),
    "unfold": (
        "AGREEMENT_TEST_UNFOLD_PYTHON",
        "needs django-unfold: set AGREEMENT_TEST_UNFOLD_PYTHON to the Python of an environment that has it",
    ),
    "scale": (
        "AGREEMENT_TEST_FULL",
        "repeats a rule at scale: name the marker (-m scale) or set AGREEMENT_TEST_FULL to 1",
    ),
}
SYSTEM = Path(__file__).parent / "system"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    for item in items:
        if item.path.is_relative_to(SYSTEM):
            item.add_marker("system")
        for marker, (variable, reason) in NEEDS.items():
            named = marker == "scale" and marker in config.option.markexpr
            if item.get_closest_marker(marker) and not os.environ.get(variable) and not named:
                item.add_marker(pytest.mark.skip(reason=reason))
        if item.get_closest_marker("sqlite") and "sqlite" not in settings.DATABASES["default"]["ENGINE"]:
            item.add_marker(pytest.mark.skip(reason="runs on SQLite alone; this run is on PostgreSQL"))
    yield
    # What waits for processes goes first, so that no worker of a parallel run waits for it in the end.
    items.sort(key=lambda item: item.get_closest_marker("system") is None)


def pytest_collection_finish() -> None:
    """Leave what is loaded by now, three hundred thousand objects, out of every later collection of garbage.

    Collect rarely too: with Python's own threshold, collections take a twentieth of the run.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 50)


#: The rows that the apps' answers to ``post_migrate`` make, by database and installed apps.
_made: dict[tuple[str, tuple[str, ...]], dict[Any, list[Any]]] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Iterator[None]:
    """The flush after a transactional test puts the content types, permissions and groups back as they were: to make
    them anew takes five times as long as all else a flush does. On PostgreSQL it deletes the rows by a quicker way.
    """
    with (
        mock.patch.object(flush, "emit_post_migrate_signal", _after_flush),
        mock.patch.object(testcases, "call_command", _flush_quickly),
    ):
        return (yield)


def _flush_quickly(name: str, *, database: str, inhibit_post_migrate: bool, **options: Any) -> None:
    """The command ``flush`` on the test database with that alias. On PostgreSQL, the seal and the foreign keys are
    ignored instead of removed, and no table gets new files, which takes a second for all tables. The tests of the site
    in ``tests/host`` use the command itself.
    """
    connection = connections[database]
    if name != "flush" or connection.vendor != "postgresql":
        call_command(name, database=database, inhibit_post_migrate=inhibit_post_migrate, **options)
        return
    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    with transaction.atomic(using=database), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        for table in map(connection.ops.quote_name, tables):
            cursor.execute(f"DELETE FROM {table}")  # noqa: S608 - the name of a table of Django
    if not inhibit_post_migrate:
        _after_flush(0, interactive=False, db=database)
    memory.clear()


def _after_flush(verbosity: int, interactive: bool, db: str) -> None:
    from django.contrib.auth.models import Group, Permission
    from django.contrib.contenttypes.models import ContentType
    from django.core.management.sql import emit_post_migrate_signal

    key = (db, tuple(apps.app_configs))
    if key not in _made:
        emit_post_migrate_signal(verbosity, interactive, db)
        models = (ContentType, Permission, Group, Group.permissions.through)
        _made[key] = {model: list(model.objects.using(db)) for model in models}
        return
    ContentType.objects.clear_cache()
    for model, rows in _made[key].items():
        model.objects.using(db).bulk_create(rows)


@pytest.fixture(scope="session")
def official(tmp_path_factory: pytest.TempPathFactory) -> Official:
    """An official with a key and a certificate, who signs manifests by openssl."""
    return Official(tmp_path_factory.mktemp("official"), key=("rsa:2048",))


@pytest.fixture
def user():
    return factories.users(1)[0]


@pytest.fixture
def reader(client, user):
    """The browser of the signed-in user."""
    client.force_login(user)
    return client


@pytest.fixture
def english() -> Iterator[None]:
    """English is the active language."""
    with translation.override("en"):
        yield
