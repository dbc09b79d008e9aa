"""Small makers of rows, each with the fewest words that make it valid."""

from __future__ import annotations

from contextvars import ContextVar
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model

from agreement.models import Agreement, Edition
from tests.support.site import KK, RU


def agreement(slug: str = "terms") -> Agreement:
    return Agreement.objects.get_or_create(slug=slug)[0]


#: True while ``draft`` makes a row in this thread. Django asks the database about each constraint before it saves,
#: which takes four fifths of the time; for a test's rows the constraints themselves are enough.
_unasked = ContextVar("_unasked", default=False)
_validate_constraints = Edition.validate_constraints


def _validate_constraints_if_asked(self: Edition, exclude: Any = None) -> None:
    if not _unasked.get():
        _validate_constraints(self, exclude)


Edition.validate_constraints = _validate_constraints_if_asked  # type: ignore[method-assign]


def draft(*, slug: str = "terms", kk: str = KK, ru: str = RU, **stated: Any) -> Edition:
    before = _unasked.set(True)
    try:
        return Edition.objects.create_draft(agreement=agreement(slug), bodies={"kk": kk, "ru": ru}, **stated)
    finally:
        _unasked.reset(before)


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
