"""The log of acts, read-only; what a reader may not do, and who may."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from agreement import conf, roles
from agreement.admin.notices import Filtered, FirstThousand, ReadOnly, moment
from agreement.models import Act, Edition
from agreement.models.editions import State

if TYPE_CHECKING:
    ActModelAdmin = admin.ModelAdmin[Act]
    AnyModelAdmin = admin.ModelAdmin[Any]
else:
    ActModelAdmin = AnyModelAdmin = admin.ModelAdmin

#: What can be done with an edition in a state: the permission, and what it is called.
ACTS = {
    State.DRAFT: (
        ("change_edition", _("write this draft")),
        ("delete_edition", _("delete this draft")),
        ("publish_edition", _("publish this draft")),
    ),
    State.SCHEDULED: (("cancel_edition", _("cancel this edition")),),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """Something the reader may not do with an edition, and who may."""

    act: str
    groups: str
    people: str


def rights(request: HttpRequest, edition: Edition, *, denied: set[str]) -> list[Right]:
    """What the reader may not do with that edition as it stands; ``denied`` are codenames. 1 query each."""
    found = []
    for codename, act in ACTS.get(edition.state(), ()):
        if codename in denied:
            names, more = roles.who_may(codename)
            people = ", ".join(names)
            people = gettext("%(people)s and others") % {"people": people} if more else people
            found.append(Right(act=str(act), groups=", ".join(roles.groups_that_may(codename)), people=people))
    return found


class Watched(AnyModelAdmin):
    """Rows with personal data: every look at a list or a row is an act in the log."""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        answer = super().changelist_view(request, extra_context)
        if answer.status_code == 200:
            looked = self.model()
            looked.pk = ""
            Act.objects.log(Act.Kind.VIEWED, on=looked, by=request.user, note=request.GET.urlencode())
        return answer

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        found = super().get_object(request, object_id, from_field)
        if found is not None and self.has_view_or_change_permission(request, found):
            Act.objects.log(Act.Kind.VIEWED, on=found, by=request.user)
        return found


@admin.register(Act)
class ActAdmin(ReadOnly, Filtered, ActModelAdmin):
    list_display = ["when", "kind", "by", "subject", "note"]
    list_filter = ["kind"]
    search_fields = ["by", "agreement"]
    list_per_page = 50
    ordering = ["-pk"]
    sortable_by = ()
    paginator = FirstThousand
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    actions = None
    fields = ["when", "kind", "by", "account", "subject", "digest", "note"]

    @admin.display(description=_("when"))
    def when(self, act: Act) -> str:
        return moment(act.at, conf.time_zone())

    @admin.display(description=_("about"))
    def subject(self, act: Act) -> str:
        return act.about
