"""The public pages: read-only, the same for every visitor, right at the instant of the request.

None of them sets a cookie, reads the session or varies on either, so any cache may keep them; a page is asked
for again each time (``no-cache``, an ``ETag``), sealed bytes are kept for ever. Languages are addresses.

What a view costs is said for a page that is not kept: 1 query for the dates (none if they were read within the
second), and those its docstring names. A kept page costs nothing.
"""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpResponse

from agreement import conf, data, memento
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


@page(headers=("Accept-Datetime",))
def current(visit: Visit, slug: str) -> HttpResponse:
    """The edition in force, with a word about the next one; or that word alone, before the first. 1–2 queries.

    With ``Accept-Datetime``, the way to the edition in force then.
    """
    timeline = visit.timeline(slug)
    if answer := memento.negotiate(visit, timeline):
        return answer
    edition = timeline.in_force(visit.at)
    announced = timeline.announced(visit.at) if conf.get().SHOW_SCHEDULED else None
    upcoming = visit.listed([(timeline, announced)])[0] if announced else None
    if edition is None and upcoming is None:
        raise Http404
    context = {"upcoming": upcoming}
    if edition is None:
        return visit.render("agreement/announced.html", context)
    return memento.dress(_edition(visit, visit.shown(timeline, edition), context), visit, timeline, None)


@page()
def editions(visit: Visit, slug: str) -> HttpResponse:
    """Every public edition of an agreement, the newest first. 1 query."""
    timeline = visit.timeline(slug)
    public = reversed(timeline.public(visit.at))
    shown = visit.listed((timeline, edition) for edition in public)
    return visit.render("agreement/editions.html", {"slug": slug, "editions": shown})


@page("on")
def edition(visit: Visit, slug: str, number: int) -> HttpResponse:
    """The permanent page of an edition; with ``?on=`` a date, and what took effect later on that day. 1 query."""
    timeline = visit.timeline(slug)
    dated = visit.dated(timeline, number)
    changes = memento.changes(visit, timeline, dated)
    if isinstance(changes, HttpResponse):
        return changes
    shown = visit.shown(timeline, dated)
    in_force = timeline.in_force(visit.at)
    binding = in_force.number if in_force and shown.state != State.IN_FORCE else None
    context = {"binding": binding, "permanent": True, "changes": changes}
    return memento.dress(_edition(visit, shown, context), visit, timeline, dated)


@page()
def body(visit: Visit, slug: str, number: int, language: str, media: str) -> HttpResponse:
    """The sealed text in one language, the bytes ``body_sha256`` in the manifest is of. 1 query."""
    found = _whole(visit, slug, number)
    return sealed(found.text(language).body.encode(), f"text/{media}; charset=utf-8")


@page()
def manifest(visit: Visit, slug: str, number: int) -> HttpResponse:
    """The bytes the edition's digest is of. 1 query."""
    return sealed(_whole(visit, slug, number).manifest(), "application/json")


def _whole(visit: Visit, slug: str, number: int) -> Edition:
    dated = visit.dated(visit.timeline(slug), number)
    whole: Edition = Edition.objects.select_related("agreement").get(pk=dated.pk)
    return whole


def _edition(visit: Visit, shown: Shown, context: dict[str, Any]) -> HttpResponse:
    address = visit.url("edition", shown.edition.agreement.slug, shown.edition.number)
    context |= {"shown": shown, "address": address, "linked": data.linked(visit, shown)}
    return visit.render("agreement/edition.html", context)
