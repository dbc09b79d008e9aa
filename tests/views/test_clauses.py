"""The history of a clause: its wordings in all editions, through renumbering and moves, as a page and as JSON."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import jsonschema
import pytest
from django.utils import timezone

from tests.support import factories
from tests.views.test_changes import KK, KK_2, RU, RU_2

pytestmark = pytest.mark.django_db

CLAUSES = "/en/agreements/terms/clauses/"


def _publish(ru: str, kk: str, **stated):
    return factories.published(ru=ru, kk=kk, prevailing_language="ru", **stated)


@pytest.fixture
def four():
    """1.2 was reworded by edition 2; 1.4 became 1.3 and was left alone since; 1.3 was deleted by edition 2."""
    return [
        _publish(RU, KK),
        _publish(RU_2, KK_2),
        _publish(RU_2.replace("каждому", "всем"), KK_2.replace("әркімге", "барлығына")),
        _publish(RU_2.replace("каждому", "любому"), KK_2.replace("әркімге", "кез келгенге")),
    ]


def _editions(page: str) -> list[str]:
    return re.findall(r'<li class="agreement-item" id="edition-(\d+)">', page)


def test_the_wordings_of_a_clause_are_displayed_with_what_changed(client, four):
    page = client.get(f"{CLAUSES}1.2/").content.decode()
    assert "<h1>Clause 1.2 in all editions</h1>" in page
    assert _editions(page) == ["2", "1"]
    assert re.search(r"Not changed in:.*/editions/3/#1\.2.*/editions/4/#1\.2", page, re.DOTALL)
    assert "пять" in re.search(r"<ins>(.*?)</ins>", page, re.DOTALL)[1]
    # The wording is in force, although the edition that introduced it is not.
    newest = page.partition('<li class="agreement-item" id="edition-2">')[2].partition("</li>")[0]
    assert re.findall(r'data-state="(\w+)"', newest.partition('<div class="agreement-redline">')[0]) == [
        "superseded",
        "in_force",
    ]
    assert "data-state" not in newest.partition("</h2>")[0]


def test_a_clause_is_followed_through_its_renumbering(client, four):
    page = client.get(f"{CLAUSES}1.3/").content.decode()
    assert _editions(page) == ["2", "1"]
    assert "formerly 1.4" in page
    assert "/editions/1/#1.4" in page
    assert "Изображения" not in page


def test_a_number_of_another_edition_is_found_with_its_edition(client, four):
    page = client.get(f"{CLAUSES}1.3/?edition=1").content.decode()
    assert _editions(page) == ["2", "1"]
    assert "Изображения" in page
    assert "deleted" in page
    again = client.get(f"{CLAUSES}1.4/?edition=1").content.decode()
    assert "Споры" in again
    assert "<h1>Clause 1.4 in all editions</h1>" in again


def test_the_page_leads_to_the_other_clause_that_had_the_number(client, four):
    def others(page: str) -> list[str]:
        links = page.partition("Another clause has this number in:")[2].partition("</p>")[0]
        return re.findall(r'href="/en/agreements/terms/clauses/1\.3/\?edition=(\d)"', links)

    assert others(client.get(f"{CLAUSES}1.3/").content.decode()) == ["1"]
    assert others(client.get(f"{CLAUSES}1.3/?edition=1").content.decode()) == ["4"]
    for number in ("1.1", "1.2"):
        assert "Another clause" not in client.get(f"{CLAUSES}{number}/").content.decode()


def test_a_number_that_only_an_earlier_edition_has_is_found(client):
    _publish(RU + "\n1.5. Архив закрыт.\n", KK + "\n1.5. Мұрағат жабық.\n")
    _publish(RU, KK)
    page = client.get(f"{CLAUSES}1.5/").content.decode()
    assert _editions(page) == ["2", "1"]
    assert "Архив закрыт." in page


def test_a_clause_has_everything_in_it(client):
    items = "\n\n1) первое;\n\n2) второе.\n"
    _publish(RU.rstrip() + items, KK.rstrip() + items)
    _publish(RU.rstrip() + items.replace("второе", "третье"), KK.rstrip() + items.replace("второе", "третье"))
    page = client.get(f"{CLAUSES}1.4/").content.decode()
    assert _editions(page) == ["2", "1"]
    assert "первое" in page
    assert "третье" in page


@pytest.mark.parametrize("number", ["9.9", "0", "a", "a1", "1.2.", "-", "1.2-9z", "1" * 32])
def test_an_unknown_number_is_not_found(client, four, number):
    assert client.get(f"{CLAUSES}{number}/").status_code == 404
    assert client.get(f"{CLAUSES}{number}.json").status_code == 404


@pytest.mark.parametrize(("edition", "status"), [("1", 200), ("9", 404), ("0", 400), ("x", 400), ("", 400)])
def test_the_edition_must_be_a_public_one(client, four, edition, status):
    assert client.get(f"{CLAUSES}1.1/?edition={edition}").status_code == status


def test_a_cancelled_edition_and_a_draft_have_no_part_in_a_history(client):
    first = _publish(RU, KK)
    announced = _publish(RU_2, KK_2, effective_from=timezone.now() + timedelta(days=1))
    announced.cancel()
    factories.draft(ru=RU_2, kk=KK_2)
    assert _editions(client.get(f"{CLAUSES}1.2/").content.decode()) == [str(first.number)]
    assert client.get(f"{CLAUSES}1.2/?edition=2").status_code == 404


@pytest.mark.parametrize(("displayed", "found"), [(True, ["2", "1"]), (False, ["1"])])
def test_an_announced_wording_is_displayed_if_the_site_displays_announcements(client, settings, displayed, found):
    settings.AGREEMENT = {**settings.AGREEMENT, "SHOW_SCHEDULED": displayed}
    _publish(RU, KK)
    _publish(RU_2, KK_2, effective_from=timezone.now() + timedelta(days=1))
    assert _editions(client.get(f"{CLAUSES}1.2/").content.decode()) == found


def test_the_page_makes_one_query_and_is_cacheable(client, four, django_assert_num_queries, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "BASE_URL": "https://portal.example.kz"}
    client.get(f"{CLAUSES}1.1/")
    with django_assert_num_queries(2):  # The dates are read in each call, because the test is a transaction.
        response = client.get(f"{CLAUSES}1.2/")
    assert response["Cache-Control"] == "public, no-cache"
    assert client.get(f"{CLAUSES}1.2/", headers={"If-None-Match": response["ETag"]}).status_code == 304


def test_the_json_has_the_wordings_in_both_languages(client, four):
    schema = client.get("/kk/agreements/schema.json").json()
    found = client.get(f"{CLAUSES}1.2.json").json()
    jsonschema.Draft202012Validator(schema).validate(found)
    for language, words in (("kk", "бес жылды"), ("ru", "пять лет")):
        first, second = found["wordings"][language]
        assert (first["editions"], second["editions"]) == ([1], [2, 3, 4])
        assert (first["effective_until"], second["effective_until"]) == (second["effective_from"], None)
        assert words in second["text"]
    assert (
        client.get("/kk/agreements/terms/clauses/1.2.json").content
        == json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    )


def test_the_json_says_that_a_clause_was_deleted(client):
    _publish(RU + "\n1.5. Архив закрыт.\n", KK + "\n1.5. Мұрағат жабық.\n")
    _publish(RU, KK)
    found = client.get(f"{CLAUSES}1.5.json").json()
    assert [(one["number"], one["deleted"], one["text"]) for one in found["wordings"]["ru"]] == [
        ("1.5", False, "1.5. Архив закрыт."),
        (None, True, ""),
    ]


def test_each_clause_links_to_its_history_if_there_is_another_edition(client):
    _publish(RU, KK)
    address = "/en/agreements/terms/clauses/1.2/"
    assert address not in client.get("/en/agreements/terms/editions/1/").content.decode()
    _publish(RU_2, KK_2)
    assert f'href="{address}?edition=2"' in client.get("/en/agreements/terms/").content.decode()
    assert f'href="{address}?edition=2"' in client.get("/en/agreements/terms/editions/2/changes/").content.decode()


def test_a_cancelled_edition_links_to_no_history(client):
    _publish(RU, KK)
    _publish(RU_2, KK_2, effective_from=timezone.now() + timedelta(days=1)).cancel()
    _publish(RU_2, KK_2, effective_from=timezone.now() + timedelta(days=1))
    here = "/en/agreements/terms/editions/"
    for page in ("2/", "2/changes/", "3/changes/?from=2", "2/changes/?from=3"):
        assert "?edition=2" not in client.get(f"{here}{page}").content.decode()
    assert f'href="{CLAUSES}1.2/?edition=3"' in client.get(f"{here}3/changes/").content.decode()


def test_an_inserted_article_has_a_history_of_its_own(client):
    words = ("Раз", "1. Книги новые.", "Надзор", "1. Зал открыт.", "Два", "Да.")
    ru = "Правила\n\n### Статья 1. {}\n\n{}\n\n### Статья 1.1. {}\n\n{}\n\n### Статья 2. {}\n\n{}\n".format(*words)
    words = ("Бір", "1. Кітап жаңа.", "Бақылау", "1. Зал ашық.", "Екі", "Иә.")
    kk = "Ереже\n\n### 1-бап. {}\n\n{}\n\n### 1-1-бап. {}\n\n{}\n\n### 2-бап. {}\n\n{}\n".format(*words)
    _publish(ru, kk)
    assert "Зал открыт." in client.get(f"{CLAUSES}1_1.1/", headers={"accept-language": "ru"}).content.decode()
    assert "Книги новые." in client.get(f"{CLAUSES}1.1/").content.decode()
