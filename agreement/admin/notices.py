"""What was said, and who was told: read-only, and never counted, because the ledger has millions of rows."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import BadRequest
from django.core.paginator import Paginator
from django.db import DataError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _

from agreement import conf, dates
from agreement.models import Delivery, Notice, NoticeText

if TYPE_CHECKING:
    AnyModelAdmin = admin.ModelAdmin[Any]
    NoticeModelAdmin = admin.ModelAdmin[Notice]
    DeliveryModelAdmin = admin.ModelAdmin[Delivery]
    NoticeTextStackedInline = admin.StackedInline[NoticeText, Notice]
    DeliveryPaginator = Paginator[Delivery]
else:
    AnyModelAdmin = NoticeModelAdmin = DeliveryModelAdmin = admin.ModelAdmin
    NoticeTextStackedInline = admin.StackedInline
    DeliveryPaginator = Paginator

#: The columns of an edition no list shows: as long as the text itself.
LONG = tuple(f"{name}{suffix}" for name in ("body", "summary") for suffix in ("", "_kk", "_ru"))


class ReadOnly:
    """Nobody adds, changes or deletes, superusers included."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class Filtered(AnyModelAdmin):
    """A list whose filters are typed by hand: one no database can look for is a bad request, not a fault."""

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        try:
            return super().get_changelist_instance(request)
        except (DataError, OverflowError, ValueError) as error:  # Too large a number, a year without dates, NUL.
            raise BadRequest(f"The list can't be filtered by {request.GET.urlencode()!r}: {error}.") from error


def language() -> str:
    """The language of the page, without its region."""
    return (get_language() or "en").partition("-")[0]


def moment(at: datetime | None, zone: str, case: dates.Case = "nominative") -> str:
    """The instant in the reader's language; a dash where there is none."""
    return dates.instant(at, language(), zone, case) if at else "—"


class FirstThousand(DeliveryPaginator):
    """Reads at most a thousand keys to know how many pages there are; filters lead to the rest."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return len(rows.values_list("pk", flat=True)[:1000])


class NoticeTextInline(ReadOnly, NoticeTextStackedInline):
    model = NoticeText
    extra = 0
    fields = ["channel", "language", "subject", "text", "digest"]


@admin.register(Notice)
class NoticeAdmin(ReadOnly, Filtered, NoticeModelAdmin):
    list_display = ["id", "edition", "kind", "created", "due", "written", "sent_to"]
    list_display_links = ["id", "edition"]
    list_select_related = ["edition__agreement"]
    fields = ["edition", "kind", "identifier", "created", "due", "written", "sent_to"]
    inlines = [NoticeTextInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Notice]:
        rows = super().get_queryset(request).select_related("edition__agreement")
        return rows.defer(*(f"edition__{name}" for name in LONG))

    @admin.display(description=_("identifier (UUID)"))
    def identifier(self, notice: Notice) -> str:
        return str(notice.uuid)

    @admin.display(description=_("created"), ordering="created_at")
    def created(self, notice: Notice) -> str:
        return moment(notice.created_at, notice.edition.agreement.time_zone)

    @admin.display(description=_("due"), ordering="due_at")
    def due(self, notice: Notice) -> str:
        return moment(notice.due_at, notice.edition.agreement.time_zone)

    @admin.display(description=_("deliveries written"), ordering="fanned_out_at")
    def written(self, notice: Notice) -> str:
        return moment(notice.fanned_out_at, notice.edition.agreement.time_zone)

    @admin.display(description=_("deliveries"))
    def sent_to(self, notice: Notice) -> str:
        url = reverse(f"{self.admin_site.name}:agreement_delivery_changelist", query={"notice": notice.pk})
        return format_html('<a href="{}">{}</a>', url, gettext("Who was told"))


@admin.register(Delivery)
class DeliveryAdmin(ReadOnly, Filtered, DeliveryModelAdmin):
    list_display = [
        "id",
        "about",
        "user",
        "channel",
        "language",
        "outcome",
        "reason",
        "attempts",
        "settled",
    ]
    list_filter = ["outcome"]
    list_select_related = ["user"]
    ordering = ["-pk"]
    sortable_by = ()
    paginator = FirstThousand
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    fields = ["notice", "user", "channel", "language", "outcome", "reason", "attempts", "due", "settled"]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        title = gettext("Deliveries, the latest thousand at most")
        return super().changelist_view(request, {"title": title} | (extra_context or {}))

    @admin.display(description=_("notice"))
    def about(self, delivery: Delivery) -> int:
        return delivery.notice_id

    @admin.display(description=_("due"))
    def due(self, delivery: Delivery) -> str:
        return moment(delivery.due_at, conf.time_zone())

    @admin.display(description=_("settled"))
    def settled(self, delivery: Delivery) -> str:
        return moment(delivery.settled_at, conf.time_zone())
