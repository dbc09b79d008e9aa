"""The base class of all channels, the three failures that a channel raises, and the list of the site's channels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import ClassVar, Self

from django.db.models import Model, QuerySet, TextField
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast
from django.utils.module_loading import import_string

from agreement import conf
from agreement.models import Delivery, Notice, NoticeText
from agreement.models.deliveries import impersonal
from agreement.notices.letters import NoticeContent


class Refused(Exception):
    """The channel can't reach this recipient, and another attempt would not help. The delivery fails, unless the
    refusal is ``doubtful``.

    ``reason`` is stored in the ledger and may be logged. Mail addresses and telephone numbers in it are replaced by
    ``…``; it must not name the recipient in another way.

    ``doubtful=True`` means that the refusal may concern every recipient. The delivery fails if the channel accepts a
    later message of the same batch. Otherwise it is handled like :class:`Deferred`.
    """

    def __init__(self, reason: str, *, doubtful: bool = False) -> None:
        super().__init__(impersonal(reason))
        self.doubtful = doubtful


class Deferred(Exception):
    """The channel did not accept the message. A later attempt may succeed. The delivery is tried again later, and fails
    after ``MAX_ATTEMPTS`` attempts.

    ``reason`` is stored in the ledger and logged. Mail addresses and telephone numbers in it are replaced by ``…``; it
    must not name the recipient in another way.

    Several failures in a row (``DEFERRALS_IN_A_ROW`` in ``agreement.notices.batch``) mark the channel as unavailable.
    ``personal=True`` means that the cause concerns this recipient only. Such failures are not counted for that.

    ``perhaps_sent=True`` means that it is not known whether the message was accepted. If the edition is then cancelled,
    the recipient gets the notice of the cancellation.
    """

    def __init__(self, reason: str = "", *, personal: bool = False, perhaps_sent: bool = False) -> None:
        super().__init__(impersonal(reason))
        self.personal, self.perhaps_sent = personal, perhaps_sent


class Unavailable(Exception):
    """The channel can reach no recipient now. The batch ends, and the channel is not used for a while. ``reason`` is
    logged, so it must not name a recipient; it may name the sender, if that is at fault. It is stored without mail
    addresses and telephone numbers.

    ``tried=True`` means that a message was being sent when the channel failed. One attempt is then counted for its
    delivery. Without this, a recipient for whom the server always closes the connection would be tried first every
    time. For deliveries of the batch that come after it no attempt is counted.
    """

    def __init__(self, reason: str, *, tried: bool = False) -> None:
        super().__init__(reason or "the channel gave no reason")
        self.tried = tried


class Channel(ABC):
    """One way to reach users. It is used as a context manager around each batch of deliveries; at the end of each
    batch, :meth:`close` is called.

    A channel composes and sends messages. When it can't send one, it raises :class:`Refused`, :class:`Deferred` or
    :class:`Unavailable`. The app claims the deliveries, applies the rate limits, tries again and records the outcomes.
    ``tests/notices/test_channels.py`` contains a channel for text messages.
    """

    name: ClassVar[str]
    """The name of the channel in the ledger and in the setting ``RATE_LIMITS``. Never change it."""
    bilingual: ClassVar[bool] = True
    """Whether one message can contain both languages. If not, users whose language is unknown or another one are
    notified in Kazakh.
    """

    def faults(self) -> list[str]:
        """Return the faults in the settings of the channel, one sentence each; ``[]`` if there are none, as in the base
        class. System check ``agreement.E009`` reports them.
        """
        return []

    @abstractmethod
    def address(self) -> Combinable:
        """Return an expression on the user model. Its value for a user, as text, is the address that ``send()`` is
        given; ``""`` for a null value.
        """

    def reachable(self, users: QuerySet[Model]) -> QuerySet[Model]:
        """Return those of the users who have an address, as far as a query can tell: in the base class, one that is not
        empty. The forecast of a notice counts these users. On request, deliveries that were skipped because there was
        no address are sent again to them. The address, as text, is annotated as ``agreement_address``.
        """
        address = Cast(self.address(), TextField())
        reachable: QuerySet[Model] = users.annotate(agreement_address=address).filter(agreement_address__gt="")
        return reachable

    @abstractmethod
    def compose(self, notice: Notice, language: str, *, since: int) -> NoticeContent:
        """Return the content of the notice in ``kk``, ``ru`` or ``mul`` (both; only if the channel is
        :attr:`bilingual`).

        ``since`` is the number of the edition with which the changes are compared: the last one that the reader knows;
        0 if there is none, and for the notice of a cancellation or of a breach. The app seals the first result for each
        notice, channel, language and ``since``, and sends only that result. After a cancellation of an edition of the
        agreement, it asks again. An exception of this method is a fault of the notice, which a person must correct. The
        batch is then not sent, and later calls of ``dispatch.deliver()`` try again.
        """

    def unreachable(self, address: str) -> str:
        """Return the reason for which nothing can be sent to this address; ``""`` if something can. If there is a
        reason, the delivery is skipped, and the reason is stored in the ledger. ``address`` is ``""`` for a user
        without an address. The base class returns ``""`` for every address, even for ``""``; the delivery is then
        passed to :meth:`send`.
        """
        return ""

    @abstractmethod
    def send(self, delivery: Delivery, address: str, text: NoticeText) -> None:
        """Send the sealed ``text`` of a notice to ``address``, the value of :meth:`address` for the user. ``delivery``
        is the row of the ledger for this message. If the method returns, the delivery is recorded as sent. Raises
        :class:`Refused`, :class:`Deferred` or :class:`Unavailable`. Any other exception counts as :class:`Deferred`
        with ``perhaps_sent=True``.
        """

    def begin(self, address: str) -> None:  # noqa: B027 - most channels have nothing to begin
        """Prepare the next message, which goes to this address, before the outcome of the last one is recorded. The
        base class does nothing.

        Nothing may be handed over yet, and the message may not follow after all. An exception of this method is
        ignored; ``send()`` must report the error.
        """

    def close(self) -> None:  # noqa: B027 - most channels have nothing to close
        """Close the connection of the channel, if it is open. The base class does nothing. ``send()`` may be called
        again later, and must then open a new connection.
        """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def site_channels() -> list[Channel]:
    """Return new instances of the site's channels, in the order of the setting ``CHANNELS``. Instances share no
    connection.
    """
    return [import_string(path)() for path in conf.get().CHANNELS]
