"""Withdrawals: the register, what a withdrawal does to joining, and that it adds a record and removes none."""

from __future__ import annotations

import random
from contextlib import suppress
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agreement import dates, dispatch, gate, pseudonyms, signals
from agreement.lineage import Dated
from agreement.models import Acceptance, Consent, Delivery, Edition, Outside, Withdrawal
from agreement.models.acceptances import AcceptanceQuerySet
from agreement.models.agreements import Joining
from agreement.models.withdrawals import until
from tests import factories

pytestmark = pytest.mark.django_db

ENDED, SUSPENDED, REFUSED = Withdrawal.Outcome.ENDED, Withdrawal.Outcome.SUSPENDED, Withdrawal.Outcome.REFUSED
PAGE = {"accept": "text/html", "sec-fetch-mode": "navigate"}
HOME = "/kk/"


def register(user: Any = None, *, outcome: str = ENDED, **stated: Any) -> Withdrawal:
    stated.setdefault("received_on", date(2026, 1, 1))
    return Withdrawal.objects.register(agreement=factories.agreement(), user=user, outcome=outcome, **stated)


def join(user: Any, edition: Any, **stated: Any) -> Acceptance:
    stated.setdefault("kind", Acceptance.Kind.EXPLICIT)
    return Acceptance.objects.record(user=user, edition=edition, digest=edition.digest, language="kk", **stated)


def enter(user: Any) -> Client:
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
def test_what_is_no_entry_of_a_register_is_refused_by_field_and_nothing_written(stated, field):
    with pytest.raises(ValidationError) as caught:
        register(**stated)
    assert list(caught.value.message_dict) == [field]
    assert not Withdrawal.objects.exists()


def test_a_refusal_states_its_ground_and_does_nothing(django_capture_on_commit_callbacks):
    edition = factories.published()
    (user,) = factories.users(1)
    join(user, edition)
    Consent.objects.give(user=user, purpose="registration", language="kk", text="Келісемін.")
    heard = []
    signals.consent_withdrawn.connect(lambda **about: heard.append(about), weak=False, dispatch_uid="refusal")

    with django_capture_on_commit_callbacks(execute=True):
        row = register(user, outcome=REFUSED, ground="Борыш өтелмеген.")

    signals.consent_withdrawn.disconnect(dispatch_uid="refusal")
    assert row.effective_at is None
    assert heard == []
    assert Consent.objects.of(user.pk).given().count() == 1
    assert Acceptance.objects.departure(user_key=user.pk, agreement=row.agreement_id) is None


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


def test_a_scan_is_kept_where_no_address_leads(settings, tmp_path):
    settings.AGREEMENT = {**settings.AGREEMENT, "PRIVATE_ROOT": str(tmp_path / "scans")}
    row = register(applicant="А. Ахметов", scan=ContentFile(b"%PDF-", "Ахметов өтініші.PDF"))
    (file,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert file.suffix == ".pdf"
    assert "Ахметов" not in str(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    with pytest.raises(ValueError, match="no address"):
        _ = row.scan.url


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


def test_joining_withdrawing_and_joining_again_are_three_records():
    edition = factories.published()
    (user,) = factories.users(1)
    first = join(user, edition)
    left = register(user)
    assert Acceptance.objects.departure(user_key=user.pk, agreement=edition.agreement_id) == left
    second = join(user, edition)

    assert Acceptance.objects.departure(user_key=user.pk, agreement=edition.agreement_id) is None
    assert second.pk != first.pk
    assert [row.round for row in Acceptance.objects.of(user.pk)] == [1, 2]
    assert left.edition == edition
    assert join(user, edition) == second
    register(user)
    assert join(user, edition).round == 3


def test_a_withdrawal_of_a_moment_to_come_takes_effect_then():
    edition = factories.published()
    (user,) = factories.users(1)
    join(user, edition)
    moment = timezone.now() + timedelta(days=1)
    row = register(user, effective_at=moment)
    departure = Acceptance.objects.departure
    assert departure(user_key=user.pk, agreement=edition.agreement_id) is None
    assert departure(user_key=user.pk, agreement=edition.agreement_id, at=moment) == row


def test_entering_does_not_join_whoever_left_again():
    edition = factories.published()
    (user,) = factories.users(1)
    client = enter(user)
    assert client.get(HOME).status_code == 200
    row = register(user)
    Acceptance.objects.get()

    answer = client.get(HOME)

    assert (answer.status_code, answer.headers["Location"].partition("?")[0]) == (302, "/kk/agreements/withdraw/")
    at = dates.instant(row.effective_at, "kk", "Asia/Almaty")
    assert f"{row.reference}, {at}." in client.get(answer.headers["Location"]).content.decode()
    assert Acceptance.objects.count() == 1
    join(user, edition)
    assert client.get(HOME).status_code == 200
    factories.published()
    assert client.get(HOME).status_code == 200  # Joined by entering, as everybody.
    assert [row.round for row in Acceptance.objects.of(user.pk)] == [1, 2, 2]


def test_whoever_leaves_while_his_entry_is_recorded_is_not_joined_in_the_round_he_left(monkeypatch):
    """The withdrawal is committed after the question who is missing was asked, and before the row is written."""
    edition = factories.published()
    (user,) = factories.users(1)
    written = AcceptanceQuerySet._join

    def too_late(self, *args, **row):
        register(user)
        return written(self, *args, **row | {"at": timezone.now()})

    monkeypatch.setattr(AcceptanceQuerySet, "_join", too_late)
    assert enter(user).get(HOME).status_code == 200
    assert not Acceptance.objects.exists()
    monkeypatch.undo()
    assert enter(user).get(HOME).status_code == 302
    assert Acceptance.objects.departure(user_key=user.pk, agreement=edition.agreement_id)


@pytest.mark.parametrize("joining", [Joining.DEEMED, Joining.EXPLICIT])
def test_a_program_of_somebody_who_left_is_told_so(joining):
    edition = factories.published()
    (user,) = factories.users(1)
    type(edition.agreement).objects.update(joining=joining)
    join(user, edition)
    register(user, outcome=SUSPENDED)
    client = enter(user)

    for answer in (
        client.get(HOME, headers={"accept": "application/json", "sec-fetch-mode": "cors"}),
        client.post(HOME),
    ):
        assert answer.status_code == 403
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["type"] == "urn:agreement:left"


def test_whoever_may_not_join_again_is_let_in_by_an_officer_alone():
    edition = factories.published()
    (user,) = factories.users(1)
    join(user, edition)
    row = register(user, may_rejoin=False)
    with pytest.raises(Outside, match=row.reference):
        join(user, edition)
    joined = join(user, edition, kind=Acceptance.Kind.ON_BEHALF, reason="Өтініш № 5", officer="А. Серікова")
    assert joined.round == 2
    assert enter(user).get(HOME).status_code == 200


def test_of_several_withdrawals_since_the_last_joining_the_strictest_counts():
    edition = factories.published()
    (user,) = factories.users(1)

    def departure() -> Withdrawal | None:
        return Acceptance.objects.departure(user_key=user.pk, agreement=edition.agreement_id)

    suspended, ended = register(user, outcome=SUSPENDED), register(user)
    register(user, outcome=SUSPENDED)
    assert departure() == ended
    shut = register(user, outcome=SUSPENDED, may_rejoin=False)
    register(user)
    assert departure() == shut
    with pytest.raises(Outside, match=shut.reference):
        join(user, edition)

    join(user, edition, kind=Acceptance.Kind.ON_BEHALF, reason="Өтініш № 5", officer="А. Серікова")
    assert departure() is None
    backdated = register(user, outcome=SUSPENDED, effective_at=suspended.effective_at)
    assert departure() == backdated, "what came before the joining is over"
    assert join(user, edition).round == 7


@pytest.mark.parametrize("may_rejoin", [True, False])
def test_neither_entering_nor_history_lets_in_whoever_is_outside(may_rejoin):
    factories.draft().record(effective_from=timezone.now() - timedelta(days=9))
    edition, (user,) = Edition.objects.get(), factories.users(1)
    left = register(user, may_rejoin=may_rejoin, effective_at=timezone.now() - timedelta(days=1))
    with pytest.raises(Outside, match=left.reference):
        join(user, edition, kind=Acceptance.Kind.DEEMED)
    before, after = (timezone.now() - timedelta(days=days) for days in (2, 0.5))
    assert join(user, edition, kind=Acceptance.Kind.IMPORTED, at=before).round == 1
    if may_rejoin:
        assert join(user, edition, kind=Acceptance.Kind.IMPORTED, at=after).round == 2
        return
    with pytest.raises(Outside, match=left.reference):
        join(user, edition, kind=Acceptance.Kind.IMPORTED, at=after)
    assert Acceptance.objects.departure(user_key=user.pk, agreement=edition.agreement_id) == left


@pytest.mark.parametrize("seed", range(20))
def test_rounds_moments_and_the_report_agree_on_who_is_outside(seed):
    """Whatever is joined, imported, left and entered late, in whatever order."""
    chance, (user,) = random.Random(seed), factories.users(1)
    factories.draft().record(effective_from=timezone.now() - timedelta(days=30))
    first = edition = Edition.objects.get()

    def earlier() -> datetime:
        return timezone.now() - timedelta(days=29 * chance.random())

    for _step in range(12):
        with suppress(Outside):
            match chance.choice(["publish", "join", "import", "leave", "leave late"]):
                case "publish":
                    edition = factories.published(material=chance.random() < 0.5)
                case "join":
                    join(user, edition)
                case "import":
                    join(user, first, kind=Acceptance.Kind.IMPORTED, at=earlier())
                case "leave":
                    register(user, may_rejoin=chance.random() < 0.8)
                case "leave late":
                    register(user, outcome=SUSPENDED, effective_at=earlier())

    left = list(Withdrawal.objects.departures().filter(user=user))
    joined = Acceptance.objects.with_current(user.pk)
    current = {row.pk for row in joined if row.current}
    assert {row.pk for row in joined if until(row.at, row.recorded_at, left) is None} == current
    if left:
        departure = Acceptance.objects.departure(user_key=user.pk, agreement=edition.agreement_id)
        assert (departure is None) == bool(current)
    holds = [one.pk for one in gate.timelines().agreements["terms"].holding(Dated.of(edition))]
    missing = Acceptance.objects.missing(get_user_model()._default_manager.filter(pk=user.pk), holds).exists()
    assert missing != joined.filter(pk__in=current, edition__in=holds).exists()


def test_a_withdrawal_in_another_process_is_known_within_a_second(monkeypatch, transactional_db):
    """In the query of the second, and no other; without ``memory.drop`` the user stays in for ever."""
    from agreement import gate, standing

    edition = factories.published()
    (user,) = factories.users(1)
    client = enter(user)
    standing.forget()
    gate.forget()
    assert client.get(HOME).status_code == 200
    with CaptureQueriesContext(connection) as captured:
        assert client.get(HOME).status_code == 200
    assert [query for query in captured if "agreement_acceptance" in query["sql"]] == []
    register(user)  # Nothing in this process is told of it.
    monkeypatch.setattr(standing, "_current", None)  # As if the second were over.
    monkeypatch.setattr(gate, "_read_at", float("-inf"))
    assert client.get(HOME).status_code == 302
    assert edition.acceptances.count() == 1


# Accounts


def test_a_deleted_account_leaves_everything_under_its_pseudonym():
    edition = factories.published()
    (user,) = factories.users(1)
    key = user.pk
    join(user, edition)
    Consent.objects.give(user=user, purpose="registration", language="kk", text="Келісемін.")
    register(user)
    before = timezone.now()

    user.delete()

    for rows in (Acceptance.objects.of(key), Consent.objects.of(key), Withdrawal.objects.of(key)):
        (row,) = rows
        assert row.user_id is None
        assert row.pseudonym
        assert before <= row.account_deleted_at <= timezone.now()


def test_accounts_deleted_together_leave_as_much_for_two_updates_a_table(django_user_model):
    edition = factories.published()
    for user in factories.users(20):
        join(user, edition)
    with CaptureQueriesContext(connection) as captured:
        django_user_model.objects.all().delete()
    assert len([query for query in captured if query["sql"].startswith('UPDATE "agreement_acceptance"')]) == 2
    assert Acceptance.objects.filter(account_deleted_at__isnull=False, user=None).count() == 20


def test_accounts_deleted_together_leave_their_deliveries_each_under_its_own_pseudonym(django_user_model, monkeypatch):
    monkeypatch.setattr("agreement.models.fields.TOGETHER", 7)
    edition = factories.published()
    keys = [user.pk for user in factories.users(20)]
    dispatch.work()
    with CaptureQueriesContext(connection) as captured:
        django_user_model.objects.all().delete()
    # Two columns for each seven of twenty accounts, and for all of them the moment and the link.
    assert len([query for query in captured if query["sql"].startswith('UPDATE "agreement_delivery"')]) == 2 * 3 + 2
    for key in keys:
        (row,) = Delivery.objects.of(key)
        assert (row.user_id, row.outcome, row.pseudonym) == (None, "sent", pseudonyms.write(key).digest)
    assert len(set(Delivery.objects.values_list("pseudonym", flat=True))) == 20
    assert edition.notices.get().deliveries.count() == 20


def test_without_its_key_nobody_is_found(settings):
    edition = factories.published()
    (user,) = factories.users(1)
    key = user.pk
    join(user, edition)
    user.delete()
    old = dict(settings.AGREEMENT["PSEUDONYM_KEYS"])

    settings.AGREEMENT = {**settings.AGREEMENT, "PSEUDONYM_KEYS": {"new": "n" * 64} | old}
    assert Acceptance.objects.of(key).count() == 1
    settings.AGREEMENT = {**settings.AGREEMENT, "PSEUDONYM_KEYS": {"new": "n" * 64}}
    assert Acceptance.objects.of(key).count() == 0
