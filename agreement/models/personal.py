"""Base classes for rows about a user, which remain after the account is deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, TypeVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from agreement.models import pseudonyms
from agreement.models.fields import PRESERVE_EVIDENCE, InstantField, UserKey

Row = TypeVar("Row", bound=models.Model, covariant=True)


class PersonalQuerySet(models.QuerySet[Row]):
    """Rows about a user, with the columns ``user``, ``pseudonym`` and ``pseudonym_key``."""

    def for_user_key(self, user_key: UserKey) -> Self:
        """The rows of the user with that primary key, also after the account was deleted.

        Those of a deleted account are found only if the site still has the key of their pseudonym. A row from which an
        erasure removed both the link to the account and the pseudonym is not found.
        """
        return self.filter(pseudonyms.rows_of(user_key))


class Personal(models.Model):
    """The columns of a row about a user: a link to the account, and a pseudonym for the time after its deletion.
    ``user`` is null after the deletion, after some erasures, and in a row that is about no account.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=PRESERVE_EVIDENCE,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("user"),
    )
    pseudonym = models.CharField(_("pseudonym"), max_length=64, blank=True, editable=False)
    pseudonym_key = models.CharField(_("key of the pseudonym"), max_length=32, blank=True, editable=False)
    account_deleted_at = InstantField(_("account deleted"), null=True, blank=True, editable=False)
    # When the personal columns were emptied. The database lets them be emptied only together with setting this moment.
    erased_at = InstantField(_("erased"), null=True, blank=True, editable=False)

    if TYPE_CHECKING:
        user_id: UserKey

    class Meta:
        abstract = True
