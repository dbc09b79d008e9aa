"""django-post_office sends what ``deliver`` sends, in a process of its own: ``deliver --peers``."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PACKAGE = "django-post_office"
ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def post_office(port: int, count: int) -> Iterator[Callable[[], float]]:
    """The seconds it takes to send so many queued letters to the mail server there, as it comes: five threads, states
    written by batch. Installed for the moment, in a folder of its own.
    """
    with tempfile.TemporaryDirectory() as folder:
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder, PACKAGE]
        subprocess.run(install, check=True)
        env = os.environ | {
            "PYTHONPATH": os.pathsep.join([folder, str(ROOT)]),
            "DJANGO_SETTINGS_MODULE": "tests.benchmarks.peer_settings",
            "BENCHMARK_PEER": PACKAGE,
        }
        if not env.get("AGREEMENT_TEST_POSTGRESQL"):
            env["DATABASE_URL"] = f"sqlite:///{folder}/site.sqlite3"
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.peer_mail", str(port), str(count), folder],
            cwd=ROOT,
            env=env,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdin
        assert process.stdout
        line = process.stdout.readline()
        assert line == "ready\n", line

        def send() -> float:
            assert process.stdin
            assert process.stdout
            process.stdin.write("go\n")
            process.stdin.flush()
            return float(process.stdout.readline())

        try:
            yield send
        finally:
            process.stdin.close()
            process.wait(60)


def main(port: int, count: int, folder: str) -> None:
    import django

    django.setup()
    from django.db import connection
    from django.test.utils import setup_databases, teardown_databases
    from post_office import mail
    from post_office.models import Email

    from agreement.models import Notice
    from agreement.notices.letters import letter
    from tests.benchmarks.notices import _mail_to
    from tests.support import factories

    if connection.vendor == "sqlite":
        connection.settings_dict["TEST"]["NAME"] = f"{folder}/peer.sqlite3"
    else:
        connection.settings_dict["TEST"]["NAME"] = f"test_{connection.settings_dict['NAME']}_peer"
    databases = setup_databases(verbosity=0, interactive=False)
    _mail_to(port)
    factories.published(slug="letters", kk=factories.KK, ru=factories.RU)
    more = "\n1.3. 0.\n"
    factories.published(slug="letters", kk=factories.KK + more, ru=factories.RU + more)
    content = letter(Notice.objects.order_by("-pk")[0], "mul", since=1)
    logging.getLogger("post_office").setLevel(logging.ERROR)
    print("ready", flush=True)
    for _line in sys.stdin:
        Email.objects.all().delete()
        mail.send_many(
            [
                {
                    "sender": "noreply@portal.example.kz",
                    "recipients": [f"user{number}@example.kz"],
                    "subject": content.subject,
                    "message": content.text,
                    "html_message": content.html,
                }
                for number in range(count)
            ]
        )
        started = time.perf_counter()
        sent = 0
        while queued := mail.get_queued().count():
            sent += mail.send_queued(processes=1, log_level=0)[0]
            assert queued
        assert sent == count, sent
        print(time.perf_counter() - started, flush=True)
    teardown_databases(databases, verbosity=0)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
