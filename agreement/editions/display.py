"""Editions as pages display them: the texts in Kazakh or Russian, the state, and sentences in the active language."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.translation import gettext as _

from agreement import conf
from agreement.conf import active_language
from agreement.editions.timeline import Timeline, current_timelines
from agreement.models import Edition
from agreement.models.succession import EditionDates, State
from agreement.text import clauses, dates, languages
from agreement.text.front_matter import front_matter

#: How long the page of an edition displays its summary open, after the edition took effect.
NEW = timedelta(days=30)


def text_language(prevailing: str = "") -> str:
    """The language of the texts on the page: the active language without its region if that is ``kk`` or ``ru``; else
    ``prevailing``, the prevailing language of the edition; else, if ``prevailing`` is empty, ``kk``.
    """
    language = active_language()
    return language if language in languages.LANGUAGES else prevailing or languages.LANGUAGES[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class DisplayedEdition:
    """An edition as a page displays it at one instant. Its sentences and moments are in the active language, and its
    texts in ``language``. The moments are in the time zone of the agreement.
    """

    edition: Edition
    at: datetime
    """The instant at which the edition has this ``state``; normally that of the request."""
    state: State
    language: str
    """The language of the text, ``kk`` or ``ru``: see :func:`text_language`."""
    predecessor: EditionDates | None
    """The edition that it replaced, will replace or would have replaced: see :meth:`Timeline.predecessor`. ``None`` if
    there is none, and in the preview of a draft."""
    successor: EditionDates | None
    """The edition that replaced it or will replace it; ``None`` if there is none, and in the preview of a draft. For a
    cancelled edition, it is the next edition that was not cancelled. If the setting ``SHOW_SCHEDULED`` is false, only a
    superseded edition has a successor here."""

    @classmethod
    def from_timeline(cls, edition: Edition, timeline: Timeline, at: datetime) -> DisplayedEdition:
        """The edition as it is displayed at that instant. ``edition`` must be in the timeline, which determines its
        state, its predecessor and its successor. ``language`` is the result of :func:`text_language` at this call. It
        makes no query.
        """
        dated = next(dated for dated in timeline.editions if dated.pk == edition.pk)
        state, successor = timeline.state(dated, at), timeline.successor(dated)
        if successor and state != State.SUPERSEDED and not conf.get().SHOW_SCHEDULED:
            successor = None
        return cls(
            edition=edition,
            at=at,
            state=state,
            language=text_language(edition.prevailing_language),
            predecessor=timeline.predecessor(dated),
            successor=successor,
        )

    @property
    def title(self) -> str:
        """The title in ``language``."""
        return self._text("title")

    @property
    def approval(self) -> str:
        """The statement of who approved the edition, in ``language``; ``""`` if there is none."""
        return self._text("approval")

    @property
    def approval_outside(self) -> str:
        """``approval``, to be displayed at the title; ``""`` if it has the same words as the approval that
        :func:`agreement.text.front_matter.front_matter` finds above the title of the text. The order of the words, case
        and punctuation are ignored. If the words differ, for example in the name of a city, ``approval`` is returned.
        """
        own = front_matter(self._text("body")).approval
        return "" if _sorted_words(own) == _sorted_words(self.approval) else self.approval

    @property
    def summary(self) -> str:
        """The summary of the changes in ``language``; ``""`` if the edition was cancelled."""
        return "" if self.state == State.CANCELLED else self._text("summary")

    @property
    def document(self) -> clauses.Document:
        """The parsed text in ``language``."""
        return clauses.parse(self._text("body"))

    @property
    def sections(self) -> list[clauses.Clause]:
        """The sections of the text in order, also those in appendices, for a table of contents. Headings are left out,
        such as the names of appendices.
        """
        return [clause for clause in self.document.clauses if clause.kind == "section"]

    @property
    def summary_heading(self) -> str:
        """The heading of the summary, in the active language: "In short" if ``predecessor`` is ``None``, as for a first
        edition, whose summary states no changes; "What will change" if it is announced; "What was to change" if it was
        cancelled; otherwise "What changed".
        """
        if self.predecessor is None:
            return _("In short")
        headings = {State.SCHEDULED: _("What will change"), State.CANCELLED: _("What was to change")}
        return headings.get(self.state, _("What changed"))

    @property
    def is_news(self) -> bool:
        """Is the edition announced, or is it one in force that took effect less than 30 days ago (``NEW``)?"""
        since = self.edition.effective_from
        recent = self.state == State.IN_FORCE and since is not None and self.at - since < NEW
        return self.state == State.SCHEDULED or recent

    @property
    def brief(self) -> str:
        """One short line without a full stop and without times: the day from which the edition is in force, or on which
        it takes effect. For a superseded edition it also states the day until which it was in force, and for a
        cancelled one that it was cancelled. The edition must have a moment of effect.
        """
        at, successor = self.edition.effective_from, self.successor
        if self.state in {State.SCHEDULED, State.CANCELLED}:
            pattern = {
                State.SCHEDULED: _("Takes effect on %(on)s"),
                State.CANCELLED: _("Was to take effect on %(on)s, but was cancelled"),
            }[self.state]
            return pattern % self._moment("on", at, "on")
        values = self._moment("since", at, "from")
        if self.state == State.IN_FORCE or successor is None:
            return _("In force since %(since)s") % values
        values |= self._moment("until", successor.effective_from, "until")
        return _("In force from %(since)s until %(until)s") % values

    @property
    def headline(self) -> str:
        """The number of the edition and ``brief``, for a place under the title of the agreement: "Edition 3: in force
        since 30 November 2026".
        """
        number = _("Edition %(number)s") % {"number": self.edition.number}
        return f"{number}: {self.brief[:1].lower()}{self.brief[1:]}"

    @property
    def validity(self) -> str:
        """One or two sentences: :attr:`interval`, which states when the edition is or was in force, and, if there is a
        predecessor, the number of the edition that it replaced or will replace. For a cancelled edition, it is
        ``interval`` alone. The edition must have a moment of effect.
        """
        predecessor = self.predecessor
        replaced = {
            State.SCHEDULED: _("It will replace edition %(number)s."),
            State.IN_FORCE: _("It replaced edition %(number)s."),
            State.SUPERSEDED: _("It replaced edition %(number)s."),
        }.get(self.state)
        if predecessor is None or replaced is None:
            return self.interval
        return f"{self.interval} {replaced % {'number': predecessor.number}}"

    @property
    def interval(self) -> str:
        """A sentence that states from when the edition is or was in force, or when it takes effect: the day, the time
        without seconds, and the zone. It states the end for a superseded edition, and for an edition in force that has
        a ``successor``. If both moments have the same zone, it names the zone once. For a cancelled edition, it states
        when that was to take effect and that it was cancelled, but not when it was cancelled. The edition must have a
        moment of effect.
        """
        edition = self.edition
        values = self._moment("since", edition.effective_from, "from")
        if self.state == State.CANCELLED:
            values = self._moment("on", edition.effective_from, "on")
            return _("It was to take effect on %(on)s, %(on_clock)s (%(on_zone)s), but it was cancelled.") % values
        if self.state == State.SCHEDULED:
            values = self._moment("on", edition.effective_from, "on")
            return _("It takes effect on %(on)s, %(on_clock)s (%(on_zone)s).") % values
        if self.successor is None:
            return _("It has been in force since %(since)s, %(since_clock)s (%(since_zone)s).") % values
        values |= self._moment("until", self.successor.effective_from, "until")
        one_zone = values["since_zone"] == values["until_zone"]
        if self.state == State.SUPERSEDED and one_zone:
            pattern = _(
                "It was in force from %(since)s, %(since_clock)s, until %(until)s, %(until_clock)s (%(until_zone)s),"
                " when it was superseded."
            )
        elif self.state == State.SUPERSEDED:
            pattern = _(
                "It was in force from %(since)s, %(since_clock)s (%(since_zone)s), until %(until)s,"
                " %(until_clock)s (%(until_zone)s), when it was superseded."
            )
        elif one_zone:
            pattern = _(
                "It is in force from %(since)s, %(since_clock)s, until %(until)s, %(until_clock)s (%(until_zone)s)."
            )
        else:
            pattern = _(
                "It is in force from %(since)s, %(since_clock)s (%(since_zone)s), until %(until)s,"
                " %(until_clock)s (%(until_zone)s)."
            )
        return pattern % values

    @property
    def prevails(self) -> str:
        """The sentence in the active language that names the prevailing language of the edition; ``""`` if the edition
        states none.
        """
        return {
            "kk": _("Where the texts differ, the Kazakh text prevails."),
            "ru": _("Where the texts differ, the Russian text prevails."),
        }.get(self.edition.prevailing_language, "")

    @property
    def foreign(self) -> str:
        """The sentence that says in which languages the agreement is written, and which of them this text is in, for a
        page in another language. ``""`` if the text is in the active language.
        """
        if self.language == active_language():
            return ""
        return {
            "kk": _("The agreement is written in Kazakh and Russian; this is the Kazakh text."),
            "ru": _("The agreement is written in Kazakh and Russian; this is the Russian text."),
        }[self.language]

    @property
    def effective(self) -> str:
        """The moment of effect in words: the date, the time and the zone. ``""`` if the edition has none."""
        return self._instant(self.edition.effective_from)

    @property
    def since(self) -> str:
        """The day of effect in words, without the time; ``""`` if the edition has no moment of effect."""
        at = self.edition.effective_from
        return dates.day(at, active_language(), self.edition.agreement.time_zone) if at else ""

    @property
    def effect_label(self) -> str:
        """The label of the moment of effect, which a cancelled edition never reached."""
        return _("Was to take effect") if self.state == State.CANCELLED else _("Effective from")

    @property
    def published(self) -> str:
        """The moment of publication in words: the date, the time and the zone. For imported history, it is the moment
        of effect. ``""`` if the edition is not published.
        """
        return self._instant(self.edition.published_at)

    @property
    def recorded(self) -> str:
        """The moment when the edition was sealed, in words: the date, the time and the zone. For imported history, it
        is the moment of the import. ``""`` if the edition is not sealed.
        """
        return self._instant(self.edition.recorded_at)

    @property
    def cancelled(self) -> str:
        """The moment of cancellation in words: the date, the time and the zone; ``""`` if it was not cancelled."""
        return self._instant(self.edition.cancelled_at)

    def _text(self, name: str) -> str:
        return getattr(self.edition, f"{name}_{self.language}") or ""

    def _instant(self, at: datetime | None) -> str:
        return dates.instant(at, active_language(), self.edition.agreement.time_zone) if at else ""

    def _moment(self, name: str, at: datetime | None, case: dates.Case) -> dict[str, str]:
        """The day, the clock time and the zone of a moment, as the placeholders of a translated sentence. The keys are
        ``name`` itself, and ``name`` with the endings ``_clock`` and ``_zone``. Empty if ``at`` is ``None``.

        The three are separate, because each language has its own order of words. ``case`` is the grammatical case of
        the day in Kazakh.
        """
        if at is None:
            return {}
        zone = self.edition.agreement.time_zone
        return {
            name: dates.day(at, active_language(), zone, case),
            f"{name}_clock": dates.clock(at, zone, seconds=False),
            f"{name}_zone": dates.zone(at, active_language(), zone),
        }


def _sorted_words(text: str) -> list[str]:
    return sorted(re.findall(r"\w+", text.casefold()))


def editions_in_force(at: datetime | None = None) -> list[DisplayedEdition]:
    """The edition in force of each agreement at that instant (now), in the order of the agreements' slugs. An agreement
    without an edition in force is left out. For a future instant, announced editions are considered too, also if the
    setting ``SHOW_SCHEDULED`` is false.

    1 query for the texts (none if the list is empty), and at most 2 more if the dates of the editions must be read
    again: see :func:`agreement.editions.timeline.current_timelines`.
    """
    at = at or timezone.now()
    # The timelines decide which edition is in force. A query could find a newer edition, which they do not contain yet.
    timelines = sorted(current_timelines().agreements.values(), key=lambda timeline: timeline.slug)
    binding = {edition.pk: timeline for timeline in timelines if (edition := timeline.in_force(at))}
    rows = Edition.objects.select_related("agreement").in_bulk(binding)
    return [DisplayedEdition.from_timeline(rows[pk], timeline, at) for pk, timeline in binding.items()]


def has_edition_in_force(slug: str, at: datetime | None = None) -> bool:
    """Whether an edition of the agreement with that slug is in force at that instant (now); ``False`` if there is no
    such agreement. No query, except those that read the dates of the editions.
    """
    timeline = current_timelines().agreements.get(slug)
    return bool(timeline and timeline.in_force(at or timezone.now()))
