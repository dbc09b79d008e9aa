"""Keyed digests (HMAC-SHA256): the pseudonym of a user, by which rows are found after the account is deleted, and the
digest of an e-mail address.

The keys are in the setting ``PSEUDONYM_KEYS``. New rows use the first key; rows are found under every key. Put a new
key first, and keep an old key as long as rows under it must be found.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from django.contrib.auth import get_user_model
from django.db.models import Q

from agreement import conf


@dataclass(frozen=True, slots=True)
class Pseudonym:
    """The pseudonym of a user under one key: the id of that key, and the digest. Both are ``""`` if the site has no
    keys.
    """

    key: str = ""
    """The id of the key, not the secret. It is stored with the digest."""
    digest: str = ""


def primary(user_key: object) -> Pseudonym:
    """The pseudonym for a new row of the user with that primary key, under the first key of the site; with two empty
    values if the site has no keys.
    """
    return next(iter(candidates(user_key)), Pseudonym())


def candidates(user_key: object) -> list[Pseudonym]:
    """All pseudonyms by which rows of the user with that primary key can be found, one for each key of the site, in the
    order of the keys; empty if it has no keys. The primary key may be given as text. Raises ``ValidationError`` if it
    can't be a primary key of the user model.
    """
    pk = get_user_model()._meta.pk
    message = f"agreement user {pk.to_python(user_key)}"
    return [Pseudonym(name, _digest(key, message)) for name, key in conf.get().PSEUDONYM_KEYS.items()]


def rows_of(user_key: object) -> Q:
    """The condition on rows of the user with that primary key: the link to the account, or one of the pseudonyms.

    Rows of a deleted account are found only if the site still has the key of their pseudonym.
    """
    condition = Q(user=user_key)
    for pseudonym in candidates(user_key):
        condition |= Q(pseudonym=pseudonym.digest, pseudonym_key=pseudonym.key)
    return condition


def address_digest(address: str) -> str:
    """The digest of that e-mail address for a new row of the ledger, under the first key of the site; ``""`` if the
    site has no keys. It ignores the case of letters and white space around the address.
    """
    return next(iter(address_digests(address)), "")


def address_digests(address: str) -> list[str]:
    """The digests of that e-mail address that the ledger may contain, one for each key of the site, in the order of the
    keys; empty if it has no keys. They ignore the case of letters and white space around the address.
    """
    message = f"agreement address {address.strip().casefold()}"
    return [_digest(key, message) for key in conf.get().PSEUDONYM_KEYS.values()]


def _digest(key: str, message: str) -> str:
    # The message begins with the kind of its value, so the digest of a user never equals that of an address.
    return hmac.digest(key.encode(), message.encode(), "sha256").hex()
