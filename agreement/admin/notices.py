"""What was said, and who was told: read-only, and never counted, because the ledger has millions of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from agreement import conf, dates
from agreement.admin.sending import CHANNELS, Sending, in_words
from agreement.admin.tables import LONG, Endless, Filtered, OfPeople, ReadOnly, Watched, language, moment
from agreement.models import Delivery, Notice, NoticeText

if TYPE_CHECKING:
    NoticeModelAdmin = admin.ModelAdmin[Notice]
    DeliveryModelAdmin = admin.ModelAdmin[Delivery]
    NoticeTextStackedInline = admin.StackedInline[NoticeText, Notice]
else:
    NoticeModelAdmin = DeliveryModelAdmin = admin.ModelAdmin
    NoticeTextStackedInline = admin.StackedInline


class NoticeTextInline(ReadOnly, NoticeTextStackedInline):
    model = NoticeText
    extra = 0
    fields = ["channel", "language", "subject", "text", "digest"]


@admin.register(Notice)
class NoticeAdmin(ReadOnly, Sending, Filtered, NoticeModelAdmin):
    list_display = ["id", "edition", "kind", "created", "due", "written", "sending"]
    list_display_links = ["id", "edition"]
    list_select_related = ["edition__agreement"]
    fields = ["edition", "kind", "identifier", "created", "due", "written", "sending", "sent_to"]
    inlines = [NoticeTextInline]

    class Media:
        css = {"all": ["agreement/admin.css"]}
        js = [forms.Script("agreement/sending.js", defer=True)]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Notice]:
        rows = super().get_queryset(request).select_related("edition__agreement").prefetch_related("progress")
        return rows.defer(*(f"edition__{name}" for name in LONG))

    def get_fields(self, request: HttpRequest, obj: Notice | None = None) -> Any:
        """Who was told is personal data: its list is offered to whoever may see it."""
        return self.fields if request.user.has_perm("agreement.view_delivery") else self.fields[:-1]

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

    @admin.display(description=_("sending"))
    def sending(self, notice: Notice) -> str:
        url = reverse(f"{self.admin_site.name}:agreement_notice_sending", args=[notice.pk])
        rows = notice.progress.all()
        counts = {"sent": sum(row.sent for row in rows), "audience": sum(row.audience for row in rows)}
        numbers = {name: dates.number(count, language()) for name, count in counts.items()}
        return format_html('<a href="{}">{}</a>', url, gettext("%(sent)s of %(audience)s sent") % numbers)

    @admin.display(description=_("deliveries"))
    def sent_to(self, notice: Notice) -> str:
        url = reverse(f"{self.admin_site.name}:agreement_delivery_changelist", query={"notice": notice.pk})
        return format_html('<a href="{}">{}</a>', url, gettext("Who was told"))


@admin.register(Delivery)
class DeliveryAdmin(ReadOnly, Watched, OfPeople, Endless, DeliveryModelAdmin):
    list_display = ["id", "about", "user", "by", "language", "outcome", "why", "attempts", "settled"]
    list_filter = ["outcome"]
    list_select_related = ["user"]
    fields = ["notice", "user", "by", "language", "outcome", "why", "attempts", "due", "settled"]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        title = gettext("Deliveries, the latest thousand at most")
        return super().changelist_view(request, {"title": title} | (extra_context or {}))

    @admin.display(description=_("notice"))
    def about(self, delivery: Delivery) -> int:
        return delivery.notice_id

    @admin.display(description=_("channel"))
    def by(self, delivery: Delivery) -> str:
        return str(CHANNELS.get(delivery.channel, delivery.channel))

    @admin.display(description=_("reason"))
    def why(self, delivery: Delivery) -> str:
        return in_words(delivery.reason) or "—"

    @admin.display(description=_("due"))
    def due(self, delivery: Delivery) -> str:
        return moment(delivery.due_at, conf.time_zone())

    @admin.display(description=_("settled"))
    def settled(self, delivery: Delivery) -> str:
        return moment(delivery.settled_at, conf.time_zone())
