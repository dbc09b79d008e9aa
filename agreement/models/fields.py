"""Moments to the microsecond, and the look-up of the edition that binds at one."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import available_timezones

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from agreement import pseudonyms

if TYPE_CHECKING:
    DateTimeField = models.DateTimeField[str | datetime | None, datetime | None]
    Lookup = models.Lookup[Any]
else:  # Generic in the stubs alone.
    DateTimeField = models.DateTimeField
    Lookup = models.Lookup


def validate_zone(name: str) -> None:
    """A name the time zone database knows; anything else would break every page with a date."""
    if name not in available_timezones():
        raise ValidationError(
            _("%(name)r is no time zone; write it as Asia/Almaty."), code="unknown_zone", params={"name": name}
        )


class InstantField(DateTimeField):
    """A moment to the microsecond, in ``dumpdata`` too: Django's JSON keeps milliseconds, which breaks a digest."""

    def value_from_object(self, obj: models.Model) -> str | None:  # type: ignore[override]
        at: datetime | None = getattr(obj, self.attname)
        return at.isoformat() if at else None

    def value_to_string(self, obj: models.Model) -> str:
        return self.value_from_object(obj) or ""


@InstantField.register_lookup
class BindsAt(Lookup):
    """``effective_from__binds_at=moment``: is this the edition of its agreement that binds at that moment?

    Written in SQL, because the same query in the ORM's words takes three times as long to compile as a look-up by
    key takes altogether. For each agreement one step into the index of ``agreement_edition_one_in_force``.
    """

    lookup_name = "binds_at"

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        at, params = self.process_rhs(compiler, connection)
        quote = connection.ops.quote_name
        key = f"{quote(self.lhs.alias)}.{quote('id')}"
        model = self.lhs.target.model
        edition = quote(model._meta.db_table)
        agreement = quote(model._meta.get_field("agreement").related_model._meta.db_table)
        sql = (  # Nothing in it comes from outside.
            f"{key} IN (SELECT (SELECT latest.id FROM {edition} latest WHERE latest.agreement_id = terms.id"
            f" AND latest.cancelled_at IS NULL AND latest.effective_from <= {at}"
            f" ORDER BY latest.effective_from DESC LIMIT 1) FROM {agreement} terms)"
        )
        return sql, tuple(params)


def LEAVE_EVIDENCE(  # noqa: N802 - written in capitals like Django's own
    collector: Any, field: Any, sub_objs: Any, using: str
) -> None:
    """``on_delete`` of what outlives an account: the link goes, and ``account_deleted_at`` says when it went.

    The term of retention runs from that moment (clause 3.4).
    """
    # One moment for one deletion, in every table: rows under different pseudonyms are joined by nothing else.
    moment = vars(collector).setdefault("agreement_moment", timezone.now())
    # In this order: whoever has no user any more is not found by the user.
    collector.add_field_update(field.model._meta.get_field("account_deleted_at"), moment, sub_objs)
    collector.add_field_update(field, None, sub_objs)


LEAVE_EVIDENCE.lazy_sub_objs = True  # type: ignore[attr-defined] # As SET_NULL: no row is read to be updated.


#: Accounts deleted together whose rows one statement gives their pseudonyms.
TOGETHER = 100


def LEAVE_UNDER_PSEUDONYM(  # noqa: N802 - as above
    collector: Any, field: Any, sub_objs: Any, using: str
) -> None:
    """As ``LEAVE_EVIDENCE``, for rows that get their pseudonyms only now: there are too many to write one into each.

    1 update for each hundred accounts that are deleted together.
    """
    named: set[Any] = vars(collector).setdefault(f"agreement_named_{field.model._meta.model_name}", set())
    users = [user.pk for model, rows in collector.data.items() if issubclass(model, get_user_model()) for user in rows]
    fresh = [key for key in users if key not in named]
    named.update(fresh)
    for first in range(0, len(fresh), TOGETHER):
        names = {key: pseudonyms.write(key) for key in fresh[first : first + TOGETHER]}
        rows = field.model._base_manager.using(using).filter(**{f"{field.name}__in": list(names)})
        for column, part in (("pseudonym", "digest"), ("pseudonym_key", "key")):
            cases = [models.When(**{field.name: key}, then=models.Value(getattr(names[key], part))) for key in names]
            value = models.Case(*cases, output_field=models.CharField())
            collector.add_field_update(field.model._meta.get_field(column), value, rows)
    LEAVE_EVIDENCE(collector, field, sub_objs, using)


LEAVE_UNDER_PSEUDONYM.lazy_sub_objs = True  # type: ignore[attr-defined]


def REMEMBER_PSEUDONYMS(  # noqa: N802 - as above
    collector: Any, field: Any, sub_objs: Any, using: str
) -> None:
    """``on_delete`` of what is to find a person's rows after the account: under every key the site has by then, since
    they are under whichever wrote them. 1 query, and an update a row.
    """
    for row in sub_objs:
        names = [f"{one.key}:{one.digest}" for one in pseudonyms.read(getattr(row, field.attname))]
        known = list(dict.fromkeys([*row.pseudonyms, *names]))
        value = models.Value(known, output_field=models.JSONField())
        collector.add_field_update(field.model._meta.get_field("pseudonyms"), value, [row])
    collector.add_field_update(field, None, sub_objs)
