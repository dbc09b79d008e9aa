"""The context processors of the portal."""

from __future__ import annotations

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest
from django.urls import NoReverseMatch
from django.utils.functional import SimpleLazyObject

from agreement.editions import has_edition_in_force
from agreement.views import Alternate, alternates

#: The agreement to which the footer links, if it has an edition in force. A portal may have none.
PRIVACY_POLICY_SLUG = "privacy-policy"


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


def privacy_policy(request: HttpRequest) -> dict[str, object]:
    """The slug of the privacy policy, as ``privacy_policy``, for the link in the footer; ``""`` if it has
    no edition in force. No query, except those that read the dates of the editions once per second. Pages that must
    work without the database, such as error pages, do not use it.
    """

    def find() -> str:
        return PRIVACY_POLICY_SLUG if has_edition_in_force(PRIVACY_POLICY_SLUG) else ""

    return {"privacy_policy": SimpleLazyObject(find)}
