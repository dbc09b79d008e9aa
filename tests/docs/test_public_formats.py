"""The formats of ``public.md``: manifest, records and entries of the log, receipts, bundles, JSON, letters."""

from __future__ import annotations

import json
import re
import zipfile
from collections import Counter
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.utils import timezone

from agreement.acceptance import consents
from agreement.evidence import export_editions, export_user
from agreement.management.acceptance_file import COLUMNS
from agreement.models import Acceptance, Delivery, Edition, LogEntry, Withdrawal, log, log_records
from agreement.models.log import LogKind
from agreement.notices import dispatch
from agreement.status import Status
from agreement.text import article
from tests.docs.test_documents import read, sections
from tests.docs.test_public import APP, HEADINGS, accept, bullets, in_backticks, withdraw
from tests.docs.test_reference import table
from tests.support import factories
from tests.support.signed_logs import sign_with

NUMBERS = {row[0]: row[1] for row in table(HEADINGS["Formats"], "format")}


@pytest.mark.django_db
def test_evidence_lists_each_member_of_the_manifest():
    listed = [row[0].strip("`") for row in table(dict(sections(read("evidence.md"), 2))["The manifest"], "field")]
    members = json.loads(factories.published().manifest())
    assert Counter(listed) == Counter([*members, *members["texts"]["kk"]])
    assert NUMBERS["manifest of an edition"] == f'`"format": "{members["format"]}"`'


def test_the_version_of_the_displayed_html_is_stated():
    assert NUMBERS["displayed HTML"] == f"`renderer` {article.RENDERER}"


@pytest.fixture
def world(settings) -> Edition:
    """An edition with something of everything that a bundle and a log contain, apart from what needs an extra."""
    sign_with(settings)
    settings.AGREEMENT = {**settings.AGREEMENT, "CONSENTS": {"news": {"kk": "Келісемін.", "ru": "Согласен."}}}
    edition = factories.published()
    (user,) = factories.users(1)
    dispatch.work()
    accept(edition, user)
    consents.give(user, [("news", consents.open_purposes(user.pk, "kk")[0].digest)])
    withdraw(edition, user)
    factories.published(effective_from=timezone.now() + timedelta(days=1)).cancel()
    log_records.sweep(force=True)
    return edition


@pytest.mark.django_db
def test_the_members_of_the_records_are_listed(world: Edition):
    found = {
        "acceptance": log_records.acceptance_record(Acceptance.objects.get()),
        "withdrawal": log_records.withdrawal_record(Withdrawal.objects.get()),
    }
    assert {name: sorted(json.loads(record)) for name, record in found.items()} == bullets("Records")


@pytest.mark.django_db
def test_log_lists_each_member_of_each_kind_of_entry(world: Edition):
    rows = table(dict(sections(read("log.md"), 2))["Entries"], "kind")
    listed = {kind: set(re.findall(r'"(\w+)":', entry)) for kind, entry, _added in rows}
    found = {one.kind: set(json.loads(bytes(one.entry))) for one in LogEntry.objects.all()}
    found[LogKind.STAMP] = set(log.stamp_entry(pk=1, response=b"", size=1).content)
    found[LogKind.ERASURE] = set(log_records._erasure([7], timezone.now()).content)
    assert found == listed


def test_the_lines_of_a_receipt_are_listed():
    code = (APP / "evidence/receipts.py").read_text(encoding="utf-8")
    written = set(re.findall(r"^- ``(%\w+)``", code, re.MULTILINE))
    assert {name for name in in_backticks(HEADINGS["Receipt"]) if name[0] == "%"} == written
    check = (APP / "evidence/check_receipt.py").read_text(encoding="utf-8")
    assert {name for name in written if name[1:] in check} == written


PLACEHOLDERS = {
    "<slug>": r"[\w-]+",
    "<n>": r"\d+",
    "<size>": r"\d+(-\d+)?",
    "<record>": r"\d+",
    "<language>": "(kk|ru)",
    "<version>": r"\d+",
    "<digest>": "[0-9a-f]{8}",
    "…": ".+",
}


def patterns() -> dict[str, re.Pattern[str]]:
    """The names of files in a bundle as ``evidence.md`` lists them, each with its expression. In a row, the names after
    the first one are in the same folder, or differ from it at the end.
    """
    found = {}
    text = dict(sections(read("evidence.md"), 3))["Files"]
    for first, *others in (in_backticks(row[0]) for row in table(text, "file")):
        for name in (first, *others):
            path = name
            if name.startswith("."):
                path = first.rsplit(".", name.count("."))[0] + name
            elif "/" not in name:
                path = f"{first.rpartition('/')[0]}/{name}".lstrip("/")
            expression = re.escape(path)
            for placeholder, value in PLACEHOLDERS.items():
                expression = expression.replace(re.escape(placeholder), value)
            found[path] = re.compile(expression)
    return found


#: Files of which a site needs an extra, an authority or an official.
OF_EXTRAS = (".archive.pdf", "/log/<size>.", ".cms", "user/receipts/")


@pytest.mark.django_db
def test_a_bundle_has_the_listed_files_and_columns(world: Edition, tmp_path: Path):
    now = timezone.now() + timedelta(seconds=1)
    export_editions(Edition.objects.published(), at=now, output=tmp_path / "edition.zip")
    export_user(Acceptance.objects.get().user_id, at=now, output=tmp_path / "user.zip")
    files = {}
    for bundle in ("edition.zip", "user.zip"):
        with zipfile.ZipFile(tmp_path / bundle) as archive:
            files |= {name: archive.read(name) for name in archive.namelist()}
    listed = patterns()
    assert {name for name in files if not any(one.fullmatch(name) for one in listed.values())} == set()
    missing = {path for path, one in listed.items() if not any(map(one.fullmatch, files))}
    assert {path for path in missing if not any(part in path for part in OF_EXTRAS)} == set()

    headings = {
        re.sub(r"^.+/editions/\d+/", "<slug>/editions/<n>/", name): content.decode().splitlines()[0].split(",")
        for name, content in files.items()
        if name.endswith(".csv")
    }
    assert headings == {name: columns for name, columns in bullets("Columns").items() if name.endswith(".csv")}


def test_the_columns_of_import_acceptances_are_listed():
    assert bullets("Columns")["the file of `import_acceptances"] == list(COLUMNS)


def test_the_json_of_the_status_has_the_listed_members():
    members = list(Status(at=timezone.now()).as_dict())
    assert members == bullets("JSON")["agreement_status --format json"]
    assert members == in_backticks(read("operate.md").partition("with the keys")[2].partition(".\n")[0])


@pytest.mark.django_db
def test_the_json_of_the_lint_has_the_listed_members():
    edition = factories.draft(kk=factories.KK + "\n1.2. Бір.\n")
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("lint_edition", str(edition.pk), format="json", stdout=out)
    (listed,) = (names for head, names in bullets("JSON").items() if head.startswith("lint_edition"))
    assert {tuple(message) for message in json.loads(out.getvalue())} == {tuple(listed)}


@pytest.mark.django_db
def test_the_message_id_of_a_notice_is_as_stated(world: Edition):
    assert "`<notice.channel.user@host>`" in HEADINGS["Letters"]
    delivery = Delivery.objects.filter(notice__edition=world).first()
    assert delivery.message_id_local_part == f"{delivery.notice.uuid.hex}.{delivery.channel}.{delivery.user_id}"
