"""The comparison of a text with what LibreOffice prints."""

from __future__ import annotations

from tests.corpus.measure import compare

PRINTED = "Келісім\n1. Жалпы ережелер\n1.1. Осы келісім жария болып табылады.\nТараптар\tМекенжайы\n• бірінші\n"


def test_a_text_that_libreoffice_prints_alike_differs_in_nothing() -> None:
    text = (
        "# Келісім\n\n1. Жалпы ережелер\n\n1.1. Осы келісім жария болып табылады.\n\n"
        "| Тараптар | Мекенжайы |\n| --- | --- |\n\n- бірінші\n"
    )

    assert compare(text, PRINTED) == ({}, [])


def test_a_number_that_differs_is_named_beside_the_words_after_it() -> None:
    text = (
        "Келісім\n\n1. Жалпы ережелер\n\n0.1. Осы келісім жария болып табылады.\n\nТараптар\n\nМекенжайы\n\nбірінші\n"
    )

    missing, labels = compare(text, PRINTED)

    assert missing == {}
    assert labels == ["'0.1.' for '1.1.': Осы келісім жария болып табылады"]


def test_a_lost_word_is_missing_as_often_as_it_is_lost() -> None:
    missing, labels = compare("бірінші\n", "бірінші\n\nекінші екінші\n")

    assert missing == {"екінші": 2}
    assert labels == []


def test_a_number_in_a_cell_of_several_paragraphs_is_looked_for_before_its_words() -> None:
    printed = "1.1. Бірінші тармақ\n1.2. Екінші тармақ\n"

    right, wrong = (
        compare(f"| 1.1. Бірінші тармақ {number} Екінші тармақ |\n", printed)[1] for number in ("1.2.", "1.3.")
    )

    assert right == []
    assert wrong == ["'?' for '1.2.': Екінші тармақ"]
