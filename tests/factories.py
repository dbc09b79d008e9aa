"""Small makers of rows, each with the fewest words that make it valid."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model

from agreement.models import Agreement, Edition

KK = "# Пайдаланушы келісімі\n\n## 1. ЖАЛПЫ ЕРЕЖЕЛЕР\n\n1.1. Бірінші тармақ.\n\n1.2. Екінші тармақ.\n"
RU = "# Пользовательское соглашение\n\n## 1. ОБЩИЕ ПОЛОЖЕНИЯ\n\n1.1. Первый пункт.\n\n1.2. Второй пункт.\n"


def agreement(slug: str = "terms") -> Agreement:
    return Agreement.objects.get_or_create(slug=slug)[0]


def draft(*, slug: str = "terms", kk: str = KK, ru: str = RU, **stated: Any) -> Edition:
    return Edition.objects.draft(agreement=agreement(slug), bodies={"kk": kk, "ru": ru}, **stated)


def published(*, effective_from: datetime | None = None, **stated: Any) -> Edition:
    edition = draft(**stated)
    edition.publish(effective_from=effective_from)
    return edition


def users(count: int, *, languages: tuple[str, ...] = ("kk", "ru", "")) -> list[Any]:
    """Active users with an address, and with the languages in turn ("" is unknown)."""
    from portal_site.models import Profile

    User = get_user_model()
    first = User.objects.count()
    made = User.objects.bulk_create(
        User(username=f"user{number}", email=f"user{number}@example.kz")
        for number in range(first, first + count)
    )
    Profile.objects.bulk_create(
        Profile(user=user, language=languages[number % len(languages)]) for number, user in enumerate(made)
    )
    return made
