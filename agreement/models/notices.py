"""Notices to users, and their sealed texts. :mod:`agreement.models.deliveries` records which user was notified."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import models, router, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy as _

from agreement import conf
from agreement.models import membership
from agreement.models.audit import AuditAction, AuditEntry, By
from agreement.models.fields import LANGUAGE_CHOICES, InstantField
from agreement.seal.manifest import notice_digest

if TYPE_CHECKING:
    from agreement.models.editions import Edition


def enqueue_on_commit(*, using: str) -> None:
    """Call the site's ``ENQUEUE`` after the commit of the transaction in the database ``using``; immediately outside a
    transaction. If ``ENQUEUE`` is ``None``, nothing is called. An error in the call is logged and not raised. No work
    is lost by such an error, because the database contains the work.
    """

    def enqueue() -> None:
        if path := conf.get().ENQUEUE:
            import_string(path)()

    transaction.on_commit(enqueue, using=using, robust=True)


#: The reasons of skipped deliveries, as the ledger stores them.
CANCELLED, IN_EFFECT = "edition cancelled", "in effect already"
NOT_IN_AUDIENCE = "no longer in the audience"
NO_ADDRESS, INVALID_ADDRESS = "no address", "invalid address"
#: The address has letters before the ``@`` that are not ASCII, and the mail server does not offer SMTPUTF8 (RFC 6531).
ADDRESS_NOT_TAKEN = "the mail server takes no such address"
ACCOUNT_GONE, INACTIVE, ENDED, REMOVED = "account deleted", "inactive", "agreement ended", "channel removed"
#: The edition was cancelled when the channel may already have accepted the message.
PERHAPS_SENT = "edition cancelled, perhaps sent"

#: How many notices a user's page on the site lists at most: the latest ones.
USER_PAGE_NOTICES = 50


OVERTAKEN = "overtaken by edition "
#: With those that begin with ``OVERTAKEN``, the reasons of skipped deliveries whose users the notice did not have to
#: reach: another notice reaches them, or they are not to be notified.
EXCUSED = frozenset({CANCELLED, PERHAPS_SENT, IN_EFFECT, NOT_IN_AUDIENCE, ACCOUNT_GONE, INACTIVE, ENDED})


def overtaken_by(number: int) -> str:
    """The reason of a delivery that was skipped because of the notice of the newer edition with that number."""
    return f"{OVERTAKEN}{number}"


def is_excused(reason: str) -> bool:
    """Whether the notice did not have to reach the user of a delivery that was skipped for this reason."""
    return reason in EXCUSED or reason.startswith(OVERTAKEN)


def notice_due_at(published_at: datetime, effective_from: datetime | None = None) -> datetime:
    """When the notice of something that happened at ``published_at``, such as a publication or a cancellation, is due:
    the setting ``NOTICE_DELAY`` later. 0 queries.

    If the site does not display scheduled editions, this is not before ``effective_from``. ``None`` means no such
    limit.
    """
    site = conf.get()
    due_at = published_at + site.NOTICE_DELAY
    # A link to an edition that is not displayed would lead nowhere.
    return due_at if site.SHOW_SCHEDULED or effective_from is None else max(due_at, effective_from)


#: The languages of a notice; ``mul`` (ISO 639-2: several) if the language of the user is not known.
NOTICE_LANGUAGES = [*LANGUAGE_CHOICES, ("mul", _("Kazakh and Russian"))]


class NoticeKind(models.TextChoices):
    """What a notice announces: a new edition, that an edition takes effect soon, that an edition was cancelled, or a
    breach of personal data.
    """

    PUBLISHED = "published", _("new edition")
    REMINDER = "reminder", _("reminder before it takes effect")
    CANCELLED = "cancelled", _("edition cancelled")
    BREACH = "breach", _("breach of personal data")


#: The kinds of notices that describe the changes of an edition.
DESCRIBING = (NoticeKind.PUBLISHED, NoticeKind.REMINDER)


class NoticeQuerySet(models.QuerySet["Notice"]):
    def unfinished(self, at: datetime | None = None) -> Self:
        """Notices that are due at that instant (now) and whose deliveries are not all written yet, the oldest first.
        Paused ones are included.
        """
        return self.filter(fanned_out_at__isnull=True, due_at__lte=at or timezone.now()).order_by("pk")

    def sendable(self, *, channel: str) -> Self:
        """Notices that are not paused and have waiting deliveries in that channel, by its :class:`Progress`, whether
        due or not, the oldest first. They are read as by ``with_edition()``.

        1 query, which counts no rows.
        """
        waiting = self.filter(progress__channel=channel, progress__waiting__gt=0, paused_at__isnull=True)
        return waiting.with_edition().order_by("pk")

    def with_edition(self) -> Self:
        """The same notices, read together with their editions and agreements, but without the bodies and summaries."""
        long = (f"edition__{name}{language}" for name in ("body", "summary") for language in ("", "_kk", "_ru"))
        return self.select_related("edition__agreement").defer(*long)

    def overtaking(self, *, agreement: Any, number: Any, at: datetime) -> QuerySet[Any, Any]:
        """The numbers of the editions, the highest first, whose notices of publication overtake at that instant a
        notice about the edition with this number: later editions of the agreement that are not cancelled and whose
        notice is due by then or within ``NOTICE_DELAY`` after it. ``agreement`` and ``number`` are values, or
        expressions of an outer query. The queryset is not evaluated.
        """
        # A newer notice that waits only for its notice delay replaces this one: no user is sent both.
        newer = self.filter(kind=NoticeKind.PUBLISHED, due_at__lte=at + conf.get().NOTICE_DELAY).filter(
            edition__agreement=agreement, edition__number__gt=number, edition__cancelled_at=None
        )
        return newer.order_by("-edition__number").values_list("edition__number", flat=True)

    def with_overtaking(self, *, at: datetime | None = None) -> Self:
        """The same notices with what :meth:`Notice.skip_reason` needs at that instant (now), so that it makes no query,
        if their editions are loaded.
        """
        newer = Notice.objects.overtaking(
            agreement=OuterRef("edition__agreement"), number=OuterRef("edition__number"), at=at or timezone.now()
        )
        return self.annotate(overtaking_number=Subquery(newer[:1]))

    def announce(self, edition: Edition, *, at: datetime) -> None:
        """Create the notice of an edition that was published at that instant, and its reminder if the site sends any.
        An edition that takes effect so soon that the reminder would not be due after the notice gets no reminder.

        After the commit the site's ``ENQUEUE`` is called. At most 2 queries. Call it in the transaction that publishes
        the edition.
        """
        effect, site = edition.effective_from or at, conf.get()
        due_at = notice_due_at(at, effect)
        self.create(edition_id=edition.pk, kind=NoticeKind.PUBLISHED, created_at=at, due_at=due_at)
        remind_at = effect - timedelta(days=site.REMINDER_DAYS)
        if site.REMINDER_DAYS and due_at < remind_at:
            self.create(edition_id=edition.pk, kind=NoticeKind.REMINDER, created_at=at, due_at=remind_at)
        enqueue_on_commit(using=self.db)

    def announce_cancellation(self, edition: Edition, *, at: datetime) -> None:
        """Create the notice that an edition was cancelled at that instant, and call the site's ``ENQUEUE`` after the
        commit. It is for users who know of the edition or may know of it, for example from the notice of a later
        edition. If neither this edition nor a later one has a notice of its publication, nothing is created or called.
        At most 2 queries.
        """
        announcing = self.filter(edition__agreement=edition.agreement_id, edition__number__gte=edition.number)
        if announcing.filter(kind=NoticeKind.PUBLISHED).exists():
            due_at = notice_due_at(at)
            self.create(edition_id=edition.pk, kind=NoticeKind.CANCELLED, created_at=at, due_at=due_at)
            enqueue_on_commit(using=self.db)

    def for_user(self, user: AbstractBaseUser, *, at: datetime | None = None) -> Self:
        """The notices on a user's page, the latest due first, with ``read_at`` (``None`` if this user has not read it).
        They are read together with their editions, agreements and breaches. 1 query.

        They are the notices that were due at that instant (now), whether or not they were sent to this user. A notice
        that is paused since before it was due is left out, and so is that of a breach that does not concern this user.
        Of a cancelled edition, the reminder is left out, and the notice of the publication is replaced by that of the
        cancellation as soon as that is due and not left out itself. Neither is included if the notice of the
        publication was due only after the cancellation, or is left out because of a pause. If the site does not display
        scheduled editions (``SHOW_SCHEDULED``), notices about editions that are cancelled or have not taken effect are
        left out, except those of breaches. Notices about agreements that do not bind the user (``AUDIENCES``) are left
        out too, except those of breaches and those of which a delivery to this user is written. If the user model
        records when the account was created (``date_joined``), notices of editions that took effect or were cancelled
        by that moment, and of breaches that were announced by that moment, are left out as well.
        """
        at, never_sent = at or timezone.now(), Q(paused_at__lt=F("due_at"))
        cancellation = Notice.objects.filter(edition=OuterRef("edition"), kind=NoticeKind.CANCELLED, due_at__lte=at)
        replaced = Q(Exists(cancellation.exclude(never_sent))) | Q(due_at__gt=F("edition__cancelled_at"))
        gone = Q(replaced, kind=NoticeKind.PUBLISHED) | Q(kind=NoticeKind.REMINDER)
        found = self.filter(due_at__lte=at).exclude(gone, edition__cancelled_at__lte=at)
        unannounced = Notice.objects.filter(never_sent | Q(due_at__gt=OuterRef("edition__cancelled_at")))
        unannounced = unannounced.filter(edition=OuterRef("edition"), kind=NoticeKind.PUBLISHED)
        found = found.exclude(Exists(unannounced), kind=NoticeKind.CANCELLED).exclude(never_sent)
        about_breach = Q(kind=NoticeKind.BREACH)
        if not conf.get().SHOW_SCHEDULED:  # Then scheduled and cancelled editions have no page.
            found = found.filter(about_breach | Q(edition__effective_from__lte=at, edition__cancelled_at=None))
        concerned = Notice.objects.filter(Q(breach__everyone=True) | Q(breach__affected__user=user.pk))
        found = found.filter(~about_breach | Q(pk__in=concerned.values("pk")))
        if outside := membership.unbound(user.pk, slug="edition__agreement__slug"):
            deliveries = apps.get_model("agreement", "Delivery")._default_manager
            own = Exists(deliveries.filter(notice=OuterRef("pk"), user=user.pk))
            found = found.exclude(~about_breach & outside & ~Q(own))
        if created := getattr(user, "date_joined", None):
            about_edition = Q(edition__effective_from__gt=created) & ~Q(edition__cancelled_at__lte=created)
            found = found.filter(~about_breach & about_edition | about_breach & Q(created_at__gt=created))
        read = NoticeRead.objects.filter(notice=OuterRef("pk"), user=user.pk).values("read_at")[:1]
        found = found.annotate(read_at=Subquery(read)).select_related("edition__agreement", "breach")
        return found.order_by("-due_at", "-pk")

    def unread(self) -> Self:
        """Those of the notices that ``for_user()`` returned that its user has not read."""
        return self.filter(read_at__isnull=True)

    def mark_read(self, user: AbstractBaseUser, notices: Iterable[Notice], *, at: datetime | None = None) -> None:
        """Record that the user read these notices at that instant (now). A notice that they read before keeps its first
        moment. If there are no notices, no query is made.
        """
        rows = [NoticeRead(notice=notice, user_id=user.pk, read_at=at or timezone.now()) for notice in notices]
        NoticeRead.objects.using(router.db_for_write(NoticeRead)).bulk_create(rows, ignore_conflicts=True)


NoticeManager = models.Manager.from_queryset(NoticeQuerySet)


class Notice(models.Model):
    """One announcement to users: of a new edition, of its effect soon (a reminder), of its cancellation, or of a breach
    of personal data. ``edition`` is the edition that it is about; for a breach, the edition that was in force when the
    breach was announced, or else the last published one.
    """

    edition = models.ForeignKey(
        "agreement.Edition", on_delete=models.PROTECT, related_name="notices", verbose_name=_("edition")
    )
    kind = models.CharField(_("kind"), max_length=16, choices=NoticeKind.choices)
    uuid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    created_at = InstantField(_("created"), default=timezone.now, editable=False)
    due_at = InstantField(_("due"), default=timezone.now)
    # The primary key, as text, of the last user whose deliveries are written. Users are taken in the order of keys.
    fan_out_cursor = models.CharField(max_length=255, blank=True, editable=False)
    fanned_out_at = InstantField(_("deliveries written"), null=True, blank=True, editable=False)
    paused_at = InstantField(_("paused"), null=True, blank=True, editable=False)

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
            ("resend_notice", _("Can resend failed and returned deliveries")),
            ("view_unreached", _("Can view which users a notice did not reach")),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["edition", "kind"], condition=~Q(kind="breach"), name="agreement_notice_once"
            ),
        ]

    def skip_reason(self, at: datetime | None = None) -> str:
        """The reason, as the ledger stores it, why the deliveries of this notice are to be skipped at that instant
        (now); ``""`` if they are to be sent. A pause is no reason. At most 1 query, if ``edition`` is loaded; no query
        after ``with_overtaking()``, whose instant then decides which notices overtake this one.

        For a notice of a cancellation or of a breach it is ``""``. Every other notice is to be skipped if its edition
        is cancelled, or if the notice about the publication of a later edition, which is not cancelled, is due by then
        or within ``NOTICE_DELAY`` after it. A reminder is also skipped if its edition has taken effect.
        """
        at, edition = at or timezone.now(), self.edition
        if self.kind in {NoticeKind.CANCELLED, NoticeKind.BREACH}:
            return ""
        if edition.cancelled_at:
            return CANCELLED
        if self.kind == NoticeKind.REMINDER and edition.effective_from and edition.effective_from <= at:
            return IN_EFFECT
        if "overtaking_number" in self.__dict__:  # with_overtaking() has read it.
            number = self.__dict__["overtaking_number"]
        else:
            newer = Notice.objects.overtaking(agreement=edition.agreement_id, number=edition.number, at=at)
            number = newer.first()
        return overtaken_by(number) if number else ""

    @property
    def goes_first(self) -> bool:
        """Whether its deliveries are sent before those of notices about editions: it announces a breach."""
        return self.kind == NoticeKind.BREACH

    def other_notices(self) -> NoticeQuerySet:
        """The notices that describe the edition of this notice, which are that of its publication and its reminder,
        without this notice itself. The queryset is not evaluated.
        """
        return Notice.objects.filter(edition=self.edition_id, kind__in=DESCRIBING).exclude(pk=self.pk)

    def covering(self) -> NoticeQuerySet:
        """The notices of the publication of later editions and their reminders, if they were created before this
        notice. Their texts may cover the edition of this notice too. This method is for the notice of a cancellation;
        the kind is not checked. The queryset is not evaluated.
        """
        later = Notice.objects.filter(edition__agreement=self.edition.agreement_id, created_at__lt=self.created_at)
        return later.filter(edition__number__gt=self.edition.number, kind__in=DESCRIBING)

    def pause(self, *, by: By = None, at: datetime | None = None) -> bool:
        """Pause the notice at that instant (now), and add an audit entry: no deliveries are claimed until it is
        resumed. Claimed deliveries are still sent, and deliveries are still written. Before ``due_at`` nothing has been
        sent. Returns ``False``, and changes nothing, if the notice was paused already or nothing is left to write or
        send.
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
        """Continue sending, and add an audit entry. Returns ``False``, and adds no entry, if the notice was not paused.
        In both cases the site's ``ENQUEUE`` is called after the commit.
        """
        self.paused_at, alias = None, router.db_for_write(Notice)
        with transaction.atomic(using=alias):
            paused = Notice.objects.using(alias).filter(pk=self.pk, paused_at__isnull=False)
            if done := bool(paused.update(paused_at=None)):
                AuditEntry.objects.using(alias).log(AuditAction.RESUMED, on=self, by=by)
            enqueue_on_commit(using=alias)
        return done

    def resend(self, *, by: By = None, at: datetime | None = None) -> int:
        """Make the failed deliveries of this notice in all channels wait again, due at that instant (now) and with 0
        attempts. Failed deliveries that are not counted in the :class:`Progress` yet are left as they are. Returns how
        many wait again. If there are any, audit entries are added. The site's ``ENQUEUE`` is called after the commit.
        Returns 0, and does nothing, if the deliveries of this notice are to be skipped.
        """
        if self.skip_reason(at):
            return 0
        alias = router.db_for_write(Notice)
        count = self.deliveries.db_manager(alias).resend(notice=self, by=by, at=at)
        enqueue_on_commit(using=alias)
        return count

    def __str__(self) -> str:
        return f"{self.edition} ({self.get_kind_display()})"


class NoticeText(models.Model):
    """The sealed text of a notice in one channel and language, for the users for whom the notice compares its edition
    with edition number ``since`` (0: with none). ``cancelled`` is the number of editions of the agreement that were
    cancelled when the text was composed. After another cancellation a new text is composed, because the old one may
    describe the cancelled edition. A later change of the template does not change the row.
    """

    notice = models.ForeignKey(Notice, on_delete=models.PROTECT, related_name="texts")
    channel = models.CharField(_("channel"), max_length=32)
    language = models.CharField(_("language"), max_length=3, choices=NOTICE_LANGUAGES)
    # The number of the edition with which the text compares the new one, the last that the user knew; 0: there is none.
    since = models.PositiveIntegerField(_("compared with edition"), default=0)
    cancelled = models.PositiveIntegerField(_("cancelled editions"), default=0)
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
                fields=["notice", "channel", "language", "since", "cancelled"], name="agreement_noticetext_once"
            ),
        ]

    @property
    def intact(self) -> bool:
        """Does the digest match the text?"""
        return self.digest == notice_digest(self.subject, self.text, self.html)

    def __str__(self) -> str:
        return self.subject


class NoticeRead(models.Model):
    """A user read a notice on the site: their page of notices displayed it to them, not to somebody who acts in their
    name. An unread notice has no row. The row is deleted with the account.
    """

    notice = models.ForeignKey(Notice, on_delete=models.PROTECT, related_name="reads", verbose_name=_("notice"))
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", verbose_name=_("user")
    )
    read_at = InstantField(_("read"), default=timezone.now)

    class Meta:
        verbose_name = _("read notice")
        verbose_name_plural = _("read notices")
        constraints = [models.UniqueConstraint(fields=["notice", "user"], name="agreement_noticeread_once")]

    def __str__(self) -> str:
        return f"{self.pk}"
