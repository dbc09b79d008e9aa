"""Returned letters that mail servers report by mail: each form is understood, and nothing false is recorded."""

from __future__ import annotations

import io
import time
from datetime import timedelta
from email.utils import formatdate, parseaddr
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agreement.models import Bounce, Delivery, Progress
from agreement.notices import bounces, dispatch
from agreement.notices.bounces import MailOutcome, record_mail
from agreement.notices.return_path import delivery_returned_to, return_path
from tests.management.test_commands import refused, run
from tests.support import factories, returned_mails
from tests.support.returned_mails import FORMS, Letter, report

pytestmark = pytest.mark.django_db

VERP = "bounces@portal.example.kz"


def sent_letter(number: int = 0) -> Letter:
    """The letter in the outbox to that user."""
    (letter,) = (one for one in mail.outbox if one.to == [f"user{number}@example.kz"])
    return Letter(message_id=letter.extra_headers["Message-ID"], to=letter.to[0], sender=letter.from_email)


@pytest.fixture
def letter() -> Letter:
    factories.users(2)
    factories.published()
    dispatch.work()
    return sent_letter()


def recorded(letter: bytes) -> MailOutcome:
    return record_mail(letter, source="a mail")


@pytest.mark.parametrize("form", FORMS)
def test_the_report_of_each_server_is_recorded_once_with_its_codes(form, letter):
    assert recorded(report(letter, form)) == MailOutcome.RECORDED
    assert recorded(report(letter, form)) == MailOutcome.KNOWN
    bounce = Bounce.objects.select_related("delivery__user").get()
    assert bounce.delivery.user.username == "user0"
    assert bounce.reason == ("" if form == returned_mails.MAIL_RU else "550 5.1.1")
    assert Progress.objects.get().bounced == 1


@pytest.mark.parametrize("form", [returned_mails.POSTFIX, returned_mails.GMAIL, returned_mails.EXCHANGE])
def test_a_delay_is_logged_and_a_failure_after_days_is_recorded(form, letter, caplog):
    late = {"status": "4.4.1", "diagnostic": "X-Postfix; connect to mx.example.net: timed out"}
    with caplog.at_level("INFO", "agreement"):
        assert recorded(report(letter, form, action="delayed", **late)) == MailOutcome.DELAYED
    assert "N116" in caplog.text
    assert not Bounce.objects.exists()
    assert recorded(report(letter, form, action="Failed (expired)", **late)) == MailOutcome.RECORDED
    assert Bounce.objects.get().reason == "4.4.1"


def test_a_status_decides_where_the_server_names_no_action(letter):
    without = report(letter).replace(b"Action: failed\r\n", b"")
    assert recorded(without.replace(b"Status: 5.1.1", b"Status: 4.1.1")) == MailOutcome.DELAYED
    assert recorded(without) == MailOutcome.RECORDED


def test_a_failure_with_a_status_of_success_is_not_recorded(letter, caplog):
    assert recorded(report(letter, status="2.0.0", diagnostic="smtp; 250 2.0.0 ok")) == MailOutcome.UNMATCHED
    assert "it names no outcome" in caplog.text
    assert not Bounce.objects.exists()


def test_a_mail_that_quotes_many_ids_costs_few_queries(letter):
    many = "".join(f"Message-ID: <{'0' * 31}{number:x}.email.{number}@x>\n" for number in range(15))
    mail = report(letter).replace(b"Message-ID: ", many.encode() + b"Message-ID: ", 1)
    with CaptureQueriesContext(connection) as queries:
        assert recorded(mail) == MailOutcome.UNMATCHED
    assert len(queries) <= 6


def test_a_dry_run_counts_a_second_report_as_the_real_run_does(letter, tmp_path):
    twice = tmp_path / "mbox"
    mail = report(letter)
    twice.write_bytes(b"From a@b\n" + mail.rstrip() + b"\n\nFrom a@b\n" + mail)
    rehearsed = run("record_bounces", str(twice), dry_run=True)
    assert not Bounce.objects.exists()
    assert rehearsed.replace("Would process", "Processed") == run("record_bounces", str(twice))


def test_a_letter_that_one_of_two_forwarded_addresses_accepted_was_not_returned(letter):
    two = report(letter).replace(
        b"Final-Recipient", b"Final-Recipient: rfc822; other@example.net\r\nAction: relayed\r\n\r\nFinal-Recipient", 1
    )
    assert recorded(two) == MailOutcome.OTHER_MAIL
    assert not Bounce.objects.exists()


def test_only_the_header_of_the_letter_may_be_in_the_report_and_the_final_address_another(letter):
    forwarded = report(letter).replace(b"message/rfc822", b"text/rfc822-headers")
    forwarded = forwarded.replace(b"rfc822; user0@example.kz", b"rfc822; someone@example.net")
    assert recorded(forwarded) == MailOutcome.RECORDED


def test_the_moment_is_the_date_of_the_report_if_it_is_possible(letter):
    now = timezone.now()
    assert recorded(report(letter, date="Mon, 30 Nov 1998 09:00:00 +0500")) == MailOutcome.RECORDED
    assert Bounce.objects.get().at >= now
    assert recorded(report(letter, date="Mon, 30 Nov 2099 09:00:00 +0500")) == MailOutcome.KNOWN


@pytest.mark.parametrize(("days", "outcome"), [(0, MailOutcome.RECORDED), (2, MailOutcome.KNOWN)])
def test_a_report_from_before_the_last_bounce_is_not_about_a_later_sending(letter, monkeypatch, days, outcome):
    delivery = Delivery.objects.get(user__username="user0")
    bounce = Bounce.objects.create(delivery=delivery, at=timezone.now() - timedelta(days=1))
    monkeypatch.setattr(Delivery, "record_bounce", lambda self, **values: (bounce, True))
    assert recorded(report(letter, date=formatdate(time.time() - days * 86_400))) == outcome


@pytest.mark.parametrize(
    "change",
    [
        (b"user0@example.kz", b"somebody@example.net"),  # who guessed the id does not know the address
        (b"Message-ID: <", b"Message-ID: <f"),
        (b"Action: failed", b"Action: unknown"),
        (b"Message-ID", b"X-Message-ID"),
    ],
)
def test_what_does_not_match_is_logged_with_its_cause_and_not_recorded(change, letter, caplog):
    mail = report(letter).replace(*change)
    if change[0] == b"Message-ID: <":
        mail = mail.replace(b"Auto-Submitted", b"List-Id: <agreement.portal.example.kz>\r\nAuto-Submitted")
    assert recorded(mail) == MailOutcome.UNMATCHED
    assert "N115 a returned letter from a mail can't be matched: " in caplog.text
    assert "user0@example.kz" not in caplog.text
    assert not Bounce.objects.exists()


def test_a_letter_that_was_not_sent_can_not_come_back():
    factories.users(1)
    dispatch.fan_out(factories.published().notices.get())
    waiting = Delivery.objects.select_related("notice").get()
    forged = Letter(message_id=f"<{waiting.message_id_local_part}@portal.example.kz>", to="user0@example.kz")
    assert recorded(report(forged)) == MailOutcome.UNMATCHED


def test_a_letter_is_matched_by_the_address_it_was_sent_to_not_by_the_present_one(settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "PSEUDONYM_KEYS": {"2026": "k" * 64}}
    (user,) = factories.users(1)
    factories.published()
    dispatch.work()
    sent = sent_letter()
    type(user).objects.update(email="new@example.kz")
    assert recorded(report(Letter(message_id=sent.message_id, to="new@example.kz"))) == MailOutcome.UNMATCHED
    user.delete()
    assert recorded(report(sent)) == MailOutcome.RECORDED


def test_a_letter_that_is_not_a_notice_is_counted_apart(letter, caplog):
    with caplog.at_level("INFO", "agreement"):
        assert recorded(report(Letter(message_id="<1@host>", to="user0@example.kz"))) == MailOutcome.OTHER_LETTER
    assert "N117" in caplog.text


@pytest.mark.parametrize(
    "other",
    [
        b"",
        b"From: user0@example.kz\r\nSubject: away\r\nAuto-Submitted: auto-replied\r\nIn-Reply-To: MID\r\n\r\n550 5.1.1",
        b"From: a@b\r\nContent-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n--b\r\n",
        b"\x00\xff" * 100,
    ],
)
def test_a_mail_that_reports_nothing_is_passed_over(other, letter, caplog):
    assert recorded(other.replace(b"MID", letter.message_id.encode())) == MailOutcome.OTHER_MAIL
    assert not caplog.text


def hostile(letter: Letter) -> dict[str, bytes]:
    good = report(letter)
    head, _empty, _body = good.partition(b"\r\n\r\n")
    bounce = b"From: mailer-daemon@x\r\nContent-Type: "
    return {
        "cut": good[:900],
        "huge": good + b"x" * 3_000_000,
        "a huge header": b"X: " + b'";' * 500_000 + b"\r\n" + good,
        "many quotes": bounce + b"multipart/report; a=" + b'";' * 30_000 + b"\r\n\r\n",
        "deep": bounce
        + b"multipart/report; boundary=0\r\n\r\n"
        + b"".join(b"--%d\nContent-Type: multipart/mixed; boundary=%d\n\n" % (i, i + 1) for i in range(20_000)),
        "deep letters": head + b"\r\n\r\n" + b"Content-Type: message/rfc822\n\n" * 30_000,
        "many parts": head + b"\r\n\r\n" + b"--4F1A.1/mx\r\n" * 70_000,
        "many recipients": good.replace(
            b"Final-Recipient", b"Action: delayed\r\n\r\n" * 40_000 + b"Final-Recipient", 1
        ),
        "many comments": good.replace(b"From: MAILER", b"From: " + b"(" * 20_000 + b" MAILER"),
        "a wrong charset": good.replace(b"us-ascii", b"no-such-charset").replace(b"could", b"\xff\xfe\x00"),
        "a wrong encoding": good.replace(
            b"Content-Type: message/rfc822", b"Content-Transfer-Encoding: base64\r\nContent-Type: message/rfc822"
        ),
        "an encoded boundary": good.replace(b'boundary="4F1A.1/mx"', b"boundary*=no-such'x'%FF%00"),
        "no boundary": good.replace(b"boundary=", b"bound="),
        "nothing but From": b"From \n" * 1000,
    }


@pytest.mark.parametrize("name", hostile(Letter(message_id="<x@y>", to="a@b")))
def test_a_hostile_mail_costs_little_and_records_nothing_false(name, letter):
    began = time.monotonic()
    outcome = recorded(hostile(letter)[name])
    assert time.monotonic() - began < 5
    assert (outcome == MailOutcome.RECORDED) == Bounce.objects.exists()
    assert set(Bounce.objects.values_list("delivery__user__username", flat=True)) <= {"user0"}
    assert outcome == MailOutcome.RECORDED or name not in {"huge", "a wrong charset"}


# VERP


@pytest.fixture
def verp(settings: Any) -> None:
    settings.AGREEMENT = {**settings.AGREEMENT, "VERP": VERP}


def test_with_verp_each_letter_has_its_own_sender_and_the_same_from(verp, letter):
    senders = {one.to[0]: one.from_email for one in mail.outbox}
    assert len(set(senders.values())) == 2
    for one in mail.outbox:
        delivery = Delivery.objects.get(user__email=one.to[0])
        assert one.from_email == return_path(delivery)
        assert delivery_returned_to(f"X-Original-To: {one.from_email.upper()}") == delivery
        assert parseaddr(one.message()["From"])[1] == "noreply@portal.example.kz"
        assert len(one.from_email.partition("@")[0]) <= 64


def test_with_verp_only_the_token_counts(verp, letter):
    local, _at, domain = letter.sender.partition("@")
    altered = f"{local[:-1]}{'1' if local[-1] == '0' else '0'}@{domain}"
    for forged in ("noreply@portal.example.kz", VERP, altered, letter.sender.replace("+", "+9")):
        assert recorded(report(letter, returned_to=forged)) == MailOutcome.UNMATCHED
    other = Letter(message_id=sent_letter(1).message_id, to="user1@example.kz", sender=letter.sender)
    assert recorded(report(other)) == MailOutcome.RECORDED
    assert Bounce.objects.get().delivery.user.username == "user0"


def test_with_verp_a_letter_is_found_without_its_header_and_after_the_key_changed(verp, letter, settings):
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another", [settings.SECRET_KEY]
    bare = report(letter).replace(b"Message-ID", b"X-Message-ID")
    assert recorded(bare) == MailOutcome.RECORDED


# The command


def maildir(folder: Path, *mails: bytes) -> Path:
    for name in ("new", "cur", "tmp"):
        (folder / name).mkdir(parents=True)
    for number, content in enumerate(mails):
        place = folder / "cur" / f"{number}.host:2,S" if number % 2 else folder / "new" / f"{number}.host"
        place.write_bytes(content)
    return folder


def names(folder: Path) -> list[str]:
    return sorted(f"{file.parent.name}/{file.name}" for file in folder.glob("*/*"))


def test_a_maildir_is_processed_once_and_nothing_is_deleted(letter, tmp_path):
    foreign = report(Letter(message_id=letter.message_id, to="x@example.net"))
    folder = maildir(tmp_path / "box", report(letter), report(sent_letter(1)), foreign, b"From: a@b\n\nHello.")
    before = names(folder)
    (folder / "new" / ".hidden").write_bytes(report(letter))

    printed = refused("record_bounces", str(folder), dry_run=True)
    assert printed.startswith("1 returned letters could not be matched")
    assert names(folder) == sorted([*before, "new/.hidden"])
    assert not Bounce.objects.exists()

    assert refused("record_bounces", str(folder)) == printed
    assert Bounce.objects.count() == 2
    assert names(folder) == ["cur/0.host:2,PS", "cur/1.host:2,PS", "cur/2.host:2,P", "cur/3.host:2,S", "new/.hidden"]
    assert "other mails" in run("record_bounces", str(folder))
    assert Bounce.objects.count() == 2


def test_a_file_that_can_not_be_read_stops_no_other(letter, tmp_path, monkeypatch):
    folder = maildir(tmp_path / "box", b"", report(letter))
    opened = Path.open

    def fragile(self: Path, mode: str = "r") -> Any:
        if self.name == "0.host":
            raise PermissionError
        return opened(self, mode)

    monkeypatch.setattr(Path, "open", fragile)
    assert refused("record_bounces", str(folder)).startswith("1 returned letters could not be matched")
    assert Bounce.objects.count() == 1


def test_an_mbox_a_file_and_standard_input_are_read(letter, tmp_path, monkeypatch):
    (tmp_path / "one.eml").write_bytes(report(letter))
    (tmp_path / "mbox").write_bytes(returned_mails.in_mbox(report(letter), report(sent_letter(1))))
    assert run("record_bounces", str(tmp_path / "one.eml")) == ("Processed 1 mails.\n  recorded as returned       1\n")
    assert run("record_bounces", str(tmp_path / "mbox")).splitlines() == [
        "Processed 2 mails.",
        "  recorded as returned       1",
        "  recorded before            1",
    ]
    content = (tmp_path / "mbox").read_bytes()
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(content)))
    assert "recorded before            2" in run("record_bounces", "-")
    assert (tmp_path / "mbox").read_bytes() == content


def test_what_is_no_mailbox_is_refused(tmp_path):
    assert "is not a Maildir" in refused("record_bounces", str(tmp_path))
    assert "can't be read" in refused("record_bounces", str(tmp_path / "missing"))


# The webhooks of anymail


def event(**values: Any) -> SimpleNamespace:
    return SimpleNamespace(
        event_type="bounced", timestamp=timezone.now(), reject_reason="bounced", metadata={}, message_id="5", **values
    )


def test_a_webhook_finds_the_id_that_the_letter_had_before_the_service_gave_it_another(letter):
    bounces.record_bounce(None, event(esp_event={"smtp-id": letter.message_id}))
    assert Bounce.objects.get().delivery.user.username == "user0"


def test_a_webhook_about_an_unknown_letter_is_logged(letter, caplog):
    bounces.record_bounce(None, event(esp_event={"smtp-id": "<1@host>"}), esp_name="Some service")
    assert "N115 a returned letter from Some service can't be matched: no notice has the id '5'" in caplog.text
    assert not Bounce.objects.exists()
