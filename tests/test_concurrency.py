"""Two publishers at the same instant, as two processes on one database."""

from __future__ import annotations

from pathlib import Path

import pytest

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
