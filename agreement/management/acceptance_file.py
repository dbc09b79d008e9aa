"""The file of the command ``import_acceptances``: :func:`read_rows` reads it, and :class:`Staging` stores its lines
until all of them are checked and recorded. The import from another package (``peer_import``) uses :class:`Staging` too.
"""

from __future__ import annotations

import csv
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import datetime
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path
from typing import Protocol, Self, TextIO

from django.contrib.auth import get_user_model

from agreement.management import command_error, quote, unreadable
from agreement.models import HistoricAcceptance

#: How a file in UTF-8 may begin; Excel writes it.
BYTE_ORDER_MARK = "\ufeff"
COLUMNS = ("user", "edition", "at", "language")
#: No valid line has more characters. Without a limit, a file without line ends would fill the memory.
MAX_LINE = 10_000
#: So many lines are looked up together, and recorded in one transaction. It takes a fraction of a second.
BATCH = 1_000
#: The pause after each batch on SQLite. A process that waits to write tries again every tenth of a second; without a
#: pause, it could find the database locked each time.
SQLITE_PAUSE_SECONDS = 0.1


class Digest(Protocol):
    """An object that computes a digest, like the result of ``hashlib.sha256()``."""

    def update(self, content: bytes, /) -> None: ...


def read_rows(name: str, digest: Digest) -> Iterator[tuple[int, dict[str, str] | None]]:
    """Yield a pair for each row after the first line of the CSV file: the number of the line in which it begins, and
    its cells by column, without spaces and tabs around them, or ``None`` if it has more or fewer cells than the first
    line. Empty lines are left out. The language is ``""`` if its column, or its cell at the end of the row, is missing.
    Cells are separated by commas, or by semicolons as Excel writes them in many countries; the first line decides. The
    bytes that were read are added to ``digest``.

    Raises ``CommandError``, perhaps after some rows, if the file can't be read as CSV in UTF-8, has no row after the
    first line, or its first line does not name the columns ``COLUMNS``, each once; the language may be left out.
    """
    start = 1
    try:
        with Path(name).open(encoding="utf-8", newline="") as file:
            lines = _lines(file, digest)
            first = next(lines, "").removeprefix(BYTE_ORDER_MARK)
            delimiter = ";" if ";" in first and "," not in first else ","
            reader = csv.reader(chain([first], lines), strict=True, delimiter=delimiter)
            columns = next(reader)
            if not {"user", "edition", "at"} <= set(columns) <= set(COLUMNS) or len(set(columns)) < len(columns):
                problem = f"The first line of {quote(name)} is {quote(delimiter.join(columns))}."
                hint = f"It must name the columns: {','.join(COLUMNS)} (the last may be left out)."
                raise command_error(problem, hint)
            optional = columns[-1] == "language"
            any_row = False
            while (start := reader.line_num + 1) and (cells := next(reader, None)) is not None:
                if cells:
                    any_row = True
                    complete = len(cells) == len(columns) or (optional and len(cells) == len(columns) - 1)
                    row = dict(zip(columns, (cell.strip(" \t") for cell in cells), strict=False))
                    yield start, {"language": "", **row} if complete else None
            if not any_row:
                raise command_error(f"{quote(name)} has no line after the first.", "Add a line for each acceptance.")
    except UnicodeDecodeError:
        hint = "In Excel, choose “CSV UTF-8” as the format of the file."
        raise command_error(f"{quote(name)} is not UTF-8.", hint) from None
    except csv.Error as error:
        raise command_error(f"Line {start}: {error}.", "Give a CSV file, with each acceptance in a line.") from None
    except (OSError, ValueError) as error:
        raise unreadable(name, error) from None


def _lines(file: TextIO, digest: Digest) -> Iterator[str]:
    """Yield the lines of the file, and add each to ``digest``. Raises ``csv.Error`` for one that is longer than
    ``MAX_LINE``.
    """
    while line := file.readline(MAX_LINE + 1):
        digest.update(line.encode())
        if len(line) > MAX_LINE:
            msg = f"it is longer than {MAX_LINE:,} characters"
            raise csv.Error(msg)
        yield line


class Staging:
    """The valid lines of a file, and sentences about the wrong ones.

    They are in a temporary database of SQLite, so that the memory does not grow with the file. The database has no
    name, and is deleted when it is closed or the process ends. The valid lines name users by their primary keys; a
    sentence about a wrong line may quote the file.
    """

    def __init__(self, unit: str = "Line") -> None:
        #: What the numbers count: the first word of each sentence.
        self._unit = unit
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.executescript(
            "BEGIN; CREATE TABLE line (number INTEGER, user TEXT, edition INTEGER, language TEXT, at TEXT);"
            "CREATE TABLE error (number INTEGER, sentence TEXT);"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._database.close()

    def add(self, lines: Iterable[tuple[int, HistoricAcceptance]]) -> None:
        """Add valid lines, each with its number."""
        rows = ((number, str(row.user), row.edition, row.language, row.at.isoformat()) for number, row in lines)
        self._database.executemany("INSERT INTO line VALUES (?, ?, ?, ?, ?)", rows)

    def add_errors(self, errors: Iterable[tuple[int, str]]) -> None:
        """Add sentences that state why a line is wrong, each with the number of the line."""
        self._database.executemany("INSERT INTO error VALUES (?, ?)", errors)

    def count(self) -> int:
        """Return the number of lines that :meth:`add` added, also of those for which an error was added later."""
        return self._number("SELECT COUNT(*) FROM line")

    def errors(self, most: int) -> tuple[int, list[str]]:
        """Return how many sentences :meth:`add_errors` added, and the first ``most`` of them in the order of the lines,
        each with the number of its line.
        """
        with closing(self._database.execute("SELECT * FROM error ORDER BY number LIMIT ?", [most])) as rows:
            sentences = [f"{self._unit} {number}: {sentence}" for number, sentence in rows]
        return self._number("SELECT COUNT(*) FROM error"), sentences

    def batches(self) -> Iterator[tuple[list[int], list[HistoricAcceptance]]]:
        """Yield the lines that :meth:`add` added in batches, as the numbers of the lines and their acceptances. All
        lines of a user are in one batch, in the order of the file. A batch ends with the user with whom it has at least
        ``BATCH`` lines.
        """
        to_key = get_user_model()._meta.pk.to_python
        numbers: list[int] = []
        acceptances: list[HistoricAcceptance] = []
        lines = self._database.execute("SELECT user, number, edition, language, at FROM line ORDER BY user, number")
        for user, of_user in groupby(lines, key=itemgetter(0)):
            key = to_key(user)
            for _user, number, edition, language, at in of_user:
                numbers.append(number)
                acceptances.append(
                    HistoricAcceptance(user=key, edition=edition, language=language, at=datetime.fromisoformat(at))
                )
            if len(numbers) >= BATCH:
                yield numbers, acceptances
                numbers, acceptances = [], []
        if numbers:
            yield numbers, acceptances

    def _number(self, query: str) -> int:
        (number,) = self._database.execute(query).fetchone()
        return int(number)
