"""Every page of the desk in a large site, against Django's own list of users in the same database."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from statistics import median

from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from agreement.models import Acceptance, AuditEntry, Delivery, Edition, Notice, NoticeKind
from agreement.testing import open_seal
from portal_site.management.commands import demo
from tests.benchmarks.__main__ import Result
from tests.benchmarks.editions import _resize
from tests.support import factories

#: The most queries one page may make.
QUERIES = 36
RATIO = 3


def admin(quick: bool) -> Iterator[Result]:
    """200 editions, a million deliveries, a hundred thousand acceptances."""
    users, editions, notices, runs = (2_000, 20, 2, 2) if quick else (100_000, 200, 10, 7)
    _fill(users, editions, notices)
    client = Client(SERVER_NAME="localhost")
    client.force_login(get_user_model().objects.create_superuser("desk", "desk@example.kz"))
    theirs = _measure(client, reverse("admin:auth_user_changelist"), runs)[0]
    held = f"{Delivery.objects.count():,} deliveries, {Acceptance.objects.count():,} acceptances, {editions} editions"
    print(f"       {held}; the list of {users:,} users: {theirs:.0f} ms", flush=True)
    slowest, most, counted = ("", 0.0), ("", 0), []
    for name, address in _pages().items():
        taken, queries = _measure(client, address, runs)
        # An index finds the rows of deleted accounts, and they are few.
        counts = [
            sql for sql in queries if "COUNT(" in sql and "agreement_delivery" in sql and '"user_id" IS NULL' not in sql
        ]
        print(f"       {name:<28} {len(queries):3} queries {taken:7.0f} ms", flush=True)
        counted += [name] if counts else []
        slowest = max(slowest, (name, taken / theirs), key=lambda found: found[1])
        most = max(most, (name, len(queries)), key=lambda found: found[1])
    yield Result("admin: slowest page, ratio", slowest[1], RATIO, f"{slowest[0]}, against the list of users")
    yield Result("admin: most queries", most[1], QUERIES, most[0])
    yield Result("admin: counts of deliveries", len(counted), 0, ", ".join(counted) or "none")


def _measure(client: Client, address: str, runs: int) -> tuple[float, list[str]]:
    """Milliseconds, the median of the runs, and the queries of one."""
    with CaptureQueriesContext(connection) as captured:
        answer = client.get(address)
    queries = [query["sql"] for query in captured]  # Now: the next request forgets them.
    assert answer.status_code == 200, (address, answer.status_code)
    times = []
    for _run in range(runs):
        started = time.perf_counter()
        client.get(address)
        times.append(time.perf_counter() - started)
    return median(times) * 1000, queries


def _pages() -> dict[str, str]:
    draft = Edition.objects.drafts().get()
    last = Edition.objects.in_force().get(agreement=draft.agreement)
    notice = Notice.objects.first()
    assert notice is not None
    pages = {
        "agreements": ("agreement_changelist", []),
        "timeline": ("agreement_change", [draft.agreement_id]),
        "editions": ("edition_changelist", []),
        "start": ("edition_add", []),
        "draft": ("edition_change", [draft.pk]),
        "publish": ("edition_publish", [draft.pk]),
        "changes": ("edition_changes", [draft.pk]),
        "history": ("edition_history", [draft.pk]),
        "deleted drafts": ("edition_recoverlist", []),
        "delete": ("edition_delete", [draft.pk]),
        "sealed edition": ("edition_change", [last.pk]),
        "preview of the page": ("edition_preview", [draft.pk, "page", "kk"]),
        "preview of the mail": ("edition_preview", [draft.pk, "mail", "ru"]),
        "acceptances": ("acceptance_changelist", []),
        "audit log": ("auditentry_changelist", []),
        "audit entry": ("auditentry_change", [AuditEntry.objects.latest("pk").pk]),
        "notices": ("notice_changelist", []),
        "notice": ("notice_change", [notice.pk]),
        "sending": ("notice_sending", [notice.pk]),
        "deliveries": ("delivery_changelist", []),
        "delivery": ("delivery_change", [Delivery.objects.latest("pk").pk]),
    }
    found = {name: reverse(f"admin:agreement_{page}", args=args) for name, (page, args) in pages.items()}
    found["sending, its middle"] = found["sending"] + "?part"
    found["deliveries of a notice"] = found["deliveries"] + f"?notice={notice.pk}"
    return found


def _fill(users: int, editions: int, notices: int) -> None:
    _resize(users)
    agreement, bodies = factories.agreement("large"), demo.bodies(2)
    start = timezone.now() - timedelta(days=editions)
    with open_seal():
        Edition.objects.bulk_create(
            Edition(
                agreement=agreement,
                **{f"body_{code}": body for code, body in bodies.items()},
                **{f"title_{code}": body.partition("\n")[0].strip("# ") for code, body in bodies.items()},
                number=number,
                published_at=start + timedelta(days=number - 1),
                effective_from=start + timedelta(days=number - 1),
                recorded_at=start + timedelta(days=number - 1),
                digest=f"{number:064x}",
                previous_digest=f"{number - 1:064x}" if number > 1 else "",
            )
            for number in range(1, editions + 1)
        )
    factories.draft(slug="large", **{code: demo.bodies(3)[code] for code in ("kk", "ru")})
    sealed = list(Edition.objects.filter(agreement=agreement).published())
    now = timezone.now()
    for edition in sealed[-notices:]:
        notice = Notice.objects.create(edition=edition, kind=NoticeKind.PUBLISHED, fanned_out_at=now)
        sent = {"notice_id": notice.pk, "channel": "email", "language": "kk", "outcome": "sent"}
        _for_every_user(Delivery, sent | {"rank": 0, "due_at": now, "outcome_at": now})
        notice.progress.create(channel="email", sent=users, latest_at=now, timed=users, sending_time=timedelta(hours=1))
    accepted = {"edition_id": sealed[-1].pk, "digest": sealed[-1].digest, "language": "kk", "kind": "explicit"}
    for day in range(50):  # They accepted one after the other.
        moments = dict.fromkeys(("at", "recorded_at"), now - timedelta(days=day))
        _for_every_user(Acceptance, accepted | moments | {"round": 1}, where=f"id % 50 = {day}")
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")


def _for_every_user(
    model: type[Delivery] | type[Acceptance], columns: dict[str, object], *, where: str = "1 = 1"
) -> None:
    fields = {field.column: field for field in model._meta.concrete_fields}
    required = {name: field for name, field in fields.items() if not (field.null or field.primary_key)}
    columns = {name: field.get_default() for name, field in required.items()} | columns
    values = [fields[name].get_db_prep_save(value, connection) for name, value in columns.items()]
    names = ", ".join(f'"{name}"' for name in columns)
    marks = ", ".join("%s" for _value in values)
    with open_seal(), connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {model._meta.db_table} (user_id, {names}) SELECT id, {marks} FROM auth_user"
            f" WHERE {where.replace('%', '%%')}",
            values,
        )
