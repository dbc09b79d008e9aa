"""A Wagtail site (``tests/system/hosts/wagtail``) installs ``agreement.contrib.wagtail``, and people use it.

The site runs in processes of its own, by ``AGREEMENT_TEST_WAGTAIL_PYTHON``: the Python of an environment with the app
and its extra ``wagtail``. Without it the tests are skipped, because Wagtail is not needed for anything else here.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.site import wait_for
from tests.system.test_foreign_site import COMMANDS, issues

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HOST = Path(__file__).parent / "hosts" / "wagtail"
PYTHON = os.environ.get("AGREEMENT_TEST_WAGTAIL_PYTHON", "")
#: Its own tests.
TESTS = 23

pytestmark = pytest.mark.wagtail


@dataclass(frozen=True)
class Host:
    folder: Path
    url: str

    @property
    def env(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        return kept | {
            "DJANGO_SETTINGS_MODULE": "settings",
            "PYTHONPATH": str(HOST),
            "HOST_DATABASE": str(self.folder / "host.sqlite3"),
            "HOST_PURGED": str(self.folder / "purged.txt"),
            "HOST_URL": self.url,
        }

    def run(self, *commands: list[str]) -> list[tuple[int, str]]:
        """The exit code of each command, and what it wrote."""
        done = subprocess.run(
            [PYTHON, "-u", "-W", "error::RuntimeWarning", "-c", COMMANDS, json.dumps(commands)],
            cwd=HOST,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=400,
        )
        assert done.returncode == 0, done.stdout
        parts = done.stdout.split("\0")
        return [(int(code), written) for written, code in zip(parts[:-1:2], parts[1::2], strict=True)]

    def shell(self, source: str) -> str:
        ((code, written),) = self.run(["shell", "-v0", "-c", source])
        assert code == 0, written
        return written.strip()


def test_its_checks_are_clean_and_no_migration_is_missing(tmp_path):
    host = Host(tmp_path, "https://host.example.kz")
    checked, made, migrated, verified = host.run(
        ["check"], ["makemigrations", "--check", "--dry-run"], ["migrate", "-v0"], ["check", "--database", "default"]
    )
    assert (checked[0], issues(checked[1])) == (0, [])
    assert (made[0], made[1].strip()) == (0, "No changes detected")
    assert migrated == (0, "")
    assert (verified[0], issues(verified[1])) == (0, [])


def test_its_own_tests_are_green(tmp_path):
    ((code, written),) = Host(tmp_path, "http://localhost").run(["test", "--noinput"])
    assert code == 0, written
    assert re.search(rf"^Ran {TESTS} tests", written, re.MULTILINE)


SETUP = """
import json
from django.contrib.auth import get_user_model
from home.models import HomePage, StoredPage
from home.tests import publish
from wagtail.models import Page, Site
get_user_model().objects.create_superuser("admin", "admin@example.kz", "password")
publish()
root = Page.objects.get(depth=1)
home = root.add_child(instance=HomePage(title="Басты бет", slug="main"))
Site.objects.update(root_page=home)
def clause(number):
    return {"type": "clause", "value": {"agreement": "terms", "number": number}}
agreement = {"agreement": "terms"}
body = [clause(number) for number in ("1", "1.1", "1.2", "1.1", "1.2")]
body += [{"type": "validity", "value": agreement}, {"type": "changes", "value": agreement}]
body += [{"type": "announcement", "value": {"agreement": "", "days": 10}}]
home.add_child(instance=HomePage(title="Дәйексөздер", slug="quotes", body=json.dumps(body)))
home.add_child(instance=StoredPage(title="Сақталған", slug="stored", body=json.dumps(body)))
print(home.pk)
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("wagtail")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    made = Host(folder, f"http://127.0.0.1:{port}")
    assert [code for code, _written in made.run(["migrate", "-v0"], ["shell", "-v0", "-c", SETUP])] == [0, 0]
    # --insecure: the server also serves the scripts and styles, as a web server would.
    command = [PYTHON, "-m", "django", "runserver", "--noreload", "--insecure", f"127.0.0.1:{port}"]
    log = folder / "server.log"
    with log.open("w") as out, subprocess.Popen(command, cwd=HOST, env=made.env, stdout=out, stderr=out) as server:
        try:
            wait_for(port, server, log)
            yield made
        finally:
            server.terminate()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=os.environ["AGREEMENT_TEST_BROWSER"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(locale="en", viewport={"width": 1280, "height": 1000})
    yield context.new_page()
    context.close()


def fetch(url: str) -> tuple[str, Any]:
    with urllib.request.urlopen(url) as answer:  # noqa: S310 - the host's own address
        return answer.read().decode(), answer.headers


ADDRESSES = [
    *("", "terms/", "terms/bilingual/", "terms/current.json", "terms/editions.json", "terms/editions/1.json"),
    *("terms/clauses/1.1/", "terms/feed/", "terms/timemap/", "terms/editions/", "terms/editions/1/", "verify/"),
    *("terms/editions/1.kk.md", "terms/editions/1.ru.txt", "terms/editions/1/manifest.json", "schema.json"),
]


@pytest.mark.parametrize("language", ["kk", "ru"])
def test_the_addresses_of_the_app_answer_beside_the_pages_of_wagtail(host, language):
    for address in ADDRESSES:
        body, _headers = fetch(f"{host.url}/{language}/agreements/{address}")
        assert body, address


@pytest.mark.browser
@pytest.mark.parametrize(("language", "words"), [("kk", "Бірінші тармақ."), ("ru", "Первый пункт.")])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_a_page_with_blocks_is_rendered_and_accessible(host, browser, language, words, scheme, width):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page, complaints = context.new_page(), []
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(f"{host.url}/{language}/quotes/")

    assert page.locator("figure.agreement-cited").count() == 5
    assert words in page.locator("main").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    found = axe.run(page, options={"resultTypes": ["violations"]}).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []
    assert [one for one in complaints if "favicon" not in one and "404" not in one] == []
    assert context.cookies() == []
    context.close()


def log_in(page: Page, host: Host) -> None:
    page.goto(f"{host.url}/cms/login/")
    page.fill("[name=username]", "admin")
    page.fill("[name=password]", "password")
    page.click("button[type=submit]")
    page.wait_for_url("**/cms/")


def add_block(page: Page, name: str) -> None:
    page.locator("button.c-sf-add-button").last.click()
    page.get_by_role("option", name=name, exact=True).click()


def publish_page(page: Page) -> None:
    page.locator("footer button[data-w-dropdown-target=toggle], footer .w-dropdown__toggle").first.click()
    page.get_by_role("button", name="Publish", exact=True).click()
    page.wait_for_load_state()


@pytest.mark.browser
def test_an_editor_places_a_clause_and_a_link_to_one(host, page):
    log_in(page, host)
    home = host.shell("from home.models import HomePage; print(HomePage.objects.get(slug='main').pk)")
    page.goto(f"{host.url}/cms/pages/add/home/homepage/{home}/")
    page.fill("[name=title]", "By hand")
    add_block(page, "Clause of the agreement")
    assert page.input_value("[name=body-0-value-agreement]") == "terms"
    page.fill("[name=body-0-value-number]", "9.9")
    publish_page(page)
    assert "has no clause 9.9. Open the agreement and copy the number" in page.locator("main").inner_text()

    page.fill("[name=body-0-value-number]", "1.2")
    add_block(page, "Text")
    editor = page.locator(".public-DraftEditor-content").last
    editor.click()
    page.keyboard.type("see here")
    page.keyboard.press("Control+a")
    page.locator("button[name=AGREEMENT-CLAUSE]").first.click()
    form = page.locator(".modal form")
    form.locator("[name=number]").fill("9.9")
    form.locator("button[type=submit]").click()
    page.locator(".modal").get_by_text("has no clause 9.9.").wait_for()
    form.locator("[name=agreement]").select_option("terms")
    form.locator("[name=number]").fill("1.1")
    form.locator("button[type=submit]").click()
    page.locator(".modal form").wait_for(state="detached")
    # The editor writes its text into the field of the form a quarter of a second after a change.
    page.wait_for_function("document.querySelector('[name=body-1-value]').value.includes('AGREEMENT-CLAUSE')")
    publish_page(page)

    shown, _headers = fetch(f"{host.url}/ru/by-hand/")
    assert "Второй пункт." in shown
    assert re.search(r'<a href="/ru/agreements/terms/editions/\d/#1\.1">see here</a>', shown)
    page.goto(f"{host.url}/cms/agreements/")
    assert page.locator("main a[href*='/admin/agreement/edition/']").count() == 1


SCHEDULE = """
from datetime import timedelta
from django.utils import timezone
from home.tests import KK, RU, publish
at = timezone.now().replace(microsecond=0) + timedelta(seconds=15)
publish(kk=KK.replace("Бірінші", "Жаңа"), ru=RU.replace("Первый", "Новый"), effective_from=at)
print(at.isoformat())
"""


def test_an_edition_takes_effect_at_its_second_while_the_page_is_cached(host):
    """The last test of the module: after it, another edition is in force."""
    address = f"{host.url}/ru/stored/"
    at = datetime.fromisoformat(host.shell(SCHEDULE).splitlines()[-1]).timestamp()
    purged = (host.folder / "purged.txt").read_text()
    assert f"{host.url}/ru/stored/" in purged or "/ru/stored/" in purged
    # In the cache of the site there is a copy from before the publication, or one that ends with the old edition.
    copies = set()
    while (now := time.time()) < at + 10:
        body, headers = fetch(f"{address}?fresh")
        read_at = time.time()
        left = int(re.search(r"max-age=(\d+)", headers["Cache-Control"])[1]) - int(headers["Age"] or 0)
        if "Новый пункт." in body:
            break
        assert now < at, f"The old text was displayed {now - at:.2f} s after the edition took effect."
        assert read_at + left <= at + 1, "A copy may be stored beyond that moment."
        copies.add(headers["Expires"])
    assert "Новый пункт." in body
    assert now >= at - 0.1
    assert "Cookie" not in (headers["Vary"] or "")
    assert headers["Set-Cookie"] is None
    assert len(copies) < 8, "The page was not cached."
    assert "Removed" in host.run(["refresh_pages"])[0][1]
