"""The page that recognises a text, in a real browser: pasted, dropped, and without a script."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import follow, overflow
from tests.support import factories

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

HERE = "/ru/agreements/verify/"
DROP = """([text]) => {
  const data = new DataTransfer();
  data.items.add(new File(["\\ufeff" + text.replaceAll("\\n", "\\r\\n")], "edition.md"));
  const dropped = new DragEvent("drop", { dataTransfer: data, bubbles: true });
  document.querySelector(".agreement-verify form").dispatchEvent(dropped);
}"""


def test_a_pasted_or_dropped_text_is_recognised_and_never_leaves_the_browser(live_server, page: Page, complaints):
    factories.published()
    sent: list[str] = []
    page.on("request", lambda request: sent.append(f"{request.method} {request.url} {request.post_data or ''}"))

    for put in (
        lambda: (page.fill("#text", factories.KK), page.click(".agreement-verify button")),
        lambda: page.evaluate(DROP, [factories.KK]),
        lambda: page.set_input_files("#file", {"name": "x.md", "mimeType": "", "buffer": factories.KK.encode()}),
    ):
        page.goto(live_server.url + HERE)
        put()
        page.wait_for_url("**?sha256=*")
        assert "Это казахский текст редакции №\u00a01." in page.inner_text("main")

    assert not [line for line in sent if line.startswith("POST")]
    assert complaints == []
    assert overflow(page) <= 0


def test_a_file_beside_a_text_is_not_read_until_one_of_them_is_gone(live_server, page: Page):
    factories.published()
    page.goto(live_server.url + HERE)
    page.fill("#text", "Другое.")
    page.set_input_files("#file", {"name": "x.md", "mimeType": "", "buffer": factories.KK.encode()})
    assert page.eval_on_selector("#file", "field => field.validationMessage").startswith(
        "Вы выбрали файл и ввели текст."
    )
    page.click(".agreement-verify button")
    assert page.url == live_server.url + HERE
    page.fill("#text", "")
    page.click(".agreement-verify button")
    page.wait_for_url("**?sha256=*")


def test_without_a_script_the_form_gives_the_same_answer(live_server, browser: Browser):
    factories.published()
    context = browser.new_context(java_script_enabled=False)
    plain = context.new_page()
    plain.goto(live_server.url + HERE)
    plain.fill("#text", factories.RU)
    follow(plain.locator(".agreement-verify button"))
    assert "?sha256=" in plain.url
    assert "Это русский текст редакции №\u00a01." in plain.inner_text("main")
    context.close()


def test_what_a_reader_copied_from_the_page_is_recognised_and_a_changed_word_is_marked(live_server, page: Page):
    factories.published()
    page.goto(f"{live_server.url}/ru/agreements/terms/editions/1/")
    page.keyboard.press("Control+a")
    copied = page.evaluate("getSelection().toString()")

    def check(text: str) -> str:
        page.goto(live_server.url + HERE)
        page.fill("#text", text)
        page.click(".agreement-verify button")
        page.wait_for_selector("[data-verdict]")
        assert overflow(page) <= 0
        return page.locator("[data-verdict]").inner_text()

    assert check(copied).startswith("Подлинный текст")
    added = "Пользователь платит 5000 тенге."
    assert added in check(f"{copied}\n{added}")
    check(copied.replace("Второй", "Третий"))
    assert "Второй" in "".join(page.locator(".agreement-runs del").all_text_contents())


@pytest.mark.parametrize(("width", "is_scrolled"), [(360, False), (1280, True)])
def test_the_differences_of_a_long_text_are_not_cut_on_a_phone(live_server, page: Page, width: int, is_scrolled: bool):
    clauses = "".join(f"\n1.{number}. Читатель возвращает книгу номер {number} вовремя.\n" for number in range(3, 60))
    factories.published(kk=f"{factories.KK}{clauses}", ru=f"{factories.RU}{clauses}")
    page.set_viewport_size({"width": width, "height": 760})
    page.goto(live_server.url + HERE)
    page.fill("#text", f"{factories.RU}{clauses}".replace("возвращает", "хранит"))
    page.click(".agreement-verify button")
    box = page.locator(".agreement-verdict .agreement-text")
    box.wait_for()
    assert box.evaluate("box => box.scrollHeight > box.clientHeight") is is_scrolled
    assert overflow(page) <= 0
    end = page.locator("footer").evaluate("footer => scrollY + footer.getBoundingClientRect().bottom")
    assert page.evaluate("document.documentElement.scrollHeight") - end < 1


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("layout", ["", "?view=inline", "?view=columns&all=1"])
def test_what_a_reader_copied_from_the_changes_is_recognised_with_both_editions(
    live_server, page: Page, width: int, layout: str
):
    factories.published()
    changed = factories.RU.replace("Второй", "Другой").replace("Первый", "Начальный")
    factories.published(kk=f"{factories.KK}\n1.3. Жаңа тармақ.\n", ru=f"{changed}\n1.3. Новый пункт.\n")
    page.set_viewport_size({"width": width, "height": 760})
    page.goto(f"{live_server.url}/ru/agreements/terms/editions/2/changes/{layout}")
    page.keyboard.press("Control+a")
    copied, saved = page.evaluate("getSelection().toString()"), page.content()
    for text in (copied, saved):
        page.goto(live_server.url + HERE)
        page.fill("#text", text)
        page.click(".agreement-verify button")
        page.wait_for_selector("[data-verdict=genuine]")
        verdict = page.inner_text("[data-verdict]")
        assert "дословно совпадает со сравнением редакций №\u00a01 и №\u00a02 на этом сайте." in verdict
        assert overflow(page) <= 0


def test_an_unknown_text_is_said_to_be_so(live_server, page: Page):
    factories.published()
    page.goto(live_server.url + HERE)
    page.fill("#text", "Мүлде басқа сөздер: таудағы ауа райы мен көктемгі сорпа туралы.")
    page.click(".agreement-verify button")
    page.wait_for_selector("[data-verdict=unknown]")
