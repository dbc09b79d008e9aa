"""The three ready groups and their permissions.

:func:`make_groups` runs after ``migrate``. It removes no permission and changes no other group. A site that needs other
groups makes its own.
"""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission
from django.core.exceptions import FieldDoesNotExist
from django.db import router
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

__all__ = ["AUTHORS", "GROUP_NAMES", "PRIVACY_OFFICERS", "PUBLISHERS"]

AUTHORS, PUBLISHERS, PRIVACY_OFFICERS = "agreement authors", "agreement publishers", "agreement privacy officers"
#: The codenames of the permissions of each group.
GROUP_PERMISSIONS: dict[str, tuple[str, ...]] = {
    AUTHORS: (
        *("view_agreement", "view_edition", "add_edition", "change_edition", "delete_edition"),
        "view_auditentry",
    ),
    PUBLISHERS: (
        *("view_agreement", "view_edition", "publish_edition", "cancel_edition", "sign_edition"),
        *("view_notice", "view_noticetext", "pause_notice", "resume_notice", "resend_notice", "view_unreached"),
        "view_auditentry",
    ),
    PRIVACY_OFFICERS: (
        *("view_acceptance", "add_acceptance", "view_consent", "add_consent", "view_withdrawal", "add_withdrawal"),
        "view_decline",
        *("view_legalhold", "add_legalhold", "change_legalhold"),
        *("view_notice", "view_noticetext", "pause_notice", "resume_notice", "view_delivery", "view_unreached"),
        *("view_breach", "add_breach", "change_breach", "delete_breach", "notify_breach"),
        "export_evidence",
    ),
}
#: The name of each group for a page, translated.
GROUP_NAMES = {
    AUTHORS: _("authors of agreements"),
    PUBLISHERS: _("publishers of agreements"),
    PRIVACY_OFFICERS: _("privacy officers"),
}
#: How many people a page names; it writes "and others" for the rest.
MAX_NAMES = 5


def make_groups(*, using: str) -> None:
    """Make the three groups, unless they exist, and give them their missing permissions. The permissions of the app are
    created first, if they are missing. ``using`` is the alias of the database. Nothing is done if the database routers
    keep groups or permissions out of it.
    """
    if not all(router.allow_migrate_model(using, model) for model in (Group, Permission)):
        return
    # This receiver of post_migrate may run before the one of django.contrib.auth, which creates the permissions.
    create_permissions(apps.get_app_config("agreement"), verbosity=0, using=using)
    permissions = {
        permission.codename: permission
        for permission in Permission.objects.using(using).filter(content_type__app_label="agreement")
    }
    for name, codenames in GROUP_PERMISSIONS.items():
        group, _made = Group.objects.using(using).get_or_create(name=name)
        group.permissions.add(*(permissions[codename] for codename in codenames if codename in permissions))


def staff_with(codename: str) -> tuple[list[str], bool]:
    """The names of at most ``MAX_NAMES`` active staff with that permission of this app, in the order of their primary
    keys, and whether there are more of them. Superusers are included. A name is the full name or, if it is empty, the
    user name. ``codename`` is such as ``publish_edition``. 1 query.

    If the site's user manager has no ``with_perm`` or its user model no ``is_staff``, no query is made, the list is
    empty, and the second value is ``False``.
    """
    able = staff_able(codename)
    people = [] if able is None else list(able.order_by("pk")[: MAX_NAMES + 1])
    names = [getattr(user, "get_full_name", str)() or user.get_username() for user in people[:MAX_NAMES]]
    return names, len(people) > MAX_NAMES


def staff_able(codename: str, *, superusers: bool = True) -> QuerySet[Any] | None:
    """The active staff to whom Django's ``ModelBackend`` gives that permission of this app, such as
    ``publish_edition``, themselves or by a group. Permissions of other backends are not considered. Superusers are
    included unless ``superusers`` is false. ``None`` if the site's user manager has no ``with_perm`` or its user model
    no ``is_staff``. The queryset is not evaluated.
    """
    users = get_user_model()
    manager: Any = users._default_manager  # A site's manager may lack with_perm.
    if not hasattr(manager, "with_perm"):
        return None
    try:
        users._meta.get_field("is_staff")
    except FieldDoesNotExist:
        return None
    backend = "django.contrib.auth.backends.ModelBackend"
    # Staff are few among the users, so filtering by them first makes the query fast.
    able: QuerySet[Any] = manager.with_perm(
        f"agreement.{codename}", backend=backend, include_superusers=superusers
    ).filter(is_staff=True)
    return able


def groups_with(codename: str) -> list[str]:
    """The names, in the active language, of the ready groups of the app that have that permission by default.
    ``codename`` is such as ``publish_edition``. It makes no query.
    """
    return [str(GROUP_NAMES[name]) for name, codenames in GROUP_PERMISSIONS.items() if codename in codenames]
