"""Keyed digests: the pseudonym that names a user after the account is deleted, and the digest of a mail address.

HMAC-SHA256 with keys of its own (``AGREEMENT["PSEUDONYM_KEYS"]``), so that evidence survives an account but names
nobody to a reader without the key. New rows use the first key; rows are found under every key. A new key is put first,
and an old one stays as long as a row was written under it. Deleting a key makes its rows anonymous for good.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from django.contrib.auth import get_user_model
from django.db.models import Q

from agreement import conf


@dataclass(frozen=True, slots=True)
class Pseudonym:
    """A user under one key. Both values are ``""`` if the site has no keys."""

    key: str = ""
    """The id of the key. It is stored with the digest."""
    digest: str = ""


def primary(user_key: object) -> Pseudonym:
    """The pseudonym that a new row of this user gets."""
    return next(iter(candidates(user_key)), Pseudonym())


def candidates(user_key: object) -> list[Pseudonym]:
    """Every pseudonym that an older row of this user may have."""
    pk = get_user_model()._meta.pk
    message = f"agreement user {pk.to_python(user_key)}"
    return [Pseudonym(name, _digest(key, message)) for name, key in conf.get().PSEUDONYM_KEYS.items()]


def rows_of(user_key: object) -> Q:
    """The condition of this user's rows: the account, or one of the pseudonyms once the account is deleted.

    Rows of a deleted account are found only if the site still has the key under which they were written.
    """
    condition = Q(user=user_key)
    for pseudonym in candidates(user_key):
        condition |= Q(pseudonym=pseudonym.digest, pseudonym_key=pseudonym.key)
    return condition


def address_digest(address: str) -> str:
    """The digest that the ledger stores of an address: the same in any case of letters; ``""`` without a key."""
    return next(iter(address_digests(address)), "")


def address_digests(address: str) -> list[str]:
    """The digests that the ledger may have stored of that address, one under each key."""
    message = f"agreement address {address.strip().casefold()}"
    return [_digest(key, message) for key in conf.get().PSEUDONYM_KEYS.values()]


def _digest(key: str, message: str) -> str:
    # The message begins with the kind of its value: the digest of a user never equals that of an address.
    return hmac.new(key.encode(), message.encode(), hashlib.sha256).hexdigest()
