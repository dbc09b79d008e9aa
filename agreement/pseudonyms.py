"""What stands for a user when the account is gone, and for an address at any time: keyed digests.

HMAC-SHA256, with keys of its own (``AGREEMENT["PSEUDONYM_KEYS"]``), so that evidence outlives an account and yet
names nobody to whoever lacks the key. The first key writes, all of them read: a new one is put in front, and an old
one stays as long as any row was written under it. Whoever deletes a key has made its rows anonymous for good.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from django.contrib.auth import get_user_model

from agreement import conf


@dataclass(frozen=True, slots=True)
class Pseudonym:
    """A user under one key. Both are ``""`` where the site has no keys."""

    key: str = ""
    """The id of the key, which is stored beside it."""
    digest: str = ""


def write(user_key: object) -> Pseudonym:
    """The pseudonym a new row gets."""
    return next(iter(read(user_key)), Pseudonym())


def read(user_key: object) -> list[Pseudonym]:
    """Every pseudonym an older row of this user may have."""
    pk = get_user_model()._meta.pk
    message = f"agreement user {pk.to_python(user_key)}"
    return [Pseudonym(name, _digest(key, message)) for name, key in conf.get().PSEUDONYM_KEYS.items()]


def address(written: str) -> str:
    """What the ledger keeps of an address: the same for the same address in any case, ``""`` without a key."""
    return next(iter(addresses(written)), "")


def addresses(written: str) -> list[str]:
    """What the ledger may have kept of that address, under each key."""
    message = f"agreement address {written.strip().casefold()}"
    return [_digest(key, message) for key in conf.get().PSEUDONYM_KEYS.values()]


def _digest(key: str, message: str) -> str:
    # The first words tell what it is of: no user's digest is ever an address's.
    return hmac.new(key.encode(), message.encode(), hashlib.sha256).hexdigest()
