"""The middleware of the portal."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils.deprecation import MiddlewareMixin
from django.views.defaults import page_not_found


class HeadMiddleware(MiddlewareMixin):
    """Removes the body of each response to HEAD and keeps its headers. It must be the first in ``MIDDLEWARE``.

    Django leaves the body to the server, and gunicorn logs a warning for each one that it drops.
    """

    def process_response(
        self, request: HttpRequest, response: HttpResponse | StreamingHttpResponse
    ) -> HttpResponse | StreamingHttpResponse:
        if request.method != "HEAD":
            return response
        if isinstance(response, StreamingHttpResponse):
            response.streaming_content = ()
        elif response.content:
            response.headers.setdefault("Content-Length", str(len(response.content)))
            response.content = b""
        return response


class NotFoundMiddleware(MiddlewareMixin):
    """Puts the portal's own page with the status 404 in the place of Django's page for developers, which lists all URLs
    in English. The demo runs with ``DEBUG``, and its visitors may mistype an address.
    """

    def process_response(
        self, request: HttpRequest, response: HttpResponse | StreamingHttpResponse
    ) -> HttpResponse | StreamingHttpResponse:
        if response.status_code == 404 and b"<code>DEBUG = True</code>" in getattr(response, "content", b""):
            return page_not_found(request, Http404())
        return response
