"""A shared cache before the portal, in real processes: nobody reads the old edition a second after its time."""

from __future__ import annotations

import gzip
import http.client
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.site import Site, served, site, wait_for

PAGE = "/ru/agreements/terms/"
#: Publishes another edition for each line, in so many seconds, and says when it takes effect and when it was committed.
PUBLISHER = """
import sys
from datetime import timedelta
from django.utils import timezone
from tests.support import factories
for line in sys.stdin:
    edition = factories.draft()
    edition.publish(effective_from=timezone.now() + timedelta(seconds=float(line)) if float(line) else None)
    print(edition.effective_from.isoformat(), timezone.now().isoformat(), flush=True)
"""
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    at: float = field(default_factory=time.monotonic)

    @property
    def edition(self) -> int:
        page = gzip.decompress(self.body) if self.headers.get("content-encoding") == "gzip" else self.body
        found = re.search(r"<title>[^<]*Редакция №\s(\d+)", page.decode())
        assert found
        return int(found[1])


def ask(port: int, path: str, headers: dict[str, str]) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    found = Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
    connection.close()
    return found


@dataclass
class Double:
    """A shared cache as lazy as RFC 9111 lets it be: it asks again when it must, and never else."""

    port: int
    stored: dict[tuple[str, tuple[str, ...]], Answer] = field(default_factory=dict)
    varies: dict[str, tuple[str, ...]] = field(default_factory=dict)
    validated: int = 0
    reused: int = 0

    def __call__(self, path: str, headers: dict[str, str]) -> Answer:
        key = (path, tuple(headers.get(name, "") for name in self.varies.get(path, ())))
        held = self.stored.get(key)
        if held and self._fresh(held):
            self.reused += 1
            return held
        # Section 4.3.1; another variant's tag may be sent too, and is not, since no answer could then be told apart.
        known = {"If-None-Match": held.headers["etag"]} if held and "etag" in held.headers else {}
        answer = ask(self.port, path, headers | known)
        if held and answer.status == 304:
            self.validated += 1
            assert answer.headers["etag"] == held.headers["etag"]
            held.headers |= answer.headers  # Section 3.2
            held.at = answer.at
            return held
        vary = answer.headers.get("vary", "")
        if answer.status == 200 and vary != "*" and not {"no-store", "private"} & self._directives(answer).keys():
            self.varies[path] = tuple(name.strip() for name in vary.split(",") if name.strip())
            self.stored[path, tuple(headers.get(name, "") for name in self.varies[path])] = answer
        return answer

    def _fresh(self, held: Answer) -> bool:
        directives = self._directives(held)
        if "no-cache" in directives:
            return False
        # Where the origin says nothing a cache may guess (4.2.2): this one guesses an hour.
        lifetime = int(directives.get("s-maxage", directives.get("max-age", "3600")))
        return time.monotonic() - held.at < lifetime

    @staticmethod
    def _directives(answer: Answer) -> dict[str, str]:
        parts = (part.strip().partition("=") for part in answer.headers.get("cache-control", "").lower().split(","))
        return {name: value for name, _, value in parts}


Front = Callable[[str, dict[str, str]], Answer]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("caches")) as made:
        yield made


@pytest.fixture(scope="module")
def portal(made: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port at which the portal is served."""
    with served(made, tmp_path_factory.mktemp("served") / "log") as port:
        yield port


Publish = Callable[[float], tuple[datetime, datetime]]


@pytest.fixture(scope="module")
def publish(made: Site) -> Iterator[Publish]:
    """Publish another edition in another process, to take effect in so many seconds: when that is, and a moment after
    the commit.
    """
    process = made.start("shell", "-v0", "-c", PUBLISHER)
    assert process.stdin
    assert process.stdout

    def publish(seconds: float) -> tuple[datetime, datetime]:
        process.stdin.write(f"{seconds}\n")
        process.stdin.flush()
        effective, committed = map(datetime.fromisoformat, process.stdout.readline().split())
        return effective, committed

    try:
        yield publish
    finally:
        process.communicate(timeout=30)


@pytest.fixture(params=["double", pytest.param("nginx", marks=pytest.mark.scale)])
def front(request: pytest.FixtureRequest, portal: int, tmp_path: Path) -> Iterator[Front]:
    if request.param == "double":
        yield Double(portal)
        return
    if NGINX is None:
        pytest.skip("needs nginx")
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    temporary = " ".join(f"{name}_temp_path {tmp_path / name};" for name in ("client_body", "fastcgi", "scgi", "uwsgi"))
    (tmp_path / "nginx.conf").write_text(f"""
        daemon off; master_process off; pid {tmp_path / "pid"}; error_log stderr;
        events {{}}
        http {{
          access_log off; {temporary} proxy_temp_path {tmp_path / "proxy"};
          proxy_cache_path {tmp_path / "cache"} keys_zone=pages:1m;
          server {{
            listen 127.0.0.1:{port};
            location / {{
              proxy_pass http://127.0.0.1:{portal}; proxy_http_version 1.1; proxy_set_header Connection "";
              proxy_set_header Host $http_host;
              proxy_cache pages; proxy_cache_valid 200 1h; proxy_cache_revalidate on;
              add_header X-Cache $upstream_cache_status;
            }}
          }}
        }}
        """)
    log = tmp_path / "log"
    with log.open("w") as out, subprocess.Popen([NGINX, "-p", tmp_path, "-c", "nginx.conf"], stderr=out) as process:
        try:
            wait_for(port, process, log)
            yield lambda path, headers: ask(port, path, headers)
        finally:
            process.terminate()


def read_until(front: Front, last: datetime) -> list[tuple[datetime, datetime, Answer]]:
    """What the front answered until then, again and again, compressed and not."""
    found = []
    while (asked := datetime.now(UTC)) < last:
        encoding = {"Accept-Encoding": "gzip"} if len(found) % 2 else {}
        answer = front(PAGE, {"Host": "127.0.0.1", **encoding})
        assert answer.status == 200
        found.append((asked, datetime.now(UTC), answer))
        time.sleep(0.02)
    return found


def test_no_cache_shows_the_old_edition_after_the_moment(publish, front):
    first, _ = publish(0)
    old = read_until(front, first + timedelta(seconds=1.2))[-1][2]
    number = old.edition

    # Announced: to the very moment.
    moment, _ = publish(2)
    answers = read_until(front, moment + timedelta(seconds=1))
    shown = {
        "before": {answer.edition for _, got, answer in answers if got < moment},
        "after": {answer.edition for asked, _, answer in answers if asked >= moment},
    }
    assert shown == {"before": {number}, "after": {number + 1}}
    tags = [{answer.headers["etag"] for *_, answer in answers if answer.edition == one} for one in (number, number + 1)]
    assert tags[0]
    assert tags[1]
    assert not tags[0] & tags[1]

    # At once, by another process: within a second.
    _, committed = publish(0)
    answers = read_until(front, committed + timedelta(seconds=1.5))
    late = {answer.edition for asked, _, answer in answers if asked >= committed + timedelta(seconds=1)}
    assert late == {number + 2}

    if isinstance(front, Double):
        assert front.validated > 20, "the cache had nothing to reuse"
    for *_, answer in answers:
        assert "set-cookie" not in answer.headers
        assert "cookie" not in answer.headers["vary"].lower()


def test_sealed_bytes_are_asked_for_once(publish, front):
    publish(0)
    time.sleep(1.1)
    address = f"{PAGE}editions/1/manifest.json"
    first, again = front(address, {"Host": "127.0.0.1"}), front(address, {"Host": "127.0.0.1"})
    assert again.body == first.body
    if isinstance(front, Double):
        assert front.reused == 1
    else:
        assert (first.headers["x-cache"], again.headers["x-cache"]) == ("MISS", "HIT")
