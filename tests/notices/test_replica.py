"""Where reads go to a replica that lags behind, the ledger is worked off by the primary."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone
from django.utils.connection import ConnectionDoesNotExist

from agreement.models import ChannelState, Delivery, DeliveryOutcome, Notice, NoticeKind, NoticeRead, Progress
from agreement.notices import audience, dispatch
from tests.support import factories

pytestmark = pytest.mark.django_db

LEDGER = {Delivery, NoticeRead, ChannelState, Progress}


class Replica:
    """Reads of the ledger go where nothing answers."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return "replica" if model in LEDGER else None


@pytest.fixture
def notice(settings: Any) -> Notice:
    factories.users(5)
    notice = factories.published().notices.get()
    settings.DATABASE_ROUTERS = ["tests.notices.test_replica.Replica"]
    with pytest.raises(ConnectionDoesNotExist):
        Delivery.objects.exists()
    audience.write_deliveries(notice, channels=["email"])
    return notice


def ledger() -> dict[str, int]:
    return Progress.objects.using("default").total()


def test_a_batch_is_claimed_recorded_and_counted_on_the_primary(notice):
    batch = Delivery.objects.claim(notice=notice, channel="email", size=3)
    assert [delivery._state.db for delivery in batch] == ["default"] * 3
    for delivery, outcome in zip(batch, (DeliveryOutcome.SENT, DeliveryOutcome.FAILED), strict=False):
        delivery.record_outcome(outcome)
    lease = batch[0].lease
    assert Delivery.objects.renew(lease=lease) == {batch[2].pk}
    assert Delivery.objects.shorten() == 0
    assert Delivery.objects.leased().count() == 3
    assert Delivery.objects.uncounted_leases(timezone.now() + timedelta(minutes=1)) == [lease]
    assert Delivery.objects.count_outcomes(lease=lease) == 2
    assert Delivery.objects.release(lease=lease, due_at=notice.due_at) == 1
    assert ledger() == {"waiting": 3, "sent": 1, "failed": 1, "skipped": 0}


def test_sets_of_deliveries_are_moved_on_the_primary(notice):
    (refused,) = Delivery.objects.claim(notice=notice, channel="email", size=1)
    refused.record_outcome(DeliveryOutcome.FAILED)
    Delivery.objects.count_outcomes(lease=refused.lease)
    assert notice.resend() == 1
    identity = f"{refused.message_id_local_part}@127.0.0.1"
    assert Delivery.objects.reconcile([identity]) == 1
    assert Delivery.objects.record_bounce(identity)
    assert Delivery.objects.skip(notice=notice, reason="overtaken by edition 2") == 4
    second = factories.published(effective_from=timezone.now() + timedelta(days=1))
    second.cancel()
    cancellation = second.notices.get(kind=NoticeKind.CANCELLED)
    assert Delivery.objects.revive(cancelled=cancellation) == 4
    assert not dispatch._in_flight(cancellation).exists()
    assert ledger() == {"waiting": 4, "sent": 1, "failed": 0, "skipped": 0}


def test_slots_are_drawn_from_the_primarys_row_and_what_was_read_is_written_there(notice, django_user_model):
    for _time in range(2):
        assert ChannelState.objects.lock("email")._state.db == "default"
    user = django_user_model.objects.get(username="user0")
    Notice.objects.mark_read(user, [notice])
    assert NoticeRead.objects.using("default").count() == 1
    assert "replica" not in connections
