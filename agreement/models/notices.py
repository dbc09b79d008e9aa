"""Notices to users, and their sealed texts. ``deliveries`` records which user was notified."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Self

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import models, router, transaction
from django.db.models import Exists, F, OuterRef, Q, Subquery
from django.utils import timezone
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy as _

from agreement import conf
from agreement.models.audit import AuditAction, AuditEntry, By
from agreement.models.fields import LANGUAGE_CHOICES
from agreement.seal.manifest import notice_digest

if TYPE_CHECKING:
    from agreement.models.editions import Edition


def enqueue_on_commit(*, using: str) -> None:
    """On commit, start the task engine. An engine that is unavailable, or fails, never fails the commit: the ledger
    contains the work.
    """

    def enqueue() -> None:
        if path := conf.get().ENQUEUE:
            import_string(path)()

    transaction.on_commit(enqueue, using=using, robust=True)


#: Why a delivery was skipped, in the words of the ledger.
CANCELLED, IN_EFFECT = "edition cancelled", "in effect already"
NOT_IN_AUDIENCE = "no longer in the audience"
NO_ADDRESS, INVALID_ADDRESS = "no address", "invalid address"
ACCOUNT_GONE, INACTIVE, ENDED, REMOVED = "account deleted", "inactive", "agreement ended", "channel removed"
#: The edition was cancelled after the worker died that was sending the notice.
PERHAPS_SENT = "edition cancelled, perhaps sent"

#: How many notices a user's page on the site lists, the latest first.
USER_PAGE_NOTICES = 50


def overtaken_by(number: int) -> str:
    """The reason of a delivery that was overtaken by the notice of a newer edition."""
    return f"overtaken by edition {number}"


def notice_due_at(published_at: datetime, effective_from: datetime | None = None) -> datetime:
    """When the first message about an edition published at that instant is due (0 queries)."""
    site = conf.get()
    due_at = published_at + site.NOTICE_DELAY
    # If scheduled editions are not displayed, a link to one would lead nowhere before it takes effect.
    return due_at if site.SHOW_SCHEDULED or effective_from is None else max(due_at, effective_from)


#: The languages of a notice; ``mul`` (ISO 639-2: several) if the language of the user is not known.
NOTICE_LANGUAGES = [*LANGUAGE_CHOICES, ("mul", _("Kazakh and Russian"))]


class NoticeKind(models.TextChoices):
    """What a notice announces."""

    PUBLISHED = "published", _("new edition")
    REMINDER = "reminder", _("reminder before effect")
    CANCELLED = "cancelled", _("edition cancelled")


class NoticeQuerySet(models.QuerySet["Notice"]):
    def unfinished(self, at: datetime | None = None) -> Self:
        """Notices due at that instant (now) whose deliveries are not all written yet, the oldest first."""
        return self.filter(fanned_out_at__isnull=True, due_at__lte=at or timezone.now()).order_by("pk")

    def sendable(self, *, channel: str) -> Self:
        """Notices that are not paused and have deliveries waiting in that channel, the oldest first.

        1 query, which counts no rows.
        """
        waiting = self.filter(progress__channel=channel, progress__waiting__gt=0, paused_at__isnull=True)
        return waiting.with_edition().order_by("pk")

    def with_edition(self) -> Self:
        """With the columns of the edition, except its texts, which are long."""
        long = (f"edition__{name}{language}" for name in ("body", "summary") for language in ("", "_kk", "_ru"))
        return self.select_related("edition__agreement").defer(*long)

    def announce(self, edition: Edition, *, at: datetime) -> None:
        """Create the notice of an edition published at that instant, and the reminder if the site sends any. At most 2
        queries, in the publishing transaction.
        """
        effect, site = edition.effective_from or at, conf.get()
        due_at = notice_due_at(at, effect)
        self.create(edition_id=edition.pk, kind=NoticeKind.PUBLISHED, created_at=at, due_at=due_at)
        remind_at = effect - timedelta(days=site.REMINDER_DAYS)
        if site.REMINDER_DAYS and due_at < remind_at:
            self.create(edition_id=edition.pk, kind=NoticeKind.REMINDER, created_at=at, due_at=remind_at)
        enqueue_on_commit(using=self.db)

    def announce_cancellation(self, edition: Edition, *, at: datetime) -> None:
        """Create the notice that an edition was cancelled at that instant, for every user who was notified of the
        edition, directly or in the letter about a later edition.
        """
        announcing = self.filter(edition__agreement=edition.agreement_id, edition__number__gte=edition.number)
        if announcing.filter(kind=NoticeKind.PUBLISHED).exists():
            due_at = notice_due_at(at)
            self.create(edition_id=edition.pk, kind=NoticeKind.CANCELLED, created_at=at, due_at=due_at)
            enqueue_on_commit(using=self.db)

    def for_user(self, user: AbstractBaseUser, *, at: datetime | None = None) -> Self:
        """The notices on a user's page, the newest first, with ``read_at`` (``None`` if unread). 1 query.

        There are no rows for a user until a notice is read. If the user model records when the account was created
        (``date_joined``), only editions that had not taken effect by then are included. For a cancelled edition only
        its cancellation is included, unless the edition was cancelled before any user was notified, or before the
        account was created. A notice that was paused before it was due is hidden.
        """
        at, never_sent = at or timezone.now(), Q(paused_at__lt=F("due_at"))
        found = self.filter(due_at__lte=at).exclude(~Q(kind=NoticeKind.CANCELLED), edition__cancelled_at__lte=at)
        unannounced = Notice.objects.filter(never_sent | Q(due_at__gt=OuterRef("edition__cancelled_at")))
        unannounced = unannounced.filter(edition=OuterRef("edition"), kind=NoticeKind.PUBLISHED)
        found = found.exclude(Exists(unannounced), kind=NoticeKind.CANCELLED).exclude(never_sent)
        if not conf.get().SHOW_SCHEDULED:  # Then an edition has no page before its effect, and none if cancelled.
            found = found.filter(edition__effective_from__lte=at, edition__cancelled_at=None)
        if created := getattr(user, "date_joined", None):
            found = found.filter(edition__effective_from__gt=created)
            found = found.exclude(edition__cancelled_at__lte=created)
        read = NoticeRead.objects.filter(notice=OuterRef("pk"), user=user.pk).values("read_at")[:1]
        return found.annotate(read_at=Subquery(read)).select_related("edition__agreement").order_by("-due_at", "-pk")

    def unread(self) -> Self:
        """Those of ``for_user()`` that are unread."""
        return self.filter(read_at__isnull=True)

    def mark_read(self, user: AbstractBaseUser, notices: Iterable[Notice], *, at: datetime | None = None) -> None:
        """Record that the user looked at these; the first time counts. 1 query, 0 for no notices."""
        rows = [NoticeRead(notice=notice, user_id=user.pk, read_at=at or timezone.now()) for notice in notices]
        NoticeRead.objects.using(router.db_for_write(NoticeRead)).bulk_create(rows, ignore_conflicts=True)


NoticeManager = models.Manager.from_queryset(NoticeQuerySet)


class Notice(models.Model):
    """One announcement about an edition to every user. The publishing transaction writes it."""

    edition = models.ForeignKey(
        "agreement.Edition", on_delete=models.PROTECT, related_name="notices", verbose_name=_("edition")
    )
    kind = models.CharField(_("kind"), max_length=16, choices=NoticeKind.choices)
    uuid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    due_at = models.DateTimeField(_("due"), default=timezone.now)
    # The key of the last user whose deliveries are written, in the form of its field's serializer.
    fan_out_cursor = models.CharField(max_length=255, blank=True, editable=False)
    fanned_out_at = models.DateTimeField(_("deliveries written"), null=True, blank=True, editable=False)
    paused_at = models.DateTimeField(_("paused"), null=True, blank=True, editable=False)

    if TYPE_CHECKING:
        edition_id: int

    objects = NoticeManager()

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("notice")
        verbose_name_plural = _("notices")
        permissions = [
            ("pause_notice", _("Can pause the sending of notices")),
            ("resume_notice", _("Can resume the sending of notices")),
            ("resend_notice", _("Can send notices again to those not reached")),
        ]
        constraints = [
            models.UniqueConstraint(fields=["edition", "kind"], name="agreement_notice_once"),
        ]

    def skip_reason(self, at: datetime | None = None) -> str:
        """Why the deliveries of this notice are to be skipped at that instant (now), in the words of the ledger; ``""``
        if they are to be sent. At most 1 query, if ``edition`` is loaded.
        """
        at, edition = at or timezone.now(), self.edition
        if self.kind == NoticeKind.CANCELLED:
            return ""
        if edition.cancelled_at:
            return CANCELLED
        if self.kind == NoticeKind.REMINDER and edition.effective_from and edition.effective_from <= at:
            return IN_EFFECT
        # A newer notice that waits only for its notice delay replaces this one: no user is sent both.
        newer = Notice.objects.filter(kind=NoticeKind.PUBLISHED, due_at__lte=at + conf.get().NOTICE_DELAY).filter(
            edition__agreement=edition.agreement_id, edition__number__gt=edition.number, edition__cancelled_at=None
        )
        number = newer.order_by("-edition__number").values_list("edition__number", flat=True).first()
        return overtaken_by(number) if number else ""

    def other_notices(self) -> NoticeQuerySet:
        """The other notices of this edition."""
        return Notice.objects.filter(edition=self.edition_id).exclude(pk=self.pk)

    def covering(self) -> NoticeQuerySet:
        """Of a cancellation: the notices of later editions, which announced this edition too until then."""
        later = Notice.objects.filter(edition__agreement=self.edition.agreement_id, created_at__lt=self.created_at)
        return later.filter(edition__number__gt=self.edition.number).exclude(kind=NoticeKind.CANCELLED)

    def base_number(self) -> int:
        """The number of the edition from which the changes are described: the last one before this edition that users
        were notified of; 0 if there is none. 1 query.
        """
        return self.previous_numbers()[0]

    def earlier_numbers(self) -> dict[int, int]:
        """Notice → edition number, for the earlier editions of this agreement that were not cancelled. 1 query."""
        rows = Notice.objects.filter(
            kind=NoticeKind.PUBLISHED,
            edition__agreement=self.edition.agreement_id,
            edition__number__lt=self.edition.number,
            edition__cancelled_at=None,
        )
        return {key: number or 0 for key, number in rows.values_list("pk", "edition__number")}

    def previous_numbers(self) -> tuple[int, int]:
        """As :meth:`Edition.previous_numbers`; 0 for a cancellation, which compares nothing. 1 query."""
        return (0, 0) if self.kind == NoticeKind.CANCELLED else self.edition.previous_numbers()

    def pause(self, *, by: By = None, at: datetime | None = None) -> bool:
        """Pause the notice: no more deliveries are claimed until it is resumed; claimed ones are sent. Before
        ``due_at`` nothing has been sent. ``False`` if it was paused already, or nothing is left to send.
        """
        self.paused_at, alias = at or timezone.now(), router.db_for_write(Notice)
        with transaction.atomic(using=alias):
            unsent = Q(fanned_out_at__isnull=True) | Q(progress__waiting__gt=0)
            running = Notice.objects.using(alias).filter(unsent, pk=self.pk, paused_at__isnull=True)
            if done := bool(running.update(paused_at=self.paused_at)):
                AuditEntry.objects.using(alias).log(AuditAction.PAUSED, on=self, by=by)
        self.refresh_from_db(using=alias, fields=["paused_at"])
        return done

    def resume(self, *, by: By = None) -> bool:
        """Continue sending; ``False`` if the notice was not paused."""
        self.paused_at, alias = None, router.db_for_write(Notice)
        with transaction.atomic(using=alias):
            paused = Notice.objects.using(alias).filter(pk=self.pk, paused_at__isnull=False)
            if done := bool(paused.update(paused_at=None)):
                AuditEntry.objects.using(alias).log(AuditAction.RESUMED, on=self, by=by)
            enqueue_on_commit(using=alias)
        return done

    def resend(self, *, by: By = None, at: datetime | None = None) -> int:
        """Send the failed deliveries again, from the first attempt on. Returns how many there are. 0 if they would only
        be skipped: then nothing is changed.
        """
        if self.skip_reason(at):
            return 0
        alias = router.db_for_write(Notice)
        count = self.deliveries.db_manager(alias).resend(notice=self, at=at)
        if count:
            AuditEntry.objects.using(alias).log(AuditAction.RESENT, on=self, by=by, note=str(count))
        enqueue_on_commit(using=alias)
        return count

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.edition}"


class NoticeText(models.Model):
    """The text of a notice: sealed, so that a later template never changes what was sent."""

    notice = models.ForeignKey(Notice, on_delete=models.PROTECT, related_name="texts")
    channel = models.CharField(_("channel"), max_length=32)
    language = models.CharField(_("language"), max_length=3, choices=NOTICE_LANGUAGES)
    # The number of the edition from which the changes are described, the last one that the user knew; 0: there is none.
    since = models.PositiveIntegerField(_("compared with edition"), default=0)
    subject = models.CharField(_("subject"), max_length=255)
    text = models.TextField(_("text"))
    html = models.TextField(_("HTML"), blank=True)
    digest = models.CharField(_("digest (SHA-256)"), max_length=64)

    if TYPE_CHECKING:
        notice_id: int

    class Meta:
        verbose_name = _("text of a notice")
        verbose_name_plural = _("texts of notices")
        constraints = [
            models.UniqueConstraint(
                fields=["notice", "channel", "language", "since"], name="agreement_noticetext_once"
            ),
        ]

    @property
    def intact(self) -> bool:
        """Does the digest match the text?"""
        return self.digest == notice_digest(self.subject, self.text, self.html)

    def __str__(self) -> str:
        return self.subject


class NoticeRead(models.Model):
    """A user looked at a notice on the site. There is no row for a notice that is unread."""

    notice = models.ForeignKey(Notice, on_delete=models.PROTECT, related_name="reads", verbose_name=_("notice"))
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", verbose_name=_("user")
    )
    read_at = models.DateTimeField(_("read"), default=timezone.now)

    class Meta:
        verbose_name = _("read notice")
        verbose_name_plural = _("read notices")
        constraints = [models.UniqueConstraint(fields=["notice", "user"], name="agreement_noticeread_once")]

    def __str__(self) -> str:
        return f"{self.pk}"
