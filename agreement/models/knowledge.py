"""Which editions a user knows, and therefore which changes a notice describes to them.

A user knows an edition if a notice of its publication or a reminder was sent to them and did not come back, or if they
opened such a notice on the site. If the edition is cancelled, they must have opened the notice before that. They also
know an edition that they accepted by confirmation. A deemed acceptance is no knowledge, because no text was displayed.
An acceptance that was imported or recorded by an officer is none either.

:meth:`History.since` decides by these records with which earlier edition a notice compares its edition for one user.
The notice then covers the later editions up to its own, except cancelled ones.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache, cached_property
from typing import NamedTuple

from django.contrib.auth.models import AbstractBaseUser
from django.db import connections, router
from django.db.models import Exists, F, OuterRef, Q, Value
from django.db.models.functions import Coalesce

from agreement.memory import remembered
from agreement.models.acceptances import Acceptance, AcceptanceKind
from agreement.models.deliveries import Delivery, DeliveryOutcome
from agreement.models.editions import Edition
from agreement.models.fields import UserKey
from agreement.models.notices import DESCRIBING, Notice, NoticeRead
from agreement.models.progress import Progress


class SealedEdition(NamedTuple):
    """The columns of a sealed edition that decide with which earlier edition a notice compares a later one."""

    number: int
    effective_from: datetime
    cancelled_at: datetime | None
    imported: bool


class Told(NamedTuple):
    """A record by which a user knows an edition: the primary keys of the user and of the agreement, and the number of
    the edition. ``since`` is the number of the edition with which the message to the user compared it; 0 if it compared
    with none, or if this is not recorded.
    """

    user: UserKey
    agreement: int
    number: int
    since: int


@dataclass(frozen=True, kw_only=True)
class History:
    """The sealed editions of one agreement in the order of their numbers, and the notices that describe them: primary
    key → number of the edition. ``returned`` is true if a message of any notice of the agreement, also one of another
    kind, counts as returned in the :class:`Progress` of its notice.
    """

    editions: tuple[SealedEdition, ...]
    notices: Mapping[int, int]
    returned: bool

    @classmethod
    def read(cls, agreements: Collection[int]) -> dict[int, History]:
        """Read the histories of the agreements with these primary keys, and return them by key. At most 1 query."""
        editions: dict[int, dict[int, SealedEdition]] = defaultdict(dict)
        notices: dict[int, dict[int, int]] = defaultdict(dict)
        rows = Edition.objects.using(router.db_for_write(Edition)).published().filter(agreement__in=agreements)
        columns = ("agreement", "notices", "notices__kind", "notices__progress__bounced", *SealedEdition._fields)
        returned = set()
        for agreement, notice, kind, bounced, *row in rows.values_list(*columns):
            edition = SealedEdition(*row)
            editions[agreement][edition.number] = edition
            if kind in DESCRIBING:
                notices[agreement][notice] = edition.number
            if bounced:
                returned.add(agreement)
        return {
            key: cls(editions=tuple(editions[key].values()), notices=notices[key], returned=key in returned)
            for key in agreements
        }

    @classmethod
    def of(cls, notice: Notice) -> History:
        """Read the history of the agreement of this notice. 1 query, if the edition is loaded."""
        agreement = notice.edition.agreement_id
        return cls.read([agreement])[agreement]

    def since(self, *, before: int, told: Iterable[Told] = (), created_at: datetime | None = None) -> int:
        """The number of the edition with which a notice about the edition number ``before`` compares it, for a user of
        whom the records ``told`` exist and whose account was created at ``created_at`` (``None``: this is not known). 0
        if there is none. The result is never a cancelled edition.

        At first the user knows the edition that :meth:`beginning` returns. A record adds its edition to the known ones
        if that has a number less than ``before``, and if the message of the record left out no change: the edition with
        which it compared (``since``) is not cancelled, and its number is not higher than that of an edition that the
        user knows already. A record whose ``since`` is 0 always meets the second condition. The result is the highest
        known edition or, if that is cancelled, the last one before it that is not.
        """
        known, cancelled = self.beginning(before=before, created_at=created_at), self.cancelled
        for row in sorted(told, key=lambda row: row.since):
            if row.number < before and row.since <= known and row.since not in cancelled:
                known = max(known, row.number)
        return self.last(known, before=before)

    def beginning(self, *, before: int, created_at: datetime | None = None) -> int:
        """The number of the edition with which the changes begin for a user who knows none; 0 if there is none.

        Only editions with a number less than ``before`` that were not cancelled are considered. It is the last of them
        that had taken effect when the account was created or that was imported: earlier changes happened before the
        account, or before the site had this app. The first of them counts as imported if it was published without a
        notice, because the site states by this that it changes nothing.
        """
        binding = self._binding(before)
        silent = binding and binding[0].number not in self.notices.values()
        imported = [edition.number for edition in binding if edition.imported]
        in_force = [edition.number for edition in binding if created_at and edition.effective_from <= created_at]
        return max([0, *([binding[0].number] if silent else []), *imported, *in_force])

    def last(self, number: int, *, before: int) -> int:
        """The highest number, at most ``number`` and less than ``before``, of an edition that was not cancelled; 0 if
        there is none.
        """
        return max((edition.number for edition in self._binding(before) if edition.number <= number), default=0)

    @staticmethod
    def version(agreement: int) -> tuple[int, ...]:
        """Numbers that change whenever the history of the agreement with this primary key changes. 1 query, which takes
        a small part of the time of :meth:`read`.
        """
        with connections[router.db_for_write(Edition)].cursor() as cursor:
            cursor.execute(_version_sql(), [agreement] * 3)
            return tuple(cursor.fetchone())

    @cached_property
    def cancelled(self) -> set[int]:
        """The numbers of the cancelled editions."""
        return {edition.number for edition in self.editions if edition.cancelled_at}

    def _binding(self, before: int) -> list[SealedEdition]:
        return [edition for edition in self.editions if edition.number < before and not edition.cancelled_at]


@remembered
@cache
def _version_sql() -> str:
    """The statement of :meth:`History.version`: how many editions are published and how many of them are cancelled, how
    many notices there are, and how many mails of them were returned. It is written in SQL, because it runs once for
    each batch. Its parameters are three times the agreement.
    """
    edition, notice, progress = (model._meta.db_table for model in (Edition, Notice, Progress))
    of_notice = f"FROM {notice} JOIN {edition} ON {edition}.id = edition_id"
    of_progress = f"{of_notice} JOIN {progress} ON {notice}.id = notice_id"
    return (
        f"SELECT COUNT(published_at), COUNT(cancelled_at), (SELECT COUNT(*) {of_notice} WHERE agreement_id = %s),"  # noqa: S608 - only names of the app
        f" (SELECT COALESCE(SUM(bounced), 0) {of_progress} WHERE agreement_id = %s) FROM {edition}"
        " WHERE agreement_id = %s"
    )


def base_number(notice: Notice, history: History) -> int:
    """The number of the edition with which this notice compares its edition for a user who was sent every earlier
    notice that was sent to anybody; 0 if there is none, and for a notice that describes no changes. ``history`` is that
    of the agreement. At most 1 query, if the edition is loaded.
    """
    if notice.kind not in DESCRIBING:
        return 0
    agreement, before = notice.edition.agreement_id, notice.edition.number or 0
    sent = Progress.objects.filter(notice__in=list(history.notices), sent__gt=0).values_list("notice", flat=True)
    told = [Told(None, agreement, history.notices[pk], 0) for pk in sent]
    return history.since(before=before, told=told)


def since_by_user(
    *,
    notice: Notice,
    history: History,
    users: Collection[UserKey],
    created_at: Callable[[Collection[UserKey]], Mapping[UserKey, datetime | None]],
) -> dict[UserKey, int]:
    """Primary key of each of these users → the number of the edition with which this notice compares its edition for
    them (:meth:`History.since`); 0 if there is none, and for a notice that describes no changes.

    ``created_at`` is called at most once, with those of the users of whom the sent notices alone do not show that they
    know the last edition before that of this notice. It returns the moments when their accounts were created; a missing
    key or ``None`` means that this is not known. ``history`` is that of the agreement, and the edition of the notice
    must be loaded. At most 2 queries, and those of ``created_at``.
    """
    if notice.kind not in DESCRIBING:
        return dict.fromkeys(users, 0)
    before, agreement = notice.edition.number or 0, notice.edition.agreement_id
    if not (last := history.last(before, before=before)):
        return dict.fromkeys(users, 0)
    informed: set[UserKey] = set()
    if newest := [pk for pk, number in history.notices.items() if last <= number < before]:
        # Most users of a site were sent every notice. Their records are not read one by one.
        rows = Delivery.objects.primary().filter(outcome=DeliveryOutcome.SENT, notice__in=newest, user__in=users)
        if history.returned or history.cancelled:
            of_user = Delivery.objects.filter(user=OuterRef("user"), notice__in=list(history.notices))
            rows = rows.exclude(
                Exists(of_user.filter(Q(returns__gt=F("returns_before")) | Q(since__in=history.cancelled)))
            )
        informed = set(rows.values_list("user", flat=True))
    told: dict[UserKey, list[Told]] = defaultdict(list)
    others = set(users) - informed
    for row in read_told({agreement: history}, users=others, before=before):
        told[row.user].append(row)
    created = created_at(others) if others else {}
    since = {user: history.since(before=before, told=told[user], created_at=created.get(user)) for user in others}
    return dict.fromkeys(informed, last) | since


def since_by_notice(user: AbstractBaseUser, notices: Iterable[Notice]) -> dict[int, int]:
    """Primary key of each of these notices → the number of the edition with which it compares its edition for this user
    (:meth:`History.since`); 0 if there is none, and for a notice that describes no changes. The editions of the notices
    must be loaded. 2 queries; none if there are no notices.
    """
    notices, created_at = list(notices), getattr(user, "date_joined", None)
    histories = History.read({notice.edition.agreement_id for notice in notices}) if notices else {}
    told: dict[int, list[Told]] = defaultdict(list)
    for row in read_told(histories, users=[user.pk]) if notices else ():
        told[row.agreement].append(row)

    def since(notice: Notice) -> int:
        key, before = notice.edition.agreement_id, notice.edition.number or 0
        return histories[key].since(before=before, told=told[key], created_at=created_at)

    return {notice.pk: since(notice) if notice.kind in DESCRIBING else 0 for notice in notices}


def read_told(
    histories: Mapping[int, History], *, users: Collection[UserKey], before: int | None = None
) -> Iterable[Told]:
    """Return the records by which these users know editions: notices that were sent to them and did not come back,
    notices that they opened on the site, and acceptances by confirmation. An opened notice about an edition that was
    then cancelled counts only if it was opened before the cancellation. ``histories`` maps the primary keys of the
    agreements in question to their histories. With ``before``, notices about editions with that number or a higher one
    are left out, but acceptances are not. At most 1 query; none if there are no users.
    """
    if not users:
        return []
    notices = [
        pk for history in histories.values() for pk, number in history.notices.items() if not before or number < before
    ]
    alias, edition = router.db_for_write(Delivery), ("notice__edition__agreement", "notice__edition__number")
    sent = Delivery.objects.primary().filter(outcome=DeliveryOutcome.SENT, returns=F("returns_before"))
    sent = sent.filter(notice__in=notices, user__in=users).annotate(told_since=Coalesce("since", Value(0)))
    # The page describes no changes of an edition that is cancelled already.
    described = Q(notice__edition__cancelled_at=None) | Q(read_at__lt=F("notice__edition__cancelled_at"))
    read = NoticeRead.objects.using(alias).filter(described, notice__in=notices, user__in=users)
    accepted = Acceptance.objects.using(alias).filter(
        kind=AcceptanceKind.EXPLICIT, user__in=users, edition__agreement__in=list(histories)
    )
    rows = sent.order_by().values_list("user", *edition, "told_since")
    others = (
        read.annotate(told_since=Value(0)).order_by().values_list("user", *edition, "told_since"),
        accepted.annotate(told_since=Value(0))
        .order_by()
        .values_list("user", "edition__agreement", "edition__number", "told_since"),
    )
    return [Told(*row) for row in rows.union(*others)]
