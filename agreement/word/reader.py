"""Reads a Word file (.docx) into the text of an edition: its words, its numbers as Word displays them, its tables.

python-docx opens the file. No library computes the labels of automatic numbering, so this module does. Comments,
footnotes, pictures and hidden text can't become part of an agreement: they are counted or listed. Tracked changes give
two texts, one with all changes accepted and one with all changes rejected.

A file may be hostile. Therefore it is checked before python-docx opens it. It is refused if it is too large, also when
unpacked, if it is encrypted or damaged, or if it contains macros, programs, an XML document type, an unusual encoding,
or a link to a part elsewhere. Hyperlinks are allowed.
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

#: The largest file that is accepted, packed and unpacked, in bytes, and its largest number of parts.
MAX_PACKED, MAX_UNPACKED, MAX_PARTS = 5_000_000, 50_000_000, 2000
#: The largest number of tags in one part, so that reading takes seconds at most.
MAX_TAGS = 500_000
#: The most columns of a table in Word. A cell that claims to span more could fill the memory.
MAX_COLUMNS = 63
W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
#: Elements of a paragraph that are counted as pictures. Their words are not read.
_PICTURES = frozenset(f"{W}{name}" for name in ("drawing", "pict", "object")) | {
    "{http://schemas.openxmlformats.org/markup-compatibility/2006}AlternateContent"
}
M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
#: Elements that only wrap others: their children are read in their place.
_CONTAINERS = frozenset(f"{W}{name}" for name in ("sdt", "sdtContent", "customXml", "smartTag"))
_UNSUPPORTED = frozenset({f"{W}sym", f"{W}altChunk", f"{M}oMath", f"{M}oMathPara"})
_ROMAN: tuple[tuple[int, str], ...] = (
    *((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl")),
    *((10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i")),
)
#: The letters of Russian lists: without ё, й, ъ, ы, ь.
_RUSSIAN = "абвгдежзиклмнопрстуфхцчшщэюя"


@dataclass(slots=True)
class Manuscript:
    """The content of a Word file: two texts, and what is in neither text.

    ``accepted`` is the text with all tracked changes accepted, and ``rejected`` the text with all of them rejected.
    They are equal if no change was tracked. Each integer is a count: of insertions, deletions, pictures, hidden
    passages, and others that are described below. Moved text counts as an insertion and a deletion. Changes of the
    format are not counted.

    ``comments`` and ``footnotes`` are the words of these notes, after the name of the author if the file has it.
    ``footnotes`` includes endnotes. ``links`` are the addresses of hyperlinks, without those that are fields or that
    lead to a place in the file; the words of all these are in the texts, except in a table of contents. ``margins`` are
    the words of each header and footer that contains letters. The counts and ``links`` come from the reading with all
    changes accepted.
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
    programs, an XML document type, an unusual encoding or a link to a part elsewhere (other than a hyperlink), or has
    no text with all changes accepted (an empty table is text). Its sentence and hint are in the active language. Raises
    ``ImportError`` if the extra ``docx`` is not installed; the file may be refused before that.
    """
    _require_harmless(content, name)
    import docx
    from docx.opc.exceptions import OpcError

    try:
        document = docx.Document(io.BytesIO(content))
        found = Manuscript()
        found.accepted = _Reader(document, found, accept=True).text()
        if found.tracked:
            found.rejected = _Reader(document, Manuscript(), accept=False).text()
        else:
            found.rejected = found.accepted
    except (OpcError, ValueError, KeyError, AttributeError, SyntaxError, zipfile.BadZipFile, RecursionError) as error:
        raise _refused(name, _("it can't be read as a Word document")) from error
    if not found.accepted.strip():
        raise _refused(name, _("it contains no text"))
    return found


def _refused(name: str, why: str) -> source.SourceError:
    sentence = _("%(name)s was not accepted: %(why)s.") % {"name": name, "why": why}
    return source.SourceError(
        sentence, _("Save the text as .docx without macros, links and pictures, or as UTF-8 text.")
    )


def _require_harmless(content: bytes, name: str) -> None:
    """Raise ``source.SourceError`` for a file that is dangerous to open, too large, encrypted or damaged, or no .docx
    file. ``name`` is the name of the file in messages. python-docx must be installed.
    """
    if len(content) > MAX_PACKED:
        raise _refused(name, _("it is larger than %(size)s MB") % {"size": MAX_PACKED // 1_000_000})
    try:
        package = zipfile.ZipFile(io.BytesIO(content))
        parts = package.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):  # The last: a newer form of ZIP.
        raise _refused(name, _("it is not a .docx file")) from None
    names = [part.filename for part in parts]
    # zipfile never unpacks more of a part than its header says, so the headers bound what follows.
    if len(parts) > MAX_PARTS or sum(part.file_size for part in parts) > MAX_UNPACKED:
        raise _refused(name, _("it is too large when unpacked"))
    if len(set(names)) != len(names) or any(part.flag_bits & 0x1 for part in parts):
        raise _refused(name, _("it is encrypted or damaged"))
    if "[Content_Types].xml" not in names or "word/document.xml" not in names:
        raise _refused(name, _("it is not a .docx file"))
    for part in parts:
        lower = part.filename.lower()
        if "vba" in lower or lower.endswith((".bin", ".exe", ".dll")) or "activex" in lower:
            raise _refused(name, _("it contains macros or programs"))
        if not lower.endswith((".xml", ".rels")):
            continue
        try:
            xml = package.read(part)
            if xml.count(b"<") > MAX_TAGS:
                raise _refused(name, _("it is too large when unpacked"))
        except (zipfile.BadZipFile, OSError, RuntimeError, EOFError):  # Also a compression that zipfile does not know.
            raise _refused(name, _("it is encrypted or damaged")) from None
        head = xml[:200].replace(b"\0", b"").lower()
        coded = re.search(rb"encoding\s*=\s*[\"']([\w-]+)", head)
        if re.search(rb"<!(?:doctype|entity)", xml.replace(b"\0", b""), re.I) or (
            coded and coded[1] not in {b"utf-8", b"utf-16", b"us-ascii"}
        ):
            raise _refused(name, _("its XML declares entities or an unusual encoding"))
        if lower == "[content_types].xml" and b"macroenabled" in xml.lower():
            raise _refused(name, _("it contains macros or programs"))
        if lower.endswith(".rels"):
            _require_inside(xml, name)


def _require_inside(xml: bytes, name: str) -> None:
    """Raise ``source.SourceError`` if a relation in ``xml``, the text of a ``.rels`` part, leads out of the file, or if
    the text can't be parsed. A program that opens the file would fetch the target. Hyperlinks are allowed.
    """
    from docx.oxml import parse_xml

    try:
        relations: Any = parse_xml(xml)
    except (ValueError, SyntaxError):
        raise _refused(name, _("it can't be read as a Word document")) from None
    for relation in relations:
        outside = relation.get("TargetMode", "").lower() == "external"
        if outside and not relation.get("Type", "").endswith("/hyperlink"):
            raise _refused(
                name, _("it refers to an external file: %(target)s") % {"target": relation.get("Target", "")}
            )


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
        self.numbering = _Numbering(self.part, self.styles)

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
        carried = ""
        for element in self._children(parent):
            if element.tag == f"{W}tbl":
                yield self._table(element)
            elif element.tag == f"{W}p":
                words = carried + self._words(element)
                if self._continues(element):
                    carried = words
                    continue
                carried = ""
                yield self._paragraph(element, words.strip())
            elif element.tag in _UNSUPPORTED:
                self.found.odd += 1
        if carried.strip():
            yield _escaped(carried.strip())

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
        marks = paragraph.findall(f"{W}pPr/{W}rPr/{W}ins") + paragraph.findall(f"{W}pPr/{W}rPr/{W}del")
        for mark in marks:
            self._count(mark)
        return any(self._is_excluded(mark) for mark in marks)

    def _count(self, change: Any) -> None:
        if change.tag in {f"{W}ins", f"{W}moveTo"}:
            self.found.insertions += 1
        elif change.tag in {f"{W}del", f"{W}moveFrom"}:
            self.found.deletions += 1

    def _paragraph(self, paragraph: Any, words: str) -> str:
        style = self._style(paragraph)
        name = _value(style, f"{W}name").lower() if style is not None else ""
        if name.startswith("toc"):
            self.found.contents += bool(words)
            return ""
        if not words:
            return ""
        label = self.numbering.label(paragraph)
        level = self._level(paragraph, style, name)
        mark = "#" * level + " " if level else ""
        if label:
            return f"{mark}{label} {_escaped(words, start=False)}"
        return mark + _escaped(words, start=not mark)

    def _level(self, paragraph: Any, style: Any, name: str) -> int:
        """The level of a heading in Markdown: 1 for a title, 2 to 5 for the first four levels of Word; 0 for any other
        paragraph. The name of the style decides, then the outline level of the paragraph itself.
        """
        if name == "title":
            return 1
        if match := re.fullmatch(r"(?:heading|заголовок|тақырып) ([1-4])", name):
            return int(match[1]) + 1
        outline = _value(paragraph, f"{W}pPr/{W}outlineLvl")
        return int(outline) + 2 if outline.isdigit() and int(outline) < 4 else 0

    def _style(self, paragraph: Any) -> Any:
        return self.styles.get(_value(paragraph, f"{W}pPr/{W}pStyle"))

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
                    span = _value(cell, f"{W}tcPr/{W}gridSpan")
                    columns = min(int(span), MAX_COLUMNS) if span.isdecimal() and len(span) < 9 else 1
                    cells += [words, *[""] * (columns - 1)]
            rows.append(cells)
        width = max(map(len, rows), default=0)
        if not width:
            return ""
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

        for relation in self.part.rels.values():
            kind = relation.reltype.rpartition("/")[2]
            if relation.is_external or kind not in {"comments", "footnotes", "endnotes", "header", "footer"}:
                continue
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


class _Numbering:
    """Computes the labels of automatic numbering, which Word stores in no file: "1.", "1.1.", "2)", "б)"."""

    def __init__(self, part: Any, styles: dict[str, Any]) -> None:
        self.styles = styles
        self.kinds: dict[str, Any] = {}
        self.lists: dict[str, tuple[str, dict[int, int]]] = {}
        self.levels: dict[str, dict[int, Any]] = {}
        self.counts: dict[str, dict[int, int]] = {}
        self.begun: set[str] = set()
        if not any(relation.reltype.endswith("/numbering") for relation in part.rels.values()):
            return
        root = part.numbering_part.element
        for kind in root.findall(f"{W}abstractNum"):
            self.kinds[kind.get(f"{W}abstractNumId")] = kind
        for one in root.findall(f"{W}num"):
            key, kind = one.get(f"{W}numId"), _value(one, f"{W}abstractNumId")
            levels = {int(level.get(f"{W}ilvl")): level for level in self._levels(kind)}
            starts = {}
            for override in one.findall(f"{W}lvlOverride"):
                depth = int(override.get(f"{W}ilvl"))
                if start := _value(override, f"{W}startOverride"):
                    starts[depth] = int(start)
                if (level := override.find(f"{W}lvl")) is not None:
                    levels[depth] = level
            self.lists[key] = (kind, starts)
            self.levels[key] = levels

    def _levels(self, kind: str) -> list[Any]:
        found = self.kinds.get(kind)
        if found is None:
            return []
        # The numbering may refer to a list style. Then its levels are in the numbering that defines the style.
        if linked := _value(found, f"{W}numStyleLink"):
            found = next((it for it in self.kinds.values() if _value(it, f"{W}styleLink") == linked), found)
        return list(found.findall(f"{W}lvl"))

    def label(self, paragraph: Any) -> str:
        """The label of this paragraph; ``-`` for a bullet, ``""`` if none. A format of numbers that is not known gives
        digits. It counts the paragraph: call it once for each paragraph, in the order of the file.
        """
        key, depth = self._place(paragraph)
        level = self.levels.get(key, {}).get(depth)
        if level is None:
            return ""
        kind, starts = self.lists[key]
        counts = self.counts.setdefault(kind, {})
        if key not in self.begun:
            self.begun.add(key)
            for deep, start in starts.items():
                counts[deep] = start - 1
        first = _value(level, f"{W}start")
        counts[depth] = counts.get(depth, (int(first) if first.isdigit() else 1) - 1) + 1
        for deeper in [deep for deep in counts if deep > depth]:
            if _value(self.levels[key].get(deeper), f"{W}lvlRestart") != "0":
                del counts[deeper]
        if _value(level, f"{W}numFmt") == "bullet":
            return "-"
        legal = level.find(f"{W}isLgl") is not None
        return re.sub(
            r"%([1-9])",
            lambda match: self._number(key, int(match[1]) - 1, counts, legal=legal),
            _value(level, f"{W}lvlText"),
        ).strip()

    def _place(self, paragraph: Any) -> tuple[str, int]:
        style = _value(paragraph, f"{W}pPr/{W}pStyle")
        key, depth = _value(paragraph, f"{W}pPr/{W}numPr/{W}numId"), _value(paragraph, f"{W}pPr/{W}numPr/{W}ilvl")
        seen: set[str] = set()
        named = style
        while not key and style in self.styles and style not in seen:
            seen.add(style)
            key = _value(self.styles[style], f"{W}pPr/{W}numPr/{W}numId")
            depth = depth or _value(self.styles[style], f"{W}pPr/{W}numPr/{W}ilvl")
            named, style = style, _value(self.styles[style], f"{W}basedOn")
        if not depth and named:
            tied = [deep for deep, level in self.levels.get(key, {}).items() if _value(level, f"{W}pStyle") == named]
            depth = str(tied[0]) if tied else ""
        return key, int(depth) if depth.isdigit() else 0

    def _number(self, key: str, depth: int, counts: dict[int, int], *, legal: bool) -> str:
        level = self.levels[key].get(depth)
        if level is None:
            return ""
        start = _value(level, f"{W}start")
        number = counts.get(depth, int(start) if start.isdigit() else 1)
        return _formatted(number, "decimal" if legal else _value(level, f"{W}numFmt"))


def _formatted(number: int, form: str) -> str:
    if form == "none":
        return ""
    if form == "decimalZero":
        return f"{number:02}"
    if form in {"lowerLetter", "upperLetter", "russianLower", "russianUpper"} and number > 0:
        letters = "abcdefghijklmnopqrstuvwxyz" if "Letter" in form else _RUSSIAN
        word = letters[(number - 1) % len(letters)] * ((number - 1) // len(letters) + 1)
        return word.upper() if "upper" in form.lower() else word
    if form in {"lowerRoman", "upperRoman"} and 0 < number < 4000:
        word = ""
        for worth, sign in _ROMAN:
            word += sign * (number // worth)
            number %= worth
        return word.upper() if form == "upperRoman" else word
    return str(number)


def _value(element: Any, place: str) -> str:
    """The attribute ``w:val`` of the element at that path below ``element``; ``""`` if there is none."""
    found = element.find(place) if element is not None else None
    return (found.get(f"{W}val") or "") if found is not None else ""


def _escaped(words: str, *, start: bool = True) -> str:
    """The words with a backslash before backslashes and the marks of emphasis, code and links in brackets, and before
    ``#``, ``>``, ``+`` and ``-`` at the beginning of a line if a space, ``#`` or ``>`` follows on it. Numbers and
    character references are not escaped. ``start``: do the words begin their line?

    Each line loses the white space at its ends, and several spaces become one.
    """
    words = re.sub(r"([\\`*])", r"\\\1", words)
    words = re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", words)
    words = re.sub(r"\[(?=[^\]\n]*\]\()", r"\\[", words)
    lines = [re.sub(r" {2,}", " ", line.strip()) for line in words.split("\n")]
    first = 0 if start else 1
    return "\n".join(
        re.sub(r"^([#>+-])(?=[\s#>])", r"\\\1", line) if place >= first else line for place, line in enumerate(lines)
    )
