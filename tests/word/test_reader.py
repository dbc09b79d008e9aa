"""Word files: the numbers Word shows, what was tracked, what is left out, and what is never opened."""

from __future__ import annotations

import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

from agreement.text import clauses
from agreement.word import elements, reader
from portal_site.management.commands import demo
from tests.support import docx_files

pytestmark = pytest.mark.usefixtures("english")

pytest.importorskip("docx")


def read(document: object) -> reader.Manuscript:
    return reader.read_manuscript(docx_files.saved(document), "a.docx")


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("language", ["kk", "ru"])
def test_a_word_file_has_the_clauses_of_its_markdown(number, language):
    body = demo.bodies(number)[language]
    found = clauses.parse(reader.read_manuscript(docx_files.agreement(body), "a.docx").accepted)
    expected = clauses.parse(body)
    facts = [(unit.kind, unit.number, unit.label, unit.text) for unit in found.units]
    assert facts == [(unit.kind, unit.number, unit.label, unit.text) for unit in expected.units]
    assert found.title == expected.title


def test_levels_restart_and_letters_follow():
    document = docx_files.numbered()
    for words, depth in (("А", 0), ("Б", 1), ("В", 2), ("Г", 3), ("Д", 3), ("Е", 1), ("Ж", 2), ("З", 0), ("И", 1)):
        docx_files.paragraph(document, words, depth)
    assert labels(document) == ["1.", "1.1.", "1)", "а)", "б)", "1.2.", "1)", "2.", "2.1."]


def labels(document: object) -> list[str]:
    return [line.split()[0] for line in read(document).accepted.splitlines() if line]


def test_tracked_changes_give_two_texts():
    document = docx_files.numbered()
    docx_files.add(
        document,
        docx_files.run("Было ")
        + docx_files.deleted("десять")
        + docx_files.inserted("двадцать")
        + docx_files.run(" дней."),
    )
    docx_files.add(document, "<w:pPr><w:rPr><w:ins w:id='3' w:author='А'/></w:rPr></w:pPr><w:r><w:t>Один</w:t></w:r>")
    docx_files.add(document, "<w:r><w:t xml:space='preserve'> абзац.</w:t></w:r>")
    found = read(document)
    assert found.accepted == "Было двадцать дней.\n\nОдин\n\nабзац.\n"
    assert found.rejected == "Было десять дней.\n\nОдин абзац.\n"
    assert (found.insertions, found.deletions, found.tracked) == (2, 1, True)


def test_what_did_not_become_text_is_counted_and_reported():
    document = docx_files.numbered()
    made = document.add_paragraph("Текст с примечанием.")
    document.add_comment(made.runs, text="Проверить!", author="Юрист")
    docx_files.add(document, "<w:r><w:rPr><w:vanish/></w:rPr><w:t>Тайное</w:t></w:r><w:r><w:t>Явное</w:t></w:r>")
    docx_files.add(document, "<w:r><w:drawing/></w:r>")
    found = read(document)
    assert found.accepted == "Текст с примечанием.\n\nЯвное\n"
    assert found.comments == ["Юрист: Проверить!"]
    assert (found.hidden, found.pictures) == (1, 1)


def test_the_words_of_a_footnote_are_reported():
    document = docx_files.numbered()
    document.add_paragraph("Текст со сноской.")
    found = reader.read_manuscript(docx_files.with_footnote(docx_files.saved(document), "См. закон."), "a.docx")
    assert (found.accepted, found.footnotes) == ("Текст со сноской.\n", ["См. закон."])


def test_headers_formulas_signs_and_embedded_files_are_reported():
    document = docx_files.numbered()
    section = document.sections[0]
    section.header.paragraphs[0].text = "Жоба, құпия"
    section.footer.paragraphs[0].text = "12"
    docx_files.add(document, "<w:r><w:t xml:space='preserve'>По </w:t><w:sym w:font='Логотип' w:char='F0A7'/></w:r>")
    math = "http://schemas.openxmlformats.org/officeDocument/2006/math"
    fraction = "<m:f><m:num><m:r><m:t>a</m:t></m:r></m:num><m:den><m:r><m:t>b</m:t></m:r></m:den></m:f>"
    docx_files.add(document, f"<m:oMath xmlns:m='{math}'>{fraction}</m:oMath><w:r><w:t> сумма</w:t></w:r>")
    document.element.body.insert(0, parse_xml(f"<w:altChunk {nsdecls('w', 'r')} r:id='rId99'/>"))
    found = read(document)
    assert found.accepted == "По \ufffd\n\n\ufffd сумма\n"
    assert (found.margins, found.odd) == (["Жоба, құпия"], 3)


def test_a_table_and_signs_of_markdown_mean_themselves():
    document = docx_files.numbered()
    document.add_paragraph("# 5 * 6 = _30_ [а](б)")
    table = document.add_table(rows=2, cols=2)
    for place, words in enumerate(("Деректер", "Мерзім", "IP", "3 жыл")):
        table.cell(place // 2, place % 2).text = words
    text = read(document).accepted
    assert text.endswith("| Деректер | Мерзім |\n| --- | --- |\n| IP | 3 жыл |\n")
    shown = clauses.parse("Т\n\n" + text)
    assert "# 5 * 6 = _30_ [а](б)" in shown.units[1].text
    assert "<table>" in shown.html


@pytest.mark.parametrize(("span", "columns"), [("2", 2), ("99999999", 63), ("9" * 30, 63), ("²", 1)])
def test_a_cell_spans_no_more_columns_than_a_table_of_word_has(span, columns):
    document = docx_files.numbered()
    table = document.add_table(rows=1, cols=1)
    table.cell(0, 0).text = "а"
    cell = table.cell(0, 0)._tc.get_or_add_tcPr()
    cell.append(cell.makeelement(f"{elements.W}gridSpan", {f"{elements.W}val": span}))
    assert read(document).accepted.splitlines()[0].count("|") == columns + 1


def test_a_link_becomes_words_and_its_address_is_reported():
    document = docx_files.numbered()
    key = document.part.relate_to(
        "https://example.kz/",
        "http://schemas.openxmlformats.org/officeDocument/2006/relationships/hyperlink",
        is_external=True,
    )
    docx_files.add(document, f"<w:hyperlink r:id='{key}'><w:r><w:t>сайт</w:t></w:r></w:hyperlink>")
    found = read(document)
    assert (found.accepted, found.links) == ("сайт\n", ["https://example.kz/"])
