"""Reading an edition: contents, clauses, what changed, find in the text; with the script and without it."""

from __future__ import annotations

import pytest

from tests.browser.conftest import FEW, TERMS, follow, overflow, until

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

variants = pytest.mark.parametrize("variant", FEW, ids=str)


@variants
def test_a_clause_is_reached_by_its_address(site, window, complaints, variant):
    page, language = variant.open(window), variant.language
    page.goto(f"{site}/{language}{TERMS}#3.4")
    clause = page.locator('[id="3.4"]')
    plain = page.locator('[id="3.5"]')

    assert clause.evaluate("element => element.matches(':target')")
    assert 0 <= clause.bounding_box()["y"] < 200
    background = "element => getComputedStyle(element).backgroundColor"
    assert clause.evaluate(background) != plain.evaluate(background)
    assert complaints == []


@variants
def test_the_contents_lead_to_the_sections(site, window, variant):
    page = variant.open(window)
    page.goto(f"{site}/{variant.language}{TERMS}")
    fold = page.locator(".agreement-fold")
    if variant.width < 1000:
        assert not page.locator(".agreement-contents").is_visible()
        fold.locator("summary").click()
    follow(page.locator(".agreement-contents a").nth(2))
    assert page.url.endswith("#3")
    heading = page.locator('h2[id="3"]')
    assert heading.bounding_box()["y"] < 200
    if variant.script:  # The bar stays at the top of the window, and it does not cover the heading.
        assert fold.get_attribute("open") is None
        if variant.width < 1000:
            bar = page.locator(".agreement-guide").bounding_box()
            assert bar["y"] == 0
            assert bar["height"] <= heading.bounding_box()["y"]


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

    mark = unit.locator(".agreement-mark summary")
    assert mark.inner_text() == word
    assert not change.is_visible()
    mark.click()
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
    other, name = {"kk": ("ru", "По-русски"), "ru": ("kk", "Қазақша")}[language]
    page.goto(f"{site}/{language}{TERMS}")
    unit = page.locator(".agreement-unit", has=page.locator('[id="3.4"]'))
    unit.locator(".agreement-card > summary").click()
    follow(unit.get_by_role("link", name=name, exact=True))
    assert page.url == f"{site}/{other}{TERMS}#3.4"
    assert 0 <= page.locator('[id="3.4"]').bounding_box()["y"] < 200


@pytest.mark.parametrize("page", [360, 768, 1280], indirect=True)
def test_the_languages_of_the_page_keep_the_place_too(site, page):
    page.goto(f"{site}/kk{TERMS}#4.2")
    page.keyboard.press("Home")
    until(page, "scrollY === 0")
    follow(page.get_by_role("link", name="Русский").first)
    assert page.url == f"{site}/ru{TERMS}"

    # The bar of the languages is at the page's head; this link stays in the window.
    page.locator('[id="4.2"]').evaluate("it => it.scrollIntoView()")
    switch = page.locator(".agreement-switch")
    until(page, "document.querySelector('.agreement-switch').hash === '#4.2'")
    assert switch.bounding_box()["y"] >= 0
    follow(switch)
    assert page.url == f"{site}/kk{TERMS}#4.2"


def test_the_card_of_a_clause_at_the_end_of_the_window_opens_in_sight(site, page):
    page.goto(f"{site}/ru{TERMS}")
    page.locator('[id="4.2"]').evaluate("it => it.scrollIntoView({block: 'end'})")
    card = page.locator(".agreement-unit:has(> [id='4.2']) .agreement-card")
    card.locator("summary").evaluate("it => it.click()")
    until(
        page,
        """(() => { const box = document.querySelector('.agreement-card[open]').getBoundingClientRect();
        return box.top >= 0 && box.bottom <= innerHeight + 1; })()""",
    )


# Find


def unfold(page):
    fold = page.locator(".agreement-fold summary")
    if fold.is_visible():
        fold.click()


@pytest.mark.parametrize("page", [360, 1280], indirect=True)
@pytest.mark.parametrize(
    ("language", "wanted", "says"),
    [
        ("kk", "ҚҰПИЯЛЫЛЫ", "1 / 1"),
        ("ru", "конфиденциальнОСТЬ  персональных", "1 из 1"),
        ("ru", "ВРЁТ", "Ничего не найдено"),
    ],
)
def test_what_is_sought_is_found_whatever_its_letters_case(site, page, complaints, language, wanted, says):
    page.goto(f"{site}/{language}{TERMS}")
    unfold(page)
    page.get_by_role("searchbox").fill(wanted)
    status = page.locator(".agreement-find [role=status]")
    assert status.inner_text() == says
    found = page.evaluate("[...CSS.highlights.get('agreement-hits')].map(String)")
    assert [one.casefold() for one in found] == ([wanted.casefold().replace("  ", " ")] if " 1" in says else [])
    assert complaints == []


@pytest.mark.parametrize("page", [360, 1280], indirect=True)
def test_hits_are_counted_walked_through_and_forgotten(site, page):
    page.goto(f"{site}/ru{TERMS}")
    unfold(page)
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


# The head, and the card of a clause


def first_clause(page) -> float:
    return page.locator('[id="1.1"]').bounding_box()["y"]


@pytest.mark.parametrize("script", [True, False])
@pytest.mark.parametrize("language", ["kk", "ru"])
@pytest.mark.parametrize("address", [TERMS, f"{TERMS}editions/3/", f"{TERMS}editions/4/", f"{TERMS}editions/1/"])
def test_the_first_clause_is_in_the_first_window_of_a_phone(site, window, language, script, address):
    page = window(width=360, script=script)
    page.goto(f"{site}/{language}{address}")
    assert first_clause(page) < 760
    assert not page.locator(".agreement-aside").is_visible()


def test_a_new_edition_displays_its_summary_and_leads_to_the_changed_clauses(site, page):
    page.goto(f"{site}/ru{TERMS}editions/3/")
    assert "3.7" in page.locator(".agreement-plain").inner_text()
    chips = page.locator(".agreement-chips a")
    assert chips.all_inner_texts() == ["3.7 новый", "4.4 изменён", "5.1 изменён"]
    follow(chips.first)
    assert page.url.endswith("editions/3/#3.7")


def test_a_long_summary_is_cut_on_a_phone_until_it_is_wanted(site, window):
    page = window(width=360, script=False)
    page.goto(f"{site}/ru{TERMS}editions/3/")
    summary, more = page.locator("#plain"), page.locator(".agreement-more a")
    before = summary.bounding_box()["height"]
    follow(more)
    assert summary.bounding_box()["height"] > before
    assert not more.is_visible()


@variants
def test_the_card_of_a_clause_opens_at_its_number_by_touch_and_keys(site, window, complaints, variant):
    page, language = variant.open(window), variant.language
    page.goto(f"{site}/{language}{TERMS}")
    unit = page.locator(".agreement-unit", has=page.locator('[id="3.4"]'))
    number, card = unit.locator(".number"), unit.locator(".agreement-card")

    number.evaluate("it => it.scrollIntoView({block: 'center'})")
    box = number.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 3, box["y"] + box["height"] / 2)
    assert card.get_attribute("open") is not None
    assert card.locator(".agreement-cite").count() == 2
    links = card.get_by_role("link").evaluate_all("all => all.map(one => one.getAttribute('href'))")
    assert links[:2] == [f"/{language}{TERMS}editions/3/#3.4", f"/{language}{TERMS}#3.4"]
    assert links[3] == f"/{language}{TERMS}clauses/3.4/?edition=3"

    other = page.locator(".agreement-unit", has=page.locator('[id="3.5"]')).locator(".agreement-card")
    other.locator("summary").focus()
    page.keyboard.press("Enter")
    assert other.get_attribute("open") is not None
    assert card.get_attribute("open") is None  # One card is open at a time.
    if variant.script:
        page.keyboard.press("Tab")
        page.keyboard.press("Escape")
        assert other.get_attribute("open") is None
        assert other.locator("summary").evaluate("it => it === document.activeElement")
    assert complaints == []


def test_a_citation_is_copied(site, window):
    page = window(permissions=["clipboard-read", "clipboard-write"])
    page.goto(f"{site}/ru{TERMS}")
    card = page.locator(".agreement-unit", has=page.locator('[id="3.4"]')).locator(".agreement-card")
    card.locator("summary").click()
    citation = card.locator(".agreement-cite").first
    citation.get_by_role("button", name="Копировать").click()
    citation.get_by_role("button", name="Скопировано").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("Пользовательское соглашение, редакция №\u00a03 (действует с ")
    assert copied.endswith(f"пункт 3.4. {site}/ru{TERMS}editions/3/#3.4")


def test_each_unchanged_clause_is_one_stop_of_the_tab_key(site, page):
    page.goto(f"{site}/ru{TERMS}")
    stops = page.locator(".agreement-unit:not(:has(.agreement-mark))").evaluate_all(
        "all => all.map(unit => [...unit.querySelectorAll('a[href], summary, button')]"
        ".filter(one => one.checkVisibility({contentVisibilityAuto: true}) && !one.matches('.reference')).length)"
    )
    assert set(stops) == {1}


@pytest.mark.parametrize("width", [320, 360, 768, 1024, 1280, 1920])
def test_the_page_with_everything_open_fits_its_window(site, window, width):
    page = window(width=width)
    for language in ("kk", "ru", "en"):
        for address in (TERMS, f"{TERMS}editions/3/", f"{TERMS}editions/4/"):
            page.goto(f"{site}/{language}{address}")
            assert overflow(page) <= 0
            page.evaluate("document.querySelectorAll('details').forEach(one => (one.name = '', one.open = true))")
            assert overflow(page) <= 0
            clipped = page.locator(".agreement-guide").evaluate("it => it.scrollWidth - it.clientWidth")
            assert clipped <= 0


def test_paper_has_the_qr_code_of_the_edition(site, window):
    page = window(width=360)
    page.goto(f"{site}/ru{TERMS}")
    page.emulate_media(media="print")
    assert page.get_by_role("img", name="QR‑код постоянного адреса").is_visible()
    assert not page.locator(".agreement-card").first.is_visible()


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
    says = {"kk": "3‑редакция", "ru": "До этого времени действует редакция №\u00a03."}[language]
    page.goto(f"{site}/{language}{TERMS}")
    follow(page.locator(".agreement-banner").get_by_role("link"))
    assert page.url == f"{site}/{language}{TERMS}editions/4/"
    banner = page.locator(".agreement-banner")
    assert says in banner.inner_text()
    follow(banner.get_by_role("link"))
    assert page.url == f"{site}/{language}{TERMS}"
