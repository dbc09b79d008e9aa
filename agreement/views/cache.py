"""Rendered pages that a process remembers, and how a remembered page answers a request."""

from __future__ import annotations

import gzip
import time
from collections import OrderedDict
from threading import Lock
from typing import Any

from django.core.signals import setting_changed
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.utils.http import parse_etags, quote_etag

from agreement import conf, memory
from agreement.seal import manifest

#: The total size of the pages that one process remembers.
CACHE_BYTES = 16 * 1024 * 1024
#: Django's GZipMiddleware compresses nothing smaller either. It would weaken the tag of a larger page.
GZIP_MIN_BYTES = 200
IMMUTABLE = "public, max-age=31536000, immutable"
#: Scripts of any site may read these pages, because they are public and personal to no one.
ANY_ORIGIN = {"Access-Control-Allow-Origin": "*"}


class CachedResponse:
    """A rendered response in its encodings, with everything that can be computed before a request."""

    __slots__ = ("body", "plain", "tags", "unmodified", "valid_until", "zipped", "zipped_body")

    def __init__(self, *, body: bytes, headers: dict[str, str], zipped: bytes | None) -> None:
        self.body, self.zipped_body = body, zipped
        digest = manifest.sha256(body)
        self.tags = quote_etag(digest), quote_etag(f"{digest}-gzip")
        # A HEAD states the length of the GET.
        self.plain = headers | {"ETag": self.tags[0], "Content-Length": str(len(body))}
        length = str(len(zipped or b""))
        self.zipped = headers | {"Content-Encoding": "gzip", "ETag": self.tags[1], "Content-Length": length}
        names = ("Cache-Control", "Content-Location", "Vary", "Link", "Memento-Datetime", *ANY_ORIGIN)
        self.unmodified = {name: headers[name] for name in names if name in headers}
        self.valid_until = time.monotonic() + conf.get().PAGE_SECONDS

    @classmethod
    def from_response(cls, response: HttpResponse, *, personal: bool) -> CachedResponse:
        body = response.content
        if personal:
            response.headers["Cache-Control"] = "private, no-cache"
        response.headers.setdefault("Cache-Control", "public, no-cache")
        # No browser may guess another content type from the words of an agreement.
        response.headers["X-Content-Type-Options"] = "nosniff"
        zipped = gzip.compress(body, 6, mtime=0) if len(body) >= GZIP_MIN_BYTES else None
        if zipped and len(zipped) < len(body):
            patch_vary_headers(response, ["Accept-Encoding"])
        else:
            zipped = None
        return cls(body=body, headers=dict(response.headers), zipped=zipped)

    @property
    def size(self) -> int:
        return len(self.body) + len(self.zipped_body or b"")

    def answer(self, request: HttpRequest) -> HttpResponseBase | None:
        """The response to this request: 304 if the client has these bytes. ``None`` when the page is too old."""
        if time.monotonic() > self.valid_until:
            return None
        known = request.META.get("HTTP_IF_NONE_MATCH")
        if known and "HTTP_IF_MATCH" not in request.META:
            tag = self._matching_tag(known)
            return HttpResponseNotModified(headers=self.unmodified | {"ETag": tag}) if tag else self.with_body(request)
        response = self.with_body(request)
        if "HTTP_IF_MATCH" in request.META:
            return get_conditional_response(request, etag=response.headers["ETag"], response=response)
        return response

    def with_body(self, request: HttpRequest) -> HttpResponse:
        """The response with its body."""
        if self.zipped_body is not None and _takes_gzip(request.META.get("HTTP_ACCEPT_ENCODING", "")):
            return HttpResponse(self.zipped_body, headers=self.zipped)
        return HttpResponse(self.body, headers=self.plain)

    def _matching_tag(self, known: str) -> str | None:
        """The tag of these bytes, in any encoding, that this ``If-None-Match`` names; ``None`` if it names none."""
        if known in self.tags:  # What browsers send.
            return known
        named = {tag.removeprefix("W/") for tag in parse_etags(known)}
        return next((tag for tag in self.tags if tag in named), self.tags[0] if "*" in named else None)


class PageCache:
    """Remembered pages. Above ``CACHE_BYTES`` the least recently used page is dropped first."""

    def __init__(self) -> None:
        self._pages: OrderedDict[object, CachedResponse] = OrderedDict()
        self._size = 0
        self._lock = Lock()

    def get(self, key: object) -> CachedResponse | None:
        with self._lock:
            found = self._pages.get(key)
            if found:
                self._pages.move_to_end(key)
        return found

    def put(self, key: object, page: CachedResponse) -> None:
        with self._lock:
            if old := self._pages.pop(key, None):
                self._size -= old.size
            self._pages[key] = page
            self._size += page.size
            while self._size > CACHE_BYTES:
                self._size -= self._pages.popitem(last=False)[1].size

    def clear(self) -> None:
        with self._lock:
            self._pages.clear()
            self._size = 0


page_cache = PageCache()


def clear(**_signal: Any) -> None:
    """Render every page again. For code that changes the source of the pages under a running process."""
    page_cache.clear()


setting_changed.connect(clear)  # Sent by Django's test tools alone.
memory.register(__name__, clear)


def immutable_response(content: bytes, content_type: str) -> HttpResponse:
    """Bytes that never change."""
    return HttpResponse(content, headers={"Content-Type": content_type, "Cache-Control": IMMUTABLE} | ANY_ORIGIN)


def _takes_gzip(accepted: str) -> bool:
    """RFC 9110, 12.5.3: named, or covered by ``*``, and not with weight 0."""
    weights = {}
    for part in accepted.lower().split(","):
        coding, _, weight = part.replace(" ", "").partition(";q=")
        weights[coding] = weight.strip("0.") != "" or not weight
    return weights.get("gzip", weights.get("*", False))
