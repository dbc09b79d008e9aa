"""The field for a user in the forms of officers, and the search behind it."""

from __future__ import annotations

import html

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from agreement.admin.people import MAX_PROPOSED
from agreement.evidence import find_user_key, find_user_keys
from agreement.groups import AUTHORS, PRIVACY_OFFICERS, PUBLISHERS
from agreement.models import Acceptance, AuditEntry, LegalHold, Withdrawal
from tests.support import factories

pytestmark = pytest.mark.django_db

REGISTERS = ("acceptance", "withdrawal", "legalhold")


def at(page: str, *args: object) -> str:
    return reverse(f"admin:agreement_{page}", args=args)


def staff(django_user_model, name: str, *groups: str) -> Client:
    user = django_user_model.objects.create_user(name, is_staff=True)
    user.groups.set(Group.objects.filter(name__in=groups))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def officer(django_user_model) -> Client:
    return staff(django_user_model, "officer", PRIVACY_OFFICERS)


@pytest.fixture
def person(django_user_model):
    return django_user_model.objects.create_user("reader-6", "aigul@example.kz", first_name="Айгүл", last_name="Серік")


def looks() -> list[tuple[str, str, object]]:
    found = AuditEntry.objects.filter(action="viewed").order_by("pk")
    return list(found.values_list("model", "note", "user"))


def recorded() -> list[object]:
    """What officers recorded. They themselves accept by using the desk."""
    return [*Acceptance.objects.filter(kind="on_behalf"), *Withdrawal.objects.all(), *LegalHold.objects.all()]


def act(register: str, **person: object) -> dict[str, object]:
    """The fields of a form, without those that name the user."""
    edition = factories.published()
    fields = {
        "acceptance": {"edition": edition.pk, "language": "ru", "reason": "№ 5"},
        "withdrawal": {
            "agreement": edition.agreement_id,
            "received_on": "2026-01-15",
            "outcome": "ended",
            "language": "ru",
            "may_accept_again": "on",
        },
        "legalhold": {"ground": "№ 7", "held_from_0": "2026-01-01", "held_from_1": "09:00"},
    }
    return fields[register] | person


@pytest.mark.parametrize("register", REGISTERS)
@pytest.mark.parametrize("written", ["reader-6", "AIGUL@example.kz", "{key}", "key:{key}", "name:reader-6"])
def test_an_officer_without_rights_on_users_names_one_by_name_address_or_key(officer, person, register, written):
    text = written.format(key=person.pk)
    asked = officer.post(at(f"{register}_add"), act(register, user=text))

    page = html.unescape(asked.content.decode())
    assert asked.status_code == 200
    assert "reader-6, Айгүл Серік, aigul@example.kz, " in page
    assert recorded() == []

    answer = officer.post(at(f"{register}_add"), act(register, user=text, user_confirmed=person.pk))
    assert answer.status_code == 302
    (row,) = recorded()
    assert (row._meta.model_name, row.user) == (register, person)


@pytest.mark.parametrize("register", REGISTERS)
def test_the_confirmation_is_for_one_person_and_no_other(officer, person, django_user_model, register):
    other = django_user_model.objects.create_user("other", "other@example.kz")
    answer = officer.post(at(f"{register}_add"), act(register, user="other", user_confirmed=person.pk))
    page = html.unescape(answer.content.decode())
    assert f'value="{other.pk}"' in page
    assert "checked" not in page.partition("user_confirmed")[2].partition(">")[0]
    assert recorded() == []


@pytest.mark.parametrize("register", REGISTERS)
@pytest.mark.parametrize("text", ["nobody", "nobody@example.kz", "key:99", "99", "\x00", "x" * 300, "key:" + "9" * 40])
def test_a_text_that_names_no_account_is_refused_at_the_field(officer, register, text):
    answer = officer.post(at(f"{register}_add"), act(register, user=text))
    assert answer.status_code == 200
    assert "user" in answer.context["adminform"].form.errors
    assert recorded() == []


def test_an_application_without_a_confirmed_person_is_not_said_to_lack_an_applicant(officer, person):
    errors = officer.post(at("withdrawal_add"), act("withdrawal", user="reader-6")).context["adminform"].form.errors
    assert list(errors) == ["user"]


def test_a_scan_that_the_browser_loses_is_asked_for_again(officer, person, settings, tmp_path):
    settings.AGREEMENT = {**settings.AGREEMENT, "PRIVATE_ROOT": str(tmp_path)}
    scan = SimpleUploadedFile("a.pdf", b"%PDF-1.7")
    answer = officer.post(at("withdrawal_add"), act("withdrawal", user="reader-6", scan=scan))
    assert set(answer.context["adminform"].form.errors) == {"user", "scan"}


def test_a_name_that_is_the_address_of_another_user_is_not_taken_for_either(person, django_user_model):
    thief = django_user_model.objects.create_user("aigul@example.kz", "thief@example.kz")
    with pytest.raises(Exception, match="aigul@example.kz") as refused:
        find_user_key("aigul@example.kz")
    assert refused.value.code == "several"
    assert find_user_key("name:aigul@example.kz") == thief.pk
    # A file of an import names users, and not addresses.
    assert find_user_keys(["aigul@example.kz"]) == {"aigul@example.kz": thief.pk}


@pytest.mark.parametrize("register", REGISTERS)
@pytest.mark.parametrize(
    "text", ["ader-6", "Айгүл", "серік" if connection.vendor == "postgresql" else "Серік Айгүл", "gul@ex"]
)
def test_the_search_proposes_who_has_the_words_and_logs_that(officer, person, register, text):
    found = officer.get(at(f"{register}_people"), {"q": text})
    (one,) = found.json()["people"]
    assert one["value"] == "reader-6"
    assert one["label"].startswith("reader-6, Айгүл Серік, aigul@example.kz, ")
    assert found.json()["person"] is None
    assert "no-store" in found.headers["Cache-Control"]
    assert looks() == [(register, "search", None)]


def test_who_is_named_exactly_is_logged_by_person(officer, person):
    answer = officer.get(at("acceptance_people"), {"q": "aigul@example.kz"}).json()
    assert answer["person"]["key"] == str(person.pk)
    assert looks() == [("acceptance", "", person.pk), ("acceptance", "search", None)]


@pytest.mark.parametrize("text", ["", "z", "\x00ab", "\ud83d".encode(errors="replace").decode(), "nobody", "%", "_"])
def test_a_search_that_finds_nobody_names_nobody_and_is_not_logged(officer, person, text):
    assert officer.get(at("acceptance_people"), {"q": text}).json() == {"people": [], "person": None}
    assert looks() == []


def test_the_answers_of_the_search_are_limited_and_so_are_its_queries(officer):
    factories.users(3 * MAX_PROPOSED)
    officer.get(at("acceptance_people"), {"q": "use"})
    with CaptureQueriesContext(connection) as captured:
        assert len(officer.get(at("acceptance_people"), {"q": "use"}).json()["people"]) == MAX_PROPOSED
    assert len(captured) <= 20


def test_a_proposed_text_names_the_user_who_was_proposed(officer, django_user_model):
    first = django_user_model.objects.create_user("someone")
    twin = django_user_model.objects.create_user(str(first.pk), last_name="Twin")
    (one,) = officer.get(at("acceptance_people"), {"q": "Twin"}).json()["people"]
    assert one["value"] == f"key:{twin.pk}"
    assert find_user_key(one["value"]) == twin.pk


@pytest.mark.parametrize("group", [AUTHORS, PUBLISHERS, ""])
def test_nobody_else_searches_for_users(django_user_model, person, group):
    client = staff(django_user_model, "other", group)
    for register in REGISTERS:
        assert client.get(at(f"{register}_people"), {"q": "reader-6"}).status_code == 403
    assert looks() == []


def test_who_may_only_export_evidence_may_search_for_whom(django_user_model, person):
    client = staff(django_user_model, "exporter")
    user = django_user_model.objects.get(username="exporter")
    user.user_permissions.add(Permission.objects.get(codename="export_evidence"))
    page = client.get(at("acceptance_evidence")).content.decode()
    assert at("acceptance_people") in page
    assert at("acceptance_changelist") not in page.partition("breadcrumbs")[2].partition("</div>")[0]
    assert client.get(at("acceptance_people"), {"q": "reader-6"}).json()["person"]
    assert client.get(at("withdrawal_people"), {"q": "reader-6"}).status_code == 403


def test_evidence_is_exported_by_an_address(officer, person):
    Acceptance.objects.record(
        user=person, edition=(edition := factories.published()), digest=edition.digest, language="ru", kind="explicit"
    )
    answer = officer.post(at("acceptance_evidence"), {"user": "aigul@example.kz"})
    assert b"".join(answer.streaming_content).startswith(b"PK")


# Refusals of the forms.


@pytest.mark.parametrize("page", ["acceptance_add", "withdrawal_add", "legalhold_add", "breach_add"])
def test_a_refused_form_lists_its_errors_with_links_to_fields_and_has_the_focus(officer, page):
    factories.published()
    text = officer.post(at(page), {}).content.decode()
    listed = text.partition("agreement-refused")[2].partition("</div>")[0]
    assert "autofocus" in listed.partition(">")[0]
    links = [part.partition('"')[0] for part in listed.split('href="#')[1:]]
    assert links
    assert [link for link in links if f'id="{link}"' not in text] == []
    assert "change_form.js" not in text  # It would give the focus to the first field.


# Who may.


@pytest.mark.parametrize(
    ("page", "groups"),
    [
        ("edition_changelist", {"authors of agreements", "publishers of agreements"}),
        ("edition_add", {"authors of agreements"}),
        ("notice_changelist", {"publishers of agreements", "privacy officers"}),
        ("acceptance_evidence", {"privacy officers"}),
        ("acceptance_report", {"privacy officers"}),
        ("withdrawal_add", {"privacy officers"}),
        ("decline_csv", {"privacy officers"}),
        ("acceptance_people", {"privacy officers"}),
        ("delivery_changelist", {"privacy officers"}),
        ("agreement_add", set()),
    ],
)
def test_a_refusal_names_who_may(django_user_model, page, groups):
    staff(django_user_model, "chief").session.flush()
    django_user_model.objects.filter(username="chief").update(is_superuser=True)
    client = staff(django_user_model, "nobody")
    answer = client.get(at(page), headers={"Accept-Language": "en"}, follow=True)
    text = html.unescape(client.get(at(page).replace("/ru/", "/en/").replace("/kk/", "/en/")).content.decode())
    assert answer.status_code == 403
    assert "chief" in text
    assert {
        group for group in ("authors of agreements", "publishers of agreements", "privacy officers") if group in text
    } == groups
