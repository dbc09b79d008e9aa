"""The log in bundles: strangers' tools check the signature, and the path from a record to a signed root."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import zipfile
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

from agreement.evidence import export
from agreement.models import Acceptance, AcceptanceKind, Checkpoint, LogEntry, Withdrawal, log_records
from agreement.seal import log as tree
from agreement.testing import open_seal
from tests.support import factories
from tests.support.signed_logs import ORIGIN, OTHER_SECRET, SECRET, Reader, fill, sign_with

pytestmark = pytest.mark.django_db


@pytest.fixture
def edition(settings):
    sign_with(settings)
    edition = factories.published()
    users = factories.users(3)
    for user in users:
        Acceptance.objects.record(
            user=user, edition=edition, digest=edition.digest, language="kk", kind=AcceptanceKind.EXPLICIT
        )
    Withdrawal.objects.register(
        agreement=edition.agreement, outcome="ended", received_on=timezone.now().date(), user=users[0], by="x"
    )
    log_records.sweep(force=True)
    return edition


def of_user(folder: Path, name: str = "user0", at=None) -> Path:
    """The unpacked bundle of a user."""
    user = get_user_model().objects.get(username=name)
    export.export_user(user.pk, at=at, output=folder / "bundle.zip")
    return unpacked(folder)


def of_editions(folder: Path, *editions, at=None) -> Path:
    """The unpacked bundle of editions."""
    export.export_editions(editions, at=at, output=folder / "bundle.zip")
    return unpacked(folder)


def unpacked(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "bundle.zip") as archive:
        archive.extractall(folder / "bundle")
    (folder / "bundle.zip").unlink()
    return folder / "bundle"


def proved(folder: Path, name: str, entry: bytes) -> tree.Checkpoint:
    """The checkpoint to whose root the proof with that name leads from the entry."""
    index, hashes, note = tree.parse_proof((folder / name).read_text(encoding="utf-8"))
    stated = tree.Checkpoint.parse(note)
    assert tree.root_from_inclusion(tree.leaf_hash(entry), index, stated.size, hashes) == stated.root
    assert tree.signed_by(note, tree.public_key_of(SECRET)) is True
    return stated


def test_a_bundle_of_editions_has_the_checkpoint_the_keys_and_the_proof_that_is_served(edition, client, tmp_path):
    later = factories.published()
    fill(edition, 2)
    folder = of_editions(tmp_path, later)

    note = (folder / "terms/log/checkpoint").read_text(encoding="utf-8")
    assert note == Checkpoint.objects.order_by("size").last().note
    assert (folder / "terms/log/key").read_bytes() == Reader(client).read("key")
    assert (folder / "terms/log/key.pem").read_bytes() == Reader(client).read("key.pem")
    for one in (edition, later):
        name = f"terms/editions/{one.number}/manifest.json.tlog-proof"
        entry = json.dumps({"edition": one.digest, "number": one.number}, separators=(",", ":")).encode()
        proved(folder, name, entry)
        assert (folder / name).read_bytes() == client.get(f"/kk/agreements/{name}").content
    assert not (folder / "user").exists()


def test_openssl_checks_the_checkpoint_by_the_commands_of_the_instructions(edition, tmp_path):
    folder = of_editions(tmp_path, edition)
    readme = (folder / "README.txt").read_text(encoding="utf-8")
    lines = [line.strip() for line in readme.splitlines() if line.startswith("       ")]
    (first,) = {place for place, line in enumerate(lines) if line.startswith("head -n 3")} & set(range(8))

    command = "\n".join(lines[first : first + 3])
    done = subprocess.run(["sh", "-ec", command], cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "Signature Verified Successfully")

    checkpoint = folder / "terms/log/checkpoint"
    checkpoint.write_text(checkpoint.read_text(encoding="utf-8").replace("\n5\n", "\n4\n"), encoding="utf-8")
    assert subprocess.run(["sh", "-ec", command], cwd=folder, capture_output=True, check=False).returncode == 1


def test_the_bundle_of_a_user_shows_that_their_acceptance_and_withdrawal_are_in_the_log(edition, tmp_path):
    folder = of_user(tmp_path)
    log = folder / "user/log"
    acceptance = Acceptance.objects.get(user__username="user0")
    withdrawal = Withdrawal.objects.get()

    names = sorted(path.name for path in log.iterdir())
    rows = (f"acceptance-{acceptance.pk}", f"withdrawal-{withdrawal.pk}")
    assert names == sorted(f"{name}.{kind}" for name in rows for kind in ("json", "tlog-proof", "txt"))
    for name, row in zip(rows, (acceptance, withdrawal), strict=True):
        done = subprocess.run(["sha256sum", f"{name}.txt"], cwd=log, capture_output=True, text=True, check=True)
        entry = (log / f"{name}.json").read_bytes()
        assert json.loads(entry) == {name.partition("-")[0]: done.stdout[:64]}
        stated = proved(log, f"{name}.tlog-proof", entry)
        assert stated == tree.Checkpoint.parse((folder / "terms/log/checkpoint").read_text(encoding="utf-8"))
        salt, _line, record = (log / f"{name}.txt").read_bytes().partition(b"\n")
        assert salt.decode() == LogEntry.objects.get(kind=name.partition("-")[0], row=row.pk).salt
        assert json.loads(record)["pseudonym"] == row.pseudonym
    # Nobody else's salt is in it.
    entries = LogEntry.objects.exclude(salt="").exclude(row__in=[acceptance.pk, withdrawal.pk])
    others = list(entries.values_list("salt", flat=True))
    everything = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert others
    assert not any(salt.encode() in everything for salt in others)
    readme = (folder / "README.txt").read_text(encoding="utf-8")
    assert readme.count(f"sha256sum user/log/{rows[0]}.txt") == 3
    sums = subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=folder, capture_output=True, check=False)
    assert sums.returncode == 0


def test_a_changed_record_has_another_sum(edition, tmp_path):
    log = of_user(tmp_path) / "user/log"
    (name,) = (path for path in log.glob("acceptance-*.txt"))
    content = name.read_bytes()
    stated = json.loads(name.with_suffix(".json").read_bytes())["acceptance"]
    assert hashlib.sha256(content).hexdigest() == stated
    assert hashlib.sha256(content.replace(b'"kk"', b'"ru"')).hexdigest() != stated


def test_an_acceptance_that_is_not_in_the_log_yet_has_no_proof(settings, tmp_path):
    sign_with(settings)
    edition, (user,) = factories.published(), factories.users(1)
    Acceptance.objects.record(
        user=user, edition=edition, digest=edition.digest, language="kk", kind=AcceptanceKind.EXPLICIT
    )
    folder = of_user(tmp_path, at=timezone.now())
    assert not (folder / "user/log").exists()
    assert (folder / "terms/log/checkpoint").exists()


def test_without_a_signed_checkpoint_a_bundle_has_no_log(settings, tmp_path):
    sign_with(settings, "")
    edition, (user,) = factories.published(), factories.users(1)
    Acceptance.objects.record(
        user=user, edition=edition, digest=edition.digest, language="kk", kind=AcceptanceKind.EXPLICIT
    )
    log_records.sweep(force=True)
    folder = of_user(tmp_path)
    assert not list(folder.rglob("*log*"))
    assert "log/" not in (folder / "README.txt").read_text(encoding="utf-8")


def test_a_bundle_of_an_earlier_moment_has_the_checkpoint_of_that_moment(edition, tmp_path):
    at = timezone.now()
    note = Checkpoint.objects.order_by("size").last().note
    fill(edition, 3)
    folder = of_editions(tmp_path, edition, at=at)
    assert (folder / "terms/log/checkpoint").read_text(encoding="utf-8") == note


def test_a_log_that_contradicts_its_checkpoint_gives_no_proof_and_does_not_stop_the_export(edition, tmp_path):
    row = Acceptance.objects.get(user__username="user0").pk
    with open_seal():
        LogEntry.objects.filter(kind="acceptance", row=row).update(entry=b"{}")
    folder = of_user(tmp_path)
    assert not list((folder / "user").glob("log/*"))
    assert (folder / "terms/editions/1/manifest.json.tlog-proof").exists()


def test_an_entry_without_its_salt_is_not_disclosed(edition, tmp_path):
    row = Acceptance.objects.get(user__username="user0").pk
    with open_seal():
        LogEntry.objects.filter(kind="acceptance", row=row).update(salt="")
    folder = of_user(tmp_path)
    records = [path.name for path in (folder / "user/log").glob("*.txt")]
    assert records == [f"withdrawal-{Withdrawal.objects.get().pk}.txt"]


def test_all_keys_are_in_the_bundle(edition, settings, tmp_path):
    sign_with(settings, OTHER_SECRET)
    fill(edition, 1)
    folder = of_editions(tmp_path, edition)
    public = [tree.public_key_of(secret) for secret in (OTHER_SECRET, SECRET)]
    keys = (folder / "terms/log/key").read_text(encoding="utf-8").splitlines()
    assert keys == [tree.verifier_key(ORIGIN, key) for key in public]
    pems = (folder / "terms/log/key.pem").read_text(encoding="utf-8").splitlines()[1::3]
    assert [base64.b64decode(pem)[-32:] for pem in pems] == public
