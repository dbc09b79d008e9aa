"""What numbers of one part, numerals and words such as ``Глава`` begin, as all numbers of a text decide it."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agreement.text import clauses
from agreement.text.clauses import parse
from agreement.text.lint.rules import lint
from agreement.text.outline import outline
from agreement.text.parallel import pairs
from agreement.text.quoting import quote
from tests.corpus.clean import ALL
from tests.support.scale import examples


def numbers(body: str) -> str:
    return " ".join(parse(f"Т\n\n{body}\n").numbers)


def parents(body: str) -> dict[str, str]:
    return {unit.number: unit.parent for unit in parse(f"Т\n\n{body}\n").clauses}


def kinds(body: str) -> list[str]:
    return [unit.kind for unit in parse(f"Т\n\n{body}\n").clauses]


def ids(body: str) -> set[str]:
    return {message.id.removeprefix("agreement.") for message in lint({"ru": f"Т\n\n{body}\n"})}


def spaced(*lines: str) -> str:
    return "\n\n".join(lines)


# Sections in small letters


@pytest.mark.parametrize("mark", ["{}", "**{}**", "*{}*", "__{}__"])
@pytest.mark.parametrize("between", ["\n", "\n\n"])
def test_sections_in_small_letters_need_no_clauses(mark, between):
    first, second = mark.format("1. Общие положения"), mark.format("2. Права сторон")
    body = f"{first}{between}Настоящий документ обязателен.\n\n{second}{between}Читатель вправе."
    document = parse(f"Т\n\n{body}\n")
    assert [(unit.kind, unit.number, unit.text) for unit in document.clauses] == [
        ("section", "1", "Общие положения"),
        ("section", "2", "Права сторон"),
    ]
    assert document.html.count("<h2") == 2
    assert ids(body) == set()


def test_a_section_that_is_missing_in_one_language_is_an_error():
    kk = spaced("Т", *(f"{place}. Тақырып\n\nМәтін." for place in range(1, 9)))
    ru = spaced("Т", *(f"{place}. Заголовок\n\nТекст." for place in range(1, 9) if place != 5))
    assert {"agreement.L004"} <= {message.id for message in lint({"kk": kk, "ru": ru})}


def test_definitions_may_stand_in_the_first_section():
    body = spaced("1. Термины и определения", "Портал – сайт.", "Читатель – лицо.", "2. Предмет", "2.1. Раз.")
    assert numbers(body) == "1 2 2.1"
    assert ids(body) == set()


def test_sections_without_clauses_are_found_before_between_and_after_those_with_clauses():
    body = spaced("1. Введение", "Т.", "2. Предмет", "2.1. Раз.", "3. Срок", "Т.", "4. Цена", "4.1. Раз.", "5. Адреса")
    assert numbers(f"{body}\n\nАлматы.") == "1 2 2.1 3 4 4.1 5"


def test_a_section_may_be_long_and_may_end_with_a_full_stop():
    long = "2. Порядок доступа к книгам, журналам, газетам, картам, нотам и другим изданиям читального зала библиотеки"
    assert numbers(spaced("1. Общее.", "Текст.", "2. Права.", "Текст.")) == "1 2"
    assert numbers(spaced("1. Общее", "Текст.", f"{long} и её филиалов", "Текст.", "3. Права", "Текст.")) == "1 2 3"


@pytest.mark.parametrize(
    "body",
    [
        "Вводный.\n\n1. Книги\n2. Журналы",
        "Портал хранит:\n\n1. Имя;\n\n2. Адрес;\n\n3. Телефон.",
        "Абзац раз.\n\nАбзац два.\n\n1. Книги\n2. Журналы\n3. Карты\n\nАбзац три.\n\nАбзац четыре.\n\nАбзац пять.",
        "1. Понятия:\n1) портал;\n2) читатель.",
    ],
)
def test_a_list_begins_no_section_and_no_clause(body):
    assert all("-" in number for number in numbers(body).split())


def test_a_list_in_a_section_begins_no_section():
    body = spaced("1. Общее", "Т.", "2. Данные", "Портал хранит:", "1. Имя", "2. Адрес", "3. Телефон", "3. Срок", "Т.")
    assert numbers(body) == "1 2 2-1 2-2 2-3 3"


def test_a_table_of_contents_begins_nothing():
    contents = "1. Общее ..... 2\n2. Права ..... 3\n3. Срок ..... 4"
    body = spaced(contents, "1. Общее", "Текст.", "2. Права", "Текст.", "3. Срок", "Текст.")
    assert numbers(body) == "1 2 3"
    assert [unit.text for unit in parse(f"Т\n\n{body}\n").clauses] == ["Общее", "Права", "Срок"]


# Numbers without a space


def test_a_number_without_a_space_begins_a_clause_if_it_is_the_next_one():
    body = spaced("1.ЖАЛПЫ ЕРЕЖЕЛЕР", "1.1. Первый.", "1.2.Второй.", "1.2.1.Третий.", "2.Права", "2.1.Четвёртый.")
    assert numbers(body) == "1 1.1 1.2 1.2.1 2 2.1"
    messages = [message for message in lint({"ru": f"Т\n\n{body}\n"}) if message.id == "agreement.L029"]
    assert [message.lines for message in messages] == [(3, 7, 9, 11, 13)]


def test_a_parenthesis_without_a_space_begins_the_next_sub_clause_and_is_reported():
    body = "1. ОБЩЕЕ\n\n1.1. Этапы:\n1) Раз;\n2)Два;\n3) Три.\n\nВиды:\n1) Книги;\n2) Карты;\n3)ноты.\n4)-\n5)Нет"
    assert numbers(body) == "1 1.1 1.1-1 1.1-2 1.1-3 1.1-1 1.1-2 1.1-3"
    messages = [message for message in lint({"ru": f"Т\n\n{body}\n"}) if message.id == "agreement.L029"]
    assert [message.lines for message in messages] == [(7, 13)]


def test_a_number_that_is_not_read_is_reported_also_if_another_list_of_the_clause_has_it():
    body = "1. ОБЩЕЕ\n\n1.1. Этапы:\n1) Раз;\n2) Два;\n3) Три.\n\nВиды:\n1) Книги;\n– 2) Карты;\n3) Ноты."
    assert ids(body) == {"L029"}
    assert ids(body.replace("– 2) Карты", "Карты")) == set()


@pytest.mark.parametrize("line", ["1.3.Третий.", "1.2.второй.", "1.2.3 версия.", "7.Имя"])
def test_a_number_without_a_space_begins_nothing_otherwise(line):
    assert numbers(spaced("1. ОБЩЕЕ", "1.1. Первый.", line)) == "1 1.1"


# Clauses of one number


RULES = ("1. Читатель молчит.", "2. Читатель не ест.", "3. Книги возвращают в срок.")


@pytest.mark.parametrize("between", ["\n", "\n\n"])
def test_rules_from_1_on_are_clauses(between):
    body = between.join(f"{place}. Правило гласит, что читатель молчит." for place in range(1, 58))
    assert numbers(body) == " ".join(map(str, range(1, 58)))
    assert set(kinds(body)) == {"clause"}
    assert parse(f"Т\n\n{body}\n").html.count('class="clause"') == 57
    assert ids(body) == (set() if between == "\n\n" else {"L050"})


def test_a_clause_of_one_number_has_items_and_clauses():
    body = spaced("1. Раз.", "2. Читатель вправе:", "1) взять;\n2) вернуть.", "3. Портал:", "3.1. хранит;", "4. Да.")
    assert numbers(body) == "1 2 2-1 2-2 3 3.1 4"
    assert parents(body)["3.1"] == "3"
    assert ids(body) == set()


def test_a_list_in_a_rule_begins_no_clause():
    body = spaced("1. Раз вот.", "2. Портал хранит:", "1. имя;\n2. адрес;\n3. почту.", "3. Два вот.", "4. Три вот.")
    assert numbers(body) == "1 2 2-1 2-2 2-3 3 4"


def test_two_lists_in_one_rule_begin_no_clause():
    lists = "1. имя;\n2. адрес;\n\nи дополнительно:\n\n1. почту;\n2. телефон;"
    body = spaced("1. Портал хранит данные:", lists, "2. Два вот.", "3. Три вот.", "4. Да.")
    assert numbers(body) == "1 1-1 1-2 1-1 1-2 2 3 4"
    assert ids(body) == set()
    assert [unit.text.partition("\n")[0] for unit in parse(f"Т\n\n{body}\n").clauses][5:] == [
        "Два вот.",
        "Три вот.",
        "Да.",
    ]


def test_a_preamble_may_end_with_a_colon():
    assert numbers(spaced("Стороны договорились о нижеследующем:", *RULES)) == "1 2 3"


@pytest.mark.parametrize(
    "preamble",
    ["Стороны заключили соглашение о нижеследующем:", "Тараптар төмендегілер туралы осы келісімді жасасты:"],
)
def test_points_below_a_preamble_are_clauses_also_if_they_end_with_a_semicolon(preamble):
    points = ["1. Внести изменения;", "2. Исключить слова;", "3. Соглашение вступает в силу."]
    assert numbers(spaced(preamble, *points)) == "1 2 3"
    assert numbers(spaced("Астана", f"Портал и читатель.\n{preamble}", *points, "Портал", "Читатель")) == "1 2 3"
    assert numbers(spaced("Портал хранит:", *points)) == "0-1 0-2 0-3"


def test_a_missing_and_a_repeated_rule_are_reported():
    rules = [f"{place}. Читатель молчит." for place in range(1, 9)]
    assert ids(spaced(*rules[:4], *rules[5:])) == {"L010"}
    assert ids(spaced(*rules[:4], rules[3], *rules[4:])) == {"L003"}


def test_a_bold_number_begins_a_clause():
    text = [f"Абзац {place}." for place in range(9)]
    body = spaced(*text, "**1.** Читатель молчит.", "**2.** Читатель не ест.")
    assert numbers(body) == "1 2"
    assert numbers(body.replace("**", "")) == "0-1 0-2"


def test_a_heading_may_be_the_item_of_a_list():
    assert numbers("1. ## Общее\n\nТекст.\n\n2. ## Права\n\n   2.1. Раз.\n\n3. **Срок**\n\nГод.") == "1 2 2.1 3"
    assert parse("Т\n\n1. ## Общее\n\nТекст.\n").units[1].text == "Общее"


def test_headings_of_more_marks_may_be_numbered_anew_in_each_heading():
    inner = spaced("## 1. Общее", "### 1. Слова", "Т.", "### 2. Срок", "Т.", "## 2. Права", "### 1. Чтение", "Т.")
    assert numbers(inner) == "1 1.1 1.2 2 2.1"
    on = spaced("## 1. Общее", "### 1. Слова", "Т.", "### 2. Срок", "Т.", "## 2. Права", "### 3. Чтение", "Т.")
    assert numbers(on) == "ch1 1 2 ch2 3"
    assert numbers(spaced("## 1. Общее", "### 2. Слова", "## 3. Права", "Т.")) == "1 2 3"
    clauses = spaced("## 1. Общее", "1.1. Раз.", "#### 1. Имя", "Т.", "#### 2. Адрес", "Т.", "## 2. Права", "2.1. Два.")
    assert numbers(clauses) == "1 1.1 1.1-1 1.1-2 2 2.1"
    assert ids(inner) == ids(clauses) == set()


def test_headings_without_a_number_are_counted_if_numbers_begin_anew_in_them():
    headings = spaced("## Общее", "### 1. Слова", "Т.", "### 2. Срок", "Т.", "## Права", "### 1. Чтение", "Т.")
    assert numbers(headings) == "1 1.1 1.2 2 2.1"
    points = spaced("## Общее", "1. Раз.\n2. Два:\n   1. а;\n   2. б.", "## Введение", "Т.", "## Права", "1. Три.")
    assert numbers(points) == "1 1.1 1.2 1.2-1 1.2-2 2 3 3.1"
    assert ids(headings) == ids(points) == set()
    assert numbers(spaced("## Общее", "1. Раз.\n2. Два.", "## Права", "3. Три.", "## Срок", "1. Год.")) != points
    assert "1.1" not in numbers(spaced("## Общее", "Т.", "## Права", "1. Раз.\n2. Два."))
    above = spaced("1. Раз.\n2. Два.", "## Общее", "1. Три.", "## Права", "Портал хранит:", "1. имя;\n2. адрес.")
    assert numbers(above) == "0-1 0-2 1 1.1 2 2-1 2-2"


@pytest.mark.parametrize(
    ("first", "target"),
    [
        ("### Слова\n\n1. Портал – сайт.", "Два."),
        ("## Правила\n\n### Слова\n\n1. Портал – сайт.", "Два."),
        ("### Слова\n\nПортал – сайт.", ""),
        ("### Правила\n\nПравила обязательны.\n\n1. Портал – сайт.", ""),
        ("УТВЕРЖДЕНО\n\n### Правила\n\nПортал – сайт.", ""),
    ],
)
def test_a_reference_never_leads_to_another_section_because_the_first_heading_is_the_title(first, target):
    rest = ["### Чтение", "1. Раз, кроме п. 3.2.", "### Сроки", "1. Раз.", "2. Два.", "### Споры", "1. Раз.", "2. Суд."]
    document = parse(spaced(first, *rest))
    linked = [unit.text for unit in document.clauses if f'class="reference" href="#{unit.number}"' in document.html]
    assert linked == [target] * bool(target)


def test_the_first_section_may_follow_a_preamble_that_ends_with_a_colon():
    assert (
        numbers(spaced("Стороны договорились:", "1. Термины", "Портал – сайт.", "2. Права", "2.1. Раз.")) == "1 2 2.1"
    )
    assert numbers(spaced("Стороны:", "1. Портал;", "2. Права", "2.1. Раз.")) == "2 2.1"


def test_paragraphs_whose_numbers_lead_to_a_section_are_sections():
    long = [f"{place}. Читатель возвращает книгу, которую он взял, в срок, и платит пеню." for place in (4, 5, 6)]
    assert numbers(spaced("1. Общее", "1.1. Раз.", *long[:2], "6. Права", "6.1. Два.")) == "1 1.1 4 5 6 6.1"
    assert numbers(spaced("1. Общее", "1.1. Раз.", long[1], "6. Права", "6.1. Два.")) == "1 1.1 6 6.1"
    assert (
        numbers(spaced("1. Общее", "1.1. Раз.", *long[:2], "1.2. Три.", "6. Права", "6.1. Два.")) == "1 1.1 1.2 6 6.1"
    )


def test_a_last_section_with_the_signatures_may_end_with_a_colon():
    assert numbers(spaced("1. Общее", "1.1. Раз.", "2. Подписи сторон:", "____")) == "1 1.1 2"
    assert numbers(spaced("1. Жалпы", "1.1. Бір.", "2. Мекенжай, деректемелер:", "____")) == "1 1.1 2"
    assert numbers(spaced("1. Общее", "1.1. Раз.", "2. Портал хранит:", "имя")) == "1 1.1"


def test_rules_one_of_which_is_missing_are_clauses():
    places = (1, 2, 3, 5, 6, 8)
    rules = [f"{place}. Читатель {'молчит.' if place < 4 else 'не спорит'}" for place in places]
    assert numbers(spaced(*rules)) == "1 2 3 5 6 8"
    assert ids(spaced(*rules)) == {"L010"}


def test_the_lint_says_which_of_two_readings_was_taken():
    read = {
        "clauses": "1. Читатель молчит.\n2. Читатель не ест.\n3. Книги возвращают.",
        "a list": spaced(*(f"Абзац {place}." for place in range(9)), *RULES),
    }
    for reading, body in read.items():
        (message,) = [message for message in lint({"ru": f"Т\n\n{body}\n"}) if message.id == "agreement.L050"]
        assert f"read as {reading}: “1. Читатель молчит.”" in message.sentence("en")


# Clauses in sections


ANEW = "1. Общее\n 1. Читатель молчит.\n 2. Читатель не ест.\n2. Права\n 1. Читатель берёт книги.\n 2. Он их читает."


@pytest.mark.parametrize(
    "body", [ANEW, ANEW.replace("\n ", "\n"), ANEW.replace("\n ", "\n\n").replace("\n2. П", "\n\n2. П")]
)
def test_clauses_that_begin_anew_have_the_number_of_their_section_before_their_own(body):
    assert numbers(body) == "1 1.1 1.2 2 2.1 2.2"
    assert [unit.label for unit in parse(f"Т\n\n{body}\n").clauses] == ["1.", "1.", "2.", "2.", "1.", "2."]
    assert parents(body)["2.1"] == "2"


def test_equal_clauses_in_several_sections_are_no_table_of_contents():
    rules = "1. Раз сказано.\n2. Читатель молчит.\n3. Читатель не ест."
    body = spaced("1. ОБЩЕЕ", rules, "2. ПРАВА", rules.replace("Раз", "Два"), "3. СРОК", rules.replace("Раз", "Три"))
    assert numbers(f"{body}\n\n3. Читатель не ест.").count(".2") == 3


@pytest.mark.parametrize("heading", ["{}. {}", "## {}. {}", "**{}. {}**"])
def test_clauses_that_run_on_through_sections_leave_the_numbers_to_the_clauses(heading):
    one, two = heading.format(1, "ОБЩЕЕ"), heading.format(2, "ПРАВА")
    body = spaced(one, "1. Читатель молчит.", "2. Он не ест.", two, "3. Он берёт книги.", "4. Он читает.")
    assert numbers(body) == "ch1 1 2 ch2 3 4"
    assert parents(body) == {"ch1": "", "1": "ch1", "2": "ch1", "ch2": "", "3": "ch2", "4": "ch2"}
    assert ids(body) == set()


# Chapters and articles


@pytest.mark.parametrize(
    ("kk", "ru"),
    [
        ("{}-тарау. {}", "Глава {}. {}"),
        ("{}-ТАРАУ. {}", "ГЛАВА {}. {}"),
        ("{} тарау. {}", "Глава {}: {}"),
        ("{}-ші бөлім. {}", "Раздел {}. {}"),
        ("{}-БӨЛІМ. {}", "РАЗДЕЛ {}. {}"),
        ("{}-бап. {}", "Статья {}. {}"),
        ("## {}-бап. {}", "## СТАТЬЯ {}. {}"),
        ("**{}-бап. {}**", "**Статья {}. {}**"),
        ("{}-параграф. {}", "§ {}. {}"),
        ("Тарау {}. {}", "Параграф № {}. {}"),
        ("{} – тарау\n\n{}", "Глава {}\n\n{}"),
        ("{}-тарау\n{}", "ГЛАВА {}\n{}"),
    ],
)
@pytest.mark.parametrize("inside", [None, "{}.1. Мәтін айтылды."])
def test_a_word_before_or_after_the_number_makes_a_section(kk, ru, inside):
    for heading in (kk, ru):
        parts = [spaced(heading.format(n, "Жалпы"), (inside or "Мәтін айтылды.").format(n)) for n in (1, 2, 3)]
        body = spaced(*parts)
        found = parse(f"Т\n\n{body}\n").clauses
        assert [unit.number for unit in found] == (["1", "1.1", "2", "2.1", "3", "3.1"] if inside else ["1", "2", "3"])
        assert found[0].text == "Жалпы"
        assert "Жалпы" not in found[0].label
        assert ids(body) - {"L021"} == set()  # It is linted as Russian.


@pytest.mark.parametrize("numerals", [("I", "II", "III", "IV"), ("І", "ІІ", "ІІІ", "IV"), ("Ⅰ", "Ⅱ", "Ⅲ", "Ⅳ"), "ABCD"])
def test_roman_numerals_and_letters_number_sections(numerals):
    body = spaced(*(f"{numeral}. General\n\nText." for numeral in numerals))
    assert numbers(body) == "1 2 3 4"


@pytest.mark.parametrize("line", ["V. Ахметов, директор", "I. ПЕРЕПИСКА", "C. Muratov", "MIX. Text", "IIII. ТЕКСТ"])
def test_a_numeral_alone_begins_nothing(line):
    assert numbers(spaced("1. ОБЩЕЕ", "1.1. Раз.", line)) == "1 1.1"


def test_clauses_of_an_article_have_its_number():
    kk = spaced("1-бап. Ұғымдар", "1. Бір айтылды.", "2. Екі айтылды:", "1) үш;", "2-бап. Мерзім", "1. Төрт айтылды.")
    ru = spaced("Статья 1. Понятия", "1. Раз сказано.", "2. Два сказано:", "1) три;", "Статья 2. Срок", "1. Сказано.")
    assert numbers(kk) == numbers(ru) == "1 1.1 1.2 1.2-1 2 2.1"
    assert ids(ru) == set()


def test_a_part_of_a_point_of_an_article_belongs_to_the_point():
    articles = [f"Статья {n}. Срок\n\n1. Раз.\n\n2. Два.\n\n2.1. Три.\n\n2.2. Четыре.\n\n3. Пять." for n in (1, 2, 3)]
    body = spaced(*articles)
    of_one = "{0} {0}.1 {0}.2 {0}.2.1 {0}.2.2 {0}.3"
    assert numbers(body) == " ".join(of_one.format(n) for n in (1, 2, 3))
    assert ids(body) == set()


def test_chapters_around_articles_that_run_on_have_addresses_of_their_own():
    body = spaced(
        "Глава 1. Общее", "Статья 1. Раз", "Т.", "Статья 2. Два", "Т.", "Глава 2. Иное", "Статья 3. Три", "Т."
    )
    assert numbers(body) == "ch1 1 2 ch2 3"
    assert parents(body)["3"] == "ch2"
    assert all(map(clauses.ANCHOR.match, numbers(body).split()))
    assert ids(body) == set()


def test_a_list_in_a_chapter_or_an_article_begins_no_clause():
    chapters = spaced(
        "Глава 1. Общее", "1.1. Раз.", "1. Читатель молчит.\n2. Читатель не ест.", "Глава 2. Права", "2.1. Два."
    )
    assert numbers(chapters) == "1 1.1 1.1-1 1.1-2 2 2.1"
    articles = spaced("Статья 1. Общее", "Читатель вправе:", "1. брать книги;\n2. читать.", "Статья 2. Срок", "1. Год.")
    assert numbers(articles) == "1 1-1 1-2 2 2.1"


def test_a_list_of_roman_numerals_begins_no_section():
    numerals = "I. Книги\n\nII. Журналы\n\nIII. Карты"
    assert numbers(spaced("Глава 1. Общее", "1.1. Раз.", numerals, "Глава 2. Права", "2.1. Два.")) == "1 1.1 2 2.1"
    assert numbers(spaced("1. ОБЩЕЕ", "Т.", numerals, "2. ПРАВА", "Т.")) == "1 2"


def test_an_article_that_a_text_with_its_own_sections_quotes_is_no_article_of_it():
    assert numbers(spaced("1. ОБЩЕЕ", "Т.", "2. ПРАВА", "Статья 1. Право", "Т.", "3. СРОК", "Т.")) == "1 2 3"


def test_four_levels_that_begin_anew_have_addresses():
    inner = ("Глава 1. Б", "Статья 1. В", "1. Раз.", "Статья 2. Г", "1. Два.", "Глава 2. Д", "Статья 1. Е", "1. Три.")
    body = spaced("Раздел 1. А", *inner, "Раздел 2. Ж", *inner)
    assert numbers(body).startswith("pt1 ch1.1 1.1.1 1.1.2 ch1.2 1.2.1 pt2 ch2.1")
    assert all(map(clauses.ANCHOR.match, numbers(body).split()))


def test_three_levels_and_clauses_that_run_on():
    body = spaced(
        "Раздел I. А", "Глава 1. Б", "1. Раз сказано.", "Глава 2. В", "2. Два.", "Раздел II. Г", "Глава 3. Д", "3. Три."
    )
    assert numbers(body) == "pt1 ch1 1 ch2 2 pt2 ch3 3"


def test_chapters_that_begin_anew_have_the_number_of_the_part_before_their_own():
    body = spaced(
        "Раздел 1. А", "Глава 1. Б", "1. Раз.", "Глава 2. В", "2. Два.", "Раздел 2. Г", "Глава 1. Д", "3. Три."
    )
    assert numbers(body) == "pt1 ch1.1 1 ch1.2 2 pt2 ch2.1 3"
    assert all(map(clauses.ANCHOR.match, numbers(body).split()))


def test_articles_of_one_sentence_are_clauses():
    body = spaced(*(f"Статья {n}. Читатель возвращает книги в срок, указанный в билете." for n in (1, 2, 3)))
    assert numbers(body) == "1 2 3"
    assert set(kinds(body)) == {"clause"}


def test_points_named_by_a_word_are_clauses():
    assert numbers(spaced(*(f"{n}-тармақ. Оқырман кітапты қайтарады." for n in (1, 2, 3)))) == "1 2 3"
    assert numbers(spaced(*(f"Пункт {n}. Читатель возвращает книгу." for n in (1, 2, 3)))) == "1 2 3"


@pytest.mark.parametrize(
    "line",
    [
        "Статья 8 Закона гарантирует доступ.",
        "Статья 8. Право на информацию",
        "6-бап",
        "Раздел 2 применяется ко всем.",
        "Глава 3 Кодекса применяется",
        "5-баптың талаптары",
        "Часть 1 статьи 8",
    ],
)
def test_an_article_of_a_law_begins_nothing(line):
    assert numbers(spaced("1. ОБЩЕЕ", "1.1. Раз.", line, "2. ПРАВА", "2.1. Два.")) == "1 1.1 2 2.1"


def test_the_contents_and_the_names_of_chapters_are_what_is_printed():
    document = parse("Т\n\nГлава 1. Общее\n\n1. Раз.\n\nГлава 2. Права\n\n2. Два.\n\n3. Три.\n")
    assert [clauses.named_label(unit) for unit in document.clauses] == ["Глава 1", "", "Глава 2", "", ""]
    (heading,) = (part for part in document.parts if 'id="ch2"' in part)
    assert re.sub(r"<[^>]+>", "", heading).strip() == "Глава 2. Права"


def test_a_chapter_is_quoted_with_its_articles_and_clauses():
    body = spaced("Глава 1. А", "Статья 1. Б", "1. Раз.", "2. Два.", "Глава 2. В", "Статья 2. Г", "Три.")
    whole = quote(parse(f"Т\n\n{body}\n"), "ch1", "/terms/")
    assert whole
    assert [one.unit.number for one in whole.quotes] == ["1"]
    assert [one.unit.number for one in whole.quotes[0].quotes] == ["1.1", "1.2"]
    assert "Два." in whole.html
    assert "Три." not in whole.html


def test_articles_of_both_languages_stand_beside_each_other():
    kk = parse("Т\n\n1-тарау. А\n\n1-бап. Б\n\n1. Бір айтылды.\n\n2. Екі айтылды.\n")
    ru = parse("Т\n\nГлава 1. А\n\nСтатья 1. Б\n\n1. Раз сказано.\n\n2. Два сказано.\n")
    assert [(pair.number, bool(pair.left), bool(pair.right)) for pair in pairs(kk, ru)] == [
        (number, True, True) for number in ("ch1", "1", "1.1", "1.2")
    ]


# Appendices


@pytest.mark.parametrize(
    "heading",
    [
        "Пайдаланушы келісіміне 1-қосымша",
        "Осы Келісімге 1-қосымша",
        "Пайдаланушы келісіміне № 1 қосымша",
        "Қызмет көрсету шартына 1-ші қосымша",
        "Пайдаланушы келісіміне\n1-қосымша",
        "Жария офертаға\n\n№ 1 қосымша",
        "Келісімнің 1-қосымшасы",
        "ПАЙДАЛАНУШЫ КЕЛІСІМІНЕ 1-ҚОСЫМША",
        "1-қосымша",
        "Қосымша № 1",
        "Приложение № 1 к\n\nоферте на оказание услуг",
        "Приложение № 1 к\nПользовательскому соглашению\nот 1 марта 2026 года",
        "Приложение 1\nк Договору оказания услуг\n№ 5 от 1 марта",
        "ПРИЛОЖЕНИЕ 1\nК ДОГОВОРУ",
        "Приложение А",
        "Приложение",
        "**Приложение № 1**",
        "Приложение № 1 (образец)",
    ],
)
def test_an_appendix_in_every_form(heading):
    body = spaced("1. ОБЩЕЕ", "1.1. Раз.", heading, "1.1. Два.")
    document = parse(f"Т\n\n{body}\n")
    assert document.numbers == ("1", "1.1", "a1", "a1.1.1")
    assert document.clauses[2].text == " ".join(heading.strip("*").split())
    assert "".join(unit.source for unit in document.units) == f"Т\n\n{body}\n"


@pytest.mark.parametrize(
    "line",
    [
        "Приложение № 1 к Договору – его неотъемлемая часть.",
        "Портал дополняет Келісімге 1-қосымша",
        "Приложение работает с любого телефона",
        "Қосымша ақпарат осы бетте",
    ],
)
def test_a_sentence_about_an_appendix_begins_none(line):
    assert numbers(f"1. ОБЩЕЕ\n\n1.1. Раз сказано о том, что\n{line}") == "1 1.1"


def test_an_appendix_has_a_scheme_of_its_own():
    body = spaced("1. ОБЩЕЕ", "1.1. Раз.", "Приложение 1", *RULES, "Приложение 2", "1. Вид", "Т.", "2. Срок", "Т.")
    assert numbers(body) == "1 1.1 a1 a1.1 a1.2 a1.3 a2 a2.1 a2.2"
    assert ids(body) == set()


def test_the_order_above_a_text_is_no_appendix():
    head = spaced("№ 226 Бұйрығына", "№ 1 Қосымша", "Ережелер")
    assert numbers(f"{head}\n\n1. ЖАЛПЫ\n\n1.1. Бір.") == "1 1.1"
    assert parse("Приложение 1\nк приказу директора\n\n1. ОБЩЕЕ\n\n1.1. Раз.\n").numbers == ("1", "1.1")


# What begins nothing


@pytest.mark.parametrize(
    "line",
    [
        "8 (727) 250 00 00",
        "+7 701 123 45 67",
        "8-800-080-77-77",
        "7.701.1234567",
        "12.05.2026",
        "1 марта 2026 года",
        "2026 год",
        "5 000 тенге",
        "1.500 тенге",
        "10.30 начало",
        "050000, г. Алматы, ул. Абая, 12",
        "12 Б, 3 этаж",
        "1.2.3",
        "v 2.1",
        "192.168.0.1",
    ],
)
def test_a_phone_a_date_an_amount_or_an_address_begins_nothing_and_is_not_reported(line):
    for body in (spaced("1. ОБЩЕЕ", "1.1. Раз.", line, "1.2. Два."), f"1. ОБЩЕЕ\n1.1. Раз.\n{line}\n1.2. Два."):
        assert numbers(body) == "1 1.1 1.2"
        assert ids(body) == set()


def test_a_number_alone_on_its_line_has_the_words_of_the_next_one():
    document = parse("Т\n\n1.\nОбщее\n\nТекст.\n\n2.\nПрава\n\nТекст.\n")
    assert [(unit.number, unit.text) for unit in document.clauses] == [("1", "Общее"), ("2", "Права")]
    assert numbers("1.\nЧитатель молчит.\n2.\nЧитатель не ест.\n3.\nЗал открыт всегда.") == "1 2 3"
    assert numbers("1.\n2.\n3.") == ""


def test_rules_that_begin_anew_under_other_lines_are_a_list():
    rules = [f"{place}. Читатель молчит всегда." for place in range(1, 7)]
    found = numbers(spaced("Запись:", *rules, "Выдача:", *rules[:3])).split()
    assert {number.partition("-")[0] for number in found} == {"0"}


def test_numbers_without_a_full_stop_begin_sections_but_no_rules():
    assert numbers(spaced("1 Общее", "Текст.", "2 Права", "Текст.")) == "1 2"
    assert numbers(spaced(*(rule.replace(".", "", 1) for rule in RULES))) == ""


def test_a_list_after_the_last_clause_begins_no_section():
    assert numbers(spaced("1. Общее", "1.1. Раз.", "1. Карта", "2. Наличные", "Рассрочка")) == "1 1.1 1.1-1 1.1-2"


def test_a_number_alone_on_its_line_shows_its_section():
    assert numbers("1. Общее\n\nВводный.\n\n1.1\nРаз.\n\n2. Права\n\nВводный.\n\n2.1\nДва.") == "1 1.1 2 2.1"


# Rules for every text


HEADINGS = {
    "kk": ("{}. {}", "{}-тарау. {}", "{}-бап. {}", "{}-БӨЛІМ. {}", "Бөлім {}\n\n{}"),
    "ru": ("{}. {}", "Глава {}. {}", "Статья {}. {}", "РАЗДЕЛ {}. {}", "Раздел {}\n\n{}"),
}
WORDS = {
    "kk": ("Жалпы ережелер", "Оқырман кітапты мерзімінде қайтарады.", "Оқырман мыналарға құқылы:", "кітап алуға;"),
    "ru": ("Общие положения", "Читатель возвращает книгу в срок.", "Читатель вправе:", "взять книгу;"),
}


def written(language: str, *, counts: list[int], style: int, numbering: str, chapters: bool, between: str) -> str:
    """A text of sections with so many clauses each. ``numbering`` is that of the clauses: ``parts`` (1.1), ``anew``,
    ``on`` or ``none``. ``chapters``: do chapters contain two sections each?
    """
    heading, sentence, opening, item = WORDS[language]
    lines, running = ["# Т"], 0
    for section, count in enumerate(counts, start=1):
        if chapters and section % 2:
            lines.append(HEADINGS[language][1].format(section // 2 + 1, heading))
        lines.append(HEADINGS[language][style].format(section, heading))
        if numbering == "none":
            lines.append(sentence)
            continue
        for clause in range(1, count + 1):
            running += 1
            label = {"parts": f"{section}.{clause}", "anew": f"{clause}", "on": f"{running}"}[numbering]
            lines.append(f"{label}. {opening if clause == 2 else sentence}")
            if clause == 2:
                lines += [f"{place}) {item}" for place in (1, 2)]
    return between.join(lines) + "\n"


LISTS = (
    "",
    "Портал хранит:\n1. имя;\n2. адрес;\n3. почту.",
    "Портал хранит:\n\n1. Имя\n\n2. Адрес\n\n3. Почту",
    "Портал хранит следующее:\n\n1. Имя;\n\n2. Адрес;\n\n3. Почту;\n\n4. Телефон.",
    "Портал – сайт.\n\nЧитатель – лицо.",
    "| а | б |\n|---|---|\n| 1. | 2. |",
)


def expected(*, counts: list[int], numbering: str, chapters: bool) -> list[str]:
    """The numbers of that text."""
    found, running = list[str](), 0
    for section, count in enumerate(counts, start=1):
        prefix = "ch" if numbering == "on" else ""
        if chapters and section % 2:
            found.append(f"{'pt' if prefix else 'ch'}{section // 2 + 1}")
        found.append(f"{prefix}{section}")
        for clause in range(1, count + 1) if numbering != "none" else ():
            running += 1
            number = str(running) if prefix else f"{section}.{clause}"
            found += [number, *([f"{number}-1", f"{number}-2"] if clause == 2 else [])]
    return found


@given(
    counts=st.lists(st.integers(2, 5), min_size=2, max_size=8),
    style=st.integers(0, 4),
    numbering=st.sampled_from(["parts", "anew", "on", "none"]),
    chapters=st.booleans(),
    inserted=st.sampled_from(LISTS),
    place=st.integers(0, 100),
)
@settings(max_examples=examples(500))
def test_a_text_with_lists_has_the_numbers_it_was_written_with(counts, style, numbering, chapters, inserted, place):
    chapters = chapters and style == 2
    if style == 0 and numbering in {"on", "anew"}:
        style = 1  # A list is not told apart from clauses that are numbered like the sections around them.
    shape: dict[str, Any] = {"counts": counts, "numbering": numbering, "chapters": chapters}
    blocks = written("ru", style=style, between="\n\n", **shape).split("\n\n")
    sentences = [index for index, block in enumerate(blocks) if block.strip().endswith(WORDS["ru"][1])]
    index = sentences[place % len(sentences)]
    body = "\n\n".join([*blocks[: index + 1], *filter(None, [inserted]), *blocks[index + 1 :]])
    found, sections = parse(body).numbers, expected(**shape)
    points = [number for number in found if number not in sections]
    assert [number for number in found if number in sections] == sections, body
    items = inserted.count("\n1. ") and inserted.count(". ")
    assert [number.rpartition("-")[2] for number in points] == [str(place + 1) for place in range(items)], body


@given(
    counts=st.lists(st.integers(2, 5), min_size=2, max_size=8),
    style=st.integers(0, 4),
    numbering=st.sampled_from(["parts", "anew", "on", "none"]),
    chapters=st.booleans(),
    between=st.sampled_from(["\n", "\n\n"]),
)
@settings(max_examples=examples(300))
def test_a_text_has_the_numbers_it_was_written_with_in_both_languages(counts, style, numbering, chapters, between):
    chapters = chapters and style == 2  # Only articles stand in chapters here.
    if numbering == "on" and style == 0:
        style = 3  # ``1.`` around ``1.`` in small letters is not told apart from a list.
    shape: dict[str, Any] = {"counts": counts, "numbering": numbering, "chapters": chapters}
    for language in ("kk", "ru"):
        body = written(language, style=style, between=between, **shape)
        assert list(parse(body).numbers) == expected(**shape), body
        assert not {message.id for message in lint({language: body})} - {"agreement.L050"}


@pytest.mark.parametrize(
    "agreement", [one for one in ALL if one.heading == "## " and one.capitals], ids=lambda one: one.name
)
@pytest.mark.parametrize("style", [0, 1, 2, 3, 4])
def test_a_clean_agreement_with_other_headings_has_the_same_numbers(agreement, style):
    for language, text in agreement.texts().items():
        body = re.sub(r"^## (\d+)\. (.*)$", HEADINGS[language][style].format(r"\1", r"\2"), text, flags=re.MULTILINE)
        assert parse(body).numbers == parse(text).numbers


LINES = st.sampled_from(
    [
        *("", "", "", "Мәтін.", "Текст", "Портал хранит:", "- тізім", "## Анықтама", "===", "| а | б |"),
        *(f"{n}. {rest}" for n in range(1, 6) for rest in ("Общее", "Читатель молчит.", "имя;", "ПРАВА")),
        *(f"{n}.{m}. Раз." for n in (1, 2, 3) for m in (1, 2)),
        *(
            "1.1.1. Үш.",
            "1.1.1.1. Төрт.",
            "1.1.1.2 Бес",
            "1.2.Два",
            "1) бір;",
            "а) екі;",
            "(1) бір;",
            "(а) екі;",
            "(i) үш;",
            "(ii) төрт;",
            "(b) бес;",
            "**1.** Раз.",
            "## 2. Права",
            "### 1. Раз",
            "1. ## Общее",
            "## Прочее",
            "## 0. Понятия",
            "0.1. Раз.",
            " 1. Раз.",
            " 2. Два.",
        ),
        *(f"Глава {n}. Общее" for n in (1, 2, 3)),
        *("1-бап. Бір", "2-бап. Екі", "Статья 1", "I. Общее", "II. Права", "A. One", "B. Two", "§ 1. Общее"),
        *("Приложение 1 к", "договору", "Келісімге", "1-қосымша", "ПРИЛОЖЕНИЕ 2"),
    ]
)


@given(st.lists(LINES, max_size=40).map("\n".join))
@example("4. ПРАВА\n**1.** Раз.\n1-қосымша\n1.1. Раз.")
@example("## Общее\n1. Раз.\n## 2. Права\n1. Раз.\n2. Два.\n## Срок\n1. Раз.")
@settings(max_examples=examples(300))
def test_every_number_is_an_anchor_and_the_sources_are_the_text(body):
    document = parse(body)
    assert document.source == body
    assert all(map(clauses.ANCHOR.match, document.numbers))
    known = {*document.numbers, "", "0"}
    assert all(unit.parent in known or "." in unit.parent or unit.parent.isdigit() for unit in document.units)


@given(st.lists(LINES, max_size=40).map("\n".join), st.integers(1, 4))
@settings(max_examples=examples(300))
def test_empty_lines_at_the_end_change_no_number(body, more):
    assert parse(body + "\n" * more).numbers == parse(f"{body}\n").numbers


@given(st.lists(LINES, max_size=40).map("\n".join))
@settings(max_examples=examples(300))
def test_no_word_is_lost(body):
    shown = {word for unit in parse(body).units for word in f"{unit.label} {unit.text}".split()}
    words = set(body.replace("**", "").replace("#", "").replace("|", "").split()) - {"===", "-"}
    assert {word.strip(".:;") for word in words} <= {word.strip(".:;") for word in shown} | {"1.2.Два"} | {""}


@pytest.mark.parametrize(
    "repeated",
    [
        "1. Абв где.\n",
        "1. Абв\n 1. Где\n 2. Жзи\n2. Абв\n",
        "Глава 1. Абв\n1. Где.\n",
        "I. Абв\n\nII. Где\n\n",
        "Приложение 1 к\n\nДоговору\n\n1. Абв\n\n",
        "Келісіміне\n1-қосымша\n\n1. Бір\n",
        "Глава 1\n\n",
        "# Абв\n1. Абв\n",
        "1. Абв …… 3\n",
        "(а) абв;\n(i) где;\n",
        ". . . .",
    ],
)
def test_the_time_is_linear(repeated):
    def seconds(size: int) -> float:
        lines = ("Т\n\n" + repeated * (size // len(repeated))).split("\n")
        started = time.process_time()
        list(outline(lines))
        return time.process_time() - started

    seconds(20_000)
    one = min(seconds(25_000) for _ in range(3))
    assert min(seconds(100_000) for _ in range(2)) < 10 * one + 0.05


@pytest.mark.parametrize(
    "line",
    [
        (
            "2026 жылғы 1 наурыздағы курстарға қатысқысы келетін тыңдаушыларға, онлайн режимде қысқа мерзімге оқыту"
            " бойынша қызметтерді көрсетуге және оларды бағалауға арналған № 15 келісімге Қосымша"
        ),
        "Қызмет көрсетудің № 15 шартынаҚосымша",
    ],
)
def test_a_long_or_glued_line_names_an_appendix(line):
    assert numbers(spaced("1. ЖАЛПЫ", "1.1. Бір.", line, "1. ЖАЛПЫ", "1.1. Екі.")) == "1 1.1 a1 a1.1 a1.1.1"


@pytest.mark.parametrize("tail", [".", "", "\n\nЖурналов это не касается."])
def test_a_sentence_that_repeats_the_number_of_its_heading_is_reported_and_begins_no_section(tail):
    body = spaced(
        "1. Предмет",
        f"1. Читатель берёт книги из зала и возвращает их в срок, а Портал хранит все их{tail}",
        *("1.1 Книги новые.", "2. Срок", "2.1 Год."),
    )
    document = parse(f"Т\n\n{body}\n")
    assert [(unit.number, unit.text) for unit in document.clauses][:2] == [("1", "Предмет"), ("1.1", "Книги новые.")]
    messages = [message for message in lint({"ru": f"Т\n\n{body}\n"}) if message.id == "agreement.L029"]
    assert [message.line for message in messages] == [5]


# Inserted articles


@pytest.mark.parametrize("inserted", ["### Статья 1.1. Надзор", "### 1-1-бап. Қадағалау", "Статья 1-1. Надзор"])
def test_an_inserted_article_is_a_section_whose_address_is_no_clause(inserted):
    word = "### 1-бап. Раз", "### 2-бап. Два"
    first, second = word if "бап" in inserted else ("### Статья 1. Раз", "### Статья 2. Два")
    body = spaced(first, "1. Книги выдают.", "2. Книги хранят.", inserted, "1. Зал открыт.", "2. Зал закрыт.", second)
    assert numbers(body) == "1 1.1 1.2 1_1 1_1.1 1_1.2 2"
    linked = re.findall(r' id="([^"]+)"', parse(f"Т\n\n{body}\n").html)
    assert linked == "1 1.1 1.2 1_1 1_1.1 1_1.2 2".split()
    assert not {"L003", "L010", "L016"} & ids(f"{body}\n\nТекст.")


def test_an_article_of_two_numbers_is_inserted_only_after_its_first_number():
    assert numbers(spaced("### Статья 1. Раз", "Т.", "### Статья 7.1. Надзор", "Т.", "### Статья 2. Два")) == "1 2"


def test_the_word_of_an_article_may_be_in_the_plural():
    assert numbers(spaced("## Статья 1. Раз", "Т.", "## Статьи 2. Два", "Т.", "## Статья 3. Три", "Т.")) == "1 2 3"


# Appendices in a row


ROW = ("Приложение 1 - План зала", "Приложение 2 - Перечень книг", "Приложение 4 - Форма карточки")


def test_each_of_several_appendices_in_a_row_is_one():
    body = spaced(
        "1. ОБЩЕЕ", "1.1. Формы даны в приложениях 1 и 2.", *ROW, "Имя читателя.", "Приложение 5 – Цены", "Ноль."
    )
    assert numbers(body) == "1 1.1 a1 a2 a3 a4"
    assert ids(body) == set()


@pytest.mark.parametrize("tail", [(), ("Конец списка.",), ("Приложение 1", "План.", "Приложение 2", "Перечень.")])
def test_a_list_of_appendices_after_a_colon_begins_none(tail):
    expected = ["1", "1.1", *(f"a{place}" for place in range(1, len(tail) // 2 + 1))]
    assert numbers(spaced("1. ОБЩЕЕ", "1.1. Есть приложения:", *ROW, *tail)).split() == expected


def test_appendices_that_come_again_are_a_list_where_they_stand_first():
    tail = ("Приложение 1", "План.", "Приложение 2", "Перечень.", "Приложение 4", "Форма.")
    assert numbers(spaced("1. ОБЩЕЕ", "1.1. Раз.", *ROW, *tail)) == "1 1.1 a1 a2 a3"


def test_a_heading_with_the_number_0_before_section_1_is_a_section_without_a_collision():
    body = spaced("1) слово;", "## 0. Понятия", "1) портал;", "## 1. Общее", "1.1. См. раздел 0.", "## 0. Прочее")
    document = parse(f"Т\n\n{body}\n")
    assert document.numbers == ("0-1", "00", "00-1", "1", "1.1")
    assert [unit.label for unit in document.clauses][1] == "0."
    assert 'href="#00"' in document.html
    assert "L016" not in ids(spaced("## 0. Понятия", "Портал – сайт.", "## 1. Общее", "1.1. Раз."))
    assert numbers(spaced("## 0. Понятия", "Портал – сайт.", "## Общее", "Раз.")) == ""
    clauses = spaced("## 0. Понятия", "0.1. Портал – сайт.", "0.2. **Срок** – год.", "## 1. Общее", "1.1. По п. 0.2.")
    assert numbers(clauses) == "00 00.1 00.2 1 1.1"
    assert 'href="#00.2"' in parse(f"Т\n\n{clauses}\n").html.rpartition("По п.")[2]
    assert ids(clauses) == set()
    assert "00.1" not in numbers(spaced("## 1. Общее", "0.1. Портал – сайт."))


@pytest.mark.parametrize("between", ["\n", "\n\n"])
def test_the_last_section_may_follow_a_gap(between):
    clauses_of = [(f"{n}. Раздел", f"{n}.1. Текст раздела.") for n in (1, 2, 3)]
    body = between.join([line for pair in clauses_of for line in pair] + ["5. Реквизиты ТОО «Самал»", "Алматы, 1."])
    assert numbers(body) == "1 1.1 2 2.1 3 3.1 5"
    assert kinds(body)[-1] == "section"
    assert ids(body) == {"L010"}


@pytest.mark.parametrize(
    "tail",
    [
        "5. имя\n\nАлматы.",
        "5. Имя;\n\nАлматы.",
        "7. Реквизиты\n\nАлматы.",
        "5. Имя\n\n6. Адрес",
        "5. Имя",
        "2. Имя\n\nАлматы.",
    ],
)
def test_another_number_after_the_last_section_begins_none(tail):
    body = spaced(*(f"{n}. Раздел\n\n{n}.1. Текст раздела." for n in (1, 2, 3)), tail)
    assert numbers(body) == "1 1.1 2 2.1 3 3.1"


@pytest.mark.parametrize("letter", ["A", "А"])
@pytest.mark.parametrize("mark", ["## 4.{}. Возврат", "4.{}. ВОЗВРАТ"])
def test_a_number_with_a_letter_in_it_is_no_second_section(letter, mark):
    between = spaced(mark.format(letter), f"4.{letter}.1 Два.", f"4.{letter}.2. Три.")
    body = spaced("## 4. Оплата", "4.1. Раз.", between, "## 5. Срок", "5.1. Пять.")
    assert numbers(body) == "4 4.1 5 5.1"
    assert "L003" not in ids(body)
    assert {"L016", "L029"} & ids(body)


def test_a_heading_may_begin_with_a_word_of_one_letter_directly_after_its_number():
    assert numbers("1.О Портале\n\n1.1. Раз.\n\n2.В суде\n\n2.1. Два.") == "1 1.1 2 2.1"


@pytest.mark.parametrize(
    ("heading", "words"),
    [
        ('<a name="{n}">Статья {n}. Срок</a>', '<a name="{n}">Срок</a>'),
        ("<a id='{n}'>{n}-бап. Мерзім</a>", "<a id='{n}'>Мерзім</a>"),
        ("<a name=x{n}>{n}. Срок</a> ##", "<a name=x{n}>Срок</a>"),
        ('<a name="{n}">Статья {n}</a>', '<a name="{n}"></a>'),
        ('<a name="{n}"></a>{n}. Срок', '<a name="{n}"></a>Срок'),
        ('<A NAME="{n}"></A> Статья {n}. Срок', '<A NAME="{n}"></A>Срок'),
    ],
)
def test_a_heading_in_an_anchor_begins_what_its_words_begin(heading, words):
    body = spaced(*(f"### {heading.format(n=n)}\n\n{n}.1. Текст." for n in (1, 2)))
    document = parse(f"Т\n\n{body}\n")
    assert document.numbers == ("1", "1.1", "2", "2.1")
    assert [unit.text for unit in document.clauses[::2]] == [words.format(n=n) for n in (1, 2)]
    assert document.source == f"Т\n\n{body}\n"
    assert "L028" in ids(body)
    assert not {"L016", "L018"} & ids(body)


@pytest.mark.parametrize("between", ["\n", "\n\n"])
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("<b>{n}. Срок</b>", "<b>Срок</b>"),
        ("<STRONG> {n}. Срок </STRONG> ", "<STRONG>Срок</STRONG>"),
        ("## <b>{n}. Срок</b>", "<b>Срок</b>"),
        ("<b>Статья {n}</b>\n<b>Срок</b>", "<b><b>Срок</b></b>"),
    ],
)
def test_a_line_that_is_bold_by_html_begins_what_its_words_begin(line, words, between):
    body = between.join((line.format(n=1), "1.1. Раз.", line.format(n=2), "Текст."))
    document = parse(f"Т\n\n{body}\n")
    assert [(unit.number, unit.text) for unit in document.clauses] == [("1", words), ("1.1", "Раз."), ("2", words)]
    assert document.source == f"Т\n\n{body}\n"
    assert "<b>" not in document.html
    assert "L028" in ids(body)


def test_a_line_that_is_bold_by_html_and_begins_nothing_stays_text():
    (clause,) = parse("Т\n\n1.1. Раз.\n\n<b>Важно</b>\n").clauses
    assert clause.text == "Раз.\n<b>Важно</b>"


@pytest.mark.parametrize(
    "line", ["### <i>1. Срок</i>", '### <a href="/x">1. Срок</a>', '### <a name="x">1. Срок', "### <a>1. Срок</a>"]
)
def test_a_heading_in_another_tag_begins_no_section(line):
    assert numbers(line) == ""


@pytest.mark.parametrize("page", ["\t3", "\tстр. 3", " …… 3", " ..... 3", ", стр. 3", "   3-бет", " ___ 3"])
@pytest.mark.parametrize("label", ["{}.", "Пункт {}.", "Статья {}.", "{}-бап."])
@pytest.mark.parametrize("between", ["\n", "\n\n"])
def test_a_typed_table_of_contents_with_pages_begins_nothing(page, label, between):
    headings = [f"{label.format(n)} {words}" for n, words in ((1, "Общие положения"), (2, "Права"), (3, "Срок"))]
    contents = between.join(heading + page for heading in headings)
    body = spaced("Содержание", contents, *(f"{heading}\n\nТекст сказан." for heading in headings))
    document = parse(f"Т\n\n{body}\n")
    assert document.numbers == ("1", "2", "3")
    assert [unit.text for unit in document.clauses] == ["Общие положения", "Права", "Срок"]
    assert document.source == f"Т\n\n{body}\n"


def test_clauses_in_a_typed_table_of_contents_begin_nothing():
    contents = "1. Общее, стр. 3\n1.1. Понятия, стр. 3\n1.2. Предмет, стр. 4\n2. Права, стр. 5\n2.1. Книги, стр. 6"
    body = spaced(contents, "1. Общее", "1.1. Понятия", "Т.", "1.2. Предмет", "Т.", "2. Права", "2.1. Книги", "Т.")
    assert numbers(body) == "1 1.1 1.2 2 2.1"
    assert "L003" not in ids(body)


def test_a_line_that_ends_with_a_page_and_does_not_come_again_begins_what_it_begins():
    assert numbers(spaced("1. ОБЩЕЕ", "1.1. Цена, стр. 3", "1.2. Срок\t5")) == "1 1.1 1.2"
