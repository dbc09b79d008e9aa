"""The words that this site prints around the text of an edition: on its pages, and in its PDF and Word files.

The page that recognises a text compares the words around a text with them. They are rendered for the comparison, so a
changed template needs no change here.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from copy import copy
from dataclasses import replace
from datetime import datetime, timedelta

from django.conf import settings
from django.http import Http404, HttpRequest, QueryDict
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, Resolver404, ResolverMatch, resolve
from django.utils import translation

from agreement.conf import active_language
from agreement.editions import documents, recognition
from agreement.editions.display import DisplayedEdition
from agreement.editions.printed import CHANGED, PrintedWords
from agreement.editions.recognition import BODY
from agreement.editions.timeline import Timeline
from agreement.evidence.export import court_page
from agreement.models.published_log import logged_editions
from agreement.models.succession import State
from agreement.text import clauses, languages
from agreement.views.base import Visit

#: The pages of an edition from which a reader may copy its text, by the names of their URLs. ``current`` is the page of
#: the edition in force.
PAGES = ("edition", "current", "edition_bilingual", "edition_data")
#: For how many earlier moments the pages of an edition are rendered, and of how many editions with the same text.
MAX_EARLIER, MAX_EDITIONS = 3, 2
#: How many lines are compared. Of more lines, all count as other lines.
MAX_LINES = 3_000
_TITLE = re.compile(r"<title>(.*?)</title>", re.DOTALL)
#: The beginning of changed words. A line with them quotes another edition.
_CHANGED = re.compile(r"(?=<(?:del|ins)\b)")


def others(
    visit: Visit, lines: Sequence[str], editions: Sequence[DisplayedEdition], margins: Sequence[str] = ()
) -> list[str]:
    """Return those of these lines and margins, in their order, that this site does not print around the text of one of
    these editions, as :class:`PrintedWords` finds them; all if there is no edition. It prints words on the pages of the
    first ``MAX_EDITIONS``, and in the PDF and Word files and on the court pages of all, in each language of the site.
    The words of their earlier states count too: all of the files, and the last ``MAX_EARLIER`` of the other pages.

    Pages are rendered, or taken from the cache of pages, one after another until they have all lines. Only the page
    ``edition`` is rendered in each language; the others are in the language in which it lacks the fewest lines. The
    files cost 1 query for each edition that was read with its texts.
    """
    editions = list({one.edition.pk: one for one in editions}.values())
    bodies = [one.edition.text(language).body for one in editions for language in languages.LANGUAGES]
    own, pages, lacking = PrintedWords(lines, margins, bodies), _printed(visit, editions), None
    remaining = [line for line in (*lines, *margins) if line != BODY]
    while remaining and len(lines) <= MAX_LINES:
        try:
            lacking = own.add(pages.send(lacking))
        except StopIteration:
            break
        remaining = own.others
    return remaining


def _printed(visit: Visit, editions: Sequence[DisplayedEdition]) -> Generator[Iterable[str], int | None, None]:
    """Yield the lines of each page and file. After each, the number of lines that it lacks must be sent."""
    for displayed in editions[:MAX_EDITIONS]:
        lacking = {}
        for language in dict.fromkeys([active_language(), *dict(settings.LANGUAGES)]):
            lacking[language] = (yield _page_lines(visit, displayed, PAGES[0], language)) or 0
        nearest = min(lacking, key=lambda language: lacking[language])
        for name in PAGES[1:]:
            yield _page_lines(visit, displayed, name, nearest)
        for then in _earlier_visits(visit, displayed):
            for name in PAGES[:2]:
                yield _page_lines(then, displayed, name, nearest)
    for displayed in editions:
        yield from _files(visit, displayed)


def _files(visit: Visit, displayed: DisplayedEdition) -> Iterator[list[str]]:
    """Yield the lines of each PDF and Word file and of each court page, with ``BODY`` in place of the text."""
    slug, number = displayed.edition.agreement.slug, displayed.edition.number
    logged = logged_editions([displayed.edition.pk]).get(displayed.edition.pk)
    for language in dict.fromkeys([*languages.LANGUAGES, *dict(settings.LANGUAGES)]):
        with translation.override(language):
            addresses = {"address": visit.url("edition", slug, number), "current": visit.url("current", slug)}
            pair = visit.url("edition_bilingual", slug, number)
            for state in _states(displayed):
                html = render_to_string("agreement/pages/pdf.html", {"displayed": state, "logged": logged, **addresses})
                yield _lines(html.replace(state.document.html, f"<p>{BODY}</p>"))
                yield [*documents.lines_around(state, addresses["address"]), BODY]
                yield [*documents.lines_around(state, pair), BODY]
    for then in (visit, *_earlier_visits(visit, displayed)):
        for language in languages.LANGUAGES:
            timeline = then.timelines.agreements[slug]
            page = court_page(copy(displayed.edition), timeline, at=then.at, language=language)
            body = clauses.parse(displayed.edition.text(language).body).html
            yield _lines(page.replace(body, f"<p>{BODY}</p>"))


def _states(displayed: DisplayedEdition) -> Iterator[DisplayedEdition]:
    """Yield the edition in each state in which it is or may have been displayed: as now, announced and, if it took
    effect, in force without a known successor, and in force with its successor. Each state is yielded in Kazakh and in
    Russian.
    """
    edition, successor = displayed.edition, displayed.successor
    states = [(displayed.state, successor), *([] if edition.imported else [(State.SCHEDULED, None)])]
    if displayed.state in {State.IN_FORCE, State.SUPERSEDED}:
        states += [(State.IN_FORCE, None), (State.IN_FORCE, successor)]
    for state, next_one in dict.fromkeys(states):
        for language in languages.LANGUAGES:
            yield replace(displayed, state=state, successor=next_one, language=language)


def _page_lines(visit: Visit, displayed: DisplayedEdition, name: str, language: str) -> list[str]:
    """Return the address, the title and the lines of the page with that name of :data:`PAGES` in that language of the
    site, as the client of the request would get it. Lines with words that are marked as changed contain ``CHANGED``.
    The list is empty if there is no such page, if its status is not 200, or if it is about another edition.
    """
    slug, number = displayed.edition.agreement.slug, displayed.edition.number
    binding = visit.timelines.agreements[slug].in_force(visit.at)
    if name == "current" and (binding is None or binding.number != number):
        return []
    arguments = [slug] if name == "current" else [slug, number]
    try:
        with translation.override(language):
            address = visit.url(name, *arguments)
            asked, match = request_for(visit.request, visit.path(name, *arguments))
            if isinstance(visit, EarlierVisit):
                then = replace(visit, request=asked)
                response = inspect.unwrap(match.func)(then, *match.args, **match.kwargs)
            else:
                response = match.func(asked, *match.args, **match.kwargs)
    except (NoReverseMatch, Resolver404, Http404):
        return []
    return [address, *_lines(response.content.decode())] if response.status_code == 200 else []


def _lines(page: str) -> list[str]:
    return [*_TITLE.findall(page)[:1], *recognition.readable(_CHANGED.sub(CHANGED, page)).splitlines()]


class EarlierVisit(Visit):
    """A request at an earlier moment, with the dates of the editions as they were then."""


def _earlier_visits(visit: Visit, displayed: DisplayedEdition) -> Iterator[EarlierVisit]:
    """Yield the request at the last ``MAX_EARLIER`` moments before states changed at which the edition was public."""
    slug = displayed.edition.agreement.slug
    timeline = visit.timelines.agreements[slug]
    for at in earlier_moments(visit, timeline)[:MAX_EARLIER]:
        editions = tuple(
            one if one.is_cancelled(at) else replace(one, cancelled_at=None)
            for one in timeline.editions
            if one.published_at <= at
        )
        if any(one.pk == displayed.edition.pk for one in editions):
            agreements = visit.timelines.agreements | {slug: replace(timeline, editions=editions)}
            yield EarlierVisit(visit.request, at, replace(visit.timelines, agreements=agreements), {})


def earlier_moments(visit: Visit, timeline: Timeline) -> list[datetime]:
    """Return the last moments before the states of the editions changed, the latest first."""
    changes = {
        moment
        for edition in timeline.editions
        for moment in (edition.published_at, edition.effective_from, edition.cancelled_at)
        if moment and moment <= visit.at
    }
    return [at - timedelta(microseconds=1) for at in sorted(changes, reverse=True)]


def request_for(request: HttpRequest, path: str) -> tuple[HttpRequest, ResolverMatch]:
    """A request of the same client for the whole page with that path, not compressed, and the view of the page. Raises
    ``Resolver404`` if there is no such address.
    """
    asked = copy(request)
    asked.method, asked.path, asked.path_info, asked.GET = "GET", path, path, QueryDict("")
    conditional = ("HTTP_IF_", "HTTP_ACCEPT")
    asked.META = {name: value for name, value in request.META.items() if not name.startswith(conditional)}
    asked.META["REQUEST_METHOD"] = "GET"
    asked.__dict__.pop("headers", None)  # Django remembers them.
    asked.resolver_match = match = resolve(path)
    return asked, match
