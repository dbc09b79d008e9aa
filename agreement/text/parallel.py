"""Two languages of one edition side by side, clause by clause."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import nh3

from agreement.text.clauses import ATTRIBUTES, TAGS, Document

#: How many characters of the first line of a unit ``upper_levels`` gives, without its label.
MAX_WORDS = 45


@dataclass(frozen=True, slots=True)
class Pair:
    """The text under one number in both languages. ``left`` or ``right`` is ``""`` if that language has no text there.
    :func:`pairs` gives HTML without ids, so that one page may contain both; :func:`upper_levels` gives plain text.
    """

    number: str
    """``""`` for the text before the first number."""
    left: str
    right: str


def pairs(left: Document, right: Document) -> tuple[Pair, ...]:
    """All text of both documents, without the title units, paired by number, in the order of the left document.

    A unit without a number belongs to the pair of the unit before it; so does a unit whose number is used earlier in
    the same document. A number that only the right document has follows the last number before it there that both
    documents have; without one, it follows the text before the first number. A pair without text is left out.
    """
    ours, theirs = _by_number(left), _by_number(right)
    found = (
        Pair(number, _without_ids(ours.get(number, "")), _without_ids(theirs.get(number, "")))
        for number in _order(ours, theirs)
    )
    return tuple(pair for pair in found if pair.left or pair.right)


def upper_levels(left: Document, right: Document) -> tuple[Pair, ...]:
    """The sections, the clauses and the appendices of both documents, paired by number. They are ordered by the rules
    of :func:`pairs`, applied to these units alone. If several units of a document have one number, the first one
    counts.

    Each text of a pair is plain text: the printed number of the unit and its first line, or ``""`` if that document has
    no such unit. A first line of more than ``MAX_WORDS`` characters, without the number, is cut there and ends with
    ``…``.
    """
    ours, theirs = _upper_levels(left), _upper_levels(right)
    order = _order({"": "", **ours}, theirs)[1:]
    return tuple(Pair(number, ours.get(number, ""), theirs.get(number, "")) for number in order)


def _upper_levels(document: Document) -> dict[str, str]:
    found: dict[str, str] = {}
    for unit in document.clauses:
        if unit.kind in {"section", "clause", "heading"}:
            words = unit.text.partition("\n")[0]
            words = words if len(words) <= MAX_WORDS else f"{words[:MAX_WORDS].rstrip()}…"
            found.setdefault(unit.number, f"{unit.label} {words}".strip())
    return found


def _order(ours: Iterable[str], theirs: Iterable[str]) -> list[str]:
    """The numbers of both documents, each once, in the order of :func:`pairs`. ``ours`` begins with ``""``, which
    stands for the text before the first number, and so does the result.
    """
    ours = dict.fromkeys(ours)
    added: dict[str, list[str]] = defaultdict(list)
    last = ""
    for number in theirs:
        if number in ours:
            last = number
        else:
            added[last].append(number)
    return [number for ours_number in ours for number in (ours_number, *added[ours_number])]


def _by_number(document: Document) -> dict[str, str]:
    found = {"": ""}
    number = ""
    for unit, part in zip(document.units, document.parts, strict=True):
        # If a number occurs twice, its second unit stays in its place, in the pair before it. The lint reports it.
        if unit.number and unit.number not in found:
            number = unit.number
            found[number] = ""
        found[number] += part
    return found


def _without_ids(page: str) -> str:
    attributes = {tag: names - {"id"} for tag, names in ATTRIBUTES.items()}
    return nh3.clean(page, tags=set(TAGS), attributes=attributes, link_rel="noopener noreferrer").strip()
