"""Composes the letter that a notice sends, as text and as HTML. :func:`letter` says what a letter contains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any
from urllib.parse import urlencode, urljoin
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse
from django.utils import timezone, translation
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from agreement import conf
from agreement.editions import redlines, timeline
from agreement.models import AcceptanceMode, Edition, Notice, NoticeKind, succession
from agreement.models.published_log import PublishedLog
from agreement.models.succession import EditionDates
from agreement.text import dates, languages
from agreement.text.redline import sentences
from agreement.text.redline.changes import Change, Redline
from agreement.text.redline.wording import inner_quotes
from agreement.text.redline.words import Run

#: Some mail programs display only about the first 100 kB of the HTML. A letter in two languages contains everything
#: twice.
MAX_HTML_BYTES = 95_000
#: The limits for one language of a letter: how many changed clauses it lists, and how many it quotes; how many
#: characters the quoted ones have together (halved until the HTML is small enough); how many characters the summaries
#: have together; and how many editions it lists (the latest ones).
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
    """An edition that the letter covers: its heading with its number and the moment from which it is in force, its
    summary, which may be shortened, and whether it changes more than the wording.
    """

    heading: str
    summary: str
    material: bool


@dataclass(frozen=True, slots=True)
class ClauseLink:
    """A changed clause in a list of clauses to which the same happened: its name (:func:`_clause_name`), the URL to
    which the link leads (:func:`_clause_url`), and what else happened to the clause (``""`` for nothing).
    """

    name: str
    url: str
    also: str


@dataclass(frozen=True, slots=True)
class ClauseList:
    """The clauses to which the same happened: a phrase for what happened, links to the first of them, at least one, and
    the number of the others, which the letter does not list.
    """

    fact: str
    links: Sequence[ClauseLink]
    more: int


@dataclass(frozen=True, slots=True)
class QuotedClause:
    """A changed clause: its printed label or, if it has none, a name for its kind (``""`` for a section without a
    printed number); phrases for what happened to it; and its words with the changes marked. Words far from a change may
    be replaced by ``…``.
    """

    label: str
    facts: str
    runs: Sequence[Run]


@dataclass(frozen=True, slots=True)
class Step:
    """What the reader can do: a sentence, and the label and the URL of a link (``""``: none)."""

    sentence: str
    label: str = ""
    url: str = ""


def letter(notice: Notice, language: str, *, since: int) -> NoticeContent:
    """Return the letter in ``kk``, ``ru`` or ``mul`` (both), with the changes since the edition with the number
    ``since``. 0 means that there is no such edition, and must be given for a cancellation; the letter then quotes no
    changes. A letter about corrections of the wording only quotes none either.

    The letter states what changed, when that takes effect, and what the reader can do. It is written as of now, or as
    of the moment when the notice is due if that is later. If another edition of the agreement is in force at that
    moment, the letter names it too. That is so if the edition of the notice has not taken effect by then, was
    cancelled, or was superseded. The HTML quotes fewer clauses if it would be longer than ``MAX_HTML_BYTES``; the text
    quotes the same ones. If a checkpoint of the log of the agreement is signed, the letter contains the newest one. A
    letter about a breach of personal data contains the words of the breach instead of the changes. Raises
    ``ImproperlyConfigured`` if the setting ``BASE_URL`` is empty or the app's URLs are not included, and ``ValueError``
    for a notice about a draft.
    """
    if notice.kind == NoticeKind.BREACH:
        return _breach_letter(notice, language)
    now = max(notice.due_at, timezone.now())
    parts = [_part(notice, code, since, now) for code in (languages.LANGUAGES if language == "mul" else (language,))]
    subject = _subject(parts)
    _add_below(parts)
    _add_checkpoint(parts, notice)
    context = {"parts": parts, "language": parts[0]["language"], "title": subject}
    html, room = "", MAX_QUOTED_CHARACTERS
    while not html or (room and len(html.encode()) > MAX_HTML_BYTES):
        room = room // 2 if html else room
        for part in parts:
            part.update(_quotations(part, room))
        html = render_to_string("agreement/mail/notice.html", context)
    texts = [render_to_string("agreement/mail/notice.txt", part) for part in parts]
    return NoticeContent(
        subject=subject if len(subject) <= 255 else subject[:254] + "…",
        text=SEPARATOR.join(_without_extra_blank_lines(text) for text in texts) + "\n",
        html=html,
    )


def _add_below(parts: Sequence[dict[str, Any]]) -> None:
    """Add ``below`` to each part of the letter except the last: a sentence in the language of the next part, which
    states that the text in this language is below.
    """
    for part, following in pairwise(parts):
        with translation.override(following["language"]):
            part["below"] = {"language": following["language"], "text": _("The English text is below.")}


def _add_checkpoint(parts: Sequence[dict[str, Any]], notice: Notice) -> None:
    """Add ``checkpoint`` and ``log_key`` to each part of the letter: the lines of the newest signed checkpoint of the
    log of the agreement, and the key that signed it; ``""`` if none is signed. The lines must stay as they are, because
    the signature covers them. 1 query.
    """
    log = PublishedLog.of(notice.edition.agreement_id)
    for part in parts:
        part["checkpoint"], part["log_key"] = (log.note.rstrip("\n"), log.keys[0]) if log else ("", "")


def _breach_letter(notice: Notice, language: str) -> NoticeContent:
    """Return the letter about a breach of personal data. It contains the day on which the breach became known, and the
    words of the breach. It names the edition of the notice if that was in force when the breach was announced and was
    not cancelled since.
    """
    edition, breach = notice.edition, notice.breach
    at, cancelled_at = edition.effective_from, edition.cancelled_at
    in_force = at is not None and at <= notice.created_at and cancelled_at is None
    parts: list[dict[str, Any]] = []
    for code in languages.LANGUAGES if language == "mul" else (language,):
        with translation.override(code):
            parts.append(
                {
                    "language": code,
                    "site": conf.site_name(code),
                    "what": _("Breach of personal data"),
                    "title": inner_quotes(" ".join(edition.text(code).title.split())),
                    "known": _("Became known: %(day)s")
                    % {"day": dates.day(breach.known_at, code, breach.agreement.time_zone)},
                    "words": breach.text(code),
                    "in_force": in_force,
                    "edition": edition,
                    "number": edition.number,
                    "edition_url": absolute("agreement:edition", edition.agreement.slug, edition.number),
                    "notices_url": absolute("agreement:notices"),
                }
            )
    what, site = (" / ".join(dict.fromkeys(part[key] for part in parts)) for key in ("what", "site"))
    subject = f"{what} — {site}" if site else what
    _add_below(parts)
    _add_checkpoint(parts, notice)
    context = {"parts": parts, "language": parts[0]["language"], "title": subject}
    texts = [_without_extra_blank_lines(render_to_string("agreement/mail/breach.txt", part)) for part in parts]
    html = render_to_string("agreement/mail/breach.html", context)
    return NoticeContent(subject=subject[:255], text=SEPARATOR.join(texts) + "\n", html=html)


def _subject(parts: Sequence[Mapping[str, str]]) -> str:
    """Return the subject: what happens, then the title, then the name of the site, if it has one. Each of the three is
    in all languages of the letter, separated by slashes; equal words occur once. What happens comes first, because a
    phone displays only the first 40 characters.
    """
    what, title, site = (" / ".join(dict.fromkeys(part[key] for part in parts)) for key in ("what", "title", "site"))
    return f"{what}: {title}" + (f" — {site}" if site else "")


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
    slug, at = edition.agreement.slug, edition.effective_from
    if at is None or edition.number is None:
        msg = f"Notice {notice.pk} is about a draft."
        raise ValueError(msg)
    base = edition.agreement.editions.published().filter(number=since).first()
    dated, known = EditionDates.from_edition(edition), timeline.fresh_timelines().agreements.get(slug)
    sealed = known.editions if known else ()
    short = succession.only_wording_changed(dated, sealed, since=since)
    grace_ends_at = known.grace_ends_at(dated) if known and base else None
    redline = redlines.sealed_redline(base, edition, language) if base else None
    covered = _covered_editions(edition, succession.covered_editions(dated, sealed, since=since))
    with translation.override(language):
        changes_url = absolute("agreement:changes", slug, edition.number)
        what = _what(notice, covered, now, language, since=since, short=short)
        part = {
            "language": language,
            "kind": notice.kind,
            "site": conf.site_name(language),
            "what": what,
            "title": inner_quotes(" ".join(edition.text(language).title.split())),
            "edition": edition,
            "number": edition.number,
            "since": since,
            "first": len(covered) == 1 and not base,
            "short": short,
            "in_force": at <= now,
            **_covered(covered, language, since),
            "redline": redline,
            "counted": redlines.sealed_summary(base, edition, language, language=language) if base else "",
            "edition_url": absolute("agreement:edition", slug, edition.number),
            "changes_url": f"{changes_url}?{urlencode({'from': since})}" if base else "",
            "editions_url": absolute("agreement:editions", slug),
            "notices_url": absolute("agreement:notices"),
        }
        others = edition.agreement.editions.in_force(now).exclude(pk=edition.pk)
        binding, upcoming = others.values_list("number", flat=True).first(), _upcoming(notice, now)
        when = _when(notice, now, language, binding, upcoming)
        if notice.kind != NoticeKind.CANCELLED and not short and grace_ends_at and grace_ends_at > now:
            last_day = dates.last_day(grace_ends_at, language, edition.agreement.time_zone)
            sentence = _("If you accepted an earlier edition, the time to accept this one ends: %(accept_by)s.")
            when.append(sentence % {"accept_by": last_day})
        else:
            grace_ends_at = None
        return {
            **part,
            "when": when,
            **_what_to_do(
                notice, now, language, binding, short=short, next_one=not upcoming, grace=bool(grace_ends_at)
            ),
        }


def _covered_editions(edition: Edition, covered: Sequence[EditionDates]) -> list[Edition]:
    """Return the editions that the letter covers, in the order of their numbers. The last one of ``covered`` is that of
    the notice, ``edition``, which is returned as it is. The earlier ones are read without their bodies, by 1 query if
    there are any.
    """
    earlier = [one.pk for one in covered[:-1]]
    rows = edition.agreement.editions.filter(pk__in=earlier).order_by("number").without_texts("body") if earlier else ()
    return [*rows, edition]


def _what(notice: Notice, covered: Sequence[Edition], now: datetime, language: str, *, since: int, short: bool) -> str:
    """Return the few words that state what happens, in some cases with a day: the first words of the subject, and the
    heading. ``covered`` are the editions that the letter covers, in the order of their numbers, and ``since`` is the
    number of the edition with which it compares the new one (0: there is none). ``now`` is the moment for which the
    letter is written. ``short``: is the letter about corrections of the wording only?

    The words contain the year of a day only if it is not that of ``now``. If several editions change more than the
    wording, the words state whether some of them are in force at ``now``, and the day on which the first of the others
    takes effect.
    """
    edition, zone = notice.edition, notice.edition.agreement.time_zone
    first = len(covered) == 1 and not since

    def day(at: datetime | None, case: dates.Case = "on") -> str:
        if at is None:
            return ""
        same_year = at.astimezone(ZoneInfo(zone)).year == now.astimezone(ZoneInfo(zone)).year
        return dates.day(at, language, zone, case, year=not same_year)

    if notice.kind == NoticeKind.CANCELLED:
        planned = day(edition.effective_from, "until")
        return _("Cancelled before it took effect") if first else _("No change on %(day)s") % {"day": planned}
    changes = covered if since else covered[1:]  # The first edition of all changes nothing.
    material = [one for one in changes if one.material] or [edition]
    coming = [day(one.effective_from) for one in material if one.effective_from and one.effective_from > now]
    if short:
        what = _("A correction of the wording only")
    elif first:
        what = (
            _("The agreement takes effect on %(day)s") % {"day": coming[0]}
            if coming
            else _("The agreement is in force from %(day)s") % {"day": day(edition.effective_from, "from")}
        )
    elif not coming:
        what = _("The terms have changed")
    elif len(coming) == len(material):
        what = _("The terms change on %(day)s") % {"day": coming[0]}
    else:
        what = _("The terms have changed, and will change again on %(day)s") % {"day": coming[0]}
    return _("%(what)s (reminder)") % {"what": what} if notice.kind == NoticeKind.REMINDER else what


def _covered(editions: Sequence[Edition], language: str, since: int) -> dict[str, Any]:
    """Return the part of the context about the editions that the letter covers, which are given in the order of their
    numbers. It describes the latest ``MAX_EDITIONS`` of them, and says so if there are more. ``since`` is the number of
    the edition with which the letter compares the new one (0: there is none, and the letter covers every edition so
    far).
    """
    listed = editions[-MAX_EDITIONS:]
    if since:
        covers = _("This letter covers every change since edition %(since)s.") % {"since": since}
    else:
        covers = _("This letter covers every edition so far.")
    if len(listed) < len(editions):
        described = _("Only the latest editions (%(listed)s) are described; the list of all editions has the others.")
        covers = f"{covers} {described % {'listed': len(listed)}}"
    return {
        "several": len(editions) > 1,
        "covers": covers,
        "covered": [_covered_edition(one, language, MAX_SUMMARY // len(listed)) for one in listed],
    }


def _covered_edition(edition: Edition, language: str, max_length: int) -> CoveredEdition:
    moment = _moment(edition.effective_from, edition, language, "from")
    heading = _("Edition %(number)s, from %(day)s, %(clock)s") % {"number": edition.number, **moment}
    summary = edition.text(language).summary.strip()
    if len(summary) > max_length:
        summary = f"{summary[:max_length].rpartition(' ')[0] or summary[:max_length]} …"
    return CoveredEdition(heading, summary, edition.material)


def _when(notice: Notice, now: datetime, language: str, binding: int | None, upcoming: Sequence[Edition]) -> list[str]:
    """Return the sentences that state when the edition takes effect, or that it was cancelled. ``binding`` is the
    number of the other edition that is in force at ``now`` (``None``: there is none); it is named too. The ``upcoming``
    editions are named in a letter about a cancellation, and in any other letter if the edition has not taken effect at
    ``now``.
    """
    edition, at = notice.edition, notice.edition.effective_from
    coming = [{"number": one.number, **_moment(one.effective_from, edition, language, "on")} for one in upcoming]
    if notice.kind == NoticeKind.CANCELLED:
        days = {
            "number": edition.number,
            "planned": _moment(at, edition, language, "on")["day"],
            "cancelled": _moment(edition.cancelled_at, edition, language, "on").get("day", ""),
        }
        return [
            _("Edition %(number)s was to take effect on %(planned)s, but was cancelled on %(cancelled)s.") % days,
            *([_("Edition %(binding)s stays in force.") % {"binding": binding}] if binding else []),
            *(_("Edition %(number)s takes effect on %(day)s, %(clock)s.") % one for one in coming),
            *_inherited(edition),
        ]
    moment = {"number": edition.number, **_moment(at, edition, language, "from" if at and at <= now else "on")}
    if at and at <= now and binding:  # A later edition was published without a notice.
        moment |= _moment(at, edition, language, "on")
        return [
            _("Edition %(number)s took effect on %(day)s, %(clock)s (%(zone)s).") % moment,
            _("Edition %(binding)s is in force now.") % {"binding": binding},
        ]
    if at and at <= now:
        return [_("Edition %(number)s is in force from %(day)s, %(clock)s (%(zone)s).") % moment]
    return [
        _("Edition %(number)s takes effect on %(day)s, %(clock)s (%(zone)s).") % moment,
        *(_("Before it, on %(day)s, %(clock)s, edition %(number)s takes effect.") % one for one in coming),
        *([_("Until then, edition %(binding)s is in force.") % {"binding": binding}] if binding else []),
    ]


def _inherited(edition: Edition) -> list[str]:
    """Return a list of one sentence, which names the edition with the lowest number that was published after the
    cancelled ``edition`` and before its cancellation, and was not cancelled: it may contain the changes of the
    cancelled one. ``[]`` if there is no such edition.
    """
    later = edition.agreement.editions.binding().filter(number__gt=edition.number)
    later = later.filter(published_at__lt=edition.cancelled_at).order_by("number")
    if (number := later.values_list("number", flat=True).first()) is None:
        return []
    sentence = _(
        "Edition %(later)s was published before the cancellation and may contain the changes of edition %(number)s."
    )
    return [sentence % {"later": number, "number": edition.number}]


def _moment(at: datetime | None, edition: Edition, language: str, case: dates.Case) -> dict[str, str]:
    """Return the placeholders ``day``, ``clock`` and ``zone`` of the moment ``at``, in the time zone of the agreement
    of ``edition``; ``{}`` if ``at`` is ``None``. ``case`` is the grammatical case of the day in Kazakh.
    """
    return dates.placeholders(at, language, edition.agreement.time_zone, case) if at else {}


def _upcoming(notice: Notice, now: datetime) -> list[Edition]:
    """Return other editions of the agreement that take effect after ``now`` and were not cancelled, without their
    texts. In a letter about a cancellation, these are all others, the one that takes effect first at the beginning. In
    any other letter, these are those with a lower number than the edition of the notice, the one that takes effect last
    at the beginning.
    """
    edition = notice.edition
    upcoming = edition.agreement.editions.binding().filter(effective_from__gt=now).exclude(pk=edition.pk)
    if notice.kind == NoticeKind.CANCELLED:
        upcoming = upcoming.order_by("effective_from")
    else:
        upcoming = upcoming.filter(number__lt=edition.number).order_by("-effective_from")
    return list(upcoming.only("number", "effective_from"))


def _what_to_do(
    notice: Notice, now: datetime, language: str, binding: int | None, *, short: bool, next_one: bool, grace: bool
) -> dict[str, Any]:
    """Return the part of the context that states what the reader can do: ``steps``, and ``button``, the label and the
    address of the page to open first. ``binding`` is the number of the other edition in force (``None``: none).
    ``short``: is the letter about corrections of the wording only? ``next_one``: does no other edition take effect
    before this one? ``grace``: do users who accepted an earlier edition still have time to accept this one?
    """
    edition, agreement, site = notice.edition, notice.edition.agreement, conf.get()
    nothing = [Step(_("You do not have to do anything."))]
    read = _("Read this edition"), absolute("agreement:edition", agreement.slug, edition.number)
    if notice.kind == NoticeKind.CANCELLED and binding:
        in_force_url = absolute("agreement:edition", agreement.slug, binding)
        return {"steps": nothing, "button": (_("Read the edition in force"), in_force_url)}
    if notice.kind == NoticeKind.CANCELLED or short:
        return {"steps": nothing, "button": read}
    accept = _("Read and accept"), absolute("agreement:accept", agreement.slug)
    button, in_force = read, edition.effective_from is not None and edition.effective_from <= now
    if agreement.acceptance_mode == AcceptanceMode.BY_USE:
        sentence = (
            _("You do not have to confirm anything: by using the site, you accept this edition.")
            if in_force
            else _(
                "You do not have to confirm anything: by using the site from %(day)s on, you accept edition %(number)s."
            )
            % {"number": edition.number, **_moment(edition.effective_from, edition, language, "from")}
        )
    elif agreement.acceptance_mode == AcceptanceMode.ELSEWHERE:
        sentence = _("If your confirmation is needed, the site asks for it.")
    elif in_force and grace:
        button = accept
        sentence = _(
            "If you have not accepted this edition yet, the site asks you on your next visit. If you accepted an"
            " earlier edition, it asks you only when the time to accept ends."
        )
    elif in_force:
        sentence, button = _("If you have not accepted this edition yet, the site asks you on your next visit."), accept
    elif site.ACCEPT_ANNOUNCED and site.SHOW_SCHEDULED and next_one:
        button = accept
        sentence = (
            _(
                "You can accept this edition now. After it takes effect, the site asks you to accept it. If you"
                " accepted an earlier edition, the site asks you only when the time to accept ends."
            )
            if grace
            else _("You can accept this edition now. After that moment, the site asks you to accept it.")
        )
    elif grace:
        sentence = _(
            "After this edition takes effect, the site asks you to accept it. You can continue only after you answer."
            " If you accepted an earlier edition, the site asks you only when the time to accept ends."
        )
    else:
        sentence = _(
            "After that moment, the site asks you to accept this edition. You can continue only after you answer."
        )
    steps = [Step(sentence)]
    disagree = {
        "ended": _("If you do not agree, you can withdraw your consent to data processing: the agreement then ends."),
        "suspended": _(
            "If you do not agree, you can withdraw your consent to data processing: the agreement is then suspended."
        ),
    }.get(
        site.FILE_WITHDRAWALS,
        _(
            "If you do not agree, you can stop using the site, or withdraw your consent to data processing by a"
            " written application."
        ),
    )
    label = (
        _("Withdraw my consent to data processing")
        if site.FILE_WITHDRAWALS
        else _("How to withdraw consent to data processing")
    )
    steps.append(Step(disagree, label, absolute("agreement:withdraw")))
    return {"steps": steps, "button": button}


def _quotations(part: Mapping[str, Any], room: int) -> dict[str, Any]:
    """Return the part of the context about the changed clauses. ``part`` is the rest of the context.

    ``clauses`` are the lists of clauses (:func:`_clause_lists`), and ``renumbered`` is a line with the clauses of which
    only the number changed. The lists together and the line each contain at most one clause for each 100 characters of
    ``room``, and the lists at most ``MAX_CLAUSES``, but each list and the line contain at least one. A list states how
    many others it leaves out, and ``more_renumbered`` is their number for the line. Items that keep their label in a
    renumbered clause are in neither.

    ``quoted`` and ``plain`` are the changed clauses that fit into ``room`` characters, as objects and as plain text,
    without those of which only the number changed, and ``left_out`` is the number of the others. In a short letter,
    which is about corrections of the wording, these three are empty or 0, and ``clauses`` and ``renumbered`` are as in
    any other. All are empty, false or 0 if there is no redline, or if no clause changed otherwise than in its number.
    """
    redline, language, most = part["redline"], part["language"], max(room // 100, 1)
    changed = redline.changed if redline else ()
    reworded = [change for change in changed if not _renumbered(change)]
    quoted = [] if part["short"] else _that_fit(reworded, room)
    pairs = filter(None, map(_renumbered, changed)) if reworded else ()
    renumbered = [f"{old} → {new}" for old, new in pairs if old != new]
    return {
        "clauses": _clause_lists(reworded, part, min(most, MAX_CLAUSES)),
        "quoted": [_quoted_clause(change, language) for change in quoted],
        "plain": sentences.plain_text(Redline(tuple(quoted)), language, brief=True).strip() if quoted else "",
        "left_out": 0 if part["short"] else len(reworded) - len(quoted),
        "renumbered": ", ".join(renumbered[:most]),
        "more_renumbered": len(renumbered[most:]),
    }


def _clause_lists(changes: Sequence[Change], part: Mapping[str, Any], most: int) -> list[ClauseList]:
    """Return the changed clauses in one list for each fact, with at most ``most`` clauses in all lists together, but at
    least one in each. The lists of changed clauses come first, then those of added and of deleted ones, so these are
    cut first. ``part`` is the context of the letter in one language.
    """
    language = part["language"]
    groups: dict[str, list[Change]] = {}
    for change in sorted(changes, key=lambda change: (change.deleted, change.inserted)):
        fact = sentences.describe(change, sentences.facts(change)[0], language, heading=True)
        groups.setdefault(capfirst(fact), []).append(change)
    found: list[ClauseList] = []
    for place, (fact, group) in enumerate(groups.items(), start=1):
        count = max(most - (len(groups) - place), 1)
        links = [_clause_link(change, part) for change in group[:count]]
        most -= len(links)
        found.append(ClauseList(fact, links, len(group) - len(links)))
    return found


def _clause_link(change: Change, part: Mapping[str, Any]) -> ClauseLink:
    others = [sentences.describe(change, other, part["language"]) for other in sentences.facts(change)[1:]]
    also = "; ".join(other.rstrip(".") for other in others)
    return ClauseLink(_clause_name(change, part["language"]), _clause_url(change, part), also)


def _clause_name(change: Change, language: str) -> str:
    """Return the label of the clause without dots at its end, such as ``1.1``. For an item, a unit of an appendix, or a
    unit with a number that is not printed, return its place, such as ``1.1, 2)``. If it has neither label nor number,
    return a name for its kind, or ``""`` if the kind has none.
    """
    unit = change.unit
    if unit.label and not unit.number.startswith("a") and "-" not in unit.number:
        return unit.label.rstrip(".")
    return sentences.place(unit, language) if unit.number else sentences.PHRASES[language].get(unit.kind, "")


def _clause_url(change: Change, part: Mapping[str, Any]) -> str:
    """Return the URL of the clause in the edition of the letter; of a deleted clause, that of its row in the
    comparative table. If the clause has no anchor there, it is the URL of the page of the edition, or of the
    comparative table, without an anchor. ``part`` is the context of the letter in one language.
    """
    if change.deleted:
        return f"{part['changes_url']}#was-{change.unit.number}" if change.unit.number else part["changes_url"]
    return f"{part['edition_url']}#{change.unit.anchor}" if change.unit.anchor else part["edition_url"]


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
    """Return the old and the new label, such as 4.1 and 4.2, without dots at their end, if nothing but the number of
    the clause changed and it has a label in both editions, else ``None``. They are equal for an item ``1)`` of a clause
    that was renumbered.
    """
    old, new = (unit.label.rstrip(".") if unit else "" for unit in (change.old, change.new))
    return (old, new) if old and new and sentences.facts(change) == ("renumbered",) else None


def _quoted_clause(change: Change, language: str) -> QuotedClause:
    words, unit = sentences.PHRASES[language], change.unit
    facts = [sentences.describe(change, fact, language) for fact in sentences.facts(change)]
    runs: list[Run] = []
    for run in sentences.shortened(change.words):
        if run.kind == "insert" and runs and runs[-1].kind == "delete":
            runs.append(Run("equal", " "))  # Without it, "4.2" and "4.3" would read as "4.24.3".
        runs.append(run)
    return QuotedClause(unit.label or words.get(unit.kind, ""), "; ".join(facts), runs)


def absolute(view: str, *args: object) -> str:
    """Return the absolute URL of a view of the app, such as ``"agreement:edition"`` with the arguments of its path, in
    the active language or, if the site has no such page in it, in the first of its languages that has one.

    Raises ``ImproperlyConfigured`` if the site has no ``BASE_URL`` or does not include the app's URLs.
    """
    base = conf.get().BASE_URL
    if not base:
        msg = 'AGREEMENT["BASE_URL"] is empty: a notice needs the site\'s address, "https://portal.example.kz".'
        raise ImproperlyConfigured(msg)
    for language in (translation.get_language(), *dict(settings.LANGUAGES)):
        with translation.override(language), suppress(NoReverseMatch):
            return urljoin(base, reverse(view, args=args))
    msg = 'The agreement\'s pages have no address: add path("agreements/", include("agreement.urls")).'
    raise ImproperlyConfigured(msg)
