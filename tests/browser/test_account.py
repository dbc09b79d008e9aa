"""The pages on which a person acts: they fit every window, no text stands on another, they are accessible, and keyboard
alone and no scripts complete every flow.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.utils import timezone

from agreement.acceptance import consents
from agreement.models import Acceptance, Agreement, Consent, Withdrawal
from agreement.models.agreements import AcceptanceMode
from agreement.notices import dispatch
from portal_site.management.commands import demo
from tests.browser.conftest import TERMS, follow, overflow, until, violations
from tests.browser.test_acceptance import a_second_later, kinds, log_in, publish
from tests.support import factories

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

WIDTHS = (320, 360, 768, 1024, 1280, 1920)
LANGUAGES = ("kk", "ru", "en")
ACCEPT = "/agreements/terms/accept/"
#: Pages of a user who knows the first edition, must accept the second, and gave a consent.
ASKED = (ACCEPT, "/agreements/record/", "/agreements/notices/", "/agreements/withdraw/")
#: Pages of nobody. Those of the agreement are in the tests of the reading pages.
ANYBODY = ("/", "/accounts/login/", "/nothing/", "/agreements/terms/at/2026-01-01T00:00/")

#: The lines of text that lie on the text of another element, for more than a pixel, and can be seen.
OVERLAPS = """() => {
    const lines = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const node = walker.currentNode, parent = node.parentElement;
        if (!node.data.trim() || parent.closest(".agreement-spoken, .agreement-skip, option, script, style")) continue;
        if (!parent.checkVisibility({visibilityProperty: true, opacityProperty: true})) continue;
        const stuck = parent.closest(".agreement-answer, .agreement-aside, .agreement-guide, thead");
        const range = document.createRange();
        range.selectNodeContents(node);
        for (const box of range.getClientRects()) if (box.width > 1) lines.push({box, node, stuck});
    }
    const found = [];
    for (const [place, one] of lines.entries()) for (const other of lines.slice(place + 1)) {
        if (one.node === other.node || one.stuck !== other.stuck) continue;
        const wide = Math.min(one.box.right, other.box.right) - Math.max(one.box.left, other.box.left);
        // The boxes of two lines touch, because a box is as high as the font and not as its letters.
        const high = Math.min(one.box.bottom, other.box.bottom) - Math.max(one.box.top, other.box.top);
        if (wide > 1 && high > 0.4 * Math.min(one.box.height, other.box.height))
            found.push(one.node.data.trim().slice(0, 40) + " × " + other.node.data.trim().slice(0, 40));
    }
    return found;
}"""


@pytest.fixture(autouse=True)
def _fresh():
    a_second_later()
    yield
    a_second_later()


@pytest.fixture
def address(live_server, settings) -> str:
    settings.AGREEMENT = {
        **settings.AGREEMENT,
        "BASE_URL": live_server.url,
        "ENQUEUE": None,
        "FILE_WITHDRAWALS": "ended",
    }
    return live_server.url


@pytest.fixture
def asked(address):
    """A user who accepted edition 1 by using the site, gave a consent, and must accept edition 2."""
    first = publish(1)
    (user,) = factories.users(1)
    type(user).objects.update(date_joined=timezone.now() - timedelta(days=1))
    Acceptance.objects.record(user=user, edition=first, digest=first.digest, language="kk", kind="deemed")
    consents.give(user, [(one.name, one.digest) for one in consents.open_purposes(user.pk, "kk")])
    Agreement.objects.update(acceptance_mode=AcceptanceMode.BY_CONFIRMATION)
    publish(2)
    dispatch.work()
    return user


def look(page: Page, where: str) -> None:
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        assert overflow(page) <= 0, (where, width)
        assert page.evaluate(OVERLAPS) == [], (where, width)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_page_is_wider_than_its_window_no_text_stands_on_another_and_axe_finds_nothing(
    address, asked, window, complaints, language
):
    own, public = window(), window()
    log_in(own, address, asked)
    for page, paths in ((own, ASKED), (public, ANYBODY)):
        for path in paths:
            page.goto(f"{address}/{language}{path}")
            look(page, path)
            for width in (360, 1280):
                page.set_viewport_size({"width": width, "height": 800})
                assert violations(page) == [], path
            page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
            look(page, path)
    # The answers: declined, and a form whose edition was replaced.
    own.goto(f"{address}/{language}{ACCEPT}")
    publish(3)
    follow(own.locator("button[value=accept]"))
    look(own, "409")
    follow(own.locator("button[value=decline]"))
    look(own, "declined")
    Withdrawal.objects.register(
        agreement=factories.agreement(), user=asked, outcome="ended", received_on=timezone.localdate()
    )
    for path in ASKED[1:]:
        own.goto(f"{address}/{language}{path}")
        look(own, path)
    assert {one for one in complaints if "status of 4" not in one} == set()


def test_the_helper_finds_text_on_text(address, page):
    page.goto(f"{address}/ru/accounts/login/")
    assert page.evaluate(OVERLAPS) == []
    page.evaluate(
        """() => {
            const [title, label] = ["h1", "label"].map((name) => document.querySelector(name));
            const down = label.getBoundingClientRect().y - title.getBoundingClientRect().y;
            title.style.transform = `translateY(${down}px)`;
        }"""
    )
    assert page.evaluate(OVERLAPS) != []


def press_to(page: Page, selector: str) -> None:
    """Press Tab until that control has the focus. What has it is in sight, and the answers do not cover it."""
    for _press in range(200):
        page.keyboard.press("Tab")
        focused, covered = page.evaluate(
            """(selector) => {
                const one = document.activeElement, box = one.getBoundingClientRect();
                const at = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
                return [one.matches(selector), !at || !(one.contains(at) || at.contains(one))];
            }""",
            selector,
        )
        assert not covered, page.evaluate("document.activeElement.outerHTML")
        if focused:
            return
    raise AssertionError(f"Not reached: {selector}")


@pytest.mark.parametrize(("width", "script"), [(320, False), (360, True), (1280, False), (1280, True)])
def test_the_keyboard_alone_declines_accepts_withdraws_and_comes_back(address, asked, window, width, script):
    page = window(width=width, script=script)
    log_in(page, address, asked)
    enter = lambda: page.keyboard.press("Enter")  # noqa: E731 - short, and used in four places

    page.goto(f"{address}/ru/materials/")
    assert ACCEPT in page.url
    press_to(page, "button[value=decline]")
    with page.expect_navigation():
        enter()
    press_to(page, "a.agreement-button")
    with page.expect_navigation():
        enter()
    press_to(page, "button[value=accept]")
    with page.expect_navigation():
        enter()
    assert page.url == f"{address}/ru/materials/"
    assert kinds()[-1] == (2, "explicit", 1)

    page.goto(f"{address}/ru/agreements/record/")
    press_to(page, "button[value=withdraw]")
    with page.expect_navigation():
        enter()
    assert Consent.objects.get().withdrawn_at
    press_to(page, "a[href$='/withdraw/']")
    with page.expect_navigation():
        enter()
    press_to(page, "input[name=confirm]")
    page.keyboard.press("Space")
    press_to(page, "form:has([name=confirm]) button")
    with page.expect_navigation():
        enter()
    assert Withdrawal.objects.get().reference in page.inner_text("main")
    press_to(page, "a.agreement-button")
    with page.expect_navigation():
        enter()
    press_to(page, "button[value=accept]")
    with page.expect_navigation():
        enter()
    assert kinds()[-1] == (2, "explicit", 2)


@pytest.mark.parametrize(("width", "height"), [(320, 568), (360, 760), (1280, 800)])
def test_the_answers_stay_in_sight_and_leave_room_to_read(address, asked, window, width, height):
    page = window(width=width)
    page.set_viewport_size({"width": width, "height": height})
    log_in(page, address, asked)
    for language in LANGUAGES:
        page.goto(f"{address}/{language}{ACCEPT}")
        for part in (0, 0.5, 1):
            page.evaluate("(part) => scrollTo(0, part * document.body.scrollHeight)", part)
            boxes = [button.bounding_box() for button in page.locator(".agreement-answer button").all()]
            assert len(boxes) == 2
            assert len({(round(box["width"]), round(box["height"]), round(box["y"])) for box in boxes}) == 1
            assert all(box["y"] >= 0 and box["y"] + box["height"] <= height for box in boxes)
        assert page.locator(".agreement-answer").bounding_box()["height"] <= height / 5
    # A clause that a link leads to is not covered.
    page.goto(f"{address}/ru{ACCEPT}#terms-5.1")
    bar, clause = (page.locator(one).bounding_box() for one in (".agreement-answer", "[id='terms-5.1']"))
    assert clause["y"] + min(clause["height"], 100) <= bar["y"]
    # At a high zoom, the answers are where they stand in the text.
    page.set_viewport_size({"width": 320, "height": 256})
    assert page.evaluate("getComputedStyle(document.querySelector('.agreement-answer')).position") == "static"


def test_the_text_of_the_question_is_laid_out_and_searched_as_that_of_the_edition(address, asked, page):
    log_in(page, address, asked)
    boxes = []
    for path in (TERMS.replace("user-agreement", "terms"), ACCEPT):
        page.goto(f"{address}/ru{path}")
        boxes.append([page.locator(one).first.bounding_box() for one in (".agreement-text", ".agreement-contents")])
        page.locator(".agreement-find input").fill("портал")
        assert " 1 " in f" {page.locator('.agreement-find [role=status]').inner_text()} "
    (text, contents), (own_text, own_contents) = boxes
    assert (text["x"], text["width"]) == (own_text["x"], own_text["width"])
    assert (contents["x"], contents["width"]) == (own_contents["x"], own_contents["width"])


def test_the_other_language_of_the_question_opens_at_the_same_clause(address, asked, page):
    log_in(page, address, asked)
    page.goto(f"{address}/ru{ACCEPT}")
    clause = page.locator(".agreement-text [id]").nth(-2)
    clause.evaluate("it => it.scrollIntoView()")
    name = clause.get_attribute("id")
    until(page, f"document.querySelector('.agreement-switch').hash === '#{name}'")


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_answer_to_several_documents_says_in_sight_that_it_is_about_all(address, window, language, width):
    publish(1)
    publish(1, demo.PRIVACY_POLICY)
    Agreement.objects.update(acceptance_mode=AcceptanceMode.BY_CONFIRMATION)
    (user,) = factories.users(1)
    page = window(width=width)
    log_in(page, address, user)
    page.goto(f"{address}/{language}{ACCEPT}")
    words = page.locator(".agreement-answer .agreement-all")
    assert words.is_visible()
    assert page.locator(".agreement-answer").bounding_box()["height"] < 160
    assert page.locator(".agreement-head .agreement-note li").count() == 2
    assert overflow(page) <= 0


def test_the_printed_record_says_whose_it_is_and_has_no_buttons(address, asked, page):
    log_in(page, address, asked)
    page.goto(f"{address}/ru/agreements/record/")
    name = page.get_by_text(f"Пользователь: {asked.get_username()}.")
    assert not name.is_visible()
    page.emulate_media(media="print")
    assert name.is_visible()
    assert [button.inner_text() for button in page.locator("button").all() if button.is_visible()] == []
    sizes = "all => [...new Set(all.map(one => getComputedStyle(one).fontSize))]"
    assert len(page.eval_on_selector_all(".agreement-printed, .agreement-entries td, .agreement-rows li", sizes)) == 1
