"""What browser tests share."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session", autouse=True)
def _database_before_server(django_db_setup: None) -> None:
    """The live server shares the test's connection if the database is in memory, and asks once, as it starts."""
