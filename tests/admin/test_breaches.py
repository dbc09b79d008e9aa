"""The admin of breaches of personal data: recorded by an officer, completed, announced once, then read-only."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation

from agreement.models import AuditEntry, Breach, Delivery, NoticeKind
from agreement.notices import audience
from agreement.status import status
from agreement.status.report import Level
from tests.support import factories

pytestmark = pytest.mark.django_db


def at(name: str, *args: object) -> str:
    with translation.override("ru"):
        return reverse(f"admin:agreement_breach_{name}", args=args)


def member(group: str) -> Client:
    (user,) = factories.users(1)
    user.is_staff = True
    user.save()
    user.groups.add(Group.objects.get(name=group))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def officer() -> Client:
    return member("agreement privacy officers")


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


def test_an_officer_records_a_breach_and_announces_it_once(officer):
    factories.published()
    assert officer.post(at("add"), form()).status_code == 302
    row = Breach.objects.get()
    assert row.recorded_by
    assert row.notice_id is None

    assert "Что произошло" in officer.get(at("notify", row.pk)).text
    answer = officer.post(at("notify", row.pk))
    row.refresh_from_db()
    assert row.notice.kind == NoticeKind.BREACH
    assert answer.url == reverse("admin:agreement_notice_sending", args=[row.notice_id])

    assert officer.post(at("notify", row.pk)).status_code == 409
    assert officer.post(at("change", row.pk), form(text_ru="Другое.")).status_code == 403
    assert officer.post(at("delete", row.pk), {"post": "yes"}).status_code == 403
    assert [entry.note for entry in AuditEntry.objects.about(row)] == ["notified, all users", "recorded"]


def test_the_page_of_the_announcement_states_what_is_missing_and_has_no_button(officer):
    factories.published()
    officer.post(at("add"), form(text_ru="Что произошло: ____"))
    row = Breach.objects.get()
    page = officer.get(at("notify", row.pk))
    assert len(page.context["problems"]) == 1
    assert '<input type="submit"' not in page.text
    assert officer.post(at("notify", row.pk)).status_code == 409


def test_affected_users_are_named_by_name_or_key(officer):
    one, two = factories.users(2)
    officer.post(at("add"), form(everyone="", users=f"{one.username}\r\n\r\nkey:{two.pk}\n"))
    row = Breach.objects.get()
    assert set(row.affected.values_list("user", flat=True)) == {one.pk, two.pk}
    assert one.username in officer.get(at("change", row.pk)).text


@pytest.mark.parametrize(
    ("changed", "field", "code"),
    [
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
        client = member(group)
        assert client.get(at("change", row.pk)).status_code == 403
        assert client.post(at("notify", row.pk)).status_code == 403


def test_the_view_of_named_users_is_logged(officer):
    (user,) = factories.users(1)
    row = Breach.objects.create(agreement=factories.agreement(), everyone=False)
    officer.get(at("change", row.pk))
    row.set_affected([user.pk])
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
