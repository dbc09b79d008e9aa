"""Whatever fails, the ledger adds up, no recipient is lost, and none is blamed for a fault of the server.

With ``AGREEMENT_TEST_FULL=1`` each has 5,000 recipients, otherwise 100.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection
from django.utils import timezone

from agreement.models import ChannelState, Delivery, DeliveryOutcome, Notice, Progress
from agreement.models.deliveries import LEASE
from agreement.notices import dispatch
from agreement.notices.channels import EmailChannel
from agreement.testing import open_seal
from tests.support import factories
from tests.support.failing_mail_server import Clock, every, failing
from tests.support.scale import FULL
from tests.support.smtp_server import mail_by

COUNT = 5_000 if FULL else 100


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
    recipients = {recipient for recipient, _identity in server.took}
    assert len(recipients) == outcomes["sent"]
    assert len(set(server.took)) == len(recipients), "a repeat must carry the Message-ID of the first"
    assert (len(server.took) > len(recipients)) == bool(repeats)


@pytest.mark.django_db
@pytest.mark.parametrize("reply", ["450 mailbox unavailable", "452 4.2.2 mailbox full", "451 4.7.1 try again later"])
def test_mailboxes_that_accept_nothing_delay_no_other_notice(settings, reply):
    factories.users(30)
    first, second = (factories.published(slug=slug).notices.get() for slug in ("first", "second"))
    for notice in (first, second):
        dispatch.fan_out(notice)
    Delivery.objects.filter(notice=first).update(attempts=3, due_at=timezone.now())
    clock = Clock()
    clock.ahead = timedelta(minutes=1)
    with failing(settings, lambda recipient, count: reply if recipient and count >= 30 else "250 OK") as server:
        counts = dispatch.deliver(clock=clock)
    assert len(server.took) == 30
    assert (counts.sent, counts.postponed, counts.outage) == (30, 30, "")
    assert list(Progress.objects.order_by("pk").values_list("sent", flat=True)) == [0, 30]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("reply", "outage"),
    [
        ("450 4.2.1 mailbox busy", ""),
        ("451 4.1.1 not verified", ""),
        ("451 4.1.7 sender not verified", "SMTP 451 4.1.7: the sender is refused"),
        ("451 4.7.1 try again later", "SMTP 451 4.7.1"),
        ("452 4.3.1 disk full", "SMTP 452 4.3.1"),
    ],
)
def test_faults_of_mailboxes_are_not_an_outage_of_the_server(settings, reply, outage):
    factories.users(20)
    factories.published()
    with failing(settings, lambda recipient, count: reply if recipient[:6] not in {"", "user19"} else "250 OK"):
        counts = dispatch.work()
    assert (counts.sent, counts.outage) == (not outage, outage)


@pytest.mark.django_db
def test_a_server_that_is_away_at_first_costs_nobody_an_attempt(settings):
    factories.users(COUNT)
    factories.published()
    clock = Clock()
    with failing(settings, every(10**9, None)):
        pass
    # Nobody listens there now.
    counts = dispatch.work(clock=clock)
    assert counts.outage
    assert set(Delivery.objects.values_list("outcome", "attempts")) == {("waiting", 0)}
    clock.ahead += timedelta(minutes=1)
    with failing(settings, every(10**9, None)):
        clock.work(rounds=50)
    assert Progress.objects.total()["sent"] == COUNT


@pytest.mark.django_db
def test_a_server_that_accepts_and_hangs_is_abandoned_after_the_time_out(settings, monkeypatch):
    monkeypatch.setattr("agreement.notices.channels.email.REPLY_TIMEOUT", 0.3)
    if hasattr(settings, "EMAIL_TIMEOUT") and not hasattr(settings, "MAILERS"):
        settings.EMAIL_TIMEOUT = None
    factories.users(20)
    factories.published()
    clock = Clock()
    with failing(settings, lambda recipient, count: "hang" if not recipient and count == 5 else "250 OK") as server:
        clock.work(rounds=20)
    assert Progress.objects.total()["sent"] == 20
    assert len(set(server.took)) == 20


@pytest.mark.parametrize("seconds", [None, 60])
def test_whatever_time_out_the_site_sets_a_reply_is_awaited_for_less_than_half_a_lease(settings, seconds):
    with failing(settings, lambda recipient, count: "250 OK") as server:
        options = {"host": "127.0.0.1", "port": server.port, "timeout": seconds}
        mail_by(settings, "django.core.mail.backends.smtp.EmailBackend", **options)
        with EmailChannel() as channel:
            assert channel._open().timeout < LEASE.total_seconds() / 2


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
def test_deliveries_of_a_dead_worker_are_free_after_its_lease_though_the_clock_was_put_back(settings):
    factories.users(5)
    notice = factories.published().notices.get()
    dispatch.fan_out(notice)
    clock = Clock()
    clock.ahead = timedelta(hours=2)
    dead = Delivery.objects.claim(notice=notice, channel=EmailChannel.name, size=3, at=clock())
    dead[0].record_outcome(DeliveryOutcome.SENT, at=clock())  # Settled, and not counted.
    clock.ahead -= timedelta(hours=1)
    with failing(settings, every(10**9, None)) as server:
        dispatch.deliver(clock=clock)
        assert len(server.took) == 2, "a lease is left to its worker, whoever's clock is right"
        clock.ahead += LEASE + timedelta(seconds=1)
        dispatch.deliver(clock=clock)
    assert len(server.took) == 4
    assert Progress.objects.total() == {"waiting": 0, "sent": 5, "failed": 0, "skipped": 0}


@pytest.mark.django_db
def test_the_command_waits_for_outcomes_that_a_dead_worker_did_not_count():
    factories.users(2)
    notice = factories.published().notices.get()
    dispatch.fan_out(notice)
    for delivery in Delivery.objects.claim(notice=notice, channel=EmailChannel.name):
        delivery.record_outcome(DeliveryOutcome.SENT)
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
    assert ChannelState.objects.get().outages == 2, "it was tried again, and is left alone again"
    assert clock() < dispatch.next_due_at(clock()) < clock() + timedelta(minutes=1)


@pytest.mark.django_db
def test_a_worker_whose_deliveries_were_taken_over_sends_at_most_one_more(settings, monkeypatch):
    factories.users(10)
    notice = factories.published().notices.get()
    dispatch.fan_out(notice)
    send, took = EmailChannel.send, []

    def meanwhile(self: Any, delivery: Any, address: str, text: Any) -> None:
        send(self, delivery, address, text)
        if len(took) < 3:
            took.append(address)
        if len(took) == 3:  # The clock leaps, and every lease is over.
            Delivery.objects.waiting().update(lease="another", due_at=timezone.now() + timedelta(hours=1))

    monkeypatch.setattr(EmailChannel, "send", meanwhile)
    with failing(settings, every(10**9, None)) as server:
        counts = dispatch.deliver()
    assert (len(server.took), counts.sent) == (3, 2)
    assert Delivery.objects.waiting().filter(lease="another").count() == 8


class Broken:
    """A database that fails so many times to record an outcome: ``connection.execute_wrapper``."""

    def __init__(self, times: int) -> None:
        self.times = times

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if self.times and sql.startswith(f"UPDATE {Delivery._meta.db_table} SET outcome"):  # noqa: S608 - only names of tables and columns
            self.times -= 1
            raise OperationalError("database or disk is full")
        return execute(sql, params, many, context)


@pytest.mark.django_db
def test_an_outcome_that_could_not_be_recorded_is_recorded_immediately_if_possible(settings):
    factories.users(5)
    factories.published()
    with failing(settings, every(10**9, None)) as server, connection.execute_wrapper(Broken(1)):
        assert dispatch.work().sent == 5
    assert len(server.took) == 5
    assert Progress.objects.total()["sent"] == 5


@pytest.mark.django_db
def test_nothing_else_is_sent_until_every_outcome_is_recorded(settings):
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
def test_a_failure_for_the_next_message_never_changes_the_outcome_of_the_last(settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "CHANNELS": ("tests.notices.test_mail_server_failures.Careless",)}
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
@pytest.mark.parametrize("reply", ["421 4.7.0 too many messages in this connection", None])
def test_a_server_that_takes_few_messages_per_connection_is_connected_to_again(settings, reply, grouped):
    factories.users(50)
    factories.published()
    with failing(settings, every(10**9, None), grouped=grouped, each=7, closing_reply=reply) as server:
        counts = dispatch.work()
    assert (counts.sent, counts.postponed, counts.outage) == (50, 0, "")
    assert len(server.took) == len(set(server.took)) == 50


@pytest.mark.django_db
@pytest.mark.parametrize("grouped", [True, False], ids=["in groups", "one by one"])
def test_a_server_that_closes_in_answer_to_the_words_is_connected_to_again_and_gets_the_message_again(
    settings, grouped
):
    factories.users(50)
    factories.published()
    ending = {"each": 7, "closing_reply": "421 4.7.0 too many messages", "after_words": True}
    with failing(settings, every(10**9, None), grouped=grouped, **ending) as server:
        counts = dispatch.work()
    assert (counts.sent, counts.postponed, counts.outage) == (50, 0, "")
    assert len(server.took) == len(set(server.took)) == 50


@pytest.mark.django_db
def test_an_outage_after_an_accepted_message_is_the_first_in_a_row(settings):
    factories.users(20)
    factories.published()
    past = timezone.now() - timedelta(minutes=1)
    ChannelState.objects.create(channel="email", outages=6, away_until=past, reason="SMTP 421")
    with failing(settings, lambda recipient, count: "421 closing" if recipient == "user9@example.kz" else "250 OK"):
        dispatch.work()
    state = ChannelState.objects.get()
    assert state.outages == 1
    assert state.away_until < timezone.now() + timedelta(seconds=20)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("reply", "attempts"),
    [
        ("553 5.7.1 <info@example.kz>: Sender address rejected: not owned by user", 1),
        ("550 5.1.8 <info@example.kz>: Sender address rejected: Domain not found", 1),
        ("451 4.1.8 try again", 1),
        ("530 5.7.0 Authentication required", 0),
    ],
)
def test_a_sender_who_is_refused_in_the_reply_to_a_recipient_is_the_channels_fault(settings, reply, attempts):
    """Postfix replies so, because it waits for the recipient before it refuses a sender."""
    settings.AGREEMENT = {**settings.AGREEMENT, "FROM_EMAIL": "info@example.kz"}
    factories.users(12)
    factories.published()
    with failing(settings, lambda recipient, count: reply if recipient else "250 OK"):
        counts = dispatch.work()
    assert counts.outage.startswith(f"SMTP {reply[:9]}: the ")
    assert (counts.sent, counts.failed) == (0, 0)
    assert sum(Delivery.objects.values_list("attempts", flat=True)) == attempts


@pytest.mark.django_db
def test_a_refusal_that_quotes_both_the_sender_and_the_recipient_is_the_recipients(settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "FROM_EMAIL": "info@example.kz"}
    factories.users(3)
    factories.published()
    reply = "550 5.1.1 mail from <info@example.kz> to <user1@example.kz>: unknown"
    with failing(settings, lambda recipient, count: reply if recipient.startswith("user1") else "250 OK"):
        counts = dispatch.work()
    assert (counts.sent, counts.failed, counts.outage) == (2, 1, "")


@pytest.mark.django_db
@pytest.mark.parametrize("answered", [True, False], ids=["before the words", "after the words"])
def test_a_message_is_perhaps_sent_only_if_its_words_were_not_answered(settings, answered):
    factories.users(1)
    factories.published()
    fault = (lambda recipient, count: None) if answered else every(1, None)
    with failing(settings, fault):
        dispatch.work()
    assert Delivery.objects.values_list("attempts", "perhaps_sent").get() == (1, not answered)


@pytest.mark.django_db
def test_outcomes_that_the_database_lost_are_recorded_again_and_nothing_is_sent_again(settings):
    factories.users(5)
    factories.published()

    def forget(delivery: Delivery) -> None:
        row = Delivery.objects.filter(pk=delivery.pk)
        with open_seal():
            row.update(outcome="waiting", outcome_at=None, language="", since=None)

    with failing(settings, every(10**9, None)) as server:
        dispatch.work(on_outcome=forget)
    assert len(server.took) == 5
    assert Progress.objects.total() == {"waiting": 0, "sent": 5, "failed": 0, "skipped": 0}
    assert set(Delivery.objects.values_list("outcome", "lease")) == {("sent", "")}
