"""Reads a Word file (.docx) into the text of an edition: its words, its numbers as Word displays them, its tables.

python-docx opens the file. No library computes the labels of automatic numbering, so this module does. Comments,
footnotes, pictures and hidden text can't become part of an agreement: they are counted or listed. Tracked changes give
two texts, one with all changes accepted and one with all changes rejected.

A file may be hostile. Therefore :mod:`agreement.word.package` checks it before python-docx opens it.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any  # For the elements of lxml, which python-docx gives without types.

from django.utils.translation import gettext as _

from agreement.text import source
from agreement.text.escaping import escaped
from agreement.text.languages import LANGUAGES
from agreement.word import original
from agreement.word.container import Sheet
from agreement.word.elements import M, R, W, integer, value
from agreement.word.numbering import Numbering
from agreement.word.package import refused, require_harmless
from agreement.word.writer import edition_file

#: The most columns of a table in Word. A cell that claims to span more could fill the memory.
MAX_COLUMNS = 63
#: Elements of a paragraph that are counted as pictures. Their words are not read.
_PICTURES = frozenset(f"{W}{name}" for name in ("drawing", "pict", "object")) | {
    "{http://schemas.openxmlformats.org/markup-compatibility/2006}AlternateContent"
}
#: Elements that only wrap others: their children are read in their place.
_CONTAINERS = frozenset(f"{W}{name}" for name in ("sdt", "sdtContent", "customXml", "smartTag"))
_UNSUPPORTED = frozenset({f"{W}sym", f"{W}altChunk", f"{M}oMath", f"{M}oMathPara"})


@dataclass(slots=True)
class Manuscript:
    """The content of a Word file: two texts, and what is in neither text.

    ``accepted`` is the text with all tracked changes accepted, and ``rejected`` the text with all of them rejected.
    They are equal if no change was tracked. Each integer is a count: of insertions, deletions, pictures, hidden
    passages, and others that are described below. Moved text counts as an insertion and a deletion. Changes of the
    format are not counted. For a file that the app wrote, and whose words nobody changed, the two texts are the body of
    the edition (:mod:`agreement.word.original`), which contains the addresses of the links, and ``links`` is empty.

    ``comments`` and ``footnotes`` are the words of these notes, after the name of the author if the file has it.
    ``footnotes`` includes endnotes. ``links`` are the addresses of hyperlinks, without those that are fields or that
    lead to a place in the file; the words of all these are in the texts, except in a table of contents. ``margins`` are
    the words of each header and footer that contains letters. The counts, ``links`` and the numbers below come from the
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
    odd: int = 0
    """How many symbols of special fonts, formulas and embedded documents there are."""
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

    @property
    def tracked(self) -> bool:
        """Does the body of the file contain tracked insertions, deletions or moved text?"""
        return bool(self.insertions or self.deletions)


def installed() -> bool:
    """Is the extra ``docx`` installed?"""
    try:
        import docx  # noqa: F401
    except ImportError:
        return False
    return True


def read_manuscript(content: bytes, name: str) -> Manuscript:
    """The content of the Word file with these bytes. ``name`` is the name of the file in messages.

    Raises ``source.SourceError`` if the file is no .docx file, is too large, encrypted or damaged, contains macros,
    programs, an XML document type, an unusual encoding or a link to a part elsewhere (other than a hyperlink), has a
    text of more than ``source.MAX_BYTES`` characters, or has no text with all changes accepted (an empty table is
    text). Its sentence and hint are in the active language. Raises ``ImportError`` if the extra ``docx`` is not
    installed; the file may be refused before that.
    """
    require_harmless(content, name)
    import docx
    from docx.opc.exceptions import OpcError

    try:
        document = docx.Document(io.BytesIO(content))
        found = Manuscript()
        reader = _Reader(document, found, accept=True)
        found.accepted = reader.text()
        found.numbers = reader.numbering.numbers
        found.uncertain = reader.numbering.uncertain
        found.empty_numbers = reader.numbering.empty
        if found.tracked:
            found.rejected = _Reader(document, Manuscript(), accept=False).text()
        else:
            if (body := original.stored_body(document.part)) and found.accepted == _displayed(body):
                found.accepted, found.links = body, []
            found.rejected = found.accepted
    except _TooLong as error:
        size = {"size": source.MAX_BYTES // 1_000_000}
        raise refused(name, _("its text is longer than %(size)s million characters") % size) from error
    except (OpcError, ValueError, KeyError, AttributeError, SyntaxError, zipfile.BadZipFile, RecursionError) as error:
        raise refused(name, _("it can't be read as a Word document")) from error
    if not found.accepted.strip():
        raise refused(name, _("it contains no text"))
    return found


class _TooLong(Exception):
    """The text of the file is longer than ``source.MAX_BYTES`` characters."""


def _displayed(body: str) -> str:
    """The text that is read from the words that Word displays of an edition with this body."""
    import docx

    written = edition_file(Sheet(title="", language=LANGUAGES[0]), body)
    return _Reader(docx.Document(io.BytesIO(written)), Manuscript(), accept=True).text()


class _Reader:
    """Reads the body once, with all tracked changes accepted or all of them rejected (``accept=False``).

    ``text()`` returns the text. It stores everything else, such as the counts and comments, in ``found``.
    """

    def __init__(self, document: Any, found: Manuscript, *, accept: bool) -> None:
        self.body = document.element.body
        self.part = document.part
        self.found = found
        self.accept = accept
        self.styles = {style.get(f"{W}styleId"): style for style in document.styles.element if style.get(f"{W}styleId")}
        self.numbering = Numbering(self.part, self.styles, accept=accept)
        self.length = 0

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

    def _blocks(self, parent: Any) -> Iterator[str]:
        carried: list[str] = []
        for element in self._children(parent):
            if element.tag == f"{W}tbl":
                yield self._table(element)
            elif element.tag == f"{W}p":
                carried.append(self._words(element))
                if self._continues(element):
                    continue
                words, carried = "".join(carried).strip(), []
                yield self._paragraph(element, words)
            elif element.tag in _UNSUPPORTED:
                self.found.odd += 1
        if words := "".join(carried).strip():
            yield escaped(words)

    def _children(self, parent: Any) -> Iterator[Any]:
        for element in parent:
            if element.tag in _CONTAINERS or self._is_included(element):
                yield from self._children(element)
            elif not self._is_excluded(element):
                yield element

    def _is_included(self, element: Any) -> bool:
        return element.tag in ({f"{W}ins", f"{W}moveTo"} if self.accept else {f"{W}del", f"{W}moveFrom"})

    def _is_excluded(self, element: Any) -> bool:
        return element.tag in ({f"{W}del", f"{W}moveFrom"} if self.accept else {f"{W}ins", f"{W}moveTo"})

    def _continues(self, paragraph: Any) -> bool:
        """Does the paragraph continue in the next one, because the mark of its end belongs to an insertion or deletion
        that is left out? The insertions and deletions of the mark are counted.
        """
        properties = paragraph.find(f"{W}pPr/{W}rPr")
        marks = [] if properties is None else list(properties)
        for mark in marks:
            self._count(mark)
        return any(self._is_excluded(mark) for mark in marks)

    def _count(self, change: Any) -> None:
        if change.tag in {f"{W}ins", f"{W}moveTo"}:
            self.found.insertions += 1
        elif change.tag in {f"{W}del", f"{W}moveFrom"}:
            self.found.deletions += 1

    def _lengthen(self, characters: int) -> None:
        """Note that the text becomes longer. It must be called before a small file can make a large text of itself."""
        self.length += characters
        if self.length > source.MAX_BYTES:
            raise _TooLong

    def _paragraph(self, paragraph: Any, words: str) -> str:
        label = self.numbering.label(paragraph, words)
        self._lengthen(len(label))
        style = self._style(paragraph)
        name = value(style, f"{W}name").lower() if style is not None else ""
        if name.startswith("toc"):
            self.found.contents += bool(words)
            return ""
        if not words:
            return ""
        level = self._level(paragraph, style, name)
        mark = "#" * level + " " if level else ""
        if label == "-":
            return f"{mark}- {escaped(words, start=False)}"
        return mark + escaped(f"{label} {words}".strip(), start=not mark)

    def _level(self, paragraph: Any, style: Any, name: str) -> int:
        """The level of a heading in Markdown: 1 for a title, 2 to 5 for the first four levels of Word; 0 for any other
        paragraph. The name of the style decides, then the outline level of the paragraph itself.
        """
        if name == "title":
            return 1
        if match := re.fullmatch(r"(?:heading|заголовок|тақырып) ([1-4])", name):
            return int(match[1]) + 1
        outline = integer(value(paragraph, f"{W}pPr/{W}outlineLvl"), 9)
        return outline + 2 if outline is not None and outline < 4 else 0

    def _style(self, paragraph: Any) -> Any:
        return self.styles.get(value(paragraph, f"{W}pPr/{W}pStyle"))

    def _words(self, parent: Any) -> str:
        parts: list[str] = []
        for element in parent:
            tag = element.tag
            self._count(element)
            if tag in _PICTURES:
                self.found.pictures += 1
            elif tag in _UNSUPPORTED:
                self.found.odd += 1
            elif self._is_excluded(element) or tag in {f"{W}pPr", f"{W}rPr", f"{W}instrText", f"{W}delInstrText"}:
                continue
            elif tag == f"{W}r" and element.find(f"{W}rPr/{W}vanish") is not None:
                self.found.hidden += 1
            elif tag in {f"{W}t", f"{W}delText"}:
                parts.append(element.text or "")
                self._lengthen(len(parts[-1]))
            elif tag == f"{W}tab":
                parts.append(" ")
            elif tag in {f"{W}br", f"{W}cr"}:
                parts.append("\n")
            elif tag == f"{W}noBreakHyphen":
                parts.append("\u2011")
            else:
                if tag == f"{W}hyperlink" and (key := element.get(f"{R}id")) in self.part.rels:
                    self.found.links.append(str(self.part.rels[key].target_ref))
                parts.append(self._words(element))
        return "".join(parts)

    def _table(self, table: Any) -> str:
        rows = []
        for row in self._children(table):
            if row.tag != f"{W}tr" or self._is_excluded_row(row):
                continue
            cells = []
            for cell in self._children(row):
                if cell.tag == f"{W}tc":
                    words = " ".join(self._blocks(cell)).replace("\n", " ").replace("|", "\\|")
                    columns = integer(value(cell, f"{W}tcPr/{W}gridSpan"), MAX_COLUMNS) or 1
                    self._lengthen(3 * columns + words.count("|"))
                    cells += [words, *[""] * (columns - 1)]
            rows.append(cells)
        width = max(map(len, rows), default=0)
        if not width:
            return ""
        self._lengthen(3 * (width + sum(width - len(row) for row in rows)))
        lines = ["| " + " | ".join([*row, *[""] * (width - len(row))]) + " |" for row in rows]
        return "\n".join([lines[0], "|" + " --- |" * width, *lines[1:]])

    def _is_excluded_row(self, row: Any) -> bool:
        marks = row.findall(f"{W}trPr/{W}ins") + row.findall(f"{W}trPr/{W}del")
        for mark in marks:
            self._count(mark)
        return any(self._is_excluded(mark) for mark in marks)

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
                words = " ".join(" ".join("".join(t.text or "" for t in p.iter(f"{W}t")) for p in root).split())
                if re.search(r"[^\W\d]", words):
                    self.found.margins.append(words)
                continue
            for note in root:
                if note.get(f"{W}type"):  # A separator line.
                    continue
                words = " ".join("".join(t.text or "" for t in note.iter(f"{W}t")).split())
                author = note.get(f"{W}author")
                into = self.found.comments if kind == "comments" else self.found.footnotes
                into.append(f"{author}: {words}" if author else words)
