"""Every link on every page of the demo leads to a page, and every fragment to a place on it."""

from __future__ import annotations

import re
from collections import deque
from html.parser import HTMLParser
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import django
import pytest
from django.conf import settings
from django.test import Client

from agreement.models import Edition
from portal_site import mailbox
from portal_site.management.commands import demo

BASE = "http://127.0.0.1:8000"
#: Where links may lead that only a reader's choice makes a place: another site's address in a letter, a mail program.
ELSEWHERE = ("mailto:", "tel:")


class Links(HTMLParser):
    """Where a page leads, what it loads, and the names of its places."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.places: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in {"href", "src", "action"} and value is not None:
                self.found.add(value)
            elif name == "id" and value:
                self.places.append(value)


@pytest.fixture
def portal(settings, tmp_path) -> Client:
    """The demo, filled, with its letters in the mailbox that the portal shows."""
    where = str(tmp_path / "mailbox")
    if django.VERSION >= (6, 1):
        settings.MAILERS = {"default": {"BACKEND": mailbox.BACKEND, "OPTIONS": {"file_path": where}}}
    else:
        settings.EMAIL_BACKEND, settings.EMAIL_FILE_PATH = mailbox.BACKEND, where
    settings.DEBUG = True
    settings.AGREEMENT = {**settings.AGREEMENT, "DEFAULT_AGREEMENT": demo.SLUG}
    demo.make_people()
    demo.load_samples()
    demo.announce(demo.PRIVACY_POLICY)
    demo.dispatch.work()
    assert mailbox.count() > len(demo.READERS)
    return Client()


def read(portal: Client, address: str) -> Links | None:
    """The page at that address, which answers 200; ``None`` for what is no page."""
    # The administration and a user's own pages ask who it is first.
    response = portal.get(
        address, follow="/admin/" in address or address.endswith(("/record/", "/notices/", "/withdraw/"))
    )
    assert response.status_code == 200, address
    if response.streaming:
        assert response.getvalue()
        return None
    if "/admin/" in address or not response["Content-Type"].startswith("text/html"):
        return None
    page = response.content.decode()
    assert not re.search(r'datetime="[^"]*\.\d{4}', page), f"{address}: HTML allows three digits of a second"
    return Links(page)


@pytest.mark.django_db(transaction=True)
def test_every_link_on_every_page_leads_somewhere(portal):
    seen: dict[str, Links | None] = {}
    fragments: set[tuple[str, str, str]] = set()
    waiting = deque(f"{BASE}/{language}/" for language, _name in settings.LANGUAGES)

    while waiting:
        address = waiting.popleft()
        if address in seen:
            continue
        links = seen[address] = read(portal, address.removeprefix(BASE))
        for link in links.found if links else ():
            target, fragment = urldefrag(urljoin(address, link))
            if link.startswith(ELSEWHERE):
                continue
            assert urlsplit(target).netloc == urlsplit(BASE).netloc, (address, link)
            waiting.append(target)
            if fragment:
                fragments.add((address, target, unquote(fragment)))

    pages = {address: links for address, links in seen.items() if links}
    assert [
        (address, id_) for address, links in pages.items() for id_ in links.places if links.places.count(id_) > 1
    ] == []
    assert [lost for lost in fragments if (page := seen[lost[1]]) is None or lost[2] not in page.places] == []
    numbers = {demo.SLUG: [1, 2, 3], "privacy-policy": [1, 2, 3]}
    assert [*Edition.objects.order_by("agreement__slug", "number").values_list("agreement__slug", "number")] == [
        (slug, number) for slug in sorted(numbers) for number in numbers[slug]
    ]
    for language, _name in settings.LANGUAGES:
        for slug in numbers:
            here = f"{BASE}/{language}/agreements/{slug}/"
            names = ["", "editions/", "feed/", "timemap/", "editions.json", *(f"editions/{n}/" for n in numbers[slug])]
            assert {here + name for name in names} <= set(seen)
    assert len(pages) > 3 * (2 * 5 + 3 + 1)
    assert len(fragments) > 100
