"""Finds tables that have the text in Kazakh and in Russian beside each other, each in columns of its own."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import Any  # For the elements of lxml, which python-docx gives without types.

from agreement.text.languages import LANGUAGES, recognise
from agreement.word.elements import W, integer, value

#: The most columns of a table in Word. A cell that claims to span more could fill the memory.
MAX_COLUMNS = 63
#: A column is one of the text if it has this share of the characters of its table, and the tables of the text together
#: have this share of those of the file.
_COLUMN, _FILE = 0.15, 0.6
#: How many times longer the column of one language may be than that of the other.
_RATIO = 3


@dataclass(frozen=True, slots=True)
class LanguageColumns:
    """The columns of a table with the text in several languages. ``languages`` maps the index of the first column of
    each text, from 0, to the language of the text: ``kk``, ``ru``, or ``""`` if it is not recognised. ``width`` is the
    number of columns.
    """

    languages: dict[int, str]
    width: int

    def language(self, cell: Any, first: int, columns: int) -> str | None:
        """The language of a cell that begins at the column ``first`` and spans ``columns`` columns; ``None`` if it
        belongs to all texts. Its words decide. If they do not show the language, a cell of the whole width belongs to
        all texts. Any other one belongs to the last text of ``languages`` that begins at its column or before, or to
        the first text if there is none; this language may be ``""``.
        """
        if known := recognise(text(cell)):
            return known
        if first == 0 and columns >= self.width:
            return None
        return self.languages[max((it for it in self.languages if it <= first), default=min(self.languages))]


def language_tables(body: Any) -> dict[Any, LanguageColumns]:
    """The tables directly in the body that have a text in Kazakh and in Russian beside each other, each with its
    columns. One of the two texts may be at most three times as long as the other. Empty if these tables together
    contain less than 60 % of the characters of the body.
    """
    found = {table: columns for table in body.iterchildren(f"{W}tbl") if (columns := _language_columns(table))}
    most = sum(len(text(table)) for table in found) >= _FILE * len(text(body)) if found else False
    return found if most else {}


def span(cell: Any) -> int:
    """How many columns of the table the cell spans, from 1 to ``MAX_COLUMNS``."""
    return integer(value(cell, f"{W}tcPr/{W}gridSpan"), MAX_COLUMNS) or 1


def text(element: Any) -> str:
    """The characters of all elements ``w:t`` below the element, without regard to how they are displayed."""
    return "".join(it.text or "" for it in element.iter(f"{W}t"))


def _language_columns(table: Any) -> LanguageColumns | None:
    texts: defaultdict[int, list[str]] = defaultdict(list)
    width = 0
    for row in table.iterchildren(f"{W}tr"):
        first = integer(value(row, f"{W}trPr/{W}gridBefore"), MAX_COLUMNS) or 0
        for cell in row.iterchildren(f"{W}tc"):
            texts[first].append(text(cell))
            first += span(cell)
        width = max(width, first)
    columns = {first: "".join(parts) for first, parts in sorted(texts.items())}
    total = sum(map(len, columns.values()))
    languages = {first: recognise(column) for first, column in columns.items() if len(column) > _COLUMN * total}
    sizes = sorted(len(columns[first]) for first, language in languages.items() if language)
    one_each = sorted(filter(None, languages.values())) == sorted(LANGUAGES)
    alike = all(larger <= _RATIO * smaller for smaller, larger in pairwise(sizes))
    return LanguageColumns(languages, width) if one_each and alike else None
