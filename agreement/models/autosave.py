"""The text that an author typed and has not saved yet: at most one row for each author and draft."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from agreement.models.fields import UserKey

if TYPE_CHECKING:
    from agreement.models.editions import Edition


class AutosaveQuerySet(models.QuerySet["Autosave"]):
    def store(self, *, author: UserKey, edition: Edition, fields: dict[str, str], base: str) -> Autosave:
        """Store what the author with that primary key typed in that draft, in place of what was stored before, and
        return the row.

        ``fields`` maps the name of each field of the form to its value as text. ``base`` is a digest of the contents of
        the draft from which the author started. It is stored and not compared with the draft.
        """
        values = {"fields": fields, "base": base, "at": timezone.now()}
        slot, _created = self.update_or_create(author_id=author, edition=edition, defaults=values)
        return slot

    def slot(self, *, author: UserKey, edition: Edition) -> Autosave | None:
        """The row with the unsaved text of the author with that primary key in that draft; ``None`` if there is none.
        1 query.
        """
        return self.filter(author_id=author, edition=edition).first()


AutosaveManager = models.Manager.from_queryset(AutosaveQuerySet)


class Autosave(models.Model):
    """The unsaved text of one author in one draft. It is not part of the history of the agreement.

    The row is deleted with the account of its author and with its draft. It is also deleted when the author saves the
    draft in the admin or discards the text. It remains when the draft is published.
    """

    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    edition = models.ForeignKey("agreement.Edition", on_delete=models.CASCADE, related_name="+")
    fields = models.JSONField(default=dict)
    # Fingerprint of the draft from which the author started, to find a conflict also after a restart of the browser.
    base = models.CharField(max_length=64)
    at = models.DateTimeField(default=timezone.now)

    if TYPE_CHECKING:
        edition_id: int
        author_id: UserKey

    objects = AutosaveManager()

    class Meta:
        verbose_name = _("unsaved text")
        verbose_name_plural = _("unsaved texts")
        constraints = [models.UniqueConstraint(fields=["author", "edition"], name="agreement_autosave_one_slot")]

    def __str__(self) -> str:
        return str(self.author.get_username())
