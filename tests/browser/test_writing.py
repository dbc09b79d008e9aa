"""Writing a draft in a real browser: the bar of marks, what is pasted, the bar at the bottom, and the cost of a key."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agreement.models import Edition
from agreement.text import clauses
from agreement.text.languages import LANGUAGES
from portal_site.management.commands import demo
from tests.browser.conftest import overflow, until
from tests.browser.test_admin import Person, draft_of, person, site, violations

if TYPE_CHECKING:
    from playwright.sync_api import Page

__all__ = ["person", "site"]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.parametrize("language", ["ru"]),
]

CLIPBOARD = Path(__file__).parent / "clipboard"
TEXT = "# Ереже\n\n## 1. Жалпы\n\n1.1. Бірінші.\n\n1) бір;\n\n1.2. Екінші.\n\n## 2. Деректер\n\nсөз\n\n2.1. Үшінші.\n"
RULES = "Ереже\n\n1. Оқырман залда сөйлемейді.\n\n2. Оқырман кітапты қайтарады.\n\n3. Оқырман келеді.\n"
SELECT = "([start, end]) => { const area = id_body_kk; area.focus(); area.setSelectionRange(start, end); }"
PASTE = """([html, plain]) => {
    const data = new DataTransfer();
    if (html) data.setData("text/html", html);
    data.setData("text/plain", plain);
    const event = new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true});
    return id_body_kk.dispatchEvent(event);
}"""


def written(person: Person) -> str:
    return person.page.locator("#id_body_kk").input_value()


def open_draft(person: Person, text: str = TEXT) -> Edition:
    draft = draft_of()
    person.log_in("author")
    person.open(f"agreement/edition/{draft.pk}/change/")
    fill(person.page, text)
    return draft


def fill(page: Page, text: str) -> None:
    """Write a text, and wait until the site has read its numbers."""
    with page.expect_response("**/check/"):
        page.locator("#id_body_kk").fill(text)
    units = len([unit for unit in clauses.parse(text).units if unit.number])
    until(page, f"(id_body_kk.agreementUnits || []).length === {units}")


def select(page: Page, words: str, text: str = TEXT) -> None:
    start = text.index(words)
    page.evaluate(SELECT, [start, start + len(words)])


def pasted(page: Page, html: str, plain: str = "") -> str:
    """What becomes of the contents of a clipboard in an empty text area."""
    fill(page, "")
    page.evaluate(SELECT, [0, 0])
    page.evaluate(PASTE, [html, plain])
    return page.locator("#id_body_kk").input_value()


# The bar of marks


@pytest.mark.parametrize(
    ("mark", "selected", "expected"),
    [
        ("clause", "Бірінші", ("1) бір;\n", "1) бір;\n\n1.2. \n")),
        ("clause", "сөз", ("сөз", "2.1. сөз")),
        ("section", "сөз", ("сөз", "## 3. сөз")),
        ("section", "Екінші", ("1.2. Екінші.\n", "1.2. Екінші.\n\n## 2. \n")),
        ("numbers", "сөз", ("сөз", "1) сөз")),
        ("numbers", "бір;", ("1) бір;", "бір;")),
        ("list", "сөз", ("сөз", "- сөз")),
        ("list", "Екінші", ("1.2. Екінші.\n", "1.2. Екінші.\n\n- \n")),
        ("bold", "Бірінші", ("Бірінші", "**Бірінші**")),
        ("link", "Бірінші", ("Бірінші", "[Бірінші](https://)")),
        ("table", "Бірінші", ("1.1. Бірінші.\n", "1.1. Бірінші.\n\n|  |  |\n|---|---|\n|  |  |\n")),
    ],
)
def test_a_mark_is_one_step_that_the_browser_undoes(person, language, mark, selected, expected):
    open_draft(person)
    select(person.page, selected)
    person.click(f".agreement-format [data-mark={mark}]")
    assert written(person) == TEXT.replace(*expected)
    assert person.page.evaluate("document.activeElement.id") == "id_body_kk"
    person.page.keyboard.press("Control+z")
    assert written(person) == TEXT
    person.page.keyboard.press("Control+Shift+z")
    assert written(person) == TEXT.replace(*expected)


def test_the_next_clause_has_the_form_of_the_others(person, language):
    open_draft(person, RULES)
    select(person.page, "келеді", RULES)
    person.click(".agreement-format [data-mark=clause]")
    assert written(person) == RULES.rstrip() + "\n\n4. \n"


def test_the_marks_are_reached_by_keyboard(person, language):
    open_draft(person)
    select(person.page, "Бірінші")
    person.page.keyboard.press("Control+b")
    assert "**Бірінші**" in written(person)
    person.page.keyboard.press("Control+b")
    assert written(person) == TEXT
    person.page.keyboard.press("Shift+Tab")
    person.page.keyboard.press("ArrowRight")
    assert person.page.evaluate("document.activeElement.dataset.mark") == "clause"
    person.page.keyboard.press("Enter")
    assert written(person) == TEXT.replace("1) бір;\n", "1) бір;\n\n1.2. \n")


def test_a_link_of_an_address_and_a_table_of_tabs(person, language):
    text = TEXT + "\nhttps://example.kz\n\nа\tб|в\nг\tд\n"
    open_draft(person, text)
    select(person.page, "https://example.kz", text)
    person.page.keyboard.press("Control+k")
    assert "\n<https://example.kz>\n" in written(person)
    person.page.keyboard.press("Control+z")
    select(person.page, "а\tб|в\nг\tд", text)
    person.click(".agreement-format [data-mark=table]")
    assert written(person).endswith("\n\n| а | б\\|в |\n|---|---|\n| г | д |\n")


# What is pasted


def test_what_word_puts_on_the_clipboard_becomes_the_grammar(person, language):
    open_draft(person)
    html = (CLIPBOARD / "word.html").read_text(encoding="utf-8")
    assert pasted(person.page, html) == (
        "# Правила читального зала\n\n## 1. Общие положения\n\n"
        "1.1. Читатель приходит в\u00a0зал № 5.\nЗал открыт.\n\nа) днём;\n\nб) вечером.\n\n"
        "1.2. Площадь – 40 м², звёздочка \\*важно* и знак a_b, цены:\n\n"
        "| Услуга | Цена \\| плата |  |\n|---|---|---|\n| Чтение<br>в зале | 0 | 0 |\n|  | 10 | 20 |\n\n"
        "- книги\n- журналы\n\nОставлено новое, см. сайт."
    )
    said = person.page.locator(".agreement-stored").inner_text()
    assert said == "Не вставлено: зачёркнутые слова, адреса ссылок, рисунки."
    person.page.keyboard.press("Control+z")
    assert written(person) == ""


def test_what_libreoffice_puts_on_the_clipboard_keeps_the_numbers_that_it_prints(person, language):
    open_draft(person)
    html, plain = ((CLIPBOARD / f"libreoffice.{kind}").read_text(encoding="utf-8") for kind in ("html", "txt"))
    assert pasted(person.page, html, plain) == (
        "Условия\n\n## 1. Общие положения\n\n1.1. Портал открыт для всех.\n\n1.2. Портал хранит:\n\n1) имя;\n\n"
        "2) адрес:\n\nа) рабочий;\n\nб) личный.\n\n## 2. Данные\n\n2.1. Срок хранения – три года."
    )


@pytest.mark.parametrize(
    ("html", "plain", "expected"),
    [
        ("", "1.1. Первая\vвторая.", "1.1. Первая\nвторая."),
        ("", "Услуга\tЦена\nчтение\t0|1\n", "| Услуга | Цена |\n|---|---|\n| чтение | 0\\|1 |\n"),
        ("", "1.1.\tПервый.\n1.2.\tВторой.\n•\tтретий", "1.1. Первый.\n1.2. Второй.\n- третий"),
        ("<p>Один<br>два</p><p>три</p>", "", "Один\nдва\n\nтри"),
        ("<ol start=3><li>а<ul><li>б<ul><li>в</ul></ul><li>г</ol>", "", "3. а\n\n- б\n    - в\n\n4. г"),
        ("<ol type=a><li>а<li>б</ol>", "", "a) а\n\nb) б"),
        ("<table><tr><td><p>Рамка</p><p>текста</p></td></tr></table>", "", "Рамка\n\nтекста"),
        ("<p>&lt;br> *a* &amp;copy; # d</p><p># e</p>", "", "\\<br> \\*a* &amp;copy; # d\n\n\\# e"),
        ("<p>[b](https://c)</p>", "", "[b\\](https://c)"),
        ("<b>слово</b> <i>и</i> ещё", "", "слово и ещё"),
    ],
)
def test_pasted_words_become_the_grammar(person, language, html, plain, expected):
    open_draft(person)
    if html:
        assert pasted(person.page, html, plain) == expected
    else:
        assert pasted(person.page, "", plain).rstrip("\n") == expected.rstrip("\n")


HOSTILE = """<p onclick="hit()">Слова<script>document.title = 'hit'</script><style>p { color: red }</style>
<img src="/hit.png" onerror="document.title = 'hit'"><iframe src="/hit"></iframe>
<svg/onload="hit()"><text>нет</text></svg>
<object data="/hit"></object><a href="javascript:hit()">ссылка</a><span style="display:none">тайно</span>
<textarea>поле</textarea><template>шаблон</template><base href="https://evil.example/">
<link rel=stylesheet href="/hit.css">
<table background="/hit.png"><tr><td style="background: url(/hit.png)" colspan=100000 rowspan=100000>а<td>б</table>
<math><mtext><img src=x onerror="document.title = 'hit'"></mtext></math></p>"""


def test_nothing_of_a_hostile_clipboard_gets_through_but_words(person, complaints, language):
    open_draft(person)
    asked: list[str] = []
    person.page.on("request", lambda request: "hit" in request.url and asked.append(request.url))
    title = person.page.title()
    text = pasted(person.page, HOSTILE)
    assert text.startswith("Слова")
    for word in ("hit", "нет", "тайно", "поле", "шаблон", "<img", "javascript", "color"):
        assert word not in text
    assert (asked, person.page.title()) == ([], title)
    deep = "<ol><li>" * 3000 + "дно"
    assert pasted(person.page, deep).endswith("дно")
    assert [text for text in complaints if "404 (Not Found)" not in text] == []


# The bar at the bottom


def test_findings_of_one_kind_are_one_line_and_lead_to_their_place(person, language):
    draft = draft_of()
    cut = demo.bodies(2)["ru"]
    cut = cut[: cut.index("\n3. ") if "\n3. " in cut else cut.index("\n## 3.")]
    missing = [unit for unit in clauses.parse(draft.body_kk).units if unit.number and unit.number[0] in "345"]
    assert len(missing) > 5
    Edition.objects.filter(pk=draft.pk).update(body_ru=cut, body_kk=draft.body_kk + "\n\nСм. 9.9-тармақ, 8.8-тармақ.\n")
    person.log_in("author")
    person.open(f"agreement/edition/{draft.pk}/change/")
    person.page.locator(".agreement-status.agreement-alarm").wait_for()
    person.click(".agreement-bar button")
    errors = person.page.locator(".agreement-found > ul > li.agreement-error")
    assert errors.count() == 1
    assert person.page.locator(".agreement-found details summary", has_text="Ещё таких: ").count() >= 1
    errors.locator("button").first.click()
    assert person.page.evaluate("document.activeElement.id") == "id_body_kk"
    line = missing[0].line
    assert person.page.evaluate("id_body_kk.value.slice(0, id_body_kk.selectionStart).split('\\n').length") == line
    area, foot = (person.page.locator(of).bounding_box() for of in ("#id_body_kk", "#agreement-foot"))
    assert area["y"] < foot["y"]


def test_a_finding_selects_the_words_that_it_quotes_and_links_every_line_that_it_names(person, language):
    open_draft(person, TEXT.replace("Екінші", "Сөз және Eкінші").replace("2.1. Үшінші", "1.1. Үшінші"))
    person.click(".agreement-bar button")
    found = person.page.locator("#agreement-panel .agreement-kk li")
    selected = "id_body_kk.value.slice(id_body_kk.selectionStart, id_body_kk.selectionEnd)"
    word = found.filter(has_text="Похожие знаки").first.locator("button").first
    assert word.inner_text().startswith("1.2: ")
    word.click()
    assert person.page.evaluate(selected) == "Eкінші"
    twice = found.filter(has_text="Номер повторяется").first.locator("button")
    assert twice.all_inner_texts()[1:] == ["строка 5"]
    twice.last.click()
    assert person.page.evaluate("id_body_kk.value.slice(id_body_kk.selectionStart).startsWith('1.1. Бірінші')")


def test_the_finding_about_a_missing_summary_goes_when_the_summary_is_written(person, language):
    open_draft(person)
    person.click(".agreement-bar button")
    missing = person.page.locator("#agreement-panel li", has_text="Нет краткого изложения на русском")
    missing.first.wait_for()
    person.page.locator("#id_summary_ru").fill("Изменён пункт 1.2.")
    missing.first.wait_for(state="detached")


@pytest.mark.parametrize("page", [390], indirect=True)
def test_a_box_without_findings_leaves_room_for_the_text(page, person, language):
    person.page = page
    draft = draft_of(notice_days=10, retention_years=5, summary_kk="Өзгерді.", summary_ru="Изменено.")
    person.log_in("author")
    person.open(f"agreement/edition/{draft.pk}/change/")
    until(person.page, "id_body_kk.agreementUnits")
    person.click(".agreement-bar button")
    empty = person.page.locator(".agreement-empty")
    assert empty.count() == 2
    assert all(box.bounding_box()["height"] < 50 for box in empty.all())


def test_a_finding_about_both_texts_stands_under_a_heading_of_its_own(person, language):
    draft = draft_of()
    same = {f"body_{code}": body for code, body in demo.bodies(1).items()}
    Edition.objects.filter(pk=draft.pk).update(**same)
    person.log_in("author")
    person.open(f"agreement/edition/{draft.pk}/change/")
    person.click(".agreement-bar button")
    both, kazakh = (person.page.locator(f"#agreement-panel .agreement-{name}") for name in ("both", "kk"))
    both.locator("li button").first.wait_for()
    assert both.locator("h3").inner_text() == "Оба текста"
    assert "оба текста" not in kazakh.inner_text()
    both.locator("li button").first.click()
    assert person.page.evaluate("document.activeElement.id") == "id_body_kk"
    person.page.locator(".agreement-bar button", has_text="Предпросмотр").click()
    assert not both.is_visible()


@pytest.mark.parametrize("page", [390, 1280], indirect=True)
@pytest.mark.parametrize("script", [True, False])
def test_the_buttons_that_save_stay_in_sight(window, page, site, person, language, script):
    if not script:
        person.page = window(width=page.viewport_size["width"], script=False)
    draft = draft_of()
    person.log_in("author")
    person.open(f"agreement/edition/{draft.pk}/change/")
    button = person.page.locator("#agreement-foot input[name=_continue]")
    box = button.bounding_box()
    assert box["y"] + box["height"] <= 800
    assert person.page.locator("#agreement-foot").bounding_box()["height"] <= 200
    assert person.page.locator("#nav-sidebar").count() == 0
    assert overflow(person.page) <= 0


def test_each_view_above_the_bar_opens_and_closes(person, language):
    open_draft(person)
    panel = person.page.locator("#agreement-panel")
    assert not panel.is_visible()
    for name, inside in (("Замечания", "li button"), ("Предпросмотр", "#preview-kk-1\\.1"), ("Изменения", "ins")):
        tab = person.page.locator(".agreement-bar button", has_text=name)
        tab.click()
        panel.locator(inside).first.wait_for()
        assert tab.get_attribute("aria-expanded") == "true"
        assert violations(person.page) == []
    panel.locator(".agreement-kk").focus()
    person.page.keyboard.press("Escape")
    assert not panel.is_visible()
    assert person.page.evaluate("document.activeElement.textContent") == "Изменения"


def test_the_clause_at_the_cursor_is_marked_in_both_languages(person, language):
    draft = draft_of()
    person.log_in("author")
    person.open(f"agreement/edition/{draft.pk}/change/")
    person.page.locator(".agreement-number").first.wait_for()
    bands = person.page.locator(".agreement-band")
    for number in ("1.2", "4.1"):
        start = draft.body_kk.index(f"\n{number}. ") + 3
        person.page.evaluate(SELECT, [start, start])
        person.page.keyboard.press("ArrowRight")
        for at, code in enumerate(LANGUAGES):
            line = draft.text(code).body.split(f"\n{number}. ")[0].count("\n") + 1
            top = person.page.evaluate(
                "([code, line]) => document.querySelector(`#id_body_${code}`).closest('.agreement-editor')"
                ".querySelector('.agreement-mirror').children[line].offsetTop",
                [code, line],
            )
            assert bands.nth(at).evaluate("band => band.style.top") == f"{top}px"
            area, band = (one.bounding_box() for one in (person.page.locator(f"#id_body_{code}"), bands.nth(at)))
            assert area["y"] - 1 <= band["y"] < area["y"] + area["height"]


# Saving


def test_save_and_publish_leads_to_the_last_page_and_loses_nothing(person, language):
    draft = draft_of()
    person.log_in("publisher")
    person.open(f"agreement/edition/{draft.pk}/change/")
    assert person.page.locator("button[name=_next]").count() == 0
    person.page.context.clear_cookies()
    person.log_in("author")
    person.open(f"agreement/edition/{draft.pk}/change/")
    person.append("ru", "1.2", " Новое слово.")
    person.submit("button[name=_next][value=hand_over]")
    assert person.page.url.endswith("/hand-over/")
    draft.refresh_from_db()
    assert "Новое слово." in draft.body_ru


@pytest.mark.parametrize("script", [True, False])
def test_a_refused_save_lists_its_reasons_with_links_and_has_the_focus(window, person, language, script):
    if not script:
        person.page = window(script=False)
    draft = draft_of()
    person.log_in("author")
    person.open(f"agreement/edition/{draft.pk}/change/")
    person.page.locator("#id_notice_days").fill("")
    person.page.locator("#id_retention_years").fill("-1")
    person.submit("input[name=_continue]")
    listed = person.page.locator(".agreement-refused")
    assert listed.evaluate("it => it === document.activeElement")
    assert listed.locator("a").all_inner_texts() == ["Срок уведомления, дней", "Срок хранения, лет"]
    listed.locator("a").nth(1).click()
    assert person.page.evaluate("document.activeElement.id") == "id_retention_years"
    assert person.page.locator("#id_retention_years").evaluate(
        "field => field.getBoundingClientRect().bottom"
        " <= document.querySelector('#agreement-foot').getBoundingClientRect().top"
    )
    assert not script or violations(person.page) == []


def test_who_may_not_write_any_more_is_told_so_while_they_write(person, language, django_user_model):
    open_draft(person)
    django_user_model.objects.get(username="author").groups.clear()
    person.page.locator("#id_body_kk").press("End")
    person.page.keyboard.type("!")
    person.page.locator(".agreement-stored", has_text="Вам больше не разрешено изменять этот проект").wait_for()
