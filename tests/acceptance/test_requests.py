"""Where a request came from: stored right, or not at all; and which requests a person makes."""

from __future__ import annotations

import pytest
from django.test import RequestFactory

from agreement.acceptance import requests

FORGED = "203.0.113.66"
PROXY = "198.51.100.1"


def request(method: str = "GET", **headers: str):
    meta = {"REMOTE_ADDR": headers.pop("REMOTE_ADDR", PROXY)}
    return RequestFactory().generic(method, "/", headers={k.replace("_", "-"): v for k, v in headers.items()}, **meta)


@pytest.mark.parametrize(
    ("proxies", "forwarded", "remote", "recorded"),
    [
        (0, None, "192.0.2.7", "192.0.2.7"),
        (0, FORGED, "192.0.2.7", "192.0.2.7"),
        (0, None, "2001:db8::7", "2001:db8::7"),
        (0, None, "fe80::1%eth0", "fe80::1"),
        (0, None, "", None),
        (0, None, "unix:", None),
        (1, "192.0.2.7", PROXY, "192.0.2.7"),
        (1, f"{FORGED}, 192.0.2.7", PROXY, "192.0.2.7"),
        (1, f"{FORGED},{FORGED} ,192.0.2.7", PROXY, "192.0.2.7"),
        (2, f"{FORGED}, 192.0.2.7, 198.51.100.9", PROXY, "192.0.2.7"),
        (2, "192.0.2.7", PROXY, None),
        (1, None, PROXY, None),
        (1, "", PROXY, None),
        (1, "unknown", PROXY, None),
        (1, "192.0.2.7, ", PROXY, None),
        (1, "192.0.2.777", PROXY, None),
        (1, "'; DROP TABLE agreement_acceptance; --", PROXY, None),
        (1, "<script>", PROXY, None),
        (1, "9" * 70_000, PROXY, None),
        (1, "," * 5_000 + "192.0.2.7", PROXY, "192.0.2.7"),
        (1, "192.0.2.7:4711", PROXY, "192.0.2.7"),
        (1, "[2001:db8::7]:4711", PROXY, "2001:db8::7"),
        (1, '"[2001:db8::7]"', PROXY, "2001:db8::7"),
        (1, "::ffff:192.0.2.7", PROXY, "192.0.2.7"),
        (1, "2001:DB8:0:0::7", PROXY, "2001:db8::7"),
        (1, "1921680001", PROXY, None),
        (1, "192.0.2.7\x00", PROXY, None),
    ],
)
def test_an_address_is_recorded_right_or_not_at_all(settings, proxies, forwarded, remote, recorded):
    settings.AGREEMENT = {"RECORD_IP": True, "TRUSTED_PROXIES": proxies}
    headers = {} if forwarded is None else {"X_Forwarded_For": forwarded}
    assert requests.request_details(request(REMOTE_ADDR=remote, **headers)).ip == recorded


def test_nothing_is_recorded_that_is_not_configured(settings):
    settings.AGREEMENT = {}
    found = requests.request_details(request(User_Agent="Mozilla/5.0", X_Forwarded_For="192.0.2.7"))
    assert (found.ip, found.user_agent) == (None, "")


@pytest.mark.parametrize(
    ("sent", "recorded"),
    [("Mozilla/5.0", "Mozilla/5.0"), ("", ""), ("x" * 9000, "x" * 255), ("a\x00b\u2028c\x1b", "abc")],
)
def test_a_browser_is_recorded_as_it_can_be_stored(settings, sent, recorded):
    settings.AGREEMENT = {"RECORD_USER_AGENT": True}
    assert requests.request_details(request(User_Agent=sent)).user_agent == recorded


PAGE = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
FORM = {"Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
#: What browsers send with ``navigator.sendBeacon()``, and with ``fetch()``.
BEACON, FETCH = (
    {"Sec_Fetch_Mode": mode, "Sec_Fetch_Dest": "empty", "Sec_Fetch_Site": "same-origin", "Accept": "*/*"}
    for mode in ("no-cors", "cors")
)


@pytest.mark.parametrize(
    ("method", "headers", "enters"),
    [
        ("GET", PAGE, True),
        ("GET", PAGE | {"Sec_Fetch_Mode": "navigate"}, True),
        ("POST", {}, True),
        ("POST", {"X_Requested_With": "XMLHttpRequest"}, False),
        ("POST", FORM, True),
        ("POST", FORM | {"Sec_Fetch_Dest": "iframe"}, False),
        ("POST", {"Purpose": "prefetch"}, False),
        ("DELETE", {}, True),
        ("HEAD", PAGE, False),
        ("OPTIONS", PAGE, False),
        ("GET", {}, False),
        ("GET", {"Accept": "*/*"}, False),
        ("GET", {"Accept": "application/json"}, False),
        ("GET", PAGE | {"X_Requested_With": "XMLHttpRequest"}, False),
        ("GET", PAGE | {"Sec_Fetch_Mode": "cors"}, False),
        ("GET", PAGE | {"Sec_Fetch_Mode": "no-cors"}, False),
        ("GET", PAGE | {"Sec_Fetch_Mode": "navigate", "Sec_Purpose": "prefetch;prerender"}, False),
        ("GET", PAGE | FORM, True),
        ("GET", PAGE | FORM | {"Sec_Fetch_Dest": "iframe"}, False),
        ("GET", PAGE | {"Purpose": "prefetch"}, False),
        ("GET", PAGE | {"X_Purpose": "preview"}, False),
        ("GET", PAGE | {"X_Moz": "prefetch"}, False),
    ],
)
def test_a_person_uses_the_site_by_opening_a_page_or_changing_something(method, headers, enters):
    assert requests.is_use(request(method, **headers)) is enters


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize("headers", [BEACON, FETCH, FETCH | PAGE])
def test_what_a_script_sends_in_the_background_is_no_use(method, headers):
    assert requests.is_use(request(method, **headers)) is False
