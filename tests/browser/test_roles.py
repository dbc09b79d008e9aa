"""Every link that a role sees at the desk, opened in a real browser: nothing is refused, missing or broken."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urljoin, urlsplit

import pytest
import reversion
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.urls import resolve
from django.utils import translation

from agreement import groups
from agreement.models import Acceptance, AuditEntry, Consent, Decline, Edition, LegalHold
from agreement.notices import dispatch
from tests.browser.conftest import follow
from tests.support import factories

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

ROLES = {
    "author": groups.AUTHORS,
    "publisher": groups.PUBLISHERS,
    "officer": groups.PRIVACY_OFFICERS,
    "nobody": "",
    "superuser": None,
}
#: Django's parameter with the filters of the list to which a page leads back.
PRESERVED_FILTERS = "_changelist_filters"
#: Chromium's note about a page of Django with two elements that ask for the focus. It is no error.
NOT_FOCUSED = "Autofocus processing was blocked"
#: How many addresses of the same view are opened, and how many with the same parameter.
OF_A_KIND = 2
#: How many links each role sees at least, so that the test does not pass because there is nothing to open.
LEAST = {"author": 25, "publisher": 25, "officer": 40, "nobody": 2, "superuser": 80}


@pytest.fixture
def desk(live_server, settings) -> str:
    """A served desk with something in each list; the address of its start page, in Russian."""
    settings.AGREEMENT = {**settings.AGREEMENT, "BASE_URL": live_server.url, "ENQUEUE": None}
    factories.start_page_world()
    edition, (user, *_others) = Edition.objects.in_force().first(), factories.users(3)
    Acceptance.objects.record(user=user, edition=edition, digest=edition.digest, language="ru", kind="explicit")
    Decline.objects.record(user=user, edition=edition, digest=edition.digest, language="ru")
    Consent.objects.give(user=user, purpose="registration", language="kk", text="Келісемін.")
    LegalHold.objects.place(user=user, ground="№ 7", by="officer")
    with reversion.create_revision():
        reversion.add_to_revision(factories.draft())
    with reversion.create_revision():
        gone = factories.draft()
        reversion.add_to_revision(gone)
    gone.delete()
    AuditEntry.objects.log("verified", on=edition)
    for _round in range(2):
        dispatch.work()
    return f"{live_server.url}/ru/admin/"


def kinds_of(address: str) -> list[str]:
    """What an address has in common with others that lead to the same page: the view, and each parameter of it."""
    parts = urlsplit(address)
    with translation.override("ru"):
        view = resolve(parts.path).view_name
    names = parse_qs(parts.query, keep_blank_values=True).keys() - {PRESERVED_FILTERS}
    return [view, *(f"{view}?{name}" for name in names)]


def links(page: Page, desk: str) -> list[str]:
    """The addresses of the desk to which the page has links, without their fragments."""
    found = page.eval_on_selector_all("a[href]", "links => links.map(link => link.getAttribute('href'))")
    whole = (urljoin(page.url, href).partition("#")[0] for href in found)
    return [address for address in dict.fromkeys(whole) if address.startswith(desk)]


def opened(page: Page, address: str) -> tuple[int, bool]:
    """Open that address: its status, and whether it is a page. The browser does not open a file, but fetches it."""
    try:
        return page.goto(address).status, True
    except pytest.importorskip("playwright.sync_api").Error as error:
        if "Download is starting" not in str(error):
            raise
        return page.request.get(address).status, False


@pytest.mark.parametrize("role", ROLES)
def test_every_link_at_the_desk_opens_for_the_role_that_sees_it(page, desk, complaints, role):
    user = get_user_model().objects.create_user(
        role, f"{role}@example.kz", "password", is_staff=True, is_superuser=ROLES[role] is None
    )
    user.groups.set(Group.objects.filter(name=ROLES[role] or ""))
    page.goto(desk)
    page.locator("#id_username").fill(role)
    page.locator("#id_password").fill("password")
    follow(page.locator("input[type=submit]"))

    waiting, seen, kinds, faults = [(desk, "")], {desk}, Counter(), []
    while waiting:
        address, source = waiting.pop(0)
        print(len(seen), len(waiting), address)
        status, is_page = opened(page, address)
        if status != 200:
            faults.append((status, address, source))
        elif is_page:
            faults += [(complaint, address, source) for complaint in complaints]
            complaints.clear()
            for link in links(page, desk):
                if link not in seen and any(kinds[one] < OF_A_KIND for one in kinds_of(link)):
                    seen.add(link)
                    kinds.update(kinds_of(link))
                    waiting.append((link, address))

    page.wait_for_load_state("networkidle")
    faults += [(complaint, "the last page, or one before", "") for complaint in complaints]
    assert [fault for fault in faults if NOT_FOCUSED not in str(fault[0])] == []
    assert len(seen) >= LEAST[role]
