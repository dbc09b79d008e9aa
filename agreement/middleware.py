"""The middleware. In ``MIDDLEWARE`` it must come after Django's ``AuthenticationMiddleware``, best directly after."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from agreement.acceptance import answers, gate

__all__ = ["AgreementMiddleware"]

AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"


class AgreementMiddleware:
    """Records deemed acceptances and refuses requests as :func:`agreement.acceptance.gate.check` decides. A request
    that names a charset which decodes no text gets the status 400
    (:func:`~agreement.acceptance.answers.unknown_charset`). A request for which no view was found, but which other
    middleware answered with a status of 300 or less, such as a flatpage, is checked after that answer was made. A
    ``StaleEditionError`` that a view raises becomes a response with the status 409.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self.sees_session_user = self._follows_authentication(settings.MIDDLEWARE)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if self.sees_session_user:
            gate.mark_session_user(request)
        # This is before any code that reads the parameters, such as the check of a form's CSRF token.
        response = answers.unknown_charset(request) or self.get_response(request)
        # A page without a view has not been checked yet: for example a flatpage, which replaces a 404.
        if request.resolver_match is None and response.status_code <= 300:
            return gate.check(request, self.get_response) or response
        return response

    def process_view(
        self, request: HttpRequest, view: gate.SiteView, args: object, kwargs: object
    ) -> HttpResponse | None:
        return gate.check(request, view)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        return answers.stale_edition(request, exception)

    @classmethod
    def _follows_authentication(cls, middleware: Sequence[str]) -> bool:
        """Return whether only Django's session authentication can have set ``request.user`` before this middleware gets
        a request.

        It is true if there is no middleware between Django's ``AuthenticationMiddleware`` and this one, or only
        middleware of Django that sets no user. Other middleware could set a user from another source. It is false if
        ``middleware``, which is the setting ``MIDDLEWARE``, does not contain both of them in this order. Middleware
        before ``AuthenticationMiddleware`` does not matter, because that replaces the user. If the result is false, the
        session and the user are loaded for each request that is checked, which costs more.
        """
        own = f"{cls.__module__}.{cls.__qualname__}"
        before = list(middleware)[: middleware.index(own)] if own in middleware else []
        if AUTHENTICATION not in before:
            return False
        between = before[before.index(AUTHENTICATION) + 1 :]
        return all(name.startswith("django.") and not name.endswith("RemoteUserMiddleware") for name in between)
