"""The page that says everything before it publishes, and the pages that compare."""

from __future__ import annotations

import html
import io
import re
import zipfile
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import docx
import pytest
import reversion
from django.contrib.auth import get_user_model
from django.core import mail
from django.core.exceptions import FieldDoesNotExist
from django.db import connection
from django.db.models.options import Options
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from reversion.models import Version

from agreement.admin.editions.decision import staff_with_address
from agreement.admin.editions.fields import fingerprint
from agreement.models import (
    Acceptance,
    AcceptanceKind,
    AcceptanceMode,
    Agreement,
    AuditEntry,
    Edition,
    Notice,
    Progress,
)
from agreement.models.audit import AuditAction
from agreement.models.succession import State
from agreement.notices import dispatch
from agreement.notices.channels import Refused
from agreement.word.reader import read_manuscript
from tests.admin.test_editions import AUTHOR, PUBLISHER, at, desk, question, written
from tests.support import factories
from tests.support.smtp_server import mail_by, server

pytestmark = pytest.mark.django_db

#: A clause in one language changed, and a reference that leads nowhere: warnings, and no error.
WARNED = {"kk": factories.KK, "ru": factories.RU.replace("Второй пункт.", "Второй пункт, см. пункт 9.9.")}


@pytest.fixture(autouse=True)
def _other_agreement_quoted(settings) -> None:
    """The templates of the portal quote another agreement than that of these tests."""
    settings.AGREEMENT = {**settings.AGREEMENT, "DEFAULT_AGREEMENT": "user-agreement"}


def words(answer) -> str:
    return " ".join(re.sub("<[^>]*>", " ", html.unescape(answer.content.decode())).split())


# What is asked


def test_what_the_edition_states_is_compared_as_the_words_are(publisher):
    factories.published(notice_days=10, grace_days=7, retention_years=5)
    edition = factories.draft(notice_days=0, grace_days=14, retention_years=5, material=False)
    page = publisher.get(at("edition_publish", edition.pk)).content.decode()
    assert "<del>10</del> <ins>0</ins>" in page
    assert "<del>7</del> <ins>14</ins>" in page
    assert page.count("<ins>") == 2
    assert 'class="agreement-difference"' not in page  # Not one word differs: no box, nor a stop of the tab key.


def test_the_page_names_the_last_day_to_accept_if_the_draft_gives_days(publisher, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "EXEMPT_STAFF": True}
    factories.published()
    edition = factories.draft(grace_days=10)
    sentence = "Their time to accept it ends:"
    assert sentence not in words(publisher.get(at("edition_publish", edition.pk)))
    Agreement.objects.update(acceptance_mode=AcceptanceMode.BY_CONFIRMATION)
    assert sentence in words(publisher.get(at("edition_publish", edition.pk)))
    moment = {"when": "at", "date": f"{timezone.now().year + 1}-03-01", "time": "09:00"}
    part = publisher.get(at("edition_publish", edition.pk), moment).json()["parts"]["agreement-accept-by"]
    assert "11\xa0March" in part


def test_every_warning_is_ticked_by_its_name(publisher):
    factories.published()
    edition = factories.draft(**WARNED)
    page = publisher.get(at("edition_publish", edition.pk))
    assert "9.9" in words(page)
    assert "9.9, which does not exist. Correct the number in the reference." in words(page), "the hint of the warning"
    assert "There are warnings: type publish to confirm." in words(page)
    ticks = sorted(page.context["form"].warning_keys)
    assert len(ticks) >= 3  # The reference, the one-sided change, two missing summaries.
    for lacking in ([], ticks[1:]):
        answer = publisher.post(at("edition_publish", edition.pk), question(publisher, edition, warnings=lacking))
        assert answer.status_code == 400
        assert "Tick each warning that should not stop the publication" in words(answer)
    assert publisher.post(at("edition_publish", edition.pk), question(publisher, edition)).status_code == 302


def test_an_edition_of_the_same_words_and_a_changed_statement_are_ticked_and_confirmed(publisher):
    factories.published(notice_days=10)
    edition = factories.draft(notice_days=0)
    page = publisher.get(at("edition_publish", edition.pk))
    found = {finding.id for finding in page.context["warnings"]}
    assert found == {"agreement.L038", "agreement.L039"}
    for lacking in ({"warnings": []}, {"confirmation": ""}):
        answer = publisher.post(at("edition_publish", edition.pk), question(publisher, edition, **lacking))
        assert answer.status_code == 400
    assert publisher.post(at("edition_publish", edition.pk), question(publisher, edition)).status_code == 302


def test_a_quoted_clause_that_the_draft_lacks_is_ticked(publisher, settings, tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "page.html").write_text(
        '{% agreement_clause "1.2" "terms" %} {% agreement_clause \'7.7.\' as q %}'
        '{% agreement_clause "8.8" slug=which %} {% agreement_clause "8.9" which %}'
        '{% agreement_clause "9.9" "other" %} {% agreement_clause number %} {% agreement_url %}'
    )
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    edition = factories.draft()
    url = at("edition_publish", edition.pk)
    assert publisher.get(url).context["warnings"] == []

    settings.AGREEMENT = {**settings.AGREEMENT, "DEFAULT_AGREEMENT": ""}
    (warning,) = publisher.get(url).context["warnings"]
    assert (
        warning.sentence
        == "Pages of the site quote 7.7 of this text (shop/page.html), but the text has no such number."
    )
    assert publisher.post(url, question(publisher, edition, warnings=[])).status_code == 400
    factories.published(slug="another")
    assert publisher.get(url).context["warnings"] == []
    edition.body_kk = edition.body_kk.replace("1.2", "1.3")
    edition.save()
    found = [(one.id, one.language) for one in publisher.get(url).context["warnings"]]
    assert ("agreement.L052", "kk") in found
    assert ("agreement.L052", "ru") not in found


def test_the_letter_above_the_button_says_what_is_published_when_to_whom_and_what_is_for_good(
    publisher, django_user_model
):
    django_user_model.objects.create_user("reader", "reader@example.kz")
    factories.published(notice_days=10)
    edition = factories.draft(notice_days=10, ru=factories.RU.replace("Второй", "Иной"), kk=factories.KK)
    page = publisher.get(at("edition_publish", edition.pk))
    letter = words(page).partition("Before you publish")[2].partition("type publish to confirm")[0]
    for part in (
        "publisher, you are publishing a new edition of",
        "It replaces edition 1.",
        "Kazakh – nothing changed. Russian – changed: 1 clause.",
        "It takes effect on ",
        "Users to be notified by e-mail: 1. The first message is sent on ",
        "Users who see the notice on the site only: 1.",
        "This can't be undone. The texts, the number, the date and your name can never be changed.",
        "You can cancel the edition until it takes effect.",
    ):
        assert part in letter, (part, letter)


def test_another_moment_than_that_of_the_letter_is_published_after_the_letter_was_displayed_with_it(publisher):
    factories.published()
    edition = factories.draft()
    url = at("edition_publish", edition.pk)
    later = {"when": "at", "date": f"{timezone.now().year + 1}-03-01", "time": "09:00"}
    answer = question(publisher, edition, **later)
    page = publisher.post(url, answer | {"letter": ""})
    assert page.status_code == 400
    written = words(page)
    refused = "Nothing was published: you chose another moment."
    assert written.index("Before you publish") < written.index(refused) < written.index("It takes effect on 1 March")
    assert page.content.decode().count("autofocus") == 1, "the letter has the focus"
    letter = re.search(r'name="letter" value="([^"]+)"', page.content.decode())[1]
    assert publisher.post(url, answer | {"letter": letter}).status_code == 302


def test_the_note_of_the_author_stands_above_what_will_be_published(publisher, author):
    edition = factories.draft()
    author.post(
        at("edition_hand_over", edition.pk), {"note": "Согласовано с бухгалтерией.", "draft": fingerprint(edition)}
    )
    page = words(publisher.get(at("edition_publish", edition.pk)))
    assert "Согласовано с бухгалтерией." in page.partition("What will be published")[0]
    assert "Send back with a remark…" in page


def test_a_confirmation_is_required_for_immediate_effect_or_warnings(publisher):
    later = {"when": "at", "date": f"{timezone.now().year + 1}-03-01", "time": "09:00", "confirmation": ""}
    clean = factories.draft()
    assert (
        publisher.post(at("edition_publish", clean.pk), question(publisher, clean, confirmation="")).status_code == 400
    )
    assert publisher.post(at("edition_publish", clean.pk), question(publisher, clean, **later)).status_code == 302
    warned = factories.draft(**WARNED)
    later["date"] = f"{timezone.now().year + 2}-03-01"
    assert publisher.post(at("edition_publish", warned.pk), question(publisher, warned, **later)).status_code == 400
    later["confirmation"] = " Publish "
    assert publisher.post(at("edition_publish", warned.pk), question(publisher, warned, **later)).status_code == 302


@pytest.mark.parametrize(("minutes", "status"), [(8, 400), (30, 302)])
def test_effect_within_the_notice_delay_is_confirmed_as_immediate_effect(publisher, settings, minutes, status):
    settings.AGREEMENT = {**settings.AGREEMENT, "NOTICE_DELAY": timedelta(minutes=10)}
    edition = factories.draft()
    soon = (timezone.now() + timedelta(minutes=minutes)).astimezone(ZoneInfo(edition.agreement.time_zone))
    moment = {"when": "at", "date": soon.date().isoformat(), "time": f"{soon:%H:%M}"}
    there = at("edition_publish", edition.pk)
    assert publisher.post(there, question(publisher, edition, confirmation="", **moment)).status_code == status
    if status == 400:
        assert publisher.post(there, question(publisher, edition, **moment)).status_code == 302


def test_the_moment_proposed_keeps_the_promise_of_the_edition_in_force(publisher):
    factories.published(notice_days=10)
    edition = factories.draft()
    form = publisher.get(at("edition_publish", edition.pk)).context["form"]
    proposed = form.initial["date"]
    assert (form["when"].value(), form.initial["time"].isoformat()) == ("at", "00:00:00")
    assert timedelta(days=9) < proposed - timezone.now().date() <= timedelta(days=12)
    answer = question(publisher, edition, when="at", date=proposed.isoformat(), time="00:00", reason="")
    assert publisher.post(at("edition_publish", edition.pk), answer).status_code == 302


@pytest.mark.parametrize("soon", [{"when": "now"}, {"when": "at", "days": 3}])
def test_an_earlier_moment_needs_a_reason_that_stays_in_the_log(publisher, soon):
    factories.published(notice_days=10)
    edition = factories.draft()
    if days := soon.pop("days", 0):
        soon |= {"date": (timezone.now() + timedelta(days=days)).date().isoformat(), "time": "09:00"}
    there = at("edition_publish", edition.pk)
    refused = publisher.post(there, question(publisher, edition, **soon) | {"reason": "  "})
    assert refused.status_code == 400
    assert "Write why this edition takes effect earlier" in words(refused)
    assert publisher.post(there, question(publisher, edition, **soon) | {"reason": "Сот шешімі."}).status_code == 302
    published = AuditEntry.objects.filter(action=AuditAction.PUBLISHED, key=str(edition.pk)).get()
    assert (published.by, published.note) == ("publisher", "Сот шешімі.")


@pytest.mark.parametrize("day", ["0001-01-01", "0001-01-09", "1990-12-31"])
def test_days_of_notice_are_not_counted_back_beyond_the_calendar(publisher, day):
    factories.published(notice_days=10)
    edition = factories.draft()
    asked = question(publisher, edition, when="at", date=day, time="00:00")
    answer = publisher.post(at("edition_publish", edition.pk), asked)
    assert answer.status_code == 400
    assert "is in the past" in words(answer)


@pytest.mark.parametrize("days", [0, 10])
def test_what_can_only_follow_an_announced_edition_is_proposed_after_it(publisher, days):
    factories.published(notice_days=days)
    announced = factories.published(effective_from=timezone.now() + timedelta(days=20))
    edition = factories.draft()
    page = publisher.get(at("edition_publish", edition.pk))
    form = page.context["form"]
    zone = ZoneInfo(edition.agreement.time_zone)
    assert (form["when"].value(), form.initial["time"].isoformat()) == ("at", "00:00:00")
    assert form.initial["date"] - announced.effective_from.astimezone(zone).date() == timedelta(days=1)
    assert "The edition takes effect immediately" not in words(page)
    assert "To let this draft take effect in its place, cancel that edition first." in words(page)
    answer = question(publisher, edition, when="at", date=form.initial["date"].isoformat(), time="00:00", reason="")
    assert publisher.post(at("edition_publish", edition.pk), answer).status_code == 302


def test_without_promised_notice_now_is_proposed_and_no_reason_required(publisher):
    edition = factories.draft()
    form = publisher.get(at("edition_publish", edition.pk)).context["form"]
    assert form["when"].value() == "now"
    assert publisher.post(at("edition_publish", edition.pk), question(publisher, edition, reason="")).status_code == 302


def test_with_four_eyes_the_last_author_reads_who_else_may_publish(settings, django_user_model):
    settings.AGREEMENT = {**settings.AGREEMENT, "FOUR_EYES": True}
    both = desk(django_user_model, *AUTHOR, *PUBLISHER, name="both")
    edition = factories.draft()
    both.post(at("edition_change", edition.pk), written(edition, summary_kk="Өзгерді."))
    edition.refresh_from_db()
    page = both.get(at("edition_publish", edition.pk))
    assert 'value="Publish"' not in page.content.decode()
    answer = both.post(at("edition_publish", edition.pk), question(both, edition))
    assert answer.status_code == 400
    for said in (page, answer):
        assert "Two people are needed to publish this draft: both was the last to edit it." in words(said)


@pytest.mark.parametrize("act", ["publish", "cancel"])
def test_a_denied_action_names_who_may(publisher, author, django_user_model, act):
    edition = factories.draft()
    for answer in (author.get(at(f"edition_{act}", edition.pk)), author.post(at(f"edition_{act}", edition.pk), {})):
        assert answer.status_code == 403
        assert "Your permission was removed or was never given" in words(answer)
        assert re.search(
            r"have permission to (publish this draft|cancel this edition)\. Groups that have it: .*publisher",
            words(answer),
        )
    answer = desk(django_user_model, name="nobody").post(at(f"edition_{act}", edition.pk), {})
    assert answer.status_code == 403
    assert "Your permission was removed" in words(answer)
    assert str(edition) not in words(answer)
    assert "None" not in words(answer)
    assert "Groups that have it" not in words(answer)


def test_changes_against_a_scheduled_edition_are_displayed(publisher):
    factories.published()
    more = {"kk": factories.KK + "\n1.3. Жарияланды.\n", "ru": factories.RU + "\n1.3. Объявлено.\n"}
    announced = factories.published(effective_from=timezone.now() + timedelta(days=2), **more)
    page = publisher.get(at("edition_publish", factories.draft().pk))
    assert f"Changes compared with the edition that takes effect before it: {announced}" in words(page)
    assert re.search(r"(?s)<del>.{,200}Объявлено", page.content.decode())


# Previews


@pytest.mark.parametrize(("code", "said"), [("kk", "Пайдаланушы келісімі"), ("ru", "Пользовательское соглашение")])
def test_the_notice_is_seen_as_mail_and_as_page_before_it_is_sent(publisher, code, said):
    factories.published()
    edition = factories.draft()
    for kind in ("mail", "page"):
        answer = publisher.get(at("edition_preview", edition.pk, kind, code))
        assert answer.status_code == 200
        assert said in words(answer)
        assert "sandbox" in answer["Content-Security-Policy"]
        assert answer["X-Frame-Options"] == "SAMEORIGIN"
    assert Edition.objects.drafts().get() == edition


def notified_of_the_first_edition() -> None:
    factories.users(1)
    factories.published()
    dispatch.work()


@pytest.mark.parametrize("material", [True, False])
def test_a_preview_says_whether_anybodys_rights_change_as_the_letter_will(publisher, material):
    notified_of_the_first_edition()
    edition = factories.draft(material=material, ru=factories.RU.replace("Второй", "Другой"))
    answer = words(publisher.get(at("edition_preview", edition.pk, "mail", "ru")))
    assert ("ничьи права и обязанности не меняются" in answer) is not material


def test_a_previewed_letter_says_what_the_draft_changes(publisher):
    notified_of_the_first_edition()
    edition = factories.draft(ru=factories.RU.replace("Второй", "Другой"), summary_ru="Пункт стал другим.")
    said = words(publisher.get(at("edition_preview", edition.pk, "mail", "ru")))
    assert "Пункт стал другим." in said
    assert "Другой" in said
    assert "правки" not in said


def test_a_previewed_page_says_what_the_draft_changes_since_the_edition_that_it_replaces(publisher):
    factories.published()
    kk, ru = (f"{text}\n1.3. {word}.\n" for text, word in ((factories.KK, "Жарияланды"), (factories.RU, "Объявлено")))
    factories.published(kk=kk, ru=ru, effective_from=timezone.now() + timedelta(days=2))
    edition = factories.draft(kk=kk, ru=ru.replace("Второй", "Другой"))
    day = (timezone.now() + timedelta(days=3)).isoformat()
    for moment, heading, replaces in (
        ({}, "Что изменилось", "Она заменила редакцию № 2."),
        ({"at": day}, "Что изменится", "Она заменит редакцию № 2."),
    ):
        answer = publisher.get(at("edition_preview", edition.pk, "page", "ru"), moment)
        assert f"<summary>{heading}</summary>" in answer.content.decode()
        assert replaces in words(answer)
        assert "Изменено: 1 пункт." in words(answer), "Edition 2 has the clause 1.3 already."

    first = factories.draft(slug="policy")
    assert "<summary>Коротко" not in publisher.get(at("edition_preview", first.pk, "page", "ru")).content.decode()


def test_the_notice_is_seen_and_tried_with_the_moment_that_is_proposed_or_chosen(
    publisher, django_user_model, settings
):
    mail_by(settings, "django.core.mail.backends.locmem.EmailBackend")
    django_user_model.objects.update(email="publisher@example.kz")
    factories.published(notice_days=10)
    edition = factories.draft()
    page = publisher.get(at("edition_publish", edition.pk))
    day = page.context["form"].initial["date"]
    assert f"{day.year}\u00a0г. в\u00a000:00" in page.context["previews"][1][2]
    [there, *_more] = re.findall(r'src="([^"]*preview/mail/ru/[^"]*)"', page.content.decode())
    assert f"{day.year} г. в 00:00" in words(publisher.get(html.unescape(there)))
    later = question(publisher, edition, when="at", date=f"{timezone.now().year + 2}-03-01", time="09:00")
    later["test_to"] = [django_user_model.objects.get().pk]
    page = publisher.post(at("edition_test_mail", edition.pk), later)
    said = f"1\u00a0марта {timezone.now().year + 2}\u00a0г. в\u00a009:00"
    assert said in page.context["previews"][1][2]
    assert said in mail.outbox[1].body


@pytest.mark.parametrize("moment", ["x", "2031-03-01T09:00:00", "9999-12-31T23:00:00-11:00"])
def test_a_preview_of_no_moment_is_not_found(publisher, moment):
    edition = factories.draft()
    assert publisher.get(at("edition_preview", edition.pk, "mail", "kk"), {"at": moment}).status_code == 404


def test_previews_are_of_drafts_and_for_those_who_see_them(publisher, django_user_model):
    edition = factories.draft()
    for args in ((edition.pk, "mail", "en"), (edition.pk, "post", "kk"), (factories.published().pk, "mail", "kk")):
        assert publisher.get(at("edition_preview", *args)).status_code == 404
    nobody = desk(django_user_model, name="nobody")
    assert nobody.get(at("edition_preview", edition.pk, "mail", "kk")).status_code == 403


@pytest.mark.parametrize("kind", ["word", "changes", "table"])
def test_an_author_gets_a_draft_and_its_changes_as_word_files_that_say_that_it_is_a_draft(author, kind):
    binding = factories.published()
    edition = factories.draft(ru=factories.RU.replace("Второй", "Другой"))
    answer = author.get(at("edition_preview", edition.pk, kind, "ru"))
    name = f"terms-draft-{edition.pk}.{kind}.ru.docx"
    assert answer["Content-Disposition"] == f'attachment; filename="{name}"'
    assert "no-store" in answer["Cache-Control"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as package:
        parts = {part: package.read(part).decode() for part in package.namelist()}
    assert "draft" in parts["word/header2.xml"] or "проект" in parts["word/header2.xml"].lower()
    assert "Другой" in parts["word/document.xml"]
    assert re.findall("SHA-256 ([0-9a-f]+)", parts["word/footer1.xml"]) == ([] if kind == "word" else [binding.digest])
    if kind == "word":
        assert read_manuscript(answer.content, "a.docx").accepted == edition.body_ru


def test_a_draft_has_no_changes_in_word_while_no_edition_is_in_force(author):
    edition = factories.draft()
    for kind in ("changes", "table"):
        assert author.get(at("edition_preview", edition.pk, kind, "kk")).status_code == 404
    page = author.get(at("edition_changes", edition.pk)).content.decode()
    assert at("edition_preview", edition.pk, "word", "kk") in page
    assert at("edition_preview", edition.pk, "changes", "kk") not in page


def test_the_page_of_changes_of_a_draft_leads_to_its_word_files_and_that_of_an_edition_does_not(author):
    binding, edition = factories.published(), factories.draft()
    page = author.get(at("edition_changes", edition.pk)).content.decode()
    for code in ("kk", "ru"):
        for kind in ("word", "changes", "table"):
            assert f'href="{at("edition_preview", edition.pk, kind, code)}"' in page
    assert "preview/word" not in author.get(at("edition_changes", binding.pk)).content.decode()


def test_test_mails_go_to_chosen_staff_in_both_languages_and_keep_the_answers(publisher, django_user_model, settings):
    edition = factories.draft()
    there = at("edition_test_mail", edition.pk)
    form = question(publisher, edition, when="at", date="2031-03-01", time="09:00", reason="Себебі бар.")
    django_user_model.objects.update(email="publisher@example.kz")
    lawyer = django_user_model.objects.create_user("lawyer", "lawyer@example.kz", is_staff=True)
    silent = django_user_model.objects.create_user("silent", "", is_staff=True)
    [reader] = factories.users(1)
    me = django_user_model.objects.get(username="publisher")
    with server() as mailbox:
        mail_by(settings, "django.core.mail.backends.smtp.EmailBackend", host="127.0.0.1", port=mailbox.port)
        for nobody in ([], [reader.pk], [silent.pk], ["reader@example.kz"]):
            refused = publisher.post(there, form | {"test_to": nobody})
            assert "No test e-mail was sent." in words(refused)
        answer = publisher.post(there, form | {"test_to": [me.pk, lawyer.pk]})
    assert [key for key, _label in refused.context["tests"].fields["test_to"].choices] == [str(me.pk), str(lawyer.pk)]
    assert answer.status_code == 200
    sent = "Test e-mails in Kazakh and in Russian were sent to publisher@example.kz, lawyer@example.kz."
    assert sent in words(answer)
    assert answer.context["form"]["date"].value() == "2031-03-01"
    assert answer.context["form"]["reason"].value() == "Себебі бар."
    assert [message["To"] for message in mailbox.messages] == ["publisher@example.kz"] * 2 + ["lawyer@example.kz"] * 2
    assert [message["Content-Language"] for message in mailbox.messages] == ["kk", "ru"] * 2
    assert all(message["Subject"].strip().startswith("[") for message in mailbox.messages)
    assert len({message["Subject"] for message in mailbox.messages}) == 2
    assert len({message["Message-ID"] for message in mailbox.messages}) == 4
    assert len({message.get_body(("plain",)).get_content() for message in mailbox.messages}) == 2
    assert Edition.objects.drafts().exists()


def test_a_test_mail_that_is_refused_names_whose_it_was_and_who_got_theirs(publisher, django_user_model, monkeypatch):
    edition = factories.draft()
    people = [django_user_model.objects.create_user(name, f"{name}@example.kz", is_staff=True) for name in "ab"]
    sent: list[str] = []

    def send(channel: object, delivery: object, address: str, text: object) -> None:
        if address.startswith("b"):
            raise Refused("SMTP 550")
        sent.append(address)

    monkeypatch.setattr("agreement.notices.channels.EmailChannel.send", send)
    form = question(publisher, edition) | {"test_to": [person.pk for person in people]}
    page = words(publisher.post(at("edition_test_mail", edition.pk), form))
    assert "were sent to a@example.kz. No test e-mail was sent to b@example.kz: SMTP 550." in page
    assert sent == ["a@example.kz"] * 2


def test_a_test_mail_of_which_only_the_russian_one_is_refused_says_that_the_other_was_sent(
    publisher, django_user_model, monkeypatch
):
    edition = factories.draft()
    person = django_user_model.objects.create_user("a", "a@example.kz", is_staff=True)

    def send(channel: object, delivery: object, address: str, text: Any) -> None:
        if text.language == "ru":
            raise Refused("SMTP 452")

    monkeypatch.setattr("agreement.notices.channels.EmailChannel.send", send)
    form = question(publisher, edition) | {"test_to": [person.pk]}
    page = words(publisher.post(at("edition_test_mail", edition.pk), form))
    assert "The test e-mail in Kazakh was sent to a@example.kz. The one in Russian was not sent: SMTP 452." in page
    assert "No test e-mail" not in page


def test_test_mails_are_those_of_the_page_that_asks_for_them_or_none(publisher, django_user_model, settings):
    mail_by(settings, "django.core.mail.backends.locmem.EmailBackend")
    django_user_model.objects.update(email="publisher@example.kz")
    later = timezone.now() + timedelta(days=30)
    draft = factories.draft()
    asked = question(publisher, draft) | {"test_to": [django_user_model.objects.first().pk]}
    draft.publish(effective_from=later)
    answer = publisher.post(at("edition_test_mail", draft.pk), asked)
    assert answer.status_code == 409
    assert "is published already" in words(answer), "no cancellation is sent from the page of publication"

    asked = {"digest": draft.digest, "reason": "Қате.", "test_to": asked["test_to"]}
    draft.cancel()
    answer = publisher.post(at("edition_test_mail", draft.pk), asked)
    assert answer.status_code == 409
    assert "can't be cancelled: it is" in words(answer)
    assert mail.outbox == []


def test_the_page_of_cancellation_says_who_is_told_when_and_what(publisher, django_user_model, settings):
    mail_by(settings, "django.core.mail.backends.locmem.EmailBackend")
    django_user_model.objects.update(email="publisher@example.kz")
    factories.users(4)
    first = factories.published()
    edition = factories.published(effective_from=timezone.now() + timedelta(days=30))
    there = at("edition_cancel", edition.pk)
    assert "A new draft from the cancelled edition copies it." in words(publisher.get(there))
    assert "Nobody will be notified of the cancellation" in words(publisher.get(there))
    dispatch.work()
    first_notice, notice = first.notices.get(), edition.notices.get()
    assert first_notice.progress.get().reasons == {"skipped": {"overtaken by edition 2": 5}}
    Progress.objects.filter(notice=notice).update(sent=5, waiting=2)

    answer = publisher.get(there)
    page = words(answer)
    assert "e-mail 5 2 If you cancel the edition now, the first message about it will be sent on" in page
    assert "Messages about earlier editions that this one replaced: 5." in page
    assert "This can't be undone." in page
    (_code, subject, text), (_ru, _subject, russian) = answer.context["previews"]
    assert subject
    assert text != russian
    for address in re.findall(r'src="([^"]*preview/cancellation/[^"]*)"', answer.content.decode()):
        assert publisher.get(address).status_code == 200
    assert publisher.get(at("edition_preview", factories.draft().pk, "cancellation", "kk")).status_code == 404

    mail.outbox.clear()
    asked = {"digest": edition.digest, "reason": "Қате.", "test_to": [django_user_model.objects.first().pk]}
    tested = publisher.post(at("edition_test_mail", edition.pk), asked)
    assert "Test e-mails in Kazakh and in Russian were sent to publisher@example.kz." in words(tested)
    # The letter names the moment of the cancellation, to the second.
    assert [message.body[:40] for message in mail.outbox] == [text[:40], russian[:40]]
    assert tested.context["form"]["reason"].value() == "Қате."
    edition.refresh_from_db()
    assert edition.cancelled_at is None


def test_the_page_of_cancellation_counts_who_read_of_the_edition_before_any_letter(publisher, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "ACCEPT_ANNOUNCED": True}
    reader, one, two, _other = factories.users(4)
    factories.published()
    edition = factories.published(effective_from=timezone.now() + timedelta(days=30))
    Notice.objects.mark_read(reader, [edition.notices.get()], at=timezone.now() - timedelta(seconds=1))
    for user in (one, two):
        Acceptance.objects.record(
            user=user, edition=edition, digest=edition.digest, language="ru", kind=AcceptanceKind.EXPLICIT
        )
    page = words(publisher.get(at("edition_cancel", edition.pk)))
    assert "e-mail 3 0 If you cancel the edition now" in page
    edition.cancel()
    cancellation = edition.notices.get(kind="cancelled")
    dispatch.fan_out(cancellation)
    assert cancellation.deliveries.count() == 3


def test_test_mails_are_offered_if_users_have_no_field_is_active(django_user_model, monkeypatch):
    user = django_user_model.objects.create_user("editor", email="editor@example.kz", is_staff=True)
    found = Options.get_field

    def get_field(options, name):
        if options.model is django_user_model and name == "is_active":
            raise FieldDoesNotExist
        return found(options, name)

    monkeypatch.setattr(Options, "get_field", get_field)
    assert staff_with_address(user) == {str(user.pk): (user, "editor@example.kz")}


def test_after_a_test_mail_the_page_still_publishes(publisher):
    factories.users(9)
    edition = factories.draft()
    page = publisher.post(at("edition_test_mail", edition.pk), question(publisher, edition)).content.decode()
    there = at("edition_publish", edition.pk)
    assert f'<form method="post" action="{there}"' in page


def test_a_test_mail_of_a_page_that_is_out_of_date_is_refused(publisher):
    edition = factories.draft()
    opened = question(publisher, edition)
    Edition.objects.filter(pk=edition.pk).update(summary_ru="Иначе")
    answer = publisher.post(at("edition_test_mail", edition.pk), opened)
    assert answer.status_code == 409
    assert "the page that you opened is outdated" in words(answer)


def test_only_a_publisher_sends_test_mails_and_of_nothing_in_force(publisher, author):
    edition = factories.draft()
    assert author.post(at("edition_test_mail", edition.pk), {}).status_code == 403
    assert publisher.get(at("edition_test_mail", edition.pk)).status_code == 405
    assert publisher.post(at("edition_test_mail", 999), {}).status_code == 403
    for posted in ({}, {"digest": "x"}):
        assert publisher.post(at("edition_test_mail", factories.published().pk), posted).status_code == 409


# Comparing


def test_a_draft_is_compared_with_the_edition_in_force_or_any_other(author):
    first = factories.published()
    factories.published(kk=factories.KK.replace("Екінші", "Басқа"))
    edition = factories.draft(notice_days=5)
    page = author.get(at("edition_changes", edition.pk))
    assert "Changed: 1 clause." in words(page)
    assert re.search(r"Days of notice 0 5|days of notice 0 5", words(page))
    assert "Nothing changed." in words(author.get(at("edition_changes", edition.pk), {"from": first.pk, "whole": "on"}))
    for unknown in ("x", "999", edition.pk):
        assert author.get(at("edition_changes", edition.pk), {"from": unknown}).status_code == 404
    assert author.get(at("edition_changes", 999)).status_code == 404
    assert "There is no edition to compare" in words(author.get(at("edition_changes", first.pk)))


def test_a_draft_has_the_instrument_that_amends_the_edition_in_force(author):
    first = factories.published()
    edition = factories.draft(kk=factories.KK.replace("Екінші", "Басқа"), ru=factories.RU.replace("Второй", "Другой"))
    address = at("edition_amendment", edition.pk)
    assert address in author.get(at("edition_change", edition.pk)).content.decode()

    page = words(author.get(address))

    assert "слово «Второй» заменить словом «Другой»." in page
    assert "«Екінші» деген сөз «Басқа» деген сөзбен ауыстырылсын." in page
    assert "2. Новая редакция вступает в силу с момента опубликования." in page
    assert "2. Жаңа редакция жарияланған сәттен бастап күшіне енеді." in page
    file = author.get(address, {"file": "kk"})
    assert file["Content-Disposition"] == 'attachment; filename="terms-amendment.kk.docx"'
    assert any("Басқа" in paragraph.text for paragraph in docx.Document(io.BytesIO(file.content)).paragraphs)
    assert author.get(address, {"file": "en"}).status_code == 404
    assert author.get(at("edition_amendment", 999)).status_code == 404
    assert "There is no edition to compare" in words(author.get(at("edition_amendment", first.pk)))
    assert "No word differs." in words(author.get(at("edition_amendment", factories.draft().pk)))


def test_who_may_not_view_editions_sees_no_instrument(django_user_model):
    edition = factories.draft()
    assert desk(django_user_model, name="nobody").get(at("edition_amendment", edition.pk)).status_code == 403


def test_revisions_are_compared_and_one_is_restored(author):
    with reversion.create_revision():
        edition = factories.draft()
    changed = written(edition, body_ru=factories.RU.replace("Второй", "Другой"), notice_days=3)
    author.post(at("edition_change", edition.pk), changed)
    new, old = Version.objects.get_for_object(edition)
    page = author.get(at("edition_compare", edition.pk), {"old": old.pk, "new": new.pk})
    assert re.search(r"(?s)<del>.{,200}Второй.{,200}<ins>.{,200}Другой", page.content.decode())
    assert at("edition_revision", edition.pk, old.pk) in page.content.decode()
    assert "They are the same." in words(author.get(at("edition_compare", edition.pk), {"old": new.pk}))
    assert at("edition_compare", edition.pk) in author.get(at("edition_history", edition.pk)).content.decode()
    other = factories.draft()
    for asked in ({}, {"old": "x"}, {"old": "9" * 30}, {"old": 999}):
        assert author.get(at("edition_compare", edition.pk), asked).status_code == 404
    assert author.get(at("edition_compare", other.pk), {"old": old.pk}).status_code == 404


def test_a_list_of_editions_to_choose_from_reads_none_of_their_words(author):
    factories.published()
    edition = factories.draft()
    for there in (at("edition_add"), at("edition_changes", edition.pk)):
        with CaptureQueriesContext(connection) as captured:
            assert author.get(there).status_code == 200
        lists = [query["sql"] for query in captured if '"agreement_edition"."number"' in query["sql"]]
        lists = [sql for sql in lists if "LIMIT" not in sql and '"effective_from" =' not in sql]
        assert lists
        assert not [sql for sql in lists if '"body' in sql.partition(" FROM ")[0]]


def test_a_list_of_revisions_reads_none_of_their_words(author):
    with reversion.create_revision():
        edition = factories.draft()
    with CaptureQueriesContext(connection) as captured:
        assert author.get(at("edition_history", edition.pk)).status_code == 200
    assert any("reversion_version" in query["sql"] for query in captured)
    assert not any("serialized_data" in query["sql"] for query in captured)


def test_what_is_published_is_compared_and_never_offered_for_restoring(author):
    with reversion.create_revision():
        edition = factories.draft()
    version = Version.objects.get_for_object(edition).get()
    edition.publish()
    page = author.get(at("edition_compare", edition.pk), {"old": version.pk})
    assert page.status_code == 200
    assert at("edition_revision", edition.pk, version.pk) not in page.content.decode()


def test_a_correction_begins_with_the_edition_in_force(author):
    edition = factories.published()
    page = author.get(at("edition_change", edition.pk))
    assert "Publish a correction…" in words(page)
    assert f"{at('edition_add')}?edition={edition.pk}" in page.content.decode()


def test_the_state_and_the_moments_of_every_edition_stand_on_one_page(publisher, author, django_assert_max_num_queries):
    factories.published()
    scheduled = factories.published(effective_from=timezone.now() + timedelta(days=1))
    factories.published(effective_from=timezone.now() + timedelta(days=2)).cancel()
    factories.draft()
    there = at("agreement_change", scheduled.agreement_id)
    client = desk(get_user_model(), *AUTHOR, "view_agreement", name="both")
    with django_assert_max_num_queries(12):
        answer = client.get(there)
    states = [moment.state for moment in answer.context["timeline"]]
    assert states == [State.DRAFT, State.CANCELLED, State.SCHEDULED, State.IN_FORCE]
    page = words(answer)
    assert "terms, edition 1" in page
    assert "New draft" in page
    for _more in range(20):
        factories.draft()
    with django_assert_max_num_queries(12):
        client.get(there)


# How many users are notified, and by when


def test_the_page_counts_the_recipients_by_language_without_those_who_have_no_address(publisher, django_user_model):
    edition = factories.draft()
    users = factories.users(12, languages=("kk", "ru", "ru"))
    django_user_model.objects.filter(pk=users[0].pk).update(email="")
    django_user_model.objects.filter(pk=users[1].pk).update(email="not an@address")
    page = words(publisher.get(at("edition_publish", edition.pk)))
    assert "e-mail Kazakh 3 e-mail Russian 7 e-mail Kazakh and Russian 0" in page
    assert "Users with an address to which the notice can be sent: 10 of 13. 3 users will see the notice on the" in page
    assert "Users to whom the notice is sent by then" not in page, "it takes effect at once"


def test_of_many_users_the_page_takes_the_numbers_of_the_last_notice_and_counts_nobody(publisher, monkeypatch):
    monkeypatch.setattr("agreement.notices.forecast.COUNTED_UP_TO", 5)
    edition = factories.draft()
    factories.users(9)
    there = at("edition_publish", edition.pk)
    page = words(publisher.get(f"{there}?count"))
    assert "e-mail Kazakh 3 e-mail Russian 3 e-mail Kazakh and Russian 3" in page, "there is no last notice"
    assert "Users whose language is known (e-mail): 6 of 9." in page

    for slug, sent in (("first", 100), ("unwritten", 7), ("cancelled", 8)):
        notice = factories.published(slug=slug, effective_from=timezone.now() + timedelta(days=30)).notices.get()
        notice.progress.create(channel="email", sent=sent)
        Notice.objects.filter(pk=notice.pk).update(fanned_out_at=None if slug == "unwritten" else timezone.now())
        if slug == "first":
            last = factories.published(slug="other").notices.get()
            Notice.objects.filter(pk=last.pk).update(fanned_out_at=timezone.now())
        if slug == "cancelled":
            notice.edition.cancel()
    reasons = {"skipped": {"no address": 900, "invalid address": 100, "inactive": 50}}
    last.progress.create(channel="email", sent=9_000, failed=1, skipped=1_050, reasons=reasons)
    with CaptureQueriesContext(connection) as captured:
        page = words(publisher.get(at("edition_publish", edition.pk)))
    assert "e-mail all about 9,051, as of the last notice" in page
    said = "Users with an address to which the notice can be sent: 9,051 of 10,051. 1,000 users will see the notice on"
    assert said in page
    counts = [query["sql"] for query in captured if "COUNT(" in query["sql"] and "auth_user" in query["sql"]]
    assert all("LIMIT" in sql for sql in counts)


def test_of_many_users_the_page_has_no_button_before_they_are_counted(publisher, monkeypatch):
    monkeypatch.setattr("agreement.notices.forecast.COUNTED_UP_TO", 5)
    edition = factories.draft()
    factories.users(9)
    there = at("edition_publish", edition.pk)
    with CaptureQueriesContext(connection) as captured:
        page = publisher.get(there)
    counts = [query["sql"] for query in captured if "COUNT(" in query["sql"] and "auth_user" in query["sql"]]
    assert all("LIMIT" in sql for sql in counts), counts
    assert "The number of users who will be notified is not known yet, because no notice was sent." in words(page)
    assert "Before you publish" not in words(page)
    assert 'value="Publish"' not in page.content.decode()
    assert '<a class="button" href="?count">Count the users, then publish</a>' in page.content.decode()

    counted = publisher.get(f"{there}?count")
    assert "Users to be notified by e-mail: 9." in words(counted)
    assert 'value="Publish"' in counted.content.decode()
    refused = publisher.post(there, question(publisher, edition, confirmation=""))
    assert refused.status_code == 400
    assert "Users to be notified by e-mail: 9." in words(refused)


@pytest.mark.parametrize(
    ("moment", "field", "sentence"),
    [
        ({"date": "2020-03-01", "time": "09:00"}, "date", "2020, 09:00 (Astana time, UTC+6) is in the past:"),
        ({"date": "9999-03-01", "time": "09:00"}, "date", "Enter a date within the next ten years."),
        ({"date": "2020-03-01"}, "time", "Enter the date and the time."),
        ({"date": "x", "time": "09:00"}, "date", "Enter a valid date."),
    ],
)
def test_the_page_states_at_once_what_is_wrong_with_a_moment(publisher, author, moment, field, sentence):
    edition = factories.draft()
    there = at("edition_publish", edition.pk)
    answer = publisher.get(there, {"when": "at"} | moment).json()
    assert list(answer) == ["errors"]
    assert list(answer["errors"]) == [field]
    [stated] = answer["errors"][field]
    assert sentence in stated
    page = words(publisher.post(there, question(publisher, edition, when="at", **{"time": ""} | moment)))
    assert " ".join(stated.split()) in page
    later = (timezone.now() + timedelta(days=40)).date().isoformat()
    assert publisher.get(there, {"when": "at", "date": later, "time": "09:00"}).json()["errors"] == {}
    assert author.get(there, {"when": "at"} | moment).status_code == 403


def test_the_parts_of_the_page_for_another_moment_are_those_of_a_page_displayed_with_it(publisher):
    """And their letter is the one that is published."""
    factories.published(notice_days=5)
    edition = factories.draft(grace_days=3, summary_kk="Бір", summary_ru="Раз")
    there = at("edition_publish", edition.pk)
    later = {"when": "at", "date": f"{timezone.now().year + 1}-03-01", "time": "09:00"}
    page = publisher.get(there).content.decode()
    answer = publisher.get(there, later | {"count": ""}).json()
    assert {f'id="{name}"' in page for name in answer["parts"].keys() - {"agreement-accept-by"}} == {True}
    for name, says in {
        "agreement-accept-by": "ends: .",
        "agreement-forecast": "This is before the edition takes effect: 1 March",
        "agreement-letters": f"preview/mail/ru/?at={later['date']}T09",
        "agreement-last-words": "It takes effect on 1 March",
        "agreement-publish": 'value="Publish"',
    }.items():
        assert says in " ".join(html.unescape(answer["parts"][name]).split()), name
    now = publisher.get(there, {"when": "now", "count": ""}).json()
    assert now["letter"] == ""
    assert "as soon as you publish it" in " ".join(now["parts"]["agreement-last-words"].split())
    assert publisher.get(there, later | {"when": "now"}).json()["errors"].keys() == {"when"}
    sent = question(publisher, edition, **later) | {"letter": answer["letter"]}
    assert publisher.post(there, sent).url == at("edition_change", edition.pk)


def test_on_a_large_site_other_staff_are_listed_when_the_publisher_asks(publisher, django_user_model, monkeypatch):
    monkeypatch.setattr("agreement.admin.editions.decision.COUNTED_UP_TO", 5)
    edition = factories.draft()
    django_user_model.objects.update(email="publisher@example.kz")
    lawyer = django_user_model.objects.create_user("lawyer", "lawyer@example.kz", is_staff=True)
    factories.users(4)
    me = django_user_model.objects.get(username="publisher")
    there, button = at("edition_publish", edition.pk), "Choose other members of the staff"
    with CaptureQueriesContext(connection) as captured:
        page = publisher.get(there)
    assert list(page.context["tests"].people) == [str(me.pk)]
    assert button in words(page)
    assert not [query for query in captured if "is_staff" in query["sql"].partition("WHERE")[2]]

    listed = publisher.post(
        at("edition_test_mail", edition.pk), question(publisher, edition, reason="Себебі бар.") | {"list_staff": "1"}
    )
    assert list(listed.context["tests"].people) == [str(me.pk), str(lawyer.pk)]
    assert listed.context["form"]["reason"].value() == "Себебі бар."
    assert button not in words(listed)
    assert mail.outbox == []


def test_the_page_forecasts_when_sending_begins_and_ends_and_who_is_notified_in_time(publisher, settings):
    settings.AGREEMENT = {
        **settings.AGREEMENT,
        "RATE_LIMITS": {"email": ("60/h",)},
        "NOTICE_DELAY": timedelta(minutes=10),
    }
    factories.published(notice_days=1)
    factories.users(89)
    edition = factories.draft()
    page = words(publisher.get(at("edition_publish", edition.pk)))
    assert "If you publish now, the first message will be sent" in page
    assert "Sending by e-mail is expected to end" in page
    assert "This is before the edition takes effect" in page
    assert "Users to whom the notice is sent by then: 89 of 90." in page, "the publisher has no address"
    assert re.search(r"sent at least one full day before the edition takes effect: \d+ of 90\.", page)
    soon = (timezone.now() + timedelta(days=1, hours=1)).astimezone(ZoneInfo(edition.agreement.time_zone))
    asked = question(publisher, edition, when="at", date=soon.date().isoformat(), time=f"{soon:%H:%M}", confirmation="")
    page = words(publisher.post(at("edition_publish", edition.pk), asked))
    words_of_forecast = (
        r"sent by then: 89 of 90\. Users to whom the notice is sent at least one full day before the edition takes"
        r" effect: (49|5\d) of 90\."
    )
    assert re.search(words_of_forecast, page), page


def test_the_page_counts_unsent_messages_that_the_notice_replaces(publisher):
    faulty = factories.published()
    faulty.notices.get().progress.create(channel="email", waiting=12)
    page = words(publisher.get(at("edition_publish", factories.draft().pk)))
    assert (
        "Messages about earlier editions that were not sent: 12. This notice replaces them. It also contains the"
        in page
    )
    assert "If one of them is wrong, say so in the new description." in page
