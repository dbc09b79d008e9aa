"""Opens a Word file (.docx) safely: a file may be hostile.

A file is a ZIP archive of parts. Relations name the parts that belong to the text: the main part, and others such as
its styles, numbering and notes, and the Markdown that this app stored in it (:mod:`agreement.word.original`).
:func:`open_package` checks these parts and copies them into a new package, for python-docx. Pictures, settings of
printers and embedded files are not unpacked. Links to files elsewhere are not followed.
"""

from __future__ import annotations

import codecs
import io
import lzma
import posixpath
import re
import zipfile
import zlib
from dataclasses import dataclass, field
from typing import Any, NamedTuple  # Any: for the elements of lxml, which python-docx gives without types.
from xml.sax.saxutils import quoteattr

from django.utils.translation import gettext as _

from agreement.text import source
from agreement.word import original

#: The largest file that is accepted, packed and unpacked, in bytes, and its largest number of parts.
MAX_PACKED, MAX_UNPACKED, MAX_PARTS = 5_000_000, 50_000_000, 2000
#: The largest numbers of tags and of attributes in all parts that are parsed, and of the relations of a part, so that
#: reading takes seconds at most, and little memory.
MAX_TAGS, MAX_ATTRIBUTES, MAX_RELATIONS = 500_000, 500_000, 20_000

_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
_MAIN = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
#: The kinds of parts that the reader uses, each with its content type.
_KINDS = {
    kind: f"application/vnd.openxmlformats-officedocument.wordprocessingml.{kind}+xml"
    for kind in ("styles", "numbering", "settings", "comments", "footnotes", "endnotes", "header", "footer")
} | {"customXml": "application/xml"}
#: The namespaces of "Strict Open XML" and those of ordinary files, which have the same elements.
_STRICT = {
    b"http://purl.oclc.org/ooxml/" + strict: b"http://schemas.openxmlformats.org/" + ordinary
    for strict, ordinary in (
        (b"wordprocessingml/main", b"wordprocessingml/2006/main"),
        (b"officeDocument/relationships", b"officeDocument/2006/relationships"),
        (b"officeDocument/math", b"officeDocument/2006/math"),
        (b"drawingml/main", b"drawingml/2006/main"),
        (b"drawingml/wordprocessingDrawing", b"drawingml/2006/wordprocessingDrawing"),
    )
}
_NAMESPACE = re.compile(rb"""(xmlns(?::[\w.-]+)?\s*=\s*)(["'])(http://purl\.oclc\.org/ooxml/[\w/]+)\2""")
_TAG = re.compile(rb"<[^<>!?/][^<>]*>")
_DECLARATION = re.compile(rb"\s*<\?xml\s[^<>]*>")
_ENCODING = re.compile(rb"""encoding\s*=\s*["']([\w.-]+)""")
_FORBIDDEN = re.compile(rb"<!(?:doctype|entity)", re.IGNORECASE)
#: What zipfile raises while it reads a part: also for a compression that it does not know, and for wrong offsets.
_DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, RuntimeError, EOFError, ValueError)
_MACROS = re.compile(rb"(?:document|template)\.macroenabled", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Package:
    """A Word file with nothing but the parts that the reader uses. ``content`` are its bytes, for python-docx.

    ``outside`` are the URLs or paths of files elsewhere to which these parts link, such as a template or a linked
    picture, without hyperlinks. Each is in the list once.
    """

    content: bytes
    outside: list[str] = field(default_factory=list)


def refused(name: str, why: str, hint: str = "") -> source.SourceError:
    """Return (not raise) the error for a file that is not accepted. ``name`` is the name of the file, and ``why`` is
    the end of the sentence, without a full stop: "<name> was not accepted: <why>." Without a ``hint``, the hint says
    how to save the text.
    """
    sentence = _("%(name)s was not accepted: %(why)s.") % {"name": name, "why": why}
    return source.SourceError(
        sentence, hint or _("Save the text as .docx without macros, links and pictures, or as UTF-8 text.")
    )


def open_package(content: bytes, name: str) -> Package:
    """Check the bytes of a Word file and return the parts that the reader uses, as a new package. XML in the form
    "Strict Open XML" gets the namespaces of an ordinary file.

    Raises ``source.SourceError`` if the file is refused: it is not a .docx file, it is damaged, encrypted or too large,
    it contains macros, or its XML declares entities or an unusual encoding. ``name`` is the name of the file in its
    message. python-docx must be installed.
    """
    archive = _Archive(content, name)
    if _MACROS.search(archive.xml("[Content_Types].xml")):
        raise _macros(name)
    mains = [
        relation
        for relation in archive.relations("_rels/.rels", "")
        if relation.kind == "officeDocument" and not relation.external
    ]
    if len(mains) != 1:
        raise refused(name, _("it is not a .docx file"))
    main = mains[0].target
    parts, types = {"word/document.xml": archive.xml(main)}, {"word/document.xml": _MAIN}
    kept, outside, seen = list[_Relation](), list[str](), {_key(main)}
    for relation in archive.relations(_relations_of(main), main):
        if relation.kind == "vbaProject":
            raise _macros(name)
        if relation.external and relation.kind == "hyperlink":
            kept.append(relation)
        elif relation.external:
            outside.append(relation.target)
        elif relation.kind == "customXml" and not archive.begins(relation.target, original.NAMESPACE):
            continue
        elif relation.kind in _KINDS and archive.has(relation.target) and _key(relation.target) not in seen:
            seen.add(_key(relation.target))
            part = f"part{len(parts)}.xml"
            parts[f"word/{part}"] = archive.xml(relation.target)
            types[f"word/{part}"] = _KINDS[relation.kind]
            kept.append(relation._replace(target=part))
            inner = archive.relations(_relations_of(relation.target), relation.target)
            outside += [link.target for link in inner if link.external and link.kind != "hyperlink"]
    return Package(_packed(parts, types, kept), list(dict.fromkeys(outside)))


def _macros(name: str) -> source.SourceError:
    return refused(
        name,
        _("it contains macros"),
        _("Open it in Word and save it as “Word Document (.docx)”, which has no macros."),
    )


class _Relation(NamedTuple):
    """A relation of a part. ``kind`` is the last word of its type, such as ``styles``, ``target`` the name of a part
    or, if ``external``, a URL or a path outside the file, and ``key`` its id in the part.
    """

    kind: str
    target: str
    key: str
    external: bool


class _Archive:
    """The parts of a ZIP archive. Names are compared without regard to upper and lower case, as Word compares them.

    The constructor checks the archive, and :meth:`xml` each part that it returns. They raise ``source.SourceError`` if
    they refuse it.
    """

    def __init__(self, content: bytes, name: str) -> None:
        self.name = name
        self.tags = self.attributes = 0
        if len(content) > MAX_PACKED:
            raise refused(name, _("it is larger than %(size)s MB") % {"size": MAX_PACKED // 1_000_000})
        try:
            self.archive = zipfile.ZipFile(io.BytesIO(content))
            entries = self.archive.infolist()
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):  # The last: a newer form of ZIP.
            raise refused(name, _("it is not a .docx file")) from None
        # zipfile never unpacks more of a part than its header says, so the headers bound what follows.
        if len(entries) > MAX_PARTS or sum(entry.file_size for entry in entries) > MAX_UNPACKED:
            raise refused(name, _("it is too large when unpacked"))
        self.entries = {_key(entry.filename): entry for entry in entries}
        if len(self.entries) != len(entries) or any(entry.flag_bits & 0x1 for entry in entries):
            raise refused(name, _("it is encrypted or damaged"))
        if not self.has("[Content_Types].xml") or not self.has("_rels/.rels"):
            raise refused(name, _("it is not a .docx file"))

    def has(self, part: str) -> bool:
        return _key(part) in self.entries

    def begins(self, part: str, words: str) -> bool:
        """Do the first 500 bytes of this part contain these words? False if the part does not exist or can't be
        unpacked.
        """
        try:
            with self.archive.open(self.entries[_key(part)]) as content:
                return words.encode() in content.read(500)
        except (KeyError, *_DAMAGED):
            return False

    def xml(self, part: str) -> bytes:
        """The XML of a part in UTF-8, without its declaration, comments and processing instructions, and with the
        namespaces of an ordinary file. Raises ``source.SourceError`` if there is no such part, or if it is refused.
        """
        if not self.has(part):
            raise refused(self.name, _("it is not a .docx file"))
        try:
            content = self.archive.read(self.entries[_key(part)])
        except _DAMAGED:
            raise refused(self.name, _("it is encrypted or damaged")) from None
        unusual = refused(self.name, _("its XML declares entities or an unusual encoding"))
        if content[:2] in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}:
            try:
                content = content.decode("utf-16").encode()
            except UnicodeError:
                raise unusual from None
        content = content.removeprefix(codecs.BOM_UTF8)
        declaration = _DECLARATION.match(content)
        encoding = _ENCODING.search(declaration[0]) if declaration else None
        if (
            # Without a declaration, NUL or a first character other than "<" could mean another encoding to the parser.
            b"\0" in content
            or not content.lstrip().startswith(b"<")
            or _FORBIDDEN.search(content)
            or (encoding and encoding[1].lower() not in {b"utf-8", b"utf-16", b"us-ascii"})
        ):
            raise unusual
        self.tags += content.count(b"<")
        self.attributes += content.count(b"=")  # Also those in words, which are few.
        if self.tags > MAX_TAGS or self.attributes > MAX_ATTRIBUTES:
            raise refused(self.name, _("it is too large when unpacked"))
        content = content[declaration.end() :] if declaration else content
        if b"<!--" in content or b"<?" in content:
            content = self._without_comments(content)
        return _TAG.sub(_ordinary, content) if b"purl.oclc.org/ooxml/" in content else content

    def _without_comments(self, content: bytes) -> bytes:
        """The XML without comments and processing instructions. Inside an element they would divide its words into
        several texts. Raises ``source.SourceError`` if the XML is not well-formed.
        """
        from docx.oxml import parse_xml
        from lxml import etree

        try:
            root: Any = parse_xml(content)
        except (ValueError, SyntaxError):
            raise refused(self.name, _("it can't be read as a Word document")) from None
        etree.strip_tags(root, etree.Comment, etree.ProcessingInstruction)
        return bytes(etree.tostring(root, encoding="utf-8"))

    def relations(self, part: str, source_part: str) -> list[_Relation]:
        """The relations of the part ``source_part``. ``part`` is the name of the ``.rels`` part that lists them; if it
        does not exist, the list is empty. Raises ``source.SourceError`` if the ``.rels`` part is refused.
        """
        from docx.oxml import parse_xml

        if not self.has(part):
            return []
        content = self.xml(part)
        try:
            root: Any = parse_xml(content)
        except (ValueError, SyntaxError):
            raise refused(self.name, _("it can't be read as a Word document")) from None
        if len(root) > MAX_RELATIONS:
            raise refused(self.name, _("it is too large when unpacked"))
        found = []
        for element in root.iterchildren("{*}Relationship"):
            target = element.get("Target", "")
            external = element.get("TargetMode", "").lower() == "external"
            if not external:
                target = posixpath.normpath(posixpath.join("/", posixpath.dirname(source_part), target)).lstrip("/")
            kind = element.get("Type", "").rpartition("/")[2]
            found.append(_Relation(kind, target, element.get("Id", ""), external))
        return found


def _key(part: str) -> str:
    return part.replace("\\", "/").lstrip("/").lower()


def _relations_of(part: str) -> str:
    folder, _slash, file = part.rpartition("/")
    return posixpath.join(folder, "_rels", f"{file}.rels")


def _ordinary(tag: re.Match[bytes]) -> bytes:
    return _NAMESPACE.sub(lambda match: match[1] + match[2] + _STRICT.get(match[3], match[3]) + match[2], tag[0])


def _packed(parts: dict[str, bytes], types: dict[str, str], relations: list[_Relation]) -> bytes:
    """The bytes of a package with these parts (name → XML), the content type of each (name → type), and these relations
    of its main part, ``word/document.xml``.
    """
    overrides = "".join(
        f'<Override PartName="/{part}" ContentType="{content_type}"/>' for part, content_type in types.items()
    )
    external = ' TargetMode="External"'
    related = "".join(
        f'<Relationship Id={quoteattr(relation.key)} Type="{_OFFICE}{relation.kind}"'
        f" Target={quoteattr(relation.target)}{external * relation.external}/>"
        for relation in relations
    )
    main = f'<Relationship Id="rId1" Type="{_OFFICE}officeDocument" Target="word/document.xml"/>'
    files: dict[str, bytes | str] = parts | {
        "[Content_Types].xml": (
            '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels"'
            f' ContentType="application/vnd.openxmlformats-package.relationships+xml"/>{overrides}</Types>'
        ),
        "_rels/.rels": f'<Relationships xmlns="{_RELATIONS}">{main}</Relationships>',
        "word/_rels/document.xml.rels": f'<Relationships xmlns="{_RELATIONS}">{related}</Relationships>',
    }
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as package:
        for part, xml in files.items():
            package.writestr(part, xml)
    return stream.getvalue()
