"""What the lists and pages of the desk have in common: who may write, what is looked up, counted and logged."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.contrib.admin.widgets import AdminSplitDateTime
from django.contrib.auth import get_user_model
from django.core.exceptions import BadRequest, ValidationError
from django.core.handlers.exception import response_for_exception
from django.core.paginator import Paginator
from django.db import DataError, models, transaction
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.functional import cached_property
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _

from agreement import dates
from agreement.models import Act, Edition

if TYPE_CHECKING:
    AnyModelAdmin = admin.ModelAdmin[Any]
    AnyPaginator = Paginator[Any]
else:
    AnyModelAdmin = admin.ModelAdmin
    AnyPaginator = Paginator

#: The columns of an edition no list shows: as long as the text itself.
LONG = tuple(f"{name}{suffix}" for name in ("body", "summary") for suffix in ("", "_kk", "_ru"))


class ReadOnly:
    """Nobody adds, changes or deletes, superusers included."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class Filtered(AnyModelAdmin):
    """A list whose filters are typed by hand: one no database can look for is a bad request, not a fault."""

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        try:
            return super().get_changelist_instance(request)
        except (DataError, OverflowError, ValueError) as error:  # Too large a number, a year without dates, NUL.
            raise BadRequest(f"The list can't be filtered by {request.GET.urlencode()!r}: {error}.") from error

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """No pattern: one that is wrong is a fault on SQLite, and one that is cunning keeps the database at it."""
        return not lookup.endswith("regex") and super().lookup_allowed(lookup, value, request)


def language() -> str:
    """The language of the page, without its region."""
    return (get_language() or "en").partition("-")[0]


def moment(at: datetime | None, zone: str, case: dates.Case = "nominative") -> str:
    """The instant in the reader's language; a dash where there is none."""
    return dates.instant(at, language(), zone, case) if at else "—"


def public_address(edition: Edition) -> str | None:
    """The public page of a published edition, where the site has mounted it: whoever may look at all may see it."""
    try:
        return reverse("agreement:edition", args=[edition.agreement.slug, edition.number]) if edition.number else None
    except NoReverseMatch:
        return None


def yes_or_no(value: object) -> str:
    """Instead of Django's pictures, whose words are English in every language."""
    return "—" if value is None else gettext("yes") if value else gettext("no")


class SpokenDateTime(AdminSplitDateTime):
    """Django's, with a name to be read out for each of its two inputs."""

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        for widget, called in zip(context["widget"]["subwidgets"], (gettext("Date"), gettext("Time")), strict=True):
            widget["attrs"]["aria-label"] = called
        return context


#: For ``formfield_overrides``: moments that are typed.
SPOKEN: Any = {models.DateTimeField: {"form_class": forms.SplitDateTimeField, "widget": SpokenDateTime}}


class FirstThousand(AnyPaginator):
    """Reads at most a thousand keys to know how many pages there are; filters lead to the rest."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return len(rows.values_list("pk", flat=True)[:1000])


class Endless(Filtered):
    """A list of as many rows as a ledger has: the newest first, never sorted otherwise and never counted."""

    list_per_page = 50
    ordering = ("-pk",)
    sortable_by = ()
    paginator = FirstThousand
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    actions = None


class OfPeople(AnyModelAdmin):
    """A list of rows about people, looked for by a user's name or key: an index look-up each, among however many."""

    search_fields = ("pk",)  # See found.
    search_help_text = _("The name or the key of a user, also of a deleted one.")

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        return queryset.filter(pk__in=self.found(search_term)) if search_term else queryset, False

    def found(self, term: str) -> set[int]:
        """The keys of the rows looked for, a thousand of each user at most."""
        users: Any = get_user_model()
        keys = list(users._default_manager.filter(**{users.USERNAME_FIELD: term}).values_list("pk", flat=True))
        with suppress(ValidationError):  # A name that is no key.
            keys.append(users._meta.pk.to_python(term))
        rows: Any = self.model._default_manager
        return {pk for key in keys for pk in rows.of(key).values_list("pk", flat=True)[:1000]}


class Watched(AnyModelAdmin):
    """Rows with personal data: every look at a list or a row is an act in the log, and so is every search for one,
    whatever comes of it.
    """

    class Media:
        css = {"all": ["agreement/admin.css"]}

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        if self.has_view_or_change_permission(request):
            looked = self.model()
            looked.pk = ""
            Act.objects.log(Act.Kind.VIEWED, on=looked, by=request.user, note=request.GET.urlencode())
        try:
            with transaction.atomic():
                return super().changelist_view(request, extra_context)
        except BadRequest as error:  # An answer: a site that rolls back what fails keeps the act.
            return response_for_exception(request, error)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        found = super().get_object(request, object_id, from_field)
        if found is not None and self.has_view_or_change_permission(request, found):
            Act.objects.log(Act.Kind.VIEWED, on=found, by=request.user)
        return found
