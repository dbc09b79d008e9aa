"""The page of sending: how far a notice has come, holding, pausing, sending again; cheap, logged, for publishers."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agreement import groups
from agreement.models import AuditEntry, ChannelState, Delivery, Notice, Progress
from agreement.models.audit import AuditAction
from agreement.notices import dispatch
from agreement.status.overview import overview
from agreement.testing import open_seal
from tests.admin.test_editions import at, desk
from tests.admin.test_groups import staff
from tests.support import factories
from tests.support.smtp_server import mail_by

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _notice_delay(settings: Any) -> None:
    settings.AGREEMENT = {**settings.AGREEMENT, "NOTICE_DELAY": timedelta(minutes=10)}
    mail_by(settings, "django.core.mail.backends.locmem.EmailBackend")


@pytest.fixture
def publisher(django_user_model):
    return staff(django_user_model, "publisher", groups.PUBLISHERS)


def words(answer: Any) -> str:
    assert answer.status_code == 200
    return " ".join(re.sub("<[^>]*>", " ", html.unescape(answer.content.decode())).split())


def notice(users: int = 3) -> Notice:
    factories.users(users)
    made: Notice = factories.published().notices.get()
    dispatch.fan_out(made)
    made.refresh_from_db()
    return made


def over(one: Notice, **changed: Any) -> Notice:
    """The notice delay is over."""
    with open_seal():
        Notice.objects.filter(pk=one.pk).update(due_at=timezone.now() - timedelta(minutes=1), **changed)
    Delivery.objects.filter(notice=one).update(due_at=timezone.now() - timedelta(minutes=1))
    one.refresh_from_db()
    return one


def test_a_notice_is_paused_with_one_click_during_the_notice_delay(publisher):
    made = notice()
    page = publisher.get(at("notice_sending", made.pk))
    assert "Nothing has been sent yet. The first message will be sent on" in words(page)
    left = (made.due_at - timezone.now()).total_seconds()
    assert left < page.context["progress"].seconds_until_due < left + 10
    assert f'data-seconds="{page.context["progress"].seconds_until_due}"' in page.content.decode()
    assert "Pause it" in words(publisher.get(at("edition_change", made.edition_id)))

    done = words(publisher.post(at("notice_pause", made.pk), follow=True))
    assert "Paused. Nothing has been sent, and nothing will be sent until you resume sending." in done
    over(made)
    dispatch.work()
    assert Progress.objects.get().sent == 0

    assert "Sending continues." in words(publisher.post(at("notice_resume", made.pk), follow=True))
    dispatch.work()
    ended = words(publisher.get(at("notice_sending", made.pk)))
    assert "Sending has ended, but 1 user was not reached." in ended, "the publisher has no address"
    logged = AuditEntry.objects.about(made).values_list("action", "by")
    assert list(logged) == [("resumed", "publisher"), ("paused", "publisher")]


def test_the_page_counts_sent_waiting_failed_and_skipped_with_reasons(publisher):
    made = over(notice(), fanned_out_at=timezone.now())
    Progress.objects.update(
        waiting=1_200,
        sent=3_600,
        failed=50,
        skipped=7,
        bounced=2,
        timed=3_600,
        latest_at=timezone.now(),
        sending_time=timedelta(hours=1),
        reasons={"failed": {"SMTP 550 5.1.1": 20, "": 30}, "skipped": {"no address": 7}},
    )
    page = words(publisher.get(at("notice_sending", made.pk)))
    for said in (
        "Sending is in progress.",
        "3,657 of 4,857",
        "Sent 3,600 · of these returned: 2",
        "Waiting 1,200",
        "Failed 50 other reasons: 30 the address does not exist (SMTP 550 5.1.1): 20",
        "Skipped 7 no address: 7",
        "Rate so far 3,600 an hour",
        "Expected end",
        "Send the failed deliveries again (50)",
    ):
        assert said in page, said


@pytest.mark.parametrize(("until", "displayed"), [(timedelta(minutes=5), True), (timedelta(days=30), False)])
def test_the_page_names_an_outage_but_none_from_before_the_clock_was_put_back(publisher, until, displayed):
    made = over(notice())
    ChannelState.objects.create(
        channel="email", away_until=timezone.now() + until, outages=1, reason="ConnectionRefusedError: 111"
    )
    assert ("ConnectionRefusedError" in words(publisher.get(at("notice_sending", made.pk)))) == displayed


def test_the_failed_alone_are_sent_to_again(publisher):
    made = over(notice())
    dispatch.work()
    failed = Delivery.objects.first()
    with open_seal():
        Delivery.objects.filter(pk=failed.pk).update(outcome="failed", reason="SMTP 550")
    Progress.objects.update(sent=3, failed=1, reasons={"failed": {"SMTP 550": 1}})

    assert "Will be sent again: 1" in words(publisher.post(at("notice_resend", made.pk), follow=True))

    assert list(Delivery.objects.waiting()) == [failed]
    assert Progress.objects.get().reasons == {}
    assert AuditEntry.objects.about(made).values_list("action", "by", "note").get() == ("resent", "publisher", "1")


def test_an_overtaken_notice_is_not_sent_again_and_its_reasons_stay(publisher):
    made = over(notice())
    dispatch.work()
    with open_seal():
        Delivery.objects.update(outcome="failed", reason="SMTP 550")
    Progress.objects.update(sent=0, failed=3, reasons={"failed": {"SMTP 550": 3}})
    assert "Send the failed deliveries again (3)" in words(publisher.get(at("notice_sending", made.pk)))
    factories.published()

    assert "Send the failed deliveries again" not in words(publisher.get(at("notice_sending", made.pk)))
    assert "a newer notice has overtaken this one" in words(publisher.post(at("notice_resend", made.pk), follow=True))

    dispatch.work()
    assert Progress.objects.get(notice=made).reasons == {"failed": {"SMTP 550": 3}}
    assert not AuditEntry.objects.about(made).filter(action=AuditAction.RESENT).exists()


@pytest.mark.parametrize("later", [0, 1])
def test_a_paused_notice_leads_to_a_correction_for_those_who_may_write(publisher, django_user_model, later):
    factories.users(1)
    edition = factories.published(effective_from=timezone.now() + timedelta(days=later) if later else None)
    made = edition.notices.get()
    made.pause()
    offered, link = (
        ("New draft from this edition…", "Publish a correction…")[not later],
        f"{at('edition_add')}?edition={edition.pk}",
    )
    permissions = ("add_edition", "view_edition", "view_notice", "resume_notice")
    writer = desk(django_user_model, *permissions, name="writer")
    for page in (at("notice_sending", made.pk), at("edition_change", edition.pk)):
        answer = writer.get(page)
        assert f'class="button"\n href="{link}"' in answer.content.decode()
        assert offered in words(answer)
        assert at("notice_resume", made.pk) in answer.content.decode()
        assert link not in publisher.get(page).content.decode()
        assert (at("edition_cancel", edition.pk) in publisher.get(page).content.decode()) == bool(later)
    made.resume()
    assert link not in writer.get(at("notice_sending", made.pk)).content.decode()


def test_the_cancellation_of_an_edition_of_which_nobody_was_notified_notifies_nobody(publisher):
    factories.users(1)
    edition = factories.published(effective_from=timezone.now() + timedelta(days=1))
    dispatch.work()
    edition.notices.get().pause()
    edition.cancel()
    made = edition.notices.get(kind="cancelled")
    for _written in (False, True):
        for page in (at("notice_sending", made.pk), at("edition_change", edition.pk)):
            shown = publisher.get(page)
            assert "There was nobody to notify." in words(shown)
            assert "The list of recipients is not written yet." not in words(shown)
            assert at("notice_pause", made.pk) not in shown.content.decode()
            assert "agreement-countdown" not in shown.content.decode()
        assert "agreement-notice-delay" not in publisher.get(at("notice_changelist")).content.decode()
        assert not any(card.sending for card in overview(viewable={"notice"}).cards)
        dispatch.work()


def test_a_cancellation_notifies_those_to_whom_a_message_is_being_sent(publisher):
    factories.users(1)
    edition = factories.published(effective_from=timezone.now() + timedelta(days=1))
    dispatch.work()
    Delivery.objects.update(lease="a worker")
    edition.cancel()
    made = edition.notices.get(kind="cancelled")
    waiting = words(publisher.get(at("notice_sending", made.pk)))
    assert "Only users who were notified of the edition are notified of its cancellation." in waiting


def test_what_is_finished_is_not_paused_nor_what_runs_resumed(publisher):
    made = over(notice())
    assert "sending is not paused" in words(publisher.post(at("notice_resume", made.pk), follow=True))
    dispatch.deliver()
    assert "there is nothing left to send" in words(publisher.post(at("notice_pause", made.pk), follow=True))
    made.refresh_from_db()
    assert made.paused_at is None
    assert not AuditEntry.objects.filter(action__in=[AuditAction.PAUSED, AuditAction.RESUMED]).exists()


def test_its_middle_comes_alone_and_says_whether_to_ask_again(publisher):
    made = over(notice())
    part = publisher.get(at("notice_sending", made.pk), {"part": ""})
    assert "no-store" in part["Cache-Control"]
    assert part.content.decode().lstrip().startswith("<div data-running>")
    dispatch.work()
    assert "data-running" not in publisher.get(at("notice_sending", made.pk), {"part": ""}).content.decode()
    made.pause()
    assert "data-running" not in publisher.get(at("notice_sending", made.pk)).content.decode()


def test_a_notice_is_changed_only_with_the_permission_and_by_post(publisher, django_user_model):
    made = notice()
    author = staff(django_user_model, "author", groups.AUTHORS)
    looker = desk(django_user_model, "view_notice", name="looker")
    for act in ("pause", "resume", "resend"):
        assert publisher.get(at(f"notice_{act}", made.pk)).status_code == 405
        assert author.post(at(f"notice_{act}", made.pk)).status_code == 403
        assert looker.post(at(f"notice_{act}", made.pk)).status_code == 403
    assert author.get(at("notice_sending", made.pk)).status_code == 403
    page = words(looker.get(at("notice_sending", made.pk)))
    assert "Pause it" not in page
    assert "You don't have permission to pause the sending." in page
    assert "Groups that have it: publishers of agreements (publisher)." in page
    made.refresh_from_db()
    assert made.paused_at is None
    assert publisher.get(at("notice_sending", 999)).status_code == 302


def test_it_counts_no_delivery_and_asks_the_same_for_many(publisher):
    made = over(notice())

    def asked() -> list[str]:
        with CaptureQueriesContext(connection) as captured:
            publisher.get(at("notice_sending", made.pk))
        return [query["sql"] for query in captured]

    few = asked()
    Delivery.objects.bulk_create(
        Delivery(notice=made, user=user, channel="email", due_at=timezone.now()) for user in factories.users(50)
    )
    Progress.objects.update(waiting=53)
    many = asked()
    assert len(few) == len(many)
    # Only deleted accounts are counted, which an index finds.
    assert not [sql for sql in many if "agreement_delivery" in sql and 'user_id" IS NULL' not in sql]


def test_without_the_permission_there_is_no_link_to_deliveries(publisher):
    made = notice()
    for page in ("notice_sending", "notice_change"):
        assert at("delivery_changelist") not in publisher.get(at(page, made.pk)).content.decode()
    assert publisher.get(at("delivery_changelist")).status_code == 403


def test_the_page_of_sending_states_that_its_rows_are_all_users(publisher):
    factories.users(3)
    made = factories.published().notices.get()
    dispatch.fan_out(made)
    row = Progress.objects.get()
    row.add({("waiting", ""): -1, ("skipped", "no address"): 1})
    row.save()
    page = words(publisher.get(at("notice_sending", made.pk)))
    assert f"finished: 1 of {row.waiting + 1} " in page
    for name, count in (("Sent", 0), ("Waiting", row.waiting), ("Failed", 0), ("Skipped", 1)):
        assert f"{name} {count} " in page, name
    assert "Sent, waiting, failed and skipped together are all users of the notice, also those without" in page


def test_every_view_of_deliveries_is_logged(django_user_model):
    made = notice()
    admin = staff(django_user_model, "admin", is_superuser=True)
    row = Delivery.objects.first()
    listed = words(admin.get(at("delivery_changelist"), {"notice": made.pk}))
    assert str(made) in listed, "the notice is named by its edition"
    admin.get(at("delivery_change", row.pk))
    viewed = (
        AuditEntry.objects.filter(action=AuditAction.VIEWED).order_by("pk").values_list("model", "key", "by", "note")
    )
    assert list(viewed) == [("delivery", "", "admin", "notice"), ("delivery", str(row.pk), "admin", "")]


def test_the_key_of_the_last_user_of_an_audience_is_not_filtered_by(django_user_model):
    factories.published()
    Notice.objects.update(fan_out_cursor="918273645")
    publisher = staff(django_user_model, "aigul", groups.PUBLISHERS)
    for lookup in ("fan_out_cursor", "fan_out_cursor__startswith"):
        assert publisher.get(at("notice_changelist"), {lookup: "9"}).status_code == 400


def test_the_page_of_a_delivery_leads_to_the_words_and_says_when_the_letter_came_back(admin_client):
    one = over(notice(1))
    first = Delivery.objects.earliest("pk")
    waiting = words(admin_client.get(at("delivery_change", first.pk)))
    assert waiting.count(str(timezone.now().year)) == 1, "when it is due"
    dispatch.work()
    row = Delivery.objects.filter(outcome="sent").earliest("pk")
    page = admin_client.get(at("delivery_change", row.pk))
    assert at("notice_change", one.pk) in page.content.decode()
    # The column has the end of the lease, which is later than the outcome.
    assert words(page).count(str(timezone.now().year)) == 1, "when it was sent"
    row.record_bounce(reason="550 5.1.1")
    assert words(admin_client.get(at("delivery_change", row.pk))).count(str(timezone.now().year)) == 2
