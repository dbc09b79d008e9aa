"""Agreements: what a site's users join, each by its slug."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F
from django.utils.translation import gettext_lazy as _

from agreement import conf
from agreement.models.fields import validate_zone

#: What stands where a slug would in an address, and is none (``agreement.urls``).
RESERVED = frozenset({"notices", "record", "verify", "withdraw"})


class Joining(models.TextChoices):
    """How users join an agreement."""

    DEEMED = "deemed", _("by entering: every use of the site by a signed-in user counts")
    EXPLICIT = "explicit", _("by confirming: users are asked before they go on")
    APART = "apart", _("elsewhere: the site itself asks, or nobody is asked")


class Agreement(models.Model):  # type: ignore[django-manager-missing]
    """One document of the site. Its slug is in every address and manifest, so publication fixes it."""

    slug = models.SlugField(
        _("slug"),
        max_length=100,
        unique=True,
        help_text=_("Part of every address; can't be changed once an edition is published."),
    )
    time_zone = models.CharField(
        _("time zone"),
        max_length=64,
        default=conf.time_zone,
        validators=[validate_zone],
        help_text=_("The zone this agreement's dates are shown in, such as Asia/Almaty."),
    )

    joining = models.CharField(
        _("joining"),
        max_length=8,
        choices=Joining.choices,
        default=Joining.DEEMED,
        db_default=Joining.DEEMED,
        help_text=_("How users join, where the site has the middleware."),
    )

    # Digest of the last sealed edition: a chain cut short at its end does not lead here.
    head = models.CharField(_("head of the chain"), max_length=64, blank=True, editable=False)

    if TYPE_CHECKING:
        editions: Any

    class Meta:
        ordering = ["slug"]
        verbose_name = _("user agreement")
        verbose_name_plural = _("user agreements")

    def clean(self) -> None:
        """A slug is an address: one that leads to a page of the app's own would hide the agreement."""
        super().clean()
        if self.slug in RESERVED:
            says = _("%(slug)r is the address of another page; choose another one, such as %(slug)s-terms.")
            raise ValidationError({"slug": ValidationError(says, code="reserved", params={"slug": self.slug})})

    def lock(self, *, using: str | None = None) -> None:
        """Wait for, and keep until the transaction ends, the right to publish or cancel (1 query).

        A write, and not ``SELECT … FOR UPDATE``: it locks the row on PostgreSQL, where it excludes
        ``FOR SHARE`` but no foreign key check, and the database on SQLite, which has no row locks.
        """
        Agreement.objects.using(using).filter(pk=self.pk).update(slug=F("slug"))

    def __str__(self) -> str:
        return self.slug
