"""Consents to the processing of personal data. The setting ``CONSENTS`` contains the purposes for which the site asks
now, and the words in which it asks. A consent is a row of its own, apart from any acceptance.
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
from agreement.text import consent, languages

__all__ = ["Purpose", "StaleWording", "give", "open_purposes", "withdraw"]


class StaleWording(ValidationError):
    """The displayed words are not those in which the site asks now, or the site has no such purpose. This consent was
    not recorded. ``code`` is ``stale_wording``.
    """

    def __init__(self) -> None:
        super().__init__(_("The text was changed in the meantime. Read it, then answer."), code="stale_wording")


@dataclass(frozen=True, slots=True)
class Purpose:
    """A purpose for which personal data is used, with the words in which the site asks for consent in one language."""

    name: str
    language: str
    text: str

    @property
    def digest(self) -> str:
        """The SHA-256 of the words in UTF-8, in lower-case hexadecimal."""
        return manifest.sha256(self.text)

    @property
    def words(self) -> consent.Words:
        """The words, split into the sentence beside the checkbox and the parts that a page displays below it."""
        return consent.split(self.text)


def purposes(language: str) -> list[Purpose]:
    """Return all purposes for which the site asks for consent, with their words in ``language`` (``kk`` or ``ru``), in
    the order of the setting ``CONSENTS``. It makes no query.
    """
    stated = conf.get().CONSENTS.items()
    return [Purpose(name, language, consent.render(words, language)) for name, words in stated]


def open_purposes(user_key: UserKey, language: str) -> list[Purpose]:
    """Return the purposes for which the user has given no consent that counts, with their words in ``language``.

    A consent counts if it was given to the current words in Kazakh or in Russian. It does not count if it has a
    withdrawal date, even a future one. 1 query; none if the site asks for no consents.
    """
    wanted = purposes(language)
    if not wanted:
        return []
    given = set(Consent.objects.filter(user=user_key, withdrawn_at=None).values_list("purpose", "digest"))
    return [one for one in wanted if given.isdisjoint((one.name, wording.digest) for wording in _wordings(one.name))]


def give(user: SiteUser, answers: Iterable[tuple[str, str]]) -> None:
    """Record the consents of this user, given now. Each answer is the name of a purpose, and the digest of the words
    that were displayed. If the user has given a consent in the same words and it has no withdrawal date, not even a
    future one, it is not recorded again.

    Raises :class:`StaleWording` if the site has no such purpose, or if a digest is not that of its current words in
    either language. The answers before it stay recorded, unless the caller runs this in a transaction and rolls it
    back.
    """
    for name, digest in answers:
        purpose = purpose_with_digest(name, digest)
        if purpose is None:
            raise StaleWording
        Consent.objects.give(user=user, purpose=name, language=purpose.language, text=purpose.text)


def purpose_with_digest(name: str, digest: str) -> Purpose | None:
    """Return the purpose with that name, in the language whose current words have that digest; ``None`` if the site has
    no such purpose, or if the digest is of other words. It makes no query.
    """
    return next((one for one in _wordings(name) if one.digest == digest), None)


def withdraw(user: SiteUser, name: str) -> int:
    """Withdraw now all consents of this user for the purpose with that name, whatever their words were. Return how many
    were changed. Those that were withdrawn earlier are not changed. If a withdrawal date is in the future, it becomes
    now, and this counts as a change. The setting ``CONSENTS`` need not contain the purpose. 1 query, 2 on PostgreSQL.
    """
    withdrawn: int = Consent.objects.filter(user=user.pk, purpose=name).withdraw()
    return withdrawn


def _wordings(name: str) -> list[Purpose]:
    """Return the purpose with that name in each language; an empty list if the site has no such purpose."""
    return [one for language in languages.LANGUAGES for one in purposes(language) if one.name == name]
