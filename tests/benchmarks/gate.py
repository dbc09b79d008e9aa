"""What the gate costs a request: the same trivial view with the middleware and without it, in one process."""

from __future__ import annotations

import gc
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

from django.contrib.auth import get_user_model
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, connection
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import path
from django.utils import timezone

from tests.benchmarks.__main__ import Result
from tests.support.site import ROOT

OURS = "agreement.middleware.AgreementMiddleware"
#: Peers by the name they are installed by → their app and middleware.
PEERS = {
    "django-termsandconditions": (
        "termsandconditions",
        "termsandconditions.middleware.TermsAndConditionsRedirectMiddleware",
    ),
    "django-tos": ("tos", "tos.middleware.UserAgreementMiddleware"),
}


def ignores(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok")


def reads(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"ok {request.user.pk}")


urlpatterns = [
    path("ignores/", ignores),
    path("reads/", reads),
    path("asks/", ignores, name="tos_check_tos"),  # Where django-tos would send who has not agreed.
]
PATHS = ("/ignores/", "/reads/")

Ask = Callable[[str], None]


def gate(quick: bool, peers: bool) -> Iterator[Result]:
    """Anonymous and signed in, for a view that ignores the user and one that reads the user; then a new edition."""
    from agreement.models import Acceptance
    from tests.support import factories

    factories.published()
    (user,) = factories.users(1)
    with _handlers(OURS, user) as (bare, gated, anonymous):
        rounds, count = (5, 100) if quick else (41, 300)
        for ask in (bare, gated):
            for each in PATHS:
                ask(each)
        assert Acceptance.objects.count() == 1
        for name, path_, pair in (
            ("anonymous", "/ignores/", anonymous),
            ("accepted, view ignores user", "/ignores/", (bare, gated)),
            ("accepted, view reads user", "/reads/", (bare, gated)),
        ):
            ratio, rate = _ratio(*pair, path_, rounds, count)
            yield Result(f"gate: {name}, ratio", ratio, 1.03, f"{rate:,.0f} requests/s without it")
        for each in PATHS:
            # The dates are read once a second, for all; of two requests in a row at most one does.
            own = min(len(_queries(gated, each)) - len(_queries(bare, each)) for _time in range(2))
            yield Result(f"gate: own queries, {each}", own, 0, "of a user who has accepted")
        factories.published()
        time.sleep(1.1)
        found, again = _queries(gated, "/reads/"), _queries(gated, "/reads/")
        own = [sql.split()[0] for sql in found if "agreement_" in sql and '"published_at"' not in sql]
        says = f"{own}; then {sum('agreement_' in sql for sql in again)}"
        yield Result("gate: own queries, new edition", own.count("SELECT"), 1, says)
        yield Result("gate: own inserts, new edition", own.count("INSERT"), 1, says)
    if peers:
        yield from _peers(quick)


def _peers(quick: bool) -> Iterator[Result]:
    for package in PEERS:
        with tempfile.TemporaryDirectory() as folder:
            install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder, package]
            subprocess.run(install, check=True)
            env = os.environ | {
                "PYTHONPATH": os.pathsep.join([folder, str(ROOT)]),
                "DJANGO_SETTINGS_MODULE": "tests.benchmarks.peer_settings",
                "DATABASE_URL": f"sqlite:///{folder}/db",
                "BENCHMARK_PEER": package,
                "BENCHMARK_QUICK": "1" if quick else "",
            }
            done = subprocess.run(
                [sys.executable, "-m", "tests.benchmarks.gate"],
                cwd=ROOT,
                env=env,
                check=False,
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, done.stderr
            for name, value, says in json.loads(done.stdout.splitlines()[-1]):
                yield Result(f"{package}: {name}", value, float("inf"), says)


def measure_peer(package: str, quick: bool) -> list[tuple[str, float, str]]:
    """The same of a peer whose user has agreed, as it is documented to be installed."""
    app, middleware = PEERS[package]
    user = get_user_model().objects.create(username="reader")
    if app == "tos":
        from tos.models import TermsOfService, UserAgreement

        UserAgreement.objects.create(terms_of_service=TermsOfService.objects.create(active=True), user=user)
    else:
        from termsandconditions.models import TermsAndConditions, UserTermsAndConditions

        terms = TermsAndConditions.objects.create(slug="site-terms", name="Terms", date_active=timezone.now())
        UserTermsAndConditions.objects.create(terms=terms, user=user)
    found = []
    with _handlers(middleware, user) as (bare, gated, anonymous):
        rounds, count = (5, 100) if quick else (21, 300)
        for name, path_, pair in (
            ("anonymous, ratio", "/ignores/", anonymous),
            ("accepted, view ignores user", "/ignores/", (bare, gated)),
            ("accepted, view reads user", "/reads/", (bare, gated)),
        ):
            ratio, _rate = _ratio(*pair, path_, rounds, count)
            own = len(_queries(pair[1], path_)) - len(_queries(pair[0], path_))
            found.append((name, ratio, f"{own} more queries"))
    return found


@contextmanager
def _handlers(middleware: str, user: Any) -> Iterator[tuple[Ask, Ask, tuple[Ask, Ask]]]:
    """The whole of Django without that middleware and with it, asked by that user; and the same by a visitor."""
    from django.conf import settings

    others = [name for name in settings.MIDDLEWARE if name != OURS]
    place = others.index("django.contrib.auth.middleware.AuthenticationMiddleware") + 1
    gated = [*others[:place], middleware, *others[place:]]
    client = Client()
    client.force_login(user)
    cookies = {"HTTP_COOKIE": f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"}
    with override_settings(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"]):
        handlers = []
        for names in (others, gated):
            with override_settings(MIDDLEWARE=names):
                handlers.append(WSGIHandler())
        request_started.disconnect(close_old_connections)
        request_finished.disconnect(close_old_connections)
        try:
            bare, asked = (_asker(handler, cookies) for handler in handlers)
            yield bare, asked, (_asker(handlers[0], {}), _asker(handlers[1], {}))
        finally:
            request_started.connect(close_old_connections)
            request_finished.connect(close_old_connections)


def _asker(handler: WSGIHandler, more: dict[str, str]) -> Ask:
    environ = {where: RequestFactory(headers={"Accept": "text/html"}).get(where).environ | more for where in PATHS}

    def ask(where: str) -> None:
        statuses: list[str] = []
        answer = handler(
            environ[where] | {"wsgi.input": io.BytesIO()}, lambda status, headers, *_rest: statuses.append(status)
        )
        body = b"".join(answer)
        answer.close()
        assert statuses == ["200 OK"], (statuses, body)

    return ask


def _ratio(bare: Ask, gated: Ask, where: str, rounds: int, count: int) -> tuple[float, float]:
    """Median over rounds of the gated time over the bare one, request by request in turns; and bare requests/s."""
    for _warm in range(50):
        bare(where)
        gated(where)
    gc.collect()
    gc.disable()
    try:
        ratios, seconds = [], []
        for _round in range(rounds):
            taken: dict[Ask, list[int]] = {bare: [], gated: []}
            for number in range(count):
                for ask in (bare, gated) if number % 2 else (gated, bare):
                    started = time.perf_counter_ns()
                    ask(where)
                    taken[ask].append(time.perf_counter_ns() - started)
            ratios.append(median(taken[gated]) / median(taken[bare]))
            seconds.append(median(taken[bare]) / 1e9)
            gc.collect()
    finally:
        gc.enable()
    return median(ratios), 1 / median(seconds)


def _queries(ask: Ask, where: str) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        ask(where)
    return [query["sql"] for query in captured]


if __name__ == "__main__":
    import django

    django.setup()
    from django.test.utils import setup_databases, teardown_databases

    databases = setup_databases(verbosity=0, interactive=False)
    print(json.dumps(measure_peer(os.environ["BENCHMARK_PEER"], bool(os.environ["BENCHMARK_QUICK"]))))
    teardown_databases(databases, verbosity=0)
