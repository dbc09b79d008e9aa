"""The program in a bundle: it checks every file that proves something, by Python and openssl alone."""

from __future__ import annotations

import base64
import hashlib
import inspect
import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

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
    Edition,
    LogEntry,
    NoticeText,
    Withdrawal,
    log_records,
)
from agreement.models.log import LogKind
from agreement.notices import dispatch
from agreement.seal.manifest import rfc3339
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
    export.export_user(user.pk, output=folder / "bundle.zip")
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
    first = "terms, edition 1 is the entry with the number 0 in a log of 1 entries; the first has the number 0"
    assert f"OK           terms/editions/1/manifest.json.tlog-proof: {first}" in lines


def test_a_later_letter_shows_that_the_acceptance_existed_when_it_was_written(later, acceptance, user, tmp_path):
    folder = of_user(tmp_path, user)
    status, lines = run(folder, letter(tmp_path, later))
    assert status == 0
    assert "these existed: terms, edition 1; terms, edition 2; " in lines[-1]
    assert f"user/log/acceptance-{acceptance.pk}" in lines[-1]
    assert "user/log/withdrawal-" in lines[-1]
    assert lines[-1].endswith("; it states the digest of terms, edition 2")


def test_the_letter_before_the_acceptance_names_what_it_does_not_prove(later, acceptance, user, tmp_path):
    folder = of_user(tmp_path, user)
    path = letter(tmp_path, mail.outbox[0].message().as_string())
    status, lines = run(folder, path)
    assert status == 2
    assert "these existed: terms, edition 1;" in lines[-2]
    withdrawal = Withdrawal.objects.get().pk
    records = f"user/log/acceptance-{acceptance.pk}; user/log/withdrawal-{withdrawal}"
    assert lines[-1] == f"NOT PROVEN   {path}: this letter does not prove: terms, edition 2; {records}"


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


def forge(folder: Path) -> None:
    """Compute the sums of all files of the bundle again, as a forger can."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
    sums = "".join(f"{hashlib.sha256(one.read_bytes()).hexdigest()}  {one.relative_to(folder)}\n" for one in paths)
    (folder / "SHA256SUMS").write_text(sums, encoding="utf-8")


def pem_of(key: bytes) -> str:
    der = bytes.fromhex("302a300506032b6570032100") + key  # The header of an Ed25519 key in RFC 8410.
    return f"-----BEGIN PUBLIC KEY-----\n{base64.b64encode(der).decode()}\n-----END PUBLIC KEY-----\n"


def other_record(path: Path, **columns: object) -> bytes:
    """The record in that file with these columns changed."""
    salt, _line, record = path.read_bytes().partition(b"\n")
    changed = json.loads(record) | columns
    return salt + b"\n" + json.dumps(changed, separators=(",", ":"), sort_keys=True).encode()


def starting(lines: list[str], beginning: str) -> list[str]:
    return [line for line in lines if line.startswith(beginning)]


@pytest.fixture
def bundled(later, user, tmp_path) -> Path:
    """The unpacked bundle of the user, with two editions, a proved acceptance and a proved withdrawal."""
    return of_user(tmp_path, user)


def test_a_file_that_the_sums_do_not_name_is_refused(bundled, acceptance):
    record = bundled / f"user/log/acceptance-{acceptance.pk}.txt"
    added = other_record(record, acceptance=999, at="2020-01-01T00:00:00.000000Z")
    (bundled / "user/log/acceptance-999.txt").write_bytes(added)
    (bundled / "decision.txt").write_text("x", encoding="utf-8")
    status, lines = run(bundled)
    unnamed = "SHA256SUMS does not name this file, so it is no part of the bundle"
    assert status == 1
    assert starting(lines, "REFUSED") == [
        f"REFUSED      decision.txt: {unnamed}",
        f"REFUSED      user/log/acceptance-999.txt: {unnamed}",
    ]
    assert not any("acceptance-999" in line for line in starting(lines, "OK"))


@pytest.mark.parametrize("name", ["user/acceptances.csv", "./user/acceptances.csv", "../outside", "/etc/hostname"])
def test_the_sums_name_each_file_once_and_only_files_of_the_bundle(bundled, name):
    path = bundled / name
    if name == "../outside":
        path.write_text("x", encoding="utf-8")
    with (bundled / "SHA256SUMS").open("a", encoding="utf-8") as sums:
        sums.write(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {name}\n")
    status, lines = run(bundled)
    assert status == 1
    assert starting(lines, "REFUSED") == [
        f"REFUSED      SHA256SUMS: it names {Path(name).as_posix()}, which is named twice or is not in this folder"
    ]


def test_the_key_in_both_forms_is_the_same(bundled):
    (bundled / "terms/log/key.pem").write_text(pem_of(bytes(32)), encoding="utf-8")
    forge(bundled)
    status, lines = run(bundled)
    assert status == 1
    assert "REFUSED      terms/log/key.pem: it has other keys than terms/log/key" in lines


def test_a_letter_and_what_the_commands_write_may_lie_in_the_folder(bundled, later):
    for name in ("body", "bundle.zip", "user/.DS_Store"):
        (bundled / name).write_text("x", encoding="utf-8")
    for name in ("letter.eml", "letter.txt"):
        (bundled / name).write_text(later, encoding="utf-8")
        assert run(bundled, Path(name))[0] == 0
        (bundled / "letter.txt").unlink(missing_ok=True)
    assert run(bundled)[0] == 0


def test_an_invented_acceptance_is_not_proven(bundled, acceptance):
    record = bundled / f"user/log/acceptance-{acceptance.pk}.txt"
    (bundled / "user/log/acceptance-999.txt").write_bytes(other_record(record, acceptance=999, pseudonym="0" * 64))
    forge(bundled)
    status, lines = run(bundled)
    (found,) = starting(lines, "NOT PROVEN")
    assert status == 2
    assert found.startswith("NOT PROVEN   user/log/acceptance-999.txt: terms, edition 1, explicit, ")
    assert found.endswith("; the bundle has no proof that it is in the log")


def test_an_acceptance_without_its_proof_is_not_proven_and_not_before_its_edition(bundled, acceptance):
    record = bundled / f"user/log/acceptance-{acceptance.pk}.txt"
    for path in {*bundled.rglob("*acceptance-*.tlog-proof"), record.with_suffix(".json")}:
        path.unlink()
    forge(bundled)
    status, lines = run(bundled)
    assert status == 2
    assert starting(lines, f"NOT PROVEN   user/log/{record.name}: ")

    record.write_bytes(
        other_record(record, at="2020-01-01T00:00:00.000000Z", recorded_at="2020-01-01T00:00:00.000000Z")
    )
    forge(bundled)
    status, lines = run(bundled)
    assert status == 1
    assert f"REFUSED      user/log/{record.name}: it is recorded before its edition was" in lines


def test_the_number_in_the_name_of_an_acceptance_is_that_of_the_record(bundled, acceptance):
    for path in list(bundled.glob(f"user/log/acceptance-{acceptance.pk}.*")):
        path.with_name(path.name.replace(f"-{acceptance.pk}.", "-999.")).write_bytes(path.read_bytes())
    forge(bundled)
    status, lines = run(bundled)
    assert status == 1
    assert starting(lines, "REFUSED      user/log/acceptance-999.txt: it has another number than its name")


def test_words_of_a_notice_without_a_proof_are_not_proven(bundled):
    (path,) = bundled.glob("terms/editions/2/notices/*.json")
    subject, _text, html = json.loads(path.read_bytes())
    path.write_text(json.dumps([subject, "x", html], ensure_ascii=False), encoding="utf-8")
    path.with_suffix(".txt").write_text(f"{subject}\n\nx", encoding="utf-8")
    path.with_name(f"{path.name}.tlog-proof").unlink()
    forge(bundled)
    status, lines = run(bundled)
    assert status == 2
    assert starting(lines, "NOT PROVEN")[0].startswith(f"NOT PROVEN   {path.relative_to(bundled)}: the words of a no")

    path.unlink()
    forge(bundled)
    assert run(bundled)[0] == 1


def rewrite_the_newest_edition(folder: Path) -> None:
    """Change the text and the dates of edition 2, and delete its proofs and its letters."""
    text, manifest = folder / "terms/editions/2.ru.md", folder / "terms/editions/2/manifest.json"
    text.write_text("# Другой текст\n", encoding="utf-8")
    stated = json.loads(manifest.read_bytes())
    stated["effective_from"] = stated["recorded_at"] = "2020-01-01T00:00:00.000000Z"
    stated["texts"]["ru"]["body_sha256"] = hashlib.sha256(text.read_bytes()).hexdigest()
    manifest.write_bytes(json.dumps(stated, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode())
    for path in (*folder.glob("terms/editions/2/*.tlog-proof"), *folder.glob("terms/log/*edition-2*")):
        path.unlink()
    forge(folder)


def test_a_rewritten_edition_is_not_proven_and_contradicts_the_letter_about_it(later, tmp_path):
    folder = of_editions(tmp_path, *Edition.objects.published())
    rewrite_the_newest_edition(folder)
    status, lines = run(folder)
    (found,) = starting(lines, "NOT PROVEN   terms/editions/2/manifest.json")
    assert status == 2
    assert found.endswith("; the bundle has no proof that it is in the log, and no letter states its digest")

    path = letter(tmp_path, later)
    status, lines = run(folder, path)
    assert status == 1
    assert f"REFUSED      {path}: it links to terms, edition 2, but states another digest than the bundle has" in lines


def test_an_edition_without_a_manifest_is_refused(bundled):
    (bundled / "terms/editions/1/manifest.json").unlink()
    forge(bundled)
    status, lines = run(bundled)
    assert status == 1
    assert starting(lines, "REFUSED      terms/editions/1/manifest.json: ")


def test_a_table_that_differs_from_the_records_is_refused(bundled, acceptance):
    path = bundled / "user/acceptances.csv"
    path.write_text(path.read_text(encoding="utf-8").replace(",explicit,", ",deemed,"), encoding="utf-8")
    forge(bundled)
    status, lines = run(bundled)
    assert status == 1
    differs = f"record {acceptance.pk} is not as in user/log/acceptance-{acceptance.pk}.txt"
    assert f"REFUSED      user/acceptances.csv: {differs}" in lines


def test_a_file_of_the_bundle_is_no_letter(bundled):
    (path,) = bundled.glob("terms/editions/2/notices/*.txt")
    status, lines = run(bundled, path)
    assert (status, lines[-1]) == (2, f"NOT COMPARED {path}: it is a file of this bundle, and no letter from elsewhere")


def test_a_key_that_no_letter_states_is_not_proven(bundled, later, tmp_path):
    """A forger could sign a log of their own, and add their key."""
    key = bundled / "terms/log/key"
    origin = key.read_text(encoding="utf-8").split("+")[0]
    added = f"{origin}+00000000+{base64.b64encode(b'1' * 33).decode()}"
    key.write_text(f"{key.read_text(encoding='utf-8')}{added}\n", encoding="utf-8")
    with key.with_suffix(".pem").open("a", encoding="utf-8") as pem:
        pem.write(pem_of(b"1" * 32))
    forge(bundled)
    status, lines = run(bundled, letter(tmp_path, later))
    assert (status, lines[-1]) == (2, f"NOT PROVEN   terms/log/key: no letter states the key {added}")


def test_another_log_of_the_agreement_of_the_letter_is_refused(bundled, later, tmp_path):
    key = bundled / "terms/log/key"
    key.write_text(f"other/log+00000000+{base64.b64encode(b'1' * 33).decode()}\n", encoding="utf-8")
    forge(bundled)
    status, lines = run(bundled, letter(tmp_path, later))
    assert status == 1
    assert any("it states a key that the bundle does not have" in line for line in lines)


def test_without_a_log_only_what_a_letter_states_is_proven(settings, user, tmp_path):
    sign_with(settings, "")
    edition = factories.published()
    Acceptance.objects.record(
        user=user, edition=edition, digest=edition.digest, language="kk", kind=AcceptanceKind.EXPLICIT
    )
    folder = of_user(tmp_path, user)
    status, lines = run(folder)
    assert status == 2
    assert starting(lines, "NOT PROVEN   terms/editions/1/manifest.json: ")[0].endswith(
        "; the bundle has no log, and no letter states its digest"
    )
    row = Acceptance.objects.get().pk
    assert f"NOT PROVEN   user/acceptances.csv: record {row}; the bundle has no log" in lines

    sign_with(settings)
    fill(edition, 1)
    assert dispatch.work().sent == 1
    path = letter(tmp_path, mail.outbox[0].message().as_string())
    status, lines = run(folder, path)
    assert status == 2
    assert starting(lines, "OK           terms/editions/1/manifest.json: ")
    assert lines[-1] == f"NOT COMPARED {path}: the bundle has no log; it states the digest of terms, edition 1"


def test_an_acceptance_of_this_minute_is_entered_in_the_log_before_the_export(settings, user, tmp_path):
    sign_with(settings)
    edition = factories.published()
    row = Acceptance.objects.record(
        user=user, edition=edition, digest=edition.digest, language="kk", kind=AcceptanceKind.EXPLICIT
    )
    status, lines = run(of_user(tmp_path, user))
    assert status == 0
    assert starting(lines, f"OK           user/log/acceptance-{row.pk}.txt: ")


def test_an_acceptance_that_the_checkpoint_does_not_cover_is_not_proven(settings, user, tmp_path):
    sign_with(settings)
    edition = factories.published()
    row = Acceptance.objects.record(
        user=user, edition=edition, digest=edition.digest, language="kk", kind=AcceptanceKind.EXPLICIT
    )
    export.export_user(user.pk, at=timezone.now(), output=tmp_path / "bundle.zip")
    status, lines = run(unpacked(tmp_path))
    missing = f"NOT PROVEN   user/acceptances.csv: record {row.pk}; the bundle has no proof that it is in the log"
    assert status == 2
    assert missing in lines


@pytest.fixture
def cancelled(acceptance) -> Edition:
    """Edition 2 was cancelled before it took effect, and a letter about edition 3 was sent later."""
    edition = factories.published(effective_from=timezone.now() + timedelta(days=20))
    edition.cancel(reason="x")
    fill(edition, 1)
    factories.published()
    dispatch.work()
    return edition


def test_a_cancellation_is_stated_with_its_proof(cancelled, tmp_path):
    folder = of_editions(tmp_path, *Edition.objects.published())
    at = cancelled.cancelled_at.astimezone(ZoneInfo("Asia/Almaty")).isoformat(" ", "seconds")
    status, lines = run(folder, letter(tmp_path, mail.outbox[-1].message().as_string()))
    assert status == 0
    assert starting(lines, f"OK           terms/editions/2/cancelled.json: edition 2 was cancelled at {at} (")
    assert starting(lines, "OK           terms/editions/2/manifest.json: ")[0].endswith("; see cancelled.json")
    assert "terms, cancellation of 2; " in lines[-1]

    for path in (*folder.glob("terms/editions/2/cancelled.json.*"), *folder.glob("terms/log/*.cancelled-2.*")):
        path.unlink()
    forge(folder)
    status, lines = run(folder)
    assert status == 2
    assert starting(lines, "NOT PROVEN   terms/editions/2/cancelled.json: ")

    path = folder / "terms/editions/2/cancelled.json"
    path.write_bytes(json.dumps(json.loads(path.read_bytes()) | {"at": "2099-01-01T00:00:00.000000Z"}).encode())
    forge(folder)
    assert run(folder)[0] == 1


def test_moments_are_in_the_zone_of_the_agreement_and_in_utc(bundled, acceptance):
    _status, lines = run(bundled)
    local = acceptance.at.astimezone(ZoneInfo("Asia/Almaty")).isoformat(" ", "seconds")
    (found,) = starting(lines, f"OK           user/log/acceptance-{acceptance.pk}.txt: ")
    assert local.endswith("+05:00")
    assert f"{local} ({rfc3339(acceptance.at)})" in found


def test_what_is_no_bundle_is_answered_with_one_sentence(tmp_path, bundled):
    (tmp_path / "other").mkdir()
    program = (bundled / "check_bundle.py").read_bytes()
    (tmp_path / "other/check_bundle.py").write_bytes(program)
    status, lines = run(tmp_path / "other")
    assert (status, len(lines)) == (1, 1)
    assert lines[0].startswith("REFUSED      This folder is not an unpacked bundle")
    (tmp_path / "other/SHA256SUMS").write_text("nothing", encoding="utf-8")
    assert run(tmp_path / "other")[0] == 1
    status, lines = run(bundled, Path("missing.eml"))
    assert (status, lines[-1].startswith("REFUSED      missing.eml: it can't be read: ")) == (1, True)


def files(folder: Path) -> list[Path]:
    """The files that prove something. Tables and pages are copies of what they say, and so is the program."""
    copies = {".csv", ".py", ".pdf", ".pem", ""}
    found = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix not in copies)
    return [path for path in found if not path.name.startswith(("court.", "acceptances.", "README", "time-"))] + sorted(
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
    status, lines = run(folder, letter(tmp_path, later))
    new, _former = (folder / "terms/log/key").read_text(encoding="utf-8").split()
    assert status == 2
    assert lines[-1] == f"NOT PROVEN   terms/log/key: no letter states the key {new}"


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
