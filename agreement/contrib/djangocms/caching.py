"""How long django CMS may store a page with a plugin of this app, and when it must forget all pages."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from cms.cache import invalidate_cms_page_cache
from cms.constants import EXPIRE_NOW, MAX_EXPIRATION_TTL
from cms.models import Placeholder
from cms.toolbar.utils import get_toolbar_from_request
from django.http import HttpRequest
from django.utils import timezone

from agreement.editions.timeline import Timelines, fresh_timelines

#: No page is stored for this long after a publication, a cancellation or a moment of effect. The plugins of the page
#: may have been rendered before it, by this process or by one that had not read the new dates, and two machines may
#: have different clocks.
SETTLING = timedelta(seconds=10)
#: A page is forgotten this many seconds before the moment of effect. It is stored after its time was computed.
MARGIN_SECONDS = 1


def forget_pages(**_signal: Any) -> None:
    """Receiver of the signals ``edition_published`` and ``edition_cancelled``: forget all pages that django CMS stored,
    in each process that uses the same cache.
    """
    invalidate_cms_page_cache()


def seconds_to_store(request: HttpRequest, placeholder: Placeholder, *, until: datetime | None = None) -> int:
    """For how many seconds django CMS may store the page of this request, because of a plugin in the placeholder: until
    just before the next moment at which an edition takes effect or its days to accept end, or until the moment
    ``until`` if that is earlier, but at most ``MAX_EXPIRATION_TTL``. 0 if such a moment, a publication or a
    cancellation is less than ``SETTLING`` ago. At most 2 queries for each page, whatever number of plugins it has.

    django CMS also has a cache for the content of each placeholder. For that cache it calls this function too, before
    it counts the placeholder as rendered. Then the result is 0: a page with stored content would be stored without
    regard to any plugin.
    """
    if placeholder not in get_toolbar_from_request(request).content_renderer.get_rendered_placeholders():
        return int(EXPIRE_NOW)
    timelines, at = _timelines(request), timezone.now()
    if timelines.version(at) != timelines.version(at - SETTLING):
        return int(EXPIRE_NOW)
    seconds = min(timelines.seconds_until_next(at), float(MAX_EXPIRATION_TTL))
    if until:
        seconds = min(seconds, (until - at).total_seconds())
    # Rounded down here, because django CMS rounds a moment to the nearest second: up to half a second too late.
    return max(int(seconds) - MARGIN_SECONDS, int(EXPIRE_NOW))


def _timelines(request: HttpRequest) -> Timelines:
    """The dates of all sealed editions. The first call for a request reads them, after the plugins of its page were
    rendered, and stores them with the request for the others.
    """
    known: Timelines | None = getattr(request, "_agreement_timelines", None)
    if known is None:
        known = fresh_timelines()
        request._agreement_timelines = known  # type: ignore[attr-defined]  # As django CMS stores what it knows.
    return known
