"""Code that the commands share: parsing instants, reading files, the user of the shell, errors with a hint, and the
form in which a command prints what it was given.
"""

from __future__ import annotations

import getpass
import re
import unicodedata
from argparse import ArgumentParser
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.utils import timezone

from agreement.text import languages, source
from agreement.word import files

#: A command prints this many characters of a value that it was given.
MAX_QUOTED = 150
_INSTANT = re.compile(
    r"\d{4}-\d\d-\d\d([T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?(Z|[+-]([01]\d|2[0-3])(:?[0-5]\d)?)?)?",
    re.ASCII | re.IGNORECASE,
)


def printable(text: str) -> str:
    """Return the text as a terminal may print it. Characters that Python counts as not printable, such as those that
    can control a terminal or change the order of letters, are written as escapes: ESC as ``\\x1b``, U+202E as
    ``\\u202e``, a line break as ``\\n``. Spaces (Unicode category Zs) stay.
    """
    return "".join(
        character if character.isprintable() or unicodedata.category(character) == "Zs" else repr(character)[1:-1]
        for character in text
    )


def quote(value: str) -> str:
    """Return the value in quotation marks, with escapes as in Python. A value of more than ``MAX_QUOTED`` characters is
    cut, and its length follows.
    """
    return repr(value) if len(value) <= MAX_QUOTED else f"{value[:MAX_QUOTED]!r}… ({len(value):,} characters)"


def command_error(problem: str | ValidationError, hint: str = "") -> CommandError:
    """Return (not raise) the exception that ends a command with exit code 1. Its message is the problem and the hint.
    The problem of a ``ValidationError`` is all its messages, with the names of their fields if it has any. If no hint
    is given, the hint is the attribute ``hint`` of the ``ValidationError``, if it has one. Each line of the message is
    :func:`printable`. The caller cuts long values by :func:`quote`, which also escapes line breaks.
    """
    if isinstance(problem, ValidationError):
        hint = hint or str(getattr(problem, "hint", ""))
        problem = (
            " ".join(f"{field}: {' '.join(messages)}" for field, messages in problem.message_dict.items())
            if hasattr(problem, "error_dict")
            else " ".join(problem.messages)
        )
    lines = f"{problem} {hint}".strip().split("\n")
    return CommandError("\n".join(printable(line) for line in lines))


def shell_user() -> str:
    """Return the name of the operating system account that runs the command, followed by "(shell)"; ``""`` if it is
    unknown. Environment variables such as ``LOGNAME`` take precedence, as in ``getpass.getuser()``.
    """
    try:
        return f"{getpass.getuser()} (shell)"
    except (OSError, KeyError):
        return ""


def parse_instant(typed: str) -> datetime:
    """Parse an instant in the form of RFC 3339, and return it with its offset. As databases write it, there may be a
    space before the time, the offset may have no colon or no minutes, and the time no seconds. A date alone is its
    midnight. Without an offset the result is naive; the caller must refuse that. Raises ``CommandError`` for any other
    text, such as one with more than six decimal places.
    """
    try:
        if not _INSTANT.fullmatch(typed):
            raise ValueError
        at = datetime.fromisoformat(typed.upper())
        if at.tzinfo:
            at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise command_error(f"{quote(typed)} is not an instant.", "Write it as 2026-03-01T09:00:00+05:00.") from None
    return at


def parse_past_instant(typed: str) -> datetime:
    """Parse an instant with an offset, as :func:`parse_instant`, and return it with that offset. Raises
    ``CommandError`` for a text that is not an instant, for an instant without an offset, and for an instant in the
    future, because the state at a future instant can still change.
    """
    at = parse_instant(typed)
    if timezone.is_naive(at):
        raise command_error(f"{quote(typed)} has no time zone.", f"Add the offset, for example {typed}+05:00.")
    if at > timezone.now():
        raise command_error(f"{quote(typed)} is in the future.", "Give an instant in the past, or leave it out.")
    return at


def add_file_options(parser: ArgumentParser) -> None:
    """Add the options ``--changes`` and ``--encoding``, which become arguments of :func:`read_texts`, to the parser of
    a command.
    """
    parser.add_argument(
        "--changes",
        choices=("accept", "reject"),
        help="the tracked changes of Word files: accept all, or reject all; required if there are any",
    )
    parser.add_argument(
        "--encoding",
        choices=("UTF-8", "UTF-16", "UTF-16LE", "UTF-16BE", *source.ENCODINGS),
        default="UTF-8",
        help="the encoding of text files that are not in UTF-8 (default: such files are refused)",
    )


def read_texts(
    names: Mapping[str, str], *, changes: str | None = None, encoding: str = "UTF-8", may_be_empty: bool = False
) -> tuple[dict[str, str], list[str]]:
    """Return the texts of these files by language, and lines about what was changed or left out, and about automatic
    numbers that Word may print differently, so that a person compares them with the document. ``names`` maps each
    language to the name of a Word file or a text file. It may be empty; then both results are empty.

    ``changes`` is ``accept`` or ``reject``: which text a file with tracked changes has. Passages that are struck out by
    hand count as tracked deletions. ``encoding`` is used for text files that are not in UTF-8. A text file with nothing
    but white space is refused; with ``may_be_empty`` its text is ``""``.

    Raises ``CommandError`` if a file can't be read or is refused (``word.files.read_file``), if ``changes`` is ``None``
    and tracked changes give a file two different texts, and if each text is in the language of the other one.
    """
    texts, lines = {}, []
    for language, name in names.items():
        file = _read(name, language=language, encoding=encoding, may_be_empty=may_be_empty)
        manuscript = file.manuscript
        if manuscript.accepted != manuscript.rejected and changes is None:
            kinds = {
                "tracked insertions": manuscript.insertions,
                "tracked deletions": manuscript.deletions,
                "tracked changes of formatting": manuscript.restyled,
                "passages struck out by hand": manuscript.struck,
            }
            counts = " and ".join(f"{count} {kind}" for kind, count in kinds.items() if count)
            raise command_error(f"{quote(name)} has {counts}.", "Add --changes accept or --changes reject.")
        texts[language] = manuscript.rejected if changes == "reject" else manuscript.accepted
        sentences = [
            *file.changed(),
            *(
                f"Compare this number with the document: {number or '?'} {words}"
                for number, words in manuscript.uncertain
            ),
            *(": ".join((f"{kind} ({count})", *notes)) for kind, notes, count in file.left_out()),
        ]
        lines += [f"{quote(name)}: {sentence}" for sentence in sentences]
    if languages.swapped(texts):
        raise command_error(
            "The files are swapped: the Kazakh text is in Russian, and the Russian text is in Kazakh.",
            "Exchange the two file names.",
        )
    return texts, lines


def _read(name: str, *, language: str, encoding: str, may_be_empty: bool) -> files.ReadFile:
    try:
        with Path(name).open("rb") as file:
            content = file.read(files.MAX_BYTES + 1)
        return files.read_file(content, quote(name), language=language, encoding=encoding, may_be_empty=may_be_empty)
    except source.EncodingError as error:
        raise command_error(str(error), f"{error.hint} Or add --encoding {error.encoding}.") from None
    except files.NotInstalledError:
        raise command_error(
            f"{quote(name)} is a Word file, and the extra docx, which reads it, is not installed.",
            'Install the extra, from where the app was installed: pip install "/path/to/clone[docx]".',
        ) from None
    except source.SourceError as error:
        raise command_error(str(error), error.hint) from None
    except (OSError, ValueError) as error:
        raise unreadable(name, error) from None


def unreadable(name: str, error: OSError | ValueError) -> CommandError:
    """Return (not raise) the exception for a file that can't be opened or read. A ``ValueError`` comes from a name with
    NUL.
    """
    reason = (getattr(error, "strerror", None) or str(error)).lower()
    return command_error(f"{quote(name)} can't be read: {reason}.", "Check the name and the permissions of the file.")
