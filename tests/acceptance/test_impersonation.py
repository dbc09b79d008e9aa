"""An officer who acts in the name of a user records nothing for them. The packages are the real ones."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.forms import UserCreationForm
from django.contrib.auth.views import LoginView
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.urls import include, path

from agreement.acceptance import known
from agreement.acceptance.impersonation import current_impersonation
from agreement.editions import timeline
from agreement.forms import AcceptanceFormMixin
from agreement.models import Acceptance, AuditEntry, Consent, NoticeRead, Withdrawal
from agreement.models.agreements import AcceptanceMode
from agreement.models.audit import AuditAction
from agreement.notices import dispatch
from tests.support import factories

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = {"headers": {"Accept": "text/html"}}
OURS = "agreement.middleware.AgreementMiddleware"
IMPERSONATE = "impersonate.middleware.ImpersonateMiddleware"
HIJACK = "hijack.middleware.HijackUserMiddleware"
CONSENTS = {"news": {"kk": "Жаңалықтарды алуға келісім беремін.", "ru": "Согласен получать новости."}}


def page(request):
    return HttpResponse(f"page of {request.user.get_username()}")


class NamedByHeader:
    """The user comes from a header, and so does the name of who acts: a gateway of the host, for example."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        if key := request.headers.get("X-User"):
            request.user = get_user_model().objects.get(pk=key)
        return self.get_response(request)


def acting_as(request):
    """For the setting ``ACTING_AS``: the officer's name, ``True`` without a name, or ``None``."""
    name = request.headers.get("X-Officer")
    return True if name == "unknown" else name


def begin_impersonation(client, user) -> None:
    """As the view of django-impersonate. The view needs a model, which would stay registered for the other tests."""
    session = client.session
    session["_impersonate"] = user.pk
    session.save()


urlpatterns = [
    path("agreements/", include("agreement.urls")),
    path("login/", LoginView.as_view(), name="login"),
    path("hijack/", include("hijack.urls")),
    path("loginas/", include("loginas.urls")),
    path("page/", page),
    path("", page, name="home"),
]


def after(settings, name: str) -> None:
    place = settings.MIDDLEWARE.index(OURS) + 1
    settings.MIDDLEWARE = [*settings.MIDDLEWARE[:place], name, *settings.MIDDLEWARE[place:]]


def before(settings, name: str) -> None:
    place = settings.MIDDLEWARE.index(OURS)
    settings.MIDDLEWARE = [*settings.MIDDLEWARE[:place], name, *settings.MIDDLEWARE[place:]]


def hijack(client, settings, user):
    assert client.post("/hijack/acquire/", {"user_pk": user.pk}).status_code == 302


def hijack_with_middleware(client, settings, user):
    after(settings, HIJACK)
    hijack(client, settings, user)


def loginas(client, settings, user):
    assert client.post(f"/loginas/login/user/{user.pk}/").status_code == 302


def impersonate(client, settings, user):
    after(settings, IMPERSONATE)
    begin_impersonation(client, user)


def impersonate_before(client, settings, user):
    before(settings, IMPERSONATE)
    begin_impersonation(client, user)


WAYS = [hijack, hijack_with_middleware, loginas, impersonate, impersonate_before]


@pytest.fixture(autouse=True)
def _site(settings):
    settings.ROOT_URLCONF = __name__
    settings.LOGIN_REDIRECT_URL = settings.LOGINAS_REDIRECT_URL = "/page/"
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "hijack", "loginas"]
    settings.AGREEMENT = {**settings.AGREEMENT, "CONSENTS": CONSENTS, "FILE_WITHDRAWALS": "ended", "RECORD_IP": True}
    timeline.clear()
    known.clear()
    yield
    known.clear()


@pytest.fixture
def user():
    return factories.users(1)[0]


@pytest.fixture
def officer():
    model = get_user_model()
    return model.objects.create_superuser("officer", "officer@example.kz", "password", first_name="Officer")


@pytest.fixture(params=WAYS, ids=lambda way: way.__name__)
def acting(request, client, settings, officer, user):
    """The officer's browser, in which they act in the name of the user."""
    client.force_login(officer)
    request.param(client, settings, user)
    assert client.get("/agreements/record/").status_code in {200, 404}
    timeline.clear()
    known.clear()
    return client


def published(mode: AcceptanceMode):
    factories.agreement()
    factories.Agreement.objects.update(acceptance_mode=mode)
    edition = factories.published()
    dispatch.work()
    timeline.clear()
    known.clear()
    return edition


def assert_nothing_recorded(user) -> None:
    for model in (Acceptance, Consent, Withdrawal, NoticeRead):
        assert not model.objects.filter(user=user).exists(), model


def entries() -> list[tuple[str, str]]:
    found = AuditEntry.objects.filter(action=AuditAction.IMPERSONATED).order_by("pk")
    return list(found.values_list("by", "note"))


def test_using_the_site_in_a_users_name_is_no_acceptance_of_theirs(acting, user, officer):
    published(AcceptanceMode.BY_USE)
    for _time in range(3):
        response = acting.get("/page/", **PAGE)
        assert response.content.decode().startswith(f"page of {user.get_username()}")
    assert_nothing_recorded(user)
    assert ("Officer (officer)", "") in entries()


def test_the_gate_stays_closed_for_who_acts_in_the_name_of_a_user_who_has_not_accepted(acting, user):
    published(AcceptanceMode.BY_CONFIRMATION)
    response = acting.get("/page/", **PAGE)
    assert (response.status_code, response.url) == (302, "/agreements/terms/accept/?next=%2Fpage%2F")
    question = acting.get(response.url)
    assert user.get_username() in question.content.decode()
    assert 'name="decision"' not in question.content.decode()
    assert_nothing_recorded(user)


@pytest.mark.parametrize("mode", [AcceptanceMode.BY_USE, AcceptanceMode.BY_CONFIRMATION])
def test_whatever_is_sent_in_a_users_name_is_refused_and_in_the_log(acting, user, mode):
    edition = published(mode)
    sent = {"edition": 1, "digest": edition.digest, "language": "ru"}
    digest = {"purpose": "news", "decision": "give", "digest": "0" * 64}
    tried = [
        acting.post("/agreements/terms/accept/", {**sent, "decision": "accept"}),
        acting.post("/agreements/terms/accept/", {**sent, "decision": "decline"}),
        acting.post("/agreements/record/consent/", digest),
        acting.post("/agreements/withdraw/", {"agreement": "terms", "confirm": "yes"}),
        acting.get("/agreements/record/evidence.zip"),
    ]
    assert [response.status_code for response in tried] == [403] * len(tried)
    assert_nothing_recorded(user)
    notes = [note for by, note in entries() if note]
    assert notes == ["accept", "accept", "consent", "withdraw", "evidence_mine"]
    assert {by for by, _note in entries()} == {"Officer (officer)"}


def test_reading_a_users_notices_marks_none_as_read(acting, user):
    edition = published(AcceptanceMode.BY_CONFIRMATION)
    Acceptance.objects.record(user=user, edition=edition, digest=edition.digest, language="kk", kind="explicit")
    response = acting.get("/agreements/notices/", **PAGE)
    assert response.status_code == 200
    assert "data-new" in response.content.decode()
    assert not NoticeRead.objects.exists()
    own = Client()
    own.force_login(user)
    own.get("/agreements/notices/", **PAGE)
    assert NoticeRead.objects.filter(user=user).exists()


@pytest.mark.parametrize("address", ["terms/accept/", "record/", "notices/", "withdraw/"])
def test_each_account_page_says_in_whose_name_somebody_acts(acting, user, address):
    published(AcceptanceMode.BY_CONFIRMATION)
    text = acting.get(f"/agreements/{address}", **PAGE).content.decode()
    assert user.get_username() in text
    assert not re.findall(r'<(?:button|input)[^>]* name="(?:decision|confirm)"', text)


def test_a_session_is_in_the_log_once_however_many_pages_are_read(acting):
    published(AcceptanceMode.BY_CONFIRMATION)
    for address in ("/agreements/record/", "/agreements/notices/", "/page/"):
        acting.get(address, **PAGE)
    assert entries() == [("Officer (officer)", "")]


def test_after_the_officer_is_themselves_again_the_user_is_asked_as_before(client, settings, officer, user):
    published(AcceptanceMode.BY_USE)
    client.force_login(officer)
    hijack(client, settings, user)
    client.get("/page/", **PAGE)
    client.post("/hijack/release/")
    client.get("/page/", **PAGE)
    assert list(Acceptance.objects.values_list("user", flat=True)) == [officer.pk]
    own = Client()
    own.force_login(user)
    own.get("/page/", **PAGE)
    assert Acceptance.objects.filter(user=user, kind="deemed").exists()


@pytest.mark.parametrize(("name", "by"), [("Aigerim, help desk", "Aigerim, help desk"), ("unknown", "")])
def test_a_site_names_who_acts_by_a_setting(client, settings, user, name, by):
    after(settings, f"{__name__}.NamedByHeader")
    settings.AGREEMENT = {**settings.AGREEMENT, "ACTING_AS": f"{__name__}.acting_as"}
    published(AcceptanceMode.BY_USE)
    headers = {"Accept": "text/html", "X-User": str(user.pk)}

    assert client.get("/page/", headers={**headers, "X-Officer": name}).status_code == 200
    assert_nothing_recorded(user)
    assert entries() == [(by, "")]
    assert client.get("/page/", headers=headers).status_code == 200
    assert Acceptance.objects.filter(user=user).exists()


def test_a_user_who_comes_by_a_token_acts_for_themselves_whatever_the_session_says(client, settings, officer, user):
    client.force_login(officer)
    hijack(client, settings, user)
    (other,) = factories.users(1)
    request = RequestFactory().get("/page/")
    request.COOKIES = {name: morsel.value for name, morsel in client.cookies.items()}
    request.session = client.session
    request.user = other
    assert current_impersonation(request) is None
    request.user = user
    found = current_impersonation(request)
    assert found is not None
    assert found.officer == officer


@pytest.mark.parametrize("value", ["forged", "1:x:y", "", None])
def test_a_mark_that_nobody_can_read_still_means_that_somebody_acts(client, user, value):
    client.force_login(user)
    session = client.session
    session["loginas_from_user"] = value
    session.save()
    published(AcceptanceMode.BY_USE)
    client.get("/page/", **PAGE)
    if value:
        assert_nothing_recorded(user)
        assert entries() == [("", "")]
    else:
        assert Acceptance.objects.filter(user=user).exists()


class SignUp(AcceptanceFormMixin, UserCreationForm):
    class Meta(UserCreationForm.Meta):
        model = get_user_model()


def test_a_form_does_not_accept_for_a_user_in_whose_name_somebody_acts(client, settings, officer, user):
    client.force_login(officer)
    hijack(client, settings, user)
    edition = published(AcceptanceMode.BY_CONFIRMATION)
    request = RequestFactory().post("/page/")
    request.COOKIES = {name: morsel.value for name, morsel in client.cookies.items()}
    request.session, request.user = client.session, user
    sent = {"edition_terms": 1, "digest_terms": edition.digest, "language_terms": "kk", "accept_terms": "on"}
    form = SignUp({**sent, "username": "new", "password1": "a long pass phrase", "password2": "a long pass phrase"})
    form.request = request
    assert not form.is_valid()
    assert form.non_field_errors().as_data()[0].code == "impersonation"


def test_an_officer_may_still_record_a_paper_acceptance_in_their_own_name(officer, user):
    edition = published(AcceptanceMode.BY_CONFIRMATION)
    row = Acceptance.objects.record(
        user=user, edition=edition, digest=edition.digest, language="kk", kind="on_behalf", reason="17", officer="O"
    )
    assert row.created
