"""The operations of an amendment, as data.

An operation has two parts. Its edits change the characters of the old text: :func:`apply` makes the new text from the
old one and the operations, character for character. Its other fields contain what its sentence says: which units are
reworded, inserted, deleted, renumbered or moved, and in which words. ``amendment`` makes the operations from a redline,
and ``wording`` writes their sentences.

A sentence can't say everything that an edit does. White space, Markdown and the dot after a number are in the edits
alone. The edits of units in which nothing else changed are the operation ``formatting``, which comes last and has no
sentence.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

Kind = Literal["words", "reword", "insert", "delete", "renumber", "move", "formatting"]


class Step(NamedTuple):
    """A noun and a number in the name of a place: ``("clause", "2.3")``. The number is ``""`` if there is none.

    The nouns are the keys of ``wording.RUSSIAN``. The number of a ``heading`` or of text ``under`` one is the words of
    that heading, shortened to about 80 characters, and that of a ``line`` counts the lines of the unit from 1.
    """

    noun: str
    number: str = ""


Path = tuple[Step, ...]
"""The name of a unit, the innermost step first: sub-clause 2) of clause 1.1 of appendix 1."""


class Edit(NamedTuple):
    """One replacement in the old text: ``deleted``, which begins at the offset ``at`` in characters, becomes
    ``inserted``. Either may be empty. ``order`` is the place of the edit among all edits of the amendment, from 0. The
    edits are applied in this order, which matters for edits at the same offset.
    """

    order: int
    at: int
    deleted: str
    inserted: str


class Phrase(NamedTuple):
    """Words that are replaced, wherever they occur in a line or in the whole text. If ``after`` is true, ``new`` is
    inserted after ``old``, which stays and occurs once. If ``new`` is empty, ``old`` is deleted."""

    old: str
    new: str
    after: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation of an amendment. ``edits`` are what it changes in the old text. The other fields contain what its
    sentence says.
    """

    kind: Kind
    old: tuple[Path, ...] = ()
    """The units of the old edition that it is about. Empty for ``insert`` and ``formatting``, and for
    ``words`` that are replaced in the whole text."""
    new: tuple[Path, ...] = ()
    """For ``insert``, the units or paragraphs that are inserted; empty if they are lines of the unit ``container``,
    which ``part`` names. Otherwise the names that the units in ``old`` get; empty if they keep their numbers."""
    part: Path = ()
    """The part of the one unit in ``old`` or ``container`` that is meant: steps with the noun ``line``, or one with
    the noun ``caption`` or ``lead``. Empty if the whole unit is meant."""
    container: Path = ()
    """The unit that something is inserted in, or is moved to. Empty if no unit contains it, and if nothing is inserted
    or moved to another unit."""
    after: Path | None = None
    """The unit after which something is put that has no number to show its place. ``()`` is the beginning of the text.
    ``None`` if the place is not stated."""
    phrases: tuple[Phrase, ...] = ()
    """The replacements, if the kind is ``words``; otherwise empty."""
    quote: tuple[str, ...] = ()
    """The lines of the new wording, with the printed numbers, if the kind is ``reword`` or ``insert``; otherwise
    empty."""
    edits: tuple[Edit, ...] = ()
    """What the operation changes in the old text. If several operations are about lines of one unit, the edits of all
    are in the first."""

    def to_json(self) -> dict[str, Any]:
        """The operation as values that JSON knows. Empty fields are left out, but an ``after`` of ``()`` is included,
        because it is the beginning of the text.
        """
        found = {name: value for name, value in asdict(self).items() if value or (name == "after" and value == ())}
        for name in ("phrases", "edits"):
            if name in found:
                found[name] = [one._asdict() for one in getattr(self, name)]
        return found


def apply(body: str, operations: Iterable[Operation]) -> str:
    """The text that the operations make of ``body``. Their order does not matter. Raises ``ValueError`` if ``body``
    does not contain the words that they delete at their places, or if two edits overlap.
    """
    pieces, place = [], 0
    for edit in sorted(edit for operation in operations for edit in operation.edits):
        if edit.at < place or not body.startswith(edit.deleted, edit.at):
            msg = f"The text has no {edit.deleted[:40]!r} at the character {edit.at}: it is not the text to be amended."
            raise ValueError(msg)
        pieces += [body[place : edit.at], edit.inserted]
        place = edit.at + len(edit.deleted)
    return "".join([*pieces, body[place:]])
