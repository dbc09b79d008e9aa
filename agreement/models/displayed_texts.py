"""Displayed texts: the HTML that the accept page displayed to the users who accepted it, byte for byte."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from django.db import connections, models, router
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from agreement.models.editions import Edition
from agreement.models.fields import LANGUAGE_CHOICES
from agreement.seal.manifest import sha256
from agreement.text import languages
from agreement.text.article import RENDERER, letters

_DIGEST = re.compile(r"[0-9a-f]{64}")


class DisplayedTextQuerySet(models.QuerySet["DisplayedText"]):
    def find(self, *, edition: Edition, language: str, digest: str) -> DisplayedText | None:
        """Return the HTML of this edition in that language that has this digest, or ``None`` if there is none. It is
        the present HTML, as an instance that is not stored, or a stored row, without its HTML. A stored one may be of
        another version of the renderer, whose page was open during a deployment. ``digest`` may be any text. 0 queries,
        1 if the digest is not that of the present HTML.
        """
        present = DisplayedText.render(edition, language)
        if digest == present.digest:
            return present
        if not _DIGEST.fullmatch(digest):
            return None
        # A replica may not have the row yet.
        alias = router.db_for_write(self.model)
        stored = self.using(alias).filter(edition=edition, language=language, digest=digest)
        return stored.defer("html").order_by("-renderer").first()

    def store(self, displayed: DisplayedText) -> None:
        """Store this HTML, unless it is stored already, even by another transaction at the same time. 1 query, 2 if it
        was not stored. 0 if it was read from the database.
        """
        alias = router.db_for_write(self.model)
        if not displayed._state.adding or self.using(alias).filter(**displayed.key).exists():
            return
        # SQLite's trigger refuses an insert that would be ignored. There the acceptance has locked the database.
        self.using(alias).bulk_create([displayed], ignore_conflicts=connections[alias].vendor == "postgresql")


DisplayedTextManager = models.Manager.from_queryset(DisplayedTextQuerySet)


class DisplayedText(models.Model):
    """The HTML of an edition in one language that the accept page displayed: the article, without the frame of the
    page. A row is added with the first acceptance that names it, and is sealed. An acceptance names it by its edition,
    language, version of the renderer and digest.
    """

    # The index of the unique key begins with the edition, so the column needs no index of its own.
    edition = models.ForeignKey(
        Edition, on_delete=models.PROTECT, related_name="displayed_texts", db_index=False, verbose_name=_("edition")
    )
    language = models.CharField(_("language"), max_length=2, choices=LANGUAGE_CHOICES)
    renderer = models.PositiveSmallIntegerField(_("display version"))
    digest = models.CharField(_("digest (SHA-256)"), max_length=64)
    html = models.TextField(_("HTML"))

    if TYPE_CHECKING:
        edition_id: int

    objects = DisplayedTextManager()

    class Meta:
        ordering = ["pk"]
        verbose_name = _("displayed text")
        verbose_name_plural = _("displayed texts")
        constraints = [
            models.UniqueConstraint(
                fields=["edition", "language", "renderer", "digest"], name="agreement_displayedtext_once"
            ),
            models.CheckConstraint(
                condition=Q(language__in=languages.LANGUAGES), name="agreement_displayedtext_language"
            ),
        ]

    @classmethod
    def render(cls, edition: Edition, language: str) -> DisplayedText:
        """Return the HTML of this edition in that language (``kk`` or ``ru``), as this version of the renderer makes
        it. It is not stored. 0 queries if the edition and its agreement are loaded.
        """
        html = edition.article(language).html
        return cls(edition=edition, language=language, renderer=RENDERER, digest=sha256(html), html=html)

    @property
    def key(self) -> dict[str, object]:
        """The columns by which an acceptance names the row, and their values."""
        names = ("edition_id", "language", "renderer", "digest")
        return {name: getattr(self, name) for name in names}

    @property
    def intact(self) -> bool:
        """Does the digest match the HTML?"""
        return self.digest == sha256(self.html)

    @property
    def matches_edition(self) -> bool:
        """Does the HTML have the words of its edition, in their order?"""
        return letters(self.html) == letters(self.edition.article(self.language).html)

    def __str__(self) -> str:
        return f"{self.edition}, {self.language}"
