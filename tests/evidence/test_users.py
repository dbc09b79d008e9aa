"""Which user a name or a key means: one text, or many at once."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError

from agreement.evidence import find_user_key, find_user_keys
from agreement.models import Acceptance
from tests.support import factories

pytestmark = pytest.mark.django_db


def one_by_one(text: str) -> object:
    try:
        return find_user_key(text)
    except ValidationError as error:
        return error.code


def test_many_users_are_found_as_each_of_them_alone(settings, django_assert_max_num_queries):
    settings.AGREEMENT = {**settings.AGREEMENT, "PSEUDONYM_KEYS": {"1": "a secret of thirty-two characters"}}
    edition = factories.published()
    users = get_user_model().objects
    deleted, account, *rest = factories.users(6)
    Acceptance.objects.record(user=deleted, edition=edition, digest=edition.digest, language="kk", kind="explicit")
    deleted_key, names = deleted.pk, [f"{deleted.pk}", f"{account.pk}", "999999", "name:x", "Aigul"]
    deleted.delete()
    for user, name in zip(rest, names[:4], strict=True):  # Names that are keys: of nobody, or of somebody else.
        users.filter(pk=user.pk).update(username=name)
    texts = [
        *names,
        *(f"{prefix}:{name}" for prefix in ("name", "key") for name in names),
        "",
        "key:",
        "\x00",
        "\udcff",
    ]

    with django_assert_max_num_queries(7):
        found = find_user_keys(texts)

    codes = {text: key.code if isinstance(key, ValidationError) else key for text, key in found.items()}
    assert codes == {text: one_by_one(text) for text in texts}
    assert codes[f"{deleted_key}"] == codes[f"{account.pk}"] == "ambiguous"
    assert (codes["999999"], codes["key:999999"]) == (rest[2].pk, 999999)
    assert codes["\x00"] == codes["\udcff"] == codes[""] == "nobody"


def test_names_that_differ_in_case_only_are_two_users():
    one, other = factories.users(2)
    get_user_model().objects.filter(pk=one.pk).update(username="Bob")
    get_user_model().objects.filter(pk=other.pk).update(username="bob")
    assert find_user_keys(["Bob", "bob"]) == {"Bob": one.pk, "bob": other.pk}
