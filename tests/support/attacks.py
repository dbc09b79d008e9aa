"""What is tried against the seal: sealed rows of every kind, and the attacks that SQL can say."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

from django.apps import apps
from django.db import connection, models, transaction
from django.utils import timezone

from agreement.models import (
    Acceptance,
    AcceptanceKind,
    AuditAction,
    AuditEntry,
    Bounce,
    Breach,
    Checkpoint,
    Consent,
    Decline,
    Delivery,
    DisplayedText,
    Edition,
    LegalHold,
    LogEntry,
    LogTile,
    Notice,
    NoticeKind,
    NoticeRead,
    NoticeText,
    Signature,
    TimeStamp,
    TransparencyLog,
    Withdrawal,
    WithdrawalOutcome,
    log_records,
)
from agreement.models.acceptances import RequestDetails
from agreement.models.log import LogKind, NewEntry, append
from agreement.seal import triggers
from agreement.seal.manifest import notice_digest
from agreement.testing import open_seal
from tests.support import factories

DAY = timedelta(days=1)
#: How the database answers an attack on a row, and one that adds a row.
REFUSAL = "is sealed: published words, numbers and dates never change|is recorded now: its moment must be that of the"
MODELS: dict[str, type[models.Model]] = {seal.model: apps.get_model("agreement", seal.model) for seal in triggers.SEALS}


@dataclass(frozen=True, kw_only=True)
class World:
    """Sealed rows of every kind, and a draft beside them."""

    in_force: Edition
    scheduled: Edition
    cancelled: Edition
    draft: Edition
    text: NoticeText
    acceptance: Acceptance
    confirmed: Acceptance
    displayedtext: DisplayedText
    decline: Decline
    timestamp: TimeStamp
    signature: Signature
    withdrawal: Withdrawal
    consent: Consent
    taken_back: Consent
    old_consent: Consent
    auditentry: AuditEntry
    notice: Notice
    delivery: Delivery
    failed: Delivery
    skipped: Delivery
    waiting: Delivery
    failed_again: Delivery
    reopened: Delivery
    resent: AuditEntry
    bounce: Bounce
    noticeread: NoticeRead
    breach: Breach
    transparencylog: TransparencyLog
    logentry: LogEntry
    logtile: LogTile
    checkpoint: Checkpoint
    legalhold: LegalHold
    ended: LegalHold
    nameless: LegalHold
    entry_about_a_user: AuditEntry

    def row(self, model: str) -> Any:
        """The row of a sealed model that the attacks aim at."""
        return {
            "agreement": self.in_force.agreement,
            "edition": self.in_force,
            "noticetext": self.text,
            "acceptance": self.acceptance,
            "displayedtext": self.displayedtext,
            "decline": self.decline,
            "timestamp": self.timestamp,
            "signature": self.signature,
            "withdrawal": self.withdrawal,
            "consent": self.consent,
            "auditentry": self.auditentry,
            "notice": self.notice,
            "delivery": self.delivery,
            "bounce": self.bounce,
            "noticeread": self.noticeread,
            "breach": self.breach,
            "legalhold": self.legalhold,
            "transparencylog": self.transparencylog,
            "logentry": self.logentry,
            "logtile": self.logtile,
            "checkpoint": self.checkpoint,
        }[model]


def make_world() -> World:
    in_force, now = factories.draft(), timezone.now()
    # Announced and by now in force: its cancellation is refused by the clock, not by a CHECK.
    with open_seal():
        in_force._seal(
            None,
            None,
            published_at=now - 3 * DAY,
            effective_from=now - DAY,
            recorded_at=now - 3 * DAY,
            by="Редактор",
        )
        AuditEntry.objects.create(
            action=AuditAction.PUBLISHED,
            by="Редактор",
            model="edition",
            key=str(in_force.pk),
            agreement="terms",
            number=1,
            digest=in_force.digest,
            at=now - 3 * DAY,
        )
    scheduled = factories.published(effective_from=now + 10 * DAY)
    cancelled = factories.published(effective_from=now + 20 * DAY)
    cancelled.cancel()
    notice = Notice.objects.create(edition=in_force, kind=NoticeKind.PUBLISHED, fanned_out_at=now)
    text = NoticeText.objects.create(
        notice=notice,
        channel="email",
        language="kk",
        subject="Жаңа редакция",
        text="Мәтін",
        html="<p>Мәтін</p>",
        digest=notice_digest("Жаңа редакция", "Мәтін", "<p>Мәтін</p>"),
    )
    in_force = Edition.objects.get(pk=in_force.pk)
    user, *others = factories.users(7)
    resent = AuditEntry.objects.log(AuditAction.RESENT, on=notice, by="Редактор", note="2")
    sent, *deliveries = (
        Delivery.objects.create(
            notice=notice,
            user=one,
            channel="email",
            language="kk",
            since=0,
            cancelled=0,
            outcome=outcome,
            reason="" if outcome in {"sent", "waiting"} else "SMTP 550",
            due_at=now,
            outcome_at=None if outcome == "waiting" else now,
            address_digest="a" * 64 if outcome == "sent" else "",
            reopened_by=entry,
        )
        for one, outcome, entry in zip(
            [user, *others],
            ("sent", "failed", "skipped", "waiting", "failed", "waiting", "sent"),
            (None, None, None, None, resent, resent, None),
            strict=True,
        )
    )
    acceptance = Acceptance.objects.record(
        user=user,
        edition=in_force,
        digest=in_force.digest,
        language="kk",
        kind=AcceptanceKind.DEEMED,
        request_details=RequestDetails(ip="203.0.113.7", user_agent="Mozilla/5.0"),
    )
    confirmed = Acceptance.objects.record(
        user=others[0],
        edition=in_force,
        digest=in_force.digest,
        language="kk",
        kind=AcceptanceKind.EXPLICIT,
        displayed=DisplayedText.render(in_force, "kk"),
    )
    return World(
        in_force=in_force,
        scheduled=scheduled,
        cancelled=cancelled,
        draft=factories.draft(),
        text=text,
        acceptance=acceptance,
        confirmed=confirmed,
        displayedtext=DisplayedText.objects.get(),
        decline=Decline.objects.record(
            user=user,
            edition=in_force,
            digest=in_force.digest,
            language="kk",
            request_details=RequestDetails(ip="203.0.113.7", user_agent="Mozilla/5.0"),
        ),
        timestamp=_stamped(in_force, now),
        signature=Signature.objects.create(
            edition=in_force,
            number=1,
            signer="А. Ахметов",
            signer_key="a" * 64,
            signed_at=now,
            digest_algorithm="sha256",
            message_digest=in_force.digest,
            content=bytes.fromhex(in_force.digest),
        ),
        withdrawal=_withdrawn(in_force, user),
        taken_back=_taken_back(user),
        old_consent=_old_consent(user),
        consent=Consent.objects.give(user=user, purpose="registration", language="kk", text="Келісемін."),
        auditentry=AuditEntry.objects.latest("pk"),
        notice=notice,
        delivery=sent,
        failed=deliveries[0],
        skipped=deliveries[1],
        waiting=deliveries[2],
        failed_again=deliveries[3],
        reopened=deliveries[4],
        resent=resent,
        bounce=_returned(deliveries[5]),
        noticeread=NoticeRead.objects.create(notice=notice, user=user),
        breach=_announced_breach(in_force),
        legalhold=LegalHold.objects.create(
            user=user, ground="Сот", by="Офицер", pseudonyms=["2026:" + "a" * 64], held_from=now - 2 * DAY
        ),
        ended=_ended_hold(in_force),
        nameless=LegalHold.objects.create(user=user, ground="Сот", by="Офицер"),
        entry_about_a_user=AuditEntry.objects.log("viewed", on=acceptance, by="officer", note="search"),
        **_logged(in_force, acceptance),
    )


def _logged(edition: Edition, acceptance: Acceptance) -> dict[str, Any]:
    """The rows of a log with a full tile, in which all rows are that were made before."""
    log_records.sweep(force=True)
    with transaction.atomic():
        content = {"erasure": [], "ground": "retention term", "term": "2026-01-01T00:00:00.000000Z"}
        append(edition.agreement, [NewEntry(kind=LogKind.ERASURE, content=content, row=None)] * 256)
    TransparencyLog.objects.update(origin="portal.example/terms/log")
    entry, tile = LogEntry.objects.get(kind=LogKind.ACCEPTANCE, row=acceptance.pk), LogTile.objects.get()
    entry.entry, tile.hashes, tile.root = bytes(entry.entry), bytes(tile.hashes), bytes(tile.root)
    return {
        "transparencylog": TransparencyLog.objects.get(),
        "logentry": entry,
        "logtile": tile,
        "checkpoint": Checkpoint.objects.latest("pk"),
    }


def _stamped(edition: Edition, at: datetime) -> TimeStamp:
    """A time stamp on the newest checkpoint of the log."""
    checkpoint = Checkpoint.objects.filter(agreement=edition.agreement).latest("size")
    response = sha256(checkpoint.note.encode()).digest() + f"{at:%Y%m%d%H%M%SZ}".encode()
    return TimeStamp.objects.record(
        checkpoint=checkpoint, authority="https://tsa.example.kz", stamped_at=at, response=response, certificates="PEM"
    )


def _returned(delivery: Delivery) -> Bounce:
    bounce = Delivery.objects.record_bounce(f"<{delivery.message_id_local_part}@portal>", reason="5.1.1")
    assert bounce
    return bounce


def _withdrawn(edition: Edition, user: Any) -> Withdrawal:
    """A withdrawal to which the reply was sent, and given on paper too."""
    withdrawal: Withdrawal = Withdrawal.objects.register(
        agreement=edition.agreement,
        user=user,
        applicant="А. Ахметов",
        application_number="7",
        ground="Шешім",
        outcome=WithdrawalOutcome.ENDED,
        received_on=(timezone.now() - DAY).date(),
    )
    Withdrawal.objects.update(confirmed_at=timezone.now(), confirm_due_at=None, replied_on=timezone.now().date())
    withdrawal.refresh_from_db()
    return withdrawal


def _announced_breach(edition: Edition) -> Breach:
    breach: Breach = Breach.objects.create(agreement=edition.agreement, text_kk="Не болды.", text_ru="Что случилось.")
    breach.notify()
    Breach.objects.create(agreement=edition.agreement, text_kk="Жоба.")  # Beside it, one that is not announced.
    return breach


def _taken_back(user: Any) -> Consent:
    consent: Consent = Consent.objects.give(user=user, purpose="news", language="kk", text="Келісемін.")
    Consent.objects.withdraw()
    consent.refresh_from_db()
    return consent


def _old_consent(user: Any) -> Consent:
    """A consent of last month, which is not withdrawn."""
    with open_seal():
        at = timezone.now() - 30 * DAY
        consent: Consent = Consent.objects.give(user=user, purpose="old", language="kk", text="Келісемін.", at=at)
        return consent


def _ended_hold(edition: Edition) -> LegalHold:
    """A hold that ended yesterday."""
    with open_seal():
        begin, end = timezone.now() - 2 * DAY, timezone.now() - DAY
        return LegalHold.objects.create(edition=edition, ground="Сот", by="Офицер", held_from=begin, held_until=end)


def sealed_rows() -> dict[str, list[Any]]:
    """Every sealed row as the database holds it, base columns too."""
    rows = {}
    with connection.cursor() as cursor:
        for seal in triggers.SEALS:
            meta = MODELS[seal.model]._meta
            # As texts: Django's cursor can't read every forged moment.
            quoted = ", ".join(f'quote("{field.column}")' for field in meta.concrete_fields)
            columns = "stored::text" if connection.vendor == "postgresql" else quoted
            cursor.execute(f"SELECT {columns} FROM {meta.db_table} AS stored WHERE {seal.where('stored')} ORDER BY id")
            rows[seal.model] = cursor.fetchall()
    return rows


def another(row: models.Model, field: Any) -> Any:
    """Another value for that column, one the table's constraints allow."""
    value = getattr(row, field.attname)
    if isinstance(value, bool):
        value = not value
    elif isinstance(value, int):
        value += 1000
    elif isinstance(value, bytes):
        value += b"x"
    elif isinstance(value, UUID):
        value = uuid4()
    elif isinstance(value, date) and not isinstance(value, datetime):
        value -= DAY
    elif isinstance(value, datetime):
        value += -DAY if field.name in {"published_at", "at"} else DAY / 2
    elif field.name in {"prevailing_language", "language"}:
        value = "ru" if value == "kk" else "kk"
    elif field.max_length == 64:
        value = "f" * 64
    else:
        value = f"{value or ''}x"[: field.max_length]
        value = value if value != getattr(row, field.attname) else "x"
    return value


def stored(field: Any, value: Any) -> Any:
    """The value as the database takes it."""
    return field.get_db_prep_value(value, connection)


def unique_keys(model: type[models.Model]) -> Iterator[tuple[str, ...]]:
    """The columns of every unique key of the model's table."""
    column = {field.name: field.column for field in model._meta.concrete_fields}
    for field in model._meta.concrete_fields:
        if field.unique:
            yield (field.column,)
    for names in model._meta.unique_together:
        yield tuple(column[name] for name in names)
    for constraint in model._meta.constraints:
        if isinstance(constraint, models.UniqueConstraint):
            assert not constraint.expressions, f"{constraint.name} needs an attack of its own"
            yield tuple(column[name] for name in constraint.fields)


def changed(row: Any, **values: Any) -> Any:
    for name, value in values.items():
        setattr(row, name, value)
    return row


# Attacks in SQL: name → a function of the world that gives statements with their parameters.

Statements = list[tuple[str, list[Any]]]


def run(statements: Statements) -> None:
    with connection.cursor() as cursor:
        for sql, parameters in statements:
            cursor.execute(sql, parameters)


SQL: dict[str, Callable[[World], Statements]] = {}
SQLITE: dict[str, Callable[[World], Statements]] = {}
#: Those that SQLite does not refuse, and that change nothing.
SILENT: dict[str, Callable[[World], Statements]] = {}
POSTGRESQL: dict[str, Callable[[World], Statements]] = {}
#: Those of an owner of the file, who first removes what the table itself requires. They are for a bare shell.
BARE: dict[str, Callable[[World], Statements]] = {}


def _statements(*statements: str) -> Callable[[World], Statements]:
    """Each with ``{in_force}`` and the like for the key of that row of the world."""

    def attack(world: World) -> Statements:
        keys = {name: getattr(world, name).pk for name in World.__dataclass_fields__}
        return [(statement.format(**keys), []) for statement in statements]

    return attack


def _update(model: str, field: Any) -> Callable[[World], Statements]:
    def attack(world: World) -> Statements:
        row = world.row(model)
        sql = f'UPDATE {row._meta.db_table} SET "{field.column}" = %s WHERE id = %s'
        return [(sql, [stored(field, another(row, field)), row.pk])]

    return attack


#: What may be written in a sealed row, by the design; every other column is attacked.
FREE = {
    "agreement": {"name_kk", "name_ru", "time_zone", "head", "acceptance_mode"},
    "edition": {"cancelled_at"},
    "noticetext": set(),
    # What may be emptied in an entry about a person.
    "auditentry": {"user_id", "account_deleted_at", "pseudonym", "pseudonym_key", "note", "erased_at"},
    # What may be emptied; and what by itself contradicts another column.
    "acceptance": {
        *("user_id", "account_deleted_at", "pseudonym", "pseudonym_key", "ip", "user_agent", "erased_at", "reason"),
        *("kind", "renderer", "html_digest"),
    },
    "displayedtext": set(),
    "timestamp": set(),
    "signature": set(),
    # What may be emptied or filled in once; and the outcome, as the kind above.
    "withdrawal": {
        *("user_id", "account_deleted_at", "pseudonym", "pseudonym_key", "applicant", "application_number", "scan"),
        *("confirmed_at", "confirm_due_at", "confirm_attempts", "erased_at", "outcome", "ground", "replied_on"),
    },
}
# Of a sent delivery: what its deletion, erasure and counting write. Its other rules are attacked one by one below.
FREE["delivery"] = {
    *("account_deleted_at", "pseudonym", "pseudonym_key", "address_digest", "lease", "outcome", "reopened_by_id"),
    "returns",  # One more is the record of a returned letter.
}
FREE["notice"] = {"due_at", "fan_out_cursor", "fanned_out_at", "paused_at"}
FREE["bounce"] = FREE["noticeread"] = FREE["breach"] = set()
FREE["legalhold"] = {"user_id", "pseudonyms", "held_until", "edition_id", "erased_at"}
# Of a log: what is added to. Its other rules are attacked one by one below.
FREE["transparencylog"] = {"origin", "keys", "size", "accepted", "withdrawn", "swept_at"}
FREE["logentry"], FREE["logtile"], FREE["checkpoint"] = {"salt"}, set(), set()
FREE["decline"] = FREE["acceptance"] - {"kind", "renderer", "html_digest", "reason"}
FREE["consent"] = {"user_id", "account_deleted_at", "pseudonym", "pseudonym_key", "withdrawn_at", "erased_at"}

for _name, _model in MODELS.items():
    for _field in _model._meta.concrete_fields:
        if _field.column not in FREE[_name]:
            SQL[f"update {_name}.{_field.column}"] = _update(_name, _field)

AS_DRAFT = (
    "published_at = NULL, number = NULL, effective_from = NULL, recorded_at = NULL, cancelled_at = NULL,"
    f" digest = '', previous_digest = '', imported = {'FALSE' if connection.vendor == 'postgresql' else 0}"
)
_COPY = "SELECT * FROM agreement_edition WHERE id = {in_force}"
_CANCEL = "UPDATE agreement_edition SET cancelled_at = published_at WHERE id ="
SQL |= {
    "make it a draft": _statements(f"UPDATE agreement_edition SET {AS_DRAFT} WHERE id = {{in_force}}"),
    "make all drafts": _statements(f"UPDATE agreement_edition SET {AS_DRAFT}"),
    "update from another row": _statements(
        "UPDATE agreement_edition SET body_ru = other.body_kk FROM (SELECT body_kk FROM agreement_edition"
        " WHERE id = {draft}) AS other WHERE agreement_edition.id = {in_force}"
    ),
    "swap two rows": _statements(
        "UPDATE agreement_edition SET id = -1 WHERE id = {in_force}",
        "UPDATE agreement_edition SET id = {in_force} WHERE id = {scheduled}",
        "UPDATE agreement_edition SET id = {scheduled} WHERE id = -1",
    ),
    "upsert an edition": _statements(
        f"INSERT INTO agreement_edition {_COPY} ON CONFLICT (id) DO UPDATE SET body_kk = 'x'"
    ),
    "upsert the agreement": _statements(
        "INSERT INTO agreement_agreement SELECT * FROM agreement_agreement WHERE head <> ''"
        " ON CONFLICT (slug) DO UPDATE SET slug = 'x'"
    ),
    "delete it": _statements("DELETE FROM agreement_edition WHERE id = {in_force}"),
    "delete a scheduled edition": _statements("DELETE FROM agreement_edition WHERE id = {scheduled}"),
    "delete a cancelled edition": _statements("DELETE FROM agreement_edition WHERE id = {cancelled}"),
    "delete all editions": _statements("DELETE FROM agreement_edition"),
    "delete the agreement": _statements("DELETE FROM agreement_agreement"),
    "delete the text of a notice": _statements("DELETE FROM agreement_noticetext"),
    "delete an audit entry": _statements("DELETE FROM agreement_auditentry WHERE id = {auditentry}"),
    "write another note": _statements("UPDATE agreement_auditentry SET note = 'x' WHERE id = {entry_about_a_user}"),
    "empty a note by the way": _statements("UPDATE agreement_auditentry SET note = '' WHERE id = {entry_about_a_user}"),
    "erase an entry about nobody": _statements(
        "UPDATE agreement_auditentry SET note = '', erased_at = at WHERE id = {auditentry}"
    ),
    "say that an entry was about a deleted account": _statements(
        "UPDATE agreement_auditentry SET account_deleted_at = at WHERE id = {auditentry}"
    ),
    "say that an entry was about a user": _statements(
        "UPDATE agreement_auditentry SET user_id = (SELECT user_id FROM agreement_acceptance WHERE id = {acceptance})"
        " WHERE id = {auditentry}"
    ),
    "say under a pseudonym that an entry was about a user": _statements(
        f"UPDATE agreement_auditentry SET pseudonym = '{'f' * 64}' WHERE id = {{auditentry}}"
    ),
    "give an entry to another user": _statements(
        "UPDATE agreement_auditentry SET user_id = user_id + 1000 WHERE id = {entry_about_a_user}"
    ),
    "give another reason for an acceptance": _statements("UPDATE agreement_acceptance SET reason = 'x'"),
    "give another ground of a withdrawal": _statements("UPDATE agreement_withdrawal SET ground = 'x'"),
    "empty a ground by the way": _statements("UPDATE agreement_withdrawal SET ground = ''"),
    "empty the head": _statements("UPDATE agreement_agreement SET head = ''"),
    "cancel what is in force": _statements(f"{_CANCEL} {{in_force}}"),
    "move a cancellation": _statements(f"{_CANCEL} {{cancelled}}"),
    "delete an acceptance": _statements("DELETE FROM agreement_acceptance WHERE id = {acceptance}"),
    "delete a user with their acceptances": _statements("DELETE FROM agreement_acceptance WHERE user_id IS NOT NULL"),
    "say it was confirmed": _statements(
        "UPDATE agreement_acceptance SET kind = 'explicit', notice_sent = NULL WHERE id = {acceptance}"
    ),
    "say that another HTML was displayed": _statements(
        f"UPDATE agreement_acceptance SET html_digest = '{'f' * 64}' WHERE id = {{confirmed}}"
    ),
    "say that another version of the HTML was displayed": _statements(
        "UPDATE agreement_acceptance SET renderer = renderer + 1 WHERE id = {confirmed}"
    ),
    "say that no HTML was displayed": _statements(
        "UPDATE agreement_acceptance SET html_digest = '', renderer = NULL WHERE id = {confirmed}"
    ),
    "delete a displayed text": _statements("DELETE FROM agreement_displayedtext"),
    "give an acceptance to another user": _statements(
        "UPDATE agreement_acceptance SET user_id = user_id + 1000 WHERE id = {acceptance}"
    ),
    "give an acceptance another address": _statements("UPDATE agreement_acceptance SET ip = '203.0.113.8'"),
    "give an acceptance another browser": _statements("UPDATE agreement_acceptance SET user_agent = 'curl'"),
    "give an acceptance another pseudonym": _statements(f"UPDATE agreement_acceptance SET pseudonym = '{'f' * 64}'"),
    "empty an address by the way": _statements("UPDATE agreement_acceptance SET ip = NULL"),
    "empty a browser by the way": _statements("UPDATE agreement_acceptance SET user_agent = ''"),
    "end what was suspended": _statements(
        "UPDATE agreement_withdrawal SET outcome = 'suspended' WHERE id = {withdrawal}"
    ),
    "delete a withdrawal": _statements("DELETE FROM agreement_withdrawal"),
    "empty an applicant by the way": _statements("UPDATE agreement_withdrawal SET applicant = ''"),
    "name another applicant": _statements("UPDATE agreement_withdrawal SET applicant = 'x'"),
    "name another application": _statements("UPDATE agreement_withdrawal SET application_number = 'x'"),
    "name another scan": _statements("UPDATE agreement_withdrawal SET scan = 'x.pdf'"),
    "undo that a reply was sent": _statements("UPDATE agreement_withdrawal SET confirmed_at = NULL"),
    "move the moment of a reply": _statements("UPDATE agreement_withdrawal SET confirmed_at = registered_at"),
    "undo that a reply was given": _statements("UPDATE agreement_withdrawal SET replied_on = NULL"),
    "move the day of a reply": _statements("UPDATE agreement_withdrawal SET replied_on = '2026-12-31'"),
    "give a withdrawal to another user": _statements("UPDATE agreement_withdrawal SET user_id = user_id + 1000"),
    "delete a consent": _statements("DELETE FROM agreement_consent"),
    "give a consent to another user": _statements("UPDATE agreement_consent SET user_id = user_id + 1000"),
    "undo that a consent was taken back": _statements(
        "UPDATE agreement_consent SET withdrawn_at = NULL WHERE id = {taken_back}"
    ),
    "delete a decline": _statements("DELETE FROM agreement_decline"),
    "give a decline to another user": _statements("UPDATE agreement_decline SET user_id = user_id + 1000"),
    "give a decline another address": _statements("UPDATE agreement_decline SET ip = '203.0.113.8'"),
    "empty the address of a decline by the way": _statements("UPDATE agreement_decline SET ip = NULL"),
    "empty the browser of a decline by the way": _statements("UPDATE agreement_decline SET user_agent = ''"),
    "delete a log": _statements("DELETE FROM agreement_transparencylog"),
    "cut a log": _statements("UPDATE agreement_transparencylog SET size = size - 1"),
    "let a log take up acceptances again": _statements("UPDATE agreement_transparencylog SET accepted = 0"),
    "let a log take up withdrawals again": _statements("UPDATE agreement_transparencylog SET withdrawn = 0"),
    "name a log otherwise": _statements("UPDATE agreement_transparencylog SET origin = 'other.example/terms/log'"),
    "delete an entry of a log": _statements("DELETE FROM agreement_logentry WHERE id = {logentry}"),
    "give an entry another salt": _statements("UPDATE agreement_logentry SET salt = 'a' WHERE id = {logentry}"),
    "delete a tile of a log": _statements("DELETE FROM agreement_logtile"),
    "delete a checkpoint": _statements("DELETE FROM agreement_checkpoint"),
    "add a checkpoint of the past": _statements(
        "INSERT INTO agreement_checkpoint (agreement_id, size, root, note, at)"
        " SELECT agreement_id, size + 1, root, note, '2024-01-01 00:00:00' FROM agreement_checkpoint"
        " WHERE id = {checkpoint}"
    ),
    "delete a time stamp": _statements("DELETE FROM agreement_timestamp"),
    "delete a signature": _statements("DELETE FROM agreement_signature"),
    "say that a signature was verified": _statements("UPDATE agreement_signature SET verified_by = 'x'"),
    "backdate a signature": _statements("UPDATE agreement_signature SET recorded_at = '2024-01-01 00:00:00'"),
    "empty a pseudonym by the way": _statements(
        "UPDATE agreement_acceptance SET pseudonym = '', pseudonym_key = '' WHERE id = {acceptance}"
    ),
    "undo a cancellation": _statements("UPDATE agreement_edition SET cancelled_at = NULL WHERE id = {cancelled}"),
}

# Anonymising: a row loses its account only with the account, or by an erasure, and only now.
_PAST = "'2024-01-01 00:00:00+00'" if connection.vendor == "postgresql" else "'2024-01-01 00:00:00'"
# One moment for the whole statement: a clock that is read for each column may tell two, in the wrong order.
_NOW = "statement_timestamp()" if connection.vendor == "postgresql" else "strftime('%%Y-%%m-%%d %%H:%%M:%%S', 'now')"
#: What a row with ``erased_at`` must have emptied too.
_EMPTIED = {
    "acceptance": f", at = {_PAST}, recorded_at = {_PAST}, ip = NULL, user_agent = '', reason = ''",
    "withdrawal": ", applicant = '', application_number = '', scan = '', ground = ''",
    "decline": f", at = {_PAST}, ip = NULL, user_agent = ''",
}
for _name in ("acceptance", "withdrawal", "consent", "decline", "delivery"):
    _table = f"agreement_{_name}"
    SQL[f"unlink every {_name}"] = _statements(f"UPDATE {_table} SET user_id = NULL")
    SQL[f"say that the account of a {_name} was deleted long ago"] = _statements(
        f"UPDATE {_table} SET user_id = NULL, account_deleted_at = {_PAST} WHERE id = {{{_name}}}"
    )
    if _name != "delivery":
        SQL[f"say that a {_name} was erased long ago"] = _statements(
            f"UPDATE {_table} SET user_id = NULL, pseudonym = '', pseudonym_key = '', erased_at = {_PAST}"
            f"{_EMPTIED.get(_name, '')} WHERE id = {{{_name}}}"
        )

# The ledger and the legal holds.
_TO_WAITING = "UPDATE agreement_delivery SET outcome = 'waiting', outcome_at = NULL, attempts = 0"
SQL |= {
    "make a notice due at another moment": _statements(f"UPDATE agreement_notice SET due_at = {_PAST}"),
    "delete a notice": _statements("DELETE FROM agreement_notice WHERE id = {notice}"),
    "write the deliveries of a notice again": _statements("UPDATE agreement_notice SET fanned_out_at = NULL"),
    "move the end of the fan-out": _statements(f"UPDATE agreement_notice SET fanned_out_at = {_PAST}"),
    "delete a sent delivery": _statements("DELETE FROM agreement_delivery WHERE id = {delivery}"),
    "delete a waiting delivery": _statements("DELETE FROM agreement_delivery WHERE id = {waiting}"),
    "delete all deliveries": _statements("DELETE FROM agreement_delivery"),
    "say that a sent delivery waits": _statements(f"{_TO_WAITING} WHERE id = {{delivery}}"),
    "say that a sent delivery waits, with an entry": _statements(
        f"{_TO_WAITING}, reopened_by_id = {{auditentry}} WHERE id = {{delivery}}"
    ),
    "say that a sent delivery was returned twice": _statements(
        "UPDATE agreement_delivery SET returns = returns + 2 WHERE id = {delivery}"
    ),
    "forget that a delivery was returned": _statements("UPDATE agreement_delivery SET returns = 0"),
    "call a return past": _statements("UPDATE agreement_delivery SET returns_before = returns WHERE returns > 0"),
    "say that a sent delivery failed": _statements(
        "UPDATE agreement_delivery SET outcome = 'failed' WHERE id = {delivery}"
    ),
    "say that a failed delivery was sent": _statements(
        "UPDATE agreement_delivery SET outcome = 'sent' WHERE id = {failed}"
    ),
    "say that a skipped delivery failed": _statements(
        "UPDATE agreement_delivery SET outcome = 'failed' WHERE id = {skipped}"
    ),
    "let a failed delivery wait without an entry": _statements(f"{_TO_WAITING} WHERE id = {{failed}}"),
    "let a skipped delivery wait without an entry": _statements(f"{_TO_WAITING} WHERE id = {{skipped}}"),
    "let a failed delivery wait again by the same entry": _statements(
        f"{_TO_WAITING}, reopened_by_id = {{resent}} WHERE id = {{failed_again}}"
    ),
    "forget the entry of a delivery that waits again": _statements(
        "UPDATE agreement_delivery SET reopened_by_id = NULL WHERE id = {reopened}"
    ),
    "give a sent delivery of a user a pseudonym": _statements(
        f"UPDATE agreement_delivery SET pseudonym = '{'f' * 64}', pseudonym_key = '2026' WHERE id = {{delivery}}"
    ),
    "give a waiting delivery of a user a pseudonym": _statements(
        f"UPDATE agreement_delivery SET pseudonym = '{'f' * 64}', pseudonym_key = '2026' WHERE id = {{waiting}}"
    ),
    "explain a failure otherwise": _statements("UPDATE agreement_delivery SET reason = 'x' WHERE id = {failed}"),
    "send a waiting delivery to another user": _statements(
        "UPDATE agreement_delivery SET user_id = user_id + 1000 WHERE id = {waiting}"
    ),
    "name another address": _statements(
        f"UPDATE agreement_delivery SET address_digest = '{'b' * 64}' WHERE id = {{delivery}}"
    ),
    "lease a sent delivery": _statements("UPDATE agreement_delivery SET lease = 'x' WHERE id = {delivery}"),
    "delete a bounce": _statements("DELETE FROM agreement_bounce"),
    "delete a legal hold": _statements("DELETE FROM agreement_legalhold WHERE id = {legalhold}"),
    "end a legal hold in the past": _statements(
        "UPDATE agreement_legalhold SET held_until = held_from + interval '1 day' WHERE id = {legalhold}"
        if connection.vendor == "postgresql"
        else "UPDATE agreement_legalhold SET held_until = datetime(held_from, '+1 day') WHERE id = {legalhold}"
    ),
    "move the end of a legal hold that ended": _statements(
        f"UPDATE agreement_legalhold SET held_until = {_NOW} WHERE id = {{ended}}"
    ),
    "continue a legal hold that ended": _statements(
        "UPDATE agreement_legalhold SET held_until = NULL WHERE id = {ended}"
    ),
    "erase a legal hold in effect": _statements(
        f"UPDATE agreement_legalhold SET user_id = NULL, ground = '', pseudonyms = '[]', erased_at = {_NOW}"
        " WHERE id = {legalhold}"
    ),
    "give a legal hold to another user": _statements(
        "UPDATE agreement_legalhold SET user_id = user_id + 1000 WHERE id = {legalhold}"
    ),
    "empty the names of a legal hold": _statements(
        "UPDATE agreement_legalhold SET pseudonyms = '[]' WHERE id = {legalhold}"
    ),
    "take the user from a legal hold without names": _statements(
        "UPDATE agreement_legalhold SET user_id = NULL WHERE id = {nameless}"
    ),
    "put a legal hold on an edition instead": _statements(
        "UPDATE agreement_legalhold SET edition_id = {in_force} WHERE id = {legalhold}"
    ),
}


def _copied(model: str, **changes: str) -> Callable[[World], Statements]:
    """Add a row like that of the world, with these columns in SQL instead."""

    def attack(world: World) -> Statements:
        row = world.row(model)
        names = [str(field.column) for field in row._meta.concrete_fields if not field.primary_key]
        values = ", ".join(changes.get(name, f'"{name}"') for name in names)
        columns, table = ", ".join(f'"{name}"' for name in names), row._meta.db_table
        return [(f"INSERT INTO {table} ({columns}) SELECT {values} FROM {table} WHERE id = {row.pk}", [])]

    return attack


# Rows that say they were recorded at another moment than now.
_BACKDATED = {
    "number": "9",
    "digest": f"'{'d' * 64}'",
    "previous_digest": f"'{'e' * 64}'",
    "effective_from": _NOW,
}
_PUBLISH = (
    f"UPDATE agreement_edition SET number = 9, digest = '{'d' * 64}', previous_digest = '{'e' * 64}',"
    " effective_from = {effective_from}, published_at = {published_at}, recorded_at = {recorded_at}{more}"
    " WHERE id = {{draft}}"
)
_NOBODY = {"user_id": "NULL", "pseudonym": "''", "pseudonym_key": "''", "erased_at": _NOW}
_TRUE = "TRUE" if connection.vendor == "postgresql" else "1"
SQL |= {
    "add an acceptance of 2024": _copied("acceptance", round="9", at=_PAST, recorded_at=_PAST),
    "add an acceptance that says it is of 2024": _copied("acceptance", round="9", at=_PAST, recorded_at=_NOW),
    "add imported history recorded in 2024": _copied(
        "acceptance", round="9", at=_PAST, recorded_at=_PAST, kind="'imported'", notice_sent="NULL"
    ),
    "add a withdrawal of 2024": _copied("withdrawal", serial="9", registered_at=_PAST),
    "withdraw a consent in the past": _statements(
        "UPDATE agreement_consent SET withdrawn_at = given_at WHERE id = {old_consent}"
    ),
    "add a consent of 2024": _copied("consent", digest=f"'{'c' * 64}'", given_at=_PAST),
    "add a decline of 2024": _copied("decline", user_id="NULL", at=_PAST),
    "add an erased decline": _copied("decline", **_NOBODY, ip="NULL", user_agent="''", at=_NOW),
    "add a signature of 2024": _copied("signature", number="9", signer_key=f"'{'b' * 64}'", recorded_at=_PAST),
    "add an audit entry of 2024": _copied("auditentry", at=_PAST),
    "add a legal hold that has ended": _copied("legalhold", held_from="'2023-01-01 00:00:00'", held_until=_PAST),
    "add an erased legal hold": _copied(
        "legalhold", user_id="NULL", ground="''", pseudonyms="'[]'", held_until=_NOW, erased_at=_NOW
    ),
    "add an erased acceptance": _copied(
        "acceptance", round="9", **_NOBODY, ip="NULL", user_agent="''", reason="''", at=_NOW, recorded_at=_NOW
    ),
    "add an erased withdrawal": _copied(
        "withdrawal",
        serial="9",
        **_NOBODY,
        applicant="''",
        application_number="''",
        scan="''",
        ground="''",
        registered_at=_NOW,
    ),
    "add an erased consent": _copied("consent", digest=f"'{'c' * 64}'", **_NOBODY, given_at=_NOW),
    "add a published edition of 2024": _copied("edition", **_BACKDATED, published_at=_PAST, recorded_at=_PAST),
    "publish a draft in 2024": _statements(
        _PUBLISH.format(effective_from=_PAST, published_at=_PAST, recorded_at=_PAST, more="")
    ),
    "publish a draft now, as of 2024": _statements(
        _PUBLISH.format(effective_from=_PAST, published_at=_PAST, recorded_at=_NOW, more="")
    ),
    "record history after an edition was published": _statements(
        _PUBLISH.format(effective_from=_PAST, published_at=_PAST, recorded_at=_NOW, more=f", imported = {_TRUE}")
    ),
}


def _forged(row: models.Model, key: tuple[str, ...]) -> dict[str, Any]:
    """The columns of a row like that one which shares this unique key with it, and no other."""
    others = {column for columns in unique_keys(type(row)) for column in columns} - set(key)
    # So that the forged row differs.
    others |= {"note", "ground", "reason", "user_agent", "known_at", "origin"} - set(key)
    return {
        field.column: stored(
            field,
            another(row, field) if field.column in others and not field.is_relation else getattr(row, field.attname),
        )
        for field in row._meta.concrete_fields
    }


def _replace(model: str, key: tuple[str, ...]) -> Callable[[World], Statements]:
    def attack(world: World) -> Statements:
        row = world.row(model)
        columns = _forged(row, key)
        names, marks = ", ".join(f'"{name}"' for name in columns), ", ".join(["%s"] * len(columns))
        return [(f"REPLACE INTO {row._meta.db_table} ({names}) VALUES ({marks})", list(columns.values()))]

    return attack


def _update_or_replace(model: str, key: tuple[str, ...]) -> Callable[[World], Statements]:
    def attack(world: World) -> Statements:
        row = world.row(model)
        columns = _forged(row, key)
        if "id" not in key:
            del columns["id"]
        table, names = row._meta.db_table, ", ".join(f"{name} = %s" for name in columns)
        neighbour = "INSERT INTO agreement_agreement (slug, time_zone, head) VALUES ('neighbour', 'UTC', '')"
        newest = f"(SELECT max(id) FROM {table})"  # The neighbour, or the draft: nothing seals them.
        return [
            (neighbour, []),
            (f"UPDATE OR REPLACE {table} SET {names} WHERE id = {newest}", list(columns.values())),
        ]

    return attack


for _seal in triggers.SEALS:
    _name = _seal.model
    for _key in () if _seal.deletable else unique_keys(MODELS[_name]):
        _attacks = SILENT if _seal.skips_stored else SQLITE
        _attacks[f"replace {_name} by {', '.join(_key)}"] = _replace(_name, _key)
        if _seal.sealed != triggers.EVERY:
            SQLITE[f"update or replace {_name} by {', '.join(_key)}"] = _update_or_replace(_name, _key)


def _replace_by_one_of_now(column: str) -> Callable[[World], Statements]:
    """Write a row over the scheduled edition which shares this column with it, and says that it is published now. The
    triggers refuse the rows above for their moments too.
    """
    other = {
        "number": "50",
        "digest": f"'{'d' * 64}'",
        "previous_digest": f"'{'e' * 64}'",
        "effective_from": "'2035-01-01 00:00:00'",
    }
    del other[column]
    other |= {"published_at": _NOW, "recorded_at": _NOW, "body_kk": "'x'"}
    names = [str(field.column) for field in Edition._meta.concrete_fields if not field.primary_key]
    columns, values = ", ".join(names), ", ".join(other.get(name, name) for name in names)
    return _statements(
        f"REPLACE INTO agreement_edition ({columns}) SELECT {values} FROM agreement_edition WHERE id = {{scheduled}}"
    )


SQLITE |= {
    f"replace an edition by one of now with its {column}": _replace_by_one_of_now(column)
    for column in ("number", "digest", "previous_digest", "effective_from")
}

_AGREEMENT = "SELECT id, 'x', 'UTC', '' FROM agreement_agreement WHERE head <> ''"
SQLITE |= {
    "insert or replace by rowid": _statements(
        f"INSERT OR REPLACE INTO agreement_agreement (rowid, slug, time_zone, head) {_AGREEMENT}"
    ),
    "replace by id as text": _statements(
        f"REPLACE INTO agreement_agreement (id, slug, time_zone, head) {_AGREEMENT.replace('id,', 'CAST(id AS TEXT),')}"
    ),
    "replace by id as real": _statements(
        f"REPLACE INTO agreement_agreement (id, slug, time_zone, head) {_AGREEMENT.replace('id,', 'CAST(id AS REAL),')}"
    ),
    "update or ignore": _statements("UPDATE OR IGNORE agreement_edition SET body_kk = 'x' WHERE id = {in_force}"),
    "update or fail": _statements("UPDATE OR FAIL agreement_edition SET body_kk = 'x' WHERE id = {in_force}"),
    "update the rowid": _statements("UPDATE agreement_edition SET rowid = 5000 WHERE id = {in_force}"),
    "text to blob": _statements("UPDATE agreement_edition SET body_kk = CAST(body_kk AS BLOB) WHERE id = {in_force}"),
}
POSTGRESQL |= {
    "merge, update": _statements(
        f"MERGE INTO agreement_edition AS e USING ({_COPY}) AS o ON e.id = o.id"
        " WHEN MATCHED THEN UPDATE SET body_kk = 'x'"
    ),
    "merge, delete": _statements(
        f"MERGE INTO agreement_edition AS e USING ({_COPY}) AS o ON e.id = o.id WHEN MATCHED THEN DELETE"
    ),
    "delete in a common table expression": _statements(
        "WITH gone AS (DELETE FROM agreement_noticetext RETURNING id) SELECT count(*) FROM gone"
    ),
    "truncate agreements cascade": _statements("TRUNCATE agreement_agreement CASCADE"),
    "truncate editions cascade": _statements("TRUNCATE agreement_edition CASCADE"),
    "truncate notices cascade": _statements("TRUNCATE agreement_notice CASCADE"),
    "truncate acceptances": _statements("TRUNCATE agreement_acceptance"),
    "truncate the audit log": _statements("TRUNCATE agreement_auditentry CASCADE"),
    "truncate texts": _statements("TRUNCATE agreement_noticetext"),
    "truncate the ledger": _statements("TRUNCATE agreement_delivery CASCADE"),
    "truncate bounces": _statements("TRUNCATE agreement_bounce"),
    "truncate legal holds": _statements("TRUNCATE agreement_legalhold"),
    "truncate consents": _statements("TRUNCATE agreement_consent"),
    "truncate withdrawals": _statements("TRUNCATE agreement_withdrawal"),
    "truncate displayed texts": _statements("TRUNCATE agreement_displayedtext"),
    "truncate time stamps": _statements("TRUNCATE agreement_timestamp"),
    "truncate signatures": _statements("TRUNCATE agreement_signature"),
    "truncate by a table of the same name": _statements(
        "CREATE TEMPORARY TABLE agreement_noticetext (id bigint)", "TRUNCATE public.agreement_noticetext"
    ),
    "a function that finds all rows alike": _statements(
        "CREATE FUNCTION to_jsonb(agreement_edition) RETURNS jsonb LANGUAGE sql AS $$ SELECT '1'::jsonb $$",
        "CREATE FUNCTION minus(jsonb, text) RETURNS jsonb LANGUAGE sql AS $$ SELECT $1 $$",
        "CREATE OPERATOR - (LEFTARG = jsonb, RIGHTARG = text, FUNCTION = minus)",
        "SET LOCAL search_path = public, pg_catalog",
        "UPDATE agreement_edition SET body_kk = 'x' WHERE id = {in_force}",
    ),
    "a clock that stands still": _statements(
        "CREATE FUNCTION clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$ SELECT '-infinity'::timestamptz $$",
        "SET LOCAL search_path = public, pg_catalog",
        f"{_CANCEL} {{in_force}}",
    ),
}


# Those of an owner who first removes what the table itself requires.

#: What is not sealed, and may be anything.
_UNSEALED = {
    *(("agreement", column) for column in ("name_kk", "name_ru", "time_zone", "acceptance_mode")),
    ("withdrawal", "confirm_attempts"),
}


def _without_not_null(model: str, column: str) -> Callable[[World], Statements]:
    """Statements for PostgreSQL that make this column nullable, and empty it."""

    def attack(world: World) -> Statements:
        table = MODELS[model]._meta.db_table
        return [
            (f'ALTER TABLE {table} ALTER "{column}" DROP NOT NULL', []),
            (f'UPDATE {table} SET "{column}" = NULL WHERE id = {world.row(model).pk}', []),
        ]

    return attack


def _without_not_null_in_the_file(model: str, column: str) -> Callable[[World], Statements]:
    """Statements for SQLite that do the same."""

    def attack(world: World) -> Statements:
        table = MODELS[model]._meta.db_table
        with connection.cursor() as cursor:
            cursor.execute("SELECT sql FROM sqlite_master WHERE name = %s", [table])
            (sql,) = cursor.fetchone()
        nullable = re.sub(rf'("{column}" [^,]*?) NOT NULL', r"\1", sql, count=1)
        assert nullable != sql
        return [
            ("PRAGMA writable_schema = ON", []),
            ("UPDATE sqlite_master SET sql = %s WHERE name = %s", [nullable, table]),
            ("PRAGMA writable_schema = RESET", []),
            (f'UPDATE {table} SET "{column}" = NULL WHERE id = {world.row(model).pk}', []),
        ]

    return attack


for _name, _model in MODELS.items():
    for _field in _model._meta.concrete_fields:
        if not (_field.null or _field.primary_key or (_name, _field.column) in _UNSEALED):
            POSTGRESQL[f"empty {_name}.{_field.column}"] = _without_not_null(_name, _field.column)
            BARE[f"empty {_name}.{_field.column}"] = _without_not_null_in_the_file(_name, _field.column)

_NO_CHECKS = "PRAGMA ignore_check_constraints = ON"
_FORGET_MOMENT = "UPDATE agreement_delivery SET outcome_at = NULL WHERE id = {delivery}"
POSTGRESQL |= {
    "forget when a delivery was sent": _statements(
        "ALTER TABLE agreement_delivery DROP CONSTRAINT agreement_delivery_outcome_complete", _FORGET_MOMENT
    ),
    "end a legal hold at no moment": _statements(
        "UPDATE agreement_legalhold SET held_until = 'infinity' WHERE id = {legalhold}"
    ),
    "withdraw a consent at no moment": _statements(
        "UPDATE agreement_consent SET withdrawn_at = 'infinity' WHERE id = {consent}"
    ),
    "place a legal hold at no moment": _copied("legalhold", held_from="'-infinity'"),
    "say that an acceptance was imported at no moment": _copied(
        "acceptance", round="9", at="'-infinity'", recorded_at=_NOW, kind="'imported'", notice_sent="NULL"
    ),
    "publish a draft that never takes effect": _statements(
        _PUBLISH.format(effective_from="'infinity'", published_at=_NOW, recorded_at=_NOW, more="")
    ),
    "name the person of a legal hold by an object": _statements(
        "UPDATE agreement_legalhold SET pseudonyms = '{{}}' WHERE id = {nameless}"
    ),
}
BARE |= {
    "forget when a delivery was sent": _statements(_NO_CHECKS, _FORGET_MOMENT),
    "spoil the names of a legal hold": _statements(
        _NO_CHECKS,
        "UPDATE agreement_legalhold SET pseudonyms = substr(pseudonyms, 1, length(pseudonyms) - 1) || 'x'"
        " WHERE id = {legalhold}",
    ),
    "name the person of a legal hold by an object": _statements(
        "UPDATE agreement_legalhold SET pseudonyms = '{{}}' WHERE id = {nameless}",
    ),
}

# Later than the rows of the world, which a CHECK may ask.
_SOON = "strftime('%%Y-%%m-%%d %%H:%%M:%%S', 'now', '+30 seconds')"
#: SQLite compares moments as texts: these lie between two moments near now, but are not what Django writes.
_UNLIKE = {
    "of another day": f"{_SOON} || '+23:59'",
    "of second 99": "strftime('%%Y-%%m-%%d %%H:%%M:', 'now') || '99'",
    "with a word": f"{_SOON} || ' x'",
    "with a fraction of two digits": f"{_SOON} || '.50'",
    "with a fraction of a word": f"{_SOON} || '.50000x'",
    "with a NUL": f"{_SOON} || char(0) || 'x'",
    "as a BLOB": f"CAST({_SOON} AS BLOB)",
    "as a number": "julianday('now')",
}
if connection.vendor == "sqlite":
    for _form, _moment in _UNLIKE.items():
        SQLITE |= {
            f"add an acceptance at a moment {_form}": _copied("acceptance", round="9", at=_moment, recorded_at=_moment),
            f"add an acceptance recorded at a moment {_form}": _copied(
                "acceptance", round="9", at=_NOW, recorded_at=_moment
            ),
            f"add a withdrawal at a moment {_form}": _copied("withdrawal", serial="9", registered_at=_moment),
            f"add a consent at a moment {_form}": _copied("consent", digest=f"'{'c' * 64}'", given_at=_moment),
            f"add an audit entry at a moment {_form}": _copied("auditentry", at=_moment),
            f"place a legal hold at a moment {_form}": _copied("legalhold", held_from=_moment),
            f"publish a draft at a moment {_form}": _statements(
                _PUBLISH.format(effective_from=_moment, published_at=_moment, recorded_at=_moment, more="")
            ),
            f"cancel an edition at a moment {_form}": _statements(
                f"UPDATE agreement_edition SET cancelled_at = {_moment} WHERE id = {{scheduled}}"
            ),
            f"say that an account was deleted at a moment {_form}": _statements(
                f"UPDATE agreement_delivery SET user_id = NULL, account_deleted_at = {_moment} WHERE id = {{delivery}}"
            ),
            f"withdraw a consent at a moment {_form}": _statements(
                f"UPDATE agreement_consent SET withdrawn_at = {_moment} WHERE id = {{consent}}"
            ),
            f"end a legal hold at a moment {_form}": _statements(
                f"UPDATE agreement_legalhold SET held_until = {_moment} WHERE id = {{legalhold}}"
            ),
        }
    for _refused in (  # By a CHECK of the table, also where the seal is open.
        "cancel an edition at a moment as a BLOB",
        "cancel an edition at a moment as a number",
        "add an acceptance recorded at a moment as a number",
        "withdraw a consent at a moment as a number",
        "end a legal hold at a moment as a number",
    ):
        del SQLITE[_refused]
    SQLITE["end a legal hold on a day that does not exist"] = _statements(
        "UPDATE agreement_legalhold SET held_until = '2096-02-30 00:00:00' WHERE id = {legalhold}"
    )
