"""The check whether the user of a request may continue, or must first accept an edition.

The middleware and ``acceptance_required`` call :func:`check`; ``HasAccepted`` calls :func:`pending`.
``acceptance_required`` and ``HasAccepted`` check single views: on a site without the middleware, or for users who
authenticate by a token.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.views import LoginView, LogoutView
from django.core.exceptions import ImproperlyConfigured
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.utils.translation import get_language

from agreement import conf
from agreement.acceptance import answers, known, requests
from agreement.acceptance.impersonation import current_impersonation
from agreement.acceptance.known import Requirement, Requirements
from agreement.models import Acceptance
from agreement.models.fields import SiteUser

#: The names of views that are exempt on every site, because users need them to log in, to log out or to choose a
#: language.
REACHABLE = frozenset({"login", "logout", "set_language", "account_login", "account_logout"})
#: The views by which an officer stops acting in the name of a user: of django-hijack, django-loginas and
#: django-impersonate.
STOP_ACTING = frozenset({"hijack:release", "loginas-logout", "impersonate-stop"})
REACHABLE_IN_ADMIN = frozenset({"login", "logout", "jsi18n"})

#: The name of the request attribute that stores the user object which Django's session authentication set.
SESSION_USER = "_agreement_session_user"

#: A view of the site, synchronous or asynchronous.
SiteView = Callable[..., Any]


def check(request: HttpRequest, view: SiteView | None = None) -> HttpResponse | None:
    """Return the response to a request that is refused; ``None`` if it may pass.

    A request passes if nobody is signed in, or if it is exempt: by :func:`is_exempt`, which is called only if there is
    a ``view``, or because the user is staff and the setting ``EXEMPT_STAFF`` is true. Such a request records no
    acceptance. Every method is checked, also ``OPTIONS``; a CORS preflight carries no session, so nobody is signed in.
    Every other request is refused if its user withdrew from an agreement and has not accepted it again, or if an
    agreement is accepted by confirmation and no acceptance of the user is sufficient now
    (:func:`agreement.models.succession.sufficient_editions`). If an agreement is accepted by use and no acceptance of
    the user is sufficient, a use of the site is recorded as a deemed acceptance, and other requests pass without one.
    While somebody acts in the name of the user, no acceptance is recorded. Agreements with the acceptance mode
    ``elsewhere``, those without an edition in force, and those that do not bind the user (``AUDIENCES``) are not
    considered.

    A refused ``GET`` by which a browser opens a page, and every refused request of a Turbo frame, is redirected: to the
    page on which the user can accept or, if they withdrew, to the withdrawal page. Every other refused request gets the
    status 403, also a form that a browser sends. If the database can't be queried, the request gets the status 503. If
    the database is away and not only busy, the setting ``DATABASE_AWAY`` determines whether the request passes.

    For a user whom the process knows to have accepted everything, the acceptances are not queried; otherwise 1 query,
    and 1 insert for each deemed acceptance. A receiver of ``acceptance_recorded``, and a person who acts in the name of
    the user, cost further queries. Django's queries for the session and the user come in addition, unless the process
    knows the session, which needs :func:`mark_session_user`. :func:`agreement.acceptance.known.requirements` says when
    the dates of the editions are read.
    """
    session = None  # The session may belong to another user than ``request.user``.
    if _is_session_user(request):
        # This is no query. The key may come from another place than the cookie.
        session = request.session.session_key
        if session is None:
            return None
    try:
        required = known.requirements()
        if not required.agreements or (session is not None and known.cache.session_accepted(session, required)):
            return None
        if view is not None and is_exempt(request, view):
            return None
        to_accept = _pending(request, required, session)
    except (OperationalError, InterfaceError) as error:
        return answers.database_unavailable(request, error)
    return answers.acceptance_needed(request, to_accept) if to_accept else None


def pending(request: HttpRequest) -> tuple[Requirement, ...]:
    """Record the deemed acceptances of this request's user, if it is a use of the site and nobody acts in the name of
    the user. Return the editions because of which they may not continue. These are the editions that they must still
    accept by confirmation, and those of agreements from which they withdrew and that they have not accepted again. For
    the latter, the attribute ``withdrawn`` is true. Agreements with the acceptance mode ``elsewhere``, those without an
    edition in force, and those that do not bind the user (``AUDIENCES``) are not considered.

    If nobody is signed in, or the user is staff and the setting ``EXEMPT_STAFF`` is true, the result is empty and no
    acceptance is recorded. The setting ``EXEMPT`` has no effect. Errors of the database are raised. For a user whom the
    process knows to have accepted everything, the acceptances are not queried; otherwise 1 query, and 1 insert for each
    deemed acceptance. A receiver of ``acceptance_recorded``, and a person who acts in the name of the user, cost
    further queries. :func:`agreement.acceptance.known.requirements` says when the dates of the editions are read.
    """
    return _pending(request, known.requirements(), None)


def _pending(request: HttpRequest, required: Requirements, session: str | None) -> tuple[Requirement, ...]:
    """Record the deemed acceptances, and return those of ``required`` because of which the user may not continue;
    :func:`pending` describes them.

    ``session`` is the key of the session that determines the user; ``None`` if something else may determine them. If
    the user has accepted everything, this is cached for the user and for the session. If another person acts in the
    name of the user, no acceptance is recorded, the audit log names that person as far as they are known, and the
    session is not cached. Raises ``ImproperlyConfigured`` if ``request.user`` is authenticated and of another class
    than the user model.
    """
    user: SiteUser = getattr(request, "user", None)
    key = user.pk if user is not None and user.is_authenticated else None
    if key is None:  # Not cached: the account of this session may only be inactive for the moment.
        return ()
    if not isinstance(user, get_user_model()):
        msg = f"{type(user).__name__} is not the user model. A view with such a principal must be exempt from the gate."
        raise ImproperlyConfigured(msg)
    acting = current_impersonation(request)
    if acting:
        acting.log(request)
        session = None  # Each request of this session is looked at.
    if conf.get().EXEMPT_STAFF and getattr(user, "is_staff", False):
        return ()
    if known.cache.user_accepted(key, required):
        known.cache.add(session, key, required)
        return ()
    not_accepted = Acceptance.objects.record_deemed(
        user=user,
        requirements=required.agreements,
        language=get_language() or "",
        request_details=requests.request_details(request),
        is_use=acting is None and requests.is_use(request),
    )
    if not not_accepted:
        known.cache.add(session, key, required)
    return tuple(
        replace(one, withdrawn=not_accepted[one.agreement])
        for one in required.agreements
        if one.agreement in not_accepted and (not_accepted[one.agreement] or not one.by_use)
    )


def mark_session_user(request: HttpRequest) -> None:
    """Store in the request the present ``request.user``, as the object that Django's session authentication set. The
    user is not loaded.

    Call this function only after Django's ``AuthenticationMiddleware``, and before other code can set the user.
    """
    setattr(request, SESSION_USER, vars(request).get("user"))


def _is_session_user(request: HttpRequest) -> bool:
    """Return whether only the session determines the user of this request. ``False`` if :func:`mark_session_user` was
    not called for it.

    This is so if ``request.user`` is still the object that :func:`mark_session_user` stored, and the request has no
    ``Authorization`` header. It is not so if other code has replaced the user, or if the request object belongs to
    another framework. The comparison does not load the user.
    """
    attributes = vars(request)
    marked = attributes.get(SESSION_USER)
    return marked is not None and marked is attributes.get("user") and "HTTP_AUTHORIZATION" not in request.META


def is_exempt(request: HttpRequest, view: SiteView) -> bool:
    """Return whether the request may pass without an acceptance.

    Exempt are views with the decorator ``acceptance_not_required``, Django's ``LoginView`` and ``LogoutView`` and their
    subclasses, views that are named in ``REACHABLE`` (in any namespace), in ``STOP_ACTING`` or, in the admin, in
    ``REACHABLE_IN_ADMIN``, the pages of this app, and paths under ``STATIC_URL`` or ``MEDIA_URL``. The setting
    ``EXEMPT`` adds the path of an entry such as ``"/healthz"`` and the paths below it, views whose full name begins
    with an entry such as ``"accounts:"``, and views whose full name is an entry. ``"/"`` exempts nothing.
    """
    if getattr(view, "agreement_exempt", False) or issubclass(
        getattr(view, "view_class", object), (LoginView, LogoutView)
    ):
        return True
    rules = conf.get().EXEMPT
    # An empty setting means the root and is ignored. A URL with a host is on another server; no path begins with it.
    served = (_raw_url("STATIC_URL"), _raw_url("MEDIA_URL"), *(rule for rule in rules if rule.startswith("/")))
    if any(_is_under(request, url) for url in served if url):
        return True
    match = request.resolver_match
    if match is None:
        return False
    name, namespaces = match.view_name, match.app_names
    if (
        "agreement" in namespaces
        or match.url_name in REACHABLE
        or name in STOP_ACTING
        or ("admin" in namespaces and match.url_name in REACHABLE_IN_ADMIN)
    ):
        return True
    return any(name == rule or (rule[-1:] == ":" and name.startswith(rule)) for rule in rules)


def _raw_url(name: str) -> str:
    """Return the setting with that name, which the site wrote as a path or a URL; ``""`` if it is empty. A relative
    path such as ``static/`` gets a ``/`` in front.

    ``settings.MEDIA_URL`` is not used: Django adds the prefix (``SCRIPT_NAME``) of the request during which it is first
    read, and keeps it. A client that can name a prefix could so choose what is exempt from then on.
    """
    url: str = getattr(settings._wrapped, name) or ""  # type: ignore[misc]  # The stubs know the public names alone.
    return url if not url or url.startswith(("/", "http://", "https://")) else f"/{url}"


def _is_under(request: HttpRequest, url: str) -> bool:
    """Return whether the request's path is that URL path or below it: ``/healthz-private`` is not below ``/healthz``,
    and ``/media`` is not below ``/media/``. ``url`` may contain the prefix under which the site is mounted
    (``SCRIPT_NAME``) or omit it. ``False`` if ``url`` is the root of the site. ``False`` also if the request's path has
    a segment ``.`` or ``..``, because a view may resolve such a path to one that is not below ``url``.
    """
    if {".", ".."} & {*request.path_info.replace("\\", "/").split("/")}:
        return False
    prefix = request.path.removesuffix(request.path_info)
    inner = url.removeprefix(prefix)
    return bool(inner.strip("/")) and any(
        request.path_info == path or request.path_info.startswith(path.rstrip("/") + "/") for path in (inner, url)
    )
