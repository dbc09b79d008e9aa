"""Lists of Word and the numbers that Word prints for them.

``python -m tests.word.libreoffice`` compares each case with LibreOffice. Where LibreOffice is known to print something
else than Word, the case says what and why.
"""

from __future__ import annotations

import io
import itertools
import re
import zipfile
from dataclasses import dataclass

_SPACE = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_TYPES = "application/vnd.openxmlformats-officedocument.wordprocessingml"


@dataclass(frozen=True, slots=True)
class Case:
    """A document, and the label of each of its paragraphs that has words: ``-`` for a bullet, ``∅`` for none.

    ``uncertain`` are the labels of which the reader says that it is not sure. ``libreoffice`` are the labels that
    LibreOffice 7.4 prints, if they differ; ``why`` says why they do.
    """

    name: str
    body: str
    labels: str
    numbering: str
    styles: str = ""
    uncertain: str = ""
    libreoffice: str = ""
    why: str = ""

    def content(self) -> bytes:
        """The Word file."""
        return document(self.body, self.numbering, self.styles)

    def expected(self, *, libreoffice: bool = False) -> list[str]:
        """The labels that Word prints, or those that LibreOffice prints."""
        found = (libreoffice and self.libreoffice) or self.labels
        return ["" if label == "∅" else label for label in found.split()]


def document(body: str, numbering: str = "", styles: str = "") -> bytes:
    """A Word file of these elements. Each ``@`` in the body becomes words of its own: "Слово1", "Слово2" and so on."""
    count = itertools.count(1)
    body = re.sub("@", lambda _match: f"Слово{next(count)}", body)
    kinds = [("document", "document.main"), ("styles", "styles"), ("numbering", "numbering")]
    parts = {
        "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        + "".join(f'<Override PartName="/word/{k}.xml" ContentType="{_TYPES}.{t}+xml"/>' for k, t in kinds)
        + "</Types>",
        "_rels/.rels": _relations([("officeDocument", "word/document.xml")]),
        "word/_rels/document.xml.rels": _relations([("styles", "styles.xml"), ("numbering", "numbering.xml")]),
        "word/document.xml": f"<w:document {_SPACE}><w:body>{body}<w:sectPr/></w:body></w:document>",
        "word/styles.xml": f"<w:styles {_SPACE}>{styles}</w:styles>",
        "word/numbering.xml": f"<w:numbering {_SPACE}>{numbering}</w:numbering>",
    }
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as package:
        for name, part in parts.items():
            package.writestr(name, '<?xml version="1.0" encoding="UTF-8"?>' + part)
    return stream.getvalue()


def _relations(targets: list[tuple[str, str]]) -> str:
    inside = "".join(
        f'<Relationship Id="r{place}" Type="{_RELATIONS}/{kind}" Target="{target}"/>'
        for place, (kind, target) in enumerate(targets)
    )
    return (
        f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{inside}</Relationships>'
    )


def labels(text: str, count: int) -> list[str]:
    """The label before each of the ``count`` words that ``document()`` wrote; ``?`` if the text has no such word."""
    found = []
    for place in range(1, count + 1):
        match = re.search(rf"(?m)(?:^|\||<br>)[ \t#]*([^|\n<]*?)[ \t\u200b]*Слово{place}(?!\d)", text)
        found.append(match[1].strip().replace("\\", "") if match else "?")
    return ["-" if label in {"•", "◦", "–"} else label for label in found]


# Elements


def item(depth: int | None = None, key: int | None = 1, *, style: str = "", words: str = "@", more: str = "") -> str:
    """A paragraph of a list. ``depth`` and ``key`` may be absent, as where a style has them."""
    level = "" if depth is None else f'<w:ilvl w:val="{depth}"/>'
    number = "" if key is None else f'<w:numId w:val="{key}"/>'
    own = f"<w:numPr>{level}{number}</w:numPr>" if level or number else ""
    named = f'<w:pStyle w:val="{style}"/>' if style else ""
    run = f"<w:r><w:t>{words}</w:t></w:r>" if words else ""
    return f"<w:p><w:pPr>{named}{own}{more}</w:pPr>{run}</w:p>"


def items(*depths: int, key: int = 1) -> str:
    return "".join(item(depth, key) for depth in depths)


def empty(depth: int, key: int = 1) -> str:
    return item(depth, key, words="")


def plain(style: str = "") -> str:
    return item(None, None, style=style)


def table(*rows: str, merged: bool = False) -> str:
    """A table; in each row, ``|`` stands between the cells. ``merged``: are the first cells of all rows one cell?"""
    inside = ""
    for place, row in enumerate(rows):
        continued = f'<w:vMerge w:val="{"continue" if place else "restart"}"/>' if merged else ""
        first, *others = row.split("|")
        cells = [f"<w:tc><w:tcPr>{continued}</w:tcPr>{first}</w:tc>"]
        inside += "<w:tr>" + "".join(cells + [f"<w:tc><w:tcPr/>{cell}</w:tc>" for cell in others]) + "</w:tr>"
    grid = "<w:gridCol/>" * max(row.count("|") + 1 for row in rows)
    return f"<w:tbl><w:tblPr/><w:tblGrid>{grid}</w:tblGrid>{inside}</w:tbl>"


def level(depth: int, text: str | None, form: str | None = "decimal", start: int | None = 1, more: str = "") -> str:
    first = "" if start is None else f'<w:start w:val="{start}"/>'
    kind = "" if form is None else f'<w:numFmt w:val="{form}"/>'
    shown = "" if text is None else f'<w:lvlText w:val="{text}"/>'
    return f'<w:lvl w:ilvl="{depth}">{first}{kind}{more}{shown}</w:lvl>'


def definition(*levels: str, key: int = 0, more: str = "") -> str:
    inside = f'<w:multiLevelType w:val="multilevel"/>{more}{"".join(levels)}'
    return f'<w:abstractNum w:abstractNumId="{key}">{inside}</w:abstractNum>'


def num(key: int = 1, overrides: str = "", *, of: int = 0) -> str:
    return f'<w:num w:numId="{key}"><w:abstractNumId w:val="{of}"/>{overrides}</w:num>'


def start(depth: int, number: int) -> str:
    return override(depth, f'<w:startOverride w:val="{number}"/>')


def override(depth: int, inside: str) -> str:
    return f'<w:lvlOverride w:ilvl="{depth}">{inside}</w:lvlOverride>'


def style(key: str, inside: str = "", *, based_on: str = "", more: str = "", kind: str = "paragraph") -> str:
    base = f'<w:basedOn w:val="{based_on}"/>' if based_on else ""
    own = f"<w:pPr><w:numPr>{inside}</w:numPr></w:pPr>" if inside else ""
    return f'<w:style w:type="{kind}" w:styleId="{key}"{more}><w:name w:val="{key}"/>{base}{own}</w:style>'


def ilvl(depth: int) -> str:
    return f'<w:ilvl w:val="{depth}"/>'


def numid(key: int) -> str:
    return f'<w:numId w:val="{key}"/>'


LEVELS = (level(0, "%1."), level(1, "%1.%2."), level(2, "%1.%2.%3."), level(3, "%4)"))
AGREEMENT = definition(*LEVELS) + num()


def _format(form: str, first: int, labels: str, *, custom: bool = False, **other: str) -> Case:
    """Three paragraphs whose numbers, beginning with ``first``, are written in this format."""
    kind = level(0, "%1", None, first, _CUSTOM) if custom else level(0, "%1", form, first)
    name = f"format {'custom' if custom else form} from {first}"
    return Case(name, items(0, 0, 0), labels, definition(kind) + num(), **other)


_CUSTOM = (
    '<mc:AlternateContent xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"><mc:Choice '
    'xmlns:w14="http://schemas.microsoft.com/office/word/2010/wordml" Requires="w14"><w:numFmt w:val="custom" '
    'w:format="001, 002, 003, ..."/></mc:Choice><mc:Fallback><w:numFmt w:val="decimal"/></mc:Fallback>'
    "</mc:AlternateContent>"
)

CASES = [
    Case("levels", items(0, 1, 2, 3, 3, 1, 2, 0, 1), "1. 1.1. 1.1.1. 1) 2) 1.2. 1.2.1. 2. 2.1.", AGREEMENT),
    # Paragraphs without words
    Case(
        "an empty paragraph is counted",
        items(0, 1) + empty(1) + items(1) + empty(0) + items(0, 1),
        "1. 1.1. 1.3. 3. 3.1.",
        AGREEMENT,
    ),
    Case(
        "a paragraph that only breaks the page is counted",
        items(0) + item(0, words='</w:t><w:br w:type="page"/><w:t>') + items(0),
        "1. 3.",
        AGREEMENT,
    ),
    # Tables
    Case(
        "cells are counted in their order",
        table(item(0) + "|" + item(0), item(0) + "|" + plain()) + items(0),
        "1. 2. 3. ∅ 4.",
        AGREEMENT,
    ),
    Case(
        "an empty cell is counted",
        table(item(0) + "|" + plain(), empty(0) + "|" + plain(), item(0) + "|" + plain()),
        "1. ∅ ∅ 3. ∅",
        AGREEMENT,
    ),
    Case(
        "a list goes on through a table",
        items(0, 1) + table(item(1) + "|" + item(1)) + items(1, 0),
        "1. 1.1. 1.2. 1.3. 1.4. 2.",
        AGREEMENT,
    ),
    Case(
        "a table within a table",
        table(item(0) + table(item(0), item(0)) + item(0)) + items(0),
        "1. 2. 3. 4. 5.",
        AGREEMENT,
    ),
    Case(
        "a cell that continues the cell above it",
        table(item(0) + "|" + plain(), empty(0) + "|" + plain(), merged=True) + items(0),
        "1. ∅ ∅ 3.",
        AGREEMENT,
    ),
    # Levels that no paragraph has
    Case("a first paragraph implies its upper levels", items(2, 2, 1, 0), "1.1.1. 1.1.2. 1.2. 2.", AGREEMENT),
    Case("a level is skipped", items(0, 2, 1, 2), "1. 1.1.1. 1.2. 1.2.1.", AGREEMENT),
    Case(
        "an implied number is counted",
        plain() + items(1, 1, 0, 1),
        "∅ 4.1. 4.2. 5. 5.1.",
        definition(level(0, "%1.", start=4), level(1, "%1.%2.")) + num(),
    ),
    Case(
        "a level that is not defined",
        items(0, 2, 0),
        "1. ∅ 2.",
        definition(level(0, "%1."), level(1, "%1.%2.")) + num(),
        uncertain="∅",
        libreoffice="1. 1. 2.",
        why="LibreOffice has a level of its own for it.",
    ),
    # First numbers
    Case("a list that begins with 0", items(0, 0), "0. 1.", definition(level(0, "%1.", start=0)) + num()),
    Case("no first number is 0", items(0, 0), "0. 1.", definition(level(0, "%1.", start=None)) + num()),
    Case(
        "a first number of a list",
        items(0, 0) + items(0, 1, 0, key=2) + items(0),
        "1. 2. 5. 5.1. 6. 7.",
        definition(*LEVELS) + num() + num(2, start(0, 5)),
    ),
    Case(
        "first numbers of all levels, and the first paragraph is deeper",
        plain() + items(1, 1, 0, 1),
        "∅ 1.1. 1.2. 2. 2.1.",
        definition(*LEVELS) + num(1, start(0, 1) + start(1, 1) + start(2, 1)),
    ),
    Case(
        "a first number of a deeper level",
        items(0, 1, 1, 0, 1),
        "1. 1.5. 1.6. 2. 2.5.",
        definition(*LEVELS) + num(1, start(1, 5)),
        uncertain="2.5.",
        libreoffice="1. 1.5. 1.6. 2. 2.1.",
        why="LibreOffice takes the first number of a list once only; ISO/IEC 29500-1 takes it always.",
    ),
    Case(
        "a list begins anew at a deeper level",
        items(0, 1, 1) + items(1, 1, 0, key=2),
        "1. 1.1. 1.2. 1.1. 1.2. 2.",
        definition(*LEVELS) + num() + num(2, start(1, 1)),
    ),
    Case(
        "a list begins anew at two levels, the deeper first",
        items(0, 0, 1) + items(1, 0, 1, key=2),
        "1. 2. 2.1. 2.1. 1. 1.1.",
        definition(*LEVELS) + num() + num(2, start(0, 1) + start(1, 1)),
        uncertain="2.1. 1. 1.1.",
        libreoffice="1. 2. 2.1. 2.1. 3. 3.1.",
        why="LibreOffice takes a first number at the first paragraph of a list only.",
    ),
    Case(
        "two lists of one definition count together",
        items(0, 0) + items(0, 0, key=2) + items(0),
        "1. 2. 3. 4. 5.",
        definition(*LEVELS) + num() + num(2),
    ),
    Case(
        "two definitions count apart",
        items(0, 0) + items(0, 0, key=2) + items(0),
        "1. 2. 1. 2. 3.",
        definition(*LEVELS) + definition(*LEVELS, key=1) + num() + num(2, of=1),
    ),
    Case(
        "a list goes on after another that began anew",
        items(0, 0) + items(0, 0, 0, key=2) + items(0),
        "1. 2. 1. 2. 3. 4.",
        definition(*LEVELS) + num() + num(2, start(0, 1)),
    ),
    # Levels that a list replaces
    Case(
        "a replaced level without a first number goes on",
        plain() + plain() + items(0) + items(0, 0, key=2),
        "∅ ∅ 3. 4. 5.",
        definition(level(0, "%1.", start=3))
        + num(1, override(0, level(0, "%1.", start=None)))
        + num(2, override(0, level(0, "%1.", start=None))),
    ),
    Case(
        "a replaced level with a format of its own",
        items(0, 1) + items(1, 0, key=2),
        "1. 1.1. b) 2.",
        definition(*LEVELS) + num() + num(2, override(1, level(1, "%2)", "lowerLetter"))),
    ),
    Case(
        "a replaced level and a first number",
        items(0) + items(0, 0, key=2),
        "1. (7) (8)",
        definition(*LEVELS) + num() + num(2, override(0, '<w:startOverride w:val="7"/>' + level(0, "(%1)"))),
    ),
    # When a level begins again
    Case(
        "a level that never begins again",
        items(0, 1, 1, 0, 1),
        "1. 1.1. 1.2. 2. 2.3.",
        definition(level(0, "%1."), level(1, "%1.%2.", more='<w:lvlRestart w:val="0"/>')) + num(),
        libreoffice="1. 1.1. 1.2. 2. 2.1.",
        why="LibreOffice does not know w:lvlRestart.",
    ),
    Case(
        "a level that begins again after the uppermost only",
        items(0, 1, 2, 1, 2, 0, 1, 2),
        "1. 1.1. 1) 1.2. 2) 2. 2.1. 1)",
        definition(level(0, "%1."), level(1, "%1.%2."), level(2, "%3)", more='<w:lvlRestart w:val="1"/>')) + num(),
        libreoffice="1. 1.1. 1) 1.2. 1) 2. 2.1. 1)",
        why="LibreOffice does not know w:lvlRestart.",
    ),
    # Styles
    Case(
        "a style has the list",
        plain("A") + plain("B") + plain("A"),
        "1. 1.1. 2.",
        AGREEMENT,
        style("A", ilvl(0) + numid(1)) + style("B", ilvl(1) + numid(1)),
    ),
    Case(
        "a style is based on one that has the list",
        plain("A") + plain("B") + plain("B"),
        "1. 2. 3.",
        AGREEMENT,
        style("A", numid(1)) + style("B", based_on="A"),
    ),
    Case(
        "a style has the level, and its base has the list",
        plain("A") + plain("B"),
        "1. 1.1.",
        AGREEMENT,
        style("A", numid(1)) + style("B", ilvl(1), based_on="A"),
    ),
    Case(
        "a level names the style",
        plain("A") + plain("B") + plain("B"),
        "1. 1.1. 1.2.",
        definition(level(0, "%1.", more='<w:pStyle w:val="A"/>'), level(1, "%1.%2.", more='<w:pStyle w:val="B"/>'))
        + num(),
        style("A", numid(1)) + style("B", numid(1)),
        uncertain="1.1. 1.2.",
        libreoffice="1. 2. 3.",
        why="LibreOffice does not read w:pStyle; ISO/IEC 29500-1 decides by it.",
    ),
    Case(
        "a paragraph has the list, and its style the level",
        plain("A") + item(None, 1, style="B"),
        "1. 1.1.",
        AGREEMENT,
        style("A", numid(1)) + style("B", ilvl(1) + numid(1)),
    ),
    Case(
        "a paragraph has the level, and its style the list",
        item(1, None, style="A") + plain("A"),
        "1.1. 2.",
        AGREEMENT,
        style("A", numid(1)),
    ),
    Case("a paragraph without a number", items(0) + item(0, 0) + items(0), "1. ∅ 2.", AGREEMENT),
    Case(
        "a paragraph switches the number of its style off",
        plain("A") + item(None, 0, style="A") + plain("A"),
        "1. ∅ 2.",
        AGREEMENT,
        style("A", numid(1)),
    ),
    Case(
        "a style switches the number of its base off",
        plain("A") + plain("B") + plain("A"),
        "1. ∅ 2.",
        AGREEMENT,
        style("A", numid(1)) + style("B", numid(0), based_on="A"),
    ),
    Case("a list that does not exist", items(0) + item(0, 9) + items(0), "1. ∅ 2.", AGREEMENT),
    Case(
        "the style of every paragraph",
        plain() + item(None, 0) + plain(),
        "1. ∅ 2.",
        AGREEMENT,
        style("A", numid(1), more=' w:default="1"'),
    ),
    Case(
        "a list refers to a list style",
        items(0, key=1) + items(0, 1, key=2) + items(0, key=1),
        "1. 2. 2.1. 3.",
        definition(*LEVELS, more='<w:styleLink w:val="L"/>')
        + definition(key=1, more='<w:numStyleLink w:val="L"/>')
        + num(1)
        + num(2, of=1),
        style("L", numid(1), kind="numbering"),
    ),
    # What a level displays
    Case(
        "digits for every level",
        items(0, 0, 1),
        "I. II. 2.1.",
        definition(level(0, "%1.", "upperRoman"), level(1, "%1.%2.", more="<w:isLgl/>")) + num(),
        libreoffice="I. II. II.1.",
        why="LibreOffice 7.4 does not know w:isLgl.",
    ),
    Case(
        "digits for every level, with zeros",
        items(0, 0, 1),
        "I. II. 2.01.",
        definition(level(0, "%1.", "upperRoman"), level(1, "%1.%2.", "decimalZero", more="<w:isLgl/>")) + num(),
        libreoffice="I. II. II.01.",
        why="LibreOffice 7.4 does not know w:isLgl.",
    ),
    Case(
        "digits for every level, switched off",
        items(0, 0, 1),
        "I. II. II.1.",
        definition(level(0, "%1.", "upperRoman"), level(1, "%1.%2.", more='<w:isLgl w:val="0"/>')) + num(),
    ),
    Case(
        "no number above digits for every level",
        plain() + items(0, 1, 1),
        "∅ 6. 6.1. 6.2.",
        definition(level(0, "6.", "none"), level(1, "%16.%2.", more="<w:isLgl/>")) + num(),
        libreoffice="∅ 6. 1. 2.",
        why="LibreOffice drops the text before the number of a level without number.",
        uncertain="6.1. 6.2.",
    ),
    Case("no number of its own", items(0, 0), "п. п.", definition(level(0, "п.", "none")) + num()),
    Case("no text", items(0, 1, 0), "∅ 1.1. ∅", definition(level(0, ""), level(1, "%1.%2.")) + num()),
    Case(
        "words in the number",
        items(0, 1, 0),
        "Статья-1. 1) Статья-2.",
        definition(level(0, "Статья-%1."), level(1, "%2)")) + num(),
    ),
    Case("bullets", items(0, 1, 1), "1. - -", definition(level(0, "%1."), level(1, "•", "bullet")) + num()),
    Case(
        "a number below bullets",
        items(0, 1, 0, 1),
        "- a) - a)",
        definition(level(0, "•", "bullet"), level(1, "%2)", "lowerLetter")) + num(),
    ),
    # Formats
    _format("decimal", 9, "9 10 11"),
    _format("decimalZero", 9, "09 10 11"),
    _format("lowerLetter", 26, "z aa bb"),
    _format("upperLetter", 52, "ZZ AAA BBB"),
    _format("russianLower", 9, "и к л"),
    _format("russianLower", 25, "щ ы э"),
    _format("russianUpper", 28, "Ю Я АА", libreoffice="Ю Я Аа", why="LibreOffice writes the second letter small."),
    _format("lowerRoman", 3, "iii iv v"),
    _format("upperRoman", 48, "XLVIII XLIX L"),
    _format("chicago", 1, "* † ‡"),
    _format("decimal", 9, "009 010 011", custom=True),
    # What is not sure
    _format("ordinal", 1, "1 2 3", uncertain="1 2 3", libreoffice="1st 2nd 3rd", why="It depends on the language."),
    _format("cardinalText", 1, "1 2 3", uncertain="1 2 3", libreoffice="One Two Three", why="As before."),
    Case(
        "the number of a deeper level",
        items(0, 1, 0),
        "1.1 1) 2.1",
        definition(level(0, "%1.%2"), level(1, "%2)")) + num(),
        uncertain="1.1 2.1",
        libreoffice="1.%2% 1) 2.%2%",
        why="LibreOffice does not replace the sign.",
    ),
    Case(
        "a level without number above a number",
        items(0, 1, 1),
        "п. .1. .2.",
        definition(level(0, "п.", "none"), level(1, "%1.%2.")) + num(),
        uncertain=".1. .2.",
        libreoffice="п. 1. 2.",
        why="LibreOffice drops the text after a level without number.",
    ),
    Case(
        "a bullet above a number",
        items(0, 1, 1),
        "- .1. .2.",
        definition(level(0, "•", "bullet"), level(1, "%1.%2.")) + num(),
        uncertain=".1. .2.",
    ),
    Case(
        "a level names a style that has another level",
        plain("A") + plain("B"),
        "1. 2.",
        definition(level(0, "%1.", more='<w:pStyle w:val="A"/>'), level(1, "%1.%2.", more='<w:pStyle w:val="B"/>'))
        + num(),
        style("A", numid(1)) + style("B", ilvl(0) + numid(1)),
        uncertain="2.",
        libreoffice="1. ∅",
        why="LibreOffice prints no number for a style with two levels.",
    ),
    Case(
        "a hidden paragraph is counted",
        items(0)
        + item(0, more="<w:rPr><w:vanish/></w:rPr>", words="").replace(
            "</w:p>", "<w:r><w:rPr><w:vanish/></w:rPr><w:t>Тайна</w:t></w:r></w:p>"
        )
        + items(0),
        "1. 3.",
        AGREEMENT,
    ),
    Case(
        "capitals",
        items(0, 0),
        "СТ.A СТ.B",
        definition(level(0, "ст.%1", "lowerLetter", more="<w:rPr><w:caps/></w:rPr>")) + num(),
        libreoffice="ст.a ст.b",
        why="LibreOffice displays capitals, but does not write them into its text.",
    ),
    Case(
        "a hidden number is counted",
        items(0, 1, 1, 0),
        "1. ∅ ∅ 2.",
        definition(level(0, "%1."), level(1, "%1.%2.", more="<w:rPr><w:vanish/></w:rPr>")) + num(),
        uncertain="∅ ∅",
        libreoffice="1. 1.1. 1.2. 2.",
        why="LibreOffice does not hide it.",
    ),
]
