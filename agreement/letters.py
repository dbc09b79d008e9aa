"""The words of a notice as a letter: what each template is given, in one language, about one edition.

What a letter says: what happened and when it takes effect, in the editor's words what changed, the changed clauses,
where to read it all, the digest. It covers every edition since the last one its reader was told of.
"""

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

from agreement import comparison, conf, dates, gate
from agreement.lineage import Dated
from agreement.models import Edition, Notice
from agreement.text import rendering, table
from agreement.text.redline import Change, Redline
from agreement.text.words import Run

#: Mail programs cut a letter off at about 100 kB of HTML, and one in two languages has everything twice.
MOST_BYTES = 95_000
#: What a language of a letter holds at most: clauses quoted and their characters, which become fewer where their HTML
#: is larger than that; the editor's characters; editions listed, the latest.
CLAUSES, CHARACTERS, SUMMARY, EDITIONS = 40, 12_000, 4_000, 20
SEPARATOR = f"\n\n{' '.join('—' * 20)}\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """The words of a notice in one language."""

    subject: str
    text: str
    html: str = ""


@dataclass(frozen=True, slots=True)
class News:
    """An edition the letter covers: its number, from when it binds, the editor's words about it."""

    number: int | None
    effective_from: str
    summary: str


@dataclass(frozen=True, slots=True)
class Quoted:
    """A changed clause: its number, what is true of it, its words."""

    label: str
    facts: str
    runs: Sequence[Run]


def letter(notice: Notice, language: str, *, since: int) -> Said:
    """The letter in ``kk``, ``ru`` or ``mul`` (both), told from the edition ``since`` (0: the first there is).

    It speaks of the moment at which it is made, or at which it is due if that is later.
    """
    now = max(notice.due_at, timezone.now())
    parts = [_part(notice, one, since, now) for one in (conf.LANGUAGES if language == "mul" else (language,))]
    subject = " / ".join(dict.fromkeys(part["subject"] for part in parts))
    for part in parts:  # A number stands beside its sign.
        part["heading"] = part["subject"].replace("№ ", "№\N{NO-BREAK SPACE}")
    context = {"parts": parts, "language": parts[0]["language"], "title": parts[0]["subject"]}
    html, room = "", CHARACTERS
    while not html or (room and len(html.encode()) > MOST_BYTES):
        room = room // 2 if html else room
        for part in parts:
            part.update(_quotations(part["redline"], part["language"], room, short=part["short"]))
        html = render_to_string("agreement/mail/notice.html", context)
    texts = [render_to_string("agreement/mail/notice.txt", part) for part in parts]
    return Said(
        subject=subject if len(subject) <= 255 else subject[:254] + "…",
        text=SEPARATOR.join(_tidy(text) for text in texts) + "\n",
        html=html,
    )


def _tidy(text: str) -> str:
    """Without the blank lines the template's conditions leave behind."""
    lines = [line.rstrip() for line in text.strip().splitlines()]
    return "\n".join(line for number, line in enumerate(lines) if line or lines[number - 1])


def _part(notice: Notice, language: str, since: int, now: datetime) -> dict[str, Any]:
    """What the templates say in one language."""
    edition = notice.edition
    slug, zone = edition.agreement.slug, edition.agreement.time_zone
    at = edition.effective_from
    if at is None or edition.number is None:
        msg = f"Notice {notice.pk} is about a draft."
        raise ValueError(msg)
    editions = edition.agreement.editions
    news = [*editions.binding().filter(number__gt=since, number__lt=edition.number).order_by("number"), edition]
    old = editions.published().filter(number=since).first()
    binds = editions.in_force(now).exclude(pk=edition.pk).values_list("number", flat=True).first()
    held = gate.fresh().agreements[slug].holding(Dated.of(edition)) if old else ()
    short = any(one.number == since for one in held)
    redline = comparison.redline(old, edition, language) if old else None
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
            "in_force": at <= now,
            "effective_from": dates.instant(at, language, zone, case="from"),
            "effective_on": dates.instant(at, language, zone, case="on"),
            "cancelled_on": edition.cancelled_at and dates.instant(edition.cancelled_at, language, zone, case="on"),
            "coming": _coming(notice, now, language),
            "binds": binds,
            "since": since,
            "several": len(news) > 1,
            "news": [_news(one, language, SUMMARY // len(news[-EDITIONS:])) for one in news[-EDITIONS:]],
            "redline": redline,
            "counted": rendering.summary(redline, language) if redline else "",
            "edition_url": absolute("agreement:edition", slug, edition.number),
            "changes_url": f"{changes_url}?{urlencode({'from': since})}" if old else "",
            "editions_url": absolute("agreement:editions", slug),
        }


def _subject(notice: Notice, title: str, at: Any, zone: str, language: str, *, short: bool) -> str:
    number, kind = notice.edition.number, notice.kind
    if kind == Notice.Kind.CANCELLED:
        return _("%(title)s: edition %(number)s will not take effect") % {"title": title, "number": number}
    if kind == Notice.Kind.REMINDER:
        day = dates.day(at, language, zone, case="on")
        return _("%(title)s: edition %(number)s takes effect on %(day)s") % {
            "title": title,
            "number": number,
            "day": day,
        }
    if short:
        return _("%(title)s: corrections, edition %(number)s") % {"title": title, "number": number}
    return _("New edition of “%(title)s”: edition %(number)s") % {"title": title, "number": number}


def _coming(notice: Notice, now: datetime, language: str) -> list[tuple[int | None, str]]:
    """The other editions still to take effect, with the moment: of a new one those before it, the last first; of a
    cancelled one all, the next first.
    """
    edition, zone = notice.edition, notice.edition.agreement.time_zone
    coming = edition.agreement.editions.binding().filter(effective_from__gt=now).exclude(pk=edition.pk)
    if notice.kind == Notice.Kind.CANCELLED:
        coming = coming.order_by("effective_from")
    else:
        coming = coming.filter(number__lt=edition.number).order_by("-effective_from")
    rows = coming.values_list("number", "effective_from")
    return [(number, dates.instant(at, language, zone, case="on")) for number, at in rows]


def _news(edition: Edition, language: str, most: int) -> News:
    at, zone = edition.effective_from, edition.agreement.time_zone
    since = dates.instant(at, language, zone, case="from") if at else ""
    summary = edition.text(language).summary.strip()
    if len(summary) > most:
        summary = f"{summary[:most].rpartition(' ')[0] or summary[:most]} …"
    return News(edition.number, since, summary)


def _quotations(redline: Redline | None, language: str, room: int, *, short: bool) -> dict[str, Any]:
    """The changed clauses, as far as so many characters hold them; a short letter has none."""
    changed = redline.changed if redline and not short else ()
    told = [change for change in changed if not _renumbered(change)]
    shown = _shown(told, room)
    renumbered = [*filter(None, map(_renumbered, changed))] if told else []
    most = room // 100
    return {
        "quoted": [_quoted(change, language) for change in shown],
        "plain": rendering.plain(Redline(tuple(shown)), language, brief=True).strip() if shown else "",
        "left_out": len(told) - len(shown),
        "renumbered": ", ".join([*renumbered[:most], *(["…"] if len(renumbered) > most else [])]),
    }


def _shown(changes: Sequence[Change], room: int) -> list[Change]:
    """The changed clauses as far as a letter holds them; one that is too long hides no other."""
    shown: list[Change] = []
    for change in changes:
        size = sum(len(run.text) for run in rendering.shortened(change.words))
        if size <= room and len(shown) < CLAUSES:
            shown.append(change)
            room -= size
    return shown


def _renumbered(change: Change) -> str:
    """``4.1 → 4.2`` of a clause whose number alone changed: its words are no news; else ``""``."""
    old, new = (unit.label.rstrip(".") if unit else "" for unit in (change.old, change.new))
    return f"{old} → {new}" if old and new and rendering.facts(change) == ("renumbered",) else ""


def _quoted(change: Change, language: str) -> Quoted:
    words, it = rendering.WORDS[language], table.unit(change)
    was = change.old.label if change.old else ""
    facts = [
        words["unnumbered" if fact == "renumbered" and not was else fact].format(was=was)
        for fact in rendering.facts(change)
    ]
    runs: list[Run] = []
    for run in rendering.shortened(change.words):
        if run.kind == "insert" and runs and runs[-1].kind == "delete":
            runs.append(Run("equal", " "))  # "4.2" and "4.3" are no "4.24.3".
        runs.append(run)
    return Quoted(it.label or words.get(it.kind, ""), "; ".join(facts), runs)


def absolute(view: str, *args: object) -> str:
    """The address of a page with scheme and host, in the active language."""
    base = conf.get().BASE_URL
    if not base:
        msg = 'AGREEMENT["BASE_URL"] is empty: a notice needs the site\'s address, "https://portal.example.kz".'
        raise ImproperlyConfigured(msg)
    try:
        return urljoin(base, reverse(view, args=args))
    except NoReverseMatch:
        msg = 'The agreement\'s pages have no address: add path("agreements/", include("agreement.urls")).'
        raise ImproperlyConfigured(msg) from None
