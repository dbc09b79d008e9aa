"""From Markdown to sections and numbered clauses with anchors, and to HTML that is safe on any page.

The grammar is Python-Markdown's; :class:`Numbering` adds what an agreement needs and Markdown lacks: a line
that begins with a clause's number begins a block of its own, and a numbered heading or paragraph is not a list
item. HTML inside an agreement is text: it is shown as it was written, never interpreted and never dropped, so
that nothing a reader is bound by can be invisible.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import nh3
from markdown import Markdown
from markdown.blockparser import BlockParser
from markdown.blockprocessors import BlockProcessor
from markdown.extensions import Extension
from markdown.treeprocessors import Treeprocessor

#: "1." or "1.1." or "3.4.2" and what follows it. Four digits are a year, four parts an address of some kind.
NUMBER = re.compile(r"(?P<number>\d{1,3}(?:\.\d{1,3}){0,2})(?P<dot>\.?)(?=\s|$)\s*(?P<rest>.*)", re.DOTALL)
ANCHOR = re.compile(r"\d{1,3}(?:\.\d{1,3}){0,2}\Z")

TAGS = frozenset(
    "a blockquote br code em h1 h2 h3 h4 h5 h6 hr li ol p pre span strong table tbody td th thead tr ul".split()
)
ATTRIBUTES = {
    "a": {"href", "title", "class"},
    "h2": {"id"},
    "h3": {"id"},
    "h4": {"id"},
    "ol": {"start"},
    "p": {"id", "class"},
    "span": {"class"},
    "td": {"align"},
    "th": {"align"},
}
CLASSES = frozenset({"clause", "number"})


@dataclass(frozen=True, slots=True)
class Clause:
    """A numbered unit of an agreement; ``anchor`` is its ``id`` in the page and equals ``number``."""

    kind: Literal["section", "clause"]
    number: str
    text: str

    @property
    def anchor(self) -> str:
        return self.number


@dataclass(frozen=True, slots=True)
class Document:
    """One language of an edition, read: the title line's text, the numbered units in order, the body as HTML."""

    title: str
    clauses: tuple[Clause, ...]
    html: str

    @property
    def numbers(self) -> tuple[str, ...]:
        return tuple(clause.number for clause in self.clauses)


def title_line(body: str) -> str:
    """The text of the first line that is not empty, without Markdown's heading marks; ``""`` if there is none."""
    for line in body.split("\n"):
        if text := line.strip().strip("#").strip():
            return text
    return ""


@lru_cache(maxsize=64)
def parse(body: str) -> Document:
    """Read one language of an edition. Never raises on any text; the HTML holds ``TAGS`` only.

    The title line is not part of ``html``: a page prints it above, together with the approval.
    """
    markdown = Markdown(extensions=["tables", Numbering()], output_format="html")
    numbering = _Marks(markdown)
    markdown.treeprocessors.register(numbering, "agreement_marks", 5)
    html = markdown.convert(body.replace("\x00", "\ufffd"))
    return Document(title_line(body), tuple(numbering.clauses), clean(html))


def clean(html: str) -> str:
    """Only what :func:`parse` may print; used on its output, as the second of two locks."""
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
    return value


class Numbering(Extension):
    """Python-Markdown extension: clause numbers begin blocks; raw HTML and images are off."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 - Python-Markdown's name
        md.preprocessors.deregister("html_block")
        md.inlinePatterns.deregister("html")
        # An image is a request to a third party from every reader, in pages and in mails.
        for pattern in ("image_link", "image_reference", "short_image_ref"):
            md.inlinePatterns.deregister(pattern)
        # Above lists (40), below headings (70) and code (80).
        md.parser.blockprocessors.register(_NumberedLines(md.parser), "agreement_numbers", 45)


class _NumberedLines(BlockProcessor):
    """Begins a new paragraph at each line that begins with a clause's number (``1.1.`` or ``1. CAPITALS``)."""

    def __init__(self, parser: BlockParser) -> None:
        super().__init__(parser)
        self._done: str | None = None

    def test(self, parent: ET.Element, block: str) -> bool:
        # Items of a list and quotations keep Markdown's own reading.
        return parent.tag == "div" and any(_begins(line) for line in block.split("\n"))

    def run(self, parent: ET.Element, blocks: list[str]) -> bool:
        runs: list[list[str]] = []
        for line in blocks[0].split("\n"):
            if not runs or _begins(line) or _begins_section(runs[-1][0]):
                runs.append([line])
            else:
                runs[-1].append(line)
        if not _begins(runs[0][0]):
            # What stands before the first number may be anything; Markdown reads it, then this runs again.
            rest = ["\n".join(lines) for lines in runs[1:]]
            blocks[:1] = rest
            self.parser.parseBlocks(parent, ["\n".join(runs[0])])
            return True
        blocks.pop(0)
        for lines in runs:
            if _begins(lines[0]):
                tag = "h2" if _begins_section(lines[0]) else "p"
                ET.SubElement(parent, tag).text = "\n".join(lines).strip()
            else:
                self.parser.parseBlocks(parent, ["\n".join(lines)])
        return True


def _begins(line: str) -> bool:
    match = NUMBER.match(line)
    return match is not None and ("." in match["number"] or _begins_section(line))


def _begins_section(line: str) -> bool:
    """``1. GENERAL PROVISIONS``: a number without parts and a heading in capitals, as Kazakh acts write it."""
    match = NUMBER.match(line)
    if not match or "." in match["number"] or not match["dot"]:
        return False
    rest = match["rest"].strip()
    return rest.isupper() and len(rest) > 2


class _Marks(Treeprocessor):
    """Gives numbered blocks their anchors and collects them; the title line's block is taken out."""

    def __init__(self, md: Markdown) -> None:
        super().__init__(md)
        self.clauses: list[Clause] = []

    def run(self, root: ET.Element) -> None:
        seen: set[str] = set()
        first = next(iter(root), None)
        if first is not None and first.tag in {"h1", "p"} and not NUMBER.match("".join(first.itertext())):
            lines = (first.text or "").split("\n", 1)
            if first.tag == "p" and len(lines) > 1 and not len(first):
                first.text = lines[1]
            elif first.tag == "h1" or len(lines) == 1:
                root.remove(first)
        for block in root:
            if block.tag not in {"h1", "h2", "h3", "h4", "p"}:
                continue
            match = NUMBER.match(block.text or "")
            if not match or (block.tag == "p" and "." not in match["number"]):
                continue
            number = match["number"]
            kind: Literal["section", "clause"] = "clause" if "." in number else "section"
            whole = NUMBER.match("".join(block.itertext())) or match
            self.clauses.append(Clause(kind, number, " ".join(whole["rest"].split())))
            if block.tag == "h1":
                block.tag = "h2"
            if number not in seen:  # A duplicate is the lint's to report; an id stands once in a page.
                seen.add(number)
                block.set("id", number)
            if block.tag == "p":
                block.set("class", "clause")
            link = ET.Element("a", {"href": f"#{number}", "class": "number"})
            link.text = number + match["dot"]
            link.tail = " " + match["rest"]
            block.text = None
            block.insert(0, link)
