"""Computes the labels of automatic numbering, which Word stores in no file: "1.", "1.1.", "2)", "б)"."""

from __future__ import annotations

import re
from typing import Any  # For the elements of lxml, which python-docx gives without types.

from agreement.word.elements import W, value

_ROMAN: tuple[tuple[int, str], ...] = (
    *((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl")),
    *((10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i")),
)
#: The letters of Russian lists: without ё, й, ъ, ы, ь.
_RUSSIAN = "абвгдежзиклмнопрстуфхцчшщэюя"


class Numbering:
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
            key, kind = one.get(f"{W}numId"), value(one, f"{W}abstractNumId")
            levels = {int(level.get(f"{W}ilvl")): level for level in self._levels(kind)}
            starts = {}
            for override in one.findall(f"{W}lvlOverride"):
                depth = int(override.get(f"{W}ilvl"))
                if start := value(override, f"{W}startOverride"):
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
        if linked := value(found, f"{W}numStyleLink"):
            found = next((it for it in self.kinds.values() if value(it, f"{W}styleLink") == linked), found)
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
        first = value(level, f"{W}start")
        counts[depth] = counts.get(depth, (int(first) if first.isdigit() else 1) - 1) + 1
        for deeper in [deep for deep in counts if deep > depth]:
            if value(self.levels[key].get(deeper), f"{W}lvlRestart") != "0":
                del counts[deeper]
        if value(level, f"{W}numFmt") == "bullet":
            return "-"
        legal = level.find(f"{W}isLgl") is not None
        return re.sub(
            r"%([1-9])",
            lambda match: self._number(key, int(match[1]) - 1, counts, legal=legal),
            value(level, f"{W}lvlText"),
        ).strip()

    def _place(self, paragraph: Any) -> tuple[str, int]:
        style = value(paragraph, f"{W}pPr/{W}pStyle")
        key, depth = value(paragraph, f"{W}pPr/{W}numPr/{W}numId"), value(paragraph, f"{W}pPr/{W}numPr/{W}ilvl")
        seen: set[str] = set()
        named = style
        while not key and style in self.styles and style not in seen:
            seen.add(style)
            key = value(self.styles[style], f"{W}pPr/{W}numPr/{W}numId")
            depth = depth or value(self.styles[style], f"{W}pPr/{W}numPr/{W}ilvl")
            named, style = style, value(self.styles[style], f"{W}basedOn")
        if not depth and named:
            tied = [deep for deep, level in self.levels.get(key, {}).items() if value(level, f"{W}pStyle") == named]
            depth = str(tied[0]) if tied else ""
        return key, int(depth) if depth.isdigit() else 0

    def _number(self, key: str, depth: int, counts: dict[int, int], *, legal: bool) -> str:
        level = self.levels[key].get(depth)
        if level is None:
            return ""
        start = value(level, f"{W}start")
        number = counts.get(depth, int(start) if start.isdigit() else 1)
        return _formatted(number, "decimal" if legal else value(level, f"{W}numFmt"))


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
