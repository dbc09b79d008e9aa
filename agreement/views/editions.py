"""The public pages and files of editions. They only read.

They set no cookie and read no session, so that any cache may store a page, unless the site's base template uses
something personal. A cache must revalidate a page for each request (``no-cache`` with an ``ETag``); the sealed texts
and manifests may be used for a year without revalidation.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.core.exceptions import BadRequest
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.utils import translation
from django.utils.translation import gettext as _

from agreement import conf
from agreement.editions import pdf, qr
from agreement.editions.changes import Comparison, changed_clauses, marked_units
from agreement.editions.citations import ready_citations
from agreement.editions.display import DisplayedEdition
from agreement.editions.signatures import signatures_of
from agreement.editions.timeline import Timeline
from agreement.models import Edition, Signature
from agreement.models.published_log import logged_editions
from agreement.models.succession import EditionDates, State
from agreement.text import clauses, languages, parallel
from agreement.views import data, memento
from agreement.views.base import COUNTERPART_LABELS, PageData, Visit, alternates, page
from agreement.views.cache import immutable_response

#: The values of ``?view=``, the layout of the changes. ``""``: the width of the window determines the layout.
LAYOUTS = ("", "inline", "columns")
#: The states of a compared edition that the page of the changes warns of.
WARNED = {State.CANCELLED, State.SCHEDULED}


@page()
def index(visit: Visit) -> HttpResponse:
    """The list of the agreements that have an edition in force, in the order of their slugs. If the site displays
    scheduled editions, the agreements that have an announced edition and none in force come after them.
    """
    agreements = sorted(visit.timelines.agreements.values(), key=lambda timeline: timeline.slug)
    binding = [(timeline, edition) for timeline in agreements if (edition := timeline.in_force(visit.at))]
    if conf.get().SHOW_SCHEDULED:
        known = {timeline.slug for timeline, _ in binding}
        binding += [
            (timeline, edition)
            for timeline in agreements
            if timeline.slug not in known and (edition := timeline.announced(visit.at))
        ]
    return visit.render("agreement/pages/index.html", {"agreements": visit.display_without_texts(binding)})


@page(headers=("Accept-Datetime",))
def current(visit: Visit, slug: str) -> HttpResponse:
    """The page of the edition in force. If the site displays scheduled editions and one is announced, the page states
    this too. If no edition is in force yet, the page has only the announcement. The response is 404 if there is
    neither.

    If an edition has taken effect, a request with the header ``Accept-Datetime`` is redirected to the permanent page of
    the edition that was in force at that moment; of the first edition if none was in force then; of the edition in
    force for a future moment. The response is 400 if the value is not an HTTP date.
    """
    timeline = visit.timeline(slug)
    if answer := memento.negotiate(visit, timeline):
        return answer
    edition = timeline.in_force(visit.at)
    announced = timeline.announced(visit.at) if conf.get().SHOW_SCHEDULED else None
    upcoming = visit.display_without_texts([(timeline, announced)])[0] if announced else None
    if edition is None and upcoming is None:
        raise Http404
    context: dict[str, Any] = {"upcoming": upcoming}
    if edition is None:
        if upcoming:
            context["page_data"] = edition_page_data(upcoming)
        return visit.render("agreement/pages/announcement.html", context)
    return memento.add_headers(_edition(visit, timeline, edition, context), visit, timeline, None)


@page()
def editions(visit: Visit, slug: str) -> HttpResponse:
    """The list of all public editions of an agreement, the newest first, with links to their files. The response is 404
    if there is no public edition.
    """
    timeline = visit.timeline(slug)
    public = reversed(visit.public(timeline))
    displayed = visit.display_without_texts((timeline, edition) for edition in public)
    newest = next((one for one in displayed if one.state == State.IN_FORCE), displayed[0])
    context = {
        "slug": slug,
        "editions": displayed,
        "with_pdf": _with_pdf(displayed),
        "page_data": PageData.of(
            _("Editions: %(title)s") % {"title": newest.title}, edition_page_data(newest).description
        ),
    }
    return visit.render("agreement/pages/editions.html", context | memento.chart_context(visit, timeline))


def _with_pdf(displayed: Sequence[DisplayedEdition]) -> set[int]:
    """Return the primary keys of those of these editions that have a PDF in the language in which they are displayed.
    The texts are read in parts and not stored. 1 query; none if this machine makes no PDF.
    """
    if not pdf.is_available("", wait=False):
        return set()
    shown = {one.edition.pk: languages.LANGUAGES.index(one.language) for one in displayed}
    bodies = (f"body_{language}" for language in languages.LANGUAGES)
    rows = Edition.objects.filter(pk__in=shown).values_list("pk", *bodies).iterator(chunk_size=10)
    return {pk for pk, *texts in rows if pdf.is_available(texts[shown[pk]], wait=False)}


@page(unlimited=("on",))
def edition(visit: Visit, slug: str, number: int) -> HttpResponse:
    """The permanent page of an edition. The response is 404 if no public edition has that number.

    ``?on=`` contains a date. If this edition was or will be in force when that day begins, the page also states this,
    and which public editions take effect later on that day. Otherwise the parameter adds nothing to the page. The
    response is 400 if the value is not a date. An empty value is ignored.
    """
    timeline = visit.timeline(slug)
    dated = visit.edition(timeline, number)
    try:
        asked, later = memento.requested_day(visit, timeline, dated)
    except memento.UnreadableInstant as error:
        return memento.refuse_unreadable(visit, error, timeline)
    context = {"binding": timeline.in_force(visit.at), "permanent": True, "asked": asked, "later": later}
    if asked:
        context["when_day"] = visit.parameters["on"]
    return memento.add_headers(_edition(visit, timeline, dated, context), visit, timeline, dated)


@page("from", "to", "view", "all")
def changes(visit: Visit, slug: str, number: int) -> HttpResponse:
    """The page with the changes to the edition ``number`` from the last edition before it that was not cancelled, or
    from the edition with the number in ``?from=``, which may also be a later one. The page displays no changes if
    ``?from=`` is missing and every earlier edition was cancelled or there is none, or if both editions are the same.
    ``?view=`` is one of ``LAYOUTS``. With ``?all=1`` the unchanged clauses are open.

    With ``?to=`` the response is a redirect to the same page of the edition with that number, with the other
    parameters. The response is 404 if there is no public edition with the number in ``?to=`` or, without ``?to=``, with
    ``number`` or the number in ``?from=``. Raises ``BadRequest`` if ``?view=`` or ``?all=`` has another value, or if
    that of ``?from=`` or ``?to=`` can't be the number of an edition.
    """
    timeline = visit.timeline(slug)
    since, view, everything = (visit.parameters.get(name) for name in ("from", "view", "all"))
    if (view or "") not in LAYOUTS or (everything or "1") != "1":
        raise BadRequest("view must be one of the views of the changes, and all must be 1.")
    chosen = {"view": view, "all": everything}
    if "to" in visit.parameters:  # A form can only send a query, not another path.
        to = visit.edition(timeline, edition_number(visit.parameters["to"]))
        query = _query(**{"from": edition_number(since) if since else None}, **chosen)
        return HttpResponseRedirect(visit.path("changes", slug, to.number) + query)
    new = visit.edition(timeline, number)
    before, after, public = timeline.predecessor(new), timeline.successor(new), visit.public(timeline)
    old = visit.edition(timeline, edition_number(since)) if since is not None else before
    displayed = visit.display_all(timeline, new, *([old] if old and old != new else []))
    compared = Comparison(displayed[1], displayed[0]) if len(displayed) > 1 else None
    start = {"from": old.number if old and old != before else None}
    here, query = visit.path("changes", slug, number), _query(**start)
    context = {
        "slug": slug,
        "new": displayed[0],
        "compared": compared,
        "page_data": edition_page_data(displayed[0], compared),
        "summarised": _summarised(visit, timeline, compared) if compared else [],
        "warned": [one for one in compared.sides if one.state in WARNED] if compared else [],
        "binding": timeline.in_force(visit.at),
        "view": view,
        "everything": everything,
        "choices": memento.choices(visit, timeline),
        # Without a comparison, the other edition in the form: the one that the reader chose or, for the first edition,
        # the next one.
        "selected": (old or (after if after in public else new)).number,
        "earlier": before if before and timeline.predecessor(before) else None,
        "later": after if after in public else None,
        "neighbours": old == before,
        "query": query,
        "kept": _query(**chosen),
        "links": {
            "inline": here + _query(**start, view="inline", all=everything),
            "columns": here + _query(**start, view="columns", all=everything),
            "changed": here + _query(**start, view=view),
            "all": here + _query(**start, view=view, all=1),
        },
    }
    return visit.render("agreement/pages/changes.html", context, query=query, chosen=_query(**start, **chosen))


def _query(**values: object) -> str:
    """Return these names and values as a query string with its question mark. A value that is ``None``, ``""`` or 0 is
    left out with its name. ``""`` if none is left.
    """
    given = {name: value for name, value in values.items() if value}
    return f"?{urlencode(given)}" if given else ""


def _summarised(visit: Visit, timeline: Timeline, compared: Comparison) -> list[DisplayedEdition]:
    """Return the editions whose summaries together state the changes between the two compared editions: the new one and
    those with a number between them. Cancelled editions and those without a summary are left out. The list is empty if
    the new edition has the lower number, or if the old one was cancelled: no summary was written for such a comparison.
    At most 1 query.
    """
    old, new = compared.old.edition, compared.new.edition
    if old.cancelled_at or not old.number or not new.number:
        return []
    between = [one for one in timeline.binding if old.number < one.number < new.number]
    editions = [*visit.display_without_texts((timeline, one) for one in between), compared.new]
    return [one for one in editions if one.summary] if old.number < new.number else []


@page()
def bilingual(visit: Visit, slug: str) -> HttpResponse:
    """The page of the edition in force in both languages, clause by clause.

    The response is 404 if no edition is in force.
    """
    timeline = visit.timeline(slug)
    edition = timeline.in_force(visit.at)
    if edition is None:
        raise Http404
    return _bilingual(visit, timeline, edition)


@page()
def edition_bilingual(visit: Visit, slug: str, number: int) -> HttpResponse:
    """The page of an edition in both languages, clause by clause. The response is 404 if no public edition has that
    number.
    """
    timeline = visit.timeline(slug)
    return _bilingual(visit, timeline, visit.edition(timeline, number))


@page()
def body(visit: Visit, slug: str, number: int, language: str, media: str) -> HttpResponse:
    """The sealed text in ``language`` as a file. ``media`` is ``markdown`` or ``plain``: the content type is ``text/``
    and ``media``, and the bytes are the same for both. Their SHA-256 is the ``body_sha256`` in the manifest. The
    response is 404 if the edition is not public.
    """
    found = _edition_row(visit, slug, number)
    return immutable_response(found.text(language).body.encode(), f"text/{media}; charset=utf-8")


@page()
def edition_pdf(visit: Visit, slug: str, number: int, language: str, *, archive: bool = False) -> HttpResponse:
    """The edition as a PDF in ``language``, which may differ from the language of the URL. With ``archive`` it is the
    archive copy, a PDF/A-2a.

    The response is 404 if the edition is not public, or if :func:`agreement.editions.pdf.is_available` is false for its
    text. A process renders one file at a time. If it can't begin within 10 seconds, the response is 503. The file is
    remembered like a page.
    """
    timeline = visit.timeline(slug)
    dated = visit.edition(timeline, number)
    with translation.override(language):
        displayed = visit.display(timeline, dated)
        if not pdf.is_available(displayed.edition.text(language).body):
            raise Http404
        address, current = visit.url("edition", slug, number), visit.url("current", slug)
        try:
            logged = logged_editions([dated.pk]).get(dated.pk)
            content = pdf.edition_file(displayed, address=address, current=current, logged=logged, archive=archive)
        except pdf.RendererBusy:
            return HttpResponse(status=503, headers={"Retry-After": "10", "Cache-Control": "no-store"})
    name = f"{slug}-{number}.{language}{'.archive' if archive else ''}.pdf"
    disposition = f'{"attachment" if archive else "inline"}; filename="{name}"'
    return HttpResponse(content, headers={"Content-Type": "application/pdf", "Content-Disposition": disposition})


@page()
def manifest(visit: Visit, slug: str, number: int) -> HttpResponse:
    """The manifest of the edition as a file. Its SHA-256 is the digest of the edition. The response is 404 if the
    edition is not public.
    """
    return immutable_response(_edition_row(visit, slug, number).manifest(), "application/json")


@page()
def signature(visit: Visit, slug: str, number: int, place: int = 1) -> HttpResponse:
    """The signature of an official over the manifest of the edition, as a file: the one with that number in the order
    in which they were stored. The response is 404 if the edition is not public or has no such signature.
    """
    dated = visit.edition(visit.timeline(slug), number)
    row = Signature.objects.filter(edition=dated.pk, number=place).first()
    if row is None:
        raise Http404
    return immutable_response(bytes(row.content), "application/pkcs7-signature")


def _edition_row(visit: Visit, slug: str, number: int) -> Edition:
    dated = visit.edition(visit.timeline(slug), number)
    row: Edition = Edition.objects.select_related("agreement").get(pk=dated.pk)
    return row


def edition_number(text: str) -> int:
    """Return the edition number in a query parameter. Raises ``BadRequest`` unless it is written as in a URL: 1 to 10
    digits, the first of which is not 0.
    """
    if not re.fullmatch("[1-9][0-9]{0,9}", text):
        raise BadRequest("This is not the number of an edition.")
    return int(text)


def _edition(visit: Visit, timeline: Timeline, dated: EditionDates, context: dict[str, Any]) -> HttpResponse:
    """Return the page of that edition, with the changes from the last edition before it that was not cancelled, if
    there is one. The page also gets the variables in ``context``, a dict that this function changes. 2 queries.
    """
    before = timeline.predecessor(dated)
    displayed, *others = visit.display_all(timeline, dated, *([before] if before else []))
    compared = Comparison(others[0], displayed) if others else None
    address = visit.url("edition", timeline.slug, dated.number)
    other = _counterpart(visit, displayed)
    # The citation in the language of the text comes first.
    citations = {
        language: ready_citations(displayed, language, _address(visit, timeline.slug, dated.number, language))
        for language in (displayed.language, other["language"])
    }
    units = list(marked_units(displayed.document, compared.redline if compared else None, citations))
    context |= {
        "displayed": displayed,
        "address": address,
        "qr": qr.svg(address),
        "page_data": edition_page_data(displayed, compared),
        "linked": data.json_ld(visit, displayed),
        "compared": compared,
        "units": units,
        "changed": changed_clauses(units),
        "signatures": signatures_of(displayed.edition),
        "other": other,
        "logged": logged_editions([dated.pk]).get(dated.pk),
    }
    context = memento.chart_context(visit, timeline, dated.number) | context
    if pdf.is_available(displayed.edition.text(displayed.language).body, wait=False):
        context["pdf"] = visit.path("pdf", timeline.slug, dated.number, displayed.language)
    context["archived"] = [
        language
        for language in languages.LANGUAGES
        if pdf.is_available(displayed.edition.text(language).body, wait=False)
    ]
    return visit.render("agreement/pages/edition.html", context)


def _address(visit: Visit, slug: str, number: int, language: str) -> str:
    """Return the absolute URL of the permanent page of the edition in ``language``; in the active language if the site
    has no pages in ``language``.
    """
    return visit.url("edition", slug, number, language=language if language in dict(settings.LANGUAGES) else None)


def edition_page_data(displayed: DisplayedEdition, compared: Comparison | None = None) -> PageData:
    """Return what search engines and messengers display of a page about that edition. The title contains the title and
    the number of the edition. The description is its ``headline``, such as "Edition 3: in force since 30 November
    2026", and its summary. If it has no summary, the sentence with the counts of the changes follows instead
    (:attr:`Comparison.summary` of ``compared``); without ``compared``, nothing. It makes no query if the editions of
    ``compared`` were read with their texts.
    """
    number = {"number": displayed.edition.number}
    title = f"{displayed.title} · {_('Edition %(number)s') % number}"
    summary = displayed.summary or (compared.summary if compared else "")
    return PageData.of(title, displayed.headline, summary)


def _counterpart(visit: Visit, displayed: DisplayedEdition) -> dict[str, str]:
    """Return the link to the text in the other one of the two languages of an edition, as its ``language``, ``path``
    and ``name``. It leads to this page in that language. If the site has no such page, or all languages have the same
    URL, it leads to the bilingual page of the edition.
    """
    language = next(one for one in languages.LANGUAGES if one != displayed.language)
    found = {one.language: one.path for one in alternates(visit.request)}
    path = found.get(language) or visit.path(
        "edition_bilingual", displayed.edition.agreement.slug, displayed.edition.number
    )
    return {"language": language, "path": path, "name": COUNTERPART_LABELS[language]}


def _bilingual(visit: Visit, timeline: Timeline, dated: EditionDates) -> HttpResponse:
    """Return the page of that edition in both languages, clause by clause. 1 query."""
    displayed = visit.display(timeline, dated)
    texts = {language: displayed.edition.text(language) for language in languages.LANGUAGES}
    pairs = parallel.pairs(*(clauses.parse(text.body) for text in texts.values()))
    context = {
        "displayed": displayed,
        "page_data": edition_page_data(displayed),
        "texts": texts,
        "pairs": pairs,
        "binding": timeline.in_force(visit.at),
    }
    return visit.render("agreement/pages/bilingual.html", context)
