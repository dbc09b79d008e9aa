"""The rendered pages that a process remembers, and the responses made from them."""

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

#: The largest total size of the pages that one process remembers.
CACHE_BYTES = 16 * 1024 * 1024
#: Pages of fewer bytes are not compressed. The limit is that of Django's GZipMiddleware, which would compress a larger
#: page itself and weaken its ETag.
GZIP_MIN_BYTES = 200
IMMUTABLE = "public, max-age=31536000, immutable"
#: Scripts of any site may read these responses, because they are public and contain no personal data.
ANY_ORIGIN = {"Access-Control-Allow-Origin": "*"}


class CachedResponse:
    """A rendered response with the status 200: its body, plain and perhaps compressed with gzip (``zipped_body``, or
    ``None``), with its headers and ETags. It is valid for ``PAGE_SECONDS`` after it was made. ``plain`` and ``zipped``
    are the headers of the two forms, ``tags`` their two ETags, and ``unmodified`` the headers of a 304 response without
    its ETag.
    """

    __slots__ = ("body", "plain", "tags", "unmodified", "valid_until", "zipped", "zipped_body")

    def __init__(self, *, body: bytes, headers: dict[str, str], zipped: bytes | None) -> None:
        self.body, self.zipped_body = body, zipped
        digest = manifest.sha256(body)
        self.tags = quote_etag(digest), quote_etag(f"{digest}-gzip")
        # A response to HEAD states the length of the body that GET returns.
        self.plain = headers | {"ETag": self.tags[0], "Content-Length": str(len(body))}
        length = str(len(zipped or b""))
        self.zipped = headers | {"Content-Encoding": "gzip", "ETag": self.tags[1], "Content-Length": length}
        names = ("Cache-Control", "Content-Location", "Vary", "Link", "Memento-Datetime", *ANY_ORIGIN)
        self.unmodified = {name: headers[name] for name in names if name in headers}
        self.valid_until = time.monotonic() + conf.get().PAGE_SECONDS

    @classmethod
    def from_response(cls, response: HttpResponse, *, personal: bool) -> CachedResponse:
        """Return the response in the form that can be remembered. The body is also compressed if it has at least
        ``GZIP_MIN_BYTES`` and becomes smaller. The headers ``Cache-Control``, ``X-Content-Type-Options`` and, with a
        compressed body, ``Vary`` are set, in ``response`` too.

        If the page is ``personal``, its ``Cache-Control`` becomes ``private, no-cache``. If not, the ``Cache-Control``
        of the response is preserved; if it has none, it becomes ``public, no-cache``. The cookies and the status of the
        response are not preserved.
        """
        body = response.content
        if personal:
            response.headers["Cache-Control"] = "private, no-cache"
        response.headers.setdefault("Cache-Control", "public, no-cache")
        # Browsers must not guess another content type from the content.
        response.headers["X-Content-Type-Options"] = "nosniff"
        zipped = gzip.compress(body, 6, mtime=0) if len(body) >= GZIP_MIN_BYTES else None
        if zipped and len(zipped) < len(body):
            patch_vary_headers(response, ["Accept-Encoding"])
        else:
            zipped = None
        return cls(body=body, headers=dict(response.headers), zipped=zipped)

    @property
    def size(self) -> int:
        """The size of the plain and of the compressed body together, in bytes."""
        return len(self.body) + len(self.zipped_body or b"")

    def answer(self, request: HttpRequest) -> HttpResponseBase | None:
        """Return the response to this request. Return ``None`` if the page is older than ``PAGE_SECONDS`` allows.

        The response has the status 200 and a body, with these exceptions. Without ``If-Match``, it is 304 if
        ``If-None-Match`` names the plain or the compressed page or is ``*``. With ``If-Match``, only the page that this
        request would get (plain or compressed) counts: it is 412 if ``If-Match`` is not ``*`` and names only other
        ETags, otherwise 304 if ``If-None-Match`` names this page or is ``*``.
        """
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
        """Return the response with its body and the status 200. The body is compressed if a compressed body exists and
        the client accepts gzip.
        """
        if self.zipped_body is not None and _takes_gzip(request.META.get("HTTP_ACCEPT_ENCODING", "")):
            return HttpResponse(self.zipped_body, headers=self.zipped)
        return HttpResponse(self.body, headers=self.plain)

    def _matching_tag(self, known: str) -> str | None:
        """Return the ETag of this page, plain or compressed, that ``known`` names; ``None`` if it names neither.
        ``known`` is the value of ``If-None-Match``, in which weak ETags (``W/``) count too. If it names both or is
        ``*``, the result is the ETag of the plain page.
        """
        if known in self.tags:  # Browsers send a single ETag.
            return known
        named = {tag.removeprefix("W/") for tag in parse_etags(known)}
        return next((tag for tag in self.tags if tag in named), self.tags[0] if "*" in named else None)


class PageCache:
    """The remembered pages of a process. If the total size of their bodies exceeds ``CACHE_BYTES``, the least recently
    used pages are removed.
    """

    def __init__(self) -> None:
        self._pages: OrderedDict[object, CachedResponse] = OrderedDict()
        self._size = 0
        self._lock = Lock()

    def get(self, key: object) -> CachedResponse | None:
        """Return the page with that key, or ``None``. The page becomes the most recently used one. It may be older than
        ``PAGE_SECONDS`` allows.
        """
        with self._lock:
            found = self._pages.get(key)
            if found:
                self._pages.move_to_end(key)
        return found

    def put(self, key: object, page: CachedResponse) -> None:
        """Remember the page under that key, in place of an older page with the same key. Then the least recently used
        pages are removed until the rest fits into ``CACHE_BYTES``. If the page alone is larger, it is removed too,
        after all others.
        """
        with self._lock:
            if old := self._pages.pop(key, None):
                self._size -= old.size
            self._pages[key] = page
            self._size += page.size
            while self._size > CACHE_BYTES:
                self._size -= self._pages.popitem(last=False)[1].size

    def clear(self) -> None:
        """Forget all pages."""
        with self._lock:
            self._pages.clear()
            self._size = 0


page_cache = PageCache()


def clear(**_signal: Any) -> None:
    """Forget all pages of this process, so that they are rendered again. Call it after a change that is not part of the
    key of a page, such as a change of a setting or a template. A publication needs no call.
    """
    page_cache.clear()


setting_changed.connect(clear)  # Only the test tools of Django send this signal.
memory.register(__name__, clear)


def immutable_response(content: bytes, content_type: str) -> HttpResponse:
    """Return a public response that caches may use for a year without revalidation, because its content never changes.
    Scripts of any site may read it.
    """
    return HttpResponse(content, headers={"Content-Type": content_type, "Cache-Control": IMMUTABLE} | ANY_ORIGIN)


def _takes_gzip(accepted: str) -> bool:
    """Return whether the value of ``Accept-Encoding`` accepts gzip: by name or, if it does not name gzip, by ``*``, and
    not with the weight 0 (RFC 9110 §12.5.3). An empty value accepts nothing.
    """
    weights = {}
    for part in accepted.lower().split(","):
        coding, _, weight = part.replace(" ", "").partition(";q=")
        weights[coding] = weight.strip("0.") != "" or not weight
    return weights.get("gzip", weights.get("*", False))
