"""The audit log: who did what, when. Entries are added and not deleted.

Django's own admin log is deleted with its user. Here an entry stores the name of an officer as text, so that it remains
after the account is deleted.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Self

from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import connections, models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from agreement.conf import active_language
from agreement.models import pseudonyms
from agreement.models.agreements import Agreement
from agreement.models.fields import InstantField
from agreement.models.personal import Personal, PersonalQuerySet
from agreement.text import dates

By = AbstractBaseUser | AnonymousUser | str | None


class AuditAction(models.TextChoices):
    """What was done."""

    CHANGED = "changed", _("user agreement created or changed")
    WRITTEN = "written", _("draft saved")
    DELETED = "deleted", _("draft deleted")
    READY = "ready", _("draft marked as ready to publish")
    RETURNED = "returned", _("draft sent back to its author")
    PUBLISHED = "published", _("edition published")
    RECORDED = "recorded", _("history recorded")
    CANCELLED = "cancelled", _("edition cancelled")
    SIGNED = "signed", _("digital signature of an edition stored")
    PAUSED = "paused", _("sending paused")
    RESUMED = "resumed", _("sending resumed")
    RESENT = "resent", _("deliveries sent again")
    REVIVED = "revived", _("skipped deliveries queued again")
    VIEWED = "viewed", _("personal data viewed")
    EXPORTED = "exported", _("personal data exported")
    ACCEPTED = "accepted", _("acceptances recorded")
    WITHDRAWN = "withdrawn", _("withdrawal of consent registered")
    REPLIED = "replied", _("reply to a withdrawal recorded")
    BREACH = "breach", _("breach of personal data recorded or announced")
    IMPERSONATED = "impersonated", _("acted in the name of a user")
    LEGAL_HOLD = "legal_hold", _("legal hold placed or ended")
    VERIFIED = "verified", _("editions verified")
    FAULTY = "faulty", _("faults found in the editions")


class AuditEntryQuerySet(PersonalQuerySet["AuditEntry"]):
    def log(
        self,
        action: str,
        *,
        on: models.Model,
        by: By = None,
        note: str = "",
        digest: str = "",
        person: models.Model | None = None,
    ) -> AuditEntry:
        """Add one entry to the log, and return it. On PostgreSQL, its attribute ``at`` is an expression, not a moment.
        1 query, and 1 more if ``on`` has an agreement that is not loaded.

        ``action`` is an :class:`AuditAction`, and ``on`` is the row that the action is about. The entry copies the kind
        and the primary key of ``on``. For an action about a list of rows, ``on`` is an object of their model with the
        primary key ``""``. If ``on`` is an agreement or a row of the app with the attribute ``agreement``, the entry
        also copies the slug of that agreement, else ``""``. It copies the ``number`` of a row of the app, or 0 if the
        row has none. Neither is copied from a row of the site, whose columns of these names may contain the name of a
        user. ``digest`` is that of the edition or of an imported file, or the fingerprint of the draft, or ``""``.

        If ``on`` is an account or a row about a user, the entry is about that person. It then gets the link to the
        account and the pseudonym. The key of an account is not copied, even if it is the key of a row of the site.
        ``person`` is another account, or row about a user. If it is given, the entry is about its person instead, for
        example if ``on`` is a list of rows, or the object of a deleted account, which is not stored.

        ``by`` is an account, a name, or ``None`` if no person is known (for example, in a command). Accounts are named,
        except users who are not staff and act on their own data: the entry is about them, and has no name.

        ``note`` contains facts: counts, digests and names of filters. Free text about a person may only be in an entry
        about that person. Erasure empties the note of such an entry, and of no other.
        """
        row = on if on._meta.app_label == self.model._meta.app_label else None
        has_user_key = _has_key_of_user(on._meta.model)
        about = _person_columns(person or on)
        user_key = on.pk if has_user_key else about.get("user_id")
        named = by
        if by is not None and not isinstance(by, str) and by.pk is not None and by.pk == user_key:
            named = by if getattr(by, "is_staff", False) else None
        # The database compares the moment with its own clock. On PostgreSQL the statement itself reads that clock, so
        # that no entry is refused because the clock of this machine is wrong.
        now = Now() if connections[self.db].vendor == "postgresql" else timezone.now()
        return self.create(
            at=now,
            action=action,
            by=name_of(named),
            account="" if named is None or isinstance(named, str) else str(named.pk or ""),
            model=on._meta.model_name or "",
            key="" if has_user_key else str(on.pk),
            agreement=getattr(getattr(row, "agreement", row), "slug", ""),
            number=getattr(row, "number", None) or 0,
            digest=digest,
            note=note,
            **about,
        )

    def about(self, row: models.Model) -> Self:
        """The entries about that row, the latest first. They are found by the name of its model, without its app, and
        its primary key. If the row is an account, they are all entries about that user that :meth:`for_user_key` finds.
        The queryset is not evaluated.
        """
        if isinstance(row, get_user_model()):
            return self.for_user_key(row.pk).order_by("-pk")
        return self.filter(model=row._meta.model_name, key=str(row.pk)).order_by("-pk")

    def name_subjects(self, entries: Iterable[AuditEntry]) -> None:
        """Set, on each of these entries, the name and the time zone of its agreement, on an entry about a draft the
        moment when it was begun, which is that of the first entry about it, and on an entry about a notice its name. An
        entry whose agreement or notice is not stored keeps its slug and UTC, or its key. At most 3 queries, however
        many entries there are, besides those for the names of the agreements.
        """
        entries = list(entries)
        slugs = {entry.agreement for entry in entries}
        agreements = {one.slug: one for one in Agreement.objects.filter(slug__in=slugs)}
        drafts = {entry.key for entry in entries if entry.model == "edition" and not entry.number}
        first = self.model.objects.filter(model="edition", key__in=drafts).order_by().values("key")
        begun = dict(first.annotate(begun=models.Min("at")).values_list("key", "begun")) if drafts else {}
        keys = {entry.key for entry in entries if entry.model == "notice" and entry.key}
        notices: Any = apps.get_model("agreement", "Notice")
        rows = notices._default_manager.with_edition().filter(pk__in=keys) if keys else ()
        names = {str(notice.pk): str(notice) for notice in rows}
        for entry in entries:
            entry.begun_at = begun.get(entry.key)
            entry.notice_name = names.get(entry.key, "") if entry.model == "notice" else ""
            if agreement := agreements.get(entry.agreement):
                entry.agreement_name = agreement.name
                entry.time_zone = agreement.time_zone

    def last_verification(self) -> AuditEntry | None:
        """The latest entry about a verification of the editions, by its moment, with or without faults; ``None`` if
        there is none. Of two at the same moment it is the one with faults. 1 query.
        """
        entries = self.filter(action__in=[AuditAction.VERIFIED, AuditAction.FAULTY])
        return entries.order_by("-at", "action", "-pk").first()  # "faulty" precedes "verified".

    def last_author(self, edition: models.Model) -> AuditEntry | None:
        """The latest entry about saving this draft (``written``); ``None`` if there is none. Its ``by`` is the name of
        the author, ``""`` if it is not known. It is also found after the draft is published. 1 query.
        """
        return self.about(edition).filter(action=AuditAction.WRITTEN).first()


AuditEntryManager = models.Manager.from_queryset(AuditEntryQuerySet)


class AuditEntry(Personal):
    """One action. ``by`` is the name of the person who did it, and ``account`` is the primary key of their account.
    ``by`` is empty if no person is known, and ``account`` if no account is known. Both are empty if a user who is not
    staff acted on their own data. The entry names its row as text, without a foreign key, so it remains after the row
    is deleted. ``key`` is empty if it would be the key of an account, or if the entry is about a list of rows.

    The columns of :class:`Personal` say which user the entry is about, until they are erased. The link and the
    pseudonym are empty if it is about no user.
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
        constraints = [
            models.CheckConstraint(
                condition=Q(erased_at__isnull=True) | Q(user=None, pseudonym="", pseudonym_key="", note=""),
                name="agreement_auditentry_erased_complete",
            ),
        ]
        indexes = [
            models.Index(fields=["model", "key"], name="agreement_auditentry_about"),
            models.Index(fields=["pseudonym"], condition=~Q(pseudonym=""), name="agreement_auditentry_pseudonym"),
            models.Index(
                fields=["id"],
                condition=models.Q(action__in=["verified", "faulty"]),
                name="agreement_auditentry_verified",
            ),
        ]

    #: When the draft that the entry is about was begun, in which time zone that is displayed, and the name of the
    #: notice that the entry is about. :meth:`AuditEntryQuerySet.name_subjects` sets them.
    begun_at: datetime | None = None
    time_zone = "UTC"
    notice_name = ""

    @cached_property
    def agreement_name(self) -> str:
        """The name of the agreement, if :meth:`AuditEntryQuerySet.name_subjects` set it; otherwise its slug."""
        return self.agreement

    @property
    def subject(self) -> str:
        """The name of the row that the entry is about. For an agreement it is ``agreement_name``. For an edition it is
        like "terms, edition 2"; an edition that was a draft when the entry was written has the name of a draft, with
        ``begun_at``. For a notice it is ``notice_name``, such as "terms, edition 2 (new edition)", if it is set. For
        any other row it is the kind of row and the ``key`` of the entry, if it has one. The words are in the active
        language. For a row of the site that is not an account, the kind is the name of its model, which is not
        translated. 0 queries.
        """
        if self.model == "edition":
            return edition_name(self.agreement_name, self.number, self.begun_at, self.time_zone)
        if self.model == "agreement" and self.agreement:
            return self.agreement_name
        if self.notice_name:
            return self.notice_name
        users = get_user_model()._meta
        try:
            model = users if self.model == users.model_name else apps.get_model("agreement", self.model)._meta
            name = model.verbose_name
        except LookupError:  # A model that was removed.
            name = self.model
        return f"{name} {self.key}".strip()

    def __str__(self) -> str:
        return f"{AuditAction(self.action).label}: {self.subject}"


def _has_key_of_user(model: type[models.Model]) -> bool:
    """Return whether the primary key of the rows of this model is that of an account: the user model, and a model whose
    primary key is a relation to such a model.
    """
    related = model._meta.pk.related_model
    return issubclass(model, get_user_model()) or (related is not None and _has_key_of_user(related))


def _person_columns(row: models.Model) -> dict[str, Any]:  # Values of any column.
    """The columns of :class:`Personal` for an entry about the person of that row: column → value. The row is an
    account, or a row about a user, whose account may be deleted. If the row has no user, its own pseudonym, key of the
    pseudonym and moment of the deletion are copied, as far as it has such columns. 0 queries.
    """
    user_key = row.pk if _has_key_of_user(row._meta.model) else getattr(row, "user_id", None)
    if user_key is not None:
        pseudonym = pseudonyms.primary(user_key)
        return {"user_id": user_key, "pseudonym": pseudonym.digest, "pseudonym_key": pseudonym.key}
    names = ("pseudonym", "pseudonym_key", "account_deleted_at")
    return {name: getattr(row, name) for name in names if hasattr(row, name)}


def name_of(by: By) -> str:
    """The full name and user name of an account ("Full Name (username)"), or only the
    user name if it has no other full name. A text is returned as it is. The result is
    ``""`` for ``None`` and for an anonymous user. It is cut to 255 characters.
    """
    if by is None or isinstance(by, str):
        return (by or "")[:255]
    username = by.get_username()
    full = getattr(by, "get_full_name", str)().strip()
    return (f"{full} ({username})" if full and full != username else username)[:255]


def edition_name(agreement: str, number: int | None, begun_at: datetime | None, zone: str) -> str:
    """The name of an edition, in the active language: "terms, edition 2". Without a ``number`` (``None`` or 0) it is
    the name of a draft, with the moment at which it was begun, in that time zone: "terms, draft of 29 November, 03:41".
    If that is not known, it is "terms, draft". ``agreement`` is the name of the agreement.
    """
    if number:
        return gettext("%(agreement)s, edition %(number)s") % {"agreement": agreement, "number": number}
    if begun_at is None:
        return gettext("%(agreement)s, draft") % {"agreement": agreement}
    day = dates.day(begun_at, active_language(), zone, "on", year=False)
    clock = dates.clock(begun_at, zone, seconds=False)
    return gettext("%(agreement)s, draft of %(day)s, %(clock)s") % {"agreement": agreement, "day": day, "clock": clock}
