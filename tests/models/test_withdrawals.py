"""Withdrawals: the register, what a withdrawal does to an acceptance, and that it adds a record and removes none."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.db import IntegrityError, connection, transaction
from django.db.models.signals import post_save
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agreement import signals
from agreement.editions import timeline
from agreement.models import (
    Acceptance,
    AcceptanceKind,
    Consent,
    Delivery,
    Edition,
    Withdrawal,
    WithdrawalOutcome,
    WithdrawnError,
    pseudonyms,
)
from agreement.models.acceptances import AcceptanceQuerySet
from agreement.models.agreements import AcceptanceMode
from agreement.models.membership import Membership
from agreement.models.succession import EditionDates
from agreement.notices import dispatch
from agreement.text import dates
from tests.support import factories

pytestmark = pytest.mark.django_db

ENDED, SUSPENDED, REFUSED = WithdrawalOutcome.ENDED, WithdrawalOutcome.SUSPENDED, WithdrawalOutcome.REFUSED
PAGE = {"accept": "text/html", "sec-fetch-mode": "navigate"}
HOME = "/kk/"


def register(user: Any = None, *, outcome: str = ENDED, **stated: Any) -> Withdrawal:
    stated.setdefault("received_on", date(2026, 1, 1))
    return Withdrawal.objects.register(agreement=factories.agreement(), user=user, outcome=outcome, **stated)


def accept(user: Any, edition: Any, **stated: Any) -> Acceptance:
    stated.setdefault("kind", AcceptanceKind.EXPLICIT)
    return Acceptance.objects.record(user=user, edition=edition, digest=edition.digest, language="kk", **stated)


def use_site(user: Any) -> Client:
    """A browser in which that user opens the front page."""
    client = Client(headers=PAGE)
    client.force_login(user)
    return client


# The register


def test_a_withdrawal_gets_the_next_number_of_the_year():
    factories.published()
    (user,) = factories.users(1)
    year = timezone.now().year
    numbers = [register(user, outcome=SUSPENDED).reference, register(applicant="А. Ахметов").reference]
    assert numbers == [f"terms/{year}/1", f"terms/{year}/2"]


def test_the_number_is_of_the_agreements_own_year(settings):
    agreement = factories.agreement()
    agreement.time_zone = "Pacific/Kiritimati"
    agreement.save()
    row = register(applicant="А. Ахметов")
    assert row.year == row.registered_at.astimezone(__import__("zoneinfo").ZoneInfo("Pacific/Kiritimati")).year


@pytest.mark.parametrize(
    ("stated", "field"),
    [
        ({"applicant": ""}, "applicant"),
        ({"applicant": "А", "outcome": REFUSED}, "ground"),
        ({"applicant": "А", "received_on": date(2100, 1, 1)}, "received_on"),
        ({"applicant": "А", "effective_at": datetime(2025, 12, 31).astimezone()}, "effective_at"),
        ({"applicant": "А", "scan": ContentFile(b"%PDF-", "scan.pdf")}, "scan"),
    ],
)
def test_an_invalid_entry_is_refused_by_field_and_nothing_is_written(stated, field):
    with pytest.raises(ValidationError) as caught:
        register(**stated)
    assert list(caught.value.message_dict) == [field]
    assert not Withdrawal.objects.exists()


def test_a_refusal_states_its_ground_and_does_nothing(django_capture_on_commit_callbacks):
    edition = factories.published()
    (user,) = factories.users(1)
    accept(user, edition)
    Consent.objects.give(user=user, purpose="registration", language="kk", text="Келісемін.")
    heard = []
    signals.consent_withdrawn.connect(lambda **about: heard.append(about), weak=False, dispatch_uid="refusal")

    with django_capture_on_commit_callbacks(execute=True):
        row = register(user, outcome=REFUSED, ground="Борыш өтелмеген.")

    signals.consent_withdrawn.disconnect(dispatch_uid="refusal")
    assert row.effective_at is None
    assert heard == []
    assert Consent.objects.for_user_key(user.pk).given().count() == 1
    assert Acceptance.objects.withdrawal_in_effect(user_key=user.pk, agreement=row.agreement_id) is None


def test_consent_is_a_record_of_its_own_and_a_withdrawal_ends_it(django_capture_on_commit_callbacks):
    factories.published()
    (user,) = factories.users(1)
    given = Consent.objects.give(user=user, purpose="registration", language="ru", text="Келісемін.")
    again = Consent.objects.give(user=user, purpose="registration", language="kk", text="Келісемін.")
    heard = []
    signals.consent_withdrawn.connect(lambda withdrawal, **_: heard.append(withdrawal), weak=False, dispatch_uid="x")

    with django_capture_on_commit_callbacks(execute=True):
        row = register(user)
    later = Consent.objects.give(user=user, purpose="registration", language="kk", text="Келісемін.")

    signals.consent_withdrawn.disconnect(dispatch_uid="x")
    assert given == again
    assert heard == [row]
    given.refresh_from_db()
    assert given.withdrawn_at >= row.registered_at
    assert later.pk != given.pk


def test_a_scan_is_stored_where_no_address_leads(settings, tmp_path):
    settings.AGREEMENT = {**settings.AGREEMENT, "PRIVATE_ROOT": str(tmp_path / "scans")}
    row = register(applicant="А. Ахметов", scan=ContentFile(b"%PDF-", "Ахметов өтініші.PDF"))
    (file,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert file.suffix == ".pdf"
    assert "Ахметов" not in str(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    with pytest.raises(ValueError, match="no URL"):
        _ = row.scan.url


def test_the_scan_of_a_registration_that_fails_is_deleted(settings, tmp_path):
    settings.AGREEMENT = {**settings.AGREEMENT, "PRIVATE_ROOT": str(tmp_path)}
    (tmp_path / "mine.pdf").write_bytes(b"%PDF-")

    def fail(**_sent: object) -> None:
        raise RuntimeError([str(path) for path in tmp_path.rglob("*.pdf")])

    post_save.connect(fail, sender=Withdrawal)
    try:
        with pytest.raises(RuntimeError, match="withdrawals/"):
            register(applicant="А. Ахметов", scan=ContentFile(b"%PDF-", "mine.pdf"))
    finally:
        post_save.disconnect(fail, sender=Withdrawal)
    with pytest.raises(ValidationError):
        register(applicant="", scan=ContentFile(b"%PDF-", "mine.pdf"))

    assert [path.name for path in tmp_path.rglob("*.pdf")] == ["mine.pdf"]


@pytest.mark.parametrize(
    "change",
    [
        {"outcome": "suspended"},
        {"effective_at": timezone.now()},
        {"ground": "x"},
        {"registered_by": "x"},
        {"applicant": ""},
        {"applicant": "other"},
        {"pseudonym": ""},
        {"number": None},
    ],
)
def test_an_entry_is_never_rewritten(change):
    row = register(applicant="А. Ахметов")
    if "number" in change:
        change = {"serial": 7}
    with pytest.raises(IntegrityError, match="agreement_withdrawal is sealed"), transaction.atomic():
        changed = Withdrawal.objects.filter(pk=row.pk)
        if change == {"pseudonym": ""}:
            changed.delete()
        changed.update(**change)


# What it does


def test_accepting_withdrawing_and_accepting_again_are_three_records():
    edition = factories.published()
    (user,) = factories.users(1)
    first = accept(user, edition)
    withdrawal = register(user)
    assert Acceptance.objects.withdrawal_in_effect(user_key=user.pk, agreement=edition.agreement_id) == withdrawal
    second = accept(user, edition)

    assert Acceptance.objects.withdrawal_in_effect(user_key=user.pk, agreement=edition.agreement_id) is None
    assert second.pk != first.pk
    assert [row.round for row in Acceptance.objects.for_user_key(user.pk)] == [1, 2]
    assert withdrawal.edition == edition
    assert accept(user, edition) == second
    register(user)
    assert accept(user, edition).round == 3


def test_a_withdrawal_with_a_future_moment_takes_effect_then():
    edition = factories.published()
    (user,) = factories.users(1)
    accept(user, edition)
    moment = timezone.now() + timedelta(days=1)
    row = register(user, effective_at=moment)
    in_effect = Acceptance.objects.withdrawal_in_effect
    assert in_effect(user_key=user.pk, agreement=edition.agreement_id) is None
    assert in_effect(user_key=user.pk, agreement=edition.agreement_id, at=moment) == row


def test_a_withdrawal_with_an_earlier_moment_names_no_edition_that_was_accepted_only_after_it():
    first, (user, other) = factories.published(), factories.users(2)
    accept(user, first)
    register(user, effective_at=timezone.now())
    second = factories.published()
    between = timezone.now()
    accept(user, second)
    accept(other, second)

    assert register(user, effective_at=between).edition == first
    assert register(other, effective_at=between).edition is None


def test_an_empty_number_names_no_application():
    factories.published()
    row = register(applicant="А. Ахметов")
    assert row.application_number == ""
    assert not Withdrawal.objects.numbered("").exists()


def test_use_of_the_site_is_no_acceptance_after_a_withdrawal():
    edition = factories.published()
    (user,) = factories.users(1)
    client = use_site(user)
    assert client.get(HOME).status_code == 200
    row = register(user)
    Acceptance.objects.get()

    answer = client.get(HOME)

    assert (answer.status_code, answer.headers["Location"].partition("?")[0]) == (302, "/kk/agreements/withdraw/")
    day = dates.day(row.effective_at, "kk", "Asia/Almaty", "on")
    page = client.get(answer.headers["Location"]).content.decode()
    assert f"{day} тоқтатылды" in page
    assert row.reference in page
    assert Acceptance.objects.count() == 1
    accept(user, edition)
    assert client.get(HOME).status_code == 200
    factories.published()
    assert client.get(HOME).status_code == 200  # Accepted by using the site.
    assert [row.round for row in Acceptance.objects.for_user_key(user.pk)] == [1, 2, 2]


def test_a_withdrawal_during_a_deemed_acceptance_is_not_followed_by_it(monkeypatch):
    """The withdrawal is committed after the question who is missing was asked, and before the row is written."""
    edition = factories.published()
    (user,) = factories.users(1)
    written = AcceptanceQuerySet._insert_new

    def too_late(self, alias, new):
        register(user)
        return written(self, alias, replace(new, at=timezone.now()))

    monkeypatch.setattr(AcceptanceQuerySet, "_insert_new", too_late)
    assert use_site(user).get(HOME).status_code == 200
    assert not Acceptance.objects.exists()
    monkeypatch.undo()
    assert use_site(user).get(HOME).status_code == 302
    assert Acceptance.objects.withdrawal_in_effect(user_key=user.pk, agreement=edition.agreement_id)


@pytest.mark.parametrize("acceptance_mode", [AcceptanceMode.BY_USE, AcceptanceMode.BY_CONFIRMATION])
def test_a_program_of_a_user_who_withdrew_is_answered_so(acceptance_mode):
    edition = factories.published()
    (user,) = factories.users(1)
    type(edition.agreement).objects.update(acceptance_mode=acceptance_mode)
    accept(user, edition)
    register(user, outcome=SUSPENDED)
    client = use_site(user)

    for answer in (
        client.get(HOME, headers={"accept": "application/json", "sec-fetch-mode": "cors"}),
        client.post(HOME),
    ):
        assert answer.status_code == 403
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["type"] == "urn:agreement:withdrawn"


def test_only_an_officer_records_the_acceptance_of_a_user_who_may_not_accept_again():
    edition = factories.published()
    (user,) = factories.users(1)
    accept(user, edition)
    row = register(user, may_accept_again=False)
    with pytest.raises(WithdrawnError, match=row.reference):
        accept(user, edition)
    accepted = accept(user, edition, kind=AcceptanceKind.ON_BEHALF, reason="Өтініш № 5", officer="А. Серікова")
    assert accepted.round == 2
    assert use_site(user).get(HOME).status_code == 200


def test_of_several_withdrawals_since_the_last_acceptance_the_strictest_counts():
    edition = factories.published()
    (user,) = factories.users(1)

    def in_effect() -> Withdrawal | None:
        return Acceptance.objects.withdrawal_in_effect(user_key=user.pk, agreement=edition.agreement_id)

    suspended, ended = register(user, outcome=SUSPENDED), register(user)
    register(user, outcome=SUSPENDED)
    assert in_effect() == ended
    shut = register(user, outcome=SUSPENDED, may_accept_again=False)
    register(user)
    assert in_effect() == shut
    with pytest.raises(WithdrawnError, match=shut.reference):
        accept(user, edition)

    accept(user, edition, kind=AcceptanceKind.ON_BEHALF, reason="Өтініш № 5", officer="А. Серікова")
    assert in_effect() is None
    backdated = register(user, outcome=SUSPENDED, effective_at=suspended.effective_at)
    assert in_effect() == backdated, "what came before the acceptance is over"
    assert accept(user, edition).round == 7


@pytest.mark.parametrize("may_accept_again", [True, False])
def test_neither_use_nor_history_ends_a_withdrawal(may_accept_again):
    factories.draft().record(effective_from=timezone.now() - timedelta(days=9))
    edition, (user,) = Edition.objects.get(), factories.users(1)
    withdrawal = register(user, may_accept_again=may_accept_again, effective_at=timezone.now() - timedelta(days=1))
    with pytest.raises(WithdrawnError, match=withdrawal.reference):
        accept(user, edition, kind=AcceptanceKind.DEEMED)
    before, after = (timezone.now() - timedelta(days=days) for days in (2, 0.5))
    assert accept(user, edition, kind=AcceptanceKind.IMPORTED, at=before).round == 1
    if may_accept_again:
        assert accept(user, edition, kind=AcceptanceKind.IMPORTED, at=after).round == 2
        return
    with pytest.raises(WithdrawnError, match=withdrawal.reference):
        accept(user, edition, kind=AcceptanceKind.IMPORTED, at=after)
    assert Acceptance.objects.withdrawal_in_effect(user_key=user.pk, agreement=edition.agreement_id) == withdrawal


@pytest.mark.parametrize("seed", range(6))
def test_rounds_moments_and_the_report_agree_on_who_has_withdrawn(seed):
    """Whatever is accepted, imported, withdrawn and registered late, in whatever order."""
    chance, (user,) = random.Random(seed), factories.users(1)  # noqa: S311 - the seed repeats the test
    factories.draft().record(effective_from=timezone.now() - timedelta(days=30))
    first = edition = Edition.objects.get()

    def earlier() -> datetime:
        return timezone.now() - timedelta(days=29 * chance.random())

    for _step in range(12):
        with suppress(WithdrawnError):
            match chance.choice(["publish", "accept", "import", "withdraw", "withdraw late"]):
                case "publish":
                    edition = factories.published(material=chance.random() < 0.5)
                case "accept":
                    accept(user, edition)
                case "import":
                    accept(user, first, kind=AcceptanceKind.IMPORTED, at=earlier())
                case "withdraw":
                    register(user, may_accept_again=chance.random() < 0.8)
                case "withdraw late":
                    register(user, outcome=SUSPENDED, effective_at=earlier())

    withdrawals = list(Withdrawal.objects.in_effect().filter(user=user))
    accepted = Acceptance.objects.with_current(user.pk)
    current = {row.pk for row in accepted if row.current}
    membership = Membership(acceptances=list(accepted), withdrawals=withdrawals)
    assert {row.pk for row in accepted if membership.withdrawal_of(row) is None} == current
    if withdrawals:
        in_effect = Acceptance.objects.withdrawal_in_effect(user_key=user.pk, agreement=edition.agreement_id)
        assert (in_effect is None) == bool(current)
    terms = timeline.current_timelines().agreements["terms"]
    holds = [one.pk for one in terms.counting_editions(EditionDates.from_edition(edition))]
    missing = Acceptance.objects.users_without(get_user_model()._default_manager.filter(pk=user.pk), holds).exists()
    assert missing != accepted.filter(pk__in=current, edition__in=holds).exists()


def test_a_withdrawal_in_another_process_is_known_within_a_second(monkeypatch, transactional_db):
    """In the query of the second, and no other; without ``memory.drop`` the user stays in for ever."""
    from agreement.acceptance import known
    from agreement.editions import timeline

    edition = factories.published()
    (user,) = factories.users(1)
    client = use_site(user)
    known.clear()
    timeline.clear()
    assert client.get(HOME).status_code == 200
    with CaptureQueriesContext(connection) as captured:
        assert client.get(HOME).status_code == 200
    assert [query for query in captured if "agreement_acceptance" in query["sql"]] == []
    register(user)  # Nothing informs this process.
    monkeypatch.setattr(known, "_current", None)  # As if the second were over.
    monkeypatch.setattr(timeline, "_read_at", float("-inf"))
    assert client.get(HOME).status_code == 302
    assert edition.acceptances.count() == 1


# Accounts


def test_the_rows_of_a_deleted_account_stay_under_its_pseudonym():
    edition = factories.published()
    (user,) = factories.users(1)
    key = user.pk
    accept(user, edition)
    Consent.objects.give(user=user, purpose="registration", language="kk", text="Келісемін.")
    register(user)
    before = timezone.now()

    user.delete()

    for rows in (
        Acceptance.objects.for_user_key(key),
        Consent.objects.for_user_key(key),
        Withdrawal.objects.for_user_key(key),
    ):
        (row,) = rows
        assert row.user_id is None
        assert row.pseudonym
        assert before <= row.account_deleted_at <= timezone.now()


def test_accounts_deleted_together_need_two_updates_for_each_table(django_user_model):
    edition = factories.published()
    for user in factories.users(20):
        accept(user, edition)
    with CaptureQueriesContext(connection) as captured:
        django_user_model.objects.all().delete()
    assert len([query for query in captured if query["sql"].startswith('UPDATE "agreement_acceptance"')]) == 2
    assert Acceptance.objects.filter(account_deleted_at__isnull=False, user=None).count() == 20


def test_deliveries_of_accounts_deleted_together_stay_each_under_its_own_pseudonym(django_user_model, monkeypatch):
    monkeypatch.setattr("agreement.models.fields.ACCOUNTS_PER_STATEMENT", 7)
    edition = factories.published()
    keys = [user.pk for user in factories.users(20)]
    dispatch.work()
    with CaptureQueriesContext(connection) as captured:
        django_user_model.objects.all().delete()
    # Two columns for each seven of twenty accounts, and for all of them the moment and the link.
    assert len([query for query in captured if query["sql"].startswith('UPDATE "agreement_delivery"')]) == 2 * 3 + 2
    for key in keys:
        (row,) = Delivery.objects.for_user_key(key)
        assert (row.user_id, row.outcome, row.pseudonym) == (None, "sent", pseudonyms.primary(key).digest)
    assert len(set(Delivery.objects.values_list("pseudonym", flat=True))) == 20
    assert edition.notices.get().deliveries.count() == 20


def test_without_its_key_no_deleted_account_is_found(settings):
    edition = factories.published()
    (user,) = factories.users(1)
    key = user.pk
    accept(user, edition)
    user.delete()
    old = dict(settings.AGREEMENT["PSEUDONYM_KEYS"])

    settings.AGREEMENT = {**settings.AGREEMENT, "PSEUDONYM_KEYS": {"new": "n" * 64} | old}
    assert Acceptance.objects.for_user_key(key).count() == 1
    settings.AGREEMENT = {**settings.AGREEMENT, "PSEUDONYM_KEYS": {"new": "n" * 64}}
    assert Acceptance.objects.for_user_key(key).count() == 0
