"""Word files that the app writes: every word in its place, and the same text again when the file is read."""

from __future__ import annotations

import io
import re
import time
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from agreement.text import clauses, source
from agreement.text.redline.changes import redline
from agreement.word import blocks, markup, original, reader, writer
from agreement.word.container import Sheet
from agreement.word.elements import W
from portal_site.management.commands import demo
from tests.support import docx_files
from tests.support.scale import examples
from tests.text.test_clauses import ANY, HOSTILE

pytest.importorskip("docx")

AT = datetime(2026, 3, 1, 4, tzinfo=UTC)
SHEET = Sheet(title="Келісім", language="kk", first=("2-редакция",), foot=("SHA-256 ab",), written=AT)
RICH = """# Шарт

1. ЖАЛПЫ

1.1. **Бірінші** сөз, *екінші* сөз, `код` және [үлгі](https://example.kz/a?b=1).

1.2. Тізім:

- бір
- екі
    - ішкі

1) үшінші
жаңа жол\x20\x20
тағы

а) төртінші

3. бесінші
4. алтыншы

> дәйексөз

| Атауы | Мәні |
|---|---:|
| а | 1 |
| б | |

---

2. СОҢЫ

2.1. 1.1-тармақты қараңыз.

Ескерту. Соңғы сөз.
"""
#: Texts of blocks that a person writes, in any order, so that two of them often have the same clauses.
BLOCKS = st.sampled_from(
    [
        *(
            "# Шарт",
            "1. ЖАЛПЫ",
            "## 2. СОҢЫ",
            "1.1.",
            "1.1. Бір екі үш.",
            "1.2. Бір төрт үш.",
            "1.2. Бір екі үш.",
            "1.2",
        ),
        *(
            "Бір екі.",
            "Бір екі\nтөрт.",
            "Бес  \nалты.",
            "- а\n- б",
            "- а\n- в\n    - г",
            "> дәйексөз",
            "---",
            "    код",
        ),
        *("| а | б |\n|---|---|\n| в | г |", "| а | б |\n|---|---|\n| в | д |\n| е | |", "| а |\n|---|\n| в |"),
        *(
            "1) бір екі",
            "2) үш",
            "а) төрт",
            "Ескерту. Сөз.",
            "**Бір** екі.",
            "3. бес\n4. алты",
            "1-ҚОСЫМША",
            "# ",
            "[сөз](/а)",
        ),
    ]
)
TEXTS = st.one_of(ANY, st.lists(BLOCKS, max_size=8).map("\n\n".join))


def xml(content: bytes, name: str = "word/document.xml") -> str:
    with zipfile.ZipFile(io.BytesIO(content)) as package:
        return package.read(name).decode()


def tree(content: bytes):
    from docx.oxml import parse_xml

    return parse_xml(xml(content).encode())


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text)


def printed(document: clauses.Document) -> list[str]:
    """The words of the text with its numbers, in order."""
    return words("\n".join(f"{unit.label} {unit.text}" for unit in document.units))


def shown(content: bytes) -> list[str]:
    """The words that Word displays in the text, in order."""
    paragraphs = tree(content).iter(f"{W}p")
    return words(
        "\n".join(
            "".join(" " if it.tag == f"{W}br" else it.text for it in paragraph.iter(f"{W}t", f"{W}br"))
            for paragraph in paragraphs
        )
    )


def read(content: bytes) -> reader.Manuscript:
    return reader.read_manuscript(content, "a.docx")


def read_words(content: bytes, monkeypatch) -> str:
    """The text that is read from the words alone."""
    with monkeypatch.context() as patched:
        patched.setattr(original, "stored_body", lambda _part: "")
        return read(content).accepted


def changes(old: str, new: str) -> bytes:
    before, after = clauses.parse(old), clauses.parse(new)
    return writer.changes_file(SHEET, redline(before, after), before, after, author="Портал", at=AT)


# An edition


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("language", ["kk", "ru"])
def test_an_edition_is_read_again_byte_for_byte(number, language):
    body = demo.bodies(number)[language]
    assert read(writer.edition_file(SHEET, body)).accepted == body


@given(TEXTS)
@example(RICH)
@example("Т\n\n1. А\n\n1.1. __сөз__ **сөз** &copy; \\*\n\n\n\n")
@settings(max_examples=examples(100))
def test_any_text_is_read_again_byte_for_byte(text):
    body = source.normalise(re.sub("[\x00\ud800-\udfff]", "", text))
    content = writer.edition_file(SHEET, body)
    assume(any(map(str.isalnum, "".join(shown(content)))))  # A file without words is refused.
    assert read(content).accepted == body


@given(TEXTS)
@example(RICH)
@settings(max_examples=examples(200))
def test_word_displays_every_word_and_number_of_any_text_in_order(body):
    assert shown(writer.edition_file(SHEET, body)) == printed(clauses.parse(body))


@given(TEXTS)
@example(RICH)
@settings(max_examples=examples(200))
def test_a_line_of_word_has_the_characters_of_a_line_of_the_words(body):
    document = clauses.parse(body)
    for unit in document.units:
        lines = [line.text for line in blocks.lines_by_unit(document)[unit.start] if line.spans]
        assert re.sub(r"\s", " ", " ".join(lines)) == re.sub(r"\s", " ", unit.text)


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("language", ["kk", "ru"])
def test_the_words_that_word_displays_have_the_same_clauses_without_the_stored_text(number, language, monkeypatch):
    body = demo.bodies(number)[language]
    found = clauses.parse(read_words(writer.edition_file(SHEET, body), monkeypatch))
    facts = [(unit.kind, unit.number, unit.label, unit.text) for unit in found.units]
    assert facts == [(unit.kind, unit.number, unit.label, unit.text) for unit in clauses.parse(body).units]


def test_the_addresses_of_links_are_in_the_text_and_are_not_reported_as_left_out():
    found = read(writer.edition_file(SHEET, RICH))
    assert "(https://example.kz/a?b=1)" in found.accepted
    assert found.links == []


def test_a_changed_word_is_read_and_the_stored_text_is_not_used():
    def edit(parts: dict[str, bytes]) -> None:
        name = "word/document.xml"
        parts[name] = parts[name].replace("екінші".encode(), "басқа".encode())

    found = read(docx_files.altered(writer.edition_file(SHEET, RICH), edit)).accepted

    assert "басқа сөз" in found
    assert "екінші" not in found


def test_a_damaged_stored_text_is_not_used():
    def damage(parts: dict[str, bytes]) -> None:
        name = "customXml/item1.xml"
        parts[name] = parts[name].replace(b'sha256="', b'sha256="0')

    content = docx_files.altered(writer.edition_file(SHEET, RICH), damage)

    assert read(content).accepted != RICH
    assert "Бірінші сөз" in read(content).accepted.replace("*", "")


def test_a_stored_text_of_other_words_is_not_used():
    other = original.part(RICH.replace("Соңғы", "Басқа"))
    content = docx_files.altered(
        writer.edition_file(SHEET, RICH), lambda parts: parts.update({"customXml/item1.xml": other})
    )
    assert "Басқа" not in read(content).accepted


def test_the_same_text_gives_the_same_bytes():
    assert writer.edition_file(SHEET, RICH) == writer.edition_file(SHEET, RICH)


def test_formats_lists_tables_and_links_are_those_of_word():
    document = xml(writer.edition_file(SHEET, RICH))

    assert '<w:pStyle w:val="Title"/>' in document
    assert document.count('<w:pStyle w:val="Heading1"/>') == 2
    assert '<w:rPr><w:b/></w:rPr><w:t xml:space="preserve">Бірінші</w:t>' in document
    assert '<w:rPr><w:i/></w:rPr><w:t xml:space="preserve">екінші</w:t>' in document
    assert document.count('<w:numPr><w:ilvl w:val="0"/>') == 2
    assert document.count('<w:numPr><w:ilvl w:val="1"/>') == 1
    assert "<w:tblHeader/>" in document
    assert '<w:jc w:val="right"/>' in document
    assert "жаңа жол</w:t><w:br/>" in document
    links = xml(writer.edition_file(SHEET, RICH), "word/_rels/document.xml.rels")
    assert 'Target="https://example.kz/a?b=1" TargetMode="External"' in links


def test_a_reference_leads_to_its_clause():
    document = xml(writer.edition_file(SHEET, RICH))
    assert 'w:name="_clause_1_1"' in document
    assert '<w:hyperlink w:anchor="_clause_1_1">' in document


@pytest.mark.parametrize(
    "address",
    [
        "https://[a",
        "http://a.kz/%z",
        "/kk/",
        "https://a.kz/<x>",
        "http://a.kz:99999/",
        "http://сайт.kz",
        "mailto:a@b@c",
    ],
)
def test_an_address_that_word_may_not_understand_is_words_alone(address):
    body = f"Т\n\n1.1. [сөз]({address})\n"
    content = writer.edition_file(SHEET, body)
    assert 'TargetMode="External"' not in xml(content, "word/_rels/document.xml.rels")
    assert shown(content) == printed(clauses.parse(body))


@pytest.mark.parametrize(("columns", "tables"), [(63, 1), (64, 0)])
def test_a_table_with_more_columns_than_word_has_is_lines_of_words(columns, tables):
    rows = ["|" + "|".join(f"{row}{column}" for column in range(columns)) + "|" for row in "аб"]
    body = f"Т\n\n1.1. Кесте:\n\n{rows[0]}\n{'|-' * columns}|\n{rows[1]}\n"
    for content in (writer.edition_file(SHEET, body), changes("", body)):
        assert xml(content).count("<w:tbl>") == tables
        assert shown(content) == printed(clauses.parse(body))


@pytest.mark.parametrize(("language", "locale"), [("kk", "kk-KZ"), ("ru", "ru-RU")])
def test_a_file_has_its_language_paper_page_numbers_and_statements(language, locale):
    sheet = Sheet(
        title="Т", language=language, approval="№ 5 <бұйрық>", first=("2-редакция",), running="Т · 2", foot=("SHA ab",)
    )
    content = writer.edition_file(sheet, RICH)

    assert f'<w:lang w:val="{locale}"' in xml(content, "word/styles.xml")
    assert 'w:w="11906" w:h="16838"' in xml(content)
    assert "№ 5 &lt;бұйрық&gt;" in xml(content, "word/header2.xml")
    assert "2-редакция" in xml(content, "word/header2.xml")
    assert "Т · 2" in xml(content, "word/header1.xml")
    footer = xml(content, "word/footer1.xml")
    assert "SHA ab" in footer
    assert 'w:instr="PAGE"' in footer


def test_characters_that_xml_forbids_are_replaced():
    content = writer.edition_file(
        Sheet(title="а\x08\ufffe", language="kk"), "Т\n\n1.1. а\x0b\x08б\ufffe\U0010ffff\x85\n"
    )
    assert "а\ufffdб\ufffd" in "".join(it.text for it in tree(content).iter(f"{W}t")).replace("а \ufffd", "а\ufffd")


# Both languages


def test_both_languages_stand_beside_each_other_clause_by_clause():
    bodies = {"kk": "Келісім\n\n1. ЖАЛПЫ\n\n1.1. Бір.\n\n1.3. Үш.\n", "ru": "Соглашение\n\n1. ОБЩЕЕ\n\n1.1. Раз.\n"}
    rows = [
        [" ".join(it.text for it in cell.iter(f"{W}t")).strip() for cell in row.iter(f"{W}tc")]
        for row in tree(writer.bilingual_file(SHEET, bodies)).iter(f"{W}tr")
    ]
    assert rows == [["Келісім", "Соглашение"], ["1. ЖАЛПЫ", "1. ОБЩЕЕ"], ["1.1. Бір.", "1.1. Раз."], ["1.3. Үш.", ""]]


def test_the_label_of_an_article_stands_there_without_its_address():
    body = (
        "Соглашение\n\nСтатья 1. Предмет **договора**\n\n1. Раз.\n\n2. Два.\n\nСтатья 2. Оплата\n\n1. Три.\n\n2. Ещё.\n"
    )
    displayed = "".join(it.text for it in tree(writer.bilingual_file(SHEET, {"kk": body, "ru": body})).iter(f"{W}t"))
    assert "#" not in displayed
    assert displayed.count("Статья 1. Предмет договора") == 2
    document = clauses.parse(body)
    line = blocks.lines_by_unit(document)[document.units[1].start][0]
    assert (line.label, [(span.text, span.format.bold) for span in line.spans]) == (
        "Статья 1.",
        [("Предмет ", False), ("договора", True)],
    )


def test_each_column_has_its_language():
    document = xml(writer.bilingual_file(SHEET, {"kk": RICH, "ru": RICH}))
    assert document.count('<w:lang w:val="kk-KZ"/>') == document.count('<w:lang w:val="ru-RU"/>') > 10


# Changes


@pytest.mark.parametrize(("old", "new"), [(1, 2), (2, 3), (1, 3), (3, 1)])
@pytest.mark.parametrize("language", ["kk", "ru"])
def test_accepting_all_gives_the_new_text_and_rejecting_all_the_old(old, new, language, monkeypatch):
    before, after = demo.bodies(old)[language], demo.bodies(new)[language]
    found = read(changes(before, after))
    assert found.tracked
    assert found.accepted == read_words(writer.edition_file(SHEET, after), monkeypatch)
    assert found.rejected == read_words(writer.edition_file(SHEET, before), monkeypatch)


def sides(content: bytes) -> tuple[list[str], list[str]]:
    """The words of the file with all changes rejected, and with all accepted, without the rules of our reader."""
    found: tuple[list[str], list[str]] = ([], [])
    for gone, side in zip((("ins", "moveTo"), ("del", "moveFrom")), found, strict=True):
        root = tree(content)
        for paragraph in root.iter(f"{W}p"):
            mark = paragraph.find(f"{W}pPr/{W}rPr")
            joins = mark is not None and any(mark.find(f"{W}{name}") is not None for name in gone)
            for it in paragraph.iter(f"{W}t", f"{W}delText", f"{W}br"):
                around = {parent.tag for parent in it.iterancestors()}
                if not around & {f"{W}{name}" for name in gone}:
                    side.append(" " if it.tag == f"{W}br" else it.text)
            side += [] if joins else ["\n"]
    return words("".join(found[0])), words("".join(found[1]))


@given(TEXTS, TEXTS)
@example(RICH, RICH.replace("| а | 1 |\n", "").replace("Бірінші", "Өзге"))
@example(RICH, RICH.replace("1.1. ", "1.4. ").replace("- екі\n", ""))
@example("Т\n\n1.1. А б в г д е\n\n1.2. Ж з и к л м\n", "Т\n\n1.1. Ж з и к л м н\n\n1.2. А б в г д е\n")
@example("Т\n\n1.1. А\nб\n\nв\n", "Т\n\n1.1. А\n\nб в\n")
@example("1.1\n\nБір екі үш.\n", "1.1\n\nБір төрт үш.\n")
@example("1.1 Бір екі үш.\n", "1.2\n\nБір екі үш.\n")
@example("1.1\n", "1.1\n\nБір.\n")
@settings(max_examples=examples(300))
def test_the_sides_of_any_tracked_changes_have_the_words_of_both_texts(old, new):
    content = changes(old, new)
    assert sides(content) == (printed(clauses.parse(old)), printed(clauses.parse(new)))


MOVED = (
    "Т\n\n1. БІР\n\n1.1. Бірінші тармақ ұзақ.\n\n1.2. Екінші сөйлем мүлде өзге.\n\n1.3. Үшінші де бар.\n",
    "Т\n\n1. БІР\n\n1.1. Екінші сөйлем мүлде өзге.\n\n1.2. Үшінші де бар.\n\n1.3. Бірінші тармақ ұзақ.\n",
)


@given(TEXTS, TEXTS)
@example("Т\n\n1.1. Бір.\n\nЕкі.\n\nҮш.\n", "Т\n\n1.1. Бір.\n\nҮш.\n\nТөрт.\n")
@example("Т\n\n1.1. Бір бес алты.\n\nЕкі жеті сегіз.\n", "Т\n\n1.1. Бір бес алты екі жеті сегіз.\n")
@example("1.1", "1.1\n\n0")
@example("Т\n\n1.1. Бір.\n\n---\n\nЕкі.\n", "Т\n\n1.1. Бір үш.\n\n---\n\nЕкі.\n")
@example(*MOVED)
@settings(max_examples=examples(200))
def test_no_paragraph_is_left_over_when_changes_are_accepted_or_rejected(old, new):
    assume("|" not in old + new)
    content = changes(old, new)
    for body, gone in ((old, ("ins", "moveTo")), (new, ("del", "moveFrom"))):
        lines = [line for unit in blocks.lines_by_unit(clauses.parse(body)).values() for line in unit]
        marks = [paragraph.find(f"{W}pPr/{W}rPr") for paragraph in tree(content).iter(f"{W}p")]
        left = [mark for mark in marks if mark is None or not any(mark.find(f"{W}{name}") is not None for name in gone)]
        assert len(left) == len(lines) + 1  # The last paragraph of the file is empty.


def unescaped(text: str) -> str:
    return re.sub(r"\\([\W_])", r"\1", text).replace("&amp;", "&")


@given(TEXTS, TEXTS)
@example("", "    &ap;")
@settings(max_examples=examples(100))
def test_the_reader_gives_the_words_of_both_texts(old, new):
    content = changes(old, new)
    expected = [printed(clauses.parse(body)) for body in (old, new)]
    assume(any(map(str.isalnum, "".join(expected[1]))))
    found = read(content)
    if found.tracked:
        assert [words(unescaped(text)) for text in (found.rejected, found.accepted)] == expected


def test_word_marks_the_words_that_the_page_marks():
    old, new = (demo.bodies(number)["ru"] for number in (1, 2))
    compared = redline(clauses.parse(old), clauses.parse(new))
    stays = [change for change in compared.changed if not change.moved and change.old and change.new]
    for kind, tag in (("delete", "delText"), ("insert", "t")):
        around = f"{W}{'del' if kind == 'delete' else 'ins'}"
        marked = [
            "".join(it.text for it in element.iter(f"{W}{tag}")) for element in tree(changes(old, new)).iter(around)
        ]
        for change in stays:
            for run in change.words:
                if run.kind == kind and run.text.strip():
                    assert set(run.text.split("\n")) - {""} <= set(marked)


def test_a_renumbered_clause_has_a_tracked_number():
    old = "Т\n\n1. БІР\n\n1.1. Бірінші тармақ осында.\n\n1.2. Екінші тармақ осында.\n"
    new = (
        "Т\n\n1. БІР\n\n1.1. Мүлде жаңа сөйлем қосылды.\n\n1.2. Бірінші тармақ осында.\n\n1.3. Екінші тармақ осында.\n"
    )
    document = xml(changes(old, new))
    assert '<w:delText xml:space="preserve">1.2. </w:delText>' in document
    assert re.search(r'<w:ins [^>]*><w:r><w:t xml:space="preserve">1.3. </w:t></w:r></w:ins>', document)


def test_a_moved_clause_is_a_move_with_one_name_at_both_places():
    first, second = "Бірінші тармақ туралы ұзақ сөйлем.", "Екінші тармақ мүлде өзге мәтін."
    old = f"Т\n\n1. БІР\n\n1.1. {first}\n\n1.2. {second}\n\n1.3. Үшінші тармақ та бар.\n"
    new = f"Т\n\n1. БІР\n\n1.1. {second}\n\n1.2. Үшінші тармақ та бар.\n\n1.3. {first}\n"
    document = xml(changes(old, new))

    (left,) = re.findall(r'<w:moveFromRangeStart w:id="(\d+)" w:name="move1"', document)
    (came,) = re.findall(r'<w:moveToRangeStart w:id="(\d+)" w:name="move1"', document)
    assert f'<w:moveFromRangeEnd w:id="{left}"/>' in document
    assert f'<w:moveToRangeEnd w:id="{came}"/>' in document
    for tag in ("moveFrom", "moveTo"):
        moved = re.search(rf"<w:{tag} [^>]*>(<w:r>.*?)</w:{tag}>", document)
        assert moved
        assert first in moved[1]


def test_a_new_clause_has_an_inserted_paragraph_mark_and_a_deleted_one_a_deleted_mark():
    old = "Т\n\n1. БІР\n\n1.1. Қалған тармақ.\n\n1.2. Кеткен сөздер мұнда.\n"
    new = "Т\n\n1. БІР\n\n1.1. Қалған тармақ.\n\n1.3. Жаңа нәрсе жазылды тағы.\n"
    document = xml(changes(old, new))
    assert re.search(r"<w:pPr><w:rPr><w:del [^>]*/></w:rPr></w:pPr><w:del [^>]*><w:r>.*?Кеткен", document)
    assert re.search(r"<w:pPr><w:rPr><w:ins [^>]*/></w:rPr></w:pPr><w:ins [^>]*><w:r>.*?Жаңа", document)


def test_changed_rows_of_a_table_are_tracked_rows():
    table = "Т\n\n1.1. Кесте:\n\n| а | б |\n|---|---|\n| бір | 1 |\n| екі | 2 |\n"
    longer = table.replace("| екі | 2 |\n", "| екі | 3 |\n| төрт | 4 |\n")

    document = xml(changes(table, longer))
    assert document.count("<w:tbl>") == 1
    assert len(re.findall(r"<w:trPr><w:ins [^>]*/></w:trPr>", document)) == 1
    assert '<w:delText xml:space="preserve">2</w:delText>' in document

    assert len(re.findall(r"<w:trPr><w:del [^>]*/></w:trPr>", xml(changes(longer, table)))) == 1


def test_a_changed_format_is_tracked():
    document = xml(changes("Т\n\n1.1. Бір екі үш.\n", "Т\n\n1.1. Бір **екі** үш.\n"))
    assert re.search(r"<w:rPr><w:b/><w:rPrChange [^>]*><w:rPr/></w:rPrChange></w:rPr>", document)


def test_every_change_has_an_id_of_its_own_an_author_and_a_moment():
    document = xml(changes(*(demo.bodies(number)["kk"] for number in (1, 2))))
    tracked = re.findall(r'<w:(?:ins|del|moveFrom|moveTo|rPrChange|pPrChange) w:id="(\d+)"([^>]*)>', document)
    assert len({key for key, _rest in tracked}) == len(tracked) > 10
    assert {rest.rstrip("/") for _key, rest in tracked} == {' w:author="Портал" w:date="2026-03-01T04:00:00Z"'}


# Hostile texts


def test_a_paragraph_of_many_formats_is_compared_in_seconds():
    old, new = (f"Т\n\n{words * 80_000}\n" for words in ("*а* б ", "**а** в "))
    started = time.process_time()
    changes(old, new)
    assert time.process_time() - started < 5


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_is_written_in_seconds(name):
    text = HOSTILE[name][: len(HOSTILE[name]) // 8]
    started = time.process_time()
    writer.edition_file(SHEET, text)
    changes(text, text.replace("а", "б"))
    writer.bilingual_file(SHEET, {"kk": text, "ru": text})
    assert time.process_time() - started < 5


def test_the_order_of_elements_is_that_of_the_standard():
    """Word refuses a file with another order."""
    order = {
        "pPr": "pStyle keepNext numPr ind jc rPr pPrChange".split(),
        "rPr": "ins del moveFrom moveTo rStyle rFonts b i strike color u lang rPrChange".split(),
        "trPr": "cantSplit tblHeader ins del".split(),
        "tcPr": "tcW gridSpan".split(),
    }
    contents = [
        writer.edition_file(SHEET, RICH),
        writer.bilingual_file(SHEET, {"kk": RICH, "ru": RICH}),
        changes(RICH, RICH.replace("бір", "**бір** екі")),
    ]
    for content in contents:
        for name, names in order.items():
            for element in tree(content).iter(f"{W}{name}"):
                found = [names.index(child.tag.removeprefix(W)) for child in element]
                assert found == sorted(found)


def test_the_styles_that_paragraphs_name_exist():
    styles = set(re.findall(r'w:styleId="(\w+)"', xml(writer.edition_file(SHEET, RICH), "word/styles.xml")))
    sources = [Path(module.__file__).read_text(encoding="utf-8") for module in (blocks, markup, writer)]
    named = set(re.findall(r'(?:Layout\("|pStyle w:val="|rStyle w:val="|tblStyle w:val=")(\w+)"', "".join(sources)))
    assert named <= styles
