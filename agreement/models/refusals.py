"""What publishing refuses, with a code, the values and what to do about it."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _

from agreement.text import clauses, lint, seal

#: The fields that are written once in each language.
TEXTS = ("title", "approval", "summary", "body")

#: Between these an edition may take effect; beyond them dates overflow somewhere between here and a reader.
EARLIEST = datetime(1991, 1, 1, tzinfo=UTC)
FARTHEST = timedelta(days=3653)
#: The most an edition may state: beyond it no date could be computed, and what is sealed can't be mended.
MOST = {"notice_days": 3650, "retention_years": 1000}


class EditionError(ValidationError):
    """A refusal to publish, record or cancel. ``code`` names the rule, ``params`` the values, ``hint`` what to do.

    Codes: ``already_published``, ``missing_language``, ``unparallel``, ``duplicate_number``, ``naive_time``,
    ``backdated``, ``out_of_range``, ``not_after_last``, ``clock_behind``, ``stale_comparison``, ``not_history``,
    ``not_cancellable``, ``no_draft``, ``unreadable``, ``title_differs``, ``four_eyes``.
    """

    def __init__(self, message: Any, *, code: str, hint: Any = "", **params: Any) -> None:
        super().__init__(message, code=code, params=params)
        self.hint = hint % params if hint and params else str(hint)

    def __str__(self) -> str:
        return " ".join(self.messages)


def moment(at: datetime | None, now: datetime) -> datetime:
    """The moment asked for, or now; naive and far-fetched ones are refused."""
    if at is None:
        return now
    if timezone.is_naive(at):
        raise EditionError(
            _("%(at)s has no time zone."),
            code="naive_time",
            hint=_("Add the offset, for example %(at)s+05:00."),
            at=at.isoformat(),
        )
    if not EARLIEST <= at <= now + FARTHEST:
        raise EditionError(
            _("%(at)s is out of range: not before 1991 and not in more than ten years."),
            code="out_of_range",
            hint=_("Is the year right?"),
            at=at.isoformat(),
        )
    return at


def require_publishable(texts: Mapping[str, seal.Text]) -> None:
    """Both languages, readable, titled by their first line, and without what the lint calls an error.

    Raises :class:`EditionError`: ``missing_language``, ``unreadable``, ``title_differs``, ``unparallel`` or
    ``duplicate_number``.
    """
    empty = [
        f"{name}_{language}"
        for language, text in texts.items()
        for name in ("title", "body")
        if not getattr(text, name).strip()
    ]
    if empty:
        raise EditionError(
            _("Both languages are published together, but %(fields)s is empty."),
            code="missing_language",
            hint=_("Write the missing text, then publish."),
            fields=", ".join(empty),
        )
    for language, text in texts.items():
        for name in TEXTS:
            _require_readable(getattr(text, name), f"{name}_{language}")
        if text.title != clauses.title_line(text.body):
            raise EditionError(
                _("The title %(title)r is not the first line of the text, which a page prints it for."),
                code="title_differs",
                hint=_("Make %(field)s and the first line of the text equal, at most 255 characters long."),
                title=text.title,
                field=f"title_{language}",
            )
    if found := lint.errors({language: text.body for language, text in texts.items()}):
        _refuse(found)


def _refuse(found: tuple[lint.Message, ...]) -> None:
    """What the lint calls an error is what publishing refuses: one refusal for all of its first kind."""
    first = found[0]
    code = lint.CODES[first.id]
    # What stands in one language only; where nothing does, the place where the order or the count differs.
    differ = list(dict.fromkeys(message.clause for message in found if lint.CODES[message.id] == "unparallel"))
    if differ:
        raise EditionError(
            _("The Kazakh and Russian texts have different clauses: %(clauses)s."),
            code="unparallel",
            hint=_("Give every clause of one language its counterpart in the other, with the same number."),
            clauses=", ".join(filter(None, differ)) or gettext("a number occurs more often in one of them"),
        )
    spoken = (get_language() or "en").partition("-")[0]
    raise EditionError(first.sentence(spoken), code=code, hint=first.hint(spoken))


def _require_readable(text: str, name: str) -> None:
    """NUL ends a text in PostgreSQL, a lone surrogate has no bytes, and tools differ in how they write the other
    control characters of a manifest.
    """
    short = not name.startswith(("summary", "body"))
    for char in text:
        control = unicodedata.category(char) == "Cc" and char != "\t" and (short or char != "\n")
        if (control and not name.startswith("body")) or char == "\x00" or "\ud800" <= char <= "\udfff":
            raise EditionError(
                _("%(field)s holds the character %(char)r, which has no place in a text."),
                code="unreadable",
                hint=_("Delete the character."),
                field=name,
                char=char,
            )
