"""The admin of breaches of personal data: an officer records one, completes the words, and announces it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from agreement import conf
from agreement.admin.base import (
    DATETIME_FIELDS,
    AdminForm,
    AdminView,
    LoggedViews,
    SafeFilters,
    moment,
    redirect_missing,
)
from agreement.evidence import find_user_keys
from agreement.models import AuditAction, AuditEntry, Breach
from agreement.models.audit import name_of
from agreement.text import dates, languages


def ready_words(language: str) -> str:
    """Return the words that the form of a new breach proposes for the notice, in ``kk`` or ``ru``. They contain today's
    date, and blanks to fill in.
    """
    known_on = dates.day(timezone.now(), language, conf.time_zone(), case="on")
    return render_to_string(f"agreement/mail/breach_words.{language}.txt", {"known_on": known_on}).strip()


class BreachForm(AdminForm):
    """The form of a breach that is not announced yet. ``users`` names the affected users, one in each line, by name or
    key.
    """

    users = forms.CharField(
        label=capfirst(_("affected users")),
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 6, "class": "vLargeTextField"}),
        help_text=_("One user in each line, by name or key. Leave this field empty if the breach concerns all users."),
    )

    class Meta:
        model = Breach
        fields = ["agreement", "known_at", "everyone", "text_kk", "text_ru"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial["known_at"] = self.instance.known_at
            rows = self.instance.affected.select_related("user").order_by("pk")
            self.initial["users"] = "\n".join(f"name:{row.user.get_username()}" for row in rows)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        written = [line.strip() for line in cleaned.get("users", "").splitlines() if line.strip()]
        if cleaned.get("everyone") and written:
            self.add_error("everyone", _("Users are named below. Name nobody, or clear this mark."))
        found = find_user_keys(written)
        for fault in (value for value in found.values() if isinstance(value, ValidationError)):
            self.add_error("users", fault)
        cleaned["user_keys"] = [key for key in found.values() if not isinstance(key, ValidationError)]
        return cleaned


@admin.register(Breach)
class BreachAdmin(LoggedViews[Breach], SafeFilters[Breach]):
    """The admin of breaches. Once a breach is announced, its page only displays it."""

    form = BreachForm
    formfield_overrides = DATETIME_FIELDS
    list_display = ["id", "agreement", "known", "deadline", "announced"]
    list_display_links = ["id", "agreement"]
    list_select_related = ["agreement", "notice"]
    fields = ["agreement", "known_at", "everyone", "users", "text_kk", "text_ru"]
    displayed_fields = ["agreement", "known", "deadline", "announced", "whom", "text_kk", "text_ru", "recorded_by"]
    change_form_template = "admin/agreement/breach/change_form.html"
    actions = None

    def get_urls(self) -> list[URLPattern]:
        view = BreachNotifyView.as_view(model_admin=self)
        own = path("<path:object_id>/notify/", self.admin_site.admin_view(view), name="agreement_breach_notify")
        return [own, *super().get_urls()]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        words = {f"text_{language}": ready_words(language) for language in languages.LANGUAGES}
        return words | {"known_at": timezone.now().replace(second=0, microsecond=0)} | dict(request.GET.items())

    def get_fields(self, request: HttpRequest, obj: Breach | None = None) -> Any:
        return self.fields if self._is_writable(request, obj) else self.displayed_fields

    def get_readonly_fields(self, request: HttpRequest, obj: Breach | None = None) -> Any:
        return () if self._is_writable(request, obj) else self.displayed_fields

    def _is_writable(self, request: HttpRequest, obj: Breach | None) -> bool:
        return obj is None or self.has_change_permission(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Breach | None = None) -> bool:
        return super().has_change_permission(request, obj) and not (obj and obj.notice_id)

    def has_delete_permission(self, request: HttpRequest, obj: Breach | None = None) -> bool:
        return super().has_delete_permission(request, obj) and not (obj and obj.notice_id)

    def displays_people(self, request: HttpRequest, row: Breach | None = None) -> bool:
        """Return whether the page of that row names users to this reader: if the breach does not concern everyone, and
        they may view or change it. The list names none.
        """
        return row is not None and not row.everyone and self.has_view_or_change_permission(request, row)

    def save_model(self, request: HttpRequest, obj: Breach, form: BreachForm, change: object) -> None:
        """Save the breach and whom it concerns, and log it. The first officer who saves it is stored by name."""
        obj.recorded_by = obj.recorded_by or name_of(request.user)
        obj.save()
        obj.set_affected(form.cleaned_data["user_keys"])
        AuditEntry.objects.log(AuditAction.BREACH, on=obj, by=request.user, note="saved" if change else "recorded")

    def delete_model(self, request: HttpRequest, obj: Breach) -> None:
        AuditEntry.objects.log(AuditAction.BREACH, on=obj, by=request.user, note="deleted")
        super().delete_model(request, obj)

    @admin.display(description=_("became known"), ordering="known_at")
    def known(self, row: Breach) -> str:
        return moment(row.known_at, row.agreement.time_zone)

    @admin.display(description=_("to be announced by"))
    def deadline(self, row: Breach) -> str:
        return moment(row.deadline, row.agreement.time_zone)

    @admin.display(description=_("announced"))
    def announced(self, row: Breach) -> str:
        if row.notice is None:
            return gettext("not yet")
        url = reverse(f"{self.admin_site.name}:agreement_notice_sending", args=[row.notice.pk])
        return format_html('<a href="{}">{}</a>', url, moment(row.notice.created_at, row.agreement.time_zone))

    @admin.display(description=_("concerns"))
    def whom(self, row: Breach) -> str:
        if row.everyone:
            return gettext("all users")
        names = [one.user.get_username() for one in row.affected.select_related("user").order_by("pk")[:100]]
        return ", ".join(names) + (" …" if len(names) == 100 else "")


class BreachNotifyView(AdminView):
    """``…/<id>/notify/``: whom the notice concerns and the letters, and on POST the announcement.

    Raises ``PermissionDenied`` for users without the permission ``notify_breach``. If there is no breach with that key,
    the response is a redirect to the start page of the admin, with a warning. If the breach can't be announced, the
    response to POST is the page with the reasons, with the status 409.
    """

    def get(self, request: HttpRequest, object_id: str) -> HttpResponse:
        breach = self._find(object_id)
        return self._page(breach) if breach else redirect_missing(self.model_admin, request, object_id)

    def post(self, request: HttpRequest, object_id: str) -> HttpResponse:
        breach = self._find(object_id)
        if breach is None:
            return redirect_missing(self.model_admin, request, object_id)
        try:
            notice = breach.notify(by=request.user)
        except ValidationError:
            breach.refresh_from_db()
            return self._page(breach, status=409)
        messages.success(request, gettext("The breach is announced. The letters are sent from the time below."))
        name = f"{self.model_admin.admin_site.name}:agreement_notice_sending"
        return HttpResponseRedirect(reverse(name, args=[quote(notice.pk)]))

    def _find(self, object_id: str) -> Breach | None:
        if not self.request.user.has_perm("agreement.notify_breach"):
            raise PermissionDenied
        found: Breach | None = self.model_admin.get_object(self.request, unquote(object_id))
        return found

    def _page(self, breach: Breach, *, status: int = 200) -> HttpResponse:
        problems: list[str] = []
        try:
            breach.require_complete()
        except ValidationError as error:
            problems = error.messages
        users = conf.audience()
        concerned = breach.affected.count()
        count = users.count() if breach.everyone else users.filter(pk__in=breach.affected.values("user")).count()
        return self.render(
            "breach/notify",
            status=status,
            title=gettext("Announce: %(breach)s") % {"breach": breach},
            original=breach,
            problems=problems,
            count=count,
            left_out=0 if breach.everyone else concerned - count,
            deadline=moment(breach.deadline, breach.agreement.time_zone),
            is_late=timezone.now() > breach.deadline,
            texts=[(language, breach.text(language)) for language in languages.LANGUAGES],
        )
