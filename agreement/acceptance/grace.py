"""The editions that the user of a request may still accept later, because they give users days to accept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from agreement import conf
from agreement.conf import active_language
from agreement.editions.display import DisplayedEdition
from agreement.editions.timeline import current_timelines
from agreement.models import Acceptance, Edition
from agreement.models.fields import SiteUser
from agreement.models.membership import unbound_agreements
from agreement.text import dates


@dataclass(frozen=True, slots=True, kw_only=True)
class Grace:
    """An edition in force that a user has not accepted yet, while an earlier acceptance still counts."""

    displayed: DisplayedEdition
    until: datetime
    """The moment until which the earlier acceptance counts."""

    @property
    def sentence(self) -> str:
        """Sentences in the active language: when the time to accept ends, and that the earlier acceptance still counts
        until then.
        """
        return sentence(self.until, self.displayed.edition.agreement.time_zone)


def sentence(until: datetime, time_zone: str) -> str:
    """Sentences in the active language for a user who may go on until that moment: when the time to accept ends, and
    that the earlier acceptance still counts until then. ``time_zone`` is the name of the time zone in which the end is
    written. It makes no query.
    """
    day = dates.last_day(until, active_language(), time_zone)
    return _("The time to accept ends: %(day)s. Until then, your earlier acceptance still counts.") % {"day": day}


def of_request(request: HttpRequest) -> list[Grace]:
    """Return a :class:`Grace` for each edition in force that the user of this request has not accepted while an earlier
    acceptance still counts, in the order of the slugs. Agreements that do not bind the user are left out. The list is
    empty if nobody is signed in, or if the user is staff and the setting ``EXEMPT_STAFF`` is true.

    It makes no query of its own if no edition gives days to accept at this moment, if nobody is signed in, or for such
    staff; otherwise 1, 1 more if the site has ``AUDIENCES``, and 1 more if the list is not empty.
    """
    at, timelines = timezone.now(), current_timelines().agreements.values()
    in_grace = {timeline.key: timeline for timeline in timelines if timeline.gives_grace(at)}
    user: SiteUser = getattr(request, "user", None)
    if not in_grace or user is None or not user.is_authenticated:
        return []
    if conf.get().EXEMPT_STAFF and getattr(user, "is_staff", False):
        return []
    rows = Acceptance.objects.with_current(user.pk).filter(edition__agreement__in=in_grace)
    accepted = {row.edition_id for row in rows if row.current}
    unbound = unbound_agreements(user.pk)
    found = {
        edition.pk: (timeline, until)
        for timeline in in_grace.values()
        if timeline.slug not in unbound
        and (edition := timeline.in_force(at))
        and (until := timeline.grace_until(accepted, at))
    }
    editions = (
        Edition.objects.select_related("agreement").without_texts("body", "summary").in_bulk(found) if found else {}
    )
    return [
        Grace(displayed=DisplayedEdition.from_timeline(editions[pk], timeline, at), until=until)
        for pk, (timeline, until) in found.items()
    ]
