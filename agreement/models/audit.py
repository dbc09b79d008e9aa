"""The audit log: who did what, when. Entries are added and never changed, and remain after an account is deleted.

Django's own admin log is deleted with its user. Here an entry stores names and keys as text, so that the accounts and
rows which it names can be deleted. Triggers refuse to change or delete an entry.
"""

from __future__ import annotations

from typing import Self

from django.apps import apps
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import connections, models
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from agreement.models.fields import InstantField

By = AbstractBaseUser | AnonymousUser | str | None


class AuditAction(models.TextChoices):
    """What was done."""

    CHANGED = "changed", _("user agreement created or changed")
    WRITTEN = "written", _("draft saved")
    DELETED = "deleted", _("draft deleted")
    PUBLISHED = "published", _("edition published")
    RECORDED = "recorded", _("history recorded")
    CANCELLED = "cancelled", _("edition cancelled")
    PAUSED = "paused", _("sending paused")
    RESUMED = "resumed", _("sending resumed")
    RESENT = "resent", _("failed deliveries sent again")
    REVIVED = "revived", _("skipped deliveries wait again")
    VIEWED = "viewed", _("personal data viewed")
    EXPORTED = "exported", _("personal data exported")
    ACCEPTED = "accepted", _("acceptances recorded")
    WITHDRAWN = "withdrawn", _("withdrawal of consent registered")
    LEGAL_HOLD = "legal_hold", _("legal hold placed or ended")
    VERIFIED = "verified", _("editions verified")
    FAULTY = "faulty", _("faults found in the editions")


class AuditEntryQuerySet(models.QuerySet["AuditEntry"]):
    def log(self, action: str, *, on: models.Model, by: By = None, note: str = "", digest: str = "") -> AuditEntry:
        """Add one entry to the log, and return it. Its attribute ``at`` may be an expression. 1 query, and 1 more if
        ``on`` has an agreement that is not loaded.

        ``action`` is an :class:`AuditAction`, and ``on`` is the stored row that the action is about. The entry copies
        the kind and the primary key of ``on``, the slug of its agreement (``""`` if it has none) and its ``number`` (0
        if it has none). ``by`` is an account, a name, or ``None`` if no person is known (for example, in a command).
        ``note`` is a reason or remark. ``digest`` is the digest of the edition or the fingerprint of the draft, or
        ``""``.
        """
        agreement = getattr(on, "agreement", on)
        # The database compares the moment with its own clock. On PostgreSQL the statement itself reads that clock, so
        # that no entry is refused because the clock of this machine is wrong.
        now = Now() if connections[self.db].vendor == "postgresql" else timezone.now()
        return self.create(
            at=now,
            action=action,
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
        """The entries about that row, the latest first. They are found by the name of its model and its primary key.
        1 query.
        """
        return self.filter(model=row._meta.model_name, key=str(row.pk)).order_by("-pk")

    def last_verification(self) -> AuditEntry | None:
        """The latest entry about a verification of the editions, with or without faults; ``None`` if there is none.
        1 query.
        """
        return self.filter(action__in=[AuditAction.VERIFIED, AuditAction.FAULTY]).order_by("-pk").first()

    def last_author(self, edition: models.Model) -> AuditEntry | None:
        """The latest entry about saving this draft (``written``), which names the author; ``None`` if there is none. It
        is also found after the draft is published. 1 query.
        """
        return self.about(edition).filter(action=AuditAction.WRITTEN).first()


AuditEntryManager = models.Manager.from_queryset(AuditEntryQuerySet)


class AuditEntry(models.Model):
    """One action. ``by`` and ``account`` say who did it. ``by`` is empty if no person is known, and ``account`` if no
    account is known. The entry names its row as text, without a foreign key, so it remains after the row is deleted.
    """

    at = InstantField(_("when"), default=timezone.now, editable=False)
    action = models.CharField(_("action"), max_length=16, choices=AuditAction.choices)
    by = models.CharField(_("who"), max_length=255, blank=True)
    account = models.CharField(_("key of the account"), max_length=255, blank=True)
    model = models.CharField(_("kind of record"), max_length=64)
    key = models.CharField(_("key of the record"), max_length=255)
    agreement = models.CharField(_("user agreement"), max_length=100, blank=True)
    number = models.PositiveIntegerField(_("edition"), default=0)
    digest = models.CharField(_("digest (SHA-256)"), max_length=64, blank=True)
    note = models.TextField(_("reason or remark"), blank=True)

    objects = AuditEntryManager()

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit log")
        indexes = [
            models.Index(fields=["model", "key"], name="agreement_auditentry_about"),
            models.Index(
                fields=["id"],
                condition=models.Q(action__in=["verified", "faulty"]),
                name="agreement_auditentry_verified",
            ),
        ]

    @property
    def subject(self) -> str:
        """The name of the row that the entry is about. For an agreement it is the slug. For an edition it is like
        "terms, edition 2"; an edition that was a draft when the entry was written has the name of a draft. For any
        other row it is the kind of row and the primary key. The words are in the active language. 0 queries.
        """
        if self.model == "edition":
            return edition_name(self.agreement, self.number, self.key)
        if self.model == "agreement" and self.agreement:
            return self.agreement
        try:
            name = apps.get_model("agreement", self.model)._meta.verbose_name
        except LookupError:  # A model that was removed.
            name = self.model
        return f"{name} {self.key}".strip()

    def __str__(self) -> str:
        return f"{AuditAction(self.action).label}: {self.subject}"


def name_of(by: By) -> str:
    """The full name and user name of an account ("Full Name (username)"), or only the user name if it has no other full
    name. A text is returned as it is, and ``""`` for ``None``. Cut to 255 characters.
    """
    if by is None or isinstance(by, str):
        return (by or "")[:255]
    username = by.get_username()
    full = getattr(by, "get_full_name", str)().strip()
    return (f"{full} ({username})" if full and full != username else username)[:255]


def edition_name(agreement: str, number: int | None, key: object) -> str:
    """The name of an edition, in the active language: "terms, edition 2". Without a ``number`` (``None`` or 0) it is
    the name of a draft, by its primary key ``key``: "terms, draft 7". ``agreement`` is the slug.
    """
    if number:
        return gettext("%(agreement)s, edition %(number)s") % {"agreement": agreement, "number": number}
    return gettext("%(agreement)s, draft %(id)s") % {"agreement": agreement, "id": key}
