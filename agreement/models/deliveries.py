"""The ledger of who was told: one row a notice, user and channel; and how far each notice has come.

The ledger is the truth. A row is *waiting* until it is settled, once, as *sent*, *failed* or *skipped*. A worker
claims waiting rows by a lease: while ``lease`` names a worker, ``due_at`` is when the lease runs out and the row
is anybody's again. So a killed worker loses nothing, and nothing needs to notice that it died.

Nobody counts the ledger. A settled row keeps its lease until it has been added to the notice's :class:`Progress`,
which happens once a batch; what a killed worker left uncounted is found by the leases that ran out.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Self

from django.conf import settings
from django.db import connections, models, router, transaction
from django.db.models import Count, F, Q, Sum, Value
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from agreement.models.notices import LANGUAGES, Notice

#: How long a claimed delivery is left to the worker that claimed it. Renewed while it works (design §3.8).
LEASE = timedelta(seconds=30)
#: How many deliveries a worker claims at once: what a killed worker leaves waiting for its lease.
CLAIM = 100
#: Rows that are changed by one statement, where there may be millions; SQLite takes that many parameters.
MANY = 500
#: The rank of a user who was never active: after everybody who was.
NEVER = 1_000_000


class ProgressQuerySet(models.QuerySet["Progress"]):
    def total(self) -> dict[str, int]:
        """Waiting, sent, failed and skipped deliveries of these notices: the sum of a few rows, never a count."""
        names = ("waiting", *Progress.FINAL)
        sums = self.aggregate(**{f"total_{name}": Coalesce(Sum(name), 0) for name in names})
        return {name: sums[f"total_{name}"] for name in names}


ProgressManager = models.Manager.from_queryset(ProgressQuerySet)


class Progress(models.Model):
    """How far a notice has come in one channel: kept by batch, so that it costs the same at ten million users."""

    #: Its columns are named as the outcomes are.
    FINAL: ClassVar = ("sent", "failed", "skipped")

    notice = models.ForeignKey(Notice, on_delete=models.PROTECT, related_name="progress", verbose_name=_("notice"))
    channel = models.CharField(_("channel"), max_length=32)
    waiting = models.PositiveIntegerField(_("waiting"), default=0)
    sent = models.PositiveIntegerField(_("sent"), default=0)
    failed = models.PositiveIntegerField(_("failed"), default=0)
    skipped = models.PositiveIntegerField(_("skipped"), default=0)
    began_at = models.DateTimeField(_("first batch"), null=True, blank=True)
    latest_at = models.DateTimeField(_("latest batch"), null=True, blank=True)

    if TYPE_CHECKING:
        notice_id: int

    objects = ProgressManager()

    class Meta:
        verbose_name = _("progress")
        verbose_name_plural = _("progress")
        constraints = [
            models.UniqueConstraint(fields=["notice", "channel"], name="agreement_progress_once"),
        ]

    @property
    def audience(self) -> int:
        """How many users the notice is for, as far as their deliveries are written."""
        return self.waiting + self.sent + self.failed + self.skipped

    def __str__(self) -> str:
        return f"{self.notice_id}, {self.channel}: {self.audience - self.waiting}/{self.audience}"


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def waiting(self) -> Self:
        """Deliveries without a final state."""
        return self.filter(outcome=Delivery.Outcome.WAITING)

    def settled(self) -> Self:
        """Deliveries with a final state."""
        return self.exclude(outcome=Delivery.Outcome.WAITING)

    def due(self, at: datetime | None = None) -> Self:
        """Waiting deliveries nobody holds (or whose holder's lease ran out), due at that instant (now)."""
        return self.waiting().filter(due_at__lte=at or timezone.now())

    def leased(self) -> Self:
        """Waiting deliveries a worker holds, alive or dead."""
        return self.waiting().exclude(lease="")

    def claim(self, *, notice: Notice, channel: str, size: int = CLAIM, at: datetime | None = None) -> list[Delivery]:
        """Lease up to ``size`` due deliveries of a notice in a channel and give them: the longest due first, among
        equals the most recently active users first.

        At most 3 queries. Workers on several machines need no coordination: on PostgreSQL each skips the rows
        another is claiming, on SQLite the second write waits for the first and then finds its rows taken.
        """
        lease, at = uuid.uuid4().hex, at or timezone.now()
        due = self.due(at).filter(notice=notice, channel=channel)
        first = due.order_by("due_at", "rank", "pk").values_list("pk", flat=True)
        if connections[self.db].features.has_select_for_update_skip_locked:
            with transaction.atomic(using=self.db):
                keys = list(first.select_for_update(skip_locked=True)[:size])
                taken = due.filter(pk__in=keys).update(lease=lease, due_at=at + LEASE) if keys else 0
        else:
            # One statement: a transaction that reads first may find the database locked when it comes to write.
            taken = self.filter(pk__in=first[:size]).update(lease=lease, due_at=at + LEASE)
        if not taken:
            return []
        claimed = list(self.waiting().filter(lease=lease).order_by("rank", "pk"))
        for delivery in claimed:
            delivery.notice = notice
        return claimed

    def renew(self, *, lease: str, at: datetime | None = None) -> set[int]:
        """Lengthen a lease; the keys of the deliveries it still holds."""
        held = self.waiting().filter(lease=lease)
        held.update(due_at=(at or timezone.now()) + LEASE)
        return set(held.values_list("pk", flat=True))

    def release(self, *, lease: str, due_at: datetime) -> int:
        """Give up what a lease still holds, unsent, until ``due_at``; costs the deliveries no attempt."""
        return self.waiting().filter(lease=lease).update(lease="", due_at=due_at)

    def count_in(self, *, lease: str, at: datetime | None = None) -> int:
        """Add what was settled under a lease to its notice's progress: each delivery once, whoever calls, however
        often, and wherever a caller is killed. At most 5 queries; how many were added.
        """
        at = at or timezone.now()
        settled = self.settled().filter(lease=lease)
        first = settled.values_list("notice", "channel").first()
        if first is None:
            return 0
        progress = Progress.objects.using(self.db).filter(notice=first[0], channel=first[1])
        with transaction.atomic(using=self.db):
            progress.update(waiting=F("waiting"))  # The lock, a write as in Agreement.lock().
            counted = dict(settled.order_by().values_list("outcome").annotate(Count("pk")))
            settled.update(lease="")
            progress.update(
                waiting=F("waiting") - sum(counted.values()),
                began_at=Coalesce("began_at", Value(at), output_field=models.DateTimeField()),
                latest_at=at,
                **{outcome: F(outcome) + count for outcome, count in counted.items()},
            )
        return sum(counted.values())

    def resend(self, *, at: datetime | None = None) -> int:
        """Make the failed deliveries of this queryset wait again, their attempts forgotten; how many there were.

        In transactions of at most ``MANY`` rows, each with its share of the progress.
        """
        at, total = at or timezone.now(), 0
        failed = self.filter(outcome=Delivery.Outcome.FAILED, lease="")
        while keys := list(failed.order_by().values_list("pk", "notice", "channel")[:MANY]):
            for notice, channel in {key[1:] for key in keys}:
                ours = failed.filter(pk__in=[key[0] for key in keys if key[1:] == (notice, channel)])
                with transaction.atomic(using=self.db):
                    progress = Progress.objects.using(self.db).filter(notice=notice, channel=channel)
                    progress.update(waiting=F("waiting"))
                    count = ours.update(
                        outcome=Delivery.Outcome.WAITING, settled_at=None, due_at=at, attempts=0, reason=""
                    )
                    progress.update(waiting=F("waiting") + count, failed=F("failed") - count)
                total += count
        return total

    def uncounted(self, at: datetime | None = None) -> list[str]:
        """Leases of workers that were killed between settling and counting (1 query)."""
        left = self.settled().exclude(lease="").filter(due_at__lt=at or timezone.now())
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
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
        verbose_name=_("user"),
    )
    channel = models.CharField(_("channel"), max_length=32)
    # Whole hours since the user was last active, when the delivery was written: who comes first.
    rank = models.PositiveIntegerField(default=0, editable=False)
    language = models.CharField(_("language"), max_length=3, blank=True, choices=LANGUAGES)
    outcome = models.CharField(_("outcome"), max_length=8, choices=Outcome.choices, default=Outcome.WAITING)
    reason = models.CharField(_("reason"), max_length=255, blank=True)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    due_at = models.DateTimeField(_("due"))
    lease = models.CharField(max_length=32, blank=True, editable=False)
    settled_at = models.DateTimeField(_("settled"), null=True, blank=True)

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
        ]

    def settle(self, outcome: Outcome, *, language: str = "", reason: str = "", at: datetime | None = None) -> bool:
        """Write the final state, if this worker's lease still holds; ``False`` if another has the row now.

        The row keeps its lease until :meth:`ProgressQuerySet.count` has counted it.
        """
        return self._write(
            outcome=outcome.value, language=language, reason=reason[:255], settled_at=at or timezone.now()
        )

    def postpone(self, *, due_at: datetime, reason: str) -> bool:
        """Count a failed attempt and try again at ``due_at``."""
        return self._write(due_at=due_at, reason=reason[:255], attempts=self.attempts + 1, lease="")

    def _write(self, **columns: Any) -> bool:
        """One statement, in SQL: this runs once a message, and the ORM takes as long to write it as to run it."""
        alias = router.db_for_write(Delivery)
        connection = connections[alias]
        fields: Any = Delivery._meta.get_field
        values = [fields(name).get_db_prep_save(value, connection) for name, value in columns.items()]
        assignments = ", ".join(f"{name} = %s" for name in columns)
        # Nothing in it comes from outside: the names are the keyword arguments above.
        sql = f"UPDATE {Delivery._meta.db_table} SET {assignments} WHERE id = %s AND lease = %s AND outcome = 'waiting'"
        with connection.cursor() as cursor:
            cursor.execute(sql, [*values, self.pk, self.lease])
            return bool(cursor.rowcount)

    def __str__(self) -> str:
        return f"{self.pk}: {self.get_outcome_display()}"
