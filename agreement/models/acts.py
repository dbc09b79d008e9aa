"""Who did what, when: a log that is only ever added to, and that outlives the accounts it names.

Django's own admin log dies with its user. Here an act keeps names and keys as text, so nothing it points to has to
stay; triggers refuse to change or delete a row.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

from django.apps import apps
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from agreement.models.fields import InstantField
from agreement.models.refusals import EditionError

By = AbstractBaseUser | AnonymousUser | str | None


class ActQuerySet(models.QuerySet["Act"]):
    def log(self, kind: str, *, on: models.Model, by: By = None, note: str = "", digest: str = "") -> Act:
        """Add one act to the log. 1 query.

        ``by`` is an account, a name, or ``None`` where nobody is known (a command without one). ``note`` is what the
        person wrote, such as a reason; ``digest`` tells which words it was about.
        """
        agreement = getattr(on, "agreement", on)
        return self.create(
            kind=kind,
            by=name_of(by),
            account="" if by is None or isinstance(by, str) else str(by.pk or ""),
            model=on._meta.model_name or "",
            key=str(on.pk),
            agreement=getattr(agreement, "slug", ""),
            number=getattr(on, "number", None) or 0,
            digest=digest,
            note=note,
        )

    def about(self, row: models.Model) -> Self:
        """What was done to that row, the latest first. 1 query."""
        return self.filter(model=row._meta.model_name, key=str(row.pk)).order_by("-pk")

    def last_verification(self) -> Act | None:
        """When the editions were last verified, and whether faults were found. 1 query."""
        return self.filter(kind__in=[Act.Kind.VERIFIED, Act.Kind.FAULTY]).order_by("-pk").first()

    def last_author(self, edition: models.Model) -> Act | None:
        """The act that wrote the draft's words last, if it was logged. 1 query."""
        return self.about(edition).filter(kind=Act.Kind.WRITTEN).first()


class Act(models.Model):
    """One thing one person did. What it was done to is named, not pointed to: a deleted draft keeps its acts."""

    class Kind(models.TextChoices):
        CHANGED = "changed", _("user agreement set up or changed")
        WRITTEN = "written", _("draft written")
        DELETED = "deleted", _("draft deleted")
        PUBLISHED = "published", _("edition published")
        RECORDED = "recorded", _("history recorded")
        CANCELLED = "cancelled", _("edition cancelled")
        PAUSED = "paused", _("sending paused")
        RESUMED = "resumed", _("sending resumed")
        RESENT = "resent", _("sent again to those not reached")
        VIEWED = "viewed", _("personal data viewed")
        EXPORTED = "exported", _("personal data exported")
        JOINED = "joined", _("joinings recorded")
        WITHDRAWN = "withdrawn", _("withdrawal of consent registered")
        HELD = "held", _("legal hold placed or ended")
        VERIFIED = "verified", _("editions verified")
        FAULTY = "faulty", _("faults found in the editions")

    at = InstantField(_("when"), default=timezone.now, editable=False)
    kind = models.CharField(_("act"), max_length=16, choices=Kind.choices)
    by = models.CharField(_("who"), max_length=255, blank=True)
    account = models.CharField(_("key of the account"), max_length=255, blank=True)
    model = models.CharField(_("kind of record"), max_length=64)
    key = models.CharField(_("key of the record"), max_length=255)
    agreement = models.CharField(_("user agreement"), max_length=100, blank=True)
    number = models.PositiveIntegerField(_("edition"), default=0)
    digest = models.CharField(_("digest (SHA-256)"), max_length=64, blank=True)
    note = models.TextField(_("reason or remark"), blank=True)

    # As for editions: the methods are ActQuerySet's.
    objects: ClassVar[Any] = ActQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("act")
        verbose_name_plural = _("log of acts")
        indexes = [
            models.Index(fields=["model", "key"], name="agreement_act_about"),
            models.Index(
                fields=["id"], condition=models.Q(kind__in=["verified", "faulty"]), name="agreement_act_verified"
            ),
        ]

    @property
    def about(self) -> str:
        """What it was done to, in the active language."""
        if self.model == "edition":
            return edition_name(self.agreement, self.number, self.key)
        if self.model == "agreement" and self.agreement:
            return self.agreement
        try:
            called = apps.get_model("agreement", self.model)._meta.verbose_name
        except LookupError:  # A record of a kind there is no more.
            called = self.model
        return f"{called} {self.key}".strip()

    def __str__(self) -> str:
        return f"{self.Kind(self.kind).label}: {self.about}"


def name_of(by: By) -> str:
    """Who it was, as a name: it outlives the account."""
    if by is None or isinstance(by, str):
        return (by or "")[:255]
    username = by.get_username()
    full = getattr(by, "get_full_name", str)().strip()
    return (f"{full} ({username})" if full and full != username else username)[:255]


def edition_name(agreement: str, number: int | None, key: Any) -> str:
    """What an edition is called, in the active language."""
    if number:
        return gettext("%(agreement)s, edition %(number)s") % {"agreement": agreement, "number": number}
    return gettext("%(agreement)s, draft %(id)s") % {"agreement": agreement, "id": key}


def require_second_person(edition: models.Model, by: By, *, using: str) -> None:
    """Where four eyes are asked for, whoever wrote the draft last may not publish it. 1 query.

    Raises :class:`EditionError`, ``four_eyes``; an edition published by nobody in particular was seen by nobody.
    """
    last = Act.objects.using(using).last_author(edition)
    account = "" if by is None or isinstance(by, str) else str(by.pk or "")
    if account and (last is None or last.account != account):
        return
    raise EditionError(
        _("Two people are needed: the draft was last written by %(author)s."),
        code="four_eyes",
        hint=_("Let somebody else read both texts and publish."),
        author=(last and last.by) or "—",
    )
