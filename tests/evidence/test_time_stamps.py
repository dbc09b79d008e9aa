"""Time stamps by an authority on checkpoints: only digests are sent, only valid stamps are stored, nothing waits."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import socketserver
import subprocess
import sys
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from agreement.checks import check_settings
from agreement.models import Acceptance, AcceptanceKind, Checkpoint, LogEntry, TimeStamp, TransparencyLog, log_records
from agreement.models.log_verification import LogCheck
from agreement.seal import log as tree
from agreement.testing import open_seal
from tests.support import factories
from tests.support.time_stamp_authority import Authority, serving

pytest.importorskip("rfc3161_client")
pytestmark = pytest.mark.django_db

LOG_KEY = base64.b64encode(hashlib.sha256(b"a key for tests").digest()).decode()


@pytest.fixture(scope="module")
def _served(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("authority")) as authority:
        yield authority


def name(authority: Authority, settings) -> None:
    """Make it the authority of the site, which signs its checkpoints."""
    stated = {"TIMESTAMP_AUTHORITY": authority.address, "TIMESTAMP_CERTIFICATES": str(authority.certificates)}
    settings.AGREEMENT = {**settings.AGREEMENT, **stated, "LOG_KEY": LOG_KEY}


@pytest.fixture
def authority(_served: Authority, settings) -> Authority:
    """A local authority that the site names."""
    _served.asked.clear()
    _served.spoil = lambda answer: answer
    name(_served, settings)
    return _served


def stamp(**options: object) -> str:
    out = io.StringIO()
    call_command("stamp_log", stdout=out, stderr=out, **options)
    return out.getvalue()


def refused() -> str:
    """What the command says before it ends with 1."""
    out = io.StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("stamp_log", stdout=out, stderr=out)
    return out.getvalue() + str(caught.value)


def accepted(edition) -> None:
    """Enter an acceptance of the edition."""
    (user,) = factories.users(1)
    Acceptance.objects.record(
        user=user, edition=edition, digest=edition.digest, language="kk", kind=AcceptanceKind.EXPLICIT
    )
    log_records.sweep(force=True)


def unpacked(folder: Path, *editions: str, **options: object) -> Path:
    """The bundle of these editions, in that folder."""
    file = folder / "b.zip"
    call_command("export_evidence", edition=["terms", *editions], output=str(file), stdout=io.StringIO(), **options)
    with zipfile.ZipFile(file) as archive:
        archive.extractall(folder)
    return folder


def commands(bundle: Path) -> list[list[str]]:
    """The commands that the instructions print in one language."""
    lines = (bundle / "README.txt").read_text().splitlines()
    found = [line.split() for line in lines if line.strip().startswith("openssl ts -verify")]
    third = len(found) // 3
    assert found == found[:third] * 3
    return found[:third]


def run(bundle: Path, command: list[str]) -> str:
    done = subprocess.run(command, cwd=bundle, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip() if done.returncode else done.stdout.strip()


def proved(bundle: Path, proof: Path, entry: dict[str, object]) -> bool:
    """Does the proof place the entry in the checkpoint that it ends with, which is the stamped one?"""
    index, hashes, note = tree.parse_proof(proof.read_text())
    stated = tree.Checkpoint.parse(note)
    leaf = tree.leaf_hash(json.dumps(entry, sort_keys=True, separators=(",", ":")).encode())
    assert (bundle / f"terms/log/{stated.size}.checkpoint").read_text() == note
    return tree.root_from_inclusion(leaf, index, stated.size, hashes) == stated.root


def test_openssl_verifies_the_stamps_of_a_bundle_and_its_proofs_place_the_editions_in_them(authority, tmp_path):
    first, second = factories.published(), factories.published()
    stamp()

    bundle = unpacked(tmp_path, "2")

    (command,) = commands(bundle)
    assert run(bundle, command) == "Verification: OK"
    for edition in (first, second):
        proof = bundle / f"terms/log/2.edition-{edition.number}.tlog-proof"
        assert proved(bundle, proof, {"edition": edition.digest, "number": edition.number})
        assert not proved(bundle, proof, {"edition": "a" * 64, "number": edition.number})
    assert "log/2.tsr: OK" in run(bundle, ["sha256sum", "-c", "SHA256SUMS"])
    (bundle / "terms/log/2.checkpoint").write_bytes(b"{}")
    assert "message imprint mismatch" in run(bundle, command)


def test_the_bundle_of_a_user_places_the_acceptance_in_the_first_stamp_after_it_and_the_last(authority, tmp_path):
    edition = factories.published()
    accepted(edition)
    stamp()
    accepted(edition)
    stamp()
    row = Acceptance.objects.earliest("pk")
    call_command("export_evidence", user=str(row.user), output=str(tmp_path / "b.zip"), stdout=io.StringIO())
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        archive.extractall(tmp_path)

    entry = json.loads((tmp_path / f"user/log/acceptance-{row.pk}.json").read_bytes())
    first, last = TimeStamp.objects.order_by("pk").values_list("checkpoint__size", flat=True)
    for size in (first, last):
        assert proved(tmp_path, tmp_path / f"terms/log/{size}.acceptance-{row.pk}.tlog-proof", entry)
    done = subprocess.run([sys.executable, "-I", "check_bundle.py"], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0
    assert f"time stamp {first} is the entry with the number".encode() in done.stdout


def test_a_bundle_has_the_first_stamp_of_each_edition_and_the_last_one_which_renews_it(authority, tmp_path):
    first = factories.published()
    stamp()
    accepted(first)
    stamp()
    second = factories.published()
    stamp()
    accepted(second)
    stamp()
    sizes = list(TimeStamp.objects.values_list("checkpoint__size", flat=True))
    assert sizes == [1, 3, 5, 7]

    bundle = unpacked(tmp_path)

    files = sorted(file.name for file in (bundle / "terms/log").iterdir())
    assert [file for file in files if file.endswith(".tsr")] == ["1.tsr", "5.tsr", "7.tsr"]
    assert [file for file in files if "proof" in file] == [
        "1.edition-1.tlog-proof",
        "5.edition-2.tlog-proof",
        "7.edition-1.tlog-proof",
        "7.edition-2.tlog-proof",
        "7.stamp-1.tlog-proof",
        "7.stamp-5.tlog-proof",
        "8.edition-2.tlog-proof",  # The newest checkpoint, which has no stamp.
    ]
    assert [run(bundle, command) for command in commands(bundle)] == ["Verification: OK"] * 3
    digest = hashlib.sha256((bundle / "terms/log/1.tsr").read_bytes()).hexdigest()
    assert proved(bundle, bundle / "terms/log/7.stamp-1.tlog-proof", {"checkpoint": 1, "stamp": digest})
    assert proved(bundle, bundle / "terms/log/7.edition-1.tlog-proof", {"edition": first.digest, "number": 1})


def test_a_bundle_of_an_earlier_moment_has_no_later_stamp(authority, tmp_path):
    edition = factories.published()
    stamp()
    accepted(edition)
    stamp()
    with open_seal():
        TimeStamp.objects.filter(checkpoint__size=3).update(stamped_at=timezone.now() + timedelta(hours=1))

    bundle = unpacked(tmp_path, at=timezone.now().isoformat())

    assert sorted(file.name for file in (bundle / "terms/log").glob("[0-9]*")) == [
        *("1.checkpoint", "1.edition-1.tlog-proof", "1.pem", "1.tsr"),
        "4.edition-1.tlog-proof",  # The newest checkpoint, which has no stamp.
    ]


def test_a_bundle_of_a_damaged_log_has_the_stamps_and_no_proof(authority, tmp_path):
    factories.published()
    stamp()
    with open_seal():
        LogEntry.objects.filter(index=0).update(entry=b"{}")

    bundle = unpacked(tmp_path)

    found = sorted(file.name for file in (bundle / "terms/log").glob("[0-9]*"))
    assert found == ["1.checkpoint", "1.pem", "1.tsr"]


def test_two_authorities_may_stamp_one_checkpoint(authority, settings, tmp_path):
    factories.published()
    stamp()
    (tmp_path / "other").mkdir()
    with serving(tmp_path / "other") as other:
        name(other, settings)
        # What the first authority has stamped, the second one has not.
        assert "Stamped terms, 2 entries" in stamp()
        TimeStamp.objects.record(
            checkpoint=Checkpoint.objects.get(size=2),
            authority=authority.address,
            stamped_at=timezone.now(),
            response=b"1",
            certificates="",
        )

    bundle = unpacked(tmp_path)

    files = sorted(file.name for file in (bundle / "terms/log").iterdir())
    assert [file for file in files if file.endswith(".tsr")] == ["1.tsr", "2-2.tsr", "2.tsr"]


def test_the_printed_command_verifies_a_stamp_whose_certificate_has_ended(settings, tmp_path):
    (tmp_path / "tsa").mkdir()
    factories.published()
    with serving(tmp_path / "tsa", moment=datetime(2019, 6, 1, tzinfo=UTC)) as authority:
        name(authority, settings)
        factories.published()
        stamp()

    bundle = unpacked(tmp_path)

    (command,) = commands(bundle)
    assert TimeStamp.objects.get().stamped_at == datetime(2019, 6, 1, tzinfo=UTC)
    assert run(bundle, command) == "Verification: OK"
    place = command.index("-attime")
    assert "certificate has expired" in run(bundle, command[:place] + command[place + 2 :])


def test_the_printed_command_gives_the_intermediate_certificate_that_the_response_lacks(settings, tmp_path):
    (tmp_path / "tsa").mkdir()
    with serving(tmp_path / "tsa", intermediate=True) as authority:
        name(authority, settings)
        factories.published()
        settings.AGREEMENT = {**settings.AGREEMENT, "TIMESTAMP_CERTIFICATES": str(authority.root)}
        assert "unable to get local issuer certificate" in refused()
        name(authority, settings)
        stamp()

    bundle = unpacked(tmp_path)

    (command,) = commands(bundle)
    assert run(bundle, command) == "Verification: OK"
    # The reader takes the root from the authority. The intermediate certificate is still that of the bundle.
    command[command.index("-CAfile") + 1] = str(authority.root)
    assert run(bundle, command) == "Verification: OK"
    assert "unable to get local issuer" in run(bundle, [word for word in command if word not in command[-4:-2]])


def test_nothing_but_the_digest_of_the_checkpoint_is_sent(authority):
    factories.published()
    stamp()
    (query,) = authority.asked
    assert hashlib.sha256(Checkpoint.objects.get(size=1).note.encode()).digest() in query
    assert len(query) < 100
    for word in ("terms", "Келісім", "127.0.0.1:8000"):
        assert word.encode() not in query


def test_the_newest_checkpoint_is_stamped_once_and_a_stamp_needs_no_other_stamp(authority):
    factories.published()
    edition = factories.published()
    assert "Stamped terms, 2 entries" in stamp()
    # The entry about the stamp made a checkpoint of its own.
    assert TransparencyLog.objects.get().size == 3
    assert stamp() == ""
    accepted(edition)
    assert "Stamped terms, 4 entries" in stamp()
    assert stamp() == ""
    assert len(authority.asked) == 2
    kept = TimeStamp.objects.get(checkpoint__size=2)
    assert abs((kept.stamped_at - timezone.now()).total_seconds()) < 60
    assert list(LogCheck(edition.agreement, "default").faults()) == []


def test_a_stamp_that_two_commands_request_is_entered_once(authority):
    edition = factories.published()
    stamp()
    kept = TimeStamp.objects.get()

    again = TimeStamp.objects.record(
        checkpoint=kept.checkpoint,
        authority=kept.authority,
        stamped_at=timezone.now(),
        response=b"another",
        certificates="",
    )

    assert again == kept
    assert LogEntry.objects.filter(kind="stamp").count() == 1
    assert list(LogCheck(edition.agreement, "default").faults()) == []


def test_an_authority_that_is_away_delays_and_blocks_nothing(authority, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "TIMESTAMP_AUTHORITY": "http://127.0.0.1:9/tsa"}
    edition = factories.published()
    assert edition.published_at
    assert (
        "1 logs have entries without a time stamp. The entries are recorded nevertheless. Run this command again later."
        in refused()
    )
    settings.AGREEMENT = {**settings.AGREEMENT, "TIMESTAMP_AUTHORITY": authority.address}
    assert "Stamped" in stamp()


@pytest.mark.parametrize(
    "answer", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n"]
)
def test_what_is_no_http_delays_one_log_and_stops_no_other(authority, settings, answer):
    class Rude(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline().strip():
                pass
            self.wfile.write(answer)

    factories.published()
    factories.published(slug="privacy")
    with socketserver.TCPServer(("127.0.0.1", 0), Rude) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}/tsa"
        settings.AGREEMENT = {**settings.AGREEMENT, "TIMESTAMP_AUTHORITY": address}
        said = refused()
        server.shutdown()
    assert "terms, 1 entries: " in said
    assert "privacy, 1 entries: " in said
    assert "2 logs have entries without a time stamp." in said


def spoilt(answer: bytes) -> bytes:
    return answer[:-20] + bytes(20)


@pytest.mark.parametrize(
    "spoil",
    [
        spoilt,
        lambda answer: b"",
        lambda answer: b"<html>Pay here</html>",
        lambda answer: answer + bytes(200_000),
        lambda answer: bytes.fromhex("30053003020102"),  # A rejection, with no token in it.
    ],
    ids=["another signature", "nothing", "a page", "too long", "rejected"],
)
def test_an_answer_that_proves_nothing_is_not_stored(authority, spoil):
    factories.published()
    authority.spoil = spoil
    assert "1 logs have entries without a time stamp." in refused()
    assert not TimeStamp.objects.exists()
    assert TransparencyLog.objects.get().size == 1


def test_the_stamp_of_another_request_is_not_stored(authority):
    factories.published()
    stamp()
    replayed = bytes(TimeStamp.objects.get().response)
    factories.published()
    authority.spoil = lambda answer: replayed
    assert "terms, 3 entries: " in refused()
    assert TimeStamp.objects.count() == 1


def test_a_stamp_the_named_roots_do_not_vouch_for_is_not_stored(authority, tmp_path, settings):
    factories.published()
    other = Authority(tmp_path)
    settings.AGREEMENT = {**settings.AGREEMENT, "TIMESTAMP_CERTIFICATES": str(other.certificates)}
    assert "1 logs have entries without a time stamp." in refused()
    assert not TimeStamp.objects.exists()


def test_a_checkpoint_whose_signed_text_states_another_root_is_not_stamped(authority):
    factories.published()
    with open_seal():
        Checkpoint.objects.update(root="a" * 64)
    assert "its signed text states something else; run verify_editions" in refused()
    assert authority.asked == []


def test_stamping_can_be_tried_dry(authority):
    factories.published()
    assert stamp(dry_run=True) == f"Would stamp terms, 1 entries: {Checkpoint.objects.get().root}\n"
    assert authority.asked == []


def test_without_an_authority_no_stamp_is_requested():
    assert "TIMESTAMP_AUTHORITY" in refused()


def test_without_a_key_no_checkpoint_is_signed_and_none_is_stamped(authority, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "LOG_KEY": ""}
    edition = factories.published()
    assert 'AGREEMENT["LOG_KEY"] is empty' in refused()
    assert "openssl rand -base64 32" in refused()

    # With the key, the next entry makes a signed checkpoint, which contains what was entered before.
    name(authority, settings)
    assert "terms: no newer checkpoint is signed. The next entry makes one." in refused()
    assert authority.asked == []
    accepted(edition)
    assert "Stamped terms, 2 entries" in stamp()


def test_what_was_entered_while_no_checkpoint_was_signed_is_stamped_later(authority, settings):
    factories.published()
    settings.AGREEMENT = {**settings.AGREEMENT, "LOG_KEY": ""}
    factories.published()
    name(authority, settings)
    assert "Stamped terms, 1 entries" in stamp()
    # The entry about this stamp made a signed checkpoint.
    assert "Stamped terms, 3 entries" in stamp()
    assert stamp() == ""


def test_E002_E004_and_E026_name_what_stamping_lacks(settings, monkeypatch):  # noqa: N802
    def ids() -> list[str | None]:
        return [message.id for message in check_settings(None)]

    stated = {"LOG_KEY": LOG_KEY, "BASE_URL": "https://portal.example.kz"}
    settings.AGREEMENT = {**stated, "TIMESTAMP_AUTHORITY": "tsa.example.kz", "TIMESTAMP_CERTIFICATES": "/nowhere.pem"}
    assert ids() == ["agreement.E002", "agreement.E002"]
    stated |= {"TIMESTAMP_AUTHORITY": "https://tsa.example.kz", "TIMESTAMP_CERTIFICATES": __file__}
    settings.AGREEMENT = stated
    assert ids() == []
    settings.AGREEMENT = {**stated, "LOG_KEY": ""}
    assert ids() == ["agreement.E026"]
    settings.AGREEMENT = stated
    monkeypatch.setattr("agreement.checks.settings.find_spec", lambda name: None)
    assert ids() == ["agreement.E004"] * 2  # The package for stamps, and that for signatures.
