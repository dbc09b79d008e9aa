"""What a process knows of the editions' dates: the same as the database, at every instant, one second late at most."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agreement.editions import has_edition_in_force
from agreement.editions import timeline as timeline_module
from agreement.editions.timeline import Timeline, clear, current_timelines, fresh_timelines
from agreement.models import Acceptance, Agreement, Edition, Withdrawal
from tests.support import factories

DAY = timedelta(days=1)
MICROSECOND = timedelta(microseconds=1)


@pytest.fixture(autouse=True)
def _fresh():
    clear()


def terms() -> Timeline:
    return current_timelines().agreements["terms"]


def history(*, scheduled: bool = True) -> list[Edition]:
    """Two editions of the past, one in force, one cancelled before its effect, and one announced."""
    start = timezone.now() - 30 * DAY
    editions = [factories.draft() for _ in range(2)]
    for days, edition in enumerate(editions):
        edition.record(effective_from=start + days * 10 * DAY)
    editions.append(factories.published())
    editions.append(factories.published(effective_from=timezone.now() + DAY))
    editions[-1].cancel()
    if scheduled:
        editions.append(factories.published(effective_from=timezone.now() + 2 * DAY))
    return editions


@pytest.mark.django_db
def test_the_arithmetic_agrees_with_the_database_around_every_moment():
    history()
    timeline, now = terms(), timezone.now()
    moments = [now, *(edition.effective_from for edition in timeline.editions)]
    moments += [edition.cancelled_at for edition in timeline.editions if edition.cancelled_at]

    for at in [moment + step for moment in moments for step in (-MICROSECOND, 0 * MICROSECOND, MICROSECOND)]:
        in_force = Edition.objects.in_force(at).first()
        found = timeline.in_force(at)
        assert (found and found.pk) == (in_force and in_force.pk), at
        for edition in timeline.editions:
            assert timeline.state(edition, at) == Edition.objects.get(pk=edition.pk).state(at), (edition, at)


@pytest.mark.django_db
def test_an_agreement_has_an_edition_in_force_from_its_first_moment_on_and_an_unknown_one_never():
    edition = factories.published(effective_from=timezone.now() + DAY)
    assert not has_edition_in_force("terms")
    assert not has_edition_in_force("terms", edition.effective_from - MICROSECOND)
    assert has_edition_in_force("terms", edition.effective_from)
    assert not has_edition_in_force("nothing", edition.effective_from)


@pytest.mark.django_db
def test_a_cancelled_edition_is_no_predecessor_and_no_successor():
    history()
    timeline = terms()
    first, second, third, cancelled, fifth = timeline.editions

    assert [timeline.predecessor(edition) for edition in timeline.editions] == [None, first, second, third, third]
    assert [timeline.successor(edition) for edition in timeline.editions] == [second, third, fifth, fifth, None]
    assert timeline.announced(timezone.now()) == fifth
    assert cancelled not in timeline.binding


def counting() -> list[list[int]]:
    """For each edition, the numbers of those whose acceptance counts for it."""
    timeline = terms()
    return [[each.number for each in timeline.counting_editions(edition)] for edition in timeline.editions]


@pytest.mark.django_db
def test_an_acceptance_counts_until_the_next_material_edition():
    for material in (False, False, True, False, False):
        factories.published(material=material)
    assert counting() == [[1], [1, 2], [3], [3, 4], [3, 4, 5]]


@pytest.mark.django_db
def test_a_cancelled_edition_is_no_step_for_what_was_published_after_it():
    factories.published()
    factories.published(effective_from=timezone.now() + DAY).cancel()
    factories.published(material=False)
    assert counting() == [[1], [2], [1, 3]]


@pytest.mark.django_db
def test_the_correction_of_an_edition_cancelled_later_is_as_material_as_it():
    """The correction contains the changes of the cancelled edition, which users of the first have not accepted."""
    factories.published()
    cancelled = factories.published(effective_from=timezone.now() + DAY)
    factories.published(effective_from=timezone.now() + 2 * DAY, material=False)
    cancelled.cancel()
    factories.published(effective_from=timezone.now() + 3 * DAY, material=False)
    assert counting() == [[1], [2], [2, 3], [2, 3, 4]]


@pytest.mark.django_db
@pytest.mark.parametrize("sooner", [0 * DAY, DAY])
def test_a_cancelled_edition_would_have_replaced_the_one_before_it_and_not_its_correction(sooner):
    moment = timezone.now() + 3 * DAY
    factories.published()
    factories.published(effective_from=moment).cancel()
    factories.published(effective_from=moment - sooner)

    first, cancelled, correction = (timeline := terms()).editions

    assert (timeline.predecessor(cancelled), timeline.successor(cancelled)) == (first, correction)
    assert (timeline.predecessor(correction), timeline.successor(first)) == (first, correction)


@pytest.mark.django_db
def test_what_is_public_follows_the_sites_setting(settings):
    history()
    timeline, now = terms(), timezone.now()

    assert [edition.number for edition in timeline.public(now)] == [1, 2, 3, 4, 5]
    settings.AGREEMENT = {**settings.AGREEMENT, "SHOW_SCHEDULED": False}
    assert [edition.number for edition in timeline.public(now)] == [1, 2, 3]
    assert [edition.number for edition in timeline.public(timeline.editions[0].published_at - MICROSECOND)] == []


@pytest.mark.django_db
def test_the_version_changes_at_a_moment_and_with_a_publication_alone():
    history()
    found = current_timelines()
    moment = found.agreements["terms"].editions[-1].effective_from

    assert found.version(moment - MICROSECOND) == found.version(moment - DAY / 2)
    assert found.version(moment - MICROSECOND) != found.version(moment)
    assert found.version(moment) == found.version(datetime.max.replace(tzinfo=moment.tzinfo))


@pytest.mark.django_db(transaction=True)
def test_the_dates_are_read_once_a_second(monkeypatch):
    factories.published()
    first = current_timelines()
    with CaptureQueriesContext(connection) as captured:
        assert all(current_timelines() is first for _ in range(100))
    assert len(captured) == 0

    monkeypatch.setattr(timeline_module, "MAX_AGE_SECONDS", 0)
    with CaptureQueriesContext(connection) as captured:
        again = current_timelines()
    assert len(captured) == 1
    assert again is first, "equal dates keep their serial"


@pytest.mark.django_db(transaction=True)
def test_fresh_timelines_are_read_again_and_equal_dates_keep_their_serial():
    factories.published()
    first = current_timelines()
    assert fresh_timelines() is first, "pages made of equal dates are kept"
    publisher = threading.Thread(target=_publish_and_hang_up)
    publisher.start()
    publisher.join()
    assert fresh_timelines().agreements["terms"].in_force(timezone.now()).number == 2


@pytest.mark.django_db(transaction=True)
def test_fresh_timelines_are_not_those_of_a_reading_that_began_before(monkeypatch):
    """Another thread has read the dates, and is about to remember them, when an edition is published."""
    factories.published()
    clear()
    has_read, may_end = threading.Event(), threading.Event()
    read = timeline_module._read

    def read_slowly(since):
        found = read(since)
        if not has_read.is_set():
            has_read.set()
            assert may_end.wait(10)
        return found

    monkeypatch.setattr(timeline_module, "_read", read_slowly)
    slow = threading.Thread(target=_read_and_hang_up)
    slow.start()
    assert has_read.wait(10)
    factories.published()
    found: list[int] = []
    fresh = threading.Thread(target=_read_and_hang_up, args=[found])
    fresh.start()
    fresh.join(0.2)  # It waits for the first reading, or has begun one of its own.
    may_end.set()
    for thread in (slow, fresh):
        thread.join(10)
    assert found == [2]


def _read_and_hang_up(found: list[int] | None = None) -> None:
    try:
        timelines = current_timelines() if found is None else fresh_timelines()
        if found is not None:
            found.append(timelines.agreements["terms"].in_force(timezone.now()).number)
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_a_publication_elsewhere_is_known_within_a_second():
    factories.published()
    assert terms().in_force(timezone.now()).number == 1
    published = threading.Thread(target=_publish_and_hang_up)
    published.start()
    published.join()
    committed = time.monotonic()
    while terms().in_force(timezone.now()).number == 1:
        assert time.monotonic() - committed < 1.75, "the old edition is still in force"


@pytest.mark.django_db(transaction=True)
def test_every_listener_learns_once_per_reading_who_withdrew(monkeypatch):
    edition = factories.published()
    staying, leaving = factories.users(2)
    heard: dict[str, list[object]] = {"first": [], "second": []}
    monkeypatch.setattr(timeline_module, "withdrawal_listeners", [heard["first"].append, heard["second"].append])
    clear()
    fresh_timelines()
    for user in (staying, leaving):
        Acceptance.objects.record(user=user, edition=edition, digest=edition.digest, language="kk", kind="explicit")
    Withdrawal.objects.register(
        agreement=edition.agreement, user=leaving, outcome="ended", received_on=timezone.localdate()
    )
    fresh_timelines()
    current_timelines()

    assert heard["first"] == heard["second"] == [None, frozenset({leaving.pk})]


def _publish_and_hang_up() -> None:
    factories.published()
    connection.close()


@pytest.mark.django_db(transaction=True)
def test_an_edition_cancelled_just_before_its_moment_is_never_in_force():
    first = factories.published()
    moment = timezone.now() + timedelta(seconds=0.5)
    second = factories.published(effective_from=moment)
    current_timelines()
    second.cancel()
    time.sleep(max(0, (moment - timezone.now()).total_seconds()) + 0.01)
    in_force = terms().in_force(timezone.now())
    assert in_force
    assert in_force.pk == first.pk


@pytest.mark.django_db(transaction=True)
def test_uncommitted_dates_are_not_remembered():
    factories.published()
    assert len(terms().editions) == 1
    with transaction.atomic():
        factories.published()
        assert len(terms().editions) == 2, "a transaction sees its own"
        transaction.set_rollback(True)
    assert len(terms().editions) == 1


@pytest.mark.django_db(transaction=True)
def test_threads_that_read_at_once_make_one_query():
    factories.published()
    queries: list[int] = []
    start = threading.Barrier(20)

    def ask() -> None:
        start.wait()
        with CaptureQueriesContext(connection) as captured:
            current_timelines()
        queries.append(len(captured))
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(queries) == 1


@pytest.mark.django_db
def test_agreements_do_not_mix_and_one_without_editions_is_unknown():
    factories.published(slug="a")
    factories.published(slug="b")
    factories.published(slug="b")
    Agreement.objects.create(slug="c")

    agreements = current_timelines().agreements
    assert {slug: len(timeline.editions) for slug, timeline in agreements.items()} == {"a": 1, "b": 2}


@pytest.mark.django_db
def test_the_tenth_edition_follows_the_ninth():
    """Elsewhere numbers are sorted as text, and 9 stays in force."""
    for _number in range(11):
        factories.published()
    timeline = terms()
    assert [edition.number for edition in timeline.editions] == list(range(1, 12))
    assert timeline.in_force(timezone.now()).number == 11
    assert [timeline.predecessor(edition).number for edition in timeline.editions[1:]] == list(range(1, 11))


@pytest.mark.django_db
def test_a_timeline_is_found_by_the_key_of_its_agreement():
    factories.published(slug="privacy")
    agreement = factories.published().agreement
    found = current_timelines()
    assert found.of_agreement(agreement.pk) is found.agreements["terms"]
    assert found.of_agreement(factories.agreement("drafted").pk) is None
