"""Editions as JSON, which ``schema.json`` describes, and the JSON-LD of a page.

The JSON of an edition contains both of its languages. Therefore the URLs of all languages return the same bytes.
The canonical URL is that of :func:`agreement.conf.canonical_language`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import Http404, HttpResponse
from django.utils.encoding import iri_to_uri
from django.utils.safestring import SafeString, mark_safe

from agreement import conf
from agreement.acceptance.answers import problem
from agreement.editions.display import DisplayedEdition
from agreement.models import Edition
from agreement.models.published_log import logged_editions
from agreement.models.succession import State
from agreement.seal import manifest
from agreement.text import clauses, languages
from agreement.views.base import Visit, page
from agreement.views.cache import ANY_ORIGIN

SCHEMA = (Path(__file__).parent / "schema.json").read_bytes()

Json = dict[str, Any]


def json_view(*parameters: str) -> Callable[[Callable[..., Json]], Callable[..., Any]]:
    """Decorator: turn a view that takes a :class:`Visit` and the URL arguments, and returns a dict, into a Django view
    of a public page with this dict as JSON. ``parameters`` are the names of the query parameters that the view reads,
    as for :func:`page`. If the view raises ``Http404``, the response is problem details (RFC 9457) with the status 404.

    A response with the status 200 or 404 has a ``Link`` to the schema, and scripts of any site may read it. One with
    the status 200 also has a ``Link`` to the canonical URL.
    """

    def decorate(view: Callable[..., Json]) -> Callable[..., Any]:
        @page(*parameters)
        @wraps(view)
        def respond(visit: Visit, **arguments: Any) -> HttpResponse:
            match, base = visit.request.resolver_match, conf.canonical_language()
            links = {"describedby": visit.url("schema", language=base)}
            try:
                content = json.dumps(view(visit, **arguments), ensure_ascii=False, separators=(",", ":")) + "\n"
            except Http404:
                response, language = problem(status=404, kind="about:blank", title="Not Found", detail=NOT_FOUND), "en"
            else:
                response = HttpResponse(content, content_type="application/json")
                name, query = str(match.url_name) if match else "", urlencode(visit.parameters)
                canonical = visit.url(name, *arguments.values(), language=base)
                links["canonical"] = f"{canonical}?{query}" if query else canonical
                language = ", ".join(languages.LANGUAGES)
            response.headers["Content-Language"] = language
            response.headers["Link"] = ", ".join(f'<{iri_to_uri(path)}>; rel="{name}"' for name, path in links.items())
            for name, value in ANY_ORIGIN.items():
                response.headers[name] = value
            return response

        return respond

    return decorate


NOT_FOUND = "There is no such public edition. The public editions are listed in editions.json of the agreement."


@json_view()
def current(visit: Visit, slug: str) -> Json:
    """The edition in force, with its clauses in both languages. The response is 404 if none is in force."""
    timeline = visit.timeline(slug)
    in_force = timeline.in_force(visit.at)
    if in_force is None:
        raise Http404
    return _with_clauses(visit, visit.display(timeline, in_force))


@json_view()
def editions(visit: Visit, slug: str) -> Json:
    """Every public edition without its body and its clauses, the newest first; with the slug and the time zone of the
    agreement, and the number of the edition in force (``None`` if there is none). The response is 404 if there is no
    public edition.
    """
    timeline = visit.timeline(slug)
    in_force = timeline.in_force(visit.at)
    displayed = visit.display_without_texts((timeline, edition) for edition in reversed(visit.public(timeline)))
    return {
        "agreement": slug,
        "time_zone": timeline.time_zone,
        "in_force": in_force.number if in_force else None,
        "editions": [_edition_facts(visit, one) for one in displayed],
    }


@json_view()
def edition(visit: Visit, slug: str, number: int) -> Json:
    """The public edition with that number, with its clauses in both languages. The response is 404 if there is none."""
    timeline = visit.timeline(slug)
    return _with_clauses(visit, visit.display(timeline, visit.edition(timeline, number)))


@page()
def schema(visit: Visit) -> HttpResponse:
    """The JSON Schema (2020-12) of the responses of all views with :func:`json_view`, 404 too."""
    return HttpResponse(SCHEMA, headers={"Content-Type": "application/schema+json"} | ANY_ORIGIN)


def _edition_facts(visit: Visit, displayed: DisplayedEdition) -> Json:
    """Return the JSON object of an edition without what needs its body: its clauses, and the SHA-256 of its texts. It
    makes no query.
    """
    edition = displayed.edition
    slug, number, zone = edition.agreement.slug, edition.number, edition.agreement.time_zone
    until = displayed.successor.effective_from if displayed.successor and displayed.state != State.CANCELLED else None
    base = conf.canonical_language()
    return {
        "agreement": slug,
        "number": number,
        "state": displayed.state.value,
        "time_zone": zone,
        "published_at": rfc3339(edition.published_at, zone),
        "effective_from": rfc3339(edition.effective_from, zone),
        "effective_until": rfc3339(until, zone),
        "cancelled_at": rfc3339(edition.cancelled_at, zone),
        "recorded_at": rfc3339(edition.recorded_at, zone),
        "imported": edition.imported,
        "material": edition.material,
        "notice_days": edition.notice_days,
        "grace_days": edition.grace_days,
        "retention_years": edition.retention_years,
        "prevailing_language": edition.prevailing_language or None,
        "digest": edition.digest,
        "previous_digest": edition.previous_digest or None,
        "data": visit.url("edition_data", slug, number, language=base),
        "manifest": visit.url("manifest", slug, number, language=base),
        "texts": {language: _text(visit, edition, language) for language in languages.LANGUAGES},
    }


def _text(visit: Visit, edition: Edition, language: str) -> Json:
    """Return the JSON object of the text in one language: its title, approval, summary and URLs. The URLs are those of
    that language or, if the site has no pages in it, of :func:`agreement.conf.canonical_language`.
    """
    slug, number = edition.agreement.slug, edition.number
    base = language if language in dict(settings.LANGUAGES) else conf.canonical_language()
    return {
        "title": getattr(edition, f"title_{language}") or "",
        "approval": getattr(edition, f"approval_{language}") or "",
        "summary": getattr(edition, f"summary_{language}") or "",
        "page": visit.url("edition", slug, number, language=base),
        "markdown": visit.url("markdown", slug, number, language, language=base),
        "plain": visit.url("text", slug, number, language, language=base),
    }


def _with_clauses(visit: Visit, displayed: DisplayedEdition) -> Json:
    found = _edition_facts(visit, displayed)
    for language, text in found["texts"].items():
        body = displayed.edition.text(language).body
        text["sha256"] = manifest.sha256(body)
        text["clauses"] = list(map(_clause, clauses.parse(body).clauses))
    return found | _log(visit, displayed.edition)


def _log(visit: Visit, edition: Edition) -> Json:
    """Return the member about the place of the edition in the log of the agreement; no member if no signed checkpoint
    covers it. 1 query.
    """
    if (logged := logged_editions([edition.pk]).get(edition.pk)) is None:
        return {}
    slug, base = edition.agreement.slug, conf.canonical_language()
    return {
        "log": {
            "index": logged.index,
            "checkpoint": logged.note,
            "proof": visit.url("edition_proof", slug, edition.number, language=base),
            "newest": visit.url("checkpoint", slug, language=base),
            "key": visit.url("log_key", slug, language=base),
        }
    }


def _clause(clause: clauses.Clause) -> Json:
    return {
        "number": clause.number,
        "kind": clause.kind,
        "label": clause.label,
        "parent": clause.parent or None,
        "anchor": clause.anchor,
        "text": clause.text,
    }


def rfc3339(at: datetime | None, zone: str) -> str | None:
    """Return the moment as in RFC 3339, with the UTC offset of the agreement's time zone ``zone``; ``None`` for
    ``None``.
    """
    return at.astimezone(ZoneInfo(zone)).isoformat() if at else None


def json_ld(visit: Visit, displayed: DisplayedEdition) -> SafeString:
    """Return the edition as a ``DigitalDocument`` of schema.org in the displayed language, escaped for a ``script``
    element of the type ``application/ld+json``. It makes no query if the edition was read with its body.
    """
    edition, language = displayed.edition, displayed.language
    slug, number, zone = edition.agreement.slug, edition.number, edition.agreement.time_zone
    address = visit.url("edition", slug, number)
    found: Json = {
        "@context": "https://schema.org",
        "@type": "DigitalDocument",
        "@id": address,
        "url": address,
        "name": displayed.title,
        "inLanguage": language,
        "version": str(number),
        "datePublished": rfc3339(edition.published_at, zone),
        "identifier": {"@type": "PropertyValue", "propertyID": "SHA-256", "value": edition.digest},
        "encoding": {
            "@type": "MediaObject",
            "encodingFormat": "text/markdown",
            "contentUrl": visit.url("markdown", slug, number, language),
            "sha256": manifest.sha256(edition.text(language).body),
        },
    }
    if displayed.state != State.CANCELLED:
        until = rfc3339(displayed.successor.effective_from, zone) if displayed.successor else ".."
        found["temporalCoverage"] = f"{rfc3339(edition.effective_from, zone)}/{until}"
    if displayed.predecessor:
        found["isBasedOn"] = visit.url("edition", slug, displayed.predecessor.number)
    if displayed.summary:
        found["abstract"] = displayed.summary
    # As in Django's json_script, nothing in it can end the script element.
    escapes = {ord(sign): f"\\u{ord(sign):04X}" for sign in "<>&\u2028\u2029"}
    return mark_safe(json.dumps(found, ensure_ascii=False).translate(escapes))  # noqa: S308 - it has just been escaped
