"""Stores the signatures of officials over the manifests of editions. The package asn1crypto, which reads them, comes
with the extra ``signature``.

The function that the setting ``SIGNATURE_VERIFIER`` names verifies a signature before it is stored. Without one, only
the digest in the signature is compared with the manifest, and the row states that nobody verified it.
"""

from __future__ import annotations

import logging

from django.core.exceptions import ValidationError
from django.db import router, transaction
from django.db.models import QuerySet
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy as _

from agreement import conf
from agreement.evidence import cms
from agreement.models import AuditEntry, Edition, EditionError, Signature
from agreement.models.audit import AuditAction, By
from agreement.models.clock import database_now
from agreement.models.signatures import KNOWN_DIGESTS, is_digest_of

logger = logging.getLogger("agreement")

#: A refusal quotes at most so many characters of the message of the verifier.
MAX_QUOTED = 500


def has_verifier() -> bool:
    """Does the site verify signatures before they are stored?"""
    return bool(conf.get().SIGNATURE_VERIFIER)


def store(edition: Edition, file: bytes, *, by: By = None) -> tuple[Signature, bool]:
    """Store a detached CMS signature over the manifest of this edition, and add an audit entry. Return the signature,
    and whether it is new: a file that is stored already is not stored again. ``file`` may be DER, BER, PEM or base64,
    and the bytes of the signature are stored as they are. ``by`` is the person who stores it.

    Raises :class:`EditionError` if the edition is not sealed (``not_sealed``), if :func:`cms.read` refuses the file, if
    the signature is that of another text (``other_text``), if the signer has signed this edition with another signature
    (``signed_before``), or if the verifier of the site refuses it or fails (``signature_refused``). Nothing is stored
    then.
    """
    if not edition.published_at:
        message = _("A draft can't be signed: it has no manifest.")
        raise EditionError(message, code="not_sealed", hint=_("Publish it first. Then the officials sign the edition."))
    signature, manifest = cms.read(file), edition.manifest()
    algorithm, digest = signature.digest_algorithm, signature.message_digest
    if algorithm in KNOWN_DIGESTS and not is_digest_of(manifest, algorithm, digest):
        message = _("This is the signature of another text, not of the manifest of %(edition)s.")
        hint = _("Download manifest.json of this edition, sign exactly this file, and choose the new signature.")
        raise EditionError(message, code="other_text", hint=hint, edition=str(edition))
    alias = router.db_for_write(Signature)
    rows = Signature.objects.using(alias).filter(edition=edition)
    if row := _stored(rows, signature):
        return row, False
    verified_by = _verify(manifest, signature.content)  # It may take seconds, so nothing is locked meanwhile.
    with transaction.atomic(using=alias):
        edition.agreement.lock(using=alias)
        if row := _stored(rows, signature):
            return row, False
        row = rows.create(
            edition=edition,
            number=rows.count() + 1,
            signer=signature.signer,
            organisation=signature.organisation,
            issuer=signature.issuer,
            signer_key=signature.signer_key,
            signed_at=signature.signed_at,
            recorded_at=database_now(alias),
            digest_algorithm=signature.digest_algorithm,
            message_digest=signature.message_digest,
            verified_by=verified_by,
            content=signature.content,
        )
        log = AuditEntry.objects.using(alias).log
        log(AuditAction.SIGNED, on=edition, by=by, note=row.file_name, digest=edition.digest)
    return row, True


def _stored(rows: QuerySet[Signature], signature: cms.DetachedSignature) -> Signature | None:
    """Return the row if this signature is among these rows, which are those of one edition. Raises
    :class:`EditionError` if its signer has signed the edition with another signature. 1 query.
    """
    row = rows.filter(signer_key=signature.signer_key).first()
    if row and bytes(row.content) != signature.content:
        message = _("%(signer)s has signed this edition before. Only one signature of each signer is stored.")
        raise EditionError(message, code="signed_before", signer=row.signer)
    return row


def _verify(manifest: bytes, signature: bytes) -> str:
    """Return who verified the signature, for ``Signature.verified_by``: what the verifier of the site returns or, if it
    returns nothing, its dotted path; ``""`` if the site has none. Raises :class:`EditionError` if it refuses or fails.
    """
    path = conf.get().SIGNATURE_VERIFIER
    if not path:
        return ""
    try:
        return str(import_string(path)(manifest, signature) or path)[:255]
    except Exception as error:
        reason = " ".join(error.messages) if isinstance(error, ValidationError) else str(error)
        logger.warning("a signature of an edition was refused: %s: %s", type(error).__name__, reason)
        message = _("The signature was not verified: %(reason)s")
        hint = _("Nothing was stored. If the service that verifies signatures is unavailable, try again later.")
        quoted = reason.strip()[:MAX_QUOTED] or type(error).__name__
        raise EditionError(message, code="signature_refused", hint=hint, reason=quoted) from None
