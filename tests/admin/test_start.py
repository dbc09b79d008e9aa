"""How a draft begins: from an edition, from two files, or empty; what an import changed is shown first."""

from __future__ import annotations

import html
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import fields, replace
from datetime import timedelta
from http.client import HTTPConnection
from threading import Barrier
from urllib.parse import urlencode

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError
from django.utils import timezone
from reversion.models import Version

from agreement.management import read_texts
from agreement.models import AuditEntry, Edition
from agreement.word import reader
from portal_site.management.commands import demo
from tests.admin.test_editions import AUTHOR, PUBLISHER, at, desk
from tests.support import docx_files, factories

pytestmark = pytest.mark.django_db

OTHER = {"kk": "ru", "ru": "kk"}
REPORTS = ("report_kk", "report_ru")


def begin(client, begin: str, **more: object):
    return client.post(at("edition_add"), {"agreement": factories.agreement().pk, "begin": begin} | more)


def upload(client, kk: bytes, ru: bytes, *, suffix: str = "md"):
    return begin(
        client,
        "files",
        kk=SimpleUploadedFile(f"kk.{suffix}", kk),
        ru=SimpleUploadedFile(f"ru.{suffix}", ru),
    )


def kept(answer) -> dict[str, str]:
    """The files that the first page posts back."""
    return dict(re.findall(r'name="(kept_\w+)" value="([^"]+)"', answer.content.decode()))


def shown(answer) -> dict[str, object]:
    """The second page's form, as a browser sends it back: with CRLF."""
    page = answer.content.decode()
    page = page[page.index('<div id="content-main"') :]
    fields = re.findall(r'<input type="(?:hidden|text|number)" name="(\w+)"(?: value="([^"]*)")?', page)
    for name, options in re.findall(r'<select name="(\w+)".*?>(.*?)</select>', page, re.DOTALL):
        chosen = re.search(r'value="([^"]*)" selected', options)
        fields.append((name, chosen[1] if chosen else ""))
    fields += re.findall(r'<textarea [^>]*?name="(\w+)"[^>]*>\n(.*?)</textarea>', page, re.DOTALL)
    return {name: html.unescape(value).replace("\n", "\r\n") for name, value in fields}


def test_the_page_proposes_the_edition_in_force(author):
    edition = factories.published()
    form = author.get(at("edition_add")).context["form"]
    assert (form["agreement"].value(), form["begin"].value()) == (edition.agreement_id, "edition")
    asked = author.get(at("edition_add") + f"?edition={edition.pk}").context["form"]
    assert asked["edition"].value() == edition.pk
    for key in ("x", "9" * 30, "999", "\0"):
        assert author.get(at("edition_add"), {"edition": key}).status_code == 200


def test_the_page_proposes_the_agreement_of_the_card_that_leads_to_it(author, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "DEFAULT_AGREEMENT": "terms"}
    factories.published(slug="terms")
    other = factories.agreement("other")
    index = author.get("/en/admin/").content.decode()
    assert f'href="{at("edition_add")}?agreement={other.pk}"' in index
    form = author.get(at("edition_add"), {"agreement": other.pk}).context["form"]
    assert (form["agreement"].value(), form["begin"].value()) == (other.pk, "empty")
    edition = factories.published(slug="other")
    form = author.get(at("edition_add"), {"agreement": other.pk}).context["form"]
    assert (form["agreement"].value(), form["begin"].value()) == (edition.agreement_id, "edition")
    for key in ("x", "9" * 30, "999", "\0"):
        assert author.get(at("edition_add"), {"agreement": key}).status_code == 200


@pytest.mark.parametrize(("default", "chosen"), [("terms", "terms"), ("", None), ("none", None)])
def test_the_page_proposes_the_default_agreement_of_a_site_with_several(author, settings, default, chosen):
    rows = {slug: factories.published(slug=slug).agreement for slug in ("privacy", "terms")}
    settings.AGREEMENT = {**settings.AGREEMENT, "DEFAULT_AGREEMENT": default}
    page = author.get(at("edition_add")).content.decode()
    options = page[page.index('<select name="agreement"') :].partition("</select>")[0]
    selected = re.search(r'value="(\d*)" selected', options)
    assert ((selected and selected[1]) or None) == (str(rows[chosen].pk) if chosen else None)


def test_a_draft_is_begun_from_the_edition_in_force_word_for_word(author, django_user_model):
    old = factories.published(kk=factories.KK + "\n1.3. Бұрын.\n", ru=factories.RU + "\n1.3. Раньше.\n")
    stated = {"notice_days": 10, "grace_days": 14, "retention_years": 5, "prevailing_language": "kk"}
    edition = factories.published(**stated, summary_kk="Өзгерді.")
    for more, source in (({}, edition), ({"edition": old.pk}, old)):
        answer = begin(author, "edition", **more)
        draft = Edition.objects.drafts().latest("pk")
        assert answer.url == at("edition_change", draft.pk)
        assert (draft.body_kk, draft.body_ru) == (source.body_kk, source.body_ru)
        assert {name: getattr(draft, name) for name in stated} == {name: getattr(source, name) for name in stated}
        assert draft.summary_kk in (None, "")
        assert AuditEntry.objects.last_author(draft).by == "author"
        assert (
            f'["terms", {source.number}, "{source.begun_at.isoformat()}"]'
            in Version.objects.get_for_object(draft).get().revision.comment
        )


def test_a_draft_begun_from_an_edition_has_the_approval_that_its_text_has_above_the_title(author):
    factories.published(ru=f"УТВЕРЖДЕНО\n\nприказом № 7\n\n{factories.RU}", approval_kk="№ 7 бұйрық", approval_ru="№ 7")
    begin(author, "edition")
    draft = Edition.objects.drafts().get()
    assert (draft.approval_kk, draft.approval_ru) == ("", "Утверждено приказом № 7")


def test_the_button_of_the_first_page_says_that_files_are_read_and_that_of_the_second_that_a_draft_is_made(author):
    button = re.compile(r'<input type="submit" class="default"[^>]* value="([^"]+)"')
    assert button.search(author.get(at("edition_add")).content.decode())[1] == "Create the draft"
    assert button.search(begin(author, "files").content.decode())[1] == "Read the files…"
    read = upload(author, factories.KK.encode(), factories.RU.encode())
    assert button.search(read.content.decode())[1] == "Create the draft"


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
    assert "Line endings of Windows, of old Macs or of Word were replaced by plain ones." in page
    assert "Only the Russian text has 1.3." in page
    assert not Edition.objects.exists()

    assert author.post(at("edition_add"), shown(answer)).status_code == 302
    edition = Edition.objects.get()
    assert (edition.body_kk, edition.body_ru) == (kk, ru)
    assert '["kk.md", "ru.md"]' in Version.objects.get_for_object(edition).get().revision.comment


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "kk.md contains no text"),
        (b"  \n", "contains no text"),
        (b"\xef\xbb\xbf", "contains no text"),
        (b"\xef\xbb\xbf \n", "contains no text"),
        ("# А ✓".encode() + b"\xff", "kk.md is not a text in UTF-8: byte 0xff at position 8. Save it as .docx"),
        (b"# A\0", "contains a NUL character at position 3."),
        (b"%PDF-1.7", "kk.md was not accepted: it is a PDF file. Use the Word file from which the PDF was made."),
        (b"{\\rtf1}", "it is an RTF file. Open it in Word and save it as “Word Document (.docx)”."),
        (b"PK\x03\x04", "it is not a .docx file"),
        (b"x" * 2_000_001, "too large"),
    ],
)
def test_a_file_that_can_not_be_taken_is_named_and_nothing_is_saved(author, content, says):
    answer = upload(author, content, factories.RU.encode())
    assert answer.status_code == 400
    assert says in html.unescape(answer.content.decode())
    assert not Edition.objects.exists()


@pytest.mark.parametrize("installed", [True, False])
def test_the_page_offers_word_files_only_if_the_site_reads_them(author, monkeypatch, installed):
    monkeypatch.setattr(reader, "installed", lambda: installed)
    shown = author.get(at("edition_add")).content.decode()
    assert ("two files: Markdown, plain text or Word (.docx)" in shown) == installed
    assert ("two files: Markdown or plain text" in shown) != installed
    assert (".docx" in shown) == installed


def test_a_draft_from_a_cancelled_edition_copies_its_summaries(author):
    """No notice about a later edition contains them."""
    summaries = {"summary_kk": "Мерзім ұзартылды.", "summary_ru": "Срок продлён."}
    edition = factories.published(effective_from=timezone.now() + timedelta(days=9), **summaries)
    for cancelled in (False, True):
        if cancelled:
            edition.cancel()
        assert begin(author, "edition", edition=edition.pk).status_code == 302
        draft = Edition.objects.latest("pk")
        copied = {name: text for name in summaries if (text := getattr(draft, name))}
        assert copied == (summaries if cancelled else {})


def test_tracked_changes_are_displayed_as_changes(author):
    document = docx_files.numbered()
    document.add_paragraph("Келісім", style="Title")
    docx_files.add(document, docx_files.inserted("1.1. Он бес күн.") + docx_files.deleted("1.1. Он күн."))
    answer = upload(
        author, docx_files.saved(document), docx_files.agreement("# Соглашение\n\n1.1. Слова.\n"), suffix="docx"
    )
    (changes,) = answer.context["tracked"]
    assert (changes.code, changes.summary) == ("kk", "Changed: 1 clause.")
    assert "бес" in re.search(r"<ins>.*?</ins>", changes.html, re.DOTALL)[0]


def test_the_message_about_a_new_draft_asks_to_check_the_text_that_it_has(author):
    answer = upload(author, factories.KK.encode(), factories.RU.encode())
    page = author.post(at("edition_add"), shown(answer), follow=True)
    assert "The draft was created with this text and saved." in page.content.decode()
    assert (
        "The draft was created. Write its text"
        in author.post(
            at("edition_add"), {"agreement": factories.agreement().pk, "begin": "empty"}, follow=True
        ).content.decode()
    )


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


def test_one_word_file_with_a_column_for_each_language_gives_both_texts(author):
    kazakh = "1.1. Осы келісім күшіне енген күннен бастап әрбір тұлғаға қолданылады және өзгерістерді де қамтиды."
    russian = "1.1. Настоящее соглашение действует для каждого, кто пользуется порталом, и является офертой."
    document = docx_files.numbered()
    table = document.add_table(rows=2, cols=2)
    for place, words in enumerate(("КЕЛІСІМ", "СОГЛАШЕНИЕ", kazakh, russian)):
        table.cell(place // 2, place % 2).text = words
    content = docx_files.saved(document)

    answer = upload(author, content, content, suffix="docx")

    form = shown(answer)
    assert form["accepted_kk"].split("\r\n\r\n") == ["КЕЛІСІМ", f"{kazakh}\r\n"]
    assert form["accepted_ru"].split("\r\n\r\n") == ["СОГЛАШЕНИЕ", f"{russian}\r\n"]
    assert "Columns with the text in another language</strong> (1)" in answer.content.decode()


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
        placeholders=["Мәтін орны"],
        columns=2,
        raised=7,
        spaces=8,
        outside=["file:///C:/office.dotm"],
        uncertain=[("5.", "Талаптар"), ("", "Өріс")],
        empty_numbers=["3.3."],
    )
    monkeypatch.setattr(reader, "read_manuscript", lambda _content, _name, **_language: found)
    page = html.unescape(upload(author, b"PK\x03\x04", factories.RU.encode(), suffix="docx").content.decode())
    for words in ("Ескерту", "Сілтеме", "https://example.kz/zan", "Жоба, құпия", "table of contents was not imported"):
        assert words in page
    for kind in ("Pictures and drawings", "Hidden text", "embedded documents"):
        assert kind in page
    for words in (
        "Hints of empty content controls are in the text, because Word prints them: «Мәтін орны»",
        "Columns with the text in another language</strong> (2)",
        "Superscripts and subscripts: 7.",
        "several spaces or tabs became one space: 8.",
        "The document links to other files, which were not opened: file:///C:/office.dotm",
        "Numbers of paragraphs without words were counted, but not imported: 3.3.",
        "5. Талаптар",
        "? Өріс",
    ):
        assert words in page


#: Everything that the reader says of a Word file, besides its two texts and the numbers, which stand in them.
FINDINGS = sorted({field.name for field in fields(reader.Manuscript)} - {"accepted", "rejected", "numbers"})


@pytest.mark.parametrize("name", FINDINGS)
def test_no_finding_of_the_reader_is_passed_over(author, monkeypatch, tmp_path, name):
    """A field that is added to the reader fails here until the desk and the commands report it, or ask about it."""
    (path := tmp_path / "kk.docx").write_bytes(b"PK\x03\x04")
    nothing = reader.Manuscript(accepted=factories.KK, rejected=factories.KK)
    kind = type(getattr(nothing, name))
    found = replace(nothing, **{name: 7 if kind is int else [("5.", "Белгі")] if name == "uncertain" else ["Белгі"]})
    if name in {"insertions", "deletions"}:
        found = replace(found, rejected=f"{factories.KK}\n1.3. Ескі.\n")

    def displayed(manuscript: reader.Manuscript) -> list[str]:
        monkeypatch.setattr(reader, "read_manuscript", lambda _content, _name, **_language: manuscript)
        page = upload(author, path.read_bytes(), factories.RU.encode(), suffix="docx").content.decode()
        try:
            _texts, lines = read_texts({"kk": str(path)})
        except CommandError as question:
            lines = [str(question)]
        return [" ".join(re.sub("<[^>]+>", " ", page).split()), "\n".join(lines)]

    for reported, plain in zip(displayed(found), displayed(nothing), strict=True):
        assert reported != plain
        assert kind is int or "Белгі" in reported


def test_as_much_as_one_form_takes_comes_back_from_the_second_page(author, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100_000
    kk, ru = (f"{text}\n1.3. {word * 5000}\n" for text, word in ((factories.KK, "сөз "), (factories.RU, "имя ")))
    form = shown(upload(author, kk.encode(), ru.encode()))
    assert author.post(at("edition_add"), form).status_code == 302
    assert Edition.objects.get().body_kk == kk

    answer = upload(author, (kk * 2).encode(), ru.encode())
    assert answer.status_code == 400
    assert "The two texts together are too large for a form of this site" in html.unescape(answer.content.decode())


def test_a_text_no_database_takes_is_refused_on_the_second_page_too(author):
    form = shown(upload(author, factories.KK.encode(), factories.RU.encode()))
    answer = author.post(at("edition_add"), form | {"accepted_kk": form["accepted_kk"] + "\0"})
    assert answer.status_code == 400
    assert "The text contains an invalid character: NUL, or an incomplete Unicode character." in answer.content.decode()
    assert not Edition.objects.exists()


def test_only_who_may_add_begins_a_draft(django_user_model):
    publisher = desk(django_user_model, *PUBLISHER, name="publisher")
    assert publisher.get(at("edition_add")).status_code == 403
    assert begin(publisher, "empty").status_code == 403
    assert publisher.post(at("edition_add"), {"accepted_kk": "x"}).status_code == 403
    assert not Edition.objects.exists()


def test_a_chosen_file_is_never_dropped(author):
    factories.published()
    file = SimpleUploadedFile("kk.md", factories.KK.encode())
    for choice in ("edition", "empty", ""):
        file.seek(0)
        answer = begin(author, choice, kk=file)
        assert answer.status_code == 400
        assert "You chose files, but not the option to start with them." in answer.content.decode()
        assert answer.context["form"]["begin"].value() == "files"
    assert not Edition.objects.drafts().exists()
    # The file is kept. Only the other one is chosen now.
    page = begin(author, "files", **kept(answer), ru=SimpleUploadedFile("ru.md", factories.RU.encode()))
    assert (shown(page)["name_kk"], shown(page)["accepted_kk"]) == ("kk.md", factories.KK.replace("\n", "\r\n"))
    # Whoever is asked and still chooses the edition gets the edition.
    assert begin(author, "edition", **kept(answer)).status_code == 302
    assert Edition.objects.drafts().get().body_kk == factories.KK


def test_the_title_of_a_page_whose_form_is_refused_says_so(author):
    assert "<title>Error: " not in author.get(at("edition_add")).content.decode()
    assert "<title>Error: " in begin(author, "files").content.decode()


def test_a_file_that_was_read_is_kept_while_the_other_one_is_refused(author):
    document = docx_files.numbered()
    docx_files.add(document, docx_files.inserted("# Келісім. Осы мәтін қазақ тілінде жазылған және ұзын."))
    refused = begin(
        author,
        "files",
        kk=SimpleUploadedFile("kk.docx", docx_files.saved(document)),
        ru=SimpleUploadedFile("ru.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
    )
    assert refused.status_code == 400
    page = html.unescape(refused.content.decode())
    assert "kk.docx was read and is stored." in page
    assert '<a href="#id_ru"' in page
    assert ">Text in Russian</a>: ru.doc was not accepted: it is a file of an old version of Word (.doc)" in page
    assert "save it as “Word Document (.docx)”" in page

    read = begin(author, "files", **kept(refused), ru=SimpleUploadedFile("ru.md", factories.RU.encode()))
    assert read.context["files"][0].insertions == 1
    forged = {name: value[:-1] for name, value in kept(refused).items()}
    again = begin(author, "files", **forged, ru=SimpleUploadedFile("ru.md", factories.RU.encode()))
    assert again.context["form"].errors == {"kk": ["Choose the file of this text."]}


@pytest.mark.parametrize(("language", "other"), [("kk", "ru"), ("ru", "kk")])
def test_two_files_in_one_language_are_refused_at_the_field_of_the_other(author, language, other):
    text = demo.bodies(1)[language].encode()
    answer = upload(author, text, text)
    assert answer.status_code == 400
    assert list(answer.context["form"].errors) == [other]
    name = {"kk": "Kazakh", "ru": "Russian"}
    assert answer.context["form"].errors[other] == [
        f"Both files are in {name[language]}: kk.md and ru.md. Choose the file with the {name[other]} text here."
    ]
    assert list(kept(answer)) == [f"kept_{language}"]
    right = SimpleUploadedFile("right.md", demo.bodies(1)[other].encode())
    assert begin(author, "files", **kept(answer), **{other: right}).context["swapped"] is False


def test_files_that_were_chosen_together_are_taken_for_their_languages(author):
    files = {code: SimpleUploadedFile(f"{other}.md", demo.bodies(1)[other].encode()) for code, other in OTHER.items()}
    form = shown(begin(author, "files", by_language="True", **files))
    assert (form["name_kk"], form["name_ru"]) == ("kk.md", "ru.md")
    assert author.post(at("edition_add"), form).status_code == 302
    assert Edition.objects.get().body_kk == demo.bodies(1)["kk"]


def test_the_titles_and_summaries_are_written_before_the_draft_is_made(author):
    factories.published()
    ru = factories.RU.replace("\n", "\n\nПравила портала\n", 1)
    answer = upload(author, factories.KK.replace("Екінші", "Басқа").encode(), ru.encode())
    summaries = [change.summary for change in answer.context["redlines"]]
    assert summaries == ["Changed: 1 clause.", "Text outside the clauses changed."]
    form = shown(answer) | {"title_ru": " Условия *сайта*  [1] ", "summary_kk": "Өзгерді.", "summary_ru": "Изменено."}
    for title in ("", "г. Астана"):
        bad = author.post(at("edition_add"), form | {"title_ru": title})
        assert bad.status_code == 400
        assert list(bad.context["form"].errors) == ["title_ru"]
        assert shown(bad)["summary_ru"] == "Изменено."
    assert author.post(at("edition_add"), form).status_code == 302
    draft = Edition.objects.drafts().get()
    assert (draft.title_kk, draft.title_ru) == ("Пайдаланушы келісімі", "Условия *сайта* [1]")
    assert draft.body_ru.split("\n")[1:] == ru.split("\n")[1:]
    assert (draft.summary_kk, draft.summary_ru) == ("Өзгерді.", "Изменено.")


@pytest.mark.parametrize("encoding", ["UTF-16", "windows-1251", "KZ-1048"])
def test_a_text_in_another_encoding_is_converted_after_it_was_displayed(author, encoding):
    encodings = {"kk": "utf-8" if encoding == "windows-1251" else encoding, "ru": encoding}
    answer = upload(author, factories.KK.encode(encodings["kk"]), factories.RU.encode(encoding), suffix="txt")
    assert "was converted from the encoding " in answer.content.decode()
    assert shown(answer)["accepted_ru"].replace("\r\n", "\n") == factories.RU
    assert author.post(at("edition_add"), shown(answer)).status_code == 302
    assert (Edition.objects.get().body_kk, Edition.objects.get().body_ru) == (factories.KK, factories.RU)


def test_the_import_proposes_what_the_text_and_the_edition_in_force_state(author):
    factories.published(notice_days=10, retention_years=5, prevailing_language="kk")
    ru = f"УТВЕРЖДЕНО\n\nприказом от 3 мая 2026 г. № 7\n\n{factories.RU}"
    answer = upload(author, factories.KK.encode(), ru.encode())
    page = html.unescape(answer.content.decode())
    assert "The other values are those of edition 1, which is in force." in page
    assert "Both texts state this value." not in page
    form = shown(answer)
    assert (form["title_kk"], form["title_ru"]) == ("Пайдаланушы келісімі", "Пользовательское соглашение")
    assert (form["approval_kk"], form["approval_ru"]) == ("", "Утверждено приказом от 3 мая 2026 г. № 7")
    assert (form["notice_days"], form["retention_years"], form["prevailing_language"]) == ("10", "5", "kk")

    bad = author.post(at("edition_add"), form | {"notice_days": "-1"})
    assert bad.status_code == 400
    assert shown(bad)["notice_days"] == "-1"
    corrected = form | {"approval_kk": "Бекітілген", "retention_years": "3"}
    assert author.post(at("edition_add"), corrected).status_code == 302
    draft = Edition.objects.drafts().get()
    assert (draft.notice_days, draft.retention_years, draft.prevailing_language) == (10, 3, "kk")
    assert (draft.approval_kk, draft.approval_ru) == ("Бекітілген", "Утверждено приказом от 3 мая 2026 г. № 7")
    assert (draft.title_ru, draft.body_ru) == ("Пользовательское соглашение", ru)


def test_the_import_proposes_the_periods_that_both_texts_state(author):
    factories.published(notice_days=3, retention_years=3)
    body = demo.bodies(2)
    answer = upload(author, *(body[code].encode() for code in ("kk", "ru")))
    assert answer.content.decode().count("Both texts state this value.") == 2
    form = shown(answer)
    assert (form["notice_days"], form["retention_years"]) == ("10", "5")
    found = [finding.id for finding in answer.context["findings"]]
    assert "agreement.L036" not in found
    assert found.count("agreement.L039") == 2

    assert author.post(at("edition_add"), form | {"notice_days": "12"}).status_code == 302
    draft = Edition.objects.drafts().get()
    assert (draft.notice_days, draft.retention_years) == (12, 5)


@pytest.mark.parametrize(
    ("tracked", "changed", "stored"),
    [
        ("accepted", {}, (10, "Бұйрықпен № 8 бекітілген")),
        ("rejected", {}, (3, "")),
        ("rejected", {"notice_days": "12", "approval_kk": "Бекітілген"}, (12, "Бекітілген")),
    ],
)
def test_a_proposed_value_is_that_of_the_text_with_the_tracked_changes_as_chosen(author, tracked, changed, stored):
    factories.published(notice_days=3)
    words = "1.1. Келісімнің өзгерістері туралы күшіне енгенге дейін кемінде он күн бұрын хабарланады."
    document = docx_files.numbered()
    docx_files.add(document, docx_files.inserted("Бекітілген бұйрықпен № 8"))
    document.add_paragraph("Келісім", style="Title")
    docx_files.add(document, docx_files.inserted(words) + docx_files.deleted("1.1. Ескертусіз өзгереді."))
    ru = (
        "# Соглашение\n\n1.1. Об изменениях сообщают не менее чем за десять дней до вступления в силу новой редакции.\n"
    )
    answer = upload(author, docx_files.saved(document), docx_files.agreement(ru), suffix="docx")
    page = " ".join(html.unescape(answer.content.decode()).split())
    assert "Both texts state this value." not in page
    assert "If you reject the changes and leave this value as it is, the draft gets the value: 3" in page
    form = shown(answer)
    assert form["notice_days"] == "10"
    assert author.post(at("edition_add"), form | changed | {"tracked": tracked, "seen": "on"}).status_code == 302
    draft = Edition.objects.drafts().get()
    assert (draft.notice_days, draft.approval_kk) == stored


def test_the_import_proposes_no_period_about_which_the_texts_differ(author):
    factories.published(notice_days=3, retention_years=3)
    body = demo.bodies(2)
    ru = body["ru"].replace("десять календарных", "двадцать календарных").replace("пять лет", "пять лет и шесть лет")
    answer = upload(author, body["kk"].encode(), ru.encode())
    assert "Both texts state this value." not in answer.content.decode()
    assert (shown(answer)["notice_days"], shown(answer)["retention_years"]) == ("3", "3")


def test_while_an_edition_is_announced_a_draft_starts_with_it(author):
    factories.published()
    assert author.get(at("edition_add")).context["form"].initial["edition"] is None
    announced = factories.published(effective_from=timezone.now() + timedelta(days=20))
    form = author.get(at("edition_add")).context["form"]
    assert (form.initial["begin"], form["edition"].value()) == ("edition", announced.pk)
    announced.cancel()
    assert author.get(at("edition_add")).context["form"].initial["edition"] is None


def test_a_draft_with_empty_texts_states_what_the_edition_in_force_states(author):
    factories.published(notice_days=10, retention_years=5, prevailing_language="kk")
    assert begin(author, "empty").status_code == 302
    draft = Edition.objects.drafts().get()
    assert (draft.notice_days, draft.retention_years, draft.prevailing_language) == (10, 5, "kk")


def test_swapped_files_are_exchanged_by_one_button_and_nothing_is_lost(author):
    body = demo.bodies(1)
    answer = upload(author, body["ru"].encode("utf-16"), body["kk"].encode())
    assert "The files seem to be swapped" in answer.content.decode()
    written = shown(answer) | {"approval_kk": "Приказ № 7", "approval_ru": "№ 7 бұйрық", "notice_days": "4"}
    again = author.post(at("edition_add"), written | {"swap": "1"})
    assert again.status_code == 200
    assert "The files seem to be swapped" not in again.content.decode()
    assert not Edition.objects.exists()
    form = shown(again)
    assert (form["name_kk"], form["name_ru"], form["notice_days"]) == ("ru.md", "kk.md", "4")
    assert (form["approval_kk"], form["approval_ru"]) == ("№ 7 бұйрық", "Приказ № 7")
    assert again.context["files"][1].changed == [
        "The file was converted from the encoding UTF-16. Check the letters of the text.",
        "The byte order mark was removed.",
    ]
    assert author.post(at("edition_add"), form).status_code == 302
    edition = Edition.objects.get()
    assert (edition.body_kk, edition.body_ru) == (body["kk"], body["ru"])


def test_who_may_not_choose_the_agreement_swaps_nothing(author):
    assert author.post(at("edition_add"), {"accepted_kk": "x", "swap": "1"}).status_code == 403


def test_the_printed_numbers_of_both_texts_stand_side_by_side(author):
    kk = "# А\n\n1. ЖАЛПЫ\n\n1.1. Бірінші.\n\n1) тармақша;\n\n1.3. Үшінші.\n"
    ru = "# А\n\n1. ОБЩЕЕ\n\n1.1. Первый.\n\n1) подпункт;\n\n1.2. Второй.\n\n1.3. Третий.\n"
    rows = upload(author, kk.encode(), ru.encode()).context["rows"]
    assert [(row.left, row.right) for row in rows] == [
        ("1. ЖАЛПЫ", "1. ОБЩЕЕ"),
        ("1.1. Бірінші.", "1.1. Первый."),
        ("", "1.2. Второй."),
        ("1.3. Үшінші.", "1.3. Третий."),
    ]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("way", ["edition", "files"])
def test_two_simultaneous_requests_make_one_draft(author, live_server, way):
    factories.published()
    if way == "edition":
        form = shown(author.get(at("edition_add"))) | {"agreement": factories.agreement().pk, "begin": "edition"}
    else:
        form = shown(upload(author, factories.KK.encode(), factories.RU.replace("Второй", "Иной").encode()))
    form["csrfmiddlewaretoken"] = author.get(at("edition_add")).context["csrf_token"]
    cookies = "; ".join(f"{name}={cookie.value}" for name, cookie in author.cookies.items())
    headers = {"Cookie": cookies, "Content-Type": "application/x-www-form-urlencoded"}
    start = Barrier(2)

    def post(_number: int) -> tuple[int, str | None]:
        with closing(HTTPConnection(live_server.thread.host, live_server.thread.port, timeout=60)) as connection:
            connection.connect()
            start.wait()
            connection.request("POST", at("edition_add"), urlencode(form), headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status, answer.headers["Location"]

    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(post, range(2))

    draft = Edition.objects.drafts().get()
    assert first == second == (302, at("edition_change", draft.pk))
    assert AuditEntry.objects.filter(action="written").count() == 2  # The edition in force, and the draft.


def test_one_page_that_is_submitted_twice_makes_one_draft(author, django_user_model):
    factories.published()
    page = shown(author.get(at("edition_add")))
    first, second = begin(author, "edition", **page), begin(author, "edition", **page)
    assert first.url == second.url
    assert begin(author, "empty", **page).url != first.url

    form = shown(upload(author, factories.KK.encode(), factories.RU.encode()))
    first, second = (author.post(at("edition_add"), form) for _ in range(2))
    assert first.url == second.url
    assert Edition.objects.drafts().count() == 3
    assert AuditEntry.objects.filter(action="written").count() == 4

    other = desk(django_user_model, *AUTHOR, name="other")
    assert begin(other, "edition", **page).url not in {first.url, second.url}
    newer = shown(author.get(at("edition_add")))
    assert begin(author, "edition", **newer).url != first.url
    assert Edition.objects.drafts().count() == 5
