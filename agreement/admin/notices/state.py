"""The state of notices in lists: a badge, a filter, and the notices in the list of editions."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from agreement.admin.base import short_moment
from agreement.models import Edition, Notice, Progress
from agreement.models.ledger_labels import reason_in_words
from agreement.models.notices import NoticeQuerySet
from agreement.models.progress import NoticeState
from agreement.notices.forecast import foreseen_state


def notices_with_state() -> NoticeQuerySet:
    """Return all notices with what :func:`state_of` needs. The queryset is not evaluated; it makes 2 queries, however
    many notices there are.
    """
    notices: NoticeQuerySet = Notice.objects.with_edition().with_overtaking()
    return notices.prefetch_related(Prefetch("progress", Progress.objects.with_gone()))


def state_of(notice: Notice) -> NoticeState:
    """Return the present state of a notice. For a result of :func:`notices_with_state` it makes no query, except for
    the notice of a cancellation whose deliveries are not written yet (:func:`foreseen_state`).
    """
    return foreseen_state(notice, notice.progress.all())


def state_badge(notice: Notice) -> SafeString:
    """Return the state of a notice as HTML. For a notice that waits for the time of its first message, that time
    follows, in the time zone of the lists. For a notice that is no longer needed, the reason follows; it is left out
    if there is none now (``Notice.skip_reason()`` is ``""``). If no message of such a notice was sent, its state is
    displayed as "not sent".
    """
    state, reason = state_of(notice), ""
    label = str(state.label)
    if state == NoticeState.DELAY:
        reason = short_moment(notice.due_at)
    if state == NoticeState.OVERTAKEN:
        reason = reason_in_words(notice.skip_reason(timezone.now()))
        label = label if any(row.sent for row in notice.progress.all()) else gettext("not sent")
    sentence = f"{label}: {reason}" if reason else label
    return format_html('<span class="agreement-notice-{} agreement-state">{}</span>', state.value, sentence)


def with_notices(editions: QuerySet[Edition]) -> QuerySet[Edition]:
    """Return the editions with their notices, for :func:`edition_notices`. The queryset is not evaluated. The notices
    make 2 more queries, however many editions and notices there are.
    """
    return editions.prefetch_related(Prefetch("notices", notices_with_state().order_by("pk")))


def edition_notices(edition: Edition, admin_name: str) -> SafeString:
    """Return links to the notices of an edition, each with its state as in the list of notices, as HTML; ``""`` if
    there are none. ``admin_name`` is the name of the admin site. It makes no query for an edition of
    :func:`with_notices`.
    """
    links = [
        (reverse(f"{admin_name}:agreement_notice_sending", args=[notice.pk]), state_badge(notice))
        for notice in edition.notices.all()
    ]
    return format_html_join(mark_safe("<br>"), '<a href="{}">{}</a>', links)


class StateFilter(admin.SimpleListFilter):
    """Selects the notices in one state. The states of all notices are computed, because there are few notices, whatever
    the number of users. 2 queries, if a state is selected.
    """

    title = _("state of the notice")
    parameter_name = "state"
    #: The look-up path from a row of the list to its notice.
    notice = "pk"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, Any]]:
        return list(NoticeState.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() is None:
            return queryset
        keys = [notice.pk for notice in notices_with_state() if state_of(notice) == self.value()]
        return queryset.filter(**{f"{self.notice}__in": keys}).distinct()


class EditionStateFilter(StateFilter):
    """Selects the editions with a notice in one state. For readers who may not view notices, the filter is not
    displayed, and its parameter in the URL has no effect.
    """

    notice = "notices"

    def has_output(self) -> bool:
        return self.may_view and super().has_output()

    def __init__(
        self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: admin.ModelAdmin[Any]
    ) -> None:
        self.may_view = request.user.has_perm("agreement.view_notice")
        super().__init__(request, params, model, model_admin)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return super().queryset(request, queryset) if self.may_view else queryset
