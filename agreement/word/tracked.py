"""Writes a redline as tracked changes of Word, in the XML of paragraphs and tables. The caller puts it into a file.

If Word accepts all changes, the words are those of the new text; if it rejects all, those of the old one. Besides
words, it tracks paragraph marks, labels, rows of tables, layouts, formats, and units that moved to another place. A
moved unit that contains a table or a rule is deleted at its old place and inserted at its new one. Links are left out,
because Word tracks no change of a link.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from difflib import SequenceMatcher
from itertools import groupby
from typing import Literal
from xml.sax.saxutils import quoteattr

from agreement.text.clauses import Document
from agreement.text.redline.changes import Change, Redline
from agreement.text.redline.words import MAX_MATCHES, Run, compare, longest_increasing
from agreement.word import markup
from agreement.word.blocks import Format, Layout, Line, Span, lines_by_unit

#: Where a unit stands in the file: at its place in both texts, at its old place alone, or at its new place alone.
_Place = Literal["both", "old", "new"]
#: Kinds of runs → the elements of Word that track them.
_ELEMENTS = {"delete": "del", "insert": "ins"}
_Pair = tuple[Line | None, Line | None]


def tracked(redline: Redline, old: Document, new: Document, *, author: str, at: datetime) -> str:
    """The XML of the paragraphs and tables with the changes from ``old`` to ``new``. ``redline`` is their comparison.
    The result is the content of ``w:body`` without its section properties.

    ``author`` is the name that Word displays for the changes, and ``at`` their instant.
    """
    tracker = _Tracker(lines_by_unit(old), lines_by_unit(new), author, at)
    # Word can't remove the mark of the last paragraph, so the last paragraph is one without changes.
    return "".join(tracker.unit(change, place) for change, place in _placed(redline.changes)) + markup.GAP


def _placed(changes: Sequence[Change]) -> Iterator[tuple[Change, _Place]]:
    """Yield the changes with their places, in the order of the file. A unit at the same place in both texts is yielded
    with ``both``, a deleted one with ``old``, and an inserted one with ``new``. A unit that is at another place in the
    new text is yielded twice: with ``old`` and with ``new``. The old place of a moved or deleted unit is after the
    nearest unit before it in the old text that stayed, or at the beginning if none did.
    """
    kept = longest_increasing([change.old.start for change in changes if change.old and change.new])
    edges = iter(sorted(kept))
    leaving = iter(
        sorted(
            (change.old.start, place)
            for place, change in enumerate(changes)
            if change.old and (not change.new or change.old.start not in kept)
        )
    )
    waiting = next(leaving, None)

    def gone() -> Iterator[tuple[Change, _Place]]:
        nonlocal waiting
        edge = next(edges, None)
        while waiting and (edge is None or waiting[0] < edge):
            yield changes[waiting[1]], "old"
            waiting = next(leaving, None)

    yield from gone()
    for change in changes:
        if change.new is None:
            continue
        if change.old is None or change.old.start not in kept:
            yield change, "new"
            continue
        yield change, "both"
        yield from gone()


@dataclass(frozen=True, slots=True)
class _Piece:
    """Words of a paragraph. ``kind`` is ``equal``, ``delete`` or ``insert``, as that of a run. ``was`` is the format
    that equal words had in the old text; it equals ``format`` if no change of the format is tracked.
    """

    kind: str
    text: str
    format: Format
    was: Format


@dataclass(slots=True)
class _Source:
    """The lines of one text of a unit, from which the runs take their words in order. The next words begin in the line
    ``place``, there in the span ``span``, and there at the character ``offset``, all counted from 0.
    """

    lines: Sequence[Line]
    place: int = 0
    span: int = 0
    offset: int = 0

    @property
    def layout(self) -> Layout:
        """The layout of the current line, or of the last line if all were taken; the default layout if there are no
        lines.
        """
        return self.lines[min(self.place, len(self.lines) - 1)].layout if self.lines else Layout()

    def take(self, count: int) -> Iterator[Span]:
        """Yield the next ``count`` characters of the current line as spans; fewer if the line ends before."""
        while count > 0 and self.span < len(self.spans):
            span = self.spans[self.span]
            text = span.text[self.offset : self.offset + count]
            yield replace(span, text=text)
            count -= len(text)
            self.offset += len(text)
            if self.offset == len(span.text):
                self.span, self.offset = self.span + 1, 0

    def end_line(self) -> None:
        """Go to the next line."""
        self.place, self.span, self.offset = self.place + 1, 0, 0

    @property
    def spans(self) -> Sequence[Span]:
        return self.lines[self.place].spans if self.place < len(self.lines) else ()


class _Tracker:
    """Writes units with tracked changes. Each change gets an id, and each move a name. ``old`` and ``new`` are the
    lines of the two texts: start of a unit → its lines. ``author`` and ``at`` are the name and the instant of all
    changes.
    """

    def __init__(self, old: dict[int, list[Line]], new: dict[int, list[Line]], author: str, at: datetime) -> None:
        self.old = {start: _labelled(lines) for start, lines in old.items()}
        self.new = {start: _labelled(lines) for start, lines in new.items()}
        date = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.author = f'w:author={quoteattr(markup.readable(author))} w:date="{date}"'
        self.count = 0
        self.moves: dict[int, str] = {}
        """Start of a unit in the old text → name of its move."""

    def unit(self, change: Change, place: _Place) -> str:
        """The XML of the unit at that place, with its changes."""
        old = self.old[change.old.start] if change.old else []
        new = self.new[change.new.start] if change.new else []
        # A rule has no words. Word can't move a row of a table, so a unit with a table is deleted and inserted.
        is_prose = bool(old and new) and all(line.spans and not line.cells for line in (*old, *new))
        if place == "both":
            return self._paragraphs(_runs(change, old, new), old, new) if is_prose else self._pairs(_paired(old, new))
        if change.old and change.new and is_prose:
            return self._moved(change, old, new, place)
        return self._pairs([(line, None) for line in old] if place == "old" else [(None, line) for line in new])

    def _moved(self, change: Change, old: Sequence[Line], new: Sequence[Line], place: _Place) -> str:
        assert change.old  # noqa: S101 - only a unit of both texts is moved
        element, absent = ("moveFrom", "insert") if place == "old" else ("moveTo", "delete")
        runs = [run for run in _runs(change, old, new) if run.kind != absent]
        lines = old if place == "old" else new
        name = self.moves.setdefault(change.old.start, f"move{len(self.moves) + 1}")
        begin = self._element(f"{element}RangeStart", f' w:name="{name}"')
        key = self.count
        text = self._paragraphs(runs, lines, lines, mark=element, moved=element)
        return f'{begin}{text}<w:{element}RangeEnd w:id="{key}"/>'

    def _pairs(self, pairs: Sequence[_Pair]) -> str:
        """The XML of paragraphs and rows of tables, each given with its old and its new line. ``None`` is a line that
        is not there.
        """
        written: list[str] = []
        rows: list[_Pair] = []
        for pair in pairs:
            is_row = any(line and line.cells for line in pair)
            begins = any(line and line.heads and any(other[side] for other in rows) for side, line in enumerate(pair))
            if rows and (begins or not is_row):
                written.append(self._table(rows))
                rows = []
            if is_row:
                rows.append(pair)
            else:
                written.append(self._pair(*pair))
        if rows:
            written.append(self._table(rows))
        return "".join(written)

    def _pair(self, old: Line | None, new: Line | None) -> str:
        """One paragraph: compared if both lines are there, otherwise deleted or inserted."""
        olds, news = [old] if old else [], [new] if new else []
        runs = compare(old.text if old else "", new.text if new else "")
        mark = "" if old and new else "del" if old else "ins"
        return self._paragraphs(runs, olds, news, mark=mark)

    def _table(self, rows: Sequence[_Pair]) -> str:
        count = max(len(line.cells) for pair in rows for line in pair if line)
        columns = markup.equal_columns(count, markup.WIDTH)
        return markup.table((self._row(old, new, columns) for old, new in rows), columns)

    def _row(self, old: Line | None, new: Line | None, columns: Sequence[int]) -> str:
        cells = map(self._pair, _cells(old, len(columns)), _cells(new, len(columns)))
        change = "" if old and new else self._element("del" if old else "ins")
        return markup.row(list(cells), columns, heads=any(line.heads for line in (new, old) if line), change=change)

    def _paragraphs(
        self, runs: Iterable[Run], old: Sequence[Line], new: Sequence[Line], *, mark: str = "", moved: str = ""
    ) -> str:
        """The paragraphs with these runs, which change the old lines into the new ones.

        ``mark`` is the element that tracks the mark of the last paragraph; ``""`` if it is in both texts. ``moved`` is
        the element around words that are moved, ``""`` for none. If words are moved, ``old`` and ``new`` are both the
        lines at this place.
        """
        before, after = _Source(old), _Source(new)
        sides = {"equal": (after, before), "delete": (before,), "insert": (after,)}
        if moved:
            sides = dict.fromkeys(sides, (after,))
        written: list[str] = []
        pieces: list[_Piece] = []
        for run in runs:
            source, *others = sides[run.kind]
            for place, words in enumerate(run.text.split("\n")):
                if place:
                    element = _ELEMENTS.get(run.kind, moved)
                    written.append(self._paragraph(pieces, source.layout, (*others, source)[0].layout, element, moved))
                    pieces = []
                    source.end_line()
                    for other in others:
                        other.end_line()
                for span in source.take(len(words)):
                    pieces += _pieces(run.kind, span, *others)
        last = after if new else before
        if last.lines:
            was = before.layout if old and new and not moved else last.layout
            written.append(self._paragraph(pieces, last.layout, was, mark, moved))
        return "".join(written)

    def _paragraph(self, pieces: Sequence[_Piece], layout: Layout, was: Layout, mark: str, moved: str) -> str:
        """A paragraph with these pieces and this layout. ``was`` is its old layout, ``mark`` is the element that tracks
        its mark, and ``moved`` is the element around words that are moved; each of the two is ``""`` for none.
        """
        change = ""
        if was != layout and not mark:
            inside = markup.paragraph_properties(was) or "<w:pPr/>"
            change = self._element("pPrChange", content=inside)
        properties = markup.paragraph_properties(layout, self._element(mark) if mark else "", change)
        return f"<w:p>{properties}{''.join(self._tracked(pieces, moved))}</w:p>"

    def _tracked(self, pieces: Sequence[_Piece], moved: str) -> Iterator[str]:
        for kind, group in groupby(pieces, key=lambda piece: piece.kind):
            tag = "delText" if kind == "delete" else "t"
            runs = "".join(markup.run(piece.text, self._properties(piece), tag=tag) for piece in group)
            element = _ELEMENTS.get(kind, moved)
            yield self._element(element, content=runs) if element else runs

    def _properties(self, piece: _Piece) -> str:
        change = ""
        if piece.was != piece.format:
            change = self._element("rPrChange", content=markup.run_properties(piece.was) or "<w:rPr/>")
        return markup.run_properties(piece.format, change=change)

    def _element(self, name: str, more: str = "", content: str = "") -> str:
        """An element that tracks a change, with an id of its own, the author and the date. ``more`` are further
        attributes, with a space before them, and ``content`` is the XML in the element; each may be ``""``.
        """
        self.count += 1
        begin = f'<w:{name} w:id="{self.count}"{more} {self.author}'
        return f"{begin}>{content}</w:{name}>" if content else f"{begin}/>"


def _runs(change: Change, old: Sequence[Line], new: Sequence[Line]) -> list[Run]:
    """The runs of the label and of the words of a unit of both texts. ``old`` and ``new`` are its lines."""
    runs = list(change.words)
    # The label may be a line of its own: then a line end follows it.
    ends = ["\n" if lines[0].label and len(lines) > 1 else "" for lines in (old, new)]
    labels = [f"{unit.label} " if unit and unit.label else "" for unit in (change.old, change.new)]
    for was, now in (ends, labels):
        runs[:0] = [Run("equal", now)] if was == now else [Run("delete", was), Run("insert", now)]
    return [run for run in runs if run.text]


def _pieces(kind: str, span: Span, *others: _Source) -> Iterator[_Piece]:
    """Yield the words of a span as pieces. ``others`` contains one source for equal words: the old text, at the same
    words. Their old formats are taken from it. For other words ``others`` is empty, and no change of the format is
    tracked.
    """
    if not others:
        yield _Piece(kind, span.text, span.format, span.format)
        return
    place = 0
    for part in others[0].take(len(span.text)):
        yield _Piece(kind, span.text[place : place + len(part.text)], span.format, part.format)
        place += len(part.text)


def _cells(line: Line | None, count: int) -> list[Line | None]:
    """``count`` cells: those of the row, and empty ones after them. ``None`` stands for each cell of a row that is not
    there.
    """
    cells: list[Line | None] = list(line.cells) if line else []
    return cells + [Line((), Layout("Cell")) if line else None] * (count - len(cells))


def _labelled(lines: Sequence[Line]) -> list[Line]:
    """The lines with the label as words. Only a line without other words still has its ``label``. No span has a link,
    because Word tracks no change of a link.
    """
    found = []
    for line in lines:
        label = (Span(f"{line.label} "),) if line.label else ()
        spans = tuple(replace(span, format=replace(span.format, link="")) for span in (*label, *line.spans))
        cells = tuple(_labelled(line.cells))
        found.append(replace(line, spans=spans, label="" if line.spans else line.label, cells=cells))
    return found


def _paired(old: Sequence[Line], new: Sequence[Line]) -> list[_Pair]:
    """The old and the new lines of a unit, in pairs, in their order. ``None`` is the partner of a line that was deleted
    or inserted.
    """
    before, after = ([(bool(line.cells), line.text) for line in lines] for lines in (old, new))
    there = Counter(after)
    if before == after or sum(count * there[line] for line, count in Counter(before).items()) > MAX_MATCHES:
        return _in_order(old, new)
    pairs: list[_Pair] = []
    for _tag, i, j, k, m in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        pairs += _in_order(old[i:j], new[k:m])
    return pairs


def _in_order(old: Sequence[Line], new: Sequence[Line]) -> list[_Pair]:
    count = 0
    while count < min(len(old), len(new)) and bool(old[count].cells) == bool(new[count].cells):
        count += 1
    pairs: list[_Pair] = list(zip(old[:count], new[:count], strict=True))
    return [*pairs, *((line, None) for line in old[count:]), *((None, line) for line in new[count:])]
