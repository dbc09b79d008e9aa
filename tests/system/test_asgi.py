"""The gate under ASGI, where each request may open a connection of its own to the database."""

from __future__ import annotations

import http.client
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace

import pytest

from tests.support.site import Site, publish_to, served, site

CONNECTIONS, REQUESTS = 10, 200
#: An edition that users must accept by a button, and the key of the session of a user who has accepted nothing.
SESSION = """
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.sessions.backends.db import SessionStore
from agreement.models import Agreement
Agreement.objects.update(acceptance_mode="by_confirmation")
user, session = get_user_model().objects.get(), SessionStore()
session[SESSION_KEY], session[HASH_SESSION_KEY] = str(user.pk), user.get_session_auth_hash()
session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
session.save()
print(session.session_key)
"""
#: Two pages hold the two connections of a pool. The dates of the editions are read by a third request, which waits for
#: a connection, and the pages need the dates before they end.
POOL_IS_EMPTY = """
import threading
from concurrent.futures import ThreadPoolExecutor
from tests.support import asgi_site
from django.db import connection
from agreement.editions import timeline

connected, third_waits = threading.Barrier(3), threading.Event()

def page():
    connection.ensure_connection()
    connected.wait()
    third_waits.wait()
    return third()

def third():
    try:
        return len(timeline.current_timelines().agreements)
    finally:
        connection.close()

with ThreadPoolExecutor(3) as threads:
    requests = [threads.submit(page), threads.submit(page)]
    connected.wait()
    requests.append(threads.submit(third))
    while not connection.pool.get_stats().get("requests_waiting"):
        threading.Event().wait(0.01)
    third_waits.set()
    print(*(request.result() for request in requests))
connection.close_pool()
"""


@contextmanager
def limited(portal: Site) -> Iterator[Site]:
    """The portal with a role that may open only so many connections."""
    import psycopg

    role = f"agreement_few_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(portal.database_url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'few' CONNECTION LIMIT {CONNECTIONS}")
        try:
            connection.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
            connection.execute(f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {role}")
            _scheme, _, server = portal.database_url.rpartition("@")
            yield Site(f"postgres://{role}:few@{server}")
        finally:
            connection.execute(f"DROP OWNED BY {role}")
            connection.execute(f"DROP ROLE {role}")


@pytest.mark.postgresql
@pytest.mark.parametrize("pool", ["", "8"])
def test_load_alone_lets_nobody_through_who_has_not_accepted(tmp_path, pool):
    with ExitStack() as stack:
        portal = stack.enter_context(site(tmp_path))
        portal.python(publish_to(1))
        # The key with which served() signs sessions.
        session = replace(portal, environment={"SECRET_KEY": "served"}).python(SESSION)
        few = stack.enter_context(limited(portal))
        port = stack.enter_context(served(few, tmp_path / "log", "tests.support.asgi_site", asgi=True, POOL=pool))

        def status(_number: int) -> int:
            headers = {"Cookie": f"sessionid={session}", "Accept": "text/html", "Connection": "close"}
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=300)) as connection:
                connection.request("GET", "/page/", headers=headers)
                with connection.getresponse() as response:
                    return response.status

        assert status(0) == 302
        with ThreadPoolExecutor(REQUESTS) as threads:
            found = Counter(threads.map(status, range(REQUESTS)))
    print(f"\n{REQUESTS} requests, {CONNECTIONS} connections, pool of {pool or 'none'}: {dict(found)}")
    assert set(found) <= {302, 503}
    assert (503 in found) is not bool(pool), "only without a pool do the connections run out"


@pytest.mark.postgresql
def test_who_reads_the_dates_of_the_editions_already_has_a_connection_of_the_pool(tmp_path):
    with site(tmp_path) as portal:
        portal.python(publish_to(1))
        assert replace(portal, environment={"POOL": "2"}).python(POOL_IS_EMPTY) == "1 1 1"
