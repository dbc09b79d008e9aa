"""Code that the commands share: parsing instants, reading text files, the user of the shell, errors with a hint, and
the form in which a command prints what it was given.
"""

from __future__ import annotations

import getpass
import re
import unicodedata
from datetime import UTC, datetime
from pathlib import Path

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.utils import timezone

from agreement.text import source

#: A command prints this many characters of a value that it was given.
MAX_QUOTED = 150
_INSTANT = re.compile(
    r"\d{4}-\d\d-\d\d([T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?(Z|[+-]([01]\d|2[0-3])(:?[0-5]\d)?)?)?",
    re.ASCII | re.IGNORECASE,
)


def printable(text: str) -> str:
    """Return the text as a terminal may print it. Characters that can control a terminal or change the order of letters
    are written as escapes: ESC as ``\\x1b``, U+202E as ``\\u202e``, a line break as ``\\n``. Spaces of all kinds stay.
    """
    return "".join(
        character if character.isprintable() or unicodedata.category(character) == "Zs" else repr(character)[1:-1]
        for character in text
    )


def quote(value: str) -> str:
    """Return the value in quotation marks, with escapes as in Python, and cut to ``MAX_QUOTED`` characters."""
    return repr(value) if len(value) <= MAX_QUOTED else f"{value[:MAX_QUOTED]!r}… ({len(value):,} characters)"


def command_error(problem: str | ValidationError, hint: str = "") -> CommandError:
    """Return (not raise) the exception that ends a command with exit code 1. Its message is the problem and the hint.
    The problem of a ``ValidationError`` is all its messages, with the names of their fields if it has any. If no hint
    is given, the hint is the attribute ``hint`` of the ``ValidationError``, if it has one. Each line of
    the message is :func:`printable`. The caller cuts long values by :func:`quote`, which also escapes line breaks.
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
    text: also for one with more digits than those of a microsecond, which would be lost.
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
    future, because the facts of a future instant can still change.
    """
    at = parse_instant(typed)
    if timezone.is_naive(at):
        raise command_error(f"{quote(typed)} has no time zone.", f"Add the offset, for example {typed}+05:00.")
    if at > timezone.now():
        raise command_error(f"{quote(typed)} is in the future.", "Give an instant in the past, or leave it out.")
    return at


def read_source(name: str, *, may_be_empty: bool = False) -> str:
    """Return the text of the file ``name``, decoded and normalised by ``agreement.text.source``. Raises
    ``CommandError`` if the file can't be read, or can't be the text of an edition: it is larger than
    ``source.MAX_BYTES``, is not UTF-8, contains NUL, or contains only white space. With ``may_be_empty``, the result
    for a file without any byte but ASCII white space is ``""``.
    """
    try:
        with Path(name).open("rb") as file:
            content = file.read(source.MAX_BYTES + 1)
        return source.decode(content, name, may_be_empty=may_be_empty)
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
