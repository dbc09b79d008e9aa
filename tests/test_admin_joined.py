"""The chart of joinings on an edition's page: every joining in its day, and never more looked at than is bounded."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone, translation

from agreement.admin import joined
from agreement.admin.joined import chart
from agreement.models import Acceptance, Edition
from tests import factories
from tests.test_admin import AUTHOR, at, desk

pytestmark = pytest.mark.django_db

START = datetime(2026, 3, 1, 18, 30, tzinfo=UTC)  # 23:30 on 1 March in Astana.


@pytest.fixture(autouse=True)
def _english() -> Any:
    with translation.override("en"):
        yield


def join(edition: Edition, *moments: datetime) -> None:
    users = factories.users(len(moments))
    Acceptance.objects.bulk_create(
        Acceptance(
            user=user,
            edition=edition,
            digest=edition.digest,
            language="kk",
            kind="explicit",
            at=moment,
            recorded_at=moment,
        )
        for user, moment in zip(users, moments, strict=True)
    )


@pytest.fixture
def edition() -> Edition:
    factories.agreement().__class__.objects.update(time_zone="Asia/Almaty")
    return factories.published()


def test_there_is_none_before_anybody_joined(edition, django_assert_num_queries):
    assert edition.agreement.time_zone
    with django_assert_num_queries(2):
        assert chart(edition) is None


def test_each_joining_is_in_its_day_in_the_agreements_zone_and_empty_days_have_a_place(edition):
    join(edition, START, START + timedelta(hours=1), START + timedelta(hours=1), START + timedelta(days=3))
    found = chart(edition)
    assert [(bar.day, bar.count) for bar in found.bars] == [
        ("1 March 2026", 1),
        ("2 March 2026", 2),
        ("3 March 2026", 0),
        ("4 March 2026", 1),
    ]
    assert [bar.height for bar in found.bars] == ["60.00", "120.00", "0.00", "60.00"]
    assert (found.title, found.whole) == ("Joinings by day", True)


@pytest.mark.parametrize(("days", "title"), [(61, "day"), (62, "week"), (433, "week"), (434, "month"), (9000, "month")])
def test_long_times_are_told_by_week_or_month(edition, days, title):
    join(edition, START, START + timedelta(days=days))
    found = chart(edition)
    assert found.title == f"Joinings by {title}"
    assert len(found.bars) <= joined.BARS + 1
    assert found.bars[-1].count == 1


def test_no_more_are_looked_at_than_is_bounded_and_the_page_says_so(edition, monkeypatch, django_user_model):
    monkeypatch.setattr(joined, "MOST", 3)
    join(edition, *(START + timedelta(hours=24 * number) for number in range(6)))
    found = chart(edition)
    assert (sum(bar.count for bar in found.bars), found.whole) == (3, False)
    page = desk(django_user_model, *AUTHOR).get(at("edition_change", edition.pk)).content.decode()
    assert "Only the first 100,000 joinings are shown." in page


def test_the_page_shows_it_with_a_table_beside(edition, django_user_model):
    client = desk(django_user_model, *AUTHOR)
    assert "<svg class=" not in client.get(at("edition_change", edition.pk)).content.decode()
    join(edition, timezone.now(), timezone.now())
    page = client.get(at("edition_change", edition.pk, language="kk")).content.decode()
    assert "Күндер бойынша қосылулар" in page
    assert re.search(r'<rect x="0.00" y="0.00" width="49.60" height="120.00"/>', page)
    assert re.search(r"қараша|\d{4} жылғы", page)
    assert "<td>2</td>" in page
