"""That words written as Markdown are displayed as they are, and that nothing else is escaped."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agreement.text.clauses import parse
from agreement.text.escaping import escaped
from tests.support.scale import examples

MARKS = st.sampled_from(
    [
        *("\\", "`", "``", "*", "**", "***", "_", "__", "___", "____", "[", "]", "](", "(", ")", "![", "!", "|", "||"),
        *("#", "##", "#######", ">", ">>", "-", "--", "---", "+", "=", "===", ":", ":-", "-:", "<", "/>", "~~", "~~~"),
        *(
            "&",
            "&copy;",
            "&amp;",
            "&#42;",
            "&#x2a;",
            "&foo;",
            "&lt;b&gt;",
            "<br>",
            "<br/>",
            "<b>",
            "</b>",
            "<!--",
            "-->",
        ),
        *(
            "<https://a.kz>",
            "<a@b.kz>",
            "<mailto:a@b.kz>",
            "[а](https://a.kz)",
            "[а](/б)",
            "[а]: /б",
            "[^а]",
            "{: .а }",
        ),
        *("https://a.kz", "(/", "(#", "(<.", "*а*", "_а_", "**а**", "`а`", "сөз", "а_б", "Я", "«", "»", '"', "“", "„"),
        *(
            " ",
            "  ",
            "    ",
            "\t",
            "\n",
            "\n\n",
            "  \n",
            "\\\n",
            "\u00a0",
            ".",
            ",",
            ";",
            "…",
            "№",
            "°",
            "–",
            "•",
        ),
    ]
)
WORDS = st.lists(MARKS, max_size=14).map("".join)
#: Digits too; words then can begin units and lists, as the docstring of ``escaped`` says.
NUMBERED = st.lists(
    st.one_of(MARKS, st.sampled_from(["1", "5", "1.", "1.1", "2)", "18", "+7", "5 °C", "а) "])), max_size=14
)


def plain(words: str) -> list[str]:
    return words.split()


def displayed(page: str) -> list[str]:
    """The words of a page, with the numbers of its lists."""
    page = re.sub(r'<li value="(\d+)">\s*(?:<p>)?', r" \1. ", page)
    return plain(html.unescape(re.sub(r"<[^>]*>", "", re.sub(r"<(?:br|/?(?:p|li|ol|h\d))[^>]*>", " ", page))))


@given(WORDS)
@example("a\n---")
@example("|а|\n|-|")
@example("а | б\n|")
@example("\\\n*а*")
@example('"*"а*')
@example("*](/а*")
@example("<https://a.kz<https://a.kz>")
@example("<a@a.kz<https://a.kz<br>")
@example("<a<a@a.kz>")
@settings(max_examples=examples(1000))
def test_escaped_words_are_displayed_as_they_are_and_are_no_marks(words):
    document = parse(f"Т\n\nСөз.\n\n{escaped(words)}\n\nСөз.\n")
    assert [unit.kind for unit in document.units] == ["title", "text"]
    assert set(re.findall(r"<(\w+)", document.html)) <= {"p", "br"}
    assert displayed(document.html) == ["Сөз.", *plain(words), "Сөз."]
    assert document.units[1].text.split() == ["Сөз.", *plain(words), "Сөз."]


@given(WORDS, st.sampled_from(["1.1. ", "## ", "- ", "а) ", "> а "]))
@settings(max_examples=examples(500))
def test_escaped_words_are_displayed_as_they_are_behind_a_label(words, label):
    lines = [line for line in words.split("\n") if line.strip()][:1]
    document = parse(f"Т\n\nСөз.\n\n{label}сөз {escaped(' '.join(lines), start=False)}\n")
    assert set(re.findall(r"<(\w+)", document.html)) <= {"p", "a", "h2", "ul", "li", "blockquote"}
    assert (
        document.units[-1].text.split()[-len(plain(lines[0])) :] == plain(lines[0])
        if lines and plain(lines[0])
        else True
    )


@given(WORDS)
@settings(max_examples=examples(500))
def test_escaped_words_are_one_cell_of_a_table(words):
    cell = "<br>".join(escaped(line, start=False) for line in words.split("\n")).replace("|", "\\|")
    document = parse(f"Т\n\nСөз.\n\n| а | {cell} |\n| --- | --- |\n| {cell} | б |\n")
    assert document.html.count("<td") == document.html.count("<th>") == 2
    assert document.units[1].text.split() == ["Сөз.", "а", "|", *plain(words), *plain(words), "|", "б"]


@given(NUMBERED.map("".join))
@example("+\n\\")
@settings(max_examples=examples(1000))
def test_numbers_are_displayed_as_they_are(words):
    document = parse(f"Т\n\nСөз.\n\n{escaped(words)}\n")
    assert "".join(displayed(document.html)) == "".join(["Сөз.", *plain(words)])  # A space follows each label.


@pytest.mark.parametrize(
    "words",
    [
        "«___» __________ 20__ г., М.О. _____/_____/",
        "_________________________",
        "Тариф*, услуга* и работа*.",
        "> 18 лет, > 5 %, >= 3",
        "+ 7 727 250 00 00",
        "- 5 °C",
        "#5 кабинет, № 5, C#",
        "[1], [указать БСН], {{имя}}, <ДОМЕН>",
        "[пени](0,1 % в день)",
        "user_name@example.kz, a_b_c",
        "AT&T, R&D; 1 < 2 > 0",
        "1.1. Текст\n1) текст",
        "C:\\Users",
        "– раз\n• два\n-три",
        "а | б",
        "(а) – (б)",
    ],
)
def test_what_is_no_mark_is_not_escaped(words):
    assert escaped(words) == words


@pytest.mark.parametrize(
    ("words", "written"),
    [
        ("*а*", "\\*а*"),
        ("# а", "\\# а"),
        ("- а\n- б", "\\- а\n\\- б"),
        ("> а", "\\> а"),
        ("а\n===", "а\n\\==="),
        ("---", "\\---"),
        ("<https://a.kz>", "\\<https://a.kz>"),
        ("[а](https://a.kz)", "[а\\](https://a.kz)"),
        ("&copy;", "&amp;copy;"),
        ("`а`", "\\`а\\`"),
        ("\\*", "\\\\*"),
    ],
)
def test_a_mark_is_escaped_once(words, written):
    assert escaped(words) == written


def test_words_that_follow_a_label_begin_no_block():
    assert escaped("- а\n- б", start=False) == "- а\n\\- б"
