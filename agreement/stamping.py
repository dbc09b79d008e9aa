"""Time stamps on manifests (RFC 3161), for a site that names an authority (the extra ``timestamp``).

Only the digest leaves the machine. Publishing never waits for it: ``stamp_editions`` stamps what has no stamp yet,
and an authority that is away is asked again the next time.
"""

from __future__ import annotations

import urllib.request
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from django.db.models import QuerySet

from agreement import conf
from agreement.models import Edition, TimeStamp
from agreement.text import seal

#: Seconds an authority may be silent, and bytes its answer may have; one with its certificates has some 6,000.
TIMEOUT = 10
LONGEST = 100_000


class NotStamped(Exception):
    """The authority gave no stamp that proves anything. Nothing was kept; the message says why."""


def unstamped() -> QuerySet[Edition]:
    """Sealed editions without a stamp of the authority named now, the oldest first; none where none is named."""
    authority = conf.get().TIMESTAMP_AUTHORITY
    editions = Edition.objects.published().select_related("agreement").order_by("recorded_at", "pk")
    found: QuerySet[Edition] = editions.exclude(time_stamps__authority=authority) if authority else editions.none()
    return found


def stamp(edition: Edition) -> TimeStamp:
    """Ask the authority for a time stamp on that edition's digest, check it and keep it. Raises :class:`NotStamped`."""
    try:
        from cryptography.x509 import load_pem_x509_certificates
        from rfc3161_client import (
            HashAlgorithm,
            TimestampRequestBuilder,
            VerificationError,
            VerifierBuilder,
            decode_timestamp_response,
        )
    except ImportError:
        raise NotStamped('the extra "timestamp" is not installed') from None
    authority = conf.get().TIMESTAMP_AUTHORITY
    manifest = edition.manifest()
    if seal.sha256(manifest) != edition.digest:
        raise NotStamped("its digest is not that of its manifest; run verify_editions")
    request = TimestampRequestBuilder().data(manifest).hash_algorithm(HashAlgorithm.SHA256).build()
    try:
        certificates = Path(conf.get().TIMESTAMP_CERTIFICATES).read_text(encoding="ascii")
        verifier = VerifierBuilder.from_request(request)
        for certificate in load_pem_x509_certificates(certificates.encode()):
            verifier = verifier.add_root_certificate(certificate)
        answer = _ask(authority, request.as_bytes())
        response = decode_timestamp_response(answer)
        verifier.build().verify(response, bytes.fromhex(edition.digest))
    except (OSError, HTTPException, ValueError, VerificationError) as error:
        raise NotStamped(f"{type(error).__name__}: {error}") from None
    stamped, _ = TimeStamp.objects.get_or_create(
        edition=edition,
        authority=authority,
        defaults={
            "stamped_at": response.tst_info.gen_time,
            "response": answer,
            "certificates": certificates,
        },
    )
    return stamped


def _ask(authority: str, query: bytes) -> bytes:
    """The authority's answer (RFC 3161, 3.4). ``OSError`` or ``HTTPException`` where it can't be had."""
    if urlsplit(authority).scheme not in {"http", "https"}:
        raise ValueError(f"{authority!r} is no address of HTTP")
    request = urllib.request.Request(  # noqa: S310 - the scheme is checked
        authority, query, {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}
    )
    with urllib.request.urlopen(request, timeout=TIMEOUT) as response:  # noqa: S310
        answer: bytes = response.read(LONGEST + 1)
    if len(answer) > LONGEST:
        raise ValueError("the answer is too long to be a time stamp")
    return answer
