"""What a request tells about where it came from, and whether a person made it; all of it unchecked by anybody else."""

from __future__ import annotations

import ipaddress

from django.http import HttpRequest

from agreement import conf
from agreement.models.acceptances import Origin

SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


def of(request: HttpRequest) -> Origin:
    """What the site records of a request, which is nothing unless it is configured."""
    now = conf.get()
    return Origin(
        ip=address(request) if now.RECORD_IP else None,
        user_agent=_printable(request.headers.get("User-Agent", "")) if now.RECORD_USER_AGENT else "",
    )


def address(request: HttpRequest) -> str | None:
    """The visitor's IP address, or ``None`` where it can't be known.

    Behind ``TRUSTED_PROXIES`` proxies it is what the outermost of them wrote into ``X-Forwarded-For``: so many places
    from the end. Whatever stands before it was written by the visitor. A request with fewer entries did not come
    through all of them, and nobody knows where it came from.
    """
    proxies = conf.get().TRUSTED_PROXIES
    if not proxies:
        return _ip(request.META.get("REMOTE_ADDR") or "")
    entries = (request.META.get("HTTP_X_FORWARDED_FOR") or "").split(",")
    return _ip(entries[-proxies]) if len(entries) >= proxies else None


def enters(request: HttpRequest) -> bool:
    """Does a person use the site by this request?

    By whatever changes something; and by opening a page, which browsers say themselves (``Sec-Fetch-Mode``). Not by
    ``HEAD``, by what a browser fetches beforehand, nor by what a script asks for in the background.
    """
    if request.method not in SAFE:
        return True
    return request.method == "GET" and opens_page(request) and not _beforehand(request)


def opens_page(request: HttpRequest) -> bool:
    """Will whoever asked show the answer as a page? Programs and scripts will not."""
    headers = request.headers
    if mode := headers.get("Sec-Fetch-Mode"):
        return mode == "navigate"
    if headers.get("X-Requested-With"):
        return False
    return "html" in headers.get("Accept", "").lower()


def _beforehand(request: HttpRequest) -> bool:
    names = ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")
    return any("pre" in request.headers.get(name, "").lower() for name in names)  # prefetch, prerender, preview


def _ip(written: str) -> str | None:
    """An address as it is written in a header, some proxies adding a port: ``[2001:db8::1]:443``, ``192.0.2.1:80``."""
    text = written.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(found, "ipv4_mapped", None)
    return str(mapped or found)


def _printable(text: str) -> str:
    return "".join(char for char in text if char.isprintable())[:255]
