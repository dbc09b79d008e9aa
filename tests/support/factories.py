"""Small makers of rows, each with the fewest words that make it valid."""

from __future__ import annotations

from contextvars import ContextVar
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from agreement.models import Agreement, Breach, DisplayedText, Edition, Notice, Progress, Withdrawal
from tests.support.site import KK, RU


def agreement(slug: str = "terms") -> Agreement:
    return Agreement.objects.get_or_create(slug=slug, defaults={"name_kk": slug, "name_ru": slug})[0]


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


def fields(edition: Edition, language: str = "ru", suffix: str = "") -> dict[str, object]:
    """What the accept page posts about this edition, which it displayed in that language."""
    return {
        f"edition{suffix}": edition.number,
        f"digest{suffix}": edition.digest,
        f"language{suffix}": language,
        f"html_digest{suffix}": DisplayedText.render(edition, language).digest,
    }


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


def member(group: str) -> Any:
    """The browser of a new user of the admin who is in that group. Its ``user`` is the user."""
    (user,) = users(1)
    user.is_staff = True
    user.save()
    user.groups.add(Group.objects.get(name=group))
    client: Any = Client()
    client.user = user
    client.force_login(user)
    return client


def start_page_world() -> None:
    """Three agreements with something of everything that the start page displays: an edition in force, a scheduled one,
    drafts with and without findings, a paused notice, a delayed one, one that did not reach everybody, a withdrawal
    without a reply, and a breach that is not announced.
    """
    now = timezone.now()
    [reader] = users(1)
    in_force = published()
    scheduled = published(effective_from=now + timedelta(days=12))
    draft()
    draft(kk=KK + "\n9.9. Бір.\n")
    other, third = published(slug="privacy"), published(slug="rules")
    Notice.objects.update(fanned_out_at=now, due_at=now - timedelta(hours=1))
    paused = Notice.objects.get(edition=scheduled)
    Notice.objects.filter(pk=paused.pk).update(paused_at=now)
    Progress.objects.create(notice=paused, channel="email", waiting=600_000, sent=400_000)
    Progress.objects.create(notice=Notice.objects.get(edition=other), channel="email", waiting=1, sent=999_999)
    gaps = Notice.objects.get(edition=third)
    Progress.objects.create(notice=gaps, channel="email", sent=7, failed=2)
    Withdrawal.objects.register(
        agreement=in_force.agreement, outcome="ended", received_on=now.date() - timedelta(days=1), user=reader
    )
    Breach.objects.create(agreement=in_force.agreement, known_at=now - timedelta(days=9))
