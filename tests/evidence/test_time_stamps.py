"""Time stamps by an authority: only digests are sent, only valid stamps are stored, nothing waits for it."""

from __future__ import annotations

import io
import socketserver
import subprocess
import zipfile
from threading import Thread

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from agreement.checks import check_settings
from agreement.models import TimeStamp
from tests.support import factories
from tests.support.time_stamp_authority import Authority, serving

pytest.importorskip("rfc3161_client")
pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def _served(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("authority")) as authority:
        yield authority


@pytest.fixture
def authority(_served: Authority, settings) -> Authority:
    """A local authority that the site names."""
    _served.asked.clear()
    _served.spoil = lambda answer: answer
    stated = {"TIMESTAMP_AUTHORITY": _served.address, "TIMESTAMP_CERTIFICATES": str(_served.certificates)}
    settings.AGREEMENT = {**settings.AGREEMENT, **stated}
    return _served


def stamp(**options: object) -> str:
    out = io.StringIO()
    call_command("stamp_editions", stdout=out, stderr=out, **options)
    return out.getvalue()


def refused() -> str:
    """What the command says before it ends with 1."""
    out = io.StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("stamp_editions", stdout=out, stderr=out)
    return out.getvalue() + str(caught.value)


def test_openssl_verifies_the_stamps_of_a_bundle(authority, tmp_path):
    factories.published()
    factories.published()
    stamp()

    call_command("export_evidence", edition=["terms", "2"], output=str(tmp_path / "b.zip"), stdout=io.StringIO())
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        archive.extractall(tmp_path)
    readme = (tmp_path / "README.txt").read_text()
    lines = [line.split() for line in readme.splitlines() if line.strip().startswith("openssl ts -verify")]
    done = [subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False) for line in lines]
    (tmp_path / "terms/editions/2/manifest.json").write_bytes(b"{}")
    tampered = subprocess.run(lines[1], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert len(lines) == 6  # Two manifests, in three languages.
    assert [one.stdout.strip() for one in done] == ["Verification: OK"] * 6
    assert tampered.returncode != 0
    sums = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=tmp_path, capture_output=True, check=False)
    assert b"stamp-1.tsr: OK" in sums.stdout


def test_nothing_but_the_digest_is_sent(authority):
    edition = factories.published()
    stamp()
    (query,) = authority.asked
    assert bytes.fromhex(edition.digest) in query
    assert len(query) < 100
    for word in ("terms", "Келісім", "127.0.0.1:8000"):
        assert word.encode() not in query


def test_every_edition_is_stamped_once(authority):
    factories.published()
    assert "Stamped terms, edition 1" in stamp()
    factories.published()
    assert "edition 2" in stamp()
    assert stamp() == ""
    assert len(authority.asked) == 2
    kept = TimeStamp.objects.get(edition__number=1)
    assert abs((kept.stamped_at - timezone.now()).total_seconds()) < 60


def test_an_authority_that_is_away_delays_and_blocks_nothing(authority, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "TIMESTAMP_AUTHORITY": "http://127.0.0.1:9/tsa"}
    edition = factories.published()
    assert edition.published_at
    assert (
        "1 editions have no time stamp yet. They are published nevertheless. Run this command again later." in refused()
    )
    settings.AGREEMENT = {**settings.AGREEMENT, "TIMESTAMP_AUTHORITY": authority.address}
    assert "Stamped" in stamp()


@pytest.mark.parametrize(
    "answer", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n"]
)
def test_what_is_no_http_delays_one_edition_and_stops_no_other(authority, settings, answer):
    class Rude(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline().strip():
                pass
            self.wfile.write(answer)

    factories.published()
    factories.published()
    with socketserver.TCPServer(("127.0.0.1", 0), Rude) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}/tsa"
        settings.AGREEMENT = {**settings.AGREEMENT, "TIMESTAMP_AUTHORITY": address}
        said = refused()
        server.shutdown()
    assert "edition 1: " in said
    assert "edition 2: " in said
    assert "2 editions have no time stamp yet." in said


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
    assert "1 editions have no time stamp yet." in refused()
    assert not TimeStamp.objects.exists()


def test_the_stamp_of_another_request_is_not_stored(authority):
    factories.published()
    stamp()
    replayed = bytes(TimeStamp.objects.get().response)
    factories.published()
    authority.spoil = lambda answer: replayed
    assert "edition 2: " in refused()
    assert TimeStamp.objects.count() == 1


def test_a_stamp_the_named_roots_do_not_vouch_for_is_not_stored(authority, tmp_path, settings):
    factories.published()
    other = Authority(tmp_path)
    settings.AGREEMENT = {**settings.AGREEMENT, "TIMESTAMP_CERTIFICATES": str(other.certificates)}
    assert "1 editions have no time stamp yet." in refused()
    assert not TimeStamp.objects.exists()


def test_stamping_can_be_tried_dry(authority):
    edition = factories.published()
    assert stamp(dry_run=True) == f"Would stamp terms, edition 1: {edition.digest}\n"
    assert authority.asked == []


def test_without_an_authority_no_stamp_is_requested():
    assert "TIMESTAMP_AUTHORITY" in refused()


def test_E002_and_E004_name_what_stamping_lacks(settings, monkeypatch):  # noqa: N802
    settings.AGREEMENT = {"TIMESTAMP_AUTHORITY": "tsa.example.kz", "TIMESTAMP_CERTIFICATES": "/nowhere.pem"}
    assert [message.id for message in check_settings(None)] == ["agreement.E002", "agreement.E002"]
    settings.AGREEMENT = {"TIMESTAMP_AUTHORITY": "https://tsa.example.kz", "TIMESTAMP_CERTIFICATES": __file__}
    assert list(check_settings(None)) == []
    monkeypatch.setattr("agreement.checks.settings.find_spec", lambda name: None)
    assert [message.id for message in check_settings(None)] == ["agreement.E004"]
