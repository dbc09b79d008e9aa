"""The statements of the ledger that run once for each message: their cost does not depend on what waits."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agreement.models import Delivery, DeliveryOutcome
from agreement.models.deliveries import _update_sql
from agreement.notices import dispatch
from tests.support import factories


@pytest.mark.django_db
@pytest.mark.parametrize("analysed", [True, False], ids=["fresh statistics", "statistics before the audience"])
def test_an_outcome_is_recorded_by_the_primary_key_whatever_the_statistics_say(analysed):
    """The worst statistics: earlier notices were analysed when all was recorded, and the new audience was not."""
    factories.users(300)
    for _edition in range(3):
        dispatch.fan_out(factories.published().notices.get())
        Delivery.objects.waiting().update(outcome=DeliveryOutcome.SENT, outcome_at=timezone.now())
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {Delivery._meta.db_table}")
        dispatch.fan_out(factories.published().notices.get())
        if analysed:
            cursor.execute(f"ANALYZE {Delivery._meta.db_table}")
        key = Delivery.objects.waiting().values_list("pk", flat=True)[0]
        explain = "EXPLAIN" if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
        cursor.execute(f"{explain} {_update_sql(('outcome',), connection.vendor)}", ["sent", key, "lease"])
        plan = "\n".join(str(row[-1]) for row in cursor.fetchall())

    assert "agreement_delivery_pkey" in plan or "USING INTEGER PRIMARY KEY" in plan, plan
    assert "agreement_delivery_next" not in plan


@pytest.mark.django_db
def test_outcomes_change_by_keys_that_were_read_first_and_with_the_progress_locked_before_them():
    """A subquery may become a join of two scans of all that waits, and two orders of locks may deadlock."""
    factories.users(3)
    notice = factories.published().notices.get()
    dispatch.fan_out(notice)
    (delivery,) = Delivery.objects.claim(notice=notice, channel="email", size=1, at=notice.due_at)
    delivery.record_outcome(DeliveryOutcome.SENT)
    for change in (
        lambda: Delivery.objects.count_outcomes(lease=delivery.lease),
        lambda: Delivery.objects.skip(notice=notice, reason="paused"),
    ):
        with CaptureQueriesContext(connection) as captured:
            assert change() > 0
        updates = [query["sql"] for query in captured if query["sql"].startswith("UPDATE")]
        assert [sql.split('"')[1] for sql in updates[:2]] == ["agreement_progress", "agreement_delivery"]
        assert not any("SELECT" in sql for sql in updates)


@pytest.mark.django_db
def test_a_delivery_that_is_sent_again_has_no_text_until_it_has_an_outcome():
    factories.users(1)
    notice = factories.published().notices.get()
    dispatch.fan_out(notice)
    (delivery,) = Delivery.objects.claim(notice=notice, channel="email", at=notice.due_at)
    text = notice.texts.get(language="kk")
    delivery.record_outcome(
        DeliveryOutcome.FAILED, language="kk", since=text.since, cancelled=text.cancelled, reason="SMTP 550"
    )
    Delivery.objects.count_outcomes(lease=delivery.lease)
    assert Delivery.objects.get().text == text

    Delivery.objects.resend(notice=notice)
    assert Delivery.objects.get().text is None
    Delivery.objects.skip(notice=notice, reason="paused")
    assert Delivery.objects.get().text is None
