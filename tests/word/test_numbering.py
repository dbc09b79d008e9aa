"""Automatic numbers: counted as Word counts them, and named where it is not sure that Word prints them so."""

from __future__ import annotations

import pytest

from agreement.word import numbering, reader
from tests.word import numbering_cases
from tests.word.numbering_cases import CASES, Case, empty, item, items, plain

pytest.importorskip("docx")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_number_is_what_word_prints(case: Case):
    found = reader.read_manuscript(case.content(), "a.docx")

    expected = case.expected()
    assert numbering_cases.labels(found.accepted, len(expected)) == expected
    assert [label or "∅" for label, _words in found.uncertain] == case.uncertain.split()


def read(body: str, numbering: str = numbering_cases.AGREEMENT, styles: str = "") -> reader.Manuscript:
    return reader.read_manuscript(numbering_cases.document(body, numbering, styles), "a.docx")


def test_the_numbers_of_the_two_upper_levels_are_listed_with_their_first_words():
    long = "Тараптар осы шарттың талаптарын орындауға міндеттенеді және оларды өзгертпейді"
    found = read(items(0, 1, 2) + item(1, words=long) + empty(0) + plain())
    assert found.numbers == [("1.", "Слово1"), ("1.1.", "Слово2"), ("1.2.", long[:60])]


def test_the_number_of_an_empty_paragraph_is_counted_and_reported():
    found = read(items(0, 1) + empty(1) + items(1))
    assert found.accepted == "1. Слово1\n\n1.1. Слово2\n\n1.3. Слово3\n"
    assert found.empty_numbers == ["1.2."]


@pytest.mark.parametrize(
    "field",
    [
        "<w:fldSimple w:instr=' LISTNUM NumberDefault \\l 2 '/>",
        "<w:r><w:instrText> LIST</w:instrText></w:r><w:r><w:instrText>NUM </w:instrText></w:r>",
        "<w:r><w:instrText>AUTONUMLGL \\e</w:instrText></w:r>",
    ],
)
def test_a_number_that_a_field_computes_is_reported_with_its_place(field):
    found = read(f"<w:p>{field}<w:r><w:t>Срок аренды</w:t></w:r></w:p>")
    assert (found.accepted, found.uncertain) == ("Срок аренды\n", [("", "Срок аренды")])


def test_a_field_that_computes_no_number_is_not_reported():
    assert not read("<w:p><w:fldSimple w:instr='REF LISTNUMBERS'/><w:r><w:t>Срок</w:t></w:r></w:p>").uncertain


def test_a_deleted_paragraph_is_counted_only_where_it_is_read():
    mark = '<w:rPr><w:del w:id="1" w:author="А"/></w:rPr>'
    deleted = item(1, words="", more=mark).replace(
        "</w:p>", '<w:del w:id="2" w:author="А"><w:r><w:delText>Слово</w:delText></w:r></w:del></w:p>'
    )
    found = read(items(0, 1) + deleted + items(1))
    assert found.accepted == "1. Слово1\n\n1.1. Слово2\n\n1.2. Слово3\n"
    assert found.rejected == "1. Слово1\n\n1.1. Слово2\n\n1.2. Слово\n\n1.3. Слово3\n"


def test_an_inserted_paragraph_is_counted_only_where_it_is_read():
    mark = '<w:rPr><w:ins w:id="1" w:author="А"/></w:rPr>'
    inserted = item(1, words="", more=mark).replace(
        "</w:p>", '<w:ins w:id="2" w:author="А"><w:r><w:t>Слово</w:t></w:r></w:ins></w:p>'
    )
    found = read(items(0, 1) + inserted + items(1))
    assert found.accepted == "1. Слово1\n\n1.1. Слово2\n\n1.2. Слово\n\n1.3. Слово3\n"
    assert found.rejected == "1. Слово1\n\n1.1. Слово2\n\n1.2. Слово3\n"


def test_a_moved_paragraph_is_counted_where_it_is_read():
    def moved(kind: str) -> str:
        mark = f'<w:rPr><w:{kind} w:id="1" w:author="А"/></w:rPr>'
        run = f'<w:{kind} w:id="2" w:author="А"><w:r><w:t>Слово</w:t></w:r></w:{kind}>'
        return item(1, words="", more=mark).replace("</w:p>", run + "</w:p>")

    found = read(items(0, 1) + moved("moveFrom") + items(1) + moved("moveTo") + items(1))
    assert found.accepted == "1. Слово1\n\n1.1. Слово2\n\n1.2. Слово3\n\n1.3. Слово\n\n1.4. Слово4\n"
    assert found.rejected == "1. Слово1\n\n1.1. Слово2\n\n1.2. Слово\n\n1.3. Слово3\n\n1.4. Слово4\n"
    assert found.empty_numbers == []


def test_a_number_that_was_tracked_as_added_or_removed_is_in_one_reading_only():
    tracked = '<w:p><w:ins w:id="9" w:author="А"><w:r><w:t>Слово</w:t></w:r></w:ins></w:p>'
    own = '<w:numPr><w:ilvl w:val="0"/><w:numId w:val="1"/></w:numPr>'
    removed = f'<w:pPrChange w:id="1" w:author="А"><w:pPr>{own}</w:pPr></w:pPrChange>'
    added = own.replace("</w:numPr>", '<w:ins w:id="2" w:author="А"/></w:numPr>')
    found = read(items(0) + item(None, None, more=removed) + item(None, None, more=added) + items(0) + tracked)
    assert found.accepted == "1. Слово1\n\nСлово2\n\n2. Слово3\n\n3. Слово4\n\nСлово\n"
    assert found.rejected == "1. Слово1\n\n2. Слово2\n\nСлово3\n\n3. Слово4\n"


@pytest.mark.parametrize(
    ("number", "form", "written"),
    [
        (1, "lowerLetter", "a"),
        (27, "upperLetter", "AA"),
        (780, "lowerLetter", "z" * 30),
        (1999, "lowerRoman", "mcmxcix"),
    ],
)
def test_a_number_is_written_in_its_format(number, form, written):
    assert numbering._written(number, form) == (written, True)


@pytest.mark.parametrize(("number", "form"), [(0, "lowerLetter"), (781, "lowerLetter"), (4000, "upperRoman"), (1, "")])
def test_a_number_that_its_format_cannot_write_is_written_in_digits_and_is_not_sure(number, form):
    assert numbering._written(number, form) == (str(number), False)
