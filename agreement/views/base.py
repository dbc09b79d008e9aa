"""How the public pages answer: the same bytes for every visitor, with a strong ETag, compressed and rendered once.

A view takes a :class:`Visit` and returns a response; :func:`page` does the rest. Sites may use both for their own
public pages. The process reuses a rendered page until an edition is published, is cancelled or takes effect, and at
most for ``PAGE_SECONDS``, because the frame around the text is the site's own.

Each encoding has its own strong ``ETag`` (RFC 9110, 8.8.3), so that a compressing middleware changes nothing.
Compression reveals nothing, because these pages contain no secret.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, wraps
from typing import Any
from urllib.parse import urljoin

from django.conf import settings
from django.conf.locale import LANG_INFO
from django.core.handlers.exception import response_for_exception
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.cache import patch_vary_headers
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from agreement import conf
from agreement.editions.display import DisplayedEdition
from agreement.editions.timeline import Timeline, Timelines, current_timelines, may_remember
from agreement.models import Edition
from agreement.models.succession import EditionDates
from agreement.views.cache import CachedResponse, page_cache

# Django calls the language «Қазақ», which is the name of the people.
NATIVE_NAMES = {"kk": "Қазақша"}


@dataclass(frozen=True)
class Visit:
    """A request for a public page, the instant of the request, and what was published by then."""

    request: HttpRequest
    at: datetime
    timelines: Timelines
    parameters: dict[str, str]
    """The given query parameters and headers, of those that the view reads."""

    def public(self, timeline: Timeline) -> tuple[EditionDates, ...]:
        """The public editions of that agreement, in the order of their numbers."""
        if timeline.slug not in self._public:
            self._public[timeline.slug] = timeline.public(self.at)
        return self._public[timeline.slug]

    @cached_property
    def _public(self) -> dict[str, tuple[EditionDates, ...]]:
        return {}

    def timeline(self, slug: str) -> Timeline:
        """The timeline of an agreement that has a public edition. Raises ``Http404``."""
        timeline = self.timelines.agreements.get(slug)
        if timeline is None or not self.public(timeline):
            raise Http404
        return timeline

    def edition(self, timeline: Timeline, number: int) -> EditionDates:
        """The public edition with that number. Raises ``Http404``."""
        for edition in self.public(timeline):
            if edition.number == number:
                return edition
        raise Http404

    def display(self, timeline: Timeline, edition: EditionDates) -> DisplayedEdition:
        """That edition with its texts. 1 query."""
        return self.display_all(timeline, edition)[0]

    def display_all(self, timeline: Timeline, *editions: EditionDates) -> list[DisplayedEdition]:
        """Those editions with their texts, in that order. 1 query."""
        rows: dict[int, Edition] = Edition.objects.select_related("agreement").in_bulk([one.pk for one in editions])
        return [DisplayedEdition.from_timeline(rows[one.pk], timeline, self.at) for one in editions]

    def display_without_texts(self, editions: Iterable[tuple[Timeline, EditionDates]]) -> list[DisplayedEdition]:
        """Those editions in that order, without their long texts. 1 query, or none for no editions."""
        wanted = {edition.pk: timeline for timeline, edition in editions}
        if not wanted:
            return []
        rows: dict[int, Edition] = Edition.objects.select_related("agreement").without_texts("body").in_bulk(wanted)
        return [DisplayedEdition.from_timeline(rows[pk], timeline, self.at) for pk, timeline in wanted.items()]

    def path(self, name: str, *args: object, language: str | None = None) -> str:
        """The path of one of the app's pages in the namespace of this page, in its language or in ``language``."""
        with translation.override(language) if language else nullcontext():
            return reverse(f"agreement:{name}", args=args, current_app=self._namespace)

    def url(self, name: str, *args: object, language: str | None = None) -> str:
        """The absolute address of one of the app's pages."""
        return self.absolute(self.path(name, *args, language=language))

    def absolute(self, path: str) -> str:
        base = conf.get().BASE_URL
        return urljoin(base, path) if base else self.request.build_absolute_uri(path)

    def render(self, template: str, context: dict[str, Any], *, query: str = "") -> HttpResponse:
        """That template as the page of this address. ``query`` is the part of the query that makes it another page."""
        context = {
            "alternates": alternates(self.request, query),
            "canonical": self.absolute(self.request.path + query),
            "feed": self.path("feed", self._slug) if self._slug else "",
        } | context
        return HttpResponse(render_to_string(template, context, self.request))

    def refuse(self, status: int, heading: str, *sentences: str, link: tuple[str, str] | None = None) -> HttpResponse:
        """A page that says why the request was refused. It repeats nothing of the request.

        ``link`` is a path and its words.
        """
        context = {"heading": heading, "sentences": sentences, "link": link}
        response = self.render("agreement/pages/refusal.html", context | {"alternates": [], "canonical": ""})
        response.status_code = status
        # The site's frame may be personal, and nobody repeats a wrong request.
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


def page(*parameters: str, headers: tuple[str, ...] = ()) -> Callable[[View], Callable[..., HttpResponseBase]]:
    """Make a view of a :class:`Visit` and the arguments of the address into a view of a request.

    ``parameters`` are the query parameters that the view reads, ``headers`` the request headers that it reads. Others
    change nothing, so they make no second page. A method other than GET and HEAD gives 405, before its CSRF token is
    checked.
    """

    def decorate(view: View) -> Callable[..., HttpResponseBase]:
        @wraps(view)
        def answer(request: HttpRequest, **arguments: Any) -> HttpResponseBase:
            visit = Visit(request, timezone.now(), current_timelines(), _given(request, parameters, headers))
            key = _cache_key(visit)
            if (cached := page_cache.get(key)) and (response := cached.answer(request)):
                return response
            session_read = _session_read(request)
            rendered = _rendered(view, visit, arguments)
            if headers:
                patch_vary_headers(rendered, headers)
            if rendered.status_code != 200:
                rendered.headers.setdefault("Cache-Control", "public, no-cache")
                return rendered
            personal = session_read or _is_personal(request)
            made = CachedResponse.from_response(rendered, personal=personal)
            if not personal and may_remember() and not settings.DEBUG:
                page_cache.put(key, made)
            return made.answer(request) or made.with_body(request)

        answer_safely: Callable[..., HttpResponseBase] = csrf_exempt(require_safe(answer))
        # Inside a transaction nothing may be remembered, and a public page has nothing to roll back.
        return transaction.non_atomic_requests(answer_safely)

    return decorate


def _given(request: HttpRequest, parameters: tuple[str, ...], headers: tuple[str, ...]) -> dict[str, str]:
    """Those query parameters and request headers that the request has."""
    given = {name: request.GET[name] for name in parameters if name in request.GET}
    return given | {name: request.headers[name] for name in headers if name in request.headers}


def _cache_key(visit: Visit) -> tuple[object, ...]:
    """Equal for two requests whose page has the same bytes."""
    request = visit.request
    return (
        *(request.path, request.scheme, request.get_host(), translation.get_language()),
        *(tuple(visit.parameters.items()), visit.timelines.version(visit.at)),
    )


def _rendered(view: View, visit: Visit, arguments: dict[str, Any]) -> HttpResponse:
    try:
        return view(visit, **arguments)
    except Http404 as error:
        # A cache may store a 404 that does not forbid it, and this edition may be published in a second.
        response = response_for_exception(visit.request, error)
        response.headers["Cache-Control"] = "no-store"
        return response


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
                name=NATIVE_NAMES.get(language)
                or LANG_INFO.get(language, {}).get("name_local", str(name)).capitalize(),
                path=path,
                url=urljoin(base, path) if base else request.build_absolute_uri(path),
                active=language == translation.get_language(),
            )
        )
    return found if len({alternate.path for alternate in found}) > 1 else []


def _session_read(request: HttpRequest) -> bool:
    return bool(getattr(getattr(request, "session", None), "accessed", False))


def _is_personal(request: HttpRequest) -> bool:
    """Did the site's frame show the visitor something of their own: a name, a message, a token, a nonce?

    Then the page is for this visitor alone: no process and no cache may store it.
    """
    return (
        _session_read(request)
        or bool(request.META.get("CSRF_COOKIE_NEEDS_UPDATE"))
        or bool(getattr(getattr(request, "_messages", None), "used", False))
        or bool(getattr(request, "_csp_nonce", None))
    )
