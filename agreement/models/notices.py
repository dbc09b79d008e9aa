"""What is said to users, and its words. Who was told is in ``deliveries``."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from django.db import models, router, transaction
from django.utils import timezone
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy as _

from agreement import conf
from agreement.text import seal


def hand_over(*, using: str) -> None:
    """On commit, nudge the task engine. One that is away, or fails, never fails the commit: the ledger knows."""

    def nudge() -> None:
        if path := conf.get().ENQUEUE:
            import_string(path)()

    transaction.on_commit(nudge, using=using, robust=True)


LANGUAGES = [("kk", _("Kazakh")), ("ru", _("Russian")), ("mul", _("Kazakh and Russian"))]


class NoticeQuerySet(models.QuerySet["Notice"]):
    def unfinished(self, at: datetime | None = None) -> Self:
        """Notices whose deliveries are not all written yet, the oldest first."""
        return self.filter(fanned_out_at__isnull=True, due_at__lte=at or timezone.now()).order_by("pk")

    def sendable(self, *, channel: str) -> Self:
        """Notices with deliveries waiting in that channel that nobody has paused, the oldest first.

        1 query, which counts nothing.
        """
        waiting = self.filter(progress__channel=channel, progress__waiting__gt=0)
        return waiting.filter(paused_at__isnull=True).order_by("pk")


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
    paused_at = models.DateTimeField(_("paused"), null=True, blank=True, editable=False)

    if TYPE_CHECKING:
        edition_id: int
        deliveries: Any
        progress: Any
        texts: Any

    objects = NoticeManager()

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("notice")
        verbose_name_plural = _("notices")
        constraints = [
            models.UniqueConstraint(fields=["edition", "kind"], name="agreement_notice_once"),
        ]

    def pause(self, *, at: datetime | None = None) -> bool:
        """Claim nothing more of this notice until it is resumed; what is on its way is sent. ``False`` if it was
        paused already.
        """
        self.paused_at = at or timezone.now()
        done = Notice.objects.filter(pk=self.pk, paused_at__isnull=True).update(paused_at=self.paused_at)
        self.refresh_from_db(fields=["paused_at"])
        return bool(done)

    def resume(self) -> bool:
        """Go on where it was paused; ``False`` if it was not."""
        done = Notice.objects.filter(pk=self.pk, paused_at__isnull=False).update(paused_at=None)
        self.paused_at = None
        hand_over(using=router.db_for_write(Notice))
        return bool(done)

    def resend(self, *, at: datetime | None = None) -> int:
        """Send to everybody again whose delivery failed, from the first attempt on; how many there are."""
        count = int(self.deliveries.resend(at=at))
        hand_over(using=router.db_for_write(Notice))
        return count

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
