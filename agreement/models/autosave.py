"""What an author typed and has not saved yet: one slot an author and draft, written over and over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class AutosaveQuerySet(models.QuerySet["Autosave"]):
    def keep(self, *, author: Any, edition: Any, fields: dict[str, str], base: str) -> Autosave:
        """Put these fields into the slot, in place of what was there; ``author`` is a key. 2–4 queries."""
        values = {"fields": fields, "base": base, "at": timezone.now()}
        slot, _made = self.update_or_create(author_id=author, edition=edition, defaults=values)
        return slot

    def slot(self, *, author: Any, edition: Any) -> Autosave | None:
        """What the author with that key left in that draft. 1 query."""
        return self.filter(author_id=author, edition=edition).first()


class Autosave(models.Model):
    """Never part of the agreement's history: it goes with its author, with its draft, and when it is saved."""

    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    edition = models.ForeignKey("agreement.Edition", on_delete=models.CASCADE, related_name="+")
    fields = models.JSONField(default=dict)
    # Fingerprint of the draft these words were begun from: a conflict is seen after a restart of the browser too.
    base = models.CharField(max_length=64)
    at = models.DateTimeField(default=timezone.now)

    if TYPE_CHECKING:
        edition_id: int
        author_id: Any

    objects: ClassVar[Any] = AutosaveQuerySet.as_manager()

    class Meta:
        verbose_name = _("unsaved text")
        verbose_name_plural = _("unsaved texts")
        constraints = [models.UniqueConstraint(fields=["author", "edition"], name="agreement_autosave_one_slot")]

    def __str__(self) -> str:
        return str(self.author.get_username())
