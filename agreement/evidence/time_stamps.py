"""Time stamps on manifests (RFC 3161), for a site that names an authority (the extra ``timestamp``).

Only the digest leaves the machine. A publication never waits for the authority: ``stamp_editions`` requests the missing
stamps, and repeats the request in its next run if the authority was not available.
"""

from __future__ import annotations

import urllib.request
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from django.db.models import QuerySet

from agreement import conf
from agreement.models import Edition, TimeStamp
from agreement.seal.manifest import sha256

#: Seconds without an answer after which a request fails.
AUTHORITY_TIMEOUT = 10
#: An answer with its certificates has about 6,000 bytes.
MAX_ANSWER_BYTES = 100_000


class NotStamped(Exception):
    """The authority gave no valid stamp, and none was stored. The message says why."""


def unstamped() -> QuerySet[Edition]:
    """The sealed editions without a stamp of the site's authority, the oldest first; none if the site names none."""
    authority = conf.get().TIMESTAMP_AUTHORITY
    editions = Edition.objects.published().select_related("agreement").order_by("recorded_at", "pk")
    found: QuerySet[Edition] = editions.exclude(time_stamps__authority=authority) if authority else editions.none()
    return found


def stamp(edition: Edition) -> TimeStamp:
    """Request a time stamp on that edition's digest, check it and store it. Raises :class:`NotStamped`."""
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
    if sha256(manifest) != edition.digest:
        raise NotStamped("its digest is not that of its manifest; run verify_editions")
    request = TimestampRequestBuilder().data(manifest).hash_algorithm(HashAlgorithm.SHA256).build()
    try:
        certificates = Path(conf.get().TIMESTAMP_CERTIFICATES).read_text(encoding="ascii")
        verifier = VerifierBuilder.from_request(request)
        for certificate in load_pem_x509_certificates(certificates.encode()):
            verifier = verifier.add_root_certificate(certificate)
        answer = _request_stamp(authority, request.as_bytes())
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


def _request_stamp(authority: str, query: bytes) -> bytes:
    """The authority's answer (RFC 3161, 3.4). Raises ``OSError`` or ``HTTPException`` if there is none."""
    if urlsplit(authority).scheme not in {"http", "https"}:
        raise ValueError(f"{authority!r} is no address of HTTP")
    request = urllib.request.Request(  # noqa: S310 - the scheme is checked
        authority, query, {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}
    )
    with urllib.request.urlopen(request, timeout=AUTHORITY_TIMEOUT) as response:  # noqa: S310
        answer: bytes = response.read(MAX_ANSWER_BYTES + 1)
    if len(answer) > MAX_ANSWER_BYTES:
        raise ValueError("the answer is too long to be a time stamp")
    return answer
