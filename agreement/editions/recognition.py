"""Finds the edition from which a text was copied, by its words. Punctuation, Markdown, line breaks and what stands
around the text do not decide which edition it is. The SHA-256 of a text compares everything (``views.verify``).
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from agreement.text import clauses
from agreement.text.front_matter import front_matter
from agreement.text.redline import words
from agreement.text.redline.sentences import shortened
from agreement.text.redline.words import Run

#: The shortest text that is compared, in words. A shorter one stands in many texts by chance.
FEWEST_WORDS = 6
#: The longest text that is compared, in characters.
MAX_CHARACTERS = 200_000
#: A text differs from an edition, and is not unknown, if it shares at least this part of its sequences of three words
#: with it, or the edition shares at least this part with the text.
LIKENESS = 0.4
#: An added or deleted run of more words than this is displayed without its middle.
LONGEST_RUN = 60

_WORD = re.compile(r"[^\W_]+")
_INLINE = re.compile(r"</?(?:a|code|em|span|strong)\b[^>]*>")
_TAG = re.compile(r"<[^>]*>")
#: A number at the beginning of a line that is copied without the space after it.
_GLUED = re.compile(r"^((?:\d+\.)+|\d+\)|[^\W\d_]\))(?=[^\W\d_])", re.MULTILINE)

#: ``same``: the words are those of the edition. ``around``: they contain all words of the edition, in one piece.
#: ``part``: they are a piece of the edition. ``differs``: none of these.
Likeness = Literal["same", "around", "part", "differs"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """The body of an edition in one language. ``digest`` is that of the edition."""

    digest: str
    language: str
    body: str


@dataclass(frozen=True, slots=True)
class Match:
    """How a text is like the body of an edition in one language. ``digest`` is that of the edition. ``runs`` are the
    differences, if ``likeness`` is ``around`` or ``differs``; otherwise it is empty.
    """

    digest: str
    language: str
    likeness: Likeness
    runs: tuple[Run, ...] = ()


def matches(text: str, candidates: Iterable[Candidate]) -> list[Match]:
    """The candidates from which this text may have been copied, in their order; empty if there are none, and for a text
    of fewer than ``FEWEST_WORDS`` words or more than ``MAX_CHARACTERS`` characters.

    All candidates of the best likeness are returned: ``same``, otherwise ``around``, otherwise ``part``. If there are
    none, one candidate that shares enough sequences of three words with the text (``LIKENESS``) is returned as
    ``differs``: the one that shares the most, and of several such candidates the last.
    """
    given = _words(text)
    if len(given) < FEWEST_WORDS or len(text) > MAX_CHARACTERS:
        return []
    shingles, piece = _shingles(given), _joined(given)
    found: list[Match] = []
    best: tuple[int, Candidate] | None = None
    for candidate in candidates:
        own = _words(candidate.body)
        own_shingles = _shingles(own)
        common = len(shingles & own_shingles)
        if not common or max(common / len(shingles), common / len(own_shingles)) < LIKENESS:
            continue
        if likeness := _likeness(piece, _joined(own), candidate.body):
            runs = _differences(candidate.body, text) if likeness == "around" else ()
            found.append(Match(candidate.digest, candidate.language, likeness, runs))
        if best is None or common >= best[0]:  # Of equals, the later edition.
            best = common, candidate
    if found or best is None:
        order: tuple[Likeness, ...] = ("same", "around", "part")
        nearest = min((order.index(one.likeness) for one in found), default=0)
        return [one for one in found if one.likeness == order[nearest]]
    return [Match(best[1].digest, best[1].language, "differs", _differences(best[1].body, text))]


def _likeness(piece: str, own: str, body: str) -> Likeness | None:
    """How a text is like a body, if one has all words of the other in one piece; otherwise ``None``. The title of the
    body may be missing from the text. ``piece`` and ``own`` are the joined words of the text and of the body.
    """
    if piece == own:
        return "same"
    if piece in own:
        return "part"
    if own in piece:
        return "around"
    # A page displays the title apart from the text.
    lines = body.split("\n")
    title = front_matter(body).line
    rest = _joined(_words("\n".join(lines[:title] + lines[title + 1 :]))) if title >= 0 else own
    if not rest.strip() or rest not in piece:
        return None
    return "same" if rest == piece else "around"


def _differences(body: str, text: str) -> tuple[Run, ...]:
    """The runs that turn the visible text of a body into the given text. Long runs are without their middle. If the
    text has less than half the length of the body, the long passages that it does not contain are left out.
    """
    visible, given = _visible(body), _normalised(text)
    runs = list(words.compare(visible, given))
    if 2 * len(given) < len(visible):
        runs = [
            Run("equal", " … ") if run.kind == "delete" and len(run.text) > len(given) // 2 else run for run in runs
        ]
    return tuple(run if run.kind == "equal" else Run(run.kind, _without_middle(run.text)) for run in shortened(runs))


def _without_middle(text: str) -> str:
    found = text.split()
    if len(found) <= LONGEST_RUN:
        return text
    return " ".join([*found[: LONGEST_RUN // 2], "…", *found[-LONGEST_RUN // 2 :]])


def _visible(body: str) -> str:
    """The text of a body as a page displays it, in lines, without its title and without Markdown."""
    page = _TAG.sub("\n", _INLINE.sub("", clauses.parse(body).html))
    return _normalised(html.unescape(page))


def _normalised(text: str) -> str:
    """The text with composed letters, without soft hyphens, with single spaces and without empty lines. A number or a
    letter with a bracket at the beginning of a line is separated from a letter that directly follows: ``1.1.Text``
    becomes ``1.1. Text``.
    """
    text = _GLUED.sub(r"\1 ", unicodedata.normalize("NFC", text).replace("\xad", ""))
    return "\n".join(line for line in (" ".join(line.split()) for line in text.splitlines()) if line)


def _words(text: str) -> list[str]:
    return _WORD.findall(unicodedata.normalize("NFC", text).replace("\xad", ""))


def _joined(found: Sequence[str]) -> str:
    return f" {' '.join(found)} "


def _shingles(found: Sequence[str]) -> set[tuple[str, ...]]:
    return set(zip(found, found[1:], found[2:], strict=False))
