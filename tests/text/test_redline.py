"""What counts as which change, that no word is cut, and that both texts come back from the changes byte for byte."""

from __future__ import annotations

import random
import re
import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agreement.text.clauses import Clause, parse
from agreement.text.redline import sentences
from agreement.text.redline.amendment import amend
from agreement.text.redline.changes import Change, Redline, redline
from agreement.text.redline.words import Run, compare, separated
from tests.corpus.clean import ALL
from tests.support.redlines import new_body, new_text, old_body, old_text
from tests.support.scale import examples
from tests.text.test_clauses import ANY

OLD = """# Пользовательское соглашение

## 1. ОБЩИЕ ПОЛОЖЕНИЯ

1.1. Соглашение определяет порядок пользования читальным залом и книгохранилищем.

1.2. Читателем признаётся лицо, получившее билет в кассе или по почте.

1.3. Билет действует один год и продлевается по просьбе читателя.

## 2. ПОРЯДОК ВЫДАЧИ

2.1. Книги выдаются на дом сроком на четырнадцать дней по предъявлении билета.

2.2. Редкие издания на дом не выдаются, кроме случаев, указанных в пункте 1.3.

2.3. За утерянную книгу читатель возмещает её стоимость или приносит такую же.
"""


def facts(old: str, new: str) -> list[tuple[str, str, tuple[str, ...]]]:
    """(old number, new number, facts) of what changed."""
    return [
        (change.old.number if change.old else "", change.new.number if change.new else "", sentences.facts(change))
        for change in redline(parse(old), parse(new)).changed
    ]


def edited(*pairs: tuple[str, str]) -> str:
    text = OLD
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return text


# Facts


def test_equal_texts_have_no_changes():
    assert facts(OLD, OLD) == []


def test_a_clause_with_other_words_is_reworded():
    assert facts(OLD, edited(("один год", "два года"))) == [("1.3", "1.3", ("reworded",))]


def test_a_clause_put_before_others_is_inserted_and_they_are_renumbered():
    new = edited(
        ("1.3. ", "1.4. "), ("1.2. ", "1.3. "), ("1.3. Чит", "1.2. Вход в здание бесплатный для всех.\n\n1.3. Чит")
    )
    assert facts(OLD, new) == [
        ("", "1.2", ("inserted",)),
        ("1.2", "1.3", ("renumbered",)),
        ("1.3", "1.4", ("renumbered",)),
    ]


def test_a_deleted_clause_stands_where_it_stood():
    new = re.sub(r"1\.2\. .*\n\n", "", OLD)
    assert facts(OLD, new) == [("1.2", "", ("deleted",))]
    assert [change.old.number for change in redline(parse(OLD), parse(new)).changes if change.old][2:5] == [
        "1.1",
        "1.2",
        "1.3",
    ]


def test_a_rule_put_before_others_renumbers_them():
    rules = ["Читатель молчит.", "Читатель не ест.", "Книги возвращают в срок.", "Зал закрыт в праздники."]
    old, new = (
        "Т\n\n" + "\n\n".join(f"{place}. {rule}" for place, rule in enumerate(found, start=1))
        for found in (rules, [rules[0], "Сумки сдают в гардероб.", *rules[1:]])
    )
    assert facts(old, new) == [
        ("", "2", ("inserted",)),
        ("2", "3", ("renumbered",)),
        ("3", "4", ("renumbered",)),
        ("4", "5", ("renumbered",)),
    ]


def test_the_items_of_a_rule_that_is_renumbered_are_not_moved():
    rules = ["Читатель молчит.", "Читатель приносит:\n\n1) книги;\n\n2) билет.", "Книги возвращают в срок."]
    old, new = (
        "Т\n\n" + "\n\n".join(f"{place}. {rule}" for place, rule in enumerate(found, start=1))
        for found in (rules, [rules[0], "Сумки сдают в гардероб.", *rules[1:]])
    )
    renumbered = [("2", "3"), ("2-1", "3-1"), ("2-2", "3-2"), ("3", "4")]
    assert facts(old, new) == [("", "2", ("inserted",)), *((*pair, ("renumbered",)) for pair in renumbered)]


def test_a_clause_in_another_section_is_moved_and_renumbered():
    sentence = "Билет действует один год и продлевается по просьбе читателя."
    new = edited((f"1.3. {sentence}\n\n", ""), ("приносит такую же.", f"приносит такую же.\n\n2.4. {sentence}"))
    assert facts(OLD, new) == [("1.3", "2.4", ("renumbered", "moved"))]


def test_clauses_in_each_others_place_are_moved_once():
    one, two = "2.1. Книги выдаются на дом сроком на четырнадцать дней по предъявлении билета.", "2.2. Редкие"
    swapped = edited((one + "\n\n", ""), ("приносит такую же.", "приносит такую же.\n\n" + one.replace("2.1", "2.4")))
    assert two in swapped
    assert facts(OLD, swapped) == [("2.1", "2.4", ("renumbered", "moved"))]


def test_a_renumbered_section_does_not_move_its_clauses():
    new = OLD.replace("## 2.", "## 3.").replace("\n2.", "\n3.")
    new = new.replace("## 3.", "## 2. ЧАСЫ РАБОТЫ\n\n2.1. Зал открыт ежедневно с девяти до шести.\n\n## 3.")
    units = facts(OLD, new)
    assert units[:2] == [("", "2", ("inserted",)), ("", "2.1", ("inserted",))]
    assert {fact for *_, found in units[2:] for fact in found} == {"renumbered"}


def test_formatting_alone_is_no_change_of_text_but_is_not_hidden():
    assert facts(OLD, edited(("один год", "**один год**"))) == [("1.3", "1.3", ("reformatted",))]


def test_facts_are_separate():
    new = edited(("1.3. Билет действует один год", "1.4. Билет действует два года"))
    assert facts(OLD, new) == [("1.3", "1.4", ("reworded", "renumbered"))]


def test_a_clause_with_other_content_under_its_number_is_restated():
    old_words, new_words = "Билет действует один год и продлевается по просьбе читателя.", "Фотографировать запрещено."
    new = edited((old_words, new_words))
    assert facts(OLD, new) == [("1.3", "1.3", ("restated",))]
    (change,) = redline(parse(OLD), parse(new)).changed
    assert change.words == (Run("delete", old_words), Run("insert", new_words))
    said = [sentences.describe(change, "restated", language) for language in ("ru", "kk", "en")]
    assert said == ["изложен в новой редакции", "жаңа редакцияда жазылды", "restated"]
    assert "1.3. (изложен в новой редакции)\n" in sentences.plain_text(Redline((change,)), "ru")


def test_every_account_states_the_same_clauses_as_restated():
    samples = Path(__file__).parents[2] / "portal_site/samples"
    for language in ("kk", "ru"):
        old, new = (parse((samples / f"{name}.{language}.md").read_text()) for name in ("edition-3", "policy-3"))
        found = redline(old, new)
        deleted = {one.unit.number for one in found.changed if one.deleted}
        assert deleted.isdisjoint(one.unit.number for one in found.changed if one.inserted)
        restated = {one.unit.number for one in found.changed if one.restated}
        amended = [one for one in amend(found) if one.kind in {"delete", "insert"}]
        assert restated
        assert restated.isdisjoint(path[0].number for one in amended for path in (*one.old, *one.new))


def test_a_clause_in_another_section_or_stated_to_be_new_is_not_restated():
    old = "Т\n\n## 1. ПРАВИЛА\n\n1) Книги берут домой.\n\n## 2. СРОКИ\n\n2.1. Год."
    new = "Т\n\n## 1. ПРАВИЛА\n\n## 2. СРОКИ\n\n2.1. Год.\n\n1) Фотографировать экспонаты нельзя."
    assert [fact for *_numbers, fact in facts(old, new)] == [("deleted",), ("inserted",)]
    other = OLD.replace("Билет действует один год и продлевается по просьбе читателя.", "Нельзя шуметь.")
    changes = redline(parse(OLD), parse(other), [("1.3", None), (None, "1.3")]).changed
    assert sorted(change.deleted for change in changes) == [False, True]


def test_of_clauses_that_are_alike_the_one_with_the_same_number_is_the_same():
    old = "1. ПРАВИЛА\n\n1.1. Зал открыт с девяти до шести.\n\n1.2. Касса открыта с девяти до шести.\n"
    new = "1. ПРАВИЛА\n\n1.1. Гардероб открыт с девяти до шести.\n\n1.2. Буфет открыт с девяти до шести.\n"
    assert facts(old, new) == [("1.1", "1.1", ("reworded",)), ("1.2", "1.2", ("reworded",))]


@pytest.mark.parametrize(
    ("old", "new"), [("Бесплатно.", "Платно."), ("Срок – год.", "Срок – два года."), ("Лимит: 5 МБ.", "Лимит снят.")]
)
def test_short_clauses_of_one_number_are_one_clause(old, new):
    sentence = "Билет действует один год и продлевается по просьбе читателя."
    assert facts(edited((sentence, old)), edited((sentence, new))) == [("1.3", "1.3", ("reworded",))]


EXTENDED = (
    "Порядок касается всех обращений, которые поступили позже, и не касается тех, что поданы раньше; ответ даётся"
)


@pytest.mark.parametrize(
    ("old", "new", "kinds"),
    [
        ("устанавливает порядок.", f"устанавливает порядок. {EXTENDED} письменно.", ["equal", "insert", "equal"]),
        ("устанавливает порядок.", f"устанавливает порядок, а также сроки. {EXTENDED} письменно.", None),
    ],
)
@pytest.mark.parametrize("number", ["1.1. ", ""])
def test_a_clause_that_is_kept_whole_in_a_longer_one_was_extended(old, new, kinds, number):
    body = "# Соглашение\n\n## 1. ПРАВИЛА\n\n{number}Настоящий пункт для всех посетителей {words}\n"
    shorter, longer = (parse(body.format(number=number, words=words)) for words in (old, new))
    (change,) = redline(shorter, longer).changed
    assert change.text_changed
    assert "delete" not in {run.kind for run in change.words}
    assert kinds in (None, [run.kind for run in change.words])
    (change,) = redline(longer, shorter).changed
    assert "insert" not in {run.kind for run in change.words}


def test_a_clause_of_other_words_under_the_same_number_is_restated_and_not_extended():
    body = "# Соглашение\n\n## 1. ПРАВИЛА\n\n1.1. {}\n"
    old = body.format("Возврат денег за билет делают по заявлению в кассе.")
    new = body.format(f"В кассе музея есть схема залов и список выставок за год. {EXTENDED} письменно по почте.")
    assert [sentences.facts(change) for change in redline(parse(old), parse(new)).changed] == [("restated",)]


def test_a_renumbered_appendix_had_a_number():
    change = Change(Clause("heading", "a1", "Тарифы"), Clause("heading", "a2", "Тарифы"))
    assert [sentences.describe(change, fact, "en") for fact in sentences.facts(change)] == ["formerly 1"]


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        pytest.param(
            "1.1. Исключаемый пункт.\n\n1.2. Нужны:\n\n1) заявление;", "1.1. Нужны:\n\n1) заявление;", "1.2, 1)"
        ),
        pytest.param(
            "1.1. Исключаемый пункт.\n\n1.2. Нужны:\n\n1) документы:\n\nа) заявление;",
            "1.1. Нужны:\n\n1) документы:\n\nа) заявление;",
            "1.2, 1), а)",
        ),
        pytest.param(
            "## Приложение 1. Лишнее\n\n1.1. Слова о другом предмете и цене.\n\n"
            "## Приложение 2. Порядок подачи\n\n1.1. Заявление подают в кассе музея.",
            "## Приложение 1. Порядок подачи\n\n1.1. Заявление подают в кассе музея.",
            "appendix 2, 1.1",
        ),
        pytest.param(
            "## Статья 2. Лишнее\n\n1. Слова о цене.\n\n2. О другом.\n\n"
            "## Статья 3. Порядок\n\n1. Заявление подают в кассе музея.\n\n2. Ответ дают за пять дней.",
            "## Статья 2. Порядок\n\n1. Заявление подают в кассе музея.\n\n2. Ответ дают за пять дней.",
            "3.2",
        ),
    ],
)
def test_a_unit_that_kept_its_label_is_said_to_have_been_at_another_place(old, new, place):
    body = "# Соглашение\n\n## {}1. ПРАВИЛА\n\n{}\n"
    head = "Статья " if "Статья" in old else ""
    changes = redline(*(parse(body.format(head, text)) for text in (old, new))).changed
    assert f"formerly at {place}" in {sentences.describe(it, "renumbered", "en") for it in changes if it.renumbered}


def test_a_clause_that_lost_or_got_its_number_is_counted_as_a_clause():
    numbered, plain = "Т\n\n## 1. ОБЩЕЕ\n\n1.1. Раз два три.\n", "Т\n\n## 1. ОБЩЕЕ\n\nРаз два три.\n"
    lost, got = redline(parse(numbered), parse(plain)), redline(parse(plain), parse(numbered))
    assert sentences.summary(lost, "ru") == sentences.summary(got, "ru") == "Перенумеровано: 1 пункт."
    assert "(прежний номер 1.1.)" in sentences.plain_text(lost, "ru")
    assert "(прежде без номера)" in sentences.plain_text(got, "ru")
    assert "(formerly without a number)" in sentences.plain_text(got, "en")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[сайт](https://a.kz)", "[сайт](https://b.kz)"),
        ("список:\n\n3. раз\n5. два", "список:\n\n3. раз\n6. два"),
        ("| а | [б](/1) |\n|--|--|\n| в | г |", "| а | [б](/2) |\n|--|--|\n| в | г |"),
    ],
)
def test_another_target_and_another_number_in_a_list_are_other_words(old, new):
    head = "Т\n\n1. ОБЩЕЕ\n\n1.1. Раз два три четыре пять:\n\n"
    assert facts(head + old, head + new) == [("1.1", "1.1", ("reworded",))]


def test_a_replaced_word_and_the_new_one_are_displayed_as_two_words():
    """A reader who copied «пятьсемь» had a word that stands in no edition."""
    runs = compare("ещё пять лет, (а)", "ещё семь лет; (б)")
    assert "".join(run.text for run in separated(runs)) == "ещё пять семь лет,; (а б)"
    assert [run for run in separated(runs) if run != Run("equal", " ")] == list(runs)


def test_an_editors_correction_wins():
    new = edited(
        ("Билет действует один год и продлевается по просьбе читателя.", "Фотографировать экспонаты запрещено.")
    )
    joined = redline(parse(OLD), parse(new), corrections=[("1.3", "1.3")]).changed
    assert [sentences.facts(change) for change in joined] == [("reworded",)]
    parted = redline(parse(OLD), parse(edited(("один год", "два года"))), corrections=[("1.3", None)]).changed
    assert sorted(sentences.facts(change) for change in parted) == [("deleted",), ("inserted",)]
    unknown = redline(parse(OLD), parse(OLD), corrections=[("9.9", "8.8"), (None, "7"), ("7", None)])
    assert unknown.changed == ()


@pytest.mark.parametrize("agreement", ALL[:12], ids=lambda agreement: agreement.name)
def test_both_languages_have_the_same_changes(agreement):
    before = agreement.texts()
    after = {
        "kk": before["kk"].replace("үш жылдан", "бес жылдан").replace("он күн", "жиырма күн"),
        "ru": before["ru"]
        .replace("трёх лет", "пяти лет")
        .replace("десять дней", "двадцать дней")
        .replace("десяти дней", "двадцати дней"),
    }
    assert facts(before["kk"], after["kk"]) == facts(before["ru"], after["ru"])


# Words


def marked(old: str, new: str) -> str:
    marks = {"equal": "{}", "delete": "[{}]", "insert": "<{}>"}
    return "".join(marks[run.kind].format(run.text) for run in compare(old, new))


@pytest.mark.parametrize(
    ("old", "new", "reads"),
    [
        ("Срок три года.", "Срок пять лет.", "Срок [три года]<пять лет>."),
        ("іс-әрекет туралы", "іс-қимыл туралы", "[іс-әрекет]<іс-қимыл> туралы"),
        ("протокол v1.2 и", "протокол v1.3 и", "протокол [v1.2]<v1.3> и"),
        ("с 01.03.2024 г.", "с 01.04.2024 г.", "с [01.03.2024]<01.04.2024> г."),
        ("пункт 4.3 и", "пункт 4.2 и", "пункт [4.3]<4.2> и"),
        ("данные хранятся", "данные, хранятся", "данные<,> хранятся"),
        ("цена 1 000 тенге", "цена 1 500 тенге", "цена [1 000]<1 500> тенге"),
        ("1\xa0000\xa0000", "1\xa0000\xa0500", "[1\xa0000\xa0000]<1\xa0000\xa0500>"),
        ("за 2 000 ₸", "за 1 000 ₸", "за [2 000]<1 000> ₸"),
        ("за 10 дней", "за 10 000 дней", "за [10]<10 000> дней"),
        ("пеня 0,5 %", "пеня 0,7 %", "пеня [0,5]<0,7> %"),
        ("1 000,50 тг", "1 000,75 тг", "[1 000,50]<1 000,75> тг"),
        ("а б в г д", "а х в у д", "а [б в г]<х в у> д"),
        ("раз два", "раз два три", "раз два< три>"),
        ("", "раз", "<раз>"),
        ("раз", "", "[раз]"),
    ],
)
def test_words_are_whole_islands_are_swallowed_and_deletion_comes_first(old, new, reads):
    assert marked(old, new) == reads


WORDS = st.lists(st.sampled_from("а б в іс-әрекет v1.2 4.3 01.03.2024 1 000 2,5 , . « » \n".split(" ")), max_size=30)
PROSE = st.one_of(WORDS.map(" ".join), st.text(), ANY)


@given(PROSE, PROSE)
@settings(max_examples=examples(500))
def test_the_runs_restore_both_texts(old, new):
    runs = compare(old, new)
    assert new_text(runs) == new
    assert old_text(runs) == old


@given(PROSE, PROSE)
@settings(max_examples=examples(300))
def test_no_run_begins_or_ends_inside_a_word(old, new):
    runs = compare(old, new)
    for text, other in ((old, "insert"), (new, "delete")):
        words = [
            match.span()
            for match in re.finditer(r"(?<!\w)\d{1,3}(?: \d{3}(?!\w))+(?![-.,]\w)|\w+(?:[-.]\w+|,(?<=\d,)\d+)*", text)
        ]
        place = 0
        for run in runs:
            if run.kind != other:
                place += len(run.text)
                assert not any(start < place < end for start, end in words)


@given(PROSE, PROSE)
@settings(max_examples=examples(300))
def test_runs_take_turns_and_deletion_stands_before_insertion(old, new):
    kinds = [run.kind for run in compare(old, new)]
    assert all(
        pair in {"ed", "ei", "di", "de", "ie"}
        for pair in map("".join, zip((k[0] for k in kinds), (k[0] for k in kinds[1:]), strict=False))
    )
    assert all(run.text for run in compare(old, new))


@given(ANY, ANY)
@example(OLD, OLD.replace("1.2", "1.9"))
@settings(max_examples=examples(300))
def test_a_redline_restores_both_bodies_byte_for_byte(old, new):
    whole = redline(parse(old), parse(new))
    assert new_body(whole) == new
    assert old_body(whole) == old
    sentences.plain_text(whole, "ru")
    sentences.summary(whole, "en")


# The guard


def words(seed: int, count: int, vocabulary: int) -> str:
    source = random.Random(seed)  # noqa: S311 - the seed repeats the test
    return " ".join(f"сөз{seed * 7 % 3}{int(vocabulary * source.random() ** 3)}" for _ in range(count))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (words(1, 40_000, 5000), words(2, 40_000, 5000)),
        ("Т\n\n" + words(1, 40_000, 2), words(4, 40_000, 2)),
        (
            "".join(f"{n // 20 + 1}.{n % 20 + 1}. {words(n, 40, 900)}\n\n" for n in range(1000)),
            "".join(f"{n // 20 + 1}.{n % 20 + 1}. {words(n + 1, 40, 900)}\n\n" for n in range(1000)),
        ),
    ],
    ids=["one paragraph", "two words", "a thousand clauses"],
)
def test_an_unrelated_text_of_forty_thousand_words_does_not_hang(old, new):
    started = time.perf_counter()
    whole = redline(parse(old), parse(new))
    assert new_body(whole) == new
    sentences.plain_text(whole, "ru")
    assert time.perf_counter() - started < 20


def test_a_clause_too_large_to_compare_is_marked_as_replaced():
    old, new = ("1.1. " + words(seed, 2000, 2) for seed in (1, 4))
    (change,) = redline(parse(old), parse(new), corrections=[("1.1", "1.1")]).changed
    assert change.replaced
    assert [run.kind for run in change.words if run.kind != "equal"] == ["delete", "insert"]
    assert "не сравнивается по словам" in sentences.describe(change, "replaced", "ru")


def test_a_long_paragraph_with_a_few_edits_is_still_compared_by_words():
    old = " ".join(f"слово{place}" for place in range(40_000))
    new = old.replace("слово777 ", "новое ").replace("слово39000 ", "")
    (change,) = redline(parse(old), parse(new)).changed
    assert [run.text for run in change.words if run.kind != "equal"] == ["слово777", "новое", "слово39000 "]


# Renderings


def whole() -> Redline:
    new = edited(("один год", "два года"), ("2.3. За", "2.4. За"), ("## 2.", '1.4. <Новый> пункт & "знак".\n\n## 2.'))
    return redline(parse(OLD), parse(new))


@pytest.mark.parametrize(
    ("language", "counts", "says"),
    [
        ("en", (1, 0, 0, 0), "Changed: 1 clause."),
        ("en", (3, 1, 1, 4), "Changed: 3 clauses; added: 1 clause; deleted: 1 clause; renumbered: 4 clauses."),
        ("ru", (1, 1, 1, 1), "Изменено: 1 пункт; добавлено: 1 пункт; исключено: 1 пункт; перенумеровано: 1 пункт."),
        (
            "ru",
            (3, 2, 4, 22),
            "Изменено: 3 пункта; добавлено: 2 пункта; исключено: 4 пункта; перенумеровано: 22 пункта.",
        ),
        (
            "ru",
            (5, 11, 12, 21),
            "Изменено: 5 пунктов; добавлено: 11 пунктов; исключено: 12 пунктов; перенумеровано: 21 пункт.",
        ),
        ("ru", (0, 5, 0, 1), "Добавлено: 5 пунктов; перенумеровано: 1 пункт."),
        ("kk", (3, 1, 0, 4), "Өзгертілді: 3 тармақ; қосылды: 1 тармақ; нөмірі өзгерді: 4 тармақ."),
    ],
)
def test_the_summary_has_the_right_plurals(language, counts, says):
    changed, added, deleted, renumbered = counts
    one, other = parse("1.1. Раз два три.").clauses[0], parse("1.1. Раз два пять.").clauses[0]
    moved = parse("1.2. Раз два три.").clauses[0]
    changes = [
        *[Change(one, other)] * changed,
        *[Change(None, one)] * added,
        *[Change(one, None)] * deleted,
        *[Change(one, moved)] * renumbered,
    ]
    assert sentences.summary(Redline(tuple(changes)), language) == says


@pytest.mark.parametrize(
    ("body", "facts"),
    [
        ("Т\n\n1.1. Раз.", {"добавлен"}),
        ("Т\n\n## 1. ОБЩЕЕ", {"добавлен"}),
        ("Т\n\nГлава 1. ОБЩЕЕ", {"добавлена"}),
        ("Т\n\nСтатья 1. Раз.", {"добавлена"}),
        ("Т\n\n1.1. Раз.\n\nПРИЛОЖЕНИЕ 1\n\n1.1. Раз.", {"добавлен", "добавлено"}),
        ("Т\n\nПримечание. Раз.", {"добавлено"}),
        ("Т\n\nБез номера.", {"добавлен"}),
    ],
)
def test_a_russian_fact_agrees_with_the_name_of_the_unit(body, facts):
    changes = redline(parse("Т"), parse(body)).changed
    assert {sentences.describe(change, "inserted", "ru") for change in changes} == facts
    assert {sentences.describe(change, "inserted", "ru", heading=True) for change in changes} == {"добавлено"}
    title = redline(parse("Т"), parse("О")).changed[0]
    found = [sentences.describe(title, fact, "ru").partition(" ")[0] for fact in ("reworded", "moved", "replaced")]
    assert found == ["изменено", "перемещено", "заменено"]


@pytest.mark.parametrize(
    ("language", "says"), [("kk", "Мәтін өзгерген жоқ."), ("ru", "Текст не изменился."), ("en", "Nothing changed.")]
)
def test_the_summary_of_equal_editions_is_that_nothing_changed(language, says):
    same = redline(parse(OLD), parse(OLD))
    assert sentences.summary(same, language) == says
    assert sentences.plain_text(same, language) == says + "\n"


@pytest.mark.parametrize(
    ("language", "says"),
    [
        (
            "ru",
            (
                "Изменено: 1 раздел, 1 пункт, 1 подпункт; изложено в новой редакции: 1 пункт; добавлено: 1 приложение;"
                " изменено название; изменён текст вне пунктов."
            ),
        ),
        (
            "kk",
            (
                "Өзгертілді: 1 бөлім, 1 тармақ, 1 тармақша; жаңа редакцияда жазылды: 1 тармақ; қосылды: 1 қосымша;"
                " атауы өзгерді; тармақтардан тыс мәтін өзгерді."
            ),
        ),
        (
            "en",
            (
                "Changed: 1 section, 1 clause, 1 sub-clause; restated: 1 clause; added: 1 appendix; title changed; text"
                " outside the clauses changed."
            ),
        ),
    ],
)
def test_the_summary_counts_sections_clauses_sub_clauses_and_appendices_apart(language, says):
    old = OLD.replace("1.1.", "Преамбула этого документа.\n\n1.1.").replace("почте.", "почте:\n\n1) сразу или потом;")
    new = old
    for was, now in (
        ("Пользовательское", "Клиентское"),
        ("ОБЩИЕ ПОЛОЖЕНИЯ", "ПОЛОЖЕНИЯ"),
        ("Преамбула этого", "Преамбула нового"),
        ("сразу или потом", "сразу или никогда"),
        ("один год", "два года"),
        ("За утерянную книгу читатель возмещает её стоимость или приносит такую же.", "Нельзя шуметь."),
    ):
        assert was in new
        new = new.replace(was, now)
    found = redline(parse(old), parse(f"{new}\nПРИЛОЖЕНИЕ 1\n"))
    assert sentences.summary(found, language) == says


def test_the_summary_says_if_only_the_formatting_of_an_unnumbered_text_changed():
    old = OLD.replace("1.1.", "Преамбула этого документа.\n\n1.1.")
    found = redline(parse(old), parse(old.replace("этого", "**этого**")))
    assert sentences.summary(found, "ru") == "Изменено только оформление текста вне пунктов."


def test_a_changed_title_is_called_a_title():
    new = OLD.replace("# Пользовательское соглашение", "# Правила читального зала")
    assert sentences.summary(redline(parse(OLD), parse(new)), "ru") == "Изменено название."


@pytest.mark.parametrize(
    ("language", "says", "name"),
    [
        ("kk", "Атаудың үстіндегі деректемелер өзгерді.", "атаудың үстіндегі деректемелер (өзгертілді)"),
        ("ru", "Изменены реквизиты над названием.", "реквизиты над названием (изменены)"),
        ("en", "Details above the title changed.", "details above the title (reworded)"),
    ],
)
def test_another_approval_above_the_title_is_no_change_of_a_text_without_number(language, says, name):
    old = f"УТВЕРЖДЕНО\n\nприказом директора\n\nот 20 ноября 2026 года № 15\n\n{OLD}"
    new = f"БЕКІТІЛГЕН\n\nқұрылтайшының шешімімен\n\n2027 жылғы 1 мамыр\n\n{OLD}"
    found = redline(parse(old), parse(new))
    assert [change.unit.kind for change in found.changed] == ["front"]
    assert sentences.summary(found, language) == says
    assert sentences.plain_text(found, language).partition("\n")[0] == name


def test_an_approval_is_not_paired_with_a_text():
    above, below = (
        f"УТВЕРЖДЕНО приказом № 15\n\n{OLD}",
        OLD.replace("\n\n## 1.", "\n\nУТВЕРЖДЕНО приказом № 15\n\n## 1."),
    )
    changes = redline(parse(above), parse(below)).changed
    assert [(change.unit.kind, sentences.facts(change)) for change in changes] == [
        ("front", ("deleted",)),
        ("text", ("inserted",)),
    ]


def test_plain_text_marks_words_for_mail():
    assert sentences.plain_text(whole(), "ru") == (
        "1.3. (изменён)\n"
        "Билет действует [-один год-] {+два года+} и продлевается по просьбе читателя.\n\n"
        '1.4. (добавлен)\n{+<Новый> пункт & "знак".+}\n\n'
        "2.4. (прежний номер 2.3.)\n"
        "За утерянную книгу читатель возмещает её стоимость или приносит такую же.\n"
    )


SIGNS = st.lists(st.sampled_from(["[", "]", "{", "}", "-", "+", "а", "б", " "]), max_size=20).map("".join)


@given(SIGNS, SIGNS)
@example("[-а-] б", "{+а+} б")
@settings(max_examples=examples(300))
def test_in_plain_text_every_mark_is_a_mark(old, new):
    one, other = (parse(f"1.1. {text}а").clauses for text in (old, new))
    (line,) = sentences.plain_text(Redline((Change(one[0], other[0]),)), "ru", whole=True).splitlines()[1:]
    marked = re.split(r"(\[-.*?-\]|\{\+.*?\+\})", line)
    for side, gone in ((one, "{+"), (other, "[-")):
        kept = [part[2:-2] if place % 2 else part for place, part in enumerate(marked) if not part.startswith(gone)]
        assert re.sub(r"[\s\\]", "", "".join(kept)) == re.sub(r"\s", "", side[0].text)


def test_every_language_has_every_word():
    assert sentences.PHRASES["kk"].keys() == sentences.PHRASES["ru"].keys() == sentences.PHRASES["en"].keys()


def test_a_clause_is_shortened_between_its_changes_and_in_whole_words():
    words = " ".join(f"сөз{number}" for number in range(300))
    runs = (Run("equal", f"{words} "), Run("delete", "бір "), Run("equal", words), Run("insert", "екі"))
    first, gone, between, come = sentences.shortened(runs)
    assert (gone, come) == (runs[1], runs[3])
    for run, start, end in ((first, "… ", "сөз299 "), (between, "сөз0 ", "сөз299")):
        assert run.kind == "equal"
        assert run.text.startswith(start)
        assert run.text.endswith(end)
        assert set(run.text.split()) <= {*words.split(), "…"}
        assert len(run.text) <= 2 * sentences.CONTEXT_CHARACTERS + 3
    assert sentences.shortened(runs[:1])[0].text.startswith("сөз0 ")
    assert sentences.shortened(runs[1:2]) == runs[1:2]
