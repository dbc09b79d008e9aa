"""The signatures of officials as pages display them."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext

from agreement.conf import active_language
from agreement.models import Edition, Signature
from agreement.text import dates


@dataclass(frozen=True, slots=True, kw_only=True)
class DisplayedSignature:
    """A signature with its moments as phrases in the language of the page, in the time zone of the agreement. They are
    ``signed``, by the clock of the signer (``""`` if the signature states none), and ``recorded``, when it was stored
    here.
    """

    row: Signature
    signed: str
    recorded: str

    @property
    def verification(self) -> str:
        """What was verified, as sentences in the active language."""
        if self.row.verified_by:
            return gettext("This site verified the signature when it was stored.")
        if self.row.is_compared:
            return gettext(
                "The signature was not verified here. Only the signed digest was compared with that of the manifest:"
                " they agree."
            )
        return gettext(
            "The signature was not verified here, and its digest was not compared with the manifest: this site does not"
            " know the digest algorithm %(algorithm)s."
        ) % {"algorithm": self.row.digest_algorithm}


def signatures_of(edition: Edition) -> list[DisplayedSignature]:
    """The signatures of the edition, in the order in which they were stored, without their files. 1 query, if the
    agreement of the edition is loaded.
    """
    language, zone = active_language(), edition.agreement.time_zone
    return [
        DisplayedSignature(
            row=row,
            signed=dates.instant(row.signed_at, language, zone) if row.signed_at else "",
            recorded=dates.instant(row.recorded_at, language, zone),
        )
        for row in edition.signatures.defer("content")
    ]
