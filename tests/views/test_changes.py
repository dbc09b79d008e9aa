"""What changed: beside each clause of an edition, and between any two; and both languages beside each other."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone, translation

from agreement.editions.changes import changed_clauses, marked_units, unit_name
from agreement.text import clauses
from agreement.text.clauses import Clause
from agreement.text.redline.changes import redline
from tests.support import factories
from tests.views.test_editions import OURS_ALONE

pytestmark = pytest.mark.django_db

EDITIONS = "/en/agreements/terms/editions/"
RU = """# Соглашение

## 1. ОБЩИЕ ПОЛОЖЕНИЯ

1.1. Доступ к порталу открыт каждому.

1.2. Срок хранения данных составляет три года.

1.3. Изображения нельзя обрезать и закрашивать.

1.4. Споры решаются в суде по месту нахождения владельца.
"""
KK = """# Келісім

## 1. ЖАЛПЫ ЕРЕЖЕЛЕР

1.1. Порталға кіру әркімге ашық.

1.2. Деректерді сақтау мерзімі үш жылды құрайды.

1.3. Суреттерді қиюға және бояуға болмайды.

1.4. Даулар иесінің орналасқан жері бойынша сотта шешіледі.
"""
# 1.2 reworded, 1.3 gone, 1.4 now 1.3, a new 1.4.
RU_2 = (
    RU.replace("три года", "пять лет")
    .replace("1.3. Изображения нельзя обрезать и закрашивать.\n\n1.4. Споры", "1.3. Споры")
    .rstrip()
    + "\n\n1.4. Журнал доступа ведёт администратор портала.\n"
)
KK_2 = (
    KK.replace("үш жылды", "бес жылды")
    .replace("1.3. Суреттерді қиюға және бояуға болмайды.\n\n1.4. Даулар", "1.3. Даулар")
    .rstrip()
    + "\n\n1.4. Кіру журналын портал әкімшісі жүргізеді.\n"
)


@pytest.fixture
def two():
    """Two editions, and a third whose words are the second's."""
    return [factories.published(kk=kk, ru=ru) for kk, ru in ((KK, RU), (KK_2, RU_2), (KK_2, RU_2))]


def text(client: Client, address: str, status: int = 200) -> str:
    """The HTML of a page, with its line breaks as spaces: templates break their lines where they like."""
    response = client.get(address)
    assert response.status_code == status, address
    return " ".join(response.content.decode().split()).replace(" >", ">")


def chosen(page: str) -> list[tuple[str, str]]:
    """The editions that the form of a page contains."""
    return re.findall(r'<select name="(\w+)">.*?<option value="(\d+)" selected', page)


def plain(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


# Beside a clause


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize(
    ("language", "changed", "gone", "was", "added", "words"),
    [
        ("kk", "өзгерді", "алып тасталды: 1.3‑тармақ", "бұрынғы нөмірі 1.4", "қосылды", ("үш", "бес")),
        ("ru", "изменено", "исключено: пункт 1.3", "прежний номер 1.4", "добавлено", ("три года", "пять лет")),
    ],
)
def test_each_changed_clause_has_a_mark_that_opens_its_redline(client, language, changed, gone, was, added, words):
    page = text(client, f"/{language}/agreements/terms/editions/2/")

    units = dict(
        re.findall(r'<div class="agreement-unit">.*?id="([\d.]+)"(.*?)(?=<div class="agreement-unit">)', page, re.S)
    )
    assert "agreement-mark" not in units["1.1"]
    assert f"<summary>{changed}</summary>" in units["1.2"]
    deleted, inserted = (re.search(rf"<{tag}>(.*?)</{tag}>", units["1.2"])[1] for tag in ("del", "ins"))
    assert words[0] in plain(deleted)
    assert words[1] in plain(inserted)
    assert f"<summary>{gone}</summary>" in page
    assert f'<span class="agreement-mark">{was}</span>' in units["1.3"]
    assert f'<span class="agreement-mark">{added}</span>' in page
    assert f'/{language}/agreements/terms/editions/2/changes/#1.2"' in units["1.2"]
    assert f'/{language}/agreements/terms/editions/2/changes/#was-1.3"' in page


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize("number", [1, 3])
def test_where_nothing_changed_nothing_is_marked(client, number):
    assert "agreement-mark" not in text(client, f"{EDITIONS}{number}/")


def test_the_announced_edition_is_marked_against_the_one_that_binds_till_then(client):
    factories.published(kk=KK, ru=RU)
    cancelled = factories.published(effective_from=timezone.now() + timedelta(days=3))
    cancelled.cancel()
    factories.published(kk=KK_2, ru=RU_2, effective_from=timezone.now() + timedelta(days=5))

    page = text(client, f"{EDITIONS}3/")

    assert "<summary>changed</summary>" in page
    assert 'href="/en/agreements/terms/editions/3/changes/"' in page
    assert "What will change" in page


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize(("language", "other", "name"), [("kk", "ru", "По-русски"), ("ru", "kk", "Қазақша")])
@pytest.mark.parametrize("address", ["", "editions/2/"])
def test_each_clause_leads_to_itself_in_the_other_language(client, language, other, name, address):
    page = text(client, f"/{language}/agreements/terms/{address}")
    for number in ("1.1", "1.2", "1.3", "1.4"):
        link = f'href="/{other}/agreements/terms/{address}#{number}" lang="{other}" hreflang="{other}"'
        assert f"<a {link}>{name}</a>" in page


def test_the_changed_clauses_are_those_with_other_words():
    """A clause with a changed item is one; a clause that only has another number is none."""
    old = clauses.parse("# Т\n\n## 1. А\n\n1.1. Бір:\n\n1) екі;\n\n2) үш.\n\n1.2. Төрт бес.\n\n1.3. Алты жеті сегіз.\n")
    new = clauses.parse(
        "# Т\n\n## 1. А\n\n1.1. Бір:\n\n1) екі;\n\n2) тоғыз.\n\n1.2. Алты жеті сегіз.\n\n1.3. Он бір он екі.\n"
    )
    with translation.override("ru"):
        found = changed_clauses(marked_units(new, redline(old, new)))
    assert [(one.label, one.word, one.anchor, one.deleted) for one in found] == [
        ("1.1", "изменён", "1.1", False),
        ("1.2", "исключён", "was-1.2", True),
        ("1.3", "новый", "1.3", False),
    ]


@pytest.mark.parametrize(("language", "name"), [("kk", "1‑қосымша"), ("ru", "приложение 1"), ("en", "appendix 1")])
def test_a_new_appendix_is_named_in_words(language, name):
    """Its address is ``a1``, which no reader knows."""
    text = "# Т\n\n## 1. А\n\n1.1. Бір.\n"
    old, new = clauses.parse(text), clauses.parse(f"{text}\n# Приложение 1\n\nЕкі үш.\n")
    with translation.override(language):
        [changed] = changed_clauses(marked_units(new, redline(old, new)))
    assert (changed.label, changed.anchor) == (name, "a1")


@pytest.mark.parametrize(
    ("language", "chip", "names"),
    [
        (
            "kk",
            "1.1 (1‑қосымша)",
            ["1‑бөлім (1‑қосымша)", "1.1‑тармақ (1‑қосымша)", "1.1‑тармақтың 2) тармақшасы (1‑қосымша)"],
        ),
        (
            "ru",
            "1.1 (приложение 1)",
            ["раздел 1 (приложение 1)", "пункт 1.1 (приложение 1)", "подпункт 2) пункта 1.1 (приложение 1)"],
        ),
        (
            "en",
            "1.1 (appendix 1)",
            ["section 1 (appendix 1)", "clause 1.1 (appendix 1)", "item 2) of clause 1.1 (appendix 1)"],
        ),
    ],
)
def test_a_clause_of_an_appendix_is_named_with_the_appendix_in_words(language, chip, names):
    """The address of such a clause is ``a1.1.1``, which no reader knows."""
    text = "# Т\n\n## 1. А\n\n1.1. Бір.\n\n# Приложение 1\n\n## 1. Б\n\n1.1. Екі:\n\n1) бір;\n\n2) екі үш.\n"
    old, new = clauses.parse(text), clauses.parse(text.replace("екі үш", "екі төрт"))
    with translation.override(language):
        named = {unit.number: unit_name(unit) for unit in new.units}
        [changed] = changed_clauses(marked_units(new, redline(old, new)))
    assert (changed.label, changed.anchor) == (chip, "a1.1.1")
    assert [named[number] for number in ("a1.1", "a1.1.1", "a1.1.1-2")] == names


# Between two editions


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize(
    ("language", "summary", "headings"),
    [
        (
            "kk",
            "Өзгертілді: 1 тармақ; қосылды: 1 тармақ; алып тасталды: 1 тармақ; нөмірі өзгерді: 1 тармақ.",
            [
                *("№", "Тармақ Құрылымдық элементі"),
                *("1‑редакция күшін жойған бұрынғы редакция", "2‑редакция күшін жойған жаңа редакция"),
            ],
        ),
        (
            "ru",
            "Изменено: 1 пункт; добавлено: 1 пункт; исключено: 1 пункт; перенумеровано: 1 пункт.",
            [
                *("№", "Пункт Структурный элемент"),
                *("Редакция № 1 утратила силу прежняя редакция", "Редакция № 2 утратила силу новая редакция"),
            ],
        ),
    ],
)
def test_the_changes_are_the_comparative_table_lawyers_expect(client, language, summary, headings):
    page = text(client, f"/{language}/agreements/terms/editions/2/changes/")

    assert summary in plain(page)
    head = page.partition("<thead>")[2].partition("</thead>")[0]
    assert [plain(cell) for cell in re.findall(r'<th scope="col">(.*?)</th>', head)] == headings
    assert re.findall(r'<td class="agreement-place">(\d+)</td>', page) == ["1", "2", "3", "4"]
    assert re.findall(r'<tr class="agreement-change"[^>]* id="([^"]+)"', page) == ["1.2", "was-1.3", "1.3", "1.4"]


@pytest.mark.usefixtures("two")
def test_a_redline_is_spoken(client):
    page = plain(text(client, "/ru/agreements/terms/editions/2/changes/"))
    assert "исключено: три года конец исключённого" in page
    assert "добавлено: пять лет конец добавленного" in page
    page = plain(text(client, "/kk/agreements/terms/editions/2/changes/"))
    assert re.search("алып тасталды: үш\\s* алып тасталғанның соңы қосылды: бес\\s* қосылғанның соңы", page)


@pytest.mark.usefixtures("two")
def test_what_did_not_change_is_named_and_one_opening_away(client):
    page = text(client, f"{EDITIONS}2/changes/")
    same = re.findall(r'<tr class="agreement-same">.*?</tr>', page, re.S)
    assert [plain(one) for one in same] == ["Clause 1.1: unchanged 1.1. Порталға кіру әркімге ашық."]
    assert "<details><summary>Clause 1.1: unchanged</summary>" in same[0]


@pytest.mark.usefixtures("two")
def test_neighbours_are_for_search_engines_and_other_pairs_are_not(client):
    noindex, here = '<meta name="robots" content="noindex">', f"http://127.0.0.1:8000{EDITIONS}"
    assert noindex not in text(client, f"{EDITIONS}2/changes/")
    given = text(client, f"{EDITIONS}2/changes/?from=1&view=columns")
    assert noindex not in given
    assert f'<link rel="canonical" href="{here}2/changes/">' in given
    for number, other in ((3, 1), (1, 3)):
        page = text(client, f"{EDITIONS}{number}/changes/?from={other}")
        assert noindex in page
        assert f'<link rel="canonical" href="{here}{number}/changes/?from={other}">' in page
        assert (
            f'hreflang="kk" href="http://127.0.0.1:8000/kk/agreements/terms/editions/{number}/changes/?from={other}"'
            in page
        )


@pytest.mark.usefixtures("two")
def test_any_two_editions_are_compared_either_way(client):
    back = plain(text(client, "/ru/agreements/terms/editions/1/changes/?from=3"))
    assert "Что изменилось: от редакции № 3 к редакции № 1" in back
    assert "исключено: пять лет конец исключённого" in back
    assert "Nothing changed." in text(client, f"{EDITIONS}3/changes/")


@pytest.mark.usefixtures("two")
def test_the_form_leads_to_the_address_of_its_pair(client):
    response = client.get(f"{EDITIONS}2/changes/?from=1&to=3")
    assert (response.status_code, response["Location"]) == (302, f"{EDITIONS}3/changes/?from=1")


@pytest.mark.usefixtures("two")
def test_pages_of_changes_link_to_the_next_and_the_previous(client):
    page = text(client, f"{EDITIONS}2/changes/")
    assert f'<a rel="next" href="{EDITIONS}3/changes/">' in page
    assert 'rel="prev"' not in page  # the first edition has no changes
    assert f'<a rel="prev" href="{EDITIONS}2/changes/">' in text(client, f"{EDITIONS}3/changes/")


@pytest.mark.usefixtures("two")
def test_the_first_edition_has_nothing_before_it_and_one_does_not_differ_from_itself(client):
    page = text(client, f"{EDITIONS}1/changes/")
    assert "This is the first edition" in page
    assert "<table" not in page
    assert chosen(page) == [("from", "1"), ("to", "2")]
    page = text(client, f"{EDITIONS}2/changes/?from=2")
    assert "You chose edition 2 twice." in page
    assert chosen(page) == [("from", "2"), ("to", "2")]


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("?from=9", 404),
        ("?from=1&to=9", 404),
        *((f"?from={bad}", 400) for bad in ("", "0", "01", "x", "-1", "1.0", "٣", "1%00", "<script>", "9" * 40)),
        *((f"?view={bad}", 400) for bad in ("x", "<script>", "columns%00")),
        *((f"?all={bad}", 400) for bad in ("0", "<script>", "11")),
        ("?to=x", 400),
        ("?from=x&to=1", 400),
    ],
)
def test_what_is_no_edition_is_refused_and_not_repeated(client, query, status):
    assert "script>" not in text(client, f"{EDITIONS}2/changes/{query}", status)


@pytest.mark.usefixtures("two")
def test_drafts_are_not_compared_in_public(client):
    factories.draft(kk=KK, ru=RU)
    text(client, f"{EDITIONS}4/changes/", 404)
    text(client, f"{EDITIONS}3/changes/?from=4", 404)


@pytest.mark.parametrize(
    ("unit", "names"),
    [
        (Clause("section", "2", "", "2."), ("2‑бөлім", "раздел 2")),
        (Clause("clause", "2.3", "", "2.3."), ("2.3‑тармақ", "пункт 2.3")),
        (Clause("subclause", "2.3.1", "", "2.3.1."), ("2.3.1‑тармақша", "подпункт 2.3.1")),
        (Clause("subclause", "1.1-2", "", "2)", "1.1"), ("1.1‑тармақтың 2) тармақшасы", "подпункт 2) пункта 1.1")),
        (Clause("subclause", "1.1-2", "", "2.", "1.1"), ("1.1‑тармақтың 2) тармақшасы", "подпункт 2) пункта 1.1")),
        (Clause("item", "1.1-2b", "", "ә)", "1.1-2"), ("1.1‑тармақтың 2) ә) тармақшасы", "подпункт 2) ә) пункта 1.1")),
        (Clause("item", "2-a", "", "а)", "2"), ("2‑бөлімнің а) тармақшасы", "подпункт а) раздела 2")),
        (Clause("title", "", ""), ("атауы", "название")),
    ],
)
def test_a_structural_element_is_called_as_lawyers_call_it(unit, names):
    from django.utils import translation

    for language, name in zip(("kk", "ru"), names, strict=True):
        with translation.override(language):
            assert unit_name(unit) == name


@pytest.mark.usefixtures("two")
def test_each_change_has_its_place_and_links_to_its_neighbours(client):
    page = text(client, f"{EDITIONS}2/changes/")
    chips = re.findall(r'<li><a data-kind="(\w+)" href="#([^"]+)">([^<]+)', page)
    assert chips == [
        *(("changed", "1.2", "1.2"), ("deleted", "was-1.3", "1.3")),
        *(("moved", "1.3", "1.3"), ("added", "1.4", "1.4")),
    ]
    assert re.findall(r'<th scope="row" id="(change-\d)">', page) == [f"change-{place}" for place in (1, 2, 3, 4)]
    second = page.partition('id="change-2"')[2].partition("</th>")[0]
    assert re.findall(r'href="#(change-\d)"', second) == ["change-1", "change-3"]
    assert "2 of 4" in plain(second)


def test_columns_are_called_by_their_states_if_the_official_titles_are_not_true(client):
    factories.published(kk=KK, ru=RU)
    factories.published(kk=KK_2, ru=RU_2, effective_from=timezone.now() + timedelta(days=3)).cancel()
    factories.published(kk=KK_2, ru=RU_2, effective_from=timezone.now() + timedelta(days=5))
    for number, other, titles in (
        (3, 1, ["Редакция № 1 действует действующая редакция", "Редакция № 3 ещё не вступила в силу новая редакция"]),
        (1, 3, ["Редакция № 3 ещё не вступила в силу ещё не вступила в силу", "Редакция № 1 действует действует"]),
        (2, 1, ["Редакция № 1 действует действует", f"Редакция № 2 {'отменена до вступления в силу ' * 2}".strip()]),
    ):
        page = text(client, f"/ru/agreements/terms/editions/{number}/changes/?from={other}")
        head = page.partition("<thead>")[2].partition("</thead>")[0]
        assert [plain(cell) for cell in re.findall(r'<th scope="col">(.*?)</th>', head)][2:] == titles
    assert "Редакция № 2 была отменена до вступления в силу.</strong> Сейчас действует редакция № 1." in page
    assert "Редакция № 2 (отменена до вступления в силу)" in page
    neighbours = text(client, "/ru/agreements/terms/editions/3/changes/?from=1")
    assert "Объявлена редакция № 3.</strong> Сейчас действует редакция № 1." in neighbours


@pytest.mark.usefixtures("two")
def test_what_the_reader_chose_is_kept_by_every_link_the_form_and_the_languages(client):
    page = text(client, f"{EDITIONS}3/changes/?from=1&view=inline&all=1")
    here = "/agreements/terms/editions/3/changes/?from=1&amp;"
    assert f'href="/ru{here}view=inline&amp;all=1" lang="ru"' in page
    assert f'hreflang="ru" href="http://127.0.0.1:8000/ru{here.removesuffix("&amp;")}"' in page
    assert f'href="/en{here}view=columns&amp;all=1"' in page
    assert f'href="/en{here}view=inline" >Changed only' in page.replace('"> ', '" >').replace('">Ch', '" >Ch')
    assert f'rel="prev" href="{EDITIONS}2/changes/?view=inline&amp;all=1"' in page
    assert '<input type="hidden" name="view" value="inline"> <input type="hidden" name="all" value="1">' in page
    assert "<details><summary>Clause" not in page
    response = client.get(f"{EDITIONS}3/changes/?from=1&to=2&view=inline&all=1")
    assert response["Location"] == f"{EDITIONS}2/changes/?from=1&view=inline&all=1"


def test_the_summaries_of_the_editions_between_are_told(client):
    for number, (kk, ru) in enumerate(((KK, RU), (KK_2, RU_2), (KK, RU)), 1):
        factories.published(kk=kk, ru=ru, summary_kk=f"Қысқаша {number}.", summary_ru=f"Коротко {number}.")
    told = {
        (number, other): re.findall(
            r"Коротко (\d)",
            text(client, f"/ru/agreements/terms/editions/{number}/changes/?from={other}").partition("<body")[2],
        )
        for number, other in ((2, 1), (3, 1), (1, 3))
    }
    assert told == {(2, 1): ["2"], (3, 1): ["2", "3"], (1, 3): []}


# Both languages


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize("address", ["bilingual/", "editions/2/bilingual/"])
def test_both_languages_stand_beside_each_other_by_number(client, address):
    page = text(client, f"/kk/agreements/terms/{address}")
    pair = re.search(r'<div class="agreement-pair" id="1.2">(.*?) </div>', page)[1]
    assert re.search(r'<div lang="kk">.*бес жылды.*</div> <div lang="ru">.*пять лет.*</div>', pair)
    assert page.count(' id="1.2"') == 1
    assert '<span lang="kk">Келісім</span>' in page
    assert '<span lang="ru">Соглашение</span>' in page


def test_before_the_first_edition_there_is_nothing_to_read_in_two_languages(client):
    factories.published(effective_from=timezone.now() + timedelta(days=3))
    text(client, "/kk/agreements/terms/bilingual/", 404)
    text(client, "/kk/agreements/terms/editions/1/bilingual/")


# Banners


def test_an_edition_that_does_not_bind_leads_to_the_one_that_does(client):
    factories.published(kk=KK, ru=RU)
    factories.published(kk=KK_2, ru=RU_2)
    factories.published(effective_from=timezone.now() + timedelta(days=3))

    for name in ("editions/{}/", "editions/{}/bilingual/"):
        old, now, next_one = (text(client, f"/en/agreements/terms/{name.format(number)}") for number in (1, 2, 3))
        assert "This edition is no longer in force.</strong> Edition 2 is in force now." in old
        assert "Until then, edition 2 is in force.</strong>" in next_one
        for page in (old, next_one):
            assert '<a href="/en/agreements/terms/">Read the edition in force</a>' in page
        assert "agreement-banner" not in now
    factories.published(kk=KK, ru=RU, effective_from=timezone.now() + timedelta(days=5))
    after_next = text(client, "/en/agreements/terms/editions/4/")
    assert "Edition 2 is in force now.</strong>" in after_next
    assert "Until then" not in after_next


@pytest.mark.parametrize("address", ["editions/2/", "editions/2/changes/", "editions/2/bilingual/"])
def test_hostile_words_are_words_in_a_redline_too(client, address):
    for evil in ("<script>alert(1)</script>", '"><img src=x onerror=alert(2)>'):
        body = f"# Т\n\n1.1. Бір екі үш төрт бес {evil} алты жеті.\n\n1.2. {evil} сегіз тоғыз он.\n"
        factories.published(kk=body, ru=body)
    page = text(client, f"/kk/agreements/terms/{address}")
    page = re.sub(r'<script type="application/ld\+json">[^<]*</script>', "", page)
    assert not re.search(OURS_ALONE, page, re.IGNORECASE)
    assert "&lt;img src=x" in page
