"""The audience of notices: who is in it, and how the deliveries of a notice are written into the ledger. Several
processes may write them at the same time, and any of them may be killed and begin again.
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
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Count, Exists, F, Func, Model, OuterRef, Q, QuerySet, Value
from django.db.models.constants import OnConflict
from django.db.models.expressions import Combinable
from django.db.models.sql.compiler import SQLCompiler
from django.utils import timezone

from agreement import conf
from agreement.models import (
    Acceptance,
    AcceptanceKind,
    AffectedUser,
    Delivery,
    DeliveryOutcome,
    Edition,
    Notice,
    NoticeKind,
    NoticeRead,
    Progress,
    membership,
)
from agreement.models.deliveries import NEVER_ACTIVE_RANK
from agreement.models.notices import DESCRIBING, PERHAPS_SENT
from agreement.text.languages import LANGUAGES, notice_language

__all__ = ["active_users"]

logger = logging.getLogger("agreement")

#: For how many users one statement writes deliveries, at most. The statement takes less than half a second, for which
#: SQLite is locked.
USERS_PER_STATEMENT = 50_000
#: The SQL of each database for the whole hours between two moments, from 0 to ``NEVER_ACTIVE_RANK``.
IDLE_HOURS = {
    "sqlite": "MAX(0, MIN(%(never)s, COALESCE("
    "CAST((julianday(%(end)s) - julianday(%(start)s)) * 24 AS INTEGER), %(never)s)))",
    "postgresql": "GREATEST(0, LEAST(%(never)s, COALESCE("
    "FLOOR(EXTRACT(EPOCH FROM (%(end)s - %(start)s)) / 3600)::integer, %(never)s)))",
}


def active_users() -> QuerySet[Model]:
    """Return the users whose ``is_active`` is true, or all users if the model has no such field. This is the default of
    the setting ``AUDIENCE``. The queryset is not evaluated.
    """
    users = get_user_model()
    everybody: QuerySet[Model] = users._default_manager.all()
    try:
        users._meta.get_field("is_active")
    except FieldDoesNotExist:
        return everybody
    return everybody.filter(is_active=True)


def notice_audience(notice: Notice) -> QuerySet[Model]:
    """Return the users to whom this notice may be sent: those of the site's ``AUDIENCE`` whom its agreement binds
    (:func:`agreement.models.membership.audience`). A breach may concern users whom the agreement does not bind, and a
    cancellation those who were notified before they left its audience: such a notice is for the ``AUDIENCE``. The
    queryset is not evaluated. No query if the edition of the notice is loaded with its agreement.
    """
    if notice.kind in (NoticeKind.BREACH, NoticeKind.CANCELLED) or not conf.get().AUDIENCES:
        return conf.audience()
    return membership.audience(notice.edition.agreement.slug)


def count_by_language(users: QuerySet[Model]) -> dict[str, int]:
    """Return the number of these users by the language of their notice: ``kk``, ``ru``, or ``mul`` (both languages) if
    the language of a user is unknown or another one. The result contains all three, also with 0. At most 1 query, which
    reads the rows of all these users.
    """
    language, counts = conf.user_language(), dict.fromkeys((*LANGUAGES, "mul"), 0)
    rows = users.annotate(agreement_language=Value("") if language is None else language).order_by()
    for code, count in rows.values_list("agreement_language").annotate(agreement_count=Count("pk")):
        counts[notice_language(code)] += count
    return counts


def count_recipients(notice: Notice, channel: str, *, up_to: int) -> int:
    """Return how many users of the audience the notice concerns in this channel, counting at most ``up_to``. The notice
    of a cancellation need not be saved, and its edition need be cancelled only in memory. At most 3 queries if the
    edition is loaded; one of them may read the whole audience.
    """
    return _recipients(notice_audience(notice).order_by(), notice, channel)[:up_to].count()


class IdleHours(Func):
    """The number of whole hours from the moment of the expression ``moment`` to ``at``, at least 0 and at most
    ``NEVER_ACTIVE_RANK``. A null moment gives ``NEVER_ACTIVE_RANK``, and a moment after ``at`` gives 0. SQLite rounds
    the moments, so the number may be lower by 1 if the difference is an exact number of hours. On databases other than
    SQLite and PostgreSQL the number is always 0.
    """

    output_field = models.PositiveIntegerField()

    def __init__(self, moment: Combinable, at: datetime) -> None:
        super().__init__(moment, Value(at, output_field=models.DateTimeField()))

    def as_sql(
        self,
        compiler: SQLCompiler,
        connection: BaseDatabaseWrapper,
        function: str | None = None,
        template: str | None = None,
        arg_joiner: str | None = None,
        **extra_context: Any,  # Django's signature
    ) -> tuple[str, tuple[str | int, ...]]:
        if connection.vendor not in IDLE_HOURS:
            return "0", ()
        (start, start_params), (end, end_params) = map(compiler.compile, self.source_expressions)
        sql = IDLE_HOURS[connection.vendor] % {"start": start, "end": end, "never": NEVER_ACTIVE_RANK}
        return sql, (*end_params, *start_params)


def write_deliveries(notice: Notice, *, channels: Iterable[str], deadline: float | None = None) -> int:
    """Write a delivery for every user whom the notice concerns and each of these channels, which are given by name.
    Return how many this call wrote; a delivery that exists already is not counted. :func:`_recipients` says which users
    of the audience a notice concerns.

    One transaction writes the deliveries of up to ``USERS_PER_STATEMENT`` users, with one ``INSERT … SELECT`` for each
    channel. No such transaction begins after the ``deadline``, which is a value of ``time.monotonic()``; ``None`` means
    that there is no deadline. The next call continues where this one stopped. When all are written, ``fanned_out_at``
    of the notice is set, and later calls write nothing. If the edition was cancelled, the notice of its publication and
    its reminder get no more deliveries, and count as completely written. The :class:`Progress` of each channel is
    created if it is missing, and the written deliveries are added to it.
    """
    channels = tuple(channels)
    for channel in channels:
        Progress.objects.get_or_create(notice=notice, channel=channel)
    written = 0
    while deadline is None or time.monotonic() < deadline:
        count, done = _write_next(notice, channels)
        written += count
        if done:
            logger.info("N101 notice %s: audience written", notice.pk)
            break
    return written


def _write_next(notice: Notice, channels: tuple[str, ...]) -> tuple[int, bool]:
    """Write the deliveries of up to ``USERS_PER_STATEMENT`` further users, in the order of their primary keys. Return
    how many deliveries were written, and whether the notice is finished: all of its deliveries are written, or no more
    are to be written because the edition was cancelled. The row of the notice is locked while this runs.
    """
    alias = router.db_for_write(Delivery)
    connection = connections[alias]
    with transaction.atomic(using=alias):
        # As in Agreement.lock(), the first statement is a write. It locks the row of the notice, or on SQLite the
        # database.
        Notice.objects.filter(pk=notice.pk).update(fan_out_cursor=F("fan_out_cursor"))
        notice.refresh_from_db(using=alias, fields=["fan_out_cursor", "fanned_out_at"])
        if notice.fanned_out_at:
            return 0, True
        cancelled = Edition.objects.using(alias).filter(pk=notice.edition_id, cancelled_at__isnull=False)
        if notice.kind in DESCRIBING and cancelled.exists():
            # No more users are notified of this edition. Those who were notified get the notice of the cancellation.
            Notice.objects.filter(pk=notice.pk).update(fan_out_cursor="", fanned_out_at=timezone.now())
            return 0, True
        key = get_user_model()._meta.pk
        users = notice_audience(notice).using(alias).order_by("pk")
        if notice.fan_out_cursor:
            users = users.filter(pk__gt=key.to_python(notice.fan_out_cursor))
        last = users.values_list("pk", flat=True)[USERS_PER_STATEMENT - 1 : USERS_PER_STATEMENT].first()
        if last is not None:
            users = users.filter(pk__lte=last)
        written = 0
        for channel in channels:
            count = _insert(connection, notice, _recipients(users, notice, channel), channel)
            Progress.objects.filter(notice=notice, channel=channel).update(waiting=F("waiting") + count)
            written += count
        if last is not None:
            Notice.objects.filter(pk=notice.pk).update(fan_out_cursor=str(last))
        else:  # The key of a user is not stored longer than it is needed.
            Notice.objects.filter(pk=notice.pk).update(fan_out_cursor="", fanned_out_at=timezone.now())
    return written, last is None


def _recipients(users: QuerySet[Model], notice: Notice, channel: str) -> QuerySet[Model]:
    """Return those of the users whom the notice concerns in this channel. The notice of a breach concerns the users
    whom the breach concerns, and the notice of a cancellation those who were notified of the cancelled edition. Every
    other notice concerns all of the users.

    Notices about later editions that were created before the cancellation may describe the cancelled edition too
    (:meth:`Notice.covering`). A user counts as notified in each of these cases:

    - The channel sent them the notice of the publication of the cancelled edition or its reminder, or perhaps sent it
      (skipped with the reason ``PERHAPS_SENT``, or failed with ``perhaps_sent``).
    - The channel sent them a notice about a later edition, with a text that was composed before the cancellation and
      compares with none or with an edition before the cancelled one. A fact that the delivery does not record counts as
      true.
    - A delivery of a notice about a later edition waits, and a worker has claimed it, or it has ``perhaps_sent``.
    - They opened one of these notices on the site before the cancellation, or accepted the cancelled edition by
      confirmation. This counts in every channel.
    """
    if notice.kind == NoticeKind.BREACH:
        affected = AffectedUser.objects.filter(breach__notice=notice, user=OuterRef("pk"))
        return users if notice.breach.everyone else users.filter(Exists(affected))
    if notice.kind != NoticeKind.CANCELLED:
        return users
    outcomes, at, edition = DeliveryOutcome, notice.created_at, notice.edition
    deliveries = Delivery.objects.filter(user=OuterRef("pk"), channel=channel)
    perhaps = Q(outcome=outcomes.SKIPPED, reason=PERHAPS_SENT) | Q(outcome=outcomes.FAILED, perhaps_sent=True)
    notified = Q(Exists(deliveries.filter(Q(outcome=outcomes.SENT) | perhaps, notice__in=notice.other_notices())))
    later = list(notice.covering().using(users.db))
    opened = Q(notice__in=notice.other_notices()) | Q(notice__in=later)
    read = NoticeRead.objects.filter(opened, user=OuterRef("pk"), read_at__lt=at)
    confirmed = Acceptance.objects.filter(edition=edition.pk, kind=AcceptanceKind.EXPLICIT, user=OuterRef("pk"))
    notified |= Q(Exists(read)) | Q(Exists(confirmed))
    if later:
        cancelled = Edition.objects.using(users.db).filter(
            agreement=edition.agreement_id, cancelled_at__lte=edition.cancelled_at
        )
        cancelled = cancelled.exclude(pk=edition.pk)  # It counts as cancelled, also if this is not saved yet.
        # A delivery that was found in the mail log after a restore has neither "since" nor "cancelled". It is included.
        # A delivery that waits may have those of a text that was refused.
        sent = Q(outcome=outcomes.SENT) & (Q(cancelled__isnull=True) | Q(cancelled__lte=cancelled.count()))
        sent &= Q(since__isnull=True) | Q(since__lt=edition.number)
        unanswered = ~Q(lease="") | Q(perhaps_sent=True)
        covering = deliveries.filter(sent | Q(unanswered, outcome=outcomes.WAITING), notice__in=later)
        notified |= Q(Exists(covering))
    return users.filter(notified)


def _insert(connection: BaseDatabaseWrapper, notice: Notice, users: QuerySet[Model], channel: str) -> int:
    # All rows of a notice are due at the same moment, so that they are ordered by rank alone.
    constants = {
        "notice": notice.pk,
        "channel": channel,
        "language": "",
        "outcome": DeliveryOutcome.WAITING.value,
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
    except EmptyResultSet:  # The audience is empty.
        return 0
    quote = connection.ops.quote_name
    verb = connection.ops.insert_statement(on_conflict=OnConflict.IGNORE)
    suffix = connection.ops.on_conflict_suffix_sql(list(fields.values()), OnConflict.IGNORE, [], [])
    columns = ", ".join(quote(field.column) for field in fields.values())
    marks = ", ".join(["%s"] * len(values))
    sql = (
        f"{verb} {quote(Delivery._meta.db_table)} ({columns})"  # noqa: S608 - Django made the SQL in it
        f" SELECT audience.agreement_user, audience.agreement_rank, {marks}"
        f" FROM ({users_sql}) AS audience WHERE 1 = 1 {suffix}"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [*values, *users_params])
        return int(max(cursor.rowcount, 0))
