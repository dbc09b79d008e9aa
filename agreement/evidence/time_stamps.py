"""Requests time stamps on manifests (RFC 3161), if the setting ``TIMESTAMP_AUTHORITY`` is set. It needs the extra
``timestamp``.

Only the digest is sent to the authority. A publication does not wait for it: the command ``stamp_editions`` requests
the missing stamps.
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

#: A request fails if the authority sends nothing for this many seconds.
AUTHORITY_TIMEOUT = 10
#: A longer response is rejected. A time stamp with its certificates has about 6,000 bytes.
MAX_ANSWER_BYTES = 100_000


class NotStamped(Exception):
    """No time stamp was stored. The message states why."""


def unstamped() -> QuerySet[Edition]:
    """Return the sealed editions, cancelled ones too, without a time stamp of the site's authority, the first recorded
    first; an empty queryset if the site has no authority.
    """
    authority = conf.get().TIMESTAMP_AUTHORITY
    editions = Edition.objects.published().select_related("agreement").order_by("recorded_at", "pk")
    found: QuerySet[Edition] = editions.exclude(time_stamps__authority=authority) if authority else editions.none()
    return found


def stamp(edition: Edition) -> TimeStamp:
    """Request a time stamp on the digest of this edition, verify it, store it and return it. If a stamp of the same
    authority is stored already, a new one is requested and verified all the same; it is not stored, and the stored one
    is returned.

    Raises :class:`NotStamped` if the extra ``timestamp`` is not installed, if the site has no authority, if the edition
    does not match its digest, if the root certificates can't be read, if the authority can't be reached or does not
    answer with a time stamp, or if the stamp is not valid. Raises ``ValueError`` for a draft, if the extra is
    installed.
    """
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
        raise NotStamped("its digest does not match its manifest; run verify_editions")
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
    """Return the response of the authority (RFC 3161 §3.4). ``authority`` is its URL, and ``query`` the encoded
    request. Raises ``OSError`` or ``HTTPException`` if the authority can't be reached, does not answer in time or
    answers with an error, and ``ValueError`` if the response is longer than ``MAX_ANSWER_BYTES`` or the URL is not of
    HTTP or HTTPS.
    """
    if urlsplit(authority).scheme not in {"http", "https"}:
        raise ValueError(f"{authority!r} is not an HTTP address")
    request = urllib.request.Request(  # noqa: S310 - the scheme is checked
        authority, query, {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}
    )
    with urllib.request.urlopen(request, timeout=AUTHORITY_TIMEOUT) as response:  # noqa: S310 - as above
        answer: bytes = response.read(MAX_ANSWER_BYTES + 1)
    if len(answer) > MAX_ANSWER_BYTES:
        raise ValueError("the answer is too long to be a time stamp")
    return answer
