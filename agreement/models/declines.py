"""Declines: which user answered that they do not accept which edition, and when. Rows are added and not deleted, also
if the account is deleted.

A decline ends no acceptance and prevents none: the user may still accept the edition.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Self, cast

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import models, router
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from agreement import conf
from agreement.models import pseudonyms
from agreement.models.acceptances import Acceptance, RequestDetails, StaleEditionError
from agreement.models.clock import database_now
from agreement.models.editions import Edition
from agreement.models.fields import LANGUAGE_CHOICES, InstantField, UserKey
from agreement.models.personal import Personal, PersonalQuerySet
from agreement.models.succession import State
from agreement.text import languages


class DeclineQuerySet(PersonalQuerySet["Decline"]):
    def for_user_key(self, user_key: UserKey) -> Self:
        """The declines of the user with that primary key, the earliest first, also after the account was deleted.

        Those of a deleted account are found only if the site still has the key of their pseudonym. Declines of which
        the personal data was erased are not found.
        """
        return super().for_user_key(user_key).order_by("at", "pk")

    def with_accepted(self) -> Self:
        """Annotate ``accepted``: whether there is an acceptance of the same edition, from before or after the decline,
        that is linked to the same account or has the same pseudonym. The pseudonym is needed after the account is
        deleted. The queryset is not evaluated.
        """
        same = Acceptance.objects.filter(edition=models.OuterRef("edition"))
        by_account = same.filter(user=models.OuterRef("user"))
        by_pseudonym = same.filter(~Q(pseudonym=""), pseudonym=models.OuterRef("pseudonym"))
        # Two conditions, because a database can't use the two indexes for one.
        return self.annotate(accepted=models.Exists(by_account) | models.Exists(by_pseudonym))

    def record(
        self,
        *,
        user: AbstractBaseUser | AnonymousUser,
        edition: Edition,
        digest: str,
        language: str,
        request_details: RequestDetails | None = None,
    ) -> Decline:
        """Record that this user declines this edition now, and return the row. If the user declined the edition before,
        the row of that decline is returned unchanged, even if they accepted the edition since.

        ``user`` must be an account. ``digest`` is that of the edition that was displayed, and ``language`` (``kk`` or
        ``ru``) the language of the displayed text. For a new row, the edition must be in force or, if the setting
        ``ACCEPT_ANNOUNCED`` is on, published, not yet in force and not cancelled. Raises :class:`StaleEditionError` if
        the edition has another digest, or if it can't be declined now and there is no earlier row. Nothing is recorded
        then. At most 5 queries, unless another process records the same decline at this moment.
        """
        alias = router.db_for_write(self.model)
        rows, user_key = self.using(alias), cast("UserKey", user.pk)
        if found := rows.filter(edition=edition, user=user_key, digest=digest).first():
            return found
        at, pseudonym = database_now(alias), pseudonyms.primary(user_key)
        if digest != edition.digest or not _can_be_declined(edition, at):
            raise StaleEditionError(edition)
        details = request_details or RequestDetails()
        row, _created = rows.get_or_create(
            edition=edition,
            user_id=user_key,
            defaults={
                "digest": digest,
                "language": language,
                "at": at,
                "pseudonym": pseudonym.digest,
                "pseudonym_key": pseudonym.key,
                "ip": details.ip,
                "user_agent": details.user_agent[:255],
            },
        )
        return row


def _can_be_declined(edition: Edition, at: datetime) -> bool:
    state = edition.state(at)
    return state == State.IN_FORCE or (state == State.SCHEDULED and conf.get().ACCEPT_ANNOUNCED)


DeclineManager = models.Manager.from_queryset(DeclineQuerySet)


class Decline(Personal):
    """One user declined one edition, for the first time at ``at``. There is at most one row for each edition and user.
    The user may have accepted the edition since.
    """

    # The index of the unique key begins with the edition, so the column needs no index of its own.
    edition = models.ForeignKey(
        Edition, on_delete=models.PROTECT, related_name="declines", db_index=False, verbose_name=_("edition")
    )
    digest = models.CharField(_("digest (SHA-256)"), max_length=64, editable=False)
    language = models.CharField(_("language"), max_length=2, choices=LANGUAGE_CHOICES)
    at = InstantField(_("when"))
    ip = models.GenericIPAddressField(_("IP address"), null=True, blank=True)
    user_agent = models.CharField(_("browser"), max_length=255, blank=True)

    if TYPE_CHECKING:
        edition_id: int
        accepted: bool

    objects = DeclineManager()

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("decline")
        verbose_name_plural = _("declines")
        constraints = [
            models.UniqueConstraint(fields=["edition", "user"], name="agreement_decline_once"),
            models.CheckConstraint(
                condition=Q(language__in=languages.LANGUAGES),
                name="agreement_decline_language",
            ),
            models.CheckConstraint(
                condition=Q(erased_at__isnull=True)
                | Q(erased_at__gte=F("at"), ip__isnull=True, user_agent="", pseudonym="", pseudonym_key=""),
                name="agreement_decline_erased_complete",
            ),
        ]
        indexes = [models.Index(fields=["pseudonym"], condition=~Q(pseudonym=""), name="agreement_decline_pseudonym")]

    def __str__(self) -> str:
        return f"{self.edition}"
