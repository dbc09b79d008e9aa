"""``"agreement.middleware.AgreementMiddleware"``: it stands directly after Django's ``AuthenticationMiddleware``."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from agreement.acceptance import answers, gate

AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"


class AgreementMiddleware:
    """Records the deemed acceptances of signed-in users, and asks those who must still accept by confirmation."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self.sees_session_user = self._follows_authentication(settings.MIDDLEWARE)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if self.sees_session_user:
            gate.mark_session_user(request)
        # Before any code reads the parameters, as the check of a form's token does.
        response = answers.unknown_charset(request) or self.get_response(request)
        # A page without a view, such as one of Django's flatpages, which replace a 404: it has not been checked yet.
        if request.resolver_match is None and response.status_code == 200:
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
        """Is ``request.user``, when this middleware gets a request, what Django's session authentication has set?

        It is if nothing stands between the two but middleware of Django that sets no user. Other middleware could set
        a user from another source. The user of each request is then loaded, which is always right but costs more.
        """
        own = f"{cls.__module__}.{cls.__qualname__}"
        before = list(middleware)[: middleware.index(own)] if own in middleware else []
        if AUTHENTICATION not in before:
            return False
        between = before[before.index(AUTHENTICATION) + 1 :]
        return all(name.startswith("django.") and not name.endswith("RemoteUserMiddleware") for name in between)
