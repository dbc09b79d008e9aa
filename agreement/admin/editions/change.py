"""The admin of editions: the list, the form of a draft, and the read-only page of an edition.

Nobody can edit or delete a published edition here, not even a superuser. The other pages that the app adds are separate
views: :meth:`EditionAdmin.get_urls` lists them, except ``StartView``, which takes the place of Django's page that adds
a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import reversion
from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import flatten_fieldsets, quote, unquote
from django.contrib.admin.views.main import ChangeList
from django.contrib.admin.widgets import AdminTextareaWidget
from django.db import models, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe
from modeltranslation.admin import TranslationAdmin
from reversion.admin import VersionAdmin

from agreement.admin.base import (
    TEXT_COLUMNS,
    SafeChangeList,
    SafeFilters,
    moment,
    public_address,
    redirect_missing,
    short_moment,
)
from agreement.admin.editions import comments, revisions
from agreement.admin.editions.accepted_chart import acceptance_chart
from agreement.admin.editions.amendment import AmendmentView
from agreement.admin.editions.cancel import CancelView
from agreement.admin.editions.compare import ChangesView, CompareRevisionsView
from agreement.admin.editions.conflict import conflict_page
from agreement.admin.editions.draft import AutosaveView, CheckView, EditionForm, log_written, unsaved, writing_context
from agreement.admin.editions.fields import STATED_FIELDS, WRITTEN_FIELDS, fingerprint, label, stated_in_words
from agreement.admin.editions.hand_over import (
    HandOverFilter,
    HandOverView,
    SendBackView,
    hand_over_badge,
    hand_over_context,
)
from agreement.admin.editions.page import (
    UnsavedText,
    find_locked,
    may,
    missing_draft,
    posted_texts,
    redirect_to_edition,
    refuse,
    refuse_edit,
)
from agreement.admin.editions.preview import PreviewView
from agreement.admin.editions.publish import PublishView, TestMailView
from agreement.admin.editions.sign import SignView
from agreement.admin.editions.start import StartView
from agreement.admin.notices.progress import notice_progress
from agreement.admin.notices.state import EditionStateFilter, edition_notices, with_notices
from agreement.admin.rights import denied_actions
from agreement.editions.signatures import signatures_of
from agreement.models import AuditEntry, Edition, HandOver
from agreement.models.audit import AuditAction
from agreement.models.errors import TEXT_FIELDS
from agreement.models.succession import State
from agreement.text import languages, source

if TYPE_CHECKING:
    AnyField = models.Field[Any, Any]


class SourceField(forms.CharField):
    """A text field that normalises the text like an import (:func:`source.normalise`). Spaces at the ends are
    preserved.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs | {"strip": False})

    def to_python(self, value: str | None) -> str:
        return source.normalise(super().to_python(value) or "")


class EditionChangeList(SafeChangeList):
    """The list of editions. It reads their notices, but not their bodies and summaries, which may be megabytes."""

    def get_queryset(self, *args: Any, **kwargs: Any) -> QuerySet[Edition]:
        return with_notices(super().get_queryset(*args, **kwargs).defer(*TEXT_COLUMNS))


def _text_column(name: str, code: str) -> Callable[[Edition], SafeString]:
    """Return a read-only column that displays the text ``name`` (such as ``body``) in the language ``code``, marked
    with its ``lang``; a dash for an empty text.
    """

    @admin.display(description=label(f"{name}_{code}"))
    def column(edition: Edition) -> SafeString:
        text = getattr(edition, f"{name}_{code}") or "—"
        return format_html('<div class="agreement-text" lang="{}">{}</div>', code, text)

    column.__name__ = f"{name}_{code}"
    return column


def _stated_column(name: str) -> Callable[[Edition], object]:
    """Return a read-only column that displays the field ``name``, one of the ``STATED_FIELDS``, as
    :func:`stated_in_words` words it.
    """

    @admin.display(description=label(name))
    def column(edition: Edition) -> object:
        return stated_in_words(name, getattr(edition, name))

    column.__name__ = name
    return column


#: The columns of each text in both languages: for the form (names), and for the read-only page (functions).
TEXT_PAIRS = {name: tuple(f"{name}_{code}" for code in languages.LANGUAGES) for name in TEXT_FIELDS}
DISPLAYED_PAIRS = {name: tuple(_text_column(name, code) for code in languages.LANGUAGES) for name in TEXT_FIELDS}
DISPLAYED_STATED = tuple(_stated_column(name) for name in STATED_FIELDS)


def _fieldsets(pairs: Any, stated: Any = STATED_FIELDS, *, editable: bool = False) -> list[tuple[Any, Any]]:
    """Return the sections of the page of an edition or a draft, for Django's ``fieldsets``. ``pairs`` maps the name of
    each text to its Kazakh and its Russian column, and ``stated`` contains the columns of the other fields.
    ``editable`` means that it is the form of a draft. There the text comes first, and there is no title, because a line
    of the text is the title.
    """
    pair = {"classes": ["agreement-pair"]}
    texts = [
        (_("Title and approval"), {"fields": [pairs["title"], pairs["approval"]], **pair}),
        (_("Text"), {"fields": [pairs["body"]], **pair}),
    ]
    if editable:
        texts = [texts[1], (_("Approval"), {"fields": [pairs["approval"]], **pair})]
    return [
        (None, {"fields": ["agreement", *(["token"] if editable else [])]}),
        *texts,
        (_("What changed"), {"fields": [pairs["summary"]], **pair}),
        (_("Language, periods and kind of change"), {"fields": list(stated)}),
    ]


@admin.register(Edition)
class EditionAdmin(SafeFilters[Edition], VersionAdmin, TranslationAdmin):  # type: ignore[misc]  # the two are untyped
    list_display = ["name", "badge", "sending", "binds"]
    list_filter = [HandOverFilter, EditionStateFilter]
    show_facets = admin.ShowFacets.NEVER
    search_fields = ["agreement__slug", "agreement__name_kk", "agreement__name_ru", "title_kk", "title_ru"]
    list_select_related = ["agreement", "hand_over"]
    list_per_page = 50
    form = EditionForm
    fieldsets = _fieldsets(TEXT_PAIRS, editable=True)
    facts = ["badge", "number", "from_moment", "until_moment", "cancelled_moment"]
    facts += ["published_moment", "published_by", "recorded_moment", "history", "digest", "previous_digest"]
    formfield_overrides = {models.TextField: {"form_class": SourceField, "widget": AdminTextareaWidget}}
    # There are no actions on several editions at once.
    actions = None
    history_latest_first = True
    object_history_template = "admin/agreement/edition/object_history.html"
    recover_list_template = "admin/agreement/edition/recover_list.html"
    revision_form_template = recover_form_template = "admin/agreement/edition/revision.html"

    class Media:
        css = {"all": ["agreement/admin.css"]}
        js = [
            forms.Script(f"agreement/{name}.js", defer=True)
            for name in ("writing", "desk", "combine", "progress", "publish", "start")
        ]

    # The pages.

    def get_urls(self) -> list[URLPattern]:
        pages = {
            "check": ("check", CheckView),
            "autosave": ("autosave", AutosaveView),
            "changes": ("changes", ChangesView),
            "amendment": ("amendment", AmendmentView),
            "compare": ("compare", CompareRevisionsView),
            "preview": ("preview/<slug:kind>/<slug:code>", PreviewView),
            "hand_over": ("hand-over", HandOverView),
            "send_back": ("send-back", SendBackView),
            "publish": ("publish", PublishView),
            "test_mail": ("test-mail", TestMailView),
            "cancel": ("cancel", CancelView),
            "sign": ("sign", SignView),
        }
        own = [
            path(
                f"<path:object_id>/{address}/",
                self.admin_site.admin_view(view.as_view(model_admin=self)),
                name=f"agreement_edition_{name}",
            )
            for name, (address, view) in pages.items()
        ]
        return [*own, *super().get_urls()]

    @method_decorator(require_safe)
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        return super().changelist_view(request, extra_context)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> Any:
        return StartView.as_view(model_admin=self)(request)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        if request.method == "POST":
            edition = self.get_object(request, unquote(object_id))
            if edition and self.has_change_permission(request, edition):
                revisions.store_first(edition)
        return super().change_view(request, object_id, form_url, extra_context)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        if request.method == "POST" and object_id and (refusal := self._refuse_save(request, object_id)):
            return refusal
        response = super().changeform_view(request, object_id, form_url, extra_context)
        if not revisions.stored_draft(request):
            response = conflict_page(self, request, response)
        return response

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        if request.method != "POST":
            return super().delete_view(request, object_id, extra_context)
        with transaction.atomic():
            find_locked(self, request, object_id)
            return super().delete_view(request, object_id, extra_context)

    @method_decorator(require_safe)
    def history_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        edition = self.get_object(request, unquote(object_id))
        if edition is None:  # If it had revisions, they are in the list of deleted drafts.
            return redirect_missing(self, request, object_id)
        rows = revisions.revision_rows(edition)
        context = {"revisions": rows, "restorable": self.has_change_permission(request, edition)}
        # Django's own page, because that of django-reversion reads the text of every revision.
        return admin.ModelAdmin.history_view(self, request, object_id, context | (extra_context or {}))

    def revision_view(
        self, request: HttpRequest, object_id: str, version_id: str, extra_context: dict[str, Any] | None = None
    ) -> Any:
        page = partial(super().revision_view, request, object_id, version_id)
        return revisions.show_revision(self, request, object_id, version_id, page)

    def recoverlist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        return super().recoverlist_view(request, {"rows": revisions.deleted_rows()} | (extra_context or {}))

    def recover_view(self, request: HttpRequest, version_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        return revisions.recover(self, request, version_id, partial(super().recover_view, request, version_id))

    @contextmanager
    def create_revision(self, request: HttpRequest) -> Iterator[None]:
        """Context manager: for POST, run the block in a transaction, and store what it saves as a revision of this
        user. For any other method, the block must not save anything; no revision is stored and no transaction is begun.

        django-reversion stores the comment in the words of the writer's language. Here data replaces that comment.
        """
        if request.method != "POST":
            yield
        else:
            with super().create_revision(request):
                yield
                if comment := getattr(request, "agreement_comment", ""):
                    reversion.set_comment(comment)

    def log_addition(self, request: HttpRequest, object: Any, message: Any) -> LogEntry:  # noqa: A002
        return self._logged(request, super().log_addition(request, object, message))

    def log_change(self, request: HttpRequest, object: Any, message: Any) -> LogEntry:  # noqa: A002
        return self._logged(request, super().log_change(request, object, message))

    def _logged(self, request: HttpRequest, entry: LogEntry) -> LogEntry:
        """Remember the message of that entry in the request, as data for the comment of the revision, and return the
        entry. If the request restores a revision, the comment states that instead.
        """
        at = revisions.restored_at(request)
        request.agreement_comment = comments.restored(at) if at else entry.change_message  # type: ignore[attr-defined]
        return entry

    def _refuse_save(self, request: HttpRequest, object_id: str) -> HttpResponse | None:
        """Lock the agreement of the draft. Return the response that refuses the save; ``None`` if it is not refused
        here.

        The save is refused if the draft was published (status 409), or if the user may not change drafts (403, also for
        a published edition). The response is a page that displays the posted texts that differ from the stored ones. If
        the draft does not exist, the response is that of :func:`missing_draft`; ``None`` for a user who may not change
        drafts, because Django then refuses the request.
        """
        edition = find_locked(self, request, object_id)
        if self.has_change_permission(request, edition):
            return None if edition else missing_draft(self, request, object_id)
        if edition is None:
            return None
        if edition.published_at and self.has_change_permission(request):
            sentence = gettext("%(edition)s was published: nothing was saved.") % {"edition": edition}
            hint = gettext("A published edition never changes. Copy your text into a new draft.")
            texts = posted_texts(request, edition)
            return refuse(self, request, edition, sentence, hint, unsaved_texts=texts)
        return refuse_edit(self, request, edition)

    # The columns of the list and of the pages.

    def get_queryset(self, request: HttpRequest) -> Any:
        rows: Any = super().get_queryset(request)
        return rows.with_successors().select_related("agreement")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return EditionChangeList

    @admin.display(description=_("edition"), ordering="number")
    def name(self, edition: Edition) -> str:
        return str(edition)

    @admin.display(description=_("state"))
    def badge(self, edition: Edition) -> SafeString:
        state = edition.state()
        badge = format_html('<span class="agreement-state agreement-{}">{}</span>', state.value, state.label)
        return format_html("{} {}", badge, hand_over_badge(edition))

    def get_list_display(self, request: HttpRequest) -> Any:
        """Return the columns of the list; without the notices for users who may not view them."""
        hidden = set() if request.user.has_perm("agreement.view_notice") else {"sending"}
        return [column for column in super().get_list_display(request) if column not in hidden]

    @admin.display(description=_("notice"), empty_value="")
    def sending(self, edition: Edition) -> SafeString:
        return edition_notices(edition, self.admin_site.name)

    @admin.display(description=_("effective from"), ordering="effective_from")
    def from_moment(self, edition: Edition) -> str:
        return moment(edition.effective_from, edition.agreement.time_zone)

    @admin.display(description=_("was to take effect"))
    def planned_moment(self, edition: Edition) -> str:
        return self.from_moment(edition)

    @admin.display(description=_("in force until"))
    def until_moment(self, edition: Edition) -> str:
        until = None if edition.cancelled_at or not edition.published_at else edition.successor_from()
        return moment(until, edition.agreement.time_zone)

    @admin.display(description=pgettext_lazy("heading", "in force"), ordering="effective_from")
    def binds(self, edition: Edition) -> SafeString | str:
        if not edition.effective_from or edition.cancelled_at:
            return "—"
        until = edition.successor_from()
        return format_html("{} –<br>{}", short_moment(edition.effective_from), short_moment(until) if until else "")

    @admin.display(description=_("published"))
    def published_moment(self, edition: Edition) -> str:
        return moment(edition.published_at, edition.agreement.time_zone)

    @admin.display(description=_("recorded"))
    def recorded_moment(self, edition: Edition) -> str:
        return moment(edition.recorded_at, edition.agreement.time_zone)

    @admin.display(description=_("imported history"))
    def history(self, edition: Edition) -> object:
        return stated_in_words("imported", edition.imported)

    @admin.display(description=_("cancelled"))
    def cancelled_moment(self, edition: Edition) -> str:
        return moment(edition.cancelled_at, edition.agreement.time_zone)

    def view_on_site(self, edition: Edition) -> str | None:
        """Return the path of the public page of a published edition; ``None`` for a draft, or if the site does not
        include the app's URLs.
        """
        return public_address(edition)

    def get_fieldsets(self, request: HttpRequest, obj: Edition | None = None) -> Any:
        if obj is None or self.has_change_permission(request, obj):
            return super().get_fieldsets(request, obj)
        names = ["planned_moment" if obj.cancelled_at and fact == "from_moment" else fact for fact in self.facts]
        facts = [(_("Facts"), {"fields": names})] if obj.published_at else []
        return [*facts, *_fieldsets(DISPLAYED_PAIRS, DISPLAYED_STATED)]

    def get_readonly_fields(self, request: HttpRequest, obj: Edition | None = None) -> Any:
        if obj and not self.has_change_permission(request, obj):
            return flatten_fieldsets(self.get_fieldsets(request, obj))
        # The agreement of a draft can't be changed, because publication locks only that agreement.
        return ["agreement"] if obj else []

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> Any:
        edition: Edition | None = context["original"]
        context["show_save_and_add_another"] = False
        if edition:
            context |= self._edition_context(request, edition)
            if edition.published_at:
                context |= self._published_context(request, edition)
            url_name = request.resolver_match and request.resolver_match.url_name
            if url_name and url_name != "agreement_edition_recover":
                if not revisions.stored_draft(request):
                    # The title of Django, "Change …", is not grammatical in languages with cases.
                    context["title"] = gettext("Edition") if edition.published_at else gettext("Draft")
                if self.has_change_permission(request, edition):
                    context |= writing_context(request, edition)
        return super().render_change_form(request, context, *args, **kwargs)

    def _edition_context(self, request: HttpRequest, edition: Edition) -> dict[str, Any]:
        """Return the template context with what the user may do with the edition now, its hand-over, and who may do
        what the state of the edition allows and the user may not. ``correctable`` means that the edition is in force.
        """
        state, may_publish, may_cancel = edition.state(), may(self, request, "publish"), may(self, request, "cancel")
        able = {
            "change_edition": self.has_change_permission(request, edition),
            "delete_edition": self.has_delete_permission(request, edition),
            "publish_edition": may_publish,
            "cancel_edition": may_cancel,
        }
        denied = {codename for codename, allowed in able.items() if not allowed}
        return {
            "may_publish": state == State.DRAFT and may_publish,
            "may_hand_over": state == State.DRAFT and able["change_edition"],
            **hand_over_context(edition),
            "may_cancel": state == State.SCHEDULED and may_cancel,
            "may_sign": bool(edition.published_at) and may(self, request, "sign"),
            "may_begin": bool(edition.published_at) and self.has_add_permission(request),
            "correctable": state == State.IN_FORCE,
            "denied_actions": denied_actions(edition, codenames=denied),
        }

    def _published_context(self, request: HttpRequest, edition: Edition) -> dict[str, Any]:
        """Return the template context of a published edition: the chart of acceptances (``None`` if there are none);
        the signatures of officials; if the user may view notices, the progress of its notices and whether the user may
        pause and resume them; and the unsaved texts of this user that are not empty and differ from the edition.
        """
        context: dict[str, Any] = {"chart": acceptance_chart(edition), "signatures": signatures_of(edition)}
        if request.user.has_perm("agreement.view_notice"):
            context["notices"] = [notice_progress(notice) for notice in edition.notices.order_by("pk")]
            context["may_pause"] = request.user.has_perm("agreement.pause_notice")
            context["may_resume"] = request.user.has_perm("agreement.resume_notice")
        if autosave := unsaved(request, edition):
            context["unsaved_texts"] = [
                UnsavedText(name.rpartition("_")[2], label(name), text)
                for name in WRITTEN_FIELDS
                if (text := autosave.fields.get(name)) and text != getattr(edition, name)
            ]
        return context

    # Permissions.

    def has_change_permission(self, request: HttpRequest, obj: Edition | None = None) -> bool:
        return bool(super().has_change_permission(request, obj)) and not (obj and obj.published_at)

    def has_delete_permission(self, request: HttpRequest, obj: Edition | None = None) -> bool:
        return bool(super().has_delete_permission(request, obj)) and not (obj and obj.published_at)

    # The form, saving and deletion.

    def get_form(  # type: ignore[override]  # the parameters of TranslationAdmin
        self, request: HttpRequest, obj: Edition | None = None, **kwargs: Any
    ) -> Any:
        form: Any = super().get_form(request, obj, **kwargs)
        form.stored_draft = revisions.stored_draft(request)
        if obj and "autosave" in request.GET and request.method == "GET":
            form.autosave = unsaved(request, obj)
        return form

    def formfield_for_dbfield(self, db_field: AnyField, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        name, _separator, code = db_field.name.rpartition("_")
        if field and name in TEXT_FIELDS:
            field.label = capfirst(label(db_field.name))
            field.widget.attrs |= {"lang": code, "spellcheck": "true"}
            if name == "body":
                field.widget.attrs |= {"rows": 32, "class": "agreement-source"}
            elif name == "summary":
                field.widget.attrs |= {"rows": 5}
        return field

    def formfield_for_choice_field(self, db_field: AnyField, request: HttpRequest, **kwargs: Any) -> Any:
        """Return the form field. Its empty choice is a valid answer, and has the label "none stated"."""
        kwargs["choices"] = db_field.get_choices(blank_choice=[("", _("none stated"))])
        return super().formfield_for_choice_field(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: Edition, form: EditionForm, change: object) -> None:
        super().save_model(request, obj, form, change)
        match = request.resolver_match
        recovered = match is not None and match.url_name == "agreement_edition_recover"
        # A recovered draft is logged even if it is unchanged, because the last entry about it states that it was
        # deleted.
        log_written(request, obj, previous=form.stored_fingerprint if change and not recovered else None)
        if fingerprint(obj) != form.stored_fingerprint and HandOver.objects.forget_ready(obj):
            message = gettext("The draft was changed, so it is no longer marked as ready to publish.")
            self.message_user(request, message, messages.WARNING)

    def response_change(self, request: HttpRequest, obj: Edition) -> HttpResponse:
        """Return the redirect after a save. A restored revision leads to its draft. If ``_next`` is posted as
        ``publish`` or ``hand_over``, the redirect leads to the page that publishes the draft or hands it over.
        Otherwise it is the redirect of Django's admin.
        """
        if at := revisions.restored_at(request):
            message = comments.restored_in_words(at, obj.agreement.time_zone)
            return redirect_to_edition(self, request, obj, message)
        response: HttpResponse = super().response_change(request, obj)
        page = request.POST.get("_next")
        if page in {"publish", "hand_over"}:
            return HttpResponseRedirect(
                reverse(f"{self.admin_site.name}:agreement_edition_{page}", args=[quote(obj.pk)])
            )
        return response

    def delete_model(self, request: HttpRequest, obj: Edition) -> None:
        AuditEntry.objects.log(AuditAction.DELETED, on=obj, by=request.user, digest=fingerprint(obj))
        super().delete_model(request, obj)
