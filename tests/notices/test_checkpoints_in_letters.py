"""The signed checkpoint in letters: its lines arrive as they were signed, whatever the mail server does with them."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

import pytest
from django.core import mail
from django.core.management import CommandError, call_command
from django.utils import timezone, translation

from agreement.models import Breach, Checkpoint, Notice, NoticeText, log_records
from agreement.models.log_verification import LogCheck
from agreement.notices import dispatch
from agreement.seal import log as tree
from agreement.testing import open_seal
from tests.support import factories, smtp_server
from tests.support.signed_logs import ORIGIN, SECRET, fill, sign_with
from tests.support.smtp_server import mail_by

pytestmark = pytest.mark.django_db

SMTP = "django.core.mail.backends.smtp.EmailBackend"
SENTENCES = {
    "ru": "Сохраните и эти строки",
    "kk": "Бұл жолдарды да сақтап қойыңыз",
}


class Blocks(HTMLParser):
    """The texts of the ``pre`` elements of a page, as a browser copies them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._inside = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "pre":
            self._inside = True
            self.found.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag != "pre"

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.found[-1] += data


@pytest.mark.parametrize("abilities", [{}, {"decode_data": True, "enable_SMTPUTF8": False}], ids=["8bit", "7bit"])
def test_the_lines_arrive_as_they_were_signed_in_text_and_html(settings, abilities):
    sign_with(settings)
    factories.users(3)  # One reads Kazakh, one Russian, and of one the language is unknown.
    edition = factories.published()
    fill(edition, 20)
    note = Checkpoint.objects.order_by("size").last().note
    with smtp_server.server(**abilities) as mailbox:
        mail_by(settings, SMTP, host="127.0.0.1", port=mailbox.port)
        assert dispatch.work().sent == 3

    for language, address in (("kk", "user0"), ("ru", "user1"), ("mul", "user2")):
        message = mailbox.by_address()[f"{address}@example.kz"]
        text, page = (message.get_body((kind,)).get_content().replace("\r\n", "\n") for kind in ("plain", "html"))
        parts = 2 if language == "mul" else 1
        assert text.count(note) == parts
        assert tree.find_checkpoint(text) == note
        assert tree.signed_by(tree.find_checkpoint(text), tree.public_key_of(SECRET)) is True
        assert [f"{block}\n" for block in Blocks(page).found] == [note] * parts
        key = tree.verifier_key(ORIGIN, tree.public_key_of(SECRET))
        assert text.splitlines().count(key) == html.unescape(page).count(key) == parts
        for code, sentence in SENTENCES.items():
            assert (sentence in text) == (sentence in html.unescape(page)) == (language in {code, "mul"})
    # On the wire, no line of a message is longer than a server must take (RFC 5321).
    assert all(len(line) <= 998 for content, *_rest in mailbox.received for line in content.split(b"\r\n"))


def test_verify_editions_finds_the_checkpoints_of_the_letters_and_a_log_that_differs_from_one(settings):
    sign_with(settings)
    factories.users(3)
    edition = factories.published()
    dispatch.work()

    check = LogCheck(edition.agreement, "default")

    assert {(size, root) for _where, size, root in check._stated} == {
        (1, tree.Checkpoint.parse(Checkpoint.objects.get(size=1).note).root)
    }
    assert len(check._stated) == 2 * 3 - 2  # The letter in both languages has it twice.
    assert list(check.faults()) == []
    with open_seal():
        text = NoticeText.objects.filter(language="ru").first()
        NoticeText.objects.filter(pk=text.pk).update(text=text.text.replace(f"{ORIGIN}\n1\n", f"{ORIGIN}\n2\n"))
    with translation.override(None):
        assert any("not one of this log" in fault for fault in LogCheck(edition.agreement, "default").faults())


@pytest.mark.parametrize("language", ["kk", "ru", ""])
def test_verify_editions_reads_the_checkpoint_of_a_stored_letter(settings, tmp_path, capsys, language):
    sign_with(settings)
    factories.users(1, languages=(language,))
    factories.published()
    dispatch.work()
    (message,) = mail.outbox
    letter, other = tmp_path / "letter.eml", tmp_path / "other.eml"
    letter.write_bytes(message.message().as_bytes())
    message.body = re.sub(f"{ORIGIN}\n1\n", f"{ORIGIN}\n7\n", message.body)
    other.write_bytes(message.message().as_bytes())

    call_command("verify_editions", "--checkpoint", str(letter))
    assert "1 editions verified" in capsys.readouterr().out
    with pytest.raises(CommandError, match="faults"):
        call_command("verify_editions", "--checkpoint", str(other))


def test_a_letter_about_a_breach_has_the_lines_too(settings):
    sign_with(settings)
    factories.users(3)
    edition = factories.published()
    dispatch.work()
    breach = Breach.objects.create(
        agreement=edition.agreement, known_at=timezone.now(), text_kk="Қазақша.", text_ru="По-русски."
    )
    breach.notify(by="x")
    notice = Notice.objects.get(kind="breach")
    dispatch.compose_texts(notice)
    for text in notice.texts.all():
        assert tree.signed_by(tree.find_checkpoint(text.text), tree.public_key_of(SECRET)) is True
        assert Blocks(text.html).found[0] in text.text


def test_without_a_signed_checkpoint_a_letter_has_no_such_lines(settings):
    sign_with(settings, "")
    factories.users(3)
    edition = factories.published()
    dispatch.work()
    for text in NoticeText.objects.filter(notice__edition=edition):
        assert not re.search(r"log/|<pre|контрольная точка|эти строки|жолдарды", text.text + text.html)
        with pytest.raises(ValueError, match="no checkpoint"):
            tree.find_checkpoint(text.text)


def test_a_letter_has_the_newest_checkpoint_and_its_words_are_entered_after_it(settings):
    sign_with(settings)
    factories.users(3)
    edition = factories.published()
    fill(edition, 5)
    dispatch.work()
    log_records.sweep(force=True)
    (text, *_others) = NoticeText.objects.filter(notice__edition=edition)
    assert tree.Checkpoint.parse(tree.find_checkpoint(text.text)).size == 6
    assert Checkpoint.objects.order_by("size").last().size == 6 + NoticeText.objects.count()
