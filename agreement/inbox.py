"""A signed-in user's notices: what is new in the agreements, and what changed since the edition he joined."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpResponse

from agreement import dates, origin
from agreement.compared import Compared
from agreement.models import Edition, Notice
from agreement.models.notices import LATEST
from agreement.pages import Visit
from agreement.personal import LONG, binding, joined_by, personal
from agreement.shown import Shown, frame


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A notice in the words of a page."""

    notice: Notice
    edition: Shown
    at: str
    since: int | None = None
    """The number of the edition this user joined, if that is an earlier one."""
    changes: Compared | None = None
    """From the edition this user joined to this one: in the latest notice of an agreement alone, which says it all."""

    @property
    def new(self) -> bool:
        """Has the user not looked at it before?"""
        return getattr(self.notice, "read_at", None) is None


@personal("GET", "HEAD")
def notices(visit: Visit) -> HttpResponse:
    """What this user is told, the latest first; looking at it is reading it. 3 queries, 2 an agreement that changed,
    and 1 if anything is new.
    """
    user = cast(AbstractBaseUser, visit.request.user)
    found = list(Notice.objects.for_user(user, at=visit.at).defer(*(f"edition__{name}" for name in LONG))[:LATEST])
    by_key = {timeline.key: timeline for timeline in visit.timelines.agreements.values()}
    joined, told, explained = joined_by(visit), [], set()
    for notice in found:
        timeline = by_key[notice.edition.agreement_id]
        shown = Shown.of(notice.edition, timeline, visit.at)
        before, number = next(reversed(binding(joined[timeline.key])), None), notice.edition.number or 0
        since = before.edition.number if before and (before.edition.number or 0) < number else None
        changes = None
        if since and before and timeline.key not in explained and not notice.edition.cancelled_at:
            explained.add(timeline.key)
            whole = Edition.objects.select_related("agreement").in_bulk([before.edition_id, notice.edition_id])
            old, new = (Shown.of(whole[key], timeline, visit.at) for key in (before.edition_id, notice.edition_id))
            changes = Compared(replace(old, language=new.language), new)
        at = dates.instant(notice.due_at, frame(), timeline.time_zone)
        told.append(Told(notice=notice, edition=shown, at=at, since=since, changes=changes))
    response = visit.render("agreement/notices.html", {"told": told})
    if origin.enters(visit.request):  # What a browser fetches beforehand nobody has read.
        Notice.objects.mark_read(user, [one.notice for one in told if one.new], at=visit.at)
    return response
