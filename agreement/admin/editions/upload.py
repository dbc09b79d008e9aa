"""A file that an author uploads to start a draft: what was read of it, and how two pages hand it on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from django.core import signing

from agreement.editions.changes import message_language
from agreement.text import clauses, source
from agreement.text.redline.sentences import counted
from agreement.word import files

#: The fields of the signed report about a file. They are all fields except the language, the name and the two texts.
REPORT_FIELDS = ("changed", "insertions", "deletions", "left_out", "uncertain")
REPORT_SALT, FILE_SALT = "agreement.import", "agreement.file"
#: How many notes of one kind (such as comments or footnotes) the page displays at most, which is also the limit for
#: uncertain numbers; and how many characters of a note.
MAX_NOTES, MAX_NOTE_LENGTH = 50, 1000


@dataclass(slots=True)
class ImportedFile:
    """An imported file: its text with all tracked changes accepted, its text with all rejected, and a report. The two
    texts are equal if no change was tracked and no word was struck out.

    ``code`` is the language of the text, and ``name`` the name of the file. ``changed`` are sentences about what the
    import changed. ``insertions`` and ``deletions`` are the numbers of tracked changes.
    """

    code: str
    name: str
    accepted: str
    rejected: str
    changed: list[str] = field(default_factory=list)
    insertions: int = 0
    deletions: int = 0
    left_out: list[tuple[str, list[str], int]] = field(default_factory=list)
    """What was left out: for each kind, its label, up to ``MAX_NOTES`` notes, such as comments or footnotes, and how
    many there are. Kinds that are only counted, such as pictures, have no notes.
    """
    uncertain: list[tuple[str, str]] = field(default_factory=list)
    """Up to ``MAX_NOTES`` automatic numbers that Word may print differently, each with the first words after it. The
    number is ``""`` if it is not in the text.
    """

    @classmethod
    def from_read(cls, code: str, read: files.ReadFile) -> ImportedFile:
        """Return the file in the language ``code`` from what was read of it. For the page, at most ``MAX_NOTES`` notes
        of each kind are taken, each cut to ``MAX_NOTE_LENGTH`` characters, and at most ``MAX_NOTES`` uncertain numbers.
        """
        document = read.manuscript
        return cls(
            code=code,
            name=read.name,
            accepted=document.accepted,
            rejected=document.rejected,
            changed=read.changed(),
            insertions=document.insertions,
            deletions=document.deletions,
            left_out=[
                (kind, [note[:MAX_NOTE_LENGTH] for note in notes[:MAX_NOTES]], count)
                for kind, notes, count in read.left_out()
            ],
            uncertain=document.uncertain[:MAX_NOTES],
        )

    @property
    def tracked(self) -> bool:
        """Whether the text with the tracked changes accepted differs from the text with them rejected."""
        return self.accepted != self.rejected

    @property
    def report(self) -> str:
        """The fields of the report about the file (``REPORT_FIELDS``), signed. The page that displays the import posts
        it back.
        """
        return signing.dumps({name: getattr(self, name) for name in REPORT_FIELDS}, salt=REPORT_SALT, compress=True)

    @classmethod
    def from_post(cls, code: str, posted: Mapping[str, str]) -> ImportedFile:
        """Return the file from the data that the second page posts. The texts are not signed, because an author may
        write any text; they are normalised as an import is. If the signature of the report is missing or wrong, the
        report is empty. A missing accepted text is ``""``, and a missing rejected text equals the accepted one.
        """
        accepted = source.normalise(posted.get(f"accepted_{code}", ""))
        rejected = source.normalise(posted.get(f"rejected_{code}", accepted))
        try:
            report = signing.loads(posted.get(f"report_{code}", ""), salt=REPORT_SALT)
        except signing.BadSignature:
            report = {}
        return cls(code=code, name=posted.get(f"name_{code}", ""), accepted=accepted, rejected=rejected, **report)

    @property
    def packed(self) -> str:
        """All fields of this object, signed. The first page posts them back, so that a file that was read once need not
        be chosen again if the other one is refused.
        """
        return signing.dumps(asdict(self), salt=FILE_SALT, compress=True)

    @classmethod
    def from_packed(cls, packed: str) -> ImportedFile | None:
        """Return the file that :attr:`packed` gave; ``None`` if the signature is missing or wrong."""
        try:
            return cls(**signing.loads(packed, salt=FILE_SALT))
        except signing.BadSignature:
            return None

    @property
    def title(self) -> str:
        """The title of the accepted text, cut to the length that the title of an edition can have."""
        return clauses.title_line(self.accepted)[: clauses.LONGEST_TITLE]

    @property
    def counts(self) -> str:
        """How many sections, clauses, sub-clauses and appendices the accepted text has, in words."""
        return counted(clauses.parse(self.accepted).clauses, message_language())
