"""What stops erasure: a legal hold on a person or on an edition, with its ground and its term."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Self

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from agreement import conf, pseudonyms
from agreement.models.acceptances import Acceptance
from agreement.models.deliveries import Delivery
from agreement.models.editions import Edition
from agreement.models.fields import REMEMBER_PSEUDONYMS, InstantField
from agreement.models.withdrawals import Consent, Withdrawal


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
        account: object = "",
        application: str = "",
        held_from: datetime | None = None,
        held_until: datetime | None = None,
    ) -> LegalHold:
        """Keep what there is about that user, whose account may be deleted later, or about all whom that edition bound;
        or as ``names()`` finds them. Raises ``ValidationError``.
        """
        row = LegalHold(
            user=user,
            pseudonyms=self.names(user=user, edition=edition, account=account, application=application),
            edition=edition,
            ground=ground.strip(),
            by=by[:255],
            held_from=held_from or timezone.now(),
            held_until=held_until,
        )
        row.full_clean(exclude=["pseudonyms"])
        row.save(using=self.db, force_insert=True)
        return row

    def names(self, *, user: Any, edition: Edition | None, account: object, application: str) -> list[str]:
        """Under which names rows about whom a hold is to keep are found, besides the link to an account.

        ``account`` is the key of an account that is gone, ``application`` the number of an application of somebody
        without an account, its own or the register's. Raises ``ValidationError``, also unless just one is named.
        """
        if [user is None, edition is None, account in (None, ""), not application].count(False) != 1:
            raise ValidationError(
                _("Name one: a user, an edition, a deleted account or an application."), code="one_of"
            )
        if application:
            return self._applied(application)
        if edition:
            return []
        if not conf.get().PSEUDONYM_KEYS:
            raise ValidationError(
                _("Without PSEUDONYM_KEYS nobody is found once the account is gone: set a key, then hold."),
                code="no_keys",
            )
        key = user.pk if user else self._deleted(account)
        return [f"{one.key}:{one.digest}" for one in pseudonyms.read(key)]

    def _deleted(self, account: object) -> Any:
        """The key of that account, which is gone and has left something."""
        model = get_user_model()
        key = model._meta.pk.clean(account, None)
        if model._default_manager.filter(pk=key).exists():
            raise ValidationError(_("The account %(key)s exists: name it as the user."), params={"key": key})
        kept = (
            Acceptance.objects.of(key),
            Withdrawal.objects.of(key),
            Consent.objects.of(key),
            Delivery.objects.of(key),
        )
        if not any(rows.exists() for rows in kept):
            raise ValidationError(_("Nothing is kept of an account %(key)s."), params={"key": key})
        return key

    def _applied(self, number: str) -> list[str]:
        rows = list(Withdrawal.objects.filter(erased_at=None).numbered(number))
        if not rows:
            raise ValidationError(_("No application %(number)s is kept."), params={"number": number})
        if any(row.user_id is not None for row in rows):
            raise ValidationError(
                _("Application %(number)s is of an account: name the user."), params={"number": number}
            )
        names = [f"withdrawal:{row.pk}" for row in rows]
        return names + [f"{row.pseudonym_key}:{row.pseudonym}" for row in rows if row.pseudonym]


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
    # Under every key the site has, since the person's rows are under whichever wrote them; "id:digest" each. Of
    # somebody without an account: "withdrawal:" and the key of the entry.
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
        if self.held_until and self.held_from and self.held_until <= self.held_from:
            raise ValidationError({"held_until": _("A hold ends after it began.")})

    def __str__(self) -> str:
        return f"{self.pk}"
