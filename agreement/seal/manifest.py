"""The seal of an edition: canonical manifest, digest and chain. This text describes the format.

A **manifest** is one JSON object in the canonical form of RFC 8785 (keys sorted, no white space, UTF-8, only
the escapes JSON demands, no line break at the end), served at ``…/editions/<n>/manifest.json``:

``format``              ``"agreement-edition/1"``
``agreement``           the agreement's slug
``number``              the edition's number, from 1, without gaps
``previous``            the digest of edition ``number - 1``, or ``null`` for edition 1
``published_at``        RFC 3339, UTC, always six digits after the second: ``2026-03-01T04:00:00.000000Z``
``effective_from``      the same form; never before ``published_at``
``recorded_at``         the same form: when it was sealed (later than the others for imported history)
``imported``            ``true`` for history that is older than the site's use of this software
``material``            ``true`` if the edition changes anyone's rights or duties
``notice_days``         whole days
``grace_days``          whole days
``retention_years``     whole years
``prevailing_language`` ``"kk"``, ``"ru"`` or ``null``
``texts``               ``kk`` and ``ru``, each with ``title``, ``approval`` and ``summary`` as they are stored, and
                        ``body_sha256``, the SHA-256 (lower-case hexadecimal) of the bytes served at
                        ``…/editions/<n>.<language>.md``

The **digest** of an edition is the SHA-256 of its manifest's bytes, in lower-case hexadecimal::

    sha256sum manifest.json                    # the digest
    sha256sum 2.kk.md 2.ru.md                  # texts.kk.body_sha256, texts.ru.body_sha256
    jq -cSj . manifest.json | sha256sum        # the digest again: the bytes are canonical

Each manifest but the first contains the digest of the edition before it, so one known digest proves every earlier text.
Who published an edition (the name of an administrator concerns only the operator), and whether it was cancelled (that
happens after it was sealed), are in no manifest. The triggers protect these facts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

FORMAT = "agreement-edition/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class EditionText:
    """The title, the approval, the summary and the body of an edition in one language."""

    title: str
    approval: str
    summary: str
    body: str


def sha256(content: str | bytes) -> str:
    """The SHA-256 of these bytes, or of the UTF-8 bytes of this text, in lower-case hexadecimal."""
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def rfc3339(at: datetime) -> str:
    """The instant in UTC, with six digits after the second: ``2026-03-01T04:00:00.000000Z``. ``at`` must have a time
    zone, but this is not checked.
    """
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def notice_digest(subject: str, text: str, html: str) -> str:
    """The digest of the text of a notice: the SHA-256 of the JSON list of these three parts, in UTF-8, without white
    space and with only the escapes that JSON demands.
    """
    return sha256(json.dumps([subject, text, html], ensure_ascii=False, separators=(",", ":")))


def edition_manifest(
    *,
    agreement: str,
    number: int,
    previous: str,
    published_at: datetime,
    effective_from: datetime,
    recorded_at: datetime,
    imported: bool,
    material: bool,
    notice_days: int,
    grace_days: int,
    retention_years: int,
    prevailing_language: str,
    texts: Mapping[str, EditionText],
) -> bytes:
    """The canonical bytes whose SHA-256 is the edition's digest. No value is checked.

    ``previous`` is the digest of the edition ``number - 1``, ``""`` for edition 1. ``prevailing_language`` is ``""`` if
    none is stated. In the manifest, ``null`` stands for ``""`` in these two. ``texts`` maps each language to its texts.
    The manifest contains the SHA-256 of each body in place of the body.
    """
    content = {
        "format": FORMAT,
        "agreement": agreement,
        "number": number,
        "previous": previous or None,
        "published_at": rfc3339(published_at),
        "effective_from": rfc3339(effective_from),
        "recorded_at": rfc3339(recorded_at),
        "imported": imported,
        "material": material,
        "notice_days": notice_days,
        "grace_days": grace_days,
        "retention_years": retention_years,
        "prevailing_language": prevailing_language or None,
        "texts": {
            language: {
                "title": text.title,
                "approval": text.approval,
                "summary": text.summary,
                "body_sha256": sha256(text.body),
            }
            for language, text in texts.items()
        },
    }
    return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
