"""Backup and move: the editions arrive sealed, and verify where they arrive."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.site import Site, database, make_users, site

VERIFIED = "2 editions verified"


def with_two_editions(portal: Site, folder: Path) -> None:
    """One in force and one that supersedes it, with a notice sent for each."""
    portal.python(make_users(3))
    for number in (1, 2):
        portal.run("publish_edition", portal.draft(folder, more=f"\n1.3. {number}.\n"))
    assert VERIFIED in portal.run("verify_editions")


def assert_arrived(portal: Site) -> None:
    assert VERIFIED in portal.run("verify_editions")
    portal.run("check", "--database", "default")
    refused = portal.python(
        "from agreement.models import Edition\n"
        "from django.db import IntegrityError\n"
        "try: Edition.objects.filter(number=1).update(body_kk='x')\n"
        "except IntegrityError as error: print(error)"
    )
    assert "is sealed" in refused


@pytest.mark.sqlite
def test_a_copy_of_the_file_moves_an_sqlite_site(tmp_path):
    with site(tmp_path, vendor="sqlite") as portal:
        with_two_editions(portal, tmp_path)
        source = Path(portal.database_url.removeprefix("sqlite:///"))
        portal.python(
            "from django.db import connection; connection.cursor().execute('PRAGMA wal_checkpoint(TRUNCATE)')"
        )
        copy = shutil.copy(source, tmp_path / "copy.sqlite3")
    assert_arrived(Site(f"sqlite:///{copy}"))


@pytest.mark.sqlite
def test_dumpdata_and_loaddata_move_a_site(tmp_path):
    with site(tmp_path, vendor="sqlite") as portal, site(tmp_path, vendor="sqlite") as other:
        with_two_editions(portal, tmp_path)
        move(portal, other, tmp_path)


@pytest.mark.postgresql
def test_dumpdata_and_loaddata_move_a_site_from_sqlite_to_postgresql(tmp_path):
    with site(tmp_path, vendor="sqlite") as portal, site(tmp_path) as other:
        with_two_editions(portal, tmp_path)
        move(portal, other, tmp_path)


def move(portal: Site, other: Site, folder: Path) -> None:
    dump = str(folder / "dump.json")
    portal.run("dumpdata", "--exclude=contenttypes", "--exclude=auth.permission", f"--output={dump}")
    other.run("loaddata", dump)
    assert_arrived(other)
    other.run("loaddata", dump)  # The same again is harmless.
    assert_arrived(other)


@pytest.mark.postgresql
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "data only"])
def test_pg_dump_and_pg_restore_move_a_site(tmp_path, whole):
    dump = str(tmp_path / "site.dump")
    with site(tmp_path) as portal, database(tmp_path) as url:
        with_two_editions(portal, tmp_path)
        subprocess.run(["pg_dump", "--format=custom", f"--file={dump}", portal.database_url], check=True)
        other = Site(url)
        if whole:
            subprocess.run(["pg_restore", "--exit-on-error", f"--dbname={url}", dump], check=True)
        else:
            other.run("migrate", "-v0")
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
                    "--exit-on-error",
                    "--data-only",
                    f"--use-list={chosen}",
                    f"--dbname={url}",
                    dump,
                ],
                check=True,
            )
        assert_arrived(other)
