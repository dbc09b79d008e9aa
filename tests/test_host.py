"""A foreign, minimal site (``tests/host``) installs the app, migrates, publishes, and runs its own tests.

Each of its commands is a process of its own, by ``AGREEMENT_TEST_HOST_PYTHON`` where that is set: an environment
that holds the app's wheel and nothing of this repository.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

HOST = Path(__file__).parent / "host"
PYTHON = os.environ.get("AGREEMENT_TEST_HOST_PYTHON", "")
POSTGRESQL = os.environ.get("AGREEMENT_TEST_POSTGRESQL", "")
#: Its own tests: in a transaction, committed, with some apps hidden, with a live server.
TESTS = 11

both = pytest.mark.parametrize("languages", ["kk,ru", "kk,ru,en"])


def run(*arguments: str, languages: str, database: str = "sqlite:///unused", expected: int = 0, **more: str) -> str:
    """What the host's command said; fails the test unless it ended as expected."""
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    environment |= {
        "DJANGO_SETTINGS_MODULE": "settings",
        "HOST_LANGUAGES": languages,
        "HOST_DATABASE": database,
        "PYTHONPATH": str(HOST) if PYTHON else os.pathsep.join([str(HOST), str(HOST.parent.parent)]),
        "PYTHONDONTWRITEBYTECODE": "1",
    } | more
    done = subprocess.run(
        [PYTHON or sys.executable, "-W", "error::RuntimeWarning", "-m", "django", *arguments],
        cwd=HOST,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    said = done.stdout + done.stderr
    assert done.returncode == expected, said
    return said


def issues(said: str) -> list[str]:
    return re.findall(r"\((\w+\.[EW]\d+)\)", said)


@both
def test_its_system_check_asks_for_a_task_engine_only_and_its_migrations_are_complete(languages):
    assert issues(run("check", languages=languages)) == ["agreement.W004"]
    assert "No changes detected" in run("makemigrations", "--check", "--dry-run", languages=languages)


@both
def test_it_migrates_publishes_and_refuses_to_flush_what_is_published(languages, tmp_path):
    database = f"sqlite://{tmp_path / 'host.sqlite3'}"

    run("migrate", "-v0", languages=languages, database=database)
    said = run("shell", "-v0", "-c", PUBLISH, languages=languages, database=database)
    checked = run("check", "--database", "default", languages=languages, database=database)
    verified = run("verify_editions", languages=languages, database=database)
    refused = run("flush", "--noinput", languages=languages, database=database, expected=1)
    kept = run("shell", "-v0", "-c", COUNT, languages=languages, database=database)

    assert "published 1 by +70000000001, body body_kk body_ru, sealed" in said
    assert issues(checked) == ["agreement.W004"]
    assert "1 editions verified" in verified
    assert "or a log of acts, which are sealed: nothing was deleted. To begin again" in refused
    assert "1 editions, 1 people" in kept


PUBLISH = """
from django.db import IntegrityError, connection
from agreement.models import Agreement, Edition
from people.models import Person, Profile
from people.tests import KK, RU
person = Person.objects.create(phone="+70000000001")
Profile.objects.create(person=person, address="reader@example.kz", language="kk")
rules = Agreement.objects.create(slug="rules")
edition = Edition.objects.draft(agreement=rules, bodies={"kk": KK, "ru": RU})
edition.publish(by=person)
with connection.cursor() as cursor:
    columns = connection.introspection.get_table_description(cursor, "agreement_edition")
bodies = " ".join(sorted(column.name for column in columns if column.name.startswith("body")))
try:
    Edition.objects.update(body_kk="x")
except IntegrityError as error:
    print(f"published {edition.number} by {edition.published_by}, {bodies}, {str(error).split()[2].rstrip(':')}")
"""
COUNT = """
from agreement.models import Edition
from people.models import Person
print(f"{Edition.objects.count()} editions, {Person.objects.count()} people")
"""


@pytest.mark.parametrize(
    ("languages", "options", "environment"),
    [
        pytest.param("kk,ru", [], {}, id="two languages"),
        pytest.param("kk,ru,en", ["--reverse"], {}, id="three languages, in reverse"),
        pytest.param("kk,ru", ["--parallel=2"], {"HOST_TEST_NAME": ""}, id="on parallel clones"),
        pytest.param("kk,ru,en", [], {"HOST_TEST_MIGRATE": "0"}, id="without migrations"),
    ],
)
def test_its_own_transactional_and_live_server_tests_are_green_and_leave_nothing_behind(
    languages, options, environment, tmp_path
):
    database = f"{POSTGRESQL}_host" if POSTGRESQL else f"sqlite://{tmp_path / 'host.sqlite3'}"
    # A name of the host's own, from which clones are made.
    name = f"{urlsplit(database).path[1:]}_checks" if POSTGRESQL else str(tmp_path / "checks.sqlite3")
    environment = {variable: value or name for variable, value in environment.items()}

    said = run("test", "--noinput", *options, languages=languages, database=database, **environment)

    assert re.search(rf"^Ran {TESTS} tests", said, re.MULTILINE)
    assert re.search(r"^OK$", said, re.MULTILINE)
