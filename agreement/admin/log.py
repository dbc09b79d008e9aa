"""The admin of the audit log. It is read-only: entries can only be viewed."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Case, F, QuerySet, TextField, Value, When
from django.db.models.expressions import Combinable
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from agreement import conf
from agreement.admin.base import LongList, ReadOnly, moment
from agreement.models import AuditEntry

#: The models whose audit entries contain no personal data of the site's users.
IMPERSONAL = ("agreement", "edition", "notice")


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnly, LongList[AuditEntry]):
    list_display = ["when", "action", "by", "subject", "remark"]
    list_filter = ["action"]
    search_fields = ["by", "agreement"]
    fields = ["when", "action", "by", "account", "subject", "digest", "remark"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEntry]:
        """Annotate each entry with ``agreement_remark``. It is the note. If the reader lacks the permission
        ``view_acceptance``, it is ``""`` for each entry whose model is not one of ``IMPERSONAL``, because the note may
        contain personal data.
        """
        remark: Combinable = F("note")
        if not request.user.has_perm("agreement.view_acceptance"):
            impersonal = When(model__in=IMPERSONAL, then=F("note"))
            remark = Case(impersonal, default=Value(""), output_field=TextField())
        rows: QuerySet[AuditEntry] = super().get_queryset(request).annotate(agreement_remark=remark)
        return rows

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Return whether the URL may have this filter. Filters by the note are refused if the reader lacks the
        permission ``view_acceptance``: ``?note__startswith=`` would reveal a note letter by letter.
        """
        may_view = request.user.has_perm("agreement.view_acceptance")
        return (may_view or lookup.partition("__")[0] != "note") and super().lookup_allowed(lookup, value, request)

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
