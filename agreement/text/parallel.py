"""Two languages of one edition beside each other, clause by clause."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import nh3

from agreement.text.clauses import ATTRIBUTES, TAGS, Document


@dataclass(frozen=True, slots=True)
class Pair:
    """What stands under one number in both languages; ``""`` where a language has not got it."""

    number: str
    """``""`` for what stands before the first number."""
    left: str
    right: str
    """HTML without ids, so that both may stand in one page, and a row around them may have the number as its id."""


def pairs(left: Document, right: Document) -> tuple[Pair, ...]:
    """Both documents by their numbers, in the left one's order; nothing of either is left out.

    What has no number stands with what it follows. A number only the right one has stands after the one before it
    there (sealed editions are parallel; imported history may not be).
    """
    ours, theirs = _by_number(left), _by_number(right)
    added: dict[str, list[str]] = defaultdict(list)
    last = ""
    for number in theirs:
        if number in ours:
            last = number
        else:
            added[last].append(number)
    order = [number for ours_number in ours for number in (ours_number, *added[ours_number])]
    found = (Pair(number, _without_ids(ours.get(number, "")), _without_ids(theirs.get(number, ""))) for number in order)
    return tuple(pair for pair in found if pair.left or pair.right)


def _by_number(document: Document) -> dict[str, str]:
    found = {"": ""}
    number = ""
    for unit, part in zip(document.units, document.parts, strict=True):
        # A number that occurs twice is the lint's to report; its second unit stays where it stands.
        if unit.number and unit.number not in found:
            number = unit.number
            found[number] = ""
        found[number] += part
    return found


def _without_ids(page: str) -> str:
    attributes = {tag: names - {"id"} for tag, names in ATTRIBUTES.items()}
    return nh3.clean(page, tags=set(TAGS), attributes=attributes, link_rel="noopener noreferrer").strip()
