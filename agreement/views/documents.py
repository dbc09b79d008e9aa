"""The Word files of editions: an edition in one language or both, its changes, and the comparative table.

The files are remembered like pages. Each costs at most 1 query for the texts of its editions.
"""

from __future__ import annotations

from collections.abc import Callable

from django.http import Http404, HttpResponse
from django.utils import translation

from agreement.editions import documents
from agreement.editions.changes import Comparison
from agreement.views.base import Visit, page
from agreement.views.editions import edition_number
from agreement.word.writer import CONTENT_TYPE


@page()
def edition(visit: Visit, slug: str, number: int, language: str) -> HttpResponse:
    """The edition as a Word file in ``language``, which may differ from the language of the URL.

    The response is 404 if the edition is not public.
    """
    timeline = visit.timeline(slug)
    dated = visit.edition(timeline, number)
    with translation.override(language):
        address = visit.url("edition", slug, number)
        content = documents.edition_file(visit.display(timeline, dated), address)
    return word_response(content, f"{slug}-{number}.{language}")


@page()
def bilingual(visit: Visit, slug: str, number: int) -> HttpResponse:
    """The edition as a Word file with the Kazakh and the Russian text beside each other. The sentences of the app above
    the text, in the header and in the footer are in the language of the URL.

    The response is 404 if the edition is not public.
    """
    timeline = visit.timeline(slug)
    displayed = visit.display(timeline, visit.edition(timeline, number))
    content = documents.bilingual_file(displayed, visit.url("edition_bilingual", slug, number))
    return word_response(content, f"{slug}-{number}")


@page("from")
def changes(visit: Visit, slug: str, number: int, language: str) -> HttpResponse:
    """The changes to the edition ``number`` as tracked changes in a Word file, in ``language``. They are the changes
    from the last edition before it that was not cancelled or, with ``?from=``, from the edition that has that number,
    which may also be a later one.

    The response is 404 if an edition is not public, if there is none to compare with, or if both are the same. Raises
    ``BadRequest`` if the value of ``?from=`` can't be the number of an edition.
    """
    return _compared(visit, slug, number, language, documents.changes_file, "changes")


@page("from")
def table(visit: Visit, slug: str, number: int, language: str) -> HttpResponse:
    """The comparative table of two editions as a Word file in ``language``. The new one is the edition ``number``. The
    old one is the last edition before it that was not cancelled or, with ``?from=``, the edition that has that number,
    which may also be a later one.

    The response is 404 if an edition is not public, if there is none to compare with, or if both are the same. Raises
    ``BadRequest`` if the value of ``?from=`` can't be the number of an edition.
    """
    return _compared(visit, slug, number, language, documents.table_file, "table")


def word_response(content: bytes, name: str) -> HttpResponse:
    """Return a response that downloads a Word file. ``name`` is the name of the file without ``.docx``."""
    disposition = f'attachment; filename="{name}.docx"'
    return HttpResponse(content, headers={"Content-Type": CONTENT_TYPE, "Content-Disposition": disposition})


def _compared(
    visit: Visit, slug: str, number: int, language: str, write: Callable[[Comparison, str], bytes], name: str
) -> HttpResponse:
    timeline = visit.timeline(slug)
    new = visit.edition(timeline, number)
    since = visit.parameters.get("from")
    old = timeline.predecessor(new) if since is None else visit.edition(timeline, edition_number(since))
    if old is None or old == new:
        raise Http404
    with translation.override(language):
        compared = Comparison(*visit.display_all(timeline, old, new))
        query = f"?from={old.number}" if old != timeline.predecessor(new) else ""
        content = write(compared, visit.url("changes", slug, number) + query)
    return word_response(content, f"{slug}-{old.number}-{number}.{name}.{language}")
