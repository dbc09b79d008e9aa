"""The instrument of amendment as a Word file."""

from __future__ import annotations

import io
import time
import zipfile
from datetime import UTC, datetime

import docx
import pytest

from agreement.word.instrument import write_instrument

PARAGRAPHS = (
    ("approval", "Приказ № 7"),
    ("title", "О внесении изменения"),
    ("clause", "1. Внести:"),
    ("point", "1) пункт 1.1 исключить."),
    ("quote", "«Ә ғ қ ң ө ұ ү һ і».\x00\ud800"),
)
AT = datetime(2026, 3, 1, 4, tzinfo=UTC)


def test_every_paragraph_is_in_the_file_and_what_xml_cannot_contain_is_marked():
    document = docx.Document(io.BytesIO(write_instrument(PARAGRAPHS, language="kk", at=AT)))
    assert [paragraph.text for paragraph in document.paragraphs] == [
        *(text for _style, text in PARAGRAPHS[:-1]),
        "«Ә ғ қ ң ө ұ ү һ і».\ufffd\ufffd",
    ]
    assert document.core_properties.title == "О внесении изменения"
    assert document.core_properties.created == AT
    assert document.core_properties.author == ""


@pytest.mark.parametrize("at", [AT, None])
def test_the_same_instrument_is_the_same_bytes_at_any_time(at):
    content = write_instrument(PARAGRAPHS, language="ru", at=at)
    assert content == write_instrument(PARAGRAPHS, language="ru", at=at)
    assert {part.date_time for part in zipfile.ZipFile(io.BytesIO(content)).infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_the_time_grows_with_the_paragraphs():
    taken = []
    for count in (2_000, 16_000):
        begin = time.process_time()
        write_instrument([("quote", "сөз")] * count, language="kk")
        taken.append(time.process_time() - begin)
    assert taken[1] < 12 * taken[0], taken
