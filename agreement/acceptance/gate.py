"""The check that a signed-in user has accepted the editions in force.

``check(request)`` gives the answer to a request that may not go on. ``pending(request)`` records the deemed acceptances
and gives the agreements that are still to be accepted. The middleware checks the whole site. ``acceptance_required``
and ``HasAccepted`` check one view, on a site without the middleware or for users who come by a token.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from django.conf import settings
from django.contrib.auth.views import LoginView, LogoutView
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.utils.translation import get_language

from agreement import conf
from agreement.acceptance import answers, known, requests
from agreement.acceptance.known import Requirement, Requirements
from agreement.models import Acceptance
from agreement.models.fields import SiteUser

#: Names of the views that users of every site need before they can accept, or to log out.
REACHABLE = frozenset({"login", "logout", "set_language", "account_login", "account_logout"})
REACHABLE_IN_ADMIN = frozenset({"login", "logout", "jsi18n"})

#: The attribute of a request that holds the user that Django's session authentication set.
SESSION_USER = "_agreement_session_user"

#: A view of the site, synchronous or not.
SiteView = Callable[..., Any]


def check(request: HttpRequest, view: SiteView | None = None) -> HttpResponse | None:
    """The answer to a request that may not go on; ``None`` if it may. A ``view`` that is exempt may always go on.

    It makes no query for a user who is known to have accepted everything. If the middleware has marked the user of
    the session (``mark_session_user``), it does not load the session either. For other users it makes 1 query, and 1
    insert for each deemed acceptance.
    """
    session = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
    if not _is_session_user(request):
        session = None  # It can belong to another user than the one who asks.
    elif session is None:
        return None
    try:
        required = known.requirements()
        if not required.agreements or (session is not None and known.cache.session_accepted(session, required)):
            return None
        if request.method == "OPTIONS" or (view is not None and is_exempt(request, view)):
            return None
        to_accept = _pending(request, required, session)
    except (OperationalError, InterfaceError) as error:
        return answers.database_unavailable(request, error)
    return answers.acceptance_needed(request, to_accept) if to_accept else None


def pending(request: HttpRequest) -> tuple[Requirement, ...]:
    """The agreements that this request's user must still accept. Deemed acceptances are recorded. It costs the queries
    of ``check``.
    """
    return _pending(request, known.requirements(), None)


def _pending(request: HttpRequest, required: Requirements, session: str | None) -> tuple[Requirement, ...]:
    is_use = requests.is_use(request)
    user: SiteUser = getattr(request, "user", None)
    key = user.pk if user is not None and user.is_authenticated else None
    if key is None:  # A session gets another key when a user logs in, so this one never belongs to a user.
        known.cache.add(session, None, required)
        return ()
    if conf.get().EXEMPT_STAFF and getattr(user, "is_staff", False):
        return ()
    if known.cache.user_accepted(key, required):
        known.cache.add(session, key, required)
        return ()
    not_accepted = Acceptance.objects.record_deemed(
        user=user,
        requirements=required.agreements,
        language=get_language() or "",
        request_details=requests.details(request),
        is_use=is_use,
    )
    if not not_accepted:
        known.cache.add(session, key, required)
    return tuple(
        replace(one, withdrawn=not_accepted[one.agreement])
        for one in required.agreements
        if one.agreement in not_accepted and (not_accepted[one.agreement] or not one.by_use)
    )


def mark_session_user(request: HttpRequest) -> None:
    """Remember that ``request.user`` is now the user that Django's session authentication set, loaded or not.

    Only a caller that runs directly after that authentication may say so.
    """
    setattr(request, SESSION_USER, vars(request).get("user"))


def _is_session_user(request: HttpRequest) -> bool:
    """Does the session alone determine the user of this request?

    It does if ``request.user`` is still the marked object and no credential was sent. If any code has replaced the
    user since, or if the request is an object of another framework with a user of its own, the answer is false. The
    comparison of the two objects does not load the user.
    """
    attributes = vars(request)
    marked = attributes.get(SESSION_USER)
    return marked is not None and marked is attributes.get("user") and "HTTP_AUTHORIZATION" not in request.META


def is_exempt(request: HttpRequest, view: SiteView) -> bool:
    """Is that view reachable for all users? The setting ``EXEMPT`` names further views."""
    if getattr(view, "agreement_exempt", False) or issubclass(
        getattr(view, "view_class", object), (LoginView, LogoutView)
    ):
        return True
    rules = conf.get().EXEMPT
    # An empty setting means the root. An address with a host is on another server, and no path begins with it.
    served = (settings.STATIC_URL, settings.MEDIA_URL, *(rule for rule in rules if rule.startswith("/")))
    if any(_is_under(request, url) for url in served if url):
        return True
    match = request.resolver_match
    if match is None:
        return False
    name, namespaces = match.view_name, match.app_names
    if (
        "agreement" in namespaces
        or match.url_name in REACHABLE
        or ("admin" in namespaces and match.url_name in REACHABLE_IN_ADMIN)
    ):
        return True
    return any(name == rule or (rule[-1:] == ":" and name.startswith(rule)) for rule in rules)


def _is_under(request: HttpRequest, url: str) -> bool:
    """Does the request's path begin with that one, with or without the prefix under which the site is mounted?"""
    prefix = request.path.removesuffix(request.path_info)
    inner = url.removeprefix(prefix)
    return inner not in {"", "/"} and request.path_info.startswith((inner, url))
