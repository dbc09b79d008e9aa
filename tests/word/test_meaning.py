"""Word files: what the look of words means, and what stands elsewhere than in the paragraphs of the body."""

from __future__ import annotations

import html
import re
from xml.sax.saxutils import escape

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agreement.text import clauses, source
from agreement.word import reader, symbols
from tests.word.numbering_cases import definition, document, level, num

pytestmark = pytest.mark.usefixtures("english")

pytest.importorskip("docx")

_SPACES = (
    'xmlns:v="urn:schemas-microsoft-com:vml" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
    'xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape" '
    'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'
)


def read(body: str, *, styles: str = "", numbering: str = "") -> reader.Manuscript:
    spaced = body.replace("<w:p>", f"<w:p {_SPACES}>")
    return reader.read_manuscript(document(spaced, numbering, styles), "a.docx")


def run(words: str, properties: str = "") -> str:
    return f'<w:r><w:rPr>{properties}</w:rPr><w:t xml:space="preserve">{words}</w:t></w:r>'


def paragraph(*runs: str, properties: str = "") -> str:
    return f"<w:p><w:pPr>{properties}</w:pPr>{''.join(runs)}</w:p>"


def style(kind: str, key: str, properties: str, *, more: str = "") -> str:
    return (
        f'<w:style w:type="{kind}" w:styleId="{key}"><w:name w:val="{key}"/>{more}<w:rPr>{properties}</w:rPr></w:style>'
    )


def named(key: str) -> str:
    return f'<w:pStyle w:val="{key}"/>'


def cell(content: str, properties: str = "") -> str:
    return f"<w:tc><w:tcPr>{properties}</w:tcPr>{content}</w:tc>"


def table(*rows: str, properties: str = "") -> str:
    return f"<w:tbl><w:tblPr>{properties}</w:tblPr>{''.join(f'<w:tr>{row}</w:tr>' for row in rows)}</w:tbl>"


# Superscripts and subscripts


def raised(words: str) -> str:
    return run(words, '<w:vertAlign w:val="superscript"/>')


def lowered(words: str) -> str:
    return run(words, '<w:vertAlign w:val="subscript"/>')


@pytest.mark.parametrize(
    ("runs", "text"),
    [
        ((run("Пункт 3"), raised("1"), run(" действует.")), "Пункт 3¹ действует."),
        ((run("статья 15"), raised("2"), run("-1")), "статья 15²-1"),
        ((run("3"), raised("1"), run("-тармағы қолданылады.")), "3¹-тармағы қолданылады."),
        ((run("100 м"), raised("2")), "100 м²"),
        ((run("CO"), lowered("2")), "CO₂"),
        ((run("3"), raised("1"), raised("0")), "3¹⁰"),
        ((run("пункт 3"), raised("а")), "пункт 3^(а)"),
        ((run("x"), lowered("до")), "x_(до)"),
        ((run("М. П. "), raised("(подпись)")), "М. П. (подпись)"),
        ((raised("(қолы)"),), "(қолы)"),
        ((run("М. П. "), raised("(signature)")), "М. П. (signature)"),
        ((run("21"), raised("st")), "21ˢᵗ"),
        ((run("закон"), raised("*")), "закон*"),
    ],
)
def test_raised_and_lowered_words_are_never_plain_digits(runs, text):
    found = read(paragraph(*runs))
    assert found.accepted.replace("\\", "") == text + "\n"
    assert found.raised == int("*" not in text and "(" not in text.replace("^(", "").replace("_(", ""))


def test_words_are_raised_by_a_style_and_not_by_a_switch_that_is_off():
    styles = style("character", "Сноска", '<w:vertAlign w:val="superscript"/>')
    own = '<w:rStyle w:val="Сноска"/>'
    body = paragraph(run("3"), run("1", own), run(" и 4"), run("2", own + '<w:vertAlign w:val="baseline"/>'))
    assert read(body, styles=styles).accepted == "3¹ и 42\n"


def test_smaller_words_at_another_height_are_raised_or_lowered():
    up, down = '<w:position w:val="8"/>', '<w:position w:val="-4"/>'
    small, large = '<w:sz w:val="19"/>', '<w:sz w:val="28"/>'
    body = paragraph(run("3", large), run("1", up + small), run(" CO", large), run("2", down + small))
    layout = paragraph(run("Сома ", large), run("15", large + up), run(" теңге", large))
    assert read(body + layout).accepted == "3¹ CO₂\n\nСома 15 теңге\n"


@given(st.text("0123456789"))
def test_raised_digits_are_digits_of_another_form(digits):
    assert [int(character) if character else 0 for character in digits] == [
        "⁰¹²³⁴⁵⁶⁷⁸⁹".index(character) for character in symbols.raised_words(digits, "superscript", "3")
    ]
    assert symbols.raised_words(digits, "subscript", "") == digits.translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))


# Struck words


@pytest.mark.parametrize("strike", ["<w:strike/>", "<w:dstrike/>", '<w:strike w:val="1"/>', '<w:rStyle w:val="С"/>'])
def test_words_struck_by_hand_are_asked_about_like_deletions(strike):
    styles = style("character", "С", "<w:strike/>")
    found = read(paragraph(run("Срок — "), run("три", strike), run(" года ", strike), run("пять лет.")), styles=styles)
    assert found.accepted == "Срок — пять лет.\n"
    assert found.rejected == "Срок — три года пять лет.\n"
    assert (found.struck, found.deletions, found.tracked) == (1, 0, True)


def test_a_struck_paragraph_keeps_its_number_from_the_next_one():
    number = '<w:numPr><w:ilvl w:val="0"/><w:numId w:val="1"/></w:numPr>'
    body = "".join(
        paragraph(run(words, properties), properties=number)
        for words, properties in (("Бірінші.", ""), ("Екінші.", "<w:strike/>"), ("Үшінші.", ""))
    )
    found = read(body, numbering=definition(level(0, "%1.")) + num())
    assert found.accepted == "1. Бірінші.\n\n3. Үшінші.\n"
    assert found.rejected == "1. Бірінші.\n\n2. Екінші.\n\n3. Үшінші.\n"
    assert found.empty_numbers == ["2."]


def test_a_row_whose_words_are_all_struck_is_asked_about():
    struck = cell(paragraph(run("екі", "<w:strike/>"))) + cell(paragraph())
    body = table(cell(paragraph(run("бір"))) + cell(paragraph()), struck, cell(paragraph()) + cell(paragraph()))
    found = read(body)
    assert found.accepted == "| бір |  |\n| --- | --- |\n|  |  |\n"
    assert found.rejected == "| бір |  |\n| --- | --- |\n| екі |  |\n|  |  |\n"


def test_a_strike_that_is_off_strikes_nothing():
    found = read(paragraph(run("Срок", '<w:strike w:val="0"/><w:dstrike w:val="false"/>')))
    assert (found.accepted, found.tracked) == ("Срок\n", False)


# Hidden words


@pytest.mark.parametrize("value", ["0", "false", "off"])
def test_words_whose_hiding_is_switched_off_are_read(value):
    found = read(paragraph(run("Явное", f'<w:vanish w:val="{value}"/>')))
    assert (found.accepted, found.hidden) == ("Явное\n", 0)


_HIDING = (
    style("paragraph", "А", "<w:vanish/>")
    + style("paragraph", "Б", "", more='<w:basedOn w:val="А"/><w:link w:val="В"/>')
    + style("character", "В", "<w:vanish/>", more='<w:link w:val="Б"/>')
)


@pytest.mark.parametrize(
    "hidden",
    [
        paragraph(run("тайна", "<w:vanish/>")),
        paragraph(run("тайна"), properties=named("А")),
        paragraph(run("тайна"), properties=named("Б")),
        paragraph(run("тайна", '<w:rStyle w:val="В"/>')),
        table(cell(paragraph(run("тайна", "<w:vanish/>")))),
    ],
    ids=["run", "paragraph style", "based style", "character style", "cell"],
)
def test_hidden_words_are_left_out_and_counted(hidden):
    found = read(paragraph(run("Явное")) + hidden, styles=_HIDING)
    assert "тайна" not in found.accepted
    assert found.hidden == 1


def test_switches_of_two_styles_cancel_each_other():
    body = paragraph(run("Жеті", '<w:rStyle w:val="В"/>'), properties=named("А"))
    assert read(body, styles=_HIDING).accepted == "Жеті\n"


def test_a_switch_of_the_words_themselves_outweighs_styles():
    body = paragraph(run("Жеті", '<w:rStyle w:val="В"/><w:vanish w:val="0"/>'))
    assert read(body, styles=_HIDING).accepted == "Жеті\n"


def test_a_switch_of_the_whole_document_is_not_cancelled():
    styles = f"<w:docDefaults><w:rPrDefault><w:rPr><w:caps/></w:rPr></w:rPrDefault></w:docDefaults>{_HIDING}"
    styles += style("character", "Г", "<w:caps/>")
    body = paragraph(run("жеті ")) + paragraph(run("сегіз", '<w:rStyle w:val="Г"/>'))
    assert read(body, styles=styles).accepted == "ЖЕТІ\n\nСЕГІЗ\n"


def test_the_style_of_words_outweighs_the_style_of_their_paragraph():
    styles = style("paragraph", "А", '<w:vertAlign w:val="superscript"/>') + style(
        "character", "Б", '<w:vertAlign w:val="subscript"/>'
    )
    body = paragraph(run("1"), run("2", '<w:rStyle w:val="Б"/>'), properties=named("А"))
    assert read(body, styles=styles).accepted == "¹₂\n"


def test_styles_that_are_based_on_each_other_end():
    styles = style("paragraph", "А", "<w:caps/>", more='<w:basedOn w:val="Б"/>') + style(
        "paragraph", "Б", "", more='<w:basedOn w:val="А"/>'
    )
    assert read(paragraph(run("жеті"), properties=named("А")), styles=styles).accepted == "ЖЕТІ\n"


def test_a_hidden_row_is_left_out_and_counted():
    body = table(cell(paragraph(run("Явное"))), "<w:trPr><w:hidden/></w:trPr>" + cell(paragraph(run("Тайное"))))
    found = read(body)
    assert (found.accepted, found.hidden) == ("| Явное |\n| --- |\n", 1)


def test_a_hidden_empty_paragraph_counts_without_being_reported():
    """Word writes such paragraphs to let a list go on with a later number."""
    number = '<w:numPr><w:ilvl w:val="0"/><w:numId w:val="1"/></w:numPr>'
    body = paragraph(properties=number + "<w:rPr><w:vanish/></w:rPr>") + paragraph(run("Екінші."), properties=number)
    found = read(body, numbering=definition(level(0, "%1.")) + num())
    assert (found.accepted, found.empty_numbers) == ("2. Екінші.\n", [])


# Capitals


def test_all_caps_are_capitals_and_small_caps_stay():
    body = paragraph(run("әғқңөұүһі ", "<w:caps/>"), run("Small", "<w:smallCaps/>"))
    assert read(body).accepted == "ӘҒҚҢӨҰҮҺІ Small\n"


def test_the_number_of_a_paragraph_in_capitals_is_in_capitals():
    styles = style("paragraph", "А", "<w:caps/>")
    number = '<w:numPr><w:ilvl w:val="0"/><w:numId w:val="1"/></w:numPr>'
    found = read(
        paragraph(run("общие положения"), properties=named("А") + number),
        styles=styles,
        numbering=definition(level(0, "статья %1.")) + num(),
    )
    assert found.accepted == "СТАТЬЯ 1. ОБЩИЕ ПОЛОЖЕНИЯ\n"


# Content controls and fields


def test_the_hint_of_a_content_control_is_printed_and_reported():
    hint = "<w:sdt><w:sdtPr><w:showingPlcHdr/></w:sdtPr><w:sdtContent>{}</w:sdtContent></w:sdt>"
    body = (
        paragraph(run("Жеткізуші: "), hint.format(run("Мәтін енгізу орны.")), run(";"))
        + hint.format(paragraph(run("Күнді таңдаңыз.")))
        + table(hint.format(cell(paragraph(run("Элемент таңдаңыз.")))) + cell(paragraph(run("БСН"))))
    )
    found = read(body)
    assert found.accepted == (
        "Жеткізуші: Мәтін енгізу орны.;\n\nКүнді таңдаңыз.\n\n| Элемент таңдаңыз. | БСН |\n| --- | --- |\n"
    )
    assert found.placeholders == ["Мәтін енгізу орны.", "Күнді таңдаңыз.", "Элемент таңдаңыз."]


def test_words_of_a_content_control_are_read():
    filled = "<w:sdt><w:sdtPr/><w:sdtContent>{}</w:sdtContent></w:sdt>"
    outer = '<w:sdt><w:sdtPr><w:showingPlcHdr w:val="0"/></w:sdtPr><w:sdtContent>{}</w:sdtContent></w:sdt>'
    found = read(paragraph(filled.format(run("☒ иә "))) + outer.format(paragraph(run("жоқ"))))
    assert (found.accepted, found.placeholders) == ("☒ иә\n\nжоқ\n", [])


def field(kind: str, more: str = "") -> str:
    return f'<w:r><w:fldChar w:fldCharType="{kind}">{more}</w:fldChar></w:r>'


def code(words: str) -> str:
    return f"<w:r><w:instrText>{words}</w:instrText></w:r>"


def test_the_result_of_a_field_is_read_and_its_code_is_not():
    inner = field("begin") + code("MERGEFIELD x") + field("separate") + run("тайна") + field("end")
    body = paragraph(
        run("пункт "),
        field("begin"),
        code("IF "),
        inner,
        field("separate"),
        run("3.1"),
        field("end"),
        run(" и "),
        '<w:fldSimple w:instr="REF a">' + run("3.2") + "</w:fldSimple>",
    )
    found = read(body)
    assert found.accepted == "пункт 3.1 и 3.2\n"
    assert found.hidden == 1


@pytest.mark.parametrize("marks", [("begin",), ("separate",), ("end",), ("begin", "separate"), ("separate", "end")])
def test_a_field_that_lacks_a_mark_takes_no_word_away(marks):
    body = paragraph(run("пункт "), *map(field, marks), run("3.1")) + paragraph(run("Дальше."))
    assert read(body).accepted == "пункт 3.1\n\nДальше.\n"


@pytest.mark.parametrize(
    ("form", "shown"),
    [
        ("<w:checkBox/>", "☐"),
        ('<w:checkBox><w:default w:val="1"/></w:checkBox>', "☒"),
        ('<w:checkBox><w:default w:val="1"/><w:checked w:val="0"/></w:checkBox>', "☐"),
        ('<w:ddList><w:result w:val="1"/><w:listEntry w:val="тенге"/><w:listEntry w:val="рубль"/></w:ddList>', "рубль"),
        ('<w:ddList><w:result w:val="9"/><w:listEntry w:val="тенге"/></w:ddList>', ""),
    ],
)
def test_a_field_of_a_form_is_read_as_it_is_displayed(form, shown):
    body = paragraph(field("begin", f"<w:ffData>{form}</w:ffData>"), code("FORM"), field("end"), run(" да"))
    assert read(body).accepted == f"{shown} да".strip() + "\n"


# Text boxes and pictures


def box(*paragraphs: str) -> str:
    return f"<v:shape><v:textbox><w:txbxContent>{''.join(paragraphs)}</w:txbxContent></v:textbox></v:shape>"


def test_a_text_box_is_read_once_after_its_paragraph():
    shape = "<w:drawing><wps:txbx><w:txbxContent>{0}</w:txbxContent></wps:txbx></w:drawing>"
    both = "<mc:AlternateContent><mc:Choice>" + shape + "</mc:Choice><mc:Fallback><w:pict>{1}</w:pict></mc:Fallback>"
    words = paragraph(run("Маңызды")) + paragraph(run("ескерту"))
    body = paragraph(
        run("Алдында "), f"<w:r>{both.format(words, box(words))}</mc:AlternateContent></w:r>", run("артында")
    )
    found = read(body + paragraph(run("Келесі")))
    assert found.accepted == "Алдында артында\n\nМаңызды\n\nескерту\n\nКелесі\n"
    assert found.pictures == 0


def test_a_text_box_in_a_cell_becomes_lines_of_the_cell():
    body = table(cell(paragraph(run("Мөр"), f"<w:r><w:pict>{box(paragraph(run('орны')))}</w:pict></w:r>")))
    assert read(body).accepted == "| Мөр<br>орны |\n| --- |\n"


def test_only_pictures_without_words_are_counted():
    picture = "<w:r><w:drawing/></w:r>"
    fallback = "<w:r><mc:AlternateContent><mc:Choice><w:drawing/></mc:Choice><mc:Fallback><w:pict/></mc:Fallback>"
    emoji = "<w:r><mc:AlternateContent><mc:Choice/><mc:Fallback><w:t>☺</w:t></mc:Fallback></mc:AlternateContent></w:r>"
    body = paragraph(run("Сурет"), picture, f"{fallback}</mc:AlternateContent></w:r>", emoji)
    found = read(body)
    assert (found.accepted, found.pictures) == ("Сурет☺\n", 2)


def test_the_numbers_of_a_text_box_are_uncertain_and_move_no_other():
    number = '<w:numPr><w:ilvl w:val="0"/><w:numId w:val="1"/></w:numPr>'
    shape = f"<w:r><w:pict>{box(paragraph(run('Ішінде'), properties=number))}</w:pict></w:r>"
    body = paragraph(run("Бір"), shape, properties=number) + paragraph(run("Екі"), properties=number)
    found = read(body, numbering=definition(level(0, "%1.")) + num())
    assert found.accepted == "1. Бір\n\n1. Ішінде\n\n2. Екі\n"
    assert found.uncertain == [("1.", "Ішінде")]


def test_a_file_whose_only_words_are_in_a_text_box_is_read():
    assert read(paragraph(f"<w:r><w:pict>{box(paragraph(run('Шарт')))}</w:pict></w:r>")).accepted == "Шарт\n"


# Tables


def test_a_heading_in_a_cell_has_no_mark_and_lines_stay_lines():
    body = table(
        cell(paragraph(run("Тапсырыс беруші:"), properties='<w:outlineLvl w:val="0"/>') + paragraph(run("# БСН | 1")))
        + cell(paragraph(run("Мекенжайы:"), "<w:r><w:br/></w:r>", run("- Астана")))
    )
    found = read(body)
    assert found.accepted == "| Тапсырыс беруші:<br># БСН \\| 1 | Мекенжайы:<br>- Астана |\n| --- | --- |\n"


@pytest.mark.parametrize("count", [4, 5])
def test_a_table_that_frames_a_text_is_left_out(count):
    words = [f"1.{place}. Бір" for place in range(1, count + 1)]
    framed = cell(paragraph()) + cell("".join(paragraph(run(line)) for line in words))
    found = read(table(cell(paragraph()) + cell(paragraph()), framed)).accepted
    assert (found == "\n\n".join(words) + "\n") == (count == 5)


def test_a_table_in_a_cell_becomes_lines_of_the_cell():
    inner = table(
        cell(paragraph(run("БСН|ЖСН"))) + cell(paragraph(run("1"))), cell(paragraph()) + cell(paragraph(run("КБе 17")))
    )
    assert read(table(cell(paragraph(run("Деректемелер")) + inner))).accepted == (
        "| Деректемелер<br>БСН\\|ЖСН \\| 1<br>КБе 17 |\n| --- |\n"
    )


def test_cells_that_were_inserted_or_deleted_are_tracked():
    mark = '<w:cell{} w:id="1" w:author="А"/>'
    body = table(
        cell(paragraph(run("а")))
        + cell(paragraph(run("б")), mark.format("Ins"))
        + cell(paragraph(run("в")), mark.format("Del"))
    )
    found = read(body)
    assert found.accepted.startswith("| а | б |\n")
    assert found.rejected.startswith("| а | в |\n")
    assert (found.insertions, found.deletions) == (1, 1)


def test_a_row_that_skips_columns_keeps_its_place():
    skip = '<w:trPr><w:gridBefore w:val="1"/></w:trPr>'
    body = table(cell(paragraph(run("а"))) + cell(paragraph(run("б"))), skip + cell(paragraph(run("в"))))
    assert read(body).accepted == "| а | б |\n| --- | --- |\n|  | в |\n"


@pytest.mark.parametrize("content", [paragraph(), paragraph(run("____")), paragraph(run("да", "<w:vanish/>"))])
def test_a_file_without_a_letter_or_digit_is_refused_as_empty(content):
    with pytest.raises(source.SourceError, match="it contains no text"):
        read(table(cell(content)))


def test_markdown_that_was_typed_in_word_keeps_its_meaning():
    lines = ("# Келісім", "## 1. Жалпы ережелер", "1.1. **Портал** — сайт.", "## 2. Құқықтар", "* бірінші")
    found = read("".join(paragraph(run(line)) for line in lines))
    assert found.accepted == "\n\n".join(lines) + "\n"
    assert found.typed == 3
    assert [unit.number for unit in clauses.parse(found.accepted).units if unit.number] == ["1", "1.1", "2"]


def test_one_paragraph_with_a_sign_of_markdown_is_no_heading():
    found = read(paragraph(run("Тарифтер")) + paragraph(run("# 5 кабинет")))
    assert (found.accepted, found.typed) == ("Тарифтер\n\n\\# 5 кабинет\n", 0)


# A column for each language

_KAZAKH = (
    "1. ЖАЛПЫ ЕРЕЖЕЛЕР",
    "1.1. Осы келісім күшіне енген күннен бастап әрбір тұлғаға қолданылады және өзгерістерді де қамтиды.",
)
_RUSSIAN = (
    "1. ОБЩИЕ ПОЛОЖЕНИЯ",
    "1.1. Настоящее соглашение действует для каждого, кто пользуется порталом, и является офертой.",
)


def columns(*, kazakh: tuple[str, ...] = _KAZAKH, more: str = "") -> str:
    rows = [
        cell("".join(paragraph(run(words)) for words in pair[:1])) + cell(paragraph()) + cell(paragraph(run(pair[1])))
        for pair in zip(kazakh, _RUSSIAN, strict=True)
    ]
    return table(*rows, cell(paragraph(run("1-бет")), '<w:gridSpan w:val="3"/>')) + more


@pytest.mark.parametrize(("language", "texts"), [("kk", _KAZAKH), ("ru", _RUSSIAN)])
def test_one_language_is_read_from_a_table_with_a_column_for_each(language, texts):
    content = document(columns())
    found = reader.read_manuscript(content, "a.docx", language=language)
    assert found.accepted == "\n\n".join((*texts, "1-бет")) + "\n"
    assert found.columns == 1


def test_all_columns_are_a_table_if_no_language_is_asked_for():
    found = read(columns())
    assert found.accepted.startswith(f"| {_KAZAKH[0]} |  | {_RUSSIAN[0]} |\n")
    assert found.columns == 0


def test_a_table_in_one_language_stays_a_table():
    found = reader.read_manuscript(document(columns(kazakh=_RUSSIAN)), "a.docx", language="ru")
    assert found.accepted.startswith("| 1. ОБЩИЕ")


def test_a_list_of_terms_in_two_languages_stays_a_table_of_its_text():
    more = paragraph(run("Осы мәтін кестеден әлдеқайда ұзын және бір ғана тілде жазылған. " * 20))
    found = reader.read_manuscript(document(columns(more=more)), "a.docx", language="kk")
    assert (found.accepted.startswith("| 1. ЖАЛПЫ"), found.columns) == (True, 0)


def test_the_numbers_of_the_other_column_are_counted_and_not_reported():
    number = '<w:numPr><w:ilvl w:val="0"/><w:numId w:val="1"/></w:numPr>'
    pairs = zip(_KAZAKH, _RUSSIAN, strict=True)
    rows = [
        "".join(cell(paragraph(run(words.lstrip("1. ") * 3), properties=number)) for words in pair) for pair in pairs
    ]
    content = document(table(*rows), definition(level(0, "%1.")) + num())
    found = reader.read_manuscript(content, "a.docx", language="ru")
    assert [number for number, _words in found.numbers] == ["2.", "4."]


# Tracked changes


def test_changes_at_the_level_of_the_body_are_counted():
    body = paragraph(run("Бір")) + f'<w:ins w:id="1" w:author="А">{table(cell(paragraph(run("екі"))))}</w:ins>'
    found = read(body)
    assert found.accepted == "Бір\n\n| екі |\n| --- |\n"
    assert (found.rejected, found.insertions) == ("Бір\n", 1)


def test_a_number_that_was_taken_off_as_a_tracked_change_is_asked_about():
    number = '<w:numPr><w:ilvl w:val="0"/><w:numId w:val="1"/></w:numPr>'
    change = f'<w:pPrChange w:id="1" w:author="А"><w:pPr>{number}</w:pPr></w:pPrChange>'
    found = read(paragraph(run("Бір"), properties=change), numbering=definition(level(0, "%1.")) + num())
    assert (found.accepted, found.rejected) == ("Бір\n", "1. Бір\n")
    assert (found.restyled, found.tracked) == (1, True)


def test_a_tracked_change_of_the_look_gives_the_words_as_they_were():
    change = '{}<w:rPrChange w:id="1" w:author="А"><w:rPr>{}</w:rPr></w:rPrChange>'
    body = paragraph(
        run("Бір "), run("екі ", change.format("<w:vanish/>", "")), run("үш", change.format("", "<w:vanish/>"))
    )
    found = read(body + paragraph(run("төрт", change.format("<w:b/>", ""))))
    assert (found.accepted, found.rejected) == ("Бір үш\n\nтөрт\n", "Бір екі\n\nтөрт\n")
    assert (found.restyled, found.tracked) == (2, True)


# Symbols, spaces and headings


@pytest.mark.parametrize(
    ("xml", "text"),
    [
        ('<w:r><w:sym w:font="Symbol" w:char="F0B3"/></w:r>', "≥"),
        ('<w:r><w:sym w:font="Wingdings" w:char="F0FE"/></w:r>', "☑"),
        ('<w:r><w:sym w:font="MS Gothic" w:char="2612"/></w:r>', "☒"),
        ('<w:r><w:rPr><w:rFonts w:ascii="Symbol"/></w:rPr><w:t>\uf0a3</w:t></w:r>', "≤"),
        ('<w:r><w:sym w:font="Wingdings" w:char="F021"/></w:r>', "\ufffd"),
        ('<w:r><w:sym w:font="Arial" w:char="D800"/></w:r>', "\ufffd"),
        ('<w:r><w:sym w:char="FFFFFFFFFFFF"/></w:r>', "\ufffd"),
        ("<m:oMath><m:r><m:t>a+b</m:t></m:r></m:oMath>", "a+b"),
        ("<w:r><w:t>ке</w:t><w:softHyphen/><w:t>лісім</w:t></w:r>", "келісім"),
        ("<w:r><w:t>1</w:t><w:noBreakHyphen/><w:t>тармақ</w:t></w:r>", "1\u2011тармақ"),
        ('<w:r><w:t>а</w:t><w:ptab w:alignment="right"/><w:t>б</w:t></w:r>', "а б"),
    ],
)
def test_a_sign_is_the_character_that_word_displays(xml, text):
    found = read(paragraph(run("5 "), xml))
    assert found.accepted == f"5 {text}\n"
    assert found.odd == int(text == "\ufffd")


def test_places_where_several_spaces_became_one_are_counted():
    found = read(paragraph(run("Бір  екі "), "<w:r><w:tab/></w:r>", run("үш  ")))
    assert (found.accepted, found.spaces) == ("Бір екі үш\n", 2)


def test_several_spaces_that_stay_in_typed_markdown_are_not_counted():
    headings = "".join(paragraph(run(f"# {number}. Жалпы")) for number in (1, 2, 3))
    found = read(headings + paragraph(run("Бір  екі")) + table(cell(paragraph(run("үш  төрт")))))
    assert "Бір  екі\n" in found.accepted
    assert "| үш төрт |" in found.accepted
    assert found.spaces == 1


def test_a_heading_style_makes_no_heading_of_the_rest_of_a_sentence():
    styles = '<w:style w:type="paragraph" w:styleId="1"><w:name w:val="heading 1"/></w:style>'
    body = paragraph(run("Жалпы ережелер"), properties=named("1")) + paragraph(run("және басқа"), properties=named("1"))
    assert read(body, styles=styles).accepted == "## Жалпы ережелер\n\nжәне басқа\n"


@pytest.mark.parametrize(
    ("words", "heads"),
    [
        ("1. Предмет договора", True),
        ("1. Предмет договора.", True),
        ("1.1. Продавец передаёт Покупателю товар, а Покупатель принимает и оплачивает его.", False),
        ("1.1. Продавец передаёт Покупателю " + "товар и " * 20 + "другой товар", False),
        ("1) товар;", False),
    ],
)
def test_an_outline_level_makes_no_heading_of_a_sentence(words, heads):
    found = read(paragraph(run(words), properties='<w:outlineLvl w:val="0"/>')).accepted
    assert found.startswith("## ") == heads


def test_the_level_of_a_style_makes_a_heading_of_a_numbered_paragraph():
    styles = (
        '<w:style w:type="paragraph" w:styleId="1"><w:name w:val="Глава"/><w:pPr><w:outlineLvl w:val="0"/></w:pPr>'
        '</w:style><w:style w:type="paragraph" w:styleId="2"><w:name w:val="Своя"/><w:basedOn w:val="1"/></w:style>'
    )
    body = paragraph(run("1. Предмет"), properties=named("2")) + paragraph(run("Продавец:"), properties=named("2"))
    found = read(body, styles=styles)
    assert found.accepted == "## 1. Предмет\n\nПродавец:\n"
    assert [unit.number for unit in clauses.parse(found.accepted).units if unit.number] == ["1"]


# What the page displays


def displayed(markup: str) -> list[str]:
    return html.unescape(re.sub(r"<[^<>]*>", "", markup.replace("<br>", "\n"))).split()


_SIGNS = st.sampled_from([*"аб12.)(*_`[]<>#|\\&;-+=~«»/:! \n", "<br>", "---", "&copy;"])


@given(st.lists(_SIGNS).map("".join))
@example("а\\|б <br> &lt; `x` \\")
@example("| --- |")
@example("*\n*")
def test_the_page_displays_the_words_of_a_cell(words):
    lines = "<w:br/>".join(f'<w:t xml:space="preserve">{escape(line)}</w:t>' for line in words.split("\n"))
    content = table(cell(paragraph(run("Бас"))), cell(paragraph(f"<w:r>{lines}</w:r>")))
    page = clauses.parse("Т\n\n" + read(content).accepted).html
    found = re.search(r"<td>(.*?)</td>", page, re.DOTALL)
    assert found is not None
    assert displayed(found[1]) == words.split()


def test_a_hint_in_a_hint_is_told_once():
    control = "<w:sdt><w:sdtPr>{}</w:sdtPr><w:sdtContent>{}</w:sdtContent></w:sdt>"
    body = paragraph(run("Күнді таңдаңыз."))
    for switch in ("<w:showingPlcHdr/>", "", "<w:showingPlcHdr/>") * 5:
        body = control.format(switch, body)
    found = read(body + paragraph(run("Мәтін")))
    assert (found.accepted, found.placeholders) == ("Күнді таңдаңыз.\n\nМәтін\n", ["Күнді таңдаңыз."])


def test_paragraphs_in_an_element_that_is_not_known_are_read():
    other = f"<w:other>{paragraph(run('Ақы төленеді.'))}<w:more>{paragraph(run('Бір рет.'))}</w:more></w:other>"
    assert read(other + paragraph(run("Мәтін"))).accepted == "Ақы төленеді.\n\nБір рет.\n\nМәтін\n"
    assert read(table(cell(other))).accepted == "| Ақы төленеді.<br>Бір рет. |\n| --- |\n"


def test_words_after_a_comment_in_the_xml_are_read():
    found = read("<w:p><w:r><w:t>Ақы<!-- a --> төлен<?b c?>еді</w:t></w:r><!-- d --></w:p><!-- e -->")
    assert found.accepted == "Ақы төленеді\n"
