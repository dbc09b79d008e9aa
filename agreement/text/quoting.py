"""A clause of an agreement as another page quotes it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile

import nh3

from agreement.text.clauses import ATTRIBUTES, TAGS, Clause, Document


@dataclass(frozen=True, slots=True)
class Quote:
    """A section, clause, sub-clause, item or appendix, with everything that it contains."""

    unit: Clause
    html: str
    """The HTML of the unit and of everything in it. It has no ids. Its links to clauses, also that of its own number,
    lead to the page that was given to :func:`quote`."""
    quotes: tuple[Quote, ...]
    """The quotes of the numbered units directly in it, in order."""


def quote(document: Document, number: str, page: str) -> Quote | None:
    """The unit with that number, as another page quotes it; ``None`` if the number is ``""`` or the document does not
    have it. If several units have the number, it is the first one.

    The quote consists of the units that :func:`contents` returns. ``page`` is the URL, without a fragment, of the page
    that contains the clauses, such as that of the edition. The links to clauses in the quote lead to this page.
    """
    units = document.units
    place = next((place for place, unit in enumerate(units) if number and unit.number == number), None)
    if place is None:
        return None
    whole = contents(document, place)
    html = "".join(document.parts[place : place + len(whole)])
    under = (quote(document, unit.number, page) for unit in whole[1:] if unit.number and unit.parent == number)
    return Quote(units[place], _for_another_page(html, page), tuple(found for found in under if found))


def contents(document: Document, place: int) -> tuple[Clause, ...]:
    """The unit at the index ``place`` of ``document.units``, and the units after it that belong to it. These are the
    numbered units that it contains, and the text and notes without a number between and after them. They end before the
    first numbered unit that it does not contain or the first heading without a number. For a unit without a number,
    only this unit is returned.
    """
    unit = document.units[place]
    if not unit.number:
        return (unit,)
    inside = {unit.number}

    def belongs(other: Clause) -> bool:
        if not other.number:
            return other.kind != "heading"
        if other.parent in inside:
            inside.add(other.number)
        return other.parent in inside

    return (unit, *takewhile(belongs, document.units[place + 1 :]))


def _for_another_page(html: str, page: str) -> str:
    def attribute(tag: str, name: str, value: str) -> str:
        return page + value if name == "href" and value.startswith("#") else value

    return nh3.clean(
        html,
        tags=set(TAGS),
        attributes={tag: names - {"id"} for tag, names in ATTRIBUTES.items()},
        attribute_filter=attribute,
        url_schemes={"http", "https", "mailto", "tel"},
        link_rel="noopener noreferrer",
    ).strip()
