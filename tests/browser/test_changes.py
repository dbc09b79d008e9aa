"""Comparing editions and languages in a real browser: inline, side by side, aloud."""

from __future__ import annotations

import pytest

from tests.browser.conftest import FEW, TERMS, follow, until

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


@pytest.mark.parametrize("script", [True, False])
@pytest.mark.parametrize("width", [360, 1280])
def test_unchanged_clauses_open_one_by_one_or_all_at_once(site, window, width, script):
    page = window(width=width, script=script)
    page.goto(f"{site}/ru{CHANGES}")
    groups, shown = page.locator(".agreement-same details"), page.locator(".agreement-same details[open]")
    assert groups.count() > 3
    assert page.get_by_role("link", name="Только изменённые").get_attribute("aria-current") == "true"
    assert shown.count() == 0
    groups.nth(1).locator("summary").click()
    assert shown.count() == 1
    follow(page.get_by_role("link", name="Весь текст"))
    assert shown.count() == groups.count()
    follow(page.get_by_role("link", name="Только изменённые"))
    assert shown.count() == 0


@pytest.mark.parametrize(("width", "marked"), [(360, "В одном тексте"), (1280, "Рядом, в двух столбцах")])
def test_the_layout_is_marked_also_if_nobody_chose_it(site, window, width, marked):
    page = window(width=width)
    page.goto(f"{site}/ru{CHANGES}")
    assert page.get_by_role("link", name=f"{marked} (выбрано)").count() == 1
    views = page.locator("[data-automatic] a")
    shadows = views.evaluate_all("all => all.map(one => getComputedStyle(one).boxShadow !== 'none')")
    assert shadows == [width == 360, width == 1280]


@pytest.mark.parametrize("width", [360, 1280])
def test_the_bar_counts_the_changes_and_the_keys_lead_to_them(site, window, complaints, width):
    page = window(width=width)
    page.goto(f"{site}/ru{CHANGES}")
    count = page.locator(".agreement-stepper span[data-count]")
    total = page.locator(".agreement-change").count()
    shown = "document.querySelector('.agreement-stepper span[data-count]').textContent"
    assert str(total) in count.inner_text()
    for place in (1, 2, 3):
        page.keyboard.press("n")
        page.wait_for_url(f"**#change-{place}")
        until(page, f"{shown}.startsWith('{place} ')")
    announced = "document.querySelector('.agreement-stepper [role=status]').textContent"
    until(page, f"{announced}.trim().startsWith('3 из {total}: Пункт ')")
    top = page.locator("#change-3").bounding_box()["y"]
    assert page.locator(".agreement-stepper").bounding_box()["y"] == 0
    assert page.locator(".agreement-stepper").bounding_box()["height"] <= top < 200
    page.keyboard.press("p")
    page.wait_for_url("**#change-2")
    for place in range(3, total + 1):
        until(page, f"{shown}.startsWith('{place - 1} ')")
        page.keyboard.press("n")
        page.wait_for_url(f"**#change-{place}")
    until(page, f"{shown}.startsWith('{total} ')")
    page.keyboard.press("n")
    assert page.get_by_role("link", name="Следующее").get_attribute("aria-disabled") == "true"
    page.get_by_role("link", name="Қазақша").first.evaluate("it => it.scrollIntoView()")
    assert complaints == []


def test_the_keys_can_be_turned_off_and_are_letters_in_a_field(site, page):
    page.goto(f"{site}/ru{CHANGES}")
    page.locator("select[name=from]").focus()
    page.keyboard.press("n")
    assert "#" not in page.url
    page.get_by_role("button", name="Клавиши N и P").click()
    page.keyboard.press("n")
    assert "#" not in page.url


@pytest.mark.parametrize("width", [360, 1280])
def test_without_the_script_each_change_leads_to_the_next(site, window, width):
    page = window(width=width, script=False)
    page.goto(f"{site}/ru{CHANGES}")
    page.locator(".agreement-stepper a:visible").click()
    for place in (1, 2, 3):
        assert page.url.endswith(f"#change-{place}")
        assert f"{place} из " in page.locator(f"#change-{place}").inner_text()
        page.locator(f"#change-{place} .agreement-steps-here a").last.click()
    assert page.locator("#change-4").bounding_box()["y"] < 200


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
    words = "Екі тілде" if language == "kk" else "На двух языках"
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
