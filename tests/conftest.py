"""What every test may use. Which database a run is on is said by ``AGREEMENT_TEST_POSTGRESQL``."""

from __future__ import annotations

import os

import pytest
from django.conf import settings
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis

# A busy machine is no fault of the code.
hypothesis.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis.load_profile("any machine")

#: marker → (does it apply in this run?, why a test with it is skipped otherwise)
NEEDS = {
    "postgresql": (
        "AGREEMENT_TEST_POSTGRESQL",
        "needs a PostgreSQL server: set AGREEMENT_TEST_POSTGRESQL to its URL",
    ),
    "rabbitmq": ("AGREEMENT_TEST_RABBITMQ", "needs RabbitMQ: set AGREEMENT_TEST_RABBITMQ to its URL"),
    "browser": ("AGREEMENT_TEST_BROWSER", "needs Chromium: set AGREEMENT_TEST_BROWSER to its path"),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for marker, (variable, reason) in NEEDS.items():
            if item.get_closest_marker(marker) and not os.environ.get(variable):
                item.add_marker(pytest.mark.skip(reason=reason))
        if item.get_closest_marker("sqlite") and "sqlite" not in settings.DATABASES["default"]["ENGINE"]:
            item.add_marker(pytest.mark.skip(reason="is about SQLite; this run is on PostgreSQL"))
