"""What a publication or a record of history requires. Each function whose name begins with ``require_`` raises
:class:`EditionError`, with the code that its docstring names.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from agreement.conf import active_language
from agreement.models.audit import AuditEntry, By
from agreement.models.errors import TEXT_FIELDS, EditionError, field_label
from agreement.seal import manifest
from agreement.text import clauses, dates
from agreement.text.lint import rules
from agreement.text.lint.messages import Message

if TYPE_CHECKING:
    from agreement.models.editions import Edition


#: An edition may take effect from this moment until ``MAX_AHEAD`` from now. Other dates overflow in some programs.
MIN_EFFECTIVE_FROM = datetime(1991, 1, 1, tzinfo=UTC)


MAX_AHEAD = timedelta(days=3653)


def require_draft(stored: Edition | None, key: object) -> Edition:
    """The stored draft. Refuse if ``stored`` is ``None`` (``no_draft``) or published (``already_published``). ``key``
    is the primary key of the draft, for the message.
    """
    if stored is None:
        raise EditionError(
            _("There is no draft %(id)r."),
            code="no_draft",
            hint=_("It may have been deleted. You can recover deleted drafts in the admin."),
            id=key,
        )
    if stored.published_at:
        raise EditionError(
            _("Edition %(number)s is already published and can't be published again."),
            code="already_published",
            hint=_("Create a new draft from it."),
            number=stored.number,
        )
    return stored


def require_clock(now: datetime, previous: Edition | None) -> None:
    """Refuse if ``now`` is earlier than the moment at which the last sealed edition, ``previous``, was recorded
    (``clock_behind``). Then the clock is wrong. If ``previous`` is ``None``, nothing is refused.
    """
    if previous and previous.recorded_at and now < previous.recorded_at:
        raise EditionError(
            _("The clock shows %(now)s, but edition %(number)s was published at %(published_at)s."),
            code="clock_behind",
            hint=_("Correct the clock of the server, then publish again."),
            now=_in_words(now, previous),
            published_at=_in_words(previous.recorded_at, previous),
            number=previous.number,
        )


def require_current_comparison(compared_with: str | None, last: Edition | None) -> None:
    """Refuse if the last edition that was not cancelled, ``last``, does not have the digest ``compared_with``
    (``stale_comparison``).

    ``last`` is ``None`` if there is no such edition. ``compared_with=""`` means that the draft was compared with none.
    ``None`` means that the draft was not compared; then nothing is refused.
    """
    digest = last.digest if last else ""
    if compared_with is not None and compared_with != digest:
        raise EditionError(
            _("Another edition was published or cancelled after the draft was compared."),
            code="stale_comparison",
            hint=_("Compare the draft with the last edition again, then publish."),
            after=compared_with,
            last=digest,
        )


def require_future(at: datetime | None, now: datetime, draft: Edition) -> datetime:
    """The given moment, at which the draft is to take effect; ``now`` if it is ``None``. Refuse a moment without a time
    zone (``naive_time``), one before 1991 or more than ``MAX_AHEAD`` after now (both ``out_of_range``), and any other
    moment before ``now`` (``backdated``). The message states the moment in the time zone of the agreement of ``draft``.
    """
    at = _moment(at, now, draft)
    if at < now:
        raise EditionError(
            _("%(effective_from)s is in the past: an edition can't take effect before it is published."),
            code="backdated",
            hint=_("Give a later moment. If you give no moment, the edition takes effect immediately."),
            effective_from=_in_words(at, draft),
        )
    return at


def require_history(at: datetime, now: datetime, previous: Edition | None, draft: Edition) -> datetime:
    """The given moment of history, at which the draft took effect. Refuse if ``previous``, the last sealed edition
    (``None``: there is none), is not imported history (``not_history``). Refuse a moment without a time zone
    (``naive_time``), one before 1991 or more than ``MAX_AHEAD`` after now (both ``out_of_range``), and any other moment
    after ``now`` (``not_history``). Whether it is after the effect of the last edition is not checked here.
    """
    if previous and not previous.imported:
        raise EditionError(
            _("Edition %(number)s was already published on this site. Earlier history can't be recorded after it."),
            code="not_history",
            hint=_("Publish the text as a new edition."),
            number=previous.number,
        )
    at = _moment(at, now, draft)
    if at > now:
        raise EditionError(
            _("%(effective_from)s is in the future, but history must be in the past."),
            code="not_history",
            hint=_("Publish the draft with this moment instead."),
            effective_from=_in_words(at, draft),
        )
    return at


def require_notice_period(at: datetime, now: datetime, binding: Edition | None) -> None:
    """Refuse a moment that is less than ``binding.notice_days`` after now (``short_notice``). ``binding`` is the
    edition in force; if it is ``None``, nothing is refused. The caller does not call this if the publisher gave a
    reason for an earlier moment.
    """
    if binding and at < (earliest := now + timedelta(days=binding.notice_days)):
        raise EditionError(
            _("%(effective_from)s is too early. The earliest moment that edition %(number)s allows is %(earliest)s."),
            code="short_notice",
            hint=_("Choose a later moment, or give the reason for the earlier one."),
            effective_from=_in_words(at, binding),
            number=binding.number,
            earliest=_in_words(earliest, binding),
        )


def require_after_last(at: datetime, last: Edition | None) -> None:
    """Refuse a moment that is not after the effect of ``last``, the last edition that was not cancelled
    (``not_after_last``). If ``last`` is ``None``, nothing is refused.
    """
    if last and last.effective_from and at <= last.effective_from:
        raise EditionError(
            _("%(effective_from)s is not later than %(last)s, when edition %(number)s takes effect."),
            code="not_after_last",
            hint=_("Choose a later moment, or first cancel that edition if it has not taken effect."),
            effective_from=_in_words(at, last),
            last=_in_words(last.effective_from, last),
            number=last.number,
        )


def require_publishable(texts: Mapping[str, manifest.EditionText]) -> None:
    """Refuse texts (by language) if a title or body is empty or blank, if a text contains an unreadable character, if a
    title is not the title line of its body (``clauses.title_line``), or if the lint finds errors. Warnings and the
    site's own rules refuse nothing. If there are several reasons, only one of them is raised.

    The codes are ``missing_language``, ``unreadable``, ``title_differs``, ``unparallel`` and ``duplicate_number``.
    """
    empty = [
        f"{name}_{language}"
        for language, text in texts.items()
        for name in ("title", "body")
        if not getattr(text, name).strip()
    ]
    if empty:
        raise EditionError(
            _("Both languages are published together, but these fields are empty: %(fields)s."),
            code="missing_language",
            hint=_("Write the missing texts, then publish."),
            fields="; ".join(str(field_label(name)) for name in empty),
        )
    for language, text in texts.items():
        for name in TEXT_FIELDS:
            _require_readable(getattr(text, name), f"{name}_{language}")
        if text.title != clauses.title_line(text.body):
            raise EditionError(
                _(
                    "The title “%(title)s” differs from the title line of the text. A page prints the title in place"
                    " of that line."
                ),
                code="title_differs",
                hint=_(
                    "Make the field “%(field)s” equal to the title line of the text. It can have at most 255"
                    " characters."
                ),
                title=text.title,
                field=str(field_label(f"title_{language}")),
            )
    if found := rules.errors({language: text.body for language, text in texts.items()}):
        _refuse(found)


def _in_words(at: datetime, edition: Edition) -> str:
    """The moment in words of the active language, in the zone of the agreement of the edition. 1 query if the agreement
    is not loaded. A moment in the last hours of the calendar, which the zone may not have, is written in ISO 8601.
    """
    try:
        return dates.instant(at, active_language(), edition.agreement.time_zone)
    except OverflowError:
        return at.isoformat()


def _moment(at: datetime | None, now: datetime, draft: Edition) -> datetime:
    """The given moment; ``now`` if it is ``None``. Refuse if the moment has no time zone (``naive_time``), is before
    ``MIN_EFFECTIVE_FROM`` or is more than ``MAX_AHEAD`` after now (both ``out_of_range``).
    """
    if at is None:
        return now
    if timezone.is_naive(at):
        raise EditionError(
            _("%(at)s has no time zone."),
            code="naive_time",
            hint=_("Add the offset, for example %(at)s+05:00."),
            at=at.isoformat(),
        )
    if not MIN_EFFECTIVE_FROM <= at <= now + MAX_AHEAD:
        raise EditionError(
            _("%(at)s is out of range: it must not be before 1991 or more than ten years ahead."),
            code="out_of_range",
            hint=_("Check the year."),
            at=_in_words(at, draft),
        )
    return at


def _refuse(found: tuple[Message, ...]) -> None:
    """Refuse because of these lint errors, at least one. If any has the code ``unparallel``, the refusal has this code
    and names the clauses of all errors with this code. Otherwise it is about the first error and has its code.
    """
    first = found[0]
    code = rules.CODES[first.id]
    # The clauses that are in one language only, or the place where the order or the count differs.
    differ = list(dict.fromkeys(_clauses(message) for message in found if rules.CODES[message.id] == "unparallel"))
    if differ:
        raise EditionError(
            _("The Kazakh and Russian texts have different clauses: %(clauses)s."),
            code="unparallel",
            hint=_("Every clause in one language needs a clause with the same number in the other."),
            clauses=", ".join(filter(None, differ)) or gettext("a number occurs more often in one of them"),
        )
    language = active_language()
    raise EditionError(first.sentence(language), code=code, hint=first.hint(language))


def _clauses(message: Message) -> str:
    """The number of the clause of the message; ``""`` if it is about none. If the message is about several clauses in a
    row, their first and last numbers, with a dash if there are others between them, otherwise with a comma.
    """
    return (" – " if message.count > 2 else ", ").join(filter(None, (message.clause, message.last_clause)))


def _require_readable(text: str, name: str) -> None:
    """Refuse a text with a character that can't be stored, or that programs write in different ways (``unreadable``).
    ``name`` is the name of its field.

    In every text these are NUL, which PostgreSQL can't store, and lone surrogates, which UTF-8 can't encode. In a text
    that is not a body they are also the other control characters, except a tab, and except a line feed in a summary.
    Programs write those in different ways in a manifest.
    """
    short = not name.startswith(("summary", "body"))
    for char in text:
        control = unicodedata.category(char) == "Cc" and char != "\t" and (short or char != "\n")
        if (control and not name.startswith("body")) or char == "\x00" or "\ud800" <= char <= "\udfff":
            raise EditionError(
                _("The field “%(field)s” contains the character %(char)r, which is not allowed in a text."),
                code="unreadable",
                hint=_("Delete the character."),
                field=str(field_label(name)),
                char=char,
            )


def require_second_person(edition: models.Model, by: By, *, using: str) -> None:
    """Refuse if the publisher ``by`` is not an account, or is the account of the last author of the draft
    (``four_eyes``). If the audit log names no account as the last author, no account is refused. 1 query.
    """
    last = AuditEntry.objects.using(using).last_author(edition)
    account = "" if by is None or isinstance(by, str) else str(by.pk or "")
    if account and (last is None or last.account != account):
        return
    raise EditionError(
        _("Two people are needed to publish this draft: %(author)s was the last to edit it."),
        code="four_eyes",
        hint=_("Ask another person to read both texts and publish the draft."),
        author=(last and last.by) or "—",
    )
