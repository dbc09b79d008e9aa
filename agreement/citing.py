"""What any page of the site may say of an agreement: where it is, since when it binds, what a clause says, what is new.

Which edition binds is asked of the gate; sealed editions never change, so a process remembers the few it was asked
for. Warm, none of this costs a query, and inside a transaction one for the dates.

A page must not break because somebody publishes: what a template asks for and the edition in force has not got is an
error while ``DEBUG`` is on, and otherwise a line in the log and a link to the agreement.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from django.conf import settings
from django.template import TemplateSyntaxError
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from agreement import conf, gate
from agreement.gate import Timeline
from agreement.lineage import Dated
from agreement.models import Edition
from agreement.shown import Shown
from agreement.text import clauses
from agreement.text.quoting import Quote, quote

logger = logging.getLogger("agreement")


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """A clause of the edition in force, for a page elsewhere; in a template by itself, a quotation with its source.

    Where the edition has no such clause, ``text`` and ``html`` are empty and ``path`` leads to the agreement.
    """

    number: str
    """``"2.3"``, as asked for."""
    label: str
    """As printed: ``"2.3."``."""
    text: str
    """Its own words, without those of its sub-clauses and without Markdown."""
    html: SafeString
    """With everything that stands in it; ids left out, links led to the agreement's page."""
    path: str
    """Its permanent address: that of the edition, with the clause's anchor."""
    title: str
    """Of the agreement."""
    edition: int | None
    language: str
    """Of ``text``, ``html`` and ``title``."""
    clauses: tuple[Citation, ...] = ()
    """What stands directly in it, each by itself."""

    def __html__(self) -> str:
        return render_to_string("agreement/clause.html", {"clause": self}).strip()

    def __str__(self) -> str:
        return self.__html__()


def path(slug: str = "", *, app: str | None = None) -> str:
    """The address of the edition in force; of the site's list of agreements where it has none, or several and no slug
    is given. ``app`` is the namespace the asking page is in.
    """
    timeline = None if slug else _timeline("", timezone.now(), '{% agreement_url "SLUG" %}')
    slug = slug or (timeline.slug if timeline else "")
    return _reverse("current", slug, app=app) if slug else _reverse("index", app=app)


def inbox(*, app: str | None = None) -> str:
    """The address of the signed-in user's notices."""
    return _reverse("notices", app=app)


def validity(slug: str = "") -> str:
    """Which edition binds, and since when, in a sentence or two; of the announced one before the first. ``""``
    where there is neither.
    """
    at = timezone.now()
    timeline = _timeline(slug, at, '{% agreement_validity "SLUG" %}')
    dated = timeline and (timeline.in_force(at) or _announced(timeline, at))
    if not timeline or not dated:
        return ""
    edition = _("Edition %(number)s.") % {"number": dated.number}
    return f"{edition} {_shown(timeline, dated, at).validity}"


def clause(number: str | float, slug: str = "", *, app: str | None = None) -> Citation:
    """That section, clause or sub-clause of the edition in force."""
    if not isinstance(number, str):
        msg = f'{number!r} is no clause: write its number in quotes, {{% agreement_clause "2.10" %}}.'
        raise TemplateSyntaxError(msg)
    number, at = number.strip().rstrip("."), timezone.now()
    timeline = _timeline(slug, at, f'{{% agreement_clause "{number}" "SLUG" %}}')
    dated = timeline.in_force(at) if timeline else None
    if not timeline or not dated:
        return _nothing(number, path=_reverse("current", slug, app=app) if slug else _reverse("index", app=app))
    shown = _shown(timeline, dated, at)
    page = _reverse("edition", timeline.slug, dated.number, app=app)
    found = _quoted(dated, timeline.time_zone, shown.language, number, page)
    if found is None:
        _complain(f"Edition {dated.number} of {timeline.slug!r} has no clause {number!r}, which a page cites.")
        return _nothing(number, path=_reverse("current", timeline.slug, app=app), shown=shown)
    return _citation(found, page, shown)


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """An edition readers should know of: announced, or in force since a few days."""

    shown: Shown
    path: str
    changes: str
    """Where what changed is shown; ``""`` for a first edition."""


def news(slug: str = "", *, days: int = 10, app: str | None = None) -> list[News]:
    """The editions announced, and those that replaced another within so many days; of all agreements, or of one."""
    at = timezone.now()
    agreements = gate.timelines().agreements
    found = []
    for timeline in [agreements[slug]] if slug in agreements else () if slug else agreements.values():
        in_force, announced = timeline.in_force(at), _announced(timeline, at)
        if in_force and timeline.before(in_force) and at - in_force.effective_from < timedelta(days=days):
            found.append((timeline, in_force))
        if announced:
            found.append((timeline, announced))
    return [
        News(
            shown=_shown(timeline, dated, at),
            path=_reverse("edition", timeline.slug, dated.number, app=app),
            changes=_reverse("changes", timeline.slug, dated.number, app=app) if timeline.before(dated) else "",
        )
        for timeline, dated in found
    ]


def _timeline(slug: str, at: datetime, example: str) -> Timeline | None:
    """The agreement meant; ``None`` where the site has published nothing, or it can't be told."""
    public = {slug: timeline for slug, timeline in gate.timelines().agreements.items() if timeline.public(at)}
    if slug in public or not public:
        return public.get(slug)
    known = ", ".join(sorted(public))
    if slug:
        _complain(f"No edition of an agreement {slug!r} is published, which a page names; there are: {known}.")
        return None
    if len(public) > 1:
        _complain(f"The site has several agreements ({known}): name one, {example}.")
        return None
    return next(iter(public.values()))


def _announced(timeline: Timeline, at: datetime) -> Dated | None:
    return timeline.announced(at) if conf.get().SHOW_SCHEDULED else None


def _shown(timeline: Timeline, dated: Dated, at: datetime) -> Shown:
    return Shown.of(_sealed(dated, timeline.time_zone), timeline, at)


@lru_cache(maxsize=16)
def _sealed(dated: Dated, time_zone: str) -> Edition:
    """An edition by everything that is known of it, digest and all: another is never taken for it. 1 query."""
    found: Edition = Edition.objects.select_related("agreement").get(pk=dated.pk)
    return found


@lru_cache(maxsize=256)
def _quoted(dated: Dated, time_zone: str, language: str, number: str, page: str) -> Quote | None:
    return quote(clauses.parse(_sealed(dated, time_zone).text(language).body), number, page)


def _citation(found: Quote, page: str, shown: Shown) -> Citation:
    unit = found.unit
    return Citation(
        number=unit.number,
        label=unit.label or unit.number,
        text=unit.text,
        html=mark_safe(found.html),  # noqa: S308 - made by nh3
        path=f"{page}#{unit.anchor}",
        title=shown.title,
        edition=shown.edition.number,
        language=shown.language,
        clauses=tuple(_citation(under, page, shown) for under in found.quotes),
    )


def _nothing(number: str, *, path: str, shown: Shown | None = None) -> Citation:
    return Citation(
        number=number,
        label=number,
        text="",
        html=SafeString(""),
        path=path,
        title=shown.title if shown else "",
        edition=shown.edition.number if shown else None,
        language=shown.language if shown else "",
    )


def _reverse(name: str, *args: object, app: str | None) -> str:
    return reverse(f"agreement:{name}", args=args, current_app=app)


def _complain(message: str) -> None:
    if settings.DEBUG:
        raise TemplateSyntaxError(message)
    _log(message)


@lru_cache(maxsize=64)
def _log(message: str) -> None:
    """Once: a page is shown often."""
    logger.warning(message)
