"""One message after another over a connection that smtplib opened, without waiting where nothing hangs on it.

``SMTP.sendmail()`` waits for the server four times a message. All but the last of these commits to nothing: until the
words are through, no message has been handed over. So the next message's envelope may be on its way while the last
message is being settled, at once where the server takes commands in groups (RFC 2920), else its first line.
"""

from __future__ import annotations

import re
import smtplib
from contextlib import suppress

#: What would end an address, or a line, before its end; to some, any control character does.
UNSAFE = re.compile(r"[\x00-\x20<>\x7f]")
#: The commands before a message's words, and the replies that let it go on (RFC 5321 §4.3.2).
EXPECTED = {"MAIL": {250}, "RCPT": {250, 251}, "DATA": {354}}


def wire(message: bytes) -> bytes:
    """A message as it goes over the wire: lines that end in CR LF, dots that begin one doubled, the closing dot."""
    lines = re.sub(rb"\r?\n", b"\r\n", message)
    return re.sub(rb"(?m)^\.", b"..", lines) + (b"" if lines.endswith(b"\r\n") else b"\r\n") + b".\r\n"


class Conversation:
    """What is said over one connection. Raises what smtplib raises."""

    def __init__(self, line: smtplib.SMTP) -> None:
        line.ehlo_or_helo_if_needed()
        self._line = line
        self._options = " BODY=8BITMIME" if line.has_extn("8bitmime") else ""
        self._grouped = line.has_extn("pipelining")
        self._begun: tuple[str, str] | None = None
        self._taken = 0
        #: Did the server close the line between two messages, as many do after a few? Nothing of the last one was taken
        #: then: it may be sent over another line.
        self.worn_out = False

    def under_way(self, *, but: str = "") -> bool:
        """Is an envelope under way, to anybody ``but`` that one? Then nothing else may be said over the line."""
        return self._begun is not None and self._begun[1] != but

    def begin(self, sender: str, recipient: str) -> None:
        """Send an envelope ahead, if it can be: what is wrong with it, ``send()`` will say."""
        with suppress(ValueError, OSError):
            self._begin(sender, recipient)

    def send(self, sender: str, recipient: str, message: bytes) -> None:
        """Hand over a message, in the form of :func:`wire`; its envelope, and no other, may be under way."""
        try:
            refused, code = self._envelope(sender, recipient)
        except smtplib.SMTPServerDisconnected as error:
            # A server that is silent may be so on another line too: that costs a time-out each.
            self.worn_out = self._taken > 0 and not isinstance(error.__context__, TimeoutError)
            raise
        if refused and code == 421:
            self.worn_out = self._taken > 0
        if refused and code == 354:  # It would take the words of a message to nobody: give it none.
            self._line.send(b".\r\n")
            self._line.getreply()
        if not refused:
            self._line.send(message)
            code, says = self._line.getreply()
            refused = None if code == 250 else ("DATA", code, says)
        self._begun = None
        if refused:
            with suppress(smtplib.SMTPServerDisconnected):
                self._line.rset()
            raise self._error(*refused, sender, recipient)
        self._taken += 1

    def _envelope(self, sender: str, recipient: str) -> tuple[tuple[str, int, bytes] | None, int]:
        """Say what of the envelope is not said yet: the first refusal, if there is one, and the last reply's code."""
        if self._begun is None:
            self._begin(sender, recipient)
        refused, code = None, 0
        for command, line in self._commands(sender, recipient):
            if not self._grouped and command != "MAIL":
                if refused:
                    break
                self._line.send(line)
            code, says = self._line.getreply()
            if code not in EXPECTED[command]:
                refused = refused or (command, code, says)
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
            msg = "not an address that stands in a command"
            raise ValueError(msg)
        return [
            ("MAIL", f"MAIL FROM:<{sender}>{self._options}\r\n"),
            ("RCPT", f"RCPT TO:<{recipient}>\r\n"),
            ("DATA", "DATA\r\n"),
        ]

    @staticmethod
    def _error(command: str, code: int, says: bytes, sender: str, recipient: str) -> smtplib.SMTPException:
        match command:
            case "MAIL":
                return smtplib.SMTPSenderRefused(code, says, sender)
            case "RCPT":
                return smtplib.SMTPRecipientsRefused({recipient: (code, says)})
        return smtplib.SMTPDataError(code, says)
