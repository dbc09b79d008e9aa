"""Word files as packages: what is opened, what is refused, and what is left alone and reported."""

from __future__ import annotations

import contextlib
import io
import random
import re
import zipfile

import pytest

from agreement.text import source
from agreement.word import package, reader
from tests.support import docx_files

pytestmark = pytest.mark.usefixtures("english")

pytest.importorskip("docx")


PLAIN = docx_files.agreement("# А\n\n1.1. Б.\n")


def _related(kind: str, target: str, *, external: bool = False, key: str = "rId900", of: str = "document"):
    """A change of a package: the part gets this relation."""
    mode = ' TargetMode="External"' if external else ""
    relation = f'<Relationship Id="{key}" Type="http://a/relationships/{kind}" Target="{target}"{mode}/>'
    name = f"word/_rels/{of}.xml.rels"
    empty = b'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"></Relationships>'

    def alter(parts: dict[str, bytes]) -> None:
        parts[name] = parts.get(name, empty).replace(b"</Relationships>", f"{relation}</Relationships>".encode())

    return alter


def _renamed(new: str, *, content_type: bool = True):
    """A change of a package: its main part has another name. Word writes ``document2.xml``; an attacker, any."""

    def alter(parts: dict[str, bytes]) -> None:
        parts[f"word/{new}"] = parts.pop("word/document.xml")
        parts[f"word/_rels/{new}.rels"] = parts.pop("word/_rels/document.xml.rels")
        parts["_rels/.rels"] = parts["_rels/.rels"].replace(b"word/document.xml", f"word/{new}".encode())
        if content_type:
            parts["[Content_Types].xml"] = parts["[Content_Types].xml"].replace(b"document.xml", new.encode())

    return alter


def _all(*changes):
    return lambda parts: [change(parts) for change in changes]


def _macro(parts):
    parts["word/vbaProject.bin"] = b"x"
    _related("vbaProject", "vbaProject.bin")(parts)


def _macro_type(parts):
    parts["[Content_Types].xml"] = parts["[Content_Types].xml"].replace(b"document.main", b"document.macroEnabled.main")


def _entity(parts):
    document = parts["word/document.xml"].split(b"?>", 1)[1]
    parts["word/document.xml"] = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]>' + document


def _entity_utf16(parts):
    text = parts["word/document.xml"].decode().split("?>", 1)[1]
    parts["word/document.xml"] = ('<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a>' + text).encode("utf-16")


def _odd_encoding(parts):
    parts["word/document.xml"] = parts["word/document.xml"].replace(b"UTF-8", b"UTF-7", 1)


def _bomb(parts):
    parts["word/media/a.xml"] = b" " * (package.MAX_UNPACKED + 1)


def _many_parts(parts):
    parts.update({f"word/{number}.txt": b"" for number in range(package.MAX_PARTS)})


def _zeros(parts):
    """UTF-16 without a byte order mark and without a declaration: the parser would recognise it by its zeros."""
    text = parts["word/document.xml"].decode().split("?>", 1)[1]
    parts["word/document.xml"] = text.strip().encode("utf-16-le")


def _crumbs(parts):
    parts["word/document.xml"] = parts["word/document.xml"].replace(
        b"<w:sectPr", b"<w:p/>" * package.MAX_TAGS + b"<w:sectPr"
    )


def _no_document(parts):
    del parts["word/document.xml"]


def _broken(parts):
    parts["word/document.xml"] = b"<w:document"


@pytest.mark.parametrize(
    ("alter", "says"),
    [
        (_macro, "macros"),
        (_macro_type, "macros"),
        (_entity, "entities"),
        (_entity_utf16, "entities"),
        (_odd_encoding, "unusual encoding"),
        (_all(_entity, _renamed("document.dat")), "entities"),
        (_all(_entity, _renamed("document2.XML", content_type=False)), "entities"),
        (_all(_crumbs, _renamed("document.dat")), "too large"),
        (_zeros, "unusual encoding"),
        (_bomb, "too large"),
        (_many_parts, "too large"),
        (_crumbs, "too large"),
        (_no_document, "not a .docx"),
        (_broken, "can't be read"),
    ],
)
def test_a_dangerous_file_is_refused_before_its_words_are_read(alter, says, monkeypatch):
    import docx

    if says != "can't be read":
        monkeypatch.setattr(docx, "Document", lambda _stream: pytest.fail("it was opened"))
    with pytest.raises(source.SourceError, match=says):
        reader.read_manuscript(docx_files.altered(PLAIN, alter), "a.docx")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"# A", PLAIN[:500], b"x" * (package.MAX_PACKED + 1)])
def test_what_is_no_word_file_is_refused(content):
    with pytest.raises(source.SourceError):
        reader.read_manuscript(content, "a.docx")


@pytest.mark.parametrize(
    ("local", "central", "says"),
    [(4, 6, "it is not a .docx file"), (8, 10, "it is encrypted or damaged")],
    ids=["version", "compression"],
)
def test_a_form_of_zip_that_python_cannot_read_is_refused(local, central, says):
    """The headers of every part name version or compression 99, which no library reads."""
    content = bytearray(PLAIN)
    for signature, place in ((b"PK\x03\x04", local), (b"PK\x01\x02", central)):
        start = -1
        while (start := content.find(signature, start + 1)) >= 0:
            content[start + place : start + place + 2] = (99).to_bytes(2, "little")
    with pytest.raises(source.SourceError, match=says):
        reader.read_manuscript(bytes(content), "a.docx")


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_part_that_can_not_be_unpacked_is_refused(compression):
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(PLAIN)) as plain, zipfile.ZipFile(stream, "w", compression) as package:
        for name in plain.namelist():
            package.writestr(name, plain.read(name))
    refused = 0
    content = stream.getvalue()
    part = zipfile.ZipFile(io.BytesIO(content)).getinfo("word/document.xml")
    for step in range(60):
        damaged = bytearray(content)
        damaged[part.header_offset + 60 + step * part.compress_size // 70] ^= 0xFF
        try:
            reader.read_manuscript(bytes(damaged), "a.docx")
        except source.SourceError as error:
            refused += "encrypted or damaged" in str(error)
    assert refused > 50


def test_an_encrypted_package_is_refused():
    damaged = bytearray(PLAIN)
    stream = io.BytesIO(PLAIN)
    with zipfile.ZipFile(stream) as package:
        offset = package.infolist()[0].header_offset
    damaged[offset + 6] |= 1
    central = PLAIN.find(b"PK\x01\x02")
    damaged[central + 8] |= 1
    with pytest.raises(source.SourceError, match="encrypted"):
        reader.read_manuscript(bytes(damaged), "a.docx")


@pytest.mark.parametrize("name", ["document2.xml", "document.dat", "Основной.xml"])
def test_the_main_part_may_have_any_name(name):
    assert reader.read_manuscript(docx_files.altered(PLAIN, _renamed(name)), "a.docx").accepted == "# А\n\n1.1. Б.\n"


@pytest.mark.parametrize(
    "alter",
    [
        lambda parts: parts.update({"word/printerSettings/printerSettings1.bin": b"x"}),
        lambda parts: parts.update({"word/embeddings/a.xlsm": b"x", "word/media/a.exe": b"MZ"}),
        lambda parts: parts.update({"word/media/a.xml": b"<!DOCTYPE a>", "word/media/b.xml": b"<" * 600_000}),
        _related("header", "../word/document.xml"),
        _related("styles", "absent.xml"),
    ],
    ids=["settings of a printer", "embedded files", "parts that are not read", "itself", "absent"],
)
def test_parts_that_are_not_read_refuse_nothing(alter):
    assert reader.read_manuscript(docx_files.altered(PLAIN, alter), "a.docx").accepted == "# А\n\n1.1. Б.\n"


def test_links_to_files_elsewhere_are_reported_and_hyperlinks_are_not():
    picture, address = "file:///C:/a.png", "https://example.kz/"
    content = docx_files.altered(
        PLAIN,
        _all(
            _related("attachedTemplate", r"file:///C:\Users\a.dot", external=True, of="settings"),
            _related("image", picture, external=True),
            _related("image", picture, external=True, key="rId901"),
            _related("hyperlink", address, external=True, key="rId902"),
        ),
    )
    with zipfile.ZipFile(io.BytesIO(package.open_package(content, "a.docx").content)) as opened:
        names, relations = opened.namelist(), opened.read("word/_rels/document.xml.rels").decode()
    assert address in relations
    assert picture not in relations
    assert not any("settings" in name or name.endswith((".bin", ".png")) for name in names)
    assert sorted(reader.read_manuscript(content, "a.docx").outside) == [
        picture,
        r"file:///C:\Users\a.dot",
    ]


def test_a_part_that_many_relations_name_is_unpacked_once():
    header = b'<w:hdr xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"/>'
    changes = [_related("header", "h.xml", key=f"h{number}") for number in range(50)]
    content = docx_files.altered(PLAIN, _all(lambda parts: parts.update({"word/h.xml": header}), *changes))
    with zipfile.ZipFile(io.BytesIO(package.open_package(content, "a.docx").content)) as opened:
        assert opened.read("word/_rels/document.xml.rels").count(b"/header") == 1


def _strict(parts):
    """What Word writes as "Strict Open XML Document": the same elements in other namespaces."""
    for name, part in parts.items():
        if name.endswith((".xml", ".rels")):
            for strict, ordinary in package._STRICT.items():
                part = part.replace(ordinary, strict)
            parts[name] = part


def test_a_strict_file_is_read_as_an_ordinary_one_and_its_words_stay():
    address = "http://purl.oclc.org/ooxml/wordprocessingml/main"
    document = docx_files.numbered()
    docx_files.paragraph(document, f'Мына xmlns:w="{address}" сөз.', 1)
    content = docx_files.saved(document)
    strict = docx_files.altered(content, _strict)
    assert strict != content
    found = reader.read_manuscript(strict, "a.docx").accepted
    assert found == reader.read_manuscript(content, "a.docx").accepted
    assert re.match(r"1\.1\. .*purl", found)


def test_a_template_of_word_is_read_as_a_document():
    def alter(parts):
        types = parts["[Content_Types].xml"]
        parts["[Content_Types].xml"] = types.replace(b"document.main+xml", b"template.main+xml")

    assert reader.read_manuscript(docx_files.altered(PLAIN, alter), "a.dotx").accepted


def test_a_file_with_damaged_bytes_is_read_or_refused():
    chance = random.Random(16)  # noqa: S311 - the seed repeats the files
    texts = []
    for _file in range(300):
        content = bytearray(PLAIN)
        content[chance.randrange(len(content))] = chance.randrange(256)
        with contextlib.suppress(source.SourceError):
            texts.append(reader.read_manuscript(bytes(content), "a.docx").accepted)
    assert all(texts)
