"""The page with the notices to a signed-in user, and the changes since the last edition that they know."""

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
from agreement.models import Edition, Notice, NoticeKind, knowledge, succession
from agreement.models.notices import USER_PAGE_NOTICES
from agreement.models.succession import EditionDates
from agreement.text import dates
from agreement.views.account import account_page, text_columns
from agreement.views.base import Visit


@dataclass(frozen=True, slots=True, kw_only=True)
class DisplayedNotice:
    """A notice for the page of notices, with its edition, its moment in words and the changes that it announces."""

    notice: Notice
    displayed: DisplayedEdition
    """The edition that the notice is about."""
    at: str
    """The moment when the notice was due, in words, in the language of the page."""
    since: int = 0
    """The number of the earlier edition with which the notice compares its edition for this user: see
    :meth:`agreement.models.knowledge.History.since`. 0 if there is none, and for a notice that describes no changes.
    """
    also_covered: tuple[DisplayedEdition, ...] = ()
    """The editions with a number between ``since`` and that of the notice, without cancelled ones and those about which
    the page displays a notice, the highest number first. An example is an edition whose notice was paused before it was
    due. Empty for a notice of a breach or about a cancelled edition.
    """
    changes: Comparison | None = None
    """The changes from the edition ``since`` to that of the notice. In each agreement, only the latest notice that has
    a ``since`` and whose edition was not cancelled has them; ``None`` for the others."""

    @property
    def breach_words(self) -> str:
        """The words of the notice of a breach of personal data; ``""`` for any other notice."""
        return self.notice.breach.text(self.displayed.language) if self.notice.kind == NoticeKind.BREACH else ""

    @property
    def breach_known(self) -> str:
        """The day on which the breach became known, in the language of the page; ``""`` for any other notice."""
        if self.notice.kind != NoticeKind.BREACH:
            return ""
        zone = self.notice.edition.agreement.time_zone
        return dates.day(self.notice.breach.known_at, active_language(), zone)

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
    rows = Notice.objects.for_user(user, at=visit.at).defer(*text_columns("edition"))[:USER_PAGE_NOTICES]
    found = [(row, timeline) for row in rows if (timeline := visit.timelines.containing(row.edition_id))]
    since = knowledge.since_by_notice(user, [row for row, _timeline in found])
    binding = [
        (row, timeline) for row, timeline in found if row.kind != NoticeKind.BREACH and not row.edition.cancelled_at
    ]
    covered = {row.pk: _covered(row, timeline, since[row.pk]) for row, timeline in binding}
    own = {row.edition_id for row, _timeline in found if row.kind != NoticeKind.BREACH}
    others = {dated.pk: (timeline, dated) for row, timeline in binding for dated in covered[row.pk]}
    texts = {
        one.edition.pk: one for one in visit.display_without_texts(pair for pk, pair in others.items() if pk not in own)
    }
    displayed, explained = [], set()
    for notice, timeline in found:
        changes = None
        if since[notice.pk] and timeline.key not in explained and notice.pk in covered:
            explained.add(timeline.key)
            changes = _changes(visit, timeline, since[notice.pk], notice.edition_id)
        displayed.append(
            DisplayedNotice(
                notice=notice,
                displayed=DisplayedEdition.from_timeline(notice.edition, timeline, visit.at),
                at=dates.instant(notice.due_at, active_language(), timeline.time_zone, seconds=False),
                since=since[notice.pk],
                also_covered=tuple(texts[one.pk] for one in reversed(covered.get(notice.pk, ())) if one.pk in texts),
                changes=changes,
            )
        )
    context = {"notices": displayed, "new": [one for one in displayed if one.is_new]}
    response = visit.render("agreement/account/notices.html", context)
    if not visit.impersonation and requests.is_use(visit.request):  # Not if the browser only prefetches the page.
        Notice.objects.mark_read(user, [one.notice for one in displayed if one.is_new], at=visit.at)
    return response


def _covered(notice: Notice, timeline: Timeline, since: int) -> tuple[EditionDates, ...]:
    dated = next(one for one in timeline.editions if one.pk == notice.edition_id)
    return succession.covered_editions(dated, timeline.editions, since=since)


def _changes(visit: Visit, timeline: Timeline, since: int, new: int) -> Comparison:
    """Return the changes from the edition with the number ``since`` to the one with the primary key ``new``, in the
    language in which the new one is displayed. 1 query.
    """
    old = next(dated.pk for dated in timeline.editions if dated.number == since)
    editions = Edition.objects.select_related("agreement").in_bulk([old, new])
    before, after = (DisplayedEdition.from_timeline(editions[key], timeline, visit.at) for key in (old, new))
    return Comparison(replace(before, language=after.language), after)
