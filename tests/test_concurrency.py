"""Publishers and readers at the same instant, as processes on one database."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from tests.site import Site, site


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
    edition.publish()
    print("published", edition.number)
except Exception as error:
    print(type(error).__name__, getattr(error, "code", ""))
"""


def race(portal: Site, identities: list[str]) -> list[str]:
    processes = [portal.start("shell", "-v0", "-c", PUBLISH.format(pk=pk)) for pk in identities]
    for process in processes:
        assert process.stdout
        while "ready" not in process.stdout.readline():
            assert process.poll() is None
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    return sorted(process.communicate(timeout=60)[0].strip().splitlines()[-1] for process in processes)


def test_of_two_who_publish_one_draft_one_is_refused(portal, tmp_path):
    pk = portal.draft(tmp_path)
    assert race(portal, [pk, pk]) == ["EditionError already_published", "published 1"]
    assert "1 editions verified" in portal.run("verify_editions")


def test_of_two_drafts_both_are_published_one_after_the_other(portal, tmp_path):
    identities = [portal.draft(tmp_path) for _ in range(4)]
    assert race(portal, identities) == [f"published {number}" for number in (1, 2, 3, 4)]
    assert "4 editions verified" in portal.run("verify_editions")


# One user, two hundred requests at the moment an edition takes effect: threads in processes, all of them warm.
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
LOGIN = """
from django.test import Client
from tests.factories import users
(user,) = users(1)
client = Client()
client.force_login(user)
print(client.cookies["sessionid"].value)
"""
COUNT = """
from agreement.models import Acceptance
print(sorted(Acceptance.objects.values_list("edition__number", "kind")))
"""


@pytest.mark.parametrize(
    ("processes", "threads", "count"),
    # All two hundred at once where connections cost nothing: a PostgreSQL server comes with a hundred.
    [(1, 50, 4), (4, 12, 5), (8, 1, 25), pytest.param(4, 50, 1, marks=pytest.mark.sqlite)],
)
def test_of_two_hundred_requests_at_the_effective_moment_one_joins(portal, tmp_path, processes, threads, count):
    portal.run("publish_edition", portal.draft(tmp_path), "--no-notice")
    session = portal.python(LOGIN)
    changed = portal.draft(tmp_path, more="\n1.3. X.\n")
    source = ENTER.format(threads=threads, count=count, session=session)
    running = [portal.start("shell", "-v0", "-c", source) for _process in range(processes)]
    for process in running:
        assert process.stdout
        while "ready" not in (line := process.stdout.readline()):
            assert line, process.communicate()

    moment = (timezone.now() + timedelta(seconds=8)).isoformat()
    portal.run("publish_edition", changed, "--effective-from", moment, "--no-notice")
    for process in running:
        assert process.stdin
        process.stdin.write(f"{moment}\n")
        process.stdin.flush()
    said = [process.communicate(timeout=120) for process in running]

    assert [out.strip().splitlines()[-1] for out, _err in said] == [f"statuses 200 {threads * count + 1}"] * processes
    assert [err for _out, err in said if "Traceback" in err or "locked" in err] == []
    assert portal.python(COUNT) == "[(1, 'deemed'), (2, 'deemed')]"
