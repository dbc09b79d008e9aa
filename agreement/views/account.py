"""Code that the account pages share. An account page is a page for signed-in users."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import wraps

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.core.handlers.exception import response_for_exception
from django.http import Http404, HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods

from agreement.acceptance.impersonation import current_impersonation
from agreement.conf import active_language
from agreement.editions.changes import Comparison
from agreement.editions.display import DisplayedEdition
from agreement.editions.timeline import Timeline, fresh_timelines
from agreement.models import Acceptance, AcceptanceKind, Withdrawal, WithdrawalOutcome
from agreement.text import dates
from agreement.text.redline.wording import inner_quotes
from agreement.views.base import Visit

AccountView = Callable[..., HttpResponseBase]

#: The exceptions of a view that Django answers with a status from 400 to 499.
REFUSALS = (Http404, PermissionDenied, BadRequest, SuspiciousOperation, MultiPartParserError)


def account_page(
    *methods: str, of_user_alone: bool = False
) -> Callable[[AccountView], Callable[..., HttpResponseBase]]:
    """Decorator: turn a view that takes a :class:`Visit` and the URL arguments into a Django view for signed-in users.
    ``methods`` are the allowed HTTP methods; another one is answered with 405.

    A POST needs a CSRF token, and so does any other unsafe method: without it, the status is 403. A visitor who is not
    signed in is redirected to the login page; their POST is answered with 403. The responses forbid every cache to
    store them, and search engines to list them; so do the site's error pages for what the view refuses (``REFUSALS``).
    The dates in the :class:`Visit` are read for the request (:func:`agreement.editions.timeline.fresh_timelines`).

    A person who acts in the name of the user can read the page; :meth:`Impersonation.log` records this. Their POST is
    answered with the status 403, the view does not run, and an audit entry is added each time. With
    ``of_user_alone=True`` this is so for every method.
    """

    def decorate(view: AccountView) -> Callable[..., HttpResponseBase]:
        @wraps(view)
        def answer(request: HttpRequest, **arguments: object) -> HttpResponseBase:
            response: HttpResponseBase
            if request.user.is_authenticated:
                # Remembered dates can be a second old. These pages record what binds the user, so the dates are read
                # again.
                acting = current_impersonation(request)
                visit = Visit(request, timezone.now(), fresh_timelines(), {}, acting)
                refused = acting is not None and (of_user_alone or request.method == "POST")
                if acting:
                    acting.log(request, refused=view.__name__ if refused else "")
                response = _refuse_impersonation(visit) if refused else view(visit, **arguments)
            elif request.method == "POST":
                raise PermissionDenied
            else:
                response = redirect_to_login(request.get_full_path())
            return response

        protected: Callable[..., HttpResponseBase] = csrf_protect(require_http_methods(methods)(answer))

        @wraps(view)
        def never_stored(request: HttpRequest, **arguments: object) -> HttpResponseBase:
            try:
                response = protected(request, **arguments)
            except REFUSALS as error:
                response = response_for_exception(request, error)
            response.headers["Cache-Control"] = "private, no-store"
            response.headers["X-Robots-Tag"] = "noindex"
            return response

        # The middleware of the site leaves the check of the token to ``csrf_protect``, so that the refusal passes here.
        exempt: Callable[..., HttpResponseBase] = csrf_exempt(never_stored)
        return exempt

    return decorate


def _refuse_impersonation(visit: Visit) -> HttpResponse:
    """Return the page with the status 403 for a person who acts in the name of a user and tried what only the user may
    do. It says that the attempt is in the audit log; the caller adds that entry.
    """
    return visit.refuse(
        403,
        _("You are acting in the name of another user"),
        _("Nothing was recorded. Only the user can accept, withdraw, give a consent or download their record."),
        _("This attempt is recorded in the audit log."),
        link=(visit.path("record"), _("My record")),
        frame="agreement/account/base.html",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DisplayedAcceptance:
    """An acceptance for a page, with its edition, its moment in words and, on some pages, the changes since the edition
    that the user accepted before.
    """

    acceptance: Acceptance
    edition: DisplayedEdition
    at: str
    """The moment of the acceptance in words, in the language of the page."""
    changes: Comparison | None = None
    """The changes since the edition that the user accepted before this one; ``None`` if there is none, if it is the
    same edition, or if the page does not display them."""

    @property
    def evidence_note(self) -> str:
        """For a deemed acceptance, one or two sentences which state that the text was not displayed, and whether a
        notice had been sent by then; ``""`` for other kinds.
        """
        acceptance = self.acceptance
        if acceptance.kind != AcceptanceKind.DEEMED:
            return ""
        if acceptance.notice_sent:
            return _("The text was not displayed at that moment. The notice about it had been sent.")
        return _("The text was not displayed at that moment, and no notice about it had been sent.")


def display_acceptance(
    acceptance: Acceptance, timeline: Timeline, edition: DisplayedEdition, changes: Comparison | None = None
) -> DisplayedAcceptance:
    """Return the acceptance as a page displays it. ``edition`` is the accepted edition, and ``timeline`` that of its
    agreement. It makes no query.
    """
    at = dates.instant(acceptance.at, active_language(), timeline.time_zone, seconds=False)
    return DisplayedAcceptance(acceptance=acceptance, edition=edition, at=at, changes=changes)


def withdrawal_sentence(withdrawal: Withdrawal, edition: DisplayedEdition) -> str:
    """Return a sentence in the active language: on which day the withdrawal ended or suspended the agreement for the
    user, or will do so, and the number of the withdrawal. If the user had accepted no edition, it states that the
    agreement is not in force for them. ``""`` if it was refused. ``edition`` is an edition of the agreement; the
    sentence names the agreement by its title. It makes no query if the agreement of the withdrawal is loaded.
    """
    if withdrawal.effective_at is None:
        return ""
    if withdrawal.edition_id is None:
        sentence = _("“%(title)s” is not in force for you. Application: %(reference)s.")
        return sentence % {"title": inner_quotes(edition.title), "reference": withdrawal.reference}
    ended, future = withdrawal.outcome == WithdrawalOutcome.ENDED, withdrawal.effective_at > timezone.now()
    pattern = {
        (True, False): _("“%(title)s” ended for you on %(day)s. Application: %(reference)s."),
        (True, True): _("“%(title)s” ends for you on %(day)s. Application: %(reference)s."),
        (False, False): _("“%(title)s” was suspended for you on %(day)s. Application: %(reference)s."),
        (False, True): _("“%(title)s” will be suspended for you on %(day)s. Application: %(reference)s."),
    }[ended, future]
    day = dates.day(withdrawal.effective_at, active_language(), edition.edition.agreement.time_zone, "on")
    return pattern % {"title": inner_quotes(edition.title), "day": day, "reference": withdrawal.reference}


def user_acceptances(visit: Visit) -> dict[int, list[Acceptance]]:
    """Return this user's acceptances by the primary key of the agreement, each list in the order of the editions'
    numbers; several acceptances of one edition in the order in which they were recorded. Each has the attribute
    ``current``, as ``AcceptanceQuerySet.with_current()`` describes it: false if a withdrawal has overtaken it. The
    look-up ``[…]`` of an agreement without acceptances gives an empty list. 1 query.

    Acceptances of cancelled editions are included. All editions are without the body. An acceptance of an edition that
    ``visit.timelines`` does not contain yet is left out.
    """
    rows = Acceptance.objects.with_current(visit.request.user.pk).select_related("edition")
    rows = rows.order_by("edition__number", "round").defer(*text_columns("edition"))
    found: dict[int, list[Acceptance]] = defaultdict(list)
    for row in rows:
        if timeline := visit.timelines.containing(row.edition_id):
            found[timeline.key].append(row)
    return found


def without_cancelled(rows: Iterable[Acceptance]) -> list[Acceptance]:
    """Return the acceptances whose edition was not cancelled, in the same order. A user may have accepted an announced
    edition that was cancelled later; such an edition never binds.
    """
    return [row for row in rows if row.edition.cancelled_at is None]


def text_columns(relation: str) -> list[str]:
    """Return the names of the columns with the body of an edition, each with ``relation`` and ``__`` before it, for
    ``defer()``. ``relation`` is the path from the model of the queryset to the edition, such as ``edition``. It must
    not be empty, so the names can't be used in a queryset of editions.
    """
    return [f"{relation}__{column}" for column in ("body", "body_kk", "body_ru")]


def next_path(request: HttpRequest) -> str:
    """Return the path to which the user returns after the page: the parameter ``next``, posted or, if it is not posted
    or is empty, in the URL. It begins with ``/`` and may contain a query. ``""`` if the request has no such parameter,
    or if its value does not begin with ``/`` or leads to another site.
    """
    path = request.POST.get("next") or request.GET.get("next") or ""
    safe = path.startswith("/") and url_has_allowed_host_and_scheme(
        path, allowed_hosts=None, require_https=request.is_secure()
    )
    return path if safe else ""
