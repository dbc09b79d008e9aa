"""The receipt of an acceptance: what it says, that a stranger can check it, and that a change is found."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import random
import re
import subprocess
import sys
import zipfile

import pytest
from django.core.mail import EmailMessage
from django.urls import reverse
from django.utils import timezone, translation

from agreement.editions import pdf
from agreement.editions.timeline import fresh_timelines
from agreement.evidence import receipts
from agreement.models import Acceptance, AcceptanceKind, Checkpoint, DisplayedText, log_records
from agreement.seal import log as tree
from agreement.seal.manifest import sha256
from agreement.text import dates
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
    assert {"kk": "растап", "ru": "с подтверждением"}[language] in text
    assert acceptance.user.get_username() in text
    assert "portal.example" in text
    edition = acceptance.edition
    effective = dates.instant(edition.effective_from, language, edition.agreement.time_zone)
    label = {"kk": "Күшіне ену уақыты", "ru": "Вступление в силу"}[language]
    assert " ".join(f"{label} {effective}".split()) in " ".join(text.split())


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
    assert first.startswith("GENUINE: the entry with the number 1 in a log of 2 entries; the first has the number 0; p")
    assert json.loads(record)["digest"] == acceptance.digest


def test_the_program_compares_a_letter_with_as_many_entries_and_says_when_it_compared_nothing(acceptance, tmp_path):
    log_records.sweep(force=True)
    path, letter = tmp_path / "receipt.pdf", tmp_path / "letter"
    path.write_bytes(made(acceptance))
    checkpoint = Checkpoint.objects.signed().latest("size")
    note = checkpoint.note

    def verdict(text, status):
        letter.write_text(text, encoding="utf-8")
        done = checked(path, letter)
        assert done.returncode == status
        return done.stdout

    assert "NOT COMPARED" not in verdict(f"Dear reader,\n\n{note}", 0)
    mail = EmailMessage("Terms", f"Шарттар\n\n{note}", "site@portal.example", ["user@portal.example"])
    assert "NOT COMPARED" not in verdict(mail.message().as_string(), 0)
    # A genuine letter about a smaller log says nothing against a genuine receipt.
    earlier = verdict(note.replace("\n2\n", "\n1\n"), 2)
    assert earlier.startswith("GENUINE")
    assert "NOT COMPARED: the letter has a checkpoint of 1 entries, and the receipt of 2." in earlier
    assert "a checkpoint of no entries" in verdict("Dear reader", 2)
    root = base64.b64encode(bytes.fromhex(checkpoint.root)).decode()
    assert "different roots" in verdict(note.replace(root, base64.b64encode(bytes(32)).decode()), 1)


def test_the_program_needs_the_key_of_this_log_and_joins_its_line(acceptance, tmp_path):
    log_records.sweep(force=True)
    path = tmp_path / "receipt.pdf"
    path.write_bytes(made(acceptance))
    line = key_line()

    def status(key):
        command = [sys.executable, "-I", receipts.CHECKER, path, key]
        return subprocess.run(command, capture_output=True, text=True, check=False).returncode

    assert status(line.replace("/log", "/\nlog")) == 0
    assert status(line.replace("terms", "other")) == 1
    assert status("no key") == 1


def test_the_program_says_in_one_sentence_that_a_file_is_missing(acceptance, tmp_path):
    log_records.sweep(force=True)
    path = tmp_path / "receipt.pdf"
    for arguments in ([path], [path, tmp_path / "letter.eml"]):
        verdict = checked(*arguments)
        assert (verdict.returncode, verdict.stderr) == (1, "")
        assert verdict.stdout.startswith("REFUSED: a file can't be read")
        assert verdict.stdout.count("\n") == 1
        path.write_bytes(made(acceptance))


def printed_lines(content, tmp_path, first, last):
    """The lines of the receipt from one that begins with ``first`` to one that ends with ``last``, as a reader copies
    them.
    """
    lines = [line.strip() for line in words(content, tmp_path).replace("\f", "\n").splitlines()]
    start = next(place for place, line in enumerate(lines) if line.startswith(first))
    end = next(place for place, line in enumerate(lines) if place >= start and line.endswith(last))
    return lines[start : end + 1]


@pytest.mark.parametrize("language", ["kk", "ru"])
def test_the_commands_that_are_copied_from_the_receipt_check_it(acceptance, language, tmp_path):
    log_records.sweep(force=True)
    content = made(acceptance, language)
    (tmp_path / "receipt.pdf").write_bytes(content)
    (tmp_path / "check_receipt.py").write_bytes(receipts.CHECKER.read_bytes())
    commands = printed_lines(content, tmp_path, "head -c", "cat record")
    starts = ("head ", "tail ", "echo ", "(printf ", "openssl ", "-inkey ", "grep ", "sha256sum ", "cat ")
    script = "\n".join(line for line in commands if line.startswith(starts))
    done = subprocess.run(["bash", "-ec", script], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert "Verified Successfully" in done.stdout
    digest = re.search(r"^([0-9a-f]{64})  record$", done.stdout, re.MULTILINE)[1]
    assert acceptance.digest in done.stdout
    assert printed_lines(content, tmp_path, "{", "}") == [f'{{"acceptance":"{digest}"}}']
    program = "\n".join(printed_lines(content, tmp_path, "python3 check_receipt.py", "'"))
    done = subprocess.run(["bash", "-ec", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("GENUINE")


def test_what_is_copied_from_a_receipt_is_not_broken(acceptance, tmp_path):
    log_records.sweep(force=True)
    content = made(acceptance)
    lines = [line.strip() for line in words(content, tmp_path).splitlines()]
    edition = acceptance.edition
    for digest in (edition.digest, *(sha256(edition.text(language).body) for language in ("kk", "ru"))):
        assert any(line.endswith(digest) for line in lines)
    note = Checkpoint.objects.signed().latest("size").note
    start = lines.index(note.split("\n")[0])
    assert tree.find_checkpoint("\n".join(lines[start:])) == note


def test_a_receipt_states_how_the_text_was_displayed_only_if_it_is_recorded(acceptance, user, tmp_path):
    edition = factories.published()
    displayed = DisplayedText.render(edition, "ru")
    row = {"user": user, "edition": edition, "digest": edition.digest, "language": "ru"}
    recorded = Acceptance.objects.record(**row, kind=AcceptanceKind.EXPLICIT, displayed=displayed)
    log_records.sweep(force=True)

    assert displayed.digest in words(made(recorded), tmp_path)
    assert "кнопк" in words(made(recorded), tmp_path)
    assert "кнопк" not in words(made(acceptance), tmp_path)
    assert "HTML" not in words(made(acceptance), tmp_path)


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
    for place in [*sorted(places)[::40], len(content) - 50, len(content) - 1]:
        changed = bytearray(content)
        changed[place] ^= 1
        path.write_bytes(bytes(changed))
        done = checked(path)
        assert (done.returncode, done.stdout[:8], done.stderr) == (1, "REFUSED:", "")


def test_a_signature_that_is_written_in_another_way_is_refused(acceptance, tmp_path):
    """The last character of Base64 before the padding has bits that mean nothing."""
    log_records.sweep(force=True)
    content = made(acceptance)
    last = content[-4:-3]
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    other = alphabet[alphabet.index(last) + 1 :][:1]
    changed = content[:-4] + other + content[-3:]
    assert base64.b64decode(changed[-89:-1]) == base64.b64decode(content[-89:-1])

    with pytest.raises(receipts.NotGenuine):
        receipts.check(changed)
    path = tmp_path / "receipt.pdf"
    path.write_bytes(changed)
    assert checked(path).returncode == 1


def test_a_receipt_of_a_former_key_is_genuine(acceptance, client, settings):
    log_records.sweep(force=True)
    content = made(acceptance)
    assert not receipts.check(content).is_key_former
    for secret in (base64.b64encode(bytes(32)).decode(), ""):
        settings.AGREEMENT = {**settings.AGREEMENT, "LOG_KEY": secret}
        assert receipts.check(content).is_key_former
    response = client.post("/kk/agreements/verify/", {"file": io.BytesIO(content)})
    assert 'data-verdict="genuine"' in response.text
    assert "бұрынғы кілтімен" in response.text


def test_a_receipt_of_another_key_is_refused(acceptance, settings):
    log_records.sweep(force=True)
    content = made(acceptance)
    body, stranger = content[:-100], base64.b64encode(bytes(32)).decode()
    signature = base64.b64encode(tree.sign_bytes(body, stranger))
    with pytest.raises(receipts.NotGenuine):
        receipts.check(body + b"%signature " + signature + b"\n")


def test_a_new_key_makes_no_receipt_before_it_signed_a_checkpoint(acceptance, settings):
    log_records.sweep(force=True)
    settings.AGREEMENT = {**settings.AGREEMENT, "LOG_KEY": base64.b64encode(bytes(32)).decode()}
    with pytest.raises(receipts.NoReceipt, match="before the site got its present key"):
        made(acceptance)


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
    sums = (tmp_path / "SHA256SUMS").read_text(encoding="utf-8")
    assert f"{sha256((folder / f'{acceptance.pk}.ru.pdf').read_bytes())}  user/receipts/{acceptance.pk}.ru.pdf" in sums
    assert (tmp_path / "README.txt").read_text(encoding="utf-8").count("\nuser/receipts/") == 3
    verdict = subprocess.run(
        [sys.executable, "-I", folder / "check_receipt.py", folder / f"{acceptance.pk}.ru.pdf", key_line()],
        capture_output=True,
        check=False,
    )
    assert verdict.returncode == 0
