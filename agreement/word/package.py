"""Checks a Word file (.docx) before anything in it is used, because a file may be hostile.

A file is refused if it is too large, also when unpacked, if it is encrypted or damaged, or if it contains macros,
programs, an XML document type, an unusual encoding, or a link to a part elsewhere. Hyperlinks are allowed.
"""

from __future__ import annotations

import io
import re
import zipfile
from typing import Any  # For the elements of lxml, which python-docx gives without types.

from django.utils.translation import gettext as _

from agreement.text import source

#: The largest file that is accepted, packed and unpacked, in bytes, and its largest number of parts.
MAX_PACKED, MAX_UNPACKED, MAX_PARTS = 5_000_000, 50_000_000, 2000
#: The largest number of tags in one part, so that reading takes seconds at most.
MAX_TAGS = 500_000


def refused(name: str, why: str) -> source.SourceError:
    sentence = _("%(name)s was not accepted: %(why)s.") % {"name": name, "why": why}
    return source.SourceError(
        sentence, _("Save the text as .docx without macros, links and pictures, or as UTF-8 text.")
    )


def require_harmless(content: bytes, name: str) -> None:
    """Raise ``source.SourceError`` for a file that is dangerous to open, too large, encrypted or damaged, or no .docx
    file. ``name`` is the name of the file in messages. python-docx must be installed.
    """
    if len(content) > MAX_PACKED:
        raise refused(name, _("it is larger than %(size)s MB") % {"size": MAX_PACKED // 1_000_000})
    try:
        package = zipfile.ZipFile(io.BytesIO(content))
        parts = package.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):  # The last: a newer form of ZIP.
        raise refused(name, _("it is not a .docx file")) from None
    names = [part.filename for part in parts]
    # zipfile never unpacks more of a part than its header says, so the headers bound what follows.
    if len(parts) > MAX_PARTS or sum(part.file_size for part in parts) > MAX_UNPACKED:
        raise refused(name, _("it is too large when unpacked"))
    if len(set(names)) != len(names) or any(part.flag_bits & 0x1 for part in parts):
        raise refused(name, _("it is encrypted or damaged"))
    if "[Content_Types].xml" not in names or "word/document.xml" not in names:
        raise refused(name, _("it is not a .docx file"))
    for part in parts:
        lower = part.filename.lower()
        if "vba" in lower or lower.endswith((".bin", ".exe", ".dll")) or "activex" in lower:
            raise refused(name, _("it contains macros or programs"))
        if not lower.endswith((".xml", ".rels")):
            continue
        try:
            xml = package.read(part)
            if xml.count(b"<") > MAX_TAGS:
                raise refused(name, _("it is too large when unpacked"))
        except (zipfile.BadZipFile, OSError, RuntimeError, EOFError):  # Also a compression that zipfile does not know.
            raise refused(name, _("it is encrypted or damaged")) from None
        head = xml[:200].replace(b"\0", b"").lower()
        coded = re.search(rb"encoding\s*=\s*[\"']([\w-]+)", head)
        if re.search(rb"<!(?:doctype|entity)", xml.replace(b"\0", b""), re.I) or (
            coded and coded[1] not in {b"utf-8", b"utf-16", b"us-ascii"}
        ):
            raise refused(name, _("its XML declares entities or an unusual encoding"))
        if lower == "[content_types].xml" and b"macroenabled" in xml.lower():
            raise refused(name, _("it contains macros or programs"))
        if lower.endswith(".rels"):
            _require_inside(xml, name)


def _require_inside(xml: bytes, name: str) -> None:
    """Raise ``source.SourceError`` if a relation in ``xml``, the text of a ``.rels`` part, leads out of the file, or if
    the text can't be parsed. A program that opens the file would fetch the target. Hyperlinks are allowed.
    """
    from docx.oxml import parse_xml

    try:
        relations: Any = parse_xml(xml)
    except (ValueError, SyntaxError):
        raise refused(name, _("it can't be read as a Word document")) from None
    for relation in relations:
        outside = relation.get("TargetMode", "").lower() == "external"
        if outside and not relation.get("Type", "").endswith("/hyperlink"):
            raise refused(name, _("it refers to an external file: %(target)s") % {"target": relation.get("Target", "")})
