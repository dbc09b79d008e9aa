"""What a key costs on the page of a draft with 300 clauses in both languages, measured in a browser."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.test import Client
from django.test.testcases import LiveServerThread
from django.urls import reverse

from tests.benchmarks.__main__ import Result
from tests.support import factories

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CLAUSES, RATIO = 300, 1.5
WORDS = {
    "kk": "Портал иесі оқырманның өтінішін үш жұмыс күні ішінде қарап, жауабын оның мекенжайына жібереді. ",
    "ru": "Владелец портала рассматривает обращение читателя в течение трёх рабочих дней и отправляет ответ. ",
}


def key(quick: bool) -> Iterator[Result]:
    """Against the same page without the scripts of the app, whose text areas are plain. In turns, in one browser."""
    executable = os.environ.get("AGREEMENT_TEST_BROWSER", "")
    if not executable:
        print("       key: skipped, because AGREEMENT_TEST_BROWSER names no browser", flush=True)
        return
    from playwright.sync_api import sync_playwright

    count, rounds = (10, 1) if quick else (40, 5)
    # Playwright keeps an event loop in this thread, where Django would open a second connection to the database.
    with _served() as (address, session), sync_playwright() as started:
        browser = started.chromium.launch(executable_path=executable)
        plain, desk = (_open(browser, address, session, scripts=scripts) for scripts in (False, True))
        times: dict[Page, list[float]] = {plain: [], desk: []}
        for _round in range(rounds):
            for page, found in times.items():
                found += _type(page, count)
        browser.close()
    one, other = median(times[plain]), median(times[desk])
    says = f"{other:.1f} ms against {one:.1f} ms of a plain text area, slowest {max(times[desk]):.0f} ms"
    yield Result("key: time, ratio", other / one, RATIO, says)


@contextmanager
def _served() -> Iterator[tuple[str, str]]:
    """The address of the page of such a draft, and the key of the session of a user who may write there."""
    thread = LiveServerThread("127.0.0.1", StaticFilesHandler)
    thread.start()
    thread.is_ready.wait()
    if thread.error:
        raise thread.error
    bodies = {
        code: f"# {code}\n\n"
        + "\n\n".join(
            f"## {section}. {code}\n\n" + "\n\n".join(f"{section}.{clause}. {words * 3}" for clause in range(1, 31))
            for section in range(1, CLAUSES // 30 + 1)
        )
        for code, words in WORDS.items()
    }
    draft = factories.draft(**bodies)
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("desk"))
    address = reverse("admin:agreement_edition_change", args=[draft.pk])
    try:
        yield f"http://127.0.0.1:{thread.port}{address}", client.cookies["sessionid"].value
    finally:
        thread.terminate()


def _open(browser: Browser, address: str, session: str, *, scripts: bool) -> Page:
    context = browser.new_context()
    context.add_cookies([{"name": "sessionid", "value": session, "domain": "127.0.0.1", "path": "/"}])
    page = context.new_page()
    if not scripts:
        page.route("**/agreement/*.js", lambda route: route.abort())
    page.goto(address)
    if scripts:
        page.locator(".agreement-number").first.wait_for()
    page.locator("#id_body_ru").click()
    return page


def _type(page: Page, count: int) -> list[float]:
    """Milliseconds of the page's main thread for each key: scripts, style, layout and paint, without what waits."""
    page.bring_to_front()
    page.evaluate(
        "() => { const area = id_body_ru, at = area.value.indexOf('5.15. ') + 6;"
        " area.focus(); area.setSelectionRange(at, at); }"
    )
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")

    def busy() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return float(next(one["value"] for one in metrics if one["name"] == "TaskDuration")) * 1000

    times = []
    page.keyboard.type("ab")
    page.wait_for_timeout(100)
    for _key in range(count):
        before = busy()
        page.keyboard.press("KeyA")
        page.wait_for_timeout(80)
        times.append(busy() - before)
    page.wait_for_timeout(1500)  # The findings arrive.
    return times
