"""Breaches of personal data, and whom the notice about one concerns."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Self
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models, router, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from agreement import conf
from agreement.models.agreements import Agreement
from agreement.models.audit import AuditAction, AuditEntry, By
from agreement.models.fields import InstantField, UserKey
from agreement.models.notices import Notice, NoticeKind, enqueue_on_commit, notice_due_at
from agreement.models.progress import Progress
from agreement.text import dates
from agreement.text.languages import LANGUAGES

#: A blank that was left to be filled in.
BLANK = re.compile(r"_{3,}")
#: The most characters that the words of a notice may have in one language. Mail programs cut long letters off.
MAX_WORDS = 10_000
_SATURDAY = 5


def one_working_day_after(at: datetime, zone: str) -> datetime:
    """The same time of day on the next day that is not a Saturday or a Sunday in that time zone. Public holidays count
    as working days.
    """
    later = at.astimezone(ZoneInfo(zone)) + timedelta(days=1)
    while later.weekday() >= _SATURDAY:
        later += timedelta(days=1)
    return later


def _already_notified() -> ValidationError:
    return ValidationError(_("Users were notified of this breach already."), code="already_notified")


class BreachQuerySet(models.QuerySet["Breach"]):
    def open(self) -> Self:
        """Breaches that have no notice yet, whose notice has deliveries that are not written or still wait, or of whose
        notice no delivery was sent. The longest known breach is first.
        """
        rows = Progress.objects.filter(notice=models.OuterRef("notice"))
        waiting, sent = (models.Exists(rows.filter(**{f"{name}__gt": 0})) for name in ("waiting", "sent"))
        unfinished = models.Q(notice=None) | models.Q(notice__fanned_out_at=None) | models.Q(waiting)
        return self.filter(unfinished | ~models.Q(sent)).order_by("known_at")


BreachManager = models.Manager.from_queryset(BreachQuerySet)


class Breach(models.Model):
    """A breach of personal data. It is recorded when it becomes known, completed, and then announced by :meth:`notify`.
    After that the database refuses to change or delete the row, and :meth:`set_affected` refuses to change whom it
    concerns.

    ``known_at`` is when the site learned of it. If ``everyone`` is false, the notice concerns only the users in
    ``affected``. ``text_kk`` and ``text_ru`` are the words of the notice.
    """

    agreement = models.ForeignKey(
        Agreement, on_delete=models.PROTECT, related_name="breaches", verbose_name=_("user agreement")
    )
    known_at = InstantField(_("became known"), default=timezone.now)
    recorded_at = InstantField(_("recorded"), default=timezone.now, editable=False)
    recorded_by = models.CharField(_("recorded by"), max_length=255, blank=True, editable=False)
    everyone = models.BooleanField(_("concerns all users"), default=True)
    text_kk = models.TextField(_("words of the notice in Kazakh"), blank=True)
    text_ru = models.TextField(_("words of the notice in Russian"), blank=True)
    notice = models.OneToOneField(
        Notice,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        related_name="breach",
        verbose_name=_("notice"),
    )

    if TYPE_CHECKING:
        agreement_id: int
        notice_id: int | None

    objects = BreachManager()

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("breach of personal data")
        verbose_name_plural = _("breaches of personal data")
        permissions = [("notify_breach", _("Can notify users of a breach of personal data"))]

    def clean(self) -> None:
        """Raise ``ValidationError`` if the moment at which the breach became known is in the future."""
        super().clean()
        if self.known_at > timezone.now():
            message = _("This moment is in the future.")
            raise ValidationError({"known_at": ValidationError(message, code="future")})

    @property
    def deadline(self) -> datetime:
        """One working day after the breach became known (:func:`one_working_day_after`): until then users are to be
        notified of it. The law sets this term for the letter to the authorised body, which the app does not write.
        """
        return one_working_day_after(self.known_at, self.agreement.time_zone)

    def text(self, language: str) -> str:
        """The words of the notice in ``kk`` or ``ru``, without white space at both ends."""
        words: str = getattr(self, f"text_{language}")
        return words.strip()

    def set_affected(self, user_keys: Iterable[UserKey]) -> None:
        """Replace the users whom the breach concerns by those with these primary keys. Raises ``ValidationError`` if
        users were notified of the breach. The database itself does not refuse it.
        """
        alias = router.db_for_write(Breach)
        with transaction.atomic(using=alias):
            self.agreement.lock(using=alias)
            if Breach.objects.using(alias).filter(pk=self.pk, notice__isnull=False).exists():
                raise _already_notified()
            self.affected.all().delete()
            AffectedUser.objects.bulk_create(AffectedUser(breach=self, user_id=key) for key in dict.fromkeys(user_keys))

    def users(self) -> models.QuerySet[models.Model]:
        """The users in the site's audience whom the breach concerns. The queryset is not evaluated."""
        audience = conf.audience()
        return audience if self.everyone else audience.filter(pk__in=self.affected.values("user"))

    def left_out(self) -> models.QuerySet[AffectedUser]:
        """The rows of ``affected`` whose users are not in the site's audience and therefore are not notified. The
        queryset is not evaluated.
        """
        return self.affected.exclude(user__in=conf.audience().values("pk")).select_related("user").order_by("pk")

    @property
    def digest(self) -> str:
        """SHA-256 of the agreement, the words of the notice, the users whom the breach concerns, and the moment at
        which it became known. These are the values of this object, unsaved changes included; only the users in
        ``affected`` are read from the database. :meth:`notify` compares a digest with that of the stored breach. 1
        query.
        """
        users = [str(key) for key in self.affected.order_by("user").values_list("user", flat=True)]
        stated = [self.known_at.timestamp(), self.everyone, self.text_kk, self.text_ru, users]
        return hashlib.sha256(json.dumps([self.agreement_id, *stated]).encode()).hexdigest()

    def require_complete(self) -> None:
        """Raise ``ValidationError`` if users can't be notified: a language has no words, more than ``MAX_WORDS``
        characters, or a blank that is not filled in; a breach that does not concern everyone names no user, or none who
        is in the site's audience; the agreement has no published edition; or the breach has a notice already. The error
        contains the first reason about each language, and the reasons that are not about a language.
        """
        faults: dict[str, list[ValidationError]] = {}
        for language in LANGUAGES:
            words = self.text(language)
            if not words:
                fault = ValidationError(_("Write the notice in this language."), code="no_words")
            elif len(words) > MAX_WORDS:
                message = _("Shorten the notice: it has %(length)s characters, and at most %(max)s are sent.")
                fault = ValidationError(message, code="too_long", params={"length": len(words), "max": MAX_WORDS})
            elif found := BLANK.search(words):
                line = words[: found.start()].rpartition("\n")[2] + found[0]
                message = _("Fill in the blank after “%(line)s”.")
                fault = ValidationError(message, code="blank", params={"line": line[-60:]})
            else:
                continue
            faults[f"text_{language}"] = [fault]
        others = []
        if self.notice_id:
            others.append(_already_notified())
        if not self.everyone and not self.affected.exists():
            others.append(ValidationError(_("Name at least one user, or choose all users."), code="nobody"))
        elif not self.everyone and not self.users().exists():
            message = _("None of the named users is among the users whom the site notifies.")
            others.append(ValidationError(message, code="nobody_notified"))
        if not self.agreement.editions.published().exists():
            message = _("The agreement has no published edition, so there is nobody to notify.")
            others.append(ValidationError(message, code="no_edition"))
        if others:
            faults["__all__"] = others
        if faults:
            raise ValidationError(faults)

    def notify(self, *, by: By = None, at: datetime | None = None, digest: str | None = None) -> Notice:
        """Announce the breach as it is stored: create its notice at that instant (now), which is due ``NOTICE_DELAY``
        later, and add an audit entry. Changes of this object that are not saved are lost. After the commit the site's
        ``ENQUEUE`` is called. The notice belongs to the edition in force; if none is in force, to the last published
        one.

        Raises ``ValidationError`` if users can't be notified (:meth:`require_complete`), also because another request
        has announced the breach in the meantime. If a ``digest`` is given, it raises one with the code ``changed``
        unless it is that of the stored breach.
        """
        at, alias = at or timezone.now(), router.db_for_write(Breach)
        with transaction.atomic(using=alias):
            self.agreement.lock(using=alias)
            self.refresh_from_db(using=alias)
            self.require_complete()
            if digest is not None and digest != self.digest:
                message = _("The breach was changed after this page was displayed. Read it again.")
                raise ValidationError(message, code="changed")
            editions = self.agreement.editions.using(alias)
            edition = editions.in_force(at).first() or editions.published().order_by("-number")[0]
            self.notice = Notice.objects.using(alias).create(
                edition=edition, kind=NoticeKind.BREACH, created_at=at, due_at=notice_due_at(at)
            )
            self.save(using=alias, update_fields=["notice"])
            whom = "all users" if self.everyone else f"users: {self.affected.count()}"
            AuditEntry.objects.using(alias).log(AuditAction.BREACH, on=self, by=by, note=f"notified, {whom}")
            enqueue_on_commit(using=alias)
        return self.notice

    def __str__(self) -> str:
        return f"{self.agreement}, {dates.day(self.known_at, conf.active_language(), self.agreement.time_zone)}"


class AffectedUser(models.Model):
    """A user whom a breach concerns. The row is deleted with the account."""

    breach = models.ForeignKey(Breach, on_delete=models.CASCADE, related_name="affected")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")

    class Meta:
        verbose_name = _("affected user")
        verbose_name_plural = _("affected users")
        constraints = [models.UniqueConstraint(fields=["breach", "user"], name="agreement_affecteduser_once")]

    def __str__(self) -> str:
        return f"{self.pk}"
