"""Sends messages over a connection that smtplib opened, and waits for the server less often than smtplib does.

``SMTP.sendmail()`` waits for four replies per message: three for the envelope (``MAIL``, ``RCPT``, ``DATA``) and one
for the text. The server is responsible for a message only after the last of them. Therefore the envelope of the next
message can be sent before the outcome of the last one is recorded.
"""

from __future__ import annotations

import re
import smtplib
from contextlib import suppress

#: Characters that would end an address or a line of a command. Some servers treat every control character this way.
UNSAFE = re.compile(r"[\x00-\x20<>\x7f]")
#: The commands of an envelope, and the replies that mean success (RFC 5321 §4.3.2).
EXPECTED = {"MAIL": {250}, "RCPT": {250, 251}, "DATA": {354}}


def wire(message: bytes) -> bytes:
    """Convert a message to the bytes that SMTP transmits (RFC 5321 §4.5.2): lines end with CR LF, a dot at the
    beginning of a line is doubled, and a line with a single dot ends the message.
    """
    lines = re.sub(rb"\r?\n", b"\r\n", message)
    return re.sub(rb"(?m)^\.", b"..", lines) + (b"" if lines.endswith(b"\r\n") else b"\r\n") + b".\r\n"


class Conversation:
    """Sends messages over one open SMTP connection, each to one recipient. The envelope of a message is its commands
    ``MAIL``, ``RCPT`` and ``DATA``. Messages must be in ASCII, except the header ``To`` of a message to an address that
    has other letters before the ``@``. Such a message needs the extension SMTPUTF8 (RFC 6531).
    """

    def __init__(self, line: smtplib.SMTP) -> None:
        line.ehlo_or_helo_if_needed()
        self._line = line
        self._grouped = line.has_extn("pipelining")
        self._takes_utf8 = line.has_extn("smtputf8")
        self._begun: tuple[str, str] | None = None
        self._commands: list[tuple[str, bytes]] = []
        self._answered = 0
        #: Whether the server ended the connection, after it had accepted or refused other messages over it, as many
        #: servers do after some number of them. If so, the last message was not accepted, and it may be sent over
        #: another connection.
        self.worn_out = False
        #: Whether the text of a message was sent and not answered: the server may have accepted this message.
        self.unanswered = False

    def under_way(self, *, but: str = "") -> bool:
        """Return whether an envelope, or its beginning, was sent, ahead or by a ``send()`` that broke off, for a
        recipient other than ``but`` (default: for any recipient). If so, no message to ``but`` may be sent next over
        this connection.
        """
        return self._begun is not None and self._begun[1] != but

    def begin(self, sender: str, recipient: str) -> None:
        """Send the envelope of the next message ahead: all of it if the server supports pipelining, otherwise only
        ``MAIL``. No reply is read. Errors are ignored here, because ``send()`` raises them.
        """
        with suppress(ValueError, OSError):  # SMTPNotSupportedError is an OSError.
            self._begin(sender, recipient)

    def send(self, sender: str, recipient: str, message: bytes) -> None:
        """Send a message that :func:`wire` converted. The method returns when the server has accepted it. If an
        envelope was sent ahead, it must be that of this message.

        Raises ``SMTPSenderRefused``, ``SMTPRecipientsRefused`` or ``SMTPDataError`` if the server refuses the message,
        ``SMTPNotSupportedError`` if the address needs SMTPUTF8 and the server does not offer it, another
        ``smtplib.SMTPException`` or ``OSError`` if the connection fails, and ``ValueError`` for an address that can't
        be part of a command. After an error, :attr:`worn_out` says whether the message may be sent over another
        connection, and :attr:`unanswered` whether it may have been accepted. After a reply of 421 the connection is
        closed.
        """
        try:
            refused, code = self._envelope(sender, recipient)
        except smtplib.SMTPServerDisconnected as error:
            # After a time-out a new connection would probably time out too, so it is not tried.
            self.worn_out = self._answered > 0 and not isinstance(error.__context__, TimeoutError)
            raise
        if refused and code == 354:  # The server refused the recipient, but expects a message: send an empty one.
            self._line.send(b".\r\n")
            self._line.getreply()
        if not refused:
            self.unanswered = True
            self._line.send(message)
            code, reply = self._line.getreply()
            self.unanswered = False
            refused = None if code == 250 else ("DATA", code, reply)
        self._begun = None
        if code == 421:  # The server closes. In answer to the text too, the message was not accepted (RFC 5321 §4.2.1).
            self._line.close()
            self.worn_out = self._answered > 0 and refused is not None and refused[1] == 421
        self._answered += 1
        if refused:
            with suppress(smtplib.SMTPServerDisconnected):
                self._line.rset()
            raise self._error(*refused, sender, recipient)

    def _envelope(self, sender: str, recipient: str) -> tuple[tuple[str, int, bytes] | None, int]:
        """Send the commands of the envelope that were not sent ahead, and read the replies. Return the first refusal
        (command, code, reply), or ``None`` if there is none, and the code of the last reply that was read. Without
        pipelining, no command is sent after a refusal. No reply is read after one of 421.
        """
        if self._begun is None:
            self._begin(sender, recipient)
        refused, code = None, 0
        for command, line in self._commands:
            if not self._grouped and command != "MAIL":
                if refused:
                    break
                self._line.send(line)
            code, reply = self._line.getreply()
            if code not in EXPECTED[command]:
                refused = refused or (command, code, reply)
            if code == 421:
                break
        return refused, code

    def _begin(self, sender: str, recipient: str) -> None:
        self._commands = self._envelope_commands(sender, recipient)
        lines = [line for _command, line in self._commands]
        self._line.send(b"".join(lines if self._grouped else lines[:1]))
        self._begun = sender, recipient

    def _envelope_commands(self, sender: str, recipient: str) -> list[tuple[str, bytes]]:
        if UNSAFE.search(sender + recipient):
            msg = "not an address that may be part of a command"
            raise ValueError(msg)
        options = "" if recipient.isascii() else " BODY=8BITMIME SMTPUTF8"
        if options and not self._takes_utf8:
            msg = "the server does not offer SMTPUTF8"
            raise smtplib.SMTPNotSupportedError(msg)
        return [
            ("MAIL", f"MAIL FROM:<{sender}>{options}\r\n".encode()),
            ("RCPT", f"RCPT TO:<{recipient}>\r\n".encode()),
            ("DATA", b"DATA\r\n"),
        ]

    @staticmethod
    def _error(command: str, code: int, reply: bytes, sender: str, recipient: str) -> smtplib.SMTPException:
        match command:
            case "MAIL":
                return smtplib.SMTPSenderRefused(code, reply, sender)
            case "RCPT":
                return smtplib.SMTPRecipientsRefused({recipient: (code, reply)})
        return smtplib.SMTPDataError(code, reply)
