"""Sends one message after another over a connection that smtplib opened, and waits for the server less often.

``SMTP.sendmail()`` waits for four replies per message. Only the last of them matters: until the server has the whole
message, nothing was handed over. Therefore the envelope of the next message can be sent while the outcome of the last
one is recorded: the whole envelope if the server accepts commands in groups (RFC 2920), else its first line.
"""

from __future__ import annotations

import re
import smtplib
from contextlib import suppress

#: Characters that would end an address or a line too early; some servers treat every control character so.
UNSAFE = re.compile(r"[\x00-\x20<>\x7f]")
#: The commands before the text of a message, and the replies after which it may be sent (RFC 5321 §4.3.2).
EXPECTED = {"MAIL": {250}, "RCPT": {250, 251}, "DATA": {354}}


def wire(message: bytes) -> bytes:
    """A message as it goes over the wire: lines end with CR LF, a dot that begins a line is doubled, a dot ends it."""
    lines = re.sub(rb"\r?\n", b"\r\n", message)
    return re.sub(rb"(?m)^\.", b"..", lines) + (b"" if lines.endswith(b"\r\n") else b"\r\n") + b".\r\n"


class Conversation:
    """The messages over one connection. Its methods raise the errors of smtplib."""

    def __init__(self, line: smtplib.SMTP) -> None:
        line.ehlo_or_helo_if_needed()
        self._line = line
        self._options = " BODY=8BITMIME" if line.has_extn("8bitmime") else ""
        self._grouped = line.has_extn("pipelining")
        self._begun: tuple[str, str] | None = None
        self._taken = 0
        #: Did the server close the connection between two messages, as many do after a few? Then it took nothing of the
        #: last one, which may be sent over another connection.
        self.worn_out = False

    def under_way(self, *, but: str = "") -> bool:
        """Was an envelope sent ahead to a recipient other than ``but``? Then no other command may be sent."""
        return self._begun is not None and self._begun[1] != but

    def begin(self, sender: str, recipient: str) -> None:
        """Send an envelope ahead. Errors are ignored: ``send()`` meets them again and raises them."""
        with suppress(ValueError, OSError):
            self._begin(sender, recipient)

    def send(self, sender: str, recipient: str, message: bytes) -> None:
        """Hand over a message in the form of :func:`wire`. Only its own envelope may have been sent ahead."""
        try:
            refused, code = self._envelope(sender, recipient)
        except smtplib.SMTPServerDisconnected as error:
            # A server that does not answer may not answer on another connection either, which costs another time-out.
            self.worn_out = self._taken > 0 and not isinstance(error.__context__, TimeoutError)
            raise
        if refused and code == 421:
            self.worn_out = self._taken > 0
        if refused and code == 354:  # The server now expects a message although it refused the recipient: end it.
            self._line.send(b".\r\n")
            self._line.getreply()
        if not refused:
            self._line.send(message)
            code, reply = self._line.getreply()
            refused = None if code == 250 else ("DATA", code, reply)
        self._begun = None
        if refused:
            with suppress(smtplib.SMTPServerDisconnected):
                self._line.rset()
            raise self._error(*refused, sender, recipient)
        self._taken += 1

    def _envelope(self, sender: str, recipient: str) -> tuple[tuple[str, int, bytes] | None, int]:
        """Send the rest of the envelope: the first refusal, if there is one, and the code of the last reply."""
        if self._begun is None:
            self._begin(sender, recipient)
        refused, code = None, 0
        for command, line in self._commands(sender, recipient):
            if not self._grouped and command != "MAIL":
                if refused:
                    break
                self._line.send(line)
            code, reply = self._line.getreply()
            if code not in EXPECTED[command]:
                refused = refused or (command, code, reply)
            if code == 421:
                self._line.close()
                break
        return refused, code

    def _begin(self, sender: str, recipient: str) -> None:
        lines = [line for _command, line in self._commands(sender, recipient)]
        self._line.send("".join(lines if self._grouped else lines[:1]))
        self._begun = sender, recipient

    def _commands(self, sender: str, recipient: str) -> list[tuple[str, str]]:
        if UNSAFE.search(sender + recipient):
            msg = "not an address that may be part of a command"
            raise ValueError(msg)
        return [
            ("MAIL", f"MAIL FROM:<{sender}>{self._options}\r\n"),
            ("RCPT", f"RCPT TO:<{recipient}>\r\n"),
            ("DATA", "DATA\r\n"),
        ]

    @staticmethod
    def _error(command: str, code: int, reply: bytes, sender: str, recipient: str) -> smtplib.SMTPException:
        match command:
            case "MAIL":
                return smtplib.SMTPSenderRefused(code, reply, sender)
            case "RCPT":
                return smtplib.SMTPRecipientsRefused({recipient: (code, reply)})
        return smtplib.SMTPDataError(code, reply)
