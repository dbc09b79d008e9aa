"""Publishers and readers at the same instant, as processes on one database."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.site import Site, site


@pytest.fixture
def portal(tmp_path: Path):
    with site(tmp_path) as portal:
        yield portal


# Both processes are warm and wait for one line before they publish, so that they meet.
PUBLISH = """
import sys
from agreement.models import Edition
edition = Edition.objects.get(pk={pk})
print("ready", flush=True)
sys.stdin.readline()
try:
    edition.publish({options})
    print("published", edition.number)
except Exception as error:
    print(type(error).__name__, getattr(error, "code", ""))
"""


def write_line(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdin
    process.stdin.write(f"{text}\n")
    process.stdin.flush()


def read_line(process: subprocess.Popen[str]) -> str:
    """What the process prints next."""
    assert process.stdout
    text = process.stdout.readline()
    assert text, process.communicate()
    return text.strip()


def race(portal: Site, identities: list[str], options: str = "") -> list[str]:
    source = [PUBLISH.format(pk=pk, options=options) for pk in identities]
    processes = [portal.start("shell", "-v0", "-c", one) for one in source]
    for process in processes:
        assert read_line(process) == "ready"
    for process in processes:
        write_line(process, "go")
    return sorted(process.communicate(timeout=60)[0].strip().splitlines()[-1] for process in processes)


def test_of_two_who_publish_one_draft_one_is_refused(portal):
    pk = portal.python("from tests.support import factories; print(factories.draft().pk)")
    assert race(portal, [pk, pk]) == ["EditionError already_published", "published 1"]
    assert "1 editions verified" in portal.run("verify_editions")


def test_of_two_drafts_both_are_published_one_after_the_other(portal):
    identities = portal.python(
        "from tests.support import factories; print(*[factories.draft().pk for _ in range(2)])"
    ).split()
    assert race(portal, identities) == ["published 1", "published 2"]
    assert "2 editions verified" in portal.run("verify_editions")


def test_of_two_drafts_for_the_same_moment_one_is_refused(portal):
    identities = portal.python(
        "from tests.support import factories; print(*[factories.draft().pk for _ in range(2)])"
    ).split()
    moment = (datetime.now(UTC) + timedelta(days=30)).isoformat()
    options = f"effective_from=__import__('datetime').datetime.fromisoformat({moment!r})"
    assert race(portal, identities, options) == ["EditionError not_after_last", "published 1"]
    assert "1 editions verified" in portal.run("verify_editions")


# One user, many requests at the moment an edition takes effect: threads in processes, all of them warm.
DIRECT = """
import sys
from datetime import timedelta
from django.test import Client
from django.utils import timezone
from agreement.models import Acceptance
from tests.support import factories
factories.published()
changed = factories.draft(kk=factories.KK + "\\n1.3. X.\\n", ru=factories.RU + "\\n1.3. X.\\n")
(user,) = factories.users(1)
client = Client()
client.force_login(user)
print(client.cookies["sessionid"].value, flush=True)
sys.stdin.readline()
changed.publish(effective_from=timezone.now() + timedelta(seconds=3), notify=False)
print(changed.effective_from.isoformat(), flush=True)
sys.stdin.readline()
print(sorted(Acceptance.objects.values_list("edition__number", "kind")))
"""
ENTER = """
import sys, threading, time
from django.db import connections
from django.test import Client
from django.utils import timezone
from django.utils.dateparse import parse_datetime

threads, count = {threads}, {count}
statuses, lock = [], threading.Lock()

def ask():
    client = Client(raise_request_exception=False, headers={{"host": "localhost"}})
    client.cookies["sessionid"] = {session!r}
    status = client.get("/ru/", headers={{"Accept": "text/html"}}).status_code
    with lock:
        statuses.append(status)

def work(number):
    try:
        time.sleep(max(0, (effective - timezone.now()).total_seconds() - 0.05))
        while timezone.now() < effective:
            time.sleep(0.0005)
        for _request in range(count):
            ask()
    finally:
        connections.close_all()

ask()
print("ready", flush=True)
effective = parse_datetime(sys.stdin.readline().strip())
assert timezone.now() < effective, "the machine is too slow for this test: the moment has passed"
running = [threading.Thread(target=work, args=[number]) for number in range(threads)]
for thread in running:
    thread.start()
for thread in running:
    thread.join()
print("statuses", *sorted(set(statuses)), len(statuses))
"""


@pytest.mark.parametrize(
    ("processes", "threads", "count"),
    [
        (2, 10, 2),
        pytest.param(1, 50, 4, marks=pytest.mark.scale),
        pytest.param(4, 12, 5, marks=pytest.mark.scale),
        pytest.param(8, 1, 25, marks=pytest.mark.scale),
        # All two hundred at once where connections cost nothing: a PostgreSQL server comes with a hundred.
        pytest.param(4, 50, 1, marks=[pytest.mark.sqlite, pytest.mark.scale]),
    ],
)
def test_of_many_requests_at_the_effective_moment_one_is_recorded(portal, processes, threads, count):
    director = portal.start("shell", "-v0", "-c", DIRECT)
    source = ENTER.format(threads=threads, count=count, session=read_line(director))
    running = [portal.start("shell", "-v0", "-c", source) for _process in range(processes)]
    for process in running:
        assert read_line(process) == "ready"

    write_line(director, "publish")
    moment = read_line(director)
    for process in running:
        write_line(process, moment)
    said = [process.communicate(timeout=120) for process in running]

    assert [out.strip().splitlines()[-1] for out, _err in said] == [f"statuses 200 {threads * count + 1}"] * processes
    assert [err for _out, err in said if "Traceback" in err or "locked" in err] == []
    assert director.communicate("count\n", timeout=60)[0].strip() == "[(1, 'deemed'), (2, 'deemed')]"


START = """
import sys
from django.contrib.auth import get_user_model
from django.test import Client
client = Client(SERVER_NAME="localhost")
client.force_login(get_user_model().objects.get(username="author"))
client.get("/en/admin/agreement/edition/add/")
print("ready", flush=True)
sys.stdin.readline()
answer = client.post("/en/admin/agreement/edition/add/", {{"agreement": "{pk}", "begin": "empty", "after": "0"}})
print(answer.status_code, answer.headers.get("Location"))
"""


def test_a_page_that_is_submitted_twice_at_once_makes_one_draft(portal):
    pk = portal.python(
        "from django.contrib.auth import get_user_model; from tests.support import factories;"
        " get_user_model().objects.create_superuser('author'); print(factories.agreement().pk)"
    )
    processes = [portal.start("shell", "-v0", "-c", START.format(pk=pk)) for _ in range(2)]
    for process in processes:
        assert read_line(process) == "ready"
    for process in processes:
        write_line(process, "go")
    first, second = (process.communicate(timeout=60)[0].strip().splitlines()[-1] for process in processes)
    assert first == second
    assert first.startswith("302 /en/admin/agreement/edition/")
    assert portal.python("from agreement.models import Edition; print(Edition.objects.count())") == "1"
