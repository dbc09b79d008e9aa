"""Finds the users that a bundle or a file is about, by name or by key. The account may be deleted."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import FieldError, ValidationError
from django.db.models import TextField
from django.db.models.functions import Cast
from django.utils.translation import gettext_lazy as _

from agreement import conf
from agreement.models import Acceptance, Consent, Decline, Delivery, Withdrawal, pseudonyms
from agreement.models.fields import UserKey

#: A message contains this many characters of a name.
MAX_QUOTED = 150


def find_user_key(written: str) -> UserKey:
    """Return the primary key of the user whose name, e-mail address or key a person has written. With the prefix
    ``name:`` only a name is meant, and with ``key:`` only a key. Without a prefix the text can be any of the three. A
    key must be written exactly as Python prints it: without spaces, leading zeros or a plus sign, and with no other
    digits than ASCII. Only a UUID may be in capital letters, and its hyphens may be missing. The case of letters of an
    e-mail address does not matter.

    If no user has that name or address, a text that can be a key is returned as a key, unless it has the prefix
    ``name:``. This is so even if no such account exists, because the account may be deleted. Raises ``ValidationError``
    with one of three codes. ``several``: several users have that name or address. ``ambiguous``: the text has no
    prefix, and is the name or address of one user and the key of another, whose account exists or about whose deleted
    account the app has records. ``nobody``: no user was found by name or address, and the text can't be a key or has
    the prefix ``name:``.

    At most 1 query, 1 more for a text with ``@``, and up to 6 more if a user has that name and it could also be the key
    of another user. No query is made with the prefix ``key:``.
    """
    found = _find_user_keys([written], by_address=True)[written]
    if isinstance(found, ValidationError):
        raise found
    return found


def find_user_keys(written: Iterable[str]) -> dict[str, UserKey | ValidationError]:
    """Return, for each of these texts, the primary key that :func:`find_user_key` would return, or the error that it
    would raise; but no user is found by their e-mail address. At most 7 queries, however many texts there are. 1 more
    for each name if two of the names differ only in the case of letters, or if the database finds a user whose name is
    written in another way.
    """
    return _find_user_keys(written, by_address=False)


def _find_user_keys(written: Iterable[str], *, by_address: bool) -> dict[str, UserKey | ValidationError]:
    parts = {whole: _split(whole) for whole in written}
    named = _keys_with_names({text for prefix, text in parts.values() if prefix != "key" and _can_be_stored(text)})
    if by_address:
        for text in {text for prefix, text in parts.values() if not prefix and "@" in text and _can_be_stored(text)}:
            # A user may have the address of another user as their name.
            named[text] = list(dict.fromkeys([*named.get(text, []), *_keys_with_address(text)]))
    meanings = {
        whole: (named.get(text, []) if prefix != "key" else [], _parse_key(text) if prefix != "name" else None)
        for whole, (prefix, text) in parts.items()
    }
    known = _known({key for with_name, key in meanings.values() if with_name and key not in (None, with_name[0])})
    return {whole: _choose(parts[whole][1], with_name, key, known) for whole, (with_name, key) in meanings.items()}


def _choose(text: str, with_name: list[UserKey], key: UserKey, known: set[UserKey]) -> UserKey | ValidationError:
    """Return the primary key that is meant by a text without its prefix, or the error if it is not certain. The error
    is not raised. ``with_name`` are the keys of the users with that name or e-mail address, and ``key`` is the key that
    the text can be (``None``: it can't be one). ``known`` contains ``key`` if an account has it, or a deleted account
    had it about which the app has records.
    """
    params = {"name": text if len(text) <= MAX_QUOTED else f"{text[:MAX_QUOTED]}…"}
    if len(with_name) > 1:
        message = _("Several users have the name or address “%(name)s”. Write “key:” and then the key of the user.")
        return ValidationError(message, code="several", params=params)
    if with_name and (key is None or key == with_name[0] or key not in known):
        return with_name[0]
    if with_name:
        message = _(
            "“%(name)s” is the name of one user and the key of another user. Write name:%(name)s or key:%(name)s."
        )
        return ValidationError(message, code="ambiguous", params=params)
    if key is None:
        return ValidationError(_("There is no user “%(name)s”."), code="nobody", params=params)
    return key


def _split(written: str) -> tuple[str, str]:
    """Return the prefix, ``name``, ``key`` or ``""``, and the rest of the text."""
    prefix, _colon, rest = written.partition(":")
    return (prefix, rest) if prefix in {"name", "key"} else ("", written)


def _can_be_stored(text: str) -> bool:
    """Return whether a database can contain the text: it has no NUL and no surrogate, which stands for a byte that was
    not UTF-8.
    """
    return not any(character == "\x00" or "\ud800" <= character <= "\udfff" for character in text)


def _user_model() -> Any:
    """Return the site's user model, untyped: the type checker does not know its fields."""
    return get_user_model()


def _parse_key(text: str) -> UserKey | None:
    """Return the primary key that Python prints as this text; ``None`` if there can't be one. A UUID may also be
    written without hyphens or in capital letters.
    """
    pk = _user_model()._meta.pk
    try:
        key = pk.to_python(text)
        pk.run_validators(key)
    except ValidationError:
        return None
    forms = {str(key), key.hex} if isinstance(key, uuid.UUID) else {str(key)}
    return key if (text.lower() if isinstance(key, uuid.UUID) else text) in forms and _can_be_stored(text) else None


def _keys_with_names(names: set[str]) -> dict[str, list[UserKey]]:
    """Return name → the keys of the users with that name. If more than two users have a name, it may be only two of
    them. A name that no user has may be absent, and the empty name has no user.

    1 query; none if there is no other name than the empty one. If two of the names differ only in the case of letters,
    or if another name is found, the database may ignore the case of letters: then 1 more query for each name.
    """
    names = names - {""}
    users = _user_model()
    rows = users._default_manager.order_by().values_list(users.USERNAME_FIELD, "pk")
    if len(names) > 1:
        found: dict[str, list[UserKey]] = defaultdict(list)
        for name, key in rows.filter(**{f"{users.USERNAME_FIELD}__in": names}):
            found[name].append(key)
        if found.keys() <= names and len({name.casefold() for name in names}) == len(names):
            return found
    return {name: [key for _name, key in rows.filter(**{users.USERNAME_FIELD: name})[:2]] for name in names}


def _keys_with_address(address: str) -> list[UserKey]:
    """Return the keys of the users with that e-mail address, at most two; none if the user model has no such field. 1
    query.
    """
    users = _user_model()._default_manager.order_by()
    try:
        users = users.annotate(agreement_address=Cast(conf.user_email(), TextField()))
    except FieldError:
        return []
    return list(users.filter(agreement_address__iexact=address).values_list("pk", flat=True)[:2])


def _known(user_keys: set[UserKey]) -> set[UserKey]:
    """Return those of these keys that belong to an account, or to a deleted account about which the app has records. At
    most 6 queries.
    """
    if not user_keys:
        return set()
    known = set(_user_model()._default_manager.filter(pk__in=user_keys).values_list("pk", flat=True))
    names = {(one.key, one.digest): key for key in user_keys - known for one in pseudonyms.candidates(key)}
    for model in (Acceptance, Withdrawal, Consent, Decline, Delivery) if names else ():
        rows = model.objects.filter(pseudonym__in=[digest for _key, digest in names]).order_by()
        found = rows.values_list("pseudonym_key", "pseudonym").distinct()
        known |= {names[name] for name in found if name in names}
    return known
