"""Code that the lists, forms and pages of the admin share, such as permissions, filters, the search for users, logged
views, templates and inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import SEARCH_VAR, ChangeList
from django.contrib.admin.widgets import AdminFileWidget
from django.contrib.auth import get_user_model
from django.core.exceptions import BadRequest, FieldDoesNotExist, PermissionDenied, ValidationError
from django.core.handlers.exception import response_for_exception
from django.core.paginator import Paginator
from django.db import DataError, models, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, URLPattern, reverse
from django.utils import timezone, translation
from django.utils.functional import cached_property
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views import View

from agreement import conf
from agreement.acceptance import current_impersonation
from agreement.admin.rights import explain_denied
from agreement.conf import active_language
from agreement.models import AuditEntry, Edition
from agreement.models.audit import AuditAction
from agreement.text import dates

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

ModelT = TypeVar("ModelT", bound=models.Model)

#: The long columns of an edition, which contain its texts. Lists defer them.
TEXT_COLUMNS = tuple(f"{name}{suffix}" for name in ("body", "summary") for suffix in ("", "_kk", "_ru"))


class ReadOnly:
    """Mixin for an admin whose rows no user may add, change or delete there, not even a superuser. Who may view them is
    not changed. A subclass may override one of the methods, for example to let officers add rows.
    """

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


class SafeChangeList(ChangeList):
    """A list that the parameter ``o`` of the URL sorts only by the columns in ``sortable_by``. If the admin does not
    set ``sortable_by``, these are all columns of the list. Django's own list can be sorted by its other columns too,
    because for Django ``sortable_by`` concerns only the links in the headings.
    """

    def get_ordering_field(self, field_name: Any) -> Any:
        if self.sortable_by is not None and field_name not in self.sortable_by:
            return None
        return super().get_ordering_field(field_name)


class TranslatedHistory(admin.ModelAdmin[ModelT]):
    """An admin whose history names changed fields in the language of the reader. Django stores the label of a field
    with a capital letter. If the catalogues contain the label only with a small letter, it is stored with the small
    letter instead. The lists and pages display a dash for an empty value.
    """

    empty_value_display = "—"

    def construct_change_message(self, *arguments: Any, **options: Any) -> Any:
        message: Any = super().construct_change_message(*arguments, **options)
        for part in message:
            if fields := part.get("changed", {}).get("fields"):
                part["changed"]["fields"] = [_in_catalogue(name) for name in fields]
        return message


def _in_catalogue(label: str) -> str:
    """Return the label with a small first letter if the Russian catalogue contains it only in this form; otherwise
    return it unchanged.
    """
    small = label[:1].lower() + label[1:]
    look_up = translation.gettext  # These are no strings of this file.
    with translation.override("ru"):
        return small if look_up(label) == label and look_up(small) != small else label


class MissingRight(PermissionDenied):
    """The user lacks the permission ``codename`` of this app. ``action`` names what the permission allows, in the
    language of the page. If it is ``""``, the first word of the codename decides: to view, add, change or delete
    records. For any other first word, it is to view them.
    """

    def __init__(self, codename: str, action: StrOrPromise = "") -> None:
        super().__init__(codename)
        self.codename = codename
        self.action = action or RECORD_ACTIONS.get(codename.partition("_")[0], RECORD_ACTIONS["view"])


#: What the permissions that Django makes for each model allow.
RECORD_ACTIONS: dict[str, StrOrPromise] = {
    "view": _("view these records"),
    "add": _("add a record here"),
    "change": _("change this record"),
    "delete": _("delete this record"),
}


class OwnName(TranslatedHistory[ModelT]):
    """An admin whose pages refuse every request of a person who acts in the name of another user, because its records
    name the person who is signed in. The status is 403. Each refusal adds an audit entry, which names the person who
    acts, if they are known.

    If a page requires a permission that the user lacks, the response is a page that states what the user may not do,
    and who may, with the status 403.
    """

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Return Django's form field. That of a foreign key has no buttons that open its model in another window,
        because the user of the form may lack the rights there.
        """
        if isinstance(db_field, models.ForeignKey):
            return self.formfield_for_foreignkey(db_field, request, **kwargs)
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Return the page of a row. Its title begins with a capital letter, also in a language in which the name of the
        row is the first word.
        """
        context["title"] = capfirst(context["title"])
        return super().render_change_form(request, context, *args, **kwargs)

    @property
    def urls(self) -> list[URLPattern]:
        patterns = self.get_urls()
        for pattern in patterns:
            pattern.callback = self._refusing(pattern.callback)
        return patterns

    def _refusing(self, view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        @wraps(view)
        def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            acting = current_impersonation(request)
            if acting is None:
                try:
                    return view(request, *args, **kwargs)
                except PermissionDenied as error:
                    return self._deny(request, error)
            acting.log(request, refused=request.resolver_match.view_name if request.resolver_match else "admin")
            context = {
                **self.admin_site.each_context(request),
                "title": gettext("You are acting in the name of another user"),
            }
            return TemplateResponse(request, "admin/agreement/impersonation.html", context, status=403)

        return checked

    def _deny(self, request: HttpRequest, error: PermissionDenied) -> HttpResponse:
        """Return the page that states what the user may not do, and who may, with the status 403.

        A :class:`MissingRight` names the missing permission. For any other error, the page of the request decides which
        permission is missing: on Django's pages to add or to delete rows, the permission to do that; for a POST to
        Django's page of a row, the permission to change rows; otherwise the permission to view rows.
        """
        if not isinstance(error, MissingRight):
            page = request.resolver_match.url_name or "" if request.resolver_match else ""
            action = page.removeprefix(f"{self.opts.app_label}_{self.opts.model_name}_")
            changes = action == "change" and request.method == "POST"
            action = action if action in {"add", "delete"} or changes else "view"
            error = MissingRight(f"{action}_{self.opts.model_name}")
        title = gettext("You don't have permission to do this")
        denied = explain_denied([(error.codename, error.action)])
        return render_page(self, request, "denied", status=403, title=title, denied_actions=denied)


class SafeFilters(OwnName[ModelT]):
    """An admin whose list raises ``BadRequest`` (status 400, and not 500) if the filters or the search in the URL have
    a value that the database can't process. A value that Django itself rejects is handled by Django, which redirects to
    the list without filters. Filters by regular expressions are refused. The list is a :class:`SafeChangeList`.
    """

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return SafeChangeList

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        try:
            return super().get_changelist_instance(request)
        except (DataError, OverflowError, ValueError):  # A number that is too large, the year 0, NUL.
            # Django logs the message and the cause. Both must not contain the values, which may name a user.
            names = parameter_names(self, request)
            raise BadRequest(f"The list can't be filtered by these values. Columns: {names or 'none'}.") from None

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Return whether the URL may have this filter: what Django allows, except regular expressions. An invalid
        regular expression is an error on SQLite, and a malicious one keeps the database busy.
        """
        return not lookup.endswith("regex") and super().lookup_allowed(lookup, value, request)


class FirstThousandPaginator(Paginator):  # type: ignore[type-arg]  # Django's class takes no type argument
    """A paginator for the first thousand rows of a queryset. Its ``count`` is at most 1000, for which it reads at most
    a thousand keys. Users find other rows by filters or the search.
    """

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list  # The admin always passes a queryset.
        return len(rows.values_list("pk", flat=True)[:1000])


class LongList(SafeFilters[ModelT]):
    """An admin whose list is for a table that may have millions of rows. The list displays the first thousand rows that
    match, the highest primary key first. The parameter ``o`` of the URL can't set another order. Rows are counted up to
    a thousand only. The list has no actions on several rows.
    """

    list_per_page = 50
    ordering = ("-pk",)
    sortable_by = ()
    paginator = FirstThousandPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    actions = None


class UserSearch(admin.ModelAdmin[ModelT]):
    """An admin whose list has rows about users. The search is for the complete name or the primary key of a user
    (:meth:`matching_keys`), because exact look-ups are fast. An empty search finds all rows. A subclass may search for
    more.
    """

    search_fields = ("pk",)  # The search does not use it: ``matching_keys()`` finds the rows.
    search_help_text = _("Name or key of a user, including deleted users.")

    @admin.display(description=_("user"))
    def person(self, row: Any) -> str:
        """Return the user of a row as text; a dash if the row has no user. Django's own field is a link to the page of
        the user, which an officer need not be permitted to view.
        """
        return str(row.user or "—")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[ModelT], search_term: str
    ) -> tuple[QuerySet[ModelT], bool]:
        return queryset.filter(pk__in=self.matching_keys(search_term)) if search_term else queryset, False

    def matching_keys(self, term: str) -> set[int]:
        """Return the keys of the rows about each user whose name or primary key is ``term``, at most a thousand rows
        for each user. Rows of a deleted account are found by its primary key, if ``PSEUDONYM_KEYS`` still contains the
        secret with which the pseudonym in the rows was made, and the rows are not erased. On SQLite, a number that is
        larger than a primary key can be raises ``OverflowError``.
        """
        users = get_user_model()
        keys = list(users._default_manager.filter(**{users.USERNAME_FIELD: term}).values_list("pk", flat=True))
        with suppress(ValidationError):  # The term can't be a key.
            keys.append(users._meta.pk.to_python(term))
        rows: Any = self.model._default_manager  # Each model about users has ``for_user_key()``.
        return {pk for key in keys for pk in rows.for_user_key(key).values_list("pk", flat=True)[:1000]}


class LoggedViews(admin.ModelAdmin[ModelT]):
    """The admin of rows with personal data, which records views as audit entries: each request for the list, and each
    time that ``get_object()`` finds a row, for example for its page. Nothing is recorded if :meth:`displays_people` is
    false. The note of an entry about the list is the result of :func:`parameter_names`.
    """

    class Media:
        css = {"all": ["agreement/admin.css"]}

    def displays_people(self, request: HttpRequest, row: ModelT | None = None) -> bool:
        """Return whether the list, or the page of that row, displays personal data to this reader: if they may view or
        change the rows. A subclass may override this.
        """
        return self.has_view_or_change_permission(request, row)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if self.displays_people(request):
            viewed = self.model()
            viewed.pk = ""
            AuditEntry.objects.log(AuditAction.VIEWED, on=viewed, by=request.user, note=parameter_names(self, request))
        try:
            with transaction.atomic():
                return super().changelist_view(request, extra_context)
        except BadRequest as error:
            # Handled here, so that a site with ATOMIC_REQUESTS does not roll back the audit entry.
            return response_for_exception(request, error)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> ModelT | None:
        row = super().get_object(request, object_id, from_field)
        if row is not None and self.displays_people(request, row):
            AuditEntry.objects.log(AuditAction.VIEWED, on=row, by=request.user)
        return row


def column_name(model: type[models.Model], lookup: str) -> str:
    """Return the name of the field or relation of that model to which the first part of a look-up refers, like ``user``
    for ``user_id__gte``; ``""`` if there is none.
    """
    first = lookup.partition("__")[0]
    try:
        return (model._meta.pk if first == "pk" else model._meta.get_field(first)).name
    except FieldDoesNotExist:
        return ""


def parameter_names(model_admin: admin.ModelAdmin[Any], request: HttpRequest) -> str:
    """Return the fields of the admin's model that the parameters of the URL name, each once and without look-ups, and
    then ``search`` if the URL has a search: ``"kind, search"``. ``""`` if there is neither. The values and all other
    names are left out, because they may name a user.
    """
    columns = [name for name in dict.fromkeys(column_name(model_admin.model, one) for one in request.GET) if name]
    return ", ".join([*columns, *(["search"] if request.GET.get(SEARCH_VAR) else [])])


class AlreadyRecorded(Exception):
    """What a form would add is recorded already, for example because the form was sent twice. ``row`` is the existing
    row.
    """

    def __init__(self, row: Any) -> None:  # Any: a row of the model of the admin that raises it.
        super().__init__(row)
        self.row = row


class RecordedOnce(admin.ModelAdmin[ModelT]):
    """The admin of a register. If ``save_model()`` raises :class:`AlreadyRecorded` while a row is added, no row is
    added, a warning names the existing row, and the user is redirected as after a click on “Save”.
    """

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            return super().add_view(request, form_url, extra_context)
        except AlreadyRecorded as error:
            sentence = gettext("Nothing was recorded, because this is recorded already: %(row)s.")
            self.message_user(request, sentence % {"row": self.describe(error.row)}, messages.WARNING)
            return self.response_post_save_add(request, error.row)

    def describe(self, row: ModelT) -> str:
        """Return the words for the existing row in the warning that nothing was recorded: the name of the model and the
        row as text. A subclass may override this.
        """
        return f"{self.opts.verbose_name} {row}"


class AdminForm(forms.ModelForm):  # type: ignore[type-arg]  # Django's class takes no type argument
    """The base class of the admin's forms for one row."""

    def clean(self) -> dict[str, Any]:
        """Return the cleaned values. Django's method may return ``None`` instead."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        return cleaned


class AdminView(View):
    """The base class of the app's own pages in the admin. ``as_view(model_admin=…)`` sets the admin to which the page
    belongs. This class checks no permission.
    """

    http_method_names = ["get", "head", "post"]
    model_admin: admin.ModelAdmin[Any] = None  # type: ignore[assignment]  # as_view() takes only attributes

    def render(self, template: str, *, status: int = 200, **context: Any) -> HttpResponse:
        """Return the template as a page of this admin. ``template`` is the name in ``admin/agreement/`` without
        ``.html``. ``context`` is added to the context that every page has, and replaces values with the same name.
        """
        return render_page(self.model_admin, self.request, template, status=status, **context)


def render_page(
    model_admin: admin.ModelAdmin[Any], request: HttpRequest, template: str, *, status: int = 200, **context: Any
) -> HttpResponse:
    """Return a template in ``admin/agreement/`` as a page of that admin. ``template`` is the name without ``.html``.
    ``context`` is added to the context that every page has, and replaces values with the same name. No permission is
    checked.
    """
    frame = {"opts": model_admin.opts, "media": model_admin.media, "has_view_permission": True}
    context = {**model_admin.admin_site.each_context(request), **frame, **context}
    return TemplateResponse(request, f"admin/agreement/{template}.html", context, status=status)


def redirect_missing(model_admin: admin.ModelAdmin[Any], request: HttpRequest, object_id: str) -> HttpResponse:
    """Return a redirect to the start page of the admin, with Django's warning that no row has that key. ``object_id``
    is the key as it is quoted in the URL.
    """
    message = gettext("%(name)s with ID “%(key)s” doesn’t exist. Perhaps it was deleted?")
    values = {"name": model_admin.opts.verbose_name, "key": unquote(object_id)}
    model_admin.message_user(request, message % values, messages.WARNING)
    return HttpResponseRedirect(reverse("admin:index", current_app=model_admin.admin_site.name))


def copy_row(row: models.Model, obj: models.Model) -> None:
    """Copy all values of ``row`` to ``obj``, which then counts as saved. Nothing is written to the database. In
    ``save_model()``, ``obj`` is the unsaved row that the form made, and ``row`` is the row that a method of the manager
    saved in its place. The admin continues with ``obj``.
    """
    obj.__dict__.update({name: value for name, value in row.__dict__.items() if name != "_state"})
    obj._state.adding = False


def moment(at: datetime | None, zone: str, *, seconds: bool = True) -> str:
    """Return the date, time and zone of an instant as a phrase in the language of the page; a dash for ``None``.
    ``zone`` is the name of the time zone. ``seconds=False`` leaves the seconds out, for a sentence.
    """
    return dates.instant(at, active_language(), zone, seconds=seconds) if at else "—"


def short_moment(at: datetime | None) -> str:
    """Return the date and time of an instant in the short form of :func:`dates.short` (``29 Nov 2026, 03:41``), in the
    time zone of the site, for a column of a list. For ``None`` it is a dash. The list states the zone once (the tag
    ``list_zone``). If the zone had another offset from UTC at that instant than it has now, the offset is added.
    """
    if at is None:
        return "—"
    name = conf.time_zone()
    then, now = (dates.offset(one.astimezone(ZoneInfo(name))) for one in (at, timezone.now()))
    return dates.short(at, active_language(), name) + ("" if then == now else f" ({then})")


def moment_column(column: str, label: StrOrPromise, *, field: str) -> Callable[[Any], str]:
    """Return a column for a list, which displays that field of a row by :func:`short_moment`. Django sorts by the field
    if the list may be sorted by this column. ``label`` is the heading of the column. ``column`` is its name, which the
    CSS classes of its cells contain.
    """

    @admin.display(description=label, ordering=field)
    def cell(row: Any) -> str:
        return short_moment(getattr(row, field))

    cell.__name__ = column
    return cell


def moment_fact(label: StrOrPromise, *, field: str) -> Callable[[Any, Any], str]:
    """Return a method of an admin that displays that field of a row by :func:`moment`, in the time zone of the site.
    ``label`` is its label.
    """

    @admin.display(description=label)
    def fact(self: Any, row: Any) -> str:
        return moment(getattr(row, field), conf.time_zone())

    return fact


def public_address(edition: Edition) -> str | None:
    """Return the path of the public page of an edition; ``None`` for a draft, or if the site does not include the app's
    URLs. Whether anyone may read the page now is not checked.
    """
    try:
        return reverse("agreement:edition", args=[edition.agreement.slug, edition.number]) if edition.number else None
    except NoReverseMatch:
        return None


def yes_or_no(value: object) -> str:
    """Return the word "yes" or "no" in the language of the page, by the truth of the value; a dash for ``None``. It is
    used in place of Django's icons, which have English names in every language.
    """
    return "—" if value is None else gettext("yes") if value else gettext("no")


class DayInput(forms.DateInput):
    """An input for a date, for which the browser has a picker in its own language. It needs no script."""

    def __init__(self) -> None:
        super().__init__({"type": "date", "class": "agreement-date"}, format="%Y-%m-%d")


class LabelledDateTime(forms.SplitDateTimeWidget):
    """Two inputs for a date and a time, for which the browser has pickers in its own language. Each has a translated
    label (``aria-label``), for screen readers. They need no script.
    """

    def __init__(self) -> None:
        super().__init__(
            date_attrs={"type": "date", "class": "agreement-date"},
            date_format="%Y-%m-%d",
            time_attrs={"type": "time", "class": "agreement-date", "step": "1"},
            time_format="%H:%M:%S",
        )

    def id_for_label(self, id_: str) -> str:
        """Return the id of the first input, for the ``<label>`` of the field and for links to the field, such as those
        in a list of errors. ``""`` if ``id_`` is empty.
        """
        return f"{id_}_0" if id_ else ""

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        for widget, label in zip(context["widget"]["subwidgets"], (gettext("Date"), gettext("Time")), strict=True):
            widget["attrs"]["aria-label"] = label
        return context


class LabelledFile(AdminFileWidget):
    """Django's field for a file, with a ``<label>``. Newer versions of Django give it a legend instead, which does not
    name the field for screen readers.
    """

    use_fieldset = False


#: For ``formfield_overrides``: date and time in two labelled inputs, a date in one, and a file in one.
LABELLED_FIELDS: dict[type[models.Field[Any, Any]], dict[str, Any]] = {
    models.DateTimeField: {"form_class": forms.SplitDateTimeField, "widget": LabelledDateTime},
    models.DateField: {"widget": DayInput},
    models.FileField: {"widget": LabelledFile},
}
