"""Who is bound: the rule in Python and in SQL against a slow model that replays what happened, event by event."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from agreement.models import Acceptance, AcceptanceKind, Edition, Withdrawal, WithdrawalOutcome
from agreement.models.acceptances import RequiredAcceptance
from agreement.models.membership import Membership
from agreement.models.succession import EditionDates, counting_editions
from agreement.testing import open_seal
from tests.support import factories
from tests.support.scale import FULL, examples

#: Moments are whole hours since the start, so that several things often happen at the same moment.
START = datetime(2026, 1, 1, tzinfo=UTC)
HOURS = 24


def moment(hour: int) -> datetime:
    return START + timedelta(hours=hour)


def hours(at: datetime) -> int:
    return round((at - START).total_seconds() / 3600)


@dataclass(frozen=True)
class Accepted:
    """A row of acceptances."""

    edition_id: int
    at: datetime
    recorded_at: datetime
    round: int


@dataclass
class History:
    """What one user did, in the order in which it was recorded."""

    accepted: list[Accepted] = field(default_factory=list)
    withdrawn: list[Withdrawal] = field(default_factory=list)


def histories(chance: random.Random, editions: Sequence[EditionDates]) -> History:
    """A random history: acceptances, imports of earlier ones, and withdrawals that take effect sooner or later."""
    history = History()
    for hour in sorted(chance.randrange(HOURS) for _event in range(chance.randrange(9))):
        what, now = chance.choice(["accept", "accept", "import", "withdraw", "withdraw"]), moment(hour)
        at = moment(chance.randint(0, hour)) if what == "import" else now
        if what == "withdraw":
            history.withdrawn.append(
                Withdrawal(
                    outcome=chance.choice(list(WithdrawalOutcome)),
                    registered_at=now,
                    effective_at=moment(chance.choice([hour, chance.randrange(HOURS + 3)])),
                )
            )
            if history.withdrawn[-1].outcome == WithdrawalOutcome.REFUSED:
                history.withdrawn[-1].effective_at = None
        elif possible := [one for one in editions if one.published_at <= at and not one.is_cancelled(at)]:
            edition = chance.choice(possible)
            effective = [row for row in history.withdrawn if row.effective_at and row.effective_at <= at]
            row = Accepted(edition.pk, at, now, 1 + len(effective))
            if (row.edition_id, row.round) not in {(one.edition_id, one.round) for one in history.accepted}:
                history.accepted.append(row)
    return history


def random_editions(chance: random.Random) -> list[EditionDates]:
    """Editions as a site publishes them: some change only wording, some are announced, some are cancelled."""
    editions: list[EditionDates] = []
    hour = effect = 0
    for number in range(1, chance.randint(2, 7)):
        effect = max(effect + 1, hour + chance.choice([0, 0, chance.randrange(6)]))
        cancelled = chance.randint(hour, effect - 1) if effect > hour and chance.random() < 0.3 else None
        editions.append(
            EditionDates(
                pk=number,
                number=number,
                published_at=moment(hour),
                effective_from=moment(effect),
                cancelled_at=None if cancelled is None else moment(cancelled),
                digest=f"{number:064}",
                material=chance.random() < 0.5,
            )
        )
        if cancelled is not None:
            effect = max((hours(one.effective_from) for one in editions[:-1]), default=0)
            hour = cancelled
        hour += chance.randrange(1, 5)
    return editions


# The slow model


def extends(edition: EditionDates, accepted: EditionDates, editions: Sequence[EditionDates]) -> bool:
    """Does that edition change nothing but the wording of the accepted one, directly or through others?"""
    if edition == accepted:
        return True
    before = [one for one in editions if one.number < edition.number and not one.is_cancelled(edition.published_at)]
    return bool(before) and not edition.material and extends(before[-1], accepted, editions)


def replayed(history: History, until: datetime) -> dict[Accepted, tuple[datetime, Withdrawal] | None]:
    """Each acceptance with its end: everything that happened, in the order in which it came to count."""
    tape: list[tuple[datetime, int, Any]] = [(row.recorded_at, 1, row) for row in history.accepted]
    tape += [
        (max(row.effective_at, row.registered_at), 0, row)
        for row in history.withdrawn
        if row.effective_at and row.effective_at <= until
    ]
    ends: dict[Accepted, tuple[datetime, Withdrawal] | None] = {}
    effective: list[Withdrawal] = []
    for _moment, is_acceptance, row in sorted(tape, key=lambda entry: entry[:2]):
        if is_acceptance:
            later = [one for one in effective if one.effective_at > row.at]
            ends[row] = (later[0].effective_at, later[0]) if later else None
            continue
        effective.append(row)
        for acceptance, end in ends.items():
            came_before = acceptance.at < row.effective_at or acceptance.recorded_at < row.registered_at
            if end is None and came_before:
                ends[acceptance] = max(acceptance.at, row.effective_at), row
    return ends


def expected(history: History, editions: Sequence[EditionDates], at: datetime) -> tuple[int, Accepted] | None:
    """The number of the edition that binds at that instant, and the acceptance by which it does."""
    found = []
    for acceptance, end in replayed(history, at).items():
        accepted = editions[acceptance.edition_id - 1]
        binding = [
            one.number
            for one in editions
            if one.cancelled_at is None and one.effective_from <= at and extends(one, accepted, editions)
        ]
        if acceptance.at <= at and binding and (end is None or at < end[0]):
            found.append((max(binding), acceptance))
    return max(found, key=lambda pair: pair[0], default=None)


def bound_for_some_time(
    acceptance: Accepted, editions: Sequence[EditionDates], at: datetime, *, ends: datetime | None
) -> list[int]:
    """The numbers of the editions that bound the user by this acceptance up to that instant, if only for an hour."""
    found, accepted = [], editions[acceptance.edition_id - 1]
    for one in editions:
        begins = max(acceptance.at, one.effective_from)
        if one.cancelled_at is None and extends(one, accepted, editions) and begins <= at:
            found += [one.number] if ends is None or begins < ends else []
    return found


def known(history: History, editions: Sequence[EditionDates], at: datetime) -> Membership[Accepted]:
    return Membership(
        editions=editions,
        acceptances=[row for row in history.accepted if row.at <= at],
        withdrawals=[row for row in history.withdrawn if row.effective_at and row.effective_at <= at],
    )


@settings(max_examples=examples(1000))
@given(st.randoms(use_true_random=False))
def test_the_rule_in_python_binds_as_the_replayed_history_does(chance):
    editions = random_editions(chance)
    history = histories(chance, editions)
    for hour in range(HOURS + 4):
        at = moment(hour)
        membership, ends = known(history, editions, at), replayed(history, at)

        bound, wanted = membership.bound_by(at), expected(history, editions, at)

        assert (bound and bound[0].number) == (wanted and wanted[0])
        if bound and bound[1].since:
            assert bound[1].since <= at
            assert bound[1].ended_at is None
        for acceptance in membership.acceptances:
            binding = membership.binding(acceptance, until=at)
            assert (binding.ended_at, binding.withdrawal) == (ends[acceptance] or (None, None))
            bound_by = bound_for_some_time(acceptance, editions, at, ends=binding.ended_at)
            assert [one.number for one in binding.editions] == bound_by
            assert (binding.since is None) == (not bound_by)
        withdrawn = bool(membership.withdrawals) and all(ends[row] for row in membership.acceptances)
        assert bool(membership.withdrawals_in_effect) == withdrawn


# SQL


@pytest.mark.django_db
@pytest.mark.parametrize("seed", range(20) if FULL else (1,))
def test_the_rule_in_sql_is_the_rule_in_python(seed):
    """A site full of users with random histories: every query gives what the rule in Python gives for each user."""
    chance, users = random.Random(seed), factories.users(100)  # noqa: S311 - the seed repeats the test
    agreement = factories.agreement()
    shift = timezone.now() - moment(HOURS)  # Everything is recorded by now; some withdrawals take effect later.
    editions = random_editions(chance)
    people = {user.pk: histories(chance, editions) for user in users}
    with open_seal():
        stored = {dates.number: _store_edition(agreement, dates, shift) for dates in editions}
        for key, history in people.items():
            _store_history(key, history, agreement, stored, shift)

    now = moment(HOURS)
    in_force = [one for one in editions if one.cancelled_at is None and one.effective_from <= now][-1]
    counting = counting_editions(in_force, editions)
    current = {key: _current(history, now) for key, history in people.items()}

    for key, history in people.items():
        rows = Acceptance.objects.with_current(key)
        assert {(row.edition.number, row.round) for row in rows if row.current} == current[key], history
    counted = {one.pk for one in counting}
    accepted = {key for key, rows in current.items() if any(number in counted for number, _round in rows)}
    audience = get_user_model()._default_manager.filter(pk__in=people)
    without = Acceptance.objects.users_without(audience, [stored[one.pk].pk for one in counting])
    assert {user.pk for user in without} == {*people} - accepted
    withdrawn = {key for key, history in people.items() if known(history, editions, now).withdrawals_in_effect}
    assert {*Acceptance.objects.withdrawals_in_effect(users=people, agreement=agreement.pk)} == withdrawn
    for hour in range(0, HOURS, 5):
        then = {key for key, it in people.items() if known(it, editions, moment(hour)).withdrawals_in_effect}
        at = moment(hour) + shift
        assert {*Acceptance.objects.withdrawals_in_effect(users=people, agreement=agreement.pk, at=at)} == then
    asked = RequiredAcceptance(
        agreement=agreement.pk,
        edition=stored[in_force.pk].pk,
        digest=in_force.digest,
        counting=tuple(stored[one.pk].pk for one in counting),
        by_use=False,
    )
    for user in users:
        answer = Acceptance.objects.record_deemed(user=user, requirements=[asked], language="kk")
        assert answer == ({} if user.pk in accepted else {agreement.pk: user.pk in withdrawn})
    assert accepted
    assert withdrawn - accepted
    assert {*people} - accepted - withdrawn


def _current(history: History, at: datetime) -> set[tuple[int, int]]:
    return {(row.edition_id, row.round) for row, end in replayed(history, at).items() if end is None}


def _store_edition(agreement: Any, dates: EditionDates, shift: timedelta) -> Edition:
    """The edition with those dates, as a restored backup has it."""
    edition = factories.draft(slug=agreement.slug)
    values = {
        "previous_digest": f"{dates.number - 1:064}" if dates.number > 1 else "",
        "published_at": dates.published_at + shift,
        "recorded_at": dates.published_at + shift,
        "effective_from": dates.effective_from + shift,
        "cancelled_at": dates.cancelled_at and dates.cancelled_at + shift,
    }
    rows = Edition.objects.with_real_columns().filter(pk=edition.pk)
    rows.update(number=dates.number, digest=dates.digest, material=dates.material, **values)
    edition.refresh_from_db()
    return edition


def _store_history(user: Any, history: History, agreement: Any, stored: dict[int, Edition], shift: timedelta) -> None:
    Acceptance.objects.bulk_create(
        Acceptance(
            user_id=user,
            edition=stored[row.edition_id],
            digest=stored[row.edition_id].digest,
            language="kk",
            kind=AcceptanceKind.IMPORTED,
            at=row.at + shift,
            recorded_at=row.recorded_at + shift,
            round=row.round,
        )
        for row in history.accepted
    )
    for row in history.withdrawn:
        refused = row.outcome == WithdrawalOutcome.REFUSED
        Withdrawal.objects.create(
            user_id=user,
            agreement=agreement,
            outcome=row.outcome,
            ground="№ 5" if refused else "",
            received_on=row.registered_at.date(),
            reply_by=row.registered_at.date(),
            registered_at=row.registered_at + shift,
            effective_at=row.effective_at and row.effective_at + shift,
            year=2026,
            serial=Withdrawal.objects.count() + 1,
        )
