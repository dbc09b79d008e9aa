"""Editions for programs: JSON that ``schema.json`` describes, and the page's JSON-LD.

The JSON is the same bytes under every language's address: it holds both texts. Its canonical address is the Kazakh one.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import Http404, HttpResponse
from django.utils.encoding import iri_to_uri
from django.utils.safestring import SafeString, mark_safe

from agreement import conf
from agreement.models import Edition
from agreement.models.editions import State
from agreement.pages import OPEN, Visit, page
from agreement.shown import Shown
from agreement.text import clauses, seal

SCHEMA = (Path(__file__).parent / "schema.json").read_bytes()

Json = dict[str, Any]


def answer(view: Callable[..., Json]) -> Callable[..., Any]:
    """Make a view that gives an object one that answers in JSON; what is not found is a problem (RFC 9457)."""

    @page()
    @wraps(view)
    def respond(visit: Visit, **arguments: Any) -> HttpResponse:
        try:
            found, status, kind = view(visit, **arguments), 200, "application/json"
        except Http404:
            found, status, kind = NOT_FOUND, 404, "application/problem+json"
        own, base = visit.request.resolver_match.url_name, canonical_language()  # type: ignore[union-attr]
        links = {"describedby": visit.url("schema", language=base)}
        if status == 200:
            links["canonical"] = visit.url(str(own), *arguments.values(), language=base)
        headers = {
            "Content-Type": kind,
            "Content-Language": ", ".join(conf.LANGUAGES) if status == 200 else "en",
            "Link": ", ".join(f'<{iri_to_uri(address)}>; rel="{name}"' for name, address in links.items()),
        }
        content = json.dumps(found, ensure_ascii=False, separators=(",", ":")) + "\n"
        return HttpResponse(content, status=status, headers=headers | OPEN)

    return respond


NOT_FOUND = {
    "type": "about:blank",
    "title": "Not Found",
    "status": 404,
    "detail": "No such edition is public; editions.json of an agreement names those that are.",
}


@answer
def current(visit: Visit, slug: str) -> Json:
    """The edition in force, as ``edition`` gives it; none before the first. 1 query."""
    timeline = visit.timeline(slug)
    in_force = timeline.in_force(visit.at)
    if in_force is None:
        raise Http404
    return _whole(visit, visit.shown(timeline, in_force))


@answer
def editions(visit: Visit, slug: str) -> Json:
    """Every public edition without its text, the newest first. 1 query."""
    timeline = visit.timeline(slug)
    in_force = timeline.in_force(visit.at)
    shown = visit.listed((timeline, edition) for edition in reversed(timeline.public(visit.at)))
    return {
        "agreement": slug,
        "time_zone": timeline.time_zone,
        "in_force": in_force.number if in_force else None,
        "editions": [_facts(visit, one) for one in shown],
    }


@answer
def edition(visit: Visit, slug: str, number: int) -> Json:
    """An edition with its clauses in both languages. 1 query."""
    timeline = visit.timeline(slug)
    return _whole(visit, visit.shown(timeline, visit.dated(timeline, number)))


@page()
def schema(visit: Visit) -> HttpResponse:
    """The JSON Schema (2020-12) of all these answers."""
    return HttpResponse(SCHEMA, headers={"Content-Type": "application/schema+json"} | OPEN)


def canonical_language() -> str:
    """The language whose address stands for all of them: Kazakh, unless the site has no Kazakh pages."""
    known = dict(settings.LANGUAGES)
    return next((language for language in conf.LANGUAGES if language in known), settings.LANGUAGE_CODE)


def _facts(visit: Visit, shown: Shown) -> Json:
    """What is known of an edition without reading its text."""
    edition = shown.edition
    slug, number, zone = edition.agreement.slug, edition.number, edition.agreement.time_zone
    until = shown.after.effective_from if shown.after and shown.state != State.CANCELLED else None
    base = canonical_language()
    return {
        "agreement": slug,
        "number": number,
        "state": shown.state.value,
        "time_zone": zone,
        "published_at": _stamp(edition.published_at, zone),
        "effective_from": _stamp(edition.effective_from, zone),
        "effective_until": _stamp(until, zone),
        "cancelled_at": _stamp(edition.cancelled_at, zone),
        "recorded_at": _stamp(edition.recorded_at, zone),
        "imported": edition.imported,
        "material": edition.material,
        "notice_days": edition.notice_days,
        "retention_years": edition.retention_years,
        "prevailing_language": edition.prevailing_language or None,
        "digest": edition.digest,
        "previous_digest": edition.previous_digest or None,
        "data": visit.url("edition_data", slug, number, language=base),
        "manifest": visit.url("manifest", slug, number, language=base),
        "texts": {language: _text(visit, edition, language) for language in conf.LANGUAGES},
    }


def _text(visit: Visit, edition: Edition, language: str) -> Json:
    slug, number = edition.agreement.slug, edition.number
    base = language if language in dict(settings.LANGUAGES) else canonical_language()
    return {
        "title": getattr(edition, f"title_{language}") or "",
        "approval": getattr(edition, f"approval_{language}") or "",
        "summary": getattr(edition, f"summary_{language}") or "",
        "page": visit.url("edition", slug, number, language=base),
        "markdown": visit.url("markdown", slug, number, language, language=base),
        "plain": visit.url("text", slug, number, language, language=base),
    }


def _whole(visit: Visit, shown: Shown) -> Json:
    found = _facts(visit, shown)
    for language, text in found["texts"].items():
        body = shown.edition.text(language).body
        text["sha256"] = seal.sha256(body)
        text["clauses"] = list(map(_clause, clauses.parse(body).clauses))
    return found


def _clause(clause: clauses.Clause) -> Json:
    return {
        "number": clause.number,
        "kind": clause.kind,
        "label": clause.label,
        "parent": clause.parent or None,
        "anchor": clause.anchor,
        "text": clause.text,
    }


def _stamp(at: datetime | None, zone: str) -> str | None:
    """RFC 3339 with the offset valid then in the agreement's zone: whole minutes, as no edition is older than 1991."""
    return at.astimezone(ZoneInfo(zone)).isoformat() if at else None


def linked(visit: Visit, shown: Shown) -> SafeString:
    """The edition as a ``DigitalDocument`` of schema.org, fit to stand in a ``script`` element of type JSON-LD."""
    edition, language = shown.edition, shown.language
    slug, number, zone = edition.agreement.slug, edition.number, edition.agreement.time_zone
    address = visit.url("edition", slug, number)
    found: Json = {
        "@context": "https://schema.org",
        "@type": "DigitalDocument",
        "@id": address,
        "url": address,
        "name": shown.title,
        "inLanguage": language,
        "version": str(number),
        "datePublished": _stamp(edition.published_at, zone),
        "identifier": {"@type": "PropertyValue", "propertyID": "SHA-256", "value": edition.digest},
        "encoding": {
            "@type": "MediaObject",
            "encodingFormat": "text/markdown",
            "contentUrl": visit.url("markdown", slug, number, language),
            "sha256": seal.sha256(edition.text(language).body),
        },
    }
    if shown.state != State.CANCELLED:
        until = _stamp(shown.after.effective_from, zone) if shown.after else ".."
        found["temporalCoverage"] = f"{_stamp(edition.effective_from, zone)}/{until}"
    if shown.before:
        found["isBasedOn"] = visit.url("edition", slug, shown.before.number)
    if shown.summary:
        found["abstract"] = shown.summary
    # As Django's json_script: nothing in it can end the element, or begin another.
    escapes = {ord(sign): f"\\u{ord(sign):04X}" for sign in "<>&\u2028\u2029"}
    return mark_safe(json.dumps(found, ensure_ascii=False).translate(escapes))  # noqa: S308
