"""A disk that fills up under the ledger: SQLite raises an error at any statement."""

from __future__ import annotations

import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection

from agreement.models import Delivery, Notice, Progress
from agreement.models.deliveries import LEASE
from tests.support import factories, smtp_server
from tests.support.failing_mail_server import Clock, every, failing
from tests.support.scale import FULL
from tests.support.site import publish_to, site
from tests.system.test_outages import adds_up

COUNT = 5_000 if FULL else 300
# SQLite has two names for it, by the file that could not grow.
MESSAGE = r"The database failed \(OperationalError: (database or disk is full|disk I/O error)\)\. Nothing is lost\."

pytestmark = pytest.mark.sqlite


def pages(pragma: str) -> int:
    with connection.cursor() as cursor:
        return int(cursor.execute(f"PRAGMA {pragma}").fetchone()[0])


@pytest.fixture
def disk(transactional_db: Any) -> Iterator[Any]:
    """Sets for how many pages there is room beyond those of the beginning."""
    connection.cursor().execute("VACUUM")  # Pages other tests left free would be room.
    begun = pages("page_count")
    yield lambda more: pages(f"max_page_count = {begun + more}")
    pages("max_page_count = 4294967294")


def test_a_disk_that_is_full_stops_fan_out_and_delivery_and_loses_nobody(settings, disk):
    settings.AGREEMENT = {**settings.AGREEMENT, "ADDRESS_KEY": "a digest makes a row longer"}
    factories.users(COUNT)
    factories.published()
    clock, stops = Clock(), Counter()
    with failing(settings, every(10**9, None)) as server:
        disk(0)
        with pytest.raises(CommandError, match=MESSAGE):
            call_command("deliver_notices")
        assert not Delivery.objects.exists()
        assert Notice.objects.unfinished().exists()
        while Notice.objects.unfinished().exists() or Progress.objects.total()["waiting"]:
            try:
                clock.work(rounds=COUNT)
            except OperationalError as error:
                if "disk is full" not in str(error):
                    raise
                stops["delivery" if Delivery.objects.exists() else "fan-out"] += 1
                clock.ahead += LEASE
                disk(stops.total())
    print(f"\n{dict(stops)} stops: {COUNT} recipients; {Progress.objects.total()}, repeats {len(server.took) - COUNT}")
    assert stops["fan-out"]
    assert stops["delivery"]
    assert Counter(Delivery.objects.values_list("outcome", flat=True)) == {"sent": COUNT}
    assert Progress.objects.total() == {"waiting": 0, "sent": COUNT, "failed": 0, "skipped": 0}
    assert len(server.took) == len(set(server.took)) == COUNT


@pytest.mark.skipif(not FULL or os.geteuid() != 0, reason="needs AGREEMENT_TEST_FULL, and root to mount a small disk")
def test_a_worker_on_a_small_disk_says_so_in_a_sentence_and_goes_on_when_there_is_room(tmp_path):
    mailbox, stops = smtp_server.Mailbox(), 0
    with (
        small_disk(tmp_path / "disk") as disk,
        smtp_server.server(mailbox),
        site(disk, email_url=mailbox.url, vendor="sqlite") as portal,
    ):
        portal.python(publish_to(COUNT))
        left = disk / "filled"
        with left.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(bytes(4096)):
                pass
        while True:
            process = portal.start("deliver_notices", "--once")
            _out, errors = process.communicate(timeout=180)
            if process.returncode == 0:
                break
            stops += 1
            assert re.search(MESSAGE, errors), errors
            assert "Traceback" not in errors
            os.truncate(left, max(0, left.stat().st_size - 512 * 1024))
        assert stops > 1
        adds_up(portal, mailbox, count=COUNT, repeats=stops, what=f"{stops} times a full disk")


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)
