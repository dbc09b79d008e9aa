"""What the lint says of which text, and in which words."""

from __future__ import annotations

import re
import time
from string import Formatter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agreement import conf
from agreement.text import clauses
from agreement.text.lint.messages import MESSAGES
from agreement.text.lint.rules import CODES, Message, errors, lint
from agreement.text.lint.texts import Texts
from tests.corpus.clean import ALL
from tests.corpus.defects import CASES, Case
from tests.support.scale import examples
from tests.support.site import KK, RU
from tests.text.test_clauses import ANY


def ids_by_language(bodies: dict[str, str], **more: Any) -> set[tuple[str, str]]:
    return {(message.id, message.language) for message in lint(bodies, **more)}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_defect_is_named_and_nothing_else_is(case: Case):
    assert ids_by_language(case.bodies, **case.more) == case.expected


@pytest.mark.parametrize("agreement", ALL, ids=lambda agreement: agreement.name)
def test_a_clean_agreement_has_no_messages(agreement):
    assert lint(agreement.texts()) == ()


def test_every_rule_has_a_defect_in_the_corpus():
    assert {id_ for case in CASES for id_, _ in case.expected} == set(MESSAGES)


def test_errors_alone_block_publishing_and_each_has_a_code():
    assert {id_ for id_, words in MESSAGES.items() if words.severity == "error"} == set(CODES)


@pytest.mark.parametrize("id_", MESSAGES)
def test_every_message_is_a_sentence_and_a_hint_in_three_languages(id_):
    words = MESSAGES[id_]
    for pair in (words.kk, words.ru, words.en):
        assert all(text.rstrip("»”")[-1] in ".»}”" for text in pair), pair
    fields = [
        {re.sub(r"_(kk|ru|en)$", "", name) for _, name, *_ in Formatter().parse(" ".join(pair)) if name}
        for pair in (words.kk, words.ru, words.en)
    ]
    assert fields[0] == fields[1] == fields[2]


def only(bodies: dict[str, str], **more: Any) -> Message:
    (message,) = lint(bodies, **more)
    return message


def test_a_message_names_its_place_in_the_language_of_the_reader():
    gap, _same_in_russian = lint({"kk": KK.replace("1.2.", "1.3."), "ru": RU.replace("1.2.", "1.3.")})
    assert (gap.id, gap.severity, gap.language, gap.clause, gap.line) == ("agreement.L010", "warning", "kk", "1.2", 7)
    assert gap.sentence("kk") == "1.2 жоқ: 1.1 нөмірінен кейін бірден 1.3 келеді."
    assert gap.sentence("ru") == "Пропущено: 1.2 — после 1.1 сразу идёт 1.3."
    assert gap.sentence("en") == "The numbering skips 1.2, between 1.1 and 1.3."
    assert gap.hint("en") == "Check the numbering. If this is intended, change nothing."


def test_a_message_names_an_appendix_in_words():
    gap = only({"ru": "Соглашение\n\n1.1. Слова.\n\nПРИЛОЖЕНИЕ 1\n\n1.1. Слова.\n\n1.3. Слова.\n"})
    assert gap.clause == "a1.1.2"
    assert gap.sentence("kk") == ("1.2 (1‑қосымша) жоқ: 1.1 (1‑қосымша) нөмірінен кейін бірден 1.3 (1‑қосымша) келеді.")
    assert gap.sentence("ru") == (
        "Пропущено: 1.2 (приложение 1) — после 1.1 (приложение 1) сразу идёт 1.3 (приложение 1)."
    )
    assert gap.sentence("en") == (
        "The numbering skips 1.2 (appendix 1), between 1.1 (appendix 1) and 1.3 (appendix 1)."
    )


def test_a_title_that_is_too_long_is_named_on_its_own_line():
    body = f"\n\n# {'Условия ' * 30}оказания услуг портала\n\n1.1. А.\n"
    message = next(message for message in lint({"ru": body}) if message.id == "agreement.L008")
    assert message.line == 3
    assert message.sentence("ru").startswith("Строка названия в тексте на русском языке слишком длинна: символов — 262")


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("Народной Библиотеки\n\nУСЛОВИЯ ОКАЗАНИЯ УСЛУГ\n\n1.1. А.\n", True),
        ("Памятка читателю\n\nЭти условия обязательны для всех читателей.\n\n1.1. А.\n", False),
        ("Памятка читателю\n\nОбщие положения\n\n1.1. А.\n", False),
        ("Памятка читателю\n\n1.1. А.\n\nУсловия\n", False),
        ("Правила портала\n\nУсловия оказания услуг\n\n1.1. А.\n", False),
    ],
)
def test_a_title_that_names_no_document_above_a_line_that_does_is_reported(body, found):
    assert ("agreement.L037" in {message.id for message in lint({"ru": body})}) == found


def test_a_gap_or_a_number_out_of_order_at_the_beginning_is_named_without_a_number_before_it():
    gap = only({"ru": "Соглашение\n\n## 2. Предмет\n\n2.1. Слова.\n"})
    sections = "\n\n".join(f"## {number}. Имя\n\nСлова." for number in (5, 1, 2, 3))
    early = only({"ru": f"Соглашение\n\n{sections}\n"})
    sentences = {
        message.id: [message.sentence(language) for language in ("kk", "ru", "en")] for message in (gap, early)
    }
    assert sentences == {
        "agreement.L010": [
            "1 жоқ: басында бірден 2 келеді.",
            "Пропущено: 1 — в начале сразу идёт 2.",
            "The numbering skips 1, before 2.",
        ],
        "agreement.L011": [
            "Өз орнында тұрған жоқ: 5. Бұл басында келеді.",
            "Стоит не на своём месте: 5. Этот номер идёт в начале.",
            "A number is out of order: 5. It comes first.",
        ],
    }


def test_the_line_of_a_character_is_its_own_and_not_its_clauses():
    message = only({"kk": KK, "ru": RU.replace("Второй", "Второй\nабзац\u200b")})
    assert (message.id, message.clause, message.line) == ("agreement.L023", "1.2", 8)


@pytest.mark.parametrize(
    "word",
    [
        "IP-мекенжай",
        "HTTPSті",
        "IPті",
        "SMS-хабарлама",
        "Wi-Fi",
        "example.kz",
        "«cookies»",
        "TLS v1.2",
        "іс-әрекет",
        "№5а",
    ],
)
def test_a_word_of_two_scripts_with_an_ending_is_no_defect(word):
    assert lint({"kk": KK.replace("Бірінші", f"Бірінші {word}"), "ru": RU}) == ()


@pytest.mark.parametrize(
    "text", ["(1) бір; 2) екі (үш)", "«бір “екі” үш»", "“cookies”", "(бір (екі))", "2) тармақшада", ":)"]
)
def test_paired_marks_and_the_brackets_of_numbers_are_no_defect(text):
    found = ids_by_language({"kk": KK.replace("Бірінші", text), "ru": RU})
    assert found == (set() if text != ":)" else {("agreement.L027", "kk")})


def test_both_defects_of_a_line_are_found_though_a_right_word_stands_first():
    found = ids_by_language({"kk": KK.replace("Бірінші", "HTTPSті Cайт"), "ru": RU})
    assert found == {("agreement.L020", "kk")}


def test_a_tab_after_a_number_or_a_bullet_is_no_defect_and_one_between_words_is():
    body = "Т\n\n1.\tОБЩЕЕ\n\n1.1.\tТекст:\n•\tраз;\n1)\tдва;\nа)\tтри.\n\n1.2. Между\tслов."
    assert [(message.id, message.line) for message in lint({"ru": body})] == [("agreement.L025", 10)]


def test_numbers_of_a_list_alone_are_no_clause_numbers():
    messages = lint({"ru": "Правила\n\n1. Понятия:\n1) портал;\n2) читатель.\n"})
    assert [message.id for message in messages] == ["agreement.L018"]


def test_an_item_before_the_first_number_that_one_language_lacks_is_an_error():
    kk, ru = "Т\n\n1) бір;\n\n2) екі.\n\n1. ЖАЛПЫ\n\n1.1. Үш.\n", "Т\n\n1) раз;\n\n1. ОБЩЕЕ\n\n1.1. Три.\n"
    message = only({"kk": kk, "ru": ru})
    assert (message.id, message.language, message.clause) == ("agreement.L004", "kk", "0-2")
    assert message.sentence("en") == "Only the Kazakh text has 2)."
    assert message.place("ru") == "2) (до первого номера)"


def test_a_chapter_is_named_as_it_is_printed():
    body = "Т\n\nГлава 1. Общее\n\nСтатья 1. Раз\n\nТекст.\n\nГлава 1. Права\n\nСтатья 2. Два\n\nТекст.\n"
    message = only({"ru": body})
    assert message.sentence("en") == "A number is used twice: Глава 1. Line 3 has it too."
    (gap,) = lint({"ru": body.replace("Глава 1. Права", "Глава 3. Права")})
    assert gap.sentence("en") == "The numbering skips 2, between Статья 1 and Глава 3."


@pytest.mark.parametrize(("line", "word"), [("З.1. Текст", "З.1"), ("2.З. Текст", "2.З"), ("2.l.1. Текст", "2.l")])
def test_a_letter_typed_for_a_digit_is_named(line, word):
    messages = lint({"ru": f"Т\n\n1. ОБЩЕЕ\n\n1.1. а.\n\n{line}"})
    (message,) = [message for message in messages if message.id == "agreement.L020"]
    assert word.rstrip("1") in message.sentence("ru")


def test_a_latin_abbreviation_in_cyrillic_letters_is_named_in_latin_letters():
    message = only({"ru": RU.replace("Первый", "\u0406\u0420").replace("Второй", "\u0410\u0420\u0406 и \u0406\u0420")})
    assert (message.id, message.lines) == ("agreement.L053", (5, 7))
    quoted = "«\u0406\u0420», «\u0410\u0420\u0406» набрано кириллицей, а похоже на латинское «IP», «API»."
    assert message.sentence("ru").startswith(quoted)
    assert "наберите его латиницей" in message.hint("ru")


def test_a_reference_that_follows_its_clause_is_no_defect():
    before = {
        "kk": KK + "\n1.3. Мәтін: 1.1 – 1.2 тармақтар.\n",
        "ru": RU + "\n1.3. Текст: пункты 1.1 – 1.2.\n",
    }
    new = {"kk": "Мүлде жаңа ереже.", "ru": "Совсем новое правило."}
    after = {}
    for language, text in before.items():
        text = text.replace("1.1 – 1.2", "1.2 – 1.3").replace("\n1.3. ", "\n1.4. ").replace("\n1.2. ", "\n1.3. ")
        after[language] = text.replace("\n1.1. ", f"\n1.1. {new[language]}\n\n1.2. ")
    assert ids_by_language(after, previous=before) == set()
    left = {language: text.replace("1.2 – 1.3", "1.1 – 1.2") for language, text in after.items()}
    assert ids_by_language(left, previous=before) == {("agreement.L013", "kk"), ("agreement.L013", "ru")}


@given(ANY, ANY, st.booleans())
@settings(max_examples=examples(200))
def test_no_text_makes_the_lint_fail(kk, ru, compared):
    found = lint({"kk": kk, "ru": ru}, previous={"kk": ru, "ru": kk} if compared else None)
    for message in found:
        assert all(message.sentence(spoken) and message.hint(spoken) for spoken in ("kk", "ru", "en"))
        assert list(message.lines) == sorted(set(message.lines))
        assert message.count >= len(message.lines)
    assert [message for message in found if message.severity == "error"] == sorted(
        errors({"kk": kk, "ru": ru}), key=lambda message: found.index(message)
    )


#: Lines and parts of lines that the rules look for.
FRAGMENTS = (
    "# Т|1. ОБЩЕЕ|## 2. СРОК|1.1. Раз.|1.2. Два. 1.3. Три.|2.4. Чужой.|1) а;|2) б;|а) в|Статья 1. Раз|1. Пункт."
    "|2.1. Ещё|Приложение № 1 к Соглашению|1-қосымша|____|{{x}}|не не|3акон|Закон|пункт 1.2 и подпункт 2) пункта 1.1"
    "|приложение 7"
    "|«|\u200b|ο|𝐓|за десять дней до изменения уведомляют|УТВЕРЖДЕНО|1.3.|99.99. y|(1) y|| "
).split("|")
PIECES = st.lists(st.tuples(st.sampled_from(FRAGMENTS), st.sampled_from(["\n", "\n\n", " ", ""])), max_size=40)


@given(PIECES, PIECES, st.integers(0, 10))
@settings(max_examples=examples(200))
def test_messages_about_pieces_of_agreements_are_in_order_and_in_the_text(kk, ru, days):
    bodies = {"kk": "".join(map("".join, kk)), "ru": "".join(map("".join, ru))}
    for message in lint(bodies, stated={"notice_days": days}, previous=bodies if days > 5 else None):
        assert list(message.lines) == sorted(set(message.lines))
        assert message.line <= bodies[message.language or "ru"].count("\n") + 1
        assert all(message.sentence(spoken) and message.hint(spoken) for spoken in ("kk", "ru", "en"))
        assert not message.clause or message.place("kk")


def test_a_copy_that_an_item_interrupts_is_one_error_and_no_other():
    body = "Т\n\n99.99. а\n\n1. ОБЩЕЕ\n\n1.1. Раз.\n\n1. ОБЩЕЕ\n\n1.7. Два:\n\n1) три;\n\n1.8. Четыре.\n"
    assert "agreement.L003" in {message.id for message in lint({"ru": body})}


# One message for each kind and stretch


def test_clauses_in_one_language_only_are_one_message_with_their_count():
    more = "".join(f"\n{section}. ЕЩЁ\n" + "".join(f"\n{section}.{n}. Текст.\n" for n in (1, 2)) for section in (2, 3))
    message = only({"kk": KK, "ru": RU + more})
    assert (message.id, message.clause, message.last_clause, message.count) == ("agreement.L004", "2", "3.2", 6)
    assert message.sentence("ru") == "Есть только в тексте на русском языке: 2 – 3.2 (всего 6)."
    assert message.sentence("kk") == "Тек орысша мәтінде бар: 2 – 3.2 (барлығы 6)."


def test_a_fault_of_many_lines_is_one_message_with_its_lines():
    lines = "".join(f"\n1.{n}. Пункт  с пробелами.\n" for n in range(3, 15))
    message = only({"ru": RU + lines})
    assert (message.id, message.line, message.count) == ("agreement.L026", 9, 12)
    assert message.lines == tuple(range(9, 33, 2))
    assert message.sentence("en") == (
        "There are several spaces between words. There are 12 such places, in the lines 9, 11, 13, 15, 17, 19, 21, 23…."
    )


def test_a_text_that_was_pasted_twice_is_one_message():
    body = RU + "\n## 2. СРОК\n\n2.1. Третий пункт.\n"
    message = only({"ru": f"{body}\n{body.partition(chr(10))[2]}"})
    assert (message.id, message.clause, message.last_clause, message.count) == ("agreement.L051", "1", "", 1)


@pytest.mark.parametrize(
    ("language", "title", "words", "found"),
    [
        ("ru", "Соглашение", "приложение № 2 к Договору поставки", False),
        ("ru", "Договор аренды", "приложение № 2 к Договору страхования", False),
        ("ru", "Договор аренды", "приложение № 2 к Договору", True),
        ("ru", "Оферта", "настоящая оферта (далее – Договор) и приложение № 2 к Договору", True),
        ("ru", "Оферта", "оферта (далее именуется Договор) и приложение № 2 к Договору", True),
        ("ru", "Оферта", "оферта (далее Договор) и приложение № 2 к Договору", True),
        ("ru", "Оферта", "данного Договора и приложения № 2 к Договору", True),
        ("ru", "Соглашение", "обработка персональных данных договором и приложение № 2 к Договору", False),
        ("ru", "Соглашение", "созданного договором и приложением № 2 к Договору", False),
        ("ru", "Соглашение", "приложения № 1 и № 2 к постановлению", False),
        ("ru", "Соглашение", "приложение 2, утверждённое приказом", False),
        ("ru", "Соглашение", "приложение 2", True),
        ("kk", "Келісім", "Жеткізу шартына 2-қосымша", False),
        ("kk", "Келісім", "осы Келісімге 2-қосымша", True),
        ("kk", "Оферта", "Оферта (бұдан әрі Шарт деп аталады) және Шартқа 2-қосымша", True),
    ],
)
def test_an_appendix_of_another_document_is_not_missed(language, title, words, found):
    messages = lint({language: f"{title}\n\n1. ОБЩЕЕ\n\n1.1. {words.capitalize() if 'осы' in words else words}.\n"})
    assert [message.id for message in messages if message.id == "agreement.L032"] == ["agreement.L032"] * found


@pytest.mark.parametrize(
    "words",
    ["(см. п. 1)", "(п. 7, п. 3 ст. 404 Кодекса)", "(п. 7ст. 159 Кодекса)", "по п. 1.7 и п. 1.8 Правил"],
)
def test_a_clause_in_brackets_or_of_a_code_is_not_missed(words):
    body = f"Т\n\n1. Читатель молчит.\n\n2. Читатель читает {words}.\n\n3. Читатель пишет.\n"
    assert not ids_by_language({"ru": body})


def test_a_gap_in_a_list_of_a_clause_is_named():
    body = "Т\n\n1. Общее\n\n1.1. Портал хранит:\n\n1. Имя.\n\n2. Адрес.\n\n4. Почту.\n\n1.2. Два.\n"
    message = only({"ru": body})
    assert (message.id, message.clause, message.line) == ("agreement.L010", "1.1-3", 11)


def test_one_number_of_a_section_that_does_not_exist_is_out_of_order():
    body = "Т\n\n1. Общее\n\n1.1. Раз.\n\n1.2. Два:\n\n2.2.1. Три.\n\n1.2.2. Четыре.\n\n1.2.3. Пять.\n"
    message = only({"ru": body})
    assert (message.id, message.clause, message.count) == ("agreement.L011", "2.2.1", 1)


def test_sub_clauses_of_a_clause_in_the_middle_of_a_line_are_in_order():
    body = "Т\n\n1. Общее\n\n1.1. Раз.\n\n1.1.1. Да. 1.2. Два:\n\n1.2.1. Три.\n\n1.2.2. Четыре.\n\n1.3. Пять.\n"
    assert ids_by_language({"ru": body}) == {("agreement.L034", "ru")}


def test_a_second_document_is_one_message_at_its_title():
    kk = "Пайдаланушы келісімі\n\n1. Жалпы ережелер\n\n1.1. Міндетті.\n\n2. Құқықтар\n\n2.1. Оқиды.\n\n9. Мерзім\n"
    ru = "Соглашение\n\n1. Общие положения\n\n1.1. Обязательно.\n\n2. Права\n\n2.1. Может читать.\n\n"
    message = only({"ru": ru + kk})
    assert (message.id, message.line, message.clause) == ("agreement.L051", 11, "1")
    assert "«Пайдаланушы келісімі»" in message.sentence("ru")
    assert only({"ru": ru + "## Политика\n\n" + ru.partition("\n\n")[2]}).line == 11
    assert only({"ru": ru + "## Политика\n\n" + ru.partition("\n\n")[2] + kk}).lines == (11, 21)


def test_references_to_one_missing_number_are_one_message():
    words = "См. пункт 7.4, пункт 7.5 и приложение № 3."
    messages = lint({"ru": RU.replace("Первый пункт.", words).replace("Второй пункт.", f"{words} См. пункт 7.4.")})
    found = [(message.id, message.lines) for message in messages]
    assert found == [("agreement.L012", (5, 7)), ("agreement.L012", (5, 7)), ("agreement.L032", (5, 7))]


def test_different_words_are_named_in_one_message():
    message = only({"ru": RU.replace("Первый", "Пepвый").replace("Второй", "Bторой")})
    assert (message.id, message.count) == ("agreement.L020", 2)
    assert "«Пepвый», «Bторой»" in message.sentence("ru")
    assert "“Пepвый”, “Bторой”" in message.sentence("en")


# One message for one fault


def test_one_clause_in_a_foreign_section_does_not_misplace_those_that_follow():
    body = (
        "Т\n\n1. ОБЩЕЕ\n\n1.1. Раз.\n\n2.4. Чужой.\n\n1.2. Два.\n\n2. СРОК\n\n2.1. Три.\n\n2.2. Четыре.\n\n2.3. Пять.\n"
    )
    message = only({"ru": body})
    assert (message.id, message.clause) == ("agreement.L011", "2.4")


@pytest.mark.parametrize("wrong", ["9", "1", "7"])
def test_one_wrong_number_in_a_row_is_one_message(wrong):
    body = "Т\n\n1. ОБЩЕЕ\n" + "".join(f"\n1.{wrong if n == 3 else n}. Пункт {n}.\n" for n in range(1, 6))
    message = only({"ru": body})
    assert message.id == ("agreement.L003" if wrong == "1" else "agreement.L011")


@pytest.mark.parametrize("heading", ["1. 2. СРОК", "1. СРОК"])
def test_a_section_with_a_wrong_number_repeats_only_its_own_number(heading):
    body = f"Т\n\n1. ОБЩЕЕ\n\n1.1. Раз.\n\n{heading}\n\n2.1. Два.\n\n2.2. Три.\n"
    message = next(message for message in lint({"ru": body}) if message.id == "agreement.L003")
    assert (message.clause, message.last_clause, message.count) == ("1", "", 1)


def test_a_section_whose_heading_has_no_number_is_one_gap():
    body = "Т\n\n1. ОБЩЕЕ\n\n1.1. Раз.\n\nСРОК\n\n2.1. Два.\n\n2.2. Три.\n\n3. ИТОГ\n\n3.1. Четыре.\n"
    message = only({"ru": body})
    assert (message.id, message.clause) == ("agreement.L010", "2")


def test_a_heading_without_a_number_is_no_gap_too():
    body = "Т\n\n1. ОБЩЕЕ\n\n1.1. Раз.\n\n## СРОК\n\n2.1. Два.\n\n3. ИТОГ\n\n3.1. Четыре.\n"
    assert only({"ru": body}).id == "agreement.L016"


def test_a_reference_to_a_missing_number_is_named_by_the_gap():
    body = "Т\n\n1. ОБЩЕЕ\n\n1.1. По пункту 1.2 платят.\n\n1.3. Два.\n"
    assert (
        only({"ru": body}).sentence("ru") == "Пропущено: 1.2 — после 1.1 сразу идёт 1.3. На пропущенное ссылается 1.1."
    )


def test_a_number_in_the_middle_of_a_line_is_neither_a_gap_nor_a_dangling_reference():
    body = "Т\n\n1. ОБЩЕЕ\n\n1.1. Раз. 1.2. Два.\n\n1.3. По пункту 1.2 платят.\n"
    assert only({"ru": body}).id == "agreement.L034"


@pytest.mark.parametrize(
    ("clause", "ids"),
    [
        ('3. Раз - "Да". 4. Два.', {"agreement.L034"}),
        ("3. Раз. 4. Два. 5. Три.", {"agreement.L034"}),
        ("3. Раз, ст. 4. Два.", {"agreement.L010"}),
        ("3. Раз: 3. Два. 4. Три.", {"agreement.L010"}),
    ],
)
def test_a_rule_in_the_middle_of_a_line_is_named(clause, ids):
    rules = ["1. Раз.", "2. Два.", clause, "6. Пять." if "5." in clause else "5. Пять.", "7. Семь." * ("5." in clause)]
    body = "\n\n".join(["Т", *rules])
    messages = lint({"ru": body})
    assert {message.id for message in messages} == ids
    assert messages[0].id != "agreement.L034" or "«4. Два" in messages[0].sentence("ru")


def test_a_clause_in_the_middle_of_a_line_is_named_in_sections_that_number_anew():
    body = "Т\n\n## 1. Общее\n\n1. Раз.\n\n2. Два. 3. Три.\n\n## 2. Срок\n\n1. Раз.\n\n## 3. Итог\n\n1. Два.\n"
    assert only({"ru": body}).id == "agreement.L034"


@pytest.mark.parametrize(
    "words",
    ["по п. 1.2. Закона", "версия TLS 1.2. Текст", "в 2026 г. 1.2. Текст", "см. 1.2. Текст", "тариф. 7.4. Иной"],
)
def test_a_number_in_a_sentence_is_no_clause_on_the_same_line(words):
    body = f"Т\n\n1. ОБЩЕЕ\n\n1.1. Раз {words} сказан.\n"
    assert "agreement.L034" not in {message.id for message in lint({"ru": body})}


def test_an_order_that_differs_is_no_number_out_of_order_too():
    kk = "Т\n\n1. ЖАЛПЫ\n\n1.1. Бір.\n\n1.3. Үш.\n\n1.2. Екі.\n"
    ru = "Т\n\n1. ОБЩЕЕ\n\n1.1. Раз.\n\n1.2. Два.\n\n1.3. Три.\n"
    assert only({"kk": kk, "ru": ru}).id == "agreement.L006"


def test_a_reference_that_one_language_leaves_out_is_no_difference():
    kk = KK.replace("Екінші тармақ", "1.1-тармаққа сәйкес екінші тармақ")
    assert ids_by_language({"kk": kk, "ru": RU}) == set()
    other = {"kk": kk, "ru": RU.replace("Второй пункт", "По пункту 1.2 второй пункт")}
    message = only(other)
    assert (message.id, message.clause) == ("agreement.L035", "1.2")
    assert message.sentence("ru") == "Ссылки на двух языках различаются: на казахском 1.1, на русском 1.2."


# What is near a rule and no defect


@pytest.mark.parametrize(
    "text",
    [
        "см. [справку](https://example.kz/имя)",
        "[1] сноска",
        "возраст <18 и >65 лет",
        "**жирный** и _наклонный_ текст",
        "файл отчёт_за_год.txt",
        "часть [см. пункт 1.1] закона",
        "Подпись: ________",
        "глава XXIX и глава XXX",
    ],
)
def test_marks_that_are_no_placeholder(text):
    assert ids_by_language({"ru": RU.replace("Второй", f"{text} Второй")}) == set()


@pytest.mark.parametrize(
    "lines",
    [
        "________________ / ______________",
        "Исполнитель ____________",
        "Директор: ____________ М.П.",
        "| Заказчик ______ | Исполнитель ______ |",
        "«Дүкен» _________ (подпись)",
    ],
)
def test_lines_for_signatures_at_the_end_are_no_placeholders(lines):
    body = RU + "".join(f"\n1.{n}. Ещё один пункт этого соглашения.\n" for n in range(3, 9)) + "\n2. ПОДПИСИ\n\n"
    assert ids_by_language({"ru": f"{body}{lines}\n"}) == set()
    assert ids_by_language({"ru": f"{body}БИН ____________\n"}) == {("agreement.L031", "ru")}


@pytest.mark.parametrize("words", ["тез тез", "бірте-бірте", "қайта қайта", "екі екі", "жоқ, жоқ"])
def test_doubled_words_of_kazakh_are_no_defect(words):
    assert ids_by_language({"kk": KK.replace("Бірінші", words)}) == set()


@pytest.mark.parametrize(
    "words",
    [
        "еле еле",
        "стороны Стороны",
        "новые версии ПО по",
        "друг друга",
        "1 1",
        "всё, всё",
        "центр «Тама Тама»",
        "Курс курс",
    ],
)
def test_words_that_only_look_repeated_are_no_defect(words):
    assert ids_by_language({"ru": RU.replace("Первый", words)}) == set()


@pytest.mark.parametrize(
    "words",
    [
        "закон «Ақпараттандыру туралы»",
        "товарищество «Ашық сөре» города Өскемен",
        "сервисы Google Analytics и Yandex Metrika",
        "протокол TLS (Transport Layer Security)",
        "проспект Тәуелсіздік, дом 5",
    ],
)
def test_names_and_quotations_are_no_foreign_passage(words):
    assert ids_by_language({"ru": RU.replace("Первый", f"Применяется {words}. Первый")}) == set()


@pytest.mark.parametrize(
    "words", ["Портал редакциясы", "компания акциясы", "Google Analytics сервисі", "форум модераторы"]
)
def test_borrowed_words_in_a_kazakh_text_are_no_foreign_passage(words):
    assert ids_by_language({"kk": KK.replace("ЖАЛПЫ ЕРЕЖЕЛЕР", words.upper()).replace("Бірінші", words)}) == set()


@pytest.mark.parametrize(
    "word", ["№5а", "2ГИС", "м2", "100тг", "30дней", "COVID-19", "Р24", "ΔT", "naïve", "Yıldız", "❤️", "👨‍👩‍👧"]
)
def test_signs_that_are_no_look_alikes(word):
    assert ids_by_language({"ru": RU.replace("Первый", f"Первый {word}")}) == set()


@pytest.mark.parametrize("line", ["группы A и B", "витамин C полезен", "a) первый", "вариант A, если"])
def test_single_latin_letters_that_are_names(line):
    assert ids_by_language({"ru": RU.replace("Первый", f"Первый {line}")}) == set()


@pytest.mark.parametrize("words", ["Стороны c тем", "данные o себе", "лица, a также", "Второй. B случае"])
def test_a_latin_letter_as_a_russian_word_is_named(words):
    message = only({"ru": RU.replace("Первый", words)})
    assert message.id == "agreement.L020"


def test_a_digit_in_place_of_the_first_letter_is_named_if_the_word_is_in_the_text():
    body = RU.replace("Первый пункт.", "Закон и 3акон. 3года.")
    assert "«3акон»" in only({"ru": body}).sentence("ru")


def test_a_roman_numeral_is_no_letter_in_place_of_a_digit():
    assert "agreement.L020" not in {message.id for message in lint({"ru": "Т\n\nI. ОБЩЕЕ\n\nI.1. Раз.\n\nII. СРОК\n"})}


@pytest.mark.parametrize(
    "title", ["Пользовательское соглашение", "Публичная оферта", "Правила города", "О персональных данных"]
)
def test_a_title_is_no_approval(title):
    assert ids_by_language({"ru": RU.replace("Пользовательское соглашение", title)}) == set()


@pytest.mark.parametrize(
    "title",
    ["УТВЕРЖДАЮ", "Утверждено приказом", "г. Алматы", "город Астана", "01.03.2026", "«1» марта 2026 г.", "| а | б |"],
)
def test_a_line_that_is_no_title_is_named(title):
    found = {message.id for message in lint({"ru": RU.replace("# Пользовательское соглашение", title)})}
    assert found & {"agreement.L037", "agreement.L019"}


@pytest.mark.parametrize(
    ("words", "days"),
    [
        ("Об изменениях уведомляют за 10 (десять) календарных дней до вступления в силу.", 10),
        ("Новая редакция публикуется не позднее чем за пятнадцать дней до её действия.", 15),
        ("Соглашение может быть изменено с уведомлением не менее чем за десять дней.", 10),
        ("Об изменениях уведомляют за 3 рабочих дня до вступления в силу.", None),
        ("Ответ на уведомление об изменениях даётся в течение 5 дней.", None),
    ],
)
def test_the_days_of_notice_in_the_text_are_compared(words, days):
    body = {"ru": RU.replace("Второй пункт.", words)}
    for stated in (0, 10, 15):
        found = ids_by_language(body, stated={"notice_days": stated})
        assert found == ({("agreement.L036", "ru")} if days not in {None, stated} else set())


def test_an_edition_of_the_same_words_says_so_once():
    bodies = {"kk": KK, "ru": RU}
    message = only(bodies, previous={"kk": KK + "\n", "ru": RU}, summaries={"kk": "", "ru": ""})
    assert (message.id, message.language, message.line) == ("agreement.L038", "", 0)
    changed = {"kk": KK.replace("Бірінші", "Алғашқы"), "ru": RU.replace("Первый", "Начальный")}
    assert ids_by_language(changed, previous=bodies) == set()


@pytest.mark.parametrize(
    "fragment",
    [
        "__",
        "1) а\n",
        "[указать ",
        "«",
        "<а ",
        "не не ",
        "{{",
        "a ",
        "п. 1.2, ",
        "1.1. Текст. ",
        "XXX ",
        "3акон ",
        "\u200b",
    ],
)
def test_the_time_is_linear_for_any_repeated_fragment(fragment):
    def seconds(times: int) -> float:
        body = {"ru": RU + "\n1.3. " + fragment * times}
        clauses.parse(body["ru"])
        start = time.process_time()
        lint(body)
        return time.process_time() - start

    size = 16_000 // len(fragment)
    once = max(min(seconds(size) for _ in range(2)), 0.02)
    assert seconds(4 * size) < 10 * once


# A host's rules


def shouting(texts: Texts) -> list[Message]:
    return [
        Message(
            id="portal.L1",
            severity="warning",
            language=language,
            clause=unit.number,
            line=unit.line,
            words={"en": ("Shouts.", "Don't.")},
        )
        for language, document in texts.documents.items()
        for unit in document.clauses
        if "!" in unit.text
    ]


def test_a_host_adds_rules(settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "LINT_RULES": ("tests.text.test_lint.shouting",)}
    message = only({"kk": KK.replace("Бірінші", "Бірінші!"), "ru": RU}, **conf.lint_options())
    assert (message.id, message.clause, message.sentence("kk")) == ("portal.L1", "1.1", "Shouts.")


def test_a_host_silences_warnings_but_no_error(settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "LINT_SILENCED": ("agreement.L026", "agreement.L004")}
    bodies = {"kk": KK.replace("Бірінші ", "Бірінші  "), "ru": RU + "\n1.3. Третий.\n"}
    assert ids_by_language(bodies, **conf.lint_options()) == {("agreement.L004", "ru")}


# Publishing


@pytest.mark.parametrize(("owner", "expected"), [("Порядку", False), ("Соглашению", True)])
def test_an_appendix_of_another_document_than_that_of_the_appendices_is_not_missing(owner, expected):
    body = f"Т\n\n1. ОБЩЕЕ\n\n1.1. Графы даны в приложении № 1 к Соглашению.\n\nПриложение № 2 к {owner}\n\nФорма.\n"
    assert ("agreement.L032" in {message.id for message in lint({"ru": body})}) == expected


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Политика портала (далее – Политика) действует в отношении книг, которые Портал «Самал»", True),
        ("Осы Саясат порталдың деректерді қорғау тәртібін белгілейді және", True),
        ("Политика портала в отношении книг и журналов читального зала (далее – Политика)", False),
        ("Осы Саясаттың шарттары", False),
    ],
)
def test_the_first_line_of_a_sentence_is_no_title(title, expected):
    body = f"{title}\n\nБИН 000000000000 получает.\n\n1. ОБЩЕЕ\n\n1.1. Раз.\n"
    assert ("agreement.L037" in {message.id for message in lint({"ru": body})}) == expected


@pytest.mark.parametrize(
    "hint",
    [
        *("\\[Руководитель\\]", "[Басшы]", "Место для ввода текста.", "Выберите элемент.", "Мәтін енгізу орны."),
        *("Щелкните или коснитесь, чтобы ввести текст.", "Click or tap here to enter text.", "Choose an item."),
    ],
)
def test_the_hint_of_an_empty_content_control_is_a_place_to_fill_in(hint):
    body = f"Т\n\n1. ОБЩЕЕ\n\n1.1. От Портала /{hint}/ подписал.\n\n1.2. Раз.\n\n1.3. Два.\n\n1.4. Три.\n"
    assert "agreement.L031" in {message.id for message in lint({"ru": body})}
    assert "agreement.L031" not in {message.id for message in lint({"ru": body.replace(hint, "Иванов")})}
