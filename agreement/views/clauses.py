"""The page and the JSON of one clause: its wordings in the public editions, since when they apply, and what changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from django.http import Http404, HttpResponse
from django.utils.translation import gettext as _

from agreement.editions.clause_history import ClauseHistory, Wording, clause_history, other_holders
from agreement.editions.display import DisplayedEdition
from agreement.editions.timeline import Timeline
from agreement.models.succession import State
from agreement.text import languages
from agreement.views.base import PageData, Visit, page
from agreement.views.data import Json, json_view, rfc3339
from agreement.views.editions import edition_number


@page("edition")
def clause(visit: Visit, slug: str, anchor: str) -> HttpResponse:
    """The page of a clause: its wordings, the newest first. ``anchor`` is the number that the clause has in the edition
    in force; if that edition has no such number, in the newest public edition that has it. With ``?edition=`` it is the
    number in that edition.

    Cancelled editions are left out. The response is 404 if there is no such clause or edition. Raises ``BadRequest`` if
    the value of ``?edition=`` can't be the number of an edition. At most 1 query for the texts.
    """
    editions = _editions(visit, visit.timeline(slug))
    chosen = visit.parameters.get("edition")
    history = _history(editions, anchor, edition_number(chosen) if chosen is not None else None)
    if history is None:
        raise Http404
    query = f"?edition={chosen}" if chosen is not None else ""
    wording, newest = history.wording, history.wording.editions[-1]
    title = _("%(name)s in all editions") % {"name": wording.name}
    context = {
        "slug": slug,
        "history": history,
        "others": other_holders(editions, history),
        "page_data": PageData.of(f"{title} · {newest.title}", newest.headline, _text(wording)),
    }
    return visit.render("agreement/pages/clause.html", context, query=query)


@json_view()
def clause_data(visit: Visit, slug: str, anchor: str) -> Json:
    """The wordings of a clause as JSON, with one list for each language, the oldest wording first. In each language it
    is the clause that has the number ``anchor`` in the edition in force; if that edition has no such number, in the
    newest public edition that has it. Cancelled editions are left out. The list of a language is empty if none of the
    remaining editions has this number in that language. The response is 404 if both lists are empty. At most 1 query
    for the texts.
    """
    timeline = visit.timeline(slug)
    editions = _editions(visit, timeline)
    wordings = {}
    for language in languages.LANGUAGES:
        history = _history([replace(one, language=language) for one in editions], anchor, None)
        wordings[language] = list(_wordings(history, timeline.time_zone)) if history else []
    if not any(wordings.values()):
        raise Http404
    return {"agreement": slug, "number": anchor, "time_zone": timeline.time_zone, "wordings": wordings}


def _editions(visit: Visit, timeline: Timeline) -> list[DisplayedEdition]:
    """Return the public editions that were not cancelled, with their texts, in the order of their numbers. 1 query;
    none without such an edition.
    """
    public = visit.public(timeline)
    return visit.display_all(timeline, *(edition for edition in timeline.binding if edition in public))


def _history(editions: Sequence[DisplayedEdition], number: str, edition: int | None) -> ClauseHistory | None:
    """Return the history, in ``editions``, of the clause with this number in the edition with the number ``edition``.
    If ``edition`` is ``None``, it is the clause with this number in the one of ``editions`` that is in force or, if
    there is none or it has no such number, in the newest of ``editions`` that has it. Return ``None`` if there is no
    such clause. ``editions`` must be in the order of their numbers.
    """
    newest_first = sorted(
        range(len(editions)), key=lambda place: (editions[place].state == State.IN_FORCE, place), reverse=True
    )
    places = (place for place in newest_first if edition is None or editions[place].edition.number == edition)
    return next(filter(None, (clause_history(editions, place, number) for place in places)), None)


def _wordings(history: ClauseHistory, zone: str) -> Iterator[Json]:
    """Yield each wording as an object for the JSON, the oldest first. Its ``effective_until`` is the moment at which
    the next wording takes effect; ``None`` for the last. ``zone`` is the time zone of the agreement.
    """
    ends = [later.edition.edition.effective_from for _earlier, later in pairwise(history.wordings)]
    for wording, until in zip(history.wordings, [*ends, None], strict=True):
        yield {
            "effective_from": rfc3339(wording.edition.edition.effective_from, zone),
            "effective_until": rfc3339(until, zone),
            "editions": [displayed.edition.number for displayed in wording.editions],
            "number": wording.number or None,
            "deleted": wording.unit is None,
            "text": _text(wording),
        }


def _text(wording: Wording) -> str:
    """Return the words of the clause, with the labels of its units, in lines; ``""`` if it was deleted."""
    return "\n".join(f"{unit.label} {unit.text}".strip() for unit in wording.units)
