"""What stops erasure: a legal hold on a person or on an edition, with its ground and its term."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Self

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from agreement import conf, pseudonyms
from agreement.models.editions import Edition
from agreement.models.fields import REMEMBER_PSEUDONYMS, InstantField


class LegalHoldQuerySet(models.QuerySet["LegalHold"]):
    def standing(self, at: datetime | None = None) -> Self:
        """Holds that stop erasure at that instant (now)."""
        at = at or timezone.now()
        return self.filter(held_from__lte=at).exclude(held_until__lte=at)

    def hold(
        self,
        *,
        ground: str,
        by: str,
        user: Any = None,
        edition: Edition | None = None,
        held_from: datetime | None = None,
        held_until: datetime | None = None,
    ) -> LegalHold:
        """Keep what there is about that user, whose account may be deleted later, or about all whom that edition bound.

        Raises ``ValidationError``.
        """
        row = LegalHold(
            user=user,
            pseudonyms=[f"{one.key}:{one.digest}" for one in pseudonyms.read(user.pk)] if user else [],
            edition=edition,
            ground=ground.strip(),
            by=by[:255],
            held_from=held_from or timezone.now(),
            held_until=held_until,
        )
        row.full_clean(exclude=["pseudonyms"])
        row.save(using=self.db, force_insert=True)
        return row


class LegalHold(models.Model):
    """Data of a person, or of everybody an edition bound, that a court or an authority may ask for: kept until then."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=REMEMBER_PSEUDONYMS,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("user"),
    )
    # Under every key the site has, since the person's rows are under whichever wrote them; "id:digest" each.
    pseudonyms = models.JSONField(default=list, editable=False)
    edition = models.ForeignKey(
        Edition, on_delete=models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("edition")
    )
    ground = models.TextField(_("ground"), help_text=_("Who asked for it, by which act or letter."))
    by = models.CharField(_("who"), max_length=255)
    held_from = InstantField(_("from"), default=timezone.now)
    held_until = InstantField(_("until"), null=True, blank=True)

    objects: ClassVar[Any] = LegalHoldQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("legal hold")
        verbose_name_plural = _("legal holds")
        constraints = [
            models.CheckConstraint(condition=~Q(ground=""), name="agreement_legalhold_has_a_ground"),
            models.CheckConstraint(
                condition=Q(held_until__isnull=True) | Q(held_until__gt=models.F("held_from")),
                name="agreement_legalhold_ends_later",
            ),
        ]

    def clean(self) -> None:
        super().clean()
        if self._state.adding and (self.user is None) == (self.edition is None):
            raise ValidationError(_("Name either a user or an edition."), code="one_of_two")
        if self._state.adding and self.user and not conf.get().PSEUDONYM_KEYS:
            raise ValidationError(
                _("Without PSEUDONYM_KEYS nobody is found once the account is gone: set a key, then hold."),
                code="no_keys",
            )
        if self.held_until and self.held_from and self.held_until <= self.held_from:
            raise ValidationError({"held_until": _("A hold ends after it began.")})

    def __str__(self) -> str:
        return f"{self.pk}"
