"""The pages of agreements in the site's ``sitemap.xml``: ``{"agreements": AgreementSitemap}``."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.sitemaps import Sitemap
from django.urls import NoReverseMatch, reverse
from django.utils import timezone, translation

from agreement import conf
from agreement.editions.timeline import current_timelines

__all__ = ["AgreementSitemap"]


@dataclass(frozen=True, slots=True)
class Page:
    """A page: the name of its URL without the namespace ``agreement``, the arguments of the URL, and the moment that
    the sitemap states as its last change.
    """

    name: str
    args: tuple[object, ...]
    changed: datetime


def _index_path(language: str) -> str:
    """The path of the list of agreements in this language; ``""`` if the site has no such page in it."""
    with translation.override(language), suppress(NoReverseMatch):
        return reverse("agreement:index")
    return ""


class AgreementSitemap(Sitemap):  # type: ignore[type-arg]  # Not generic at run time.
    """The pages of each agreement that has a public edition: the edition in force, the same in both languages, the list
    of editions, every public edition and its changes.

    The page of the edition in force is left out if all public editions are cancelled. It is listed if the first edition
    is only announced. The page in both languages is left out if no edition is in force. The changes of an edition
    without a public predecessor are left out.

    The last change of the pages of an edition is the latest event so far: its own publication, effect or cancellation,
    or the publication or effect of its successor, if that is public. The last change of the other pages of the
    agreement is the latest of those of its editions.

    The host and the scheme of the URLs are those of the setting ``BASE_URL`` or, if it is empty, what Django
    determines. The list of pages needs no query, except those that read the dates of the editions
    (:func:`agreement.editions.timeline.current_timelines`).
    """

    alternates = True

    @cached_property
    def i18n(self) -> bool:  # type: ignore[override]  # An attribute in Django, computed here.
        """Do the languages of the site have different URLs? If so, the sitemap contains each page in each language that
        has it.
        """
        return len({*map(_index_path, dict(settings.LANGUAGES))}) > 1

    def get_languages_for_item(self, item: Page) -> list[str]:
        return [language for language in super().get_languages_for_item(item) if _index_path(language)]

    def items(self) -> list[Page]:
        at, found = timezone.now(), []
        for slug, timeline in sorted(current_timelines().agreements.items()):
            public = timeline.public(at)
            if not public:
                continue
            pages = []
            for edition in public:
                successor = timeline.successor(edition)
                moments = [edition.published_at, edition.cancelled_at or edition.effective_from]
                moments += [successor.published_at, successor.effective_from] if successor in public else []
                changed = max(moment for moment in moments if moment <= at)
                pages.append(Page("edition", (slug, edition.number), changed))
                if timeline.predecessor(edition) in public:
                    pages.append(Page("changes", (slug, edition.number), changed))
            last = max(page.changed for page in pages)
            has_current = any(edition.cancelled_at is None for edition in public)
            names = [*["current"] * has_current, *["bilingual"] * bool(timeline.in_force(at)), "editions"]
            found += [*(Page(name, (slug,), last) for name in names), *pages]
        return found

    def location(self, item: Page) -> str:
        return reverse(f"agreement:{item.name}", args=item.args)

    def lastmod(self, item: Page) -> datetime:
        return item.changed

    def get_domain(self, site: Any = None) -> str:
        return urlsplit(conf.get().BASE_URL).netloc or str(super().get_domain(site))

    def get_protocol(self, protocol: str | None = None) -> str:
        return urlsplit(conf.get().BASE_URL).scheme or str(super().get_protocol(protocol))
