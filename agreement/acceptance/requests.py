"""Reads from a request where it came from and whether a person uses the site by it. A client can send any headers, so
the headers that a client sends are no proof. Only a header that a trusted proxy wrote is (``TRUSTED_PROXIES``).
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from django.http import HttpRequest
from django.utils.http import url_has_allowed_host_and_scheme

from agreement import conf
from agreement.models.acceptances import RequestDetails

SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


def request_details(request: HttpRequest) -> RequestDetails:
    """Return what the site records about a request: the IP address if the setting ``RECORD_IP`` is true, else ``None``;
    and the ``User-Agent`` header if ``RECORD_USER_AGENT`` is true, else ``""``. The header is stored without
    unprintable characters, and at most 255 characters of it.
    """
    site = conf.get()
    return RequestDetails(
        ip=ip_address(request) if site.RECORD_IP else None,
        user_agent=_printable(request.headers.get("User-Agent", "")) if site.RECORD_USER_AGENT else "",
    )


def ip_address(request: HttpRequest) -> str | None:
    """Return the IP address of the visitor; ``None`` if it is not known or not a valid address.

    If the setting ``TRUSTED_PROXIES`` is 0, it is the address of the connection (``REMOTE_ADDR``). If it is ``n`` > 0,
    it is the ``n``-th entry of ``X-Forwarded-For`` from the end, which the outermost proxy wrote. Earlier entries may
    be forged by the visitor. If there are fewer entries, the request did not pass through all proxies, and the address
    is not known.
    """
    proxies = conf.get().TRUSTED_PROXIES
    if not proxies:
        return _parse_ip(request.META.get("REMOTE_ADDR") or "")
    entries = (request.META.get("HTTP_X_FORWARDED_FOR") or "").split(",")
    return _parse_ip(entries[-proxies]) if len(entries) >= proxies else None


def is_use(request: HttpRequest) -> bool:
    """Return whether a person uses the site by this request, so that a deemed acceptance may be recorded.

    If the browser sends Fetch Metadata (``Sec-Fetch-*``), opening a page in a tab and sending a form are use; a frame
    and the requests of a script are not. Without Fetch Metadata, a ``GET`` that accepts HTML is use, and so is any
    request with an unsafe method; neither is if it has an ``X-Requested-With`` header. ``HEAD``, ``OPTIONS``, ``TRACE``
    and prefetches are never use.
    """
    headers = request.headers
    if (request.method in SAFE and request.method != "GET") or _is_prefetch(request):
        return False
    if headers.get("Sec-Fetch-Mode"):
        return opens_page(request) and headers.get("Sec-Fetch-Dest", "document") == "document"
    return opens_page(request) if request.method == "GET" else not headers.get("X-Requested-With")


def opens_page(request: HttpRequest) -> bool:
    """Return whether a browser will display the response as a page, whatever the method is. If the browser sends
    ``Sec-Fetch-Mode``, that is so for ``navigate``, also in a frame. Otherwise it is so if the request accepts HTML and
    has no ``X-Requested-With`` header. False for other requests, which programs and scripts make.
    """
    headers = request.headers
    if mode := headers.get("Sec-Fetch-Mode"):
        return mode == "navigate"
    if headers.get("X-Requested-With"):
        return False
    return "html" in headers.get("Accept", "").lower()


def is_htmx(request: HttpRequest) -> bool:
    """Return whether htmx sent the request (``HX-Request: true``). htmx follows the header ``HX-Redirect`` of any
    response.
    """
    return request.headers.get("HX-Request") == "true"


def is_turbo_frame(request: HttpRequest) -> bool:
    """Return whether a frame of Turbo sent the request, which then has the header ``Turbo-Frame``. Turbo follows
    redirects, and then needs an HTML page.
    """
    return "Turbo-Frame" in request.headers


def window_path(request: HttpRequest) -> str:
    """Return the path and query of the page that the window displays while its script sends this request; ``""`` if
    that is not known or not a page of this site.

    htmx names the page in ``HX-Current-URL``, and the browser in ``Referer``. For a ``GET`` by which htmx follows a
    link for the window (``HX-Boosted``), it is the path and query of the request itself.
    """
    if request.method == "GET" and request.headers.get("HX-Boosted") == "true":
        return request.get_full_path()
    url = request.headers.get("HX-Current-URL") or request.headers.get("Referer") or ""
    if not url_has_allowed_host_and_scheme(url, {request.get_host()}, require_https=request.is_secure()):
        return ""
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _is_prefetch(request: HttpRequest) -> bool:
    names = ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")
    return any("pre" in request.headers.get(name, "").lower() for name in names)  # prefetch, prerender, preview


def _parse_ip(value: str) -> str | None:
    """Return the IP address in the value of a header; ``None`` if the value is not an address. A port is removed,
    because some proxies write ``[2001:db8::1]:443`` or ``192.0.2.1:80``. Quotes and an IPv6 zone (``%eth0``) are
    removed too. An IPv4 address that is mapped to IPv6 is returned as IPv4.
    """
    text = value.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def _printable(text: str) -> str:
    return "".join(char for char in text if char.isprintable())[:255]
