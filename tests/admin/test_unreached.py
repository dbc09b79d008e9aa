"""Who was not reached by a notice: the list, the file, sending again, and the state of notices in lists."""

from __future__ import annotations

import csv
import html
import io
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from agreement import groups
from agreement.admin.base import short_moment
from agreement.models import AuditEntry, Delivery, Notice, Progress, pseudonyms
from agreement.models.audit import AuditAction
from agreement.models.backoff import MAX_ATTEMPTS
from agreement.models.ledger_labels import known_reason, reason_in_words
from agreement.models.progress import NoticeState, notice_state
from agreement.models.verification import row_faults
from agreement.notices import dispatch
from agreement.notices.unreached import Cause, count_by_cause, resend_reachable
from agreement.testing import open_seal
from tests.admin.test_editions import at
from tests.admin.test_groups import staff
from tests.support import factories
from tests.support.smtp_server import mail_by

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _mail(settings: Any) -> None:
    mail_by(settings, "django.core.mail.backends.locmem.EmailBackend")


@pytest.fixture
def publisher(django_user_model):
    return staff(django_user_model, "publisher", groups.PUBLISHERS, email="publisher@example.kz")


def words(answer: Any) -> str:
    assert answer.status_code == 200
    return " ".join(re.sub("<[^>]*>", " ", html.unescape(answer.content.decode())).split())


def outcome(user: Any, outcome: str, reason: str = "", **columns: Any) -> None:
    """Give the delivery to that user another outcome than the one that the worker recorded."""
    delivery = Delivery.objects.get(user=user)
    with open_seal():
        Delivery.objects.filter(pk=delivery.pk).update(outcome=outcome, reason=reason, **columns)
    progress = Progress.objects.get()
    progress.add({(delivery.outcome, delivery.reason): -1, (outcome, reason): 1})
    progress.save()


@pytest.fixture
def notice(django_user_model, settings) -> Notice:
    """A notice that reached one user of eight, and whose edition was not overtaken."""
    settings.AGREEMENT = {**settings.AGREEMENT, "PSEUDONYM_KEYS": {"k": "s" * 50}}
    people = factories.users(8)
    for number, address in ((0, ""), (1, "no@address@example.kz")):
        django_user_model.objects.filter(pk=people[number].pk).update(email=address)
    django_user_model.objects.filter(pk=people[7].pk).update(username="=1+1")
    made: Notice = factories.published().notices.get()
    dispatch.work()
    outcome(people[2], "failed", "SMTP 550 5.1.1")
    outcome(people[3], "failed", "SMTP 450 4.2.0", attempts=MAX_ATTEMPTS - 1)
    outcome(people[5], "skipped", "inactive")
    outcome(people[7], "skipped", "channel removed")
    Delivery.objects.record_bounce(f"<{Delivery.objects.get(user=people[4]).message_id_local_part}@x>", reason="5.1.1")
    made.refresh_from_db()
    return made


def test_who_was_not_reached_is_listed_by_cause_and_each_view_is_logged(notice, django_user_model):
    officer = staff(django_user_model, "officer", groups.PRIVACY_OFFICERS)
    there = at("notice_unreached", notice.pk)
    assert count_by_cause(notice) == dict.fromkeys(Cause, 1)
    assert Progress.objects.get().unreached == 6
    assert notice_state(notice, notice.progress.all()) == NoticeState.GAPS
    expected = {
        "": "user0",
        "invalid_address": "user1",
        "refused": "user2 3 e-mail the address does not exist (SMTP 550 5.1.1)",
        "given_up": "user3 4 e-mail SMTP 450 4.2.0",
        "returned": "user4 5 e-mail the address does not exist (5.1.1)",
        "other": "=1+1",
    }
    first = django_user_model.objects.get(username="user0").pk
    for cause, said in expected.items():
        said = re.sub(r" (\d) ", lambda found: f" {first + int(found[1]) - 1} ", said, count=1)
        page = words(officer.get(there, {"cause": cause} if cause else {}))
        listed = page.split("address now", 1)[1]
        assert said in listed
        assert sum(name in listed for name in ("user0", "user1", "user2", "user3", "user4", "=1+1")) == 1
        assert "Send again" not in page, "an officer does not send"
    logged = AuditEntry.objects.filter(action=AuditAction.VIEWED, model="notice", key=str(notice.pk))
    assert logged.count() == len(expected)
    assert logged.first().note == "not reached: other"
    assert "They find the notice on the site" in page
    for query in ({"cause": "x"}, {"after": "-1"}, {"after": "9" * 30}):
        assert officer.get(there, query).status_code == 400


def test_a_name_leads_to_the_account_for_readers_who_may_view_accounts(notice, publisher, django_user_model):
    person = django_user_model.objects.get(username="user0")
    there, link = at("notice_unreached", notice.pk), f'href="{reverse("admin:auth_user_change", args=[person.pk])}"'
    assert link not in publisher.get(there).content.decode()
    account = django_user_model.objects.get(username="publisher")
    account.user_permissions.add(Permission.objects.get(codename="view_user"))
    assert link in publisher.get(there).content.decode()


@pytest.mark.parametrize(
    ("reason", "label"),
    [
        ("SMTP 550 5.1.2", "the address does not exist (SMTP 550 5.1.2)"),
        ("5.2.2", "the mailbox is full (5.2.2)"),
        ("SMTP 554 5.7.1", "the mail server does not take messages of this site (SMTP 554 5.7.1)"),
        ("SMTP 550", "SMTP 550"),
        ("SMTP 550 5.1.8", "SMTP 550 5.1.8"),
    ],
)
def test_a_reply_of_a_mail_server_is_explained_at_the_desk_only(reason, label):
    assert reason_in_words(reason) == label
    assert known_reason(reason) == ""


def test_the_file_contains_all_of_them_and_no_formula(notice, publisher):
    answer = publisher.get(at("notice_unreached_csv", notice.pk))
    lines = list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode("utf-8-sig"))))
    assert lines[0] == ["key", "name", "channel", "cause", "reason", "at", "address_now"]
    found = [(line[1], line[3], line[4], line[6]) for line in lines[1:]]
    assert found == [
        ("user0", "no_address", "no address", "none"),
        ("user1", "invalid_address", "invalid address", "none"),
        ("user2", "refused", "SMTP 550 5.1.1", "same"),
        ("user3", "given_up", "SMTP 450 4.2.0", "same"),
        ("user4", "returned", "5.1.1", "same"),
        ("'=1+1", "other", "channel removed", "another"),
    ]
    entry = AuditEntry.objects.get(action=AuditAction.EXPORTED)
    assert (entry.model, entry.by, entry.note) == ("notice", "publisher", "not-reached.csv")


def test_pages_of_the_list_follow_each_other_and_cost_the_same(notice, publisher, monkeypatch):
    users = factories.users(7)
    Delivery.objects.bulk_create(
        Delivery(
            notice=notice,
            user=user,
            channel="email",
            due_at=timezone.now(),
            outcome="skipped",
            reason="no address",
            outcome_at=timezone.now(),
        )
        for user in users
    )

    def page(**query: Any) -> tuple[list[str], Any, int]:
        with CaptureQueriesContext(connection) as captured:
            answer = publisher.get(at("notice_unreached", notice.pk), {"cause": "no_address", **query})
        return [row["name"] for row in answer.context["rows"]], answer.context["following"], len(captured)

    everybody, nothing, many = page()
    monkeypatch.setattr("agreement.admin.notices.unreached.PAGE_SIZE", 4)
    first, following, few = page()
    second, end, _queries = page(after=following)
    assert first + second == everybody
    assert (len(first), len(second), nothing, end) == (4, 4, None, None)
    assert many == few


def test_it_is_sent_again_to_those_who_have_another_address_now_and_once(notice, publisher, django_user_model):
    for number in (0, 1, 2, 4):
        django_user_model.objects.filter(username=f"user{number}").update(email=f"new{number}@example.kz")
    changed = {"user0", "user1", "user2", "user4", "=1+1"}
    listed = {cause: words(publisher.get(at("notice_unreached", notice.pk), {"cause": cause})) for cause in Cause}
    assert listed[Cause.NO_ADDRESS].split("address now", 1)[1].endswith(" entered Sending")
    assert listed[Cause.REFUSED].split("address now", 1)[1].endswith(" another one Sending")
    assert "Send again to those who have another address now" in words(publisher.get(at("notice_unreached", notice.pk)))
    there = at("notice_resend_reachable", notice.pk)
    assert publisher.get(there).status_code == 405

    assert "Will be sent again: 5" in words(publisher.post(there, follow=True))
    assert {delivery.user.username for delivery in Delivery.objects.waiting()} == changed
    assert "Nothing was changed" in words(publisher.post(there, follow=True))
    assert sum(int(entry.note) for entry in AuditEntry.objects.filter(action=AuditAction.RESENT, by="publisher")) == 5

    dispatch.work()
    assert {one.user.username for one in Delivery.objects.filter(outcome="sent")} >= changed
    assert count_by_cause(notice) == {Cause.GIVEN_UP: 1}
    assert Delivery.objects.get(user__username="user4").bounces.count() == 1


@pytest.mark.parametrize("user", ["user0", "user1", "user2", "user3", "user4"])
def test_sending_again_is_offered_only_if_a_user_has_another_address_now(notice, publisher, django_user_model, user):
    django_user_model.objects.filter(username="=1+1").delete()
    page = words(publisher.get(at("notice_unreached", notice.pk)))
    assert "Send again to those" not in page
    assert "The site has no other address of these users. Once an address is corrected in the account" in page
    django_user_model.objects.filter(username=user).update(email="new@example.kz")
    assert "Send again to those" in words(publisher.get(at("notice_unreached", notice.pk)))


def test_sending_again_is_offered_if_there_are_too_many_users_to_look_at_each(notice, publisher, monkeypatch):
    get_user_model().objects.filter(username="=1+1").delete()
    monkeypatch.setattr("agreement.notices.unreached.ROWS_PER_CHUNK", 0)
    assert "Send again to those" in words(publisher.get(at("notice_unreached", notice.pk)))


def test_a_message_that_is_returned_again_after_another_address_is_counted_again(notice, django_user_model):
    delivery = Delivery.objects.get(user__username="user4")
    message_id = f"<{delivery.message_id_local_part}@x>"
    assert Delivery.objects.record_bounce(message_id) == delivery.bounces.get(), "a second report of the same return"
    django_user_model.objects.filter(username="user4").update(email="new4@example.kz")
    resend_reachable(notice)
    dispatch.work()
    assert count_by_cause(notice).get(Cause.RETURNED) is None
    Delivery.objects.record_bounce(message_id, reason="5.2.1")
    assert count_by_cause(notice)[Cause.RETURNED] == 1
    assert list(delivery.bounces.order_by("pk").values_list("reason", flat=True)) == ["5.1.1", "5.2.1"]
    assert list(row_faults("default")) == []


def test_it_is_sent_again_if_every_delivery_was_sent_and_one_was_returned(django_user_model, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "PSEUDONYM_KEYS": {"k": "s" * 50}}
    factories.users(2)
    made = factories.published().notices.get()
    dispatch.work()
    delivery = Delivery.objects.get(user__username="user1")
    Delivery.objects.record_bounce(f"<{delivery.message_id_local_part}@x>", reason="5.1.1")
    django_user_model.objects.filter(username="user1").update(email="new1@example.kz")
    assert resend_reachable(made) == 1


def test_a_deleted_account_is_not_one_that_was_not_reached(notice, publisher, django_user_model):
    django_user_model.objects.filter(username__in=["user0", "user1", "user3", "user4", "user5"]).delete()
    assert count_by_cause(notice) == {Cause.REFUSED: 1, Cause.OTHER: 1}
    assert Progress.objects.get().unreached == Progress.objects.with_gone().get().unreached == 2
    assert "deleted account" not in words(publisher.get(at("notice_unreached", notice.pk)))
    django_user_model.objects.filter(username__in=["user2", "=1+1"]).delete()
    assert count_by_cause(notice) == {}
    assert notice_state(notice, notice.progress.all()) == NoticeState.DONE


def test_a_notice_that_is_overtaken_is_not_sent_again_to_anybody(notice, publisher, django_user_model):
    django_user_model.objects.filter(username="user0").update(email="new0@example.kz")
    factories.published()
    assert resend_reachable(notice) == 0
    assert "This notice is not sent again: overtaken by edition 2." in words(
        publisher.get(at("notice_unreached", notice.pk))
    )


def test_before_the_audience_is_written_nothing_is_sent_again():
    assert resend_reachable(factories.published().notices.get()) == 0


def test_without_keys_it_is_not_known_whether_an_address_is_another(notice, settings, django_user_model):
    settings.AGREEMENT = {**settings.AGREEMENT, "PSEUDONYM_KEYS": {}}
    django_user_model.objects.filter(username="user2").update(email="new2@example.kz")
    assert not pseudonyms.address_digests("new2@example.kz")
    assert resend_reachable(notice) == 1, "the removed channel is back, and nobody else can be told apart"


def test_only_who_may_see_users_sees_them_and_only_who_may_resend_resends(notice, django_user_model):
    officer = staff(django_user_model, "officer", groups.PRIVACY_OFFICERS)
    author = staff(django_user_model, "author", groups.AUTHORS)
    for page in ("notice_unreached", "notice_unreached_csv"):
        assert author.get(at(page, notice.pk)).status_code == 403
        assert officer.get(at(page, notice.pk)).status_code == 200
        assert officer.get(at(page, 999)).status_code == 302
    assert officer.post(at("notice_resend_reachable", notice.pk)).status_code == 403


def test_publishers_and_officers_read_the_words_of_a_notice(notice, publisher, django_user_model):
    officer = staff(django_user_model, "officer", groups.PRIVACY_OFFICERS)
    for client in (publisher, officer):
        page = words(client.get(at("notice_change", notice.pk)))
        assert " ".join(notice.texts.first().subject.split()) in page


def test_the_lists_name_the_state_of_each_notice_and_select_by_it(publisher, django_assert_max_num_queries):
    factories.users(2)
    later = timezone.now() + timedelta(days=9)
    made = {
        slug: factories.published(slug=slug, effective_from=later).notices.get()
        for slug in ("delay", "paused", "sending", "overtaken", "gaps", "done")
    }
    for slug in ("overtaken", "gaps", "done"):
        dispatch.fan_out(made[slug])
    Progress.objects.filter(notice=made["gaps"]).update(waiting=0, sent=2, failed=1)
    Progress.objects.filter(notice=made["done"]).update(waiting=0, sent=3)
    soon = timezone.now() + timedelta(minutes=9)
    Notice.objects.filter(pk=made["delay"].pk).update(due_at=soon)
    made["paused"].pause()
    newer = factories.published(slug="overtaken", effective_from=later + timedelta(days=1)).notices.get()
    with django_assert_max_num_queries(9):
        page = publisher.get(at("notice_changelist"))
    assert "not sent: overtaken by edition 2" in words(page)
    assert f"waits for the time of the first message: {' '.join(short_moment(soon).split())}" in words(page)
    for slug, notice in made.items():
        chosen = publisher.get(at("notice_changelist"), {"state": slug}).context["cl"].result_list
        also = [newer] if slug == "sending" else []
        assert list(chosen) == [*also, notice], slug

    editions = publisher.get(at("edition_changelist"))
    badges = re.findall(r"agreement-notice-(\w+)", editions.content.decode())
    assert sorted(badges) == ["delay", "done", "gaps", "overtaken", "paused", "sending", "sending"]
    assert "not sent: overtaken by edition 2" in words(editions)
    chosen = publisher.get(at("edition_changelist"), {"state": "gaps"}).context["cl"].result_list
    assert [edition.agreement.slug for edition in chosen] == ["gaps"]


def test_an_author_sees_no_state_of_notices(django_user_model):
    factories.published()
    author = staff(django_user_model, "author", groups.AUTHORS)
    page = author.get(at("edition_changelist"), {"state": "gaps"})
    assert page.status_code == 200
    assert "agreement-notice-" not in page.content.decode()


def test_a_cancellation_that_comes_late_is_not_said_to_come_after_effect(publisher, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "RATE_LIMITS": {"email": ("1/h",)}}
    factories.users(30)
    edition = factories.published(effective_from=timezone.now() + timedelta(hours=10))
    dispatch.fan_out(edition.notices.get())
    page = words(publisher.get(at("notice_sending", edition.notices.get().pk)))
    assert "after it takes effect" in page
    edition.cancel()
    cancellation = edition.notices.get(kind="cancelled")
    cancellation.progress.create(channel="email", waiting=30)
    page = words(publisher.get(at("notice_sending", cancellation.pk)))
    assert "after it takes effect" not in page
    assert "after the moment when the edition was to take effect" in page
