"""Signatures of officials. An official signs the manifest of an edition with the key of their digital signature."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from agreement.models.fields import InstantField

#: The digest algorithms that are computed here, by their names in hashlib and in asn1crypto.
KNOWN_DIGESTS = frozenset(name for name in hashlib.algorithms_guaranteed if not name.startswith(("shake", "blake")))


def is_digest_of(content: bytes, algorithm: str, digest: str) -> bool:
    """Whether ``digest``, in lower-case hexadecimal, is the digest of the content by that algorithm, which must be one
    of ``KNOWN_DIGESTS``; otherwise the result is ``False``.
    """
    known = algorithm in KNOWN_DIGESTS
    return known and hashlib.new(algorithm, content, usedforsecurity=False).hexdigest() == digest


class Signature(models.Model):
    """A detached CMS signature (RFC 5652) over the bytes of the manifest of an edition, at most one of each signer. Its
    row is sealed. :func:`agreement.evidence.signatures.store` adds it.

    ``number`` counts the signatures of an edition from 1, in the order in which they were stored. What the columns
    state about the signer and the moment of signing is copied from the file. Unless ``verified_by`` names who verified
    it, nobody has checked that it is true.
    """

    edition = models.ForeignKey(
        "agreement.Edition", on_delete=models.PROTECT, related_name="signatures", verbose_name=_("edition")
    )
    number = models.PositiveIntegerField(_("number"))
    signer = models.CharField(_("signer"), max_length=255, help_text=_("The name in the certificate."))
    organisation = models.CharField(_("organisation"), max_length=255, blank=True)
    issuer = models.CharField(_("issuer of the certificate"), max_length=255, blank=True)
    signer_key = models.CharField(
        _("digest of the signer"), max_length=64, help_text=_("The SHA-256 of the subject of the certificate.")
    )
    signed_at = InstantField(_("signed"), null=True, blank=True, help_text=_("According to the clock of the signer."))
    recorded_at = InstantField(_("stored"), default=timezone.now, editable=False)
    digest_algorithm = models.CharField(
        _("digest algorithm"), max_length=64, help_text=_("Its name; if it is not known here, its object identifier.")
    )
    message_digest = models.CharField(_("signed digest"), max_length=128)
    verified_by = models.CharField(_("verified by"), max_length=255, blank=True)
    content = models.BinaryField(_("file"), help_text=_("The signature as received: a ContentInfo of CMS."))

    if TYPE_CHECKING:
        edition_id: int

    class Meta:
        ordering = ["edition_id", "number"]
        verbose_name = _("digital signature")
        verbose_name_plural = _("digital signatures")
        constraints = [
            models.UniqueConstraint(fields=["edition", "number"], name="agreement_signature_number"),
            models.UniqueConstraint(fields=["edition", "signer_key"], name="agreement_signature_once"),
        ]

    @property
    def file_name(self) -> str:
        """The name of the file beside the manifest: ``manifest.json.cms`` for the first signature of an edition,
        ``manifest.json.2.cms`` for the second.
        """
        return "manifest.json.cms" if self.number == 1 else f"manifest.json.{self.number}.cms"

    @property
    def is_compared(self) -> bool:
        """Whether the signed digest was compared with the manifest. It was not if the digest algorithm is not known
        here, as that of the Kazakh standard GOST. The column then contains its object identifier.
        """
        return not self.digest_algorithm[:1].isdigit()

    def is_of(self, manifest: bytes) -> bool:
        """Whether the row is consistent with that manifest: the signed digest is that of the manifest, and the file
        contains it. A digest that can't be computed here need only be in the file. The signature is not verified.
        """
        try:
            contained = bytes.fromhex(self.message_digest) in bytes(self.content)
        except ValueError:
            return False
        compared = self.is_compared
        return contained and (not compared or is_digest_of(manifest, self.digest_algorithm, self.message_digest))

    def __str__(self) -> str:
        return f"{self.edition}: {self.signer}"
