"""Who joined, and who has not, for privacy officers: they record joinings on paper, and change none. Every look and
every export is logged.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.core.exceptions import BadRequest, PermissionDenied
from django.db.models import Count, QuerySet
from django.db.models.functions import TruncMonth
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from agreement import conf, forecast, gate
from agreement.admin import exporting
from agreement.admin.tables import LONG, SPOKEN, Endless, OfPeople, ReadOnly, Watched, moment, public_address, yes_or_no
from agreement.evidence import cell
from agreement.models import Acceptance, Act, Edition, Stale
from agreement.models.acts import name_of

if TYPE_CHECKING:
    AcceptanceModelAdmin = admin.ModelAdmin[Acceptance]
    AcceptanceModelForm = forms.ModelForm[Acceptance]
else:
    AcceptanceModelAdmin, AcceptanceModelForm = admin.ModelAdmin, forms.ModelForm

#: Users read at once for a file: what it takes of memory, however many there are.
BATCH = 10_000


#: How those who have not joined are told apart: as letters to them are written.
LANGUAGES = [("kk", _("Kazakh")), ("ru", _("Russian")), ("mul", _("not known"))]
#: What an officer writes of a joining on paper.
WRITTEN = ("user", "edition", "language", "reason")


class _Known(Exception):
    """What was to be recorded had been, by somebody, in some way: the row."""

    def __init__(self, row: Acceptance) -> None:
        super().__init__(row)
        self.row = row


class OnBehalfForm(AcceptanceModelForm):
    """A joining an officer records for somebody who accepted on paper, or in words: of what is in force now."""

    class Meta:
        model = Acceptance
        fields = WRITTEN
        help_texts = {"reason": _("By which paper or words, and when: “application No 5 of 1 March 2026”.")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "edition" not in self.fields:  # Shown, and not written.
            return
        edition: Any = self.fields["edition"]
        edition.queryset = Edition.objects.in_force().select_related("agreement").defer(*LONG)
        languages = [(code, code) for code in conf.LANGUAGES]
        self.fields["language"] = forms.ChoiceField(label=_("language"), choices=languages)
        for name in ("user", "reason"):
            self.fields[name].required = True


@admin.register(Acceptance)
class AcceptanceAdmin(ReadOnly, Watched, OfPeople, Endless, AcceptanceModelAdmin):
    form = OnBehalfForm
    raw_id_fields = ["user"]
    formfield_overrides = SPOKEN
    list_display = ["id", "about", "user", "kind", "language", "when"]
    list_filter = ["kind"]
    list_select_related = ["user", "edition__agreement"]
    change_list_template = "admin/agreement/acceptance/change_list.html"
    shown = ["subject", "user", "kind", "when", "recorded", "language", "displayed", "told", "digest"]
    shown += ["reason", "officer", "ip", "user_agent", "pseudonym", "pseudonym_key", "round", "erased"]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("agreement.add_acceptance")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Acceptance]:
        return super().get_queryset(request).defer(*(f"edition__{name}" for name in LONG))

    def get_fields(self, request: HttpRequest, obj: Acceptance | None = None) -> Any:
        return self.shown if obj else WRITTEN

    def get_readonly_fields(self, request: HttpRequest, obj: Acceptance | None = None) -> Any:
        return self.shown if obj else ()

    def get_urls(self) -> list[URLPattern]:
        views = [
            path("evidence/", self.admin_site.admin_view(self.evidence_view), name="agreement_acceptance_evidence"),
            path("report/", self.admin_site.admin_view(self.editions_view), name="agreement_acceptance_report"),
            path(
                "report/<int:key>/", self.admin_site.admin_view(self.report_view), name="agreement_acceptance_edition"
            ),
            path(
                "report/<int:key>/not-joined.csv",
                self.admin_site.admin_view(self.csv_view),
                name="agreement_acceptance_csv",
            ),
        ]
        return views + super().get_urls()

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        title = gettext("Joinings, the latest thousand at most")
        exports = request.user.has_perm("agreement.export_evidence")
        return super().changelist_view(request, {"title": title, "exports": exports} | (extra_context or {}))

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> Any:
        try:
            return super().add_view(request, form_url, extra_context)
        except Stale as error:  # Since the form was read; the page's transaction is rolled back.
            self.message_user(request, " ".join(error.messages), messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())
        except _Known as error:  # The form was sent twice, or the user was faster.
            told = {"joining": error.row, "when": self.when(error.row)}
            sentence = gettext(
                "Nothing was recorded now: this joining is in the register already: %(joining)s, %(when)s."
            )
            self.message_user(request, sentence % told, messages.WARNING)
            return self.response_post_save_add(request, error.row)

    def save_model(self, request: HttpRequest, obj: Acceptance, form: Any, change: Any) -> None:
        """Record it as every joining is recorded, and that this officer did."""
        row = Acceptance.objects.record(
            **{name: form.cleaned_data[name] for name in WRITTEN},
            digest=form.cleaned_data["edition"].digest,
            kind=Acceptance.Kind.ON_BEHALF,
            officer=name_of(request.user),
        )
        if not row.made:
            raise _Known(row)
        Act.objects.log(Act.Kind.JOINED, on=row, by=request.user, note=row.reason)
        obj.__dict__.update({name: value for name, value in row.__dict__.items() if name != "_state"})
        obj._state.adding = False

    # Evidence.

    def evidence_view(self, request: HttpRequest) -> HttpResponseBase:
        """The export of what proves a user's joinings, or an edition."""
        exporting.require(request)
        asked = request.POST if request.method == "POST" else None
        form = exporting.EvidenceForm(asked, initial={"user": request.GET.get("user", "")})
        if form.is_valid() and (response := exporting.bundle(request, form)):
            return response
        return self._show(
            request, "evidence", title=gettext("Export evidence"), form=form, media=self.media + form.media
        )

    # What the list and the page show.

    @admin.display(description=_("edition"))
    def about(self, acceptance: Acceptance) -> str:
        return str(acceptance.edition)

    @admin.display(description=_("edition"))
    def subject(self, acceptance: Acceptance) -> str:
        url = public_address(acceptance.edition)
        return format_html('<a href="{}">{}</a>', url, acceptance.edition) if url else str(acceptance.edition)

    @admin.display(description=_("when"))
    def when(self, acceptance: Acceptance) -> str:
        return moment(acceptance.at, conf.time_zone())

    @admin.display(description=_("recorded"))
    def recorded(self, acceptance: Acceptance) -> str:
        return moment(acceptance.recorded_at, conf.time_zone())

    @admin.display(description=_("erased"))
    def erased(self, acceptance: Acceptance) -> str:
        return moment(acceptance.erased_at, conf.time_zone())

    @admin.display(description=_("text displayed"))
    def displayed(self, acceptance: Acceptance) -> str:
        return yes_or_no(acceptance.displayed)

    @admin.display(description=Acceptance._meta.get_field("notice_sent").verbose_name)
    def told(self, acceptance: Acceptance) -> str:
        return yes_or_no(acceptance.notice_sent)

    # Who has not joined.

    def editions_view(self, request: HttpRequest) -> HttpResponse:
        """The editions there is a report on."""
        self._require(request)
        editions = Edition.objects.published().binding().select_related("agreement").defer(*LONG)
        return self._show(request, "reports", title=gettext("Who has not joined"), editions=list(editions))

    def report_view(self, request: HttpRequest, key: int) -> HttpResponse:
        """How many joined an edition, by language, kind and month, and how many have not, by language. 4 queries."""
        edition, holds = self._edition(request, key)
        Act.objects.log(Act.Kind.VIEWED, on=edition, by=request.user, note="report")
        users = conf.audience()
        joined = Acceptance.objects.filter(edition__in=holds, user__isnull=False)
        counted = joined.annotate(month=TruncMonth("at")).order_by("month", "kind", "language")
        total, left = users.count(), forecast.count_by_language(Acceptance.objects.missing(users, holds))
        missing = sum(left.values())
        return self._show(
            request,
            "report",
            title=gettext("Who has not joined: %(edition)s") % {"edition": edition},
            edition=edition,
            total=total,
            missing=missing,
            joined=total - missing,
            left=[(code, label, left[code]) for code, label in LANGUAGES if left[code]],
            rows=list(counted.values("month", "kind", "language").annotate(count=Count("pk"))),
            kinds=dict(Acceptance.Kind.choices),
        )

    def csv_view(self, request: HttpRequest, key: int) -> HttpResponseBase:
        """Who has not joined an edition, everybody or those of ``?language=``, as a file sent while it is written."""
        edition, holds = self._edition(request, key)
        language = request.GET.get("language", "")
        if language not in dict(LANGUAGES) | {"": ""}:
            raise BadRequest("language must be kk, ru or mul.")
        name = f"not-joined-{language}.csv" if language else "not-joined.csv"
        Act.objects.log(Act.Kind.EXPORTED, on=edition, by=request.user, note=name)
        response = StreamingHttpResponse(lines(holds, language), content_type="text/csv; charset=utf-8")
        name = f"{edition.agreement.slug}-{edition.number}-{name}"
        response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
        response.headers["Cache-Control"] = "private, no-store"
        return response

    def _edition(self, request: HttpRequest, key: int) -> tuple[Edition, list[int]]:
        """The edition, and those whose joining holds for it."""
        self._require(request)
        for timeline in gate.timelines().agreements.values():
            for dated in timeline.binding:
                if dated.pk == key:
                    edition: Edition = Edition.objects.select_related("agreement").defer(*LONG).get(pk=key)
                    return edition, [each.pk for each in timeline.holding(dated)]
        raise Http404

    def _require(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied

    def _show(self, request: HttpRequest, page: str, **context: Any) -> HttpResponse:
        context = {"opts": self.opts, "media": self.media, **self.admin_site.each_context(request)} | context
        return TemplateResponse(request, f"admin/agreement/acceptance/{page}.html", context)


class _Echo:
    """A file that gives back what is written to it."""

    def write(self, line: str) -> str:
        return line


def lines(holds: list[int], only: str = "") -> Iterator[str]:
    """The file of those who joined none of these editions, a batch of users at a time; ``only`` those of a language."""
    users: Any = get_user_model()
    language = conf.user_language()
    names = ["pk", users.USERNAME_FIELD] + ["agreement_language"] * (language is not None)
    rows = Acceptance.objects.missing(conf.audience(), holds).order_by("pk")
    rows = rows.annotate(agreement_language=language) if language is not None else rows
    writer: Any = csv.writer(_Echo())
    # A spreadsheet takes a file without this mark for one in the encoding of its own machine.
    yield "\ufeff" + writer.writerow(["key", "name", "language"])
    # One query, read as it is written: asked batch by batch, each would join every acceptance anew.
    found: Iterator[Any] = rows.values_list(*names).iterator(chunk_size=BATCH)
    if only:
        found = (row for row in found if conf.notice_language(row[2] if len(row) > 2 else "") == only)
    while batch := list(islice(found, BATCH)):
        yield "".join([writer.writerow([cell(value) for value in row]) for row in batch])
