"""Small makers of rows, each with the fewest words that make it valid."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model

from agreement.models import Agreement, Edition
from tests.site import KK, RU


def agreement(slug: str = "terms") -> Agreement:
    return Agreement.objects.get_or_create(slug=slug)[0]


def draft(*, slug: str = "terms", kk: str = KK, ru: str = RU, **stated: Any) -> Edition:
    return Edition.objects.draft(agreement=agreement(slug), bodies={"kk": kk, "ru": ru}, **stated)


def published(*, effective_from: datetime | None = None, **stated: Any) -> Edition:
    edition = draft(**stated)
    edition.publish(effective_from=effective_from, reason="Сот шешімі.")
    return edition


def users(count: int, *, languages: tuple[str, ...] = ("kk", "ru", "")) -> list[Any]:
    """Active users with an address, and with the languages in turn ("" is unknown)."""
    from portal_site.models import Profile

    user_model = get_user_model()
    first = user_model.objects.count()
    made = user_model.objects.bulk_create(
        user_model(username=f"user{number}", email=f"user{number}@example.kz") for number in range(first, first + count)
    )
    Profile.objects.bulk_create(
        Profile(user=user, language=languages[number % len(languages)]) for number, user in enumerate(made)
    )
    return made
