"""Editorial rules: what is wrong, or looks wrong, in an edition, as messages with ids ``agreement.L001``….

An **error** would make the edition false or unreadable (a language missing or unparallel, a number used twice, no
text): ``Edition.publish()`` refuses it. Everything else is a **warning**, so that a real agreement, defects and all,
can be published as it is. Nothing is ever repaired. What each id says stands in ``lint_words.py``.

A host adds rules as callables that take :class:`Texts` and give :class:`Message` objects, and silences warnings by
their ids (``AGREEMENT["LINT_RULES"]``, ``AGREEMENT["LINT_SILENCED"]``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from agreement.text import clauses, outline, redline, references
from agreement.text.clauses import Clause, Document
from agreement.text.lint_letters import UNREADABLE, balance, each, foreign, letters, name, short
from agreement.text.lint_words import Message as Message
from agreement.text.lint_words import say

#: The code of the refusal to publish that an error leads to.
CODES = {
    "agreement.L001": "missing_language",
    "agreement.L002": "missing_language",
    "agreement.L003": "duplicate_number",
    "agreement.L004": "unparallel",
    "agreement.L005": "unparallel",
    "agreement.L006": "unparallel",
    "agreement.L007": "unreadable",
    "agreement.L008": "title_differs",
}


@dataclass(frozen=True)
class Texts:
    """What rules look at: an edition and, if there is one, the edition before it; all by language."""

    bodies: Mapping[str, str]
    titles: Mapping[str, str] | None = None
    """``None``: not known, and not asked for."""
    summaries: Mapping[str, str] | None = None
    previous: Mapping[str, str] | None = None

    @cached_property
    def documents(self) -> dict[str, Document]:
        return {language: clauses.parse(body) for language, body in self.bodies.items()}

    @cached_property
    def before(self) -> dict[str, Document]:
        return {language: clauses.parse(body) for language, body in (self.previous or {}).items()}

    @cached_property
    def pairs(self) -> dict[str, list[tuple[Clause, Clause]]]:
        """The units that stood in the previous edition already, by language."""
        found = {}
        for language, new in self.documents.items():
            if old := self.before.get(language):
                found[language] = [(old.units[a], new.units[b]) for a, b in redline.align(old.units, new.units)]
        return found


Rule = Callable[[Texts], Iterable[Message]]


def lint(
    bodies: Mapping[str, str],
    *,
    titles: Mapping[str, str] | None = None,
    summaries: Mapping[str, str] | None = None,
    previous: Mapping[str, str] | None = None,
    rules: Iterable[Rule] = (),
    silenced: Collection[str] = (),
) -> tuple[Message, ...]:
    """Everything there is to say about an edition, errors first, then by language and line.

    ``previous`` are the bodies of the edition before; ``rules`` are a host's. Errors can't be silenced.
    """
    texts = Texts(bodies, titles, summaries, previous)
    found = [message for rule in (*ERRORS, *WARNINGS, *rules) for message in rule(texts)]
    found = [message for message in found if message.severity == "error" or message.id not in silenced]
    order = {language: place for place, language in enumerate(bodies)}
    found.sort(key=lambda said: (said.severity != "error", order.get(said.language, -1), said.line, said.id))
    return tuple(found)


def errors(bodies: Mapping[str, str], *, titles: Mapping[str, str] | None = None) -> tuple[Message, ...]:
    """What forbids publishing; a host's rules have no part in it."""
    texts = Texts(bodies, titles)
    return tuple(message for rule in ERRORS for message in rule(texts))


# Errors


def missing(texts: Texts) -> Iterator[Message]:
    for language, body in texts.bodies.items():
        if not body.strip():
            yield say("agreement.L001", language)
        if texts.titles is not None and not (texts.titles.get(language) or "").strip():
            yield say("agreement.L002", language)
        length = len(clauses.title_line(body))
        if length > clauses.LONGEST_TITLE:
            yield say("agreement.L008", language, line=1, length=length, most=clauses.LONGEST_TITLE)


def unreadable(texts: Texts) -> Iterator[Message]:
    for language, body in texts.bodies.items():
        for unit, line, match in each(texts.documents[language], body, UNREADABLE):
            yield say("agreement.L007", language, unit, line, char=name(match[0]))


def duplicates(texts: Texts) -> Iterator[Message]:
    for language, document in texts.documents.items():
        for unit, first in _twice(document):
            if "-" not in unit.number:
                yield say("agreement.L003", language, unit, number=_shown(unit), first=first)


def parallel(texts: Texts) -> Iterator[Message]:
    if len(texts.bodies) < 2 or not all(body.strip() for body in texts.bodies.values()):
        return
    (one, here), (two, there) = texts.documents.items()
    if here.numbers == there.numbers:
        return
    known = {one: set(there.numbers), two: set(here.numbers)}
    lonely = False
    for language, document in texts.documents.items():
        for unit in document.clauses:
            # The items of a clause that stands in one language only are missing with it.
            if unit.number not in known[language] and (unit.parent in known[language] or "-" not in unit.number):
                lonely = True
                yield say("agreement.L004", language, unit, number=_shown(unit))
    if lonely:
        return
    if len(here.numbers) != len(there.numbers):
        pairs = zip(here.clauses, there.clauses, strict=False)
        place = next((b for a, b in pairs if a.number != b.number), None)
        values: dict[str, Any] = {one: len(here.numbers), two: len(there.numbers)}
        yield say("agreement.L005", "", place, **values)
    else:
        a, b = next((a, b) for a, b in zip(here.clauses, there.clauses, strict=True) if a.number != b.number)
        values = {one: _shown(a), two: _shown(b)}
        yield say("agreement.L006", "", b, **values)


# Warnings: numbers


def sequence(texts: Texts) -> Iterator[Message]:
    """Gaps, and numbers out of order; a number that stands elsewhere is no gap."""
    for language, document in texts.documents.items():
        numbers = set(document.numbers)
        last: dict[str, int] = {}
        section: Clause | None = None
        previous: Clause | None = None
        for unit in document.clauses:
            group, number, template = _place(unit)
            if unit.kind == "item":
                continue
            if "-" in unit.number and number == 1:
                last.pop(group, None)  # A list of its own.
            was = last.get(group, 0)
            head = _head(unit.number)
            if unit.kind == "section":
                section = unit
            elif unit.kind == "heading":
                section = None
            elif section and head != section.number and previous:
                yield say("agreement.L011", language, unit, number=_shown(unit), after=_shown(previous))
                previous = unit
                last[group] = max(was, number)
                continue
            if number > was + 1:
                lost = [template.format(n) for n in range(was + 1, number)][:1000]
                lost = [name for name in lost if name not in numbers]
                if lost:
                    yield say(
                        "agreement.L010",
                        language,
                        unit,
                        clause=lost[0],
                        number=_range([_readable(name) for name in lost]),
                        before=_shown(previous) if previous else "—",
                        after=_shown(unit),
                    )
            elif number < was and previous:
                yield say("agreement.L011", language, unit, number=_shown(unit), after=_shown(previous))
            last[group] = max(was, number)
            previous = unit


def repeated(texts: Texts) -> Iterator[Message]:
    """Sub-clauses with one number in one clause: ambiguous, but each has its words and its place."""
    for language, document in texts.documents.items():
        for unit, first in _twice(document):
            if "-" in unit.number:
                yield say("agreement.L030", language, unit, number=_shown(unit), first=first)


def _twice(document: Document) -> Iterator[tuple[Clause, int]]:
    """The units whose number stands further up already, and in which line."""
    first: dict[str, int] = {}
    for unit in document.clauses:
        # A second list "1) 2)" in one clause begins anew; it is no mistake.
        if "-" in unit.number:
            if unit.label == "1)":
                first = {number: line for number, line in first.items() if not number.startswith(f"{unit.parent}-")}
            elif unit.kind == "item":
                continue  # Numbered by place, so never twice.
        if unit.number in first:
            yield unit, first[unit.number]
        first.setdefault(unit.number, unit.line)


def almost(texts: Texts) -> Iterator[Message]:
    """Lines that somebody meant for a section or a clause, and that begin none."""
    for language, body in texts.bodies.items():
        begun = {unit.line: unit for unit in texts.documents[language].units}
        unit, previous = None, ""
        for number, line in enumerate(clauses.LINE_END.split(body), start=1):
            unit = begun.get(number, unit)
            if unit and (unit.line != number or unit.kind == "text") and outline.almost(line, previous, unit.number):
                yield say("agreement.L029", language, unit, number, text=short(line.strip()))
            previous = line if unit and unit.kind not in _HEADS else ""


def _place(unit: Clause) -> tuple[str, int, str]:
    """The row a number belongs to, its place there, and how its neighbours are written."""
    for mark in "-.":
        head, found, tail = unit.number.rpartition(mark)
        if found:
            return head + mark, int(tail) if tail.isdigit() else 0, head + mark + "{}"
    if unit.kind == "heading":
        return "a", int(unit.number[1:]), "a{}"
    return "", int(unit.number), "{}"


def _head(number: str) -> str:
    """The number of the section a number belongs to."""
    parts = number.partition("-")[0].split(".")
    return ".".join(parts[: 2 if number.startswith("a") else 1])


def dangling(texts: Texts) -> Iterator[Message]:
    for language, document in texts.documents.items():
        numbers = set(document.numbers)
        written = {unit.number: unit.text for unit in document.clauses}
        for unit in document.units:
            for reference in _references(unit):
                here = unit.number or unit.parent
                if reference.target(here, numbers, document.labels):
                    continue
                if reference.item:
                    clause = reference.number or here.partition("-")[0]
                    # Reported with the clause itself; or the items run on in one paragraph.
                    if clause not in numbers or reference.item in written.get(clause, ""):
                        continue
                yield say("agreement.L012", language, unit, reference=reference)


def stale(texts: Texts) -> Iterator[Message]:
    """References that were left as they are while the clause they meant was renumbered or deleted."""
    for language, pairs in texts.pairs.items():
        old, new = texts.before[language], texts.documents[language]
        now = {was.number: unit.number for was, unit in pairs if was.number}
        here, there = set(old.numbers), set(new.numbers)
        for was, unit in pairs:
            references_now, references_then = _references(unit), _references(was)
            if len(references_now) != len(references_then):
                continue
            for then, reference in zip(references_then, references_now, strict=True):
                if not then.number or (then.number, then.item) != (reference.number, reference.item):
                    continue
                if then.number not in here or then.number not in there or now.get(then.number) == then.number:
                    continue
                target = now.get(then.number)
                gone = {"now_kk": "алып тасталған", "now_ru": "исключено", "now_en": "deleted"}
                values: dict[str, Any] = {key: target or word for key, word in gone.items()}
                yield say("agreement.L013", language, unit, reference=reference, **values)


def one_sided(texts: Texts) -> Iterator[Message]:
    """Clauses whose words changed since the previous edition in one language only."""
    if len(texts.pairs) < 2:
        return
    changed = {
        language: {unit.number for unit in texts.documents[language].clauses}
        - {unit.number for was, unit in pairs if was.text == unit.text}
        for language, pairs in texts.pairs.items()
    }
    common = set.intersection(*(set(document.numbers) for document in texts.documents.values()))
    for language, document in texts.documents.items():
        others = set.union(*(numbers for other, numbers in changed.items() if other != language))
        for unit in document.clauses:
            if unit.number in common and unit.number in others and unit.number not in changed[language]:
                yield say("agreement.L014", language, unit, number=_shown(unit))


def units(texts: Texts) -> Iterator[Message]:
    """Empty clauses, headings without numbers, no numbers at all, no title, no summary."""
    for language, document in texts.documents.items():
        if not texts.bodies[language].strip():
            continue
        parents = {unit.parent for unit in document.clauses}
        for unit in document.clauses:
            if not _SAID.search(unit.text) and not (unit.number in parents and unit.kind != "section"):
                yield say("agreement.L015", language, unit, number=_shown(unit))
        for unit in document.units:
            if unit.kind == "heading" and not unit.number:
                yield say("agreement.L016", language, unit, text=short(unit.text))
        if not any(unit.kind in {"section", "clause"} for unit in document.units):
            yield say("agreement.L018", language, line=1)
        if document.units[0].kind != "title":
            yield say("agreement.L019", language, line=document.units[0].line)
    if texts.summaries is not None and texts.previous:
        for language in texts.bodies:
            if not (texts.summaries.get(language) or "").strip():
                yield say("agreement.L017", language)


ERRORS: tuple[Rule, ...] = (missing, unreadable, duplicates, parallel)
WARNINGS: tuple[Rule, ...] = (
    sequence,
    repeated,
    almost,
    dangling,
    stale,
    one_sided,
    units,
    letters,
    foreign,
    balance,
)

_HEADS = frozenset({"title", "section", "heading"})
_SAID = re.compile(r"\w")


def _references(unit: Clause) -> list[references.Reference]:
    return list(references.find(unit.text))


def _shown(unit: Clause) -> str:
    """A number as people read it: ``3.1``, ``3.1 2)``, ``3.1 2) ә)``; ``3.1 (a1)`` in an appendix."""
    return _readable(unit.number) if unit.kind != "item" else f"{_readable(unit.parent)} {unit.label}"


def _readable(number: str) -> str:
    head, dash, tail = number.partition("-")
    if head.startswith("a"):
        appendix, _, within = head.partition(".")
        head = f"{within} ({appendix})" if within else appendix
    return f"{head} {tail})" if dash and tail.isdigit() else head


def _range(numbers: list[str]) -> str:
    return numbers[0] if len(numbers) == 1 else f"{numbers[0]} – {numbers[-1]}"
