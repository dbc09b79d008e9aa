"""Reads a file as the text of an edition: a Word file or a text file, recognised by its bytes.

Known files of other kinds, such as PDF and the old ``.doc``, are refused with a hint that says what to do.
"""

from __future__ import annotations

import codecs
import io
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from agreement.text import source
from agreement.word import package, reader
from agreement.word.reader import Manuscript

#: The largest file of any kind that may be read, in bytes.
MAX_BYTES = max(source.MAX_BYTES, package.MAX_PACKED)
#: How many names a sentence about the file lists. It states how many more there are.
MAX_LISTED = 20

UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_MARKUP = re.compile(rb"\s*<(?:!doctype\s+html|\?xml|([a-z][a-z0-9]*)(?:\s[^<>]{0,1000})?>)", re.IGNORECASE)


class NotInstalledError(source.SourceError):
    """The file is a Word file, and the extra ``docx`` is not installed. The sentence is for a visitor."""


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A file that was read. For a text file, the two texts in ``manuscript`` are equal, and the manuscript counts and
    lists nothing.

    ``encoding`` is the encoding of a text file, and ``""`` for a Word file. ``marked`` says that a byte order mark was
    removed, and ``line_ends`` that characters other than LF that end lines or pages became LF.
    """

    name: str
    manuscript: Manuscript
    encoding: str = ""
    marked: bool = False
    line_ends: bool = False

    def changed(self) -> list[str]:
        """Sentences in the active language about how the file was read. Of a Word file they state what was imported and
        what was not, such as an automatic table of contents, but nothing that :meth:`left_out` returns. Of a text file
        they state that its encoding was converted, that a byte order mark was removed, and that line endings were
        replaced. Empty for a text file of which none of this is so.
        """
        found = []
        if not self.encoding:
            found.append(
                _("Word document: the text, the numbers and the tables were imported. Bold and italics were not.")
            )
            if self.manuscript.contents:
                found.append(_("The automatic table of contents was not imported."))
            if self.manuscript.typed:
                found.append(_("Markdown marks that were typed in Word were read as formatting."))
            found += self._counted()
            if numbers := self.manuscript.empty_numbers:
                found.append(
                    _("Numbers of paragraphs without words were counted, but not imported: %(numbers)s")
                    % {"numbers": _listed([number[:20] for number in numbers])}
                )
            if hints := self.manuscript.placeholders:
                found.append(
                    _("Hints of empty content controls are in the text, because Word prints them: %(hints)s")
                    % {"hints": _listed([f"«{hint[:100]}»" for hint in hints])}
                )
            if addresses := self.manuscript.outside:
                found.append(
                    _("The document links to other files, which were not opened: %(names)s")
                    % {"names": _listed([address[:200] for address in addresses])}
                )
        elif self.encoding != "UTF-8":
            found.append(
                _("The file was converted from the encoding %(encoding)s. Check the letters of the text.")
                % {"encoding": self.encoding}
            )
        if self.marked:
            found.append(_("The byte order mark was removed."))
        if self.line_ends:
            found.append(_("Line endings of Windows, of old Macs or of Word were replaced by plain ones."))
        return found

    def _counted(self) -> list[str]:
        """Sentences about four counts of the manuscript: of passages struck out by hand, tracked changes of the format,
        superscripts and subscripts, and places with several spaces. A count of 0 has no sentence.
        """
        document = self.manuscript
        sentences = [
            (
                _(
                    "Passages struck out by hand: %(count)d. They count as tracked deletions: the text with the changes"
                    " accepted does not contain them."
                ),
                document.struck,
            ),
            (_("Tracked changes of formatting that affect numbers or words: %(count)d."), document.restyled),
            (
                _(
                    "Superscripts and subscripts: %(count)d. The imported text contains them as characters such as ¹"
                    " and ₂, or in brackets after ^ or _."
                ),
                document.raised,
            ),
            (_("Places where several spaces or tabs became one space: %(count)d."), document.spaces),
        ]
        return [sentence % {"count": count} for sentence, count in sentences if count]

    def left_out(self) -> list[tuple[str, list[str], int]]:
        """What was left out of a Word file and the author must know about, in the active language: one tuple for each
        kind of which something was left out. A tuple contains the label of the kind, a list of notes, and how many
        there are. Kinds that are only counted, such as pictures and hidden text, have an empty list. Empty for a text
        file.
        """
        document = self.manuscript
        notes = [
            (_("Comments"), document.comments),
            (_("Footnotes and endnotes"), document.footnotes),
            (_("Addresses of links (the text of the links was imported)"), document.links),
            (_("Headers and footers"), document.margins),
        ]
        counts = [
            (_("Pictures and drawings"), document.pictures),
            (_("Hidden text"), document.hidden),
            (_("Columns with the text in another language"), document.columns),
            (_("Formulas and symbols (the sign � marks their place), embedded documents"), document.odd),
        ]
        return [
            *((kind, texts, len(texts)) for kind, texts in notes if texts),
            *((kind, [], count) for kind, count in counts if count),
        ]


def read_file(
    content: bytes, name: str, *, language: str = "", encoding: str = "UTF-8", may_be_empty: bool = False
) -> ReadFile:
    """Read a Word file or a text file. ``name`` is the name of the file in messages; nothing depends on its ending. Of
    a Word file with a column for each language, only the text in ``language`` is read; ``""`` reads all columns.

    A text file in UTF-8 is read as such, whatever ``encoding`` is. Any other text file is read in ``encoding``; with
    ``""``, in the encoding that is recognised; with ``"UTF-8"``, it is refused. ``may_be_empty`` permits a text file
    with nothing but white space.

    Raises ``source.SourceError`` if the file is refused. Its sentence and hint are in the active language. It is a
    ``source.EncodingError`` for a text file that is refused only because of ``"UTF-8"``, and a
    :class:`NotInstalledError` for each Word file without the extra ``docx``.
    """
    if kind := _foreign(content):
        raise package.refused(name, *kind)
    if content.startswith(_ZIP):
        if not reader.installed():
            raise NotInstalledError(
                _("This site can't read Word files. Save the text as Markdown or plain text, in UTF-8."), ""
            )
        return ReadFile(name, reader.read_manuscript(content, name, language=language))
    recognised = source.recognise(content) if len(content) <= source.MAX_BYTES else "UTF-8"
    if recognised != "UTF-8":
        if encoding == "UTF-8" and recognised:
            raise source.EncodingError(name, recognised)
        recognised = encoding or recognised or "UTF-8"
    text = source.decode(content, name, encoding=recognised, may_be_empty=may_be_empty)
    raw = content.decode(recognised)
    return ReadFile(
        name,
        Manuscript(accepted=text, rejected=text),
        encoding=recognised,
        marked=raw.startswith("\ufeff") or content.startswith(UTF16_MARKS),
        line_ends=source.normalise(raw) != raw.removeprefix("\ufeff"),
    )


def _listed(names: Sequence[str]) -> str:
    more = len(names) - MAX_LISTED
    return ", ".join(names[:MAX_LISTED]) + (f", … (+{more})" if more > 0 else "")


def _foreign(content: bytes) -> tuple[str, str] | None:
    """Why these bytes are refused, and what to do, if they are a known kind of file that can't be read, such as PDF or
    the old ``.doc``; otherwise ``None``.
    """
    resave = _("Open it in Word and save it as “Word Document (.docx)”.")
    head = content[:1024]
    if b"%PDF-" in head:
        return _("it is a PDF file"), _(
            "Use the Word file from which the PDF was made. Or open the PDF in Word, compare every line, and save it as"
            " “Word Document (.docx)”."
        )
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        if "EncryptedPackage".encode("utf-16-le") in content:
            return _("it is protected by a password"), _(
                "Open it in Word, remove the password (File, Info, Protect Document), and save it."
            )
        return _("it is a file of an old version of Word (.doc) or of another Office program"), resave
    if head.startswith(b"{\\rtf"):
        return _("it is an RTF file"), resave
    if head.startswith((b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*")):
        return _("it is a picture"), _("A picture has no text. Use the file from which it was made.")
    if head.startswith((b"Rar!", b"7z\xbc\xaf", b"\x1f\x8b")):
        return _("it is an archive"), _("Unpack it, then choose a file from it.")
    if head.startswith(_ZIP):
        return _foreign_zip(content, resave)
    start = content[:4096].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe").lower()
    match = _MARKUP.match(start)
    # "<domain>" is a blank to fill in. A tag is closed somewhere.
    if start.startswith(b"mime-version:") or (
        match and (not match[1] or b"</" + match[1] in content.replace(b"\0", b"").lower())
    ):
        return _("it is a web page or an XML file"), resave
    return None


def _foreign_zip(content: bytes, resave: str) -> tuple[str, str] | None:
    if len(content) > package.MAX_PACKED:
        return None
    if content[30:38] == b"mimetype" and content[38:].startswith(b"application/vnd.oasis.opendocument"):
        return _("it is a LibreOffice file (.odt or another one)"), _(
            "Open it in LibreOffice or Word and save it as “Word Document (.docx)”."
        )
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = frozenset(archive.namelist())
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
        return None
    if names & {"Index/Document.iwa", "Index.zip", "index.xml"}:
        return _("it is a Pages file"), _("Export it from Pages as Word (.docx).")
    if names & {"xl/workbook.xml", "ppt/presentation.xml"}:
        return _("it is an Excel or PowerPoint file"), _("Copy the text into a Word document and save it as .docx.")
    if "[Content_Types].xml" not in names:
        return _("it is an archive"), _("Unpack it, then choose a file from it.")
    return None
