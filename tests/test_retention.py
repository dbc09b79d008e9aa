"""Retention: nothing goes inside its term, nothing personal stays after it, and every count stays true."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from django.utils import timezone

from agreement import retention, withdrawing
from agreement.models import Acceptance, Consent, Delivery, Edition, LegalHold, Withdrawal
from agreement.models.acceptances import Origin
from tests import factories

pytestmark = pytest.mark.django_db

NOW = timezone.now
YEAR = timedelta(days=365)


def join(user: Any, edition: Edition, **stated: Any) -> Acceptance:
    stated.setdefault("kind", Acceptance.Kind.EXPLICIT)
    origin = Origin(ip="203.0.113.7", user_agent="Mozilla/5.0")
    return Acceptance.objects.record(
        user=user, edition=edition, digest=edition.digest, language="kk", origin=origin, **stated
    )


def leave(user: Any, **stated: Any) -> Withdrawal:
    stated = {"outcome": Withdrawal.Outcome.ENDED, "received_on": date(2026, 1, 1)} | stated
    return Withdrawal.objects.register(user=user, **{"agreement": factories.agreement()} | stated)


def years(at: datetime, count: int) -> datetime:
    return retention._years_later(at, count)


def assert_kept() -> None:
    assert set(Acceptance.objects.values_list("ip", "user_agent", "erased_at")) == {
        ("203.0.113.7", "Mozilla/5.0", None)
    }


def assert_erased(row: Acceptance) -> None:
    row.refresh_from_db()
    assert (row.ip, row.user_agent, row.pseudonym, row.pseudonym_key, row.user_id) == (None, "", "", "", None)
    assert row.erased_at
    assert row.edition.digest == row.digest  # What was joined, when and how stays.


def test_after_a_withdrawal_that_ended_it_the_longest_term_runs_of_the_editions_that_bound():
    first = factories.published(retention_years=5)
    (user,) = factories.users(1)
    join(user, first)
    second = factories.published(retention_years=3)
    row = join(user, second)
    factories.published(retention_years=9)  # Never joined, so it binds nobody.
    Consent.objects.give(user=user, purpose="registration", language="kk", text="Келісемін.")
    left = leave(user)
    over = years(left.effective_at, 5)

    early = retention.erase(at=over - timedelta(microseconds=1))
    assert early == retention.Tally()
    assert_kept()
    tried = retention.erase(at=over, dry_run=True)
    assert_kept()
    done = retention.erase(at=over)

    assert tried == done == retention.Tally(people=1, joinings=2, withdrawals=1, consents=1)
    assert_erased(row)
    assert Acceptance.objects.count() == 2
    assert retention.erase(at=over) == retention.Tally()


def wording(**stated: Any) -> Edition:
    return factories.published(material=False, **stated)


def test_an_edition_that_changed_wording_alone_binds_whoever_joined_the_one_before():
    user, later = factories.users(2)
    row = join(user, factories.published(retention_years=1))
    wording(retention_years=5)
    last = wording(retention_years=2)
    join(later, last)
    left, other = leave(user), leave(later)
    wording(retention_years=9)  # After they left.

    assert left.edition == other.edition == last
    assert [withdrawing.reply(row, "ru").sentences[2] for row in (left, other)] == [
        "Персональные данные хранятся с этого момента 5 лет, как установлено соглашением, затем уничтожаются.",
        "Персональные данные хранятся с этого момента 2 года, как установлено соглашением, затем уничтожаются.",
    ]
    assert retention.erase(at=years(other.effective_at, 2)).people == 1
    assert retention.erase(at=years(left.effective_at, 5) - timedelta(microseconds=1)) == retention.Tally()
    assert retention.erase(at=years(left.effective_at, 5)).people == 1
    assert_erased(row)


def test_an_edition_joined_beforehand_is_not_the_one_that_bound_whoever_left_before_its_effect(settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "JOIN_BEFOREHAND": True}
    first = factories.published()
    next_one = factories.published(effective_from=NOW() + timedelta(days=30))
    (user,) = factories.users(1)
    join(user, first)
    join(user, next_one)
    assert leave(user).edition == first


def test_an_edition_taken_back_bound_nobody_though_it_was_joined_beforehand(settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "JOIN_BEFOREHAND": True}
    first = factories.published(retention_years=1)
    taken_back = factories.published(effective_from=NOW() + timedelta(days=30), retention_years=9)
    user, held = factories.users(2)
    for one in (user, held):
        join(one, first)
        join(one, taken_back)
    taken_back.cancel()
    left, _other = (leave(one, effective_at=NOW() + timedelta(days=40)) for one in (user, held))

    assert left.edition == first
    assert retention.years(left) == 1
    name = LegalHold.objects.hold(ground="Сот ұйғарымы № 7", by="А. Серікова", user=held)
    assert retention.erase(at=years(left.effective_at, 2)) == retention.Tally(
        people=1, joinings=2, withdrawals=1, held=1
    )
    name.delete()
    LegalHold.objects.hold(ground="Сот ұйғарымы № 8", by="А. Серікова", edition=taken_back)
    assert retention.erase(at=years(left.effective_at, 2)).held == 1, "who joined it may have to be proved"


def test_what_took_effect_after_he_had_left_bound_him_by_no_entry_made_later():
    first = factories.published(retention_years=1)
    (user,) = factories.users(1)
    join(user, first)
    leave(user, outcome=Withdrawal.Outcome.SUSPENDED)
    wording(retention_years=9)
    left = leave(user)

    assert left.edition == first
    assert retention.years(left) == 1
    assert retention.erase(at=years(left.effective_at, 1)).people == 1


def test_an_ending_entered_late_leaves_him_unbound_by_what_came_after_the_entry():
    first = factories.published(retention_years=1)
    (user,) = factories.users(1)
    join(user, first)
    left = leave(user, effective_at=LONG_AGO)
    wording(retention_years=9)

    assert retention.erase(at=years(left.registered_at, 1)).people == 1


def test_a_hold_on_an_edition_that_bound_without_being_joined_keeps_whom_it_bound():
    edition = factories.published(retention_years=1)
    held, free = factories.users(2)
    for user in (held, free):
        join(user, edition)
    leave(free)
    LegalHold.objects.hold(ground="Сот ұйғарымы № 7", by="А. Серікова", edition=wording(retention_years=1))
    leave(held)

    assert retention.erase(at=NOW() + 50 * YEAR) == retention.Tally(people=1, joinings=1, withdrawals=1, held=1)


@pytest.mark.parametrize("outcome", [Withdrawal.Outcome.SUSPENDED, Withdrawal.Outcome.REFUSED])
def test_what_did_not_end_the_agreement_begins_no_term(outcome):
    edition = factories.published(retention_years=1)
    (user,) = factories.users(1)
    join(user, edition)
    leave(user, outcome=outcome, ground="Негіз")
    assert retention.erase(at=NOW() + 50 * YEAR) == retention.Tally()
    assert_kept()


def test_joining_again_stops_the_term_and_leaving_again_begins_it_anew():
    edition = factories.published(retention_years=1)
    (user,) = factories.users(1)
    join(user, edition)
    leave(user)
    join(user, edition)
    assert retention.erase(at=NOW() + 50 * YEAR) == retention.Tally()
    last = leave(user)
    assert retention.erase(at=years(last.effective_at, 1)).joinings == 2


def test_a_living_account_that_left_stays_outside_after_its_data_are_erased():
    edition = factories.published(retention_years=1)
    (user,) = factories.users(1)
    join(user, edition)
    left = leave(user)
    retention.erase(at=years(left.effective_at, 1))
    assert Acceptance.objects.departure(user_key=user.pk, agreement=edition.agreement_id)
    assert join(user, edition).round == 2
    again = leave(user)
    assert retention.erase(at=years(again.effective_at, 1)).joinings == 1


def test_what_is_erased_already_lengthens_no_later_term():
    edition = factories.published(retention_years=9)
    (user,) = factories.users(1)
    join(user, edition)
    left = leave(user)
    retention.erase(at=years(left.effective_at, 9))
    join(user, factories.published(retention_years=1))
    again = leave(user)
    assert retention.erase(at=years(again.effective_at, 1)).joinings == 1


def test_a_deleted_account_is_kept_for_its_term_and_then_nobody_finds_it():
    edition = factories.published(retention_years=3)
    (user,) = factories.users(1)
    key = user.pk
    row = join(user, edition)
    user.delete()
    row.refresh_from_db()
    over = years(row.account_deleted_at, 3)

    retention.erase(at=over - timedelta(microseconds=1))
    assert Acceptance.objects.of(key).count() == 1
    retention.erase(at=over)
    assert Acceptance.objects.of(key).count() == 0
    assert_erased(row)


def test_without_keys_each_joining_of_a_deleted_account_has_the_term_of_its_own_edition(settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "PSEUDONYM_KEYS": {}}
    edition = factories.published(retention_years=3)
    (user,) = factories.users(1)
    row = join(user, edition)
    user.delete()
    row.refresh_from_db()
    assert retention.erase(at=years(row.account_deleted_at, 3)).joinings == 1


def test_a_key_changed_in_between_makes_nothing_go_early(settings):
    """Two pseudonyms of one account, which only the moment of its deletion joins."""
    first = factories.published(retention_years=1)
    (user,) = factories.users(1)
    join(user, first)
    keys = dict(settings.AGREEMENT["PSEUDONYM_KEYS"])
    settings.AGREEMENT = {**settings.AGREEMENT, "PSEUDONYM_KEYS": {"new": "n" * 64} | keys}
    row = join(user, factories.published(retention_years=5))
    user.delete()
    row.refresh_from_db()

    assert retention.erase(at=years(row.account_deleted_at, 5) - timedelta(seconds=1)) == retention.Tally()
    assert retention.erase(at=years(row.account_deleted_at, 5)).joinings == 2


def test_accounts_deleted_together_have_their_own_terms(django_user_model):
    long = factories.published(retention_years=5)
    one, other = factories.users(2)
    join(one, long)
    join(other, factories.published(retention_years=1))
    django_user_model.objects.all().delete()
    at = Acceptance.objects.first().account_deleted_at
    assert retention.erase(at=years(at, 1)).joinings == 1
    assert Acceptance.objects.get(erased_at=None).edition == long


def newer_key(settings: Any) -> None:
    keys = dict(settings.AGREEMENT["PSEUDONYM_KEYS"])
    settings.AGREEMENT = {**settings.AGREEMENT, "PSEUDONYM_KEYS": {"newer": "n" * 64} | keys}


LONG_AGO = datetime(2026, 1, 2, tzinfo=UTC)


def test_of_accounts_deleted_together_under_two_keys_no_one_shortens_anothers_term(settings, django_user_model):
    edition = factories.published(retention_years=3)
    one, other = factories.users(2)
    join(one, edition, kind=Acceptance.Kind.IMPORTED, at=NOW())
    leave(one, effective_at=LONG_AGO)
    newer_key(settings)
    row = join(other, edition)
    django_user_model.objects.all().delete()
    row.refresh_from_db()

    retention.erase(at=years(row.account_deleted_at, 3) - timedelta(microseconds=1))
    row.refresh_from_db()
    assert row.erased_at is None
    assert retention.erase(at=years(row.account_deleted_at, 3)).joinings == 2


def test_joining_again_under_a_newer_key_keeps_the_first_round_too(settings):
    edition = factories.published(retention_years=3)
    (user,) = factories.users(1)
    first = join(user, edition)
    left = leave(user)
    newer_key(settings)
    join(user, edition)
    user.delete()
    first.refresh_from_db()

    assert retention.erase(at=years(left.effective_at, 3)) == retention.Tally()
    assert retention.erase(at=years(first.account_deleted_at, 3)).joinings == 2


def test_without_keys_nothing_of_an_account_goes_before_the_longest_of_its_terms(settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "PSEUDONYM_KEYS": {}}
    (user,) = factories.users(1)
    join(user, factories.published(retention_years=1))
    row = join(user, factories.published(retention_years=5))
    user.delete()
    row.refresh_from_db()

    assert retention.erase(at=years(row.account_deleted_at, 5) - timedelta(microseconds=1)) == retention.Tally()
    assert retention.erase(at=years(row.account_deleted_at, 5)).joinings == 2


def test_an_ending_entered_late_begins_the_term_though_its_effect_came_before_another_departure():
    """Registered after he had joined again, and effective before: by it he is outside, and nothing else ends it."""
    edition = factories.published(retention_years=3)
    (user,) = factories.users(1)
    join(user, edition)
    leave(user, outcome=Withdrawal.Outcome.SUSPENDED)
    again = join(user, edition)
    leave(user, effective_at=LONG_AGO)
    assert Acceptance.objects.departure(user_key=user.pk, agreement=edition.agreement_id)

    assert retention.erase(at=years(again.at, 3) - timedelta(microseconds=1)) == retention.Tally()
    assert retention.erase(at=years(again.at, 3)).joinings == 2


def test_a_departure_that_ended_it_counts_though_the_one_before_is_erased_and_the_account_gone():
    edition = factories.published(retention_years=0)
    (user,) = factories.users(1)
    join(user, edition)
    leave(user)
    retention.erase()
    longer = factories.published(retention_years=3)
    row = join(user, longer)
    left = leave(user)
    user.delete()
    row.refresh_from_db()

    assert retention.erase(at=years(left.effective_at, 3)).joinings == 1
    assert years(left.effective_at, 3) < years(row.account_deleted_at, 3)


def test_a_closed_site_begins_every_term(settings):
    edition = factories.published(retention_years=3)
    for user in factories.users(3):
        join(user, edition)
    closed = NOW() - timedelta(hours=1)
    settings.AGREEMENT = {**settings.AGREEMENT, "CLOSED_AT": closed.isoformat()}
    assert retention.erase(at=years(closed, 3) - timedelta(seconds=1)) == retention.Tally()
    assert retention.erase(at=years(closed, 3)).people == 3


def test_a_closed_site_begins_the_term_of_those_who_joined_nothing_too(settings):
    edition = factories.published(retention_years=3)
    joined, stranger, held = factories.users(3)
    join(joined, edition)
    for user in (joined, stranger, held):
        told(user, edition)
        Consent.objects.give(user=user, purpose="registration", language="kk", text="Келісемін.")
    LegalHold.objects.hold(ground="Сот ұйғарымы № 7", by="А. Серікова", user=held)
    assert retention.erase(at=NOW() + 50 * YEAR) == retention.Tally()
    closed = NOW() - timedelta(hours=1)
    settings.AGREEMENT = {**settings.AGREEMENT, "CLOSED_AT": closed.isoformat()}
    over = years(closed, 3)

    assert retention.erase(at=over - timedelta(microseconds=1)) == retention.Tally()
    done = retention.Tally(people=1, joinings=1, consents=2, deliveries=2)
    assert retention.erase(at=over, dry_run=True) == retention.erase(at=over) == done
    assert list(Delivery.objects.exclude(address_digest="").values_list("user", flat=True)) == [held.pk]
    assert list(Consent.objects.filter(erased_at=None).values_list("user", flat=True)) == [held.pk]


@pytest.mark.parametrize("of", ["user", "deleted user", "edition"])
def test_a_legal_hold_keeps_what_it_names_until_it_ends(of, settings):
    edition = factories.published(retention_years=1)
    held, other = factories.users(2)
    join(held, edition)
    about = {"edition": edition} if of == "edition" else {"user": held}
    hold = LegalHold.objects.hold(ground="Сот ұйғарымы № 7", by="А. Серікова", **about)
    settings.AGREEMENT = {
        **settings.AGREEMENT,
        "PSEUDONYM_KEYS": {"newer": "n" * 64} | settings.AGREEMENT["PSEUDONYM_KEYS"],
    }
    leave(held)
    if of == "deleted user":
        held.delete()
    at = NOW() + 50 * YEAR

    assert retention.erase(at=at) == retention.Tally(held=1)
    assert_kept()
    LegalHold.objects.filter(pk=hold.pk).update(held_until=NOW() + YEAR)
    assert retention.erase(at=at).people == 1
    del other


def test_address_digests_go_with_the_rest():
    """Of a living account that left, and of a deleted one, each in its time; nothing says it was not sent."""
    edition = factories.published(retention_years=3)
    notice = edition.notices.get()
    stays, left, gone = factories.users(3)
    for user in (stays, left, gone):
        join(user, edition)
        Delivery.objects.create(
            notice=notice,
            user=user,
            channel="email",
            outcome="sent",
            due_at=NOW(),
            settled_at=NOW(),
            address_digest="d",
        )
    over = years(leave(left).effective_at, 3)
    gone.delete()
    deleted = Delivery.objects.get(user=None)

    assert retention.erase(at=over).deliveries == 1
    assert retention.erase(at=years(deleted.account_deleted_at, 3), dry_run=True).joinings == 1
    assert retention.erase(at=years(deleted.account_deleted_at, 3)).deliveries == 1
    assert list(Delivery.objects.exclude(address_digest="").values_list("user", flat=True)) == [stays.pk]
    assert Delivery.objects.filter(outcome="sent").count() == 3


def told(user: Any, edition: Edition) -> Delivery:
    return Delivery.objects.create(
        notice=edition.notices.get(),
        user=user,
        channel="email",
        outcome="sent",
        due_at=NOW(),
        settled_at=NOW(),
        address_digest="d",
    )


def test_a_dry_run_counts_the_digests_that_go_with_the_joinings():
    edition = factories.published(retention_years=0)
    (user,) = factories.users(1)
    join(user, edition)
    told(user, edition)
    user.delete()
    at = NOW()
    assert (
        retention.erase(at=at, dry_run=True)
        == retention.erase(at=at)
        == retention.Tally(people=1, joinings=1, deliveries=1)
    )


def test_what_a_deleted_account_was_told_is_found_until_its_term_is_over():
    edition = factories.published(retention_years=3)
    (user,) = factories.users(1)
    key, row = user.pk, told(user, edition)
    user.delete()
    row.refresh_from_db()
    over = years(row.account_deleted_at, 3)

    retention.erase(at=over - timedelta(microseconds=1))
    assert list(Delivery.objects.of(key)) == [row]
    assert retention.erase(at=over).deliveries == 1
    assert list(Delivery.objects.of(key)) == []
    row.refresh_from_db()
    assert (row.address_digest, row.pseudonym, row.pseudonym_key, row.outcome) == ("", "", "", "sent")


def test_a_hold_on_an_edition_keeps_who_was_told_of_it_and_nobody_else():
    held, other = factories.published(retention_years=1), factories.published(retention_years=1)
    one, two = factories.users(2)
    rows = [told(one, held), told(two, other)]
    for user in (one, two):
        user.delete()
    LegalHold.objects.hold(ground="Сот ұйғарымы № 7", by="А. Серікова", edition=held)

    assert retention.erase(at=NOW() + 50 * YEAR).deliveries == 1
    assert list(Delivery.objects.exclude(address_digest="")) == rows[:1]


def test_a_hold_on_an_edition_keeps_who_was_told_of_it_though_he_joined_another_and_left():
    joined = factories.published(retention_years=0)
    (user,) = factories.users(1)
    join(user, joined)
    held = factories.published(retention_years=0)
    told(user, joined)
    kept = told(user, held)
    hold = LegalHold.objects.hold(ground="Сот ұйғарымы № 7", by="А. Серікова", edition=held)
    leave(user)

    assert retention.erase() == retention.Tally(people=1, joinings=1, withdrawals=1, deliveries=1)
    assert list(Delivery.objects.exclude(address_digest="")) == [kept]
    assert retention.erase() == retention.Tally()
    LegalHold.objects.filter(pk=hold.pk).update(held_until=NOW())
    assert retention.erase() == retention.Tally(people=1, deliveries=1)
    assert not Delivery.objects.exclude(address_digest="").exists()
    assert retention.erase() == retention.Tally()


def test_a_hold_on_a_person_keeps_what_was_told_to_a_deleted_account():
    edition = factories.published(retention_years=1)
    one, two = factories.users(2)
    rows = [told(one, edition), told(two, edition)]
    LegalHold.objects.hold(ground="Сот ұйғарымы № 7", by="А. Серікова", user=one)
    for user in (one, two):
        user.delete()

    assert retention.erase(at=NOW() + 50 * YEAR).deliveries == 1
    assert list(Delivery.objects.exclude(address_digest="")) == rows[:1]


def test_a_hold_follows_its_person_to_keys_that_came_later(settings):
    (user,) = factories.users(1)
    LegalHold.objects.hold(ground="Сот ұйғарымы № 7", by="А. Серікова", user=user)
    settings.AGREEMENT = {
        **settings.AGREEMENT,
        "PSEUDONYM_KEYS": {"newer": "n" * 64} | settings.AGREEMENT["PSEUDONYM_KEYS"],
    }
    row = join(user, factories.published(retention_years=1))
    user.delete()
    row.refresh_from_db()
    assert row.pseudonym_key == "newer"
    assert retention.erase(at=NOW() + 50 * YEAR) == retention.Tally(held=1)


def test_an_account_that_is_gone_is_held_by_its_key():
    edition = factories.published(retention_years=1)
    one, other = factories.users(2)
    for user in (one, other):
        join(user, edition)
        told(user, edition)
    Consent.objects.give(user=one, purpose="registration", language="kk", text="Келісемін.")
    key = one.pk
    hold = {"ground": "Сот ұйғарымы № 7", "by": "А. Серікова"}
    with pytest.raises(ValidationError, match=str(key)):  # It exists.
        LegalHold.objects.hold(account=key, **hold)
    for user in (one, other):
        user.delete()
    for wrong in (key + 99, "nobody"):
        with pytest.raises(ValidationError, match=str(wrong)):
            LegalHold.objects.hold(account=wrong, **hold)
    LegalHold.objects.hold(account=str(key), **hold)

    assert retention.erase(at=NOW() + 50 * YEAR) == retention.Tally(people=1, joinings=1, deliveries=1, held=1)
    assert [rows.of(key).count() for rows in (Acceptance.objects, Consent.objects, Delivery.objects)] == [1, 1, 1]


@pytest.mark.parametrize("by", ["its own number", "the register's"])
def test_an_applicant_without_an_account_is_held_by_the_application(by):
    factories.published(retention_years=1)
    held, _other = leave(None, applicant="А. Ахметов", application_number="12-к"), leave(None, applicant="Б. Серіков")
    of_user = leave(factories.users(1)[0], application_number="13-к")
    hold = {"ground": "Сот ұйғарымы № 7", "by": "А. Серікова"}
    for wrong in ("99", of_user.application_number, of_user.reference):
        with pytest.raises(ValidationError, match=wrong):
            LegalHold.objects.hold(application=wrong, **hold)
    number = held.application_number if by == "its own number" else held.reference
    LegalHold.objects.hold(application=number, **hold)

    assert retention.erase(at=NOW() + 50 * YEAR).held == 1
    held.refresh_from_db()
    assert held.applicant == "А. Ахметов"
    assert Withdrawal.objects.filter(erased_at=None).count() == 1


def test_a_hold_placed_since_the_instant_asked_about_keeps_all_the_same():
    (user,) = factories.users(1)
    join(user, factories.published(retention_years=0))
    leave(user)
    over = NOW()
    LegalHold.objects.hold(ground="Сот ұйғарымы № 7", by="А. Серікова", user=user)
    assert retention.erase(at=over) == retention.Tally(held=1)


def test_a_hold_placed_while_a_run_goes_on_keeps_what_the_run_has_not_erased_yet(monkeypatch):
    (user,) = factories.users(1)
    join(user, factories.published(retention_years=0))
    leave(user)
    found = retention.expired

    def looked_up(*of: Any) -> Iterator[retention.Person]:
        yield from found(*of)
        LegalHold.objects.hold(ground="Сот ұйғарымы № 7", by="А. Серікова", user=user)

    monkeypatch.setattr(retention, "expired", looked_up)
    assert retention.erase() == retention.Tally(held=1)
    assert_kept()


def test_a_hold_names_just_one():
    edition, (user,) = factories.published(), factories.users(1)
    for about in ({}, {"user": user, "edition": edition}, {"edition": edition, "application": "12"}):
        with pytest.raises(ValidationError) as caught:
            LegalHold.objects.hold(ground="Сот ұйғарымы № 7", by="А. Серікова", **about)
        assert caught.value.code == "one_of"


def test_without_keys_nobody_is_held_who_could_not_be_found(settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "PSEUDONYM_KEYS": {}}
    (user,) = factories.users(1)
    with pytest.raises(ValidationError, match="PSEUDONYM_KEYS"):
        LegalHold.objects.hold(ground="Сот ұйғарымы № 7", by="А. Серікова", user=user)


def test_scans_and_applicants_go_with_their_term(settings, tmp_path):
    settings.AGREEMENT = {**settings.AGREEMENT, "PRIVATE_ROOT": str(tmp_path)}
    factories.published(retention_years=3)
    row = leave(None, applicant="А. Ахметов", application_number="12", scan=ContentFile(b"%PDF-", "a.pdf"))
    over = years(row.registered_at, 3)
    retention.erase(at=over - timedelta(seconds=1))
    assert len(list(tmp_path.rglob("*.pdf"))) == 1
    assert retention.erase(at=over).withdrawals == 1
    row.refresh_from_db()
    assert (row.applicant, row.application_number, row.scan.name) == ("", "", "")
    assert list(tmp_path.rglob("*.pdf")) == []
    assert row.reference.startswith("terms/")


@pytest.mark.parametrize("why", ["refused", "not mounted", "no folder"])
def test_nothing_of_whoever_is_marked_erased_while_his_scan_is_there(settings, tmp_path, monkeypatch, why):
    private = tmp_path / "private"
    settings.AGREEMENT = {**settings.AGREEMENT, "PRIVATE_ROOT": str(private)}
    factories.published(retention_years=0)
    row = leave(None, applicant="А. Ахметов", application_number="12", scan=ContentFile(b"%PDF-", "a.pdf"))
    other = leave(None, applicant="Б. Серіков")
    if why == "refused":
        monkeypatch.setattr(Path, "unlink", refused)
        monkeypatch.setattr("os.remove", refused)
    elif why == "not mounted":
        private.rename(tmp_path / "elsewhere")
    else:
        settings.AGREEMENT = {**settings.AGREEMENT, "PRIVATE_ROOT": ""}

    with pytest.raises(CommandError, match="Of 1 people nothing was erased"):
        call_command("erase_expired", stdout=io.StringIO())

    row.refresh_from_db()
    other.refresh_from_db()
    assert (row.applicant, row.erased_at, other.applicant) == ("А. Ахметов", None, "")
    assert len(list(tmp_path.rglob("*.pdf"))) == 1
    monkeypatch.undo()
    if why == "not mounted":
        (tmp_path / "elsewhere").rename(private)
    settings.AGREEMENT = {**settings.AGREEMENT, "PRIVATE_ROOT": str(private)}
    assert retention.erase() == retention.Tally(people=1, withdrawals=1)
    row.refresh_from_db()
    assert (row.applicant, row.scan.name) == ("", "")
    assert list(tmp_path.rglob("*.pdf")) == []


def refused(*_about: Any, **_also: Any) -> None:
    raise PermissionError("no")


def test_editions_still_verify_after_everything_was_erased(settings):
    edition = factories.published(retention_years=0)
    for user in factories.users(3):
        join(user, edition)
        user.delete()
    retention.erase(at=NOW())
    out = io.StringIO()
    call_command("verify_editions", stdout=out)
    assert "1 editions verified" in out.getvalue()
    assert Acceptance.objects.filter(edition=edition).count() == 3


def test_the_command_tells_exactly_what_and_changes_nothing_dry():
    edition = factories.published(retention_years=0)
    (user,) = factories.users(1)
    join(user, edition)
    user.delete()
    out = io.StringIO()
    call_command("erase_expired", dry_run=True, stdout=out)
    assert_kept()
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
    assert retention._years_later(at, count) == expected


def test_a_killed_run_is_finished_by_the_next(monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 1)
    edition = factories.published(retention_years=0)
    for user in factories.users(3):
        join(user, edition)
        user.delete()
    real = retention._erase
    calls = []

    def killed(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    monkeypatch.setattr(retention, "_erase", killed)
    with pytest.raises(KeyboardInterrupt):
        retention.erase()
    monkeypatch.setattr(retention, "_erase", real)
    assert Acceptance.objects.exclude(erased_at=None).count() == 1
    assert retention.erase().people == 2


def two_agreements(user: Any) -> tuple[Edition, Edition]:
    """Both joined, and one left."""
    ended, held = factories.published(retention_years=3), factories.published(slug="library", retention_years=3)
    for edition in (ended, held):
        join(user, edition)
    leave(user)
    return ended, held


def test_the_end_of_one_agreement_ends_no_others_term():
    """Though somebody else ended that other one, and both are erased together."""
    user, other = factories.users(2)
    ended, held = two_agreements(user)
    join(other, held)
    Withdrawal.objects.register(agreement=held.agreement, user=other, outcome="ended", received_on=date(2026, 1, 1))
    for edition in (ended, held):
        for each in (user, other):
            told(each, edition)

    assert retention.erase(at=years(NOW(), 3)).deliveries == 2
    kept = Delivery.objects.exclude(address_digest="").values_list("user", "notice__edition")
    assert set(kept) == {(user.pk, held.pk), (other.pk, ended.pk)}


def test_a_consent_stays_while_any_agreement_keeps_its_user():
    (user,) = factories.users(1)
    consent = Consent.objects.give(user=user, purpose="registration", language="kk", text="Келісемін.")
    _ended, held = two_agreements(user)

    assert retention.erase(at=years(NOW(), 3)).consents == 0
    over = Withdrawal.objects.register(
        agreement=held.agreement, user=user, outcome="ended", received_on=date(2026, 1, 1)
    )
    assert retention.erase(at=years(over.effective_at, 3)).consents == 1
    consent.refresh_from_db()
    assert consent.erased_at


@pytest.mark.parametrize("keys", [{}, {"a": "k" * 40}])
@pytest.mark.parametrize("deleted", [True, False])
@pytest.mark.parametrize("joined", [True, False])
def test_a_dry_run_counts_once_the_consents_of_whoever_left_several_agreements(
    settings, monkeypatch, keys, deleted, joined
):
    """Whichever transaction the end of each of them would be erased in."""
    monkeypatch.setattr(retention, "BATCH", 1)
    settings.AGREEMENT = {**settings.AGREEMENT, "PSEUDONYM_KEYS": keys}
    (user,) = factories.users(1)
    Consent.objects.give(user=user, purpose="registration", language="kk", text="Келісемін.")
    for edition in (factories.published(retention_years=3), factories.published(slug="library", retention_years=3)):
        if joined:
            join(user, edition)
        leave(user, agreement=edition.agreement)
    if deleted:
        user.delete()

    at = NOW() + 10 * YEAR
    assert retention.erase(at=at, dry_run=True) == retention.erase(at=at)
    assert not Consent.objects.filter(erased_at=None).exists()


def test_a_dry_run_counts_once_what_was_told_to_whoever_left_without_joining(settings):
    edition, (user,) = factories.published(retention_years=1), factories.users(1)
    leave(user)
    told(user, edition)
    settings.AGREEMENT = {**settings.AGREEMENT, "CLOSED_AT": NOW().isoformat()}

    at = NOW() + 10 * YEAR
    assert (
        retention.erase(at=at, dry_run=True)
        == retention.erase(at=at)
        == retention.Tally(people=1, withdrawals=1, deliveries=1)
    )


def test_without_keys_a_refused_application_begins_no_term(settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "PSEUDONYM_KEYS": {}}
    edition = factories.published(retention_years=3)
    (user,) = factories.users(1)
    join(user, edition)
    refused = leave(user, outcome="refused", ground="Шешілмеген дау.")
    user.delete()
    refused.refresh_from_db()

    retention.erase(at=years(refused.account_deleted_at, 3) - timedelta(microseconds=1))
    refused.refresh_from_db()
    assert refused.erased_at is None
