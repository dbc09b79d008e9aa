"""Where a request came from and whether a person made it. Every client can send whatever headers it likes."""

from __future__ import annotations

import ipaddress

from django.http import HttpRequest

from agreement import conf
from agreement.models.acceptances import RequestDetails

SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


def details(request: HttpRequest) -> RequestDetails:
    """What the site records of a request: nothing, unless ``RECORD_IP`` or ``RECORD_USER_AGENT`` is set."""
    site = conf.get()
    return RequestDetails(
        ip=ip_address(request) if site.RECORD_IP else None,
        user_agent=_printable(request.headers.get("User-Agent", "")) if site.RECORD_USER_AGENT else "",
    )


def ip_address(request: HttpRequest) -> str | None:
    """The visitor's IP address; ``None`` if it is not known.

    Behind ``TRUSTED_PROXIES`` proxies it is the entry of ``X-Forwarded-For`` that the outermost of them wrote: that
    many places from the end. The entries before it were written by the visitor. A request with fewer entries did not
    come through all of the proxies, so its address is not known.
    """
    proxies = conf.get().TRUSTED_PROXIES
    if not proxies:
        return _parse_ip(request.META.get("REMOTE_ADDR") or "")
    entries = (request.META.get("HTTP_X_FORWARDED_FOR") or "").split(",")
    return _parse_ip(entries[-proxies]) if len(entries) >= proxies else None


def is_use(request: HttpRequest) -> bool:
    """Does a person use the site by this request? Then a deemed acceptance may be recorded.

    A browser that sends Fetch Metadata (``Sec-Fetch-*``) says what the request is for. Opening a page in a tab and
    sending a form are use; a frame, and whatever a script sends, is not. Without Fetch Metadata, opening a page is use,
    and so is a request that may change something, unless it has the header of a script. ``HEAD`` and prefetches are
    never use.
    """
    headers = request.headers
    if (request.method in SAFE and request.method != "GET") or _is_prefetch(request):
        return False
    if headers.get("Sec-Fetch-Mode"):
        return opens_page(request) and headers.get("Sec-Fetch-Dest", "document") == "document"
    return opens_page(request) if request.method == "GET" else not headers.get("X-Requested-With")


def opens_page(request: HttpRequest) -> bool:
    """Is the answer displayed as a page? False for requests of programs and scripts."""
    headers = request.headers
    if mode := headers.get("Sec-Fetch-Mode"):
        return mode == "navigate"
    if headers.get("X-Requested-With"):
        return False
    return "html" in headers.get("Accept", "").lower()


def _is_prefetch(request: HttpRequest) -> bool:
    names = ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")
    return any("pre" in request.headers.get(name, "").lower() for name in names)  # prefetch, prerender, preview


def _parse_ip(value: str) -> str | None:
    """The address in the value of a header. Some proxies add a port: ``[2001:db8::1]:443``, ``192.0.2.1:80``."""
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
