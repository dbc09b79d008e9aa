"""The seal opens on a test database only; ``flush`` works there and refuses elsewhere what is published."""

from __future__ import annotations

from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from unittest import mock

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.db.backends.base.introspection import TableInfo
from django.db.utils import ConnectionHandler

from agreement.models import Agreement, Edition
from agreement.seal import inspection, loss, triggers
from agreement.testing import is_test_database, open_seal
from tests.support import factories

SQLITE, POSTGRESQL = "django.db.backends.sqlite3", "django.db.backends.postgresql"


REFUSED = (
    "The database 'portal' contains published editions or audit entries, which are sealed. Nothing was deleted."
    " To start again, create a new database. To keep the records, export them first."
)


def missing() -> list[str]:
    return inspection.differences(connection, apps.get_model)


@contextmanager
def elsewhere(name: str = "portal"):
    """The same database under the name of one that is no test database."""
    with mock.patch.dict(connection.settings_dict, NAME=name):
        yield


@pytest.mark.parametrize(
    ("engine", "name", "test", "expected"),
    [
        (SQLITE, ":memory:", None, True),
        (SQLITE, "file:memorydb_default?mode=memory&cache=shared", None, True),
        (SQLITE, "file:memorydb_default_gw0?mode=memory&cache=shared", None, True),
        (SQLITE, "/srv/portal/db.sqlite3", None, False),
        (SQLITE, "/srv/test_portal/db.sqlite3", None, False),
        (SQLITE, Path("/srv/portal/db.sqlite3"), Path("/srv/portal/tests.sqlite3"), False),
        (SQLITE, "/srv/portal/tests.sqlite3", Path("/srv/portal/tests.sqlite3"), True),
        (SQLITE, "/srv/portal/tests_2.sqlite3", "/srv/portal/tests.sqlite3", True),
        (SQLITE, "/srv/portal/tests.sqlite3_2", "/srv/portal/tests.sqlite3", False),
        (SQLITE, "/srv/portal/test_db.sqlite3", None, True),
        (POSTGRESQL, "portal", None, False),
        (POSTGRESQL, "portal_test_", None, False),
        (POSTGRESQL, "test_portal", None, True),
        (POSTGRESQL, "test_portal_1", None, True),
        (POSTGRESQL, "checks", "checks", True),
        (POSTGRESQL, "checks_12", "checks", True),
        (POSTGRESQL, "checks_live", "checks", False),
        (POSTGRESQL, "portal", "checks", False),
    ],
)
def test_a_test_database_is_recognised_by_the_name_that_django_gives_it(engine, name, test, expected):
    if engine == POSTGRESQL:
        pytest.importorskip("psycopg", reason="needs psycopg: pip install '.[postgres]'")
    database = {"ENGINE": engine, "NAME": name, "TEST": {"NAME": test}}
    assert is_test_database(ConnectionHandler({"default": database})["default"]) is expected


@pytest.mark.parametrize(("primary", "expected"), [("checks", True), ("portal", False)])
def test_a_mirror_is_a_test_database_when_its_primary_is(primary, expected):
    test = {"TEST": {"NAME": "checks"}}
    mirror = {"ENGINE": SQLITE, "NAME": primary, "TEST": {"MIRROR": "default"}}
    handler = ConnectionHandler({"default": {"ENGINE": SQLITE, "NAME": primary} | test, "replica": mirror})
    with mock.patch("agreement.seal.loss.connections", handler):
        assert is_test_database(handler["replica"]) is expected


@pytest.mark.django_db
def test_this_run_is_on_a_test_database():
    assert is_test_database(connection)


@pytest.mark.django_db
def test_open_seal_lets_a_test_delete_what_is_sealed_and_closes_again():
    edition = factories.published()

    with open_seal():
        edition.notices.all().delete()
        edition.delete()
    assert missing() == []

    other = factories.published(slug="other")
    with pytest.raises(IntegrityError, match="is sealed"), transaction.atomic():
        Edition.objects.filter(pk=other.pk).update(body_kk="x")


@pytest.mark.django_db
def test_open_seal_inside_a_transaction_undoes_everything_when_the_body_fails():
    edition = factories.published()

    with pytest.raises(IntegrityError, match=r"(?i)unique"), open_seal():
        Edition.objects.filter(pk=edition.pk).update(notice_days=99)
        Agreement.objects.bulk_create([Agreement(slug="terms")])

    assert missing() == []
    edition.refresh_from_db()
    assert edition.notice_days == 0


@pytest.mark.django_db(transaction=True)
def test_open_seal_outside_a_transaction_closes_again_when_the_body_fails():
    edition = factories.published()

    with pytest.raises(IntegrityError, match=r"(?i)unique"), open_seal():
        Edition.objects.filter(pk=edition.pk).update(notice_days=99)
        Agreement.objects.bulk_create([Agreement(slug="terms")])

    assert missing() == []
    edition.refresh_from_db()
    assert edition.notice_days == 99


@pytest.mark.django_db
def test_open_seal_refuses_any_other_database_and_leaves_the_triggers():
    with elsewhere("portal"), pytest.raises(RuntimeError, match="'portal' is not a test database"), open_seal():
        pytest.fail("the seal was opened")
    assert missing() == []


@pytest.mark.django_db
def test_open_seal_is_harmless_where_the_seal_is_not_installed_yet():
    triggers.remove(connection, apps.get_model)

    with open_seal():
        assert not triggers.any_installed(connection)

    assert not triggers.any_installed(connection)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("inhibit_post_migrate", [True, False])
def test_flush_empties_a_test_database_with_sealed_rows_and_closes_the_seal(inhibit_post_migrate):
    factories.published()

    call_command("flush", interactive=False, verbosity=0, inhibit_post_migrate=inhibit_post_migrate)

    assert not Agreement.objects.exists()
    assert missing() == []


@pytest.mark.django_db(transaction=True)
def test_flush_works_for_a_test_case_that_hides_the_app():
    factories.published()
    apps.set_available_apps(["portal_site", "django.contrib.auth", "django.contrib.contenttypes"])
    try:
        call_command("flush", interactive=False, verbosity=0, allow_cascade=True, inhibit_post_migrate=True)
    finally:
        apps.unset_available_apps()

    assert Edition.objects.published().exists()
    assert missing() == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("order", ["first", "second"])
def test_one_transactional_test_leaves_no_sealed_row_to_the_next(order):
    assert not Agreement.objects.exists()
    assert factories.published().number == 1


@pytest.mark.django_db(transaction=True)
def test_flush_of_any_other_database_refuses_before_anything_is_deleted():
    factories.published()
    factories.draft()
    factories.users(1)

    with elsewhere("portal"), pytest.raises(CommandError) as caught:
        call_command("flush", interactive=False, verbosity=0)

    assert str(caught.value) == REFUSED
    assert (Edition.objects.count(), Edition.objects.drafts().count()) == (2, 1)
    assert Agreement.objects.exists()
    assert missing() == []


@pytest.mark.django_db(transaction=True)
def test_flush_of_any_other_database_works_while_nothing_is_published_or_logged():
    Edition.objects.create(agreement=factories.agreement())

    with elsewhere("portal"):
        call_command("flush", interactive=False, verbosity=0)

    assert not Agreement.objects.exists()


@pytest.mark.django_db
def test_flush_of_a_database_without_our_tables_asks_nothing_of_them():
    other = TableInfo("auth_user", "t")
    with elsewhere(), mock.patch.object(connection.introspection, "get_table_list", return_value=[other]):
        loss.refuse_loss(connection, apps.get_model)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("target", ["zero", "0001"])
def test_a_migration_that_would_drop_sealed_rows_is_refused_like_flush(target):
    factories.published()

    with elsewhere("portal"), pytest.raises(CommandError) as caught:
        call_command("migrate", "agreement", target, verbosity=0)

    assert str(caught.value) == REFUSED
    assert Edition.objects.published().exists()
    assert missing() == []


@pytest.mark.django_db(transaction=True)
def test_a_database_without_sealed_rows_is_migrated_back():
    with mock.patch.object(loss, "is_test_database", return_value=False):
        call_command("migrate", "agreement", "0001", verbosity=0)
    assert not triggers.any_installed(connection)

    call_command("migrate", verbosity=0)
    assert missing() == []


def test_the_help_of_flush_states_where_it_is_refused():
    out = StringIO()
    with mock.patch("sys.stdout", out), pytest.raises(SystemExit):
        call_command("flush", "--help")
    assert "It refuses if editions are published, except on a test database." in " ".join(out.getvalue().split())
