"""The acceptances of the signed-in user for programs: a mobile app, or the site's own scripts. ``openapi.json``
describes the requests and responses.

The user is ``request.user``, however the middleware of the site found them. Errors are problem details (RFC 9457).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from django.core.exceptions import BadRequest, RequestDataTooBig
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.middleware.csrf import get_token
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from agreement.acceptance.answers import STALE, WITHDRAWN, problem
from agreement.acceptance.impersonation import current_impersonation
from agreement.editions.timeline import Timeline, fresh_timelines
from agreement.models import Acceptance, Edition, StaleEditionError, WithdrawnError
from agreement.models.agreements import AcceptanceMode
from agreement.models.membership import unbound_agreements
from agreement.models.succession import EditionDates
from agreement.text import languages
from agreement.views.acceptance import (
    PostedAnswer,
    decline_answer,
    edition_to_accept,
    in_order,
    is_accepted,
    record_answer,
    withdrawal_in_effect,
)
from agreement.views.account import user_acceptances
from agreement.views.base import Visit, page
from agreement.views.cache import ANY_ORIGIN
from agreement.views.data import Json, rfc3339

OPENAPI = (Path(__file__).parent / "openapi.json").read_bytes()
#: The types of the problem details that only these views return.
NOT_SIGNED_IN, IMPERSONATION = "urn:agreement:not-signed-in", "urn:agreement:impersonation"
CSRF, INVALID, UNKNOWN = "urn:agreement:csrf", "urn:agreement:invalid", "urn:agreement:unknown"
#: The largest number of answers in one request.
MAX_ANSWERS = 50
#: The authentication schemes that a browser repeats by itself for every site that asks it to.
SENT_BY_BROWSERS = {"basic", "digest", "negotiate", "ntlm"}


@csrf_exempt  # The check is made below, so that its refusal is problem details too.
def acceptances(request: HttpRequest) -> HttpResponseBase:
    """GET returns a CSRF token and, for each agreement that users accept on this site and that binds the signed-in
    user, the edition that the user is asked about, and whether they have accepted it or must do so before they go on.
    POST accepts or declines editions, all or nothing. An error is problem details (RFC 9457) as JSON. Its status is
    403, for example, if nobody is signed in, and for a POST of a person who acts in the name of the user; it is 405 for
    a method other than GET, HEAD and POST.

    A POST needs the token of Django's protection against forged requests, in the header ``X-CSRFToken``. It needs none
    if the header ``Authorization`` names a scheme that browsers do not use by themselves, such as ``Bearer``. No cache
    may store the responses.
    """
    scheme = request.headers.get("Authorization", "").partition(" ")[0].lower()
    check = _answer if scheme and scheme not in SENT_BY_BROWSERS else _with_csrf_check(_answer)
    response = check(request)
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["X-Robots-Tag"] = "noindex"
    return response


@page()
def openapi(visit: Visit) -> HttpResponse:
    """The OpenAPI 3.1 description of :func:`acceptances`."""
    return HttpResponse(OPENAPI, headers={"Content-Type": "application/openapi+json"} | ANY_ORIGIN)


def _with_csrf_check(view: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """Return the view with Django's check for forged requests. A request that the check refuses does not reach the
    view; its response is problem details with the status 403.
    """

    def check(request: HttpRequest) -> HttpResponseBase:
        passed = False

        def passing(request: HttpRequest) -> HttpResponseBase:
            nonlocal passed
            passed = True
            return view(request)

        response: HttpResponseBase = csrf_protect(passing)(request)
        if passed:
            return response
        return problem(
            status=403,
            kind=CSRF,
            title=_("The request has no valid CSRF token."),
            detail=_("Nothing was recorded. Read the acceptances with GET, and send the token in X-CSRFToken."),
        )

    return check


def _answer(request: HttpRequest) -> HttpResponse:
    if request.method not in {"GET", "HEAD", "POST"}:
        response = problem(status=405, kind="about:blank", title="Method Not Allowed")
        response.headers["Allow"] = "GET, HEAD, POST"
        return response
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return problem(
            status=403,
            kind=NOT_SIGNED_IN,
            title=_("Nobody is signed in."),
            detail=_("Nothing was recorded. Sign in, and repeat the request."),
        )
    visit = Visit(request, timezone.now(), fresh_timelines(), {}, current_impersonation(request))
    if visit.impersonation:
        visit.impersonation.log(request, refused="api" if request.method == "POST" else "")
    if request.method != "POST":
        return _json({"agreements": _agreements(visit), "csrf_token": get_token(request)})
    if visit.impersonation:
        return problem(
            status=403,
            kind=IMPERSONATION,
            title=_("You are acting in the name of another user"),
            detail=_(
                "Nothing was recorded. Only the user can accept, withdraw, give a consent or download their record."
            ),
        )
    return _recorded(visit)


def _recorded(visit: Visit) -> HttpResponse:
    """Record the answers in the body of a POST, all or nothing. Return the response. It is JSON with the answers and
    the moments at which they were recorded; ``null`` for the moment of a decline of an edition that the user has
    accepted, because nothing is recorded for it.

    If the response is problem details, nothing was recorded. The status is 413 if the body is too large, 400 if it is
    not valid, 404 if there is no such agreement, 403 if the user withdrew and may not accept again without an officer,
    and 409 with the list of the present editions if one of the posted editions can't be accepted or declined now.
    """
    try:
        accepts, answers = _posted(visit.request)
    except RequestDataTooBig:
        return problem(status=413, kind=INVALID, title=_("The request is too large."))
    except BadRequest as error:
        return problem(status=400, kind=INVALID, title=_("The request is invalid."), detail=str(error))
    try:
        with transaction.atomic():
            rows = {
                answer.slug: (record_answer if accepts else decline_answer)(visit, answer)
                for answer in in_order(visit, answers)
            }
    except Http404:
        return problem(
            status=404,
            kind=UNKNOWN,
            title=_("There is no such agreement."),
            detail=_("Nothing was recorded. Read the acceptances with GET: the response contains the agreements."),
        )
    except WithdrawnError as error:
        return problem(
            status=403,
            kind=WITHDRAWN,
            title=_("The agreement was suspended or ended for the user."),
            detail=" ".join(error.messages),
        )
    except StaleEditionError as error:
        # Another edition may have taken effect since this request began, so the dates are read again.
        again = Visit(visit.request, timezone.now(), fresh_timelines(), {})
        return problem(
            status=409,
            kind=STALE,
            title=_("Another edition is in force now."),
            detail=" ".join(error.messages),
            agreements=_agreements(again),
        )
    zones = {slug: timeline.time_zone for slug, timeline in visit.timelines.agreements.items()}
    return _json(
        {
            "decision": "accept" if accepts else "decline",
            "answers": [
                {
                    "agreement": answer.slug,
                    "edition": answer.number,
                    "digest": answer.digest,
                    "language": row.language if row else answer.language,
                    # Without a row, the user declined an edition that they have accepted: the acceptance stays.
                    "recorded_at": rfc3339(row.at, zones[answer.slug]) if row else None,
                }
                for answer, row in ((answer, rows[answer.slug]) for answer in answers)
            ],
        }
    )


def _posted(request: HttpRequest) -> tuple[bool, list[PostedAnswer]]:
    """Return whether the user accepts (and does not decline), and the answers. Raises ``BadRequest`` with a sentence
    for the program if the body is not as ``openapi.json`` describes it, and ``RequestDataTooBig`` if it is larger than
    Django's setting ``DATA_UPLOAD_MAX_MEMORY_SIZE`` allows.
    """
    if request.content_type != "application/json":
        raise BadRequest(f"The content type is {request.content_type!r}. Send application/json.")
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError) as error:
        raise BadRequest("The body is not JSON in UTF-8.") from error
    if not isinstance(body, dict) or body.keys() != {"decision", "answers"}:
        raise BadRequest("The body must be an object with decision and answers, and nothing else.")
    if body["decision"] not in ("accept", "decline"):
        raise BadRequest(f"decision is {body['decision']!r:.100}. It must be accept or decline.")
    found = body["answers"]
    if not isinstance(found, list) or not 1 <= len(found) <= MAX_ANSWERS:
        raise BadRequest(f"answers must be a list of 1 to {MAX_ANSWERS} answers.")
    answers = [_posted_answer(answer) for answer in found]
    if len({answer.slug for answer in answers}) < len(answers):
        raise BadRequest("answers has two answers about the same agreement.")
    return body["decision"] == "accept", answers


def _posted_answer(answer: object) -> PostedAnswer:
    names = ("agreement", "edition", "digest", "language")
    if not isinstance(answer, dict) or answer.keys() != {*names}:
        raise BadRequest(f"An answer must be an object with {', '.join(names)}, and nothing else.")
    slug, number, digest, language = (answer[name] for name in names)
    if not isinstance(slug, str) or not isinstance(digest, str):
        raise BadRequest("agreement and digest must be text.")
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise BadRequest(f"edition is {number!r:.100}. It must be a number of an edition, such as 2.")
    if language not in languages.LANGUAGES:
        raise BadRequest(f"language is {language!r:.100}. It must be kk or ru, the language of the displayed text.")
    return PostedAnswer(slug, number, digest, language)


def _agreements(visit: Visit) -> list[Json]:
    """Return the list ``agreements`` of the response: for each agreement, in the order of the slugs, the result of
    :func:`_facts` about the edition that the user is asked about. That is the edition in force. If the site lets users
    accept announced editions, and the edition in force is accepted or missing, it is the announced edition, if there is
    one. Left out are agreements that are accepted elsewhere, those that do not bind the user, and those without such an
    edition. At most 2 queries, 1 more if the site has ``AUDIENCES``, and 1 or 2 for each agreement.
    """
    rows, unbound = user_acceptances(visit), unbound_agreements(visit.request.user.pk)
    wanted = [
        (timeline, edition)
        for slug, timeline in sorted(visit.timelines.agreements.items())
        if slug not in unbound
        and timeline.acceptance_mode != AcceptanceMode.ELSEWHERE
        and (edition := edition_to_accept(visit, timeline, rows[timeline.key]))
    ]
    displayed = visit.display_without_texts(wanted)
    return [
        _facts(visit, timeline, edition, one.edition, rows[timeline.key])
        for (timeline, edition), one in zip(wanted, displayed, strict=True)
    ]


def _facts(
    visit: Visit, timeline: Timeline, edition: EditionDates, row: Edition, acceptances: list[Acceptance]
) -> Json:
    """Return, for the JSON of a response, the facts about the edition that the user is asked about. They include its
    number, digest, titles, state, moment of effect and URLs, and whether the user accepted it and must or can accept
    it. ``accept_until`` is the moment until which the user may go on without accepting the edition in force, because an
    earlier acceptance still counts; ``None`` if there is no such moment. ``withdrawn`` says whether the agreement is
    suspended or ended by a withdrawal of the user. The URLs are in the active language. After a withdrawal, the user
    may be unable to accept an edition that they have not accepted.

    ``edition`` and ``row`` are the same edition: its dates, and the model instance without its body. ``acceptances``
    are the user's in this agreement. 1 query, 2 if a withdrawal of the user from the agreement ever took effect.
    """
    place = (timeline.slug, edition.number)
    in_force, withdrawal = timeline.in_force(visit.at), withdrawal_in_effect(visit, timeline)
    accepted = is_accepted(timeline, edition, acceptances)
    until = timeline.grace_until({one.edition_id for one in acceptances if getattr(one, "current", False)}, visit.at)
    refused = withdrawal is not None or (timeline.acceptance_mode == AcceptanceMode.BY_CONFIRMATION and not until)
    return {
        "agreement": timeline.slug,
        "edition": edition.number,
        "digest": edition.digest,
        "titles": {language: getattr(row, f"title_{language}") or "" for language in languages.LANGUAGES},
        "state": timeline.state(edition, visit.at).value,
        "effective_from": rfc3339(edition.effective_from, timeline.time_zone),
        "acceptance_mode": timeline.acceptance_mode,
        "accepted": accepted,
        "must_accept": refused and not accepted and edition == in_force,
        "accept_until": rfc3339(until, timeline.time_zone),
        "withdrawn": withdrawal is not None,
        "can_accept": withdrawal is None or withdrawal.may_accept_again,
        "texts": {language: visit.url("markdown", *place, language) for language in languages.LANGUAGES},
        "data": visit.url("edition_data", *place),
        "page": visit.url("accept", timeline.slug),
    }


def _json(content: Json) -> HttpResponse:
    return JsonResponse(content, json_dumps_params={"ensure_ascii": False})
