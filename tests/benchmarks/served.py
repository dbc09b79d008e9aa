"""The portal with three views more, each as small as a view can be: what its pages are measured against."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

os.environ["DJANGO_SETTINGS_MODULE"] = "portal_site.settings"

from django.conf import settings
from django.conf.urls.i18n import i18n_patterns
from django.core.wsgi import get_wsgi_application
from django.db.backends.signals import connection_created
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.urls import path

settings.ROOT_URLCONF = __name__
settings.AGREEMENT["PAGE_SECONDS"] = int(os.environ.get("BENCHMARK_PAGE_SECONDS", "60"))
application = get_wsgi_application()

from portal_site.urls import urlpatterns as portal  # noqa: E402 - needs the settings

_queries = 0


def _counted(execute: Any, *arguments: Any) -> Any:
    global _queries
    _queries += 1
    return execute(*arguments)


def _count(connection: Any, **_signal: Any) -> None:
    # A connection that was closed and opened again has its wrapper already.
    if _counted not in connection.execute_wrappers:
        connection.execute_wrappers.append(_counted)


connection_created.connect(_count)


@cache
def _bytes() -> bytes:
    return Path(os.environ["BENCHMARK_BYTES"]).read_bytes()


def trivial(request: HttpRequest) -> HttpResponse:
    """The same bytes as the page's."""
    return HttpResponse(_bytes(), headers={"Content-Encoding": "gzip"})


def unmodified(request: HttpRequest) -> HttpResponse:
    return HttpResponseNotModified()


def queries(request: HttpRequest) -> HttpResponse:
    """How many this process has made so far."""
    return HttpResponse(str(_queries))


urlpatterns = [
    *portal,
    *i18n_patterns(path("trivial/", trivial), path("unmodified/", unmodified), path("queries/", queries)),
]
