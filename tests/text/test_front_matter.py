"""The title of an agreement and the approval above it."""

from __future__ import annotations

import pytest

from agreement.text import clauses
from agreement.text.front_matter import MAX_APPROVAL, front_matter
from agreement.text.lint.rules import lint

TITLES = {"kk": "Қызмет көрсету шарттары", "ru": "Условия оказания услуг"}


@pytest.mark.parametrize(
    ("above", "approval"),
    [
        (
            "УТВЕРЖДЕНО\n\nприказом директора\n\nТОО «Самал»\n\nот 3 мая 2026 г. № 7",
            "Утверждено приказом директора ТОО «Самал» от 3 мая 2026 г. № 7",
        ),
        ("Утверждено решением правления\nот 03.05.2026 № 7", "Утверждено решением правления от 03.05.2026 № 7"),
        (
            "«Утверждаю»\n\nГенеральный директор\n\nТОО «Самал»\n\n\\_\\_\\_\\_ А. Б. Иванов\n\n«3» мая 2026 г.",
            "«Утверждаю» Генеральный директор ТОО «Самал» ____ А. Б. Иванов «3» мая 2026 г.",
        ),
        (
            "БЕКІТІЛГЕН\n\n«Самал» ЖШС директорының\n\n2026 жылғы 3 мамырдағы\n\n№ 7 бұйрығымен",
            "«Самал» ЖШС директорының 2026 жылғы 3 мамырдағы № 7 бұйрығымен бекітілген",
        ),
        (
            "БЕКІТІЛГЕН\n\nкітапхана директорының\n\n2026 жылғы 27 қарашадағы № 18 бұйрығымен",
            "Кітапхана директорының 2026 жылғы 27 қарашадағы № 18 бұйрығымен бекітілген",
        ),
        ("«БЕКІТІЛДІ»\n\nбасқарманың\n\n№ 7 шешімімен.", "Басқарманың № 7 шешімімен бекітілді"),
        ("Бекітілді: басқарманың бұйрығымен № 7", "Басқарманың бұйрығымен № 7 бекітілді"),
        ("БЕКІТЕМІН\n\nдиректор А. Б. Иванов", "Бекітемін директор А. Б. Иванов"),
        ("БЕКІТІЛГЕН\n\nдиректор А. Б. Иванов", "Бекітілген директор А. Б. Иванов"),
        (
            "«Самал» ЖШС директорының\n\n2026 жылғы 3 мамырдағы\n\n№ 7 бұйрығымен бекітілген",
            "«Самал» ЖШС директорының 2026 жылғы 3 мамырдағы № 7 бұйрығымен бекітілген",
        ),
        (
            "Приложение № 1\n\nк приказу директора ТОО «Самал»\n\nот 3 мая 2026 года № 7",
            "Приложение № 1 к приказу директора ТОО «Самал» от 3 мая 2026 года № 7",
        ),
        (
            "«Самал» ЖШС директорының\n2026 жылғы 3 мамырдағы\n№ 7 бұйрығына\n1-қосымша",
            "«Самал» ЖШС директорының 2026 жылғы 3 мамырдағы № 7 бұйрығына 1-қосымша",
        ),
        (
            "|  | **УТВЕРЖДЕНО**<br>приказом № 7<br>от 3 мая 2026 г. |\n| --- | --- |",
            "Утверждено приказом № 7 от 3 мая 2026 г.",
        ),
        (
            "УТВЕРЖДЕНО\n\nприказом Председателя\n\nФонда Народной\n\nБиблиотеки – Архива\n\nот 3 мая 2026 года № 7",
            "Утверждено приказом Председателя Фонда Народной Библиотеки – Архива от 3 мая 2026 года № 7",
        ),
        (
            "Халық кітапханасының\n\nАрхив – қоры\n\nБас директорының\n\n2026 жылғы\n\n№ 7 бұйрығымен\n\nБЕКІТІЛГЕН",
            "Халық кітапханасының Архив – қоры Бас директорының 2026 жылғы № 7 бұйрығымен бекітілген",
        ),
        ("УТВЕРЖДЕНО", ""),
    ],
)
def test_an_approval_above_the_title_is_not_the_title(above, approval):
    for code, title in TITLES.items():
        found = front_matter(f"{above}\n\n# {title}\n\n1. ЖАЛПЫ {code}\n\n1.1. Мәтін.\n")
        assert (found.title, found.approval) == (title, approval)


ORDERS = {
    "kk": "Директордың 2026 жылғы 20 қарашадағы № 15 бұйрығымен бекітілген",
    "ru": "Утверждено приказом директора от 20 ноября 2026 года № 15",
}


@pytest.mark.parametrize("end", ["\n", "\n\n"])
@pytest.mark.parametrize(
    "place",
    [
        "г. Алматы",
        "Алматы қаласы",
        "город Алматы",
        "Алматы қ.",
        "Республика Казахстан, г. Астана",
        "г. Алматы, 3 мая 2027 г.",
    ],
)
def test_a_place_below_an_approval_is_no_part_of_it(place, end):
    for code, title in TITLES.items():
        found = front_matter(f"{ORDERS[code]}{end}{place}\n\n{title}\n\n1.1. А.\n")
        assert (found.title, found.approval) == (title, ORDERS[code])


@pytest.mark.parametrize(
    "order",
    [
        "Утверждено приказом директора филиала\nг. Алматы\nот 3 мая 2026 года № 7",
        "Утверждено приказом директора филиала\nг. Алматы от 3 мая 2026 года № 7",
        "Алматы қаласының\nбас дәрігерінің\n2026 жылғы 3 мамырдағы\nАлматы қаласының\n№ 7 бұйрығымен бекітілген",
    ],
)
def test_a_place_in_the_middle_of_an_approval_is_part_of_it(order):
    assert front_matter(f"{order}\n\nУсловия\n\n1.1. А.\n").approval == " ".join(order.split())


@pytest.mark.parametrize(
    "above",
    [
        "г. Алматы",
        "г. Алматы «3» мая 2026 г.",
        "Астана қаласы, 2026 жылғы 3 мамыр",
        "Алматы қ.",
        "Республика Казахстан, город Шымкент",
        "3 мая 2026 года",
        "2026 жылғы «\\_\\_» \\_\\_\\_\\_",
        "ТОО «Самал»",
        "«Самал» ЖШС",
        "(АО «Самал»)",
        "Товарищество с ограниченной ответственностью «Самал»",
        "«Самал» жауапкершілігі шектеулі серіктестігі",
        "Редакция от 3 мая 2026 г.",
        "Последнее обновление: 03.05.2026",
        "№ 7",
        "ПРОЕКТ",
        "---\ntitle: Условия\nlayout: page\n---",
        "| Логотип | тел. 8 (727) 000-00-00 |\n| --- | --- |",
        "***",
        "<!-- terms.md -->",
        "СОГЛАСОВАНО\n\nДиректор ТОО «Самал»",
    ],
)
def test_a_place_a_date_a_party_or_a_detail_is_not_the_title(above):
    for title in TITLES.values():
        assert front_matter(f"{above}\n\n{title}\n\n1.1. Мәтін.\n").title == title


@pytest.mark.parametrize(
    "body",
    [
        "Правила г. Алматы\n\n1.1. А.",
        "Договор ТОО «Самал»\n\nг. Алматы\n\n1.1. А.",
        "Положение утверждено приказом\n\n1.1. А.",
        "г. Алматы\n\n1. ОБЩИЕ ПОЛОЖЕНИЯ\n\n1.1. А.",
        "УТВЕРЖДЕНО\n\n1.1. А.",
        "ТОО «Самал»\n",
        "ТОО «Самал»\n\n" + "слово " * 60,
        "ТОО «Самал»\n\nЭто правила, по которым вы пользуетесь нашим порталом.\n",
        "ТОО «Самал»\n\nкоторое оказывает услуги\n",
        "1.1. Первый.\n\nУсловия\n",
        "#\n\n# Условия\n",
        "",
        "\n\n",
        "\n" * 200 + "Условия",
    ],
)
def test_otherwise_the_first_line_is_the_title(body):
    first = next((text for line in body.split("\n") if (text := line.strip("# "))), "")
    assert front_matter(body).title == first == clauses.title_line(body)


@pytest.mark.parametrize(
    "above",
    ["УТВЕРЖДЕНО\nприказом № 7\n\nПользование порталом", "УТВЕРЖДЕНО\nприказом № 7 от 3 мая 2026 г.\n\nПользование"],
)
def test_an_approval_that_states_its_number_or_date_ends_before_a_line_that_does_not_continue_it(above):
    title = above.rpartition("\n")[2]
    assert front_matter(f"{above}\n\nот 4 мая 2026 г.\n\n1.1. А.\n").title == title


@pytest.mark.parametrize(
    "above", ["ФОНД НАРОДНОЙ БИБЛИОТЕКИ", "УТВЕРЖДЕНО\nприказом № 7\n\nФонд Народной Библиотеки", "Халық қоры\nКеңсе"]
)
def test_a_heading_that_names_a_document_below_a_line_that_names_none_is_the_title(above):
    """The style Title of a Word file becomes such a heading."""
    for title in TITLES.values():
        found = front_matter(f"{above}\n\n# {title}\n\n## 1. Общее\n\n1.1. А.\n")
        assert found.title == title


@pytest.mark.parametrize(
    "body",
    [
        "Условия оказания услуг\n\n# Общие положения\n\n1.1. А.\n",
        "Памятка читателю\n\n# Общие сведения\n\n1.1. А.\n",
        "# Памятка читателю\n\n# Общие положения\n\n1.1. А.\n",
        "Памятка читателю\n\nЧитайте её до конца, она определяет порядок.\n\n# Общие положения\n\n1.1. А.\n",
        "Памятка читателю\n\n1.1. А.\n\n# Общие положения\n",
        "Памятка читателю\n\n# 1. Общие положения\n\n1.1. А.\n",
    ],
)
def test_another_heading_below_the_first_line_is_not_the_title(body):
    assert front_matter(body).title == body.partition("\n")[0].strip("# ")


def test_the_page_prints_the_title_once_and_every_line_above_it():
    body = "УТВЕРЖДЕНО\nприказом № 7\n\nг. Алматы\n\n# Условия\n\nПреамбула.\n\n## 1. Общее\n\n1.1. А.\n"
    document = clauses.parse(body)
    assert [(unit.kind, unit.number) for unit in document.units] == [
        ("front", ""), ("title", ""), ("text", ""), ("section", "1"), ("clause", "1.1"),
    ]  # fmt: skip
    assert document.title == document.units[1].text == "Условия"
    assert document.source == body
    for words in ("УТВЕРЖДЕНО", "приказом № 7", "г. Алматы", "Преамбула."):
        assert document.html.count(words) == 1
    assert "Условия" not in document.html


def test_a_quotation_above_a_heading_is_not_the_title():
    assert front_matter("> Черновик.\n> Не для печати.\n\n# Условия\n\n1.1. Раз.\n").title == "Условия"
    assert front_matter("> Черновик.\n\nУсловия\n\n1.1. Раз.\n").title == "> Черновик."


def test_a_heading_above_the_title_is_not_the_title():
    document = clauses.parse("# УТВЕРЖДЕНО\nприказом № 7\n\n# Условия\n\n1.1. А.\n")
    assert [unit.kind for unit in document.units] == ["front", "title", "clause"]
    assert "УТВЕРЖДЕНО" in document.html


def test_an_order_above_the_title_is_no_appendix():
    document = clauses.parse("Приложение № 1\n\nк приказу от 3 мая 2026 г. № 7\n\nУсловия\n\n1.1. А.\n")
    assert [(unit.kind, unit.number) for unit in document.units] == [("front", ""), ("title", ""), ("clause", "1.1")]


def test_an_approval_is_cut_to_the_length_of_its_field():
    lines = "\n".join(f"от {'х' * 150}" for _ in range(5))
    assert len(front_matter(f"УТВЕРЖДЕНО\n{lines}\nУсловия\n").approval) == MAX_APPROVAL


@pytest.mark.parametrize(
    "line", ["а" * 100_000, "УТВЕРЖДЕНО " * 5000, "«_" * 20_000, "№ 1 бұйрығына " * 2000, "1 " * 50_000]
)
def test_long_lines_cost_little(line):
    import time

    start = time.process_time()
    front_matter(f"УТВЕРЖДЕНО\n{line}\n" * 5)
    assert time.process_time() - start < 1


@pytest.mark.parametrize(
    "above",
    ["← Артқа", "Назад", "« Назад", "Артқа", "‹ К списку", "Главная / Документы / Условия", "Басты бет › Шарттар"],
)
def test_a_link_of_a_web_page_above_the_title_is_not_the_title(above):
    for title in TITLES.values():
        assert front_matter(f"{above}\n\n{title}\n\nМәтін.\n").title == title
    assert front_matter(f"{above}\n\n1. ОБЩЕЕ\n").title == above


@pytest.mark.parametrize("title", ["Назад в будущее", "Главная книга", "Меню портала", "Home Rules"])
def test_a_title_that_begins_with_the_word_of_a_link_is_a_title(title):
    assert front_matter(f"{title}\n\nУсловия\n\n1. ОБЩЕЕ\n").title == title


def test_an_approval_that_is_bold_by_html_is_above_the_title():
    body = "<b>УТВЕРЖДЕНО</b>\nприказом № 7\n\nУсловия\n\n1.1. А.\n"
    assert front_matter(body).title == clauses.parse(body).title == "Условия"


@pytest.mark.parametrize(
    "line", ["ред. от 06.08.2025", "Соңғы жаңартылған: 20 наурыз, 2025 жыл", "Последнее обновление: 20 марта 2025 г."]
)
def test_a_date_of_the_text_is_no_title_and_the_lint_reports_that_there_is_none(line):
    body = f"{line}\n\n1. Общее\n\n1.1. Раз.\n"
    assert [unit.kind for unit in clauses.parse(body).units] == ["text", "section", "clause"]
    assert "agreement.L019" in {message.id for message in lint({"ru": body})}
    assert clauses.parse(f"{line}\n\nУсловия\n\n1.1. Раз.\n").title == "Условия"


def test_the_name_of_a_person_who_approved_a_text_is_not_its_title():
    lines = ["УТВЕРЖДЕНО", "Индивидуальный предприниматель", "Имя Отчество Фамилия", "____", "(подпись)"]
    found = front_matter("\n".join([*lines, "«__» _____ 2026 г.", "Политика данных", "", "1.1. Раз.\n"]))
    assert (found.title, found.approval) == ("Политика данных", f"Утверждено {lines[1]} {lines[2]}")


@pytest.mark.parametrize(
    ("body", "replaced"),
    [
        ("# Т\n\n1.1. А", "# Жаңа\n\n1.1. А"),
        ("Т\n===\n\n1.1. А", "# Жаңа\n\n1.1. А"),
        ("1.1. А.\n\n1.2. Б.", "# Жаңа\n\n1.1. А.\n\n1.2. Б."),
        ("## 1. А\n\n1.1. Б.", "# Жаңа\n\n## 1. А\n\n1.1. Б."),
        ("1) а;\n2) б.", "# Жаңа\n\n1) а;\n2) б."),
        ("01.02.2026", "# Жаңа\n\n01.02.2026"),
        ("", "# Жаңа\n\n"),
    ],
)
def test_a_title_is_replaced_and_no_clause_is_lost(body, replaced):
    """A text without a title begins with a clause, which was once replaced by the title that its author wrote."""
    assert clauses.replace_title(body, "Жаңа") == replaced


@pytest.mark.parametrize(
    ("body", "replaced"),
    [
        ("Қор\n\nШАРТТАР\n\n1.1. А", "Қор\n\n# Шарттар\n\n1.1. А"),
        ("Қор\n\n**Шарттар**\n\n1.1. А", "Қор\n\n# Шарттар\n\n1.1. А"),
        ("Қор\n\n1.1. А\n\nШарттар", "# Шарттар\n\n1.1. А\n\nШарттар"),
        ("ШАРТТАР\n\nҚор\n\n1.1. А", "# Шарттар\n\nҚор\n\n1.1. А"),
    ],
)
def test_a_title_that_its_author_corrects_is_put_on_the_line_where_its_words_stand(body, replaced):
    """Otherwise the words would stand twice, and a line above the title would be lost."""
    assert clauses.replace_title(body, "Шарттар") == replaced
