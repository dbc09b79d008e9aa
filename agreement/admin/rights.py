"""Finds out who may do what the user of a page may not do. No permission is changed."""

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
    """An action that the user may not do, with those who may, in the language of the page.

    ``groups`` names the groups of :mod:`agreement.groups`, which the app creates, that have the permission by default.
    ``people`` names some of the active staff who have the permission, superusers too, and adds "and others" if there
    are more. Each is ``""`` if none are found.
    """

    action: str
    groups: str
    people: str


def denied_actions(edition: Edition, *, codenames: set[str]) -> list[DeniedAction]:
    """Return the actions that the present state of this edition allows, but not to the user, each with those who may do
    it. ``codenames`` are the permissions that the user lacks; those without a use in that state are ignored. The list
    is empty for an edition that is neither a draft nor scheduled. At most 1 query for each returned action, and 1 for
    the state of an edition that was not read with ``with_successors()``.
    """
    actions = STATE_ACTIONS.get(edition.state(), ())
    return explain_denied((codename, action) for codename, action in actions if codename in codenames)


def explain_denied(actions: Iterable[tuple[str, object]]) -> list[DeniedAction]:
    """Return a :class:`DeniedAction` for each of these actions, in the same order: its name, and the groups and the
    people who may do it. The actions are pairs of a permission's codename and a translated name. At most 1 query for
    each action.
    """
    found = []
    for codename, action in actions:
        names, more = staff_with(codename)
        people = ", ".join(names)
        people = gettext("%(people)s and others") % {"people": people} if more else people
        groups = ", ".join(groups_with(codename))
        found.append(DeniedAction(action=str(action), groups=groups, people=people))
    return found
