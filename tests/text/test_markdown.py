"""That lists, links and tables hide nothing, and that what a reader sees is what is compared."""

from __future__ import annotations

import html
import re
import textwrap
from importlib.util import find_spec
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agreement.text import clauses
from agreement.text.clauses import parse
from tests.support.scale import examples


@pytest.mark.parametrize(
    ("written", "values", "words"),
    [
        ("3. раз\n5. два", ["3", "5"], ["3. раз", "5. два"]),
        ("1. раз\n\n    ещё\n\n3. два", ["1", "3"], ["1. раз", "ещё", "3. два"]),
        ("2. раз\n    7. ещё\n4. два", ["2", "7", "4"], ["2. раз", "7. ещё", "4. два"]),
        ("> 3. раз", ["3"], ["3. раз"]),
        ("3. раз\n- два", [], ["3. раз", "два"]),
        ("- раз\n3. **два**", [], ["раз", "3. два"]),
        ("01. раз", [], ["01. раз"]),
        ("99999999999. раз", [], ["99999999999. раз"]),
    ],
)
def test_a_list_is_printed_with_the_numbers_as_written(written, values, words):
    document = parse(f"Т\n\n1. ОБЩЕЕ\n\n1.1. Список:\n\n{written}\n")
    assert re.findall(r'<li value="(\d+)"', document.html) == values
    assert document.units[-1].text.split("\n") == ["Список:", *words]
    assert all(re.search(rf"<li>\s*(?:<p>)?{word[:3]}", document.html) for word in words if not values)


@pytest.mark.parametrize(
    "written",
    [
        "Мен, ____________________, 20__ жылғы «___» __________ төлем жасадым.",
        "«__» ______ 20__ г. и «__» ______ 20__ г.",
        'Дата "__" ______ 20__ г.',
        "М.О. _____/_____/",
        "Тариф*, услуга* и работа*.",
        "Тариф** действует. *Кроме праздников.",
    ],
)
def test_marks_that_stress_nothing_stay_visible(written):
    assert parse(f"Т\n\n1. ОБЩЕЕ\n\n1.1. {written}\n").units[-1].text == written


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("**Тариф**, услуга*, работа*.", "<strong>Тариф</strong>, услуга*, работа*."),
        ("**a *b* c**, *d*", "<strong>a <em>b</em> c</strong>, <em>d</em>"),
        ("***a** b* c", "<em><strong>a</strong> b</em> c"),
        ("__«Портал»__ и *(далее)*.", "<strong>«Портал»</strong> и <em>(далее)</em>."),
        ("**`b`** сл*ов*о", "<strong><code>b</code></strong> сл<em>ов</em>о"),
        ("**Срок:** до 20__ года", "<strong>Срок:</strong> до 20__ года"),
    ],
)
def test_marks_around_words_stress_them(written, shown):
    assert shown in parse(f"Т\n\n1. ОБЩЕЕ\n\n1.1. {written}\n").html


@pytest.mark.parametrize(
    ("written", "begins", "words"),
    [
        ("- раз\n- два", "<ul>", ["раз", "два"]),
        ("1. Раз\n1. Два", "<ol>", ["1. Раз", "1. Два"]),
        ("•\tраз\n•\tдва", "<p>", ["• раз", "• два"]),
        ("– раз;\n– два,\n– три.", "<p>", ["– раз;", "– два,", "– три."]),
        ("— раз,\n— два;\n— три.", "<p>", ["— раз,", "— два;", "— три."]),
        ("| А | Б |\n|---|---|\n| 1 | 2 |", "<table>", ["А | Б", "1 | 2"]),
    ],
)
def test_a_list_or_a_table_may_stand_right_under_its_clause(written, begins, words):
    document = parse(f"Т\n\n1. ОБЩЕЕ\n\n1.1. Список:\n{written}\n")
    assert f"Список:</p>\n{begins}" in document.html
    assert document.units[-1].text.split("\n") == ["Список:", *words]


@pytest.mark.parametrize("mark", ["-", "–", "—"])
def test_a_dash_at_the_beginning_of_a_wrapped_line_begins_no_list(mark):
    html = parse(f"Т\n\n1.1. Портал – сайт в сети, который открыт для всех,\n{mark} онлайн платформа.\n").html
    assert "<ul>" not in html
    assert html.count("<p") == 1


@pytest.mark.parametrize(
    "written",
    [
        "Возраст\n>18 лет обязателен.",
        "Возраст\n> 18 лет обязателен.",
        "> 18 лет",
        "> 5,5 %",
        ">18",
        "#5 кабинет",
        "#",
        "####### слова",
        "- 5 °C",
        "- 5,5°C\n- 10 °C",
        "- 5 % от суммы",
        "+ 7 727 250 00 00",
        "+ 7 727 250 00 00\n+ 7 727 250 00 01",
        "* Кроме праздников.",
        "_________________",
        "___ ___ ___",
        "Подпись\n________",
        "А | Б\n |",
        "{{имя}}, [ЗАПОЛНИТЬ: адрес], <ДОМЕН>, «__» ____ 20__ г.",
    ],
)
def test_a_sign_of_a_legal_text_is_no_mark(written):
    document = parse(f"Т\n\n1. ОБЩЕЕ\n\n1.1. А.\n\n{written}\n")
    assert " ".join(document.units[-1].text.split("\n")) == " ".join(["А.", *written.split()])
    page = document.html.partition("А.</p>\n")[2]
    assert set(re.findall(r"<(\w+)", page)) <= {"p", "br"}
    assert html.unescape(re.sub("<[^>]*>", " ", page)).split() == written.split()


@pytest.mark.parametrize(
    ("written", "begins"),
    [
        ("> слова", "<blockquote>"),
        (">«слова»", "<blockquote>"),
        ("> 3. слова", "<blockquote>"),
        ("> 1.1. слова", "<blockquote>"),
        ("- # слова #", "<ul>\n<li>\n<h1>слова</h1>"),
        ("- 5 дней;\n- 10 дней.", "<ul>"),
        ("- 5 дней;\n\n- 10 дней.", "<ul>"),
        ("Срок:\n\n- 5 дней.", "<p>Срок:</p>\n<ul>"),
        ("+ слова", "<ul>"),
        ("* слова\n* слова", "<ul>"),
        ("* слова\n\n* слова", "<ul>"),
        ("* слова\n\n    слова", "<ul>"),
        ("***", "<hr>"),
        ("- - -", "<hr>"),
        ("***\nслова", "<hr>\n<p>слова</p>"),
    ],
)
def test_a_mark_of_markdown_is_a_mark(written, begins):
    assert parse(f"Т\n\n1. ОБЩЕЕ\n\n1.1. А.\n\n{written}\n").html.partition("А.</p>\n")[2].startswith(begins)


@pytest.mark.parametrize(
    ("line", "title"),
    [
        ("ДОГОВОР №\\_\\_\\_", "ДОГОВОР №___"),
        ("# **Договор** оказания\u00a0услуг", "Договор оказания услуг"),
        ("\\# Правила &amp; условия", "# Правила & условия"),
        ("Договор<br>поставки", "Договор поставки"),
        ("Договор \\\nот 1 марта", "Договор"),
        ("Договор \\\\", "Договор \\"),
    ],
)
def test_a_title_is_the_words_that_a_page_displays(line, title):
    document = parse(f"{line}\n\n1.1. А.\n")
    assert clauses.title_line(f"{line}\n\n1.1. А.\n") == document.title == document.units[0].text == title


def test_a_sign_at_the_end_of_a_heading_stays():
    document = parse("Т\n\n## Язык C#\n\n## 1. Язык C#\n\n1.1. А.\n\n- # C#\n")
    assert [unit.text for unit in document.units] == ["Т", "Язык C#", "Язык C#", "А.\nC#"]


@pytest.mark.parametrize("written", ["раз<br>два", "раз<br/>два", "раз<BR />два"])
def test_a_cell_of_a_table_has_lines(written):
    document = parse(f"Т\n\n1.1. А:\n\n| А | Б |\n|---|---|\n| {written} | три |\n")
    assert re.search(r"<td>раз<br>\s?два</td>", document.html)
    assert document.units[-1].text.split("\n")[-1] == "раз два | три"


@pytest.mark.parametrize("written", ["раз<br>два", "раз  \nдва", "раз\\\nдва"])
def test_a_line_break_is_a_space_in_the_words(written):
    document = parse(f"Т\n\n1.1. {written}\n")
    assert re.search(r"раз ?<br>\s*два</p>", document.html)
    assert document.units[-1].text == "раз два"


def test_a_long_table_with_lines_in_its_cells_stays_a_table():
    rows = "| **1** | Услуга «Чтение»<br>за каждый час | [срок](/a) | _____ |\n" * 800
    document = parse(f"Т\n\n1.1. А:\n\n| № | Услуга | Срок | Цена |\n|---|---|---|---|\n{rows}")
    assert document.html.count("<tr>") == 801
    assert document.html.count("<br>") == document.html.count("<strong>") == document.html.count('<a href="/a"') == 800


def test_two_spaces_break_the_first_line_of_a_unit():
    first = "Портал хранит сведения, которые Пользователь сообщил о себе"
    assert f"{first} <br>" in parse(f"Т\n\n1.1. {first}  \nдва\n").html.replace("<br>", " <br>").replace("  ", " ")
    assert "<br>" not in parse(f"Т\n\n1.1. {first}\nдва\n").html


def test_a_line_break_in_code_is_shown_as_written():
    assert "<code>а&lt;br&gt;б</code>" in parse("Т\n\n1.1. `а<br>б`\n").html


REQUISITES = """Орындаушы:
«Үлгі» ЖШС
БСН 000000000000
Мекенжайы: Астана қ., Үлгі көшесі, 1-үй
Тел.: +7 700 000 00 00
____________ / ____________
М.О."""


@pytest.mark.parametrize("between", ["\n\n", "\n"])
def test_lines_of_requisites_stay_lines(between):
    document = parse(f"Т\n\n1. ТАРАПТАР\n\n1.1. Деректемелер.{between}{REQUISITES}\n")
    page = document.html.replace("<br>\n", "<br>").splitlines()[-1]
    assert re.sub("</?p[^>]*>", "", page).split("<br>")[-7:] == REQUISITES.split("\n")


@pytest.mark.parametrize("width", [60, 80, 100])
def test_lines_that_a_program_wrapped_are_joined(width):
    words = ("Пользователь вправе отказаться от Соглашения. Портал хранит сведения о нём; срок хранения назван в " * 9)[
        :-1
    ]
    wrapped = textwrap.fill(f"1.1. {words}", width)
    assert "<br>" not in parse(f"Т\n\n1. ОБЩЕЕ\n\n{wrapped}\n").html


@pytest.mark.parametrize(
    ("lines", "breaks"),
    [
        (["Портал хранит сведения, которые Пользователь сообщил о себе:", "имя и отчество;", "адрес."], 2),
        (["Пользователь " * 10 + "вправе", "и обязан"], 1),
        (
            [
                "Пользователь обязан сохранять тайну пароля и не передавать",
                "его никому, а также не хранить его на Портале.",
            ],
            0,
        ),
        (["- Пользователь", "  вправе"], 0),
        (["> Пользователь", "> вправе"], 0),
        (["| А | Б |", "|---|---|", "| В | Г |"], 0),
    ],
)
def test_lines_that_nobody_wrapped_stay_lines(lines, breaks):
    assert parse("Т\n\n1. ОБЩЕЕ\n\n1.1. А.\n\n" + "\n".join(lines)).html.count("<br>") == breaks


@pytest.mark.parametrize(
    ("link", "text"),
    [
        ("[сайт](https://a.kz/x?a=1&b=2)", "сайт (https://a.kz/x?a=1&b=2)"),
        ("[**наш** сайт](#1.1)", "наш сайт (#1.1)"),
        ("[https://a.kz](https://a.kz)", "https://a.kz"),
        ("<https://a.kz>", "https://a.kz"),
        ("<help@a.kz>", "help@a.kz"),
        ("| [а](/б) | в |\n|---|---|\n| [г](/д) | е |", "а (/б) | в\nг (/д) | е"),
    ],
)
def test_where_a_link_leads_is_words_of_the_clause(link, text):
    assert parse(f"Т\n\n1. ОБЩЕЕ\n\n1.1. См.\n\n{link}\n").units[-1].text == f"См.\n{text}"


# Blocks of words that occur once, so that a lost one is missed.
SAID = st.integers(0, 999_999).map(lambda number: f"сөз{number}")
INLINE = st.recursive(
    SAID,
    lambda inner: st.builds(
        lambda form, text, word: form.format(text, word),
        st.sampled_from(
            [
                *("**{}**", "*{}*", "`{}`", "«{}»", "({})", "{}, {}", "{} – {}", "{}\\*", "\\[{}]"),
                *("[{}](https://a.kz/{})", "[{}]({})", "[{}](/{})", "[{}](#1.1)", "[{}]", "[{}][{}]", "[]({})"),
                *(
                    '[{}](/x "{}")',
                    "[{}](<{}>)",
                    "![{}](/{})",
                    "<{}>",
                    "<b {}>{}</b>",
                    "<!-- {} -->",
                    "<https://a.kz/{}>",
                ),
                *("<{}@a.kz>", "&{};", "&amp;{}", "{}  ", "^{}^", "[^{}]", "~~{}~~", "{} | {}", "{{: .{} }}"),
            ]
        ),
        inner,
        SAID,
    ),
    max_leaves=4,
)
LINE = st.lists(INLINE, min_size=1, max_size=4).map(" ".join)
MARKER = st.one_of(st.sampled_from(["- ", "* ", "+ ", "1) ", "а) "]), st.integers(0, 120).map("{}. ".format))


def indented(block: str, by: str) -> str:
    return "\n".join(by + line for line in block.split("\n"))


BLOCK = st.recursive(
    st.one_of(
        st.lists(LINE, min_size=1, max_size=3).map("\n".join),
        st.builds(
            "{}{}".format,
            st.sampled_from(["## ", "1.2. ", "1.3 ", "2. ", "[сөз]: ", "[^1]: ", ": ", "    ", "```\n"]),
            LINE,
        ),
        st.lists(st.lists(LINE, min_size=1, max_size=4), min_size=2, max_size=4).map(
            lambda rows: "\n".join(
                "| " + " | ".join(row) + (" |\n" + "|---" * len(row) if not place else "") + " |"
                for place, row in enumerate(rows)
            )
        ),
        LINE.map("{}\n---".format),
    ),
    lambda inner: st.one_of(
        inner.map(lambda block: indented(block, "> ")),
        st.lists(st.tuples(MARKER, LINE, st.one_of(st.just(""), inner)), min_size=1, max_size=4).flatmap(
            lambda items: st.sampled_from(["\n", "\n\n"]).map(
                lambda between: between.join(
                    mark + line + (between + indented(block, "    ") if block else "") for mark, line, block in items
                )
            )
        ),
    ),
    max_leaves=6,
)


@pytest.mark.skipif(find_spec("html5lib") is None, reason="html5lib is not installed")
@given(st.lists(BLOCK, min_size=1, max_size=4), st.sampled_from(["\n", "\n\n"]))
@settings(max_examples=examples(200))
def test_every_word_is_seen_on_the_page_and_compared(blocks, between):
    import html5lib

    body = "Т\n\n1. ОБЩЕЕ\n\n1.1. А:\n\n" + between.join(blocks)
    document = parse(body)
    tree = html5lib.parseFragment(document.html, treebuilder="etree", namespaceHTMLElements=False)
    page = " ".join(
        f"{element.get('value', '')} {element.get('href', '')} {element.text or ''} {element.tail or ''}"
        for element in tree.iter()
    )
    compared = " ".join(f"{unit.label} {unit.text}" for unit in document.units)
    for words in (unquote(page), compared):
        assert set(re.findall(r"\w+", html.unescape(body))) - {"Т"} <= set(re.findall(r"\w+", words))
    if all(len(re.findall(r"\]\(|<", line)) < 2 for line in body.split("\n")):  # HTML has no links inside links.
        assert re.findall(r"\w+", f"Т {unquote(printed(tree))}") == re.findall(r"\w+", unquote(compared))


def printed(element: Any) -> str:
    """The words of an element of a page, with the numbers of its lists and the addresses of its links."""
    words = (element.text or "") + "".join(printed(child) + (child.tail or "") for child in element)
    if element.tag == "li":
        return f" {element.get('value', '')} {words} "
    if element.tag == "a" and not element.get("class"):
        address = unquote(element.get("href", "")).removeprefix("mailto:")
        return words if address in {unquote(words).strip(), f"tel:{words.strip()}"} else f"{words} ({address})"
    return f" {words} " if element.tag in BLOCKS else words


BLOCKS = {*"p td th tr table pre blockquote ul ol h1 h2 h3 h4 h5 h6 br hr DOCUMENT_FRAGMENT".split()}


@pytest.mark.parametrize(
    "words",
    [
        "Оператор [ТОО «А»](далее – Портал, без права отказа) обязан.",
        "[пени](0,1 % в день)",
        '[сайт](/a "срок пять лет")',
        "[](http://a.kz)",
        "- Данные **имя** не передаются:\n    - третьим лицам",
        "**без ** пары **слово** * **целиком** видно",
        "до`\xa0кода `после",
        "<имя\\*@a.kz> и <имя@a.kz>",
        "| А | Б |\n|---|---|\n> | 1 | 2 | 3 | штраф |",
        "| Услуга | Цена |\n|---|---|\n| Доступ | 100 | кроме штрафа |",
    ],
)
def test_every_word_is_seen_on_the_page_and_by_the_redline(words):
    document = clauses.parse(f"# С\n\n1. ОБЩИЕ\n\n1.1. А:\n\n{words}\n")
    visible = re.findall(r"\w+", re.sub(r"<[^>]*>", " ", document.html))
    compared = re.findall(r"\w+", " ".join(unit.text for unit in document.units))
    for word in re.findall(r"\w+", words):
        assert word in visible
        assert word in compared
