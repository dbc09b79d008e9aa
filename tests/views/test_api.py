"""Programs read what a user can accept, and answer: what was displayed is what is recorded, or nothing is."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agreement.models import Acceptance, Agreement, AuditEntry, Decline, Edition, Withdrawal
from agreement.models.agreements import AcceptanceMode
from agreement.views import api
from tests.support import factories
from tests.support.site import KK, RU
from tests.views.test_acceptance import by_confirmation, changed

pytestmark = pytest.mark.django_db

HERE = "/ru/agreements/api/acceptances/"
DESCRIPTION = json.loads(api.OPENAPI)


@pytest.fixture
def program(user) -> Client:
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    return client


def checked(response: Any, method: str) -> Any:
    """The content of the response, which the description allows for this method."""
    operation = DESCRIPTION["paths"]["/api/acceptances/"][method]
    media = operation["responses"][str(response.status_code)]["content"]
    assert list(media) == [response.headers["Content-Type"]]
    assert response.headers["Cache-Control"] == "private, no-store"
    (schema,) = (one["schema"] for one in media.values())
    found = response.json()
    jsonschema.Draft202012Validator(schema | {"components": DESCRIPTION["components"]}).validate(found)
    return found


def read(program: Client) -> Any:
    return checked(program.get(HERE), "get")


def post(program: Client, body: object, **headers: str) -> Any:
    if "X-CSRFToken" not in headers and "csrftoken" in program.cookies:
        headers["X-CSRFToken"] = program.cookies["csrftoken"].value
    content = body if isinstance(body, bytes) else json.dumps(body)
    return program.post(HERE, content, content_type="application/json", headers=headers)


def answers(*editions: Edition, decision: str = "accept", **more: object) -> dict[str, object]:
    found = [
        {"agreement": one.agreement.slug, "edition": one.number, "digest": one.digest, "language": "ru"} | more
        for one in editions
    ]
    return {"decision": decision, "answers": found}


def test_a_program_reads_what_must_be_accepted_and_accepts_it(program, user):
    edition = factories.published()
    by_confirmation("terms")

    (due,) = read(program)["agreements"]
    body = {name: due[name] for name in ("agreement", "edition", "digest")} | {"language": "kk"}
    recorded = checked(post(program, {"decision": "accept", "answers": [body]}), "post")

    assert (due["edition"], due["state"], due["accepted"], due["must_accept"]) == (1, "in_force", False, True)
    assert due["titles"] == {"kk": "Пайдаланушы келісімі", "ru": "Пользовательское соглашение"}
    row = Acceptance.objects.get()
    assert (row.user, row.edition, row.digest, row.language, row.kind) == (
        user,
        edition,
        edition.digest,
        "kk",
        "explicit",
    )
    assert (row.renderer, row.html_digest) == (None, "")  # The program displayed the text.
    assert recorded["answers"][0]["recorded_at"].startswith(timezone.localtime(row.at).isoformat()[:19])
    (done,) = read(program)["agreements"]
    assert (done["accepted"], done["must_accept"]) == (True, False)
    assert Client().get(urlsplit(due["texts"]["ru"]).path).content.decode() == RU


@pytest.mark.parametrize("language", ["kk", "ru", "en"])
def test_the_addresses_are_in_the_language_of_the_request(program, language):
    factories.published()
    (due,) = program.get(f"/{language}/agreements/api/acceptances/").json()["agreements"]
    addresses = [*due["texts"].values(), due["data"], due["page"]]
    assert {urlsplit(address).path.split("/")[1] for address in addresses} == {language}


def test_what_was_recorded_before_is_not_recorded_again(program):
    edition = factories.published()
    read(program)
    first, second = (checked(post(program, answers(edition)), "post") for _time in range(2))
    assert first == second
    assert Acceptance.objects.count() == 1


def test_several_agreements_are_answered_at_once_or_none_is(program):
    editions = [factories.published(), factories.published(slug="privacy")]
    by_confirmation("terms", "privacy")
    read(program)

    stale = answers(*editions)
    stale["answers"][1]["digest"] = "f" * 64  # type: ignore[index]
    refused = checked(post(program, stale), "post")

    assert (refused["status"], refused["type"]) == (409, "urn:agreement:stale")
    assert [one["digest"] for one in refused["agreements"]] == [editions[1].digest, editions[0].digest]
    assert not Acceptance.objects.exists()
    checked(post(program, answers(*editions)), "post")
    assert {row.edition for row in Acceptance.objects.all()} == {*editions}


def test_a_decline_is_recorded_and_an_acceptance_stays(program):
    edition = factories.published()
    read(program)
    declined = checked(post(program, answers(edition, decision="decline")), "post")
    assert declined["answers"][0]["recorded_at"]
    assert Decline.objects.get().edition == edition
    post(program, answers(edition))
    again = checked(post(program, answers(edition, decision="decline")), "post")
    assert again["answers"][0]["recorded_at"] is None
    assert (Acceptance.objects.count(), Decline.objects.count()) == (1, 1)


def test_another_edition_in_force_is_409_with_what_is_in_force_now(program):
    old = factories.published()
    new = changed("жаңа")
    read(program)
    refused = checked(post(program, answers(old)), "post")
    assert refused["status"] == 409
    assert [one["edition"] for one in refused["agreements"]] == [new.number]
    assert not Acceptance.objects.exists()


def test_days_to_agree_are_stated(program):
    first = factories.published()
    by_confirmation("terms")
    read(program)
    post(program, answers(first))
    changed("жаңа", grace_days=10)
    (due,) = read(program)["agreements"]
    assert (due["edition"], due["accepted"], due["must_accept"]) == (2, False, False)
    assert due["accept_until"]


def test_who_withdrew_reads_it_and_accepts_again_if_they_may(program, user):
    edition = factories.published()
    for may_accept_again in (True, False):
        Withdrawal.objects.register(
            agreement=edition.agreement,
            user=user,
            outcome="ended",
            received_on=timezone.localdate(),
            may_accept_again=may_accept_again,
        )
        (due,) = read(program)["agreements"]
        assert (due["withdrawn"], due["must_accept"], due["can_accept"]) == (True, True, may_accept_again)
        response = checked(post(program, answers(edition)), "post")
        if may_accept_again:
            assert read(program)["agreements"][0]["accepted"]
    assert (response["status"], response["type"]) == (403, "urn:agreement:withdrawn")


def test_an_agreement_that_is_accepted_elsewhere_is_left_out(program):
    factories.published()
    Agreement.objects.update(acceptance_mode=AcceptanceMode.ELSEWHERE)
    assert read(program)["agreements"] == []


def test_an_announced_edition_can_be_accepted_where_the_site_allows_it(program, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "ACCEPT_ANNOUNCED": True}
    first = factories.published()
    announced = factories.published(
        kk=KK.replace("Екінші", "Үшінші"),
        ru=RU.replace("Второй", "Третий"),
        effective_from=timezone.now() + timedelta(9),
    )
    read(program)
    post(program, answers(first))
    (due,) = read(program)["agreements"]
    assert (due["edition"], due["state"], due["must_accept"]) == (announced.number, "scheduled", False)
    assert checked(post(program, answers(announced)), "post")["answers"][0]["edition"] == 2


def test_nobody_signed_in_is_told_so(client):
    factories.published()
    assert checked(client.get(HERE), "get")["type"] == "urn:agreement:not-signed-in"
    assert checked(post(client, answers()), "post")["type"] == "urn:agreement:not-signed-in"


def test_a_session_needs_the_csrf_token_and_a_token_of_the_site_does_not(program):
    edition = factories.published()
    refused = checked(post(program, answers(edition), **{"X-CSRFToken": ""}), "post")
    assert (refused["status"], refused["type"]) == (403, "urn:agreement:csrf")
    basic = "Basic " + base64.b64encode(b"user0:x").decode()
    assert checked(post(program, answers(edition), Authorization=basic), "post")["type"] == "urn:agreement:csrf"
    assert not Acceptance.objects.exists()
    assert post(program, answers(edition), Authorization="Bearer 1").status_code == 200
    assert read(program)["csrf_token"]


def test_who_acts_for_a_user_may_read_and_not_answer(program, user, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "ACTING_AS": "tests.views.test_api.acting"}
    edition = factories.published()
    read(program)
    refused = checked(post(program, answers(edition)), "post")
    assert (refused["status"], refused["type"]) == (403, "urn:agreement:impersonation")
    assert not Acceptance.objects.exists()
    # The newest first.
    assert [entry.note for entry in AuditEntry.objects.filter(action="impersonated")] == ["api", ""]


def acting(request: Any) -> object:
    return "А. Серікова"


ANSWER = {"agreement": "terms", "edition": 1, "digest": "f" * 64, "language": "ru"}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b" ", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        ([], "must be an object"),
        ({"decision": "accept"}, "must be an object"),
        ({"decision": "yes", "answers": [ANSWER]}, "decision is 'yes'"),
        ({"decision": [], "answers": [ANSWER]}, "decision is []"),
        ({"decision": "accept", "answers": []}, "1 to 50"),
        ({"decision": "accept", "answers": [ANSWER] * 51}, "1 to 50"),
        ({"decision": "accept", "answers": [ANSWER] * 2}, "the same agreement"),
        ({"decision": "accept", "answers": ["terms"]}, "must be an object"),
        ({"decision": "accept", "answers": [ANSWER | {"user": 1}]}, "and nothing else"),
        ({"decision": "accept", "answers": [ANSWER | {"agreement": 1}]}, "must be text"),
        ({"decision": "accept", "answers": [ANSWER | {"edition": True}]}, "edition is True"),
        ({"decision": "accept", "answers": [ANSWER | {"edition": "1"}]}, "edition is '1'"),
        ({"decision": "accept", "answers": [ANSWER | {"language": "en"}]}, "language is 'en'"),
        ({"decision": "accept", "answers": [ANSWER | {"language": []}]}, "language is []"),
    ],
)
def test_what_is_no_answer_is_named(program, body, says):
    factories.published()
    read(program)
    refused = checked(post(program, body), "post")
    assert (refused["status"], refused["type"]) == (400, "urn:agreement:invalid")
    assert says in refused["detail"]


def test_another_type_of_content_is_refused(program):
    read(program)
    token = program.cookies["csrftoken"].value
    response = program.post(HERE, {"decision": "accept"}, headers={"X-CSRFToken": token})
    assert "multipart/form-data" in checked(response, "post")["detail"]


def test_a_request_that_is_too_large_is_refused(program, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    read(program)
    assert checked(post(program, b" " * 1001), "post")["status"] == 413


@pytest.mark.parametrize("edition", [10**400, 7], ids=["huge", "7"])
def test_an_unknown_edition_is_409_and_an_unknown_agreement_404(program, edition):
    factories.published()
    read(program)
    assert (
        checked(post(program, {"decision": "accept", "answers": [ANSWER | {"edition": edition}]}), "post")["status"]
        == 409
    )
    unknown = {"decision": "accept", "answers": [ANSWER | {"agreement": "x\x00"}]}
    assert checked(post(program, unknown), "post")["type"] == "urn:agreement:unknown"


def test_another_method_is_405(program):
    response = program.delete(HERE)
    assert response.status_code == 403  # Without a token.
    read(program)
    response = program.delete(HERE, headers={"X-CSRFToken": program.cookies["csrftoken"].value})
    assert (response.status_code, response.headers["Allow"]) == (405, "GET, HEAD, POST")


def test_reading_costs_queries_that_do_not_grow_with_the_texts(program):
    factories.published()
    factories.published(slug="privacy")
    read(program)
    with CaptureQueriesContext(
        connection,
    ) as few:
        read(program)
    # The session, the user, the dates (twice inside a transaction), the acceptances, the editions, and the withdrawals
    # of each agreement.
    assert len(few) == 8, [query["sql"][:60] for query in few.captured_queries]
    assert not any("body" in query["sql"] for query in few.captured_queries)


def test_the_description_is_public_and_describes_what_the_addresses_are(client):
    response = client.get("/ru/agreements/api/openapi.json")
    assert response.headers["Content-Type"] == "application/openapi+json"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert list(response.json()["paths"]) == ["/api/acceptances/"]
    jsonschema.Draft202012Validator.check_schema(DESCRIPTION["components"]["schemas"]["agreement"])
