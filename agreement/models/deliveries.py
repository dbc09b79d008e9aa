"""The ledger of who was told: one row a notice, user and channel; and how far each notice has come.

The ledger is the truth. A row is *waiting* until it is settled, once, as *sent*, *failed* or *skipped*. A worker
claims waiting rows by a lease: while ``lease`` names a worker, ``due_at`` is when the lease runs out and the row
is anybody's again. So a killed worker loses nothing, and nothing needs to notice that it died.

Nobody counts the ledger. A settled row keeps its lease until it has been added to the notice's :class:`Progress`,
which happens once a batch; what a killed worker left uncounted is found by the leases that ran out.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Self

from django.conf import settings
from django.db import connections, models, router, transaction
from django.db.models import Count, Exists, F, OuterRef, Q, Value
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from agreement import identities, pseudonyms
from agreement.models.fields import LEAVE_UNDER_PSEUDONYM, InstantField
from agreement.models.notices import CANCELLED, LANGUAGES, PERHAPS_SENT, Notice, NoticeText, overtaken
from agreement.models.progress import Progress

#: How long a claimed delivery is left to the worker that claimed it. Renewed while it works (design §3.8).
LEASE = timedelta(seconds=30)
#: How many deliveries a worker claims at once: what a killed worker leaves waiting for its lease.
CLAIM = 100
#: Rows that are changed by one statement, where there may be millions.
MANY = 10_000
#: The rank of a user who was never active: after everybody who was.
NEVER = 1_000_000


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def primary(self) -> Self:
        """The same where they are written: a replica may not know yet what a worker has just claimed or settled."""
        return self.using(router.db_for_write(self.model))

    def of(self, user_key: object) -> Self:
        """What that user was told, found by pseudonym once the account is gone, as long as the site has the key."""
        found = Q(user=user_key)
        for pseudonym in pseudonyms.read(user_key):
            found |= Q(pseudonym=pseudonym.digest, pseudonym_key=pseudonym.key)
        return self.filter(found)

    def waiting(self) -> Self:
        """Deliveries without a final state."""
        return self.filter(outcome=Delivery.Outcome.WAITING)

    def settled(self) -> Self:
        """Deliveries with a final state."""
        return self.exclude(outcome=Delivery.Outcome.WAITING)

    def due(self, at: datetime | None = None) -> Self:
        """Waiting deliveries nobody holds (or whose holder's lease ran out), due at that instant (now)."""
        return self.waiting().filter(due_at__lte=at or timezone.now())

    def free(self, at: datetime | None = None) -> Self:
        """Waiting deliveries in nobody's hands at that instant (now), due or not; of a dead worker, once its lease ran
        out.
        """
        return self.waiting().filter(Q(lease="") | Q(due_at__lte=at or timezone.now()))

    def leased(self) -> Self:
        """Deliveries in a worker's hands, alive or dead: waiting, or settled and not counted yet."""
        return self.primary().exclude(lease="")

    def claim(
        self,
        *,
        notice: Notice,
        channel: str,
        size: int = CLAIM,
        at: datetime | None = None,
        due: datetime | None = None,
    ) -> list[Delivery]:
        """Lease up to ``size`` deliveries of a notice in a channel that are due at ``due`` (``at``), and give them: the
        longest due first, among equals the most recently active users first.

        2 queries. Workers on several machines need no coordination: on PostgreSQL each skips the rows
        another is claiming, on SQLite the second write waits for the first and then finds its rows taken.
        """
        lease, at = uuid.uuid4().hex, at or timezone.now()
        primary = self.primary()
        connection = connections[primary.db]
        moment, until = map(connection.ops.adapt_datetimefield_value, (due or at, at + LEASE))
        with connection.cursor() as cursor:
            # One statement: a transaction that reads first may find SQLite locked when it comes to write.
            cursor.execute(_claim(connection.vendor), [lease, until, notice.pk, channel, moment, notice.pk, size])
            if not cursor.rowcount:
                return []
        claimed = list(primary.waiting().filter(lease=lease).order_by("rank", "pk"))
        for delivery in claimed:
            delivery.notice = notice
        return claimed

    def renew(self, *, lease: str, at: datetime | None = None) -> set[int]:
        """Lengthen a lease; the keys of the deliveries it still holds."""
        held = self.primary().waiting().filter(lease=lease)
        held.update(due_at=(at or timezone.now()) + LEASE)
        return set(held.values_list("pk", flat=True))

    def shorten(self, at: datetime | None = None) -> int:
        """Cut leases that end later than any can back to one from now: they were written before the clock was put
        back, and a dead worker's would last as long as the clock was put back. A living worker renews its own long
        before. Twice a lease is left to clocks that differ. 1 query, 2 if there are any; how many.
        """
        at = at or timezone.now()
        ahead = self.leased().filter(due_at__gt=at + 3 * LEASE)
        return ahead.update(due_at=at + LEASE) if ahead.exists() else 0

    def release(self, *, lease: str, due_at: datetime) -> int:
        """Give up what a lease still holds, unsent, until ``due_at``; costs the deliveries no attempt."""
        return self.waiting().filter(lease=lease).update(lease="", due_at=due_at)

    def count_in(self, *, lease: str, at: datetime | None = None) -> int:
        """Add what was settled under a lease to its notice's progress: each delivery once, whoever calls, however
        often, and wherever a caller is killed. At most 5 queries; how many were added.
        """
        settled = self.primary().settled().filter(lease=lease).order_by()
        found = list(settled.values_list("notice", "channel", "outcome", "reason").annotate(Count("pk")))
        if not found:
            return 0
        counted: Counter[str] = Counter()
        for _notice, _channel, outcome, _reason, count in found:
            counted[outcome] += count
        progress = Progress.objects.using(settled.db).filter(notice=found[0][0], channel=found[0][1])
        with transaction.atomic(using=settled.db):
            if settled.update(lease="") != counted.total():  # Somebody else is counting them.
                transaction.set_rollback(True, using=settled.db)
                return 0
            progress.update(
                waiting=F("waiting") - counted.total(),
                began_at=Coalesce("began_at", Value(at or timezone.now()), output_field=models.DateTimeField()),
                latest_at=at or timezone.now(),
                **{outcome: F(outcome) + count for outcome, count in counted.items()},
            )
            progress.add_reasons({(outcome, reason): count for *_whose, outcome, reason, count in found})
        return counted.total()

    def skip(self, *, notice: Notice, reason: str, at: datetime | None = None) -> int:
        """Skip whatever waits of a notice and is in nobody's hands, ``MANY`` rows in a transaction; how many.

        Of a cancelled edition, what a dead worker was about to settle has a reason of its own, and so has what was last
        tried without an answer, of which the ledger has an exception's name alone: the server may have it.
        """
        at = at or timezone.now()
        rows = self.primary().free(at).filter(notice=notice)
        groups = [(rows, reason)]
        if reason == CANCELLED:
            held = rows.exclude(lease="").order_by("-rank", "-pk").values_list("lease", "pk")
            first = dict(held).values()  # The last one written for a lease is the first that was to be sent.
            perhaps = Q(pk__in=first) | Q(attempts__gt=0) & ~Q(reason__contains=" ")
            groups.insert(0, (rows.filter(perhaps), PERHAPS_SENT))
        waiting = Progress.objects.using(rows.db).filter(notice=notice, waiting__gt=0)
        return sum(
            self._move(some, notice, channel, was="waiting", outcome="skipped", reason=why, settled_at=at)
            for channel in waiting.values_list("channel", flat=True)
            for some, why in groups
        )

    def revive(self, *, cancelled: Notice) -> int:
        """Let those be told of earlier editions after all who were to learn of them from the notices of one that was
        cancelled, and never got any; how many. Once nobody is being told of it any more; safe to repeat.
        """
        edition, primary, total = cancelled.edition, self.primary(), 0
        got = self.filter(notice__in=cancelled.others(), user=OuterRef("user"), channel=OuterRef("channel"))
        got = got.filter(outcome=Delivery.Outcome.SENT)
        earlier = Notice.objects.filter(edition__agreement=edition.agreement_id, edition__number__lt=edition.number)
        skipped = Progress.objects.using(primary.db).filter(notice__in=earlier, skipped__gt=0)
        for progress in skipped.select_related("notice"):
            gone = primary.filter(
                notice=progress.notice, channel=progress.channel, outcome=Delivery.Outcome.SKIPPED, lease=""
            ).filter(reason=overtaken(edition.number or 0))
            gone, fresh = gone.filter(~Exists(got)), {"reason": "", "settled_at": None}
            total += self._move(gone, progress.notice, progress.channel, was="skipped", outcome="waiting", **fresh)
        return total

    def _move(self, rows: Self, notice: Notice, channel: str, *, was: str, outcome: str, **columns: Any) -> int:
        """Give rows of one notice and channel another outcome, and the progress its share, ``MANY`` at a time."""
        rows, total = rows.filter(channel=channel).order_by(), 0
        progress = Progress.objects.using(rows.db).filter(notice=notice, channel=channel)
        while True:
            with transaction.atomic(using=rows.db):
                progress.update(waiting=F("waiting"))  # The lock.
                why: Counter[tuple[str, str]] = Counter()
                chosen: Any = rows.values("pk")[:MANY]
                if was in Progress.EXPLAINED:  # Few, and nobody else's while the lock is held.
                    chosen = dict(rows.values_list("pk", "reason")[:MANY])
                    why.subtract((was, reason) for reason in chosen.values())
                # The conditions once more outside: on PostgreSQL a row may have been claimed meanwhile.
                count = rows.filter(pk__in=chosen).update(outcome=outcome, lease="", **columns)
                if not count:
                    return total
                why[outcome, columns.get("reason", "")] += count
                progress.update(**{was: F(was) - count, outcome: F(outcome) + count})
                progress.add_reasons(why)
            total += count

    def resend(self, *, notice: Notice, at: datetime | None = None) -> int:
        """Make the failed deliveries of a notice wait again, their attempts forgotten; how many there were."""
        rows = self.primary().filter(notice=notice, outcome=Delivery.Outcome.FAILED, lease="")
        failed = Progress.objects.using(rows.db).filter(notice=notice, failed__gt=0)
        fresh = {"due_at": at or timezone.now(), "settled_at": None, "attempts": 0, "reason": ""}
        return sum(
            self._move(rows, notice, channel, was="failed", outcome="waiting", **fresh)
            for channel in failed.values_list("channel", flat=True)
        )

    def bounced(self, message_id: str, *, at: datetime | None = None, reason: str = "") -> Bounce | None:
        """Record that a letter came back, once, by its ``Message-ID``; ``None`` if it is none of ours.

        For hosts whose mail server tells them; anymail's webhooks are understood by themselves. ``reason`` is a code
        such as ``"5.1.1"``: it must not hold the address.
        """
        alias = router.db_for_write(Bounce)
        delivery = self.using(alias)._identified(message_id).first()
        if delivery is None:
            return None
        with transaction.atomic(using=alias):
            bounce, made = Bounce.objects.using(alias).get_or_create(
                delivery=delivery, defaults={"at": at or timezone.now(), "reason": reason[:255]}
            )
            if made:
                progress = Progress.objects.using(alias).filter(notice=delivery.notice_id, channel=delivery.channel)
                progress.update(bounced=F("bounced") + 1)
        return bounce

    def reconcile(self, message_ids: Iterable[str], *, at: datetime | None = None) -> int:
        """Settle as sent what waits although the mail server's log has its ``Message-ID``; how many. A part of
        ``dispatch.reconcile()``, which is for the time after a restore.
        """
        at, total = at or timezone.now(), 0
        for message_id in message_ids:
            rows = self.primary()._identified(message_id).free(at)
            if delivery := rows.select_related("notice").first():
                notice, channel = delivery.notice, delivery.channel
                settled = {"settled_at": at, "reason": "found in the mail log"}
                total += self._move(rows, notice, channel, was="waiting", outcome="sent", **settled)
        return total

    def _identified(self, message_id: str) -> Self:
        """The delivery of that ``Message-ID``, if it is one of ours."""
        if (found := identities.read(message_id)) is None:
            return self.none()
        notice, channel, user_key = found
        return self.of(user_key).filter(notice__uuid=notice, channel=channel)

    def uncounted(self, at: datetime | None = None) -> list[str]:
        """Leases of workers that were killed between settling and counting (1 query)."""
        left = self.leased().settled().filter(due_at__lt=at or timezone.now())
        return list(left.order_by().values_list("lease", flat=True).distinct()[:100])


DeliveryManager = models.Manager.from_queryset(DeliveryQuerySet)


class Delivery(models.Model):
    """A notice's copy to one user by one channel. "Sent" means the mail server took it, and no more."""

    class Outcome(models.TextChoices):
        WAITING = "waiting", _("waiting")
        SENT = "sent", _("sent")
        FAILED = "failed", _("failed")
        SKIPPED = "skipped", _("skipped")

    # No index of its own: every index below that a notice is looked for by begins with it.
    notice = models.ForeignKey(
        Notice, on_delete=models.PROTECT, related_name="deliveries", verbose_name=_("notice"), db_index=False
    )
    # The ledger outlives the account.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=LEAVE_UNDER_PSEUDONYM,
        null=True,
        related_name="+",
        verbose_name=_("user"),
    )
    channel = models.CharField(_("channel"), max_length=32)
    # Whole hours since the user was last active, when the delivery was written: who comes first.
    rank = models.PositiveIntegerField(default=0, editable=False)
    language = models.CharField(_("language"), max_length=3, blank=True, choices=LANGUAGES)
    # With notice, channel and language it names the sealed text he got: NoticeText.since.
    since = models.PositiveIntegerField(_("compared with edition"), null=True, blank=True, editable=False)
    outcome = models.CharField(_("outcome"), max_length=8, choices=Outcome.choices, default=Outcome.WAITING)
    reason = models.CharField(_("reason"), max_length=255, blank=True)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    due_at = models.DateTimeField(_("due"))
    lease = models.CharField(max_length=32, blank=True, editable=False)
    settled_at = models.DateTimeField(_("settled"), null=True, blank=True)
    account_deleted_at = InstantField(_("account deleted"), null=True, blank=True, editable=False)
    # Empty while there is an account: ten million rows are found by the user then.
    pseudonym = models.CharField(_("pseudonym"), max_length=64, default="", db_default="", blank=True, editable=False)
    pseudonym_key = models.CharField(
        _("key of the pseudonym"), max_length=32, default="", db_default="", blank=True, editable=False
    )
    # HMAC-SHA256 of the address it went to, if the site has a key for it. The address itself is never kept.
    address_digest = models.CharField(_("digest of the address"), max_length=64, blank=True, editable=False)

    if TYPE_CHECKING:
        notice_id: int
        user_id: Any

    objects = DeliveryManager()

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        constraints = [
            models.UniqueConstraint(fields=["notice", "user", "channel"], name="agreement_delivery_once"),
            models.CheckConstraint(
                condition=Q(outcome="waiting", settled_at__isnull=True)
                | Q(outcome__in=["sent", "failed", "skipped"], settled_at__isnull=False),
                name="agreement_delivery_settled_whole",
            ),
        ]
        indexes = [
            models.Index(
                fields=["notice", "channel", "due_at", "rank", "id"],
                condition=Q(outcome="waiting"),
                name="agreement_delivery_next",
            ),
            models.Index(fields=["notice", "channel"], condition=Q(outcome="failed"), name="agreement_delivery_failed"),
            # What workers hold, and what is settled but not counted: as few rows as there are claims.
            models.Index(fields=["lease"], condition=~Q(lease=""), name="agreement_delivery_leased"),
            # Of deleted accounts: who is looked for, and what is still to be erased.
            models.Index(fields=["pseudonym"], condition=~Q(pseudonym=""), name="agreement_delivery_pseudonym"),
            models.Index(
                fields=["account_deleted_at"],
                condition=Q(account_deleted_at__isnull=False) & ~Q(address_digest="", pseudonym=""),
                name="agreement_delivery_left",
            ),
        ]

    def settle(
        self,
        outcome: Outcome,
        *,
        language: str = "",
        since: int | None = None,
        reason: str = "",
        address_digest: str = "",
        at: datetime | None = None,
        cursor: Any = None,
    ) -> bool:
        """Write the final state, if this worker's lease still holds; ``False`` if another has the row now. By the
        ``cursor`` of whoever settles many: opening one takes half as long as the statement.

        On PostgreSQL nobody waits for the disk here: the process keeps what it settled until ``count_in()`` has, which
        does wait, and writes it again if the server crashed in between (``sending.Round.settle``).

        The row keeps its lease until :meth:`ProgressQuerySet.count` has counted it.
        """
        return self._write(
            cursor,
            outcome=outcome.value,
            language=language,
            since=since,
            reason=_kept(reason),
            address_digest=address_digest,
            settled_at=at or timezone.now(),
        )

    def postpone(self, *, due_at: datetime, reason: str) -> bool:
        """Count a failed attempt and try again at ``due_at``."""
        return self._write(due_at=due_at, reason=_kept(reason), attempts=self.attempts + 1, lease="")

    def _write(self, cursor: Any = None, **columns: Any) -> bool:
        """One statement, in SQL: this runs once a message, and the ORM takes as long to write it as to run it."""
        connection = connections[router.db_for_write(Delivery)]
        if cursor is None:
            with connection.cursor() as own:
                return self._write(own, **columns)
        adapt = connection.ops.adapt_datetimefield_value
        values = [adapt(value) if isinstance(value, datetime) else value for value in columns.values()]
        cursor.execute(_update(tuple(columns), connection.vendor), [*values, self.pk, self.lease])
        return bool(cursor.rowcount)

    @property
    def identity(self) -> str:
        """What stands in the letter's ``Message-ID`` before the ``@``."""
        return identities.write(self.notice.uuid, self.channel, self.user_id)

    @property
    def text(self) -> NoticeText | None:
        """The sealed words this user was sent, if he was. 1 query."""
        texts = NoticeText.objects.filter(notice=self.notice_id, channel=self.channel, language=self.language)
        return texts.filter(since=self.since).first() if self.since is not None else None

    def __str__(self) -> str:
        return f"{self.pk}: {self.get_outcome_display()}"


def _kept(reason: str) -> str:
    """A reason as any database takes it: what a channel was told may hold anything."""
    return "".join(char for char in reason if char.isprintable())[:255]


@cache
def _claim(vendor: str) -> str:
    """In SQL, since it runs once for every hundred messages. The rows are chosen once, whatever plan is made."""
    delivery, notice = Delivery._meta.db_table, Notice._meta.db_table
    chosen = (
        f"SELECT id FROM {delivery} WHERE outcome = 'waiting' AND notice_id = %s AND channel = %s AND due_at <= %s"
        f" AND EXISTS (SELECT 1 FROM {notice} WHERE id = %s AND paused_at IS NULL) ORDER BY due_at, rank, id LIMIT %s"
    )
    among = f"ANY (ARRAY({chosen} FOR UPDATE SKIP LOCKED))" if vendor == "postgresql" else f"({chosen})"
    return f"UPDATE {delivery} SET lease = %s, due_at = %s WHERE id {'=' if vendor == 'postgresql' else 'IN'} {among}"


@cache
def _update(columns: tuple[str, ...], vendor: str) -> str:
    """Nothing in it comes from outside: they are the keyword arguments above."""
    assignments = ", ".join(f"{name} = %s" for name in columns)
    # "||" keeps the planner from the index on leases, where every message of the batch left a dead row.
    whose = "id = %s AND lease || '' = %s AND outcome = 'waiting'"
    sql = f"UPDATE {Delivery._meta.db_table} SET {assignments} WHERE {whose}"
    # For this statement's transaction alone, whatever pools connections.
    swift = " RETURNING set_config('synchronous_commit', 'off', true)"
    return sql + swift if vendor == "postgresql" and "outcome" in columns else sql


class Bounce(models.Model):
    """A letter that came back: a fact with a date of its own. The delivery stays *sent*: the server did take it."""

    delivery = models.ForeignKey(Delivery, on_delete=models.PROTECT, related_name="bounces", verbose_name=_("delivery"))
    at = models.DateTimeField(_("came back"))
    recorded_at = models.DateTimeField(_("recorded"), default=timezone.now, editable=False)
    reason = models.CharField(_("reason"), max_length=255, blank=True)

    if TYPE_CHECKING:
        delivery_id: int

    class Meta:
        verbose_name = _("returned letter")
        verbose_name_plural = _("returned letters")
        constraints = [models.UniqueConstraint(fields=["delivery"], name="agreement_bounce_once")]

    def __str__(self) -> str:
        return f"{self.delivery_id}: {self.reason}"
