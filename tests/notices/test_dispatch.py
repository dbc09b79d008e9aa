"""The ledger: no recipient is omitted or notified twice, each gets their language, through a real SMTP server."""

from __future__ import annotations

import sys
import threading
import time
import unicodedata
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.mail.backends.base import BaseEmailBackend
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import override_settings
from django.utils import timezone

from agreement.models import (
    ChannelState,
    Delivery,
    DeliveryOutcome,
    Edition,
    Notice,
    NoticeText,
    Progress,
    deliveries,
    pseudonyms,
)
from agreement.models.backoff import MAX_ATTEMPTS
from agreement.notices import audience, batch, dispatch, lease
from agreement.notices.audience import _write_next
from agreement.notices.channels import EmailChannel
from agreement.testing import open_seal
from tests.support import factories, smtp_server

Outcome = DeliveryOutcome


@pytest.fixture
def mailbox(settings: Any) -> Iterator[smtp_server.Mailbox]:
    with smtp_server.server() as mailbox:
        if hasattr(settings, "MAILERS"):
            settings.MAILERS = {
                "default": {
                    "BACKEND": "django.core.mail.backends.smtp.EmailBackend",
                    "OPTIONS": {"host": "127.0.0.1", "port": mailbox.port},
                }
            }
        else:
            settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
            settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", mailbox.port
        yield mailbox


def outcomes() -> Counter[str]:
    return Counter(Delivery.objects.values_list("outcome", flat=True))


def deliveries_of(address: str) -> Any:
    return Delivery.objects.filter(user__email=address)


@pytest.mark.django_db
def test_every_user_gets_one_mail_in_their_language(mailbox):
    users = factories.users(6)
    edition = factories.published(summary_kk="Жаңа сөздер.", summary_ru="Новые слова.")

    counts = dispatch.work()

    assert (counts.written, counts.sent) == (6, 6)
    assert sorted(mailbox.by_address()) == sorted(user.email for user in users)
    for number, (ours, other) in enumerate([("Жаңа сөздер.", "Новые"), ("Новые слова.", "Жаңа")]):
        text = mailbox.text(users[number].email)
        assert ours in text
        assert other not in text
        assert edition.digest in text
        assert f"/agreements/terms/editions/{edition.number}/" in text
    both = mailbox.text(users[2].email)
    assert both.index("Жаңа сөздер.") < both.index("Новые слова.")


@pytest.mark.django_db
def test_the_headers_of_the_mail_identify_the_notice(mailbox, settings):
    settings.AGREEMENT = {
        **settings.AGREEMENT,
        "FROM_EMAIL": "terms@example.kz",
        "REPLY_TO": "help@example.kz",
    }
    factories.users(3)
    factories.published()
    dispatch.work()

    kk, ru, both = mailbox.messages
    delivery = deliveries_of("user0@example.kz").get()
    assert kk["Message-ID"] == f"<{delivery.notice.uuid.hex}.email.{delivery.user_id}@127.0.0.1>"
    assert (kk["From"], kk["Reply-To"]) == ("Ашық кітапхана <terms@example.kz>", "help@example.kz")
    assert kk["Auto-Submitted"] == "auto-generated"
    assert [message["Content-Language"] for message in (kk, ru, both)] == ["kk", "ru", "kk, ru"]
    assert kk.get_body(("html",)) is not None


@pytest.mark.django_db
def test_working_again_notifies_nobody_twice(mailbox):
    factories.users(3)
    factories.published()
    dispatch.work()
    with open_seal():
        Notice.objects.update(fanned_out_at=None, fan_out_cursor="")

    again = dispatch.work()

    assert (again.written, again.sent, len(mailbox.messages)) == (0, 0, 3)


@pytest.mark.django_db
def test_an_edition_takes_effect_without_a_worker_and_a_late_one_changes_nothing_of_it(mailbox):
    factories.users(2)
    factories.published()
    second = factories.published(effective_from=timezone.now() + timedelta(days=1))

    def in_force() -> list[int]:
        moments = [second.effective_from + timedelta(microseconds=step) for step in (-1, 0)]
        return [Edition.objects.in_force(at).get().number for at in (timezone.now(), *moments)]

    stored = list(Edition.objects.order_by("pk").values())
    assert in_force() == [1, 1, 2]
    for days in (2, 400):  # The notices are sent long after the moment, and then there is nothing to do.
        dispatch.work(clock=lambda late=days: timezone.now() + timedelta(days=late))
    assert mailbox.messages
    assert in_force() == [1, 1, 2]
    assert list(Edition.objects.order_by("pk").values()) == stored


@pytest.mark.django_db
def test_fan_out_goes_on_from_where_it_stopped(mailbox, monkeypatch):
    monkeypatch.setattr(audience, "USERS_PER_STATEMENT", 2)
    factories.users(5)
    notice = factories.published().notices.get()
    dispatch.fan_out(notice, deadline=0.0)
    _write_next(notice, ("email",))
    assert Delivery.objects.count() == 2

    assert dispatch.fan_out(notice) == 3
    assert not Notice.objects.unfinished().exists()


@pytest.mark.django_db
def test_the_sealed_text_is_sent_even_if_the_template_changes_later(mailbox, monkeypatch):
    factories.users(1)
    notice = factories.published().notices.get()
    dispatch.fan_out(notice)
    text = NoticeText.objects.get(notice=notice, language="kk")
    monkeypatch.setattr(EmailChannel, "compose", None)

    dispatch.deliver()

    assert mailbox.messages[0]["Subject"].strip() == text.subject
    assert mailbox.text("user0@example.kz").strip() == text.text.strip()
    assert set(notice.texts.values_list("language", flat=True)) == {"kk", "ru", "mul"}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"email": ""}, "no address"),
        ({"email": "nobody at all"}, "invalid address"),
        ({"email": "a@example.kz\nBcc: b@example.kz"}, "invalid address"),
        # Django's validator passes it: the dotless i is a letter of ASCII to it.
        ({"email": f"a@{'ı' * 60}.kz"}, "invalid address"),
        ({"email": "а\u200b@example.kz"}, "invalid address"),
        ({"email": "а б@example.kz"}, "invalid address"),
        # Quoted, as RFC 5321 allows: nothing that could be written into a command or, on Django 6, into a header.
        ({"email": '"a b"@example.kz'}, "invalid address"),
        ({"email": '"a\x0bb"@example.kz'}, "invalid address"),
        ({"email": '",,\b"@example.com'}, "invalid address"),
        ({"is_active": False}, "inactive"),
    ],
)
def test_a_user_who_can_not_be_notified_is_skipped_with_the_reason(mailbox, change, reason):
    user, _other = factories.users(2)
    notice = factories.published().notices.get()
    dispatch.fan_out(notice)
    get_user_model().objects.filter(pk=user.pk).update(**change)

    dispatch.deliver()

    delivery = Delivery.objects.get(user=user)
    assert (delivery.outcome, delivery.reason) == (Outcome.SKIPPED, reason)
    assert outcomes() == {Outcome.SKIPPED: 1, Outcome.SENT: 1}


@pytest.mark.parametrize(
    "place", ["{}a@example.kz", '"a{}b"@example.kz', '"a\\{}b"@example.kz', "a@exam{}ple.kz", "a@b.kz{}"]
)
def test_no_control_character_is_part_of_an_address(place):
    channel = EmailChannel()
    assert channel.unreachable(place.format("z")) == ""
    control = [chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) == "Cc"]
    assert len(control) == 65
    assert {channel.unreachable(place.format(one)) for one in control} == {"invalid address"}


@pytest.mark.django_db
def test_the_ledger_outlives_a_deleted_account(mailbox):
    user, _other = factories.users(2)
    dispatch.fan_out(factories.published().notices.get())
    user.delete()

    dispatch.deliver()

    delivery = Delivery.objects.get(user=None)
    assert (delivery.outcome, delivery.reason) == (Outcome.SKIPPED, "account deleted")


@pytest.mark.django_db
def test_notices_of_a_cancelled_edition_are_skipped(mailbox):
    factories.users(2)
    edition = factories.published(effective_from=timezone.now() + timedelta(days=1))
    dispatch.fan_out(edition.notices.get())
    edition.cancel()

    dispatch.deliver()

    assert mailbox.messages == []
    assert set(Delivery.objects.values_list("outcome", "reason")) == {("skipped", "edition cancelled")}


@pytest.mark.django_db
def test_a_final_refusal_fails_and_a_passing_one_waits(mailbox):
    mailbox.replies = {"user0@example.kz": "550 no such user", "user1@example.kz": "451 try later"}
    factories.users(3)
    factories.published()
    now = timezone.now()

    counts = dispatch.work()

    assert (counts.failed, counts.postponed, counts.sent) == (1, 1, 1)
    final, later = deliveries_of("user0@example.kz").get(), deliveries_of("user1@example.kz").get()
    assert (final.outcome, final.reason) == (Outcome.FAILED, "SMTP 550")
    assert (later.outcome, later.reason, later.attempts) == (Outcome.WAITING, "SMTP 451", 1)
    assert timedelta(seconds=40) < later.due_at - now < timedelta(seconds=90)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("address", "reply", "message", "attempts"),
    [
        ("noreply@portal.example.kz", "550 not yours", "SMTP 550: the sender is refused", [0, 0, 0]),
        ("user0@example.kz", "421 closing", "SMTP 421", [0, 0, 1]),
    ],
)
def test_a_fault_of_the_whole_server_fails_no_recipient(mailbox, address, reply, message, attempts):
    mailbox.replies = {address: reply}
    factories.users(3)
    factories.published()

    counts = dispatch.work()

    assert (counts.outage, counts.failed, counts.postponed) == (message, 0, 3)
    assert outcomes() == {Outcome.WAITING: 3}
    assert sorted(Delivery.objects.values_list("attempts", flat=True)) == attempts
    mailbox.replies = {}
    assert dispatch.work().sent == 0
    Delivery.objects.update(due_at=timezone.now())
    assert dispatch.work(clock=lambda: timezone.now() + timedelta(seconds=20)).sent == 3
    assert ChannelState.objects.get().outages == 0


@pytest.mark.django_db
def test_attempts_end_and_the_ledger_knows_the_address_that_failed(mailbox, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "PSEUDONYM_KEYS": {"k": "s" * 50}}
    mailbox.replies = {"user0@example.kz": "451 try later"}
    factories.users(1)
    factories.published()
    for _attempt in range(MAX_ATTEMPTS):
        dispatch.work()
        Delivery.objects.waiting().update(due_at=timezone.now())

    assert outcomes() == {Outcome.FAILED: 1}
    assert Delivery.objects.get().address_digest == pseudonyms.address_digest("user0@example.kz")
    mailbox.replies = {}
    assert dispatch.work().sent == 0


@pytest.mark.django_db
def test_a_server_that_is_away_costs_no_attempt_and_loses_nothing(mailbox, settings):
    if hasattr(settings, "MAILERS"):
        settings.MAILERS["default"]["OPTIONS"]["port"] = 1
    else:
        settings.EMAIL_PORT = 1
    factories.users(3)
    factories.published()

    with pytest.raises(CommandError, match="The channel is unavailable .* 3 deliveries wait"):
        call_command("deliver_notices", once=True)

    assert set(Delivery.objects.values_list("outcome", "attempts", "lease")) == {("waiting", 0, "")}


@pytest.mark.django_db
def test_without_the_sites_address_nothing_is_sent_and_nothing_lost(mailbox, settings):
    factories.users(1)
    factories.published()
    with override_settings(AGREEMENT={**settings.AGREEMENT, "BASE_URL": ""}):
        (fault,) = dispatch.work().faults
        assert "BASE_URL" in fault
        with pytest.raises(CommandError, match="BASE_URL"):
            call_command("deliver_notices")

    assert dispatch.work().sent == 1


@pytest.mark.django_db
def test_a_fault_in_one_message_never_stops_the_others(mailbox, monkeypatch):
    factories.users(3)
    factories.published()
    send = EmailChannel.send

    def faulty(self: Any, delivery: Any, address: str, text: Any) -> None:
        if address == "user1@example.kz":
            raise RuntimeError(address)
        send(self, delivery, address, text)

    monkeypatch.setattr(EmailChannel, "send", faulty)
    counts = dispatch.work()

    assert (counts.sent, counts.postponed) == (2, 1)
    assert deliveries_of("user1@example.kz").get().reason == "RuntimeError"


@pytest.mark.django_db
def test_a_worker_whose_lease_was_taken_over_records_nothing():
    factories.users(1)
    notice = factories.published().notices.get()
    dispatch.fan_out(notice)
    (mine,) = Delivery.objects.claim(notice=notice, channel="email")
    assert Delivery.objects.claim(notice=notice, channel="email") == []
    Delivery.objects.update(due_at=timezone.now())
    (theirs,) = Delivery.objects.claim(notice=notice, channel="email")

    assert mine.record_outcome(Outcome.SENT) is False
    assert Delivery.objects.renew(lease=mine.lease) == set()
    assert theirs.record_outcome(Outcome.SENT) is True
    assert theirs.record_outcome(Outcome.FAILED) is False
    assert outcomes() == {Outcome.SENT: 1}


@pytest.mark.django_db
def test_a_lease_is_renewed_while_its_worker_works(mailbox, monkeypatch):
    monkeypatch.setattr(batch, "LEASE", timedelta(0))
    monkeypatch.setattr(batch.LeaseRenewer, "run", lambda self: None)
    factories.users(2)
    factories.published()
    dispatch.fan_out(Notice.objects.get())
    Delivery.objects.update(due_at=timezone.now() - timedelta(hours=1))
    ends = []
    monkeypatch.setattr(EmailChannel, "send", lambda *_: ends.append(Delivery.objects.waiting().first().due_at))

    dispatch.deliver()

    assert ends[1] > ends[0] > timezone.now()


@pytest.mark.django_db
def test_a_worker_whose_time_is_over_gives_the_rest_of_its_batch_back(mailbox, monkeypatch):
    factories.users(3)
    factories.published()
    dispatch.fan_out(Notice.objects.get())
    monkeypatch.setattr(batch.Worker, "out_of_time", lambda self: self.counts.sent == 1)

    assert dispatch.deliver().sent == 1

    assert Delivery.objects.due().filter(lease="", attempts=0).count() == 2


@pytest.mark.django_db
def test_the_audience_is_the_sites(mailbox, settings):
    factories.users(3)
    settings.AGREEMENT = {**settings.AGREEMENT, "AUDIENCE": "tests.notices.test_dispatch.first_user"}
    factories.published()
    dispatch.work()
    assert list(mailbox.by_address()) == ["user0@example.kz"]


def first_user() -> Any:
    return get_user_model().objects.filter(username="user0")


@pytest.mark.django_db
def test_a_claim_takes_a_hundred_for_half_a_minute_and_costs_few_queries(django_assert_max_num_queries):
    factories.users(150)
    notice = factories.published().notices.get()
    dispatch.fan_out(notice)
    claimed_at = timezone.now()
    with django_assert_max_num_queries(5):  # 3 and the savepoint of the test's transaction
        assert len(Delivery.objects.claim(notice=notice, channel="email")) == 100
    assert len(Delivery.objects.claim(notice=notice, channel="email")) == 50
    ends = set(Delivery.objects.leased().values_list("due_at", flat=True))
    assert timedelta(0) < max(ends) - claimed_at
    assert max(ends) <= timezone.now() + timedelta(seconds=30)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("reply", "outcome", "reason"),
    [
        ("550 5.1.1 no such user", "failed", "SMTP 550 5.1.1"),
        ("554 5.7.1 Relay access denied for user0@example.kz", "waiting", "SMTP 554 5.7.1"),
        ("452 4.2.2 mailbox full", "waiting", "SMTP 452 4.2.2"),
    ],
)
def test_only_a_fault_of_the_recipient_is_final_and_only_codes_are_stored(mailbox, reply, outcome, reason):
    mailbox.replies = {"user0@example.kz": reply}
    factories.users(1)
    factories.published()
    dispatch.work()
    assert Delivery.objects.values_list("outcome", "reason").get() == (outcome, reason)


class Confused(BaseEmailBackend):
    """A mail service whose answers are no JSON, say; for letters ``to`` anybody, or to one user."""

    to = ""

    def send_messages(self, messages: Any) -> int:
        if any(self.to in message.to[0] for message in messages):
            raise ValueError("Expecting value: line 1 column 1 (char 0)")
        return len(messages)


@pytest.mark.django_db
def test_an_error_of_the_backend_for_every_message_fails_no_recipient(settings):
    smtp_server.mail_by(settings, "tests.notices.test_dispatch.Confused")
    factories.users(15)
    factories.published()
    counts = dispatch.work()
    assert (counts.outage, counts.failed, counts.postponed) == ("ValueError", 0, 15)
    assert outcomes() == {Outcome.WAITING: 15}


@pytest.mark.django_db
def test_an_error_a_backend_meets_with_one_message_is_tried_again(settings, monkeypatch):
    monkeypatch.setattr(Confused, "to", "user3@")
    smtp_server.mail_by(settings, "tests.notices.test_dispatch.Confused")
    factories.users(15)
    factories.published()
    counts = dispatch.work()
    assert (counts.sent, counts.failed, counts.postponed) == (14, 0, 1)
    assert Delivery.objects.waiting().get().reason == "ValueError"


@pytest.mark.django_db
def test_a_policy_against_one_recipient_is_final_once_the_server_takes_the_next_message(mailbox):
    mailbox.replies = dict.fromkeys(["user1@example.kz", "user2@example.kz", "user4@example.kz"], "550 5.7.1 not here")
    factories.users(5)
    factories.published()
    counts = dispatch.work()
    assert (counts.sent, counts.failed, counts.postponed) == (2, 2, 1)
    failed = Delivery.objects.filter(outcome=Outcome.FAILED).order_by("pk")
    assert list(failed.values_list("user__username", "reason")) == [
        ("user1", "SMTP 550 5.7.1"),
        ("user2", "SMTP 550 5.7.1"),
    ]
    assert Delivery.objects.waiting().values_list("user__username", "attempts", "reason").get() == (
        "user4",
        1,
        "SMTP 550 5.7.1",
    )


@pytest.mark.django_db
def test_a_policy_against_everybody_from_some_message_on_fails_nobody(mailbox):
    users = factories.users(20)
    mailbox.replies = {user.email: "550 5.7.1 your quota is used up" for user in users[3:]}
    factories.published()
    counts = dispatch.work()
    assert (counts.sent, counts.failed, counts.outage) == (3, 0, "SMTP 550 5.7.1")
    assert outcomes() == {Outcome.SENT: 3, Outcome.WAITING: 17}
    assert Progress.objects.total() == {"waiting": 17, "sent": 3, "failed": 0, "skipped": 0}


@pytest.mark.django_db
def test_a_sender_that_is_no_address_blames_nobody(mailbox, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "FROM_EMAIL": "Portal, Ltd <noreply@portal.kz"}
    factories.users(2)
    factories.published()
    counts = dispatch.work()
    assert "FROM_EMAIL is 'Portal, Ltd <noreply@portal.kz'" in counts.outage
    assert set(Delivery.objects.values_list("outcome", "attempts")) == {("waiting", 0)}


@pytest.mark.django_db
def test_a_notice_that_can_not_be_written_never_stops_the_others(mailbox, monkeypatch):
    factories.users(2)
    bad, good = factories.published(slug="bad"), factories.published(slug="good")
    compose = EmailChannel.compose

    def fragile(self: Any, notice: Any, language: str, *, since: int) -> Any:
        if notice.edition_id == bad.pk:
            raise OverflowError("date")
        return compose(self, notice, language, since=since)

    monkeypatch.setattr(EmailChannel, "compose", fragile)
    with pytest.raises(CommandError, match="OverflowError|date"):
        call_command("deliver_notices")
    rows = set(Delivery.objects.values_list("notice__edition", "outcome", "attempts", "lease"))
    assert rows == {(bad.pk, "waiting", 0, ""), (good.pk, "sent", 0, "")}, "they wait until it can be written"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("audience", "message"),
    [("sliced", "a slice or a union"), ("listed", "not a queryset of users"), ("united", "a slice or a union")],
)
def test_an_audience_that_is_no_plain_queryset_is_named(mailbox, settings, audience, message):
    factories.users(2)
    factories.published()
    settings.AGREEMENT = {**settings.AGREEMENT, "AUDIENCE": f"tests.notices.test_dispatch.{audience}"}
    (fault,) = dispatch.work().faults
    assert message in fault
    settings.AGREEMENT = {**settings.AGREEMENT, "AUDIENCE": "tests.notices.test_dispatch.nobody"}
    assert dispatch.work().faults == []
    assert not Delivery.objects.exists()


def sliced() -> Any:
    return get_user_model().objects.all()[:1]


def listed() -> Any:
    return list(get_user_model().objects.all())


def united() -> Any:
    return get_user_model().objects.all().union(get_user_model().objects.all())


def nobody() -> Any:
    return get_user_model().objects.none()


@pytest.mark.django_db
def test_a_scheduled_notice_names_the_edition_that_binds_until_then(mailbox):
    factories.users(2)
    for _number in range(3):
        factories.published()
    factories.published(effective_from=timezone.now() + timedelta(days=5))
    Notice.objects.exclude(edition__number=4).update(fanned_out_at=timezone.now())
    dispatch.work()
    assert "Оған дейін 3‑редакция" in NoticeText.objects.get(language="kk").text
    assert "редакция №\u00a03" in NoticeText.objects.get(language="ru").text


@pytest.mark.django_db(transaction=True)
def test_a_server_slower_than_the_lease_gets_each_message_once(mailbox, monkeypatch):
    short_lease = timedelta(seconds=2)  # Long enough that a busy machine renews it in time.
    for module in (batch, lease, deliveries):
        monkeypatch.setattr(module, "LEASE", short_lease)
    mailbox.delay = 0.8  # At MAIL, RCPT and DATA: longer than the lease for each message.
    factories.users(2)
    dispatch.fan_out(factories.published().notices.get())

    def work() -> None:
        dispatch.deliver()
        connection.close()

    workers = [threading.Thread(target=work) for _number in range(2)]
    for worker in workers:
        worker.start()
        time.sleep(short_lease.total_seconds() + 0.2)
    for worker in workers:
        worker.join(30)

    assert sorted(str(message["To"]) for message in mailbox.messages) == [
        f"user{number}@example.kz" for number in range(2)
    ]
    assert outcomes() == {Outcome.SENT: 2}
