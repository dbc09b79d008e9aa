"""The context processor of the portal."""

from __future__ import annotations

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest
from django.urls import NoReverseMatch
from django.utils.functional import SimpleLazyObject

from agreement.views import alternates
from agreement.views.base import Alternate


def languages(request: HttpRequest) -> dict[str, object]:
    """Return the template variable ``alternates``: the current page in each language, for the links in the header of
    every page, also of login and error pages. It is computed only if the template uses it. It is empty if
    :func:`alternates` finds nothing, for example for a page whose URL has no name. Without ``BASE_URL`` it is also
    empty for a request with a host that is not allowed.
    """

    def find() -> list[Alternate]:
        try:
            return alternates(request)
        except (NoReverseMatch, DisallowedHost):
            return []

    return {"alternates": SimpleLazyObject(find)}
