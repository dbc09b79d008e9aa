"""Whatever fails, the ledger adds up, nobody is lost, and nobody blamed for what is not his fault.

With ``AGREEMENT_TEST_FULL=1`` each has 5,000 recipients, otherwise 300.
"""

from __future__ import annotations

import os
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection
from django.utils import timezone

from agreement import dispatch
from agreement.channels import EmailChannel
from agreement.models import Delivery, Notice, Pace, Progress
from agreement.models.deliveries import LEASE
from tests import factories
from tests.failing import Clock, every, failing

COUNT = 5_000 if os.environ.get("AGREEMENT_TEST_FULL") else 300


@pytest.mark.django_db
@pytest.mark.parametrize("grouped", [True, False], ids=["in groups", "one by one"])
@pytest.mark.parametrize(
    ("fault", "failed", "repeats"),
    [
        pytest.param(every(10, "421 4.3.2 closing"), 0, 0, id="421 for every tenth message"),
        pytest.param(every(10, "450 4.2.1 busy"), 0, 0, id="450 for every tenth message"),
        pytest.param(every(10, "550 5.7.1 policy"), 0, 0, id="a policy against every tenth message"),
        pytest.param(every(10, "554 5.6.0 content"), 1, 0, id="554 for every tenth message"),
        pytest.param(every(50, None), 0, 1, id="hangs up after every fiftieth message"),
        pytest.param(
            lambda recipient, count: "550 5.1.1 unknown" if recipient.startswith("user7") else "250 OK",
            1,
            0,
            id="unknown addresses",
        ),
    ],
)
def test_whatever_the_server_answers_the_ledger_adds_up_and_nobody_is_lost(settings, fault, failed, repeats, grouped):
    factories.users(COUNT)
    factories.published()
    clock = Clock()
    with failing(settings, fault, grouped=grouped) as server:
        clock.work(rounds=COUNT)

    total = Progress.objects.total()
    outcomes = Counter(Delivery.objects.values_list("outcome", flat=True))
    assert total == {"waiting": 0, "sent": outcomes["sent"], "failed": outcomes["failed"], "skipped": 0}
    assert outcomes["sent"] + outcomes["failed"] == COUNT
    assert bool(outcomes["failed"]) == bool(failed)
    told = {recipient for recipient, _identity in server.took}
    assert len(told) == outcomes["sent"]
    assert len(set(server.took)) == len(told), "a repeat must carry the Message-ID of the first"
    assert (len(server.took) > len(told)) == bool(repeats)


@pytest.mark.django_db
@pytest.mark.parametrize("says", ["450 mailbox unavailable", "452 4.2.2 mailbox full", "451 4.7.1 try again later"])
def test_mailboxes_that_take_nothing_hold_up_no_other_notice(settings, says):
    factories.users(30)
    first, second = (factories.published(slug=slug).notices.get() for slug in ("first", "second"))
    for notice in (first, second):
        dispatch.fan_out(notice)
    Delivery.objects.filter(notice=first).update(attempts=3, due_at=timezone.now())
    clock = Clock()
    clock.ahead = timedelta(minutes=1)
    with failing(settings, lambda recipient, count: says if recipient and count >= 30 else "250 OK") as server:
        tally = dispatch.deliver(clock=clock)
    assert len(server.took) == 30
    assert (tally.sent, tally.postponed, tally.outage) == (30, 30, "")
    assert list(Progress.objects.order_by("pk").values_list("sent", flat=True)) == [0, 30]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("says", "outage"),
    [
        ("450 4.2.1 mailbox busy", ""),
        ("451 4.1.1 not verified", ""),
        ("451 4.1.7 sender not verified", "SMTP 451 4.1.7"),
        ("451 4.7.1 try again later", "SMTP 451 4.7.1"),
        ("452 4.3.1 disk full", "SMTP 452 4.3.1"),
    ],
)
def test_a_fault_of_mailboxes_is_none_of_the_server(settings, says, outage):
    factories.users(20)
    factories.published()
    with failing(settings, lambda recipient, count: says if recipient[:6] not in {"", "user19"} else "250 OK"):
        tally = dispatch.work()
    assert (tally.sent, tally.outage) == (not outage, outage)


@pytest.mark.django_db
def test_a_server_that_is_away_at_first_costs_nobody_an_attempt(settings):
    factories.users(COUNT)
    factories.published()
    clock = Clock()
    with failing(settings, every(10**9, None)):
        pass
    # Nobody listens there now.
    tally = dispatch.work(clock=clock)
    assert tally.outage
    assert set(Delivery.objects.values_list("outcome", "attempts")) == {("waiting", 0)}
    clock.ahead += timedelta(minutes=1)
    with failing(settings, every(10**9, None)):
        clock.work(rounds=50)
    assert Progress.objects.total()["sent"] == COUNT


@pytest.mark.django_db
def test_a_server_that_accepts_and_hangs_is_left_after_its_time(settings, monkeypatch):
    monkeypatch.setattr("agreement.channels.TIMEOUT", 0.3)
    if hasattr(settings, "EMAIL_TIMEOUT") and not hasattr(settings, "MAILERS"):
        settings.EMAIL_TIMEOUT = None
    factories.users(20)
    factories.published()
    clock = Clock()
    with failing(settings, lambda recipient, count: "hang" if not recipient and count == 5 else "250 OK") as server:
        clock.work(rounds=20)
    assert Progress.objects.total()["sent"] == 20
    assert len(set(server.took)) == 20


@pytest.mark.django_db
def test_a_clock_that_is_put_back_an_hour_delays_and_loses_nothing(settings):
    factories.users(COUNT)
    factories.published()
    notice = Notice.objects.get()
    dispatch.fan_out(notice)
    clock = Clock()
    with failing(settings, every(10, "450 4.2.1 busy")) as server:
        batch = Delivery.objects.claim(notice=notice, channel=EmailChannel.name)
        assert batch  # A worker that was killed.
        dispatch.deliver(clock=clock)
        clock.ahead -= timedelta(hours=1)
        clock.work(rounds=COUNT)
    assert Progress.objects.total() == {"waiting": 0, "sent": COUNT, "failed": 0, "skipped": 0}
    assert len(server.took) == COUNT


@pytest.mark.django_db
def test_what_a_dead_worker_held_is_free_after_its_lease_though_the_clock_was_put_back(settings):
    factories.users(5)
    notice = factories.published().notices.get()
    dispatch.fan_out(notice)
    clock = Clock()
    clock.ahead = timedelta(hours=2)
    dead = Delivery.objects.claim(notice=notice, channel=EmailChannel.name, size=3, at=clock())
    dead[0].settle(Delivery.Outcome.SENT, at=clock())  # Settled, and not counted.
    clock.ahead -= timedelta(hours=1)
    with failing(settings, every(10**9, None)) as server:
        dispatch.deliver(clock=clock)
        assert len(server.took) == 2, "a lease is left to its worker, whoever's clock is right"
        clock.ahead += LEASE + timedelta(seconds=1)
        dispatch.deliver(clock=clock)
    assert len(server.took) == 4
    assert Progress.objects.total() == {"waiting": 0, "sent": 5, "failed": 0, "skipped": 0}


@pytest.mark.django_db
def test_the_command_waits_for_what_a_dead_worker_settled_and_did_not_count():
    factories.users(2)
    notice = factories.published().notices.get()
    dispatch.fan_out(notice)
    for delivery in Delivery.objects.claim(notice=notice, channel=EmailChannel.name):
        delivery.settle(Delivery.Outcome.SENT)
    Delivery.objects.update(due_at=timezone.now() + timedelta(seconds=0.5))  # When its lease ends.
    call_command("deliver_notices", once=True)
    assert Progress.objects.total() == {"waiting": 0, "sent": 2, "failed": 0, "skipped": 0}


@pytest.mark.django_db
def test_a_channel_that_was_away_is_tried_though_the_clock_was_put_back(settings):
    factories.users(2)
    notice = factories.published().notices.get()
    dispatch.fan_out(notice)
    clock = Clock()
    clock.ahead = timedelta(hours=2)
    with failing(settings, every(10**9, None)):
        pass
    assert dispatch.deliver(clock=clock).outage
    clock.ahead -= timedelta(hours=1)
    assert dispatch.deliver(clock=clock).outage
    assert Pace.objects.get().outages == 2, "it was tried again, and is left alone again"
    assert clock() < dispatch.next_at(clock()) < clock() + timedelta(minutes=1)


@pytest.mark.django_db
def test_a_worker_whose_deliveries_another_took_over_sends_one_more_at_most(settings, monkeypatch):
    factories.users(10)
    notice = factories.published().notices.get()
    dispatch.fan_out(notice)
    send, took = EmailChannel.send, []

    def meanwhile(self: Any, delivery: Any, address: str, said: Any) -> None:
        send(self, delivery, address, said)
        if len(took) < 3:
            took.append(address)
        if len(took) == 3:  # The clock leaps, and every lease is over.
            Delivery.objects.waiting().update(lease="another", due_at=timezone.now() + timedelta(hours=1))

    monkeypatch.setattr(EmailChannel, "send", meanwhile)
    with failing(settings, every(10**9, None)) as server:
        tally = dispatch.deliver()
    assert (len(server.took), tally.sent) == (3, 2)
    assert Delivery.objects.waiting().filter(lease="another").count() == 8


class Broken:
    """A database that fails at the settling of messages as long as it is told to: ``connection.execute_wrapper``."""

    def __init__(self, times: int) -> None:
        self.times = times

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if self.times and sql.startswith(f"UPDATE {Delivery._meta.db_table} SET outcome"):
            self.times -= 1
            raise OperationalError("database or disk is full")
        return execute(sql, params, many, context)


@pytest.mark.django_db
def test_what_was_sent_and_could_not_be_written_down_is_written_at_once_if_it_can_be(settings):
    factories.users(5)
    factories.published()
    with failing(settings, every(10**9, None)) as server, connection.execute_wrapper(Broken(1)):
        assert dispatch.work().sent == 5
    assert len(server.took) == 5
    assert Progress.objects.total()["sent"] == 5


@pytest.mark.django_db
def test_nothing_else_is_sent_until_what_was_sent_is_written_down(settings):
    factories.users(5)
    factories.published()
    clock = Clock()
    with failing(settings, every(10**9, None)) as server:
        with connection.execute_wrapper(Broken(12)):
            for _round in range(11):
                with pytest.raises(OperationalError, match="disk is full"):
                    dispatch.work(clock=clock)
                clock.ahead += timedelta(minutes=1)
            assert len(server.took) == 1
        clock.work(rounds=5)
    assert len(server.took) == len(set(server.took)) == 5
    assert Progress.objects.total() == {"waiting": 0, "sent": 5, "failed": 0, "skipped": 0}


class Careless(EmailChannel):
    """A host's channel whose way to begin a message fails."""

    def begin(self, address: str) -> None:
        raise UnicodeError(address)


@pytest.mark.django_db
def test_what_fails_about_the_next_message_never_unsettles_the_last(settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "CHANNELS": ("tests.test_faults.Careless",)}
    factories.users(5)
    factories.published()
    with failing(settings, every(10**9, None)) as server:
        assert dispatch.work().sent == 5
    assert len(server.took) == 5


@pytest.mark.django_db
def test_a_sender_with_a_domain_in_cyrillic_letters_is_written_as_servers_understand_it(settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "FROM_EMAIL": "Портал <info@портал.қаз>"}
    factories.users(2)
    factories.published()
    with failing(settings, every(10**9, None)):
        assert dispatch.work().sent == 2


@pytest.mark.django_db
@pytest.mark.parametrize("grouped", [True, False], ids=["in groups", "one by one"])
@pytest.mark.parametrize("says", ["421 4.7.0 too many messages in this connection", None])
def test_a_server_that_takes_few_messages_over_one_line_is_called_again_and_not_left_alone(settings, says, grouped):
    factories.users(50)
    factories.published()
    with failing(settings, every(10**9, None), grouped=grouped, each=7, says=says) as server:
        tally = dispatch.work()
    assert (tally.sent, tally.postponed, tally.outage) == (50, 0, "")
    assert len(server.took) == len(set(server.took)) == 50


@pytest.mark.django_db
def test_what_the_database_forgot_unseen_is_written_down_again_and_not_sent_again(settings):
    factories.users(5)
    factories.published()

    def forget(delivery: Delivery) -> None:
        row = Delivery.objects.filter(pk=delivery.pk)
        row.update(outcome="waiting", settled_at=None, language="", since=None)

    with failing(settings, every(10**9, None)) as server:
        dispatch.work(settled=forget)
    assert len(server.took) == 5
    assert Progress.objects.total() == {"waiting": 0, "sent": 5, "failed": 0, "skipped": 0}
    assert set(Delivery.objects.values_list("outcome", "lease")) == {("sent", "")}
