"""What a line of an agreement is, where a reference leads, and what HTML may come out of any text at all."""

from __future__ import annotations

import re
import time
from importlib.util import find_spec

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agreement.text import clauses, references
from agreement.text.clauses import parse
from agreement.text.lint.rules import lint
from tests.corpus.clean import ALL
from tests.support.scale import examples

# Letters that texts are made of, and what grammars trip over.
PIECES = st.sampled_from(
    [
        *("\n", "\n\n", " ", "    ", "\t", "\r\n", "\x00", "\x02", "\x03", "\ud800", "\u2028"),
        *("# ", "## ", "1. ", "1.1. ", "1.2 ", "2) ", "а) ", "ә) ", "- ", "> ", "* ", "|", "|-|", "---", "==="),
        *("**", "__", "`", "[", "](", ")", "<", "<b>", "<script>", "&amp;", "&#0;", "&", "\\", "!["),
        *("javascript:", "http://a.kz", "<a@b.kz>", 'x" onclick="y', "1.1-тармақ", "пункт 1.2", "ЖАЛПЫ", "сөз", "Note"),
        *("Примечание. ", "\x02unit:0\x03", "\x02wzxhzdk:0\x03", "{: #id }", "id=x"),
    ]
)
ANY = st.one_of(st.text(), st.lists(PIECES, max_size=40).map("".join))


def links(body: str) -> list[str]:
    return re.findall(r'<a class="reference" href="([^"]+)"', parse(body).html)


def test_text_before_the_first_section_and_tables_stay_in_place():
    page = parse("Т\n\nКіріспе.\n\n1. ЖАЛПЫ\n\n1.1. Бір.\n\n| а | ә |\n|--|--|\n| б | в |\n\n1.2. Екі.\n").html
    places = [page.index(mark) for mark in ("Кіріспе", 'id="1"', 'id="1.1"', "<table>", 'id="1.2"')]
    assert places == sorted(places)


def test_a_unit_knows_its_line_and_its_source():
    body = "Т\r\n\r\n1. ЖАЛПЫ\r\n\r\n1.1. Бір\r\nжалғасы.\r\n\r\n"
    clause = parse(body).clauses[1]
    assert (clause.line, clause.text) == (5, "Бір жалғасы.")
    assert body[clause.start :] == clause.source == "1.1. Бір\r\nжалғасы.\r\n\r\n"


def test_a_number_used_twice_is_an_id_once():
    assert parse("Т\n\n1. ОБЩЕЕ\n\n1.1. Раз.\n\n1.1. Два.\n").html.count('id="1.1"') == 1


@pytest.mark.parametrize("hidden", ["<b>сөз</b>", "<!-- сөз -->", "[сөз]: http://a.kz", "![сөз](http://a.kz/x.png)"])
def test_no_word_of_the_source_is_hidden(hidden):
    page = parse(f"Т\n\n1. ЖАЛПЫ\n\n1.1. Бір.\n\n{hidden}\n").html
    assert "сөз" in page
    assert "<img" not in page


def test_links_and_emphasis_are_words_in_a_clauses_text():
    clause = parse("Т\n\n1. Я И ТЫ\n\n1.1. **Қор** [сайты](https://a.kz) &laquo;A&amp;B&raquo; `код` 2 < 3.\n").clauses[
        1
    ]
    assert clause.text == "Қор сайты (https://a.kz) «A&B» код 2 < 3."


# References

BODY = "Т\n\n1. Ә Ғ\n\n1.1. Бір:\n1) а;\n2) ә:\nа) б;\nә) в.\n\n1.2. Екі.\n\n2. Б В\n\n2.1. "


@pytest.mark.parametrize(
    ("text", "targets"),
    [
        ("1.1-тармақ", ["#1.1"]),
        ("1.1-тармақта, 1.2-тармақтың, 1.2-тармағында", ["#1.1", "#1.2", "#1.2"]),
        ("1.1 тармақта", ["#1.1"]),
        ("1.1 – 1.2 тармақтардың", ["#1.1", "#1.2"]),
        ("1.1–1.2-тармақтарға", ["#1.1", "#1.2"]),
        ("1.1 және 1.2-тармақтар", ["#1.1", "#1.2"]),
        ("1-бөлім, 2-бөлімнің", ["#1", "#2"]),
        ("1.1-тармақтың 2) тармақшасында", ["#1.1", "#1.1-2"]),
        ("1.1-тармақтың 1), 2) тармақшалары", ["#1.1", "#1.1-1", "#1.1-2"]),
        ("осы Келісімнің 1.1-тармағы", ["#1.1"]),
        ("пункт 1.1, п. 1.2, п.1.2", ["#1.1", "#1.2", "#1.2"]),
        ("пп. 1.1 и 1.2", ["#1.1", "#1.2"]),
        ("пунктами 1.1–1.2, пунктах с 1.1 по 1.2", ["#1.1", "#1.2", "#1.1", "#1.2"]),
        ("раздел 1, разделами 1 и 2", ["#1", "#1", "#2"]),
        ("подпункт 2) пункта 1.1", ["#1.1-2", "#1.1"]),
        ("подпунктом «а» пункта 1.1", ["#1.1-2a", "#1.1"]),
        ("пункта 1.1 настоящих Правил", ["#1.1"]),
        ("TLS 1.1, v1.1, HTTP/1.1", []),
        ("TLS 1.1 және 1.2-тармақ", ["#1.2"]),
        ("01.01.2024, 1.1.24", []),
        ("№ 94-V Заңының 8-бабы, Заңның 1.1-тармағы", []),
        ("пункт 1.1 Правил, пункт 1 статьи 2 Закона", []),
        ("9.9-тармақ, пункт 9.9", []),
        ("1.1-ші тармақ, 2-ші бөлім, 1.1.-тармақ", ["#1.1", "#2", "#1.1"]),
        ("1.1, сондай-ақ 1.2-тармақтар; 1.1-інші тармаққа", ["#1.1", "#1.2", "#1.1"]),
        ("пункты 1.1, а также 1.2, пунктам 1.1 а также 1.2", ["#1.1", "#1.2", "#1.1", "#1.2"]),
        ("осы Келісімнің 1-бөлімінің 1.1-тармағы", ["#1", "#1.1"]),
        ("Пайдаланушының 1.1-тармақтағы құқығы 1.1. Тармақ", ["#1.1"]),
        ("Заңның 1.1-тармақта көрсетілген, Тәртіптің 1.1, 1.2-тармақтарына, Тәртіптің 1-бөлімі", []),
        ("пункт 1.1 определяет порядок, пункт 1.2 нарушил закон", ["#1.1", "#1.2"]),
        ("пункта 1.1 настоящего Порядка", ["#1.1"]),
        ("Заңның 8-бабының 1.1-тармағына, Заңның 8-бабы 1.1-тармағы", []),
        ("Заңның (бұдан әрі – Заң) 1.1-тармағы, Қағидалардың 1-бөлімінің 1.1-тармағы", []),
        ("1-қосымшаның 1.1-тармағы, Заңның 8-бабы 1-тармағының 2) тармақшасы", []),
        ("пункт 1.1 приложения 1, п. 1.1 Порядка, пп. 1.1 и 1.2 «Правил»", []),
        ("пункта 2 статьи 8 Закона, подпункт 2) статьи 8, п. 1.1 ст. 8, раздела 1 Типовых правил", []),
        ("пункт 1.1 утверждённых приказом Правил", ["#1.1"]),
        ("пункт 1.1 раздела 1 Порядка, пункта 1.1 указанного выше договора", ["#1.1"]),
        ("(см. пункт 1.1), (пункты 1.1 и 1.2), (п. 1.1; раздел 2)", ["#1.1", "#1.1", "#1.2", "#1.1", "#2"]),
        ("(1.1-тармақ), (1.1 және 1.2-тармақтар), (2-бөлім)", ["#1.1", "#1.1", "#1.2", "#2"]),
        ("(пункт 1.1, подпункты 1) и 2) пункта 1.1)", ["#1.1", "#1.1-1", "#1.1-2", "#1.1"]),
        ("(раздел 1 Правил), (пункт 1.1 Правил)", []),
        ("`пункт 1.1`, [пункт 1.1](https://a.kz)", []),
    ],
)
def test_a_reference_leads_to_its_clause_and_nothing_else_does(text, targets):
    assert links(f"{BODY}{text}\n") == targets


def test_in_an_appendix_a_number_is_its_own_unless_the_agreement_is_named():
    body = (
        "Т\n\n1. ОБЩЕЕ\n\n1.1. Раз.\n\n1.2. Два.\n\n1-ҚОСЫМША\n\n1.1. Три:\n\n1) а.\n\n"
        "1.3. Пункт 1.1, пункт 1.2, пункт 1.1 Соглашения, Келісімнің 1.1-тармағы, подпункт 1) пункта 1.1.\n"
    )
    assert links(body) == ["#a1.1.1", "#1.2", "#1.1", "#1.1", "#a1.1.1-1", "#a1.1.1"]


def test_an_item_of_this_clause_is_found_from_within_it():
    assert links("Т\n\n1. Ә Ғ\n\n1.1. Осы тармақтың 2) тармақшасы:\n1) а;\n2) ә.\n") == ["#1.1-2"]


def test_cleaning_alone_makes_hostile_html_safe():
    page = clauses.clean(
        '<p id="evil" class="evil" onclick="x"><a href="javascript:x">а</a><script>б</script></p><p id="1.1-2b">'
    )
    assert page == '<p><a rel="noopener noreferrer">а</a></p><p id="1.1-2b"></p>'


# Any text


@given(ANY)
@settings(max_examples=examples(300))
def test_the_sources_of_the_units_are_the_whole_text(body):
    document = parse(body)
    assert document.source == body
    assert parse(document.source) == document
    assert [body[unit.start :][: len(unit.source)] for unit in document.units] == [
        unit.source for unit in document.units
    ]


@pytest.mark.skipif(find_spec("html5lib") is None, reason="html5lib is not installed")
@given(ANY)
@example("1. A B\n1.1. <img src=x onerror=y>[a](javascript:z){: #evil }")
@settings(max_examples=examples(300))
def test_the_html_of_any_text_has_only_allowed_tags(body):
    import html5lib

    tree = html5lib.parseFragment(parse(body).html, treebuilder="etree", namespaceHTMLElements=False)
    for element in tree.iter():
        if element.tag == "DOCUMENT_FRAGMENT":
            continue
        assert element.tag in clauses.TAGS
        assert set(element.attrib) <= clauses.ATTRIBUTES.get(element.tag, set()) | (
            {"rel"} if element.tag == "a" else set()
        )
        assert clauses.ANCHOR.match(element.get("id", "1"))
        assert element.get("class", "clause") in clauses.CLASSES
        assert (
            element.get("href", "#").partition(":")[0] in {"http", "https", "mailto", "tel"}
            or ":" not in element.get("href", "#").split("/")[0]
        )


@given(ANY)
@example("Т\n\n1. ЖАЛПЫ\n\n1.1. Бір.\n\n- тізім\n\n\x02cut:0\x03\n\n1.2. Екі.\n")
def test_the_html_of_each_unit_is_whole_in_itself(body):
    document = parse(body)
    assert len(document.parts) == len(document.units)
    for part in document.parts:
        assert clauses.clean(part) == part


def test_a_unit_has_the_html_of_all_its_blocks():
    document = parse("Т\n\n1. ЖАЛПЫ\n\n1.1. Бір.\n\n- тізім\n\n1.2. Екі.\n")
    title, section, first, second = document.parts
    assert title == ""
    assert section.startswith('<h2 id="1">')
    assert 'id="1.1"' in first
    assert "<li>тізім</li>" in first
    assert 'id="1.2"' in second
    assert "тізім" not in second


@given(ANY)
@settings(max_examples=examples(200))
def test_references_stand_where_they_say(text):
    for reference in references.find(text):
        assert text[reference.start : reference.end].strip('«»“”„") ')
        assert 0 <= reference.start < reference.end <= len(text)


HOSTILE = {
    "brackets": "[" * 100_000,
    "links": "[a](" * 25_000,
    "images": "![" * 50_000,
    "stars": "**a " * 25_000,
    "tags": "<a " * 33_000,
    "parentheses": "(" * 100_000,
    "digits and dots": "1." * 50_000,
    "lists in a line": "1. " * 33_000,
    "bullets in a line": "- " * 50_000,
    "quotes": ">" * 100_000,
    "quotes in quotes": "\n".join(">" * depth + " a" for depth in range(150)),
    "lists in lists": "\n\n".join(" " * (4 * depth) + "- a" for depth in range(400)),
    "definitions": "[a]:\n" * 20_000,
    "references": "пункт " + "1.1, " * 20_000,
    "case endings": "1.1-тармақтың " * 7_000,
    "code": "`a " * 33_000,
    "rows": "|a" * 25_000 + "\n" + "|-" * 25_000,
    "clauses": "1.1 а\n" * 14_000,
    "spaces": "а\n" + " " * 100_000 + "1.1.а\n",
    "hashes": "Т\n\n" + "#" * 50_000 + " а",
    "empty lines": "\n" * 100_000,
    "spaces and tabs": " \t" * 50_000 + "1.\tа",
    "owners": "1.1-тармағының " * 7_000,
    "bullets": "• а:\n" * 5_000,
    "a word": "а\n\n" + "Г" * 100_000,
    "rules": "1. Абв где.\n" * 8_000,
    "lists in sections": "1. Абв\n 1. Где\n 2. Жзи\n2. Абв\n" * 3_500,
    "chapters": "Глава 1. Абв\n1. Где.\n" * 5_000,
    "appendices": "Приложение 1 к\n\nДоговору\n\n" * 4_000,
    "datives": "Келісіміне\n1-қосымша\n\n" * 4_000,
    "articles": "5-баптың 2-тармағы, " * 5_000,
    "clauses of articles": "пункт 2 статьи 5, " * 5_000,
    "emphasised references": "**пункт** 1.1 *а* " * 5_000,
}


@pytest.mark.parametrize("part", [8, pytest.param(1, marks=pytest.mark.scale)])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_is_read_in_seconds(name, part):
    text = HOSTILE[name][: len(HOSTILE[name]) // part]
    started = time.process_time()
    assert parse(text).source == text
    lint({"kk": text})
    assert time.process_time() - started < 10 / part


@pytest.mark.parametrize("agreement", ALL, ids=lambda agreement: agreement.name)
def test_a_clean_agreement_reads_the_same_in_both_languages(agreement):
    kk, ru = (parse(body) for body in agreement.texts().values())
    assert kk.numbers == ru.numbers
    assert [(unit.kind, unit.number, unit.parent) for unit in kk.units] == [
        (unit.kind, unit.number, unit.parent) for unit in ru.units
    ]
    assert sum(unit.kind == "section" for unit in kk.units) == len(agreement.sections.split())
