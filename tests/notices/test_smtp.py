"""A conversation with a mail server: nothing is handed over early, nothing is left behind by what was refused."""

from __future__ import annotations

import smtplib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from agreement.notices.channels.smtp import Conversation, wire

SENDER, MESSAGE = "from@example.kz", wire(b"Subject: words\n\nWords.\n")
Replies = dict[str, str]


class Script:
    """A server that answers by the first word or the recipient of a command, and records what it received."""

    def __init__(self, replies: Replies, *, grouped: bool) -> None:
        self.replies, self.grouped = {**replies}, grouped
        self.heard: list[str] = []
        self.waiting = threading.Condition()
        self.socket = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        line, _peer = self.socket.accept()
        # A client may close the connection before it has read the last reply.
        with suppress(ConnectionError), line, line.makefile("rwb") as file:
            file.write(b"220 here\r\n")
            file.flush()
            while command := file.readline().decode().strip():
                self.hear(command)
                reply = self.reply(command)
                file.write(reply.encode() + b"\r\n")
                file.flush()
                if reply.startswith("354"):
                    words = b""
                    while (text := file.readline()) not in {b".\r\n", b""}:
                        words += text
                    if text:
                        self.hear(words.decode())
                        file.write(self.replies.get("words", "250 taken").encode() + b"\r\n")
                        file.flush()

    def hear(self, line: str) -> None:
        with self.waiting:
            self.heard.append(line)
            self.waiting.notify_all()

    def reply(self, command: str) -> str:
        verb = command[:4].upper()
        if verb == "EHLO":
            return "250-here\r\n250 PIPELINING" if self.grouped else "250 here"
        found = next((reply for part, reply in self.replies.items() if part in command), None)
        return found or {"DATA": "354 go on", "QUIT": "221 bye"}.get(verb, "250 OK")

    def has_heard(self, count: int) -> list[str]:
        """What it heard, once that is so much, but for the greeting."""
        with self.waiting:
            assert self.waiting.wait_for(lambda: len(self.heard) > count, timeout=10), self.heard
        return self.heard[1:]


@contextmanager
def talk(replies: Replies | None = None, *, grouped: bool = True) -> Iterator[tuple[Conversation, Script]]:
    script = Script(replies or {}, grouped=grouped)
    with script.socket, smtplib.SMTP("127.0.0.1", script.socket.getsockname()[1], timeout=10) as line:
        yield Conversation(line), script


def test_an_envelope_goes_ahead_whole_where_the_server_takes_groups():
    with talk() as (conversation, script):
        conversation.begin(SENDER, "to@example.kz")
        assert script.has_heard(3) == [f"MAIL FROM:<{SENDER}>", "RCPT TO:<to@example.kz>", "DATA"]
        conversation.send(SENDER, "to@example.kz", MESSAGE)
        assert script.has_heard(4)[3] == "Subject: words\r\n\r\nWords.\r\n"


def test_of_an_envelope_only_the_first_line_goes_ahead_elsewhere():
    with talk(grouped=False) as (conversation, script):
        conversation.begin(SENDER, "to@example.kz")
        assert script.has_heard(1) == [f"MAIL FROM:<{SENDER}>"]
        conversation.send(SENDER, "to@example.kz", MESSAGE)
        assert [line[:4] for line in script.has_heard(4)] == ["MAIL", "RCPT", "DATA", "Subj"]


@pytest.mark.parametrize("grouped", [True, False])
@pytest.mark.parametrize("ahead", [True, False])
@pytest.mark.parametrize(
    ("replies", "error"),
    [
        ({"MAIL FROM:<from@": "550 5.7.1 not you"}, smtplib.SMTPSenderRefused),
        ({"<gone@": "550 5.1.1 unknown"}, smtplib.SMTPRecipientsRefused),
        ({"<gone@": "550 5.1.1 unknown", "DATA": "554 5.5.1 nobody"}, smtplib.SMTPRecipientsRefused),
        ({"DATA": "451 4.3.0 later"}, smtplib.SMTPDataError),
        ({"words": "554 5.6.0 spam"}, smtplib.SMTPDataError),
    ],
)
def test_a_refusal_raises_the_error_of_smtplib_and_the_connection_stays_usable(replies, error, grouped, ahead):
    with talk(replies, grouped=grouped) as (conversation, script):
        if ahead:
            conversation.begin(SENDER, "gone@example.kz")
        with pytest.raises(error) as raised:
            conversation.send(SENDER, "gone@example.kz", MESSAGE)
        refused = getattr(raised.value, "recipients", {}).get("gone@example.kz") or (raised.value.smtp_code, None)
        assert refused[0] in {550, 451, 554}
        assert not conversation.under_way()

        script.replies.clear()
        conversation.send(SENDER, "there@example.kz", MESSAGE)
        assert "rset" in script.heard[1:]
        if "words" not in replies:
            assert script.heard.count("Subject: words\r\n\r\nWords.\r\n") == 1


def test_a_server_that_closes_after_refusals_alone_is_worn_out():
    """Postfix closes a connection after 20 unknown recipients."""
    with talk({"<gone@": "550 5.1.1 unknown"}) as (conversation, script):
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            conversation.send(SENDER, "gone@example.kz", MESSAGE)
        assert not conversation.worn_out
        script.replies["MAIL"] = "421 4.7.0 too many errors"
        with pytest.raises(smtplib.SMTPSenderRefused):
            conversation.send(SENDER, "there@example.kz", MESSAGE)
        assert conversation.worn_out


@pytest.mark.parametrize("grouped", [True, False])
def test_an_address_that_needs_an_extension_is_named_to_no_server_without_it(grouped):
    with talk(grouped=grouped) as (conversation, script):
        conversation.begin(SENDER, "қайрат@example.kz")
        with pytest.raises(smtplib.SMTPNotSupportedError):
            conversation.send(SENDER, "қайрат@example.kz", MESSAGE)
        conversation.send(SENDER, "to@example.kz", MESSAGE)
        assert script.has_heard(4)[:2] == [f"MAIL FROM:<{SENDER}>", "RCPT TO:<to@example.kz>"]


def test_a_server_that_closes_is_a_closed_line():
    with talk({"MAIL": "421 4.3.2 closing"}) as (conversation, _script), pytest.raises(smtplib.SMTPSenderRefused):
        conversation.send(SENDER, "to@example.kz", MESSAGE)


@pytest.mark.parametrize("address", ["a@b.kz>\r\nDATA", "a b@c.kz", "a@b.kz\n", "<a@b.kz>"])
def test_an_address_that_would_be_a_command_is_refused_before_anything_is_sent(address):
    with talk() as (conversation, script):
        conversation.begin(SENDER, address)
        assert not conversation.under_way()
        with pytest.raises(ValueError, match="address"):
            conversation.send(SENDER, address, MESSAGE)
        assert len(script.heard) == 1


def test_a_message_on_the_wire_ends_its_lines_doubles_its_dots_and_is_closed():
    assert wire(b".a\n..b\r\nc") == b"..a\r\n...b\r\nc\r\n.\r\n"
    assert wire(b"a\r\n") == b"a\r\n.\r\n"
