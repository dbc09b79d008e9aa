"""Consents to the use of personal data, which are separate from acceptance, and the register of withdrawals.

A withdrawal adds a row and deletes none. :mod:`agreement.models.membership` says which acceptances it ends.
"""

from __future__ import annotations

import re
import uuid
from datetime import date, datetime, time, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.core.files import File
from django.core.files.storage import FileSystemStorage
from django.db import models, router, transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.deconstruct import deconstructible
from django.utils.translation import gettext_lazy as _

from agreement import conf, signals
from agreement.models import pseudonyms
from agreement.models.agreements import Agreement
from agreement.models.clock import database_now
from agreement.models.editions import Edition
from agreement.models.fields import LANGUAGE_CHOICES, InstantField, SiteUser, UserKey
from agreement.models.membership import Membership
from agreement.models.notices import enqueue_on_commit
from agreement.models.personal import Personal, PersonalQuerySet
from agreement.models.succession import EditionDates
from agreement.seal.manifest import sha256
from agreement.text import consent


class ConsentQuerySet(PersonalQuerySet["Consent"]):
    def given(self, at: datetime | None = None) -> Self:
        """Consents that were given at that instant (now) or earlier, and not withdrawn by then."""
        at = at or timezone.now()
        return self.filter(given_at__lte=at).exclude(withdrawn_at__lte=at)

    def withdrawn_by(self, withdrawal: Withdrawal) -> Self:
        """Consents that were withdrawn with that registered application. None if the application was refused, if it is
        about no user, or if its personal columns were erased.
        """
        if withdrawal.user_id is not None:
            same = Q(user=withdrawal.user_id)
        else:
            same = Q(pseudonym=withdrawal.pseudonym, pseudonym_key=withdrawal.pseudonym_key) & ~Q(pseudonym="")
        if withdrawal.outcome == WithdrawalOutcome.REFUSED:
            return self.none()
        return self.filter(same, withdrawn_at=withdrawal.known_at())

    def give(self, *, user: SiteUser, purpose: str, language: str, text: str, at: datetime | None = None) -> Consent:
        """Record that this user consented, at that instant (now), to the collection and use of personal data for that
        purpose, and return the row. ``text`` contains the words that were displayed, and ``language`` is their
        language. For a new row, the database refuses an instant that differs from its clock by more than a minute:
        ``IntegrityError``.

        If the user gave this consent in the same words before, and no withdrawal of it is recorded, not even for a
        later moment, the row of that consent is returned unchanged.
        """
        pseudonym = pseudonyms.primary(user.pk)
        now: Any = partial(database_now, router.db_for_write(Consent))  # Called only if the row is created.
        consent, _created = self.get_or_create(
            user=user,
            purpose=purpose,
            digest=sha256(text),
            withdrawn_at=None,
            defaults={
                "language": language,
                "text": text,
                "given_at": at or now,
                "pseudonym": pseudonym.digest,
                "pseudonym_key": pseudonym.key,
            },
        )
        return consent

    def withdraw(self, *, at: datetime | None = None) -> int:
        """Withdraw the consents of this queryset at that instant (now), except those that are withdrawn by then. A
        consent whose withdrawal takes effect later is withdrawn at that instant instead. Returns how many were changed.
        1 query; 2 on PostgreSQL without ``at``. The database refuses an instant that is past by more than a minute, or
        before a consent was given: ``IntegrityError``.
        """
        at = at or database_now(self.db)
        return self.filter(Q(withdrawn_at=None) | Q(withdrawn_at__gt=at)).update(withdrawn_at=at)


ConsentManager = models.Manager.from_queryset(ConsentQuerySet)


class Consent(Personal):
    """One user's consent to one use of personal data, in the words that were displayed. It is no acceptance."""

    purpose = models.SlugField(
        _("purpose"), max_length=64, help_text=_("The name that the site uses, for example “registration”.")
    )
    language = models.CharField(_("language"), max_length=2, choices=LANGUAGE_CHOICES)
    text = models.TextField(_("text shown"), editable=False, default="")
    digest = models.CharField(_("digest of the text (SHA-256)"), max_length=64, editable=False, default="")
    given_at = InstantField(_("given"))
    withdrawn_at = InstantField(_("withdrawn"), null=True, blank=True)

    objects = ConsentManager()

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("consent to data processing")
        verbose_name_plural = _("consents to data processing")
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

    @property
    def words(self) -> consent.Words:
        """The words that were displayed, divided into the sentence beside the checkbox and the parts below it, such as
        the operator and the data (:class:`agreement.text.consent.Words`). If no words are stored, the sentence is
        ``purpose``, and there are no parts.
        """
        return consent.split(self.text or self.purpose)

    def __str__(self) -> str:
        return self.purpose


@deconstructible
class ScanStorage(FileSystemStorage):
    """Stores scans in the folder ``PRIVATE_ROOT``. The storage gives them no URL; a view of the admin sends them. The
    files have the mode 0600, and new folders 0700: other ordinary accounts of the operating system can't read them.
    """

    def __init__(self) -> None:
        super().__init__(file_permissions_mode=0o600, directory_permissions_mode=0o700)

    @property
    def base_location(self) -> str:
        return conf.get().PRIVATE_ROOT

    @property
    def location(self) -> str:
        return str(Path(self.base_location).absolute())

    def url(self, name: str | None) -> str:
        """Raise ``ValueError``, because the storage has no URL for a scan."""
        raise ValueError("A scan has no URL: only the admin sends it.")


#: A withdrawal whose reply was neither mailed nor recorded, and that is not erased.
UNANSWERED = Q(confirmed_at__isnull=True, replied_on__isnull=True, erased_at__isnull=True)

#: The folder of the scans in ``PRIVATE_ROOT``.
SCAN_FOLDER = "withdrawals"
#: How the name of a scan begins.
SCAN_NAME = re.compile(r"[0-9a-f]{32}")


def scan_path(_withdrawal: object, name: str) -> str:
    """The path of a new scan: the folder ``SCAN_FOLDER``, and a random name, which contains no personal data, with the
    suffix of ``name`` in lower case.
    """
    return f"{SCAN_FOLDER}/{uuid.uuid4().hex}{Path(name).suffix.lower()}"


class WithdrawalOutcome(models.TextChoices):
    """The effect of a withdrawal on the agreement with the user: it suspended or ended the agreement, or was refused
    and has no effect.
    """

    SUSPENDED = "suspended", _("suspended")
    ENDED = "ended", _("ended")
    REFUSED = "refused", _("refused")


class WithdrawalQuerySet(PersonalQuerySet["Withdrawal"]):
    def in_effect(self, at: datetime | None = None) -> Self:
        """Withdrawals that suspended or ended an agreement at that instant (now) or earlier, whenever they were
        registered. Those after which the user accepted again are included. Refused ones are not.
        """
        return self.exclude(outcome=WithdrawalOutcome.REFUSED).filter(effective_at__lte=at or timezone.now())

    def numbered(self, number: str) -> Self:
        """The withdrawals with that number: that of the application, or that of the register (``terms/2026/3``). There
        may be several, because the numbers of applications are not unique. None has the number ``""``.
        """
        found = Q(application_number=number) & ~Q(application_number="")
        if entry := re.fullmatch(r"([^/]+)/([0-9]{4})/([0-9]{1,9})", number):
            found |= Q(agreement__slug=entry[1], year=int(entry[2]), serial=int(entry[3]))
        return self.filter(found)

    def unconfirmed(self) -> Self:
        """Withdrawals whose reply must still be mailed, now or later, the longest due first."""
        return self.filter(confirm_due_at__isnull=False).order_by("confirm_due_at", "pk")

    def unanswered(self) -> Self:
        """Withdrawals to which the app has mailed no reply, and no officer has recorded one, ordered by the last day
        for the reply. Erased ones are left out.
        """
        return self.filter(UNANSWERED).order_by("reply_by", "pk")

    def overdue(self, at: datetime | None = None) -> Self:
        """Unanswered withdrawals whose last day for the reply is over at that instant (now), in the time zone of their
        agreement. 1 query for the time zones, besides that for the rows.
        """
        at = at or timezone.now()
        over = Q(pk__in=[])
        for zone in Agreement.objects.order_by().values_list("time_zone", flat=True).distinct():
            over |= Q(agreement__time_zone=zone, reply_by__lt=at.astimezone(ZoneInfo(zone)).date())
        return self.unanswered().filter(over)

    def record_reply(self, *, on: date) -> int:
        """Record that the unanswered withdrawals of this queryset were answered on that day, other than by a mail of
        the app. Returns how many were changed. 1 query. The database refuses a day before the receipt:
        ``IntegrityError``.
        """
        return self.filter(UNANSWERED).update(replied_on=on)

    def in_effect_since(self, since: datetime) -> Self:
        """Withdrawals of users with an account that are in effect now, as in ``in_effect()``, and that took effect or
        were registered after ``since``.
        """
        later = self.in_effect().filter(Q(effective_at__gt=since) | Q(registered_at__gt=since))
        return later.filter(user__isnull=False)

    def register(
        self,
        *,
        agreement: Agreement,
        outcome: str,
        received_on: date,
        user: SiteUser = None,
        applicant: str = "",
        application_number: str = "",
        effective_at: datetime | None = None,
        ground: str = "",
        may_accept_again: bool = True,
        language: str = "kk",
        scan: File[bytes] | None = None,
        by: str = "",
    ) -> Withdrawal:
        """Register an application to withdraw consent, with the next number of the agreement in the year, and return
        the row.

        It is about a user, or about an ``applicant`` without an account. ``outcome`` is a :class:`WithdrawalOutcome`.
        The application was received on the day ``received_on``, and takes effect at ``effective_at`` (now). A refused
        application does not take effect, and must have a ``ground``. ``may_accept_again``: may the user accept again
        without an officer? ``language`` is that of the reply. ``scan`` is possible only if the site has a
        ``PRIVATE_ROOT``. Unless the application is refused, all consents of the user are withdrawn
        (:meth:`Withdrawal.take_effect`), and the signal ``consent_withdrawn`` is sent after the commit, also for an
        applicant without an account. The reply to a user is mailed later, by ``dispatch.work()``; an applicant without
        an account gets no mail. ``by`` is the name of the officer, or ``""`` if the user filed the application on the
        site. No audit entry is added.

        Raises ``ValidationError`` if a value is missing or wrong. Nothing is changed then. After an error the file of
        the scan is deleted. If the caller rolls back its own transaction later, the file remains; ``erase_expired``
        reports it.
        """
        row = Withdrawal(
            agreement=agreement,
            outcome=outcome,
            received_on=received_on,
            user=user,
            applicant=applicant.strip(),
            application_number=application_number.strip(),
            effective_at=effective_at,
            ground=ground.strip(),
            may_accept_again=may_accept_again,
            language=language,
            scan=scan or "",
            registered_by=by[:255],
        )
        alias = router.db_for_write(Withdrawal)
        try:
            with transaction.atomic(using=alias):
                # An acceptance or publication at the same time is either complete before this, or finds this row.
                agreement.lock(using=alias)
                row.complete(using=alias)
                row.full_clean()
                row.save(using=alias, force_insert=True)
                row.take_effect(using=alias)
        except BaseException:
            # The file is written before the row, and a rollback does not remove it.
            if getattr(row.scan, "_committed", False) and row.scan:
                row.scan.delete(save=False)
            raise
        return row


WithdrawalManager = models.Manager.from_queryset(WithdrawalQuerySet)


class _AcceptedEdition(NamedTuple):
    """The columns of an acceptance that ``Membership`` needs, read in a query of editions."""

    edition_id: int
    at: datetime
    recorded_at: datetime
    round: int


def _bound_by(user_key: UserKey, agreement: Agreement, alias: str, at: datetime) -> Edition | None:
    """The edition that binds the user with that key at that instant (:meth:`Membership.bound_by`); else, of the
    editions that bound them before, the one with the highest number. Either may be one that they did not accept, which
    changes only the wording of one that they accepted. If no edition bound them, it is the one with the lowest number
    that they accepted; ``None`` if they accepted none. Acceptances of cancelled editions, and those after that instant,
    are not considered. ``alias`` is that of the database. 3 queries.
    """
    sealed = Edition.objects.using(alias).published().filter(agreement=agreement).order_by("number")
    columns = ("pk", "acceptances__at", "acceptances__recorded_at", "acceptances__round")
    accepted = sealed.filter(acceptances__user=user_key, acceptances__at__lte=at, cancelled_at=None)
    editions = {edition.pk: edition for edition in sealed.without_texts("body", "summary")}
    membership = Membership(
        editions=[EditionDates.from_edition(edition) for edition in editions.values()],
        acceptances=[_AcceptedEdition(*row) for row in accepted.values_list(*columns)],
        withdrawals=list(Withdrawal.objects.using(alias).in_effect(at).filter(user=user_key, agreement=agreement)),
    )
    bound = membership.bound_by(at)
    ever = [bound[0]] if bound else [edition for one in membership.bindings(until=at) for edition in one.editions]
    keys = [edition.pk for edition in ever] or [row.edition_id for row in membership.acceptances[:1]]
    return max((editions[key] for key in keys), key=lambda edition: edition.number or 0, default=None)


class Withdrawal(Personal):
    """A registered application to withdraw consent, by a user or by a person without an account, and its outcome."""

    agreement = models.ForeignKey(
        Agreement, on_delete=models.PROTECT, related_name="withdrawals", verbose_name=_("user agreement")
    )
    edition = models.ForeignKey(
        Edition,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("edition that the withdrawal concerns"),
    )
    year = models.PositiveSmallIntegerField(editable=False)
    serial = models.PositiveIntegerField(editable=False)
    applicant = models.CharField(
        _("applicant"),
        max_length=255,
        blank=True,
        help_text=_("Name and address of a person without an account."),
    )
    application_number = models.CharField(_("number of the application"), max_length=64, blank=True)
    received_on = models.DateField(_("received"))
    registered_at = InstantField(_("registered"))
    reply_by = models.DateField(_("reply by"), editable=False)
    replied_on = models.DateField(
        _("day of the reply"),
        null=True,
        blank=True,
        help_text=_("The day on which the reply was given, if not by mail."),
    )
    effective_at = InstantField(_("effective"), null=True, blank=True)
    outcome = models.CharField(_("outcome"), max_length=9, choices=WithdrawalOutcome.choices)
    ground = models.TextField(
        _("ground"),
        blank=True,
        help_text=_(
            "If the application is refused, state the reason. Otherwise, enter any other text that the reply must"
            " contain."
        ),
    )
    may_accept_again = models.BooleanField(
        _("may accept again"), default=True, help_text=_("May the user accept again without permission?")
    )
    language = models.CharField(_("language of the reply"), max_length=2, choices=LANGUAGE_CHOICES, default="kk")
    scan = models.FileField(_("scan"), storage=ScanStorage(), upload_to=scan_path, blank=True)
    registered_by = models.CharField(_("registered by"), max_length=255, blank=True)
    # The reply by mail is tried again at ``confirm_due_at``, until the server accepts it or the attempts are used up.
    confirmed_at = InstantField(_("confirmation sent"), null=True, blank=True, editable=False)
    confirm_due_at = InstantField(_("confirmation due"), null=True, blank=True, editable=False)
    confirm_attempts = models.PositiveSmallIntegerField(_("attempts"), default=0, db_default=0, editable=False)

    if TYPE_CHECKING:
        agreement_id: int
        edition_id: int | None

        def get_outcome_display(self) -> str: ...

    objects = WithdrawalManager()

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("withdrawal of consent")
        verbose_name_plural = _("withdrawals of consent")
        permissions = [("export_evidence", _("Can export evidence"))]
        constraints = [
            models.UniqueConstraint(fields=["agreement", "year", "serial"], name="agreement_withdrawal_number"),
            models.CheckConstraint(
                condition=Q(outcome="refused", effective_at__isnull=True) & (~Q(ground="") | Q(erased_at__isnull=False))
                | Q(outcome__in=["suspended", "ended"], effective_at__isnull=False),
                name="agreement_withdrawal_outcome_complete",
            ),
            models.CheckConstraint(
                condition=Q(replied_on__isnull=True) | Q(replied_on__gte=F("received_on")),
                name="agreement_withdrawal_replied_later",
            ),
            models.CheckConstraint(
                condition=Q(erased_at__isnull=True)
                | Q(applicant="", application_number="", ground="", scan="", pseudonym="", pseudonym_key=""),
                name="agreement_withdrawal_erased_complete",
            ),
        ]
        indexes = [
            models.Index(fields=["user", "agreement"], name="agreement_withdrawal_of_user"),
            models.Index(fields=["effective_at"], name="agreement_withdrawal_effective"),
            models.Index(fields=["registered_at"], name="agreement_withdrawal_entered"),
            models.Index(
                fields=["confirm_due_at"],
                condition=Q(confirm_due_at__isnull=False),
                name="agreement_withdrawal_reply_due",
            ),
            models.Index(fields=["reply_by"], condition=UNANSWERED, name="agreement_withdrawal_open"),
        ]

    @property
    def reference(self) -> str:
        """The number in the register, as the reply and the user's page display it: ``terms/2026/3``."""
        return f"{self.agreement.slug}/{self.year}/{self.serial}"

    @property
    def is_answered(self) -> bool:
        """Was a reply mailed by the app, or recorded by an officer?"""
        return bool(self.confirmed_at or self.replied_on)

    def is_overdue(self, at: datetime | None = None) -> bool:
        """Return whether no reply was mailed by the app or recorded by an officer, and the last day for the reply is
        over at that instant (now), in the time zone of the agreement. An erased withdrawal is not overdue.
        """
        today = (at or timezone.now()).astimezone(ZoneInfo(self.agreement.time_zone)).date()
        return not (self.is_answered or self.erased_at) and self.reply_by < today

    def complete(self, *, using: str) -> None:
        """Set the columns that the register determines: the number (``year`` and ``serial``), the moment of
        registration, the last day for the reply (``REPLY_DAYS`` after the receipt), and the moment of the effect if
        none is given. A refused application gets no moment of effect. If there is a user, it also sets the pseudonym,
        the edition that :func:`_bound_by` returns, and the moment from which the reply is due. The caller must have
        locked the agreement, so that no other withdrawal gets the same number, and saves the row afterwards. At most 5
        queries.
        """
        now = database_now(using)
        self.year = now.astimezone(ZoneInfo(self.agreement.time_zone)).year
        entries = Withdrawal.objects.using(using).filter(agreement=self.agreement, year=self.year)
        self.serial = (entries.aggregate(last=models.Max("serial"))["last"] or 0) + 1
        self.registered_at = now
        received: date | None = self.received_on
        if received:  # A missing or future day is refused afterwards.
            first = min(received, now.date() + timedelta(days=1))
            self.reply_by = first + timedelta(days=conf.get().REPLY_DAYS)
        if self.user_id is not None:
            self.edition = _bound_by(self.user_id, self.agreement, using, self.effective_at or now)
            pseudonym = pseudonyms.primary(self.user_id)
            self.pseudonym, self.pseudonym_key = pseudonym.digest, pseudonym.key
            self.confirm_due_at = now
        self.effective_at = None if self.outcome == WithdrawalOutcome.REFUSED else self.effective_at or now

    def take_effect(self, *, using: str) -> None:
        """Unless the application is refused, withdraw the consents of the user, at the later of the registration and
        the effect, and send the signal ``consent_withdrawn`` after the commit. If there is a user, call the site's
        ``ENQUEUE`` after the commit, also for a refusal, so that a worker mails the reply. At most 1 query before the
        commit.
        """
        refused = self.outcome == WithdrawalOutcome.REFUSED
        if self.user_id is not None and not refused:
            consents = Consent.objects.using(using).for_user_key(self.user_id)
            consents.withdraw(at=self.known_at())
        if not refused:
            send = partial(signals.consent_withdrawn.send_robust, sender=Withdrawal, withdrawal=self)
            transaction.on_commit(send, using=using, robust=True)
        if self.user_id is not None:
            enqueue_on_commit(using=using)

    def known_at(self) -> datetime:
        """The moment from which the withdrawal was both registered and effective. For a refused application, which is
        never effective, it is the moment of registration. The row must be registered.
        """
        return max(at for at in (self.effective_at, self.registered_at) if at)

    def strictness(self) -> tuple[bool, bool, int]:
        """A sort key. A withdrawal that forbids the user to accept again is greater than one that does not; of equals,
        one that ended the agreement is greater; of equals, the one that was registered later.
        """
        return not self.may_accept_again, self.outcome == WithdrawalOutcome.ENDED, self.pk

    def clean(self) -> None:
        """Refuse missing and contradictory values: raise ``ValidationError`` with a sentence for each wrong field.

        It is wrong if there is neither a user nor an applicant, or if a refusal has no ground. Without an agreement
        nothing else is checked, and ``ValidationError`` is raised in every case. With one, it is also wrong if the day
        of receipt is in the future (for a registered row: after the day of registration), if the effect is before the
        day of receipt, if the day of the reply is before the receipt or in the future, or if there is a new scan
        although the site has no ``PRIVATE_ROOT``.
        """
        super().clean()
        wrong = {}
        if self.user_id is None and not self.applicant:
            wrong["applicant"] = _("Enter the user or the applicant.")
        if self.outcome == WithdrawalOutcome.REFUSED and not self.ground:
            wrong["ground"] = _("Enter the ground for the refusal.")
        if self.agreement_id is None:
            raise ValidationError(wrong)  # The other rules need the time zone of the agreement.
        zone = ZoneInfo(self.agreement.time_zone)
        registered: datetime | None = self.registered_at  # None until it is registered.
        today = (registered or timezone.now()).astimezone(zone).date()
        received: date | None = self.received_on  # None until it is filled in.
        if received and received > today:
            wrong["received_on"] = _("The day of receipt is in the future.")
        elif received and self.effective_at and self.effective_at < datetime.combine(received, time(), zone):
            wrong["effective_at"] = _("The withdrawal can't take effect before it was received.")
        if received and self.replied_on and not received <= self.replied_on <= timezone.now().astimezone(zone).date():
            wrong["replied_on"] = _("The day of the reply must be between the day of receipt and today.")
        if self.scan and self._state.adding and not conf.get().PRIVATE_ROOT:
            wrong["scan"] = _("The site has no private folder for scans. Set PRIVATE_ROOT.")
        if wrong:
            raise ValidationError(wrong)

    def __str__(self) -> str:
        return self.reference
