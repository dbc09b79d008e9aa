"""Reads a detached CMS signature (RFC 5652), which any person may have written. Nothing is verified here.

asn1crypto reads it, from the extra ``signature``. The package cryptography can't: it writes signatures and reads
certificates, but not the digest and the time that a signature contains, and it reads DER only. Programs in Java, such
as those of the national certification authority, also write BER, with lengths that are not definite.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from typing import Any

from django.utils.translation import gettext_lazy as _

from agreement.models import EditionError
from agreement.models.signatures import KNOWN_DIGESTS
from agreement.seal.manifest import sha256

#: The largest file that is read, in bytes. A signature with its certificates has 2,000 to 10,000; one with a time stamp
#: and the answers about its certificates has up to 50,000.
MAX_BYTES = 100_000
#: The longest digest, in bytes: that of SHA-512.
MAX_DIGEST_BYTES = 64
#: The years in which a signature may state that it was made.
YEARS = range(1990, 2100)
#: A text with one block of PEM, or with base64 alone.
_ARMOURED = re.compile(
    r"\s*(?:-----BEGIN (?P<label>[A-Z0-9 ]{1,30})-----)?(?P<base64>[A-Za-z0-9+/=\s]+)(?:-----END (?P=label)-----)?\s*"
)
_NOT_READABLE = _("Choose the file that the program for signing wrote: a detached signature (.cms, .p7s or .sig).")


@dataclass(frozen=True, slots=True, kw_only=True)
class DetachedSignature:
    """What a detached signature with one signer contains. ``content`` is the signature without PEM and base64.

    ``signer``, ``organisation`` and ``issuer`` are names from the certificate of the signer; the last two can be
    ``""``. ``signer_key`` is the SHA-256 of the encoded subject of the certificate. ``signed_at`` is the moment by the
    clock of the signer; ``None`` if none is stated. ``digest_algorithm`` is a name of ``KNOWN_DIGESTS`` or an object
    identifier, and ``message_digest`` the signed digest in hexadecimal.
    """

    content: bytes
    signer: str
    organisation: str
    issuer: str
    signer_key: str
    signed_at: datetime | None
    digest_algorithm: str
    message_digest: str


def is_installed() -> bool:
    """Is asn1crypto installed, without which no signature can be read?"""
    return find_spec("asn1crypto") is not None


def read(file: bytes) -> DetachedSignature:
    """Return what a detached signature contains. ``file`` may be DER, BER, PEM or base64.

    Raises :class:`EditionError` if the file is longer than ``MAX_BYTES`` (``signature_too_long``), is not a CMS
    signature (``not_a_signature``), contains what was signed (``not_detached``), contains not exactly one signature
    (``several_signatures``), has no certificate of its signer (``no_certificate``) or no digest of what was signed
    (``no_message_digest``), or if asn1crypto is not installed (``no_reader``).
    """
    if len(file) > MAX_BYTES:
        message = _("The file is too long to be a signature: it has more than %(most)s bytes.")
        raise EditionError(message, code="signature_too_long", hint=_NOT_READABLE, most=MAX_BYTES)
    if not is_installed():
        hint = _('Install the extra, from where the app was installed: pip install "/path/to/clone[signature]".')
        raise EditionError(_("This site can't read signatures."), code="no_reader", hint=hint)
    try:
        content = _without_armour(file)
        return _read(content)
    except EditionError:
        raise
    except Exception:  # For hostile bytes the package raises errors of many kinds.
        raise EditionError(_("This file is not a CMS signature."), code="not_a_signature", hint=_NOT_READABLE) from None


def _without_armour(file: bytes) -> bytes:
    """Return the bytes of the signature. Raises ``ValueError`` for a text that is neither PEM nor base64."""
    if file[:1] == b"\x30":  # The tag of a sequence. No text of base64 or PEM that contains one begins with it.
        return file
    match = _ARMOURED.fullmatch(file.decode("ascii"))
    if match is None:
        raise ValueError
    return base64.b64decode("".join(match["base64"].split()), validate=True)


def _read(content: bytes) -> DetachedSignature:
    from asn1crypto import cms

    outer = cms.ContentInfo.load(content, strict=True)
    if outer["content_type"].native != "signed_data":
        raise ValueError
    data = outer["content"]
    if data["encap_content_info"]["content"].native is not None:
        message = _("The signature contains the text that was signed.")
        hint = _("Save a detached signature, which does not contain it.")
        raise EditionError(message, code="not_detached", hint=hint)
    if len(data["signer_infos"]) != 1:
        message = _("The file contains %(count)s signatures, not one.")
        hint = _("Save the signature of each signer as a file of its own.")
        raise EditionError(message, code="several_signatures", hint=hint, count=len(data["signer_infos"]))
    (info,) = data["signer_infos"]
    certificate = next(_certificates_of(info, data["certificates"]), None)
    if certificate is None:
        message = _("The signature does not contain the certificate of its signer.")
        hint = _("Sign with a program that adds the certificate, as NCALayer does.")
        raise EditionError(message, code="no_certificate", hint=hint)
    subject, issuer = certificate.subject, certificate.issuer
    algorithm = info["digest_algorithm"]["algorithm"]
    known = algorithm.native in KNOWN_DIGESTS
    return DetachedSignature(
        content=content,
        signer=_name(subject, "common_name") or _name(subject, "organization_name") or _clean(subject.human_friendly),
        organisation=_name(subject, "organization_name"),
        issuer=_name(issuer, "common_name") or _name(issuer, "organization_name"),
        signer_key=sha256(subject.dump()),
        signed_at=_signed_at(info),
        digest_algorithm=algorithm.native if known else algorithm.dotted[:64],
        message_digest=_message_digest(info),
    )


def _certificates_of(info: Any, certificates: Any) -> Iterator[Any]:
    """Yield those of these certificates that the signature names as that of its signer."""
    signer = info["sid"]
    for choice in certificates:
        if choice.name != "certificate":
            continue
        certificate = choice.chosen
        if signer.name == "issuer_and_serial_number":
            same_serial = certificate.serial_number == signer.chosen["serial_number"].native
            if same_serial and certificate.issuer == signer.chosen["issuer"]:
                yield certificate
        elif certificate.key_identifier == signer.chosen.native:
            yield certificate


def _message_digest(info: Any) -> str:
    """Return the signed digest in hexadecimal. Raises :class:`EditionError` if there is not exactly one."""
    digests = _signed_values(info, "message_digest")
    if len(digests) != 1 or not isinstance(digests[0], bytes) or not 0 < len(digests[0]) <= MAX_DIGEST_BYTES:
        message = _("The signature does not contain the digest of what was signed.")
        hint = _("Sign with a program that adds the signed attribute messageDigest, as NCALayer does.")
        raise EditionError(message, code="no_message_digest", hint=hint)
    return digests[0].hex()


def _signed_at(info: Any) -> datetime | None:
    """Return the moment that the signature states; ``None`` if it states none that can be read, or several."""
    moments = _signed_values(info, "signing_time")
    # asn1crypto has a class of its own for the year 0. A moment at the end of the calendar has no local time.
    if len(moments) != 1 or type(moments[0]) is not datetime or moments[0].tzinfo is None:
        return None
    return moments[0] if moments[0].year in YEARS else None


def _signed_values(info: Any, kind: str) -> list[Any]:
    """Return all values of the signed attributes of that kind."""
    return [value for one in info["signed_attrs"] if one["type"].native == kind for value in one["values"].native]


def _name(name: Any, attribute: str) -> str:
    """Return an attribute of a name in a certificate; ``""`` if it has none. Of several, it is the first one."""
    value = name.native.get(attribute) or ""
    return _clean(value[0] if isinstance(value, list) else value)


def _clean(text: object) -> str:
    """Return the text in one line of at most 255 characters, with a space in place of each invisible one."""
    return " ".join("".join(char if char.isprintable() else " " for char in str(text)).split())[:255]
