"""The retention term of each person in each agreement. It begins when the agreement with the person ends
(:meth:`Person.ended_at`); :meth:`Person.years` says how long it is. After its end, the data of the person may be
erased, unless a legal hold prevents it (``agreement.retention.erasure``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from itertools import groupby

from django.db.models import Q, QuerySet
from django.utils import timezone

from agreement import conf
from agreement.models import Acceptance, Agreement, Delivery, Edition, Withdrawal, WithdrawalOutcome
from agreement.models.fields import UserKey
from agreement.models.membership import Membership
from agreement.models.succession import EditionDates


@dataclass(frozen=True, kw_only=True)
class Terms:
    """The sealed editions of one agreement, each of which states a retention term, and when the site was closed
    (``None`` if it was not closed by the instant for which :func:`agreement_terms` was called). ``agreement`` is a
    primary key.
    """

    agreement: int
    editions: dict[int, Edition]
    """By primary key, in the order of their numbers."""
    closed_at: datetime | None

    @cached_property
    def dated(self) -> list[EditionDates]:
        """The dates of the editions, in the order of their numbers."""
        return [EditionDates.from_edition(edition) for edition in self.editions.values()]


@dataclass(slots=True)
class Person:
    """The acceptances and the withdrawals of one person in one agreement, with the identifiers by which a legal hold
    can name that person. If ``possible_people`` is not empty, the rows may belong to several people. An erased
    acceptance is not among the rows; an erased withdrawal can be.
    """

    terms: Terms
    identifiers: set[str]
    """``user:`` and the primary key, while the account exists; the id of the key, a colon and the digest, for each
    pseudonym; ``withdrawal:`` and the primary key, for each withdrawal. :func:`years_after` leaves it empty."""
    acceptances: list[Acceptance] = field(default_factory=list)
    withdrawals: list[Withdrawal] = field(default_factory=list)
    possible_people: list[Person] = field(default_factory=list)
    """Not empty if the rows may belong to several people and it is unknown which row belongs to which of them."""

    @property
    def rows(self) -> list[Acceptance | Withdrawal]:
        """The acceptances and the withdrawals of this person."""
        return [*self.acceptances, *self.withdrawals]

    def term_ends_at(self) -> datetime | None:
        """Return when the term ends, in the past or in the future; ``None`` if no end of the agreement is known. If
        there are several possible people, return the latest known end of their terms; ``None`` if none is known.
        """
        if self.possible_people:
            return max((end for one in self.possible_people if (end := one.term_ends_at())), default=None)
        ended_at = self.ended_at()
        return years_later(ended_at, self.years()) if ended_at else None

    def years(self) -> int:
        """Return the longest term that the editions of :meth:`bound_by` state, in years; the setting
        ``RETENTION_YEARS`` if there is no such edition.
        """
        return max((edition.retention_years for edition in self.bound_by()), default=conf.retention_years())

    def bound_by(self) -> list[Edition]:
        """Return the editions whose terms apply to this person, in no particular order; one can occur twice.

        They are the editions that bound this person, those that they accepted after these had taken effect, and those
        that their withdrawals name (an erased withdrawal counts only if all withdrawals are erased). An acceptance
        binds at most until the closing of the site or the deletion of the account. If there are none, it is the edition
        of :meth:`_in_force_at_application`; if there is none either, they are the cancelled editions that they
        accepted. If there are several possible people, return the editions of all.
        """
        if self.possible_people:
            return [edition for one in self.possible_people for edition in one.bound_by()]
        # The edition of an erased withdrawal does not count, unless all are erased.
        not_erased = [row for row in self.withdrawals if row.erased_at is None] or self.withdrawals
        found = {row.edition_id for row in not_erased if row.edition_id}
        for row in self.acceptances:
            ends = filter(None, (self.terms.closed_at, row.account_deleted_at))
            until = min(ends, default=datetime.max.replace(tzinfo=UTC))
            found |= {edition.pk for edition in self.membership.binding(row, until=until).editions}
            accepted = self.terms.editions[row.edition_id]
            # The data was collected under this edition, even if it bound the user for no time.
            effective_from = None if accepted.cancelled_at else accepted.effective_from
            found |= {accepted.pk} if effective_from and effective_from <= min(row.at, until) else set()
        bound = [self.terms.editions[pk] for pk in found] or self._in_force_at_application()
        return bound or [self.terms.editions[row.edition_id] for row in self.acceptances]

    def edition_keys(self) -> set[int]:
        """Return the primary keys of the editions that this person accepted, including cancelled ones, and of those
        that :meth:`bound_by` returns. Erased acceptances are not considered.
        """
        return {edition.pk for edition in self.bound_by()} | {row.edition_id for row in self.acceptances}

    def _in_force_at_application(self) -> list[Edition]:
        """Return, in a list, the edition that was in force when the person's first application to withdraw was
        registered. If none was in force, or there is no application, it is the last edition that was not cancelled. The
        list is empty if there is none.
        """
        applied_at = min((row.registered_at for row in self.withdrawals), default=None)
        editions = [one for one in self.terms.editions.values() if not one.cancelled_at]
        earlier = [one for one in editions if applied_at and one.effective_from and one.effective_from <= applied_at]
        return (earlier or editions)[-1:]

    def ended_at(self) -> datetime | None:
        """Return when the agreement with this person ended or will end; ``None`` if no end is known.

        It is the first of these moments: the effect of a withdrawal that ended the agreement and that no acceptance
        followed (but not before the last acceptance), the deletion of the account, and the closing of the site. For a
        person who never had an account, a refused or suspending withdrawal ends it too: at ``Withdrawal.known_at()``.
        """
        last = self.membership.last_acceptance
        ends = [row.account_deleted_at for row in self.rows if row.account_deleted_at]
        ends += [
            max(row.effective_at, last.at) if last else row.effective_at
            for row in self.membership.withdrawals_in_effect
            if row.outcome == WithdrawalOutcome.ENDED and row.effective_at
        ]
        if not ends and all(row.user_id is None for row in self.rows):
            # An applicant without an account: after the reply the data is not needed.
            ends += [row.known_at() for row in self.withdrawals]
        return min([*ends, *([self.terms.closed_at] if self.terms.closed_at else [])], default=None)

    @property
    def membership(self) -> Membership[Acceptance]:
        """The rows of this person, for the rule that determines what bound them and until when."""
        return Membership(editions=self.terms.dated, acceptances=self.acceptances, withdrawals=self.withdrawals)


def expired(at: datetime, held_editions: Collection[int] = ()) -> Iterator[Person]:
    """Yield the people whose term ended by that instant (inclusive) and of whom personal data is stored: an acceptance
    or a withdrawal that is not erased or, if a withdrawal is erased, the address digest of a delivery to the user about
    the agreement. Legal holds on people are not considered. The people are yielded agreement by agreement, so a person
    with two agreements can be yielded twice.

    ``held_editions`` are the primary keys of editions under legal hold. The address digests of notices about them do
    not count as personal data here.
    """
    for agreement in Agreement.objects.order_by("pk"):
        notified = _notified(agreement.pk, held_editions)
        for person in _people(agreement_terms(agreement.pk, at)):
            withdrawals = person.withdrawals
            has_data = person.acceptances or any(
                one.erased_at is None or one.user_id in notified for one in withdrawals
            )
            end = person.term_ends_at()
            if has_data and end and end <= at:
                yield person


def _notified(agreement: int, held_editions: Collection[int]) -> set[UserKey]:
    """Return the primary keys of users of whom a withdrawal from the agreement is erased, but for whom a delivery about
    an edition of the agreement still has an address digest. Deliveries about ``held_editions`` are not considered. 1
    query.
    """
    erased = Withdrawal.objects.filter(agreement=agreement, erased_at__isnull=False, user__isnull=False)
    rows = Delivery.objects.filter(notice__edition__agreement=agreement, user__in=erased.order_by().values("user"))
    rows = rows.exclude(address_digest="").exclude(notice__edition__in=held_editions)
    return set(rows.values_list("user", flat=True).distinct())


def years_after(withdrawal: Withdrawal) -> int:
    """Return for how many years the user's data is stored after this withdrawal, which must have ended the agreement;
    this is not checked.

    It is the result of :meth:`Person.years` for the rows up to the moment at which the withdrawal is both registered
    and in effect. A later acceptance is not considered, although it stops the term. At most 3 queries.
    """
    end = withdrawal.known_at()
    terms = agreement_terms(withdrawal.agreement_id, end)
    by_user = Q(user=withdrawal.user_id) if withdrawal.user_id is not None else Q(pseudonym=withdrawal.pseudonym)
    person = Person(terms, set(), withdrawals=[withdrawal])
    terms_differ = len({edition.retention_years for edition in terms.editions.values()}) > 1
    if terms_differ and (withdrawal.user_id is not None or withdrawal.pseudonym):
        person.acceptances += Acceptance.objects.filter(by_user, edition__agreement=terms.agreement, at__lte=end)
        earlier = Withdrawal.objects.filter(by_user, agreement=terms.agreement, registered_at__lte=end)
        person.withdrawals += earlier.filter(effective_at__lte=end).exclude(pk=withdrawal.pk)
    return person.years()


def years_after_end(user_key: UserKey, agreement: int, at: datetime) -> int:
    """Return for how many years the data of that user would be stored if they ended the agreement with that primary key
    at that instant: the result of :func:`years_after` for such a withdrawal. Nothing is registered. At most 3 queries.
    """
    outcome = WithdrawalOutcome.ENDED
    return years_after(
        Withdrawal(agreement_id=agreement, user_id=user_key, outcome=outcome, effective_at=at, registered_at=at)
    )


def agreement_terms(agreement: int, at: datetime) -> Terms:
    """Return the sealed editions of the agreement with that primary key, and when the site was closed (``None`` if it
    was not closed by ``at``). All sealed editions are returned, also cancelled ones and those published after ``at``. 1
    query.
    """
    editions = Edition.objects.published().filter(agreement=agreement).without_texts("body", "summary")
    closed_at = conf.closed_at()
    return Terms(
        agreement=agreement,
        editions={edition.pk: edition for edition in editions},
        closed_at=closed_at if closed_at and closed_at <= at else None,
    )


def _people(terms: Terms) -> Iterator[Person]:
    """Yield the people with whom the agreement may have ended: those whose account is deleted, those with an account
    who applied to withdraw, and applicants without an account; if the site is closed, also all others with an account
    who have accepted. People of whom every row is erased are left out, except those with an account who applied.
    """
    acceptances = Acceptance.objects.filter(edition__agreement=terms.agreement, erased_at=None)
    # Erased withdrawals of existing accounts are included, because they determine which acceptances still count.
    withdrawals = Withdrawal.objects.filter(agreement=terms.agreement)
    withdrawals = withdrawals.filter(Q(erased_at=None) | Q(user__isnull=False))
    yield from _of_deleted_accounts(terms, acceptances, withdrawals)
    yield from _of_accounts(terms, acceptances, withdrawals.filter(user__isnull=False))
    for row in withdrawals.filter(user__isnull=True, account_deleted_at=None):  # Applicants without an account.
        yield _person(terms, [], [row])


def _of_accounts(
    terms: Terms, acceptances: QuerySet[Acceptance], withdrawals: QuerySet[Withdrawal]
) -> Iterator[Person]:
    """Yield the people with an account who have a row in ``withdrawals``, also a refused one; if the site is closed,
    also those who have only a row in ``acceptances``.
    """
    users = withdrawals.values_list("user", flat=True)
    accepted = acceptances.filter(user__isnull=False) if terms.closed_at else acceptances.filter(user__in=users)
    by_user: dict[UserKey, list[Withdrawal]] = defaultdict(list)
    for row in withdrawals:
        by_user[row.user_id].append(row)
    ordered = accepted.order_by("user", "at").iterator(chunk_size=2000)
    for user, rows in groupby(ordered, key=lambda row: row.user_id):
        yield _person(terms, list(rows), by_user.pop(user, []))
    for rest in by_user.values():
        yield _person(terms, [], rest)


def _of_deleted_accounts(
    terms: Terms, acceptances: QuerySet[Acceptance], withdrawals: QuerySet[Withdrawal]
) -> Iterator[Person]:
    """Yield the people whose accounts were deleted, in the order of the deletion. They are found by
    ``account_deleted_at``, which is the same in all rows of an account.
    """
    deleted = Q(account_deleted_at__isnull=False)
    moments = set(acceptances.filter(deleted).values_list("account_deleted_at", flat=True).distinct())
    moments |= set(withdrawals.filter(deleted).values_list("account_deleted_at", flat=True).distinct())
    for moment in sorted(moment for moment in moments if moment):
        same = Q(account_deleted_at=moment)
        yield from _deleted_together(terms, list(acceptances.filter(same)), list(withdrawals.filter(same)))


def _deleted_together(terms: Terms, acceptances: list[Acceptance], withdrawals: list[Withdrawal]) -> Iterator[Person]:
    """Yield the people whose accounts were deleted at the same moment. The pseudonyms tell which rows belong to one
    person. If they do not, because of different keys or a missing pseudonym, one :class:`Person` with all rows is
    yielded. Its term ends when the last of the possible terms ends, so that nothing is erased too early.
    """
    found: dict[tuple[str, object], tuple[list[Acceptance], list[Withdrawal]]] = defaultdict(lambda: ([], []))
    for acceptance in acceptances:
        found[acceptance.pseudonym_key, acceptance.pseudonym or acceptance.pk][0].append(acceptance)
    for withdrawal in withdrawals:
        found[withdrawal.pseudonym_key, withdrawal.pseudonym or -withdrawal.pk][1].append(withdrawal)
    people = [_person(terms, *rows) for rows in found.values()]
    without_pseudonym = any(not isinstance(name, str) for _key, name in found)
    if len(people) > 1 and (without_pseudonym or len({key for key, _name in found}) > 1):
        together = _person(terms, acceptances, withdrawals)
        together.possible_people = people
        people = [together]
    yield from people


def _person(terms: Terms, acceptances: list[Acceptance], withdrawals: list[Withdrawal]) -> Person:
    rows: list[Acceptance | Withdrawal] = [*acceptances, *withdrawals]
    identifiers = {f"user:{row.user_id}" for row in rows if row.user_id is not None}
    identifiers |= {f"{row.pseudonym_key}:{row.pseudonym}" for row in rows if row.pseudonym}
    identifiers |= {f"withdrawal:{row.pk}" for row in withdrawals}
    return Person(terms, identifiers, acceptances, withdrawals)


def years_later(at: datetime, years: int) -> datetime:
    """Return the moment with the same date and time of day that many years after ``at``, in the default time zone. For
    29 February it is 1 March, if the later year has no 29 February.
    """
    at = at.astimezone(timezone.get_default_timezone())
    try:
        return at.replace(year=at.year + years)
    except ValueError:
        return at.replace(year=at.year + years, month=3, day=1)
