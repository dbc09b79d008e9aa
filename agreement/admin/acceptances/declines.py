"""The admin of declines, for privacy officers: who declined which edition, and whether they have accepted it too.

Declines can't be added, changed or deleted here. Every view of the list or of a decline, and every export of all
declines as a CSV file, is logged.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from agreement.admin.base import (
    TEXT_COLUMNS,
    AdminView,
    LoggedViews,
    LongList,
    MissingRight,
    ReadOnly,
    UserSearch,
    moment_column,
    moment_fact,
    public_address,
    yes_or_no,
)
from agreement.evidence.bundle import csv_table
from agreement.evidence.tables import OFFICER_DECLINE_COLUMNS
from agreement.models import AuditEntry, Decline, Edition
from agreement.models.audit import AuditAction


class EditionFilter(admin.SimpleListFilter):
    """A filter by the declined edition. The choices are the editions that anyone declined. A value that is no number
    selects all declines.
    """

    title, parameter_name = _("edition"), "edition"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, str]]:
        declined = Decline.objects.order_by().values("edition").distinct()
        editions = Edition.objects.published().filter(pk__in=declined).select_related("agreement")
        return [(str(edition.pk), str(edition)) for edition in editions.without_texts("body", "summary")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Decline]) -> QuerySet[Decline]:
        value = self.value() or ""
        return queryset.filter(edition=int(value)) if value.isdecimal() and value.isascii() else queryset


class AcceptedFilter(admin.SimpleListFilter):
    """A filter by whether the user has accepted the same edition, before or after the decline. A later withdrawal does
    not matter.
    """

    title, parameter_name = _("accepted too"), "accepted"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, str]]:
        return [("1", gettext("yes")), ("0", gettext("no"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # Any: it is annotated.
        return queryset.filter(accepted=self.value() == "1") if self.value() in {"0", "1"} else queryset


class DeclineCsvView(AdminView):
    """``…/declines.csv``: all declines as a streamed file, the earliest first. The export is logged before it begins.
    Raises ``MissingRight`` for users who may not view declines.
    """

    def get(self, request: HttpRequest) -> HttpResponseBase:
        if not self.model_admin.has_view_permission(request):
            raise MissingRight("view_decline")
        exported = Decline()
        exported.pk = ""
        AuditEntry.objects.log(AuditAction.EXPORTED, on=exported, by=request.user, note="declines.csv")
        rows = Decline.objects.with_accepted().order_by("pk")
        lines = (chunk for part in ([BOM_UTF8], csv_table(OFFICER_DECLINE_COLUMNS, rows)) for chunk in part)
        response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
        response.headers["Content-Disposition"] = 'attachment; filename="declines.csv"'
        response.headers["Cache-Control"] = "private, no-store"
        return response


@admin.register(Decline)
class DeclineAdmin(ReadOnly, LoggedViews[Decline], UserSearch[Decline], LongList[Decline]):
    list_display = ["id", "about", "user", "language", moment_column("when", _("when"), field="at"), "since"]
    list_filter = [EditionFilter, AcceptedFilter]
    list_select_related = ["user", "edition__agreement"]
    change_list_template = "admin/agreement/decline/change_list.html"
    fields = (
        *("subject", "person", "when", "language", "digest", "since"),
        *("ip", "user_agent", "pseudonym", "pseudonym_key", "erased"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Decline]:
        rows: Any = super().get_queryset(request)  # The queryset of the manager, with the method below.
        found: QuerySet[Decline] = rows.with_accepted().defer(*(f"edition__{name}" for name in TEXT_COLUMNS))
        return found

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(DeclineCsvView.as_view(model_admin=self))
        return [path("declines.csv", view, name="agreement_decline_csv"), *super().get_urls()]

    @admin.display(description=_("edition"))
    def about(self, decline: Decline) -> str:
        return str(decline.edition)

    @admin.display(description=_("edition"))
    def subject(self, decline: Decline) -> str:
        url = public_address(decline.edition)
        return format_html('<a href="{}">{}</a>', url, decline.edition) if url else str(decline.edition)

    when = moment_fact(_("when"), field="at")

    @admin.display(description=_("accepted too"))
    def since(self, decline: Decline) -> str:
        return yes_or_no(decline.accepted)

    erased = moment_fact(_("erased"), field="erased_at")
