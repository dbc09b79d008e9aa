"""What a line of an agreement begins: a section, a clause, an appendix, or nothing."""

from __future__ import annotations

import re

import pytest

from agreement.text import clauses
from agreement.text.clauses import parse
from agreement.text.lint.rules import lint
from agreement.urls import ClauseConverter


def kinds(body: str) -> list[tuple[str, str]]:
    return [(unit.kind, unit.number) for unit in parse(body).units]


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
        "1. Бір\n1. Екі",
    ],
)
def test_a_year_a_date_or_an_address_begins_no_unit(line):
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
    assert parse(body).numbers == ("1", "1.1", "1.1-1", "1.1-2", "2", "2.1")


@pytest.mark.parametrize(
    ("kk", "ru"),
    [
        ("ҚОСЫМША", "ПРИЛОЖЕНИЕ"),
        ("## 1-қосымша", "## Приложение 1"),
        ("№ 1 қосымша", "Приложение № 1"),
        ("Келісімге 1-қосымша", "Приложение 1 к Соглашению"),
        ("№ 5 келісімге қосымша", "Приложение к Соглашению № 5"),
        ("${year} жылғы «${day}» № ${number} келісімге Қосымша", "Приложение к Соглашению № ${number}"),
        ("[күні] № [нөмірі] шартқа қосымша", "Приложение к договору № [номер]"),
        ("____ жылғы шартқа қосымша", "Приложение к договору от ____ года"),
        ("1-ҚОСЫМША. ТАРИФТЕР", "ПРИЛОЖЕНИЕ 1. ТАРИФЫ"),
    ],
)
def test_an_appendix_that_starts_again_at_1_has_its_own_numbers(kk, ru):
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


def test_a_table_of_contents_in_capitals_begins_no_section_either():
    body = "Т\n\n1. ОБЩИЕ\n2. РЕКВИЗИТЫ\n\n1. ОБЩИЕ\n\n1.1. а.\n\n2. РЕКВИЗИТЫ\n\nТОО\n"
    assert parse(body).numbers == ("1", "1.1", "2")


@pytest.mark.parametrize("apart", ["\n", "\n\n"])
@pytest.mark.parametrize("heading", ["2. Тараптардың деректемелері", "2.\tРеквизиты сторон.", "**2. Подписи**"])
def test_the_last_section_may_have_no_clauses(heading, apart):
    body = f"Т\n\n1. Жалпы ережелер{apart}1.1. Мәтін.{apart}{heading}{apart}«Портал» ЖШС\n"
    assert kinds(body)[1:] == [("section", "1"), ("clause", "1.1"), ("section", "2"), ("text", "")]


@pytest.mark.parametrize(
    "tail",
    [
        "1.1. Мыналар:\n\n1. ЖСН.\n2. ЭЦҚ.\n3. БСН.\n\n1.2. Мәтін.",
        "1.1. Способы:\n1. Карта\n2. Наличные\n1.2. Далее.",
        "1.1. Способы:\n\n1. Карта.\n\n2. Наличные.\n\n1.2. Далее.",
    ],
)
def test_a_list_of_a_clause_begins_sub_clauses(tail):
    document = parse(f"Т\n\n1. ЖАЛПЫ\n\n{tail}\n")
    points = [unit for unit in document.clauses if unit.kind == "subclause"]
    assert [number for number in document.numbers if "-" not in number] == ["1", "1.1", "1.2"]
    assert [(unit.number, unit.label) for unit in points[:2]] == [("1.1-1", "1."), ("1.1-2", "2.")]


@pytest.mark.parametrize(
    "lines",
    [
        "2. Тысячи тенге.",
        "1. Карта",
        "1. Карта\n1. Наличные",
        "1. Карта\n3. Наличные",
        "1) Карта\n\n1. Наличные\n2. Рассрочка",
        "- Карта\n    1. Наличные\n    2. Рассрочка",
        "| 1. | Карта |\n|---|---|\n| 2. | Наличные |",
    ],
)
def test_a_list_that_does_not_count_from_1_begins_nothing(lines):
    numbers = parse(f"Т\n\n1. ЖАЛПЫ\n\n1.1. Способы:\n\n{lines}\n\n1.2. Далее.\n").numbers
    assert [number for number in numbers if not number.startswith("1.1-")] == ["1", "1.1", "1.2"]
    assert "1.1-2" not in numbers


def test_a_clause_may_follow_the_abbreviation_of_and_so_on():
    assert parse("Т\n\n1. ОБЩЕЕ\n1.1. Книги и т.п.\n1.2. Газеты и т. п.\n1.3. Всё.\n").numbers == (
        "1",
        "1.1",
        "1.2",
        "1.3",
    )
    assert parse("Т\n\n1. ОБЩЕЕ\n1.1. Согласно п.\n1.2. Соглашения.\n").numbers == ("1", "1.1")


def test_the_heading_of_the_next_appendix_may_end_with_a_full_stop():
    body = "Т\n\n1. ОБЩЕЕ\n\n1.1. а.\n\nПриложение № 1 к Соглашению\n\nРаз.\n\nПриложение № {} к Соглашению.\n\nДва.\n"
    assert parse(body.format(2)).numbers == ("1", "1.1", "a1", "a2")
    assert parse(body.format(1)).numbers == ("1", "1.1", "a1")


def test_an_appendix_whose_first_number_goes_back_behind_the_last_section_numbers_anew():
    text = "Т\n\n1. Введение\n\nТекст.\n\n2. Предмет\n\n2.1. Раз.\n\nПриложение 1\n\n1.1 Имя.\n\n1.2 Адрес.\n"
    assert parse(text).numbers == ("1", "2", "2.1", "a1", "a1.1.1", "a1.1.2")
    assert parse(f"{text}\nПриложение 2\n\n3. Срок\n\n3.1. Год.\n").numbers[-3:] == ("a2", "3", "3.1")


def test_a_list_of_appendices_begins_no_section():
    body = "Т\n\n1. ОБЩИЕ\n\n1.1. а.\n\nПриложение 1\n\nПеречень\n\n1. Тарифы\n2. Формы\n"
    assert parse(body).numbers == ("1", "1.1", "a1", "a1-1", "a1-2")


def test_a_telephone_number_begins_nothing():
    body = "Т\n\n1. ОБЩЕЕ\n1.1. Тел.:\n8.727.250 00 00\n7.701.1234567\n1.2. Дальше.\n"
    assert parse(body).numbers == ("1", "1.1", "1.2")


def test_an_appendix_that_continues_the_numbers_has_those_of_the_agreement():
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


LIST = "Т\n\n1. ОБЩЕЕ\n\n1.1. Тізім:\n\n"


@pytest.mark.parametrize(
    ("items", "numbers"),
    [
        (("(1) бір;", "(2) екі."), "1 2"),
        (("**(1)** бір;", "**(2)** екі."), "1 2"),
        (("(1) бір:", "(а) екі;", "(ә) үш;", "(2) төрт."), "1 1a 1b 2"),
        (("(1) раз:", "(а) два;", "(б) три;", "(2) четыре."), "1 1a 1b 2"),
        (("1) раз:", "(а) два;", "(б) три;", "2) четыре."), "1 1a 1b 2"),
        (("(a) бір:", "(i) екі;", "(ii) үш;", "(b) төрт:", "(i) бес;", "(c) алты;", "(d) жеті."), "a a1 a2 b b1 c d"),
        (("(i) бір:", "(a) екі;", "(b) үш;", "(ii) төрт;", "(iii) бес;", "(iv) алты;", "(v) жеті"), "a a1 a2 b c d e"),
        (("(і) бір;", "(іі) екі;", "(ііі) үш."), "a b c"),
        (("i) бір;", "ii) екі."), "a b"),
        ([f"({letter}) бір;" for letter in "abcdefghij"], "a b c d e f g h i j"),
        ([f"({letter}) бір;" for letter in [*"abcdefghi", "ii"]], "a b c d e f g h h1 h2"),
        (("(1) Бірінші", "(2) Екінші"), "1 2"),
    ],
)
@pytest.mark.parametrize("between", ["\n", "\n\n"])
def test_a_number_in_two_brackets_begins_what_it_begins_with_one(items, numbers, between):
    document = parse(LIST + between.join(items))
    assert [number.removeprefix("1.1-") for number in document.numbers[2:]] == numbers.split()
    assert [unit.label for unit in document.clauses[2:]] == [item.split()[0].strip("*") for item in items]
    assert re.findall(r' id="([^"]*)"', document.html) == list(document.numbers)
    assert "agreement.L029" not in {message.id for message in lint({"ru": LIST + between.join(items)})}


@pytest.mark.parametrize("between", ["\n", "\n\n"])
def test_a_subclause_in_small_letters_needs_no_space_after_its_number_in_a_row(between):
    rows = between.join(["3.1. Раз.", "3.2. Стороны:", "3.2.1.платят;", "3.2.2. хранят;", "3.2.3.ждут."])
    assert parse(f"Т\n\n{rows}\n").numbers == ("3.1", "3.2", "3.2.1", "3.2.2", "3.2.3")
    assert "agreement.L029" in {message.id for message in lint({"ru": f"Т\n\n{rows}\n"})}
    assert parse(f"Т\n\n3.2. Программа{between}3.2.1.beta.{between}3.3. Раз.\n").numbers == ("3.2", "3.3")


@pytest.mark.parametrize(
    "line",
    [
        "(2024) жыл",
        "(далее – Портал)",
        "(ИНН 123)",
        "(c) 2024 «Портал» ЖШС",
        "(с) «Портал» ЖШС",
        "(b) екі",
        "(1)",
        "Портал обязан\n(1) хранить и\n(2) удалять.",
        "согласно подпункту\n(1) пункта 1.1",
        "Жазба\n(а) мәтін",
        "(ic) мәтін",
    ],
)
def test_another_word_in_brackets_begins_nothing(line):
    assert parse(LIST + line).numbers == ("1", "1.1")


@pytest.mark.parametrize(
    "words",
    ["подпункт (1) пункта 1.1", "1.1-тармақтың (1) тармақшасы", "подпункт 1) пункта 1.1"],
)
def test_a_reference_to_an_item_in_brackets_leads_to_it(words):
    page = parse(f"{LIST}(1) бір.\n\n1.2. {words.capitalize()}.").html
    assert set(re.findall(r'class="reference" href="#([^"]*)"', page)) == {"1.1", "1.1-1"}


DEEP = "Т\n\n1. ОБЩЕЕ\n\n1.1. Бір.\n\n1.1.1. Екі.\n\n"


@pytest.mark.parametrize("dot", [".", ""])
@pytest.mark.parametrize("between", ["\n", "\n\n"])
def test_a_number_of_four_parts_and_more_begins_a_sub_clause_below_its_first_three(dot, between):
    numbers = ("1.1.1.1", "1.1.1.2", "1.1.1.2.1", "1.1.1.3", "1.1.2", "1.2")
    body = DEEP + between.join(f"{number}{dot} Мәтін." for number in numbers)
    document = parse(body)
    assert document.numbers[3:] == numbers
    assert [unit.kind for unit in document.clauses[3:]] == ["subclause"] * 5 + ["clause"]
    assert [unit.parent for unit in document.clauses[3:5]] == ["1.1.1", "1.1.1"]
    assert re.findall(r' id="([^"]*)"', document.html) == list(document.numbers)
    assert not lint({"ru": body})


def test_a_missing_number_of_four_parts_is_a_gap_and_a_reference_leads_to_one():
    body = f"{DEEP}1.1.1.1. Бір.\n\n1.1.1.3. Үш.\n\n1.2. По пункту 1.1.1.3 и п. 1.1.1.7."
    assert {message.id for message in lint({"ru": body})} == {"agreement.L010", "agreement.L012"}
    assert 'href="#1.1.1.3" rel="noopener noreferrer">1.1.1.3</a> и' in parse(body).html


@pytest.mark.parametrize(
    "line",
    ["192.168.1.1 мекенжайы", "192.168.1.1. Мекенжай", "1.1.2.1. Мәтін", "8.727.250.11 Тел.", "1.1.1.1.1.1.1. Бір"],
)
def test_an_address_or_a_number_below_no_other_begins_nothing(line):
    assert parse(DEEP + line).numbers == ("1", "1.1", "1.1.1")


def test_the_address_of_a_page_has_room_for_the_longest_number():
    longest = f"a999.ch{'.'.join(['999'] * 6)}-999zz999"
    assert clauses.ANCHOR.match(longest)
    assert re.fullmatch(ClauseConverter.regex, longest)
