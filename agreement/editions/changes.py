"""The changes between two editions as pages display them: rows of a comparative table, and marks beside clauses.

A *unit* is a part of the text with a place of its own: a title, section, clause, sub-clause, item, note, heading or
paragraph. A *run* is a piece of text that is in both editions, only in the old one (deleted), or only in the new one
(inserted).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from agreement.conf import active_language
from agreement.editions import redlines
from agreement.editions.display import DisplayedEdition
from agreement.text import clauses
from agreement.text.redline import sentences, table
from agreement.text.redline.changes import Change, Redline
from agreement.text.redline.words import Run


@dataclass(frozen=True)
class Comparison:
    """Two sealed editions compared in the language in which the new one is displayed."""

    old: DisplayedEdition
    new: DisplayedEdition

    @cached_property
    def redline(self) -> Redline:
        """The redline of the texts in ``new.language``. No query if the process remembers it; otherwise 1 query for
        each text that was not read with its edition.
        """
        return redlines.sealed_redline(self.old.edition, self.new.edition, self.new.language)

    @property
    def sides(self) -> tuple[DisplayedEdition, DisplayedEdition]:
        """The old edition and the new one."""
        return self.old, self.new

    @property
    def summary(self) -> str:
        """The changes in one sentence in the language of the page, such as "4 clauses changed, 2 added"."""
        return sentences.summary(self.redline, message_language())

    @property
    def html(self) -> SafeString:
        """The units that were changed, added or removed, one below the other. In the HTML, the old and the new words
        are marked in one text.
        """
        return redline_html(self.redline, self.new.language)

    @cached_property
    def rows(self) -> list[ComparisonRow]:
        """The rows of the comparative table."""
        return comparison_rows(self.redline)

    @property
    def has_unchanged_rows(self) -> bool:
        """Does the table have rows of unchanged units? They are collapsed until the reader opens them."""
        return any(row.source.kind == "same" for row in self.rows)


@dataclass(frozen=True)
class ComparisonRow:
    """A row of the comparative table."""

    source: table.Row
    anchor: str
    """The id of the row in the page: the number of its unit, or ``was-`` and the number if the unit was deleted.
    ``""`` for a row without an id: the unit has no number, an earlier row has the same id, or the row is of
    the kind ``same``.
    """

    @classmethod
    def from_row(cls, row: table.Row, taken: set[str]) -> ComparisonRow:
        """The row with its id. ``taken`` contains the ids of earlier rows; the id of this row is added to it. If the id
        is taken already, the row gets none.
        """
        number = row.unit.number if row.kind != "same" else ""
        anchor = f"was-{number}" if number and row.change.deleted else number
        anchor = "" if anchor in taken else anchor
        taken.add(anchor)
        return cls(row, anchor)

    @property
    def name(self) -> str:
        """The name of the unit at the beginning of a sentence: "Clause 2.3"."""
        return capfirst(unit_name(self.source.unit))

    @property
    def facts(self) -> list[str]:
        """The facts about the unit in words, such as "reworded" and "formerly 4.1"."""
        return [_fact_in_words(self.source.change, fact) for fact in sentences.facts(self.source.change)]

    @property
    def runs(self) -> list[Run]:
        """The runs of the number and the words of both editions, in the order of the text."""
        change = self.source.change
        old, new = (f"{unit.label} " if unit and unit.label else "" for unit in (change.old, change.new))
        number = [Run("equal", new)] if old == new else [Run("delete", old), Run("insert", new)]
        return [run for run in (*number, *change.words) if run.text]

    @property
    def old_runs(self) -> list[Run]:
        """The runs that give the number and the words of the old edition."""
        return [run for run in self.runs if run.kind != "insert"]

    @property
    def unchanged_sentence(self) -> str:
        """The sentence of a row of unchanged units, which names them: "Clauses 1.1–1.4: unchanged"."""
        first, last = self.source.first, self.source.last
        if last:
            return _("Clauses %(first)s–%(last)s: unchanged") % {"first": first, "last": last}
        if first:
            unit = next(change.unit for change in self.source.changes if change.unit.number == first)
            return _("%(element)s: unchanged") % {"element": capfirst(unit_name(unit))}
        if len(self.source.changes) > 1:
            return _("Text without a number: unchanged")
        return _("%(element)s: unchanged") % {"element": self.name}


@dataclass(frozen=True)
class MarkedUnit:
    """A unit of the text as the page of an edition displays it, with a mark of its change in the margin."""

    html: str
    """The HTML of the unit; ``""`` for a deleted unit."""
    number: str = ""
    """The number of a clause, which the page links to its counterpart in the other language; ``""`` for other units."""
    change: Change | None = None
    """``None`` if the unit is unchanged or changes are not marked."""

    @property
    def mark(self) -> str:
        """The text of the mark, such as "changed" or "formerly 4.1"; ``""`` for no mark."""
        change = self.change
        if change is None:
            return ""
        if change.deleted:
            return _("deleted: %(element)s") % {"element": unit_name(change.unit)}
        if change.inserted:
            return pgettext("mark", "added")
        if change.text_changed:
            return pgettext("mark", "changed")
        if change.renumbered:
            return _fact_in_words(change, "renumbered")
        return _fact_in_words(change, "moved") if change.moved else ""

    @property
    def has_details(self) -> bool:
        """Can the reader open the mark to see a redline? Yes if the words of the unit changed or it was deleted. No if
        it was added, or only moved or renumbered.
        """
        return self.change is not None and (self.change.deleted or self.change.text_changed)

    @property
    def other_facts(self) -> str:
        """If the words of the unit changed, the other facts about it, such as "formerly 4.1"; else ``""``."""
        if self.change is None or not self.change.text_changed:
            return ""
        others = [fact for fact in sentences.facts(self.change) if fact not in {"reworded", "reformatted"}]
        return "; ".join(_fact_in_words(self.change, fact) for fact in others)

    @property
    def anchor(self) -> str:
        """The id of this change in the page that displays the changes: the number of the unit, or ``was-`` and the
        number if the unit was deleted. ``""`` for an unchanged unit or one without a number.
        """
        if self.change is None:
            return ""
        number = self.change.unit.number
        return f"was-{number}" if number and self.change.deleted else number


def comparison_rows(redline: Redline) -> list[ComparisonRow]:
    """The rows of the comparative table of a redline."""
    taken: set[str] = set()
    return [ComparisonRow.from_row(row, taken) for row in table.rows(redline)]


def redline_html(redline: Redline, language: str, *, whole: bool = False) -> SafeString:
    """The redline as HTML, one unit below the other. ``language`` is that of the texts.

    Unchanged units are left out unless ``whole`` is true. ``""`` if there is nothing to display.
    """
    context = {"rows": comparison_rows(redline), "language": language, "whole": whole}
    return SafeString(render_to_string("agreement/partials/redline.html", context).strip())


def marked_units(document: clauses.Document, redline: Redline | None) -> Iterator[MarkedUnit]:
    """Yield the units of the document in order, each with its change. A deleted unit is at its old place.

    ``redline`` is a comparison of an earlier text with this document. If it is ``None``, no unit is marked.
    """
    parts = iter(zip(document.units, document.parts, strict=True))
    if redline is None:
        for unit, part in parts:
            yield MarkedUnit(part, _clause_number(unit))
        return
    for change in redline.changes:
        if change.new is None:
            yield MarkedUnit("", change=change)
            continue
        unit, part = next(parts)
        yield MarkedUnit(part, _clause_number(unit), None if change.unchanged else change)


def unit_name(unit: clauses.Clause) -> str:
    """The name of a unit in a sentence, in the active language: "clause 2.3", «подпункт 2) пункта 1.1»."""
    whole, _dash, item = unit.number.partition("-")
    if unit.kind in {"section", "clause", "subclause"} and whole and not item:
        pattern = {
            "section": _("section %(number)s"),
            "clause": _("clause %(number)s"),
            "subclause": _("sub-clause %(number)s"),
        }[unit.kind]
        return pattern % {"number": whole}
    if unit.kind in {"subclause", "item"}:
        # An item in a sub-clause is named with its sub-clause: «2) б)».
        above = unit.parent.partition("-")[2]
        label = f"{above}) {unit.label}" if unit.kind == "item" and above else unit.label
        if whole in {"", "0"}:
            return _("item %(label)s") % {"label": label}
        pattern = (
            _("item %(label)s of clause %(number)s") if "." in whole else _("item %(label)s of section %(number)s")
        )
        return pattern % {"label": label, "number": whole}
    return sentences.PHRASES[message_language()][unit.kind]


def _clause_number(unit: clauses.Clause) -> str:
    return unit.number if unit.kind == "clause" else ""


def message_language() -> str:
    """The language of messages about redlines: the active language if it is ``kk``, ``ru`` or ``en``, else ``en``."""
    return active_language() if active_language() in sentences.PHRASES else "en"


def _fact_in_words(change: Change, fact: str) -> str:
    return sentences.describe(change, fact, message_language()).rstrip(".")
