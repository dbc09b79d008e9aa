"""The public page that recognises a text: what it says, what it refuses, and that it keeps nothing."""

from __future__ import annotations

import io
import json
import logging
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from email.message import EmailMessage
from html import escape
from zoneinfo import ZoneInfo

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import resolve
from django.utils import timezone, translation

from agreement import memory
from agreement.editions import documents, pdf_words, recognition
from agreement.editions.display import DisplayedEdition
from agreement.editions.timeline import current_timelines
from agreement.evidence import export
from agreement.models import DisplayedText, Edition, Notice, NoticeText
from agreement.models.succession import State
from agreement.notices import dispatch, letters
from agreement.seal import manifest
from agreement.text import source
from agreement.views import comparisons
from agreement.views.base import Visit
from agreement.views.verify import DigestIndex, _index
from agreement.word import reader
from tests.support import factories

pytestmark = pytest.mark.django_db

HERE = "/ru/agreements/verify/"


def answer(client: Client, digest: str, status: int = 200, language: str = "ru") -> str:
    response = client.get(f"/{language}/agreements/verify/", {"sha256": digest})
    assert response.status_code == status
    return response.content.decode()


def posted(client: Client, **fields: object) -> str:
    """The address a posted text leads to."""
    response = client.post(HERE, fields)
    assert response.status_code == 303
    return response.headers["Location"]


def test_a_text_is_named_with_its_edition_language_and_term(client):
    factories.published()
    factories.published(kk=factories.KK + "\n1.3. Жаңа.\n", ru=factories.RU + "\n1.3. Новый.\n")

    old = answer(client, manifest.sha256(factories.KK))
    new = answer(client, manifest.sha256(factories.RU + "\n1.3. Новый.\n"))

    assert "Это казахский текст редакции №\u00a01." in old
    assert "Эта редакция действовала с" in old
    assert "Это русский текст редакции №\u00a02." in new
    assert "Эта редакция действует с" in new
    assert 'href="/ru/agreements/terms/editions/2/"' in new


def test_the_digest_of_a_text_is_told_apart_from_that_of_its_edition(client):
    edition = factories.published()
    note = f"и текст на другом языке, и номер, и даты: {edition.digest[:12]}…"
    assert note in answer(client, manifest.sha256(factories.RU))
    assert note not in answer(client, edition.digest)
    word = client.get("/ru/agreements/terms/editions/1.ru.docx").content
    assert note in client.post(HERE, {"file": SimpleUploadedFile("1.docx", word)}).text
    page = client.get("/ru/agreements/terms/editions/1/").text
    assert "Эта же сумма напечатана в файлах PDF и Word, но контрольная сумма самого файла — другая." in page


def test_the_answer_is_in_the_readers_language(client):
    factories.published()
    page = answer(client, manifest.sha256(factories.KK), language="kk")
    assert "Бұл — 1‑редакцияның қазақша мәтіні." in page


def test_a_digest_from_a_notice_is_recognised_too(client):
    edition = factories.published()
    assert "контрольная сумма редакции №\u00a01" in answer(client, edition.digest)
    assert "контрольная сумма редакции №\u00a01" in answer(client, f" {edition.digest.upper()} ")


def test_a_text_of_two_editions_is_named_twice(client):
    factories.published()
    factories.published()
    page = answer(client, manifest.sha256(factories.KK))
    assert "редакции №\u00a01." in page
    assert "редакции №\u00a02." in page


def test_a_changed_text_is_unknown(client):
    factories.published()
    page = answer(client, manifest.sha256(factories.KK + "."), status=404)
    assert 'data-verdict="unknown"' in page


@pytest.mark.parametrize("digest", ["", "abc", "0" * 7, "g" * 64, "0" * 65, "<script>", "\x00"])
def test_what_is_no_sha_256_is_a_bad_request_and_not_repeated(client, digest):
    assert "script>alert" not in answer(client, digest, status=400)
    assert "<script>\n" not in answer(client, digest, status=400)


def test_a_draft_and_a_hidden_scheduled_edition_are_unknown(client, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "SHOW_SCHEDULED": False}
    draft = factories.draft()
    answer(client, manifest.sha256(draft.body_kk), status=404)
    draft.publish(effective_from=timezone.now() + timedelta(days=1))
    answer(client, draft.digest, status=404)


@pytest.mark.parametrize(
    "pasted",
    [
        factories.KK,
        factories.KK.replace("\n", "\r\n"),
        "\ufeff" + factories.KK.replace("\n", "\r"),
        factories.KK.rstrip("\n"),
    ],
    ids=["as it is", "CRLF of a form", "byte order mark and CR", "without its last line break"],
)
def test_a_pasted_text_is_read_as_the_import_reads_it(client, pasted):
    factories.published()
    page = client.get(posted(client, text=pasted)).content.decode()
    assert "Это казахский текст редакции №\u00a01." in page
    assert ("переводов строки" in page) == (not pasted.endswith(("\n", "\r")))


def test_a_posted_file_is_recognised_and_so_is_what_sha256sum_prints(client):
    edition = factories.published()
    file = SimpleUploadedFile("edition.md", b"\xef\xbb\xbf" + factories.RU.replace("\n", "\r\n").encode())
    assert posted(client, file=file).endswith(manifest.sha256(factories.RU))
    assert posted(client, file=SimpleUploadedFile("m.json", edition.manifest())).endswith(edition.digest)
    assert posted(client, text=f"{edition.digest}  manifest.json\n").endswith(edition.digest)


@pytest.mark.parametrize("edition_is", ["the file", "the text"])
def test_a_form_with_a_file_and_a_text_is_refused_and_neither_is_dropped(client, edition_is):
    factories.published()
    file, text = (factories.RU, "Другое.") if edition_is == "the file" else ("Другое.", factories.RU)
    response = client.post(HERE, {"file": SimpleUploadedFile("x.md", file.encode()), "text": text})
    assert response.status_code == 400
    assert response.context["refusal"].startswith("Вы выбрали файл и ввели текст.")
    blank = client.post(HERE, {"file": SimpleUploadedFile("x.md", factories.RU.encode()), "text": " \r\n"})
    assert blank.status_code == 303


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b" \r\n", 400),
        ("Келісім".encode("utf-16"), 400),
        (b"a\0", 400),
        (b"a" * (source.MAX_BYTES + 1), 413),
        (b"a" * (source.MAX_BYTES + 20_000), 413),
    ],
    ids=["empty", "blank", "UTF-16", "NUL", "a byte too long", "longer than is read"],
)
def test_what_is_no_text_or_too_long_is_refused(client, content, status):
    asked = [client.post(HERE, {"file": SimpleUploadedFile("x.md", content)})]
    if content[:1] != b"\xff":  # A form's text is always readable.
        asked.append(client.post(HERE, {"text": content.decode()}))
    for response in asked:
        assert response.status_code == status
        assert response.headers["Cache-Control"] == "no-store"
        assert (response.context["refusal"] == "Текст слишком длинный.") == (status == 413)


def test_a_form_that_can_not_be_read_is_refused_with_the_form(client):
    response = client.generic("POST", HERE, b"--x", content_type="multipart/form-data; boundary=")
    assert response.status_code == 400
    assert response.context["refusal"]
    assert response.headers["Cache-Control"] == "no-store"


def test_a_posted_text_is_stored_nowhere(client, caplog, settings, tmp_path):
    """Not in the database, not in a log, not in a temporary file, not in the answer's address."""
    factories.published()
    settings.FILE_UPLOAD_TEMP_DIR = str(tmp_path)
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 0
    secret = "Құпия сөйлем. " * 400
    caplog.set_level(logging.DEBUG)

    with CaptureQueriesContext(connection) as captured:
        answers = [
            client.post(HERE, {"file": SimpleUploadedFile("x.md", secret.encode())}),
            client.post(HERE, {"text": secret}),
        ]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert not any("Құпия" in answer.text or answer.headers["Cache-Control"] != "no-store" for answer in answers)
    assert not [query for query in captured if not query["sql"].startswith("SELECT")]
    assert "Құпия" not in caplog.text + "".join(query["sql"] for query in captured)
    assert list(tmp_path.iterdir()) == []


def test_an_answer_sets_no_cookie_and_is_cacheable(client):
    edition = factories.published()
    first = client.get(HERE, {"sha256": edition.digest})
    again = client.get(HERE, {"sha256": edition.digest}, headers={"If-None-Match": first.headers["ETag"]})
    assert not first.cookies
    assert "Cookie" not in first.headers["Vary"]
    assert first.headers["Cache-Control"] == "public, no-cache"
    assert again.status_code == 304
    assert not client.post(HERE, {"text": "x"}).cookies


def test_a_post_needs_no_token_and_other_methods_are_refused():
    client = Client(enforce_csrf_checks=True)
    assert client.post(HERE, {"text": "x"}).status_code == 404
    assert client.put(HERE).status_code == 405


@pytest.mark.django_db(transaction=True)
def test_each_edition_is_read_once(client):
    edition = factories.published()
    _index._known.clear()
    for digest in (edition.digest, "0" * 64):
        with CaptureQueriesContext(connection) as captured:
            client.get(HERE, {"sha256": digest})
        reads = [query["sql"] for query in captured if "WHERE" in query["sql"] and "body_ru" in query["sql"]]
        assert any("IN (" in sql for sql in reads) == (digest == edition.digest)


def test_the_index_does_not_remember_uncommitted_editions():
    index = DigestIndex()
    from agreement.editions import timeline

    edition = factories.published()
    assert index.find(edition.digest, timeline.current_timelines())
    assert index._known == {}


LONG_RU = factories.RU + "\n1.3. Читатель не копирует книги для продажи и не передаёт свой пароль другим людям.\n"
LONG_KK = factories.KK + "\n1.3. Оқырман кітаптарды сату үшін көшірмейді.\n"
PAGE_RU = LONG_RU.replace("#", "").replace("1.3. ", "1.3.")


def test_the_beginning_of_a_digest_is_enough(client):
    edition = factories.published()
    assert "редакции №\u00a01" in answer(client, edition.digest[:8])
    for posted_as in (
        f"{edition.digest[:12]}…",
        f"SHA-256 {edition.digest[:12]}…",
        f" {edition.digest[:16].upper()}\n",
        f"SHA\u2011256 {edition.digest[:12]}...",
        f"«{edition.digest[:6]} {edition.digest[6:12]}…»",
        f"{edition.digest[:12]}\u200b.",
    ):
        assert posted(client, text=posted_as).startswith(f"{HERE}?sha256={edition.digest[:12]}")


def test_a_whole_digest_may_be_broken_into_pieces(client):
    digest = factories.published().digest
    for pasted in (" ".join(digest[at : at + 8] for at in range(0, 64, 8)), f"{digest[:32]}\n{digest[32:]}"):
        assert posted(client, text=pasted) == f"{HERE}?sha256={digest}"


def test_the_line_of_a_printed_page_names_its_edition(client):
    edition = factories.published()
    line = f"Пользовательское соглашение · Редакция № 1 · SHA-256 {edition.digest[:12]}…"
    assert [one.displayed.edition.number for one in client.post(HERE, {"text": line}).context["named"]] == [1]
    assert client.post(HERE, {"text": line.replace("…", "")}).status_code == 404


def test_a_text_that_begins_like_a_digest_is_a_text(client):
    factories.published()
    assert client.post(HERE, {"text": "12345678 – телефон редакции"}).status_code == 404


def likeness(response) -> list[tuple[int, str]]:
    assert response.headers["Cache-Control"] == "no-store"
    # Other pages may have been rendered for the comparison.
    compared = next(context["compared"] for context in response.context if "verdict" in context)
    return [(one.displayed.edition.number, one.match.likeness) for one in compared]


def judged(response) -> tuple[str, list[str]]:
    """The verdict on a posted text, and the lines that were added to it."""
    assert response.status_code == 200
    return response.context["verdict"], list(response.context["added"])


def test_words_copied_from_a_page_are_recognised(client):
    factories.published(kk=LONG_KK, ru=LONG_RU)
    whole = client.post(HERE, {"text": PAGE_RU})
    assert (whole.status_code, likeness(whole)) == (200, [(1, "same")])
    assert "Этот текст дословно совпадает с редакцией №\u00a01 (русский текст)." in whole.text
    around = client.post(HERE, {"text": f"Меню\n{PAGE_RU}\nНа главную"})
    assert likeness(around) == [(1, "around")]
    changed = client.post(HERE, {"text": PAGE_RU.replace("не передаёт", "передаёт")})
    assert likeness(changed) == [(1, "differs")]
    assert "<del>" in changed.text


def test_words_of_an_edition_that_is_not_public_are_unknown(client, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "SHOW_SCHEDULED": False}
    draft = factories.draft(kk=LONG_KK, ru=LONG_RU)
    assert client.post(HERE, {"text": PAGE_RU}).status_code == 404
    draft.publish(effective_from=timezone.now() + timedelta(days=1))
    assert client.post(HERE, {"text": PAGE_RU}).status_code == 404


def test_a_whole_letter_names_its_edition(client):
    edition = factories.published()
    letter = f"Здравствуйте!\n\nНовая редакция.\n{edition.digest}\n\nСпасибо, что читаете нас каждый день."
    response = client.post(HERE, {"text": letter})
    assert [one.displayed.edition.number for one in response.context["named"]] == [1]
    forged = client.post(HERE, {"text": letter.replace(edition.digest, "0" * 64)})
    assert (forged.status_code, forged.context["named"]) == (404, [])


def test_a_letter_of_the_site_is_read_as_mail_and_as_text(client):
    edition = factories.published(kk=LONG_KK, ru=LONG_RU)
    letter = EmailMessage()
    letter["Subject"], letter["From"] = "Новая редакция", "noreply@example.kz"
    others = "\n".join(f"Строка письма номер {n}." for n in range(40))
    letter.set_content(f"{others}\n\n{PAGE_RU.splitlines()[-1]}\n\nSHA-256 {edition.digest}\n", cte="base64")
    letter.add_alternative(f"<p>Здравствуйте!</p><p>{edition.digest}</p>", subtype="html", cte="base64")
    for content in (bytes(letter), bytes(letter).replace(b"\n", b"\r\n"), letter.get_body().get_content().encode()):
        response = client.post(HERE, {"file": SimpleUploadedFile("x.eml", content)})
        assert (response.status_code, response.context["verdict"]) == (200, "differs")
        assert [one.displayed.edition.number for one in response.context["named"]] == [1]
    for damaged in (b"Subject: =?x?b?\nContent-Type: multipart/x; boundary=a\n\n--a\n", b"a: b\nc: d\n\n"):
        assert client.post(HERE, {"file": SimpleUploadedFile("x.eml", damaged)}).status_code == 404


def test_every_file_of_the_site_is_recognised(client):
    for ru in (LONG_RU, LONG_RU.replace("не копирует книги", "копирует книги")):
        factories.published(kk=LONG_KK, ru=ru)
    for address, expected in {
        "2.docx": [(2, "around"), (2, "around")],
        "2/table.ru.docx": [(1, "passages"), (2, "passages")],
        "2/": [(2, "around")],
        "2.json": [(2, "around"), (2, "around")],
    }.items():
        content = client.get(f"/ru/agreements/terms/editions/{address}").content
        response = client.post(HERE, {"file": SimpleUploadedFile("file", content)})
        assert response.status_code == 200, address
        assert {number for number, _likeness in likeness(response)} == {number for number, _likeness in expected}
        if address in {"2.docx", "2/", "2.json"}:
            assert judged(response) == ("genuine", []), address
    assert client.get("/ru/agreements/terms/editions/2/changes.ru.docx").status_code == 200


def test_a_page_that_marks_added_and_deleted_words_without_a_space_between_them_is_genuine(client):
    factories.published(kk=LONG_KK, ru=LONG_RU)
    factories.published(kk=LONG_KK, ru=LONG_RU.replace("для продажи и не передаёт", "для продажи, обмена и передачи"))
    page = client.get("/ru/agreements/terms/editions/2/").text
    assert re.search(r"\w<(?:del|ins)>|</(?:del|ins)>\w", page)
    response = client.post(HERE, {"file": SimpleUploadedFile("saved.html", page.encode())})
    assert judged(response) == ("genuine", [])


def test_of_equal_editions_the_one_in_force_is_named(client):
    factories.published(kk=LONG_KK, ru=LONG_RU)
    more = {"kk": f"{LONG_KK}\n1.4. Тағы.\n", "ru": f"{LONG_RU}\n1.4. Ещё.\n"}
    factories.published(**more, effective_from=timezone.now() + timedelta(days=1))
    letter = "\n".join(f"Вопрос номер {n}?" for n in range(40)) + f"\n{PAGE_RU.splitlines()[-1]}\n"
    assert [number for number, _likeness in likeness(client.post(HERE, {"text": letter}))] == [1]


def test_a_pdf_is_named_by_its_metadata(client):
    edition = factories.published()
    metadata = zlib.compress(f"<dc:description>SHA-256 {edition.digest}</dc:description>".encode())
    content = b"%PDF-1.7\n1 0 obj\n<</Type /Metadata/Subtype /XML>>\nstream\n" + metadata + b"\nendstream\n"
    named = client.post(HERE, {"file": SimpleUploadedFile("x.pdf", content)})
    assert [one.displayed.edition.number for one in named.context["named"]] == [1]
    for other in (content[:40], content.replace(metadata, b"x" * 40), b"%PDF-"):
        assert client.post(HERE, {"file": SimpleUploadedFile("x.pdf", other)}).status_code == 404


def test_a_word_file_of_the_site_is_recognised_and_a_changed_one_differs(client):
    factories.published(kk=LONG_KK, ru=LONG_RU)
    word = client.get("/ru/agreements/terms/editions/1.ru.docx").content
    own = client.post(HERE, {"file": SimpleUploadedFile("x.docx", word)})
    assert judged(own) == ("genuine", [])
    assert "Это русский текст редакции №\u00a01." in own.text
    with zipfile.ZipFile(io.BytesIO(word)) as old, zipfile.ZipFile(changed := io.BytesIO(), "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name).replace("не копирует".encode(), "копирует".encode()))
    response = client.post(HERE, {"file": SimpleUploadedFile("x.docx", changed.getvalue())})
    assert likeness(response) == [(1, "differs")]


def test_a_word_file_that_is_damaged_or_too_large_is_refused(client):
    large = io.BytesIO()
    with zipfile.ZipFile(large, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("word/document.xml", b" " * 9_000_000)
    assert client.post(HERE, {"file": SimpleUploadedFile("x.docx", large.getvalue())}).status_code == 413
    for content in (b"PK\x03\x04 damaged", large.getvalue()[:500]):
        assert client.post(HERE, {"file": SimpleUploadedFile("x.docx", content)}).status_code == 400


def pdf_of(*pages: str) -> SimpleUploadedFile:
    """A PDF file with these pages. A line of a page becomes a line of the file."""
    weasyprint = pytest.importorskip("weasyprint")
    body = "".join(f'<pre style="break-after: page; font: 8pt serif">{escape(page)}</pre>' for page in pages)
    return SimpleUploadedFile("sent.pdf", weasyprint.HTML(string=f"<!doctype html>{body}").write_pdf())


def test_the_words_of_a_pdf_are_compared_without_its_headers_and_footers(client):
    factories.published(kk=LONG_KK, ru=LONG_RU)
    half = len(PAGE_RU.splitlines()) // 2
    pages = ["\n".join(PAGE_RU.splitlines()[:half]), "\n".join(PAGE_RU.splitlines()[half:])]
    framed = [f"Условия\n{page}\n№ 1, страница {number}" for number, page in enumerate(pages, start=1)]

    response = client.post(HERE, {"file": pdf_of(*framed)})

    assert likeness(response) == [(1, "same")]
    assert "№\u00a01, страница 1" in response.content.decode().replace("№ 1", "№\u00a01")
    changed = [page.replace("не копирует", "копирует") for page in framed]
    assert changed != framed
    assert likeness(client.post(HERE, {"file": pdf_of(*changed)})) == [(1, "differs")]


@pytest.mark.parametrize("file", ["1.ru.pdf", "1.ru.archive.pdf"])
def test_the_pdf_of_the_site_has_genuine_words_and_a_changed_one_differs(client, file):
    edition = factories.published(kk=LONG_KK, ru=LONG_RU)
    own = client.get(f"/ru/agreements/terms/editions/{file}")
    if own.status_code == 404:
        pytest.skip("WeasyPrint is missing or has no font.")
    response = client.post(HERE, {"file": SimpleUploadedFile(file, own.content)})
    assert likeness(response) == [(1, "around")]
    assert judged(response) == ("genuine", [])
    assert "Подлинный текст" in response.text
    assert file in response.text

    forged = pdf_of(f"{PAGE_RU}\nНовое слово.\nSHA-256 {edition.digest}".replace("1.2.", "1.2. Нет,"))
    page = client.post(HERE, {"file": forged}).content.decode()
    assert 'data-verdict="differs"' in page
    assert "Контрольная сумма подлинная" not in page


def test_a_pdf_that_can_not_be_read_is_no_burden_and_no_proof(client, monkeypatch):
    edition = factories.published()
    content = f"%PDF-1.7\nSHA-256 {edition.digest}".encode()
    page = client.post(HERE, {"file": SimpleUploadedFile("x.pdf", content)}).content.decode()
    assert "Опознана только контрольная сумма" in page
    assert "не может прочитать слова" in page

    monkeypatch.setattr(pdf_words, "MAX_SECONDS", 0.001)
    assert pdf_words.read_pages(content) == []


def test_a_pdf_whose_font_has_its_own_encoding_is_compared(client):
    factories.published(kk=LONG_KK, ru=LONG_RU)
    # No font has a glyph of U+0378. WeasyPrint then writes an encoding of its own into the file.
    file = pdf_of(PAGE_RU.replace("не копирует", "копирует \u0378"))
    assert b"begincidchar" in b"".join(_streams(file.read()))
    file.seek(0)
    response = client.post(HERE, {"file": file})
    assert likeness(response) == [(1, "differs")]


def test_a_pdf_whose_letters_have_no_characters_is_not_judged(client):
    factories.published(kk=LONG_KK, ru=LONG_RU)
    assert pdf_words.read_pages(pdf_of("\N{REPLACEMENT CHARACTER}" * 9 + PAGE_RU[:60]).read()) == []
    page = client.post(HERE, {"file": SimpleUploadedFile("x.pdf", b"%PDF-1.7")}).text
    assert "Слова не проверены" in page
    assert "Такой редакции нет" not in page


def test_only_the_changed_words_of_a_changed_copy_of_a_file_are_marked(client):
    factories.published(kk=LONG_KK, ru=LONG_RU)
    own = client.get("/ru/agreements/terms/editions/1.ru.pdf")
    if own.status_code == 404:
        pytest.skip("WeasyPrint is missing or has no font.")
    text = "\n".join(pdf_words.read_pages(own.content))

    changed = client.post(HERE, {"text": text.replace("не копирует", "копирует 2")})
    assert likeness(changed) == [(1, "differs")]
    assert marked_words(changed) == [("delete", "не"), ("insert", "2")]

    forged = client.post(HERE, {"text": f"{text.replace('не копирует', 'копирует')}\n{FORGED}"})
    assert marked_words(forged) == [("delete", "не"), ("insert", FORGED)]


def marked_words(response) -> list[tuple[str, str]]:
    """The deleted and added words of a text that differs."""
    (one,) = next(context["compared"] for context in response.context if "verdict" in context)
    return [(run.kind, run.text.strip()) for run in one.match.runs if run.kind != "equal"]


def _streams(content: bytes) -> Iterator[bytes]:
    """The streams of a PDF file, decompressed."""
    for match in re.finditer(rb"stream\r?\n", content):
        with suppress(zlib.error):
            yield zlib.decompressobj().decompress(content[match.end() :])


FORGED = "5.5. Пользователь ежемесячно платит 5000 тенге."


def word_with(client: Client, old: str, new: str) -> SimpleUploadedFile:
    """The site's Word file of the first edition with other words in one of its parts."""
    word = client.get("/ru/agreements/terms/editions/1.ru.docx").content
    replaced = 0
    with zipfile.ZipFile(io.BytesIO(word)) as file, zipfile.ZipFile(changed := io.BytesIO(), "w") as new_file:
        for name in file.namelist():
            part = file.read(name)
            replaced += part.count(old.encode())
            new_file.writestr(name, part.replace(old.encode(), new.encode()))
    assert replaced
    return SimpleUploadedFile("sent.docx", changed.getvalue())


@pytest.mark.parametrize("place", ["start", "middle", "end"])
def test_an_added_paragraph_is_warned_of_and_displayed_wherever_it_stands(client, place):
    factories.published(kk=LONG_KK, ru=LONG_RU)
    lines = PAGE_RU.splitlines()
    lines.insert({"start": 0, "middle": len(lines) // 2, "end": len(lines)}[place], FORGED)
    response = client.post(HERE, {"text": "\n".join(lines)})
    assert judged(response) == ("differs", [FORGED])
    assert "Текст редакции №\u00a01, к которому добавлены другие слова" in response.text
    assert response.text.index(FORGED) < response.text.index("<details")


def test_words_in_the_footer_of_a_word_file_are_warned_of(client):
    factories.published(kk=LONG_KK, ru=LONG_RU)
    file = word_with(client, "Постоянный адрес", f"{FORGED} Постоянный адрес")
    verdict, added = judged(client.post(HERE, {"file": file}))
    assert verdict == "differs"
    assert FORGED in "".join(added)


def test_words_in_the_footers_of_a_pdf_are_warned_of(client):
    factories.published(kk=LONG_KK, ru=LONG_RU)
    lines = PAGE_RU.splitlines()
    half = len(lines) // 2
    pages = ["\n".join([*part, FORGED]) for part in (lines[:half], lines[half:])]
    assert judged(client.post(HERE, {"file": pdf_of(*pages)})) == ("differs", [FORGED])


def test_a_letter_of_the_site_is_genuine_and_an_added_sentence_is_displayed(client):
    factories.published(kk=LONG_KK, ru=LONG_RU)
    edition = factories.published(kk=LONG_KK, ru=LONG_RU.replace("не копирует книги", "копирует книги"))
    notice = Notice.objects.get(edition=edition)
    content = letters.letter(notice, "ru", since=1)
    NoticeText.objects.create(
        notice=notice,
        channel="email",
        language="ru",
        subject="x",
        text=content.text,
        html=content.html,
        digest="0" * 64,
    )
    mail = EmailMessage()
    mail["Subject"], mail["From"] = content.subject, "noreply@example.kz"
    mail.set_content(content.text, cte="base64")
    mail.add_alternative(content.html, subtype="html", cte="base64")
    for given in ({"file": SimpleUploadedFile("x.eml", bytes(mail))}, {"text": content.text}):
        response = client.post(HERE, given)
        assert judged(response) == ("genuine", [])
        assert "Подлинный текст" in response.text
    forged = client.post(HERE, {"text": f"{content.text}\n{FORGED}"})
    assert judged(forged) == ("differs", [FORGED])


def test_the_files_with_a_letter_in_a_bundle_are_genuine_and_a_changed_one_is_not_headed_so(client):
    factories.published(kk=LONG_KK, ru=LONG_RU)
    factories.users(2)
    factories.published(kk=LONG_KK, ru=LONG_RU.replace("не копирует книги", "копирует книги"))
    dispatch.work()
    letter = NoticeText.objects.get(notice__edition__number=2, language="ru", since=0)
    words = json.dumps([letter.subject, letter.text, letter.html], ensure_ascii=False, separators=(",", ":"))
    files = {"x.json": words, "x.txt": f"{letter.subject}\n\n{letter.text}", "x.html": letter.html}
    for name, content in files.items():
        response = client.post(HERE, {"file": SimpleUploadedFile(name, content.encode())})
        assert judged(response) == ("genuine", []), name
    changed = files["x.txt"].replace("2", "9", 1)
    response = client.post(HERE, {"file": SimpleUploadedFile("x.txt", changed.encode())})
    assert judged(response)[0] == "differs"
    assert "Контрольная сумма подлинная" not in response.text


# Pages of changes

CHANGES = "/ru/agreements/terms/editions/2/changes/"


@pytest.fixture
def changed_editions() -> None:
    """Three editions. The second one changes two clauses of the first and adds one, and the third adds another."""
    kk = LONG_KK + "\n1.4. Оқырман жоғалған әр кітап үшін жүз теңге төлейді.\n"
    ru = LONG_RU + "\n1.4. Читатель платит сто тенге за каждую потерянную книгу.\n"
    factories.published(kk=kk, ru=ru)
    kk = kk.replace("жүз", "екі жүз").replace("көшірмейді", "көшіреді")
    ru = ru.replace("сто тенге", "двести тенге").replace("не передаёт", "передаёт")
    for addition in (("Дау сотқа дейін шешіледі.", "Споры решаются до суда."), ("Соңғы тармақ.", "Последний пункт.")):
        number = f"1.{kk.count('1.')}"
        kk, ru = (f"{text}\n{number}. {words}\n" for text, words in zip((kk, ru), addition, strict=True))
        factories.published(kk=kk, ru=ru)


def compared_pages(response) -> tuple[int, int, bool, bool] | None:
    """The numbers of the two editions whose comparison was recognised, whether the words are proved, and whether they
    are complete.
    """
    found = next(context["comparison"] for context in response.context if "verdict" in context)
    return found and (found.old.number, found.new.number, found.is_proved, found.is_complete)


def rows_of(page: str) -> list[str]:
    """The rows of the changed clauses in a page of changes."""
    return re.findall(r'<tr class="agreement-change".*?</tr>', page, re.DOTALL)


@pytest.mark.parametrize("language", ["kk", "ru", "en"])
@pytest.mark.parametrize(("query", "numbers"), [("", (1, 2)), ("?view=inline", (1, 2)), ("?from=3&all=1", (3, 2))])
def test_a_page_of_changes_is_recognised_with_the_two_editions(client, changed_editions, language, query, numbers):
    page = client.get(f"/{language}/agreements/terms/editions/2/changes/{query}").text
    for posted_as in ({"file": SimpleUploadedFile("saved.html", page.encode())}, {"text": page}):
        response = client.post(HERE, posted_as)
        assert judged(response) == ("genuine", [])
        assert compared_pages(response) == (*numbers, True, True)
    old, new = numbers
    assert "Сравнение с этого сайта" in response.text
    assert f"дословно совпадает со сравнением редакций №\u00a0{old} и №\u00a0{new} на этом сайте." in response.text
    assert f'href="/ru/agreements/terms/editions/{new}/changes/?from={old}"' in response.text


def test_a_page_of_changes_that_a_browser_saved_in_one_file_is_recognised(client, changed_editions):
    saved = EmailMessage()
    saved["From"], saved["Subject"] = "<Saved by a browser>", "x"
    saved.set_content(client.get(CHANGES).text, subtype="html", cte="quoted-printable")
    saved.make_mixed()
    saved.attach(EmailMessage())
    saved.get_payload()[1].set_content(".agreement { color: red }", subtype="css")
    response = client.post(HERE, {"file": SimpleUploadedFile("saved.mhtml", bytes(saved))})
    assert compared_pages(response) == (1, 2, True, True)


def test_a_page_of_changes_is_recognised_after_its_editions_were_superseded(client):
    factories.published(kk=LONG_KK, ru=LONG_RU)
    at = timezone.now() + timedelta(days=2)
    factories.published(kk=LONG_KK, ru=LONG_RU.replace("не передаёт", "передаёт"), effective_from=at)
    page = client.get(CHANGES).text
    assert "ещё не вступила в силу" in page
    dated = current_timelines().agreements["terms"].editions[1]
    later = dated.effective_from + timedelta(days=1)
    request = RequestFactory().get(HERE)
    request.resolver_match = resolve("/ru/agreements/verify/")
    with translation.override("ru"):
        found = comparisons.recognise(Visit(request, later, current_timelines(), {}), recognition.readable(page))
    assert (found.is_proved, found.is_complete) == (True, True)


def test_a_part_of_a_page_of_changes_is_said_to_be_one(client, changed_editions):
    page = client.get(CHANGES).text
    response = client.post(HERE, {"text": page.replace(rows_of(page)[1], "")})
    assert judged(response) == ("genuine", [])
    assert compared_pages(response) == (1, 2, True, False)
    assert "Это часть страницы, на которой сайт сравнивает редакцию №\u00a01 с редакцией №\u00a02." in response.text


def test_rows_of_a_page_of_changes_are_recognised_without_its_heading(client, changed_editions):
    rows = "\n".join(rows_of(client.get(CHANGES).text))
    response = client.post(HERE, {"text": f"<!doctype html><table>{rows}</table>"})
    assert (response.context["verdict"], compared_pages(response)) == ("genuine", (1, 2, True, True))


@pytest.mark.parametrize("forgery", ["word", "mark", "order", "exchange", "addition", "label"])
def test_a_forged_page_of_changes_is_not_genuine(client, changed_editions, forgery):
    page = client.get(CHANGES).text
    first, second, *_rest = rows = rows_of(page)
    cells = [re.findall(r"<td.*?</td>", row, re.DOTALL) for row in rows]
    forged = {
        "word": page.replace("двести", "триста"),
        "mark": page.replace(first, re.sub(r"<del>.*?</del>", "", first, flags=re.DOTALL)),
        "order": page.replace(first, "ROW").replace(second, first).replace("ROW", second),
        "exchange": page.replace(cells[0][1], "CELL").replace(cells[1][1], cells[0][1]).replace("CELL", cells[1][1]),
        "addition": page.replace(first, f"{first}<tr><td>{FORGED}</td></tr>"),
        "label": page.replace(first, re.sub(r"<th.*?</th>", "", first, flags=re.DOTALL)),
    }[forgery]
    assert forged != page
    response = client.post(HERE, {"text": forged})
    assert response.context["verdict"] == "differs"
    assert compared_pages(response) == (1, 2, False, False)
    assert "В тексте сказано, что это сравнение редакции №\u00a01 с редакцией №\u00a02." in response.text


@pytest.mark.parametrize("file", ["changes.ru.docx", "table.ru.docx"])
def test_a_word_file_of_the_changes_is_not_compared_with_the_page(client, changed_editions, file):
    content = client.get(f"/ru/agreements/terms/editions/2/{file}").content
    response = client.post(HERE, {"file": SimpleUploadedFile(file, content)})
    assert compared_pages(response) is None


def test_a_heading_of_editions_that_are_not_public_names_no_page_of_changes(client, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "SHOW_SCHEDULED": False}
    factories.published(kk=LONG_KK, ru=LONG_RU)
    factories.published(kk=LONG_KK, ru=LONG_RU, effective_from=timezone.now() + timedelta(days=1))
    response = client.post(HERE, {"text": "Что изменилось: от редакции № 1 к редакции № 2 и ещё несколько слов"})
    assert (response.status_code, compared_pages(response)) == (404, None)


# False statements around a genuine text

FALSE_DATES = ("1 февраля 2025", "2 декабря 2025", "11 декабря 2025", "1 ноября 2025")


@pytest.fixture
def three_editions() -> None:
    """Three editions that took effect on 12 February 2024, 1 February 2025 and 1 December 2025."""
    zone = ZoneInfo("Asia/Almaty")
    for number, day in enumerate(((2024, 2, 12), (2025, 2, 1), (2025, 12, 1)), start=1):
        new = {"kk": "Жаңа тармақ кітаптар туралы. ", "ru": "Новый пункт о книгах. "}
        texts = {language: f"\n1.4. {words * number}\n" for language, words in new.items()}
        edition = factories.draft(kk=LONG_KK + texts["kk"], ru=LONG_RU + texts["ru"])
        edition.record(effective_from=datetime(*day, 9, tzinfo=zone))


def lines_of_page(client: Client, address: str) -> str:
    """The lines that a reader sees on a page, as a copy of it has them."""
    page = client.get(f"/ru/agreements/terms/{address}").text
    return re.sub(r"\n\s*\n+", "\n", recognition.readable(page)).replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize("address", ["", "editions/3/", "editions/3/bilingual/"])
def test_a_copy_of_a_page_with_the_date_or_number_of_another_edition_is_not_genuine(client, three_editions, address):
    copied = lines_of_page(client, address)
    assert judged(client.post(HERE, {"text": copied})) == ("genuine", [])
    false = [(copied.replace("1 декабря 2025", day), day) for day in FALSE_DATES]
    false += [(copied.replace("Редакция № 3", f"Редакция № {number}"), f"Редакция № {number}") for number in (1, 2, 4)]
    false.append((copied.replace("редакцию № 2", "редакцию № 1"), "редакцию № 1"))
    false.append((copied.replace("действует\n", "утратила силу\n"), "утратила силу"))
    for text, value in false:
        assert text != copied, value
        verdict, added = judged(client.post(HERE, {"text": text}))
        assert verdict == "differs", value
        assert value in "".join(added)


def test_words_of_the_pdf_of_the_site_with_another_date_or_number_are_not_genuine(client, three_editions):
    own = client.get("/ru/agreements/terms/editions/3.ru.pdf")
    if own.status_code == 404:
        pytest.skip("WeasyPrint is missing or has no font.")
    words = "\n".join(pdf_words.read_pages(own.content)).replace("\N{NO-BREAK SPACE}", " ")
    assert judged(client.post(HERE, {"text": words})) == ("genuine", [])
    for old, new in [("1 декабря 2025", day) for day in FALSE_DATES] + [("№ 3", "№ 1"), ("№ 2", "№ 1")]:
        assert old in words
        verdict, added = judged(client.post(HERE, {"file": pdf_of(words.replace(old, new))}))
        assert (verdict, new in "".join(added)) == ("differs", True), new


@pytest.mark.parametrize("language", ["kk", "ru"])
def test_of_the_page_for_a_court_only_its_moment_and_changed_lines_are_listed(client, three_editions, language):
    timeline = current_timelines().agreements["terms"]
    edition = Edition.objects.select_related("agreement").get(number=3)
    page = export.court_page(edition, timeline, at=timezone.now() - timedelta(hours=1), language=language)
    (moment,) = judged(client.post(HERE, {"text": page}))[1]
    assert moment.startswith({"kk": "Мына уақыттағы жағдай бойынша", "ru": "По состоянию на"}[language])
    date = "2025 жылғы 1 желтоқсан" if language == "kk" else "1 декабря 2025"
    page = page.replace("\N{NO-BREAK SPACE}", " ")
    for old, new in ((date, date.replace("1 ", "12 ")), ("3 (terms)", "2 (terms)")):
        assert old in page
        assert new in "".join(judged(client.post(HERE, {"text": page.replace(old, new)}))[1])


def test_a_line_that_the_site_prints_in_another_place_is_listed(client, three_editions):
    copied = lines_of_page(client, "editions/3/")
    assert "\n01.02.2025\n" in copied
    first, _mark, rest = copied.partition("\nВступление в силу\n")
    moved = f"{first}\nВступление в силу\n01.02.2025\n{rest.partition(chr(10))[2]}"
    assert judged(client.post(HERE, {"text": moved})) == ("differs", ["01.02.2025"])


def test_a_page_is_genuine_that_was_copied_before_another_edition_replaced_it(client):
    factories.published(kk=LONG_KK, ru=LONG_RU)
    copied = lines_of_page(client, "")
    factories.published(kk=LONG_KK, ru=LONG_RU.replace("не передаёт", "передаёт"))
    assert copied != lines_of_page(client, "editions/1/")
    assert judged(client.post(HERE, {"text": copied})) == ("genuine", [])


def test_the_verdict_states_the_number_and_the_date_of_the_edition(client, three_editions):
    page = client.post(HERE, {"text": lines_of_page(client, "")}).text
    assert "Сверьте их с записью «Редакция № 3: действует с 1 декабря 2025 г.»" in page.replace(
        "\N{NO-BREAK SPACE}", " "
    )


@pytest.mark.parametrize("state", [State.SCHEDULED, State.CANCELLED])
def test_an_edition_that_did_not_take_effect_is_not_genuine_as_one_in_force(client, state):
    factories.published(kk=LONG_KK, ru=LONG_RU)
    more = {"kk": f"{LONG_KK}\n1.4. Тағы.\n", "ru": f"{LONG_RU}\n1.4. Ещё.\n"}
    edition = factories.published(**more, effective_from=timezone.now() + timedelta(days=1))
    if state == State.CANCELLED:
        edition.cancel()
    timeline, address = current_timelines().agreements["terms"], "http://127.0.0.1:8000/ru/agreements/terms/editions/2/"
    with translation.override("ru"):
        displayed = DisplayedEdition.from_timeline(edition, timeline, timezone.now())
        states = (displayed, replace(displayed, state=State.IN_FORCE))
        around = [documents.lines_around(one, address) for one in states]
    own, false = ("\n".join([*lines, more["ru"]]) for lines in around)
    assert judged(client.post(HERE, {"text": own})) == ("genuine", [])
    verdict, added = judged(client.post(HERE, {"text": false}))
    assert (verdict, len(added)) == ("differs", 1)
    assert "действует с" in added[0]


def test_the_number_of_a_section_is_not_that_of_the_edition(client, three_editions):
    copied = lines_of_page(client, "editions/3/").replace("Редакция № 3\n", "Редакция №\n1\n", 1)
    assert judged(client.post(HERE, {"text": copied})) == ("differs", ["1"])


def test_a_header_with_the_number_of_another_edition_is_not_genuine(client, three_editions):
    header = f"{Edition.objects.get(number=3).title_ru} · Редакция № 3"
    lines = Edition.objects.get(number=3).body_ru.splitlines()
    for number, verdict in ((3, "genuine"), (1, "differs"), (2, "differs")):
        head = header.replace("3", str(number))
        pages = ["\n".join([head, *part]) for part in (lines[:6], lines[6:])]
        assert judged(client.post(HERE, {"file": pdf_of(*pages)}))[0] == verdict


# Other files


def test_the_html_that_an_acceptance_page_displayed_is_read_as_html(client):
    edition = factories.published(kk=LONG_KK, ru=LONG_RU)
    for language in ("kk", "ru"):
        html = DisplayedText.render(edition, language).html
        assert html.startswith("<h2")
        response = client.post(HERE, {"file": SimpleUploadedFile("kk-1-0.html", html.encode())})
        assert likeness(response) == [(1, "same")]
        assert response.context["verdict"] == "genuine"


@pytest.mark.parametrize("ending", ["передаёт свой пароль", "не передаёт свой паро"])
def test_a_text_that_breaks_off_is_a_part_and_its_end_is_displayed(client, ending):
    factories.published(kk=LONG_KK, ru=LONG_RU)
    text = LONG_RU[: LONG_RU.index(ending) + len(ending)]
    response = client.post(HERE, {"file": SimpleUploadedFile("half.md", text.encode())})
    assert likeness(response) == [(1, "part")]
    assert f"{ending}»" in response.text
    assert "Текст обрывается" in response.text
    assert "Текст обрывается" not in client.post(HERE, {"text": PAGE_RU.splitlines()[-1]}).text


def test_a_word_file_is_offered_only_if_the_site_can_read_it(client, monkeypatch):
    assert client.get(HERE).text.count(".docx") == 2
    monkeypatch.setattr(reader, "installed", lambda: False)
    memory.clear()
    assert ".docx" not in client.get(HERE).text
