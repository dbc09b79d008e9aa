"""The receipt of an acceptance: what it says, that a stranger can check it, and that a change is found."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import random
import subprocess
import sys
import zipfile

import pytest
from django.urls import reverse
from django.utils import timezone, translation

from agreement.editions import pdf
from agreement.editions.timeline import fresh_timelines
from agreement.evidence import receipts
from agreement.models import Acceptance, AcceptanceKind, Checkpoint, log_records
from agreement.seal import log as tree
from tests.support import factories

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(not pdf.is_installed() or bool(pdf.fault()), reason="needs WeasyPrint and its libraries"),
]

SECRET = base64.b64encode(hashlib.sha256(b"a key for tests").digest()).decode()


@pytest.fixture(autouse=True)
def key(settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "LOG_KEY": SECRET, "BASE_URL": "https://portal.example"}


@pytest.fixture
def user():
    return factories.users(1)[0]


@pytest.fixture
def acceptance(user):
    edition = factories.published()
    return Acceptance.objects.record(
        user=user, edition=edition, digest=edition.digest, language="ru", kind=AcceptanceKind.EXPLICIT
    )


def made(acceptance, language="ru"):
    timeline = fresh_timelines().containing(acceptance.edition_id)
    row = Acceptance.objects.select_related("edition__agreement", "user").get(pk=acceptance.pk)
    return receipts.receipt(row, timeline, at=timezone.now(), language=language)


def key_line():
    note = Checkpoint.objects.signed().latest("size").note
    return tree.verifier_key(tree.Checkpoint.parse(note).origin, tree.public_key_of(SECRET))


def checked(path, *arguments):
    command = [sys.executable, "-I", receipts.CHECKER, path, key_line(), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def words(content, tmp_path):
    path = tmp_path / "words.pdf"
    path.write_bytes(content)
    return subprocess.run(["pdftotext", "-raw", path, "-"], capture_output=True, text=True, check=True).stdout


def test_an_acceptance_that_is_not_in_the_log_has_no_receipt(acceptance):
    with pytest.raises(receipts.NoReceipt, match="no signed checkpoint covers it yet"):
        made(acceptance)


def test_a_site_without_a_key_makes_no_receipts(acceptance, settings):
    log_records.sweep(force=True)
    settings.AGREEMENT = {**settings.AGREEMENT, "LOG_KEY": ""}
    with pytest.raises(receipts.NoReceipt, match="makes no receipts"):
        made(acceptance)


@pytest.mark.parametrize("language", ["kk", "ru"])
def test_a_receipt_says_what_was_accepted_when_and_how(acceptance, language, tmp_path):
    log_records.sweep(force=True)
    text = words(made(acceptance, language), tmp_path)

    assert acceptance.digest in "".join(text.split())
    assert {"kk": "батырма", "ru": "кнопк"}[language] in text
    assert acceptance.user.get_username() in text
    assert "portal.example" in text


def test_the_same_receipt_is_made_twice(acceptance):
    log_records.sweep(force=True)
    assert made(acceptance) == made(acceptance)


def test_the_program_checks_a_receipt_without_the_site(acceptance, tmp_path):
    log_records.sweep(force=True)
    path = tmp_path / "receipt.pdf"
    path.write_bytes(made(acceptance))
    verdict = checked(path)

    assert verdict.returncode == 0
    first, record = verdict.stdout.split("\n", 1)
    assert first.startswith("GENUINE: entry 1 of 2 in portal.example")
    assert json.loads(record)["digest"] == acceptance.digest
    # A checkpoint from elsewhere must agree.
    note = Checkpoint.objects.signed().latest("size").note
    other = tmp_path / "checkpoint"
    other.write_text(note, encoding="utf-8")
    assert checked(path, other).returncode == 0
    other.write_text(note.replace("\n2\n", "\n3\n"), encoding="utf-8")
    assert "another size or root" in checked(path, other).stdout


def test_the_commands_on_the_receipt_check_it(acceptance, tmp_path):
    """The commands are taken from the words of the PDF file itself."""
    log_records.sweep(force=True)
    content = made(acceptance)
    (tmp_path / "receipt.pdf").write_bytes(content)
    printed = " ".join(words(content, tmp_path).split())
    key_bytes = key_line().split("+", 2)[2]
    for command in ("head -c -100 receipt.pdf > body", f"echo {key_bytes} | base64 -d | tail -c 32 > point"):
        assert command in printed
    script = f"""set -e
head -c -100 receipt.pdf > body
tail -c 100 receipt.pdf | cut -c 12- | base64 -d > signature
echo {key_bytes} | base64 -d | tail -c 32 > point
(printf '\\060\\052\\060\\005\\006\\003\\053\\145\\160\\003\\041\\000'; cat point) > key
openssl pkeyutl -verify -pubin -keyform DER -inkey key -rawin -in body -sigfile signature
grep -a '^%record ' receipt.pdf | cut -d ' ' -f 2 | base64 -d > record
sha256sum record"""
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert "Verified Successfully" in done.stdout
    digest = done.stdout.split()[-2]
    assert f'{{"acceptance":"{digest}"}}' in "".join(printed.split())


def test_a_receipt_with_one_byte_changed_is_refused(acceptance, tmp_path):
    log_records.sweep(force=True)
    content = made(acceptance)
    choice = random.Random(21)  # noqa: S311 - places to change, no secret
    places = {0, len(content) - 1, content.index(b"%record") + 20, content.index(b"%proof") + 20, len(content) - 50}
    places |= {choice.randrange(len(content)) for _place in range(200)}
    for place in sorted(places):
        changed = bytearray(content)
        changed[place] ^= 1
        with pytest.raises(receipts.NotGenuine):
            receipts.check(bytes(changed))
    path = tmp_path / "receipt.pdf"
    for place in sorted(places)[::40]:
        changed = bytearray(content)
        changed[place] ^= 1
        path.write_bytes(bytes(changed))
        assert checked(path).returncode == 1


def test_a_receipt_of_another_key_is_refused(acceptance, settings):
    log_records.sweep(force=True)
    content = made(acceptance)
    settings.AGREEMENT = {**settings.AGREEMENT, "LOG_KEY": base64.b64encode(bytes(32)).decode()}
    with pytest.raises(receipts.NotGenuine):
        receipts.check(content)


@pytest.mark.parametrize("language", ["kk", "ru"])
def test_the_verify_page_recognises_a_receipt(acceptance, client, language):
    log_records.sweep(force=True)
    content = made(acceptance)
    with translation.override(language):
        address = reverse("agreement:verify")

    def posted(data):
        return client.post(address, {"file": io.BytesIO(data)})

    genuine = posted(content)
    assert genuine.status_code == 200
    assert 'data-verdict="genuine"' in genuine.text
    assert acceptance.edition.agreement.slug in genuine.text
    changed = posted(content.replace(b"%record ", b"%record A"))
    assert changed.status_code == 404
    assert 'data-verdict="differs"' in changed.text
    assert posted(content[:-1]).status_code == 404


def test_the_user_downloads_their_receipt_at_once(acceptance, client, user):
    """Nothing has entered the acceptance in the log before."""
    client.force_login(user)
    record = client.get(reverse("agreement:record"))
    address = reverse("agreement:receipt", args=[acceptance.pk, "kk"])
    assert f"receipts/{acceptance.pk}." in record.text

    response = client.get(address)

    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/pdf"
    assert "no-store" in response.headers["Cache-Control"]
    assert receipts.check(response.content).record["acceptance"] == acceptance.pk


def test_the_receipt_of_another_user_is_not_found(acceptance, client):
    client.force_login(factories.users(1)[0])
    assert client.get(reverse("agreement:receipt", args=[acceptance.pk, "kk"])).status_code == 404


def test_a_visitor_is_led_to_the_login(acceptance, client):
    assert client.get(reverse("agreement:receipt", args=[acceptance.pk, "kk"])).status_code == 302


def test_the_evidence_contains_the_receipt_and_the_program(acceptance, user, tmp_path):
    from agreement.evidence import export_user

    log_records.sweep(force=True)
    export_user(user.pk, at=timezone.now(), output=tmp_path / "evidence.zip")
    with zipfile.ZipFile(tmp_path / "evidence.zip") as archive:
        archive.extractall(tmp_path)

    folder = tmp_path / "user/receipts"
    verdict = subprocess.run(
        [sys.executable, "-I", folder / "check_receipt.py", folder / f"{acceptance.pk}.ru.pdf", key_line()],
        capture_output=True,
        check=False,
    )
    assert verdict.returncode == 0
