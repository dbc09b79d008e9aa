"""Erases personal data whose retention term is over. No row is deleted; only personal columns are cleared.

The erasure clears these columns:

- of an acceptance: the IP address, the browser, the officer's reason, the pseudonym and the link to the account;
- of a decline: the IP address, the browser, the pseudonym and the link to the account;
- of a withdrawal: the name, the number and the scan of the application (its file is deleted), the ground, and the
  pseudonym. The link to an account that exists remains;
- of a consent: the pseudonym and the link to the account;
- of an audit entry about the person: the note, the pseudonym and the link to the account;
- of a legal hold on the person that has ended: the ground, the pseudonyms and the link to the account;
- of a delivery: the digest of the address to which the notice was sent, and for a deleted account the pseudonym. The
  link to an account that exists remains.

In a notice whose audience is partly written, the stored key of the last user is replaced, if that account is deleted.
The next lower key of an existing account takes its place.

The other columns remain: that an edition was accepted or declined, when and how, and that a user withdrew. So do the
editions and the texts of notices.
"""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property, reduce
from itertools import islice
from operator import or_
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.db import router, transaction
from django.db.models import Exists, Max, OuterRef, Q, QuerySet
from django.utils import timezone

from agreement import conf
from agreement.models import (
    Acceptance,
    AuditEntry,
    Consent,
    Decline,
    Delivery,
    Edition,
    LegalHold,
    Notice,
    Withdrawal,
    log_records,
)
from agreement.models.clock import database_now
from agreement.models.fields import UserKey
from agreement.models.legal_holds import LegalHoldQuerySet
from agreement.models.withdrawals import SCAN_FOLDER, SCAN_NAME
from agreement.retention.terms import Person, expired, years_later

logger = logging.getLogger("agreement")

#: The rows of this many people are erased in one transaction.
BATCH = 500
NO_PSEUDONYM = {"pseudonym": "", "pseudonym_key": ""}


@dataclass(slots=True, kw_only=True)
class ErasureCounts:
    """How many people and rows were erased; in a dry run, how many would be. A person is counted once for each
    agreement, and not at all if neither an acceptance nor a withdrawal of them is stored, although their other rows are
    counted. If it is unknown which rows belong to which of several people, these count as one. Audit entries and legal
    holds are not counted.
    """

    people: int = 0
    acceptances: int = 0
    declines: int = 0
    withdrawals: int = 0
    consents: int = 0
    deliveries: int = 0
    under_legal_hold: int = 0
    """People whose term is over, but whose data is under a legal hold. They are not in ``people``."""
    scan_not_deleted: int = 0
    """People whose rows were not erased, because a scan of their application could not be deleted. 0 in a dry run,
    which deletes no scan."""
    unregistered_scans: int = 0
    """Files in the folder of scans that no withdrawal names. They are at least a day old."""


@dataclass(slots=True)
class CountedRows:
    """What a dry run has counted, or what a batch of a real run erases: the primary keys of rows, and in ``addressees``
    the people of whom only address digests were stored. The later steps treat these as erased, and do not count them
    again.
    """

    acceptances: set[int] = field(default_factory=set)
    declines: set[int] = field(default_factory=set)
    withdrawals: set[int] = field(default_factory=set)
    consents: set[int] = field(default_factory=set)
    addressees: set[tuple[int, UserKey]] = field(default_factory=set)
    """The primary keys of the agreement and of the account, for each person of whom only address digests were stored,
    because their withdrawals were erased earlier."""

    def stored(self, moments: Collection[datetime]) -> Iterator[tuple[datetime, str, str]]:
        """Yield the moment of the deletion, and the id of the key and the digest of the pseudonym, for each acceptance
        and each withdrawal of an account that was deleted at one of these moments, unless the row is erased or counted.
        2 queries.
        """
        for model, counted in ((Acceptance, self.acceptances), (Withdrawal, self.withdrawals)):
            rows = model._default_manager.filter(account_deleted_at__in=moments, erased_at=None).order_by()
            columns = ("pk", "account_deleted_at", "pseudonym_key", "pseudonym")
            for pk, moment, key, digest in rows.values_list(*columns):
                if moment and pk not in counted:
                    yield moment, key, digest


@dataclass(frozen=True, slots=True)
class LegalHoldScope:
    """The people and editions under the legal holds in effect, of all agreements."""

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
        """Return the scope of the holds in effect at that instant. If the present moment is later, the holds in effect
        now are in the scope too, because they preserve rows that exist now. 1 query.

        Each batch reads the holds again, because a hold can be placed during a long erasure.
        """
        holds = list(LegalHold.objects.in_effect(at) | LegalHold.objects.in_effect(max(at, timezone.now())))
        users = {hold.user_id for hold in holds if hold.user_id}
        identifiers = {f"user:{user}" for user in users} | {name for hold in holds for name in hold.pseudonyms}
        digests = {digest for hold in holds for digest in _digests(hold)}
        return cls(identifiers, digests, users, {hold.edition_id for hold in holds if hold.edition_id})

    def covers(self, person: Person) -> bool:
        """Return whether any hold of this scope names the person, or one of the editions of ``Person.edition_keys()``:
        an edition that they accepted, that bound them, or that states their retention term.
        """
        editions = self.editions and self.editions & person.edition_keys()
        return bool(person.identifiers & self.identifiers or editions)


def erase(
    *, at: datetime | None = None, dry_run: bool = False, delete_unregistered_scans: bool = False
) -> ErasureCounts:
    """Erase the personal data whose retention term is over at that instant (now), except what is under a legal hold.
    Return how many people and rows were erased. With ``dry_run=True`` nothing is erased, and no scan is deleted; the
    counts are those of an erasure that can delete every scan.

    The rows of each batch of at most ``BATCH`` people are erased in one transaction. After all batches, the other rows
    whose term is over are erased. If the process is killed, the next call erases the rest.

    Scans that no withdrawal names and that are at least a day old are counted. With ``delete_unregistered_scans=True``
    they are deleted, except in a dry run. After a restore of the database they may belong to withdrawals that must be
    registered again.
    """
    counts = Erasure(at or timezone.now(), dry_run=dry_run).run()
    scans = unregistered_scans()
    for scan in scans if delete_unregistered_scans and not dry_run else ():
        scan.unlink(missing_ok=True)
    counts.unregistered_scans = len(scans)
    return counts


def unregistered_scans() -> list[Path]:
    """Return the files in the folder of scans whose names begin as those of scans do (``SCAN_NAME``), that no
    withdrawal names, and that are at least a day old. A younger file may belong to a transaction that is still open.
    The list is empty if the folder does not exist or the setting ``PRIVATE_ROOT`` is empty. At most 1 query.
    """
    folder, yesterday = Path(conf.get().PRIVATE_ROOT, SCAN_FOLDER), timezone.now() - timedelta(days=1)
    if not conf.get().PRIVATE_ROOT or not folder.is_dir():
        return []
    scans = [file for file in folder.iterdir() if SCAN_NAME.match(file.name)]
    files = [file for file in scans if file.stat().st_mtime < yesterday.timestamp()]
    named = set(Withdrawal.objects.exclude(scan="").values_list("scan", flat=True))
    return [file for file in files if f"{SCAN_FOLDER}/{file.name}" not in named]


class Erasure:
    """One run of :func:`erase`."""

    def __init__(self, at: datetime, *, dry_run: bool) -> None:
        self.at, self.dry_run = at, dry_run
        self.counts, self.counted = ErasureCounts(), CountedRows()

    def run(self) -> ErasureCounts:
        """Erase the personal data whose term is over and that is not under a legal hold. Return the counts, in which
        ``unregistered_scans`` is 0. A dry run only counts. Call it once.
        """
        if not self.dry_run:
            log_records.sweep(force=True)  # What is erased must be in the log.
        people = expired(self.at, LegalHoldScope.at(self.at).editions)
        while batch := list(islice(people, BATCH)):
            self.erase_people(batch)
        holds = LegalHoldScope.at(self.at)
        consents = Consent.objects.exclude(pseudonym__in=holds.pseudonyms)
        declines = Decline.objects.exclude(pseudonym__in=holds.pseudonyms).exclude(edition__in=holds.editions)
        entries = AuditEntry.objects.exclude(pseudonym__in=holds.pseudonyms)
        deliveries = Delivery.objects.exclude(notice__edition__in=holds.editions)
        deliveries = deliveries.exclude(pseudonym__in=holds.pseudonyms)
        self._erase_rows_of_deleted_accounts(consents, entries)
        self._erase_declines_of_deleted_accounts(declines)
        self._erase_deliveries_of_deleted_accounts(deliveries)
        self._erase_after_closing(deliveries, consents, entries, holds.users)
        self._erase_declines_after_closing(declines, holds.users)
        self._erase_of_erased_users(consents, entries, holds.users)
        self._erase_legal_holds_of_deleted_accounts()
        self._forget_deleted_accounts_in_notices()
        return self.counts

    def erase_people(self, people: list[Person]) -> None:
        """Erase the data of these people, and add to the counts. People under a legal hold are left out, and so are
        people of whom a scan can't be deleted. That their term is over is not checked. A dry run only counts, and
        deletes no scan.

        The scans are deleted first. Then one transaction erases the acceptances and withdrawals, the declines of
        editions of the same agreements, the address digests of notices about the same agreements to existing accounts,
        and the consents and audit entries that :class:`FullyErased` finds. Declines of editions under a legal hold, and
        address digests of notices about such editions, are left out.
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
        declines = _declines_of(people).exclude(edition__in=holds.editions)
        self.counts.people += len(people)
        self.counts.acceptances += len(acceptances)
        self.counts.withdrawals += len(withdrawals)
        counted = self.counted if self.dry_run else CountedRows()
        counted.acceptances.update(acceptances)
        counted.withdrawals.update(withdrawals)
        counted.addressees.update(
            (person.terms.agreement, row.user_id)
            for person in people
            if not person.acceptances and all(row.erased_at for row in person.withdrawals)
            for row in person.withdrawals
        )
        done = FullyErased.of(people, counted)
        consents = Consent.objects.filter(done.consents(of_all=self._is_over_after_closing()), erased_at=None)
        if self.dry_run:
            self._clear_addresses(deliveries)
            self._clear_consents(consents)
            self._clear_declines(declines)
        elif people:
            alias = router.db_for_write(Acceptance)
            # The moment of the erasure itself, which the database compares with its clock.
            erased: dict[str, Any] = {**NO_PSEUDONYM, "erased_at": database_now(alias)}
            with transaction.atomic(using=alias):
                accepted = Acceptance.objects.using(alias).filter(pk__in=acceptances)
                accepted.update(ip=None, user_agent="", reason="", user=None, **erased)
                self._clear_addresses(deliveries.using(alias))
                self._clear_consents(consents.using(alias))
                self._clear_declines(declines.using(alias))
                self._clear_entries(AuditEntry.objects.using(alias).filter(done.rows()))
                # The withdrawal stays linked to an account that exists. Otherwise the gate would treat the user as one
                # who never withdrew.
                withdrawn = Withdrawal.objects.using(alias).filter(pk__in=withdrawals)
                withdrawn.update(applicant="", application_number="", ground="", scan="", **erased)
                ends = [end for person in people if (end := person.term_ends_at())]
                log_records.record_erasure(
                    acceptances=acceptances, withdrawals=withdrawals, ended_at=max(ends, default=self.at), using=alias
                )

    def _erase_rows_of_deleted_accounts(self, consents: QuerySet[Consent], entries: QuerySet[AuditEntry]) -> None:
        """Erase those of these consents and audit entries that belong to deleted accounts, if :attr:`longest_term`
        since the deletion is over, and every acceptance and withdrawal of the account is erased. A dry run only counts
        the consents.
        """
        years = self.longest_term
        expired_rows = Q(account_deleted_at__lte=self.at, erased_at=None)
        consents, entries = consents.filter(expired_rows), entries.filter(expired_rows)
        moments = set(consents.order_by().values_list("account_deleted_at", flat=True).distinct())
        moments |= set(entries.order_by().values_list("account_deleted_at", flat=True).distinct())
        for moment in moments:
            if moment and years_later(moment, years) <= self.at:
                belongs = self._of_erased_accounts(moment)
                self._clear_consents(consents.filter(belongs))
                self._clear_entries(entries.filter(belongs))

    def _erase_deliveries_of_deleted_accounts(self, deliveries: QuerySet[Delivery]) -> None:
        """Erase the address digest and the pseudonym of those of these deliveries that belong to deleted accounts, if
        the term that the edition of the notice states is over since the deletion, and every acceptance and withdrawal
        of the account is erased. A dry run only counts.
        """
        rows = deliveries.filter(account_deleted_at__lte=self.at).exclude(address_digest="", pseudonym="")
        pairs = rows.order_by().values_list("account_deleted_at", "notice__edition").distinct()
        years = dict(Edition.objects.published().values_list("pk", "retention_years"))
        for moment, edition in list(pairs):
            if moment and years_later(moment, years[edition]) <= self.at:
                found = rows.filter(self._of_erased_accounts(moment), notice__edition=edition)
                erased = {"address_digest": "", **NO_PSEUDONYM}
                self.counts.deliveries += found.count() if self.dry_run else found.update(**erased)

    def _erase_declines_of_deleted_accounts(self, declines: QuerySet[Decline]) -> None:
        """Erase those of these declines whose term is over and that belong to deleted accounts of which every
        acceptance and withdrawal is erased (:meth:`_of_erased_accounts`). The term is the one that the declined edition
        states. It begins with the deletion of the account. A dry run only counts.
        """
        rows = declines.filter(account_deleted_at__lte=self.at, erased_at=None)
        pairs = rows.order_by().values_list("account_deleted_at", "edition", "edition__retention_years").distinct()
        for moment, edition, years in list(pairs):
            if moment and years_later(moment, years) <= self.at:
                self._clear_declines(rows.filter(self._of_erased_accounts(moment), edition=edition))

    def _erase_declines_after_closing(self, declines: QuerySet[Decline], held_users: Collection[UserKey]) -> None:
        """If the site was closed by ``self.at``, erase those of these declines that belong to existing accounts and
        whose term is over. It begins with the closing, and is the one that the declined edition states. Accounts with
        an acceptance or a withdrawal in the same agreement that is not erased are left out, because
        :meth:`erase_people` handles them. So are ``held_users``, the primary keys of accounts under a legal hold. A dry
        run only counts.
        """
        closed_at = conf.closed_at()
        if closed_at is None or closed_at > self.at:
            return
        same_user: dict[str, Any] = {"user": OuterRef("user"), "erased_at": None}
        accepted = Acceptance.objects.filter(**same_user, edition__agreement=OuterRef("edition__agreement"))
        withdrawn = Withdrawal.objects.filter(**same_user, agreement=OuterRef("edition__agreement"))
        rows = declines.filter(~Exists(accepted), ~Exists(withdrawn), user__isnull=False, erased_at=None)
        rows = rows.exclude(user__in=held_users)
        for edition, years in list(rows.order_by().values_list("edition", "edition__retention_years").distinct()):
            if years_later(closed_at, years) <= self.at:
                self._clear_declines(rows.filter(edition=edition))

    def _erase_after_closing(
        self,
        deliveries: QuerySet[Delivery],
        consents: QuerySet[Consent],
        entries: QuerySet[AuditEntry],
        held_users: Collection[UserKey],
    ) -> None:
        """If the site was closed by ``self.at``, erase the address digests of these deliveries, and these consents and
        audit entries, as far as they belong to existing accounts and the term since the closing is over. For a delivery
        it is the term that the edition of its notice states, for the others :attr:`longest_term`. A dry run only counts
        the deliveries and the consents.

        Accounts with an acceptance or a withdrawal that is not erased (for a delivery: in its agreement) are left out,
        because :meth:`erase_people` handles them. So are ``held_users``, the primary keys of accounts under a legal
        hold.
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
                # A dry run has counted these already.
                rows = rows.exclude(user__in=[user for key, user in self.counted.addressees if key == agreement])
                self._clear_addresses(rows.exclude(address_digest=""))
        if self._is_over_after_closing():
            rest = (~Exists(acceptances), ~Exists(withdrawals), Q(user__isnull=False, erased_at=None))
            self._clear_consents(consents.filter(*rest).exclude(user__in=held_users))
            self._clear_entries(entries.filter(*rest).exclude(user__in=held_users))

    def _erase_of_erased_users(
        self, consents: QuerySet[Consent], entries: QuerySet[AuditEntry], held_users: Collection[UserKey]
    ) -> None:
        """Erase the legal holds that have ended and whose user, an existing account, has no acceptance that is not
        erased. Then, of existing accounts that have an erased withdrawal, and neither an acceptance nor a withdrawal
        that is not erased, erase the audit entries that are in ``entries``, and those of ``consents`` that have a
        withdrawal date.

        ``held_users`` are the primary keys of accounts under a legal hold, which are left out. A dry run only counts
        the consents.
        """
        stored: dict[str, Any] = {"user": OuterRef("user"), "erased_at": None}
        rest = Q(~Exists(Acceptance.objects.filter(**stored)), user__isnull=False) & ~Q(user__in=held_users)
        if not self.dry_run:
            self._clear_legal_holds(LegalHold.objects.filter(rest))
        erased = Withdrawal.objects.filter(user=OuterRef("user"), erased_at__isnull=False)
        rest &= Q(Exists(erased), ~Exists(Withdrawal.objects.filter(**stored)), erased_at=None)
        self._clear_consents(consents.filter(rest, withdrawn_at__isnull=False))
        self._clear_entries(entries.filter(rest))

    def _forget_deleted_accounts_in_notices(self) -> None:
        """Where the audience of a notice is partly written, replace the stored key of the last user, if that account is
        deleted, by the greatest lower key of an existing account (``""`` if there is none). The users whose deliveries
        are still to be written stay the same. A dry run does nothing.
        """
        users = get_user_model()
        cursors = Notice.objects.exclude(fan_out_cursor="").values_list("pk", "fan_out_cursor")
        for pk, cursor in list(cursors) if not self.dry_run else ():
            key = users._meta.pk.to_python(cursor)
            last = users._base_manager.filter(pk__lte=key).order_by("-pk").values_list("pk", flat=True).first()
            # A worker may have written more of the audience in the meantime.
            notice = Notice.objects.filter(pk=pk, fan_out_cursor=cursor)
            notice.update(fan_out_cursor="" if last is None else str(last))

    @cached_property
    def longest_term(self) -> int:
        """The longest term, in years, that any sealed edition of any agreement states; the setting ``RETENTION_YEARS``
        if no edition is sealed.
        """
        stated: int | None = Edition.objects.published().aggregate(longest=Max("retention_years"))["longest"]
        return conf.retention_years() if stated is None else stated

    def _is_over_after_closing(self) -> bool:
        """Return whether the site was closed, and :attr:`longest_term` since then is over at ``self.at``."""
        closed_at = conf.closed_at()
        return closed_at is not None and years_later(closed_at, self.longest_term) <= self.at

    def _erase_legal_holds_of_deleted_accounts(self) -> None:
        """Erase the legal holds that have ended and whose person has no account, if the identifiers of the hold find no
        acceptance, withdrawal, consent, decline or delivery any more. Erased withdrawals and audit entries are not
        considered. A dry run does nothing.
        """
        for hold in LegalHold.objects.ended_by(self.at).filter(user=None) if not self.dry_run else ():
            names = _digests(hold)
            withdrawals = {int(one.rpartition(":")[2]) for one in hold.pseudonyms if _names_withdrawal(one)}
            stored = (
                Acceptance.objects.filter(pseudonym__in=names),
                Withdrawal.objects.filter(Q(pseudonym__in=names) | Q(pk__in=withdrawals), erased_at=None),
                Consent.objects.filter(pseudonym__in=names),
                Decline.objects.filter(pseudonym__in=names),
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

    def _clear_declines(self, declines: QuerySet[Decline]) -> None:
        """Clear the personal columns of these declines, mark them as erased, and count them. A dry run only counts
        those that it has not counted before.
        """
        if not self.dry_run:
            erased: dict[str, Any] = {**NO_PSEUDONYM, "erased_at": database_now(declines.db)}
            self.counts.declines += declines.update(user=None, ip=None, user_agent="", **erased)
            return
        fresh = set(declines.values_list("pk", flat=True)) - self.counted.declines
        self.counted.declines |= fresh
        self.counts.declines += len(fresh)

    def _clear_entries(self, entries: QuerySet[AuditEntry]) -> None:
        """Clear the note, the user and the pseudonym of those of these audit entries that are not erased, and mark them
        as erased. A dry run does nothing.
        """
        if not self.dry_run:
            erased: dict[str, Any] = {**NO_PSEUDONYM, "erased_at": database_now(entries.db)}
            entries.filter(erased_at=None).update(note="", user=None, **erased)

    def _clear_legal_holds(self, holds: LegalHoldQuerySet) -> None:
        """Clear the ground, the user and the pseudonyms of those of these legal holds on people that have ended by
        ``self.at``, and mark them as erased. It does so in a dry run too, so it must not be called in one.
        """
        erased_at = database_now(holds.db)
        holds.ended_by(self.at).update(ground="", user=None, pseudonyms=[], erased_at=erased_at)

    def _of_erased_accounts(self, moment: datetime) -> Q:
        """Return the condition of the rows of the accounts that were deleted at that moment and of which every
        acceptance and withdrawal is erased. In a dry run, the rows that it has counted are regarded as erased. If it is
        unknown to which of several accounts a row belongs, it does not meet the condition while an acceptance or a
        withdrawal of that moment is not erased.
        """
        stored = {(key, digest) for _moment, key, digest in self.counted.stored([moment])}
        found, keys = Q(account_deleted_at=moment), {key for key, _digest in stored}
        if not stored:
            return found
        if len(keys) > 1 or "" in keys:
            return Q(pk__in=[])
        return found & Q(pseudonym_key__in=keys) & ~Q(pseudonym__in={digest for _key, digest in stored})


def _digests(hold: LegalHold) -> list[str]:
    """Return the digests of the pseudonyms of this hold. An identifier of a pseudonym is the id of the key, a colon and
    the digest. The id may contain colons; the digest has none. Identifiers of withdrawals are left out.
    """
    return [one.rpartition(":")[2] for one in hold.pseudonyms if not _names_withdrawal(one)]


def _names_withdrawal(identifier: str) -> bool:
    """Return whether this identifier of a hold is ``withdrawal:`` and the primary key of a withdrawal. A key of the
    pseudonyms may have the id ``withdrawal`` too; then a digest, which is longer than any primary key, follows.
    """
    return re.fullmatch(r"withdrawal:[0-9]{1,19}", identifier) is not None


def _delete_scans(person: Person) -> bool:
    """Delete the files of the scans of this person's applications; the rows are not changed. Return ``True`` if no file
    is left, also if there was none. If a file can't be deleted, or the folder in which it should be does not exist, log
    a warning, leave the files after it, and return ``False``.
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


def _declines_of(people: list[Person]) -> QuerySet[Decline]:
    """Return the declines of these people that are not erased. For each :class:`Person` these are only declines of
    editions of the agreement of that object. Of a deleted account, those are found that have the same pseudonym as an
    acceptance or a withdrawal.
    """
    owners: dict[int, tuple[set[UserKey], set[str]]] = defaultdict(lambda: (set(), set()))
    for person in people:
        users, names = owners[person.terms.agreement]
        users.update(row.user_id for row in person.rows if row.user_id is not None)
        names.update(row.pseudonym for row in person.rows if row.pseudonym and row.user_id is None)
    conditions = [
        Q(edition__agreement=agreement) & (Q(user__in=users) | Q(pseudonym__in=names, user=None))
        for agreement, (users, names) in owners.items()
    ]
    return Decline.objects.filter(reduce(or_, conditions, Q(pk__in=[])), erased_at=None)


@dataclass(frozen=True, slots=True)
class FullyErased:
    """Of the people whose data is erased, those of whom no agreement stores an acceptance that is not erased. The
    consents and audit entries about them, which belong to no agreement, can be erased too.
    """

    users: set[UserKey]
    """The primary keys of existing accounts."""
    pseudonyms: set[str]
    """The pseudonyms, also those of existing accounts."""
    moments: set[datetime]
    """The moments at which one account was deleted and of which no acceptance or withdrawal is stored that is not
    erased. By them the rows are found that have a pseudonym under a newer key."""

    @classmethod
    def of(cls, people: list[Person], counted: CountedRows) -> FullyErased:
        """Return those of these people of whom all acceptances with their account or pseudonym, in every agreement, are
        erased already or counted. ``moments`` are those at which only one account was deleted, that of one of these
        people, if all of its acceptances and withdrawals are erased already or counted. At most 9 queries.
        """
        rows = [row for person in people for row in person.rows]
        users = {row.user_id for row in rows if row.user_id is not None}
        pseudonyms = {row.pseudonym for row in rows if row.pseudonym}
        found = Acceptance.objects.filter(Q(user__in=users) | Q(pseudonym__in=pseudonyms), erased_at=None).order_by()
        stored = [owner for pk, *owner in found.values_list("pk", "user", "pseudonym") if pk not in counted.acceptances]
        moments = {row.account_deleted_at for row in rows if row.account_deleted_at}
        moments -= {moment for moment, *_pseudonym in counted.stored(moments)} if moments else set()
        return cls(
            users - {user for user, _ in stored},
            pseudonyms - {pseudonym for _, pseudonym in stored},
            moments - _of_several_accounts(moments) if moments else set(),
        )

    def rows(self, of_accounts: Q | None = None) -> Q:
        """Return the condition of the consents or audit entries about these people: found by the account or, if it was
        deleted, by the pseudonym or the moment. Those of existing accounts must also meet the condition
        ``of_accounts``.
        """
        by_user = Q(user__in=self.users)
        of_deleted = Q(pseudonym__in=self.pseudonyms, user=None) | Q(account_deleted_at__in=self.moments)
        return (by_user & of_accounts if of_accounts else by_user) | of_deleted

    def consents(self, *, of_all: bool) -> Q:
        """Return the condition of the consents that are erased. If the account exists, only withdrawn consents are
        erased, unless ``of_all`` is true. Consents that are erased already are not excluded.
        """
        return self.rows(None if of_all else Q(withdrawn_at__isnull=False))


def _of_several_accounts(moments: Collection[datetime]) -> set[datetime]:
    """Return those of these moments at which several accounts were deleted, or may have been. The rows of deleted
    accounts in all tables, if they are not erased, show it: rows of one moment have several pseudonyms under one and
    the same key of the site, or one of these rows has no pseudonym.
    """
    names: dict[tuple[datetime, str], set[str]] = defaultdict(set)
    models = (Acceptance, Withdrawal, Consent, Decline, AuditEntry)
    querysets = [model._default_manager.filter(erased_at=None) for model in models]
    for rows in (*querysets, Delivery.objects.exclude(address_digest="", pseudonym="")):
        columns = rows.order_by().values_list("account_deleted_at", "pseudonym_key", "pseudonym")
        for moment, key, digest in columns.filter(account_deleted_at__in=moments).distinct():
            if moment:
                names[moment, key].add(digest)
    return {moment for (moment, key), digests in names.items() if not key or len(digests) > 1}
