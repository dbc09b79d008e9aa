"""The pages in a real browser: nothing overflows, nothing is refused, links and print work."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from django.utils import timezone

from portal_site.management.commands import demo
from tests import factories

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

TERMS = f"/agreements/{demo.SLUG}/"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    playwright = pytest.importorskip("playwright.sync_api")
    with pytest.MonkeyPatch.context() as patched, playwright.sync_playwright() as started:
        # Playwright keeps an event loop in this thread, which Django takes for asynchronous code.
        patched.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        browser = started.chromium.launch(executable_path=os.environ["AGREEMENT_TEST_BROWSER"])
        yield browser
        browser.close()


@pytest.fixture
def site(live_server, settings) -> str:
    """A served portal with the sample editions; its address."""
    settings.AGREEMENT = {**settings.AGREEMENT, "BASE_URL": live_server.url, "ENQUEUE": None}
    demo.make_people()
    demo.load_samples()
    return live_server.url


@pytest.fixture
def complaints() -> list[str]:
    """What the browser complained of: refused by the policy, not found, broken."""
    return []


@pytest.fixture
def page(browser: Browser, complaints: list[str], request: pytest.FixtureRequest) -> Iterator[Page]:
    width = getattr(request, "param", 1280)
    context = browser.new_context(viewport={"width": width, "height": 800})
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    # A picture still on its way when the next page is opened is no fault.
    page.on("requestfailed", lambda it: it.failure == "net::ERR_ABORTED" or complaints.append(f"{it.failure} {it.url}"))
    yield page
    context.close()


def overflow(page: Page) -> int:
    """How many pixels the page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


@pytest.mark.parametrize("page", [360, 1280], indirect=True)
@pytest.mark.parametrize("language", ["kk", "ru", "en"])
def test_every_page_fits_its_window_and_nothing_on_it_is_refused(site, page, complaints, language):
    for address in ("/", "/materials/", "/agreements/", TERMS, f"{TERMS}editions/", f"{TERMS}editions/1/"):
        response = page.goto(f"{site}/{language}{address}")
        assert response.status == 200
        assert overflow(page) <= 0, address
        assert page.evaluate("getComputedStyle(document.querySelector('h1')).fontWeight") == "600"
    assert complaints == []


@pytest.mark.parametrize("page", [360], indirect=True)
def test_long_words_and_wide_tables_stay_inside_a_phone(live_server, page, complaints):
    long = (
        f"\n\n1.3. {'ұзақсөз' * 40} https://example.kz/{'a' * 200}\n\n| {' | '.join('бағана' * 9)} |\n|{'---|' * 54}\n"
    )
    factories.published(kk=factories.KK + long, ru=factories.RU + long)
    page.goto(f"{live_server.url}/kk/agreements/terms/")
    assert overflow(page) <= 0
    assert complaints == []


def test_a_clause_is_reached_by_its_address_and_gives_it(site, page):
    page.goto(f"{site}/kk{TERMS}#3.4")
    clause = page.locator('[id="3.4"]')
    plain = page.locator('[id="3.5"]')

    assert clause.evaluate("element => element.matches(':target')")
    assert 0 <= clause.bounding_box()["y"] < 200
    background = "element => getComputedStyle(element).backgroundColor"
    assert clause.evaluate(background) != plain.evaluate(background)

    plain.locator("a.number").click()
    assert page.url == f"{site}/kk{TERMS}#3.5"


def test_the_contents_lead_to_the_sections(site, page):
    page.goto(f"{site}/ru{TERMS}")
    page.locator(".agreement-contents a").nth(2).click()
    assert page.url.endswith("#3")
    assert page.locator('h2[id="3"]').bounding_box()["y"] < 200


def test_clause_numbers_hang_in_the_margin_of_a_wide_page(site, page):
    page.goto(f"{site}/kk{TERMS}")
    clause = page.locator('[id="1.1"]')
    number = clause.locator(".number").bounding_box()
    assert number["x"] + number["width"] <= clause.bounding_box()["x"] + 1


def test_the_language_links_lead_to_the_same_page(site, page):
    page.goto(f"{site}/kk{TERMS}editions/2/")
    page.get_by_role("link", name="Русский").first.click()
    assert page.url == f"{site}/ru{TERMS}editions/2/"
    assert page.locator("html").get_attribute("lang") == "ru"


def test_the_page_prints_with_its_edition_its_date_and_its_digest(site, page):
    page.goto(f"{site}/ru{TERMS}")
    digest = page.locator(".agreement-proof code").first.inner_text()
    page.emulate_media(media="print")

    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")
    assert len(digest) == 64
    for shown in (".agreement-kicker", ".agreement-validity", ".agreement-proof code >> nth=0"):
        assert page.locator(shown).is_visible()
    assert str(timezone.localdate().year) in page.locator(".agreement-validity").inner_text()
    for hidden in (".portal-bar", ".agreement-contents", ".agreement-languages"):
        assert not page.locator(hidden).is_visible()


def test_the_keyboard_reaches_the_text_first_and_sees_where_it_is(site, page):
    page.goto(f"{site}/kk{TERMS}")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "#content"
    page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_the_contrast_of_wcag_aa(site, browser, scheme):
    context = browser.new_context(color_scheme=scheme)
    page = context.new_page()
    page.goto(f"{site}/ru{TERMS}editions/1/")
    colours = page.evaluate(
        """() => Object.fromEntries([
            ["body", "backgroundColor"], [".agreement-note", "backgroundColor"], [".agreement-text", "color"],
            [".agreement-text .number", "color"], [".agreement-note a", "color"], [".agreement-approval", "color"],
            [".agreement-state", "color"], [".agreement-contents a", "color"],
        ].map(([name, property]) => [name, getComputedStyle(document.querySelector(name))[property]]))"""
    )
    context.close()

    paper, quiet = colours.pop("body"), colours.pop(".agreement-note")
    for name, ink in colours.items():
        assert contrast(ink, quiet if "note" in name else paper) >= 4.5, name


def contrast(ink: str, paper: str) -> float:
    """The contrast ratio of two CSS colours (WCAG 2, "contrast ratio")."""

    def luminance(colour: str) -> float:
        channels = [int(part) / 255 for part in colour[4:-1].split(",")]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    lighter, darker = sorted((luminance(ink), luminance(paper)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)
