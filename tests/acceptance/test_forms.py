"""Signing up: the acceptance is written with the user, or neither is."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.forms import UserCreationForm
from django.contrib.auth.models import User
from django.db import transaction
from django.urls import path
from django.utils import translation

from agreement.forms import AcceptanceFormMixin
from agreement.models import Acceptance, Decline, Edition, StaleEditionError
from portal_site.urls import urlpatterns as portal
from tests.docs.test_documents import code_blocks, read
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
    assert (row.renderer, row.html_digest) == (None, "")  # The template of the site displayed the text.


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


# Several documents


@pytest.fixture
def of_the_guide() -> type[SignUp]:
    """The form of the guide that asks about three agreements, word for word. All have an edition in force."""
    first, *codes = [code for code in code_blocks(read("acceptance.md"), "python") if "SignUpForm" in code]
    names: dict[str, Any] = {}
    for code in (first, *codes):
        exec(code, names)  # noqa: S102 - the code of the guide
    form: type[SignUp] = names["PartnerSignUpForm"]
    for slug in form.agreements:
        factories.published(slug=slug)
    return form


def all_ticked(form: type[SignUp], **more: object) -> dict[str, object]:
    return filled(form(), **{f"accept_{slug}": "on" for slug in form.agreements}, accept_terms="") | more


def slugs() -> set[str]:
    return set(Acceptance.objects.values_list("edition__agreement__slug", flat=True))


def test_each_document_is_recorded_with_its_own_edition_and_digest(of_the_guide):
    factories.published(slug="partner-terms")
    form = of_the_guide(all_ticked(of_the_guide))
    assert form.is_valid(), form.errors
    user = form.save()
    rows = Acceptance.objects.select_related("edition__agreement")
    assert {(row.user, row.edition.agreement.slug, row.edition.number, row.kind) for row in rows} == {
        (user, "user-agreement", 1, "explicit"),
        (user, "partner-terms", 2, "explicit"),
        (user, "newsletter-terms", 1, "explicit"),
    }
    assert all(row.digest == row.edition.digest for row in rows)


def test_an_optional_document_that_is_not_ticked_does_not_lose_the_others(of_the_guide):
    page = of_the_guide().as_div()
    required = re.findall(r'<input type="checkbox" name="accept_([-a-z]+)"[^>]*required', page)
    assert required == ["user-agreement", "partner-terms"]

    form = of_the_guide(all_ticked(of_the_guide, **{"accept_newsletter-terms": ""}))

    assert form.is_valid(), form.errors
    form.save()
    assert (users(), slugs()) == (1, {"user-agreement", "partner-terms"})
    assert not Decline.objects.exists()


def test_a_required_document_that_is_not_ticked_leaves_no_account(of_the_guide):
    form = of_the_guide(all_ticked(of_the_guide, **{"accept_partner-terms": ""}))
    assert list(form.errors) == ["accept_partner-terms"]


@pytest.mark.parametrize(
    ("ticked", "faults"),
    [("on", ["accept_newsletter-terms"]), ("", [])],
)
def test_an_optional_document_that_changed_is_an_error_only_if_it_was_ticked(of_the_guide, ticked, faults):
    posted = all_ticked(of_the_guide, **{"accept_newsletter-terms": ticked})
    factories.published(slug="newsletter-terms")
    form = of_the_guide(posted)
    assert list(form.errors) == faults
    if not faults:
        form.save()
        assert slugs() == {"user-agreement", "partner-terms"}


@pytest.mark.parametrize(
    "forged",
    [
        {"digest_partner-terms": ""},
        {"edition_partner-terms": "9"},
        {"digest_partner-terms": "f" * 64},
        {"digest_newsletter-terms": "f" * 64},
        {"edition_newsletter-terms": ""},
    ],
)
def test_one_forged_document_leaves_no_account_and_no_acceptance(of_the_guide, forged):
    assert not of_the_guide(all_ticked(of_the_guide, **forged)).is_valid()
    assert (users(), Acceptance.objects.count()) == (0, 0)


def test_the_digest_of_another_document_is_refused(of_the_guide):
    factories.published(slug="partner-terms")
    posted = all_ticked(of_the_guide)
    posted["digest_user-agreement"] = posted["digest_partner-terms"]
    assert list(of_the_guide(posted).errors) == ["accept_user-agreement"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("changed", ["user-agreement", "partner-terms", "newsletter-terms"])
def test_if_one_document_changes_before_the_save_nothing_is_recorded(of_the_guide, changed):
    form = of_the_guide(all_ticked(of_the_guide))
    assert form.is_valid()
    factories.published(slug=changed)
    with pytest.raises(StaleEditionError):
        form.save()
    assert (users(), Acceptance.objects.count()) == (0, 0)
