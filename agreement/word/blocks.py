"""The lines of a unit of an agreement as Word displays them: paragraphs and rows of tables, with their formats.

A line with words is a line of ``Clause.text``, one character for each character, so that a redline of the words also
cuts the formatted lines. Word displays a line break within a line where the words have a space.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from itertools import groupby

from agreement.text.clauses import Clause, Document

#: A line break within a line. In ``Clause.text`` it is a space.
BREAK = "\u2028"
#: The most columns that a table of Word can have. A wider table becomes lines of words.
MAX_COLUMNS = 63
_SPACE = re.compile(r"(\s+)")
_BLOCKS = frozenset("ul ol li blockquote table thead tbody tr td th p pre h1 h2 h3 h4 h5 h6".split())


@dataclass(frozen=True, slots=True)
class Format:
    """How Word displays a passage. ``link`` is the address of the link in the HTML, such as ``#`` and the number of a
    unit; ``""`` for none. ``deleted`` and ``inserted`` mark the words of a comparative table.
    """

    bold: bool = False
    italic: bool = False
    code: bool = False
    link: str = ""
    deleted: bool = False
    inserted: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """A passage in one format."""

    text: str
    format: Format = Format()


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a paragraph stands. ``style`` is the id of a style in ``blank/styles.xml``. ``indent`` counts the lists and
    quotations that contain the paragraph. ``bullet``: does Word print a bullet before it? ``align`` is the alignment of
    a cell: ``left``, ``center``, ``right`` or ``""``.
    """

    style: str = "Normal"
    indent: int = 0
    bullet: bool = False
    align: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A paragraph, a row of a table (``cells`` is not empty), or a rule (the style ``Rule``), which has no words."""

    spans: tuple[Span, ...]
    """The words without ``label``. The cells of a row are separated by ``" | "``."""
    layout: Layout = Layout()
    label: str = ""
    """The label of the unit, if this is its first line and its words do not contain the label; otherwise ``""``."""
    cells: tuple[Line, ...] = ()
    heads: bool = False
    """Is it the first row with words of its table?"""

    @property
    def text(self) -> str:
        return "".join(span.text for span in self.spans)


def lines_by_unit(document: Document) -> dict[int, list[Line]]:
    """Start of each unit of the document (``Clause.start``) → the lines of the unit."""
    return {unit.start: unit_lines(unit, html) for unit, html in zip(document.units, document.parts, strict=True)}


def unit_lines(unit: Clause, html: str) -> list[Line]:
    """The lines of a unit. ``html`` is its part of ``Document.parts``. Joined with LF, the lines that are no rules have
    the words of ``unit.text``, except that white space may be of another kind. The label of the unit is not among the
    words, but in ``label`` of the first line.

    If the HTML displays other words, the lines are those of ``unit.text``, without formats.
    """
    if unit.kind == "title":
        return [Line((Span(line),), Layout("Title")) for line in unit.text.split("\n") if line]
    lines = html_lines(html)
    layout = lines[0].layout if lines else Layout()
    if "-" in unit.number and layout == Layout():
        layout = Layout("Item")
    if unit.label and lines and not lines[0].cells:
        spans = _without_label(lines[0].spans, unit.label)
        if spans is not None:
            lines[0] = replace(lines[0], spans=spans, layout=layout, label=unit.label)
    words = "\n".join(line.text for line in lines if line.spans)
    if _without_kinds_of_space(words) != _without_kinds_of_space(unit.text):
        lines = [Line((Span(line),), layout) for line in unit.text.split("\n")]
        lines[0] = replace(lines[0], label=unit.label)
    return lines


def html_lines(html: str) -> list[Line]:
    """The lines of safe HTML from ``agreement.text.clauses``. A label is part of the words here."""
    parser = _Parser()
    parser.feed(html)
    parser.close()
    parser.end_line()
    return parser.lines


def _without_kinds_of_space(words: str) -> str:
    return "\n".join(re.sub(r"\s", " ", line) for line in words.split("\n"))


def _without_label(spans: tuple[Span, ...], label: str) -> tuple[Span, ...] | None:
    """The spans without the label at their beginning and the space after it; ``None`` if they begin otherwise."""
    text = "".join(span.text for span in spans)
    if not text.startswith(label) or not (text == label or text[len(label)].isspace()):
        return None
    count, kept = len(label) + 1, []
    for span in spans:
        if len(span.text) > count:
            kept.append(replace(span, text=span.text[count:]))
        count = max(0, count - len(span.text))
    return tuple(kept)


class _Parser(HTMLParser):
    """Collects the lines of the HTML: those of ``agreement.text.markdown.text_lines``, and rules."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[Line] = []
        self.spans: list[Span] = []
        self.formats = [Format()]
        self.links: list[tuple[str, int]] = []  # Address to display after the words, and where the words begin.
        self.styles: list[str] = []
        self.lists: list[str] = []
        self.marks: list[str] = []  # What is displayed before the next line of each open item: "•", "3." or "".
        self.cells: list[Line] | None = None
        self.align = ""
        self.heads = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag in _BLOCKS and tag not in {"td", "th"}:
            self.end_line()
        if tag in {"strong", "em", "code", "a"}:
            self._open(tag, given)
        elif tag == "br":
            self.spans.append(Span(BREAK, self.formats[-1]))
        elif tag == "hr":
            self.end_line()
            self.lines.append(Line((), Layout("Rule")))
        elif tag in {"td", "th"}:
            self.spans, self.align = [], given.get("align", "")
        elif tag == "tr":
            self.cells = []
        elif tag == "table":
            self.heads = True
        elif tag in {"ul", "ol", "blockquote"}:
            self.lists.append(tag)
        elif tag == "li":
            self.marks.append(f"{given['value']}." if given.get("value") else "•")
        elif tag == "pre":
            self.styles.append("Code")
        elif tag[0] == "h" and tag[1:].isdigit():
            self.styles.append(f"Heading{max(1, int(tag[1:]) - 1)}")

    def handle_endtag(self, tag: str) -> None:
        if tag in {"strong", "em", "code", "a"}:
            self._close(tag)
        elif tag in {"td", "th"}:
            if self.cells is not None:
                self.cells.append(Line(self._take(), Layout("Cell", align=self.align)))
        elif tag == "tr":
            self._end_row()
        elif tag in _BLOCKS:
            self.end_line()
            if tag in {"ul", "ol", "blockquote"}:
                self.lists.pop()
            elif tag == "li" and (mark := self.marks.pop()) not in {"", "•"}:
                self.lines.append(Line((Span(mark),), Layout(indent=len(self.lists))))
            elif tag == "pre" or tag[0] == "h":
                self.styles.pop()

    def handle_data(self, data: str) -> None:
        if self.styles[-1:] == ["Code"]:
            data = data.replace("\n", BREAK)
        self.spans.append(Span(data, self.formats[-1]))

    def end_line(self) -> None:
        """End the line, if it has words."""
        spans = self._take()
        if not spans:
            return
        bullet = self.marks[-1:] == ["•"]
        numbers = [mark for mark in self.marks if mark not in {"", "•"}]
        self.marks = [""] * len(self.marks)
        spans = (*(Span(f"{number} ") for number in numbers), *spans)
        style = self.styles[-1] if self.styles else "Quote" if "blockquote" in self.lists else "Normal"
        self.lines.append(Line(spans, Layout(style, len(self.lists), bullet)))

    def _end_row(self) -> None:
        cells, self.cells = tuple(self.cells or ()), None
        spans: list[Span] = []
        for cell in cells:
            spans += [Span(" | "), *cell.spans] if spans or cell is not cells[0] else cell.spans
        # An empty cell leaves two spaces, which are one in the words.
        if taken := _tidy(spans):
            self.lines.append(Line(taken, cells=cells if len(cells) <= MAX_COLUMNS else (), heads=self.heads))
            self.heads = False

    def _open(self, tag: str, given: dict[str, str]) -> None:
        now = self.formats[-1]
        address = given.get("href", "") if tag == "a" else ""
        label = given.get("class") in {"number", "name"}
        self.formats.append(
            replace(
                now,
                bold=now.bold or tag == "strong",
                italic=now.italic or tag == "em",
                code=now.code or tag == "code",
                link=("" if label else address) or now.link,
            )
        )
        if tag == "a":
            self.links.append(("" if label or given.get("class") == "reference" else address, len(self.spans)))

    def _close(self, tag: str) -> None:
        if len(self.formats) > 1:
            self.formats.pop()
        if tag != "a" or not self.links:
            return
        address, start = self.links.pop()
        words = " ".join("".join(span.text for span in self.spans[start:]).split())
        target = address.removeprefix("mailto:")
        if address and target not in {words, f"tel:{words}"}:
            self.spans.append(Span(f" ({target})", self.formats[-1]))

    def _take(self) -> tuple[Span, ...]:
        spans, self.spans = self.spans, []
        return _tidy(spans)


def _tidy(spans: Sequence[Span]) -> tuple[Span, ...]:
    """The spans without white space at the ends of the line, and with one character for each other series of white
    space. That is ``BREAK`` if the series contains one, otherwise a space; a single character such as a no-break space
    stays as it is. Neighbours in one format become one span.
    """
    return tuple(
        Span("".join(text for text, _form in group), form)
        for form, group in groupby(_pieces(spans), key=lambda piece: piece[1])
    )


def _pieces(spans: Sequence[Span]) -> Iterator[tuple[str, Format]]:
    space: tuple[str, Format] | None = None
    begun = False
    for span in spans:
        for piece in _SPACE.split(span.text):
            if not piece:
                continue
            if piece.isspace():
                known = space[0] if space else ""
                space = (BREAK if BREAK in known + piece else " " if known or len(piece) > 1 else piece, span.format)
                continue
            if space and begun:
                yield " " if space[0] in "\t\n\r\f\v" else space[0], space[1]
            space, begun = None, True
            yield piece, span.format
