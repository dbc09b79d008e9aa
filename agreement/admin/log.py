"""The admin of the audit log. It is read-only.

A reader without the permission ``view_acceptance``, which is needed to view personal data, sees neither whom an entry
is about, nor a note that may contain personal data, and can't search or filter by them.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Case, F, Q, QuerySet, TextField, Value, When
from django.db.models.expressions import Combinable
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from agreement import conf
from agreement.admin.base import (
    LoggedViews,
    LongList,
    ReadOnly,
    SafeChangeList,
    UserSearch,
    column_name,
    moment,
    moment_column,
    moment_fact,
)
from agreement.models import AuditEntry, Breach, LegalHold
from agreement.models.audit import AuditAction
from agreement.notices.unreached import Cause

#: A moment in a note, as RFC 3339 writes it.
INSTANT = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")
#: The models whose audit entries contain no personal data of the site's users, unless an entry is about a person.
IMPERSONAL = ("agreement", "edition", "notice")
#: The columns that neither say whom an entry is about, nor may name that person.
IMPERSONAL_FIELDS = frozenset({"id", "at", "action", "by", "account", "model", "key", "agreement", "number", "digest"})
#: The actions whose note is a reason that a person wrote.
STATED_BY_PEOPLE = frozenset({AuditAction.PUBLISHED, AuditAction.CANCELLED})
#: The words of the notes that the app itself writes, which are stored in English.
NOTE_WORDS = {
    "recorded": pgettext_lazy("breach", "recorded"),
    "saved": pgettext_lazy("breach", "saved"),
    "deleted": pgettext_lazy("breach", "deleted"),
    "notified all users": pgettext_lazy("breach", "notified all users"),
    "notified users": pgettext_lazy("breach", "notified users"),
    "became known": Breach._meta.get_field("known_at").verbose_name,
    "held_until": LegalHold._meta.get_field("held_until").verbose_name,
    "not reached": _("cause"),
    "report": _("report"),
    "search": pgettext_lazy("noun", "search"),
    "evidence": pgettext_lazy("audit log", "evidence"),
    "none": _("none"),
    "with a note": _("with a note, which the page of the draft displays until the next step"),
    **dict(Cause.choices),
}


def _in_words(note: str, model: str) -> str:
    """Return a note that the app wrote, in the language of the page. "became known A instead of B", in which A is the
    new moment and B the old one, becomes "became known: B → A", and "notified, " becomes "notified ". Then the note is
    divided at ``", "``, ``": "``, ``"; "`` and ``" → "``. Each part that is a key of ``NOTE_WORDS``, or the name of a
    field of the model or a value of its choices, is translated. Other parts stay as they are stored. ``model`` is the
    name of a model of the app; if it is empty or unknown, only ``NOTE_WORDS`` are translated.
    """
    try:
        fields = {field.name: field for field in apps.get_model("agreement", model)._meta.fields} if model else {}
    except LookupError:
        fields = {}
    values = {str(key): str(label) for field in fields.values() for key, label in field.flatchoices}
    known: dict[str, str] = values | {name: str(field.verbose_name) for name, field in fields.items()}
    known |= {word: str(label) for word, label in NOTE_WORDS.items()}
    note = note.replace("notified, ", "notified ")
    # A moment is put between the words, and its own colons do not separate them.
    note = re.sub(r"became known (\S+) instead of (\S+)", r"became known: \2 → \1", note)
    parts: list[str] = re.split(r"(, |: |; | → )", note)
    return "".join(known.get(part, part) for part in parts)


def may_view_people(request: HttpRequest) -> bool:
    """Return whether the reader has the permission ``view_acceptance``, without which the log displays no personal
    data. Whether they may view the log is not checked.
    """
    return request.user.has_perm("agreement.view_acceptance")


class AuditChangeList(SafeChangeList):
    """The list of the audit log. To name what the entries of a page are about, it makes at most 3 queries, besides
    those for the names of the agreements.
    """

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list: Any = list(self.result_list)
        AuditEntry.objects.name_subjects(self.result_list)


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnly, LoggedViews[AuditEntry], UserSearch[AuditEntry], LongList[AuditEntry]):
    """The admin of the audit log. Views of personal data in it are logged for readers with the permission
    ``view_acceptance``: the page of an entry about a person, and each request for the list.
    """

    list_display = [moment_column("when", _("when"), field="at"), "action", "by", "subject", "remark"]
    list_filter = ["action"]
    fields = ("when", "action", "by", "account", "subject", "digest", "remark")
    search_help_text = _(
        "Name of an officer, or slug of a user agreement. With the permission to view acceptances, also the name or key"
        " of a user, including deleted users."
    )

    def get_fields(self, request: HttpRequest, obj: AuditEntry | None = None) -> tuple[str, ...]:
        people = ("person", "pseudonym", "pseudonym_key", "account_deleted", "erased")
        return (*self.fields, *(people if may_view_people(request) else ()))

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEntry]:
        """Return the entries, each with ``agreement_remark``. It is the note. If the reader lacks the permission
        ``view_acceptance``, it is ``""`` for each entry about a person and for each entry whose model is not one of
        ``IMPERSONAL``, because the note may contain personal data.
        """
        remark: Combinable = F("note")
        if not may_view_people(request):
            impersonal = When(model__in=IMPERSONAL, user=None, pseudonym="", account_deleted_at=None, then=F("note"))
            remark = Case(impersonal, default=Value(""), output_field=TextField())
        rows: QuerySet[AuditEntry] = super().get_queryset(request).annotate(agreement_remark=remark)
        return rows

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Return whether the URL may have this filter. If the reader lacks the permission ``view_acceptance``, only
        filters by ``IMPERSONAL_FIELDS`` are allowed: ``?note__startswith=`` would reveal a note letter by letter.
        """
        allowed = may_view_people(request) or column_name(self.model, lookup) in IMPERSONAL_FIELDS
        return allowed and super().lookup_allowed(lookup, value, request)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[AuditEntry], search_term: str
    ) -> tuple[QuerySet[AuditEntry], bool]:
        """Return the entries that the search finds, and ``False``, because none is found twice. Entries are found by a
        part of the name of an officer or of the slug of an agreement. With the permission ``view_acceptance``, the
        reader also finds the entries about a user, by the complete name or the key of the user. An empty search finds
        all entries.
        """
        found = Q(by__icontains=search_term) | Q(agreement__icontains=search_term)
        if may_view_people(request):
            found |= Q(pk__in=self.matching_keys(search_term))
        return queryset.filter(found) if search_term else queryset, False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return AuditChangeList

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> AuditEntry | None:
        entry = super().get_object(request, object_id, from_field)
        if entry:
            AuditEntry.objects.name_subjects([entry])
        return entry

    def displays_people(self, request: HttpRequest, row: AuditEntry | None = None) -> bool:
        """Return whether the list, or the page of that entry, displays personal data to this reader. They need the
        permission ``view_acceptance``, and must be permitted to view the log. The page of an entry about no person
        displays none.
        """
        about_person = row is None or row.user_id is not None or bool(row.pseudonym)
        return about_person and may_view_people(request) and self.has_view_permission(request, row)

    when = moment_fact(_("when"), field="at")

    @admin.display(description=AuditEntry._meta.get_field("note").verbose_name)
    def remark(self, entry: AuditEntry) -> str:
        remark = str(entry.agreement_remark)  # type: ignore[attr-defined]  # annotated by get_queryset()
        if entry.action not in STATED_BY_PEOPLE:
            remark = _in_words(remark, entry.model)
        # The log stores moments as data.
        return INSTANT.sub(lambda found: moment(datetime.fromisoformat(found[0]), conf.time_zone()), remark)

    @admin.display(description=_("about"))
    def subject(self, entry: AuditEntry) -> str:
        return entry.subject

    account_deleted = moment_fact(
        AuditEntry._meta.get_field("account_deleted_at").verbose_name, field="account_deleted_at"
    )
    erased = moment_fact(_("erased"), field="erased_at")
