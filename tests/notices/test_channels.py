"""A channel of a host's own, for text messages: what it takes, and that the app does the rest."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any, ClassVar

import pytest
from django.contrib.auth import get_user_model
from django.core import mail
from django.db.models import F
from django.db.models.expressions import Combinable

from agreement.checks import check_settings
from agreement.models import ChannelState, Delivery, Notice, NoticeText, Progress
from agreement.notices import dispatch
from agreement.notices.channels import Channel, Deferred, NoticeContent, Refused, Unavailable
from agreement.notices.forecast import recipients
from tests.support import factories

ROOT = Path(__file__).resolve().parents[2]


class Gateway:
    """The SMS provider of the example: takes a number and a text, or answers with an error."""

    key = "secret"
    taken: ClassVar[list[tuple[str, str]]] = []
    answers: ClassVar[dict[str, int]] = {}

    @classmethod
    def post(cls, number: str, text: str) -> int:
        status = cls.answers.get(number, 200)
        if status == 200:
            cls.taken.append((number, text))
        return status


class SmsChannel(Channel):
    """Notices as text messages of at most 160 letters."""

    name = "sms"
    bilingual = False

    def faults(self) -> list[str]:
        return [] if Gateway.key else ["the gateway's key is empty."]

    def address(self) -> Combinable:
        return F("last_name")  # Where this site keeps the telephone number.

    def compose(self, notice: Notice, language: str, *, since: int) -> NoticeContent:
        edition = notice.edition
        text = {"kk": f"Жаңа {edition.number}‑редакция", "ru": f"Новая редакция № {edition.number}"}[language]
        return NoticeContent(subject="", text=text[:160])

    def unreachable(self, address: str) -> str:
        return "" if re.fullmatch(r"\+7\d{10}", address) else "no telephone number"

    def send(self, delivery: Delivery, address: str, text: NoticeText) -> None:
        status = Gateway.post(address, text.text)
        if status == 404:
            raise Refused("SMS 404")
        if status == 429:
            raise Deferred("SMS 429")
        if status >= 500:
            raise Unavailable(f"SMS {status}")


@pytest.fixture(autouse=True)
def sms(settings: Any) -> None:
    Gateway.key, Gateway.taken[:] = "secret", []
    Gateway.answers.clear()
    settings.AGREEMENT = {
        **settings.AGREEMENT,
        "CHANNELS": ("agreement.notices.channels.EmailChannel", "tests.notices.test_channels.SmsChannel"),
    }


def with_numbers(count: int) -> None:
    for number, user in enumerate(factories.users(count)):
        type(user).objects.filter(pk=user.pk).update(last_name=f"+7700000000{number}")


@pytest.mark.django_db
def test_each_user_is_notified_once_by_each_channel_in_a_language_the_channel_can_contain():
    with_numbers(3)
    factories.published()
    counts = dispatch.work()
    assert (counts.written, counts.sent) == (6, 6)
    assert Gateway.taken == [
        ("+77000000000", "Жаңа 1‑редакция"),
        ("+77000000001", "Новая редакция № 1"),
        ("+77000000002", "Жаңа 1‑редакция"),
    ]
    assert set(NoticeText.objects.filter(channel="sms").values_list("language", flat=True)) == {"kk", "ru"}


@pytest.mark.django_db
def test_its_failures_are_classified_and_harm_no_other_channel():
    with_numbers(4)
    factories.users(1)
    Gateway.answers = {"+77000000000": 404, "+77000000001": 429}
    factories.published()
    dispatch.work()
    rows = Delivery.objects.filter(channel="sms").order_by("pk").values_list("outcome", "reason")
    assert list(rows) == [
        ("failed", "SMS 404"),
        ("waiting", "SMS 429"),
        ("sent", ""),
        ("sent", ""),
        ("skipped", "no telephone number"),
    ]
    Gateway.answers = {f"+7700000000{number}": 503 for number in range(4)}
    factories.published()
    assert dispatch.work().outage == "SMS 503"
    assert set(Delivery.objects.filter(channel="email").values_list("outcome", flat=True)) == {"sent"}


@pytest.mark.django_db
@pytest.mark.parametrize("error", [Unavailable(""), Deferred()])
def test_an_outage_without_a_reason_is_an_outage(monkeypatch, error):
    with_numbers(9)
    tried: list[str] = []

    def send(self: Any, delivery: Delivery, address: str, text: NoticeText) -> None:
        tried.append(address)
        raise error

    monkeypatch.setattr(SmsChannel, "send", send)
    monkeypatch.setattr("agreement.notices.batch.DEFERRALS_IN_A_ROW", 3)
    factories.published()
    assert dispatch.work().outage == "the channel gave no reason"
    count = len(tried)
    assert dispatch.work().outage == "the channel gave no reason"
    assert len(tried) == count, "nothing is sent during an outage"


@pytest.mark.django_db
def test_words_a_channel_can_not_find_for_a_notice_stop_neither_other_channels_nor_other_notices(monkeypatch):
    with_numbers(2)
    bad = factories.published(slug="bad").notices.get()
    factories.published(slug="good")
    compose = SmsChannel.compose

    def fragile(self: Any, notice: Notice, language: str, *, since: int) -> NoticeContent:
        if notice == bad:
            raise KeyError("template")
        return compose(self, notice, language, since=since)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(SmsChannel, "compose", fragile)
        counts = dispatch.work()

    assert (counts.sent, counts.faults) == (6, [f"Notice {bad.pk}: 'template'"])
    left = Delivery.objects.waiting().values_list("notice", "channel", "attempts", "lease")
    assert set(left) == {(bad.pk, "sms", 0, "")}
    assert dispatch.work().sent == 2
    assert Progress.objects.total() == {"waiting": 0, "sent": 8, "failed": 0, "skipped": 0}


@pytest.mark.parametrize("failure", [Refused, Deferred, Unavailable])
@pytest.mark.django_db
def test_a_reason_that_quotes_the_recipient_is_stored_and_logged_without_them(monkeypatch, caplog, failure):
    with_numbers(1)
    factories.published()

    def careless(self: Any, delivery: Delivery, address: str, text: NoticeText) -> None:
        raise failure(f"404 {address} (+7 (700) 000-00-00), asan@example.kz: unknown")

    monkeypatch.setattr(SmsChannel, "send", careless)
    dispatch.work()

    stored = [str(list(model.objects.values())) for model in (Delivery, Progress, ChannelState)]
    # The reason of an outage may name the sender, for whoever must correct it.
    for place in (*stored, *([caplog.text] if failure is not Unavailable else [])):
        assert "asan" not in place
        assert "000-00" not in place
        assert "+77000000000" not in place
    assert "404 … (…), … unknown" in "".join(stored)


@pytest.mark.django_db
def test_a_reason_why_an_address_cannot_be_used_is_stored_without_the_address(monkeypatch):
    with_numbers(1)
    factories.published()
    monkeypatch.setattr(SmsChannel, "unreachable", lambda self, address: f"{address} is no telephone number")
    dispatch.work()
    assert Delivery.objects.get(channel="sms").reason == "… is no telephone number"
    assert Progress.objects.get(channel="sms").reasons == {"skipped": {"… is no telephone number": 1}}


@pytest.mark.django_db
def test_an_address_a_channel_chokes_on_is_tried_later_and_stops_nobody(monkeypatch):
    with_numbers(3)
    unreachable = SmsChannel.unreachable

    def fragile(self: Any, address: str) -> str:
        if address.endswith("1"):
            raise IndexError(address)
        return unreachable(self, address)

    monkeypatch.setattr(SmsChannel, "unreachable", fragile)
    factories.published()
    counts = dispatch.work()

    assert (counts.sent, counts.postponed, counts.faults) == (5, 1, [])
    assert Delivery.objects.waiting().values_list("channel", "attempts", "reason").get() == ("sms", 1, "IndexError")


def test_E009_states_what_is_wrong_with_a_channel(settings):  # noqa: N802
    Gateway.key = ""
    (message,) = check_settings(None)
    assert (message.id, message.msg) == ("agreement.E009", "The channel 'sms': the gateway's key is empty.")
    Gateway.key = "secret"
    settings.AGREEMENT = {**settings.AGREEMENT, "CHANNELS": ("tests.notices.test_channels.SmsChannel",) * 2}
    (message,) = check_settings(None)
    assert (message.id, message.msg) == ("agreement.E009", "Two channels are called 'sms'.")


def test_E009_asks_where_the_addresses_of_users_are(settings, monkeypatch):  # noqa: N802
    monkeypatch.setattr(get_user_model(), "EMAIL_FIELD", "mail")
    settings.AGREEMENT = {**settings.AGREEMENT, "CHANNELS": ("agreement.notices.channels.EmailChannel",)}
    (message,) = check_settings(None)
    assert (message.id, message.msg) == (
        "agreement.E009",
        "The channel 'email': USER_EMAIL is empty, and the user model has no field 'mail'.",
    )
    settings.AGREEMENT["USER_EMAIL"] = "last_name"
    assert list(check_settings(None)) == []


@pytest.mark.parametrize(
    ("newest", "mailers", "written", "message"),
    [
        (True, {"default": {}}, {"MAILER": "notices"}, "MAILER is 'notices', which is not in MAILERS."),
        (True, {"other": {}}, {}, "MAILER is 'default', which is not in MAILERS."),
        (True, None, {"MAILER": "notices"}, "MAILER is 'notices', which is not in MAILERS."),
        (True, None, {"MAIL_CONNECTION": {"host": "mail"}}, "MAIL_CONNECTION has no effect from Django 6.1 on"),
        (True, {"default": {}}, {"MAIL_CONNECTION": {"host": "mail"}}, "MAIL_CONNECTION has no effect"),
        (True, {"default": {}}, {}, ""),
        (True, None, {}, ""),
        (True, {"notices": {}}, {"MAILER": "notices", "MAIL_CONNECTION": {"host": "mail"}}, ""),
        (False, None, {"MAILER": "notices"}, "MAILER is 'notices', which needs Django 6.1"),
        (False, None, {"MAILER": "notices", "MAIL_CONNECTION": {"host": "mail"}}, ""),
        (False, None, {}, ""),
    ],
)
def test_E009_names_a_mail_server_that_does_not_exist_or_is_not_used(  # noqa: N802
    settings, monkeypatch, newest, mailers, written, message
):
    monkeypatch.setattr("agreement.notices.channels.email.server_fault", str)  # What the other Django would say.
    if newest:
        monkeypatch.setattr(mail, "mailers", object(), raising=False)
    else:
        monkeypatch.delattr(mail, "mailers", raising=False)
    if mailers is not None:
        settings.MAILERS = mailers
    elif hasattr(settings, "MAILERS"):
        del settings.MAILERS
    settings.AGREEMENT = {
        **settings.AGREEMENT,
        "CHANNELS": ("agreement.notices.channels.EmailChannel",),
        **written,
    }
    found = [(message.id, message.msg.partition(": ")[2]) for message in check_settings(None)]
    assert [name for name, _message in found] == ["agreement.E009"] * bool(message)
    assert message in "".join(message for _name, message in found)


def test_every_line_about_notices_in_the_log_has_an_id_of_its_own():
    ids = []
    for path in (ROOT / "agreement").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("logger."):
                line = ast.literal_eval(node.args[0]) if isinstance(node.args[0], ast.Constant) else ""
                ids += re.findall(r"^N\d+", line)
    assert len(ids) == len(set(ids)) > 0


class KeyChannel(SmsChannel):
    """A channel that sends to the key of the user, which is a number."""

    name = "keys"

    def address(self) -> Combinable:
        return F("pk")

    def unreachable(self, address: str) -> str:
        return ""


@pytest.mark.django_db
def test_an_address_may_be_a_number_and_each_user_is_notified_once(settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "CHANNELS": ("tests.notices.test_channels.KeyChannel",)}
    users = factories.users(3)
    factories.published()
    assert recipients(KeyChannel()).total == 3
    for _again in range(2):
        dispatch.work()
    assert sorted(number for number, _text in Gateway.taken) == sorted(str(user.pk) for user in users)
    assert Progress.objects.get().sent == 3
