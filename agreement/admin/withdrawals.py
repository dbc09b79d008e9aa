"""The register of withdrawals, consents and legal holds: for privacy officers, and every look is logged."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from agreement import conf, withdrawing
from agreement.admin.tables import SPOKEN, Endless, Filtered, OfPeople, ReadOnly, Watched, moment, yes_or_no
from agreement.models import Act, Consent, LegalHold, Withdrawal
from agreement.models.acts import name_of
from agreement.text import seal

if TYPE_CHECKING:
    ConsentModelAdmin = admin.ModelAdmin[Consent]
    HoldModelAdmin = admin.ModelAdmin[LegalHold]
    WithdrawalModelAdmin = admin.ModelAdmin[Withdrawal]
    WithdrawalModelForm = forms.ModelForm[Withdrawal]
    HoldModelForm = forms.ModelForm[LegalHold]
else:
    ConsentModelAdmin = HoldModelAdmin = WithdrawalModelAdmin = admin.ModelAdmin
    WithdrawalModelForm = HoldModelForm = forms.ModelForm

#: How long a scan may be, and what it may be by its first bytes.
LONGEST = 10 * 1024 * 1024
KINDS = {b"%PDF-": ".pdf", b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png"}
#: The same application from the same officer within this time is the same click.
TWICE = timedelta(minutes=1)
#: What an officer writes; the rest of the entry follows.
WRITTEN = (
    *("agreement", "user", "applicant", "application_number", "received_on", "outcome", "effective_at", "ground"),
    *("may_rejoin", "language", "scan"),
)


class WithdrawalForm(WithdrawalModelForm):
    """An application as it came in."""

    class Meta:
        model = Withdrawal
        fields = WRITTEN

    def clean_scan(self) -> Any:
        scan = self.cleaned_data.get("scan")
        if scan:
            start = scan.read(8)
            scan.seek(0)
            suffix = next((suffix for mark, suffix in KINDS.items() if start.startswith(mark)), "")
            if not suffix or scan.size > LONGEST:
                raise ValidationError(_("A scan is a PDF, JPEG or PNG of at most 10 MB."), code="no_scan")
            scan.name = f"scan{suffix}"
        return scan

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        refused = cleaned.get("outcome") == Withdrawal.Outcome.REFUSED
        if refused and cleaned.get("effective_at"):
            self.add_error("effective_at", _("A refusal takes no effect."))
        elif not refused and "effective_at" not in self.errors:
            cleaned["effective_at"] = cleaned.get("effective_at") or timezone.now()
        return cleaned


@admin.register(Withdrawal)
class WithdrawalAdmin(ReadOnly, Watched, OfPeople, Endless, WithdrawalModelAdmin):
    form = WithdrawalForm
    formfield_overrides = SPOKEN
    list_display = ["number", "user", "outcome", "received_on", "effective", "confirmed"]
    list_filter = ["outcome"]
    list_select_related = ["user", "agreement"]
    search_help_text = _(
        "The number of the application or of its entry; the name or the key of a user, also of a deleted one."
    )
    raw_id_fields = ["user"]
    shown = [
        "number",
        *WRITTEN[:-3],
        "rejoins",
        "language",
        "papers",
        "registered",
        "registered_by",
        "edition",
        "confirmed",
        "erased",
    ]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("agreement.add_withdrawal")

    def get_fields(self, request: HttpRequest, obj: Withdrawal | None = None) -> Any:
        return self.shown if obj else WRITTEN

    def get_readonly_fields(self, request: HttpRequest, obj: Withdrawal | None = None) -> Any:
        return self.shown if obj else ()

    def found(self, term: str) -> set[int]:
        return super().found(term) | set(Withdrawal.objects.numbered(term).values_list("pk", flat=True)[:1000])

    def get_urls(self) -> list[URLPattern]:
        own = [
            path(
                "<int:key>/reply.<str:language>.html",
                self.admin_site.admin_view(self.reply),
                name="agreement_withdrawal_reply",
            ),
            path("<int:key>/scan", self.admin_site.admin_view(self.scan), name="agreement_withdrawal_scan"),
        ]
        return own + super().get_urls()

    def save_model(self, request: HttpRequest, obj: Withdrawal, form: Any, change: Any) -> None:
        """Enter it in the register: number, round and consents follow, and the user gets the reply."""
        written, by = {name: form.cleaned_data[name] for name in WRITTEN}, name_of(request.user)
        written["agreement"].lock()
        # A double click: the register would keep both entries for good, and the user would get two replies.
        same = {name: value for name, value in written.items() if name not in {"scan", "effective_at"}}
        twins = Withdrawal.objects.filter(**same, registered_by=by, registered_at__gt=timezone.now() - TWICE)
        if (row := twins.first()) is None:
            row = Withdrawal.objects.register(**written, by=by)
            Act.objects.log(Act.Kind.WITHDRAWN, on=row, by=request.user, note=row.reference)
        obj.__dict__.update({name: value for name, value in row.__dict__.items() if name != "_state"})
        obj._state.adding = False

    def reply(self, request: HttpRequest, key: int, language: str) -> HttpResponse:
        """The reply, to be printed and signed."""
        row = self._row(request, key)
        if language not in conf.LANGUAGES:
            raise Http404
        said = withdrawing.reply(row, language)
        return render(request, "agreement/withdrawal_reply.html", {"reply": said, "applicant": row.applicant})

    def scan(self, request: HttpRequest, key: int) -> HttpResponseBase:
        """The scan, to be saved and not shown: whatever is in it runs nowhere here."""
        row = self._row(request, key)
        if not row.scan:
            raise Http404
        try:
            file = row.scan.open("rb")
        except FileNotFoundError as error:
            raise Http404 from error
        return FileResponse(file, as_attachment=True, content_type="application/octet-stream")

    def _row(self, request: HttpRequest, key: int) -> Withdrawal:
        row: Withdrawal | None = self.get_object(request, str(key))  # Logged as a look.
        if row is None:
            raise Http404
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        return row

    @admin.display(description=_("reply and scan"))
    def papers(self, row: Withdrawal) -> str:
        site = self.admin_site.name
        links = [
            (reverse(f"{site}:agreement_withdrawal_reply", args=[row.pk, language]), gettext("Reply (%s)") % language)
            for language in conf.LANGUAGES
        ]
        if row.scan:
            links.append((reverse(f"{site}:agreement_withdrawal_scan", args=[row.pk]), gettext("Scan")))
        return format_html_join(" · ", '<a href="{}">{}</a>', links)

    @admin.display(description=_("reference number"))
    def number(self, row: Withdrawal) -> str:
        return row.reference

    @admin.display(description=Withdrawal._meta.get_field("may_rejoin").verbose_name)
    def rejoins(self, row: Withdrawal) -> str:
        return yes_or_no(row.may_rejoin)

    @admin.display(description=_("effective"))
    def effective(self, row: Withdrawal) -> str:
        return moment(row.effective_at, row.agreement.time_zone)

    @admin.display(description=_("registered"))
    def registered(self, row: Withdrawal) -> str:
        return moment(row.registered_at, row.agreement.time_zone)

    @admin.display(description=_("confirmation sent"))
    def confirmed(self, row: Withdrawal) -> str:
        if row.confirm_due_at and row.confirm_attempts:
            return gettext("not yet, attempts: %(count)s") % {"count": row.confirm_attempts}
        return moment(row.confirmed_at, row.agreement.time_zone)

    @admin.display(description=_("erased"))
    def erased(self, row: Withdrawal) -> str:
        return moment(row.erased_at, row.agreement.time_zone)


@admin.register(Consent)
class ConsentAdmin(ReadOnly, Watched, OfPeople, Endless, ConsentModelAdmin):
    list_display = ["id", "user", "purpose", "language", "given", "withdrawn"]
    list_select_related = ["user"]
    fields = ["user", "purpose", "language", "text", "digest", "given", "withdrawn", "pseudonym", "pseudonym_key"]

    @admin.display(description=_("given"))
    def given(self, row: Consent) -> str:
        return moment(row.given_at, conf.time_zone())

    @admin.display(description=_("withdrawn"))
    def withdrawn(self, row: Consent) -> str:
        return moment(row.withdrawn_at, conf.time_zone())


class HoldForm(HoldModelForm):
    account = forms.CharField(
        label=_("deleted account"), required=False, help_text=_("The key it had, where the account is gone.")
    )
    application = forms.CharField(
        label=_("application"),
        required=False,
        help_text=_("Of somebody without an account: its number, or the number in the register."),
    )

    class Meta:
        model = LegalHold
        fields = ["user", "edition", "ground", "held_from", "held_until"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.held_until:  # Which its field reads as text, for dumps to the microsecond.
            self.initial["held_until"] = self.instance.held_until

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if self.instance._state.adding and not self.errors:
            LegalHold.objects.names(**{name: cleaned[name] for name in ("user", "edition", "account", "application")})
        return cleaned


@admin.register(LegalHold)
class LegalHoldAdmin(Watched, Filtered, HoldModelAdmin):
    """A hold is placed once; afterwards only its end changes."""

    form = HoldForm
    formfield_overrides = SPOKEN
    list_display = ["id", "user", "edition", "named", "ground", "by", "held_from", "held_until"]
    list_select_related = ["user", "edition__agreement"]
    raw_id_fields = ["user", "edition"]
    actions = None

    def get_readonly_fields(self, request: HttpRequest, obj: LegalHold | None = None) -> Any:
        return ("user", "edition", "named", "ground", "by", "held_from") if obj else ()

    def get_fields(self, request: HttpRequest, obj: LegalHold | None = None) -> Any:
        found = ["named", "ground", "by"] if obj else ["account", "application", "ground"]
        return ["user", "edition", *found, "held_from", "held_until"]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description=_("pseudonym or entry"))
    def named(self, row: LegalHold) -> str:
        return "—" if row.user_id is not None else ", ".join(row.pseudonyms) or "—"

    def save_model(self, request: HttpRequest, obj: LegalHold, form: Any, change: Any) -> None:
        before: datetime | None = None
        if change:
            # Of two officers at once the later one replaces the other's end, and says so.
            before = LegalHold.objects.select_for_update().values_list("held_until", flat=True).get(pk=obj.pk)
            obj.save(update_fields=["held_until"])
        else:
            row = LegalHold.objects.hold(**form.cleaned_data, by=name_of(request.user))
            obj.__dict__.update({name: value for name, value in row.__dict__.items() if name != "_state"})
            obj._state.adding = False
        ends = " → ".join(seal.rfc3339(at) if at else "—" for at in (before, obj.held_until))
        Act.objects.log(Act.Kind.HELD, on=obj, by=request.user, note=f"held_until: {ends}; {obj.ground[:255]}")
