"""What publishing refuses, with a code, the values and what to do about it."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _

from agreement.text import clauses, lint, seal

if TYPE_CHECKING:
    from agreement.models.editions import Edition

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
    ``not_cancellable``, ``no_draft``, ``short_notice``, ``unreadable``, ``title_differs``, ``four_eyes``.
    """

    def __init__(self, message: Any, *, code: str, hint: Any = "", **params: Any) -> None:
        super().__init__(message, code=code, params=params)
        self.hint = hint % params if hint and params else str(hint)

    def __str__(self) -> str:
        return " ".join(self.messages)


def require_draft(stored: Edition | None, key: Any) -> Edition:
    """The draft as it is stored: there is one, and nobody has published it."""
    if stored is None:
        raise EditionError(
            _("There is no draft %(id)r."),
            code="no_draft",
            hint=_("It may have been deleted; the admin recovers deleted drafts."),
            id=key,
        )
    if stored.published_at:
        raise EditionError(
            _("Edition %(number)s is published already and can't be published again."),
            code="already_published",
            hint=_("Make a new draft from it."),
            number=stored.number,
        )
    return stored


def require_clock(now: datetime, previous: Edition | None) -> None:
    """The clock does not stand before the last publication it recorded."""
    if previous and previous.recorded_at and now < previous.recorded_at:
        raise EditionError(
            _("The clock says %(now)s, but edition %(number)s was published at %(published_at)s."),
            code="clock_behind",
            hint=_("Set this machine's clock right, then publish again."),
            now=now.isoformat(),
            published_at=previous.recorded_at.isoformat(),
            number=previous.number,
        )


def require_compared(after: str | None, last: Edition | None) -> None:
    """The last edition is the one with the digest ``after``; ``None``: nobody compared."""
    digest = last.digest if last else ""
    if after is not None and after != digest:
        raise EditionError(
            _("The draft was compared with %(after)r, but the last edition is now %(last)r."),
            code="stale_comparison",
            hint=_("Compare the draft with the last edition again, then publish."),
            after=after,
            last=digest,
        )


def require_to_come(at: datetime | None, now: datetime) -> datetime:
    """The moment asked for, or now; the past is refused, and so are naive and far-fetched moments."""
    at = _moment(at, now)
    if at < now:
        raise EditionError(
            _("%(effective_from)s is past: an edition can't take effect before it is published."),
            code="backdated",
            hint=_("Leave the moment out to publish with immediate effect, or name a later one."),
            effective_from=at.isoformat(),
        )
    return at


def require_history(at: datetime, now: datetime, previous: Edition | None) -> datetime:
    """The moment asked for: it is past, and nothing but history stands before it."""
    if previous and not previous.imported:
        raise EditionError(
            _("Edition %(number)s was published here already: history can't be recorded after it."),
            code="not_history",
            hint=_("Publish the text as a new edition."),
            number=previous.number,
        )
    at = _moment(at, now)
    if at > now:
        raise EditionError(
            _("%(effective_from)s is still to come: it is not history."),
            code="not_history",
            hint=_("Publish the draft with that moment instead."),
            effective_from=at.isoformat(),
        )
    return at


def require_notice(at: datetime, now: datetime, binding: Edition | None) -> None:
    """The moment is no earlier than the edition that binds now promises its readers."""
    if binding and at < (promised := now + timedelta(days=binding.notice_days)):
        raise EditionError(
            _("%(effective_from)s is too early: edition %(number)s promises notice until %(promised)s."),
            code="short_notice",
            hint=_("Name a later moment, or write the reason for an earlier one."),
            effective_from=at.isoformat(),
            number=binding.number,
            promised=promised.isoformat(),
        )


def require_after(at: datetime, last: Edition | None) -> None:
    """The moment comes after that of the last edition that was not taken back."""
    if last and last.effective_from and at <= last.effective_from:
        raise EditionError(
            _("%(effective_from)s is not after %(last)s, when edition %(number)s takes effect."),
            code="not_after_last",
            hint=_("Name a later moment, or cancel that edition first if it has not taken effect."),
            effective_from=at.isoformat(),
            last=last.effective_from.isoformat(),
            number=last.number,
        )


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


def _moment(at: datetime | None, now: datetime) -> datetime:
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
