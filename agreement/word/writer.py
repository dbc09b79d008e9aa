"""Writes Word files (.docx): an edition, both of its languages, its changes as tracked changes, a comparative table.

No library is needed. The numbers of the text are words. What a :class:`agreement.word.container.Sheet` states is in the
headers, footers, properties and page size of the file. Characters that XML forbids become U+FFFD.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from agreement.text import clauses, parallel
from agreement.text.redline.changes import Redline
from agreement.text.redline.words import Run
from agreement.word import markup, original
from agreement.word.blocks import Format, Layout, Line, Span, html_lines, unit_lines
from agreement.word.container import Sheet, assemble
from agreement.word.markup import EMPTY_CELL, Writer
from agreement.word.tracked import tracked

#: The content type of a Word file.
CONTENT_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


def edition_file(sheet: Sheet, body: str) -> bytes:
    """The Word file with the text of an edition in one language. As long as nobody changes its words,
    ``read_manuscript`` reads the normalised body from it, character for character.
    """
    document = clauses.parse(body)
    writer = Writer(numbers=document.numbers)
    text = "".join(
        writer.lines(unit_lines(unit, html), unit.number)
        for unit, html in zip(document.units, document.parts, strict=True)
    )
    return assemble(sheet, text or markup.GAP, relations=writer.relations, markdown=original.part(body))


def bilingual_file(sheet: Sheet, bodies: dict[str, str]) -> bytes:
    """The Word file with the two texts of an edition beside each other, clause by clause. ``bodies`` are the bodies by
    language, the left one first.
    """
    columns = markup.equal_columns(2, markup.WIDTH)
    relations: dict[str, str] = {}
    # A cell has a margin of 108 twips on each side.
    writers = [Writer(language=code, width=columns[0] - 216, relations=relations) for code in bodies]
    documents = [clauses.parse(body) for body in bodies.values()]
    titles = [_title(document) for document in documents]
    pairs = [(html_lines(pair.left), html_lines(pair.right)) for pair in parallel.pairs(*documents)]
    rows = (
        markup.row(
            [writer.lines(lines) or EMPTY_CELL for writer, lines in zip(writers, pair, strict=True)],
            columns,
            heads=heads,
        )
        for heads, pair in [(True, titles), *((False, pair) for pair in pairs)]
    )
    return assemble(sheet, markup.table(rows, columns), relations=relations)


def changes_file(
    sheet: Sheet,
    redline: Redline,
    old: clauses.Document,
    new: clauses.Document,
    *,
    author: str,
    at: datetime,
) -> bytes:
    """The Word file with the changes from ``old`` to ``new`` as tracked changes
    (:func:`agreement.word.tracked.tracked`). ``redline`` is their comparison, ``author`` is the name that Word displays
    for the changes, and ``at`` is their instant.
    """
    return assemble(sheet, tracked(redline, old, new, author=author, at=at))


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a comparative table. Each cell is a sequence of lines. If the row has only one cell, this cell fills the
    width of the table.
    """

    cells: tuple[Sequence[Line], ...]


def table_file(sheet: Sheet, title: str, head: Row, rows: Iterable[Row], widths: Sequence[int]) -> bytes:
    """The Word file with a comparative table under a title. ``head`` is the first row; if it has several cells, it is
    repeated on each page. ``widths`` are the shares of the columns in the width of the page between its margins.
    """
    total = markup.LANDSCAPE_WIDTH if sheet.landscape else markup.WIDTH
    columns = [total * width // sum(widths) for width in widths]
    body = Writer().lines([Line((Span(title),), Layout("Title"))])
    written = (_row(row, columns, heads=row is head) for row in [head, *rows])
    return assemble(sheet, body + markup.table(written, columns))


def run_lines(runs: Iterable[Run]) -> list[Line]:
    """The lines of a cell with these runs: deleted words are struck out, and inserted ones underlined."""
    lines: list[list[Span]] = [[]]
    for run in runs:
        form = Format(deleted=run.kind == "delete", inserted=run.kind == "insert")
        for place, words in enumerate(run.text.split("\n")):
            if place:
                lines.append([])
            if words:
                lines[-1].append(Span(words, form))
    return [Line(tuple(spans), Layout("Cell")) for spans in lines]


def plain_lines(*words: str, bold: bool = False) -> list[Line]:
    """A line of a cell for each of these texts that is not empty."""
    return [Line((Span(one, Format(bold=bold)),), Layout("Cell")) for one in words if one]


def _row(row: Row, columns: Sequence[int], *, heads: bool) -> str:
    writer = Writer()
    contents = [writer.lines(cell) or EMPTY_CELL for cell in row.cells]
    if len(contents) == 1:
        return f"<w:tr>{markup.cell(contents[0], sum(columns), len(columns))}</w:tr>"
    return markup.row(contents, columns, heads=heads)


def _title(document: clauses.Document) -> list[Line]:
    return [line for unit in document.units if unit.kind == "title" for line in unit_lines(unit, "")]
