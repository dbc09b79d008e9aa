"""Which edition binds whom: the dates of editions, and for which of them a joining holds (design §3.12)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

#: The columns of a ``Dated``, in its order.
DATED = ("pk", "number", "published_at", "effective_from", "cancelled_at", "digest", "material")


@dataclass(frozen=True, slots=True)
class Dated:
    """A sealed edition without its text: what it takes to say its state at an instant."""

    pk: int
    number: int
    published_at: datetime
    effective_from: datetime
    cancelled_at: datetime | None
    digest: str
    material: bool

    @classmethod
    def of(cls, edition: Any) -> Self:
        return cls(*(getattr(edition, name) for name in DATED))

    def cancelled(self, at: datetime) -> bool:
        return self.cancelled_at is not None and self.cancelled_at <= at


def holding(edition: Dated, editions: Sequence[Dated]) -> tuple[Dated, ...]:
    """The editions whose joining holds for this one: itself, and those it differs from in wording alone.

    ``editions`` are the agreement's, in the order of their numbers. Each is measured by the edition that was the last
    when it was published. Where that one was taken back afterwards, what it changed lives on in its correction, and
    nobody who joined before has joined that.
    """
    found = [edition]
    for earlier in reversed([each for each in editions if each.number < edition.number]):
        if found[-1].material:
            break
        if not earlier.cancelled(found[-1].published_at):
            found.append(earlier)
    return tuple(reversed(found))


def bound_by(joined: Dated, editions: Sequence[Dated], until: datetime) -> Iterable[Dated]:
    """The editions by which a joining bound until then, each from its effect on: the one joined, and those that
    changed it in wording alone; none that was taken back.
    """
    for edition in editions:
        effective = edition.cancelled_at is None and edition.effective_from <= until
        if effective and edition.number >= joined.number and joined in holding(edition, editions):
            yield edition
