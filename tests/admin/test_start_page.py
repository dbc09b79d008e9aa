"""The start page of the desk: what each role sees there, where its links lead, and what it costs."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone, translation

from agreement import memory
from agreement.groups import AUTHORS, PRIVACY_OFFICERS, PUBLISHERS
from agreement.models import Agreement, AuditEntry, ChannelState, Edition, HandOver, HandOverState, Notice, Progress
from agreement.status import overview
from agreement.status.overview import MAX_DRAFTS
from tests.support import factories

pytestmark = pytest.mark.django_db

INDEX = "/en/admin/"
ROLES = {"author": AUTHORS, "publisher": PUBLISHERS, "officer": PRIVACY_OFFICERS, "superuser": None, "nobody": ""}


def browser(django_user_model, role: str) -> Client:
    user = django_user_model.objects.create_user(role, is_staff=True, is_superuser=ROLES[role] is None)
    if group := ROLES[role]:
        user.groups.add(Group.objects.get(name=group))
    client = Client()
    client.force_login(user)
    return client


def cards(page: str) -> str:
    """The start page's own part of the index."""
    return page.partition('<div class="agreement-start">')[2].partition('<div id="content-main">')[0]


def words(page: str) -> str:
    return html.unescape(" ".join(re.sub(r"<[^>]*>", " ", cards(page)).split()))


def cost(client: Client, address: str = INDEX) -> int:
    with CaptureQueriesContext(connection) as captured:
        assert client.get(address).status_code == 200
    return len(captured)


@pytest.mark.parametrize(
    ("role", "seen", "hidden"),
    [
        ("author", ["Draft", "Continue", "New draft"], ["Publish…", "Notice", "Withdrawals", "Breach"]),
        (
            "publisher",
            ["Draft", "Publish…", "paused", "Resume sending…", "Not reached: 2", "Delayed"],
            ["Continue", "New draft", "Withdrawals", "Breach"],
        ),
        (
            "officer",
            ["paused", "Resume sending…", "Not reached: 2", "Without a reply: 1", "Notify users…"],
            ["Draft", "Continue", "New draft", "Publish…", "Editions verified"],
        ),
        (
            "superuser",
            ["Continue", "Publish…", "Not reached: 2", "Withdrawals", "The deadline has passed.", "editions verified"],
            [],
        ),
    ],
)
def test_each_role_sees_what_waits_for_it_and_nothing_else(django_user_model, role, seen, hidden):
    factories.start_page_world()
    AuditEntry.objects.log("verified", on=Edition.objects.first())

    page = browser(django_user_model, role).get(INDEX).content.decode()

    found = words(page)
    assert "terms In force edition 1 · since " in found
    assert "12 days left" in found
    assert [one for one in seen if one not in found] == []
    assert [one for one in hidden if one in found] == []


def test_the_card_states_who_saved_a_draft_last_and_its_findings(django_user_model):
    factories.published()
    draft = factories.draft(kk=factories.KK + "\n9.9. Бір.\n")
    AuditEntry.objects.log("written", on=draft, by="First Author")
    AuditEntry.objects.log("written", on=draft, by="Second Author")
    found = words(browser(django_user_model, "author").get(INDEX).content.decode())
    assert re.search(r"draft of .{12,20} saved .{12,20}, Second Author \d+ errors?", found), found
    assert "First Author" not in found


@pytest.mark.parametrize(("state", "label"), [("ready", "ready to publish"), ("returned", "sent back")])
def test_the_card_states_that_a_draft_was_handed_over_or_sent_back(django_user_model, state, label):
    draft = factories.draft()
    client = browser(django_user_model, "author")
    assert label not in words(client.get(INDEX).content.decode())
    HandOver.objects.record(HandOverState(state), edition=draft, by=django_user_model.objects.get(), note="", digest="")
    assert re.search(f"draft of .{{12,20}} {label}", words(client.get(INDEX).content.decode()))


def test_the_bar_of_a_notice_displays_how_many_were_sent_and_how_many_were_not(django_user_model):
    factories.start_page_world()
    Progress.objects.filter(failed=2).update(waiting=1)
    page = browser(django_user_model, "publisher").get(INDEX).content.decode()
    assert "7 of 10 sent" in words(page)
    bar = re.search(r'viewBox="0 0 10 1">.*?</svg>', page, re.DOTALL)[0]
    assert re.findall(r'<rect\s+(?:class="agreement-unsent" x="7" )?width="(\d+)"', bar) == ["7", "2"]


def test_the_default_agreement_has_the_first_card(settings):
    for slug in ("privacy", "terms"):
        factories.published(slug=slug)
    settings.AGREEMENT = {**settings.AGREEMENT, "DEFAULT_AGREEMENT": "terms"}
    assert [card.agreement.slug for card in overview.overview(viewable=()).cards] == ["terms", "privacy"]


def test_staff_without_a_group_see_no_card(django_user_model):
    factories.start_page_world()
    page = browser(django_user_model, "nobody").get(INDEX).content.decode()
    assert "agreement-start" not in page


def test_the_index_of_the_app_has_the_cards_and_that_of_another_app_has_none(django_user_model):
    factories.start_page_world()
    client = browser(django_user_model, "superuser")
    assert "agreement-card" in client.get(f"{INDEX}agreement/").content.decode()
    assert "agreement-card" not in client.get(f"{INDEX}auth/").content.decode()


@pytest.mark.parametrize("role", [role for role in ROLES if role != "nobody"])
def test_every_link_of_the_start_page_opens_for_the_role_that_sees_it(django_user_model, role):
    factories.start_page_world()
    AuditEntry.objects.log("verified", on=Edition.objects.first())
    client = browser(django_user_model, role)
    links = set(re.findall(r'href="([^"#]+)"', cards(client.get(INDEX).content.decode())))
    assert len(links) > 5
    assert {link: client.get(html.unescape(link)).status_code for link in links} == dict.fromkeys(links, 200)


@pytest.mark.django_db(transaction=True)  # Inside a transaction, the dates of the editions are not remembered.
@pytest.mark.parametrize("role", ["author", "publisher", "officer", "superuser"])
def test_the_start_page_costs_at_most_eight_queries_more_than_the_index(django_user_model, monkeypatch, role):
    factories.start_page_world()
    client = browser(django_user_model, role)
    with monkeypatch.context() as patch:
        patch.setattr(overview, "overview", lambda **_options: overview.Overview(cards=[]))
        own = cost(client)
    memory.clear()
    assert cost(client) <= own + 8


@pytest.mark.django_db(transaction=True)
def test_the_start_page_costs_no_more_with_many_drafts_and_reads_no_text_a_second_time():
    factories.start_page_world()
    viewable = {"edition"}
    overview.overview(viewable=viewable)
    with CaptureQueriesContext(connection) as before:
        overview.overview(viewable=viewable)
    assert not [query["sql"] for query in before if "body_kk" in query["sql"]]
    for _number in range(2 * MAX_DRAFTS):
        factories.draft()
    with CaptureQueriesContext(connection) as after:
        card = next(one for one in overview.overview(viewable=viewable).cards if one.agreement.slug == "terms")
    assert len(after) <= len(before) + 1
    assert (len(card.drafts), card.other_drafts) == (MAX_DRAFTS, MAX_DRAFTS + 2)


def test_the_findings_of_a_draft_are_counted_again_after_it_is_saved():
    factories.published()
    draft = factories.draft()

    def errors() -> int:
        [card] = overview.overview(viewable={"edition"}).cards
        return card.drafts[0].errors

    assert errors() == 0
    Edition.objects.filter(pk=draft.pk).update(body_kk=factories.KK + "\n9.9. Бір.\n")
    AuditEntry.objects.log("written", on=draft)
    assert errors() > 0


def test_announced_editions_are_in_the_order_of_their_effect_and_not_of_their_drafts():
    now = timezone.now()
    factories.published()
    later, sooner = factories.draft(), factories.draft()
    sooner.publish(effective_from=now + timedelta(days=12))
    later.publish(effective_from=now + timedelta(days=30))

    [card] = overview.overview(viewable=set()).cards

    assert card.announced == [(sooner, 12), (later, 30)]


def test_a_notice_that_waits_only_for_the_rate_limits_is_not_delayed(settings):
    factories.start_page_world()

    def delayed() -> list[bool]:
        cards = overview.overview(viewable={"notice"}).cards
        return [one.delayed for card in cards for one in card.sending]

    assert delayed().count(True) == 1
    settings.AGREEMENT = {**settings.AGREEMENT, "RATE_LIMITS": {"email": ["1/h"]}}
    ChannelState.objects.create(channel="email", log=[[timezone.now().timestamp(), 1]])
    assert delayed().count(True) == 0


def test_a_finished_notice_is_not_on_the_start_page():
    factories.published()
    Notice.objects.update(fanned_out_at=timezone.now())
    [card] = overview.overview(viewable={"notice"}).cards
    assert card.sending == []


def test_an_agreement_without_an_edition_is_on_the_start_page(django_user_model):
    Agreement.objects.create(slug="terms", name_kk="Шарттар", name_ru="Условия")
    page = browser(django_user_model, "author").get("/ru/admin/").content.decode()
    assert "Условия" in cards(page)
    assert "Ни одна редакция не действует." in words(page)


@pytest.mark.parametrize(("language", "name"), [("kk", "Қазақша"), ("ru", "Русский"), ("en", "English")])
def test_the_admin_links_to_the_same_page_in_each_language(django_user_model, language, name):
    page = browser(django_user_model, "author").get("/ru/admin/agreement/edition/?q=x").content.decode()
    nav = page.partition('<nav class="agreement-languages"')[2].partition("</nav>")[0]
    assert re.search(rf'<a href="/{language}/admin/agreement/edition/\?q=x" lang="{language}"[^>]*>{name}</a>', nav)
    assert nav.count("aria-current") == 1


def test_nobody_at_the_desk_meets_the_results_of_tasks(django_user_model):
    client = browser(django_user_model, "superuser")
    page = client.get("/ru/admin/").content.decode()
    assert "Task Results" not in page
    assert "TOTP devices" not in page
    assert page.index("/ru/admin/agreement/edition/") < page.index("/ru/admin/auth/user/")
    with translation.override("ru"):
        assert client.get(reverse("admin:app_list", args=["django_tasks_database"])).status_code == 200
