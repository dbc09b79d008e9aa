"""The admin of agreements: their name, slug, time zone and acceptance mode, and the timeline of their editions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.contrib import admin
from django.db.models import Prefetch, QuerySet
from django.forms.renderers import BaseRenderer
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import capfirst, format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from agreement import conf
from agreement.admin.base import AdminForm, SafeFilters, moment, short_moment
from agreement.editions.display import text_language
from agreement.memory import remembered
from agreement.models import Agreement, AuditEntry, Edition
from agreement.models.audit import AuditAction
from agreement.models.succession import State

#: How many drafts and editions the timeline displays, drafts first. Others are only in the list of editions.
TIMELINE_LENGTH = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEntry:
    """An edition or a draft in the timeline of its agreement.

    ``state`` is its state when the entry was made. ``title`` is its title in the language ``code``: the language of the
    page if that is ``kk`` or ``ru``, otherwise ``kk``. ``published``, ``effective``, ``until`` and ``cancelled`` are
    moments, as phrases in the language of the page and the time zone of the agreement; ``""`` if there is none.
    ``until`` is the moment at which the next edition that is not cancelled takes (or took) effect. It is ``""`` for a
    draft and for a cancelled edition.
    """

    edition: Edition
    state: State
    title: str
    code: str
    published: str
    effective: str
    until: str
    cancelled: str

    @classmethod
    def from_edition(cls, edition: Edition) -> TimelineEntry:
        """Return the entry for an edition, with its state now. It makes no query if the edition was read with its
        titles, its agreement and ``with_successors()``.
        """
        zone, state = edition.agreement.time_zone, edition.state()
        code = text_language()
        until = edition.successor_from() if state in {State.IN_FORCE, State.SUPERSEDED, State.SCHEDULED} else None
        return cls(
            edition=edition,
            state=state,
            title=getattr(edition, f"title_{code}") or "",
            code=code,
            published=moment(edition.published_at, zone) if edition.published_at else "",
            effective=moment(edition.effective_from, zone) if edition.effective_from else "",
            until=moment(until, zone) if until else "",
            cancelled=moment(edition.cancelled_at, zone) if edition.cancelled_at else "",
        )


class ZoneInput(forms.TextInput):
    """A text input for one of the time zones of the field, about six hundred. The browser proposes those that contain
    what is typed. The proposals are rendered without templates, which would take longer than the rest of the page.
    """

    choices: Iterable[tuple[str, str]] = ()

    def render(
        self,
        name: str,
        value: object,
        attrs: dict[str, Any] | None = None,
        renderer: BaseRenderer | None = None,
    ) -> SafeString:
        proposed = f"{(attrs or {}).get('id', name)}_zones"
        own = {"list": proposed, "autocomplete": "off", "class": "vTextField"}
        field = super().render(name, value, {**(attrs or {}), **own}, renderer)
        options = format_html_join("\n", '<option value="{}">', ((zone,) for zone, _label in self.choices))
        return format_html('{}<datalist id="{}">{}</datalist>', field, proposed, options)


@remembered
@cache
def _zones() -> list[tuple[str, str]]:
    """Return all time zones, in the order of their names, as choices: pairs of the name and the same name. The list is
    cached in the process, because it is read from the file system.
    """
    return [(name, name) for name in sorted(available_timezones())]


class AgreementForm(AdminForm):
    """The form of an agreement. The time zone is one of all time zones, which are proposed while a person types. For a
    new agreement, the field contains the time zone of the settings (``conf.time_zone()``).
    """

    time_zone = forms.ChoiceField(
        label=capfirst(Agreement._meta.get_field("time_zone").verbose_name),
        help_text=format_lazy(
            "{} {}",
            Agreement._meta.get_field("time_zone").help_text,
            _("Delete the name and type a part of another one, such as Almaty."),
        ),
        choices=lambda: _zones(),
        widget=ZoneInput,
        initial=conf.time_zone,
    )


@admin.register(Agreement)
class AgreementAdmin(SafeFilters[Agreement]):
    form = AgreementForm
    change_form_template = "admin/agreement/agreement/change_form.html"
    fields = ["name_kk", "name_ru", "slug", "time_zone", "acceptance_mode"]
    list_display = ["name", "slug", "in_force", "time_zone"]
    actions = None

    class Media:
        css = {"all": ["agreement/admin.css"]}

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the page of an agreement. For an existing agreement, the context of the template gets two more values.
        ``timeline`` contains the entries of its drafts and editions: drafts first, then the editions with the highest
        numbers, together at most ``TIMELINE_LENGTH``. 1 query reads all of them. ``may_begin`` says whether the user
        may add editions.
        """
        if agreement := context["original"]:
            editions = Edition.objects.filter(agreement=agreement).with_successors().select_related("agreement")
            context["timeline"] = [
                TimelineEntry.from_edition(edition)
                for edition in editions.without_texts("body", "summary")[:TIMELINE_LENGTH]
            ]
            context["may_begin"] = request.user.has_perm("agreement.add_edition")
        return super().render_change_form(request, context, *args, **kwargs)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Agreement]:
        binding = Edition.objects.in_force().without_texts("body", "summary")
        return super().get_queryset(request).prefetch_related(Prefetch("editions", binding, to_attr="binding_now"))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Agreement | None:
        found = super().get_object(request, object_id, from_field)
        if found and request.method == "POST":
            found.lock()
            found = super().get_object(request, object_id, from_field)
        return found

    def save_model(self, request: HttpRequest, obj: Agreement, form: AgreementForm, change: object) -> None:
        """Save the agreement and add an audit entry, because the acceptance mode affects what binds users. Its note has
        the old and the new value of each changed field; for a new agreement, each value that is not empty. If no
        field was changed, there is no audit entry.
        """
        super().save_model(request, obj, form, change)
        fields = form.changed_data if change else [name for name, value in form.cleaned_data.items() if value]
        old = [f"{form.initial.get(name)} → " if change else "" for name in fields]
        note = "; ".join(f"{name}: {value}{getattr(obj, name)}" for name, value in zip(fields, old, strict=True))
        if note:
            AuditEntry.objects.log(AuditAction.CHANGED, on=obj, by=request.user, note=note)

    def get_readonly_fields(self, request: HttpRequest, obj: Agreement | None = None) -> list[str]:
        return ["slug"] if obj and obj.head else []

    def has_delete_permission(self, request: HttpRequest, obj: Agreement | None = None) -> bool:
        return super().has_delete_permission(request, obj) and not (obj and obj.head)

    @admin.display(description=_("name"), ordering="slug")
    def name(self, agreement: Agreement) -> str:
        return agreement.name

    @admin.display(description=_("edition in force"))
    def in_force(self, agreement: Any) -> str:
        return ", ".join(
            gettext("edition %(number)s, since %(moment)s")
            % {"number": edition.number, "moment": short_moment(edition.effective_from)}
            for edition in agreement.binding_now
        )
