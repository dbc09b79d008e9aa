"""The admin of withdrawals, consents and legal holds, for privacy officers. Every view of a list or a row is recorded
as an audit entry.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.files import File
from django.db.models import QuerySet
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from agreement.admin.base import (
    LABELLED_FIELDS,
    AdminForm,
    AlreadyRecorded,
    LoggedViews,
    LongList,
    ReadOnly,
    RecordedOnce,
    SafeFilters,
    UserSearch,
    copy_row,
    moment,
    moment_column,
    moment_fact,
    short_moment,
    yes_or_no,
)
from agreement.admin.people import PersonPicker
from agreement.conf import active_language
from agreement.models import AuditEntry, Consent, Edition, LegalHold, Withdrawal, WithdrawalOutcome
from agreement.models.audit import AuditAction, name_of
from agreement.models.withdrawals import UNANSWERED
from agreement.notices import withdrawal_letters
from agreement.seal import manifest
from agreement.text import dates, languages

#: The languages of a reply, in words.
REPLY_LANGUAGES = {"kk": _("in Kazakh"), "ru": _("in Russian")}
#: The largest scan in bytes, and the allowed file types, which are recognised by their first bytes.
MAX_SCAN_BYTES = 10 * 1024 * 1024
SCAN_SUFFIXES = {b"%PDF-": ".pdf", b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png"}
#: If the same officer registers the same application twice within this time, it is a double click.
DOUBLE_CLICK = timedelta(minutes=1)
#: The values of the filter by reply that select withdrawals without a reply.
UNANSWERED_VALUES = ("none", "overdue")
#: The fields that an officer fills in. The register fills in the others.
APPLICATION_FIELDS = (
    *("agreement", "user", "applicant", "application_number", "received_on", "outcome", "effective_at", "ground"),
    *("may_accept_again", "language", "scan"),
)


class WithdrawalForm(AdminForm):
    """The form with which an officer registers a written application to withdraw consent.

    If no effective date is entered, an application that is not refused takes effect now. A refused one must have no
    effective date. A scan must be a PDF, JPEG or PNG of at most ``MAX_SCAN_BYTES``; its first bytes decide the type,
    and its name is replaced.

    On the page of a registered withdrawal the only field is the day of a reply that the app did not send. This field is
    required. The page does not have it if there is a reply, if the row is erased, or if the officer may not record one.
    """

    class Meta:
        model = Withdrawal
        fields = APPLICATION_FIELDS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "replied_on" in self.fields:
            self.fields["replied_on"].required = True

    def clean_scan(self) -> File[bytes] | None:
        scan = self.cleaned_data.get("scan")
        if scan:
            start = scan.read(8)
            scan.seek(0)
            suffix = next((suffix for mark, suffix in SCAN_SUFFIXES.items() if start.startswith(mark)), "")
            if not suffix or scan.size > MAX_SCAN_BYTES:
                raise ValidationError(_("A scan is a PDF, JPEG or PNG of at most 10 MB."), code="no_scan")
            scan.name = f"scan{suffix}"
        return scan

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if not self.instance._state.adding:
            return cleaned
        refused = cleaned.get("outcome") == WithdrawalOutcome.REFUSED
        if refused and cleaned.get("effective_at"):
            self.add_error("effective_at", _("A refused application has no effective date. Leave this field empty."))
        elif not refused and "effective_at" not in self.errors:
            cleaned["effective_at"] = cleaned.get("effective_at") or timezone.now()
        return cleaned

    def _post_clean(self) -> None:
        """Validate the row, as Django does. If the field ``user`` has an error, an error of the field ``applicant``,
        which names a person without an account, is removed. If any error remains, a chosen scan gets one too: it must
        be chosen again, because no browser keeps a file.
        """
        super()._post_clean()  # type: ignore[misc]  # The stubs know the public names alone.
        if "user" in self.errors:  # Somebody is named: who that is must only be corrected or confirmed.
            self.errors.pop("applicant", None)
        if self.errors and self.cleaned_data.get("scan"):
            self.add_error("scan", _("Choose this file again: a browser does not keep it."))


class ReplyFilter(admin.SimpleListFilter):
    """Filters withdrawals by their reply: ``none`` selects those that have no reply and are not erased, ``overdue``
    those of them whose last day for it is over, and ``given`` all that ``none`` does not select. The admin sorts the
    first two lists by the last day for the reply, the earliest first.
    """

    title = _("reply")
    parameter_name = "reply"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, Any]]:
        return [("none", _("no reply yet")), ("overdue", _("overdue")), ("given", _("reply given"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Withdrawal]) -> QuerySet[Withdrawal]:
        if self.value() == "given":
            return queryset.exclude(UNANSWERED)
        if self.value() not in UNANSWERED_VALUES:
            return queryset
        found = Withdrawal.objects.overdue() if self.value() == "overdue" else Withdrawal.objects.unanswered()
        return queryset.filter(pk__in=found.values("pk"))


@admin.register(Withdrawal)
class WithdrawalAdmin(
    ReadOnly,
    PersonPicker[Withdrawal],
    RecordedOnce[Withdrawal],
    LoggedViews[Withdrawal],
    UserSearch[Withdrawal],
    LongList[Withdrawal],
):
    form = WithdrawalForm
    consequence = _(
        "A withdrawal that is registered can't be changed or deleted. Unless it is refused, it withdraws all consents"
        " of this person and suspends or ends the agreement with them."
    )
    formfield_overrides = LABELLED_FIELDS
    list_display = ["number", "user", "outcome", "received", "last_day"]
    list_display += [moment_column("effective", _("effective"), field="effective_at"), "reply_sent"]
    list_filter = [ReplyFilter, "outcome"]
    list_select_related = ["user", "agreement"]
    search_help_text = _(
        "Number of the application, or its number in the register; name or key of a user, including deleted users."
    )
    displayed_fields = (
        "number",
        *("about", "person", "applicant", "application_number", "received", "outcome", "effective", "ground"),
        "accepts_again",
        "language",
        "papers",
        "registered",
        "registered_by",
        "accepted",
        "last_day",
        "confirmed",
        "replied_on",
        "erased",
    )

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.has_perm("agreement.add_withdrawal")

    def get_fields(self, request: HttpRequest, obj: Withdrawal | None = None) -> tuple[str, ...]:
        return self._displayed_fields(request, obj) if obj else APPLICATION_FIELDS

    def get_readonly_fields(self, request: HttpRequest, obj: Withdrawal | None = None) -> tuple[str, ...]:
        return tuple(name for name in self._displayed_fields(request, obj) if name != "replied_on") if obj else ()

    def _displayed_fields(self, request: HttpRequest, obj: Withdrawal) -> tuple[str, ...]:
        """Return the names of the fields of the page. The field for the day of the reply is ``replied_on``, an input,
        if the officer may record that day; otherwise it is ``replied``, which displays it.
        """
        replied = "replied_on" if self.has_change_permission(request, obj) else "replied"
        return tuple(replied if name == "replied_on" else name for name in self.displayed_fields)

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Return whether the officer may record the day of a reply to the withdrawal ``obj``. They need the permission
        ``add_withdrawal``, and the row must have no reply and must not be erased. The stored row decides, because a
        form with an error has changed ``obj``. ``False`` if ``obj`` is ``None``, as for the list. At most 1 query.
        """
        if not isinstance(obj, Withdrawal) or not request.user.has_perm("agreement.add_withdrawal"):
            return False
        return Withdrawal.objects.unanswered().filter(pk=obj.pk).exists()

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        return ("reply_by", "pk") if request.GET.get("reply") in UNANSWERED_VALUES else self.ordering

    def matching_keys(self, term: str) -> set[int]:
        return super().matching_keys(term) | set(Withdrawal.objects.numbered(term).values_list("pk", flat=True)[:1000])

    def get_urls(self) -> list[URLPattern]:
        own = [
            path(
                "<int:key>/reply.<str:language>.html",
                self.admin_site.admin_view(self.reply_view),
                name="agreement_withdrawal_reply",
            ),
            path("<int:key>/scan", self.admin_site.admin_view(self.scan_view), name="agreement_withdrawal_scan"),
        ]
        return own + super().get_urls()

    def save_model(self, request: HttpRequest, obj: Withdrawal, form: WithdrawalForm, change: object) -> None:
        """Register the withdrawal with the next reference number, and log it. This schedules the reply by mail and,
        unless the application is refused, withdraws the consents of the user: now, or at the effective date if that is
        later. For an applicant without an account, it does neither. Raises :class:`AlreadyRecorded`, and registers
        nothing, if this officer registered an application with the same values within the last ``DOUBLE_CLICK``. The
        scan and the effective date are not compared.

        With ``change``, record the day of the reply to a registered withdrawal instead, and log it. If a reply was
        mailed or recorded in the meantime, or the row was erased, do nothing.
        """
        if change:
            day = form.cleaned_data["replied_on"]
            if Withdrawal.objects.filter(pk=obj.pk).record_reply(on=day):
                note = f"{obj.reference}, {day.isoformat()}"
                AuditEntry.objects.log(AuditAction.REPLIED, on=obj, by=request.user, note=note)
            return
        written, by = {name: form.cleaned_data[name] for name in APPLICATION_FIELDS}, name_of(request.user)
        written["agreement"].lock()
        # Entries are never deleted: after a double click there would be two, and the user would get two replies.
        same = {name: value for name, value in written.items() if name not in {"scan", "effective_at"}}
        twins = Withdrawal.objects.filter(**same, registered_by=by, registered_at__gt=timezone.now() - DOUBLE_CLICK)
        if twin := twins.first():
            raise AlreadyRecorded(twin)
        row = Withdrawal.objects.register(**written, by=by)
        AuditEntry.objects.log(AuditAction.WITHDRAWN, on=row, by=request.user, note=row.reference)
        copy_row(row, obj)

    def reply_view(self, request: HttpRequest, key: int, language: str) -> HttpResponse:
        """Return a page with the reply in that language, to be printed and signed. The view is logged. Nothing is sent.

        Raises ``Http404`` if there is no withdrawal with that key; otherwise ``PermissionDenied`` if the user may not
        view withdrawals; otherwise ``Http404`` if the language is not ``kk`` or ``ru``.
        """
        row = self._row(request, key)
        if language not in languages.LANGUAGES:
            raise Http404
        context = {"reply": withdrawal_letters.withdrawal_reply(row, language), "applicant": row.applicant}
        return render(request, "agreement/mail/withdrawal_reply_print.html", context)

    def scan_view(self, request: HttpRequest, key: int) -> HttpResponseBase:
        """Return the scan as a download. The browser does not display it, so no script in it can run. The view is
        logged.

        Raises ``Http404`` if there is no withdrawal with that key; otherwise ``PermissionDenied`` if the user may not
        view withdrawals; otherwise ``Http404`` if it has no scan or the file is missing.
        """
        row = self._row(request, key)
        if not row.scan:
            raise Http404
        try:
            file = row.scan.open("rb")
        except FileNotFoundError as error:
            raise Http404 from error
        return FileResponse(file, as_attachment=True, content_type="application/octet-stream")

    def _row(self, request: HttpRequest, key: int) -> Withdrawal:
        row: Withdrawal | None = self.get_object(request, str(key))  # get_object() logs the view.
        if row is None:
            raise Http404
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        return row

    @admin.display(description=_("reply and scan"))
    def papers(self, row: Withdrawal) -> str:
        site = self.admin_site.name
        links = [
            (reverse(f"{site}:agreement_withdrawal_reply", args=[row.pk, language]), gettext("Reply (%s)") % name)
            for language, name in REPLY_LANGUAGES.items()
        ]
        if row.scan:
            links.append((reverse(f"{site}:agreement_withdrawal_scan", args=[row.pk]), gettext("Scan")))
        return format_html_join(" · ", '<a href="{}">{}</a>', links)

    @admin.display(description=Withdrawal._meta.get_field("agreement").verbose_name)
    def about(self, row: Withdrawal) -> str:
        return str(row.agreement)

    @admin.display(description=Withdrawal._meta.get_field("edition").verbose_name)
    def accepted(self, row: Withdrawal) -> str:
        return str(row.edition or "—")

    @admin.display(description=_("reference number"))
    def number(self, row: Withdrawal) -> str:
        return row.reference

    @admin.display(description=Withdrawal._meta.get_field("may_accept_again").verbose_name)
    def accepts_again(self, row: Withdrawal) -> str:
        return yes_or_no(row.may_accept_again)

    @admin.display(description=Withdrawal._meta.get_field("received_on").verbose_name, ordering="received_on")
    def received(self, row: Withdrawal) -> str:
        return _day(row, row.received_on)

    @admin.display(description=Withdrawal._meta.get_field("replied_on").verbose_name)
    def replied(self, row: Withdrawal) -> str:
        return _day(row, row.replied_on) if row.replied_on else "—"

    @admin.display(description=Withdrawal._meta.get_field("reply_by").verbose_name)
    def last_day(self, row: Withdrawal) -> str:
        day = _day(row, row.reply_by)
        late = row.is_overdue()
        return (
            format_html('<strong class="agreement-overdue">{}, {}</strong>', day, gettext("overdue")) if late else day
        )

    @admin.display(description=_("effective"), ordering="effective_at")
    def effective(self, row: Withdrawal) -> str:
        return moment(row.effective_at, row.agreement.time_zone)

    @admin.display(description=_("registered"))
    def registered(self, row: Withdrawal) -> str:
        return moment(row.registered_at, row.agreement.time_zone)

    @admin.display(description=_("confirmation sent"))
    def confirmed(self, row: Withdrawal) -> str:
        if row.confirm_due_at and row.confirm_attempts:
            return gettext("not yet, attempts: %(count)s") % {"count": row.confirm_attempts}
        if row.replied_on and not row.confirmed_at:
            return _day(row, row.replied_on)
        return moment(row.confirmed_at, row.agreement.time_zone)

    @admin.display(description=_("confirmation sent"))
    def reply_sent(self, row: Withdrawal) -> str:
        return self.confirmed(row) if row.confirm_due_at else short_moment(row.confirmed_at)

    @admin.display(description=_("erased"))
    def erased(self, row: Withdrawal) -> str:
        return moment(row.erased_at, row.agreement.time_zone)


def _day(row: Withdrawal, day: date) -> str:
    """Return the date ``day`` in words, in the language of the page. ``row`` gives only the time zone that
    :func:`dates.day` needs. The result does not depend on it.
    """
    zone = row.agreement.time_zone
    return dates.day(datetime.combine(day, time(12), ZoneInfo(zone)), active_language(), zone)


@admin.register(Consent)
class ConsentAdmin(ReadOnly, LoggedViews[Consent], UserSearch[Consent], LongList[Consent]):
    list_display = ["id", "user", "purpose", "language"]
    list_display += [
        moment_column("given", _("given"), field="given_at"),
        moment_column("withdrawn", _("withdrawn"), field="withdrawn_at"),
    ]
    list_select_related = ["user"]
    fields = ["person", "purpose", "language", "text", "digest", "given", "withdrawn", "pseudonym", "pseudonym_key"]

    given = moment_fact(_("given"), field="given_at")
    withdrawn = moment_fact(_("withdrawn"), field="withdrawn_at")


class LegalHoldForm(AdminForm):
    """The form that places a legal hold, which stops the erasure of personal data, on exactly one of these: a user, an
    edition, a deleted account or an application of a person without an account. On the page of an existing hold only
    its end can be changed, and only until the hold has ended. To prolong a hold that has ended, an officer places a new
    one.
    """

    account = forms.CharField(
        label=capfirst(_("deleted account")),
        required=False,
        help_text=_("The former key of the account, if the account was deleted."),
    )
    application = forms.CharField(
        label=capfirst(_("application")),
        required=False,
        help_text=_("An application from a person without an account: its number, or its number in the register."),
    )

    class Meta:
        model = LegalHold
        fields = ["user", "edition", "ground", "held_from", "held_until"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "edition" in self.fields:  # The page of a hold only displays it.
            edition = cast("forms.ModelChoiceField[Edition]", self.fields["edition"])
            edition.queryset = Edition.objects.published().select_related("agreement").without_texts("body", "summary")
        if self.instance.held_until:  # The instance of the form has it as text with microseconds.
            self.initial["held_until"] = self.instance.held_until

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if self.instance._state.adding and not self.errors:
            LegalHold.objects.identifiers(
                **{name: cleaned[name] for name in ("user", "edition", "account", "application")}
            )
        return cleaned


@admin.register(LegalHold)
class LegalHoldAdmin(PersonPicker[LegalHold], RecordedOnce[LegalHold], LoggedViews[LegalHold], SafeFilters[LegalHold]):
    """The admin of legal holds. After a hold was placed, only its end can be changed, and only until the hold has
    ended. No hold can be deleted. Every view of the list or of a hold is logged.
    """

    form = LegalHoldForm
    consequence = _("A legal hold that is placed can't be deleted. Only its end can be changed.")
    formfield_overrides = LABELLED_FIELDS
    list_display = ["id", "user", "edition", "pseudonym_or_entry", "ground", "by"]
    list_display += [
        moment_column("begins", LegalHold._meta.get_field("held_from").verbose_name, field="held_from"),
        moment_column("ends", LegalHold._meta.get_field("held_until").verbose_name, field="held_until"),
    ]
    list_select_related = ["user", "edition__agreement"]
    actions = None

    def get_readonly_fields(self, request: HttpRequest, obj: LegalHold | None = None) -> list[str]:
        return ["person", "about", "pseudonym_or_entry", "ground", "by", "begins", "ends"] if obj else []

    def get_fields(self, request: HttpRequest, obj: LegalHold | None = None) -> tuple[str, ...]:
        if obj is None:
            return ("user", "edition", "account", "application", "ground", "held_from", "held_until")
        end = "held_until" if self.has_change_permission(request, obj) else "ends"
        return ("person", "about", "pseudonym_or_entry", "ground", "by", "begins", end)

    def has_change_permission(self, request: HttpRequest, obj: LegalHold | None = None) -> bool:
        return super().has_change_permission(request, obj) and not (obj and obj.erased_at)

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    @admin.display(description=_("user"))
    def person(self, row: LegalHold) -> str:
        return str(row.user or "—")

    @admin.display(description=_("edition"))
    def about(self, row: LegalHold) -> str:
        return str(row.edition or "—")

    @admin.display(description=_("pseudonym or record"))
    def pseudonym_or_entry(self, row: LegalHold) -> str:
        return "—" if row.user_id is not None else ", ".join(row.pseudonyms) or "—"

    begins = moment_fact(LegalHold._meta.get_field("held_from").verbose_name, field="held_from")
    ends = moment_fact(LegalHold._meta.get_field("held_until").verbose_name, field="held_until")

    def save_model(self, request: HttpRequest, obj: LegalHold, form: LegalHoldForm, change: object) -> None:
        """Place a new hold, or save the end of an existing one, and log it, also if the end did not change. The audit
        entry states the old and the new end. Raises :class:`AlreadyRecorded`, and places and logs nothing, if this
        officer placed a hold with the same values at any time before.
        """
        old_end: datetime | None = None
        if change:
            # Two officers may change the end at the same time. The later change wins, and its audit entry states the
            # end that it replaced.
            old_end = LegalHold.objects.select_for_update().values_list("held_until", flat=True).get(pk=obj.pk)
            obj.save(update_fields=["held_until"])
        else:
            row = LegalHold.objects.place(**form.cleaned_data, by=name_of(request.user))
            if not row.created:
                raise AlreadyRecorded(row)
            copy_row(row, obj)
        ends = " → ".join(manifest.rfc3339(at) if at else "—" for at in (old_end, obj.held_until))
        AuditEntry.objects.log(AuditAction.LEGAL_HOLD, on=obj, by=request.user, note=f"held_until: {ends}")
