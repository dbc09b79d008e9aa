"""Who has not accepted: the officer's file against the bare anti-join of the same tables, in the same run."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator
from datetime import timedelta
from statistics import median

from django.contrib.auth import get_user_model
from django.db import connection
from django.utils import timezone

from agreement.models import Acceptance, Withdrawal
from agreement.testing import open_seal
from tests.benchmarks.__main__ import Result
from tests.support import factories

BARE = """
SELECT u.id, u.username, p.language FROM auth_user u LEFT JOIN portal_site_profile p ON p.user_id = u.id
WHERE u.is_active AND NOT EXISTS (
  SELECT 1 FROM agreement_acceptance a WHERE a.edition_id = %s AND a.user_id = u.id
) ORDER BY u.id
"""


def accepted(quick: bool) -> Iterator[Result]:
    """One user in ten has not accepted; the ratio of times, and memory however many there are."""
    from agreement.admin.acceptances.reports import csv_lines
    from portal_site.models import Profile

    many, rounds = (20_000, 3) if quick else (1_000_000, 5)
    edition = factories.published()
    users, now = get_user_model().objects, timezone.now() + timedelta(seconds=1)
    for first in range(0, many, 50_000):
        batch = range(first, min(first + 50_000, many))
        made = users.bulk_create(users.model(username=f"member{number}") for number in batch)
        Profile.objects.bulk_create(Profile(user=user, language="kk") for user in made)
        with open_seal():
            Acceptance.objects.bulk_create(
                Acceptance(
                    edition=edition,
                    digest=edition.digest,
                    language="kk",
                    kind="explicit",
                    at=now,
                    recorded_at=now,
                    user=user,
                )
                for number, user in zip(batch, made, strict=True)
                if number % 10
            )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    missing = many // 10

    def bare() -> int:
        with connection.cursor() as cursor:
            cursor.execute(BARE, [edition.pk])
            return sum(len(rows) for rows in iter(lambda: cursor.fetchmany(10_000), []))

    def ours() -> int:
        return sum(part.count(b"\n") for part in csv_lines(edition.agreement.slug, [edition.pk])) - 1

    def file(missing: int) -> tuple[float, float]:
        ratios, seconds = [], []
        for _round in range(rounds):
            times = []
            for call, expected in ((bare, many // 10), (ours, missing)):
                started = time.perf_counter()
                assert call() == expected
                times.append(time.perf_counter() - started)
            ratios.append(times[1] / times[0])
            seconds.append(times[1])
        return median(ratios), median(seconds)

    ratio, seconds = file(missing)
    yield Result(
        "accepted: the file, ratio", ratio, 1.5, f"{missing:,} of {many:,} users in {seconds:.2f} s, as a file"
    )

    tracemalloc.start()
    ours()
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    yield Result("accepted: MB at most", peak, 20, "one batch of 10,000 users, however many there are")

    times = []
    for _round in range(rounds):
        started = time.perf_counter()
        assert Acceptance.objects.users_without(users.filter(is_active=True), [edition.pk]).count() == missing
        took = time.perf_counter() - started
        started = time.perf_counter()
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT COUNT(*) FROM ({BARE}) x", [edition.pk])
        times.append(took / (time.perf_counter() - started))
    yield Result("accepted: the count, ratio", median(times), 1.5, "against the bare one")

    withdrawn_at = timezone.now()
    withdrawing = list(Acceptance.objects.order_by("pk").values_list("user", flat=True))[::900]
    Withdrawal.objects.bulk_create(
        Withdrawal(
            agreement=edition.agreement,
            edition=edition,
            year=withdrawn_at.year,
            serial=serial,
            user_id=user,
            outcome="ended",
            received_on=withdrawn_at.date(),
            registered_at=withdrawn_at,
            reply_by=withdrawn_at.date(),
            effective_at=withdrawn_at,
        )
        for serial, user in enumerate(withdrawing, start=1)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    ratio, seconds = file(missing + many // 1000)
    says = f"one user in a thousand has withdrawn: {seconds:.2f} s"
    yield Result("accepted: after withdrawals, ratio", ratio, 2, says)
