"""What other pages of the site display of agreements: the path of a page, a sentence of validity, a quoted clause, a
banner of new editions, the changes of an edition.

A publication must not break a page. Therefore a mistake that depends on what is published, such as the number of a
clause that the edition in force does not have, raises ``TemplateSyntaxError`` only while ``DEBUG`` is on, and never if
``report`` is given. A plugin of a content management system gives one, because its editor can't change templates.

If the site has no page of the app in the active language, links lead to the page in the first language that has one.
A function that displays an edition makes 1 query for each edition that the process does not remember, apart from the
queries of :func:`agreement.editions.timeline.current_timelines`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache

from django.conf import settings
from django.template import TemplateSyntaxError
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse
from django.utils import timezone, translation
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from agreement import conf
from agreement.editions.changes import Comparison, unit_name
from agreement.editions.display import DisplayedEdition
from agreement.editions.timeline import Timeline, current_timelines
from agreement.memory import remembered
from agreement.models import Edition
from agreement.models.succession import EditionDates
from agreement.text import clauses
from agreement.text.quoting import Quote, quote

logger = logging.getLogger("agreement")


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """A unit of the edition in force, such as a clause, for another page. A template displays it as a quotation with
    its source.

    If no such unit was found, ``text`` and ``html`` are empty, and a template displays a link to ``path``. Then
    ``path`` leads to the page of the agreement, or to the list of agreements if the agreement was not found.
    """

    number: str
    """The number of the unit, ``"2.3"``. For a unit that was not found: the requested number without white space around
    it and without dots at its end."""
    label: str
    """The number as it is printed: ``"2.3."``. For a unit that was not found, or has no printed number: ``number``."""
    name: str
    """The name of the unit in a sentence, in the active language: «пункт 2.3», «подпункт 1) пункта 2.3». For a unit
    that was not found: ``number``."""
    text: str
    """The words of the unit itself, without its label, without the numbered units in it and without Markdown."""
    html: SafeString
    """The HTML of the unit with everything that it contains, without ids. Its links to clauses lead to the page of the
    edition."""
    path: str
    """The permanent path of the unit: that of the edition, with the anchor of the unit. If the unit was not found: the
    path of the page of the agreement, or that of the list of agreements."""
    title: str
    """The title of the edition; ``""`` if no edition in force was found."""
    edition: int | None
    """The number of the edition; ``None`` if no edition in force was found."""
    language: str
    """The language of ``text``, ``html`` and ``title``; ``""`` if no edition in force was found."""
    clauses: tuple[Citation, ...] = ()
    """The numbered parts directly in it: the clauses of a section, the sub-clauses or items of a clause."""

    def __html__(self) -> str:
        return str(self)

    def __str__(self) -> SafeString:
        html = render_to_string("agreement/partials/citation.html", {"clause": self})
        return mark_safe(html.strip())  # noqa: S308 - strip() returns a plain string, which a template would escape


def agreement_path(slug: str = "", *, app: str | None = None) -> str:
    """The path of the page of the edition in force of the agreement with that slug. A slug is not looked up: if no
    agreement has it, the page answers with the status 404. Raises ``NoReverseMatch`` if the URL can't contain the slug.

    Without a slug, the agreement is that of ``DEFAULT_AGREEMENT``, if it has a public edition, or, if this setting is
    empty, the site's only agreement with a public edition. If there is no such agreement, the result is the path of the
    list of agreements. If the setting is empty and several agreements have a public edition, ``TemplateSyntaxError`` is
    raised while ``DEBUG`` is on. While it is off, this is logged, and the result is the path of the list too.

    In each function of this module that has the parameter ``app``, it is passed to ``reverse()`` as ``current_app``: it
    is the instance namespace of the page that contains the link. ``None`` means the default instance of the app's URLs.
    """
    timeline = None if slug else _timeline("", timezone.now(), '{% agreement_url "SLUG" %}')
    slug = slug or (timeline.slug if timeline else "")
    return _reverse("current", slug, app=app) if slug else _reverse("index", app=app)


def notices_path(*, app: str | None = None) -> str:
    """The path of the page with the notices to the signed-in user. The function makes no query. ``app`` is the instance
    namespace for ``reverse()``, as in :func:`agreement_path`.
    """
    return _reverse("notices", app=app)


def record_path(*, app: str | None = None) -> str:
    """The path of the page with the record of the signed-in user: their acceptances, declines, consents and
    withdrawals, and the notices to them. The function makes no query. ``app`` is the instance namespace for
    ``reverse()``, as in :func:`agreement_path`.
    """
    return _reverse("record", app=app)


def validity_sentence(slug: str = "", *, report: Callable[[str], None] | None = None) -> str:
    """Sentences in the active language: the number of an edition, when it is in force or takes effect, and which
    edition it replaced or will replace (:attr:`~agreement.editions.display.DisplayedEdition.validity`). The edition is
    the one in force. If none is in force and the site displays scheduled editions, it is the announced edition; ``""``
    if there is none either.

    Without a slug, ``DEFAULT_AGREEMENT`` is meant or, if this setting is empty, the site's only agreement. Agreements
    without a public edition are not considered. While ``DEBUG`` is on, an unknown slug, and a missing slug on a site
    with several agreements and without the setting, raise ``TemplateSyntaxError``. While it is off, they are logged,
    and the result is ``""``. With ``report``, that function is called with the message instead, and the result is
    ``""``. If the agreement of ``DEFAULT_AGREEMENT`` is meant and has no public edition, or if the site has no public
    edition at all, the result is ``""`` without a message.
    """
    at = timezone.now()
    timeline = _timeline(slug, at, '{% agreement_validity "SLUG" %}', report)
    dated = timeline and (timeline.in_force(at) or _announced(timeline, at))
    if not timeline or not dated:
        return ""
    edition = _("Edition %(number)s.") % {"number": dated.number}
    return f"{edition} {_display(timeline, dated, at).validity}"


def cite_clause(
    number: str | float, slug: str = "", *, app: str | None = None, report: Callable[[str], None] | None = None
) -> Citation:
    """The unit of the edition in force that has that number, such as ``"2.3"``: a section, clause, sub-clause, item or
    appendix, in the language of :func:`agreement.editions.display.text_language`. White space around the number, and
    dots at its end, are ignored. Without a slug, ``DEFAULT_AGREEMENT`` is meant or, if this setting is empty, the
    site's only agreement with a public edition.

    Always raises ``TemplateSyntaxError``, also with ``report``, for a number that is not a string, because the number
    ``2.10`` would be read as ``2.1``. While ``DEBUG`` is on, it also raises it for a number that the edition in force
    does not have, for a slug that no agreement with a public edition has, and for an empty slug if several agreements
    have a public edition and ``DEFAULT_AGREEMENT`` is empty. While ``DEBUG`` is off, these are logged, and the citation
    has no text; see :class:`Citation`. If the agreement is found but none of its editions is in force, if ``slug`` is
    empty and the agreement of ``DEFAULT_AGREEMENT`` has no public edition, or if the site has no public edition at all,
    the citation has no text, nothing is raised, and nothing is logged.

    With ``report``, that function is called with the message instead, and nothing is raised or logged for a missing
    clause or agreement. A page that an editor writes uses :func:`log_once`, because ``DEBUG`` should not break it.
    ``app`` is the instance namespace for ``reverse()``, as in :func:`agreement_path`.
    """
    if not isinstance(number, str):
        msg = f'{number!r} is not a string. Write the number of the clause in quotes: {{% agreement_clause "2.10" %}}.'
        raise TemplateSyntaxError(msg)
    number, at = number.strip().rstrip("."), timezone.now()
    timeline = _timeline(slug, at, f'{{% agreement_clause "{number}" "SLUG" %}}', report)
    dated = timeline.in_force(at) if timeline else None
    if not timeline or not dated:
        known = timeline.slug if timeline else ""
        return _empty_citation(
            number, path=_reverse("current", known, app=app) if known else _reverse("index", app=app)
        )
    displayed = _display(timeline, dated, at)
    page = _reverse("edition", timeline.slug, dated.number, app=app)
    found = _quoted(dated, timeline.time_zone, displayed.language, number, page)
    if found is None:
        (report or _report)(
            f"A page cites clause {number!r}, which edition {dated.number} of {timeline.slug!r} does not have."
        )
        return _empty_citation(number, path=_reverse("current", timeline.slug, app=app), displayed=displayed)
    return _citation(found, page, displayed)


def clause_numbers(slug: str) -> tuple[str, ...]:
    """The numbers of the units in the edition in force of the agreement with that slug, such as ``"1"`` and ``"1.1"``:
    sections, clauses, sub-clauses, items and appendices, in the order of the text that the page displays. Each is a
    number that :func:`cite_clause` finds. Empty if no edition is in force, or if no agreement has that slug.
    """
    at = timezone.now()
    timeline = current_timelines().agreements.get(slug)
    dated = timeline.in_force(at) if timeline else None
    if not timeline or not dated:
        return ()
    return tuple(dict.fromkeys(unit.number for unit in _display(timeline, dated, at).document.units if unit.number))


def ready_citations(displayed: DisplayedEdition, language: str, address: str) -> dict[str, str]:
    """The citations of the clauses of the edition, ready to paste, by their numbers. Each has the title and the number
    of the edition, its validity (``DisplayedEdition.brief``, such as "in force since 30 November 2026"), the name of
    the clause, and its URL. They are in ``language`` (``kk`` or ``ru``), whatever language ``displayed`` and the page
    have. ``address`` is the permanent URL of the edition. Clauses without a number are left out. If the edition was
    read with its texts and its agreement, no query is made.
    """
    shown = replace(displayed, language=language)
    with translation.override(language):
        brief = shown.brief[:1].lower() + shown.brief[1:]
        source = f"{shown.title}, {_('edition %(number)s') % {'number': shown.edition.number}} ({brief})"
        return {
            unit.number: f"{source}, {unit_name(unit)}. {address}#{unit.number}"
            for unit in shown.document.units
            if unit.kind == "clause" and unit.number
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class BannerEdition:
    """An edition for a banner: one that took effect recently, or an announced one. It has the paths of its page and of
    its changes.
    """

    displayed: DisplayedEdition
    path: str
    """The path of the page of the edition."""
    changes: str
    """The path of the page with the changes from the edition that it replaced or will replace; ``""`` if there is none.
    """


def banner_editions(slug: str = "", *, days: int = 10, app: str | None = None) -> list[BannerEdition]:
    """The editions for a banner. For each agreement, the list contains the edition in force if that replaced another
    one less than ``days`` days (of 24 hours) ago, and after it the next announced edition if the site displays
    scheduled editions. An announced edition is contained also if it is the first one.

    The agreements are in the order of their slugs. With a slug, only that agreement is considered. For an unknown slug
    the list is empty; nothing is raised or logged. ``app`` is the instance namespace for ``reverse()``, as in
    :func:`agreement_path`.
    """
    at = timezone.now()
    agreements = current_timelines().agreements
    found = []
    for timeline in [agreements[slug]] if slug in agreements else () if slug else agreements.values():
        in_force, announced = timeline.in_force(at), _announced(timeline, at)
        if in_force and timeline.predecessor(in_force) and at - in_force.effective_from < timedelta(days=days):
            found.append((timeline, in_force))
        if announced:
            found.append((timeline, announced))
    return [
        BannerEdition(
            displayed=_display(timeline, dated, at),
            path=_reverse("edition", timeline.slug, dated.number, app=app),
            changes=_reverse("changes", timeline.slug, dated.number, app=app) if timeline.predecessor(dated) else "",
        )
        for timeline, dated in found
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class CitedChanges:
    """What an edition changed, for another page: the comparison, and the path of the page that displays it."""

    comparison: Comparison
    """The edition, compared with the one that it replaced or will replace."""
    path: str
    """The path of the page with the changes."""


def cite_changes(slug: str, number: int | None = None) -> CitedChanges | None:
    """The changes that the edition with that number makes, of the agreement with that slug; without a number, those of
    the edition in force. ``None`` if there is no such agreement, if it has no such edition that anyone may read, or if
    the edition has no predecessor.

    At most 1 query for each of the two editions, and none if the process remembers them, apart from the queries of
    :func:`agreement.editions.timeline.current_timelines`.
    """
    at = timezone.now()
    timeline = current_timelines().agreements.get(slug)
    if timeline is None:
        return None
    public = {edition.number: edition for edition in timeline.public(at)}
    dated = timeline.in_force(at) if number is None else public.get(number)
    before = timeline.predecessor(dated) if dated else None
    if not dated or not before:
        return None
    comparison = Comparison(_display(timeline, before, at), _display(timeline, dated, at))
    return CitedChanges(comparison=comparison, path=_reverse("changes", slug, dated.number, app=None))


def _timeline(slug: str, at: datetime, example: str, report: Callable[[str], None] | None = None) -> Timeline | None:
    """The timeline of the agreement with that slug; without a slug, of ``DEFAULT_AGREEMENT`` or, if this setting is
    empty, of the site's only agreement. Agreements that have no public edition at the instant ``at`` are not
    considered.

    ``None``, without a message, if there are no agreements, or if the slug is missing and the agreement of
    ``DEFAULT_AGREEMENT`` has no public edition yet. Otherwise an unknown slug, and a missing slug if there are several
    agreements, raise ``TemplateSyntaxError`` while ``DEBUG`` is on. While it is off, they are logged, and the result is
    ``None``. With ``report``, that function is called with the message instead, and the result is ``None``. ``example``
    is the template tag with a slug, for the message.
    """
    report = report or _report
    public = {slug: timeline for slug, timeline in current_timelines().agreements.items() if timeline.public(at)}
    if not slug and (default := conf.get().DEFAULT_AGREEMENT):
        return public.get(default)
    if slug in public or not public:
        return public.get(slug)
    known = ", ".join(sorted(public))
    if slug:
        report(f"A page names the agreement {slug!r}, which has no published edition. These agreements do: {known}.")
        return None
    if len(public) > 1:
        report(f"The site has several agreements ({known}). Name one of them: {example}, or set DEFAULT_AGREEMENT.")
        return None
    return next(iter(public.values()))


def _announced(timeline: Timeline, at: datetime) -> EditionDates | None:
    return timeline.announced(at) if conf.get().SHOW_SCHEDULED else None


def _display(timeline: Timeline, dated: EditionDates, at: datetime) -> DisplayedEdition:
    return DisplayedEdition.from_timeline(_sealed(dated, timeline.time_zone), timeline, at)


@remembered
@lru_cache(maxsize=16)
def _sealed(dated: EditionDates, time_zone: str) -> Edition:
    """The edition with these dates, with its agreement. 1 query if it is not remembered; the 16 that were used last are
    remembered. ``time_zone`` is only a part of the key of the cache, so that a remembered agreement has its present
    time zone.
    """
    found: Edition = Edition.objects.select_related("agreement").get(pk=dated.pk)
    return found


@remembered
@lru_cache(maxsize=256)
def _quoted(dated: EditionDates, time_zone: str, language: str, number: str, page: str) -> Quote | None:
    """The unit with that number in ``language`` (the first, if several have it); ``None`` if the edition has none.
    ``page`` is the path of the page of the edition, to which links to clauses in the quotation lead. ``time_zone``,
    that of the agreement, is only a part of the keys of this cache and of that of :func:`_sealed`.
    """
    return quote(clauses.parse(_sealed(dated, time_zone).text(language).body), number, page)


def _citation(found: Quote, page: str, displayed: DisplayedEdition) -> Citation:
    unit = found.unit
    return Citation(
        number=unit.number,
        label=unit.label or unit.number,
        name=unit_name(unit),
        text=unit.text,
        html=mark_safe(found.html),  # noqa: S308 - made by nh3
        path=f"{page}#{unit.anchor}",
        title=displayed.title,
        edition=displayed.edition.number,
        language=displayed.language,
        clauses=tuple(_citation(under, page, displayed) for under in found.quotes),
    )


def _empty_citation(number: str, *, path: str, displayed: DisplayedEdition | None = None) -> Citation:
    return Citation(
        number=number,
        label=number,
        name=number,
        text="",
        html=SafeString(""),
        path=path,
        title=displayed.title if displayed else "",
        edition=displayed.edition.number if displayed else None,
        language=displayed.language if displayed else "",
    )


def _reverse(name: str, *args: object, app: str | None) -> str:
    """The path of the page of the app with that URL name, such as ``edition``, in the active language or, if the site
    has no such page in that language, in the first of its languages that has one. ``args`` are the arguments of the
    path, and ``app`` is passed to ``reverse()`` as ``current_app``. Raises ``NoReverseMatch`` if no language has one.
    """
    for language in (translation.get_language(), *dict(settings.LANGUAGES)):
        with translation.override(language), suppress(NoReverseMatch):
            return reverse(f"agreement:{name}", args=args, current_app=app)
    return reverse(f"agreement:{name}", args=args, current_app=app)


def _report(message: str) -> None:
    """Raise ``TemplateSyntaxError`` while ``DEBUG`` is on; otherwise log the message as a warning, as :func:`log_once`
    does.
    """
    if settings.DEBUG:
        raise TemplateSyntaxError(message)
    log_once(message)


@remembered
@lru_cache(maxsize=64)
def log_once(message: str) -> None:
    """Log a message as a warning. A process does not log it again while it is among the 64 messages that were used
    last, because a page may be requested often.
    """
    logger.warning(message)
