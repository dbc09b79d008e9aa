"""The bytes of a manifest, which must stay the same in every release."""

from __future__ import annotations

from datetime import UTC, datetime

from agreement.seal.manifest import EditionText, edition_manifest, sha256


def test_the_digest_of_an_edition_is_the_same_in_every_release():
    at = datetime(2026, 3, 1, 4, 0, tzinfo=UTC)
    texts = {
        "kk": EditionText(title="Пайдаланушы келісімі", body="1.1. Бірінші «тармақ».\n", summary="Ә\n\tә", approval=""),
        "ru": EditionText(title="Соглашение", body="1.1. Первый пункт.\n", summary="", approval='Приказ "№ 3" \\'),
    }

    manifest = edition_manifest(
        agreement="terms",
        number=2,
        previous="ab" * 32,
        published_at=at,
        effective_from=at,
        recorded_at=at,
        imported=False,
        material=True,
        notice_days=10,
        grace_days=14,
        retention_years=5,
        prevailing_language="",
        texts=texts,
    )

    # Computed from the object with "jq -cSj . | sha256sum", and not by this code.
    assert sha256(manifest) == "fb3de896e68b7326ac8a313e0988dcba586565db4d566ac26b992b072b617dd4"
