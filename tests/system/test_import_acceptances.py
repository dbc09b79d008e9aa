"""Many acceptances from a file, as a process: killed in the middle, and while others work."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.site import Site, site

LINES = 20_000
"""So many that the command writes for some seconds."""

HISTORY = """
from datetime import timedelta
from pathlib import Path
from django.utils import timezone
from tests.support import factories
start = timezone.now() - timedelta(days=30)
factories.draft().record(effective_from=start)
factories.draft()
lines = ["user,edition,at,language"]
for number, user in enumerate(factories.users({lines})):
    lines.append(",".join([user.username, "1", (start + timedelta(seconds=number)).isoformat(), "kk"]))
Path({file!r}).write_text("\\n".join(lines))
"""
#: Runs until the command has recorded something.
WAIT = """
from agreement.models import Acceptance
while not Acceptance.objects.exists():
    pass
"""
KILL = (
    WAIT
    + """
import os, signal
os.kill({process}, signal.SIGKILL)
"""
)
MEANWHILE = (
    WAIT
    + """
from django.contrib.auth import get_user_model
from agreement.models import Edition
edition = Edition.objects.drafts().get()
edition.publish()
user = get_user_model().objects.first()
Acceptance.objects.record(user=user, edition=edition, digest=edition.digest, language="kk", kind="explicit")
print(Acceptance.objects.filter(kind="imported").count())
"""
)
STORED = """
from agreement.models import Acceptance
rows = Acceptance.objects.filter(kind="imported").order_by("at")
print(*(f"{user},{number},{at.isoformat()},{language}"
    for user, number, at, language in rows.values_list("user__username", "edition__number", "at", "language")))
"""


@pytest.fixture
def history(tmp_path: Path) -> Iterator[tuple[Site, Path]]:
    """A site with a past edition, a draft and users, and the file of their acceptances."""
    with site(tmp_path) as portal:
        file = tmp_path / "acceptances.csv"
        portal.python(HISTORY.format(file=str(file), lines=LINES))
        yield portal, file


def test_an_import_that_was_killed_ends_as_if_it_had_not_been(history):
    portal, file = history
    process = portal.start("import_acceptances", str(file))
    portal.python(KILL.format(process=process.pid))
    process.communicate()
    recorded = len(portal.python(STORED).split())
    assert 0 < recorded < LINES

    printed = portal.run("import_acceptances", str(file))

    assert f"Recorded {LINES - recorded} acceptances of 'terms'. {recorded} were recorded already" in printed
    assert portal.python(STORED).split() == file.read_text().split()[1:]


def test_others_publish_and_accept_while_many_acceptances_are_imported(history):
    portal, file = history
    process = portal.start("import_acceptances", str(file))
    imported = int(portal.python(MEANWHILE))
    out, err = process.communicate(timeout=120)
    assert imported < LINES
    assert (process.returncode, out) == (0, f"Recorded {LINES} acceptances of 'terms'.\n"), err
