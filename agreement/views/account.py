"""What the pages of a signed-in user share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import wraps

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_http_methods

from agreement.conf import active_language
from agreement.editions.changes import Comparison
from agreement.editions.display import DisplayedEdition
from agreement.editions.timeline import Timeline, fresh_timelines
from agreement.models import Acceptance, AcceptanceKind
from agreement.text import dates
from agreement.views.base import Visit

AccountView = Callable[..., HttpResponseBase]


def account_page(*methods: str) -> Callable[[AccountView], Callable[..., HttpResponseBase]]:
    """Turn a view that takes a :class:`Visit` into a view for a request of a signed-in user, by one of those methods.

    No cache stores the page, and a form that another site sends is refused. A visitor is sent to the login.
    """

    def decorate(view: AccountView) -> Callable[..., HttpResponseBase]:
        @wraps(view)
        def answer(request: HttpRequest, **arguments: object) -> HttpResponseBase:
            response: HttpResponseBase
            if request.user.is_authenticated:
                # Cached dates can be a second old, and the answer is going to bind the user.
                response = view(Visit(request, timezone.now(), fresh_timelines(), {}), **arguments)
            elif request.method == "POST":
                raise PermissionDenied
            else:
                response = redirect_to_login(request.get_full_path())
            response.headers["Cache-Control"] = "private, no-store"
            return response

        protected: Callable[..., HttpResponseBase] = csrf_protect(require_http_methods(methods)(answer))
        return protected

    return decorate


@dataclass(frozen=True, slots=True, kw_only=True)
class DisplayedAcceptance:
    """An acceptance as a page displays it."""

    acceptance: Acceptance
    edition: DisplayedEdition
    at: str
    changes: Comparison | None = None
    """The changes since the edition that was accepted before."""

    @property
    def evidence_note(self) -> str:
        """A sentence: what a deemed acceptance does not prove. Empty for other kinds."""
        acceptance = self.acceptance
        if acceptance.kind != AcceptanceKind.DEEMED:
            return ""
        if acceptance.notice_sent:
            return _("The text was not displayed then; the notice about it had been sent.")
        return _("The text was not displayed then, and no notice about it had been sent.")


def display_acceptance(
    acceptance: Acceptance, timeline: Timeline, edition: DisplayedEdition, changes: Comparison | None = None
) -> DisplayedAcceptance:
    at = dates.instant(acceptance.at, active_language(), timeline.time_zone)
    return DisplayedAcceptance(acceptance=acceptance, edition=edition, at=at, changes=changes)


def user_acceptances(visit: Visit) -> dict[int, list[Acceptance]]:
    """This user's acceptances by agreement, each list in the order of the editions. 1 query."""
    rows = Acceptance.objects.with_current(visit.request.user.pk).select_related("edition")
    rows = rows.order_by("edition__number", "round").defer(*text_columns("edition"))
    found: dict[int, list[Acceptance]] = defaultdict(list)
    for row in rows:
        if timeline := visit.timelines.containing(row.edition_id):
            found[timeline.key].append(row)
    return found


def without_cancelled(rows: Iterable[Acceptance]) -> list[Acceptance]:
    """The acceptances whose edition was not cancelled. An edition that was accepted when it was announced, and never
    took effect, bound nobody.
    """
    return [row for row in rows if row.edition.cancelled_at is None]


def text_columns(relation: str) -> list[str]:
    """The columns of the edition behind that relation that hold its text. Pages that do not display it defer them."""
    return [f"{relation}__{column}" for column in ("body", "body_kk", "body_ru")]


def next_path(request: HttpRequest) -> str:
    """The path of this site to which the user returns after the page; empty if the request names none."""
    path = request.POST.get("next") or request.GET.get("next") or ""
    safe = path.startswith("/") and url_has_allowed_host_and_scheme(
        path, allowed_hosts=None, require_https=request.is_secure()
    )
    return path if safe else ""
