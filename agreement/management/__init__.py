"""What the commands share: instants as they are typed, and refusals as one sentence and a hint."""

from __future__ import annotations

import getpass
from datetime import datetime

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.utils import timezone
from django.utils.dateparse import parse_datetime


def refusal(problem: str | ValidationError, hint: str = "") -> CommandError:
    """The error a command ends with, exit code 1: what is wrong, then what to do about it."""
    if isinstance(problem, ValidationError):
        hint = hint or str(getattr(problem, "hint", ""))
        problem = (
            " ".join(f"{field}: {' '.join(messages)}" for field, messages in problem.message_dict.items())
            if hasattr(problem, "error_dict")
            else " ".join(problem.messages)
        )
    return CommandError(f"{problem} {hint}".strip())


def whose_shell() -> str:
    """Who runs the command, as the machine knows them; ``""`` if it does not."""
    try:
        return f"{getpass.getuser()} (shell)"
    except (OSError, KeyError):
        return ""


def instant(typed: str) -> datetime:
    """An ISO 8601 instant; without an offset it stays naive, for the verb to refuse."""
    try:
        at = parse_datetime(typed)
    except ValueError:
        at = None
    if at is None:
        raise refusal(f"{typed!r} is not an instant.", "Write it as 2026-03-01T09:00:00+05:00.")
    return at


def past_instant(typed: str) -> datetime:
    """An ISO 8601 instant that has come, with its offset: what happened until then never changes."""
    at = instant(typed)
    if timezone.is_naive(at):
        raise refusal(f"{typed!r} has no time zone.", f"Add the offset, for example {typed}+05:00.")
    if at > timezone.now():
        raise refusal(f"{typed!r} is still to come.", "Name an instant that has passed, or leave it out.")
    return at
