"""The chart of acceptances on the page of an edition: each acceptance in its day, and a bounded number of them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from agreement.admin.editions import accepted_chart
from agreement.admin.editions.accepted_chart import acceptance_chart
from agreement.models import Acceptance, Edition
from agreement.testing import open_seal
from agreement.text import dates
from tests.admin.test_editions import AUTHOR, at, desk
from tests.support import factories

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("english")]

START = datetime(2026, 3, 1, 18, 30, tzinfo=UTC)  # 23:30 on 1 March in Astana.


def accept(edition: Edition, *moments: datetime) -> None:
    users = factories.users(len(moments))
    with open_seal():  # It refuses acceptances of another day.
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


def test_there_is_no_chart_without_acceptances(edition, django_assert_num_queries):
    assert edition.agreement.time_zone
    with django_assert_num_queries(2):
        assert acceptance_chart(edition) is None


def test_each_acceptance_is_in_its_day_in_the_agreements_zone_and_empty_days_have_a_bar(edition):
    accept(edition, START, START + timedelta(hours=1), START + timedelta(hours=1), START + timedelta(days=3))
    found = acceptance_chart(edition)
    assert [(bar.day, bar.count) for bar in found.bars] == [
        ("1\u00a0March 2026", 1),
        ("2\u00a0March 2026", 2),
        ("3\u00a0March 2026", 0),
        ("4\u00a0March 2026", 1),
    ]
    assert [bar.height for bar in found.bars] == ["60.00", "120.00", "0.00", "60.00"]
    assert (found.title, found.complete) == ("Acceptances by day", True)


@pytest.mark.parametrize(("days", "title"), [(61, "day"), (62, "week"), (427, "week"), (428, "month"), (9000, "month")])
def test_a_long_time_is_displayed_by_week_or_month(edition, days, title):
    accept(edition, START, START + timedelta(days=days))
    found = acceptance_chart(edition)
    assert found.title == f"Acceptances by {title}"
    assert len(found.bars) <= accepted_chart.MAX_BARS
    assert sum(bar.count for bar in found.bars) == (2 if days < 9000 else 1)
    assert found.bars[-1].count == 1


def test_the_chart_counts_a_bounded_number_and_the_page_says_so(edition, monkeypatch, django_user_model):
    monkeypatch.setattr(accepted_chart, "MAX_ACCEPTANCES", 3)
    accept(edition, *(START + timedelta(hours=24 * number) for number in range(6)))
    found = acceptance_chart(edition)
    assert (sum(bar.count for bar in found.bars), found.complete) == (3, False)
    page = desk(django_user_model, *AUTHOR).get(at("edition_change", edition.pk)).content.decode()
    assert "Only the first 100,000 acceptances are displayed." in page


@pytest.mark.parametrize(("count", "counted"), [(2, 2), (3, 3), (4, 3), (6, 3)])
def test_the_chart_counts_no_more_than_its_number_of_acceptances_at_one_moment(edition, monkeypatch, count, counted):
    monkeypatch.setattr(accepted_chart, "MAX_ACCEPTANCES", 3)
    accept(edition, *[START] * count)
    found = acceptance_chart(edition)
    assert (sum(bar.count for bar in found.bars), found.complete) == (counted, count <= 3)


def test_the_page_shows_it_with_a_table_beside(edition, django_user_model):
    client = desk(django_user_model, *AUTHOR)
    assert "<svg class=" not in client.get(at("edition_change", edition.pk)).content.decode()
    accept(edition, timezone.now(), timezone.now())
    page = client.get(at("edition_change", edition.pk, language="kk")).content.decode()
    assert "Қосылудың күндік саны" in page
    assert re.search(r'<rect x="0.00" y="0.00" width="49.60" height="120.00"/>', page)
    assert dates.day(timezone.now(), "kk", edition.agreement.time_zone) in page
    assert "<td>2</td>" in page
