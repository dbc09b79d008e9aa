"""The admin of notices and deliveries. No row can be added, changed or deleted here; ``progress`` has the actions on a
notice. The list of deliveries displays and counts at most a thousand of them, because there may be millions.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from agreement import conf
from agreement.admin.base import (
    TEXT_COLUMNS,
    LoggedViews,
    LongList,
    ReadOnly,
    SafeFilters,
    UserSearch,
    column_name,
    moment,
    moment_column,
    moment_fact,
)
from agreement.admin.notices.progress import NoticeActionView, ProgressView
from agreement.admin.notices.state import StateFilter, state_badge
from agreement.admin.notices.unreached import UnreachedCsvView, UnreachedView
from agreement.conf import active_language
from agreement.models import Delivery, DeliveryOutcome, Notice, NoticeText, Progress
from agreement.models.ledger_labels import CHANNEL_LABELS, reason_in_words
from agreement.text import dates


class NoticeTextInline(ReadOnly, admin.StackedInline[NoticeText, Notice]):
    model = NoticeText
    extra = 0
    fields = ["by", "language", "subject", "text", "digest"]
    readonly_fields = ["by"]

    @admin.display(description=_("channel"))
    def by(self, text: NoticeText) -> str:
        return str(CHANNEL_LABELS.get(text.channel, text.channel))


@admin.register(Notice)
class NoticeAdmin(ReadOnly, SafeFilters[Notice]):
    list_display = [
        "edition",
        "kind",
        "state",
        "sending",
        moment_column("due", _("first message not before"), field="due_at"),
    ]
    list_display_links = ["edition"]
    list_filter = [StateFilter]
    show_facets = admin.ShowFacets.NEVER
    list_select_related = ["edition__agreement"]
    fields = ["about", "kind", "identifier", "created", "due", "written", "state", "sending", "recipients"]
    inlines = [NoticeTextInline]
    change_form_template = "admin/agreement/notice/change_form.html"

    class Media:
        css = {"all": ["agreement/admin.css"]}
        js = [forms.Script("agreement/progress.js", defer=True)]

    def get_urls(self) -> list[URLPattern]:
        pages: dict[str, tuple[str, Any]] = {
            "sending": ("sending/", ProgressView.as_view(model_admin=self)),
            "unreached": ("unreached/", UnreachedView.as_view(model_admin=self)),
            "unreached_csv": ("unreached/not-reached.csv", UnreachedCsvView.as_view(model_admin=self)),
        }
        for action in ("pause", "resume", "resend", "resend_reachable"):
            view = NoticeActionView.as_view(model_admin=self, action=action)
            pages[action] = (f"{action.replace('_', '-')}/", view)
        own = [
            path(f"<path:object_id>/{address}", self.admin_site.admin_view(view), name=f"agreement_notice_{name}")
            for name, (address, view) in pages.items()
        ]
        return [*own, *super().get_urls()]

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Return whether the URL may have this filter. Filters by ``fan_out_cursor``, the place up to which the
        deliveries of the notice have been written, are refused: it may be the key of a user, which
        ``?fan_out_cursor__startswith=`` would reveal. Other filters are allowed as in :class:`SafeFilters`.
        """
        cursor = column_name(self.model, lookup) == "fan_out_cursor"
        return not cursor and super().lookup_allowed(lookup, value, request)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Notice]:
        notices: Any = super().get_queryset(request)
        rows: QuerySet[Notice] = notices.with_overtaking().select_related("edition__agreement")
        return rows.prefetch_related(Prefetch("progress", Progress.objects.with_gone())).defer(
            *(f"edition__{name}" for name in TEXT_COLUMNS)
        )

    def get_fields(self, request: HttpRequest, obj: Notice | None = None) -> Any:
        """Return the fields of the page of a notice. The link to the list of recipients, which are personal data, is
        left out for users without the permission ``view_delivery``.
        """
        return self.fields if request.user.has_perm("agreement.view_delivery") else self.fields[:-1]

    @admin.display(description=_("edition"))
    def about(self, notice: Notice) -> str:
        return str(notice.edition)

    @admin.display(description=_("identifier (UUID)"))
    def identifier(self, notice: Notice) -> str:
        return str(notice.uuid)

    @admin.display(description=_("created"), ordering="created_at")
    def created(self, notice: Notice) -> str:
        return moment(notice.created_at, notice.edition.agreement.time_zone)

    @admin.display(description=_("first message not before"), ordering="due_at")
    def due(self, notice: Notice) -> str:
        return moment(notice.due_at, notice.edition.agreement.time_zone)

    @admin.display(description=_("deliveries written"), ordering="fanned_out_at")
    def written(self, notice: Notice) -> str:
        return moment(notice.fanned_out_at, notice.edition.agreement.time_zone)

    @admin.display(description=_("state"))
    def state(self, notice: Notice) -> str:
        return state_badge(notice)

    @admin.display(description=_("sending"))
    def sending(self, notice: Notice) -> str:
        url = reverse(f"{self.admin_site.name}:agreement_notice_sending", args=[notice.pk])
        rows = notice.progress.all()
        counts = {"sent": sum(row.sent for row in rows), "audience": sum(row.audience for row in rows)}
        counts["unreached"] = sum(row.unreached for row in rows)
        numbers = {name: dates.format_number(count, active_language()) for name, count in counts.items()}
        sentence = gettext("%(sent)s of %(audience)s sent")
        if counts["unreached"]:
            sentence = gettext("%(sent)s of %(audience)s sent, not reached: %(unreached)s")
        return format_html('<a href="{}">{}</a>', url, sentence % numbers)

    @admin.display(description=_("deliveries"))
    def recipients(self, notice: Notice) -> str:
        url = reverse(f"{self.admin_site.name}:agreement_delivery_changelist", query={"notice": notice.pk})
        return format_html('<a href="{}">{}</a>', url, gettext("Who was notified"))


@admin.register(Delivery)
class DeliveryAdmin(ReadOnly, LoggedViews[Delivery], UserSearch[Delivery], LongList[Delivery]):
    list_display = ["id", "about", "user", "by", "language", "outcome", "why"]
    list_display += [moment_column("recorded", Delivery._meta.get_field("outcome_at").verbose_name, field="outcome_at")]
    list_filter = ["outcome"]
    list_select_related = ["user"]
    fields = ["about", "words", "person", "by", "language", "outcome", "why", "failed", "due", "recorded", "returned"]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        title = gettext("Deliveries (the latest, at most one thousand)")
        return super().changelist_view(request, {"title": title} | (extra_context or {}))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        rows: QuerySet[Delivery] = super().get_queryset(request)
        return rows.prefetch_related(Prefetch("notice", Notice.objects.with_edition()))

    @admin.display(description=_("failed attempts"))
    def failed(self, delivery: Delivery) -> int:
        return delivery.attempts + (delivery.outcome == DeliveryOutcome.FAILED)  # The column lacks the last one.

    @admin.display(description=_("notice"))
    def about(self, delivery: Delivery) -> str:
        return str(delivery.notice)

    @admin.display(description=_("The text of the notice"))
    def words(self, delivery: Delivery) -> str:
        """A link to the page of the notice, which has its texts in each language."""
        url = reverse(f"{self.admin_site.name}:agreement_notice_change", args=[delivery.notice_id])
        return format_html('<a href="{}">{}</a>', url, delivery.notice)

    @admin.display(description=_("channel"))
    def by(self, delivery: Delivery) -> str:
        return str(CHANNEL_LABELS.get(delivery.channel, delivery.channel))

    @admin.display(description=_("reason"))
    def why(self, delivery: Delivery) -> str:
        return reason_in_words(delivery.reason) or "—"

    @admin.display(description=_("due"))
    def due(self, delivery: Delivery) -> str:
        """When the next attempt is due. After the last one, the column has the end of its lease, which is no time for a
        reader: it is later than the outcome.
        """
        return moment(delivery.due_at, conf.time_zone()) if delivery.outcome == DeliveryOutcome.WAITING else "—"

    @admin.display(description=_("came back"))
    def returned(self, delivery: Delivery) -> str:
        """When the message came back; a dash if it did not. 1 query if it did."""
        if delivery.returns <= delivery.returns_before:
            return "—"
        return moment(delivery.bounces.order_by("-recorded_at", "-pk")[0].at, conf.time_zone())

    recorded = moment_fact(Delivery._meta.get_field("outcome_at").verbose_name, field="outcome_at")
