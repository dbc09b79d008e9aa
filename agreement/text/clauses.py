"""Parses Markdown or plain text into numbered sections and clauses with anchors, and into HTML safe on any page.

The grammar is that of Python-Markdown. :class:`Numbering` adds what an agreement needs and Markdown lacks: a line that
begins with a number begins a new unit. The units are consecutive pieces of the text. Joined in order, they give the
text again, character for character. The table summarises the kinds of units; ``agreement/docs/text.md`` describes
the conditions:

=========== ======================= ===========================================================================
kind        begins with             number, the same in both languages
=========== ======================= ===========================================================================
front       what is above the   none: an approval, a place, a date or the like, which ``front_matter`` finds; one unit
            title
title       the first line that is  none; also the first line if it is a ``#`` heading without a number. Below an
            not empty, unless it    approval, a place or the like, it is the line that ``front_matter`` finds
            begins another unit
section     ``1. CAPITALS``         ``1``; small letters are enough in a heading of Markdown, before ``1.1``, or if the
            ``Статья 1.`` ``I.``    other numbers of the text begin sections. ``ch1`` for ``Глава 1`` around articles,
                                    and around clauses whose numbers continue from one chapter to the next
clause      ``1.1.`` ``1.1``        ``1.1``; ``15`` for ``15.`` of rules that are numbered from 1 on, and ``5.2`` for
                                    ``2.`` in ``Статья 5``
subclause   ``1.1.1.`` ``1)``       ``1.1.1``; ``1.1.1.1`` below it; ``1.1-2`` for ``2)`` of 1.1; also ``(2)``, and
                                    ``2.`` of a list
item        ``а)`` ``(ii)``         ``1.1-b``, ``1.1-2b``: the place of the item, because the second item has the
                                    letter ә in Kazakh and б in Russian; ``1.1-b2`` for ``(ii)`` in ``(b)``
note        ``Примечание.``         none; also ``Сноска``, ``Ескерту``, ``Ескертпе``
heading     ``#``                   none; also a line that is underlined with ``=`` or ``-``. If numbers from 1 on
                                    begin under several of them, they may be sections, numbered by their places
heading     ``ПРИЛОЖЕНИЕ 1``        ``a1``, by its place among the appendices; also ``1-ҚОСЫМША``. If an appendix
                                    starts its own numbering, its numbers get this prefix: ``a1.1``, ``a1.1.1-2b``. It
                                    does so if its first number was used before the appendix, or if the first part of
                                    that number is less than that of the last number before the appendix
text        what follows a title,   none; also a first line that can be no title, such as a list
            section or heading and
            begins no other unit
=========== ======================= ===========================================================================

A year, a date such as ``01.03.2024`` or an address (``192.168.0.1``) is no number of a unit. A number under a line that
does not end a sentence may belong to that sentence. It then begins a unit only if more conditions are met.

HTML tags other than ``<br>``, HTML comments and link definitions inside an agreement are text. They are displayed as
written, so that nothing that binds a reader is invisible. A character reference (``&copy;``) outside code is displayed
as its character. In a very long paragraph with very many marks of Markdown, and in a line that opens nine or more
quotations and lists in one another, these marks are displayed as written too.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise

import nh3
from markdown import Markdown
from markdown.blockparser import BlockParser
from markdown.blockprocessors import BlockProcessor
from markdown.extensions import Extension
from markdown.extensions.tables import TableExtension
from markdown.preprocessors import Preprocessor
from markdown.treeprocessors import Treeprocessor
from markdown.util import ETX, STX

from agreement.memory import remembered
from agreement.text import references
from agreement.text.escaping import escaped
from agreement.text.front_matter import MAX_LINES, front_matter
from agreement.text.headings import ENDED, underlined
from agreement.text.markdown import install, print_numbers, text_lines
from agreement.text.outline import Kind, Start, outline
from agreement.text.scheme import Doubt

__all__ = ["Clause", "Document", "parse"]

ANCHOR = re.compile(
    r"(?:a\d{1,3}|(?:a\d{1,3}\.)?(?:ch|pt|bk|vo)?\d{1,3}(?:_\d{1,3})?(?:\.\d{1,3}){0,5})"
    r"(?:-(?:\d{1,3}(?:[a-z]{1,2}\d{0,3})?|[a-z]{1,2}\d{0,3}))?\Z"
)
TAGS = frozenset(
    "a blockquote br code em h1 h2 h3 h4 h5 h6 hr li ol p pre span strong table tbody td th thead tr ul".split()
)
ATTRIBUTES = {
    "a": {"href", "class"},
    **{f"h{level}": {"id"} for level in range(2, 7)},
    "li": {"value"},
    "p": {"id", "class"},
    "span": {"class"},
    "td": {"align"},
    "th": {"align"},
}
CLASSES = frozenset({"clause", "subclause", "item", "note", "number", "name", "reference"})

_UNREADABLE = re.compile("[\x00\ud800-\udfff]")
_NESTING = re.compile(r"(?:\s*(?:>|(?:[-*+]|\d+[.)])(?=\s))){9,}")
_LIST = re.compile(r" {0,3}(?:[-*+]|\d+\.)\s")
_DOT = re.compile(r"\s*[•·▪◦●]\s")
_DASH = re.compile(r" {0,3}[–—]\s")
_STRUCTURE = re.compile(rf"{_LIST.pattern}| {{0,3}}>| {{4}}")
_RULE = re.compile(r" {0,3}\|?(?: *:?-+:? *\|)+(?: *:?-+:?)? *\Z")
_BREAK = re.compile(r"(?<!\\)\\ *\Z")  # A line break of Markdown, which has no effect at the end of a heading.
_PAIR = re.compile(r"\\.")
_MARK = re.compile(f"{STX}unit:(\\d+){ETX}")
_CUT = re.compile(f"{STX}cut:(\\d+){ETX}\n?")
_WORD = re.compile(r"(?:(?![IVXLІХ]+\W*\Z)[^\W\d_]){2}|§")
LINE_END = re.compile("\r\n|\r|\n")

#: The longest title an edition can have, in characters.
LONGEST_TITLE = 255


@dataclass(frozen=True, slots=True)
class Clause:
    """A unit of an agreement: a title, section, clause, sub-clause, item, note, heading or text.

    ``number`` is ``""`` if the unit has none. ``anchor``, the ``id`` of the unit in the page, equals ``number``. If a
    number is used twice in a text, only the first unit with it has the ``id``.
    """

    kind: Kind
    number: str
    text: str
    """The words without the label and without Markdown, one line for each paragraph, list item or row of a table. They
    include the addresses of links."""
    label: str = ""
    """The number as it is printed: ``1.1.``, ``2)``, ``ә)``; of a note its first word, such as ``Примечание.``; ``""``
    for a title, a text, a heading or an appendix, and for a section whose ``number`` is its place."""
    parent: str = ""
    """The number of the unit that contains this one; ``""`` if none does. ``2)`` before the first section, clause or
    appendix has the parent ``"0"``, and so has ``ә)`` there if no ``2)`` precedes it. The number ``1.1`` has the parent
    ``1``, whether or not there is a section 1. The clause ``15`` has the number of its chapter as parent. The parent
    of a unit without a number is the number of the last appendix, section, clause or sub-clause before it; ``""`` if
    there is none."""
    line: int = 1
    """The line of the body at which the unit begins, from 1."""
    start: int = 0
    """The offset of ``source`` in the body, in characters."""
    source: str = ""
    """The part of the body from ``start`` to the next unit, including white space; that of the first unit begins at the
    beginning of the body."""
    doubt: Doubt = ""
    """``clauses`` if the numbers that begin here were read as clauses and might be a list; ``list`` if numbers in this
    unit were read as a list and might be clauses; ``glued`` if no space follows the number; ``repeated`` and
    ``counted`` as in ``outline.Start``; otherwise ``""``."""

    @property
    def anchor(self) -> str:
        return self.number


@dataclass(frozen=True)
class Document:
    """The parsed text of an edition in one language.

    ``title`` is the result of :func:`title_line`, also if the first unit is no title.
    """

    title: str
    units: tuple[Clause, ...]
    """All units in order: ``"".join(unit.source for unit in units)`` is the body. Empty for an empty body."""
    parts: tuple[str, ...]
    """The HTML of each unit, in the order of ``units``; ``""`` for a unit without HTML, such as the title. No element
    continues in the next part, so a page may insert something between parts."""

    @cached_property
    def html(self) -> str:
        """The HTML of the text without the title unit."""
        return "".join(self.parts)

    @cached_property
    def clauses(self) -> tuple[Clause, ...]:
        """The units that have a number, in order."""
        return tuple(unit for unit in self.units if unit.number)

    @cached_property
    def numbers(self) -> tuple[str, ...]:
        """The numbers of the numbered units, in order. A number that is used twice occurs twice."""
        return tuple(clause.number for clause in self.clauses)

    @cached_property
    def labels(self) -> dict[tuple[str, str], str]:
        """Two kinds of entries, for references. (Number of a unit, label of an item in it) → number of the item:
        ``("1.1", "2)")`` → ``"1.1-2"``. And (number of an appendix such as ``a1``, or ``""``; name) → number of the
        section, the appendix or the clause (if its number has one part) with that name: ``("", "article 5")`` →
        ``"5"``. ``references.name`` describes the names. A section whose number without the prefix of an appendix has
        only digits is found as ``section 5`` too.

        Items are the units whose numbers contain a dash. Their labels ``(2)`` and ``2.`` are found as ``2)``. An item
        ``ә)`` in ``1.1-2`` is found under ``1.1-2`` and under ``1.1``. If a label or a name occurs twice, the first
        unit is found.
        """
        return _labels(self.clauses)

    @property
    def source(self) -> str:
        """The text that was parsed, character for character."""
        return "".join(unit.source for unit in self.units)


def named_label(unit: Clause) -> str:
    """The label of a unit without its final mark, if it has a word or ``§`` («Глава 2», «5-бап»); otherwise, and for a
    note, ``""``.
    """
    return unit.label.rstrip(".:) ") if _WORD.search(unit.label) and unit.kind != "note" else ""


#: The line below a title that makes it a heading of Markdown.
_UNDERLINE = re.compile(r"(?:=+|-+)\s*")


def title_line(body: str) -> str:
    """The words of the title line: the first line of the text that is not empty, or the one below an approval, a place
    or the like (:func:`front_matter`). ``""`` if no line has more than white space and marks ``#``. The lines of
    ``body`` must end with LF.

    The words of a title are those of ``Clause.text``, without Markdown. A line that is no title, because it begins a
    clause, a list or the like, is returned as it is written, without the marks of a heading. The text is parsed, as by
    :func:`parse`.
    """
    return parse(body).title


def replace_title(body: str, title: str) -> str:
    """The text with the words ``title`` in place of its title, which is the line that :func:`front_matter` finds. If
    these words already stand on another line of their own, in capital or small letters, and a heading there would be
    the title, that line becomes the heading, and the other line remains. If the title line begins a clause, a list or
    the like, the words are put above it. If there is no such line, as in an empty text or one that is only a date, they
    are put above the text.

    The words become a heading of Markdown. It can still be no title, for example if the words begin with a number: to
    find out, compare :func:`title_line` of the result with ``title``. A line of ``=`` or ``-`` directly below the
    replaced line is removed. The lines of ``body`` must end with LF; those of the result do.
    """
    lines, line = body.split("\n"), front_matter(body).line
    heading = f"# {escaped(' '.join(title.split()), start=False)}"
    for at, other in enumerate(lines[line + 1 : MAX_LINES], start=line + 1):
        if other.strip("#*_ ").casefold() == title.casefold():
            moved = "\n".join([*lines[:at], heading, *lines[at + 1 :]])
            if front_matter(moved).line == at:
                return moved
    if not any(unit.kind == "title" and unit.line == line + 1 for unit in parse(body).units):
        line = max(line, 0)
        return "\n".join([*lines[:line], heading, "", *lines[line:]])
    rest = lines[line + 1 :]
    return "\n".join([*lines[:line], heading, *rest[bool(rest and _UNDERLINE.fullmatch(rest[0])) :]])


@remembered
@lru_cache(maxsize=64)
def parse(body: str) -> Document:
    """Parse the text of an edition in one language. Accepts any text without an error. The HTML contains only the tags
    in ``TAGS``.

    In the HTML and the words, U+FFFD replaces NUL, lone surrogates, STX and ETX. The sources of the units keep them.
    The documents of the 64 texts that were used last are cached.
    """
    # Python-Markdown uses STX and ETX as marks. It would drop them from the text, with the words between them.
    readable = _UNREADABLE.sub("\ufffd", body).replace(STX, "\ufffd").replace(ETX, "\ufffd")
    numbering = Numbering()
    markdown = Markdown(extensions=[TableExtension(use_align_attribute=True), numbering], output_format="html")
    page = markdown.convert(readable)
    units = numbering.lines.starts
    ends = [0, *(match.end() for match in LINE_END.finditer(body))]
    edges = [0, *(ends[unit.line] for unit in units[1:]), len(body)]
    found = tuple(
        Clause(
            unit.kind,
            unit.number,
            "\n".join(unit.words),
            unit.label,
            unit.parent,
            unit.line + 1,
            edges[index],
            body[edges[index] : edges[index + 1]],
            unit.doubt,
        )
        for index, unit in enumerate(units)
    )
    if not found and body:
        found = (Clause("text", "", "", source=body),)
    title = next((unit.text.partition("\n")[0] for unit in found if unit.kind == "title"), None)
    return Document(front_matter(body).title if title is None else title, found, _parts(clean(page), len(found)))


def _parts(page: str, count: int) -> tuple[str, ...]:
    """The HTML of each unit, ``""`` for a unit without HTML. ``page`` is the HTML of all units, ``count`` their number.

    ``_Units`` marked in the page where each unit with HTML begins: before a block, never inside one.
    """
    parts = [""] * count
    _, *others = _CUT.split(page)
    for place, part in zip(others[::2], others[1::2], strict=True):
        parts[int(place)] += part
    return tuple(parts)


def clean(html: str) -> str:
    """The HTML with only the tags in ``TAGS`` and the attributes in ``ATTRIBUTES``, ``lang`` and ``title``: a second
    safeguard on the output of :func:`parse`.

    An ``id`` must match ``ANCHOR``, a class must be one of ``CLASSES``, and ``value`` a number. The URL of a link must
    be relative or have the scheme http, https, mailto or tel. Any other value is removed with its attribute. Links get
    ``rel="noopener noreferrer"``. The words inside a removed tag remain, except those of ``script`` and ``style``.
    """
    return nh3.clean(
        html,
        tags=set(TAGS),
        attributes={tag: set(names) for tag, names in ATTRIBUTES.items()},
        attribute_filter=_attribute,
        url_schemes={"http", "https", "mailto", "tel"},
        link_rel="noopener noreferrer",
    )


def _attribute(tag: str, name: str, value: str) -> str | None:
    if name == "id":
        return value if ANCHOR.match(value) else None
    if name == "class":
        return value if value in CLASSES else None
    if name == "value":
        return value if value.isdecimal() else None
    return value


class Numbering(Extension):
    """Extension of Python-Markdown: numbers begin blocks. Images, link definitions and all HTML but ``<br>`` are
    switched off, and the changes of ``agreement.text.markdown`` are installed. One instance is for one text. After the
    conversion ``lines.starts`` are the units of the text.
    """

    lines: _Lines

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 - Python-Markdown's name
        md.preprocessors.deregister("html_block")
        md.parser.blockprocessors.deregister("reference")
        install(md)
        lines = self.lines = _Lines(md)
        md.preprocessors.register(lines, "agreement_units", 5)
        md.parser.blockprocessors.register(_Blocks(md.parser, lines), "agreement_units", 200)
        # It runs after the last processor of Python-Markdown, which turns escapes into characters.
        md.treeprocessors.register(_Units(md, lines), "agreement_units", -10)


class _Lines(Preprocessor):
    """Prepares the lines for Python-Markdown, and stores the units that begin in them in ``starts``.

    An empty line is put before each line that begins a unit, and one after the title and after the heading of a unit. A
    line that begins a unit other than a text becomes a mark with the index of the unit in ``starts``, followed by
    ``outline.Start.rest``: the words of the line, or of the heading, without the label. Further lines of its heading,
    and a line that underlines it, are left out. Some lists and tables directly under a paragraph get an empty line
    before them (``_apart``). Lines that were not wrapped keep their line break (``_broken``), and costly characters are
    escaped (``_bounded``).
    """

    def __init__(self, md: Markdown) -> None:
        super().__init__(md)
        self.starts: list[Start] = []

    def run(self, lines: list[str]) -> list[str]:
        starts = outline(lines)
        start = next(starts, None)
        marked: list[str] = []
        skip = range(0)
        for number, line in enumerate(lines):
            if start is None or number != start.line:
                if number not in skip:
                    marked += [""] * _apart(lines, number) + [line]
                continue
            if start.kind in {"front", "text"}:
                marked += ["", line]
            else:
                marked += ["", f"{STX}unit:{len(self.starts)}{ETX}{start.rest}" + "  " * line.endswith("  ")]
                skip = range(start.last + 1)
                if start.tag != "p" or start.kind == "title":
                    marked[-1] = _BREAK.sub("", marked[-1])
                    marked.append("")
                    skip = range(start.last + 1 + underlined(lines, start.last))
            self.starts.append(start)
            start = next(starts, None)
        return list(_bounded(marked))


def _labels(clauses: tuple[Clause, ...]) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for clause in clauses:
        number = clause.number
        if "-" in number:
            label = f"{clause.label.strip('().')})"
            found.setdefault((clause.parent, label), number)
            found.setdefault((number.partition("-")[0], label), number)
        elif clause.kind == "heading" and number:
            found.setdefault(("", references.appendix_name(clause.text)), number)
        elif clause.kind in {"section", "clause"}:
            appendix, _, inner = number.partition(".") if number.startswith("a") else ("", "", number)
            name = references.name(clause.label, clause=clause.kind == "clause")
            if name and not (name.startswith("clause") and "." in inner):
                found.setdefault((appendix, name), number)
                if clause.kind == "section" and inner.isdigit():
                    found.setdefault((appendix, f"section {inner}"), number)
    return found


def _apart(lines: list[str], number: int) -> bool:
    """Does ``lines[number]`` need an empty line before it, so that Markdown does not join it to the line above?

    This is true directly under a line that is not empty, for four kinds of lines: one that begins with a dot such as
    ``•``; an item of a list, if the line above ends with a colon; one that begins with ``–`` or ``—``, if the line
    above ends with a colon, a semicolon or a full stop, or begins with such a dash too and ends with a comma; and the
    head of a table, if the line above contains no ``|``. It is false for a line that is indented by four characters or
    more.
    """
    line, before = lines[number], lines[number - 1].rstrip() if number else ""
    if not before or line[:4].isspace():
        return False
    if _DOT.match(line) or (_LIST.match(line) and before.endswith(":")):
        return True
    if _DASH.match(line) and (before[-1] in ":;." or (before[-1] == "," and _DASH.match(before))):
        return True
    return "|" in line and "|" not in before and number + 1 < len(lines) and _RULE.match(lines[number + 1]) is not None


def _broken(block: list[str]) -> list[str]:
    """The lines of a block, with two spaces, a line break of Markdown, after each line that no program has wrapped.

    Blocks that begin like a list, a quotation or code, tables and costly blocks are not changed. In another block,
    these lines get a break, except the last line and a bullet or number alone:

    - every line, if one is longer than 120 characters: such a paragraph was not wrapped;
    - a line that has at most 50 characters together with the first word of the next line, as in a block of requisites;
    - every line that ends like a sentence or an item, if at least one of these lines, together with the first word of
      the next line, is not longer than the longest line of the block.
    """
    if len(block) < 2 or len(block) * sum(map(len, block)) > 40_000_000:
        return block
    words = [_MARK.sub("1.1. ", line).rstrip() for line in block]
    if _STRUCTURE.match(words[0]) or any(map(_RULE.match, words)):
        return block
    width = max(map(len, words))
    room = [len(line) + 1 + len(after.lstrip().partition(" ")[0]) for line, after in pairwise(words)]
    ends = [ENDED.search(line[-9:]) is not None for line in words[:-1]]
    parted = any(end and needed <= width for end, needed in zip(ends, room, strict=True))
    kept = [width > 120 or needed <= 50 or (parted and end) for end, needed in zip(ends, room, strict=True)]
    return [
        line.rstrip() + "  " if keep and not _LIST.fullmatch(f"{line.rstrip()} ") else line  # It would begin a list.
        for line, keep in zip(block, [*kept, False], strict=True)
    ]


def _bounded(lines: list[str]) -> Iterator[str]:
    """Yield the lines with line breaks (``_broken``), and an empty line after the last one. Characters that would cost
    Python-Markdown quadratic time or overflow its stack are escaped. An indent of more than 40 characters becomes 40
    spaces, except before nine or more marks of quotations and lists.
    """
    block: list[str] = []
    for line in [*lines, ""]:
        if line:
            if _NESTING.match(line):
                line = _escape(line, r"[-*+>.)\d]")
            elif line[:41].isspace():
                line = " " * 40 + line.strip()
            block.append(line)
            continue
        for part in [[line] for line in block] if _is_table(block) else [_broken(block)]:
            yield from _inexpensive(part)
        block = []
        yield ""


def _is_table(block: list[str]) -> bool:
    """Is the block certain to become a table, whose cells are parsed one by one? Every line must have a ``|`` at both
    ends, the first line as many as the second, and no line more. The first line must have no backtick. The first two
    lines together must be at most 5000 characters long, because ``_inexpensive`` might escape the ``|`` of longer ones.
    """
    if len(block) < 2 or not _RULE.match(block[1]) or "`" in block[0] or len(block[0]) + len(block[1]) > 5000:
        return False
    head, rule, *rows = [_PAIR.sub("", line.strip(" ")) for line in block]
    bars = rule.count("|")
    ends = all(row[:1] == row[-1:] == "|" for row in (head, rule, *rows))
    return ends and 1 < bars == head.count("|") and all(1 < row.count("|") <= bars for row in rows)


def _inexpensive(block: list[str]) -> list[str]:
    """The lines of a block. If the brackets ``[`` and ``<``, or the marks of emphasis, code, escapes, images, entities
    and tables, are so frequent that Python-Markdown would need quadratic time, each of them is escaped.
    """
    size = sum(map(len, block))
    if size <= 1000:
        return block
    whole = "\n".join(block)
    links, others = whole.count("[") + whole.count("<"), len(re.findall(r"[*_`\\!&|]", whole))
    if links * size > 2_000_000:
        whole = _escape(whole, r"[\[<]")
    if others * size > 40_000_000:
        whole = _escape(whole, r"[*_`\\!&|]")
    return whole.split("\n")


def _escape(text: str, characters: str) -> str:
    marks = [(match.start(), match.end()) for match in _MARK.finditer(text)]
    start = marks[0][1] if marks else 0  # A mark is always the beginning of a block.
    return text[:start] + re.sub(characters, lambda match: f"{STX}{ord(match[0])}{ETX}", text[start:])


class _Blocks(BlockProcessor):
    """Turns a block that begins with a mark of ``_Lines`` into the paragraph or heading of its unit."""

    def __init__(self, parser: BlockParser, lines: _Lines) -> None:
        super().__init__(parser)
        self.lines = lines

    def test(self, parent: ET.Element, block: str) -> bool:
        return _MARK.match(block) is not None

    def run(self, parent: ET.Element, blocks: list[str]) -> None:
        block = blocks.pop(0)
        match = _MARK.match(block)
        assert match  # noqa: S101 - test() has checked it
        start = self.lines.starts[int(match[1])]
        ET.SubElement(parent, start.tag, {"unit": match[1]}).text = block[match.end() :].strip()


class _Units(Treeprocessor):
    """Adds anchors and labels to the blocks, makes links of the references, removes the block of the title, and stores
    the words of each unit in its ``outline.Start``. Lists display their numbers as written (:func:`print_numbers`).

    It also writes a mark between the blocks wherever a unit begins. :func:`_parts` cuts the HTML there and removes the
    marks.
    """

    def __init__(self, md: Markdown, lines: _Lines) -> None:
        super().__init__(md)
        self.lines = lines

    def run(self, root: ET.Element) -> None:
        starts = self.lines.starts
        for start in starts:
            start.words = []
        print_numbers(root)
        current, seen = 0, set[str]()
        last: tuple[ET.Element, Start] | None = None
        placed: list[tuple[ET.Element, Start]] = []
        for block in list(root):
            if mark := block.attrib.pop("unit", None):
                current = int(mark)
            elif starts[current].kind in {"title", "section", "heading"} and current + 1 < len(starts):
                current += 1
            start = starts[current]
            start.words = [*start.words, *text_lines(block)]
            placed.append((block, start))
            if mark and start.kind == "title":
                root.remove(block)
                continue
            # The text between two blocks contains the index of the unit that begins; ``_parts`` cuts there.
            if last is None:
                root.text = f"{STX}cut:{current}{ETX}"
            elif last[1] is not start:
                last[0].tail = f"\n{STX}cut:{current}{ETX}"
            last = block, start
            if not mark:
                continue
            if start.number or start.label:
                self._number(block, start, seen)
        # Nobody can know whether a reference to such a number counts the title too.
        counted = {start.number for start in starts if start.doubt == "counted"}
        numbers = {start.number for start in starts if re.split(r"[.-]", start.number)[0] not in counted}
        labels = _labels(
            tuple(Clause(start.kind, start.number, start.rest, start.label, start.parent) for start in starts)
        )
        for block, start in placed:
            references.link(block, start.number or start.parent, numbers, labels)

    def _number(self, block: ET.Element, start: Start, seen: set[str]) -> None:
        named = _WORD.search(start.label) is not None
        if block.tag == "p" and not (named and start.number):
            block.set("class", "clause" if start.number and "-" not in start.number else start.kind)
        if not start.number:
            block.text = f"{start.label} {block.text or ''}"
            return
        if start.number not in seen:  # An id may occur only once in a page. The lint reports duplicates.
            seen.add(start.number)
            block.set("id", start.number)
        if not start.label:  # An appendix: its heading contains its number.
            return
        link = ET.Element("a", {"href": f"#{start.number}", "class": "name" if named else "number"})
        link.text, link.tail = start.label, f" {block.text or ''}"
        block.text = None
        block.insert(0, link)
