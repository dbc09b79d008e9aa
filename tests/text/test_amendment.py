"""The instrument of amendment: its data makes the new text of the old one, and its sentences say what the data does."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from agreement.text.clauses import parse
from agreement.text.redline import wording
from agreement.text.redline.amendment import EVERYWHERE, amend
from agreement.text.redline.changes import redline
from agreement.text.redline.operations import Edit, Operation, Path, Phrase, Step, apply
from agreement.text.redline.places import Names
from tests.corpus.clean import ALL
from tests.support.scale import examples
from tests.text.test_clauses import ANY

RU = """# Правила музея

Настоящие правила приняты советом.

## 1. ПОСЕЩЕНИЕ

1.1. Залы открыты каждый день:

1) с девяти до шести часов;

2) без перерыва на обед;

3) кроме праздников.

1.2. Посетитель показывает билет. Билет действует один год.

Билет продлевается по просьбе.

Утерянный билет заменяется.

Примечание. Билет именной.

## 2. ЗАПРЕТЫ

Перечень запретов открыт.

2.1. Еда запрещена.

2.2. Съёмка со вспышкой запрещена.

## 3. ОТВЕТСТВЕННОСТЬ

3.1. Посетитель отвечает за ущерб.

3.2. Музей отвечает за гардероб.

Приложение № 1

1.1. Цена билета – 500 тенге.

1.2. Дети проходят бесплатно.
"""
KK = """# Музей қағидалары

Осы қағидаларды кеңес қабылдады.

## 1. КЕЛУ

1.1. Залдар күн сайын ашық:

1) сағат тоғыздан алтыға дейін;

2) түскі үзіліссіз;

3) мерекелерден басқа.

1.2. Келуші билетін көрсетеді. Билет бір жыл жарамды.

Билет өтініш бойынша ұзартылады.

Жоғалған билет ауыстырылады.

Ескертпе. Билет атаулы.

## 2. ТЫЙЫМДАР

Тыйымдар тізбесі ашық.

2.1. Тамақ ішуге болмайды.

2.2. Жарқылмен түсіруге болмайды.

## 3. ЖАУАПКЕРШІЛІК

3.1. Келуші залал үшін жауап береді.

3.2. Музей киімілгіш үшін жауап береді.

1-қосымша

1.1. Билет бағасы – 500 теңге.

1.2. Балалар тегін кіреді.
"""


def edited(text: str, *edits: tuple[str, str]) -> str:
    for old, new in edits:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def from_json(values: Mapping[str, Any]) -> Operation:
    """The operation whose ``to_json()`` went through JSON."""

    def path(steps: Iterable[Sequence[str]]) -> Path:
        return tuple(Step(*step) for step in steps)

    return Operation(
        kind=values["kind"],
        old=tuple(map(path, values.get("old", ()))),
        new=tuple(map(path, values.get("new", ()))),
        part=path(values.get("part", ())),
        container=path(values.get("container", ())),
        after=path(values["after"]) if "after" in values else None,
        phrases=tuple(Phrase(**one) for one in values.get("phrases", ())),
        quote=tuple(values.get("quote", ())),
        edits=tuple(Edit(**one) for one in values.get("edits", ())),
    )


def operations(old: str, new: str) -> tuple[Operation, ...]:
    """The operations from one text to another, which make it and come through JSON unchanged."""
    found = amend(redline(parse(old), parse(new)))
    assert apply(old, found) == new
    assert tuple(map(from_json, json.loads(json.dumps([one.to_json() for one in found])))) == found
    return found


def says(text: str, *edits: tuple[str, str]) -> list[str]:
    """The lines of the instrument that makes these edits. ``text`` is ``KK`` or ``RU``."""
    return written(text, edited(text, *edits), "kk" if text is KK else "ru")


def written(old: str, new: str, language: str) -> list[str]:
    return [line for point in wording.points(operations(old, new), language) for line in point.lines(";")]


# What a lawyer writes


@pytest.mark.parametrize(
    ("text", "edits", "lines"),
    [
        (
            RU,
            [("Съёмка со вспышкой запрещена", "Посетителям раздают наушники в гардеробе у входа")],
            ["пункт 2.2 изложить в следующей редакции:", "«2.2. Посетителям раздают наушники в гардеробе у входа.»;"],
        ),
        (
            KK,
            [("Жарқылмен түсіруге болмайды", "Кіреберісте келушілерге құлаққап таратылады")],
            ["2.2-тармақ мынадай редакцияда жазылсын:", "«2.2. Кіреберісте келушілерге құлаққап таратылады.»;"],
        ),
        (
            RU,
            [
                (
                    "отвечает за гардероб.",
                    "отвечает за гардероб.\n\n3.3. Споры решает суд.\n\n3.4. Суд решает споры скоро.",
                )
            ],
            [
                "раздел 3 дополнить пунктами 3.3 и 3.4 следующего содержания:",
                "«3.3. Споры решает суд.",
                "3.4. Суд решает споры скоро.»;",
            ],
        ),
        (
            KK,
            [("киімілгіш үшін жауап береді.", "киімілгіш үшін жауап береді.\n\n3.3. Дауды сот шешеді.")],
            ["3-бөлім мынадай мазмұндағы 3.3-тармақпен толықтырылсын:", "«3.3. Дауды сот шешеді.»;"],
        ),
        (RU, [("2.1. Еда запрещена.\n\n2.2. Съёмка со вспышкой запрещена.\n\n", "")], ["пункты 2.1 и 2.2 исключить;"]),
        (
            KK,
            [("2.1. Тамақ ішуге болмайды.\n\n2.2. Жарқылмен түсіруге болмайды.\n\n", "")],
            ["2.1 және 2.2-тармақтар алып тасталсын;"],
        ),
        (
            RU,
            [("2.1. Еда", "2.1. Бег по залам запрещён.\n\n2.2. Еда"), ("2.2. Съёмка", "2.3. Съёмка")],
            [
                "раздел 2 дополнить пунктом 2.1 следующего содержания:",
                "«2.1. Бег по залам запрещён.»;",
                "пункты 2.1 и 2.2 считать пунктами 2.2 и 2.3 соответственно;",
            ],
        ),
        (
            KK,
            [("2.1. Тамақ", "2.1. Залда жүгіруге тыйым салынады.\n\n2.2. Тамақ"), ("2.2. Жарқыл", "2.3. Жарқыл")],
            [
                "2-бөлім мынадай мазмұндағы 2.1-тармақпен толықтырылсын:",
                "«2.1. Залда жүгіруге тыйым салынады.»;",
                "2.1 және 2.2-тармақтар тиісінше 2.2 және 2.3-тармақтар болып саналсын;",
            ],
        ),
        (
            RU,
            [("без перерыва", "до восьми по пятницам;\n\n3) без перерыва"), ("3) кроме", "4) кроме")],
            [
                "пункт 1.1 дополнить подпунктом 2) следующего содержания:",
                "«2) до восьми по пятницам;»;",
                "подпункты 2) и 3) пункта 1.1 считать подпунктами 3) и 4) соответственно;",
            ],
        ),
        (
            KK,
            [("2) түскі үзіліссіз;\n\n3) мерекелерден", "2) мерекелерден")],
            ["1.1-тармақтың 2) тармақшасы алып тасталсын;", "1.1-тармақтың 3) тармақшасы 2) тармақша болып саналсын;"],
        ),
        (
            RU,
            [
                ("2.2. Съёмка со вспышкой запрещена.\n\n", ""),
                ("3.2. Музей", "3.2. Съёмка со вспышкой запрещена.\n\n3.3. Музей"),
            ],
            ["пункт 2.2 перенести в раздел 3 и считать пунктом 3.2;", "пункт 3.2 считать пунктом 3.3;"],
        ),
        (
            KK,
            [
                ("2.2. Жарқылмен түсіруге болмайды.\n\n", ""),
                ("3.2. Музей", "3.2. Жарқылмен түсіруге болмайды.\n\n3.3. Музей"),
            ],
            [
                "2.2-тармақ 3-бөлімге көшірілсін және 3.2-тармақ болып саналсын;",
                "3.2-тармақ 3.3-тармақ болып саналсын;",
            ],
        ),
    ],
)
def test_clauses_are_restated_inserted_deleted_renumbered_and_moved(text, edits, lines):
    assert says(text, *edits) == lines


@pytest.mark.parametrize(
    ("text", "edits", "line"),
    [
        (RU, [("за ущерб", "за вред")], "в пункте 3.1 слово «ущерб» заменить словом «вред»;"),
        (KK, [("залал үшін", "зиян үшін")], "3.1-тармақтағы «залал» деген сөз «зиян» деген сөзбен ауыстырылсын;"),
        (RU, [("за ущерб", "за ущерб и порчу")], "пункт 3.1 после слова «ущерб» дополнить словами «и порчу»;"),
        (
            KK,
            [("залал үшін", "залал мен шығын үшін")],
            "3.1-тармақ «залал» деген сөзден кейін «мен шығын» деген сөздермен толықтырылсын;",
        ),
        (RU, [(" со вспышкой", "")], "в пункте 2.2 слова «со вспышкой» исключить;"),
        (
            KK,
            [("Билет бір жыл", "Бір жыл")],
            "1.2-тармақтың бірінші абзацындағы «Билет бір» деген сөздер «Бір» деген сөзбен ауыстырылсын;",
        ),
        (
            RU,
            [("отвечает за ущерб", "отвечает за вред и порчу, а также за шум")],
            "в пункте 3.1 слово «ущерб» заменить словами «вред и порчу, а также за шум»;",
        ),
        (
            KK,
            [("Келуші билетін көрсетеді", "Келуші билетін кассада көрсетеді")],
            "1.2-тармақтың бірінші абзацы «билетін» деген сөзден кейін «кассада» деген сөзбен толықтырылсын;",
        ),
        (RU, [("500", "700")], "в пункте 1.1 приложения 1 цифры «500» заменить цифрами «700»;"),
        (
            KK,
            [("500", "700")],
            "1-қосымшаның 1.1-тармағындағы «500» деген цифрлар «700» деген цифрлармен ауыстырылсын;",
        ),
        (RU, [("на обед", "на ужин")], "в подпункте 2) пункта 1.1 слово «обед» заменить словом «ужин»;"),
        (
            RU,
            [("каждый день", "круглый год")],
            "в абзаце первом пункта 1.1 слова «каждый день» заменить словами «круглый год»;",
        ),
        (
            KK,
            [("өтініш бойынша", "өтінім бойынша")],
            "1.2-тармақтың екінші абзацындағы «өтініш» деген сөз «өтінім» деген сөзбен ауыстырылсын;",
        ),
        (
            RU,
            [("# Правила музея", "# Правила городского музея")],
            "название после слова «Правила» дополнить словом «городского»;",
        ),
        (
            KK,
            [("кеңес қабылдады", "директор қабылдады")],
            "кіріспедегі «кеңес» деген сөз «директор» деген сөзбен ауыстырылсын;",
        ),
    ],
)
def test_few_words_are_replaced_by_name(text, edits, line):
    (found,) = says(text, *edits)
    assert found.startswith(line)


@pytest.mark.parametrize(
    ("text", "edits", "lines"),
    [
        (
            RU,
            [("## 1. ПОСЕЩЕНИЕ", "## 1. ДОСТУП И БИЛЕТЫ")],
            ["заголовок раздела 1 изложить в следующей редакции:", "«1. ДОСТУП И БИЛЕТЫ»;"],
        ),
        (
            KK,
            [("## 1. КЕЛУ", "## 1. КІРУ ТӘРТІБІ")],
            ["1-бөлімнің тақырыбы мынадай редакцияда жазылсын:", "«1. КІРУ ТӘРТІБІ»;"],
        ),
        (
            RU,
            [("Билет продлевается по просьбе.", "Срок меняет касса за плату.")],
            ["абзац второй пункта 1.2 изложить в следующей редакции:", "«Срок меняет касса за плату.»;"],
        ),
        (
            KK,
            [("Билет өтініш бойынша ұзартылады.", "Мерзімді касса ақыға өзгертеді.")],
            ["1.2-тармақтың екінші абзацы мынадай редакцияда жазылсын:", "«Мерзімді касса ақыға өзгертеді.»;"],
        ),
        (RU, [("Билет продлевается по просьбе.\n\n", "")], ["абзац второй пункта 1.2 исключить;"]),
        (KK, [("Билет өтініш бойынша ұзартылады.\n\n", "")], ["1.2-тармақтың екінші абзацы алып тасталсын;"]),
        (
            RU,
            [("Утерянный билет", "Продление бесплатно.\n\nУтерянный билет")],
            ["пункт 1.2 дополнить абзацем третьим следующего содержания:", "«Продление бесплатно.»;"],
        ),
        (
            KK,
            [("Жоғалған билет", "Ұзарту тегін.\n\nЖоғалған билет")],
            ["1.2-тармақ мынадай мазмұндағы үшінші абзацпен толықтырылсын:", "«Ұзарту тегін.»;"],
        ),
        (
            RU,
            [("Билет именной.", "Передавать документ другому нельзя.")],
            [
                "примечание к пункту 1.2 изложить в следующей редакции:",
                "«Примечание. Передавать документ другому нельзя.»;",
            ],
        ),
        (KK, [("\n\nЕскертпе. Билет атаулы.", "")], ["1.2-тармақтың ескертпесі алып тасталсын;"]),
        (
            RU,
            [("Перечень запретов открыт.", "Здесь написано, чего делать не надо.")],
            ["вводную часть раздела 2 изложить в следующей редакции:", "«Здесь написано, чего делать не надо.»;"],
        ),
        (KK, [("Тыйымдар тізбесі ашық.\n\n", "")], ["2-бөлімнің кіріспе бөлігі алып тасталсын;"]),
        (
            RU,
            [("Залы открыты каждый день:", "Двери музея для всех желающих открываются так:")],
            [
                "абзац первый пункта 1.1 изложить в следующей редакции:",
                "«1.1. Двери музея для всех желающих открываются так:»;",
            ],
        ),
        (
            RU,
            [("ОТВЕТСТВЕННОСТЬ\n", "ОТВЕТСТВЕННОСТЬ\n\nКаждый отвечает за себя.\n")],
            ["раздел 3 дополнить абзацем следующего содержания:", "«Каждый отвечает за себя.»;"],
        ),
        (RU, [(RU[RU.index("Приложение") :], "")], ["приложение 1 исключить;"]),
        (KK, [(KK[KK.index("1-қосымша") :], "")], ["1-қосымша алып тасталсын;"]),
        (
            RU,
            [("проходят бесплатно.\n", "проходят бесплатно.\n\nПриложение № 2\n\n1.1. План здания.\n")],
            ["дополнить приложением 2 следующего содержания:", "«Приложение № 2", "1.1. План здания.»;"],
        ),
        (
            KK,
            [("тегін кіреді.\n", "тегін кіреді.\n\n2-қосымша\n\n1.1. Ғимарат жоспары.\n")],
            ["мынадай мазмұндағы 2-қосымшамен толықтырылсын:", "«2-қосымша", "1.1. Ғимарат жоспары.»;"],
        ),
    ],
)
def test_titles_paragraphs_notes_and_appendices_are_named_as_lawyers_name_them(text, edits, lines):
    assert says(text, *edits) == lines


def test_an_approval_above_the_title_is_no_preamble():
    quote = "«УТВЕРЖДЕНО решением учредителя»;"
    for text, language, sentence in (
        (RU, "ru", "реквизиты над названием изложить в следующей редакции:"),
        (KK, "kk", "атаудың үстіндегі деректемелер мынадай редакцияда жазылсын:"),
    ):
        old, new = (f"УТВЕРЖДЕНО\n{by}\n\n{text}" for by in ("приказом директора", "решением учредителя"))
        assert written(old, new, language) == [sentence, quote]


def test_a_clause_is_restated_without_the_note_below_it():
    old = "Т\n\n1.1. Залы открыты.\n\nПримечание. Кроме праздников.\n"
    new = old.replace("Залы открыты", "Парк работает круглый год без выходных")
    assert written(old, new, "ru")[0] == "абзац первый пункта 1.1 изложить в следующей редакции:"


def test_a_clause_is_deleted_with_its_items():
    text = RU[: RU.index("Приложение")]
    assert written(text, text.replace(text[text.index("1.1.") : text.index("1.2.")], ""), "ru") == [
        "пункт 1.1 исключить;"
    ]


def test_sections_are_deleted_with_their_clauses_after_clauses_of_another_section():
    old = "Т\n\n" + "".join(f"## {n}. Глава {n}\n\n{n}.1. а{n} б{n}.\n\n{n}.2. в{n} г{n}.\n\n" for n in (1, 2, 3))
    new = old[: old.index("1.2.")]
    assert written(old, new, "ru") == ["пункт 1.2 исключить;", "разделы 2 и 3 исключить;"]
    assert written(old, new, "kk") == ["1.2-тармақ алып тасталсын;", "2 және 3-бөлімдер алып тасталсын;"]


def test_a_section_is_deleted_inserted_or_restated_with_all_that_it_contains():
    section = RU[RU.index("## 2.") : RU.index("## 3.")]
    gone = edited(RU, (section, ""), ("## 3.", "## 2."), ("3.1.", "2.1."), ("3.2.", "2.2."))
    renumbered = ["раздел 3 считать разделом 2;", "пункты 3.1 и 3.2 считать пунктами 2.1 и 2.2 соответственно;"]
    assert written(RU, gone, "ru") == ["раздел 2 исключить;", *renumbered]
    assert written(gone, RU, "ru")[:2] == ["дополнить разделом 2 следующего содержания:", "«2. ЗАПРЕТЫ"]
    assert written(gone, RU, "ru")[4] == "2.2. Съёмка со вспышкой запрещена.»;"
    other = "## 2. ЭКСКУРСИИ\n\n2.1. Группу ведёт сотрудник.\n\n2.2. Заявку подают заранее:\n\n1) лично.\n\n"
    assert written(RU, edited(RU, (section, other)), "ru") == [
        "раздел 2 изложить в следующей редакции:",
        "«2. ЭКСКУРСИИ",
        "2.1. Группу ведёт сотрудник.",
        "2.2. Заявку подают заранее:",
        "1) лично.»;",
    ]


APPENDICES = """Т

1.1. Залы открыты.

Приложение № 1

1.1. Цена билета пять тенге.

1.2. Дети платят половину.

Приложение № 2

1.1. План здания висит у входа.

1.2. Выход показан стрелкой.
"""


def test_an_appendix_put_before_others_renumbers_them():
    new = APPENDICES.replace("№ 2", "№ 3").replace("№ 1\n", "№ 1\n\n1.1. Услуги перечислены здесь.\n\nПриложение № 2\n")
    assert written(APPENDICES, new, "ru") == [
        "дополнить приложением 1 следующего содержания:",
        "«Приложение № 1",
        "1.1. Услуги перечислены здесь.»;",
        "приложения 1 и 2 считать приложениями 2 и 3 соответственно;",
    ]
    assert written(APPENDICES, new, "kk")[3] == "1 және 2-қосымшалар тиісінше 2 және 3-қосымшалар болып саналсын;"
    assert written(new, APPENDICES, "ru") == [
        "приложение 1 исключить;",
        "приложения 2 и 3 считать приложениями 1 и 2 соответственно;",
    ]


def test_the_title_that_is_inserted_has_no_ending_of_possession():
    old = "1.1. Залы открыты.\n\n1.2. Сад закрыт.\n"
    assert written(old, f"# Қағидалар\n\n{old}", "kk") == ["мынадай мазмұндағы атаумен толықтырылсын:", "«Қағидалар»;"]


def test_a_replacement_that_spares_one_occurrence_names_its_clauses():
    text = "Т\n\n" + "".join(
        f"1.{n}. {word} зал открыт.\n\n" for n, word in enumerate(("Общий", "Наш", "Этот", "Сад и"), 1)
    )
    new = text.replace(" зал ", " холл ", 3)
    assert written(text, new, "ru") == ["в пунктах 1.1–1.3 слово «зал» заменить словом «холл»;"]
    assert written(text, new, "kk") == ["1.1–1.3-тармақтардағы «зал» деген сөз «холл» деген сөзбен ауыстырылсын;"]
    (operation,) = operations(text, new)
    assert len(operation.edits) == 3
    new = text.replace("зал открыт", "зал ныне открыт", 2)
    assert written(text, new, "ru") == ["пункты 1.1 и 1.2 после слова «зал» дополнить словом «ныне»;"]


def test_the_same_words_in_lines_of_one_clause_or_in_its_items_are_one_point():
    old = "Т\n\n1.1. Зал а открыт.\n\nЗал б открыт.\n\nСад зелен.\n\nЗал в закрыт.\n\n"
    old += "1.2. Нет:\n\n1) стар зал;\n\n2) мал зал.\n"
    new = (
        old.replace("Зал а", "Дом а")
        .replace("Зал в", "Дом в")
        .replace("стар зал", "стар дом")
        .replace("мал зал", "мал дом")
    )
    assert written(old, new, "ru") == [
        "в абзацах первом и четвёртом пункта 1.1 слово «Зал» заменить словом «Дом»;",
        "в подпунктах 1) и 2) пункта 1.2 слово «зал» заменить словом «дом»;",
    ]
    assert written(old, new, "kk") == [
        "1.1-тармақтың бірінші және төртінші абзацтарындағы «Зал» деген сөз «Дом» деген сөзбен ауыстырылсын;",
        "1.2-тармақтың 1) және 2) тармақшаларындағы «зал» деген сөз «дом» деген сөзбен ауыстырылсын;",
    ]


def test_a_point_whose_numbers_begin_anew_is_named_with_its_article():
    old = (
        "Т\n\n" + "".join(f"Статья {n}. Глава{n}\n\n1. Раз {n}.\n\n2. Два {n}.\n\n" for n in (1, 2)) + "3. Три зала.\n"
    )
    new = old.replace("Три зала", "Три сада")
    assert written(old, new, "ru") == ["в пункте 3 статьи 2 слово «зала» заменить словом «сада»;"]
    assert written(old, new, "kk") == ["2-баптың 3-тармағындағы «зала» деген сөз «сада» деген сөзбен ауыстырылсын;"]


def test_words_are_quoted_with_both_of_their_quotation_marks():
    old = "Т\n\n1.1. Музей называется «Старый дом», его залы открыты для всех каждый день.\n"
    new = old.replace("«Старый дом», его залы", "«Старый дом» и «Сад», их залы")
    assert written(old, new, "ru") == [
        "в пункте 1.1 слова «„Старый дом“, его» заменить словами «„Старый дом“ и „Сад“, их»;"
    ]


def test_a_section_put_before_others_renumbers_them_in_two_points():
    numbers = {"## 1.": "## 2.", "## 2.": "## 3.", "## 3.": "## 4.", "1.1. З": "2.1. З", "1.2. П": "2.2. П"}
    numbers |= {"2.1. Е": "3.1. Е", "2.2. С": "3.2. С", "3.1. П": "4.1. П", "3.2. М": "4.2. М"}
    new = re.sub("|".join(map(re.escape, numbers)), lambda match: numbers[match[0]], RU)
    new = edited(new, ("## 2.", "## 1. ОБЩЕЕ\n\n1.1. Правила обязательны.\n\n## 2."))
    assert written(RU, new, "ru") == [
        "дополнить разделом 1 следующего содержания:",
        "«1. ОБЩЕЕ",
        "1.1. Правила обязательны.»;",
        "разделы 1–3 считать разделами 2–4 соответственно;",
        "пункты 1.1, 1.2, 2.1, 2.2, 3.1 и 3.2 считать пунктами 2.1, 2.2, 3.1, 3.2, 4.1 и 4.2 соответственно;",
    ]
    assert written(RU, new, "kk")[3:] == [
        "1–3-бөлімдер тиісінше 2–4-бөлімдер болып саналсын;",
        (
            "1.1, 1.2, 2.1, 2.2, 3.1 және 3.2-тармақтар тиісінше"
            " 2.1, 2.2, 3.1, 3.2, 4.1 және 4.2-тармақтар болып саналсын;"
        ),
    ]


def test_one_replacement_in_the_whole_text_comes_first():
    same = "Т\n\n1.1. Общий зал открыт.\n\n1.2. Наш зал закрыт.\n\n1.3. Этот зал мал.\n\n1.4. Сад велик и стар.\n"
    changed = same.replace(" зал ", " холл ").replace("стар", "нов")
    assert same.count(" зал ") == EVERYWHERE
    assert written(same, changed, "ru") == [
        "по всему тексту слово «зал» заменить словом «холл»;",
        "в пункте 1.4 слово «стар» заменить словом «нов»;",
    ]
    assert written(same, changed, "kk")[0] == "бүкіл мәтін бойынша «зал» деген сөз «холл» деген сөзбен ауыстырылсын;"


def test_lines_of_a_clause_that_lie_apart_are_reworded_one_by_one():
    new = edited(RU, ("один год", "два года"), ("Утерянный билет заменяется.", "Копия билета выдаётся за плату."))
    assert written(RU, new, "ru") == [
        "в абзаце первом пункта 1.2 слова «один год» заменить словами «два года»;",
        "абзац третий пункта 1.2 изложить в следующей редакции:",
        "«Копия билета выдаётся за плату.»;",
    ]
    first, second = operations(RU, new)
    assert (len(first.edits), second.edits) == (2, ())


def test_words_in_all_lines_of_a_clause_do_not_restate_it():
    old = "Т\n\n1.1. Фонд отвечает за пятнадцать дней.\n\nЕсли дней мало, Фонд сообщает об этом.\n\n"
    old += "1.2. Фонд ведёт журнал.\n"
    assert written(old, old.replace("Фонд", "Оператор"), "ru") == [
        "по всему тексту слово «Фонд» заменить словом «Оператор»;"
    ]
    assert written(old, old.replace("Фонд", "Оператор", 2), "kk") == [
        "1.1-тармақтың бірінші және екінші абзацтарындағы «Фонд» деген сөз «Оператор» деген сөзбен ауыстырылсын;"
    ]
    new = (
        old.replace("Фонд отвечает", "Он ответит")
        .replace("дней мало, Фонд", "часов мало, он")
        .replace("об этом", "о том")
    )
    assert written(old, new, "ru")[0] == "пункт 1.1 изложить в следующей редакции:"


def test_a_word_that_is_replaced_wherever_it_occurs_in_a_line_is_given_once():
    old = "Т\n\n1.1. Зал открыт, если зал убран, и зал свободен.\n"
    assert written(old, old.replace("зал ", "холл "), "ru") == ["в пункте 1.1 слово «зал» заменить словом «холл»;"]


def test_a_phrase_that_occurs_twice_is_given_with_its_neighbours():
    old = "Т\n\n1.1. Залы и сады открыты, а дворы и сады закрыты на время ремонта.\n"
    new = old.replace("дворы и сады", "дворы и парки")
    assert written(old, new, "ru") == ["в пункте 1.1 слова «сады закрыты» заменить словами «парки закрыты»;"]


def test_a_clause_that_is_renumbered_and_reworded_has_one_point():
    new = edited(RU, ("2.1. Еда запрещена.\n\n", ""), ("2.2. Съёмка со вспышкой", "2.1. Любая съёмка со вспышкой"))
    assert written(RU, new, "ru") == [
        "пункт 2.1 исключить;",
        "пункт 2.2 считать пунктом 2.1, в нём слово «Съёмка» заменить словами «Любая съёмка»;",
    ]
    assert written(RU, new, "kk")[1] == (
        "2.2-тармақ 2.1-тармақ болып саналсын, онда «Съёмка» деген сөз «Любая съёмка» деген сөздермен ауыстырылсын;"
    )


def test_quotation_marks_inside_a_quotation_are_the_inner_ones():
    old = "Т\n\n1.1. Портал называется «Ашық».\n\n1.2. Сервис.\n"
    new = "Т\n\n1.1. Портал называется «Жаңа».\n\n1.2. Сервис.\n\n1.3. Слово «бот» означает программу.\n"
    assert written(old, new, "ru") == [
        "в пункте 1.1 слово «Ашық» заменить словом «Жаңа»;",
        "дополнить пунктом 1.3 следующего содержания:",
        "«1.3. Слово „бот“ означает программу.»;",
    ]


def test_a_line_where_words_are_replaced_and_added_is_named_once():
    (line,) = says(RU, ("Посетитель отвечает за ущерб", "Посетитель сам отвечает за вред"))
    assert line == "в пункте 3.1 после слова «Посетитель» дополнить словом «сам», слово «ущерб» заменить словом «вред»;"
    (line,) = says(KK, ("Келуші залал үшін жауап", "Келуші өзі зиян үшін жауап"))
    assert line == "3.1-тармақтағы «залал» деген сөз «өзі зиян» деген сөздермен ауыстырылсын;"
    (line,) = says(KK, ("Келуші залал үшін жауап", "Әр келуші залал үшін өзі жауап"))
    assert line == (
        "3.1-тармақта «Келуші» деген сөз «Әр келуші» деген сөздермен ауыстырылсын,"
        " «үшін» деген сөзден кейін «өзі» деген сөзбен толықтырылсын;"
    )


def test_words_that_are_deleted_from_one_line_are_listed():
    old = "Т\n\n1.1. Дом и сад старого города открыты каждый день всем гостям, кроме детей малых лет.\n"
    new = old.replace("старого ", "").replace(" малых лет", "")
    assert written(old, new, "ru") == ["в пункте 1.1 слова «старого» и «малых лет» исключить;"]
    assert written(old, new, "kk") == ["1.1-тармақтағы «старого» және «малых лет» деген сөздер алып тасталсын;"]


def test_a_roman_number_has_no_hyphen_in_kazakh():
    old = "Т\n\nI тарау. КЕЛУ\n\n1. Залдар ашық.\n\nII тарау. БИЛЕТ\n\n2. Билет керек.\n"
    assert written(old, old.replace("БИЛЕТ", "КІРУ АҚЫСЫ"), "kk") == [
        "II тараудың тақырыбы мынадай редакцияда жазылсын:",
        "«II тарау. КІРУ АҚЫСЫ»;",
    ]


def test_lines_are_counted_in_words_up_to_the_twentieth():
    lines = [f"Зал {word} открыт." for word in "а б в г д е ж з и к л м н о п р с т у ф х".split()]
    old = "Т\n\n1.1. " + "\n\n".join(lines) + "\n"
    for letter, russian, kazakh in (
        ("м", "абзаце двенадцатом", "он екінші абзацындағы"),
        ("ф", "абзаце двадцатом", "жиырмасыншы абзацындағы"),
        ("х", "абзаце 21", "21-абзацындағы"),
    ):
        new = old.replace(f"Зал {letter} ", f"Сад {letter} ")
        assert written(old, new, "ru") == [f"в {russian} пункта 1.1 слово «Зал» заменить словом «Сад»;"]
        assert written(old, new, "kk") == [f"1.1-тармақтың {kazakh} «Зал» деген сөз «Сад» деген сөзбен ауыстырылсын;"]


def test_the_dates_of_an_instrument_are_those_of_an_act():
    at = datetime(2026, 3, 1, 4, tzinfo=UTC)
    assert wording.edition_name(1, at, "ru", "Asia/Almaty") == "редакция №\u00a01 от 1\u00a0марта 2026\u00a0года"
    assert wording.edition_name(1, at, "kk", "Asia/Almaty") == "2026\u00a0жылғы 1\u00a0наурыздағы 1-редакция"
    assert wording.effect(2, at, "ru", "Asia/Almaty").startswith(
        "Редакция №\u00a02 вступает в силу 1\u00a0марта 2026\u00a0года в\u00a009:00 ("
    )
    assert wording.effect(2, at, "kk", "Asia/Almaty").startswith(
        "2-редакция 2026\u00a0жылғы 1\u00a0наурыздан бастап (сағат\u00a009:00, "
    )


def test_formatting_gives_no_point_and_is_in_the_data():
    (operation,) = operations(RU, edited(RU, ("3.1. Посетитель", "3.1.  **Посетитель**")))
    assert operation.kind == "formatting"
    assert wording.points([operation], "ru") == ()
    assert operations(RU, RU) == ()


@pytest.mark.parametrize(
    ("kinds", "kazakh", "russian"),
    [
        (["reword"], "өзгеріс енгізу туралы", "О внесении изменения в документ"),
        (["reword", "delete"], "өзгерістер енгізу туралы", "О внесении изменений в документ"),
        (["insert"], "толықтыру енгізу туралы", "О внесении дополнения в документ"),
        (["insert", "insert", "formatting"], "толықтырулар енгізу туралы", "О внесении дополнений в документ"),
        (["words", "insert"], "өзгеріс пен толықтыру енгізу туралы", "О внесении изменения и дополнения в документ"),
        (
            ["words", "delete", "insert", "insert"],
            "өзгерістер мен толықтырулар енгізу туралы",
            "О внесении изменений и дополнений в документ",
        ),
    ],
)
def test_the_title_says_whether_there_are_changes_additions_or_both(kinds, kazakh, russian):
    made = [Operation(kind=kind) for kind in kinds]
    assert wording.title(made, "kk", "Шарт") == f"«Шарт» құжатына {kazakh}"
    assert wording.title(made, "ru", "Оферта") == f"{russian} «Оферта»"


@pytest.mark.parametrize(
    ("kinds", "kazakh", "russian"),
    [
        (["reword"], "мынадай өзгеріс", "следующее изменение"),
        (["insert"], "мынадай толықтыру", "следующее дополнение"),
        (["move", "insert"], "мынадай өзгеріс пен толықтыру", "следующие изменение и дополнение"),
        (["move", "words", "insert"], "мынадай өзгерістер мен толықтыру", "следующие изменения и дополнение"),
    ],
)
def test_the_sentence_before_the_points_counts_them_too(kinds, kazakh, russian):
    made = [Operation(kind=kind) for kind in kinds]
    assert wording.enacting(made, "kk", "Шарт", "жоба") == f"«Шарт» құжатына (жоба) {kazakh} енгізілсін:"
    assert wording.enacting(made, "ru", "Оферта", "проект") == f"Внести в документ «Оферта» (проект) {russian}:"


#: Genitive, dative, locative, ablative, instrumental; plural; with the ending of the third person: nominative,
#: genitive, locative.
DECLENSIONS = """
тармақтың тармаққа тармақта тармақтан тармақпен тармақтар тармағы тармағының тармағында
бөлімнің бөлімге бөлімде бөлімнен бөліммен бөлімдер бөлімі бөлімінің бөлімінде
тармақшаның тармақшаға тармақшада тармақшадан тармақшамен тармақшалар тармақшасы тармақшасының тармақшасында
қосымшаның қосымшаға қосымшада қосымшадан қосымшамен қосымшалар қосымшасы қосымшасының қосымшасында
тараудың тарауға тарауда тараудан тараумен тараулар тарауы тарауының тарауында
баптың бапқа бапта баптан баппен баптар бабы бабының бабында
абзацтың абзацқа абзацта абзацтан абзацпен абзацтар абзацы абзацының абзацында
ескертпенің ескертпеге ескертпеде ескертпеден ескертпемен ескертпелер ескертпесі ескертпесінің ескертпесінде
тақырыптың тақырыпқа тақырыпта тақырыптан тақырыппен тақырыптар тақырыбы тақырыбының тақырыбында
параграфтың параграфқа параграфта параграфтан параграфпен параграфтар параграфы параграфының параграфында
мәтіннің мәтінге мәтінде мәтіннен мәтінмен мәтіндер мәтіні мәтінінің мәтінінде
сөздің сөзге сөзде сөзден сөзбен сөздер сөзі сөзінің сөзінде
цифрдың цифрға цифрда цифрдан цифрмен цифрлар цифры цифрының цифрында
атаудың атауға атауда атаудан атаумен атаулар атауы атауының атауында
"""


@pytest.mark.parametrize("forms", DECLENSIONS.strip().splitlines())
def test_kazakh_nouns_have_the_right_endings(forms):
    noun = re.sub(r"[тнд][ыі]ң$", "", forms.split()[0])
    cases = ("genitive", "dative", "locative", "ablative", "instrumental")
    found = [wording._kazakh(noun, case) for case in cases]
    found.append(wording._kazakh(noun, "accusative", plural=True))
    found += [wording._kazakh(noun, case, owned=True) for case in ("accusative", "genitive", "locative")]
    assert found == forms.split()


# The data makes the new text, character for character

LINES = st.sampled_from(
    """# Т@## 1. АА@## 2. ББ@## Тақырып@1.1. а б в@1.1. а б г д@1.2. ғ ғ@1.2.1. ә@1.3 д@2.1. а б в г@1) к@2) л м@а) н
@б) н@Примечание. о@Ескертпе. п@р@р с т@- у@| а | б |\n|--|--|\n| в | г |@Приложение № 1@2-ҚОСЫМША@Приложение@**ф**@ш
@&copy; <b>@\t@   ц@1.1. **а** б@1.1.  а б в@Глава 1. Ш@1-бап. Щ@\u200bю@1.1@я\\\r@=====@```@[э](a.kz)""".split("@")
)
TEXTS = st.one_of(
    ANY,
    st.lists(st.tuples(LINES, st.sampled_from(["\n", "\n\n", "\r\n", ""])), max_size=16).map(
        lambda pairs: "".join(line + end for line, end in pairs)
    ),
)


@given(TEXTS, TEXTS)
@example(RU, KK)
@settings(max_examples=examples(2000))
def test_the_operations_make_the_new_text_of_the_old_one(old, new):
    found = operations(old, new)
    for language in ("kk", "ru"):
        points = wording.points(found, language)
        assert len(points) == sum(one.kind != "formatting" for one in found)
        assert all(point.sentence == point.sentence.strip() and "  " not in point.sentence for point in points)


HEADS = ("Приложение № {}", "{}-қосымша", "Приложение № {} к правилам", "Приложение", "Приложение № {}. Цены")
APPENDIX = st.tuples(
    st.sampled_from(HEADS),
    st.integers(1, 3),
    st.lists(st.sampled_from(["а б в", "г д е", "ж з и", "к л м"]), max_size=4),
)


def with_appendices(appendices: list[tuple[str, int, list[str]]]) -> str:
    text = "Т\n\n1.1. н о п\n\n1.2. р с т\n"
    for head, number, clauses in appendices:
        text += "\n".join(["", head.format(number), *(f"\n1.{n}. {words}" for n, words in enumerate(clauses, 1)), ""])
    return text


@given(st.lists(APPENDIX, max_size=4), st.lists(APPENDIX, max_size=4))
@settings(max_examples=examples(500))
def test_appendices_are_amended_whatever_their_numbers_and_contents(old, new):
    operations(with_appendices(old), with_appendices(new))


@st.composite
def amended(draw: st.DrawFn) -> tuple[str, str]:
    """A clean agreement, and the text that some edits of its blocks make of it: other words, no block, a new or a moved
    one. The numbers are not put right."""
    text = draw(st.sampled_from(ALL)).texts()[draw(st.sampled_from(["kk", "ru"]))]
    blocks = text.split("\n\n")
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, len(blocks) - 1))
        match draw(st.sampled_from(["words", "delete", "insert", "move", "copy"])):
            case "words":
                words = blocks[place].split(" ")
                other = draw(st.sampled_from(["сөз", "слово два", "«x»", "5", ""]))
                words[draw(st.integers(0, len(words) - 1))] = other
                blocks[place] = " ".join(words)
            case "delete" if len(blocks) > 1:
                del blocks[place]
            case "insert":
                other = draw(st.sampled_from(["Жаңа мәтін.", "9.9. Новый пункт.", "## Глава", "3) жаңа;"]))
                blocks.insert(place, other)
            case "move":
                blocks.insert(draw(st.integers(0, len(blocks) - 1)), blocks.pop(place))
            case "copy":
                blocks.insert(place, blocks[place])
    return text, "\n\n".join(blocks)


def plain(text: str) -> str:
    return " ".join(re.findall(r"[^\W_]+", text))


@given(amended())
@settings(max_examples=examples(300))
def test_an_amendment_says_every_word_that_it_changes(pair):
    old, new = pair
    found = operations(old, new)
    # What no sentence says changes no letter and no digit.
    formatted = apply(old, [one for one in found if one.kind == "formatting"])
    assert plain(formatted).replace(" ", "") == plain(old).replace(" ", "")
    said = [line for one in found for line in one.quote] + [phrase.new for one in found for phrase in one.phrases]
    said += [step.number for one in found for path in one.new for step in path]
    assert set(plain(new).split()) - set(plain(old).split()) <= set(plain(" ".join(said)).split())
    for one in found:
        inserted = plain(" ".join(edit.inserted for edit in one.edits))
        if one.kind == "insert" and not one.part:  # What a sentence inserts is in its quotation, whole.
            assert sorted(plain(" ".join(one.quote)).split()) == sorted(inserted.split())
        if one.kind == "reword" and not one.part:  # The new wording of a unit is the words that it now has.
            assert set(inserted.split()) <= set(plain(" ".join(one.quote)).split())
        if one.kind == "delete" and not one.part:
            assert not inserted


def read_literally(old: str, found: tuple[Operation, ...]) -> tuple[dict[Path, str], set[str]]:
    """What someone makes of the old text who has only the sentences: the words of each unit by its new name, and the
    lines that the sentences add as new units."""
    units = parse(old).units
    names = Names(units)
    paths = {unit.start: names.path(unit) for unit in units}
    assume(len(set(paths.values())) == len(paths))  # A sentence can't tell two units of one name apart.
    texts = {paths[unit.start]: unit.text.split("\n") for unit in units}
    inside = {
        path: [paths[unit.start] for unit in units if path in map(names.path, names.parents(unit))] for path in texts
    }
    numbers: dict[Path, Path] = {}
    added: set[str] = set()
    for one in found:
        places = [int(step.number) - 1 for step in one.part if step.noun == "line"]
        if one.new and one.kind != "insert":
            for path, now in zip(one.old, one.new, strict=True):
                within = [inner for inner in texts if inner[-len(path) :] == path]  # Items stay in their clause.
                numbers |= {
                    inner: (*inner[: -len(path)], *now) for inner in within if inner == path or inner not in numbers
                }
        if one.kind == "insert" and not one.part:
            added |= set(one.quote)
        elif one.kind == "insert":  # The numbers of new lines are those of the new text.
            texts[one.container][places[0] : places[0]] = [*one.quote]
        elif one.kind == "words":
            for path in one.old or texts:
                for place in places or range(len(texts[path])):
                    for phrase in one.phrases:
                        put = f"{phrase.old} {phrase.new}" if phrase.after else phrase.new
                        texts[path][place] = texts[path][place].replace(phrase.old, put)
        elif one.kind == "reword" and places:
            texts[one.old[0]][places[0] : places[-1] + 1] = [*one.quote] + ["\0"] * (len(places) - len(one.quote))
        elif one.kind == "reword" and not one.part and inside[one.old[0]]:
            added |= set(one.quote)
            for path in (*inside[one.old[0]], one.old[0]):
                texts.pop(path, None)
        elif one.kind == "reword":
            texts[one.old[0]] = [*one.quote]
            added |= set(one.quote) if not one.old[0][0].number else set()  # It may get a number.
        elif one.kind == "delete" and places:
            for place in places:
                texts[one.old[0]][place] = "\0"
        elif one.kind == "delete":
            for path in one.old:
                for inner in (*([] if one.part else inside[path]), path):
                    texts.pop(inner, None)
    for path in (path for one in found if one.after is not None for path in one.old):
        # At its new place it may be in another unit.
        added |= {f"{path[0].number.rpartition(' ')[2]} {texts[path][0]}", *texts[path]}
    return {numbers.get(path, path): " ".join(lines) for path, lines in texts.items()}, added


@given(amended())
@settings(max_examples=examples(300), suppress_health_check=[HealthCheck.filter_too_much])
def test_the_sentences_alone_give_the_words_of_each_clause(pair):
    old, new = pair
    found = operations(old, new)
    # Whether a number in an appendix belongs to it depends on the numbers before it, which the edits change.
    assume(not any(unit.number.startswith("a") for unit in (*parse(old).units, *parse(new).units)))
    lines_apart = [one for one in found if one.part and one.part[0].noun == "line"]
    assume(len({(*one.old, one.container)[0] for one in lines_apart}) == len(lines_apart))
    made, added = read_literally(old, found)
    units = [unit for unit in parse(new).units if unit.number]
    names = Names(parse(new).units)
    assume(len(set(map(names.path, units))) == len(units))
    for unit in units:
        words = plain(f"{unit.label} {unit.text}".replace("\0", ""))
        literal = plain(made.get(names.path(unit), ""))
        quoted = all(plain(line) in map(plain, added) for line in unit.text.split("\n")[1:])
        quoted = quoted and plain(f"{unit.label} {unit.text}".split("\n")[0]) in map(plain, added)
        assert literal in {words, plain(unit.text)} or quoted, (names.path(unit), literal)


def test_operations_of_another_text_are_refused():
    found = operations(RU, edited(RU, ("Еда запрещена", "Еда разрешена")))
    with pytest.raises(ValueError, match="it is not the text to be amended"):
        apply(RU.replace("Еда", "Пища"), found)


@pytest.mark.parametrize(
    "make",
    [
        lambda count: ("".join(f"1.{n}. а{n} б.\n\n" for n in range(1, count)), ""),
        lambda count: ("", "".join(f"1.{n % 99 + 1}. а{n} б.\n\n" for n in range(1, count))),
        lambda count: ("1.1. а б\n\n" * count, "1.1. в\n\n" * count),
        lambda count: (
            "".join(f"{n % 9 + 1}) а{n} б.\n\n" for n in range(count)),
            "".join(f"{n % 9 + 1}) а{count - n} б.\n\n" for n in range(count)),
        ),
        lambda count: ("Т\n\n" + "а б. " * count, "Т\n\n" + "а в. " * count),
        lambda count: tuple(
            "".join(f"1.{n}. Слово{n // 3} {word}{n // 3} есть в этом тексте.\n\n" for n in range(1, count))
            for word in ("старое", "новое")
        ),
        lambda count: ("Т\n\n" + "а\n\n" * count, "Т\n\n" + "а\n\nб\n\n" * count),
    ],
    ids=["deleted", "inserted", "repeated", "reversed", "one", "words", "lines"],
)
def test_the_time_grows_with_the_text(make):
    taken = []
    for count in (150, 600):
        old, new = make(count)
        found = redline(parse(old), parse(new))
        for change in found.changed:
            assert change.runs is not None
        begin = time.process_time()
        for language in ("kk", "ru"):
            wording.points(amend(found), language)
        taken.append(time.process_time() - begin)
    assert taken[1] < 12 * max(taken[0], 0.02), taken


def test_a_heading_that_is_counted_has_no_number_in_an_instrument():
    old = "Т\n\n## Общее\n\n1. Раз сказано.\n\n## Введение\n\nСлова.\n\n## Права\n\n1. Портал хранит имя.\n"
    new = old.replace("## Введение\n\nСлова.\n\n", "").replace("хранит имя", "хранит имя и адрес")
    assert written(old, new, "ru") == [
        "заголовок «Введение» исключить;",
        "пункт 1 заголовка «Права» после слова «имя» дополнить словами «и адрес»;",
    ]
