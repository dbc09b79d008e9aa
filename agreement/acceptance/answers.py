"""The responses to requests that are refused: a redirect to the acceptance page or to the withdrawal page, or a
response with status 400, 403, 409 or 503.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseRedirect, JsonResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from agreement import charsets, conf
from agreement.acceptance import outage, requests
from agreement.acceptance.known import Requirement
from agreement.models import StaleEditionError

logger = logging.getLogger("agreement")


#: The types of the problem details that programs receive (RFC 9457).
NOT_ACCEPTED, WITHDRAWN = "urn:agreement:not-accepted", "urn:agreement:withdrawn"
UNAVAILABLE, STALE = "urn:agreement:unavailable", "urn:agreement:stale"


def acceptance_needed(request: HttpRequest, to_accept: Sequence[Requirement]) -> HttpResponse:
    """Return the response to the request of a user who must still accept the editions in ``to_accept``, which must not
    be empty. Caches may not store the response.

    If the request opens a page by GET, the response is a redirect, with the requested path in the parameter ``next``.
    It leads to the page on which the user can accept the first of these editions or, if the user withdrew from any of
    these agreements, to the withdrawal page. A request of a Turbo frame, by any method, gets a redirect to the same
    page. Turbo opens that page in the whole window and not in the frame. Unless the request opens a page by GET,
    ``next`` is the page in the window, or missing if that is not known
    (:func:`agreement.acceptance.requests.window_path`).

    Every other request gets problem details with the status 403. Their type is ``WITHDRAWN`` if the user withdrew from
    any of the agreements, else ``NOT_ACCEPTED``. For both types they contain, for each of the editions, its slug,
    number, digest and URL, and the URL of the acceptance page of its agreement. For a request of htmx, the header
    ``HX-Redirect`` leads the window to the same page as a redirect would.
    """
    withdrawn = any(one.withdrawn for one in to_accept)
    path = reverse("agreement:withdraw") if withdrawn else reverse("agreement:accept", args=[to_accept[0].slug])
    opens_page = request.method == "GET" and requests.opens_page(request)
    following = request.get_full_path() if opens_page else requests.window_path(request)
    address = f"{path}?{urlencode({'next': following})}" if following else path
    response: HttpResponse
    if opens_page or requests.is_turbo_frame(request):
        response = HttpResponseRedirect(address)
        if request.method != "GET":
            response.status_code = 303  # The browser opens the address by GET.
    else:
        response = problem(
            status=403,
            kind=WITHDRAWN if withdrawn else NOT_ACCEPTED,
            title=(
                _("The agreement was suspended or ended for the user.")
                if withdrawn
                else _("The user agreement has not been accepted.")
            ),
            detail=what_to_accept(to_accept),
            agreements=[
                {"agreement": one.slug, "edition": one.number, "digest": one.digest} | addresses(request, one)
                for one in to_accept
            ],
        )
        if requests.is_htmx(request):
            response.headers["HX-Redirect"] = address
    response.headers["Cache-Control"] = "private, no-store"
    return response


def addresses(request: HttpRequest, one: Requirement) -> dict[str, str]:
    """Return the absolute URLs of the edition (``address``) and of the page on which the user can accept it
    (``accept``).
    """
    return {
        "address": request.build_absolute_uri(reverse("agreement:edition", args=[one.slug, one.number])),
        "accept": request.build_absolute_uri(reverse("agreement:accept", args=[one.slug])),
    }


def what_to_accept(to_accept: Sequence[Requirement]) -> str:
    """Return a translated sentence which states that nothing was done, and which editions the user must accept first:
    the slug and the number of each. If the user withdrew from any of the agreements, it states instead that a
    withdrawal suspended or ended the agreement, and contains only the slugs of the agreements from which they withdrew.
    """
    if names := ", ".join(one.slug for one in to_accept if one.withdrawn):
        sentence = _("Nothing was done, because the agreement was suspended or ended for the user: %(names)s.")
        return sentence % {"names": names}
    names = ", ".join(f"{one.slug} {one.number}" for one in to_accept)
    sentence = ngettext(
        "Nothing was done. First read and accept this edition: %(names)s.",
        "Nothing was done. First read and accept these editions: %(names)s.",
        len(to_accept),
    )
    return sentence % {"names": names}


def stale_edition(request: HttpRequest, error: Exception) -> HttpResponse | None:
    """Return a 409 response if the error is a :class:`StaleEditionError`: normally, another edition took effect after
    the form was checked. It is an HTML page if the browser will display it as a page, else problem details. Caches may
    not store it. Return ``None`` for other errors.
    """
    if not isinstance(error, StaleEditionError):
        return None
    response: HttpResponse
    if requests.opens_page(request):
        response = HttpResponse(
            render_to_string("agreement/pages/form_conflict.html", {"path": request.path}, request), status=409
        )
    else:
        detail = " ".join(error.messages)
        response = problem(status=409, kind=STALE, title=_("Another edition is in force now."), detail=detail)
    response.headers["Cache-Control"] = "private, no-store"
    return response


def database_unavailable(request: HttpRequest, error: Exception) -> HttpResponse | None:
    """Return a 503 response with problem details; ``None`` if the database is away (:func:`outage.is_away`) and the
    setting ``DATABASE_AWAY`` lets this request pass without the check: ``"all"`` every request, ``"read"`` a request
    with a safe method such as GET. The error is logged in both cases.
    """
    logger.error("the acceptance gate can't query the database: %s", error)
    passing = conf.get().DATABASE_AWAY
    may_pass = passing == "all" or (passing == "read" and request.method in requests.SAFE)
    if may_pass and outage.is_away(error):
        return None
    response = problem(
        status=503,
        kind=UNAVAILABLE,
        title=_("The site is temporarily unavailable."),
        detail=_("Nothing was done. Try again in a few seconds."),
    )
    response.headers["Retry-After"] = "5"
    response.headers["Cache-Control"] = "no-store"
    return response


def unknown_charset(request: HttpRequest) -> HttpResponse | None:
    """Return a 400 response if the request names a Python codec by which text can't be decoded, such as ``base64`` or
    ``idna``; else ``None``. Django would raise an exception when the form of such a request is first read. A name that
    Python does not know gives ``None``, because Django ignores it. If the site wraps its WSGI or
    ASGI application in :mod:`agreement.charsets`, the wrapper answers such a request before it gets here.
    """
    encoding = request.encoding
    if encoding is None or charsets.decodes_text(encoding):
        return None
    sentence = _("The request uses an unsupported character encoding. Send the text in UTF-8.")
    return HttpResponseBadRequest(sentence, content_type="text/plain; charset=utf-8")


def problem(*, status: int, kind: str, **members: object) -> HttpResponse:
    """Return a problem details response (RFC 9457, ``application/problem+json``). ``kind`` is the value of its member
    ``type``, ``status`` is the status of the response and its member ``status``, and ``members`` are further members.
    """
    return JsonResponse(
        {"type": kind, "status": status, **members},
        status=status,
        content_type="application/problem+json",
        json_dumps_params={"ensure_ascii": False},
    )
