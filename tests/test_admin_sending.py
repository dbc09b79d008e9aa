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

from agreement import dispatch, roles
from agreement.models import Act, Delivery, Notice, Progress
from tests import factories
from tests.smtp import mail_by
from tests.test_admin import at, desk
from tests.test_admin_roles import staff

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _breath(settings: Any) -> None:
    settings.AGREEMENT = {**settings.AGREEMENT, "NOTICE_DELAY": timedelta(minutes=10)}
    mail_by(settings, "django.core.mail.backends.locmem.EmailBackend")


@pytest.fixture
def publisher(django_user_model):
    return staff(django_user_model, "publisher", roles.PUBLISHERS)


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
    """The breath is over."""
    Notice.objects.filter(pk=one.pk).update(due_at=timezone.now() - timedelta(minutes=1), **changed)
    Delivery.objects.filter(notice=one).update(due_at=timezone.now() - timedelta(minutes=1))
    one.refresh_from_db()
    return one


def test_until_the_breath_is_over_the_notice_is_held_with_one_click(publisher):
    made = notice()
    page = publisher.get(at("notice_sending", made.pk))
    assert "Nothing has left yet. The first message leaves" in words(page)
    left = (made.due_at - timezone.now()).total_seconds()
    assert left < page.context["sending"].left < left + 10
    assert f'data-left="{page.context["sending"].left}"' in page.content.decode()
    assert "Hold it" in words(publisher.get(at("edition_change", made.edition_id)))

    done = words(publisher.post(at("notice_pause", made.pk), follow=True))
    assert "Held: nothing has left, and nothing leaves until it is resumed." in done
    over(made)
    dispatch.work()
    assert Progress.objects.get().sent == 0

    assert "Sending goes on." in words(publisher.post(at("notice_resume", made.pk), follow=True))
    dispatch.work()
    assert "All of it is done." in words(publisher.get(at("notice_sending", made.pk)))
    logged = Act.objects.about(made).values_list("kind", "by")
    assert list(logged) == [("resumed", "publisher"), ("paused", "publisher")]


def test_it_says_what_was_sent_waits_failed_and_was_skipped_and_why(publisher):
    made = over(notice(), fanned_out_at=timezone.now())
    for number, delivery in enumerate(made.deliveries.order_by("pk")):
        sent_at = timezone.now() - timedelta(minutes=20 * number)
        made.deliveries.filter(pk=delivery.pk).update(outcome="sent", settled_at=sent_at)
    Progress.objects.update(
        waiting=1_200,
        sent=3_600,
        failed=50,
        skipped=7,
        bounced=2,
        began_at=timezone.now() - timedelta(hours=1),
        latest_at=timezone.now(),
        reasons={"failed": {"SMTP 550 5.1.1": 20, "": 30}, "skipped": {"no address": 7}},
    )
    page = words(publisher.get(at("notice_sending", made.pk)))
    for said in (
        "Being sent.",
        "3,657 of 4,857",
        "Sent 3,600 · of these returned: 2",
        "Waiting 1,200",
        "Failed 50 other reasons: 30 SMTP 550 5.1.1: 20",
        "Skipped 7 no address: 7",
        "Rate so far 3,599 an hour",
        "Expected to end",
        "Send again to the failed only (50)",
    ):
        assert said in page, said


def test_the_failed_alone_are_sent_to_again(publisher):
    made = over(notice())
    dispatch.work()
    failed = Delivery.objects.first()
    Delivery.objects.filter(pk=failed.pk).update(outcome="failed", reason="SMTP 550")
    Progress.objects.update(sent=3, failed=1, reasons={"failed": {"SMTP 550": 1}})

    assert "1 delivery waits to be sent again." in words(publisher.post(at("notice_resend", made.pk), follow=True))

    assert list(Delivery.objects.waiting()) == [failed]
    assert Progress.objects.get().reasons == {"failed": {}}
    assert Act.objects.about(made).values_list("kind", "by", "note").get() == ("resent", "publisher", "1")


def test_what_a_newer_edition_overtook_is_not_sent_again_and_keeps_its_reasons(publisher):
    made = over(notice())
    dispatch.work()
    Delivery.objects.update(outcome="failed", reason="SMTP 550")
    Progress.objects.update(sent=0, failed=3, reasons={"failed": {"SMTP 550": 3}})
    assert "Send again to the failed only (3)" in words(publisher.get(at("notice_sending", made.pk)))
    factories.published()

    assert "Send again" not in words(publisher.get(at("notice_sending", made.pk)))
    assert "it is no news any more" in words(publisher.post(at("notice_resend", made.pk), follow=True))

    dispatch.work()
    assert Progress.objects.get(notice=made).reasons == {"failed": {"SMTP 550": 3}}
    assert not Act.objects.about(made).filter(kind=Act.Kind.RESENT).exists()


def test_what_is_finished_is_not_paused_nor_what_runs_resumed(publisher):
    made = over(notice())
    assert "it is not paused" in words(publisher.post(at("notice_resume", made.pk), follow=True))
    dispatch.deliver()
    assert "nothing is left to send" in words(publisher.post(at("notice_pause", made.pk), follow=True))
    made.refresh_from_db()
    assert made.paused_at is None
    assert not Act.objects.filter(kind__in=[Act.Kind.PAUSED, Act.Kind.RESUMED]).exists()


def test_its_middle_comes_alone_and_says_whether_to_ask_again(publisher):
    made = over(notice())
    part = publisher.get(at("notice_sending", made.pk), {"part": ""})
    assert "no-store" in part["Cache-Control"]
    assert part.content.decode().lstrip().startswith("<div data-running>")
    dispatch.work()
    assert "data-running" not in publisher.get(at("notice_sending", made.pk), {"part": ""}).content.decode()
    made.pause()
    assert "data-running" not in publisher.get(at("notice_sending", made.pk)).content.decode()


def test_only_who_may_acts_and_only_by_post(publisher, django_user_model):
    made = notice()
    author = staff(django_user_model, "author", roles.AUTHORS)
    looker = desk(django_user_model, "view_notice", name="looker")
    for act in ("pause", "resume", "resend"):
        assert publisher.get(at(f"notice_{act}", made.pk)).status_code == 405
        assert author.post(at(f"notice_{act}", made.pk)).status_code == 403
        assert looker.post(at(f"notice_{act}", made.pk)).status_code == 403
    assert author.get(at("notice_sending", made.pk)).status_code == 403
    page = words(looker.get(at("notice_sending", made.pk)))
    assert "Hold it" not in page
    assert "Not for you: to hold or pause the sending. Who may: publishers of agreements (publisher)." in page
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
    assert not [sql for sql in many if "agreement_delivery" in sql]


def test_whoever_sees_no_deliveries_is_not_led_to_them(publisher):
    made = notice()
    for page in ("notice_sending", "notice_change"):
        assert at("delivery_changelist") not in publisher.get(at(page, made.pk)).content.decode()
    assert publisher.get(at("delivery_changelist")).status_code == 403


def test_every_look_at_who_was_told_is_logged(django_user_model):
    made = notice()
    admin = staff(django_user_model, "admin", is_superuser=True)
    row = Delivery.objects.first()
    admin.get(at("delivery_changelist"), {"notice": made.pk})
    admin.get(at("delivery_change", row.pk))
    viewed = Act.objects.filter(kind=Act.Kind.VIEWED).order_by("pk").values_list("model", "key", "by", "note")
    assert list(viewed) == [("delivery", "", "admin", f"notice={made.pk}"), ("delivery", str(row.pk), "admin", "")]
