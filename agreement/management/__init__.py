"""What the commands share: reading typed instants and text files, and errors of one sentence and a hint."""

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
    """The error that ends a command with exit code 1: what is wrong, then what to do."""
    if isinstance(problem, ValidationError):
        hint = hint or str(getattr(problem, "hint", ""))
        problem = (
            " ".join(f"{field}: {' '.join(messages)}" for field, messages in problem.message_dict.items())
            if hasattr(problem, "error_dict")
            else " ".join(problem.messages)
        )
    return CommandError(f"{problem} {hint}".strip())


def shell_user() -> str:
    """The name of the account that runs the command; ``""`` if the machine does not know it."""
    try:
        return f"{getpass.getuser()} (shell)"
    except (OSError, KeyError):
        return ""


def parse_instant(typed: str) -> datetime:
    """An ISO 8601 instant. Without an offset it is naive, and the caller refuses it."""
    try:
        at = parse_datetime(typed)
    except ValueError:
        at = None
    if at is None:
        raise command_error(f"{typed!r} is not an instant.", "Write it as 2026-03-01T09:00:00+05:00.")
    return at


def parse_past_instant(typed: str) -> datetime:
    """An ISO 8601 instant with its offset, which must have passed: what happened until then never changes."""
    at = parse_instant(typed)
    if timezone.is_naive(at):
        raise command_error(f"{typed!r} has no time zone.", f"Add the offset, for example {typed}+05:00.")
    if at > timezone.now():
        raise command_error(f"{typed!r} is still to come.", "Name an instant that has passed, or leave it out.")
    return at


def read_source(name: str, *, may_be_empty: bool = False) -> str:
    """The text of the file called ``name``, by the rule of ``agreement.text.source``. Raises ``CommandError``."""
    try:
        with Path(name).open("rb") as file:
            content = file.read(source.MAX_BYTES + 1)
        return "" if may_be_empty and not content.strip() else source.decode(content, name)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise command_error(f"{name!r} can't be read: {reason}.", "Check the file's name and rights.") from None
    except source.SourceError as error:
        raise command_error(str(error), error.hint) from None
