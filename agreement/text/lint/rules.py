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
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping
from itertools import dropwhile
from typing import Any

from agreement.text import clauses, outline, references
from agreement.text.clauses import Clause, Document
from agreement.text.front_matter import front_matter, has_title_below
from agreement.text.lint.letters import (
    UNREADABLE,
    character_name,
    excerpt,
    first_matches,
    latin_abbreviations,
    odd_characters,
    unpaired_marks,
)
from agreement.text.lint.messages import Message, collected, make_message
from agreement.text.lint.passages import foreign_passages
from agreement.text.lint.places import printed, readable
from agreement.text.lint.sequence import Gap
from agreement.text.lint.statements import changed_statements, missing_citations, stated_periods, unchanged
from agreement.text.lint.texts import Texts
from agreement.text.lint.wording import placeholders, repeated_words, swallowed_clauses, unlike_a_title

#: The code of the refusal to publish, for each error.
CODES = {
    "agreement.L001": "missing_language",
    "agreement.L002": "missing_language",
    "agreement.L003": "duplicate_number",
    "agreement.L051": "duplicate_number",
    "agreement.L004": "unparallel",
    "agreement.L005": "unparallel",
    "agreement.L006": "unparallel",
    "agreement.L007": "unreadable",
    "agreement.L008": "title_differs",
}


#: Messages that are left out if there is a message that causes them: an order that differs between the languages shows
#: the clause that is out of order, and an edition in which nothing changed needs no summary.
CONSEQUENCES = {"agreement.L011": "agreement.L006", "agreement.L017": "agreement.L038"}


Rule = Callable[[Texts], Iterable[Message]]


def lint(
    bodies: Mapping[str, str],
    *,
    titles: Mapping[str, str] | None = None,
    summaries: Mapping[str, str] | None = None,
    previous: Mapping[str, str] | None = None,
    stated: Mapping[str, object] | None = None,
    previous_stated: Mapping[str, object] | None = None,
    cited: Mapping[str, Collection[str]] | None = None,
    rules: Iterable[Rule] = (),
    silenced: Collection[str] = (),
) -> tuple[Message, ...]:
    """The messages about an edition, errors first, then by language, line and id.

    ``bodies`` are the texts to check. The languages are in their order, after the messages about both texts. The keys
    of ``bodies``, ``titles``, ``summaries`` and ``previous`` are the codes of the languages; a language that is not in
    ``bodies`` is not checked. More than two languages in ``bodies`` are not supported. ``previous`` are the bodies of
    the previous edition; ``None`` or an empty mapping if there is none. Then no text is compared with it, and summaries
    are not checked. Titles or summaries that are ``None`` are not checked. ``stated`` is what the edition states about
    itself, by the names of its fields: ``notice_days``, ``retention_years`` and ``prevailing_language``, and
    ``previous_stated`` what the previous edition states; what is left out is not checked. ``cited`` are the numbers of
    the clauses that pages of the site quote, each with the names of these pages. ``rules`` are the site's own rules.
    ``silenced`` are ids of warnings; errors can't be silenced.

    If there is an L006, each L011 is left out, whatever its language, and if there is an L038, each L017 is left out,
    because the one causes the other.
    """
    texts = Texts(bodies, titles, summaries, previous, stated or {}, previous_stated or {}, cited or {})
    found = [message for rule in (*ERRORS, *WARNINGS, *rules) for message in rule(texts)]
    ids = {message.id for message in found}
    silenced = {*silenced, *(id_ for id_, cause in CONSEQUENCES.items() if cause in ids)}
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
    """L001: the text of a language in ``bodies`` is empty or has only white space. L002: the title of such a language
    in ``titles`` is missing or has only white space; not checked if ``titles`` is ``None``. L008: the title line in the
    text has more than ``LONGEST_TITLE`` characters.
    """
    for language, body in texts.bodies.items():
        if not body.strip():
            yield make_message("agreement.L001", language)
        if texts.titles is not None and not (texts.titles.get(language) or "").strip():
            yield make_message("agreement.L002", language)
        length = len(clauses.title_line(body))
        if length > clauses.LONGEST_TITLE:
            line = max(front_matter(body).line, 0) + 1
            yield make_message("agreement.L008", language, line=line, length=length, most=clauses.LONGEST_TITLE)


def unreadable_characters(texts: Texts) -> Iterator[Message]:
    """L007: NUL and lone surrogates, which are no characters of a text. One message for each line that contains any."""
    for language, body in texts.bodies.items():
        for unit, line, match in first_matches(texts.documents[language], body, UNREADABLE):
            yield make_message("agreement.L007", language, unit, line, char=character_name(match[0]))


def duplicate_numbers(texts: Texts) -> Iterator[Message]:
    """L003: a number of a section, a clause or a sub-clause such as 1.1.1 is used twice. One message for the units in a
    row whose numbers are used earlier. ``repeated_items`` reports a repeated ``2)``. L051: the text contains a second
    document. Its numbers are not reported by themselves.
    """
    for language, document in texts.documents.items():
        if further := texts.further[language]:
            (first_unit, at, words), lines = further[0], [its.line for its in further]
            yield make_message("agreement.L051", language, first_unit, at, lines=lines, at=at, text=excerpt(words))
        repeated, end = texts.repeated[language].items(), texts.ends[language]
        first = {unit: line for unit, line in repeated if "-" not in unit.number and unit.line < end}
        for units in _stretches(document, first.keys() | texts.sequences[language].copied if first else first):
            while units and units[-1] not in first:
                units.pop()  # A copied unit joins the ones around it; it repeats no number itself.
            if line := next((first[unit] for unit in units if unit in first), 0):
                yield make_message("agreement.L003", language, units=units, first=line)


def parallel_numbers(texts: Texts) -> Iterator[Message]:
    """L004–L006: the numbers differ between the two languages. Numbers are in one language only (L004, one message for
    the units in a row). Only if there is no such message, one message says that their count (L005) or order (L006)
    differs.

    A number with a dash, such as that of ``2)``, gets no L004 if the unit that contains it is in one language only too.
    There is no message if there is only one text, or if one is empty. More than two texts are not supported.
    """
    if len(texts.bodies) < 2 or not all(body.strip() for body in texts.bodies.values()):
        return
    (one, here), (two, there) = texts.documents.items()
    if here.numbers == there.numbers:
        return
    counterparts = {one: set(there.numbers), two: set(here.numbers)}
    without_counterpart = False
    for language, document in texts.documents.items():
        other = counterparts[language]
        # If a clause is in one language only, its items are not reported separately.
        lonely = {
            unit
            for unit in document.clauses
            if unit.number not in other and (unit.parent in other or unit.parent == "0" or "-" not in unit.number)
        }
        for units in _stretches(document, lonely):
            without_counterpart = True
            yield make_message("agreement.L004", language, units=units)
    if without_counterpart:
        return
    if len(here.numbers) != len(there.numbers):
        pairs = zip(here.clauses, there.clauses, strict=False)
        place = next((b for a, b in pairs if a.number != b.number), None)
        values: dict[str, Any] = {one: len(here.numbers), two: len(there.numbers)}
        yield make_message("agreement.L005", "", place, **values)
    else:
        a, b = next((a, b) for a, b in zip(here.clauses, there.clauses, strict=True) if a.number != b.number)
        values = {one: printed(a), two: printed(b)}
        yield make_message("agreement.L006", "", b, **values)


def _stretches(document: Document, chosen: Container[Clause]) -> Iterator[list[Clause]]:
    """Yield the chosen units with numbers, those in a row together. Items of a chosen clause do not interrupt a row."""
    row: list[Clause] = []
    for unit in document.clauses:
        if unit in chosen:
            row.append(unit)
        elif row and not ("-" in unit.number and unit.number.startswith(f"{row[-1].number}-")):
            yield row
            row = []
    if row:
        yield row


def number_sequence(texts: Texts) -> Iterator[Message]:
    """L010, L011: gaps, and numbers out of order. A number that occurs elsewhere in the text is no gap. A clause 3.1 in
    a section 2 is out of order if there is a section 3, or if a clause of section 2 follows. Otherwise the number 3 is
    the gap, unless a heading without a number is directly before the clause. Items with letters are not checked. A list
    in a clause may begin again at 1.

    One message for each gap, and one for the units in a row that are out of order. As few units as possible are out of
    order: of 1.1, 1.5, 1.2, 1.3 it is 1.5. A number that is used twice is not reported here. Neither is a gap that
    wrong numbers in the same place may explain.
    """
    for language, document in texts.documents.items():
        sequence = texts.sequences[language]
        found = [(gap.unit.start, _gap(texts, language, gap)) for gap in sequence.gaps]
        for units in _stretches(document, sequence.misplaced):
            after = _place_after(sequence.before(units[0]), _AFTER)
            found.append((units[0].start, make_message("agreement.L011", language, units=units, after=after)))
        for _, message in sorted(found, key=lambda one: one[0]):
            yield message


def _gap(texts: Texts, language: str, gap: Gap) -> Message:
    references = texts.references[language].items()
    source = next((unit for unit, found in references if any(one.number in gap.missing for one in found)), None)
    name = printed(source) if source and source.number else ""
    return make_message(
        "agreement.L010",
        language,
        gap.unit,
        clause=gap.missing[0],
        number=_range([readable(number) for number in gap.missing]),
        before=_place_after(texts.sequences[language].before(gap.unit), _BETWEEN),
        after=printed(gap.unit),
        referred={code: words.format(name) if name else "" for code, words in _REFERRED.items()},
    )


def _place_after(before: Clause | None, words: Mapping[str, tuple[str, str]]) -> Mapping[str, str]:
    """Language → the place in words: after the unit ``before``, or the first place if there is none. ``words``
    contains, for each language, the words for a place after a unit, with ``{}`` for its number, and the words for the
    first place.
    """
    return {code: after.format(printed(before)) if before else first for code, (after, first) in words.items()}


#: The place of a number in a sentence: after another number, and at the beginning.
_AFTER = {"kk": ("{} нөмірінен кейін", "басында"), "ru": ("после {}", "в начале"), "en": ("after {}", "first")}
#: The same before the number that follows a gap. The English words stand between the two numbers.
_BETWEEN = _AFTER | {"en": ("between {} and", "before")}
#: Follows the sentence about a gap if a clause refers to the missing number.
_REFERRED = {"kk": " Оған {} сілтеме жасайды.", "ru": " На пропущенное ссылается {}.", "en": " Clause {} refers to it."}


def repeated_items(texts: Texts) -> Iterator[Message]:
    """L030: two sub-clauses ``2)`` of one clause have the same number. A reference to it leads to the first one. A list
    that begins again at ``1)`` repeats no number.
    """
    for language in texts.documents:
        for unit, first in texts.repeated[language].items():
            if "-" in unit.number:
                yield make_message("agreement.L030", language, unit, number=printed(unit), first=first)


def unrecognised_numbers(texts: Texts) -> Iterator[Message]:
    """L029: lines that look like the beginning of a numbered unit, but are not recognised as one, such as ``1-1.
    Words`` or a line that repeats the number of the heading before it; and numbers that are recognised without a space
    after them. One message for each text.
    """
    for language, body in texts.bodies.items():
        begun = {unit.line: unit for unit in texts.documents[language].units}
        unread = texts.sequences[language].unread
        yield from collected("agreement.L029", language, _unusual_lines(body, begun, unread), "text")


def _unusual_lines(body: str, begun: Mapping[int, Clause], unread: Container[int]) -> Iterator[tuple[Clause, int, str]]:
    """Yield the unit, the line and the words of each line that ``unrecognised_numbers`` reports. ``begun`` maps a line,
    counted from 1, to the unit that begins there. ``unread`` contains the lines that begin with a missing number; they
    are reported if no unit begins there.
    """
    unit, previous, again = None, "", False
    for number, line in enumerate(clauses.LINE_END.split(body), start=1):
        unit = begun.get(number, unit)
        begins = unit is not None and unit.line == number and unit.kind not in {"front", "text"}
        resembles = not begins and (
            number in unread or outline.resembles_number(line, previous, unit.number if unit else "")
        )
        resembles = resembles or (again and not begins and bool(line.strip()))
        if unit and (resembles or (begins and unit.doubt == "glued")):
            yield unit, number, excerpt(line.strip())
        if line.strip():
            again = begins and unit is not None and unit.doubt == "repeated"
        previous = line if unit and unit.kind not in _HEADING_KINDS else ""


def doubtful_numbers(texts: Texts) -> Iterator[Message]:
    """L050: numbers such as ``1.`` that were read as clauses and might be a list, or the other way round. One message
    for each list.
    """
    readings = {
        "clauses": {"kk": "тармақтар", "ru": "пункты", "en": "clauses"},
        "list": {"kk": "тізім", "ru": "список", "en": "a list"},
    }
    for language, document in texts.documents.items():
        for unit in document.units:
            if reading := readings.get(unit.doubt):
                first = _FIRST.search(unit.source)
                text = excerpt(first[0].strip() if first else unit.text)
                yield make_message("agreement.L050", language, unit, text=text, reading=reading)


def dangling_references(texts: Texts) -> Iterator[Message]:
    """L012: references to a number that does not exist. L032: references to an appendix that is not in the text. One
    message for each text and missing number.

    A reference that may mean another document is not reported. Neither is one to a number that another message names,
    such as a gap (L010) or a number in the middle of a line (L034). A reference to an item is not reported if its
    clause does not exist, or if the words of the clause contain the label of the item. In a text without sections and
    clauses (L018), only references to appendices are checked.
    """
    for language, document in texts.documents.items():
        present, names = set(document.numbers), references.names(document.labels)
        known = {number for gap in texts.sequences[language].gaps for number in gap.missing}
        known |= {*texts.swallowed[language], *texts.sequences[language].unread.values()}
        inner = {(_section(parent), label) for parent, label in document.labels if parent}
        inner |= {
            (_section(number), f"{number.rpartition('-')[2]})") for number in texts.sequences[language].unread.values()
        }
        counted = any(unit.kind in {"section", "clause"} for unit in document.units)
        written = {unit.number: unit.text for unit in document.clauses}
        headings = (unit.text for unit in document.clauses if unit.kind == "heading")
        owners = {part for text in headings if (named := _OF.search(text)) for part in _parts(named)}
        anew = any(
            unit.kind == "clause" and "." in unit.number and "." not in unit.label[:-1] for unit in document.clauses
        )
        missing: dict[tuple[str, str], list[Clause]] = {}
        for unit, found in texts.references[language].items():
            here = unit.number or unit.parent
            for reference in found:
                if str(reference) in known or reference.target(here, present, document.labels):
                    continue
                if reference.unit == "appendix" and not reference.within:
                    wrapped = "\n" in unit.text[max(0, reference.start - 3) : reference.start]
                    of = _owner(unit.text, reference.start, reference.end)
                    if of and not owners:
                        owners = _own_names(document)
                    # The appendices here are «к Порядку»: «приложение 1 к Соглашению» is one of another document.
                    if not wrapped and not of - owners:
                        missing.setdefault(("agreement.L032", reference.number), []).append(unit)
                    continue  # Otherwise it is «приложения», and then an item of a list.
                if not counted or not reference.is_expected(here, document.labels, names):
                    continue
                if anew and "." in reference.number:
                    continue  # «Пункт 2.1» may be a part of an article, whose points count anew.
                owner = document.labels.get(("", reference.within), "")
                if owner and (owner, f"{reference.number})") in inner:
                    continue  # «Пункт 9 статьи 11» is the item 9) of a clause of this article.
                if reference.item:
                    clause = reference.number or here.partition("-")[0]
                    # The reference to the missing clause is reported, or the items are in the paragraph of the clause.
                    if clause not in present or reference.item in written.get(clause, ""):
                        continue
                missing.setdefault(("agreement.L012", str(reference)), []).append(unit)
        for (id_, number), units in missing.items():
            lines = list(dict.fromkeys(unit.line for unit in units))
            yield make_message(id_, language, units[0], lines=lines, number=number)


def _owner(text: str, start: int, end: int) -> set[str]:
    """The first four letters, in small letters, of the name of the document that an appendix belongs to, and of the
    word that tells it from others: «к Договору поставки» gives ``дого`` and ``пост``. The name stands after a reference
    in Russian, and before one in Kazakh; ``start`` and ``end`` are the offsets of the reference in ``text``. Empty if
    the document is not named, or is «настоящий», «данный» or «осы».
    """
    if of := _OF.match(text, end):
        return set() if of["this"] else _parts(of)
    kk = _OF_KK.search(text[max(0, start - 40) : start])
    return {kk[1].lower()} if kk else set()


def _parts(of: re.Match[str]) -> set[str]:
    return {part.lower()[:4] for part in (of["name"], of["kind"]) if part}


def _own_names(document: Document) -> set[str]:
    """The first four letters, in small letters, of the words by which this document may be named: of each word of the
    title, and of the name after each «далее», «бұдан әрі», «настоящий», «данный» or «осы» in the text. Words with fewer
    letters are left out. ``""`` is always in the set: the caller takes an empty set as one that is not computed yet.
    """
    found = {word.lower() for word in _FIRST_LETTERS.findall(document.title)} | {""}
    return found | {match[1].lower() for unit in document.units for match in _OWN_NAME.finditer(unit.text)}


def _section(number: str) -> str:
    return number.partition("-")[0].rpartition(".")[0]


def different_references(texts: Texts) -> Iterator[Message]:
    """L035: a clause refers to different numbers in the two languages. It is reported only if in each language it
    refers to a number to which it does not refer in the other. A clause with a reference to a number that does not
    exist is not checked. Nothing is checked if the numbers of the two texts differ.
    """
    if len(texts.documents) < 2:
        return
    targets = {language: _targets(texts, language) for language in texts.documents}
    (one, here), (two, there) = targets.items()
    if texts.documents[one].numbers != texts.documents[two].numbers:
        return
    units = {unit.number: unit for unit in reversed(texts.documents[two].clauses)}
    for number, found in here.items():
        other = there.get(number, set())
        if "" in found | other or not (found - other and other - found):
            continue
        values: dict[str, Any] = {
            one: ", ".join(map(readable, sorted(found - other))),
            two: ", ".join(map(readable, sorted(other - found))),
        }
        yield make_message("agreement.L035", "", units[number], **values)


def _targets(texts: Texts, language: str) -> dict[str, set[str]]:
    """The number of each unit with references → the numbers of the units to which these references lead; ``""`` for a
    reference that leads nowhere. A unit without a number, or whose number is used earlier, is left out.
    """
    document = texts.documents[language]
    present, found = set(document.numbers), dict[str, set[str]]()
    for unit, its in texts.references[language].items():
        if unit.number and unit not in texts.repeated[language]:
            found[unit.number] = {each.target(unit.number, present, document.labels) for each in its}
    return found


#: What became of the clause to which a reference points: it has another number, or it was deleted.
_NOW = {
    "kk": ("{} нөмірімен тұр", "алып тасталған"),
    "ru": ("имеет номер {}", "исключён"),
    "en": ("{}", "deleted"),
}


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
            its = texts.references[language].get(unit)
            earlier = list(references.find(before.text)) if its else []
            if not its or len(earlier) != len(its):
                continue
            for reference, old_reference in zip(its, earlier, strict=True):
                number = reference.number
                if not number or (number, reference.item) != (old_reference.number, old_reference.item):
                    continue
                target = new_numbers.get(number)
                if number not in common or target == number:
                    continue
                now = {code: moved.format(target) if target else gone for code, (moved, gone) in _NOW.items()}
                yield make_message("agreement.L013", language, unit, reference=reference, now=now)


def one_sided_changes(texts: Texts) -> Iterator[Message]:
    """L014: clauses that differ from the previous edition in one language, but not in the other. The message is about
    the language in which the clause did not change. A clause differs if its text changed, or if the previous edition
    has no corresponding clause in that language. The text is compared without its number and without Markdown; a
    changed comma or capital letter counts as a change. The number must be in both texts of this edition, and the
    previous edition must have both languages. Clauses in a row give one message.
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
        numbers = common & others - changed[language]
        for units in _stretches(document, {unit for unit in document.clauses if unit.number in numbers}):
            yield make_message("agreement.L014", language, units=units)


def structure(texts: Texts) -> Iterator[Message]:
    """L015: a number without words. A section is always reported; another unit only if no units with numbers are in it.
    L016: a heading without a number. Headings directly below the title, and those of a second document, are not
    reported. L017: no summary. L018: no section, no clause and no number with a dot. L019: no title. L037: a title line
    that looks like something else, or that names no kind of document, while a line below it does.

    In an empty text, only the summary is checked. The summary is checked if summaries are known and there is a previous
    edition.
    """
    for language, document in texts.documents.items():
        if not texts.bodies[language].strip():
            continue
        parents = {unit.parent for unit in document.clauses}
        empty = {
            unit
            for unit in document.clauses
            if not _HAS_WORDS.search(unit.text) and not (unit.number in parents and unit.kind != "section")
        }
        for units in _stretches(document, empty):
            yield make_message("agreement.L015", language, units=units)
        # The headings before the first other unit belong to the title.
        below = dropwhile(lambda unit: unit.kind in {"front", "title"} or _is_unnumbered(unit), document.units)
        end = texts.ends[language]
        found = ((unit, unit.line, excerpt(unit.text)) for unit in below if _is_unnumbered(unit) and unit.line < end)
        yield from collected("agreement.L016", language, found, "text")
        if not any(unit.kind in {"section", "clause"} or unit.label.endswith(".") for unit in document.clauses):
            yield make_message("agreement.L018", language, line=1)
        if all(unit.kind != "title" for unit in document.units):
            yield make_message("agreement.L019", language, line=document.units[0].line)
        elif unlike_a_title(document.title) or has_title_below(texts.bodies[language]):
            unit = next(unit for unit in document.units if unit.kind == "title")
            yield make_message("agreement.L037", language, unit, text=excerpt(document.title))
    if texts.summaries is not None and texts.previous:
        for language in texts.bodies:
            if not (texts.summaries.get(language) or "").strip():
                yield make_message("agreement.L017", language)


def _is_unnumbered(unit: Clause) -> bool:
    return unit.kind == "heading" and not unit.number


ERRORS: tuple[Rule, ...] = (missing_texts, unreadable_characters, duplicate_numbers, parallel_numbers)


WARNINGS: tuple[Rule, ...] = (
    number_sequence,
    repeated_items,
    unrecognised_numbers,
    doubtful_numbers,
    dangling_references,
    different_references,
    stale_references,
    one_sided_changes,
    structure,
    odd_characters,
    latin_abbreviations,
    foreign_passages,
    unpaired_marks,
    placeholders,
    repeated_words,
    swallowed_clauses,
    stated_periods,
    unchanged,
    changed_statements,
    missing_citations,
)


_HEADING_KINDS = frozenset({"title", "section", "heading"})


#: The document that an appendix belongs to.
_OF = re.compile(
    r"(?:(?:,|\s+и)\s*№?\s*\d{1,2}){0,8}\s+ко?\s+(?:(?P<this>(?:настоящ|данн)\w+\s+)|(?:публичн|пользовательск)\w+\s+)?"
    r"(?P<name>[^\W\d_]{4})\w*"
    r"(?:\s+(?P<kind>(?:поставк|аренд|страхован|подряд|займа|хранен|банковск|купли|лизинг|агентск|лицензионн)\w*))?",
    re.IGNORECASE,
)
_OF_KK = re.compile(
    r"(?<!осы\s)(?<!\w)(келі|шарт|офер|саяс|ереж|қағи|тәрт)\w*?(?:[гқкғн][еа]|[дтн][ыі]ң)\s+(?:№\s*)?\Z", re.IGNORECASE
)
_FIRST_LETTERS = re.compile(r"\b[^\W\d_]{4}")
#: The name by which a text calls itself: «далее – Договор», «далее именуется Договор», «осы Шарт», «бұдан әрі Шарт деп
#: аталады». The forms of «данный» that the noun «данные» has too are left out, because of «персональных данных
#: пользователя».
_OWN_NAME = re.compile(
    r"(?<!\w)(?:(?i:далее|бұдан\s(?:әрі|былай))(?:\s(?!деп\s)[а-яёәғқңөұүһі]+){0,3}[\s–—:-]*[«\"“]?"
    r"|(?i:настоящ\w+|данн(?:ый|ого|ому|ом|ое|ая|ой|ую)|осы)\s+)\b([^\W\d_]{4})"
)


_HAS_WORDS = re.compile(r"\w")


_FIRST = re.compile(r"^[ \t*_]*1\\?\..*", re.MULTILINE)


def _range(numbers: list[str]) -> str:
    return numbers[0] if len(numbers) == 1 else f"{numbers[0]}–{numbers[-1]}"
