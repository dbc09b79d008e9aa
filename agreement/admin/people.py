"""The field with which an officer names a user: by name, e-mail address or key. Scripts propose users while a person
types. A form with a :class:`PersonField` says who that is, and the officer confirms it before something is recorded.

An officer needs no permission to view users, only the permission for what they record or export. Every answer that
names a user is logged.
"""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist, FieldError, ValidationError
from django.db import models
from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.http import HttpRequest, JsonResponse
from django.urls import URLPattern, path, reverse
from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from agreement import conf
from agreement.admin.base import AdminView, MissingRight, ModelT
from agreement.conf import active_language
from agreement.evidence import find_user_key, find_user_keys
from agreement.models import AuditEntry
from agreement.models.audit import AuditAction
from agreement.text import dates

#: How many users are proposed, how many characters a search has at least, and how many words of it are searched for.
MAX_PROPOSED, MIN_SEARCH, MAX_WORDS = 10, 2, 5
#: The columns of a user model, besides the user name and the e-mail address, in which words of a name are searched for.
NAME_COLUMNS = ("first_name", "last_name")
PERSON_HELP = _("Name, e-mail address or key of a user.")


def with_address() -> QuerySet[Any]:
    """Return all users, each with the e-mail address as ``agreement_address``. The address is ``None`` for all if the
    user model has no such field. The queryset is not evaluated.
    """
    users: QuerySet[Any] = get_user_model()._default_manager.all()
    try:
        users = users.annotate(agreement_address=Cast(conf.user_email(), TextField()))
    except FieldError:
        users = users.annotate(agreement_address=models.Value(None, output_field=TextField()))
    return users


def find_person(written: str) -> Any:
    """Return the user whom this text names: the result of ``find_user_key()`` as a row of :func:`with_address`. Raises
    ``ValidationError`` if it names nobody, if it could name several users, or if no account has the key, for example
    because the account was deleted. At most 9 queries.
    """
    key = find_user_key(written)
    person = with_address().filter(pk=key).first()
    if person is None:
        message = _("There is no account with the key “%(key)s”. Perhaps it was deleted.")
        raise ValidationError(message, code="no_account", params={"key": key})
    return person


def search_people(text: str) -> list[Any]:
    """Return the first ``MAX_PROPOSED`` users of :func:`with_address`, in the order of their keys, for whom each word
    of the text is a part of the user name, of the e-mail address, or of one of the ``NAME_COLUMNS`` that the user model
    has. Only the first ``MAX_WORDS`` words count. The list is empty for a text of fewer than ``MIN_SEARCH`` characters,
    and for one with NUL or a surrogate, which no database can contain. At most 1 query.
    """
    words = text.split()[:MAX_WORDS]
    if len(text.strip()) < MIN_SEARCH or re.search("[\x00\ud800-\udfff]", text):
        return []
    users = with_address()
    columns = [users.model.USERNAME_FIELD, "agreement_address"]
    columns += [name for name in NAME_COLUMNS if _has_text(users.model, name)]
    for word in words:
        users = users.filter(Q(*((f"{column}__icontains", word) for column in columns), _connector=Q.OR))
    return list(users.order_by("pk")[:MAX_PROPOSED])


def _has_text(model: type[models.Model], name: str) -> bool:
    try:
        return isinstance(model._meta.get_field(name), models.CharField | models.TextField)
    except FieldDoesNotExist:
        return False


def in_words(person: Any) -> str:
    """Return who a user of :func:`with_address` is, in the language of the page: the user name, the full name, the
    e-mail address, the day of registration and the key, as far as they are known.
    """
    name, full = str(person.get_username()), str(getattr(person, "get_full_name", str)()).strip()
    parts = [name, full if full != name else "", person.agreement_address if person.agreement_address != name else ""]
    if joined := getattr(person, "date_joined", None):
        day = dates.day(joined, active_language(), conf.time_zone())
        parts.append(gettext("registered: %(day)s") % {"day": day})
    parts.append(gettext("key: %(key)s") % {"key": person.pk})
    return ", ".join(part for part in parts if part)


def proposals(people: list[Any]) -> list[dict[str, str]]:
    """Return for each of these users of :func:`with_address`, in their order, two texts. ``value`` is the text by which
    the field names them: the user name or, if the field would not find the user by it, ``key:`` and the key. ``label``
    says who they are (:func:`in_words`). Usually at most 7 queries; ``find_user_keys()`` says when there are more.
    """
    found = find_user_keys(person.get_username() for person in people)
    proposed = []
    for person in people:
        name = str(person.get_username())
        named = found[name] == person.pk and name == " ".join(name.split())
        proposed.append({"value": name if named else f"key:{person.pk}", "label": in_words(person)})
    return proposed


class PersonInput(forms.TextInput):
    """The input for the name, e-mail address or key of a user. ``picker`` is the admin that the script of the page asks
    for proposals (:class:`PeopleView`). With ``confirms`` the input also displays who the user is, which is logged,
    with a box to confirm it. The value is then a pair: the text, and the key of the user whom the officer has
    confirmed; ``""`` for the key if none was. Without ``confirms``, the value is the text. ``adds_to`` is the ``id`` of
    a text area with a user in each line, to which a button adds the named user.
    """

    template_name = "admin/agreement/person.html"

    class Media:
        css = {"all": ["agreement/admin.css"]}
        js = [forms.Script("agreement/people.js", defer=True)]

    def __init__(
        self, *, picker: PersonPicker[Any], request: HttpRequest, confirms: bool = False, adds_to: str = ""
    ) -> None:
        attrs = {"class": "vTextField", "autocomplete": "off", "maxlength": 255, "data-people": picker.people_address()}
        super().__init__(attrs)
        self.picker, self.request, self.confirms, self.adds_to = picker, request, confirms, adds_to

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        written = super().value_from_datadict(data, files, name)
        return (written, data.get(f"{name}_confirmed", "")) if self.confirms else written

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        written, confirmed = value if isinstance(value, tuple) else (value, "")
        context = super().get_context(name, written, attrs)
        listed = f"{context['widget']['attrs'].get('id', name)}_people"
        context["widget"]["attrs"]["list"] = listed
        person = self._find(written) if self.confirms and written else None
        if person:
            self.picker.log_person(self.request, person)
        context |= {
            "list": listed,
            "confirms": self.confirms,
            "adds_to": self.adds_to,
            "consequence": self.picker.consequence,
            "key": person.pk if person else "",
            "who": in_words(person) if person else "",
            "is_confirmed": person is not None and str(person.pk) == confirmed,
        }
        return context

    def _find(self, written: str) -> Any:
        try:
            return find_person(written)
        except ValidationError:
            return None


class PersonField(forms.CharField):
    """The field for a user, about whom something is recorded. Its value is the account; ``None`` if nothing is entered.
    Raises ``ValidationError`` if the text does not name one account (:func:`find_person`), or if the officer has not
    confirmed the user: without scripts, the form is displayed a second time for that.
    """

    widget: PersonInput

    def clean(self, value: tuple[str | None, str] | str | None) -> Any:
        written, confirmed = value if isinstance(value, tuple) else (value, "")
        text = super().clean(written)
        if not text:
            return None
        person = find_person(text)
        if str(person.pk) != confirmed:
            message = _("Check who this is, tick the box below the field, and save again.")
            raise ValidationError(message, code="unconfirmed")
        return person

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(initial, data[0] if isinstance(data, tuple) else data)


class PersonPicker(admin.ModelAdmin[ModelT]):
    """An admin with the search for users (:class:`PeopleView`). If its form for a new row has a field ``user``, that is
    a :class:`PersonField`. ``consequence`` is a sentence about what can't be undone, which is displayed where the
    officer confirms the user; ``""`` if there is none.
    """

    consequence: str | Promise = ""

    def may_pick(self, request: HttpRequest) -> bool:
        """Return whether this officer may search for users: if they may add a row. A subclass may allow more."""
        return self.has_add_permission(request)

    def people_address(self) -> str:
        """Return the path of the URL of the search for users (:class:`PeopleView`)."""
        return reverse(f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_people")

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(PeopleView.as_view(model_admin=self))
        return [path("people/", view, name=f"{self.opts.app_label}_{self.opts.model_name}_people"), *super().get_urls()]

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name != "user":
            return super().formfield_for_dbfield(db_field, request, **kwargs)
        widget = PersonInput(picker=self, request=request, confirms=True)
        label, required = capfirst(db_field.verbose_name), not db_field.blank
        return PersonField(label=label, required=required, max_length=255, help_text=PERSON_HELP, widget=widget)

    def log_person(self, request: HttpRequest, person: models.Model) -> None:
        """Add an audit entry that the officer of this request saw who this user is. The entry is about the user."""
        self._log(request, person=person)

    def log_search(self, request: HttpRequest) -> None:
        """Add an audit entry that the officer of this request saw users whom a search found. The entry names neither
        the users nor the words of the search.
        """
        self._log(request, note="search")

    def _log(self, request: HttpRequest, **facts: Any) -> None:
        rows = self.model()
        rows.pk = ""
        AuditEntry.objects.log(AuditAction.VIEWED, on=rows, by=request.user, **facts)


class PeopleView(AdminView):
    """``…/people/?q=…``: returns as JSON the ``people`` whom the text may mean (:func:`search_people`), and the
    ``person`` whom it names (:func:`find_person`). Each of the people has a ``value``, the text for the field, and a
    ``label``, the words about them. The person has the ``key``, the words (``who``), and the text for the field
    (``value``); it is ``null`` if the text does not name one account. Only the first 255 characters of the text count.
    An answer that names anyone is logged.

    Raises ``MissingRight`` if the user may not search for users (:meth:`PersonPicker.may_pick`).
    """

    http_method_names = ["get"]
    model_admin: PersonPicker[Any]

    def get(self, request: HttpRequest) -> JsonResponse:
        if not self.model_admin.may_pick(request):
            raise MissingRight(f"add_{self.model_admin.opts.model_name}")
        text = request.GET.get("q", "").strip()[:255]
        people = proposals(search_people(text))
        person = None
        try:
            found = find_person(text) if text else None
        except ValidationError:
            found = None
        if found:
            [proposal] = proposals([found])
            person = {"key": str(found.pk), "who": in_words(found), "value": proposal["value"]}
            self.model_admin.log_person(request, found)
        if people:
            self.model_admin.log_search(request)
        return JsonResponse({"people": people, "person": person}, headers={"Cache-Control": "private, no-store"})
