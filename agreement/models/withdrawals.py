"""Consent to personal data, apart from joining; and the register of who took it back, and what that did.

A withdrawal adds a row and removes none (clause 3.6). One that suspends or ends the agreement opens a new *round*
from its effective moment on: what the user joined before counts no longer, and he is outside until he joins again.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from datetime import date, datetime, time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.files.storage import FileSystemStorage
from django.db import models, router, transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.deconstruct import deconstructible
from django.utils.translation import gettext_lazy as _

from agreement import conf, lineage, pseudonyms, signals
from agreement.lineage import Dated
from agreement.models.agreements import Agreement
from agreement.models.editions import Edition
from agreement.models.fields import LEAVE_EVIDENCE, InstantField
from agreement.models.notices import hand_over
from agreement.text import seal

#: The columns of an edition nothing here reads: as long as the text itself.
LONG = tuple(f"{name}{suffix}" for name in ("body", "summary") for suffix in ("", "_kk", "_ru"))
LANGUAGES = [("kk", _("Kazakh")), ("ru", _("Russian"))]


class PersonalQuerySet(models.QuerySet[Any]):
    """Rows about a person, whose account may be gone."""

    def of(self, user_key: object) -> Self:
        """Those of that user, found by pseudonym once the account is gone, as long as the site has the key."""
        found = Q(user=user_key)
        for pseudonym in pseudonyms.read(user_key):
            found |= Q(pseudonym=pseudonym.digest, pseudonym_key=pseudonym.key)
        return self.filter(found)


class Personal(models.Model):
    """What a row about a person has: a link while there is an account, a pseudonym after it, until it is erased."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=LEAVE_EVIDENCE,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("user"),
    )
    pseudonym = models.CharField(_("pseudonym"), max_length=64, blank=True, editable=False)
    pseudonym_key = models.CharField(_("key of the pseudonym"), max_length=32, blank=True, editable=False)
    account_deleted_at = InstantField(_("account deleted"), null=True, blank=True, editable=False)
    # From this moment the personal columns are empty.
    erased_at = InstantField(_("erased"), null=True, blank=True, editable=False)

    if TYPE_CHECKING:
        user_id: Any

    class Meta:
        abstract = True


class ConsentQuerySet(PersonalQuerySet):
    def given(self, at: datetime | None = None) -> Self:
        """Consents that hold at that instant (now)."""
        at = at or timezone.now()
        return self.filter(given_at__lte=at).exclude(withdrawn_at__lte=at)

    def give(self, *, user: Any, purpose: str, language: str, text: str, at: datetime | None = None) -> Consent:
        """Record that this user agreed to the collection and use of personal data for that purpose, in those words,
        once.
        """
        pseudonym = pseudonyms.write(user.pk)
        consent, _made = self.get_or_create(
            user=user,
            purpose=purpose,
            digest=seal.sha256(text),
            withdrawn_at=None,
            defaults={
                "language": language,
                "text": text,
                "given_at": at or timezone.now(),
                "pseudonym": pseudonym.digest,
                "pseudonym_key": pseudonym.key,
            },
        )
        return consent  # type: ignore[no-any-return]

    def withdraw(self, *, at: datetime | None = None) -> int:
        """Take the consents of this queryset back at that instant (now); those taken back by then keep theirs."""
        at = at or timezone.now()
        return self.filter(Q(withdrawn_at=None) | Q(withdrawn_at__gt=at)).update(withdrawn_at=at)


class Consent(Personal):
    """One user's consent to one use of personal data, in the words shown: a record of its own, whatever was joined."""

    purpose = models.SlugField(_("purpose"), max_length=64, help_text=_("As the site names it: “registration”."))
    language = models.CharField(_("language"), max_length=2, choices=LANGUAGES)
    text = models.TextField(_("words shown"), editable=False, default="")
    digest = models.CharField(_("digest of the words (SHA-256)"), max_length=64, editable=False, default="")
    given_at = InstantField(_("given"))
    withdrawn_at = InstantField(_("withdrawn"), null=True, blank=True)

    objects: ClassVar[Any] = ConsentQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("consent to data")
        verbose_name_plural = _("consents to data")
        constraints = [
            models.UniqueConstraint(
                fields=["user", "purpose", "digest"],
                condition=Q(withdrawn_at__isnull=True),
                name="agreement_consent_once",
            ),
            models.CheckConstraint(
                condition=Q(withdrawn_at__isnull=True) | Q(withdrawn_at__gte=F("given_at")),
                name="agreement_consent_withdrawn_later",
            ),
        ]

    def __str__(self) -> str:
        return self.purpose


@deconstructible
class Scans(FileSystemStorage):
    """The folder ``PRIVATE_ROOT``: no address leads into it, and no other account of the machine reads it."""

    def __init__(self) -> None:
        super().__init__(file_permissions_mode=0o600, directory_permissions_mode=0o700)

    @property
    def base_location(self) -> str:
        return conf.get().PRIVATE_ROOT

    @property
    def location(self) -> str:
        return str(Path(self.base_location).absolute())

    def url(self, name: str | None) -> str:
        raise ValueError("A scan has no address.")


def _nameless(_withdrawal: object, name: str) -> str:
    """A name that says nothing about anybody."""
    return f"withdrawals/{uuid.uuid4().hex}{Path(name).suffix.lower()}"


class WithdrawalQuerySet(PersonalQuerySet):
    def departures(self, at: datetime | None = None) -> Self:
        """Withdrawals that suspended or ended an agreement by that instant (now)."""
        return self.exclude(outcome=Withdrawal.Outcome.REFUSED).filter(effective_at__lte=at or timezone.now())

    def numbered(self, number: str) -> Self:
        """Those of that number, as their applicants wrote it or as the register's (``terms/2026/3``)."""
        found = Q(application_number=number)
        if entry := re.fullmatch(r"([^/]+)/([0-9]{4})/([0-9]{1,9})", number):
            found |= Q(agreement__slug=entry[1], year=int(entry[2]), serial=int(entry[3]))
        return self.filter(found)

    def unconfirmed(self) -> Self:
        """Withdrawals whose reply is still to be mailed, the longest due first."""
        return self.filter(confirm_due_at__isnull=False).order_by("confirm_due_at", "pk")

    def left_since(self, since: datetime, at: datetime | None = None) -> Self:
        """Departures of users that took effect by that instant (now), or were entered, after ``since``."""
        lately = self.departures(at).filter(Q(effective_at__gt=since) | Q(registered_at__gt=since))
        return lately.filter(user__isnull=False)

    def register(
        self,
        *,
        agreement: Agreement,
        outcome: str,
        received_on: date,
        user: Any = None,
        applicant: str = "",
        application_number: str = "",
        effective_at: datetime | None = None,
        ground: str = "",
        may_rejoin: bool = True,
        language: str = "kk",
        scan: Any = None,
        by: str = "",
    ) -> Withdrawal:
        """Enter an application to withdraw consent, with the next number of the year, and let it take effect.

        It is about a user, or about an applicant without an account. ``effective_at`` is now unless stated; a refusal
        has none, and states its ground. The user's consents are withdrawn, unless it was refused. The sweep mails the
        reply to the user. ``by`` is the officer's name, or ``""`` for what the user filed himself. Raises
        ``ValidationError`` and changes nothing.
        """
        alias = router.db_for_write(Withdrawal)
        with transaction.atomic(using=alias):
            # Whoever joins or publishes meanwhile does it before, or sees this.
            agreement.lock(using=alias)
            now = timezone.now()
            refused = outcome == Withdrawal.Outcome.REFUSED
            year = now.astimezone(ZoneInfo(agreement.time_zone)).year
            last = self.using(alias).filter(agreement=agreement, year=year).aggregate(last=models.Max("serial"))["last"]
            pseudonym = pseudonyms.write(user.pk) if user else pseudonyms.Pseudonym()
            row = Withdrawal(
                agreement=agreement,
                year=year,
                serial=(last or 0) + 1,
                edition=_bound(user, agreement, alias, effective_at or now) if user else None,
                user=user,
                pseudonym=pseudonym.digest,
                pseudonym_key=pseudonym.key,
                applicant=applicant.strip(),
                application_number=application_number.strip(),
                received_on=received_on,
                registered_at=now,
                effective_at=None if refused else effective_at or now,
                outcome=outcome,
                ground=ground.strip(),
                may_rejoin=may_rejoin,
                language=language,
                scan=scan or "",
                registered_by=by[:255],
                confirm_due_at=now if user else None,
            )
            row.full_clean()
            row.save(using=alias, force_insert=True)
            if user and not refused:
                Consent.objects.using(alias).of(user.pk).withdraw(at=max(now, row.effective_at or now))
            if not refused:
                transaction.on_commit(partial(_announce, row), using=alias, robust=True)
            if user:
                hand_over(using=alias)
        return row


def until(at: Any, recorded_at: Any, left: Iterable[Withdrawal]) -> datetime | None:
    """When a joining of that instant, written down then, ceased to hold: by the first of those entries to be known
    after it, though never before it was made; ``None`` while it holds.
    """
    after = [row for row in left if row.follows(at, recorded_at)]
    first = min(after, key=Withdrawal.known_at, default=None)
    return max(at, first.effective_at) if first else None


def _bound(user: Any, agreement: Agreement, alias: str, at: datetime) -> Edition | None:
    """The edition that binds that user at that instant, or bound him last; the first he joined, if none did by then.

    3 queries.
    """
    sealed = Edition.objects.using(alias).published().filter(agreement=agreement).order_by("number")
    joined = list(
        sealed.filter(acceptances__user=user, cancelled_at=None).values_list(
            "pk", "acceptances__at", "acceptances__recorded_at"
        )
    )
    editions = {edition.pk: edition for edition in sealed.defer(*LONG)}
    dated = {pk: Dated.of(edition) for pk, edition in editions.items()}
    left = list(Withdrawal.objects.using(alias).departures(at).filter(user=user, agreement=agreement))
    bound = [
        each.pk
        for pk, joined_at, recorded_at in joined
        for each in lineage.bound_by(dated[pk], [*dated.values()], min(at, until(joined_at, recorded_at, left) or at))
    ]
    bound = bound or [pk for pk, *_moments in joined[:1]]
    return max((editions[pk] for pk in bound), key=lambda edition: edition.number or 0, default=None)


def _announce(row: Withdrawal) -> None:
    signals.consent_withdrawn.send_robust(sender=Withdrawal, withdrawal=row)


class Withdrawal(Personal):
    """An application to withdraw consent, as it stands in the register, and what it did to the agreement."""

    class Outcome(models.TextChoices):
        SUSPENDED = "suspended", _("suspended")
        ENDED = "ended", _("ended")
        REFUSED = "refused", _("refused")

    agreement = models.ForeignKey(
        Agreement, on_delete=models.PROTECT, related_name="withdrawals", verbose_name=_("user agreement")
    )
    edition = models.ForeignKey(
        Edition,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("edition that bound the user"),
    )
    year = models.PositiveSmallIntegerField(editable=False)
    serial = models.PositiveIntegerField(editable=False)
    applicant = models.CharField(
        _("applicant"),
        max_length=255,
        blank=True,
        help_text=_("Name and address, of one without an account."),
    )
    application_number = models.CharField(_("number of the application"), max_length=64, blank=True)
    received_on = models.DateField(_("received"))
    registered_at = InstantField(_("registered"))
    effective_at = InstantField(_("effective"), null=True, blank=True)
    outcome = models.CharField(_("outcome"), max_length=9, choices=Outcome.choices)
    ground = models.TextField(_("ground"), blank=True, help_text=_("Why it is refused, or what else the reply says."))
    may_rejoin = models.BooleanField(
        _("may join again"), default=True, help_text=_("May the user join again without asking anybody?")
    )
    language = models.CharField(_("language of the reply"), max_length=2, choices=LANGUAGES, default="kk")
    scan = models.FileField(_("scan"), storage=Scans(), upload_to=_nameless, blank=True)
    registered_by = models.CharField(_("registered by"), max_length=255, blank=True)
    # The reply by mail: until it was taken, or given up, the sweep tries again at ``confirm_due_at``.
    confirmed_at = InstantField(_("confirmation sent"), null=True, blank=True, editable=False)
    confirm_due_at = InstantField(_("confirmation due"), null=True, blank=True, editable=False)
    confirm_attempts = models.PositiveSmallIntegerField(_("attempts"), default=0, db_default=0, editable=False)

    if TYPE_CHECKING:
        agreement_id: int
        edition_id: int | None

        def get_outcome_display(self) -> str: ...

    objects: ClassVar[Any] = WithdrawalQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("withdrawal of consent")
        verbose_name_plural = _("withdrawals of consent")
        permissions = [("export_evidence", _("Can export evidence"))]
        constraints = [
            models.UniqueConstraint(fields=["agreement", "year", "serial"], name="agreement_withdrawal_number"),
            models.CheckConstraint(
                condition=Q(outcome="refused", effective_at__isnull=True) & ~Q(ground="")
                | Q(outcome__in=["suspended", "ended"], effective_at__isnull=False),
                name="agreement_withdrawal_outcome_whole",
            ),
            models.CheckConstraint(
                condition=Q(erased_at__isnull=True)
                | Q(applicant="", application_number="", scan="", pseudonym="", pseudonym_key=""),
                name="agreement_withdrawal_erased_whole",
            ),
        ]
        indexes = [
            models.Index(fields=["user", "agreement"], name="agreement_withdrawal_of_user"),
            models.Index(fields=["effective_at"], name="agreement_withdrawal_effective"),
            models.Index(fields=["registered_at"], name="agreement_withdrawal_lately"),
            models.Index(
                fields=["confirm_due_at"],
                condition=Q(confirm_due_at__isnull=False),
                name="agreement_withdrawal_reply_due",
            ),
        ]

    @property
    def reference(self) -> str:
        """The reference number, as the reply and the user's page name it."""
        return f"{self.agreement.slug}/{self.year}/{self.serial}"

    def known_at(self) -> Any:
        """From when on it was in the register, and had effect."""
        return max(at for at in (self.effective_at, self.registered_at) if at)

    def follows(self, at: Any, recorded_at: Any) -> bool:
        """Did the user leave by this after a joining of that instant, written down then? Else that was made after it,
        and lets him in again.
        """
        return bool(self.effective_at and self.registered_at) and (
            self.effective_at > at or self.registered_at > recorded_at
        )

    def strictness(self) -> tuple[bool, bool, int]:
        """What shuts more is greater; of equals the later."""
        return not self.may_rejoin, self.outcome == self.Outcome.ENDED, self.pk

    def clean(self) -> None:
        """The sentences behind the constraints."""
        super().clean()
        wrong = {}
        if self.user_id is None and not self.applicant:
            wrong["applicant"] = _("Name the user, or the applicant.")
        if self.outcome == self.Outcome.REFUSED and not self.ground:
            wrong["ground"] = _("State the ground of the refusal.")
        if self.agreement_id is None:
            raise ValidationError(wrong)  # Nothing more can be said without its zone.
        zone = ZoneInfo(self.agreement.time_zone)
        today = (self.registered_at or timezone.now()).astimezone(zone).date()
        received: date | None = self.received_on  # Until it is filled in.
        if received and received > today:
            wrong["received_on"] = _("The application is said to come on a day that is still to come.")
        elif received and self.effective_at and self.effective_at < datetime.combine(received, time(), zone):
            wrong["effective_at"] = _("It can't take effect before it was received.")
        if self.scan and not conf.get().PRIVATE_ROOT:
            wrong["scan"] = _("The site has no private folder for scans (PRIVATE_ROOT).")
        if wrong:
            raise ValidationError(wrong)

    def __str__(self) -> str:
        return self.reference
