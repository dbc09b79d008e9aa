"""Requests in every codec of Python, to the servers that a deployment has: none of them is answered 500."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agreement.charsets import is_readable
from tests.support.codecs import CODECS
from tests.support.site import ROOT, Site, served, site, wait_for

pytestmark = [pytest.mark.system, pytest.mark.sqlite]

REQUESTS = [
    (method, f"/en/accounts/login/{query}") for method in ("GET", "POST", "HEAD") for query in ("", "?x=%D2%93")
]
#: The names of the codecs, and values that break the reading of the header itself.
HEADERS = [f"application/x-www-form-urlencoded; charset={codec}" for codec in CODECS]
HEADERS += [f"text/html; charset*={value}" for value in ("nothing''x", "undefined''%d2", "utf-8''%00")]


@contextmanager
def served_by_uvicorn(made: Site, log: Path) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", f"--port={port}", "portal_site.asgi:application"]
    with log.open("w") as out, subprocess.Popen(command, cwd=ROOT, env=made.env, stdout=out, stderr=out) as process:
        try:
            wait_for(port, process, log)
            yield port
        finally:
            process.terminate()


@pytest.mark.parametrize("server", [served, served_by_uvicorn], ids=["gunicorn", "uvicorn"])
def test_no_charset_is_a_server_error(tmp_path, server):
    with site(tmp_path) as portal, server(portal, tmp_path / "log") as port:
        for header in HEADERS:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            for method, address in REQUESTS:
                connection.request(method, address, b"a=%D2%93" if method == "POST" else None, {"Content-Type": header})
                answer = connection.getresponse()
                body = answer.read()
                assert answer.status in {200, 400, 403}, (method, address, header)
                if not is_readable(header, b""):
                    assert answer.status == 400, (method, address, header)
                    assert method == "HEAD" or b"character encoding is not supported" in body
            connection.close()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", "/en/?" + "x&" * 1500, headers={"Content-Type": "text/html; charset=utf-8"})
        answer = connection.getresponse()
        assert (answer.status, answer.read()[:29]) == (400, b"The request can't be read: it")
        connection.close()
    log = (tmp_path / "log").read_text()
    assert "Traceback" not in log, log[-3000:]
