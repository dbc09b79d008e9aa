"""Run by ``tests/acceptance/test_signup.py`` under ``tests.signup.settings``: django-allauth's own page and views."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from agreement.checks import check_deployment
from agreement.models import Acceptance
from tests.signup.forms import SignUp
from tests.support import factories

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = "/accounts/signup/"
WHO = {
    "username": "somebody",
    "email": "somebody@example.kz",
    "password1": "correct-horse-1",
    "password2": "correct-horse-1",
}
HTML = {"Accept": "text/html"}


def filled(client: Client, **more: object) -> dict[str, object]:
    """What a browser posts of the page it was shown."""
    page = client.get(PAGE, headers=HTML).content.decode()
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page))
    assert "accept_terms" in page
    return hidden | WHO | {"accept_terms": "on"} | more


def users() -> int:
    return get_user_model().objects.count()


def test_the_acceptance_is_written_with_the_account(client):
    edition = factories.published()
    assert client.post(PAGE, filled(client), headers=HTML).status_code == 302
    (row,) = Acceptance.objects.all()
    assert (row.user.username, row.edition, row.digest, row.kind) == ("somebody", edition, edition.digest, "explicit")


def test_W046_sees_whether_the_limits_of_allauth_are_on(settings):  # noqa: N802
    settings.INSTALLED_APPS = [name for name in settings.INSTALLED_APPS if name != "axes"]
    assert settings.ACCOUNT_RATE_LIMITS is False
    assert "agreement.W046" in [message.id for message in check_deployment(None)]
    del settings.ACCOUNT_RATE_LIMITS
    assert "agreement.W046" not in [message.id for message in check_deployment(None)]


def test_without_the_tick_there_is_no_account(client):
    factories.published()
    posted = filled(client)
    del posted["accept_terms"]
    assert client.post(PAGE, posted, headers=HTML).status_code == 200
    assert (users(), Acceptance.objects.count()) == (0, 0)


def test_an_edition_that_took_effect_meanwhile_is_shown_in_the_form(client):
    factories.published()
    posted = filled(client)
    new = factories.published()
    answer = client.post(PAGE, posted, headers=HTML)
    assert answer.status_code == 200
    assert new.digest in answer.content.decode()
    assert (users(), Acceptance.objects.count()) == (0, 0)


def test_an_edition_that_takes_effect_after_the_form_was_checked_is_409_and_nothing_is_saved(client, monkeypatch):
    factories.published()
    posted = filled(client)
    real = SignUp.save

    def too_late(self, *args, **kwargs):
        factories.published()
        return real(self, *args, **kwargs)

    monkeypatch.setattr(SignUp, "save", too_late)
    answer = client.post(PAGE, posted, headers=HTML)
    assert answer.status_code == 409
    assert PAGE in answer.content.decode()
    assert (users(), Acceptance.objects.count()) == (0, 0)
    assert "_auth_user_id" not in client.session
