"""What an amendment does to a text, as data: the operations that a lawyer writes in an instrument of amendment.

An operation has two parts. Its edits change the characters of the old text: :func:`apply` makes the new text from the
old one and the operations, character for character. Its other fields contain what its sentence says: which units are
reworded, inserted, deleted, renumbered or moved, and in which words. ``wording`` writes the sentences.

A sentence can't say everything that an edit does. White space, Markdown and the dot after a number are in the edits
alone. Edits that no sentence mentions are the operation ``formatting``, which comes last.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, field, replace
from difflib import SequenceMatcher
from itertools import islice, pairwise
from typing import Any, Literal, NamedTuple

from agreement.text.clauses import Clause
from agreement.text.redline.changes import Change, Redline
from agreement.text.redline.words import WORD, Run, compare, longest_increasing

Kind = Literal["words", "reword", "insert", "delete", "renumber", "move", "formatting"]
#: Words are replaced by name in one unit only if it has at most ``MAX_PHRASES`` replacements, none of which has more
#: than ``MAX_WORDS`` words, and at least half of its words stay. Otherwise the unit is restated.
MAX_PHRASES, MAX_WORDS = 3, 20
#: A unit is reworded by lines only if at most ``MAX_HUNKS`` passages of it differ. Lines are compared only if they are
#: at most so many pairs.
MAX_HUNKS, MAX_LINE_PAIRS = 10, 250_000
#: The same replacement in at least so many units is one operation on the whole text, if it covers every occurrence.
EVERYWHERE = 3
#: How many words on each side may be added to a phrase to make it unique in its unit.
_CONTEXT = 4

_APPENDIX = re.compile(
    r"(?:приложение|қосымша)\s*(?:№|N)?\s*(?P<after>\d{1,2})(?!\d)|(?<!\d)(?P<before>\d{1,2})[\s–‑-]*(?:ші\s+)?қосымша",
    re.IGNORECASE,
)
#: A word in a printed number, such as the first one of «Глава I.». Roman numbers are not words.
_NOUN = re.compile(r"§|(?<=\d)[\s–‑-]*[ыі]?н?ш[ыі]\b|(?![IVXLCDMІХ]+\b)[^\W\d_]{3,}")
_NOUNS = {
    "глава": "chapter",
    "тарау": "chapter",
    "статья": "article",
    "бап": "article",
    "§": "paragraph",
    "параграф": "paragraph",
    "раздел": "section",
    "бөлім": "section",
}
_HEADED = frozenset({"section", "chapter", "article", "paragraph", "appendix"})
_TOKEN = re.compile(r"\S+\s*")
_PART = re.compile(r"\w+|[^\w\s]")


class Step(NamedTuple):
    """A noun and a number in the name of a place: ``("clause", "2.3")``. The number is ``""`` if there is none.

    The nouns are the keys of ``wording.RUSSIAN``. The number of a ``heading`` or of text ``under`` one is the words of
    that heading.
    """

    noun: str
    number: str = ""


Path = tuple[Step, ...]
"""The name of a unit, the innermost step first: sub-clause 2) of clause 1.1 of appendix 1."""


class Edit(NamedTuple):
    """One replacement in the old text: ``deleted``, which begins at the offset ``at`` in characters, becomes
    ``inserted``. Either may be empty. All edits of an amendment are applied in their ``order``."""

    order: int
    at: int
    deleted: str
    inserted: str


class Phrase(NamedTuple):
    """Words of a line that are replaced, wherever they occur in it. If ``after`` is true, ``new`` is inserted after
    ``old``, which stays and occurs once. If ``new`` is empty, ``old`` is deleted."""

    old: str
    new: str
    after: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation of an amendment."""

    kind: Kind
    old: tuple[Path, ...] = ()
    """The units of the old edition that it is about, in order. Empty for ``insert`` and ``formatting``, and for
    ``words`` that are replaced in the whole text."""
    new: tuple[Path, ...] = ()
    """For ``insert``, what is inserted. Otherwise the numbers that the units get; empty if they keep theirs."""
    part: Path = ()
    """The part of the one unit in ``old`` or ``container`` that is meant: steps with the noun ``line``, or one with
    the noun ``caption`` or ``lead``. Empty if the whole unit is meant. The units in it are not a part of it."""
    container: Path = ()
    """The unit that something is inserted in, or is moved to. Empty for the text as a whole."""
    after: Path | None = None
    """The unit after which something is put that has no number to show its place. ``()`` is the beginning of the text.
    ``None`` if the place is not stated."""
    phrases: tuple[Phrase, ...] = ()
    """The replacements of ``words``."""
    quote: tuple[str, ...] = ()
    """The lines of the new wording of ``reword`` and ``insert``, with the printed numbers."""
    edits: tuple[Edit, ...] = ()
    """What it changes in the old text. If several operations are about lines of one unit, the edits of all are in the
    first."""

    def to_json(self) -> dict[str, Any]:
        """The operation as values that JSON knows. Fields without content are left out."""
        found = {name: value for name, value in asdict(self).items() if value or (name == "after" and value == ())}
        for name in ("phrases", "edits"):
            if name in found:
                found[name] = [one._asdict() for one in getattr(self, name)]
        return found

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Operation:
        """The operation that :meth:`to_json` gave, also after its way through JSON."""

        def path(steps: Iterable[Sequence[str]]) -> Path:
            return tuple(Step(*step) for step in steps)

        return cls(
            kind=values["kind"],
            old=tuple(map(path, values.get("old", ()))),
            new=tuple(map(path, values.get("new", ()))),
            part=path(values.get("part", ())),
            container=path(values.get("container", ())),
            after=path(values["after"]) if "after" in values else None,
            phrases=tuple(Phrase(**one) for one in values.get("phrases", ())),
            quote=tuple(values.get("quote", ())),
            edits=tuple(Edit(**one) for one in values.get("edits", ())),
        )


def apply(body: str, operations: Iterable[Operation]) -> str:
    """The text that the operations make of ``body``. Their order does not matter. Raises ``ValueError`` if ``body`` is
    not the text that they amend.
    """
    pieces, place = [], 0
    for edit in sorted(edit for operation in operations for edit in operation.edits):
        if edit.at < place or not body.startswith(edit.deleted, edit.at):
            msg = f"The text has no {edit.deleted[:40]!r} at the character {edit.at}: it is not the text to be amended."
            raise ValueError(msg)
        pieces += [body[place : edit.at], edit.inserted]
        place = edit.at + len(edit.deleted)
    return "".join([*pieces, body[place:]])


def amend(redline: Redline) -> tuple[Operation, ...]:
    """The operations that make the new text of a redline from its old one: first those on the whole text, then the
    others in the order of the redline, and ``formatting`` last. Empty if the texts are equal, character for character.
    """
    return _Drafting(redline.changes).operations()


@dataclass(slots=True)
class _Draft:
    """An operation that may still grow: ``old`` and ``new`` are those of the operation, which has none itself, and
    ``changes`` are the indexes of the changes that it consists of."""

    operation: Operation
    changes: list[int]
    old: list[Path] = field(default_factory=list)
    new: list[Path] = field(default_factory=list)
    text: str = ""
    """The line in which words are replaced."""


class _Names:
    """The names of the units of one edition, which are given in the order of the text."""

    def __init__(self, units: Sequence[Clause]) -> None:
        self.by_number: dict[str, Clause] = {}
        self.before: dict[int, Clause] = {}
        self.twins: Counter[tuple[str, ...]] = Counter()
        for place, unit in enumerate(units):
            if unit.number:
                self.by_number.setdefault(unit.number, unit)
                self.twins[self._key(unit)] += 1
            if place:
                self.before[unit.start] = units[place - 1]
        self.containers = {self.holder_number(unit) for unit in units if unit.number}

    def _key(self, unit: Clause) -> tuple[str, ...]:
        return noun(unit), printed(unit), _appendix(unit), unit.parent if "-" in unit.number else ""

    def parents(self, unit: Clause) -> list[Clause]:
        """The units that contain this one, the nearest first. A section that has no heading of its own is no unit."""
        found: list[Clause] = []
        number = unit.parent
        while number:
            holder = self.by_number.get(number)
            if holder in found:
                break
            found += [holder] if holder else []
            number = holder.parent if holder else number.rpartition(".")[0]
        return found

    def holder_number(self, unit: Clause) -> str:
        """The number of the nearest unit that contains this one; ``""`` if none does."""
        return next((parent.number for parent in self.parents(unit)), "")

    def path(self, unit: Clause) -> Path:
        """The name of the unit."""
        name, parents = noun(unit), self.parents(unit)
        if name in {"title", "heading"}:
            return (Step(name, _shortened(unit.text) if name == "heading" else ""),)
        if name == "text":
            before = self.before.get(unit.start)
            if before and noun(before) == "heading":
                return (Step("under", _shortened(before.text)),)
            if not parents:
                return (Step("preamble"),)
            leads = parents[0].number in self.containers and before == parents[0]
            return (Step("lead" if leads else "text"), *self.path(parents[0]))
        if name == "note":
            return (Step(name), *(self.path(parents[0]) if parents else ()))
        step = Step(name, printed(unit))
        if "-" in unit.number:
            if unit.kind == "item" and parents and "-" in parents[0].number:
                step = Step(name, f"{printed(parents[0])} {step.number}")
            outer = next((parent for parent in parents if "-" not in parent.number), None)
            return (step, *(self.path(outer) if outer else ()))
        if self.twins[self._key(unit)] > 1 and parents and noun(parents[0]) != "appendix":
            return (step, *self.path(parents[0]))
        appendix = self.by_number.get(_appendix(unit))
        return (step, *(self.path(appendix) if appendix and appendix is not unit else ()))


def noun(unit: Clause) -> str:
    """The noun that names a unit, as a key of ``wording.RUSSIAN``."""
    if unit.kind == "heading" and unit.number:
        return "appendix"
    words = map(str.lower, _NOUN.findall(unit.label)) if unit.kind in {"section", "clause"} else ()
    found = next((_NOUNS[word] for word in words if word in _NOUNS), "")
    return found or ("subclause" if unit.kind == "item" else unit.kind)


def printed(unit: Clause) -> str:
    """The number of a unit as the text prints it, without the noun and the dot: ``2.3``, ``I``, ``2)``. ``""`` if it
    has none.
    """
    if noun(unit) == "appendix":
        found = _APPENDIX.search(unit.text)
        return (found["after"] or found["before"]) if found else ""
    if not unit.number:
        return ""
    return _NOUN.sub("", unit.label).strip(" \u00a0.–‑-\\") or unit.number


def _appendix(unit: Clause) -> str:
    """The number of the appendix that contains the unit or is the unit; ``""`` if there is none."""
    return re.split(r"[.-]", unit.number)[0] if unit.number.startswith("a") else ""


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 80 else f"{line[:80].rpartition(' ')[0] or line[:80]}…"


def _lines(unit: Clause) -> list[str]:
    """The lines of a unit as a quotation contains them, the first with the printed number."""
    lines = unit.text.split("\n")
    return [f"{unit.label} {lines[0]}".strip(), *lines[1:]]


class _Drafting:
    """Turns the changes of a redline into operations."""

    def __init__(self, changes: Sequence[Change]) -> None:
        self.old = _Names(sorted((change.old for change in changes if change.old), key=lambda unit: unit.start))
        self.new = _Names([change.new for change in changes if change.new])
        self.became = {one.old.number: one.new.number for one in changes if one.old and one.new and one.old.number}
        self.changes, self.rewritten = self._rewritten(changes)
        changes = self.changes
        self.came_from = {one.new.start: one.old for one in changes if one.old and one.new}
        starts = [change.old.start for change in changes if change.old and change.new]
        self.in_order = longest_increasing(starts)
        self.edits = self._edits()
        self.children: dict[str, list[int]] = {}
        for index, change in enumerate(changes):
            if change.old and (holder := self.old.holder_number(change.old)):
                self.children.setdefault(holder, []).append(index)
        self.partly_deleted: set[str] = set()
        self.drafts: list[_Draft] = []
        self.draft_of: dict[int, _Draft] = {}  # By the start of a new unit.
        self.done: set[int] = set()

    def _rewritten(self, changes: Sequence[Change]) -> tuple[list[Change], set[int]]:
        """The changes, in which a deleted and an inserted unit with one name are one change, because a lawyer restates
        that unit; and the starts of the new units that have no word of the old one, of these changes and of others. The
        redline does not pair units with other words, unless they are short.
        """
        places: dict[object, tuple[list[int], list[int]]] = {}
        for index, change in enumerate(changes):
            if not change.old or not change.new:
                unit, names = change.unit, self.old if change.old else self.new
                holder = names.holder_number(unit)
                holder = self.became.get(holder, holder) if change.old else holder
                key = noun(unit), printed(unit), holder
                places.setdefault(key, ([], []))[bool(change.new)].append(index)
        pairs = {new[0]: old[0] for old, new in places.values() if len(old) == len(new) == 1}
        gone = set(pairs.values())
        merged = [
            Change(changes[pairs[index]].old, change.new) if index in pairs else change
            for index, change in enumerate(changes)
            if index not in gone
        ]
        for new, old in pairs.items():
            if number := changes[old].unit.number:
                self.became[number] = changes[new].unit.number
        rewritten = {changes[index].unit.start for index in pairs}
        rewritten |= {one.new.start for one in changes if one.new and one.text_changed and not _share_word(one)}
        return merged, rewritten

    def _edits(self) -> list[list[Edit]]:
        """The edits of each change, by its index. At one offset insertions come before deletions, and in the order of
        the new text."""
        found: list[tuple[int, bool, int, str, str]] = []
        end = 0  # Of the last old unit that keeps its order. What follows in the new text is inserted here.
        for index, change in enumerate(self.changes):
            old, new = change.old, change.new
            if not (old and new and old.start in self.in_order):
                if new:
                    found.append((end, False, index, "", new.source))
                if old:
                    found.append((old.start, True, index, old.source, ""))
                continue
            at, deleted = old.start, ""
            for run in change.runs:
                if run.kind == "delete":
                    deleted = run.text
                    continue
                inserted = run.text if run.kind == "insert" else ""
                if deleted or inserted:
                    found.append((at, bool(deleted), index, deleted, inserted))
                at += len(deleted) + (len(run.text) if run.kind == "equal" else 0)
                deleted = ""
            if deleted:
                found.append((at, True, index, deleted, ""))
            end = old.start + len(old.source)
        edits: list[list[Edit]] = [[] for _ in self.changes]
        for order, (at, _deletes, index, gone, added) in enumerate(sorted(found, key=lambda one: one[:2])):
            edits[index].append(Edit(order, at, gone, added))
        return edits

    def operations(self) -> tuple[Operation, ...]:
        formatting: list[int] = []
        for index, change in enumerate(self.changes):
            if index in self.done:
                continue
            if self._restate(index):
                continue
            if change.old and change.new:
                if not self._kept(index, change.old, change.new):
                    formatting.append(index)
            elif change.new:
                self._insert(index)
            else:
                self._delete(index)
        if any(self.edits[index] for index in formatting):
            self.drafts.append(_Draft(Operation(kind="formatting"), formatting))
        return tuple(self._finished(draft) for draft in self._gathered())

    def _finished(self, draft: _Draft) -> Operation:
        edits = sorted(edit for index in draft.changes for edit in self.edits[index])
        return replace(draft.operation, old=tuple(draft.old), new=tuple(draft.new), edits=tuple(edits))

    def _add(
        self,
        operation: Operation,
        *indexes: int,
        old: Iterable[Path] = (),
        new: Iterable[Path] = (),
        text: str = "",
    ) -> None:
        draft = _Draft(operation, [], list(old), list(new), text)
        self.drafts.append(draft)
        for index in indexes:
            self._join(draft, index)

    def _join(self, draft: _Draft, index: int) -> None:
        draft.changes.append(index)
        self.done.add(index)
        if unit := self.changes[index].new:
            self.draft_of[unit.start] = draft

    # Units that are in both editions

    def _kept(self, index: int, old: Clause, new: Clause) -> bool:
        """Add the operation of a unit that is in both editions. False if there is nothing to say about it."""
        reworded = _words(old) != _words(new)
        numbered = bool(printed(old)), bool(printed(new))
        renumbered = all(numbered) and (
            (noun(old), printed(old)) != (noun(new), printed(new)) or self._moved_to(old, new) is not None
        )
        if (noun(old) != noun(new) and not all(numbered)) or numbered[0] != numbered[1]:
            reworded = True
        moved = old.start not in self.in_order or self.changes[index].moved
        if not (reworded or renumbered or moved):
            return False
        path, after = self.old.path(old), None
        if moved and not renumbered:
            parents = self.new.parents(new)
            holder = self.draft_of.get(parents[0].start) if parents else None
            if not reworded and holder and holder.operation.kind in {"renumber", "move"}:
                self._join(holder, index)  # It moves with the unit that contains it.
                return True
            after = self._place_before(new)
        as_new = [self.new.path(new)] if renumbered else []
        if reworded:
            self._reword(index, old, new, _Draft(Operation(kind="reword", after=after), [], [path], as_new))
        elif renumbered:
            self._renumber(index, old, new, path, as_new[0])
        else:
            last, before = self.drafts[-1] if self.drafts else None, self.new.before.get(new.start)
            joins = last and last.operation.after is not None and last.operation.kind == "move"
            if last and joins and before and self.draft_of.get(before.start) is last:
                last.old.append(path)
                self._join(last, index)
            else:
                self._add(Operation(kind="move", after=after), index, old=[path])
        return True

    def _moved_to(self, old: Clause, new: Clause) -> Clause | None:
        """The unit that contains the new unit, if it is not the one that contained the old unit."""
        parents = self.new.parents(new)
        was = self.old.holder_number(old)
        return parents[0] if parents and self.became.get(was, was) != parents[0].number else None

    def _place_before(self, new: Clause) -> Path:
        """The name of the unit after which this one is put; ``()`` if it is the first."""
        before = self.new.before.get(new.start)
        return self._known_path(before) if before else ()

    def _known_path(self, new: Clause) -> Path:
        """The name of a unit of the new edition in the old one, if it was there, or else its new name."""
        old = self.came_from.get(new.start)
        return self.old.path(old) if old else self.new.path(new)

    def _renumber(self, index: int, old: Clause, new: Clause, path: Path, as_new: Path) -> None:
        holder = self._moved_to(old, new)
        container = self._known_path(holder) if holder else ()
        operation = Operation(kind="move" if holder else "renumber", container=container)
        # Sections and their clauses take turns, so the draft that is continued may be the last one or the one before.
        for last in reversed(self.drafts[-2:]):
            if last.operation != operation:
                break
            if _alike(last.old[-1], path) and _alike(last.new[-1], as_new):
                last.old.append(path)
                last.new.append(as_new)
                self._join(last, index)
                return
        self._add(operation, index, old=[path], new=[as_new])

    def _reword(self, index: int, old: Clause, new: Clause, draft: _Draft) -> None:
        """Add the operations that reword a unit: as a whole, or by the lines that differ. ``draft`` names the unit."""
        before, after = old.text.split("\n"), new.text.split("\n")
        alike = noun(old) == noun(new) and bool(printed(old)) == bool(printed(new))
        if alike and (hunks := _hunks(before, after)):
            stays = not draft.new and draft.operation.after is None
            if stays or all(len(gone) and len(added) for gone, added in hunks):
                for gone, added in hunks:
                    self._reword_lines(index, old, new, draft, gone, added)
                return
        part: Path = ()
        if noun(old) in _HEADED:
            part = (Step("caption"),)
        elif old.number and old.number in self.old.containers:
            part = (Step("line", "1"),) if len(before) == len(after) == 1 else (Step("lead"),)
        operation = replace(draft.operation, part=part)
        if alike and len(before) == len(after) == 1 and (found := phrases(before[0], after[0])):
            operation = replace(operation, kind="words", phrases=found)
        else:
            operation = replace(operation, quote=tuple(_lines(new)))
        self._add(operation, index, old=draft.old, new=draft.new, text=old.text)

    def _reword_lines(self, index: int, old: Clause, new: Clause, draft: _Draft, gone: range, added: range) -> None:
        """Add the operations on some lines of a unit. Its edits, its new number and its new place are in the first."""
        before, after = old.text.split("\n"), new.text.split("\n")
        pairs = [(before[a], after[b]) for a, b in zip(gone, added, strict=False)] if len(gone) == len(added) else []
        replaced = [phrases(*pair) for pair in pairs]
        made: list[tuple[Operation, str]] = []
        if replaced and all(replaced):
            for place, found in zip(gone, replaced, strict=True):
                line: Path = (Step("line", str(place + 1)),)
                made.append((replace(draft.operation, kind="words", part=line, phrases=found), before[place]))
        else:
            kind: Kind = "reword" if gone and added else "delete" if gone else "insert"
            part = tuple(Step("line", str(place + 1)) for place in gone or added)
            quote = tuple(_lines(new)[added.start : added.stop])
            made.append((replace(draft.operation, kind=kind, part=part, quote=quote), ""))
        for operation, text in made:
            first = index not in self.done
            if not first:
                operation = replace(operation, after=None)
            if operation.kind == "insert":
                operation = replace(operation, container=draft.old[0])
            units = () if operation.kind == "insert" else draft.old
            self._add(operation, *[index] * first, old=units, new=draft.new if first else (), text=text)

    # Units that are in one edition

    def _insert(self, index: int) -> None:
        change = self.changes[index]
        assert change.new  # noqa: S101 - the caller checked it
        head, inside = change.new, {change.new.number} - {""}
        units, heads, taken = [head], [head], [index]
        for place in range(index + 1, len(self.changes)):
            unit, deleted = self.changes[place].new, self.changes[place].deleted
            if deleted:
                continue
            if unit is None or self.changes[place].old:
                break
            if self.new.holder_number(unit) in inside and (unit.kind != "heading" or noun(head) == "appendix"):
                inside |= {unit.number} - {""}
            elif unit.number and head.number and (noun(unit), unit.parent) == (noun(head), head.parent):
                heads.append(unit)
                inside.add(unit.number)
            elif not (head.kind == units[-1].kind == "heading" and not head.number and unit.kind == "text"):
                break
            units.append(unit)
            taken.append(place)
        parents = self.new.parents(head)
        before = self.new.before.get(head.start)
        inner = bool(parents) and (bool(head.number) or (before == parents[0] and head.kind != "heading"))
        container = self._known_path(parents[0]) if inner else ()
        quote = tuple(line for unit in units for line in _lines(unit))
        new = tuple(self.new.path(unit) for unit in heads)
        if noun(head) == "text":
            new = tuple((Step("line"),) for _ in quote)
        elif noun(head) == "heading":
            new = ((Step("heading"),),)
        states_place = inner or bool(head.number) or noun(head) == "title"
        after = None if states_place else self._place_before(head)
        self._add(Operation(kind="insert", container=container, after=after, quote=quote), *taken, new=new)

    def _delete(self, index: int) -> None:
        unit = self.changes[index].old
        assert unit  # noqa: S101 - the caller checked it
        heads, taken = [unit], [index]
        within = self._deleted_within(unit)
        if within is None:
            part = (Step("caption" if noun(unit) in _HEADED else "lead"),)
            self._add(Operation(kind="delete", part=part), index, old=[self.old.path(unit)])
            return
        taken += within
        known = set(taken)
        for place in range(index + 1, len(self.changes)):
            if place in known:
                continue
            other = self.changes[place].old
            if other is None or self.changes[place].new or not (unit.number and other.number):
                break
            within = self._deleted_within(other)
            if within is None or (noun(other), other.parent) != (noun(unit), unit.parent):
                break
            heads.append(other)
            taken += [place, *within]
            known.update((place, *within))
        self._add(Operation(kind="delete"), *taken, old=map(self.old.path, heads))

    def _deleted_within(self, unit: Clause, restated: AbstractSet[int] = frozenset()) -> list[int] | None:
        """The indexes of the units that a deleted unit contains; ``None`` if one of them is in the new edition. Those
        whose index is in ``restated`` are left out.
        """
        found: dict[int, None] = {}
        numbers = [unit.number] if unit.number else []
        while numbers:
            number = numbers.pop()
            for index in () if number in self.partly_deleted else self.children.get(number, ()):
                if index in restated:
                    continue
                inner = self.changes[index].old
                if self.changes[index].new or inner is None:
                    self.partly_deleted.add(number)
                    break
                if index not in self.done and index not in found:
                    found[index] = None
                    numbers += [inner.number] if inner.number else []
            if number in self.partly_deleted:
                self.partly_deleted.add(unit.number)
                return None
            self.children.pop(number, None)
        return list(found)

    def _restate(self, index: int) -> bool:
        """Add the operation that restates a whole section or appendix, if everything in it is rewritten. False if
        something in it stays.
        """
        head, old = self.changes[index].new, self.changes[index].old
        if not head or not old or head.start not in self.rewritten or noun(head) not in _HEADED:
            return False
        inside, units, taken = {head.number}, [head], [index]
        for place in range(index + 1, len(self.changes)):
            change = self.changes[place]
            if change.new and self.new.holder_number(change.new) in inside:
                if change.old and change.new.start not in self.rewritten:
                    return False
                inside |= {change.new.number} - {""}
                units.append(change.new)
                taken.append(place)
            elif change.new:
                break
        within = self._deleted_within(old, set(taken))
        if len(taken) == 1 or within is None:
            return False
        quote = tuple(line for unit in units for line in _lines(unit))
        self._add(Operation(kind="reword", quote=quote), *taken, *within, old=[self.old.path(old)])
        return True

    # The whole text

    def _gathered(self) -> list[_Draft]:
        """The drafts, in which the same replacement in several units is one on the whole text, and comes first."""
        alike: dict[Phrase, list[_Draft]] = {}
        for draft in self.drafts:
            one = draft.operation
            if one.kind == "words" and len(one.phrases) == 1 and not draft.new and one.after is None:
                alike.setdefault(one.phrases[0], []).append(draft)
        general, merged = list[_Draft](), set[int]()
        for phrase, drafts in alike.items():
            if len(drafts) < EVERYWHERE or phrase.after or not any(map(str.isalpha, phrase.old)):
                continue
            everywhere = sum(change.old.text.count(phrase.old) for change in self.changes if change.old)
            if everywhere == sum(draft.text.count(phrase.old) for draft in drafts):
                indexes = [index for draft in drafts for index in draft.changes]
                general.append(_Draft(Operation(kind="words", phrases=(phrase,)), indexes))
                merged.update(map(id, drafts))
        return general + [draft for draft in self.drafts if id(draft) not in merged]


def _alike(last: Path, path: Path) -> bool:
    """Can the two names be one: is only the last number different?"""
    return last[0].noun == path[0].noun and last[1:] == path[1:]


def _hunks(before: Sequence[str], after: Sequence[str]) -> list[tuple[range, range]]:
    """The indexes of the lines that differ, in both; empty if the whole unit is to be restated, because no line stays,
    too many lines differ, or a line is a row of a table.
    """
    if len(before) * len(after) > MAX_LINE_PAIRS or any(" | " in line for line in (*before, *after)):
        return []
    codes = SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    hunks = [(range(i, j), range(k, m)) for tag, i, j, k, m in codes if tag != "equal"]
    return hunks if len(hunks) < len(codes) and len(hunks) <= MAX_HUNKS else []


def _share_word(change: Change) -> bool:
    old, new = (set(WORD.findall(unit.text.lower())) for unit in (change.old, change.new) if unit)
    return not old.isdisjoint(new)


def _words(unit: Clause) -> str:
    # The number of an appendix is part of its words, but it is not its wording.
    return _APPENDIX.sub("", unit.text) if noun(unit) == "appendix" else unit.text


def phrases(old: str, new: str) -> tuple[Phrase, ...]:
    """The replacements of words that make one line of another; empty if they would be too many, too long or ambiguous.

    The old words of each phrase occur once in the old line, or it is the only phrase. The result is checked: replaced
    one after the other, the phrases give the new line, apart from white space.
    """
    runs = compare(old, new)
    if found := _same_everywhere(old, new, runs):
        return (found,)
    changed = sum(len(WORD.findall(run.text)) for run in runs if run.kind == "delete")
    if 2 * changed > len(WORD.findall(old)):
        return ()
    made: list[Phrase] = []
    at, place = 0, 0
    while place < len(runs):
        run = runs[place]
        if run.kind == "equal":
            at += len(run.text)
            place += 1
            continue
        deleted = run.text if run.kind == "delete" else ""
        following = runs[place + 1] if deleted and place + 1 < len(runs) else run
        inserted = following.text if following.kind == "insert" else ""
        phrase = _phrase(old, at, at + len(deleted), inserted)
        if phrase is None or len(made) == MAX_PHRASES:
            return ()
        made.append(phrase)
        at += len(deleted)
        place += bool(deleted) + bool(inserted)
    result = old
    for phrase in made:
        put = f"{phrase.old} {phrase.new}" if phrase.after else phrase.new
        if result.count(phrase.old) != 1:
            return ()
        result = result.replace(phrase.old, put)
    return tuple(made) if _PART.findall(result) == _PART.findall(new) else ()


def _same_everywhere(old: str, new: str, runs: Sequence[Run]) -> Phrase | None:
    """The one replacement that makes the new line wherever its words occur in the old one; ``None`` if there is none,
    or if they occur once. ``runs`` turn the old line into the new one.
    """
    pairs = {
        (one.text.strip(), other.text.strip())
        for one, other in pairwise(runs)
        if (one.kind, other.kind) == ("delete", "insert")
    }
    if len(pairs) != 1 or sum(run.kind == "insert" for run in runs) != sum(run.kind == "delete" for run in runs):
        return None
    phrase = Phrase(*pairs.pop())
    if old.count(phrase.old) < 2 or not (WORD.search(phrase.old) and WORD.search(phrase.new)):
        return None
    same = _PART.findall(old.replace(phrase.old, phrase.new)) == _PART.findall(new)
    return _short(phrase) if same else None


def _phrase(old: str, start: int, end: int, inserted: str) -> Phrase | None:
    """The replacement of ``old[start:end]`` by ``inserted`` as a lawyer states it; ``None`` if it can't be stated
    shortly. Words on both sides are added to it until it is unique.
    """
    ahead = [start, *(match.start() for match in reversed([*_TOKEN.finditer(old, 0, start)][-_CONTEXT:]))]
    behind = [end, *(match.end() for match in islice(_TOKEN.finditer(old, end), _CONTEXT))]
    if WORD.search(inserted) and start == end:
        for left in ahead[1:]:
            anchor = old[left:start].strip()
            if old.count(anchor) == 1 and WORD.search(anchor):
                return _short(Phrase(anchor, inserted.strip(), after=True))
    for count in range(_CONTEXT + 1):
        left, right = ahead[min(count, len(ahead) - 1)], behind[min(count, len(behind) - 1)]
        words, put = old[left:right].strip(), (old[left:start] + inserted + old[end:right]).strip()
        if WORD.search(words) and old.count(words) == 1 and (WORD.search(put) or not put):
            return _short(Phrase(words, put))
    return None


def _short(phrase: Phrase) -> Phrase | None:
    return phrase if max(len(WORD.findall(words)) for words in phrase[:2]) <= MAX_WORDS else None
