"""The mailbox of the demo: a mail backend that stores each message as a file, and functions that read these files.

The files are a Maildir. A message is written in ``tmp`` and then moved to ``new``. Therefore nobody reads an incomplete
message, even if the process is killed while it writes.
"""

from __future__ import annotations

import email
import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.message import EmailMessage as Parsed
from email.parser import BytesHeaderParser
from email.policy import default
from email.utils import parsedate_to_datetime
from mailbox import Maildir
from pathlib import Path
from smtplib import SMTPRecipientsRefused
from typing import Any

import django
from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend

BACKEND = "portal_site.mailbox.EmailBackend"
PAGE = 50
#: A domain that never exists (RFC 6761), and the reply of a mail server to an address in it.
REFUSED_DOMAIN = ".invalid"
REFUSAL = (550, b"5.1.2 The domain does not exist")


class EmailBackend(BaseEmailBackend):
    """A mail backend that stores messages in a Maildir. Its folder is ``file_path`` in ``MAILERS`` (Django 6.1 and
    later) or ``EMAIL_FILE_PATH``. A message without recipients is not stored. A message with a recipient in
    ``REFUSED_DOMAIN`` is refused as Django's SMTP backend does it: it raises ``SMTPRecipientsRefused``.
    """

    def __init__(self, *args: Any, file_path: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.file_path = file_path or getattr(settings, "EMAIL_FILE_PATH", "")

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        # Maildir makes these folders only if it makes their parent, which may be a mounted volume.
        for name in ("tmp", "new", "cur"):
            Path(self.file_path, name).mkdir(parents=True, exist_ok=True)
        box = Maildir(self.file_path)
        written = 0
        for message in email_messages:
            recipients = message.recipients()
            if refused := {address: REFUSAL for address in recipients if address.endswith(REFUSED_DOMAIN)}:
                raise SMTPRecipientsRefused(refused)
            if recipients:
                box.add(message.message().as_bytes())
                written += 1
        return written


@dataclass(frozen=True, slots=True)
class Letter:
    """A message: the name of its file (``key``), its headers in order, and its text and HTML. Each of the two is ``""``
    if the message has none, and if only the headers were read.
    """

    key: str
    headers: tuple[tuple[str, str], ...]
    text: str = ""
    html: str = ""

    def header(self, name: str) -> str:
        """Return the value of the first header with that name; ``""`` if there is none."""
        return next((value for header, value in self.headers if header.lower() == name.lower()), "")

    @property
    def to(self) -> str:
        return self.header("To")

    @property
    def subject(self) -> str:
        return self.header("Subject")

    @property
    def language(self) -> str:
        """The language of the subject: the first one in the header ``Content-Language``. ``""`` without this header."""
        return self.header("Content-Language").partition(",")[0].strip()

    @property
    def date(self) -> datetime | None:
        """When the letter was sent, as the header ``Date`` states it; ``None`` if this header is missing or invalid."""
        try:
            date = parsedate_to_datetime(self.header("Date"))
        except ValueError:
            return None
        return date if date.tzinfo else date.replace(tzinfo=UTC)  # "-0000" is UTC (RFC 5322 §3.3)


def folder() -> Path | None:
    """Return the folder of the mailbox; ``None`` if the site does not send mail by :class:`EmailBackend`, or if no
    folder is set.
    """
    if django.VERSION >= (6, 1):
        mailer: dict[str, Any] = settings.MAILERS.get("default", {})
        backend, path = mailer.get("BACKEND"), mailer.get("OPTIONS", {}).get("file_path")
    else:
        backend, path = settings.EMAIL_BACKEND, getattr(settings, "EMAIL_FILE_PATH", "")
    return Path(path) if backend == BACKEND and path else None


def count() -> int:
    """Return how many letters there are. No letter is opened."""
    return len(_keys())


def newest(page: int = 1) -> list[Letter]:
    """Return the letters of one page (``PAGE`` letters; the first page is 1), the newest first. The list is empty for a
    page after the last, and for 0 or a negative number. Only the headers of the letters are parsed: ``text`` and
    ``html`` are ``""``.
    """
    keys = heapq.nlargest(page * PAGE, _keys(), key=_written_at)[(page - 1) * PAGE :]
    return [letter for key in keys if (letter := _read(key, with_parts=False))]


def get(key: str) -> Letter | None:
    """Return the letter with that key, the name of its file, with its text and HTML; ``None`` if there is none."""
    return _read(key, with_parts=True) if key in _keys() else None


def _keys() -> set[str]:
    path = folder()
    try:
        return {file.name for file in (path / "new").iterdir()} if path else set()
    except FileNotFoundError:
        return set()


def _written_at(key: str) -> tuple[int, ...]:
    """Return a sort key from a Maildir name, such as ``1700000000.M123P45Q6.host``: the second, the microsecond, the
    process and the counter.
    """
    second, _, rest = key.partition(".")
    unique = rest.partition(".")[0]
    return tuple(int(part) if part.isdecimal() else 0 for part in (second, *_split(unique)))


def _split(unique: str) -> list[str]:
    return unique.replace("M", " ").replace("P", " ").replace("Q", " ").split()


def _read(key: str, *, with_parts: bool) -> Letter | None:
    path = folder()
    try:
        raw = (path / "new" / key).read_bytes() if path else b""
    except FileNotFoundError:
        return None
    if not with_parts:
        return Letter(key, _headers(BytesHeaderParser(policy=default).parsebytes(raw)))
    message = email.message_from_bytes(raw, policy=default)
    return Letter(key, _headers(message), _part(message, "plain"), _part(message, "html"))


def _headers(message: Parsed) -> tuple[tuple[str, str], ...]:
    """Return the headers as a mail program displays them. The policy puts a space between two encoded words of a name,
    so encoded words are decoded here.
    """
    return tuple(
        (name, str(make_header(decode_header(raw)) if "=?" in raw else value))
        for (name, value), (_name, raw) in zip(message.items(), message.raw_items(), strict=True)
    )


def _part(message: Parsed, kind: str) -> str:
    part = message.get_body((kind,))
    return str(part.get_content(errors="replace")) if part else ""
