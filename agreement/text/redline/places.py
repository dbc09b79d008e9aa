"""The names of the units of a text, as the operations of an amendment contain them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from agreement.text.clauses import Clause
from agreement.text.redline.operations import Path, Step

#: The nouns of units whose text is a heading. The units below them belong to them.
HEADED = frozenset({"section", "chapter", "article", "paragraph", "appendix"})
#: The number of an appendix in its heading.
APPENDIX_NUMBER = re.compile(
    r"(?:приложение|қосымша)\s*(?:№|N)?\s*(?P<after>\d{1,2})(?!\d)|(?<!\d)(?P<before>\d{1,2})[\s–‑-]*(?:ші\s+)?қосымша",
    re.IGNORECASE,
)
#: A word in a printed number, such as the first one of «Глава I.». Roman numbers are not words.
_NOUN = re.compile(r"§|(?<=\d)[\s–‑-]*[ыі]?н?ш[ыі]\b|(?![IVXLCDMІХ]+\b)[^\W\d_]{3,}")
_NOUNS = {
    "глава": "chapter",
    "тарау": "chapter",
    "статья": "article",
    "бап": "article",
    "§": "paragraph",
    "параграф": "paragraph",
    "раздел": "section",
    "бөлім": "section",
}


class Names:
    """The names of the units of one edition. ``units`` are in the order of the text."""

    def __init__(self, units: Sequence[Clause]) -> None:
        self.by_number: dict[str, Clause] = {}
        self.before: dict[int, Clause] = {}
        self.twins: Counter[tuple[str, ...]] = Counter()
        for place, unit in enumerate(units):
            if unit.number:
                self.by_number.setdefault(unit.number, unit)
                self.twins[self._key(unit)] += 1
            if place:
                self.before[unit.start] = units[place - 1]
        #: The nouns whose numbers begin anew: «пункт 1» of one article and of another.
        self.restarting = {key[0] for key, count in self.twins.items() if count > 1 and key[1].isdecimal()}
        self.containers = {self.holder_number(unit) for unit in units if unit.number or unit.kind == "note"}

    def _key(self, unit: Clause) -> tuple[str, ...]:
        return noun(unit), printed(unit), _appendix(unit), unit.parent if "-" in unit.number else ""

    def parents(self, unit: Clause) -> list[Clause]:
        """The units that contain this one, the nearest first. A section that has no heading of its own is left out,
        because it is no unit.
        """
        found: list[Clause] = []
        number = unit.parent
        while number:
            holder = self.by_number.get(number)
            if holder in found:
                break
            found += [holder] if holder else []
            number = holder.parent if holder else number.rpartition(".")[0]
        return found

    def holder_number(self, unit: Clause) -> str:
        """The number of the nearest unit that contains this one, which is the first of :meth:`parents`; ``""`` if there
        is none.
        """
        return next((parent.number for parent in self.parents(unit)), "")

    def path(self, unit: Clause) -> Path:
        """The name of the unit, as the operations contain it: its own step first, then the steps of the units that
        contain it, the nearest first, as far as a lawyer names them.
        """
        name, parents = noun(unit), self.parents(unit)
        if name in {"title", "heading"}:
            return (Step(name, _shortened(unit.text) if name == "heading" else ""),)
        if name == "text":
            before = self.before.get(unit.start)
            if before and noun(before) == "heading":
                return (Step("under", _shortened(before.text)),)
            if not parents:
                return (Step("preamble"),)
            leads = parents[0].number in self.containers and before == parents[0]
            return (Step("lead" if leads else "text"), *self.path(parents[0]))
        if name == "note":
            return (Step(name), *(self.path(parents[0]) if parents else ()))
        step = Step(name, printed(unit))
        if "-" in unit.number:
            if unit.kind == "item" and parents and "-" in parents[0].number:
                step = Step(name, f"{printed(parents[0])} {step.number}")
            outer = next((parent for parent in parents if "-" not in parent.number), None)
            return (step, *(self.path(outer) if outer else ()))
        restarts = self.twins[self._key(unit)] > 1 or (name in self.restarting and step.number.isdecimal())
        if restarts and parents and noun(parents[0]) != "appendix":
            return (step, *self.path(parents[0]))
        appendix = self.by_number.get(_appendix(unit))
        return (step, *(self.path(appendix) if appendix and appendix is not unit else ()))


def noun(unit: Clause) -> str:
    """The noun that names a unit, as a key of ``wording.RUSSIAN``: ``appendix`` for a heading with a number,
    ``heading`` for a section whose number is not printed, ``chapter``, ``article`` or the like if the label contains
    that word, and ``subclause`` for an item. Otherwise it is the kind of the unit.
    """
    if unit.kind == "heading" and unit.number:
        return "appendix"
    if unit.kind == "section" and not unit.label:
        return "heading"  # Its number is its place, which the text does not print.
    words = map(str.lower, _NOUN.findall(unit.label)) if unit.kind in {"section", "clause"} else ()
    found = next((_NOUNS[word] for word in words if word in _NOUNS), "")
    return found or ("subclause" if unit.kind == "item" else unit.kind)


def printed(unit: Clause) -> str:
    """The number of a unit as the text prints it, without the noun and the dot: ``2.3``, ``I``, ``2)``. ``""`` if it
    has none.
    """
    if noun(unit) == "appendix":
        found = APPENDIX_NUMBER.search(unit.text)
        return (found["after"] or found["before"]) if found else ""
    if not unit.number or noun(unit) == "heading":
        return ""
    return _NOUN.sub("", unit.label).strip(" \u00a0.–‑-\\") or unit.number


def _appendix(unit: Clause) -> str:
    """The number of the appendix, such as ``a1``, with which that of the unit begins; ``""`` if it begins with none."""
    return re.split(r"[.-]", unit.number)[0] if unit.number.startswith("a") else ""


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 80 else f"{line[:80].rpartition(' ')[0] or line[:80]}…"
