"""A full life cycle: deemed acceptance, question, refusal, acceptance, withdrawal, return, deletion, erasure."""

from __future__ import annotations

import base64
import io
import subprocess
import zipfile
from datetime import timedelta

import pytest
from django.core import mail
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from agreement.models import Acceptance, Withdrawal, WithdrawalOutcome
from agreement.models.agreements import AcceptanceMode, Agreement
from agreement.notices import dispatch
from agreement.retention import erasure, terms
from tests.models.test_withdrawals import PAGE
from tests.support import factories
from tests.support.smtp_server import mail_by
from tests.support.time_stamp_authority import serving

pytest.importorskip("rfc3161_client")
pytestmark = pytest.mark.django_db


def command(name: str, **options: object) -> str:
    out = io.StringIO()
    call_command(name, stdout=out, stderr=out, **options)
    return out.getvalue()


def test_a_whole_life(settings, tmp_path):
    mail_by(settings, "django.core.mail.backends.locmem.EmailBackend")
    settings.AGREEMENT = {**settings.AGREEMENT, "LOG_KEY": base64.b64encode(bytes(32)).decode()}
    first = factories.published(retention_years=3)
    (user,) = factories.users(1, languages=("ru",))
    key, client = user.pk, Client(headers=PAGE)
    client.force_login(user)

    # By entering, which claims no more than happened.
    assert client.get("/ru/").status_code == 200
    deemed = Acceptance.objects.get()
    assert (deemed.kind, deemed.edition, deemed.displayed) == ("deemed", first, False)

    # A new edition, a notice, and the question with the user's redline.
    Agreement.objects.update(acceptance_mode=AcceptanceMode.BY_CONFIRMATION)
    more = {"kk": factories.KK + "\n1.3. Жаңа тармақ.\n", "ru": factories.RU + "\n1.3. Новый пункт.\n"}
    second = factories.published(**more, retention_years=5)
    dispatch.work()
    assert any(second.digest in letter.body for letter in mail.outbox)
    asked = client.get("/ru/materials/")
    assert asked.status_code == 302
    question = client.get(asked.headers["Location"])
    assert "Новый" in question.content.decode()
    answer = factories.fields(second)
    assert client.post("/ru/agreements/terms/accept/", answer | {"decision": "decline"}).status_code == 200
    assert Acceptance.objects.count() == 1
    assert client.post("/ru/agreements/terms/accept/", answer | {"decision": "accept"}).status_code == 302
    assert client.get("/ru/materials/").status_code == 200

    # Withdrawn by an officer's entry, and accepted again by the user.
    row = Withdrawal.objects.register(
        agreement=second.agreement,
        user=user,
        outcome=WithdrawalOutcome.ENDED,
        application_number="12-к",
        received_on=timezone.now().date() - timedelta(days=1),
        by="А. Серікова",
    )
    blocked = client.get("/ru/materials/")
    assert blocked.headers["Location"].startswith("/ru/agreements/withdraw/")
    assert row.reference in client.get("/ru/agreements/withdraw/").content.decode()
    assert client.post("/ru/agreements/terms/accept/", answer | {"decision": "accept"}).status_code == 302
    assert client.get("/ru/materials/").status_code == 200

    # The account goes; the proof stays, and strangers' tools check it.
    user.delete()
    (tmp_path / "tsa").mkdir()
    with serving(tmp_path / "tsa") as authority:
        stated = {"TIMESTAMP_AUTHORITY": authority.address, "TIMESTAMP_CERTIFICATES": str(authority.certificates)}
        settings.AGREEMENT = {**settings.AGREEMENT, **stated}
        command("stamp_log")
    command("export_evidence", user=str(key), output=str(tmp_path / "user.zip"))
    folder = tmp_path / "user"
    with zipfile.ZipFile(tmp_path / "user.zip") as archive:
        archive.extractall(folder)
    sums = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=folder, capture_output=True, text=True, check=False)
    assert sums.returncode == 0, sums.stderr
    verify = [line.split() for line in (folder / "README.txt").read_text().splitlines() if "openssl ts" in line]
    for line in verify:
        assert subprocess.run(line, cwd=folder, capture_output=True, check=False).returncode == 0
    assert len(verify) == 3  # One log, in three languages.
    lines = (folder / "user/acceptances.csv").read_text().splitlines()
    assert len(lines) == 4  # A head, and three acceptances.
    assert "12-к" in (folder / "user/withdrawals.csv").read_text()

    # The term of the edition that bound the user last passes, and not a moment earlier.
    over = terms.years_later(Acceptance.objects.first().account_deleted_at, 5)
    assert erasure.erase(at=over - timedelta(seconds=1)) == erasure.ErasureCounts()
    assert erasure.erase(at=over).acceptances == 3
    assert Acceptance.objects.for_user_key(key).count() == 0
    assert Acceptance.objects.count() == 3
    # The years have not passed by the clock of the database, and the log shows that.
    with pytest.raises(CommandError, match="1 faults in 2 editions"):
        command("verify_editions")
    command("export_evidence", edition=["terms"], output=str(tmp_path / "editions.zip"))
    with zipfile.ZipFile(tmp_path / "editions.zip") as archive:
        archive.extractall(tmp_path / "editions")
    sums = subprocess.run(
        ["sha256sum", "-c", "SHA256SUMS"], cwd=tmp_path / "editions", capture_output=True, check=False
    )
    assert sums.returncode == 0
