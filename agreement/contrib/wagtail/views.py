"""Pages in Wagtail's admin: the list of editions, which is read-only, and the form of a link to a clause."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import F, QuerySet
from django.http import HttpRequest
from django.urls import NoReverseMatch, path, reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from wagtail.admin.admin_url_finder import ModelAdminURLFinder
from wagtail.admin.auth import user_passes_test
from wagtail.admin.modal_workflow import render_modal_workflow
from wagtail.admin.ui.tables import Column, TitleColumn
from wagtail.admin.views import generic
from wagtail.admin.viewsets.base import ViewSet
from wagtail.permission_policies import ModelPermissionPolicy

from agreement.contrib.wagtail.blocks import agreements, find_clause
from agreement.editions.timeline import current_timelines
from agreement.models import Edition
from agreement.models.succession import State


def desk_url(edition: Edition) -> str | None:
    """The path of the page of the edition in Django's admin; ``None`` if the site does not include this page."""
    try:
        return reverse("admin:agreement_edition_change", args=[edition.pk])
    except NoReverseMatch:
        return None


def state(edition: Edition) -> str:
    """The state of the edition now, in words in the active language. It makes no query, unless the dates of the
    editions must be read.
    """
    timeline = current_timelines().containing(edition.pk)
    dated = timeline and next(one for one in timeline.editions if one.pk == edition.pk)
    found = timeline.state(dated, timezone.now()) if timeline and dated else State.DRAFT
    return str(found.label)


class EditionURLFinder(ModelAdminURLFinder):
    """Finds the page of an edition in Django's admin (:func:`desk_url`), for the links in Wagtail's reports."""

    def construct_edit_url(self, instance: Edition) -> str | None:
        return desk_url(instance)


class EditionsView(generic.IndexView):
    model = Edition
    page_title = _("User agreements")
    header_icon = "doc-full"
    permission_policy = ModelPermissionPolicy(Edition)
    paginate_by = 50
    columns = [
        TitleColumn("title", label=_("edition"), accessor=str, get_url=desk_url),
        Column("agreement", label=_("user agreement"), accessor="agreement.name"),
        Column("state", label=_("state"), accessor=state),
        Column("effective_from", label=_("effective from"), sort_key="effective_from"),
    ]

    def get_base_queryset(self) -> QuerySet[Edition]:
        """Return all editions: first the drafts, then the others by their moment of effect, the latest first."""
        return Edition.objects.select_related("agreement").order_by(F("effective_from").desc(nulls_first=True), "-pk")


class EditionViewSet(ViewSet):
    """The list of editions in the menu of Wagtail's admin, and the form of a link to a clause. Nothing can be added,
    changed or deleted here. Only users with a permission for editions see the list in the menu.
    """

    name = "agreement_wagtail"
    url_prefix = "agreements"
    icon = "doc-full"
    menu_label = _("User agreements")
    add_to_admin_menu = True
    menu_order = 800

    def get_urlpatterns(self) -> list[Any]:
        view = self.construct_view(EditionsView, index_url_name=self.get_url_name("index"))
        return [path("", view, name="index"), path("clause-link/", clause_link, name="clause_link")]

    def get_menu_item(self, order: int | None = None) -> Any:
        item = super().get_menu_item(order)
        policy, actions = EditionsView.permission_policy, EditionsView.any_permission_required
        item.is_shown = lambda request: policy.user_has_any_permission(request.user, actions)
        return item


class ClauseForm(forms.Form):
    agreement = forms.ChoiceField(label=_("User agreement"), choices=agreements)
    number = forms.CharField(
        label=_("Number of the clause"),
        help_text=_("As in the text of the agreement, for example 2.3."),
        max_length=48,
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("agreement") and cleaned.get("number"):
            try:
                self.citation = find_clause(cleaned["number"], cleaned["agreement"])
            except ValidationError as error:
                self.add_error("number", error)
        return cleaned


@user_passes_test(lambda user: user.has_perm("wagtailadmin.access_admin"))
def clause_link(request: HttpRequest) -> Any:
    """The form in which an editor chooses the clause that a link leads to, as JSON for ``clause_link.js``. If the
    posted form is valid, the response contains the agreement, the number, the path and the label of the clause instead.
    """
    form = ClauseForm(request.POST or None, initial=request.GET.dict())
    if form.is_valid():
        result = {
            "agreement": form.cleaned_data["agreement"],
            "number": form.citation.number,
            "url": form.citation.path,
            "title": form.citation.label,
        }
        return render_modal_workflow(request, None, json_data={"step": "chosen", "result": result})
    context = {"form": form, "action": request.path}
    return render_modal_workflow(
        request, "agreement_wagtail/clause_link.html", None, context, json_data={"step": "form"}
    )
