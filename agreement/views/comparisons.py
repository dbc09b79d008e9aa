"""Recognises the words of a page of changes: copied from the page, or saved as a file.

The page displays words of two editions, so they are the words of neither. The page is rendered for the comparison, and
a changed template needs no change here as long as the classes in it stay the same.

The words must be those of the page, in its order. A part of the page may be missing, but of a changed clause all words
must be there, so that nobody can put the new words of one clause beside the old words of another. White space is not
compared: a browser copies a deleted word and the added word after it without a space between them.
"""

from __future__ import annotations

import inspect
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from html.parser import HTMLParser
from itertools import islice, pairwise

from django.conf import settings
from django.http import Http404
from django.urls import NoReverseMatch, Resolver404
from django.utils import translation
from django.utils.translation import gettext as _

from agreement.editions import recognition
from agreement.editions.timeline import Timeline
from agreement.models.succession import EditionDates
from agreement.views import editions
from agreement.views.base import Visit
from agreement.views.own_words import earlier_moments, request_for

#: How many pages of changes that a text names are rendered, and how many that it does not name.
MAX_NAMED, MAX_GUESSED = 3, 2
#: For how many earlier moments the first page that a text names is rendered. At each of them an edition was published,
#: took effect or was cancelled later, which changed words around the comparison.
MAX_EARLIER = 4

#: Elements that do not begin a new line.
_INLINE = {"a", "b", "bdi", "code", "del", "em", "ins", "q", "span", "strong", "time"}
_VOID = {"br", "col", "hr", "img", "input", "link", "meta"}
_HIDDEN = {"head", "script", "style"}
#: The classes of words that only some readers have: with a screen reader, on the screen, on paper or without scripts.
_OPTIONAL = {"agreement-spoken", "agreement-on-paper", "agreement-on-screen", "agreement-steps-here"}

#: The most letters in a row that a bar which a script changes may have.
_MAX_FREE = 500


@dataclass(frozen=True, slots=True)
class Piece:
    """Words of the page without markup between them, as :func:`_letters` returns them. ``is_optional`` says that a copy
    of the page may lack them.
    """

    letters: str
    is_optional: bool = False


@dataclass(slots=True)
class Unit:
    """A line of the page, or a changed clause. A copy of the page has it as one of ``variants``, each a sequence of
    pieces, or lacks it. In place of variants, ``free`` contains words that stand there in any order: those of a bar
    that a script changes.
    """

    variants: list[list[Piece]] = field(default_factory=list)
    free: frozenset[str] = frozenset()
    is_change: bool = False

    def first_letters(self) -> set[str]:
        """The letters with which this unit may begin."""
        found = {word[0] for word in self.free}
        for pieces in self.variants:
            for piece in pieces:
                found.add(piece.letters[0])
                if not piece.is_optional:
                    break
        return found

    def ends(self, text: str, start: int) -> set[int]:
        """Where this unit may end in the text, if it begins at ``start``; empty if it does not stand there."""
        if not self.free:
            return {end for pieces in self.variants for end in _ends(pieces, text, start)} - {start}
        ends, found = {start}, set[int]()
        while ends:
            ends = {end + len(word) for end in ends for word in self.free if text.startswith(word, end)} - found
            ends = {end for end in ends if end - start <= _MAX_FREE}
            found |= ends
        return found


def _letters(text: str) -> str:
    """The letters and digits of a text in lower case, without white space."""
    return "".join(recognition.folded(text))


def _ends(pieces: Sequence[Piece], text: str, start: int) -> set[int]:
    ends = {start}
    for piece in pieces:
        found = {end + len(piece.letters) for end in ends if text.startswith(piece.letters, end)}
        ends = found | ends if piece.is_optional else found
    return ends


@dataclass(frozen=True, slots=True, kw_only=True)
class RecognisedComparison:
    """A page of changes that a text names, or from which it was copied."""

    slug: str
    old: EditionDates
    new: EditionDates
    is_proved: bool
    """Whether all words of the text are those of the page, in its order."""
    is_complete: bool
    """Whether the text has every changed clause of the page. ``False`` unless ``is_proved``."""

    @property
    def sentence(self) -> str:
        """A sentence, in the language of the page, that states what the text is."""
        numbers = {"old": self.old.number, "new": self.new.number}
        if not self.is_proved:
            return _("The text states that it compares edition %(old)s with edition %(new)s.") % numbers
        if self.is_complete:
            return (
                _("These are the words with which this site compares edition %(old)s with edition %(new)s.") % numbers
            )
        return (
            _("These words are a part of the page on which this site compares edition %(old)s with edition %(new)s.")
            % numbers
        )


def recognise(
    visit: Visit, text: str, named: Iterable[tuple[Timeline, EditionDates]] = (), *, language: str = ""
) -> RecognisedComparison | None:
    """Return the page of changes from which the text was copied. If there is none, return that which the text names in
    its heading; ``None`` if it names none.

    ``named`` are public editions of which the text has words or digests, and ``language`` is the language of these
    words, if it is known. If the text has no heading of a page of changes, the pages about the first two editions of
    ``named`` are tried or, if it has one, those about neighbours near this edition. At most ``MAX_NAMED`` and
    ``MAX_EARLIER`` pages are rendered or, without a heading, ``MAX_GUESSED``.
    """
    if len(text) > recognition.MAX_CHARACTERS:
        return None
    letters, headings = _letters(text), list(islice(_headings(visit, text), MAX_NAMED))
    pages = headings or list(islice(_pages(visit, named, language), MAX_GUESSED))
    moments = [(page, visit.at) for page in pages]
    moments += [(page, at) for page in headings[:1] for at in earlier_moments(visit, page[1])[:MAX_EARLIER]]
    for (code, timeline, old, new), at in moments:
        matched = _match(_units(visit, timeline.slug, old, new, code, at), letters)
        if matched is not None:
            return RecognisedComparison(slug=timeline.slug, old=old, new=new, is_proved=True, is_complete=matched)
    for _code, timeline, old, new in headings[:1]:
        return RecognisedComparison(slug=timeline.slug, old=old, new=new, is_proved=False, is_complete=False)
    return None


def _headings(visit: Visit, text: str) -> Iterator[tuple[str, Timeline, EditionDates, EditionDates]]:
    """Yield the pages of changes whose headings stand in the text: the language of the page, and two public editions of
    one agreement, the old one first.
    """
    whole = f" {' '.join(recognition.folded(text))} "
    seen = set()
    for language in dict(settings.LANGUAGES):
        with translation.override(language):
            heading = _("What changed from edition %(old)s to edition %(new)s") % {"old": "OLDONE", "new": "NEWONE"}
        pattern = re.escape(" ".join(recognition.folded(heading)))
        for name in ("old", "new"):
            pattern = pattern.replace(f"{name}one", rf"(?P<{name}>[1-9]\d{{0,9}})")
        for match in re.finditer(f" {pattern} ", whole):
            for timeline in visit.timelines.agreements.values():
                numbers = {edition.number: edition for edition in visit.public(timeline)}
                old, new = (numbers.get(int(match[name])) for name in ("old", "new"))
                if old and new and (key := (language, timeline.slug, old.number, new.number)) not in seen:
                    seen.add(key)
                    yield language, timeline, old, new


def _pages(
    visit: Visit, named: Iterable[tuple[Timeline, EditionDates]], language: str
) -> Iterator[tuple[str, Timeline, EditionDates, EditionDates]]:
    """Yield the pages of changes about the first two of these editions, in ``language`` and in the other languages of
    the site. If there is one edition, yield those about it and its neighbours, in ``language``. Nothing if the editions
    are of two agreements.
    """
    found = list(islice(dict.fromkeys(named), 2))
    if not found or found[0][0].slug != found[-1][0].slug:
        return
    timeline, codes = found[0][0], sorted(dict(settings.LANGUAGES), key=lambda code: code != language)
    if len(found) == 2:
        old, new = sorted((edition for _timeline, edition in found), key=lambda edition: edition.number)
        yield from ((code, timeline, old, new) for code in codes)
        return
    # Editions may have the same words, so a page of changes may be about editions beside the one that was found.
    number = found[0][1].number
    pairs = sorted(pairwise(visit.public(timeline)), key=lambda pair: abs(pair[0].number + pair[1].number - 2 * number))
    yield from ((codes[0], timeline, *pair) for pair in pairs)


def _units(visit: Visit, slug: str, old: EditionDates, new: EditionDates, language: str, at: datetime) -> list[Unit]:
    """Return the units of the page of changes as it was displayed at that moment; empty if there was none. It costs the
    queries of the page.
    """
    with translation.override(language), suppress(NoReverseMatch, Resolver404, Http404):
        request, _view = request_for(visit.request, visit.path("changes", slug, new.number))
        then = Visit(request, at, visit.timelines, {"from": str(old.number)})
        response = inspect.unwrap(editions.changes)(then, slug, new.number)
        reader = _Reader()
        reader.feed(response.content.decode())
        reader.close()
        return reader.units
    return []


def _match(units: Sequence[Unit], text: str) -> bool | None:
    """Return whether the text contains every changed clause of these units; ``None`` if it does not consist of units,
    in their order. ``text`` are its letters.
    """
    places: dict[str, list[int]] = {}
    for place, unit in enumerate(units):
        for letter in unit.first_letters():
            places.setdefault(letter, []).append(place)
    # For each number of letters at the beginning: the first unit that may follow, and the changed clauses up to there.
    # Of two ways to read the same letters, the one that leaves more units is enough.
    states: list[tuple[int, frozenset[int]] | None] = [None] * (len(text) + 1)
    states[0] = 0, frozenset()
    for start, letter in enumerate(text):
        if (state := states[start]) is None:
            continue
        here = places.get(letter, [])
        for place in here[bisect_left(here, state[0]) :]:
            unit = units[place]
            changes = state[1] | {place} if unit.is_change else state[1]
            for end in unit.ends(text, start):
                if (known := states[end]) is None or (place + 1, -len(changes)) < (known[0], -len(known[1])):
                    states[end] = place + 1, changes
    last = states[-1]
    total = sum(unit.is_change for unit in units)
    return None if last is None else total == len(last[1]) > 0


class _Reader(HTMLParser):
    """Divides a page of changes into units."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.units: list[Unit] = []
        self._open: list[tuple[str, frozenset[str], bool]] = []
        self._line: list[Piece] = []
        self._free: set[str] | None = None
        self._row: dict[str, list[Piece]] | None = None
        self._names: set[str] = set()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        classes = frozenset((given.get("class") or "").split())
        if "agreement-stepper" in classes:
            self._flush()
            self._free = set()
        if self._free is not None:
            for name in ("data-count", "data-label"):
                self._free |= set(recognition.folded(given.get(name) or ""))
        if tag == "tr" and "agreement-change" in classes:
            self._flush()
            self._row = {"head": [], "old": [], "new": []}
        elif tag not in _INLINE:
            self._flush()
        if tag not in _VOID:
            self._open.append((tag, classes, "hidden" in given))

    def close(self) -> None:
        super().close()
        self._flush()
        for unit in self.units:
            if unit.free:  # The script names the change that it leads to.
                unit.free |= self._names

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID or all(tag != name for name, _classes, _hidden in self._open):
            return
        if tag not in _INLINE:
            self._flush()
        while self._open:
            name, classes, _hidden = self._open.pop()
            if "agreement-stepper" in classes and self._free is not None:
                self.units.append(Unit(free=frozenset(self._free)))
                self._free = None
            if name == "tr" and self._row is not None:
                self.units.append(_change(self._row))
                self._names.update(piece.letters for piece in self._row["head"])
                self._row = None
            if name == tag:
                break

    def handle_data(self, data: str) -> None:
        words, letters = recognition.folded(data), _letters(data)
        names = {name for name, _classes, _hidden in self._open}
        classes = frozenset[str]().union(*(classes for _name, classes, _hidden in self._open))
        if not words or (names & _HIDDEN and "title" not in names):
            return
        if self._free is not None:
            self._free |= {*words, *map(str, range(1, 1 + max(map(int, filter(str.isdecimal, words)), default=0)))}
            return
        hidden = any(hidden for _name, _classes, hidden in self._open)
        optional = hidden or bool(classes & _OPTIONAL)
        if self._row is None:
            self._line.append(Piece(letters, optional))
        elif classes & {"agreement-old", "agreement-new"}:
            side = "old" if "agreement-old" in classes else "new"
            kind = "absent" if "agreement-absent" in classes else "deleted" if "del" in names else "same"
            self._row[side].append(_CellPiece(letters, optional, kind))
        else:
            link = any(name == "a" and "agreement-fact" in classes for name, classes, _hidden in self._open)
            place = "agreement-place" in classes
            self._row["head"].append(Piece(letters, optional or link or place))

    def _flush(self) -> None:
        if self._row is None and self._line:
            self.units.append(Unit([self._line]))
            self._line = []


@dataclass(frozen=True, slots=True)
class _CellPiece(Piece):
    """A piece of a cell with the words of an edition. ``kind`` is ``deleted`` for deleted words, ``absent`` for the
    note that the edition has no words there, otherwise ``same``.
    """

    kind: str = "same"


def _change(row: dict[str, list[Piece]]) -> Unit:
    """Return a changed clause with the variants that the layouts display: in one text, side by side, and all words of
    the page, as a file has them.
    """
    head, old, new = (row[name] for name in ("head", "old", "new"))

    def without(pieces: list[Piece], kind: str) -> list[Piece]:
        return [piece for piece in pieces if getattr(piece, "kind", "") != kind]

    return Unit(
        [[*head, *without(new, "absent")], [*head, *old, *without(new, "deleted")], [*head, *old, *new]],
        is_change=True,
    )
