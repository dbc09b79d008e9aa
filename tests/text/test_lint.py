"""What the lint says of which text, and in which words."""

from __future__ import annotations

import re
from string import Formatter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agreement import conf
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
    assert gap.sentence("ru") == "1.2 отсутствует: после 1.1 сразу идёт 1.3."
    assert gap.sentence("en") == "The numbering skips 1.2, between 1.1 and 1.3."
    assert gap.hint("en") == "Check the numbering. If this is intended, change nothing."


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
    assert message.sentence("en") == "2) is in the Kazakh text only."


def test_a_chapter_is_named_as_it_is_printed():
    body = "Т\n\nГлава 1. Общее\n\nСтатья 1. Раз\n\nТекст.\n\nГлава 1. Права\n\nСтатья 2. Два\n\nТекст.\n"
    message = only({"ru": body})
    assert message.sentence("en") == "The number Глава 1 is used twice: line 3 has it too."
    (gap,) = lint({"ru": body.replace("Глава 1. Права", "Глава 3. Права")})
    assert gap.sentence("en") == "The numbering skips 2, between Статья 1 and Глава 3."


@pytest.mark.parametrize(("line", "word"), [("З.1. Текст", "З.1"), ("2.З. Текст", "2.З"), ("2.l.1. Текст", "2.l")])
def test_a_letter_typed_for_a_digit_is_named(line, word):
    messages = lint({"ru": f"Т\n\n1. ОБЩЕЕ\n\n1.1. а.\n\n{line}"})
    (message,) = [message for message in messages if message.id == "agreement.L020"]
    assert word.rstrip("1") in message.sentence("ru")


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
    assert [message for message in found if message.severity == "error"] == sorted(
        errors({"kk": kk, "ru": ru}), key=lambda message: found.index(message)
    )


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
