"""Computes the numbers of automatic numbering, which Word stores in no file: "1.", "1.1.", "2)", "б)".

A paragraph names a list (``w:num``) and a level, itself or through its style. The list names a definition
(``w:abstractNum``), and may replace levels and first numbers of it. All lists of one definition count together. The
source is ISO/IEC 29500-1, clause 17.9.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any  # For the elements of lxml, which python-docx gives without types.

from agreement.word.elements import MC, W, integer, is_on, value
from agreement.word.styles import Look

#: The deepest level, the largest number, and the longest text of a number that Word accepts.
MAX_LEVEL, MAX_NUMBER, MAX_TEXT = 8, 32_767, 255
#: The most characters of a paragraph that are reported with its number.
MAX_WORDS = 60

#: The signs of each format that repeats them: "z" is the 26th number, "aa" the 27th. Russian lists have no ё, й, ъ, ь.
_SIGNS = {
    "lowerLetter": "abcdefghijklmnopqrstuvwxyz",
    "upperLetter": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "russianLower": "абвгдежзиклмнопрстуфхцчшщыэюя",
    "russianUpper": "АБВГДЕЖЗИКЛМНОПРСТУФХЦЧШЩЫЭЮЯ",
    "chicago": "*†‡§",
}
#: How often a sign is repeated at most.
_REPEATS = 30
_ROMAN: tuple[tuple[int, str], ...] = (
    *((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl")),
    *((10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i")),
)
#: Fields whose number Word computes and stores in no file.
_FIELDS = re.compile(r"\b(?:LISTNUM|AUTONUM|AUTONUMLGL|AUTONUMOUT)\b")


@dataclass(frozen=True, slots=True)
class _Level:
    """One level of a list. ``None`` stands for what the file does not state.

    ``start`` is its first number, and ``form`` is the format of its numbers in the words of Word, such as ``decimal``.
    ``parts`` are what the level displays, in their order: ``%1`` stands for the number of level 0. ``places`` are the
    parts that stand for numbers, such as ``%1``, each once. ``cut`` means that the text is longer than Word accepts.
    ``legal`` means that the numbers of all levels are displayed in digits. ``restart`` is how many of the uppermost
    levels begin this level again: with 2, a paragraph of level 0 or 1 does, and one of level 2 does not. 0 means that
    none does, and ``None`` that each upper level does. ``capitals`` and ``hidden`` are properties of the displayed
    number.
    """

    start: int | None = None
    form: str | None = None
    parts: tuple[str, ...] = ()
    places: frozenset[str] = frozenset()
    cut: bool = False
    legal: bool = False
    restart: int | None = None
    capitals: bool = False
    hidden: bool = False

    def replaced_by(self, other: _Level) -> _Level:
        """This level, overridden by ``other``. ``legal``, ``capitals`` and ``hidden`` are those of ``other``; of the
        rest, what ``other`` does not state remains.
        """
        return _Level(
            start=self.start if other.start is None else other.start,
            form=other.form or self.form,
            parts=other.parts or self.parts,
            places=other.places if other.parts else self.places,
            cut=other.cut if other.parts else self.cut,
            legal=other.legal,
            restart=self.restart if other.restart is None else other.restart,
            capitals=other.capitals,
            hidden=other.hidden,
        )


@dataclass(slots=True)
class _List:
    """A list: the key of its definition, its levels by depth, the first numbers that it sets by depth, and the depths
    whose counting began at a paragraph of this list. At any other depth with a first number in ``starts``, the next
    paragraph of the list at that depth begins the counting again with this number.
    """

    definition: str
    levels: dict[int, _Level]
    starts: dict[int, int] = field(default_factory=dict)
    begun: set[int] = field(default_factory=set)
    anew: bool = False
    """Has a paragraph of this list come whose own level has a first number in ``starts``? LibreOffice begins the list
    anew only at the first such paragraph."""
    styles: dict[str, int] = field(default_factory=dict)
    """The depth of each paragraph style that a level names."""

    def first(self, depth: int) -> int:
        level = self.levels.get(depth, _Level())
        return self.starts.get(depth, level.start or 0)


class Numbering:
    """Counts the numbered paragraphs of one reading of a file, from its beginning.

    ``part`` is the main part of the document, and ``styles`` are its styles by their id. ``accept`` is ``True`` in the
    reading with all tracked changes accepted, and ``False`` in the one with all of them rejected: then numbers that
    were tracked as added are absent.

    :meth:`label` adds to three lists. ``numbers`` are the numbers of the two upper levels, each with the first words of
    its paragraph. ``uncertain`` are the numbers of all levels of which this module is not sure, in the same form; the
    number is ``""`` for a paragraph whose number it can't give. ``empty`` are the numbers of paragraphs without words,
    except hidden ones.
    """

    def __init__(self, part: Any, styles: dict[str, Any], *, accept: bool = True) -> None:
        self.styles = styles
        self.accept = accept
        self.numbers: list[tuple[str, str]] = []
        self.uncertain: list[tuple[str, str]] = []
        self.empty: list[str] = []
        self._definitions: dict[str, Any] = {}
        self._nums: dict[str, Any] = {}
        self._lists: dict[str, _List | None] = {}
        self._levels: dict[str, dict[int, _Level]] = {}
        self._named: dict[str, dict[str, int]] = {}
        self._counts: dict[str, dict[int, int]] = {}
        self._doubts: dict[str, set[int]] = {}
        self._replaced: set[tuple[str, int]] = set()
        self._inherited: dict[str, tuple[str, int | None, str]] = {}
        self._default = next(
            (
                key
                for key, style in styles.items()
                if style.get(f"{W}default") in {"1", "true", "on"} and style.get(f"{W}type") == "paragraph"
            ),
            "",
        )
        if any(relation.reltype.endswith("/numbering") for relation in part.rels.values()):
            root = part.numbering_part.element
            self._definitions = {it.get(f"{W}abstractNumId", ""): it for it in root.findall(f"{W}abstractNum")}
            self._nums = {it.get(f"{W}numId", ""): it for it in root.findall(f"{W}num")}
        self._linked = {link: key for key, it in self._definitions.items() if (link := value(it, f"{W}styleLink"))}

    def label(self, paragraph: Any, words: str, mark: Look) -> str:
        """The number of this paragraph, whose words are ``words``; ``-`` for a bullet, ``""`` if it has none or it
        can't be given. ``mark`` is the look of the mark of its end, which may turn the number into capitals, or make it
        uncertain.

        It counts the paragraph: call it once for each paragraph, also one without words, in the order of the file.
        """
        start = " ".join(words[: 2 * MAX_WORDS].split())[:MAX_WORDS]
        if _FIELDS.search("".join(_instructions(paragraph))):
            self.uncertain.append(("", start))
        key, depth, sure = self._place(paragraph)
        found = self._list(key)
        if found is None:
            return ""
        self._count(found, depth)
        level = found.levels.get(depth)
        if level is None or level.hidden:
            if words:
                self.uncertain.append(("", start))
            return ""
        if level.form == "bullet":
            return "-"
        numbers = {it: self._number(found, int(it[1]) - 1, level) for it in level.places}
        label = "".join([numbers[it][0] if it in numbers else it for it in level.parts]).strip()
        label = label.upper() if level.capitals or mark.capitals else label
        if not label:
            return ""
        if not words:
            if not mark.hidden:
                self.empty.append(label)
            return label
        if depth < 2:
            self.numbers.append((label, start))
        if level.cut or mark.hidden or not sure or not all(certain for _number, certain in numbers.values()):
            self.uncertain.append((label, start))
        return label

    def _count(self, found: _List, depth: int) -> None:
        """Count one paragraph of the list at this depth, and note at which depths the number is in doubt."""
        counts = self._counts.setdefault(found.definition, {})
        doubts = self._doubts.setdefault(found.definition, set())
        for upper in range(depth + 1):  # A paragraph implies one of each level above it, which is counted too.
            own, first = upper == depth, found.first(upper)
            anew = upper in found.starts and upper not in found.begun
            # LibreOffice begins a list anew once, at the first paragraph whose own level has a first number.
            elsewhere = own and upper in found.starts and not found.anew
            begins = upper not in counts or (own and (anew or elsewhere))
            level = found.levels.get(upper) if own else self._levels[found.definition].get(upper)
            after = counts[upper] + own if upper in counts else (level or _Level()).start or 0
            counts[upper] = first if begins else after
            if begins:
                doubts.discard(upper)
                found.begun.add(upper)
            possible = {counts[upper]}
            if anew or elsewhere:
                possible.add(first)
            if not (anew and elsewhere):
                possible.add(after)
            replaced = begins and not own and (found.definition, upper) in self._replaced
            if len(possible) > 1 or replaced or counts[upper] == MAX_NUMBER:
                doubts.add(upper)
            found.anew |= elsewhere
        for deeper in [it for it in counts if it > depth]:
            restart = found.levels.get(deeper, _Level()).restart
            if depth < (deeper if restart is None else min(restart, deeper)):
                del counts[deeper]
                doubts.discard(deeper)

    def _number(self, found: _List, depth: int, shown: _Level) -> tuple[str, bool]:
        """The number of the level at this depth as ``shown``, the level of the paragraph, displays it, and whether this
        module is sure of it. The number of a bullet, of a level with the format ``none``, or of a level that is not
        defined is ``""``.
        """
        level, counts = found.levels.get(depth), self._counts[found.definition]
        if level is None or level.form == "bullet":
            return "", False
        form = level.form or "decimal"
        if form == "none":  # LibreOffice leaves out the text after it too.
            return "", level is shown
        number = counts.get(depth, found.first(depth))
        if shown.legal and form != "decimalZero":  # Word leaves these digits as they are.
            form = "decimal"
        written, sure = _written(number, form)
        return written, sure and depth in counts and depth not in self._doubts[found.definition]

    def _place(self, paragraph: Any) -> tuple[str, int, bool]:
        """The key of the list that the paragraph names, ``""`` if none, the depth of its level from 0, and whether this
        depth is sure. It is not if the paragraph itself states no level, and the list gives its style another level
        than the style states.
        """
        properties = paragraph.find(f"{W}pPr")
        own = properties.find(f"{W}numPr") if properties is not None else None
        if not self.accept and properties is not None:
            before = properties.find(f"{W}pPrChange/{W}pPr")
            if before is not None:
                properties, own = before, before.find(f"{W}numPr")
            elif own is not None and own.find(f"{W}ins") is not None:
                own = None
        style = value(properties, f"{W}pStyle") or self._default
        key, depth, giver = self._of_style(style)
        key = value(own, f"{W}numId") or key
        if (direct := integer(value(own, f"{W}ilvl"), MAX_LEVEL + 1)) is not None:
            return key, direct, True
        found = self._list(key)
        named = found.styles.get(style, found.styles.get(giver)) if found else None
        sure = named is None or named == (depth or 0)
        return key, (named or 0) if depth is None else depth, sure

    def _of_style(self, style: str) -> tuple[str, int | None, str]:
        """The key of the list, the depth, and the id of the style that names the list, for a paragraph with this style.
        The list and the depth are each those that the style states or, if it does not, the nearest style that states
        them of those that it is based on. The depth is ``None`` if no style states it, also if one names a list. The
        key and the id are ``""`` if no style names a list.
        """
        chain = []
        while style in self.styles and style not in self._inherited:
            chain.append(style)
            self._inherited[style] = ("", None, "")
            style = value(self.styles[style], f"{W}basedOn")
        found = self._inherited.get(style, ("", None, ""))
        for name in reversed(chain):
            own = self.styles[name].find(f"{W}pPr/{W}numPr")
            key, depth = value(own, f"{W}numId"), integer(value(own, f"{W}ilvl"), MAX_LEVEL + 1)
            found = (key or found[0], found[1] if depth is None else depth, name if key else found[2])
            self._inherited[name] = found
        return found

    def _list(self, key: str) -> _List | None:
        """The list with this key; ``None`` if there is none, or if its definition does not exist. The key ``0``
        switches numbering off and gives ``None``.
        """
        if key not in self._lists:
            num = self._nums.get(key) if key != "0" else None
            self._lists[key] = None if num is None else self._read_list(num)
        return self._lists[key]

    def _read_list(self, num: Any) -> _List | None:
        definition = self._definition(value(num, f"{W}abstractNumId"))
        if definition not in self._definitions:
            return None
        if definition not in self._levels:
            self._levels[definition], self._named[definition] = {}, {}
            for element in self._definitions[definition].findall(f"{W}lvl"):
                depth = integer(element.get(f"{W}ilvl"), MAX_LEVEL + 1)
                if depth is not None and depth <= MAX_LEVEL:
                    self._levels[definition][depth] = _level(element)
                    if style := value(element, f"{W}pStyle"):
                        self._named[definition].setdefault(style, depth)
        found = _List(definition, dict(self._levels[definition]), styles=self._named[definition])
        for override in num.findall(f"{W}lvlOverride"):
            depth = integer(override.get(f"{W}ilvl"), MAX_LEVEL + 1)
            if depth is None or depth > MAX_LEVEL:
                continue
            if (start := integer(value(override, f"{W}startOverride"), MAX_NUMBER)) is not None:
                found.starts[depth] = start
            if (element := override.find(f"{W}lvl")) is not None:
                found.levels[depth] = found.levels.get(depth, _Level()).replaced_by(_level(element))
                self._replaced.add((definition, depth))
        return found

    def _definition(self, key: str) -> str:
        """The key of the definition that has the levels, for a list that names the definition ``key``. It is ``key``
        itself, unless this definition refers to a list style: then it is the definition of the list that this style
        names. If there is none, it is the definition that says that it has the levels of this style, or else ``key``.
        """
        link = value(self._definitions.get(key), f"{W}numStyleLink")
        if not link:
            return key
        num = self._nums.get(value(self.styles.get(link), f"{W}pPr/{W}numPr/{W}numId"))
        return value(num, f"{W}abstractNumId") or self._linked.get(link, key)


def _instructions(paragraph: Any) -> list[str]:
    """The instructions of the fields of a paragraph: first those of ``w:fldSimple``, each with a space after it, then
    the texts of ``w:instrText``. Word may divide one instruction between several ``w:instrText``. The parts are not
    joined here.
    """
    simple = [it.get(f"{W}instr", "") + " " for it in paragraph.iter(f"{W}fldSimple")]
    return simple + [it.text or "" for it in paragraph.iter(f"{W}instrText")]


def _level(element: Any) -> _Level:
    form = element.find(f"{W}numFmt")
    if form is None:  # A format of later versions of Word, such as "001, 002, 003, ...".
        form = element.find(f"{MC}AlternateContent/{MC}Choice/{W}numFmt")
    name = None if form is None else form.get(f"{W}val") or ""
    text = value(element, f"{W}lvlText")
    return _Level(
        start=integer(value(element, f"{W}start"), MAX_NUMBER),
        form=form.get(f"{W}format") if name == "custom" else name,
        parts=tuple(re.split("(%[1-9])", text[:MAX_TEXT])) if text else (),
        places=frozenset(re.findall("%[1-9]", text[:MAX_TEXT])),
        cut=len(text) > MAX_TEXT,
        legal=is_on(element.find(f"{W}isLgl")),
        restart=integer(value(element, f"{W}lvlRestart"), MAX_LEVEL + 1),
        capitals=is_on(element.find(f"{W}rPr/{W}caps")),
        hidden=is_on(element.find(f"{W}rPr/{W}vanish")),
    )


def _written(number: int, form: str) -> tuple[str, bool]:
    """The number in this format of Word, and whether this module is sure that Word writes it so. A number whose format
    is not known, or can't write it, is written in digits.
    """
    if form == "decimal":
        return str(number), True
    if form == "decimalZero":
        return f"{number:02}", number > 0
    if match := re.match(r"(0{1,9})1, ", form):
        return str(number).zfill(len(match[1]) + 1), True
    signs = _SIGNS.get(form, "")
    if 0 < number <= _REPEATS * len(signs):
        return signs[(number - 1) % len(signs)] * ((number - 1) // len(signs) + 1), True
    if form in {"lowerRoman", "upperRoman"} and 0 < number < 4000:
        word = ""
        for worth, sign in _ROMAN:
            word += sign * (number // worth)
            number %= worth
        return word.upper() if form == "upperRoman" else word, True
    return str(number), False
