"""One page for all agreements that are due: one answer to all or an answer to each, recorded together or not at all."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from django.utils import timezone

from agreement.models import Acceptance, Consent, Decline, Edition, Withdrawal
from tests.support import factories
from tests.views.test_acceptance import by_confirmation, changed, fields

pytestmark = pytest.mark.django_db

HERE = "/ru/agreements/terms/accept/"
API = "/ru/agreements/api/acceptances/"
DUE = "/ru/agreements/accept/"


@pytest.fixture
def editions(settings) -> dict[str, Edition]:
    """Three agreements that are accepted by confirmation, on a site that takes an answer to each."""
    settings.AGREEMENT = {**settings.AGREEMENT, "SEPARATE_ANSWERS": True}
    slugs = ("partners", "privacy", "terms")
    by_confirmation(*slugs)
    return {slug: factories.published(slug=slug) for slug in slugs}


def each(page: str, **decisions: str) -> dict[str, Any]:
    """What a browser posts of this page if the user gives these answers."""
    chosen = {f"decision:{slug}": decision for slug, decision in decisions.items()}
    return fields(page) | chosen | {"decision": "each"}


def show(reader: Client, path: str = HERE) -> str:
    return reader.get(path).content.decode()


def accepted() -> set[str]:
    return set(Acceptance.objects.values_list("edition__agreement__slug", flat=True))


def declined() -> set[str]:
    return set(Decline.objects.values_list("edition__agreement__slug", flat=True))


def at_once(*sends: Callable[[], Any]) -> list[int]:
    """Send these requests at the same moment, and return the statuses of the answers."""
    barrier, statuses = threading.Barrier(len(sends)), []

    def send_one(send: Callable[[], Any]) -> None:
        try:
            barrier.wait()
            statuses.append(send().status_code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=send_one, args=(send,)) for send in sends]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


def test_the_page_asks_about_each_and_has_one_button(reader, editions):
    page = show(reader)
    radios = re.findall(r'<input type="radio" name="decision:(\w+)" value="(\w+)" required\s*>', page)
    assert radios == [(slug, value) for slug in ("terms", "partners", "privacy") for value in ("accept", "decline")]
    assert re.findall(r'<button form="question" name="decision" value="(\w+)">', page) == ["each"]
    assert page.count("<fieldset") == 3 + page.count('name="consent:')


@pytest.mark.parametrize(("separate", "slugs"), [(False, ("terms", "privacy")), (True, ("terms",))])
def test_with_one_agreement_or_without_the_setting_one_answer_is_about_all(reader, settings, separate, slugs):
    settings.AGREEMENT = {**settings.AGREEMENT, "SEPARATE_ANSWERS": separate}
    by_confirmation(*slugs)
    for slug in slugs:
        factories.published(slug=slug)
    page = show(reader)
    assert 'type="radio"' not in page
    assert re.findall(r'<button form="question" name="decision" value="(\w+)">', page) == ["accept", "decline"]
    # Before the texts, the page lists all documents that one press of a button is about.
    listed = re.findall(r'<a\s+href="#title-(\w+)"', page.partition("<article")[2].partition("agreement-kicker")[0])
    assert listed == (["terms", "privacy"] if len(slugs) > 1 else [])
    question = "Принимаете ли Вы условия всех этих документов?"
    assert page.count(question) == (2 if len(slugs) > 1 else 0)


def test_declining_one_does_not_lose_the_others(reader, user, editions):
    posted = each(show(reader, f"{HERE}?next=/ru/"), terms="accept", partners="decline", privacy="accept")

    response = reader.post(HERE, posted)

    assert response.status_code == 200
    assert (accepted(), declined()) == ({"terms", "privacy"}, {"partners"})
    for row in Acceptance.objects.select_related("edition__agreement"):
        edition = editions[row.edition.agreement.slug]
        assert (row.user, row.edition, row.digest, row.kind) == (user, edition, edition.digest, "explicit")
    assert Decline.objects.get().digest == editions["partners"].digest
    page = response.content.decode()
    assert "<h1>Ваши ответы записаны</h1>" in page
    assert page.count("Вы приняли условия этой редакции. Ваш ответ записан:") == 2
    assert page.count("Вы не приняли условия этой редакции. Ваш ответ записан:") == 1
    assert 'href="/ru/agreements/partners/accept/?next=%2Fru%2F"' in page
    # They are asked about the one that they declined, and about nothing else.
    answer = reader.get("/ru/materials/", headers={"Accept": "text/html"})
    assert answer["Location"].startswith("/ru/agreements/partners/accept/")
    assert fields(show(reader, "/ru/agreements/partners/accept/"))["edition"] == "1"


def test_accepting_each_leads_back(reader, editions):
    posted = each(show(reader, f"{HERE}?next=/ru/"), terms="accept", partners="accept", privacy="accept")
    response = reader.post(HERE, posted)
    assert (response.status_code, response.headers["Location"]) == (302, "/ru/")
    assert accepted() == set(editions)


def test_declining_each_is_declining(reader, editions):
    response = reader.post(HERE, each(show(reader), terms="decline", partners="decline", privacy="decline"))
    assert (response.status_code, accepted(), declined()) == (200, set(), set(editions))
    assert "<h1>Вы не приняли условия</h1>" in response.content.decode()


def test_a_consent_is_recorded_beside_answers_to_each(reader, editions):
    page = show(reader)
    [(name, digest)] = re.findall(r'name="(consent:\w+)" value="(\w+)"', page)
    reader.post(HERE, each(page, terms="accept", partners="decline", privacy="accept") | {name: digest})
    assert Consent.objects.count() == 1


@pytest.mark.parametrize("stale", ["terms", "partners", "privacy"])
def test_if_one_edition_changed_nothing_is_recorded_and_the_other_answers_are_proposed(reader, editions, stale):
    posted = each(show(reader), terms="accept", partners="decline", privacy="accept")
    new = changed("новый", slug=stale)

    response = reader.post(HERE, posted)

    assert (response.status_code, accepted(), declined()) == (409, set(), set())
    page = response.content.decode()
    assert new.digest in fields(page).values()
    chosen = dict(re.findall(r'name="decision:(\w+)" value="(\w+)" required\s+checked', page))
    given = {"terms": "accept", "partners": "decline", "privacy": "accept"}
    assert chosen == {slug: decision for slug, decision in given.items() if slug != stale}
    assert reader.post(HERE, each(page, **given)).status_code == 200
    assert (accepted(), declined()) == ({"terms", "privacy"}, {"partners"})


def test_an_answer_to_what_was_accepted_meanwhile_changes_nothing(reader, user, editions):
    posted = each(show(reader), terms="decline", partners="accept", privacy="accept")
    terms = editions["terms"]
    Acceptance.objects.record(user=user, edition=terms, digest=terms.digest, language="kk", kind="explicit")
    page = reader.post(HERE, posted).content.decode()
    assert (accepted(), declined()) == (set(editions), set())
    assert "поэтому ничего не записано" in page


def hostile(editions: dict[str, Edition]) -> dict[str, tuple[dict[str, Any], int]]:
    """Changes to a form with an answer to each, and the status of the answer. ``None`` removes a field."""
    return {
        "no decision about one": ({"decision:privacy": None}, 400),
        "an empty decision": ({"decision:privacy": ""}, 400),
        "another decision": ({"decision:privacy": "each"}, 400),
        "two decisions about one": ({"decision:privacy": ["accept", "decline"]}, 400),
        "the same decision twice": ({"decision:privacy": ["accept", "accept"]}, 400),
        "no decision at all": ({"decision": None}, 400),
        "no digest": ({"digest:privacy": None}, 409),
        "no digest of the first": ({"digest": None}, 409),
        "the digest of another agreement": ({"digest:privacy": editions["terms"].digest}, 409),
        "an edition that does not exist": ({"edition:privacy": "7"}, 409),
        "no edition": ({"edition:privacy": ""}, 400),
        "no language": ({"language:privacy": None}, 400),
        "an agreement that does not exist": (
            {"edition:none": "1", "digest:none": "f" * 64, "language:none": "ru", "decision:none": "accept"},
            404,
        ),
        "a decision without an edition is ignored": ({"decision:none": "accept"}, 302),
        # The fields of the agreement of the page have no slug; these are ignored.
        "the same agreement twice": (
            {"edition:terms": "7", "digest:terms": "f" * 64, "language:terms": "ru"},
            302,
        ),
    }


@pytest.mark.parametrize("which", hostile({"terms": Edition()}))
def test_a_form_that_was_tampered_with_is_recorded_as_a_whole_or_not_at_all(reader, editions, which):
    posted = each(show(reader), terms="accept", partners="accept", privacy="accept")
    change, status = hostile(editions)[which]
    posted = {name: value for name, value in (posted | change).items() if value is not None}
    assert reader.post(HERE, posted).status_code == status
    assert accepted() == (set(editions) if status == 302 else set())
    assert not Decline.objects.exists()


def test_a_form_with_fields_about_the_agreement_of_the_page_alone_is_refused(reader, editions):
    """They would have no slug. Such a form once recorded nothing and answered as if it had."""
    posted = {"decision": "accept", "edition:terms": "1", "digest:terms": "f" * 64, "language:terms": "ru"}
    assert reader.post(HERE, posted).status_code == 400
    assert accepted() == set()


def test_without_the_setting_an_answer_to_each_is_refused(reader, editions, settings):
    posted = each(show(reader), terms="accept", partners="decline", privacy="accept")
    settings.AGREEMENT = {**settings.AGREEMENT, "SEPARATE_ANSWERS": False}
    assert reader.post(HERE, posted).status_code == 400
    assert (accepted(), declined()) == (set(), set())


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("round_", range(5))
def test_two_windows_that_answer_at_the_same_moment_record_one_answer_each(user, editions, round_):
    """The pages are of different agreements, so their forms name the agreements in different orders."""
    clients = [Client(), Client()]
    paths = [f"/ru/agreements/{slug}/accept/" for slug in ("terms", "partners")]
    bodies = []
    for client, path in zip(clients, paths, strict=True):
        client.force_login(user)
        bodies.append(each(show(client, path), terms="accept", partners="accept", privacy="decline"))
    sends = [partial(one.post, path, body) for one, path, body in zip(clients, paths, bodies, strict=True)]
    assert at_once(*sends) == [200, 200]
    assert (Acceptance.objects.count(), Decline.objects.count()) == (2, 1)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("round_", range(5))
def test_two_programs_that_answer_at_the_same_moment_record_one_answer_each(user, editions, round_):
    answers = [
        {"agreement": slug, "edition": 1, "digest": edition.digest, "language": "kk"}
        for slug, edition in editions.items()
    ]
    sends = []
    for order in (answers, answers[::-1]):
        client = Client()
        client.force_login(user)
        body = {"decision": "accept", "answers": order}
        sends.append(partial(client.post, API, body, content_type="application/json"))
    assert at_once(*sends) == [200, 200]
    assert Acceptance.objects.count() == 3


# The address of everything that is due


def test_the_address_of_what_is_due_leads_to_the_page_that_asks_and_then_back(reader, user, editions):
    assert reader.get(f"{DUE}?next=/ru/")["Location"] == "/ru/agreements/partners/accept/?next=%2Fru%2F"
    for slug in ("partners", "terms"):
        edition = editions[slug]
        Acceptance.objects.record(user=user, edition=edition, digest=edition.digest, language="kk", kind="explicit")
    assert reader.get(DUE)["Location"] == "/ru/agreements/privacy/accept/"
    privacy = editions["privacy"]
    Withdrawal.objects.register(
        agreement=privacy.agreement,
        user=user,
        outcome="ended",
        received_on=timezone.now().date(),
        may_accept_again=False,
    )
    # Nothing can be accepted.
    assert reader.get(f"{DUE}?next=/ru/")["Location"] == "/ru/"
    assert reader.get(DUE)["Location"] == "/ru/agreements/record/"
    assert reader.get(f"{DUE}?next=//evil.example/")["Location"] == "/ru/agreements/record/"


def test_a_visitor_logs_in_before_they_see_what_is_due(client, editions):
    assert client.get(DUE)["Location"] == f"/ru/accounts/login/?next={DUE}"


def test_an_agreement_for_other_users_is_not_due(reader, editions, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "AUDIENCES": {"partners": "tests.acceptance.test_audiences.partners"}}
    assert reader.get(DUE)["Location"] == "/ru/agreements/privacy/accept/"
    assert "edition:partners" not in fields(show(reader))
