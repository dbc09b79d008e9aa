"""How the public pages answer: the same bytes for every visitor, tagged, compressed once, kept while they are true.

A view gets a :class:`Visit` and gives a response; :func:`page` does the rest. A rendered page is kept in the process
until something is published or cancelled, an edition's moment passes, or ``PAGE_SECONDS`` are over, since the frame
around the text is the site's own. Each encoding has a strong ``ETag`` of its own (RFC 9110, 8.8.3), so a compressing
middleware has nothing left to do, and to weaken. There is no secret on these pages that compression could tell.
"""

from __future__ import annotations

import gzip
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, wraps
from threading import Lock
from typing import Any
from urllib.parse import urljoin

from django.conf import settings
from django.conf.locale import LANG_INFO
from django.core.handlers.exception import response_for_exception
from django.core.signals import setting_changed
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotModified
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.utils.http import parse_etags, quote_etag
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from agreement import conf, gate
from agreement.lineage import Dated
from agreement.models import Edition
from agreement.shown import Shown
from agreement.text import seal

#: What the kept pages of one process may weigh, together.
KEPT_BYTES = 16 * 1024 * 1024
#: Below this, Django's GZipMiddleware leaves bytes alone too; above, it would weaken the tag of what is not compressed.
SMALL = 200
#: What a list of editions has no use for, and what makes one heavy.
LONG = ("body", "body_kk", "body_ru")
SEALED = "public, max-age=31536000, immutable"
#: Scripts of any site may read what is public anyway, and is nobody's own.
OPEN = {"Access-Control-Allow-Origin": "*"}
# Django calls the language «Қазақ», which is the people.
NAMES = {"kk": "Қазақша"}


@dataclass(frozen=True)
class Visit:
    """A request for a public page, the instant it came, and what was published by then."""

    request: HttpRequest
    at: datetime
    timelines: gate.Timelines
    asked: dict[str, str]
    """The parameters and headers the view said it reads, those that were given."""

    def timeline(self, slug: str) -> gate.Timeline:
        """The agreement of that slug, if anything of it is public; ``Http404``."""
        timeline = self.timelines.agreements.get(slug)
        if timeline is None or not timeline.public(self.at):
            raise Http404
        return timeline

    def dated(self, timeline: gate.Timeline, number: int) -> Dated:
        """A public edition by its number; ``Http404``."""
        for edition in timeline.public(self.at):
            if edition.number == number:
                return edition
        raise Http404

    def shown(self, timeline: gate.Timeline, dated: Dated) -> Shown:
        """That edition with its texts. 1 query."""
        return self.whole(timeline, dated)[0]

    def whole(self, timeline: gate.Timeline, *dated: Dated) -> list[Shown]:
        """Those editions with their texts, in that order. 1 query."""
        whole: Any = Edition.objects.select_related("agreement").in_bulk([one.pk for one in dated])
        return [Shown.of(whole[one.pk], timeline, self.at) for one in dated]

    def listed(self, of: Iterable[tuple[gate.Timeline, Dated]]) -> list[Shown]:
        """Those editions in that order, without their texts. 1 query, or none for none."""
        wanted = {dated.pk: timeline for timeline, dated in of}
        if not wanted:
            return []
        whole: Any = Edition.objects.filter(pk__in=wanted).select_related("agreement")
        # By the columns' own names: the translation package reads "body" as the active language's.
        found = {edition.pk: edition for edition in whole.rewrite(False).defer(*LONG)}
        return [Shown.of(found[pk], timeline, self.at) for pk, timeline in wanted.items()]

    def path(self, name: str, *args: object, language: str | None = None) -> str:
        """The path of one of our pages, in the namespace of this one, and in its language or that one."""
        with translation.override(language) if language else nullcontext():
            return reverse(f"agreement:{name}", args=args, current_app=self._namespace)

    def url(self, name: str, *args: object, language: str | None = None) -> str:
        """Its whole address."""
        return self.absolute(self.path(name, *args, language=language))

    def absolute(self, path: str) -> str:
        base = conf.get().BASE_URL
        return urljoin(base, path) if base else self.request.build_absolute_uri(path)

    def render(self, template: str, context: dict[str, Any], *, query: str = "") -> HttpResponse:
        """That template as the page of this address, with as much of the query as makes it another page."""
        context = {
            "alternates": alternates(self.request, query),
            "canonical": self.absolute(self.request.path + query),
            "feed": self.path("feed", self._slug) if self._slug else "",
        } | context
        return HttpResponse(render_to_string(template, context, self.request))

    def refuse(self, status: int, heading: str, *sentences: str, link: tuple[str, str] | None = None) -> HttpResponse:
        """A page that says why there is none, in the site's frame. What was asked stands nowhere on it.

        ``link`` is a path and its words.
        """
        context = {"heading": heading, "sentences": sentences, "link": link}
        response = self.render("agreement/refused.html", context | {"alternates": [], "canonical": ""})
        response.status_code = status
        # The frame may be personal, and nobody asks for a mistake twice.
        response.headers["Cache-Control"] = "no-store"
        return response

    @cached_property
    def _namespace(self) -> str | None:
        match = self.request.resolver_match
        return match.namespace if match else None

    @cached_property
    def _slug(self) -> str:
        match = self.request.resolver_match
        return str(match.kwargs.get("slug", "")) if match else ""


View = Callable[..., HttpResponse]


def page(*params: str, headers: tuple[str, ...] = ()) -> Callable[[View], Callable[..., HttpResponseBase]]:
    """Make a view of a :class:`Visit` and the address's arguments one of a request.

    ``params`` are the query parameters it reads, ``headers`` the request headers besides; others change nothing, so
    they cost nothing. Anything but GET and HEAD is 405 for its method, before a token for it is looked for.
    """

    def decorate(view: View) -> Callable[..., HttpResponseBase]:
        @wraps(view)
        def answer(request: HttpRequest, **arguments: Any) -> HttpResponseBase:
            at, timelines = timezone.now(), gate.timelines()
            asked = {name: request.GET[name] for name in params if name in request.GET}
            asked |= {name: request.headers[name] for name in headers if name in request.headers}
            key = (
                *(request.path, request.scheme, request.get_host(), translation.get_language()),
                *(tuple(asked.items()), timelines.version(at)),
            )
            if (known := _kept.get(key)) and (response := known.answer(request)):
                return response
            session_read = _session_read(request)
            try:
                response = view(Visit(request, at, timelines, asked), **arguments)
            except Http404 as error:
                # Any cache may keep a 404 that does not say otherwise, and this edition may be published in a second.
                response = response_for_exception(request, error)
                response.headers["Cache-Control"] = "no-store"
            if headers:
                patch_vary_headers(response, headers)
            if response.status_code != 200:
                response.headers.setdefault("Cache-Control", "public, no-cache")
                return response
            personal = session_read or _personal(request)
            made = Kept.of(response, personal=personal)
            if not personal and gate.remembers() and not settings.DEBUG:
                _kept.put(key, made)
            return made.answer(request) or made.whole(request)

        answer_safely: Callable[..., HttpResponseBase] = csrf_exempt(require_safe(answer))
        # Inside a transaction nothing may be remembered, and there is nothing here to roll back.
        return transaction.non_atomic_requests(answer_safely)

    return decorate


class Kept:
    """A rendered response, in its encodings, with everything that can be worked out before it is asked for."""

    __slots__ = ("body", "kept_until", "plain", "tags", "unmodified", "zipped", "zipped_body")

    def __init__(self, *, body: bytes, headers: dict[str, str], zipped: bytes | None) -> None:
        self.body, self.zipped_body = body, zipped
        digest = seal.sha256(body)
        self.tags = quote_etag(digest), quote_etag(f"{digest}-gzip")
        # A GET's length is what a HEAD tells too.
        self.plain = headers | {"ETag": self.tags[0], "Content-Length": str(len(body))}
        length = str(len(zipped or b""))
        self.zipped = headers | {"Content-Encoding": "gzip", "ETag": self.tags[1], "Content-Length": length}
        names = ("Cache-Control", "Content-Location", "Vary", "Link", "Memento-Datetime", *OPEN)
        self.unmodified = {name: headers[name] for name in names if name in headers}
        self.kept_until = time.monotonic() + conf.get().PAGE_SECONDS

    @classmethod
    def of(cls, response: HttpResponse, *, personal: bool) -> Kept:
        body = response.content
        if personal:
            response.headers["Cache-Control"] = "private, no-cache"
        response.headers.setdefault("Cache-Control", "public, no-cache")
        # Whatever is written in an agreement, nobody's browser may take it for what it does not say it is.
        response.headers["X-Content-Type-Options"] = "nosniff"
        zipped = gzip.compress(body, 6, mtime=0) if len(body) >= SMALL else None
        if zipped and len(zipped) < len(body):
            patch_vary_headers(response, ["Accept-Encoding"])
        else:
            zipped = None
        return cls(body=body, headers=dict(response.headers), zipped=zipped)

    @property
    def size(self) -> int:
        return len(self.body) + len(self.zipped_body or b"")

    def answer(self, request: HttpRequest) -> HttpResponseBase | None:
        """The response to this request, 304 to whoever holds these very bytes; ``None`` past its time."""
        if time.monotonic() > self.kept_until:
            return None
        known = request.META.get("HTTP_IF_NONE_MATCH")
        if known and "HTTP_IF_MATCH" not in request.META:
            tag = self._held(known)
            return HttpResponseNotModified(headers=self.unmodified | {"ETag": tag}) if tag else self.whole(request)
        response = self.whole(request)
        if "HTTP_IF_MATCH" in request.META:
            return get_conditional_response(request, etag=response.headers["ETag"], response=response)
        return response

    def whole(self, request: HttpRequest) -> HttpResponse:
        """The response with its body."""
        if self.zipped_body is not None and _takes_gzip(request.META.get("HTTP_ACCEPT_ENCODING", "")):
            return HttpResponse(self.zipped_body, headers=self.zipped)
        return HttpResponse(self.body, headers=self.plain)

    def _held(self, known: str) -> str | None:
        """The tag by which whoever sent this ``If-None-Match`` holds these bytes, in whichever encoding."""
        if known in self.tags:  # What browsers send.
            return known
        held = {tag.removeprefix("W/") for tag in parse_etags(known)}
        return next((tag for tag in self.tags if tag in held), self.tags[0] if "*" in held else None)


class _Shelf:
    """Kept pages, the one asked for longest ago going first when they outweigh ``KEPT_BYTES``."""

    def __init__(self) -> None:
        self._pages: OrderedDict[object, Kept] = OrderedDict()
        self._size = 0
        self._lock = Lock()

    def get(self, key: object) -> Kept | None:
        with self._lock:
            found = self._pages.get(key)
            if found:
                self._pages.move_to_end(key)
        return found

    def put(self, key: object, page: Kept) -> None:
        with self._lock:
            if old := self._pages.pop(key, None):
                self._size -= old.size
            self._pages[key] = page
            self._size += page.size
            while self._size > KEPT_BYTES:
                self._size -= self._pages.popitem(last=False)[1].size

    def clear(self) -> None:
        with self._lock:
            self._pages.clear()
            self._size = 0


_kept = _Shelf()


def forget(**_signal: Any) -> None:
    """Render every page anew; for whoever changes what pages are made of under a running process."""
    _kept.clear()


setting_changed.connect(forget)  # Sent by Django's test tools alone.


def sealed(content: bytes, content_type: str) -> HttpResponse:
    """Bytes that never change."""
    return HttpResponse(content, headers={"Content-Type": content_type, "Cache-Control": SEALED} | OPEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternate:
    """This page in one of the site's languages."""

    language: str
    name: str
    path: str
    url: str
    active: bool


def alternates(request: HttpRequest, query: str = "") -> list[Alternate]:
    """This page in each language; empty where addresses hold no language (no ``i18n_patterns``)."""
    match = request.resolver_match
    if match is None:
        return []
    base, found = conf.get().BASE_URL, []
    for language, name in settings.LANGUAGES:
        with translation.override(language):
            path = reverse(match.view_name, args=match.args, kwargs=match.kwargs, current_app=match.namespace or None)
            path += query
        found.append(
            Alternate(
                language=language,
                name=NAMES.get(language) or LANG_INFO.get(language, {}).get("name_local", str(name)).capitalize(),
                path=path,
                url=urljoin(base, path) if base else request.build_absolute_uri(path),
                active=language == translation.get_language(),
            )
        )
    return found if len({alternate.path for alternate in found}) > 1 else []


def _takes_gzip(accepted: str) -> bool:
    """RFC 9110, 12.5.3: named, or covered by ``*``, and not with weight 0."""
    weights = {}
    for part in accepted.lower().split(","):
        coding, _, weight = part.replace(" ", "").partition(";q=")
        weights[coding] = weight.strip("0.") != "" or not weight
    return weights.get("gzip", weights.get("*", False))


def _session_read(request: HttpRequest) -> bool:
    return bool(getattr(getattr(request, "session", None), "accessed", False))


def _personal(request: HttpRequest) -> bool:
    """Did the site's frame show this visitor something of his own: his name, a message, a token, a nonce?

    Then the page is his alone, and neither kept here nor by anybody between.
    """
    return (
        _session_read(request)
        or bool(request.META.get("CSRF_COOKIE_NEEDS_UPDATE"))
        or bool(getattr(getattr(request, "_messages", None), "used", False))
        or bool(getattr(request, "_csp_nonce", None))
    )
