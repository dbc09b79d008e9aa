"""Ways past the gate that somebody tried or thought of. Each is one line, and none may reach the view."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.backends import ModelBackend
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.urls import include, path, re_path, set_script_prefix

from agreement import permissions
from agreement.acceptance import known
from agreement.editions import timeline
from agreement.models import Acceptance
from agreement.models.agreements import AcceptanceMode
from tests.support import factories

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = b"what only a user who accepted may see"


def secret(request, rest=""):
    """The view of a host. It restricts no method, and greets the user if there is one."""
    return HttpResponse(SECRET if request.user.is_authenticated else b"public")


urlpatterns = [
    path("agreements/", include("agreement.urls")),
    path("static-pages/<path:rest>", secret),
    path("secret/", secret, name="secret"),
    path("open-to-nobody/", secret),
    path("health", secret),
    path("healthy", secret),
    re_path(r"^any/(?P<rest>.*)$", secret),
    re_path(r"^(?P<rest>open/.*)$", secret),
]


class Forgetful(ModelBackend):
    """A backend that does not find any user while ``away`` is true: its directory does not answer, for example."""

    away = False

    def get_user(self, user_id):
        return None if Forgetful.away else super().get_user(user_id)


@pytest.fixture(autouse=True)
def _site(settings):
    settings.ROOT_URLCONF = __name__
    settings.AUTHENTICATION_BACKENDS = [f"{__name__}.Forgetful"]
    settings.AGREEMENT = {**settings.AGREEMENT, "EXEMPT": ("/open/", "/health", "//", "")}
    factories.agreement()
    factories.Agreement.objects.update(acceptance_mode=AcceptanceMode.BY_CONFIRMATION)
    factories.published()
    timeline.clear()
    known.clear()
    yield
    Forgetful.away = False
    known.clear()


METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get", "X"]
HEADERS = [
    {},
    {"Accept": "text/html"},
    {"Accept": "application/json"},
    {"Accept": "*/*"},
    {"X-Requested-With": "XMLHttpRequest"},
    {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
    {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
    {"Sec-Purpose": "prefetch"},
    {"HX-Request": "true"},
    {"Range": "bytes=0-10"},
    {"If-None-Match": "*"},
    {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "GET"},
    {"X-HTTP-Method-Override": "OPTIONS"},
    {"X-Original-URL": "/agreements/"},
    {"X-Rewrite-URL": "/agreements/"},
    {"X-Forwarded-Prefix": "/agreements"},
    {"Authorization": "Bearer of-nobody"},
    {"Authorization": "Basic Og=="},
]
PATHS = [
    "/secret/",
    "/secret/?next=/agreements/",
    "/secret/?x=" + "a" * 5000,
    "/any/agreements/",
    "/any/../agreements/",
    "/any/%2e%2e/agreements/",
    "/any/open/",
    "/any//open/",
    "/any/login/",
    "/any/;/static/",
    "/static-pages/x",
    "/open-to-nobody/",
    "/healthy",
    "/open/../secret/",
    "/open/./x",
    "/open/..\\x",
    "/open/a/%2e%2e/x",
]
COOKIES = [
    "{name}={key}; {name}=",
    "{name}=; {name}={key}",
    '{name}="{key}"',
    " {name} = {key} ",
    "other=1; {name}={key}; {name}=nobody",
    "{name}=nobody; {name}={key}",
    "\x00=1; {name}={key}",
]


def assert_refused(response) -> None:
    """The view did not run for the user. A cookie that names no session makes the request one of a visitor."""
    assert SECRET not in response.content
    assert response.status_code in {302, 403, 400, 404, 405} or response.content == b"public"


def assert_asked(response) -> None:
    assert_refused(response)
    assert response.status_code in {302, 403}


@pytest.mark.parametrize("headers", HEADERS, ids=str)
@pytest.mark.parametrize("method", METHODS)
def test_no_method_and_no_header_is_a_way_past(reader, method, headers):
    assert_asked(reader.generic(method, "/secret/", headers=headers))


@pytest.mark.parametrize("address", PATHS)
def test_no_path_is_a_way_past(reader, address):
    assert_asked(reader.get(address, headers={"Accept": "text/html"}))


def test_an_exempt_path_is_one_whole_path(reader):
    assert reader.get("/health").content == SECRET


def test_what_the_first_request_says_of_its_prefix_exempts_nothing(reader, settings):
    """Django adds the prefix to ``MEDIA_URL`` when it is first read, and keeps it."""
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "whitenoise" not in name]  # It reads the setting.
    settings.MEDIA_URL = ""
    cookie = f"sessionid={reader.cookies['sessionid'].value}"
    environ = RequestFactory().get("/secret/", SCRIPT_NAME="/any", HTTP_COOKIE=cookie).environ
    try:
        WSGIHandler()(environ, lambda *answer: None)
    finally:
        set_script_prefix("/")
    assert_asked(reader.get("/any/agreements/"))


class WithoutView:
    """Middleware of a host that answers by itself, with the status that a header names."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        if status := request.headers.get("X-Status"):
            return HttpResponse(SECRET, status=int(status))
        return self.get_response(request)


@pytest.mark.parametrize("status", [200, 201, 203, 206, 207, 226, 299, 300])
def test_an_answer_without_a_view_is_no_way_past(reader, settings, status):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.WithoutView"]
    assert_asked(reader.get("/secret/", headers={"X-Status": str(status)}))


class SessionByHeader(SessionMiddleware):
    """A session whose key comes from a header, else from the cookie."""

    def process_request(self, request):
        key = request.headers.get("X-Session") or request.COOKIES.get("sessionid")
        request.session = self.SessionStore(key)


def test_a_session_by_a_header_is_no_way_past(reader, settings):
    sessions = "django.contrib.sessions.middleware.SessionMiddleware"
    settings.MIDDLEWARE = [f"{__name__}.SessionByHeader" if name == sessions else name for name in settings.MIDDLEWARE]
    key = reader.cookies["sessionid"].value
    assert_asked(Client().get("/secret/", headers={"X-Session": key}))
    (accepted,) = factories.users(1)
    edition = factories.Edition.objects.get()
    Acceptance.objects.record(user=accepted, edition=edition, digest=edition.digest, language="kk", kind="explicit")
    other = Client()
    other.force_login(accepted)
    assert other.get("/secret/").content == SECRET
    assert_asked(other.get("/secret/", headers={"X-Session": key}))


class Device:
    """A principal of an API that is no user, with the key of one."""

    is_authenticated = True

    def __init__(self, pk):
        self.pk = pk


@pytest.mark.parametrize("mode", [AcceptanceMode.BY_CONFIRMATION, AcceptanceMode.BY_USE])
def test_a_principal_that_is_no_user_is_an_error_of_the_site(user, mode):
    """It must not pass as the user with the same key, and not accept for them."""
    factories.Agreement.objects.update(acceptance_mode=mode)
    timeline.clear()
    known.clear()
    request = RequestFactory().get("/secret/", headers={"Accept": "text/html"})
    request.user = Device(user.pk)
    with pytest.raises(ImproperlyConfigured, match="Device is not the user model"):
        permissions.HasAccepted().has_permission(request, None)
    assert not Acceptance.objects.exists()


@pytest.mark.parametrize("cookies", COOKIES)
def test_no_form_of_the_cookie_is_a_way_past(reader, settings, cookies):
    name = settings.SESSION_COOKIE_NAME
    key = reader.cookies[name].value
    assert_refused(Client().get("/secret/", headers={"Cookie": cookies.format(name=name, key=key)}))


@pytest.mark.parametrize("charset", ["utf-8", "utf-16", "utf-7", "base64", "rot13", "idna", "zip", "none"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_no_encoding_is_a_way_past(reader, method, charset):
    content_type = f"application/x-www-form-urlencoded; charset={charset}"
    response = reader.generic(method, "/secret/", b"a=%D2%93", content_type=content_type)
    assert_refused(response)
    assert response.status_code in {403, 400}


def test_a_preflight_without_a_session_passes_as_a_visitors(client):
    headers = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"}
    response = client.options("/secret/", headers=headers)
    assert (response.status_code, response.content) == (200, b"public")


def inactive(user):
    get_user_model().objects.filter(pk=user.pk).update(is_active=False)


def active(user):
    get_user_model().objects.filter(pk=user.pk).update(is_active=True)


def away(user):
    Forgetful.away = True


def back(user):
    Forgetful.away = False


@pytest.mark.parametrize(("begin", "end"), [(inactive, active), (away, back)])
@pytest.mark.parametrize("mode", [AcceptanceMode.BY_CONFIRMATION, AcceptanceMode.BY_USE])
def test_a_session_that_was_nobodys_for_a_while_is_asked_again(reader, user, begin, end, mode):
    factories.Agreement.objects.update(acceptance_mode=mode)
    timeline.clear()
    known.clear()
    begin(user)
    for _time in range(3):
        assert reader.get("/secret/", headers={"Accept": "text/html"}).content == b"public"
    end(user)

    response = reader.get("/secret/", headers={"Accept": "text/html"})

    if mode == AcceptanceMode.BY_CONFIRMATION:
        assert_asked(response)
    else:
        assert response.content == SECRET
        assert Acceptance.objects.get().user == user


def test_a_user_who_was_inactive_and_accepted_before_is_asked_about_a_new_edition(reader, user):
    edition = factories.Edition.objects.get()
    Acceptance.objects.record(user=user, edition=edition, digest=edition.digest, language="kk", kind="explicit")
    assert reader.get("/secret/").content == SECRET
    inactive(user)
    factories.published()
    timeline.clear()
    known._current = None
    assert reader.get("/secret/").content == b"public"
    active(user)
    assert_asked(reader.get("/secret/"))


def test_what_is_known_of_a_session_and_of_a_user_ends(reader, user, monkeypatch):
    """Whatever changed in the database without a word to this process is known after that time at the latest."""
    edition = factories.Edition.objects.get()
    Acceptance.objects.record(user=user, edition=edition, digest=edition.digest, language="kk", kind="explicit")
    assert reader.get("/secret/").content == SECRET
    monkeypatch.setattr(known, "KNOWN_SECONDS", -1)
    required = known.requirements()
    known.cache.clear()
    known.cache.add("session", user.pk, required)
    assert not known.cache.user_accepted(user.pk, required)
    assert not known.cache.session_accepted("session", required)
