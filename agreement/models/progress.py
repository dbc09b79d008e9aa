"""The progress of a notice: added up by batch, so that the ledger is never counted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from django.db import models
from django.db.models import F, Sum
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _

from agreement.models.notices import Notice

#: How many reasons of one outcome are counted separately.
MAX_REASONS = 40


class ProgressQuerySet(models.QuerySet["Progress"]):
    def total(self) -> dict[str, int]:
        """The numbers of waiting, sent, failed and skipped deliveries of these notices: sums of a few rows. 1 query."""
        names = ("waiting", *Progress.FINAL)
        sums = self.aggregate(**{f"total_{name}": Coalesce(Sum(name), 0) for name in names})
        return {name: sums[f"total_{name}"] for name in names}

    def lock(self, *, notice: Notice | int, channel: str) -> Progress:
        """The row of a notice in a channel, which no other process changes until the transaction ends.

        2 queries, of which the first is a write: SQLite locks for nothing else.
        """
        row = self.filter(notice=notice, channel=channel)
        row.update(waiting=F("waiting"))
        return row.get()


ProgressManager = models.Manager.from_queryset(ProgressQuerySet)


class Progress(models.Model):
    """The progress of a notice in one channel. Added up by batch, so that it costs the same for ten million users."""

    #: Its columns are named as the outcomes are.
    FINAL: ClassVar[tuple[str, ...]] = ("sent", "failed", "skipped")
    #: Those of them that have a reason.
    EXPLAINED: ClassVar[tuple[str, ...]] = ("failed", "skipped")

    notice = models.ForeignKey(Notice, on_delete=models.PROTECT, related_name="progress", verbose_name=_("notice"))
    channel = models.CharField(_("channel"), max_length=32)
    waiting = models.PositiveIntegerField(_("waiting"), default=0)
    sent = models.PositiveIntegerField(_("sent"), default=0)
    failed = models.PositiveIntegerField(_("failed"), default=0)
    skipped = models.PositiveIntegerField(_("skipped"), default=0)
    bounced = models.PositiveIntegerField(_("returned"), default=0)
    began_at = models.DateTimeField(_("first batch"), null=True, blank=True)
    latest_at = models.DateTimeField(_("latest batch"), null=True, blank=True)
    # While one batch at least was being sent: without pauses, and without the waits for retries and rate limits.
    sending_time = models.DurationField(_("time spent sending"), default=timedelta)
    # Outcome → reason → how many.
    reasons = models.JSONField(_("reasons"), default=dict, blank=True, editable=False)

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
        """How many users the notice is for, as far as the deliveries are written."""
        return self.waiting + self.sent + self.failed + self.skipped

    @property
    def speed(self) -> float | None:
        """Messages per second while they were being sent; ``None`` if it was not measured."""
        return self.sent / self.sending_time.total_seconds() if self.sent and self.sending_time else None

    def add(self, counts: Mapping[tuple[str, str], int]) -> None:
        """Add these numbers of deliveries, (outcome, reason) → how many more or fewer, to a locked row."""
        for (outcome, reason), count in counts.items():
            setattr(self, outcome, getattr(self, outcome) + count)
            if outcome in self.EXPLAINED:
                known = self.reasons.setdefault(outcome, {})
                # A channel whose reasons are all different must not make the row grow: the rest is counted under "".
                key = reason if reason in known or len(known) < MAX_REASONS else ""
                known[key] = known.get(key, 0) + count
        self.reasons = {
            outcome: positive
            for outcome, known in self.reasons.items()
            if (positive := {reason: count for reason, count in known.items() if count > 0})
        }

    def add_batch(self, *, began_at: datetime, at: datetime) -> None:
        """Add the time of a batch to a locked row. Batches that several workers send at a time count once."""
        self.began_at = self.began_at or at
        self.sending_time += max(timedelta(), at - max(began_at, self.latest_at or began_at))
        self.latest_at = at

    def __str__(self) -> str:
        return f"{self.notice_id}, {self.channel}: {self.audience - self.waiting}/{self.audience}"
