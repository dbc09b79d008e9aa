"""Finds the edition from which a text was copied, by its words. Punctuation, Markdown, line breaks and what stands
around the text do not decide which edition it is. The SHA-256 of a text compares everything (``views.verify``).
"""

from __future__ import annotations

import html
import json
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from email import message_from_bytes, policy
from itertools import groupby
from operator import attrgetter
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
#: The pieces of a text are its lines and the cells of its tables. A text of more pieces is not compared piece by piece.
MAX_PIECES = 1_000
#: The shortest piece that is evidence of an edition if nothing else is, in words.
FEWEST_PIECE_WORDS = 8
#: How many of its last words say where a piece of an edition ends.
ENDING_WORDS = 6
#: A text was put together from several texts if one of them contains so much less of it than all together, as a part of
#: its words: both languages side by side, the old and the new words of a table.
COMPOSED = 0.12

#: The kinds of units that are no clauses.
_HEADINGS = {"front", "title", "section", "heading"}
_PIECE = re.compile(r"[\n|]+")
_WORD = re.compile(r"[^\W_]+")
_INLINE = re.compile(r"</?(?:a|b|code|del|em|ins|span|strong)\b[^>]*>")
#: The edge of deleted or added words. It is never inside a word, but a page may have no space there.
_EDGE = re.compile(r"</?(?:del|ins)\b")
#: A tag of an HTML page, and its name.
_TOKEN = re.compile(r"(<[^<>]*>)")
_NAME = re.compile(r"</?[a-zA-Z]+")
#: How an HTML page, or a part of one, begins.
_HTML = re.compile(r"\s*<(?:!doctype html|(?:html|head|body|main|article|section|header|div|h[1-6]|p|table)\b)", re.I)
#: A letter begins with at least two header fields and an empty line.
_MAIL = re.compile(r"(?:[!-9;-~]+:[^\n]*\n(?:[ \t][^\n]*\n)*){2,}\n")
_MARK = re.compile(r"^#{1,6} +|\*\*", re.MULTILINE)
_TAG = re.compile(r"<[^>]*>")
#: A number at the beginning of a line that is copied without the space after it.
_GLUED = re.compile(r"^((?:\d+\.)+|\d+\)|[^\W\d_]\))(?=[^\W\d_])", re.MULTILINE)

#: A word that ends with a hyphen or a dash before white space, and the word after it.
_HYPHENATED = re.compile(r"(\S+[-‐‑–])\s+(?=(\S+))")

#: Words of an edition, in a sequence of lines that contains only the other lines of a text. No line has words with it.
BODY = "\N{OBJECT REPLACEMENT CHARACTER}"
#: ``same``: the words are those of the edition. ``around``: they contain all words of the edition, and others only
#: before and after them. ``part``: they are a piece of the edition. ``between``: they contain all words of the edition
#: in their order, with others between them. ``passages``: some pieces of the text stand in the edition, word for word.
#: ``differs``: none of these.
Likeness = Literal["same", "around", "part", "between", "passages", "differs"]
#: From the digest of an edition and lines of a text with ``BODY`` in place of the other lines, those of the lines that
#: the site does not print around the text of that edition.
Others = Callable[[str, list[str]], list[str]]


@dataclass(frozen=True, slots=True)
class Candidate:
    """The body of an edition in one language. ``digest`` is that of the edition."""

    digest: str
    language: str
    body: str


@dataclass(frozen=True, slots=True)
class Match:
    """How a text is like the body of an edition in one language. ``digest`` is that of the edition. The comment on
    :data:`Likeness` defines the values of ``likeness``.

    ``runs`` turn the body into the text, without the middle of long runs; there are none if ``likeness`` is ``same`` or
    ``part``. If the text was put together from pieces of bodies, only the first match has runs, and they give the text
    alone: pieces that stand in one of the bodies are equal, and the others inserted.

    ``added`` are the lines of the text, or parts of lines, that are not of the body; if the text was put together,
    those that are of none of the bodies. They are not shortened. ``BODY`` stands in place of long clauses. ``added`` is
    empty if ``likeness`` is ``differs``.

    ``ending`` are the last words of the text if ``likeness`` is ``part`` and the body goes on after them. The last word
    may be cut off.
    """

    digest: str
    language: str
    likeness: Likeness
    runs: tuple[Run, ...] = ()
    added: tuple[str, ...] = ()
    ending: str = ""


@dataclass(frozen=True, slots=True)
class _Body:
    """A candidate with its words, joined, and its sequences of three words."""

    candidate: Candidate
    words: str
    shingles: set[tuple[str, ...]]

    @classmethod
    def from_candidate(cls, candidate: Candidate) -> _Body:
        own = _words(candidate.body)
        return cls(candidate, joined(own), sequences(own))

    def contains(self, piece: Sequence[str]) -> bool:
        return (len(piece) < 3 or tuple(piece[:3]) in self.shingles) and joined(piece) in self.words


def matches(
    text: str, candidates: Iterable[Candidate], *, others: Others = lambda _digest, lines: lines
) -> list[Match]:
    """The candidates from which this text may have been copied, each with its :data:`Likeness`; empty if none is like
    the text, and for a text of fewer than ``FEWEST_WORDS`` words or more than ``MAX_CHARACTERS`` characters.

    All candidates of the best likeness are returned, in their order: ``same``, otherwise ``around``, otherwise
    ``part``. If no candidate has one of these, but the text was put together from the texts of several candidates,
    these are returned: as ``around`` if they are complete in the text, otherwise as ``passages``. If it was not, one
    candidate that shares enough sequences of three words with the text (``LIKENESS``) is returned: as ``between`` if
    the text has all its words in their order, otherwise as ``differs``. It is the one that shares the most, and of
    several such candidates the last.

    If no candidate shares enough, but a piece of the text of at least ``FEWEST_PIECE_WORDS`` words stands in a
    candidate, the result is a choice of candidates that together contain every piece of at least ``FEWEST_WORDS`` words
    that stands in any: of several that contain the same, the last. They too are returned as ``around`` if they are
    complete in the text, otherwise as ``passages``.

    ``others`` is called if a text differs, with the digest of the edition and with the lines that only the text has. It
    returns those of them that are not what the site prints around the text of this edition. The runs of the match then
    mark only these lines as inserted. A line that stands beside deleted words is always marked: it may replace them.
    """
    given = _words(text)
    if len(given) < FEWEST_WORDS or len(text) > MAX_CHARACTERS:
        return []
    shingles, whole = sequences(given), joined(given)
    bodies: list[_Body] = []
    found: list[Match] = []
    best: tuple[int, Candidate] | None = None
    for body in (_Body.from_candidate(candidate) for candidate in candidates):
        common = len(shingles & body.shingles)
        if not common:
            continue
        bodies.append(body)
        if max(common / len(shingles), common / len(body.shingles)) < LIKENESS:
            continue
        candidate = body.candidate
        if likeness := _likeness(whole, body.words, candidate.body):
            is_around = likeness == "around"
            runs = _displayed(_compared(candidate.body, text)) if is_around else ()
            added = _outside(candidate.body, text) if is_around else ()
            ending = "" if likeness != "part" or body.words.endswith(whole) else " ".join(given[-ENDING_WORDS:])
            found.append(Match(candidate.digest, candidate.language, likeness, runs, added, ending))
        if best is None or common >= best[0]:  # Of equals, the later edition.
            best = common, candidate
    if found:
        order: tuple[Likeness, ...] = ("same", "around", "part")
        nearest = min(order.index(one.likeness) for one in found)
        return [one for one in found if one.likeness == order[nearest]]
    if composed := _composed(text, bodies, alone=best is None):
        return composed
    if best is None:
        return []
    candidate = best[1]
    changes = _compared(candidate.body, text)
    if any(run.kind == "delete" and _words(run.text) for run in changes):
        own = long_clauses([candidate.body])
        changes = list(_without_printed(changes, own, lambda lines: others(candidate.digest, lines)))
        return [Match(candidate.digest, candidate.language, "differs", _displayed(changes))]
    added = _with_body(changes, long_clauses([candidate.body]))
    return [Match(candidate.digest, candidate.language, "between", _displayed(changes), added)]


def _without_printed(
    runs: Sequence[Run], own: Collection[str], others: Callable[[list[str]], list[str]]
) -> Iterator[Run]:
    """Yield these runs. An inserted run of complete lines that is not beside a deleted run is divided into its lines,
    and those that ``others`` does not return for it are equal runs. ``own`` are the long clauses of the edition.
    """
    complete = {place for place in range(len(runs)) if _is_of_lines(runs, place)}
    lines = _with_body((run for place, run in enumerate(runs) if run.kind != "insert" or place in complete), own)
    marked = set(others(list(lines))) if complete else set()
    for place, run in enumerate(runs):
        if place not in complete:
            yield run
            continue
        for line in run.text.splitlines(keepends=True):
            yield Run("insert" if line.strip() in marked else "equal", line)


def _is_of_lines(runs: Sequence[Run], place: int) -> bool:
    """Is this an inserted run of complete lines that is not beside a deleted run?"""
    run, beside = runs[place], [*runs[:place][-1:], *runs[place + 1 : place + 2]]
    is_complete = len(run.text.splitlines()) > 1 or run.text.endswith("\n") or len(beside) < 2
    return run.kind == "insert" and is_complete and not any(other.kind == "delete" for other in beside)


def _composed(text: str, bodies: Sequence[_Body], *, alone: bool) -> list[Match]:
    """The matches of a text that was put together from pieces of several of these bodies; empty if it was not, or if it
    has more than ``MAX_PIECES`` pieces. It was if the bodies together contain more of its words than any one of them
    does, by more than ``COMPOSED`` of all its words. If ``alone`` is true, this need not be so: pieces of one body are
    enough, and one of them must have ``FEWEST_PIECE_WORDS`` words.
    """
    lines = [line for line in _PIECE.split(_normalised(text)) if _words(line)]
    if len(lines) > MAX_PIECES:
        return []
    pieces = [_words(line) for line in lines]
    contained = [{place for place, piece in enumerate(pieces) if body.contains(piece)} for body in bodies]

    def count(places: Iterable[int]) -> int:
        return sum(len(pieces[place]) for place in places)

    chosen: list[int] = []
    covered: set[int] = set()
    while bodies:
        # The body with the most words that none of the chosen ones contains; of equals, that of the later edition.
        index = max(range(len(bodies)), key=lambda index: (count(contained[index] - covered), index))
        if not any(len(pieces[place]) >= FEWEST_WORDS for place in contained[index] - covered):
            break
        chosen.append(index)
        covered |= contained[index]
    if alone:
        is_composed = any(len(pieces[place]) >= FEWEST_PIECE_WORDS for place in covered)
    else:
        most = max((count(contained[index]) for index in chosen), default=0)
        is_composed = count(covered) - most > COMPOSED * count(range(len(pieces)))
    if not is_composed:
        return []
    whole = " \n ".join(joined(piece) for piece in pieces)
    core = [place for place in covered if len(pieces[place]) >= FEWEST_WORDS]
    is_around = covered.issuperset(range(min(core), max(core))) and all(
        _is_complete(bodies[index].candidate.body, whole) for index in chosen
    )
    runs = [Run("equal" if place in covered else "insert", f"{line}\n") for place, line in enumerate(lines)]
    added = _with_body(runs, long_clauses([bodies[index].candidate.body for index in chosen]))
    return [
        Match(
            bodies[index].candidate.digest,
            bodies[index].candidate.language,
            "around" if is_around else "passages",
            _displayed(runs) if place == 0 else (),
            added,
        )
        for place, index in enumerate(sorted(chosen))
    ]


def _is_complete(body: str, whole: str) -> bool:
    """Does ``whole`` contain each line of this body: all its words, in their order and without a gap? The order of the
    lines is not compared, and neither are the title of the body, Markdown and punctuation. ``whole`` are the joined
    words of the pieces of a text.
    """
    return all(joined(_words(line)) in whole for line in _visible(body).split("\n") if _words(line))


def _likeness(piece: str, own: str, body: str) -> Likeness | None:
    """How a text is like a body, if one has all words of the other in one piece; otherwise ``None``. The title of the
    body may be missing from the text. ``piece`` and ``own`` are the joined words of the text and of the body, and
    ``body`` is the body itself.
    """
    if piece == own:
        return "same"
    if piece.rstrip() in own:  # The last word may be cut off.
        return "part"
    if own in piece:
        return "around"
    # A page displays the title apart from the text.
    rest = joined(_words(_without_title(body)))
    if not rest.strip() or rest not in piece:
        return None
    return "same" if rest == piece else "around"


def _compared(body: str, text: str) -> list[Run]:
    """The runs that turn the visible text of a body into the given text. Where a line ends is not compared: the equal
    and deleted runs have the lines of the body.
    """
    visible, given = _visible(body), _normalised(text)
    if _title(body) in joined(_words(given)):  # A page displays the title apart from the text.
        visible = f"{_normalised(front_matter(body).title)}\n{visible}"
    given = _HYPHENATED.sub(
        lambda found: (
            found[1] if f"{found[1]}{found[2]}" in visible and found[0] + found[2] not in visible else found[0]
        ),
        given,
    )
    runs, place, new_place = [], 0, 0
    for run in words.compare(visible.replace("\n", " "), given.replace("\n", " ")):
        if run.kind == "insert":
            runs.append(Run(run.kind, given[new_place : new_place + len(run.text)]))
        else:
            runs.append(Run(run.kind, visible[place : place + len(run.text)]))
            place += len(run.text)
        new_place += 0 if run.kind == "delete" else len(run.text)
    return runs


def _outside(body: str, text: str) -> tuple[str, ...]:
    """The lines before and after the words of a body in a text that contains them all in one piece, with ``BODY``
    between them. If the title of the body does not stand directly before the rest, it counts as a line before.
    """
    text = unicodedata.normalize("NFC", text).replace("\xad", "")
    spans = [found.span() for found in _WORD.finditer(text)]
    whole = joined([text[start:end] for start, end in spans])
    for own in (_words(body), _words(_without_title(body))):
        at = whole.find(joined(own))
        if at >= 0:
            first = whole.count(" ", 0, at)
            return (*_lines(text[: spans[first][0]]), BODY, *_lines(text[spans[first + len(own) - 1][1] :]))
    return _lines(text)


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if _words(line))


def _with_body(runs: Iterable[Run], own: Collection[str]) -> tuple[str, ...]:
    """The lines of the inserted runs, and ``BODY`` in place of the other runs that contain one of these clauses."""
    lines: list[str] = []
    for run in runs:
        if run.kind == "insert":
            lines += _lines(run.text)
        elif any(clause in joined(folded(run.text)) for clause in own):
            lines.append(BODY)
    return tuple(lines)


def long_clauses(bodies: Iterable[str]) -> set[str]:
    """The words of those lines of clauses of these bodies that have more than three, without the number of the clause.
    Headings are left out, because a table of contents repeats them.
    """
    units = (unit for body in bodies for unit in clauses.parse(body).clauses if unit.kind not in _HEADINGS)
    return {joined(found) for unit in units for line in unit.text.split("\n") if len(found := folded(line)) > 3}


def _title(body: str) -> str:
    return joined(_words(front_matter(body).title))


def _without_title(body: str) -> str:
    lines = body.split("\n")
    title = front_matter(body).line
    return "\n".join(lines[:title] + lines[title + 1 :]) if title >= 0 else body


def contained(own: str, text: str) -> tuple[str, ...] | None:
    """The lines of a text around all the words of ``own``, which it contains in one piece, with ``BODY`` in place of
    these words; ``None`` if it does not, or if ``own`` has no words. ``own`` is the plain text of a letter, or what
    :func:`readable` returned for its HTML page.
    """
    if not _words(own) or joined(_words(own)) not in joined(_words(text)):
        return None
    return _outside(own, text)


def _displayed(runs: Sequence[Run]) -> tuple[Run, ...]:
    """The runs as a page displays them: neighbours of one kind in one run, and long runs without their middle. A run of
    white space alone counts as equal. If the new text has less than half the length of the old one, ``…`` replaces each
    deleted run that is longer than half the new text.
    """
    old, new = (sum(len(run.text) for run in runs if run.kind != kind) for kind in ("insert", "delete"))
    if 2 * new < old:
        runs = [Run("equal", " … ") if run.kind == "delete" and len(run.text) > new // 2 else run for run in runs]
    runs = [run if run.text.strip() else Run("equal", run.text) for run in runs]
    merged = [
        Run(kind, "".join(run.text for run in together)) for kind, together in groupby(runs, key=attrgetter("kind"))
    ]
    return tuple(run if run.kind == "equal" else Run(run.kind, _without_middle(run.text)) for run in shortened(merged))


def _without_middle(text: str) -> str:
    found = text.split()
    if len(found) <= LONGEST_RUN:
        return text
    return " ".join([*found[: LONGEST_RUN // 2], "…", *found[-LONGEST_RUN // 2 :]])


def readable(text: str) -> str:
    """The words that a person reads in a text. Of a letter in the format of mail (``.eml``) they are those of its text
    and HTML parts; of an HTML page, or a part of one that begins with a tag, those without the markup; of JSON, the
    strings that are values, each in its own lines. Any other text is returned as it is, and so is a letter or JSON that
    can't be read or has no such words. HTML and JSON of more than ``MAX_CHARACTERS`` characters are returned as they
    are too. A letter may be longer because of its encoding.
    """
    if _MAIL.match(text):
        return _letter(text) or text
    if len(text) > MAX_CHARACTERS:
        return text
    if _HTML.match(text):
        return _page(text)
    if text.lstrip().startswith(("{", "[")):
        try:
            return "\n".join(_strings(json.loads(text))) or text
        except (ValueError, RecursionError):
            return text
    return text


def _letter(text: str) -> str:
    """The text of a letter in the format of mail: its text parts, and of an HTML part what is visible. Stylesheets are
    left out. ``""`` if the letter can't be read.
    """
    found = []
    try:
        message = message_from_bytes(text.encode(), policy=policy.default)
        for part in message.walk():
            # A page that a browser saved in one file has its styles as parts.
            if part.get_content_maintype() == "text" and part.get_content_subtype() != "css":
                content = str(part.get_content())
                found.append(_page(content) if part.get_content_subtype() == "html" else content)
    except Exception:  # For a malformed letter, the parser of the standard library raises exceptions of any kind.
        return ""
    return "\n".join(found)


def _page(page: str) -> str:
    """The visible text of an HTML page, in lines."""
    found, hidden = [], ""
    for token in _TOKEN.split(page):
        name = _NAME.match(token)
        if name and hidden:
            hidden = "" if name[0].lower() == f"</{hidden}" else hidden
        elif name and name[0][1:].lower() in {"head", "script", "style"}:
            hidden = name[0][1:].lower()
        elif not hidden:
            if token.startswith("<"):
                token = " " if _EDGE.match(token) else "" if _INLINE.fullmatch(token) else "\n"
            found.append(token)
    return html.unescape("".join(found))


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _strings(part)


def _visible(body: str) -> str:
    """The text of a body as a page displays it, in lines, without its title and without Markdown."""
    page = _TAG.sub("\n", _INLINE.sub("", clauses.parse(body).html))
    return _normalised(html.unescape(page))


def _normalised(text: str) -> str:
    """The text with composed letters (Unicode NFC), without soft hyphens, with single spaces and without empty lines.
    Marks of headings and of bold words in Markdown are removed. A number, or a letter with a bracket, at the beginning
    of a line is separated from a letter that directly follows: ``1.1.Text`` becomes ``1.1. Text``.
    """
    text = _MARK.sub("", text)
    text = _GLUED.sub(r"\1 ", unicodedata.normalize("NFC", text).replace("\xad", ""))
    return "\n".join(line for line in (" ".join(line.split()) for line in text.splitlines()) if line)


def folded(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation: letters and digits in a row."""
    return [word.casefold() for word in _words(text)]


def _words(text: str) -> list[str]:
    return _WORD.findall(unicodedata.normalize("NFC", text).replace("\xad", ""))


def joined(found: Sequence[str]) -> str:
    """The words in one text that contains the words of a piece of them, joined in the same way."""
    return f" {' '.join(found)} "


def sequences(found: Sequence[str]) -> set[tuple[str, ...]]:
    """The sequences of three words in a row."""
    return set(zip(found, found[1:], found[2:], strict=False))
