"""Backup and move: the editions arrive sealed, and verify where they arrive."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.site import Site, database, site

VERIFIED = "2 editions verified"


#: One in force and one that supersedes it, with a notice for each.
TWO_EDITIONS = """
from django.core.management import call_command
from tests.support import factories
factories.users(3)
for number in (1, 2):
    more = f"\\n1.3. {number}.\\n"
    factories.published(kk=factories.KK + more, ru=factories.RU + more)
call_command("verify_editions")
"""
#: A consent of last year. The seal refuses to add it now, so it is lifted meanwhile.
LAST_YEAR = """
from datetime import timedelta
from django.apps import apps
from django.contrib.auth import get_user_model
from django.db import connection
from django.utils import timezone
from agreement.models import Consent
from agreement.seal import triggers
triggers.remove(connection, apps.get_model)
at = timezone.now() - timedelta(days=365)
Consent.objects.give(user=get_user_model().objects.latest("pk"), purpose="news", language="kk", text="x", at=at)
triggers.install(connection, apps.get_model)
"""
ARRIVED = """
from django.core.management import call_command
from django.db import IntegrityError
from agreement.models import Edition
call_command("verify_editions")
call_command("check", databases=["default"])
try:
    Edition.objects.filter(number=1).update(body_kk="x")
except IntegrityError as error:
    print(error)
"""
LOAD = "from django.core.management import call_command\ncall_command('loaddata', {dump!r})\n"


def assert_arrived(portal: Site, *, load: str = "") -> None:
    said = portal.python((LOAD.format(dump=load) if load else "") + ARRIVED)
    assert VERIFIED in said
    assert "is sealed" in said


@pytest.mark.sqlite
def test_a_copy_of_the_file_moves_an_sqlite_site(tmp_path):
    with site(tmp_path, vendor="sqlite") as portal:
        checkpoint = "from django.db import connection; connection.cursor().execute('PRAGMA wal_checkpoint(TRUNCATE)')"
        assert VERIFIED in portal.python(f"{TWO_EDITIONS}\n{checkpoint}")
        source = Path(portal.database_url.removeprefix("sqlite:///"))
        copy = shutil.copy(source, tmp_path / "copy.sqlite3")
    assert_arrived(Site(f"sqlite:///{copy}"))


@pytest.mark.sqlite
def test_dumpdata_and_loaddata_move_a_site(tmp_path):
    with site(tmp_path, vendor="sqlite") as portal, site(tmp_path, vendor="sqlite") as other:
        assert VERIFIED in portal.python(TWO_EDITIONS)
        move(portal, other, tmp_path)


@pytest.mark.postgresql
def test_dumpdata_and_loaddata_move_a_site_from_sqlite_to_postgresql(tmp_path):
    with site(tmp_path, vendor="sqlite") as portal, site(tmp_path) as other:
        assert VERIFIED in portal.python(TWO_EDITIONS)
        move(portal, other, tmp_path)


def move(portal: Site, other: Site, folder: Path) -> None:
    dump = str(folder / "dump.json")
    portal.python(LAST_YEAR)
    portal.run("dumpdata", "--exclude=contenttypes", "--exclude=auth.permission", f"--output={dump}")
    # The seal is installed after the rows are there, because it refuses to add rows of another day.
    other.run("migrate", "agreement", "0001")
    other.run("loaddata", dump)
    other.run("migrate")
    assert_arrived(other)
    assert_arrived(other, load=dump)  # The same again is harmless.


@pytest.mark.postgresql
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "data only"])
def test_pg_dump_and_pg_restore_move_a_site(tmp_path, whole):
    dump = str(tmp_path / "site.dump")
    with site(tmp_path) as portal, database(tmp_path) as url:
        assert VERIFIED in portal.python(TWO_EDITIONS)
        portal.python(LAST_YEAR)
        subprocess.run(["pg_dump", "--format=custom", f"--file={dump}", portal.database_url], check=True)
        other = Site(url)
        if whole:
            subprocess.run(["pg_restore", "--exit-on-error", f"--dbname={url}", dump], check=True)
        else:
            other.run("migrate", "-v0")
            other.run("migrate", "agreement", "0001")
            other.python("from django.db import connection; connection.cursor().execute('TRUNCATE auth_group CASCADE')")
            made_by_migrate = ("django_migrations", "django_content_type", "auth_permission")
            entries = subprocess.run(["pg_restore", "--list", dump], check=True, text=True, capture_output=True).stdout
            chosen = tmp_path / "entries"
            chosen.write_text(
                "".join(
                    line + "\n"
                    for line in entries.splitlines()
                    if not any(f" TABLE DATA public {table} " in line for table in made_by_migrate)
                )
            )
            subprocess.run(
                [
                    "pg_restore",
                    "--single-transaction",  # The foreign keys are checked at its end.
                    "--data-only",
                    f"--use-list={chosen}",
                    f"--dbname={url}",
                    dump,
                ],
                check=True,
            )
            other.run("migrate")
        assert_arrived(other)
