"""The log of an agreement as files: what is served, what is not, and that a stranger can check all of it."""

from __future__ import annotations

import base64
import json
import subprocess
from datetime import timedelta
from urllib.parse import quote

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agreement.models import Checkpoint, LogEntry, LogTile
from agreement.seal import log as tree
from agreement.testing import open_seal
from tests.support import factories
from tests.support.signed_logs import ORIGIN, OTHER_SECRET, SECRET, Reader, fill, sign_with

pytestmark = pytest.mark.django_db

HERE = "/kk/agreements/terms/"
LOG = f"{HERE}log/"
FILES = ["checkpoint", "key", "key.pem", "tile/0/000.p/1", "tile/entries/000.p/1"]
PROOF = f"{HERE}editions/1/manifest.json.tlog-proof"


@pytest.fixture
def edition(settings):
    sign_with(settings)
    return factories.published()


def refused(client, address, status=404):
    response = client.get(address)
    assert response.status_code == status, address
    if status == 404:
        assert response["Content-Type"] == "application/problem+json"
        assert response["Access-Control-Allow-Origin"] == "*"
        assert response["Cache-Control"] == "no-store"
        assert response.json()["status"] == 404


def test_the_newest_signed_checkpoint_is_a_note_that_its_key_verifies(client, edition):
    fill(edition, 3)

    response = client.get(f"{LOG}checkpoint")

    note = response.content.decode()
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response["Cache-Control"] == "public, max-age=5"
    assert response["Access-Control-Allow-Origin"] == "*"
    assert tree.Checkpoint.parse(note).size == 4
    assert tree.Checkpoint.parse(note).origin == ORIGIN
    assert tree.signed_by(note, tree.public_key_of(SECRET)) is True
    again = client.get(f"{LOG}checkpoint", headers={"If-None-Match": response["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    fill(edition, 1)
    assert client.get(f"{LOG}checkpoint", headers={"If-None-Match": response["ETag"]}).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_the_process_does_not_remember_the_checkpoint(client, edition):
    sizes = []
    for _time in range(3):
        fill(edition, 1)
        sizes.append(tree.Checkpoint.parse(Reader(client).note()).size)
    assert sizes == [2, 3, 4]


@pytest.mark.parametrize("address", [*(LOG + name for name in FILES), PROOF])
def test_each_file_is_public_in_every_language_and_sets_no_cookie(client, edition, address):
    answers = [client.get(address.replace("/kk/", f"/{language}/")) for language in ("kk", "ru", "en")]
    client.force_login(factories.users(1)[0])
    answers.append(client.get(address))

    assert {response.status_code for response in answers} == {200}
    assert len({response.content for response in answers}) == 1
    for response in answers:
        assert not response.cookies
        assert "Cookie" not in response.get("Vary", "")
        assert response["ETag"]
        assert response["Cache-Control"].startswith("public, max-age=")
        assert response["Access-Control-Allow-Origin"] == "*"
        assert response["X-Content-Type-Options"] == "nosniff"
    head = client.head(address)
    assert (head.status_code, head["Content-Length"]) == (200, str(len(answers[0].content)))


@pytest.mark.parametrize("address", [*(LOG + name for name in FILES), PROOF])
def test_only_get_and_head_are_answered(client, edition, address):
    for method in ("post", "put", "patch", "delete", "options", "trace"):
        assert getattr(client, method)(address).status_code == 405


@pytest.mark.parametrize("address", [*(LOG + name for name in FILES), PROOF])
def test_what_no_checkpoint_covers_is_not_found(client, settings, address):
    sign_with(settings, "")
    factories.published()
    refused(client, address)
    refused(client, address.replace("terms", "unknown"))


def test_a_log_without_a_public_edition_is_not_found(client, settings):
    sign_with(settings)
    settings.AGREEMENT = {**settings.AGREEMENT, "SHOW_SCHEDULED": False}
    factories.published(effective_from=timezone.now() + timedelta(days=1))
    for address in [*(LOG + name for name in FILES), PROOF]:
        refused(client, address)


@pytest.mark.parametrize("more", [0, 1, 254, 255, 256, 700])
def test_a_stranger_verifies_every_entry_and_every_checkpoint(client, edition, more):
    for start in range(0, more, 100):
        fill(edition, min(100, more - start))
    reader = Reader(client)
    checkpoint = tree.Checkpoint.parse(reader.note())
    log, entries = reader.tree(checkpoint.size), reader.entries(checkpoint.size)

    assert checkpoint.size == len(entries) == more + 1
    assert log.root() == checkpoint.root
    for index in {0, 1, 254, 255, 256, 257, 511, 512, more} & set(range(more + 1)):
        leaf = tree.leaf_hash(entries[index])
        assert tree.root_from_inclusion(leaf, index, log.size, log.inclusion(index)) == checkpoint.root
    assert json.loads(entries[0]) == {"edition": edition.digest, "number": 1}
    for old in map(tree.Checkpoint.parse, Checkpoint.objects.values_list("note", flat=True)):
        assert tree.root_hash([tree.leaf_hash(entry) for entry in entries[: old.size]]) == old.root


def test_tiles_never_change_and_are_served_in_each_width_that_the_checkpoint_covers(client, edition):
    fill(edition, 299)
    reader = Reader(client)

    for path in ("0/000", "0/001.p/44", "1/000.p/1", "entries/000", "entries/001.p/44"):
        response = client.get(f"{LOG}tile/{path}")
        assert response["Content-Type"] == "application/octet-stream"
        assert response["Cache-Control"] == "public, max-age=31536000, immutable"
    assert len(reader.read("tile/0/000")) == 8192
    assert reader.read("tile/0/000.p/3") == reader.read("tile/0/000")[:96]
    assert reader.read("tile/1/000.p/1") == tree.root_hash(
        [tree.leaf_hash(one) for one in reader.entries(256)],
    )
    for path in ("0/001", "0/001.p/45", "0/002.p/1", "1/000", "1/000.p/2", "1/001.p/1", "2/000.p/1"):
        refused(client, f"{LOG}tile/{path}")
    for path in ("entries/001", "entries/001.p/45", "entries/002.p/1"):
        refused(client, f"{LOG}tile/{path}")


NINES = "x999/"
BAD_PATHS = [
    *("0/000.p/0", "0/000.p/256", "0/000.p/01", "0/000.p/300", "0/000.p/", "0/000.p", "0/000.p/-1", "0/000.p/1/"),
    *("00/000", "01/000", "64/000", "63/000", "99/000", "100/000", "-1/000", "a/000", "/000", "0", "0/", "0//000"),
    *("0/0", "0/00", "0/0000", "0/1000", "0/x000/000", "0/x001", "0/x01/000", "0/001/000", "0/x001/x000"),
    *("0/x000/x000/000", "0/X001/000", "0/000 ", "0/000\n", "0/٠٠٠", "0/000.P/1", "0/000.p/١"),
    *(f"0/{NINES * count}999" for count in (1, 6, 7, 900)),
    *(f"63/{NINES * 6}999", f"entries/{NINES * 6}999", "entries", "entries/", "entries/0", "Entries/000"),
    *("entries/000.p/0", "entries/000.p/256", "../checkpoint", "%00", "\x00", "0/000\x00", "0/000;", "0/000'"),
    *("' OR 1=1 --", "9" * 4000, f"0/{'9' * 4000}", "💩/000"),
]


@pytest.mark.parametrize("path", BAD_PATHS, ids=range(len(BAD_PATHS)))
def test_what_is_no_tile_is_not_found(client, edition, path):
    fill(edition, 299)
    client.raise_request_exception = False
    response = client.get(f"{LOG}tile/{quote(path)}")
    assert response.status_code in {400, 404}, path
    assert "Traceback" not in response.content.decode()


def test_nothing_after_the_newest_signed_checkpoint_is_served(client, settings, edition):
    fill(edition, 9)
    sign_with(settings, "")
    fill(edition, 500)
    later = factories.published()
    reader = Reader(client)

    assert tree.Checkpoint.parse(reader.note()).size == 10
    assert reader.tree(10).root() == tree.Checkpoint.parse(reader.note()).root
    assert len(reader.entries(10)) == 10
    for path in ("0/000", "0/000.p/11", "entries/000", "entries/000.p/11", "1/000.p/1", "0/001.p/1", "entries/001.p/1"):
        refused(client, f"{LOG}tile/{path}")
    assert client.get(PROOF).status_code == 200
    refused(client, f"{HERE}editions/{later.number}/manifest.json.tlog-proof")
    page = client.get(f"{HERE}editions/{later.number}/").content.decode()
    assert ORIGIN not in page


def test_the_proof_of_an_edition_never_changes_and_leads_from_its_digest_to_a_signed_root(client, edition):
    fill(edition, 300)
    later = factories.published()
    fill(edition, 10)

    for one in (edition, later):
        response = client.get(f"{HERE}editions/{one.number}/manifest.json.tlog-proof")
        assert response["Content-Type"] == "text/plain; charset=utf-8"
        assert response["Cache-Control"] == "public, max-age=31536000, immutable"
        index, hashes, note = tree.parse_proof(response.content.decode())
        stated = tree.Checkpoint.parse(note)
        # A stranger needs the manifest and nothing else.
        entry = json.dumps({"edition": one.digest, "number": one.number}, separators=(",", ":"))
        leaf = tree.leaf_hash(entry.encode())
        assert tree.root_from_inclusion(leaf, index, stated.size, hashes) == stated.root
        assert tree.signed_by(note, tree.public_key_of(SECRET)) is True
        fill(edition, 1)
        assert client.get(f"{HERE}editions/{one.number}/manifest.json.tlog-proof").content == response.content
    refused(client, f"{HERE}editions/3/manifest.json.tlog-proof")
    assert client.get(f"{HERE}editions/0/manifest.json.tlog-proof").status_code == 404


def test_openssl_verifies_the_checkpoint_with_the_key_that_is_served(client, edition, tmp_path):
    reader = Reader(client)
    note = reader.note()
    body, signatures = note.split("\n\n")
    (tmp_path / "key.pem").write_bytes(reader.read("key.pem"))
    (tmp_path / "body").write_text(f"{body}\n", encoding="utf-8")
    (tmp_path / "signature").write_bytes(base64.b64decode(signatures.rpartition(" ")[2])[4:])

    command = "openssl pkeyutl -verify -pubin -inkey key.pem -rawin -in body -sigfile signature"
    done = subprocess.run(command.split(), cwd=tmp_path, check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert reader.read("key").decode() == f"{tree.verifier_key(ORIGIN, tree.public_key_of(SECRET))}\n"


def test_all_keys_of_a_log_are_served_that_of_the_newest_checkpoint_first(client, settings, edition):
    first = Reader(client).note()
    sign_with(settings, OTHER_SECRET)
    fill(edition, 1)
    reader = Reader(client)
    keys = [tree.verifier_key(ORIGIN, tree.public_key_of(secret)) for secret in (OTHER_SECRET, SECRET)]

    assert reader.read("key").decode().splitlines() == keys
    assert reader.read("key.pem").decode().count("BEGIN PUBLIC KEY") == 2
    assert reader.read("key.pem").decode().startswith(tree.public_key_pem(keys[0]))
    assert [tree.is_signed_with(first, key) for key in keys] == [False, True]
    sign_with(settings, SECRET)
    fill(edition, 1)
    assert reader.read("key").decode().splitlines() == keys[::-1]


@pytest.mark.parametrize(
    ("path", "count"),
    [
        *(("checkpoint", 1), ("key", 1), ("key.pem", 1), ("tile/0/000", 2), ("tile/0/001.p/44", 2)),
        *(("tile/1/000.p/1", 2), ("tile/entries/000", 2), ("tile/entries/001.p/3", 2)),
        *(("tile/0/009", 1), ("tile/63/000", 1), ("tile/x", 0)),
    ],
)
def test_a_file_costs_few_queries_however_large_the_log(client, edition, path, count):
    fill(edition, 299)
    with CaptureQueriesContext(connection) as captured:
        client.get(LOG + path)
    assert len(captured) - 1 == count  # One reads the dates.


def test_a_proof_costs_two_queries_for_each_level(client, edition):
    fill(edition, 700)
    with CaptureQueriesContext(connection) as captured:
        assert client.get(PROOF).status_code == 200
    assert len(captured) - 1 <= 2  # The tree of the first checkpoint has one entry.
    later = factories.published()
    with CaptureQueriesContext(connection) as captured:
        assert client.get(f"{HERE}editions/{later.number}/manifest.json.tlog-proof").status_code == 200
    assert len(captured) - 1 <= 2 + 2 * 2


def test_a_damaged_log_is_not_found_and_no_false_proof_is_served(client, edition):
    fill(edition, 299)
    later = factories.published()
    address = f"{HERE}editions/{later.number}/manifest.json.tlog-proof"
    assert client.get(address).status_code == 200
    with open_seal():
        LogTile.objects.filter(level=0).delete()
        LogEntry.objects.filter(index=299).update(entry=b"{}")

    refused(client, f"{LOG}tile/0/000")
    refused(client, address)
    with open_seal():
        LogEntry.objects.filter(index=280).delete()
    refused(client, f"{LOG}tile/entries/001.p/45")
    refused(client, f"{LOG}tile/0/001.p/45")


def test_the_first_signed_checkpoint_is_found_by_an_index(settings):
    sign_with(settings, "")
    factories.published()
    plan = Checkpoint.objects.signed().covering(agreement=1, index=0).explain()
    assert "agreement_checkpoint_signed" in plan or connection.vendor != "sqlite", plan
