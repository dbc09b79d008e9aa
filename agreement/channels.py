"""The ways a notice reaches a user. A host adds one by extending :class:`Channel` and naming it in ``CHANNELS``."""

from __future__ import annotations

import re
import smtplib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.utils import formatdate, parseaddr
from types import TracebackType
from typing import Any, ClassVar, Self, cast
from urllib.parse import urlsplit

from django.conf import settings
from django.core import mail
from django.core.exceptions import ValidationError
from django.core.mail.backends import smtp
from django.core.validators import validate_email
from django.db.models.expressions import Combinable
from django.utils.encoding import punycode

from agreement import conf
from agreement.letters import Said, letter
from agreement.models import Delivery, Notice, NoticeText
from agreement.models.deliveries import LEASE
from agreement.smtp import UNSAFE, Conversation, wire

#: What is deferred for the mailbox's sake, by the codes of RFC 5321 §4.2.3 and RFC 3463 §3.2–3.3.
MAILBOX = re.compile(r"SMTP 450|SMTP \d{3} 4\.(1\.[1-6]|2\.\d+)")
#: The longest a mail server may be silent, in seconds: less than half a lease (design §3.8).
TIMEOUT = 10


class Refused(Exception):
    """This recipient can't be reached; trying again is of no use.

    ``doubtful``: or nobody can. It is final once the next message is taken; until then it is tried again.
    """

    def __init__(self, says: str, *, doubtful: bool = False) -> None:
        super().__init__(says)
        self.doubtful = doubtful


class Deferred(Exception):
    """Not now; trying again later may help.

    ``personal`` says that it is this recipient's alone: many such in a row do not make the channel away.
    """

    def __init__(self, says: str = "", *, personal: bool = False) -> None:
        super().__init__(says)
        self.personal = personal


class Unavailable(Exception):
    """The whole channel is away: nobody can be reached now, and no delivery is to blame.

    ``tried`` says that a message was already under way: then it goes to the end of the queue with one attempt more,
    so that a server that hangs up on one recipient alone holds up nobody else.
    """

    def __init__(self, says: str, *, tried: bool = False) -> None:
        super().__init__(says)
        self.tried = tried


class Channel(ABC):
    """One way to reach users, used as a context manager around a batch of deliveries.

    A channel says what is wrong with its settings (``faults``), whom it can't reach (``unreachable``), and of which
    kind a failure is: the recipient's and final (:class:`Refused`), passing (:class:`Deferred`), or everybody's
    (:class:`Unavailable`). The rest, claims, caps, retries, settling, is the app's. Caps are set by its name in
    ``PACE``. ``tests/test_channels.py`` has one for text messages.
    """

    name: ClassVar[str]
    """Kept in the ledger; never change it."""
    both: ClassVar[bool] = True
    """Can one message hold both languages? If not, a user whose language is unknown is told in Kazakh."""

    def faults(self) -> list[str]:
        """What is wrong with the channel's settings, a sentence each: system check ``agreement.E009``."""
        return []

    @abstractmethod
    def address(self) -> Combinable:
        """An expression on the user model that gives what ``send()`` is to write to."""

    @abstractmethod
    def compose(self, notice: Notice, language: str, *, since: int) -> Said:
        """The notice's words in ``kk``, ``ru`` or ``mul`` (both), for readers who were told last of the edition number
        ``since`` (0: of none); asked once, then kept.
        """

    def unreachable(self, address: str) -> str:
        """Why nothing is sent to this address, or ``""``."""
        return ""

    @abstractmethod
    def send(self, delivery: Delivery, address: str, said: NoticeText) -> None:
        """Hand one message over. Raises :class:`Refused`, :class:`Deferred` or :class:`Unavailable`."""

    def begin(self, address: str) -> None:  # noqa: B027 - most channels have nothing to begin
        """The next message will be to this address: what does not hand it over yet may be done now, while the last
        one is being settled. Never raises; what is wrong, ``send()`` says.
        """

    def close(self) -> None:  # noqa: B027 - most channels hold nothing
        """Give up what the channel holds open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class EmailChannel(Channel):
    """Notices by e-mail, over a connection of their own that stays open for a batch."""

    name = "email"

    def __init__(self) -> None:
        self._connection: Any = None
        self._conversation: Conversation | None = None
        self._made: dict[int, bytes] = {}
        sender = parseaddr(conf.from_email())[1]
        self._sender = ascii_domain(sender) if is_address(sender) else ""  # sender_fault() says it.
        self.host = ascii_host(conf.get().BASE_URL)

    def faults(self) -> list[str]:
        return [fault for fault in (sender_fault(), mailer_fault()) if fault]

    def address(self) -> Combinable:
        return conf.user_email()

    def compose(self, notice: Notice, language: str, *, since: int) -> Said:
        return letter(notice, language, since=since)

    def unreachable(self, address: str) -> str:
        if not address:
            return "no address"
        return "" if is_address(address) else "invalid address"

    def send(self, delivery: Delivery, address: str, said: NoticeText) -> None:
        address = ascii_domain(address)
        if self._conversation and self._conversation.under_way(but=address):
            self.close()
        self._open()
        with self._faults(tried=delivery.attempts > 0):
            if self._conversation:
                self._converse(delivery, address, said)
            else:
                self._hand_over(self._message(delivery, address, said))

    def post(self, message: mail.EmailMessage) -> None:
        """Hand over a letter that is no notice, on the same connection; raises as ``send()``."""
        if self._conversation and self._conversation.under_way():
            self.close()
        self._open()
        with self._faults():
            self._hand_over(message)

    def _hand_over(self, message: mail.EmailMessage) -> None:
        if self._open().send_messages([message]) == 0:
            raise Deferred("the mail backend sent nothing")

    def begin(self, address: str) -> None:
        if self._conversation:
            with suppress(ValueError):
                self._conversation.begin(self._sender, ascii_domain(address))

    def _message(self, delivery: Delivery, address: str, said: NoticeText) -> mail.EmailMultiAlternatives:
        message = mail.EmailMultiAlternatives(
            subject=said.subject,
            body=said.text,
            from_email=conf.from_email(),
            to=[address],
            reply_to=list(filter(None, [conf.get().REPLY_TO])),
            headers={
                "Message-ID": self._message_id(delivery),
                "Auto-Submitted": "auto-generated",
                "List-Id": f"<agreement.{self.host}>",
                "Content-Language": ", ".join(conf.LANGUAGES) if said.language == "mul" else said.language,
            },
        )
        message.attach_alternative(said.html, "text/html")
        # Mail services that know django-anymail give it back with a letter that bounced; others ignore it.
        message.metadata = {"agreement_message_id": self._message_id(delivery)}  # type: ignore[attr-defined]
        return message

    def _message_id(self, delivery: Delivery) -> str:
        return f"<{delivery.identity}@{self.host}>"

    def _converse(self, delivery: Delivery, address: str, said: NoticeText) -> None:
        conversation = cast(Conversation, self._conversation)
        try:
            self._splice(conversation, delivery, address, said)
        except smtplib.SMTPException:
            if not conversation.worn_out:
                raise
            self.close()
            self._open()
            self._splice(cast(Conversation, self._conversation), delivery, address, said)

    def _splice(self, conversation: Conversation, delivery: Delivery, address: str, said: NoticeText) -> None:
        """Through Django's own open connection, with what is the same for everybody made once: building a message
        takes longer than sending it.
        """
        if said.pk not in self._made:
            message = self._message(delivery, address, said).message()
            for header in ("To", "Message-ID", "Date"):
                del message[header]
            self._made[said.pk] = wire(message.as_bytes())
        head = f"To: {address}\r\nMessage-ID: {self._message_id(delivery)}\r\nDate: {formatdate()}\r\n"
        conversation.send(self._sender, address, head.encode("ascii") + self._made[said.pk])

    @contextmanager
    def _faults(self, *, tried: bool = False) -> Iterator[None]:
        """The faults of a mail server, as this app classifies them; was the recipient ``tried`` before?"""
        try:
            yield
        except smtplib.SMTPRecipientsRefused as error:
            code, reply = next(iter(error.recipients.values()))
            fault = self._classified(code, reply, recipient=True)
            if isinstance(fault, Deferred):
                fault.personal = tried or bool(MAILBOX.fullmatch(str(fault)))
            raise fault from None
        except (smtplib.SMTPSenderRefused, smtplib.SMTPHeloError) as error:
            # It would be so with every message: the fault is the site's, not the recipient's.
            self.close()
            raise Unavailable(f"SMTP {error.smtp_code}: the sender is refused") from None
        except smtplib.SMTPResponseException as error:
            raise self._classified(error.smtp_code, error.smtp_error) from None
        except (smtplib.SMTPException, OSError) as error:
            # The line broke in the middle of this message: whether it was taken is not known.
            self.close()
            raise Deferred(type(error).__name__) from None

    def close(self) -> None:
        connection, conversation = self._connection, self._conversation
        self._connection = self._conversation = None
        if connection is not None:
            with suppress(smtplib.SMTPException, OSError):
                if conversation and conversation.under_way():  # A QUIT would be taken for the words of a message.
                    connection.connection.close()
                connection.close()

    def _open(self) -> Any:
        if self._connection is None:
            for fault in self.faults():
                raise Unavailable(fault)
            connection = _mailer()
            if hasattr(connection, "timeout"):
                # Django waits for ever by default; a hung server would hold the lease's deliveries.
                longest = LEASE.total_seconds() / 2 - 1
                connection.timeout = min(connection.timeout or TIMEOUT, longest)
            try:
                connection.open()
                if _speaks_smtp(connection):
                    self._conversation = Conversation(connection.connection)
            except (smtplib.SMTPException, OSError) as error:
                raise Unavailable(f"{type(error).__name__}: {error}") from None
            self._connection = connection
        return self._connection

    def _classified(self, code: int, reply: bytes | str, *, recipient: bool = False) -> Exception:
        """5xx is final, 4xx is not (RFC 5321 §4.2.1); 421 and a missing login concern everybody. A policy (x.7.x of
        RFC 3463) is as often the site's fault as the recipient's: against a message, whose words are everybody's, it
        is tried again; against a ``recipient`` it is doubtful. A reply may quote the address: only its codes are kept.
        """
        text = reply.decode("ascii", "replace") if isinstance(reply, bytes) else reply
        status = re.match(r"[245]\.\d{1,3}\.\d{1,3}\b", text)
        says = f"SMTP {code} {status[0]}" if status else f"SMTP {code}"
        if code in {421, 530, 535, 538}:
            self.close()
            return Unavailable(says, tried=code == 421)
        policy = bool(status and status[0][1:4] == ".7.")
        final = 500 <= code < 600 and (recipient or not policy)
        return Refused(says, doubtful=policy) if final else Deferred(says)


def is_address(address: str) -> bool:
    """May mail be sent there? Django takes some addresses whose domain, or local part, no mail server would, or that no
    message can be written to.
    """
    try:
        validate_email(address)
        return ascii_domain(address).isascii() and not UNSAFE.search(address)
    except (ValidationError, UnicodeError):
        return False


def ascii_domain(address: str) -> str:
    """An address with its domain as a mail server understands it."""
    local, _at, domain = address.rpartition("@")
    return address if domain.isascii() else f"{local}@{punycode(domain)}"


def ascii_host(url: str) -> str:
    """The host of an address as a header may hold it: ``сайт.қаз`` in its ``xn--`` form."""
    host = urlsplit(url).hostname or "localhost"
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        return "localhost"


def sender_fault() -> str:
    """What is wrong with the addresses notices come from, or ``""``; asked before anybody is blamed for it."""
    for key, written in (("FROM_EMAIL", conf.from_email()), ("REPLY_TO", conf.get().REPLY_TO)):
        if not written and key == "REPLY_TO":
            continue
        if not is_address(parseaddr(written)[1]):
            return f"{key} is {written!r}, which is no address."
    return ""


def mailer_fault() -> str:
    """What is wrong with the mail server that the settings name for notices, or ``""``. Both ways to name one may be
    written: Django 6.1 takes the one, older ones take the other.
    """
    alias, options = conf.get().MAILER, conf.get().MAIL_CONNECTION
    if not hasattr(mail, "mailers"):
        alone = alias != conf.Conf().MAILER and not options
        return f"MAILER is {alias!r}, which needs Django 6.1: write MAIL_CONNECTION." if alone else ""
    if alias not in getattr(settings, "MAILERS", {conf.Conf().MAILER}):
        return f"MAILER is {alias!r}, which is not in MAILERS."
    if options and alias == conf.Conf().MAILER:
        return "MAIL_CONNECTION is of no effect from Django 6.1 on: put its server into MAILERS, the alias into MAILER."
    return ""


def _speaks_smtp(connection: Any) -> bool:
    """Is it Django's own SMTP backend, and not one that makes something else of a message?"""
    kind = type(connection)
    return isinstance(connection, smtp.EmailBackend) and (
        kind.send_messages is smtp.EmailBackend.send_messages and kind._send is smtp.EmailBackend._send  # type: ignore[attr-defined]
    )


def _mailer() -> Any:
    mailers = getattr(mail, "mailers", None)  # Django 6.1 and later
    return mailers[conf.get().MAILER] if mailers is not None else mail.get_connection(**conf.get().MAIL_CONNECTION)
