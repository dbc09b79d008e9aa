"""The base class of all channels, and the three failures that a channel raises."""

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
from agreement.notices.letters import NoticeContent


class Refused(Exception):
    """The channel can't reach this recipient. Another attempt would not help.

    ``reason`` is stored in the ledger, so it must not contain the address.

    ``doubtful=True`` means that the refusal may concern every recipient. It becomes final only when the channel accepts
    a later message. Until then the delivery is tried again.
    """

    def __init__(self, reason: str, *, doubtful: bool = False) -> None:
        super().__init__(reason)
        self.doubtful = doubtful


class Deferred(Exception):
    """The channel did not accept the message. A later attempt may succeed.

    ``reason`` is stored in the ledger, so it must not contain the address.

    ``personal=True`` means that the cause concerns this recipient only. Such failures do not mark the channel as
    unavailable, even if many occur in a row.
    """

    def __init__(self, reason: str = "", *, personal: bool = False) -> None:
        super().__init__(reason)
        self.personal = personal


class Unavailable(Exception):
    """The channel can reach no recipient now. Without ``tried`` no attempt is counted.

    ``tried=True`` means that a message was being sent when the channel failed. Its delivery is postponed and one
    attempt is counted. Otherwise a recipient for whom the server always closes the connection would be tried first
    every time.
    """

    def __init__(self, reason: str, *, tried: bool = False) -> None:
        super().__init__(reason)
        self.tried = tried


class Channel(ABC):
    """One way to reach users. It is used as a context manager around a batch of deliveries.

    A channel reports what is wrong with its settings (:meth:`faults`) and which addresses it can't reach
    (:meth:`unreachable`). When it can't send a message, it raises one of three failures: :class:`Refused` (final, for
    this recipient), :class:`Deferred` (temporary) or :class:`Unavailable` (for every recipient). The app claims the
    deliveries, applies the rate limits, tries again and records the outcomes. ``tests/notices/test_channels.py``
    contains a channel for text messages.
    """

    name: ClassVar[str]
    """The name of the channel in the ledger and in the setting ``RATE_LIMITS``. Never change it."""
    bilingual: ClassVar[bool] = True
    """Whether one message can contain both languages. If not, users whose language is unknown are
    notified in Kazakh.
    """

    def faults(self) -> list[str]:
        """Return the faults in the settings of the channel, one sentence each. System check ``agreement.E009`` reports
        them.
        """
        return []

    @abstractmethod
    def address(self) -> Combinable:
        """Return an expression on the user model. Its value for a user is the address that ``send()`` is given."""

    def reachable(self, users: QuerySet[Model]) -> QuerySet[Model]:
        """Return those of the users who have an address, as far as a query can tell. The forecast of a notice counts
        them.
        """
        address = Cast(self.address(), TextField())
        reachable: QuerySet[Model] = users.annotate(agreement_address=address).filter(agreement_address__gt="")
        return reachable

    @abstractmethod
    def compose(self, notice: Notice, language: str, *, since: int) -> NoticeContent:
        """Return the content of the notice in ``kk``, ``ru`` or ``mul`` (both).

        ``since`` is the number of the edition with which the changes are compared: the last one that the reader knows;
        0 if there is none. The app seals the first result for each notice, channel, language and ``since``, and sends
        only that result.
        """

    def unreachable(self, address: str) -> str:
        """Return the reason for which nothing can be sent to this address; ``""`` if something can. The reason is
        stored in the ledger.
        """
        return ""

    @abstractmethod
    def send(self, delivery: Delivery, address: str, text: NoticeText) -> None:
        """Send one message. Raises :class:`Refused`, :class:`Deferred` or :class:`Unavailable`."""

    def begin(self, address: str) -> None:  # noqa: B027 - most channels have nothing to begin
        """Prepare the next message, which goes to this address, before the outcome of the last one is recorded.

        Nothing may be handed over yet. An exception of this method is ignored; ``send()`` must report the error.
        """

    def close(self) -> None:  # noqa: B027 - most channels have nothing to close
        """Close the connection of the channel."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def site_channels() -> list[Channel]:
    """Return new instances of the site's channels (setting ``CHANNELS``). Each opens its own connections."""
    return [import_string(path)() for path in conf.get().CHANNELS]
