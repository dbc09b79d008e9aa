"""Reads Word files with damaged values: ``python -m tests.word.fuzz [COUNT] [SEED]``.

Each file is a case of ``numbering_cases.py`` with values, elements and parts changed at random. A file may be read or
refused; every other exception is printed. The end says how long the slowest file took, and by how much the memory of
the process grew, which no single file exceeded.
"""

from __future__ import annotations

import os
import random
import re
import resource
import sys
import time
import traceback
import zipfile
from collections.abc import Iterator
from io import BytesIO

import django

from tests.word.numbering_cases import CASES, document, empty, item, items, level, num, plain, start, style, table

#: Values that a program may write, and values that none writes.
VALUES = (
    *(
        "",
        "0",
        "1",
        "2",
        "8",
        "9",
        "-1",
        "32767",
        "32768",
        "2000000000",
        "-2147483648",
        "9" * 5000,
        "²",
        "٣",
        "1.5",
        "x",
    ),
    *("decimal", "lowerLetter", "russianUpper", "upperRoman", "none", "bullet", "custom", "chicago", "cardinalText"),
    *("%1", "%9.", "%1" * 5000, "%" * 300, "А" * 20_000, "A", "B", "L", "true", "off", "restart", "continue"),
)
NAMES = (
    *(
        "w:p",
        "w:r",
        "w:t",
        "w:tbl",
        "w:tr",
        "w:tc",
        "w:pPr",
        "w:numPr",
        "w:ilvl",
        "w:numId",
        "w:lvl",
        "w:start",
        "w:ins",
    ),
    *(
        "w:del",
        "w:sdt",
        "w:sdtContent",
        "w:vanish",
        "w:caps",
        "w:pStyle",
        "w:basedOn",
        "w:lvlOverride",
        "w:startOverride",
    ),
    *("w:txbxContent", "w:showingPlcHdr", "w:vertAlign", "w:sym", "w:fldChar", "w:strike", "w:gridBefore", "w:pict"),
    *("w:gridSpan", "w:outlineLvl", "w:abstractNumId", "w:instrText", "w:fldSimple", "w:pPrChange", "w:moveFrom"),
)


def rich() -> bytes:
    """A file with most of what changes a number."""
    body = plain("A") + items(0, 1, 2) + empty(1) + table(item(0) + "|" + item(1, 2), plain("B") + "|" + empty(0))
    tracked = (
        '<w:rPr><w:ins w:id="1"/></w:rPr><w:pPrChange w:id="2"><w:pPr><w:outlineLvl w:val="0"/></w:pPr></w:pPrChange>'
    )
    span = (
        '<w:tbl><w:tblPr/><w:tblGrid/><w:tr><w:tc><w:tcPr><w:gridSpan w:val="2"/></w:tcPr><w:p/></w:tc></w:tr></w:tbl>'
    )
    field = '<w:p><w:r><w:instrText> LISTNUM </w:instrText></w:r><w:fldSimple w:instr="LISTNUM"/></w:p>'
    levels = level(0, "%1.", more='<w:pStyle w:val="A"/><w:isLgl w:val="1"/><w:lvlRestart w:val="0"/>') + level(
        1, "%1.%2"
    )
    linked = '<w:abstractNum w:abstractNumId="1"><w:numStyleLink w:val="L"/></w:abstractNum>'
    numbering = f'<w:abstractNum w:abstractNumId="0"><w:styleLink w:val="L"/>{levels}</w:abstractNum>{linked}'
    numbering += num(1) + num(2, start(0, 5) + start(1, 3), of=1)
    inherited = '<w:numId w:val="1"/>'
    styles = style("A", inherited) + style("B", '<w:ilvl w:val="1"/>', based_on="A") + style("L", inherited)
    return document(body + item(1, more=tracked) + span + field, numbering, styles)


def displayed() -> bytes:
    """A file with most of what changes the words that are displayed."""
    spaces = (
        'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
        'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'
    )
    looks = '<w:rStyle w:val="C"/><w:vanish w:val="0"/><w:strike/><w:dstrike w:val="1"/><w:caps/>'
    change = '<w:rPrChange w:id="3"><w:rPr><w:vertAlign w:val="subscript"/></w:rPr></w:rPrChange>'
    signs = '<w:sym w:font="Symbol" w:char="F0B3"/><w:noBreakHyphen/><w:br w:type="page"/><w:tab/><w:t>31</w:t>'
    run = f'<w:r><w:rPr>{looks}<w:vertAlign w:val="superscript"/>{change}</w:rPr>{signs}</w:r>'
    box = (
        f'<w:r><w:pict><w:txbxContent w:id="1">{item(1)}{table(item(0) + "|" + plain())}</w:txbxContent></w:pict></w:r>'
    )
    both = f"<mc:AlternateContent><mc:Choice>{box}</mc:Choice><mc:Fallback>{box}</mc:Fallback></mc:AlternateContent>"
    entries = '<w:result w:val="1"/><w:listEntry w:val="A"/><w:listEntry w:val="B"/>'
    form = f"<w:ffData><w:ddList>{entries}</w:ddList></w:ffData>"
    marks = [f'<w:r><w:fldChar w:fldCharType="{kind}"/>{run}</w:r>' for kind in ("begin", "begin", "separate", "end")]
    field = f'<w:r><w:fldChar w:fldCharType="begin">{form}</w:fldChar></w:r>' + "".join(marks)
    hint = '<w:sdt><w:sdtPr><w:showingPlcHdr w:val="1"/></w:sdtPr><w:sdtContent>{}</w:sdtContent></w:sdt>'
    formula = "<m:oMath><m:r><m:t>1</m:t></m:r></m:oMath>"
    words = f"<w:p {spaces}>{run}{both}{field}{hint.format(run)}{formula}</w:p>"
    row = '<w:trPr><w:gridBefore w:val="1"/><w:hidden w:val="0"/></w:trPr>'
    own = '<w:tcPr><w:cellIns w:id="4"/><w:gridSpan w:val="2"/></w:tcPr>'
    cells = (
        f"<w:tc>{own}<w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:tc>"
        for text in ("Әрбір тұлғаның құқықтары мен міндеттері " * 3, "Права и обязанности каждого лица " * 3)
    )
    languages = f'<w:tbl><w:tblPr><w:tblStyle w:val="T"/></w:tblPr><w:tr>{row}{"".join(cells)}</w:tr></w:tbl>'
    styles = "<w:docDefaults><w:rPrDefault><w:rPr><w:caps/></w:rPr></w:rPrDefault></w:docDefaults>" + "".join(
        f'<w:style w:type="{kind}" w:styleId="{key}" w:default="{on}"><w:name w:val="{key}"/><w:basedOn w:val="C"/>'
        f'<w:rPr><w:vanish w:val="{on}"/><w:strike w:val="0"/></w:rPr></w:style>'
        for kind, key, on in (("character", "C", "0"), ("paragraph", "P", "0"), ("table", "T", "0"))
    )
    numbering = f'<w:abstractNum w:abstractNumId="0">{level(0, "%1.")}</w:abstractNum>{num(1)}'
    return document(words + hint.format(words) + languages, numbering, styles)


def mutants(count: int, seed: int) -> Iterator[bytes]:
    """``count`` damaged files, the same for the same seed."""
    chance = random.Random(seed)  # noqa: S311 - the seed repeats the files
    bases = [rich(), displayed(), *(case.content() for case in CASES)]
    for _number in range(count):
        base = chance.choice(bases[:2] if chance.random() < 0.6 else bases)
        with zipfile.ZipFile(BytesIO(base)) as package:
            parts = {name: package.read(name).decode() for name in package.namelist()}
        for _change in range(chance.choice((1, 1, 2, 3, 8))):
            weights = (4, 2, 4, 1)
            names = ("word/document.xml", "word/styles.xml", "word/numbering.xml", chance.choice(list(parts)))
            name = chance.choices(names, weights)[0]
            parts[name] = _changed(parts[name], chance)
        stream = BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as package:
            for name, part in parts.items():
                package.writestr(name, part)
        yield stream.getvalue()


def _changed(part: str, chance: random.Random) -> str:
    kind = chance.random()
    if kind < 0.6:  # Another value of an attribute.
        found = list(re.finditer(r'="([^"]*)"', part))
        if found:
            match = chance.choice(found)
            return part[: match.start(1)] + chance.choice(VALUES) + part[match.end(1) :]
    found = list(re.finditer(r"<(w:\w+)[^<>]*/>", part))
    if not found:
        return part
    match = chance.choice(found)
    if kind < 0.7:  # An element is gone.
        return part[: match.start()] + part[match.end() :]
    if kind < 0.8:  # It is another element.
        return part[: match.start(1)] + chance.choice(NAMES) + part[match.end(1) :]
    if kind < 0.9:  # It has no value.
        return part[: match.start()] + f"<{match[1]}/>" + part[match.end() :]
    paragraph = list(re.finditer(r"<w:(p|lvl|num|style|tr|tc)>.*?</w:\1>|" + re.escape(match[0]), part))
    copied = chance.choice(paragraph)
    times = min(chance.choice((2, 20, 2000)), 1_000_000 // len(part))
    return part[: copied.start()] + copied[0] * max(times, 1) + part[copied.end() :]


def main(count: int, seed: int) -> int:
    from agreement.text.source import SourceError
    from agreement.word import reader

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused = wrong = 0
    chosen = ("", "kk", "ru")
    slowest, longest = 0.0, 0
    for number, content in enumerate(mutants(count, seed)):
        began = time.process_time()
        try:
            language = chosen[number % len(chosen)]
            longest = max(longest, len(reader.read_manuscript(content, "a.docx", language=language).accepted))
        except SourceError:
            refused += 1
        except Exception:
            wrong += 1
            print(f"file {number}:")
            traceback.print_exc(limit=-3)
        slowest = max(slowest, time.process_time() - began)
    growth = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"{count} files of seed {seed}: {refused} refused, {wrong} exceptions.")
    print(f"The slowest took {slowest:.2f} s; the longest text has {longest:,} characters; memory +{growth:.0f} MB.")
    return min(wrong, 1)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    sys.exit(main(int((sys.argv[1:] or ["1000"])[0]), int((sys.argv[2:] or ["1"])[0])))
