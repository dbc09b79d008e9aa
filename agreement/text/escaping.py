"""Writes words as Markdown that displays them: the inverse of the parser for words that contain its marks."""

from __future__ import annotations

import re


def escaped(words: str, *, start: bool = True) -> str:
    """The words with a backslash before backslashes and the marks of emphasis, code and links in brackets, and before
    ``#``, ``>``, ``+`` and ``-`` at the beginning of a line if a space, ``#`` or ``>`` follows on it. Numbers and
    character references are not escaped. ``start``: do the words begin their line?

    Each line loses the white space at its ends, and several spaces become one.
    """
    words = re.sub(r"([\\`*])", r"\\\1", words)
    words = re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", words)
    words = re.sub(r"\[(?=[^\]\n]*\]\()", r"\\[", words)
    lines = [re.sub(r" {2,}", " ", line.strip()) for line in words.split("\n")]
    first = 0 if start else 1
    return "\n".join(
        re.sub(r"^([#>+-])(?=[\s#>])", r"\\\1", line) if place >= first else line for place, line in enumerate(lines)
    )
