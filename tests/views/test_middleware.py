"""The public pages behind what other sites have in MIDDLEWARE, and in a transaction for each request."""

from __future__ import annotations

import gzip

import pytest
from django.core.cache import cache
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from agreement.editions import pdf, timeline
from agreement.views.cache import clear
from tests.support import factories

pytestmark = pytest.mark.django_db(transaction=True)

HERE = "/kk/agreements/terms/"
GZIP = {"Accept-Encoding": "gzip"}
CONDITIONAL = "django.middleware.http.ConditionalGetMiddleware"
COMPRESSING = "django.middleware.gzip.GZipMiddleware"
UPDATE, FETCH = "django.middleware.cache.UpdateCacheMiddleware", "django.middleware.cache.FetchFromCacheMiddleware"
#: Name → what stands before the portal's own, and after.
CHAINS = {
    "none": ([], []),
    "gzip": ([COMPRESSING], []),
    "conditional": ([CONDITIONAL], []),
    "gzip, conditional": ([COMPRESSING, CONDITIONAL], []),
    "conditional, gzip": ([CONDITIONAL, COMPRESSING], []),
    "cache": ([UPDATE], [FETCH]),
    "cache, gzip, conditional": ([UPDATE, COMPRESSING, CONDITIONAL], [FETCH]),
}


@pytest.fixture(autouse=True)
def _fresh():
    timeline.clear()
    clear()
    cache.clear()


@pytest.fixture(params=CHAINS)
def chain(request, settings) -> str:
    before, after = CHAINS[request.param]
    assert "whitenoise.middleware.WhiteNoiseMiddleware" in settings.MIDDLEWARE
    settings.MIDDLEWARE = [*before, *settings.MIDDLEWARE, *after]
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    settings.CACHE_MIDDLEWARE_SECONDS = 600
    return request.param


@pytest.mark.parametrize(
    "path",
    [
        HERE,
        *(
            f"{HERE}editions/{rest}"
            for rest in ("", "1/", "1.json", "1.kk.md", "1.kk.pdf", "1.kk.archive.pdf", "1.kk.docx", "1/manifest.json")
        ),
    ],
)
def test_tags_stay_strong_and_each_encoding_has_its_own(client, chain, path):
    factories.published()
    if path.endswith(".pdf") and not pdf.is_available(factories.KK):
        pytest.skip("needs the extra pdf")
    plain, zipped = client.get(path), client.get(path, headers=GZIP)

    assert plain["ETag"].startswith('"')
    assert zipped["ETag"].startswith('"')
    assert "Content-Encoding" not in plain
    if "Content-Encoding" in zipped:
        assert gzip.decompress(zipped.content) == plain.content
        assert zipped["ETag"] != plain["ETag"]
    for response, headers in ((plain, {}), (zipped, GZIP)):
        assert int(response["Content-Length"]) == len(response.content)
        assert "cookie" not in response.get("Vary", "").lower()
        assert response.cookies == {}
        again = client.get(path, headers={**headers, "If-None-Match": response["ETag"]})
        assert again["ETag"] == response["ETag"]
        if not (chain == "cache" and "immutable" in response["Cache-Control"]):  # Whose 200 is the site's own.
            assert (again.status_code, again.content) == (304, b"")


def test_a_sites_own_cache_serves_no_page_past_its_moment(client, chain):
    factories.published()
    first = client.get(HERE)
    assert first["Cache-Control"] == "public, no-cache"
    factories.published()
    timeline.clear()
    second = client.get(HERE)
    assert second["ETag"] != first["ETag"]
    assert "2‑редакция" in second.content.decode()


def test_a_transaction_for_each_request_changes_nothing(client, settings):
    settings.DATABASES["default"]["ATOMIC_REQUESTS"] = True
    connection.settings_dict["ATOMIC_REQUESTS"] = True
    try:
        factories.published()
        factories.published()
        first = client.get(HERE)
        with CaptureQueriesContext(connection) as captured:
            again = client.get(HERE)
            unchanged = client.get(HERE, headers={"If-None-Match": first["ETag"]})
        assert len(captured) == 0
        assert (again.content, unchanged.status_code) == (first.content, 304)
        for path in ("", "editions/", "editions/1/", "editions/2/changes/", "bilingual/", "current.json", "feed/"):
            assert client.get(HERE + path).status_code == 200, path
        assert client.get(f"{HERE}editions/3/").status_code == 404
        # A page of the site's own is in its transaction, and its tags read what that sees.
        assert client.get("/kk/").status_code == 200
        assert client.get("/kk/materials/").status_code == 200
    finally:
        connection.settings_dict["ATOMIC_REQUESTS"] = False


def test_the_tags_see_what_their_transaction_sees(client):
    from agreement.editions import citations

    factories.published()
    with transaction.atomic():
        factories.published()
        assert citations.validity_sentence().startswith("2‑редакция")
        transaction.set_rollback(True)
    assert citations.validity_sentence().startswith("1‑редакция")
