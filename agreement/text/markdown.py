"""Changes to Python-Markdown, which would hide or change words that bind a reader; and the words of a block as text.

The changes concern links, images, HTML, code, emphasis, tables, lists, headings, quotations and rules. Signs of a legal
text such as «> 18 лет», «+ 7 727 …», «- 5 °C», «#5» or a line of underscores are no marks of Markdown. An ordered list
keeps its numbers as they are written: Markdown would count from 1, and HTML from the first number. A list that mixes
numbers and bullets displays its numbers as text.
"""

from __future__ import annotations

import html
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from itertools import islice
from typing import Any

from markdown import Markdown, util
from markdown.blockparser import BlockParser
from markdown.blockprocessors import (
    BlockQuoteProcessor,
    HashHeaderProcessor,
    HRProcessor,
    OListProcessor,
    UListProcessor,
)
from markdown.extensions.tables import TableProcessor
from markdown.inlinepatterns import BACKTICK_RE, LINK_RE, BacktickInlineProcessor, InlineProcessor, LinkInlineProcessor
from markdown.util import AtomicString

from agreement.text.headings import heading_words

_ADDRESS = re.compile(r"(?:https?://|mailto:|tel:|[/#.])\S*\Z", re.I)
_BLOCKS = frozenset("ul ol li blockquote table thead tbody tr p pre h1 h2 h3 h4 h5 h6 hr".split())
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")
_COUNTED = re.compile(r"(?:0|[1-9][0-9]{0,8})\.\Z")  # What HTML can print as an item's number.
_BREAK = r"(?i:<br\s{0,9}/?>)"
#: The bullets of lists. ``+`` before a number and ``-`` before a temperature are signs.
BULLET = r"(?:\*|-(?! +\d+(?:[.,]\d+)?\s?°)|\+(?! +\d))"
#: A comparison such as ``> 18 лет``. ``> 3. Слова`` and ``> 3) слова`` are quotations of a list.
COMPARISON = r">[ \t]*\d++(?:[.,]\d++)*+(?![.)])"


def install(md: Markdown) -> None:
    """Remove or replace, in ``md``, the inline patterns and the processors of blocks that would hide or change words,
    or would cost quadratic time.

    The patterns for HTML, character references, images and links by reference are removed. HTML blocks and link
    definitions are still recognised after this call; :class:`agreement.text.clauses.Numbering` removes them.
    """
    # The browser or mail program of every reader would request an image from a third party.
    for pattern in "html entity reference short_reference image_link image_reference short_image_ref".split():
        md.inlinePatterns.deregister(pattern)
    md.inlinePatterns.register(_Link(LINK_RE, md), "link", 160)
    md.inlinePatterns.register(_Code(BACKTICK_RE), "backtick", 190)
    # ``Any``: the registries contain different types in different versions of Python-Markdown.
    emphasis: Any = md.inlinePatterns["em_strong"]
    if hasattr(emphasis, "get_cached_result"):
        md.inlinePatterns.register(_Emphasis(emphasis), "em_strong", 60)
    md.inlinePatterns.register(_Blank(_Blank.RUN, md), "blank", 65)
    # After emphasis: a mark at the end of a line emphasises nothing.
    md.inlinePatterns.register(_Break(rf"{_BREAK}|(?:\\ *|  )\n", md), "linebreak", 55)
    md.inlinePatterns.register(_Mail(r"<(?:mailto:)?([\w.+-]+@[\w-]+(?:\.[\w-]+)+)>", md), "automail", 110)
    md.ESCAPED_CHARS += ["<", "="]
    processors = md.parser.blockprocessors
    processors.deregister("setextheader")  # Its time is quadratic. ``outline`` finds underlined headings.
    processors.register(_Heading(md.parser), "hashheader", 70)
    processors.register(_Rule(md.parser), "hr", 50)
    processors.register(_Quotation(md.parser), "quote", 20)
    plain: Any = processors["table"]
    processors.register(_Table(md.parser, plain.config), "table", 75)
    processors.register(_Numbered(md.parser), "olist", 40)
    processors.register(_Bulleted(md.parser), "ulist", 30)


# ``handleMatch`` may return ``None`` for "no match", as Python-Markdown documents. Its stubs do not allow it, hence the
# ignored overrides.
class _Link(LinkInlineProcessor):
    """A link needs an address and words, and no title. Anything else in ``[…](…)`` is no link, and its brackets are
    displayed.

    An address begins with ``http://``, ``https://``, ``mailto:``, ``tel:``, ``/``, ``#`` or ``.``. It contains no white
    space.
    """

    def handleMatch(self, m: re.Match[str], data: str) -> Any:  # type: ignore[override] # noqa: N802
        element, start, end = super().handleMatch(m, data)
        if not isinstance(element, ET.Element):
            return None, None, None
        has_words = (element.text or "").strip() and not element.get("title")
        if not has_words or not _ADDRESS.match(element.get("href", "")):
            return None, None, None
        return element, start, end


class _Code(BacktickInlineProcessor):
    """Keeps one space at an end of the code if white space is inside the backticks there. Without it two words could
    become one. Backticks around nothing but white space are displayed as written.
    """

    def handleMatch(self, m: re.Match[str], data: str) -> Any:  # type: ignore[override] # noqa: N802
        element, start, end = super().handleMatch(m, data)
        if isinstance(element, ET.Element):
            if not element.text:
                return None, start, end
            before, code, after = util.code_escape(data[start:end]).partition(element.text)
            spaces = " " * before[-1:].isspace(), " " * after[:1].isspace()
            element.text = AtomicString(spaces[0] + code + spaces[1])
        return element, start, end


class _Emphasis(InlineProcessor):
    """Corrects Python-Markdown 3.11, which finds all emphasis of a paragraph at once and remembers the places.

    At a mark without a pair the places become wrong: ``**a ** b **c** * **word**`` would display "wor". Therefore this
    class compares the remembered text with the text at that place. If they differ, it lets the search begin again.
    """

    def __init__(self, plain: Any) -> None:
        super().__init__(plain.pattern)
        self.compiled_re = plain.compiled_re
        self.plain, self.parsed = plain, ""

    def handleMatch(self, m: re.Match[str], data: str) -> Any:  # type: ignore[override] # noqa: N802
        plain, place = self.plain, m.start(0)
        if plain.regions:
            start, _, _, end, *_ = plain.regions[plain.cache_index]
            offset = place - (start if place == plain.cache_pos else plain.cache_pos)
            if data[start + offset : end + offset] != self.parsed[start:end]:
                plain.reset()
        if not plain.regions:
            self.parsed = data
        return plain.handleMatch(m, data)


class _Blank(InlineProcessor):
    """Asterisks and underscores that emphasise nothing: «___» to be filled in, 20__ г., «Тариф*, услуга*».

    Python-Markdown would pair two of them, emphasise everything between them and hide both. A run of marks of one kind
    can open emphasis only if neither white space, closing punctuation, a slash, ``<br>`` nor the end of the text
    follows, if it is not alone in straight quotes, and if it is no underscore after a letter or a digit. It can close
    emphasis only if it follows neither white space nor ``«``, ``„``, an opening bracket or a slash, and an earlier mark
    is open. Four or more underscores are a line to write on. A run that can do neither is displayed. A run of both
    ``*`` and ``_`` is left to Python-Markdown.
    """

    RUN = r"(?<![*_])(?:\*+|_+)(?![*_])"
    _RUN = re.compile(RUN)
    _BEFORE = re.compile(f"(?!{_BREAK})" r"[^\s»”)\]}.,;:!?…/]")
    _AFTER = re.compile(r"[^\s«„(\[{/]")

    def handleMatch(self, m: re.Match[str], data: str) -> Any:  # type: ignore[override] # noqa: N802
        line = m[0].startswith("____")
        if not line and (self._opens(m, data) or (self._closes(m, data) and self._open(m, data))):
            return None, None, None
        return m[0], m.start(0), m.end(0)

    def _opens(self, m: re.Match[str], data: str) -> bool:
        before = data[m.start() - 1 : m.start()] if m.start() else ""
        quoted = before == data[m.end() : m.end() + 1] == '"'
        inside = m[0][0] == "_" and before.isalnum()
        return not quoted and not inside and self._BEFORE.match(data, m.end()) is not None

    def _closes(self, m: re.Match[str], data: str) -> bool:
        return m.start() > 0 and self._AFTER.match(data, m.start() - 1) is not None

    def _open(self, m: re.Match[str], data: str) -> bool:
        """Is an earlier mark of the same character still not closed? ``m`` is a match in ``data``, the text of one
        block.
        """
        waiting = 0
        for run in self._RUN.finditer(data, 0, m.start()):
            if run[0][0] != m[0][0]:
                continue
            if waiting and self._closes(run, data):
                waiting = max(0, waiting - len(run[0]))
            elif self._opens(run, data):
                waiting += len(run[0])
        return waiting > 0


class _Mail(InlineProcessor):
    """The link of ``<name@example.kz>`` or ``<mailto:name@example.kz>``. The host must contain a dot. Python-Markdown
    would write its letters as numeric entities, some of them wrong.
    """

    def handleMatch(self, m: re.Match[str], data: str) -> Any:  # type: ignore[override] # noqa: N802
        element = ET.Element("a", {"href": f"mailto:{m[1]}"})
        element.text = AtomicString(m[1])
        return element, m.start(0), m.end(0)


class _Break(InlineProcessor):
    """A line break: a backslash or two spaces at the end of a line, or ``<br>``. In a cell of a table, only ``<br>`` is
    possible.
    """

    def handleMatch(self, m: re.Match[str], data: str) -> Any:  # type: ignore[override] # noqa: N802
        return ET.Element("br"), m.start(0), m.end(0)


class _Heading(HashHeaderProcessor):
    """A heading that begins no unit, for example one inside a list or a quotation. A space follows its first marks
    ``#``; marks at its end are left out only if a space is before them.
    """

    RE = re.compile(r"(?:^|\n)(?P<level>#{1,6})(?P<header> +[^ \n][^\n]*)(?:\n|$)")

    def run(self, parent: ET.Element, blocks: list[str]) -> None:
        super().run(parent, blocks)
        parent[-1].text = heading_words(parent[-1].text or "")


class _Rule(HRProcessor):
    """A line of three or more hyphens or asterisks, perhaps with spaces between them, is a horizontal line. A line of
    underscores is a blank to be filled in.
    """

    SEARCH_RE = re.compile(r"^ {0,3}(?:(?:- {0,2}+){3,}+|(?:\* {0,2}+){3,}+) *$", re.MULTILINE)


class _Quotation(BlockQuoteProcessor):
    """A quotation begins at the beginning of a block, if a space, a quotation mark, another ``>`` or nothing follows
    the ``>``, and if it is no ``COMPARISON``. In a block that begins no quotation, ``>`` is a sign.
    """

    RE = re.compile(r"(^|\n) {0,3}>(?: |(?=[>\"«“„\n])|\Z)(.*)")
    _COMPARISON = re.compile(f" {{0,3}}{COMPARISON}")

    def test(self, parent: ET.Element, block: str) -> bool:
        begins = self.RE.match(block) is not None and self._COMPARISON.match(block) is None
        return begins and super().test(parent, block)


class _Table(TableProcessor):
    """A table in which no row has more cells than the head, and each cell of the line under the head has a hyphen.

    Python-Markdown would drop the other cells. Therefore a block with a longer row is not made a table.
    """

    def test(self, parent: ET.Element, block: str) -> bool:
        if "|" not in block[: block.find("\n") + 1] or not super().test(parent, block):
            return False
        rows = [self._split_row(row.strip(" ")) for row in block.split("\n")]  # type: ignore[attr-defined]  # Not in the stubs.
        return all(len(row) <= len(rows[0]) for row in rows) and all("-" in cell for cell in rows[1])


class _Numbered(OListProcessor):
    """Stores in each item of a list the number or bullet that it is written with, as its ``value``.
    :func:`print_numbers` uses it.
    """

    def __init__(self, parser: BlockParser) -> None:
        super().__init__(parser)
        self.CHILD_RE = re.compile(rf"^ {{0,3}}((\d+\.)|{BULLET}) +(.*)")
        self.INDENT_RE = re.compile(rf"^ {{4,7}}((\d+\.)|{BULLET}) +.*")

    def run(self, parent: ET.Element, blocks: list[str]) -> None:
        marks = [match[1] for match in map(self.CHILD_RE.match, blocks[0].split("\n")) if match]
        last = self.lastChild(parent)
        if last is None or last.tag not in {"ol", "ul"}:
            last = parent if parent.tag in {"ol", "ul"} else None
        known = 0 if last is None else len(last)
        super().run(parent, blocks)
        items = self.lastChild(parent) if last is None else last
        for item, mark in zip([] if items is None else items[known:], marks, strict=False):
            item.set("value", mark)


class _Bulleted(_Numbered, UListProcessor):
    """Stores the number or bullet of each item, as ``_Numbered`` does, in a list that begins with a bullet.

    An asterisk, or ``-`` before a number, is a sign and no bullet if no other item is next to its line, and if the text
    before it does not end with a colon: «* Кроме праздников.» is a footnote, and «- 5 %» an amount.
    """

    _SIGN = re.compile(r" {0,3}(?:-(?= +\d)|\*) ")
    _ITEM = re.compile(rf" {{4}}| {{0,3}}{BULLET} ")

    def __init__(self, parser: BlockParser) -> None:
        super().__init__(parser)
        self.RE = re.compile(rf"^ {{0,3}}{BULLET} +(.*)")

    def run(self, parent: ET.Element, blocks: list[str]) -> bool | None:  # type: ignore[override]  # As documented.
        if self._SIGN.match(blocks[0]) and self._is_alone(parent, blocks):
            return False
        super().run(parent, blocks)
        return None

    def _is_alone(self, parent: ET.Element, blocks: list[str]) -> bool:
        """Does the first block, which begins with a bullet, contain only one item, which no colon announces and which
        no list precedes and no other bullet follows? A line after the first, or a next block, that begins with four
        spaces counts as another bullet. False inside another list.
        """
        last = self.lastChild(parent)
        if parent.tag in {"ul", "ol", "li"} or (last is not None and last.tag in {"ul", "ol"}):
            return False
        before = "" if last is None else (last.text or "").rstrip()
        if before.endswith(":") or any(map(self._ITEM.match, blocks[0].split("\n")[1:])):
            return False
        following = next((block for block in islice(blocks, 1, 4) if block.strip()), "")
        return self._ITEM.match(following) is None


def print_numbers(root: ET.Element) -> None:
    """Change all lists under this element so that they display their numbers as they are written.

    A list in which each item has a number of at most nine digits without leading zeros becomes ``ol``, and its items
    get these numbers as ``value``. Any other list becomes ``ul``, and its numbers become part of the text of the items.
    """
    for items in [element for element in root.iter() if element.tag in {"ol", "ul"}]:
        marks = [item.attrib.pop("value", "") for item in items]
        items.attrib.pop("start", None)
        counted = all(map(_COUNTED.match, marks))
        items.tag = "ol" if counted else "ul"
        for item, mark in zip(items, marks, strict=True):
            if counted:
                item.set("value", mark[:-1])
            elif mark[:1].isdigit():
                first = item[0] if len(item) and item[0].tag == "p" and not (item.text or "").strip() else item
                first.text = f"{mark} {(first.text or '').lstrip()}"


def text_lines(block: ET.Element) -> Iterator[str]:
    """Yield the words of a block as a reader sees them: one line for a paragraph, a list item or a row of a table.

    Call it after :func:`print_numbers`, and before references become links. A list item of several paragraphs gives
    several lines, the first with the number of the item, if it has one. Empty lines are left out. White space within a
    line, also a line break, becomes single spaces, and cells are separated by ``" | "``. The address of a link, without
    ``mailto:``, follows its words in brackets, unless the words are this address or the number after ``tel:``.
    """
    if block.tag in {"ul", "ol", "blockquote", "table", "thead", "tbody"}:
        for child in block:
            yield from text_lines(child)
        return
    if mark := block.get("value"):
        lines = list(_lines(block))
        yield " ".join([f"{mark}.", *lines[:1]])
        yield from lines[1:]
        return
    yield from _lines(block)


def _lines(block: ET.Element) -> Iterator[str]:
    if any(child.tag in _BLOCKS for child in block):
        loose = block.text or ""
        for child in block:
            if child.tag in _BLOCKS:
                yield from _line(loose)
                yield from text_lines(child)
                loose = child.tail or ""
            else:
                loose += _text(child) + (child.tail or "")
        yield from _line(loose)
        return
    yield from _line(" | ".join(_text(cell) for cell in block) if block.tag == "tr" else _text(block))


def _text(element: ET.Element) -> str:
    if element.tag == "br":
        return " "
    if not len(element) and element.tag != "a":
        return element.text or ""
    text = "".join([element.text or "", *(_text(child) + (child.tail or "") for child in element)])
    if element.tag == "a" and (href := element.get("href")):
        words, target = _unescaped(text).strip(), _unescaped(href).removeprefix("mailto:")
        if target not in {words, f"tel:{words}"}:
            return f"{text} ({target})"
    return text


def _unescaped(text: str) -> str:
    return _ENTITY.sub(lambda match: html.unescape(match[0]), text) if "&" in text else text


def _line(text: str) -> Iterator[str]:
    if line := " ".join(_unescaped(text).split()):
        yield line
