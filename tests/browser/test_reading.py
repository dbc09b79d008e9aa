"""Reading an edition: contents, clauses, what changed, find in the text; with the script and without it."""

from __future__ import annotations

import pytest

from tests.browser.conftest import FEW, TERMS, follow, until

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

variants = pytest.mark.parametrize("variant", FEW, ids=str)


@variants
def test_a_clause_is_reached_by_its_address_and_gives_it(site, window, complaints, variant):
    page, language = variant.open(window), variant.language
    page.goto(f"{site}/{language}{TERMS}#3.4")
    clause = page.locator('[id="3.4"]')
    plain = page.locator('[id="3.5"]')

    assert clause.evaluate("element => element.matches(':target')")
    assert 0 <= clause.bounding_box()["y"] < 200
    background = "element => getComputedStyle(element).backgroundColor"
    assert clause.evaluate(background) != plain.evaluate(background)

    follow(plain.locator("a.number"))
    assert page.url == f"{site}/{language}{TERMS}#3.5"
    assert complaints == []


@variants
def test_the_contents_lead_to_the_sections(site, window, variant):
    page = variant.open(window)
    page.goto(f"{site}/{variant.language}{TERMS}")
    follow(page.locator(".agreement-contents a").nth(2))
    assert page.url.endswith("#3")
    assert page.locator('h2[id="3"]').bounding_box()["y"] < 200


@pytest.mark.parametrize("page", [360, 1280], indirect=True)
def test_the_contents_follow_the_reader(site, page):
    page.goto(f"{site}/ru{TERMS}")
    current = page.locator(".agreement-contents [aria-current=location]")
    assert current.count() == 0
    for section, clause in (("3", "3"), ("5", "5.3"), ("2", "2.2"), ("4", "4.2")):  # jumps pass headings by
        page.locator(f'[id="{clause}"]').evaluate("it => scrollBy(0, it.getBoundingClientRect().top - 20)")
        page.locator(f'.agreement-contents a[href="#{section}"][aria-current=location]').wait_for(state="attached")
        assert current.count() == 1


def test_clause_numbers_hang_in_the_margin_of_a_wide_page(site, page):
    page.goto(f"{site}/kk{TERMS}")
    clause = page.locator('[id="1.1"]')
    number = clause.locator(".number").bounding_box()
    assert number["x"] + number["width"] <= clause.bounding_box()["x"] + 1


@variants
def test_the_mark_beside_a_changed_clause_opens_its_change_in_place(site, window, complaints, variant):
    page, language = variant.open(window), variant.language
    word, gone, come = {
        "kk": ("өзгерді", "хаттамасымен", "хаттамамен"),
        "ru": ("изменено", "1.2", "версии 1.2"),
    }[language]
    page.goto(f"{site}/{language}{TERMS}")
    unit = page.locator(".agreement-unit", has=page.locator('[id="4.4"]'))
    change = unit.locator(".agreement-redline")

    assert unit.locator("summary").inner_text() == word
    assert not change.is_visible()
    unit.locator("summary").click()
    assert change.is_visible()
    assert gone in change.locator("del").first.inner_text()
    assert come in change.inner_text()
    assert change.bounding_box()["y"] >= unit.locator('[id="4.4"]').bounding_box()["y"]
    follow(change.get_by_role("link"))
    assert page.url == f"{site}/{language}{TERMS}editions/3/changes/#4.4"
    page.locator('[id="4.4"]:target').wait_for(state="attached")
    assert complaints == []


@variants
def test_each_clause_keeps_the_readers_place_in_the_other_language(site, window, variant):
    page, language = variant.open(window), variant.language
    other, name = {"kk": ("ru", "по-русски"), "ru": ("kk", "қазақша")}[language]
    page.goto(f"{site}/{language}{TERMS}")
    unit = page.locator(".agreement-unit", has=page.locator('[id="3.4"]'))
    unit.hover()
    follow(unit.get_by_role("link", name=f"3.4 {name}"))
    assert page.url == f"{site}/{other}{TERMS}#3.4"
    assert 0 <= page.locator('[id="3.4"]').bounding_box()["y"] < 200


def test_the_languages_of_the_page_keep_the_place_too(site, page):
    page.goto(f"{site}/kk{TERMS}#4.2")
    page.keyboard.press("Home")
    until(page, "scrollY === 0")
    follow(page.get_by_role("link", name="Русский").first)
    assert page.url == f"{site}/ru{TERMS}"

    page.locator('[id="4.2"]').scroll_into_view_if_needed()
    # The bar is at the page's head: whoever uses it from below does so by a key or a reader's command.
    page.get_by_role("link", name="Қазақша").first.evaluate("link => link.click()")
    page.wait_for_url(f"{site}/kk{TERMS}#*")
    assert page.url.rpartition("#")[2] != ""


# Find


@pytest.mark.parametrize("page", [360, 1280], indirect=True)
@pytest.mark.parametrize(
    ("language", "wanted", "says"),
    [
        ("kk", "ҚҰПИЯЛЫЛЫ", "1 ішінен 1"),
        ("ru", "конфиденциальнОСТЬ  персональных", "1 из 1"),
        ("ru", "ВРЁТ", "Ничего не найдено"),
    ],
)
def test_what_is_sought_is_found_whatever_its_letters_case(site, page, complaints, language, wanted, says):
    page.goto(f"{site}/{language}{TERMS}")
    page.get_by_role("searchbox").fill(wanted)
    status = page.locator(".agreement-find [role=status]")
    assert status.inner_text() == says
    found = page.evaluate("[...CSS.highlights.get('agreement-hits')].map(String)")
    assert [one.casefold() for one in found] == ([wanted.casefold().replace("  ", " ")] if " 1" in says else [])
    assert complaints == []


@pytest.mark.parametrize("page", [360, 1280], indirect=True)
def test_hits_are_counted_walked_through_and_forgotten(site, page):
    page.goto(f"{site}/ru{TERMS}")
    before = page.locator(".agreement-text").inner_html()
    field = page.get_by_role("searchbox")

    def says(words: str) -> None:
        until(page, f"() => document.querySelector('.agreement-find [role=status]').innerText === '{words}'")

    field.fill("пункт")
    count = page.evaluate("CSS.highlights.get('agreement-hits').size")
    assert count > 5
    says(f"1 из {count}")
    field.press("Enter")
    page.get_by_role("button", name="Следующее").click()
    says(f"3 из {count}")
    until(
        page,
        "() => { const hit = [...CSS.highlights.get('agreement-hit')][0].getBoundingClientRect();"
        " return hit.top > 60 && hit.bottom < innerHeight; }",
    )
    page.get_by_role("button", name="Предыдущее").click()
    says(f"2 из {count}")
    assert field.is_visible()
    field.press("Escape")
    says("")
    assert page.evaluate("CSS.highlights.get('agreement-hits').size") == 0
    assert page.locator(".agreement-text").inner_html() == before
    assert page.context.cookies() == []
    assert page.evaluate("localStorage.length + sessionStorage.length") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_without_the_script_there_is_no_field_that_does_nothing(site, window, scheme):
    page = window(script=False, scheme=scheme)
    page.goto(f"{site}/ru{TERMS}")
    assert not page.locator(".agreement-find").is_visible()
    page.goto(f"{site}/ru{TERMS}editions/2/changes/")
    assert not page.locator(".agreement-only").is_visible()


@pytest.mark.parametrize("page", [360, 1280], indirect=True)
@pytest.mark.parametrize("address", [TERMS, f"{TERMS}editions/2/changes/", f"{TERMS}bilingual/"])
def test_nothing_moves_while_the_page_loads(site, page, address):
    page.add_init_script(
        "window.moved = 0; new PerformanceObserver(list => list.getEntries().forEach(it => window.moved += it.value))"
        ".observe({type: 'layout-shift', buffered: true})"
    )
    page.goto(f"{site}/kk{address}")
    page.wait_for_load_state("networkidle")
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert page.evaluate("moved") == 0


def test_nothing_moves_by_itself_for_whoever_wants_less_motion(site, window):
    page = window(reduced_motion="reduce")
    page.goto(f"{site}/kk{TERMS}")
    durations = page.evaluate(
        "[...document.querySelectorAll('*')].map(it => getComputedStyle(it).transitionDuration)"
        ".filter(duration => duration !== '0s')"
    )
    assert durations == []


# Archive and banners


@variants
def test_the_archive_leads_to_each_edition_and_its_banner_back(site, window, variant):
    page, language = variant.open(window), variant.language
    page.goto(f"{site}/{language}{TERMS}editions/")
    assert page.locator(".agreement-item").count() == 4
    follow(page.locator("#edition-1 h2 a"))
    assert page.url == f"{site}/{language}{TERMS}editions/1/"
    banner = page.locator(".agreement-banner")
    assert banner.is_visible()
    follow(banner.get_by_role("link"))
    assert page.url == f"{site}/{language}{TERMS}"


@variants
def test_an_announced_edition_says_which_one_binds_till_then(site, window, variant):
    page, language = variant.open(window), variant.language
    says = {"kk": "3-редакция", "ru": "До этого времени действует редакция №\u00a03."}[language]
    page.goto(f"{site}/{language}{TERMS}")
    follow(page.locator(".agreement-banner").get_by_role("link"))
    assert page.url == f"{site}/{language}{TERMS}editions/4/"
    banner = page.locator(".agreement-banner")
    assert says in banner.inner_text()
    follow(banner.get_by_role("link"))
    assert page.url == f"{site}/{language}{TERMS}"
