"""The decorator :func:`page` and the request object :class:`Visit` of public pages. Sites may use both for their own
public pages.

A process reuses a rendered page for at most ``PAGE_SECONDS``, because the site's base template may change.

The plain and the compressed page have different strong ``ETag`` values (RFC 9110 §8.8.3). The compressed page has
``Content-Encoding``, so Django's ``GZipMiddleware`` does not compress it again. The app puts no secret into these
pages, because compression could reveal it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, wraps
from typing import Any
from urllib.parse import urljoin

from django.conf import settings
from django.conf.urls.i18n import is_language_prefix_patterns_used
from django.core.handlers.exception import response_for_exception
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse
from django.utils import timezone, translation
from django.utils.cache import patch_vary_headers
from django.utils.text import Truncator
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from agreement import conf
from agreement.acceptance.impersonation import Impersonation
from agreement.editions.display import DisplayedEdition
from agreement.editions.timeline import Timeline, Timelines, current_timelines, may_remember
from agreement.models import Edition
from agreement.models.succession import EditionDates
from agreement.views.cache import CachedResponse, page_cache

#: The names of the languages in Open Graph data, which have a territory.
OPEN_GRAPH_LOCALES = {"kk": "kk_KZ", "ru": "ru_RU", "en": "en_US"}
MAX_DESCRIPTION = 300
#: The text of a link to the same text in the other language.
COUNTERPART_LABELS = {"kk": "Қазақша", "ru": "По-русски"}


@dataclass(frozen=True, slots=True)
class PageData:
    """What search engines and messengers display of a page: its title, and its content in one or two sentences."""

    title: str
    description: str

    @classmethod
    def of(cls, title: str, *sentences: str) -> PageData:
        """Return the data of a page with that title. The description consists of the sentences that are not empty, with
        a space between them. A sentence that ends with none of ``.``, ``!``, ``?`` and ``…`` gets a full stop, and line
        breaks become spaces. A description of more than ``MAX_DESCRIPTION`` characters is cut to that length, with
        ``…`` as the last character.
        """
        parts = [" ".join(sentence.split()) for sentence in sentences if sentence.strip()]
        words = " ".join(part if part.endswith((".", "!", "?", "…")) else f"{part}." for part in parts)
        return cls(title, Truncator(words).chars(MAX_DESCRIPTION, truncate="…"))


@dataclass(frozen=True)
class Visit:
    """A request for a page, with the instant of the request, the dates of all sealed editions, and the values of the
    query parameters and headers that the page reads.
    """

    request: HttpRequest
    at: datetime
    timelines: Timelines
    parameters: dict[str, str]
    """The values of the query parameters and headers that :func:`page` names, by their names. Those that the request
    does not have are left out. Empty on an account page."""
    impersonation: Impersonation | None = None
    """Who acts in the name of the user on an account page; ``None`` if users act for themselves, and on public pages.
    """

    def public(self, timeline: Timeline) -> tuple[EditionDates, ...]:
        """Return the editions of the agreement that anyone may read at the instant of the request, in the order of
        their numbers: those that took effect and, with ``SHOW_SCHEDULED``, also announced and cancelled ones. It makes
        no query.
        """
        if timeline.slug not in self._public:
            self._public[timeline.slug] = timeline.public(self.at)
        return self._public[timeline.slug]

    @cached_property
    def _public(self) -> dict[str, tuple[EditionDates, ...]]:
        return {}

    def timeline(self, slug: str) -> Timeline:
        """Return the timeline of the agreement with that slug. Raises ``Http404`` if there is no such agreement, or if
        it has no public edition. It makes no query.
        """
        timeline = self.timelines.agreements.get(slug)
        if timeline is None or not self.public(timeline):
            raise Http404
        return timeline

    def edition(self, timeline: Timeline, number: int) -> EditionDates:
        """Return the agreement's public edition with that number. Raises ``Http404`` if there is none. It makes no
        query.
        """
        for edition in self.public(timeline):
            if edition.number == number:
                return edition
        raise Http404

    def display(self, timeline: Timeline, edition: EditionDates) -> DisplayedEdition:
        """Return the edition with its texts. 1 query."""
        return self.display_all(timeline, edition)[0]

    def display_all(self, timeline: Timeline, *editions: EditionDates) -> list[DisplayedEdition]:
        """Return the editions with their texts, in the given order. 1 query; none if no edition is given."""
        rows: dict[int, Edition] = Edition.objects.select_related("agreement").in_bulk([one.pk for one in editions])
        return [DisplayedEdition.from_timeline(rows[one.pk], timeline, self.at) for one in editions]

    def display_without_texts(self, editions: Iterable[tuple[Timeline, EditionDates]]) -> list[DisplayedEdition]:
        """Return the editions in the given order, without their bodies. An edition that is given twice is returned
        once. 1 query; none if ``editions`` is empty. Each body (there is one for each language) that is used later
        costs 1 query.
        """
        wanted = {edition.pk: timeline for timeline, edition in editions}
        if not wanted:
            return []
        rows: dict[int, Edition] = Edition.objects.select_related("agreement").without_texts("body").in_bulk(wanted)
        return [DisplayedEdition.from_timeline(rows[pk], timeline, self.at) for pk, timeline in wanted.items()]

    def path(self, name: str, *args: object, language: str | None = None) -> str:
        """Return the path of the page of the app with that URL name and these arguments, in ``language`` or, if it is
        ``None`` or the site has no such page in it, in the active language. On a page of the app, the path is in the
        URL namespace of that page, because a site may include the app's URLs several times. Raises ``NoReverseMatch``
        if there is no such page.
        """
        with translation.override(language) if language else nullcontext(), suppress(NoReverseMatch):
            return reverse(f"agreement:{name}", args=args, current_app=self._namespace)
        return reverse(f"agreement:{name}", args=args, current_app=self._namespace)

    def url(self, name: str, *args: object, language: str | None = None) -> str:
        """Return the absolute URL of the page whose path :meth:`path` returns for these arguments."""
        return self.absolute(self.path(name, *args, language=language))

    def absolute(self, path: str) -> str:
        """Return the absolute URL of a path: under the setting ``BASE_URL`` or, if it is empty, under the scheme and
        host of the request.
        """
        base = conf.get().BASE_URL
        return urljoin(base, path) if base else self.request.build_absolute_uri(path)

    def render(self, template: str, context: dict[str, Any], *, query: str = "", chosen: str = "") -> HttpResponse:
        """Return the template as a page with the status 200. ``query`` is the part of the query string that identifies
        the page, such as ``?from=1``. ``chosen`` is the query string with what the reader chose besides, such as
        ``?from=1&view=inline``; the links to the other languages have it. If it is empty, they have ``query``.

        The template gets the variables in ``context``, and ``alternates`` (this page in each language), ``canonical``
        (its absolute URL with ``query``), ``locale`` (the active language for Open Graph data), ``feed`` (the path of
        the agreement's feed; ``""`` if the URL has no ``slug``) and ``impersonation`` (:attr:`impersonation`). Those in
        ``context`` take precedence. If ``context`` has ``page_data``, the head of the page has a description and Open
        Graph data.
        """
        context = {
            "alternates": alternates(self.request, query, chosen or query),
            "canonical": self.absolute(self.request.path + query),
            "locale": open_graph_locale(translation.get_language() or settings.LANGUAGE_CODE),
            "feed": self.path("feed", self._slug) if self._slug else "",
            "impersonation": self.impersonation,
        } | context
        return HttpResponse(render_to_string(template, context, self.request))

    def refuse(
        self, status: int, heading: str, *sentences: str, link: tuple[str, str] | None = None, **context: Any
    ) -> HttpResponse:
        """Return a page with this status that states why the request was refused. Caches may not store it.

        The page has a heading, a paragraph for each of the sentences and, if ``link`` is given, a link. ``link`` is a
        pair: the path, and the text of the link. ``context`` are further variables of the template.
        """
        context |= {"heading": heading, "sentences": sentences, "link": link}
        response = self.render("agreement/pages/refusal.html", context | {"canonical": ""})
        response.status_code = status
        # The site's base template may display personal data, and storing refusals would not help.
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


def page(
    *parameters: str, unlimited: tuple[str, ...] = (), headers: tuple[str, ...] = (), remember: bool = True
) -> Callable[[View], Callable[..., HttpResponseBase]]:
    """Decorator: turn a view that takes a :class:`Visit` and the URL arguments into a Django view of a public page.

    ``parameters`` and ``unlimited`` name the query parameters that the view reads, and ``headers`` the request headers.
    ``Visit.parameters`` contains their values, and no others. The values of ``parameters`` are in the key of the
    remembered page, so the view must give a page only for a limited number of them: otherwise a visitor could fill the
    memory with copies. A parameter with more values is named in ``unlimited``. A request with a parameter in
    ``unlimited``, or with one of the headers, gets a page that is rendered for it and not remembered. With
    ``remember=False`` no page of the view is remembered.

    A method other than GET and HEAD is answered with 405; no CSRF token is needed. If ``ATOMIC_REQUESTS`` of the
    default database is true, the view runs without a transaction nevertheless. If the view raises ``Http404``, the
    response is the site's 404 page, which caches may not store. Other exceptions are not caught.

    If ``BASE_URL`` is set, all hosts get the same page: it must not contain the host of the request. Otherwise no page
    is remembered, because a visitor can name any port of the host.

    A response with the status 200 gets an ``ETag`` and loses its cookies. It is compressed if the client accepts gzip,
    the body has at least ``GZIP_MIN_BYTES`` and becomes smaller. It becomes a 304 or 412 if the conditions of the
    request (``If-None-Match``, ``If-Match``) demand it. It is not remembered if it is personal, if it was made inside a
    transaction, or while ``DEBUG`` is on. A response is personal if the session was read, or if a CSRF token, a message
    or a CSP nonce was used. Shared caches may not store a personal page.

    A response with another status is not remembered, gets no ``ETag``, and ignores the conditions. If it has no
    ``Cache-Control``, it gets ``private, no-store`` if it is personal, else ``public, no-cache``.
    """

    def decorate(view: View) -> Callable[..., HttpResponseBase]:
        @wraps(view)
        def answer(request: HttpRequest, **arguments: Any) -> HttpResponseBase:
            given = _given(request, (*parameters, *unlimited), headers)
            visit = Visit(request, timezone.now(), current_timelines(), given)
            key = _cache_key(visit) if remember and not given.keys() & {*unlimited, *headers} else None
            if key and (cached := page_cache.get(key)) and (response := cached.answer(request)):
                return response
            session_read = _session_read(request)
            rendered = _rendered(view, visit, arguments)
            if headers:
                patch_vary_headers(rendered, headers)
            personal = session_read or _is_personal(request)
            if rendered.status_code != 200:
                rendered.headers.setdefault("Cache-Control", "private, no-store" if personal else "public, no-cache")
                return rendered
            made = CachedResponse.from_response(rendered, personal=personal)
            if key and not personal and may_remember() and not settings.DEBUG:
                page_cache.put(key, made)
            return made.answer(request) or made.with_body(request)

        answer_safely: Callable[..., HttpResponseBase] = csrf_exempt(require_safe(answer))
        # Inside a transaction nothing is remembered, so ATOMIC_REQUESTS is turned off. A public page writes nothing.
        return transaction.non_atomic_requests(answer_safely)

    return decorate


def _given(request: HttpRequest, parameters: tuple[str, ...], headers: tuple[str, ...]) -> dict[str, str]:
    """Return the values of those of these query parameters and headers that the request has, by their names. If a
    query parameter is repeated, its last value counts.
    """
    given = {name: request.GET[name] for name in parameters if name in request.GET}
    # ``request.headers`` would copy all headers of each request.
    return given | {
        name: request.META[key] for name in headers if (key := "HTTP_" + name.upper().replace("-", "_")) in request.META
    }


def _cache_key(visit: Visit) -> tuple[object, ...] | None:
    """Return the key under which a page is remembered: path, scheme, ``BASE_URL`` and active language, the parameters,
    and the version of the dates, which changes, for example, when an edition is published, is cancelled or takes
    effect. ``None`` if ``BASE_URL`` is empty.
    """
    request, base = visit.request, conf.get().BASE_URL
    if not base:
        return None
    return (
        *(request.path, request.scheme, base, translation.get_language()),
        *(tuple(visit.parameters.items()), visit.timelines.version(visit.at)),
    )


def _rendered(view: View, visit: Visit, arguments: dict[str, Any]) -> HttpResponse:
    """Return the response of the view; if the view raises ``Http404``, the site's 404 page, which caches may not store.
    Other exceptions are not caught.

    The view gets the argument ``number``, the number of an edition, as an ``int``. Django converts it, but a CMS that
    builds its own URL patterns from those of the app, as django CMS does for an apphook, passes it as text. Raises
    ``ValueError`` if that text is not a number; the URL patterns of the app accept only digits.
    """
    if "number" in arguments:
        arguments["number"] = int(arguments["number"])
    try:
        return view(visit, **arguments)
    except Http404 as error:
        # A cache may store a 404 unless the response forbids it, but the edition may be published in a second.
        response = response_for_exception(visit.request, error)
        response.headers["Cache-Control"] = "no-store"
        return response


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternate:
    """The current page in one of the site's languages: the code and the native name of the language, the path and the
    absolute URL of the page in it, and whether it is the active language.
    """

    language: str
    name: str
    path: str
    url: str
    active: bool

    @property
    def locale(self) -> str:
        return open_graph_locale(self.language)


def open_graph_locale(language: str) -> str:
    """Return the name of the language in Open Graph data, such as ``kk_KZ``. For a language that is not in
    ``OPEN_GRAPH_LOCALES``, it is Django's name of its locale, such as ``de``.
    """
    return OPEN_GRAPH_LOCALES.get(language) or translation.to_locale(language)


def alternates(request: HttpRequest, query: str = "", chosen: str = "") -> list[Alternate]:
    """Return the current page in each language of the site, in the order of ``LANGUAGES``. ``query``, such as
    ``?from=1``, is added to each URL, and ``chosen`` to each path. A language in which the site has no such page, for
    example because a CMS has the page in one language only, is left out. The list is empty if all pages in it would
    have the same path, for example without ``i18n_patterns`` or with only one language. If there is no page at the path
    of the request (no ``resolver_match``), each path is that of the request under the prefix of the language.
    """
    base, found = conf.get().BASE_URL, []
    for language, name in settings.LANGUAGES:
        try:
            with translation.override(language):
                path = _translated_path(request)
        except NoReverseMatch:
            continue
        found.append(
            Alternate(
                language=language,
                name=conf.native_name(language, str(name)),
                path=path + chosen,
                url=urljoin(base, path + query) if base else request.build_absolute_uri(path + query),
                active=language == translation.get_language(),
            )
        )
    return found if len({alternate.path for alternate in found}) > 1 else []


def _translated_path(request: HttpRequest) -> str:
    """Return the path of the request in the active language. If there is no page at that path (no ``resolver_match``),
    the result is the same path with the prefix of the language in place of its own; the path itself if the site has no
    such prefixes. Raises ``NoReverseMatch`` if there is a page, but not in the active language.
    """
    if match := request.resolver_match:
        return reverse(match.view_name, args=match.args, kwargs=match.kwargs, current_app=match.namespace or None)
    has_prefixes, default_has_prefix = is_language_prefix_patterns_used(
        getattr(request, "urlconf", settings.ROOT_URLCONF)
    )
    language = translation.get_language()
    if not has_prefixes:
        return request.path
    path = request.path_info.removeprefix(f"/{translation.get_language_from_path(request.path_info)}")
    prefix = f"/{language}" if default_has_prefix or language != settings.LANGUAGE_CODE else ""
    return f"{request.path.removesuffix(request.path_info)}{prefix}{path}"


def _session_read(request: HttpRequest) -> bool:
    return bool(getattr(getattr(request, "session", None), "accessed", False))


def _is_personal(request: HttpRequest) -> bool:
    """Return whether something personal was used for this request so far, before or during rendering: the session, a
    CSRF token, a message or a CSP nonce.

    Such a page is only for this visitor, so no process and no shared cache may store it.
    """
    return (
        _session_read(request)
        or bool(request.META.get("CSRF_COOKIE_NEEDS_UPDATE"))
        or bool(getattr(getattr(request, "_messages", None), "used", False))
        or bool(getattr(request, "_csp_nonce", None))
    )
