"""What a channel is: the class that a host extends, and the three failures that a channel raises."""

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
    """The channel can't reach this recipient. Trying again does not help.

    ``doubtful=True``: the refusal may concern every recipient. The delivery is tried again until the channel takes
    another message; then the refusal is final.
    """

    def __init__(self, reason: str, *, doubtful: bool = False) -> None:
        super().__init__(reason)
        self.doubtful = doubtful


class Deferred(Exception):
    """The channel did not take the message now. Trying again later may help.

    ``personal=True``: the cause lies with this recipient alone. Many such failures in a row do not mark the channel as
    unavailable.
    """

    def __init__(self, reason: str = "", *, personal: bool = False) -> None:
        super().__init__(reason)
        self.personal = personal


class Unavailable(Exception):
    """The channel can reach no recipient now. No delivery is to blame.

    ``tried=True``: a message was being sent. It goes to the end of the queue and has one attempt more, so that a server
    that closes the connection for one recipient alone does not delay the others.
    """

    def __init__(self, reason: str, *, tried: bool = False) -> None:
        super().__init__(reason)
        self.tried = tried


class Channel(ABC):
    """One way to reach users. It is used as a context manager around a batch of deliveries.

    A channel states what is wrong with its settings (``faults``), which addresses it can't reach (``unreachable``), and
    of which kind a failure is: final and the recipient's (:class:`Refused`), temporary (:class:`Deferred`), or
    everybody's (:class:`Unavailable`). The app does the rest: claims, rate limits, retries, recorded outcomes. The
    setting ``RATE_LIMITS`` names a channel by its ``name``. ``tests/notices/test_channels.py`` contains a
    channel for text messages.
    """

    name: ClassVar[str]
    """The name in the ledger. Never change it."""
    bilingual: ClassVar[bool] = True
    """Can one message contain both languages? If not, a user whose language is unknown is notified in Kazakh."""

    def faults(self) -> list[str]:
        """What is wrong with the channel's settings, one sentence each: system check ``agreement.E009``."""
        return []

    @abstractmethod
    def address(self) -> Combinable:
        """An expression on the user model that gives the address for ``send()``."""

    def reachable(self, users: QuerySet[Model]) -> QuerySet[Model]:
        """Those of the users who have an address, as far as a query can tell: for the forecast of a notice."""
        address = Cast(self.address(), TextField())
        reachable: QuerySet[Model] = users.annotate(agreement_address=address).filter(agreement_address__gt="")
        return reachable

    @abstractmethod
    def compose(self, notice: Notice, language: str, *, since: int) -> NoticeContent:
        """The notice in ``kk``, ``ru`` or ``mul`` (both), for users who were last notified of the edition with the
        number ``since`` (0: of none). The result is stored and sealed; the method is called once for each of them.
        """

    def unreachable(self, address: str) -> str:
        """Why nothing is sent to this address, or ``""``."""
        return ""

    @abstractmethod
    def send(self, delivery: Delivery, address: str, text: NoticeText) -> None:
        """Hand over one message. Raises :class:`Refused`, :class:`Deferred` or :class:`Unavailable`."""

    def begin(self, address: str) -> None:  # noqa: B027 - most channels have nothing to begin
        """Prepare the next message, which goes to this address, while the outcome of the last one is recorded.

        Nothing is handed over yet. The method never raises; ``send()`` reports what is wrong.
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
    """New instances of the channels of the site (setting ``CHANNELS``). Each opens its own connections."""
    return [import_string(path)() for path in conf.get().CHANNELS]
