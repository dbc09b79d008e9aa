"""Finds out who may do what the user of a page may not do with an edition or a notice."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from agreement.groups import groups_with, staff_with
from agreement.models import Edition
from agreement.models.succession import State

#: The actions that an edition allows, by its state: the permission and the translated name of each.
STATE_ACTIONS = {
    State.DRAFT: (
        ("change_edition", _("edit this draft")),
        ("delete_edition", _("delete this draft")),
        ("publish_edition", _("publish this draft")),
    ),
    State.SCHEDULED: (("cancel_edition", _("cancel this edition")),),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeniedAction:
    """An action that the user may not do, with the groups and the people who may."""

    action: str
    groups: str
    people: str


def denied_actions(edition: Edition, *, codenames: set[str]) -> list[DeniedAction]:
    """Return the actions on this edition that the user may not do. ``codenames`` are the permissions they lack; those
    without a use in the state of the edition are ignored. 1 query for each returned action.
    """
    actions = STATE_ACTIONS.get(edition.state(), ())
    return explain_denied((codename, action) for codename, action in actions if codename in codenames)


def explain_denied(actions: Iterable[tuple[str, object]]) -> list[DeniedAction]:
    """Return who may do each of these denied actions, which are pairs of a permission's codename and a translated name.
    1 query for each action.
    """
    found = []
    for codename, action in actions:
        names, more = staff_with(codename)
        people = ", ".join(names)
        people = gettext("%(people)s and others") % {"people": people} if more else people
        groups = ", ".join(groups_with(codename))
        found.append(DeniedAction(action=str(action), groups=groups, people=people))
    return found
