"""Databases that released versions of the app made, each with what that version said about it.

``<version>.sqlite3.xz`` is the database of the site in ``tests/host``, and ``<version>.json`` what ``DESCRIBE`` printed
there. A database is added when a version is released, and never changed later. In an environment that has the wheel of
that version with the extra ``log``, and nothing of this repository::

    AGREEMENT_TEST_HOST_PYTHON=build/released/bin/python .venv/bin/python -m tests.system.upgrades 1.0.0
"""

from __future__ import annotations

import lzma
from pathlib import Path

from tests.system.test_foreign_site import run

FOLDER = Path(__file__).parent
VERSIONS = sorted(path.name.removesuffix(".sqlite3.xz") for path in FOLDER.glob("*.sqlite3.xz"))

#: Editions of each state, acceptances of each kind, a withdrawal, an erased account, letters and a signed log.
FILL = """
import base64
from datetime import date, datetime, timedelta, UTC
from django.conf import settings
from django.core.management import call_command
from django.utils import timezone
from agreement.models import Acceptance, Agreement, Consent, Decline, Edition, Withdrawal, log_records
from people.models import Person, Profile
from people.tests import KK, RU

settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
settings.AGREEMENT = settings.AGREEMENT | {"LOG_KEY": base64.b64encode(bytes(32)).decode()}
people = [Person.objects.create(phone=f"+7000000000{number}") for number in range(5)]
for person, language in zip(people, ["kk", "ru", "", "kk", "ru"]):
    Profile.objects.create(person=person, address=f"{person.phone}@example.kz", language=language)
first, second, third, fourth, fifth = people

def draft(slug, number, **stated):
    agreement, _made = Agreement.objects.get_or_create(slug=slug)
    kk, ru = KK + f"\\n1.2. {number} - тармақ.\\n", RU + f"\\n1.2. Пункт {number}.\\n"
    return Edition.objects.create_draft(agreement=agreement, bodies={"kk": kk, "ru": ru}, **stated)

def accept(user, edition, kind="explicit", language="kk", **stated):
    Acceptance.objects.record(
        user=user, edition=edition, digest=edition.digest, language=language, kind=kind, **stated
    )

history = draft("rules", 1, retention_years=3)
history.record(effective_from=datetime(2024, 2, 12, 4, tzinfo=UTC))
accept(first, history, "imported", at=datetime(2024, 3, 1, 4, tzinfo=UTC))
binding = draft("rules", 2, notice_days=10, retention_years=5, prevailing_language="kk", summary_kk="Өзгерді.",
                summary_ru="Изменено.")
binding.publish(by=first)
for person in (first, second, fourth, fifth):
    accept(person, binding, language="ru" if person == second else "kk")
accept(third, binding, "on_behalf", reason="paper", officer="officer")
Withdrawal.objects.register(
    agreement=binding.agreement, user=fourth, outcome="ended", received_on=date(2026, 1, 1)
)
fifth.delete()
cancelled = draft("rules", 3)
cancelled.publish(effective_from=timezone.now() + timedelta(days=20))
cancelled.cancel(reason="mistake")
draft("rules", 4).publish(effective_from=timezone.now() + timedelta(days=36500 // 10))
draft("policy", 1).publish(notify=False)
draft("rules", 5)
call_command("deliver_notices", once=True, verbosity=0)
log_records.sweep(force=True)
"""

#: What must be true of the database in each later version. It uses public names alone.
DESCRIBE = """
import hashlib, json
from django.test import Client
from agreement.models import Acceptance, Agreement, Checkpoint, Delivery, Edition, LogEntry, NoticeText, Withdrawal
from people.models import Person

def sha256(content):
    return hashlib.sha256(content).hexdigest()

client, found = Client(), {}
for edition in Edition.objects.published():
    here = f"/rules/{edition.agreement.slug}/editions/{edition.number}"
    files = [f"{here}{end}" for end in (".kk.md", ".ru.md", "/manifest.json", "/manifest.json.tlog-proof")]
    answers = [client.get(path) for path in files]
    found[here] = {
        "digest": edition.digest,
        "state": edition.state(),
        "files": [[answer.status_code, sha256(answer.content)] for answer in answers],
    }
for slug in Agreement.objects.values_list("slug", flat=True):
    for path in (f"/rules/{slug}/log/checkpoint", f"/rules/{slug}/log/key"):
        found[path] = client.get(path).content.decode()
found["acceptances"] = [
    [row.edition.number, row.digest, row.kind, row.language, row.at.isoformat(), row.user_id, row.pseudonym]
    for row in Acceptance.objects.order_by("pk").select_related("edition")
]
found["withdrawals"] = [[row.reference, row.outcome, row.effective_at.isoformat()]
                        for row in Withdrawal.objects.order_by("pk")]
found["entries"] = [sha256(bytes(entry)) for entry in
                    LogEntry.objects.order_by("agreement", "index").values_list("entry", flat=True)]
found["checkpoints"] = list(Checkpoint.objects.values_list("size", "root"))
found["letters"] = list(NoticeText.objects.order_by("pk").values_list("digest", flat=True))
found["deliveries"] = sorted(map(list, Delivery.objects.values_list("channel", "outcome")))
print(json.dumps(found, ensure_ascii=False, indent=1, sort_keys=True, default=str))
"""


def make(version: str, folder: Path) -> None:
    """Store the database that the installed version makes in ``folder``."""
    site = {"languages": "kk,ru", "database": f"sqlite://{folder / 'host.sqlite3'}"}
    compact = "from django.db import connection; connection.cursor().execute('VACUUM')"
    made = run(["migrate", "-v0"], *(["shell", "-v0", "-c", code] for code in (FILL, compact)), **site)
    # Another process, because one remembers for a second which editions there are.
    verified, described = run(["verify_editions"], ["shell", "-v0", "-c", DESCRIBE], **site)
    assert [code for code, _said in (*made, verified, described)] == [0] * 5, (made, verified, described)
    (FOLDER / f"{version}.json").write_text(described[1], encoding="utf-8")
    (FOLDER / f"{version}.sqlite3.xz").write_bytes(lzma.compress((folder / "host.sqlite3").read_bytes(), preset=9))
