"""Erasure leaves no trace of a person: in no column, file or dump, and not in the bytes of the database.

The test fills every column of the app with marks of one person, by what the pages and functions of the app do. It
searches before the erasure too, so that a search that finds nothing fails the test.
"""

from __future__ import annotations

import io
import logging
import os
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db import connection, models
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation

from agreement.models import (
    Acceptance,
    AuditAction,
    AuditEntry,
    Autosave,
    Consent,
    Decline,
    Delivery,
    LegalHold,
    Notice,
    NoticeRead,
    Withdrawal,
    pseudonyms,
)
from agreement.models.acceptances import RequestDetails
from agreement.notices import audience, dispatch
from portal_site.models import Profile
from tests.support import factories

pytestmark = pytest.mark.django_db(transaction=True)

#: The primary key of the person, and those of an officer and of a user who is not in the audience. The last is the
#: greatest, because a database remembers the greatest key that it gave.
PERSON, OFFICER, LAST = 918_273_645, 7, 918_273_646
ADDRESS = "q7email7q@example.kz"
#: What the person is known by, and what was written about them. Each occurs in no other text.
MARKS = {
    "user name": "q7username7q",
    "first name": "q7first7q",
    "last name": "q7last7q",
    "address": ADDRESS,
    "browser": "q7browser7q",
    "reason of an officer": "q7reason7q",
    "ground": "q7ground7q",
    "number of the application": "q7number7q",
    "applicant": "q7applicant7q",
    "ground of the applicant": "q7refused7q",
    "ground of a legal hold": "q7hold7q",
    "ground of a legal hold on an application": "q7holdapplication7q",
    "note": "q7note7q",
    "typed text": "q7typed7q",
    "IP address": "203.0.113.219",
    "key": str(PERSON),
}
#: What is never stored.
UNSTORED = {"search": "q7search7q", "reply of a server": "q7reply7q", "name of a file": "q7file7q"}
SCAN = b"%PDF-q7scan7q"
#: Columns of these types contain no text: moments, flags, and links to rows of the app.
TEXTLESS = (models.DateTimeField, models.DateField, models.DurationField, models.BooleanField, models.AutoField)
#: Tables in which nothing is about one user.
IMPERSONAL_TABLES = {
    "agreement": "what editors write",
    "edition": "what editors write, and the name of the publisher",
    "noticetext": "one text for all users of a language",
    "progress": "counts; the reasons come from the ledger",
    "channelstate": "moments, counts and the reason of an outage, which names no recipient",
    "timestamp": "about a checkpoint of a log",
    "signature": "about an edition, and the name of the officer who signed it",
    "transparencylog": "counts, and keys of rows of the app",
    "logtile": "hashes",
    "checkpoint": "a hash of all entries",
    "displayedtext": "about an edition",
    "breach": "what officers write, and the name of the officer",
    "handover": "what staff write; the row is deleted with the account of its writer",
    "bounce": "a code; the delivery is found by the key of its row",
}
#: Columns without a mark in the other tables.
IMPERSONAL_COLUMNS = {
    "auditentry.action": "a choice",
    "auditentry.by": "the name of an officer",
    "auditentry.account": "the key of an officer",
    "auditentry.model": "the kind of the row",
    "auditentry.key": "the key of a row of the app",
    "auditentry.agreement": "a slug",
    "auditentry.number": "of an edition",
    "auditentry.digest": "of an edition",
    "notice.kind": "a choice",
    "notice.uuid": "random",
    "delivery.channel": "the name of a channel",
    "delivery.rank": "hours since the last activity",
    "delivery.language": "a choice",
    "delivery.since": "the number of an edition",
    "delivery.cancelled": "how many editions were cancelled",
    "delivery.outcome": "a choice",
    "delivery.reason": "without addresses and numbers",
    "delivery.attempts": "a count",
    "delivery.returns": "a count",
    "delivery.returns_before": "a count",
    "delivery.lease": "random",
    "consent.purpose": "a name that the site uses",
    "consent.language": "a choice",
    "consent.text": "the words of the site, the same for all users",
    "consent.digest": "of these words",
    "withdrawal.year": "of the register",
    "withdrawal.serial": "of the register",
    "withdrawal.outcome": "a choice",
    "withdrawal.language": "a choice",
    "withdrawal.scan": "a random name; the bytes of the file are searched",
    "withdrawal.registered_by": "the name of an officer",
    "withdrawal.confirm_attempts": "a count",
    "acceptance.digest": "of an edition",
    "acceptance.language": "a choice",
    "acceptance.renderer": "a version",
    "acceptance.html_digest": "of the text of an edition",
    "acceptance.kind": "a choice",
    "acceptance.round": "a count",
    "acceptance.officer": "the name of an officer",
    "affecteduser.user": "the row is deleted with the account",
    "decline.digest": "of an edition",
    "decline.language": "a choice",
    "logentry.index": "a count",
    "logentry.kind": "a choice",
    "logentry.row": "the key of a row of the app",
    "logentry.entry": "a digest with a salt, which the erasure empties",
    "logentry.salt": "random; the erasure empties it",
    "autosave.base": "the fingerprint of a draft",
    "legalhold.by": "the name of an officer",
} | {
    f"{model}.pseudonym_key": "the name of a key of the site"
    for model in ("auditentry", "delivery", "consent", "withdrawal", "acceptance", "decline")
}


def marks() -> dict[str, list[bytes]]:
    """Name → the forms in which a database stores it: text, and for an address and a key also binary."""
    found = {name: [text.encode()] for name, text in MARKS.items()}
    found["IP address"].append(b"\xcb\x00\x71\xdb")
    found["key"].append(PERSON.to_bytes(4, "big" if connection.vendor == "sqlite" else "little"))
    found["pseudonym"] = [pseudonyms.primary(PERSON).digest.encode()]
    found["digest of the address"] = [pseudonyms.address_digest(ADDRESS).encode()]
    return found


def in_bytes(content: bytes) -> set[str]:
    """The names of the marks that these bytes contain, also of what is never stored."""
    forms = marks() | {name: [text.encode()] for name, text in UNSTORED.items()}
    return {name for name, of_mark in forms.items() if any(form in content for form in of_mark)}


def in_tables() -> set[str]:
    """The names of the marks in any row of any table, of the app and of others."""
    with connection.cursor() as cursor:
        rows = []
        for table in connection.introspection.table_names():
            cursor.execute(f'SELECT * FROM "{table}"')  # noqa: S608 - The names come from the database.
            rows += cursor.fetchall()
    return in_bytes(repr(rows).encode())


def in_dumps() -> set[str]:
    """The names of the marks in what a backup contains: ``dumpdata`` and, on PostgreSQL, ``pg_dump``."""
    out = io.StringIO()
    call_command("dumpdata", stdout=out)
    content = out.getvalue().encode()
    if connection.vendor == "postgresql":
        of = connection.settings_dict
        command = ["pg_dump", f"--host={of['HOST']}", f"--port={of['PORT']}", f"--username={of['USER']}", of["NAME"]]
        env = os.environ | {"PGPASSWORD": of["PASSWORD"]}
        content += subprocess.run(command, check=True, capture_output=True, env=env).stdout
    return in_bytes(content)


def in_raw_bytes() -> set[str]:
    """The names of the marks in the files of the database, also in parts that no row uses."""
    return in_bytes(b"".join(database_files()))


def database_files() -> Iterator[bytes]:
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            path = Path(connection.settings_dict["NAME"])
            yield from (file.read_bytes() for file in path.parent.glob(f"{path.name}*"))
            return
        cursor.execute("CHECKPOINT")
        cursor.execute("SELECT 'base/' || oid FROM pg_database WHERE datname = current_database()")
        [folder] = cursor.fetchone()
        # The files of tables, indexes and statistics of the whole database.
        cursor.execute(
            "SELECT pg_read_binary_file(%s || '/' || name, 0, 1 << 28, true) FROM pg_ls_dir(%s) name", [folder] * 2
        )
        yield from (bytes(content) for [content] in cursor.fetchall() if content)


def vacuum() -> None:
    """What an operator does after an erasure, so that the files lose what the rows lost."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("VACUUM")
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return
        # Not the tables that all databases of the server share. The statistics come last, when they are new.
        tables = ", ".join(connection.introspection.table_names())
        for chosen in (f"(FULL, ANALYZE) {tables}", "(FULL) pg_catalog.pg_statistic"):
            wait_for_older_transactions(cursor)
            cursor.execute(f"VACUUM {chosen}")


def wait_for_older_transactions(cursor: Any) -> None:
    """Return when every transaction of the server has ended that has been open since before this call, for example one
    of another test. Until then PostgreSQL keeps what was deleted meanwhile.
    """
    cursor.execute("SELECT pg_current_xact_id()")
    [now] = cursor.fetchone()
    for _attempt in range(6000):
        cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot()) > %s::xid8, pg_sleep(0.05)", [str(now)])
        if cursor.fetchone()[0]:
            return
    raise AssertionError("A transaction has been open for five minutes.")


def marked_columns() -> set[str]:
    """The columns of the app that have a mark in any row, like ``acceptance.ip``."""
    found = set()
    for model in apps.get_app_config("agreement").get_models():
        for field in model._meta.concrete_fields:
            values = repr(list(model._default_manager.values_list(field.attname, flat=True)))
            if in_bytes(values.encode()):
                found.add(f"{model._meta.model_name}.{field.name}")
    return found


def columns_with_text() -> set[str]:
    """The columns of the app that could contain personal data, except those of ``IMPERSONAL_TABLES``."""
    return {
        f"{model._meta.model_name}.{field.name}"
        for model in apps.get_app_config("agreement").get_models()
        if model._meta.model_name not in IMPERSONAL_TABLES
        for field in model._meta.concrete_fields
        if not isinstance(field, TEXTLESS)
        and not (field.is_relation and field.related_model._meta.app_label == "agreement")
    }


def desk(name: str, *args: object) -> str:
    with translation.override("ru"):
        return reverse(f"admin:agreement_{name}", args=args)


def page(name: str, *args: object) -> str:
    with translation.override("ru"):
        return reverse(f"agreement:{name}", args=args)


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def done(response: Any) -> None:
    """The request had the intended effect: a download, a page, or the redirect after a form."""
    assert response.status_code in {200, 302}, response.status_code
    assert response.status_code == 302 or "errornote" not in str(getattr(response, "content", ""))
    if response.streaming:
        assert b"".join(response.streaming_content)
        response.close()


def live(person: Any, by: Any) -> None:
    """What a person does, and what an officer does about them, while the account exists."""
    own, officer = signed_in(person), signed_in(by)
    first = factories.published(retention_years=0)
    details = RequestDetails(ip=MARKS["IP address"], user_agent=MARKS["browser"])
    Acceptance.objects.record(
        user=person, edition=first, digest=first.digest, language="kk", kind="explicit", request_details=details
    )
    second = factories.published(retention_years=0)
    Decline.objects.record(user=person, edition=second, digest=second.digest, language="kk", request_details=details)
    for _round in range(2):
        dispatch.work()
    for delivery in Delivery.objects.filter(user=person).select_related("notice"):
        NoticeRead.objects.get_or_create(notice=delivery.notice, user=person)
        reply = f"550 5.1.1 <{ADDRESS}> {UNSTORED['reply of a server']}"
        assert Delivery.objects.record_bounce(f"<{delivery.message_id_local_part}@x>", reason=reply)
    Consent.objects.give(user=person, purpose="registration", language="kk", text="Келісемін.")
    Autosave.objects.store(author=PERSON, edition=factories.draft(), fields={"body_kk": MARKS["typed text"]}, base="")
    done(own.get(page("record")))
    done(own.get(page("evidence_mine")))

    who = {"user": person.username, "user_confirmed": PERSON}
    reason = who | {"edition": second.pk, "language": "kk", "reason": MARKS["reason of an officer"]}
    for register in ("acceptance", "withdrawal", "legalhold"):
        for term in (person.username, UNSTORED["search"]):
            done(officer.get(desk(f"{register}_people"), {"q": term}))
    done(officer.post(desk("acceptance_add"), reason))
    for name in ("acceptance", "decline", "withdrawal", "consent", "delivery", "auditentry"):
        for term in (person.username, PERSON, UNSTORED["search"]):
            done(officer.get(desk(f"{name}_changelist"), {"q": term}))
        bad = {"account_deleted_at__year": "0", "q": UNSTORED["search"], "user__id": PERSON}
        assert officer.get(desk(f"{name}_changelist"), bad).status_code == 400
    for row in Acceptance.objects.all():
        done(officer.get(desk("acceptance_change", row.pk)))
    done(officer.get(desk("acceptance_csv", second.pk)))
    done(officer.post(desk("acceptance_evidence"), {"user": person.username}))
    AuditEntry.objects.log(AuditAction.IMPERSONATED, on=person, by=by, note=MARKS["note"])
    application = {
        "agreement": first.agreement_id,
        "application_number": MARKS["number of the application"],
        "received_on": "2026-01-15",
        "outcome": "ended",
        "language": "kk",
    }
    scan = SimpleUploadedFile("q7scanname7q.pdf", SCAN)
    of_user = who | {"ground": MARKS["ground"], "scan": scan}
    done(officer.post(desk("withdrawal_add"), application | of_user))
    refused = {"outcome": "refused", "ground": MARKS["ground of the applicant"], "applicant": MARKS["applicant"]}
    done(officer.post(desk("withdrawal_add"), application | refused))
    for _round in range(2):
        dispatch.work()
    ended = {"held_from": timezone.now() - timedelta(days=2), "held_until": timezone.now()}
    hold = LegalHold.objects.place(user=person, ground=MARKS["ground of a legal hold"], by="officer", **ended)
    LegalHold.objects.place(
        application=Withdrawal.objects.get(user=None).reference,
        ground=MARKS["ground of a legal hold on an application"],
        by="officer",
        **ended,
    )
    done(officer.get(desk("legalhold_change", hold.pk)))
    AuditEntry.objects.log(AuditAction.LEGAL_HOLD, on=hold, by=by)
    # Another user has rows in these tables too. PostgreSQL keeps its statistics of a table that becomes empty.
    Autosave.objects.store(author=OFFICER, edition=factories.draft(), fields={}, base="")
    NoticeRead.objects.create(notice=Notice.objects.latest("pk"), user=by)
    Profile.objects.create(user=by, language="kk")
    own.logout()


def write_half_of_an_audience() -> None:
    """As a worker that is killed leaves it: the last user whose deliveries are written is the person."""
    notice = factories.published(retention_years=0).notices.get()
    while notice.fan_out_cursor != str(PERSON):
        audience._write_next(notice, ("email",))
        notice.refresh_from_db()


def import_history(folder: Path) -> None:
    """The acceptance of the person from before the site had the app, in a file that has their name."""
    edition = factories.draft(slug="earlier", retention_years=0)
    edition.record(effective_from=timezone.now() - timedelta(days=9))
    file = folder / f"{UNSTORED['name of a file']} {MARKS['user name']}.csv"
    at = (timezone.now() - timedelta(days=8)).isoformat()
    file.write_text(f"user,edition,at\n{MARKS['user name']},1,{at}\n", encoding="utf-8")
    call_command("import_acceptances", str(file), agreement="earlier", stdout=io.StringIO())


def remain(by: Any) -> None:
    """What an officer does about a person after the account is deleted."""
    officer = signed_in(by)
    ended = {"held_from": timezone.now() - timedelta(days=2), "held_until": timezone.now()}
    LegalHold.objects.place(account=PERSON, ground=MARKS["ground of a legal hold"], by="officer", **ended)
    done(officer.post(desk("acceptance_evidence"), {"user": f"key:{PERSON}"}))
    for row in Acceptance.objects.all():
        done(officer.get(desk("acceptance_change", row.pk)))
    done(officer.get(desk("auditentry_changelist"), {"q": PERSON}))
    for entry in AuditEntry.objects.for_user_key(PERSON):
        done(officer.get(desk("auditentry_change", entry.pk)))


def test_nothing_that_names_an_erased_person_is_stored_anywhere(
    settings, django_user_model, tmp_path, monkeypatch, caplog
):
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SHOW is_superuser")
            if cursor.fetchone() != ("on",):
                pytest.skip("reads the files of the database, which needs a superuser")
    caplog.set_level(logging.DEBUG)
    private = tmp_path / "private"
    stored = {"PRIVATE_ROOT": str(private), "RECORD_IP": True, "RECORD_USER_AGENT": True}
    settings.AGREEMENT = {**settings.AGREEMENT, **stored}
    monkeypatch.setattr(audience, "USERS_PER_STATEMENT", 1)
    create = django_user_model.objects.create
    by = create(pk=OFFICER, username="officer", is_staff=True, is_superuser=True)
    names = {"first_name": MARKS["first name"], "last_name": MARKS["last name"], "email": ADDRESS}
    person = create(pk=PERSON, username=MARKS["user name"], **names)
    Profile.objects.create(user=person, language="kk")
    create(pk=LAST, username="last", is_active=False)

    import_history(tmp_path)
    live(person, by)
    write_half_of_an_audience()
    columns = marked_columns()
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")  # The statistics of the planner contain values of columns.
    assert in_tables() == in_dumps() == in_raw_bytes() == set(marks())
    assert SCAN in b"".join(file.read_bytes() for file in private.rglob("*.pdf"))

    person.delete()
    remain(by)
    columns |= marked_columns()
    assert columns_with_text() - columns == set(IMPERSONAL_COLUMNS)
    call_command("erase_expired", stdout=io.StringIO())
    vacuum()

    assert in_tables() == in_dumps() == set()
    assert in_raw_bytes() == set()
    assert not list(private.rglob("*.pdf"))
    assert in_bytes(caplog.text.encode()) == set()
