"""Requests time stamps on the checkpoints of the logs (RFC 3161), if the setting ``TIMESTAMP_AUTHORITY`` is set. It
needs the extra ``timestamp``.

Only the digest of a checkpoint is sent to the authority. No operation waits for it: the command ``stamp_log`` requests
the missing stamps.
"""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from django.db import router

from agreement import conf
from agreement.models import Agreement, Checkpoint, TimeStamp, TransparencyLog
from agreement.seal import log as tree
from agreement.seal.manifest import sha256

#: A request fails if the authority sends nothing for this many seconds.
AUTHORITY_TIMEOUT = 10
#: A longer response is rejected. A time stamp with its certificates has about 6,000 bytes.
MAX_ANSWER_BYTES = 100_000


class NotStamped(Exception):
    """No time stamp was stored. The message states why."""


def unstamped() -> Iterator[tuple[Agreement, Checkpoint | None]]:
    """Yield each agreement whose log has an entry without a time stamp of the site's authority, and the newest signed
    checkpoint, which is to be stamped. An entry has a stamp if a stamped checkpoint contains it. Entries about time
    stamps need none.

    The checkpoint is ``None`` if none was signed since the last stamped one: the next entry of the log makes one, if
    the site has a ``LOG_KEY``. Nothing is yielded if the site has no authority. 1 query, and 4 for each log, 2 if
    nothing is due.
    """
    authority, using = conf.get().TIMESTAMP_AUTHORITY, router.db_for_write(TimeStamp)
    if not authority:
        return
    stamps = TimeStamp.objects.using(using).filter(authority=authority)
    for log in TransparencyLog.objects.using(using).select_related("agreement").order_by("pk"):
        if stamps.unstamped_entries(log.agreement_id).exists():
            signed = Checkpoint.objects.using(using).signed().filter(agreement=log.agreement_id)
            newest = signed.filter(size__gt=stamps.stamped_size(log.agreement_id)).order_by("size").last()
            yield log.agreement, newest


def stamp(checkpoint: Checkpoint) -> TimeStamp:
    """Request a time stamp on this signed checkpoint, verify it, store it with its entry in the log, and return it. If
    a stamp of the same authority is stored already, a new one is requested and verified all the same; it is not stored,
    and the stored one is returned.

    Raises :class:`NotStamped` if the extra ``timestamp`` is not installed, if the signed text does not state what the
    checkpoint is, if the root certificates can't be read, if the authority can't be reached or does not answer with a
    time stamp, or if the stamp is not valid.
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
    authority, signed = conf.get().TIMESTAMP_AUTHORITY, checkpoint.note.encode()
    if not _is_stated(checkpoint):
        raise NotStamped("its signed text states something else; run verify_editions")
    request = TimestampRequestBuilder().data(signed).hash_algorithm(HashAlgorithm.SHA256).build()
    try:
        certificates = Path(conf.get().TIMESTAMP_CERTIFICATES).read_text(encoding="ascii")
        verifier = VerifierBuilder.from_request(request)
        # Those of intermediate authorities are given in the same file. They count only if they lead to a root.
        for certificate in load_pem_x509_certificates(certificates.encode()):
            verifier = verifier.add_root_certificate(certificate)
        answer = _request_stamp(authority, request.as_bytes())
        response = decode_timestamp_response(answer)
        verifier.build().verify(response, bytes.fromhex(sha256(signed)))
    except (OSError, HTTPException, ValueError, VerificationError) as error:
        raise NotStamped(f"{type(error).__name__}: {error}") from None
    return TimeStamp.objects.record(
        checkpoint=checkpoint,
        authority=authority,
        stamped_at=response.tst_info.gen_time,
        response=answer,
        certificates=certificates,
    )


def _is_stated(checkpoint: Checkpoint) -> bool:
    try:
        stated = tree.Checkpoint.parse(checkpoint.note)
    except ValueError:
        return False
    return (stated.size, stated.root.hex()) == (checkpoint.size, checkpoint.root)


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
