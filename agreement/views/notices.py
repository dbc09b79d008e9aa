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
    """The moment when the notice was due, in words, in the language of the page."""
    base_number: int | None = None
    """The highest number of an edition that this user accepted and that was not cancelled, if it is less than that of
    the notice's edition; else ``None``. A withdrawal after the acceptance makes no difference.
    """
    changes: Comparison | None = None
    """The changes from the edition ``base_number`` to that of the notice. In each agreement, only the latest notice
    that has a ``base_number`` and whose edition was not cancelled has them; ``None`` for the others."""

    @property
    def is_new(self) -> bool:
        """Whether the notice had not been marked as read for this user before this page."""
        return getattr(self.notice, "read_at", None) is None


@account_page("GET", "HEAD")
def notices(visit: Visit) -> HttpResponse:
    """The page with the latest ``USER_PAGE_NOTICES`` notices to this user (see ``Notice.objects.for_user()``), the
    latest first. A notice about an edition that ``visit.timelines`` does not contain yet is left out.

    The new ones among them are marked as read after rendering, so this page still displays them as new. They are not
    marked if the request is not a use by a person (:func:`agreement.acceptance.requests.is_use`), such as a HEAD
    request, a prefetch or a request of a script, or if another person acts in the name of the user.
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
    if not visit.impersonation and requests.is_use(visit.request):  # Not if the browser only prefetches the page.
        Notice.objects.mark_read(user, [one.notice for one in displayed if one.is_new], at=visit.at)
    return response


def _changes(visit: Visit, timeline: Timeline, old: int, new: int) -> Comparison:
    """Return the changes from the edition with the primary key ``old`` to the one with ``new``, in the language in
    which the new one is displayed. 1 query.
    """
    editions = Edition.objects.select_related("agreement").in_bulk([old, new])
    before, after = (DisplayedEdition.from_timeline(editions[key], timeline, visit.at) for key in (old, new))
    return Comparison(replace(before, language=after.language), after)
