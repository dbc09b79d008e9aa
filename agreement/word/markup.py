"""Writes lines as WordprocessingML, the XML of a Word file (ECMA-376, part 1).

The order of the elements is that of the standard, because Word repairs or refuses a file with another order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from xml.sax.saxutils import escape, quoteattr

from agreement.word.blocks import BREAK, Format, Layout, Line, Span

#: The codes by which Word knows the languages of an edition.
LOCALES = {"kk": "kk-KZ", "ru": "ru-RU"}
#: What XML 1.0 forbids (§2.2).
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
#: The addresses that become links. Word refuses to open a file with an address that it can't parse.
_ADDRESS = re.compile(
    r"(?:https?://[a-z0-9.-]+(?::[1-5]?\d{1,4})?(?:[/?](?:[\w~!$&'()*+,;=:@./?-]|%[0-9a-f]{2})*)?(?:\#[\w.=&/-]*)?"
    r"|mailto:[a-z0-9.+_-]+@[a-z0-9.-]+|tel:[0-9+-]+)\Z",
    re.IGNORECASE | re.ASCII,
)
#: The width of a page between its margins, in twentieths of a point (twips): upright, and on its side.
WIDTH, LANDSCAPE_WIDTH = 9638, 14570
#: The widest margin of a paragraph in lists and quotations, as a number of them.
MAX_INDENT = 9
_CELL_ALIGNMENTS = frozenset({"center", "right"})


def text(words: str) -> str:
    """The words as content of an XML element: escaped, and with U+FFFD in place of each character that XML forbids."""
    return escape(readable(words))


def readable(words: str) -> str:
    """The words with U+FFFD in place of each character that XML forbids."""
    return _FORBIDDEN.sub("\ufffd", words)


def run(words: str, properties: str = "", *, tag: str = "t") -> str:
    """The XML of a run with these words. A ``BREAK`` in them becomes a line break. ``properties`` is its ``w:rPr`` or
    ``""``; ``tag`` is ``t``, or ``delText`` for deleted words. The result is ``""`` if there are no words.
    """
    if not words:
        return ""
    pieces = "<w:br/>".join(
        f'<w:{tag} xml:space="preserve">{text(piece)}</w:{tag}>' if piece else "" for piece in words.split(BREAK)
    )
    return f"<w:r>{properties}{pieces}</w:r>"


def run_properties(form: Format, language: str = "", change: str = "") -> str:
    """The ``w:rPr`` of a format, ``""`` if it would be empty. ``language`` is the language that it states; with ``""``
    the words have that of the file. ``change`` is the ``w:rPrChange`` that ends it, or ``""``.
    """
    inside = (
        ('<w:rStyle w:val="Hyperlink"/>' if _is_address(form.link) else "")
        + ('<w:rFonts w:ascii="Courier New" w:hAnsi="Courier New" w:cs="Courier New"/>' if form.code else "")
        + ("<w:b/>" if form.bold else "")
        + ("<w:i/>" if form.italic else "")
        + ("<w:strike/>" if form.deleted else "")
        + ('<w:color w:val="A4161A"/>' if form.deleted else '<w:color w:val="0B5D1E"/>' if form.inserted else "")
        + ('<w:u w:val="single"/>' if form.inserted else "")
        + (f'<w:lang w:val="{LOCALES[language]}"/>' if language else "")
        + change
    )
    return f"<w:rPr>{inside}</w:rPr>" if inside else ""


def paragraph_properties(layout: Layout, mark: str = "", change: str = "") -> str:
    """The ``w:pPr`` of a layout, ``""`` if it would be empty. ``mark`` is the content of the ``w:rPr`` of the paragraph
    mark, and ``change`` the ``w:pPrChange`` that ends it; each may be ``""``.
    """
    inside = f'<w:pStyle w:val="{layout.style}"/>' if layout.style != "Normal" else ""
    indent = min(layout.indent, MAX_INDENT)
    if layout.bullet:
        inside += f'<w:numPr><w:ilvl w:val="{max(0, min(indent, 3) - 1)}"/><w:numId w:val="1"/></w:numPr>'
    elif indent:
        inside += f'<w:ind w:left="{567 * indent}"/>'
    if layout.align in _CELL_ALIGNMENTS:
        inside += f'<w:jc w:val="{layout.align}"/>'
    inside += f"<w:rPr>{mark}</w:rPr>" if mark else ""
    inside += change
    return f"<w:pPr>{inside}</w:pPr>" if inside else ""


def table(rows: Iterable[str], columns: Sequence[int]) -> str:
    """A table with borders. ``rows`` are ``w:tr`` elements, and ``columns`` the widths of the columns in twips.

    A small empty paragraph follows it, because Word joins two tables without one, and needs one at the end of a cell.
    """
    grid = "".join(f'<w:gridCol w:w="{width}"/>' for width in columns)
    properties = (
        f'<w:tblPr><w:tblStyle w:val="TableGrid"/><w:tblW w:w="{sum(columns)}" w:type="dxa"/>'
        '<w:tblLayout w:type="fixed"/></w:tblPr>'
    )
    return f"<w:tbl>{properties}<w:tblGrid>{grid}</w:tblGrid>{''.join(rows)}</w:tbl>{GAP}"


GAP = '<w:p><w:pPr><w:pStyle w:val="Gap"/></w:pPr></w:p>'


def row(cells: Iterable[str], columns: Sequence[int], *, heads: bool = False, change: str = "") -> str:
    """A row of a table. ``cells`` are the contents of its cells, as for :func:`cell`, and ``columns`` their widths in
    twips. ``heads``: is it repeated on each page? ``change`` is the ``w:ins`` or ``w:del`` of a tracked row, or ``""``.
    """
    inside = ("<w:tblHeader/>" if heads else "") + change
    properties = f"<w:trPr>{inside}</w:trPr>" if inside else ""
    return f"<w:tr>{properties}{''.join(map(cell, cells, columns))}</w:tr>"


def cell(content: str, width: int, span: int = 1) -> str:
    """A cell of a table, ``width`` twips wide, over ``span`` columns. ``content`` are its paragraphs and tables, the
    last of which is a paragraph.
    """
    spans = f'<w:gridSpan w:val="{span}"/>' if span > 1 else ""
    return f'<w:tc><w:tcPr><w:tcW w:w="{width}" w:type="dxa"/>{spans}</w:tcPr>{content}</w:tc>'


def equal_columns(count: int, width: int) -> list[int]:
    """The widths of ``count`` columns that share ``width``, rounded down, but at least 1."""
    return [max(1, width // max(1, count))] * count


class Writer:
    """Writes lines as XML of Word, and collects the addresses outside the file that their links have in ``relations``.
    Words become no link if Word might refuse the address, or if no unit has the number that they refer to.

    ``numbers`` are the numbers of the units to which references may lead. ``language`` is the language that the words
    state; with ``""`` it is that of the file. ``width`` is the space for a table, in twips.
    """

    def __init__(
        self,
        *,
        numbers: Iterable[str] = (),
        language: str = "",
        width: int = WIDTH,
        relations: dict[str, str] | None = None,
    ) -> None:
        self.numbers = frozenset(numbers)
        self.language = language
        self.width = width
        self.relations = {} if relations is None else relations
        """Address → id of its relation. Several writers of one file may share it."""
        self._marked: set[str] = set()

    def lines(self, lines: Sequence[Line], number: str = "") -> str:
        """The XML of paragraphs and tables. The first paragraph outside tables gets a bookmark for the unit with this
        number, so that references lead to it; with ``""`` there is no bookmark. A number that had a bookmark before
        gets none.
        """
        written: list[str] = []
        for is_row, group in groupby(lines, key=lambda line: bool(line.cells)):
            if is_row:
                written += self._tables(list(group))
                continue
            for line in group:
                written.append(self.paragraph(line, number))
                number = ""
        return "".join(written)

    def paragraph(self, line: Line, number: str = "") -> str:
        """A paragraph with the label and the words of the line, and with a bookmark for the unit with this number.
        There is no bookmark for ``""``, and for a number that had one before.
        """
        label = run(f"{line.label} " if line.spans else line.label, self._properties(Format())) if line.label else ""
        return f"<w:p>{paragraph_properties(line.layout)}{self._bookmark(number)}{label}{self._spans(line.spans)}</w:p>"

    def _tables(self, rows: list[Line]) -> Iterable[str]:
        begins = [place for place, line in enumerate(rows) if line.heads or not place]
        for start, end in zip(begins, [*begins[1:], len(rows)], strict=True):
            columns = equal_columns(max(len(line.cells) for line in rows[start:end]), self.width)
            yield table(
                (
                    row(
                        [*map(self.paragraph, line.cells), *[EMPTY_CELL] * (len(columns) - len(line.cells))],
                        columns,
                        heads=line.heads,
                    )
                    for line in rows[start:end]
                ),
                columns,
            )

    def _spans(self, spans: Sequence[Span]) -> str:
        written = []
        for link, group in groupby(spans, key=lambda span: span.format.link):
            runs = "".join(run(span.text, self._properties(span.format)) for span in group)
            if _is_address(link):
                key = self.relations.setdefault(link, f"rLink{len(self.relations) + 1}")
                runs = f'<w:hyperlink r:id="{key}">{runs}</w:hyperlink>'
            elif link.startswith("#") and link[1:] in self.numbers:
                runs = f'<w:hyperlink w:anchor="{_bookmark_name(link[1:])}">{runs}</w:hyperlink>'
            written.append(runs)
        return "".join(written)

    def _properties(self, form: Format) -> str:
        return run_properties(form, self.language)

    def _bookmark(self, number: str) -> str:
        if not number or number in self._marked:
            return ""
        self._marked.add(number)
        key = len(self._marked)
        return f'<w:bookmarkStart w:id="{key}" w:name="{_bookmark_name(number)}"/><w:bookmarkEnd w:id="{key}"/>'


EMPTY_CELL = '<w:p><w:pPr><w:pStyle w:val="Cell"/></w:pPr></w:p>'


def relation(address: str, key: str) -> str:
    """The XML of the relation with the id ``key``, of a link to an address outside the file."""
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/hyperlink"
    target = quoteattr(address)
    return f'<Relationship Id="{key}" Type="{kind}" Target={target} TargetMode="External"/>'


def _is_address(link: str) -> bool:
    return _ADDRESS.match(link) is not None


def _bookmark_name(number: str) -> str:
    # A name that begins with an underscore is not in Word's list of bookmarks. It may contain letters and digits.
    return "_clause_" + number.replace("_", "___").replace(".", "_").replace("-", "__")
