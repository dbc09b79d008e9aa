"""The state of an edition, computed from its dates, and which other editions of the agreement belong to it: those whose
acceptance counts for it, those by which its acceptance binds a user, and those that a notice about it covers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Self

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from agreement.models.editions import Edition

#: The columns of :class:`EditionDates`, in its order.
EDITION_DATES_FIELDS = (
    *("pk", "number", "published_at", "effective_from", "cancelled_at", "digest", "material", "grace_days"),
)


class State(TextChoices):
    """The state of an edition at some instant."""

    DRAFT = "draft", _("draft")
    SCHEDULED = "scheduled", _("not yet in force")
    IN_FORCE = "in_force", _("in force")
    SUPERSEDED = "superseded", _("superseded")
    CANCELLED = "cancelled", _("cancelled before taking effect")


@dataclass(frozen=True, slots=True)
class EditionDates:
    """A sealed edition without its text: its key, number, dates and digest, whether it changed more than the wording
    (``material``), and for how many days after its effect an earlier acceptance still counts (``grace_days``).
    """

    pk: int
    number: int
    published_at: datetime
    effective_from: datetime
    cancelled_at: datetime | None
    digest: str
    material: bool
    grace_days: int = 0

    @classmethod
    def from_edition(cls, edition: Edition) -> Self:
        """The dates of an edition, which must be sealed; this is not checked. 0 queries."""
        return cls(*(getattr(edition, name) for name in EDITION_DATES_FIELDS))

    def is_cancelled(self, at: datetime) -> bool:
        """Was the edition cancelled at that instant or earlier?"""
        return self.cancelled_at is not None and self.cancelled_at <= at

    def state(self, at: datetime, successor_from: Callable[[], datetime | None]) -> State:
        """The state at that instant; ``DRAFT`` before the publication. ``successor_from`` returns the moment at which
        the next edition that was not cancelled takes effect, or ``None``. It is called only for an edition that has
        taken effect and is not cancelled.
        """
        if at < self.published_at:
            return State.DRAFT
        if self.is_cancelled(at):
            return State.CANCELLED
        if at < self.effective_from:
            return State.SCHEDULED
        successor = successor_from()
        return State.SUPERSEDED if successor and successor <= at else State.IN_FORCE


def counting_editions(edition: EditionDates, editions: Sequence[EditionDates]) -> tuple[EditionDates, ...]:
    """The editions whose acceptance counts for this edition, in the order of their numbers: the edition itself, and the
    earlier ones that differ from it only in wording.

    ``editions`` are all sealed editions of the agreement, in the order of their numbers; later ones are ignored.
    ``material`` says whether an edition changed more than the wording of the one before it. Editions that were already
    cancelled when the next edition in the result was published are passed over. An edition that was cancelled later is
    not, because the next edition contains its changes: if they are material, acceptances of the editions before it do
    not count.
    """
    found = [edition]
    for earlier in reversed([candidate for candidate in editions if candidate.number < edition.number]):
        if found[-1].material:
            break
        if not earlier.is_cancelled(found[-1].published_at):
            found.append(earlier)
    return tuple(reversed(found))


def grace_ends_at(edition: EditionDates, editions: Sequence[EditionDates]) -> datetime | None:
    """The moment until which a user who accepted an earlier edition may go on without accepting this one; ``None`` if
    there is no such time. ``editions`` are all sealed editions of the agreement, in the order of their numbers.

    It is computed from the first edition whose acceptance counts for this one and that was not cancelled, or from this
    one if there is none: its ``grace_days`` times 24 hours after its effect. A later edition that changes only the
    wording of that one gives no further time.
    """
    first = next(one for one in counting_editions(edition, editions) if one.cancelled_at is None or one is edition)
    return first.effective_from + timedelta(days=first.grace_days) if first.grace_days else None


def sufficient_editions(
    edition: EditionDates, editions: Sequence[EditionDates], at: datetime
) -> tuple[EditionDates, ...]:
    """The editions of which an acceptance is sufficient at that instant, in the order of their numbers. They are those
    of :func:`counting_editions`. Before :func:`grace_ends_at`, they are also those that this function returns at that
    instant for an earlier edition: of the editions that were not cancelled, the last one before the first of
    :func:`counting_editions`.

    ``edition`` must be in force at that instant, or must have been replaced by then. ``editions`` are all sealed
    editions of the agreement, in the order of their numbers.
    """
    counting = counting_editions(edition, editions)
    ends_at = grace_ends_at(edition, editions)
    if ends_at is None or at >= ends_at:
        return counting
    earlier = [one for one in editions if one.number < counting[0].number and one.cancelled_at is None]
    return (*sufficient_editions(earlier[-1], editions, at), *counting) if earlier else counting


def bound_editions(accepted: EditionDates, editions: Sequence[EditionDates], until: datetime) -> Iterable[EditionDates]:
    """Yield the editions by which an acceptance bound the user up to ``until``, in the order of their numbers: the
    accepted edition, and later ones that changed only its wording. The moment of the acceptance is not considered.

    ``editions`` are all sealed editions of the agreement, in the order of their numbers. Editions that take effect
    after ``until`` are left out, and so are cancelled editions, whenever they were cancelled.
    """
    for edition in editions:
        effective = edition.cancelled_at is None and edition.effective_from <= until
        if effective and edition.number >= accepted.number and accepted in counting_editions(edition, editions):
            yield edition


def covered_editions(
    edition: EditionDates, editions: Sequence[EditionDates], *, since: int
) -> tuple[EditionDates, ...]:
    """The editions that a notice about ``edition`` covers if it compares it with the edition number ``since`` (0: with
    none), in the order of their numbers: ``edition`` itself, and before it those with a higher number than ``since``
    that were not cancelled. If ``since`` is 0, these are all earlier editions that were not cancelled.

    ``editions`` are all sealed editions of the agreement, in the order of their numbers.
    """
    between = (other for other in editions if since < other.number < edition.number and other.cancelled_at is None)
    return (*between, edition)


def only_wording_changed(edition: EditionDates, editions: Sequence[EditionDates], *, since: int) -> bool:
    """Did only the wording change between the edition number ``since`` and ``edition``? It is true if
    :func:`counting_editions` of ``edition`` contains the edition number ``since`` and that was not cancelled. That
    function says when the changes of a cancelled edition between the two count. False if ``since`` is 0.
    """
    return any(other.number == since and not other.cancelled_at for other in counting_editions(edition, editions))
