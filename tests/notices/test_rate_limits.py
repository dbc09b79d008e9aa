"""Rate limits apply to every rolling window, and no slot stays unused: as functions, and through the ledger."""

from __future__ import annotations

import random
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from hypothesis import given
from hypothesis import strategies as st

from agreement.models import (
    ChannelState,
    Delivery,
    DeliveryOutcome,
    Notice,
    Progress,
    channel_state,
    message_ids,
    rate_limits,
)
from agreement.notices import batch, dispatch
from agreement.notices.channels import Channel, NoticeContent, Unavailable
from agreement.notices.forecast import expected_end, forecast, speed
from agreement.notices.worker import DeliveryCounts, Worker
from tests.support import factories

START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "count", "seconds"), [("2500/h", 2500, 3600), ("20000/d", 20000, 86400), (" 5 / min ", 5, 60)]
)
def test_a_rate_limit_is_a_number_per_period(written, count, seconds):
    assert rate_limits.parse(written) == rate_limits.RateLimit(count, seconds)


@pytest.mark.parametrize("written", ["2500", "0/h", "-1/h", "2500/w", "2500 per hour", "1e3/h", ""])
def test_a_malformed_rate_limit_is_refused_with_the_right_form(written):
    with pytest.raises(ValueError, match="Write it like"):
        rate_limits.parse(written)


def most_in(moments: list[float], seconds: float) -> int:
    """The most there are in any window of that length, open at its beginning."""
    return max((bisect_left(moments, at + seconds) - number for number, at in enumerate(moments)), default=0)


written_limits = st.lists(
    st.sampled_from(["3/s", "50/min", "200/h", "2500/h", "3000/d", "20000/d"]), min_size=1, max_size=3
)


@given(written_limits, st.integers(0, 2**32))
def test_no_window_is_ever_above_its_rate_limit(written, seed):
    chance, limits, now = random.Random(seed), rate_limits.parse_all(written), 1e9  # noqa: S311 - the seed repeats the test
    log: list[tuple[float, int]] = []
    moments: list[float] = []
    for _draw in range(150):
        now += chance.choice([0, 0.1, 3, 40, 900, 5000]) * chance.random()
        if count := min(rate_limits.free_slots(log, limits, now), chance.choice([1, 7, 100])):
            log = rate_limits.trimmed([*log, (now, count)], limits, now)
            moments += [now] * count
    for one in limits:
        assert most_in(moments, one.seconds) <= one.count


@given(written_limits, st.integers(0, 2**32))
def test_a_slot_is_free_at_the_computed_moment_and_not_before(written, seed):
    chance, limits, now = random.Random(seed), rate_limits.parse_all(written), 1e9  # noqa: S311 - the seed repeats the test
    log: list[tuple[float, int]] = []
    for _draw in range(30):
        if count := rate_limits.free_slots(log, limits, now):
            log = rate_limits.trimmed([*log, (now, count)], limits, now)
        opens = rate_limits.next_free_at(log, limits, now)
        assert rate_limits.free_slots(log, limits, opens) > 0
        if opens > now:
            assert rate_limits.free_slots(log, limits, opens - 0.001) == 0
        now = opens + chance.random() * 5


def test_a_log_stays_small_at_any_rate():
    limits, now, log = rate_limits.parse_all(["2500/h", "20000/d"]), 1e9, []
    for _draw in range(4_000):  # Nearly three days.
        now = rate_limits.next_free_at(log, limits, now)
        log = rate_limits.trimmed([*log, (now, rate_limits.free_slots(log, limits, now))], limits, now)
    assert len(log) < 3 * rate_limits.PRECISION + 10


def test_a_clock_that_is_put_back_neither_opens_nor_stops_the_channel():
    limits = rate_limits.parse_all(["600/h"])
    log = rate_limits.trimmed([(10_000.0 + 6 * n, 1) for n in range(600)], limits, 13_600)
    back = 13_600 - 3600
    assert rate_limits.free_slots(log, limits, back) == 0
    assert rate_limits.next_free_at(rate_limits.trimmed(log, limits, back), limits, back) <= back + 3600


@pytest.mark.parametrize(
    ("written_limits", "count", "hours"),
    [([], 36_000, 1.0), (["2500/h"], 25_000, 10), (["2500/h", "20000/d"], 60_000, 56), (["900000/h"], 36_000, 1.0)],
)
def test_the_end_of_sending_follows_from_the_rate_limits_and_the_speed(written_limits, count, hours):
    limits = rate_limits.parse_all(written_limits)
    assert rate_limits.sending_seconds(count, limits, speed=10) / 3600 == pytest.approx(hours, rel=0.01)


@given(st.lists(st.sampled_from(["3/s", "50/min", "2500/h", "20000/d"]), max_size=3), st.integers(1, 10**7))
def test_what_is_sent_by_the_end_is_everything(written_limits, count):
    limits = rate_limits.parse_all(written_limits)
    took = rate_limits.sending_seconds(count, limits, speed=10)
    assert rate_limits.sent_after(took + 0.2, limits, speed=10) >= count
    if count > 1 and took > 1:
        assert rate_limits.sent_after(took - 1, limits, speed=10) < count + 11


# Through the ledger, on simulated time


class Simulated(Channel):
    """A channel that records when it sent, and takes half a second for a message."""

    name = "simulated"
    now = START
    moments: list[float] = []
    away = False
    one = threading.Lock()

    def address(self) -> Any:
        return F("email")

    def compose(self, notice: Notice, language: str, *, since: int) -> NoticeContent:
        return NoticeContent(subject=str(notice.pk), text=language)

    def send(self, delivery: Delivery, address: str, text: Any) -> None:
        if Simulated.away:
            raise Unavailable("away")
        with Simulated.one:
            Simulated.now += timedelta(seconds=0.5)
            Simulated.moments.append(Simulated.now.timestamp())


@pytest.fixture
def simulated(settings: Any) -> type[Simulated]:
    Simulated.now, Simulated.moments, Simulated.away = START, [], False
    settings.AGREEMENT = {
        **settings.AGREEMENT,
        "CHANNELS": ("tests.notices.test_rate_limits.Simulated",),
        "RATE_LIMITS": {"simulated": ("120/h",)},
    }
    return Simulated


def written(users: int, *, notices: int = 1) -> list[Notice]:
    factories.users(users)
    made = [factories.published(slug=f"terms-{number}").notices.get() for number in range(notices)]
    for notice in made:
        Notice.objects.filter(pk=notice.pk).update(due_at=START)
        notice.refresh_from_db()
        dispatch.fan_out(notice)
    return made


def worker() -> None:
    dispatch.deliver(clock=lambda: Simulated.now)


def in_turn() -> None:
    """Two workers, one after the other."""
    for _worker in range(2):
        worker()


def at_once(workers: int = 4) -> None:
    """That many workers at the same time, each with a connection of its own."""

    def alone() -> None:
        try:
            worker()
        finally:
            connection.close()

    with ThreadPoolExecutor(workers) as pool:
        for done in [pool.submit(alone) for _worker in range(workers)]:
            done.result()


def run(until: timedelta, workers: Callable[[], None] = in_turn) -> None:
    """The workers, as often as there is room."""
    end = START + until
    while Simulated.now < end:
        workers()
        opens = dispatch.next_due_at(Simulated.now) or end
        Simulated.now = min(end, max(opens, Simulated.now + timedelta(seconds=1)))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("workers", "rate"),
    [
        (in_turn, 48),
        pytest.param(partial(at_once, 2), 48, id="two at once"),
        *(pytest.param(way, 120, marks=pytest.mark.scale) for way in (in_turn, at_once)),
    ],
)
def test_no_rolling_hour_is_above_the_rate_limit_and_none_below_it_while_work_waits(simulated, settings, workers, rate):
    settings.AGREEMENT = {**settings.AGREEMENT, "RATE_LIMITS": {"simulated": (f"{rate}/h",)}}
    first, _second = written(rate * 10 // 3, notices=2)
    run(timedelta(hours=1, minutes=30), workers)
    first.pause()
    run(timedelta(hours=2), workers)
    Simulated.away = True
    run(timedelta(hours=4), workers)  # An outage of two hours.
    Simulated.away = False
    first.resume()
    run(timedelta(hours=6), workers)
    settings.AGREEMENT = {**settings.AGREEMENT, "RATE_LIMITS": {"simulated": (f"{rate // 2}/h",)}}
    changed = Simulated.now.timestamp()
    run(timedelta(hours=8, minutes=30), workers)

    moments, start = simulated.moments, START.timestamp()
    assert moments == sorted(moments)
    assert most_in(moments, 3600) <= rate
    assert most_in([at for at in moments if at > changed], 3600) <= rate // 2
    # Every hour in which work waited and the channel was available: it is tried again within a quarter of one. When the
    # limit is halved, the hour before has had twice as much as it may have, so half an hour is silent.
    hours = [(0, 2, rate), (4.25, 6, rate), (6.5, 8.5, rate // 2)]
    for begin, end, allowed in hours:
        for minute in range(round(begin * 60), round(end * 60) - 59):
            from_, to = start + minute * 60, start + minute * 60 + 3600
            # A window may begin within one step and end within another.
            assert bisect_right(moments, to) - bisect_left(moments, from_) >= allowed * 0.98 - 11, minute
    assert Progress.objects.total()["waiting"] > 0
    assert Progress.objects.total()["sent"] == len(moments)


@pytest.mark.django_db
def test_a_day_has_its_own_rate_limit(simulated, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "RATE_LIMITS": {"simulated": ("120/h", "200/d")}}
    written(300)
    run(timedelta(hours=25))
    assert most_in(simulated.moments, 3600) <= 120
    assert most_in(simulated.moments, 86400) <= 200
    assert len(simulated.moments) > 200


@pytest.mark.django_db
def test_unused_slots_are_released(simulated, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "RATE_LIMITS": {"simulated": ("120/h",)}}
    written(50)
    Simulated.away = True
    dispatch.deliver(clock=lambda: Simulated.now)
    row = ChannelState.objects.get()
    assert (row.log, row.claims, row.outages) == ([], {}, 1)


@pytest.mark.django_db
def test_the_slots_of_a_killed_worker_count_to_the_end_of_its_lease(simulated):
    written(50)
    limits = channel_state.limits_for("simulated")
    claimed = dispatch._claim(Simulated(), Worker(DeliveryCounts(), lambda: START))
    assert len(claimed) == 11
    assert ChannelState.objects.get().free_slots(limits, START) == 0
    later = START + timedelta(minutes=10)
    dispatch._claim(Simulated(), Worker(DeliveryCounts(), lambda: later))
    assert ChannelState.objects.get().log == [[(START + timedelta(seconds=30)).timestamp(), len(claimed)]]


@pytest.mark.django_db
def test_a_worker_slower_than_its_lease_renews_its_slots_while_it_sends(simulated, settings, monkeypatch):
    settings.AGREEMENT = {**settings.AGREEMENT, "RATE_LIMITS": {"simulated": ("11/min",)}}
    monkeypatch.setattr(batch, "LEASE", timedelta())  # It looks after its lease before every message.
    written(60)
    send, slow = Simulated.send, []

    def slowly(self: Simulated, *message: Any) -> None:
        if not slow:
            slow.append(self)
        if slow[0] is self:
            Simulated.now += timedelta(seconds=20)
            worker()
        send(self, *message)

    monkeypatch.setattr(Simulated, "send", slowly)
    worker()
    assert len(simulated.moments) >= 11
    assert most_in(simulated.moments, 60) <= 11


@pytest.mark.django_db
def test_a_worker_whose_slots_were_given_to_others_stops(simulated, monkeypatch):
    monkeypatch.setattr(batch, "LEASE", timedelta())
    written(50)
    send = Simulated.send

    def asleep(self: Simulated, *message: Any) -> None:
        send(self, *message)
        if len(Simulated.moments) == 3:  # The machine sleeps, and another one takes it for dead.
            Simulated.now += timedelta(minutes=10)
            row = ChannelState.objects.get()
            row.reserve(channel_state.limits_for("simulated"), lease="another", count=11, at=Simulated.now)

    monkeypatch.setattr(Simulated, "send", asleep)
    worker()
    assert len(simulated.moments) == 3
    assert not Delivery.objects.leased().exists()
    counted = ChannelState.objects.get().log
    assert sum(count for at, count in counted if at >= START.timestamp() + 600) == 3


@pytest.mark.django_db
def test_an_outage_is_retried_less_and_less_often_and_ends_with_the_first_message(simulated):
    written(3)
    Simulated.away = True
    pauses = []
    for _try in range(8):
        assert dispatch.deliver(clock=lambda: Simulated.now).outage == "away"
        until = ChannelState.objects.get().away_until
        pauses.append((until - Simulated.now).total_seconds())
        assert dispatch.next_due_at(Simulated.now) == until
        Simulated.now = until
    assert 11 < pauses[0] < 19
    assert 440 < pauses[-1] < 760
    Simulated.away = False
    dispatch.deliver(clock=lambda: Simulated.now)
    assert ChannelState.objects.get().away_until is None
    assert set(Delivery.objects.values_list("attempts", flat=True)) == {0}


@pytest.mark.django_db
def test_a_paused_notice_waits_and_another_goes_on(simulated, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "RATE_LIMITS": {}}
    first, _second = written(3, notices=2)
    assert first.pause()
    assert not first.pause()
    dispatch.deliver(clock=lambda: Simulated.now)
    assert sorted(Progress.objects.values_list("sent", flat=True)) == [0, 3]
    assert first.resume()
    dispatch.deliver(clock=lambda: Simulated.now)
    assert Progress.objects.total() == {"waiting": 0, "sent": 6, "failed": 0, "skipped": 0}


@pytest.mark.django_db
def test_the_failed_can_be_sent_to_again_and_nobody_else_is(simulated, settings, monkeypatch):
    settings.AGREEMENT = {**settings.AGREEMENT, "RATE_LIMITS": {}}
    (notice,) = written(5)
    monkeypatch.setattr("agreement.models.deliveries.CHUNK_ROWS", 2)
    Progress.objects.update(waiting=2, failed=3)
    failed = list(Delivery.objects.values_list("pk", flat=True)[:3])
    Delivery.objects.filter(pk__in=failed).update(outcome="failed", outcome_at=START, attempts=16, reason="SMTP 550")
    dispatch.deliver(clock=lambda: Simulated.now)

    assert notice.resend(at=START) == 3
    dispatch.deliver(clock=lambda: Simulated.now)

    assert len(simulated.moments) == 5
    assert Progress.objects.total() == {"waiting": 0, "sent": 5, "failed": 0, "skipped": 0}
    assert notice.resend(at=START) == 0


@pytest.mark.django_db
def test_while_sending_is_suspended_nothing_is_written_or_sent(simulated, settings):
    factories.users(2)
    factories.published()
    settings.AGREEMENT = {**settings.AGREEMENT, "SENDING_SUSPENDED": True}
    counts = dispatch.work()
    assert counts.suspended
    assert dispatch.deliver().suspended
    assert not Delivery.objects.exists()
    assert dispatch.next_due_at() is None


# Beforehand


@pytest.mark.django_db
def test_the_end_of_sending_is_forecast_before_publication(settings, django_assert_max_num_queries):
    settings.AGREEMENT = {**settings.AGREEMENT, "RATE_LIMITS": {"email": ("2500/h", "20000/d")}}
    effect = START + timedelta(days=11)
    with django_assert_max_num_queries(3):
        expected = forecast(channel="email", recipients=60_000, effective_from=effect, notice_days=10, at=START)
    assert (expected.ends_at - START) / timedelta(hours=1) == pytest.approx(56, rel=0.02)
    assert (expected.before_effect, expected.before_notice) == (60_000, 20_000)


@pytest.mark.django_db
def test_a_forecast_counts_deliveries_that_wait_already(simulated):
    written(300)
    expected = forecast(channel="simulated", recipients=60, effective_from=START + timedelta(hours=2), at=START)
    assert (expected.ends_at - START) / timedelta(hours=1) == pytest.approx(3, rel=0.1)
    assert expected.before_effect == 0


@pytest.mark.django_db
def test_a_forecast_does_not_count_paused_notices_and_those_that_a_correction_replaces(simulated):
    first, other, paused = written(40, notices=3)
    paused.pause()
    at = START + timedelta(minutes=1)
    parameters = {"channel": "simulated", "recipients": 40, "effective_from": at, "at": at}
    beforehand = forecast(**parameters, agreement=first.edition.agreement_id)

    correction = factories.published(slug=first.edition.agreement.slug).notices.get()
    Notice.objects.filter(pk=correction.pk).update(due_at=at)
    correction.refresh_from_db()
    dispatch.fan_out(correction)
    row = correction.progress.get()

    assert other.progress.get().waiting == first.progress.get().waiting == row.waiting == 40
    assert expected_end(row, at=at) == beforehand.ends_at
    assert (beforehand.ends_at - at) / timedelta(minutes=40) == pytest.approx(1, rel=0.2)
    assert forecast(**parameters).ends_at > beforehand.ends_at


def sent_progress(**columns: Any) -> Progress:
    return Progress.objects.create(notice=factories.published().notices.get(), channel="email", **columns)


def test_without_rate_limits_the_speed_is_measured_from_the_last_large_notice(db):
    sent_progress(sent=36_000, timed=36_000, sending_time=timedelta(hours=1))
    sent_progress(sent=20, timed=20, sending_time=timedelta(hours=1))
    expected = forecast(channel="email", recipients=72_000, effective_from=START, at=START)
    assert (expected.ends_at - START) / timedelta(hours=2) == pytest.approx(1, rel=0.01)


@pytest.mark.django_db
def test_neither_a_pause_nor_retries_days_later_lower_the_measured_speed(simulated):
    (notice,) = written(300)
    run(timedelta(hours=1))
    notice.pause()
    run(timedelta(hours=20))
    notice.resume()
    run(timedelta(hours=24))
    assert notice.progress.get().sent == 300
    assert notice.progress.get().speed == pytest.approx(2, rel=0.1)


@pytest.mark.parametrize(
    ("batches", "seconds"),
    [
        ([(0, 10), (5, 20), (1, 20)], 20),
        ([(8, 9), (0, 10)], 10),
        ([(2, 3), (0, 4), (100, 120)], 24),
        ([(0, 10), (86_400, 86_420)], 30),
        ([(20, 30), (5, 15), (30, 40)], 30),
    ],
    ids=["in turn", "one inside another", "apart after that", "a day later", "counted late"],
)
def test_time_in_which_several_workers_send_counts_once(batches, seconds):
    row = Progress()
    for began, ended in batches:
        row.add_batch(began_at=START + timedelta(seconds=began), at=START + timedelta(seconds=ended), sent=100)
    assert row.sending_time == timedelta(seconds=seconds)
    assert row.speed == 100 * len(batches) / seconds


@pytest.mark.django_db
def test_messages_that_were_counted_without_their_time_do_not_raise_the_measured_speed():
    users = factories.users(150)
    notice = factories.published().notices.get()
    dispatch.fan_out(notice)
    mine, killed = (Delivery.objects.claim(notice=notice, channel="email", size=50, at=notice.due_at) for _ in range(2))
    for delivery in (*mine, *killed):
        delivery.record_outcome(DeliveryOutcome.SENT)
    Delivery.objects.count_outcomes(lease=killed[0].lease, at=START + timedelta(seconds=4))
    Delivery.objects.count_outcomes(lease=mine[0].lease, began_at=START, at=START + timedelta(seconds=5))
    found = [message_ids.local_part(notice.uuid, "email", user.pk) + "@portal" for user in users]
    assert dispatch.reconcile(f"<{message_id}>" for message_id in found) == 50
    row = notice.progress.get()
    assert (row.sent, row.speed) == (150, 10)


def test_the_speed_is_not_above_the_rate_limit(db, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "RATE_LIMITS": {"email": ("3600/h",)}}
    assert speed(sent_progress(sent=20, timed=20, sending_time=timedelta(seconds=1))) == 1
    assert speed(Progress(channel="sms", sent=5)) is None
