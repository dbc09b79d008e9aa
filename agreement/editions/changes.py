"""The changes between two editions as pages display them: rows of a comparative table, and marks beside clauses.

A *unit* is a part of the text with a place of its own: a title, section, clause, sub-clause, item, note, heading or
paragraph. A *run* is a piece of the words of a unit that is in both editions, only in the old one (deleted), or only in
the new one (inserted).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from agreement.conf import active_language
from agreement.editions import redlines
from agreement.editions.display import DisplayedEdition
from agreement.models.succession import State
from agreement.text import clauses
from agreement.text.redline import sentences, table
from agreement.text.redline.changes import ONLY_ONE, Change, Redline
from agreement.text.redline.words import Run

#: The link around the number of a unit, as ``agreement.text.clauses`` writes it.
_NUMBER_LINK = re.compile(r'<a( class="(?:number|name)") href="[^"]*"[^>]*>(.*?)</a>')


@dataclass(frozen=True)
class Comparison:
    """Two editions compared in the language in which the new one is displayed. Both must have a digest: an edition is
    sealed, or it is a draft that is previewed as if it were published.
    """

    old: DisplayedEdition
    new: DisplayedEdition

    @cached_property
    def redline(self) -> Redline:
        """The redline of the texts in ``new.language``. It makes no query if the process remembers it; otherwise it
        makes 1 query for each text that was not read with its edition. Raises ``ValueError`` if an edition has no
        digest.
        """
        return redlines.sealed_redline(self.old.edition, self.new.edition, self.new.language)

    @property
    def sides(self) -> tuple[DisplayedEdition, DisplayedEdition]:
        """The old edition and the new one."""
        return self.old, self.new

    @property
    def summary(self) -> str:
        """The changes in words, in the language of the page, such as "Changed: 4 clauses."; "Nothing changed."
        if there are none. If only the text in the other language changed, two sentences state that, and what changed in
        it. The words are in English if the page is not in Kazakh, Russian or English.
        """
        old, new = self.old.edition, self.new.edition
        return redlines.sealed_summary(old, new, self.new.language, language=message_language())

    @property
    def html(self) -> SafeString:
        """The HTML of the units that changed in any way, one below the other; also of those that were only moved,
        renumbered or reformatted. Each is one text in which the deleted and the inserted words are marked. ``""`` if
        nothing changed.
        """
        return redline_html(self.redline, self.new.language)

    @property
    def wordings(self) -> tuple[str, str]:
        """The headings of the two columns of the official comparative table: "former wording" ("wording in force" if
        the old edition is in force) and "new wording". If these would not be true, because the new edition is older or
        was cancelled, or because the old one was cancelled or has not taken effect yet, they are the states of the two
        editions, such as "in force".
        """
        old, new = self.sides
        backwards = new.state != State.DRAFT and (new.edition.number or 0) < (old.edition.number or 0)
        if backwards or new.state == State.CANCELLED or old.state not in {State.IN_FORCE, State.SUPERSEDED}:
            return str(old.state.label), str(new.state.label)
        return _("wording in force") if old.state == State.IN_FORCE else _("former wording"), _("new wording")

    @cached_property
    def rows(self) -> list[ComparisonRow]:
        """The rows of the comparative table, in the order of ``redline``. Every unit, changed or not, is in one row;
        but a row that contains nothing but an unchanged title is left out if there are other rows, because the page has
        a heading of its own.
        """
        rows = comparison_rows(self.redline)
        return [row for row in rows if len(rows) == 1 or not row.is_unchanged_title]

    @cached_property
    def changed_rows(self) -> list[ComparisonRow]:
        """The rows with a change."""
        return [row for row in self.rows if row.source.kind == "change"]

    @property
    def has_unchanged_rows(self) -> bool:
        """Does the table have rows of the kind ``same``, which contain unchanged units? An unchanged section or
        heading that is a row of the kind ``heading`` does not count.
        """
        return any(row.source.kind == "same" for row in self.rows)


@dataclass(frozen=True)
class ComparisonRow:
    """A row of the comparative table, with an id and with words for the page. It is about one changed unit (the kind
    ``change``), one unchanged section or heading with a change below it, before the next section or heading
    (``heading``), or one or more other unchanged units (``same``).
    """

    source: table.Row
    anchor: str
    """An id that no other row of the table has: the number of its unit, or ``was-`` and the number if the unit was
    deleted. ``""`` if the unit has no number, an earlier row has the same id, or the row is of the kind ``same``. The
    page uses only the ids of changes.
    """

    @classmethod
    def from_row(cls, row: table.Row, taken: set[str]) -> ComparisonRow:
        """The row with its id. ``taken`` contains the ids of earlier rows; the id of this row is added to it. The row
        gets no id if that is taken already, if its unit has no number, or if it is of the kind ``same``.
        """
        number = row.unit.number if row.kind != "same" else ""
        anchor = f"was-{number}" if number and row.change.deleted else number
        anchor = "" if anchor in taken else anchor
        taken.add(anchor)
        return cls(row, anchor)

    @property
    def name(self) -> str:
        """The name of the unit at the beginning of a sentence: "Clause 2.3". For several unchanged units, it is the
        name of the first.
        """
        return capfirst(unit_name(self.source.unit))

    @property
    def place_id(self) -> str:
        """The id of the place of a change in the page: "change-3" for the third. Every change has one; any other row
        has "change-0", which the page does not use.
        """
        return f"change-{self.source.place}"

    @property
    def short_name(self) -> str:
        """The number of a section, clause or sub-clause, if it consists of digits and dots, such as "2.3". For any
        other unit, it is ``name``.
        """
        unit = self.source.unit
        is_numbered = re.fullmatch(r"\d+(\.\d+)*", unit.number) and unit.kind in {"section", "clause", "subclause"}
        return unit.number if is_numbered else self.name

    @property
    def kind(self) -> Literal["added", "deleted", "changed", "moved"]:
        """How the unit of a row of the kind ``change`` changed. ``moved``: only its number, its place or its
        formatting. The value of any other row has no meaning.
        """
        change = self.source.change
        if change.inserted or change.deleted:
            return "added" if change.inserted else "deleted"
        return "changed" if change.text_changed else "moved"

    @property
    def is_unchanged_title(self) -> bool:
        """Does the row contain nothing but an unchanged title and what is above it?"""
        return self.source.kind == "same" and all(change.unit.kind in ONLY_ONE for change in self.source.changes)

    @property
    def facts(self) -> list[str]:
        """The facts about the change of the unit in words, such as "reworded" and "formerly 4.1"; empty if it is
        unchanged.
        """
        return [_fact_in_words(self.source.change, fact) for fact in sentences.facts(self.source.change)]

    @property
    def runs(self) -> list[Run]:
        """The runs of the printed number and of the words of the unit (of several units, the first) in both editions,
        in the order of the text: equal and deleted ones give the old unit, equal and inserted ones the new unit. No run
        is empty.
        """
        change = self.source.change
        old, new = (f"{unit.label} " if unit and unit.label else "" for unit in (change.old, change.new))
        number = [Run("equal", new)] if old == new else [Run("delete", old), Run("insert", new)]
        return [run for run in (*number, *change.words) if run.text]

    @property
    def old_runs(self) -> list[Run]:
        """The runs that give the number and the words of the old edition: ``runs`` without the inserted ones. Empty if
        the unit was added.
        """
        return [run for run in self.runs if run.kind != "insert"]

    @property
    def unchanged_sentence(self) -> str:
        """The sentence of a row of unchanged units (the kind ``same``), such as "Clauses 1.1–1.4: unchanged" or, if
        only one number names them, "Clause 1.1: unchanged". If none of the units has a number, it is "Text without a
        number: unchanged" or, for a single unit, the name of its kind with ": unchanged". A row of the kind ``change``
        must not display it, because it would be wrong.
        """
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
    """A unit of the text as the page of an edition displays it, or a unit that was deleted from it, and its change, if
    any, for a mark in the margin.
    """

    html: str
    """The HTML of the unit; ``""`` for a deleted unit, and for a unit without HTML, such as the title."""
    number: str = ""
    """The number of a clause, which the page links to its counterpart in the other language; ``""`` for units of other
    kinds and for a deleted clause."""
    change: Change | None = None
    """``None`` if the unit is unchanged or changes are not marked."""
    name: str = ""
    """The name of a clause at the beginning of a sentence: "Clause 2.3"; ``""`` for units of other kinds and for a
    deleted clause."""
    citations: tuple[tuple[str, str], ...] = ()
    """Pairs of a language and the citation of the clause in it, ready to paste; empty for units of other kinds and for
    a deleted clause. If there is one, the number in ``html`` is not a link, because the page opens the card of the
    clause there."""

    @property
    def mark(self) -> str:
        """The text of the mark. It states one fact, the first of these that is true: the unit was deleted ("deleted:
        clause 2.3"), it was added ("added"), its words changed ("changed"), its number changed (such as "formerly
        4.1"), it was moved ("moved"). ``""`` if none is true: the unit is unchanged, only its formatting changed, or
        changes are not marked.
        """
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
        """Can the reader open the mark to see a redline? Yes if the words of the unit changed or it was deleted."""
        return self.change is not None and (self.change.deleted or self.change.text_changed)

    @property
    def other_facts(self) -> str:
        """If the words of the unit changed, the facts about its change other than "reworded", such as "formerly 4.1;
        moved". ``""`` if there are none, and if the words did not change.
        """
        if self.change is None or not self.change.text_changed:
            return ""
        others = [fact for fact in sentences.facts(self.change) if fact not in {"reworded", "reformatted"}]
        return "; ".join(_fact_in_words(self.change, fact) for fact in others)

    @property
    def anchor(self) -> str:
        """The id of this change in the page that displays the changes, unless an earlier row there has the same: the
        number of the unit, or ``was-`` and the number if the unit was deleted. ``""`` for an unchanged unit or one
        without a number.
        """
        if self.change is None:
            return ""
        number = self.change.unit.number
        return f"was-{number}" if number and self.change.deleted else number


def comparison_rows(redline: Redline) -> list[ComparisonRow]:
    """The rows of the comparative table of a redline, in its order, with their ids. Every unit is in one row."""
    taken: set[str] = set()
    return [ComparisonRow.from_row(row, taken) for row in table.rows(redline)]


def redline_html(redline: Redline, language: str, *, whole: bool = False) -> SafeString:
    """The redline as HTML, one unit below the other. ``language`` is that of the texts. The names of the units and the
    facts about them are in the active language.

    Unchanged units are left out unless ``whole`` is true. ``""`` if there is nothing to display.
    """
    context = {"rows": comparison_rows(redline), "language": language, "whole": whole}
    return SafeString(render_to_string("agreement/partials/redline.html", context).strip())


@dataclass(frozen=True)
class ChangedClause:
    """A unit that changed, for a list of links. It is a section, clause or sub-clause with a number such as ``2``,
    ``2.2`` or ``2.2.1``, or an appendix, also if only a part of it such as 1) changed; or such a part that was deleted
    from it.
    """

    label: str
    """The number: ``2.2``; in an appendix ``2.2 (appendix 1)``; of an appendix ``appendix 1``. For a deleted part it is
    that number and the label of the part: ``2.2 1)``. The word for the appendix is in the active language."""
    word: str
    """What happened to it, in the active language: "new", "changed" or "deleted"."""
    anchor: str
    """Its id in the page of the edition; if it was deleted, in the page of the changes."""
    deleted: bool


def changed_clauses(units: Iterable[MarkedUnit]) -> list[ChangedClause]:
    """The sections, clauses, sub-clauses with a number such as ``2.2.1``, and appendices whose words changed, that are
    new or that were deleted, in the order of ``units``. A clause of which a part such as 1) changed or is new counts as
    changed, unless it is new itself. Such a part that was deleted has an entry of its own, unless its whole clause was
    deleted. A unit that was only renumbered, moved or reformatted is left out, and so is one without a number and a
    part that is in no clause.
    """
    found: dict[tuple[str, bool], ChangedClause] = {}
    for unit in units:
        change = unit.change
        if change is None or not (change.deleted or change.inserted or change.text_changed):
            continue
        number, _dash, item = change.unit.number.partition("-")
        label, appendix = _within_appendix(number)
        if not label or label == "0" or ((number, True) in found and change.deleted):
            continue
        if label.startswith("a"):  # The number of an appendix in an address. Readers know its name.
            label = sentences.PHRASES[message_language()]["appendix"].format(number=label.removeprefix("a"))
        if change.deleted:
            label = f"{label} {change.unit.label}" if item else label
            new = ChangedClause(f"{label}{appendix}", pgettext("clause", "deleted"), unit.anchor, deleted=True)
        else:
            word = pgettext("clause", "new") if change.inserted and not item else pgettext("clause", "changed")
            new = ChangedClause(f"{label}{appendix}", word, number, deleted=False)
        found.setdefault((change.unit.number if change.deleted else number, change.deleted), new)
    return list(found.values())


def marked_units(
    document: clauses.Document, redline: Redline | None, citations: Mapping[str, Mapping[str, str]] | None = None
) -> Iterator[MarkedUnit]:
    """Yield the units of the document in order, each with its change; the change is ``None`` for an unchanged unit. The
    deleted units are yielded among them, at their places in the redline and without HTML.

    ``redline`` is a comparison of an earlier text with this document. If it is ``None``, no unit is marked and no
    deleted unit is yielded. ``citations`` are the citations of the clauses, ready to paste, by language and number
    (``None``: there are none).
    """
    cited = citations or {}
    parts = iter(zip(document.units, document.parts, strict=True))
    if redline is None:
        for unit, part in parts:
            yield _marked(unit, part, None, cited)
        return
    for change in redline.changes:
        if change.new is None:
            yield MarkedUnit("", change=change)
            continue
        unit, part = next(parts)
        yield _marked(unit, part, None if change.unchanged else change, cited)


def _marked(
    unit: clauses.Clause, html: str, change: Change | None, citations: Mapping[str, Mapping[str, str]]
) -> MarkedUnit:
    if unit.kind != "clause":
        return MarkedUnit(html, change=change)
    found = tuple((code, texts[unit.number]) for code, texts in citations.items() if unit.number in texts)
    html = _NUMBER_LINK.sub(r"<span\1>\2</span>", html, count=1) if found else html
    return MarkedUnit(html, unit.number, change, capfirst(unit_name(unit)), found)


def unit_name(unit: clauses.Clause) -> str:
    """The name of a unit in a sentence, in the active language: "clause 2.3", «подпункт 2) пункта 1.1». A section or
    clause whose label has a word is named by the label («Глава 2»). A title, what is above it, a text, a note or a
    heading is named by its kind alone, and an appendix by its kind and number («приложение 1»). The appendix that
    contains the unit follows in brackets: «пункт 1.1 (приложение 1)».
    """
    whole, _dash, item = unit.number.partition("-")
    whole, appendix = _within_appendix(whole)
    return _name_without_appendix(unit, whole, item) + appendix


def _within_appendix(number: str) -> tuple[str, str]:
    """The number of a unit without the marks that distinguish it from others in an address, such as ``1.1`` for
    ``a2.1.1`` and ``2`` for ``ch2``; and the appendix that contains the unit, in brackets and in the active language,
    such as « (приложение 2)», or ``""``. For an appendix itself, such as ``a2``, they are ``a2`` and ``""``.
    """
    appendix, dot, within = number.partition(".")
    if not dot or not appendix.startswith("a"):
        # The address of ``2.`` around clauses that are numbered on is ``ch2``.
        return number.removeprefix("ch"), ""
    name = sentences.PHRASES[message_language()]["appendix"].format(number=appendix.removeprefix("a"))
    return within.removeprefix("ch"), f" ({name})"


def _name_without_appendix(unit: clauses.Clause, whole: str, item: str) -> str:
    """The name of a unit as in :func:`unit_name`, without the appendix that contains it. ``whole`` is the number of the
    clause that the unit is or that contains it, without an appendix, and ``item`` the rest of the unit's number.
    """
    if unit.kind in {"section", "clause"} and (name := clauses.named_label(unit)):
        return name
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
        label = f"{above}) {unit.label}" if unit.kind == "item" and above.isdigit() else unit.label
        label = f"{label[:-1]})" if label.endswith(".") else label  # The item «2.» of a list is called «2)».
        if whole in {"", "0"}:
            return _("item %(label)s") % {"label": label}
        pattern = (
            _("item %(label)s of clause %(number)s") if "." in whole else _("item %(label)s of section %(number)s")
        )
        return pattern % {"label": label, "number": whole}
    phrases = sentences.PHRASES[message_language()]
    if unit.kind == "heading" and unit.number:
        return phrases["appendix"].format(number=unit.number.removeprefix("a"))
    return phrases[unit.kind]


def message_language() -> str:
    """The language of messages that exist in Kazakh, Russian and English: the active language without its region if
    that is ``kk``, ``ru`` or ``en``, else ``en``.
    """
    return active_language() if active_language() in sentences.PHRASES else "en"


def _fact_in_words(change: Change, fact: str) -> str:
    return sentences.describe(change, fact, message_language()).rstrip(".")
