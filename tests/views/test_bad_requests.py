"""What nobody asked for kindly: each request is refused as what it is, none breaks anything, none is repeated."""

from __future__ import annotations

import errno
import http.client
import logging
import re
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, urljoin

import pytest
from django.test import Client

from tests.support import factories
from tests.support.site import Site, served, site

#: Stands in every hostile request, and must stand in no answer.
MARK = "zq9"
HERE = "/ru/agreements/terms/"
#: Texts that are fine nowhere: markup, quotes, SQL, templates, paths, shells, controls, look-alikes, length.
TEXTS = [
    *(f"<{MARK}>", f"<script>{MARK}</script>", f'"><img src=x onerror={MARK}>', f"'-{MARK}-'", f"javascript:{MARK}"),
    *(f"';{MARK}; DROP TABLE agreement_edition;--", f"1 OR 1=1 --{MARK}", f"1 UNION SELECT {MARK}", f"{{{{{MARK}}}}}"),
    *(f"{{% debug %}}{MARK}", f"${{jndi:ldap://{MARK}}}", f"%({MARK})s", f"$({MARK})", f"`{MARK}`", f"|{MARK}&"),
    *(f"../../etc/{MARK}", f"..\\..\\{MARK}", f"....//{MARK}", f"/etc/passwd\x00{MARK}", f"\x00{MARK}"),
    *(
        f"{MARK}\r\nSet-Cookie: a=b",
        f"\x1b[31m{MARK}",
        f"\u202e{MARK}",
        f"\ufeff{MARK}",
        f"１{MARK}",
        f"١{MARK}",
        f"é{MARK}",
    ),
    *(f"{MARK}" * 900, f"{MARK}\U0001f4a9"),
]
#: Bytes in the address that are no text at all.
BYTES = ["%", "%zz", "%ff", "%c0%ae", "%ed%a0%80", "%00", "%0d%0a", "%u0041", "%25%32%65", "%fe%ff%00"]
MOMENTS = [
    *("0", "-1", "now()", "2024", "2024-02-30", "2024-02-29T23:30:00", "2024-02-29T23:30:00+99:99", "2024-02-29T99Z"),
    *("0000-00-00", "99999-01-01", "2024-366", "1e9", "NaN", "inf", "2024-02-29T23:30:00.Z", "P1Y", "--02-29", "T23Z"),
    *("2024-02-29T23:30:00Z/P1D", "2024-02-29T23:30:00Z[Asia/Almaty]", "2024-02-29T23:30:00\u221205:00", "9" * 4000),
]
NUMBERS = [
    "0",
    "00",
    "-1",
    "+1",
    "1.0",
    "1e1",
    "0x1",
    "01",
    "1 ",
    "٣",
    "９",
    "9999999999",
    "9" * 30,
    "9" * 4000,
    "1;",
    "1'",
]
METHODS = ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "A" * 300, f"<{MARK}>"]
PAGES = [
    *("", "editions/", "editions/1/", "timemap/", "feed/", "current.json", "editions.json", "editions/1.json"),
    *("editions/1.kk.md", "editions/1.ru.txt", "editions/1/manifest.json", "at/2026-03-01/"),
    *("editions/1/manifest.json.tlog-proof", "log/checkpoint", "log/key", "log/key.pem", "log/tile/0/000.p/1"),
    *("bilingual/", "editions/2/changes/", "editions/1/bilingual/"),
]
DATES = [
    *("", "0", MARK, "2024-02-29", "Thu, 29 Feb 2024", "Thu, 29 Feb 2024 23:30:00 +0500", "29 Feb 2024 23:30:00 GMT"),
    *(
        "Thu, 99 Feb 2024 23:30:00 GMT",
        "Thu, 29 Feb 2024 23:30:61 GMT",
        f"<{MARK}>",
        f"{MARK}" * 2000,
        "\xff\xfe",
        "a\tb",
    ),
]

PLACES = [
    *("at/{}/", "editions/1/?on={}", "editions/{}/", "editions/1.{}.md", "editions/{}.json", "{}/", "{}/bilingual/"),
    *("log/tile/{}", "log/tile/0/{}", "log/tile/0/000.p/{}", "log/tile/entries/{}", "{}/log/checkpoint"),
    "editions/{}/manifest.json.tlog-proof",
    *("editions/{}/changes/", *(f"editions/2/changes/?{name}={{}}" for name in ("from", "to", "view"))),
]

Request = tuple[str, str, dict[str, str]]


def requests() -> Iterator[Request]:
    """Method, path with query, headers."""
    for text in TEXTS:
        for place in PLACES:
            yield "GET", HERE + place.format(quote(text, safe="")), {}
        yield "GET", f"/ru/agreements/{quote(text, safe='')}/current.json", {}
    for raw in BYTES:
        for place in ("at/{}/", "editions/1/?on={}", "editions/{}/manifest.json", "editions/{}.kk.txt"):
            yield "GET", HERE + place.format(raw), {}
    for moment in MOMENTS:
        for place in ("at/{}/", "editions/1/?on={}"):
            yield "GET", HERE + place.format(quote(moment, safe="")), {}
    for number in NUMBERS:
        for place in ("editions/{}/", "editions/{}.json", "editions/{}.ru.txt", "editions/2/changes/?from={}"):
            yield "GET", HERE + place.format(quote(number)), {}
    for method in METHODS:
        for place in PAGES:
            yield method, HERE + place, {}
    for accepted in DATES:
        yield "GET", HERE, {"HTTP_ACCEPT_DATETIME": accepted}
    for host in (f"{MARK}.example", "127.0.0.1@evil.example", f"127.0.0.1/{MARK}", "", f"<{MARK}>", "a" * 5000):
        yield "GET", f"{HERE}at/2026-03-01/", {"HTTP_HOST": host}
    yield "GET", f"{HERE}editions/1/?{'&'.join(f'on{number}={MARK}' for number in range(2000))}&on={MARK}", {}


@pytest.mark.django_db
@pytest.mark.parametrize("charset", ["base64", "hex", "rot13", "idna", "undefined"])
@pytest.mark.parametrize("path", ["verify/", "terms/accept/", "record/consent/", "withdraw/", "/en/admin/login/"])
def test_a_form_in_an_unknown_charset_is_a_bad_request(charset, path):
    factories.published()
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    client.cookies["csrftoken"] = "a" * 32
    form = f'--{MARK}\r\nContent-Disposition: form-data; name="text"\r\n\r\n{MARK}\r\n--{MARK}--\r\n'
    kind = f"multipart/form-data; boundary={MARK}; charset={charset}"
    answer = client.generic("POST", urljoin("/en/agreements/", path), form, content_type=kind)
    assert answer.status_code == 400
    assert "character encoding" in answer.content.decode()


@pytest.mark.django_db
def test_a_posted_text_in_what_is_no_charset_is_refused_on_a_site_without_the_middleware(settings):
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if not name.startswith("agreement.")]
    form = f'--{MARK}\r\nContent-Disposition: form-data; name="text"\r\n\r\nx\r\n--{MARK}--\r\n'
    for kind in (f"multipart/form-data; boundary={MARK}", "application/x-www-form-urlencoded"):
        answer = Client().generic("POST", "/en/agreements/verify/", form, content_type=f"{kind}; charset=base64")
        assert answer.status_code == 400
        assert "This is not a text" in answer.content.decode()


@pytest.mark.django_db
def test_each_hostile_request_is_refused_breaks_nothing_and_is_not_repeated(caplog):
    caplog.set_level(logging.CRITICAL)
    factories.published()
    factories.published()
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    counts: Counter[int] = Counter()
    wrong = []

    for method, path, headers in requests():
        response = client.generic(method, path, **headers)
        counts[response.status_code] += 1
        # The links to the other languages contain the path, percent-encoded.
        said = re.sub(r'href="[^"<>]*"', "", response.content.decode())
        said += "".join(f"{name}{value}" for name, value in response.headers.items())
        if response.status_code not in {400, 404, 405} or MARK in said or response.cookies:
            wrong.append((response.status_code, MARK in said, method[:20], path[:120], str(headers)[:80]))

    assert wrong == []
    assert counts.total() >= 300
    assert set(counts) == {400, 404, 405}
    assert client.get(HERE).status_code == 200


# Through a real server, for what no client of Django can send


@pytest.fixture(scope="module")
def deployed(tmp_path_factory) -> Iterator[tuple[int, Path]]:
    """The port of a served portal with three editions, and the server's log."""
    folder = tmp_path_factory.mktemp("served")
    with site(folder, vendor="sqlite") as made:
        record(made)
        with served(made, folder / "log") as port:
            yield port, folder / "log"


def record(made: Site) -> None:
    made.python(
        "from datetime import datetime; from tests.support import factories\n"
        "for moment in ('2024-02-12T09:00:00+06:00', '2024-02-29T23:30:00+06:00', '2024-02-29T23:30:00+05:00'):\n"
        "    factories.draft().record(effective_from=datetime.fromisoformat(moment))"
    )


LINE = b"GET /ru/agreements/terms/ HTTP/1.1\r\n"
HOST = b"Host: 127.0.0.1\r\n"
END = b"Connection: close\r\n\r\n"


def get(path: bytes, *headers: bytes) -> bytes:
    return b"GET " + path + b" HTTP/1.1\r\n" + HOST + b"".join(header + b"\r\n" for header in headers) + END


def asking(*headers: bytes) -> list[bytes]:
    """The page in force asked for with each of these lines among the headers."""
    return [LINE + HOST + header + b"\r\n" + END for header in headers]


AT = b"/ru/agreements/terms/at/"
PATHS = [
    *(AT + text + b"/" for text in (b"\xff\xfe", b"\xd2\x9b", b"<zq9>", b'"zq9', b"%zq9", b"\x01", b"a\tb", b"{zq9}")),
    *(b"/ru/agreements/terms/../../../etc/zq9", b"/ru/agreements/%2e%2e/%2e%2e/zq9", b"/ru/%5c..%5czq9", b"/ru/;zq9/"),
    *(b"//evil.example/%2e%2e/zq9", b"/\\evil.example/zq9/", b"zq9", b"*", b"http://evil.example/ru/agreements/zq9/"),
    *(AT + b"2024-02-29 T23:30Z/", AT + b"a" * 100_000 + b"/"),
]
RAW = [
    *map(get, PATHS),
    *asking(b"Accept-Datetime: zq9", b"Accept-Datetime: \xff\xfe", b"Accept-Datetime: " + b"a" * 5000),
    *asking(
        b"X: " + b"a" * 100_000, b"A: b\r\n" * 200 + b"A: b", b"zq9", b"A b: c", b"X: a\x00b", b": zq9", b" zq9: a"
    ),
    *asking(b"Content-Length: -1", b"Content-Length: 5\r\nTransfer-Encoding: chunked", b"Host: evil.example"),
    *(LINE + host + END for host in (b"Host: evil.example\r\n", b"Host: <zq9>\r\n", b"Host: \r\n")),
    *(method + LINE[3:] + HOST + b"Content-Length: 3\r\n" + END + b"zq9" for method in (b"POST", b"DELETE", b"PUT")),
    *(method + LINE[3:] + HOST + END for method in (b"BREW", b"<zq9>", b"", b"get", b"G\x00T")),
    *(
        b"GET / HTTP/9.9\r\n" + HOST + END,
        b"GET /\r\n\r\n",
        b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc" * 9 + END,
    ),
]


def send(port: int, request: bytes) -> bytes:
    """What comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        try:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b""))
        except OSError as closed:  # It had read enough, or gone before we said that we had written all.
            if not isinstance(closed, ConnectionError) and closed.errno != errno.ENOTCONN:
                raise
            return b""


@pytest.mark.system
def test_raw_bytes_are_refused_and_the_server_goes_on(deployed):
    port, log = deployed
    wrong = []

    for request in RAW:
        answer = send(port, request)
        found = re.match(rb"HTTP/1\.[01] (\d{3})", answer)
        status = int(found[1]) if found else 0
        body = answer.partition(b"\r\n\r\n")[2]
        if (answer and status not in {400, 404, 405, 414, 431}) or b"<zq9" in answer or b"<h1>zq9" in body:
            wrong.append((status, request[:90], answer[:300]))

    assert wrong == []
    assert send(port, get(b"/ru/agreements/terms/")).startswith(b"HTTP/1.1 200 ")
    assert "Traceback" not in log.read_text()


# Memento as an archive asks for it


@pytest.mark.system
@pytest.mark.parametrize(
    ("accepted", "number"),
    [
        ("Sat, 01 Jan 2000 00:00:00 GMT", 1),
        ("Thu, 29 Feb 2024 17:29:59 GMT", 1),
        ("Thu, 29 Feb 2024 17:30:00 GMT", 2),
        ("Thu, 29 Feb 2024 18:29:59 GMT", 2),
        ("Thu, 29 Feb 2024 18:30:00 GMT", 3),
        ("Thu, 31 Dec 2099 00:00:00 GMT", 3),
    ],
)
def test_an_archive_gets_the_edition_of_its_second(deployed, accepted, number):
    with closing(http.client.HTTPConnection("127.0.0.1", deployed[0], timeout=20)) as connection:
        connection.request("GET", HERE, headers={"Accept-Datetime": accepted})
        gate = connection.getresponse()
        gate.read()
        connection.request("GET", gate.headers["Location"])
        memento = connection.getresponse()
        memento.read()

    assert (gate.status, gate.headers["Location"]) == (302, f"{HERE}editions/{number}/")
    assert "accept-datetime" in gate.headers["Vary"].lower()
    assert memento.status == 200
    assert memento.headers["Memento-Datetime"].endswith(
        " 2024 " + ("03:00:00", "17:30:00", "18:30:00")[number - 1] + " GMT"
    )
