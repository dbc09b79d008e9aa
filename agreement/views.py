"""The public pages: read-only, the same for every visitor, right at the instant of the request.

None of them sets a cookie, reads the session or varies on either, so any cache may keep them; a page is asked
for again each time (``no-cache``, an ``ETag``), sealed bytes are kept for ever. Languages are addresses.

What a view costs is said for a page that is not kept: 1 query for the dates (none if they were read within the
second), and those its docstring names. A kept page costs nothing.
"""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpResponse
from django.template.loader import render_to_string
from django.utils import translation

from agreement import conf, pdf
from agreement.models import Edition
from agreement.models.editions import State
from agreement.pages import Visit, page, sealed
from agreement.shown import Shown


@page()
def index(visit: Visit) -> HttpResponse:
    """The site's agreements that have an edition in force, or one announced. 1 query."""
    agreements = sorted(visit.timelines.agreements.values(), key=lambda timeline: timeline.slug)
    binding = [(timeline, edition) for timeline in agreements if (edition := timeline.in_force(visit.at))]
    if conf.get().SHOW_SCHEDULED:
        known = {timeline.slug for timeline, _ in binding}
        binding += [
            (timeline, edition)
            for timeline in agreements
            if timeline.slug not in known and (edition := timeline.announced(visit.at))
        ]
    return visit.render("agreement/index.html", {"agreements": visit.listed(binding)})


@page()
def current(visit: Visit, slug: str) -> HttpResponse:
    """The edition in force, with a word about the next one; or that word alone, before the first. 1–2 queries."""
    timeline = visit.timeline(slug)
    edition = timeline.in_force(visit.at)
    announced = timeline.announced(visit.at) if conf.get().SHOW_SCHEDULED else None
    upcoming = visit.listed([(timeline, announced)])[0] if announced else None
    if edition is None and upcoming is None:
        raise Http404
    context = {"upcoming": upcoming}
    if edition is None:
        return visit.render("agreement/announced.html", context)
    return _edition(visit, visit.shown(timeline, edition), context)


@page()
def editions(visit: Visit, slug: str) -> HttpResponse:
    """Every public edition of an agreement, the newest first. 1 query."""
    timeline = visit.timeline(slug)
    public = reversed(timeline.public(visit.at))
    shown = visit.listed((timeline, edition) for edition in public)
    return visit.render("agreement/editions.html", {"slug": slug, "editions": shown})


@page()
def edition(visit: Visit, slug: str, number: int) -> HttpResponse:
    """The permanent page of an edition. 1 query."""
    timeline = visit.timeline(slug)
    shown = visit.shown(timeline, visit.dated(timeline, number))
    in_force = timeline.in_force(visit.at)
    binding = in_force.number if in_force and shown.state != State.IN_FORCE else None
    return _edition(visit, shown, {"binding": binding, "permanent": True})


@page()
def markdown(visit: Visit, slug: str, number: int, language: str) -> HttpResponse:
    """The sealed text in one language, the bytes ``body_sha256`` in the manifest is of. 1 query."""
    found = _whole(visit, slug, number)
    return sealed(found.text(language).body.encode(), "text/markdown; charset=utf-8")


@page()
def portable(visit: Visit, slug: str, number: int, language: str) -> HttpResponse:
    """The edition on paper (PDF) in one language, whatever that of the address; ``Http404`` without the extra. 1 query.

    The rendering takes a second or so, is done one at a time, and is kept like a page; 503 to whoever would wait long.
    """
    timeline = visit.timeline(slug)
    dated = visit.dated(timeline, number)
    with translation.override(language):
        shown = visit.shown(timeline, dated)
        if not pdf.offered(shown.edition.text(language).body):
            raise Http404
        context = {"shown": shown, "address": visit.url("edition", slug, number), "current": visit.url("current", slug)}
        whole = render_to_string("agreement/pdf.html", context)
    try:
        content = pdf.render(whole)
    except pdf.Busy:
        return HttpResponse(status=503, headers={"Retry-After": "10", "Cache-Control": "no-store"})
    name = f'inline; filename="{slug}-{number}.{language}.pdf"'
    return HttpResponse(content, headers={"Content-Type": "application/pdf", "Content-Disposition": name})


@page()
def manifest(visit: Visit, slug: str, number: int) -> HttpResponse:
    """The bytes the edition's digest is of. 1 query."""
    return sealed(_whole(visit, slug, number).manifest(), "application/json")


def _whole(visit: Visit, slug: str, number: int) -> Edition:
    dated = visit.dated(visit.timeline(slug), number)
    whole: Edition = Edition.objects.select_related("agreement").get(pk=dated.pk)
    return whole


def _edition(visit: Visit, shown: Shown, context: dict[str, Any]) -> HttpResponse:
    slug, number = shown.edition.agreement.slug, shown.edition.number
    context |= {"shown": shown, "address": visit.url("edition", slug, number)}
    if pdf.offered(shown.edition.text(shown.language).body):
        context["pdf"] = visit.path("pdf", slug, number, shown.language)
    return visit.render("agreement/edition.html", context)
