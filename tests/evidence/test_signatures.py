"""Signatures of officials: only the signature of this very manifest is stored, once, and openssl verifies it."""

from __future__ import annotations

import base64
import io
import re
import subprocess
import sys
import threading
import zipfile
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import connection
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from agreement.checks import check_settings
from agreement.evidence import cms, signatures
from agreement.models import AuditEntry, Edition, EditionError, Signature
from tests.support import factories
from tests.support.officials import Official
from tests.support.site import ROOT

pytestmark = pytest.mark.usefixtures("english")

pytest.importorskip("asn1crypto")

database = pytest.mark.django_db


@pytest.fixture(scope="module")
def other(tmp_path_factory) -> Official:
    return Official(tmp_path_factory.mktemp("other"), "/CN=Another Official/C=KZ")


@pytest.fixture(scope="module")
def sample(official) -> bytes:
    return official.sign(b"{}")


def refused(edition: Edition, file: bytes) -> EditionError:
    with pytest.raises(EditionError) as caught:
        signatures.store(edition, file)
    assert not edition.signatures.exists()
    return caught.value


@database
def test_a_signature_is_stored_as_it_came_with_what_it_states(official):
    edition = factories.published()
    file = official.sign(edition.manifest())
    before = timezone.now()
    row, is_new = signatures.store(edition, file, by="Жариялаушы")

    assert is_new
    assert bytes(row.content) == file
    assert (row.number, row.file_name) == (1, "manifest.json.cms")
    assert (row.signer, row.organisation, row.issuer) == ("СЫНАҚОВА СЫНАҚ", "«Сынақ» ЖШС", "СЫНАҚОВА СЫНАҚ")
    assert (row.digest_algorithm, row.message_digest) == ("sha256", edition.digest)
    assert row.signed_at
    assert abs(row.signed_at - before).total_seconds() < 60
    assert row.verified_by == ""
    entry = AuditEntry.objects.latest("pk")
    assert (entry.action, entry.by, entry.digest, entry.note) == (
        "signed",
        "Жариялаушы",
        edition.digest,
        "manifest.json.cms",
    )
    assert str(entry) == "digital signature of an edition stored: terms, edition 1"


@database
@pytest.mark.parametrize(
    ("wrap", "form"),
    [
        (bytes, "PEM"),
        (base64.b64encode, "DER"),
        (base64.encodebytes, "DER"),
        (lambda der: b"-----BEGIN PKCS7-----\r\n" + base64.encodebytes(der) + b"-----END PKCS7-----\r\n", "DER"),
        (lambda der: b"\n  " + base64.b64encode(der) + b"\n", "DER"),
    ],
    ids=["PEM", "base64", "lines of base64", "PKCS7", "spaces"],
)
def test_the_bytes_of_the_signature_are_the_same_in_every_form(official, wrap, form):
    edition = factories.published()
    row, _new = signatures.store(edition, wrap(official.sign(edition.manifest(), form=form)))
    assert official.verify(edition.manifest(), bytes(row.content))
    assert not official.verify(edition.manifest() + b" ", bytes(row.content))


@database
@pytest.mark.parametrize("digest", ["sha1", "sha256", "sha384", "sha512", "sha3-256"])
def test_the_digest_is_compared_by_the_algorithm_that_the_signature_names(official, digest):
    edition = factories.published()
    assert refused(edition, official.sign(edition.manifest()[:-1], "-md", digest)).code == "other_text"
    row, _new = signatures.store(edition, official.sign(edition.manifest(), "-md", digest))
    assert row.digest_algorithm == digest.replace("-", "_")


@database
def test_a_signature_by_key_identifier_or_with_another_certificate_beside_it_names_its_signer(official, other):
    edition = factories.published()
    beside = str(other.folder / "certificate.pem")
    row, _new = signatures.store(edition, official.sign(edition.manifest(), "-keyid", "-certfile", beside))
    assert row.signer == "СЫНАҚОВА СЫНАҚ"
    assert official.verify(edition.manifest(), bytes(row.content))


@database
def test_several_officials_sign_an_edition_each_once(official, other):
    first, second = factories.published(), factories.published()
    file = official.sign(first.manifest())
    one, _new = signatures.store(first, file)
    assert signatures.store(first, base64.b64encode(file)) == (one, False)
    two, is_new = signatures.store(first, other.sign(first.manifest()))
    assert is_new
    assert (two.number, two.file_name, two.signer) == (2, "manifest.json.2.cms", "Another Official")

    with pytest.raises(EditionError) as caught:
        signatures.store(first, official.sign(first.manifest(), "-md", "sha512"))
    assert caught.value.code == "signed_before"
    assert str(caught.value).startswith("СЫНАҚОВА СЫНАҚ has signed this edition before.")
    assert signatures.store(second, official.sign(second.manifest()))[0].number == 1
    assert AuditEntry.objects.filter(action="signed").count() == 3


@database
def test_the_signature_of_another_edition_is_refused(official):
    first, second = factories.published(), factories.published()
    error = refused(second, official.sign(first.manifest()))
    assert error.code == "other_text"
    assert str(error) == "This is the signature of another text, not of the manifest of terms, edition 2."
    # A program that signs the base64 of the manifest, or its digest, signs another text too.
    assert refused(second, official.sign(base64.b64encode(second.manifest()))).code == "other_text"
    assert refused(second, official.sign(second.digest.encode())).code == "other_text"


@database
def test_a_draft_is_not_signed(official):
    draft = factories.draft()
    error = refused(draft, official.sign(b"{}"))
    assert (error.code, str(error)) == ("not_sealed", "A draft can't be signed: it has no manifest.")


@database
@pytest.mark.parametrize(
    ("file", "code"),
    [
        (b"", "not_a_signature"),
        (b"0", "not_a_signature"),
        (b"\x00" * 50, "not_a_signature"),
        ("Келісім".encode(), "not_a_signature"),
        (b"%PDF-1.7\n", "not_a_signature"),
        (b"-----BEGIN CMS-----\n\n-----END CMS-----\n", "not_a_signature"),
        (b"-----BEGIN CMS-----\nMAA=\n-----END PKCS7-----\n", "not_a_signature"),
        (b"M===", "not_a_signature"),
        (b"\x30\x84\xff\xff\xff\xff\x00", "not_a_signature"),
        (b"\x30\x80" * 49_000, "not_a_signature"),
        (b"\x30" * (cms.MAX_BYTES + 1), "signature_too_long"),
        (b"A" * 20_000_000, "signature_too_long"),
    ],
    ids=lambda value: value if isinstance(value, str) else repr(value[:12]),
)
def test_a_file_that_is_no_signature_is_refused(file, code):
    edition = factories.published()
    error = refused(edition, file)
    assert error.code == code
    assert (
        error.hint == "Choose the file that the program for signing wrote: a detached signature (.cms, .p7s or .sig)."
    )


@database
@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        (("-nodetach",), "not_detached", "The signature contains the text that was signed."),
        (("-nocerts",), "no_certificate", "The signature does not contain the certificate of its signer."),
        (("-noattr",), "no_message_digest", "The signature does not contain the digest of what was signed."),
    ],
)
def test_a_signature_that_strangers_could_not_check_is_refused(official, options, code, text):
    edition = factories.published()
    error = refused(edition, official.sign(edition.manifest(), *options))
    assert (error.code, str(error)) == (code, text)
    assert error.hint


@database
def test_a_file_with_two_signatures_is_refused(official, other):
    edition = factories.published()
    more = ("-signer", str(other.folder / "certificate.pem"), "-inkey", str(other.folder / "key.pem"))
    error = refused(edition, official.sign(edition.manifest(), *more))
    assert (error.code, str(error)) == ("several_signatures", "The file contains 2 signatures, not one.")


@database
def test_other_structures_of_cms_are_refused(official, tmp_path):
    edition = factories.published()
    (tmp_path / "manifest.json").write_bytes(edition.manifest())
    certificate = str(official.folder / "certificate.pem")
    for arguments in (
        ("cms", "-encrypt", "-binary", "-outform", "DER", "-in", "manifest.json", "-out", "x", certificate),
        ("cms", "-digest_create", "-binary", "-outform", "DER", "-in", "manifest.json", "-out", "x"),
        ("crl2pkcs7", "-nocrl", "-certfile", certificate, "-outform", "DER", "-out", "x"),
        ("x509", "-in", certificate, "-outform", "DER", "-out", "x"),
    ):
        subprocess.run(["openssl", *arguments], cwd=tmp_path, check=True, capture_output=True)
        code = "several_signatures" if "crl2pkcs7" in arguments else "not_a_signature"
        assert refused(edition, (tmp_path / "x").read_bytes()).code == code


@database
def test_a_signature_in_ber_with_lengths_that_are_not_definite_is_read_and_not_rewritten(official):
    edition = factories.published()
    der = official.sign(edition.manifest())
    outer = _content(der)
    kind, inner = outer[:11], _content(outer[11:])
    ber = b"\x30\x80" + kind + b"\xa0\x80" + b"\x30\x80" + _content(inner) + bytes(6)
    row, _new = signatures.store(edition, ber)
    assert bytes(row.content) == ber
    assert official.verify(edition.manifest(), ber)


def _content(encoded: bytes) -> bytes:
    """The content of an element, whose length has the long form."""
    return encoded[2 + (encoded[1] & 0x7F) :]


@database
def test_a_digest_algorithm_that_is_not_known_here_is_stored_and_said_to_be_not_compared(official):
    edition = factories.published()
    file = official.sign(edition.manifest())
    sha256, gost = bytes.fromhex("0609608648016503040201"), bytes.fromhex("06092a830e030a01038301")
    assert file.count(sha256) == 2  # Of the digest algorithms, and of the signer.
    row, _new = signatures.store(edition, file.replace(sha256, gost))
    assert row.digest_algorithm == "1.2.398.3.10.1.3.385"
    assert not row.is_compared


@pytest.mark.parametrize(
    ("moment", "read"),
    [
        (b"\x17\x0d260301040000Z", datetime(2026, 3, 1, 4, tzinfo=UTC)),
        (b"\x17\x0d990301040000Z", 1999),
        (b"\x17\x0d500301040000Z", None),  # 1950
    ],
)
def test_the_moment_of_signing_is_that_of_the_signer_or_none(sample, moment, read):
    start = sample.index(bytes.fromhex("06092a864886f70d010905310f")) + 13
    found = cms.read(sample[:start] + moment + sample[start + 15 :]).signed_at
    assert found == read if not isinstance(read, int) else found and found.year == read


def test_names_have_no_invisible_characters(tmp_path):
    name = "А\u202eБ\u0000В\tГ".replace("\u0000", "\u200b") + "Ұ" * 50
    found = cms.read(Official(tmp_path, f"/CN={name}").sign(b"{}"))
    assert found.signer == "А Б В Г" + "Ұ" * 50
    assert found.organisation == ""


@given(st.data())
def test_a_damaged_signature_is_read_or_refused(sample, data):
    damaged = bytearray(sample)
    for place in data.draw(st.lists(st.integers(0, len(sample) - 1), min_size=1, max_size=4)):
        damaged[place] = data.draw(st.integers(0, 255))
    try:
        found = cms.read(bytes(damaged[: data.draw(st.integers(1, len(sample)))]))
    except EditionError:
        return
    assert found.signer.isprintable()


# The verifier


def accept(manifest: bytes, signature: bytes) -> str:
    assert manifest.startswith(b'{"agreement"')
    assert signature.startswith(b"\x30")
    return "NCANode: OCSP"


def accept_silently(manifest: bytes, signature: bytes) -> None:
    pass


def refuse(manifest: bytes, signature: bytes) -> None:
    raise ValidationError(["The certificate was revoked.", "See OCSP."])


def fail(manifest: bytes, signature: bytes) -> None:
    raise ConnectionRefusedError


@database
@pytest.mark.parametrize(
    ("name", "verified_by"), [("accept", "NCANode: OCSP"), ("accept_silently", f"{__name__}.accept_silently")]
)
def test_a_signature_that_the_verifier_accepts_names_it(official, settings, name, verified_by):
    settings.AGREEMENT = {**settings.AGREEMENT, "SIGNATURE_VERIFIER": f"{__name__}.{name}"}
    edition = factories.published()
    assert signatures.store(edition, official.sign(edition.manifest()))[0].verified_by == verified_by


@database
@pytest.mark.parametrize(
    ("name", "reason"), [("refuse", "The certificate was revoked. See OCSP."), ("fail", "ConnectionRefusedError")]
)
def test_a_signature_that_the_verifier_refuses_is_not_stored(official, settings, name, reason, caplog):
    settings.AGREEMENT = {**settings.AGREEMENT, "SIGNATURE_VERIFIER": f"{__name__}.{name}"}
    edition = factories.published()
    error = refused(edition, official.sign(edition.manifest()))
    assert (error.code, str(error)) == ("signature_refused", f"The signature was not verified: {reason}")
    assert "a signature of an edition was refused" in caplog.text


@database
def test_the_verifier_of_the_guide_asks_openssl(official, other, settings, monkeypatch):
    guide = (ROOT / "agreement/docs/evidence.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(# mysite/signatures\.py\n.*?)```", guide, re.DOTALL)
    names: dict[str, Any] = {}
    roots = str(official.folder / "certificate.pem")
    exec(example.replace("/etc/portal/authority.pem", roots), names)  # noqa: S102 - the code of the guide
    monkeypatch.setattr(sys.modules[__name__], "accept", names["verify"])
    settings.AGREEMENT = {**settings.AGREEMENT, "SIGNATURE_VERIFIER": f"{__name__}.accept"}
    edition = factories.published()
    error = refused(edition, other.sign(edition.manifest()))
    assert str(error).endswith("openssl does not confirm the signature and its certificate.")
    row, _new = signatures.store(edition, official.sign(edition.manifest()))
    assert row.verified_by == "openssl with the certificates of the authority"


INSTALL = 'Install the extra, from where the app was installed: pip install "/path/to/clone[signature]".'


def test_E004_names_what_the_verifier_needs(settings, monkeypatch):  # noqa: N802
    settings.AGREEMENT = {**settings.AGREEMENT, "SIGNATURE_VERIFIER": f"{__name__}.accept"}
    assert list(check_settings(None)) == []
    monkeypatch.setattr("agreement.checks.settings.find_spec", lambda name: None)
    assert [(message.id, message.hint) for message in check_settings(None)] == [("agreement.E004", INSTALL)]


@database
def test_without_the_extra_no_signature_is_read(official, monkeypatch):
    monkeypatch.setattr(cms, "is_installed", lambda: False)
    error = refused(factories.published(), b"0")
    assert (error.code, error.hint) == ("no_reader", INSTALL)


# Twice at once


@pytest.mark.django_db(transaction=True)
def test_a_file_that_is_sent_twice_at_once_is_stored_once(official, other):
    edition = factories.published()
    files = [official.sign(edition.manifest()), other.sign(edition.manifest())]
    barrier, found = threading.Barrier(4), []

    def store(file: bytes) -> None:
        barrier.wait()
        try:
            found.append(signatures.store(Edition.objects.get(pk=edition.pk), file))
        finally:
            connection.close()

    threads = [threading.Thread(target=store, args=(file,)) for file in files * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(is_new for _row, is_new in found) == [False, False, True, True]
    assert list(Signature.objects.values_list("number", flat=True)) == [1, 2]


# The bundle


@database
def test_openssl_verifies_the_signatures_of_a_bundle_by_its_instructions(official, other, tmp_path):
    factories.published()
    edition = factories.published()
    signatures.store(edition, official.sign(edition.manifest()))
    before = timezone.now().isoformat()
    signatures.store(edition, other.sign(edition.manifest()))

    for name, arguments in (("all", ()), ("earlier", ("--at", before))):
        output = str(tmp_path / f"{name}.zip")
        call_command("export_evidence", "--edition", "terms", "2", "--output", output, *arguments, stdout=io.StringIO())
        with zipfile.ZipFile(output) as archive:
            archive.extractall(tmp_path / name)
    folder = tmp_path / "all"
    assert sorted(path.name for path in (tmp_path / "earlier").rglob("*.cms")) == ["manifest.json.cms"]
    assert sorted(path.name for path in folder.rglob("*.cms")) == ["manifest.json.2.cms", "manifest.json.cms"]

    lines = [line.split() for line in (folder / "README.txt").read_text().splitlines() if "openssl cms" in line]
    assert len(lines) == 6  # Two signatures, in three languages.
    for line in lines:
        done = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr.strip()) == (0, "CMS Verification successful")
    manifest = folder / "terms/editions/2/manifest.json"
    manifest.write_bytes(manifest.read_bytes() + b" ")
    assert subprocess.run(lines[0], cwd=folder, capture_output=True, check=False).returncode != 0
    sums = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=folder, capture_output=True, check=False)
    assert b"manifest.json.2.cms: OK" in sums.stdout
