"""Consent to data, apart from joining: what the site asks for, in which words, and who has given it.

The words stand in ``AGREEMENT["CONSENTS"]``. A consent is bound to the words that were shown, by their SHA-256, and
holds for them alone: other words are asked about anew. It is given and taken back by itself, whatever is joined.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from agreement import conf
from agreement.models import Consent
from agreement.text import seal


class Reworded(ValidationError):
    """Nothing was recorded: those are not the words the site asks in. ``code`` is ``stale_wording``."""

    def __init__(self) -> None:
        super().__init__(_("The words were changed meanwhile: read them, then answer."), code="stale_wording")


@dataclass(frozen=True, slots=True)
class Purpose:
    """One use of personal data, in the words one reader sees."""

    name: str
    language: str
    text: str

    @property
    def digest(self) -> str:
        return seal.sha256(self.text)


def asked(language: str) -> list[Purpose]:
    """What the site asks for, in that language."""
    return [Purpose(name, language, words[language]) for name, words in conf.get().CONSENTS.items()]


def left(user_key: Any, language: str) -> list[Purpose]:
    """What that user has not consented to for good, in the words of today of either language. At most 1 query."""
    purposes = asked(language)
    if not purposes:
        return []
    given = set(Consent.objects.filter(user=user_key, withdrawn_at=None).values_list("purpose", "digest"))
    return [one for one in purposes if given.isdisjoint((one.name, each.digest) for each in _wordings(one.name))]


def give(user: Any, answers: Iterable[tuple[str, str]]) -> None:
    """Record the consents of those names, each to the words of that digest. Raises :class:`Reworded`."""
    for name, digest in answers:
        shown = known(name, digest)
        if shown is None:
            raise Reworded
        Consent.objects.give(user=user, purpose=name, language=shown.language, text=shown.text)


def known(name: str, digest: str) -> Purpose | None:
    """The words of today of that name and digest."""
    return next((one for one in _wordings(name) if one.digest == digest), None)


def withdraw(user: Any, name: str) -> int:
    """Take back that user's consent of that name, in whatever words; how many records."""
    rows: Any = Consent.objects.filter(user=user.pk, purpose=name)
    taken: int = rows.withdraw()
    return taken


def _wordings(name: str) -> list[Purpose]:
    return [one for language in conf.LANGUAGES for one in asked(language) if one.name == name]
