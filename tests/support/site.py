"""The portal as its own processes on a database of its own: for what only real processes can show."""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

KK = "# Пайдаланушы келісімі\n\n## 1. ЖАЛПЫ ЕРЕЖЕЛЕР\n\n1.1. Бірінші тармақ.\n\n1.2. Екінші тармақ.\n"
RU = "# Пользовательское соглашение\n\n## 1. ОБЩИЕ ПОЛОЖЕНИЯ\n\n1.1. Первый пункт.\n\n1.2. Второй пункт.\n"

ROOT = Path(__file__).resolve().parents[2]
POSTGRESQL = os.environ.get("AGREEMENT_TEST_POSTGRESQL", "")


@dataclass(frozen=True)
class Site:
    """``manage.py`` of the portal with a database, a mail server and further variables of the environment."""

    database_url: str
    email_url: str = ""
    broker_url: str = ""
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in {"DJANGO_SETTINGS_MODULE"}}
        kept |= self.environment
        return kept | {
            "DATABASE_URL": self.database_url,
            "EMAIL_URL": self.email_url,
            "CELERY_BROKER_URL": self.broker_url,
            "DEBUG": "1",
            "AGREEMENT_NOTICE_DELAY": "0",
            "PYTHONWARNINGS": "default",
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.env,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, *arguments: str, code: int = 0, stdin: str = "") -> str:
        """What the command prints, standard error included; its exit code must be ``code``."""
        process = self.start(*arguments)
        out, err = process.communicate(stdin, timeout=180)
        assert process.returncode == code, f"{arguments}: exit {process.returncode}\n{out}\n{err}"
        return out + err

    def draft(self, folder: Path, *, more: str = "") -> str:
        """Import the smallest agreement, with ``more`` at the end of both texts; the draft's id."""
        for language, text in (("kk", KK), ("ru", RU)):
            (folder / f"{language}.md").write_text(text + more, encoding="utf-8")
        files = ("--kk", str(folder / "kk.md"), "--ru", str(folder / "ru.md"))
        return self.run("import_edition", *files).split()[1]

    def python(self, source: str) -> str:
        """What that code prints, run with Django set up."""
        setup = "import django, os; os.environ['DJANGO_SETTINGS_MODULE'] = 'portal_site.settings'; django.setup()\n"
        done = subprocess.run(
            [sys.executable, "-c", setup + source],
            cwd=ROOT,
            env=self.env,
            text=True,
            capture_output=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@contextmanager
def database(folder: Path, *, vendor: str = "", like: str = "") -> Iterator[str]:
    """The URL of a database in ``folder``, or on the run's PostgreSQL server: empty, or a copy of the one ``like``
    is the URL of.
    """
    if vendor == "sqlite" or not POSTGRESQL:
        file = folder / f"{uuid.uuid4().hex}.sqlite3"
        if like:
            shutil.copy(like.removeprefix("sqlite:///"), file)
        yield f"sqlite:///{file}"
        return
    import psycopg

    server, _, _name = POSTGRESQL.rpartition("/")
    name = f"agreement_site_{uuid.uuid4().hex[:12]}"
    template = like.rpartition("/")[2] or "template1"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield f"{server}/{name}"
    finally:
        with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@cache
def _migrated(vendor: str) -> str:
    """The URL of a migrated database that is there to be copied, until this process ends."""
    kept = ExitStack()
    atexit.register(kept.close)
    folder = kept.enter_context(tempfile.TemporaryDirectory())
    url = kept.enter_context(database(Path(folder), vendor=vendor))
    Site(url).run("migrate", "-v0")
    return url


@contextmanager
def site(folder: Path, *, email_url: str = "", vendor: str = "") -> Iterator[Site]:
    """A migrated portal."""
    with database(folder, vendor=vendor, like=_migrated(vendor if POSTGRESQL else "sqlite")) as url:
        yield Site(url, email_url)


@contextmanager
def served(
    made: Site, log: Path, application: str = "portal_site.wsgi", *, asgi: bool = False, **environment: str
) -> Iterator[int]:
    """The port at which gunicorn, or uvicorn with ``asgi``, serves the portal, ``DEBUG`` off as deployed; what the
    server says is in ``log``.
    """
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    env = made.env | {"DEBUG": "0", "SECRET_KEY": "served", "AGREEMENT_BASE_URL": f"http://127.0.0.1:{port}"}
    options = ("--workers=1", "--worker-class=gthread", "--threads=4", "--keep-alive=30")
    command = [sys.executable, "-m", "gunicorn", f"--bind=127.0.0.1:{port}", *options, application]
    if asgi:
        command = [sys.executable, "-m", "uvicorn", f"--port={port}", f"{application}:application"]
    with log.open("w") as out, subprocess.Popen(command, cwd=ROOT, env=env | environment, stdout=out, stderr=out) as it:
        try:
            wait_for(port, it, log)
            yield port
        finally:
            it.terminate()


def wait_for(port: int, process: subprocess.Popen[Any], log: Path) -> None:
    """Until that process listens there; what it said, if it ends before."""
    for _attempt in range(600):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    raise AssertionError(f"Nothing listens after half a minute: {log.read_text()}")


def make_users(count: int) -> str:
    """Source that makes users with kk, ru and unknown language in turn; for ``Site.python``."""
    return f"from tests.support.factories import users; users({count})"


def publish_to(count: int) -> str:
    """Source that makes so many users, as ``make_users``, and publishes an edition; for ``Site.python``."""
    return f"{make_users(count)}; from tests.support.factories import published; published()"
