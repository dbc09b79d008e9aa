"""Whether a user is bound by an agreement, since when, until when and by which edition.

The setting ``AUDIENCES`` names the users whom an agreement can bind; :func:`audience`, :func:`unbound` and
:func:`unbound_agreements` apply it. A user who leaves the audience of an agreement stays bound by what they accepted.

A withdrawal that *overtakes* an acceptance ends it. :func:`overtakes` is this rule for two rows in Python, and
:func:`overtaken` is the same rule in SQL. :class:`Membership` applies it to the rows of one user in one agreement. The
column ``round`` of an acceptance allows a user to accept an edition again after a withdrawal, and it tells which
acceptance is the last. :mod:`agreement.models.acceptances` computes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar, cast

from django.apps import apps
from django.db.models import Exists, Model, OuterRef, Q, QuerySet

from agreement import conf
from agreement.models import succession
from agreement.models.succession import EditionDates

if TYPE_CHECKING:
    from agreement.models.fields import UserKey
    from agreement.models.withdrawals import Withdrawal, WithdrawalQuerySet


class AcceptanceMoments(Protocol):
    """The columns of an acceptance that :func:`overtakes` and :class:`Membership` read."""

    @property
    def edition_id(self) -> int: ...
    @property
    def round(self) -> int: ...
    @property
    def at(self) -> datetime: ...
    @property
    def recorded_at(self) -> datetime: ...


#: An :class:`Acceptance`, or a row with the columns of :class:`AcceptanceMoments`. The variable has no bound, because
#: mypy would compare it before it knows the types of a model's fields.
Row = TypeVar("Row")


def _moments(row: object) -> AcceptanceMoments:
    return cast("AcceptanceMoments", row)


def audience(slug: str) -> QuerySet[Model]:
    """The audience of the agreement with that slug: those users of the site's ``AUDIENCE`` whom the agreement binds.
    They are notified of its editions, and the statistics count them. The queryset is not evaluated.
    """
    users, bound = conf.audience(), conf.bound_users(slug)
    # A look-up by key for each user, because ``IN`` could read the audience again for each part of a fan-out.
    return users if bound is None else users.filter(Exists(bound.order_by().filter(pk=OuterRef("pk"))))


def unbound(user_key: UserKey, *, slug: str = "slug") -> Q:
    """The condition, for a queryset, that the agreement does not bind that user: its audience does not contain them.
    ``slug`` is the path from the model of the queryset to the slug of the agreement. If the site has no ``AUDIENCES``,
    every agreement binds the user, and the result is an empty ``Q()``, which is false in ``if``. A caller does not
    apply it, because a filter with it matches every row.
    """
    condition = Q()
    for name in conf.get().AUDIENCES:
        if (bound := conf.bound_users(name)) is not None:
            condition |= Q(~Exists(bound.order_by().filter(pk=user_key)), **{slug: name})
    return condition


def unbound_agreements(user_key: UserKey) -> frozenset[str]:
    """The slugs of the agreements that do not bind that user, because their audience does not contain them. No query if
    the site has no ``AUDIENCES``, else 1.
    """
    if not (condition := unbound(user_key)):
        return frozenset()
    agreements = apps.get_model("agreement", "Agreement")._default_manager
    return frozenset(agreements.filter(condition).order_by().values_list("slug", flat=True))


def overtakes(withdrawal: Withdrawal, acceptance: AcceptanceMoments) -> bool:
    """Did the withdrawal take effect after the acceptance, or was it registered after the acceptance was recorded?

    Both rows must be of the same user and agreement; this is not checked. A moment that
    is equal is not after. A refused withdrawal overtakes nothing.
    """
    return withdrawal.effective_at is not None and (
        withdrawal.effective_at > acceptance.at or withdrawal.registered_at > acceptance.recorded_at
    )


def overtaken(withdrawals: WithdrawalQuerySet) -> Exists:
    """The condition, for a queryset of acceptances, that one of these withdrawals of the same user overtook the row.

    ``withdrawals`` must be those in effect in the agreement of the row. The condition itself compares only the user and
    the moments. It is false for a row without a user, such as one of a deleted account.
    """
    after = Q(effective_at__gt=OuterRef("at")) | Q(registered_at__gt=OuterRef("recorded_at"))
    return Exists(withdrawals.filter(after, user=OuterRef("user")).order_by())


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding(Generic[Row]):
    """The effect of one acceptance up to some instant: the editions that bound its user, and its end."""

    acceptance: Row
    editions: tuple[EditionDates, ...]
    """The editions that bound the user, in the order of their effect. Empty if none did: the edition was cancelled or
    took effect too late, or the acceptance ended at the moment at which it was made."""
    ended_at: datetime | None
    """When a withdrawal ended the acceptance, never before the acceptance itself. ``None`` while it lasts."""
    withdrawal: Withdrawal | None
    """The withdrawal that ended the acceptance; ``None`` while it lasts."""

    @property
    def since(self) -> datetime | None:
        """The first moment at which the user was bound: the acceptance, or the effect of the first edition if that is
        later. ``None`` if ``editions`` is empty. It is before ``ended_at``, if that is not ``None``.
        """
        return max(_moments(self.acceptance).at, self.editions[0].effective_from) if self.editions else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership(Generic[Row]):
    """The acceptances and withdrawals of one user in one agreement, to which the rule of :func:`overtakes` is applied.
    No property or method makes a query.
    """

    acceptances: Sequence[Row]
    withdrawals: Sequence[Withdrawal]
    """Withdrawals of the user from the agreement. Refused ones change nothing. One that takes effect later than the
    instant in question counts like the others, so a caller leaves it out if it must not count."""
    editions: Sequence[EditionDates] = ()
    """All sealed editions of the agreement in the order of their numbers. Only the methods for bindings need them."""

    @property
    def last_acceptance(self) -> Row | None:
        """The latest acceptance: of those with the highest ``round``, the latest by ``at``, then by ``recorded_at``;
        ``None`` if there is none.
        """

        def order(row: Row) -> tuple[int, datetime, datetime]:
            moments = _moments(row)
            return moments.round, moments.at, moments.recorded_at

        return max(self.acceptances, key=order, default=None)

    @property
    def withdrawals_in_effect(self) -> list[Withdrawal]:
        """The withdrawals that overtook the last acceptance: they took effect after it, or were registered after it was
        recorded. If there is no acceptance, all withdrawals. Refused ones are left out.

        One that takes effect in the future is included if ``withdrawals`` contains it; the user is then bound until its
        effect. If every row in ``withdrawals`` has taken effect and the result is not empty, the user is not bound. If
        the result is empty, the user is not necessarily bound: they may have accepted nothing.
        """
        last = self.last_acceptance
        return [
            row for row in self.withdrawals if row.effective_at and (last is None or overtakes(row, _moments(last)))
        ]

    def withdrawal_of(self, acceptance: Row) -> Withdrawal | None:
        """The withdrawal that ended the acceptance: of those that overtook it, the first to be both registered and
        effective. ``None`` if the acceptance lasts.
        """
        later = [row for row in self.withdrawals if overtakes(row, _moments(acceptance))]
        return min(later, key=lambda row: row.known_at(), default=None)

    def binding(self, acceptance: Row, *, until: datetime) -> Binding[Row]:
        """The effect of that acceptance up to its end, or up to ``until`` if it has not ended by then. An edition that
        takes effect at ``until`` is included, but none that takes effect when the acceptance ends or later.
        ``editions`` of this object must contain the accepted edition.
        """
        withdrawal, moments = self.withdrawal_of(acceptance), _moments(acceptance)
        ended_at = max(moments.at, withdrawal.effective_at) if withdrawal and withdrawal.effective_at else None
        accepted = next(edition for edition in self.editions if edition.pk == moments.edition_id)
        editions = tuple(
            edition
            for edition in succession.bound_editions(accepted, self.editions, until)
            if ended_at is None or max(moments.at, edition.effective_from) < ended_at
        )
        return Binding(acceptance=acceptance, editions=editions, ended_at=ended_at, withdrawal=withdrawal)

    def bindings(self, *, until: datetime) -> list[Binding[Row]]:
        """The effect of each acceptance in ``acceptances`` up to that instant, as :meth:`binding` returns it, in their
        order. An acceptance that a withdrawal ended has one too.
        """
        return [self.binding(acceptance, until=until) for acceptance in self.acceptances]

    def bound_by(self, at: datetime) -> tuple[EditionDates, Binding[Row]] | None:
        """The edition that binds the user at that instant, and the binding with its beginning and end; ``None`` if the
        user is not bound.

        It need not be the edition in force: a later edition that changes more than the wording does not bind a user who
        did not accept it, and the earlier acceptance lasts. At the end of a binding the user is not bound any more. If
        several acceptances bind the user, it is the edition with the highest number.
        """
        bindings = self.bindings(until=at)
        current = [one for one in bindings if one.since and one.since <= at and (not one.ended_at or at < one.ended_at)]
        return max(((one.editions[-1], one) for one in current), key=lambda pair: pair[0].number, default=None)
