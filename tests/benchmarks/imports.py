"""Acceptances from a file: the command against a bare bulk insert of the same rows, in the same run."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

from agreement.management.acceptance_file import BATCH
from agreement.models import Acceptance, Edition
from tests.benchmarks.__main__ import Result
from tests.support import factories

DAY = timedelta(days=1)


def imports(quick: bool) -> Iterator[Result]:
    """One line for each user; the ratio of times, and how long a publication would wait meanwhile."""
    many = 5_000 if quick else 200_000
    start = timezone.now() - 30 * DAY
    editions = [factories.draft() for _ in range(3)]
    for number, edition in enumerate(editions):
        edition.record(effective_from=start + number * 10 * DAY)
    users = get_user_model().objects
    for first in range(0, many, 50_000):
        users.bulk_create(users.model(username=f"member{number}") for number in range(first, min(first + 50_000, many)))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")

    bare = bare_insert(editions[0], start)
    with tempfile.TemporaryDirectory() as folder:
        seconds = run_command(Path(folder), editions[1], start + 11 * DAY, many)
        says = f"{many:,} lines in {seconds:.0f} s, against {bare:.0f} s for a bare insert"
        yield Result("import: ratio", seconds / bare, 5, says)

        ended, waits = threading.Event(), []

        def publish() -> None:
            while not ended.wait(0.05):
                started = time.perf_counter()
                with transaction.atomic():
                    editions[0].agreement.lock()
                waits.append(time.perf_counter() - started)
            connection.close()

        thread = threading.Thread(target=publish)
        thread.start()
        run_command(Path(folder), editions[2], start + 21 * DAY, many)
        ended.set()
        thread.join()
        says = f"of {len(waits):,} publications at the same time, for the lock of the agreement"
        yield Result("import: longest wait in s", max(waits), 1, says)


def bare_insert(edition: Edition, at_least: object) -> float:
    """The seconds for the same rows in batches of the same length, without a check."""
    now = timezone.now()
    started = time.perf_counter()
    keys = list(get_user_model().objects.order_by("pk").values_list("pk", flat=True))
    for first in range(0, len(keys), BATCH):
        Acceptance.objects.bulk_create(
            Acceptance(
                edition=edition,
                digest=edition.digest,
                language="kk",
                kind="imported",
                at=edition.effective_from,
                recorded_at=now,
                user_id=key,
            )
            for key in keys[first : first + BATCH]
        )
    return time.perf_counter() - started


def run_command(folder: Path, edition: Edition, at: object, many: int) -> float:
    """The seconds that the command takes for that many lines."""
    file, out = folder / "acceptances.csv", StringIO()
    with file.open("w") as lines:
        lines.write("user,edition,at,language\n")
        lines.writelines(f"member{number},{edition.number},{at},kk\n" for number in range(many))
    started = time.perf_counter()
    call_command("import_acceptances", str(file), stdout=out)
    took = time.perf_counter() - started
    assert out.getvalue() == f"Recorded {many} acceptances of 'terms'.\n"
    return took
