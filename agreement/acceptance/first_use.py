"""The acceptances that using the site has recorded for a user in the last days, for a note to the user about them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.http import HttpRequest
from django.utils import timezone

from agreement.acceptance.impersonation import current_impersonation
from agreement.conf import active_language
from agreement.editions.display import DisplayedEdition
from agreement.editions.timeline import current_timelines
from agreement.models import Acceptance, AcceptanceKind
from agreement.models.fields import SiteUser
from agreement.text import dates


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstUse:
    """A deemed acceptance of an edition that is in force."""

    displayed: DisplayedEdition
    day: str
    """The day of the acceptance in words, in the active language."""


def of_request(request: HttpRequest, *, days: int) -> list[FirstUse]:
    """Return the deemed acceptances of the user of this request that are at most ``days`` days old, if their edition is
    in force and the user has not withdrawn since, in the order in which they were recorded. The list is empty if nobody
    is signed in, or if another person acts in the name of the user.

    At most 1 query of its own, and none if nobody is signed in.
    """
    user: SiteUser = getattr(request, "user", None)
    if user is None or not user.is_authenticated or current_impersonation(request):
        return []
    at, timelines = timezone.now(), current_timelines()
    rows = Acceptance.objects.with_current(user.pk).filter(kind=AcceptanceKind.DEEMED, at__gt=at - timedelta(days=days))
    rows = rows.select_related("edition__agreement").defer("edition__body", "edition__body_kk", "edition__body_ru")
    found = []
    for row in rows.order_by("recorded_at", "pk"):
        timeline = timelines.containing(row.edition_id)
        in_force = timeline and timeline.in_force(at)
        if timeline and in_force and in_force.pk == row.edition_id and row.current:
            day = dates.day(row.at, active_language(), timeline.time_zone, "on")
            displayed = DisplayedEdition.from_timeline(row.edition, timeline, at)
            found.append(FirstUse(displayed=displayed, day=day))
    return found
