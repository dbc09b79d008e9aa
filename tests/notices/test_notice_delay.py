"""No message is sent before ``NOTICE_DELAY`` is over; until then a notice can be paused or replaced."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core import mail
from django.core.management import CommandError, call_command
from django.utils import timezone, translation

from agreement import tasks
from agreement.editions.timeline import current_timelines
from agreement.evidence.export import court_page
from agreement.models import AuditEntry, Delivery, DeliveryOutcome, EditionError, Notice, NoticeKind, Progress
from agreement.models.audit import AuditAction
from agreement.models.ledger_labels import reason_in_words
from agreement.notices import dispatch
from agreement.notices.forecast import forecast
from agreement.notices.unreached import Cause, count_by_cause
from tests.support import factories
from tests.support.smtp_server import mail_by

pytestmark = pytest.mark.django_db

DELAY = timedelta(minutes=10)


@pytest.fixture(autouse=True)
def _delay(settings: Any) -> Iterator[None]:
    settings.AGREEMENT = {**settings.AGREEMENT, "NOTICE_DELAY": DELAY}
    mail_by(settings, "django.core.mail.backends.locmem.EmailBackend")
    with translation.override("en"):
        yield


def after(notice: Notice, **more: float) -> Callable[[], datetime]:
    """A clock that stands that long after the notice is due."""
    return lambda: notice.due_at + timedelta(**more)


def reasons() -> dict[tuple[int, str], str]:
    return {
        (row.notice.edition.number or 0, row.outcome): row.reason
        for row in Delivery.objects.select_related("notice__edition")
    }


def test_nothing_is_sent_before_the_delay_is_over_and_the_audience_is_written_at_once():
    factories.users(2)
    edition = factories.published()
    notice = edition.notices.get()
    assert notice.due_at == edition.published_at + DELAY

    assert dispatch.work().written == 2
    dispatch.work(clock=after(notice, seconds=-1))

    assert Progress.objects.total()["waiting"] == 2
    assert mail.outbox == []
    assert dispatch.next_due_at() == notice.due_at

    dispatch.work(clock=after(notice, seconds=1))
    assert len(mail.outbox) == 2


def test_a_task_is_enqueued_for_the_end_of_the_delay(settings, django_capture_on_commit_callbacks):
    package = tasks.task.__module__.rpartition(".")[0]
    settings.TASKS = {"default": {"BACKEND": f"{package}.backends.dummy.DummyBackend"}}
    factories.users(1)
    notice = factories.published().notices.get()
    dispatch.work()

    tasks.enqueue(dispatch.next_due_at())

    (enqueued,) = tasks.deliver_notices.get_backend().results
    assert enqueued.task.run_after == notice.due_at


def test_the_forecast_counts_it():
    at = timezone.now()
    expected = forecast(channel="email", recipients=20, effective_from=at + timedelta(minutes=10, seconds=0.5), at=at)
    assert timedelta(minutes=10) < expected.ends_at - at < timedelta(minutes=11)
    assert expected.before_effect < 20


def test_a_notice_paused_during_the_delay_waits_until_it_is_resumed(django_user_model):
    factories.users(2)
    publisher = django_user_model.objects.create_user("publisher", is_active=False)
    notice = factories.published().notices.get()
    dispatch.work()

    assert notice.pause(by=publisher)
    dispatch.work(clock=after(notice, days=1))
    assert mail.outbox == []
    assert notice.resume(by=publisher)
    dispatch.work(clock=after(notice, days=1))

    assert len(mail.outbox) == 2
    logged = AuditEntry.objects.about(notice).values_list("action", "by")
    assert list(logged) == [("resumed", "publisher"), ("paused", "publisher")]


def test_an_edition_cancelled_during_the_delay_notifies_nobody():
    (user,) = factories.users(1)
    factories.published()
    Notice.objects.update(due_at=timezone.now())
    dispatch.work()
    mail.outbox.clear()
    edition = factories.published(effective_from=timezone.now() + timedelta(days=3))
    dispatch.work()
    edition.cancel()

    dispatch.work(clock=lambda: timezone.now() + timedelta(hours=1))

    assert mail.outbox == []
    found = Notice.objects.for_user(user, at=timezone.now() + timedelta(hours=1))
    assert [notice.edition.number for notice in found] == [1]


def test_a_cancellation_is_delayed_too_and_then_reaches_the_notified_users():
    (user,) = factories.users(1)
    edition = factories.published(effective_from=timezone.now() + timedelta(days=3))
    Notice.objects.update(due_at=timezone.now())
    dispatch.work()
    mail.outbox.clear()
    edition.cancel()
    notice = edition.notices.get(kind=NoticeKind.CANCELLED)
    assert notice.due_at == edition.cancelled_at + DELAY

    dispatch.work(clock=after(notice, seconds=-1))
    assert mail.outbox == []
    dispatch.work(clock=after(notice, seconds=1))
    assert len(mail.outbox) == 1
    assert Notice.objects.for_user(user, at=notice.due_at).first() == notice


@pytest.mark.parametrize("paused", [True, False])
def test_a_correction_replaces_notices_that_are_not_sent_yet(paused):
    factories.users(2)
    faulty = factories.published(summary_ru="С ошибкой.")
    notice = faulty.notices.get()
    dispatch.work()
    if paused:
        notice.pause()
    correction = factories.published(summary_ru="Исправлено.")
    correction.notices.update(due_at=notice.due_at + timedelta(minutes=5))

    dispatch.work(clock=after(notice, seconds=1))
    assert mail.outbox == []
    dispatch.work(clock=after(correction.notices.get(), seconds=1))

    assert reasons() == {(faulty.number, "skipped"): "overtaken by edition 2", (correction.number, "sent"): ""}
    assert len(mail.outbox) == 2
    assert Progress.objects.get(notice=notice).waiting == 0


# A moment earlier than was promised


def test_an_earlier_moment_than_the_edition_in_force_promises_needs_a_reason():
    factories.published(notice_days=10)
    draft = factories.draft()
    for soon in (None, timezone.now() + timedelta(days=9)):
        with pytest.raises(EditionError, match="The earliest moment that edition 1 allows is") as refused:
            draft.publish(effective_from=soon, reason="  ")
        assert refused.value.code == "short_notice"
    assert not draft.notices.exists()
    factories.draft().publish(effective_from=timezone.now() + timedelta(days=10, seconds=5))
    # What binds is the promise of the edition in force, not that of the one announced after it.
    with pytest.raises(EditionError, match="The earliest moment that edition 1 allows is"):
        draft.publish(effective_from=timezone.now() + timedelta(days=9))


def test_the_reason_stays_in_the_log_and_in_the_evidence():
    factories.published(notice_days=10)
    draft = factories.draft()
    with pytest.raises(CommandError, match="The earliest moment that edition 1 allows is"):
        call_command("publish_edition", draft.pk)

    call_command("publish_edition", draft.pk, reason="Сот шешімі № 5.", stdout=io.StringIO())

    draft.refresh_from_db()
    assert AuditEntry.objects.about(draft).get(action=AuditAction.PUBLISHED).note == "Сот шешімі № 5."
    timeline = current_timelines().agreements["terms"]
    for language in ("kk", "ru"):
        page = court_page(draft, timeline, at=timezone.now(), language=language)
        assert "Сот шешімі № 5." in page
    before = court_page(draft, timeline, at=timezone.now() - timedelta(days=1), language="kk")
    assert "Сот шешімі" not in before


def test_the_command_prints_when_sending_begins_and_how_to_pause_it():
    factories.users(1)
    out = io.StringIO()
    call_command("publish_edition", factories.draft().pk, stdout=out)
    notice = Notice.objects.get()
    assert f"sending begins  {notice.due_at.isoformat(timespec='seconds')}" in out.getvalue()
    assert f"/notice/{notice.pk}/sending/" in out.getvalue()


# Why some were not sent


def test_reasons_are_counted_by_batch_and_removed_by_a_resend(settings, monkeypatch):
    monkeypatch.setattr("agreement.models.deliveries.CHUNK_ROWS", 2)
    settings.AGREEMENT = {**settings.AGREEMENT, "NOTICE_DELAY": timedelta()}
    users = factories.users(9)
    for user in users[:2]:
        user.email = ""
        user.save()
    notice = factories.published().notices.get()
    dispatch.fan_out(notice)
    batch = Delivery.objects.claim(notice=notice, channel="email", size=6)
    for number, delivery in enumerate(batch[2:]):
        delivery.record_outcome(DeliveryOutcome.FAILED, reason=f"SMTP 55{number // 3}")
    for delivery in batch[:2]:
        delivery.record_outcome(DeliveryOutcome.SKIPPED, reason="no address")
    Delivery.objects.count_outcomes(lease=batch[0].lease)
    expected = {"skipped": {"no address": 2}, "failed": {"SMTP 550": 3, "SMTP 551": 1}}
    assert Progress.objects.get().reasons == expected

    Delivery.objects.skip(notice=notice, reason="edition cancelled")
    assert Progress.objects.get().reasons["skipped"] == {"no address": 2, "edition cancelled": 3}
    assert notice.resend() == 4
    assert Progress.objects.get().reasons == {"skipped": {"no address": 2, "edition cancelled": 3}}


def test_a_row_stores_a_bounded_number_of_reasons(monkeypatch):
    monkeypatch.setattr("agreement.models.progress.MAX_REASONS", 2)
    progress = Progress.objects.create(notice=factories.published().notices.get(), channel="email")
    progress.add({("failed", f"fault {number}"): 1 for number in range(5)})
    progress.add({("failed", "fault 1"): 1, ("sent", "found in the mail log"): 1})
    assert progress.reasons == {"failed": {"fault 0": 1, "fault 1": 2, "": 3}}


def test_many_reasons_make_no_excused_delivery_one_that_should_have_reached_its_user(monkeypatch):
    monkeypatch.setattr("agreement.models.progress.MAX_REASONS", 2)
    progress = Progress.objects.create(notice=factories.published().notices.get(), channel="email")
    progress.add({("skipped", f"fault {number}"): 1 for number in range(3)})
    progress.add({("skipped", "inactive"): 2, ("skipped", "no address"): 4})
    progress.add({("skipped", f"overtaken by edition {number}"): 8 for number in (4, 5)})
    assert progress.missed == 3 + 4
    assert progress.stopped == 16
    progress.save()
    assert count_by_cause(progress.notice) == {Cause.NO_ADDRESS: 4, Cause.OTHER: 3}

    progress.add({("skipped", "overtaken by edition 5"): -8})
    assert progress.reasons["skipped"] == {
        "fault 0": 1,
        "fault 1": 1,
        "": 1,
        "inactive": 2,
        "no address": 4,
        "overtaken by edition ": 8,
    }
    assert reason_in_words("overtaken by edition ") == "overtaken by newer editions"


def test_a_batch_is_counted_in_five_queries(django_assert_max_num_queries):
    factories.users(3)
    notice = factories.published().notices.get()
    dispatch.fan_out(notice)
    batch = Delivery.objects.claim(notice=notice, channel="email", at=notice.due_at)
    for delivery in batch:
        delivery.record_outcome(DeliveryOutcome.SENT)
    with django_assert_max_num_queries(7):  # 5, and the transaction's two.
        assert Delivery.objects.count_outcomes(lease=batch[0].lease, at=notice.due_at) == 3
