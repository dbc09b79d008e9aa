"""Writes an instrument of amendment as a Word file (.docx), with python-docx."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime

import docx
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Cm, Pt
from docx.text.paragraph import Paragraph

#: The alignment of each style of paragraph; others are justified and begin with an indent.
_ALIGNMENTS = {
    "approval": WD_ALIGN_PARAGRAPH.RIGHT,
    "title": WD_ALIGN_PARAGRAPH.CENTER,
    "date": WD_ALIGN_PARAGRAPH.RIGHT,
}
#: U+0000 to U+001F, except tab, line feed and carriage return, which XML can't contain; and what is no character.
_UNWRITABLE = dict.fromkeys([*range(9), 11, 12, *range(14, 32), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF], "\ufffd")


def write_instrument(paragraphs: Sequence[tuple[str, str]], *, language: str, at: datetime | None = None) -> bytes:
    """The bytes of a Word file on A4 with these paragraphs, each a pair of style and text. ``approval`` is in italics
    at the right, ``title`` bold in the middle, and ``date`` at the right. Text of any other style is justified.

    ``language`` is ``kk`` or ``ru``, for the spelling checker of Word. ``at`` is the moment that the file states for
    its creation and its last change; ``None`` stands for the beginning of 2000. A character that XML can't contain
    becomes U+FFFD.
    """
    document = docx.Document()
    section = document.sections[0]
    section.page_width, section.page_height = Cm(21), Cm(29.7)
    section.left_margin, section.right_margin = Cm(3), Cm(1.5)
    section.top_margin = section.bottom_margin = Cm(2)
    normal = document.styles["Normal"]
    normal.font.name, normal.font.size = "Times New Roman", Pt(14)
    fonts = normal.element.get_or_add_rPr()
    code = {"kk": "kk-KZ", "ru": "ru-RU"}[language]
    fonts.append(fonts.makeelement(qn("w:lang"), {qn("w:val"): code, qn("w:eastAsia"): code}))
    for style, text in paragraphs:
        # Document.add_paragraph() looks at all paragraphs that are there, to find the end.
        element = OxmlElement("w:p")
        document.element.body[-1].addprevious(element)
        paragraph = Paragraph(element, document)
        run = paragraph.add_run(text.translate(_UNWRITABLE))
        run.bold = style == "title"
        run.italic = style == "approval"
        layout = paragraph.paragraph_format
        layout.space_after = Pt(12 if style in _ALIGNMENTS else 6)
        layout.alignment = _ALIGNMENTS.get(style, WD_ALIGN_PARAGRAPH.JUSTIFY)
        if style not in _ALIGNMENTS:
            layout.first_line_indent = Cm(1.25)
        elif style == "approval":
            layout.left_indent = Cm(8)
    properties = document.core_properties
    title = next((text for style, text in paragraphs if style == "title"), "")
    properties.title, properties.language = title.translate(_UNWRITABLE)[:255], code
    properties.author = properties.last_modified_by = properties.comments = ""
    properties.created = properties.modified = at.astimezone(UTC) if at else datetime(2000, 1, 1, tzinfo=UTC)
    written, dated = io.BytesIO(), io.BytesIO()
    document.save(written)
    # python-docx writes the time of the machine into the archive, but each process must give the same bytes.
    with zipfile.ZipFile(written) as parts, zipfile.ZipFile(dated, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in parts.namelist():
            archive.writestr(zipfile.ZipInfo(name), parts.read(name), zipfile.ZIP_DEFLATED)
    return dated.getvalue()
