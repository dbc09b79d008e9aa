"""Who is to be told: the audience of a notice, written into the ledger once, by the database itself.

Safe to run anywhere, any number of times, at once, and to be killed at any moment: each batch is written in one
transaction with the place it came to.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import EmptyResultSet, FieldDoesNotExist
from django.db import connections, models, router, transaction
from django.db.models import Exists, F, Func, Model, OuterRef, Q, QuerySet, Value
from django.db.models.constants import OnConflict
from django.utils import timezone

from agreement import conf
from agreement.models import Delivery, Edition, Notice, Progress
from agreement.models.deliveries import NEVER
from agreement.models.notices import PERHAPS_SENT

logger = logging.getLogger("agreement")

#: Users whose deliveries are written by one statement: under half a second, which is how long SQLite is locked.
BATCH = 50_000


def active_users() -> QuerySet[Model]:
    """The default audience: users who may log in."""
    users = get_user_model()
    everybody: QuerySet[Model] = users._default_manager.all()
    try:
        users._meta.get_field("is_active")
    except FieldDoesNotExist:
        return everybody
    return everybody.filter(is_active=True)


class IdleHours(Func):
    """Whole hours from a moment to ``at``, ``NEVER`` where there is no moment; 0 on other databases than ours."""

    output_field = models.PositiveIntegerField()

    def __init__(self, moment: Any, at: datetime) -> None:
        super().__init__(moment, Value(at, output_field=models.DateTimeField()))

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, Any]:
        hours = "CAST((julianday(%(end)s) - julianday(%(start)s)) * 24 AS INTEGER)"
        return self._as(compiler, f"MAX(0, MIN({NEVER}, COALESCE({hours}, {NEVER})))")

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, Any]:
        hours = "FLOOR(EXTRACT(EPOCH FROM (%(end)s - %(start)s)) / 3600)::integer"
        return self._as(compiler, f"GREATEST(0, LEAST({NEVER}, COALESCE({hours}, {NEVER})))")

    def as_sql(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, Any]:  # type: ignore[override]
        return "0", ()

    def _as(self, compiler: Any, template: str) -> tuple[str, Any]:
        (start, start_params), (end, end_params) = map(compiler.compile, self.source_expressions)
        return template % {"start": start, "end": end}, (*end_params, *start_params)


def fan_out(notice: Notice, *, channels: Iterable[str], deadline: float | None = None) -> int:
    """Write a delivery for every user of the audience and each of those channels; how many were written.

    One ``INSERT … SELECT`` for ``BATCH`` users, until ``deadline`` (of ``time.monotonic()``).
    """
    channels = tuple(channels)
    for channel in channels:
        Progress.objects.get_or_create(notice=notice, channel=channel)
    written = 0
    while deadline is None or time.monotonic() < deadline:
        count, done = _batch(notice, channels)
        written += count
        if done:
            logger.info("N101 notice %s: audience written", notice.pk)
            break
    return written


def _batch(notice: Notice, channels: tuple[str, ...]) -> tuple[int, bool]:
    alias = router.db_for_write(Delivery)
    connection = connections[alias]
    with transaction.atomic(using=alias):
        # A write first, as Agreement.lock() does: it locks the row, or SQLite's database.
        Notice.objects.filter(pk=notice.pk).update(fan_out_cursor=F("fan_out_cursor"))
        notice.refresh_from_db(using=alias, fields=["fan_out_cursor", "fanned_out_at"])
        if notice.fanned_out_at:
            return 0, True
        cancelled = Edition.objects.using(alias).filter(pk=notice.edition_id, cancelled_at__isnull=False)
        if notice.kind != Notice.Kind.CANCELLED and cancelled.exists():
            # Nobody needs to be told, and whoever was will be told of the cancellation.
            Notice.objects.filter(pk=notice.pk).update(fanned_out_at=timezone.now())
            return 0, True
        key = get_user_model()._meta.pk
        users = conf.audience().using(alias).order_by("pk")
        if notice.fan_out_cursor:
            users = users.filter(pk__gt=key.to_python(notice.fan_out_cursor))
        last = users.values_list("pk", flat=True)[BATCH - 1 : BATCH].first()
        if last is not None:
            users = users.filter(pk__lte=last)
        written = 0
        for channel in channels:
            count = _insert(connection, notice, _concerned(users, notice, channel), channel)
            Progress.objects.filter(notice=notice, channel=channel).update(waiting=F("waiting") + count)
            written += count
        progress = {"fan_out_cursor": str(last)} if last is not None else {"fanned_out_at": timezone.now()}
        Notice.objects.filter(pk=notice.pk).update(**progress)
    return written, last is None


def _concerned(users: QuerySet[Model], notice: Notice, channel: str) -> QuerySet[Model]:
    """Whom the notice concerns: a cancellation only those who are told of the edition, by any of its notices, or by a
    letter about a later one that was written before the cancellation and covers both.
    """
    if notice.kind != Notice.Kind.CANCELLED:
        return users
    outcomes, at = Delivery.Outcome, notice.created_at
    theirs = Delivery.objects.filter(user=OuterRef("pk"), channel=channel)
    perhaps = Q(outcome=outcomes.SKIPPED, reason=PERHAPS_SENT)
    told = Q(Exists(theirs.filter(Q(outcome=outcomes.SENT) | perhaps, notice__in=notice.others())))
    if later := list(notice.covering().using(users.db)):
        # Of what waits, or was found in the mail log after a restore, nobody knows from which edition it tells.
        both = theirs.filter(notice__in=later, outcome__in=[outcomes.SENT, outcomes.WAITING])
        both = both.exclude(since__gte=notice.edition.number)
        told |= Q(Exists(both.filter(Q(settled_at__lt=at) | Q(notice__fanned_out_at__lt=at))))
    return users.filter(told)


def _insert(connection: Any, notice: Notice, users: QuerySet[Model], channel: str) -> int:
    # All of a notice's rows have one moment, so that rank alone orders them.
    constants = {
        "notice": notice.pk,
        "channel": channel,
        "language": "",
        "outcome": Delivery.Outcome.WAITING.value,
        "reason": "",
        "attempts": 0,
        "due_at": notice.due_at,
        "lease": "",
        "address_digest": "",
    }
    fields: dict[str, Any] = {name: Delivery._meta.get_field(name) for name in ("user", "rank", *constants)}
    values = [fields[name].get_db_prep_save(value, connection=connection) for name, value in constants.items()]
    active_at = conf.user_active_at()
    rank = Value(0) if active_at is None else IdleHours(active_at, notice.created_at)
    keys = users.annotate(agreement_user=F("pk"), agreement_rank=rank).values_list("agreement_user", "agreement_rank")
    try:
        users_sql, users_params = keys.query.get_compiler(connection=connection).as_sql()
    except EmptyResultSet:  # The audience is nobody.
        return 0
    quote = connection.ops.quote_name
    verb = connection.ops.insert_statement(on_conflict=OnConflict.IGNORE)
    suffix = connection.ops.on_conflict_suffix_sql(list(fields.values()), OnConflict.IGNORE, [], [])
    columns = ", ".join(quote(field.column) for field in fields.values())
    marks = ", ".join(["%s"] * len(values))
    sql = (
        f"{verb} {quote(Delivery._meta.db_table)} ({columns})"
        f" SELECT audience.agreement_user, audience.agreement_rank, {marks}"
        f" FROM ({users_sql}) AS audience WHERE 1 = 1 {suffix}"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [*values, *users_params])
        return int(max(cursor.rowcount, 0))
