"""Who may go on: users who have joined what is in force, and whoever is asked for nothing.

``pending(request)`` records what entering means and gives what is still to be confirmed; ``ask(request, …)`` puts the
question. The middleware asks for the whole site; ``joined_required`` and :class:`HasJoined` for one view, on a site
without it or for users who come without a session, by a token.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import wraps
from typing import Any

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.auth.views import LoginView, LogoutView
from django.core.exceptions import ImproperlyConfigured
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseRedirect, JsonResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.functional import SimpleLazyObject
from django.utils.http import urlencode
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _

from agreement import conf, origin, standing
from agreement.models import Acceptance, Stale
from agreement.standing import Demand, Demands

logger = logging.getLogger("agreement")

#: Views every site's users need before they can join, or to get away.
REACHABLE = frozenset({"login", "logout", "set_language", "account_login", "account_logout"})
IN_ADMIN = frozenset({"login", "logout", "jsi18n"})
#: Kinds of the answers to programs (RFC 9457).
UNJOINED, LEFT = "urn:agreement:not-joined", "urn:agreement:left"
AWAY, LATE = "urn:agreement:unavailable", "urn:agreement:stale"

#: Where Django promises the user of a session.
DJANGOS = AuthenticationMiddleware.__module__

View = Callable[..., Any]


def check(request: HttpRequest, view: View | None = None) -> HttpResponse | None:
    """The answer to a request that may not go on; ``None`` if it may. ``view`` is asked whether it is exempt.

    No query for a user who is known to have joined, nor a look at the session; otherwise 1 query, and 1 insert for
    each agreement joined by entering.
    """
    session = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
    if not _by_session(request):
        session = None  # It may be somebody else's, or nobody's.
    elif session is None:
        return None
    try:
        demanded = standing.now()
        if not demanded.each or (session is not None and standing.memory.settled(session, demanded)):
            return None
        if request.method == "OPTIONS" or (view is not None and exempt(request, view)):
            return None
        left = _pending(request, demanded, session)
    except (OperationalError, InterfaceError) as error:
        return _away(request, error)
    return ask(request, left) if left else None


def unreadable(request: HttpRequest) -> HttpResponse | None:
    """The answer, 400, to a request that names as its charset what Python knows and no text is written in, such as
    ``base64``; ``None`` to any other. Django would end at the first look into its parameters.
    """
    try:
        b"\xd2".decode(request.encoding or "ascii", "replace")
    except (LookupError, ValueError):
        sentence = _("No text is written in the charset that the request names. Send it in UTF-8.")
        return HttpResponseBadRequest(sentence, content_type="text/plain; charset=utf-8")
    return None


def pending(request: HttpRequest) -> tuple[Demand, ...]:
    """What this request's user has still to confirm; what is joined by entering is recorded. As ``check``."""
    return _pending(request, standing.now(), None)


def _pending(request: HttpRequest, demanded: Demands, session: str | None) -> tuple[Demand, ...]:
    enters = origin.enters(request)
    user: Any = getattr(request, "user", None)
    memory, key = standing.memory, user.pk if user is not None and user.is_authenticated else None
    if key is None:  # A session that logs in gets another key, so this one stays nobody's.
        memory.keep(session, None, demanded)
        return ()
    if conf.get().EXEMPT_STAFF and getattr(user, "is_staff", False):
        return ()
    if memory.joined(key, demanded):
        memory.keep(session, key, demanded)
        return ()
    left = Acceptance.objects.deem(
        user=user,
        asked=demanded.each,
        language=get_language() or "",
        origin=origin.of(request),
        enters=enters,
    )
    if not left:
        memory.keep(session, key, demanded)
    return tuple(
        replace(one, outside=left[one.agreement])
        for one in demanded.each
        if one.agreement in left and (left[one.agreement] or not one.by_entering)
    )


def _by_session(request: HttpRequest) -> bool:
    """Does the session alone say who this is? Then ``request.user`` is Django's own promise, whether kept yet or not.

    Anything else there was set by whatever else knows users, if only as a promise; no credential was sent, and the
    request is no other framework's, which has a user of its own.
    """
    user = request.__dict__.get("user")
    promised = vars(user).get("_setupfunc") if type(user) is SimpleLazyObject else None
    return getattr(promised, "__module__", "") == DJANGOS and "HTTP_AUTHORIZATION" not in request.META


def exempt(request: HttpRequest, view: View) -> bool:
    """Does that view stay reachable for everybody? ``EXEMPT`` says which do besides."""
    if getattr(view, "agreement_exempt", False) or issubclass(
        getattr(view, "view_class", object), (LoginView, LogoutView)
    ):
        return True
    rules = conf.get().EXEMPT
    # An empty setting is the root; an address with a host is another server's, and no path begins with it.
    served = (settings.STATIC_URL, settings.MEDIA_URL, *(rule for rule in rules if rule.startswith("/")))
    if any(_under(request, url) for url in served if url):
        return True
    match = request.resolver_match
    if match is None:
        return False
    name, spaces = match.view_name, match.app_names
    if "agreement" in spaces or match.url_name in REACHABLE or ("admin" in spaces and match.url_name in IN_ADMIN):
        return True
    return any(name == rule or (rule[-1:] == ":" and name.startswith(rule)) for rule in rules)


def _under(request: HttpRequest, url: str) -> bool:
    """Does the request's path begin with that one, written with the prefix the site is mounted under or without?"""
    prefix = request.path.removesuffix(request.path_info)
    inner = url.removeprefix(prefix)
    return inner not in {"", "/"} and request.path_info.startswith((inner, url))


def ask(request: HttpRequest, left: Sequence[Demand]) -> HttpResponse:
    """The way to the page that asks, for a page; 403 for anything else, with the address of that page."""
    gone = [one for one in left if one.outside]
    path = reverse("agreement:withdraw") if gone else reverse("agreement:accept", args=[left[0].slug])
    response: HttpResponse
    if request.method == "GET" and origin.opens_page(request):
        response = HttpResponseRedirect(f"{path}?{urlencode({'next': request.get_full_path()})}")
    else:
        response = _problem(
            status=403,
            kind=LEFT if gone else UNJOINED,
            title=_("Consent was withdrawn.") if gone else _("The user agreement has not been joined."),
            detail=asked_for(left),
            agreements=[
                {
                    "agreement": one.slug,
                    "edition": one.number,
                    "digest": one.digest,
                    "address": request.build_absolute_uri(reverse("agreement:edition", args=[one.slug, one.number])),
                    "accept": request.build_absolute_uri(reverse("agreement:accept", args=[one.slug])),
                }
                for one in left
            ],
        )
    response.headers["Cache-Control"] = "private, no-store"
    return response


def asked_for(left: Sequence[Demand]) -> str:
    """What was not done, and what is to be done first, in a sentence."""
    if gone := ", ".join(one.slug for one in left if one.outside):
        return _("Nothing was done: the agreement was suspended or ended by a withdrawal: %(names)s.") % {"names": gone}
    names = ", ".join(f"{one.slug} {one.number}" for one in left)
    sentence = ngettext(
        "Nothing was done: read and accept this edition first: %(names)s.",
        "Nothing was done: read and accept these editions first: %(names)s.",
        len(left),
    )
    return sentence % {"names": names}


def late(request: HttpRequest, error: Exception) -> HttpResponse | None:
    """The answer where a form could not be kept, because another edition took effect after it was checked: 409."""
    if not isinstance(error, Stale):
        return None
    response: HttpResponse
    if origin.opens_page(request):
        response = HttpResponse(render_to_string("agreement/late.html", {"path": request.path}, request), status=409)
    else:
        says = " ".join(error.messages)
        response = _problem(status=409, kind=LATE, title=_("Another edition is in force now."), detail=says)
    response.headers["Cache-Control"] = "private, no-store"
    return response


def _away(request: HttpRequest, error: Exception) -> HttpResponse | None:
    logger.error("the gate can't ask the database: %s", error)
    passes = conf.get().DATABASE_AWAY
    if passes == "all" or (passes == "read" and request.method in origin.SAFE):
        return None
    response = _problem(
        status=503,
        kind=AWAY,
        title=_("The site can't be used for a moment."),
        detail=_("Nothing was done. Try again in a few seconds."),
    )
    response.headers["Retry-After"] = "5"
    response.headers["Cache-Control"] = "no-store"
    return response


def _problem(*, status: int, kind: str, **members: Any) -> HttpResponse:
    """RFC 9457."""
    return JsonResponse(
        {"type": kind, "status": status, **members},
        status=status,
        content_type="application/problem+json",
        json_dumps_params={"ensure_ascii": False},
    )


def joined_required(view: View) -> View:
    """Ask before that view; for a class, ``@method_decorator(joined_required, name="dispatch")``.

    Where the view itself finds out who asks, as Django REST framework's do, nobody is known before: there it is an
    error, and stands below ``@api_view`` or on a handler; or the class has :class:`HasJoined`.
    """
    owner = _owner(view)

    def before(request: Any) -> HttpResponse | None:
        if isinstance(request, HttpRequest) and hasattr(owner, "permission_classes"):
            msg = f"{view} finds out by itself who asks: give it permission_classes = [HasJoined] instead."
            raise ImproperlyConfigured(msg)
        return check(request)

    @wraps(view)
    def asked(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return before(request) or view(request, *args, **kwargs)

    @wraps(view)
    async def asked_async(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return await sync_to_async(before)(request) or await view(request, *args, **kwargs)

    return asked_async if iscoroutinefunction(view) or getattr(owner, "view_is_async", False) else asked


def _owner(view: View) -> object:
    """The class-based view a view is of, or is a method of."""
    each: Any = view
    while each is not None:
        owner = getattr(each, "view_class", None) or getattr(getattr(each, "func", None), "__self__", None)
        if owner is not None:
            return owner
        each = getattr(each, "__wrapped__", None)
    return None


def joined_not_required(view: View) -> View:
    """Leave that view out of what the middleware asks about: a health check, a page for everybody."""
    view.agreement_exempt = True  # type: ignore[attr-defined]
    return view


class HasJoined:
    """A permission for class-based views of APIs, in the form Django REST framework's are.

    ``permission_classes = [HasJoined]``; a request that may not go on is 403, and ``message`` says what to join.
    """

    message = ""
    code = "not_joined"

    def has_permission(self, request: Any, view: object) -> bool:
        left = pending(request)
        self.message = asked_for(left) if left else ""
        return not left

    def has_object_permission(self, request: Any, view: object, obj: object) -> bool:
        return True
