"""The tags for other pages of the site: what they say, what they cost, and what becomes of a page when they can't."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from django.db import connection
from django.template import Context, Template, TemplateSyntaxError
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation

from agreement.editions import citations, timeline
from tests.support import factories

pytestmark = pytest.mark.django_db

TEXT = {
    "kk": "# Келісім\n\n## 2. ПАЙДАЛАНУ\n\n2.1. **Оқуға** болады, 2.2-тармақты қараңыз:\n\n1) үйде;\n\n2) жолда.\n\n"
    "2.2. <b>Сілтеме</b> қойыңыз.\n",
    "ru": "# Соглашение\n\n## 2. ИСПОЛЬЗОВАНИЕ\n\n2.1. **Читать** можно, см. пункт 2.2:\n\n1) дома;\n\n2) в пути.\n\n"
    "2.2. <b>Ссылайтесь</b>.\n",
}
PAGE = "/ru/agreements/terms/editions/1/"


@pytest.fixture(autouse=True)
def _fresh():
    timeline.clear()
    for remembered in (citations._sealed, citations._quoted, citations.log_once):
        remembered.cache_clear()
    with translation.override("ru"):
        yield


def show(source: str, **context: object) -> str:
    return Template("{% load agreement %}" + source).render(Context(context)).strip()


def test_the_address_is_that_of_the_edition_in_force():
    factories.published()
    assert show("{% agreement_url %}") == "/ru/agreements/terms/"
    assert show('{% agreement_url "privacy" %}') == "/ru/agreements/privacy/"


def test_the_sentence_names_the_edition_in_force_and_its_date():
    factories.published()
    factories.published()
    year = timezone.localdate().year
    sentence = show("{% agreement_validity %}")
    assert sentence.startswith("Редакция №\u00a02. Эта редакция действует с\u00a0")
    assert f"{year}\u00a0г." in sentence
    assert sentence.endswith("Она заменила редакцию №\u00a01.")


def test_before_the_first_edition_the_sentence_is_of_the_announced_one(settings):
    factories.published(effective_from=timezone.now() + timedelta(days=3))
    assert "вступает в силу" in show("{% agreement_validity %}")
    settings.AGREEMENT = {**settings.AGREEMENT, "SHOW_SCHEDULED": False}
    assert show("{% agreement_validity %}") == ""


def test_a_clause_is_quoted_with_all_that_stands_in_it_and_its_source():
    factories.published(**TEXT)
    found = show('{% agreement_clause "2.1" %}')

    assert f'<blockquote class="agreement-text" cite="{PAGE}#2.1" lang="ru">' in found
    assert "<strong>Читать</strong> можно" in found
    assert "дома;" in found
    assert "в пути." in found
    assert "Ссылайтесь" not in found
    # Links to other clauses lead to the agreement's page, and no id can meet one of the page around.
    assert f'href="{PAGE}#2.2"' in found
    assert f'href="{PAGE}#2.1-1"' in found
    assert 'href="#' not in found
    assert "id=" not in found
    assert (
        f'<figcaption class="agreement-small"><a href="{PAGE}#2.1"><span lang="ru">Соглашение</span>, реда'
        in " ".join(found.split())
    )


@pytest.mark.parametrize(
    ("language", "number", "source"),
    [
        ("ru", "2", "редакция №\u00a01, раздел 2"),
        ("ru", "2.1", "редакция №\u00a01, пункт 2.1"),
        ("ru", "2.1-2", "редакция №\u00a01, подпункт 2) пункта 2.1"),
        ("kk", "2.1-2", "1\u2011редакция, 2.1\u2011тармақтың 2) тармақшасы"),
        ("en", "2.1-2", "edition 1, item 2) of clause 2.1"),
    ],
)
def test_the_source_of_a_quotation_names_the_unit_with_what_contains_it(language, number, source):
    factories.published(**TEXT)
    with translation.override(language):
        found = show(f'{{% agreement_clause "{number}" %}}')
    assert f", {source}</a></figcaption>" in found


def test_a_clause_gives_its_parts_to_a_template():
    factories.published(**TEXT)
    source = (
        '{% agreement_clause "2." as section %}{{ section.label }}|{{ section.text }}|{{ section.edition }}|'
        "{% for clause in section.clauses %}{{ clause.number }}={{ clause.text }} {{ clause.path }};{% endfor %}"
    )
    assert show(source) == (
        f"2.|ИСПОЛЬЗОВАНИЕ|1|2.1=Читать можно, см. пункт 2.2: {PAGE}#2.1;2.2=&lt;b&gt;Ссылайтесь&lt;/b&gt;. {PAGE}#2.2;"
    )
    assert show('{% agreement_clause "2.1" as it %}{{ it.clauses.0.number }} {{ it.clauses.1.label }}') == "2.1-1 2)"
    assert show('{% agreement_clause "2.1" as it %}{{ it.clauses.1.name }}') == "подпункт 2) пункта 2.1"
    assert "&lt;b&gt;Ссылайтесь" in show('{% agreement_clause "2.2" %}')


@pytest.mark.parametrize(("language", "prevailing", "words"), [("kk", "", "Оқуға"), ("en", "ru", "Читать")])
def test_a_clause_speaks_the_pages_language_or_the_prevailing_one(language, prevailing, words):
    factories.published(**TEXT, prevailing_language=prevailing)
    with translation.override(language):
        found = show('{% agreement_clause "2.1" %}')
    assert words in found
    assert f'lang="{prevailing or language}"' in found


def test_the_clause_in_force_follows_a_publication():
    factories.published(**TEXT)
    assert "Читать" in show('{% agreement_clause "2.1" %}')
    factories.published(kk=TEXT["kk"].replace("Оқуға", "Көруге"), ru=TEXT["ru"].replace("Читать", "Смотреть"))
    found = show('{% agreement_clause "2.1" %}')
    assert "Смотреть" in found
    assert "/editions/2/#2.1" in found


def test_a_missing_clause_is_an_error_to_the_author_and_a_link_to_the_reader(settings, caplog):
    factories.published(**TEXT)
    settings.DEBUG = True
    with pytest.raises(
        TemplateSyntaxError, match=r"A page cites clause '9\.9', which edition 1 of 'terms' does not have\."
    ):
        show('{% agreement_clause "9.9" %}')

    settings.DEBUG = False
    with caplog.at_level(logging.WARNING, "agreement"):
        for _ in range(3):
            shown = show('{% agreement_clause "9.9" %}{% agreement_clause "9.9" as it %}[{{ it.text }}{{ it.html }}]')
    assert shown == '<a href="/ru/agreements/terms/"><span lang="ru">Соглашение</span></a>[]'
    assert [record.message for record in caplog.records] == [
        "A page cites clause '9.9', which edition 1 of 'terms' does not have."
    ]


def test_the_numbers_of_the_text_in_force_are_those_that_can_be_cited():
    assert citations.clause_numbers("terms") == ()
    factories.published(effective_from=timezone.now() + timedelta(days=3), slug="announced", **TEXT)
    assert citations.clause_numbers("announced") == ()
    factories.published(**TEXT)
    numbers = citations.clause_numbers("terms")
    assert numbers == ("2", "2.1", "2.1-1", "2.1-2", "2.2")
    assert all(citations.cite_clause(number, "terms").text for number in numbers)


def test_the_changes_are_those_of_the_edition_in_force_or_of_the_one_with_that_number(settings):
    def cited(number: int | None = None) -> tuple[int | None, int | None, str] | None:
        found = citations.cite_changes("terms", number)
        if found is None:
            return None
        return found.comparison.old.edition.number, found.comparison.new.edition.number, found.path

    assert cited() is None
    factories.published(**TEXT)
    assert cited() is None, "It replaced no edition."
    for word in ("Смотреть", "Слушать"):
        factories.published(kk=TEXT["kk"], ru=TEXT["ru"].replace("Читать", word))
    factories.published(effective_from=timezone.now() + timedelta(days=3), **TEXT)
    assert cited() == (2, 3, "/ru/agreements/terms/editions/3/changes/")
    assert cited(2) == (1, 2, "/ru/agreements/terms/editions/2/changes/")
    assert cited(4) == (3, 4, "/ru/agreements/terms/editions/4/changes/")
    settings.AGREEMENT = {**settings.AGREEMENT, "SHOW_SCHEDULED": False}
    assert cited(4) is None
    assert cited(9) is None
    with CaptureQueriesContext(connection) as made:
        cited()
    assert len(made) == 1, "Only the dates are read, because this test is a transaction."


def test_a_page_of_an_editor_hears_what_is_missing_instead_of_an_error(settings, caplog):
    settings.DEBUG = True
    factories.published(**TEXT)
    heard: list[str] = []

    missing = citations.cite_clause("9.9", "terms", report=heard.append)
    unknown = citations.cite_clause("2.1", "privacy", report=heard.append)
    validity = citations.validity_sentence("privacy", report=heard.append)

    assert (missing.text, missing.edition, unknown.edition, validity) == ("", 1, None, "")
    assert [("9.9" in one, "privacy" in one) for one in heard] == [(True, False), (False, True), (False, True)]
    assert caplog.records == []


def test_a_clause_of_an_unknown_agreement_leads_to_the_list_and_breaks_no_page():
    for slug in ("unknown", "no slug"):
        assert 'href="/ru/agreements/"' in show(f'{{% agreement_clause "2.1" slug="{slug}" %}}')


@pytest.mark.parametrize("number", ["", ".", " "])
def test_an_empty_number_is_no_clause(settings, number):
    """The title and every other unit without a number have an empty number."""
    factories.published(**TEXT)
    settings.DEBUG = True
    with pytest.raises(TemplateSyntaxError, match="cites clause ''"):
        show(f'{{% agreement_clause "{number}" %}}')


def test_a_clause_of_the_only_agreement_that_is_announced_leads_to_it():
    factories.published(effective_from=timezone.now() + timedelta(days=3), **TEXT)
    assert 'href="/ru/agreements/terms/"' in show('{% agreement_clause "2.1" %}')


def test_a_number_without_quotes_is_refused_since_2_10_would_be_2_1():
    factories.published(**TEXT)
    with pytest.raises(TemplateSyntaxError, match=r"2\.1 is not a string\. Write the number of the clause in quotes"):
        show("{% agreement_clause 2.10 %}")


@pytest.mark.parametrize("tag", ["{% agreement_url %}", "{% agreement_validity %}", '{% agreement_clause "2.1" %}'])
def test_of_several_agreements_one_is_to_be_named(settings, caplog, tag):
    factories.published(slug="terms", **TEXT)
    factories.published(slug="privacy", **TEXT)
    settings.DEBUG = True
    with pytest.raises(
        TemplateSyntaxError, match=r"several agreements \(privacy, terms\)\. Name one of them: \{% agreement_"
    ):
        show(tag)
    named = tag.replace(" %}", ' "privacy" %}').replace('"privacy"', 'slug="privacy"')
    assert show(named)

    settings.DEBUG = False
    with caplog.at_level(logging.WARNING, "agreement"):
        assert show(tag) in {
            "/ru/agreements/",
            "",
            '<a href="/ru/agreements/">Пользовательские соглашения</a>',
        }
    assert len(caplog.records) == 1


@pytest.mark.parametrize("debug", [True, False])
def test_without_a_slug_the_configured_agreement_is_meant_however_many_there_are(settings, caplog, debug):
    settings.DEBUG = debug
    settings.AGREEMENT = {**settings.AGREEMENT, "DEFAULT_AGREEMENT": "terms"}
    factories.published(slug="privacy", **TEXT)
    tags = "{% agreement_url %} {% agreement_validity %}{% agreement_clause '2.1' as clause %}{{ clause.text }}"
    with caplog.at_level(logging.WARNING, "agreement"):
        assert show(tags) == "/ru/agreements/", "it is not published yet"
        factories.published(slug="terms", **TEXT)
        timeline.clear()
        assert show(tags).startswith("/ru/agreements/terms/ Редакция №\u00a01.")
        assert "Читать" in show(tags)
    assert not caplog.records


def test_a_citation_in_a_variable_is_the_quotation_and_not_its_source():
    factories.published(**TEXT)
    quotation = show('{% agreement_clause "2.1" %}')
    assert quotation.startswith("<figure")
    assert show('{% agreement_clause "2.1" as clause %}{{ clause }}') == quotation


def test_an_unknown_agreement_is_named_with_those_there_are(settings):
    factories.published(slug="terms", **TEXT)
    settings.DEBUG = True
    with pytest.raises(
        TemplateSyntaxError, match=r"the agreement 'tems', which has no published edition.*These agreements do: terms"
    ):
        show('{% agreement_clause "2.1" "tems" %}')


def test_a_site_that_has_published_nothing_shows_its_pages(settings):
    settings.DEBUG = True
    assert show("{% agreement_url %}") == "/ru/agreements/"
    assert show("{% agreement_validity %}{% agreement_banner %}") == ""
    assert show('{% agreement_clause "2.1" %}') == '<a href="/ru/agreements/">Пользовательские соглашения</a>'


# The banner


def banner(**options: object) -> str:
    return show("{% agreement_banner " + " ".join(f"{name}={value!r}" for name, value in options.items()) + " %}")


def test_the_banner_shows_a_second_edition_for_some_days_and_no_first_one():
    start = timezone.now() - timedelta(days=30)
    factories.draft().record(effective_from=start)
    assert banner(days=40) == ""
    factories.draft().record(effective_from=start + timedelta(days=20))

    assert banner(days=9) == ""
    found = banner(days=11)
    assert "редакция (№\u00a02)" in found
    assert 'href="/ru/agreements/terms/editions/2/"' in found
    assert 'href="/ru/agreements/terms/editions/2/changes/"' in found


def test_the_banner_shows_an_announced_edition_if_the_site_does(settings):
    factories.published()
    edition = factories.published(effective_from=timezone.now() + timedelta(days=90))
    assert "объявлена редакция №\u00a02." in banner()
    assert 'data-state="scheduled"' in banner()
    settings.AGREEMENT = {**settings.AGREEMENT, "SHOW_SCHEDULED": False}
    assert banner() == ""
    settings.AGREEMENT = {**settings.AGREEMENT, "SHOW_SCHEDULED": True}
    edition.cancel()
    assert banner() == ""


def test_the_banner_speaks_of_every_agreement_or_of_one():
    for slug in ("terms", "privacy"):
        factories.published(slug=slug)
        factories.published(slug=slug)
    assert banner().count("agreement-note") == 2
    assert banner(slug="terms").count("agreement-note") == 1
    assert banner(slug="other") == ""


@pytest.mark.django_db(transaction=True)
def test_warm_the_tags_cost_no_query():
    factories.published(**TEXT)
    factories.published(**TEXT)
    source = '{% agreement_url %}{% agreement_validity %}{% agreement_clause "2" %}{% agreement_banner %}'
    first = show(source)
    with CaptureQueriesContext(connection) as captured:
        assert show(source) == first
    assert len(captured) == 0


# The portal's page


def test_the_materials_quote_section_two_in_force(client, settings):
    from portal_site.management.commands import demo

    settings.AGREEMENT = {**settings.AGREEMENT, "DEFAULT_AGREEMENT": demo.SLUG}
    demo.make_people()
    demo.load_samples()
    page = client.get("/ru/materials/").content.decode()

    for number in ("2.1", "2.2", "2.3"):
        assert f'href="/ru/agreements/{demo.SLUG}/editions/3/#{number}"' in page
    assert "Новости и обзоры Портала можно распространять" in page
    assert "Редакция №\u00a03. Эта редакция действует с" in page
    assert '<div class="portal-shelf" lang="kk">' in client.get("/en/materials/").content.decode()
    assert 'href="/ru/materials/"' in client.get("/ru/").content.decode()


def test_the_materials_stand_without_an_agreement(client):
    for language in ("kk", "ru", "en"):
        assert client.get(f"/{language}/materials/").status_code == 200
