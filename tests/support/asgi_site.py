"""The portal as an ASGI application, with a page that needs no database. ``POOL`` is the size of a connection pool."""

from __future__ import annotations

import os

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal_site.settings")
if size := os.environ.get("POOL"):
    options = settings.DATABASES["default"].setdefault("OPTIONS", {})
    # No request gives up waiting for a connection, however busy the machine is.
    options["pool"] = {"min_size": 1, "max_size": int(size), "timeout": 300}
application = get_asgi_application()


async def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse("the page")


from portal_site import urls  # noqa: E402 - the settings are needed before

urls.urlpatterns.append(path("page/", page))
