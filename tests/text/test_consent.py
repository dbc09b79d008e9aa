"""Consents with parts: the words that are rendered from them, and the parts that are missing or wrong."""

from __future__ import annotations

from typing import Any

import pytest

from agreement.text import consent

STATED: dict[str, Any] = {
    "purpose": {"kk": "порталда тіркелу", "ru": "регистрация на портале"},
    "operator": {"name": {"kk": "«Портал»", "ru": "«Портал»"}, "bin": consent.NOBODY},
    "data": {"kk": ["аты", "электрондық мекенжайы"], "ru": ["имя", "электронный адрес"]},
    "term": {"kk": "2030 ж. дейін", "ru": "до 2030 г."},
    "third_parties": False,
    "cross_border": False,
    "publication": {"kk": "аты порталда көрсетіледі", "ru": "имя показывается на портале"},
}

KK = """\
Дербес деректерімді жинауға және өңдеуге келісім беремін. Мақсаты: порталда тіркелу.
Оператор: «Портал», БСН 000000000000.
Жиналатын деректер: аты; электрондық мекенжайы.
Келісімнің қолданылу мерзімі: 2030 ж. дейін.
Үшінші тұлғаларға беру: деректер үшінші тұлғаларға берілмейді.
Трансшекаралық беру: деректер басқа мемлекеттерге берілмейді.
Жалпыға қолжетімді көздерде тарату: аты порталда көрсетіледі."""
RU = """\
Даю согласие на сбор и обработку моих персональных данных. Цель: регистрация на портале.
Оператор: «Портал», БИН 000000000000.
Собираемые данные: имя; электронный адрес.
Срок действия согласия: до 2030 г.
Передача третьим лицам: данные третьим лицам не передаются.
Трансграничная передача: данные в другие государства не передаются.
Распространение в общедоступных источниках: имя показывается на портале."""


@pytest.mark.parametrize(("language", "words"), [("kk", KK), ("ru", RU)])
def test_the_words_have_every_part_in_a_fixed_order(language, words):
    """If this test fails, users of every site are asked again: their records contain the former words."""
    assert list(consent.faults(STATED)) == []
    assert consent.render(dict(reversed(STATED.items())), language) == words


def test_a_person_who_is_the_operator_has_an_iin_and_other_information_comes_last():
    operator = {"name": STATED["operator"]["name"], "iin": consent.NOBODY}
    stated = {**STATED, "operator": operator, "other": {"kk": "cookie жоқ", "ru": "cookie нет"}}
    assert list(consent.faults(stated)) == []
    words = consent.render(stated, "ru")
    assert "«Портал», ИИН 000000000000." in words
    assert words.endswith("\nИные сведения: cookie нет.")


@pytest.mark.parametrize("words", [KK, RU])
def test_pages_get_the_sentence_and_each_part_of_the_words(words):
    sentence, parts = consent.split(words)
    assert [sentence, *(": ".join(part) for part in parts)] == words.split("\n")
    assert len(parts) == 6


@pytest.mark.parametrize(
    "text",
    [
        "Согласен получать новости.",
        "Цель: новости.\nСрок: год.",
        f"{RU}\nбез подписи",
        "Даю согласие на сбор и обработку моих персональных данных.",
        "",
    ],
)
def test_a_text_of_the_site_has_no_parts(text):
    assert consent.split(text) == consent.Words(text)


@pytest.mark.parametrize(
    ("changed", "key", "problem", "hint"),
    [
        ({"purpose": None}, "purpose", "is missing", 'Write {"kk": "…", "ru": "…"}.'),
        ({"operator": None}, "operator", "is missing", '"bin": "…"'),
        ({"data": None}, "data", "is missing", '["…", "…"]'),
        ({"term": None}, "term", "is missing", 'Write {"kk"'),
        ({"third_parties": None}, "third_parties", "is missing", "or False if this is not done."),
        ({"cross_border": None}, "cross_border", "is missing", "or False"),
        ({"publication": None}, "publication", "is missing", "or False"),
        ({"third_parties": True}, "third_parties", "must have words in kk", "or False"),
        ({"term": False}, "term", "must have words in kk, words in ru", 'Write {"kk"'),
        ({"term": {"kk": "x"}}, "term", "must have words in kk, words in ru", 'Write {"kk"'),
        ({"term": {"kk": "x", "ru": " "}}, "term", "must be one line of words", 'Write {"kk"'),
        ({"term": {"kk": "x", "ru": "x\ny"}}, "term", "must be one line of words", 'Write {"kk"'),
        ({"data": {"kk": "x", "ru": "x"}}, "data", "must be a list of words", "["),
        ({"data": {"kk": [], "ru": []}}, "data", "must be a list of words", "["),
        ({"data": ["x"]}, "data", "must have a list in kk, a list in ru", "["),
        ({"data": {"kk": ["x", "y"], "ru": ["x"]}}, "data", "has 2 in kk, 1 in ru", "List the same data"),
        ({"trm": {"kk": "x", "ru": "x"}}, "trm", "is no part of a consent", 'Write "term".'),
        ({"0": 1}, "0", "is no part of a consent", "The parts are: purpose, operator"),
        ({"operator": "Портал"}, "operator", "must have a name and a number", '"bin"'),
        ({"operator": {"bin": consent.NOBODY}}, "operator.name", "must have words in kk", 'Write {"kk"'),
        ({"operator": {"name": {"kk": "x", "ru": "x"}}}, "operator", "has no number", 'Add "bin"'),
    ],
)
def test_a_fault_names_the_part_and_the_next_step(changed, key, problem, hint):
    stated = {name: value for name, value in {**STATED, **changed}.items() if value is not None}
    (fault,) = consent.faults(stated)
    assert fault.key == key
    assert problem in fault.problem
    assert hint in fault.hint


def test_an_operator_has_one_number_and_no_other_keys():
    operator = {**STATED["operator"], "iin": consent.NOBODY, "phone": "x"}
    found = [(fault.key, fault.problem) for fault in consent.faults({**STATED, "operator": operator})]
    assert found == [("operator.phone", "is unknown"), ("operator", "has two numbers")]


@pytest.mark.parametrize(
    ("number", "fault"),
    [
        (consent.NOBODY, ""),
        ("009940000006", ""),
        ("009490000006", "is '009490000006', whose last digit must be 0"),
        ("009940000007", "is '009940000007', whose last digit must be 6"),
        ("000000002810", "is '000000002810', and no number begins with '00000000281'"),
        ("00994000000", "is '00994000000', and not a text of 12 digits"),
        ("00994000000٦", "is '00994000000٦', and not a text of 12 digits"),
        (9940000006, "is 9940000006, and not a text of 12 digits"),
        (None, "is None, and not a text of 12 digits"),
    ],
)
def test_a_number_has_twelve_digits_and_the_last_one_is_computed(number, fault):
    assert consent.number_fault(number) == fault
