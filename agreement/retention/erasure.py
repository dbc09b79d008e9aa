"""Erases personal data whose retention term is over. Rows are never deleted; only their personal columns are cleared.

The erasure clears these columns:

- of an acceptance: the IP address, the browser, the officer's reason, the pseudonym and the link to the account;
- of a withdrawal: the name, the number and the scan of the application (its file is deleted), the ground, and the
  pseudonym. The link to an account that exists remains;
- of a consent: the pseudonym and the link to the account;
- of an audit entry about the person: the note, the pseudonym and the link to the account;
- of a legal hold on the person that has ended: the ground, the pseudonyms and the link to the account;
- of a delivery: the digest of the address to which the notice was sent, and for a deleted account the pseudonym. The
  link to an account that exists remains.

It preserves the facts that an edition was accepted, when and how, and that a user withdrew. It also preserves the
editions and the texts of notices. Therefore no count changes.
"""

from __future__ import annotations

import logging
import re
from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, reduce
from itertools import islice
from operator import or_
from pathlib import Path
from typing import Any

from django.db import router, transaction
from django.db.models import Exists, Max, OuterRef, Q, QuerySet
from django.utils import timezone

from agreement import conf
from agreement.models import Acceptance, AuditEntry, Consent, Delivery, Edition, LegalHold, Withdrawal
from agreement.models.clock import database_now
from agreement.models.fields import UserKey
from agreement.models.legal_holds import LegalHoldQuerySet
from agreement.retention.terms import Person, expired, years_later

logger = logging.getLogger("agreement")

#: The rows of this many people are erased in one transaction.
BATCH = 500
NO_PSEUDONYM = {"pseudonym": "", "pseudonym_key": ""}


@dataclass(slots=True, kw_only=True)
class ErasureCounts:
    """How many people and rows were erased; in a dry run, how many would be. A person is counted once for each
    agreement. If it is unknown which rows belong to which of several people, these count as one. Audit entries and
    legal holds are not counted.
    """

    people: int = 0
    acceptances: int = 0
    withdrawals: int = 0
    consents: int = 0
    deliveries: int = 0
    under_legal_hold: int = 0
    """People whose term is over, but whose data is under a legal hold."""
    scan_not_deleted: int = 0
    """People whose rows were not erased, because a scan of their application could not be deleted. 0 in a dry run,
    which deletes no scan."""


@dataclass(slots=True)
class CountedRows:
    """The rows that a dry run has counted. A real run would have erased them, so later steps of the dry run must not
    count them again, and must treat them as erased. Empty in a real run.
    """

    by_deletion: Counter[datetime | None] = field(default_factory=Counter)
    """The number of counted acceptances and withdrawals by the moment when their account was deleted; ``None`` for
    those without a deleted account."""
    acceptances: set[int] = field(default_factory=set)
    """The primary keys of the counted acceptances."""
    consents: set[int] = field(default_factory=set)
    """The primary keys of the counted consents."""


@dataclass(frozen=True, slots=True)
class LegalHoldScope:
    """The people and editions under legal holds."""

    identifiers: set[str]
    """The identifiers of people: ``user:`` and the primary key of an account; the id of the key, a colon and the digest
    of a pseudonym; or ``withdrawal:`` and the primary key of the withdrawal of a person without an account."""
    pseudonyms: set[str]
    """The digests of the pseudonyms of people."""
    users: set[UserKey]
    """The primary keys of accounts."""
    editions: set[int]
    """The primary keys of editions."""

    @classmethod
    def at(cls, at: datetime) -> LegalHoldScope:
        """Return the holds in effect at that instant, and those in effect now if that is later. The latter count too,
        because they preserve rows that exist now. 1 query.

        Each batch reads the holds again, because a hold can be placed during a long erasure.
        """
        holds = list(LegalHold.objects.in_effect(at) | LegalHold.objects.in_effect(max(at, timezone.now())))
        users = {hold.user_id for hold in holds if hold.user_id}
        identifiers = {f"user:{user}" for user in users} | {name for hold in holds for name in hold.pseudonyms}
        digests = {digest for hold in holds for digest in _digests(hold)}
        return cls(identifiers, digests, users, {hold.edition_id for hold in holds if hold.edition_id})

    def covers(self, person: Person) -> bool:
        """Return whether a hold names this person, or one of the editions of ``Person.edition_keys()``: an edition that
        they accepted, that bound them, or that states their term.
        """
        editions = self.editions and self.editions & person.edition_keys()
        return bool(person.identifiers & self.identifiers or editions)


def erase(*, at: datetime | None = None, dry_run: bool = False) -> ErasureCounts:
    """Erase the personal data whose retention term is over at that instant (now), except what is under a legal hold.
    Return how many people and rows were erased. With ``dry_run=True`` nothing is erased, and no scan is deleted; the
    counts are those of an erasure that can delete every scan.

    The rows of each batch of at most ``BATCH`` people are erased in one transaction. After that, the remaining consents
    and deliveries whose term is over are erased, each statement by itself. If the process is killed, the next call
    erases the rest.
    """
    return Erasure(at or timezone.now(), dry_run=dry_run).run()


class Erasure:
    """One run of :func:`erase`."""

    def __init__(self, at: datetime, *, dry_run: bool) -> None:
        self.at, self.dry_run = at, dry_run
        self.counts, self.counted = ErasureCounts(), CountedRows()

    def run(self) -> ErasureCounts:
        """Erase everything whose term is over and that is not under a legal hold, and return the counts. A dry run only
        counts. Call it once.
        """
        people = expired(self.at, LegalHoldScope.at(self.at).editions)
        while batch := list(islice(people, BATCH)):
            self.erase_people(batch)
        holds = LegalHoldScope.at(self.at)
        consents = Consent.objects.exclude(pseudonym__in=holds.pseudonyms)
        entries = AuditEntry.objects.exclude(pseudonym__in=holds.pseudonyms)
        deliveries = Delivery.objects.exclude(notice__edition__in=holds.editions)
        deliveries = deliveries.exclude(pseudonym__in=holds.pseudonyms)
        self._erase_rows_of_deleted_accounts(consents, entries)
        self._erase_deliveries_of_deleted_accounts(deliveries)
        self._erase_after_closing(deliveries, consents, entries, holds.users)
        self._erase_legal_holds_of_deleted_accounts()
        return self.counts

    def erase_people(self, people: list[Person]) -> None:
        """Erase the data of these people and add to the counts: their acceptances and withdrawals, the address digests
        of notices about the same agreements to existing accounts, and the consents, audit entries and ended legal holds
        of those of whom no agreement stores an acceptance any more. The term of the people is not checked.

        The scans are deleted first, and then the rows are erased in one transaction. People under a legal hold are left
        out, and so are people of whom a scan can't be deleted, and notices about editions under a legal hold. A dry run
        only counts, and deletes no scan.
        """
        holds = LegalHoldScope.at(self.at)
        due, people = people, [person for person in people if not holds.covers(person)]
        self.counts.under_legal_hold += len(due) - len(people)
        if not self.dry_run:
            # Files are deleted first. If the process is killed now, the next run erases the rows. In the other order it
            # would never delete the files, because it does not read rows that are marked as erased.
            due, people = people, [person for person in people if _delete_scans(person)]
            self.counts.scan_not_deleted += len(due) - len(people)
        acceptances = [row.pk for person in people for row in person.acceptances]
        withdrawals = [row.pk for person in people for row in person.withdrawals if row.erased_at is None]
        deliveries = _deliveries_of(people).exclude(notice__edition__in=holds.editions)
        self.counts.people += len(people)
        self.counts.acceptances += len(acceptances)
        self.counts.withdrawals += len(withdrawals)
        self.counted.acceptances.update(acceptances if self.dry_run else ())
        done = FullyErased.of(people, {*self.counted.acceptances, *acceptances})
        consents = Consent.objects.filter(done.consents(of_all=self._is_over_after_closing()), erased_at=None)
        if self.dry_run:
            rows = [row for person in people for row in person.rows if row.erased_at is None]
            self.counted.by_deletion.update(row.account_deleted_at for row in rows)
            self._clear_addresses(deliveries)
            self._clear_consents(consents)
        elif people:
            alias = router.db_for_write(Acceptance)
            # The moment of the erasure itself, which the database compares with its clock.
            erased: dict[str, Any] = {**NO_PSEUDONYM, "erased_at": database_now(alias)}
            with transaction.atomic(using=alias):
                accepted = Acceptance.objects.using(alias).filter(pk__in=acceptances)
                accepted.update(ip=None, user_agent="", reason="", user=None, **erased)
                self._clear_addresses(deliveries.using(alias))
                self._clear_consents(consents.using(alias))
                self._clear_entries(AuditEntry.objects.using(alias).filter(done.rows()))
                self._clear_legal_holds(LegalHold.objects.using(alias).filter(user__in=done.users))
                # The withdrawal stays linked to an account that exists. Otherwise the gate would treat the user as one
                # who never withdrew.
                withdrawn = Withdrawal.objects.using(alias).filter(pk__in=withdrawals)
                withdrawn.update(applicant="", application_number="", ground="", scan="", **erased)

    def _erase_rows_of_deleted_accounts(self, consents: QuerySet[Consent], entries: QuerySet[AuditEntry]) -> None:
        """Erase those of these consents and audit entries whose term is over and that belong to deleted accounts of
        which every acceptance and withdrawal is erased. Accounts that were deleted at the same moment are treated as
        one. The term is the longest that any sealed edition of any agreement states, or the setting ``RETENTION_YEARS``
        if no edition is sealed. It begins with the deletion of the account. A dry run only counts the consents.
        """
        years = self.longest_term
        expired_rows = Q(account_deleted_at__lte=self.at, erased_at=None)
        consents, entries = consents.filter(expired_rows), entries.filter(expired_rows)
        moments = set(consents.order_by().values_list("account_deleted_at", flat=True).distinct())
        moments |= set(entries.order_by().values_list("account_deleted_at", flat=True).distinct())
        for moment in moments:
            if moment and years_later(moment, years) <= self.at and not self._is_more_stored(moment):
                self._clear_consents(consents.filter(account_deleted_at=moment))
                self._clear_entries(entries.filter(account_deleted_at=moment))

    def _erase_deliveries_of_deleted_accounts(self, deliveries: QuerySet[Delivery]) -> None:
        """Erase the address digest and the pseudonym of those of these deliveries whose term is over and that belong to
        deleted accounts of which every acceptance and withdrawal is erased. Accounts that were deleted at the same
        moment are treated as one. The term is the one that the edition of the notice states. It begins with the
        deletion of the account. A dry run only counts.
        """
        rows = deliveries.filter(account_deleted_at__lte=self.at).exclude(address_digest="", pseudonym="")
        pairs = rows.order_by().values_list("account_deleted_at", "notice__edition").distinct()
        years = dict(Edition.objects.published().values_list("pk", "retention_years"))
        for moment, edition in list(pairs):
            if moment and years_later(moment, years[edition]) <= self.at and not self._is_more_stored(moment):
                found = rows.filter(account_deleted_at=moment, notice__edition=edition)
                erased = {"address_digest": "", **NO_PSEUDONYM}
                self.counts.deliveries += found.count() if self.dry_run else found.update(**erased)

    def _erase_after_closing(
        self,
        deliveries: QuerySet[Delivery],
        consents: QuerySet[Consent],
        entries: QuerySet[AuditEntry],
        held_users: Collection[UserKey],
    ) -> None:
        """After the site was closed, erase the address digests of those of these deliveries, and those of these
        consents and audit entries, that belong to existing accounts and whose term is over. If the site was not closed
        by ``self.at``, nothing is done.

        The term begins when the site was closed. For a delivery it is the one that the edition of its notice states.
        For the others it is the longest that any sealed edition states, or ``RETENTION_YEARS`` if there is none. Only
        accounts without an acceptance or a withdrawal that is not erased are handled (for a delivery: in its
        agreement), because ``erase_people()`` handles the others. ``held_users`` are the primary keys of accounts under
        a legal hold, which are left out. A dry run only counts.
        """
        closed_at = conf.closed_at()
        if closed_at is None or closed_at > self.at:
            return
        same_user: dict[str, Any] = {"user": OuterRef("user"), "erased_at": None}
        acceptances, withdrawals = Acceptance.objects.filter(**same_user), Withdrawal.objects.filter(**same_user)
        stated = list(Edition.objects.published().values_list("pk", "agreement", "retention_years"))
        for edition, agreement, years in stated:
            if years_later(closed_at, years) <= self.at:
                rows = deliveries.filter(~Exists(acceptances.filter(edition__agreement=agreement)))
                rows = rows.filter(~Exists(withdrawals.filter(agreement=agreement)), notice__edition=edition)
                rows = rows.filter(user__isnull=False).exclude(user__in=held_users)
                self._clear_addresses(rows.exclude(address_digest=""))
        if self._is_over_after_closing():
            rest = (~Exists(acceptances), ~Exists(withdrawals), Q(user__isnull=False, erased_at=None))
            self._clear_consents(consents.filter(*rest).exclude(user__in=held_users))
            self._clear_entries(entries.filter(*rest).exclude(user__in=held_users))

    @cached_property
    def longest_term(self) -> int:
        """The longest term, in years, that any sealed edition of any agreement states; the setting ``RETENTION_YEARS``
        if no edition is sealed. 1 query, the first time.
        """
        stated: int | None = Edition.objects.published().aggregate(longest=Max("retention_years"))["longest"]
        return conf.retention_years() if stated is None else stated

    def _is_over_after_closing(self) -> bool:
        """Return whether the site was closed, and :attr:`longest_term` since then is over."""
        closed_at = conf.closed_at()
        return closed_at is not None and years_later(closed_at, self.longest_term) <= self.at

    def _erase_legal_holds_of_deleted_accounts(self) -> None:
        """Erase the legal holds that have ended and whose person has no account, if nothing else is stored about the
        person. A dry run does nothing. 4 queries for each such hold.
        """
        for hold in LegalHold.objects.ended_by(self.at).filter(user=None) if not self.dry_run else ():
            names = _digests(hold)
            withdrawals = {int(one.rpartition(":")[2]) for one in hold.pseudonyms if _names_withdrawal(one)}
            stored = (
                Acceptance.objects.filter(pseudonym__in=names),
                Withdrawal.objects.filter(Q(pseudonym__in=names) | Q(pk__in=withdrawals), erased_at=None),
                Consent.objects.filter(pseudonym__in=names),
                Delivery.objects.filter(pseudonym__in=names),
            )
            if not any(rows.exists() for rows in stored):
                self._clear_legal_holds(LegalHold.objects.filter(pk=hold.pk))

    def _clear_addresses(self, deliveries: QuerySet[Delivery]) -> None:
        """Clear the digest of the address of these deliveries, and count them. A dry run only counts them."""
        self.counts.deliveries += deliveries.count() if self.dry_run else deliveries.update(address_digest="")

    def _clear_consents(self, consents: QuerySet[Consent]) -> None:
        """Clear the user and the pseudonym of these consents, mark them as erased, and count them. A dry run only
        counts those that it has not counted before.
        """
        if not self.dry_run:
            erased_at = database_now(consents.db)
            self.counts.consents += consents.update(user=None, erased_at=erased_at, **NO_PSEUDONYM)
            return
        fresh = set(consents.values_list("pk", flat=True)) - self.counted.consents
        self.counted.consents |= fresh
        self.counts.consents += len(fresh)

    def _clear_entries(self, entries: QuerySet[AuditEntry]) -> None:
        """Clear the note, the user and the pseudonym of these audit entries, and mark them as erased. A dry run does
        nothing.
        """
        if not self.dry_run:
            erased: dict[str, Any] = {**NO_PSEUDONYM, "erased_at": database_now(entries.db)}
            entries.filter(erased_at=None).update(note="", user=None, **erased)

    def _clear_legal_holds(self, holds: LegalHoldQuerySet) -> None:
        """Clear the ground, the user and the pseudonyms of those of these legal holds that have ended, and mark them as
        erased.
        """
        erased_at = database_now(holds.db)
        holds.ended_by(self.at).update(ground="", user=None, pseudonyms=[], erased_at=erased_at)

    def _is_more_stored(self, moment: datetime) -> bool:
        """Return whether an acceptance or a withdrawal of an account that was deleted at that moment is not erased. In
        a dry run, the rows that it has counted are regarded as erased. 2 queries.
        """
        rows = (Acceptance.objects, Withdrawal.objects)
        stored = sum(one.filter(account_deleted_at=moment, erased_at=None).count() for one in rows)
        return stored > self.counted.by_deletion[moment]


def _digests(hold: LegalHold) -> list[str]:
    """Return the digests of the pseudonyms of this hold. The id of a key may contain colons; a digest has none."""
    return [one.rpartition(":")[2] for one in hold.pseudonyms if not _names_withdrawal(one)]


def _names_withdrawal(identifier: str) -> bool:
    """Return whether this identifier of a hold is ``withdrawal:`` and the primary key of a withdrawal. A key of the
    pseudonyms may have the id ``withdrawal`` too; then a digest, which is longer than any primary key, follows.
    """
    return re.fullmatch(r"withdrawal:[0-9]{1,19}", identifier) is not None


def _delete_scans(person: Person) -> bool:
    """Delete the files of the scans of this person's applications; the rows are not changed. Return ``True`` if no file
    is left: all are deleted, were missing, or there are none.

    Return ``False``, and log a warning, if a file could not be deleted or its folder does not exist. Then the scans
    after it are not deleted either.
    """
    for row in person.withdrawals:
        if row.scan:
            storage, name = row.scan.storage, str(row.scan.name)
            try:
                storage.delete(name)
                if not Path(storage.path(name)).parent.is_dir():  # The folder was moved, or is not mounted.
                    raise FileNotFoundError(name)
            except OSError as error:
                logger.warning("N109 scan of withdrawal %s is not deleted: %s", row.pk, type(error).__name__)
                return False
    return True


def _deliveries_of(people: list[Person]) -> QuerySet[Delivery]:
    """Return the deliveries to the existing accounts of these people that have the digest of an address.

    For each :class:`Person` these are only deliveries about the agreement of that object, because the term of the same
    user in another agreement may not be over.
    """
    users: dict[int, set[UserKey]] = defaultdict(set)
    for person in people:
        users[person.terms.agreement].update(row.user_id for row in person.rows if row.user_id is not None)
    conditions = [Q(notice__edition__agreement=agreement, user__in=keys) for agreement, keys in users.items() if keys]
    found = Delivery.objects.filter(reduce(or_, conditions)) if conditions else Delivery.objects.none()
    return found.exclude(address_digest="")


@dataclass(frozen=True, slots=True)
class FullyErased:
    """Those of some people of whom no agreement stores an acceptance any more. The rows about them that belong to no
    agreement are erased too.
    """

    users: set[UserKey]
    """The primary keys of existing accounts."""
    pseudonyms: set[str]
    """The pseudonyms, also those of existing accounts."""

    @classmethod
    def of(cls, people: list[Person], erased: Collection[int]) -> FullyErased:
        """Return those of these people of whom all acceptances with their account or pseudonym, in every agreement, are
        erased already or are among ``erased`` (primary keys). At most 1 query.
        """
        rows = [row for person in people for row in person.rows]
        users = {row.user_id for row in rows if row.user_id is not None}
        pseudonyms = {row.pseudonym for row in rows if row.pseudonym}
        found = Acceptance.objects.filter(Q(user__in=users) | Q(pseudonym__in=pseudonyms), erased_at=None).order_by()
        stored = [owner for pk, *owner in found.values_list("pk", "user", "pseudonym") if pk not in erased]
        return cls(users - {user for user, _ in stored}, pseudonyms - {pseudonym for _, pseudonym in stored})

    def rows(self, of_accounts: Q | None = None) -> Q:
        """Return the condition of the rows about these people: found by the account and, if it was deleted, by the
        pseudonym. Those of existing accounts must also meet the condition ``of_accounts``.
        """
        by_user = Q(user__in=self.users)
        return (by_user & of_accounts if of_accounts else by_user) | Q(pseudonym__in=self.pseudonyms, user=None)

    def consents(self, *, of_all: bool) -> Q:
        """Return the condition of the consents that are erased. If the account exists, only withdrawn consents are
        erased, unless ``of_all`` is true. Consents that are erased already are not excluded.
        """
        return self.rows(None if of_all else Q(withdrawn_at__isnull=False))
