"""The middleware of the portal."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils.deprecation import MiddlewareMixin


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
