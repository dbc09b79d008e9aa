"""A legal hold is placed once, however often and at the same time it is asked for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.utils import timezone, translation

from agreement.models import LegalHold
from tests.support import factories

START = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.django_db
def test_the_same_hold_is_placed_once_and_another_beside_it():
    (user,) = factories.users(1)
    same = {"user": user, "ground": "Court order 7", "by": "officer", "held_from": START}
    first, again = (LegalHold.objects.place(**same) for _twice in range(2))
    other = LegalHold.objects.place(**same | {"by": "another officer"})
    assert (first.created, again.created, other.created) == (True, False, True)
    assert first == again != other
    from_now_on = [LegalHold.objects.place(user=user, ground="Court order 8", by="officer") for _twice in range(2)]
    assert [hold.created for hold in from_now_on] == [True, False]


@pytest.mark.django_db
def test_a_hold_ends_now_or_later_and_its_end_is_final():
    hold = LegalHold.objects.place(user=factories.users(1)[0], ground="Court order 7", by="officer", held_from=START)
    hold.held_until = timezone.now() - timedelta(hours=1)
    with translation.override("en"), pytest.raises(ValidationError, match="A legal hold can't end in the past"):
        hold.clean()

    hold.held_until = timezone.now()
    hold.clean()
    hold.save()

    hold.held_until = None
    with translation.override("en"), pytest.raises(ValidationError, match="This legal hold has ended"):
        hold.clean()
    hold.ground = "Court order 8"
    hold.held_until = LegalHold.objects.get().held_until
    hold.clean()  # Only a change of the end is refused here.


@pytest.mark.django_db
def test_a_hold_that_has_ended_is_not_placed():
    ended = {"held_from": START, "held_until": timezone.now() - timedelta(hours=1)}
    with translation.override("en"), pytest.raises(ValidationError, match="A legal hold can't end in the past"):
        LegalHold.objects.place(user=factories.users(1)[0], ground="Court order 7", by="officer", **ended)
    assert not LegalHold.objects.exists()


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_the_same_hold_is_placed_once_by_many_threads():
    (user,) = factories.users(1)
    meet = Barrier(6)

    def place(_number: int) -> bool:
        meet.wait()
        try:
            return LegalHold.objects.place(user=user, ground="Court order 7", by="officer", held_from=START).created
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        created = list(pool.map(place, range(6)))
    assert sorted(created) == [False] * 5 + [True]
    assert LegalHold.objects.count() == 1
