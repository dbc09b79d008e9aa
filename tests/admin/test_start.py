"""How a draft begins: from an edition, from two files, or empty; what an import changed is shown first."""

from __future__ import annotations

import html
import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from reversion.models import Version

from agreement.models import AuditEntry, Edition
from agreement.word import reader
from tests.admin.test_editions import AUTHOR, PUBLISHER, at, desk
from tests.support import docx_files, factories

pytestmark = pytest.mark.django_db

REPORTS = ("report_kk", "report_ru")


@pytest.fixture
def author(django_user_model):
    return desk(django_user_model, *AUTHOR, name="author")


def begin(client, begin: str, **more: object):
    return client.post(at("edition_add"), {"agreement": factories.agreement().pk, "begin": begin} | more)


def upload(client, kk: bytes, ru: bytes, *, suffix: str = "md"):
    return begin(
        client,
        "files",
        kk=SimpleUploadedFile(f"kk.{suffix}", kk),
        ru=SimpleUploadedFile(f"ru.{suffix}", ru),
    )


def shown(answer) -> dict[str, object]:
    """The second page's form, as a browser sends it back: with CRLF."""
    page = answer.content.decode()
    fields = re.findall(r'<input type="hidden" name="(\w+)"(?: value="([^"]*)")', page)
    fields += re.findall(r'<textarea id="\w+" name="(\w+)"[^>]*>\n(.*?)</textarea>', page, re.DOTALL)
    return {name: html.unescape(value).replace("\n", "\r\n") for name, value in fields}


def test_the_page_proposes_the_edition_in_force(author):
    edition = factories.published()
    form = author.get(at("edition_add")).context["form"]
    assert (form["agreement"].value(), form["begin"].value()) == (edition.agreement_id, "edition")
    asked = author.get(at("edition_add") + f"?edition={edition.pk}").context["form"]
    assert asked["edition"].value() == edition.pk
    for key in ("x", "9" * 30, "999", "\0"):
        assert author.get(at("edition_add"), {"edition": key}).status_code == 200


def test_a_draft_is_begun_from_the_edition_in_force_word_for_word(author, django_user_model):
    old = factories.published(kk=factories.KK + "\n1.3. Бұрын.\n", ru=factories.RU + "\n1.3. Раньше.\n")
    edition = factories.published(notice_days=10, retention_years=5, prevailing_language="kk", summary_kk="Өзгерді.")
    for more, source in (({}, edition), ({"edition": old.pk}, old)):
        answer = begin(author, "edition", **more)
        draft = Edition.objects.drafts().latest("pk")
        assert answer.url == at("edition_change", draft.pk)
        assert (draft.body_kk, draft.body_ru) == (source.body_kk, source.body_ru)
        assert (draft.notice_days, draft.retention_years) == (source.notice_days, source.retention_years)
        assert draft.summary_kk in (None, "")
        assert draft.prevailing_language == source.prevailing_language
        assert AuditEntry.objects.last_author(draft).by == "author"
        assert "Created from: terms, edition" in Version.objects.get_for_object(draft).get().revision.comment


def test_nothing_is_begun_from_an_edition_that_is_not_there(author):
    other = factories.published(slug="other")
    for more in ({}, {"edition": other.pk}, {"edition": 999}):
        assert begin(author, "edition", **more).status_code == 400
    assert begin(author, "nothing").status_code == 400
    assert not Edition.objects.drafts().exists()


def test_two_files_are_shown_as_they_were_read_and_then_saved(author):
    kk, ru = factories.KK, factories.RU + "\n1.3. Лишний.\n"
    answer = upload(author, b"\xef\xbb\xbf" + kk.encode(), ru.replace("\n", "\r\n").encode())
    page = html.unescape(answer.content.decode())
    assert "The byte order mark was removed." in page
    assert "Line ends of Windows or old Macs were replaced by plain ones." in page
    assert "Only the Russian text has 1.3." in page
    assert not Edition.objects.exists()

    assert author.post(at("edition_add"), shown(answer)).status_code == 302
    edition = Edition.objects.get()
    assert (edition.body_kk, edition.body_ru) == (kk, ru)
    assert "kk.md, ru.md" in Version.objects.get_for_object(edition).get().revision.comment


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "The submitted file is empty."),
        (b"  \n", "contains no text"),
        (b"\xef\xbb\xbf", "contains no text"),
        (b"\xef\xbb\xbf \n", "contains no text"),
        ("# А".encode("cp1251"), "is not in UTF-8"),
        (b"# A\0", "contains no text"),
        (b"PK\x03\x04", "it is not a .docx file"),
        (b"x" * 2_000_001, "too large"),
    ],
)
def test_a_file_that_can_not_be_taken_is_named_and_nothing_is_saved(author, content, says):
    answer = upload(author, content, factories.RU.encode())
    assert answer.status_code == 400
    assert says in html.unescape(answer.content.decode())
    assert not Edition.objects.exists()


def test_word_files_are_displayed_with_tracked_changes_and_omissions(author):
    document = docx_files.numbered()
    made = document.add_paragraph("Келісім", style="Title")
    document.add_comment(made.runs, text="Тексеру керек", author="Заңгер")
    docx_files.add(document, docx_files.inserted("1.1. Жаңа.") + docx_files.deleted("1.1. Ескі."))
    answer = upload(
        author, docx_files.saved(document), docx_files.agreement("# Соглашение\n\n1.1. Новое.\n"), suffix="docx"
    )
    page = html.unescape(answer.content.decode())
    for words in ("Заңгер: Тексеру керек", "1 tracked insertion, 1 tracked deletion", "1.1. Ескі."):
        assert words in page
    form = shown(answer)
    for incomplete in ({}, {"tracked": "accepted"}, {"seen": "on"}):
        again = author.post(at("edition_add"), form | incomplete)
        assert again.status_code == 400
        assert 'name="seen"' in again.content.decode()
        for words in ("Заңгер: Тексеру керек", "1 tracked insertion, 1 tracked deletion", "Bold and italics were not"):
            assert words in html.unescape(again.content.decode())
        # The token and the signatures are made anew.
        assert {name for name, _value in shown(again).items() ^ form.items()} <= {"csrfmiddlewaretoken", *REPORTS}
    for choice, words in (("accepted", "1.1. Жаңа."), ("rejected", "1.1. Ескі.")):
        assert author.post(at("edition_add"), form | {"tracked": choice, "seen": "on"}).status_code == 302
        edition = Edition.objects.latest("pk")
        assert words in edition.body_kk
        assert edition.body_ru == "# Соглашение\n\n1.1. Новое.\n"


def test_everything_that_a_word_file_holds_besides_its_text_is_named(author, monkeypatch):
    found = reader.Manuscript(
        accepted="# А\n",
        rejected="# А\n",
        comments=["Ескерту"],
        footnotes=["Сілтеме"],
        links=["https://example.kz/zan"],
        margins=["Жоба, құпия"],
        pictures=2,
        hidden=3,
        odd=4,
        contents=5,
    )
    monkeypatch.setattr(reader, "read_manuscript", lambda _content, _name: found)
    page = html.unescape(upload(author, b"PK\x03\x04", factories.RU.encode(), suffix="docx").content.decode())
    for words in ("Ескерту", "Сілтеме", "https://example.kz/zan", "Жоба, құпия", "table of contents was not imported"):
        assert words in page
    for kind in ("Pictures and drawings", "Hidden text", "Formulas, symbols of special fonts, embedded documents"):
        assert kind in page


def test_as_much_as_one_form_takes_comes_back_from_the_second_page(author, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100_000
    kk, ru = (f"{text}\n1.3. {'сөз ' * 5000}\n" for text in (factories.KK, factories.RU))
    form = shown(upload(author, kk.encode(), ru.encode()))
    assert author.post(at("edition_add"), form).status_code == 302
    assert Edition.objects.get().body_kk == kk

    answer = upload(author, (kk * 2).encode(), ru.encode())
    assert answer.status_code == 400
    assert "The two texts together are too large for a form of this site" in html.unescape(answer.content.decode())


def test_a_text_no_database_takes_is_refused_on_the_second_page_too(author):
    form = shown(upload(author, factories.KK.encode(), factories.RU.encode()))
    answer = author.post(at("edition_add"), form | {"accepted_kk": "# a\0", "rejected_kk": "# a\0"})
    assert answer.status_code == 400
    assert "The text contains an invalid character: NUL, or an incomplete Unicode character." in answer.content.decode()
    assert not Edition.objects.exists()


def test_only_who_may_add_begins_a_draft(django_user_model):
    publisher = desk(django_user_model, *PUBLISHER, name="publisher")
    assert publisher.get(at("edition_add")).status_code == 403
    assert begin(publisher, "empty").status_code == 403
    assert publisher.post(at("edition_add"), {"accepted_kk": "x"}).status_code == 403
    assert not Edition.objects.exists()
