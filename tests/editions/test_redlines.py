"""Redlines are computed once for a pair of sealed editions and a language, and the cache has a limit."""

from __future__ import annotations

import threading
import time

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agreement.editions import redlines
from agreement.models import Edition
from tests.support import factories


@pytest.fixture(autouse=True)
def _empty_cache():
    redlines._cache.clear()
    yield
    redlines._cache.clear()


def edition(digest: str, body: str = "Т\n\n1.1. Бір.\n") -> Edition:
    """An edition as if sealed; what is compared needs no database."""
    return Edition(digest=digest, body_kk=body, body_ru=body)


@pytest.fixture
def computed(monkeypatch) -> list[str]:
    """The languages of the comparisons made, in their order; each takes a moment."""
    made: list[str] = []
    compare = redlines._compare

    def slow(old, new, language):
        made.append(language)
        time.sleep(0.05)
        return compare(old, new, language)

    monkeypatch.setattr(redlines, "_compare", slow)
    return made


def test_a_pair_is_compared_once_in_each_language(computed):
    old, new = edition("a"), edition("b", "Т\n\n1.1. Бір екі.\n")
    first = redlines.sealed_redline(old, new, "kk")
    assert redlines.sealed_redline(old, new, "kk") is first
    assert redlines.sealed_redline(old, new, "ru") is not first
    assert redlines.sealed_redline(new, old, "kk") is not first
    assert computed == ["kk", "ru", "kk"]


@pytest.mark.parametrize(
    ("language", "says"),
    [
        ("ru", "Текст на русском языке не изменился, текст на казахском языке изменился. Изменено: 1 пункт."),
        ("kk", "Өзгертілді: 1 тармақ."),
    ],
)
def test_the_summary_states_that_only_the_text_in_the_other_language_changed(language, says):
    old, new = edition("a"), edition("b")
    new.body_kk = "Т\n\n1.1. Бір екі.\n"
    assert redlines.sealed_summary(old, new, language, language=language) == says
    same = redlines.sealed_summary(old, edition("c"), language, language="en")
    assert same == "Nothing changed."


def test_threads_that_need_the_same_redline_wait_for_one_comparison(computed):
    old, new = edition("a"), edition("b")
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(redlines.sealed_redline(old, new, "kk"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert computed == ["kk"]
    assert len(found) == 8
    assert all(one is found[0] for one in found)


def test_a_failed_comparison_is_reported_and_tried_again(monkeypatch):
    compare = redlines._compare

    def fails(*_arguments):
        raise RuntimeError("away")

    monkeypatch.setattr(redlines, "_compare", fails)
    with pytest.raises(RuntimeError, match="away"):
        redlines.sealed_redline(edition("a"), edition("b"), "kk")
    monkeypatch.setattr(redlines, "_compare", compare)
    assert redlines.sealed_redline(edition("a"), edition("b"), "kk").changed == ()


def test_the_least_recently_used_pair_is_dropped_first(computed, monkeypatch):
    monkeypatch.setattr(redlines, "CACHED_PAIRS", 2)
    a, b, c = edition("a"), edition("b"), edition("c")
    redlines.sealed_redline(a, b, "kk")
    redlines.sealed_redline(b, c, "kk")
    redlines.sealed_redline(a, b, "kk")
    redlines.sealed_redline(a, c, "kk")  # b and c go
    del computed[:]
    redlines.sealed_redline(a, b, "kk")
    assert computed == []
    redlines.sealed_redline(b, c, "kk")
    assert computed == ["kk"]


def test_the_cache_is_limited_by_size_too(computed, monkeypatch):
    monkeypatch.setattr(redlines, "CACHED_CHARACTERS", 100)
    long = edition("long", "Т\n\n" + "1.1. Бір.\n" * 50)
    redlines.sealed_redline(edition("a"), edition("b"), "kk")
    redlines.sealed_redline(edition("a"), long, "kk")  # heavier than all that may be kept: it alone stays
    del computed[:]
    redlines.sealed_redline(edition("a"), long, "kk")
    assert computed == []
    redlines.sealed_redline(edition("a"), edition("b"), "kk")
    assert computed == ["kk"]


def test_a_draft_is_not_compared_here():
    with pytest.raises(ValueError, match="a draft has no digest"):
        redlines.sealed_redline(edition("a"), edition(""), "kk")


@pytest.mark.django_db
def test_texts_are_read_only_when_they_are_compared():
    first = factories.published()
    second = factories.published(kk=f"{factories.KK}\n1.3. Үш.\n", ru=f"{factories.RU}\n1.3. Три.\n")
    light = Edition.objects.without_texts("body")
    for queries in (2, 0):
        old, new = light.get(pk=first.pk), light.get(pk=second.pk)
        with CaptureQueriesContext(connection) as captured:
            redlines.sealed_redline(old, new, "kk")
        assert len(captured) == queries
