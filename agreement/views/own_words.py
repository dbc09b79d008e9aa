"""The words that this site prints around the text of an edition: on its pages, and in its PDF and Word files.

The page that recognises a text compares the words around a text with them. They are rendered for the comparison, so a
changed template needs no change here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import replace

from django.conf import settings
from django.http import Http404, HttpRequest, QueryDict
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, Resolver404, ResolverMatch, resolve
from django.utils import translation

from agreement.conf import active_language
from agreement.editions import documents, recognition
from agreement.editions.display import DisplayedEdition
from agreement.editions.recognition import OwnWords
from agreement.models.published_log import logged_editions
from agreement.models.succession import State
from agreement.text import languages
from agreement.views.base import Visit

#: The pages of an edition from which a reader may copy its text, by the names of their URLs. ``current`` is the page of
#: the edition in force.
PAGES = ("edition", "current", "edition_bilingual", "edition_data")
_TITLE = re.compile(r"<title>(.*?)</title>", re.DOTALL)
#: The beginning of changed words. A line with them quotes another edition.
_CHANGED = re.compile(r"(?=<(?:del|ins)\b)")


def others(visit: Visit, lines: Sequence[str], editions: Sequence[DisplayedEdition]) -> list[str]:
    """Return those of these lines, in their order, that have words which this site does not print around the text of
    one of these editions; all lines if there is no edition. It prints words on the pages of the first edition, and in
    the PDF and Word files of all, in each language of the site. The files have also the words of their earlier states.

    Pages are rendered, or taken from the cache of pages, one after another until they have all words: first those in
    the language of the request, and the files last. The files cost 1 query for each edition that was read with its
    texts.
    """
    own = OwnWords(bodies=[one.edition.text(language).body for one in editions for language in languages.LANGUAGES])
    for printed in _printed(visit, editions):
        if not lines:
            break
        own.add(printed)
        lines = own.others(lines)
    return list(lines)


def _printed(visit: Visit, editions: Sequence[DisplayedEdition]) -> Iterator[Iterator[str]]:
    """Yield the lines of each page of the first edition, then those of the files of each edition."""
    for displayed in editions[:1]:
        for name in PAGES:
            for language in dict.fromkeys([active_language(), *dict(settings.LANGUAGES)]):
                yield _page_lines(visit, displayed, name, language)
    for displayed in editions:
        yield _file_lines(visit, displayed)


def _file_lines(visit: Visit, displayed: DisplayedEdition) -> Iterator[str]:
    slug, number = displayed.edition.agreement.slug, displayed.edition.number
    logged = logged_editions([displayed.edition.pk]).get(displayed.edition.pk)
    for language in dict.fromkeys([*languages.LANGUAGES, *dict(settings.LANGUAGES)]):
        with translation.override(language):
            addresses = {"address": visit.url("edition", slug, number), "current": visit.url("current", slug)}
            pair = visit.url("edition_bilingual", slug, number)
            for state in _states(displayed):
                html = render_to_string("agreement/pages/pdf.html", {"displayed": state, "logged": logged, **addresses})
                yield from recognition.readable(html.replace(state.document.html, "")).splitlines()
                yield from documents.lines_around(state, addresses["address"])
                yield from documents.lines_around(state, pair)


def _states(displayed: DisplayedEdition) -> Iterator[DisplayedEdition]:
    """Yield the edition in each state in which it is or may have been displayed: as now, announced, in force without a
    known successor, and in force with its successor. Each state is yielded in Kazakh and in Russian.
    """
    successor = displayed.successor
    earlier = [(State.SCHEDULED, None), (State.IN_FORCE, None), (State.IN_FORCE, successor)]
    for state, next_one in dict.fromkeys([(displayed.state, successor), *earlier]):
        for language in languages.LANGUAGES:
            yield replace(displayed, state=state, successor=next_one, language=language)


def _page_lines(visit: Visit, displayed: DisplayedEdition, name: str, language: str) -> Iterator[str]:
    """Yield the lines of the page with that name of :data:`PAGES`, in that language of the site."""
    slug, number = displayed.edition.agreement.slug, displayed.edition.number
    if name == "current" and displayed.state != State.IN_FORCE:
        return
    with translation.override(language), suppress(NoReverseMatch):
        yield from _lines_at(visit.request, visit.path(name, *([slug] if name == "current" else [slug, number])))


def _lines_at(request: HttpRequest, path: str) -> list[str]:
    """The title and the lines of the page with that path, as the client of ``request`` would get it. Lines with words
    that are marked as changed contain ``OwnWords.CHANGED``. The list is empty if there is no such page, or if its
    status is not 200.
    """
    try:
        asked, match = request_for(request, path)
        response = match.func(asked, *match.args, **match.kwargs)
    except (Resolver404, Http404):
        return []
    if response.status_code != 200:
        return []
    page = response.content.decode()
    return [*_TITLE.findall(page), *recognition.readable(_CHANGED.sub(OwnWords.CHANGED, page)).splitlines()]


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
