"""The comparative table and the two languages beside each other, as data."""

from __future__ import annotations

import re

from hypothesis import given

from agreement.text import parallel
from agreement.text.clauses import parse
from agreement.text.redline import table
from agreement.text.redline.changes import redline
from tests.text.test_clauses import ANY

OLD = """Шарт

1. ЖАЛПЫ

1.1. Алма піскен күні жиналады.

1.2. Алмұрт екі аптадан кейін жиналады.

1.3. Өрік шілдеде кептіріледі.

2. АҚЫ ТӨЛЕУ ТӘРТІБІ

2.1. Ақы ай сайын төленеді.

3. СОҢЫ

3.1. Дау сотта қаралады.
"""


def rows(new: str) -> list[tuple[str, int, str, str]]:
    found = table.rows(redline(parse(OLD), parse(new)))
    return [(row.kind, row.place, row.first, row.last) for row in found]


def test_unchanged_clauses_stand_together_and_changes_are_counted_under_their_section():
    new = OLD.replace("шілдеде", "тамызда").replace("сотта", "төрелікте")
    assert rows(new) == [
        ("same", 0, "", ""),  # the title
        ("heading", 0, "1", ""),
        ("same", 0, "1.1", "1.2"),
        ("change", 1, "1.3", ""),
        ("same", 0, "2.1", ""),  # a section in which nothing changed is named by its clause
        ("heading", 0, "3", ""),
        ("change", 2, "3.1", ""),
    ]


def test_a_changed_heading_is_a_change_and_no_heading_above_itself():
    assert rows(OLD.replace("ТӨЛЕУ ТӘРТІБІ", "ТӨЛЕУ МЕРЗІМІ")) == [
        ("same", 0, "1.1", "1.3"),
        ("change", 1, "2", ""),
        ("same", 0, "2.1", "3.1"),
    ]


def test_a_table_of_equal_texts_is_one_row():
    assert rows(OLD) == [("same", 0, "1.1", "3.1")]


@given(ANY, ANY)
def test_every_unit_stands_in_one_row_and_none_is_made_up(old, new):
    whole = redline(parse(old), parse(new))
    found = table.rows(whole)
    assert [change for row in found for change in row.changes] == list(whole.changes)
    assert [row.place for row in found if row.place] == list(range(1, len(whole.changed) + 1))


def test_both_languages_meet_by_number():
    left = parse("Т\n\nКіріспе.\n\n1. ЖАЛПЫ\n\n1.1. Бір.\n\n- тізім\n\n1.2. Екі.\n")
    right = parse("Т\n\nВступление.\n\n1. ОБЩЕЕ\n\n1.1. Раз.\n\n- список\n\n1.2. Два.\n")

    found = parallel.pairs(left, right)

    assert [pair.number for pair in found] == ["", "1", "1.1", "1.2"]
    assert "Кіріспе" in found[0].left
    assert "Вступление" in found[0].right
    assert "тізім" in found[2].left
    assert "список" in found[2].right


def test_a_number_only_one_language_has_stands_where_it_stands_there():
    left, right = parse("Т\n\n1.1. Бір.\n\n1.3. Үш.\n"), parse("Т\n\n1.1. Раз.\n\n1.2. Два.\n\n1.3. Три.\n")
    found = [(pair.number, bool(pair.left), bool(pair.right)) for pair in parallel.pairs(left, right)]
    assert found == [("1.1", True, True), ("1.2", False, True), ("1.3", True, True)]
    assert [pair.number for pair in parallel.pairs(right, left)] == ["1.1", "1.2", "1.3"]


@given(ANY, ANY)
def test_beside_each_other_nothing_is_lost_and_no_id_stands_twice(left, right):
    kk, ru = parse(left), parse(right)
    found = parallel.pairs(kk, ru)
    for document, shown in ((kk, "".join(pair.left for pair in found)), (ru, "".join(pair.right for pair in found))):
        assert not re.search(r"<[^>]* id=", shown)
        assert shown.count("<p") + shown.count("<h") == document.html.count("<p") + document.html.count("<h")
    numbers = [pair.number for pair in found]
    assert len(numbers) == len(set(numbers))
