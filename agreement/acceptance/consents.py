"""Consents to the processing of data: for which purposes the site asks, in which words, and who has given them.

The words are in ``AGREEMENT["CONSENTS"]``. A consent is bound by their SHA-256 to the words that were displayed. It
counts for these words alone; a site that changes them asks again. A consent is given and withdrawn independently of
any acceptance.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from agreement import conf
from agreement.models import Consent
from agreement.models.fields import SiteUser, UserKey
from agreement.seal import manifest
from agreement.text import languages


class StaleWording(ValidationError):
    """Nothing was recorded: these are not the words in which the site asks now. ``code`` is ``stale_wording``."""

    def __init__(self) -> None:
        super().__init__(_("The words were changed meanwhile: read them, then answer."), code="stale_wording")


@dataclass(frozen=True, slots=True)
class Purpose:
    """One purpose for which personal data is used, and the words of one language in which the site asks."""

    name: str
    language: str
    text: str

    @property
    def digest(self) -> str:
        return manifest.sha256(self.text)


def purposes(language: str) -> list[Purpose]:
    """The purposes for which the site asks, in that language."""
    return [Purpose(name, language, words[language]) for name, words in conf.get().CONSENTS.items()]


def open_purposes(user_key: UserKey, language: str) -> list[Purpose]:
    """The purposes for which that user has given no consent in today's words of either language. At most 1 query.

    A consent that is to end at a later moment counts as none.
    """
    wanted = purposes(language)
    if not wanted:
        return []
    given = set(Consent.objects.filter(user=user_key, withdrawn_at=None).values_list("purpose", "digest"))
    return [one for one in wanted if given.isdisjoint((one.name, wording.digest) for wording in _wordings(one.name))]


def give(user: SiteUser, answers: Iterable[tuple[str, str]]) -> None:
    """Record consents: each answer is the name of a purpose and the digest of the words that were displayed. Raises
    :class:`StaleWording`.
    """
    for name, digest in answers:
        purpose = purpose_with_digest(name, digest)
        if purpose is None:
            raise StaleWording
        Consent.objects.give(user=user, purpose=name, language=purpose.language, text=purpose.text)


def purpose_with_digest(name: str, digest: str) -> Purpose | None:
    """The purpose of that name in the language in which today's words have that digest."""
    return next((one for one in _wordings(name) if one.digest == digest), None)


def withdraw(user: SiteUser, name: str) -> int:
    """Withdraw that user's consents for the purpose of that name, in all words. It returns the number of records."""
    withdrawn: int = Consent.objects.filter(user=user.pk, purpose=name).withdraw()
    return withdrawn


def _wordings(name: str) -> list[Purpose]:
    """That purpose in each language."""
    return [one for language in languages.LANGUAGES for one in purposes(language) if one.name == name]
