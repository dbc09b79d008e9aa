"""The clock of the database: what is read, and how often."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agreement.models.clock import DatabaseClock, database_now
from agreement.notices import dispatch
from tests.support import factories


@pytest.mark.django_db
def test_a_reading_costs_one_query_on_postgresql_and_a_call_none(django_assert_num_queries):
    with django_assert_num_queries(1 if connection.vendor == "postgresql" else 0):
        clock = DatabaseClock("default")
    with django_assert_num_queries(0):
        moments = [clock() for _call in range(100)]
    assert moments == sorted(moments)
    assert abs(clock() - database_now("default")) < timedelta(seconds=10)
    assert clock.read() >= moments[-1] - timedelta(seconds=1)


@pytest.mark.postgresql
@pytest.mark.django_db
def test_a_worker_reads_the_clock_once_for_each_claim():
    factories.users(150)
    dispatch.fan_out(factories.published().notices.get())
    with CaptureQueriesContext(connection) as queries:
        assert dispatch.deliver().sent == 150
    # When it begins, for two batches, and for the claim that finds nothing.
    assert sum("clock_timestamp" in query["sql"] for query in queries.captured_queries) == 4
