"""A whole life: joined by entering, asked, declined, accepted, left, let in again, deleted, proved, erased."""

from __future__ import annotations

import io
import subprocess
import zipfile
from datetime import timedelta

import pytest
from django.core import mail
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from agreement import dispatch, retention
from agreement.models import Acceptance, Withdrawal
from agreement.models.agreements import Agreement, Joining
from tests import factories
from tests.authority import serving
from tests.smtp import mail_by
from tests.test_withdrawals import PAGE

pytest.importorskip("rfc3161_client")
pytestmark = pytest.mark.django_db


def command(name: str, **options: object) -> str:
    out = io.StringIO()
    call_command(name, stdout=out, stderr=out, **options)
    return out.getvalue()


def test_a_whole_life(settings, tmp_path):
    mail_by(settings, "django.core.mail.backends.locmem.EmailBackend")
    first = factories.published(retention_years=3)
    (user,) = factories.users(1, languages=("ru",))
    key, client = user.pk, Client(headers=PAGE)
    client.force_login(user)

    # By entering, which claims no more than happened.
    assert client.get("/ru/").status_code == 200
    deemed = Acceptance.objects.get()
    assert (deemed.kind, deemed.edition, deemed.displayed) == ("deemed", first, False)

    # A new edition, a notice, and the question with his own redline.
    Agreement.objects.update(joining=Joining.EXPLICIT)
    more = {"kk": factories.KK + "\n1.3. Жаңа тармақ.\n", "ru": factories.RU + "\n1.3. Новый пункт.\n"}
    second = factories.published(**more, retention_years=5)
    dispatch.work()
    assert any(second.digest in letter.body for letter in mail.outbox)
    asked = client.get("/ru/materials/")
    assert asked.status_code == 302
    question = client.get(asked.headers["Location"])
    assert "Новый" in question.content.decode()
    answer = {"edition": 2, "digest": second.digest, "language": "ru"}
    assert client.post("/ru/agreements/terms/accept/", answer | {"decision": "decline"}).status_code == 200
    assert Acceptance.objects.count() == 1
    assert client.post("/ru/agreements/terms/accept/", answer | {"decision": "accept"}).status_code == 302
    assert client.get("/ru/materials/").status_code == 200

    # Out by an officer's entry, and in again by his own word.
    row = Withdrawal.objects.register(
        agreement=second.agreement,
        user=user,
        outcome=Withdrawal.Outcome.ENDED,
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
        command("stamp_editions")
    command("export_evidence", user=str(key), output=str(tmp_path / "user.zip"))
    folder = tmp_path / "user"
    with zipfile.ZipFile(tmp_path / "user.zip") as archive:
        archive.extractall(folder)
    sums = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=folder, capture_output=True, text=True, check=False)
    assert sums.returncode == 0, sums.stderr
    verify = [line.split() for line in (folder / "README.txt").read_text().splitlines() if "openssl ts" in line]
    for line in verify:
        assert subprocess.run(line, cwd=folder, capture_output=True, check=False).returncode == 0
    assert len(verify) == 6
    joinings = (folder / "user/joinings.csv").read_text().splitlines()
    assert len(joinings) == 4  # A head, and three joinings.
    assert "12-к" in (folder / "user/withdrawals.csv").read_text()

    # The term of the edition that bound him last passes, and not a moment earlier.
    over = retention._years_later(Acceptance.objects.first().account_deleted_at, 5)
    assert retention.erase(at=over - timedelta(seconds=1)) == retention.Tally()
    assert retention.erase(at=over).joinings == 3
    assert Acceptance.objects.of(key).count() == 0
    assert Acceptance.objects.count() == 3
    assert "2 editions verified" in command("verify_editions")
    command("export_evidence", edition=["terms"], output=str(tmp_path / "editions.zip"))
    with zipfile.ZipFile(tmp_path / "editions.zip") as archive:
        archive.extractall(tmp_path / "editions")
    sums = subprocess.run(
        ["sha256sum", "-c", "SHA256SUMS"], cwd=tmp_path / "editions", capture_output=True, check=False
    )
    assert sums.returncode == 0
