"""Assembles a Word file (.docx): a ZIP archive of XML parts."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from xml.sax.saxutils import quoteattr

from agreement.word import markup
from agreement.word.elements import R, W

_NAMESPACES = f'xmlns:w="{W[1:-1]}" xmlns:r="{R[1:-1]}"'
_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
#: The date of all parts: the first that a ZIP file can state.
_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """What a Word file contains besides its body: the title, the language and the date in its properties, the lines in
    its headers and footers, and whether its pages lie on their side. The language is also that of Word's spelling
    checker for all words that state no other one.
    """

    title: str
    language: str
    """The language of the file: ``kk`` or ``ru``."""
    approval: str = ""
    """The approval of the text, such as by which order, at the top right of the first page; ``""`` for none."""
    first: tuple[str, ...] = ()
    """Lines at the top of the first page."""
    running: str = ""
    """The line at the top of the other pages."""
    foot: tuple[str, ...] = ()
    """Lines at the bottom of each page, above the number of the page."""
    written: datetime | None = None
    """The moment of creation and of the last change in the properties of the file; ``None`` leaves both out."""
    landscape: bool = False


def assemble(sheet: Sheet, body: str, *, relations: dict[str, str] | None = None, markdown: bytes = b"") -> bytes:
    """The bytes of a Word file.

    ``body`` is the XML inside ``w:body``, to which the section properties are added here. ``relations`` maps the URL of
    each link in ``body`` to the id by which ``body`` refers to it; ``None`` for no links. ``markdown`` is the XML that
    :func:`agreement.word.original.part` returns, which becomes a part of its own; ``b""`` for none.
    """
    locale = markup.LOCALES[sheet.language]
    links = "".join(markup.relation(address, key) for address, key in (relations or {}).items())
    types = _blank("content_types.xml")
    if not markdown:
        types = types.replace(_PROPERTIES_TYPE, "")
    parts = {
        "[Content_Types].xml": types,
        "_rels/.rels": _blank("package.rels"),
        "docProps/core.xml": _properties(sheet),
        "word/document.xml": f"{_HEAD}<w:document {_NAMESPACES}><w:body>{body}{_section(sheet)}</w:body></w:document>",
        "word/styles.xml": _blank("styles.xml").replace("LANGUAGE", locale),
        "word/settings.xml": _blank("settings.xml").replace("LANGUAGE", locale),
        "word/numbering.xml": _blank("numbering.xml"),
        "word/header1.xml": _header(_paragraph("Header", sheet.running)),
        "word/header2.xml": _header(
            _paragraph("Approval", sheet.approval) + "".join(_paragraph("Header", line) for line in sheet.first)
        ),
        "word/footer1.xml": _footer(sheet),
        "word/footer2.xml": _footer(sheet),
        "word/_rels/document.xml.rels": _relations(
            ("rId1", "styles", "styles.xml"),
            ("rId2", "settings", "settings.xml"),
            ("rId3", "numbering", "numbering.xml"),
            ("rId4", "header", "header1.xml"),
            ("rId5", "header", "header2.xml"),
            ("rId6", "footer", "footer1.xml"),
            ("rId7", "footer", "footer2.xml"),
            *([("rId8", "customXml", "../customXml/item1.xml")] if markdown else []),
            more=links,
        ),
    }
    if markdown:
        parts["customXml/item1.xml"] = markdown.decode()
        parts["customXml/itemProps1.xml"] = _blank("item_properties.xml")
        parts["customXml/_rels/item1.xml.rels"] = _relations(("rId1", "customXmlProps", "itemProps1.xml"))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as package:
        for name, content in parts.items():
            entry = zipfile.ZipInfo(name, _DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            package.writestr(entry, content.encode())
    return stream.getvalue()


_PROPERTIES_TYPE = """<Override PartName="/customXml/itemProps1.xml"
 ContentType="application/vnd.openxmlformats-officedocument.customXmlProperties+xml"/>
"""


def _blank(name: str) -> str:
    return files("agreement.word").joinpath("blank", name).read_text(encoding="utf-8")


def _relations(*targets: tuple[str, str, str], more: str = "") -> str:
    inside = "".join(
        f'<Relationship Id="{key}" Type="{_RELATIONS}/{kind}" Target="{target}"/>' for key, kind, target in targets
    )
    schema = "http://schemas.openxmlformats.org/package/2006/relationships"
    return f'{_HEAD}<Relationships xmlns="{schema}">{inside}{more}</Relationships>'


def _properties(sheet: Sheet) -> str:
    schema = "http://schemas.openxmlformats.org/package/2006/metadata/core-properties"
    at = sheet.written.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if sheet.written else ""
    dates = "".join(
        f'<dcterms:{name} xsi:type="dcterms:W3CDTF">{at}</dcterms:{name}>' for name in ("created", "modified") if at
    )
    return (
        f'{_HEAD}<cp:coreProperties xmlns:cp="{schema}" xmlns:dc="http://purl.org/dc/elements/1.1/"'
        ' xmlns:dcterms="http://purl.org/dc/terms/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
        f"<dc:title>{markup.text(sheet.title)}</dc:title>"
        f"<dc:language>{markup.LOCALES[sheet.language]}</dc:language>{dates}</cp:coreProperties>"
    )


def _section(sheet: Sheet) -> str:
    width, height, turned = (16838, 11906, ' w:orient="landscape"') if sheet.landscape else (11906, 16838, "")
    return (
        '<w:sectPr><w:headerReference w:type="default" r:id="rId4"/><w:headerReference w:type="first" r:id="rId5"/>'
        '<w:footerReference w:type="default" r:id="rId6"/><w:footerReference w:type="first" r:id="rId7"/>'
        f'<w:pgSz w:w="{width}" w:h="{height}"{turned}/>'
        '<w:pgMar w:top="1134" w:right="850" w:bottom="1134" w:left="1418" w:header="567" w:footer="567" w:gutter="0"/>'
        "<w:titlePg/></w:sectPr>"
    )


def _header(paragraphs: str) -> str:
    return f"{_HEAD}<w:hdr {_NAMESPACES}>{paragraphs or _paragraph('Header', ' ')}</w:hdr>"


def _footer(sheet: Sheet) -> str:
    lines = "".join(_paragraph("Footer", line) for line in sheet.foot)
    page = (
        '<w:p><w:pPr><w:pStyle w:val="Footer"/><w:jc w:val="right"/></w:pPr>'
        f"{_field('PAGE')}<w:r><w:t> / </w:t></w:r>{_field('NUMPAGES')}</w:p>"
    ).replace("<w:t> /", '<w:t xml:space="preserve"> /')
    return f"{_HEAD}<w:ftr {_NAMESPACES}>{lines}{page}</w:ftr>"


def _field(name: str) -> str:
    return f"<w:fldSimple w:instr={quoteattr(name)}><w:r><w:t>1</w:t></w:r></w:fldSimple>"


def _paragraph(style: str, words: str) -> str:
    return f'<w:p><w:pPr><w:pStyle w:val="{style}"/></w:pPr>{markup.run(words)}</w:p>' if words else ""
