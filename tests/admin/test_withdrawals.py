"""The privacy officer's register: an application entered, answered, its scan; and the user's own way out."""

from __future__ import annotations

import io
import re
import zipfile
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import django
import pytest
from django.core import mail
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation

from agreement.models import Acceptance, AuditEntry, ChannelState, Consent, Delivery, LegalHold, Notice, Withdrawal
from agreement.notices import dispatch, withdrawal_replies
from tests.support import factories, smtp_server
from tests.support.smtp_server import mail_by

pytestmark = pytest.mark.django_db

OWN = "/ru/agreements/withdraw/"


def at(name: str, *args: object) -> str:
    with translation.override("ru"):
        return reverse(f"admin:agreement_{name}", args=args)


def application(**changed: object) -> dict[str, object]:
    return {
        "agreement": factories.agreement().pk,
        "applicant": "А. Ахметов",
        "application_number": "12-к",
        "received_on": "2026-01-15",
        "outcome": "ended",
        "may_accept_again": "on",
        "language": "kk",
    } | changed


def named(user) -> dict[str, object]:
    """The fields with which an officer names this user, whom they have confirmed."""
    return {"user": user.get_username(), "user_confirmed": user.pk}


def signed_in(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_an_officer_enters_an_application_and_the_user_gets_the_reply(officer, django_capture_on_commit_callbacks):
    factories.published(retention_years=5)
    (user,) = factories.users(1)

    with django_capture_on_commit_callbacks(execute=True):
        answer = officer.post(at("withdrawal_add"), application(**named(user)))
    for _round in range(2):
        dispatch.work()

    assert answer.status_code == 302
    row = Withdrawal.objects.get()
    assert (row.user, row.registered_by, row.received_on) == (user, "user0", date(2026, 1, 15))
    (letter,) = (letter for letter in mail.outbox if letter.to == [user.email] and row.reference in letter.subject)
    assert letter.subject == f"Өтінішке жауап, №\u00a0{row.reference} — Ашық кітапхана"
    assert letter.body.startswith("Ашық кітапхана\n\n")
    assert letter.from_email.startswith('"Ашық кітапхана" <')
    assert "5 жыл сақталады" in letter.body
    assert row.confirmed_at
    assert AuditEntry.objects.filter(action="withdrawn", by="user0", note=row.reference).count() == 1


def test_an_application_sent_twice_is_entered_once_and_another_one_beside_it(officer):
    factories.published()
    (user,) = factories.users(1)

    answers = [
        officer.post(at("withdrawal_add"), application(**named(user), **changed), follow=True)
        for changed in ({}, {}, {"application_number": "13-к"})
    ]

    refusal = f"Такая запись уже есть, поэтому ничего не записано: отзыв согласия {Withdrawal.objects.last()}."
    assert [refusal in answer.content.decode() for answer in answers] == [False, True, False]
    entered = Withdrawal.objects.order_by("serial").values_list("serial", "application_number")
    assert list(entered) == [(1, "12-к"), (2, "13-к")]
    assert AuditEntry.objects.filter(action="withdrawn").count() == 2


def test_an_officer_sees_the_last_day_for_the_reply_and_records_a_reply_on_paper(officer):
    factories.published()
    for number, day in (("late", 40), ("soon", 10), ("answered", 50)):
        received = timezone.now().date() - timedelta(days=day)
        officer.post(at("withdrawal_add"), application(application_number=number, received_on=received.isoformat()))
    rows = {row.application_number: row for row in Withdrawal.objects.all()}
    change = at("withdrawal_change", rows["answered"].pk)
    assert rows["late"].reply_by == timezone.now().date() - timedelta(days=25)
    page = officer.get(change).content.decode()
    assert page.count("просрочено") == page.count('name="replied_on"') == 1

    refused = officer.post(change, {"replied_on": (timezone.now() + timedelta(days=2)).date().isoformat()})
    empty = officer.post(change, {})
    given = timezone.now().date() - timedelta(days=1)
    assert officer.post(change, {"replied_on": given.isoformat(), "outcome": "refused"}).status_code == 302

    assert "не раньше дня получения заявления и не позже сегодняшнего дня." in refused.content.decode()
    assert empty.status_code == 200
    row = Withdrawal.objects.get(pk=rows["answered"].pk)
    assert (row.replied_on, row.outcome, row.is_answered) == (given, "ended", True)
    assert AuditEntry.objects.get(action="replied").note == f"{row.reference}, {given.isoformat()}"
    assert 'name="replied_on"' not in (page := officer.get(change).content.decode())
    assert "просрочено" not in page
    assert officer.post(change, {"replied_on": "2026-01-20"}).status_code == 403

    def listed(reply: str) -> list[str]:
        page = officer.get(at("withdrawal_changelist"), {"reply": reply}).content.decode()
        return re.findall(r"terms/\d+/\d+", page.partition("<tbody>")[2])

    late, soon, answered = (rows[name].reference for name in ("late", "soon", "answered"))
    assert [listed(value) for value in ("none", "overdue", "given")] == [[late, soon], [late], [answered]]


def test_the_last_day_for_the_reply_is_that_of_the_setting_when_it_was_registered(settings):
    agreement = factories.published().agreement
    entry = {"agreement": agreement, "applicant": "А. Ахметов", "outcome": "ended", "received_on": date(2026, 1, 20)}
    settings.AGREEMENT = {**settings.AGREEMENT, "REPLY_DAYS": 30}
    first = Withdrawal.objects.register(**entry)
    settings.AGREEMENT = {**settings.AGREEMENT, "REPLY_DAYS": 15}
    second = Withdrawal.objects.register(**entry)
    assert (first.reply_by, second.reply_by) == (date(2026, 2, 19), date(2026, 2, 4))
    last = datetime(2026, 2, 4, 23, 59, tzinfo=ZoneInfo("Asia/Almaty"))
    assert not second.is_overdue(last)
    assert list(Withdrawal.objects.overdue(last + timedelta(minutes=1))) == [second]
    assert second.is_overdue(last + timedelta(minutes=1))


class Later:
    """A clock that stands where it is set."""

    def __init__(self) -> None:
        self.at = timezone.now()

    def __call__(self) -> datetime:
        return self.at


def test_a_reply_waits_for_an_unavailable_mail_server_and_is_sent_once(officer, settings):
    factories.published()
    (user,) = factories.users(1)
    with smtp_server.server() as mailbox:
        closed = mailbox.port
    mail_by(settings, "django.core.mail.backends.smtp.EmailBackend", host="127.0.0.1", port=closed)
    assert officer.post(at("withdrawal_add"), application(**named(user))).status_code == 302
    row, clock = Withdrawal.objects.get(), Later()
    Notice.objects.update(fanned_out_at=timezone.now())  # Nothing but the reply is to be done.

    assert "Connection" in withdrawal_replies.send_due(clock=clock)
    row.refresh_from_db()
    assert (row.confirmed_at, row.confirm_attempts) == (None, 0)
    first = dispatch.next_due_at(clock.at)
    assert clock.at < first < clock.at + timedelta(seconds=20)
    assert "Connection" in withdrawal_replies.send_due(clock=clock), "nothing is tried before that"
    assert ChannelState.objects.get().outages == 1
    clock.at = first
    assert "Connection" in withdrawal_replies.send_due(clock=clock)
    second = dispatch.next_due_at(clock.at)
    assert second - clock.at > timedelta(seconds=20), "the pauses grow"

    clock.at = second
    with smtp_server.server() as mailbox:
        mail_by(settings, "django.core.mail.backends.smtp.EmailBackend", host="127.0.0.1", port=mailbox.port)
        mailbox.replies[user.email] = "451 4.3.0 later"
        withdrawal_replies.send_due(clock=clock)
        row.refresh_from_db()
        assert (row.confirmed_at, row.confirm_attempts) == (None, 1)
        assert "1" in officer.get(at("withdrawal_changelist")).content.decode()
        mailbox.replies.clear()
        withdrawal_replies.send_due(clock=clock)
        assert mailbox.messages == []
        clock.at = row.confirm_due_at
        withdrawal_replies.send_due(clock=clock)
        clock.at += timedelta(days=9)
        withdrawal_replies.send_due(clock=clock)

    row.refresh_from_db()
    (letter,) = mailbox.messages
    assert letter["Message-ID"] == f"<withdrawal.{row.agreement_id}.{row.year}.{row.serial}@127.0.0.1>"
    assert row.reference in letter["Subject"]
    assert row.confirmed_at
    assert row.confirm_due_at is None


def test_a_doubtful_refusal_is_not_final_and_a_database_that_does_not_answer_costs_no_attempt(settings, monkeypatch):
    factories.published()
    (user,) = factories.users(1)
    row = Withdrawal.objects.register(
        agreement=factories.agreement(), user=user, outcome="ended", received_on=date(2026, 1, 1)
    )
    clock = Later()

    def fails(channel: object, row: Withdrawal) -> bool:
        raise OperationalError("the database is away")

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(withdrawal_replies, "_mail", fails)
        with pytest.raises(OperationalError):
            withdrawal_replies.send_due(clock=clock)
    row.refresh_from_db()
    assert row.confirm_attempts == 0
    clock.at = row.confirm_due_at
    with smtp_server.server() as mailbox:
        mail_by(settings, "django.core.mail.backends.smtp.EmailBackend", host="127.0.0.1", port=mailbox.port)
        mailbox.replies[user.email] = "550 5.7.1 policy"
        withdrawal_replies.send_due(clock=clock)
    row.refresh_from_db()
    assert row.confirm_attempts == 1
    assert row.confirm_due_at > clock.at


@pytest.mark.parametrize("why", ["refused", "no address", "account deleted", "too often"])
def test_an_undeliverable_reply_is_given_up_and_delays_no_other(settings, why):
    factories.published()
    one, other = factories.users(2)
    rows = [
        Withdrawal.objects.register(
            agreement=factories.agreement(), user=user, outcome="ended", received_on=date(2026, 1, 1)
        )
        for user in (one, other)
    ]
    with smtp_server.server() as mailbox:
        mail_by(settings, "django.core.mail.backends.smtp.EmailBackend", host="127.0.0.1", port=mailbox.port)
        if why == "refused":
            mailbox.replies[one.email] = "550 5.1.1 nobody"
        elif why == "no address":
            type(one).objects.filter(pk=one.pk).update(email="")
        elif why == "account deleted":
            one.delete()
        else:
            mailbox.replies[one.email] = "451 4.3.0 later"
            Withdrawal.objects.filter(pk=rows[0].pk).update(confirm_attempts=15)
        withdrawal_replies.send_due()

    for row in rows:
        row.refresh_from_db()
        assert row.confirm_due_at is None
    assert [bool(row.confirmed_at) for row in rows] == [False, True]
    assert list(mailbox.by_address()) == [other.email]


def test_of_two_workers_one_sends_a_reply(monkeypatch):
    factories.published()
    for user in factories.users(2):
        Withdrawal.objects.register(
            agreement=factories.agreement(), user=user, outcome="ended", received_on=date(2026, 1, 1)
        )
    real = withdrawal_replies._mail

    def beside_another(channel, row):
        monkeypatch.setattr(withdrawal_replies, "_mail", real)
        withdrawal_replies.send_due()  # Another worker, which finds the same two due.
        return real(channel, row)

    monkeypatch.setattr(withdrawal_replies, "_mail", beside_another)
    withdrawal_replies.send_due()

    assert sorted(letter.to[0] for letter in mail.outbox) == ["user0@example.kz", "user1@example.kz"]


def test_no_reply_is_sent_while_sending_is_suspended(settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "SENDING_SUSPENDED": True}
    factories.published()
    (user,) = factories.users(1)
    Withdrawal.objects.register(
        agreement=factories.agreement(), user=user, outcome="ended", received_on=date(2026, 1, 1)
    )
    dispatch.work()
    assert mail.outbox == []


@pytest.mark.parametrize(
    "changed",
    [
        {"agreement": ""},
        {"applicant": ""},
        {"outcome": "refused"},
        {"outcome": "refused", "ground": "x", "effective_at_0": "2026-02-01", "effective_at_1": "09:00"},
        {"received_on": "2100-01-01"},
        {"received_on": "never"},
        {"effective_at_0": "2025-01-01", "effective_at_1": "09:00"},
    ],
)
def test_what_is_no_application_comes_back_and_nothing_is_entered(officer, changed):
    assert officer.post(at("withdrawal_add"), application(**changed)).status_code == 200
    assert not Withdrawal.objects.exists()


def test_the_field_for_a_scan_has_a_label_of_its_own(officer):
    assert '<label for="id_scan">' in officer.get(at("withdrawal_add")).content.decode()


@pytest.mark.parametrize(("language", "choose"), [("kk", "— таңдаңыз —"), ("ru", "— выберите —")])
def test_a_field_without_a_choice_asks_for_one_in_the_language_of_the_page(officer, language, choose):
    page = officer.get(at("withdrawal_add").replace("/ru/", f"/{language}/")).content.decode()
    # Django has no words for it before 6.1.
    assert f'<option value="" selected>{choose if django.VERSION >= (6, 1) else "-" * 9}</option>' in page


def test_a_scan_is_what_its_bytes_say_and_is_saved_and_not_shown(officer, settings, tmp_path):
    settings.AGREEMENT = {**settings.AGREEMENT, "PRIVATE_ROOT": str(tmp_path)}
    for content in (b"<html><script>alert(1)</script>", b"%PDF-" + bytes(10 * 1024 * 1024)):
        scan = SimpleUploadedFile("scan.pdf", content)
        assert officer.post(at("withdrawal_add"), application(scan=scan)).status_code == 200
    assert not Withdrawal.objects.exists()

    scan = SimpleUploadedFile("../../Ахметов.html", b"%PDF-1.7 x")
    assert officer.post(at("withdrawal_add"), application(scan=scan)).status_code == 302
    row = Withdrawal.objects.get()
    answer = officer.get(at("withdrawal_scan", row.pk))

    assert b"".join(answer.streaming_content) == b"%PDF-1.7 x"
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert AuditEntry.objects.filter(action="viewed", model="withdrawal", key=str(row.pk)).exists()


@pytest.mark.parametrize(("language", "words"), [("kk", "тоқтатылды"), ("ru", "прекращено")])
def test_the_reply_is_printed_in_either_language(officer, language, words):
    edition = factories.published()
    officer.post(at("withdrawal_add"), application())
    row = Withdrawal.objects.get()
    page = officer.get(at("withdrawal_reply", row.pk, language)).content.decode()
    for word in (words, row.reference, "12-к", "А. Ахметов", edition.text(language).title, "user0"):
        assert word in page
    assert f'<html lang="{language}">' in page
    assert officer.get(at("withdrawal_reply", row.pk, "en")).status_code == 404


def test_an_entry_is_shown_and_never_changed(officer):
    officer.post(at("withdrawal_add"), application())
    row = Withdrawal.objects.get()
    assert "А. Ахметов" in officer.get(at("withdrawal_change", row.pk)).content.decode()
    assert officer.get(at("withdrawal_changelist")).status_code == 200
    given = {"replied_on": timezone.now().date().isoformat()}
    assert officer.post(at("withdrawal_change", row.pk), application(applicant="x") | given).status_code == 302
    assert Withdrawal.objects.get().applicant == "А. Ахметов"
    assert officer.post(at("withdrawal_change", row.pk), application(applicant="x") | given).status_code == 403
    assert officer.post(at("withdrawal_delete", row.pk)).status_code == 403


def test_others_see_nothing_of_it():
    Withdrawal.objects.register(
        agreement=factories.agreement(), applicant="А", outcome="ended", received_on=date(2026, 1, 1)
    )
    publisher, row = factories.member("agreement publishers"), Withdrawal.objects.get()
    for page in ("withdrawal_changelist", "withdrawal_add", "consent_changelist", "legalhold_changelist"):
        assert publisher.get(at(page)).status_code == 403
    assert publisher.get(at("withdrawal_reply", row.pk, "kk")).status_code == 403
    assert publisher.get(at("withdrawal_scan", row.pk)).status_code == 403


def test_a_legal_hold_is_placed_once_and_only_its_end_changes(officer):
    (user,) = factories.users(1)
    now = {"held_from_0": "2026-01-01", "held_from_1": "09:00"}
    assert officer.post(at("legalhold_add"), {"ground": "Сот", **now}).status_code == 200
    assert officer.post(at("legalhold_add"), {**named(user), "ground": "Сот № 7", **now}).status_code == 302
    hold = LegalHold.objects.get()
    end = {"held_until_0": "2099-01-01", "held_until_1": "09:00", "ground": "x", "user": ""}
    assert officer.post(at("legalhold_change", hold.pk), end).status_code == 302
    hold.refresh_from_db()
    assert (hold.ground, hold.user, hold.by) == ("Сот № 7", user, "user0")
    assert hold.held_until
    assert hold.pseudonyms
    ended = "2099-01-01T04:00:00.000000Z"
    assert 'value="2099-01-01"' in officer.get(at("legalhold_change", hold.pk)).content.decode()
    officer.post(at("legalhold_change", hold.pk), {})
    assert [act.note for act in AuditEntry.objects.about(hold).filter(action="legal_hold")] == [
        f"held_until: {ended} → —",
        f"held_until: — → {ended}",
        "held_until: — → —",
    ]
    assert officer.post(at("legalhold_delete", hold.pk)).status_code == 403


def test_a_legal_hold_sent_twice_is_placed_once_and_another_one_beside_it(officer):
    (user,) = factories.users(1)
    hold = {**named(user), "ground": "Сот № 7", "held_from_0": "2026-01-01", "held_from_1": "09:00"}
    answers = [
        officer.post(at("legalhold_add"), hold | changed, follow=True) for changed in ({}, {}, {"ground": "Сот № 8"})
    ]
    refusal = (
        f"Такая запись уже есть, поэтому ничего не записано: запрет на уничтожение данных {LegalHold.objects.last()}."
    )
    assert [refusal in answer.content.decode() for answer in answers] == [False, True, False]
    assert list(LegalHold.objects.order_by("pk").values_list("ground", flat=True)) == ["Сот № 7", "Сот № 8"]
    assert AuditEntry.objects.filter(action="legal_hold").count() == 2


def test_a_legal_hold_is_placed_on_a_person_without_an_account(officer):
    factories.published()
    officer.post(at("withdrawal_add"), application())
    held = {"ground": "Сот № 7", "held_from_0": "2026-01-01", "held_from_1": "09:00"}
    for wrong in (
        {"application": "99"},
        {"account": "12345"},
        {"account": "x"},
        {"application": "12-к", "account": "1"},
    ):
        assert officer.post(at("legalhold_add"), held | wrong).status_code == 200
    assert not LegalHold.objects.exists()

    assert officer.post(at("legalhold_add"), held | {"application": "12-к"}).status_code == 302
    hold, row = LegalHold.objects.get(), Withdrawal.objects.get()
    assert hold.pseudonyms == [f"withdrawal:{row.pk}"]
    for page in (at("legalhold_change", hold.pk), at("legalhold_changelist")):
        assert f"withdrawal:{row.pk}" in officer.get(page).content.decode()


# The user's own pages


def test_without_filing_on_the_site_the_page_says_how_to_apply(settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "FILE_WITHDRAWALS": ""}
    edition = factories.published()
    (user,) = factories.users(1)
    client = signed_in(user)
    assert "письменное заявление" not in client.get(OWN).content.decode(), "there is nothing to withdraw"
    Acceptance.objects.record(user=user, edition=edition, digest=edition.digest, language="kk", kind="explicit")
    page = client.get(OWN)
    assert "письменное заявление" in page.content.decode().replace("\n", " ")
    assert page.headers["Cache-Control"] == "private, no-store"
    assert client.post(OWN, {"agreement": "terms", "confirm": "yes"}).status_code == 400
    assert not Withdrawal.objects.exists()
    assert Client().get(OWN).status_code == 302


def test_a_user_withdraws_on_the_site_once_and_accepts_again(settings, django_capture_on_commit_callbacks):
    settings.AGREEMENT = {**settings.AGREEMENT, "FILE_WITHDRAWALS": "suspended"}
    edition = factories.published()
    (user,) = factories.users(1)
    client = signed_in(user)
    Acceptance.objects.record(user=user, edition=edition, digest=edition.digest, language="kk", kind="explicit")
    assert client.post(OWN, {"agreement": "terms"}).status_code == 400
    assert client.post(OWN, {"agreement": "other", "confirm": "yes"}).status_code == 400

    with django_capture_on_commit_callbacks(execute=True):
        for _twice in range(2):
            assert client.post(OWN, {"agreement": "terms", "confirm": "yes"}).status_code == 302
    dispatch.work()
    row = Withdrawal.objects.get()
    page = client.get(OWN).content.decode()

    assert row.outcome == "suspended"
    assert len([letter for letter in mail.outbox if row.reference in letter.subject]) == 1
    for words in ("приостановлено", row.reference, "/ru/agreements/terms/accept/"):
        assert words in page
    answer = factories.fields(edition) | {"decision": "accept"}
    assert client.post("/ru/agreements/terms/accept/", answer).status_code == 302
    assert Acceptance.objects.latest("pk").round == 2


def test_a_user_who_may_not_accept_again_gets_no_link_to_accept():
    edition = factories.published()
    (user,) = factories.users(1)
    Withdrawal.objects.register(
        agreement=edition.agreement, user=user, outcome="ended", received_on=date(2026, 1, 1), may_accept_again=False
    )
    client = signed_in(user)
    assert "terms/accept/" not in client.get(OWN).content.decode()
    answer = factories.fields(edition) | {"decision": "accept"}
    assert client.post("/ru/agreements/terms/accept/", answer).headers["Location"] == OWN
    assert not Acceptance.objects.exists()


def test_a_form_of_another_site_withdraws_nothing(settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "FILE_WITHDRAWALS": "ended"}
    factories.published()
    (user,) = factories.users(1)
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    assert client.post(OWN, {"agreement": "terms", "confirm": "yes"}).status_code == 403
    assert not Withdrawal.objects.exists()


def test_a_user_exports_their_own_evidence_and_no_other():
    edition = factories.published()
    one, other = factories.users(2)
    for user in (one, other):
        Acceptance.objects.record(user=user, edition=edition, digest=edition.digest, language="kk", kind="explicit")
    answer = signed_in(one).get("/ru/agreements/record/evidence.zip")
    with zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content))) as archive:
        acceptances = archive.read("user/acceptances.csv").decode()
    rows = {user: Acceptance.objects.for_user_key(user.pk).get().pseudonym for user in (one, other)}
    assert rows[one] in acceptances
    assert rows[other] not in acceptances
    assert answer.headers["Cache-Control"] == "private, no-store"


def test_a_legal_hold_that_ends_before_it_begins_is_an_error_of_the_form(admin_client):
    row = LegalHold.objects.place(ground="Сот.", by="officer", user=factories.users(1)[0])
    ends = {"held_until_0": "2020-01-01", "held_until_1": "00:00"}
    response = admin_client.post(f"/ru/admin/agreement/legalhold/{row.pk}/change/", ends)
    assert response.status_code == 200
    assert "Запрет на уничтожение данных должен заканчиваться позже, чем начинается." in response.content.decode()
    row.refresh_from_db()
    assert row.held_until is None


@pytest.mark.parametrize("deleted", [True, False])
def test_what_there_is_of_a_person_is_found_by_name_or_key_also_of_a_deleted_one(admin_client, deleted):
    edition, (user, other) = factories.published(), factories.users(2)
    dispatch.work()
    found = []
    for each in (user, other):
        stated = {"received_on": date(2026, 1, 1), "outcome": "ended", "application_number": f"{each.username}-к"}
        Consent.objects.give(user=each, purpose="registration", language="kk", text="Келісемін.")
        found.append(Withdrawal.objects.register(agreement=edition.agreement, user=each, **stated))
    key, name = user.pk, user.username
    if deleted:
        user.delete()

    def keys(model: str, term: object) -> list[str]:
        page = admin_client.get(at(f"{model}_changelist"), {"q": term}).content.decode()
        return re.findall(rf'href="{at(f"{model}_changelist")}(\d+)/change/', page)

    for term in [key] if deleted else [key, name]:
        assert keys("withdrawal", term) == [str(found[0].pk)]
        assert keys("consent", term) == [str(Consent.objects.for_user_key(key).get().pk)]
        assert keys("delivery", term) == [str(Delivery.objects.for_user_key(key).get().pk)]
    for term in (found[0].application_number, found[0].reference):
        assert keys("withdrawal", term) == [str(found[0].pk)]
    assert keys("withdrawal", "nobody") == []
    assert admin_client.get(at("withdrawal_changelist"), {"q": "9" * 40}).status_code in {200, 400}
