"""Evidence: what is in a bundle, that strangers' tools check it, and that it is written whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import zipfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.utils import timezone, translation
from django.utils.translation import gettext

from agreement import dates, dispatch, retention
from agreement.models import Acceptance, Edition, Withdrawal
from agreement.models.acceptances import Origin
from agreement.text import seal
from tests import factories

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
def told(tmp_path: Path) -> Path:
    """Three editions, the second of which users were told of."""
    factories.published(summary_kk="Бірінші.", summary_ru="Первая.")
    factories.users(3)
    factories.published(
        kk=factories.KK + "\n1.3. Жаңа.\n", ru=factories.RU + "\n1.3. Новый.\n", approval_ru="Приказ № 1"
    )
    dispatch.work()
    factories.published(effective_from=timezone.now() + timedelta(days=10))
    return tmp_path


def test_sha256sum_alone_checks_every_file_of_a_bundle(told):
    export(told / "bundle.zip", "--edition", "terms", "2")
    folder = unpacked(told / "bundle.zip", told / "bundle")

    done = sums(folder)
    (folder / "terms/editions/2.kk.md").write_bytes(b"# another")
    tampered = sums(folder)

    files = [path for path in folder.rglob("*") if path.is_file()]
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(files) - 1  # All but the list itself.
    assert tampered.returncode == 1
    assert "terms/editions/2.kk.md: FAILED" in tampered.stdout


def test_a_bundle_holds_the_sealed_bytes_and_the_chain_from_the_first_edition_on(told):
    edition = factories.agreement().editions.get(number=2)

    export(told / "bundle.zip", "--edition", "terms", "2")
    folder = unpacked(told / "bundle.zip", told / "bundle") / "terms/editions"

    manifests = [json.loads((folder / f"{number}/manifest.json").read_bytes()) for number in (1, 2)]
    assert seal.sha256((folder / "2/manifest.json").read_bytes()) == edition.digest
    assert manifests[0]["previous"] is None
    assert manifests[1]["previous"] == seal.sha256((folder / "1/manifest.json").read_bytes())
    for language in ("kk", "ru"):
        body = (folder / f"2.{language}.md").read_bytes()
        assert body.decode() == edition.text(language).body
        assert manifests[1]["texts"][language]["body_sha256"] == seal.sha256(body)
    assert not (folder / "1.kk.md").exists()
    assert not (folder / "3").exists()


def test_a_bundle_holds_what_was_said_and_who_was_told_without_an_address(told):
    export(told / "bundle.zip", "--edition", "terms", "2")
    folder = unpacked(told / "bundle.zip", told / "bundle")
    edition = factories.agreement().editions.get(number=2)
    (notice,) = edition.notices.all()

    # Nobody had been told of edition 1, so the words for those who had are said to nobody.
    assert not list(folder.glob("terms/editions/2/notices/published-since-1.*"))
    for text in notice.texts.filter(since=0):
        said = (folder / f"terms/editions/2/notices/published.email.{text.language}.json").read_bytes()
        assert seal.sha256(said) == text.digest
        assert json.loads(said) == [text.subject, text.text, text.html]
    rows = list(csv.DictReader(io.StringIO((folder / "terms/editions/2/deliveries.csv").read_text(), newline="")))
    assert [(row["channel"], row["outcome"]) for row in rows] == [("email", "sent")] * 3
    assert {row["language"] for row in rows} == {"kk", "ru", "mul"}
    everything = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert b"user0@example.kz" not in everything


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("kk", ("2-редакция", "Жаңа.", "күшінде", "қолы")),
        ("ru", ("Редакция № 2", "Приказ № 1", "Новый.", "Действует с", "подпись")),
    ],
)
def test_the_court_page_says_in_its_language_what_bound_when_and_how_to_check_it(told, language, words):
    export(told / "bundle.zip", "--edition", "terms", "2")
    edition = factories.agreement().editions.get(number=2)

    page = (unpacked(told / "bundle.zip", told / "b") / f"terms/editions/2/court.{language}.html").read_text()

    assert f'<html lang="{language}">' in page
    for word in (*words, edition.digest, "sha256sum 2/manifest.json 2.kk.md 2.ru.md"):
        assert word in page
    assert "src=" not in page
    assert "href=" not in page.replace('href="#', "")  # Nothing is fetched from anywhere.


def test_the_instructions_are_in_three_languages(told):
    export(told / "bundle.zip", "--edition", "terms", "1")
    readme = (unpacked(told / "bundle.zip", told / "b") / "README.txt").read_text()
    assert readme.count("sha256sum -c SHA256SUMS") == 3
    for title in ("Пайдаланушы келісімінің", "Доказательства", "Evidence of a user agreement"):
        assert title in readme
    assert "openssl ts" not in readme  # Nothing is stamped.


def test_the_same_question_gives_the_same_bytes_whatever_happens_later(told):
    at = timezone.now().isoformat()
    export(told / "first.zip", "--edition", "terms", "2", "--at", at)
    factories.agreement().editions.get(number=3).cancel()
    export(told / "second.zip", "--edition", "terms", "2", "--at", at)

    assert (told / "first.zip").read_bytes() == (told / "second.zip").read_bytes()


def test_as_of_an_instant_a_bundle_knows_nothing_later(told):
    first = factories.agreement().editions.get(number=1)
    at = (first.recorded_at + timedelta(microseconds=1)).isoformat()
    export(told / "bundle.zip", "--edition", "terms", "1", "--at", at)

    page = (unpacked(told / "bundle.zip", told / "b") / "terms/editions/1/court.ru.html").read_text()

    assert "Действует с" in page
    assert "утратила силу" not in page
    with pytest.raises(CommandError, match="no edition '2' of 'terms'"):
        export(told / "other.zip", "--edition", "terms", "2", "--at", at)


def test_without_numbers_every_edition_is_in_the_bundle(told):
    said = export(told / "bundle.zip", "--edition", "terms")
    with zipfile.ZipFile(told / "bundle.zip") as archive:
        assert {f"terms/editions/{number}.kk.md" for number in (1, 2, 3)} < set(archive.namelist())
    assert said.startswith("Wrote ")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["terms", "9"], "There is no edition '9' of 'terms'. Published by "),
        (["terms", "x"], "There is no edition 'x' of 'terms'."),
        (["other"], "There is no edition of 'other'."),
        (["terms", "1", "--at", "2026-01-01T00:00:00"], "has no time zone. Add the offset"),
        (["terms", "1", "--at", "2099-01-01T00:00:00Z"], "is still to come."),
        (["terms", "1", "--at", "then"], "'then' is not an instant."),
    ],
)
def test_what_there_is_no_evidence_of_is_refused_and_nothing_written(told, arguments, says):
    with pytest.raises(CommandError) as caught:
        export(told / "bundle.zip", "--edition", *arguments)
    assert says in str(caught.value)
    assert list(told.iterdir()) == []


def test_a_bundle_never_overwrites_a_file(told):
    (told / "bundle.zip").write_text("mine")
    with pytest.raises(CommandError, match="exists already"):
        export(told / "bundle.zip", "--edition", "terms", "1")
    assert [(path.name, path.read_text()) for path in told.iterdir()] == [("bundle.zip", "mine")]


def test_a_bundle_is_written_whole_or_not_at_all(told, monkeypatch):
    monkeypatch.setattr("agreement.evidence.court_page", lambda *args, **kwargs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export(told / "bundle.zip", "--edition", "terms", "1")
    assert list(told.iterdir()) == []


def test_a_folder_that_is_not_there_is_named(told):
    with pytest.raises(CommandError, match="can't be written: no such file"):
        export(told / "nowhere" / "bundle.zip", "--edition", "terms", "1")


def test_a_deleted_account_is_proved_to_have_been_told_and_openssl_says_who_it_was(told, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "PSEUDONYM_KEYS": {"2026": "s" * 32}}
    (user,) = factories.users(1)
    key, address = user.pk, user.email
    factories.published(effective_from=timezone.now() + timedelta(days=20))
    dispatch.work()
    user.delete()

    export(told / "user.zip", "--user", str(key))

    rows = csv.DictReader(io.StringIO((unpacked(told / "user.zip", told / "u") / "user/deliveries.csv").read_text()))
    (row,) = [row for row in rows if row["edition"] == "4"]
    assert (row["outcome"], row["key"]) == ("sent", "2026")
    for column, words in (("pseudonym", f"agreement user {key}"), ("address", f"agreement address {address}")):
        found = subprocess.run(
            ["openssl", "dgst", "-sha256", "-hmac", "s" * 32], input=words, capture_output=True, text=True, check=True
        )
        assert found.stdout.split()[-1] == row[column]


def test_a_bundle_of_an_edition_holds_who_had_joined_it_by_then_and_no_address(told):
    edition = factories.agreement().editions.get(number=2)
    first, second = get_user_model().objects.order_by("pk")[:2]
    origin = Origin(ip="203.0.113.7", user_agent="=1+1")

    def join(user):
        row = {"digest": edition.digest, "language": "ru", "kind": "explicit", "origin": origin}
        return Acceptance.objects.record(user=user, edition=edition, **row)

    row = join(first)
    at = timezone.now().isoformat()
    join(second)
    export(told / "bundle.zip", "--edition", "terms", "2", "--at", at)
    folder = unpacked(told / "bundle.zip", told / "b")

    written = (folder / "terms/editions/2/joinings.csv").read_text()
    (joined,) = csv.DictReader(io.StringIO(written, newline=""))
    assert (joined["digest"], joined["pseudonym"], joined["kind"]) == (edition.digest, row.pseudonym, "explicit")
    assert "203.0.113.7" not in written
    assert "=1+1" not in written
    assert sums(folder).returncode == 0


def test_history_is_evidence_from_the_moment_it_was_recorded(tmp_path):
    then = timezone.now() - timedelta(days=30)
    edition, (user,) = factories.draft(), factories.users(1)
    edition.record(effective_from=then)
    row = {"digest": edition.digest, "language": "ru", "kind": "imported", "at": then + timedelta(days=1)}
    Acceptance.objects.record(user=user, edition=edition, **row)

    with pytest.raises(CommandError, match="Nothing is known of a user 'user0' by "):
        export(tmp_path / "then.zip", "--user", "user0", "--at", (then + timedelta(days=2)).isoformat())
    export(tmp_path / "now.zip", "--user", "user0")

    (joined,) = csv.DictReader(
        io.StringIO((unpacked(tmp_path / "now.zip", tmp_path) / "user/joinings.csv").read_text())
    )
    recorded = Acceptance.objects.get().recorded_at
    assert (joined["at"], joined["recorded_at"]) == (seal.rfc3339(row["at"]), seal.rfc3339(recorded))
    assert recorded > edition.recorded_at > row["at"]
    before = (recorded - timedelta(microseconds=1)).isoformat()
    export(tmp_path / "edition.zip", "--edition", "terms", "1", "--at", before)
    with zipfile.ZipFile(tmp_path / "edition.zip") as archive:
        assert len(archive.read("terms/editions/1/joinings.csv").splitlines()) == 1
    with pytest.raises(CommandError, match="Nothing is known of a user 'user0' by "):
        export(tmp_path / "before.zip", "--user", "user0", "--at", before)


@pytest.mark.parametrize("evil", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_of_a_bundle_is_a_formula(tmp_path, evil):
    edition, (user,) = factories.published(), factories.users(1)
    row = {"digest": edition.digest, "language": "ru", "kind": "on_behalf", "officer": "=o", "reason": evil}
    Acceptance.objects.record(user=user, edition=edition, origin=Origin(user_agent=evil), **row)

    export(tmp_path / "user.zip", "--user", "user0")

    written = (unpacked(tmp_path / "user.zip", tmp_path) / "user/joinings.csv").read_bytes().decode()
    (joined,) = csv.DictReader(io.StringIO(written, newline=""))
    assert (joined["reason"], joined["browser"], joined["officer"]) == (f"'{evil}", f"'{evil}", "'=o")


def names(output: Path) -> set[str]:
    with zipfile.ZipFile(output) as archive:
        return set(archive.namelist())


def test_as_of_an_instant_a_bundle_holds_only_what_had_been_said_by_then(told):
    edition = factories.agreement().editions.get(number=2)
    first = edition.notices.get().deliveries.filter(outcome="sent").order_by("settled_at", "pk").first()
    before, then = (first.settled_at - timedelta(microseconds=1)).isoformat(), first.settled_at.isoformat()

    for output, at in (("before.zip", before), ("then.zip", then), ("now.zip", timezone.now().isoformat())):
        export(told / output, "--edition", "terms", "2", "--at", at)

    said = [
        {name for name in names(told / output) if "/notices/" in name and name.endswith(".json")}
        for output in ("before.zip", "then.zip", "now.zip")
    ]
    assert [len(each) for each in said] == [0, 1, 3]
    assert f".email.{first.language}.json" in min(said[1])


def test_a_users_bundle_holds_what_he_was_told_and_nobody_elses_words(told):
    (user,) = get_user_model().objects.filter(profile__language="ru")
    export(told / "user.zip", "--user", user.username)

    folder = unpacked(told / "user.zip", told / "u")
    said = sorted(path.name for path in folder.rglob("*.json") if path.parent.name == "notices")
    (text,) = factories.agreement().editions.get(number=2).notices.get().texts.filter(language="ru", since=0)
    assert said == ["published.email.ru.json"]
    assert seal.sha256((folder / "terms/editions/2/notices" / said[0]).read_bytes()) == text.digest
    # The chain that the letter's digest is found in; but this user has joined nothing.
    assert (folder / "terms/editions/2/manifest.json").exists()
    assert not (folder / "terms/editions/2.ru.md").exists()
    assert sums(folder).returncode == 0


def test_a_users_bundle_holds_every_text_that_bound_him_until_he_left(tmp_path):
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
    export(tmp_path / "left.zip", "--user", "user1")

    def texts(output: str) -> list[str]:
        return sorted(name for name in names(tmp_path / output) if name.endswith(".kk.md"))

    assert texts("now.zip") == [f"terms/editions/{number}.kk.md" for number in (1, 2, 3)]
    assert texts("then.zip") == texts("left.zip") == [f"terms/editions/{number}.kk.md" for number in (1, 2)]
    page = (unpacked(tmp_path / "now.zip", tmp_path / "now") / "user/joinings.ru.html").read_text()
    assert "<td>1, 2, 3</td>" in page


def held_for(bundle: Path, folder: Path) -> list[str]:
    page = (unpacked(bundle, folder) / "user/joinings.ru.html").read_text()
    return re.findall(r"<th scope=\"row\">Действует для редакций</th><td>(.*?)</td>", page)


def test_a_bundle_says_of_no_edition_taken_back_that_it_bound(settings, tmp_path):
    settings.AGREEMENT = {**settings.AGREEMENT, "JOIN_BEFOREHAND": True}
    first, (user,) = factories.published(), factories.users(1)
    announced = factories.published(effective_from=timezone.now() + timedelta(days=30))
    for edition in (first, announced):
        row = {"digest": edition.digest, "language": "ru", "kind": "explicit"}
        Acceptance.objects.record(user=user, edition=edition, **row)
    announced.cancel()

    export(tmp_path / "bundle.zip", "--user", "user0")
    assert held_for(tmp_path / "bundle.zip", tmp_path / "bundle") == ["1", "—"]
    assert "terms/editions/2.ru.md" in names(tmp_path / "bundle.zip"), "he joined these words all the same"


@pytest.mark.parametrize("erased", [True, False])
def test_a_joining_holds_until_he_left_whatever_is_entered_late_or_erased(tmp_path, erased):
    (user,), agreement = factories.users(1), factories.agreement()
    key = user.pk

    def join(edition: Edition) -> None:
        row = {"digest": edition.digest, "language": "ru", "kind": "explicit"}
        Acceptance.objects.record(user=user, edition=edition, **row)

    def leave(**stated: Any) -> None:
        stated = {"outcome": "ended", "received_on": date(2026, 1, 1), "language": "ru"} | stated
        Withdrawal.objects.register(agreement=agreement, user=user, **stated)

    join(factories.published(retention_years=0))
    second = factories.published(material=False, retention_years=0)
    leave()
    if erased:
        retention.erase()
    join(second)
    factories.published(material=False)
    leave(effective_at=None if erased else timezone.now() - timedelta(days=9))
    factories.published(material=False)
    user.delete()

    export(tmp_path / "bundle.zip", "--user", f"key:{key}")
    assert held_for(tmp_path / "bundle.zip", tmp_path / "bundle") == (["2, 3"] if erased else ["1, 2", "2"])
    page = (tmp_path / "bundle/user/joinings.ru.html").read_text()
    with translation.override("ru"):
        said = re.findall(f">{gettext('Held until, by withdrawal of consent')}</th><td>(.*?)</td>", page)
    ended = Withdrawal.objects.order_by("pk").values_list("effective_at", flat=True)[1 if erased else 0]
    assert said[0] == dates.instant(ended, "ru", agreement.time_zone)
    assert len(said) == Acceptance.objects.filter(erased_at=None).count(), "he left after each"


def test_a_name_that_is_another_users_key_is_refused_until_it_is_said_which(tmp_path):
    edition, (one, other, third) = factories.published(), factories.users(3)
    for user in (one, other):
        Acceptance.objects.record(user=user, edition=edition, digest=edition.digest, language="ru", kind="explicit")
    key = other.pk
    get_user_model().objects.filter(pk=one.pk).update(username=str(key))
    get_user_model().objects.filter(pk=third.pk).update(username="99999")

    def joined(named: str) -> str:
        export(tmp_path / f"{named}.zip", "--user", named)
        with zipfile.ZipFile(tmp_path / f"{named}.zip") as archive:
            (row,) = csv.DictReader(io.StringIO(archive.read("user/joinings.csv").decode()))
        return row["pseudonym"]

    with pytest.raises(CommandError, match=f"write name:{key} or key:{key}"):
        joined(str(key))
    other.delete()
    with pytest.raises(CommandError, match=f"write name:{key} or key:{key}"):
        joined(str(key))
    rows = Acceptance.objects.order_by("pk")
    assert [joined(f"name:{key}"), joined(f"key:{key}")] == [row.pseudonym for row in rows]
    with pytest.raises(CommandError, match="Nothing is known of a user '99999'"):  # A number, and nobody's key.
        joined("99999")
    for unknown in ("name:nobody", "key:x", "key:", "nobody"):
        with pytest.raises(CommandError, match="There is no user “"):
            joined(unknown)
