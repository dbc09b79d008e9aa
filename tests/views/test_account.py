"""What every account page does, whatever it displays."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from agreement.models import Acceptance, Agreement, Edition, log_records
from agreement.notices import dispatch
from agreement.testing import open_seal
from tests.support import factories
from tests.support.signed_logs import sign_with

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
    answer = factories.fields(edition)
    other = {f"{name}:unknown": value for name, value in answer.items()}
    assert client.post(ACCEPT, answer | other | {"decision": "accept"}).status_code == 404
    assert not Acceptance.objects.exists()


def test_the_header_of_account_pages_says_who_is_signed_in_and_no_public_page_does(client, user):
    type(user).objects.update(date_joined=timezone.now() - timedelta(days=1))
    client.force_login(user)
    page = client.get("/en/agreements/record/").content.decode()
    assert f"Signed in: {user.username}" in page
    assert "new: 1" in page
    assert 'action="/en/accounts/logout/"' in page
    assert '<meta name="robots" content="noindex">' in page
    public = client.get("/en/agreements/terms/")
    assert "Signed in" not in public.content.decode()
    assert not public.cookies


def test_a_note_tells_a_user_what_using_the_site_recorded(client, user):
    client.force_login(user)
    assert "By using the site on" not in client.get("/en/agreements/record/").content.decode()
    client.get("/en/", headers={"accept": "text/html"})
    assert Acceptance.objects.get().kind == "deemed"
    for address in ("record", "notices"):
        page = client.get(f"/en/agreements/{address}/").content.decode()
        assert "By using the site on" in page
        assert "you accepted edition 1 of this agreement" in page
    first = Acceptance.objects.get()
    with open_seal():
        Acceptance.objects.update(at=first.at - timedelta(days=8), recorded_at=first.at - timedelta(days=8))
    assert "By using the site on" not in client.get("/en/agreements/record/").content.decode()


def test_the_record_states_why_a_notice_was_not_sent(client, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "NOTICE_DELAY": timedelta()}
    [someone] = factories.users(1)
    type(someone).objects.filter(pk=someone.pk).update(email="")
    factories.published()
    dispatch.work()
    client.force_login(someone)
    page = " ".join(client.get("/ru/agreements/record/").content.decode().split())
    assert "не отправлено (нет адреса)" in page or "не отправлялось (нет адреса)" in page


def test_the_record_says_that_an_acceptance_is_not_in_the_log_yet(client, user, settings):
    sign_with(settings)
    edition = Edition.objects.get()
    Acceptance.objects.record(user=user, edition=edition, digest=edition.digest, language="ru", kind="explicit")
    client.force_login(user)
    words = "в журнале ещё нет"
    assert words in client.get("/ru/agreements/record/").text
    log_records.sweep(force=True)
    assert words not in client.get("/ru/agreements/record/").text


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("by_use", "Использование сайта считается присоединением к этому соглашению."),
        ("by_confirmation", "К этой редакции Вы ещё не присоединились."),
        ("elsewhere", ""),
    ],
)
def test_the_record_leads_to_what_the_user_has_not_accepted(client, user, mode, words):
    Agreement.objects.update(acceptance_mode=mode)
    client.force_login(user)
    page = client.get("/ru/agreements/record/").text
    assert "Вы не присоединились ни к одной редакции." in page
    assert (f'href="{ACCEPT}"' in page) is bool(words)
    assert words in page

    edition = Edition.objects.get()
    Acceptance.objects.record(user=user, edition=edition, digest=edition.digest, language="ru", kind="explicit")
    assert f'href="{ACCEPT}"' not in client.get("/ru/agreements/record/").text
