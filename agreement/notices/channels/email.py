"""Notices by e-mail, through a mail backend of Django. The replies to withdrawals, and the mails to staff about drafts,
are sent by the same channel.
"""

from __future__ import annotations

import base64
import re
import smtplib
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.header import decode_header, make_header
from email.message import EmailMessage, Message
from email.utils import formatdate, parseaddr
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core import mail
from django.core.exceptions import FieldError, ValidationError
from django.core.mail.backends import smtp
from django.core.validators import validate_email
from django.db.models import Model, QuerySet
from django.db.models.expressions import Combinable
from django.utils.encoding import punycode
from django.utils.module_loading import import_string

from agreement import conf
from agreement.memory import remembered
from agreement.models import Delivery, Notice, NoticeText
from agreement.models.deliveries import LEASE
from agreement.models.notices import ADDRESS_NOT_TAKEN, INVALID_ADDRESS, NO_ADDRESS
from agreement.notices.channels.base import Channel, Deferred, Refused, Unavailable
from agreement.notices.channels.smtp import UNSAFE, Conversation, wire
from agreement.notices.letters import NoticeContent, letter
from agreement.notices.return_path import return_path
from agreement.text import languages

#: The headers of every letter of the app, so that no mail program answers it. The second is that of Exchange, which
#: ignores the first (RFC 3834). It does not name the reports about delivery (DR, NDR), which are wanted.
AUTOMATIC = {"Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "OOF, AutoReply"}
#: Replies that concern the mailbox of one recipient. The codes are those of RFC 5321 §4.2.3 and RFC 3463 §3.2–3.3.
MAILBOX_REPLY = re.compile(r"SMTP 450|SMTP \d{3} 4\.(1\.[1-6]|2\.\d+)")
#: Status codes that concern the address of the sender (RFC 3463 §3.2).
SENDER_STATUS = re.compile(r"[45]\.1\.[78]")
#: Replies that ask for a login, or refuse it.
LOGIN_REPLIES = {530, 535, 538}
#: What is added to the codes of a reply.
SENDER_REFUSED, NO_LOGIN = ": the sender is refused", ": the login is missing or refused"
SMTP_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
#: Seconds to wait for a reply of the mail server, if the settings of the site state no time-out. It is less than half a
#: lease, so that no lease ends while a worker waits.
REPLY_TIMEOUT = 10


class Letter(mail.EmailMultiAlternatives):
    """A message whose text is encoded in base64, and whose subject and sender begin on the first line of their headers
    (:func:`begin_headers`). Every mail server may transmit base64, also one that takes no 8-bit text (RFC 6152), and no
    server on the way needs to change the encoding, which would break a signature (DKIM).
    """

    def message(self, **options: Any) -> Any:
        built = super().message(**options)
        begin_headers(built)
        for part in built.walk():
            if part.get_content_maintype() == "text":
                words: Any = part.get_payload(decode=True)  # Bytes.
                del part["Content-Transfer-Encoding"]
                part["Content-Transfer-Encoding"] = "base64"
                part.set_payload(base64.encodebytes(words).decode("ascii"))
        return built


class EmailChannel(Channel):
    """Sends notices by e-mail, over a connection that is opened when a message needs it and used for the next ones too,
    until it breaks or is closed. Over the connection of Django's own SMTP backend, or of a subclass that sends in the
    same way, messages are sent by :class:`Conversation`; any other backend sends each message itself. If a setting is
    wrong (:meth:`faults`), ``Unavailable`` is raised before a connection is opened.

    An address may have letters before the ``@`` that are not ASCII. It is ``Refused`` if the mail server does not offer
    SMTPUTF8 (RFC 6531), and always if a backend sends the message itself.
    """

    name = "email"

    def __init__(self) -> None:
        # Any: a mail backend of any kind. Some have no attributes "timeout" and "connection".
        self._connection: Any = None
        self._conversation: Conversation | None = None
        self._prepared: dict[int, bytes] = {}
        sender = parseaddr(conf.from_email())[1]
        self._sender = ascii_domain(sender) if is_address(sender) else ""  # sender_fault() reports it.
        self._own_sender = self._sender
        self._own_return_paths = bool(conf.get().VERP)
        self.host = ascii_host(conf.get().BASE_URL)

    def faults(self) -> list[str]:
        return [fault for fault in (address_fault(), sender_fault(), mailer_fault() or server_fault()) if fault]

    def address(self) -> Combinable:
        return conf.user_email()

    def reachable(self, users: QuerySet[Model]) -> QuerySet[Model]:
        return super().reachable(users).filter(agreement_address__contains="@")

    def compose(self, notice: Notice, language: str, *, since: int) -> NoticeContent:
        return letter(notice, language, since=since)

    def unreachable(self, address: str) -> str:
        if not address:
            return NO_ADDRESS
        return "" if is_address(address, ascii_only=False) else INVALID_ADDRESS

    def send(self, delivery: Delivery, address: str, text: NoticeText) -> None:
        if self._own_return_paths:
            self._sender = return_path(delivery) or self._own_sender
        address = ascii_domain(address)
        if self._conversation and self._conversation.under_way(but=address):
            self.close()
        self._open()
        with self._failures(tried=delivery.attempts > 0):
            if self._conversation:
                self._converse(self._conversation, address, self._wire_bytes(delivery, address, text))
            else:
                self._hand_over(self._message(delivery, address, text))

    def post(self, letter: Letter) -> None:
        """Send a letter that is not a notice, to its only recipient (``letter.to`` must contain one address), over the
        connection of the channel, which is opened if necessary. Raises ``Refused``, ``Deferred`` or ``Unavailable`` if
        the mail server does not accept it.
        """
        (address,) = letter.to = [ascii_domain(to) for to in letter.to]
        if self._conversation and self._conversation.under_way():
            self.close()
        self._open()
        self._sender = self._own_sender
        with self._failures():
            if self._conversation:
                letter.to = []
                head = f"To: {address}\r\n".encode()
                self._converse(self._conversation, address, head + wire(letter.message().as_bytes()))
            else:
                self._hand_over(letter)

    def _hand_over(self, letter: Letter) -> None:
        if not all(map(str.isascii, letter.to)):  # Django would write another address.
            raise Refused(ADDRESS_NOT_TAKEN)
        if self._open().send_messages([letter]) == 0:
            raise Deferred("the mail backend sent nothing")

    def begin(self, address: str) -> None:
        if self._conversation and not self._own_return_paths:  # With VERP the sender depends on the delivery.
            with suppress(ValueError):
                self._conversation.begin(self._sender, ascii_domain(address))

    def _message(self, delivery: Delivery, address: str, text: NoticeText) -> Letter:
        message = Letter(
            subject=text.subject,
            body=text.text,
            from_email=conf.sender(text.language),
            to=[address] if address else [],
            reply_to=list(filter(None, [conf.get().REPLY_TO])),
            headers={
                **AUTOMATIC,
                "Message-ID": self._message_id(delivery),
                "List-Id": f"<agreement.{self.host}>",
                "Content-Language": ", ".join(languages.LANGUAGES) if text.language == "mul" else text.language,
            },
        )
        message.attach_alternative(text.html, "text/html")
        if envelope_sender := return_path(delivery):  # As Django does, backends take it from from_email.
            message.extra_headers["From"], message.from_email = message.from_email, envelope_sender
        # django-anymail reads this attribute, and its services return it with a bounce. Other backends ignore it.
        message.metadata = {"agreement_message_id": self._message_id(delivery)}  # type: ignore[attr-defined]
        return message

    def _message_id(self, delivery: Delivery) -> str:
        return f"<{delivery.message_id_local_part}@{self.host}>"

    def _converse(self, conversation: Conversation, address: str, message: bytes) -> None:
        """Send a message over the open connection of Django's SMTP backend. If the server ended this connection after
        other messages, send the message once more, over a new connection. Raises the exceptions of
        :meth:`Conversation.send`, and ``Unavailable`` if no new connection can be opened.
        """
        try:
            conversation.send(self._sender, address, message)
        except smtplib.SMTPException:
            if not conversation.worn_out:
                raise
            self.close()
            self._open()
            if self._conversation is None:
                raise
            self._conversation.send(self._sender, address, message)

    def _wire_bytes(self, delivery: Delivery, address: str, text: NoticeText) -> bytes:
        """Return the bytes that SMTP transmits for a message. The part that all recipients share is built once for each
        primary key of ``text``, because building a message takes longer than sending it. The headers ``To``,
        ``Message-ID`` and ``Date`` are added for each recipient. The domain of ``address`` must be in ASCII. If the
        part before the ``@`` is not, the header ``To`` is written in UTF-8 (RFC 6532).
        """
        if text.pk not in self._prepared:
            message = self._message(delivery, "", text).message()
            for header in ("Message-ID", "Date"):
                del message[header]
            self._prepared[text.pk] = wire(message.as_bytes())
        head = f"To: {address}\r\nMessage-ID: {self._message_id(delivery)}\r\nDate: {_date(int(time.time()))}\r\n"
        return head.encode() + self._prepared[text.pk]

    @contextmanager
    def _failures(self, *, tried: bool = False) -> Iterator[None]:
        """Context manager: convert the SMTP and network errors of a mail backend into the failures of a channel. Other
        exceptions are not converted.

        A reply to the recipient or to the message is converted by :meth:`_classify`. If a reply to the recipient is
        ``Deferred``, it has ``personal=True`` if the reply concerns one mailbox (``MAILBOX_REPLY``), or if ``tried`` is
        true. ``tried`` states whether an earlier attempt for this recipient failed. A sender that the server refuses in
        its reply to the command ``MAIL``, and a refused greeting, are ``Unavailable`` without an attempt, and the
        connection is closed. An address for which the server lacks SMTPUTF8 is ``Refused``. If the connection broke, it
        is closed, and the failure is ``Deferred``, with ``perhaps_sent=True`` unless it is known that the server did
        not accept the message.
        """
        try:
            yield
        except smtplib.SMTPNotSupportedError:
            raise Refused(ADDRESS_NOT_TAKEN) from None
        except smtplib.SMTPRecipientsRefused as error:
            address, (code, reply) = next(iter(error.recipients.items()))
            failure = self._classify(code, reply, recipient=address)
            if isinstance(failure, Deferred):
                failure.personal = tried or bool(MAILBOX_REPLY.fullmatch(str(failure)))
            raise failure from None
        except (smtplib.SMTPSenderRefused, smtplib.SMTPHeloError) as error:
            # The server would refuse every message: the cause is not the recipient.
            self.close()
            reason, status = _codes(error.smtp_code, error.smtp_error)
            if error.smtp_code >= 500 or SENDER_STATUS.fullmatch(status):
                reason += NO_LOGIN if error.smtp_code in LOGIN_REPLIES else SENDER_REFUSED
            raise Unavailable(reason) from None
        except smtplib.SMTPResponseException as error:
            raise self._classify(error.smtp_code, error.smtp_error) from None
        except (smtplib.SMTPException, OSError) as error:
            perhaps_sent = self._conversation is None or self._conversation.unanswered
            self.close()
            raise Deferred(type(error).__name__, perhaps_sent=perhaps_sent) from None

    def close(self) -> None:
        connection, conversation = self._connection, self._conversation
        self._connection = self._conversation = None
        if connection is not None:
            with suppress(smtplib.SMTPException, OSError):
                if conversation and conversation.under_way():  # The server would read QUIT as part of a message.
                    connection.connection.close()
                connection.close()

    def _open(self) -> Any:
        if self._connection is None:
            for fault in self.faults():
                raise Unavailable(fault)
            connection: Any = None
            try:
                connection = _mail_backend()
                if hasattr(connection, "timeout"):
                    # Django waits without limit by default. A server that does not answer would outlast the lease.
                    longest = LEASE.total_seconds() / 2 - 1
                    connection.timeout = min(connection.timeout or REPLY_TIMEOUT, longest)
                # A backend that fails silently would say that it sent what it did not send.
                connection.fail_silently = False
                connection.open()
                if _is_plain_smtp(connection):
                    self._conversation = Conversation(connection.connection)
            except Exception as error:  # Whatever it is, no recipient is the cause.
                with suppress(Exception):
                    connection.close()
                # The text of a UnicodeError may contain a part of the password.
                text = "" if isinstance(error, UnicodeError) else f": {error}"
                raise Unavailable(type(error).__name__ + text) from None
            self._connection = connection
        return self._connection

    def _classify(self, code: int, reply: bytes | str, *, recipient: str = "") -> Exception:
        """Return the failure that corresponds to a reply of the server. ``recipient`` is the address that the server
        rejected; ``""`` if it rejected the message.

        421, a missing login (530, 535, 538) and a refused sender concern every recipient: the result is
        ``Unavailable``, and the connection is closed. Any other 5xx is final (``Refused``), any other code is temporary
        (``Deferred``; RFC 5321 §4.2.1). Policy refusals (x.7.x of RFC 3463) are an exception, because their cause is
        the site as often as the recipient. A message refused by policy is ``Deferred``, because every recipient gets
        the same text. A recipient refused by policy with 5xx is ``Refused`` with ``doubtful=True``. The reason contains
        the codes, but not the text of the reply, which may quote the address.

        Servers such as Postfix refuse the sender only in the reply to the recipient. Such a reply has a status code
        about the sender, or quotes the address of the sender but not that of the recipient.
        """
        reason, status = _codes(code, reply)
        text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
        quotes_sender = self._sender in text and recipient not in text
        if code in {421, *LOGIN_REPLIES}:
            self.close()
            return Unavailable(reason if code == 421 else reason + NO_LOGIN, tried=code == 421)
        if recipient and (quotes_sender or SENDER_STATUS.fullmatch(status)):
            self.close()
            return Unavailable(reason + SENDER_REFUSED, tried=True)
        policy = status[1:4] == ".7."
        final = 500 <= code < 600 and (bool(recipient) or not policy)
        return Refused(reason, doubtful=policy) if final else Deferred(reason)


def begin_headers(message: Message) -> None:
    """Fold the subject and the sender of a message of Django before 6.0, if they are encoded, so that they begin on the
    first line of their header. These versions of Django encode them without regard to the name of the header, so a long
    one does not fit beside the name, and some programs display the empty first line as a space.
    """
    if isinstance(message, EmailMessage):  # Django 6.0 and later: Python's own folding begins on the first line.
        return
    for name in ("Subject", "From"):
        if "=?" in (value := str(message[name] or "")):
            message.replace_header(name, make_header(decode_header(value), header_name=name).encode())


@remembered
@lru_cache(maxsize=1)
def _date(second: int) -> str:
    """Return the value of the header ``Date`` for the messages of one second, given as seconds since 1970."""
    return formatdate(second)


def _codes(code: int, reply: bytes | str) -> tuple[str, str]:
    """Return the codes of a reply as a reason, such as ``SMTP 550 5.1.1``, and the status code (RFC 3463) with which
    its text begins; ``""`` if it begins with none.
    """
    text = reply.decode("ascii", "replace") if isinstance(reply, bytes) else reply
    found = re.match(r"[245]\.\d{1,3}\.\d{1,3}\b", text)
    status = found[0] if found else ""
    return f"SMTP {code} {status}".rstrip(), status


def is_address(address: str, *, ascii_only: bool = True) -> bool:
    """Return whether the form of the e-mail address is valid. Django's validator must accept it, and no character may
    be one that can't be part of an SMTP command. The domain may contain letters that are not ASCII if it can be written
    in ASCII (``xn--``). The part before the ``@`` may contain such letters only with ``ascii_only=False``.
    """
    local, at, domain = address.rpartition("@")
    if not ascii_only and not local.isascii() and local.isprintable():
        local = re.sub(r"[^\x00-\x7f]", "x", local)  # Django's validator does not know RFC 6531.
    address = local + at + domain
    try:
        validate_email(address)
        return ascii_domain(address).isascii() and not UNSAFE.search(address)
    except (ValidationError, UnicodeError):
        return False


def ascii_domain(address: str) -> str:
    """Return the e-mail address with its domain in ASCII (``xn--``), as SMTP requires. The part before the ``@`` is not
    changed. Raises ``UnicodeError`` if the domain can't be written so.
    """
    local, _at, domain = address.rpartition("@")
    return address if domain.isascii() else f"{local}@{punycode(domain)}"


def ascii_host(url: str) -> str:
    """Return the host of a URL, without its port, in ASCII, as a mail header requires it: ``сайт.қаз`` in its ``xn--``
    form. ``localhost`` if the URL can't be parsed or has no host that can be written so.
    """
    try:
        return (urlsplit(url).hostname or "localhost").encode("idna").decode("ascii")
    except ValueError:  # Also: a UnicodeError.
        return "localhost"


def address_fault() -> str:
    """Return a sentence if ``USER_EMAIL`` is empty and the user model lacks the field in which addresses then are;
    ``""`` otherwise. A wrong ``USER_EMAIL`` is reported by ``agreement.E002``.
    """
    if conf.get().USER_EMAIL:
        return ""
    users, source = get_user_model(), conf.user_email()
    try:
        users._base_manager.annotate(agreement_address=source)
    except FieldError:
        return f"USER_EMAIL is empty, and the user model has no field {getattr(source, 'name', '')!r}."
    return ""


def sender_fault() -> str:
    """Return a sentence about the first of these settings that is not a valid e-mail address: the ``From`` address,
    then ``REPLY_TO``, then ``VERP``; ``""`` if all are valid. The last two may be empty. The channel calls this before
    it opens a connection, so that no delivery fails because of a wrong setting.
    """
    now = conf.get()
    for key, value in (("FROM_EMAIL", conf.from_email()), ("REPLY_TO", now.REPLY_TO), ("VERP", now.VERP)):
        if not value and key != "FROM_EMAIL":
            continue
        if not value.isprintable() or not is_address(parseaddr(value)[1]):
            return f"{key} is {value!r}, which is not an address."
    return ""


def mailer_fault() -> str:
    """Return what is wrong with the settings of the mail server for notices; ``""`` if nothing is.

    The app uses ``MAILER`` with Django 6.1 and later, and ``MAIL_CONNECTION`` with older versions. It is a fault if
    only the setting that has no effect is set, or if ``MAILER``, where it is used, is not in ``MAILERS``.
    """
    alias, options = conf.get().MAILER, conf.get().MAIL_CONNECTION
    if not hasattr(mail, "mailers"):
        alone = alias != conf.Conf().MAILER and not options
        return f"MAILER is {alias!r}, which needs Django 6.1. Set MAIL_CONNECTION instead." if alone else ""
    if alias not in getattr(settings, "MAILERS", {conf.Conf().MAILER}):
        return f"MAILER is {alias!r}, which is not in MAILERS."
    if options and alias == conf.Conf().MAILER:
        return (
            "MAIL_CONNECTION has no effect from Django 6.1 on. Put its server into MAILERS and the alias into MAILER."
        )
    return ""


def server_fault() -> str:
    """Return a sentence about the first fault of the mail backend for notices; ``""`` if none is found. It is a fault
    if the backend can't be found or imported. Django's SMTP backend, or a subclass of it, is also created without
    opening a connection. It is a fault if that fails, if the user name or the password contains letters that are not
    ASCII, or if the host is empty or can't be the name of a host. Any other backend is only imported.
    """
    try:
        if hasattr(settings, "MAILERS") and hasattr(mail, "mailers"):
            path = str(settings.MAILERS[conf.get().MAILER].get("BACKEND", SMTP_BACKEND))
        else:
            path = str(conf.get().MAIL_CONNECTION.get("backend") or settings.EMAIL_BACKEND)
        if not issubclass(import_string(path), smtp.EmailBackend):
            return ""
        connection = _mail_backend()
    except Exception as error:
        return f"The mail backend can't be used: {error}"
    for name, value in (("user name", connection.username), ("password", connection.password)):
        if value and not str(value).isascii():
            return f"The {name} of the mail server contains letters that are not ASCII, which Python can't send."
    try:
        if connection.host and connection.host.encode("idna"):
            return ""
    except UnicodeError:
        pass
    return f"The host of the mail server is {connection.host!r}, which is not the name of a host."


def _is_plain_smtp(connection: object) -> bool:
    """Return whether this is Django's own SMTP backend, or a subclass that overrides neither ``send_messages`` nor
    ``_send``.
    """
    return isinstance(connection, smtp.EmailBackend) and all(
        getattr(type(connection), name, None) is getattr(smtp.EmailBackend, name, None)
        for name in ("send_messages", "_send")
    )


def _mail_backend() -> Any:
    mailers = getattr(mail, "mailers", None)  # Django 6.1 and later
    return mailers[conf.get().MAILER] if mailers is not None else mail.get_connection(**conf.get().MAIL_CONNECTION)
