"""Time stamps. An independent authority certifies that a checkpoint existed at a moment by its clock."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Self

from django.db import models, router, transaction
from django.db.models import Max
from django.utils.translation import gettext_lazy as _

from agreement.models.fields import InstantField
from agreement.models.log import Checkpoint, LogEntry, LogKind, append, lock, stamp_entry


class TimeStampQuerySet(models.QuerySet["TimeStamp"]):
    def covering(self, *, agreement: int, index: int) -> Self:
        """The time stamps on checkpoints of the agreement with that primary key whose tree contains that entry, the
        first checkpoint first.
        """
        rows = self.filter(checkpoint__agreement=agreement, checkpoint__size__gt=index)
        return rows.order_by("checkpoint__size", "pk")

    def stamped_size(self, agreement: int) -> int:
        """How many entries the last stamped checkpoint of the agreement with that primary key contains; 0 if none is
        stamped. 1 query.
        """
        sizes = self.filter(checkpoint__agreement=agreement).order_by()
        return sizes.aggregate(last=Max("checkpoint__size"))["last"] or 0

    def unstamped_entries(self, agreement: int) -> models.QuerySet[LogEntry]:
        """The entries of that log that no stamped checkpoint contains, the first one first. Those about time stamps are
        left out: otherwise each stamp would need another one. 1 query, before the returned queryset is evaluated.
        """
        entries = LogEntry.objects.using(self.db).filter(agreement=agreement, index__gte=self.stamped_size(agreement))
        return entries.exclude(kind=LogKind.STAMP).order_by("index")

    def record(
        self, *, checkpoint: Checkpoint, authority: str, stamped_at: datetime, response: bytes, certificates: str
    ) -> TimeStamp:
        """Store a time stamp that was verified, add its entry to the log, and return the stamp. The new entry makes a
        new checkpoint. If a stamp of the same authority on this checkpoint is stored already, nothing is changed, and
        the stored stamp is returned.
        """
        using = router.db_for_write(TimeStamp)
        with transaction.atomic(using=using):
            lock(checkpoint.agreement, using=using)
            stamp, created = self.using(using).get_or_create(
                checkpoint=checkpoint,
                authority=authority,
                defaults={"stamped_at": stamped_at, "response": response, "certificates": certificates},
            )
            if created:
                entry = stamp_entry(pk=stamp.pk, response=response, size=checkpoint.size)
                append(checkpoint.agreement, [entry], using=using)
        return stamp


class TimeStamp(models.Model):
    """An RFC 3161 time stamp on a signed checkpoint, at most one of each authority. The stamped bytes are those of the
    text of the checkpoint (``Checkpoint.note`` in UTF-8). It was checked when it was received, and its row is sealed.

    It is about every entry that the log had at the checkpoint. It is an entry of the log itself, so a stamp on a later
    checkpoint renews it. The root certificates of the authority are stored with it, because authorities change them and
    evidence is needed years later.
    """

    checkpoint = models.ForeignKey(
        "agreement.Checkpoint", on_delete=models.PROTECT, related_name="time_stamps", verbose_name=_("checkpoint")
    )
    authority = models.CharField(_("authority"), max_length=255, help_text=_("The address of the authority."))
    stamped_at = InstantField(_("stamped"), help_text=_("According to the clock of the authority."))
    response = models.BinaryField(_("response"), help_text=_("The response as received: a TimeStampResp in DER."))
    certificates = models.TextField(_("certificates"), help_text=_("The root certificates of the authority in PEM."))

    objects = models.Manager.from_queryset(TimeStampQuerySet)()

    if TYPE_CHECKING:
        checkpoint_id: int

    class Meta:
        ordering = ["pk"]
        verbose_name = _("time stamp")
        verbose_name_plural = _("time stamps")
        constraints = [
            models.UniqueConstraint(fields=["checkpoint", "authority"], name="agreement_timestamp_once"),
        ]

    def __str__(self) -> str:
        return f"{self.checkpoint}: {self.authority}"
