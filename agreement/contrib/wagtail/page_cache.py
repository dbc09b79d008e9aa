"""Caches in front of the site: a page that quotes an agreement is not displayed after what it quotes has changed.

Two things are needed, because nothing can take a page back from the cache of a browser. :func:`shorten` limits how long
a page may be stored, so that no copy outlives the moment at which an edition takes effect. :func:`purge` removes the
pages from the caches that the site lists in ``WAGTAILFRONTENDCACHE``. It is called at a publication and a cancellation,
and by the command ``refresh_pages``.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.http import HttpResponse
from django.utils import timezone, translation
from django.utils.cache import patch_cache_control
from django.utils.http import http_date, parse_http_date_safe
from wagtail.contrib.frontend_cache.utils import PurgeBatch
from wagtail.log_actions import log
from wagtail.models import ModelLogEntry, Page, ReferenceIndex

from agreement.editions.timeline import MAX_AGE_SECONDS, current_timelines
from agreement.models import Agreement, Edition

#: The action in Wagtail's audit log. Its latest entry states what was purged last.
REFRESH = "agreement.refresh"


def quoting_pages() -> set[int]:
    """The primary keys of the pages that quote an agreement, in themselves or by a snippet that they contain. Wagtail's
    index of references knows them. A setting of the site, and a tag in a template, are not in that index.
    """
    # By the base model: Wagtail has one row for a page, whatever its type is.
    page_type = ContentType.objects.get_for_model(Page).pk
    frontier: set[tuple[int, str | None]] = {(ContentType.objects.get_for_model(Agreement).pk, None)}
    found: set[tuple[int, str | None]] = set()
    while frontier:
        keys: dict[int, set[str | None]] = defaultdict(set)
        for kind, key in frontier:
            keys[kind].add(key)
        frontier = set()
        for kind, ids in keys.items():
            references = ReferenceIndex.objects.filter(to_content_type=kind)
            if None not in ids:
                references = references.filter(to_object_id__in=ids)
            frontier |= set(references.values_list("base_content_type", "object_id"))
        frontier -= found
        found |= frontier
        frontier = {source for source in frontier if source[0] != page_type}
    return {int(key) for kind, key in found if kind == page_type and key}


def purge() -> int:
    """Remove the live pages that quote an agreement from the caches in front of the site. Return the number of these
    pages.

    With ``i18n_patterns`` a page has a URL in each language of the site. Wagtail removes that of the active language.
    Therefore this function activates each language in turn.
    """
    pages = Page.objects.live().filter(pk__in=quoting_pages())
    batch = PurgeBatch()
    for language, _name in settings.LANGUAGES:
        with translation.override(language):
            batch.add_pages(pages)
    batch.purge()
    return len(pages)


def refresh(at: datetime | None = None) -> int | None:
    """Remove the pages that quote an agreement from the caches (:func:`purge`) if an edition took effect, was published
    or was cancelled between the last refresh and the instant ``at`` (now). The last refresh is the latest entry
    ``REFRESH`` in Wagtail's audit log. If there is none, everything that happened until ``at`` counts. Return how many
    pages were removed, and log this; ``None``, without an entry, if nothing has changed, or if no edition has been
    published.

    A publication and a cancellation count ``MAX_AGE_SECONDS`` later, because until then another process may render a
    page with the dates that it remembers. If two processes call this at the same time, both may remove the pages and
    log it, which does no harm. At most 1 query if nothing has changed, besides those that read the dates of the
    editions.
    """
    at = at or timezone.now()
    known = at - timedelta(seconds=MAX_AGE_SECONDS)
    passed = [
        (moment, edition.pk)
        for timeline in current_timelines().agreements.values()
        for edition in timeline.editions
        for moment, until in (
            (edition.published_at, known),
            (edition.effective_from, known if edition.cancelled_at else at),
            (edition.cancelled_at, known),
        )
        if moment and moment <= until
    ]
    digest = hashlib.sha256(repr(sorted(passed)).encode()).hexdigest()
    last = ModelLogEntry.objects.filter(action=REFRESH).order_by("-timestamp", "-pk").values_list("data", flat=True)
    if not passed or (last.first() or {}).get("digest") == digest:
        return None
    pages = purge()
    log(Edition.objects.get(pk=max(passed)[1]), REFRESH, data={"digest": digest, "pages": pages})
    return pages


def shorten(response: HttpResponse, *, began_at: datetime) -> None:
    """Change the header ``Cache-Control`` of a response, the rendering of which began at that moment, so that no cache
    stores it beyond the next moment at which an edition takes effect or its days to accept end. If there is no such
    moment, nothing is changed. A response without ``max-age`` gets one only if Django's cache middleware would store it
    for longer, and if its header contains none of ``private``, ``no-cache`` and ``no-store``. The header ``Expires``,
    which counts only for a response without these ages, is changed to that moment if it is later.
    """
    seconds = current_timelines().seconds_until_next(began_at)
    if seconds == float("inf"):
        return
    # One second less: a cache counts whole seconds, from the moment at which it stores the page.
    left = max(0, int((began_at + timedelta(seconds=seconds) - timezone.now()).total_seconds()) - 1)
    stated = response.headers.get("Cache-Control", "")
    if ages := re.findall(r"(?:max-age|s-maxage)=(\d+)", stated):
        fresh = min(left, *map(int, ages))

        def limited(match: re.Match[str]) -> str:
            most = left - fresh if match[1].startswith("stale") else left
            return f"{match[1]}={min(int(match[2]), most)}"

        limits = r"(max-age|s-maxage|stale-while-revalidate|stale-if-error)=(\d+)"
        response.headers["Cache-Control"] = re.sub(limits, limited, stated)
        response.headers.pop("Expires", None)  # It would contradict; Django's cache middleware computes it again.
    else:
        expires = parse_http_date_safe(response.headers.get("Expires", ""))  # None: no date, so already expired.
        if expires is not None and expires > (latest := int(timezone.now().timestamp()) + left):
            response.headers["Expires"] = http_date(latest)
    # The middleware reads max-age only.
    if (
        "max-age" not in stated
        and "django.middleware.cache.UpdateCacheMiddleware" in settings.MIDDLEWARE
        and left < settings.CACHE_MIDDLEWARE_SECONDS
        and not re.search("private|no-cache|no-store", stated)
    ):
        patch_cache_control(response, max_age=left)


def serve_briefly(serve: Any) -> Any:
    """Return ``serve``, the function that renders a page of Wagtail, with :func:`shorten` applied to its response. It
    is for Wagtail's hook ``on_serve_page``. Every page is limited, because the tags in its templates may quote an
    agreement too. This adds no query, unless the dates of the editions must be read.
    """

    def limited(page: Page, request: Any, args: Any, kwargs: Any) -> Any:
        began_at = timezone.now()
        response = serve(page, request, args, kwargs)

        def limit(rendered: Any) -> None:
            shorten(rendered, began_at=began_at)

        if hasattr(response, "add_post_render_callback"):
            response.add_post_render_callback(limit)
        else:
            limit(response)
        return response

    return limited
