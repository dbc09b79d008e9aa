"""Word files as lawyers send them, made with python-docx: automatic numbering, tracked changes, notes, and traps."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable

import docx
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

NUMBERING = f"""<w:abstractNum {nsdecls("w")} w:abstractNumId="77"><w:multiLevelType w:val="multilevel"/>
{
    "".join(
        f'<w:lvl w:ilvl="{depth}"><w:start w:val="1"/><w:numFmt w:val="{form}"/><w:lvlText w:val="{text}"/></w:lvl>'
        for depth, (form, text) in enumerate(
            [("decimal", "%1."), ("decimal", "%1.%2."), ("decimal", "%3)"), ("russianLower", "%4)")]
        )
    )
}</w:abstractNum>"""


def agreement(markdown: str) -> bytes:
    """That agreement as a Word file whose numbers Word computes: none of them stands in a paragraph."""
    document = numbered()
    for line in filter(None, (line.strip() for line in markdown.splitlines())):
        if match := re.match(r"## \d+\. (.*)", line):
            paragraph(document, match[1], 0, style="Heading 1")
        elif match := re.match(r"\d+\.\d+\. (.*)", line):
            paragraph(document, match[1], 1)
        elif match := re.match(r"\d+\) (.*)", line):
            paragraph(document, match[1], 2)
        elif line.startswith("# "):
            document.add_paragraph(line[2:], style="Title")
        else:
            document.add_paragraph(line)
    return saved(document)


def numbered() -> docx.document.Document:
    """An empty document with the list of an agreement: 1. · 1.1. · 1) · а)."""
    document = docx.Document()
    numbering = document.part.numbering_part.element
    numbering.insert(0, parse_xml(NUMBERING))
    numbering.append(parse_xml(f'<w:num {nsdecls("w")} w:numId="77"><w:abstractNumId w:val="77"/></w:num>'))
    return document


def paragraph(document: docx.document.Document, words: str, depth: int, *, style: str | None = None) -> object:
    made = document.add_paragraph(words, style=style)
    properties = made._p.get_or_add_pPr()
    properties.append(parse_xml(f'<w:numPr {nsdecls("w")}><w:ilvl w:val="{depth}"/><w:numId w:val="77"/></w:numPr>'))
    return made


def opened(content: bytes) -> docx.document.Document:
    return docx.Document(io.BytesIO(content))


def element(xml: str) -> object:
    """A part of a paragraph, written in Word's own XML."""
    return parse_xml(xml.replace(">", f" {nsdecls('w', 'r')}>", 1))


def add(document: docx.document.Document, xml: str) -> None:
    """A paragraph written in Word's own XML, before the section's properties."""
    document.element.body.insert(-1, parse_xml(f"<w:p {nsdecls('w', 'r')}>{xml}</w:p>"))


def run(words: str) -> str:
    return f"<w:r><w:t xml:space='preserve'>{words}</w:t></w:r>"


def inserted(words: str) -> str:
    return f"<w:ins w:id='1' w:author='А'>{run(words)}</w:ins>"


def deleted(words: str) -> str:
    return f"<w:del w:id='2' w:author='А'>{run(words).replace('w:t', 'w:delText')}</w:del>"


def with_footnote(content: bytes, words: str) -> bytes:
    """The same file with a footnote, which python-docx can't write."""

    def alter(parts: dict[str, bytes]) -> None:
        notes = f'<w:footnote w:type="separator" w:id="-1"/><w:footnote w:id="1"><w:p>{run(words)}</w:p></w:footnote>'
        parts["word/footnotes.xml"] = f"<w:footnotes {nsdecls('w')}>{notes}</w:footnotes>".encode()
        relation = (
            '<Relationship Id="rId900" Target="footnotes.xml"'
            ' Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/footnotes"/></Relationships>'
        )
        name = "word/_rels/document.xml.rels"
        parts[name] = parts[name].replace(b"</Relationships>", relation.encode())
        override = (
            '<Override PartName="/word/footnotes.xml" ContentType='
            '"application/vnd.openxmlformats-officedocument.wordprocessingml.footnotes+xml"/></Types>'
        )
        name = "[Content_Types].xml"
        parts[name] = parts[name].replace(b"</Types>", override.encode())

    return altered(content, alter)


def saved(document: docx.document.Document) -> bytes:
    stream = io.BytesIO()
    document.save(stream)
    return stream.getvalue()


def altered(content: bytes, alter: Callable[[dict[str, bytes]], None]) -> bytes:
    """The same package with other parts."""
    with zipfile.ZipFile(io.BytesIO(content)) as package:
        parts = {name: package.read(name) for name in package.namelist()}
    alter(parts)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as package:
        for name, part in parts.items():
            package.writestr(name, part)
    return stream.getvalue()
