"""Finds the user that a bundle is about, by name or by key. The account may be deleted."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from agreement.models import Acceptance, Consent, Delivery, Withdrawal
from agreement.models.fields import UserKey


def find_user_key(written: str) -> UserKey:
    """Return the primary key of the user whose name or key a person has written. A prefix may state which of the two is
    meant: ``name:`` or ``key:``. Without a prefix the text can be either.

    If no user has that name, a text that can be a key is returned as a key, even if no such account exists, because the
    account may be deleted. Raises ``ValidationError`` with one of three codes: ``several`` (several users have that
    name), ``ambiguous`` (the text is the name of one user and the key of another, and has no prefix) or ``nobody`` (the
    text is not the name of a user, as far as it may be a name, and can't be a key, as far as it may be a key). A user
    counts as another one if their account exists, or if the app has records of their deleted account.

    At most 1 query, and up to 5 more if a user has that name and it could also be the key of another user. No query
    with the prefix ``key:``.
    """
    users = _user_model()
    prefix, _colon, rest = written.partition(":")
    prefix, text = (prefix, rest) if prefix in {"name", "key"} else ("", written)
    with_name = [] if prefix == "key" or "\x00" in text else _keys_with_name(text)
    if len(with_name) > 1:
        raise ValidationError(
            _("Several users have the name “%(name)s”. Write “key:” and then the key of the user."),
            code="several",
            params={"name": text},
        )
    try:
        key = users._meta.pk.to_python(text) if prefix != "name" else None
        users._meta.pk.run_validators(key)
    except ValidationError:
        key = None
    if with_name and (key is None or key == with_name[0] or not _is_known(key)):
        return with_name[0]
    if with_name:
        message = _(
            "“%(name)s” is the name of one user and the key of another user. Write name:%(name)s or key:%(name)s."
        )
        raise ValidationError(message, code="ambiguous", params={"name": text})
    if key is None:
        raise ValidationError(_("There is no user “%(name)s”."), code="nobody", params={"name": text})
    return key


def _user_model() -> Any:
    """Return the site's user model, untyped: the type checker does not know its fields."""
    return get_user_model()


def _keys_with_name(name: str) -> list[UserKey]:
    """Return the keys of at most two users with that name. 1 query."""
    users = _user_model()
    return list(users._default_manager.filter(**{users.USERNAME_FIELD: name}).values_list("pk", flat=True)[:2])


def _is_known(user_key: UserKey) -> bool:
    """Return whether an account with that key exists, or the app has records about a deleted account with that key. At
    most 5 queries.
    """
    users = _user_model()
    rows = (model.objects.for_user_key(user_key) for model in (Acceptance, Withdrawal, Consent, Delivery))
    return users._default_manager.filter(pk=user_key).exists() or any(found.exists() for found in rows)
