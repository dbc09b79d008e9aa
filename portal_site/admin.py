"""The admin site of the portal. It requires a second factor of the people who may publish or cancel editions, and its
index begins with the agreements.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.admin import AdminSite, ModelAdmin, RelatedFieldListFilter, display
from django.contrib.admin.utils import unquote
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.models import Group, Permission
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django_otp import DEVICE_ID_SESSION_KEY
from django_otp.models import Device

from agreement.groups import GROUP_NAMES

PUBLISHING = ("agreement.publish_edition", "agreement.cancel_edition")
#: Names of apps and models that their packages do not translate.
NAMES = {
    "otp_static": _("Second factor: codes on paper"),
    "otp_totp": _("Second factor: codes on a telephone"),
    "StaticDevice": _("Static devices"),
    "TOTPDevice": _("TOTP devices"),
}


#: The Kazakh alphabet, which contains the Russian one. By their codes, its own letters would follow all others.
ALPHABET = "аәбвгғдеёжзийкқлмнңоөпрстуұүфхһцчшщъыіьэюя"


def alphabetical(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts names in the order of ``ALPHABET``. Other signs are before its letters."""
    return [(ALPHABET.find(letter), letter) for letter in str(name).lower()]


#: The actions of Django's own permissions, in the words of its buttons.
ACTIONS = {"add": _("Add"), "change": _("Change"), "delete": _("Delete"), "view": _("View")}


def permission_name(permission: Permission) -> str:
    """Return the name of a permission in the active language, such as "User agreements | edition | Add". For a
    permission that is not one of Django's four (add, change, delete, view), the last part is the translation of its own
    name.
    """
    model = permission.content_type.model_class()
    action, _underscore, name = permission.codename.partition("_")
    own = model is None or name != model._meta.model_name or action not in ACTIONS
    return f"{permission.content_type} | {translation.gettext(permission.name) if own else ACTIONS[action]}"


def group_name(group: Group) -> str:
    """Return the name of a group in the active language. A group that the app did not make has its own name."""
    return str(GROUP_NAMES.get(group.name, group.name))


class NamedGroup:
    """A group as the pages of the admin display it: its text is its name in the active language. It has the attributes
    of the group.
    """

    def __init__(self, group: Group) -> None:
        self._group = group

    def __getattr__(self, name: str) -> Any:
        return getattr(self._group, name)

    def __str__(self) -> str:
        return group_name(self._group)


class GroupFilter(RelatedFieldListFilter):
    """The filter of a list by group, with the names of the groups in the active language."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[Any]:
        """Return pairs of the primary key and the name of each group."""
        found: Any = super().field_choices(field, request, model_admin)
        return [(key, str(GROUP_NAMES.get(name, name))) for key, name in found]


class TranslatedAccess(ModelAdmin[Any]):
    """Django's pages of users and groups, with the names of permissions and groups in the active language."""

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        filters = super().get_list_filter(request)
        return [("groups", GroupFilter) if item == "groups" else item for item in filters]

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        field: Any = super().formfield_for_manytomany(db_field, request, **options)
        labels = {Permission: permission_name, Group: group_name}
        if field is not None and db_field.related_model in labels:
            field.label_from_instance = labels[db_field.related_model]
        return field

    def get_list_display(self, request: HttpRequest) -> Any:
        return ["translated_name"] if self.model is Group else super().get_list_display(request)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **options: Any) -> Any:
        if isinstance(context.get("original"), Group):
            named = NamedGroup(context["original"])
            context |= {"original": named, "subtitle": str(named)}
        return super().render_change_form(request, context, *args, **options)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        named = self._named(request, object_id)
        if "object" in named:
            named["title"] = gettext("Change history: %s") % named["object"]
        return super().history_view(request, object_id, named | (extra_context or {}))

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        return super().delete_view(request, object_id, self._named(request, object_id) | (extra_context or {}))

    def _named(self, request: HttpRequest, object_id: str) -> dict[str, Any]:
        """Return the template context that names a group in the active language; empty for other objects."""
        found = self.get_object(request, unquote(object_id)) if self.model is Group else None
        # From Django 6.1 on, the question before a deletion has the name under another key.
        return {"object": NamedGroup(found), "escaped_object": group_name(found)} if found else {}

    @display(description=Group._meta.verbose_name, ordering="name")
    def translated_name(self, group: Group) -> str:
        return group_name(group)


class PortalAdminSite(AdminSite):
    """Django's admin site. While ``SECOND_FACTOR`` is on, a user who may publish or cancel editions, as every superuser
    may, gets no page of it before they have entered the code of their second factor.
    """

    def has_permission(self, request: HttpRequest) -> bool:
        return super().has_permission(request) and not _lacks_second_factor(request)

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Return the login page. A user who is logged in and lacks only the second factor is redirected to its page."""
        if super().has_permission(request) and _lacks_second_factor(request):
            page = request.GET.get(REDIRECT_FIELD_NAME) or reverse("admin:index", current_app=self.name)
            return redirect_to_login(page, reverse("second_factor"))
        return super().login(request, extra_context)

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """Register the models. Django's pages of users and groups get the names of permissions and groups in the
        language of the page, because the database has them in English.
        """
        if admin_class is not None and admin_class.__module__ == "django.contrib.auth.admin":
            admin_class = type(admin_class.__name__, (TranslatedAccess, admin_class), {})
        super().register(model_or_iterable, admin_class, **options)

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[dict[str, Any]]:
        """Return the apps and models of an index that this user may view. The agreements are first. The apps and models
        in ``NAMES`` have the names that it gives, and the models of an app are in the order of the alphabet. The index
        of all apps leaves out the results of tasks, because nobody at the desk needs them: the ledger states what was
        sent.
        """
        found: list[dict[str, Any]] = super().get_app_list(request, app_label)
        for app in found:
            app["name"] = NAMES.get(app["app_label"], app["name"])
            for model in app["models"]:
                model["name"] = NAMES.get(model["object_name"], model["name"])
            app["models"].sort(key=lambda model: alphabetical(model["name"]))
        apps = [app for app in found if app_label or app["app_label"] != "django_tasks_database"]
        return sorted(apps, key=lambda app: app["app_label"] != "agreement")


def _lacks_second_factor(request: HttpRequest) -> bool:
    """Return whether the user needs a second factor and has not used it in this session.

    The middleware of django-otp would answer this too. But it replaces ``request.user``, and AgreementMiddleware would
    then have to load the session of every request of the site.
    """
    if not (settings.SECOND_FACTOR and any(map(request.user.has_perm, PUBLISHING))):
        return False
    stored = request.session.get(DEVICE_ID_SESSION_KEY)
    device = Device.from_persistent_id(stored) if stored else None
    return device is None or device.user_id != request.user.pk or not device.confirmed
