"""What a lawyer and an expert read in a bundle: instructions whose commands work, and pages that answer a court."""

from __future__ import annotations

import csv
import io
import re
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from django.core import mail
from django.utils import timezone

from agreement.evidence import export_editions, export_user
from agreement.models import Acceptance, AcceptanceKind, Delivery, DeliveryOutcome, DisplayedText, Edition, log_records
from agreement.notices import dispatch
from agreement.testing import open_seal
from tests.evidence.test_log_in_bundles import unpacked
from tests.support import factories
from tests.support.signed_logs import sign_with

pytestmark = pytest.mark.django_db


@pytest.fixture
def edition(settings, user) -> Edition:
    """An edition of which the user was notified, and which they accepted."""
    sign_with(settings)
    edition = factories.published()
    assert dispatch.work().sent == 1
    accept(user, edition, displayed=DisplayedText.render(edition, "kk"))
    return edition


def accept(user, edition: Edition, **stated: object) -> Acceptance:
    row = {"kind": AcceptanceKind.EXPLICIT, "language": "kk"} | stated
    found = Acceptance.objects.record(user=user, edition=edition, digest=edition.digest, **row)
    log_records.sweep(force=True)
    return found


def of_user(folder: Path, user, at=None) -> Path:
    export_user(user.pk, at=at, output=folder / "bundle.zip")
    return unpacked(folder)


def page(folder: Path, language: str = "ru") -> str:
    """The words of the page about the user."""
    found = (folder / f"user/acceptances.{language}.html").read_text(encoding="utf-8")
    return " ".join(re.sub("<[^>]*>", " ", found.partition("</style>")[2]).split())


@pytest.mark.parametrize("part", [0, 1, 2], ids=["kk", "ru", "en"])
def test_each_command_of_the_instructions_works_when_it_is_copied(edition, user, part, tmp_path):
    factories.published()
    assert dispatch.work().sent == 1
    folder = of_user(tmp_path, user)
    (folder / "letter.eml").write_bytes(mail.outbox[-1].message().as_bytes())
    text = (folder / "README.txt").read_text(encoding="utf-8").split("-" * 72)[part]
    commands = [line.strip() for line in text.splitlines() if line.startswith("       ")]
    commands = [line for line in commands if "SECRET" not in line]
    assert len(commands) >= 12

    script = ["bash", "-ec", "\n".join(commands)]
    done = subprocess.run(script, cwd=folder, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    said = done.stdout
    assert "Signature Verified Successfully" in said
    assert "REFUSED" not in said
    assert "NOT COMPARED" not in said
    digests = re.findall(r"^([0-9a-f]{64})  terms/editions/\d\.\w\w\.md$", said, re.MULTILINE)
    assert digests
    assert set(digests) <= set(re.findall(r'"body_sha256":"(\w+)"', said))
    assert said.count(edition.digest) >= 3, "the digest, the digest before edition 2, and the record"


def test_the_page_names_the_user_and_each_notice_with_its_words(edition, user, tmp_path):
    folder = of_user(tmp_path, user)
    words = page(folder)
    assert f"{user.get_username()}, ключ учётной записи: {user.pk}" in words
    assert "(новая редакция)" in words
    assert ": отправлено" in words
    name = "terms/editions/1/notices/published.email.kk.txt"
    assert name in words
    assert (folder / name).exists()
    assert "user/log/acceptance-" in words
    assert "других записей о присоединении этого пользователя на сайте не было" in words
    assert user.get_username() in page(folder, "kk")


def test_the_page_of_a_user_without_an_acceptance_says_so(settings, user, tmp_path):
    factories.published()
    dispatch.work()
    words = page(of_user(tmp_path, user))
    assert "записей о присоединении этого пользователя на сайте не было" in words
    assert "Уведомления" in words


def test_the_page_says_what_an_acceptance_does_not_prove(edition, user, tmp_path):
    assert "Ограничения этой записи" not in page(of_user(tmp_path, user))
    second = factories.published()
    accept(user, second)
    words = page(of_user(tmp_path, user))
    assert "В каком виде был показан текст, не записано." in words


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("kk", "жіберілмеді: мұндай мекенжай жоқ (SMTP 550 5.1.2) Арна электрондық пошта, Қазақ тілі"),
        ("ru", "не отправлено: адреса не существует (SMTP 550 5.1.2) Канал электронная почта, Казахский"),
    ],
)
def test_the_page_states_a_refusal_in_the_words_of_the_list_of_deliveries(user, language, words, tmp_path):
    factories.published()
    dispatch.work()
    with open_seal():
        Delivery.objects.update(outcome=DeliveryOutcome.FAILED, reason="SMTP 550 5.1.2")
    assert words in page(of_user(tmp_path, user), language)


def test_a_returned_letter_is_evidence_from_the_moment_it_was_recorded(edition, user, tmp_path):
    before = timezone.now()
    delivery = Delivery.objects.get()
    delivery.record_bounce(at=before, reason="550 5.1.1")

    def row(folder: Path) -> dict[str, str]:
        (found,) = csv.DictReader(io.StringIO((folder / "user/deliveries.csv").read_text(encoding="utf-8")))
        return found

    assert row(of_user(tmp_path, user, at=before))["returned_at"] == ""
    folder = of_user(tmp_path, user)
    assert row(folder)["outcome"] == "sent"
    assert row(folder)["returned_at"].startswith(before.strftime("%Y-%m-%dT"))
    assert "Возвращено" in page(folder)
    assert row(folder)["text"] == "terms/editions/1/notices/published.email.kk.txt"


def test_a_delivery_that_sent_nothing_names_no_words(edition, tmp_path):
    (other,) = factories.users(1)
    type(other).objects.filter(pk=other.pk).update(email="")
    second = factories.published()
    dispatch.work()
    export_editions([second], at=timezone.now(), output=tmp_path / "bundle.zip")
    rows = csv.DictReader(io.StringIO((unpacked(tmp_path) / "terms/editions/2/deliveries.csv").read_text()))
    assert {row["outcome"]: bool(row["text"]) for row in rows} == {"sent": True, "skipped": False}


@pytest.mark.parametrize(("language", "words"), [("kk", "енгізілгенін дәлелдейді"), ("ru", "Журнал доказывает только")])
def test_the_court_page_of_imported_history_says_what_it_does_not_prove(language, words, tmp_path):
    draft = factories.draft()
    draft.record(effective_from=timezone.now() - timedelta(days=365))
    export_editions([draft], at=timezone.now(), output=tmp_path / "bundle.zip")
    court = (unpacked(tmp_path) / f"terms/editions/1/court.{language}.html").read_text(encoding="utf-8")
    assert words in court
