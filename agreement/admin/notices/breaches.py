"""The admin of breaches of personal data: an officer records one, completes the words, and announces it."""

from __future__ import annotations

from copy import copy
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.sites import AdminSite
from django.contrib.admin.utils import unquote
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.defaultfilters import filesizeformat
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from agreement.admin.base import (
    LABELLED_FIELDS,
    AdminForm,
    AdminView,
    LoggedViews,
    MissingRight,
    SafeFilters,
    moment,
    moment_column,
    redirect_missing,
    short_moment,
)
from agreement.admin.people import PersonInput, PersonPicker, find_person
from agreement.evidence import find_user_keys
from agreement.models import AffectedUser, AuditAction, AuditEntry, Breach
from agreement.models.audit import name_of
from agreement.models.ledger_labels import CHANNEL_LABELS
from agreement.notices.channels import site_channels
from agreement.notices.forecast import breach_end, recipients
from agreement.text import languages

#: The columns of a breach in its form.
STATED = ("agreement", "known_at", "everyone", "text_kk", "text_ru")
#: How many faults in the list of users the form names, and how many users a page names.
MAX_FAULTS, MAX_USERS = 20, 100


def ready_words(language: str) -> str:
    """Return the words that the form of a new breach proposes for the notice, in ``kk`` or ``ru``. They contain blanks
    to fill in.
    """
    return render_to_string(f"agreement/mail/breach_words.{language}.txt").strip()


def _written(row: AffectedUser) -> str:
    """Return the line of the form that names this user: ``name:`` and the name. If the form would read another name
    from that line, because the name contains a line break, or begins or ends with a space, it is ``key:`` and the
    primary key of the user.
    """
    name = row.user.get_username()
    return f"name:{name}" if [line.strip() for line in name.splitlines()] == [name] else f"key:{row.user_id}"


def names_of(rows: QuerySet[AffectedUser]) -> str:
    """Return the names of the first ``MAX_USERS`` of these users, separated by commas, and ``…`` if there are more."""
    names = [row.user.get_username() for row in rows[: MAX_USERS + 1]]
    return ", ".join(names[:MAX_USERS]) + (" …" if len(names) > MAX_USERS else "")


class BreachForm(AdminForm):
    """The form of a breach that is not announced yet. ``users`` names the affected users, one in each line, by name or
    key. ``person`` names one more user, by name, e-mail address or key. A script adds that user to the lines; without
    the script, saving adds them. Both fields must be empty if ``everyone`` is marked.
    """

    users = forms.CharField(
        label=capfirst(_("affected users")),
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 6, "class": "vLargeTextField"}),
        help_text=_("Write one user on each line, by name or key. To name users, clear the check box above."),
    )
    person = forms.CharField(
        label=_("Add a user"),
        required=False,
        max_length=255,
        help_text=_("Name, e-mail address or key. The user is added to the list above, at the latest when you save."),
    )

    class Meta:
        model = Breach
        fields = STATED

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if limit := settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            sentence = _("The site refuses a form of more than %(size)s.") % {"size": filesizeformat(limit)}
            self.fields["users"].help_text = f"{self.fields['users'].help_text} {sentence}"
        if self.instance.pk:
            self.initial["known_at"] = self.instance.known_at
            rows = self.instance.affected.select_related("user").order_by("pk")
            self.initial["users"] = "\n".join(map(_written, rows))

    def clean_person(self) -> Any:
        """Return the named user; ``None`` if nothing is entered. Raises the errors of ``find_person()``."""
        text = self.cleaned_data["person"]
        return find_person(text) if text else None

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        person = cleaned.get("person")
        written = [line.strip() for line in cleaned.get("users", "").splitlines() if line.strip()]
        if cleaned.get("everyone") and (written or person):
            self.add_error("everyone", _("Users are named below. Delete their names, or clear this check box."))
        found = find_user_keys(written)
        faults = [value for value in found.values() if isinstance(value, ValidationError)]
        for fault in faults[:MAX_FAULTS]:
            self.add_error("users", fault)
        if more := len(faults[MAX_FAULTS:]):
            message = _("Further lines with faults: %(count)s.")
            self.add_error("users", ValidationError(message, code="more", params={"count": more}))
        keys = [key for key in found.values() if not isinstance(key, ValidationError)]
        cleaned["user_keys"] = list(dict.fromkeys([*keys, *([person.pk] if person else [])]))
        if not (self.instance.pk or self.errors):  # Perhaps the button was clicked twice.
            same = Breach.objects.filter(notice=None, **{name: cleaned[name] for name in STATED})
            if same.exists():
                self.add_error(None, ValidationError(_("This breach is recorded already."), code="recorded"))
        return cleaned


@admin.register(Breach)
class BreachAdmin(PersonPicker[Breach], LoggedViews[Breach], SafeFilters[Breach]):
    """The admin of breaches. Once a breach is announced, its page only displays it."""

    form = BreachForm
    formfield_overrides = LABELLED_FIELDS
    list_display = ["id", "agreement", moment_column("known", _("became known"), field="known_at")]
    list_display += ["by", "notified"]
    list_display_links = ["id", "agreement"]
    list_select_related = ["agreement", "notice"]
    fields = ["agreement", "known_at", "everyone", "users", "person", "text_kk", "text_ru"]
    displayed_fields = ["about", "known", "deadline", "announced", "whom", "text_kk", "text_ru", "recorded_by"]
    change_form_template = "admin/agreement/breach/change_form.html"
    actions = None

    def get_urls(self) -> list[URLPattern]:
        view = BreachNotifyView.as_view(model_admin=self)
        own = path("<path:object_id>/notify/", self.admin_site.admin_view(view), name="agreement_breach_notify")
        return [own, *super().get_urls()]

    def get_form(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        form = super().get_form(request, *args, **kwargs)
        if field := form.base_fields.get("person"):
            field = form.base_fields["person"] = copy(field)  # The field is shared with other requests.
            field.widget = PersonInput(picker=self, request=request, adds_to="id_users")
        return form

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
        """Return whether the pages of that row may name users to this reader: the breach does not concern everyone, and
        they may view, change or announce it. Whether any user is recorded is not checked. ``False`` for the list, which
        names none.
        """
        if row is None or row.everyone:
            return False
        return self.has_view_or_change_permission(request, row) or request.user.has_perm("agreement.notify_breach")

    def save_model(self, request: HttpRequest, obj: Breach, form: BreachForm, change: object) -> None:
        """Save the breach and its affected users, and add an audit entry. If the moment at which the breach became
        known was changed, the note states the new and the old one. The first officer who saves the breach is stored by
        name.
        """
        obj.recorded_by = obj.recorded_by or name_of(request.user)
        note = "saved" if change else "recorded"
        if change:
            zone = ZoneInfo(obj.agreement.time_zone)
            moments = (Breach.objects.get(pk=obj.pk).known_at, obj.known_at)
            before, after = (at.astimezone(zone).isoformat(timespec="seconds") for at in moments)
            if before != after:
                note = f"saved, became known {after} instead of {before}"
        obj.save()
        obj.set_affected(form.cleaned_data["user_keys"])
        AuditEntry.objects.log(AuditAction.BREACH, on=obj, by=request.user, note=note)

    def delete_model(self, request: HttpRequest, obj: Breach) -> None:
        AuditEntry.objects.log(AuditAction.BREACH, on=obj, by=request.user, note="deleted")
        super().delete_model(request, obj)

    @admin.display(description=Breach._meta.get_field("agreement").verbose_name)
    def about(self, row: Breach) -> str:
        return str(row.agreement)

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
        return format_html(
            '<a href="{}">{}</a>',
            sending_url(row, self.admin_site),
            moment(row.notice.created_at, row.agreement.time_zone),
        )

    @admin.display(description=_("to be announced by"))
    def by(self, row: Breach) -> str:
        return short_moment(row.deadline)

    @admin.display(description=_("announced"))
    def notified(self, row: Breach) -> str:
        if row.notice is None:
            return gettext("not yet")
        at = short_moment(row.notice.created_at)
        return format_html('<a href="{}">{}</a>', sending_url(row, self.admin_site), at)

    @admin.display(description=_("concerns"))
    def whom(self, row: Breach) -> str:
        if row.everyone:
            return gettext("all users")
        return names_of(row.affected.select_related("user").order_by("pk"))


def sending_url(breach: Breach, admin_site: AdminSite) -> str:
    """Return the path of the page that displays the sending of the notice of a breach, which must be announced."""
    return reverse(f"{admin_site.name}:agreement_notice_sending", args=[breach.notice_id])


class BreachNotifyView(AdminView):
    """``…/<id>/notify/``: how many users each channel would notify, who is left out, and the texts of the letters; on
    POST the announcement.

    Raises ``MissingRight`` for users without the permission ``notify_breach``. If there is no breach with that key, the
    response is a redirect to the start page of the admin, with a warning. After the announcement, and if the breach is
    announced already, it is a redirect to the page of the sending. If the breach can't be announced, or was changed
    since the page was displayed, the response to POST is the page with the reasons, with the status 409.
    """

    def get(self, request: HttpRequest, object_id: str) -> HttpResponse:
        breach = self._find(object_id)
        if breach is None:
            return redirect_missing(self.model_admin, request, object_id)
        return self._sending(breach) if breach.notice_id else self._page(breach)

    def post(self, request: HttpRequest, object_id: str) -> HttpResponse:
        breach = self._find(object_id)
        if breach is None:
            return redirect_missing(self.model_admin, request, object_id)
        try:
            breach.notify(by=request.user, digest=request.POST.get("digest", ""))
        except ValidationError as error:
            breach.refresh_from_db()
            return self._sending(breach) if breach.notice_id else self._page(breach, error, status=409)
        messages.success(request, gettext("The breach is announced. The first letter is sent at the time below."))
        return self._sending(breach)

    def _find(self, object_id: str) -> Breach | None:
        if not self.request.user.has_perm("agreement.notify_breach"):
            raise MissingRight("notify_breach", _("announce a breach"))
        found: Breach | None = self.model_admin.get_object(self.request, unquote(object_id))
        return found

    def _sending(self, breach: Breach) -> HttpResponse:
        return HttpResponseRedirect(sending_url(breach, self.model_admin.admin_site))

    def _page(self, breach: Breach, error: ValidationError | None = None, *, status: int = 200) -> HttpResponse:
        try:
            breach.require_complete()
        except ValidationError as incomplete:
            error = incomplete
        digest = breach.digest  # It is read first, so that it never covers more than the page displays.
        zone, deadline = breach.agreement.time_zone, breach.deadline
        changed = getattr(error, "code", None) == "changed"
        left_out = breach.left_out()
        return self.render(
            "breach/notify",
            status=status,
            title=gettext("Announce: %(breach)s") % {"breach": breach},
            original=breach,
            problems=error.messages if error else [],
            changed=changed,
            channels=[] if error and not changed else self._channels(breach),
            left_out=0 if breach.everyone else left_out.count(),
            left_out_names="" if breach.everyone else names_of(left_out),
            known=moment(breach.known_at, zone),
            deadline=moment(deadline, zone),
            is_late=timezone.now() > deadline,
            texts=[(language, breach.text(language)) for language in languages.LANGUAGES],
            digest=digest,
        )

    def _channels(self, breach: Breach) -> list[dict[str, object]]:
        """Return what the page displays about each channel of the site. ``channel`` is its label. ``recipients`` is the
        number of users whom it would notify, ``unreachable`` the number of those without an address for it, and
        ``users`` the sum of both. ``ends`` is the moment, as a phrase, when the sending is expected to end; ``""`` if
        the channel would notify nobody. ``late`` says whether that is after the deadline of the breach.
        """
        found: list[dict[str, object]] = []
        for channel in site_channels():
            counted = recipients(channel, users=None if breach.everyone else breach.users())
            ends_at = breach_end(channel=channel.name, recipients=counted.total)
            found.append(
                {
                    "channel": CHANNEL_LABELS.get(channel.name, channel.name),
                    "recipients": counted.total,
                    "unreachable": counted.unreachable,
                    "users": counted.users,
                    "ends": moment(ends_at, breach.agreement.time_zone) if counted.total else "",
                    "late": bool(counted.total) and ends_at > breach.deadline,
                }
            )
        return found
