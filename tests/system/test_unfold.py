"""The desk under the theme of django-unfold (``tests/system/hosts/unfold``): every page is readable, and nothing on it
is hidden.

The site runs in a process of its own, by ``AGREEMENT_TEST_UNFOLD_PYTHON``: the Python of an environment with the app
and django-unfold. Without it the tests are skipped, because django-unfold is not needed for anything else here.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.site import wait_for
from tests.system.test_foreign_site import issues

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HOST = Path(__file__).parent / "hosts" / "unfold"
PYTHON = os.environ.get("AGREEMENT_TEST_UNFOLD_PYTHON", "")
#: The pages of the desk. The names in braces are those that ``content.fill()`` returns.
PAGES = [
    "",
    "agreement/edition/",
    "agreement/edition/add/",
    "agreement/edition/{draft}/change/",
    "agreement/edition/{draft}/changes/",
    "agreement/edition/{draft}/hand-over/",
    "agreement/edition/{draft}/publish/",
    "agreement/edition/{announced}/change/",
    "agreement/edition/{announced}/cancel/",
    "agreement/notice/{notice}/sending/",
    "agreement/agreement/{agreement}/change/",
    "agreement/acceptance/add/",
    "agreement/acceptance/evidence/",
]
#: What axe is asked for: the rule that the colours of another desk could break.
CONTRAST = {"runOnly": ["color-contrast"], "resultTypes": ["violations"]}
#: The links, buttons and fields that are displayed, but at whose middle there is something else.
COVERED = """() => [...document.querySelectorAll("#content :is(a, button, input, select, textarea)")]
    .filter((one) => one.checkVisibility() && !one.matches(".agreement-spoken") && !one.closest(".agreement-mirror"))
    .filter((one) => {
        one.scrollIntoView({block: "center", behavior: "instant"});
        const {left, top, width, height} = one.getClientRects()[0] ?? new DOMRect();
        const found = document.elementFromPoint(left + width / 2, top + height / 2);
        return !found || !(one.contains(found) || found.contains(one) || one.labels?.[0]?.contains(found));
    }).map((one) => one.outerHTML.slice(0, 160))"""
#: The fields without a border, and the buttons with neither a border nor a background.
BARE = """() => [...document.querySelectorAll("#content :is(input, select, textarea, .button), #agreement-foot button")]
    .filter((one) => one.checkVisibility() && !["checkbox", "radio", "file"].includes(one.type))
    .filter((one) => {
        const {borderTopWidth, backgroundColor} = getComputedStyle(one);
        const button = one.type === "submit" || one.matches("button, .button");
        return borderTopWidth === "0px" && !(button && backgroundColor !== "rgba(0, 0, 0, 0)");
    }).map((one) => one.outerHTML.slice(0, 160))"""

pytestmark = [pytest.mark.unfold, pytest.mark.browser]


@dataclass(frozen=True)
class Site:
    url: str
    keys: dict[str, int]

    def log_in(self, page: Page, name: str) -> None:
        page.goto(f"{self.url}/ru/admin/")
        page.fill("[name=username]", name)
        page.fill("[name=password]", "password")
        with page.expect_navigation(url="**/ru/admin/"):
            page.keyboard.press("Enter")

    def open(self, page: Page, path: str, *, language: str = "ru") -> int:
        response = page.goto(f"{self.url}/{language}/admin/{path.format(**self.keys)}")
        return response.status if response else 0


def manage(env: dict[str, str], *command: str) -> str:
    done = subprocess.run(
        [PYTHON, "-m", "django", *command],
        cwd=HOST,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=400,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("unfold")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    env |= {"DJANGO_SETTINGS_MODULE": "settings", "PYTHONPATH": str(HOST), "HOST_URL": url}
    env["HOST_DATABASE"] = str(folder / "host.sqlite3")
    assert issues(manage(env, "check")) == []
    manage(env, "migrate", "-v0")
    keys = manage(env, "shell", "-v0", "-c", "import content, json; print(json.dumps(content.fill()))")
    # --insecure: the server also serves the scripts and styles, as a web server would.
    command = [PYTHON, "-m", "django", "runserver", "--noreload", "--insecure", f"127.0.0.1:{port}"]
    log = folder / "server.log"
    with log.open("w") as out, subprocess.Popen(command, cwd=HOST, env=env, stdout=out, stderr=out) as server:
        try:
            wait_for(port, server, log)
            yield Site(url, json.loads(keys.splitlines()[-1]))
        finally:
            server.terminate()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=os.environ["AGREEMENT_TEST_BROWSER"])
        yield browser
        browser.close()


@pytest.mark.parametrize(
    ("width", "scheme", "language"),
    [(390, "light", "kk"), (390, "dark", "ru"), (1280, "light", "ru"), (1280, "dark", "kk")],
)
def test_every_page_of_the_desk_is_readable_and_nothing_is_hidden(site, browser, width, scheme, language):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page, complaints, found = context.new_page(), [], {}
    page.on("console", lambda message: message.type == "error" and complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    site.log_in(page, "admin")
    for path in PAGES:
        status = site.open(page, path, language=language)
        faults = [] if status == 200 else [status]
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        faults += ["too wide"] if wide > 0 else []
        faults += page.evaluate(COVERED) + page.evaluate(BARE)
        rules = axe.run(page, context="#content", options=CONTRAST).response["violations"]
        faults += [(node["html"], node["any"][0]["message"]) for rule in rules for node in rule["nodes"]]
        if faults:
            found[path] = faults
    context.close()
    assert found == {}
    assert complaints == []


def test_a_page_of_the_app_has_its_title_and_a_refusal_names_who_may(site, browser):
    page = browser.new_page()
    site.log_in(page, "clerk")
    assert site.open(page, "agreement/edition/{draft}/publish/") == 403
    words = page.locator("#content").inner_text()
    assert page.locator("#content h1").inner_text() == "У Вас нет на это права. Ничего не изменено."
    assert "Группы с этим правом: ответственные за публикацию (admin)." in words
    page.close()


def test_a_publisher_publishes(site, browser):
    page = browser.new_page()
    site.log_in(page, "admin")
    site.open(page, "agreement/edition/{draft}/publish/")
    with page.expect_navigation(url="**/change/"):
        page.locator("#agreement-publish input").click()
    assert "Опубликовано" in page.locator("body").inner_text()
    page.close()
