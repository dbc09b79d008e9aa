"""That lists, links and tables hide nothing, and that what a reader sees is what is compared."""

from __future__ import annotations

import html
import re
from importlib.util import find_spec
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
        ("1. Раз\n2. Два", "<ol>", ["1. Раз", "2. Два"]),
        ("•\tраз\n•\tдва", "<p>", ["• раз", "• два"]),
        ("| А | Б |\n|---|---|\n| 1 | 2 |", "<table>", ["А | Б", "1 | 2"]),
    ],
)
def test_a_list_or_a_table_may_stand_right_under_its_clause(written, begins, words):
    document = parse(f"Т\n\n1. ОБЩЕЕ\n\n1.1. Список:\n{written}\n")
    assert f"Список:</p>\n{begins}" in document.html
    assert document.units[-1].text.split("\n") == ["Список:", *words]


def test_a_dash_at_the_beginning_of_a_wrapped_line_begins_no_list():
    assert "<ul>" not in parse("Т\n\n1.1. Портал\n- онлайн платформа.\n").html


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
