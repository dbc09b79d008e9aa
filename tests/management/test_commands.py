"""The commands as a person meets them: what they print, refuse and leave behind."""

from __future__ import annotations

import io
import re
import unicodedata
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
import reversion
from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from reversion.models import Version

from agreement.management import printable
from agreement.management.commands import deliver_notices
from agreement.models import Agreement, Delivery, Edition, Notice
from agreement.models.succession import State
from agreement.notices import audience, dispatch
from agreement.notices.worker import DeliveryCounts
from agreement.seal import triggers
from agreement.status import report
from agreement.testing import open_seal
from agreement.word import reader
from portal_site.management.commands import demo
from tests.support import docx_files, factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    for language, text in (("kk", factories.KK), ("ru", factories.RU)):
        (tmp_path / f"{language}.md").write_bytes(text.encode())
    return {language: str(tmp_path / f"{language}.md") for language in ("kk", "ru")}


def run(name: str, *arguments: str, **options: Any) -> str:
    out = io.StringIO()
    call_command(name, *arguments, stdout=out, stderr=out, **options)
    return out.getvalue()


def refused(name: str, *arguments: str, **options: Any) -> str:
    with pytest.raises(CommandError) as caught:
        run(name, *arguments, **options)
    assert caught.value.returncode == 1
    return str(caught.value)


def test_import_makes_one_draft_and_prints_its_id_first(files):
    printed = run("import_edition", **files, summary_kk="Бірінші.", summary_ru="Первая.")
    edition = Edition.objects.drafts().get()
    assert printed.startswith(f"Draft {edition.pk} of user-agreement")
    assert (edition.title_kk, edition.title_ru) == ("Пайдаланушы келісімі", "Пользовательское соглашение")
    assert (edition.body_kk, edition.body_ru, edition.summary_ru) == (factories.KK, factories.RU, "Первая.")


def test_an_imported_draft_has_a_revision_with_both_languages(files):
    run("import_edition", **files)
    (version,) = Version.objects.get_for_object(Edition.objects.get())
    assert (version.field_dict["body_kk"], version.field_dict["body_ru"]) == (factories.KK, factories.RU)


def test_a_draft_is_restored_from_a_revision_in_both_languages():
    edition = factories.draft()
    with reversion.create_revision():
        edition.save()
    edition.body_kk, edition.body_ru = "жаңа", "новое"
    edition.save()
    Version.objects.get_for_object(edition).get().revert()
    edition.refresh_from_db()
    assert (edition.body_kk, edition.body_ru) == (factories.KK, factories.RU)


@pytest.mark.parametrize(
    ("content", "stored"),
    [
        (b"\xef\xbb\xbf# T\r\n\r\n1.1. a\r\n", "# T\n\n1.1. a\n"),
        (b"# T\r\r1.1. a", "# T\n\n1.1. a"),
        ("# T\n\n1.1. \u0438\u0306  \u00a0x \n\n\n".encode(), "# T\n\n1.1. \u0438\u0306  \u00a0x \n\n\n"),
    ],
    ids=["byte order mark and CRLF", "CR", "decomposed letters and odd spaces stay"],
)
def test_import_changes_line_ends_and_nothing_else(tmp_path, files, content, stored):
    Path(files["kk"]).write_bytes(content)
    run("import_edition", **files)
    assert Edition.objects.get().body_kk == stored


@pytest.mark.parametrize("command", ["import_edition", "lint_edition"])
def test_a_word_file_without_the_extra_names_the_extra_to_the_operator(files, monkeypatch, command):
    Path(files["ru"]).write_bytes(docx_files.saved(docx_files.numbered()))
    monkeypatch.setattr(reader, "installed", lambda: False)
    message = refused(command, **files)
    assert message.endswith(
        "ru.md' is a Word file, and the extra docx, which reads it, is not installed. Install the extra, from where the"
        ' app was installed: pip install "/path/to/clone[docx]".'
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("# Условия".encode("cp1251"), "ru.md' is a text in the encoding windows-1251. Save it as .docx or as"),
        (
            "# Келісім".encode("utf-16"),
            "is a text in the encoding UTF-16. Save it as .docx or as a text file in UTF-8. Or",
        ),
        ("# Қызмет шарттары".encode("kz1048"), "Or add --encoding KZ-1048."),
        ("# Шарт ✓".encode() + b"\xff", "is not a text in UTF-8: byte 0xff at position 14. Save it"),
        (b"%PDF-1.7 x", "ru.md' was not accepted: it is a PDF file. Use the Word file"),
        (b"# T\x00", "contains a NUL character at position 3."),
        (b"", "contains no text. Write the text of the agreement into it."),
        (b" \r\n\t\n", "contains no text."),
        (b"a" * 2_000_001, "is too large to be an agreement's text."),
        (None, "can't be read: no such file or directory."),
    ],
    ids=["cp1251", "utf-16", "kz1048", "damaged", "PDF", "NUL", "empty", "blank", "huge", "missing"],
)
def test_import_refuses_a_bad_file_and_leaves_nothing(files, content, message):
    path = Path(files["ru"])
    path.unlink() if content is None else path.write_bytes(content)
    assert message in refused("import_edition", **files)
    assert not Agreement.objects.exists()
    assert not Version.objects.exists()


def test_import_reads_word_files_and_prints_what_was_left_out(files):
    document = docx_files.numbered()
    made = document.add_paragraph("Пайдаланушы келісімі", style="Title")
    document.add_comment(made.runs, text="Тексеру керек", author="Заңгер")
    docx_files.add(document, docx_files.inserted("1.1. Жаңа.") + docx_files.deleted("1.1. Ескі."))
    Path(files["kk"]).write_bytes(docx_files.saved(document))
    message = refused("import_edition", **files)
    assert "has 1 tracked insertions and 1 tracked deletions. Add --changes accept or --changes reject." in message
    assert not Agreement.objects.exists()
    for changes, words in (("accept", "1.1. Жаңа."), ("reject", "1.1. Ескі.")):
        printed = run("import_edition", **files, changes=changes)
        edition = Edition.objects.latest("pk")
        assert edition.body_kk == f"# Пайдаланушы келісімі\n\n{words}\n"
        assert re.search(r"\d+", printed)[0] == str(edition.pk)
        assert "kk.md': Comments (1): Заңгер: Тексеру керек" in printed
        assert "Bold and italics were not" in printed


@pytest.mark.parametrize("encoding", ["UTF-16", "UTF-16LE", "KZ-1048", "PT154"])
def test_import_reads_another_encoding_if_it_is_named(files, encoding):
    Path(files["kk"]).write_bytes(factories.KK.encode(encoding))
    assert "Or add --encoding " in refused("import_edition", **files)
    printed = run("import_edition", **files, encoding=encoding)
    edition = Edition.objects.get()
    assert (edition.body_kk, edition.body_ru) == (factories.KK, factories.RU)
    assert f"was converted from the encoding {encoding}" in printed


def test_swapped_files_are_refused(files):
    swapped = {"kk": files["ru"], "ru": files["kk"]}
    Path(files["kk"]).write_text(demo.bodies(1)["kk"])
    Path(files["ru"]).write_text(demo.bodies(1)["ru"])
    for name in ("import_edition", "lint_edition"):
        assert "The files are swapped: the Kazakh text is in Russian" in refused(name, **swapped)
    assert not Agreement.objects.exists()


def test_a_draft_states_what_the_edition_in_force_states_and_what_its_text_says(files):
    factories.published(notice_days=10, grace_days=14, retention_years=5, prevailing_language="kk")
    path = Path(files["ru"])
    path.write_text(f"Утверждено приказом от 3 мая 2026 г. № 7\n\n{path.read_text()}")
    printed = run("import_edition", **files)
    draft = Edition.objects.drafts().get()
    assert (draft.notice_days, draft.grace_days, draft.retention_years, draft.prevailing_language) == (10, 14, 5, "kk")
    assert "States: notice 10 days, 14 days to accept, retention 5 years, prevailing language kk" in printed
    assert (draft.title_ru, draft.approval_ru) == (
        "Пользовательское соглашение",
        "Утверждено приказом от 3 мая 2026 г. № 7",
    )
    assert (draft.approval_kk or "") == ""
    assert "Approval: Утверждено приказом" in printed
    run("import_edition", **files, approval_ru="Другое")
    assert Edition.objects.latest("pk").approval_ru == "Другое"


def test_import_refuses_an_unknown_agreement(files):
    message = refused("import_edition", **files, agreement="terms")
    assert message.startswith("There is no agreement 'terms' (known: none).")
    run("import_edition", **files, agreement="terms", create=True)
    assert Agreement.objects.get().slug == "terms"


def test_import_refuses_to_choose_between_several_agreements(files):
    factories.agreement("terms")
    factories.agreement("rules")
    assert "There are several agreements: rules, terms." in refused("import_edition", **files)


def test_import_of_a_slug_that_is_none_is_refused(files):
    assert "slug:" in refused("import_edition", **files, agreement="two words", create=True)


def test_import_can_be_tried_dry(files):
    assert run("import_edition", **files, dry_run=True).startswith("Would import")
    assert not Agreement.objects.exists()


def test_history_is_imported_sealed(files):
    Path(files["kk"]).write_text(f"№ 7 бұйрықпен бекітілген\n\n{factories.KK}")
    printed = run("import_edition", **files, imported=True, effective_from="2020-03-01T09:00:00+06:00")
    edition = Edition.objects.get()
    assert printed.startswith(f"Draft {edition.pk} is sealed as edition 1")
    assert edition.effective_from.isoformat() == "2020-03-01T03:00:00+00:00"
    assert (edition.imported, edition.state()) == (True, State.IN_FORCE)
    assert (edition.approval_kk, edition.approval_ru) == ("", "")
    assert not Notice.objects.exists()


@pytest.mark.parametrize(
    ("moment", "message"),
    [
        ("2020-03-01T09:00:00", "2020-03-01T09:00:00 has no time zone. Add the offset"),
        ("yesterday", "'yesterday' is not an instant. Write it as"),
        ("0900-01-01T00:00:00+05:00", "is out of range: it must not be before 1991"),
        ("9999-12-31T23:59:59Z", "is out of range: it must not be before 1991"),
        ("2020-13-01T09:00:00+06:00", "is not an instant."),
        ("2035-01-01T00:00:00Z", "is in the future, but history must be in the past."),
    ],
)
def test_history_with_a_bad_moment_leaves_nothing(files, moment, message):
    assert message in refused("import_edition", **files, imported=True, effective_from=moment)
    assert not Edition.objects.exists()


def test_publish_prints_number_moment_digest_and_recipients(django_user_model):
    factories.users(3)
    django_user_model.objects.create_user("editor", email="editor@example.kz")
    draft = factories.draft()
    printed = run("publish_edition", str(draft.pk), by="editor")
    draft.refresh_from_db()
    assert "Published edition 1 of terms" in printed
    for value in (draft.effective_from.isoformat(), draft.digest, "recipients      4"):
        assert value in printed
    assert draft.published_by == "editor"
    assert Notice.objects.get().edition == draft
    assert "site only" not in printed


def test_publish_prints_how_many_users_have_no_address(django_user_model):
    factories.users(3)
    django_user_model.objects.filter(pk__in=[user.pk for user in factories.users(2)]).update(email="")
    assert "  site only       2 (email: no address)" in run("publish_edition", str(factories.draft().pk))


def test_publish_for_later_dry_and_without_notice():
    draft = factories.draft()
    moment = (timezone.now() + timedelta(days=10)).isoformat()
    assert "Would publish edition 1" in run("publish_edition", str(draft.pk), effective_from=moment, dry_run=True)
    assert Edition.objects.drafts().exists()
    assert "recipients      0" in run("publish_edition", str(draft.pk), effective_from=moment, no_notice=True)
    draft.refresh_from_db()
    assert draft.state() == State.SCHEDULED
    assert not Notice.objects.exists()


def test_publish_refuses_in_a_sentence_and_a_hint(monkeypatch):
    assert refused("publish_edition", "99") == "There is no edition with id 99. Drafts: none."
    draft = factories.draft()
    message = "There is no user whose username is 'nobody'. Give the username of the publisher, by which they log in."
    assert refused("publish_edition", str(draft.pk), by="nobody") == message
    monkeypatch.setattr(get_user_model(), "USERNAME_FIELD", "email")
    message = "There is no user whose email is 'admin'. Give the email of the publisher, by which they log in."
    assert refused("publish_edition", str(draft.pk), by="admin") == message
    draft.publish()
    assert "already published" in refused("publish_edition", str(draft.pk))


def test_deliver_notices_while_suspended_refuses_and_sends_nothing(settings):
    factories.users(2)
    factories.published()
    settings.AGREEMENT = {**settings.AGREEMENT, "SENDING_SUSPENDED": True}
    assert refused("deliver_notices") == (
        'AGREEMENT["SENDING_SUSPENDED"] is set: nothing is sent. Compare the ledger with the mail server\'s log, then'
        " remove the setting."
    )
    assert not Delivery.objects.exists()


def test_a_dry_run_prints_what_would_be_sent_now_and_what_the_rest_waits_for(settings):
    factories.users(20)
    made = {slug: factories.published(slug=slug).notices.get() for slug in ("due", "paused", "early", "old")}
    for notice in made.values():
        dispatch.fan_out(notice)
    made["paused"].pause()
    tomorrow = timezone.now() + timedelta(days=1)
    with open_seal():
        Notice.objects.filter(pk=made["early"].pk).update(due_at=tomorrow)
    Delivery.objects.filter(notice=made["early"]).update(due_at=tomorrow)
    Delivery.objects.filter(notice=made["due"], user__username="user0").update(due_at=tomorrow)
    factories.published(slug="old")
    last = "20 deliveries wait until their notice is resumed.\nWould skip 20 deliveries of overtaken notices.\n"
    assert run("deliver_notices", dry_run=True) == (
        "Would send 19 deliveries. Notices without an audience so far: 1.\n"
        f"21 deliveries wait for their due time, their channel or its rate limits.\n{last}"
    )
    settings.AGREEMENT = {**settings.AGREEMENT, "RATE_LIMITS": {"email": ("60/h",)}}
    output = run("deliver_notices", dry_run=True)
    assert output.startswith("Would send 11 deliveries. Notices without an audience so far: 1.\n29 deliveries wait for")
    settings.AGREEMENT = {**settings.AGREEMENT, "SENDING_SUSPENDED": True}
    assert 'AGREEMENT["SENDING_SUSPENDED"] is set: nothing is sent.' in refused("deliver_notices", dry_run=True)
    assert not Delivery.objects.exclude(outcome="waiting").exists()


def test_what_waits_for_a_channel_that_was_removed_is_named_and_can_be_skipped():
    factories.users(2)
    notice = factories.published().notices.get()
    audience.write_deliveries(notice, channels=["email", "sms"])
    message = (
        "2 deliveries wait for 'sms', which is not in CHANNELS. Add it again, or skip them:"
        " deliver_notices --drop sms\n"
    )

    assert run("deliver_notices", dry_run=True).endswith(f"so far: 0.\n{message}")
    assert run("deliver_notices") == f"Deliveries: 2 sent, 0 failed, 0 skipped, 0 postponed.\n{message}"
    assert "2 deliveries wait for sms, which is not in CHANNELS" in report.status().problems
    assert "Removed channels with waiting deliveries: sms." in refused("deliver_notices", drop="email")
    assert run("deliver_notices", drop="sms") == "Skipped 2 deliveries.\n"

    assert run("deliver_notices") == "Deliveries: 0 sent, 0 failed, 0 skipped, 0 postponed.\n"
    assert set(Delivery.objects.values_list("channel", "outcome", "reason")) == {
        ("email", "sent", ""),
        ("sms", "skipped", "channel removed"),
    }


def test_deliver_notices_prints_what_the_rate_limits_leave_for_later(settings):
    factories.users(13)
    factories.published()
    settings.AGREEMENT = {**settings.AGREEMENT, "RATE_LIMITS": {"email": ("60/h",)}}
    output = run("deliver_notices")
    assert output.startswith(
        "Deliveries: 11 sent, 0 failed, 0 skipped, 0 postponed.\n2 deliveries wait; the next may be sent at 20"
    )


def test_deliver_notices_prints_what_it_did(settings):
    factories.users(2)
    factories.published()
    assert run("deliver_notices", dry_run=True) == ("Would send 0 deliveries. Notices without an audience so far: 1.\n")
    assert run("deliver_notices") == "Deliveries: 2 sent, 0 failed, 0 skipped, 0 postponed.\n"
    assert run("deliver_notices", once=True) == "Deliveries: 0 sent, 0 failed, 0 skipped, 0 postponed.\n"
    assert Delivery.objects.filter(outcome="sent").count() == 2


def test_watch_pauses_long_only_for_a_fault_that_stops_everything(monkeypatch):
    results = iter(
        [DeliveryCounts(sent=1, faults=["Notice 1: …"]), DeliveryCounts(faults=["Notice 1: …"]), DeliveryCounts()]
    )
    waited: list[float] = []

    class Stopped:
        def is_set(self) -> bool:
            return len(waited) == 3

        def wait(self, seconds: float) -> None:
            waited.append(seconds)

    monkeypatch.setattr(deliver_notices, "threading", SimpleNamespace(Event=Stopped))
    monkeypatch.setattr(deliver_notices, "signal", Mock())
    monkeypatch.setattr(dispatch, "work", lambda **_how: next(results))
    err = io.StringIO()
    call_command("deliver_notices", "--watch", stdout=io.StringIO(), stderr=err)
    assert waited == [deliver_notices.WATCH_PAUSE, deliver_notices.WATCH_FAULT_PAUSE, deliver_notices.WATCH_PAUSE]
    assert err.getvalue() == "Notice 1: …\n", "written once"


def test_verify_passes_a_whole_chain_and_names_the_edition_at_fault():
    factories.published()
    second = factories.published()
    assert "2 editions verified" in run("verify_editions")
    triggers.remove(connection, apps.get_model)
    Edition.objects.filter(pk=second.pk).update(body_ru="другое")
    out = io.StringIO()
    with pytest.raises(CommandError, match="faults in 2 editions"):
        call_command("verify_editions", stderr=out)
    assert f"terms, edition 2 (id {second.pk}): Its text, dates or number do not match" in out.getvalue()
    assert "The trigger agreement_seal_edition_" in out.getvalue()
    Edition.objects.filter(pk=second.pk).update(body_ru=factories.RU)
    triggers.install(connection, apps.get_model)


HOSTILE = "x\x1b]0;title\x07\x9b\u202e\x7f" + "y" * 50_000


@pytest.mark.parametrize(
    ("name", "arguments", "options"),
    [
        ("import_edition", [], {"kk": HOSTILE, "ru": HOSTILE}),
        ("import_edition", [], {"agreement": HOSTILE}),
        ("import_edition", [], {"imported": True, "effective_from": HOSTILE}),
        ("lint_edition", [], {"kk": HOSTILE, "ru": HOSTILE}),
        ("export_evidence", [], {"user": HOSTILE, "output": "out.zip"}),
        ("export_evidence", [], {"user": f"key:{HOSTILE}", "output": "out.zip"}),
        ("export_evidence", [], {"user": "1", "at": HOSTILE, "output": "out.zip"}),
        ("export_evidence", [], {"edition": [HOSTILE], "output": "out.zip"}),
        ("export_evidence", [], {"edition": ["terms", HOSTILE], "output": "out.zip"}),
        ("export_evidence", [], {"edition": ["terms"], "output": HOSTILE}),
        ("publish_edition", ["1"], {"by": HOSTILE}),
        ("publish_edition", ["1"], {"effective_from": HOSTILE}),
        ("erase_expired", [], {"at": HOSTILE}),
        ("deliver_notices", [], {"drop": HOSTILE}),
        ("import_acceptances", [HOSTILE], {}),
        ("import_acceptances", ["none.csv"], {"agreement": HOSTILE}),
    ],
)
def test_what_a_command_was_given_is_escaped_and_cut_in_its_error(files, name, arguments, options):
    factories.published()
    arguments = [str(factories.draft().pk)] if arguments == ["1"] else arguments
    if name == "import_edition":
        options = files | options
    message = refused(name, *arguments, **options)
    assert not set(message) & set("\x1b\x07\x9b\u202e\x7f"), message
    assert len(message) < 1000


def test_what_a_file_contains_is_escaped_when_it_is_printed(files):
    text = "# T\x1b]0;x\x07 \u202e\n\n1.1. a 1.9\x9b\n"
    for language in ("kk", "ru"):
        Path(files[language]).write_text(text)
    printed = run("import_edition", **files) + run("import_edition", **files, dry_run=True)
    printed += run("lint_edition", **files)
    assert not set(printed) & set("\x1b\x07\x9b\u202e")
    assert r"T\x1b]0;x\x07 \u202e" in printed


@given(st.text())
def test_a_printed_text_contains_nothing_that_controls_a_terminal(text):
    shown = printable(text)
    assert all(character.isprintable() or unicodedata.category(character) == "Zs" for character in shown)
    assert printable(shown) == shown
