"""What the log of an agreement says about acceptances, withdrawals and texts of notices, and what takes them up.

An entry about a person is the SHA-256 of a secret salt, a line break and the record of the row: canonical JSON with the
columns that are evidence. The entry itself is public and says nothing about the person. Whoever has the salt and the
record, as the user has in the receipt, can show that they are in the log. An erasure empties the salt; the tree remains
as it is.
"""

from __future__ import annotations

import json
import secrets
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import router, transaction
from django.db.models import Exists, F, OuterRef, Prefetch, Q, QuerySet

from agreement.models.acceptances import Acceptance, AcceptanceKind, AcceptanceQuerySet
from agreement.models.agreements import Agreement
from agreement.models.clock import database_now
from agreement.models.editions import Edition
from agreement.models.log import LogEntry, LogKind, NewEntry, TransparencyLog, append
from agreement.models.log import lock as lock_log
from agreement.models.notices import NoticeText
from agreement.models.withdrawals import Withdrawal
from agreement.seal.manifest import rfc3339, sha256

#: New acceptances and withdrawals are looked for at most once in this time.
INTERVAL = timedelta(minutes=5)
#: So many rows are taken up in one transaction.
BATCH = 1000
#: A worker takes up so many batches of each log before it sends letters again.
MOST_BATCHES = 10
#: An entry has at most 65,535 bytes. So many indices fit into one, with room to spare.
MOST_INDICES = 4000


def acceptance_record(row: Acceptance) -> bytes:
    """The record of an acceptance: canonical JSON. It must not be erased. No query if its edition and the agreement of
    that are loaded.
    """
    return _json(
        {
            "acceptance": row.pk,
            "agreement": row.edition.agreement.slug,
            "edition": row.edition.number,
            "digest": row.digest,
            "language": row.language,
            "kind": row.kind,
            "at": rfc3339(row.at),
            "recorded_at": rfc3339(row.recorded_at),
            "round": row.round,
            "notice_sent": row.notice_sent,
            "reason": row.reason,
            "officer": row.officer,
            "renderer": row.renderer,
            "html_digest": row.html_digest,
            "ip": row.ip,
            "user_agent": row.user_agent,
            "pseudonym": row.pseudonym,
            "pseudonym_key": row.pseudonym_key,
        }
    )


def withdrawal_record(row: Withdrawal) -> bytes:
    """The record of a withdrawal: canonical JSON. It must not be erased. No query if its agreement and its edition are
    loaded.
    """
    return _json(
        {
            "withdrawal": row.reference,
            "edition": row.edition.digest if row.edition else None,
            "received_on": row.received_on.isoformat(),
            "registered_at": rfc3339(row.registered_at),
            "effective_at": rfc3339(row.effective_at) if row.effective_at else None,
            "outcome": row.outcome,
            "may_accept_again": row.may_accept_again,
            "applicant": row.applicant,
            "application_number": row.application_number,
            "ground": row.ground,
            "registered_by": row.registered_by,
            "language": row.language,
            "pseudonym": row.pseudonym,
            "pseudonym_key": row.pseudonym_key,
        }
    )


def commitment(salt: str, record: bytes) -> str:
    """The SHA-256 of the salt, a line break and the record, in lower-case hexadecimal."""
    return sha256(salt.encode() + b"\n" + record)


def is_dated_back(row: Acceptance | Withdrawal) -> bool:
    """Does the row rightly have a moment that is earlier than its recording? It is imported history, or a withdrawal
    that took effect before it was registered. The entry says so, because its term of retention may end sooner.
    """
    if isinstance(row, Acceptance):
        return row.kind == AcceptanceKind.IMPORTED
    return bool(row.effective_at and row.effective_at < row.registered_at)


def content(row: Acceptance | Withdrawal, salt: str) -> dict[str, object]:
    """The content of the entry about this row."""
    if isinstance(row, Acceptance):
        found: dict[str, object] = {"acceptance": commitment(salt, acceptance_record(row))}
    else:
        found = {"withdrawal": commitment(salt, withdrawal_record(row))}
    return found | {"earlier": True} if is_dated_back(row) else found


def unlogged_agreements(rows: QuerySet[Acceptance] | QuerySet[Withdrawal] | QuerySet[NoticeText]) -> set[int]:
    """The primary keys of the agreements of those of these rows that are not in the log yet. 1 query."""
    kind, path = {
        Acceptance: (LogKind.ACCEPTANCE, "edition__agreement"),
        Withdrawal: (LogKind.WITHDRAWAL, "agreement"),
        NoticeText: (LogKind.NOTICE, "notice__edition__agreement"),
    }[rows.model]
    logged = LogEntry.objects.filter(kind=kind, row=OuterRef("pk"))
    return set(rows.filter(~Exists(logged)).order_by().values_list(path, flat=True).distinct())


def sweep(
    at: datetime | None = None, *, force: bool = False, agreement: int | None = None, batches: int | None = None
) -> int:
    """Add the acceptances, withdrawals and texts of notices that are not in the logs yet, and return how many there
    were. ``at`` is the present moment (``None``: the clock of the database).

    A log in which they were looked for in the last ``INTERVAL`` is passed over, unless ``force`` is true. If
    ``agreement`` is given, which is a primary key, the logs of the other agreements are passed over too. Each batch of
    ``BATCH`` rows is a transaction of its own. Unless ``force`` is true, at most ``MOST_BATCHES`` are added to each
    log, so that letters do not wait; if it is true, at most ``batches`` (``None``: all). If the process is killed, the
    next call continues. If nothing is due, 1 query, 2 on PostgreSQL without ``at``.
    """
    using = router.db_for_write(LogEntry)
    at = at or database_now(using)
    logs = TransparencyLog.objects.using(using).select_related("agreement")
    logs = logs.filter(agreement=agreement) if agreement else logs
    due = logs if force else logs.filter(Q(swept_at=None) | Q(swept_at__lte=at - INTERVAL) | Q(swept_at__gt=at))
    return sum(_sweep(log, at, batches=batches if force else MOST_BATCHES, using=using) for log in due)


def _sweep(log: TransparencyLog, at: datetime, *, batches: int | None, using: str) -> int:
    """Add what is missing in this log, at most ``batches`` batches (``None``: all), and return how many entries that
    are. If something may be left, the next call continues.
    """
    last = _last_rows(log, using=using)
    added = 0
    while new := _take_up(log.agreement, last, using=using):
        added += new
        if batches is not None and (batches := batches - 1) <= 0:
            return added
    TransparencyLog.objects.using(using).filter(pk=log.pk).update(swept_at=at)
    return added


def _last_rows(log: TransparencyLog, *, using: str) -> dict[type[Acceptance | Withdrawal], int]:
    """The primary keys of the last acceptance and the last withdrawal of the agreement; those in the log if there are
    no later ones.

    Whoever records one holds a lock on the agreement from before its key is chosen until the commit. When this
    transaction has the lock, every row with a lower key is therefore committed, or was rolled back.
    """
    with transaction.atomic(using=using):
        log.agreement.lock(using=using)
        return {
            Acceptance: _later_acceptances(log, using=using).reverse().values_list("pk", flat=True).first()
            or log.accepted,
            Withdrawal: _later_withdrawals(log, using=using).reverse().values_list("pk", flat=True).first()
            or log.withdrawn,
        }


def _later_acceptances(log: TransparencyLog, *, using: str) -> AcceptanceQuerySet:
    """The acceptances that are not in the log yet, in the order of their keys. They are read along the primary key: an
    index of the editions, which the sum hides, would mean to read and to sort all acceptances for each batch.
    """
    editions = Edition.objects.using(using).filter(agreement=log.agreement_id).values("pk")
    rows = Acceptance.objects.using(using).alias(key=F("edition_id") + 0).filter(key__in=editions)
    return rows.filter(pk__gt=log.accepted).order_by("pk")


def _later_withdrawals(log: TransparencyLog, *, using: str) -> QuerySet[Withdrawal]:
    rows = Withdrawal.objects.using(using).filter(agreement=log.agreement_id, pk__gt=log.withdrawn)
    return rows.select_related("agreement").order_by("pk")


def _take_up(agreement: Agreement, last: dict[type[Acceptance | Withdrawal], int], *, using: str) -> int:
    """Add one batch of missing rows to the log of the agreement, and return how many they are. Rows with keys after
    ``last`` are left out.

    The entries are computed before the log is locked, because a publication waits for that lock. If another process has
    added to the log or erased one of these rows in the meantime, they are computed again. For a row that is erased
    already, an entry about the erasure is added too.
    """
    while True:
        log = TransparencyLog.objects.using(using).get(agreement=agreement)
        acceptances = _later_acceptances(log, using=using).filter(pk__lte=last[Acceptance])
        withdrawals = _later_withdrawals(log, using=using).filter(pk__lte=last[Withdrawal])
        accepted, withdrawn = list(with_editions(acceptances)[:BATCH]), list(with_editions(withdrawals)[:BATCH])
        texts = unlogged_texts(agreement, using=using)
        entries = [NewEntry(kind=LogKind.NOTICE, content={"notice": digest}, row=pk) for pk, digest in texts]
        entries += [_entry(row) for row in (*accepted, *withdrawn)]
        if not entries:
            return 0
        with transaction.atomic(using=using):
            locked = lock_log(agreement, using=using)
            if (locked.size, locked.accepted, locked.withdrawn) != (log.size, log.accepted, log.withdrawn):
                continue
            if any(_erased(rows) for rows in (accepted, withdrawn)):
                continue
            log = append(agreement, entries, using=using)
            log.accepted = max([log.accepted, *(row.pk for row in accepted)])
            log.withdrawn = max([log.withdrawn, *(row.pk for row in withdrawn)])
            log.save(using=using, update_fields=["accepted", "withdrawn"])
            if erased_at := max((row.erased_at for row in (*accepted, *withdrawn) if row.erased_at), default=None):
                record_erasure(
                    acceptances=[row.pk for row in accepted if row.erased_at],
                    withdrawals=[row.pk for row in withdrawn if row.erased_at],
                    ended_at=erased_at,
                    using=using,
                )
        return len(entries)


def _erased(rows: Sequence[Acceptance | Withdrawal]) -> bool:
    """Was one of these rows, which are in the order of their keys, erased after it was read?"""
    if not rows:
        return False
    known = [row.pk for row in rows if row.erased_at]
    stored = type(rows[0])._default_manager.using(rows[0]._state.db)
    found = stored.filter(pk__range=(rows[0].pk, rows[-1].pk), erased_at__isnull=False).exclude(pk__in=known)
    return found.filter(pk__in=[row.pk for row in rows]).exists() if found.exists() else False


def with_editions(rows: Any) -> Any:  # A queryset of either model.
    """The same rows with their editions and the agreements of these, without the texts of the editions. 1 query more;
    each edition is one object.
    """
    editions = Edition.objects.using(rows.db).without_texts("title", "approval", "summary", "body")
    return rows.prefetch_related(Prefetch("edition", queryset=editions.select_related("agreement")))


def unlogged_texts(agreement: Agreement, *, using: str) -> list[tuple[int, str]]:
    """The primary keys and digests of the texts of notices of the agreement that are not in its log. 1 query."""
    logged = LogEntry.objects.filter(kind=LogKind.NOTICE, row=OuterRef("pk"))
    texts = NoticeText.objects.using(using).filter(~Exists(logged), notice__edition__agreement=agreement)
    return list(texts.order_by("pk").values_list("pk", "digest"))


def _entry(row: Acceptance | Withdrawal) -> NewEntry:
    kind = LogKind.ACCEPTANCE if isinstance(row, Acceptance) else LogKind.WITHDRAWAL
    salt = secrets.token_hex(16)
    return NewEntry(kind=kind, content=content(row, salt), row=row.pk, salt=salt)


def record_erasure(*, acceptances: Iterable[int], withdrawals: Iterable[int], ended_at: datetime, using: str) -> None:
    """Empty the salts of the entries about these rows, which are primary keys, and add an entry about the erasure to
    each log that has such entries. ``ended_at`` is when the last of their retention terms ended. It belongs to the
    transaction of the caller, which must be open.
    """
    indices: dict[int, list[int]] = defaultdict(list)
    for kind, rows in ((LogKind.ACCEPTANCE, list(acceptances)), (LogKind.WITHDRAWAL, list(withdrawals))):
        for start in range(0, len(rows), 500):
            entries = LogEntry.objects.using(using).filter(kind=kind, row__in=rows[start : start + 500])
            for key, index in entries.values_list("agreement", "index"):
                indices[key].append(index)
            entries.update(salt="")
    for agreement in Agreement.objects.using(using).filter(pk__in=indices).order_by("pk"):
        append(agreement, [_erasure(chunk, ended_at) for chunk in _chunks(sorted(indices[agreement.pk]))], using=using)


def _erasure(indices: Sequence[int], ended_at: datetime) -> NewEntry:
    stated: dict[str, object] = {"erasure": list(indices), "ground": "retention term", "term": rfc3339(ended_at)}
    return NewEntry(kind=LogKind.ERASURE, content=stated, row=None)


def _chunks(indices: list[int]) -> Iterable[list[int]]:
    return (indices[start : start + MOST_INDICES] for start in range(0, len(indices), MOST_INDICES))


def _json(content: dict[str, object]) -> bytes:
    return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
