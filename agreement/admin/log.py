"""The admin of the audit log. It is read-only: entries can only be viewed.

Who may not view personal data (the permission ``view_acceptance``) sees no person in the log: neither whom an entry is
about, nor the note of such an entry, and cannot search or filter by them.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import SEARCH_VAR
from django.db.models import Case, F, Q, QuerySet, TextField, Value, When
from django.db.models.expressions import Combinable
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from agreement import conf
from agreement.admin.base import LongList, ReadOnly, UserSearch, moment, parameter_names
from agreement.models import AuditEntry
from agreement.models.audit import AuditAction

#: The models whose audit entries contain no personal data of the site's users.
IMPERSONAL = ("agreement", "edition", "notice")
#: The columns that say whom an entry is about, or may name that person.
PERSONAL_FIELDS = frozenset({"note", "user", "pseudonym", "pseudonym_key", "account_deleted_at", "erased_at"})


def may_view_people(request: HttpRequest) -> bool:
    """Return whether the reader may see personal data in the log."""
    return request.user.has_perm("agreement.view_acceptance")


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnly, UserSearch[AuditEntry], LongList[AuditEntry]):
    """The admin of the audit log. Views of personal data in it are logged: the page of an entry about a person, and a
    search, because it can find a person.
    """

    list_display = ["when", "action", "by", "subject", "remark"]
    list_filter = ["action"]
    fields = ("when", "action", "by", "account", "subject", "digest", "remark")
    search_help_text = _(
        "Name of an officer, or slug of a user agreement. With the permission to view acceptances, also the name or key"
        " of a user, including deleted users."
    )

    def get_fields(self, request: HttpRequest, obj: AuditEntry | None = None) -> tuple[str, ...]:
        people = ("user", "pseudonym", "pseudonym_key", "account_deleted", "erased")
        return (*self.fields, *(people if may_view_people(request) else ()))

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEntry]:
        """Annotate each entry with ``agreement_remark``. It is the note. If the reader lacks the permission
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
        """Return whether the URL may have this filter. Filters by ``PERSONAL_FIELDS`` are refused if the reader lacks
        the permission ``view_acceptance``: ``?note__startswith=`` would reveal a note letter by letter.
        """
        allowed = may_view_people(request) or lookup.partition("__")[0] not in PERSONAL_FIELDS
        return allowed and super().lookup_allowed(lookup, value, request)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[AuditEntry], search_term: str
    ) -> tuple[QuerySet[AuditEntry], bool]:
        """Find entries by a part of the name of an officer or of the slug of an agreement. Who may see personal data
        also finds the entries about a user, by the complete name or the key of the user.
        """
        found = Q(by__icontains=search_term) | Q(agreement__icontains=search_term)
        if may_view_people(request):
            found |= Q(pk__in=self.matching_keys(search_term))
        return queryset.filter(found) if search_term else queryset, False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.GET.get(SEARCH_VAR) and may_view_people(request) and self.has_view_permission(request):
            viewed = AuditEntry(pk="")
            note = parameter_names(self, request)
            AuditEntry.objects.log(AuditAction.VIEWED, on=viewed, by=request.user, note=note)
        return super().changelist_view(request, extra_context)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> AuditEntry | None:
        row = super().get_object(request, object_id, from_field)
        displays_person = row is not None and (row.user_id is not None or row.pseudonym) and may_view_people(request)
        if row is not None and displays_person and self.has_view_permission(request, row):
            AuditEntry.objects.log(AuditAction.VIEWED, on=row, by=request.user)
        return row

    @admin.display(description=_("when"))
    def when(self, entry: AuditEntry) -> str:
        return moment(entry.at, conf.time_zone())

    @admin.display(description=AuditEntry._meta.get_field("note").verbose_name)
    def remark(self, entry: AuditEntry) -> str:
        remark = str(entry.agreement_remark)  # type: ignore[attr-defined]  # annotated by get_queryset()
        return gettext("report") if remark == "report" else remark

    @admin.display(description=_("about"))
    def subject(self, entry: AuditEntry) -> str:
        return entry.subject

    @admin.display(description=AuditEntry._meta.get_field("account_deleted_at").verbose_name)
    def account_deleted(self, entry: AuditEntry) -> str:
        return moment(entry.account_deleted_at, conf.time_zone())

    @admin.display(description=_("erased"))
    def erased(self, entry: AuditEntry) -> str:
        return moment(entry.erased_at, conf.time_zone())
