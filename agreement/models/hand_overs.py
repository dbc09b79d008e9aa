"""The hand-over of a draft: its author marks it as ready to publish, and a publisher may send it back with a remark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import models, router, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from agreement.models.audit import AuditAction, AuditEntry
from agreement.models.fields import UserKey

if TYPE_CHECKING:
    from agreement.models.editions import Edition


class HandOverState(models.TextChoices):
    """The last step of the hand-over of a draft: it was marked as ready to publish, or sent back to its author."""

    READY = "ready", _("ready to publish")
    RETURNED = "returned", _("sent back")


class HandOverQuerySet(models.QuerySet["HandOver"]):
    def record(
        self, state: HandOverState, *, edition: Edition, by: AbstractBaseUser, note: str, digest: str
    ) -> HandOver:
        """Store what ``by`` did with the draft ``edition``, in place of what was stored before, add an audit entry, and
        return the row. ``note`` is not in the audit log, because the entries about a draft are never erased: the entry
        states only that there was one. ``digest`` is a digest of the contents of the draft, which only the audit entry
        stores.
        """
        actions = {HandOverState.READY: AuditAction.READY, HandOverState.RETURNED: AuditAction.RETURNED}
        alias = router.db_for_write(self.model)
        values: dict[str, Any] = {"state": state, "by": by, "note": note, "at": timezone.now()}
        with transaction.atomic(using=alias):
            row, _created = self.using(alias).update_or_create(edition=edition, defaults=values)
            fact = "with a note" if note else ""
            AuditEntry.objects.using(alias).log(actions[state], on=edition, by=by, note=fact, digest=digest)
        return row

    def forget_ready(self, edition: Edition) -> bool:
        """Delete the mark that the draft is ready, because it was changed; a remark stays. Return whether there was
        such a mark. 1 query.
        """
        return bool(self.filter(edition=edition, state=HandOverState.READY).delete()[0])


HandOverManager = models.Manager.from_queryset(HandOverQuerySet)


class HandOver(models.Model):
    """The last step of the hand-over of a draft: ``by`` marked it as ready to publish (``note`` is for the publishers),
    or sent it back (``note`` is the remark for the author). It is not part of the history of the agreement.

    The row is deleted with the draft, with the account of ``by``, and when the draft is published or recorded as
    history. A mark that the draft is ready is also deleted when the draft is changed in the admin.
    """

    edition = models.OneToOneField("agreement.Edition", on_delete=models.CASCADE, related_name="hand_over")
    state = models.CharField(_("hand-over"), max_length=16, choices=HandOverState.choices)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    note = models.TextField(_("reason or remark"), blank=True)
    at = models.DateTimeField(default=timezone.now)

    if TYPE_CHECKING:
        edition_id: int
        by_id: UserKey

    objects = HandOverManager()

    class Meta:
        verbose_name = _("hand-over")
        verbose_name_plural = _("hand-overs")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=HandOverState.values), name="agreement_handover_known_state"
            )
        ]

    def __str__(self) -> str:
        return str(self.get_state_display())
