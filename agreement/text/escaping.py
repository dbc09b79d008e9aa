"""Writes words as Markdown that displays them, also if they contain marks of Markdown."""

from __future__ import annotations

import html
import re

from agreement.text.markdown import BULLET, COMPARISON

# What begins a block: a heading, an item of a list or a quotation.
_BLOCK = re.compile(rf"#{{1,6}}\s+\S|{BULLET}\s|(?!{COMPARISON})>(?:[>\s\"«“„]|$)")
# A line that underlines a heading, is a horizontal line, or is the second line of a table.
_UNDERLINE = re.compile(r"=+$|(?=[^-]*-)[-|:\s]+$|[*\s]+$")
# The marks at the end of a heading, which ``start=False`` may follow.
_CLOSING_HASHES = re.compile(r"(?<!\S)#(?=#*\Z)")
_BACKSLASH = re.compile(r"\\(?=[\\`*_{}\[\]()>#+.!|<=-]|$)", re.MULTILINE)
_LINK = re.compile(r"\](?=\(\s*+<?\s*+(?:https?://|mailto:|tel:|[/#.]))", re.IGNORECASE)
# What makes a link or a line break of words in angle brackets.
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_LINE_BREAK = re.compile(r"br\s{0,9}/?", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:#\d+|#x[0-9a-f]+|[0-9a-z]+);", re.IGNORECASE)
# Emphasis begins with marks that no white space and no closing punctuation follow (``markdown._Blank``).
_EMPHASIS = re.compile(r"[*_]+")
_CLOSING = re.compile(r"[\s»”)}.,;:!?…/]|\](?!\()|$")


def escaped(words: str, *, start: bool = True) -> str:
    """Markdown that displays these words.

    A backslash is written before characters that the parser could read as marks, and ``&amp;`` for the ``&`` of a
    character reference. What can't be a mark stays: «20__ г.», «_____», «Тариф*», «> 18 лет» and ``[1]`` need nothing.

    The lines of ``words`` must end with LF; those of the result do. Each line loses the white space at its ends, and
    several spaces become one. ``start``: do the words begin their line? If not, they follow a label or the mark of a
    heading, and their first line begins no block.

    Numbers and words that begin a unit of an agreement, such as ``1.1.``, ``2)`` or «Приложение 1», are not escaped.
    ``1.`` may begin an item of a list, which displays its number. The parser displays U+0000, U+0002, U+0003 and lone
    surrogates as U+FFFD.
    """
    lines = [re.sub(r" {2,}", " ", line.strip()) for line in words.split("\n")]
    words = _BACKSLASH.sub(r"\\\\", "\n".join(lines)).replace("`", "\\`")
    words = _EMPHASIS.sub(_emphasis, words)
    *bracketed, rest = _LINK.sub(r"\\]", words).split(">")
    words = "".join(f"{_opening(part)}>" for part in bracketed) + rest
    words = _ENTITY.sub(
        lambda match: match[0] if html.unescape(match[0]) == match[0] else f"&amp;{match[0][1:]}", words
    )
    first, *others = words.split("\n")
    first = _line(first) if start else _CLOSING_HASHES.sub(r"\\#", first)
    return "\n".join([first, *map(_line, others)])


def _opening(words: str) -> str:
    """The words with a backslash before each ``<`` at which a link or a line break would begin if ``>`` followed the
    words. The last ``<`` is examined first. To the parser, a ``<`` with a backslash is no bracket, so the ``<`` before
    it may then begin a link; it is examined next. The first one that begins neither, and all before it, get no
    backslash.
    """
    first, *parts = words.split("<")
    marks, mail, spaced = len(parts), False, False
    for part in reversed(parts):
        mail, spaced = mail or "@" in part, spaced or re.search(r"\s", part) is not None
        line_break = marks == len(parts) and _LINE_BREAK.fullmatch(part)
        if not (_ADDRESS.match(part) or (mail and not spaced) or line_break):
            break
        marks -= 1
    return "".join([first, *(f"<{part}" for part in parts[:marks]), *(f"\\<{part}" for part in parts[marks:])])


def _emphasis(run: re.Match[str]) -> str:
    """The marks ``*`` and ``_`` that ``run``, a match of ``_EMPHASIS``, found. Each gets a backslash if they could
    emphasise the words after them, or if the run has both kinds; otherwise none does.
    """
    marks, text = run[0], run.string
    before, after = text[max(0, run.start() - 1) : run.start()], text[run.end() : run.end() + 1]
    if len(set(marks)) == 1 and (
        _CLOSING.match(text, run.end())
        or marks.startswith("____")
        or before == after == '"'
        or (marks[0] == "_" and before.isalnum())
    ):
        return marks
    return re.sub("(.)", r"\\\1", marks)


def _line(line: str) -> str:
    if _UNDERLINE.match(line):
        return re.sub(r"[-=*]", r"\\\g<0>", line, count=1)
    return f"\\{line}" if _BLOCK.match(line) else line
