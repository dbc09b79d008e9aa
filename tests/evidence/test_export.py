"""Evidence: what is in a bundle, that strangers' tools check it, and that it is written whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import tempfile
import zipfile
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext
from pypdf import PdfReader

from agreement.editions import pdf
from agreement.evidence.bundle import Bundle, csv_cell
from agreement.models import Acceptance, Breach, Delivery, DisplayedText, Edition, NoticeText, Withdrawal
from agreement.models.acceptances import RequestDetails
from agreement.notices import dispatch
from agreement.retention import erasure
from agreement.seal import manifest
from agreement.text import dates
from tests.support import factories
from tests.support.spreadsheets import FORMULAS, formulas

pytestmark = pytest.mark.django_db


def export(output: Path, *arguments: str) -> str:
    out = io.StringIO()
    call_command("export_evidence", *arguments, "--output", str(output), stdout=out)
    return out.getvalue()


def unpacked(output: Path, folder: Path) -> Path:
    with zipfile.ZipFile(output) as archive:
        assert archive.testzip() is None
        archive.extractall(folder)
    return folder


def sums(folder: Path) -> subprocess.CompletedProcess[str]:
    """What ``sha256sum -c`` says in a folder that was unpacked."""
    return subprocess.run(
        ["sha256sum", "-c", "--strict", "SHA256SUMS"], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.fixture
def notified(tmp_path: Path) -> Path:
    """Three editions, the second of which users were notified of."""
    factories.users(3)
    factories.published(summary_kk="Бірінші.", summary_ru="Первая.")
    factories.published(
        kk=factories.KK + "\n1.3. Жаңа.\n", ru=factories.RU + "\n1.3. Новый.\n", approval_ru="Приказ № 1"
    )
    dispatch.work()
    factories.published(effective_from=timezone.now() + timedelta(days=10))
    return tmp_path


def test_sha256sum_alone_checks_every_file_of_a_bundle(notified):
    export(notified / "bundle.zip", "--edition", "terms", "2")
    folder = unpacked(notified / "bundle.zip", notified / "bundle")

    done = sums(folder)
    (folder / "terms/editions/2.kk.md").write_bytes(b"# another")
    tampered = sums(folder)

    files = [path for path in folder.rglob("*") if path.is_file()]
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(files) - 1  # All but the list itself.
    assert tampered.returncode == 1
    assert "terms/editions/2.kk.md: FAILED" in tampered.stdout


def test_a_bundle_has_the_sealed_bytes_and_the_chain_from_the_first_edition_on(notified):
    edition = factories.agreement().editions.get(number=2)

    export(notified / "bundle.zip", "--edition", "terms", "2")
    folder = unpacked(notified / "bundle.zip", notified / "bundle") / "terms/editions"

    manifests = [json.loads((folder / f"{number}/manifest.json").read_bytes()) for number in (1, 2)]
    assert manifest.sha256((folder / "2/manifest.json").read_bytes()) == edition.digest
    assert manifests[0]["previous"] is None
    assert manifests[1]["previous"] == manifest.sha256((folder / "1/manifest.json").read_bytes())
    for language in ("kk", "ru"):
        body = (folder / f"2.{language}.md").read_bytes()
        assert body.decode() == edition.text(language).body
        assert manifests[1]["texts"][language]["body_sha256"] == manifest.sha256(body)
    assert not (folder / "1.kk.md").exists()
    assert not (folder / "3").exists()


def test_a_bundle_has_the_notices_and_their_recipients_without_an_address(notified):
    export(notified / "bundle.zip", "--edition", "terms", "2")
    folder = unpacked(notified / "bundle.zip", notified / "bundle")
    edition = factories.agreement().editions.get(number=2)
    (notice,) = edition.notices.all()

    # Nobody had been notified of edition 1, so the words for those who had were sent to nobody.
    assert not list(folder.glob("terms/editions/2/notices/published-since-1.*"))
    for text in notice.texts.filter(since=0):
        content = (folder / f"terms/editions/2/notices/published.email.{text.language}.json").read_bytes()
        assert manifest.sha256(content) == text.digest
        assert json.loads(content) == [text.subject, text.text, text.html]
    rows = list(csv.DictReader(io.StringIO((folder / "terms/editions/2/deliveries.csv").read_text(), newline="")))
    assert [(row["channel"], row["outcome"]) for row in rows] == [("email", "sent")] * 3
    assert {row["language"] for row in rows} == {"kk", "ru", "mul"}
    everything = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert b"user0@example.kz" not in everything


def test_the_last_attempt_of_a_failed_delivery_is_counted(notified):
    factories.published(effective_from=timezone.now() + timedelta(days=20))
    notice = Edition.objects.get(number=4).notices.get()
    rows = [
        Delivery(notice=notice, user=user, channel="email", outcome=outcome, reason=reason, attempts=attempts, **at)
        for user, (outcome, reason, attempts) in zip(
            get_user_model().objects.order_by("pk"),
            [("failed", "SMTP 550", 0), ("failed", "SMTP 451", 15), ("sent", "", 2)],
            strict=True,
        )
        for at in [{"due_at": timezone.now(), "outcome_at": timezone.now()}]
    ]
    Delivery.objects.bulk_create(rows)
    export(notified / "bundle.zip", "--edition", "terms", "4")
    table = (unpacked(notified / "bundle.zip", notified / "b") / "terms/editions/4/deliveries.csv").read_text()
    found = [(row["outcome"], row["attempts"]) for row in csv.DictReader(io.StringIO(table, newline=""))]
    assert found == [("failed", "1"), ("failed", "16"), ("sent", "2")]


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("kk", ("2‑редакция", "Жаңа.", "күшінде", "қолы")),
        ("ru", ("Редакция №\u00a02", "Приказ № 1", "Новый.", "Эта редакция действует с", "подпись")),
    ],
)
def test_the_court_page_states_in_its_language_what_bound_when_and_how_to_check_it(notified, language, words):
    export(notified / "bundle.zip", "--edition", "terms", "2")
    edition = factories.agreement().editions.get(number=2)

    page = (unpacked(notified / "bundle.zip", notified / "b") / f"terms/editions/2/court.{language}.html").read_text()

    assert f'<html lang="{language}">' in page
    for word in (*words, edition.digest, "sha256sum 2/manifest.json 2.kk.md 2.ru.md"):
        assert word in page
    assert "src=" not in page
    assert "href=" not in page.replace('href="#', "")  # Nothing is fetched from anywhere.


def test_the_instructions_are_in_three_languages(notified):
    export(notified / "bundle.zip", "--edition", "terms", "1")
    readme = (unpacked(notified / "bundle.zip", notified / "b") / "README.txt").read_text()
    assert readme.count("sha256sum -c SHA256SUMS") == 3
    for title in ("Пайдаланушы келісімінің", "Доказательства", "Evidence of a user agreement"):
        assert title in readme
    assert "openssl ts" not in readme  # Nothing is stamped.


def test_the_same_question_gives_the_same_bytes_whatever_happens_later(notified):
    at = timezone.now().isoformat()
    export(notified / "first.zip", "--edition", "terms", "2", "--at", at)
    factories.agreement().editions.get(number=3).cancel()
    export(notified / "second.zip", "--edition", "terms", "2", "--at", at)

    assert (notified / "first.zip").read_bytes() == (notified / "second.zip").read_bytes()


def test_as_of_an_instant_a_bundle_knows_nothing_later(notified):
    first = factories.agreement().editions.get(number=1)
    at = (first.recorded_at + timedelta(microseconds=1)).isoformat()
    export(notified / "bundle.zip", "--edition", "terms", "1", "--at", at)

    page = (unpacked(notified / "bundle.zip", notified / "b") / "terms/editions/1/court.ru.html").read_text()

    assert "Эта редакция действует с" in page
    assert "утратила силу" not in page
    with pytest.raises(CommandError, match="no edition '2' of 'terms'"):
        export(notified / "other.zip", "--edition", "terms", "2", "--at", at)


@pytest.mark.skipif(not pdf.is_available(""), reason="needs the extra pdf: WeasyPrint, and Pango and fonts")
def test_a_bundle_of_editions_has_their_archive_copies_and_that_of_a_user_has_none(notified, client):
    cancelled, user = factories.agreement().editions.get(number=3), get_user_model().objects.earliest("pk")
    at, served = timezone.now(), client.get("/en/agreements/terms/editions/2.ru.archive.pdf").content
    cancelled.cancel()
    export(notified / "bundle.zip", "--edition", "terms", "2", "3", "--at", at.isoformat())
    folder = unpacked(notified / "bundle.zip", notified / "b")
    export(notified / "user.zip", "--user", f"key:{user.pk}")

    archived = sorted(path.name for path in (folder / "terms/editions").glob("*.pdf"))
    assert archived == [f"{number}.{code}.archive.pdf" for number in (2, 3) for code in ("kk", "ru")]
    assert (folder / "terms/editions/2.ru.archive.pdf").read_bytes() == served
    # At that moment the edition was not cancelled yet.
    words = "".join(page.extract_text() for page in PdfReader(folder / "terms/editions/3.ru.archive.pdf").pages)
    assert "Отменена" not in words
    assert "Контрольная сумма" in words
    readme = (folder / "README.txt").read_text()
    assert readme.count("5. ") == 3
    assert readme.count("verapdf --flavour 2a */editions/*.archive.pdf") == 3
    assert not [name for name in names(notified / "user.zip") if name.endswith(".pdf")]
    with zipfile.ZipFile(notified / "user.zip") as archive:
        assert b"verapdf" not in archive.read("README.txt")


def test_a_site_without_the_pages_of_the_app_has_no_archive_copies(notified, settings):
    settings.ROOT_URLCONF = "tests.support.no_urls"
    export(notified / "bundle.zip", "--edition", "terms", "2")
    assert not [name for name in names(notified / "bundle.zip") if name.endswith(".pdf")]


def test_without_numbers_every_edition_is_in_the_bundle(notified):
    printed = export(notified / "bundle.zip", "--edition", "terms")
    with zipfile.ZipFile(notified / "bundle.zip") as archive:
        assert {f"terms/editions/{number}.kk.md" for number in (1, 2, 3)} < set(archive.namelist())
    assert printed.startswith("Wrote ")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["terms", "9"], "There is no edition '9' of 'terms'. Editions published until "),
        (["terms", "x"], "There is no edition 'x' of 'terms'."),
        (["other"], "There is no edition of 'other'."),
        (["terms", "1", "--at", "2026-01-01T00:00:00"], "has no time zone. Add the offset"),
        (["terms", "1", "--at", "2099-01-01T00:00:00Z"], "is in the future."),
        (["terms", "1", "--at", "then"], "'then' is not an instant."),
    ],
)
def test_what_there_is_no_evidence_of_is_refused_and_nothing_written(notified, arguments, says):
    with pytest.raises(CommandError) as caught:
        export(notified / "bundle.zip", "--edition", *arguments)
    assert says in str(caught.value)
    assert list(notified.iterdir()) == []


def test_a_bundle_never_overwrites_a_file(notified):
    (notified / "bundle.zip").write_text("mine")
    with pytest.raises(CommandError, match="exists already"):
        export(notified / "bundle.zip", "--edition", "terms", "1")
    assert [(path.name, path.read_text()) for path in notified.iterdir()] == [("bundle.zip", "mine")]


def test_a_bundle_is_written_whole_or_not_at_all(notified, monkeypatch):
    monkeypatch.setattr("agreement.evidence.export.court_page", lambda *args, **kwargs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export(notified / "bundle.zip", "--edition", "terms", "1")
    assert list(notified.iterdir()) == []


@pytest.mark.parametrize("page", ["evidence of a user", "evidence of an edition"])
def test_a_download_is_in_no_file_that_a_killed_process_leaves(notified, admin_client, monkeypatch, page):
    edition, user = Edition.objects.get(number=2), get_user_model().objects.get(username="user0")
    Acceptance.objects.record(user=user, edition=edition, digest=edition.digest, language="kk", kind="explicit")
    temporary = notified / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    close, found = Bundle.close, []

    def closed(bundle: Bundle, at: datetime) -> None:
        close(bundle, at)
        found.append((bundle.digests, [path for path in temporary.rglob("*") if path.is_file()]))

    monkeypatch.setattr(Bundle, "close", closed)
    form = {"user": "user0"} if page == "evidence of a user" else {"edition": edition.pk}
    with translation.override("ru"):
        address = reverse("admin:agreement_acceptance_evidence")
    answer = admin_client.post(address, form)

    content = b"".join(answer.streaming_content)
    answer.close()
    [(digests, files)] = found
    assert files == []
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert set(archive.namelist()) == set(digests) > {"SHA256SUMS"}
    assert int(answer.headers["Content-Length"]) == len(content)
    assert list(temporary.iterdir()) == []


def test_a_folder_that_is_not_there_is_named(notified):
    with pytest.raises(CommandError, match="can't be written: no such file"):
        export(notified / "nowhere" / "bundle.zip", "--edition", "terms", "1")


def test_a_deleted_account_is_proved_to_have_been_notified_and_openssl_identifies_it(notified, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "PSEUDONYM_KEYS": {"2026": "s" * 32}}
    (user,) = factories.users(1)
    key, address = user.pk, user.email
    factories.published(effective_from=timezone.now() + timedelta(days=20))
    dispatch.work()
    user.delete()

    export(notified / "user.zip", "--user", str(key))

    rows = csv.DictReader(
        io.StringIO((unpacked(notified / "user.zip", notified / "u") / "user/deliveries.csv").read_text())
    )
    (row,) = [row for row in rows if row["edition"] == "4"]
    assert (row["outcome"], row["key"]) == ("sent", "2026")
    for column, words in (("pseudonym", f"agreement user {key}"), ("address", f"agreement address {address}")):
        found = subprocess.run(
            ["openssl", "dgst", "-sha256", "-hmac", "s" * 32], input=words, capture_output=True, text=True, check=True
        )
        assert found.stdout.split()[-1] == row[column]


def test_a_bundle_of_an_edition_has_who_had_accepted_it_by_then_and_no_address(notified):
    edition = factories.agreement().editions.get(number=2)
    first, second = get_user_model().objects.order_by("pk")[:2]
    origin = RequestDetails(ip="203.0.113.7", user_agent="=1+1")

    def accept(user):
        row = {"digest": edition.digest, "language": "ru", "kind": "explicit", "request_details": origin}
        return Acceptance.objects.record(user=user, edition=edition, **row)

    row = accept(first)
    at = timezone.now().isoformat()
    accept(second)
    export(notified / "bundle.zip", "--edition", "terms", "2", "--at", at)
    folder = unpacked(notified / "bundle.zip", notified / "b")

    written = (folder / "terms/editions/2/acceptances.csv").read_text()
    (line,) = csv.DictReader(io.StringIO(written, newline=""))
    assert (line["digest"], line["pseudonym"], line["kind"]) == (edition.digest, row.pseudonym, "explicit")
    assert "203.0.113.7" not in written
    assert "=1+1" not in written
    assert sums(folder).returncode == 0


def test_history_is_evidence_from_the_moment_it_was_recorded(tmp_path):
    then = timezone.now() - timedelta(days=30)
    edition, (user,) = factories.draft(), factories.users(1)
    edition.record(effective_from=then)
    row = {"digest": edition.digest, "language": "ru", "kind": "imported", "at": then + timedelta(days=1)}
    Acceptance.objects.record(user=user, edition=edition, **row)

    with pytest.raises(CommandError, match="There are no records about a user 'user0' at "):
        export(tmp_path / "then.zip", "--user", "user0", "--at", (then + timedelta(days=2)).isoformat())
    export(tmp_path / "now.zip", "--user", "user0")

    (line,) = csv.DictReader(
        io.StringIO((unpacked(tmp_path / "now.zip", tmp_path) / "user/acceptances.csv").read_text())
    )
    recorded = Acceptance.objects.get().recorded_at
    assert (line["at"], line["recorded_at"]) == (manifest.rfc3339(row["at"]), manifest.rfc3339(recorded))
    assert recorded > edition.recorded_at > row["at"]
    before = (recorded - timedelta(microseconds=1)).isoformat()
    export(tmp_path / "edition.zip", "--edition", "terms", "1", "--at", before)
    with zipfile.ZipFile(tmp_path / "edition.zip") as archive:
        assert len(archive.read("terms/editions/1/acceptances.csv").splitlines()) == 1
    with pytest.raises(CommandError, match="There are no records about a user 'user0' at "):
        export(tmp_path / "before.zip", "--user", "user0", "--at", before)


@pytest.mark.parametrize("evil", FORMULAS)
def test_no_cell_of_a_bundle_is_a_formula_whatever_separates_cells(tmp_path, evil):
    edition, (user,) = factories.published(), factories.users(1)
    row = {"digest": edition.digest, "language": "ru", "kind": "on_behalf", "officer": "=o", "reason": evil}
    Acceptance.objects.record(user=user, edition=edition, request_details=RequestDetails(user_agent=evil), **row)

    export(tmp_path / "user.zip", "--user", "user0")

    written = (unpacked(tmp_path / "user.zip", tmp_path) / "user/acceptances.csv").read_bytes()
    assert formulas(written) == []
    (line,) = csv.DictReader(io.StringIO(written.decode(), newline=""))
    assert {line["reason"].replace("'", ""), line["browser"].replace("'", "")} == {evil}
    assert line["officer"] == "'=o"


@pytest.mark.parametrize(
    "text", ["Mozilla/5.0 (X11; Linux x86_64)", "a = b", "e-mail, by post", "x-y+z@example.kz", "1;2"]
)
def test_a_cell_that_no_program_reads_as_a_formula_is_not_changed(text):
    assert csv_cell(text) == text


def test_the_time_for_a_cell_grows_with_its_length_only():
    """A regular expression that tries each separator again would take hours."""
    assert csv_cell("\t;" * 1_000_000) == "\t;" * 1_000_000


def names(output: Path) -> set[str]:
    with zipfile.ZipFile(output) as archive:
        return set(archive.namelist())


def test_as_of_an_instant_a_bundle_has_only_the_notices_sent_by_then(notified):
    edition = factories.agreement().editions.get(number=2)
    first = edition.notices.get().deliveries.filter(outcome="sent").order_by("outcome_at", "pk").first()
    before, then = (first.outcome_at - timedelta(microseconds=1)).isoformat(), first.outcome_at.isoformat()

    for output, at in (("before.zip", before), ("then.zip", then), ("now.zip", timezone.now().isoformat())):
        export(notified / output, "--edition", "terms", "2", "--at", at)

    notices_by_bundle = [
        {name for name in names(notified / output) if "/notices/" in name and name.endswith(".json")}
        for output in ("before.zip", "then.zip", "now.zip")
    ]
    assert [len(each) for each in notices_by_bundle] == [0, 1, 3]
    assert f".email.{first.language}.json" in min(notices_by_bundle[1])


def test_a_bundle_has_the_texts_that_may_have_been_sent_if_only_the_mail_log_states_that_one_was(tmp_path):
    (user,) = factories.users(1, languages=("ru",))
    factories.published()
    dispatch.work()
    notice = factories.published().notices.get()
    dispatch.fan_out(notice)
    delivery = notice.deliveries.get()
    assert dispatch.reconcile([f"<{delivery.message_id_local_part}@portal.example.kz>"]) == 1
    assert notice.texts.exists()

    for output, of in (("user.zip", ("--user", user.username)), ("edition.zip", ("--edition", "terms", "2"))):
        export(tmp_path / output, *of)
        texts = {name for name in names(tmp_path / output) if "editions/2/notices/" in name and name.endswith(".json")}
        assert len(texts) == notice.texts.count()


def test_a_users_bundle_has_the_notices_sent_to_them_and_no_others(notified):
    (user,) = get_user_model().objects.filter(profile__language="ru")
    export(notified / "user.zip", "--user", user.username)

    folder = unpacked(notified / "user.zip", notified / "u")
    files = sorted(path.name for path in folder.rglob("*.json") if path.parent.name == "notices")
    (text,) = factories.agreement().editions.get(number=2).notices.get().texts.filter(language="ru", since=0)
    assert files == ["published.email.ru.json"]
    assert manifest.sha256((folder / "terms/editions/2/notices" / files[0]).read_bytes()) == text.digest
    # The chain that the letter's digest is found in; but this user has accepted nothing.
    assert (folder / "terms/editions/2/manifest.json").exists()
    assert not (folder / "terms/editions/2.ru.md").exists()
    assert sums(folder).returncode == 0


def accept_displayed(user: Any, edition: Edition, language: str, **columns: object) -> Acceptance:
    """The user accepts on the accept page, which displays the HTML of the present version or, with ``columns``, one
    that another process displayed.
    """
    displayed = DisplayedText.render(edition, language)
    for name, value in columns.items():
        setattr(displayed, name, value)
    displayed.digest = manifest.sha256(displayed.html)
    row = {"edition": edition, "digest": edition.digest, "language": language, "kind": "explicit"}
    return Acceptance.objects.record(user=user, **row, displayed=displayed)


def test_a_bundle_has_each_html_that_was_displayed_byte_for_byte(tmp_path):
    edition, other, users = factories.published(), factories.published(slug="other"), factories.users(4)
    rows = [
        accept_displayed(user, edition, language) for user, language in zip(users, ("ru", "kk", "ru"), strict=False)
    ]
    html = edition.article("ru").html.replace("<div", '<div class="old"')
    rows.append(accept_displayed(users[3], edition, "ru", html=html, renderer=7))
    accept_displayed(users[0], other, "ru")
    Acceptance.objects.record(user=users[1], edition=other, digest=other.digest, language="ru", kind="explicit")

    export(tmp_path / "edition.zip", "--edition", "terms", "1")
    export(tmp_path / "user.zip", "--user", "user0")
    export(tmp_path / "other.zip", "--user", "user1")

    digests = {(row.language, row.renderer): row.html_digest for row in rows}
    files = {
        f"terms/editions/1/displayed/{language}-{renderer}-{digest[:8]}.html": digest
        for (language, renderer), digest in digests.items()
    }
    assert len(files) == 3
    folder = unpacked(tmp_path / "edition.zip", tmp_path / "edition")
    done = subprocess.run(["sha256sum", *files], cwd=folder, capture_output=True, text=True, check=True)
    assert {line.split()[1]: line.split()[0] for line in done.stdout.splitlines()} == files
    assert {name for name in names(tmp_path / "edition.zip") if "/displayed/" in name} == set(files)
    written = (folder / "terms/editions/1/acceptances.csv").read_text()
    lines = csv.DictReader(io.StringIO(written, newline=""))
    assert [(line["renderer"], line["html_digest"]) for line in lines] == [
        (str(row.renderer), row.html_digest) for row in rows
    ]
    own = {name for name in names(tmp_path / "user.zip") if "/displayed/" in name}
    [of_terms] = [name for name, digest in files.items() if digest == rows[0].html_digest]
    assert own == {of_terms, f"other/editions/1/displayed/ru-{rows[0].renderer}-{_digest(other)[:8]}.html"}
    page = (unpacked(tmp_path / "user.zip", tmp_path / "user") / "user/acceptances.ru.html").read_text()
    assert f"<code>{rows[0].html_digest}</code><br>{of_terms}</td>" in page
    assert sums(tmp_path / "user").returncode == 0
    # The second acceptance of the other user came from a program, so it names no HTML.
    page = (unpacked(tmp_path / "other.zip", tmp_path / "other") / "user/acceptances.ru.html").read_text()
    assert page.count("Показанный HTML (SHA-256)") == 1
    assert [name for name in names(tmp_path / "other.zip") if "other/editions/1/displayed/" in name] == []


def _digest(edition: Edition) -> str:
    return manifest.sha256(edition.article("ru").html)


def test_as_of_an_instant_a_bundle_has_only_the_html_that_was_accepted_by_then(tmp_path):
    edition, (first, second) = factories.published(), factories.users(2)
    accept_displayed(first, edition, "ru")
    then = timezone.now().isoformat()
    accept_displayed(second, edition, "kk")

    export(tmp_path / "then.zip", "--edition", "terms", "1", "--at", then)
    export(tmp_path / "now.zip", "--edition", "terms", "1")

    found = [sorted(name for name in names(tmp_path / one) if "/displayed/" in name) for one in ("then.zip", "now.zip")]
    assert [[name.rpartition("/")[2][:3] for name in one] for one in found] == [["ru-"], ["kk-", "ru-"]]


def test_the_instructions_explain_the_displayed_html(notified):
    export(notified / "bundle.zip", "--edition", "terms", "1")
    readme = (unpacked(notified / "bundle.zip", notified / "b") / "README.txt").read_text()
    assert readme.count("\ndisplayed/ ") == 3


def test_the_letters_of_two_breaches_under_one_edition_are_two_files(tmp_path, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "NOTICE_DELAY": timedelta(0)}
    (user,) = factories.users(1, languages=("ru",))
    factories.published(effective_from=timezone.now() + timedelta(days=30)).cancel()
    factories.published()
    breaches = [
        Breach.objects.create(agreement=factories.agreement(), text_kk=words, text_ru=words, everyone=True).notify()
        for words in ("Первое.", "Второе.")
    ]
    dispatch.work()

    export(tmp_path / "user.zip", "--user", user.username)

    found = {name.rpartition("/")[2] for name in names(tmp_path / "user.zip") if "/breach" in name}
    kinds = ("json", "txt", "html")
    assert found == {f"breach-{notice.uuid}.email.ru.{kind}" for notice in breaches for kind in kinds}
    assert sums(unpacked(tmp_path / "user.zip", tmp_path / "u")).returncode == 0


def test_a_text_composed_again_after_a_cancellation_has_a_file_of_its_own(tmp_path):
    factories.users(1, languages=("ru",))
    notice = factories.published().notices.get()
    dispatch.fan_out(notice)
    dispatch.reconcile([f"<{notice.deliveries.get().message_id_local_part}@portal.example.kz>"])
    for times in (0, 2):
        digest = manifest.notice_digest("Снова", "Снова", "")
        kept = {"subject": "Снова", "text": "Снова", "digest": digest, "since": 0}
        NoticeText.objects.get_or_create(notice=notice, channel="email", language="ru", cancelled=times, defaults=kept)

    export(tmp_path / "edition.zip", "--edition", "terms", "1")

    found = {name.rpartition("/")[2] for name in names(tmp_path / "edition.zip") if name.endswith("email.ru.json")}
    assert found == {"published.email.ru.json", "published-with-2-cancelled.email.ru.json"}


def test_a_bundle_refuses_a_second_file_with_the_same_name():
    with zipfile.ZipFile(io.BytesIO(), "w") as archive:
        bundle = Bundle(archive)
        bundle.add("a.txt", b"1")
        with pytest.raises(ValueError, match="contains 'a.txt' already"):
            bundle.add("a.txt", b"2")


def test_a_users_bundle_has_every_text_that_bound_them_until_they_withdrew(tmp_path):
    first, (user, other) = factories.published(), factories.users(2)
    for one in (user, other):
        row = {"digest": first.digest, "language": "ru", "kind": "explicit"}
        Acceptance.objects.record(user=one, edition=first, **row)
    factories.published(material=False)
    agreement = factories.agreement()
    today = timezone.now().date()
    Withdrawal.objects.register(agreement=agreement, user=other, outcome="ended", received_on=today, language="ru")
    then = timezone.now().isoformat()
    factories.published(material=False)
    factories.published()
    factories.published(material=False)

    export(tmp_path / "now.zip", "--user", "user0")
    export(tmp_path / "then.zip", "--user", "user0", "--at", then)
    export(tmp_path / "withdrawn.zip", "--user", "user1")

    def texts(output: str) -> list[str]:
        return sorted(name for name in names(tmp_path / output) if name.endswith(".kk.md"))

    assert texts("now.zip") == [f"terms/editions/{number}.kk.md" for number in (1, 2, 3)]
    assert texts("then.zip") == texts("withdrawn.zip") == [f"terms/editions/{number}.kk.md" for number in (1, 2)]
    page = (unpacked(tmp_path / "now.zip", tmp_path / "now") / "user/acceptances.ru.html").read_text()
    assert f"<td>{editions(1, 2, 3)}</td>" in page


def editions(*numbers: int) -> str:
    """The names of editions as a Russian record lists them: «3» alone would be read as a count."""
    return ", ".join(f"редакция №\u00a0{number}" for number in numbers)


def counts_for(bundle: Path, folder: Path) -> list[str]:
    page = (unpacked(bundle, folder) / "user/acceptances.ru.html").read_text()
    return re.findall(r"<th scope=\"row\">Действует для редакций</th><td>(.*?)</td>", page)


def test_a_bundle_states_of_no_cancelled_edition_that_it_bound(settings, tmp_path):
    settings.AGREEMENT = {**settings.AGREEMENT, "ACCEPT_ANNOUNCED": True}
    first, (user,) = factories.published(), factories.users(1)
    announced = factories.published(effective_from=timezone.now() + timedelta(days=30))
    for edition in (first, announced):
        row = {"digest": edition.digest, "language": "ru", "kind": "explicit"}
        Acceptance.objects.record(user=user, edition=edition, **row)
    announced.cancel()

    export(tmp_path / "bundle.zip", "--user", "user0")
    assert counts_for(tmp_path / "bundle.zip", tmp_path / "bundle") == [editions(1), "—"]
    assert "terms/editions/2.ru.md" in names(tmp_path / "bundle.zip"), "they accepted these words all the same"


@pytest.mark.parametrize("erased", [True, False])
def test_an_acceptance_counts_until_the_withdrawal_whatever_is_registered_late_or_erased(tmp_path, erased):
    (user,), agreement = factories.users(1), factories.agreement()
    key = user.pk

    def accept(edition: Edition) -> None:
        row = {"digest": edition.digest, "language": "ru", "kind": "explicit"}
        Acceptance.objects.record(user=user, edition=edition, **row)

    def withdraw(**stated: Any) -> None:
        stated = {"outcome": "ended", "received_on": date(2026, 1, 1), "language": "ru"} | stated
        Withdrawal.objects.register(agreement=agreement, user=user, **stated)

    accept(factories.published(retention_years=0))
    second = factories.published(material=False, retention_years=0)
    withdraw()
    if erased:
        erasure.erase()
    accept(second)
    factories.published(material=False)
    withdraw(effective_at=None if erased else timezone.now() - timedelta(days=9))
    factories.published(material=False)
    user.delete()

    export(tmp_path / "bundle.zip", "--user", f"key:{key}")
    assert counts_for(tmp_path / "bundle.zip", tmp_path / "bundle") == (
        [editions(2, 3)] if erased else [editions(1, 2), "—"]
    )
    page = (tmp_path / "bundle/user/acceptances.ru.html").read_text()
    with translation.override("ru"):
        ends = re.findall(f">{gettext('Counted until the withdrawal of consent')}</th><td>(.*?)</td>", page)
    ended = Withdrawal.objects.order_by("pk").values_list("effective_at", flat=True)[1 if erased else 0]
    assert ends[0] == dates.instant(ended, "ru", agreement.time_zone)
    assert len(ends) == Acceptance.objects.filter(erased_at=None).count(), "they withdrew after each"


def test_a_name_that_is_another_users_key_is_refused_without_a_prefix(tmp_path):
    edition, (one, other, third) = factories.published(), factories.users(3)
    for user in (one, other):
        Acceptance.objects.record(user=user, edition=edition, digest=edition.digest, language="ru", kind="explicit")
    key = other.pk
    get_user_model().objects.filter(pk=one.pk).update(username=str(key))
    get_user_model().objects.filter(pk=third.pk).update(username="99999")

    def accepted(name: str) -> str:
        export(tmp_path / f"{name}.zip", "--user", name)
        with zipfile.ZipFile(tmp_path / f"{name}.zip") as archive:
            (row,) = csv.DictReader(io.StringIO(archive.read("user/acceptances.csv").decode()))
        return row["pseudonym"]

    with pytest.raises(CommandError, match=f"Write name:{key} or key:{key}"):
        accepted(str(key))
    other.delete()
    with pytest.raises(CommandError, match=f"Write name:{key} or key:{key}"):
        accepted(str(key))
    rows = Acceptance.objects.order_by("pk")
    assert [accepted(f"name:{key}"), accepted(f"key:{key}")] == [row.pseudonym for row in rows]
    with pytest.raises(CommandError, match="There are no records about a user '99999'"):  # A number, and nobody's key.
        accepted("99999")
    for unknown in ("name:nobody", "key:x", "key:", "nobody"):
        with pytest.raises(CommandError, match="There is no user “"):
            accepted(unknown)
