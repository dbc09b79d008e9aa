"""Makes the operations of an amendment from a redline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher

from agreement.text.clauses import Clause
from agreement.text.redline.changes import Change, Redline, restated_pairs, with_restated
from agreement.text.redline.operations import Edit, Kind, Operation, Path, Phrase, Step
from agreement.text.redline.phrases import MAX_PHRASES, phrases
from agreement.text.redline.places import APPENDIX_NUMBER, HEADED, Names, noun, printed
from agreement.text.redline.words import WORD, longest_increasing

#: A unit is reworded by lines only if at most ``MAX_HUNKS`` passages of it differ. Lines are compared only if there
#: are at most ``MAX_LINE_PAIRS`` pairs of an old and a new line.
MAX_HUNKS, MAX_LINE_PAIRS = 10, 250_000
#: The same replacement in at least ``EVERYWHERE`` lines is one operation on the whole text, if it covers every
#: occurrence. That is tried for the ``MAX_GENERAL`` most frequent replacements.
EVERYWHERE, MAX_GENERAL = 3, 20


def amend(redline: Redline) -> tuple[Operation, ...]:
    """The operations that make the new text of a redline from its old one: first those on the whole text, and
    ``formatting`` last. The others are mostly in the order of the redline. Empty if the texts are equal, character for
    character.
    """
    return _Drafting(redline.changes).operations()


@dataclass(slots=True)
class _Draft:
    """An operation that may still grow. ``old`` and ``new`` are put into ``operation`` at the end; until then its
    fields of these names are empty. ``changes`` are the indexes of the changes that it consists of."""

    operation: Operation
    changes: list[int]
    old: list[Path] = field(default_factory=list)
    new: list[Path] = field(default_factory=list)
    text: str = ""
    """The old line, or the old text of the unit, in which the words of ``operation.phrases`` are replaced."""


def _lines(unit: Clause) -> list[str]:
    """The lines of a unit as a quotation contains them, the first with the printed number."""
    lines = unit.text.split("\n")
    return [f"{unit.label} {lines[0]}".strip(), *lines[1:]]


class _Drafting:
    """Turns the changes of a redline into operations."""

    def __init__(self, changes: Sequence[Change]) -> None:
        self.old = Names(sorted((change.old for change in changes if change.old), key=lambda unit: unit.start))
        self.new = Names([change.new for change in changes if change.new])
        changes = self._appendices_by_contents(changes)
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

    def _appendices_by_contents(self, changes: Sequence[Change]) -> list[Change]:
        """The changes, with the headings of appendices paired anew. The redline pairs equal headings, whatever is below
        them. Here, two headings that differ at most in the number are one change if their appendices share the most
        paired units. ``changes`` are those of the redline.
        """
        heads = [one for one in changes if all(noun(unit) == "appendix" for unit in (one.old, one.new) if unit)]
        old = {one.old.number: one.old for one in heads if one.old}
        new = {one.new.number: one.new for one in heads if one.new}
        before = {one.new.number: one.old.number for one in heads if one.old and one.new}
        if not (old and new) or len(old) + len(new) != len(heads) + len(before):
            return list(changes)  # There is one appendix at most, or two have one number.
        shared: Counter[tuple[str, str]] = Counter()
        for one in changes:
            if one.old and one.new and (was := self.old.parents(one.old)) and (now := self.new.parents(one.new)):
                shared[was[-1].number, now[-1].number] += 1
        after: dict[str, str] = {}
        taken: set[str] = set()
        for (first, second), _count in shared.most_common():
            free = first in old and second in new and first not in taken and second not in after
            if free and _words(old[first]) == _words(new[second]):
                after[second] = first
                taken.add(first)
        after = {
            second: first for second, first in before.items() if second not in after and first not in taken
        } | after
        taken = set(after.values())
        gone = [old[first] for first in before.values() if first not in taken]
        gone.sort(key=lambda unit: unit.start, reverse=True)
        found: list[Change] = []
        for change in changes:
            one, number = change, after.get(change.new.number) if change.new else None
            if one.new and new.get(one.new.number) is one.new and before.get(one.new.number) != number:
                one = Change(old[number] if number else None, one.new)
            elif one.old and not one.new and one.old.number in taken and old[one.old.number] is one.old:
                continue
            while gone and one.old and gone[-1].start < one.old.start:
                found.append(Change(gone.pop(), None))
            found.append(one)
        return [*found, *(Change(unit, None) for unit in reversed(gone))]

    def _rewritten(self, changes: Sequence[Change]) -> tuple[list[Change], set[int]]:
        """The changes, and the offsets in the new text of the units that are rewritten: of the restated ones, and of
        changed units that share no word with the old ones. Appendices that are paired anew may restate further units.
        """
        pairs = restated_pairs(changes)
        for new, old in pairs.items():
            if number := changes[old].unit.number:
                self.became[number] = changes[new].unit.number
        merged = with_restated(changes, pairs)
        return merged, {
            one.new.start for one in merged if one.new and (one.restated or (one.text_changed and not _share_word(one)))
        }

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
            if index in self.done or self._restate(index):
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
        """Add the operation of a unit that is in both editions, or add the unit to an operation before it, and return
        True. If there is nothing to say about it, add nothing and return False; the caller puts its edits into the
        operation ``formatting``. ``index`` is the index of its change.
        """
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
        """The unit that contains the new unit, if it is not the one that contained the old unit. ``None`` if it is the
        same one, or if no unit contains the new unit.
        """
        parents = self.new.parents(new)
        was = self.old.holder_number(old)
        return parents[0] if parents and self.became.get(was, was) != parents[0].number else None

    def _place_before(self, new: Clause) -> Path:
        """The name of the unit directly before this one in the whole new text, whatever contains it: for the first
        clause of a section this is the section itself, and for a section it can be the last clause of the section
        before. ``()`` if this unit is the first of the text.
        """
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
        """Add the operations that reword a unit: as a whole, or by the lines that differ. ``index`` is the index of its
        change. ``draft`` names the unit, with its new number and its new place if it has these.
        """
        before, after = old.text.split("\n"), new.text.split("\n")
        alike = noun(old) == noun(new) and bool(printed(old)) == bool(printed(new))
        if alike and (hunks := _hunks(before, after)):
            stays = not draft.new and draft.operation.after is None
            if stays or all(len(gone) and len(added) for gone, added in hunks):
                for gone, added in hunks:
                    self._reword_lines(index, old, new, draft, gone, added)
                return
        part: Path = ()
        if noun(old) in HEADED:
            part = (Step("caption"),)
        elif old.number and old.number in self.old.containers:
            part = (Step("line", "1"),) if len(before) == len(after) == 1 else (Step("lead"),)
        operation = replace(draft.operation, part=part)
        one_line = alike and len(before) == len(after) == 1
        if one_line and (found := phrases(old.text, new.text, self.changes[index].words)):
            operation = replace(operation, kind="words", phrases=found)
        else:
            operation = replace(operation, quote=tuple(_lines(new)))
        self._add(operation, index, old=draft.old, new=draft.new, text=old.text)

    def _reword_lines(self, index: int, old: Clause, new: Clause, draft: _Draft, gone: range, added: range) -> None:
        """Add the operations that replace the lines ``gone`` of the old unit by the lines ``added`` of the new one; one
        of the two ranges may be empty. The first operation on the unit contains all its edits, its new number and its
        new place. ``index`` and ``draft`` are those of ``_reword``.
        """
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
            self._add(operation, *([index] if first else []), old=units, new=draft.new if first else (), text=text)

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
            part = (Step("caption" if noun(unit) in HEADED else "lead"),)
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
            if (noun(other), other.parent) != (noun(unit), unit.parent):
                break
            within = self._deleted_within(other)
            if within is None:
                break
            heads.append(other)
            taken += [place, *within]
            known.update((place, *within))
        self._add(Operation(kind="delete"), *taken, old=map(self.old.path, heads))

    def _deleted_within(self, unit: Clause, restated: AbstractSet[int] = frozenset()) -> list[int] | None:
        """The indexes of the changes of the units that a deleted unit contains; ``None`` if one of them is in the new
        edition. Those whose index is in ``restated``, and those that an operation already contains, are left out.
        """
        found: dict[int, None] = {}
        visited: list[str] = []
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
            visited.append(number)
        for number in visited:
            self.children.pop(number, None)  # Other units with this number contain nothing.
        return list(found)

    def _restate(self, index: int) -> bool:
        """Add the operation that restates a whole section, appendix or the like, and return True, if its heading and
        everything in it are rewritten or new, and nothing that was in it stays elsewhere. Otherwise return False;
        nothing is added. ``index`` is the index of the change of its heading.
        """
        head, old = self.changes[index].new, self.changes[index].old
        if not head or not old or head.start not in self.rewritten or noun(head) not in HEADED:
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
        within = self._deleted_within(old, set(taken)) if len(taken) > 1 else None
        if within is None:
            return False
        quote = tuple(line for unit in units for line in _lines(unit))
        self._add(Operation(kind="reword", quote=quote), *taken, *within, old=[self.old.path(old)])
        return True

    # The whole text

    def _gathered(self) -> list[_Draft]:
        """The drafts, in which the same replacement in at least ``EVERYWHERE`` units or lines is one on the whole text,
        and comes first, if it covers every occurrence of the old words and these contain a letter. Other drafts that
        follow each other and replace the same words are one, if one sentence can name their places.
        """
        alike: dict[Phrase, list[_Draft]] = {}
        for draft in self.drafts:
            one = draft.operation
            if one.kind == "words" and len(one.phrases) == 1 and not draft.new and one.after is None:
                alike.setdefault(one.phrases[0], []).append(draft)
        general, merged = list[_Draft](), set[int]()
        for phrase, drafts in sorted(alike.items(), key=lambda pair: -len(pair[1]))[:MAX_GENERAL]:
            if len(drafts) < EVERYWHERE or phrase.after or not any(map(str.isalpha, phrase.old)):
                continue
            everywhere = sum(change.old.text.count(phrase.old) for change in self.changes if change.old)
            if everywhere == sum(draft.text.count(phrase.old) for draft in drafts):
                indexes = [index for draft in drafts for index in draft.changes]
                general.append(_Draft(Operation(kind="words", phrases=(phrase,)), indexes))
                merged.update(map(id, drafts))
        gathered = list[_Draft]()
        for draft in (draft for draft in self.drafts if id(draft) not in merged):
            if not (gathered and _joined(gathered[-1], draft)):
                gathered.append(draft)
        return general + gathered


def _alike(last: Path, path: Path) -> bool:
    """Can the two names be one: do they differ at most in the number of their first step?"""
    return last[0].noun == path[0].noun and last[1:] == path[1:]


def _joined(last: _Draft, draft: _Draft) -> bool:
    """Add the draft to the one before it, and return True, if both replace the same words: in lines of one unit, or in
    units whose names differ only in the number of the first step. Otherwise return False.
    """
    one, other = last.operation, draft.operation
    if one.kind != "words" or replace(one, part=()) != replace(other, part=()) or last.new or draft.new:
        return False
    if one.after is not None or bool(one.part) != bool(other.part):
        return False
    if one.part:
        if last.old != draft.old or {step.noun for step in one.part + other.part} != {"line"}:
            return False
        last.operation = replace(one, part=one.part + other.part)
    else:
        before, path = last.old[-1], draft.old[0]
        if path == before or not _alike(before, path) or not before[0].number or path[0].noun in {"heading", "under"}:
            return False
        last.old += draft.old
    last.changes += draft.changes
    return True


def _hunks(before: Sequence[str], after: Sequence[str]) -> list[tuple[range, range]]:
    """Return the passages that differ between two wordings of a unit: for each passage, the range of its lines in
    ``before`` and the range of its lines in ``after``. One of the two ranges may be empty.

    The list is empty if the whole unit is to be restated. That is so if more than ``MAX_HUNKS`` passages differ, if
    there are more than ``MAX_LINE_PAIRS`` pairs of lines, if any line of either wording is a row of a table, or if no
    line stays. It is also empty if both wordings are equal.

    There is one exception to the rule that some line must stay: both wordings have the same number of lines, from 2 to
    ``MAX_HUNKS``, and ``phrases`` finds replacements for every line. If these are at most ``MAX_PHRASES`` in total, or
    the same in every line, the result is one passage with all lines.
    """
    if len(before) * len(after) > MAX_LINE_PAIRS or any(" | " in line for line in (*before, *after)):
        return []
    codes = SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    hunks = [(range(i, j), range(k, m)) for tag, i, j, k, m in codes if tag != "equal"]
    if len(hunks) == len(codes) and 1 < len(before) == len(after) <= MAX_HUNKS:
        found = [*map(phrases, before, after)]
        few = sum(map(len, found)) <= MAX_PHRASES or len(set(found)) == 1
        return [(range(len(before)), range(len(after)))] if few and all(found) else []
    return hunks if len(hunks) < len(codes) and len(hunks) <= MAX_HUNKS else []


def _share_word(change: Change) -> bool:
    old, new = (set(WORD.findall(unit.text.lower())) for unit in (change.old, change.new) if unit)
    return not old.isdisjoint(new)


def _words(unit: Clause) -> str:
    # The number of an appendix is part of its words, but it is not its wording.
    return APPENDIX_NUMBER.sub("", unit.text) if noun(unit) == "appendix" else unit.text
