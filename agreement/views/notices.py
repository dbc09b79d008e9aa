"""The page with the notices to a signed-in user, and the changes since the edition that they accepted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpResponse

from agreement.acceptance import requests
from agreement.conf import active_language
from agreement.editions.changes import Comparison
from agreement.editions.display import DisplayedEdition
from agreement.editions.timeline import Timeline
from agreement.models import Edition, Notice
from agreement.models.notices import USER_PAGE_NOTICES
from agreement.text import dates
from agreement.views.account import account_page, text_columns, user_acceptances, without_cancelled
from agreement.views.base import Visit


@dataclass(frozen=True, slots=True, kw_only=True)
class DisplayedNotice:
    """A notice as a page displays it."""

    notice: Notice
    displayed: DisplayedEdition
    """The edition that the notice is about."""
    at: str
    """The moment when the notice was due, in words."""
    base_number: int | None = None
    """The number of the last edition that this user accepted, if it is earlier than that of the notice; else ``None``.
    """
    changes: Comparison | None = None
    """The changes from the last accepted edition to that of the notice. Only the latest notice of an agreement for
    which there is a ``base_number`` has them, and no notice of a cancelled edition."""

    @property
    def is_new(self) -> bool:
        """Whether the user has not opened the notice before."""
        return getattr(self.notice, "read_at", None) is None


@account_page("GET", "HEAD")
def notices(visit: Visit) -> HttpResponse:
    """The page with the latest ``USER_PAGE_NOTICES`` notices to this user, the latest first. Opening the page marks
    them as read, unless the browser only prefetches it or a script requests it.

    3 queries, one of which reads the dates of the editions; 1 more for each agreement of which changes are displayed;
    and 1 more if a notice is new.
    """
    user = cast(AbstractBaseUser, visit.request.user)
    accepted, displayed, explained = user_acceptances(visit), [], set()
    for notice in Notice.objects.for_user(user, at=visit.at).defer(*text_columns("edition"))[:USER_PAGE_NOTICES]:
        timeline = visit.timelines.containing(notice.edition_id)
        if timeline is None:
            continue
        last = next(reversed(without_cancelled(accepted[timeline.key])), None)
        base = last.edition.number if last and (last.edition.number or 0) < (notice.edition.number or 0) else None
        changes = None
        if base and last and timeline.key not in explained and not notice.edition.cancelled_at:
            explained.add(timeline.key)
            changes = _changes(visit, timeline, last.edition_id, notice.edition_id)
        displayed.append(
            DisplayedNotice(
                notice=notice,
                displayed=DisplayedEdition.from_timeline(notice.edition, timeline, visit.at),
                at=dates.instant(notice.due_at, active_language(), timeline.time_zone),
                base_number=base,
                changes=changes,
            )
        )
    response = visit.render("agreement/account/notices.html", {"notices": displayed})
    if requests.is_use(visit.request):  # Not if the browser only prefetches the page.
        Notice.objects.mark_read(user, [one.notice for one in displayed if one.is_new], at=visit.at)
    return response


def _changes(visit: Visit, timeline: Timeline, old: int, new: int) -> Comparison:
    """Return the changes from the edition with the primary key ``old`` to the one with ``new``. 1 query."""
    editions = Edition.objects.select_related("agreement").in_bulk([old, new])
    before, after = (DisplayedEdition.from_timeline(editions[key], timeline, visit.at) for key in (old, new))
    return Comparison(replace(before, language=after.language), after)
