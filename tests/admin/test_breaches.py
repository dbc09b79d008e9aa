"""The admin of breaches of personal data: recorded by an officer, completed, announced once, then read-only."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation

from agreement.admin.notices.breaches import names_of
from agreement.models import AuditEntry, Breach, Delivery, Notice, NoticeKind
from agreement.notices import audience
from agreement.status import status
from agreement.status.report import Level
from tests.support import factories

pytestmark = pytest.mark.django_db


def at(name: str, *args: object) -> str:
    with translation.override("ru"):
        return reverse(f"admin:agreement_breach_{name}", args=args)


def form(**changed: object) -> dict[str, object]:
    return {
        "agreement": factories.agreement().pk,
        "known_at_0": "2026-01-15",
        "known_at_1": "10:00:00",
        "everyone": "on",
        "users": "",
        "text_kk": "Не болды: деректер көшірілді.",
        "text_ru": "Что произошло: данные скопированы.",
    } | changed


def test_the_form_begins_with_words_to_be_completed(officer):
    page = officer.get(at("add"))
    initial = page.context["adminform"].form.initial
    assert "____" in initial["text_kk"]
    assert "____" in initial["text_ru"]


def announce(client: Client, row: Breach):
    """Open the page of the announcement, and click its button."""
    page = client.get(at("notify", row.pk))
    return client.post(at("notify", row.pk), {"digest": page.context["digest"]})


def test_an_officer_records_a_breach_and_announces_it_once(officer):
    factories.published()
    assert officer.post(at("add"), form()).status_code == 302
    row = Breach.objects.get()
    assert row.recorded_by
    assert row.notice_id is None

    assert "Что произошло" in officer.get(at("notify", row.pk)).text
    answer = announce(officer, row)
    row.refresh_from_db()
    sending = reverse("admin:agreement_notice_sending", args=[row.notice_id])
    assert row.notice.kind == NoticeKind.BREACH
    assert answer.url == sending

    assert officer.post(at("notify", row.pk)).url == sending
    assert officer.get(at("notify", row.pk)).url == sending
    assert officer.post(at("change", row.pk), form(text_ru="Другое.")).status_code == 403
    assert officer.post(at("delete", row.pk), {"post": "yes"}).status_code == 403
    assert [entry.note for entry in AuditEntry.objects.about(row)] == ["notified, all users", "recorded"]


def test_only_what_the_page_displayed_is_announced(officer):
    factories.published()
    officer.post(at("add"), form())
    row = Breach.objects.get()
    digest = officer.get(at("notify", row.pk)).context["digest"]
    officer.post(at("change", row.pk), form(text_ru="Другое."))
    refused = officer.post(at("notify", row.pk), {"digest": digest})
    assert refused.status_code == 409
    assert "Другое." in refused.text
    assert NoticeKind.BREACH not in Notice.objects.values_list("kind", flat=True)
    assert officer.post(at("notify", row.pk), {"digest": refused.context["digest"]}).status_code == 302


def test_the_page_of_the_announcement_states_what_is_missing_and_has_no_button(officer):
    factories.published()
    officer.post(at("add"), form(text_ru="Что произошло: ____"))
    row = Breach.objects.get()
    page = officer.get(at("notify", row.pk))
    assert len(page.context["problems"]) == 1
    assert not page.context["channels"]
    assert '<input type="submit"' not in page.text
    assert announce(officer, row).status_code == 409


def test_the_page_of_the_announcement_counts_who_gets_a_letter_and_names_who_gets_none(officer, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "RATE_LIMITS": {"email": ("1/d",)}}
    factories.published()
    reached, without, inactive = factories.users(3)
    without.email, inactive.is_active = "", False
    without.save()
    inactive.save()
    names = "\n".join(user.username for user in (reached, without, inactive))
    officer.post(at("add"), form(everyone="", users=names))
    page = officer.get(at("notify", Breach.objects.get().pk))
    (channel,) = page.context["channels"]
    assert (channel["recipients"], channel["unreachable"], channel["users"]) == (1, 1, 2)
    assert page.context["left_out_names"] == inactive.username
    assert inactive.username in page.text


def test_the_page_compares_the_expected_end_with_the_deadline(officer, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "RATE_LIMITS": {"email": ("1/d",)}}
    factories.published()
    factories.users(9)
    row = Breach.objects.create(agreement=factories.agreement(), text_kk="Не болды.", text_ru="Что.")
    assert officer.get(at("notify", row.pk)).context["channels"][0]["late"]
    settings.AGREEMENT = {**settings.AGREEMENT, "RATE_LIMITS": {}}
    assert not officer.get(at("notify", row.pk)).context["channels"][0]["late"]


def test_a_new_moment_of_knowledge_is_in_the_audit_log(officer):
    officer.post(at("add"), form())
    row = Breach.objects.get()
    officer.post(at("change", row.pk), form())
    officer.post(at("change", row.pk), form(known_at_1="11:00:00"))
    moved, saved, _recorded = (entry.note for entry in AuditEntry.objects.about(row))
    assert saved == "saved"
    assert moved == "saved, became known 2026-01-15T11:00:00+05:00 instead of 2026-01-15T10:00:00+05:00"


def test_a_form_that_is_sent_twice_records_one_breach(officer):
    officer.post(at("add"), form())
    assert officer.post(at("add"), form()).status_code == 200
    assert Breach.objects.count() == 1


def test_a_name_with_a_line_break_is_written_as_a_key(officer):
    (user,) = factories.users(1)
    type(user).objects.filter(pk=user.pk).update(username="two\nlines")
    officer.post(at("add"), form(everyone="", users=f"key:{user.pk}"))
    row = Breach.objects.get()
    written = officer.get(at("change", row.pk)).context["adminform"].form.initial["users"]
    assert officer.post(at("change", row.pk), form(everyone="", users=written)).status_code == 302
    assert row.affected.get().user_id == user.pk


def test_the_form_names_a_few_of_many_faults(officer):
    answer = officer.post(at("add"), form(everyone="", users="\n".join(f"name:nobody{one}" for one in range(30))))
    errors = answer.context["adminform"].form.errors.as_data()["users"]
    assert [error.code for error in errors] == ["nobody"] * 20 + ["more"]
    assert errors[-1].params == {"count": 10}


def test_a_hundred_users_are_named_without_dots():
    row = Breach.objects.create(agreement=factories.agreement(), everyone=False)
    row.set_affected(user.pk for user in factories.users(100))
    assert not names_of(row.affected.order_by("pk")).endswith("…")


def test_affected_users_are_named_by_name_or_key(officer):
    one, two = factories.users(2)
    officer.post(at("add"), form(everyone="", users=f"{one.username}\r\n\r\nkey:{two.pk}\n"))
    row = Breach.objects.get()
    assert set(row.affected.values_list("user", flat=True)) == {one.pk, two.pk}
    assert one.username in officer.get(at("change", row.pk)).text


@pytest.mark.parametrize("written", ["{name}", "{address}", "{key}", "key:{key}"])
def test_one_more_user_is_named_by_name_address_or_key(officer, written):
    one, two = factories.users(2)
    text = written.format(name=two.username, address=two.email.upper(), key=two.pk)
    officer.post(at("add"), form(everyone="", users=one.username, person=text))
    row = Breach.objects.get()
    assert set(row.affected.values_list("user", flat=True)) == {one.pk, two.pk}
    again = form(everyone="", users=f"{one.username}\n{two.username}", person=text, text_ru="Иначе.")
    officer.post(at("change", row.pk), again)
    assert row.affected.count() == 2


def test_the_search_of_the_form_is_for_officers_and_answers_with_a_line(officer):
    (user,) = factories.users(1)
    found = officer.get(at("people"), {"q": user.email}).json()
    assert found["person"]["value"] == user.username
    assert at("people") in officer.get(at("add")).text
    assert factories.member("agreement publishers").get(at("people"), {"q": user.email}).status_code == 403


@pytest.mark.parametrize(
    ("changed", "field", "code"),
    [
        ({"everyone": "", "person": "nobody-of-this-name"}, "person", "nobody"),
        ({"person": "user0"}, "everyone", None),
        ({"everyone": "", "users": "nobody-of-this-name"}, "users", "nobody"),
        ({"users": "user0"}, "everyone", None),
        ({"known_at_0": "2999-01-01"}, "known_at", "future"),
    ],
)
def test_the_form_refuses_what_is_wrong_and_stores_nothing(officer, changed, field, code):
    answer = officer.post(at("add"), form(**changed))
    errors = answer.context["adminform"].form.errors.as_data()
    assert [error.code for error in errors[field]] == [code]
    assert not Breach.objects.exists()


def test_a_publisher_and_an_author_may_not_see_breaches():
    row = Breach.objects.create(agreement=factories.agreement())
    for group in ("agreement publishers", "agreement authors"):
        client = factories.member(group)
        assert client.get(at("change", row.pk)).status_code == 403
        assert client.post(at("notify", row.pk)).status_code == 403


def test_the_view_of_named_users_is_logged(officer):
    (user,) = factories.users(1)
    row = Breach.objects.create(agreement=factories.agreement(), everyone=False)
    officer.get(at("change", row.pk))
    row.set_affected([user.pk])
    assert AuditEntry.objects.about(row).get().action == "viewed"


def test_the_view_of_left_out_users_is_logged_for_an_officer_who_may_only_announce():
    """The page of the announcement may name users who are left out, such as those without an account in use."""
    (user,) = factories.users(1)
    user.is_staff = True
    user.save()
    user.user_permissions.add(Permission.objects.get(codename="notify_breach"))
    client = Client()
    client.force_login(user)
    row = Breach.objects.create(agreement=factories.agreement(), everyone=False)
    row.set_affected([user.pk])
    assert client.get(at("notify", row.pk)).status_code == 200
    assert AuditEntry.objects.about(row).get().action == "viewed"


@pytest.mark.parametrize(("ago", "level"), [(timedelta(hours=1), Level.LOOK), (timedelta(days=8), Level.ACT)])
def test_the_status_names_a_breach_until_it_is_announced(ago, level):
    row = Breach.objects.create(agreement=factories.agreement(), known_at=timezone.now() - ago)
    before = status()
    assert any(f"breach {row.pk}" in problem for problem in before.problems)
    assert before.level == max(level, before.level)
    row.delete()
    assert not any("breach" in problem for problem in status().problems)


def test_the_status_names_a_breach_whose_letters_reached_nobody():
    factories.published()
    factories.users(1)
    known_at = timezone.now() - timedelta(days=30)
    row = Breach.objects.create(agreement=factories.agreement(), known_at=known_at, text_kk="Не болды", text_ru="Что")
    notice = row.notify()
    audience.write_deliveries(notice, channels=["email"])
    Delivery.objects.skip(notice=notice, reason="no address", at=known_at)
    assert [problem for problem in status().problems if problem.endswith("sent to nobody")]
