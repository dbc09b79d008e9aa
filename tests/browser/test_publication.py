"""From two files to a published edition in a real browser: the clicks, what is refused, and the last page before it."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group

from agreement import groups
from agreement.models import Edition
from agreement.models.succession import State
from agreement.text.languages import LANGUAGES
from portal_site.management.commands import demo
from tests.browser.conftest import overflow
from tests.browser.test_admin import Person, draft_of, person, site, violations
from tests.support import docx_files, factories

__all__ = ["person", "site"]

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

languages = pytest.mark.parametrize("language", ["kk", "ru"])
russian = pytest.mark.parametrize("language", ["ru"])
INPUT = os.environ.get("AGREEMENT_TEST_INPUT", "")
FOLDERS = [demo.SAMPLES, *([Path(INPUT)] if INPUT else [])]
APPROVAL = {
    "kk": ["БЕКІТІЛДІ", "директордың 2026 жылғы 3 мамырдағы № 15 бұйрығымен"],
    "ru": ["УТВЕРЖДЕНО", "приказом директора от 3 мая 2026 года № 15"],
}
DROP = """(texts) => {
    const data = new DataTransfer();
    for (const [name, text] of Object.entries(texts)) data.items.add(new File([text], name));
    const zone = document.querySelector("[data-drop]");
    zone.dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true}));
}"""


def read(folder: Path, number: int) -> dict[str, str]:
    return {code: (folder / f"edition-{number}.{code}.md").read_text(encoding="utf-8") for code in LANGUAGES}


def word_files(folder: Path, texts: dict[str, str], *, drafted: bool) -> list[Path]:
    """The texts as Word files. A ``drafted`` one has an approval above its title and a tracked change."""
    made = []
    for code, text in texts.items():
        content = docx_files.agreement(text)
        if drafted:
            document = docx_files.opened(content)
            for words in reversed(APPROVAL[code]):
                document.element.body.insert(0, document.add_paragraph(words)._p)
            last = document.paragraphs[-1]
            last._p.append(docx_files.element(docx_files.inserted(" Осы сөз." if code == "kk" else " Эти слова.")))
            content = docx_files.saved(document)
        made.append(folder / f"{code}.docx")
        made[-1].write_bytes(content)
    return made


def both_roles(person: Person) -> None:
    get_user_model().objects.get(username="author").groups.add(Group.objects.get(name=groups.PUBLISHERS))
    person.log_in("author")
    person.clicks = 0


def choose_together(person: Person, files: list[Path]) -> None:
    person.page.locator("#agreement-both").set_input_files(files)
    person.clicks += 3  # The button, the first file, and the second with the Control key; Enter ends it.


def summarise(person: Person) -> None:
    for code, words in (("kk", "Өзгерістер енгізілді."), ("ru", "Внесены изменения.")):
        person.click(f"#id_summary_{code}")
        person.page.locator(f"#id_summary_{code}").fill(words)


@pytest.mark.parametrize("drafted", [False, True], ids=["clean", "drafted"])
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
@languages
def test_two_word_files_are_published_in_few_clicks(person, folder, drafted, language, tmp_path, record_property):
    stated = {"notice_days": 10, "retention_years": 5, "prevailing_language": "kk"}
    first = Edition.objects.create_draft(agreement=factories.agreement(), bodies=read(folder, 1), **stated)
    first.publish()
    files = word_files(tmp_path, read(folder, 2), drafted=drafted)
    both_roles(person)

    person.open("")
    person.submit(".agreement-card .agreement-next a[href*='/edition/add/']")
    choose_together(person, files)
    person.submit("input[type=submit].default")
    if drafted:
        person.click("input[name=tracked][value=accepted]")
        assert [person.page.locator(f"#id_approval_{code}").input_value()[:6] for code in LANGUAGES] == [
            "Директ",
            "Утверж",
        ]
    if person.page.locator("#id_seen").count():
        person.click("#id_seen")
    summarise(person)
    person.submit("button[name=_next][value=publish]")
    person.tick_all()
    if person.page.locator(".agreement-tick").count():
        person.confirm()
    person.submit("input[type=submit].default")

    edition = Edition.objects.get(number=3)
    assert edition.state() == State.SCHEDULED
    assert {name: getattr(edition, name) for name in stated} == stated
    record_property("clicks", person.clicks)
    print(f"{folder.name} drafted={drafted} {language}: {person.clicks} clicks, typed {person.confirmed}")
    assert person.clicks <= (14 if drafted or folder != demo.SAMPLES else 9)


@languages
def test_dropped_files_are_sorted_by_language_and_a_third_one_is_refused(person, complaints, language):
    person.log_in("author")
    person.open("agreement/edition/add/")
    texts = {f"{code}.md": demo.bodies(2)[code] for code in ("ru", "kk")}
    person.page.evaluate(DROP, texts | {"third.md": "x"})
    assert person.page.locator("[data-drop] [role=alert]").is_visible()
    assert person.page.locator("input[name=begin][value=edition]").is_checked()
    button = person.page.locator("input[type=submit].default")
    assert button.input_value() == button.get_attribute("data-other")

    person.page.evaluate(DROP, texts)
    assert not person.page.locator("[data-drop] [role=alert]").is_visible()
    assert person.page.locator("input[name=begin][value=files]").is_checked()
    assert button.input_value() == button.get_attribute("data-files")
    assert person.page.evaluate("[id_kk.files[0].name, id_ru.files[0].name]") == ["ru.md", "kk.md"]
    person.submit("input[type=submit].default")
    assert person.page.locator("#accepted_kk").input_value() == demo.bodies(2)["kk"]
    assert person.page.locator("button[name=swap]").count() == 0
    assert [text for text in complaints if "404 (Not Found)" not in text] == []


@russian
def test_without_a_script_two_fields_take_the_files_and_none_is_lost(window, site, language, tmp_path):
    person = Person(window(script=False), site, language)
    person.log_in("author")
    person.open("agreement/edition/add/")
    assert not person.page.locator("[data-drop]").is_visible()
    for file in word_files(tmp_path, demo.bodies(2), drafted=False):
        person.page.locator(f"#id_{file.stem}").set_input_files(file)
    person.submit("input[type=submit].default")
    assert person.page.locator(".agreement-refused a").first.get_attribute("href") == "#id_begin"
    assert person.page.evaluate("document.activeElement.className") == "errornote agreement-refused"
    assert person.page.locator(".agreement-kept").count() == 2
    person.submit("input[type=submit].default")
    person.submit("input[type=submit].default")
    assert Edition.objects.drafts().get().title_kk == demo.bodies(2)["kk"].splitlines()[0].strip("# ")


@russian
def test_only_the_refused_file_is_chosen_again(person, language, tmp_path):
    kk, ru = word_files(tmp_path, demo.bodies(2), drafted=False)
    old = tmp_path / "ru.doc"
    old.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
    person.log_in("author")
    person.open("agreement/edition/add/")
    person.page.locator("#agreement-both").set_input_files([kk, old])
    person.submit("input[type=submit].default")
    assert person.page.locator("#id_ru").evaluate("it => it.closest('div').innerText").count(".docx") == 1
    person.page.locator("#id_ru").set_input_files(ru)
    person.submit("input[type=submit].default")
    person.submit("input[type=submit].default")
    assert Edition.objects.drafts().count() == 1


@russian
@pytest.mark.parametrize("script", [True, False])
def test_another_moment_is_published_after_the_letter_was_read_with_it(window, site, script, language, complaints):
    draft = draft_of()
    person = Person(window(script=script), site, language)
    person.log_in("publisher")
    person.open(f"agreement/edition/{draft.pk}/publish/")
    letter, day = person.page.locator(".agreement-letter"), person.page.locator("#id_date")
    assert "сразу после публикации" in letter.inner_text()
    person.tick_all()
    if not script:
        person.click("input[name=when][value=at]")
    person.page.locator("#id_time").fill("09:00")
    day.fill("2027-03-01")
    day.press("Tab")
    person.confirm()
    if script:
        person.page.locator(".agreement-letter", has_text=re.compile(r"силу: 1\sмарта\s2027\sг\.")).wait_for()
        assert person.page.locator("input[name=when][value=at]").is_checked()
        assert "at=2027-03-01T09" in person.page.locator("#agreement-letters iframe").first.get_attribute("src")
    else:
        person.submit("input[type=submit].default")
        assert Edition.objects.drafts().exists()
        assert re.search(r"вступления в силу: 1\sмарта\s2027\sг\.", letter.inner_text())
        assert person.page.evaluate("document.activeElement.className") == "agreement-letter"
        assert letter.bounding_box()["y"] < 800, "it is in the window"
    person.submit("input[type=submit].default")
    assert not Edition.objects.drafts().exists()
    assert not script or complaints == []


@russian
def test_an_opened_preview_stays_open_and_now_is_chosen_again(person, language, complaints):
    factories.published(notice_days=5)
    draft = draft_of()
    person.log_in("publisher")
    person.open(f"agreement/edition/{draft.pk}/publish/")
    person.page.locator("#agreement-letters summary").first.click()
    person.click("input[name=when][value=now]")
    person.page.locator(".agreement-letter", has_text="сразу после публикации").wait_for()
    assert person.page.locator("input[name=letter]").input_value() == ""
    assert person.page.locator("#agreement-letters details").first.get_attribute("open") is not None
    assert person.page.locator("#agreement-letters details[open]").count() == 1
    assert complaints == []


@russian
def test_a_moment_in_the_past_is_stated_when_it_is_entered(person, language, complaints):
    draft = draft_of()
    person.log_in("publisher")
    person.open(f"agreement/edition/{draft.pk}/publish/")
    day, error = person.page.locator("#id_date"), person.page.locator(".agreement-moment .errorlist")
    person.page.locator("#id_time").fill("09:00")
    day.fill("2020-03-01")
    day.press("Tab")
    error.wait_for()
    assert error.inner_text().startswith("Указанный момент уже прошёл: 1\u00a0марта 2020\u00a0г., 09:00 (")
    assert overflow(person.page) <= 0
    day.fill("2027-03-01")
    day.press("Tab")
    error.wait_for(state="detached")
    assert complaints == []


@languages
@pytest.mark.parametrize("script", [True, False])
def test_on_a_large_site_users_are_counted_before_the_button_appears(window, site, language, script, monkeypatch):
    monkeypatch.setattr("agreement.notices.forecast.COUNTED_UP_TO", 5)
    draft = draft_of()
    factories.users(9)
    person = Person(window(script=script), site, language)
    person.log_in("publisher")
    person.open(f"agreement/edition/{draft.pk}/publish/")
    button, letter = person.page.locator("#agreement-publish input"), person.page.locator(".agreement-letter")
    if not script:
        assert button.count() == 0
        assert letter.count() == 0
        person.click("#agreement-publish a.button")
    button.wait_for()
    words = re.sub(r"\s+", " ", letter.inner_text())
    assert f": {get_user_model().objects.exclude(email='').count()}. " in words
    for tick in person.page.locator(".agreement-tick").all():
        tick.check()
    person.confirm()
    button.click()
    person.page.wait_for_url("**/change/")
    draft.refresh_from_db()
    assert draft.state() == State.IN_FORCE


@pytest.mark.parametrize("page", [390, 1280], indirect=True)
@languages
def test_the_pages_to_publication_fit_a_phone_and_a_screen_and_axe_finds_nothing(person, language, tmp_path):
    draft, found = draft_of(), {}
    both_roles(person)
    kk, ru = word_files(tmp_path, demo.bodies(2), drafted=True)

    def look(name: str) -> None:
        found[name] = [*violations(person.page), *(["too wide"] if overflow(person.page) > 0 else [])]

    person.open("agreement/edition/add/")
    look("start")
    person.page.locator("#agreement-both").set_input_files([kk, kk])
    person.submit("input[type=submit].default")
    look("refused")
    person.page.locator("#id_ru").set_input_files(ru)
    person.submit("input[type=submit].default")
    look("import")
    person.page.locator("#id_title_kk").fill("")
    person.submit("input[type=submit].default")
    look("import again")
    person.open(f"agreement/edition/{draft.pk}/publish/")
    look("publish")
    person.submit("input[type=submit].default")
    look("publish again")
    assert {name: faults for name, faults in found.items() if faults} == {}
