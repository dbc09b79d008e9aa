"""What two editions differ in, in the words of a page: rows of a comparative table, and marks beside clauses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from agreement import comparison
from agreement.shown import Shown, frame
from agreement.text import clauses, rendering, table
from agreement.text.redline import Change, Redline
from agreement.text.words import Run


@dataclass(frozen=True)
class Compared:
    """Two sealed editions, in the language the new one is shown in."""

    old: Shown
    new: Shown

    @cached_property
    def redline(self) -> Redline:
        return comparison.redline(self.old.edition, self.new.edition, self.new.language)

    @property
    def sides(self) -> tuple[Shown, Shown]:
        return self.old, self.new

    @property
    def summary(self) -> str:
        """One sentence: "4 clauses changed, 2 added, 1 deleted, 5 renumbered"."""
        return rendering.summary(self.redline, _words())

    @property
    def html(self) -> SafeString:
        """What changed, one unit below the other."""
        return html(self.redline, self.new.language)

    @cached_property
    def lines(self) -> list[Line]:
        """The rows of the comparative table."""
        return lines(self.redline)

    @property
    def hides(self) -> bool:
        """Does the table leave anything out until it is asked for?"""
        return any(line.row.kind == "same" for line in self.lines)


@dataclass(frozen=True)
class Line:
    """A row of the table."""

    row: table.Row
    anchor: str
    """Its id in the page: the number, or ``was-`` and the number for a clause that is gone; ``""`` for none."""

    @classmethod
    def of(cls, row: table.Row, taken: set[str]) -> Line:
        """``taken`` are the ids used before; the new one is added."""
        number = row.unit.number if row.kind != "same" else ""
        anchor = f"was-{number}" if number and row.change.deleted else number
        anchor = "" if anchor in taken else anchor
        taken.add(anchor)
        return cls(row, anchor)

    @property
    def element(self) -> str:
        return capfirst(element(self.row.unit))

    @property
    def said(self) -> list[str]:
        """What is true of the unit, in words: reworded, formerly 4.1."""
        return [_fact(self.row.change, fact) for fact in rendering.facts(self.row.change)]

    @property
    def runs(self) -> list[Run]:
        """The words of both editions, behind the number as it was and is."""
        change = self.row.change
        was, now = (f"{unit.label} " if unit and unit.label else "" for unit in (change.old, change.new))
        number = [Run("equal", now)] if was == now else [Run("delete", was), Run("insert", now)]
        return [run for run in (*number, *change.words) if run.text]

    @property
    def old(self) -> list[Run]:
        return [run for run in self.runs if run.kind != "insert"]

    @property
    def left_out(self) -> str:
        """Which unchanged units the row stands for."""
        first, last = self.row.first, self.row.last
        if last:
            return _("Clauses %(first)s–%(last)s: unchanged") % {"first": first, "last": last}
        if first:
            of = next(table.unit(change) for change in self.row.changes if table.unit(change).number == first)
            return _("%(element)s: unchanged") % {"element": capfirst(element(of))}
        if len(self.row.changes) > 1:
            return _("Text without a number: unchanged")
        return _("%(element)s: unchanged") % {"element": self.element}


@dataclass(frozen=True)
class Beside:
    """A unit of the text as the reading page shows it, and what stands beside it."""

    html: str
    number: str = ""
    """Of a clause, which has a counterpart in the other language; ``""`` for all else."""
    change: Change | None = None

    @property
    def mark(self) -> str:
        """The mark's one or two words; ``""`` where there is nothing to say."""
        change = self.change
        if change is None:
            return ""
        if change.deleted:
            return _("deleted: %(element)s") % {"element": element(table.unit(change))}
        if change.inserted:
            return pgettext("mark", "added")
        if change.text_changed:
            return pgettext("mark", "changed")
        if change.renumbered:
            return _fact(change, "renumbered")
        return _fact(change, "moved") if change.moved else ""

    @property
    def opens(self) -> bool:
        """Is there a change to show in place? What was only added or renumbered is its own text."""
        return self.change is not None and (self.change.deleted or self.change.text_changed)

    @property
    def said(self) -> str:
        """What else is true of a clause whose words changed."""
        if self.change is None or not self.change.text_changed:
            return ""
        others = [fact for fact in rendering.facts(self.change) if fact not in {"reworded", "reformatted"}]
        return "; ".join(_fact(self.change, fact) for fact in others)

    @property
    def anchor(self) -> str:
        """The change's place in the page of changes."""
        if self.change is None:
            return ""
        number = table.unit(self.change).number
        return f"was-{number}" if number and self.change.deleted else number


def lines(redline: Redline) -> list[Line]:
    """The redline as rows of a comparative table."""
    taken: set[str] = set()
    return [Line.of(row, taken) for row in table.rows(redline)]


def html(redline: Redline, language: str, *, whole: bool = False) -> SafeString:
    """The redline of texts in that language, one unit below the other; ``whole`` shows the unchanged ones too.

    Empty where nothing is to be shown.
    """
    context = {"lines": lines(redline), "language": language, "whole": whole}
    return SafeString(render_to_string("agreement/redline.html", context).strip())


def beside(document: clauses.Document, redline: Redline | None) -> Iterator[Beside]:
    """The document's units in their order, each with its change; a clause that is gone stands where it stood.

    ``redline`` leads to this document; without one nothing is marked.
    """
    parts = iter(zip(document.units, document.parts, strict=True))
    if redline is None:
        for unit, part in parts:
            yield Beside(part, _place(unit))
        return
    for change in redline.changes:
        if change.new is None:
            yield Beside("", change=change)
            continue
        unit, part = next(parts)
        yield Beside(part, _place(unit), None if change.unchanged else change)


def element(unit: clauses.Clause) -> str:
    """What a unit is called in a sentence: "clause 2.3", «2.3-тармақ», «подпункт 2) пункта 1.1»."""
    whole, _dash, item = unit.number.partition("-")
    if unit.kind in {"section", "clause", "subclause"} and whole and not item:
        pattern = {
            "section": _("section %(number)s"),
            "clause": _("clause %(number)s"),
            "subclause": _("sub-clause %(number)s"),
        }[unit.kind]
        return pattern % {"number": whole}
    if unit.kind in {"subclause", "item"}:
        # The letter of an item in a sub-clause: «2) б)».
        above = unit.parent.partition("-")[2]
        label = f"{above}) {unit.label}" if unit.kind == "item" and above else unit.label
        if whole in {"", "0"}:
            return _("item %(label)s") % {"label": label}
        pattern = (
            _("item %(label)s of clause %(number)s") if "." in whole else _("item %(label)s of section %(number)s")
        )
        return pattern % {"label": label, "number": whole}
    return rendering.WORDS[_words()][unit.kind]


def _place(unit: clauses.Clause) -> str:
    return unit.number if unit.kind == "clause" else ""


def _words() -> str:
    """The language facts are said in: the page's."""
    return frame() if frame() in rendering.WORDS else "en"


def _fact(change: Change, fact: str) -> str:
    return rendering.said(change, fact, _words()).rstrip(".")
