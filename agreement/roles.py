"""The three ready groups, and who may do what.

Every ``migrate`` makes the groups that are missing and gives them the permissions they lack; it takes none away and
touches no other group. A site that wants other roles makes groups of its own.
"""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission
from django.core.exceptions import FieldDoesNotExist
from django.db import router
from django.utils.translation import gettext_lazy as _

AUTHORS, PUBLISHERS, PRIVACY_OFFICERS = "agreement authors", "agreement publishers", "agreement privacy officers"
#: Group → the codenames of its permissions; those of models that a version lacks are passed over.
ROLES: dict[str, tuple[str, ...]] = {
    AUTHORS: (
        *("view_agreement", "view_edition", "add_edition", "change_edition", "delete_edition"),
        "view_act",
    ),
    PUBLISHERS: (
        *("view_agreement", "view_edition", "publish_edition", "cancel_edition"),
        *("view_notice", "pause_notice", "resume_notice", "resend_notice", "view_act"),
    ),
    PRIVACY_OFFICERS: (
        *("view_acceptance", "add_acceptance", "view_consent", "add_consent", "view_withdrawal", "add_withdrawal"),
        *("view_legalhold", "add_legalhold", "change_legalhold"),
        "export_evidence",
    ),
}
#: The groups by their names in the reader's language.
NAMES = {
    AUTHORS: _("authors of agreements"),
    PUBLISHERS: _("publishers of agreements"),
    PRIVACY_OFFICERS: _("privacy officers"),
}
#: How many people a page names before it says "and others".
NAMED = 5


def make_groups(*, using: str) -> None:
    """The three groups with their permissions; harmless to repeat."""
    if not all(router.allow_migrate_model(using, model) for model in (Group, Permission)):
        return
    # Our post_migrate receiver may stand before the one of django.contrib.auth.
    create_permissions(apps.get_app_config("agreement"), verbosity=0, using=using)
    known = {
        permission.codename: permission
        for permission in Permission.objects.using(using).filter(content_type__app_label="agreement")
    }
    for name, codenames in ROLES.items():
        group, _made = Group.objects.using(using).get_or_create(name=name)
        group.permissions.add(*(known[codename] for codename in codenames if codename in known))


def who_may(codename: str) -> tuple[list[str], bool]:
    """The names of active staff who have that permission of ours, and whether there are more of them (1 query).

    Empty where the site's users come with a manager or fields of their own kind: then only its groups can be named.
    """
    users = get_user_model()
    manager: Any = users._default_manager
    if not hasattr(manager, "with_perm"):
        return [], False
    try:
        users._meta.get_field("is_staff")
    except FieldDoesNotExist:
        return [], False
    backend = "django.contrib.auth.backends.ModelBackend"
    # Staff first: among a hundred thousand users they are few, and only theirs are looked up.
    able = manager.with_perm(f"agreement.{codename}", backend=backend).filter(is_staff=True)
    people = list(able.order_by("pk")[: NAMED + 1])
    names = [getattr(user, "get_full_name", str)() or user.get_username() for user in people[:NAMED]]
    return names, len(people) > NAMED


def groups_that_may(codename: str) -> list[str]:
    """The ready groups with that permission, in the reader's language."""
    return [str(NAMES[name]) for name, codenames in ROLES.items() if codename in codenames]
