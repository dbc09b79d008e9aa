"""What the tests of the admin need besides the fixtures of all tests."""

from __future__ import annotations

from typing import Any

import pytest

from tests.admin.test_editions import AUTHOR, PUBLISHER, desk
from tests.support import factories


@pytest.fixture
def officer() -> Any:
    return factories.member("agreement privacy officers")


@pytest.fixture
def author(django_user_model):
    return desk(django_user_model, *AUTHOR, name="author")


@pytest.fixture
def publisher(django_user_model):
    return desk(django_user_model, *PUBLISHER, name="publisher")
