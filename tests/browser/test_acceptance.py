"""A full life cycle in a browser: deemed acceptance, question, refusal, acceptance, withdrawal, return, evidence."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings as django_settings
from django.core import mail
from django.test import Client
from django.utils import timezone

from agreement.acceptance import known
from agreement.editions import timeline
from agreement.evidence import export
from agreement.models import Acceptance, Agreement, Consent, Decline, Edition, Withdrawal
from agreement.models.agreements import AcceptanceMode
from agreement.notices import dispatch
from portal_site.management.commands import demo
from tests.browser.conftest import Variant, follow, overflow, violations
from tests.support import factories

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

WAYS = [
    Variant("kk", 360, "light", script=True),
    Variant("ru", 360, "dark", script=False),
    Variant("kk", 1280, "dark", script=True),
    Variant("ru", 1280, "light", script=True),
]


def a_second_later() -> None:
    """As if the second were over for which a process remembers what it read."""
    timeline.clear()
    known.clear()


@pytest.fixture(autouse=True)
def _fresh():
    a_second_later()
    yield
    a_second_later()


def log_in(page: Page, address: str, user: Any) -> None:
    client = Client()
    client.force_login(user)
    name = django_settings.SESSION_COOKIE_NAME
    page.context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": address}])


def look(page: Page, variant: Variant) -> None:
    """It fits, has one heading, and is accessible."""
    assert overflow(page) <= 0, page.url
    assert page.locator("h1").count() == 1
    assert page.locator("html").get_attribute("lang") == variant.language
    if variant.script:  # axe is a script itself.
        page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
        assert violations(page) == [], page.url


def publish(number: int, sample: demo.Sample = demo.USER_AGREEMENT) -> Edition:
    slug = "terms" if sample == demo.USER_AGREEMENT else sample.slug
    edition = Edition.objects.create_draft(
        agreement=factories.agreement(slug), bodies=demo.bodies(number, sample), retention_years=5
    )
    edition.publish()
    a_second_later()
    return edition


def kinds() -> list[tuple[int | None, str, int]]:
    rows = Acceptance.objects.order_by("pk").select_related("edition")
    return [(row.edition.number, row.kind, row.round) for row in rows]


@pytest.mark.parametrize("variant", WAYS, ids=str)
def test_a_whole_life(live_server, settings, window, complaints, tmp_path: Path, variant: Variant):
    settings.AGREEMENT = {**settings.AGREEMENT, "BASE_URL": live_server.url, "ENQUEUE": None}
    here = f"{live_server.url}/{variant.language}"
    first = publish(1)
    (user,) = factories.users(1, languages=(variant.language,))
    key, page = user.pk, variant.open(window)
    log_in(page, live_server.url, user)

    # By entering; a picture, a script or a style the page fetches is no second entry.
    page.goto(f"{here}/")
    assert kinds() == [(1, "deemed", 1)]

    # A new edition, its notice, and the question with the user's redline.
    Agreement.objects.update(acceptance_mode=AcceptanceMode.BY_CONFIRMATION)
    second = publish(2)
    dispatch.work()
    assert [letter.to for letter in mail.outbox if second.digest in letter.body] == [[user.email]]
    page.goto(f"{here}/materials/?a=b")
    assert "/accept/?next=" in page.url
    assert page.locator(".agreement-redline ins, .agreement-redline del").count() > 0
    assert second.digest in page.inner_text("main")
    look(page, variant)
    box = page.locator("input[type=checkbox][name^='consent:']")
    assert (box.count(), box.is_checked()) == (1, False)

    # Both answers weigh the same, and declining leads somewhere.
    sizes = [button.bounding_box() for button in page.locator(".agreement-answer button").all()]
    assert len({round(size["height"]) for size in sizes if size}) == 1
    follow(page.locator("button[value=decline]"))
    look(page, variant)
    assert kinds() == [(1, "deemed", 1)]
    follow(page.locator("main a[href*='/accept/']"))
    box.check()
    follow(page.locator("button[value=accept]"))
    assert page.url == f"{here}/materials/?a=b"
    assert kinds() == [(1, "deemed", 1), (2, "explicit", 1)]
    assert [row.language for row in Consent.objects.all()] == [variant.language]

    # The record: acceptances, notices and consents; a consent is withdrawn by itself.
    page.goto(f"{here}/agreements/record/")
    for words in (first.digest, second.digest, Consent.objects.get().digest):
        assert words in page.locator("main").text_content()
    look(page, variant)
    follow(page.locator("button[value=withdraw]"))
    assert Consent.objects.get().withdrawn_at
    look(page, variant)
    assert page.goto(f"{here}/materials/").url == f"{here}/materials/"

    # Withdrawn by an officer's entry, and accepted again by the user.
    row = Withdrawal.objects.register(
        agreement=second.agreement, user=user, outcome="ended", received_on=timezone.localdate(), by="А. Серікова"
    )
    a_second_later()
    page.goto(f"{here}/materials/")
    assert "/withdraw/" in page.url
    assert row.reference in page.inner_text("main")
    look(page, variant)
    follow(page.locator("main section a[href*='/accept/']"))
    follow(page.locator("button[value=accept]"))
    page.goto(f"{here}/materials/")
    assert page.url == f"{here}/materials/"
    assert kinds() == [(1, "deemed", 1), (2, "explicit", 1), (2, "explicit", 2)]

    # The account goes; the proof stays.
    user.delete()
    export.export_user(key, at=timezone.now(), output=tmp_path / "user.zip")
    with zipfile.ZipFile(tmp_path / "user.zip") as archive:
        archive.extractall(tmp_path / "user")
    sums = ["sha256sum", "-c", "--strict", "SHA256SUMS"]
    assert subprocess.run(sums, cwd=tmp_path / "user", capture_output=True, check=False).returncode == 0
    assert len((tmp_path / "user/user/acceptances.csv").read_text().splitlines()) == 4
    assert complaints == []


@pytest.mark.parametrize("variant", WAYS, ids=str)
def test_an_answer_to_each_of_two_agreements(live_server, settings, window, complaints, variant: Variant):
    stated = {"BASE_URL": live_server.url, "ENQUEUE": None, "SEPARATE_ANSWERS": True}
    settings.AGREEMENT = {**settings.AGREEMENT, **stated}
    here = f"{live_server.url}/{variant.language}"
    publish(1)
    publish(1, demo.PRIVACY_POLICY)
    Agreement.objects.update(acceptance_mode=AcceptanceMode.BY_CONFIRMATION)
    a_second_later()
    (user,) = factories.users(1, languages=(variant.language,))
    page = variant.open(window)
    log_in(page, live_server.url, user)

    page.goto(f"{here}/agreements/accept/?next=/{variant.language}/materials/")
    look(page, variant)
    send = page.locator("button[value=each]")

    # The browser sends nothing while an answer is missing.
    page.locator("input[name='decision:terms'][value=accept]").check()
    send.click()
    assert page.url.endswith(f"/accept/?next=%2F{variant.language}%2Fmaterials%2F")
    assert kinds() == []

    # Another edition takes effect: the other answer is still selected.
    page.locator("input[name='decision:privacy-policy'][value=decline]").check()
    publish(1, demo.PRIVACY_POLICY)
    follow(send)
    assert (kinds(), Decline.objects.count()) == ([], 0)
    assert page.locator("input[name='decision:terms'][value=accept]").is_checked()
    assert page.locator("input[name='decision:privacy-policy']:checked").count() == 0
    look(page, variant)
    refused = [words for words in complaints if "409" not in words]
    complaints.clear()

    page.locator("input[name='decision:privacy-policy'][value=decline]").check()
    follow(send)
    look(page, variant)
    assert kinds() == [(1, "explicit", 1)]
    assert [(row.edition.agreement.slug, row.edition.number) for row in Decline.objects.all()] == [
        ("privacy-policy", 2)
    ]

    # The declined agreement can be accepted later, and the user is led back.
    follow(page.locator("main a[href*='/accept/']"))
    assert page.locator("input[type=radio]").count() == 0
    follow(page.locator("button[value=accept]"))
    assert page.url == f"{here}/materials/"
    assert (refused, complaints) == ([], [])
