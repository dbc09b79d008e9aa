"""Legal holds, which stop the erasure of personal data (``agreement.retention``)."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import connections, models, router, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from agreement import conf
from agreement.models import pseudonyms
from agreement.models.acceptances import Acceptance
from agreement.models.declines import Decline
from agreement.models.deliveries import Delivery
from agreement.models.editions import Edition
from agreement.models.fields import STORE_PSEUDONYMS, InstantField, SiteUser, UserKey
from agreement.models.withdrawals import Consent, Withdrawal
from agreement.seal.triggers import CLOCK_TOLERANCE


class LegalHoldQuerySet(models.QuerySet["LegalHold"]):
    def ended_by(self, at: datetime) -> Self:
        """Holds on people that have ended by that instant and whose personal columns are not emptied yet."""
        return self.filter(edition__isnull=True, held_until__lte=at, erased_at__isnull=True)

    def in_effect(self, at: datetime | None = None) -> Self:
        """Holds that stop erasure at that instant (now): those that began by then and have not ended by then."""
        at = at or timezone.now()
        return self.filter(held_from__lte=at).exclude(held_until__lte=at)

    def place(
        self,
        *,
        ground: str,
        by: str,
        user: SiteUser = None,
        edition: Edition | None = None,
        account: object = "",
        application: str = "",
        held_from: datetime | None = None,
        held_until: datetime | None = None,
    ) -> LegalHold:
        """Place a hold, and return it. It is on the data of a user, of all people whom an ``edition`` concerns
        (:class:`LegalHold`), of a deleted ``account``, or of the person of an ``application``. Exactly one of these
        must be given; :meth:`identifiers` describes the last two.

        ``ground`` says who asked for it and by which letter, and ``by`` is the name of the officer; both are required.
        It lasts from ``held_from`` (now) until ``held_until``; without the latter, until an officer ends it. The same
        hold is placed once: a second call returns the row of the first one, and its attribute ``created`` is then
        false. Two holds are the same if the user, the edition, :meth:`identifiers`, ``ground``, ``by`` and
        ``held_until`` are equal, and ``held_from`` too if it is given. Calls at the same time wait for each other. No
        audit entry is added. Raises ``ValidationError`` if the account or the application is not found, if a value is
        missing or wrong, or if the site has no ``PSEUDONYM_KEYS`` for a user or a deleted account. Nothing is stored
        then.
        """
        row = LegalHold(
            user=user,
            pseudonyms=self.identifiers(user=user, edition=edition, account=account, application=application),
            edition=edition,
            ground=ground.strip(),
            by=by[:255],
            held_from=held_from or timezone.now(),
            held_until=held_until,
        )
        row.full_clean(exclude=["pseudonyms"])
        alias = router.db_for_write(self.model)
        with transaction.atomic(using=alias):
            self._lock_table(alias)
            columns = ("user", "edition", "pseudonyms", "ground", "by", "held_until")
            same = {name: getattr(row, name) for name in columns} | ({"held_from": held_from} if held_from else {})
            if found := self.using(alias).filter(**same).first():
                row = found
            else:
                row.save(using=alias, force_insert=True)
                row.created = True
        return row

    def _lock_table(self, alias: str) -> None:
        """Lock the table: no other transaction places a hold until the transaction of the caller ends. 1 query."""
        if connections[alias].vendor == "postgresql":
            with connections[alias].cursor() as cursor:
                cursor.execute(f"LOCK TABLE {self.model._meta.db_table} IN SHARE ROW EXCLUSIVE MODE")
        else:  # SQLite locks the database for a write, even if it changes no row.
            self.using(alias).filter(pk=0).update(by=models.F("by"))

    def identifiers(self, *, user: SiteUser, edition: Edition | None, account: object, application: str) -> list[str]:
        """The strings by which the rows of the person are found, besides the account. For a user and for a deleted
        account, they are the pseudonyms under every key of the site: the id of the key, a colon and the digest. For an
        application, they are ``"withdrawal:"`` with the primary key of the withdrawal, and its pseudonym if it has one.
        If several withdrawals have that number, they are those of all of them. Empty for an edition.

        Exactly one argument must name something: ``None`` and ``""`` name nothing. ``account`` is the primary key of a
        deleted account, perhaps as text. ``application`` is the number of an application of a person without an
        account: the number that the application itself has, or its number in the register. An erased withdrawal is not
        found. Raises ``ValidationError`` if not exactly one argument names something, if nothing is stored about the
        deleted account, if the application is not found, if ``account`` can't be a primary key, if the account of
        ``account`` or ``application`` still exists, or if the site has no ``PSEUDONYM_KEYS`` for a user or a deleted
        account. Nothing is written.
        """
        if [user is None, edition is None, account in (None, ""), not application].count(False) != 1:
            raise ValidationError(
                _("Enter exactly one: a user, an edition, a deleted account or an application."), code="one_of"
            )
        if application:
            return self._identifiers_of_application(application)
        if edition:
            return []
        if not conf.get().PSEUDONYM_KEYS:
            raise ValidationError(
                _(
                    "Without PSEUDONYM_KEYS, a user can't be found after their account is deleted. Set a key,"
                    " then place the legal hold."
                ),
                code="no_keys",
            )
        key = user.pk if user else self._deleted_account(account)
        return [f"{one.key}:{one.digest}" for one in pseudonyms.candidates(key)]

    def _deleted_account(self, account: object) -> UserKey:
        """The primary key of a deleted account, converted to its type. Raises ``ValidationError`` if it can't be
        converted, if the account exists, or if no acceptance, withdrawal, consent, decline or delivery is about it.
        """
        model = get_user_model()
        key = model._meta.pk.clean(account, None)
        if model._default_manager.filter(pk=key).exists():
            raise ValidationError(_("The account %(key)s exists. Enter it as the user."), params={"key": key})
        remaining = (
            Acceptance.objects.for_user_key(key),
            Withdrawal.objects.for_user_key(key),
            Consent.objects.for_user_key(key),
            Decline.objects.for_user_key(key),
            Delivery.objects.for_user_key(key),
        )
        if not any(rows.exists() for rows in remaining):
            raise ValidationError(_("Nothing is stored about an account %(key)s."), params={"key": key})
        return key

    def _identifiers_of_application(self, number: str) -> list[str]:
        rows = list(Withdrawal.objects.filter(erased_at=None).numbered(number))
        if not rows:
            raise ValidationError(_("No application %(number)s is stored."), params={"number": number})
        if any(row.user_id is not None for row in rows):
            raise ValidationError(
                _("Application %(number)s belongs to an account. Enter the user."), params={"number": number}
            )
        names = [f"withdrawal:{row.pk}" for row in rows]
        return names + [f"{row.pseudonym_key}:{row.pseudonym}" for row in rows if row.pseudonym]


LegalHoldManager = models.Manager.from_queryset(LegalHoldQuerySet)


class LegalHold(models.Model):
    """While a hold is in effect, the data of one person, or the data in one agreement of all people whom an edition of
    it concerns, is not erased. An edition concerns the people who accepted it, whom it bound, or whose data is stored
    for the term that it states. A hold on an edition also preserves every decline of it, and the digests of addresses
    in the deliveries of its notices. After a hold on a person has ended, an erasure can also empty its ``user``,
    ``pseudonyms`` and ``ground``.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=STORE_PSEUDONYMS,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("user"),
    )
    # Each is "id of the key:digest", one for every key of the site: the rows of the person may have any of them.
    # For a person without an account: "withdrawal:" and the primary key of the withdrawal.
    pseudonyms = models.JSONField(default=list, editable=False)
    edition = models.ForeignKey(
        Edition, on_delete=models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("edition")
    )
    # It is empty only after the erasure.
    ground = models.TextField(
        _("ground"),
        help_text=_(
            "State who required the legal hold, and by which act or letter. Do not name users if the legal hold is on"
            " an edition, because this text then stays."
        ),
    )
    by = models.CharField(_("who"), max_length=255)
    held_from = InstantField(_("from"), default=timezone.now)
    held_until = InstantField(_("until"), null=True, blank=True)
    # When ``user``, ``pseudonyms`` and ``ground`` were emptied.
    erased_at = InstantField(_("erased"), null=True, blank=True, editable=False)

    #: Was this row written by the call of ``place()`` that returned it?
    created = False

    objects = LegalHoldManager()

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("legal hold")
        verbose_name_plural = _("legal holds")
        constraints = [
            models.CheckConstraint(
                condition=Q(erased_at__isnull=True) & ~Q(ground="")
                | Q(erased_at__isnull=False, user__isnull=True, ground=""),
                name="agreement_legalhold_has_a_ground",
            ),
            models.CheckConstraint(
                condition=Q(held_until__isnull=True) | Q(held_until__gt=models.F("held_from")),
                name="agreement_legalhold_ends_later",
            ),
        ]

    def clean(self) -> None:
        super().clean()
        begins: datetime | None = self.held_from  # None if the form has no moment.
        if self.held_until and begins and self.held_until <= begins:
            raise ValidationError({"held_until": _("A legal hold must end after it begins.")})
        stored = LegalHold.objects.filter(pk=self.pk).first() if self.pk else None
        if (stored.held_until if stored else None) == self.held_until:
            return
        # The database refuses these too, but it would not name the field.
        now = timezone.now()
        if stored and stored.held_until and stored.held_until <= now:
            raise ValidationError({"held_until": _("This legal hold has ended. Place a new one.")})
        if self.held_until and self.held_until < now - CLOCK_TOLERANCE:
            raise ValidationError({"held_until": _("A legal hold can't end in the past. Enter a later moment.")})

    def __str__(self) -> str:
        return f"{self.pk}"
