"""Finds the edition that was in force at a point in time: for people (``…/at/2026-03-01/``) and by Memento (RFC 7089).

The page of the edition in force is the *original resource* and its own *TimeGate* (RFC 7089 §4.1.1, pattern 1.1 with a
302 redirect). The permanent pages of the editions that took effect are its *mementos*. If the languages of the site
have different URLs, each language has its own mementos.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.http import HttpResponse, HttpResponseRedirect
from django.utils.encoding import iri_to_uri
from django.utils.html import escape, format_html
from django.utils.http import http_date, parse_http_date
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _

from agreement.conf import active_language
from agreement.editions import chart
from agreement.editions.timeline import Timeline
from agreement.models.succession import EditionDates, State
from agreement.text import dates
from agreement.views.base import Visit, alternates, page
from agreement.views.cache import ANY_ORIGIN

_DATE = r"(?:\d{4}-\d\d-\d\d|\d{8}|\d{4}-W\d\d-\d|\d{4}W\d{3})"
_ISO = re.compile(
    rf"(?P<date>{_DATE})(?P<time>[T ]\d\d(?::?\d\d(?::?\d\d(?:[.,]\d{{1,99}})?)?)?"
    r"(?P<offset>Z|[+-](?:[01]\d|2[0-3])(?::?[0-5]\d(?::?[0-5]\d)?)?)?)?",
    re.ASCII | re.IGNORECASE,
)
_HTTP_DATE = re.compile(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} [1-9]\d{3} \d\d:\d\d:\d\d GMT", re.ASCII)


class UnreadableInstant(ValueError):
    """The value can't be read as what is expected: a date, or an instant with its offset from UTC. The message states
    this in the language of the page.
    """


@dataclass(frozen=True, slots=True)
class LaterEdition:
    """An edition that takes effect later on the requested day, with a sentence that states it."""

    number: int
    sentence: str


def parse_when(text: str) -> date | datetime:
    """Parse a date, or an instant with a UTC offset, in ISO 8601 format. Return a date, or an instant in UTC.

    The date is written by month and day or by week and day: ``2026-03-01``, ``20260301``, ``2026-W09-7`` or
    ``2026W097``. The time follows after ``T`` or a space; minutes and seconds may be left out, but not the offset.
    Digits after the microsecond are cut off, because editions take effect at whole microseconds. Raises
    :class:`UnreadableInstant` for any other text, and for an instant that is outside the years 1 to 9999 in UTC.
    """
    match = _ISO.fullmatch(text)
    if match and match["time"] and not match["offset"]:
        sentence = _("A time of day needs its offset from UTC.")
        raise UnreadableInstant(sentence)
    try:
        if match and match["time"]:
            return datetime.fromisoformat(text.upper()).astimezone(UTC)
        if match:
            return date.fromisoformat(text.upper())
    except (ValueError, OverflowError):
        pass
    raise UnreadableInstant(_("This is not a date, or a date and time, in ISO 8601 format."))


def parse_day(text: str) -> date:
    """Parse a date in a form that :func:`parse_when` accepts. Raises :class:`UnreadableInstant`, also for an instant
    with a time.
    """
    day = parse_when(text)
    if isinstance(day, datetime):
        raise UnreadableInstant(_("This is not a date, or a date and time, in ISO 8601 format."))
    return day


@page(unlimited=("date",))
def when(visit: Visit, slug: str) -> HttpResponse:
    """The form in which a reader asks which edition was in force on a day. The form sends the day in ``?date=``; then
    the response is a redirect to the URL of :func:`at` for that day. The response is 400 if the value is not a date,
    and 404 if the agreement has no public edition.
    """
    timeline = visit.timeline(slug)
    if "date" not in visit.parameters:
        return visit.render("agreement/pages/when.html", chart_context(visit, timeline))
    try:
        day = parse_day(visit.parameters["date"])
    except UnreadableInstant as error:
        return refuse_unreadable(visit, error, timeline)
    return HttpResponseRedirect(visit.path("at", slug, day.isoformat()))


def chart_context(visit: Visit, timeline: Timeline, number: int | None = None, day: str = "") -> dict[str, Any]:
    """Return the variables of the partial template ``when.html``: the form for a day, the chart of the public editions,
    and the form that compares two of them. ``number`` is that of the edition of the page; ``None`` if the page is not
    about one edition. ``day`` is the date that the form contains, in ISO 8601 format, or ``""``. It makes no query.
    """
    public = visit.public(timeline)
    new = next(
        (one for one in reversed(public) if one.number == number or not (number or one.cancelled_at)), public[-1]
    )
    if (old := timeline.predecessor(new)) is None:  # The first edition can only be compared with a later one.
        old, new = new, next((one for one in public if one.number > new.number), new)
    return {
        "when_slug": timeline.slug,
        "when_number": number,
        "when_day": day,
        "bars": chart.bars(public, visit.at, timeline.time_zone),
        "cancellations": chart.cancellations(public),
        "choices": choices(visit, timeline),
        "when_old": old.number,
        "when_new": new.number,
    }


@dataclass(frozen=True, slots=True)
class Choice:
    """A public edition in a form that compares two: its number, its state, and its day of effect in digits."""

    number: int
    state: State
    day: str


def choices(visit: Visit, timeline: Timeline) -> list[Choice]:
    """Return a :class:`Choice` for each public edition, the newest first. Cancelled editions that are public are among
    them. It makes no query.
    """
    return [
        Choice(
            one.number,
            timeline.state(one, visit.at),
            dates.short(one.effective_from, active_language(), timeline.time_zone).partition(",")[0],
        )
        for one in reversed(visit.public(timeline))
    ]


@page()
def at(visit: Visit, slug: str, when: str) -> HttpResponse:
    """Redirect to the permanent page of the edition that was in force at the moment ``when``. For a future moment, it
    is the public edition that will be in force then, as far as is known now.

    ``when`` is what :func:`parse_when` accepts. A date means its first instant in the time zone of the agreement. The
    page then also states which editions take effect later on that day. A cache must revalidate the redirect: another
    edition may be published for a future instant, and the site may move to another host or path. The response is 400
    for an invalid value, and 404 if no edition was in force or the agreement has no public edition.
    """
    timeline = visit.timeline(slug)
    try:
        parsed = parse_when(when)
    except UnreadableInstant as error:
        return refuse_unreadable(visit, error, timeline)
    moment = parsed if isinstance(parsed, datetime) else dates.first_instant(parsed, timeline.time_zone)
    edition = _last(_public(visit, timeline), moment)
    if edition is None:
        return _before_the_first(visit, timeline, moment)
    day = "" if isinstance(parsed, datetime) else f"?on={parsed.isoformat()}"
    return HttpResponseRedirect(visit.path("edition", slug, edition.number) + day)


def requested_day(visit: Visit, timeline: Timeline, edition: EditionDates) -> tuple[str, list[LaterEdition]]:
    """Return a sentence which states that ``edition`` was in force when the day in ``?on=`` began, or will be, and the
    public editions that take effect later on that day. Cancelled editions are left out. Both are empty if ``edition``
    was not in force then and will not be, and without a value in ``?on=``. Raises :class:`UnreadableInstant` if the
    value is not a date.
    """
    if not (text := visit.parameters.get("on", "")):
        return "", []
    day = parse_day(text)
    zone, public = timeline.time_zone, _public(visit, timeline)
    begins = dates.first_instant(day, zone)
    ends = dates.first_instant(day + timedelta(days=1), zone) if day < date.max else dates.CALENDAR_END
    if _last(public, begins) != edition:
        return "", []
    sentence = (
        _("This edition was in force on this day: %(day)s.")
        if begins <= visit.at
        else _("This edition will be in force on this day: %(day)s.")
    )
    pattern = _("On that day, %(day)s, edition %(number)s is in force from %(clock)s (%(zone)s).")
    return sentence % {"day": dates.day(begins, active_language(), zone)}, [
        LaterEdition(
            later.number,
            pattern
            % {
                "day": dates.day(later.effective_from, active_language(), zone, "on"),
                "clock": dates.clock(later.effective_from, zone),
                "zone": dates.zone(later.effective_from, active_language(), zone),
                "number": later.number,
            },
        )
        for later in public
        if begins < later.effective_from < ends
    ]


def negotiate(visit: Visit, timeline: Timeline) -> HttpResponse | None:
    """Return the TimeGate's response to ``Accept-Datetime``: a redirect to the permanent page of the edition that was
    in force at that moment, or 400 if the value is not an HTTP date. Return ``None`` without that header, or if the
    value is valid but no edition has taken effect yet.

    A moment before the first edition took effect leads to the first one. A future moment leads to the edition in force,
    because announced editions are not mementos.
    """
    text = visit.parameters.get("Accept-Datetime")
    if text is None:
        return None
    try:
        moment = datetime.fromtimestamp(parse_http_date(text) if _HTTP_DATE.fullmatch(text) else 1e99, UTC)
    except (ValueError, OverflowError):
        example = http_date(visit.at.timestamp())
        sentence = _("The header Accept-Datetime does not contain a date such as %(example)s.") % {"example": example}
        return refuse_unreadable(visit, UnreadableInstant(sentence))
    if not (known := mementos(visit, timeline)):
        return None
    edition = _last(known, moment) or known[0]
    response = HttpResponseRedirect(visit.path("edition", timeline.slug, edition.number))
    response.headers["Link"] = link_header(visit, timeline, edition)
    return response


def mementos(visit: Visit, timeline: Timeline) -> list[EditionDates]:
    """Return the editions of the agreement that have taken effect, in the order of their effect. Announced and
    cancelled editions are not among them. It makes no query.
    """
    return [edition for edition in _public(visit, timeline) if edition.effective_from <= visit.at]


def memento_datetime(edition: EditionDates) -> str:
    """Return the value of ``Memento-Datetime``: the moment of effect of the edition, rounded up to a whole second."""
    at = edition.effective_from
    return http_date((at + timedelta(microseconds=-at.microsecond % 1_000_000)).timestamp())


def add_headers(response: HttpResponse, visit: Visit, timeline: Timeline, edition: EditionDates | None) -> HttpResponse:
    """Add the headers ``Link`` and ``Memento-Datetime`` (RFC 7089) to the permanent page of ``edition`` if that edition
    has taken effect. With ``edition=None`` the page is that of the edition in force, which gets only ``Link``. The page
    of another edition, and a response with another status than 200, gets neither header. Return the same response.
    """
    if response.status_code == 200 and (edition is None or edition in mementos(visit, timeline)):
        response.headers["Link"] = link_header(visit, timeline, edition)
        if edition:
            response.headers["Memento-Datetime"] = memento_datetime(edition)
    return response


def link_header(visit: Visit, timeline: Timeline, near: EditionDates | None) -> str:
    """Return the value of the header ``Link`` (RFC 7089). It names the page of the edition in force, the TimeMap, and
    the permanent pages of the first and the last edition that took effect, if there are any. If ``near`` has taken
    effect, it also names the page of ``near``, and those of the editions directly before and after it.
    """
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
    """The TimeMap (RFC 7089) as ``application/link-format`` (RFC 6690): the list of the permanent pages of all editions
    that took effect, with their moments. If no edition has taken effect yet, it names only the page of the edition in
    force and itself. The response is 404 if the agreement has no public edition.
    """
    timeline = visit.timeline(slug)
    known = mementos(visit, timeline)
    span = {"from": memento_datetime(known[0]), "until": memento_datetime(known[-1])} if known else {}
    last = len(known) - 1
    lines = [
        _link(visit.url("current", slug), "original timegate"),
        _link(visit.url("timemap", slug), "self", type="application/link-format", **span),
        *(
            _memento(visit, timeline, edition, *["first"] * (place == 0), *["last"] * (place == last))
            for place, edition in enumerate(known)
        ),
    ]
    return HttpResponse(",\n".join(lines) + "\n", headers={"Content-Type": "application/link-format"} | ANY_ORIGIN)


def _link(address: str, relation: str, **attributes: str) -> str:
    parameters = "".join(f'; {name}="{value}"' for name, value in attributes.items())
    return f'<{iri_to_uri(address)}>; rel="{relation}"{parameters}'


def _memento(visit: Visit, timeline: Timeline, edition: EditionDates, *relations: str) -> str:
    address = visit.url("edition", timeline.slug, edition.number)
    return _link(address, " ".join([*relations, "memento"]), datetime=memento_datetime(edition))


def _public(visit: Visit, timeline: Timeline) -> list[EditionDates]:
    """Return the public editions that were not cancelled, in the order of their effect."""
    return [edition for edition in visit.public(timeline) if edition.cancelled_at is None]


def _last(editions: list[EditionDates], moment: datetime) -> EditionDates | None:
    """Return the last of these editions that took effect by that moment; ``None`` if none did. ``editions`` must be in
    the order of their effect.
    """
    return next((edition for edition in reversed(editions) if edition.effective_from <= moment), None)


def refuse_unreadable(visit: Visit, error: UnreadableInstant, timeline: Timeline | None = None) -> HttpResponse:
    """Return a page with the status 400 for a value that can't be read as a date or an instant. It contains the message
    of ``error`` and, unless the value is that of the header ``Accept-Datetime``, examples of valid values. With
    ``timeline`` it also has the form for a date.
    """
    hint = escape(_("Write it as %(moment)s, or write only the date: %(date)s."))
    shapes = {"moment": "2026-03-01T09:00:00+05:00", "date": "2026-03-01"}
    examples = {
        name: format_html('<code class="agreement-unbroken">{}</code>', shape) for name, shape in shapes.items()
    }
    sentences = [str(error)]
    if "Accept-Datetime" not in visit.parameters:
        sentences.append(mark_safe(hint % examples))  # noqa: S308 - Both parts are escaped.
    form: dict[str, Any] = {}
    if timeline:
        # The page in another language is the form, because the value must not be repeated.
        found = alternates(visit.request)
        paths = [visit.path("when", timeline.slug, language=one.language) for one in found]
        languages = [replace(one, path=path, url=visit.absolute(path)) for one, path in zip(found, paths, strict=True)]
        form = chart_context(visit, timeline) | {"alternates": languages}
    return visit.refuse(400, _("Invalid date or time"), *sentences, **form)


def _before_the_first(visit: Visit, timeline: Timeline, moment: datetime) -> HttpResponse:
    """Return a page with the status 404 that states that no edition was in force at that moment. If the
    agreement has a public edition that was not cancelled, the page names the first one and links to it, and states when
    it is, was or will be in force. At most 1 query.
    """
    public = _public(visit, timeline)
    heading = _("No edition was in force then")
    if not public:
        return visit.refuse(404, heading)
    first = visit.display_without_texts([(timeline, public[0])])[0]
    words = {"number": public[0].number}
    return visit.refuse(
        404,
        heading,
        _("Edition %(number)s is the first edition.") % words + " " + first.interval,
        link=(visit.path("edition", timeline.slug, public[0].number), _("Read edition %(number)s") % words),
        alternates=alternates(visit.request),
        **chart_context(visit, timeline, day=moment.astimezone(ZoneInfo(timeline.time_zone)).date().isoformat()),
    )
