"""Reads a Word file (.docx) into the text of an edition: its words, its numbers as Word displays them, its tables.

python-docx opens the file. :mod:`agreement.word.numbering` computes the labels of automatic numbering. Comments,
notes, headers, footers, pictures, hidden text and an automatic table of contents do not become part of the text: they
are counted or listed. Tracked changes, and words that are struck out, give two texts: one with all changes accepted and
without the struck words, and one with all changes rejected and with these words.

A file may be hostile. Therefore :mod:`agreement.word.package` checks it before python-docx opens it.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import groupby
from operator import itemgetter
from typing import Any  # For the elements of lxml, which python-docx gives without types.

from django.utils.translation import gettext as _

from agreement.text import source
from agreement.text.escaping import escaped
from agreement.text.languages import LANGUAGES
from agreement.word import original
from agreement.word.columns import MAX_COLUMNS, language_tables, span, text
from agreement.word.container import Sheet
from agreement.word.elements import MC, M, R, W, integer, is_on, value
from agreement.word.numbering import MAX_WORDS, Numbering
from agreement.word.package import open_package, refused
from agreement.word.styles import Look, Styles
from agreement.word.symbols import raised_words, symbol, unicode_symbols
from agreement.word.writer import edition_file

#: Elements of a paragraph that may contain a text box. They are counted as pictures if they contain no words.
_PICTURES = frozenset(f"{W}{name}" for name in ("drawing", "pict", "object"))
#: Elements that only wrap others: their children are read in their place.
_CONTAINERS = frozenset(f"{W}{name}" for name in ("sdt", "sdtContent", "customXml", "smartTag"))
#: Elements that contain no words of the text, or words that are not displayed.
_SKIPPED = frozenset(f"{W}{name}" for name in ("pPr", "rPr", "sdtPr", "sdtEndPr", "instrText", "delInstrText"))
#: Elements of a formula that is one line of characters.
_LINE = frozenset(f"{M}{name}" for name in ("oMathPara", "oMathParaPr", "jc", "oMath", "r", "rPr", "sty", "nor", "t"))
#: Elements that stand for another document.
_EMBEDDED = frozenset({f"{W}altChunk", f"{W}subDoc"})
#: A heading of Markdown, typed in Word. With at least so many of them, the document is taken as Markdown.
_TYPED_HEADING, _TYPED = re.compile(r"#{1,6} \S"), 3
#: So many paragraphs in the only cell with words of a table are a text in a frame.
_FRAMED = 5
#: Stands in the text for a symbol or a formula that has no characters.
_UNKNOWN = "\ufffd"


@dataclass(slots=True)
class Manuscript:
    """The content of a Word file: two texts, and counts and lists of what was left out, changed or found in reading.

    ``accepted`` is the text with all tracked changes accepted and without the words that are struck out. ``rejected``
    is the text with all changes rejected and with these words. They are equal if no change was tracked and no word is
    struck out. For a file of :func:`agreement.word.writer.edition_file` whose words nobody changed, both are the body
    of the edition, and ``links`` is empty.

    Each integer is a count. Moved text counts as an insertion and a deletion. ``comments`` and ``footnotes`` (with
    endnotes) are the words of these notes, after the name of the author if the file has it. ``links`` are the addresses
    of hyperlinks in the text. ``margins`` are the words of headers and footers. The counts and lists come from the
    reading with all changes accepted.
    """

    accepted: str = ""
    rejected: str = ""
    insertions: int = 0
    deletions: int = 0
    comments: list[str] = field(default_factory=list)
    footnotes: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    pictures: int = 0
    hidden: int = 0
    struck: int = 0
    """How many passages are struck out by hand. They are not tracked, but they are asked about like deletions."""
    restyled: int = 0
    """How many tracked changes of the format change the style or the number of a paragraph, or what the look of words
    means, such as their hiding."""
    placeholders: list[str] = field(default_factory=list)
    """The hints that content controls display in place of words. Word prints them, and they are in the texts."""
    raised: int = 0
    """How many superscripts and subscripts became characters of Unicode («¹»), or ``^(…)`` or ``_(…)``."""
    spaces: int = 0
    """In how many places several spaces or tabs became one space."""
    typed: int = 0
    """How many headings have marks of Markdown that were typed in Word. If there are at least three, all marks of
    Markdown outside tables keep their meaning; otherwise this is 0, and the marks are escaped."""
    columns: int = 0
    """How many columns of the text in other languages were left out, if one language was asked for."""
    odd: int = 0
    """How many embedded documents, and symbols and formulas without characters, there are."""
    margins: list[str] = field(default_factory=list)  # The words of headers and footers, if they contain letters.
    contents: int = 0
    """How many paragraphs with words have a style of an automatic table of contents, also that of its heading. They are
    not in the texts."""
    numbers: list[tuple[str, str]] = field(default_factory=list)
    """The automatic numbers of the two upper levels, each with the first words of its paragraph."""
    uncertain: list[tuple[str, str]] = field(default_factory=list)
    """The automatic numbers that Word may print differently, each with the first words of its paragraph. The number is
    ``""`` if it is not in the texts: a field of Word computes it, such as LISTNUM, or its level is hidden or not
    defined."""
    empty_numbers: list[str] = field(default_factory=list)
    """The automatic numbers of paragraphs without words. They are counted, but they are not in the texts."""
    outside: list[str] = field(default_factory=list)
    """The addresses of files elsewhere to which the file links, such as its template and linked pictures, without
    hyperlinks. Nothing is read from them."""

    @property
    def tracked(self) -> bool:
        """Does the body of the file contain text that was tracked as inserted, deleted or moved, words that are struck
        out, or a tracked change of the format that is in ``restyled``? Other tracked changes of the format do not
        count: they change no words.
        """
        return bool(self.insertions or self.deletions or self.struck or self.restyled)


def installed() -> bool:
    """Can python-docx be imported, which the extra ``docx`` installs?"""
    try:
        import docx  # noqa: F401
    except ImportError:
        return False
    return True


def read_manuscript(content: bytes, name: str, *, language: str = "") -> Manuscript:
    """The content of the Word file with these bytes. ``name`` is the name of the file in messages.

    If most of the file is in tables with the Kazakh and the Russian text beside each other, only the text in
    ``language`` is taken from these tables, as paragraphs. With ``""`` such tables are read as any other.

    Raises ``source.SourceError`` if the file is refused or contains no text. Its sentence and hint are in the active
    language. The extra ``docx`` must be installed.
    """
    package = open_package(content, name)
    import docx
    from docx.opc.exceptions import OpcError

    try:
        document = docx.Document(io.BytesIO(package.content))
        found = Manuscript(outside=package.outside)
        reader = _Reader(document, found, accept=True, language=language)
        found.accepted = reader.text()
        found.numbers = reader.numbering.numbers
        found.uncertain += reader.numbering.uncertain + [it for it in reader.apart.uncertain if not it[0]]
        found.empty_numbers = reader.numbering.empty
        if found.tracked:
            found.rejected = _Reader(document, Manuscript(), accept=False, language=language).text()
        else:
            if (body := original.stored_body(document.part)) and found.accepted == _displayed(body):
                found.accepted, found.links = body, []
            found.rejected = found.accepted
    except _TooLong as error:
        size = {"size": source.MAX_BYTES // 1_000_000}
        raise refused(name, _("its text is longer than %(size)s million characters") % size) from error
    except (OpcError, ValueError, KeyError, AttributeError, SyntaxError, zipfile.BadZipFile, RecursionError) as error:
        raise refused(name, _("it can't be read as a Word document")) from error
    if not any(map(str.isalnum, found.accepted)):
        raise refused(name, _("it contains no text"))
    return found


def _is_sentence(words: str) -> bool:
    """Are the words unlike a heading? They are if they have more than 120 characters, if they have more than 60 and end
    with a full stop or a colon, or if they end with a semicolon or a comma.
    """
    return len(words) > (60 if words[-1] in ".:" else 0 if words[-1] in ";," else 120)


def _frame(table: Any) -> Any:
    """The only cell with words of a table, if at least ``_FRAMED`` of its paragraphs have words: the table is only the
    frame of a text. Otherwise ``None``.
    """
    cells = (cell for row in table.iterchildren(f"{W}tr") for cell in row.iterchildren(f"{W}tc"))
    filled = [cell for cell in cells if text(cell).strip()]
    alone = filled[0] if len(filled) == 1 else None
    paragraphs = [] if alone is None else [it for it in alone.iterchildren(f"{W}p") if text(it).strip()]
    return alone if len(paragraphs) >= _FRAMED else None


class _TooLong(Exception):
    """The text of the file is longer than ``source.MAX_BYTES`` characters."""


def _displayed(body: str) -> str:
    """The text that this module reads from the Word file that the app writes for this body, if it reads only what Word
    displays, and not the body that is stored in the file.
    """
    import docx

    written = edition_file(Sheet(title="", language=LANGUAGES[0]), body)
    return _Reader(docx.Document(io.BytesIO(written)), Manuscript(), accept=True).text()


class _Reader:
    """Reads the body once, with all tracked changes accepted or all of them rejected (``accept=False``).

    ``text()`` returns the text. Counts, comments and other notes are added to ``found``. ``document`` is that of
    python-docx. ``language`` is ``kk`` or ``ru`` if only this text of a table of languages is read, and ``""`` if every
    table is read as any other.
    """

    def __init__(self, document: Any, found: Manuscript, *, accept: bool, language: str = "") -> None:
        self.body = document.element.body
        self.part = document.part
        self.found = found
        self.accept = accept
        self.styles = Styles(document.styles.element)
        self.numbering = Numbering(self.part, self.styles.elements, accept=accept)
        #: Counts the numbers in text boxes.
        self.apart = Numbering(self.part, self.styles.elements, accept=accept)
        self.length = 0
        self.codes = _field_codes(self.body)
        typed = sum(bool(_TYPED_HEADING.match(text(it).lstrip())) for it in self.body.iterchildren(f"{W}p"))
        found.typed = typed if typed >= _TYPED else 0
        self.language = language
        self.tables = language_tables(self.body) if language else {}
        #: Is the place that is read in a content control whose hint was counted?
        self.counted = False
        #: The text boxes of the paragraph that is read, and the size of the words before the place that is read.
        self.boxes: list[Any] = []
        self.size = 0

    def text(self) -> str:
        blocks = [block for block in self._blocks(self.body) if block]
        self._notes()
        lines: list[str] = []
        for place, block in enumerate(blocks):
            # Items of one list follow each other directly; an empty line separates everything else.
            bullets = place and block.startswith("- ") and blocks[place - 1].startswith("- ")
            lines += [] if not place or bullets else [""]
            lines.append(block)
        return "\n".join(lines) + "\n"

    def _blocks(self, parent: Any, *, table: str = "", cell: bool = False) -> Iterator[str]:
        """The paragraphs and tables of ``parent`` as Markdown; some may be empty. ``table`` is the id of the style of
        the table that contains them, and ``cell`` says that they are lines of a cell, where Markdown has no headings,
        lists and tables.
        """
        carried: list[str] = []
        for element in self._children(parent):
            if element.tag == f"{W}tbl":
                if element in self.tables:
                    yield from self._column(element)
                elif not cell and (frame := _frame(element)) is not None:
                    yield from self._blocks(frame)
                else:
                    yield self._nested(element) if cell else self._table(element)
            elif element.tag == f"{W}p":
                carried.append(self._words(element, table))
                if self._continues(element):
                    continue
                words, carried, boxes, self.boxes = "".join(carried).strip(), [], self.boxes, []
                yield self._paragraph(element, words, cell=cell)
                yield from self._boxed(boxes, cell=cell)
            elif element.tag in _EMBEDDED:
                self.found.odd += 1
            elif element.tag in {f"{M}oMath", f"{M}oMathPara"}:
                yield self._formula(element)
            else:
                yield from self._blocks(element, table=table, cell=cell)
        if words := "".join(carried).strip():
            yield _cell_lines(words) if cell else self._marked(words)

    def _boxed(self, boxes: list[Any], *, cell: bool) -> Iterator[str]:
        """The paragraphs and tables of these text boxes as Markdown. Their numbers are counted apart from the others.
        ``cell`` says that they are lines of a cell.
        """
        outer, self.numbering = self.numbering, self.apart
        for box in boxes:
            yield from self._blocks(box, cell=cell)
        self.numbering = outer

    def _children(self, parent: Any) -> Iterator[Any]:
        for element in parent:
            self._count(element)
            if element.tag == f"{W}sdt":
                with self._control(element):
                    yield from self._children(element)
            elif element.tag == f"{MC}AlternateContent":
                yield from self._children(_branch(element))
            elif element.tag in _CONTAINERS or self._is_included(element):
                yield from self._children(element)
            elif not self._is_excluded(element):
                yield element

    @contextmanager
    def _control(self, control: Any) -> Iterator[None]:
        """A context in which the content of this content control is read. The hint that it displays in place of words
        is added to ``found``, unless it is in a control whose hint was added.
        """
        outer = self.counted
        if is_on(control.find(f"{W}sdtPr/{W}showingPlcHdr")):
            if not outer:
                self.found.placeholders.append(_plain(control))
            self.counted = True
        yield
        self.counted = outer

    def _is_included(self, element: Any) -> bool:
        return element.tag in ({f"{W}ins", f"{W}moveTo"} if self.accept else {f"{W}del", f"{W}moveFrom"})

    def _is_excluded(self, element: Any) -> bool:
        return element.tag in ({f"{W}del", f"{W}moveFrom"} if self.accept else {f"{W}ins", f"{W}moveTo"})

    def _continues(self, paragraph: Any) -> bool:
        """Does the paragraph continue in the next one, because the mark of its end belongs to an insertion or deletion
        that is left out? The tracked changes of the mark and of the format of the paragraph are counted.
        """
        properties = paragraph.find(f"{W}pPr/{W}rPr")
        marks = [] if properties is None else list(properties)
        for mark in marks:
            self._count(mark)
        before = paragraph.find(f"{W}pPr/{W}pPrChange/{W}pPr")
        if before is not None:
            self.found.restyled += _numbered_as(before) != _numbered_as(paragraph.find(f"{W}pPr"))
        return any(self._is_excluded(mark) for mark in marks)

    def _properties(self, element: Any, name: str) -> Any:
        """The properties of a paragraph (``name`` is ``pPr``) or of words (``rPr``): those before their tracked change
        if changes are rejected. ``None`` if there are none.
        """
        properties = element.find(f"{W}{name}")
        if self.accept or properties is None:
            return properties
        before = properties.find(f"{W}{name}Change/{W}{name}")
        return properties if before is None else before

    def _count(self, change: Any) -> None:
        if change.tag in {f"{W}ins", f"{W}moveTo"}:
            self.found.insertions += 1
        elif change.tag in {f"{W}del", f"{W}moveFrom"}:
            self.found.deletions += 1

    def _lengthen(self, characters: int) -> None:
        """Note that the text becomes longer by so many characters. Raises ``_TooLong`` if it is too long then."""
        self.length += characters
        if self.length > source.MAX_BYTES:
            raise _TooLong

    def _paragraph(self, paragraph: Any, words: str, *, cell: bool) -> str:
        properties = self._properties(paragraph, "pPr")
        style = value(properties, f"{W}pStyle") or self.styles.default
        mark = None if properties is None else properties.find(f"{W}rPr")
        label = self.numbering.label(paragraph, words, self.styles.look(mark, style))
        self._lengthen(len(label))
        if self.numbering is self.apart and words and label not in {"", "-"}:
            self.found.uncertain.append((label, " ".join(words.split())[:MAX_WORDS]))
        name = value(self.styles.elements.get(style), f"{W}name").lower()
        if name.startswith("toc"):
            self.found.contents += bool(words)
            return ""
        if not words:
            return ""
        if cell or not self.found.typed:  # Marks that were typed stay as they are, with the spaces between words.
            self.found.spaces += len(re.findall("(?<=[^ \n])  +(?=[^ \n])", words))
        if cell:
            return _cell_lines(f"{label} {words}".strip())
        level = self._level(properties, style, name, numbered=bool(label) or words[0].isdecimal())
        if _is_sentence(words) and not re.match(r"title$|(?:heading|заголовок|тақырып) ", name):
            level = 0  # Clauses of contracts have an outline level too.
        # A sentence that a heading style splits goes on in small letters.
        heading = "#" * level + " " if level and (label or not words[0].islower()) else ""
        if label == "-":
            return f"{heading}- {self._marked(words, start=False)}"
        return heading + self._marked(f"{label} {words}".strip(), start=not heading)

    def _marked(self, words: str, *, start: bool = True) -> str:
        """The words as Markdown that displays them, or as they are if marks of Markdown were typed in the file.
        ``start``: do they begin a line?
        """
        return words if self.found.typed else escaped(words, start=start)

    def _level(self, properties: Any, style: str, name: str, *, numbered: bool) -> int:
        """The level of a heading in Markdown: 1 for a title, 2 to 5 for the first four levels of Word; 0 for any other
        paragraph. The name of the style decides, then the outline level of the paragraph, then that of its style if the
        paragraph is ``numbered``.

        ``properties`` are those of the paragraph (``w:pPr`` or ``None``), ``style`` is the id of its style, and
        ``name`` the name of its style in small letters.
        """
        if name == "title":
            return 1
        if match := re.fullmatch(r"(?:heading|заголовок|тақырып) ([1-4])", name):
            return int(match[1]) + 1
        outline = integer(value(properties, f"{W}outlineLvl"), 9)
        if outline is None and numbered:
            outline = self.styles.outline(style)
        return outline + 2 if outline is not None and outline < 4 else 0

    def _words(self, paragraph: Any, table: str) -> str:
        """The words of the paragraph as Word displays them. Hidden and struck words are counted; hidden ones are left
        out, and struck ones if changes are accepted. The text boxes of the paragraph are added to ``boxes``. ``table``
        is the id of the style of the table that contains the paragraph, or ``""``.
        """
        properties = self._properties(paragraph, "pPr")
        pieces: list[tuple[str, Look]] = []
        own = self.styles.look(None, value(properties, f"{W}pStyle"), table)
        self.size = own.size
        self._collect(paragraph, (value(properties, f"{W}pStyle"), table), own, pieces)
        text = ""
        for look, group in groupby(pieces, key=itemgetter(1)):
            words = "".join(piece for piece, _look in group)
            bare = bool(words.strip())
            if look.hidden:
                self.found.hidden += bare
                continue
            if look.struck and bare:
                self.found.struck += 1
                if self.accept:
                    continue
            words = unicode_symbols(words, look.font)
            words = words.upper() if look.capitals else words
            if look.raised and bare:
                plain, words = words, raised_words(words, look.raised, text)
                self.found.raised += words != plain
            text += words
        return text

    def _collect(self, parent: Any, styles: tuple[str, str], look: Look, pieces: list[tuple[str, Look]]) -> None:
        """Add the words below ``parent`` to ``pieces``, each piece with its look. ``styles`` are the ids of the styles
        of the paragraph and of the table that contain them, and ``look`` is how ``parent`` displays its words. Tracked
        changes, links, pictures and embedded documents below ``parent`` are counted or listed in ``found``, and text
        boxes are added to ``boxes``.
        """
        for element in parent:
            tag = element.tag
            self._count(element)
            if self._is_excluded(element) or tag in _SKIPPED:
                continue
            if tag in _EMBEDDED:
                self.found.odd += 1
            elif tag == f"{W}r":
                run = self.styles.look(self._properties(element, "rPr"), *styles)
                if not run.position:
                    self.size = run.size
                elif not run.raised and run.size < self.size:  # LibreOffice and authors raise words so.
                    run = replace(run, raised="superscript" if run.position > 0 else "subscript")
                after = element.find(f"{W}rPr")
                before = None if after is None else after.find(f"{W}rPrChange/{W}rPr")
                if before is not None:
                    self.found.restyled += self.styles.look(before, *styles) != self.styles.look(after, *styles)
                self._collect(element, styles, run, pieces)
            elif tag == f"{W}sdt":
                with self._control(element):
                    self._collect(element, styles, look, pieces)
            elif tag in _PICTURES:
                self._picture(element, look)
            elif tag == f"{MC}AlternateContent":
                branch = _branch(element)
                if _has_words(branch):
                    self._collect(branch, styles, look, pieces)
                else:
                    self.found.pictures += not look.hidden
            else:
                if tag == f"{W}hyperlink" and (key := element.get(f"{R}id")) in self.part.rels:
                    self.found.links.append(str(self.part.rels[key].target_ref))
                words = self._characters(element)
                if words is None:
                    self._collect(element, styles, look, pieces)
                elif element in self.codes:
                    self.found.hidden += bool(words.strip())
                else:
                    self._lengthen(len(words))
                    pieces.append((words, look))

    def _characters(self, element: Any) -> str | None:
        """The characters that the element of a paragraph displays; ``None`` if its child elements must be read. A
        symbol or a formula that has no characters gives U+FFFD, and is counted.
        """
        tag = element.tag
        if tag in {f"{W}t", f"{W}delText"}:
            return element.text or ""
        if tag in {f"{W}tab", f"{W}ptab"}:
            return " "
        if tag in {f"{W}br", f"{W}cr"}:
            return "\n"
        if tag == f"{W}noBreakHyphen":
            return "\u2011"
        if tag == f"{W}sym":
            code, font = element.get(f"{W}char") or "", element.get(f"{W}font") or ""
            character = symbol(font, int(code, 16)) if re.fullmatch("[0-9A-Fa-f]{1,6}", code) else ""
            self.found.odd += not character
            return character or _UNKNOWN
        if tag == f"{W}fldChar":
            return _form_field(element)
        if tag in {f"{M}oMath", f"{M}oMathPara"}:
            return self._formula(element)
        return None

    def _formula(self, formula: Any) -> str:
        """The formula, if it is one line of characters; otherwise U+FFFD, and it is counted."""
        if all(it.tag in _LINE or str(it.tag).startswith(W) for it in formula.iter()):
            return "".join(it.text or "" for it in formula.iter(f"{M}t"))
        self.found.odd += 1
        return _UNKNOWN

    def _picture(self, picture: Any, look: Look) -> None:
        """Add the text boxes with words of the picture to ``boxes``, or count the picture if it has none. A picture in
        hidden words is not counted as one, and its text boxes are not added; it counts as hidden text if it has words.
        """
        boxes = [] if look.hidden else [box for box in _boxes(picture) if _has_words(box)]
        self.boxes += boxes
        self.found.pictures += not boxes and not look.hidden
        self.found.hidden += look.hidden and _has_words(picture)

    def _table(self, table: Any) -> str:
        rows = []
        for skipped, row in self._rows(table):
            cells, struck = [], self.found.struck
            for cell in row:
                words, columns = self._lines(cell, table), span(cell)
                self._lengthen(3 * columns + words.count("|"))
                cells += [words, *[""] * (columns - 1)]
            if any(cells) or self.found.struck == struck or not self.accept:  # Else all its words are struck out.
                rows.append((skipped, cells))
        indent = min((skipped for skipped, _cells in rows), default=0)
        width = max((skipped - indent + len(cells) for skipped, cells in rows), default=0)
        if not width:
            return ""
        self._lengthen(3 * (width + sum(width - len(cells) for _skipped, cells in rows)))
        lines = []
        for skipped, cells in rows:
            full = [*[""] * (skipped - indent), *cells]
            lines.append("| " + " | ".join([*full, *[""] * (width - len(full))]) + " |")
        return "\n".join([lines[0], "|" + " --- |" * width, *lines[1:]])

    def _nested(self, table: Any) -> str:
        """The words of a table in a cell: a line for each of its rows."""
        rows = (" \\| ".join(filter(None, (self._lines(cell, table) for cell in row))) for _, row in self._rows(table))
        return _joined(rows)

    def _column(self, table: Any) -> Iterator[str]:
        """The paragraphs of a table of languages that belong to the language that is read, or to all languages. The
        other cells are read too, so that their numbers are counted, but these numbers are not listed.
        """
        columns = self.tables[table]
        self.found.columns = max(self.found.columns, len(columns.languages) - 1)
        for skipped, row in self._rows(table):
            first = skipped
            for cell in row:
                language = columns.language(cell, first, span(cell))
                first += span(cell)
                noted: list[list[Any]] = [self.numbering.numbers, self.numbering.uncertain, self.numbering.empty]
                before = [len(it) for it in noted]
                blocks = list(self._blocks(cell, table=_style_of(table)))
                if language in {None, self.language}:
                    yield from blocks
                else:
                    for notes, count in zip(noted, before, strict=True):
                        del notes[count:]

    def _rows(self, table: Any) -> Iterator[tuple[int, Iterator[Any]]]:
        """The rows of the table that are displayed: how many columns the row skips, and an iterator over its cells,
        which must be read before the next row. A hidden row with words is counted as hidden text.
        """
        for row in self._children(table):
            properties = row.find(f"{W}trPr")
            if row.tag != f"{W}tr" or self._is_excluded_by(properties):
                continue
            if properties is not None and is_on(properties.find(f"{W}hidden")):
                self.found.hidden += _has_words(row)
                continue
            yield integer(value(properties, f"{W}gridBefore"), MAX_COLUMNS) or 0, self._cells(row)

    def _cells(self, row: Any) -> Iterator[Any]:
        for cell in self._children(row):
            if cell.tag == f"{W}tc" and not self._is_excluded_by(cell.find(f"{W}tcPr")):
                yield cell

    def _lines(self, cell: Any, table: Any) -> str:
        return _joined(self._blocks(cell, table=_style_of(table), cell=True))

    def _is_excluded_by(self, properties: Any) -> bool:
        """Is the row or cell with these properties left out, because it was inserted or deleted as a whole? The
        insertion or deletion is counted.
        """
        inserted = deleted = False
        for mark in properties if properties is not None else ():
            inserted |= mark.tag in {f"{W}ins", f"{W}cellIns"}
            deleted |= mark.tag in {f"{W}del", f"{W}cellDel"}
        self.found.insertions += inserted
        self.found.deletions += deleted
        return deleted if self.accept else inserted

    def _notes(self) -> None:
        """Store the words of comments, footnotes, endnotes, headers and footers in ``found``. Headers and footers
        without letters are left out.
        """
        from docx.oxml import parse_xml

        parts = set()  # Any number of relations may lead to one part.
        for relation in self.part.rels.values():
            kind = relation.reltype.rpartition("/")[2]
            if relation.is_external or kind not in {"comments", "footnotes", "endnotes", "header", "footer"}:
                continue
            if relation.target_part in parts:
                continue
            parts.add(relation.target_part)
            root = parse_xml(relation.target_part.blob)
            if kind in {"header", "footer"}:
                words = _plain(root)
                if re.search(r"[^\W\d]", words):
                    self.found.margins.append(words)
                continue
            for note in root:
                if note.get(f"{W}type"):  # A separator line.
                    continue
                words = _plain(note)
                author = note.get(f"{W}author")
                into = self.found.comments if kind == "comments" else self.found.footnotes
                into.append(f"{author}: {words}" if author else words)


def _field_codes(body: Any) -> set[Any]:
    """The elements ``w:t`` between the beginning of a field and its separator, or its end if it has no separator, such
    as the results of fields in it. Word does not display them, because they belong to the code of the field. A field
    without an end has no code.
    """
    texts: list[Any] = []
    open_fields: list[tuple[int, int | None]] = []
    codes = []
    for element in body.iter(f"{W}fldChar", f"{W}t"):
        kind = element.get(f"{W}fldCharType")
        if element.tag == f"{W}t":
            texts.append(element)
        elif kind == "begin":
            open_fields.append((len(texts), None))
        elif kind == "separate" and open_fields and open_fields[-1][1] is None:
            open_fields[-1] = (open_fields[-1][0], len(texts))
        elif kind == "end" and open_fields:
            first, last = open_fields.pop()
            codes.append((first, len(texts) if last is None else last))
    found: set[Any] = set()
    reached = 0
    for first, last in sorted(codes):
        found.update(texts[max(first, reached) : last])
        reached = max(reached, last)
    return found


def _form_field(mark: Any) -> str:
    """What the element ``w:fldChar`` displays: the box of a form, ticked or not, or the chosen entry of a list; ``""``
    for any other field, and for the end of a field.
    """
    box, entries = mark.find(f"{W}ffData/{W}checkBox"), mark.findall(f"{W}ffData/{W}ddList/{W}listEntry")
    if box is not None:
        checked = box.find(f"{W}checked")
        return "☒" if is_on(box.find(f"{W}default") if checked is None else checked) else "☐"
    chosen = integer(value(mark, f"{W}ffData/{W}ddList/{W}result"), len(entries)) or 0
    return (entries[chosen].get(f"{W}val") or "") if chosen < len(entries) else ""


def _branch(alternatives: Any) -> Any:
    """The alternative that is read: the first one that has words, otherwise the first one. ``alternatives`` itself if
    it contains none.
    """
    return next(filter(_has_words, alternatives), alternatives[0] if len(alternatives) else alternatives)


def _boxes(picture: Any) -> Iterator[Any]:
    """The contents of the text boxes of a picture, without those in other text boxes."""
    for element in _branch(picture) if picture.tag == f"{MC}AlternateContent" else picture:
        if element.tag == f"{W}txbxContent":
            yield element
        else:
            yield from _boxes(element)


def _has_words(element: Any) -> bool:
    return any((it.text or "").strip() or it.tag == f"{W}sym" for it in element.iter(f"{W}t", f"{W}delText", f"{W}sym"))


def _style_of(table: Any) -> str:
    return value(table, f"{W}tblPr/{W}tblStyle")


def _joined(lines: Iterable[str]) -> str:
    """The lines as they stand in a cell: joined by ``<br>``, without empty ones. A line that ends with ``*`` or ``_``
    gets a space after it, because Markdown could take the sign for the beginning of an emphasis in the next line.
    """
    return "<br>".join(f"{line} " if line[-1] in "*_" else line for line in lines if line).strip()


def _cell_lines(words: str) -> str:
    """The words as Markdown that displays them in a cell of a table, with ``<br>`` between their lines. A bar in them
    is escaped, because it would end the cell.
    """
    lines = _joined(escaped(line, start=False) for line in words.split("\n"))
    return re.sub(r"(\\.)|\|", lambda match: match[1] or "\\|", lines)


def _plain(element: Any) -> str:
    """The words of a note, a header, a footer or a content control, in one line."""
    others: set[Any] = set()
    for alternatives in element.iter(f"{MC}AlternateContent"):
        read = _branch(alternatives)
        others.update(it for branch in alternatives if branch is not read for it in branch.iter(f"{W}t"))
    texts = (it for it in element.iter(f"{W}t", f"{W}p") if it not in others)
    # A paragraph begins a word.
    return " ".join("".join(" " if it.tag == f"{W}p" else it.text or "" for it in texts).split())


def _numbered_as(properties: Any) -> tuple[str, str, str]:
    """The ids of the style and of the list, and the level, that the properties of a paragraph name; ``""`` for each
    that is missing.
    """
    return (
        value(properties, f"{W}pStyle"),
        value(properties, f"{W}numPr/{W}numId"),
        value(properties, f"{W}numPr/{W}ilvl"),
    )
