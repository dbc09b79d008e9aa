"""The instrument that amends an earlier edition to a later one: a page, a Word file, a PDF, and JSON.

Each view compares the edition ``number`` with the last edition before it that was not cancelled or, with ``?from=``,
with the edition that has that number. The response is 404 if either edition is not public, if there is no earlier one,
or if that in ``?from=`` is not earlier.
"""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import Http404, HttpResponse
from django.template.loader import render_to_string
from django.utils import translation

from agreement.editions import pdf
from agreement.editions.display import DisplayedEdition
from agreement.editions.instruments import DOCX, Instrument
from agreement.editions.timeline import Timeline
from agreement.models.succession import EditionDates
from agreement.text import languages
from agreement.views.base import Visit, page
from agreement.views.data import Json, json_view
from agreement.views.editions import edition_number


@page("from")
def amendment(visit: Visit, slug: str, number: int) -> HttpResponse:
    """The page with the instrument that amends an earlier edition to the edition ``number``, in the language in which
    the text is displayed, and with links to its files and data. The earlier edition is the last one before it that was
    not cancelled or, with ``?from=``, the one with that number.

    The response is 404 if either edition is not public, if there is no earlier one, or if that in ``?from=`` is not
    earlier. Raises ``BadRequest`` if the value of ``?from=`` can't be the number of an edition.
    """
    timeline, old, new = _pair(visit, slug, number)
    displayed, before = visit.display_all(timeline, new, old)
    instrument = _instrument(before, displayed, displayed.language)
    neighbours = old == timeline.predecessor(new)
    query = "" if neighbours else f"?{urlencode({'from': old.number})}"
    context = {
        "slug": slug,
        "displayed": displayed,
        "old": before,
        "instrument": instrument,
        "binding": timeline.in_force(visit.at),
        "neighbours": neighbours,
        "query": query,
        "pdf": bool(instrument.paragraphs) and pdf.is_available(_text(instrument), wait=False),
    }
    return visit.render("agreement/pages/amendment.html", context, query=query)


@json_view("from")
def amendment_data(visit: Visit, slug: str, number: int) -> Json:
    """The operations that amend an earlier edition to the edition ``number``, as JSON in both languages, with the
    SHA-256 of the texts. Applying the edits of all operations to the text of the earlier edition gives the text of the
    later one, character for character. The earlier edition is the last one before ``number`` that was not cancelled or,
    with ``?from=``, the one with that number.

    The response is 404 if either edition is not public, if there is no earlier one, or if that in ``?from=`` is not
    earlier. Raises ``BadRequest`` if the value of ``?from=`` can't be the number of an edition.
    """
    timeline, old, new = _pair(visit, slug, number)
    displayed, before = visit.display_all(timeline, new, old)
    return {
        "agreement": slug,
        "from": old.number,
        "number": number,
        "from_digest": before.edition.digest,
        "digest": displayed.edition.digest,
        "amendments": {
            language: _instrument(before, displayed, language).to_json() for language in languages.LANGUAGES
        },
    }


@page("from")
def amendment_docx(visit: Visit, slug: str, number: int, language: str) -> HttpResponse:
    """The instrument that amends an earlier edition to the edition ``number``, in ``language`` as a Word file. The
    earlier edition is the last one before it that was not cancelled or, with ``?from=``, the one with that number.

    The response is 404 if either edition is not public, if there is no earlier one, if that in ``?from=`` is not
    earlier, if the site does not have the extra ``docx``, or if the two texts in that language are the same or differ
    only in their formatting. Raises ``BadRequest`` if the value of ``?from=`` can't be the number of an edition.
    """
    timeline, old, new = _pair(visit, slug, number)
    displayed, before = visit.display_all(timeline, new, old)
    instrument = _instrument(before, displayed, language)
    if not instrument.has_docx:
        raise Http404
    return _file(instrument.docx(), DOCX, f'attachment; filename="{slug}-{old.number}-{number}.{language}.docx"')


@page("from")
def amendment_pdf(visit: Visit, slug: str, number: int, language: str) -> HttpResponse:
    """The instrument that amends an earlier edition to the edition ``number``, in ``language`` as a PDF. The earlier
    edition is the last one before it that was not cancelled or, with ``?from=``, the one with that number.

    The response is 404 if either edition is not public, if there is no earlier one, if that in ``?from=`` is not
    earlier, if the two texts in that language are the same or differ only in their formatting, or if
    :func:`agreement.editions.pdf.is_available` is false for the text of the instrument. It is 503 if the rendering
    can't begin within 10 seconds, because the process renders other PDFs. Raises ``BadRequest`` if the value of
    ``?from=`` can't be the number of an edition.
    """
    timeline, old, new = _pair(visit, slug, number)
    with translation.override(language):
        displayed, before = visit.display_all(timeline, new, old)
        instrument = _instrument(before, displayed, language)
        if not instrument.paragraphs or not pdf.is_available(_text(instrument)):
            raise Http404
        query = "" if old == timeline.predecessor(new) else f"?{urlencode({'from': old.number})}"
        address = visit.url("amendment", slug, number) + query
        context = {"instrument": instrument, "displayed": displayed, "old": before, "address": address}
        html = render_to_string("agreement/pages/amendment_pdf.html", context)
    try:
        content = pdf.render(html)
    except pdf.RendererBusy:
        return HttpResponse(status=503, headers={"Retry-After": "10", "Cache-Control": "no-store"})
    return _file(content, "application/pdf", f'inline; filename="{slug}-{old.number}-{number}.{language}.pdf"')


def _pair(visit: Visit, slug: str, number: int) -> tuple[Timeline, EditionDates, EditionDates]:
    """Return the timeline, the earlier edition, and the edition ``number``. The earlier edition is the last one before
    it that was not cancelled or, with ``?from=``, the one with that number. Raises ``Http404`` if either is not public,
    if there is no earlier one, or if that in ``?from=`` is not earlier. Raises ``BadRequest`` if the value of
    ``?from=`` can't be the number of an edition.
    """
    timeline = visit.timeline(slug)
    new = visit.edition(timeline, number)
    since = visit.parameters.get("from")
    old = timeline.predecessor(new) if since is None else visit.edition(timeline, edition_number(since))
    if old is None or old not in visit.public(timeline) or old.number >= new.number:
        raise Http404
    return timeline, old, new


def _instrument(old: DisplayedEdition, new: DisplayedEdition, language: str) -> Instrument:
    return Instrument(old.edition, new.edition, language)


def _text(instrument: Instrument) -> str:
    return "\n".join(paragraph.text for paragraph in instrument.paragraphs)


def _file(content: bytes, content_type: str, disposition: str) -> HttpResponse:
    return HttpResponse(content, headers={"Content-Type": content_type, "Content-Disposition": disposition})
