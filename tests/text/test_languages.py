"""The language of a notice, from what a site stores as the language of a user."""

from __future__ import annotations

import pytest

from agreement.text.languages import notice_language


@pytest.mark.parametrize(
    ("language", "stored"),
    [
        ("kk", "kk kz KZ kaz kk-KZ kk_KZ kk_KZ.UTF-8 kk-Cyrl-KZ kz-KZ қазақша ҚАЗАҚША Kazakh Қазақ qazaqsha казахский"),
        ("ru", "ru RU rus ru-KZ ru_RU ru-Cyrl-RU Русский русский russian орысша"),
        ("mul", "en uz kg kky rusyn mul 1 - _ русалка казах_ские"),
    ],
)
def test_codes_and_names_of_languages_are_understood_in_any_case(language, stored):
    assert {value: notice_language(value) for value in stored.split()} == dict.fromkeys(stored.split(), language)


@pytest.mark.parametrize(
    ("stored", "language"), [("қазақ тілі", "kk"), ("Русский язык", "ru"), (" kk ", "kk"), (None, "mul"), ("", "mul")]
)
def test_a_name_may_have_two_words_and_a_value_may_be_missing(stored, language):
    assert notice_language(stored) == language
