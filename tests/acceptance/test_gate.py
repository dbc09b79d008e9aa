"""The gate: who goes on, who must accept and how they are asked, and at what cost."""

from __future__ import annotations

import json
import re
import resource
import socket
import sqlite3
import threading
import time
from contextlib import closing
from datetime import timedelta
from functools import partial

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model
from django.contrib.auth.views import LoginView, LogoutView
from django.core.exceptions import PermissionDenied
from django.db import OperationalError, connection
from django.http import HttpResponse
from django.test import AsyncClient, Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import include, path
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.functional import SimpleLazyObject
from django.views import View

from agreement import permissions
from agreement.acceptance import acceptance_not_required, acceptance_required, gate, known, outage
from agreement.editions import timeline
from agreement.models import Acceptance, Edition, Withdrawal
from agreement.models.agreements import AcceptanceMode
from tests.support import factories
from tests.support.site import POSTGRESQL

pytestmark = pytest.mark.django_db(transaction=True)


def plain(request):
    """A view that ignores the user."""
    return HttpResponse("plain")


def mine(request):
    return HttpResponse(f"user {request.user.pk}")


def posted(request):
    return HttpResponse(request.POST.get("text", ""))


@acceptance_not_required
def health(request):
    return HttpResponse("ok")


async def slow(request):
    return HttpResponse("slow")


class Slow(View):
    async def get(self, request):
        return HttpResponse("slow")


class Api:
    """A view of an API as Django REST framework calls it, without the framework."""

    permission_classes = [permissions.HasAccepted]

    def __call__(self, request):
        for permission in (each() for each in self.permission_classes):
            if not permission.has_permission(request, self):
                return HttpResponse(permission.message["detail"], status=403)
        return HttpResponse("api")


urlpatterns = [
    path("agreements/", include("agreement.urls")),
    path("login/", LoginView.as_view(), name="any_name_at_all"),
    path("goodbye/", LogoutView.as_view()),
    path("i18n/", include("django.conf.urls.i18n")),
    path("", plain, name="home"),
    path("plain/", plain),
    path("mine/", mine),
    path("taken/", posted),
    path("health/", health),
    path("status/", plain, name="status"),
    path("media/picture/", plain),
    path("decorated/", acceptance_required(plain)),
    path("slow/", acceptance_required(slow)),
    path("slow/class/", acceptance_required(Slow.as_view())),
    path(
        "slow/method/",
        method_decorator(acceptance_required, name="dispatch")(type("Slow", (Slow,), {})).as_view(),
    ),
    path("api/", Api()),
]

PAGE = {"headers": {"Accept": "text/html"}}


@pytest.fixture(autouse=True)
def _site(settings):
    settings.ROOT_URLCONF = __name__
    timeline.clear()
    known.clear()
    outage.clear()
    yield
    known.clear()


def by_confirmation(**stated) -> Edition:
    factories.agreement()
    factories.Agreement.objects.update(acceptance_mode=AcceptanceMode.BY_CONFIRMATION)
    edition = factories.published(**stated)
    expire_caches()
    return edition


def expire_caches(*, read: bool = True) -> None:
    """As if the second were over for which a process caches what it read."""
    known._current = None
    timeline._read_at = float("-inf")
    if read:
        known.requirements()


def accept(user, edition):
    Acceptance.objects.record(user=user, edition=edition, digest=edition.digest, language="kk", kind="explicit")


def queries(client, address, **more):
    with CaptureQueriesContext(connection) as captured:
        response = client.get(address, **(PAGE | more))
    assert response.status_code == 200
    return [query["sql"] for query in captured]


def own_queries(found):
    return [sql for sql in found if "agreement_" in sql]


# Deemed acceptance: by using the site.


def test_the_first_page_a_user_opens_is_recorded_as_acceptance_once(reader, user):
    edition = factories.published()
    for _time in range(3):
        assert reader.get("/plain/", **PAGE).content == b"plain"
    row = Acceptance.objects.get()
    assert (row.user, row.edition, row.kind, row.digest) == (user, edition, "deemed", edition.digest)


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("head", {"Accept": "text/html"}),
        ("get", {"Accept": "text/html", "Sec-Purpose": "prefetch"}),
        ("get", {"Accept": "text/html", "X-Requested-With": "XMLHttpRequest"}),
        ("get", {"Accept": "application/json"}),
    ],
)
def test_prefetch_head_and_polls_are_no_acceptance(reader, method, headers):
    factories.published()
    assert getattr(reader, method)("/mine/", headers=headers).status_code == 200
    assert not Acceptance.objects.exists()


def test_a_beacon_is_let_through_and_is_no_acceptance(reader):
    factories.published()
    beacon = {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "empty"}
    assert reader.post("/taken/", {"text": "kept"}, headers=beacon).content == b"kept"
    assert not Acceptance.objects.exists()


def test_health_checks_login_and_agreement_pages_are_no_acceptance(reader):
    factories.published()
    for address in ("/health/", "/login/", "/agreements/", "/agreements/terms/", "/agreements/terms/editions/1/"):
        assert reader.get(address, **PAGE).status_code == 200
    assert not Acceptance.objects.exists()


def test_a_post_is_recorded_as_acceptance_and_carried_out(reader):
    factories.published()
    assert reader.post("/taken/", {"text": "kept"}).content == b"kept"
    assert Acceptance.objects.count() == 1


def test_a_passing_visitor_is_asked_nothing_and_nothing_is_stored(client):
    factories.published()
    with CaptureQueriesContext(connection) as captured:
        response = client.get("/plain/", **PAGE)
    assert response.status_code == 200
    assert not response.cookies
    assert len(captured) == 0
    assert not Acceptance.objects.exists()


# What it costs.


@pytest.mark.parametrize("last", [False, True])
def test_a_user_who_has_accepted_costs_no_query_and_no_session(reader, settings, last):
    """Directly after the authentication, or with other middleware of Django between the two."""
    if last:
        ours = "agreement.middleware.AgreementMiddleware"
        settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if not name.startswith(("agreement.", "axes."))]
        settings.MIDDLEWARE += [ours]
    factories.published()
    reader.get("/plain/", **PAGE)
    response = reader.get("/plain/", **PAGE)
    assert "Cookie" not in response.get("Vary", "")
    assert queries(reader, "/plain/") == []
    assert own_queries(queries(reader, "/mine/")) == []


@pytest.mark.parametrize("somebody_withdrew", [False, True])
def test_after_a_new_edition_it_is_one_query_and_one_insert_beside_the_one_of_the_second(reader, somebody_withdrew):
    first = factories.published()
    reader.get("/plain/", **PAGE)
    if somebody_withdrew:
        (other,) = factories.users(1)
        accept(other, first)
        Withdrawal.objects.register(
            agreement=first.agreement, user=other, outcome="ended", received_on=timezone.localdate()
        )
    factories.published()
    expire_caches(read=False)

    found, again = own_queries(queries(reader, "/mine/")), own_queries(queries(reader, "/mine/"))

    # What all requests of a second share reads the dates, and in the minute after a withdrawal, who it was.
    assert [sql.split()[0] for sql in found[1 + somebody_withdrew :]] == ["SELECT", "INSERT"]
    assert '"published_at"' in found[0]
    assert again == []


def test_another_session_of_a_known_user_costs_no_query(reader, user):
    factories.published()
    reader.get("/plain/", **PAGE)
    other = Client()
    other.force_login(user)
    assert own_queries(queries(other, "/mine/")) == []


def test_after_an_announcement_no_user_is_looked_up(reader):
    factories.published()
    reader.get("/plain/", **PAGE)
    factories.published(effective_from=timezone.now() + timedelta(days=9))
    expire_caches()
    assert queries(reader, "/plain/") == []


def test_a_change_of_wording_alone_needs_no_acceptance(reader, user):
    first = by_confirmation()
    accept(user, first)
    assert reader.get("/plain/", **PAGE).status_code == 200
    factories.published(material=False)
    expire_caches()
    assert queries(reader, "/plain/") == []
    factories.published(material=True)
    expire_caches()
    assert reader.get("/plain/", **PAGE).status_code == 302


def test_a_user_who_missed_a_material_edition_is_asked_though_wording_changed_after(reader, user):
    accept(user, by_confirmation())
    factories.published(material=True)
    last = factories.published(material=False)
    expire_caches()
    assert reader.get("/plain/", **PAGE).status_code == 302
    accept(user, last)
    assert reader.get("/plain/", **PAGE).status_code == 200


def test_the_cache_of_known_acceptances_is_bounded(monkeypatch):
    monkeypatch.setattr(known, "MAX_KNOWN", 3)
    factories.published()
    required = known.requirements()
    memory = known.KnownAcceptances()
    for number in range(10):
        memory.add(f"session {number}", number, required)
    assert [memory.session_accepted(f"session {number}", required) for number in range(10)] == [False] * 7 + [True] * 3


def test_a_cookie_longer_than_any_key_is_not_cached(user):
    factories.published()
    required = known.requirements()
    for length in (32, 128, 129, 4000):
        known.cache.add("a" * length, user.pk, required)
    found = {length: known.cache.session_accepted("a" * length, required) for length in (32, 128, 129, 4000)}
    assert found == {32: True, 128: True, 129: False, 4000: False}


def test_nothing_is_cached_of_a_cookie_that_names_no_user(client):
    factories.published()
    client.cookies["sessionid"] = "a" * 32
    assert client.get("/plain/", **PAGE).status_code == 200
    assert not known.cache._users


def test_a_user_who_withdrew_is_looked_up_again(reader, user):
    factories.published()
    reader.get("/plain/", **PAGE)
    known.cache.remove([user.pk])
    assert own_queries(queries(reader, "/plain/"))


@pytest.mark.parametrize("visitors_come", [False, True])
def test_a_withdrawal_is_known_however_long_no_user_came(reader, user, monkeypatch, visitors_come):
    """A process idle for longer than withdrawals are named again, or in which visitors alone read the dates."""
    monkeypatch.setattr(timeline, "COMMIT_DELAY", timedelta())
    edition = factories.published()
    reader.get("/plain/", **PAGE)
    assert queries(reader, "/plain/") == []
    withdrawal = {"user": user, "outcome": "ended", "received_on": timezone.localdate()}
    Withdrawal.objects.register(agreement=edition.agreement, **withdrawal)
    if visitors_come:
        timeline.fresh_timelines()
    expire_caches(read=False)
    assert reader.get("/plain/", **PAGE).status_code == 302


# In time.


def test_an_announced_edition_binds_at_its_moment_and_not_before(reader, user):
    accept(user, by_confirmation())
    moment = timezone.now() + timedelta(seconds=1.2)
    factories.published(effective_from=moment)
    expire_caches()
    statuses = []
    while timezone.now() < moment + timedelta(seconds=0.3):
        before, status, after = timezone.now(), reader.get("/plain/", **PAGE).status_code, timezone.now()
        statuses.append((before, status, after))
        time.sleep(0.02)
    assert {status for _before, status, after in statuses if after < moment} == {200}
    assert {status for before, status, _after in statuses if before >= moment} == {302}


def test_a_publication_elsewhere_is_known_within_a_second(reader, user):
    accept(user, by_confirmation())
    assert reader.get("/plain/", **PAGE).status_code == 200
    other = threading.Thread(target=lambda: (factories.published(), connection.close()))
    other.start()
    other.join()
    committed = time.monotonic()
    while reader.get("/plain/", **PAGE).status_code == 200:
        assert time.monotonic() - committed < 1.75


def test_a_cancellation_elsewhere_is_known_before_its_edition_would_bind(reader, user):
    accept(user, by_confirmation())
    following = factories.published(effective_from=timezone.now() + timedelta(seconds=2))
    expire_caches()
    following.cancel()
    while timezone.now() < following.effective_from + timedelta(seconds=0.2):
        time.sleep(0.1)
    assert reader.get("/plain/", **PAGE).status_code == 200


# Asking.


def test_a_page_leads_to_the_question_and_back(reader):
    by_confirmation()
    response = reader.get("/mine/?a=1&b=2", **PAGE)
    assert response.status_code == 302
    assert response.url == "/agreements/terms/accept/?next=%2Fmine%2F%3Fa%3D1%26b%3D2"
    assert response["Cache-Control"] == "private, no-store"


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("get", {"Accept": "application/json"}),
        ("get", {"Accept": "*/*"}),
        ("get", {"Accept": "text/html", "X-Requested-With": "XMLHttpRequest"}),
        ("get", {"Accept": "text/html", "Sec-Fetch-Mode": "cors"}),
        ("head", {"Accept": "text/html"}),
        ("post", {"Accept": "text/html"}),
        ("post", {"Accept": "text/html", "X-Requested-With": "XMLHttpRequest"}),
        ("put", {}),
        ("patch", {}),
        ("delete", {}),
    ],
)
def test_a_program_or_a_form_is_refused_and_the_answer_names_what_to_accept(reader, method, headers):
    """Elsewhere such requests bypass the gate, or lose their body to a redirect."""
    edition = by_confirmation()

    response = getattr(reader, method)("/taken/", {"text": "kept"} if method == "post" else None, headers=headers)

    assert response.status_code == 403
    assert response["Content-Type"] == "application/problem+json"
    if method != "head":
        (named,) = json.loads(response.content)["agreements"]
        assert named == {
            "agreement": "terms",
            "edition": 1,
            "digest": edition.digest,
            "address": "http://testserver/agreements/terms/editions/1/",
            "accept": "http://testserver/agreements/terms/accept/",
        }
        assert "kept" not in response.content.decode()


@pytest.mark.parametrize(
    "address", ["/health/", "/status/", "/media/picture/", "/login/", "/agreements/", "/agreements/terms/accept/"]
)
def test_what_users_need_before_they_can_accept_stays_reachable(reader, settings, address):
    settings.AGREEMENT = {**settings.AGREEMENT, "EXEMPT": ("status", "/media/")}
    by_confirmation()
    assert reader.get(address, **PAGE).status_code == 200
    assert reader.get("/plain/", **PAGE).status_code == 302


@pytest.mark.parametrize(
    ("prefix", "rule", "address", "status"),
    [
        ("/portal", "/media/", "/media/picture/", 200),
        ("/portal", "/portal/media/", "/media/picture/", 200),
        ("/portal", "/portal/", "/plain/", 302),
        ("/plain", "/plain/", "/plain/", 302),
        ("/portal", "/", "/plain/", 302),
        ("", "/media/", "/media/picture/", 200),
        ("", "/portal/media/", "/media/picture/", 302),
    ],
)
@pytest.mark.parametrize("setting", ["EXEMPT", "MEDIA_URL", "STATIC_URL"])
def test_paths_are_exempt_wherever_the_site_is_mounted(reader, settings, setting, prefix, rule, address, status):
    """Django writes its own settings with the prefix; and the prefix alone exempts nothing."""
    if setting == "EXEMPT":
        settings.AGREEMENT = {**settings.AGREEMENT, "EXEMPT": (rule,)}
    else:
        setattr(settings, setting, rule)
    settings.FORCE_SCRIPT_NAME = prefix or None
    by_confirmation()
    assert reader.get(address, **PAGE).status_code == status


def test_login_logout_and_the_language_are_never_in_the_way(reader):
    by_confirmation()
    assert reader.post("/i18n/setlang/", {"language": "ru"}).status_code == 302
    assert reader.post("/goodbye/").status_code in {200, 302}


LOGGING_OUT = {"goodbye": "logout", "accounts/logout": "account_logout"}


@pytest.mark.parametrize("names", [[], ["goodbye"], ["accounts/logout"], ["accounts/logout", "goodbye"]])
def test_users_who_decline_or_withdrew_may_log_out_by_djangos_view_or_by_allauths(reader, settings, names):
    edition = by_confirmation()
    site = [each for each in urlpatterns if str(each.pattern) != "goodbye/"]
    site += [path(f"{address}/", LogoutView.as_view(), name=LOGGING_OUT[address]) for address in names]
    settings.ROOT_URLCONF = type("Site", (), {"urlpatterns": site})
    shown = {"edition": edition.number, "digest": edition.digest, "language": "ru", "decision": "decline"}

    pages = [reader.post("/agreements/terms/accept/", shown), reader.get("/agreements/withdraw/")]

    found = [re.findall('action="/((?:goodbye|accounts/logout))/"', each.content.decode()) for each in pages]
    assert [sorted(set(each)) for each in found] == [names[-1:]] * 2
    if names:
        assert reader.post(f"/{names[-1]}/").status_code in {200, 302}
        assert "_auth_user_id" not in reader.session


@pytest.mark.parametrize("exempt", [False, True])
def test_staff_are_asked_like_other_users_unless_the_site_exempts_them(client, settings, user, exempt):
    settings.AGREEMENT = {**settings.AGREEMENT, "EXEMPT_STAFF": exempt}
    user.is_staff = True
    user.save()
    client.force_login(user)
    by_confirmation()
    assert client.get("/plain/", **PAGE).status_code == (200 if exempt else 302)


def test_the_gate_does_not_ask_about_an_agreement_accepted_elsewhere(reader):
    by_confirmation()
    factories.Agreement.objects.update(acceptance_mode=AcceptanceMode.ELSEWHERE)
    expire_caches()
    known.clear()
    assert reader.get("/plain/", **PAGE).status_code == 200
    assert not Acceptance.objects.exists()


def test_of_two_agreements_the_one_to_confirm_is_asked_and_the_other_recorded(reader):
    by_confirmation()
    factories.published(slug="privacy")
    factories.Agreement.objects.filter(slug="privacy").update(acceptance_mode=AcceptanceMode.BY_USE)
    expire_caches()
    assert reader.get("/plain/", **PAGE).url.startswith("/agreements/terms/accept/")
    assert [row.edition.agreement.slug for row in Acceptance.objects.all()] == ["privacy"]


# One view alone.


def test_a_view_can_ask_by_itself(reader, user, settings):
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "agreement" not in name]
    edition = by_confirmation()
    assert reader.get("/plain/", **PAGE).status_code == 200
    assert reader.get("/decorated/", **PAGE).status_code == 302
    assert reader.get("/api/").status_code == 403
    assert "terms 1" in reader.get("/api/").content.decode()
    accept(user, edition)
    assert reader.get("/decorated/", **PAGE).status_code == 200
    assert reader.get("/api/").content == b"api"


@pytest.mark.parametrize("address", ["/slow/", "/slow/class/", "/slow/method/"])
def test_an_asynchronous_view_asks_too_under_either_server(reader, user, settings, address):
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "agreement" not in name]
    edition = by_confirmation()
    other = AsyncClient()
    other.cookies = reader.cookies

    def answers():
        return [reader.get(address, **PAGE), async_to_sync(other.get)(address, headers=PAGE["headers"])]

    assert [answer.status_code for answer in answers()] == [302, 302]
    accept(user, edition)
    assert [answer.content for answer in answers()] == [b"slow", b"slow"]
    assert Client().get(address).status_code == 200


class Fallback:
    """As Django's flatpages: a page where no view was found."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        response = self.get_response(request)
        return HttpResponse("flat") if response.status_code == 404 else response


def test_a_page_made_where_no_view_was_found_asks_too(reader, user, settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.Fallback"]
    settings.AGREEMENT = {**settings.AGREEMENT, "EXEMPT": ("/about/",)}
    edition = by_confirmation()
    assert reader.get("/flat/", **PAGE).status_code == 302
    assert reader.get("/flat/").status_code == 403
    assert reader.get("/about/", **PAGE).content == b"flat"
    assert Client().get("/flat/", **PAGE).content == b"flat"
    accept(user, edition)
    assert reader.get("/flat/", **PAGE).content == b"flat"


def test_an_unknown_path_is_404_for_every_user_and_no_acceptance(reader):
    factories.published()
    assert reader.get("/nowhere/", **PAGE).status_code == 404
    assert not Acceptance.objects.exists()


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Token of-a-user"}])
def test_a_user_who_comes_by_a_token_and_no_session_is_no_way_round(user, headers):
    by_confirmation()
    for request_user in (
        user,
        SimpleLazyObject(lambda: user),
        SimpleLazyObject(partial(get_user_model().objects.get, pk=user.pk)),
    ):
        request = RequestFactory().post("/taken/", headers=headers)
        request.user = request_user
        assert gate.check(request, plain).status_code == 403


def test_a_session_beside_a_token_says_nothing_about_the_tokens_user(user):
    """Another user's session does not let them through; nor do they let that session through."""
    edition = by_confirmation()
    accepted, pending_user = factories.users(2)
    accept(accepted, edition)

    def check(session, request_user):
        request = RequestFactory().get("/plain/")
        request.COOKIES["sessionid"] = session
        request.user = request_user
        return gate.check(request, plain)

    required = known.requirements()
    known.cache.add("accepted", accepted.pk, required)
    assert check("accepted", pending_user).status_code == 403
    assert check("asked", accepted) is None
    assert not known.cache.session_accepted("asked", required)


class TokenMiddleware:
    """Sets the user whom a header names, as middleware for tokens or for impersonation does."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        if key := request.headers.get("X-User"):
            request.user = SimpleLazyObject(partial(get_user_model().objects.get, pk=key))
        return self.get_response(request)


@pytest.mark.parametrize("after", [0, 1])
def test_a_user_set_by_other_middleware_is_checked_in_place_of_the_sessions_user(reader, user, settings, after):
    """Whether that middleware stands before ours or after it, and whether there is a session or none."""
    place = settings.MIDDLEWARE.index("agreement.middleware.AgreementMiddleware") + after
    settings.MIDDLEWARE = [*settings.MIDDLEWARE[:place], f"{__name__}.TokenMiddleware", *settings.MIDDLEWARE[place:]]
    edition = by_confirmation()
    (other,) = factories.users(1)
    accept(user, edition)

    assert reader.get("/plain/", **PAGE).content == b"plain"
    for client in (reader, Client()):
        assert client.get("/plain/", headers={"Accept": "text/html", "X-User": str(other.pk)}).status_code == 302
    assert reader.get("/plain/", **PAGE).content == b"plain"


# Without a database.


@pytest.mark.parametrize(("passes", "reads", "writes"), [("read", 200, 503), ("all", 200, 200), ("none", 503, 503)])
def test_without_its_database_it_fails_as_configured(reader, settings, monkeypatch, passes, reads, writes):
    settings.AGREEMENT = {**settings.AGREEMENT, "DATABASE_AWAY": passes}
    factories.published()
    with socket.create_server(("127.0.0.1", 0)) as free:  # Nobody listens there afterwards.
        port = free.getsockname()[1]
    lost = {"HOST": "127.0.0.1", "PORT": port} if POSTGRESQL else {"NAME": "/nowhere/at/all.sqlite3"}
    for key, value in lost.items():
        monkeypatch.setitem(connection.settings_dict, key, value)
    connection.close()
    expire_caches(read=False)

    assert reader.get("/plain/", **PAGE).status_code == reads
    response = reader.post("/taken/", {"text": "kept"})
    assert response.status_code == writes
    if writes == 503:
        assert response["Retry-After"] == "5"
        assert "kept" not in response.content.decode()


@pytest.mark.postgresql
@pytest.mark.parametrize("statement", ["SELECT pg_sleep(60)", "SELECT pg_terminate_backend(pg_backend_pid())"])
def test_an_error_of_a_database_that_answers_lets_nobody_through(reader, settings, monkeypatch, statement):
    """A statement takes too long, or a connection is ended. ``tests/system/test_asgi.py`` has too many connections."""
    settings.AGREEMENT = {**settings.AGREEMENT, "DATABASE_AWAY": "all"}
    factories.published()

    def failing(*_since):
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 10")
            cursor.execute(statement)

    monkeypatch.setattr(timeline, "_read", failing)
    expire_caches(read=False)
    assert reader.get("/plain/", **PAGE).status_code == 503
    connection.close()


@pytest.mark.sqlite
def test_a_file_that_another_process_has_locked_lets_nobody_through(reader, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "DATABASE_AWAY": "all"}
    factories.published()
    with closing(sqlite3.connect(connection.settings_dict["NAME"])) as other:
        other.execute("BEGIN IMMEDIATE")
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout = 0")
        assert reader.get("/plain/", **PAGE).status_code == 503
    connection.close()
    assert reader.get("/plain/", **PAGE).status_code == 200


@pytest.mark.postgresql
def test_only_a_server_that_refuses_a_connection_is_away(monkeypatch):
    """A server that accepts a connection and says nothing may be busy, and so may a process that can't open one."""
    import psycopg

    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setitem(connection.settings_dict, "HOST", "127.0.0.1")
        monkeypatch.setitem(connection.settings_dict, "PORT", silent.getsockname()[1])
        error = OperationalError("no connection")
        error.__cause__ = psycopg.OperationalError("no connection")
        assert not outage.is_away(error)
    assert not outage.is_away(error)  # It was busy, so it is not asked again.
    outage.clear()
    assert outage.is_away(error)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, most[1]))
    try:
        assert not outage.is_away(error)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, most)


def test_a_fault_of_the_site_is_not_swallowed(reader, monkeypatch):
    factories.published()
    monkeypatch.setattr(known, "requirements", lambda: (_ for _ in ()).throw(PermissionDenied))
    assert reader.get("/plain/", **PAGE).status_code == 403


SCRIPT = {"Sec-Fetch-Mode": "cors", "Accept": "*/*", "HX-Request": "true"}
CURRENT, NEXT = "http://testserver/mine/?page=2", "/agreements/terms/accept/?next=%2Fmine%2F%3Fpage%3D2"


@pytest.mark.parametrize("method", ["get", "post"])
def test_htmx_is_led_to_the_question_in_the_whole_window_and_back_to_its_page(reader, method):
    by_confirmation()
    response = getattr(reader, method)("/taken/", headers=SCRIPT | {"HX-Current-URL": CURRENT})
    assert (response.status_code, response.headers["HX-Redirect"]) == (403, NEXT)
    assert response.json()["type"] == "urn:agreement:not-accepted"


def test_a_boosted_link_of_htmx_leads_back_to_where_it_was_to_lead(reader):
    by_confirmation()
    headers = SCRIPT | {"HX-Boosted": "true", "HX-Current-URL": "http://testserver/plain/"}
    assert reader.get("/mine/?page=2", headers=headers).headers["HX-Redirect"] == NEXT
    other = reader.post("/mine/", headers=headers).headers["HX-Redirect"]
    assert other == "/agreements/terms/accept/?next=%2Fplain%2F"


@pytest.mark.parametrize("current", ["", "https://evil.example/mine/", "javascript:alert(1)", "http:evil.example"])
def test_a_foreign_page_is_no_way_back(reader, current):
    by_confirmation()
    response = reader.get("/mine/", headers=SCRIPT | {"HX-Current-URL": current})
    assert response.headers["HX-Redirect"] == "/agreements/terms/accept/"


@pytest.mark.parametrize(("method", "status"), [("get", 302), ("post", 303)])
def test_a_turbo_frame_is_redirected_to_a_page_that_turbo_loads_in_the_window(reader, method, status):
    by_confirmation()
    headers = {"Sec-Fetch-Mode": "cors", "Accept": "text/html", "Turbo-Frame": "part", "Referer": CURRENT}
    response = getattr(reader, method)("/taken/", headers=headers)
    assert (response.status_code, response.headers["Location"]) == (status, NEXT)
    page = reader.get(NEXT, headers=headers).content.decode()
    assert '<meta name="turbo-visit-control" content="reload">' in page


def test_other_scripts_are_answered_as_before(reader):
    by_confirmation()
    response = reader.get("/mine/", headers={"Sec-Fetch-Mode": "cors", "Accept": "text/html", "Referer": CURRENT})
    assert response.status_code == 403
    assert "HX-Redirect" not in response.headers


def test_htmx_is_led_to_the_withdrawal_after_one(reader, user):
    edition = by_confirmation()
    Withdrawal.objects.register(
        agreement=edition.agreement, user=user, outcome="ended", received_on=timezone.localdate()
    )
    known.clear()
    response = reader.get("/mine/", headers=SCRIPT | {"HX-Current-URL": CURRENT})
    assert response.headers["HX-Redirect"] == "/agreements/withdraw/?next=%2Fmine%2F%3Fpage%3D2"
