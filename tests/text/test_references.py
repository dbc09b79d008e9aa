"""Where a reference to a chapter, an article, a clause of one number or an appendix leads, and from where."""

from __future__ import annotations

import re

import pytest

from agreement.text.clauses import parse
from agreement.text.lint.rules import lint

ARTICLES = (
    "Т\n\nГлава 1. Общее\n\nСтатья 1. Понятия\n\n1. Раз сказано.\n\n2. Два сказано:\n\n1) три;\n\n2) четыре.\n\n"
    "Глава 2. Права\n\nСтатья 2. Срок\n\n1. WORDS\n\n2. Пять сказано.\n\nСтатья 3. Цена\n\nПлаты нет.\n"
)
RULES = (
    "Т\n\n1-тарау. Жалпы\n\n1. Бір айтылды.\n\n2. Екі айтылды:\n\n1) үш;\n\n2) төрт.\n\n2-тарау. Құқық\n\n3. WORDS\n\n"
    "4. Бес айтылды.\n\nПайдаланушы келісіміне 1-қосымша\n\n1.1. Алты.\n\nКелісімге 2-қосымша\n\n1.1. Жеті.\n"
)


def links(body: str) -> list[str]:
    return [target.removeprefix("#") for target in re.findall(r'<a class="reference" href="([^"]+)"', parse(body).html)]


def dangling(body: str) -> list[str]:
    messages = [message for message in lint({"ru": body}) if message.id == "agreement.L012"]
    return [message.sentence("en") for message in messages]


@pytest.mark.parametrize(
    ("words", "targets"),
    [
        ("По статье 1, ст. 3.", ["1", "3"]),
        ("Статьи 1 и 3, статьями 1–3.", ["1", "3", "1", "3"]),
        ("По главе II.", ["ch2"]),
        ("В главе 1, главы 1 и 2, гл. 2, глава II.", ["ch1", "ch1", "ch2", "ch2", "ch2"]),
        ("По пункту 2 статьи 1.", ["1.2", "1"]),
        ("По подпункту 2) пункта 2 статьи 1 Соглашения.", ["1.2-2", "1.2", "1"]),
        ("По пункту 2 настоящей статьи.", ["2.2"]),
        ("По статье 1 Закона, статьям 1 и 3 Гражданского кодекса, главе 1 Правил.", []),
        ("По пункту 1 статьи 1 Закона, пункту 2 статьи 8, подпункту 1) статьи 1 Кодекса.", []),
        ("По статье 9, главе 9.", []),
        ("5-бапта, 1-баптың 2-тармағы, осы баптың 2-тармағы.", ["1", "1.2", "2.2"]),
        ("1-бап, 1 және 3-баптар, 2-тарау, осы Келісімнің 1-бабы.", ["1", "1", "3", "ch2", "1"]),
        ("Заңның 1-бабы, Заңның 1-бабының 2-тармағы, Кодекстің 1-баптары, 1-бабының 2-тармағы.", []),
        ("По пункту 2 и пункту 1.", []),
    ],
)
def test_a_reference_leads_to_an_article_or_a_chapter_and_never_to_a_law(words, targets):
    assert links(ARTICLES.replace("WORDS", words)) == targets


@pytest.mark.parametrize(
    ("words", "targets"),
    [
        ("По статье 2.1, статьям 1 и 2-1.", ["2_1", "1", "2_1"]),
        ("По пункту 2 статьи 2.1, статьям 1-3.", ["2_1.2", "2_1", "1", "3"]),
        (
            "2-1-бап, 2-1-баптың 2-тармағы, 1 және 2-1-баптар, 1-3-баптар.",
            ["2_1", "2_1", "2_1.2", "1", "2_1", "1", "3"],
        ),
        ("По статье 2.1 Закона, статье 18.1, Заңның 2-1-бабы.", []),
    ],
)
def test_a_reference_leads_to_an_article_that_was_inserted_later(words, targets):
    body = ARTICLES.replace("WORDS", words)
    for heading in ("Статья 2.1. Новое", "2-1-бап. Жаңа"):
        articles = body if heading[0] == "С" else re.sub(r"Статья (\d)\.", r"\1-бап.", body)
        added = re.sub("\n(?=Статья 3|3-бап)", f"\n{heading}\n\n1. Раз.\n\n2. Два.\n\n", articles)
        assert links(added) == targets
        assert dangling(added) == []


def test_the_parenthesis_after_a_number_in_brackets_is_no_part_of_it():
    body = "Т\n\n1. Читатель молчит.\n\n2. Читатель читает:\n\n1) раз;\n\n2) два.\n\n3. Читатель WORDS.\n"
    assert links(body.replace("WORDS", "пишет (см. п. 1)")) == ["1"]
    assert links(body.replace("WORDS", "пишет (подпункт 2) пункта 2 здесь)")) == ["2-2", "2"]


def test_a_reference_leads_to_a_section_with_a_roman_numeral():
    body = "Т\n\nI. Общее\n\nТекст.\n\nII. Права\n\n1) раз;\n\n2) два.\n\nIII. Срок\n\nПо WORDS.\n"
    assert links(body.replace("WORDS", "подпункту 2) пункта II, пункту II")) == ["2-2", "2", "2"]


@pytest.mark.parametrize(
    ("words", "targets"),
    [
        ("2-тармақ, 2 және 4-тармақтар.", ["2", "2", "4"]),
        ("2-тармақтың 2) тармақшасы.", ["2", "2-2"]),
        ("2-тараудың 4-тармағы.", ["ch2", "4"]),
        ("По пункту 4, пп. 1 и 2, подпункту 1) пункта 2.", ["4", "1", "2", "2-1", "2"]),
        ("Келісімге 1-қосымша, 2-қосымшада, № 1 қосымша.", ["a1", "a2", "a1"]),
        ("Приложение № 1, приложениях 1 и 2, приложение 2 к Соглашению.", ["a1", "a1", "a2", "a2"]),
        ("По пункту 1.1 приложения 2.", ["a2.1.1", "a2"]),
        ("2-қосымшаның 1.1-тармағы.", ["a2", "a2.1.1"]),
        ("Приложение 1 к Правилам, Ережеге 1-қосымша, приложение 7.", []),
        ("Заңның 2-тармағы, Қағидалардың 4-тармағы, пункт 4 Правил.", []),
        ("№ 4 тармақ, 9-тармақ, пункт 17.", []),
    ],
)
def test_a_reference_leads_to_a_clause_of_one_number_and_to_an_appendix(words, targets):
    assert links(RULES.replace("WORDS", words)) == targets


def test_a_missing_clause_is_reported_only_where_the_text_has_such_numbers():
    assert dangling(RULES.replace("WORDS", "9-тармақ; 9-тарау."))
    assert not dangling(RULES.replace("WORDS", "По статье 9, разделу 9, пункту 2 статьи 9 и приложению 9."))
    assert dangling(ARTICLES.replace("WORDS", "По статье 9 и главе 9."))
    assert not dangling("Т\n\n1. ОБЩЕЕ\n\n1.1. По статье 9, главе 9, пункту 9 и § 9.\n")


def test_an_item_of_the_agreement_named_from_an_appendix_is_not_that_of_the_appendix():
    list_ = "1.1. Три:\n\n1) а."
    body = f"Т\n\n1. ОБЩЕЕ\n\n{list_}\n\nПРИЛОЖЕНИЕ 1\n\n{list_}\n\n1.2. "
    assert links(f"{body}Подпункт 1) пункта 1.1.\n") == ["a1.1.1-1", "a1.1.1"]
    assert links(f"{body}Подпункт 1) пункта 1.1 Соглашения.\n") == ["1.1-1", "1.1"]
    assert links(f"{body}Келісімнің 1.1-тармағының 1) тармақшасы.\n") == ["1.1", "1.1-1"]


@pytest.mark.parametrize(
    ("words", "targets"),
    [
        ("**пункт** 1.1", ["1.1"]),
        ("пункт **1.1**", ["1.1"]),
        ("*пункт 1.1*", ["1.1"]),
        ("**1.1**-тармақ", ["1.1"]),
        ("пункт 1.**1**", []),
        ("[пункт 1.1](https://a.kz)", []),
        ("[**пункт 1.1**](https://a.kz)", []),
        ("[пункт](https://a.kz) 1.1", ["1.1"]),
        ("`пункт` 1.1 и `1.1`", ["1.1"]),
        ("пункт 1.1 **Правил**", []),
        ("- пункт\n- 1.1", []),
        ("| пункт | 1.1 |\n|---|---|\n| п. 1.1 | а |", ["1.1"]),
    ],
)
def test_emphasis_does_not_hide_a_reference_and_a_link_contains_none(words, targets):
    body = f"Т\n\n1. ОБЩЕЕ\n\n1.1. Раз.\n\n1.2. Два:\n\n{words}\n"
    assert links(body) == targets
    assert not re.search(r"<a [^>]*>(?:(?!</a>).)*<a ", parse(body).html)
    shown = re.sub(r"<[^>]+>", "", parse(body).html)
    assert "1.1" in shown


def test_links_change_no_word_of_a_paragraph_with_many():
    words = "По **пункту 1.1** и *пунктам 1.1, 1.2* и пункту **1.2** и далее."
    page = parse(f"Т\n\n1. ОБЩЕЕ\n\n1.1. Раз.\n\n1.2. {words}\n").html
    assert re.sub(r"<[^>]+>", "", page).splitlines()[-1] == f"1.2. {words.replace('*', '')}"
    assert page.count('class="reference"') == 4
