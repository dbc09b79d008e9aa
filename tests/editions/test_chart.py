"""The bars of the editions over time: their order, widths and states."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from agreement.editions.chart import DATE_WIDTH, LEAST_WIDTH, MAX_BARS, bars, cancellations
from agreement.models.succession import EditionDates

START = datetime(2020, 1, 1, tzinfo=UTC)


def edition(number: int, days: int, *, cancelled: bool = False) -> EditionDates:
    at = START + timedelta(days=days)
    return EditionDates(number, number, START - timedelta(days=99), at, at if cancelled else None, "", True)


def drawn(*days: int, now: int) -> list[tuple[int, str]]:
    editions = [edition(number, day) for number, day in enumerate(days, 1)]
    return [(bar.number, bar.state) for bar in bars(editions, START + timedelta(days=now), "Asia/Almaty")]


def test_the_states_are_those_of_the_moment():
    assert drawn(0, 100, 200, now=150) == [(1, "superseded"), (2, "in_force"), (3, "scheduled")]
    assert drawn(0, 100, now=-1) == [(1, "scheduled"), (2, "scheduled")]
    assert drawn(0, 100, now=100)[1] == (2, "in_force")


def test_one_edition_is_no_line_and_cancelled_ones_are_left_out():
    assert drawn(0, now=1) == []
    editions = [edition(1, 0), edition(2, 10, cancelled=True), edition(3, 20)]
    assert [bar.number for bar in bars(editions, START, "Asia/Almaty")] == [1, 3]


def test_a_long_time_is_a_wide_bar_and_has_its_date():
    first, second, _last = bars([edition(1, 0), edition(2, 1000), edition(3, 1010)], START, "Asia/Almaty")
    assert float(first.width.rstrip("%")) > 5 * float(second.width.rstrip("%"))
    assert (first.day, second.day) == ("01.01.2020", "")


@given(st.lists(st.integers(0, 5000), min_size=2, max_size=40, unique=True), st.integers(-10, 5010))
def test_the_bars_fill_the_line_without_gaps(days, now):
    found = bars([edition(n, day) for n, day in enumerate(sorted(days), 1)], START + timedelta(days=now), "Asia/Almaty")
    edges = [(float(bar.x.rstrip("%")), float(bar.width.rstrip("%"))) for bar in found]
    assert len(found) == min(len(days), MAX_BARS)
    assert edges[0][0] == 0
    assert abs(sum(edges[-1]) - 100) < 0.1
    assert all(abs(x + width - following) < 0.02 for (x, width), (following, _) in pairwise(edges))
    assert all(width >= LEAST_WIDTH - 0.01 for _x, width in edges)
    assert [bar.x for bar in found] == [
        bar.x
        for bar in bars(
            [edition(n, day) for n, day in enumerate(sorted(days), 1)], START + timedelta(days=9999), "Asia/Almaty"
        )
    ]


def test_no_text_of_a_bar_reaches_the_next_one():
    """In a chart of 280 pixels, a date has 62 and a digit 9."""
    found = bars([edition(n, n * n) for n in range(1, 17)], START, "Asia/Almaty")
    assert [bar.label for bar in found[:10]] == [*"123456789", ""]
    for bar in found:
        width = float(bar.width.rstrip("%")) * 2.8
        assert not bar.label or len(bar.label) * 8.9 <= width
        assert not bar.day or width >= 62
    assert found[-1].day
    assert DATE_WIDTH * 2.8 >= 62


def test_a_cancelled_edition_has_its_place_between_the_bars():
    editions = [edition(1, 0), edition(2, 50, cancelled=True), edition(3, 100), edition(4, 110, cancelled=True)]
    first, second = bars(editions, START, "Asia/Almaty")
    between, after = cancellations(editions)
    assert (between.number, between.x) == (2, first.middle)
    assert (after.number, after.x) == (4, second.middle)
    assert [one.x for one in cancellations(editions[:2])] == [""]
