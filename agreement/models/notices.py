"""What is said to users, and its words. Who was told is in ``deliveries``."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import models, router, transaction
from django.db.models import Exists, F, OuterRef, Q, Subquery
from django.utils import timezone
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy as _

from agreement import conf
from agreement.models.acts import Act, By
from agreement.text import seal

if TYPE_CHECKING:
    from agreement.models.editions import Edition


def hand_over(*, using: str) -> None:
    """On commit, nudge the task engine. One that is away, or fails, never fails the commit: the ledger knows."""

    def nudge() -> None:
        if path := conf.get().ENQUEUE:
            import_string(path)()

    transaction.on_commit(nudge, using=using, robust=True)


#: Why a delivery was skipped, as the ledger says it.
CANCELLED, IN_EFFECT, LEFT = "edition cancelled", "in effect already", "left the audience"
ACCOUNT_GONE, INACTIVE, ENDED, REMOVED = "account deleted", "inactive", "agreement ended", "channel removed"
#: The edition was cancelled after the worker that was sending this had died.
PERHAPS_SENT = "edition cancelled, perhaps sent"

#: How many notices a user's page on the site holds, the latest first.
LATEST = 50


def overtaken(number: int) -> str:
    """The reason of a delivery that a newer edition's notice made superfluous."""
    return f"overtaken by edition {number}"


def leaves_at(published_at: datetime, effective_from: datetime | None = None) -> datetime:
    """When the first message about an edition published at that instant leaves (0 queries)."""
    site = conf.get()
    due_at = published_at + site.NOTICE_DELAY
    # Where coming editions are not shown, a link to one would lead nowhere before its effect.
    return due_at if site.SHOW_SCHEDULED or effective_from is None else max(due_at, effective_from)


LANGUAGES = [("kk", _("Kazakh")), ("ru", _("Russian")), ("mul", _("Kazakh and Russian"))]


class NoticeQuerySet(models.QuerySet["Notice"]):
    def unfinished(self, at: datetime | None = None) -> Self:
        """Notices due at that instant (now) whose deliveries are not all written yet, the oldest first."""
        return self.filter(fanned_out_at__isnull=True, due_at__lte=at or timezone.now()).order_by("pk")

    def sendable(self, *, channel: str) -> Self:
        """Notices with deliveries waiting in that channel that nobody has paused, the oldest first.

        1 query, which counts nothing.
        """
        waiting = self.filter(progress__channel=channel, progress__waiting__gt=0, paused_at__isnull=True)
        return waiting.with_edition().order_by("pk")

    def with_edition(self) -> Self:
        """With the edition's facts at hand, but not with its texts, which are long."""
        long = (f"edition__{name}{language}" for name in ("body", "summary") for language in ("", "_kk", "_ru"))
        return self.select_related("edition__agreement").defer(*long)

    def announce(self, edition: Edition, *, at: datetime) -> None:
        """Tell the users of an edition published at that instant, and remind them if the site does. At most 2
        queries, in the publishing transaction.
        """
        effect, site = edition.effective_from or at, conf.get()
        due_at = leaves_at(at, effect)
        self.create(edition_id=edition.pk, kind=Notice.Kind.PUBLISHED, created_at=at, due_at=due_at)
        remind_at = effect - timedelta(days=site.REMINDER_DAYS)
        if site.REMINDER_DAYS and due_at < remind_at:
            self.create(edition_id=edition.pk, kind=Notice.Kind.REMINDER, created_at=at, due_at=remind_at)
        hand_over(using=self.db)

    def take_back(self, edition: Edition, *, at: datetime) -> None:
        """Tell whoever was told of an edition, if only in the letter about a later one, that it was cancelled at that
        instant.
        """
        told = self.filter(edition__agreement=edition.agreement_id, edition__number__gte=edition.number)
        if told.filter(kind=Notice.Kind.PUBLISHED).exists():
            due_at = leaves_at(at)
            self.create(edition_id=edition.pk, kind=Notice.Kind.CANCELLED, created_at=at, due_at=due_at)
            hand_over(using=self.db)

    def for_user(self, user: AbstractBaseUser, *, at: datetime | None = None) -> Self:
        """What a user finds on the site, the newest first, with ``read_at`` (``None``: not yet): 1 query.

        No row a user is needed until one is read. News is what had not taken effect when the user joined, where the
        user model says when that was (``date_joined``); news of a cancelled edition is its cancellation, unless it
        was taken back before anybody was told, or before the user joined. What is held whole is no news anywhere.
        """
        at, held = at or timezone.now(), Q(paused_at__lt=F("due_at"))
        found = self.filter(due_at__lte=at).exclude(~Q(kind=Notice.Kind.CANCELLED), edition__cancelled_at__lte=at)
        untold = Notice.objects.filter(held | Q(due_at__gt=OuterRef("edition__cancelled_at")))
        untold = untold.filter(edition=OuterRef("edition"), kind=Notice.Kind.PUBLISHED)
        found = found.exclude(Exists(untold), kind=Notice.Kind.CANCELLED).exclude(held)
        if not conf.get().SHOW_SCHEDULED:  # Then an edition has no page before its effect, nor ever if cancelled.
            found = found.filter(edition__effective_from__lte=at, edition__cancelled_at=None)
        if joined := getattr(user, "date_joined", None):
            found = found.filter(edition__effective_from__gt=joined)
            found = found.exclude(edition__cancelled_at__lte=joined)
        read = NoticeRead.objects.filter(notice=OuterRef("pk"), user=user.pk).values("read_at")[:1]
        return found.annotate(read_at=Subquery(read)).select_related("edition__agreement").order_by("-due_at", "-pk")

    def unread(self) -> Self:
        """Of ``for_user()``: what has not been read."""
        return self.filter(read_at__isnull=True)

    def mark_read(self, user: AbstractBaseUser, notices: Iterable[Notice], *, at: datetime | None = None) -> None:
        """The user has looked at these; the first time counts. 1 query, none for none."""
        rows = [NoticeRead(notice=notice, user_id=user.pk, read_at=at or timezone.now()) for notice in notices]
        NoticeRead.objects.using(router.db_for_write(NoticeRead)).bulk_create(rows, ignore_conflicts=True)


NoticeManager = models.Manager.from_queryset(NoticeQuerySet)


class Notice(models.Model):
    """Something every user is told about an edition. Written by the publishing transaction."""

    class Kind(models.TextChoices):
        PUBLISHED = "published", _("new edition")
        REMINDER = "reminder", _("reminder before effect")
        CANCELLED = "cancelled", _("edition cancelled")

    edition = models.ForeignKey(
        "agreement.Edition", on_delete=models.PROTECT, related_name="notices", verbose_name=_("edition")
    )
    kind = models.CharField(_("kind"), max_length=16, choices=Kind.choices)
    uuid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    due_at = models.DateTimeField(_("due"), default=timezone.now)
    # The key of the last user whose deliveries are written, as the serializer of its field writes it.
    fan_out_cursor = models.CharField(max_length=255, blank=True, editable=False)
    fanned_out_at = models.DateTimeField(_("deliveries written"), null=True, blank=True, editable=False)
    paused_at = models.DateTimeField(_("paused"), null=True, blank=True, editable=False)

    if TYPE_CHECKING:
        edition_id: int
        deliveries: Any
        progress: Any
        texts: Any

    objects = NoticeManager()

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("notice")
        verbose_name_plural = _("notices")
        permissions = [
            ("pause_notice", _("Can hold and pause the sending of notices")),
            ("resume_notice", _("Can resume the sending of notices")),
            ("resend_notice", _("Can send notices again to those not reached")),
        ]
        constraints = [
            models.UniqueConstraint(fields=["edition", "kind"], name="agreement_notice_once"),
        ]

    def stale(self, at: datetime | None = None) -> str:
        """Why this is no news any more at that instant (now), in the words of the ledger; ``""`` while it is.

        At most 1 query, with ``edition`` at hand.
        """
        at, edition = at or timezone.now(), self.edition
        if self.kind == self.Kind.CANCELLED:
            return ""
        if edition.cancelled_at:
            return CANCELLED
        if self.kind == self.Kind.REMINDER and edition.effective_from and edition.effective_from <= at:
            return IN_EFFECT
        # A newer one that waits for nothing but its breath replaces this: nobody is sent both.
        newer = Notice.objects.filter(kind=self.Kind.PUBLISHED, due_at__lte=at + conf.get().NOTICE_DELAY).filter(
            edition__agreement=edition.agreement_id, edition__number__gt=edition.number, edition__cancelled_at=None
        )
        number = newer.order_by("-edition__number").values_list("edition__number", flat=True).first()
        return overtaken(number) if number else ""

    def others(self) -> NoticeQuerySet:
        """The other notices of this edition."""
        return Notice.objects.filter(edition=self.edition_id).exclude(pk=self.pk)

    def covering(self) -> NoticeQuerySet:
        """Of a cancellation: the notices of later editions, whose letters told of this one too until then."""
        later = Notice.objects.filter(edition__agreement=self.edition.agreement_id, created_at__lt=self.created_at)
        return later.filter(edition__number__gt=self.edition.number).exclude(kind=self.Kind.CANCELLED)

    def since(self) -> int:
        """The number of the edition before this one which readers were told of last; 0 if there is none. 1 query."""
        return self.before()[0]

    def earlier(self) -> dict[int, int]:
        """Notice → edition number of this agreement's earlier editions that were not taken back. 1 query."""
        rows = Notice.objects.filter(
            kind=self.Kind.PUBLISHED,
            edition__agreement=self.edition.agreement_id,
            edition__number__lt=self.edition.number,
            edition__cancelled_at=None,
        )
        return {key: number or 0 for key, number in rows.values_list("pk", "edition__number")}

    def since_by_user(
        self, *, channel: str, users: Collection[Any], earlier: dict[int, int], usual: int
    ) -> dict[Any, int]:
        """User key → the number of the last edition he was told of by that channel (0: none, and there is none).

        ``earlier`` and ``usual`` are ``earlier()`` and ``since()``. At most 2 queries, and 1 for each edition missed.
        Who has no earlier delivery at all, as new users have, is told what changed since the edition before; and so is
        who got every letter.
        """
        since = dict.fromkeys(users, usual)
        if not earlier or self.kind == self.Kind.CANCELLED:
            return since
        rows = self.deliveries.model.objects.filter(channel=channel)
        newest = rows.filter(notice=max(earlier, key=lambda notice: earlier[notice]), outcome="sent")
        got_it = newest.filter(user__in=[user for user in users if user is not None]).values_list("user", flat=True)
        behind = {user for user in users if user is not None} - set(got_it)
        if not behind:
            return since
        rows = rows.filter(notice__in=earlier, user__in=behind)
        found = [
            (earlier[notice], user, outcome) for notice, user, outcome in rows.values_list("notice", "user", "outcome")
        ]
        told: dict[Any, int] = {}
        missed: dict[Any, int] = {}
        for edition, user, outcome in sorted(found, key=lambda row: row[0]):
            if outcome == "sent":
                told[user] = edition
                missed.pop(user, None)
            else:
                missed.setdefault(user, edition)
        known = {edition: self.before(edition)[0] for edition in {*missed.values()}}
        for user, edition in missed.items():
            since[user] = told.get(user, known[edition])
        return since

    def before(self, number: int | None = None) -> tuple[int, int]:
        """The numbers of two editions before that one (this notice's): the last one readers know, and the last one;
        0 if there is none. 1 query.

        Known is what was announced, or stood before the site had this app; else what stood first. What was published
        without a notice is news until it is told of. A cancellation compares nothing: 0.
        """
        if self.kind == self.Kind.CANCELLED:
            return 0, 0
        earlier = (
            type(self.edition)
            .objects.binding()
            .filter(agreement=self.edition.agreement_id, number__lt=number or self.edition.number or 0)
        )
        announced = Exists(Notice.objects.filter(edition=OuterRef("pk"), kind=self.Kind.PUBLISHED))
        rows = list(
            earlier.annotate(announced=announced).order_by("number").values_list("number", "imported", "announced")
        )
        known = [one for one, *reasons in rows if any(reasons)] or [one for one, *_reasons in rows[:1]]
        return (known[-1], rows[-1][0]) if rows else (0, 0)

    def pause(self, *, by: By = None, at: datetime | None = None) -> bool:
        """Claim nothing more of this notice until it is resumed; what is on its way is sent. Before ``due_at`` nothing
        is: the notice is held whole. ``False`` if it was paused already, or nothing is left to send.
        """
        self.paused_at, alias = at or timezone.now(), router.db_for_write(Notice)
        with transaction.atomic(using=alias):
            left = Q(fanned_out_at__isnull=True) | Q(progress__waiting__gt=0)
            running = Notice.objects.using(alias).filter(left, pk=self.pk, paused_at__isnull=True)
            if done := bool(running.update(paused_at=self.paused_at)):
                Act.objects.using(alias).log(Act.Kind.PAUSED, on=self, by=by)
        self.refresh_from_db(using=alias, fields=["paused_at"])
        return done

    def resume(self, *, by: By = None) -> bool:
        """Go on where it was paused; ``False`` if it was not."""
        self.paused_at, alias = None, router.db_for_write(Notice)
        with transaction.atomic(using=alias):
            paused = Notice.objects.using(alias).filter(pk=self.pk, paused_at__isnull=False)
            if done := bool(paused.update(paused_at=None)):
                Act.objects.using(alias).log(Act.Kind.RESUMED, on=self, by=by)
            hand_over(using=alias)
        return done

    def resend(self, *, by: By = None, at: datetime | None = None) -> int:
        """Send to everybody again whose delivery failed, from the first attempt on; how many there are. What is no news
        any more would only be skipped, and is left as it is: 0.
        """
        if self.stale(at):
            return 0
        alias = router.db_for_write(Notice)
        count = int(self.deliveries.model.objects.resend(notice=self, at=at))
        if count:
            Act.objects.using(alias).log(Act.Kind.RESENT, on=self, by=by, note=str(count))
        hand_over(using=alias)
        return count

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.edition}"


class NoticeText(models.Model):
    """What was said: sealed, so that a later template never changes what was claimed."""

    notice = models.ForeignKey(Notice, on_delete=models.PROTECT, related_name="texts")
    channel = models.CharField(_("channel"), max_length=32)
    language = models.CharField(_("language"), max_length=3, choices=LANGUAGES)
    # The number of the edition the changes are told from, the last one the reader was told of; 0: there is none.
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
        """Is the digest that of the words?"""
        return self.digest == seal.said(self.subject, self.text, self.html)

    def __str__(self) -> str:
        return self.subject


class NoticeRead(models.Model):
    """A user has looked at a notice on the site; who has not has no row."""

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
