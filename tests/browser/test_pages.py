"""The pages in a real browser: they fit, are accessible, are reached by keyboard, break no policy, and print."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from agreement.models import Edition
from tests.browser.conftest import SOME, TERMS, follow, overflow, violations
from tests.support import factories

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PAGES = (
    *("/", "/materials/", "/agreements/", TERMS, f"{TERMS}editions/", f"{TERMS}editions/1/", f"{TERMS}editions/4/"),
    *(f"{TERMS}bilingual/", f"{TERMS}editions/1/bilingual/", f"{TERMS}editions/1/changes/"),
    *(f"{TERMS}editions/2/changes/{query}" for query in ("", "?view=inline", "?view=columns")),
    *(f"{TERMS}editions/2/amendment/", f"{TERMS}editions/4/amendment/?from=1"),
)


@pytest.mark.parametrize("variant", SOME, ids=str)
def test_every_page_fits_breaks_no_policy_and_is_accessible(site, window, complaints, variant):
    page = variant.open(window)
    for address in PAGES:
        response = page.goto(f"{site}/{variant.language}{address}")
        assert response.status == 200
        assert overflow(page) <= 0, address
        assert page.locator("h1").count() == 1
        assert page.evaluate("getComputedStyle(document.querySelector('h1')).fontWeight") == "600"
        if variant.script:  # axe is a script itself; what is closed is looked at too
            # Without the name, only one of the cards could be open.
            page.evaluate("document.querySelectorAll('details').forEach(one => (one.name = '', one.open = true))")
            assert violations(page) == [], address
    assert complaints == []


@pytest.mark.parametrize("page", [320], indirect=True)
def test_no_page_needs_scrolling_sideways_at_320_pixels(site, page, complaints):
    for language in ("kk", "ru", "en"):
        for address in PAGES:
            page.goto(f"{site}/{language}{address}")
            page.evaluate("document.querySelectorAll('details').forEach(one => (one.name = '', one.open = true))")
            assert overflow(page) <= 0, address
    assert complaints == []


@pytest.mark.parametrize("address", PAGES)
@pytest.mark.parametrize("page", [360, 1280], indirect=True)
def test_the_keyboard_alone_reaches_everything_in_view_and_shows_where_it_is(site, page, address):
    page.goto(f"{site}/ru{address}")
    controls = page.locator("a[href], button, input, select, summary").evaluate_all(
        "all => all.map((one, place) => (one.dataset.place = place, one))"
        ".filter(one => one.checkVisibility({visibilityProperty: true})).map(one => one.dataset.place)"
    )
    reached: list[str] = []
    parts = 3 * page.locator("input[type=date]").count()  # Beside the day: the month, the year and the calendar.
    for _ in range(len(controls) + parts):
        page.keyboard.press("Tab")
        place, outline, seen = page.evaluate(
            """() => {
                const one = document.activeElement, box = one.getClientRects()[0];
                const at = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
                const seen = at && (one.contains(at) || at.contains(one));
                return [one.dataset.place, getComputedStyle(one).outlineStyle, seen];
            }"""
        )
        reached += [place] * (place not in reached[-1:])
        assert outline != "none", page.evaluate("document.activeElement.outerHTML")
        assert seen, page.evaluate("document.activeElement.outerHTML")
    assert sorted(reached, key=int) == controls


@pytest.mark.parametrize("page", [360], indirect=True)
def test_long_words_and_wide_tables_stay_inside_a_phone(live_server, page, complaints):
    long = (
        f"\n\n1.3. {'ұзақсөз' * 40} https://example.kz/{'a' * 200}\n\n| {' | '.join('бағана' * 9)} |\n|{'---|' * 54}\n"
    )
    factories.published(kk=factories.KK + long, ru=factories.RU + long)
    page.goto(f"{live_server.url}/kk/agreements/terms/")
    assert overflow(page) <= 0
    assert complaints == []


def test_the_language_links_lead_to_the_same_page(site, page):
    page.goto(f"{site}/kk{TERMS}editions/2/")
    follow(page.get_by_role("link", name="Русский").first)
    assert page.url == f"{site}/ru{TERMS}editions/2/"
    assert page.locator("html").get_attribute("lang") == "ru"


@pytest.mark.parametrize(
    ("language", "address", "line"),
    [
        ("kk", TERMS, "3‑редакция · күшіне ену күні:"),
        ("ru", f"{TERMS}editions/1/", "Редакция №\u00a01 · дата вступления в силу: 12\u00a0февраля 2024\u00a0г."),
        (
            "ru",
            f"{TERMS}editions/1/bilingual/",
            "Редакция №\u00a01 · дата вступления в силу: 12\u00a0февраля 2024\u00a0г.",
        ),
        ("ru", f"{TERMS}editions/2/changes/", "Редакция №\u00a01, 12\u00a0февраля 2024\u00a0г."),
        ("kk", f"{TERMS}editions/2/changes/", "1‑редакция, 2024\u00a0жылғы 12\u00a0ақпан"),
        ("kk", f"{TERMS}editions/4/amendment/?from=1", "4‑редакция"),
        ("ru", f"{TERMS}editions/2/changes/?view=inline", "Редакция №\u00a01, 12\u00a0февраля 2024\u00a0г."),
    ],
)
def test_every_printed_sheet_says_which_edition_it_is_of(site, page, tmp_path, language, address, line):
    if not shutil.which("pdftotext"):
        pytest.skip("needs pdftotext (poppler-utils)")
    page.goto(f"{site}/{language}{address}")
    page.pdf(path=tmp_path / "page.pdf", prefer_css_page_size=True)

    run = ["pdftotext", "-layout", str(tmp_path / "page.pdf"), "-"]
    sheets = subprocess.run(run, check=True, capture_output=True, text=True).stdout.split("\f")[:-1]

    assert len(sheets) > 1
    digests = [edition.digest[:12] for edition in Edition.objects.published()]
    for number, sheet in enumerate(sheets, start=1):
        words = " ".join(sheet.split())
        assert " ".join(line.split()) in words
        assert any(digest in words for digest in digests)
        assert words.replace(" ", "").endswith(f"{number}/{len(sheets)}")


def test_paper_has_no_buttons(site, page):
    page.goto(f"{site}/ru{TERMS}")
    page.emulate_media(media="print")
    for shown in (".agreement-kicker", ".agreement-validity", ".agreement-running", ".agreement-proof code >> nth=0"):
        assert page.locator(shown).is_visible()
    for hidden in (".portal-bar", ".agreement-guide", ".agreement-languages", ".agreement-mark >> nth=0"):
        assert not page.locator(hidden).is_visible()


def test_the_keyboard_reaches_the_text_first(site, page):
    page.goto(f"{site}/kk{TERMS}")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "#content"


FACES = (
    *(".agreement-kicker", ".agreement-state", "h1", ".agreement-approval", ".agreement-text p", ".agreement-text h2"),
    *(".agreement-text strong", ".agreement-text em", ".agreement-text code", ".agreement-contents h2"),
)


@pytest.mark.parametrize("media", ["screen", "print"])
def test_no_kazakh_letter_is_of_another_face_than_its_word(live_server, page, media):
    letters = "АӘҒҚҢӨҰҮҺІ аәғқңөұүһі"
    words = (letters, f"**{letters}**", f"*{letters}*", f"`{letters}`")
    clauses = "\n\n".join(f"1.{number}. {text}" for number, text in enumerate(words, start=1))
    kk = f"# {letters}\n\n## 1. {letters.upper()}\n\n{clauses}\n"
    factories.published(kk=kk, ru=kk, approval_kk=letters, approval_ru=letters)
    page.goto(f"{live_server.url}/kk/agreements/terms/")
    page.emulate_media(media=media)
    tools = page.context.new_cdp_session(page)
    for domain in ("DOM", "CSS"):
        tools.send(f"{domain}.enable")
    root = tools.send("DOM.getDocument")["root"]["nodeId"]
    for face in FACES:
        node = tools.send("DOM.querySelector", {"nodeId": root, "selector": face})["nodeId"]
        fonts = tools.send("CSS.getPlatformFontsForNode", {"nodeId": node})["fonts"]
        assert len({font["familyName"] for font in fonts}) <= 1, (face, fonts)
