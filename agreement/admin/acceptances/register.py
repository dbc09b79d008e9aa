"""The admin of acceptances, for privacy officers.

Officers can record acceptances that were given on paper or orally. They can't change or delete any. Every view of the
list or of an acceptance is logged.
"""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from agreement.admin.acceptances.evidence import EvidenceView
from agreement.admin.acceptances.reports import CsvView, ReportIndexView, ReportView
from agreement.admin.base import (
    LABELLED_FIELDS,
    TEXT_COLUMNS,
    AdminForm,
    AlreadyRecorded,
    LoggedViews,
    LongList,
    ReadOnly,
    RecordedOnce,
    UserSearch,
    copy_row,
    moment_column,
    moment_fact,
    public_address,
    yes_or_no,
)
from agreement.admin.people import PersonPicker
from agreement.models import Acceptance, AcceptanceKind, AuditEntry, Edition, StaleEditionError
from agreement.models.audit import AuditAction, name_of
from agreement.models.fields import LANGUAGE_CHOICES

#: The fields that an officer fills in.
PAPER_FIELDS = ("user", "edition", "language", "reason")


class OnBehalfForm(AdminForm):
    """The form with which an officer records that a user accepted, on paper or orally, an edition that is in force. All
    its fields are required. On the page of a recorded acceptance the form has no fields, because nothing can be
    changed.
    """

    class Meta:
        model = Acceptance
        fields = PAPER_FIELDS
        help_texts = {
            "reason": _(
                "The document or oral statement on which this acceptance is based, with its date, for example"
                " “application No 5 of 1 March 2026”."
            )
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "edition" not in self.fields:  # The page only displays an acceptance.
            return
        edition = cast("forms.ModelChoiceField[Edition]", self.fields["edition"])
        edition.queryset = Edition.objects.in_force().select_related("agreement").without_texts("body", "summary")
        self.fields["language"] = forms.ChoiceField(label=capfirst(_("language")), choices=LANGUAGE_CHOICES)
        for name in ("user", "reason"):
            self.fields[name].required = True


@admin.register(Acceptance)
class AcceptanceAdmin(
    ReadOnly,
    PersonPicker[Acceptance],
    RecordedOnce[Acceptance],
    LoggedViews[Acceptance],
    UserSearch[Acceptance],
    LongList[Acceptance],
):
    form = OnBehalfForm
    consequence = _("An acceptance that is recorded can't be changed or deleted.")
    formfield_overrides = LABELLED_FIELDS
    list_display = ["id", "about", "user", "kind", "text_language", moment_column("when", _("when"), field="at")]
    list_filter = ["kind"]
    list_select_related = ["user", "edition__agreement"]
    change_list_template = "admin/agreement/acceptance/change_list.html"
    displayed_fields = (
        *("subject", "person", "kind", "when", "recorded", "text_language", "displayed", "notified", "digest"),
        *("renderer", "html_digest"),
        *("reason", "officer", "ip", "user_agent", "pseudonym", "pseudonym_key", "round", "erased"),
    )

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.has_perm("agreement.add_acceptance")

    def may_pick(self, request: HttpRequest) -> bool:
        """Return whether this officer may search for users: if they may add acceptances or export evidence."""
        return super().may_pick(request) or request.user.has_perm("agreement.export_evidence")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Acceptance]:
        return super().get_queryset(request).defer(*(f"edition__{name}" for name in TEXT_COLUMNS))

    def get_fields(self, request: HttpRequest, obj: Acceptance | None = None) -> tuple[str, ...]:
        return self.displayed_fields if obj else PAPER_FIELDS

    def get_readonly_fields(self, request: HttpRequest, obj: Acceptance | None = None) -> tuple[str, ...]:
        return self.displayed_fields if obj else ()

    def get_urls(self) -> list[URLPattern]:
        pages = {
            "evidence": ("evidence/", EvidenceView),
            "report": ("report/", ReportIndexView),
            "edition": ("report/<int:key>/", ReportView),
            "csv": ("report/<int:key>/not-accepted.csv", CsvView),
        }
        own = [
            path(
                address,
                self.admin_site.admin_view(view.as_view(model_admin=self)),
                name=f"agreement_acceptance_{name}",
            )
            for name, (address, view) in pages.items()
        ]
        return [*own, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        title = gettext("Acceptances (the latest, at most one thousand)")
        may_export = request.user.has_perm("agreement.export_evidence")
        return super().changelist_view(request, {"title": title, "may_export": may_export} | (extra_context or {}))

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            return super().add_view(request, form_url, extra_context)
        except StaleEditionError as error:  # Another edition took effect after the form was opened.
            self.message_user(request, " ".join(error.messages), messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

    def describe(self, row: Acceptance) -> str:
        return f"{row}, {self.when(row)}"

    def save_model(self, request: HttpRequest, obj: Acceptance, form: OnBehalfForm, change: object) -> None:
        """Record the acceptance of the kind ``on_behalf``, with the present moment, and log it as an act of the
        officer. It is recorded also for a user who withdrew, even if the withdrawal does not let the user accept again.

        Raises :class:`AlreadyRecorded` if the user has accepted the edition already, in any way, and has not withdrawn
        since. Otherwise raises ``StaleEditionError`` if the edition is no longer in force. Nothing is logged then.
        """
        row = Acceptance.objects.record(
            **{name: form.cleaned_data[name] for name in PAPER_FIELDS},
            digest=form.cleaned_data["edition"].digest,
            kind=AcceptanceKind.ON_BEHALF,
            officer=name_of(request.user),
        )
        if not row.created:
            raise AlreadyRecorded(row)
        AuditEntry.objects.log(AuditAction.ACCEPTED, on=row, by=request.user)
        copy_row(row, obj)

    # The columns of the list and of the page.

    @admin.display(description=_("edition"))
    def about(self, acceptance: Acceptance) -> str:
        return str(acceptance.edition)

    @admin.display(description=_("edition"))
    def subject(self, acceptance: Acceptance) -> str:
        url = public_address(acceptance.edition)
        return format_html('<a href="{}">{}</a>', url, acceptance.edition) if url else str(acceptance.edition)

    @admin.display(description=_("language"), ordering="language", empty_value="—")
    def text_language(self, acceptance: Acceptance) -> str | None:
        return acceptance.language_name or None

    when = moment_fact(_("when"), field="at")
    recorded = moment_fact(_("recorded"), field="recorded_at")
    erased = moment_fact(_("erased"), field="erased_at")

    @admin.display(description=_("text displayed"))
    def displayed(self, acceptance: Acceptance) -> str:
        return yes_or_no(acceptance.displayed)

    @admin.display(description=Acceptance._meta.get_field("notice_sent").verbose_name)
    def notified(self, acceptance: Acceptance) -> str:
        return yes_or_no(acceptance.notice_sent)
