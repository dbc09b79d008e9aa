"""Publishing, and finding the edition in force."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from statistics import median

from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from agreement.models import Delivery, Edition, Notice, Progress
from agreement.testing import open_seal
from tests.benchmarks.__main__ import Result
from tests.support import factories

#: Users made at once.
BATCH = 20_000


def publish(quick: bool) -> Iterator[Result]:
    """``publish()`` with few and with many users: as many queries, about the same time."""
    few, many, rounds, runs = 10, 2_000 if quick else 100_000, 2 if quick else 4, 5 if quick else 15
    times: dict[int, list[float]] = {few: [], many: []}
    queries: dict[int, set[int]] = {few: set(), many: set()}
    for number in range(rounds):
        for count in (few, many):
            _resize(count)
            slug = f"terms-{number}-{count}"  # An agreement of its own: chains of equal length.
            for _run in range(runs):
                draft = factories.draft(slug=slug)
                with CaptureQueriesContext(connection) as captured:
                    started = time.perf_counter()
                    draft.publish()
                    times[count].append(time.perf_counter() - started)
                queries[count].add(len(captured))
    says = f"{few} users: {sorted(queries[few])} queries; {many:,} users: {sorted(queries[many])}"
    yield Result("publish: queries, difference", float(queries[few] != queries[many]), 0, says)
    ratio = median(times[many]) / median(times[few])
    yield Result("publish: time, ratio", ratio, 1.3, f"{many:,} users against {few}, medians of {rounds * runs}")
    yield from _page(few, 2_000 if quick else 1_000_000, runs)


def _page(few: int, many: int, runs: int) -> Iterator[Result]:
    """The publisher's page, on a site that sent a notice before, and on one that did not. There the number of users is
    on a page of its own, which is fetched afterwards.
    """
    notice, draft = factories.published(slug="earlier").notices.get(), factories.draft(slug="page")
    Notice.objects.filter(fanned_out_at=None).update(fanned_out_at=timezone.now())
    address = reverse("admin:agreement_edition_publish", args=[draft.pk])
    cases = {"": address, " before a notice": address, " counted": f"{address}?count"}
    times: dict[tuple[str, int], float] = {}
    asked: dict[tuple[str, int], int] = {}
    for count in (few, many):
        _resize(count)
        client = Client(SERVER_NAME="localhost")
        client.force_login(get_user_model().objects.create_superuser("desk", "desk@example.kz"))
        for case, there in cases.items():
            if case:
                Progress.objects.filter(notice=notice).delete()
            else:
                Progress.objects.update_or_create(notice=notice, channel="email", defaults={"sent": count})
            with connection.cursor() as cursor:
                cursor.execute("ANALYZE")
            with CaptureQueriesContext(connection) as captured:
                assert client.get(there).status_code == 200
            asked[case, count], each = len(captured), []
            for _run in range(runs):
                started = time.perf_counter()
                client.get(there)
                each.append((time.perf_counter() - started) * 1000)
            times[case, count] = median(each)
    for case in ("", " before a notice"):
        says = f"{many:,} users {times[case, many]:.0f} ms against {few} users {times[case, few]:.0f} ms"
        says += f"; queries: {asked[case, many]} and {asked[case, few]}"
        if case:
            says += f"; counted afterwards: {times[' counted', many]:.0f} ms"
        yield Result(f"publish: page{case}, ratio", times[case, many] / times[case, few], 1.3, says)


def in_force(quick: bool) -> Iterator[Result]:
    """``in_force(at)`` among many editions against a look-up by primary key."""
    count, runs = (500, 300) if quick else (10_000, 2_000)
    agreement = factories.agreement("long")
    start = timezone.now() - timedelta(hours=count)
    moments = [start + timedelta(minutes=10 * number) for number in range(count)]
    with open_seal():
        Edition.objects.bulk_create(
            Edition(
                agreement=agreement,
                title_kk="т",
                title_ru="т",
                body_kk=factories.KK,
                body_ru=factories.RU,
                number=number,
                published_at=at,
                effective_from=at,
                recorded_at=at,
                digest=f"{number:064x}",
                previous_digest=f"{number - 1:064x}" if number > 1 else "",
            )
            for number, at in enumerate(moments, start=1)
        )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    editions = list(Edition.objects.filter(agreement=agreement).order_by("number").values_list("pk", flat=True))
    asked = iter(range(10**9))

    def by_time() -> Edition:
        number = next(asked) * 7919 % count
        found: Edition = Edition.objects.in_force(moments[number]).get(agreement=agreement)
        assert found.number == number + 1
        return found

    def by_key() -> Edition:
        number = next(asked) * 7919 % count
        found: Edition = Edition.objects.get(pk=editions[number])
        assert found.number == number + 1
        return found

    with CaptureQueriesContext(connection) as captured:
        by_time()
    plan = Edition.objects.in_force(moments[-1]).filter(agreement=agreement).explain()
    scans = [
        line for line in plan.splitlines() if ("SCAN" in line or "Seq Scan" in line) and "agreement_edition" in line
    ]
    yield Result("in_force: queries", len(captured), 1, "")
    yield Result("in_force: scans of the table", len(scans), 0, "; ".join(scans) or "indexes alone")
    yield Result("in_force: time, ratio", _ratio(by_time, by_key, runs), 1.5, f"among {count:,} editions, by key")


def _ratio(ours: Callable[[], object], theirs: Callable[[], object], runs: int) -> float:
    """Median of ours over median of theirs, taken in turns."""
    times: tuple[list[float], list[float]] = ([], [])
    for _run in range(runs):
        for call, kept in zip((ours, theirs), times, strict=True):
            started = time.perf_counter()
            call()
            kept.append(time.perf_counter() - started)
    return median(times[0]) / median(times[1])


def _resize(count: int) -> None:
    users = get_user_model().objects
    from portal_site.models import Profile

    for rows in (Delivery.objects.all(), Profile.objects.all()):
        rows._raw_delete(using="default")
    users.all()._raw_delete(using="default")
    for first in range(0, count, BATCH):
        users.bulk_create(
            users.model(username=f"user{number}", email=f"user{number}@example.kz")
            for number in range(first, min(first + BATCH, count))
        )
