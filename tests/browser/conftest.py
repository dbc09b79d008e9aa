"""What browser tests share: a served portal with its sample editions, and windows onto it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.utils import timezone

from agreement.models import Edition
from portal_site.management.commands import demo

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

TERMS = f"/agreements/{demo.SLUG}/"
#: The rules of axe that pages must pass.
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture(scope="session", autouse=True)
def _database_before_server(django_db_setup: None) -> None:
    """The live server shares the test's connection if the database is in memory, and asks once, as it starts."""


@pytest.fixture(scope="package")
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
    """A served portal with the sample editions, and a fourth that is announced; its address."""
    settings.AGREEMENT = {
        **settings.AGREEMENT,
        "BASE_URL": live_server.url,
        "ENQUEUE": None,
        "DEFAULT_AGREEMENT": demo.SLUG,
    }
    demo.make_people()
    demo.load_samples()
    last = Edition.objects.in_force().get(agreement__slug=demo.SLUG)
    changed = {"kk": ("үш жұмыс", "бес жұмыс"), "ru": ("трёх рабочих", "пяти рабочих")}
    bodies = {language: last.text(language).body.replace(*words) for language, words in changed.items()}
    next_one = Edition.objects.create_draft(agreement=last.agreement, bodies=bodies, prevailing_language="kk")
    next_one.publish(effective_from=timezone.now() + timedelta(days=12))
    return live_server.url


@pytest.fixture
def complaints() -> list[str]:
    """What the browser complained of: refused by the policy, not found, broken."""
    return []


@pytest.fixture
def window(browser: Browser, complaints: list[str]) -> Iterator[Callable[..., Page]]:
    """Opens pages, in windows closed after the test: ``window(width=360, scheme="dark", script=False)``."""
    contexts = []

    def open_window(*, width: int = 1280, scheme: Any = "light", script: bool = True, **options: Any) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, java_script_enabled=script, **options
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        # A picture still on its way when the next page is opened is no fault.
        page.on(
            "requestfailed", lambda it: it.failure == "net::ERR_ABORTED" or complaints.append(f"{it.failure} {it.url}")
        )
        return page

    yield open_window
    for context in contexts:
        context.close()


@pytest.fixture
def page(window: Callable[..., Page], request: pytest.FixtureRequest) -> Page:
    """A window, 1280 pixels wide or as the test's parameter says."""
    return window(width=getattr(request, "param", 1280))


@dataclass(frozen=True)
class Variant:
    """A way to look at a page."""

    language: str
    width: int
    scheme: str
    script: bool

    def __str__(self) -> str:
        return f"{self.language}-{self.width}-{self.scheme}-{'script' if self.script else 'no script'}"

    def open(self, window: Callable[..., Page]) -> Page:
        return window(width=self.width, scheme=self.scheme, script=self.script)


VARIANTS = [
    Variant(language, width, scheme, script)
    for language in ("kk", "ru")
    for width in (360, 1280)
    for scheme in ("light", "dark")
    for script in (True, False)
]
#: Half of them, in which any three of the four choices still meet in every combination.
SOME = [one for one in VARIANTS if (one.language == "kk") ^ (one.width == 360) ^ (one.scheme == "dark") ^ one.script]
#: A quarter, in which any two of language, width and script meet: for what a person does, whatever the colours.
FEW = [
    one
    for one in VARIANTS
    if one.script == (one.scheme == "light") and (one.language == "kk") ^ (one.width == 360) ^ one.script
]


def follow(link: Locator) -> None:
    """Click what leads to another page or place, and wait until the browser is there: a click alone does not wait."""
    with link.page.expect_navigation():
        link.click()


def overflow(page: Page) -> int:
    """How many pixels the page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def violations(page: Page) -> list[tuple[str, str]]:
    """What axe finds on the page: the rule, and the first element that breaks it.

    The window becomes as high as the page. Otherwise axe counts links as too small that happen to be partly below a bar
    that stays in sight, and where they are depends on the fonts of the machine.
    """
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    size = page.viewport_size
    assert size is not None
    page.set_viewport_size({**size, "height": page.evaluate("document.documentElement.scrollHeight")})
    found = axe.run(page, options={"runOnly": RULES, "resultTypes": ["violations"]}).response["violations"]
    page.set_viewport_size(size)
    return [(one["id"], one["nodes"][0]["html"]) for one in found]


def until(page: Page, says: str) -> None:
    """Wait until that is true in the page; Playwright's own way of it needs ``eval``, which the pages forbid."""
    for _attempt in range(100):
        if page.evaluate(says):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"Never so: {says}")
