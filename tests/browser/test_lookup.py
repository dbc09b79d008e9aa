"""Looking up, comparing and verifying in a real browser: any width, by keyboard alone and without scripts."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from agreement.models import Edition
from portal_site.management.commands import demo
from tests.browser.conftest import TERMS, follow, overflow, violations
from tests.support import factories

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

VERIFY = "/agreements/verify/"
PAGES = (
    *(f"{TERMS}editions/", f"{TERMS}editions/3/changes/?from=1", f"{TERMS}editions/5/changes/?from=4"),
    *(f"{TERMS}editions/2/changes/?view=inline&all=1", f"{TERMS}editions/2/changes/?view=columns"),
    *(f"{TERMS}editions/2/changes/?from=2", f"{TERMS}at/", f"{TERMS}at/2026-13-01/", f"{TERMS}at/1999-01-01/"),
    *("/agreements/", VERIFY, f"{VERIFY}?sha256=00000000", f"{TERMS}clauses/3.4/", f"{TERMS}editions/2/amendment/"),
)
#: Pairs of texts of which one stands on the other. What is hidden, or contains the other, does not count.
OVERLAPS = """() => {
  const boxes = [];
  const walker = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, parent = node.parentElement;
    if (!node.data.trim() || parent.closest(".agreement-spoken, option, title, .agreement-stepper, thead")) continue;
    if (!parent.checkVisibility({visibilityProperty: true})) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const box of range.getClientRects()) if (box.width > 1) boxes.push([node.data.trim(), box]);
  }
  const found = [];
  for (const [i, [text, a]] of boxes.entries())
    for (const [other, b] of boxes.slice(i + 1, i + 60)) {
      const width = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (width > 2 && height > Math.min(a.height, b.height) / 2) found.push([text, other]);
    }
  return found;
}"""


@pytest.fixture
def cancelled(site) -> str:
    """The site, with a fifth edition after the announced fourth one was cancelled."""
    last = Edition.objects.get(agreement__slug=demo.SLUG, number=4)
    bodies = {language: last.text(language).body for language in ("kk", "ru")}
    last.cancel()
    draft = Edition.objects.create_draft(agreement=last.agreement, bodies=bodies, prevailing_language="kk")
    draft.publish(effective_from=timezone.now() + timedelta(days=13))
    return site


@pytest.mark.parametrize("language", ["kk", "ru", "en"])
def test_no_page_is_wider_than_its_window_and_no_text_stands_on_another(cancelled, page, language):
    for address in PAGES:
        page.goto(f"{cancelled}/{language}{address}")
        page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
        assert page.locator("h1").count() == 1
        for width in (320, 360, 768, 1024, 1280, 1920):
            page.set_viewport_size({"width": width, "height": 800})
            assert overflow(page) <= 0, (address, width)
            assert page.evaluate(OVERLAPS) == [], (address, width)


@pytest.mark.parametrize(("width", "scheme"), [(320, "dark"), (1280, "light")])
def test_every_page_is_accessible(cancelled, window, width, scheme):
    page = window(width=width, scheme=scheme)
    for address in PAGES:
        page.goto(f"{cancelled}/ru{address}")
        page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
        assert violations(page) == [], address


def press_until(page, selector: str) -> None:
    """Press the tabulator until that element has the focus."""
    for _ in range(120):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"Never reached: {selector}")


@pytest.mark.parametrize("width", [360, 1280])
def test_a_day_is_looked_up_by_keyboard_and_without_scripts(site, window, width):
    page = window(width=width, script=False)
    page.goto(f"{site}/ru{TERMS}editions/")
    press_until(page, "input[name=date]")
    page.keyboard.type("06062025")
    press_until(page, "form button")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert page.url == f"{site}/ru{TERMS}editions/2/?on=2025-06-06"


@pytest.mark.parametrize("width", [360, 1280])
def test_two_editions_are_compared_by_keyboard_and_without_scripts(site, window, width):
    page = window(width=width, script=False)
    page.goto(f"{site}/ru{TERMS}editions/")
    press_until(page, "select[name=from]")
    page.keyboard.press("End")
    press_until(page, "select[name=to]")
    page.keyboard.press("End")
    page.keyboard.press("ArrowUp")
    press_until(page, "form button")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert page.url == f"{site}/ru{TERMS}editions/2/changes/?from=1"


@pytest.mark.parametrize("width", [320, 1280])
def test_a_text_is_verified_by_keyboard_and_without_scripts(site, window, width):
    page = window(width=width, script=False)
    page.goto(f"{site}/kk{TERMS}editions/")
    follow(page.get_by_role("link", name="Мәтінді немесе файлды тексеру"))
    edition = Edition.objects.get(number=2)
    for typed, verdict in (
        (f"SHA-256 {edition.digest[:12]}…", "genuine"),
        ("2.1. Басқа сөздер: таудағы ауа райы мен көктемгі сорпа туралы.", "unknown"),
    ):
        press_until(page, "textarea")
        page.keyboard.insert_text(typed)
        press_until(page, "main form button")
        with page.expect_navigation():
            page.keyboard.press("Enter")
        answer = page.locator(".agreement-verdict")
        assert answer.get_attribute("data-verdict") == verdict
        assert answer.get_by_role("heading").is_visible()
        assert overflow(page) <= 0


@pytest.mark.parametrize("address", ["editions/2/", "editions/2/bilingual/", "editions/2/changes/"])
@pytest.mark.parametrize("language", ["kk", "ru"])
@pytest.mark.parametrize("media", ["screen", "print"])
def test_what_a_reader_copies_from_a_page_is_genuine(site, page, language, address, media):
    page.goto(f"{site}/{language}{TERMS}{address}")
    page.emulate_media(media=media)
    page.keyboard.press("Control+a")
    copied = page.evaluate("getSelection().toString()")
    page.emulate_media(media="screen")
    page.goto(f"{site}/{language}{VERIFY}")
    page.fill("#text", copied)
    page.click(".agreement-verify button")
    page.wait_for_selector(".agreement-verdict")
    verdict = page.locator(".agreement-verdict").get_attribute("data-verdict")
    assert verdict == "genuine"


def test_a_chart_of_many_editions_has_no_text_on_another(live_server, window):
    for _ in range(14):
        factories.published()
    page = window(width=320)
    page.goto(f"{live_server.url}/kk/agreements/terms/at/")
    assert page.evaluate(OVERLAPS) == []
    assert overflow(page) <= 0
