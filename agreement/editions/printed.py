"""Compares the lines around the text of an edition with those that the site prints around it.

A line with a number, a month or the name of a state is a statement about the edition. A page or a file of the site must
have it, with all words of each of its lines and in its place. Other lines may have words of several pages and files.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter

from django.conf import settings
from django.utils import translation

from agreement.editions.recognition import BODY, folded, joined, long_clauses, sequences
from agreement.models.succession import State
from agreement.text import clauses, dates
from agreement.text.front_matter import front_matter

#: A line of the site with this character quotes changed words. It counts as a complete line, and no piece of it counts.
CHANGED = "\N{REPLACEMENT CHARACTER}"
#: At how many places of a page a line is searched for, and how many places of all lines are considered. Anyone can
#: post a text of many short lines.
MAX_PLACES, MAX_PLACES_OF_ALL = 50, 10_000
#: The longest line that may have words of lines with others between them, in words.
MAX_APART = 40

#: The moment at which a browser printed the page, and the number of the page: in a line, and in a margin.
_MOMENT = re.compile(r"^\s*\d{1,2}[./]\d{1,2}[./]\d{2,4}, +\d{1,2}:\d{2}(?:\s[AP]M)?(?!\S)")
_PAGE_OF_LINE = re.compile(r"^(\s*https?://\S+) +\d{1,3}/\d{1,3}\s*$|(?:^| )\d{1,3} / \d{1,3}\s*$")
_PAGE = re.compile(r"(?<!\S)\d{1,3} ?/ ?\d{1,3}\s*$|^\s*\d{1,3}\s*$")
#: The last word of a margin that a browser cut off.
_CUT = re.compile(r"(?<!\w)(?![0-9a-f]{8})\w*…\s*$")
#: A piece of a digest that a file prints in several lines.
_PIECE_OF_DIGEST = re.compile(r"[0-9a-f]{8,63}")


class PrintedWords:
    """Finds those of the lines around a text that the site does not print there. ``lines`` are these lines, with
    ``BODY`` in place of the words of the edition. ``margins`` are the headers and footers of pages, and ``bodies`` the
    texts of the edition.

    :meth:`add` compares the lines with a page or a file of the site. :attr:`others` are then those that are not in its
    lines, or not in their order: of all pages and files, the one counts in which the fewest statements are missing.
    Headers and footers are compared with the words before the text, in any order. The moment of printing and the
    numbers of pages are ignored. The title and the clauses of a body may stand anywhere, because a table of contents
    repeats headings.
    """

    def __init__(self, lines: Sequence[str], margins: Sequence[str] = (), bodies: Sequence[str] = ()) -> None:
        self._bodies, self._clauses = [joined(folded(body)) for body in bodies], long_clauses(bodies)
        self._titles = {joined(folded(front_matter(body).title)) for body in bodies}
        self._lines = self._clauses | self._titles
        units = [unit for body in bodies for unit in clauses.parse(body).clauses]
        self._lines |= {joined(folded(f"{unit.label} {unit.text}")) for unit in units}
        self._lines |= {joined(folded(unit.text)) for unit in units if unit.kind == "section"}
        self._sequences: set[tuple[str, ...]] = set()
        self._given = [*lines, *margins]
        numbered = [_PAGE_OF_LINE.sub(r"\1", line) for line in lines]
        self._words = [folded(line) for line in numbered]
        heads = (_CUT.sub("", _MOMENT.sub("", line)) for line in numbered)
        self._heads = [self._words[at] if head == numbered[at] else folded(head) for at, head in enumerate(heads)]
        self._words += [folded(_CUT.sub("", _PAGE.sub("", _MOMENT.sub("", line)))) for line in margins]
        bodies_at = [at for at, line in enumerate(lines) if line == BODY or self._is_clause(self._words[at])]
        self._count, self._zones = len(lines), _zones(bodies_at, len(lines))
        statements = _statements(self._words)
        self._statements = {place for place in statements if joined(self._words[place]) not in self._lines}
        self._missing = self._statements

    @property
    def others(self) -> list[str]:
        """The lines that are in none of the pages and files so far, each once."""
        others = self._missing | {place for place in self._others() if place not in self._statements}
        return list(dict.fromkeys(self._given[place].strip() for place in sorted(others)))

    def add(self, lines: Iterable[str]) -> int:
        """Compare with a page or a file that has these lines. The text is where clauses or ``BODY`` are. Returns how
        many of the given lines are not in it.
        """
        printed, bodies_at = list[list[str]](), list[int]()
        for at, line in enumerate(lines):
            found = folded(line)
            if line == BODY or self._is_clause(found):
                bodies_at.append(at)
            elif len(found) <= 3 or CHANGED in line or not any(joined(found) in body for body in self._bodies):
                self._lines.add(joined(found))
                self._sequences |= set() if CHANGED in line else sequences(found)
            printed.append([] if at in bodies_at[-1:] else found)
        given = _with_whole_digests(self._words, {word for found in printed for word in found if len(word) == 64})
        before, between, after = ([printed[at] for at in zone] for zone in _zones(bodies_at, len(printed)))
        # A file may have the header of its page after the text.
        own, zones = self._zones, [before, between, after + before]
        if not bodies_at or len(own[0]) == self._count:
            own, zones = [range(self._count)], [printed + before]
        missing = set[int]()
        for places, zone in zip(own, zones, strict=True):
            weights = [1 if place in self._statements else 2 for place in places]
            placed = _Zone(zone).placed([given[place] for place in places], weights)
            missing |= {place for index, place in enumerate(places) if given[place] and index not in placed}
        # Headers are among the lines of a file that was copied as a text. The number of a section is too short for one.
        head = _Zone(before)
        heads = {at for at, found in enumerate(self._heads) if len(found) > 2 or joined(found) in self._titles}
        missing -= {place for place in missing & self._statements & heads if head.has_lines(self._heads[place])}
        missing |= {place for place in range(self._count, len(given)) if not head.has_piece(given[place])}
        self._missing = min(self._missing, missing & self._statements, key=len)
        return len(missing)

    def _is_clause(self, found: Sequence[str]) -> bool:
        """Are these the words of a long clause, with or without its number?"""
        return any(joined(found[start:]) in self._clauses for start in range(min(len(found) - 3, 5)))

    def _others(self) -> Iterator[int]:
        """Yield the places of lines with words that are not of the site. Words are of the site if they are complete
        lines of it, or three or more words in a row of its lines. A given line may end anywhere in a line of the site.
        """
        whole = [word for found in self._words for word in found]
        own = [False] * len(whole)
        for at in range(len(whole)):
            if tuple(whole[at : at + 3]) in self._sequences:
                own[at : at + 3] = [True] * 3
        start = 0
        for place, found in enumerate(self._words):
            here = own[start : start + len(found)]
            start += len(found)
            if not all(here) and joined(found) not in self._lines and not self._are_lines(found, here):
                yield place

    def _are_lines(self, found: Sequence[str], own: Sequence[bool]) -> bool:
        """Does each run of words that are not yet known to be of the site consist of complete lines of the site, each
        of at most 6 words? ``found`` are the words, and ``own`` says of each whether it is known.
        """
        for known, run in groupby(zip(found, own, strict=True), key=itemgetter(1)):
            rest = [] if known else [word for word, _known in run]
            while rest:
                length = next((size for size in range(6, 0, -1) if joined(rest[:size]) in self._lines), 0)
                if not length:
                    return False
                rest = rest[length:]
        return True


class _Zone:
    """The words of lines of a page that stand one after another."""

    def __init__(self, lines: Sequence[Sequence[str]]) -> None:
        self._lines = [list(found) for found in lines if found]
        #: Where lines begin and end in ``_whole``.
        self._edges, size = {0}, 0
        for found in self._lines:
            size += len(joined(found)) - 1
            self._edges.add(size)
        self._whole = joined([word for found in self._lines for word in found])
        self._vocabulary = {word for found in self._lines for word in found}
        self._known: dict[str, list[tuple[int, int]]] = {}

    def placed(self, given: Sequence[Sequence[str]], weights: Sequence[int]) -> set[int]:
        """The indexes of those of the given lines that are in these lines, in their order. Given lines may be missing
        words only at the edges of these lines, and may end anywhere if the next one goes on there. Of several choices,
        the one with the most words is taken, each counted with the weight of its line.
        """
        pieces = [(index, piece) for index, found in enumerate(given) for piece in self._pieces(found)]
        # A sequence of pieces: the place and the end of its last one, its weight, and the sequence without that one.
        known: list[tuple[int, int, int, int]] = [(-1, 0, 0, -1)]
        # Sequences that end at an edge: more weight costs a later end. The others must go on where they end.
        ends, best, unfinished = [0], [0], dict[int, int]()
        for place, (index, piece) in enumerate(pieces):
            found = []
            for start, end in self._places(piece) if len(known) < MAX_PLACES_OF_ALL else ():
                before = best[bisect_right(ends, start) - 1] if start in self._edges else unfinished.get(start)
                if before is not None:
                    found.append((place, end, known[before][2] + weights[index] * len(piece), before))
            for one in found:
                _place, end, weight, _before = one
                known.append(one)
                if end not in self._edges:
                    if end not in unfinished or known[unfinished[end]][2] < weight:
                        unfinished[end] = len(known) - 1
                    continue
                at = bisect_right(ends, end)
                if weight > known[best[at - 1]][2]:
                    while at < len(ends) and known[best[at]][2] <= weight:
                        del ends[at], best[at]
                    ends.insert(at, end)
                    best.insert(at, len(known) - 1)
        last, taken = best[-1], set[int]()
        while last > 0:
            taken.add(known[last][0])
            last = known[last][3]
        complete = {index for index, _piece in pieces}
        return complete - {index for place, (index, _piece) in enumerate(pieces) if place not in taken}

    def has_lines(self, found: Sequence[str]) -> bool:
        """Are these the words of one or more lines one after another, all complete?"""
        return any({start, end} <= self._edges for start, end in self._places(found))

    def has_piece(self, found: Sequence[str]) -> bool:
        """Do the words stand in these lines in a row? If they are a complete line with other numbers or another month,
        they are not a piece of a longer line but a changed line.
        """
        changed = list(found) not in self._lines and any(_form(line) == _form(found) for line in self._lines)
        return not found or (bool(self._places(found)) and not changed)

    def _places(self, found: Sequence[str]) -> list[tuple[int, int]]:
        """Where these words begin and end in the words of the lines, at most at ``MAX_PLACES``."""
        text, places = joined(found), list[tuple[int, int]]()
        if text in self._known:
            return self._known[text]
        start = self._whole.find(text)
        while start >= 0 and len(places) < MAX_PLACES:
            places.append((start, start + len(text) - 1))
            start = self._whole.find(text, start + 1)
        self._known[text] = places
        return places

    def _pieces(self, found: Sequence[str]) -> list[Sequence[str]]:
        """The words divided into pieces that stand in these lines. A piece before another one ends at the end of a
        line. Empty if there are no such pieces.
        """
        if not self._vocabulary.issuperset(found):
            return []
        if self._places(found):
            return [found]
        for size in range(len(found) - 1 if len(found) <= MAX_APART else 0, 0, -1):
            if any(end in self._edges for _start, end in self._places(found[:size])):
                rest = self._pieces(found[size:])
                return [found[:size], *rest] if rest else []
        return []


def _zones(bodies_at: Sequence[int], count: int) -> list[range]:
    """The places of the lines before, between and after those of an edition, which are at ``bodies_at``. Without them,
    all ``count`` lines are before.
    """
    first, last = (bodies_at[0], bodies_at[-1]) if bodies_at else (count, count)
    return [range(first), range(first, last), range(last, count)]


def _with_whole_digests(lines: Sequence[Sequence[str]], digests: set[str]) -> list[list[str]]:
    """The words of these lines. The pieces of each of these digests, one after another, become the digest, which stands
    in place of the first piece.
    """
    result, rest = [], ""
    for place, found in enumerate(lines):
        words: list[str] = []
        for at, word in enumerate(found):
            if rest and rest.startswith(word):
                rest = rest[len(word) :]
                continue
            rest = ""
            if _PIECE_OF_DIGEST.fullmatch(word):
                following = "".join([*found[at:], *(word for line in lines[place + 1 : place + 9] for word in line)])
                digest = next((one for one in digests if following.startswith(one)), word)
                rest, word = digest[len(word) :], digest
            words.append(word)
        result.append(words)
    return result


def _form(found: Sequence[str]) -> list[str]:
    return ["0" if word in dates.MONTHS else re.sub(r"\d+", "0", word) for word in found]


def _statements(lines: Sequence[Sequence[str]]) -> set[int]:
    """The places of the lines with a number, a month, or the name of a state of editions in a language of the site."""
    labels = set()
    for language in dict(settings.LANGUAGES):
        with translation.override(language):
            labels |= {joined(folded(str(state.label))) for state in State}
    return {
        place
        for place, found in enumerate(lines)
        if any(word in dates.MONTHS or any(map(str.isdigit, word)) for word in found)
        or any(label in joined(found) for label in labels)
    }
