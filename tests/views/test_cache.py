"""How a public page is kept, tagged and compressed, and when it is not."""

from __future__ import annotations

import gzip
import time
from datetime import date, timedelta

import pytest
from django.contrib import messages
from django.contrib.messages.storage.base import Message
from django.contrib.messages.storage.cookie import CookieStorage
from django.db import connection
from django.template import engines
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.http import http_date

from agreement.editions import timeline
from agreement.models import Edition
from agreement.views import cache
from tests.support import factories

HERE = "/kk/agreements/terms/"
ADDRESSES = ["/kk/agreements/", HERE, f"{HERE}editions/", f"{HERE}editions/1/", f"{HERE}editions/1.kk.md"]
GZIP = {"Accept-Encoding": "gzip, deflate, br"}

kept = pytest.mark.django_db(transaction=True)  # Inside a test's transaction nothing is kept.


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    timeline.clear()
    cache.clear()
    # However slow the machine, the dates are not read again between two requests of a test.
    monkeypatch.setattr(timeline, "MAX_AGE_SECONDS", 60)


@kept
@pytest.mark.parametrize("address", ADDRESSES)
def test_a_cached_page_costs_no_query_and_is_the_same(client, address):
    factories.published()
    first = client.get(address)
    with CaptureQueriesContext(connection) as captured:
        again = client.get(address)
    assert len(captured) == 0
    assert (again.content, again.headers) == (first.content, first.headers)


@kept
def test_a_page_changes_at_the_announced_moment_and_not_before(client):
    factories.published()
    moment = timezone.now() + timedelta(seconds=1.5)
    factories.published(effective_from=moment)
    tags: dict[bool, set[str]] = {False: set(), True: set()}

    while (before := timezone.now()) < moment + timedelta(seconds=0.3) or not tags[True]:
        response = client.get("/en/agreements/terms/")
        after = timezone.now()
        if after < moment:
            assert b"Edition 2 is announced" in response.content
        elif before >= moment:
            assert b"Edition 2</span>" in response.content
            assert b"It replaced edition 1." in response.content
        if after < moment or before >= moment:
            tags[before >= moment].add(response["ETag"])
        time.sleep(0.002)

    assert [len(known) for known in tags.values()] == [1, 1]
    assert tags[False] != tags[True]


@kept
def test_an_old_etag_gets_the_new_page(client):
    factories.published()
    held = client.get(HERE)["ETag"]
    assert client.get(HERE, headers={"If-None-Match": held}).status_code == 304
    factories.published()
    timeline.clear()
    assert client.get(HERE, headers={"If-None-Match": held}).status_code == 200


@kept
@pytest.mark.parametrize("address", ADDRESSES[:4])
def test_each_encoding_has_a_strong_tag_of_its_own(client, address):
    factories.published()
    plain, zipped = client.get(address), client.get(address, headers=GZIP)

    assert "Content-Encoding" not in plain
    assert zipped["Content-Encoding"] == "gzip"
    assert gzip.decompress(zipped.content) == plain.content
    assert {plain["ETag"][0], zipped["ETag"][0]} == {'"'}
    assert plain["ETag"] != zipped["ETag"]
    negotiated = "Accept-Datetime, Accept-Encoding" if address == HERE else "Accept-Encoding"
    assert plain["Vary"] == zipped["Vary"] == negotiated
    for response in (plain, zipped):
        assert int(response["Content-Length"]) == len(response.content)
        again = client.get(address, headers={**GZIP, "If-None-Match": response["ETag"]})
        assert (again.status_code, again.content, again["ETag"]) == (304, b"", response["ETag"])
        # What a compressing proxy makes of a strong tag.
        weak = client.get(address, headers={"If-None-Match": f"W/{response['ETag']}"})
        assert weak.status_code == 304
        assert again["Vary"] == negotiated
        assert again["Cache-Control"] == "public, no-cache"


@kept
@pytest.mark.parametrize(
    ("accepted", "zipped"),
    [
        ("gzip", True),
        ("GZIP;q=0.5", True),
        ("*", True),
        ("br, *;q=0.1", True),
        ("gzip;q=1.0, identity; q=0.5", True),
        ("", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000, *", False),
        ("br", False),
        ("xgzip, gzipx", False),
        ("\x80,;;q=,gzip;q=what", True),
    ],
)
def test_gzip_is_sent_to_clients_that_accept_it(client, accepted, zipped):
    factories.published()
    response = client.get(HERE, headers={"Accept-Encoding": accepted})
    assert (response.get("Content-Encoding") == "gzip") is zipped


@kept
@pytest.mark.parametrize("known", ["", "*", "garbage", '"', ", ,", '"a","b"', "W/", "x" * 9000, '"\x80"'])
def test_any_if_none_match_is_answered(client, known):
    factories.published()
    assert client.get(HERE, headers={"If-None-Match": known}).status_code == (304 if known == "*" else 200)


@kept
def test_if_match_is_answered(client):
    factories.published()
    tag = client.get(HERE)["ETag"]
    assert client.get(HERE, headers={"If-Match": tag}).status_code == 200
    assert client.get(HERE, headers={"If-Match": '"other"'}).status_code == 412


@kept
def test_head_has_every_header_of_get(client):
    factories.published()
    get, head = client.get(HERE, headers=GZIP), client.head(HERE, headers=GZIP)
    assert head.content == b""
    assert head.headers == get.headers


@kept
def test_parameters_that_mean_nothing_make_no_second_page(client):
    factories.published()
    client.get(HERE)
    with CaptureQueriesContext(connection) as captured:
        client.get(f"{HERE}?utm_source=letter&from=3")
    assert len(captured) == 0


#: Everything of a request that a visitor can vary without end, by kind: headers and the query of request number n.
VARIATIONS = {
    "port": lambda number: ({"Host": f"127.0.0.1:{number + 1}"}, ""),
    "unknown parameter": lambda number: ({}, f"?utm_source={number}"),
    "date": lambda number: ({}, f"?on={date(2030, 1, 1) + timedelta(days=number)}"),
    "digest in other letters": lambda number: ({}, f"?sha256={in_other_letters(number)}"),
    "spaces before the digest": lambda number: ({}, f"?sha256={'%20' * number}{in_other_letters(0)}"),
    "changes from": lambda number: ({}, f"?from={number}&view={('inline', 'columns')[number % 2]}"),
    "moment": lambda number: ({"Accept-Datetime": http_date(2_000_000_000 + number)}, ""),
    "other headers": lambda number: ({"Accept-Language": f"kk;q=0.{number}", "User-Agent": str(number)}, ""),
}


def in_other_letters(number: int) -> str:
    """The digest of the edition, with upper-case letters by the bits of that number."""
    digest = Edition.objects.latest("number").digest
    return "".join(sign.upper() if number >> place & 1 else sign for place, sign in enumerate(digest))


@kept
@pytest.mark.parametrize("variation", VARIATIONS)
@pytest.mark.parametrize("state", ["in force", "announced"])
def test_no_visitor_can_make_the_process_remember_more_pages(client, variation, state):
    later = timezone.now() + timedelta(days=9)
    factories.published(**({"effective_from": later} if state == "announced" else {}))
    addresses = ["", "terms/", "terms/editions/1/", "terms/editions/1/changes/", "terms/feed/", "verify/"]
    answered = set()
    for number in range(40):
        headers, query = VARIATIONS[variation](number)
        for address in addresses:
            answered.add(client.get(f"/kk/agreements/{address}{query}", headers=headers).status_code)
    assert 200 in answered
    # The page of changes has two layouts beside its own, and one edition to compare with.
    assert len(cache.page_cache._pages) <= len(addresses) + 2


@kept
def test_a_page_has_one_copy_for_every_host(client, settings):
    settings.ALLOWED_HOSTS = ["*"]
    factories.published()
    first = client.get(HERE)
    with CaptureQueriesContext(connection) as captured:
        other = client.get(HERE, headers={"Host": "evil.example:1"})
    assert len(captured) == 0
    assert other.content == first.content


@kept
def test_without_a_base_url_nothing_that_names_the_host_of_a_request_is_remembered(client, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "BASE_URL": ""}
    factories.published()
    for port in range(1, 6):
        assert (
            f"http://127.0.0.1:{port}/kk/" in client.get(HERE, headers={"Host": f"127.0.0.1:{port}"}).content.decode()
        )
    assert not cache.page_cache._pages


@kept
def test_hosts_and_languages_have_pages_of_their_own(client, settings):
    settings.ALLOWED_HOSTS = ["*"]
    settings.AGREEMENT = {**settings.AGREEMENT, "BASE_URL": ""}
    factories.published()
    client.get(HERE)
    assert b"http://evil.example/kk/" in client.get(HERE, headers={"Host": "evil.example"}).content
    assert b"evil.example" not in client.get(HERE).content
    assert b'lang="ru"' in client.get(HERE.replace("kk", "ru")).content


@kept
def test_at_an_address_without_a_language_each_language_has_a_page_of_its_own(client, settings):
    settings.ROOT_URLCONF = "tests.support.addresses_without_language"
    factories.published()
    for language in ("kk", "ru", "kk"):
        answer = client.get("/rules/terms/", headers={"Accept-Language": language})
        assert f'lang="{language}"' in answer.content.decode().partition(">")[2].partition(">")[0]


@kept
def test_the_host_is_the_one_the_site_believes_in(client, settings):
    settings.ALLOWED_HOSTS, settings.USE_X_FORWARDED_HOST = ["*"], True
    settings.AGREEMENT = {**settings.AGREEMENT, "BASE_URL": ""}
    factories.published()
    assert b"http://one.example/kk/" in client.get(HERE, headers={"X-Forwarded-Host": "one.example"}).content
    assert b"http://two.example/kk/" in client.get(HERE, headers={"X-Forwarded-Host": "two.example"}).content


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["", "editions/2/", "editions/2/changes/", "editions/2.kk.md", "bilingual/"])
def test_a_404_is_not_stored_by_caches(client, address):
    missing = f"/kk/agreements/{'terms/' if address.startswith('editions') else 'other/'}{address}"
    factories.published()
    answer = client.get(missing)
    assert (answer.status_code, answer["Cache-Control"]) == (404, "no-store")


FRAMES = {
    "the visitor's name": "{{ user.get_username }}",
    "a form's token": "{% csrf_token %}",
    "a message": "{% for message in messages %}{{ message }}{% endfor %}",
    "the session": "{{ request.session.cart }}",
}


@kept
@pytest.mark.parametrize("shown", FRAMES.values(), ids=FRAMES)
def test_a_page_with_something_personal_in_its_frame_is_not_cached(client, settings, shown):
    frame = (
        "<!doctype html><title>{% block title %}{% endblock %}</title>" + shown + "{% block content %}{% endblock %}"
    )
    settings.TEMPLATES = [
        {
            **{key: value for key, value in settings.TEMPLATES[0].items() if key != "APP_DIRS"},
            "OPTIONS": {
                **settings.TEMPLATES[0]["OPTIONS"],
                "loaders": [
                    ("django.template.loaders.locmem.Loader", {"agreement/base.html": frame}),
                    "django.template.loaders.app_directories.Loader",
                ],
            },
        }
    ]
    engines._engines = {}
    factories.published()
    client.force_login(factories.users(1)[0])
    letters = CookieStorage(RequestFactory().get("/"))
    # A page that says that nothing was found has the same frame.
    nothing = f"/ru/agreements/verify/?sha256={'0' * 64}"
    for address, status, storing in ((HERE, 200, "private, no-cache"), (nothing, 404, "private, no-store")):
        client.cookies["messages"] = letters._encode([Message(messages.INFO, "For user0 alone")])
        own = client.get(address)
        assert (own.status_code, own["Cache-Control"]) == (status, storing)
    assert "user0" not in Client().get(HERE).content.decode()


@kept
def test_a_page_is_rendered_again_after_page_seconds(client, settings):
    factories.published()
    settings.AGREEMENT = {**settings.AGREEMENT, "PAGE_SECONDS": 0}
    client.get(HERE)
    with CaptureQueriesContext(connection) as captured:
        client.get(HERE)
    assert len(captured) == 3


@kept
def test_cached_pages_stay_within_their_limit(client, monkeypatch):
    factories.published()
    monkeypatch.setattr(cache, "CACHE_BYTES", 30_000)
    for number in range(40):
        language = ("kk", "ru", "en")[number % 3]
        client.get(f"/{language}/agreements/terms/")
        client.get(f"/{language}/agreements/terms/editions/1/")
    assert 0 < cache.page_cache._size <= 30_000
    assert cache.page_cache._size == sum(page.size for page in cache.page_cache._pages.values())
