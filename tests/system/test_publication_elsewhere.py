"""Another process publishes while every page is asked for: no page fails, and each shows the edition in force."""

from __future__ import annotations

import http.client
import subprocess
import threading
from collections import Counter
from pathlib import Path

import pytest

from tests.support.site import served, site

PUBLICATIONS = 4
#: Prints the session of a user, then publishes an edition for each line and notifies the user. One of the editions is
#: the first of another agreement.
PUBLISHER = """
import sys
from django.conf import settings
from django.core.management import call_command
from django.test import Client
from tests.support import factories
settings.SECRET_KEY = "served"  # The session is valid for the server too.
user, = factories.users(1)
factories.published()
call_command("deliver_notices", "--once", stdout=sys.stderr)
client = Client(headers={"host": "localhost"})
client.force_login(user)
print(client.cookies["sessionid"].value, flush=True)
for number, _line in enumerate(sys.stdin):
    factories.published(slug="rules" if number == 2 else "terms")
    call_command("deliver_notices", "--once", stdout=sys.stderr)
    print("published", flush=True)
"""
PUBLIC_PAGES = ("", "agreements/", "agreements/terms/", "agreements/terms/editions/", "agreements/terms/editions/1/")
ACCOUNT_PAGES = ("agreements/notices/", "agreements/record/", "agreements/terms/accept/")


# Apart from each other: the pages of an account read the dates again for all pages of the process.
@pytest.mark.parametrize("pages", [PUBLIC_PAGES, ACCOUNT_PAGES], ids=["public", "account"])
def test_no_page_fails_while_another_process_publishes(tmp_path: Path, pages: tuple[str, ...]):
    statuses: Counter[tuple[str, int]] = Counter()
    published = threading.Event()

    def ask(port: int, session: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        while not published.is_set():
            for path in pages:
                connection.request("GET", f"/ru/{path}", headers={"Cookie": f"sessionid={session}"})
                response = connection.getresponse()
                response.read()
                statuses[path, response.status] += 1
        connection.close()

    with site(tmp_path) as portal, served(portal, tmp_path / "log") as port:
        publisher = portal.start("shell", "-v0", "-c", PUBLISHER)
        session = read_line(publisher)
        reader = threading.Thread(target=ask, args=[port, session])
        reader.start()
        for _publication in range(PUBLICATIONS):
            publisher.stdin.write("\n")
            publisher.stdin.flush()
            assert read_line(publisher) == "published"
            published.wait(0.2)
        published.set()
        reader.join()
        publisher.communicate(timeout=30)

    assert {path for path, _status in statuses} == {*pages}
    assert {(path, status): count for (path, status), count in statuses.items() if status != 200} == {}


def read_line(process: subprocess.Popen[str]) -> str:
    line = process.stdout.readline()
    assert line, process.communicate()
    return line.strip()
