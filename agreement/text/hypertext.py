"""Reads the HTML of a text as Markdown: its words, headings, lists, tables and line breaks."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser

from agreement.text.escaping import escaped

_MARKUP = re.compile(r"</?[a-z][a-z0-9]*(?:\s[^<>]*)?/?>|<!--", re.IGNORECASE)
_BLOCKS = frozenset(
    "address article aside blockquote body caption center dd details div dl dt fieldset figcaption figure footer form"
    " h1 h2 h3 h4 h5 h6 header li main nav ol p pre section summary table ul".split()
)
_VOID = frozenset("area base br col embed hr img input link meta param source track wbr".split())
_UNREAD = frozenset("button head link math meta noscript script select style template textarea title xml".split())
_PICTURES = frozenset("audio canvas embed iframe img object svg video".split())
_STRUCK = frozenset("del s strike".split())
_HIDDEN = re.compile(r"display:\s*none|visibility:\s*hidden", re.IGNORECASE)
_LINE_THROUGH = re.compile(r"text-decoration[^;]*:[^;]*line-through", re.IGNORECASE)
_ADDRESS = re.compile(r"(?:https?|mailto|tel):", re.IGNORECASE)
_SPACES = re.compile(r"[ \t\r\n\f]+")
_SIGNS = {
    "sup": ("^", str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")),
    "sub": ("_", str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")),
}


@dataclass(frozen=True, slots=True)
class Reading:
    """What :func:`to_markdown` returns. ``text`` is the Markdown. ``left_out`` counts what is not in it, under the keys
    ``pictures``, ``hidden passages``, ``struck-out passages`` and ``addresses of links``. A key may have the count 0.
    """

    text: str
    left_out: Counter[str]


def is_html(text: str) -> bool:
    """Does the text contain a comment of HTML, or a tag? A tag may have any name of ASCII letters and digits:
    ``<domain>`` is one. ``<ДОМЕН>`` and ``<name@example.kz>`` are no tags.
    """
    return _MARKUP.search(text) is not None


def to_markdown(text: str) -> Reading:
    """The words of this HTML as Markdown that displays them.

    Headings with their level, paragraphs, lists with their numbers, tables and line breaks stay. Superscripts and
    subscripts become signs such as ``²`` or ``^(n)``. Bold and italics are not taken. Struck-out and hidden words,
    pictures, sound, video and the addresses of links are left out and counted; scripts, styles, fields of forms,
    formulas and other elements in ``_UNREAD`` are left out without a count. Any text is accepted: what is no tag is a
    word.
    """
    reader = _read(text)
    parts = [
        (("\n" if listed and at and reader.blocks[at - 1][1] else "\n\n") if at else "") + block
        for at, (block, listed) in enumerate(reader.blocks)
    ]
    return Reading("".join(parts), reader.left_out)


def plain(text: str) -> str:
    """The words of this HTML in one line, without Markdown. Character references such as ``&amp;`` are decoded, and
    each run of white space becomes one space, also in a text without tags. :func:`to_markdown` describes what is left
    out.
    """
    return " ".join(" ".join(_read(text).words).split())


def _read(text: str) -> _Reader:
    reader = _Reader()
    reader.feed(text)
    reader.close()
    while reader.in_table:
        reader.handle_endtag("table")
    reader.end_block()
    return reader


@dataclass(slots=True)
class _List:
    kind: str
    style: str
    number: int


@dataclass(slots=True)
class _Table:
    rows: list[list[str]] = field(default_factory=list)
    in_cell: bool = False


class _Reader(HTMLParser):
    """Collects blocks of Markdown. Each is a pair: its text, and whether it is an item of a bulleted list."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.blocks: list[tuple[str, bool]] = []
        self.words: list[str] = []
        self.left_out: Counter[str] = Counter()
        self._open: list[str] = []
        #: How many elements were open where the element began that is not read; 0 outside such an element.
        self._unread_from = 0
        self._text = ""
        self._label = ""
        self._heading = 0
        self._lists: list[_List] = []
        self._tables: list[_Table] = []
        self._raised: list[tuple[str, int]] = []

    @property
    def in_table(self) -> bool:
        """Is a table open? The words of a cell are not yet in ``blocks``."""
        return bool(self._tables) and "table" in self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag not in _VOID:
            self._open.append(tag)
        if self._unread_from:
            return
        if kind := _unread(tag, attributes):
            if kind != "code":
                self.left_out[kind] += 1
            if tag not in _VOID:
                self._unread_from = len(self._open)
            return
        if tag == "br":
            self._text += "\n"
        elif tag in _SIGNS:
            self._raised.append((tag, len(self._text)))
        elif tag == "a":
            self.left_out["addresses of links"] += bool(_ADDRESS.match(attributes.get("href", "")))
        elif tag in {"td", "th", "tr"} and self._tables:
            self._end_cell()
            if tag == "tr" or not self._tables[-1].rows:
                self._tables[-1].rows.append([])
            self._tables[-1].in_cell = tag != "tr"
        elif tag == "table":
            self.end_block()
            self._tables.append(_Table())
        elif tag in _BLOCKS or tag == "hr":
            self.end_block()
            self._begin(tag, attributes)

    def _begin(self, tag: str, attributes: dict[str, str]) -> None:
        if re.fullmatch("h[1-6]", tag):
            self._heading = int(tag[1])
        elif tag in {"ol", "ul"}:
            start = attributes.get("start", "")
            self._lists.append(_List(tag, attributes.get("type", ""), int(start) if _is_number(start) else 1))
        elif tag == "li":
            one = self._lists[-1] if self._lists else _List("ul", "", 1)
            if _is_number(value := attributes.get("value", "")):
                one.number = int(value)
            depth = sum(other.kind == "ul" for other in self._lists)
            self._label = f"{'    ' * max(0, depth - 1)}-" if one.kind == "ul" else _number(one)
            one.number += 1

    def handle_endtag(self, tag: str) -> None:
        # As in a browser, an end tag in a table does not end what began outside the table.
        here = self._open[::-1].index("table") if tag != "table" and "table" in self._open else len(self._open)
        if tag not in self._open[len(self._open) - here :]:
            return
        while self._open.pop() != tag:
            pass
        if self._unread_from:
            if len(self._open) < self._unread_from:
                self._unread_from = 0
            return
        if tag in _SIGNS and self._raised:
            self._raise(*self._raised.pop())
        elif tag in {"td", "th", "tr"} and self._tables:
            self._end_cell()
        elif tag == "table" and self._tables:
            self._end_cell()
            self._end_table(self._tables.pop())
        elif tag in _BLOCKS:
            self.end_block()
            self._label = ""
            if re.fullmatch("h[1-6]", tag):
                self._heading = 0
            if tag in {"ol", "ul"} and self._lists:
                self._lists.pop()

    def handle_data(self, data: str) -> None:
        if not self._unread_from:
            self._text += data if "pre" in self._open else _SPACES.sub(" ", data)

    def end_block(self) -> None:
        """End the paragraph, the heading or the item of a list, and add it to ``blocks`` if it has words. In a table,
        add a line break to the words of the cell instead.
        """
        if self._tables:
            self._text += "\n"
            return
        words = self._take_words()
        if not words:
            return
        self.words.append(words)
        mark = f"{'#' * self._heading} " if self._heading else f"{self._label} " if self._label else ""
        text = escaped(words.replace("\n", " ") if self._heading else words, start=not mark)
        self.blocks.append((mark + text, self._label.endswith("-")))
        self._label = ""

    def _end_cell(self) -> None:
        """Store the words of the cell, if one is open. Words between cells belong to the next one."""
        table = self._tables[-1]
        if table.in_cell:
            table.rows[-1].append(re.sub(r"\n+", "\n", self._take_words()))
            table.in_cell = False

    def _take_words(self) -> str:
        """Return the words since the last call. An open superscript or subscript ends with them."""
        while self._raised:
            self._raise(*self._raised.pop())
        words, self._text = _spaced(self._text), ""
        return words

    def _raise(self, tag: str, start: int) -> None:
        """Write ``self._text`` from the index ``start`` on as raised digits (``tag`` is ``sup``) or lowered digits
        (``sub``); as ``^(…)`` or ``_(…)`` if it does not consist of digits. White space alone stays as it is.
        """
        words = self._text[start:].strip()
        mark, signs = _SIGNS[tag]
        if words:
            raised = words.translate(signs) if words.isdecimal() and words.isascii() else f"{mark}({words})"
            self._text = self._text[:start] + raised

    def _end_table(self, table: _Table) -> None:
        rows = [row for row in table.rows if any(row)]
        lines = [" ".join(filter(None, row)) for row in rows]
        if not rows:
            return
        if self._tables:  # A table in a cell: each row is a line of the cell.
            self._text += "\n".join(line.replace("\n", " ") for line in lines)
            return
        self.words += lines
        width = max(map(len, rows))
        if width == 1:  # The frame of a text.
            self.blocks += [(escaped(line), False) for line in lines]
            return
        first, *others = [_row(row, width) for row in rows]
        self.blocks.append(("\n".join([first, f"|{' --- |' * width}", *others]), False))


def _unread(tag: str, attributes: dict[str, str]) -> str:
    """The kind of an element whose words are not read; ``code`` for a kind that is not counted, such as a script;
    ``""`` if the words are read.
    """
    style = attributes.get("style", "")
    if tag in _PICTURES:
        return "pictures"
    if tag in _UNREAD:
        return "code"
    if "hidden" in attributes or _HIDDEN.search(style):
        return "hidden passages"
    return "struck-out passages" if tag in _STRUCK or _LINE_THROUGH.search(style) else ""


def _is_number(value: str) -> bool:
    return re.fullmatch("[0-9]{1,6}", value) is not None


def _number(one: _List) -> str:
    """The label of the next item of a numbered list, as a browser displays it: ``1.``, ``a.`` or ``A.``. Roman numbers,
    and letters after the last one of the alphabet, are written as digits. The count of the list does not change.
    """
    first = ord(one.style) if one.style in {"a", "A"} and 1 <= one.number <= 26 else 0
    return f"{chr(first + one.number - 1) if first else one.number}."


def _spaced(words: str) -> str:
    words = re.sub(r"[ \t\r\f\u00a0]{2,}", " ", words)
    return re.sub(r"[ \u00a0]*\n[ \u00a0]*", "\n", words).strip()


def _row(row: list[str], width: int) -> str:
    cells = [escaped(cell, start=False).replace("|", r"\|").replace("\n", "<br>") for cell in row]
    return f"| {' | '.join([*cells, *[''] * (width - len(cells))])} |"
