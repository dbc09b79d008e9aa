"""Redlines are computed once a pair of sealed editions and language, one at a time, and kept within bounds."""

from __future__ import annotations

import threading
import time

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agreement import comparison
from agreement.models import Edition
from tests import factories


@pytest.fixture(autouse=True)
def _nothing_kept():
    comparison.forget()
    yield
    comparison.forget()


def edition(digest: str, body: str = "Т\n\n1.1. Бір.\n") -> Edition:
    """An edition as if sealed; what is compared needs no database."""
    return Edition(digest=digest, body_kk=body, body_ru=body)


@pytest.fixture
def computed(monkeypatch) -> list[str]:
    """The languages of the comparisons made, in their order; each takes a moment."""
    made: list[str] = []
    compare = comparison._compare

    def slow(old, new, language):
        made.append(language)
        time.sleep(0.05)
        return compare(old, new, language)

    monkeypatch.setattr(comparison, "_compare", slow)
    return made


def test_a_pair_is_compared_once_in_each_language(computed):
    old, new = edition("a"), edition("b", "Т\n\n1.1. Бір екі.\n")
    first = comparison.redline(old, new, "kk")
    assert comparison.redline(old, new, "kk") is first
    assert comparison.redline(old, new, "ru") is not first
    assert comparison.redline(new, old, "kk") is not first
    assert computed == ["kk", "ru", "kk"]


def test_those_who_ask_at_once_wait_for_one_comparison(computed):
    old, new = edition("a"), edition("b")
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(comparison.redline(old, new, "kk"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert computed == ["kk"]
    assert len(found) == 8
    assert all(one is found[0] for one in found)


def test_a_comparison_that_failed_is_said_to_all_who_waited_and_tried_again(monkeypatch):
    compare = comparison._compare

    def fails(*_arguments):
        raise RuntimeError("away")

    monkeypatch.setattr(comparison, "_compare", fails)
    with pytest.raises(RuntimeError, match="away"):
        comparison.redline(edition("a"), edition("b"), "kk")
    monkeypatch.setattr(comparison, "_compare", compare)
    assert comparison.redline(edition("a"), edition("b"), "kk").changed == ()


def test_the_pair_asked_for_longest_ago_goes_first(computed, monkeypatch):
    monkeypatch.setattr(comparison, "PAIRS", 2)
    a, b, c = edition("a"), edition("b"), edition("c")
    comparison.redline(a, b, "kk")
    comparison.redline(b, c, "kk")
    comparison.redline(a, b, "kk")
    comparison.redline(a, c, "kk")  # b and c go
    del computed[:]
    comparison.redline(a, b, "kk")
    assert computed == []
    comparison.redline(b, c, "kk")
    assert computed == ["kk"]


def test_what_is_kept_is_bounded_by_size_too(computed, monkeypatch):
    monkeypatch.setattr(comparison, "CHARACTERS", 100)
    long = edition("long", "Т\n\n" + "1.1. Бір.\n" * 50)
    comparison.redline(edition("a"), edition("b"), "kk")
    comparison.redline(edition("a"), long, "kk")  # heavier than all that may be kept: it alone stays
    del computed[:]
    comparison.redline(edition("a"), long, "kk")
    assert computed == []
    comparison.redline(edition("a"), edition("b"), "kk")
    assert computed == ["kk"]


def test_a_draft_is_not_compared_here():
    with pytest.raises(ValueError, match="a draft has no digest"):
        comparison.redline(edition("a"), edition(""), "kk")


@pytest.mark.django_db
def test_texts_are_read_only_if_they_have_to_be():
    first = factories.published()
    second = factories.published(kk=f"{factories.KK}\n1.3. Үш.\n", ru=f"{factories.RU}\n1.3. Три.\n")
    light = Edition.objects.rewrite(False).defer("body", "body_kk", "body_ru")
    for queries in (2, 0):
        old, new = light.get(pk=first.pk), light.get(pk=second.pk)
        with CaptureQueriesContext(connection) as captured:
            comparison.redline(old, new, "kk")
        assert len(captured) == queries
