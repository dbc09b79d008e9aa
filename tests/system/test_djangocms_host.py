"""A site of django CMS (``tests/system/hosts/djangocms``) displays agreements by the plugins of
``agreement.contrib.djangocms``, and has the pages of the app under an apphook.

``AGREEMENT_TEST_DJANGOCMS_PYTHON`` is the Python of an environment with the app, its extras ``djangocms``
and ``log``, djangocms-text and djangocms-versioning. The site is served by a process of its own.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.conftest import browser, overflow, violations  # noqa: F401 - browser is a fixture
from tests.support.site import wait_for
from tests.system.test_foreign_site import COMMANDS
from tests.views.test_resolvers import ADDRESSES

if TYPE_CHECKING:
    from playwright.sync_api import Browser, FrameLocator, Page

pytestmark = pytest.mark.djangocms

HOST = Path(__file__).parent / "hosts" / "djangocms"
PYTHON = os.environ.get("AGREEMENT_TEST_DJANGOCMS_PYTHON", "")
#: A publication stores no page for this long: ``agreement.contrib.djangocms.caching.SETTLING``.
SETTLING_SECONDS = 10


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Any
    text: str

    @property
    def queries(self) -> tuple[int, int]:
        """All queries of the request, and those about the tables of the app."""
        return int(self.headers["X-Queries"]), int(self.headers["X-Our-Queries"])

    @property
    def editions(self) -> set[int]:
        """The editions whose words are quoted."""
        return {int(number) for number in re.findall(r"(?:тармақ|пункт), (\d)-1\.1\.", self.text)}


@dataclass(frozen=True)
class Host:
    """The site with a database and a cache of its own in ``folder``."""

    folder: Path
    versioning: bool
    port: int = 0

    @property
    def env(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        return kept | {
            "DJANGO_SETTINGS_MODULE": "settings",
            "HOST_FOLDER": str(self.folder),
            "HOST_VERSIONING": str(int(self.versioning)),
            "PYTHONPATH": str(HOST),
        }

    def run(self, *commands: list[str]) -> list[tuple[int, str]]:
        """The exit code of each command, and what it said. They run one after another in one process."""
        done = subprocess.run(
            [PYTHON, "-u", "-c", COMMANDS, json.dumps(commands)],
            cwd=HOST,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout
        parts = done.stdout.split("\0")
        return [(int(code), said.strip()) for said, code in zip(parts[:-1:2], parts[1::2], strict=True)]

    def shell(self, code: str) -> str:
        """What the code printed that ran in the site."""
        ((exit_code, said),) = self.run(["shell", "-v0", "-c", f"import content\n{code}"])
        assert exit_code == 0, said
        return said

    def make(self, call: str) -> None:
        ended = self.run(["migrate", "-v0"], ["shell", "-v0", "-c", f"import content\ncontent.{call}"])
        assert [code for code, _said in ended] == [0, 0], ended

    @contextmanager
    def served(self) -> Iterator[Host]:
        """This site while a process serves it, ``DEBUG`` off."""
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        log = self.folder / "server.log"
        command = [PYTHON, "-m", "django", "runserver", "--noreload", "--insecure", f"127.0.0.1:{port}"]
        with log.open("w") as out, subprocess.Popen(command, cwd=HOST, env=self.env, stdout=out, stderr=out) as server:
            try:
                wait_for(port, server, log)
                yield Host(self.folder, self.versioning, port)
            finally:
                server.terminate()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        found = Answer(response.status, response.headers, response.read().decode(errors="replace"))
        connection.close()
        return found

    def until_stored(self, path: str) -> Answer:
        """The page as django CMS stored it. A page is not stored directly after a publication."""
        for _attempt in range(10 * (SETTLING_SECONDS + 10)):
            # The only query of a stored page is that of the middleware that reloads apphooks.
            if (found := self.get(path)).queries[0] <= 1:
                return found
            time.sleep(0.1)
        raise AssertionError(f"Never stored: {found}")


@pytest.fixture(scope="module")
def host(tmp_path_factory) -> Iterator[Host]:
    """A site with djangocms-versioning, with two editions and pages that quote them in both languages."""
    made = Host(tmp_path_factory.mktemp("djangocms"), versioning=True)
    made.make("make()")
    with made.served() as served:
        yield served


@pytest.fixture(scope="module")
def one_language(tmp_path_factory) -> Iterator[Host]:
    """A site without djangocms-versioning, whose apphook is on a page that exists in Kazakh only."""
    made = Host(tmp_path_factory.mktemp("djangocms"), versioning=False)
    made.make('make(hook_languages=("kk",))')
    with made.served() as served:
        yield served


@pytest.mark.parametrize("name", ["host", "one_language"])
def test_its_checks_are_clean_and_its_migrations_complete(name, request):
    site = request.getfixturevalue(name)
    checked, made, verified = site.run(
        ["check", "--database", "default"], ["makemigrations", "--check", "--dry-run"], ["verify_editions"]
    )
    assert checked[0] == 0
    assert "no issues" in checked[1]
    assert made == (0, "No changes detected")
    assert verified[0] == 0


@pytest.mark.parametrize("address", ADDRESSES)
def test_every_address_answers_under_the_apphook(host, address):
    found = host.get(f"/ru/rules/{address}")
    if address == "terms/at/2199-01-01/":
        assert found.status == 302
        assert found.headers["Location"].startswith("/ru/rules/terms/editions/2/")
        return
    assert found.status == 200
    for link in set(re.findall(r'href="(/[^"#]*terms[^"#]*)"', found.text)):
        assert link.startswith(("/kk/rules/", "/ru/rules/")), link


def test_a_number_that_no_edition_has_is_404_under_the_apphook(host):
    assert host.get("/kk/rules/terms/editions/9/").status == 404


def test_a_page_displays_five_clauses_with_their_addresses(host):
    for language, word in (("kk", "тармақ"), ("ru", "пункт")):
        found = host.get(f"/{language}/quoted/").text
        for number in ("1.1", "1.2", "1.3", "1.4", "1.5"):
            assert f"{word}, 2-{number}." in found
            assert f'cite="/{language}/rules/terms/editions/2/#{number}"' in found


def test_the_other_plugins_display_the_edition_in_force_and_its_changes(host):
    found = host.get("/ru/others/").text
    assert re.search(r'<a href="/ru/rules/terms/">Редакция №\s2\. Эта редакция действует с\s', found)
    assert 'class="agreement agreement-announcements"' in found
    assert '<a href="/ru/rules/terms/editions/2/changes/">' in found
    assert "Изменено: 5 пунктов." in found
    assert "<del>" in found


def test_a_clause_inside_a_text_is_a_quotation_or_a_link(host):
    found = " ".join(host.get("/ru/text/").text.split())
    assert "<p>(1.1) <figure" in found
    link = '<a href="/ru/rules/terms/editions/2/#1.2"><span lang="ru">Соглашение</span><span>, пункт 1.2</span></a>'
    assert f"<p>(1.2) {link}" in found
    assert "cms-plugin" not in found


def test_a_stored_page_costs_no_query_of_the_app_and_gets_no_other_headers(host):
    quoted, plain = host.until_stored("/kk/quoted/"), host.until_stored("/kk/plain/")
    assert quoted.queries == plain.queries
    assert quoted.queries[1] == 0
    assert quoted.headers["Vary"] == plain.headers["Vary"]
    # The cookie with the language is from a middleware of django CMS.
    cookies = [{value.partition("=")[0] for value in one.headers.get_all("Set-Cookie", [])} for one in (quoted, plain)]
    assert cookies[0] == cookies[1] == {"django_language"}
    # With that cookie, a visitor gets none.
    assert "Set-Cookie" not in host.get("/kk/quoted/", Cookie="django_language=kk").headers


def test_a_page_that_is_rendered_for_a_user_costs_no_query_of_the_app_either(host):
    """Within one second, apart from the rows of the plugins, which django CMS reads."""
    cookie = host.shell(
        "from django.test import Client\nc = Client()\nc.force_login(content.admin())\n"
        "print(c.cookies['sessionid'].value)"
    )
    # A visit by a person: the first one records that the user accepts.
    asked = [host.get("/kk/quoted/", Cookie=f"sessionid={cookie}", Accept="text/html") for _attempt in range(8)]
    assert all(one.editions for one in asked)
    assert min(one.queries[0] for one in asked) > 1, "These pages are not stored ones."
    # Each second the dates are read again.
    assert sorted(one.queries[1] for one in asked)[:4] == [0, 0, 0, 0]


def test_a_page_with_news_is_stored_until_an_edition_is_no_longer_new(host):
    """A day after it took effect, which is as long as the site stores other pages."""
    host.until_stored("/ru/quoted/")
    ages = [
        int(re.findall(r"max-age=(\d+)", host.get(path).headers["Cache-Control"])[0])
        for path in ("/ru/quoted/?new", "/ru/others/?new")
    ]
    assert ages[0] == 86_400
    assert ages[1] < 86_400 - SETTLING_SECONDS


def test_links_lead_to_the_language_that_the_apphook_has(one_language):
    found = one_language.get("/ru/quoted/")
    assert found.status == 200
    assert "пункт, 2-1.1." in found.text
    assert 'cite="/kk/rules/terms/editions/2/#1.1"' in found.text
    assert one_language.get("/kk/rules/terms/editions/2/").status == 200
    assert one_language.get("/ru/rules/terms/editions/2/").status == 404


def test_without_an_address_for_the_app_the_page_is_displayed_without_quotations(tmp_path):
    site = Host(tmp_path, versioning=False)
    site.make('make(hook_languages=("kk",))')
    site.shell("content.PageContent.admin_manager.filter(page__urls__slug='rules').first().page.delete()")
    with site.served() as served:
        found = served.get("/ru/quoted/")
    assert found.status == 200
    assert "<h1>quoted</h1>" in found.text
    assert "пункт" not in found.text


def test_an_edition_takes_effect_right_at_its_second_while_the_page_is_stored(one_language):
    """The page is asked with and without a parameter, because django CMS stores the two apart."""
    paths = ("/kk/quoted/", "/kk/quoted/?from=mail", "/ru/text/")
    for path in paths:
        assert one_language.until_stored(path).editions == {2}
    effect = datetime.fromisoformat(
        one_language.shell(f"print(content.publish(3, seconds={SETTLING_SECONDS + 6}).effective_from.isoformat())")
    ).timestamp()
    stored = 0
    while time.time() < effect + 1:
        for path in paths:
            begun = time.time()
            found = one_language.get(path)
            ended = time.time()
            if begun >= effect:
                assert found.editions == {3}, f"{begun - effect} s after it"
            elif ended < effect:
                assert found.editions == {2}, f"{effect - ended} s before it"
                if found.queries[0] <= 1:
                    stored += 1
                    # Browsers and proxies may not display the page longer either.
                    (age,) = re.findall(r"max-age=(\d+)", found.headers["Cache-Control"])
                    assert begun + int(age) < effect + 0.5
        if time.time() < effect - 1:
            time.sleep(0.1)
    assert stored > 10
    assert all(one_language.until_stored(path).editions == {3} for path in paths)


def test_a_publication_elsewhere_is_displayed_within_a_second(one_language):
    paths = ("/kk/quoted/", "/kk/quoted/?from=mail", "/ru/text/")
    (before,) = one_language.get(paths[0]).editions
    for path in paths:
        assert one_language.until_stored(path).editions == {before}
    published = float(
        one_language.shell(f"import time\ncontent.publish({before + 1})\nprint(time.time())")  # After the commit.
    )
    while time.time() < published + 1.1:
        time.sleep(0.05)
    for path in paths:
        assert one_language.get(path).editions == {before + 1}


def test_an_agreement_that_a_page_displays_cannot_be_deleted(one_language):
    said = one_language.shell(
        """
from cms import api
from django.db.models import ProtectedError
from agreement.models import Agreement
drafted = Agreement.objects.create(slug="drafted")
def fill(placeholder, language):
    api.add_plugin(placeholder, "ValidityPlugin", language, agreement=drafted)
content.page("drafted", fill, languages=("ru",))
try:
    drafted.delete()
except ProtectedError as error:
    print(*map(str, error.protected_objects))
from django.test import Client
client = Client(SERVER_NAME="127.0.0.1")
client.force_login(content.admin())
address = f"/ru/admin/agreement/agreement/{drafted.pk}/delete/"
for response in (client.get(address), client.post(address, {"post": "yes"})):
    print(response.status_code, "на странице «drafted" in response.content.decode())
print(Agreement.objects.filter(slug="drafted").exists())
"""
    )
    assert said.splitlines()[1:] == ["200 True", "200 True", "True"]
    assert "drafted" in said.splitlines()[0]
    assert one_language.get("/ru/drafted/").status == 200


# In a browser


@pytest.fixture
def desk(host, browser: Browser) -> Iterator[Page]:  # noqa: F811
    """A window of the superuser."""
    context = browser.new_context(viewport={"width": 1400, "height": 900}, locale="ru")
    page = context.new_page()
    log_in(host, page, "admin")
    yield page
    context.close()


def log_in(host: Host, page: Page, name: str) -> None:
    page.goto(f"{host.url}/ru/admin/login/")
    page.fill("[name=username]", name)
    page.fill("[name=password]", name)
    with page.expect_navigation():
        page.click("[type=submit]")


def form_of_new_plugin(page: Page, name: str) -> FrameLocator:
    """Open the structure of the page that is edited, and add a plugin to its placeholder, as an editor does."""
    if not page.locator(".cms-structure").is_visible():
        page.click(".cms-toolbar-item-cms-mode-switcher a")
    page.locator(".cms-submenu-add").first.click()
    page.locator(f".cms-modal:visible a[href='{name}']").click()
    return page.frame_locator(".cms-modal-frame iframe")


def save(page: Page) -> None:
    page.locator(".cms-modal:visible .cms-modal-buttons .cms-btn-action").first.click()


@pytest.mark.browser
@pytest.mark.parametrize("width", [360, 1280])
def test_pages_pass_axe_and_fit_the_window(host, browser, width):  # noqa: F811
    context = browser.new_context(viewport={"width": width, "height": 800})
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    for path in ("/kk/quoted/", "/ru/others/", "/kk/rules/terms/"):
        page.goto(host.url + path)
        assert overflow(page) == 0, path
        assert violations(page) == [], path
    assert complaints == []
    context.close()


@pytest.mark.browser
def test_an_editor_places_a_clause_and_one_that_is_not_in_force_is_refused(host, desk):
    desk.goto(host.url + host.shell("print(content.edit_address('plain', 'ru'))"))
    form = form_of_new_plugin(desk, "ClausePlugin")
    assert form.locator(".related-widget-wrapper-link").count() == 0, "Agreements are changed at the desk alone."
    # The only agreement is proposed.
    assert form.locator("[name=agreement] option:checked").inner_text() == "Келісім"
    form.locator("[name=number]").fill("9.9")
    save(desk)
    refused = form.locator(".errorlist").inner_text()
    # The toolbar and the forms are in the language that the editor chose in django CMS, at first the site's own.
    assert "қолданыстағы 2‑редакциясында «9.9» тармағы жоқ" in refused
    assert "мысалы, 1.1" in refused

    form.locator("[name=number]").fill("1.3.")
    with desk.expect_response(re.compile("add-plugin")):
        save(desk)
    desk.locator(".cms-modal:visible").wait_for(state="hidden")
    desk.reload()
    desk.locator("blockquote:has-text('пункт, 2-1.3.')").wait_for(state="attached")
    # A draft of a page is displayed to nobody else.
    assert "2-1.3" not in host.get("/ru/plain/").text


@pytest.mark.browser
def test_the_toolbar_leads_to_the_desk_whoever_may_use_it(host, desk, browser):  # noqa: F811
    desk.goto(f"{host.url}/ru/quoted/")
    links = desk.locator(".cms-toolbar a[href*='/admin/agreement/']")
    assert [link.get_attribute("href").partition("/agreement/")[2] for link in links.all()] == [
        "agreement/", "edition/", "notice/",
    ]  # fmt: skip
    context = browser.new_context()
    page = context.new_page()
    log_in(host, page, "editor")
    page.goto(f"{host.url}/ru/quoted/")
    page.locator(".cms-toolbar").first.wait_for(state="attached")
    assert page.locator(".cms-toolbar a[href*='/admin/agreement/']").count() == 0
    context.close()


@pytest.mark.browser
def test_a_clause_that_vanished_is_a_link_for_visitors_and_a_sentence_for_the_editor(host, desk):
    """This is the last test: it publishes an edition without clause 1.5. A new version of the page, by
    djangocms-versioning, displays the edition in force as the version before does.
    """
    edited = host.shell(
        'content.publish(3, clauses=content.CLAUSES[:-1])\nprint(content.edit_address("quoted", "ru"))'
    ).splitlines()[-1]
    found = host.get("/ru/quoted/")
    assert found.status == 200
    assert "пункт, 3-1.4." in found.text
    assert "1.5" not in found.text
    assert '<a href="/ru/rules/terms/"><span lang="ru">Соглашение</span></a>' in found.text

    desk.goto(host.url + edited)
    told = desk.locator("strong:has-text('1.5')")
    told.wait_for(state="attached")
    assert "посетители видят ссылку на соглашение" in told.inner_text()
    assert desk.locator("blockquote:has-text('пункт, 3-1.4.')").count() == 1

    host.shell('content.publish_draft("quoted", "ru")')
    found = host.get("/ru/quoted/?version")
    assert "пункт, 3-1.4." in found.text
    assert "1.5" not in found.text
