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

    Where the browser says what asks (Fetch Metadata, ``Sec-Fetch-*``), by opening a page in a tab of its own or sending
    a form, and by nothing else: not by a frame, nor by what a script sends, be it a poll, a beacon or an act of the
    user, who opened the page before. Of other programs, by whatever changes something, a script's header apart. Never
    by ``HEAD``, nor by what is fetched beforehand.
    """
    headers = request.headers
    if (request.method in SAFE and request.method != "GET") or _beforehand(request):
        return False
    if headers.get("Sec-Fetch-Mode"):
        return opens_page(request) and headers.get("Sec-Fetch-Dest", "document") == "document"
    return opens_page(request) if request.method == "GET" else not headers.get("X-Requested-With")


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
