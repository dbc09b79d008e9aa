"""Acceptances: what a row records, that there is one, and that only an edition in force is ever accepted."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.core import serializers
from django.db import IntegrityError, connection, transaction
from django.db.models import ProtectedError
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agreement import signals
from agreement.models import (
    Acceptance,
    AcceptanceKind,
    Breach,
    Delivery,
    Edition,
    Notice,
    StaleEditionError,
    Withdrawal,
    pseudonyms,
)
from agreement.models.acceptances import RequestDetails, RequiredAcceptance
from agreement.testing import open_seal
from tests.support import factories

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("english")]


DAY = timedelta(days=1)
KEYS = {"2026": "a secret of thirty-two characters", "2020": "another one of thirty-two characters"}


def accept(user, edition, **more) -> Acceptance:
    more = {"digest": edition.digest, "language": "kk", "kind": AcceptanceKind.EXPLICIT} | more
    return Acceptance.objects.record(user=user, edition=edition, **more)


def requirements(edition: Edition, *, by_use: bool = True) -> list[RequiredAcceptance]:
    return [
        RequiredAcceptance(
            agreement=edition.agreement_id,
            edition=edition.pk,
            digest=edition.digest,
            counting=(edition.pk,),
            by_use=by_use,
        )
    ]


def test_an_acceptance_records_edition_digest_language_and_instant():
    edition, (user,) = factories.published(), factories.users(1)
    before = timezone.now()

    row = accept(user, edition, language="ru")

    row.refresh_from_db()
    assert (row.edition, row.digest, row.language, row.kind) == (edition, edition.digest, "ru", AcceptanceKind.EXPLICIT)
    assert (row.user, row.round, row.displayed) == (user, 1, True)
    assert before <= row.at == row.recorded_at <= timezone.now()
    assert (row.ip, row.user_agent, row.notice_sent, row.reason, row.officer) == (None, "", None, "", "")


def test_accepting_twice_returns_the_first_row():
    edition, (user,) = factories.published(), factories.users(1)
    first = accept(user, edition)
    assert accept(user, edition, language="ru") == first
    assert Acceptance.objects.get().language == "kk"


def test_a_row_travels_through_a_dump():
    edition, (user,) = factories.published(), factories.users(1)
    row = accept(user, edition)
    dumped = serializers.serialize("json", [row])
    with open_seal():
        Acceptance.objects.all().delete()
    for found in serializers.deserialize("json", dumped):
        found.save()
    again = Acceptance.objects.get()
    assert (again.pk, again.at, again.pseudonym) == (row.pk, row.at, row.pseudonym)


@pytest.mark.parametrize("user", [AnonymousUser(), get_user_model()()])
def test_nothing_is_recorded_for_a_person_without_an_account(user):
    edition, (erased,) = factories.published(), factories.users(1)
    accept(erased, edition)
    erased.delete()

    with pytest.raises(ValueError, match="is not a stored account"):
        accept(user, edition)
    assert Acceptance.objects.count() == 1


def test_each_user_has_their_own_acceptance():
    edition, users = factories.published(), factories.users(3)
    assert len({accept(user, edition).pk for user in users}) == 3


@pytest.mark.parametrize("which", ["superseded", "scheduled", "cancelled", "draft", "forged"])
def test_only_the_edition_in_force_can_be_accepted(which):
    old, current = factories.published(), factories.published()
    scheduled = factories.published(effective_from=timezone.now() + DAY)
    cancelled = factories.published(effective_from=timezone.now() + 2 * DAY)
    cancelled.cancel()
    draft = factories.draft()
    editions = {"superseded": old, "scheduled": scheduled, "cancelled": cancelled, "draft": draft, "forged": current}
    (user,) = factories.users(1)

    with pytest.raises(StaleEditionError) as refused:
        accept(user, editions[which], **({"digest": old.digest} if which == "forged" else {}))

    assert refused.value.code == "stale_edition"
    assert not Acceptance.objects.exists()


def test_the_next_edition_can_be_accepted_in_advance_if_the_site_allows_it(settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "ACCEPT_ANNOUNCED": True}
    old, current = factories.published(), factories.published()
    following, last = (factories.published(effective_from=timezone.now() + days * DAY) for days in (1, 2))
    user, other = factories.users(2)

    assert accept(user, current).edition == current
    assert accept(user, following).edition == following
    for refused in (old, last):
        with pytest.raises(StaleEditionError):
            accept(other, refused)


def test_history_is_imported_at_its_own_instant():
    start = timezone.now() - 30 * DAY
    editions = [factories.draft() for _ in range(2)]
    for number, edition in enumerate(editions):
        edition.record(effective_from=start + 10 * number * DAY)
    (user,) = factories.users(1)

    row = accept(user, editions[0], kind=AcceptanceKind.IMPORTED, language="", at=start + DAY)

    assert (row.at, row.displayed) == (start + DAY, False)
    with pytest.raises(StaleEditionError):
        accept(user, editions[1], kind=AcceptanceKind.IMPORTED, at=start + DAY)


@pytest.mark.parametrize("kind", AcceptanceKind)
@pytest.mark.parametrize("days", [None, -1, 1])
def test_only_history_names_its_instant_and_never_a_future_one(kind, days):
    factories.draft().record(effective_from=timezone.now() - 30 * DAY)
    edition, (user,) = Edition.objects.get(), factories.users(1)
    at = days and timezone.now() + days * DAY
    more = {"reason": "paper form 17", "officer": "А. Оспанова"} if kind == AcceptanceKind.ON_BEHALF else {}
    if (days == -1) if kind == AcceptanceKind.IMPORTED else (days is None):
        assert accept(user, edition, kind=kind, at=at, **more).kind == kind
        return
    with pytest.raises(ValueError, match="imported history needs an instant in the past"):
        accept(user, edition, kind=kind, at=at, **more)
    assert not Acceptance.objects.exists()


def test_on_behalf_of_a_user_needs_a_reason_and_an_officer():
    edition, (user,) = factories.published(), factories.users(1)
    with pytest.raises(IntegrityError, match="agreement_acceptance_on_behalf"), transaction.atomic():
        accept(user, edition, kind=AcceptanceKind.ON_BEHALF, reason="paper form 17")
    row = accept(user, edition, kind=AcceptanceKind.ON_BEHALF, reason="paper form 17", officer="А. Оспанова")
    assert (row.reason, row.officer, row.displayed) == ("paper form 17", "А. Оспанова", False)


def test_an_explicit_acceptance_has_one_of_the_agreements_languages():
    edition, (user,) = factories.published(), factories.users(1)
    with pytest.raises(IntegrityError, match="agreement_acceptance_explicit_language"), transaction.atomic():
        accept(user, edition, language="en")


@pytest.mark.parametrize(
    ("outcome", "recorded", "notice_sent"),
    [("sent", True, True), ("waiting", False, False), ("failed", True, False), (None, False, False)],
)
def test_a_deemed_acceptance_claims_no_more_than_happened(outcome, recorded, notice_sent):
    edition, (user, other) = factories.published(), factories.users(2)
    notice = Notice.objects.get()
    outcome_at = timezone.now() if recorded else None
    rows = [(other, "sent", timezone.now())] + ([(user, outcome, outcome_at)] if outcome else [])
    for one, state, at in rows:
        Delivery.objects.create(
            notice=notice, user=one, channel="email", outcome=state, due_at=timezone.now(), outcome_at=at
        )

    not_accepted = Acceptance.objects.record_deemed(user=user, requirements=requirements(edition), language="en-gb")

    row = Acceptance.objects.get()
    assert not_accepted == {}
    assert (row.kind, row.language, row.displayed, row.notice_sent) == (
        AcceptanceKind.DEEMED,
        "en-gb",
        False,
        notice_sent,
    )


def test_the_letter_about_a_breach_is_no_notice_of_the_edition():
    edition, (user,) = factories.published(), factories.users(1)
    row = Breach.objects.create(agreement=edition.agreement, text_kk="Не болды.", text_ru="Что случилось.")
    at = timezone.now()
    Delivery.objects.create(notice=row.notify(), user=user, channel="email", outcome="sent", due_at=at, outcome_at=at)
    Acceptance.objects.record_deemed(user=user, requirements=requirements(edition), language="kk")
    assert Acceptance.objects.get().notice_sent is False


def test_a_deemed_acceptance_costs_one_query_and_one_insert_once():
    edition, (user,) = factories.published(), factories.users(1)
    with CaptureQueriesContext(connection) as first:
        Acceptance.objects.record_deemed(user=user, requirements=requirements(edition), language="kk")
    with CaptureQueriesContext(connection) as second:
        Acceptance.objects.record_deemed(user=user, requirements=requirements(edition), language="kk")

    def verbs(captured):
        words = [query["sql"].split()[0] for query in captured]
        return [word for word in words if word in {"SELECT", "INSERT", "UPDATE", "DELETE"}]

    assert verbs(first) == ["SELECT", "INSERT"]
    assert verbs(second) == ["SELECT"]


def test_an_acceptance_costs_four_queries_and_one_more_to_lock_on_sqlite():
    edition, (user,) = factories.published(), factories.users(1)
    with CaptureQueriesContext(connection) as captured:
        Acceptance.objects.record(user=user, edition=edition, digest=edition.digest, language="kk", kind="explicit")
    verbs = [query["sql"].split()[0] for query in captured if "SAVEPOINT" not in query["sql"]]
    lock = ["UPDATE"] if connection.vendor == "sqlite" else []
    assert verbs == [*lock, "SELECT", "SELECT", "INSERT", "SELECT"]


def test_use_records_nothing_where_acceptance_is_by_confirmation():
    edition, (user,) = factories.published(), factories.users(1)
    not_accepted = Acceptance.objects.record_deemed(
        user=user, requirements=requirements(edition, by_use=False), language="kk"
    )
    assert not_accepted == {edition.agreement_id: False}
    assert not Acceptance.objects.exists()


def test_use_records_nothing_for_an_edition_no_longer_in_force():
    edition, (user,) = factories.published(), factories.users(1)
    known = requirements(edition)
    factories.published()
    assert Acceptance.objects.record_deemed(user=user, requirements=known, language="kk") == {
        edition.agreement_id: False
    }
    assert not Acceptance.objects.exists()


def test_the_evidence_outlives_the_account(settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "PSEUDONYM_KEYS": KEYS}
    edition, (user, other) = factories.published(), factories.users(2)
    row, key = accept(user, edition), user.pk
    accept(other, edition)

    user.delete()

    row.refresh_from_db()
    assert row.user is None
    assert row.pseudonym == pseudonyms.primary(key).digest
    assert list(Acceptance.objects.for_user_key(key)) == [row]


def test_the_row_of_a_deleted_account_gets_no_other_user_and_keeps_the_moment():
    edition, (user, other) = factories.published(), factories.users(2)
    row = accept(user, edition)
    user.delete()
    row.refresh_from_db()

    earlier = row.account_deleted_at - timedelta(days=365)
    for wrong in ({"user": other}, {"account_deleted_at": None}, {"account_deleted_at": earlier}):
        with pytest.raises(IntegrityError, match="agreement_acceptance is sealed"), transaction.atomic():
            Acceptance.objects.filter(pk=row.pk).update(**wrong)


def test_new_rows_use_the_first_key_and_rows_are_found_under_every_key(settings):
    edition, (user,) = factories.published(), factories.users(1)
    settings.AGREEMENT = {**settings.AGREEMENT, "PSEUDONYM_KEYS": {"2020": KEYS["2020"]}}
    row, key = accept(user, edition), user.pk
    user.delete()

    settings.AGREEMENT = {**settings.AGREEMENT, "PSEUDONYM_KEYS": KEYS}
    assert row.pseudonym_key == "2020"
    assert pseudonyms.primary(key).key == "2026"
    assert list(Acceptance.objects.for_user_key(key)) == [row]

    settings.AGREEMENT = {**settings.AGREEMENT, "PSEUDONYM_KEYS": {"2026": KEYS["2026"]}}
    assert list(Acceptance.objects.for_user_key(key)) == [], "without its key nobody finds it"


def test_an_accepted_edition_is_never_deleted():
    edition, (user,) = factories.published(), factories.users(1)
    accept(user, edition)
    with pytest.raises((ProtectedError, IntegrityError)), transaction.atomic():
        edition.delete()


def test_personal_columns_are_emptied_together_and_once():
    edition, (user,) = factories.published(), factories.users(1)
    row = accept(user, edition, request_details=RequestDetails(ip="2001:db8::7", user_agent="Mozilla/5.0"))
    empty = {"ip": None, "user_agent": "", "pseudonym": "", "pseudonym_key": ""}

    for wrong in ({"ip": None}, {"user_agent": ""}, {"erased_at": timezone.now()}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Acceptance.objects.filter(pk=row.pk).update(**wrong)
    Acceptance.objects.filter(pk=row.pk).update(**empty, erased_at=timezone.now())

    row.refresh_from_db()
    assert (row.ip, row.user_agent, row.pseudonym, row.digest) == (None, "", "", edition.digest)
    with pytest.raises(IntegrityError), transaction.atomic():
        Acceptance.objects.filter(pk=row.pk).update(erased_at=None)


@pytest.mark.django_db(transaction=True)
def test_the_signal_is_sent_once_the_acceptance_is_committed():
    heard = []

    def listen(acceptance, **_more):
        heard.append(acceptance)

    signals.acceptance_recorded.connect(listen)
    try:
        edition, (user,) = factories.published(), factories.users(1)
        with transaction.atomic():
            row = accept(user, edition)
            assert heard == []
        accept(user, edition)
    finally:
        signals.acceptance_recorded.disconnect(listen)
    assert heard == [row]


@pytest.mark.django_db(transaction=True)
def test_publishing_waits_for_an_acceptance_in_progress():
    """No edition is published while an acceptance is recorded: it could name an edition that no longer binds."""
    edition, (user,) = factories.published(), factories.users(1)
    draft = factories.draft()
    published = threading.Event()

    def publish():
        draft.publish()
        published.set()
        connection.close()

    with transaction.atomic():
        row = accept(user, edition)
        publisher = threading.Thread(target=publish)
        publisher.start()
        assert not published.wait(0.3), "published while an acceptance was being recorded"
    publisher.join()

    draft.refresh_from_db()
    assert row.at < draft.effective_from


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgresql
def test_acceptances_do_not_wait_for_each_other():
    edition, (user, other) = factories.published(), factories.users(2)
    done = threading.Event()

    def join_too():
        accept(other, edition)
        done.set()
        connection.close()

    with transaction.atomic():
        accept(user, edition)
        thread = threading.Thread(target=join_too)
        thread.start()
        assert done.wait(5)
    thread.join()


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgresql
def test_a_second_click_waits_for_the_first_and_gets_its_row():
    """Two tabs, two processes: neither sees the other's row before it is committed."""
    edition, (user,) = factories.published(), factories.users(1)
    rows = []

    def click_again():
        rows.append(accept(user, edition, language="ru"))
        connection.close()

    with transaction.atomic():
        first = accept(user, edition)
        thread = threading.Thread(target=click_again)
        thread.start()
        thread.join(0.3)
        assert rows == []
    thread.join(10)

    assert rows == [first]
    assert Acceptance.objects.get().language == "kk"


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgresql
def test_a_deemed_acceptance_that_waited_for_a_withdrawal_is_not_recorded():
    """It asked who is missing before the withdrawal was committed, and writes after it."""
    edition, (user,) = factories.published(), factories.users(1)
    not_accepted = {}

    def enter():
        not_accepted.update(
            Acceptance.objects.record_deemed(user=user, requirements=requirements(edition), language="kk")
        )
        connection.close()

    with transaction.atomic():
        Withdrawal.objects.register(
            agreement=edition.agreement, user=user, outcome="ended", received_on=timezone.localdate()
        )
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join(0.3)
        assert not_accepted == {}
    thread.join(10)

    assert not_accepted == {edition.agreement_id: False}
    assert not Acceptance.objects.exists()


def test_another_user_model_is_found_by_its_key():
    assert pseudonyms.candidates(get_user_model()(pk=7).pk) == pseudonyms.candidates("7")
