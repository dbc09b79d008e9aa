"""The pages in the frame of a site: the base template of install.md, with a stylesheet of the site's own."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.forms import UserCreationForm
from django.shortcuts import render
from django.urls import path

from agreement.forms import AcceptanceFormMixin
from agreement.models import AcceptanceMode, Agreement, Edition
from agreement.notices import dispatch
from portal_site import urls as portal
from portal_site.management.commands import demo
from tests.browser.conftest import TERMS, overflow, violations
from tests.browser.test_acceptance import log_in
from tests.browser.test_account import OVERLAPS
from tests.browser.test_pages import PAGES
from tests.support import factories

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

INSTALL = Path(__file__).resolve().parents[2] / "agreement/docs/install.md"
LIGHT = "body{background:#fff;color:#222}"


@pytest.fixture
def framed(site: str, window: Callable[..., Page], settings: Any, tmp_path: Path) -> Callable[..., Page]:
    """Opens a page of the app in the base template of install.md: ``framed(address, css)``."""
    template = re.search(r"```django\n(.*?<!doctype html>.*?)```", INSTALL.read_text(encoding="utf-8"), re.DOTALL)
    assert template is not None
    (tmp_path / "agreement").mkdir()
    (tmp_path / "agreement/base.html").write_text(template[1], encoding="utf-8")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]

    def open_page(address: str, css: str, **options: Any) -> Page:
        page = window(**options)
        page.route("**/mysite.css", lambda route: route.fulfill(content_type="text/css", body=css))
        page.goto(f"{site}{address}")
        return page

    return open_page


def colours(page: Page) -> tuple[str, str]:
    """The ink of the text, and the paper below it."""
    ink, paper = page.evaluate(
        "[document.querySelector('.agreement'), document.body].map(it => getComputedStyle(it))"
        ".map((style, place) => place ? style.backgroundColor : style.color)"
    )
    return ink, paper


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_site_that_declares_no_dark_design_is_light_on_every_device(framed, scheme):
    page = framed(f"/ru{TERMS}", LIGHT, scheme=scheme)
    assert colours(page) == ("rgb(31, 29, 26)", "rgb(255, 255, 255)")
    assert violations(page) == []


@pytest.mark.parametrize(("scheme", "expected"), [("light", "rgb(31, 29, 26)"), ("dark", "rgb(228, 224, 216)")])
def test_a_site_that_declares_a_dark_design_has_the_dark_colours_on_a_dark_device(framed, scheme, expected):
    css = ":root{color-scheme:light dark}body{background:light-dark(#fff,#111);color:light-dark(#222,#eee)}"
    page = framed(f"/ru{TERMS}", css, scheme=scheme)
    assert colours(page)[0] == expected
    assert violations(page) == []


def test_a_site_with_a_switch_of_its_own_has_the_dark_colours_on_a_light_device(framed):
    page = framed(f"/ru{TERMS}", ":root{color-scheme:dark}body{background:#111;color:#eee}", scheme="light")
    assert colours(page)[0] == "rgb(228, 224, 216)"
    assert violations(page) == []


@pytest.mark.parametrize(("scheme", "paper"), [("light", "rgb(253, 252, 249)"), ("dark", "rgb(21, 24, 26)")])
def test_the_portal_follows_the_device(site, window, scheme, paper):
    page = window(scheme=scheme)
    page.goto(f"{site}/ru{TERMS}")
    assert colours(page)[1] == paper


@pytest.mark.parametrize("width", [320, 390, 800, 1100, 1280])
def test_no_page_scrolls_sideways_in_a_frame_without_padding(framed, site, width):
    page = framed(f"/ru{TERMS}", f"{LIGHT} body{{margin:0}} main{{padding:0}}", width=width)
    for address in PAGES[2:]:  # The first two are pages of the portal.
        page.goto(f"{site}/ru{address}")
        assert overflow(page) <= 0, address


#: The contrast of the letters of each line of text with the nearest background that is not transparent.
CONTRASTS = """() => {
    const channels = colour => colour.match(/[\\d.]+/g).map(Number);
    const light = colour => channels(colour).slice(0, 3).map(it => it / 255)
        .map(it => it <= 0.04045 ? it / 12.92 : ((it + 0.055) / 1.055) ** 2.4)
        .reduce((sum, it, place) => sum + it * [0.2126, 0.7152, 0.0722][place], 0);
    const paper = one => (style => channels(style)[3] === 0 ? paper(one.parentElement) : style)
        (getComputedStyle(one).backgroundColor);
    const texts = document.createNodeIterator(document.querySelector("header"), NodeFilter.SHOW_TEXT), found = [];
    for (let node; node = texts.nextNode();) {
        const one = node.parentElement;
        if (!node.data.trim() || one.closest(".agreement-spoken")) continue;
        const [low, high] = [getComputedStyle(one).color, paper(one)].map(light).sort((a, b) => a - b);
        found.push([node.data.trim(), (high + 0.05) / (low + 0.05)]);
    }
    return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_header_of_the_recipe_is_readable_with_the_number_of_new_notices(framed, site, scheme):
    blocks = re.findall(r"```css\n(.*?)```", INSTALL.read_text(encoding="utf-8"), re.DOTALL)
    (user,) = factories.users(1, languages=("ru",))
    Edition.objects.get(number=4).cancel()
    factories.published(slug=demo.SLUG)
    dispatch.work()
    page = framed(f"/ru{TERMS}", "".join(blocks), scheme=scheme)
    log_in(page, site, user)
    page.goto(f"{site}/ru/agreements/record/")
    contrasts = dict(page.evaluate(CONTRASTS))
    assert {"Қазақша", "Мои уведомления", "Выйти", "2"} <= set(contrasts)
    assert min(contrasts.values()) >= 4.5, contrasts


@pytest.mark.parametrize("language", ["kk", "ru", "en"])
@pytest.mark.parametrize("width", [360, 700, 1024, 1280, 1440, 1920])
def test_the_two_answers_stand_beside_each_other_and_no_button_breaks_its_words(framed, site, language, width):
    """In a frame of 60rem, in which the text has the least room beside the contents."""
    Agreement.objects.filter(slug=demo.SLUG).update(acceptance_mode=AcceptanceMode.BY_CONFIRMATION)
    (user,) = factories.users(1)
    page = framed(f"/{language}{TERMS}", f"{LIGHT} body{{margin:0}} main{{max-width:60rem;margin:auto;padding:1rem}}")
    page.set_viewport_size({"width": width, "height": 800})
    log_in(page, site, user)
    page.goto(f"{site}/{language}{TERMS}accept/")
    accept, decline = (page.locator(f".agreement-answer button[value={value}]") for value in ("accept", "decline"))
    first, second = accept.bounding_box(), decline.bounding_box()
    assert (first["y"], first["width"], first["height"]) == (second["y"], second["width"], second["height"])
    lines = "it => (all => (all.selectNodeContents(it), all.getClientRects().length))(document.createRange())"
    if width > 360:  # Half of a phone is too narrow for «Шарттарын қабылдаймын».
        assert [button.evaluate(lines) for button in (accept, decline)] == [1, 1]


class SignUpForm(AcceptanceFormMixin, UserCreationForm):
    class Meta(UserCreationForm.Meta):
        model = get_user_model()
        fields = (model.USERNAME_FIELD,)


def sign_up(request):
    return render(request, "signup.html", {"form": SignUpForm()})


urlpatterns = [path("signup/", sign_up), *portal.urlpatterns]


@pytest.mark.parametrize("width", [360, 1280])
def test_the_sign_up_form_of_the_guide_is_laid_out(framed, site, settings, tmp_path, width):
    (tmp_path / "signup.html").write_text(
        '{% extends "agreement/base.html" %}{% load static %}{% block head %}{{ block.super }}'
        '<link rel="stylesheet" href="{% static "agreement/account.css" %}">{% endblock %}'
        '{% block content %}<div class="agreement agreement-list"><form method="post">{{ form.as_div }}'
        "<button>ok</button></form></div>{% endblock %}",
        encoding="utf-8",
    )
    settings.ROOT_URLCONF = __name__
    page = framed("/signup/", LIGHT, width=width)
    assert overflow(page) <= 0

    def boxes(selector: str) -> list[Any]:
        return page.locator(selector).evaluate_all("all => all.map(one => one.getBoundingClientRect().toJSON())")

    fields = boxes("form > div")
    assert len(fields) >= 5
    for above, below in pairwise(fields):
        assert below["top"] - above["bottom"] >= 12
    for row in page.locator("form > div:has(> :is(input:not([type=hidden]), select))").all():
        name, field = row.locator("label, legend").first.bounding_box(), row.locator("input").first.bounding_box()
        assert field["y"] - name["y"] - name["height"] >= 6  # The ring of the focus is 6 pixels wide.
        assert field["width"] >= 0.5 * row.bounding_box()["width"]
    for text in page.locator(".agreement-tick-text:has(summary)").all():
        line, more = text.locator("span").first.bounding_box(), text.locator("summary").bounding_box()
        assert more["y"] >= line["y"] + line["height"]
    assert page.evaluate(OVERLAPS) == []
    page.evaluate("document.querySelectorAll('details').forEach(one => (one.open = true))")
    assert overflow(page) <= 0
