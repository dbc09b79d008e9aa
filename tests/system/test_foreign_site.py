"""A foreign, minimal site (``tests/host``) installs the app, migrates, publishes, and runs its own tests.

Its commands run one after another in a process of their own, by ``AGREEMENT_TEST_HOST_PYTHON`` where that is set: an
environment that holds the app's wheel and nothing of this repository.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

HOST = Path(__file__).parents[1] / "host"
PYTHON = os.environ.get("AGREEMENT_TEST_HOST_PYTHON", "")
POSTGRESQL = os.environ.get("AGREEMENT_TEST_POSTGRESQL", "")
#: Its own tests: in a transaction, committed, with some apps hidden, with a live server.
TESTS = 12

#: Runs each command as ``python -m django`` would, and writes after each a NUL, its exit code and another NUL.
COMMANDS = """
import json, sys
from django.core.management import execute_from_command_line
for command in json.loads(sys.argv[1]):
    try:
        execute_from_command_line(["django-admin", *command])
        code = 0
    except SystemExit as ended:
        code = ended.code
    print(end=f"\\0{code}\\0", flush=True)
"""


def run(*commands: list[str], languages: str, database: str = "sqlite:///unused", **more: str) -> list[tuple[int, str]]:
    """The exit code of each command of the host, and what it said."""
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    environment |= {
        "DJANGO_SETTINGS_MODULE": "settings",
        "HOST_LANGUAGES": languages,
        "HOST_DATABASE": database,
        "PYTHONPATH": str(HOST) if PYTHON else os.pathsep.join([str(HOST), str(HOST.parent.parent)]),
    } | more
    done = subprocess.run(
        [PYTHON or sys.executable, "-u", "-W", "error::RuntimeWarning", "-c", COMMANDS, json.dumps(commands)],
        cwd=HOST,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
    parts = done.stdout.split("\0")
    ended = [(int(code), said) for said, code in zip(parts[:-1:2], parts[1::2], strict=True)]
    assert len(ended) == len(commands), done.stdout
    return ended


def issues(said: str) -> list[str]:
    return re.findall(r"\((\w+\.[EW]\d+)\)", said)


@pytest.mark.parametrize("languages", ["kk,ru,en", pytest.param("kk,ru", marks=pytest.mark.scale)])
def test_its_system_check_asks_for_a_task_engine_only_and_its_migrations_are_complete(languages):
    checked, made = run(["check"], ["makemigrations", "--check", "--dry-run"], languages=languages)
    assert (checked[0], issues(checked[1])) == (0, ["agreement.W004"])
    assert made[0] == 0
    assert "No changes detected" in made[1]


@pytest.mark.parametrize("languages", ["kk,ru,en", pytest.param("kk,ru", marks=pytest.mark.scale)])
def test_it_migrates_publishes_and_refuses_to_flush_what_is_published(languages, tmp_path):
    commands = [
        ["migrate", "-v0"],
        ["shell", "-v0", "-c", PUBLISH],
        ["check", "--database", "default"],
        ["verify_editions"],
        ["flush", "--noinput"],
        ["shell", "-v0", "-c", COUNT],
    ]
    ended = run(*commands, languages=languages, database=f"sqlite://{tmp_path / 'host.sqlite3'}")
    _migrated, published, checked, verified, refused, kept = (said for _code, said in ended)

    assert [code for code, _said in ended] == [0, 0, 0, 0, 1, 0], ended
    assert "published 1 by +70000000001, body body_kk body_ru, sealed" in published
    assert issues(checked) == ["agreement.W004"]
    assert "1 editions verified" in verified
    assert "or audit entries, which are sealed. Nothing was deleted. To start again" in refused
    assert "1 editions, 1 people" in kept


PUBLISH = """
from django.db import IntegrityError, connection
from agreement.models import Agreement, Edition
from people.models import Person, Profile
from people.tests import KK, RU
person = Person.objects.create(phone="+70000000001")
Profile.objects.create(person=person, address="reader@example.kz", language="kk")
rules = Agreement.objects.create(slug="rules")
edition = Edition.objects.create_draft(agreement=rules, bodies={"kk": KK, "ru": RU})
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
        pytest.param("kk,ru", [], {}, id="two languages", marks=pytest.mark.scale),
        pytest.param(
            *("kk,ru,en", ["--reverse", "--parallel=2"], {"HOST_TEST_NAME": "", "HOST_TEST_MIGRATE": "0"}),
            id="three languages, in reverse, on parallel clones, without migrations",
        ),
        pytest.param("kk,ru,en", ["--reverse"], {}, id="three languages, in reverse", marks=pytest.mark.scale),
        pytest.param(
            *("kk,ru", ["--parallel=2"], {"HOST_TEST_NAME": ""}), id="on parallel clones", marks=pytest.mark.scale
        ),
        pytest.param(*("kk,ru,en", [], {"HOST_TEST_MIGRATE": "0"}), id="without migrations", marks=pytest.mark.scale),
    ],
)
def test_its_own_transactional_and_live_server_tests_are_green_and_leave_nothing_behind(
    languages, options, environment, tmp_path
):
    database = f"{POSTGRESQL}_host" if POSTGRESQL else f"sqlite://{tmp_path / 'host.sqlite3'}"
    # A name of the host's own, from which clones are made.
    name = f"{urlsplit(database).path[1:]}_checks" if POSTGRESQL else str(tmp_path / "checks.sqlite3")
    environment = {variable: value or name for variable, value in environment.items()}

    ((code, said),) = run(["test", "--noinput", *options], languages=languages, database=database, **environment)

    assert code == 0, said
    assert re.search(rf"^Ran {TESTS} tests", said, re.MULTILINE)
    assert re.search(r"^OK$", said, re.MULTILINE)
