"""The desk of privacy officers: who accepted and who has not, acceptances on paper, evidence; every view is logged."""

from __future__ import annotations

import csv
import html
import io
import re
import zipfile
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone, translation

from agreement.admin.acceptances import register, reports
from agreement.models import Acceptance, AuditEntry, DisplayedText, Withdrawal
from portal_site.models import Profile
from tests.support import factories
from tests.support.spreadsheets import FORMULAS, formulas

pytestmark = pytest.mark.django_db

#: Languages of letters.
CODES = ("kk", "ru", "mul")


def at(name: str, *args: object) -> str:
    with translation.override("ru"):
        return reverse(f"admin:agreement_acceptance_{name}", args=args)


def join(user, edition, **more) -> Acceptance:
    more = {"digest": edition.digest, "language": "kk", "kind": "explicit"} | more
    return Acceptance.objects.record(user=user, edition=edition, **more)


def page(client, address, **parameters) -> str:
    response = client.get(address, parameters)
    assert response.status_code == 200, response.status_code
    return response.content.decode()


def table(response) -> list[list[str]]:
    text = b"".join(response.streaming_content).decode()
    assert text.startswith("\ufeff")
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))


def acts() -> list[tuple[str, str, str]]:
    rows = AuditEntry.objects.filter(action__in=["viewed", "exported"]).order_by("pk")
    return list(rows.values_list("action", "model", "note"))


def test_every_look_search_and_export_is_logged(officer):
    edition, (user,) = factories.published(), factories.users(1)
    row = join(user, edition)

    page(officer, at("changelist"))
    page(officer, at("changelist"), q=user.username)
    page(officer, at("change", row.pk))
    page(officer, at("edition", edition.pk))
    table(officer.get(at("csv", edition.pk)))

    assert acts() == [
        ("viewed", "acceptance", ""),
        ("viewed", "acceptance", "search"),
        ("viewed", "acceptance", ""),
        ("viewed", "edition", "report"),
        ("exported", "edition", "not-accepted.csv"),
    ]
    assert {act.by for act in AuditEntry.objects.filter(action__in=["viewed", "exported"])} == {"user0"}


@pytest.mark.parametrize("group", ["agreement authors", "agreement publishers"])
def test_others_see_none_of_it(group):
    edition, (user,) = factories.published(), factories.users(1)
    row, client = join(user, edition), factories.member(group)
    addresses = [at("changelist"), at("change", row.pk), at("report"), at("edition", edition.pk), at("csv", edition.pk)]
    assert [client.get(address).status_code for address in addresses] == [403] * 5
    assert acts() == []


def test_no_acceptance_is_changed_superusers_included(admin_client):
    edition, (user,) = factories.published(), factories.users(1)
    row = join(user, edition)
    assert admin_client.get(at("delete", row.pk)).status_code == 403
    assert admin_client.post(at("delete", row.pk), {"post": "yes"}).status_code == 403
    assert admin_client.post(at("change", row.pk), {"language": "ru"}).status_code == 403


def test_a_user_is_found_by_name_key_and_after_the_account_is_gone(officer):
    edition, (user, other) = factories.published(), factories.users(2)
    row, key, name = join(user, edition), user.pk, user.username
    join(other, edition)
    link = at("change", row.pk)

    assert link in page(officer, at("changelist"), q=name)
    assert link in page(officer, at("changelist"), q=key)
    user.delete()
    found = page(officer, at("changelist"), q=key)
    assert link in found
    assert found.count('name="_selected_action"') == 0
    assert link not in page(officer, at("changelist"), q="nobody")


@pytest.mark.parametrize("term", ["9" * 30, "\x00", "' OR 1=1 --"])
@pytest.mark.parametrize("whole", [False, True])
def test_a_strange_search_is_no_fault_and_is_logged(officer, term, whole, monkeypatch):
    factories.published()
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", whole)
    assert officer.get(at("changelist"), {"q": term}).status_code in {200, 400}
    assert acts() == [("viewed", "acceptance", "search")]


def test_the_list_counts_nothing_and_costs_the_same_for_many(officer):
    edition, users = factories.published(), factories.users(60)

    def queries() -> list[str]:
        """Those of the list: what the middleware asks about the officer is not its own."""
        with CaptureQueriesContext(connection) as captured:
            page(officer, at("changelist"))
        asked = [query["sql"] for query in captured]
        return [sql for sql in asked if re.match(r'SELECT ((?! FROM ).)* FROM "agreement_acceptance"', sql)]

    join(users[0], edition)
    few = queries()
    for user in users[1:]:
        join(user, edition)
    many = queries()

    assert len(many) == len(few) == 2
    assert not [sql for sql in many if "COUNT(" in sql]


def test_the_list_calls_an_edition_by_its_number_and_not_by_its_key(officer):
    factories.published(slug="rules")
    edition = factories.published()
    join(officer.user, edition)

    found = page(officer, at("changelist"))

    assert (edition.number, edition.pk) != (1, 1)
    assert re.search(r'<td class="field-about">terms, редакция №\s1</td>', found)


def test_the_report_counts_who_has_not_accepted(officer):
    edition, users = factories.published(), factories.users(4)
    join(users[0], edition)
    join(users[1], edition, language="ru")
    users[3].is_active = False
    users[3].save()

    report = page(officer, at("edition", edition.pk))
    rows = table(officer.get(at("csv", edition.pk)))

    # The officer is a user too. A user who may not log in is not counted.
    assert re.findall(r": (\d+)(?:</li>|\s<a)", report) == ["4", "2", "2", "0"]
    assert rows == [["key", "name", "language"], [str(officer.user.pk), "user0", "kk"], [str(users[2].pk), "user3", ""]]
    assert at("edition", edition.pk) in page(officer, at("report"))


def test_the_report_and_its_file_tell_languages_apart(officer):
    edition, users = factories.published(), factories.users(9)  # With the officer, of kk, ru and no language, by turns.
    join(users[0], edition)
    Profile.objects.filter(user=users[3]).update(language="RU")

    with CaptureQueriesContext(connection) as captured:
        report = page(officer, at("edition", edition.pk))
    names = {
        code: [row[1] for row in table(officer.get(at("csv", edition.pk), {"language": code}))[1:]] for code in CODES
    }

    assert len([query for query in captured if "NOT EXISTS" in query["sql"].upper()]) <= 2
    assert {code: len(found) for code, found in names.items()} == {"kk": 2, "ru": 4, "mul": 3}
    for code, found in names.items():
        assert re.search(rf'<td>{len(found)}</td>\s*<td><a href="{at("csv", edition.pk)}\?language={code}">', report)
    assert users[3].username in names["ru"]
    assert officer.get(at("csv", edition.pk), {"language": "en"}).status_code == 400
    assert ("exported", "edition", "not-accepted-mul.csv") in acts()


def test_an_acceptance_before_a_wording_only_change_still_counts(officer):
    first, users = factories.published(), factories.users(2)
    join(users[0], first)
    later = factories.published(material=False)
    names = [row[1] for row in table(officer.get(at("csv", later.pk)))]
    assert users[0].username not in names
    assert users[1].username in names


def test_a_withdrawn_user_has_not_accepted_until_they_accept_again(officer):
    factories.published()
    later, users = factories.published(material=False), factories.users(4)
    for user in users:
        join(user, later)

    def leave(user, **stated):
        stated = {"agreement": later.agreement, "outcome": "suspended", "received_on": timezone.localdate()} | stated
        Withdrawal.objects.register(user=user, **stated)

    def missing():
        return {row[1] for row in table(officer.get(at("csv", later.pk)))[1:]} - {officer.user.username}

    assert missing() == set()
    for user in users[:2]:
        leave(user)
        leave(user)
    leave(users[2], agreement=factories.agreement("privacy"))
    leave(users[2], effective_at=timezone.now() + timedelta(days=1))
    leave(users[3], outcome="refused", ground="Борыш өтелмеген.")
    assert missing() == {user.username for user in users[:2]}
    join(users[0], later)
    assert missing() == {users[1].username}
    assert re.findall(r": (\d+)(?:</li>|\s<a)", page(officer, at("edition", later.pk))) == ["5", "3", "2", "0"]


def test_the_file_is_written_in_batches_and_is_whole(officer, monkeypatch):
    monkeypatch.setattr(reports, "USERS_PER_CHUNK", 3)
    edition, users = factories.published(), factories.users(10)
    join(users[4], edition)
    names = [row[1] for row in table(officer.get(at("csv", edition.pk)))[1:]]
    assert len(names) == len(set(names)) == 10
    assert users[4].username not in names


@pytest.mark.parametrize("evil", FORMULAS)
def test_no_cell_of_a_report_is_a_formula_whatever_separates_cells(officer, evil):
    edition, (user,) = factories.published(), factories.users(1)
    user.username = evil
    user.save()
    written = b"".join(officer.get(at("csv", edition.pk)).streaming_content)
    assert formulas(written) == []
    names = [row[1] for row in csv.reader(io.StringIO(written.decode(), newline=""))]
    assert evil in [name.replace("'", "") for name in names]


def test_there_is_no_report_on_a_draft_or_a_cancelled_edition(officer):
    factories.published()
    draft = factories.draft()
    assert officer.get(at("edition", draft.pk)).status_code == 404
    assert officer.get(at("csv", 99)).status_code == 404


def test_an_officer_gets_no_link_to_a_page_they_may_not_view(officer):
    edition, (user,) = factories.published(), factories.users(1)
    shown = page(officer, at("change", join(user, edition).pk))
    assert f'href="{reverse("agreement:edition", args=["terms", 1])}">{edition}</a>' in shown
    assert "/admin/agreement/edition/" not in shown


# Acceptances on paper.


def test_the_page_of_an_acceptance_displays_which_html_was_displayed(officer):
    edition, (user, other) = factories.published(), factories.users(2)
    row = join(user, edition, displayed=DisplayedText.render(edition, "kk"))

    shown = html.unescape(page(officer, at("change", row.pk)))

    assert row.html_digest in shown
    assert re.search(r"Версия отображения:</label>\s*<div class=\"readonly\">1</div>", shown)
    assert "Контрольная сумма показанного HTML (SHA-256):" in shown
    without = page(officer, at("change", join(other, edition).pk))
    assert re.search(r"Версия отображения:</label>\s*<div class=\"readonly\">—</div>", without)


def on_paper(user, edition, **changed: object) -> dict[str, object]:
    named = {"user": user.get_username(), "user_confirmed": user.pk}
    return named | {"edition": edition.pk, "language": "ru", "reason": "Өтініш № 5"} | changed


def test_an_officer_records_an_acceptance_on_paper_in_their_own_name(officer):
    factories.published()
    edition, (user,) = factories.published(), factories.users(1)
    assert [option.pk for option in officer.get(at("add")).context["adminform"].form.fields["edition"].queryset] == [
        edition.pk
    ]

    assert officer.post(at("add"), on_paper(user, edition)).status_code == 302

    row = Acceptance.objects.get(user=user)
    assert (row.user, row.edition, row.digest, row.kind) == (user, edition, edition.digest, "on_behalf")
    assert (row.language, row.reason, row.officer, row.displayed) == ("ru", "Өтініш № 5", "user0", False)
    assert AuditEntry.objects.filter(action="accepted", by="user0", model="acceptance", key=str(row.pk)).count() == 1


@pytest.mark.parametrize("how", ["on_behalf", "explicit"])
def test_an_acceptance_in_the_register_is_not_recorded_again(officer, how):
    edition, (user,) = factories.published(), factories.users(1)
    if how == "explicit":
        join(user, edition)
    else:
        officer.post(at("add"), on_paper(user, edition))
    row, acts = Acceptance.objects.get(user=user), AuditEntry.objects.filter(action="accepted").count()
    officer.get(at("changelist"))  # Reads the first post's message.

    answer = officer.post(at("add"), on_paper(user, edition, reason="Өтініш № 6"), follow=True)

    (message,) = answer.context["messages"]
    assert (message.level_tag, f"{row}" in message.message) == ("warning", True)
    assert Acceptance.objects.get(user=user).reason == row.reason
    assert AuditEntry.objects.filter(action="accepted").count() == acts
    assert LogEntry.objects.count() == (how == "on_behalf")


@pytest.mark.parametrize("changed", [{"user": ""}, {"user": 99}, {"reason": ""}, {"language": "en"}, {"edition": 99}])
def test_an_invalid_acceptance_on_paper_is_refused_and_not_recorded(officer, changed):
    edition, (user,) = factories.published(), factories.users(1)
    assert officer.post(at("add"), on_paper(user, edition) | changed).status_code == 200
    assert not Acceptance.objects.filter(kind="on_behalf").exists()


def test_an_acceptance_of_an_edition_not_in_force_is_refused(officer):
    first, (user,) = factories.published(), factories.users(1)
    factories.published()
    scheduled = factories.published(effective_from=timezone.now() + timedelta(days=9))
    for edition in (first, scheduled, factories.draft()):
        assert officer.post(at("add"), on_paper(user, edition)).status_code == 200
    assert not Acceptance.objects.filter(kind="on_behalf").exists()


def test_an_acceptance_is_refused_if_another_edition_takes_effect_meanwhile(officer, monkeypatch):
    edition, (user,) = factories.published(), factories.users(1)
    real = register.AcceptanceAdmin.save_model

    def too_late(self, *args):
        factories.published()
        real(self, *args)

    monkeypatch.setattr(register.AcceptanceAdmin, "save_model", too_late)
    answer = officer.post(at("add"), on_paper(user, edition), follow=True)
    assert "ничего не записано" in answer.content.decode()
    assert not Acceptance.objects.filter(user=user).exists()


# Evidence.


def test_evidence_is_exported_with_the_permission_and_logged(officer):
    edition, (user,) = factories.published(), factories.users(1)
    join(user, edition)
    key = user.pk
    assert at("evidence") in page(officer, at("changelist"))
    assert f"{at('evidence')}?user={user.username}" in page(officer, at("changelist"), q=user.username)
    user.delete()

    for asked, file in (({"user": key}, "user/acceptances.csv"), ({"edition": edition.pk}, "terms/editions/1.kk.md")):
        answer = officer.post(at("evidence"), asked)
        with zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content))) as archive:
            assert file in archive.namelist()
        assert "no-store" in answer.headers["Cache-Control"]
        if "user" in asked:
            assert re.search(r'filename="user-\d{8}-\d{6}\.zip"', answer.headers["Content-Disposition"])

    acts = AuditEntry.objects.filter(action="exported", by="user0").order_by("pk")
    assert [(act.model, act.key) for act in acts] == [("user", ""), ("edition", str(edition.pk))]
    assert AuditEntry.objects.for_user_key(key).filter(action="exported").count() == 1
    assert all(act.note.startswith("evidence, ") for act in acts)


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"user": "nobody"},
        {"user": "1", "edition": "1"},
        {"user": "9" * 30},
        {"edition": "99"},
        {"edition": "1", "at_0": "2000-01-01", "at_1": "09:00"},
        {"edition": "1", "at_0": "2100-01-01", "at_1": "09:00"},
        {"edition": "1", "at_0": "never", "at_1": ""},
    ],
)
def test_an_export_without_evidence_gets_a_sentence_and_no_log_entry(officer, asked):
    edition = factories.published()
    asked = {name: str(edition.pk) if value == "1" and name == "edition" else value for name, value in asked.items()}
    assert officer.post(at("evidence"), asked).status_code == 200
    assert not AuditEntry.objects.filter(action="exported").exists()


@pytest.mark.parametrize("group", ["agreement authors", "agreement publishers"])
def test_others_export_and_record_nothing(group):
    edition, (user,) = factories.published(), factories.users(1)
    client = factories.member(group)
    assert client.get(at("evidence")).status_code == 403
    assert client.post(at("evidence"), {"user": user.pk}).status_code == 403
    assert client.post(at("add"), on_paper(user, edition)).status_code == 403
    assert not Acceptance.objects.filter(user=user).exists()
