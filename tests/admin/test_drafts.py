"""Writing a draft: live findings, the autosave slot, and two people on one draft."""

from __future__ import annotations

import html
import re

import pytest
import reversion
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from agreement.admin.base import moment
from agreement.admin.editions.draft import LIVE_BYTES
from agreement.admin.editions.fields import fingerprint
from agreement.models import AuditEntry, Autosave, Edition
from tests.admin.test_editions import AUTHOR, PUBLISHER, at, desk, written
from tests.support import factories

pytestmark = pytest.mark.django_db


def saved(author, **changed: object) -> Edition:
    """A draft with a revision of its first wording, as the desk leaves it."""
    edition = factories.draft()
    author.post(at("edition_change", edition.pk), written(edition, **changed))
    return Edition.objects.get(pk=edition.pk)


@pytest.mark.parametrize(
    ("field", "above", "stored"),
    [
        ("", "УТВЕРЖДЕНО\n\nприказом № 8", "Утверждено приказом № 8"),
        ("Утверждено приказом № 7", "УТВЕРЖДЕНО\n\nприказом № 8", "Утверждено приказом № 8"),
        ("Утверждено приказом № 7", "г. Алматы", "Утверждено приказом № 7"),
        ("Утверждено директором", "УТВЕРЖДЕНО\n\nприказом № 8", "Утверждено директором"),
    ],
)
def test_the_approval_above_the_title_is_stored_unless_the_author_wrote_another(author, field, above, stored):
    edition = factories.draft(ru=f"УТВЕРЖДЕНО\n\nприказом № 7\n\n{factories.RU}", approval_ru="Утверждено приказом № 7")
    changed = {"body_ru": f"{above}\n\n{factories.RU}", "approval_ru": field}
    author.post(at("edition_change", edition.pk), written(edition, **changed))
    edition.refresh_from_db()
    assert edition.approval_ru == stored
    assert not edition.approval_kk


# Live findings


def test_unsaved_text_is_rendered_and_checked_at_its_line_in_the_readers_language(author):
    edition = factories.draft()
    typed = {"body_kk": factories.KK, "body_ru": factories.RU + "\n1.3. См. пункт 9.9.\n"}
    for language, words in (("kk", "Тек орысша мәтінде бар"), ("ru", "Есть только в тексте на русском")):
        answer = author.post(at("edition_check", edition.pk, language=language), typed).json()
        lonely = next(message for message in answer["messages"] if message["id"] == "agreement.L004")
        assert (lonely["language"], lonely["clause"], lonely["line"], lonely["severity"]) == ("ru", "1.3", 9, "error")
        assert words in lonely["sentence"]
    assert (lonely["place"], lonely["lines"]) == ("Русский, 1.3", [9])
    assert {"number": "1.2", "label": "1.2.", "line": 7, "kind": "clause"} in answer["texts"]["kk"]["units"]
    assert 'id="1.3"' in answer["texts"]["ru"]["html"]
    assert Edition.objects.get().body_ru == factories.RU


def test_what_an_unsaved_draft_states_is_compared_with_its_text(author):
    factories.published(notice_days=10)
    edition = factories.draft()
    sentence = "Об изменениях уведомляют за десять дней до вступления в силу."
    typed = {"body_kk": factories.KK, "body_ru": factories.RU.replace("Второй пункт.", sentence)}
    for days, expected in (("10", set()), ("0", {"agreement.L036", "agreement.L039"}), ("", set()), ("many", set())):
        answer = author.post(at("edition_check", edition.pk), {**typed, "notice_days": days}).json()
        found = {message["id"] for message in answer["messages"]} & {"agreement.L036", "agreement.L039"}
        assert found == expected, days


def test_unsaved_text_is_compared_with_the_edition_in_force(author):
    factories.published()
    edition = factories.draft()
    typed = {"body_kk": factories.KK.replace("Екінші", "Өзге"), "body_ru": factories.RU, "changes": "1"}
    answer = author.post(at("edition_check", edition.pk), typed).json()
    assert answer["changes"]["kk"]["summary"] == "Changed: 1 clause."
    assert re.search(r"<ins>.*Өзге.*</ins>", " ".join(answer["changes"]["kk"]["html"].split()))
    assert answer["changes"]["ru"]["summary"] == "Nothing changed."


def test_a_host_that_types_html_sees_it_as_text(author):
    edition = factories.draft()
    answer = author.post(
        at("edition_check", edition.pk), {"body_kk": "# А\n\n<script>alert(1)</script>", "body_ru": ""}
    )
    assert "<script" not in answer.json()["texts"]["kk"]["html"]
    assert answer["Content-Type"] == "application/json"


def test_a_text_too_long_to_check_gets_a_sentence_that_says_so(author):
    edition = factories.draft()
    answer = author.post(at("edition_check", edition.pk), {"body_kk": "я" * LIVE_BYTES})
    assert answer.status_code == 413
    assert "too long" in answer.json()["sentence"]


@pytest.mark.parametrize("page", ["check", "autosave"])
def test_only_who_may_write_the_draft_asks_and_only_with_the_forms_token(django_user_model, author, page):
    draft, published = factories.draft(), factories.published()
    there = at(f"edition_{page}", draft.pk)
    assert author.get(there).status_code == 405
    for key, word in ((published.pk, "published"), (999, "deleted")):
        answer = author.post(at(f"edition_{page}", key), {"body_kk": "# А"})
        assert answer.status_code == 409
        assert f"because this draft was {word} in the meantime. Click Save" in answer.json()["sentence"]
    assert desk(django_user_model, *PUBLISHER, name="publisher").post(there, {}).status_code == 403
    author.handler.enforce_csrf_checks = True
    assert author.post(there, {}).status_code == 403


def test_checking_costs_the_same_whatever_the_text_and_writes_nothing(author):
    edition = factories.draft()
    with CaptureQueriesContext(connection) as captured:
        author.post(at("edition_check", edition.pk), {"body_kk": factories.KK, "body_ru": factories.RU})
    assert len(captured) <= 8
    assert not [query["sql"] for query in captured if not query["sql"].startswith("SELECT")]


# The slot


def test_unsaved_text_is_stored_in_one_slot_per_author_and_draft(author, django_user_model):
    edition = factories.draft()
    there = at("edition_autosave", edition.pk)
    for text in ("# А", "# Б\r\n\r\n1.1. В."):
        assert author.post(there, {"body_kk": text, "token": fingerprint(edition)}).status_code == 200
    slot = Autosave.objects.get()
    assert slot.fields == {"body_kk": "# Б\n\n1.1. В."}
    assert Edition.objects.get().body_kk == factories.KK

    page = author.get(at("edition_change", edition.pk)).content.decode()
    assert "You have unsaved text here" in page
    again = author.get(at("edition_change", edition.pk) + "?autosave").context["adminform"].form
    assert again["body_kk"].value() == "# Б\n\n1.1. В."
    other = desk(django_user_model, *AUTHOR, name="other")
    assert "You have unsaved text" not in other.get(at("edition_change", edition.pk)).content.decode()


@pytest.mark.parametrize(
    ("text", "status", "says"),
    [("# А\0", 400, "contains the character NUL. Delete it."), ("я" * 60, 413, "too long")],
    ids=["NUL", "too long"],
)
def test_a_text_that_can_not_be_stored_temporarily_gets_a_sentence_that_says_why(
    author, text, status, says, monkeypatch
):
    monkeypatch.setattr("agreement.text.source.MAX_BYTES", 100)
    edition = factories.draft()
    answer = author.post(at("edition_autosave", edition.pk), {"body_kk": text})
    assert answer.status_code == status
    assert says in answer.json()["sentence"]
    assert not Autosave.objects.exists()


def test_what_the_edition_states_is_stored_unsaved_too(author):
    edition = factories.draft()
    there = at("edition_autosave", edition.pk)
    typed = {"notice_days": "7", "grace_days": "14", "retention_years": "3", "prevailing_language": "kk"}
    author.post(there, {"token": fingerprint(edition)} | typed)
    assert "You have unsaved text here" in author.get(at("edition_change", edition.pk)).content.decode()
    form = author.get(at("edition_change", edition.pk) + "?autosave").context["adminform"].form
    assert {name: str(form[name].value()) for name in typed} == typed
    assert form["material"].value() is False  # As a browser sends a box without a tick: not at all.
    stated = {name: getattr(edition, name) for name in typed} | {"material": "on"}
    author.post(there, {"token": fingerprint(edition)} | stated)
    assert "You have unsaved text here" not in author.get(at("edition_change", edition.pk)).content.decode()


def test_a_save_empties_the_slot_and_so_does_discarding(author):
    edition = factories.draft()
    there = at("edition_autosave", edition.pk)
    author.post(there, {"body_kk": "# А"})
    author.post(at("edition_change", edition.pk), written(edition))
    assert not Autosave.objects.exists()
    author.post(there, {"body_kk": "# А"})
    assert author.post(there, {"discard": "1"}).json() == {}
    assert not Autosave.objects.exists()


def test_unsaved_text_older_than_another_save_is_a_conflict(author, django_user_model):
    edition = saved(author)
    author.post(at("edition_autosave", edition.pk), {"body_kk": "# Менің", "token": fingerprint(edition)})
    other = desk(django_user_model, *AUTHOR, name="other")
    assert other.post(at("edition_change", edition.pk), written(edition, body_kk="# Оның")).status_code == 302
    form = author.get(at("edition_change", edition.pk) + "?autosave").context["adminform"].form
    mine = written(edition, body_kk="# Менің", token=form["token"].value())
    assert author.post(at("edition_change", edition.pk), mine).status_code == 409
    assert Edition.objects.get().body_kk == "# Оның"


def test_unsaved_text_is_displayed_after_the_draft_was_published(author, django_user_model):
    edition = factories.draft()
    kept = {"body_kk": "# Менің үлкен жұмысым", "body_ru": factories.RU, "notice_days": "9"}
    author.post(at("edition_autosave", edition.pk), kept)
    edition.publish()
    there = at("edition_change", edition.pk)
    page = author.get(there).content.decode()
    assert "Your unsaved text" in page
    assert page.count("<textarea") == 1
    assert "# Менің үлкен жұмысым" in page
    other = desk(django_user_model, *AUTHOR, name="other")
    assert "Менің" not in other.get(there).content.decode()
    assert other.post(at("edition_autosave", edition.pk), {"discard": "1"}).status_code == 200
    assert Autosave.objects.exists()
    done = author.post(at("edition_autosave", edition.pk), {"discard": "page"}, follow=True)
    assert done.request["PATH_INFO"] == there
    assert "Your unsaved text" not in done.content.decode()


# Two people on one draft


def combine(answer, **answers: str) -> dict[str, str]:
    """What the page of a conflict posts: its hidden fields and the answers."""
    assert answer.status_code == 409
    return dict(answer.context["conflict"].hidden) | {"_save": ""} | answers


def test_the_second_save_asks_only_about_what_both_changed(author, django_user_model):
    edition = saved(author)
    other = desk(django_user_model, *AUTHOR, name="other")
    there = at("edition_change", edition.pk)
    mine = written(edition, body_kk=factories.KK.replace("Екінші", "Менің"), summary_ru="Моё.")
    theirs = written(
        edition,
        body_kk=factories.KK.replace("Екінші", "Оның"),
        body_ru=factories.RU.replace("Второй", "Его"),
        notice_days=7,
    )
    assert other.post(there, theirs).status_code == 302
    before = AuditEntry.objects.count()

    answer = author.post(there, mine)

    assert answer.status_code == 409
    page = html.unescape(answer.content.decode())
    assert "Somebody saved this draft while you were writing." in page
    assert "The last save: other," in page
    (choice,) = answer.context["conflict"].choices
    assert (choice.label, choice.theirs, choice.mine) == (
        "Text in Kazakh: 1.2. Менің тармақ.",
        "1.2. Оның тармақ.",
        "1.2. Менің тармақ.",
    )
    assert re.search(r"(?s)<mark>Оның</mark>.{,900}<mark>Менің</mark>", page)
    assert [(one.label, one.author) for one in answer.context["conflict"].merged] == [
        ("Text in Russian: 1.2. Его пункт.", "theirs"),
        ("What changed in Russian", "mine"),
        ("Days of notice", "theirs"),
    ]
    assert "Оның" in Edition.objects.get().body_kk
    assert AuditEntry.objects.count() == before

    assert "Choose a wording for each place." in author.post(there, combine(answer)).content.decode()
    assert author.post(there, combine(answer, merge_0="mine")).status_code == 302
    stored = Edition.objects.get()
    assert stored.body_kk == factories.KK.replace("Екінші", "Менің")
    assert stored.body_ru == factories.RU.replace("Второй", "Его")
    assert (stored.summary_ru, stored.notice_days) == ("Моё.", 7)
    assert not Autosave.objects.exists()


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"merge_0": "theirs"}, "1.2. Оның тармақ."),
        ({"merge_0": "hand", "merge_text_0": "1.2. Оның және менің.\r\n"}, "1.2. Оның және менің."),
        ({"merge_0": "both"}, None),
        ({"merge_0": "hand", "merge_text_0": "а\0"}, None),
    ],
)
def test_each_answer_saves_its_wording(author, django_user_model, answers, expected):
    edition = saved(author)
    there = at("edition_change", edition.pk)
    theirs = written(edition, body_kk=factories.KK.replace("Екінші", "Оның"))
    desk(django_user_model, *AUTHOR, name="other").post(there, theirs)
    asked = author.post(there, written(edition, body_kk=factories.KK.replace("Екінші", "Менің")))
    answer = author.post(there, combine(asked, **answers))
    assert answer.status_code == (302 if expected else 409)
    assert (expected or "1.2. Оның тармақ.") in Edition.objects.get().body_kk


def test_a_third_save_meanwhile_is_a_conflict_with_the_combined_text(author, django_user_model):
    edition = saved(author)
    there = at("edition_change", edition.pk)
    other = desk(django_user_model, *AUTHOR, name="other")
    other.post(there, written(edition, body_kk=factories.KK.replace("Екінші", "Оның")))
    asked = author.post(there, written(edition, body_kk=factories.KK.replace("Екінші", "Менің")))
    again = written(Edition.objects.get(), body_kk=factories.KK.replace("Екінші", "Тағы"), notice_days=9)
    assert other.post(there, again).status_code == 302

    third = author.post(there, combine(asked, merge_0="hand", merge_text_0="1.2. Біріккен тармақ."))

    (choice,) = third.context["conflict"].choices
    assert (choice.base, choice.theirs, choice.mine) == (
        "1.2. Оның тармақ.",
        "1.2. Тағы тармақ.",
        "1.2. Біріккен тармақ.",
    )
    assert author.post(there, combine(third, merge_0="mine")).status_code == 302
    assert "Біріккен" in Edition.objects.get().body_kk
    assert Edition.objects.get().notice_days == 9


def test_changes_of_different_clauses_are_combined_without_a_question(author, django_user_model):
    edition = saved(author)
    there = at("edition_change", edition.pk)
    theirs = written(edition, body_kk=factories.KK + "\n1.3. Оның жаңа тармағы.\n")
    desk(django_user_model, *AUTHOR, name="other").post(there, theirs)
    asked = author.post(
        there, written(edition, body_kk=factories.KK.replace("Екінші", "Менің"), material=not edition.material)
    )
    assert asked.context["conflict"].choices == []
    opened = author.post(there, combine(asked, _edit=""))
    assert "This is the combined text. It is not saved yet." in opened.content.decode()
    form = opened.context["adminform"].form
    assert "Менің" in form["body_kk"].value()
    assert "1.3. Оның" in form["body_kk"].value()
    assert form["material"].value() == (not edition.material)
    assert author.post(there, combine(asked)).status_code == 302
    assert form["body_kk"].value() == Edition.objects.get().body_kk


def test_the_first_save_of_a_draft_that_a_command_made_is_merged_too(author, django_user_model):
    edition = factories.draft()
    there = at("edition_change", edition.pk)
    theirs = written(edition, body_kk=factories.KK.replace("Екінші", "Оның"))
    assert desk(django_user_model, *AUTHOR, name="other").post(there, theirs).status_code == 302
    asked = author.post(there, written(edition, body_ru=factories.RU.replace("Второй", "Мой")))
    assert asked.context["conflict"].choices == []
    assert len(asked.context["conflict"].merged) == 2


def test_refused_words_are_stored_as_unsaved_text(author, django_user_model):
    edition = saved(author)
    there = at("edition_change", edition.pk)
    desk(django_user_model, *AUTHOR, name="other").post(there, written(edition, body_kk="# Оның"))
    assert author.post(there, written(edition, body_kk="# Менің")).status_code == 409
    assert "You have unsaved text here" in author.get(there).content.decode()
    form = author.get(f"{there}?autosave").context["adminform"].form
    assert form["body_kk"].value() == "# Менің"
    assert author.post(there, written(edition, body_kk="# Менің", token=form["token"].value())).status_code == 409


@pytest.mark.parametrize("token", ["", "x" * 5000, "0" * 64])
def test_a_forged_token_overwrites_nothing(author, django_user_model, token):
    edition = saved(author)
    there = at("edition_change", edition.pk)
    forged = written(edition, body_kk="# Менің", token=token) | {"merge_base": token, "merge_0": "mine"}
    asked = author.post(there, forged)
    assert asked.status_code == 409
    assert Edition.objects.get().body_kk == factories.KK
    assert "The text that you started from is not stored" in asked.content.decode()


def test_two_people_who_wrote_the_same_do_not_quarrel(author, django_user_model):
    edition = saved(author)
    other = desk(django_user_model, *AUTHOR, name="other")
    same = written(edition, summary_kk="Бірдей.")
    assert other.post(at("edition_change", edition.pk), same).status_code == 302
    assert author.post(at("edition_change", edition.pk), same).status_code == 302


def test_a_form_without_a_token_is_a_conflict_and_not_a_way_around_it(author):
    edition = factories.draft()
    form = written(edition, body_kk="# Басқа") | {"token": ""}
    assert author.post(at("edition_change", edition.pk), form).status_code == 409
    assert Edition.objects.get().body_kk == factories.KK


def test_a_revision_is_not_restored_over_what_was_saved_meanwhile(author):
    with reversion.create_revision():
        edition = factories.draft()
    author.post(at("edition_change", edition.pk), written(edition, summary_kk="Екінші."))
    version = reversion.models.Version.objects.get_for_object(edition).last()
    there = at("edition_revision", edition.pk, version.pk)
    token = author.get(there).context["adminform"].form["token"].value()
    stored = Edition.objects.get()
    assert author.post(at("edition_change", edition.pk), written(stored, summary_kk="Үшінші.")).status_code == 302
    assert author.post(there, written(edition, token=token)).status_code == 409
    assert Edition.objects.get().summary_kk == "Үшінші."


@pytest.mark.parametrize("writer", ["kk", "ru", "en"])
def test_the_history_names_changed_fields_in_the_language_of_the_reader(author, writer):
    edition = factories.draft()
    changed = written(edition, body_ru=edition.body_ru.replace("Второй", "Иной"), summary_kk="Жаңа.")
    author.post(at("edition_change", edition.pk, language=writer), changed)
    for reader, names in (
        ("kk", ("Орысша мәтін", "Не өзгерді, қазақша")),
        ("ru", ("Текст на русском", "Что изменилось на казахском")),
        ("en", ("Text in Russian", "What changed in Kazakh")),
    ):
        page = html.unescape(author.get(at("edition_history", edition.pk, language=reader)).content.decode())
        with translation.override(reader):
            entry = str(LogEntry.objects.latest("pk"))
        for name in names:
            assert name.lower() in page.lower(), (reader, name)
            assert name.lower() in entry.lower(), (reader, name)


def test_a_restored_revision_and_a_recovered_draft_are_called_restored_with_the_second_and_lead_to_the_draft(author):
    edition = saved(author)
    author.post(at("edition_change", edition.pk), written(Edition.objects.get(), summary_kk="Екінші."))
    version = reversion.models.Version.objects.get_for_object(edition).last()
    expected = f"Restored the revision of: {moment(version.revision.date_created, edition.agreement.time_zone)}"
    assert re.search(r":\d\d:\d\d ", expected)
    stored = Edition.objects.get()
    there = at("edition_revision", edition.pk, version.pk)
    answer = author.post(there, written(stored, summary_kk=""), follow=True)
    assert [str(message) for message in answer.context["messages"]][-1] == expected
    assert answer.redirect_chain == [(at("edition_change", edition.pk), 302)]
    assert expected in html.unescape(author.get(at("edition_history", edition.pk)).content.decode())

    form = written(Edition.objects.get())
    author.post(at("edition_delete", edition.pk), {"post": "yes"})
    deleted = reversion.models.Version.objects.get_deleted(Edition).get()
    answer = author.post(at("edition_recover", deleted.pk), form, follow=True)
    assert answer.redirect_chain == [(at("edition_change", edition.pk), 302)]
    assert [str(message) for message in answer.context["messages"]][-1].startswith("Restored the revision of: ")


@pytest.mark.parametrize("page", ["publish", "hand_over"])
def test_a_save_can_lead_to_the_page_that_comes_next(author, page):
    edition = factories.draft()
    answer = author.post(at("edition_change", edition.pk), written(edition, summary_kk="Жаңа.") | {"_next": page})
    assert answer["Location"] == at(f"edition_{page}", edition.pk)
    assert Edition.objects.get().summary_kk == "Жаңа."
    elsewhere = author.post(at("edition_change", edition.pk), written(Edition.objects.get()) | {"_next": "//evil"})
    assert elsewhere["Location"] == at("edition_changelist")


def test_a_draft_that_is_back_already_is_not_recovered_over(author):
    edition = saved(author)
    author.post(at("edition_delete", edition.pk), {"post": "yes"})
    there = at("edition_recover", reversion.models.Version.objects.get_deleted(Edition).get().pk)
    form = written(edition)
    assert author.post(there, form).status_code == 302
    back = Edition.objects.get()
    author.post(at("edition_change", back.pk), written(back, summary_kk="Кейін."))
    for answer in (author.get(there), author.post(there, form)):
        assert answer.status_code == 409
        assert "This draft is not deleted: nothing was restored." in html.unescape(answer.content.decode())
    assert Edition.objects.get().summary_kk == "Кейін."


def test_text_posted_to_a_deleted_draft_is_returned(author, django_user_model):
    edition = saved(author)
    form = written(edition, body_ru="# Моя большая работа")
    other = desk(django_user_model, *AUTHOR, name="other")
    other.post(at("edition_delete", edition.pk), {"post": "yes"})
    version = reversion.models.Version.objects.get_deleted(Edition).get()
    for there in (at("edition_change", edition.pk), at("edition_revision", edition.pk, version.pk)):
        answer = author.post(there, form)
        assert answer.status_code == 409
        page = html.unescape(answer.content.decode())
        assert "This draft was deleted: nothing was saved." in page
        assert "# Моя большая работа" in page
        assert at("edition_recoverlist") in page
        assert not Edition.objects.exists()


def test_text_posted_after_the_permission_was_lost_is_returned(author, django_user_model):
    edition = factories.draft()
    form = written(edition, body_ru="# Моя большая работа")
    django_user_model.objects.get().user_permissions.clear()
    answer = author.post(at("edition_change", edition.pk), form)
    assert answer.status_code == 403
    assert "# Моя большая работа" in answer.content.decode()
    assert Edition.objects.get().body_ru == factories.RU


def test_a_title_is_the_first_line_of_its_text(author):
    edition = factories.draft(title_kk="Ескі")
    author.post(at("edition_change", edition.pk), written(edition, body_ru="## Новое ##\n\n1.1. Текст."))
    edition.refresh_from_db()
    assert (edition.title_kk, edition.title_ru) == ("Пайдаланушы келісімі", "Новое")


def test_the_deletion_page_lists_the_unsaved_texts_of_other_authors(author, django_user_model):
    edition = factories.draft()
    other = desk(django_user_model, *AUTHOR, name="other")
    other.post(at("edition_autosave", edition.pk), {"body_kk": "# А"})
    assert "Unsaved text: other" in author.get(at("edition_delete", edition.pk)).content.decode()


def test_unsaved_text_goes_with_its_draft_and_its_author(author, django_user_model):
    for gone in (Edition.objects, django_user_model.objects):
        edition = factories.draft()
        Autosave.objects.store(author=django_user_model.objects.get().pk, edition=edition, fields={}, base="")
        gone.all().delete()
        assert not Autosave.objects.exists()
