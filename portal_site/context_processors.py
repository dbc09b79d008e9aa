"""The context processor of the portal."""

from __future__ import annotations

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest
from django.urls import NoReverseMatch
from django.utils.functional import SimpleLazyObject

from agreement.views import alternates
from agreement.views.base import Alternate


def languages(request: HttpRequest) -> dict[str, object]:
    """The page in each language, as ``alternates``, for the links in the header of every page, also of login and error
    pages. They are computed only if the page has a header. A page without a name, and one on a wrong host, has none.
    """

    def find() -> list[Alternate]:
        try:
            return alternates(request)
        except (NoReverseMatch, DisallowedHost):
            return []

    return {"alternates": SimpleLazyObject(find)}
