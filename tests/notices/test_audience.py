"""The snapshot of the audience and its counters: set by set, resumable, right whatever is killed, never counted."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agreement.models import Delivery, DeliveryOutcome, Notice, Progress
from agreement.models.deliveries import NEVER_ACTIVE_RANK
from agreement.notices import audience, dispatch
from tests.support import factories

Outcome = DeliveryOutcome


def published() -> Notice:
    return factories.published().notices.get()


def progress() -> dict[str, int]:
    return Progress.objects.total()


@pytest.mark.django_db
def test_the_most_recently_active_users_are_notified_first():
    now = timezone.now()
    for user, idle in zip(factories.users(4), (50, None, 3, 26), strict=True):
        get_user_model().objects.filter(pk=user.pk).update(last_login=idle and now - timedelta(hours=idle, minutes=30))
    notice = published()
    dispatch.fan_out(notice)

    claimed = Delivery.objects.claim(notice=notice, channel="email")

    assert [(delivery.user.username, delivery.rank) for delivery in claimed] == [
        ("user2", 3),
        ("user3", 26),
        ("user0", 50),
        ("user1", NEVER_ACTIVE_RANK),
    ]


@pytest.mark.django_db
def test_without_a_moment_of_activity_users_are_notified_in_the_order_of_keys(settings):
    factories.users(3)
    get_user_model().objects.filter(username="user2").update(last_login=timezone.now())
    settings.AGREEMENT = {**settings.AGREEMENT, "USER_ACTIVE_AT": None}
    notice = published()
    dispatch.fan_out(notice)
    assert [delivery.rank for delivery in Delivery.objects.claim(notice=notice, channel="email")] == [0, 0, 0]


@pytest.mark.django_db
def test_the_statements_of_a_batch_do_not_depend_on_its_size(monkeypatch):
    counts = []
    for size in (10, 500):
        factories.users(size)
        notice = factories.published(slug=f"terms-{size}").notices.get()
        dispatch.compose_texts(notice)
        with CaptureQueriesContext(connection) as captured:
            dispatch.fan_out(notice)
        assert not any("COUNT" in query["sql"].upper() for query in captured)
        counts.append(len(captured))
    assert counts[0] == counts[1]


@pytest.mark.django_db
def test_progress_adds_up_batch_by_batch(monkeypatch):
    monkeypatch.setattr(audience, "USERS_PER_STATEMENT", 2)
    users = factories.users(5)
    get_user_model().objects.filter(pk=users[0].pk).update(email="")
    notice = published()
    dispatch.fan_out(notice)
    assert progress() == {"waiting": 5, "sent": 0, "failed": 0, "skipped": 0}

    dispatch.deliver()

    assert progress() == {"waiting": 0, "sent": 4, "failed": 0, "skipped": 1}
    row = Progress.objects.get(notice=notice)
    assert row.audience == 5
    assert row.sending_since <= row.latest_at


@pytest.mark.django_db
def test_outcomes_of_a_killed_worker_are_counted_when_its_lease_has_run_out():
    factories.users(3)
    notice = published()
    dispatch.fan_out(notice)
    first, second, _third = Delivery.objects.claim(notice=notice, channel="email")
    first.record_outcome(Outcome.SENT)
    second.record_outcome(Outcome.FAILED, reason="SMTP 550")
    assert progress()["waiting"] == 3
    assert Delivery.objects.uncounted_leases() == []

    Delivery.objects.update(due_at=timezone.now())
    dispatch.deliver()

    assert progress() == {"waiting": 0, "sent": 2, "failed": 1, "skipped": 0}
    assert not Delivery.objects.exclude(lease="").exists()


@pytest.mark.django_db
def test_a_reason_of_any_characters_is_written_down():
    factories.users(2)
    notice = published()
    dispatch.fan_out(notice)
    first, second = Delivery.objects.claim(notice=notice, channel="email")
    assert first.record_outcome(Outcome.FAILED, reason="no\x00 such\ud800 user\r\n")
    assert second.postpone(due_at=timezone.now(), reason="\x00" * 300)
    assert set(Delivery.objects.values_list("reason", flat=True)) == {"no such user", ""}


@pytest.mark.django_db
def test_the_outcomes_of_a_lease_are_counted_once():
    factories.users(2)
    notice = published()
    dispatch.fan_out(notice)
    first, _second = Delivery.objects.claim(notice=notice, channel="email")
    first.record_outcome(Outcome.SENT)

    assert [Delivery.objects.count_outcomes(lease=first.lease) for _again in range(3)] == [1, 0, 0]
    assert progress() == {"waiting": 1, "sent": 1, "failed": 0, "skipped": 0}


@pytest.mark.django_db(transaction=True)
def test_two_places_write_one_audience_once_and_count_it_once(monkeypatch):
    monkeypatch.setattr(audience, "USERS_PER_STATEMENT", 10)
    factories.users(200)
    notice = published()
    dispatch.compose_texts(notice)
    faults: list[BaseException] = []

    def write() -> None:
        try:
            audience.write_deliveries(Notice.objects.get(pk=notice.pk), channels=["email"])
        except BaseException as error:
            faults.append(error)
        finally:
            connection.close()

    places = [threading.Thread(target=write) for _place in range(3)]
    for place in places:
        place.start()
    for place in places:
        place.join(60)

    assert faults == []
    assert Delivery.objects.count() == progress()["waiting"] == 200
    assert set(Delivery.objects.values_list("user", flat=True)) == set(
        get_user_model().objects.values_list("pk", flat=True)
    )


@pytest.mark.django_db
def test_each_channel_has_its_deliveries_and_its_progress(settings: Any):
    factories.users(2)
    notice = published()
    audience.write_deliveries(notice, channels=["email", "pigeon"])
    assert sorted(Progress.objects.values_list("channel", "waiting")) == [("email", 2), ("pigeon", 2)]
    assert Delivery.objects.count() == 4


@pytest.mark.django_db
def test_an_audience_that_is_being_written_ends_where_the_edition_was_cancelled(monkeypatch):
    monkeypatch.setattr(audience, "USERS_PER_STATEMENT", 2)
    factories.users(6)
    edition = factories.published(effective_from=timezone.now() + timedelta(days=1))
    notice = Notice.objects.get()
    assert notice.edition.cancelled_at is None
    assert audience._write_next(notice, ("email",)) == (2, False)
    edition.cancel()

    assert audience._write_next(notice, ("email",)) == (0, True)

    assert Delivery.objects.count() == 2


@pytest.mark.parametrize("cancelled", [False, True])
@pytest.mark.django_db
def test_a_notice_names_no_user_after_its_audience_is_written(monkeypatch, cancelled):
    monkeypatch.setattr(audience, "USERS_PER_STATEMENT", 2)
    factories.users(4)
    edition = factories.published(effective_from=timezone.now() + timedelta(days=1))
    notice = edition.notices.get()
    audience._write_next(notice, ("email",))
    notice.refresh_from_db()
    assert notice.fan_out_cursor
    if cancelled:
        edition.cancel()
    audience.write_deliveries(notice, channels=["email"])
    notice.refresh_from_db()
    assert (notice.fan_out_cursor, bool(notice.fanned_out_at)) == ("", True)
