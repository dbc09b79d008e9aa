"""An author marks a draft as ready to publish, and a publisher sends it back."""

from __future__ import annotations

import html
from datetime import timedelta

import pytest
from django.utils import timezone

from agreement.models import AuditEntry, Edition, HandOver
from tests.admin.test_editions import AUTHOR, PUBLISHER, at, desk, written
from tests.support import factories
from tests.support.smtp_server import mail_by

pytestmark = pytest.mark.django_db


@pytest.fixture
def author(django_user_model):
    client = desk(django_user_model, *AUTHOR, name="author")
    django_user_model.objects.filter(username="author").update(email="author@example.kz")
    return client


@pytest.fixture
def publisher(django_user_model):
    client = desk(django_user_model, *PUBLISHER, name="publisher")
    django_user_model.objects.filter(username="publisher").update(email="publisher@example.kz")
    return client


def page(client, name, draft, **answers: str):
    """Open a page about the hand-over and, if there are answers, post it with them."""
    there = at(f"edition_{name}", draft.pk)
    opened = client.get(there)
    if not answers:
        return opened
    assert opened.status_code == 200
    return client.post(there, {"draft": opened.context["form"]["draft"].value()} | answers, follow=True)


def test_a_draft_marked_as_ready_is_mailed_to_publishers_and_displayed(author, publisher, mailoutbox):
    draft = factories.draft()
    done = page(author, "hand_over", draft, note="Пункт 1.2 согласован.")
    assert "Done: ready to publish. E-mails sent: 1." in done.content.decode()
    (letter,) = mailoutbox
    assert letter.to == ["publisher@example.kz"]
    for words in ("Готово к публикации", "Жариялауға дайын", "Пункт 1.2 согласован.", f"/{draft.pk}/change/"):
        assert words in f"{letter.subject}\n{letter.body}"
    assert [entry.action for entry in AuditEntry.objects.about(draft)][:1] == ["ready"]
    assert "Пункт" not in "".join(AuditEntry.objects.values_list("note", flat=True))
    shown = publisher.get(at("edition_change", draft.pk)).content.decode()
    assert "Пункт 1.2 согласован." in shown
    assert at("edition_send_back", draft.pk) in shown
    for state, count in (("ready", 1), ("returned", 0)):
        rows = publisher.get(at("edition_changelist"), {"hand_over": state}).context["cl"].result_count
        assert rows == count


def test_a_draft_sent_back_has_the_remark_until_the_next_hand_over(author, publisher, mailoutbox):
    draft = factories.draft()
    page(author, "hand_over", draft, note="Дайын.")
    assert page(publisher, "send_back", draft, note="").status_code == 400
    page(publisher, "send_back", draft, note="Исправьте 1.2.")
    assert [letter.to for letter in mailoutbox] == [["publisher@example.kz"], ["author@example.kz"]]
    assert "Исправьте 1.2." in mailoutbox[1].body
    there = at("edition_change", draft.pk)
    assert "Исправьте 1.2." in author.get(there).content.decode()
    author.post(there, written(Edition.objects.get(), summary_ru="Исправлено."))
    assert "Исправьте 1.2." in author.get(there).content.decode()
    page(author, "hand_over", draft, note="Исправлено.")
    assert HandOver.objects.get().state == "ready"
    assert "Исправьте 1.2." not in author.get(there).content.decode()


def test_the_log_states_that_there_was_a_note_and_does_not_repeat_it(author, publisher, django_user_model):
    draft = factories.draft()
    page(author, "hand_over", draft, note="")
    page(publisher, "send_back", draft, note="Исправьте 1.2.")
    reader = desk(django_user_model, "view_auditentry", name="reader")
    shown = reader.get(at("auditentry_changelist")).content.decode()
    assert shown.count("with a note, which the page of the draft displays until the next step") == 1
    assert "Исправьте" not in shown


def test_a_changed_draft_is_no_longer_ready(author):
    draft = factories.draft()
    page(author, "hand_over", draft, note="Дайын.")
    there = at("edition_change", draft.pk)
    author.post(there, written(draft))
    assert HandOver.objects.exists()
    answer = author.post(there, written(draft, summary_kk="Жаңа."), follow=True)
    assert "no longer marked as ready" in answer.content.decode()
    assert not HandOver.objects.exists()


def test_a_draft_that_is_recorded_as_history_has_no_hand_over(author):
    draft = factories.draft()
    page(author, "hand_over", draft, note="Дайын.")
    draft.record(effective_from=timezone.now() - timedelta(days=9))
    assert not HandOver.objects.exists()


def test_nothing_is_handed_over_twice_or_unread(author, publisher, mailoutbox):
    draft = factories.draft()
    opened = page(author, "hand_over", draft)
    answers = {"draft": opened.context["form"]["draft"].value(), "note": ""}
    Edition.objects.filter(pk=draft.pk).update(summary_ru="Чужое.")
    there = at("edition_hand_over", draft.pk)
    assert author.post(there, answers).status_code == 409
    page(author, "hand_over", draft, note="Дайын.")
    answer = author.post(there, answers, follow=True)
    assert "Nothing was done again." in answer.content.decode()
    assert len(mailoutbox) == 1
    Edition.objects.get().publish()
    assert not HandOver.objects.exists()
    for client, name in ((author, "hand_over"), (publisher, "send_back")):
        assert page(client, name, draft).status_code == 409


def test_only_authors_hand_over_and_only_publishers_send_back(author, publisher):
    draft = factories.draft()
    assert page(publisher, "hand_over", draft).status_code == 403
    assert page(author, "send_back", draft).status_code == 403
    answer = page(publisher, "send_back", draft)
    assert answer.status_code == 409
    assert "not marked as ready" in html.unescape(answer.content.decode())


def test_a_draft_with_errors_is_not_handed_over(author):
    draft = factories.draft(body_ru=factories.RU + "\n1.3. Лишний.\n")
    answer = page(author, "hand_over", draft)
    assert answer.status_code == 409
    assert "can't be published" in html.unescape(answer.content.decode())


def test_the_author_reads_what_the_publisher_must_accept(author, settings, tmp_path):
    (tmp_path / "page.html").write_text('{% agreement_clause "7.7" "terms" %}')
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    draft = factories.draft()
    sentence = "Pages of the site quote 7.7 of this text (page.html), but the text has no such number."
    shown = page(author, "hand_over", draft)
    assert [finding.sentence for finding in shown.context["findings"]] == [sentence]
    assert sentence in html.unescape(shown.content.decode())
    typed = {"body_kk": draft.body_kk, "body_ru": draft.body_ru}
    checked = author.post(at("edition_check", draft.pk), typed).json()
    assert [message["id"] for message in checked["messages"]] == ["agreement.L052"]


def test_a_mail_that_fails_loses_no_hand_over(author, publisher, django_user_model, settings):
    mail_by(settings, "tests.support.no_backend")
    draft = factories.draft()
    done = page(author, "hand_over", draft, note="Дайын.")
    assert "E-mails that could not be sent: 1." in done.content.decode()
    assert HandOver.objects.get().state == "ready"


@pytest.mark.parametrize("other", ["nobody", "without an address"])
def test_a_page_without_recipients_states_that_nobody_is_mailed(django_user_model, other, mailoutbox):
    own = desk(django_user_model, *AUTHOR, *PUBLISHER, name="own")
    if other != "nobody":
        desk(django_user_model, *PUBLISHER, name="unreachable")
    draft = factories.draft()
    asked = page(own, "hand_over", draft).content.decode()
    assert "Nobody will get an e-mail: there is no other publisher with an e-mail address." in asked
    assert "The e-mail will be sent to:" not in asked
    done = page(own, "hand_over", draft, note="").content.decode()
    assert "No e-mail was sent: there is no other publisher with an e-mail address." in done
    asked = page(own, "send_back", draft).content.decode()
    assert "Nobody will get an e-mail: the person who marked the draft has no e-mail address." in asked
    done += page(own, "send_back", draft, note="1.2").content.decode()
    assert "No e-mail was sent: the person who marked the draft has no e-mail address." in done
    assert "could not be sent" not in done
    assert mailoutbox == []


def test_the_language_of_each_publisher_decides(author, publisher, django_user_model, settings, mailoutbox):
    settings.AGREEMENT = {**settings.AGREEMENT, "USER_LANGUAGE": "last_name"}
    django_user_model.objects.filter(username="publisher").update(last_name="kk")
    page(author, "hand_over", factories.draft(), note="Дайын.")
    assert mailoutbox[0].subject.startswith("Жариялауға дайын: ")
    assert "Готово" not in mailoutbox[0].body


def test_four_eyes_holds_after_a_hand_over(author, publisher, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "FOUR_EYES": True}
    draft = factories.draft()
    author.post(at("edition_change", draft.pk), written(draft, summary_kk="Жаңа.", summary_ru="Новое."))
    page(author, "hand_over", draft, note="Дайын.")
    page(publisher, "send_back", draft, note="Жоқ.")
    assert AuditEntry.objects.last_author(draft).by == "author"
