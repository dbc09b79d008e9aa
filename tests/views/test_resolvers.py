"""The pages under URL patterns and prefixes that are not those of a plain Django site."""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from django.conf.urls.i18n import i18n_patterns
from django.contrib.sitemaps import views
from django.test import Client
from django.urls import URLPattern, clear_script_prefix, include, path, re_path, set_script_prefix
from django.urls.resolvers import RoutePattern, URLResolver
from django.utils import translation

from agreement import urls
from agreement.editions import citations
from agreement.models import Notice
from agreement.notices.letters import letter
from agreement.seal.log import Checkpoint
from agreement.sitemaps import AgreementSitemap
from tests.support import factories
from tests.support.signed_logs import SECRET, Reader

pytestmark = pytest.mark.django_db


def as_expressions(patterns: list[URLPattern]) -> list[URLPattern]:
    """The same patterns as regular expressions without converters: django CMS builds those of an apphook this way."""
    return [
        re_path(one.pattern.regex.pattern, one.callback, one.default_args, name=one.name)  # type: ignore[attr-defined]
        for one in patterns
    ]


def site(settings: Any, *patterns: Any) -> Client:
    urlconf: Any = ModuleType("urlconf")
    urlconf.urlpatterns = list(patterns)
    settings.ROOT_URLCONF = urlconf
    # Without the portal's own templates, which link to its other pages.
    settings.TEMPLATES = [{**engine, "DIRS": []} for engine in settings.TEMPLATES]
    return Client()


ADDRESSES = [
    "", "verify/", "schema.json", "terms/", "terms/bilingual/", "terms/current.json", "terms/editions.json",
    "terms/editions/", "terms/editions/2/", "terms/editions/2.json", "terms/editions/2/changes/",
    "terms/editions/2/bilingual/", "terms/editions/2/amendment/", "terms/editions/2/amendment.json",
    "terms/editions/2.kk.md", "terms/editions/2.ru.txt", "terms/editions/2/manifest.json", "terms/clauses/1.1/",
    "terms/clauses/1.1.json", "terms/feed/", "terms/timemap/", "terms/at/", "terms/at/2199-01-01/",
    "terms/editions/2/manifest.json.tlog-proof", "terms/log/checkpoint", "terms/log/key", "terms/log/key.pem",
    "terms/log/tile/0/000.p/2", "terms/log/tile/entries/000.p/2",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _editions(settings) -> None:
    settings.AGREEMENT = {**settings.AGREEMENT, "LOG_KEY": SECRET}
    for number in (1, 2):
        kk, ru = (text.replace("1.2.", f"1.2. {number}") for text in (factories.KK, factories.RU))
        factories.published(kk=kk, ru=ru)


@pytest.mark.parametrize("address", ADDRESSES)
def test_every_address_answers_under_an_apphook(settings, address):
    hooked = (as_expressions(urls.urlpatterns), "agreement")
    client = site(settings, *i18n_patterns(path("rules/", include(hooked))))
    response = client.get(f"/ru/rules/{address}", follow=True)
    assert response.status_code == 200, response.redirect_chain
    plain = site(settings, *i18n_patterns(path("rules/", include("agreement.urls")))).get(
        f"/ru/rules/{address}", follow=True
    )
    assert response.content == plain.content


def test_a_number_that_no_edition_has_is_404_under_an_apphook(settings):
    hooked = (as_expressions(urls.urlpatterns), "agreement")
    client = site(settings, path("rules/", include(hooked)))
    for number in (3, 9_999_999_999):
        assert client.get(f"/rules/terms/editions/{number}/").status_code == 404


class KazakhOnly(URLResolver):
    """The app's addresses, while Kazakh is active: as an apphook on a page of django CMS that has no other version."""

    @property
    def url_patterns(self) -> list[URLPattern]:  # type: ignore[override]
        return urls.urlpatterns if translation.get_language() == "kk" else []


def test_a_page_that_exists_in_one_language_has_no_links_to_the_others(settings):
    client = site(settings, *i18n_patterns(path("rules/", include("agreement.urls"))))
    assert b'href="/ru/' in client.get("/kk/rules/terms/").content

    hooked = KazakhOnly(RoutePattern("rules/"), urls, app_name="agreement", namespace="agreement")
    client = site(settings, *i18n_patterns(hooked))
    for address in ADDRESSES:
        response = client.get(f"/kk/rules/{address}", follow=True)
        assert response.status_code == 200, address
        assert b'href="/ru/' not in response.content, address
    assert client.get("/ru/rules/terms/").status_code == 404


def test_letters_citations_and_the_sitemap_lead_to_the_language_that_a_page_exists_in(settings):
    hooked = KazakhOnly(RoutePattern("rules/"), urls, app_name="agreement", namespace="agreement")
    sitemap = path("sitemap.xml", views.sitemap, {"sitemaps": {"agreements": AgreementSitemap}})
    client = site(settings, *i18n_patterns(hooked), sitemap)
    found = client.get("/sitemap.xml").content.decode()
    assert "/kk/rules/terms/editions/2/" in found
    assert "/ru/" not in found

    with translation.override("ru"):
        assert citations.agreement_path("terms") == "/kk/rules/terms/"
        assert citations.cite_clause("1.1", "terms").path == "/kk/rules/terms/editions/2/#1.1"
        assert translation.get_language() == "ru"

    notice = Notice.objects.latest("pk")
    texts = [letter(notice, language, since=1).text for language in ("kk", "ru", "mul")]
    assert all("/kk/rules/terms/editions/2/" in text and "/ru/" not in text for text in texts)


@pytest.fixture
def _script_name(settings) -> Iterator[None]:
    """As the WSGI handler sets it for each request, and ``django.setup()`` in a worker."""
    settings.FORCE_SCRIPT_NAME = "/portal"
    set_script_prefix("/portal/")
    yield
    clear_script_prefix()


@pytest.mark.usefixtures("_script_name")
def test_the_origin_of_a_log_is_its_address_under_the_script_name(settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "BASE_URL": "https://portal.example.kz"}
    client = site(settings, *i18n_patterns(path("rules/", include("agreement.urls"))))
    factories.published(slug="others")

    note = Reader(client, "/ru/rules/others/log").note()

    assert Checkpoint.parse(note).origin == "portal.example.kz/portal/kk/rules/others/log"
    data = client.get("/ru/rules/others/editions/1.json").json()["log"]
    assert data["newest"] == f"https://{Checkpoint.parse(note).origin}/checkpoint"


@pytest.mark.usefixtures("_script_name")
def test_every_link_stays_under_the_script_name(settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "BASE_URL": "https://portal.example.kz"}
    client = site(settings, *i18n_patterns(path("rules/", include("agreement.urls"))))
    found = set()
    for address in ADDRESSES:
        response = client.get(f"/ru/rules/{address}")
        words = response.headers.get("Location", "") + response.content.decode(errors="replace")
        links = set(re.findall(r"""(?:\bhref="|https://portal\.example\.kz|^)(/[^"\s<>&]*)""", words))
        wrong = {link for link in links if not link.startswith(("/portal/", "/static/"))}
        assert not wrong, address
        found |= links
    assert "/portal/ru/rules/terms/editions/2/changes/" in found
    notice = Notice.objects.latest("pk")
    assert "https://portal.example.kz/portal/ru/rules/terms/" in letter(notice, "ru", since=1).text
