"""Editions as Word files: an edition, its changes as tracked changes, and the comparative table.

The words of the app are in the active language. A text is in the language of the :class:`DisplayedEdition`, except in
the file with both. A file about a draft states that it is a draft, and has neither the digest of the draft nor an
address.
"""

from __future__ import annotations

from django.utils.translation import gettext as _

from agreement.editions.changes import Comparison, ComparisonRow
from agreement.editions.display import DisplayedEdition
from agreement.models.succession import State
from agreement.text import clauses, languages
from agreement.word import writer
from agreement.word.container import Sheet

#: The shares of the columns of the comparative table in the width of the page.
_WIDTHS = (5, 19, 38, 38)


def edition_file(displayed: DisplayedEdition, address: str) -> bytes:
    """The Word file with the edition in ``displayed.language``. ``address`` is the permanent URL of the edition."""
    return writer.edition_file(_sheet(displayed, address), displayed.edition.text(displayed.language).body)


def bilingual_file(displayed: DisplayedEdition, address: str) -> bytes:
    """The Word file with the edition in Kazakh and Russian beside each other. ``address`` is the URL of the page
    that displays the edition in this way.
    """
    bodies = {code: displayed.edition.text(code).body for code in languages.LANGUAGES}
    return writer.bilingual_file(_sheet(displayed, address), bodies)


def changes_file(compared: Comparison, address: str) -> bytes:
    """The Word file with the changes from the old edition to the new one as tracked changes. Their author is the title
    of the new edition. Their date is the moment of its publication or, if it is not published, the moment at which it
    is displayed. ``address`` is the URL of the page with these changes.
    """
    old, new = compared.sides
    return writer.changes_file(
        _comparison_sheet(compared, address),
        compared.redline,
        clauses.parse(old.edition.text(new.language).body),
        new.document,
        author=new.title,
        at=new.edition.published_at or new.at,
    )


def table_file(compared: Comparison, address: str) -> bytes:
    """The Word file with the comparative table of both editions: the one that the page with these changes displays.
    ``address`` is the URL of that page.
    """
    head = writer.Row(
        (
            writer.plain_lines("№", bold=True),
            writer.plain_lines(_("Structural element"), bold=True),
            *(
                writer.plain_lines(_name(side), wording, bold=True)
                for side, wording in zip(compared.sides, compared.wordings, strict=True)
            ),
        )
    )
    sheet = _comparison_sheet(compared, address, landscape=True)
    return writer.table_file(sheet, _("Comparative table"), head, map(_row, compared.rows), _WIDTHS)


def lines_around(displayed: DisplayedEdition, address: str) -> tuple[str, ...]:
    """The lines that the Word files of an edition print around its text: above it, and at the top and the foot of each
    page. ``address`` is the URL that they print.
    """
    sheet = _sheet(displayed, address)
    return (sheet.title, sheet.approval, *sheet.first, sheet.running, *sheet.foot)


def _row(row: ComparisonRow) -> writer.Row:
    change, unit = row.source.change, row.source.unit
    if row.source.kind == "same":
        return writer.Row((writer.plain_lines(row.unchanged_sentence),))
    if row.source.kind == "heading":
        return writer.Row((writer.plain_lines(f"{unit.label} {unit.text}".strip(), bold=True),))
    old = writer.plain_lines(_("Absent.")) if change.inserted else writer.run_lines(row.old_runs)
    new_runs = [run for run in row.runs if run.kind != "delete"]
    new = writer.plain_lines(_("Deleted.")) if change.deleted else writer.run_lines(new_runs)
    element = [*writer.plain_lines(row.name, bold=True), *writer.plain_lines(*row.facts)]
    return writer.Row((writer.plain_lines(str(row.source.place)), element, old, new))


def _sheet(displayed: DisplayedEdition, address: str) -> Sheet:
    edition = displayed.edition
    return Sheet(
        title=displayed.title,
        language=displayed.language,
        approval=displayed.approval_outside,
        first=tuple(filter(None, [_state(displayed), displayed.prevails])),
        running=f"{displayed.title} · {_name(displayed)}",
        foot=_foot(address, displayed),
        written=edition.published_at,
    )


def _comparison_sheet(compared: Comparison, address: str, *, landscape: bool = False) -> Sheet:
    old, new = compared.sides
    if new.state == State.DRAFT:
        heading = _("What the draft changes in edition %(old)s") % {"old": old.edition.number}
    else:
        numbers = {"old": old.edition.number, "new": new.edition.number}
        heading = _("What changed from edition %(old)s to edition %(new)s") % numbers
    return Sheet(
        title=f"{new.title}. {heading}",
        language=new.language,
        first=(
            f"{new.title}. {heading}",
            compared.summary,
            *map(_state, compared.sides),
        ),
        running=f"{new.title}. {heading}",
        foot=_foot(address, *compared.sides),
        written=new.edition.published_at,
        landscape=landscape,
    )


def _state(displayed: DisplayedEdition) -> str:
    if displayed.state == State.DRAFT:
        return _("This is a draft. It is not published and binds nobody.")
    return f"{_name(displayed)} · {displayed.state.label}. {displayed.validity}"


def _name(displayed: DisplayedEdition) -> str:
    if displayed.state == State.DRAFT:
        return _("Draft")
    return _("Edition %(number)s") % {"number": displayed.edition.number}


def _foot(address: str, *sides: DisplayedEdition) -> tuple[str, ...]:
    sealed = [side for side in sides if side.state != State.DRAFT]
    if len(sealed) < len(sides):
        address = ""
    return (
        *([f"{_('Permanent address')}: {address}"] if address else []),
        *(f"{_name(side)}, SHA-256 {side.edition.digest}" for side in sealed),
    )
