"""Code that the commands share: parsing instants, reading text files, the user of the shell, and errors with a hint."""

from __future__ import annotations

import getpass
from datetime import datetime
from pathlib import Path

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from agreement.text import source


def command_error(problem: str | ValidationError, hint: str = "") -> CommandError:
    """Return (not raise) the exception that ends a command with exit code 1. Its message is the problem and the hint.
    The problem of a ``ValidationError`` is all its messages, with the names of their fields if it has any. If no hint
    is given, the hint is the attribute ``hint`` of the ``ValidationError``, if it has one.
    """
    if isinstance(problem, ValidationError):
        hint = hint or str(getattr(problem, "hint", ""))
        problem = (
            " ".join(f"{field}: {' '.join(messages)}" for field, messages in problem.message_dict.items())
            if hasattr(problem, "error_dict")
            else " ".join(problem.messages)
        )
    return CommandError(f"{problem} {hint}".strip())


def shell_user() -> str:
    """Return the name of the operating system account that runs the command, followed by "(shell)"; ``""`` if it is
    unknown. Environment variables such as ``LOGNAME`` take precedence, as in ``getpass.getuser()``.
    """
    try:
        return f"{getpass.getuser()} (shell)"
    except (OSError, KeyError):
        return ""


def parse_instant(typed: str) -> datetime:
    """Parse an ISO 8601 instant, as Django's ``parse_datetime`` does. A date alone is its midnight. Without an offset
    the result is naive; the caller must refuse that. Raises ``CommandError`` for a text that is not an instant.
    """
    try:
        at = parse_datetime(typed)
    except ValueError:
        at = None
    if at is None:
        raise command_error(f"{typed!r} is not an instant.", "Write it as 2026-03-01T09:00:00+05:00.")
    return at


def parse_past_instant(typed: str) -> datetime:
    """Parse an ISO 8601 instant with an offset, and return it with that offset. Raises ``CommandError`` for a text that
    is not an instant, for an instant without an offset, and for an instant in the future, because the facts of a future
    instant can still change.
    """
    at = parse_instant(typed)
    if timezone.is_naive(at):
        raise command_error(f"{typed!r} has no time zone.", f"Add the offset, for example {typed}+05:00.")
    if at > timezone.now():
        raise command_error(f"{typed!r} is in the future.", "Give an instant in the past, or leave it out.")
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
        return "" if may_be_empty and not content.strip() else source.decode(content, name)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise command_error(
            f"{name!r} can't be read: {reason}.", "Check the name and the permissions of the file."
        ) from None
    except source.SourceError as error:
        raise command_error(str(error), error.hint) from None
