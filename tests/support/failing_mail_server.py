"""A mail server that fails as a test requires, and a clock that skips the pauses."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from agreement.models import Progress
from agreement.notices import dispatch
from tests.support.smtp_server import mail_by

#: Replies to RCPT or to a message by its number; ``None`` is hanging up, ``"hang"`` is silence.
Fault = Callable[[str, int], str | None]


class Server:
    """An SMTP server that fails by recipient or by message, and records what it took for whom.

    Over one connection it takes ``each`` messages, answers the next ``MAIL``, or the words of the next message with
    ``after_words``, with ``closing_reply``, if any, and closes it. It greets at most ``most`` connections at a time.
    """

    def __init__(
        self,
        fault: Fault,
        *,
        grouped: bool = False,
        each: int = 10**9,
        closing_reply: str | None = None,
        after_words: bool = False,
        most: int = 10**9,
    ) -> None:
        self.fault, self.messages, self.grouped = fault, 0, grouped
        self.each, self.closing_reply, self.after_words = each, closing_reply, after_words
        self.most, self.open, self.refused, self.lock = most, 0, 0, threading.Lock()
        self.took: list[tuple[str, str]] = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            try:
                line, _peer = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.converse, args=(line,), daemon=True).start()

    def converse(self, line: socket.socket) -> None:
        with self.lock:
            self.open += 1
            full = self.open > self.most
            self.refused += full
        try:
            with suppress(OSError):  # Whoever is killed hangs up in the middle of a word.
                if full:
                    with line:
                        line.sendall(b"421 4.7.0 too many connections\r\n")
                else:
                    self.serve(line)
        finally:
            with self.lock:
                self.open -= 1

    def serve(self, line: socket.socket) -> None:
        # Replies to a group of commands go out one by one; otherwise each would wait for the last one's receipt.
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        with line, line.makefile("rwb") as file:

            def say(reply: str) -> None:
                file.write(reply.encode() + b"\r\n")
                file.flush()

            say("220 here")
            recipient, taken = "", 0
            while command := file.readline().decode().strip():
                verb = command[:4].upper()
                if verb == "MAIL" and taken == self.each and not self.after_words:
                    if self.closing_reply:
                        say(self.closing_reply)
                    return
                if verb == "RCPT":
                    recipient = command.partition("<")[2].partition(">")[0]
                    reply = self.fault(recipient, self.messages)
                    if not self.obey(reply, say):
                        return
                    if reply != "250 OK":
                        recipient = ""
                elif verb == "EHLO" and self.grouped:
                    say("250-here\r\n250-PIPELINING\r\n250 8BITMIME")
                elif verb == "DATA" and not recipient:
                    say("554 5.5.1 no valid recipients")
                elif verb == "DATA":
                    say("354 go on")
                    identity = ""
                    while (text := file.readline()) != b".\r\n":
                        if not text:
                            return
                        if text.lower().startswith(b"message-id:"):
                            identity = text.decode().split(":", 1)[1].strip()
                    if taken == self.each:
                        if self.closing_reply:
                            say(self.closing_reply)
                        return
                    self.messages, taken = self.messages + 1, taken + 1
                    reply = self.fault("", self.messages)
                    if reply is None or not reply.startswith(("4", "5")):
                        self.took.append((recipient, identity))
                    recipient = ""
                    if not self.obey(reply, say):
                        return
                elif verb == "QUIT":
                    say("221 bye")
                    return
                else:
                    say("250 OK")

    def obey(self, reply: str | None, say: Callable[[str], None]) -> bool:
        if reply is None:
            return False
        if reply == "hang":
            threading.Event().wait(3)
            return False
        say(reply)
        return True


@contextmanager
def failing(settings: Any, fault: Fault, *, grouped: bool = True, **ending: Any) -> Iterator[Server]:
    server = Server(fault, grouped=grouped, **ending)
    mail_by(settings, "django.core.mail.backends.smtp.EmailBackend", host="127.0.0.1", port=server.port)
    try:
        yield server
    finally:
        # Closing alone leaves a thread that waits in accept() waiting, and the port taken.
        server.socket.shutdown(socket.SHUT_RDWR)
        server.socket.close()


class Clock:
    """Runs on to the next moment there is anything to do, as the sweep would."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return timezone.now() + self.ahead

    def work(self, *, rounds: int) -> None:
        """Work until nothing waits, skipping the pauses; ``rounds`` at most."""
        for _round in range(rounds):
            dispatch.work(clock=self)
            at = dispatch.next_due_at(self())
            if at is None:
                return
            self.ahead += max(timedelta(), at - self())
        raise AssertionError(f"{Progress.objects.total()['waiting']} still wait")


def every(number: int, reply: str | None) -> Fault:
    """That reply instead of every so-manieth acceptance of a message."""
    return lambda recipient, count: reply if not recipient and count % number == 0 else "250 OK"
