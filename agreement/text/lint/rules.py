"""The rules of the lint. Each yields messages about faults, or possible faults, of an edition (``agreement.L001``…).

An **error** would make the edition wrong or unreadable, such as a missing language, different numbers in the two
languages, or the number of a clause that is used twice. ``Edition.publish()`` and ``Edition.record()`` refuse it. The
other findings of these rules are **warnings**, so that a real agreement can be published with its defects. The lint
changes no text. The sentences are in ``messages.py``.

A site adds rules as callables that take :class:`Texts` and return :class:`Message` objects (``LINT_RULES``), and
silences warnings by their ids (``LINT_SILENCED``). The two methods do not call the rules of a site.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from agreement.text import clauses, outline, references
from agreement.text.clauses import Clause, Document
from agreement.text.lint.letters import (
    UNREADABLE,
    character_name,
    excerpt,
    first_matches,
    foreign_paragraphs,
    odd_characters,
    unpaired_marks,
)
from agreement.text.lint.messages import Message, make_message
from agreement.text.lint.texts import Texts

#: The code of the refusal to publish, for each error.
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
    """The messages about an edition, errors first, then by language, line and id.

    The languages are in the order of ``bodies``, after the messages about both texts. The keys of the mappings are the
    codes of the languages; a language that is not in ``bodies`` is not checked. ``bodies`` has at most two languages.
    ``previous`` are the bodies of the previous edition; ``None`` or an empty mapping if there is none. Then nothing is
    compared with it, and summaries are not checked. Titles or summaries that are ``None`` are not checked. ``rules``
    are the site's own rules. ``silenced`` are ids of warnings; errors can't be silenced.
    """
    texts = Texts(bodies, titles, summaries, previous)
    found = [message for rule in (*ERRORS, *WARNINGS, *rules) for message in rule(texts)]
    found = [message for message in found if message.severity == "error" or message.id not in silenced]
    order = {language: place for place, language in enumerate(bodies)}
    found.sort(key=lambda one: (one.severity != "error", order.get(one.language, -1), one.line, one.id))
    return tuple(found)


def errors(bodies: Mapping[str, str], *, titles: Mapping[str, str] | None = None) -> tuple[Message, ...]:
    """The errors in the texts of an edition, which forbid publication, in the order of the rules. The keys of
    ``bodies`` and ``titles`` are the codes of at most two languages. Titles that are ``None`` are not checked. The
    site's own rules are not called.
    """
    texts = Texts(bodies, titles)
    return tuple(message for rule in ERRORS for message in rule(texts))


def missing_texts(texts: Texts) -> Iterator[Message]:
    """L001, L002: the text or the title of a language in ``bodies`` is missing or has only white space. L008: the first
    line that is not empty is too long for a title. L002 is checked only if the titles are known.
    """
    for language, body in texts.bodies.items():
        if not body.strip():
            yield make_message("agreement.L001", language)
        if texts.titles is not None and not (texts.titles.get(language) or "").strip():
            yield make_message("agreement.L002", language)
        length = len(clauses.title_line(body))
        if length > clauses.LONGEST_TITLE:
            yield make_message("agreement.L008", language, line=1, length=length, most=clauses.LONGEST_TITLE)


def unreadable_characters(texts: Texts) -> Iterator[Message]:
    """L007: characters that can't be written to a file as UTF-8 text: NUL and lone surrogates. At most one message for
    each line.
    """
    for language, body in texts.bodies.items():
        for unit, line, match in first_matches(texts.documents[language], body, UNREADABLE):
            yield make_message("agreement.L007", language, unit, line, char=character_name(match[0]))


def duplicate_numbers(texts: Texts) -> Iterator[Message]:
    """L003: a number of a section, a clause or a sub-clause such as 1.1.1 is used twice. One message for each unit
    whose number is used earlier. ``repeated_items`` reports a repeated ``2)``.
    """
    for language, document in texts.documents.items():
        for unit, first in _repeated_units(document):
            if "-" not in unit.number:
                yield make_message("agreement.L003", language, unit, number=_printed(unit), first=first)


def parallel_numbers(texts: Texts) -> Iterator[Message]:
    """L004–L006: the numbers differ between the two languages. A number is in one language only (L004, one message for
    each unit). Only if there is no such message, one message says that their count (L005) or order (L006) differs.

    An item gets no L004 if the unit that contains it is in one language only too. There is no message if there is only
    one text, or if one is empty. More than two texts are not supported.
    """
    if len(texts.bodies) < 2 or not all(body.strip() for body in texts.bodies.values()):
        return
    (one, here), (two, there) = texts.documents.items()
    if here.numbers == there.numbers:
        return
    counterparts = {one: set(there.numbers), two: set(here.numbers)}
    without_counterpart = False
    for language, document in texts.documents.items():
        for unit in document.clauses:
            # If a clause is in one language only, its items are not reported separately.
            other = counterparts[language]
            if unit.number not in other and (unit.parent in {*other, "0"} or "-" not in unit.number):
                without_counterpart = True
                yield make_message("agreement.L004", language, unit, number=_printed(unit))
    if without_counterpart:
        return
    if len(here.numbers) != len(there.numbers):
        pairs = zip(here.clauses, there.clauses, strict=False)
        place = next((b for a, b in pairs if a.number != b.number), None)
        values: dict[str, Any] = {one: len(here.numbers), two: len(there.numbers)}
        yield make_message("agreement.L005", "", place, **values)
    else:
        a, b = next((a, b) for a, b in zip(here.clauses, there.clauses, strict=True) if a.number != b.number)
        values = {one: _printed(a), two: _printed(b)}
        yield make_message("agreement.L006", "", b, **values)


def number_sequence(texts: Texts) -> Iterator[Message]:
    """L010, L011: gaps, and numbers out of order. A number that occurs elsewhere in the text is no gap. A clause in a
    section with another number is out of order. Items with letters are not checked. One message for each gap. A list in
    a clause may begin again at 1. A repetition of the last number is not reported here.
    """
    for language, document in texts.documents.items():
        numbers = set(document.numbers)
        last: dict[str, int] = {}
        owners = set[str]()  # The numbers of the units that the next clause may belong to.
        previous: Clause | None = None
        for unit in document.clauses:
            if unit.kind == "item":
                continue
            group, number, template = _position(unit)
            if "-" in unit.number and number == 1:
                last.pop(group, None)  # A new list begins.
            expected = last.get(group, 0) + 1
            if unit.kind in {"section", "heading"}:
                owners = {unit.number} if unit.kind == "section" else set()
                elsewhere = False
            else:
                elsewhere = bool(owners) and not {unit.parent, _section_number(unit.number)} & owners
                if unit.number == _section_number(unit.number):
                    owners = {unit.number, unit.parent}  # A clause of one number may have clauses such as 5.1.
            if previous and (elsewhere or number < expected - 1):
                yield make_message("agreement.L011", language, unit, number=_printed(unit), after=_printed(previous))
            elif number > expected:
                names = [template.format(n) for n in range(expected, number)][:1000]
                if missing := [name for name in names if name not in numbers]:
                    yield _gap(language, missing, previous, unit)
            last[group] = max(expected - 1, number)
            previous = unit


def _gap(language: str, missing: list[str], previous: Clause | None, unit: Clause) -> Message:
    return make_message(
        "agreement.L010",
        language,
        unit,
        clause=missing[0],
        number=_range([_readable(number) for number in missing]),
        before=_printed(previous) if previous else "—",
        after=_printed(unit),
    )


def repeated_items(texts: Texts) -> Iterator[Message]:
    """L030: two sub-clauses ``2)`` of one clause have the same number. A reference to it leads to the first one. A list
    that begins again at ``1)`` repeats no number.
    """
    for language, document in texts.documents.items():
        for unit, first in _repeated_units(document):
            if "-" in unit.number:
                yield make_message("agreement.L030", language, unit, number=_printed(unit), first=first)


def _repeated_units(document: Document) -> Iterator[tuple[Clause, int]]:
    """Yield each unit whose number is used earlier in the text, with the line of the first unit that uses it.

    Items with letters are left out. After ``1)`` the earlier sub-clauses ``2)`` of the same clause no longer count.
    """
    first: dict[str, int] = {}
    for unit in document.clauses:
        # A second list "1) 2)" in one clause counts from 1 again. It is no mistake.
        if "-" in unit.number:
            if unit.label == "1)":
                first = {number: line for number, line in first.items() if not number.startswith(f"{unit.parent}-")}
            elif unit.kind == "item":
                continue  # Numbered by place, so never twice.
        if unit.number in first:
            yield unit, first[unit.number]
        first.setdefault(unit.number, unit.line)


def unrecognised_numbers(texts: Texts) -> Iterator[Message]:
    """L029: lines that look like the beginning of a numbered unit, but are not recognised as one; and numbers without a
    space after them, which are recognised.
    """
    for language, body in texts.bodies.items():
        begun = {unit.line: unit for unit in texts.documents[language].units}
        unit, previous = None, ""
        for number, line in enumerate(clauses.LINE_END.split(body), start=1):
            unit = begun.get(number, unit)
            begins = unit is not None and unit.line == number and unit.kind != "text"
            if unit and (unit.doubt == "glued" if begins else outline.resembles_number(line, previous, unit.number)):
                yield make_message("agreement.L029", language, unit, number, text=excerpt(line.strip()))
            previous = line if unit and unit.kind not in _HEADING_KINDS else ""


def doubtful_numbers(texts: Texts) -> Iterator[Message]:
    """L050: numbers such as ``1.`` that were read as clauses and might be a list, or the other way round. At most one
    message for each text and each of its appendices.
    """
    readings: dict[str, dict[str, Any]] = {
        "clauses": {"reading_kk": "тармақтар", "reading_ru": "пункты", "reading_en": "clauses"},
        "list": {"reading_kk": "тізім", "reading_ru": "список", "reading_en": "a list"},
    }
    for language, document in texts.documents.items():
        for unit in document.units:
            if values := readings.get(unit.doubt):
                first = _FIRST.search(unit.source)
                text = excerpt(first[0].strip() if first else unit.text)
                yield make_message("agreement.L050", language, unit, text=text, **values)


def _position(unit: Clause) -> tuple[str, int, str]:
    """The number without its last part, the last part as an integer (0 if it has letters), and the format of the
    numbers that differ in that part: ``("1.", 2, "1.{}")`` for ``1.2``, ``("ch", 1, "ch{}")`` for ``ch1``.
    """
    head, mark, item = unit.number.partition("-")
    tail = item if mark else re.split(r"\D", head)[-1]
    group = unit.number.removesuffix(tail)
    return group, int(tail) if tail.isdigit() else 0, group + "{}"


def _section_number(number: str) -> str:
    """The number of the section that contains a number: ``1`` for ``1.2-3``, ``a1.2`` for ``a1.2.3``."""
    parts = number.partition("-")[0].split(".")
    return ".".join(parts[: 2 if number.startswith("a") else 1])


def dangling_references(texts: Texts) -> Iterator[Message]:
    """L012: references to a number that does not exist.

    A reference to an item is not reported if its clause does not exist, or if the words of the clause contain the label
    of the item.
    """
    for language, document in texts.documents.items():
        numbers, names = set(document.numbers), references.names(document.labels)
        written = {unit.number: unit.text for unit in document.clauses}
        for unit in document.units:
            for reference in _references(unit):
                here = unit.number or unit.parent
                if reference.target(here, numbers, document.labels):
                    continue
                if not reference.is_expected(here, document.labels, names):
                    continue
                if reference.item:
                    clause = reference.number or here.partition("-")[0]
                    # The reference to the missing clause is reported, or the items are in the paragraph of the clause.
                    if clause not in numbers or reference.item in written.get(clause, ""):
                        continue
                yield make_message("agreement.L012", language, unit, reference=reference)


def stale_references(texts: Texts) -> Iterator[Message]:
    """L013: references that did not change although the clause that they meant was renumbered or deleted.

    Nothing is checked without a previous edition. Only numbers that both editions use are checked (L012 reports a
    number that no longer exists), and only units that are in both editions and have as many references in each.
    """
    for language, pairs in texts.pairs.items():
        old, new = texts.previous_documents[language], texts.documents[language]
        new_numbers = {before.number: unit.number for before, unit in pairs if before.number}
        common = set(old.numbers) & set(new.numbers)
        for before, unit in pairs:
            old_references, references_ = _references(before), _references(unit)
            if len(old_references) != len(references_):
                continue
            for reference, old_reference in zip(references_, old_references, strict=True):
                number = reference.number
                if not number or (number, reference.item) != (old_reference.number, old_reference.item):
                    continue
                target = new_numbers.get(number)
                if number not in common or target == number:
                    continue
                gone = {"now_kk": "алып тасталған", "now_ru": "исключено", "now_en": "deleted"}
                values: dict[str, Any] = {key: target or word for key, word in gone.items()}
                yield make_message("agreement.L013", language, unit, reference=reference, **values)


def one_sided_changes(texts: Texts) -> Iterator[Message]:
    """L014: clauses whose words did not change in this language, but changed or are new in the other one, since the
    previous edition. The number must be in both texts, and the previous edition must have both languages.
    """
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
                yield make_message("agreement.L014", language, unit, number=_printed(unit))


def structure(texts: Texts) -> Iterator[Message]:
    """L015–L019: empty clauses, headings without numbers, no summary, no section and no clause at all, no title.

    An empty clause is a unit with a number and without words. If units with numbers are in it, only a section is
    reported. In an empty text, only the summary is checked. The summary is checked if summaries are known and there is
    a previous edition.
    """
    for language, document in texts.documents.items():
        if not texts.bodies[language].strip():
            continue
        parents = {unit.parent for unit in document.clauses}
        for unit in document.clauses:
            if not _HAS_WORDS.search(unit.text) and not (unit.number in parents and unit.kind != "section"):
                yield make_message("agreement.L015", language, unit, number=_printed(unit))
        for unit in document.units:
            if unit.kind == "heading" and not unit.number:
                yield make_message("agreement.L016", language, unit, text=excerpt(unit.text))
        if not any(unit.kind in {"section", "clause"} for unit in document.units):
            yield make_message("agreement.L018", language, line=1)
        if all(unit.kind != "title" for unit in document.units):
            yield make_message("agreement.L019", language, line=document.units[0].line)
    if texts.summaries is not None and texts.previous:
        for language in texts.bodies:
            if not (texts.summaries.get(language) or "").strip():
                yield make_message("agreement.L017", language)


ERRORS: tuple[Rule, ...] = (missing_texts, unreadable_characters, duplicate_numbers, parallel_numbers)


WARNINGS: tuple[Rule, ...] = (
    number_sequence,
    repeated_items,
    unrecognised_numbers,
    doubtful_numbers,
    dangling_references,
    stale_references,
    one_sided_changes,
    structure,
    odd_characters,
    foreign_paragraphs,
    unpaired_marks,
)


_HEADING_KINDS = frozenset({"title", "section", "heading"})


_HAS_WORDS = re.compile(r"\w")


_FIRST = re.compile(r"^[ \t*_]*1\\?\..*", re.MULTILINE)


def _references(unit: Clause) -> list[references.Reference]:
    return list(references.find(unit.text))


def _printed(unit: Clause) -> str:
    """The number of a unit as people read it: ``3.1``, ``Глава 2``, ``3.1 2)``, ``3.1 2) ә)``; ``3.1 (a1)`` in an
    appendix.
    """
    if name := clauses.named_label(unit):
        return name
    return _readable(unit.number) if unit.kind != "item" else f"{_readable(unit.parent)} {unit.label}".lstrip()


def _readable(number: str) -> str:
    head, dash, tail = number.partition("-")
    if head.startswith("a"):
        appendix, _, within = head.partition(".")
        within = within.lstrip("chptbkvo")
        head = f"{within} ({appendix})" if within else appendix
    else:
        head = head.lstrip("chptbkvo").removeprefix("0")
    return f"{head} {tail})".lstrip() if dash and tail.isdigit() else head


def _range(numbers: list[str]) -> str:
    return numbers[0] if len(numbers) == 1 else f"{numbers[0]} – {numbers[-1]}"
