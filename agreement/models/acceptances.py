"""Acceptances: which user accepted which edition, when and how. Rows are added and not deleted, also if the account is
deleted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar, cast

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import ValidationError
from django.db import connections, models, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import F, Q
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from agreement import conf, signals
from agreement.models import pseudonyms
from agreement.models.agreements import Agreement
from agreement.models.deliveries import Delivery
from agreement.models.displayed_texts import DisplayedText
from agreement.models.editions import Edition
from agreement.models.fields import LANGUAGE_CHOICES, InstantField, UserKey
from agreement.models.membership import Membership, overtaken, unbound
from agreement.models.notices import DESCRIBING, Notice
from agreement.models.personal import Personal, PersonalQuerySet
from agreement.models.succession import EDITION_DATES_FIELDS, EditionDates, State
from agreement.models.withdrawals import Withdrawal, WithdrawalQuerySet
from agreement.text import languages

User = TypeVar("User", bound=models.Model)


class StaleEditionError(ValidationError):
    """The edition can't be accepted or declined at the moment in question (normally now), or it does not exist or does
    not have the given digest. Nothing was recorded. ``code`` is ``stale_edition``.
    """

    def __init__(self, edition: object) -> None:
        super().__init__(
            _("Nothing was recorded: %(edition)s is not the edition in force."),
            code="stale_edition",
            params={"edition": edition},
        )


class WithdrawnError(ValidationError):
    """The user withdrew and has not accepted since, and this kind of acceptance does not let them accept again. Nothing
    was recorded. ``code`` is ``withdrawn``.
    """

    def __init__(self, withdrawal: Withdrawal) -> None:
        super().__init__(
            _("Nothing was recorded: because of application %(number)s, the agreement is %(outcome)s."),
            code="withdrawn",
            params={"outcome": withdrawal.get_outcome_display(), "number": withdrawal.reference},
        )


class ContradictionError(ValidationError):
    """An earlier row of the same call of ``import_history()`` states another moment or language for this acceptance,
    which is of the same edition by the same user in the same round. Nothing was recorded. ``earlier`` is the place of
    that earlier row in the argument ``rows`` of the call, counted from 0. ``code`` is ``contradiction``.
    """

    def __init__(self, earlier: int) -> None:
        super().__init__(_("Another row states another moment or language for this acceptance."), code="contradiction")
        self.earlier = earlier


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoricAcceptance:
    """An acceptance from before the site had this app. ``user`` and ``edition`` are primary keys, and ``at`` is the
    moment of the acceptance. ``language`` is that of the accepted text, or ``""`` if it is not known.
    """

    user: UserKey
    edition: int
    language: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestDetails:
    """The details of a request that an acceptance or a decline records: the IP address and the browser (the header
    ``User-Agent``). One that the site does not record or that is not known is ``None`` (``ip``) or ``""``
    (``user_agent``).
    """

    ip: str | None = None
    user_agent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequiredAcceptance:
    """What a user must have accepted of one agreement at some instant: one of the editions in ``counting``. ``edition``
    is the edition in force.
    """

    agreement: int
    """The primary key of the agreement."""
    edition: int
    """The primary key of the edition in force."""
    digest: str
    """The digest of the edition in force."""
    counting: tuple[int, ...]
    """The primary keys of the editions of which an acceptance is sufficient at that instant, among them that in force:
    see :func:`agreement.models.succession.sufficient_editions`."""
    by_use: bool
    """Do users accept this agreement by using the site?"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _NewAcceptance:
    """An acceptance that is to be written. ``edition`` is a primary key. ``at`` is the moment of the acceptance, and
    ``recorded_at`` the present moment. ``round`` is one more than the number of the user's withdrawals from the
    agreement that took effect at ``at`` or earlier; a refused one takes no effect.
    """

    round: int
    user_key: UserKey
    edition: int
    digest: str
    language: str
    kind: str
    at: datetime
    recorded_at: datetime
    request_details: RequestDetails = RequestDetails()
    reason: str = ""
    officer: str = ""
    displayed: DisplayedText | None = None


class _Accepted(NamedTuple):
    """The columns of an acceptance by which it is decided whether the user may accept again, and in which round. The
    acceptance is stored, or is to be written. The names are those of the columns.
    """

    user_id: UserKey
    edition_id: int
    kind: str
    round: int
    at: datetime
    recorded_at: datetime


class AcceptanceKind(models.TextChoices):
    """How an acceptance was given."""

    DEEMED = "deemed", _("by using the site")
    EXPLICIT = "explicit", _("by confirmation")
    ON_BEHALF = "on_behalf", _("recorded by an officer")
    IMPORTED = "imported", pgettext_lazy("acceptance", "imported history")


class AcceptanceQuerySet(PersonalQuerySet["Acceptance"]):
    def for_user_key(self, user_key: UserKey) -> Self:
        """The acceptances of the user with that primary key, the earliest first, also after the account was deleted.

        Those of a deleted account are found only if the site still has the key of their pseudonym. Acceptances of which
        the personal data was erased are not found.
        """
        return super().for_user_key(user_key).order_by("at", "pk")

    def users_without(self, users: models.QuerySet[User], editions: Iterable[int]) -> models.QuerySet[User]:
        """Those of these users who accepted none of these editions, or withdrew after they last accepted one of them.

        A withdrawal counts if it suspended or ended the agreement at the present moment or earlier. It is after an
        acceptance if it took effect after the acceptance, or was registered after the acceptance was recorded.
        ``editions`` are primary keys of editions of one agreement; if there are none, all of these users are returned.
        The call makes at most 1 query, which asks whether any user withdrew from that agreement. The returned queryset
        is not evaluated.
        """
        editions = list(editions)
        withdrawals = Withdrawal.objects.in_effect().filter(user__isnull=False).order_by()
        withdrawn = Agreement.objects.using(users.db).filter(
            editions__in=editions, pk__in=withdrawals.values("agreement")
        )
        accepted = self.filter(edition__in=editions, user=models.OuterRef("pk"))
        if withdrawn:
            accepted = accepted.exclude(overtaken(withdrawals.filter(agreement__in=list(withdrawn))))
        return users.filter(~models.Exists(accepted))

    def record(
        self,
        *,
        user: AbstractBaseUser | AnonymousUser,
        edition: Edition,
        digest: str,
        language: str,
        kind: str,
        at: datetime | None = None,
        request_details: RequestDetails | None = None,
        reason: str = "",
        officer: str = "",
        displayed: DisplayedText | None = None,
    ) -> Acceptance:
        """Record that this user accepts this edition, and return the row, with the attribute ``created``. If the user
        accepted the edition before and did not withdraw since, the row of that acceptance is returned, even if the
        edition is not in force any more; ``created`` is then false. Imported history is also recognised by its moment,
        so that it can be recorded again after a withdrawal without a second row.

        ``user`` must be a stored account. ``digest`` is that of the edition that was displayed, and ``language`` the
        language of the displayed text (for a deemed acceptance: the language in which the site was read). A new
        acceptance is possible if the edition is in force at the moment of the acceptance. An explicit acceptance may
        also be of the next edition to take effect, if the setting ``ACCEPT_ANNOUNCED`` is on. A lock stops publication,
        cancellation and withdrawal in this agreement until the transaction ends. ``at`` is the moment of imported
        history, which is not in the future. For every other kind it must be ``None``, because the user accepts now.
        After the commit of a new row, the signal ``acceptance_recorded`` is sent.

        ``displayed`` is the HTML that the accept page displayed, stored or not: see
        :meth:`agreement.models.displayed_texts.DisplayedTextQuerySet.find`. A new row names its version and digest, and
        the HTML is stored with it. It is possible only for the kind ``explicit``, and it must be of this edition and
        language. ``None`` means that the app does not know in which form the text was displayed.

        The kind ``explicit`` requires the language ``kk`` or ``ru``. The kind ``on_behalf``, which an officer records,
        requires ``reason`` and ``officer``. Otherwise the database refuses the new row with ``IntegrityError``.

        If the user withdrew before, the new row ends the withdrawal and begins a new round. A deemed acceptance can't
        do that. If the withdrawal does not let the user accept again, only the kind ``on_behalf`` is possible.

        Raises :class:`StaleEditionError` if the edition has another digest, or if it can't be accepted at the moment of
        the acceptance and there is no earlier row to return. Raises :class:`WithdrawnError` if the user withdrew, has
        not accepted since, and this kind of acceptance does not let them accept again. Raises ``ValueError`` if the
        user is anonymous or has no primary key, if ``at`` does not suit ``kind``, or if ``displayed`` does not suit the
        other arguments. Nothing is recorded then. Usually 4 queries (5 on SQLite), one of which locks. There is 1 more
        for imported history, 1 more if the user withdrew from the agreement before, and 1 more if the signal has
        receivers. A new row with ``displayed`` costs 1 more, and another 1 if its HTML was not stored before.
        """
        if user.pk is None:
            msg = f"{user!r} is not a stored account, so nothing can be recorded for it."
            raise ValueError(msg)
        if (at is None) == (kind == AcceptanceKind.IMPORTED) or (at and at > timezone.now()):
            msg = f"{str(kind)!r} can't have at={at}: imported history needs an instant in the past, other kinds None."
            raise ValueError(msg)
        if displayed and (kind, edition.pk, language) != (
            AcceptanceKind.EXPLICIT,
            displayed.edition_id,
            displayed.language,
        ):
            msg = f"{displayed} can't be what was displayed for {str(kind)!r} of {edition} in {language!r}."
            raise ValueError(msg)
        alias = router.db_for_write(self.model)
        with transaction.atomic(using=alias):
            locked = _locked(Agreement.objects.filter(pk=edition.agreement_id).values_list("pk"), alias)
            now = locked[0][-1] if locked else timezone.now()
            of_user = self.using(alias).filter(edition=edition, digest=digest, user=user.pk)
            if at and (known := of_user.filter(kind=AcceptanceKind.IMPORTED, at=at).first()):
                known.created = False
                return known
            at = at or now
            withdrawals = list(_withdrawals(user.pk, at).using(alias).filter(agreement=edition.agreement_id))
            acceptances = self.using(alias).filter(user=user.pk, edition__agreement=edition.agreement_id)
            new = _NewAcceptance(
                round=_open_round(withdrawals, acceptances if withdrawals else [], kind=kind, at=at),
                user_key=user.pk,
                edition=edition.pk,
                digest=digest,
                language=language,
                kind=kind,
                request_details=request_details or RequestDetails(),
                at=at,
                recorded_at=now,
                reason=reason,
                officer=officer,
                displayed=displayed,
            )
            created = self._insert_new(alias, new)
            if created and displayed:
                DisplayedText.objects.store(displayed)
            found = of_user.filter(round=new.round).first()
            if found is None:
                raise StaleEditionError(edition)
        found.created = created
        return found

    def import_history(
        self, rows: Sequence[HistoricAcceptance], *, agreement: int, dry_run: bool = False
    ) -> list[bool | ValidationError]:
        """Record acceptances from before the site had this app, by the rules of :meth:`record` in the order of the
        rows, and return the outcome of each row. ``True``: it is new; it is recorded if no row has an error. ``False``:
        the user accepted this edition before, by a row of the database or an earlier one of these rows, which stays
        unchanged. An error states why the row can't be recorded: :class:`StaleEditionError`, :class:`WithdrawnError` or
        :class:`ContradictionError`.

        If no row has an error, the new ones are recorded; otherwise nothing is. ``agreement`` is the primary key of the
        agreement of all rows. All rows of one user must be in one call, because a row may contradict an earlier one or
        be possible only after it. With ``dry_run`` nothing is recorded or locked. Raises ``ValueError`` if a moment is
        in the future. After the commit, the signal ``acceptance_recorded`` is sent for each new row.

        At most 3 queries with ``dry_run``, otherwise at most 5 (6 on SQLite) and the inserts, each of which writes many
        rows. If the signal has receivers, there is 1 more for each new row. Without ``dry_run`` a lock stops
        publication, cancellation and withdrawal in this agreement until the transaction ends. A caller with many rows
        therefore divides them into several calls, each with a transaction of its own.
        """
        alias = router.db_for_write(self.model)
        with nullcontext() if dry_run else transaction.atomic(using=alias):
            now = timezone.now()
            if not dry_run and (locked := _locked(Agreement.objects.filter(pk=agreement).values_list("pk"), alias)):
                now = locked[0][-1]
            outcomes = self._check_history(alias, rows, agreement=agreement, now=now)
            new = [one for one in outcomes if isinstance(one, _NewAcceptance)]
            recorded = {_key(one) for one in new}
            if not dry_run and not any(isinstance(one, ValidationError) for one in outcomes):
                recorded = self._insert_history(alias, new, now=now)
        return [
            one if isinstance(one, ValidationError) else one is not None and _key(one) in recorded for one in outcomes
        ]

    def _check_history(
        self, alias: str, rows: Sequence[HistoricAcceptance], *, agreement: int, now: datetime
    ) -> list[_NewAcceptance | ValidationError | None]:
        """What is to be written for each of these rows, in their order: a new acceptance, ``None`` because the user has
        accepted already, or the error because of which the row can't be recorded. ``agreement`` is a primary key, and
        ``now`` is the present moment. Nothing is written. Raises ``ValueError`` if a moment is after ``now``. At most 3
        queries.
        """
        users = {row.user for row in rows}
        dates = Edition.objects.using(alias).published().filter(agreement=agreement).order_by("number")
        editions = [EditionDates(*values) for values in dates.values_list(*EDITION_DATES_FIELDS)]
        withdrawals: dict[UserKey, list[Withdrawal]] = defaultdict(list)
        in_effect = Withdrawal.objects.using(alias).in_effect(now).select_related("agreement")
        for withdrawal in in_effect.filter(agreement=agreement, user__in=users):
            withdrawals[withdrawal.user_id].append(withdrawal)
        acceptances: dict[UserKey, list[_Accepted]] = defaultdict(list)
        stored = self.using(alias).filter(edition__in=[edition.pk for edition in editions], user__in=users)
        for values in stored.order_by("pk").values_list(*_Accepted._fields):
            acceptances[values[0]].append(_Accepted(*values))
        history = _History(
            rows=rows, now=now, editions=editions, withdrawals=withdrawals, acceptances=acceptances, first={}
        )
        outcomes: list[_NewAcceptance | ValidationError | None] = []
        for place in range(len(rows)):
            try:
                outcomes.append(history.accept(place))
            except ValidationError as error:
                outcomes.append(error)
        return outcomes

    def _insert_history(
        self, alias: str, acceptances: Sequence[_NewAcceptance], *, now: datetime
    ) -> set[tuple[UserKey, int, int]]:
        """Write these acceptances, which are recorded at ``now``, and return the keys of those that were written: user,
        edition and round. One is not written if another transaction has recorded it since it was checked, which is not
        possible on SQLite. After the commit, the signal ``acceptance_recorded`` is sent for each that was written. At
        most 1 query and the inserts, before the commit.
        """
        rows = [
            Acceptance(
                edition_id=new.edition,
                digest=new.digest,
                **{_field(name).attname: value for name, value in _values(new).items()},
            )
            for new in acceptances
        ]
        # SQLite's trigger refuses an insert that would be ignored.
        ignore_conflicts = connections[alias].vendor == "postgresql"
        self.using(alias).bulk_create(rows, ignore_conflicts=ignore_conflicts)
        written = self.using(alias).filter(
            kind=AcceptanceKind.IMPORTED,
            recorded_at=now,
            edition__in={new.edition for new in acceptances},
            user__in={new.user_key for new in acceptances},
        )
        keys = set(written.order_by().values_list("user", "edition", "round"))
        if signals.acceptance_recorded.has_listeners(Acceptance):
            for user_key, edition, _round in keys:
                send = partial(_send_signal, alias, user_key=user_key, edition=edition)
                transaction.on_commit(send, using=alias, robust=True)
        return keys

    def with_current(self, user_key: UserKey) -> Self:
        """The acceptances that are linked to the account of that user, annotated with ``current``. It is false if a
        withdrawal from the same agreement, whose moment of effect has come, took effect after the acceptance or was
        registered after the acceptance was recorded. Otherwise it is true, also if the edition is not in force or was
        cancelled. A refused withdrawal has no effect. The queryset is not evaluated.
        """
        withdrawals = _withdrawals(user_key).filter(agreement=models.OuterRef("edition__agreement"))
        return self.filter(user=user_key).annotate(current=~overtaken(withdrawals))

    def withdrawal_in_effect(
        self, *, user_key: UserKey, agreement: int, at: datetime | None = None
    ) -> Withdrawal | None:
        """The withdrawal by which the agreement with that user is suspended or ended at that instant (now); ``None`` if
        the user did not withdraw by then or has accepted since, up to that instant. ``agreement`` is a primary key. At
        most 2 queries.

        If the user withdrew several times since they last accepted, it is the strictest withdrawal: one that does not
        let the user accept again goes first, then one that ended the agreement, then the one that was registered last.
        """
        (rows,) = self.withdrawals_in_effect(users=[user_key], agreement=agreement, at=at).values() or ([],)
        return max(rows, key=Withdrawal.strictness, default=None)

    def withdrawals_in_effect(
        self, *, users: Iterable[UserKey], agreement: int, at: datetime | None = None
    ) -> dict[UserKey, list[Withdrawal]]:
        """User key → the withdrawals because of which the agreement with that user is
        suspended or ended at that instant (now), the last registered first. ``users``
        are primary keys. A user without such a withdrawal is not in the result.

        These are the withdrawals whose moment of effect has come by that instant, and that took effect after the user's
        last acceptance up to that instant or were registered after it was recorded. If the user has accepted nothing by
        then, they are all whose moment of effect has come. Refused ones are left out. ``agreement`` is a primary key.
        At most 2 queries.
        """
        withdrawals: dict[UserKey, list[Withdrawal]] = {}
        for row in Withdrawal.objects.in_effect(at).filter(agreement=agreement, user__in=list(users)):
            withdrawals.setdefault(row.user_id, []).append(row)
        if not withdrawals:
            return {}
        accepted = self.filter(user__in=withdrawals, edition__agreement=agreement)
        acceptances: dict[UserKey, list[Acceptance]] = {}
        for acceptance in accepted.filter(at__lte=at) if at else accepted:
            acceptances.setdefault(acceptance.user_id, []).append(acceptance)
        memberships = {
            user: Membership(acceptances=acceptances.get(user, []), withdrawals=rows)
            for user, rows in withdrawals.items()
        }
        return {user: rows for user, one in memberships.items() if (rows := one.withdrawals_in_effect)}

    def record_deemed(
        self,
        *,
        user: AbstractBaseUser | AnonymousUser,
        requirements: Iterable[RequiredAcceptance],
        language: str,
        request_details: RequestDetails | None = None,
        is_use: bool = True,
    ) -> dict[int, bool]:
        """Record the deemed acceptances of a user who uses the site.

        Returns a dictionary: the primary key of each required agreement that binds this user and that they have not
        accepted, before or in this call → whether the user withdrew from it and has accepted no edition of it since.
        The user has accepted an agreement if they accepted an edition in ``counting`` of its requirement and did not
        withdraw since.

        ``is_use``: is this request a use of the site? If so, an acceptance of the edition in force is recorded for each
        agreement that is accepted by use and that the user has not accepted. It is not recorded if the user withdrew
        and has accepted no edition since, because a deemed acceptance does not end a withdrawal. If ``is_use`` is
        false, nothing is recorded. If another edition takes effect, the user withdraws, or another request records the
        acceptance at this moment, this call does not record it, and the agreement is in the result. The next call
        decides again.

        ``user`` must be signed in. At most 1 query, and 1 insert for each acceptance; the receivers of the signal cost
        1 more query for each. The query also locks the agreements that it finds against publication, cancellation and
        withdrawal. It does not lock on SQLite, nor if ``is_use`` is false or no required agreement is accepted by use.
        After the commit, the signal ``acceptance_recorded`` is sent for each new row.
        """
        alias = router.db_for_write(self.model)
        required = {one.agreement: one for one in requirements}
        by_use = {key for key, one in required.items() if one.by_use and is_use}
        # On SQLite a lock is a write, and the request of a user who has already accepted must not wait for one.
        locks = bool(by_use) and connections[alias].vendor != "sqlite"
        open_agreements: dict[int, bool] = {}
        with transaction.atomic(using=alias) if locks else nullcontext():
            rows = self._not_accepted(user.pk, required)
            for key, round_, withdrawn, now in _locked(rows, alias) if locks else _with_clock(rows.using(alias)):
                new = _NewAcceptance(
                    round=round_,
                    user_key=user.pk,
                    edition=required[key].edition,
                    digest=required[key].digest,
                    language=language,
                    kind=AcceptanceKind.DEEMED,
                    request_details=request_details or RequestDetails(),
                    at=now,
                    recorded_at=now,
                )
                if not (key in by_use and not withdrawn and self._insert_new(alias, new)):
                    open_agreements[key] = bool(withdrawn)  # SQLite gives an integer.
        return open_agreements

    def _not_accepted(
        self, user_key: UserKey, required: dict[int, RequiredAcceptance]
    ) -> models.QuerySet[Agreement, tuple[int, int, bool]]:
        """For each required agreement that binds the user and of which they have accepted no edition that counts: its
        primary key, the round that the user is in, and whether the user withdrew and has accepted no edition since. The
        rows are in the order of the keys. Acceptances that a withdrawal overtook do not count. Withdrawals that are
        refused or not in effect yet are not considered. The queryset is not evaluated.
        """
        overtaking = _withdrawals(user_key).filter(agreement=models.OuterRef("edition__agreement"))
        accepted = self.filter(~overtaken(overtaking), user=user_key, edition__agreement=models.OuterRef("pk"))
        counting = accepted.filter(edition__in=[key for one in required.values() for key in one.counting])
        agreements = Agreement.objects.filter(pk__in=required)
        if outside := unbound(user_key):
            agreements = agreements.exclude(outside)
        withdrawals = _withdrawals(user_key).filter(agreement=models.OuterRef("pk"))
        withdrawn = models.Case(models.When(round_=1, then=False), default=~models.Exists(accepted))
        return (
            agreements.annotate(round_=1 + _count(withdrawals))
            .annotate(withdrawn=withdrawn)
            .exclude(models.Exists(counting))
            .order_by("pk")
            .values_list("pk", "round_", "withdrawn")
        )

    def _insert_new(self, alias: str, new: _NewAcceptance) -> bool:
        """Write the row if that edition, with that digest, may be accepted at the moment ``new.at``, and the user is in
        that round then. Returns whether the row was written. It is not written if the user has accepted the edition in
        that round already. If it was written, the signal ``acceptance_recorded`` is sent after the commit. 1 insert.

        One statement checks the edition, counts the withdrawals of the user and writes the row.
        """
        connection = connections[alias]
        # The edition that takes effect next may be accepted in advance, if the site allows it.
        announced = conf.get().ACCEPT_ANNOUNCED and new.kind == AcceptanceKind.EXPLICIT
        deemed = new.kind == AcceptanceKind.DEEMED
        columns = _columns(connection, new)
        user, moment = columns["user"], columns["at"]
        params = [
            *columns.values(),
            *([user, moment] if deemed else []),
            *(new.edition, new.digest),
            *[moment] * (3 if announced else 2),
            *(user, new.round),
            *(user, moment, new.round - 1),
        ]
        with connection.cursor() as cursor:
            cursor.execute(_insert_sql(connection, columns, deemed=deemed, announced=announced), params)
            created = bool(cursor.rowcount > 0)
        if created and signals.acceptance_recorded.has_listeners(Acceptance):
            send = partial(_send_signal, alias, user_key=new.user_key, edition=new.edition)
            transaction.on_commit(send, using=alias, robust=True)
        return created


_INSERT = """
INSERT INTO {acceptances} ({columns}, notice_sent, edition_id, digest)
SELECT {marks}, {notice_sent}, e.id, e.digest FROM {editions} e
WHERE e.id = %s AND e.digest = %s AND e.cancelled_at IS NULL AND {allowed}
AND NOT EXISTS (
  SELECT 1 FROM {acceptances} a WHERE a.edition_id = e.id AND a.user_id = %s AND a.round = %s
) AND (
  SELECT COUNT(*) FROM {withdrawals} w WHERE w.agreement_id = e.agreement_id AND w.user_id = %s
  AND w.outcome <> 'refused' AND w.effective_at <= %s
) = %s {conflict}
"""
_IN_FORCE = """e.effective_from <= %s AND NOT EXISTS (
  SELECT 1 FROM {editions} later WHERE later.agreement_id = e.agreement_id AND later.cancelled_at IS NULL
  AND later.effective_from > e.effective_from AND later.effective_from <= %s
)"""
# In force, or the next one to take effect.
_IN_FORCE_OR_NEXT = """e.published_at <= %s AND NOT EXISTS (
  SELECT 1 FROM {editions} later WHERE later.agreement_id = e.agreement_id AND later.cancelled_at IS NULL
  AND later.effective_from > e.effective_from AND later.effective_from <= %s
) AND NOT EXISTS (
  SELECT 1 FROM {editions} sooner WHERE sooner.agreement_id = e.agreement_id AND sooner.cancelled_at IS NULL
  AND sooner.effective_from < e.effective_from AND sooner.effective_from > %s
)"""
_NOTICE_SENT = """EXISTS (
  SELECT 1 FROM {deliveries} d JOIN {notices} n ON n.id = d.notice_id
  WHERE n.edition_id = e.id AND n.kind IN ({kinds}) AND d.user_id = %s AND d.outcome = 'sent' AND d.outcome_at <= %s
)"""


AcceptanceManager = models.Manager.from_queryset(AcceptanceQuerySet)


class Acceptance(Personal):
    """One user accepted one edition. There is at most one row for each edition, user and round.

    ``at`` is the moment of the acceptance. ``recorded_at`` is the same moment, except for imported history, which is
    recorded later. ``renderer`` and ``html_digest`` name the row of :class:`DisplayedText` that contains the HTML which
    the accept page displayed. They are empty for any other acceptance, because the app then does not know in which form
    the text was displayed. ``round`` is one more than the number of the user's withdrawals from the agreement that were
    registered when the row was written and had taken effect by ``at``; refused ones do not count. ``notice_sent`` is
    null unless the acceptance is deemed; then it says whether the notice of the publication of the edition, or its
    reminder, had been sent to the user by then. ``reason`` and ``officer`` are those of an acceptance that an officer
    recorded.
    """

    # The index of the unique key begins with the edition, so the column needs no index of its own.
    edition = models.ForeignKey(
        Edition, on_delete=models.PROTECT, related_name="acceptances", db_index=False, verbose_name=_("edition")
    )
    digest = models.CharField(_("digest (SHA-256)"), max_length=64, editable=False)
    language = models.CharField(_("language"), max_length=16, blank=True)
    renderer = models.PositiveSmallIntegerField(_("display version"), null=True, blank=True, editable=False)
    html_digest = models.CharField(
        _("digest of the displayed HTML (SHA-256)"), max_length=64, blank=True, editable=False
    )
    kind = models.CharField(_("kind"), max_length=9, choices=AcceptanceKind.choices)
    at = InstantField(_("when"))
    # The same moment as ``at``, except for imported history, which is recorded later than it happened.
    recorded_at = InstantField(_("recorded"), default=timezone.now, editable=False)
    # A user who withdraws and accepts again begins another round.
    round = models.PositiveSmallIntegerField(_("round"), default=1, editable=False)
    notice_sent = models.BooleanField(_("notice already sent"), null=True)
    reason = models.TextField(_("reason"), blank=True)
    officer = models.CharField(_("officer"), max_length=255, blank=True)
    ip = models.GenericIPAddressField(_("IP address"), null=True, blank=True)
    user_agent = models.CharField(_("browser"), max_length=255, blank=True)

    if TYPE_CHECKING:
        edition_id: int
        created: bool
        current: bool

        def get_kind_display(self) -> str: ...

    objects = AcceptanceManager()

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("acceptance")
        verbose_name_plural = _("acceptances")
        constraints = [
            models.UniqueConstraint(fields=["edition", "user", "round"], name="agreement_acceptance_once"),
            models.CheckConstraint(
                condition=Q(kind="explicit", language__in=languages.LANGUAGES) | ~Q(kind="explicit"),
                name="agreement_acceptance_explicit_language",
            ),
            models.CheckConstraint(
                condition=Q(kind="deemed", notice_sent__isnull=False) | ~Q(kind="deemed") & Q(notice_sent__isnull=True),
                name="agreement_acceptance_notice_sent",
            ),
            models.CheckConstraint(
                condition=~Q(kind="on_behalf") | (~Q(reason="") | Q(erased_at__isnull=False)) & ~Q(officer=""),
                name="agreement_acceptance_on_behalf",
            ),
            models.CheckConstraint(
                condition=Q(html_digest="", renderer__isnull=True)
                | Q(kind="explicit", renderer__isnull=False) & ~Q(html_digest=""),
                name="agreement_acceptance_html",
            ),
            models.CheckConstraint(condition=Q(recorded_at__gte=F("at")), name="agreement_acceptance_recorded"),
            models.CheckConstraint(
                condition=Q(erased_at__isnull=True)
                | Q(erased_at__gte=F("at"), ip__isnull=True, user_agent="", reason="", pseudonym="", pseudonym_key=""),
                name="agreement_acceptance_erased_complete",
            ),
        ]
        indexes = [
            # How many users accepted, over time.
            models.Index(fields=["edition", "at"], name="agreement_acceptance_when"),
            models.Index(fields=["pseudonym"], condition=~Q(pseudonym=""), name="agreement_acceptance_pseudonym"),
        ]

    @property
    def displayed(self) -> bool:
        """True for an explicit acceptance, which a user gives by confirmation while the text is displayed; false for
        every other kind.
        """
        return self.kind == AcceptanceKind.EXPLICIT

    @property
    def language_name(self) -> str:
        """The name of ``language`` in the active language; ``language`` itself if it is neither ``kk`` nor ``ru``."""
        return str(dict(LANGUAGE_CHOICES).get(self.language, self.language))

    def __str__(self) -> str:
        return f"{self.edition}, {self.get_kind_display()}"


def _withdrawals(user_key: UserKey, at: datetime | None = None) -> WithdrawalQuerySet:
    """The withdrawals that suspended or ended any agreement with that user by that instant (now). Only the moment of
    effect counts, not the moment of registration.
    """
    return Withdrawal.objects.in_effect(at).filter(user=user_key)


def _open_round(
    withdrawals: Iterable[Withdrawal], acceptances: Iterable[Acceptance | _Accepted], *, kind: str, at: datetime
) -> int:
    """The round in which a user may accept at that instant: 1 plus the number of their withdrawals that took effect by
    then. The rows must be those of the user in the agreement, without refused withdrawals. Rows of a later instant are
    ignored.

    Raises :class:`WithdrawnError` if the user withdrew, has not accepted since, and that kind of acceptance does not
    let them accept again.
    """
    effective = [row for row in withdrawals if row.effective_at and row.effective_at <= at]
    membership = Membership(acceptances=[row for row in acceptances if row.at <= at], withdrawals=effective)
    withdrawal = max(membership.withdrawals_in_effect, key=Withdrawal.strictness, default=None)
    # An officer may record any acceptance. A user, or imported history, only one that the withdrawal allows.
    allowed = kind != AcceptanceKind.DEEMED and (withdrawal is None or withdrawal.may_accept_again)
    if withdrawal and not allowed and kind != AcceptanceKind.ON_BEHALF:
        raise WithdrawnError(withdrawal)
    return 1 + len(effective)


def _count(withdrawals: WithdrawalQuerySet) -> Coalesce:
    """An expression for the number of these withdrawals, which are all about one agreement; 0 if there are none."""
    counted = withdrawals.order_by().values("agreement").annotate(times=models.Count("pk")).values("times")
    return Coalesce(models.Subquery(counted), 0)


def _locked(agreements: models.QuerySet[Agreement, tuple[Any, ...]], alias: str) -> list[tuple[Any, ...]]:
    """The rows of ``agreements``, a queryset with ``values_list()``, each with one more value: the present moment,
    which is read after the lock. On PostgreSQL it is that of the clock of the database, otherwise of this process.
    These agreements are locked against publication, cancellation and withdrawal until the transaction ends. Call it
    inside a transaction. 1 query, 2 on SQLite.

    On PostgreSQL, transactions with this lock do not wait for each other. ``Agreement.lock()`` and this lock wait for
    each other. On SQLite the lock is a write, which locks the database.
    """
    if connections[alias].vendor == "postgresql":
        sql, params = agreements.using(alias).query.sql_with_params()
        with connections[alias].cursor() as cursor:
            locked = f"{sql} FOR SHARE OF agreement_agreement"
            cursor.execute(f"SELECT locked.*, clock_timestamp() FROM ({locked}) AS locked", params)  # noqa: S608 - only names and constants of the app
            return cast("list[tuple[Any, ...]]", cursor.fetchall())
    agreements.using(alias).update(slug=F("slug"))
    return _with_clock(agreements.using(alias))


def _with_clock(agreements: models.QuerySet[Agreement, tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The rows of ``agreements``, each with the present moment by the clock of this process as one more value. Locks
    nothing. 1 query.
    """
    return [(*row, timezone.now()) for row in agreements]


@dataclass(frozen=True, kw_only=True)
class _History:
    """Rows of imported history of one agreement, its editions, and the withdrawals and acceptances of the users of
    these rows in it.
    """

    rows: Sequence[HistoricAcceptance]
    now: datetime
    editions: Sequence[EditionDates]
    """All sealed editions of the agreement, in the order of their numbers."""
    withdrawals: dict[UserKey, list[Withdrawal]]
    """Those that took effect by now, also if the user accepted again since."""
    acceptances: dict[UserKey, list[_Accepted]]
    """Those of the database, and those that :meth:`accept` adds. A missing user is added."""
    first: dict[tuple[UserKey, int, int], int]
    """User, edition and round → the place of the first row with them that may be recorded or was recorded before."""

    @cached_property
    def _editions(self) -> dict[int, tuple[EditionDates, datetime | None]]:
        """Key → edition, and the moment at which the next one that was not cancelled takes effect. That moment is
        ``None`` if there is no such edition, and for every cancelled edition.
        """
        binding = [edition for edition in self.editions if edition.cancelled_at is None]
        next_from = {one.pk: later.effective_from for one, later in pairwise(binding)}
        return {edition.pk: (edition, next_from.get(edition.pk)) for edition in self.editions}

    def accept(self, place: int) -> _NewAcceptance | None:
        """Return the acceptance that is to be written for the row at that place, counted from 0. Its columns are added
        to ``acceptances``. Call it for one row after the other.

        The result is ``None``, and nothing is added, if the user has accepted the edition already in the round of that
        moment, or has accepted it by imported history of the same moment in any round. But if an earlier row has the
        same user, edition and round, and another moment or language, :class:`ContradictionError` is raised instead.

        Also raises :class:`StaleEditionError` or :class:`WithdrawnError`, and ``ValueError`` if the moment is in the
        future. 0 queries.
        """
        row, kind = self.rows[place], AcceptanceKind.IMPORTED
        if row.at > self.now:
            msg = f"Imported history needs an instant in the past: {row}."
            raise ValueError(msg)
        of_user = self.acceptances[row.user]
        of_edition = [one for one in of_user if one.edition_id == row.edition]
        known = next((one for one in of_edition if one.kind == kind and one.at == row.at), None)
        round_ = known.round if known else _open_round(self.withdrawals[row.user], of_user, kind=kind, at=row.at)
        accepted = any(one.round == round_ for one in of_edition)
        edition, next_from = self._editions.get(row.edition, (None, None))
        if not accepted and (edition is None or edition.state(row.at, lambda: next_from) != State.IN_FORCE):
            raise StaleEditionError(edition.number if edition else row.edition)
        earlier = self.rows[self.first.setdefault((row.user, row.edition, round_), place)]
        if (earlier.at, earlier.language) != (row.at, row.language):
            raise ContradictionError(self.first[row.user, row.edition, round_])
        if accepted or edition is None:
            return None
        of_user.append(_Accepted(row.user, edition.pk, kind, round_, row.at, self.now))
        return _NewAcceptance(
            round=round_,
            user_key=row.user,
            edition=edition.pk,
            digest=edition.digest,
            language=row.language,
            kind=kind,
            at=row.at,
            recorded_at=self.now,
        )


def _key(new: _NewAcceptance) -> tuple[UserKey, int, int]:
    """The unique key of the row: the user, the edition and the round. A user's withdrawal from the agreement begins a
    new round.
    """
    return new.user_key, new.edition, new.round


def _values(new: _NewAcceptance) -> dict[str, Any]:
    """Name of the field → the value to be written, as the field has it in Python. The language, the browser and the
    officer are cut to the length of their columns. The edition, the digest and ``notice_sent`` are not contained.
    """
    pseudonym, displayed = pseudonyms.primary(new.user_key), new.displayed
    return {
        "language": new.language[:16],
        "renderer": displayed.renderer if displayed else None,
        "html_digest": displayed.digest if displayed else "",
        "kind": str(new.kind),
        "at": new.at,
        "recorded_at": new.recorded_at,
        "user": new.user_key,
        "pseudonym": pseudonym.digest,
        "pseudonym_key": pseudonym.key,
        "ip": new.request_details.ip,
        "user_agent": new.request_details.user_agent[:255],
        "reason": new.reason,
        "officer": new.officer[:255],
        "round": new.round,
    }


def _columns(
    connection: BaseDatabaseWrapper, new: _NewAcceptance
) -> dict[str, Any]:  # Values of any column, as the database adapter takes them.
    """Name of the field → the value to be written: those of ``_values()``, the moments of the acceptance and of its
    recording among them, in the form that the database adapter takes. The edition, the digest and ``notice_sent`` are
    not contained, because the statement reads them from the database. The remaining columns of the row stay empty.
    """
    values = _values(new)
    return {name: _field(name).get_db_prep_save(value, connection=connection) for name, value in values.items()}


def _insert_sql(connection: BaseDatabaseWrapper, names: Iterable[str], *, deemed: bool, announced: bool) -> str:
    """The statement that writes the fields ``names``, and the edition, the digest and ``notice_sent``. It contains no
    text from outside.

    ``deemed``: does the row record whether the notice was sent? If not, ``notice_sent`` is ``NULL``. ``announced``: may
    the edition also be the next one to take effect?
    """
    quote = connection.ops.quote_name
    columns = [quote(str(_field(name).column)) for name in names]
    parts = {
        "acceptances": quote(Acceptance._meta.db_table),
        "editions": quote(Edition._meta.db_table),
        "notices": quote(Notice._meta.db_table),
        "deliveries": quote(Delivery._meta.db_table),
        "withdrawals": quote(Withdrawal._meta.db_table),
        "kinds": ", ".join(f"'{kind.value}'" for kind in DESCRIBING),
        "columns": ", ".join(columns),
        "marks": ", ".join(["%s"] * len(columns)),
        "conflict": "ON CONFLICT DO NOTHING" if connection.vendor == "postgresql" else "",
    }
    parts["notice_sent"] = _NOTICE_SENT.format(**parts) if deemed else "NULL"
    parts["allowed"] = (_IN_FORCE_OR_NEXT if announced else _IN_FORCE).format(**parts)
    return _INSERT.format(**parts)


def _field(name: str) -> models.Field[Any, Any]:  # A field of any type.
    return cast("models.Field[Any, Any]", Acceptance._meta.get_field(name))


def _send_signal(alias: str, *, user_key: UserKey, edition: int) -> None:
    row = Acceptance.objects.using(alias).filter(user=user_key, edition=edition).order_by("round").last()
    signals.acceptance_recorded.send_robust(sender=Acceptance, acceptance=row)
