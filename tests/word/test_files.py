"""Any file that a person may choose: recognised by its bytes, and read, or refused with the way to save it."""

from __future__ import annotations

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreement.text import languages, source
from agreement.word import files, reader
from portal_site.management.commands import demo
from tests.support import docx_files, factories

pytestmark = pytest.mark.usefixtures("english")


def packed(**parts: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as package:
        for name, content in parts.items():
            package.writestr(name.replace("__", "/"), content)
    return stream.getvalue()


OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
RESAVE = "save it as “Word Document (.docx)”"


@pytest.mark.parametrize(
    ("content", "kind", "hint"),
    [
        (b"%PDF-1.4\n%\xe2\xe3", "it is a PDF file", "Use the Word file from which the PDF was made."),
        (b"\n\n%PDF-1.4 ascii only", "it is a PDF file", RESAVE),
        (OLD_OFFICE, "it is a file of an old version of Word (.doc)", RESAVE),
        (OLD_OFFICE + "EncryptedPackage".encode("utf-16-le"), "protected by a password", "remove the password"),
        (rb"{\rtf1\ansi \'ea}", "it is an RTF file", RESAVE),
        (b"\x89PNG\r\n\x1a\n", "it is a picture", "A picture has no text."),
        (b"\xff\xd8\xff\xe0 JFIF", "it is a picture", "A picture has no text."),
        (b"Rar!\x1a\x07\x00", "it is an archive", "Unpack it"),
        (packed(**{"kk.docx": "x", "ru.docx": "x"}), "it is an archive", "Unpack it"),
        (packed(mimetype="application/vnd.oasis.opendocument.text"), "it is a LibreOffice file", RESAVE),
        (packed(Index__Document="", **{"Index/Document.iwa": ""}), "it is a Pages file", "Export it from Pages"),
        (packed(**{"[Content_Types].xml": "<Types/>", "xl/workbook.xml": "x"}), "Excel", "Copy the text into a Word"),
        (b"<!DOCTYPE html>\n<p>\xd0\x90", "it is a web page", RESAVE),
        (b"\xef\xbb\xbf  <HTML><body>x</body></HTML>", "it is a web page", RESAVE),
        ("<html><p>Шарттар</p></html>".encode("utf-16"), "it is a web page", RESAVE),
        (b"<p class='a'>\xd0\x90</p>", "it is a web page", RESAVE),
        (b'<?xml version="1.0"?><?mso-application progid="Word.Document"?>', "an XML file", RESAVE),
        (b"MIME-Version: 1.0\nContent-Type: multipart/related", "it is a web page", RESAVE),
    ],
)
@pytest.mark.parametrize("name", ["a.docx", "a.txt", "a"])
def test_a_file_of_another_kind_is_named_and_the_hint_says_how_to_save_it(content, kind, hint, name):
    with pytest.raises(source.SourceError) as refused:
        files.read_file(content, name, encoding="")
    assert str(refused.value).startswith(f"{name} was not accepted: ")
    assert kind in str(refused.value)
    assert hint in refused.value.hint


@pytest.mark.parametrize("text", ["<домен> – сайт.\n", "<domain> is the site.\n", "<b", "1 < 2\n"])
def test_an_angle_bracket_makes_no_web_page(text):
    assert files.read_file(text.encode(), "a.txt").manuscript.accepted == text


@pytest.mark.parametrize("code", ["kk", "ru"])
@pytest.mark.parametrize("encoding", ["UTF-16", "UTF-16LE", "UTF-16BE", *source.ENCODINGS])
def test_every_encoding_of_kazakh_and_russian_texts_is_recognised(code, encoding):
    body = demo.bodies(1)[code]
    try:
        content = body.encode(encoding)
    except UnicodeEncodeError:
        pytest.skip("This encoding lacks a letter of the text.")
    read = files.read_file(content, "a.txt", encoding="")
    assert (read.manuscript.accepted, read.manuscript.rejected) == (body, body)
    assert f"converted from the encoding {read.encoding}. Check" in " ".join(read.changed())
    with pytest.raises(source.EncodingError, match="a.txt is a text in the encoding") as refused:
        files.read_file(content, "a.txt")
    assert refused.value.encoding == read.encoding


@pytest.mark.parametrize(
    ("encoding", "stated", "marked"),
    [("UTF-16", "", True), ("UTF-16LE", "UTF-16", False), ("UTF-16LE", "", False), ("UTF-8-SIG", "", True)],
)
def test_a_mark_is_reported_only_if_the_file_has_one(encoding, stated, marked):
    content = demo.bodies(1)["kk"].encode(encoding)
    assert files.read_file(content, "a.txt", encoding=stated).marked is marked


def test_kazakh_letters_decide_between_the_encodings_of_windows():
    assert source.recognise("Қызмет көрсету шарттары".encode("kz1048")) == "KZ-1048"
    assert source.recognise("Қызмет көрсету шарттары".encode("ptcp154")) == "PT154"
    assert source.recognise("Условия оказания услуг №7".encode("cp1251")) == "windows-1251"
    assert source.recognise("Условия оказания услуг №7".encode("kz1048")) == "windows-1251"


@pytest.mark.parametrize(
    "content",
    [bytes(range(256)), b"\xff" * 100, "Größe und Maße".encode("latin1"), b"ab\0"],
)
def test_what_is_no_kazakh_or_russian_text_has_no_encoding(content):
    assert source.recognise(content) == ""
    with pytest.raises(source.SourceError, match="is not a text in UTF-8|contains a NUL"):
        files.read_file(content, "a.txt", encoding="")


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused_with_a_sentence(content):
    for prefix in (b"", b"PK\x03\x04", b"\xff\xfe", b"<", b"mimetype"):
        try:
            text = files.read_file(prefix + content, "a", encoding="").manuscript.accepted
        except source.SourceError as error:
            text = error.hint
        assert text.strip()


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=80))
def test_a_text_in_utf_8_loses_nothing_but_its_line_ends_and_its_mark(text):
    content = ("# Т\n" + text).encode()
    read = files.read_file(content, "a.md").manuscript.accepted
    assert "".join(read.split()) == "".join(content.decode().split())


def test_the_line_and_page_breaks_of_word_in_plain_text_are_line_ends():
    assert source.normalise("\ufeffа\vб\fв\u2028г\u2029д\r\nе\rж\n") == "а\nб\nв\nг\nд\nе\nж\n"
    read = files.read_file("1.1. А\vБ\n".encode(), "a.txt")
    assert read.manuscript.accepted == "1.1. А\nБ\n"
    assert read.changed() == ["Line endings of Windows, of old Macs or of Word were replaced by plain ones."]


def test_a_word_file_is_recognised_under_any_name():
    read = files.read_file(docx_files.agreement("# А\n\n1.1. Б.\n"), "a.txt")
    assert read.manuscript.accepted == "# А\n\n1.1. Б.\n"
    assert read.encoding == ""
    assert files.read_file("# А\n".encode(), "a.docx").encoding == "UTF-8"


def test_a_sentence_about_a_word_file_says_how_many_names_it_leaves_out():
    hints = [f"Өріс {number}" for number in range(27)]
    found = files.ReadFile("a.docx", reader.Manuscript(accepted="# А\n", rejected="# А\n", placeholders=hints))

    listed = next(sentence for sentence in found.changed() if sentence.startswith("Hints"))

    assert listed.endswith("«Өріс 18», «Өріс 19», … (+7)")


def test_the_language_of_a_text_is_recognised_by_its_letters():
    body = demo.bodies(1)
    assert [languages.recognise(body[code]) for code in ("kk", "ru")] == ["kk", "ru"]
    assert languages.recognise(factories.KK[:20]) == languages.recognise("Terms of use " * 20) == ""
    assert languages.recognise(body["kk"] + body["ru"]) in {"kk", ""}
    assert languages.swapped({"kk": body["ru"], "ru": body["kk"]})
    assert not languages.swapped(body)
    assert not languages.swapped({"kk": body["ru"], "ru": body["ru"]})
    assert not languages.swapped({})
