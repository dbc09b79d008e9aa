"""A small Word file costs little: each value that could cost more has a limit, and the time grows with the file."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import translation

from agreement.text import source
from agreement.word import numbering, package, reader
from tests.support import docx_files
from tests.word import fuzz
from tests.word.numbering_cases import definition, document, item, items, level, num, plain, start, style

pytest.importorskip("docx")


def read(content: bytes) -> reader.Manuscript:
    with translation.override("en"):
        return reader.read_manuscript(content, "a.docx")


@pytest.mark.parametrize("form", ["lowerLetter", "russianUpper", "upperRoman", "decimal", "decimalZero"])
@pytest.mark.parametrize("first", ["2000000000", "9" * 5000])
def test_a_number_has_few_characters_however_large_it_is(form, first):
    levels = re.sub('w:start w:val="1"', f'w:start w:val="{first}"', level(0, "%1.", form))
    found = read(document(items(*[0] * 100), definition(levels) + num()))
    assert found.accepted.splitlines()[0] == f"{numbering.MAX_NUMBER}. Слово1"
    assert found.uncertain[0] == (f"{numbering.MAX_NUMBER}.", "Слово1")


def test_an_overridden_first_number_has_a_limit():
    found = read(document(items(0), definition(level(0, "%1.", "lowerLetter")) + num(1, start(0, 2_000_000_000))))
    assert found.accepted == f"{numbering.MAX_NUMBER}. Слово1\n"


def test_the_text_of_a_number_has_a_limit():
    found = read(document(items(*[0] * 100), definition(level(0, "%1" * 100_000)) + num()))
    assert len(found.accepted) < 100 * 2 * numbering.MAX_TEXT + 1000
    assert len(found.uncertain) == 100


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(
            "<w:tbl>{}{}</w:tbl>".format(
                f"<w:tr>{'<w:tc><w:p/></w:tc>' * 5000}</w:tr>", "<w:tr><w:tc><w:p/></w:tc></w:tr>" * 5000
            ),
            id="rows padded to the widest",
        ),
        pytest.param(
            "<w:tbl><w:tr>{}</w:tr></w:tbl>".format(
                '<w:tc><w:tcPr><w:gridSpan w:val="63"/></w:tcPr><w:p/></w:tc>' * 20_000
            ),
            id="cells that span many columns",
        ),
        pytest.param(items(*[8] * 9000), id="long numbers"),
    ],
)
def test_a_small_file_makes_no_large_text(body):
    levels = [level(depth, "%1" * 127, "lowerLetter", 700) for depth in range(9)]
    content = document(body, definition(*levels) + num())
    with pytest.raises(source.SourceError, match="its text is longer than 2 million characters"):
        read(content)


def test_numbers_of_empty_paragraphs_count_too():
    content = document(item(0, words="") * 9000 + plain(), definition(level(0, "%1" * 127, "lowerLetter", 700)) + num())
    with pytest.raises(source.SourceError, match="longer than 2 million"):
        read(content)


def test_one_paragraph_of_many_has_a_limit():
    mark = '<w:rPr><w:ins w:id="1" w:author="А"/></w:rPr>'
    long = "а" * 100
    with pytest.raises(source.SourceError, match="longer than 2 million"):
        read(document(item(None, None, words=long, more=mark) * 20_100))


def test_attributes_have_a_limit():
    many = " ".join(f'w:a{place}="1"' for place in range(50))
    with pytest.raises(source.SourceError, match="too large when unpacked"):
        read(document(f"<w:p {many}/>" * (package.MAX_ATTRIBUTES // 50) + plain()))


def test_relations_have_a_limit():
    link = '<Relationship Id="h{}" Type="hyperlink" Target="https://a.kz" TargetMode="External"/>'
    links = "".join(map(link.format, range(package.MAX_RELATIONS)))

    def alter(parts: dict[str, bytes]) -> None:
        name = "word/_rels/document.xml.rels"
        parts[name] = parts[name].replace(b"</Relationships>", links.encode() + b"</Relationships>")

    with pytest.raises(source.SourceError, match="too large when unpacked"):
        read(docx_files.altered(document(plain()), alter))


def test_deep_elements_are_refused():
    content = document("<w:sdt>" * 300 + plain() + "</w:sdt>" * 300)
    with pytest.raises(source.SourceError, match="can't be read"):
        read(content)


# Time


def calls(content: bytes) -> int:
    """How many functions of Python and C are called to read the file: its time, but the same on every machine."""
    count = 0

    def counted(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(counted)
    try:
        read(content)
    finally:
        sys.setprofile(None)
    return count


def chain(size: int) -> bytes:
    """Paragraphs with the last of ``size`` styles, each based on the one before it."""
    styles = style("S0", '<w:numId w:val="1"/>')
    styles += "".join(style(f"S{place}", based_on=f"S{place - 1}") for place in range(1, size))
    return document(plain(f"S{size - 1}") * size, definition(level(0, "%1.")) + num(), styles)


def circle(size: int) -> bytes:
    styles = "".join(style(f"S{place}", based_on=f"S{(place + 1) % size}") for place in range(size))
    return document(plain("S0") * size, "", styles)


def lists(size: int) -> bytes:
    """As many lists as paragraphs, each of a definition that refers to a list style."""
    link = '<w:abstractNum w:abstractNumId="{}"><w:numStyleLink w:val="L"/></w:abstractNum>'
    numbering = definition(*[level(depth, "%1.") for depth in range(9)], more='<w:styleLink w:val="L"/>')
    numbering += "".join(link.format(place) for place in range(1, size))
    numbering += "".join(num(place, start(0, 3), of=place - 1) for place in range(1, size + 1))
    return document("".join(item(0, place) for place in range(1, size + 1)), numbering)


def cells(size: int) -> bytes:
    row = f"<w:tr>{'<w:tc><w:p/></w:tc>' * 10}</w:tr>"
    return document("<w:tbl>" + row * size + "</w:tbl>" + plain())


def overrides(size: int) -> bytes:
    return document(items(*[0, 1] * size), definition(level(0, "%1."), level(1, "%2.")) + num(1, start(0, 1) * size))


def headers(size: int) -> bytes:
    """As many relations to one header as the header has paragraphs."""
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/header"
    content_type = "application/vnd.openxmlformats-officedocument.wordprocessingml.header+xml"
    relations = "".join(f'<Relationship Id="h{it}" Type="{kind}" Target="header.xml"/>' for it in range(size))
    space = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"

    def alter(parts: dict[str, bytes]) -> None:
        header = "<w:p><w:r><w:t>Жоба</w:t></w:r></w:p>" * size
        parts["word/header.xml"] = f'<w:hdr xmlns:w="{space}">{header}</w:hdr>'.encode()
        for name, end, added in (
            ("word/_rels/document.xml.rels", b"</Relationships>", relations),
            (
                "[Content_Types].xml",
                b"</Types>",
                f'<Override PartName="/word/header.xml" ContentType="{content_type}"/>',
            ),
        ):
            parts[name] = parts[name].replace(end, added.encode() + end)

    return docx_files.altered(document(plain() * size), alter)


@pytest.mark.parametrize("make", [chain, circle, lists, cells, overrides, headers], ids=lambda make: make.__name__)
def test_the_time_grows_with_the_file(make: Callable[[int], bytes]):
    once, twice, four_times = calls(make(100)), calls(make(200)), calls(make(400))
    assert twice - once < 1.2 * 100 * (once / 100)
    assert four_times - twice < 1.2 * 2 * (twice - once)


def test_a_damaged_file_is_read_or_refused():
    for content in fuzz.mutants(100, 16):
        try:
            read(content)
        except source.SourceError:
            continue
