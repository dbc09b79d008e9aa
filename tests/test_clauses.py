"""What a line of an agreement is, where a reference leads, and what HTML may come out of any text at all."""

from __future__ import annotations

import html
import re
import time
from importlib.util import find_spec
from urllib.parse import unquote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agreement.text import clauses, references
from agreement.text.clauses import parse
from tests.corpus.clean import ALL

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


def kinds(body: str) -> list[tuple[str, str]]:
    return [(unit.kind, unit.number) for unit in parse(body).units]


def links(body: str) -> list[str]:
    return re.findall(r'<a class="reference" href="([^"]+)"', parse(body).html)


# What begins a unit


@pytest.mark.parametrize(
    ("line", "unit"),
    [
        ("1. ЖАЛПЫ ЕРЕЖЕЛЕР", ("section", "1")),
        ("## 1. Жалпы ережелер", ("section", "1")),
        ("## 1 Жалпы ережелер", ("section", "1")),
        ("**1. ОБЩИЕ ПОЛОЖЕНИЯ**", ("section", "1")),
        ("1. Общие положения\n1.1. Первый.", ("section", "1")),
        ("1. Общие положения\n=====", ("section", "1")),
        ("1.1. Мәтін", ("clause", "1.1")),
        ("1.1 Мәтін", ("clause", "1.1")),
        ("1.1.\xa0Мәтін", ("clause", "1.1")),
        ("**1.1.** Мәтін", ("clause", "1.1")),
        ("*1.1.* Мәтін", ("clause", "1.1")),
        ("**1.1. Терминдер.** Мәтін", ("clause", "1.1")),
        ("**1.1. Терминдер\nмен ұғымдар.** Мәтін", ("clause", "1.1")),
        ("\t1.1.\tМәтін", ("clause", "1.1")),
        ("\xa01.1.\xa0Мәтін", ("clause", "1.1")),
        ("\u200b1.1. Мәтін", ("clause", "1.1")),
        ("1\\. ОБЩИЕ ПОЛОЖЕНИЯ", ("section", "1")),
        ("1 Общие положения\n1.1 Первый.", ("section", "1")),
        ("1. Общие положения\nВводные слова.\n1.1. Первый.", ("section", "1")),
        ("### 1.1. Мәтін", ("clause", "1.1")),
        ("1.10. Мәтін", ("clause", "1.10")),
        ("1.1.1. Мәтін", ("subclause", "1.1.1")),
        ("1) мәтін", ("subclause", "0-1")),
        ("## Анықтама", ("heading", "")),
        ("Примечание. Текст.", ("note", "")),
        ("Ескерту: мәтін.", ("note", "")),
    ],
)
def test_a_number_begins_a_unit(line, unit):
    assert kinds(f"Атауы\n\n{line}\n")[1] == unit


@pytest.mark.parametrize(
    "line",
    [
        "2024. Жыл",
        "01.02.2024 бастап",
        "1.2.2024 бастап",
        "192.168.0.1 мекенжайы",
        "1. мәтін",
        "- 1.1. мәтін",
        "> 1.1. мәтін",
        "1.1.мәтін",
        "3.1-тармақта",
        "2.0. мәтін",
        "10.12.24 ж. бастап",
        "1.5 млн теңге",
        "1. Бір\n2. Екі",
    ],
)
def test_what_only_looks_like_a_number_begins_nothing(line):
    assert all(not number for _, number in kinds(f"Атауы\n\nКіріспе.\n\n{line}\n"))


@pytest.mark.parametrize(
    "wrapped",
    [
        "в соответствии с пунктом\n1.2. настоящего Соглашения",
        "в размере\n1.5 млн тенге",
        "пункты 1.1 и\n1.2 применяются",
        "пункты 1.1,\n1.2. Далее",
        "Пеня составляет\n2.5 МРП",
        "Пеня составляет\n1.2 МРП",
        "по протоколу TLS\n1.2. Далее",
        "в 2026 г.\n1.5 раза",
        "в размере\n1.2 от суммы",
    ],
)
def test_a_number_in_the_middle_of_a_wrapped_sentence_begins_nothing(wrapped):
    assert kinds(f"Название\n\n1. ОБЩЕЕ\n1.1. Текст {wrapped}.\n")[1:] == [("section", "1"), ("clause", "1.1")]


@pytest.mark.parametrize(
    "end", [".", ";", ",", ", и", " и", " или", " және", ", немесе", " –", "", ")", "»", " example.kz", "и др."]
)
def test_the_next_number_begins_a_clause_whatever_the_line_before_ends_with(end):
    body = f"Название\n\n1. ОБЩЕЕ\n1.1. право на доступ{end}\n1.2. право на удаление{end}\n1.3. прочее.\n"
    assert parse(body).numbers == ("1", "1.1", "1.2", "1.3")


def test_a_number_of_the_wrong_place_begins_a_clause_too():
    body = "Название\n\n1. ОБЩЕЕ\n1.10 Десятый\n1.13 Без точки\n1.12. С точкой.\n1.11 Да\n"
    assert parse(body).numbers == ("1", "1.10", "1.13", "1.12", "1.11")
    assert parse("Название\n\n1.9. А.\n1.10. Б.\n1.9 девятый\n").numbers == ("1.9", "1.10", "1.9")


def test_a_section_in_small_letters_begins_where_its_first_clause_follows():
    body = "Т\n\n1. Общие\n\nВводный.\n\n1.1. Раз.\n\n1. Один\n2. Два\n\n2. Права\n\nВводный.\n\n2.1. Раз.\n"
    assert parse(body).numbers == ("1", "1.1", "2", "2.1")
    assert parse(body).units[3].text == "Раз.\n1. Один\n2. Два"


@pytest.mark.parametrize(
    ("kk", "ru"),
    [
        ("ҚОСЫМША", "ПРИЛОЖЕНИЕ"),
        ("## 1-қосымша", "## Приложение 1"),
        ("№ 1 қосымша", "Приложение № 1"),
        ("Келісімге 1-қосымша", "Приложение 1 к Соглашению"),
        ("1-ҚОСЫМША. ТАРИФТЕР", "ПРИЛОЖЕНИЕ 1. ТАРИФЫ"),
    ],
)
def test_an_appendix_that_numbers_anew_has_numbers_of_its_own(kk, ru):
    rest = "\n\n1. ТАРИФ\n\n1.1. Бір:\n\n1) екі;\n\nа) үш.\n"
    documents = [parse(f"Т\n\n1. ОБЩЕЕ\n\n1.1. Бір.\n\n{heading}{rest}{heading}{rest}") for heading in (kk, ru)]
    anew = ["", ".1", ".1.1", ".1.1-1", ".1.1-1a"]
    for document in documents:
        assert list(document.numbers) == ["1", "1.1", *(f"a1{end}" for end in anew), *(f"a2{end}" for end in anew)]
        assert re.findall(r' id="([^"]*)"', document.html) == list(document.numbers)
        assert all(map(clauses.ANCHOR.match, document.numbers))


def test_a_table_of_contents_begins_no_section():
    body = "Т\n\n1. ОБЩИЕ ... 3\n2. ПРАВА ... 4\n\n1. ОБЩИЕ\n\n1.1. Раз.\n\n2. ПРАВА\n\n2.1. Два.\n"
    assert parse(body).numbers == ("1", "1.1", "2", "2.1")


def test_a_telephone_number_begins_nothing():
    body = "Т\n\n1. ОБЩЕЕ\n1.1. Тел.:\n8.727.250 00 00\n7.701.1234567\n1.2. Дальше.\n"
    assert parse(body).numbers == ("1", "1.1", "1.2")


def test_an_appendix_that_numbers_on_keeps_the_agreements_numbers():
    body = "Т\n\n1. ОБЩЕЕ\n\n1.1. Раз.\n\nПРИЛОЖЕНИЕ 1\n\n1) два\n\n2. ТАРИФЫ\n\n2.1. Три.\n"
    assert parse(body).numbers == ("1", "1.1", "a1", "a1-1", "2", "2.1")


@pytest.mark.parametrize(
    "line",
    [
        "Қосымша ақпарат",
        "## Қосымша шарттар",
        "Приложение доступно всем",
        "Приложение № 1 – тарифы;",
        "Приложение № 1 – тарифы\nПриложение № 2 – форма",
        "ПРИЛОЖЕНИЯ К СОГЛАШЕНИЮ",
    ],
)
def test_what_only_names_an_appendix_begins_none(line):
    assert parse(f"Т\n\n1. ОБЩЕЕ\n\n1.1. Раз.\n\n{line}\n").numbers == ("1", "1.1")


def test_kazakh_and_russian_letter_items_are_paired_by_their_place():
    head = "Т\n\n1. ОБЩЕЕ\n\n1.1. Тізім:\n\n"
    kk, ru = parse(head + "а) бір\nә) екі\nб) үш\n"), parse(head + "а) один\nб) два\nв) три\n")
    assert kk.numbers == ru.numbers == ("1", "1.1", "1.1-a", "1.1-b", "1.1-c")
    assert [unit.label for unit in kk.clauses[2:]] == ["а)", "ә)", "б)"]
    assert 'class="item" id="1.1-b"' in kk.html
    assert "ә)</a> екі</p>" in kk.html


def test_items_belong_to_their_subclause():
    body = "Т\n\n1. ОБЩЕЕ\n\n1.1. Список:\n1) раз:\nа) два;\nб) три;\n2) четыре.\n1.2. Пункт.\n"
    assert parse(body).numbers == ("1", "1.1", "1.1-1", "1.1-1a", "1.1-1b", "1.1-2", "1.2")


def test_text_before_the_first_section_and_tables_keep_their_place():
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
def test_nothing_a_reader_is_bound_by_is_hidden(hidden):
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


def test_the_second_lock_holds_without_the_first():
    page = clauses.clean(
        '<p id="evil" class="evil" onclick="x"><a href="javascript:x">а</a><script>б</script></p><p id="1.1-2b">'
    )
    assert page == '<p><a rel="noopener noreferrer">а</a></p><p id="1.1-2b"></p>'


# Any text


@given(ANY)
@settings(max_examples=300, deadline=None)
def test_the_units_join_to_the_text_again_and_read_the_same(body):
    document = parse(body)
    assert document.source == body
    assert parse(document.source) == document
    assert [body[unit.start :][: len(unit.source)] for unit in document.units] == [
        unit.source for unit in document.units
    ]


@pytest.mark.skipif(find_spec("html5lib") is None, reason="html5lib is not installed")
@given(ANY)
@example("1. A B\n1.1. <img src=x onerror=y>[a](javascript:z){: #evil }")
@settings(max_examples=300, deadline=None)
def test_the_html_of_any_text_holds_only_what_is_allowed(body):
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
@settings(max_examples=200, deadline=None)
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
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_is_read_in_seconds(name):
    started = time.perf_counter()
    assert parse(HOSTILE[name]).source == HOSTILE[name]
    assert time.perf_counter() - started < 10


@pytest.mark.parametrize("agreement", ALL, ids=lambda agreement: agreement.name)
def test_a_clean_agreement_reads_the_same_in_both_languages(agreement):
    kk, ru = (parse(body) for body in agreement.texts().values())
    assert kk.numbers == ru.numbers
    assert [(unit.kind, unit.number, unit.parent) for unit in kk.units] == [
        (unit.kind, unit.number, unit.parent) for unit in ru.units
    ]
    assert sum(unit.kind == "section" for unit in kk.units) == len(agreement.sections.split())


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
def test_a_list_keeps_the_numbers_it_was_written_with(written, values, words):
    document = parse(f"Т\n\n1. ОБЩЕЕ\n\n1.1. Список:\n\n{written}\n")
    assert re.findall(r'<li value="(\d+)"', document.html) == values
    assert document.units[-1].text.split("\n") == ["Список:", *words]
    assert all(re.search(rf"<li>\s*(?:<p>)?{word[:3]}", document.html) for word in words if not values)


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
@settings(max_examples=300, deadline=None)
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
