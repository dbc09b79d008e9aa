"""Refuses requests whose header ``Content-Type`` names a charset with which Django would fail: see :func:`is_readable`.

If the header names a charset, Django parses the query while it makes the request object. No middleware can answer an
exception there. :func:`guard_wsgi` and :func:`guard_asgi` answer 400 instead; ``portal_site/wsgi.py`` and
``portal_site/asgi.py`` show their use. This module can be imported before the settings are read.
"""

from __future__ import annotations

import codecs
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

from django.core.exceptions import TooManyFieldsSent
from django.http import QueryDict
from django.utils.http import parse_header_parameters

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["guard_asgi", "guard_wsgi"]

#: An ASGI application: its arguments are the scope, ``receive`` and ``send``.
ASGIApplication = Callable[[dict[str, Any], Any, Any], Awaitable[None]]

_SENTENCE = b"The request can't be read: its character encoding is not supported, or it has too many parameters."
_HEADERS = {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(_SENTENCE))}


def decodes_text(charset: str) -> bool:
    """Return whether Django can decode text in this charset. A name that Python does not know gives ``True``, because
    Django ignores it. Raises ``ValueError`` if the name contains NUL.
    """
    if not _is_codec(charset):
        return True
    try:
        b"\xd2".decode(charset, "replace")
    except (LookupError, ValueError):
        return False
    return True


def is_readable(content_type: str, query: bytes | str, *, query_charset: str | None = None) -> bool:
    """Return whether Django can make a request object for this value of the header ``Content-Type``, which may be
    empty, and this query string. ``True`` if the header names no charset, or one that Python does not know; the query
    string is not read then. ``False`` if text can't be decoded in the charset of the header (:func:`decodes_text`) or
    its name contains NUL, and if the query string can't be decoded, has more parameters than Django's setting
    ``DATA_UPLOAD_MAX_NUMBER_FIELDS`` permits, or can't be written again in its charset, as a page does that repeats it
    in its links.

    ``query_charset`` is the charset of the query string; ``None`` means that of the header.
    """
    try:
        charset = parse_header_parameters(content_type)[1].get("charset")
        if charset is None or not _is_codec(charset):
            return True
        # urlencode() is for the pages that repeat the query in their links, as those of the admin do.
        QueryDict(query, encoding=query_charset or charset).urlencode()
        return decodes_text(charset)
    except (LookupError, ValueError, TooManyFieldsSent):
        return False


def _is_codec(charset: str) -> bool:
    try:
        codecs.lookup(charset)
    except LookupError:
        return False
    return True


def guard_wsgi(application: WSGIApplication) -> WSGIApplication:
    """Return a WSGI application that answers 400 to a request that :func:`is_readable` refuses, and passes every other
    request to ``application``.
    """

    def guarded(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        query = environ.get("QUERY_STRING", "").encode("latin1")
        if is_readable(environ.get("CONTENT_TYPE", ""), query):
            return application(environ, start_response)
        start_response("400 Bad Request", list(_HEADERS.items()))
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [_SENTENCE]

    return guarded


def guard_asgi(application: ASGIApplication) -> ASGIApplication:
    """Return an ASGI application that answers 400 to an HTTP request that :func:`is_readable` refuses, and passes
    everything else to ``application``.
    """

    async def guarded(scope: dict[str, Any], receive: Any, send: Any) -> None:
        headers = scope["headers"] if scope["type"] == "http" else []
        # Django joins repeated headers in this way. Under ASGI it decodes every query in UTF-8.
        content_type = ",".join(value.decode("latin1") for name, value in headers if name == b"content-type")
        if is_readable(content_type, scope.get("query_string", b""), query_charset="utf-8"):
            await application(scope, receive, send)
            return
        pairs = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]
        await send({"type": "http.response.start", "status": 400, "headers": pairs})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else _SENTENCE})

    return guarded
