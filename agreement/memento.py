"""Point in time: which edition was in force then, for people (``…/at/2026-03-01/``) and for archives (RFC 7089).

The address of the edition in force is the *original resource* and its own *TimeGate* (pattern 1.1, 302); the permanent
pages of the editions that took effect are its *mementos*. Each language has addresses, and so mementos, of its own.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from django.http import HttpResponse, HttpResponseRedirect
from django.utils.encoding import iri_to_uri
from django.utils.http import http_date, parse_http_date
from django.utils.translation import gettext as _

from agreement import dates
from agreement.gate import Timeline
from agreement.lineage import Dated
from agreement.pages import OPEN, Visit, page
from agreement.shown import frame

_DATE = r"(?:\d{4}-\d\d-\d\d|\d{8}|\d{4}-W\d\d-\d|\d{4}W\d{3})"
_ISO = re.compile(
    rf"(?P<date>{_DATE})(?P<time>[T ]\d\d(?::?\d\d(?::?\d\d(?:[.,]\d{{1,99}})?)?)?"
    r"(?P<offset>Z|[+-]\d\d(?::?\d\d(?::?\d\d)?)?)?)?",
    re.ASCII | re.IGNORECASE,
)
_HTTP_DATE = re.compile(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} [1-9]\d{3} \d\d:\d\d:\d\d GMT", re.ASCII)


class Unreadable(ValueError):
    """What was given is no date or moment; its text says so in the page's language."""


@dataclass(frozen=True, slots=True)
class Change:
    """An edition that took, or takes, effect later on a day that was asked for."""

    number: int
    sentence: str


def read(text: str) -> date | datetime:
    """A date, or a moment in UTC, in any form of ISO 8601 that names a day; raises :class:`Unreadable`.

    Digits beyond the microsecond are cut off: editions take effect at whole microseconds, so none begins between.
    """
    match = _ISO.fullmatch(text)
    if match and match["time"] and not match["offset"]:
        raise Unreadable(_("A time of day says which moment is meant only together with its zone's offset from UTC."))
    try:
        if match and match["time"]:
            return dates.utc(datetime.fromisoformat(text.upper()))
        if match:
            return date.fromisoformat(text.upper())
    except ValueError:
        pass
    raise Unreadable(_("This is neither a date nor a moment as ISO 8601 writes them."))


@page()
def at(visit: Visit, slug: str, when: str) -> HttpResponse:
    """The permanent page of the edition in force then, as far as anything is known of then. No query.

    A date is its first instant in the agreement's zone, and that page says what changed later on that day. Asked for
    again each time: a moment to come may yet get another edition, and a past one another host or address.
    """
    timeline = visit.timeline(slug)
    try:
        asked = read(when)
    except Unreadable as error:
        return _unreadable(visit, error)
    moment = asked if isinstance(asked, datetime) else dates.first_instant(asked, timeline.time_zone)
    edition = _last(_public(visit, timeline), moment)
    if edition is None:
        return _before_the_first(visit, timeline)
    day = "" if isinstance(asked, datetime) else f"?on={asked.isoformat()}"
    return HttpResponseRedirect(visit.path("edition", slug, edition.number) + day)


def changes(visit: Visit, timeline: Timeline, edition: Dated) -> list[Change] | HttpResponse:
    """What took effect later on the day ``?on=`` names, if this edition was in force as it began; or a refusal."""
    if not (asked := visit.asked.get("on", "")):
        return []
    try:
        day = read(asked)
        if isinstance(day, datetime):
            raise Unreadable(_("This is neither a date nor a moment as ISO 8601 writes them."))
    except Unreadable as error:
        return _unreadable(visit, error)
    zone, public = timeline.time_zone, _public(visit, timeline)
    begins = dates.first_instant(day, zone)
    ends = dates.first_instant(day + timedelta(days=1), zone) if day < date.max else dates.LATEST
    if _last(public, begins) != edition:
        return []
    pattern = _("On that day, %(day)s, edition %(number)s is in force from %(clock)s (%(zone)s) on.")
    return [
        Change(
            later.number,
            pattern
            % {
                "day": dates.day(later.effective_from, frame(), zone, "on"),
                "clock": dates.clock(later.effective_from, zone),
                "zone": dates.zone(later.effective_from, frame(), zone),
                "number": later.number,
            },
        )
        for later in public
        if begins < later.effective_from < ends
    ]


def negotiate(visit: Visit, timeline: Timeline) -> HttpResponse | None:
    """The TimeGate's answer to ``Accept-Datetime``; ``None`` where it was not sent, or nothing took effect yet.

    Before the first memento it is the first, after the last the last.
    """
    asked = visit.asked.get("Accept-Datetime")
    if asked is None:
        return None
    try:
        moment = datetime.fromtimestamp(parse_http_date(asked) if _HTTP_DATE.fullmatch(asked) else 1e99, UTC)
    except (ValueError, OverflowError):
        example = http_date(visit.at.timestamp())
        return _unreadable(
            visit,
            Unreadable(_("The header Accept-Datetime holds no date such as %(example)s.") % {"example": example}),
        )
    if not (known := mementos(visit, timeline)):
        return None
    edition = _last(known, moment) or known[0]
    response = HttpResponseRedirect(visit.path("edition", timeline.slug, edition.number))
    response.headers["Link"] = links(visit, timeline, edition)
    return response


def mementos(visit: Visit, timeline: Timeline) -> list[Dated]:
    """The editions that took effect, in that order: neither announced nor cancelled ones."""
    return [edition for edition in _public(visit, timeline) if edition.effective_from <= visit.at]


def stamp(edition: Dated) -> str:
    """``Memento-Datetime``: the first whole second at which the edition was in force."""
    at = edition.effective_from
    return http_date((at + timedelta(microseconds=-at.microsecond % 1_000_000)).timestamp())


def dress(response: HttpResponse, visit: Visit, timeline: Timeline, edition: Dated | None) -> HttpResponse:
    """Give a page its relations; ``edition`` is the memento it is, ``None`` the original resource."""
    if response.status_code == 200 and (edition is None or edition in mementos(visit, timeline)):
        response.headers["Link"] = links(visit, timeline, edition)
        if edition:
            response.headers["Memento-Datetime"] = stamp(edition)
    return response


def links(visit: Visit, timeline: Timeline, near: Dated | None) -> str:
    """The value of ``Link``: original, TimeGate, TimeMap; the first and last memento, and those beside ``near``."""
    known = mementos(visit, timeline)
    relations: dict[int, list[str]] = defaultdict(list)
    if known:
        relations[0].append("first")
        relations[len(known) - 1].append("last")
    if near in known:
        place = known.index(near)
        for neighbour, name in ((place - 1, "prev"), (place + 1, "next")):
            if 0 <= neighbour < len(known):
                relations[neighbour].append(name)
        relations[place] += []
    return ", ".join(
        [
            _link(visit.url("current", timeline.slug), "original timegate"),
            _link(visit.url("timemap", timeline.slug), "timemap", type="application/link-format"),
            *(_memento(visit, timeline, known[place], *relations[place]) for place in sorted(relations)),
        ]
    )


@page()
def timemap(visit: Visit, slug: str) -> HttpResponse:
    """Every memento with its moment, as ``application/link-format`` (RFC 6690). No query."""
    timeline = visit.timeline(slug)
    known = mementos(visit, timeline)
    span = {"from": stamp(known[0]), "until": stamp(known[-1])} if known else {}
    last = len(known) - 1
    lines = [
        _link(visit.url("current", slug), "original timegate"),
        _link(visit.url("timemap", slug), "self", type="application/link-format", **span),
        *(
            _memento(visit, timeline, edition, *["first"] * (place == 0), *["last"] * (place == last))
            for place, edition in enumerate(known)
        ),
    ]
    return HttpResponse(",\n".join(lines) + "\n", headers={"Content-Type": "application/link-format"} | OPEN)


def _link(address: str, relation: str, **attributes: str) -> str:
    written = "".join(f'; {name}="{value}"' for name, value in attributes.items())
    return f'<{iri_to_uri(address)}>; rel="{relation}"{written}'


def _memento(visit: Visit, timeline: Timeline, edition: Dated, *relations: str) -> str:
    address = visit.url("edition", timeline.slug, edition.number)
    return _link(address, " ".join([*relations, "memento"]), datetime=stamp(edition))


def _public(visit: Visit, timeline: Timeline) -> list[Dated]:
    return [edition for edition in timeline.public(visit.at) if edition.cancelled_at is None]


def _last(editions: list[Dated], moment: datetime) -> Dated | None:
    """Of editions in the order of their effect, the one in force at that moment."""
    return next((edition for edition in reversed(editions) if edition.effective_from <= moment), None)


def _unreadable(visit: Visit, error: Unreadable) -> HttpResponse:
    hint = _("Write it as %(moment)s, or the date alone: %(date)s.")
    shapes = {"moment": "2026-03-01T09:00:00+05:00", "date": "2026-03-01"}
    sentences = [str(error)] if "Accept-Datetime" in visit.asked else [str(error), hint % shapes]
    return visit.refuse(400, _("Which moment is meant?"), *sentences)


def _before_the_first(visit: Visit, timeline: Timeline) -> HttpResponse:
    """404, with the first edition and since when it is in force. 1 query."""
    public = _public(visit, timeline)
    heading = _("No edition was in force then")
    if not public:
        return visit.refuse(404, heading)
    first = visit.listed([(timeline, public[0])])[0]
    words = {"number": public[0].number}
    return visit.refuse(
        404,
        heading,
        _("Edition %(number)s is the first.") % words + " " + first.interval,
        link=(visit.path("edition", timeline.slug, public[0].number), _("Read edition %(number)s") % words),
    )
