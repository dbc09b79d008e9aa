"""Comparing editions and languages in a real browser: inline, side by side, aloud."""

from __future__ import annotations

import pytest

from tests.browser.conftest import FEW, TERMS, follow

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

variants = pytest.mark.parametrize("variant", FEW, ids=str)
languages = pytest.mark.parametrize("language", ["kk", "ru"])
CHANGES = f"{TERMS}editions/2/changes/"


@variants
@pytest.mark.parametrize("view", ["", "inline", "columns"])
def test_a_change_is_shown_in_one_text_or_in_two(site, window, complaints, variant, view):
    page, language = variant.open(window), variant.language
    page.goto(f"{site}/{language}{CHANGES}{view and '?view='}{view}")
    row = page.locator('tr[id="3.4"]')
    old, new = row.locator(".agreement-old"), row.locator(".agreement-new")

    columns = view == "columns" or (not view and variant.width == 1280)
    assert old.is_visible() == columns
    assert new.is_visible()
    assert new.locator("ins").first.is_visible()
    assert new.locator("del").first.is_visible() != columns
    if columns:
        left, right = old.bounding_box(), new.bounding_box()
        assert left["y"] == pytest.approx(right["y"], abs=1)
        assert left["x"] + left["width"] <= right["x"]
    assert "line-through" in row.locator("del").first.evaluate("it => getComputedStyle(it).textDecorationLine")
    assert "underline" in row.locator("ins").first.evaluate("it => getComputedStyle(it).textDecorationLine")
    assert complaints == []


@pytest.mark.parametrize("page", [360, 1280], indirect=True)
def test_unchanged_clauses_open_one_by_one_or_all_at_once(site, page):
    page.goto(f"{site}/ru{CHANGES}")
    groups, only = page.locator(".agreement-same details"), page.get_by_label("Только изменённые")
    shown = page.locator(".agreement-same details[open]")
    assert groups.count() > 3
    assert only.is_checked()
    assert shown.count() == 0
    groups.nth(1).locator("summary").click()
    assert shown.count() == 1
    only.uncheck()
    assert shown.count() == groups.count()
    only.check()
    assert shown.count() == 0


def test_without_the_script_unchanged_clauses_open_too(site, window):
    page = window(script=False)
    page.goto(f"{site}/kk{CHANGES}")
    group = page.locator(".agreement-same details").nth(1)
    group.locator("summary").click()
    assert group.locator("p").first.is_visible()


@languages
def test_two_editions_are_chosen(site, page, language):
    page.goto(f"{site}/{language}{CHANGES}")
    page.locator("select[name=from]").select_option("1")
    page.locator("select[name=to]").select_option("3")
    follow(page.locator(".agreement-choose button"))
    assert page.url == f"{site}/{language}{TERMS}editions/3/changes/?from=1"


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("kk", ("алып тасталды:", "алып тасталғанның соңы", "қосылды:", "қосылғанның соңы")),
        ("ru", ("исключено:", "конец исключённого", "добавлено:", "конец добавленного")),
    ],
)
@pytest.mark.parametrize("address", [CHANGES, TERMS])
def test_a_redline_is_heard_as_it_is_seen(site, window, width, language, words, address):
    """In the tree a screen reader reads: deletion and insertion are announced, and end."""
    page = window(width=width)
    page.goto(f"{site}/{language}{address}")
    page.evaluate("document.querySelectorAll('.agreement-mark').forEach(mark => mark.open = true)")
    nodes = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    by_id = {node["nodeId"]: node for node in nodes}

    def spoken(node: dict) -> str:
        if node.get("role", {}).get("value") == "StaticText":
            return node["name"]["value"]
        return "".join(spoken(by_id[child]) for child in node.get("childIds", ()) if child in by_id)

    for role, first, last in (("deletion", *words[:2]), ("insertion", *words[2:])):
        found = [spoken(node).strip() for node in nodes if node.get("role", {}).get("value") == role]
        assert found, role
        for one in found:
            assert one.startswith(first)
            assert one.endswith(last)


def test_the_comparative_table_is_one_for_a_screen_reader_at_any_width(site, window):
    for width in (360, 1280):
        page = window(width=width)
        page.goto(f"{site}/ru{CHANGES}")
        nodes = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
        roles = {node.get("role", {}).get("value") for node in nodes if not node.get("ignored")}
        assert {"table", "row", "rowheader", "cell"} <= roles, width


@variants
def test_both_languages_alternate_on_a_phone_and_stand_side_by_side_on_a_desk(site, window, complaints, variant):
    page, language = variant.open(window), variant.language
    page.goto(f"{site}/{language}{TERMS}")
    words = "қатар" if language == "kk" else "рядом"
    follow(page.locator(".agreement-links").get_by_role("link").filter(has_text=words))
    page.goto(f"{page.url}#3.4")
    pair = page.locator('[id="3.4"]')
    kk, ru = (pair.locator(f"> [lang={one}]").bounding_box() for one in ("kk", "ru"))
    if variant.width == 1280:
        assert kk["y"] == pytest.approx(ru["y"], abs=1)
        assert kk["x"] + kk["width"] <= ru["x"]
    else:
        assert kk["y"] + kk["height"] <= ru["y"] + 1
    assert 0 <= pair.bounding_box()["y"] < 200
    assert complaints == []
