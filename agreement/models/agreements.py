"""Agreements: what the users of a site accept."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import DEFAULT_DB_ALIAS, models
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from agreement import conf
from agreement.memory import remembered
from agreement.models.fields import validate_zone
from agreement.text.languages import LANGUAGES

if TYPE_CHECKING:
    from agreement.models.editions import EditionQuerySet

#: Words that can't be a slug, because they begin the addresses of pages of the app (``agreement.urls``).
RESERVED_SLUGS = frozenset({"accept", "api", "notices", "record", "verify", "withdraw"})


class AcceptanceMode(models.TextChoices):
    """How users accept an agreement."""

    BY_USE = "by_use", _("by use: a signed-in user accepts by using the site")
    BY_CONFIRMATION = "by_confirmation", _("by confirmation: users are asked before they continue")
    ELSEWHERE = "elsewhere", _("elsewhere: the site itself asks users, or no user is asked")


class Agreement(models.Model):
    """One document of the site, which has editions. Its slug is in the addresses of its pages and in the manifests of
    its editions, so it can't change after an edition is published or recorded as history. Its name is for staff; the
    public pages display the titles of its editions. ``head`` is the digest of the last sealed edition, cancelled or
    not; ``""`` before the first.
    """

    name_kk = models.CharField(
        _("name in Kazakh"),
        max_length=255,
        blank=True,
        db_default="",
        help_text=_(
            "The pages of the administration use this name. If it is empty, they use the title of the edition in force."
        ),
    )
    name_ru = models.CharField(_("name in Russian"), max_length=255, blank=True, db_default="")

    slug = models.SlugField(
        _("slug"),
        max_length=100,
        unique=True,
        help_text=_("It is part of every address. It can't be changed after an edition is published."),
    )
    time_zone = models.CharField(
        _("time zone"),
        max_length=64,
        default=conf.time_zone,
        validators=[validate_zone],
        help_text=_("The time zone in which the dates of this agreement are shown, for example Asia/Almaty."),
    )

    acceptance_mode = models.CharField(
        _("acceptance"),
        max_length=16,
        choices=AcceptanceMode.choices,
        default=AcceptanceMode.BY_USE,
        db_default=AcceptanceMode.BY_USE,
        help_text=_("If the site uses the middleware, users accept the agreement in this way."),
    )

    # Digest of the last sealed edition. If the last edition is deleted, the end of the chain has another digest.
    head = models.CharField(_("head of the chain"), max_length=64, blank=True, editable=False)

    if TYPE_CHECKING:
        # A related manager, of which mypy's plugin does not find the methods of the queryset.
        @property
        def editions(self) -> EditionQuerySet: ...

    class Meta:
        ordering = ["slug"]
        verbose_name = _("user agreement")
        verbose_name_plural = _("user agreements")

    def clean(self) -> None:
        """Raise ``ValidationError`` if the slug is one of ``RESERVED_SLUGS``, with which addresses of pages of the app
        begin: such a page would hide the agreement.
        """
        super().clean()
        if self.slug in RESERVED_SLUGS:
            message = _("%(slug)r is the address of another page. Choose another slug, for example %(slug)s-terms.")
            raise ValidationError({"slug": ValidationError(message, code="reserved", params={"slug": self.slug})})

    def lock(self, *, using: str | None = None) -> None:
        """Lock the agreement until the transaction ends. In the meantime, no other transaction publishes or cancels one
        of its editions, or records an acceptance or registers a withdrawal in it. 1 query. Call it inside a
        transaction; outside one the lock ends immediately. ``using`` is the alias of the database (``None``: the one
        for writes). The attributes of this object are not read again.

        The lock is a write and not ``SELECT … FOR UPDATE``. On PostgreSQL a write locks the row: it excludes
        ``FOR SHARE``. It must not exclude the check of a foreign key, for which a transaction waits that adds to the
        log of the agreement. So the column is none with a unique index. SQLite has no row locks; there a write locks
        the database.
        """
        Agreement.objects.using(using).filter(pk=self.pk).update(time_zone=F("time_zone"))

    @property
    def name(self) -> str:
        """The name in the active language, or in Kazakh if that is neither Kazakh nor Russian. An empty name is
        replaced by the title of the edition in force in that language, or by the slug if no edition is in force. If no
        language is active, as in most commands of the app, the result is the slug, also if there is a name.

        No query if the name in that language is not empty, if there is no sealed edition, or if no language is active.
        Otherwise at most 1 query: a process remembers the title until the minute ends or an edition is sealed.
        """
        active = conf.active_language()
        language = active if active in LANGUAGES else LANGUAGES[0]
        if not active:
            return self.slug
        name: str = getattr(self, f"name_{language}")
        if name or not self.head:
            return name or self.slug
        minute = int(timezone.now().timestamp() // 60)
        return _title_in_force(self._state.db or DEFAULT_DB_ALIAS, self.pk, self.head, language, minute) or self.slug

    def __str__(self) -> str:
        return self.name


@remembered
@lru_cache(maxsize=64)
def _title_in_force(using: str, pk: int, head: str, language: str, minute: int) -> str:
    """The title, in that language, of the edition in force of the agreement with that primary key; ``""`` if there is
    none. ``using`` is the alias of the database. ``head`` changes with each publication and ``minute`` every minute, so
    that the title is then read again.
    """
    editions = apps.get_model("agreement", "Edition").objects.using(using)
    titles = editions.in_force().with_real_columns().filter(agreement=pk).values_list(f"title_{language}", flat=True)
    return titles.first() or ""
