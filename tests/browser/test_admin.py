"""The desk in a real browser, by role, in Kazakh and Russian: from login to a published edition, and what goes wrong.

``AGREEMENT_TEST_INPUT`` names a folder with ``edition-1.kk.md`` and its three neighbours, used besides our samples.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import reversion
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core import mail
from django.core.management import call_command
from django.utils import timezone
from reversion.models import Version

from agreement import groups
from agreement.models import Acceptance, AuditEntry, Delivery, Edition, Notice, Progress
from agreement.models.audit import AuditAction
from agreement.models.autosave import Autosave
from agreement.models.errors import TEXT_FIELDS
from agreement.models.succession import State
from agreement.notices import dispatch
from agreement.testing import open_seal
from agreement.text.languages import LANGUAGES
from portal_site.management.commands import demo
from tests.browser.conftest import follow, overflow, until
from tests.support import docx_files, factories
from tests.support.smtp_server import mail_by

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

languages = pytest.mark.parametrize("language", ["kk", "ru"])
russian = pytest.mark.parametrize("language", ["ru"])
INPUT = os.environ.get("AGREEMENT_TEST_INPUT", "")
REFERENCE = {"kk": " 9.9-тармақты қараңыз.", "ru": " См. пункт 9.9."}


@dataclass
class Person:
    """Somebody at the desk, who counts the clicks and what had to be typed to confirm."""

    page: Page
    site: str
    language: str
    clicks: int = 0
    confirmed: list[str] = field(default_factory=list)

    def click(self, selector: str) -> None:
        self.page.locator(selector).first.click()
        self.clicks += 1

    def submit(self, selector: str) -> None:
        """Click what leads to another page, and wait until it is there."""
        follow(self.page.locator(selector).first)
        self.clicks += 1

    def confirm(self) -> None:
        words = {"kk": "жариялау", "ru": "опубликовать"}[self.language]
        self.page.locator("#id_confirmation").fill(words)
        self.confirmed.append(words)

    def open(self, path: str) -> int:
        response = self.page.goto(f"{self.site}/{self.language}/admin/{path}")
        return response.status if response else 0

    def log_in(self, name: str) -> None:
        self.open("")
        self.page.locator("#id_username").fill(name)
        self.page.locator("#id_password").fill("password")
        self.submit("input[type=submit]")

    def append(self, language: str, number: str, words: str) -> None:
        """Type words at the end of a clause."""
        area = self.page.locator(f"#id_body_{language}")
        text = area.input_value()
        line = next(line for line in text.split("\n") if line.startswith(f"{number}. "))
        area.fill(text.replace(line, line + words))

    def tick_all(self) -> None:
        for tick in self.page.locator(".agreement-tick").all():
            tick.check()
            self.clicks += 1

    @property
    def words(self) -> str:
        return self.page.locator("#content").inner_text()


@pytest.fixture
def site(live_server, settings) -> str:
    """A served portal whose edition 1 is in force and promises nothing; a person for each role."""
    settings.AGREEMENT = {**settings.AGREEMENT, "BASE_URL": live_server.url, "ENQUEUE": None}
    for name, group in (
        ("author", groups.AUTHORS),
        ("publisher", groups.PUBLISHERS),
        ("officer", groups.PRIVACY_OFFICERS),
    ):
        user = get_user_model().objects.create_user(name, f"{name}@example.kz", "password", is_staff=True)
        user.groups.add(Group.objects.get(name=group))
    edition = Edition.objects.create_draft(agreement=factories.agreement(), bodies=demo.bodies(1))
    edition.publish()
    return live_server.url


@pytest.fixture
def person(site: str, page: Page, language: str) -> Person:
    return Person(page, site, language)


@pytest.fixture
def other(site: str, browser: Browser) -> Iterator[Person]:
    """A second browser."""
    context = browser.new_context()
    yield Person(context.new_page(), site, "ru")
    context.close()


def draft_of(number: int = 2, **stated: object) -> Edition:
    return Edition.objects.create_draft(agreement=factories.agreement(), bodies=demo.bodies(number), **stated)


# Roles


@languages
def test_an_author_drafts_from_the_edition_in_force_sees_findings_and_changes_and_can_not_publish(
    person,
    complaints,
    language,
):
    person.log_in("author")
    person.submit("#content-main a[href$='/agreement/edition/add/']")
    person.submit("input[type=submit].default")
    for code in LANGUAGES:
        person.append(code, "1.2", " Жаңа сөз." if code == "kk" else " Новое слово.")
        person.append(code, "2.1", REFERENCE[code])
    sign = person.page.locator(".agreement-mark .agreement-warning").first
    sign.wait_for()
    assert "9.9" in (sign.get_attribute("title") or "")
    person.click(".agreement-bar button")
    assert person.page.locator(".agreement-findings li", has_text="9.9").count() == 2

    person.page.locator(".agreement-bar button").nth(2).click()
    person.page.locator(".agreement-preview ins").first.wait_for()
    counted = {"kk": "Өзгертілді: 2 тармақ.", "ru": "Изменено: 2 пункта."}
    assert person.page.locator(".agreement-changes-summary").first.inner_text() == counted[language]

    edition = Edition.objects.drafts().get()
    person.submit("input[name=_continue]")
    edition.refresh_from_db()
    assert "Новое слово." in edition.body_ru
    assert "Жаңа сөз." in edition.body_kk
    assert person.page.locator("a[href$='/publish/']").count() == 0
    assert person.page.locator(".agreement-rights", has_text="publisher").count() == 1
    # The admin has no picture for the tab, which a browser asks for once.
    assert [text for text in complaints if "404 (Not Found)" not in text] == []
    assert person.open(f"agreement/edition/{edition.pk}/publish/") == 403


@languages
def test_a_publisher_publishes_for_tomorrow_cancels_and_publishes_now(person, language):
    tomorrow, now = draft_of(), draft_of(3)
    person.log_in("publisher")
    person.submit("#content-main a[href$='/agreement/edition/']")
    person.submit(f"#result_list a[href*='/edition/{tomorrow.pk}/']")
    person.submit("a[href$='/publish/']")
    person.tick_all()
    person.click("input[name=when][value=at]")
    person.page.locator("#id_date").fill((timezone.localdate() + timedelta(days=1)).isoformat())
    person.page.locator("#id_time").fill("09:00")
    person.confirm()
    person.submit("input[type=submit].default")
    assert "09:00" in person.page.locator(".agreement-letter").inner_text()
    person.submit("input[type=submit].default")
    tomorrow.refresh_from_db()
    assert (tomorrow.state(), tomorrow.published_by) == (State.SCHEDULED, "publisher")
    # One of them answers the letter again, because it stated another moment.
    assert person.clicks <= 13
    assert len(person.confirmed) == 1

    person.submit("a[href$='/cancel/']")
    person.page.locator("#id_reason").fill("Қате табылды.")
    person.click("#id_confirm")
    person.submit("input[type=submit].default")
    tomorrow.refresh_from_db()
    assert tomorrow.state() == State.CANCELLED
    assert AuditEntry.objects.about(tomorrow).first().note == "Қате табылды."

    person.open(f"agreement/edition/{now.pk}/publish/")
    person.tick_all()
    person.confirm()
    person.submit("input[type=submit].default")
    now.refresh_from_db()
    assert (now.state(), now.number) == (State.IN_FORCE, 3)


@languages
def test_a_privacy_officer_sees_acceptances_and_no_editions_and_no_log(person, language):
    draft, edition = draft_of(), Edition.objects.in_force().get()
    user = get_user_model().objects.get(username="author")
    row = Acceptance.objects.record(user=user, edition=edition, digest=edition.digest, language="kk", kind="explicit")
    person.log_in("officer")
    person.submit("#content-main a[href$='/agreement/acceptance/']")
    person.submit(f"#result_list a[href*='/acceptance/{row.pk}/']")
    assert person.page.locator("input[name=_save]").count() == 0
    assert AuditEntry.objects.filter(action=AuditAction.VIEWED, by="officer").count() == 2
    person.open("")
    assert person.page.locator("#content-main a[href*='/edition/']").count() == 0
    for path in (
        "agreement/edition/",
        "agreement/agreement/",
        "agreement/auditentry/",
        f"agreement/edition/{draft.pk}/publish/",
    ):
        assert person.open(path) == 403


@pytest.mark.parametrize("language", ["ru"])
def test_the_pages_of_the_app_have_the_bar_of_the_others(person, language):
    person.log_in("publisher")
    draft, bars = draft_of(), []
    for page in ("change", "publish"):
        person.open(f"agreement/edition/{draft.pk}/{page}/")
        bars += person.page.eval_on_selector_all(
            ".breadcrumbs", "all => all.map(one => [getComputedStyle(one).backgroundColor, one.offsetHeight > 20])"
        )
    assert bars == [["rgb(38, 75, 93)", True]] * 2


@languages
@pytest.mark.parametrize("listed", ["acceptance", "withdrawal", "legalhold"])
def test_what_can_be_done_covers_no_word_of_a_lists_title(person, language, listed):
    person.log_in("officer")
    person.page.set_viewport_size({"width": 1100, "height": 800})
    assert person.open(f"agreement/{listed}/") == 200

    title, tools = (person.page.locator(of).bounding_box() for of in ("h1", ".object-tools"))

    # Django 6 displays them beside each other.
    assert title["y"] + title["height"] <= tools["y"] or title["x"] + title["width"] <= tools["x"]


@languages
def test_from_login_to_published_in_twelve_clicks_and_one_typed_confirmation(person, language, django_user_model):
    django_user_model.objects.get(username="author").groups.add(Group.objects.get(name=groups.PUBLISHERS))
    person.log_in("author")
    person.submit("#content-main a[href$='/agreement/edition/add/']")
    person.submit("input[type=submit].default")
    for code in LANGUAGES:
        person.append(code, "1.2", " +")
        person.page.locator(f"#id_summary_{code}").fill("+")
    person.submit("input[name=_continue]")
    person.submit("a[href$='/publish/']")
    person.tick_all()
    person.confirm()
    person.submit("input[type=submit].default")
    assert Edition.objects.in_force().get().number == 2
    assert person.clicks <= 12
    assert len(person.confirmed) == 1


@pytest.mark.parametrize("language", ["kk"])
def test_after_a_test_mail_one_click_publishes_and_the_answers_stay(person, settings, language):
    mail_by(settings, "django.core.mail.backends.locmem.EmailBackend")
    draft = draft_of()
    person.log_in("publisher")
    person.open(f"agreement/edition/{draft.pk}/publish/")
    person.tick_all()
    person.confirm()
    person.submit("input[type=submit][formaction]")
    assert len(mail.outbox) == 2
    outcome = person.page.locator("#agreement-test-mails [role=status]")
    assert outcome.evaluate("it => it === document.activeElement")
    assert 0 < outcome.bounding_box()["y"] < 800, "the outcome is in the window"
    # The page has another address now, and still states another moment at once.
    day, clock = person.page.locator("#id_date"), person.page.locator("#id_time")
    clock.fill("09:00")
    day.fill("2020-03-01")
    day.press("Tab")
    person.page.locator(".agreement-moment .errorlist").wait_for()
    person.click("input[name=when][value=now]")
    person.page.locator(".agreement-moment .errorlist").wait_for(state="detached")
    assert [part.input_value() for part in (day, clock)] == ["", ""]
    person.submit("input[type=submit].default")
    draft.refresh_from_db()
    assert draft.state() == State.IN_FORCE
    assert len(mail.outbox) == 2


# The notice delay after the click


@pytest.mark.parametrize("language", ["kk"])
def test_a_notice_is_paused_with_one_click_and_its_progress_refreshes_itself(person, settings, complaints, language):
    settings.AGREEMENT = {**settings.AGREEMENT, "NOTICE_DELAY": timedelta(minutes=10)}
    mail_by(settings, "django.core.mail.backends.locmem.EmailBackend")
    Notice.objects.filter(fanned_out_at=None).update(fanned_out_at=timezone.now())
    edition = draft_of()
    edition.publish()
    notice = edition.notices.get()
    person.log_in("publisher")
    person.open(f"agreement/edition/{edition.pk}/change/")
    until(person.page, "/^(10:00|9:5\\d)$/.test(document.querySelector('.agreement-countdown').textContent)")
    person.submit("button[formaction$='/pause/']")
    notice.refresh_from_db()
    assert notice.paused_at
    assert person.page.locator(".agreement-countdown").count() == 0
    person.submit("button[formaction$='/resume/']")

    person.page.locator("tr td progress").wait_for(state="detached")
    dispatch.work()
    person.page.locator("tr td progress").wait_for()
    assert person.page.locator("progress").get_attribute("value") == "0"
    with open_seal():
        Notice.objects.filter(pk=notice.pk).update(due_at=timezone.now())
    Delivery.objects.update(due_at=timezone.now())
    dispatch.work()
    person.page.locator("progress[value='3']").wait_for()
    assert person.page.locator("[data-running]").count() == 0
    assert [text for text in complaints if "404 (Not Found)" not in text] == []


@pytest.mark.parametrize("language", ["ru"])
def test_neither_a_wrong_clock_nor_a_short_outage_misleads_about_sending(person, settings, language):
    settings.AGREEMENT = {**settings.AGREEMENT, "NOTICE_DELAY": timedelta(minutes=10)}
    edition = draft_of()
    edition.publish()
    person.log_in("publisher")
    person.page.clock.set_fixed_time(timezone.now() + timedelta(hours=1))
    person.open(f"agreement/edition/{edition.pk}/change/")
    assert re.fullmatch(r"10:00|9:[345]\d", person.page.locator(".agreement-countdown").inner_text())

    context = person.page.context
    person.page.close()
    person.page = context.new_page()
    answers: list[int] = []
    person.page.on("response", lambda it: it.url.endswith("?part") and answers.append(it.status))
    person.page.route("**/sending/?part", lambda route: route.fulfill(status=502), times=1)
    person.open(f"agreement/notice/{edition.notices.get().pk}/sending/")
    for _attempt in range(100):
        if len(answers) > 1:
            break
        person.page.wait_for_timeout(100)
    assert answers[:2] == [502, 200]


@pytest.mark.parametrize("language", ["ru"])
def test_after_the_countdown_the_page_of_the_edition_does_not_state_that_nothing_was_sent(person, settings, language):
    settings.AGREEMENT = {**settings.AGREEMENT, "NOTICE_DELAY": timedelta(minutes=10)}
    edition = draft_of()
    edition.publish()
    person.log_in("publisher")
    person.page.clock.install()
    person.open(f"agreement/edition/{edition.pk}/change/")
    assert "Ещё ничего не отправлено" in person.words
    person.page.clock.fast_forward("11:00")
    state = person.page.locator(".agreement-progress-state")
    assert state.inner_text() == "Отправка начинается. Чтобы увидеть её ход, обновите страницу."


@pytest.mark.parametrize("language", ["ru"])
def test_the_previews_of_the_notice_are_not_cut_at_their_right_edge(person, language):
    edition = draft_of()
    person.log_in("publisher")
    person.open(f"agreement/edition/{edition.pk}/publish/")
    person.page.evaluate("document.querySelectorAll('details').forEach((it) => { it.open = true; })")
    beyond = "it.getBoundingClientRect().right - it.closest('section').getBoundingClientRect().right"
    frames = person.page.locator(".agreement-frame")
    assert frames.count() == 4
    assert frames.evaluate_all(f"all => Math.max(...all.map((it) => {beyond}))") <= 0


@pytest.mark.parametrize("language", ["ru"])
def test_a_correction_replaces_the_paused_notice(person, settings, language):
    settings.AGREEMENT = {**settings.AGREEMENT, "NOTICE_DELAY": timedelta(minutes=10)}
    mail_by(settings, "django.core.mail.backends.locmem.EmailBackend")
    Notice.objects.filter(fanned_out_at=None).update(fanned_out_at=timezone.now())
    get_user_model().objects.get(username="author").groups.add(Group.objects.get(name=groups.PUBLISHERS))
    faulty = draft_of()
    faulty.publish()
    dispatch.work()
    person.log_in("author")
    person.open(f"agreement/edition/{faulty.pk}/change/")
    person.submit("button[formaction$='/pause/']")
    person.open(f"agreement/edition/{faulty.pk}/change/")
    person.submit("a[href*='/add/?edition=']")
    person.submit("input[type=submit].default")
    for code in LANGUAGES:
        person.append(code, "1.2", " +")
    person.submit("input[name=_continue]")
    person.submit("a[href$='/publish/']")
    assert "Неотправленные уведомления о прежних редакциях: 3." in person.words
    person.tick_all()
    person.click("input[name=when][value=now]")
    if person.page.locator("#id_reason").count():
        person.page.locator("#id_reason").fill("Ошибка в тексте.")
    person.confirm()
    person.submit("input[type=submit].default")

    dispatch.work(clock=lambda: timezone.now() + timedelta(minutes=11))
    rows = {row.notice.edition.number: row for row in Progress.objects.select_related("notice__edition")}
    assert (rows[2].skipped, rows[2].waiting, rows[2].sent) == (3, 0, 0)
    assert (rows[3].sent, rows[3].waiting) == (3, 0)


@pytest.mark.parametrize("language", ["ru"])
def test_without_a_script_the_page_of_sending_leads_to_itself(window, site, language):
    edition = draft_of()
    edition.publish()
    person = Person(window(script=False), site, language)
    person.log_in("publisher")
    person.open(f"agreement/notice/{edition.notices.get().pk}/sending/")
    person.submit("button[formaction$='/pause/']")
    person.submit("#content-main > p > a")
    assert person.page.locator("button[formaction$='/resume/']").count() == 1


# The same by browser and by commands


@pytest.mark.parametrize("folder", [demo.SAMPLES, *([Path(INPUT)] if INPUT else [])], ids=lambda folder: folder.name)
@pytest.mark.parametrize("language", ["kk"])
def test_edition_two_pasted_in_the_browser_is_byte_for_byte_that_of_the_commands(person, folder, tmp_path, language):
    def files(number: int) -> dict[str, Path]:
        return {code: folder / f"edition-{number}.{code}.md" for code in LANGUAGES}

    for slug in ("browser", "commands"):
        first = {code: file.read_text(encoding="utf-8") for code, file in files(1).items()}
        Edition.objects.create_draft(agreement=factories.agreement(slug), bodies=first).publish()
    paths = {code: str(file) for code, file in files(2).items()}
    call_command("import_edition", agreement="commands", **paths)
    by_commands = Edition.objects.drafts().get()
    call_command("publish_edition", by_commands.pk)

    get_user_model().objects.get(username="author").groups.add(Group.objects.get(name=groups.PUBLISHERS))
    person.log_in("author")
    first = Edition.objects.get(agreement__slug="browser")
    person.open(f"agreement/edition/{first.pk}/change/")
    person.submit("a[href*='/add/?edition=']")
    person.submit("input[type=submit].default")
    for code, file in files(2).items():
        person.page.locator(f"#id_body_{code}").fill(file.read_text(encoding="utf-8"))
    person.submit("input[name=_continue]")
    person.submit("a[href$='/publish/']")
    person.tick_all()
    person.confirm()
    person.submit("input[type=submit].default")

    by_commands.refresh_from_db()
    in_browser = Edition.objects.get(agreement__slug="browser", number=2)
    for code in LANGUAGES:
        written = files(2)[code].read_bytes()
        assert in_browser.text(code) == by_commands.text(code)
        assert in_browser.text(code).body.encode() == written.removeprefix(b"\xef\xbb\xbf")
    for name in (*TEXT_FIELDS, "material", "notice_days", "prevailing_language"):
        assert getattr(in_browser, name) == getattr(by_commands, name)


# Two people, and pages left open


@pytest.mark.parametrize("language", ["kk"])
@pytest.mark.parametrize("page", [360, 1280], indirect=True)
def test_two_browsers_on_one_draft_lose_nothing(person, other, language):
    draft = draft_of()
    person.log_in("author")
    other.log_in("author")
    for one in (person, other):
        one.open(f"agreement/edition/{draft.pk}/change/")
    other.append("ru", "1.2", " Слова другого.")
    other.append("ru", "2.1", " И ещё его слова.")
    other.submit("input[name=_continue]")
    person.append("ru", "1.2", " Мои слова.")
    person.append("kk", "1.2", " Менің сөздерім.")
    person.submit("input[name=_continue]")

    marked = person.page.locator(".agreement-question mark")
    assert [words.strip() for words in marked.all_inner_texts()] == ["Слова другого", "Мои слова"]
    assert overflow(person.page) <= 0
    # Refused words are unsaved words: they are not left by mistake either.
    assert person.page.evaluate("!dispatchEvent(new Event('beforeunload', {cancelable: true}))")
    draft.refresh_from_db()
    assert "Слова другого." in draft.body_ru

    # Who writes by hand chooses it. After a logout elsewhere, nothing is lost by the login page.
    area = person.page.locator("textarea[name=merge_text_0]")
    area.fill(area.input_value() + " Слова другого.")
    area.blur()
    assert person.page.locator("input[name=merge_0][value=hand]").is_checked()
    cookies = person.page.context.cookies()
    person.page.context.clear_cookies()
    person.page.locator("input[name=_continue]").click()
    person.page.locator("[data-offline]:not(:empty)").wait_for()
    person.page.context.add_cookies(cookies)
    person.submit("input[name=_continue]")
    draft.refresh_from_db()
    assert "Мои слова. Слова другого." in draft.body_ru
    assert "И ещё его слова." in draft.body_ru
    assert "Менің сөздерім." in draft.body_kk


@pytest.mark.parametrize("language", ["ru"])
def test_a_conflict_is_answered_without_a_script(window, site, person, language):
    draft = draft_of()
    mine = Person(window(script=False), site, language)
    for one in (person, mine):
        one.log_in("author")
        one.open(f"agreement/edition/{draft.pk}/change/")
    person.append("ru", "1.2", " Слова другого.")
    person.submit("input[name=_continue]")
    mine.append("ru", "1.2", " Мои слова.")
    mine.submit("input[name=_continue]")
    mine.click("input[name=merge_0][value=theirs]")
    mine.submit("input[name=_continue]")
    draft.refresh_from_db()
    assert "Слова другого." in draft.body_ru
    assert "Мои слова." not in draft.body_ru


@pytest.mark.parametrize("language", ["ru"])
def test_two_people_hand_over_a_draft_and_send_it_back(person, other, language):
    draft = draft_of()
    person.log_in("author")
    other.log_in("publisher")
    person.open(f"agreement/edition/{draft.pk}/change/")
    person.submit("a[href$='/hand-over/']")
    person.page.locator("#id_note").fill("Согласовано.")
    person.submit("input[type=submit].default")
    other.open("agreement/edition/?hand_over=ready")
    other.submit("th.field-name a")
    assert "Согласовано." in other.words
    other.submit("a[href$='/send-back/']")
    other.page.locator("#id_note").fill("Исправьте 1.2.")
    other.submit("input[type=submit].default")
    person.open(f"agreement/edition/{draft.pk}/change/")
    assert "Исправьте 1.2." in person.words
    assert violations(person.page) == []


@pytest.mark.parametrize("language", ["ru"])
def test_a_draft_deleted_or_published_meanwhile_is_named_while_one_writes(person, language):
    person.log_in("author")
    for word, end in (("опубликован", Edition.publish), ("удалён", Edition.delete)):
        draft = draft_of()
        person.open(f"agreement/edition/{draft.pk}/change/")
        end(draft)
        person.append("ru", "1.2", " Мои слова.")
        person.page.locator(".agreement-stored", has_text=word).wait_for()
        person.submit("input[name=_continue]")
        assert person.page.locator("textarea[readonly]", has_text="Мои слова.").count() == 1


@pytest.mark.parametrize("language", ["ru"])
def test_unsaved_text_is_stored_and_a_page_with_it_is_not_closed_by_mistake(person, language):
    draft = draft_of()
    person.log_in("author")
    person.open(f"agreement/edition/{draft.pk}/change/")
    person.append("kk", "1.2", " Сақталмаған.")
    person.page.locator(".agreement-stored", has_text=":").wait_for(timeout=8000)
    asked: list[str] = []
    person.page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    person.page.locator("#id_body_kk").press("End")
    person.open(f"agreement/edition/{draft.pk}/change/")
    assert asked == ["beforeunload"]
    assert "Сақталмаған." not in person.page.locator("#id_body_kk").input_value()
    person.submit("#agreement-slot a")
    assert "Сақталмаған." in person.page.locator("#id_body_kk").input_value()
    person.submit("input[name=_continue]")
    draft.refresh_from_db()
    assert "Сақталмаған." in draft.body_kk
    assert asked == ["beforeunload"]
    assert person.page.locator("#agreement-slot").count() == 0


@pytest.mark.parametrize("language", ["ru"])
def test_unsaved_text_is_not_overwritten_until_its_author_decides(person, language):
    draft = draft_of()
    Autosave.objects.store(
        author=get_user_model().objects.get(username="author").pk,
        edition=draft,
        fields={"summary_ru": "Оставлено вчера."},
        base="",
    )
    person.log_in("author")
    person.open(f"agreement/edition/{draft.pk}/change/")
    person.append("ru", "1.2", " Начато сегодня.")
    person.page.locator(".agreement-stored", has_text="Временное сохранение не работает").wait_for(timeout=8000)
    assert Autosave.objects.get().fields == {"summary_ru": "Оставлено вчера."}

    person.click("#agreement-discard")
    person.page.locator(".agreement-stored", has_text="Временно сохранено").wait_for(timeout=8000)
    assert "Начато сегодня." in Autosave.objects.get().fields["body_ru"]


@pytest.mark.parametrize("language", ["ru"])
def test_a_logged_out_author_logs_in_elsewhere_and_saves_their_text(person, language):
    draft = draft_of()
    person.log_in("author")
    person.open(f"agreement/edition/{draft.pk}/change/")
    beside = Person(person.page.context.new_page(), person.site, language)
    beside.open("")
    beside.submit("#logout-form button")
    person.append("ru", "1.2", " После выхода.")
    person.click("input[name=_continue]")
    person.page.locator(".agreement-stored", has_text="Вы вышли из системы").wait_for(timeout=8000)
    assert "После выхода." in person.page.locator("#id_body_ru").input_value()

    beside.log_in("author")
    person.submit("input[name=_continue]")
    draft.refresh_from_db()
    assert "После выхода." in draft.body_ru


@pytest.mark.parametrize("language", ["ru"])
@pytest.mark.parametrize("meanwhile", ["edited", "published", "forbidden", "logged out"])
def test_an_outdated_publish_page_is_refused_and_nothing_is_published(person, meanwhile, language):
    draft = draft_of()
    person.log_in("publisher")
    person.open(f"agreement/edition/{draft.pk}/publish/")
    person.tick_all()
    person.confirm()
    if meanwhile == "edited":
        Edition.objects.filter(pk=draft.pk).update(summary_ru="Иначе")
    elif meanwhile == "published":
        draft_of(3).publish()
    elif meanwhile == "forbidden":
        get_user_model().objects.get(username="publisher").groups.clear()
    else:
        person.page.context.clear_cookies(name="sessionid")
    with person.page.expect_navigation() as answered:
        person.click("input[type=submit].default")
    expected = {"edited": 409, "published": 409, "forbidden": 403, "logged out": 200}
    assert answered.value.status == expected[meanwhile]
    if meanwhile in {"edited", "published"}:
        assert "Ничего не опубликовано" in person.page.locator("h1").inner_text()
    draft.refresh_from_db()
    assert draft.state() == State.DRAFT


# Look and access


def desk_pages() -> dict[str, str]:
    in_force = Edition.objects.in_force().get()
    user = get_user_model().objects.get(username="author")
    acceptance = Acceptance.objects.record(
        user=user, edition=in_force, digest=in_force.digest, language="kk", kind="explicit"
    )
    scheduled = draft_of(3)
    scheduled.publish(effective_from=timezone.now() + timedelta(days=2))
    dispatch.fan_out(scheduled.notices.get())
    Progress.objects.update(failed=2, skipped=1, reasons={"failed": {"SMTP 550": 2}, "skipped": {"no address": 1}})
    with reversion.create_revision():
        draft = draft_of(summary_kk="Өзгерді.")
    version = Version.objects.get_for_object(draft).get()
    Edition.objects.filter(pk=draft.pk).update(summary_ru="Изменено.")
    there = f"agreement/edition/{draft.pk}"
    return {
        "start": "agreement/edition/add/",
        "desk": f"{there}/change/",
        "changes": f"{there}/changes/?whole=on",
        "publish": f"{there}/publish/",
        "history": f"{there}/history/",
        "revision": f"{there}/history/{version.pk}/",
        "compare": f"{there}/compare/?old={version.pk}",
        "delete": f"{there}/delete/",
        "deleted drafts": "agreement/edition/recover/",
        "sealed": f"agreement/edition/{in_force.pk}/change/",
        "editions": "agreement/edition/",
        "timeline": f"agreement/agreement/{in_force.agreement_id}/change/",
        "log": "agreement/auditentry/",
        "cancel": f"agreement/edition/{scheduled.pk}/cancel/",
        "sign": f"agreement/edition/{scheduled.pk}/sign/",
        "notices": "agreement/notice/",
        "notice": f"agreement/notice/{scheduled.notices.get().pk}/change/",
        "sending": f"agreement/notice/{scheduled.notices.get().pk}/sending/",
        "deliveries": "agreement/delivery/",
        "acceptances": "agreement/acceptance/",
        "acceptance": f"agreement/acceptance/{acceptance.pk}/change/",
        "record an acceptance": "agreement/acceptance/add/",
        "reports": "agreement/acceptance/report/",
        "report": f"agreement/acceptance/report/{in_force.pk}/",
        "evidence": "agreement/acceptance/evidence/",
        "withdrawals": "agreement/withdrawal/",
        "enter a withdrawal": "agreement/withdrawal/add/",
        "holds": "agreement/legalhold/",
    }


@pytest.mark.parametrize("language", ["ru"])
def test_axe_finds_nothing_on_the_pages_of_the_desk(person, language):
    get_user_model().objects.create_superuser("admin", password="password")
    person.log_in("admin")
    found = {}
    for name, path in desk_pages().items():
        person.open(path)
        if name == "desk":
            person.page.locator(".agreement-number").first.wait_for()
        found[name] = violations(person.page)
    assert {name: faults for name, faults in found.items() if faults} == {}


@pytest.mark.parametrize("language", ["ru"])
def test_a_line_break_that_word_pastes_is_a_line_end(person, language):
    draft = draft_of()
    person.log_in("author")
    person.open(f"agreement/edition/{draft.pk}/change/")
    person.page.locator("#id_body_ru").fill("# Условия\n\n1.1. Первая\vвторая.\n")
    assert person.page.locator("#id_body_ru").input_value() == "# Условия\n\n1.1. Первая\nвторая.\n"
    person.submit("input[name=_continue]")
    draft.refresh_from_db()
    assert draft.body_ru == "# Условия\n\n1.1. Первая\nвторая.\n"


@pytest.mark.parametrize("language", ["ru"])
def test_who_chooses_files_starts_with_them_and_swaps_them_by_a_button_that_enter_does_not_press(
    person, language, tmp_path
):
    for code, other in (("kk", "ru"), ("ru", "kk")):
        file = tmp_path / f"{other}.md"
        file.write_text(demo.bodies(1)[other])
        if code == "kk":
            person.log_in("author")
            person.open("agreement/edition/add/")
            assert person.page.locator("input[name=begin][value=edition]").is_checked()
        person.page.locator(f"#id_{code}").set_input_files(file)
    assert person.page.locator("input[name=begin][value=files]").is_checked()
    person.submit("input[type=submit].default")
    assert overflow(person.page) <= 0
    assert violations(person.page) == []
    person.page.locator("#id_approval_kk").fill("№ 7")
    person.submit("button[name=swap]")
    assert person.page.locator("button[name=swap]").count() == 0
    assert person.page.locator("#id_approval_ru").input_value() == "№ 7"
    with person.page.expect_navigation():
        person.page.locator("#id_notice_days").press("Enter")
    draft = Edition.objects.drafts().get()
    assert (draft.body_kk, draft.approval_ru) == (demo.bodies(1)["kk"], "№ 7")


@pytest.mark.parametrize("language", ["ru"])
def test_axe_finds_nothing_on_pages_that_answer_a_form(person, language, tmp_path):
    document = docx_files.numbered()
    document.add_comment(document.add_paragraph("Келісім", style="Title").runs, text="Тексеру керек", author="Заңгер")
    docx_files.add(document, docx_files.inserted("1.1. Жаңа.") + docx_files.deleted("1.1. Ескі."))
    file = tmp_path / "kk.docx"
    file.write_bytes(docx_files.saved(document))
    draft, found = draft_of(), {}
    person.log_in("author")
    person.open("agreement/edition/add/")
    person.click("input[name=begin][value=files]")
    for code in LANGUAGES:
        person.page.locator(f"#id_{code}").set_input_files(file)
    person.submit("input[type=submit].default")
    found["import"] = violations(person.page)
    person.submit("input[type=submit].default")
    found["import again"] = violations(person.page)
    person.open(f"agreement/edition/{draft.pk}/change/")
    person.append("ru", "1.2", " Мои слова.")
    Edition.objects.filter(pk=draft.pk).update(body_ru=draft.body_ru + "Слова другого.")
    person.submit("input[name=_continue]")
    found["conflict"] = violations(person.page)
    for mine in person.page.locator("input[type=radio][value=mine]").all():
        mine.check()
    Edition.objects.filter(pk=draft.pk).delete()
    person.submit("input[name=_continue]")
    found["refused"] = violations(person.page)
    assert person.page.locator("textarea[readonly]").count() > 0
    assert {name: faults for name, faults in found.items() if faults} == {}


@pytest.mark.parametrize("page", [390, 1280], indirect=True)
@languages
def test_the_start_page_fits_a_phone_and_a_screen_and_axe_finds_nothing(person, language):
    get_user_model().objects.create_superuser("admin", password="password")
    factories.start_page_world()
    person.log_in("admin")
    person.open("")
    assert person.page.locator(".agreement-card").count() == 3
    assert person.page.locator(".agreement-card .agreement-sent").count() >= 1
    assert overflow(person.page) <= 0
    assert violations(person.page) == []


@languages
def test_the_links_to_the_other_languages_lead_to_the_same_page(person, language):
    person.log_in("author")
    person.open("agreement/edition/?q=terms")
    other = {"kk": "ru", "ru": "kk"}[language]
    person.submit(f".agreement-languages a[lang={other}]")
    assert person.page.url.endswith(f"/{other}/admin/agreement/edition/?q=terms")
    assert person.page.locator("html").get_attribute("lang") == other


def violations(page: Page) -> list[str]:
    """What axe finds in the app's own part of the page."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    report = axe.run(page, context={"include": [["#content"]]}).response["violations"]
    return [f"{it['id']}: {it['nodes'][0]['html'][:120]}" for it in report]


@pytest.mark.parametrize("page", [360, 1280], indirect=True)
@pytest.mark.parametrize("language", ["kk"])
def test_the_pages_of_the_desk_fit_a_phone_and_a_screen(person, language):
    get_user_model().objects.create_superuser("admin", password="password")
    person.log_in("admin")
    for name, path in desk_pages().items():
        person.open(path)
        if name == "desk":
            person.page.locator(".agreement-number").first.wait_for()
        assert overflow(person.page) <= 0, name


@russian
def test_an_officer_collects_the_users_whom_a_breach_concerns(person, language, complaints, django_user_model):
    one, two = factories.users(2)
    django_user_model.objects.get(username="author").groups.add(Group.objects.get(name=groups.PRIVACY_OFFICERS))
    person.log_in("author")
    person.open("agreement/breach/add/")
    person.page.locator("#id_person").fill(one.email)
    person.page.locator("[data-adds]").click()
    until(person.page, "document.querySelector('#id_person').value === ''")
    person.page.locator("#id_person").fill("nobody-of-this-name")
    person.page.keyboard.press("Enter")
    person.page.get_by_text("Пользователь по этому тексту не найден.").wait_for()
    person.page.locator("#id_person").fill(str(two.pk))
    person.page.keyboard.press("Enter")
    until(person.page, "document.querySelector('#id_person').value === ''")
    assert person.page.locator("#id_users").input_value() == f"{one.username}\n{two.username}"
    assert complaints == []


@russian
@pytest.mark.parametrize("width", [360, 1024, 1280, 1600])
def test_the_fields_of_a_draft_stay_inside_their_panel(person, language, width):
    get_user_model().objects.create_superuser("admin", password="password")
    person.log_in("admin")
    draft = factories.draft(slug=demo.SLUG)
    person.page.set_viewport_size({"width": width, "height": 900})
    person.open(f"agreement/edition/{draft.pk}/change/")
    outside = person.page.locator(".agreement-pair :is(textarea, input)").evaluate_all(
        "all => all.filter(one => one.checkVisibility()).map(one => [one.name, one.getBoundingClientRect().right"
        " - one.closest('fieldset').getBoundingClientRect().right]).filter(([name, past]) => past > 0)"
    )
    assert outside == []
