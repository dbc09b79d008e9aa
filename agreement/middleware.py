"""``"agreement.middleware.AgreementMiddleware"``, after Django's authentication: users join what is in force."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from agreement import access


class AgreementMiddleware:
    """Records who enters, or asks those who have still to confirm, as each agreement says (``Agreement.joining``)."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        # Before anybody looks into what was sent, as the check for a form's token does.
        response = access.unreadable(request) or self.get_response(request)
        # A page no view made, as of Django's flatpages, which take the place of a 404: nobody was asked yet.
        if request.resolver_match is None and response.status_code == 200:
            return access.check(request, self.get_response) or response
        return response

    def process_view(self, request: HttpRequest, view: access.View, args: Any, kwargs: Any) -> HttpResponse | None:
        return access.check(request, view)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        return access.late(request, exception)
