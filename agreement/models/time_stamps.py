"""Time stamps. An independent authority certifies that the digest of an edition existed at a moment by its clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models
from django.utils.translation import gettext_lazy as _

from agreement.models.fields import InstantField


class TimeStamp(models.Model):
    """An RFC 3161 time stamp on the digest of an edition, at most one of each authority. It was checked when it was
    received, and its row is sealed.

    The root certificates of the authority are stored with it, because authorities change them and evidence is needed
    years later.
    """

    edition = models.ForeignKey(
        "agreement.Edition", on_delete=models.PROTECT, related_name="time_stamps", verbose_name=_("edition")
    )
    authority = models.CharField(_("authority"), max_length=255, help_text=_("The address of the authority."))
    stamped_at = InstantField(_("stamped"), help_text=_("According to the clock of the authority."))
    response = models.BinaryField(_("response"), help_text=_("The response as received: a TimeStampResp in DER."))
    certificates = models.TextField(_("certificates"), help_text=_("The root certificates of the authority in PEM."))

    if TYPE_CHECKING:
        edition_id: int

    class Meta:
        ordering = ["pk"]
        verbose_name = _("time stamp")
        verbose_name_plural = _("time stamps")
        constraints = [
            models.UniqueConstraint(fields=["edition", "authority"], name="agreement_timestamp_once"),
        ]

    def __str__(self) -> str:
        return f"{self.edition}: {self.authority}"
