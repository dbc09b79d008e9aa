"""The desk in Kazakh and Russian: no English is left on the pages of the roles."""

from __future__ import annotations

import re
from datetime import date, timedelta
from html.parser import HTMLParser

import pytest
import reversion
from django.contrib.auth.models import Group, Permission
from django.urls import reverse
from django.utils import timezone, translation
from reversion.models import Version

from agreement import groups
from agreement.models import (
    Acceptance,
    Agreement,
    AuditEntry,
    Consent,
    Decline,
    Delivery,
    Edition,
    LegalHold,
    Withdrawal,
)
from agreement.models.audit import AuditAction
from agreement.notices import dispatch
from agreement.text.dates import NBSP
from tests.admin.test_editions import at, written
from tests.admin.test_groups import staff
from tests.support import factories

pytestmark = pytest.mark.django_db

#: What is written the same in every language: names of formats and zones, keys, and what the tests typed.
INTERNATIONAL = re.compile(
    r"Django|Markdown|Word|docx|SHA|UTC|UUID|NUL|HTML|Asia/\w+|Mac|PDF|IP|terms|author|publisher|officer|user\d|CSV|ZIP|demo|registration|not-accepted|email|https?://\S+"
    r"|[0-9a-f]{16,}|[0-9a-f-]{36}|example\.kz|English"
)


class Words(HTMLParser):
    """What a reader sees or hears of a page: texts, and the attributes that are read out."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.silent = 0
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.silent += tag in {"script", "style", "option", "svg"}
        given = dict(attrs)
        self.found += [given[name] or "" for name in ("title", "aria-label", "placeholder", "alt") if name in given]
        if tag == "input" and given.get("type") in {"submit", "button"}:
            self.found.append(given.get("value") or "")

    def handle_endtag(self, tag):
        self.silent -= tag in {"script", "style", "option", "svg"}

    def handle_data(self, data):
        if not self.silent:
            self.found.append(data)


def english(page: str) -> set[str]:
    # The names of templates that cite a clause are no words.
    found = {INTERNATIONAL.sub("", re.sub(r"\S+\.html", "", text)) for text in Words(page).found}
    return {" ".join(text.split()) for text in found if re.search(r"[A-Za-z]{3,}", text)}


@pytest.fixture
def pages(django_user_model):
    """(page, its arguments) of the desk, with an edition in each state, a revision and a deleted draft."""
    factories.published(notice_days=10)
    factories.published(effective_from=timezone.now() + timedelta(days=3))
    with reversion.create_revision():
        draft = factories.draft(ru=factories.RU + "\n1.3. См. пункт 9.9.\n")
    with reversion.create_revision():
        gone = factories.draft(body_kk=factories.KK)
    version, lost = Version.objects.get_for_object(draft).get(), Version.objects.get_for_object(gone).get()
    gone.delete()
    in_force, scheduled = Edition.objects.published()
    return [
        ("agreement_changelist", []),
        ("agreement_change", [in_force.agreement_id]),
        ("edition_changelist", []),
        ("edition_add", []),
        ("edition_recoverlist", []),
        ("edition_recover", [lost.pk]),
        ("edition_revision", [draft.pk, version.pk]),
        *((f"edition_{page}", [draft.pk]) for page in ("change", "publish", "history", "changes", "delete")),
        *((f"edition_{page}", [in_force.pk]) for page in ("change", "history", "changes", "cancel")),
        *((f"edition_{page}", [scheduled.pk]) for page in ("change", "cancel")),
        ("notice_changelist", []),
        ("notice_change", [in_force.notices.get().pk]),
        ("notice_sending", [in_force.notices.get().pk]),
        ("auditentry_changelist", []),
        ("auditentry_change", [in_force.pk]),
    ]


@pytest.mark.parametrize("language", ["kk", "ru"])
def test_no_page_of_the_desk_has_an_english_word(pages, django_user_model, language):
    left: dict[str, set[str]] = {}
    seen = 0
    for role, group in (("author", groups.AUTHORS), ("publisher", groups.PUBLISHERS)):
        client = staff(django_user_model, role, group)
        for page, args in pages:
            answer = client.get(at(page, *args, language=language))
            if answer.status_code in {200, 409}:
                seen += 1
                left[f"{role}: {page} {args}"] = english(answer.content.decode())
        with translation.override(language):
            for there in ("admin:index", "admin:password_change"):
                left[there] = english(client.get(reverse(there)).content.decode())
    client.logout()
    with translation.override(language):
        left["login"] = english(client.get(reverse("admin:login")).content.decode())
    assert seen > 30
    assert {page: words for page, words in left.items() if words} == {}


def test_no_page_of_the_desk_has_misspelt_kazakh_of_django(pages, django_user_model):
    client = staff(django_user_model, "root", is_superuser=True)
    agreement = Agreement.objects.get()
    there = [at(page, *args, language="kk") for page, args in pages]
    there += [at(f"agreement_{page}", agreement.pk, language="kk") for page in ("change", "history")]
    words = {"Даңғо", "Өшіру/Уақыт", "Қолданушы", "Өзгет", "Сүзгіз", "объектт", "Сақта және"}
    seen = {address: client.get(address).content.decode() for address in there}
    assert {
        address: found for address, page in seen.items() if (found := {word for word in words if word in page})
    } == {}


@pytest.mark.parametrize("language", ["kk", "ru"])
def test_no_refusal_has_an_english_word(django_user_model, language):
    author = staff(django_user_model, "author", groups.AUTHORS)
    publisher = staff(django_user_model, "publisher", groups.PUBLISHERS)
    draft = factories.draft()
    conflict = author.post(
        at("edition_change", draft.pk, language=language), written(draft, body_kk="# А") | {"token": ""}
    )
    begun = author.post(at("edition_add", language=language), {"begin": "files"})
    empty = publisher.post(at("edition_publish", draft.pk, language=language), {})
    asked = publisher.get(at("edition_publish", draft.pk, language=language)).context["form"]
    opened = {"after": asked["after"].value(), "draft": asked["draft"].value(), "when": "at", "date": "x"}
    unclear = publisher.post(at("edition_publish", draft.pk, language=language), opened)
    typed = publisher.post(at("edition_change", draft.pk, language=language), written(draft, body_ru="# Я"))
    for answer, status in ((conflict, 409), (begun, 400), (empty, 409), (unclear, 400), (typed, 403)):
        assert answer.status_code == status
        assert english(answer.content.decode()) == set()


@pytest.fixture
def register(django_user_model):
    """(page, its arguments) of the officers' desk, with a row of each kind."""
    edition, (user, gone) = factories.published(), factories.users(2)
    by = {"digest": edition.digest, "language": "kk", "kind": "explicit"}
    acceptance = Acceptance.objects.record(user=user, edition=edition, **by)
    consent = Consent.objects.give(user=user, purpose="портал", language="kk", text="Келісемін.")
    decline = Decline.objects.record(user=gone, edition=edition, digest=edition.digest, language="kk")
    withdrawal = Withdrawal.objects.register(
        agreement=edition.agreement, user=gone, outcome="ended", received_on=date(2026, 1, 15)
    )
    hold = LegalHold.objects.place(ground="Сот", by="officer", user=user)
    dispatch.fan_out(edition.notices.get())
    delivery = Delivery.objects.waiting().first()
    Delivery.objects.filter(pk=delivery.pk).update(outcome="skipped", reason="no address", outcome_at=timezone.now())
    AuditEntry.objects.log(AuditAction.VIEWED, on=acceptance, by="officer")
    return [
        *((f"acceptance_{page}", []) for page in ("changelist", "add", "report", "evidence")),
        ("acceptance_change", [acceptance.pk]),
        ("acceptance_edition", [edition.pk]),
        ("decline_changelist", []),
        ("decline_change", [decline.pk]),
        ("consent_changelist", []),
        ("consent_change", [consent.pk]),
        *((f"withdrawal_{page}", []) for page in ("changelist", "add")),
        ("withdrawal_change", [withdrawal.pk]),
        *((f"legalhold_{page}", []) for page in ("changelist", "add")),
        ("legalhold_change", [hold.pk]),
        ("delivery_changelist", []),
        ("delivery_change", [delivery.pk]),
        ("auditentry_changelist", []),
    ]


@pytest.mark.parametrize("language", ["kk", "ru"])
def test_no_page_of_officers_has_an_english_word(register, django_user_model, language):
    officer = staff(django_user_model, "officer", groups.PRIVACY_OFFICERS)
    more = Permission.objects.filter(codename="view_auditentry")
    django_user_model.objects.get(username="officer").user_permissions.set(more)
    left = {}
    for page, args in register:
        answer = officer.get(at(page, *args, language=language))
        assert answer.status_code == 200, page
        left[f"{page} {args}"] = english(answer.content.decode())
    with translation.override(language):
        left["index"] = english(officer.get(reverse("admin:index")).content.decode())
    assert {page: words for page, words in left.items() if words} == {}


def test_the_title_of_every_kazakh_page_is_in_sensible_kazakh(django_user_model):
    publisher = staff(django_user_model, "publisher", groups.PUBLISHERS)
    page = publisher.get(at("edition_changelist", language="kk")).content.decode()
    assert "| Сайттың әкімшілік бөлімі</title>" in page


def test_the_history_of_a_draft_is_worded_for_its_reader(django_user_model):
    """What one author did under the Kazakh pages is not a Kazakh remark on the Russian ones."""
    author = staff(django_user_model, "author", groups.AUTHORS)
    edition = factories.published()
    begin = {"begin": "edition", "edition": edition.pk, "agreement": edition.agreement_id}
    begun = author.post(at("edition_add", language="kk"), begin)
    assert begun.status_code == 302
    draft = Edition.objects.drafts().get()
    saved = author.post(at("edition_change", draft.pk, language="kk"), written(draft, summary_ru="Срок."))
    assert saved.status_code == 302
    first = Version.objects.get_for_object(draft).last()
    opened = at("edition_revision", draft.pk, first.pk, language="kk")
    restored = author.post(opened, written(Edition.objects.get(pk=draft.pk), summary_ru=""))
    assert restored.status_code == 302

    seen = {
        language: author.get(at("edition_history", draft.pk, language=language)).content.decode()
        for language in ("kk", "ru")
    }

    for words in ("Негізі: terms, 1‑редакция", "Өзгертілді:", "Қалпына келтірілген нұсқа: "):
        assert words in seen["kk"]
        assert words not in seen["ru"]
    for words in (f"Создан на основе: terms, редакция №{NBSP}1", "Изменено:", "Восстановлена версия: "):
        assert words in seen["ru"]
    assert "Т.Ж." not in seen["kk"]


@pytest.mark.parametrize(("language", "said"), [("kk", "қай уақытқа дейін: — → 2026"), ("ru", "окончание: — → 31")])
def test_a_moment_in_the_audit_log_is_worded_for_its_reader(django_user_model, language, said):
    root = staff(django_user_model, "root", is_superuser=True)
    edition = factories.published()
    note = "held_until: — → 2026-12-31T04:00:00Z"
    AuditEntry.objects.log(AuditAction.LEGAL_HOLD, on=edition, by="officer", note=note)
    page = root.get(at("auditentry_changelist", language=language)).content.decode().replace(NBSP, " ")
    assert said in page
    assert "2026-12-31" not in page


@pytest.mark.parametrize(
    ("action", "note", "said"),
    [
        (AuditAction.BREACH, "notified, all users", "уведомлены все пользователи"),
        (AuditAction.BREACH, "notified, users: 5", "уведомлены пользователи: 5"),
        (AuditAction.VIEWED, "not reached: none", "причина: нет"),
        (AuditAction.VIEWED, "not reached: no_address", "причина: нет адреса"),
        (AuditAction.VIEWED, "report", "отчёт"),
        (AuditAction.PUBLISHED, "deleted, report", "deleted, report"),
    ],
)
def test_the_notes_of_the_app_are_worded_for_their_reader_and_those_of_people_are_not(
    django_user_model, action, note, said
):
    root = staff(django_user_model, "root", is_superuser=True)
    AuditEntry.objects.log(action, on=factories.published(), by="officer", note=note)
    page = root.get(at("auditentry_changelist", language="ru")).content.decode().replace(NBSP, " ")
    assert f">{said}<" in page


def test_the_pages_of_groups_name_groups_and_permissions_in_the_language_of_the_reader(django_user_model):
    root = staff(django_user_model, "root", is_superuser=True)
    assert "авторы соглашений" in root.get("/ru/admin/auth/group/").content.decode()
    people = root.get("/ru/admin/auth/user/").content.decode()
    assert "авторы соглашений</a>" in people, "the filter of the list"
    assert "agreement authors" not in people
    chosen = root.get("/ru/admin/auth/user/", {"groups__id__exact": Group.objects.get(name=groups.AUTHORS).pk})
    assert chosen.context["cl"].result_count == 0
    page = root.get("/ru/admin/auth/group/add/").content.decode()
    assert "редакция | Может публиковать редакции" in page
    assert "редакция | Просмотреть" in page
    assert "| Can " not in page


def test_the_models_of_the_index_are_in_the_order_of_the_kazakh_alphabet(django_user_model):
    root = staff(django_user_model, "root", is_superuser=True)
    apps = root.get("/kk/admin/").context["app_list"]
    names = [model["name"] for app in apps if app["app_label"] == "agreement" for model in app["models"]]
    assert names[0] == "Әрекеттер журналы"
    assert names.index("Қосылудан бас тарту жазбалары") < names.index("Пайдаланушы келісімдері")


def test_each_page_of_a_group_names_it_in_the_language_of_the_reader(django_user_model):
    root = staff(django_user_model, "root", is_superuser=True)
    authors = Group.objects.get(name=groups.AUTHORS).pk
    own = Group.objects.create(name="Редакция сайта").pk
    for page in ("change", "history", "delete"):
        answer = root.get(f"/ru/admin/auth/group/{authors}/{page}/").content.decode()
        heading = answer[: answer.index("<form", answer.index('id="content"')) if page == "change" else None]
        assert "авторы соглашений" in heading
        assert "agreement authors" not in heading.partition('id="deleted-objects"')[0]
        assert "Редакция сайта" in root.get(f"/ru/admin/auth/group/{own}/{page}/").content.decode()
