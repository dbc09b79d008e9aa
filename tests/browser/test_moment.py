"""A page that stays open over the moment the next edition takes effect."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from tests.support import factories

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize(
    ("address", "where", "old", "new"),
    [
        ("/ru/agreements/terms/", ".agreement-kicker", "Редакция №\u00a01", "Редакция №\u00a02"),
        ("/ru/materials/", ".agreement-announcements", "объявлена редакция №\u00a02.", "новая редакция (№\u00a02)."),
    ],
    ids=["the agreement", "a page with a banner"],
)
def test_a_page_open_over_the_moment_is_new_when_it_is_loaded_again(live_server, window, address, where, old, new):
    page = window()
    factories.published()
    moment = timezone.now() + timedelta(seconds=4)
    factories.published(effective_from=moment)

    before = page.goto(live_server.url + address)
    unchanged = page.reload()
    assert old in page.locator(where).first.inner_text()
    assert timezone.now() < moment, "the machine is too slow for this test"
    assert unchanged.headers["etag"] == before.headers["etag"]
    page.wait_for_timeout((moment - timezone.now()).total_seconds() * 1000)

    after = page.reload()
    assert timezone.now() < moment + timedelta(seconds=1)
    assert new in page.locator(where).first.inner_text()
    assert old not in page.locator(where).first.inner_text()
    assert after.headers["etag"] != before.headers["etag"]
