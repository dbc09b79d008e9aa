"""Who joined which edition, when and how: rows that are only ever added.

A row says no more than what happened. Whoever joined by entering the site was shown no text, and the row says so; it
says in which language the site was read, and whether this user's notice had been sent by then. The account may go:
the row stays, under a pseudonym.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Self

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connections, models, router, transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from agreement import conf, pseudonyms, signals
from agreement.models.agreements import Agreement
from agreement.models.deliveries import Delivery
from agreement.models.editions import Edition
from agreement.models.fields import LEAVE_EVIDENCE, InstantField
from agreement.models.notices import Notice
from agreement.models.withdrawals import Withdrawal


class Stale(ValidationError):
    """Nothing was recorded: the edition named is not the one that may be joined. ``code`` is ``stale_edition``."""

    def __init__(self, edition: object) -> None:
        super().__init__(
            _("%(edition)s is not the edition in force: nothing was recorded."),
            code="stale_edition",
            params={"edition": edition},
        )


class Outside(ValidationError):
    """Nothing was recorded: this user has left, and may not join again by himself. ``code`` is ``outside``."""

    def __init__(self, departure: Withdrawal) -> None:
        super().__init__(
            _("The agreement is %(outcome)s by withdrawal %(number)s: nothing was recorded."),
            code="outside",
            params={"outcome": departure.get_outcome_display(), "number": departure.reference},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a request came from, as far as the site records it and it can be known."""

    ip: str | None = None
    user_agent: str = ""


class AcceptanceQuerySet(models.QuerySet["Acceptance"]):
    def of(self, user_key: object) -> Self:
        """What that user joined, the account living or deleted, the earliest first.

        Of a deleted account only what was recorded under a key the site still has.
        """
        found = Q(user=user_key)
        for pseudonym in pseudonyms.read(user_key):
            found |= Q(pseudonym=pseudonym.digest, pseudonym_key=pseudonym.key)
        return self.filter(found).order_by("at", "pk")

    def missing(self, users: models.QuerySet[Any], editions: Iterable[int]) -> models.QuerySet[Any]:
        """Those of the users who have joined none of these editions of an agreement, or have left it since.

        An anti-join, on the index of the unique key; the rounds of whoever left are counted for himself alone. Asks at
        once whether anybody did (1 query): where nobody has, the plain anti-join is the answer, and twice as fast.
        """
        editions, left = list(editions), Withdrawal.objects.departures().filter(user__isnull=False).order_by()
        gone = Agreement.objects.using(users.db).filter(editions__in=editions, pk__in=left.values("agreement"))
        theirs = self.filter(edition__in=editions, user=models.OuterRef("pk"))
        if gone:
            his = left.filter(agreement__in=list(gone), user=models.OuterRef("user"))
            theirs = theirs.filter(~models.Exists(his) | Q(round=1 + _times(his, by="user")))
        return users.filter(~models.Exists(theirs))

    def record(
        self,
        *,
        user: Any,
        edition: Edition,
        digest: str,
        language: str,
        kind: str,
        at: datetime | None = None,
        origin: Origin | None = None,
        reason: str = "",
        officer: str = "",
    ) -> Acceptance:
        """Bind that user to that edition, once: a second call gives the first one's row, and ``made`` is false on it.

        ``digest`` is that of the text the user was shown, ``language`` the one he was shown it in (for a deemed
        joining: the one he read the site in). The edition must be in force, and stay so until this is committed:
        nobody publishes meanwhile. Imported history names the instant ``at`` it happened; all else happens now.

        Whoever has left the agreement joins it again by this, in a round of its own; not by entering.

        Raises :class:`Stale`, or :class:`Outside` where joining again is an officer's to record, and records nothing.
        4 queries, of which one locks.
        """
        if (at is None) == (kind == Acceptance.Kind.IMPORTED) or (at and at > timezone.now()):
            msg = f"{str(kind)!r} can't be of {at}: history names its past instant, all else is now."
            raise ValueError(msg)
        alias = router.db_for_write(self.model)
        with transaction.atomic(using=alias):
            _held(Agreement.objects.filter(pk=edition.agreement_id).values_list("pk"), alias)
            at = at or timezone.now()
            departure = self.departure(user_key=user.pk, agreement=edition.agreement_id, at=at)
            # An officer's word opens everything; the user's own, or history's, what he may join again.
            shut = departure and (kind == Acceptance.Kind.DEEMED or not departure.may_rejoin)
            if departure and shut and kind != Acceptance.Kind.ON_BEHALF:
                raise Outside(departure)
            round_ = 1 + _departures(user.pk, at).filter(agreement=edition.agreement_id).count()
            made = self._join(
                alias,
                round_=round_,
                user=user,
                edition=edition.pk,
                digest=digest,
                language=language,
                kind=kind,
                at=at,
                origin=origin or Origin(),
                reason=reason,
                officer=officer,
            )
            found = self.using(alias).filter(edition=edition, digest=digest, user=user, round=round_).first()
            if found is None:
                raise Stale(edition)
        found.made = made
        return found

    def with_current(self, user_key: Any) -> Self:
        """Annotate that user's joinings with ``current``: does it count still, or has he left since?"""
        left = _departures(user_key).filter(agreement=models.OuterRef("edition__agreement"))
        current = models.Case(models.When(round=1 + _times(left, by="agreement"), then=True), default=False)
        return self.filter(user=user_key).annotate(current=current)

    def departure(self, *, user_key: Any, agreement: int, at: datetime | None = None) -> Withdrawal | None:
        """The withdrawal by which that user is outside the agreement at that instant (now), if he is. 2 queries.

        Of several since he joined last the strictest: none opens what another one shut.
        """
        (rows,) = self.departed(users=[user_key], agreement=agreement, at=at).values() or ([],)
        strictest: Withdrawal | None = max(rows, key=Withdrawal.strictness, default=None)
        return strictest

    def departed(self, *, users: Iterable[Any], agreement: int, at: datetime | None = None) -> dict[Any, list[Any]]:
        """User key → the departures since that user joined last, of those who are outside the agreement at that instant
        (now). 1 query, 2 if any of them ever left.
        """
        left: dict[Any, list[Any]] = {}
        for row in Withdrawal.objects.departures(at).filter(agreement=agreement, user__in=list(users)):
            left.setdefault(row.user_id, []).append(row)
        if not left:
            return {}
        joined = self.filter(user__in=left, edition__agreement=agreement).order_by("round", "at")
        joined = joined.filter(at__lte=at) if at else joined
        last = {user: moments for user, *moments in joined.values_list("user", "at", "recorded_at")}
        since = {
            user: [row for row in rows if user not in last or row.follows(*last[user])] for user, rows in left.items()
        }
        return {user: rows for user, rows in since.items() if rows}

    def deem(
        self, *, user: Any, asked: Iterable[Asked], language: str, origin: Origin | None = None, enters: bool = True
    ) -> dict[int, bool]:
        """Record what entering the site means; the keys of the agreements this user has still not joined, and whether
        he is outside because he left: then entering joins nothing, only his own word does.

        Where an agreement is joined by entering, and ``enters`` says that this is an entry, the edition in force is
        recorded. 1 query, which locks what is to be recorded, and 1 insert for each agreement joined now. Where
        another edition takes effect, or the user leaves, at this very moment nothing is recorded, and the next
        request sees to it.
        """
        alias = router.db_for_write(self.model)
        each = {one.agreement: one for one in asked}
        entered = {key for key, one in each.items() if one.by_entering and enters}
        mine = self.filter(user=user, edition__agreement=models.OuterRef("pk"), round=models.OuterRef("round_"))
        joined = mine.filter(edition__in=[pk for one in each.values() for pk in one.holds])
        departures = _departures(user.pk).filter(agreement=models.OuterRef("pk"))
        missing = (
            Agreement.objects.filter(pk__in=each)
            .annotate(round_=1 + _times(departures, by="agreement"))
            .annotate(outside=models.Case(models.When(round_=1, then=False), default=~models.Exists(mine)))
            .exclude(models.Exists(joined))
        )
        # SQLite locks when it writes, and a reader who joined long ago has nothing to wait for.
        locks = bool(entered) and connections[alias].vendor != "sqlite"
        with transaction.atomic(using=alias) if locks else nullcontext():
            rows = missing.order_by("pk").values_list("pk", "round_", "outside")
            left = {}
            for key, round_, outside in _held(rows, alias) if locks else rows.using(alias):
                made = (key in entered and not outside) and self._join(
                    alias,
                    round_=round_,
                    user=user,
                    edition=each[key].edition,
                    digest=each[key].digest,
                    language=language,
                    kind=Acceptance.Kind.DEEMED,
                    origin=origin or Origin(),
                )
                if not made:
                    left[key] = bool(outside)
        return left

    def _join(
        self,
        alias: str,
        *,
        round_: int,
        user: Any,
        edition: int,
        digest: str,
        language: str,
        kind: str,
        origin: Origin,
        at: datetime | None = None,
        reason: str = "",
        officer: str = "",
    ) -> bool:
        """Write the row if that edition, with that digest, may be joined at that instant (now), and the user is in that
        round then; was it written? 1 insert.

        One statement finds the edition in force, counts the user's departures and writes, so nothing comes between.
        """
        connection = connections[alias]
        pseudonym, now = pseudonyms.write(user.pk), timezone.now()
        at = at or now
        constants = {
            "language": language[:16],
            "kind": str(kind),
            "at": at,
            "recorded_at": now if kind == Acceptance.Kind.IMPORTED else at,
            "user": user,
            "pseudonym": pseudonym.digest,
            "pseudonym_key": pseudonym.key,
            "ip": origin.ip,
            "user_agent": origin.user_agent[:255],
            "reason": reason,
            "officer": officer[:255],
            "round": round_,
        }
        fields: dict[str, Any] = {name: Acceptance._meta.get_field(name) for name in constants}
        values = {
            name: fields[name].get_db_prep_save(getattr(value, "pk", value), connection=connection)
            for name, value in constants.items()
        }
        quote = connection.ops.quote_name
        names = {
            "acceptances": quote(Acceptance._meta.db_table),
            "editions": quote(Edition._meta.db_table),
            "notices": quote(Notice._meta.db_table),
            "deliveries": quote(Delivery._meta.db_table),
            "withdrawals": quote(Withdrawal._meta.db_table),
            "columns": ", ".join(quote(str(field.column)) for field in fields.values()),
            "marks": ", ".join(["%s"] * len(fields)),
            "sent": _SENT if kind == Acceptance.Kind.DEEMED else "NULL",
            "conflict": "ON CONFLICT DO NOTHING" if connection.vendor == "postgresql" else "",
        }
        names["sent"] = names["sent"].format(**names)
        sent = [values["user"], values["at"]] if kind == Acceptance.Kind.DEEMED else []
        beforehand = conf.get().JOIN_BEFOREHAND and kind == Acceptance.Kind.EXPLICIT
        allowed, moments = (_NEXT, 3) if beforehand else (_IN_FORCE, 2)
        sql = _INSERT.format(**names, allowed=allowed.format(**names))
        params = [*values.values(), *sent, edition, digest, *[values["at"]] * moments, values["user"], round_]
        params += [values["user"], values["at"], round_ - 1]
        with connection.cursor() as cursor:
            cursor.execute(sql, params)
            made = bool(cursor.rowcount > 0)
        if made and signals.acceptance_recorded.has_listeners(Acceptance):
            of = {"user": user.pk, "edition": edition}
            transaction.on_commit(partial(_announce, alias, of), using=alias, robust=True)
        return made


_INSERT = """
INSERT INTO {acceptances} ({columns}, notice_sent, edition_id, digest)
SELECT {marks}, {sent}, e.id, e.digest FROM {editions} e
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
# In force, or the first one to come.
_NEXT = """e.published_at <= %s AND NOT EXISTS (
  SELECT 1 FROM {editions} later WHERE later.agreement_id = e.agreement_id AND later.cancelled_at IS NULL
  AND later.effective_from > e.effective_from AND later.effective_from <= %s
) AND NOT EXISTS (
  SELECT 1 FROM {editions} sooner WHERE sooner.agreement_id = e.agreement_id AND sooner.cancelled_at IS NULL
  AND sooner.effective_from < e.effective_from AND sooner.effective_from > %s
)"""
_SENT = """EXISTS (
  SELECT 1 FROM {deliveries} d JOIN {notices} n ON n.id = d.notice_id
  WHERE n.edition_id = e.id AND d.user_id = %s AND d.outcome = 'sent' AND d.settled_at <= %s
)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked of every user about one agreement at some instant."""

    agreement: int
    edition: int
    """The one in force."""
    digest: str
    holds: tuple[int, ...]
    """The editions whose joining still holds: the one in force, and those it changed in wording only."""
    by_entering: bool


AcceptanceManager = models.Manager.from_queryset(AcceptanceQuerySet)


class Acceptance(models.Model):
    """One user joined one edition. Append-only: triggers refuse to change or delete a row (see ``triggers``)."""

    class Kind(models.TextChoices):
        DEEMED = "deemed", _("by entering")
        EXPLICIT = "explicit", _("by confirming")
        ON_BEHALF = "on_behalf", _("recorded by an officer")
        IMPORTED = "imported", _("imported history")

    # The unique key begins with the edition, so its own index would be a second one.
    edition = models.ForeignKey(
        Edition, on_delete=models.PROTECT, related_name="acceptances", db_index=False, verbose_name=_("edition")
    )
    digest = models.CharField(_("digest (SHA-256)"), max_length=64, editable=False)
    language = models.CharField(_("language"), max_length=16, blank=True)
    kind = models.CharField(_("kind"), max_length=9, choices=Kind.choices)
    at = InstantField(_("when"))
    # The same moment, but for history, which is written down later than it happened.
    recorded_at = InstantField(_("recorded"), default=timezone.now, editable=False)
    # The evidence outlives the account.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=LEAVE_EVIDENCE, null=True, related_name="+", verbose_name=_("user")
    )
    account_deleted_at = InstantField(_("account deleted"), null=True, blank=True, editable=False)
    pseudonym = models.CharField(_("pseudonym"), max_length=64, blank=True, editable=False)
    pseudonym_key = models.CharField(_("key of the pseudonym"), max_length=32, blank=True, editable=False)
    # Whoever leaves an agreement and joins it again begins another round.
    round = models.PositiveSmallIntegerField(_("round"), default=1, editable=False)
    notice_sent = models.BooleanField(_("notice sent by then"), null=True)
    reason = models.TextField(_("reason"), blank=True)
    officer = models.CharField(_("officer"), max_length=255, blank=True)
    ip = models.GenericIPAddressField(_("IP address"), null=True, blank=True)
    user_agent = models.CharField(_("browser"), max_length=255, blank=True)
    # From this moment the personal columns are empty; they can be emptied together with it alone.
    erased_at = InstantField(_("erased"), null=True, blank=True, editable=False)

    if TYPE_CHECKING:
        edition_id: int
        user_id: Any
        made: bool

        def get_kind_display(self) -> str: ...

    objects: ClassVar[Any] = AcceptanceManager()

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("joining")
        verbose_name_plural = _("joinings")
        constraints = [
            models.UniqueConstraint(fields=["edition", "user", "round"], name="agreement_acceptance_once"),
            models.CheckConstraint(
                condition=Q(kind="explicit", language__in=conf.LANGUAGES) | ~Q(kind="explicit"),
                name="agreement_acceptance_shown_in",
            ),
            models.CheckConstraint(
                condition=Q(kind="deemed", notice_sent__isnull=False) | ~Q(kind="deemed") & Q(notice_sent__isnull=True),
                name="agreement_acceptance_told",
            ),
            models.CheckConstraint(
                condition=~Q(kind="on_behalf") | ~Q(reason="") & ~Q(officer=""),
                name="agreement_acceptance_on_behalf",
            ),
            models.CheckConstraint(condition=Q(recorded_at__gte=F("at")), name="agreement_acceptance_recorded"),
            models.CheckConstraint(
                condition=Q(erased_at__isnull=True)
                | Q(erased_at__gte=F("at"), ip__isnull=True, user_agent="", pseudonym="", pseudonym_key=""),
                name="agreement_acceptance_erased_whole",
            ),
        ]
        indexes = [
            # How many joined, over time.
            models.Index(fields=["edition", "at"], name="agreement_acceptance_when"),
            models.Index(fields=["pseudonym"], condition=~Q(pseudonym=""), name="agreement_acceptance_pseudonym"),
        ]

    @property
    def displayed(self) -> bool:
        """Was the text before the user's eyes? Entering shows none, and of history nothing is claimed."""
        return self.kind == Acceptance.Kind.EXPLICIT

    def __str__(self) -> str:
        return f"{self.edition}, {self.get_kind_display()}"


def _departures(user_key: Any, at: datetime | None = None) -> models.QuerySet[Withdrawal]:
    """What put that user outside an agreement, by that instant (now)."""
    departures: models.QuerySet[Withdrawal] = Withdrawal.objects.departures(at).filter(user=user_key)
    return departures


def _times(departures: models.QuerySet[Withdrawal], *, by: str) -> Any:
    """An expression: how many of the departures there are, all of which are of one user or agreement (``by``)."""
    counted = departures.order_by().values(by).annotate(times=models.Count("pk")).values("times")
    return Coalesce(models.Subquery(counted), 0)


def _held(agreements: Any, alias: str) -> list[Any]:
    """Those rows of agreements, in which nobody publishes until the transaction ends. 1 query.

    Readers who hold one do not wait for each other; ``Agreement.lock()`` waits for all of them.
    """
    if connections[alias].vendor == "postgresql":
        sql, params = agreements.using(alias).query.sql_with_params()
        with connections[alias].cursor() as cursor:
            cursor.execute(f"{sql} FOR SHARE OF agreement_agreement", params)
            return list(cursor.fetchall())
    agreements.using(alias).update(slug=F("slug"))
    return list(agreements.using(alias))


def _announce(alias: str, of: dict[str, Any]) -> None:
    row = Acceptance.objects.using(alias).filter(**of).order_by("round").last()
    signals.acceptance_recorded.send_robust(sender=Acceptance, acceptance=row)
