"""A field, a look-up, a validator and ``on_delete`` functions.

They are for moments to the microsecond, for the edition that binds at a moment, for the names of time zones, and for
the rows of a deleted user.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast
from zoneinfo import available_timezones

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.deletion import Collector
from django.db.models.expressions import Col
from django.db.models.lookups import FieldGetDbPrepValueMixin
from django.db.models.sql.compiler import SQLCompiler
from django.utils.translation import gettext_lazy as _

from agreement.models import pseudonyms
from agreement.models.clock import database_now

if TYPE_CHECKING:
    DateTimeField = models.DateTimeField
    Lookup = models.Lookup
else:

    class DateTimeField(models.DateTimeField):
        """Accepts the types of its values in brackets at run time, as the type stubs do."""

        def __class_getitem__(cls, _types: object) -> type:
            return cls

    class Lookup(models.Lookup):
        """Accepts types in brackets, as ``DateTimeField`` does."""

        def __class_getitem__(cls, _types: object) -> type:
            return cls


SetType = TypeVar("SetType", contravariant=True)
GetType = TypeVar("GetType", covariant=True)
#: The primary key of a user: an integer, a UUID, or whatever the site's user model has.
UserKey: TypeAlias = Any
#: A foreign key of any model, to the user.
AnyForeignKey: TypeAlias = "models.ForeignKey[Any, Any]"
#: A row of the site's user model, which may be any model.
SiteUser: TypeAlias = Any
#: The two languages of every edition, as choices of a field.
LANGUAGE_CHOICES = [("kk", _("Kazakh")), ("ru", _("Russian"))]


def validate_zone(name: str) -> None:
    """Raise ``ValidationError`` if the time zone database does not contain exactly this name."""
    if name not in available_timezones():
        raise ValidationError(
            _("%(name)r is not a time zone. Write it like Asia/Almaty."), code="unknown_zone", params={"name": name}
        )


class InstantField(DateTimeField[SetType, GetType]):
    """A ``DateTimeField`` whose value is ISO 8601 text, exact to the microsecond, in
    ``dumpdata``, in revisions, and in the initial data of a model form. Django's JSON
    keeps milliseconds, which breaks digests. It also has the look-up :class:`BindsAt`.
    """

    def value_from_object(self, obj: models.Model) -> str | None:  # type: ignore[override]  # A string for JSON.
        at: datetime | None = getattr(obj, self.attname)
        return at.isoformat() if at else None

    def value_to_string(self, obj: models.Model) -> str:
        return self.value_from_object(obj) or ""


@InstantField.register_lookup
class BindsAt(FieldGetDbPrepValueMixin, Lookup[bool]):
    """``effective_from__binds_at=moment`` matches the edition of each agreement that binds at that moment: of those
    that were not cancelled, the last one that took effect at that moment or earlier.

    It makes one look-up in the index of ``agreement_edition_one_in_force`` for each agreement. It is written in SQL,
    because the ORM takes long to compile the same query. The mixin converts the moment to the form of the column:
    SQLite compares texts, and the column stores UTC without an offset.
    """

    lookup_name = "binds_at"

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, tuple[str | int, ...]]:
        at, params = self.process_rhs(compiler, connection)
        quote = connection.ops.quote_name
        model = self.lhs.target.model
        # The compiler knows which aliases are quoted: in a subquery they are not.
        key, _params = compiler.compile(Col(self.lhs.alias, model._meta.pk))
        edition = quote(model._meta.db_table)
        agreement = quote(model._meta.get_field("agreement").related_model._meta.db_table)
        # COALESCE, because an agreement may have no such edition: NOT IN is never true if the list contains NULL.
        sql = (
            f"{key} IN (SELECT COALESCE((SELECT latest.id FROM {edition} latest WHERE latest.agreement_id = terms.id"  # noqa: S608 - only names and constants of the app
            f" AND latest.cancelled_at IS NULL AND latest.effective_from <= {at}"
            f" ORDER BY latest.effective_from DESC LIMIT 1), 0) FROM {agreement} terms)"
        )
        return sql, tuple(params)


def _sibling(field: AnyForeignKey, name: str) -> models.Field[Any, Any]:
    """The field with that name of the model to which ``field`` belongs."""
    return cast("models.Field[Any, Any]", field.model._meta.get_field(name))


def _mark_deleted(collector: Collector, field: AnyForeignKey, sub_objs: models.QuerySet[Any], using: str) -> None:
    """Let the deletion set ``account_deleted_at`` of the rows to the present moment by the clock of the database. All
    rows of one deletion get the same moment.
    """
    # All tables get the same moment: nothing else connects the rows of one user under different pseudonyms.
    if "agreement_moment" not in vars(collector):
        vars(collector)["agreement_moment"] = database_now(using)
    moment = vars(collector)["agreement_moment"]
    collector.add_field_update(_sibling(field, "account_deleted_at"), moment, sub_objs)


def PRESERVE_EVIDENCE(  # noqa: N802 - written in capitals like Django's own
    collector: Collector, field: AnyForeignKey, sub_objs: models.QuerySet[Any], using: str
) -> None:
    """``on_delete`` of evidence: the row remains, its link to the user is removed, and ``account_deleted_at`` is set to
    the present moment by the clock of the database.

    All rows of one deletion get the same moment. The retention period begins then, if it has not begun earlier.
    """
    # In this order: without the link, the rows would not be found by the user.
    _mark_deleted(collector, field, sub_objs, using)
    collector.add_field_update(field, None, sub_objs)


# As in Django's SET_NULL: rows are updated without being read.
PRESERVE_EVIDENCE.lazy_sub_objs = True  # type: ignore[attr-defined]  # An attribute of a function.


#: How many deleted accounts get their pseudonyms in one statement.
ACCOUNTS_PER_STATEMENT = 100


def PRESERVE_UNDER_PSEUDONYM(  # noqa: N802 - as above
    collector: Collector, field: AnyForeignKey, sub_objs: models.QuerySet[Any], using: str
) -> None:
    """``on_delete`` of the ledger: the row remains, its link to the user is removed, ``account_deleted_at`` is set, and
    ``pseudonym`` and ``pseudonym_key`` get the pseudonym of the user under the first key (``""`` if the site has no
    keys).

    Rows of evidence have their pseudonyms from the beginning. The ledger has too many rows for that, so its rows get
    them now. In addition to the updates of ``PRESERVE_EVIDENCE``, 2 updates for each group of accounts that are deleted
    together; a group has at most ``ACCOUNTS_PER_STATEMENT`` accounts.
    """
    # First: the database refuses a pseudonym in a row whose account is not being deleted.
    _mark_deleted(collector, field, sub_objs, using)
    named: set[UserKey] = vars(collector).setdefault(f"agreement_named_{field.model._meta.model_name}", set())
    users = [user.pk for model, rows in collector.data.items() if issubclass(model, get_user_model()) for user in rows]
    fresh = [key for key in users if key not in named]
    named.update(fresh)
    for first in range(0, len(fresh), ACCOUNTS_PER_STATEMENT):
        names = {key: pseudonyms.primary(key) for key in fresh[first : first + ACCOUNTS_PER_STATEMENT]}
        rows = field.model._base_manager.using(using).filter(**{f"{field.name}__in": list(names)})
        for column, part in (("pseudonym", "digest"), ("pseudonym_key", "key")):
            cases = [models.When(**{field.name: key}, then=models.Value(getattr(names[key], part))) for key in names]
            value = models.Case(*cases, output_field=models.CharField())
            collector.add_field_update(_sibling(field, column), value, rows)
    collector.add_field_update(field, None, sub_objs)


PRESERVE_UNDER_PSEUDONYM.lazy_sub_objs = True  # type: ignore[attr-defined]  # As above.


def STORE_PSEUDONYMS(  # noqa: N802 - as above
    collector: Collector, field: AnyForeignKey, sub_objs: models.QuerySet[Any], using: str
) -> None:
    """``on_delete`` of a row by which other rows of the user must be found after the account is deleted: the row
    remains, and its link to the user is removed.

    The user's pseudonyms under every key of the site are added to those that the row stores, because the other rows may
    have any of them. If the site has no keys, none is added. ``account_deleted_at`` is not set.
    """
    for row in sub_objs:
        names = [f"{one.key}:{one.digest}" for one in pseudonyms.candidates(getattr(row, field.attname))]
        known = list(dict.fromkeys([*row.pseudonyms, *names]))
        value = models.Value(known, output_field=models.JSONField())
        collector.add_field_update(_sibling(field, "pseudonyms"), value, [row])
    collector.add_field_update(field, None, sub_objs)
