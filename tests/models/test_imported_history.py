"""Imported history: many acceptances at once give what ``record()`` gives for one after the other."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from agreement.models import (
    Acceptance,
    AcceptanceKind,
    ContradictionError,
    Edition,
    HistoricAcceptance,
    StaleEditionError,
    Withdrawal,
    WithdrawnError,
)
from agreement.signals import acceptance_recorded
from tests.support import factories
from tests.support.scale import examples

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
START = timezone.now().replace(microsecond=0) - 30 * DAY
LENGTH = 10
"""For so many days each edition was in force, the last one until now."""


def past_editions(count: int = 3) -> list[Edition]:
    editions = [factories.draft() for _ in range(count)]
    for place, edition in enumerate(editions):
        edition.record(effective_from=START + place * LENGTH * DAY)
    return editions


def row(user: Any, edition: Edition, day: float, language: str = "kk") -> HistoricAcceptance:
    return HistoricAcceptance(user=user.pk, edition=edition.pk, language=language, at=START + day * DAY)


def record(one: HistoricAcceptance, users: dict[Any, Any], editions: dict[int, Edition]) -> bool | ValidationError:
    edition = editions[one.edition]
    try:
        return Acceptance.objects.record(
            user=users[one.user],
            edition=edition,
            digest=edition.digest,
            language=one.language,
            kind=AcceptanceKind.IMPORTED,
            at=one.at,
        ).created
    except ValidationError as error:
        return error


def stored() -> list[tuple[Any, ...]]:
    """The acceptances without their keys and the moment of recording."""
    names = [field.attname for field in Acceptance._meta.concrete_fields if field.name not in {"id", "recorded_at"}]
    return sorted(Acceptance.objects.values_list(*names), key=repr)


def withdraw(chance: random.Random, user: Any, edition: Edition) -> None:
    effective_at = START + chance.randrange(-1, 31) * DAY
    outcome = chance.choice(["ended", "suspended", "refused"])
    Withdrawal.objects.register(
        agreement=edition.agreement,
        user=user,
        outcome=outcome,
        received_on=(START - 2 * DAY).date(),
        effective_at=effective_at,
        ground="No ground." if outcome == "refused" else "",
        may_accept_again=chance.random() < 0.7,
    )


def random_row(chance: random.Random, users: list[Any], editions: list[Edition]) -> HistoricAcceptance:
    """Mostly of the edition that was in force then."""
    day = chance.randrange(30)
    edition = chance.choice(editions) if chance.random() < 0.1 else editions[day // LENGTH]
    return row(chance.choice(users), edition, day, chance.choice(["kk", "kk", "ru", ""]))


@settings(max_examples=examples(300))
@given(st.randoms(use_true_random=False))
def test_many_rows_at_once_are_recorded_as_one_after_the_other(chance):
    with transaction.atomic():
        editions, users = past_editions(), factories.users(3)
        by_key = {edition.pk: edition for edition in editions}
        accounts = {user.pk: user for user in users}
        for _event in range(chance.randrange(8)):  # What the site knows already.
            match chance.randrange(3):
                case 0:
                    withdraw(chance, chance.choice(users), editions[0])
                case 1:
                    record(random_row(chance, users, editions), accounts, by_key)
                case 2:
                    Acceptance.objects.record(
                        user=chance.choice(users),
                        edition=editions[-1],
                        digest=editions[-1].digest,
                        language="kk",
                        kind=AcceptanceKind.ON_BEHALF,
                        reason="On paper.",
                        officer="Officer",
                    )
        rows = [random_row(chance, users, editions) for _ in range(chance.randrange(1, 12))]
        before = stored()
        with transaction.atomic():
            wanted = [record(one, accounts, by_key) for one in rows]
            after = stored()
            transaction.set_rollback(True)
        agreement = editions[0].agreement_id

        checked = Acceptance.objects.import_history(rows, agreement=agreement, dry_run=True)
        found = Acceptance.objects.import_history(rows, agreement=agreement)

        assert [*map(type, checked)] == [*map(type, found)]
        for outcome, expected, one in zip(found, wanted, rows, strict=True):
            if isinstance(outcome, ContradictionError):  # The first row counts, if they are recorded one by one.
                assert expected is False
                first = rows[outcome.earlier]
                assert (first.user, first.edition) == (one.user, one.edition)
                assert (first.at, first.language) != (one.at, one.language)
            elif isinstance(outcome, bool):
                assert outcome == expected
            else:
                assert type(outcome) is type(expected)
        if any(isinstance(outcome, ValidationError) for outcome in found):
            assert stored() == before
            right = [one for one, outcome in zip(rows, found, strict=True) if isinstance(outcome, bool)]
            for user in users:  # In several calls, each with all rows of its users.
                of_user = [one for one in right if one.user == user.pk]
                assert all(
                    isinstance(one, bool) for one in Acceptance.objects.import_history(of_user, agreement=agreement)
                )
        assert stored() == after
        transaction.set_rollback(True)


@pytest.mark.parametrize(
    ("second", "error"),
    [
        pytest.param((0, 1, 3), ContradictionError, id="another moment"),
        pytest.param((0, 1, 1, "ru"), ContradictionError, id="another language"),
        pytest.param((1, 2, 1), StaleEditionError, id="an edition that was not in force"),
        pytest.param((2, 1, 6), WithdrawnError, id="after a final withdrawal"),
    ],
)
def test_a_row_with_an_error_prevents_the_others(second, error):
    editions, users = past_editions(), factories.users(3)
    Withdrawal.objects.register(
        agreement=editions[0].agreement,
        user=users[2],
        outcome="ended",
        received_on=START.date(),
        effective_at=START + 5 * DAY,
        may_accept_again=False,
    )
    user, number, *rest = second
    rows = [row(users[0], editions[0], 1), row(users[user], editions[number - 1], *rest)]
    outcomes = Acceptance.objects.import_history(rows, agreement=editions[0].agreement_id)
    assert outcomes[0] is True
    assert type(outcomes[1]) is error
    assert not Acceptance.objects.exists()


def test_history_of_the_future_is_refused():
    (edition,), (user,) = past_editions(1), factories.users(1)
    with pytest.raises(ValueError, match="needs an instant in the past"):
        Acceptance.objects.import_history([row(user, edition, 31)], agreement=edition.agreement_id)


def test_an_edition_of_another_agreement_is_refused():
    (edition,), (user,) = past_editions(1), factories.users(1)
    other = factories.published(slug="privacy")
    (outcome,) = Acceptance.objects.import_history([row(user, edition, 1)], agreement=other.agreement_id)
    assert isinstance(outcome, StaleEditionError)


def test_the_queries_do_not_depend_on_the_number_of_rows():
    (edition,), users = past_editions(1), factories.users(40)
    counts = []
    for part in (users[:2], users[2:]):
        rows = [row(user, edition, 1) for user in part]
        with CaptureQueriesContext(connection) as queries:
            assert all(Acceptance.objects.import_history(rows, agreement=edition.agreement_id))
        counts.append(len([one for one in queries if "SAVEPOINT" not in one["sql"]]))
    assert counts == [7 if connection.vendor == "sqlite" else 6] * 2


@pytest.mark.django_db(transaction=True)
def test_the_signal_is_sent_for_each_new_row():
    (edition,), users = past_editions(1), factories.users(3)
    rows = [row(user, edition, 1) for user in users]
    Acceptance.objects.import_history(rows[:1], agreement=edition.agreement_id)
    sent = []

    def receive(*, acceptance: Acceptance, **_rest: object) -> None:
        sent.append(acceptance.user_id)

    acceptance_recorded.connect(receive)
    try:
        assert Acceptance.objects.import_history(rows, agreement=edition.agreement_id) == [False, True, True]
    finally:
        acceptance_recorded.disconnect(receive)
    assert sorted(sent) == [user.pk for user in users[1:]]
