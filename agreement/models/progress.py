"""The progress of a notice: added up by batch, so that the ledger is never counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from django.db import models
from django.db.models import Sum
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

    def add_reasons(self, counted: Mapping[tuple[str, str], int]) -> None:
        """Change the counts of reasons in this one row: (outcome, reason) → how many more or fewer.

        In the transaction that has the lock of the row. No query if there is nothing to change, else 2.
        """
        if not any(count for (outcome, _reason), count in counted.items() if outcome in Progress.EXPLAINED):
            return
        reasons: dict[str, dict[str, int]] = self.values_list("reasons", flat=True).get()
        for (outcome, reason), count in counted.items():
            if outcome in Progress.EXPLAINED:
                known = reasons.setdefault(outcome, {})
                # A channel whose reasons are all different must not make the row grow: the rest is counted under "".
                reason = reason if reason in known or len(known) < MAX_REASONS else ""
                known[reason] = known.get(reason, 0) + count
        self.update(
            reasons={o: {r: count for r, count in known.items() if count > 0} for o, known in reasons.items() if known}
        )


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

    def __str__(self) -> str:
        return f"{self.notice_id}, {self.channel}: {self.audience - self.waiting}/{self.audience}"
