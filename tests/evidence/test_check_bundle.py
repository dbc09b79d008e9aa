"""The program in a bundle: it checks every file that proves something, by Python and openssl alone."""

from __future__ import annotations

import base64
import hashlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.core import mail
from django.utils import timezone

from agreement.evidence import bundle, check_bundle, check_receipt, export
from agreement.models import (
    Acceptance,
    AcceptanceKind,
    Checkpoint,
    DisplayedText,
    LogEntry,
    NoticeText,
    Withdrawal,
    log_records,
)
from agreement.models.log import LogKind
from agreement.notices import dispatch
from tests.evidence.test_log_in_bundles import of_editions, unpacked
from tests.support import factories
from tests.support.signed_logs import OTHER_SECRET, fill, sign_with

pytestmark = pytest.mark.django_db


@pytest.fixture
def acceptance(settings, user) -> Acceptance:
    """An acceptance of edition 1, which is in the log, and of which a letter was sent."""
    sign_with(settings)
    edition = factories.published()
    assert dispatch.work().sent == 1
    displayed = DisplayedText.render(edition, "kk")
    row = Acceptance.objects.record(
        user=user,
        edition=edition,
        digest=edition.digest,
        language="kk",
        kind=AcceptanceKind.EXPLICIT,
        displayed=displayed,
    )
    Withdrawal.objects.register(
        agreement=edition.agreement, outcome="suspended", received_on=timezone.now().date(), user=user, by="x"
    )
    log_records.sweep(force=True)
    return row


@pytest.fixture
def later(acceptance) -> str:
    """The letter about edition 2, as a mail program stores it."""
    fill(acceptance.edition, 3)
    factories.published()
    assert dispatch.work().sent == 1
    log_records.sweep(force=True)
    fill(acceptance.edition, 5)
    return str(mail.outbox[-1].message().as_string())


def of_user(folder: Path, user) -> Path:
    export.export_user(user.pk, at=timezone.now(), output=folder / "bundle.zip")
    return unpacked(folder)


def run(folder: Path, *letters: Path) -> tuple[int, list[str]]:
    """How the program ends, and the lines of its answer. It runs without this software."""
    command = [sys.executable, "-I", "check_bundle.py", *map(str, letters)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def letter(folder: Path, text: str) -> Path:
    path = folder / "letter.eml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_program_is_in_the_bundle_and_finds_no_fault(later, user, tmp_path):
    folder = of_user(tmp_path, user)
    status, lines = run(folder)
    assert (folder / "check_bundle.py").read_bytes() == bundle.CHECKER.read_bytes()
    assert status == 0
    assert {line[:13] for line in lines} == {"OK           "}
    proofs = {path.relative_to(folder).as_posix() for path in folder.rglob("*.tlog-proof")}
    assert {line.split(": ")[0].split()[-1] for line in lines if ".tlog-proof: " in line} == proofs


def test_the_program_finds_no_fault_in_a_bundle_of_editions(later, acceptance, tmp_path):
    status, lines = run(of_editions(tmp_path, acceptance.edition))
    assert status == 0
    assert any("terms, edition 1 is entry 0" in line for line in lines)


def test_a_bundle_without_a_log_is_checked_too(settings, user, tmp_path):
    sign_with(settings, "")
    edition = factories.published()
    assert run(of_editions(tmp_path, edition))[0] == 0


def test_a_later_letter_shows_that_the_acceptance_existed_when_it_was_written(later, acceptance, user, tmp_path):
    folder = of_user(tmp_path, user)
    status, lines = run(folder, letter(tmp_path, later))
    assert status == 0
    assert f"user/log/acceptance-{acceptance.pk}" in lines[-1]
    assert "user/log/withdrawal-" in lines[-1]
    assert "these existed" in lines[-1]
    assert "contains the digest of terms/editions/2/manifest.json" in lines[-1]


def test_the_letter_before_the_acceptance_does_not_name_it(later, acceptance, user, tmp_path):
    folder = of_user(tmp_path, user)
    status, lines = run(folder, letter(tmp_path, mail.outbox[0].message().as_string()))
    assert status == 0
    assert "these existed: terms, edition 1;" in lines[-1]


def test_a_letter_of_another_site_or_with_another_root_is_refused(later, user, tmp_path):
    folder = of_user(tmp_path, user)
    text = str(mail.outbox[-1].body)
    (stated,) = (one for one in Checkpoint.objects.signed() if one.note in text)
    root = base64.b64encode(bytes.fromhex(stated.root)).decode()
    false_root = base64.b64encode(bytes(32)).decode()
    assert "another root" in run(folder, letter(tmp_path, text.replace(root, false_root)))[1][-1]
    key = (folder / "terms/log/key").read_text(encoding="utf-8").strip()
    other = f"{key.rpartition('+')[0]}+{base64.b64encode(b'1' * 33).decode()}"
    status, lines = run(folder, letter(tmp_path, text.replace(key, other)))
    assert status == 1
    assert any("a key that the bundle does not have" in line for line in lines)


def test_a_letter_that_can_not_be_compared_is_no_fault_and_no_proof(acceptance, user, tmp_path):
    folder = of_user(tmp_path, user)
    status, lines = run(folder, letter(tmp_path, "Dear reader"))
    assert (status, lines[-1].startswith("NOT COMPARED")) == (2, True)
    fill(acceptance.edition, 1)
    note = Checkpoint.objects.signed().latest("size").note
    status, lines = run(folder, letter(tmp_path, note))
    assert (status, "no proof for a checkpoint of" in lines[-1]) == (2, True)


def files(folder: Path) -> list[Path]:
    """The files that prove something. Tables and pages are copies of what they say, and so is the program."""
    copies = {".csv", ".py", ".pdf", ".pem", ""}
    found = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix not in copies)
    return [path for path in found if not path.name.startswith(("court.", "acceptances.", "README"))] + sorted(
        folder.glob("*/log/checkpoint")
    )


def test_a_changed_file_is_refused_even_if_its_sum_is_computed_again(later, user, tmp_path):
    folder = of_user(tmp_path, user)
    found = files(folder)
    kinds = {path.suffix for path in found}
    assert kinds >= {".json", ".md", ".txt", ".html", ".tlog-proof", ""}
    for path in found:
        content = path.read_bytes()
        changed = bytearray(content)
        # In the first half: the last line of a checkpoint has bytes that nobody signs.
        changed[len(content) // 3] ^= 1
        path.write_bytes(changed)
        sums = (folder / "SHA256SUMS").read_text(encoding="utf-8")
        former, new = (hashlib.sha256(one).hexdigest() for one in (content, bytes(changed)))
        (folder / "SHA256SUMS").write_text(sums.replace(former, new), encoding="utf-8")
        status, lines = run(folder)
        assert status == 1, path
        assert any(line.startswith("REFUSED") for line in lines)
        path.write_bytes(content)
        (folder / "SHA256SUMS").write_text(sums, encoding="utf-8")


def test_a_changed_table_is_named_by_its_sum(later, user, tmp_path):
    folder = of_user(tmp_path, user)
    (folder / "user/deliveries.csv").write_text("record\n", encoding="utf-8")
    status, lines = run(folder)
    assert status == 1
    assert next(line for line in lines if line.startswith("REFUSED")).split()[1] == "user/deliveries.csv:"


def test_the_words_of_a_notice_are_in_the_log(later, user, tmp_path):
    folder = of_user(tmp_path, user)
    text = NoticeText.objects.get(notice__edition__number=1, language="kk")
    path = folder / "terms/editions/1/notices/published.email.kk.json"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == text.digest
    assert LogEntry.objects.filter(kind=LogKind.NOTICE, row=text.pk).exists()
    status, lines = run(folder)
    assert status == 0
    assert any(line.startswith(f"OK           {path.relative_to(folder)}.tlog-proof: ") for line in lines)


def test_a_bundle_is_checked_after_the_key_was_changed(later, acceptance, user, settings, tmp_path):
    sign_with(settings, OTHER_SECRET)
    fill(acceptance.edition, 1)
    folder = of_user(tmp_path, user)
    status, _lines = run(folder, letter(tmp_path, later))
    assert status == 0


@pytest.mark.parametrize("name", ["verifies", "root_of", "text_of"])
def test_both_programs_compute_in_the_same_way(name):
    assert inspect.getsource(getattr(check_bundle, name)) == inspect.getsource(getattr(check_receipt, name))


def test_a_letter_to_anybody_shows_that_the_acceptance_existed(later, acceptance, user, tmp_path):
    """Another user was sent the letter in another language later, when the log had grown."""
    (_kazakh, other) = factories.users(2)
    get_user_model().objects.filter(pk=user.pk).update(is_active=False)
    fill(acceptance.edition, 4)
    factories.published()
    assert dispatch.work().sent == 2
    fill(acceptance.edition, 1)
    (text,) = (message for message in mail.outbox if message.to == [other.email])
    folder = of_user(tmp_path, user)

    status, lines = run(folder, letter(tmp_path, text.message().as_string()))

    assert status == 0
    assert f"user/log/acceptance-{acceptance.pk}" in lines[-1]


def test_each_record_is_proved_in_the_first_checkpoints_after_it(acceptance, user, monkeypatch, tmp_path):
    monkeypatch.setattr("agreement.evidence.log_files.MAX_CHECKPOINTS", 2)
    sizes = []
    for _edition in range(4):
        fill(acceptance.edition, 1)
        sizes.append(Checkpoint.objects.latest("size").size)
        factories.published()
        dispatch.work()
    fill(acceptance.edition, 1)
    folder = of_user(tmp_path, user)
    proved = sorted(int(path.name.split(".")[0]) for path in folder.glob("terms/log/*.acceptance-*"))
    assert len(proved) == 2
    assert proved[0] <= sizes[0] + 1
    assert run(folder)[0] == 0
