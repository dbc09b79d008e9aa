"""An officer who acts in the name of a user records nothing for them. The packages are the real ones."""

from __future__ import annotations

import re

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.forms import UserCreationForm
from django.contrib.auth.views import LoginView
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.urls import include, path, reverse

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
    path("admin/", admin.site.urls),
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


def test_a_process_that_knows_the_user_looks_who_acts(client, settings, officer, user):
    edition = published(AcceptanceMode.BY_USE)
    own = Client()
    own.force_login(user)
    own.get("/page/", **PAGE)
    own.get("/page/", **PAGE)
    Acceptance.objects.record(user=officer, edition=edition, digest=edition.digest, language="kk", kind="explicit")
    client.force_login(officer)
    hijack(client, settings, user)
    for _time in range(3):
        client.get("/page/", **PAGE)
    assert entries() == [("Officer (officer)", "")]
    assert not known.cache.session_accepted(client.cookies["sessionid"].value, known.requirements())


def test_staff_who_are_exempt_do_not_hide_who_acts(client, settings, officer, user):
    settings.AGREEMENT = {**settings.AGREEMENT, "EXEMPT_STAFF": True}
    published(AcceptanceMode.BY_USE)
    get_user_model().objects.filter(pk=user.pk).update(is_staff=True)
    client.force_login(officer)
    hijack(client, settings, user)
    client.get("/page/", **PAGE)
    assert entries() == [("Officer (officer)", "")]


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
    sent = factories.fields(edition)
    digest = {"purpose": "news", "decision": "give", "digest": "0" * 64}
    tried = [
        acting.post("/agreements/terms/accept/", {**sent, "decision": "accept"}),
        acting.post("/agreements/terms/accept/", {**sent, "decision": "decline"}),
        acting.post("/agreements/record/consent/", digest),
        acting.post("/agreements/withdraw/", {"agreement": "terms", "confirm": "yes"}),
        acting.get("/agreements/record/evidence.zip"),
    ]
    assert [response.status_code for response in tried] == [403] * len(tried)
    assert all('class="agreement-account"' in response.content.decode() for response in tried)
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


@pytest.mark.parametrize("first", [hijack, loginas])
@pytest.mark.parametrize("then", [hijack, loginas, impersonate])
def test_of_a_chain_of_logins_the_first_person_is_named(client, settings, officer, user, first, then):
    between = get_user_model().objects.create_superuser("between", "between@example.kz", "password")
    published(AcceptanceMode.BY_USE)
    client.force_login(officer)
    first(client, settings, between)
    client.get("/page/", **PAGE)
    then(client, settings, user)
    client.handler._middleware_chain = None  # With the middleware of this package.
    client.get("/page/", **PAGE)
    assert_nothing_recorded(user)
    assert_nothing_recorded(between)
    assert entries() == [("Officer (officer)", "")] * 2


def test_who_returns_from_one_user_to_another_still_acts(client, settings, officer, user):
    between = get_user_model().objects.create_superuser("between", "between@example.kz", "password")
    edition = published(AcceptanceMode.BY_USE)
    client.force_login(officer)
    loginas(client, settings, between)
    loginas(client, settings, user)
    client.get("/loginas/logout/")
    assert client.get("/page/", **PAGE).content == b"page of between"
    sent = factories.fields(edition) | {"decision": "accept"}
    assert client.post("/agreements/terms/accept/", sent).status_code == 403
    assert_nothing_recorded(between)
    assert_nothing_recorded(user)


@pytest.mark.parametrize(
    ("begin", "stop"),
    [
        (hijack, lambda client: client.post("/hijack/release/")),
        (loginas, lambda client: client.get("/loginas/logout/")),
    ],
)
def test_an_officer_can_stop_acting_for_a_user_who_has_not_accepted(client, settings, officer, user, begin, stop):
    edition = published(AcceptanceMode.BY_CONFIRMATION)
    Acceptance.objects.record(user=officer, edition=edition, digest=edition.digest, language="kk", kind="explicit")
    client.force_login(officer)
    begin(client, settings, user)
    assert client.get("/page/", **PAGE).status_code == 302
    stop(client)
    assert client.get("/page/", **PAGE).content == b"page of officer"


class Reload:
    """Middleware that loads the user anew, for example with their profile."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        if request.user.is_authenticated:
            request.user = get_user_model().objects.get(pk=request.user.pk)
        return self.get_response(request)


class SessionByHeader(SessionMiddleware):
    """A session whose key comes from a header: an API for an application, for example."""

    def process_request(self, request):
        request.session = self.SessionStore(request.headers.get("X-Session"))


def test_a_user_object_that_was_loaded_anew_changes_nothing(client, settings, officer, user):
    after(settings, f"{__name__}.Reload")
    edition = published(AcceptanceMode.BY_USE)
    client.force_login(officer)
    impersonate(client, settings, user)
    client.get("/page/", **PAGE)
    sent = factories.fields(edition) | {"decision": "accept"}
    assert client.post("/agreements/terms/accept/", sent).status_code == 403
    assert_nothing_recorded(user)


def test_a_session_that_comes_by_a_header_is_looked_at_like_one_by_a_cookie(client, settings, officer, user):
    published(AcceptanceMode.BY_USE)
    client.force_login(officer)
    hijack(client, settings, user)
    key = client.cookies["sessionid"].value
    sessions = "django.contrib.sessions.middleware.SessionMiddleware"
    settings.MIDDLEWARE = [f"{__name__}.SessionByHeader" if name == sessions else name for name in settings.MIDDLEWARE]
    headers = {"Accept": "text/html", "X-Session": key}
    assert Client().get("/page/", headers=headers).content.decode() == f"page of {user.get_username()}"
    Client().post("/agreements/withdraw/", {"agreement": "terms", "confirm": "yes"}, headers=headers)
    assert_nothing_recorded(user)


def test_the_admin_refuses_who_acts_in_the_name_of_staff(client, settings, officer, user):
    """Its records would name the other, and two pairs of eyes could be one."""
    published(AcceptanceMode.BY_USE)
    draft = factories.draft()
    get_user_model().objects.filter(pk=user.pk).update(is_staff=True, is_superuser=True)
    client.force_login(officer)
    hijack(client, settings, user)
    for address in (
        reverse("admin:agreement_acceptance_add"),
        reverse("admin:agreement_withdrawal_add"),
        reverse("admin:agreement_legalhold_add"),
        reverse("admin:agreement_edition_publish", args=[draft.pk]),
        reverse("admin:agreement_edition_change", args=[draft.pk]),
        reverse("admin:agreement_auditentry_changelist"),
    ):
        for answer in (client.get(address), client.post(address, {})):
            assert answer.status_code == 403
            assert user.get_username() in answer.content.decode()
    assert set(entries()) > {("Officer (officer)", "admin:agreement_edition_publish")}


def test_a_session_that_several_officers_use_is_in_the_log_for_each(client, settings, user):
    after(settings, f"{__name__}.NamedByHeader")
    settings.AGREEMENT = {**settings.AGREEMENT, "ACTING_AS": f"{__name__}.acting_as"}
    published(AcceptanceMode.BY_USE)
    for name in ("A", "A", "B"):
        client.get("/page/", headers={"Accept": "text/html", "X-User": str(user.pk), "X-Officer": name})
    assert entries() == [("A", ""), ("B", "")]


def test_an_officer_whose_account_is_gone_is_named_by_its_key(client, settings, officer, user):
    published(AcceptanceMode.BY_USE)
    client.force_login(officer)
    hijack(client, settings, user)
    key = str(officer.pk)
    get_user_model().objects.filter(pk=officer.pk).delete()
    client.get("/page/", **PAGE)
    assert entries() == [(key, "")]


def test_users_in_their_own_name_act_for_themselves(client, settings, officer):
    published(AcceptanceMode.BY_USE)
    client.force_login(officer)
    hijack(client, settings, officer)
    client.get("/page/", **PAGE)
    assert Acceptance.objects.filter(user=officer).exists()
    assert entries() == []


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
    sent = {"edition_terms": "1", "digest_terms": edition.digest, "language_terms": "kk", "accept_terms": "on"}
    form = SignUp({**sent, "username": "new", "password1": "a long pass phrase", "password2": "a long pass phrase"})
    form.request = request
    assert not form.is_valid()
    assert form.non_field_errors().as_data()[0].code == "impersonation"

    form = SignUp({**sent, "username": "new", "password1": "a long pass phrase", "password2": "a long pass phrase"})
    assert form.is_valid(), form.errors
    form.request = request  # As a form of allauth, which learns of its request when it is saved.
    with pytest.raises(PermissionDenied):
        form.save()
    assert not Acceptance.objects.exists()
    assert not get_user_model().objects.filter(username="new").exists()


def test_an_officer_may_still_record_a_paper_acceptance_in_their_own_name(officer, user):
    edition = published(AcceptanceMode.BY_CONFIRMATION)
    row = Acceptance.objects.record(
        user=user, edition=edition, digest=edition.digest, language="kk", kind="on_behalf", reason="17", officer="O"
    )
    assert row.created
