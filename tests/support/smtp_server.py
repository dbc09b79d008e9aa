"""A real SMTP server on loopback that records what it took, and fails on demand."""

from __future__ import annotations

import asyncio
import email
import email.policy
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller


@dataclass
class Mailbox:
    """Handler of aiosmtpd. ``replies`` maps an address to the reply its MAIL or RCPT gets; ``on_data`` sees each
    message when the server has it and the client has not heard so yet."""

    messages: list[EmailMessage] = field(default_factory=list)
    #: For each message: the bytes as they came, the recipient, and the parameters of MAIL.
    received: list[tuple[bytes, str, list[str]]] = field(default_factory=list)
    replies: dict[str, str] = field(default_factory=dict)
    on_data: Callable[[int], None] | None = None
    port: int = 0
    delay: float = 0.0

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        await asyncio.sleep(self.delay)
        if address in self.replies:
            return self.replies[address]
        envelope.mail_from, envelope.mail_options = address, options
        return "250 OK"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        await asyncio.sleep(self.delay)
        if address in self.replies:
            return self.replies[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        await asyncio.sleep(self.delay)
        # A server that does not offer 8BITMIME gives its handler a text.
        content = envelope.content.encode("ascii") if isinstance(envelope.content, str) else envelope.content
        self.received.append((content, envelope.rcpt_tos[0], envelope.mail_options))
        message = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self.messages.append(message)
        if self.on_data:
            self.on_data(len(self.messages))
        return "250 OK"

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def by_address(self) -> dict[str, EmailMessage]:
        return {str(message["To"]): message for message in self.messages}

    def text(self, address: str) -> str:
        part = self.by_address()[address].get_body(("plain",))
        assert part is not None
        return str(part.get_content()).replace("\r\n", "\n")


@contextmanager
def server(mailbox: Mailbox | None = None, **abilities: Any) -> Iterator[Mailbox]:
    """``abilities`` are arguments of aiosmtpd's ``SMTP``: with ``decode_data`` the server does not offer 8BITMIME."""
    mailbox = mailbox or Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as free:
        mailbox.port = free.getsockname()[1]
    controller = Controller(mailbox, hostname="127.0.0.1", port=mailbox.port, **abilities)
    controller.start()
    try:
        yield mailbox
    finally:
        controller.stop()


def mail_by(settings: Any, backend: str, **options: Any) -> None:
    """Make the Django of this run send by that backend; ``host`` and ``port`` are its options."""
    if hasattr(settings, "MAILERS"):
        settings.MAILERS = {"default": {"BACKEND": backend, "OPTIONS": options}}
        return
    settings.EMAIL_BACKEND = backend
    for name, value in options.items():
        setattr(settings, f"EMAIL_{name.upper()}", value)
