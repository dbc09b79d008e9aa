"""Retention: nothing goes inside its term, nothing personal staying after it, and every count staying true."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from django.db import transaction
from django.utils import timezone

from agreement.models import (
    Acceptance,
    AcceptanceKind,
    AuditAction,
    AuditEntry,
    Consent,
    Delivery,
    Edition,
    LegalHold,
    Withdrawal,
    WithdrawalOutcome,
)
from agreement.models.acceptances import RequestDetails
from agreement.notices import audience, withdrawal_letters
from agreement.retention import ErasureCounts, erasure, terms
from tests.support import factories

pytestmark = pytest.mark.django_db

NOW = timezone.now
YEAR = timedelta(days=365)


def accept(user: Any, edition: Edition, **stated: Any) -> Acceptance:
    stated.setdefault("kind", AcceptanceKind.EXPLICIT)
    origin = RequestDetails(ip="203.0.113.7", user_agent="Mozilla/5.0")
    return Acceptance.objects.record(
        user=user, edition=edition, digest=edition.digest, language="kk", request_details=origin, **stated
    )


def withdraw(user: Any, **stated: Any) -> Withdrawal:
    stated = {"outcome": WithdrawalOutcome.ENDED, "received_on": date(2026, 1, 1)} | stated
    return Withdrawal.objects.register(user=user, **{"agreement": factories.agreement()} | stated)


def years(at: datetime, count: int) -> datetime:
    return terms.years_later(at, count)


def assert_stored() -> None:
    assert set(Acceptance.objects.values_list("ip", "user_agent", "erased_at")) == {
        ("203.0.113.7", "Mozilla/5.0", None)
    }


def assert_erased(row: Acceptance) -> None:
    row.refresh_from_db()
    assert (row.ip, row.user_agent, row.pseudonym, row.pseudonym_key, row.user_id) == (None, "", "", "", None)
    assert row.erased_at
    assert row.edition.digest == row.digest  # What was accepted, when and how staying.


def test_after_a_withdrawal_that_ended_it_the_longest_term_runs_of_the_editions_that_bound():
    first = factories.published(retention_years=5)
    (user,) = factories.users(1)
    accept(user, first)
    second = factories.published(retention_years=3)
    row = accept(user, second)
    factories.published(retention_years=9)  # Never accepted, so it binds nobody.
    Consent.objects.give(user=user, purpose="registration", language="kk", text="Келісемін.")
    withdrawal = withdraw(user)
    over = years(withdrawal.effective_at, 5)

    early = erasure.erase(at=over - timedelta(microseconds=1))
    assert early == ErasureCounts()
    assert_stored()
    tried = erasure.erase(at=over, dry_run=True)
    assert_stored()
    done = erasure.erase(at=over)

    assert tried == done == ErasureCounts(people=1, acceptances=2, withdrawals=1, consents=1)
    assert_erased(row)
    assert Acceptance.objects.count() == 2
    assert erasure.erase(at=over) == ErasureCounts()


def wording(**stated: Any) -> Edition:
    return factories.published(material=False, **stated)


def test_an_edition_that_changed_wording_alone_binds_users_who_accepted_the_previous_one():
    user, later = factories.users(2)
    row = accept(user, factories.published(retention_years=1))
    wording(retention_years=5)
    last = wording(retention_years=2)
    accept(later, last)
    withdrawal, other = withdraw(user), withdraw(later)
    wording(retention_years=9)  # After they withdrew.

    assert withdrawal.edition == other.edition == last
    begin = "Ваши персональные данные хранятся с этого момента"
    end = ", как установлено этим документом, а затем уничтожаются."
    assert [withdrawal_letters.withdrawal_reply(row, "ru").sentences[2] for row in (withdrawal, other)] == [
        f"{begin} 5 лет{end}",
        f"{begin} 2 года{end}",
    ]
    assert erasure.erase(at=years(other.effective_at, 2)).people == 1
    assert erasure.erase(at=years(withdrawal.effective_at, 5) - timedelta(microseconds=1)) == ErasureCounts()
    assert erasure.erase(at=years(withdrawal.effective_at, 5)).people == 1
    assert_erased(row)


def test_an_announced_edition_did_not_bind_a_user_who_withdrew_before_its_effect(settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "ACCEPT_ANNOUNCED": True}
    first = factories.published()
    next_one = factories.published(effective_from=NOW() + timedelta(days=30))
    (user,) = factories.users(1)
    accept(user, first)
    accept(user, next_one)
    assert withdraw(user).edition == first


def test_a_cancelled_edition_bound_nobody_though_it_was_accepted_when_announced(settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "ACCEPT_ANNOUNCED": True}
    first = factories.published(retention_years=1)
    taken_back = factories.published(effective_from=NOW() + timedelta(days=30), retention_years=9)
    user, held = factories.users(2)
    for one in (user, held):
        accept(one, first)
        accept(one, taken_back)
    taken_back.cancel()
    withdrawal, _other = (withdraw(one, effective_at=NOW() + timedelta(days=40)) for one in (user, held))

    assert withdrawal.edition == first
    assert terms.years_after(withdrawal) == 1
    name = LegalHold.objects.place(ground="Сот ұйғарымы № 7", by="А. Серікова", user=held)
    assert erasure.erase(at=years(withdrawal.effective_at, 2)) == ErasureCounts(
        people=1, acceptances=2, withdrawals=1, under_legal_hold=1
    )
    LegalHold.objects.filter(pk=name.pk).update(held_until=timezone.now())
    LegalHold.objects.place(ground="Сот ұйғарымы № 8", by="А. Серікова", edition=taken_back)
    assert erasure.erase(at=years(withdrawal.effective_at, 2)).under_legal_hold == 1, (
        "who accepted it may have to be proved"
    )


def test_an_edition_after_the_withdrawal_bound_nobody_whatever_is_registered_later():
    first = factories.published(retention_years=1)
    (user,) = factories.users(1)
    accept(user, first)
    withdraw(user, outcome=WithdrawalOutcome.SUSPENDED)
    wording(retention_years=9)
    withdrawal = withdraw(user)

    assert withdrawal.edition == first
    assert terms.years_after(withdrawal) == 1
    assert erasure.erase(at=years(withdrawal.effective_at, 1)).people == 1


def test_an_acceptance_that_ended_as_it_was_made_has_the_term_of_its_edition():
    before, (user,) = NOW(), factories.users(1)
    row = accept(user, factories.published(retention_years=5))
    factories.published(retention_years=1)
    withdrawal = withdraw(user, effective_at=before)

    assert terms.years_after(withdrawal) == 5
    assert erasure.erase(at=years(row.at, 5) - timedelta(microseconds=1)) == ErasureCounts()
    assert erasure.erase(at=years(row.at, 5)).acceptances == 1


def test_an_ending_registered_late_leaves_the_user_unbound_by_editions_after_the_registration():
    first = factories.published(retention_years=1)
    (user,) = factories.users(1)
    accept(user, first)
    withdrawal = withdraw(user, effective_at=LONG_AGO)
    wording(retention_years=9)

    assert erasure.erase(at=years(withdrawal.registered_at, 1)).people == 1


def test_a_legal_hold_on_an_edition_that_bound_without_acceptance_covers_whom_it_bound():
    edition = factories.published(retention_years=1)
    held, free = factories.users(2)
    for user in (held, free):
        accept(user, edition)
    withdraw(free)
    LegalHold.objects.place(ground="Сот ұйғарымы № 7", by="А. Серікова", edition=wording(retention_years=1))
    withdraw(held)

    assert erasure.erase(at=NOW() + 50 * YEAR) == ErasureCounts(
        people=1, acceptances=1, withdrawals=1, under_legal_hold=1
    )


@pytest.mark.parametrize("outcome", [WithdrawalOutcome.SUSPENDED, WithdrawalOutcome.REFUSED])
def test_what_did_not_end_the_agreement_begins_no_term(outcome):
    edition = factories.published(retention_years=1)
    (user,) = factories.users(1)
    accept(user, edition)
    withdraw(user, outcome=outcome, ground="Негіз")
    assert erasure.erase(at=NOW() + 50 * YEAR) == ErasureCounts()
    assert_stored()


def test_another_acceptance_stops_the_term_and_another_withdrawal_begins_it_again():
    edition = factories.published(retention_years=1)
    (user,) = factories.users(1)
    accept(user, edition)
    withdraw(user)
    accept(user, edition)
    assert erasure.erase(at=NOW() + 50 * YEAR) == ErasureCounts()
    last = withdraw(user)
    assert erasure.erase(at=years(last.effective_at, 1)).acceptances == 2


def test_an_account_that_withdrew_stays_withdrawn_after_its_data_is_erased():
    edition = factories.published(retention_years=1)
    (user,) = factories.users(1)
    accept(user, edition)
    withdrawal = withdraw(user)
    erasure.erase(at=years(withdrawal.effective_at, 1))
    assert Acceptance.objects.withdrawal_in_effect(user_key=user.pk, agreement=edition.agreement_id)
    assert accept(user, edition).round == 2
    again = withdraw(user)
    assert erasure.erase(at=years(again.effective_at, 1)).acceptances == 1


def test_what_is_erased_already_lengthens_no_later_term():
    edition = factories.published(retention_years=9)
    (user,) = factories.users(1)
    accept(user, edition)
    withdrawal = withdraw(user)
    erasure.erase(at=years(withdrawal.effective_at, 9))
    accept(user, factories.published(retention_years=1))
    again = withdraw(user)
    assert erasure.erase(at=years(again.effective_at, 1)).acceptances == 1


def test_a_deleted_account_can_be_found_until_its_term_ends():
    edition = factories.published(retention_years=3)
    (user,) = factories.users(1)
    key = user.pk
    row = accept(user, edition)
    user.delete()
    row.refresh_from_db()
    over = years(row.account_deleted_at, 3)

    erasure.erase(at=over - timedelta(microseconds=1))
    assert Acceptance.objects.for_user_key(key).count() == 1
    erasure.erase(at=over)
    assert Acceptance.objects.for_user_key(key).count() == 0
    assert_erased(row)


def test_without_keys_each_acceptance_of_a_deleted_account_has_the_term_of_its_own_edition(settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "PSEUDONYM_KEYS": {}}
    edition = factories.published(retention_years=3)
    (user,) = factories.users(1)
    row = accept(user, edition)
    user.delete()
    row.refresh_from_db()
    assert erasure.erase(at=years(row.account_deleted_at, 3)).acceptances == 1


def test_a_key_changed_in_between_makes_nothing_go_early(settings):
    """Two pseudonyms of one account, which only the moment of its deletion connects."""
    first = factories.published(retention_years=1)
    (user,) = factories.users(1)
    accept(user, first)
    keys = dict(settings.AGREEMENT["PSEUDONYM_KEYS"])
    settings.AGREEMENT = {**settings.AGREEMENT, "PSEUDONYM_KEYS": {"new": "n" * 64} | keys}
    row = accept(user, factories.published(retention_years=5))
    user.delete()
    row.refresh_from_db()

    assert erasure.erase(at=years(row.account_deleted_at, 5) - timedelta(seconds=1)) == ErasureCounts()
    assert erasure.erase(at=years(row.account_deleted_at, 5)).acceptances == 2


def test_accounts_deleted_together_have_their_own_terms(django_user_model):
    long = factories.published(retention_years=5)
    one, other = factories.users(2)
    accept(one, long)
    accept(other, factories.published(retention_years=1))
    django_user_model.objects.all().delete()
    at = Acceptance.objects.first().account_deleted_at
    assert erasure.erase(at=years(at, 1)).acceptances == 1
    assert Acceptance.objects.get(erased_at=None).edition == long


def newer_key(settings: Any) -> None:
    keys = dict(settings.AGREEMENT["PSEUDONYM_KEYS"])
    settings.AGREEMENT = {**settings.AGREEMENT, "PSEUDONYM_KEYS": {"newer": "n" * 64} | keys}


LONG_AGO = datetime(2026, 1, 2, tzinfo=UTC)


def test_of_accounts_deleted_together_under_two_keys_no_one_shortens_anothers_term(settings, django_user_model):
    edition = factories.published(retention_years=3)
    one, other = factories.users(2)
    accept(one, edition, kind=AcceptanceKind.IMPORTED, at=NOW())
    withdraw(one, effective_at=LONG_AGO)
    newer_key(settings)
    row = accept(other, edition)
    django_user_model.objects.all().delete()
    row.refresh_from_db()

    erasure.erase(at=years(row.account_deleted_at, 3) - timedelta(microseconds=1))
    row.refresh_from_db()
    assert row.erased_at is None
    assert erasure.erase(at=years(row.account_deleted_at, 3)).acceptances == 2


def test_another_acceptance_under_a_newer_key_preserves_the_first_round_too(settings):
    edition = factories.published(retention_years=3)
    (user,) = factories.users(1)
    first = accept(user, edition)
    withdrawal = withdraw(user)
    newer_key(settings)
    accept(user, edition)
    user.delete()
    first.refresh_from_db()

    assert erasure.erase(at=years(withdrawal.effective_at, 3)) == ErasureCounts()
    assert erasure.erase(at=years(first.account_deleted_at, 3)).acceptances == 2


def test_without_keys_nothing_of_an_account_is_erased_before_the_longest_of_its_terms(settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "PSEUDONYM_KEYS": {}}
    (user,) = factories.users(1)
    accept(user, factories.published(retention_years=1))
    row = accept(user, factories.published(retention_years=5))
    user.delete()
    row.refresh_from_db()

    assert erasure.erase(at=years(row.account_deleted_at, 5) - timedelta(microseconds=1)) == ErasureCounts()
    assert erasure.erase(at=years(row.account_deleted_at, 5)).acceptances == 2


def test_an_ending_registered_late_begins_the_term_though_it_took_effect_before_another_withdrawal():
    """Registered after another acceptance, and effective before it: only this withdrawal ends the agreement."""
    edition = factories.published(retention_years=3)
    (user,) = factories.users(1)
    accept(user, edition)
    withdraw(user, outcome=WithdrawalOutcome.SUSPENDED)
    again = accept(user, edition)
    withdraw(user, effective_at=LONG_AGO)
    assert Acceptance.objects.withdrawal_in_effect(user_key=user.pk, agreement=edition.agreement_id)

    assert erasure.erase(at=years(again.at, 3) - timedelta(microseconds=1)) == ErasureCounts()
    assert erasure.erase(at=years(again.at, 3)).acceptances == 2


def test_an_ending_counts_though_the_previous_withdrawal_is_erased_and_the_account_deleted():
    edition = factories.published(retention_years=0)
    (user,) = factories.users(1)
    accept(user, edition)
    withdraw(user)
    erasure.erase()
    longer = factories.published(retention_years=3)
    row = accept(user, longer)
    withdrawal = withdraw(user)
    user.delete()
    row.refresh_from_db()

    assert erasure.erase(at=years(withdrawal.effective_at, 3)).acceptances == 1
    assert years(withdrawal.effective_at, 3) < years(row.account_deleted_at, 3)


def test_a_closed_site_begins_every_term(settings):
    edition = factories.published(retention_years=3)
    for user in factories.users(3):
        accept(user, edition)
    closed = NOW() - timedelta(hours=1)
    settings.AGREEMENT = {**settings.AGREEMENT, "CLOSED_AT": closed.isoformat()}
    assert erasure.erase(at=years(closed, 3) - timedelta(seconds=1)) == ErasureCounts()
    assert erasure.erase(at=years(closed, 3)).people == 3


def test_a_closed_site_begins_the_term_of_users_without_acceptance_too(settings):
    edition = factories.published(retention_years=3)
    accepted, stranger, held = factories.users(3)
    accept(accepted, edition)
    for user in (accepted, stranger, held):
        notify(user, edition)
        Consent.objects.give(user=user, purpose="registration", language="kk", text="Келісемін.")
    LegalHold.objects.place(ground="Сот ұйғарымы № 7", by="А. Серікова", user=held)
    assert erasure.erase(at=NOW() + 50 * YEAR) == ErasureCounts()
    closed = NOW() - timedelta(hours=1)
    settings.AGREEMENT = {**settings.AGREEMENT, "CLOSED_AT": closed.isoformat()}
    over = years(closed, 3)

    assert erasure.erase(at=over - timedelta(microseconds=1)) == ErasureCounts()
    done = ErasureCounts(people=1, acceptances=1, consents=2, deliveries=2)
    assert erasure.erase(at=over, dry_run=True) == erasure.erase(at=over) == done
    assert list(Delivery.objects.exclude(address_digest="").values_list("user", flat=True)) == [held.pk]
    assert list(Consent.objects.filter(erased_at=None).values_list("user", flat=True)) == [held.pk]


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_closing_in_the_future_erases_no_consent_that_was_not_withdrawn(settings, dry_run):
    (user,) = factories.users(1)
    accept(user, factories.published(retention_years=1))
    withdrawal = withdraw(user)
    Consent.objects.give(user=user, purpose="newsletter", language="kk", text="Келісемін.")
    over = years(withdrawal.effective_at, 1)
    settings.AGREEMENT = {**settings.AGREEMENT, "CLOSED_AT": (over + YEAR).isoformat()}

    done = ErasureCounts(people=1, acceptances=1, withdrawals=1)
    assert erasure.erase(at=over, dry_run=dry_run) == done
    assert Consent.objects.get().erased_at is None


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_consent_that_was_given_after_a_withdrawal_stays_for_the_term_after_the_closing(settings, dry_run):
    (user,) = factories.users(1)
    accept(user, factories.published(retention_years=1))
    withdrawal = withdraw(user)
    Consent.objects.give(user=user, purpose="newsletter", language="kk", text="Келісемін.")
    closed = withdrawal.effective_at + 3 * YEAR
    settings.AGREEMENT = {**settings.AGREEMENT, "CLOSED_AT": closed.isoformat()}

    before = erasure.erase(at=years(closed, 1) - timedelta(microseconds=1), dry_run=True)
    assert before == ErasureCounts(people=1, acceptances=1, withdrawals=1)
    done = erasure.erase(at=years(closed, 1), dry_run=dry_run)
    assert done == ErasureCounts(people=1, acceptances=1, withdrawals=1, consents=1)
    assert bool(Consent.objects.get().erased_at) != dry_run


def test_an_edition_between_the_deletion_of_an_account_and_the_closing_did_not_bind_its_user(settings):
    (user,) = factories.users(1)
    row = accept(user, factories.published(retention_years=1))
    user.delete()
    wording(retention_years=9)
    settings.AGREEMENT = {**settings.AGREEMENT, "CLOSED_AT": NOW().isoformat()}
    row.refresh_from_db()
    over = years(row.account_deleted_at, 1)

    assert erasure.erase(at=over - timedelta(microseconds=1)) == ErasureCounts()
    assert erasure.erase(at=over).acceptances == 1


@pytest.mark.parametrize("of", ["user", "deleted user", "edition"])
def test_a_legal_hold_preserves_what_it_names_until_it_ends(of, settings):
    edition = factories.published(retention_years=1)
    held, other = factories.users(2)
    accept(held, edition)
    about = {"edition": edition} if of == "edition" else {"user": held}
    hold = LegalHold.objects.place(ground="Сот ұйғарымы № 7", by="А. Серікова", **about)
    settings.AGREEMENT = {
        **settings.AGREEMENT,
        "PSEUDONYM_KEYS": {"newer": "n" * 64} | settings.AGREEMENT["PSEUDONYM_KEYS"],
    }
    withdraw(held)
    if of == "deleted user":
        held.delete()
    at = NOW() + 50 * YEAR

    assert erasure.erase(at=at) == ErasureCounts(under_legal_hold=1)
    assert_stored()
    LegalHold.objects.filter(pk=hold.pk).update(held_until=NOW())
    assert erasure.erase(at=at).people == 1
    del other


def test_address_digests_are_erased_with_the_rest():
    """Of an account that withdrew, and of a deleted one, each in its time; what was sent stays recorded as sent."""
    edition = factories.published(retention_years=3)
    notice = edition.notices.get()
    staying, withdrawn, deleted = factories.users(3)
    for user in (staying, withdrawn, deleted):
        accept(user, edition)
        Delivery.objects.create(
            notice=notice,
            user=user,
            channel="email",
            outcome="sent",
            due_at=NOW(),
            outcome_at=NOW(),
            address_digest="d",
        )
    over = years(withdraw(withdrawn).effective_at, 3)
    deleted.delete()
    deleted = Delivery.objects.get(user=None)

    assert erasure.erase(at=over).deliveries == 1
    assert erasure.erase(at=years(deleted.account_deleted_at, 3), dry_run=True).acceptances == 1
    assert erasure.erase(at=years(deleted.account_deleted_at, 3)).deliveries == 1
    assert list(Delivery.objects.exclude(address_digest="").values_list("user", flat=True)) == [staying.pk]
    assert Delivery.objects.filter(outcome="sent").count() == 3


def notify(user: Any, edition: Edition) -> Delivery:
    return Delivery.objects.create(
        notice=edition.notices.get(),
        user=user,
        channel="email",
        outcome="sent",
        due_at=NOW(),
        outcome_at=NOW(),
        address_digest="d",
    )


def test_a_dry_run_counts_the_digests_that_are_erased_with_the_acceptances():
    edition = factories.published(retention_years=0)
    (user,) = factories.users(1)
    accept(user, edition)
    notify(user, edition)
    user.delete()
    at = NOW()
    assert (
        erasure.erase(at=at, dry_run=True)
        == erasure.erase(at=at)
        == ErasureCounts(people=1, acceptances=1, deliveries=1)
    )


def test_the_deliveries_to_a_deleted_account_are_found_until_its_term_is_over():
    edition = factories.published(retention_years=3)
    (user,) = factories.users(1)
    key, row = user.pk, notify(user, edition)
    user.delete()
    row.refresh_from_db()
    over = years(row.account_deleted_at, 3)

    erasure.erase(at=over - timedelta(microseconds=1))
    assert list(Delivery.objects.for_user_key(key)) == [row]
    assert erasure.erase(at=over).deliveries == 1
    assert list(Delivery.objects.for_user_key(key)) == []
    row.refresh_from_db()
    assert (row.address_digest, row.pseudonym, row.pseudonym_key, row.outcome) == ("", "", "", "sent")


def test_a_legal_hold_on_an_edition_preserves_who_was_notified_of_it_and_no_others():
    held, other = factories.published(retention_years=1), factories.published(retention_years=1)
    one, two = factories.users(2)
    rows = [notify(one, held), notify(two, other)]
    for user in (one, two):
        user.delete()
    LegalHold.objects.place(ground="Сот ұйғарымы № 7", by="А. Серікова", edition=held)

    assert erasure.erase(at=NOW() + 50 * YEAR).deliveries == 1
    assert list(Delivery.objects.exclude(address_digest="")) == rows[:1]


def test_a_legal_hold_on_an_edition_preserves_who_was_notified_though_they_withdrew_from_another():
    accepted = factories.published(retention_years=0)
    (user,) = factories.users(1)
    accept(user, accepted)
    held = factories.published(retention_years=0)
    notify(user, accepted)
    kept = notify(user, held)
    hold = LegalHold.objects.place(ground="Сот ұйғарымы № 7", by="А. Серікова", edition=held)
    withdraw(user)

    assert erasure.erase() == ErasureCounts(people=1, acceptances=1, withdrawals=1, deliveries=1)
    assert list(Delivery.objects.exclude(address_digest="")) == [kept]
    assert erasure.erase() == ErasureCounts()
    LegalHold.objects.filter(pk=hold.pk).update(held_until=NOW())
    assert erasure.erase() == ErasureCounts(people=1, deliveries=1)
    assert not Delivery.objects.exclude(address_digest="").exists()
    assert erasure.erase() == ErasureCounts()


def test_a_legal_hold_on_a_person_preserves_the_deliveries_to_a_deleted_account():
    edition = factories.published(retention_years=1)
    one, two = factories.users(2)
    rows = [notify(one, edition), notify(two, edition)]
    LegalHold.objects.place(ground="Сот ұйғарымы № 7", by="А. Серікова", user=one)
    for user in (one, two):
        user.delete()

    assert erasure.erase(at=NOW() + 50 * YEAR).deliveries == 1
    assert list(Delivery.objects.exclude(address_digest="")) == rows[:1]


@pytest.mark.parametrize("key", ["2026", "user", "withdrawal", "2026:a"])
def test_a_legal_hold_preserves_the_rows_of_a_deleted_account_whatever_the_id_of_the_key(settings, key):
    settings.AGREEMENT = {**settings.AGREEMENT, "PSEUDONYM_KEYS": {key: "k" * 64}}
    edition, (user,) = factories.published(retention_years=1), factories.users(1)
    row = notify(user, edition)
    consent = Consent.objects.give(user=user, purpose="registration", language="kk", text="Келісемін.")
    entry = entry_about(user)
    hold = LegalHold.objects.place(ground="Сот ұйғарымы № 7", by="А. Серікова", user=user)
    user.delete()

    assert erasure.erase(at=NOW() + 50 * YEAR) == ErasureCounts()
    assert not is_erased(entry)
    for one in (row, consent):
        one.refresh_from_db()
    assert row.address_digest
    assert consent.pseudonym
    LegalHold.objects.filter(pk=hold.pk).update(held_until=NOW())
    assert erasure.erase(at=NOW() + 50 * YEAR) == ErasureCounts(consents=1, deliveries=1)
    assert is_erased(hold)


def test_a_legal_hold_follows_its_person_to_later_keys(settings):
    (user,) = factories.users(1)
    LegalHold.objects.place(ground="Сот ұйғарымы № 7", by="А. Серікова", user=user)
    settings.AGREEMENT = {
        **settings.AGREEMENT,
        "PSEUDONYM_KEYS": {"newer": "n" * 64} | settings.AGREEMENT["PSEUDONYM_KEYS"],
    }
    row = accept(user, factories.published(retention_years=1))
    user.delete()
    row.refresh_from_db()
    assert row.pseudonym_key == "newer"
    assert erasure.erase(at=NOW() + 50 * YEAR) == ErasureCounts(under_legal_hold=1)


def test_a_deleted_account_is_put_under_legal_hold_by_its_key():
    edition = factories.published(retention_years=1)
    one, other = factories.users(2)
    for user in (one, other):
        accept(user, edition)
        notify(user, edition)
    Consent.objects.give(user=one, purpose="registration", language="kk", text="Келісемін.")
    key = one.pk
    hold = {"ground": "Сот ұйғарымы № 7", "by": "А. Серікова"}
    with pytest.raises(ValidationError, match=str(key)):  # It exists.
        LegalHold.objects.place(account=key, **hold)
    for user in (one, other):
        user.delete()
    for wrong in (key + 99, "nobody"):
        with pytest.raises(ValidationError, match=str(wrong)):
            LegalHold.objects.place(account=wrong, **hold)
    LegalHold.objects.place(account=str(key), **hold)

    assert erasure.erase(at=NOW() + 50 * YEAR) == ErasureCounts(
        people=1, acceptances=1, deliveries=1, under_legal_hold=1
    )
    assert [rows.for_user_key(key).count() for rows in (Acceptance.objects, Consent.objects, Delivery.objects)] == [
        1,
        1,
        1,
    ]


@pytest.mark.parametrize("by", ["its own number", "the register's"])
def test_an_applicant_without_an_account_is_put_under_legal_hold_by_the_application(by):
    factories.published(retention_years=1)
    held, _other = (
        withdraw(None, applicant="А. Ахметов", application_number="12-к"),
        withdraw(None, applicant="Б. Серіков"),
    )
    of_user = withdraw(factories.users(1)[0], application_number="13-к")
    hold = {"ground": "Сот ұйғарымы № 7", "by": "А. Серікова"}
    for wrong in ("99", of_user.application_number, of_user.reference):
        with pytest.raises(ValidationError, match=wrong):
            LegalHold.objects.place(application=wrong, **hold)
    number = held.application_number if by == "its own number" else held.reference
    LegalHold.objects.place(application=number, **hold)

    assert erasure.erase(at=NOW() + 50 * YEAR).under_legal_hold == 1
    held.refresh_from_db()
    assert held.applicant == "А. Ахметов"
    assert Withdrawal.objects.filter(erased_at=None).count() == 1


def test_a_legal_hold_placed_after_the_instant_of_the_erasure_preserves_too():
    (user,) = factories.users(1)
    accept(user, factories.published(retention_years=0))
    withdraw(user)
    over = NOW()
    LegalHold.objects.place(ground="Сот ұйғарымы № 7", by="А. Серікова", user=user)
    assert erasure.erase(at=over) == ErasureCounts(under_legal_hold=1)


def test_a_legal_hold_placed_during_an_erasure_preserves_what_is_not_erased_yet(monkeypatch):
    (user,) = factories.users(1)
    accept(user, factories.published(retention_years=0))
    withdraw(user)
    found = terms.expired

    def found_then_held(*of: Any) -> Iterator[terms.Person]:
        yield from found(*of)
        LegalHold.objects.place(ground="Сот ұйғарымы № 7", by="А. Серікова", user=user)

    monkeypatch.setattr(erasure, "expired", found_then_held)
    assert erasure.erase() == ErasureCounts(under_legal_hold=1)
    assert_stored()


def test_a_legal_hold_names_just_one():
    edition, (user,) = factories.published(), factories.users(1)
    for about in ({}, {"user": user, "edition": edition}, {"edition": edition, "application": "12"}):
        with pytest.raises(ValidationError) as caught:
            LegalHold.objects.place(ground="Сот ұйғарымы № 7", by="А. Серікова", **about)
        assert caught.value.code == "one_of"


def test_without_keys_no_legal_hold_is_placed_on_a_user_who_could_not_be_found(settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "PSEUDONYM_KEYS": {}}
    (user,) = factories.users(1)
    with pytest.raises(ValidationError, match="PSEUDONYM_KEYS"):
        LegalHold.objects.place(ground="Сот ұйғарымы № 7", by="А. Серікова", user=user)


def test_scans_and_applicants_are_erased_after_their_term(settings, tmp_path):
    settings.AGREEMENT = {**settings.AGREEMENT, "PRIVATE_ROOT": str(tmp_path)}
    factories.published(retention_years=3)
    row = withdraw(None, applicant="А. Ахметов", application_number="12", scan=ContentFile(b"%PDF-", "a.pdf"))
    over = years(row.registered_at, 3)
    erasure.erase(at=over - timedelta(seconds=1))
    assert len(list(tmp_path.rglob("*.pdf"))) == 1
    assert erasure.erase(at=over).withdrawals == 1
    row.refresh_from_db()
    assert (row.applicant, row.application_number, row.scan.name) == ("", "", "")
    assert list(tmp_path.rglob("*.pdf")) == []
    assert row.reference.startswith("terms/")


@pytest.mark.parametrize("why", ["refused", "not mounted", "no folder"])
def test_nothing_about_a_person_is_marked_erased_while_their_scan_is_there(settings, tmp_path, monkeypatch, why):
    private = tmp_path / "private"
    settings.AGREEMENT = {**settings.AGREEMENT, "PRIVATE_ROOT": str(private)}
    factories.published(retention_years=0)
    row = withdraw(None, applicant="А. Ахметов", application_number="12", scan=ContentFile(b"%PDF-", "a.pdf"))
    other = withdraw(None, applicant="Б. Серіков")
    if why == "refused":
        monkeypatch.setattr(Path, "unlink", refused)
        monkeypatch.setattr("os.remove", refused)
    elif why == "not mounted":
        private.rename(tmp_path / "elsewhere")
    else:
        settings.AGREEMENT = {**settings.AGREEMENT, "PRIVATE_ROOT": ""}

    with pytest.raises(CommandError, match="The data of 1 people was not erased"):
        call_command("erase_expired", stdout=io.StringIO())

    row.refresh_from_db()
    other.refresh_from_db()
    assert (row.applicant, row.erased_at, other.applicant) == ("А. Ахметов", None, "")
    assert len(list(tmp_path.rglob("*.pdf"))) == 1
    monkeypatch.undo()
    if why == "not mounted":
        (tmp_path / "elsewhere").rename(private)
    settings.AGREEMENT = {**settings.AGREEMENT, "PRIVATE_ROOT": str(private)}
    assert erasure.erase() == ErasureCounts(people=1, withdrawals=1)
    row.refresh_from_db()
    assert (row.applicant, row.scan.name) == ("", "")
    assert list(tmp_path.rglob("*.pdf")) == []


def refused(*_about: Any, **_also: Any) -> None:
    raise PermissionError("no")


def test_editions_still_verify_after_everything_was_erased(settings):
    edition = factories.published(retention_years=0)
    for user in factories.users(3):
        accept(user, edition)
        user.delete()
    erasure.erase(at=NOW())
    out = io.StringIO()
    call_command("verify_editions", stdout=out)
    assert "1 editions verified" in out.getvalue()
    assert Acceptance.objects.filter(edition=edition).count() == 3


def test_a_dry_run_of_the_command_counts_exactly_and_changes_nothing():
    edition = factories.published(retention_years=0)
    (user,) = factories.users(1)
    accept(user, edition)
    user.delete()
    out = io.StringIO()
    call_command("erase_expired", dry_run=True, stdout=out)
    assert_stored()
    call_command("erase_expired", stdout=out)
    would, did = out.getvalue().splitlines()
    assert would.startswith("Would erase the personal data of 1 people: addresses, browsers, pseudonyms and links of 1")
    assert did == would.replace("Would erase", "Erased")


@pytest.mark.parametrize(
    ("at", "count", "expected"),
    [
        (datetime(2026, 3, 1, 9, tzinfo=UTC), 3, datetime(2029, 3, 1, 9, tzinfo=UTC)),
        (datetime(2028, 2, 29, 9, tzinfo=UTC), 3, datetime(2031, 3, 1, 9, tzinfo=UTC)),
        (datetime(2028, 2, 29, 9, tzinfo=UTC), 4, datetime(2032, 2, 29, 9, tzinfo=UTC)),
        # 1 December 00:30 in Almaty, before and after its offset changed.
        (datetime(2023, 11, 30, 18, 30, tzinfo=UTC), 3, datetime(2026, 11, 30, 19, 30, tzinfo=UTC)),
    ],
)
def test_a_year_ends_on_its_day(at, count, expected):
    assert terms.years_later(at, count) == expected


def test_a_killed_erasure_is_finished_by_the_next(monkeypatch):
    monkeypatch.setattr(erasure, "BATCH", 1)
    edition = factories.published(retention_years=0)
    for user in factories.users(3):
        accept(user, edition)
        user.delete()
    real = erasure.Erasure.erase_people
    calls = []

    def killed(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    monkeypatch.setattr(erasure.Erasure, "erase_people", killed)
    with pytest.raises(KeyboardInterrupt):
        erasure.erase()
    monkeypatch.setattr(erasure.Erasure, "erase_people", real)
    assert Acceptance.objects.exclude(erased_at=None).count() == 1
    assert erasure.erase().people == 2


def two_agreements(user: Any) -> tuple[Edition, Edition]:
    """Both accepted, and one withdrawn from."""
    ended, held = factories.published(retention_years=3), factories.published(slug="library", retention_years=3)
    for edition in (ended, held):
        accept(user, edition)
    withdraw(user)
    return ended, held


def test_the_end_of_one_agreement_ends_no_others_term():
    """Though somebody else ended that other one, and both are erased together."""
    user, other = factories.users(2)
    ended, held = two_agreements(user)
    accept(other, held)
    Withdrawal.objects.register(agreement=held.agreement, user=other, outcome="ended", received_on=date(2026, 1, 1))
    for edition in (ended, held):
        for each in (user, other):
            notify(each, edition)

    assert erasure.erase(at=years(NOW(), 3)).deliveries == 2
    kept = Delivery.objects.exclude(address_digest="").values_list("user", "notice__edition")
    assert set(kept) == {(user.pk, held.pk), (other.pk, ended.pk)}


def test_a_consent_stays_while_any_agreement_stores_data_of_its_user():
    (user,) = factories.users(1)
    consent = Consent.objects.give(user=user, purpose="registration", language="kk", text="Келісемін.")
    _ended, held = two_agreements(user)

    assert erasure.erase(at=years(NOW(), 3)).consents == 0
    over = Withdrawal.objects.register(
        agreement=held.agreement, user=user, outcome="ended", received_on=date(2026, 1, 1)
    )
    assert erasure.erase(at=years(over.effective_at, 3)).consents == 1
    consent.refresh_from_db()
    assert consent.erased_at


@pytest.mark.parametrize("keys", [{}, {"a": "k" * 40}])
@pytest.mark.parametrize("deleted", [True, False])
@pytest.mark.parametrize("accepted", [True, False])
def test_a_dry_run_counts_once_the_consents_of_a_user_who_withdrew_from_several_agreements(
    settings, monkeypatch, keys, deleted, accepted
):
    """Whichever transaction the end of each of them would be erased in."""
    monkeypatch.setattr(erasure, "BATCH", 1)
    settings.AGREEMENT = {**settings.AGREEMENT, "PSEUDONYM_KEYS": keys}
    (user,) = factories.users(1)
    Consent.objects.give(user=user, purpose="registration", language="kk", text="Келісемін.")
    for edition in (factories.published(retention_years=3), factories.published(slug="library", retention_years=3)):
        if accepted:
            accept(user, edition)
        withdraw(user, agreement=edition.agreement)
    if deleted:
        user.delete()

    at = NOW() + 10 * YEAR
    assert erasure.erase(at=at, dry_run=True) == erasure.erase(at=at)
    assert not Consent.objects.filter(erased_at=None).exists()


def test_a_dry_run_counts_once_the_deliveries_to_a_user_who_withdrew_without_acceptance(settings):
    edition, (user,) = factories.published(retention_years=1), factories.users(1)
    withdraw(user)
    notify(user, edition)
    settings.AGREEMENT = {**settings.AGREEMENT, "CLOSED_AT": NOW().isoformat()}

    at = NOW() + 10 * YEAR
    assert (
        erasure.erase(at=at, dry_run=True)
        == erasure.erase(at=at)
        == ErasureCounts(people=1, withdrawals=1, deliveries=1)
    )


def test_a_dry_run_counts_once_the_digests_that_were_stored_longer_by_a_legal_hold(settings):
    accepted, (user,) = factories.published(retention_years=0), factories.users(1)
    accept(user, accepted)
    held = factories.published(retention_years=0)
    notify(user, held)
    hold = LegalHold.objects.place(ground="Сот ұйғарымы № 7", by="А. Серікова", edition=held)
    withdraw(user)
    erasure.erase()
    LegalHold.objects.filter(pk=hold.pk).update(held_until=NOW())
    settings.AGREEMENT = {**settings.AGREEMENT, "CLOSED_AT": NOW().isoformat()}

    at = NOW()
    assert erasure.erase(at=at, dry_run=True) == erasure.erase(at=at) == ErasureCounts(people=1, deliveries=1)


def test_without_keys_a_refused_application_begins_no_term(settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "PSEUDONYM_KEYS": {}}
    edition = factories.published(retention_years=3)
    (user,) = factories.users(1)
    accept(user, edition)
    refused = withdraw(user, outcome="refused", ground="Шешілмеген дау.")
    user.delete()
    refused.refresh_from_db()

    erasure.erase(at=years(refused.account_deleted_at, 3) - timedelta(microseconds=1))
    refused.refresh_from_db()
    assert refused.erased_at is None


def entry_about(user: Any) -> AuditEntry:
    return AuditEntry.objects.log(AuditAction.EXPORTED, on=user, by="А. Серікова", note="evidence")


def ended_hold(user: Any, **stated: Any) -> LegalHold:
    dates = {"held_from": NOW() - 2 * YEAR, "held_until": NOW()} | stated
    return LegalHold.objects.place(user=user, ground="Асанның арызы", by="А. Серікова", **dates)


def is_erased(row: AuditEntry | LegalHold) -> bool:
    """Is the row empty? If not, nothing of it may be."""
    row.refresh_from_db()
    personal = (
        (row.note, row.pseudonym, row.pseudonym_key) if isinstance(row, AuditEntry) else (row.ground, *row.pseudonyms)
    )
    assert row.by == "А. Серікова"
    assert any(personal) != bool(row.erased_at)
    assert all(personal) != bool(row.erased_at)
    assert not (row.erased_at and row.user_id)
    return bool(row.erased_at)


@pytest.mark.parametrize("how", ["withdrawal", "account deleted", "account deleted and another key"])
def test_audit_entries_and_ended_legal_holds_are_erased_with_the_data_of_their_person(settings, how):
    edition, (user, other) = factories.published(retention_years=3), factories.users(2)
    accept(user, edition)
    accept(other, edition)
    if "another key" in how:
        keys = {"newer": "n" * 64} | settings.AGREEMENT["PSEUDONYM_KEYS"]
        settings.AGREEMENT = {**settings.AGREEMENT, "PSEUDONYM_KEYS": keys}
    rows, of_other = [entry_about(user), ended_hold(user)], [entry_about(other), ended_hold(other)]
    about_edition = AuditEntry.objects.log(AuditAction.CANCELLED, on=edition, by="А. Серікова", note="Қате")
    if how == "withdrawal":
        over = years(withdraw(user).effective_at, 3)
    else:
        user.delete()
        rows[0].refresh_from_db()
        over = years(rows[0].account_deleted_at, 3)

    erasure.erase(at=over - timedelta(microseconds=1))
    erasure.erase(at=over, dry_run=True)
    assert [is_erased(row) for row in rows] == [False, False]
    erasure.erase(at=over)
    assert [is_erased(row) for row in rows] == [True, True]
    assert [is_erased(row) for row in of_other] == [False, False]
    about_edition.refresh_from_db()
    assert (about_edition.note, about_edition.erased_at) == ("Қате", None)


def test_audit_entries_and_legal_holds_stay_while_any_agreement_stores_data_of_their_person():
    (user,) = factories.users(1)
    _ended, held = two_agreements(user)
    rows = [entry_about(user), ended_hold(user)]

    assert erasure.erase(at=years(NOW(), 3)).people == 1
    assert [is_erased(row) for row in rows] == [False, False]
    over = withdraw(user, agreement=held.agreement)
    erasure.erase(at=years(over.effective_at, 3))
    assert [is_erased(row) for row in rows] == [True, True]


@pytest.mark.parametrize("deleted", [False, True])
def test_audit_entries_and_earlier_legal_holds_stay_during_a_legal_hold(deleted):
    edition, (user,) = factories.published(retention_years=0), factories.users(1)
    accept(user, edition)
    rows = [entry_about(user), ended_hold(user)]
    present = LegalHold.objects.place(user=user, ground="Сот ұйғарымы № 7", by="А. Серікова")
    if deleted:
        user.delete()
    else:
        withdraw(user)

    erasure.erase(at=NOW() + 50 * YEAR)
    assert [is_erased(row) for row in (*rows, present)] == [False, False, False]
    LegalHold.objects.filter(pk=present.pk).update(held_until=NOW())
    erasure.erase(at=NOW() + 50 * YEAR)
    assert [is_erased(row) for row in (*rows, present)] == [True, True, True]


def test_audit_entries_about_users_without_any_other_record_are_erased_after_the_longest_term():
    factories.published(retention_years=5)
    factories.published(slug="library", retention_years=3)
    (user,) = factories.users(1)
    row = entry_about(user)
    user.delete()
    row.refresh_from_db()
    over = years(row.account_deleted_at, 5)

    erasure.erase(at=over - timedelta(microseconds=1))
    assert not is_erased(row)
    erasure.erase(at=over)
    assert is_erased(row)


def test_audit_entries_about_existing_accounts_are_erased_after_the_closing_of_the_site(settings):
    factories.published(retention_years=5)
    (user,) = factories.users(1)
    row, closed_at = entry_about(user), NOW()
    assert erasure.erase(at=closed_at + 50 * YEAR) == ErasureCounts()
    assert not is_erased(row)
    settings.AGREEMENT = {**settings.AGREEMENT, "CLOSED_AT": closed_at.isoformat()}

    erasure.erase(at=years(closed_at, 5) - timedelta(microseconds=1))
    assert not is_erased(row)
    erasure.erase(at=years(closed_at, 5))
    assert is_erased(row)


def test_an_ended_legal_hold_on_an_edition_is_not_erased():
    edition, (user,) = factories.published(retention_years=0), factories.users(1)
    accept(user, edition)
    hold = LegalHold.objects.place(edition=edition, ground="Сот", by="О.", held_from=NOW() - 2 * YEAR, held_until=NOW())
    user.delete()
    assert erasure.erase().people == 1
    hold.refresh_from_db()
    assert (hold.ground, hold.erased_at) == ("Сот", None)


def test_what_officers_wrote_about_a_person_is_erased_with_the_rest():
    edition, (user,) = factories.published(retention_years=0), factories.users(1)
    row = accept(user, edition, kind=AcceptanceKind.ON_BEHALF, reason="Асанның арызы № 5", officer="А. Серікова")
    refused = withdraw(user, outcome=WithdrawalOutcome.REFUSED, ground="Асанның қарызы бар.")
    ended = withdraw(user, ground="Асан өтінді.")
    erasure.erase(at=NOW())
    for one in (row, refused, ended):
        one.refresh_from_db()
    assert (row.reason, row.officer, refused.ground, ended.ground) == ("", "А. Серікова", "", "")
    reply = withdrawal_letters.withdrawal_reply(refused, "ru")
    assert reply.sentences[1] == "В удовлетворении заявления отказано."


def test_an_applicant_to_an_agreement_without_an_edition_is_erased_after_the_term_of_the_setting(settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "RETENTION_YEARS": 2}
    row = withdraw(None, agreement=factories.draft().agreement, applicant="А. Ахметов")
    over = years(row.known_at(), 2)

    assert terms.years_after(row) == 2
    assert erasure.erase(at=over - timedelta(microseconds=1)) == ErasureCounts()
    assert erasure.erase(at=over).withdrawals == 1


@pytest.mark.parametrize("end", ["account deleted", "closed"])
def test_an_acceptance_of_a_cancelled_edition_alone_is_erased_after_the_term_of_that_edition(settings, end):
    settings.AGREEMENT = {**settings.AGREEMENT, "ACCEPT_ANNOUNCED": True}
    edition = factories.published(effective_from=NOW() + timedelta(days=30), retention_years=4)
    (user,) = factories.users(1)
    row = accept(user, edition)
    edition.cancel()
    if end == "closed":
        ended = NOW()
        settings.AGREEMENT = {**settings.AGREEMENT, "CLOSED_AT": ended.isoformat()}
    else:
        user.delete()
        row.refresh_from_db()
        ended = row.account_deleted_at

    assert erasure.erase(at=years(ended, 4) - timedelta(microseconds=1)) == ErasureCounts()
    assert erasure.erase(at=years(ended, 4)).acceptances == 1
    assert_erased(row)


@pytest.mark.parametrize("accepted", [True, False])
def test_an_ended_legal_hold_on_an_existing_account_of_which_nothing_is_stored_is_erased(accepted):
    edition, (user, other) = factories.published(retention_years=0), factories.users(2)
    accept(other, edition)
    if accepted:
        accept(user, edition)
        withdraw(user)
        assert erasure.erase().people == 1
    ended, of_other = ended_hold(user), ended_hold(other)
    present = ended_hold(user, held_until=None)

    erasure.erase()
    assert [is_erased(row) for row in (ended, of_other)] == [False, False]
    LegalHold.objects.filter(pk=present.pk).update(held_until=NOW())
    erasure.erase(dry_run=True)
    assert not is_erased(ended)
    erasure.erase()
    assert [is_erased(row) for row in (ended, present, of_other)] == [True, True, False]


def test_what_is_written_about_an_existing_account_after_its_erasure_is_erased_too():
    edition, (user, other) = factories.published(retention_years=0), factories.users(2)
    accept(user, edition)
    withdraw(user)
    assert erasure.erase().people == 1
    entries = [entry_about(user), entry_about(other)]
    given, withdrawn = (
        Consent.objects.give(user=user, purpose=purpose, language="kk", text="Келісемін.") for purpose in "ab"
    )
    Consent.objects.filter(pk=withdrawn.pk).withdraw()
    hold = LegalHold.objects.place(user=user, ground="Сот ұйғарымы № 7", by="А. Серікова")

    assert erasure.erase() == ErasureCounts()
    assert [is_erased(row) for row in entries] == [False, False]
    LegalHold.objects.filter(pk=hold.pk).update(held_until=NOW())
    assert erasure.erase(dry_run=True) == erasure.erase() == ErasureCounts(consents=1)
    assert [is_erased(row) for row in entries] == [True, False]
    given.refresh_from_db()
    withdrawn.refresh_from_db()
    assert (given.user, withdrawn.user) == (user, None)


@pytest.mark.parametrize("together", [False, True])
def test_what_was_written_under_a_newer_key_is_erased_with_the_last_acceptance(settings, django_user_model, together):
    """Unless several accounts were deleted together: then it may be about another person."""
    factories.published(slug="library", retention_years=50)
    edition, (user, other) = factories.published(retention_years=3), factories.users(2)
    accept(user, edition)
    newer_key(settings)
    entry = entry_about(user)
    consent = Consent.objects.give(user=user, purpose="letters", language="kk", text="Келісемін.")
    Consent.objects.give(user=other, purpose="letters", language="kk", text="Келісемін.")
    django_user_model.objects.filter(pk__in=[user.pk, *([other.pk] if together else [])]).delete()
    entry.refresh_from_db()
    over = years(entry.account_deleted_at, 3)

    assert erasure.erase(at=over - timedelta(microseconds=1)) == ErasureCounts()
    done = ErasureCounts(people=1, acceptances=1, consents=0 if together else 1)
    assert erasure.erase(at=over, dry_run=True) == erasure.erase(at=over) == done
    consent.refresh_from_db()
    assert (is_erased(entry), bool(consent.erased_at)) == (not together, not together)
    erasure.erase(at=years(entry.account_deleted_at, 50))
    assert is_erased(entry)


@pytest.mark.parametrize("newer", [False, True])
@pytest.mark.parametrize("held", [False, True])
def test_deliveries_consents_and_entries_of_accounts_deleted_together_have_their_own_terms(
    settings, django_user_model, held, newer
):
    """If the pseudonyms are under one key. Else it is unknown of which account the rest is."""
    short, long = factories.published(retention_years=0), factories.published(slug="library", retention_years=5)
    one, other = factories.users(2)
    accept(other, short if held else long)
    if held:
        LegalHold.objects.place(user=other, ground="Сот ұйғарымы № 7", by="А. Серікова")
    if newer:
        newer_key(settings)
    accept(one, short)
    entries = [entry_about(user) for user in (one, other)]
    key, rows = one.pk, [notify(user, short) for user in (one, other)]
    django_user_model.objects.filter(pk__in=[one.pk, other.pk]).delete()

    at = NOW()
    assert erasure.erase(at=at, dry_run=True) == erasure.erase(at=at)
    stored = set(Delivery.objects.exclude(address_digest="").values_list("pk", flat=True))
    assert stored == ({row.pk for row in rows} if newer else {rows[1].pk})
    assert Delivery.objects.for_user_key(key).exists() is newer
    assert [is_erased(row) for row in entries] == [not (held and newer), False]


def test_a_notice_names_no_deleted_account_while_its_audience_is_half_written(monkeypatch):
    monkeypatch.setattr(audience, "USERS_PER_STATEMENT", 2)
    first, last, *rest = factories.users(4)
    notice = factories.published().notices.get()
    audience._write_next(notice, ("email",))
    keys, cursors = [str(first.pk), str(last.pk)], []
    for user in (None, last, first):
        if user:
            user.delete()
        erasure.erase(dry_run=True)
        erasure.erase()
        notice.refresh_from_db()
        cursors.append(notice.fan_out_cursor)
    audience.write_deliveries(notice, channels=["email"])

    assert cursors == [keys[1], keys[0], ""]
    assert list(Delivery.objects.order_by("pk").values_list("user", flat=True)) == [None, None, *(u.pk for u in rest)]


def scan_of_a_rolled_back_registration() -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        withdraw(None, applicant="А. Ахметов", scan=ContentFile(b"%PDF-", "a.pdf"))
        raise RuntimeError


def test_a_scan_that_no_withdrawal_names_is_reported_and_deleted_on_demand(settings, tmp_path):
    settings.AGREEMENT = {**settings.AGREEMENT, "PRIVATE_ROOT": str(tmp_path)}
    factories.published(retention_years=5)
    kept = withdraw(None, applicant="Б. Серіков", scan=ContentFile(b"%PDF-", "b.pdf"))
    scan_of_a_rolled_back_registration()
    files = [*tmp_path.rglob("*.pdf"), tmp_path / "withdrawals" / ".keep"]
    files[-1].touch()
    call_command("erase_expired", stdout=io.StringIO())  # The file may belong to a transaction that is still open.
    for file in files:
        os.utime(file, times=((NOW() - timedelta(days=1, minutes=1)).timestamp(),) * 2)

    for dry_run in (False, True):
        with pytest.raises(CommandError, match="1 files in the folder of scans belong to no withdrawal"):
            call_command("erase_expired", dry_run=dry_run, stdout=io.StringIO())
    assert len(list(tmp_path.rglob("*.pdf"))) == 2
    for dry_run, verb in ((True, "Would delete"), (False, "Deleted")):
        assert len(list(tmp_path.rglob("*.pdf"))) == 2
        out = io.StringIO()
        call_command("erase_expired", delete_unregistered_scans=True, dry_run=dry_run, stdout=out)
        assert f"\n{verb} 1 files in the folder of scans that belong to no withdrawal.\n" in out.getvalue()

    assert list(tmp_path.rglob("*.pdf")) == [Path(kept.scan.path)]
    call_command("erase_expired", stdout=io.StringIO())
