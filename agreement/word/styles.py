"""Computes how a Word file displays words, from its styles and from the properties of the words themselves.

It reads whether words are hidden, struck out, capitals, raised or lowered, their size and font, and the outline levels
of styles. What a table style states for single rows or columns is not read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any  # For the elements of lxml, which python-docx gives without types.

from agreement.word.elements import W, integer, is_on, value

#: Properties that a paragraph style and a character style both switch: if both state one, they cancel each other.
#: The source is ISO/IEC 29500-1, clause 17.7.3.
_TOGGLES = ("vanish", "strike", "caps")


@dataclass(frozen=True, slots=True)
class Look:
    """How words are displayed. ``raised`` is ``superscript``, ``subscript`` or ``""``, and ``font`` is the name of the
    font in small letters, or ``""`` if none is stated. ``position`` is by how much the words are raised (negative:
    lowered), and ``size`` is their size, both in half points. These two do not count when looks are compared.
    """

    hidden: bool = False
    struck: bool = False
    capitals: bool = False
    raised: str = ""
    font: str = ""
    position: int = field(default=0, compare=False)
    size: int = field(default=20, compare=False)


class Styles:
    """The styles of a file. ``root`` is the element ``w:styles``. ``elements`` are the styles by their id, and
    ``default`` is the id of the style of paragraphs that name none, or ``""``.
    """

    def __init__(self, root: Any) -> None:
        self.elements: dict[str, Any] = {it.get(f"{W}styleId"): it for it in root if it.get(f"{W}styleId")}
        self._defaults = {
            kind: next((key for key, it in self.elements.items() if _is_default(it, kind)), "")
            for kind in ("paragraph", "character", "table")
        }
        self.default = self._defaults["paragraph"]
        self._document = _stated(root.find(f"{W}docDefaults/{W}rPrDefault/{W}rPr"))
        self._known: dict[str, dict[str, Any]] = {}
        self._together: dict[tuple[str, str, str], dict[str, Any]] = {}

    def look(self, properties: Any, paragraph: str, table: str = "") -> Look:
        """The look of words with these properties of their own (``w:rPr`` or ``None``), in a paragraph and a table with
        the styles of these ids; ``""`` is the default style of its kind.
        """
        own = _stated(properties)
        inherited = self._inherited(value(properties, f"{W}rStyle"), paragraph, table)
        stated = inherited | own if own else inherited
        return Look(
            hidden=stated["vanish"],
            struck=stated["strike"] or stated.get("dstrike", False),
            capitals=stated["caps"],
            raised=stated.get("vertAlign", ""),
            font=stated.get("rFonts", ""),
            position=stated.get("position", 0),
            size=stated.get("sz", 20),
        )

    def _inherited(self, character: str, paragraph: str, table: str) -> dict[str, Any]:
        """The properties of words that these styles, by their ids, and the defaults of the document give together: name
        → value. With ``""`` it is the default style of its kind.

        A property is that of the first of these that states it: the character style, the paragraph style, the table
        style, the defaults. One of ``_TOGGLES`` is on if the defaults switch it on, or if an odd number of the three
        styles do.
        """
        key = (character, paragraph, table)
        if key not in self._together:
            levels = [
                self._of(table or self._defaults["table"]),
                self._of(paragraph or self.default),
                self._of(character or self._defaults["character"]),
            ]
            nearest = {name: stated for level in (self._document, *levels) for name, stated in level.items()}
            switched = {name: self._document.get(name, False) or _odd(name, levels) for name in _TOGGLES}
            self._together[key] = nearest | switched
        return self._together[key]

    def outline(self, style: str) -> int | None:
        """The outline level that the style, or the nearest one that it is based on, states: 0 for the first level of
        headings, 9 for no heading; ``None`` if none of them states one.
        """
        level: int | None = self._of(style).get("outlineLvl")
        return level

    def _of(self, style: str) -> dict[str, Any]:
        """The properties of words that the style and the styles that it is based on state, and their outline level:
        name → value. A style replaces what those that it is based on state. The result is empty for an unknown style.
        Styles that are based on each other in a circle end the search.
        """
        chain = []
        while style in self.elements and style not in self._known:
            chain.append(style)
            self._known[style] = {}
            style = value(self.elements[style], f"{W}basedOn")
        found = self._known.get(style, {})
        for name in reversed(chain):
            element = self.elements[name]
            found = found | _stated(element.find(f"{W}rPr"))
            outline = integer(value(element, f"{W}pPr/{W}outlineLvl"), 9)
            if outline is not None:
                found["outlineLvl"] = outline
            self._known[name] = found
        return found


def _is_default(style: Any, kind: str) -> bool:
    return bool(style.get(f"{W}type") == kind and style.get(f"{W}default") in {"1", "true", "on"})


def _odd(name: str, levels: list[dict[str, Any]]) -> bool:
    return sum(bool(level.get(name)) for level in levels) % 2 == 1


def _stated(properties: Any) -> dict[str, Any]:
    """What this ``w:rPr`` itself states of the properties that :class:`Look` needs: name of the element → value; empty
    for ``None``.
    """
    found: dict[str, Any] = {}
    for element in properties if properties is not None else ():
        name = str(element.tag).removeprefix(W)
        if name in {"vanish", "strike", "dstrike", "caps"}:
            found[name] = is_on(element)
        elif name == "vertAlign":
            stated = element.get(f"{W}val")
            found[name] = stated if stated in {"superscript", "subscript"} else ""
        elif name == "position":
            stated = element.get(f"{W}val") or ""
            found[name] = int(stated) if re.fullmatch(r"-?[0-9]{1,4}", stated) else 0
        elif name == "sz" and (size := integer(element.get(f"{W}val"), 4000)):
            found[name] = size
        elif name == "rFonts" and (font := element.get(f"{W}ascii")):
            found[name] = font.lower()
    return found
