"""Composes the letter that a notice sends, as text and as HTML. :func:`letter` says what a letter contains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urljoin

from django.core.exceptions import ImproperlyConfigured
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from agreement import conf
from agreement.editions import redlines, timeline
from agreement.models import Edition, Notice, NoticeKind, succession
from agreement.models.succession import EditionDates
from agreement.text import dates, languages
from agreement.text.redline import sentences
from agreement.text.redline.changes import Change, Redline
from agreement.text.redline.words import Run

#: Some mail programs display only about the first 100 kB of the HTML. A letter in two languages contains everything
#: twice.
MAX_HTML_BYTES = 95_000
#: The limits for one language of a letter: how many clauses it quotes, how many characters they have together (halved
#: until the HTML is small enough), how many characters the summaries have together, and how many editions it lists (the
#: latest ones).
MAX_CLAUSES, MAX_QUOTED_CHARACTERS, MAX_SUMMARY, MAX_EDITIONS = 40, 12_000, 4_000, 20
SEPARATOR = f"\n\n{' '.join('—' * 20)}\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeContent:
    """The content of a message: its subject, plain text and HTML (``""`` if the channel has none)."""

    subject: str
    text: str
    html: str = ""


@dataclass(frozen=True, slots=True)
class CoveredEdition:
    """An edition that the letter covers: its number, when it takes effect (a phrase), the editor's summary, which may
    be shortened, and whether it changes more than the wording.
    """

    number: int
    effective_from: str
    summary: str
    material: bool


@dataclass(frozen=True, slots=True)
class QuotedClause:
    """A changed clause: its number (or a name for its kind, if it has none), phrases for what happened to it, and its
    words with the changes marked. Words far from a change may be replaced by ``…``.
    """

    label: str
    facts: str
    runs: Sequence[Run]


def letter(notice: Notice, language: str, *, since: int) -> NoticeContent:
    """Return the letter in ``kk``, ``ru`` or ``mul`` (both), with the changes since the edition with the number
    ``since``. 0 means that there is no such edition; the letter then quotes no changes. A letter about a cancellation,
    or about corrections of the wording only, quotes none either.

    Except in a letter about a cancellation, it states since when or from when its edition is in force, as of now, or as
    of the moment when the notice is due if that is later. If its edition has not taken effect by then, or was
    cancelled, the letter also names the edition that is in force, if there is one. The HTML quotes fewer clauses if it
    would be longer than ``MAX_HTML_BYTES``; the text quotes the same ones. Raises ``ImproperlyConfigured`` if the
    site's address is not configured or the app's URLs are not included, and ``ValueError`` for a notice about a draft.
    """
    now = max(notice.due_at, timezone.now())
    parts = [_part(notice, code, since, now) for code in (languages.LANGUAGES if language == "mul" else (language,))]
    subject = " / ".join(dict.fromkeys(part["subject"] for part in parts))
    for part in parts:  # Keep a number sign and its number on one line.
        part["heading"] = part["subject"].replace("№ ", "№\N{NO-BREAK SPACE}")
    context = {"parts": parts, "language": parts[0]["language"], "title": parts[0]["subject"]}
    html, room = "", MAX_QUOTED_CHARACTERS
    while not html or (room and len(html.encode()) > MAX_HTML_BYTES):
        room = room // 2 if html else room
        for part in parts:
            part.update(_quotations(part["redline"], part["language"], room, short=part["short"]))
        html = render_to_string("agreement/mail/notice.html", context)
    texts = [render_to_string("agreement/mail/notice.txt", part) for part in parts]
    return NoticeContent(
        subject=subject if len(subject) <= 255 else subject[:254] + "…",
        text=SEPARATOR.join(_without_extra_blank_lines(text) for text in texts) + "\n",
        html=html,
    )


def _without_extra_blank_lines(text: str) -> str:
    """Return the text with one blank line instead of several, which the ``{% if %}`` tags of the template leave. Blank
    lines at the beginning and the end, and white space at the end of lines, are removed too.
    """
    lines = [line.rstrip() for line in text.strip().splitlines()]
    return "\n".join(line for number, line in enumerate(lines) if line or lines[number - 1])


def _part(notice: Notice, language: str, since: int, now: datetime) -> dict[str, Any]:
    """Return the template context for one language of the letter, without the quotations of clauses. ``since`` is the
    number of the edition with which the letter compares the new one (0: there is none), and ``now`` the moment for
    which the letter is written. Raises ``ValueError`` for a notice about a draft, and ``ImproperlyConfigured`` as
    :func:`absolute` does.
    """
    edition = notice.edition
    slug, zone, at = edition.agreement.slug, edition.agreement.time_zone, edition.effective_from
    if at is None or edition.number is None:
        msg = f"Notice {notice.pk} is about a draft."
        raise ValueError(msg)
    base = edition.agreement.editions.published().filter(number=since).first()
    dated, known = EditionDates.from_edition(edition), timeline.fresh_timelines().agreements.get(slug)
    sealed = known.editions if known else ()
    short = succession.only_wording_changed(dated, sealed, since=since)
    redline = redlines.sealed_redline(base, edition, language) if base else None
    title = " ".join(edition.text(language).title.split())
    with translation.override(language):
        changes_url = absolute("agreement:changes", slug, edition.number)
        return {
            "language": language,
            "kind": notice.kind,
            "subject": _subject(notice, title, at, zone, language, short=short),
            "document": title,
            "edition": edition,
            "number": edition.number,
            "short": short,
            "effective_on": dates.instant(at, language, zone, case="on"),
            "cancelled_on": edition.cancelled_at and dates.instant(edition.cancelled_at, language, zone, case="on"),
            **_in_force(notice, at, now, language),
            **_covered(edition, succession.covered_editions(dated, sealed, since=since), language),
            "since": since,
            **_inherited(notice),
            "redline": redline,
            "counted": sentences.summary(redline, language) if redline else "",
            "edition_url": absolute("agreement:edition", slug, edition.number),
            "changes_url": f"{changes_url}?{urlencode({'from': since})}" if base else "",
            "editions_url": absolute("agreement:editions", slug),
        }


def _in_force(notice: Notice, at: datetime, now: datetime, language: str) -> dict[str, Any]:
    """Return the part of the context that states whether the edition has taken effect by ``now``, the moment for which
    the letter is written, which other edition is in force then (``None``: no other one) or takes effect later
    (:func:`_upcoming`), and whether the edition was ``superseded``. An edition may be superseded before its letter is
    written by one that was published without a notice. ``at`` is when the edition takes effect; whether it was
    cancelled is not considered.
    """
    edition = notice.edition
    others = edition.agreement.editions.in_force(now).exclude(pk=edition.pk)
    return {
        "in_force": at <= now,
        "superseded": at <= now and others.filter(number__gt=edition.number).exists(),
        "effective_from": dates.instant(at, language, edition.agreement.time_zone, case="from"),
        "in_force_number": others.values_list("number", flat=True).first(),
        "upcoming": _upcoming(notice, now, language),
    }


def _inherited(notice: Notice) -> dict[str, Any]:
    """Return the part of the context that states, in a letter about a cancellation, which later edition was published
    before the cancellation and may therefore contain the changes of the cancelled one: the number of the first such
    edition that was not cancelled, or ``None``. In any other letter it is ``None``.
    """
    edition, number = notice.edition, None
    if notice.kind == NoticeKind.CANCELLED:
        later = edition.agreement.editions.binding().filter(number__gt=edition.number)
        later = later.filter(published_at__lt=edition.cancelled_at).order_by("number")
        number = later.values_list("number", flat=True).first()
    return {"inherited": number}


def _covered(edition: Edition, covered: Sequence[EditionDates], language: str) -> dict[str, Any]:
    """Return the part of the context about the editions that the letter covers, of which ``edition``, that of the
    notice, is the last. It describes the latest ``MAX_EDITIONS`` of them, in the order of their numbers. 1 query if it
    covers several.
    """
    listed = [one.pk for one in covered[-MAX_EDITIONS:-1]]
    earlier = edition.agreement.editions.filter(pk__in=listed).order_by("number") if listed else ()
    editions = [*earlier, edition]
    return {
        "several": len(covered) > 1,
        "covered": [_covered_edition(one, language, MAX_SUMMARY // len(editions)) for one in editions],
    }


def _subject(notice: Notice, title: str, at: datetime, zone: str, language: str, *, short: bool) -> str:
    number, kind = notice.edition.number, notice.kind
    if kind == NoticeKind.CANCELLED:
        return _("%(title)s: edition %(number)s will not take effect") % {"title": title, "number": number}
    if kind == NoticeKind.REMINDER:
        day = dates.day(at, language, zone, case="on")
        return _("%(title)s: edition %(number)s takes effect on %(day)s") % {
            "title": title,
            "number": number,
            "day": day,
        }
    if short:
        return _("%(title)s: corrections, edition %(number)s") % {"title": title, "number": number}
    return _("New edition of “%(title)s”: edition %(number)s") % {"title": title, "number": number}


def _upcoming(notice: Notice, now: datetime, language: str) -> list[tuple[int | None, str]]:
    """Return the number and the moment, as a phrase, of other editions of the agreement that take effect after ``now``
    and were not cancelled. The number is never ``None``, because published editions have one. In a letter about a
    cancellation, these are all others, in the order in which they take effect. In any other letter, these are the
    editions with a lower number, in the opposite order.
    """
    edition, zone = notice.edition, notice.edition.agreement.time_zone
    upcoming = edition.agreement.editions.binding().filter(effective_from__gt=now).exclude(pk=edition.pk)
    if notice.kind == NoticeKind.CANCELLED:
        upcoming = upcoming.order_by("effective_from")
    else:
        upcoming = upcoming.filter(number__lt=edition.number).order_by("-effective_from")
    rows = upcoming.values_list("number", "effective_from")
    return [(number, dates.instant(at, language, zone, case="on")) for number, at in rows if at]


def _covered_edition(edition: Edition, language: str, max_length: int) -> CoveredEdition:
    at, zone = edition.effective_from, edition.agreement.time_zone
    effective_from = dates.instant(at, language, zone, case="from") if at else ""
    summary = edition.text(language).summary.strip()
    if len(summary) > max_length:
        summary = f"{summary[:max_length].rpartition(' ')[0] or summary[:max_length]} …"
    return CoveredEdition(edition.number or 0, effective_from, summary, edition.material)


def _quotations(redline: Redline | None, language: str, room: int, *, short: bool) -> dict[str, Any]:
    """Return the part of the context about the changed clauses: those that fit into ``room`` characters, as objects and
    as plain text, the number of changed clauses that are left out, and a line with the clauses of which only the number
    changed. If no clause changed otherwise, that line is empty. It contains at most one clause for each 100 characters
    of ``room``, then ``…``. Items that keep their label in a renumbered clause are in neither. A ``short`` letter,
    which is about corrections of the wording, quotes nothing, and neither does a letter without a redline.
    """
    changed = redline.changed if redline and not short else ()
    reworded = [change for change in changed if not _renumbered(change)]
    quoted = _that_fit(reworded, room)
    pairs = filter(None, map(_renumbered, changed)) if reworded else ()
    renumbered = [f"{old} → {new}" for old, new in pairs if old != new]
    most = room // 100
    return {
        "quoted": [_quoted_clause(change, language) for change in quoted],
        "plain": sentences.plain_text(Redline(tuple(quoted)), language, brief=True).strip() if quoted else "",
        "left_out": len(reworded) - len(quoted),
        "renumbered": ", ".join([*renumbered[:most], *(["…"] if len(renumbered) > most else [])]),
    }


def _that_fit(changes: Sequence[Change], room: int) -> list[Change]:
    """Return the changed clauses that fit into ``room`` characters after shortening, in the same order, at most
    ``MAX_CLAUSES`` of them. If one clause is too long, shorter ones after it may still fit.
    """
    fitting: list[Change] = []
    for change in changes:
        size = sum(len(run.text) for run in sentences.shortened(change.words))
        if size <= room and len(fitting) < MAX_CLAUSES:
            fitting.append(change)
            room -= size
    return fitting


def _renumbered(change: Change) -> tuple[str, str] | None:
    """Return the old and the new label, such as 4.1 and 4.2, if nothing but the number of the clause changed and it has
    a label in both editions, else ``None``. They are equal for an item ``1)`` of a clause that was renumbered.
    """
    old, new = (unit.label.rstrip(".") if unit else "" for unit in (change.old, change.new))
    return (old, new) if old and new and sentences.facts(change) == ("renumbered",) else None


def _quoted_clause(change: Change, language: str) -> QuotedClause:
    words, unit = sentences.PHRASES[language], change.unit
    was = change.old.label if change.old else ""
    facts = [
        words["unnumbered" if fact == "renumbered" and not was else fact].format(was=was)
        for fact in sentences.facts(change)
    ]
    runs: list[Run] = []
    for run in sentences.shortened(change.words):
        if run.kind == "insert" and runs and runs[-1].kind == "delete":
            runs.append(Run("equal", " "))  # Without it, "4.2" and "4.3" would read as "4.24.3".
        runs.append(run)
    return QuotedClause(unit.label or words.get(unit.kind, ""), "; ".join(facts), runs)


def absolute(view: str, *args: object) -> str:
    """Return the absolute URL of a view of the app, such as ``"agreement:edition"`` with the arguments of its path, in
    the active language.

    Raises ``ImproperlyConfigured`` if the site has no ``BASE_URL`` or does not include the app's URLs.
    """
    base = conf.get().BASE_URL
    if not base:
        msg = 'AGREEMENT["BASE_URL"] is empty: a notice needs the site\'s address, "https://portal.example.kz".'
        raise ImproperlyConfigured(msg)
    try:
        return urljoin(base, reverse(view, args=args))
    except NoReverseMatch:
        msg = 'The agreement\'s pages have no address: add path("agreements/", include("agreement.urls")).'
        raise ImproperlyConfigured(msg) from None
