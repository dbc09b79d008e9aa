"""What is said to users, and the ledger of who was told: one row a notice, user and channel.

The ledger is the truth. A row is *waiting* until it is settled, once, as *sent*, *failed* or *skipped*. A worker
claims waiting rows by a lease: while ``lease`` names a worker, ``due_at`` is when the lease runs out and the row
is anybody's again. So a killed worker loses nothing, and nothing needs to notice that it died.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from django.conf import settings
from django.db import connections, models, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from agreement.text import seal

#: How long a claimed delivery is left to the worker that claimed it. Renewed while it works (design §3.8).
LEASE = timedelta(seconds=30)
#: How many deliveries a worker claims at once: what a killed worker leaves waiting for its lease.
CLAIM = 100

LANGUAGES = [("kk", _("Kazakh")), ("ru", _("Russian")), ("mul", _("Kazakh and Russian"))]


class NoticeQuerySet(models.QuerySet["Notice"]):
    def unfinished(self, at: datetime | None = None) -> Self:
        """Notices whose deliveries are not all written yet, the oldest first."""
        return self.filter(fanned_out_at__isnull=True, due_at__lte=at or timezone.now()).order_by("pk")


NoticeManager = models.Manager.from_queryset(NoticeQuerySet)


class Notice(models.Model):
    """Something every user is told about an edition. Written by the publishing transaction."""

    class Kind(models.TextChoices):
        PUBLISHED = "published", _("new edition")

    edition = models.ForeignKey(
        "agreement.Edition", on_delete=models.PROTECT, related_name="notices", verbose_name=_("edition")
    )
    kind = models.CharField(_("kind"), max_length=16, choices=Kind.choices)
    uuid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    due_at = models.DateTimeField(_("due"), default=timezone.now)
    # The key of the last user whose deliveries are written, as the serializer of its field writes it.
    fan_out_cursor = models.CharField(max_length=255, blank=True, editable=False)
    fanned_out_at = models.DateTimeField(_("deliveries written"), null=True, blank=True, editable=False)

    if TYPE_CHECKING:
        edition_id: int

    objects = NoticeManager()

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("notice")
        verbose_name_plural = _("notices")
        constraints = [
            models.UniqueConstraint(fields=["edition", "kind"], name="agreement_notice_once"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.edition}"


class NoticeText(models.Model):
    """What was said: sealed, so that a later template never changes what was claimed."""

    notice = models.ForeignKey(Notice, on_delete=models.PROTECT, related_name="texts")
    channel = models.CharField(_("channel"), max_length=32)
    language = models.CharField(_("language"), max_length=3, choices=LANGUAGES)
    subject = models.CharField(_("subject"), max_length=255)
    text = models.TextField(_("text"))
    html = models.TextField(_("HTML"), blank=True)
    digest = models.CharField(_("digest (SHA-256)"), max_length=64)

    if TYPE_CHECKING:
        notice_id: int

    class Meta:
        verbose_name = _("text of a notice")
        verbose_name_plural = _("texts of notices")
        constraints = [
            models.UniqueConstraint(fields=["notice", "channel", "language"], name="agreement_noticetext_once"),
        ]

    @property
    def intact(self) -> bool:
        """Is the digest that of the words?"""
        return self.digest == seal.said(self.subject, self.text, self.html)

    def __str__(self) -> str:
        return self.subject


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def waiting(self) -> Self:
        """Deliveries without a final state."""
        return self.filter(outcome=Delivery.Outcome.WAITING)

    def due(self, at: datetime | None = None) -> Self:
        """Waiting deliveries nobody holds (or whose holder's lease ran out), due at that instant (now)."""
        return self.waiting().filter(due_at__lte=at or timezone.now())

    def leased(self) -> Self:
        """Waiting deliveries a worker holds, alive or dead."""
        return self.waiting().exclude(lease="")

    def claim(self, *, channel: str, size: int = CLAIM) -> list[Delivery]:
        """Lease up to ``size`` due deliveries of a channel and give them, the oldest first.

        At most 3 queries. Workers on several machines need no coordination: on PostgreSQL each skips the rows
        another is claiming, on SQLite the second write waits for the first and then finds its rows taken.
        """
        lease, now = uuid.uuid4().hex, timezone.now()
        due = self.due(now).filter(channel=channel)
        first = due.order_by("pk").values_list("pk", flat=True)
        if connections[self.db].features.has_select_for_update_skip_locked:
            with transaction.atomic(using=self.db):
                keys = list(first.select_for_update(skip_locked=True)[:size])
                taken = due.filter(pk__in=keys).update(lease=lease, due_at=now + LEASE) if keys else 0
        else:
            # One statement: a transaction that reads first may find the database locked when it comes to write.
            taken = self.filter(pk__in=first[:size]).update(lease=lease, due_at=now + LEASE)
        if not taken:
            return []
        claimed = self.filter(lease=lease, outcome=Delivery.Outcome.WAITING)
        return list(claimed.select_related("notice").order_by("pk"))

    def renew(self, *, lease: str) -> set[int]:
        """Lengthen a lease; the keys of the deliveries it still holds."""
        held = self.filter(lease=lease, outcome=Delivery.Outcome.WAITING)
        held.update(due_at=timezone.now() + LEASE)
        return set(held.values_list("pk", flat=True))

    def release(self, *, lease: str, due_at: datetime) -> int:
        """Give up what a lease still holds, unsent, until ``due_at``; costs the deliveries no attempt."""
        held = self.filter(lease=lease, outcome=Delivery.Outcome.WAITING)
        return held.update(lease="", due_at=due_at)


DeliveryManager = models.Manager.from_queryset(DeliveryQuerySet)


class Delivery(models.Model):
    """A notice's copy to one user by one channel. "Sent" means the mail server took it, and no more."""

    class Outcome(models.TextChoices):
        WAITING = "waiting", _("waiting")
        SENT = "sent", _("sent")
        FAILED = "failed", _("failed")
        SKIPPED = "skipped", _("skipped")

    notice = models.ForeignKey(Notice, on_delete=models.PROTECT, related_name="deliveries", verbose_name=_("notice"))
    # The ledger outlives the account.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
        verbose_name=_("user"),
    )
    channel = models.CharField(_("channel"), max_length=32)
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
                | Q(outcome__in=["sent", "failed", "skipped"], settled_at__isnull=False, lease=""),
                name="agreement_delivery_settled_whole",
            ),
        ]
        indexes = [
            models.Index(fields=["channel", "id"], condition=Q(outcome="waiting"), name="agreement_delivery_waiting"),
            models.Index(
                fields=["lease"],
                condition=Q(outcome="waiting") & ~Q(lease=""),
                name="agreement_delivery_leased",
            ),
        ]

    def settle(self, outcome: Outcome, *, language: str = "", reason: str = "") -> bool:
        """Write the final state, if this worker's lease still holds; ``False`` if another has the row now."""
        return self._write(outcome=outcome, language=language, reason=reason[:255], settled_at=timezone.now(), lease="")

    def postpone(self, *, due_at: datetime, reason: str) -> bool:
        """Count a failed attempt and try again at ``due_at``."""
        return self._write(due_at=due_at, reason=reason[:255], attempts=self.attempts + 1, lease="")

    def _write(self, **columns: Any) -> bool:
        held = Delivery.objects.waiting().filter(pk=self.pk, lease=self.lease)
        return bool(held.update(**columns))

    def __str__(self) -> str:
        return f"{self.pk}: {self.get_outcome_display()}"
