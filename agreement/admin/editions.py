"""Editions: drafts are edited in both languages at once, published and cancelled after a
question; what is published is shown and never written, superusers included.

On a POST the agreement's lock is held from the moment an edition is read, so what a page decides on is still
true when it writes: nobody publishes in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets, unquote
from django.contrib.admin.views.main import ChangeList
from django.contrib.admin.widgets import AdminTextareaWidget
from django.core.exceptions import PermissionDenied
from django.db import models, transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import NoReverseMatch, reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import capfirst, format_lazy
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe
from modeltranslation.admin import TranslationAdmin
from reversion.admin import VersionAdmin
from reversion.errors import RevertError
from reversion.models import Version

from agreement import conf
from agreement.admin.acts import rights
from agreement.admin.comparing import STATED, Comparing, said
from agreement.admin.drafts import EditionForm, Writing, fingerprint
from agreement.admin.joined import chart
from agreement.admin.previews import Previews
from agreement.admin.publishing import Publishing
from agreement.admin.sending import course
from agreement.admin.starting import Starting
from agreement.admin.tables import LONG, Filtered, language, moment
from agreement.models import Act, Agreement, Edition
from agreement.models.acts import edition_name
from agreement.models.editions import State
from agreement.models.refusals import TEXTS
from agreement.text import source


class SourceField(forms.CharField):
    """A text by the import's rule: line breaks become LF, and no space is taken off its ends."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs | {"strip": False})

    def to_python(self, value: Any) -> Any:
        return source.normalise(super().to_python(value) or "")


class EditionChangeList(ChangeList):
    """Without the texts: a page of a hundred editions would read megabytes of them."""

    def get_queryset(self, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        return super().get_queryset(*args, **kwargs).defer(*LONG)


def _label(name: str) -> Any:
    """A column's name in words: "text in Kazakh", not the translation package's "text [kk]"."""
    base, _separator, code = name.rpartition("_")
    field: Any = Edition._meta.get_field(base if base in TEXTS else name)
    return format_lazy(_IN[code], field=field.verbose_name) if base in TEXTS else field.verbose_name


_IN = {"kk": _("{field} in Kazakh"), "ru": _("{field} in Russian")}


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
        return said(name, getattr(edition, name))

    show.__name__ = name
    return show


PAIRS = {name: tuple(f"{name}_{code}" for code in conf.LANGUAGES) for name in TEXTS}
SHOWN = {name: tuple(_shown(name, code) for code in conf.LANGUAGES) for name in TEXTS}
SHOWN_STATED = tuple(_stated(name) for name in STATED)


def _fieldsets(pairs: dict[str, Any], states: Any = STATED, *, written: bool = False) -> list[tuple[Any, Any]]:
    """Written: the text first, and its title with it, since that is its first line."""
    pair = {"classes": ["agreement-pair"]}
    texts = [
        (_("Title and approval"), {"fields": [pairs["title"], pairs["approval"]], **pair}),
        (_("Text"), {"fields": [pairs["body"]], **pair}),
    ]
    if written:
        texts = [texts[1], (_("Approval"), {"fields": [pairs["approval"]], **pair})]
    return [
        (None, {"fields": ["agreement", *(["token"] if written else [])]}),
        *texts,
        (_("What changed"), {"fields": [pairs["summary"]], **pair}),
        (_("What the edition itself states"), {"fields": list(states)}),
    ]


@admin.register(Edition)
class EditionAdmin(Filtered, Starting, Writing, Comparing, Previews, Publishing, VersionAdmin, TranslationAdmin):  # type: ignore[misc]
    list_display = ["name", "badge", "binds", "heading"]
    search_fields = ["agreement__slug", "title_kk", "title_ru"]
    list_select_related = ["agreement"]
    list_per_page = 50
    form = EditionForm
    fieldsets = _fieldsets(PAIRS, written=True)
    facts = ["badge", "number", "from_moment", "until_moment", "cancelled_moment"]
    facts += ["published_moment", "published_by", "recorded_moment", "history", "digest", "previous_digest"]
    formfield_overrides = {models.TextField: {"form_class": SourceField, "widget": AdminTextareaWidget}}
    # What one may do with a published edition is never done to many at once.
    actions = None
    history_latest_first = True
    object_history_template = "admin/agreement/edition/object_history.html"
    recover_list_template = "admin/agreement/edition/recover_list.html"
    revision_form_template = recover_form_template = "admin/agreement/edition/revision.html"

    class Media:
        css = {"all": ["agreement/admin.css"]}
        js = [forms.Script(f"agreement/{name}.js", defer=True) for name in ("desk", "sending")]

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

    @admin.display(description=_("imported history"))
    def history(self, edition: Edition) -> object:
        return said("imported", edition.imported)

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
            field.label = capfirst(str(_label(db_field.name)))
            field.widget.attrs |= {"lang": code, "spellcheck": "true"}
            if name == "body":
                field.widget.attrs |= {"rows": 32, "class": "agreement-source"}
            elif name == "summary":
                field.widget.attrs |= {"rows": 5}
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
            context["may_begin"] = bool(edition.published_at) and self.has_add_permission(request)
            context["correctable"] = state == State.IN_FORCE
            context["chart"] = chart(edition) if edition.published_at else None
            if edition.published_at and request.user.has_perm("agreement.view_notice"):
                context["sendings"] = [course(notice) for notice in edition.notices.order_by("pk")]
                context["may_pause"] = request.user.has_perm("agreement.pause_notice")
            context["rights"] = rights(request, edition, denied=self._denied(request, edition))
            there = request.resolver_match and request.resolver_match.url_name != "agreement_edition_recover"
            if there and not hasattr(request, "agreement_over"):
                # Django's own "Change …" is ungrammatical where nouns have cases.
                context["title"] = gettext("Edition") if edition.published_at else gettext("Draft")
            if there and self.has_change_permission(request, edition):
                context |= self.desk(request, edition)
        context["show_save_and_add_another"] = False
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

    def get_form(self, request: HttpRequest, obj: Edition | None = None, **kwargs: Any) -> Any:  # type: ignore[override]
        form: Any = super().get_form(request, obj, **kwargs)
        form.over = getattr(request, "agreement_over", None)
        if obj and "autosave" in request.GET and request.method == "GET":
            form.slot = self.left(request, obj)
        return form

    def save_model(self, request: HttpRequest, obj: Edition, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's
        super().save_model(request, obj, form, change)
        match = request.resolver_match
        recovered = match is not None and match.url_name == "agreement_edition_recover"
        # What comes back is written anew, even word for word: the log's last word on it was that it was deleted.
        self.logged(request, obj, before=form.stored if change and not recovered else None)

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
            answer = super().changeform_view(request, object_id, form_url, extra_context)
            if not hasattr(request, "agreement_over"):
                answer.status_code = _status(answer)
            return answer
        except PermissionDenied:
            edition = object_id and super().get_object(request, unquote(object_id))
            if not edition or request.method != "POST":
                raise
            typed = [
                (code, _label(f"{name}_{code}"), text)
                for name in TEXTS
                for code in conf.LANGUAGES
                if (text := source.normalise(request.POST.get(f"{name}_{code}", "")))
                and text != getattr(edition, f"{name}_{code}")
            ]
            if edition.published_at and self.has_change_permission(request):
                return self.refuse(
                    request,
                    edition,
                    gettext("%(edition)s was published: nothing was saved.") % {"edition": edition},
                    gettext("A published edition never changes. Put what you wrote into a new draft."),
                    typed=typed,
                )
            sentence = gettext("You may not write this draft: nothing was saved.")
            hint = gettext("Your permission was taken away, or never given. Keep what you wrote, and ask for it.")
            shown = edition if self.has_view_permission(request) else None
            return self.refuse(request, shown, sentence, hint, status=403, typed=typed)

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
        slugs = dict(Agreement.objects.values_list("pk", "slug"))
        rows = [
            (version.pk, moment(version.revision.date_created, conf.time_zone()), _called(version, slugs))
            for version in deleted
        ]
        return super().recoverlist_view(request, {"rows": rows} | (extra_context or {}))

    def revision_view(self, request: HttpRequest, object_id: str, version_id: str, extra_context: Any = None) -> Any:
        if not unquote(object_id).isdecimal():
            raise Http404
        with transaction.atomic():
            if refusal := self._refuse_revision(request, version_id):
                return refusal
            # The form begins with the revision, and is saved over what is stored by then.
            request.agreement_over = Edition.objects.filter(pk=unquote(object_id)).first()  # type: ignore[attr-defined]
            title = {"title": gettext("An older revision: %(edition)s") % {"edition": request.agreement_over or ""}}  # type: ignore[attr-defined]
            answer = super().revision_view(request, object_id, version_id, title | (extra_context or {}))
            # Set late: the view in between takes any other status than 200 for a revision it could not read.
            answer.status_code = _status(answer)
            return answer

    def recover_view(self, request: HttpRequest, version_id: str, extra_context: Any = None) -> Any:
        with transaction.atomic():
            if refusal := self._refuse_revision(request, version_id):
                return refusal
            slugs = dict(Agreement.objects.values_list("pk", "slug"))
            called = _called(Version.objects.get(pk=version_id), slugs)
            title = {"title": gettext("A deleted draft: %(edition)s") % {"edition": called}}
            return super().recover_view(request, version_id, title | (extra_context or {}))

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


def _status(answer: Any) -> int:
    """409 for a form that met another one's words; else what it is."""
    shown = getattr(answer, "context_data", None) or {}
    form = getattr(shown.get("adminform"), "form", None)
    return 409 if form and form.is_bound and form.has_error("__all__", "conflict") else int(answer.status_code)


def _called(version: Any, slugs: dict[int, str]) -> str:
    """The edition's name in the page's language; a revision keeps it in the language of who saved it."""
    agreement = _fields(version).get("agreement_id")
    return edition_name(slugs[agreement], None, version.object_id) if agreement in slugs else version.object_repr


def _fields(version: Any) -> dict[str, Any]:
    try:
        return dict(version.field_dict)
    except RevertError:  # Older than the model's fields: the view that restores it says so.
        return {}
