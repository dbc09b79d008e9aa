"""What every account page does, whatever it displays."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client

from agreement.models import Acceptance, Edition
from tests.support import factories

pytestmark = pytest.mark.django_db

ACCEPT, CONSENT = "/ru/agreements/terms/accept/", "/ru/agreements/record/consent/"
WITHOUT_AGREEMENT = "/ru/agreements/nothing/accept/"


@pytest.fixture
def user():
    factories.published()
    return factories.users(1)[0]


@pytest.mark.parametrize(
    ("method", "path", "fields", "status"),
    [
        ("get", WITHOUT_AGREEMENT, {}, 404),
        ("put", ACCEPT, {}, 405),
        ("get", CONSENT, {}, 405),
        ("post", ACCEPT, {"decision": "perhaps"}, 400),
        ("post", ACCEPT, {f"field{number}": "" for number in range(1001)}, 400),
    ],
)
def test_no_cache_stores_a_refusal_of_an_account_page(client, user, method, path, fields, status):
    client.force_login(user)
    response = getattr(client, method)(path, fields)
    assert (response.status_code, response["Cache-Control"]) == (status, "private, no-store")


def test_no_cache_stores_that_a_visitor_may_not_post(client, user):
    response = client.post(ACCEPT)
    assert (response.status_code, response["Cache-Control"]) == (403, "private, no-store")


def test_no_cache_stores_that_a_form_without_a_token_is_refused(user):
    careful = Client(enforce_csrf_checks=True)
    careful.force_login(user)
    response = careful.post(ACCEPT)
    assert (response.status_code, response["Cache-Control"]) == (403, "private, no-store")


@pytest.mark.parametrize("atomic_requests", [False, True])
def test_a_refused_answer_records_nothing_of_the_others(client, user, monkeypatch, atomic_requests):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", atomic_requests)
    client.force_login(user)
    edition = Edition.objects.get()
    answer = {"edition": edition.number, "digest": edition.digest, "language": "ru"}
    other = {f"{name}:unknown": value for name, value in answer.items()}
    assert client.post(ACCEPT, answer | other | {"decision": "accept"}).status_code == 404
    assert not Acceptance.objects.exists()
