"""The instrument that amends one edition to another: its paragraphs, for a page, a Word file or a PDF, and its data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from typing import Any, Literal, NamedTuple

from agreement.editions import redlines
from agreement.models import Edition
from agreement.seal import manifest
from agreement.text import clauses
from agreement.text.redline import wording
from agreement.text.redline.amendment import amend
from agreement.text.redline.changes import redline
from agreement.text.redline.operations import Operation

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


class Paragraph(NamedTuple):
    """A paragraph of an instrument. ``style`` says what it is: ``approval``, ``title`` and ``date`` are the head,
    ``clause`` is «1. …», ``point`` is «1) …», or without a number if the instrument has only one point, and ``quote``
    is a line of the new wording.
    """

    style: Literal["approval", "title", "date", "clause", "point", "quote"]
    text: str


@dataclass(frozen=True)
class Instrument:
    """The instrument that amends the edition ``old`` to the edition ``new``, in one language. Either may be a draft."""

    old: Edition
    new: Edition
    language: str
    """The language of the compared texts and of the instrument, ``kk`` or ``ru``."""

    @cached_property
    def operations(self) -> tuple[Operation, ...]:
        """The operations that make the text of ``new`` from that of ``old``. No query is made if the editions were
        read with their texts.
        """
        if self.old.digest and self.new.digest:
            return amend(redlines.sealed_redline(self.old, self.new, self.language))
        old, new = (clauses.parse(edition.text(self.language).body) for edition in (self.old, self.new))
        return amend(redline(old, new))

    @property
    def title(self) -> str:
        """The title of the instrument, such as «О внесении изменений и дополнений в …»."""
        return wording.title(self.operations, self.language, self._name)

    @cached_property
    def changes_words(self) -> bool:
        """Does the instrument have a point, which is an instruction to change words or numbers, or to move something?
        If not, the two texts differ at most in their formatting.
        """
        return any(operation.kind != "formatting" for operation in self.operations)

    @property
    def changes_formatting(self) -> bool:
        """Did a unit change about which there is no point, in its formatting alone: white space, Markdown, or the dot
        after a number?
        """
        return any(operation.kind == "formatting" for operation in self.operations)

    @cached_property
    def paragraphs(self) -> tuple[Paragraph, ...]:
        """The paragraphs of the instrument, in order. Empty if it has no point."""
        if not self.changes_words:
            return ()
        new, zone, language = self.new, self.new.agreement.time_zone, self.language
        found = [Paragraph("approval", approval)] if (approval := new.text(language).approval) else []
        found.append(Paragraph("title", self.title))
        if new.published_at:
            found.append(Paragraph("date", wording.day(new.published_at, language, zone)))
        amended = wording.edition_name(self.old.number, self.old.effective_from, language, zone)
        found.append(Paragraph("clause", f"1. {wording.enacting(self.operations, language, self._name, amended)}"))
        points = wording.points(self.operations, language)
        for place, point in enumerate(points, start=1):
            sentence, *quote = point.lines("." if place == len(points) else ";")
            number = f"{place}) " if len(points) > 1 else ""
            found.append(Paragraph("point", number + sentence))
            found += [Paragraph("quote", line) for line in quote]
        cancelled = new.cancelled_at is not None
        effect = wording.effect(new.number, new.effective_from, language, zone, cancelled=cancelled)
        return (*found, Paragraph("clause", f"2. {effect}"))

    @property
    def has_docx(self) -> bool:
        """Can :meth:`docx` write a file: does the instrument have a point, and is python-docx (the extra ``docx``)
        installed?
        """
        return self.changes_words and find_spec("docx") is not None

    def docx(self) -> bytes:
        """The instrument as a Word file. Raises ``ImportError`` without python-docx. If the instrument has no point,
        the file has no paragraph. Ask ``has_docx`` first.
        """
        from agreement.word.instrument import write_instrument  # The extra may be missing.

        return write_instrument(self.paragraphs, language=self.language, at=self.new.published_at)

    def to_json(self) -> dict[str, Any]:
        """A dictionary for JSON: ``operations``, each with its ``sentence`` unless it is of the kind ``formatting``;
        the ``title`` of the instrument (``""`` without a point); and the SHA-256 of the old text (``from_sha256``) and
        of the new one (``sha256``).
        """
        sentences = iter(wording.points(self.operations, self.language))
        digests = [manifest.sha256(edition.text(self.language).body) for edition in (self.old, self.new)]
        return {
            "title": self.title if self.changes_words else "",
            "from_sha256": digests[0],
            "sha256": digests[1],
            "operations": [
                one.to_json() | ({} if one.kind == "formatting" else {"sentence": next(sentences).sentence})
                for one in self.operations
            ],
        }

    @property
    def _name(self) -> str:
        text = self.old.text(self.language)
        return text.title or clauses.title_line(text.body)
