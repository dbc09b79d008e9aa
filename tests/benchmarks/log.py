"""The transparency log with many acceptances: appending, its size, a proof, and what a publication waits for."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agreement.models import Acceptance, Edition, LogEntry, TransparencyLog, log_records
from agreement.models.log import Tiles
from agreement.seal import log as tree
from tests.benchmarks.__main__ import Result
from tests.support import factories

DAY = timedelta(days=1)
#: So many proofs are timed.
PROOFS = 200


def log(quick: bool) -> Iterator[Result]:
    """The sweep against a bare insert of the same entries; a proof against one in a log of a tenth of the size."""
    many = 20_000 if quick else 1_000_000
    start = timezone.now() - 30 * DAY
    edition, other = factories.draft(), factories.draft(slug="other")
    edition.record(effective_from=start)
    other.record(effective_from=start)
    accept(edition, many)

    before = stored_bytes()
    with waiting_publications(edition) as waits:
        started = time.perf_counter()
        assert log_records.sweep(force=True) == many
        seconds = time.perf_counter() - started
    size = stored_bytes() - before
    bare = bare_insert(other, many)
    says = f"{many:,} acceptances in {seconds:.0f} s, against {bare:.0f} s for a bare insert of the entries"
    yield Result("log: append, ratio", seconds / bare, 6, says)
    says = f"of {len(waits):,} publications at the same time"
    yield Result("log: longest wait in s", max(waits, default=0), 1, says)
    yield Result("log: bytes per acceptance", size / many, 500, f"{size / 1e6:.0f} MB in all, with salts and indexes")

    whole = TransparencyLog.objects.get(agreement=edition.agreement).size
    small, _queries = proofs(edition, whole // 10)
    large, queries = proofs(edition, whole)
    says = f"{large * 1e3:.1f} ms, against {small * 1e3:.1f} ms in a log of {whole // 10:,} entries"
    yield Result("log: a proof, ratio", large / small, 2, says)
    yield Result("log: queries of a proof", queries, 8, f"in a log of {whole:,} entries")


def accept(edition: Edition, many: int) -> None:
    users = get_user_model().objects
    for first in range(0, many, 50_000):
        last = min(first + 50_000, many)
        users.bulk_create(users.model(username=f"member{number}") for number in range(first, last))
    now, keys = timezone.now(), users.order_by("pk").values_list("pk", flat=True)
    rows = (
        Acceptance(
            edition=edition,
            digest=edition.digest,
            language="kk",
            kind="imported",
            at=edition.effective_from,
            recorded_at=now,
            user_id=key,
        )
        for key in keys.iterator(chunk_size=10_000)
    )
    Acceptance.objects.bulk_create(rows, batch_size=10_000)


def bare_insert(edition: Edition, many: int) -> float:
    """The seconds for entries of the same size in batches of the same length, without a tree and a salted record."""
    entry, salt = b'{"acceptance":"%s","earlier":true}' % (b"0" * 64), "0" * 32
    started = time.perf_counter()
    for first in range(1, many + 1, log_records.BATCH):
        with transaction.atomic():
            LogEntry.objects.bulk_create(
                LogEntry(
                    agreement=edition.agreement, index=index, kind="acceptance", row=-index, entry=entry, salt=salt
                )
                for index in range(first, min(first + log_records.BATCH, many + 1))
            )
    return time.perf_counter() - started


@contextmanager
def waiting_publications(edition: Edition) -> Iterator[list[float]]:
    """Meanwhile, how long a publication would wait for the locks of the agreement and of its log, in seconds."""
    from agreement.models.log import lock

    ended, waits = threading.Event(), []

    def publish() -> None:
        while not ended.wait(0.05):
            started = time.perf_counter()
            with transaction.atomic():
                edition.agreement.lock()
                lock(edition.agreement, using="default")
            waits.append(time.perf_counter() - started)
        connection.close()

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        yield waits
    finally:
        ended.set()
        thread.join()


def proofs(edition: Edition, size: int) -> tuple[float, int]:
    """The seconds and the queries of one proof in the log when it had ``size`` entries, with nothing remembered."""
    with CaptureQueriesContext(connection) as captured:
        tree.Tree(size, Tiles(edition.agreement_id, using="default")).inclusion(size // 3)
    started = time.perf_counter()
    for index in range(0, size, max(1, size // PROOFS)):
        tree.Tree(size, Tiles(edition.agreement_id, using="default")).inclusion(index)
    return (time.perf_counter() - started) / len(range(0, size, max(1, size // PROOFS))), len(captured)


def stored_bytes() -> int:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_database_size(current_database())")
        else:
            cursor.execute("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()")
        (found,) = cursor.fetchone()
    return int(found)
