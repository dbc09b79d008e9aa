"""The public pages: read-only, the same for every visitor, right at the instant of the request.

None of them sets a cookie, reads the session or varies on either, so any cache may keep them; a page is asked
for again each time (``no-cache``, an ``ETag``), sealed bytes are kept for ever. Languages are addresses.

What a view costs is said for a page that is not kept: 1 query for the dates (none if they were read within the
second), and those its docstring names. A kept page costs nothing.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import BadRequest
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.utils import translation

from agreement import conf, data, dates, gate, memento, pdf
from agreement.compared import Compared, beside
from agreement.lineage import Dated
from agreement.models import Edition
from agreement.pages import Visit, alternates, page, sealed
from agreement.shown import Shown, frame
from agreement.text import clauses, parallel

#: How the changes are laid out: by the window's width, or as asked for.
VIEWS = ("", "inline", "columns")
#: What a link to the same place in the other language says, in that language.
OTHER = {"kk": "қазақша", "ru": "по-русски"}


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
    return memento.dress(_edition(visit, timeline, edition, context), visit, timeline, None)


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
    later = memento.changes(visit, timeline, dated)
    if isinstance(later, HttpResponse):
        return later
    context = {"binding": timeline.in_force(visit.at), "permanent": True, "later": later}
    return memento.dress(_edition(visit, timeline, dated, context), visit, timeline, dated)


@page("from", "to", "view")
def changes(visit: Visit, slug: str, number: int) -> HttpResponse:
    """What changed since the edition before, or since any other: ``?from=1``. 1 query."""
    timeline = visit.timeline(slug)
    since, view = visit.asked.get("from"), visit.asked.get("view", "")
    if view not in VIEWS:
        raise BadRequest("There is no such view of the changes.")
    if "to" in visit.asked:  # A form can't change an address's path.
        chosen = visit.dated(timeline, _number(visit.asked["to"]))
        query = f"?{urlencode({'from': _number(since)})}" if since else ""
        return HttpResponseRedirect(visit.path("changes", slug, chosen.number) + query)
    new = visit.dated(timeline, number)
    before, after, public = timeline.before(new), timeline.after(new), timeline.public(visit.at)
    old = visit.dated(timeline, _number(since)) if since is not None else before
    shown = visit.whole(timeline, new, *([old] if old and old != new else []))
    context = {
        "slug": slug,
        "new": shown[0],
        "compared": Compared(shown[1], shown[0]) if len(shown) > 1 else None,
        "view": view,
        "choices": [(one.number, dates.day(one.effective_from, frame(), timeline.time_zone)) for one in public[::-1]],
        "earlier": before if before and timeline.before(before) else None,
        "later": after if after in public else None,
        "neighbours": old == before,
    }
    query = f"?from={old.number}" if old and old != before else ""
    return visit.render("agreement/changes.html", context, query=query)


@page()
def bilingual(visit: Visit, slug: str) -> HttpResponse:
    """The edition in force in both languages, clause by clause. 1 query."""
    timeline = visit.timeline(slug)
    edition = timeline.in_force(visit.at)
    if edition is None:
        raise Http404
    return _bilingual(visit, timeline, edition)


@page()
def edition_bilingual(visit: Visit, slug: str, number: int) -> HttpResponse:
    """An edition in both languages, clause by clause. 1 query."""
    timeline = visit.timeline(slug)
    return _bilingual(visit, timeline, visit.dated(timeline, number))


@page()
def body(visit: Visit, slug: str, number: int, language: str, media: str) -> HttpResponse:
    """The sealed text in one language, the bytes ``body_sha256`` in the manifest is of. 1 query."""
    found = _whole(visit, slug, number)
    return sealed(found.text(language).body.encode(), f"text/{media}; charset=utf-8")


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


def _number(text: str) -> int:
    """An edition's number as addresses have it; 400 for anything else."""
    if not re.fullmatch("[1-9][0-9]{0,9}", text):
        raise BadRequest("That is no edition's number.")
    return int(text)


def _edition(visit: Visit, timeline: gate.Timeline, dated: Dated, context: dict[str, Any]) -> HttpResponse:
    before = timeline.before(dated)
    shown, *others = visit.whole(timeline, dated, *([before] if before else []))
    compared = Compared(others[0], shown) if others else None
    context |= {
        "shown": shown,
        "address": visit.url("edition", timeline.slug, dated.number),
        "linked": data.linked(visit, shown),
        "compared": compared,
        "units": list(beside(shown.document, compared.redline if compared else None)),
        "other": _other(visit, shown),
    }
    if pdf.offered(shown.edition.text(shown.language).body):
        context["pdf"] = visit.path("pdf", timeline.slug, dated.number, shown.language)
    return visit.render("agreement/edition.html", context)


def _other(visit: Visit, shown: Shown) -> dict[str, str]:
    """Where a clause stands in the other language: on this page in it, or, where pages have one language, beside."""
    language = next(one for one in conf.LANGUAGES if one != shown.language)
    found = {one.language: one.path for one in alternates(visit.request)}
    path = found.get(language) or visit.path("edition_bilingual", shown.edition.agreement.slug, shown.edition.number)
    return {"language": language, "path": path, "name": OTHER[language]}


def _bilingual(visit: Visit, timeline: gate.Timeline, dated: Dated) -> HttpResponse:
    shown = visit.shown(timeline, dated)
    texts = {language: shown.edition.text(language) for language in conf.LANGUAGES}
    pairs = parallel.pairs(*(clauses.parse(text.body) for text in texts.values()))
    context = {"shown": shown, "texts": texts, "pairs": pairs, "binding": timeline.in_force(visit.at)}
    return visit.render("agreement/bilingual.html", context)
