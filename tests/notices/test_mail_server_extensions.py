"""What a mail server offers and what it lacks, and faults of the site's own settings of it.

The servers are aiosmtpd's. Without ``decode_data`` they offer 8BITMIME.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from agreement.checks import check_settings
from agreement.models import ChannelState, Delivery, Withdrawal
from agreement.notices import dispatch, withdrawal_replies
from agreement.notices.channels import EmailChannel
from tests.support import factories, smtp_server
from tests.support.smtp_server import mail_by

SMTP = "django.core.mail.backends.smtp.EmailBackend"
ADDRESS = "қайрат@example.kz"


def outcomes() -> dict[str, tuple[str, str, int]]:
    """Outcome, reason and attempts of each delivery, by the address of its user."""
    rows = Delivery.objects.values_list("user__email", "outcome", "reason", "attempts")
    return {email: (outcome, reason, attempts) for email, outcome, reason, attempts in rows}


@pytest.mark.django_db
@pytest.mark.parametrize("eight_bit", [True, False])
def test_every_byte_of_a_letter_is_ascii_whatever_the_server_offers(settings, eight_bit):
    (user, *_others) = factories.users(3)
    factories.published()
    Withdrawal.objects.register(
        agreement=factories.agreement(), user=user, outcome="suspended", received_on=date(2026, 1, 1)
    )
    abilities = {} if eight_bit else {"decode_data": True, "enable_SMTPUTF8": False}
    with smtp_server.server(**abilities) as mailbox:
        mail_by(settings, SMTP, host="127.0.0.1", port=mailbox.port)
        assert dispatch.work().sent == 3
    assert len(mailbox.received) == 4
    assert all(content.isascii() and not options for content, _recipient, options in mailbox.received)
    assert "редакция" in mailbox.text("user1@example.kz")
    assert {str(message["X-Auto-Response-Suppress"]) for message in mailbox.messages} == {"OOF, AutoReply"}


@pytest.mark.django_db
@pytest.mark.parametrize("offered", [True, False])
def test_an_address_with_letters_that_are_not_ascii_is_used_where_the_server_takes_it(settings, offered):
    users = factories.users(3)
    get_user_model().objects.filter(pk=users[1].pk).update(email=ADDRESS)  # Neither the first nor the last.
    factories.published()
    with smtp_server.server(enable_SMTPUTF8=offered) as mailbox:
        mail_by(settings, SMTP, host="127.0.0.1", port=mailbox.port)
        dispatch.work()
    used = {recipient: (content, options) for content, recipient, options in mailbox.received}
    expected = ("sent", "", 0) if offered else ("failed", "the mail server takes no such address", 0)
    assert outcomes() == {users[0].email: ("sent", "", 0), ADDRESS: expected, users[2].email: ("sent", "", 0)}
    assert set(used) == {users[0].email, users[2].email} | ({ADDRESS} if offered else set())
    assert used[users[2].email][1] == []
    if offered:
        content, options = used[ADDRESS]
        assert options == ["BODY=8BITMIME", "SMTPUTF8"]
        assert f"To: {ADDRESS}\r\n".encode() in content
        assert content.replace(ADDRESS.encode(), b"").isascii()


@pytest.mark.django_db
@pytest.mark.parametrize("offered", [True, False])
def test_a_reply_to_a_withdrawal_goes_to_such_an_address_too(settings, offered):
    factories.published()
    (user,) = factories.users(1)
    get_user_model().objects.filter(pk=user.pk).update(email=ADDRESS)
    row = Withdrawal.objects.register(
        agreement=factories.agreement(), user=user, outcome="ended", received_on=date(2026, 1, 1)
    )
    with smtp_server.server(enable_SMTPUTF8=offered) as mailbox:
        mail_by(settings, SMTP, host="127.0.0.1", port=mailbox.port)
        withdrawal_replies.send_due()
    row.refresh_from_db()
    assert (bool(row.confirmed_at), row.confirm_due_at) == (offered, None)
    assert [recipient for _content, recipient, _options in mailbox.received] == [ADDRESS] * offered


@pytest.mark.django_db
def test_another_backend_is_given_no_address_that_it_would_write_differently(mailoutbox):
    (user,) = factories.users(1)
    get_user_model().objects.filter(pk=user.pk).update(email=ADDRESS)
    factories.published()
    dispatch.work()
    assert outcomes()[ADDRESS] == ("failed", "the mail server takes no such address", 0)
    assert mailoutbox == []


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"username": "portal", "password": "құпия"}, "The password of the mail server contains letters that are not"),
        ({"username": "порталь", "password": "secret"}, "The user name of the mail server contains letters that are"),
        ({"host": f"{'m' * 64}.example.kz"}, "which is not the name of a host."),
        ({"host": "mail..kz"}, "which is not the name of a host."),
        ({"use_tls": True, "use_ssl": True}, "The mail backend can't be used: "),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else "",
)
def test_a_fault_of_the_settings_is_in_the_check_and_costs_no_delivery_an_attempt(settings, options, fault):
    settings.AGREEMENT = {**settings.AGREEMENT, "CHANNELS": ("agreement.notices.channels.EmailChannel",)}
    factories.users(3)
    factories.published()
    with smtp_server.server() as mailbox:
        given = {"host": "127.0.0.1", "port": mailbox.port, **options}
        if not hasattr(settings, "MAILERS"):  # The names of the settings of Django 5.2.
            names = {"username": "host_user", "password": "host_password"}
            given = {names.get(name, name): value for name, value in given.items()}
        mail_by(settings, SMTP, **given)
        (message,) = check_settings(None)
        counts = dispatch.work()
    assert message.id == "agreement.E009"
    assert fault in message.msg
    assert fault in counts.outage
    assert "құпия" not in counts.outage
    assert set(Delivery.objects.values_list("outcome", "attempts")) == {("waiting", 0)}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("error", "reason"), [(UnicodeError("құпия"), "UnicodeError"), (RuntimeError("no licence"), "no licence")]
)
def test_whatever_prevents_a_connection_is_the_channels_fault(settings, monkeypatch, error, reason):
    factories.users(3)
    factories.published()

    def fails(self: Any) -> bool:
        raise error

    monkeypatch.setattr(f"{SMTP}.open", fails)
    mail_by(settings, SMTP, host="127.0.0.1", port=1)
    outage = dispatch.work().outage
    assert reason in outage
    assert "құпия" not in outage
    assert set(Delivery.objects.values_list("outcome", "attempts")) == {("waiting", 0)}


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
@pytest.mark.django_db
@pytest.mark.parametrize("login", [True, False], ids=["refused", "missing"])
def test_a_login_that_is_refused_or_missing_costs_no_delivery_an_attempt(settings, login):
    factories.users(3)
    factories.published()
    with smtp_server.server(auth_required=True, auth_require_tls=False) as mailbox:
        mail_by(settings, SMTP, host="127.0.0.1", port=mailbox.port)
        if login and hasattr(settings, "MAILERS"):
            settings.MAILERS["default"]["OPTIONS"] |= {"username": "portal", "password": "secret"}
        elif login:
            settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "portal", "secret"
        outage = dispatch.work().outage
    assert "535" in outage if login else outage == "SMTP 530 5.7.0: the login is missing or refused"
    assert set(Delivery.objects.values_list("outcome", "attempts")) == {("waiting", 0)}
    assert ChannelState.objects.get().outages == 1
    assert mailbox.received == []


def test_a_sender_with_a_line_break_is_no_address(settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "FROM_EMAIL": "Портал\n <info@example.kz>"}
    assert EmailChannel().faults()
