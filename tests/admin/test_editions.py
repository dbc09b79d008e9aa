"""The admin: drafts in both languages, publication and cancellation after a question, and a seal for everybody."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import reversion
from django.contrib.admin import site
from django.contrib.auth.models import Permission
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import NoReverseMatch, reverse
from django.utils import timezone, translation
from reversion.models import Version

from agreement import urls
from agreement.admin.editions.fields import WRITTEN_FIELDS, fingerprint
from agreement.models import Agreement, AuditEntry, Delivery, Edition, Notice, verification
from agreement.models.agreements import RESERVED_SLUGS
from agreement.models.errors import TEXT_FIELDS
from agreement.models.succession import State
from agreement.notices import dispatch
from agreement.text.clauses import title_line
from tests.support import factories

pytestmark = pytest.mark.django_db

AUTHOR = ("view_edition", "add_edition", "change_edition", "delete_edition")
PUBLISHER = ("view_edition", "publish_edition", "cancel_edition")
HOSTILE = "# </textarea><script>alert(1)</script>\n\n1.1. <img src=x onerror=alert(1)> [a](javascript:alert(1))\n"


def desk(django_user_model: Any, *permissions: str, name: str = "editor") -> Client:
    """The browser of an administrator with those permissions; ``"superuser"`` has them all."""
    user = django_user_model.objects.create_user(name, is_staff=True, is_superuser="superuser" in permissions)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def superuser(django_user_model):
    return desk(django_user_model, "superuser", name="admin")


def at(page: str, *args: object, language: str = "en") -> str:
    with translation.override(language):
        return reverse(f"admin:agreement_{page}", args=args)


def written(edition: Edition | None = None, **changed: object) -> dict[str, object]:
    """A draft's form as a browser sends it: with CRLF."""
    edition = edition or Edition(agreement=factories.agreement(), body_kk=factories.KK, body_ru=factories.RU)
    form = {f"{name}_{code}": getattr(edition, f"{name}_{code}") or "" for name in TEXT_FIELDS for code in ("kk", "ru")}
    form |= {"agreement": edition.agreement_id, "material": "on", "prevailing_language": ""}
    form["token"] = fingerprint(edition) if edition.pk else ""
    for name in (
        "notice_days",
        "grace_days",
        "retention_years",
    ):  # Fields with a computed default carry their first value.
        form |= dict.fromkeys((name, f"initial-{name}"), getattr(edition, name))
    return {name: str(value).replace("\n", "\r\n") for name, value in (form | changed).items()}


def begun(client: Client, **changed: object) -> Edition:
    """A draft begun empty and written at the desk, as an author does it."""
    client.post(at("edition_add"), {"agreement": factories.agreement().pk, "begin": "empty"})
    edition = Edition.objects.drafts().latest("pk")
    form = written() | {name: str(value) for name, value in changed.items()}
    answer = client.post(at("edition_change", edition.pk), form | {"token": fingerprint(edition)})
    assert answer.status_code == 302, answer.context["errors"]
    edition.refresh_from_db()
    return edition


def question(client: Client, edition: Edition, **answer: object) -> dict[str, object]:
    """The publish page's form as it is opened now, with an answer; ``when="now"`` unless another is given."""
    form = client.get(at("edition_publish", edition.pk)).context["form"]
    opened = {"after": form["after"].value(), "draft": form["draft"].value(), "warnings": sorted(form.warning_keys)}
    return opened | {"when": "now", "confirmation": "publish", "reason": "Сот шешімі."} | answer


def columns(edition: Edition) -> dict[str, object]:
    return Edition.objects.rewrite(False).filter(pk=edition.pk).values().get()


# Drafts


def test_a_draft_is_written_in_both_languages_and_never_through_the_base_columns(author):
    page = author.get(at("edition_change", factories.draft().pk)).content.decode()
    names = set(re.findall(r'name="(\w+)"', page))
    assert {*WRITTEN_FIELDS} <= names
    assert not names & {*TEXT_FIELDS, "title_kk", "number", "published_at", "digest", "effective_from"}

    edition = begun(author, title_kk="Басқа", number="7")

    assert (edition.title_kk, edition.title_ru) == ("Пайдаланушы келісімі", "Пользовательское соглашение")
    assert edition.number is None
    assert (edition.body_kk, edition.body_ru) == (factories.KK, factories.RU)


@pytest.mark.parametrize("body", ["\n# А\n\n1.1. Б.  \n\n", "# А", "﻿# А\r1.1. Б\r\n"])
def test_a_text_is_stored_by_the_rule_of_the_import(author, body):
    assert begun(author, body_kk=body).body_kk == body.removeprefix("﻿").replace("\r\n", "\n").replace("\r", "\n")


def test_saving_a_draft_unchanged_changes_nothing(author):
    edition = factories.draft(summary_ru="Изменено.")
    before = written(edition)
    author.post(at("edition_change", edition.pk), before)
    assert written(Edition.objects.get()) == before
    assert Edition.objects.get().text("kk") == edition.text("kk")
    assert Version.objects.get_for_object(edition).first().revision.get_comment() == "No fields changed."


@pytest.mark.parametrize("language", ["kk", "ru", "en"])
def test_a_text_can_be_emptied_under_every_language(author, language):
    edition = factories.draft(summary_kk="Өзгерді.", summary_ru="Изменено.")
    author.post(at("edition_change", edition.pk, language=language), written(edition, summary_kk="", summary_ru=""))
    edition.refresh_from_db()
    assert (edition.summary_kk, edition.summary_ru) == ("", "")


def test_a_draft_stays_with_its_agreement(author):
    edition = factories.draft()
    author.post(at("edition_change", edition.pk), written(edition, agreement=factories.agreement("other").pk))
    assert Edition.objects.get().agreement.slug == "terms"


# Revisions


def test_revisions_hold_every_column():
    assert reversion.is_registered(Edition)
    with reversion.create_revision():
        edition = factories.draft()
    fields = Version.objects.get_for_object(edition).get().field_dict
    assert set(fields) == {field.attname for field in Edition._meta.concrete_fields}


@pytest.mark.parametrize("language", ["kk", "ru", "en"])
def test_a_revision_restores_kk_and_ru_under_every_language(author, language):
    edition = factories.draft(summary_kk="Бірінші.", summary_ru="Первая.")
    author.post(at("edition_change", edition.pk), written(edition))
    first = Version.objects.get_for_object(edition).first()
    changed = written(edition, body_kk="# Басқа", body_ru="# Другое", summary_kk="", summary_ru="")
    author.post(at("edition_change", edition.pk), changed)
    there = at("edition_revision", edition.pk, first.pk, language=language)

    page = author.get(there)
    assert page.context["adminform"].form["body_kk"].value() == factories.KK
    assert columns(edition)["body_kk"] == "# Басқа"

    shown = page.context["adminform"].form["token"].value()
    assert author.post(there, written(edition, token=shown)).status_code == 302
    edition.refresh_from_db()
    assert (edition.body_kk, edition.body_ru) == (factories.KK, factories.RU)
    assert (edition.summary_kk, edition.summary_ru) == ("Бірінші.", "Первая.")


@pytest.mark.parametrize("language", ["kk", "ru", "en"])
def test_a_deleted_draft_is_recovered_with_kk_and_ru(author, language):
    edition = begun(author)
    before = written(edition)
    author.post(at("edition_delete", edition.pk), {"post": "yes"})
    assert not Edition.objects.exists()

    there = at("edition_recover", Version.objects.get_deleted(Edition).get().pk, language=language)
    assert there in author.get(at("edition_recoverlist", language=language)).content.decode()
    form = author.get(there).context["adminform"].form
    assert (form["body_kk"].value(), form["body_ru"].value()) == (factories.KK, factories.RU)
    assert not Edition.objects.exists()

    assert author.post(there, before).status_code == 302
    assert written(Edition.objects.get()) == before
    assert Edition.objects.get().pk == edition.pk
    acts = AuditEntry.objects.about(edition).values_list("action", "by")
    assert list(acts[:2]) == [("written", "author"), ("deleted", "author")]


def test_a_draft_whose_agreement_is_gone_is_not_recovered(superuser):
    begun(superuser)
    Edition.objects.all().delete()
    Agreement.objects.all().delete()
    there = at("edition_recover", Version.objects.get_deleted(Edition).get().pk)
    for answer in (superuser.get(there), superuser.post(there, {})):
        assert answer.status_code == 409
        assert "agreement of this draft was deleted" in answer.content.decode()


def sealed_with_revision() -> tuple[Edition, Version]:
    """A published edition, and the revision of it as a draft with other words."""
    with reversion.create_revision():
        edition = factories.draft(summary_kk="Бұрын.")
    version = Version.objects.get_for_object(edition).get()
    edition.summary_kk = "Кейін."
    edition.save()
    edition.publish()
    return edition, version


@pytest.mark.parametrize("page", ["revision", "recover"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_no_revision_is_written_to_a_published_edition(superuser, page, method):
    edition, version = sealed_with_revision()
    before = columns(edition)
    args = (edition.pk, version.pk) if page == "revision" else (version.pk,)

    answer = getattr(superuser, method)(at(f"edition_{page}", *args), written(edition))

    assert answer.status_code == 403
    assert "belongs to a published edition: nothing was restored" in answer.content.decode()
    assert columns(edition) == before
    history = superuser.get(at("edition_history", edition.pk)).content.decode()
    assert at("edition_revision", edition.pk, version.pk) not in history


def test_a_restoration_by_who_may_not_edit_drafts_is_refused_and_their_text_is_returned(publisher):
    with reversion.create_revision():
        edition = factories.draft()
    before, there = columns(edition), at("edition_revision", edition.pk, Version.objects.get().pk)
    assert publisher.get(there).status_code == 200

    answer = publisher.post(there, written(edition, body_ru="# Моя большая работа"))

    assert answer.status_code == 403
    assert "have permission to edit this draft. Nothing was saved." in answer.content.decode()
    assert "# Моя большая работа" in answer.content.decode()
    assert columns(edition) == before
    assert Version.objects.count() == 1


@pytest.mark.parametrize("lacking", ["add_edition", "change_edition"])
def test_a_recovery_by_who_may_not_add_and_edit_drafts_is_refused_and_their_text_is_returned(
    django_user_model, lacking
):
    with reversion.create_revision():
        edition = factories.draft()
    there, form = at("edition_recover", Version.objects.get().pk), written(edition, body_ru="# Моя большая работа")
    edition.delete()
    client = desk(django_user_model, *(name for name in AUTHOR if name != lacking))

    answer = client.post(there, form)

    assert answer.status_code == 403
    assert "have permission to edit this draft. Nothing was saved." in answer.content.decode()
    assert "# Моя большая работа" in answer.content.decode()
    assert not Edition.objects.exists()


def test_no_revision_publishes_what_was_never_published_here(superuser):
    with reversion.create_revision():
        edition = factories.draft()
    version = Version.objects.get_for_object(edition).get()
    [row] = json.loads(version.serialized_data)
    moments = dict.fromkeys(("published_at", "effective_from", "recorded_at"), "2020-01-01T00:00:00Z")
    row["fields"] |= moments | {"number": 9, "digest": "f" * 64}
    Version.objects.update(serialized_data=json.dumps([row]))
    assert Version.objects.get().field_dict["number"] == 9
    edition.delete()

    answer = superuser.post(at("edition_recover", version.pk), written())

    assert answer.status_code == 403
    assert not Edition.objects.exists()


def test_a_revision_of_another_model_is_not_an_edition(superuser, django_user_model):
    reversion.register(django_user_model)
    try:
        with reversion.create_revision():
            django_user_model.objects.create_user("other")
        version = Version.objects.get()
        assert superuser.post(at("edition_recover", version.pk), {}).status_code == 404
    finally:
        reversion.unregister(django_user_model)


# The seal


def test_a_published_edition_is_shown_and_never_written_by_a_superuser(superuser):
    edition = factories.published(summary_kk="Бұрын.")
    before = columns(edition)

    page = superuser.get(at("edition_change", edition.pk)).content.decode()
    assert edition.digest in page
    assert "Бірінші тармақ" in page
    assert not re.search(r'name="(title|body|summary|material|_save|_continue)', page)

    answer = superuser.post(at("edition_change", edition.pk), written(edition, summary_kk="Кейін."))
    assert answer.status_code == 409
    assert "terms, edition 1 was published: nothing was saved." in answer.content.decode()
    assert columns(edition) == before


def test_a_form_that_was_open_while_its_draft_was_published_loses_nothing(author):
    edition = factories.draft()
    form = written(edition, body_ru="# Моя большая работа\n")
    edition.publish()
    before = columns(edition)

    answer = author.post(at("edition_change", edition.pk), form)

    assert answer.status_code == 409
    assert "# Моя большая работа" in answer.content.decode()
    assert "Бірінші тармақ" not in answer.content.decode()
    assert columns(edition) == before
    assert not Version.objects.exists()


def publish_while_locked(monkeypatch: pytest.MonkeyPatch, edition: Edition) -> None:
    """Somebody holds the lock of the agreement and publishes; the next who asks for the lock waits for that.

    Both are one connection here: an answer that rolls back cancels that publication as well.
    """
    lock = Agreement.lock

    def wait(agreement: Agreement) -> None:
        monkeypatch.setattr(Agreement, "lock", lock)
        Edition.objects.get(pk=edition.pk).publish(by="editor")
        agreement.lock()

    monkeypatch.setattr(Agreement, "lock", wait)


def test_a_save_that_waited_for_a_publication_is_refused(author, monkeypatch):
    edition = factories.draft()
    form = written(edition, summary_kk="Кейін.")
    publish_while_locked(monkeypatch, edition)
    assert author.post(at("edition_change", edition.pk), form).status_code == 409
    assert columns(edition)["summary_kk"] == ""


def test_a_deletion_that_waited_for_a_publication_is_refused(author, monkeypatch):
    edition = factories.draft()
    publish_while_locked(monkeypatch, edition)
    assert author.post(at("edition_delete", edition.pk), {"post": "yes"}).status_code == 403
    assert Edition.objects.exists()


def test_a_restoration_that_waited_for_a_publication_is_refused(author, monkeypatch):
    with reversion.create_revision():
        edition = factories.draft()
    there = at("edition_revision", edition.pk, Version.objects.get().pk)
    publish_while_locked(monkeypatch, edition)
    assert author.post(there, written(edition)).status_code == 403


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("page", "status"), [("change", 409), ("delete", 403), ("revision", 403), ("recover", 403), ("publish", 409)]
)
def test_what_waits_for_a_publication_in_another_connection_is_refused(superuser, page, status):
    with reversion.create_revision():
        edition = factories.draft()
    key = Version.objects.get().pk
    args = {"revision": (edition.pk, key), "recover": (key,)}.get(page, (edition.pk,))
    form = written(edition, summary_kk="Кейін.") | question(superuser, edition) | {"post": "yes"}

    def post() -> int:
        try:
            return superuser.post(at(f"edition_{page}", *args), form).status_code
        finally:
            connection.close()

    waiting = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database OR l.database IS NULL"
    waiting += " WHERE NOT l.granted AND d.datname = current_database()"
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic(), connection.cursor() as cursor:
            edition.publish()
            answer = pool.submit(post)
            while not answer.done() and cursor.execute(waiting).fetchone() == (0,):
                pass
            assert not answer.done(), answer.result()
        assert answer.result(timeout=30) == status
    before = edition.digest
    edition.refresh_from_db()
    assert (edition.digest, edition.summary_kk) == (before, "")
    assert list(verification.faults()) == []


def test_a_published_edition_is_not_deleted_alone_or_with_others(superuser):
    edition, draft = factories.published(), factories.draft()
    there = at("edition_delete", edition.pk)
    assert superuser.get(there).status_code == 403
    assert superuser.post(there, {"post": "yes"}).status_code == 403
    many = {"action": "delete_selected", "_selected_action": [edition.pk, draft.pk], "post": "yes"}
    assert superuser.post(at("edition_changelist"), many).status_code == 405
    assert "delete_selected" not in superuser.get(at("edition_changelist")).content.decode()
    assert Edition.objects.count() == 2


def test_no_page_of_the_desk_writes_to_a_sealed_edition_for_a_superuser(superuser):
    """Every address of the admin that takes an edition, its agreement or its notice, posted to with all that a form
    could hold.
    """
    with reversion.create_revision():
        edition = factories.draft(summary_kk="Бұрын.")
    version = Version.objects.get_for_object(edition).get()
    edition.publish()
    before = columns(edition)
    everything = written(edition, summary_kk="Кейін.", body_kk="# Басқа") | {
        "post": "yes",
        "confirm": "on",
        "reason": "x",
        "confirmation": "publish",
        "when": "now",
        "discard": "1",
        "_save": "1",
        "digest": edition.digest,
        "draft": fingerprint(edition),
        "after": edition.digest,
        "number": "9",
        "action": "delete_selected",
        "_selected_action": str(edition.pk),
        "accepted_kk": "x",
        "published_at": "",
    }
    names = {pattern.name for model in (Edition, Agreement, Notice) for pattern in site._registry[model].urls}
    names.discard(None)
    assert len(names) > 24
    for name in sorted(names):
        arguments: list[list[object]] = [
            [],
            [edition.pk],
            [edition.pk, version.pk],
            [version.pk],
            [edition.pk, "mail", "kk"],
            [edition.agreement_id],
            [edition.notices.get().pk],
        ]
        for args in arguments:
            try:
                there = reverse(f"admin:{name}", args=args)
            except NoReverseMatch:
                continue
            assert superuser.post(there, everything).status_code < 500, there
            assert columns(edition) == before, there
    assert list(verification.faults()) == []


def test_an_agreement_keeps_its_slug_and_itself_once_an_edition_is_published(superuser):
    edition = factories.published()
    there = at("agreement_change", edition.agreement_id)
    superuser.post(there, {"slug": "other", "time_zone": "Asia/Oral", "acceptance_mode": "by_use"})
    edition.agreement.refresh_from_db()
    assert (edition.agreement.slug, edition.agreement.time_zone) == ("terms", "Asia/Oral")
    assert superuser.post(at("agreement_delete", edition.agreement_id), {"post": "yes"}).status_code == 403
    assert list(verification.faults()) == []

    free = factories.agreement("free")
    superuser.post(
        at("agreement_change", free.pk), {"slug": "other", "time_zone": "Asia/Oral", "acceptance_mode": "by_use"}
    )
    free.refresh_from_db()
    assert free.slug == "other"


@pytest.mark.parametrize("slug", sorted(RESERVED_SLUGS))
def test_a_slug_that_is_the_address_of_another_page_is_refused(superuser, slug):
    facts = {"slug": slug, "time_zone": "Asia/Almaty", "acceptance_mode": "by_use"}
    form = superuser.post(at("agreement_add"), facts).context["adminform"].form
    (error,) = form.errors["slug"]
    assert error == f"'{slug}' is the address of another page. Choose another slug, for example {slug}-terms."
    assert not Agreement.objects.exists()


def test_no_address_hides_an_agreement_but_those_that_are_reserved():
    first = {str(one.pattern).partition("/")[0] for one in urls.urlpatterns}
    assert {name for name in first if re.fullmatch(r"[-\w]+", name)} == RESERVED_SLUGS


def test_a_zone_that_does_not_exist_is_refused(superuser):
    answer = superuser.post(at("agreement_add"), {"slug": "terms", "time_zone": "Asia/Nowhere"})
    assert "time_zone" in answer.context["adminform"].form.errors
    page = answer.content.decode()
    assert re.search(r'<input type="text" name="time_zone" value="Asia/Nowhere" [^>]*list="id_time_zone_zones"', page)
    assert re.search(r'<datalist id="id_time_zone_zones">.*<option value="Asia/Almaty">.*</datalist>', page, re.DOTALL)
    assert not Agreement.objects.exists()


# Roles


def test_an_author_edits_drafts_and_neither_publishes_nor_cancels(author):
    draft = factories.draft()
    scheduled = factories.published(effective_from=timezone.now() + timedelta(days=1))
    for act, edition in (("publish", draft), ("cancel", scheduled)):
        there = at(f"edition_{act}", edition.pk)
        assert there not in author.get(at("edition_change", edition.pk)).content.decode()
        form = {"digest": scheduled.digest, "confirm": "on", "draft": fingerprint(draft), "after": scheduled.digest}
        assert author.get(there).status_code == author.post(there, form).status_code == 403
    assert Edition.objects.drafts().get() == draft
    assert Edition.objects.binding().get() == scheduled


def test_a_publisher_publishes_and_cancels_and_does_not_edit(publisher):
    draft = factories.draft()
    page = publisher.get(at("edition_change", draft.pk)).content.decode()
    assert at("edition_publish", draft.pk) in page
    assert 'name="body_kk"' not in page
    assert publisher.post(at("edition_change", draft.pk), written(draft, summary_kk="Кейін.")).status_code == 403
    assert columns(draft)["summary_kk"] is None

    draft.publish(effective_from=timezone.now() + timedelta(days=1))
    assert at("edition_cancel", draft.pk) in publisher.get(at("edition_change", draft.pk)).content.decode()


def test_a_permission_taken_away_while_the_page_was_open_is_gone(publisher, django_user_model):
    edition = factories.draft()
    form = question(publisher, edition)
    django_user_model.objects.get().user_permissions.clear()
    assert publisher.post(at("edition_publish", edition.pk), form).status_code == 403
    assert Edition.objects.drafts().exists()


def test_publishing_needs_the_token_of_its_own_page(django_user_model):
    edition = factories.draft()
    client = desk(django_user_model, *PUBLISHER)
    form = question(client, edition)
    client.handler.enforce_csrf_checks = True
    assert client.post(at("edition_publish", edition.pk), form).status_code == 403
    assert Edition.objects.drafts().exists()


# Publishing


def test_looking_changes_nothing_and_opens_no_transaction(publisher):
    edition = factories.draft()
    before = columns(edition)
    there = at("edition_publish", edition.pk)
    pages = [at("edition_changelist"), at("edition_change", edition.pk), at("edition_history", edition.pk)]
    with CaptureQueriesContext(connection) as captured:
        for page in (there + f"?confirm=on&when=now&after=&draft={fingerprint(edition)}", *pages):
            assert publisher.get(page).status_code == 200
        assert publisher.head(there).status_code == 200
    writes = [query["sql"] for query in captured if not query["sql"].startswith("SELECT")]
    assert len(captured) > 10
    assert writes == []
    assert publisher.put(there).status_code == publisher.delete(there).status_code == 405
    assert columns(edition) == before


def test_the_publish_page_says_what_will_happen(publisher):
    factories.users(3)
    factories.published(notice_days=10)
    page = publisher.get(at("edition_publish", factories.draft().pk)).content.decode()
    words = " ".join(re.sub("<[^>]*>", " ", page).split())
    assert "Пайдаланушы келісімі Пользовательское соглашение" in words
    assert "1 section, 2 clauses" in words
    assert (
        "Days of notice 10 0 Days to accept 0 Years of retention 3 Material change yes" in words
    )  # What it is now, and will be.
    assert "In force now: terms, edition 1" in words
    assert re.search(
        r"The edition in force requires 10 days of notice\. This edition can take effect on \d+ \w+ \d{4}, ", words
    )
    assert "Both texts have the same clauses in the same order." in words
    assert "e-mail Kazakh 1 e-mail Russian 1 e-mail Kazakh and Russian 1" in words
    assert words.count("Nothing changed.") >= 2
    assert "Astana time, UTC+5, Asia/Almaty" in words


def test_publishing_now_displays_number_moment_and_digest(publisher):
    edition = factories.draft()
    answer = publisher.post(at("edition_publish", edition.pk), question(publisher, edition), follow=True)
    edition.refresh_from_db()
    assert (edition.number, edition.published_by, edition.state()) == (1, "publisher", State.IN_FORCE)
    assert Notice.objects.get().edition == edition
    page = answer.content.decode()
    assert "Published: terms, edition 1. Effective from: " in page
    assert f"SHA-256: {edition.digest}" in page
    assert answer.redirect_chain == [(at("edition_change", edition.pk), 302)]


def test_a_second_click_publishes_nothing_a_second_time(publisher):
    edition = factories.draft()
    form = question(publisher, edition)
    answers = [publisher.post(at("edition_publish", edition.pk), form) for _click in range(2)]
    assert [answer.status_code for answer in answers] == [302, 409]
    assert "terms, edition 1 is published already." in answers[1].content.decode()
    assert (Edition.objects.count(), Notice.objects.count()) == (1, 1)


def test_a_click_that_waited_for_another_publisher_is_refused(publisher, monkeypatch):
    edition = factories.draft()
    form = question(publisher, edition)
    publish_while_locked(monkeypatch, edition)
    answer = publisher.post(at("edition_publish", edition.pk), form)
    assert answer.status_code == 409
    assert "It was published by editor." in answer.content.decode()


@pytest.mark.parametrize("column", ["body_ru", "summary_kk", "approval_kk", "prevailing_language"])
def test_a_page_opened_before_the_draft_was_edited_is_refused(publisher, column):
    edition = factories.draft()
    form = question(publisher, edition)
    Edition.objects.filter(pk=edition.pk).update(**{column: "ru"})
    answer = publisher.post(at("edition_publish", edition.pk), form)
    assert answer.status_code == 409
    assert "the page that you opened is outdated" in answer.content.decode()
    assert Edition.objects.drafts().exists()


def test_a_page_opened_before_another_edition_was_published_is_refused(publisher):
    edition = factories.draft()
    form = question(publisher, edition)
    factories.published()
    assert publisher.post(at("edition_publish", edition.pk), form).status_code == 409
    assert publisher.post(at("edition_publish", edition.pk), {"when": "now", "confirm": "on"}).status_code == 409
    assert Edition.objects.drafts().get() == edition
    assert publisher.post(at("edition_publish", edition.pk), question(publisher, edition)).status_code == 302


def test_a_date_is_read_in_the_agreements_zone(publisher):
    edition = factories.draft()
    Agreement.objects.update(time_zone="Asia/Tokyo")
    form = question(publisher, edition, when="at", date=f"{timezone.now().year + 1}-03-01", time="09:00")
    assert publisher.post(at("edition_publish", edition.pk), form).status_code == 302
    edition.refresh_from_db()
    assert edition.effective_from == datetime(timezone.now().year + 1, 3, 1, tzinfo=UTC)


def next_change(month: int) -> str:
    """The last Sunday of that month in a coming year, when clocks change in Europe."""
    last = datetime(timezone.now().year + 1, month, 31, tzinfo=UTC)
    return (last - timedelta(days=(last.weekday() + 1) % 7)).date().isoformat()


@pytest.mark.parametrize(
    ("zone", "answer", "says"),
    [
        ("Asia/Almaty", {"date": "2024-02-29", "time": "23:30"}, "occurs twice in Asia/Almaty"),
        ("Europe/Paris", {"date": next_change(10), "time": "02:30"}, "occurs twice in Europe/Paris"),
        ("Europe/Paris", {"date": next_change(3), "time": "02:30"}, "does not exist in Europe/Paris"),
        (
            "Asia/Almaty",
            {"date": "2024-03-01", "time": "09:00"},
            "1\u00a0March 2024, 09:00 (Astana time, UTC+5) is in the past",
        ),
        ("Asia/Almaty", {"date": "0001-01-01", "time": "00:00"}, "is in the past"),
        ("Pacific/Midway", {"date": "9999-12-31", "time": "23:59"}, "within the next ten years"),
        ("Asia/Almaty", {"date": "2031-02-30", "time": "09:00"}, "Enter a valid date."),
        ("Asia/Almaty", {"date": "31.12.2030", "time": "25:00"}, "Enter a valid time."),
        ("Asia/Almaty", {"date": "2030-01-01"}, "Enter the date and the time."),
        ("Asia/Almaty", {"time": "09:00"}, "Enter the date and the time."),
        ("Asia/Almaty", {"when": "now", "date": "2030-01-01"}, "You also entered a date or a time."),
        ("Asia/Almaty", {"when": ""}, "This field is required."),
        ("Asia/Almaty", {"when": "now", "confirmation": ""}, "Type publish to confirm: the edition takes effect"),
    ],
)
def test_an_answer_that_can_be_read_in_two_ways_or_none_is_asked_again(publisher, zone, answer, says):
    edition = factories.draft()
    Agreement.objects.update(time_zone=zone)
    response = publisher.post(at("edition_publish", edition.pk), question(publisher, edition, when="at") | answer)
    assert response.status_code == 400
    assert says in response.content.decode().replace("&#x27;", "'")
    assert Edition.objects.drafts().exists()


def test_the_page_names_what_publish_would_refuse(publisher):
    edition = factories.draft(ru=factories.RU + "\n1.3. Лишний.\n")
    page = publisher.get(at("edition_publish", edition.pk)).content.decode()
    assert "different clauses: 1.3." in page
    assert 'type="submit" class="default"' not in page
    response = publisher.post(at("edition_publish", edition.pk), question(publisher, edition))
    assert response.status_code == 400
    assert Edition.objects.drafts().exists()


def test_while_another_edition_is_announced_only_a_later_moment_is_offered(publisher):
    moment = timezone.now() + timedelta(days=30)
    factories.published(effective_from=moment)
    edition = factories.draft()
    page = publisher.get(at("edition_publish", edition.pk))
    assert [choice for choice, _label in page.context["form"].fields["when"].choices] == ["at"]
    early = (moment - timedelta(days=2)).date().isoformat()
    form = question(publisher, edition, when="at", date=early, time="09:00")
    response = publisher.post(at("edition_publish", edition.pk), form)
    assert response.status_code == 400
    assert "is not later than" in response.content.decode()


# Cancelling


def test_a_scheduled_edition_is_cancelled_after_a_question(publisher):
    edition = factories.published(effective_from=timezone.now() + timedelta(days=1))
    there = at("edition_cancel", edition.pk)
    assert publisher.get(there + f"?confirm=on&digest={edition.digest}").status_code == 200
    whole = {"confirm": "on", "digest": edition.digest, "reason": "Қате."}
    for name in whole:
        assert publisher.post(there, whole | {name: ""}).status_code == 400
    for incomplete in ({}, whole | {"digest": "f" * 64}):
        assert publisher.post(there, incomplete).status_code == 400
    edition.refresh_from_db()
    assert edition.state() == State.SCHEDULED

    form = {"confirm": "on", "digest": edition.digest, "reason": "Қате."}
    answers = [publisher.post(there, form) for _click in range(2)]

    assert [answer.status_code for answer in answers] == [302, 409]
    edition.refresh_from_db()
    assert edition.state() == State.CANCELLED
    cancelled = AuditEntry.objects.about(edition).first()
    assert (cancelled.action, cancelled.by, cancelled.note) == ("cancelled", "publisher", "Қате.")


def test_only_what_is_scheduled_is_cancelled(publisher):
    for edition in (factories.draft(), factories.published()):
        there = at("edition_cancel", edition.pk)
        for answer in (publisher.get(there), publisher.post(there, {"confirm": "on", "digest": edition.digest})):
            assert answer.status_code in {400, 409}
            assert answer.request["REQUEST_METHOD"] == "POST" or answer.status_code == 409
        edition.refresh_from_db()
        assert edition.cancelled_at is None


def test_unknown_editions_lead_back_to_the_desk(superuser):
    for act in ("publish", "cancel", "change", "delete", "history"):
        for key in (999, "x", "1_2F"):
            assert superuser.get(at(f"edition_{act}", key)).status_code == 302
    assert superuser.post(at("edition_publish", 999), {}).status_code == 302


# Pages


def test_the_list_names_states_and_dates_in_words(superuser):
    factories.published()
    factories.published(effective_from=datetime(timezone.now().year + 1, 3, 1, 4, tzinfo=UTC))
    factories.published(effective_from=datetime(timezone.now().year + 1, 3, 2, 4, tzinfo=UTC)).cancel()
    factories.draft()
    year = timezone.now().year + 1
    for language, (moment, zone) in {
        "kk": (f"01.03.{year}, 09:00 –", "Астана уақыты, UTC+5"),
        "ru": (f"01.03.{year}, 09:00 –", "время Астаны, UTC+5"),
        "en": (f"1 Mar {year}, 09:00 –", "Astana time, UTC+5"),
    }.items():
        page = superuser.get(at("edition_changelist", language=language)).content.decode()
        assert moment in page
        assert page.count(zone) == 1
        states = re.findall(r"agreement-state agreement-(\w+)", page)
        assert states == ["draft", "cancelled", "scheduled", "in_force"]


def test_the_error_about_a_box_is_one_sentence(superuser):
    edition = factories.published(effective_from=timezone.now() + timedelta(days=3))
    answer = superuser.post(at("edition_cancel", edition.pk), {"digest": edition.digest, "reason": "1"})
    shown = answer.content.decode()
    assert answer.status_code == 400
    assert shown.count("Tick the box which states that this edition should not take effect.") == 2
    assert ".</a>:" not in shown


def test_the_moment_of_a_cancelled_edition_is_the_one_for_which_it_was_planned(superuser):
    edition = factories.published(effective_from=timezone.now() + timedelta(days=3))
    pages = (at("edition_change", edition.pk), at("agreement_change", edition.agreement.pk))
    for cancelled in (False, True):
        for page in pages:
            shown = superuser.get(page).content.decode().lower()
            assert ("was to take effect" in shown, "effective from" in shown) == (cancelled, not cancelled)
        if not cancelled:
            edition.cancel()


def test_the_list_costs_the_same_for_any_number_of_editions_and_reads_no_text(superuser):
    def cost() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert superuser.get(at("edition_changelist") + "?all=").status_code == 200
        assert not [query["sql"] for query in captured if "body_kk" in query["sql"] or "summary_ru" in query["sql"]]
        return len(captured)

    factories.published()
    factories.draft()
    few = cost()
    for _number in range(58):
        factories.published()
    assert cost() == few <= 10


def test_notices_and_deliveries_are_read_and_never_counted_or_written(superuser, settings):
    factories.users(3)
    edition = factories.published()
    dispatch.fan_out(Notice.objects.get())
    notice, delivery = Notice.objects.get(), Delivery.objects.first()
    with CaptureQueriesContext(connection) as captured:
        for page in (
            at("notice_changelist"),
            at("notice_change", notice.pk),
            at("delivery_changelist") + f"?notice={notice.pk}&outcome__exact=waiting&_facets=True",
            at("delivery_change", delivery.pk),
        ):
            assert superuser.get(page).status_code == 200, page
    counted = [query["sql"] for query in captured if "COUNT(" in query["sql"] and "agreement_delivery" in query["sql"]]
    assert [sql for sql in counted if 'user_id" IS NULL' not in sql] == [], "only deleted accounts are counted"
    assert not [query["sql"] for query in captured if "body_kk" in query["sql"]][1:]
    for page, row in (("notice", notice), ("delivery", delivery)):
        assert superuser.get(at(f"{page}_add")).status_code == 403
        assert superuser.post(at(f"{page}_change", row.pk), {}).status_code == 403
        assert superuser.post(at(f"{page}_delete", row.pk), {"post": "yes"}).status_code == 403
    assert edition.notices.get().deliveries.count() == Delivery.objects.count() > 0


def test_hostile_text_is_harmless_and_no_page_needs_inline_scripts_or_styles(superuser):
    names = {f"{name}_{code}": title_line(HOSTILE) for name in TEXT_FIELDS for code in ("kk", "ru")}
    hostile = {**names, "body_kk": HOSTILE, "body_ru": HOSTILE}
    draft = begun(superuser, **hostile)
    pages = [at("edition_change", draft.pk), at("edition_publish", draft.pk), at("edition_history", draft.pk)]
    Edition.objects.get(pk=draft.pk).publish(by=HOSTILE[:200], effective_from=timezone.now() + timedelta(days=1))
    pages += [at("edition_cancel", draft.pk), at("edition_changelist"), at("notice_changelist"), at("edition_add")]
    answers = [superuser.get(page) for page in pages]
    answers.append(superuser.post(at("edition_change", draft.pk), written(**hostile | {"body_kk": HOSTILE * 2})))
    for answer in answers:
        page = answer.content.decode()
        assert "alert(1)</script>" not in page
        assert "<img src=x" not in page
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=[\"']|href=[\"']javascript:", page)


@pytest.mark.parametrize(
    ("page", "lookup"),
    [
        ("delivery", "notice"),
        ("delivery", "notice__in"),
        ("delivery", "user__exact"),
        ("notice", "edition"),
        ("notice", "created_at__year"),
        ("edition", "agreement"),
        ("edition", "effective_from__year"),
        ("agreement", "id__in"),
    ],
)
def test_a_filter_beyond_every_key_is_a_bad_request_or_finds_nothing(superuser, page, lookup):
    factories.published()
    for value in ("9" * 20, "-" + "9" * 20, "9223372036854775808"):
        answer = superuser.get(at(f"{page}_changelist"), {lookup: value})
        assert answer.status_code == 400 or not answer.context["cl"].result_list, value
    for value in ("x", "\0", "9" * 5000, "1.5", "١", ""):
        assert superuser.get(at(f"{page}_changelist"), {lookup: value}).status_code < 500


@pytest.mark.parametrize(("model", "column"), [("edition", "body_kk"), ("agreement", "slug"), ("auditentry", "action")])
def test_no_list_is_filtered_by_a_pattern(superuser, model, column):
    for lookup in ("regex", "iregex"):
        assert superuser.get(at(f"{model}_changelist"), {f"{column}__{lookup}": "("}).status_code == 400


def test_a_key_no_row_can_have_is_never_a_fault(superuser):
    factories.published()
    for page in ("agreement", "edition", "notice", "delivery"):
        for key in ("9" * 20, "9" * 5000, "x", "\0", "1.5", "00000000-0000-0000-0000-00000000000g"):
            for act in ("change", "history", "delete"):
                answer = superuser.get(at(f"{page}_{act}", key))
                never = act == "delete" and page in {"notice", "delivery"}
                assert answer.status_code == (403 if never else 302), (page, act, key[:20])
            assert superuser.get(at(f"{page}_changelist"), {"q": key, "o": key, "p": key, "e": key}).status_code < 500


@pytest.mark.parametrize("key", ["9" * 20, "9" * 5000])
def test_a_revision_no_row_can_have_is_not_found(superuser, key):
    edition = factories.draft()
    nul = at("edition_revision", edition.pk, key).replace(f"/{edition.pk}/", "/%00/")
    for there in (at("edition_revision", edition.pk, key), at("edition_recover", key), nul):
        assert superuser.get(there).status_code == superuser.post(there).status_code == 404


@pytest.mark.parametrize(("language", "words"), [("kk", "көрсетілмеген"), ("ru", "не указан"), ("en", "none stated")])
def test_an_edition_without_a_prevailing_language_states_none(superuser, language, words):
    draft, published = factories.draft(), factories.published()
    form = superuser.get(at("edition_change", draft.pk, language=language)).content.decode()
    assert f'<option value="" selected>{words}</option>' in form
    for page, edition in (("publish", draft), ("change", published)):
        shown = superuser.get(at(f"edition_{page}", edition.pk, language=language)).content.decode()
        assert re.search(rf">\s*{words}\s*<", shown)


def test_labels_are_words_and_begin_with_a_capital(superuser):
    factories.users(1)
    factories.published()
    dispatch.fan_out(Notice.objects.get())
    pages = [
        ("agreement_add", [], "Часовой пояс:"),
        ("agreement_changelist", [], "Действующая редакция"),
        ("edition_changelist", [], "Срок действия"),
        ("delivery_changelist", [], "Уведомление"),
        ("notice_change", [Notice.objects.get().pk], "Идентификатор (UUID):"),
    ]
    for page, args, label in pages:
        shown = superuser.get(at(page, *args, language="ru")).content.decode()
        assert re.search(rf">\s*{re.escape(label)}\s*<", shown), page
        assert not re.search(r"Uuid|Notice id", shown)
