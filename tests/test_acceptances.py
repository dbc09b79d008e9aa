"""Joinings: what a row says, that there is one, and that nothing but what was in force is ever joined."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.core import serializers
from django.db import IntegrityError, connection, transaction
from django.db.models import ProtectedError
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation

from agreement import pseudonyms, signals
from agreement.models import Acceptance, Delivery, Edition, Notice, Stale, Withdrawal
from agreement.models.acceptances import Asked, Origin
from agreement.testing import open_seal
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _english():
    with translation.override("en"):
        yield


Kind = Acceptance.Kind
DAY = timedelta(days=1)
KEYS = {"2026": "a secret of thirty-two characters", "2020": "another one of thirty-two characters"}


def join(user, edition, **more) -> Acceptance:
    more = {"digest": edition.digest, "language": "kk", "kind": Kind.EXPLICIT} | more
    return Acceptance.objects.record(user=user, edition=edition, **more)


def asked(edition: Edition, *, by_entering: bool = True) -> list[Asked]:
    return [
        Asked(
            agreement=edition.agreement_id,
            edition=edition.pk,
            digest=edition.digest,
            holds=(edition.pk,),
            by_entering=by_entering,
        )
    ]


def test_a_joining_is_bound_to_edition_digest_language_and_instant():
    edition, (user,) = factories.published(), factories.users(1)
    before = timezone.now()

    row = join(user, edition, language="ru")

    row.refresh_from_db()
    assert (row.edition, row.digest, row.language, row.kind) == (edition, edition.digest, "ru", Kind.EXPLICIT)
    assert (row.user, row.round, row.displayed) == (user, 1, True)
    assert before <= row.at == row.recorded_at <= timezone.now()
    assert (row.ip, row.user_agent, row.notice_sent, row.reason, row.officer) == (None, "", None, "", "")


def test_joining_twice_gives_the_first_row():
    edition, (user,) = factories.published(), factories.users(1)
    first = join(user, edition)
    assert join(user, edition, language="ru") == first
    assert Acceptance.objects.get().language == "kk"


def test_a_row_travels_through_a_dump():
    edition, (user,) = factories.published(), factories.users(1)
    row = join(user, edition)
    dumped = serializers.serialize("json", [row])
    with open_seal():
        Acceptance.objects.all().delete()
    for found in serializers.deserialize("json", dumped):
        found.save()
    again = Acceptance.objects.get()
    assert (again.pk, again.at, again.pseudonym) == (row.pk, row.at, row.pseudonym)


def test_users_join_each_for_himself():
    edition, users = factories.published(), factories.users(3)
    assert len({join(user, edition).pk for user in users}) == 3


@pytest.mark.parametrize("which", ["superseded", "scheduled", "cancelled", "draft", "forged"])
def test_only_the_edition_in_force_is_joined(which):
    old, current = factories.published(), factories.published()
    scheduled = factories.published(effective_from=timezone.now() + DAY)
    cancelled = factories.published(effective_from=timezone.now() + 2 * DAY)
    cancelled.cancel()
    draft = factories.draft()
    editions = {"superseded": old, "scheduled": scheduled, "cancelled": cancelled, "draft": draft, "forged": current}
    (user,) = factories.users(1)

    with pytest.raises(Stale) as refused:
        join(user, editions[which], **({"digest": old.digest} if which == "forged" else {}))

    assert refused.value.code == "stale_edition"
    assert not Acceptance.objects.exists()


def test_the_next_edition_is_joined_beforehand_where_the_site_asks_so(settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "JOIN_BEFOREHAND": True}
    old, current = factories.published(), factories.published()
    following, last = (factories.published(effective_from=timezone.now() + days * DAY) for days in (1, 2))
    user, other = factories.users(2)

    assert join(user, current).edition == current
    assert join(user, following).edition == following
    for refused in (old, last):
        with pytest.raises(Stale):
            join(other, refused)


def test_history_is_imported_at_its_own_instant():
    start = timezone.now() - 30 * DAY
    editions = [factories.draft() for _ in range(2)]
    for number, edition in enumerate(editions):
        edition.record(effective_from=start + 10 * number * DAY)
    (user,) = factories.users(1)

    row = join(user, editions[0], kind=Kind.IMPORTED, language="", at=start + DAY)

    assert (row.at, row.displayed) == (start + DAY, False)
    with pytest.raises(Stale):
        join(user, editions[1], kind=Kind.IMPORTED, at=start + DAY)


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("days", [None, -1, 1])
def test_history_alone_names_its_instant_and_never_one_to_come(kind, days):
    factories.draft().record(effective_from=timezone.now() - 30 * DAY)
    edition, (user,) = Edition.objects.get(), factories.users(1)
    at = days and timezone.now() + days * DAY
    more = {"reason": "paper form 17", "officer": "А. Оспанова"} if kind == Kind.ON_BEHALF else {}
    if (days == -1) if kind == Kind.IMPORTED else (days is None):
        assert join(user, edition, kind=kind, at=at, **more).kind == kind
        return
    with pytest.raises(ValueError, match="history names its past instant"):
        join(user, edition, kind=kind, at=at, **more)
    assert not Acceptance.objects.exists()


def test_on_behalf_of_a_user_needs_a_reason_and_an_officer():
    edition, (user,) = factories.published(), factories.users(1)
    with pytest.raises(IntegrityError, match="agreement_acceptance_on_behalf"), transaction.atomic():
        join(user, edition, kind=Kind.ON_BEHALF, reason="paper form 17")
    row = join(user, edition, kind=Kind.ON_BEHALF, reason="paper form 17", officer="А. Оспанова")
    assert (row.reason, row.officer, row.displayed) == ("paper form 17", "А. Оспанова", False)


def test_a_confirmed_joining_names_one_of_the_agreements_languages():
    edition, (user,) = factories.published(), factories.users(1)
    with pytest.raises(IntegrityError, match="agreement_acceptance_shown_in"), transaction.atomic():
        join(user, edition, language="en")


@pytest.mark.parametrize(
    ("outcome", "settled", "said"),
    [("sent", True, True), ("waiting", False, False), ("failed", True, False), (None, False, False)],
)
def test_a_deemed_joining_claims_no_more_than_happened(outcome, settled, said):
    edition, (user, other) = factories.published(), factories.users(2)
    notice = Notice.objects.get()
    settled_at = timezone.now() if settled else None
    rows = [(other, "sent", timezone.now())] + ([(user, outcome, settled_at)] if outcome else [])
    for one, state, at in rows:
        Delivery.objects.create(
            notice=notice, user=one, channel="email", outcome=state, due_at=timezone.now(), settled_at=at
        )

    left = Acceptance.objects.deem(user=user, asked=asked(edition), language="en-gb")

    row = Acceptance.objects.get()
    assert left == {}
    assert (row.kind, row.language, row.displayed, row.notice_sent) == (Kind.DEEMED, "en-gb", False, said)


def test_entering_costs_one_query_and_one_insert_once():
    edition, (user,) = factories.published(), factories.users(1)
    with CaptureQueriesContext(connection) as first:
        Acceptance.objects.deem(user=user, asked=asked(edition), language="kk")
    with CaptureQueriesContext(connection) as second:
        Acceptance.objects.deem(user=user, asked=asked(edition), language="kk")

    def verbs(captured):
        words = [query["sql"].split()[0] for query in captured]
        return [word for word in words if word in {"SELECT", "INSERT", "UPDATE", "DELETE"}]

    assert verbs(first) == ["SELECT", "INSERT"]
    assert verbs(second) == ["SELECT"]


def test_what_is_joined_by_confirming_is_not_recorded_by_entering():
    edition, (user,) = factories.published(), factories.users(1)
    left = Acceptance.objects.deem(user=user, asked=asked(edition, by_entering=False), language="kk")
    assert left == {edition.agreement_id: False}
    assert not Acceptance.objects.exists()


def test_deeming_an_edition_that_is_no_longer_in_force_records_nothing():
    edition, (user,) = factories.published(), factories.users(1)
    known = asked(edition)
    factories.published()
    assert Acceptance.objects.deem(user=user, asked=known, language="kk") == {edition.agreement_id: False}
    assert not Acceptance.objects.exists()


def test_the_evidence_outlives_the_account(settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "PSEUDONYM_KEYS": KEYS}
    edition, (user, other) = factories.published(), factories.users(2)
    row, key = join(user, edition), user.pk
    join(other, edition)

    user.delete()

    row.refresh_from_db()
    assert row.user is None
    assert row.pseudonym == pseudonyms.write(key).digest
    assert list(Acceptance.objects.of(key)) == [row]


def test_the_first_key_writes_and_all_of_them_read(settings):
    edition, (user,) = factories.published(), factories.users(1)
    settings.AGREEMENT = {**settings.AGREEMENT, "PSEUDONYM_KEYS": {"2020": KEYS["2020"]}}
    row, key = join(user, edition), user.pk
    user.delete()

    settings.AGREEMENT = {**settings.AGREEMENT, "PSEUDONYM_KEYS": KEYS}
    assert row.pseudonym_key == "2020"
    assert pseudonyms.write(key).key == "2026"
    assert list(Acceptance.objects.of(key)) == [row]

    settings.AGREEMENT = {**settings.AGREEMENT, "PSEUDONYM_KEYS": {"2026": KEYS["2026"]}}
    assert list(Acceptance.objects.of(key)) == [], "without its key nobody finds it"


def test_an_edition_somebody_joined_is_never_deleted():
    edition, (user,) = factories.published(), factories.users(1)
    join(user, edition)
    with pytest.raises((ProtectedError, IntegrityError)), transaction.atomic():
        edition.delete()


def test_personal_columns_are_emptied_together_and_once():
    edition, (user,) = factories.published(), factories.users(1)
    row = join(user, edition, origin=Origin(ip="2001:db8::7", user_agent="Mozilla/5.0"))
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
def test_a_site_hears_of_a_joining_once_it_is_committed():
    heard = []

    def listen(acceptance, **_more):
        heard.append(acceptance)

    signals.acceptance_recorded.connect(listen)
    try:
        edition, (user,) = factories.published(), factories.users(1)
        with transaction.atomic():
            row = join(user, edition)
            assert heard == []
        join(user, edition)
    finally:
        signals.acceptance_recorded.disconnect(listen)
    assert heard == [row]


@pytest.mark.django_db(transaction=True)
def test_publishing_waits_for_a_joining_and_then_supersedes_it():
    """While a joining is recorded nobody publishes: else it could name an edition that no longer bound."""
    edition, (user,) = factories.published(), factories.users(1)
    draft = factories.draft()
    published = threading.Event()

    def publish():
        draft.publish()
        published.set()
        connection.close()

    with transaction.atomic():
        row = join(user, edition)
        publisher = threading.Thread(target=publish)
        publisher.start()
        assert not published.wait(0.3), "published while a joining was being recorded"
    publisher.join()

    draft.refresh_from_db()
    assert row.at < draft.effective_from


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgresql
def test_joinings_do_not_wait_for_each_other():
    edition, (user, other) = factories.published(), factories.users(2)
    done = threading.Event()

    def join_too():
        join(other, edition)
        done.set()
        connection.close()

    with transaction.atomic():
        join(user, edition)
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
        rows.append(join(user, edition, language="ru"))
        connection.close()

    with transaction.atomic():
        first = join(user, edition)
        thread = threading.Thread(target=click_again)
        thread.start()
        thread.join(0.3)
        assert rows == []
    thread.join(10)

    assert rows == [first]
    assert Acceptance.objects.get().language == "kk"


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgresql
def test_an_entry_that_waited_for_a_withdrawal_joins_nothing():
    """It asked who is missing before the withdrawal was committed, and writes after it."""
    edition, (user,) = factories.published(), factories.users(1)
    left = {}

    def enter():
        left.update(Acceptance.objects.deem(user=user, asked=asked(edition), language="kk"))
        connection.close()

    with transaction.atomic():
        Withdrawal.objects.register(
            agreement=edition.agreement, user=user, outcome="ended", received_on=timezone.localdate()
        )
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join(0.3)
        assert left == {}
    thread.join(10)

    assert left == {edition.agreement_id: False}
    assert not Acceptance.objects.exists()


def test_a_site_with_other_users_is_asked_by_their_key():
    assert pseudonyms.read(get_user_model()(pk=7).pk) == pseudonyms.read("7")
