"""What was displayed is bound: an acceptance from the accept page names the HTML that the page displayed."""

from __future__ import annotations

import re
import threading
from functools import partial
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from agreement.models import Acceptance, AcceptanceKind, Decline, DisplayedText, displayed_texts
from agreement.seal.manifest import sha256
from agreement.text import article
from agreement.text.article import RENDERER
from tests.support import factories
from tests.support.site import KK, RU
from tests.views.test_acceptance import by_confirmation, changed
from tests.views.test_acceptance import fields as all_fields
from tests.views.test_several_agreements import at_once, each

pytestmark = pytest.mark.django_db

HERE = "/ru/agreements/terms/accept/"
#: A mark of a changed clause, and the element around it and its clause. Nothing else is between parts of the text.
MARK = re.compile(
    r'<div class="agreement-unit">\n((?:(?!</?div).)*?)<div class="agreement-beside">.*?</div>\n</div>\n', re.DOTALL
)


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def fields(page: str) -> dict[str, str]:
    """The hidden fields of the form, without the token, which differs in each page."""
    return {name: value for name, value in all_fields(page).items() if name != "csrfmiddlewaretoken"}


def show(reader: Client, path: str = HERE) -> str:
    return reader.get(path).content.decode()


def accept(reader: Client, page: str, **more: object) -> int:
    return reader.post(HERE, fields(page) | {"decision": "accept"} | more).status_code


def deploy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process render as one with the next version of the renderer does."""
    monkeypatch.setattr(displayed_texts, "RENDERER", RENDERER + 1)
    opening = property(lambda one: f'<div class="agreement-text later" lang="{one.language}">\n')
    monkeypatch.setattr(article.Article, "opening", opening)


# What the page displays, and what is recorded.


def test_the_page_contains_the_html_whose_digest_it_posts_and_the_acceptance_names(reader):
    edition = factories.published()

    page = show(reader)
    status = accept(reader, page)

    found = edition.article("ru")
    assert found.heading in page
    assert f"{found.opening}{found.document.html}{found.closing}" in page
    assert fields(page)["html_digest"] == sha256(found.html)
    assert status == 302
    row, displayed = Acceptance.objects.get(), DisplayedText.objects.get()
    assert (row.renderer, row.html_digest) == (RENDERER, sha256(found.html))
    assert (displayed.edition, displayed.language, displayed.renderer) == (edition, "ru", RENDERER)
    assert (displayed.digest, displayed.html) == (row.html_digest, found.html)


@pytest.mark.parametrize("address", [HERE, HERE.replace("/ru/", "/kk/"), HERE.replace("/ru/", "/en/")])
@pytest.mark.parametrize("language", ["kk", "ru"])
def test_the_html_depends_on_the_edition_and_the_language_of_the_text_alone(settings, address, language):
    settings.AGREEMENT = {**settings.AGREEMENT, "RECORD_IP": True, "SEPARATE_ANSWERS": True}
    by_confirmation("other", "terms")
    edition, _other = factories.published(), factories.published(slug="other")
    pages = [show(signed_in(user), f"{address}?language={language}") for user in factories.users(2)]
    pages.append(show(signed_in(factories.users(1)[0]), f"{address.replace('terms', 'other')}?language={language}"))
    expected = sha256(edition.article(language).html)
    assert [fields(page).get("html_digest:terms", fields(page)["html_digest"]) for page in pages] == [expected] * 3
    assert all(edition.article(language).heading in page for page in pages)


def test_beside_changed_clauses_the_page_adds_marks_and_nothing_else(reader, user):
    first = factories.published()
    Acceptance.objects.record(user=user, edition=first, digest=first.digest, language="ru", kind="explicit")
    by_confirmation("terms")
    edition = factories.published(
        kk=KK.replace("1.1. Бірінші тармақ.\n\n", "").replace("Екінші", "Өзге") + "\n1.3. Жаңа тармақ.\n",
        ru=RU.replace("1.1. Первый пункт.\n\n", "").replace("Второй", "Иной") + "\n1.3. Новый пункт.\n",
    )

    page = show(reader)

    found = edition.article("ru")
    text = f"{found.opening}{found.document.html}{found.closing}"
    assert "agreement-mark" in page
    assert text not in page
    assert text in MARK.sub(r"\1", page)
    assert fields(page)["html_digest"] == sha256(found.html)


def test_the_html_of_many_acceptances_is_stored_once_for_each_language():
    factories.published()
    for language in ("ru", "kk", "ru", "kk", "ru"):
        reader = signed_in(factories.users(1)[0])
        assert accept(reader, show(reader, f"{HERE}?language={language}")) == 302
    assert Acceptance.objects.count() == 5
    assert sorted(DisplayedText.objects.values_list("language", flat=True)) == ["kk", "ru"]


def test_accepting_twice_is_accepting_once(reader):
    factories.published()
    page = show(reader)
    assert [accept(reader, page) for _click in range(2)] == [302, 302]
    assert (Acceptance.objects.count(), DisplayedText.objects.count()) == (1, 1)


def test_the_page_costs_one_query_more_and_two_if_nobody_accepted_it_before():
    factories.published()
    costs = []
    for _user in range(3):
        reader = signed_in(factories.users(1)[0])
        page = show(reader)
        with CaptureQueriesContext(connection) as queries:
            assert accept(reader, page) == 302
        costs.append(sum("agreement_displayedtext" in query["sql"] for query in queries.captured_queries))
    assert costs == [2, 1, 1]


def test_the_record_states_the_digest_of_the_html_under_the_details(reader, user):
    edition, other = factories.published(), factories.published(slug="other")
    accept(reader, show(reader))
    Acceptance.objects.record(user=user, edition=other, digest=other.digest, language="ru", kind="explicit")

    page = show(reader, "/en/agreements/record/")

    details = re.findall(r"<summary>Details</summary>\s*<p>(.*?)</p></details>", page, re.DOTALL)
    found = [re.findall(r"<code>(\w+)</code>", one) for one in details]
    assert found == [[other.digest], [edition.digest, sha256(edition.article("ru").html)]]


def test_a_decline_names_no_html_and_needs_none(reader):
    factories.published()
    page = show(reader)
    assert reader.post(HERE, fields(page) | {"decision": "decline", "html_digest": "f" * 64}).status_code == 200
    assert Decline.objects.count() == 1
    assert not DisplayedText.objects.exists()


# What no accept page displayed names no HTML.


@pytest.mark.parametrize("kind", [AcceptanceKind.DEEMED, AcceptanceKind.ON_BEHALF])
def test_only_an_explicit_acceptance_can_name_an_html(user, kind):
    edition = factories.published()
    row = {"user": user, "edition": edition, "digest": edition.digest, "language": "ru", "kind": kind}
    displayed = DisplayedText.render(edition, "ru")
    with pytest.raises(ValueError, match="can't be what was displayed"):
        Acceptance.objects.record(**row, reason="Өтініш", officer="Офицер", displayed=displayed)
    Acceptance.objects.record(**row, reason="Өтініш", officer="Офицер")
    assert Acceptance.objects.values_list("renderer", "html_digest").get() == (None, "")


@pytest.mark.parametrize("other", ["language", "edition"])
def test_an_acceptance_names_no_html_of_another_text(user, other):
    edition, another = factories.published(), factories.published(slug="other")
    displayed = DisplayedText.render(another if other == "edition" else edition, "kk" if other == "language" else "ru")
    row = {"user": user, "edition": edition, "digest": edition.digest, "language": "ru", "kind": "explicit"}
    with pytest.raises(ValueError, match="can't be what was displayed"):
        Acceptance.objects.record(**row, displayed=displayed)
    assert not Acceptance.objects.exists()


# Attacks.

#: What is posted in place of the digest of the HTML. It is computed from that digest.
HOSTILE = {
    "none": lambda digest: "",
    "of no HTML": lambda digest: "f" * 64,
    "in capitals": str.upper,
    "with a space": lambda digest: f"{digest} ",
    "with a line end": lambda digest: f"{digest}\n",
    "with NUL": lambda digest: f"{digest}\x00",
    "NUL": lambda digest: "\x00",
    "digits of another script": lambda digest: "١" * 64,
    "one megabyte": lambda digest: "f" * 1_000_000,
    "two, the last forged": lambda digest: [digest, "f" * 64],
}


@pytest.mark.parametrize("which", HOSTILE)
@pytest.mark.parametrize("stored", [False, True])
def test_a_forged_digest_of_the_html_is_answered_with_the_text_and_records_nothing(reader, which, stored):
    factories.published()
    page = show(reader)
    if stored:
        other = signed_in(factories.users(1)[0])
        accept(other, show(other))
    before = Acceptance.objects.count(), DisplayedText.objects.count()
    posted = fields(page) | {"decision": "accept"}

    response = reader.post(HERE, posted | {"html_digest": HOSTILE[which](posted["html_digest"])})

    assert response.status_code == 409
    assert (Acceptance.objects.count(), DisplayedText.objects.count()) == before
    answer = response.content.decode()
    assert "Страница изменилась, пока Вы читали" in answer
    assert fields(answer) == fields(page)
    assert accept(reader, answer) == 302


def test_a_form_without_the_digest_of_the_html_is_answered_with_the_text(reader):
    factories.published()
    posted = {name: value for name, value in fields(show(reader)).items() if name != "html_digest"}
    assert reader.post(HERE, posted | {"decision": "accept"}).status_code == 409
    assert not Acceptance.objects.exists()


@pytest.mark.parametrize("other", ["language", "edition", "agreement"])
def test_the_html_of_another_text_is_not_that_of_this_one_even_if_a_user_accepted_it(reader, user, other):
    old = factories.published()
    by_confirmation("terms")
    another = {"language": old, "edition": old, "agreement": factories.published(slug="other")}[other]
    language = "kk" if other == "language" else "ru"
    row = {"edition": another, "digest": another.digest, "language": language, "kind": "explicit"}
    displayed = DisplayedText.render(another, language)
    Acceptance.objects.record(user=factories.users(1)[0], **row, displayed=displayed)
    if other == "edition":
        changed("новый")

    assert accept(reader, show(reader), html_digest=displayed.digest) == 409
    assert Acceptance.objects.count() == 1


def test_a_language_that_the_page_did_not_display_is_not_recorded(reader):
    factories.published()
    assert accept(reader, show(reader), language="kk") == 409
    assert not Acceptance.objects.exists()


def test_what_else_was_filled_in_is_kept(reader, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "SEPARATE_ANSWERS": True}
    by_confirmation("terms", "other")
    for slug in ("terms", "other"):
        factories.published(slug=slug)
    page = show(reader, f"{HERE}?language=kk&next=/ru/")
    consents = dict(re.findall(r'name="(consent:[^"]+)" value="([^"]+)"', page))
    assert consents
    posted = each(page, terms="accept", other="decline") | consents
    words = consents | {"consent:unknown": "f" * 64}

    answer = reader.post(HERE, posted | words | {"html_digest": "f" * 64}).content.decode()

    assert dict(re.findall(r'name="decision:(\w+)" value="(\w+)" required\s+checked', answer)) == {
        "terms": "accept",
        "other": "decline",
    }
    assert answer.count("checked") == 2 + len(consents)
    assert fields(answer) == fields(page)  # Among them the language and the way back.


def test_a_consent_in_other_words_is_not_ticked_again(reader):
    factories.published()
    page = show(reader)
    consents = re.findall(r'name="(consent:[^"]+)"', page)
    posted = fields(page) | dict.fromkeys(consents, "f" * 64) | {"decision": "accept"}
    answer = reader.post(HERE, posted)
    assert answer.status_code == 409
    assert "checked" not in answer.content.decode()


@pytest.mark.parametrize("forged", ["html_digest", "html_digest:other"])
@pytest.mark.parametrize("separate", [False, True])
def test_of_several_agreements_one_forged_digest_leaves_all_unrecorded(reader, settings, forged, separate):
    settings.AGREEMENT = {**settings.AGREEMENT, "SEPARATE_ANSWERS": separate}
    by_confirmation("terms", "other")
    editions = {slug: factories.published(slug=slug) for slug in ("terms", "other")}
    page = show(reader)
    posted = each(page, terms="accept", other="accept") if separate else fields(page) | {"decision": "accept"}

    assert reader.post(HERE, posted | {forged: "f" * 64}).status_code == 409
    assert not Acceptance.objects.exists()
    assert not DisplayedText.objects.exists()

    assert reader.post(HERE, posted).status_code == 302
    named = dict(Acceptance.objects.values_list("edition__agreement__slug", "html_digest"))
    assert named == {slug: sha256(edition.article("ru").html) for slug, edition in editions.items()}
    assert DisplayedText.objects.count() == 2


def test_an_agreement_that_is_declined_needs_no_html(reader, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "SEPARATE_ANSWERS": True}
    by_confirmation("terms", "other")
    for slug in ("terms", "other"):
        factories.published(slug=slug)
    posted = each(show(reader), terms="accept", other="decline")
    assert reader.post(HERE, posted | {"html_digest:other": ""}).status_code == 200
    assert (Acceptance.objects.count(), Decline.objects.count(), DisplayedText.objects.count()) == (1, 1, 1)


# Deployments.


def test_a_page_that_was_open_during_a_deployment_is_recorded_with_what_it_displayed(reader, monkeypatch):
    factories.published()
    first = signed_in(factories.users(1)[0])
    assert accept(first, show(first)) == 302
    page = show(reader)

    deploy(monkeypatch)

    assert accept(reader, page) == 302
    named = Acceptance.objects.order_by("pk").values_list("renderer", "html_digest")
    assert list(named) == [(RENDERER, fields(page)["html_digest"])] * 2
    later = signed_in(factories.users(1)[0])
    assert accept(later, show(later)) == 302
    assert Acceptance.objects.latest("pk").renderer == RENDERER + 1
    assert DisplayedText.objects.count() == 2


def test_a_page_that_no_user_had_accepted_before_a_deployment_is_displayed_again(reader, monkeypatch):
    factories.published()
    page = show(reader)
    deploy(monkeypatch)
    response = reader.post(HERE, fields(page) | {"decision": "accept"})
    assert response.status_code == 409
    assert not DisplayedText.objects.exists()
    assert accept(reader, response.content.decode()) == 302
    assert Acceptance.objects.get().renderer == RENDERER + 1


def test_a_version_that_is_taken_back_is_recognised_too(reader, monkeypatch):
    factories.published()
    with monkeypatch.context() as later:
        deploy(later)
        first = signed_in(factories.users(1)[0])
        assert accept(first, show(first)) == 302
        page = show(reader)
    assert fields(page) != fields(show(reader))

    assert accept(reader, page) == 302

    assert [row.renderer for row in Acceptance.objects.all()] == [RENDERER + 1] * 2


def test_a_version_that_did_not_change_this_text_is_a_row_of_its_own(reader, monkeypatch):
    factories.published()
    page = show(reader)
    accept(reader, page)
    monkeypatch.setattr(displayed_texts, "RENDERER", RENDERER + 1)
    later = signed_in(factories.users(1)[0])
    assert accept(later, page) == 302
    assert list(DisplayedText.objects.values_list("renderer", "digest")) == [
        (RENDERER, fields(page)["html_digest"]),
        (RENDERER + 1, fields(page)["html_digest"]),
    ]
    assert Acceptance.objects.latest("pk").renderer == RENDERER + 1


# At the same moment.


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgresql
def test_two_users_who_are_the_first_to_accept_store_the_html_once_and_are_both_recorded():
    """The second transaction does not see the row of the first before the first is committed."""
    edition, users = factories.published(), factories.users(2)
    done = []

    def record(user: Any) -> Acceptance:
        displayed = DisplayedText.render(edition, "ru")
        row = {"edition": edition, "digest": edition.digest, "language": "ru", "kind": "explicit"}
        return Acceptance.objects.record(user=user, **row, displayed=displayed)

    def record_too() -> None:
        try:
            done.append(record(users[1]))
        finally:
            connection.close()

    with transaction.atomic():
        first = record(users[0])
        thread = threading.Thread(target=record_too)
        thread.start()
        thread.join(0.5)
        assert done == []
    thread.join(10)

    assert [row.html_digest for row in (first, *done)] == [DisplayedText.objects.get().digest] * 2
    assert Acceptance.objects.count() == 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("round_", range(3))
def test_users_who_accept_for_the_first_time_at_the_same_moment_are_all_recorded(round_):
    factories.published()
    clients = [signed_in(user) for user in factories.users(4)]
    bodies = [fields(show(client)) | {"decision": "accept"} for client in clients]
    sends = [partial(client.post, HERE, body) for client, body in zip(clients, bodies, strict=True)]
    assert at_once(*sends) == [302] * 4
    assert (Acceptance.objects.count(), DisplayedText.objects.count()) == (4, 1)
