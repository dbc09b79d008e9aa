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
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import capfirst
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe
from modeltranslation.admin import TranslationAdmin

from agreement import conf
from agreement.admin.acts import rights
from agreement.admin.comparing import STATED, WRITTEN, Comparing, label, said
from agreement.admin.drafts import EditionForm, Writing, fingerprint
from agreement.admin.joined import chart
from agreement.admin.previews import Previews
from agreement.admin.publishing import Publishing
from agreement.admin.revisions import Revisions, conflicting
from agreement.admin.sending import course
from agreement.admin.starting import Starting
from agreement.admin.tables import LONG, Filtered, language, moment, public_address
from agreement.models import Act, Edition
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


def _shown(name: str, code: str) -> Callable[[Edition], SafeString]:
    """A read-only column of one language, as it was typed and marked with its language."""

    @admin.display(description=label(f"{name}_{code}"))
    def show(edition: Edition) -> SafeString:
        text = getattr(edition, f"{name}_{code}") or "—"
        return format_html('<div class="agreement-text" lang="{}">{}</div>', code, text)

    show.__name__ = f"{name}_{code}"
    return show


def _stated(name: str) -> Callable[[Edition], object]:
    """A read-only column of what the edition states, in words: "none stated" and no dash."""

    @admin.display(description=label(name))
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
class EditionAdmin(Filtered, Starting, Writing, Comparing, Previews, Publishing, Revisions, TranslationAdmin):  # type: ignore[misc]
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
        return public_address(edition)

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
            field.label = capfirst(str(label(db_field.name)))
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
            if edition.published_at and (slot := self.left(request, edition)):
                context["left"] = [
                    (name.rpartition("_")[2], label(name), text)
                    for name in WRITTEN
                    if (text := slot.fields.get(name)) and text != getattr(edition, name)
                ]
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
                answer.status_code = conflicting(answer)
            return answer
        except PermissionDenied:
            edition = object_id and super().get_object(request, unquote(object_id))
            if not edition or request.method != "POST":
                raise
            typed = self.typed(request, edition)
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

    def typed(self, request: HttpRequest, edition: Edition | None = None) -> list[tuple[str, Any, str]]:
        """(language, column, words) that were posted and are not that edition's: what a refusal must not lose."""
        return [
            (code, label(f"{name}_{code}"), text)
            for name in TEXTS
            for code in conf.LANGUAGES
            if (text := source.normalise(request.POST.get(f"{name}_{code}", "")))
            and text != getattr(edition, f"{name}_{code}", None)
        ]

    def _get_obj_does_not_exist_redirect(self, request: HttpRequest, opts: Any, object_id: str) -> HttpResponse:
        """Django's, but for words that were typed into a draft somebody deleted meanwhile."""
        if typed := self.typed(request):
            sentence = gettext("This draft was deleted: nothing was saved.")
            hint = gettext("Keep what you wrote: recover the draft, or begin a new one.")
            return self.refuse(request, None, sentence, hint, typed=typed, recoverable=True)
        gone: HttpResponse = super()._get_obj_does_not_exist_redirect(request, opts, object_id)
        return gone

    @method_decorator(require_safe)
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        return super().changelist_view(request, extra_context)
