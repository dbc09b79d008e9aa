"""What the reader of a page may not do with an edition or a notice, and who may."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from agreement.groups import groups_with, staff_with
from agreement.models import Edition
from agreement.models.succession import State

#: Permission and name of each action that an edition in that state allows.
STATE_ACTIONS = {
    State.DRAFT: (
        ("change_edition", _("write this draft")),
        ("delete_edition", _("delete this draft")),
        ("publish_edition", _("publish this draft")),
    ),
    State.SCHEDULED: (("cancel_edition", _("cancel this edition")),),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeniedAction:
    """An action that the reader may not do, and the groups and people who may."""

    action: str
    groups: str
    people: str


def denied_actions(edition: Edition, *, codenames: set[str]) -> list[DeniedAction]:
    """Those of the denied permissions that matter in the state of that edition. 1 query each."""
    actions = STATE_ACTIONS.get(edition.state(), ())
    return explain_denied((codename, action) for codename, action in actions if codename in codenames)


def explain_denied(actions: Iterable[tuple[str, object]]) -> list[DeniedAction]:
    """Who may do each of these denied actions, given as (permission, name). 1 query each."""
    found = []
    for codename, action in actions:
        names, more = staff_with(codename)
        people = ", ".join(names)
        people = gettext("%(people)s and others") % {"people": people} if more else people
        groups = ", ".join(groups_with(codename))
        found.append(DeniedAction(action=str(action), groups=groups, people=people))
    return found
