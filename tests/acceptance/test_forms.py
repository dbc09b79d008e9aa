"""Signing up: the acceptance is written with the user, or neither is."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.forms import UserCreationForm
from django.contrib.auth.models import User
from django.db import transaction
from django.urls import path
from django.utils import translation

from agreement.forms import AcceptanceFormMixin
from agreement.models import Acceptance, Edition, StaleEditionError
from portal_site.urls import urlpatterns as portal
from tests.support import factories
from tests.support.site import KK, RU

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _kazakh():
    with translation.override("kk"):
        yield


WHO = {"username": "aigerim", "password1": "correct-horse-1", "password2": "correct-horse-1"}


class SignUp(AcceptanceFormMixin, UserCreationForm):
    class Meta(UserCreationForm.Meta):
        model = User


class AllauthLike(AcceptanceFormMixin, UserCreationForm):
    """A form whose ``save`` takes a request, as django-allauth's does."""

    def save(self, request):
        return super().save()


def filled(form: SignUp, **more: object) -> dict[str, object]:
    """What a browser posts of an empty form."""
    hidden = {name: field.initial for name, field in form.fields.items() if field.initial is not None}
    return hidden | WHO | {"accept_terms": "on"} | more


def users() -> int:
    return get_user_model().objects.count()


def test_the_acceptance_is_written_with_the_user():
    edition = factories.published()
    form = SignUp(filled(SignUp()))
    assert form.is_valid(), form.errors
    user = form.save()
    row = Acceptance.objects.get()
    assert (row.user, row.edition, row.digest, row.kind) == (user, edition, edition.digest, "explicit")


def test_without_the_tick_there_is_no_account():
    factories.published()
    form = SignUp(filled(SignUp(), accept_terms=""))
    assert not form.is_valid()
    assert "accept_terms" in form.errors


def test_each_box_stands_beside_its_words_and_the_text_below():
    factories.published()
    page = SignUp().as_div()
    box, words, text = (page.index(one) for one in ('type="checkbox"', "<span>", '<details class="agreement-beside">'))
    assert box < words < text
    assert page.count('id="id_accept_terms_helptext"') == 1


def test_a_stale_digest_is_an_error_that_shows_the_new_text():
    factories.published()
    posted = filled(SignUp())
    new = factories.published(kk=KK.replace("Екінші", "Үшінші"), ru=RU.replace("Второй", "Третий"))

    form = SignUp(posted)

    assert not form.is_valid()
    assert form.errors.as_data()["accept_terms"][-1].code == "stale_edition"
    page = form.as_p()
    assert new.digest in page
    assert "checked" not in page
    assert "Үшінші" in page
    assert (users(), Acceptance.objects.count()) == (0, 0)
    again = SignUp(filled(SignUp()))
    assert again.is_valid()


@pytest.mark.parametrize("forged", [{"digest_terms": "f" * 64}, {"edition_terms": "7"}, {"digest_terms": ""}])
def test_a_forged_form_is_refused(forged):
    factories.published()
    assert not SignUp(filled(SignUp(), **forged)).is_valid()


@pytest.mark.django_db(transaction=True)
def test_an_edition_published_between_check_and_save_leaves_no_user():
    factories.published()
    form = SignUp(filled(SignUp()))
    assert form.is_valid()
    factories.published()
    with pytest.raises(StaleEditionError):
        form.save()
    assert (users(), Acceptance.objects.count()) == (0, 0)


def test_a_user_saved_later_accepts_later():
    edition = factories.published()
    form = SignUp(filled(SignUp()))
    assert form.is_valid()
    user = form.save(commit=False)
    with transaction.atomic():
        user.save()
        form.accept(user)
    assert Acceptance.objects.get().edition == edition


def test_a_form_whose_save_takes_a_request_works_too():
    factories.published()
    form = AllauthLike(filled(AllauthLike()))
    assert form.is_valid()
    assert form.save(object()) == Acceptance.objects.get().user


def test_the_form_asks_about_each_agreement_in_force_or_about_those_named():
    factories.published()
    factories.published(slug="privacy")
    assert {"accept_terms", "accept_privacy"} <= set(SignUp().fields)

    class Named(SignUp):
        agreements = ("privacy",)

    assert "accept_terms" not in Named().fields
    assert "accept_privacy" in Named().fields


def test_before_the_first_edition_there_is_nothing_to_ask():
    factories.draft()
    assert Edition.objects.drafts().exists()
    form = SignUp(WHO)
    assert form.is_valid()
    form.save()
    assert not Acceptance.objects.exists()


urlpatterns = [path("signup/", lambda request: _signed(request)), *portal]


def _signed(request):
    form = SignUp(request.POST)
    assert form.is_valid()
    factories.published()
    form.save()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("headers", "kind", "says"),
    [
        ({"Accept": "text/html"}, "text/html", 'href="/signup/"'),
        ({"Accept": "application/json"}, "application/problem+json", "urn:agreement:stale"),
    ],
)
def test_a_form_that_came_too_late_is_409_and_saves_nothing(client, settings, headers, kind, says):
    settings.ROOT_URLCONF = __name__
    factories.published()
    answer = client.post("/signup/", filled(SignUp()), headers=headers)
    assert answer.status_code == 409
    assert answer["Content-Type"].startswith(kind)
    assert answer["Cache-Control"] == "private, no-store"
    assert says in answer.content.decode()
    assert (users(), Acceptance.objects.count()) == (0, 0)
