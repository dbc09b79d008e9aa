"""A text is recognised by its words: the whole of an edition, a piece of it, with a page around it, or changed."""

from __future__ import annotations

import pytest

from agreement.editions.recognition import Candidate, matches

OLD = """# Правила портала

## 1. ОБЩИЕ ПОЛОЖЕНИЯ

1.1. Портал даёт каждому читателю **бесплатный** доступ к книгам и журналам библиотеки.

1.2. Читатель не копирует книги для продажи и не передаёт свой пароль другим людям.

## 2. ДАННЫЕ

2.1. Портал хранит имя и адрес читателя три года после последнего посещения.
"""
NEW = OLD.replace("три года", "пять лет")
KAZAKH = """# Портал қағидалары

1.1. Портал әр оқырманға кітапхананың кітаптары мен журналдарын тегін оқуға мүмкіндік береді.
"""
CANDIDATES = [Candidate("1", "ru", OLD), Candidate("1", "kk", KAZAKH), Candidate("2", "ru", NEW)]
#: The text as a browser copies it: without Markdown, and without the space after a number.
PAGE = """Правила портала
1.ОБЩИЕ ПОЛОЖЕНИЯ
1.1.Портал даёт каждому читателю бесплатный доступ к книгам и журналам библиотеки.

1.2.Читатель не копирует книги для продажи и не передаёт свой пароль другим людям.
2.ДАННЫЕ
2.1.Портал хранит имя и адрес читателя три года после последнего посещения.
"""


def found(text: str) -> list[tuple[str, str, str]]:
    return [(one.digest, one.language, one.likeness) for one in matches(text, CANDIDATES)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (OLD.replace("\n\n", "\n \t\n"), [("1", "ru", "same")]),
        (PAGE, [("1", "ru", "same")]),
        (PAGE.replace("три года", "пять\xadлет").replace("\xad", " "), [("2", "ru", "same")]),
        (f"Меню · Вход\n{PAGE}\nВнизу: адрес и телефон", [("1", "ru", "around")]),
        (f"Меню · Вход\nСодержание{PAGE.partition('портала')[2]}", [("1", "ru", "around")]),
        ("Портал хранит имя и адрес читателя три года", [("1", "ru", "part")]),
        ("Читатель не копирует книги для продажи", [("1", "ru", "part"), ("2", "ru", "part")]),
        ("оқырманға кітапхананың кітаптары мен журналдарын тегін оқуға", [("1", "kk", "part")]),
        ("Читатель не копирует книги для продажи и не передаёт свой ключ", [("2", "ru", "differs")]),
        ("Совсем другие слова о погоде в горах и о супе из крапивы весной.", []),
        ("не копирует книги", []),
        ("", []),
    ],
)
def test_a_text_is_recognised_by_its_words(text, expected):
    assert found(text) == expected


def test_what_was_changed_is_marked_and_nothing_else():
    (match,) = matches(PAGE.replace("бесплатный", "платный"), CANDIDATES)
    assert match.likeness == "differs"
    assert match.digest == "1"
    assert [(run.kind, run.text) for run in match.runs if run.kind != "equal"] == [
        ("delete", "бесплатный"),
        ("insert", "платный"),
    ]


def test_words_between_those_of_an_edition_are_marked_and_a_missing_line_break_is_not():
    wrapped = PAGE.replace("журналам библиотеки.", "журналам\nбиблиотеки.\n\nПравила портала, страница 1 из 2\n")
    (match,) = matches(wrapped, CANDIDATES[:2])
    assert match.likeness == "between"
    assert [run.text.strip() for run in match.runs if run.kind != "equal"] == ["Правила портала, страница 1 из 2"]


KAZAKH_2 = KAZAKH + "\n1.2. Оқырман кітаптарды сату үшін көшірмейді және құпиясөзін ешкімге бермейді.\n"
BOTH = """Меню сайта

1.1. Портал әр оқырманға кітапхананың кітаптары мен журналдарын тегін оқуға мүмкіндік береді.

1. ОБЩИЕ ПОЛОЖЕНИЯ
1.1. Портал даёт каждому читателю бесплатный доступ к книгам и журналам библиотеки.
1.2. Оқырман кітаптарды сату үшін көшірмейді және құпиясөзін ешкімге бермейді.
1.2. Читатель не копирует книги для продажи и не передаёт свой пароль другим людям.
2. ДАННЫЕ
2.1. Портал хранит имя и адрес читателя три года после последнего посещения.
"""


def test_two_languages_side_by_side_are_both_recognised():
    bodies = [Candidate("1", "ru", OLD), Candidate("1", "kk", KAZAKH_2), Candidate("2", "ru", NEW)]
    whole = matches(BOTH, bodies)
    assert [(one.digest, one.language, one.likeness) for one in whole] == [("1", "ru", "around"), ("1", "kk", "around")]
    changed = matches(BOTH.replace("ДАННЫЕ\n", "ДАННЫЕ\n2.0. Читатель платит за каждую книгу.\n"), bodies)
    assert [(one.language, one.likeness) for one in changed] == [("ru", "passages"), ("kk", "passages")]
    added = [run.text.strip() for run in changed[0].runs if run.kind == "insert"]
    assert added == ["Меню сайта", "2.0. Читатель платит за каждую книгу."]
    assert changed[1].runs == ()


def test_both_wordings_of_a_comparative_table_are_recognised():
    table = (
        "| № | Было | Стало |\n|---|---|---|\n| 1 "
        "| 2.1. Портал хранит имя и адрес читателя три года после последнего посещения. "
        "| 2.1. Портал хранит имя и адрес читателя пять лет после последнего посещения. |\n"
    )
    assert found(table) == [("1", "ru", "passages"), ("2", "ru", "passages")]


def test_a_clause_in_a_letter_is_recognised():
    clause = "1.2. Читатель не копирует книги для продажи и не передаёт свой пароль другим людям."
    letter = f"Здравствуйте! Пишу по поводу одного пункта, он звучит так:\n«{clause}»\n" + "\n".join(
        f"Вопрос {n} о нём." for n in range(40)
    )
    assert found(letter) == [("2", "ru", "passages")]
    assert found(letter.replace("пароль", "ключ")) == []


def test_a_sentence_that_was_added_at_the_end_is_displayed():
    added = "Читатель платит за каждую прочитанную страницу. "
    (match,) = matches(PAGE + added * 30, CANDIDATES[:1])
    assert match.likeness == "around"
    assert "платит за каждую" in "".join(run.text for run in match.runs if run.kind == "insert")
    (match,) = matches(PAGE.replace("три года", "два года") + added * 30, CANDIDATES[:1])
    assert "платит за каждую" in "".join(run.text for run in match.runs if run.kind == "insert")


def test_a_paragraph_that_was_removed_is_displayed():
    shorter = OLD.replace("1.2. Читатель не копирует книги для продажи и не передаёт свой пароль другим людям.\n", "")
    (match,) = matches(shorter, CANDIDATES[:1])
    assert "не передаёт свой пароль" in "".join(run.text for run in match.runs if run.kind == "delete")


def test_a_space_after_a_hyphen_of_a_pdf_is_no_difference():
    body = OLD + "\n2.2. Деректер 3.1-тармақта айтылған, аудио- и видеозаписи хранятся отдельно.\n"
    printed = body.replace("3.1-тармақта", "3.1- тармақта").replace("бесплатный", "платный")
    (match,) = matches(printed, [Candidate("3", "ru", body)])
    assert [run.text for run in match.runs if run.kind != "equal"] == ["бесплатный", "платный"]
