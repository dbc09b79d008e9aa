"""The log of acts, read-only; what a reader may not do, and who may."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Case, F, QuerySet, TextField, Value, When
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from agreement import conf, roles
from agreement.admin.tables import Endless, ReadOnly, moment
from agreement.models import Act, Edition
from agreement.models.editions import State

if TYPE_CHECKING:
    ActModelAdmin = admin.ModelAdmin[Act]
else:
    ActModelAdmin = admin.ModelAdmin

#: What can be done with an edition in a state: the permission, and what it is called.
ACTS = {
    State.DRAFT: (
        ("change_edition", _("write this draft")),
        ("delete_edition", _("delete this draft")),
        ("publish_edition", _("publish this draft")),
    ),
    State.SCHEDULED: (("cancel_edition", _("cancel this edition")),),
}

#: The kinds of records whose acts say nothing of a user of the site.
IMPERSONAL = ("agreement", "edition", "notice")


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """Something the reader may not do, and who may."""

    act: str
    groups: str
    people: str


def rights(request: HttpRequest, edition: Edition, *, denied: set[str]) -> list[Right]:
    """What the reader may not do with that edition as it stands; ``denied`` are codenames. 1 query each."""
    return may_not([(codename, act) for codename, act in ACTS.get(edition.state(), ()) if codename in denied])


def may_not(denied: Iterable[tuple[str, object]]) -> list[Right]:
    """Of what is denied, (codename, what it is called), who may. 1 query each."""
    found = []
    for codename, act in denied:
        names, more = roles.who_may(codename)
        people = ", ".join(names)
        people = gettext("%(people)s and others") % {"people": people} if more else people
        found.append(Right(act=str(act), groups=", ".join(roles.groups_that_may(codename)), people=people))
    return found


@admin.register(Act)
class ActAdmin(ReadOnly, Endless, ActModelAdmin):
    list_display = ["when", "kind", "by", "subject", "remark"]
    list_filter = ["kind"]
    search_fields = ["by", "agreement"]
    fields = ["when", "kind", "by", "account", "subject", "digest", "remark"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Act]:
        """With ``remark``: about people it may name them, so only who may see personal data reads it there."""
        rows = super().get_queryset(request)
        remark: Any = F("note")
        if not request.user.has_perm("agreement.view_acceptance"):
            about = When(model__in=IMPERSONAL, then=F("note"))
            remark = Case(about, default=Value(""), output_field=TextField())
        found: QuerySet[Act] = rows.annotate(agreement_remark=remark)
        return found

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """What is not read is not asked for either: ``?note__startswith=`` would spell it out letter by letter."""
        read = request.user.has_perm("agreement.view_acceptance")
        return (read or lookup.partition("__")[0] != "note") and super().lookup_allowed(lookup, value, request)

    @admin.display(description=_("when"))
    def when(self, act: Act) -> str:
        return moment(act.at, conf.time_zone())

    @admin.display(description=Act._meta.get_field("note").verbose_name)
    def remark(self, act: Act) -> str:
        remark = str(act.agreement_remark)  # type: ignore[attr-defined]
        return gettext("report") if remark == "report" else remark

    @admin.display(description=_("about"))
    def subject(self, act: Act) -> str:
        return act.about
