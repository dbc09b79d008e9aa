"""What may be erased, and when (clause 3.4): personal data, once the term of retention is over; evidence never.

The term begins when the agreement with a person ends: by a withdrawal that ended it and after which he did not join
again, by the deletion of his account, or by the closing of the site, whichever came first. It lasts as long as the
longest term that any edition states which bound him: those he joined, unless they were taken back, and those that
changed them in wording alone until he left. A legal hold stops it. What is erased then: address and browser of his
joinings, the digest of the address he was written to, the pseudonym and the link to an account, who applied to
withdraw and the scan. What stays: that an edition was joined, when and how; that an agreement was left; the editions
and the texts of notices; so every count stays true.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, reduce
from itertools import groupby
from operator import or_
from pathlib import Path
from typing import Any

from django.db import router, transaction
from django.db.models import Exists, Max, OuterRef, Q
from django.utils import timezone

from agreement import conf, lineage
from agreement.lineage import Dated
from agreement.models import Acceptance, Agreement, Consent, Delivery, Edition, LegalHold, Withdrawal
from agreement.models.withdrawals import LONG, until

logger = logging.getLogger("agreement")

#: How many people's rows are erased in one transaction.
BATCH = 500


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What the editions of one agreement state, and when the site was closed, if it was."""

    agreement: int
    editions: dict[int, Edition]
    """By key, in the order of their numbers."""
    closed: datetime | None

    @cached_property
    def dated(self) -> dict[int, Dated]:
        return {key: Dated.of(edition) for key, edition in self.editions.items()}


@dataclass(slots=True)
class Person:
    """What is kept about one person and one agreement, and under which names it may be held."""

    terms: Terms
    names: set[str]
    """``user:7`` while there is an account; ``id:digest`` of each pseudonym; ``withdrawal:7`` of each application."""
    joined: list[Acceptance] = field(default_factory=list)
    left: list[Withdrawal] = field(default_factory=list)
    parts: list[Person] = field(default_factory=list)
    """Where nothing tells whose row is whose: those there may be."""

    @property
    def rows(self) -> list[Acceptance | Withdrawal]:
        return [*self.joined, *self.left]

    def over_at(self) -> datetime | None:
        """When the term is over, if it has begun: of several there may be, when the last one's is."""
        if self.parts:
            return max((over for part in self.parts if (over := part.over_at())), default=None)
        ended, bound = self.ended_at(), self.bound()
        return _years_later(ended, max(one.retention_years for one in bound)) if ended and bound else None

    def bound(self) -> list[Edition]:
        """Every edition that bound this person: each joined, and what changed it in wording alone until he left."""
        if self.parts:
            return [edition for part in self.parts for edition in part.bound()]
        dated, never = self.terms.dated, datetime.max.replace(tzinfo=UTC)
        # What bound in a round that is erased already counts no longer.
        kept = [row for row in self.left if row.erased_at is None] or self.left
        found = {row.edition_id for row in kept if row.edition_id}
        for row in self.joined:
            ends = until(row.at, row.recorded_at, self.left) or self.terms.closed or row.account_deleted_at or never
            found |= {one.pk for one in lineage.bound_by(dated[row.edition_id], [*dated.values()], ends)}
        return [self.terms.editions[pk] for pk in found] or self._stated()

    def concerned(self) -> set[int]:
        """The editions this person joined, whatever became of them, and those that bound him, by their keys."""
        return {edition.pk for edition in self.bound()} | {row.edition_id for row in self.joined}

    def _stated(self) -> list[Edition]:
        """Of somebody whom no edition bound: what was stated when he wrote, as the reply says."""
        wrote = min((row.registered_at for row in self.left if row.registered_at), default=None)
        stated = [one for one in self.terms.editions.values() if not one.cancelled_at]
        then = [one for one in stated if wrote and one.effective_from and one.effective_from <= wrote]
        return (then or stated)[-1:]

    def ended_at(self) -> datetime | None:
        """When the agreement ended with this person, if it did: never before the last joining."""
        last = self._last()
        ends = [row.account_deleted_at for row in self.rows if row.account_deleted_at]
        ends += [
            max(row.effective_at, last.at) if last and last.at else row.effective_at
            for row in self._left_since(last)
            if row.outcome == Withdrawal.Outcome.ENDED and row.effective_at
        ]
        if not ends and all(
            row.user_id is None for row in self.rows
        ):  # Nobody's account: with the answer nothing was left to keep the data for.
            ends += [row.known_at() for row in self.left]
        return min([*ends, *([self.terms.closed] if self.terms.closed else [])], default=None)

    def _last(self) -> Acceptance | None:
        return max(self.joined, key=lambda row: (row.round, row.at, row.pk), default=None)

    def _left_since(self, last: Acceptance | None) -> list[Withdrawal]:
        """The departures that no joining followed. Not by the rounds: of a deleted account those of earlier ones may be
        erased, or be under another key.
        """
        return [row for row in self.left if last is None or row.follows(last.at, last.recorded_at)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What was erased, or would be."""

    people: int = 0
    joinings: int = 0
    withdrawals: int = 0
    consents: int = 0
    deliveries: int = 0
    held: int = 0
    """People whose term is over, but whom a legal hold keeps."""
    stuck: int = 0
    """People of whom nothing was erased, because a scan of theirs could not be deleted."""


@dataclass(slots=True)
class Gone:
    """What a dry run has counted and leaves standing: that no part of the run counts it again, or takes it for kept."""

    moments: Counter[datetime | None] = field(default_factory=Counter)
    """How many joinings and withdrawals, by the moment of their account's deletion."""
    joinings: set[int] = field(default_factory=set)
    consents: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Held:
    """What legal holds keep: names of persons, as a ``Person`` has them, keys of accounts, and editions."""

    names: set[str]
    users: set[Any]
    editions: set[int]

    @classmethod
    def at(cls, at: datetime) -> Held:
        """By the holds standing then, and by those that stand now: these keep what there is now, whatever instant is
        asked about. 1 query. Asked anew for each batch, since a hold may be placed while a long run goes on.
        """
        holds = list(LegalHold.objects.standing(at) | LegalHold.objects.standing(max(at, timezone.now())))
        users = {hold.user_id for hold in holds if hold.user_id}
        names = {f"user:{user}" for user in users} | {name for hold in holds for name in hold.pseudonyms}
        return cls(names, users, {hold.edition_id for hold in holds if hold.edition_id})

    def keeps(self, person: Person) -> bool:
        return bool(person.names & self.names or (self.editions and self.editions & person.concerned()))


def erase(*, at: datetime | None = None, dry_run: bool = False) -> Tally:
    """Erase what is past its term at that instant (now), some hundred people at a time; safe to repeat, or to kill."""
    at = at or timezone.now()
    total, gone, batch = Tally(), Gone(), list[Person]()
    for person in expired(at, Held.at(at).editions):
        batch.append(person)
        if len(batch) == BATCH:
            total, batch = _erase(batch, at, total, gone, dry_run=dry_run), []
    total = _erase(batch, at, total, gone, dry_run=dry_run)
    held = Held.at(at)
    kept = {name.partition(":")[2] for name in held.names if not name.startswith("user:")}
    consents = Consent.objects.exclude(pseudonym__in=kept)
    told = Delivery.objects.exclude(notice__edition__in=held.editions).exclude(pseudonym__in=kept)
    total = _plus(total, consents=_erase_consents(consents, at, gone, dry_run=dry_run))
    total = _plus(total, deliveries=_erase_told(told, at, gone, dry_run=dry_run))
    return _erase_strangers(told, consents, held.users, at, total, gone, dry_run=dry_run)


def expired(at: datetime, held: Collection[int] = ()) -> Iterator[Person]:
    """Everybody whose term is over at that instant and about whom something is left, an agreement at a time; who was
    told of the ``held`` editions is left on purpose.
    """
    for agreement in Agreement.objects.order_by("pk"):
        told = _told(agreement.pk, held)
        for person in _people(_terms(agreement.pk, at)):
            left = person.joined or any(row.erased_at is None or row.user_id in told for row in person.left)
            over = person.over_at()
            if left and over and over <= at:
                yield person


def _told(agreement: int, held: Collection[int]) -> set[Any]:
    """Users whose withdrawals are erased, and who are still found by what they were told, after a hold. 1 query."""
    erased = Withdrawal.objects.filter(agreement=agreement, erased_at__isnull=False, user__isnull=False)
    rows = Delivery.objects.filter(notice__edition__agreement=agreement, user__in=erased.order_by().values("user"))
    rows = rows.exclude(address_digest="").exclude(notice__edition__in=held)
    return set(rows.values_list("user", flat=True).distinct())


def years(withdrawal: Withdrawal) -> int:
    """How many years after the withdrawal that ended the agreement its user's data are kept. At most 3 queries.

    As it is when that takes effect: joining again later stops the term, and another end begins it anew.
    """
    end = withdrawal.known_at()
    terms = _terms(withdrawal.agreement_id, end)
    whose = Q(user=withdrawal.user_id) if withdrawal.user_id is not None else Q(pseudonym=withdrawal.pseudonym)
    person = Person(terms, set(), left=[withdrawal])
    several = len({edition.retention_years for edition in terms.editions.values()}) > 1
    if several and (withdrawal.user_id is not None or withdrawal.pseudonym):
        person.joined += Acceptance.objects.filter(whose, edition__agreement=terms.agreement, at__lte=end)
        before = Withdrawal.objects.filter(whose, agreement=terms.agreement, registered_at__lte=end)
        person.left += before.filter(effective_at__lte=end).exclude(pk=withdrawal.pk)
    return max((edition.retention_years for edition in person.bound()), default=conf.retention_years())


def _terms(agreement: int, at: datetime) -> Terms:
    stated = Edition.objects.published().filter(agreement=agreement).defer(*LONG)
    closed = conf.closed_at()
    return Terms(
        agreement=agreement,
        editions={edition.pk: edition for edition in stated},
        closed=closed if closed and closed <= at else None,
    )


def _people(terms: Terms) -> Iterator[Person]:
    """Those who may have ended the agreement, each once: deleted accounts, then living ones that left.

    Rows of one deleted account carry the very moment of its deletion.
    """
    joined = Acceptance.objects.filter(edition__agreement=terms.agreement, erased_at=None)
    # Those of a living account that are erased already still tell after which of them it joined again.
    left = Withdrawal.objects.filter(agreement=terms.agreement).filter(Q(erased_at=None) | Q(user__isnull=False))
    gone = Q(account_deleted_at__isnull=False)
    moments: set[Any] = set(joined.filter(gone).values_list("account_deleted_at", flat=True).distinct())
    moments |= set(left.filter(gone).values_list("account_deleted_at", flat=True).distinct())
    for moment in sorted(moments):
        same = Q(account_deleted_at=moment)
        yield from _deleted(terms, list(joined.filter(same)), list(left.filter(same)))
    users = left.filter(user__isnull=False).values_list("user", flat=True)
    living = joined.filter(user__isnull=False) if terms.closed else joined.filter(user__in=users)
    mine: dict[Any, list[Withdrawal]] = defaultdict(list)
    for row in left.filter(user__isnull=False):
        mine[row.user_id].append(row)
    for user, rows in groupby(living.order_by("user", "at").iterator(chunk_size=2000), key=lambda row: row.user_id):
        yield _person(terms, list(rows), mine.pop(user, []))
    for rest in mine.values():
        yield _person(terms, [], rest)
    for row in left.filter(user__isnull=True, account_deleted_at=None):  # Applicants without an account.
        yield _person(terms, [], [row])


def _deleted(terms: Terms, joined: list[Acceptance], left: list[Withdrawal]) -> Iterator[Person]:
    """Whose rows those are, of accounts deleted at one moment.

    Where a key was changed in their time, or there was none, nothing but that moment joins one account's rows: then
    they are all kept until the last one's term is over, so that nothing goes early.
    """
    found: dict[tuple[str, object], tuple[list[Acceptance], list[Withdrawal]]] = defaultdict(lambda: ([], []))
    for one in joined:
        found[one.pseudonym_key, one.pseudonym or one.pk][0].append(one)
    for other in left:
        found[other.pseudonym_key, other.pseudonym or -other.pk][1].append(other)
    people = [_person(terms, *rows) for rows in found.values()]
    nameless = any(not isinstance(name, str) for _key, name in found)
    if len(people) > 1 and (nameless or len({key for key, _name in found}) > 1):
        together = _person(terms, joined, left)
        together.parts = people
        people = [together]
    yield from people


def _person(terms: Terms, joined: list[Acceptance], left: list[Withdrawal]) -> Person:
    rows: list[Acceptance | Withdrawal] = [*joined, *left]
    names = {f"user:{row.user_id}" for row in rows if row.user_id is not None}
    names |= {f"{row.pseudonym_key}:{row.pseudonym}" for row in rows if row.pseudonym}
    names |= {f"withdrawal:{row.pk}" for row in left}
    return Person(terms, names, joined, left)


def _erase(people: list[Person], at: datetime, total: Tally, gone: Gone, *, dry_run: bool) -> Tally:
    held = Held.at(at)
    due, people = people, [person for person in people if not held.keeps(person)]
    total = _plus(total, held=len(due) - len(people))
    if not dry_run:
        # Files first: what is marked as erased is never looked at again, and a file deleted already is no hindrance.
        everybody, people = people, [person for person in people if _scans_deleted(person)]
        total = _plus(total, stuck=len(everybody) - len(people))
    joined = [row.pk for person in people for row in person.joined]
    left = [row for person in people for row in person.left if row.erased_at is None]
    gone.joinings.update(joined if dry_run else ())
    consents = Consent.objects.filter(_consents_of(people, gone.joinings | set(joined)), erased_at=None)
    users: dict[int, set[Any]] = defaultdict(set)
    for person in people:
        users[person.terms.agreement].update(row.user_id for row in person.rows if row.user_id is not None)
    # Of each agreement its own: in another one the same person's term may not have begun.
    theirs = [Q(notice__edition__agreement=agreement, user__in=keys) for agreement, keys in users.items() if keys]
    told = Delivery.objects.filter(reduce(or_, theirs)) if theirs else Delivery.objects.none()
    told = told.exclude(address_digest="").exclude(notice__edition__in=held.editions)
    done = {"people": len(people), "joinings": len(joined), "withdrawals": len(left)}
    if dry_run:
        gone.moments.update(row.account_deleted_at for person in people for row in person.rows if row.erased_at is None)
        done |= {"deliveries": told.count(), "consents": _nobodys(consents, at, gone, dry_run=True)}
    elif people:
        nobody = {"pseudonym": "", "pseudonym_key": "", "erased_at": at}
        alias = router.db_for_write(Acceptance)
        with transaction.atomic(using=alias):
            Acceptance.objects.using(alias).filter(pk__in=joined).update(ip=None, user_agent="", user=None, **nobody)
            done["deliveries"] = told.using(alias).update(address_digest="")
            done["consents"] = _nobodys(consents.using(alias), at, gone, dry_run=False)
            # A living account keeps its link to the withdrawal: without it the gate would let it in as a newcomer.
            Withdrawal.objects.using(alias).filter(pk__in=[row.pk for row in left]).update(
                applicant="", application_number="", scan="", **nobody
            )
    return _plus(total, **done)


def _scans_deleted(person: Person) -> bool:
    """Delete the scans of this person's applications; is none of them left?"""
    for row in person.left:
        if row.scan:
            storage, name = row.scan.storage, str(row.scan.name)
            try:
                storage.delete(name)
                if not Path(storage.path(name)).parent.is_dir():  # Moved, or not mounted: then so is the file.
                    raise FileNotFoundError(name)
            except OSError as error:
                logger.warning("N109 scan of withdrawal %s is not deleted: %s", row.pk, type(error).__name__)
                return False
    return True


def _erase_told(deliveries: Any, at: datetime, gone: Gone, *, dry_run: bool) -> int:
    """Erase who those deliveries went to, of deleted accounts: of those about whom nothing else is kept any more, and
    whose time since the deletion is what the edition they were told of states. How many there are.

    """
    done = 0
    left = deliveries.filter(account_deleted_at__lte=at).exclude(address_digest="", pseudonym="")
    pairs: Any = left.order_by().values_list("account_deleted_at", "notice__edition").distinct()
    stated = dict(Edition.objects.published().values_list("pk", "retention_years"))
    for moment, edition in list(pairs):
        if _years_later(moment, stated[edition]) > at or _kept(moment) > gone.moments[moment]:
            continue
        told = left.filter(account_deleted_at=moment, notice__edition=edition)
        nobody = {"address_digest": "", "pseudonym": "", "pseudonym_key": ""}
        done += told.count() if dry_run else told.update(**nobody)
    return done


def _erase_consents(consents: Any, at: datetime, gone: Gone, *, dry_run: bool) -> int:
    """Erase whose those consents were, of deleted accounts that joined nothing and about whom nothing else is kept:
    after the longest term that any edition states. How many there are.
    """
    done = 0
    stated = Edition.objects.published().aggregate(longest=Max("retention_years"))["longest"]
    years = conf.retention_years() if stated is None else stated
    left = consents.filter(account_deleted_at__lte=at, erased_at=None)
    for moment in list(left.order_by().values_list("account_deleted_at", flat=True).distinct()):
        if _years_later(moment, years) <= at and _kept(moment) <= gone.moments[moment]:
            done += _nobodys(left.filter(account_deleted_at=moment), at, gone, dry_run=dry_run)
    return done


def _nobodys(consents: Any, at: datetime, gone: Gone, *, dry_run: bool) -> int:
    """Erase whose those consents were; how many there are."""
    if not dry_run:
        return int(consents.update(user=None, pseudonym="", pseudonym_key="", erased_at=at))
    fresh = set(consents.values_list("pk", flat=True)) - gone.consents
    gone.consents |= fresh
    return len(fresh)


def _erase_strangers(
    told: Any, consents: Any, held: Collection[Any], at: datetime, total: Tally, gone: Gone, *, dry_run: bool
) -> Tally:
    """Where the site was closed: the same of living accounts about whom no joining or withdrawal is kept.

    Of an agreement where somebody joined or left it, ``_erase()`` sees to him.
    """
    closed = conf.closed_at()
    if closed is None or closed > at:
        return total
    mine: dict[str, Any] = {"user": OuterRef("user"), "erased_at": None}
    joined, left = Acceptance.objects.filter(**mine), Withdrawal.objects.filter(**mine)
    stated = list(Edition.objects.published().values_list("pk", "agreement", "retention_years"))
    for edition, agreement, years in stated:
        if _years_later(closed, years) <= at:
            rows = told.filter(~Exists(joined.filter(edition__agreement=agreement)), notice__edition=edition)
            rows = rows.filter(~Exists(left.filter(agreement=agreement)))
            rows = rows.filter(user__isnull=False).exclude(user__in=held).exclude(address_digest="")
            total = _plus(total, deliveries=rows.count() if dry_run else rows.update(address_digest=""))
    if _years_later(closed, max((years for *_of, years in stated), default=conf.retention_years())) <= at:
        rows = consents.filter(~Exists(joined), ~Exists(left), user__isnull=False, erased_at=None)
        total = _plus(total, consents=_nobodys(rows.exclude(user__in=held), at, gone, dry_run=dry_run))
    return total


def _kept(moment: datetime) -> int:
    """How many joinings and withdrawals of accounts deleted at that moment are not erased. 2 queries."""
    rows = (Acceptance.objects, Withdrawal.objects)
    return sum(each.filter(account_deleted_at=moment, erased_at=None).count() for each in rows)


def _consents_of(people: list[Person], gone: Collection[int]) -> Q:
    """Those of people about whom no joining is kept in any agreement, but the ``gone``. 1 query."""
    rows = [row for person in people for row in person.rows]
    users = {row.user_id for row in rows if row.user_id is not None}
    named = {row.pseudonym for row in rows if row.pseudonym}
    theirs = Acceptance.objects.filter(Q(user__in=users) | Q(pseudonym__in=named), erased_at=None).order_by()
    kept = [whose for pk, *whose in theirs.values_list("pk", "user", "pseudonym") if pk not in gone]
    users -= {user for user, _name in kept}
    named -= {name for _user, name in kept}
    living = Q(user__in=users)
    if not conf.closed_at():
        living &= Q(withdrawn_at__isnull=False)
    return living | Q(pseudonym__in=named, user=None)


def _years_later(at: datetime, years: int) -> datetime:
    """The same day so many years later, 1 March for 29 February: never a day too early, nor an hour where the zone's
    offset changed meanwhile.
    """
    at = at.astimezone(timezone.get_default_timezone())
    try:
        return at.replace(year=at.year + years)
    except ValueError:
        return at.replace(year=at.year + years, month=3, day=1)


def _plus(total: Tally, **more: int) -> Tally:
    return Tally(**{name: getattr(total, name) + more.get(name, 0) for name in Tally.__dataclass_fields__})
