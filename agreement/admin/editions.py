"""Agreements and their editions: drafts are edited in both languages at once, published and cancelled after a
question; what is published is shown and never written, superusers included.

On a POST the agreement's lock is held from the moment an edition is read, so what a page decides on is still
true when it writes: nobody publishes in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from zoneinfo import available_timezones

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets, unquote
from django.contrib.admin.views.main import ChangeList
from django.contrib.admin.widgets import AdminTextareaWidget
from django.core.exceptions import PermissionDenied
from django.db import models, transaction
from django.db.models import Prefetch, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import NoReverseMatch, reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import capfirst
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe
from modeltranslation.admin import TranslationAdmin
from reversion.admin import VersionAdmin
from reversion.errors import RevertError
from reversion.models import Version

from agreement import conf
from agreement.admin.acts import rights
from agreement.admin.drafts import STATED, EditionForm, fingerprint
from agreement.admin.notices import LONG, Filtered, language, moment
from agreement.admin.publishing import Publishing, stated
from agreement.models import Act, Agreement, Edition
from agreement.models.editions import State
from agreement.models.refusals import TEXTS
from agreement.text import source

if TYPE_CHECKING:
    AgreementModelAdmin = admin.ModelAdmin[Agreement]
else:
    AgreementModelAdmin = admin.ModelAdmin


class SourceField(forms.CharField):
    """A text by the import's rule: line breaks become LF, and no space is taken off its ends."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs | {"strip": False})

    def to_python(self, value: Any) -> Any:
        return source.normalise(super().to_python(value) or "")


class AgreementForm(forms.ModelForm):  # type: ignore[type-arg]
    """The zone comes from a list: every date of the agreement is computed with it."""

    time_zone = forms.ChoiceField(
        label=capfirst(Agreement._meta.get_field("time_zone").verbose_name),
        help_text=Agreement._meta.get_field("time_zone").help_text,
        choices=lambda: [(name, name) for name in sorted(available_timezones())],
        initial=conf.time_zone,
    )


@admin.register(Agreement)
class AgreementAdmin(Filtered, AgreementModelAdmin):
    form = AgreementForm
    fields = ["slug", "time_zone", "joining"]
    list_display = ["slug", "in_force", "time_zone"]
    actions = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Agreement]:
        now = Edition.objects.in_force().defer(*LONG)
        return super().get_queryset(request).prefetch_related(Prefetch("editions", now, to_attr="binding_now"))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Agreement | None:
        found = super().get_object(request, object_id, from_field)
        if found and request.method == "POST":
            found.lock()
            found = super().get_object(request, object_id, from_field)
        return found

    def get_readonly_fields(self, request: HttpRequest, obj: Agreement | None = None) -> list[str]:
        return ["slug"] if obj and obj.head else []

    def has_delete_permission(self, request: HttpRequest, obj: Agreement | None = None) -> bool:
        return super().has_delete_permission(request, obj) and not (obj and obj.head)

    @admin.display(description=_("edition in force"))
    def in_force(self, agreement: Any) -> str:
        return ", ".join(
            gettext("edition %(number)s from %(moment)s")
            % {
                "number": edition.number,
                "moment": moment(edition.effective_from, agreement.time_zone, "from"),
            }
            for edition in agreement.binding_now
        )


class EditionChangeList(ChangeList):
    """Without the texts: a page of a hundred editions would read megabytes of them."""

    def get_queryset(self, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        return super().get_queryset(*args, **kwargs).defer(*LONG)


def _label(name: str) -> Any:
    field: Any = Edition._meta.get_field(name)
    return field.verbose_name


def _shown(name: str, code: str) -> Callable[[Edition], SafeString]:
    """A read-only column of one language, as it was typed and marked with its language."""

    @admin.display(description=_label(f"{name}_{code}"))
    def show(edition: Edition) -> SafeString:
        text = getattr(edition, f"{name}_{code}") or "—"
        return format_html('<div class="agreement-text" lang="{}">{}</div>', code, text)

    show.__name__ = f"{name}_{code}"
    return show


def _stated(name: str) -> Callable[[Edition], object]:
    """A read-only column of what the edition states, in words: "none stated" and no dash."""

    @admin.display(description=_label(name))
    def show(edition: Edition) -> object:
        return stated(edition, name)

    show.__name__ = name
    return show


PAIRS = {name: tuple(f"{name}_{code}" for code in conf.LANGUAGES) for name in TEXTS}
SHOWN = {name: tuple(_shown(name, code) for code in conf.LANGUAGES) for name in TEXTS}
SHOWN_STATED = tuple(_stated(name) for name in STATED)


def _fieldsets(pairs: dict[str, Any], states: Any = STATED) -> list[tuple[Any, Any]]:
    return [
        (None, {"fields": ["agreement"]}),
        (
            _("Title and approval"),
            {"fields": [pairs["title"], pairs["approval"]], "classes": ["agreement-pair"]},
        ),
        (_("Text"), {"fields": [pairs["body"]], "classes": ["agreement-pair"]}),
        (_("What changed"), {"fields": [pairs["summary"]], "classes": ["agreement-pair"]}),
        (_("What the edition itself states"), {"fields": list(states)}),
    ]


@admin.register(Edition)
class EditionAdmin(Filtered, Publishing, VersionAdmin, TranslationAdmin):  # type: ignore[misc]
    list_display = ["name", "badge", "binds", "heading"]
    search_fields = ["agreement__slug", "title_kk", "title_ru"]
    list_select_related = ["agreement"]
    list_per_page = 50
    form = EditionForm
    fieldsets = _fieldsets(PAIRS)
    facts = ["badge", "number", "from_moment", "until_moment", "cancelled_moment"]
    facts += ["published_moment", "published_by", "recorded_moment", "imported", "digest", "previous_digest"]
    formfield_overrides = {models.TextField: {"form_class": SourceField, "widget": AdminTextareaWidget}}
    # What one may do with a published edition is never done to many at once.
    actions = None
    history_latest_first = True
    object_history_template = "admin/agreement/edition/object_history.html"
    recover_list_template = "admin/agreement/edition/recover_list.html"
    revision_form_template = recover_form_template = "admin/agreement/edition/revision.html"

    class Media:
        css = {"all": ["agreement/admin.css"]}

    # What the list and the pages show.

    def get_queryset(self, request: HttpRequest) -> Any:
        rows: Any = super().get_queryset(request)
        return rows.with_successors().select_related("agreement")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return EditionChangeList

    @admin.display(description=_("edition"), ordering="number")
    def name(self, edition: Edition) -> str:
        return str(edition)

    @admin.display(description=_("title"))
    def heading(self, edition: Edition) -> SafeString:
        code = language() if language() in conf.LANGUAGES else conf.LANGUAGES[0]
        return format_html('<span lang="{}">{}</span>', code, getattr(edition, f"title_{code}") or "")

    @admin.display(description=_("state"))
    def badge(self, edition: Edition) -> SafeString:
        state = edition.state()
        return format_html('<span class="agreement-state agreement-{}">{}</span>', state.value, state.label)

    @admin.display(description=_("effective from"), ordering="effective_from")
    def from_moment(self, edition: Edition) -> str:
        return moment(edition.effective_from, edition.agreement.time_zone)

    @admin.display(description=_("in force until"))
    def until_moment(self, edition: Edition) -> str:
        until = None if edition.cancelled_at or not edition.published_at else edition.successor_from()
        return moment(until, edition.agreement.time_zone)

    @admin.display(description=pgettext_lazy("heading", "in force"), ordering="effective_from")
    def binds(self, edition: Edition) -> SafeString | str:
        if not edition.effective_from or edition.cancelled_at:
            return "—"
        zone, until = edition.agreement.time_zone, edition.successor_from()
        sentences = [gettext("from %(moment)s") % {"moment": moment(edition.effective_from, zone, "from")}]
        if until:
            sentences.append(gettext("until %(moment)s") % {"moment": moment(until, zone, "until")})
        return format_html_join(mark_safe("<br>"), "{}", ([sentence] for sentence in sentences))

    @admin.display(description=_("published"))
    def published_moment(self, edition: Edition) -> str:
        return moment(edition.published_at, edition.agreement.time_zone)

    @admin.display(description=_("recorded"))
    def recorded_moment(self, edition: Edition) -> str:
        return moment(edition.recorded_at, edition.agreement.time_zone)

    @admin.display(description=_("cancelled"))
    def cancelled_moment(self, edition: Edition) -> str:
        return moment(edition.cancelled_at, edition.agreement.time_zone)

    def view_on_site(self, edition: Edition) -> str | None:
        """The public page of a published edition, where the site has mounted it."""
        try:
            address = [edition.agreement.slug, edition.number]
            return reverse("agreement:edition", args=address) if edition.number else None
        except NoReverseMatch:
            return None

    def get_fieldsets(self, request: HttpRequest, obj: Edition | None = None) -> Any:
        if obj is None or self.has_change_permission(request, obj):
            return super().get_fieldsets(request, obj)
        facts = [(_("Facts"), {"fields": self.facts})] if obj.published_at else []
        return [*facts, *_fieldsets(SHOWN, SHOWN_STATED)]

    def get_readonly_fields(self, request: HttpRequest, obj: Edition | None = None) -> Any:
        if obj and not self.has_change_permission(request, obj):
            return flatten_fieldsets(self.get_fieldsets(request, obj))
        # A draft stays with its agreement: publication locks that agreement and no other.
        return ["agreement"] if obj else []

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        name, _separator, code = db_field.name.rpartition("_")
        if field and name in TEXTS:
            field.widget.attrs |= {"lang": code, "spellcheck": "true"}
            if name == "body":
                field.widget.attrs |= {"rows": 32, "class": "agreement-source"}
        return field

    def formfield_for_choice_field(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """No choice is an answer too."""
        kwargs["choices"] = db_field.get_choices(blank_choice=[("", _("none stated"))])
        return super().formfield_for_choice_field(db_field, request, **kwargs)

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> Any:
        edition = context["original"]
        state = edition and edition.state()
        context["may_publish"] = state == State.DRAFT and self.may(request, "publish")
        context["may_cancel"] = state == State.SCHEDULED and self.may(request, "cancel")
        if edition:
            context["rights"] = rights(request, edition, denied=self._denied(request, edition))
        return super().render_change_form(request, context, *args, **kwargs)

    # Who may do what.

    def has_change_permission(self, request: HttpRequest, obj: Edition | None = None) -> bool:
        return bool(super().has_change_permission(request, obj)) and not (obj and obj.published_at)

    def has_delete_permission(self, request: HttpRequest, obj: Edition | None = None) -> bool:
        return bool(super().has_delete_permission(request, obj)) and not (obj and obj.published_at)

    def _denied(self, request: HttpRequest, edition: Edition) -> set[str]:
        able = {
            "change_edition": self.has_change_permission(request, edition),
            "delete_edition": self.has_delete_permission(request, edition),
            "publish_edition": self.may(request, "publish"),
            "cancel_edition": self.may(request, "cancel"),
        }
        return {codename for codename, may in able.items() if not may}

    # Reading and writing.

    def save_model(self, request: HttpRequest, obj: Edition, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's
        super().save_model(request, obj, form, change)
        now = fingerprint(obj)
        if not change or now != form.stored:
            Act.objects.log(Act.Kind.WRITTEN, on=obj, by=request.user, digest=now)

    def delete_model(self, request: HttpRequest, obj: Edition) -> None:
        Act.objects.log(Act.Kind.DELETED, on=obj, by=request.user, digest=fingerprint(obj))
        super().delete_model(request, obj)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Edition | None:
        found: Edition | None = super().get_object(request, object_id, from_field)
        if found and request.method == "POST":
            found.agreement.lock()
            found = super().get_object(request, object_id, from_field)
        return found

    @contextmanager
    def create_revision(self, request: HttpRequest) -> Iterator[None]:
        """No revision, and no transaction, for a page that is only looked at."""
        if request.method != "POST":
            yield
        else:
            with super().create_revision(request):
                yield

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except PermissionDenied:
            edition = object_id and super().get_object(request, unquote(object_id))
            if not edition or not edition.published_at or not self.has_change_permission(request):
                raise
            typed = [
                (code, _label(f"{name}_{code}"), text)
                for name in TEXTS
                for code in conf.LANGUAGES
                if (text := source.normalise(request.POST.get(f"{name}_{code}", "")))
                and text != getattr(edition, f"{name}_{code}")
            ]
            return self.refuse(
                request,
                edition,
                gettext("%(edition)s was published: nothing was saved.") % {"edition": edition},
                gettext("A published edition never changes. Put what you wrote into a new draft."),
                typed=typed,
            )

    @method_decorator(require_safe)
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        return super().changelist_view(request, extra_context)

    @method_decorator(require_safe)
    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        edition = self.get_object(request, unquote(object_id))
        if edition is None:  # Its revisions, if any, are the list of deleted drafts; and not every address is a key.
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        zone = edition.agreement.time_zone
        versions = Version.objects.get_for_object_reference(Edition, edition.pk)
        revisions = [
            (version.pk, moment(version.revision.date_created, zone), version.revision)
            for version in versions.select_related("revision__user")
        ]
        context = {"revisions": revisions, "restorable": self.has_change_permission(request, edition)}
        return super().history_view(request, object_id, context | (extra_context or {}))

    def recoverlist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        deleted = Version.objects.get_deleted(Edition).select_related("revision").order_by("-pk")
        rows = [
            (version.pk, moment(version.revision.date_created, conf.time_zone()), version.object_repr)
            for version in deleted
        ]
        return super().recoverlist_view(request, {"rows": rows} | (extra_context or {}))

    def revision_view(self, request: HttpRequest, object_id: str, version_id: str, extra_context: Any = None) -> Any:
        if not unquote(object_id).isdecimal():
            raise Http404
        with transaction.atomic():
            refusal = self._refuse_revision(request, version_id)
            return refusal or super().revision_view(request, object_id, version_id, extra_context)

    def recover_view(self, request: HttpRequest, version_id: str, extra_context: Any = None) -> Any:
        with transaction.atomic():
            refusal = self._refuse_revision(request, version_id)
            return refusal or super().recover_view(request, version_id, extra_context)

    def _refuse_revision(self, request: HttpRequest, version_id: str) -> HttpResponse | None:
        """Refuse a revision that holds, or would write to, a published edition, or that has no home any more."""
        every = Version.objects.get_for_model(Edition)
        try:
            version = get_object_or_404(every.select_related("revision"), pk=version_id)
        except ValueError:  # More digits than Python reads.
            raise Http404 from None
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        versions = every.filter(revision=version.revision_id)
        keys = [version.object_id for version in versions]
        for agreement in Agreement.objects.filter(editions__in=keys).distinct().order_by("pk"):
            agreement.lock()
        sealed = Edition.objects.published().filter(pk__in=keys).first()
        stored = [_fields(version) for version in versions]
        if sealed or any(fields.get("published_at") for fields in stored):
            sentence = gettext("This revision belongs to a published edition: nothing was restored.")
            hint = gettext("A published edition never changes. Put the old words into a new draft.")
            return self.refuse(request, sealed, sentence, hint, status=403)
        homes = {fields["agreement_id"] for fields in stored if fields}
        if Agreement.objects.filter(pk__in=homes).count() < len(homes):
            sentence = gettext("The agreement of this draft was deleted: nothing was restored.")
            return self.refuse(request, None, sentence, gettext("Put the words into a draft of another agreement."))
        return None


def _fields(version: Any) -> dict[str, Any]:
    try:
        return dict(version.field_dict)
    except RevertError:  # Older than the model's fields: the view that restores it says so.
        return {}
