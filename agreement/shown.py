"""An edition in the words of a page: its state and its sentence of validity, in the page's language."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import get_language
from django.utils.translation import gettext as _

from agreement import conf, dates
from agreement.gate import Timeline
from agreement.lineage import Dated
from agreement.models import Edition
from agreement.models.editions import State
from agreement.text import clauses


def frame() -> str:
    """The language of what surrounds a text: ``kk``, ``ru``, or another, for which dates are English."""
    return (get_language() or "").partition("-")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """An edition as a page in the active language shows it at one instant."""

    edition: Edition
    at: datetime
    state: State
    language: str
    """Of the text: the page's language, or the prevailing one where an edition has no text in that."""
    before: Dated | None
    """The edition it replaced, or is to replace."""
    after: Dated | None
    """The edition that replaced it, or, where the site shows what is scheduled, is to replace it."""

    @classmethod
    def of(cls, edition: Edition, timeline: Timeline, at: datetime) -> Shown:
        """``edition`` is one of the timeline's. No query."""
        dated = next(dated for dated in timeline.editions if dated.pk == edition.pk)
        state, after, language = timeline.state(dated, at), timeline.after(dated), frame()
        if after and state != State.SUPERSEDED and not conf.get().SHOW_SCHEDULED:
            after = None
        return cls(
            edition=edition,
            at=at,
            state=state,
            language=language if language in conf.LANGUAGES else edition.prevailing_language or conf.LANGUAGES[0],
            before=timeline.before(dated),
            after=after,
        )

    @property
    def title(self) -> str:
        return self._text("title")

    @property
    def approval(self) -> str:
        return self._text("approval")

    @property
    def summary(self) -> str:
        return self._text("summary")

    @property
    def document(self) -> clauses.Document:
        return clauses.parse(self._text("body"))

    @property
    def sections(self) -> list[clauses.Clause]:
        return [clause for clause in self.document.clauses if clause.kind == "section"]

    @property
    def validity(self) -> str:
        """When the edition binds, bound or would have bound, and what it replaced: one or two sentences."""
        before = self.before
        replaced = {
            State.SCHEDULED: _("It will replace edition %(number)s."),
            State.IN_FORCE: _("It replaced edition %(number)s."),
            State.SUPERSEDED: _("It replaced edition %(number)s."),
        }.get(self.state)
        return f"{self.interval} {replaced % {'number': before.number}}" if before and replaced else self.interval

    @property
    def interval(self) -> str:
        """When the edition binds, bound or would have bound, in a sentence."""
        edition = self.edition
        values = self._moment("since", edition.effective_from, "from")
        if self.state == State.CANCELLED:
            values = self._moment("on", edition.effective_from, "on")
            return _("It was to take effect on %(on)s, %(on_clock)s (%(on_zone)s), and never did.") % values
        if self.state == State.SCHEDULED:
            values = self._moment("on", edition.effective_from, "on")
            return _("It takes effect on %(on)s, %(on_clock)s (%(on_zone)s).") % values
        if self.after is None:
            return _("In force since %(since)s, %(since_clock)s (%(since_zone)s).") % values
        values |= self._moment("until", self.after.effective_from, "until")
        if self.state == State.SUPERSEDED:
            pattern = _(
                "In force from %(since)s, %(since_clock)s (%(since_zone)s),"
                " to %(until)s, %(until_clock)s (%(until_zone)s); superseded since."
            )
        else:
            pattern = _(
                "In force since %(since)s, %(since_clock)s (%(since_zone)s),"
                " and until %(until)s, %(until_clock)s (%(until_zone)s)."
            )
        return pattern % values

    @property
    def prevails(self) -> str:
        """Which text decides where the two differ, in a sentence; empty where the edition states none."""
        return {
            "kk": _("Where the texts differ, the Kazakh text prevails."),
            "ru": _("Where the texts differ, the Russian text prevails."),
        }.get(self.edition.prevailing_language, "")

    @property
    def foreign(self) -> str:
        """Why the text is in another language than the page; empty where it is not."""
        if self.language == frame():
            return ""
        return {
            "kk": _("The agreement is written in Kazakh and Russian; this is the Kazakh text."),
            "ru": _("The agreement is written in Kazakh and Russian; this is the Russian text."),
        }[self.language]

    @property
    def effective(self) -> str:
        return self._instant(self.edition.effective_from)

    @property
    def since(self) -> str:
        """The day it takes effect, or took."""
        at = self.edition.effective_from
        return dates.day(at, frame(), self.edition.agreement.time_zone) if at else ""

    @property
    def published(self) -> str:
        return self._instant(self.edition.published_at)

    @property
    def recorded(self) -> str:
        return self._instant(self.edition.recorded_at)

    @property
    def cancelled(self) -> str:
        return self._instant(self.edition.cancelled_at)

    def _text(self, name: str) -> str:
        return getattr(self.edition, f"{name}_{self.language}") or ""

    def _instant(self, at: datetime | None) -> str:
        return dates.instant(at, frame(), self.edition.agreement.time_zone) if at else ""

    def _moment(self, name: str, at: datetime | None, case: dates.Case) -> dict[str, str]:
        """The parts of a moment, each by itself: languages put them, and bend them, in their own ways."""
        if at is None:
            return {}
        zone = self.edition.agreement.time_zone
        return {
            name: dates.day(at, frame(), zone, case),
            f"{name}_clock": dates.clock(at, zone),
            f"{name}_zone": dates.zone(at, frame(), zone),
        }
