"""The Atom feed and the sitemap: valid, one entry a publication, dates that stay."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import feedparser
import pytest
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import include, path
from django.utils import timezone, translation

from agreement.editions import timeline
from agreement.sitemaps import AgreementSitemap
from agreement.views import feeds
from portal_site.management.commands import demo
from tests.support import factories

pytestmark = pytest.mark.django_db

# A site whose addresses hold no language.
urlpatterns = [path("legal/", include("agreement.urls"))]

FEED = "/ru/agreements/terms/feed/"
ATOM = "{http://www.w3.org/2005/Atom}"
XHTML = "{http://www.w3.org/1999/xhtml}"
SITEMAP = "{http://www.sitemaps.org/schemas/sitemap/0.9}"
LATER = timedelta(days=10)

#: RFC 4287, 4.1.1 and 4.1.2: how often each element may stand in a feed and in an entry. None: any number.
FEED_MAY = {
    **dict.fromkeys(("id", "title", "updated"), (1, 1)),
    **dict.fromkeys(("generator", "icon", "logo", "rights", "subtitle"), (0, 1)),
    **dict.fromkeys(("author", "category", "contributor", "link", "entry"), (0, None)),
}
ENTRY_MAY = {
    **dict.fromkeys(("id", "title", "updated"), (1, 1)),
    **dict.fromkeys(("content", "published", "rights", "source", "summary"), (0, 1)),
    **dict.fromkeys(("author", "category", "contributor", "link"), (0, None)),
}
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


def faults(document: bytes) -> list[str]:
    """What RFC 4287 forbids in this feed: its grammar, and the rules beside it that a feed of ours could break."""
    root = ET.fromstring(document)  # noqa: S314 - it is ours
    found = [] if root.tag == f"{ATOM}feed" else [f"root {root.tag}"]
    entries = root.findall(f"{ATOM}entry")
    for element, may in [(root, FEED_MAY), *((entry, ENTRY_MAY) for entry in entries)]:
        names = [child.tag.removeprefix(ATOM) for child in element]
        found += [f"{name} in {element.tag}" for name in names if name not in may]
        for name, (least, most) in may.items():
            if not least <= names.count(name) <= (most or len(names)):
                found.append(f"{names.count(name)} {name} in {element.tag}")
        links = element.findall(f"{ATOM}link")
        alternates = [(link.get("type"), link.get("hreflang")) for link in links if link.get("rel") == "alternate"]
        if len(set(alternates)) != len(alternates) or not alternates:
            found.append(f"alternates {alternates}")
        found += [f"link {link.attrib}" for link in links if not urlsplit(link.get("href", "")).netloc]
    for element in root.iter():
        name, text = element.tag.removeprefix(ATOM), element.text or ""
        if name in {"updated", "published"} and not RFC3339.fullmatch(text):
            found.append(f"{name} {text!r}")
        if name == "id" and not urlsplit(text).scheme:
            found.append(f"id {text!r}")
        if name in {"title", "summary"} and element.get("type", "text") not in {"text", "html"}:
            found.append(f"{name} of type {element.get('type')}")
        if name == "author" and [child.tag for child in element] != [f"{ATOM}name"]:
            found.append("author")
    if not root.findall(f"{ATOM}author"):
        found.append("no author")
    identities = [entry.findtext(f"{ATOM}id") for entry in entries]
    if len(set(identities)) != len(identities):
        found.append("an id twice")
    if not any(link.get("rel") == "self" for link in root.findall(f"{ATOM}link")):
        found.append("no self")
    return found


def read(client, address: str = FEED) -> feedparser.FeedParserDict:
    """The feed as a parser of feeds reads it; it is well-formed and breaks no rule."""
    response = client.get(address)
    assert (response.status_code, response["Content-Type"]) == (200, "application/atom+xml; charset=utf-8")
    assert faults(response.content) == []
    headers = {"content-type": response["Content-Type"], "content-location": f"http://127.0.0.1:8000{address}"}
    found = feedparser.parse(response.content, response_headers=headers)
    assert (found.bozo, found.version) == (False, "atom10")
    return found


def when(text: str) -> datetime:
    return datetime.fromisoformat(text)


# The feed


def test_the_feed_of_the_demo_is_valid_in_every_language(client):
    demo.make_people()
    slug = demo.load_samples().slug
    identities = set()
    for language in ("kk", "ru", "en"):
        here = f"http://127.0.0.1:8000/{language}/agreements/{slug}/"
        found = read(client, f"/{language}/agreements/{slug}/feed/")
        assert (found.feed.language, found.feed.id, found.feed.link) == (language, here, here)
        assert [entry.link for entry in found.entries] == [f"{here}editions/{number}/" for number in (3, 2, 1)]
        assert {link.rel: link.href for link in found.feed.links}["self"] == f"{here}feed/"
        identities |= {entry.id for entry in found.entries}
    assert len(identities) == 9
    assert all(identity.startswith("urn:uuid:") for identity in identities)


def test_an_entry_has_the_summary_the_date_and_the_digest(client):
    edition = factories.published(summary_ru="Первая строка\n\n<b>Вторая</b>", effective_from=timezone.now() + LATER)

    (entry,) = read(client).entries

    assert entry.title == "Редакция №\u00a01: Пользовательское соглашение"
    assert "<p>Вступление в силу: " in entry.summary
    assert "<p>Первая строка</p>\n\n<p>&lt;b&gt;Вторая&lt;/b&gt;</p>" in entry.summary
    assert edition.digest in entry.summary
    assert when(entry.published) == when(entry.updated) == edition.published_at


def test_an_entry_is_the_same_before_and_after_its_edition_takes_effect_and_is_replaced(client):
    factories.published()
    before = read(client).entries[0]
    factories.published()
    factories.published(effective_from=timezone.now() + LATER)

    after = read(client)

    assert after.entries[-1] == before
    assert [when(entry.updated) for entry in after.entries] == sorted(
        (when(entry.updated) for entry in after.entries), reverse=True
    )
    assert after.feed.updated == after.entries[0].updated


def test_the_entry_of_a_cancelled_edition_is_updated_once(client):
    factories.published()
    edition = factories.published(effective_from=timezone.now() + LATER)
    before = read(client).entries[0]
    factories.published(effective_from=timezone.now() + LATER + LATER)
    edition.cancel()

    found = read(client)

    assert len(found.entries) == 3
    entry = found.entries[1]
    assert (entry.id, entry.published, entry.link) == (before.id, before.published, before.link)
    assert "отменена до вступления в силу" in entry.title
    assert "но была отменена" in entry.summary
    assert when(entry.updated) == edition.cancelled_at == when(found.feed.updated)


def test_history_bears_its_own_dates(client):
    moment = datetime(2024, 2, 12, 3, tzinfo=timezone.get_default_timezone())
    factories.draft().record(effective_from=moment)
    found = read(client)
    assert when(found.feed.updated) == when(found.entries[0].published) == moment


def test_a_site_that_announces_nothing_feeds_an_edition_when_it_takes_effect(client, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "SHOW_SCHEDULED": False}
    first = factories.published()
    factories.published(effective_from=timezone.now() + LATER)
    (entry,) = read(client).entries
    assert when(entry.updated) == first.effective_from


def test_hostile_words_are_words_in_a_feed(client):
    evil = "]]></title><script>alert(1)</script>&amp;\uffff\ufffe"
    body = factories.RU.replace("Пользовательское соглашение", evil)
    factories.published(kk=body, ru=body, summary_kk=evil, summary_ru=evil)

    (entry,) = read(client).entries

    assert b"<script" not in client.get(FEED).content
    assert "&lt;script&gt;" in entry.summary
    assert "<script" not in entry.summary


def test_an_id_is_of_the_digest_and_the_language():
    with translation.override("ru"):
        assert feeds.entry_id("0" * 64) == "urn:uuid:86d80bed-f73d-5923-92d1-c804ab5a4e6b"
    with translation.override("kk"):
        assert feeds.entry_id("0" * 64) != "urn:uuid:86d80bed-f73d-5923-92d1-c804ab5a4e6b"


def test_the_feed_costs_three_queries_reads_no_text_and_is_named_by_every_page(client):
    for _ in range(3):
        factories.published()
    with CaptureQueriesContext(connection) as captured:
        assert client.get(FEED).status_code == 200
    assert len(captured) == 3
    assert "body" not in captured[1]["sql"]
    for name in ("", "editions/", "editions/2/"):
        page = client.get(f"/ru/agreements/terms/{name}").content.decode()
        assert f'<link rel="alternate" type="application/atom+xml" href="{FEED}">' in page
    assert "atom+xml" not in client.get("/ru/agreements/").content.decode()


# The sitemap


def test_the_sitemap_names_every_page_in_every_language(client):
    factories.published()
    factories.published(effective_from=timezone.now() + LATER)
    factories.draft(slug="secret")

    root = ET.fromstring(client.get("/sitemap.xml").content)  # noqa: S314 - it is ours

    base = "http://127.0.0.1:8000"
    names = ("", "bilingual/", "editions/", "editions/1/", "editions/2/", "editions/2/changes/")
    expected = {f"{base}/{code}/agreements/terms/{name}" for code in ("kk", "ru", "en") for name in names}
    found = {url.findtext(f"{SITEMAP}loc"): url for url in root}
    assert set(found) == expected
    for address, url in found.items():
        assert client.get(address).status_code == 200
        alternates = {link.get("hreflang"): link.get("href") for link in url.findall(f"{XHTML}link")}
        tail = address.partition("/agreements/")[2]
        assert alternates == {code: f"{base}/{code}/agreements/{tail}" for code in ("kk", "ru", "en")}
        assert url.findtext(f"{SITEMAP}lastmod") == timezone.localdate().isoformat()


def test_the_sitemap_names_no_page_of_an_agreement_whose_editions_were_all_cancelled(client):
    factories.published(effective_from=timezone.now() + LATER).cancel(reason="Қате.")
    timeline.clear()
    addresses = {AgreementSitemap().location(page) for page in AgreementSitemap().items()}
    assert len(addresses) == 2
    assert {client.get(address).status_code for address in addresses} == {200}


def test_lastmod_is_when_the_content_of_a_page_last_changed(settings):
    first, second = (datetime(year, 2, 1, 4, tzinfo=timezone.get_default_timezone()) for year in (2024, 2025))
    factories.draft().record(effective_from=first)
    factories.draft().record(effective_from=second)
    known = {page.args: page.changed for page in AgreementSitemap().items() if page.name == "edition"}
    assert known == {("terms", 1): second, ("terms", 2): second}

    later = factories.published(effective_from=timezone.now() + LATER)
    known = {page.args: page.changed for page in AgreementSitemap().items() if page.name == "edition"}
    assert known == {("terms", 1): second, ("terms", 2): later.published_at, ("terms", 3): later.published_at}

    settings.AGREEMENT = {**settings.AGREEMENT, "SHOW_SCHEDULED": False}
    assert {page.changed for page in AgreementSitemap().items()} == {second}


def test_no_page_changes_at_the_moment_at_which_a_cancelled_edition_was_to_take_effect(monkeypatch):
    effect = timezone.now() + LATER
    cancelled = factories.published(effective_from=effect)
    cancelled.cancel(reason="Қате.")
    monkeypatch.setattr(timezone, "now", lambda: effect)
    assert {page.changed for page in AgreementSitemap().items()} == {cancelled.cancelled_at}


def test_a_site_without_languages_in_its_addresses_names_each_page_once(settings):
    settings.ROOT_URLCONF = __name__
    settings.AGREEMENT = {**settings.AGREEMENT, "BASE_URL": ""}
    factories.published()
    request = RequestFactory().get("/", headers={"Host": "127.0.0.1"})
    site = type("Site", (), {"domain": request.get_host()})
    found = AgreementSitemap().get_urls(site=site, protocol="http")
    assert [url["location"] for url in found] == [
        f"http://127.0.0.1/legal/terms/{name}" for name in ("", "bilingual/", "editions/", "editions/1/")
    ]
    assert not any(url["alternates"] for url in found)


def test_robots_txt_names_the_sitemap(client):
    response = client.get("/robots.txt")
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert "Sitemap: http://127.0.0.1:8000/sitemap.xml\n" in response.content.decode()
