"""Signing up by django-allauth itself, on a site of its own; skipped where it is not installed (extra ``dev``)."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.site import POSTGRESQL, ROOT


@pytest.mark.system
def test_django_allauth_signs_up_through_the_mixin():
    pytest.importorskip("allauth")
    command = [sys.executable, "-m", "pytest", "-q", "--ds=tests.signup.settings", "tests/signup/with_allauth.py"]
    # On a database of its own name: a run drops the test database it finds under its name, and its own at the end.
    env = os.environ | {"AGREEMENT_TEST_POSTGRESQL": POSTGRESQL and f"{POSTGRESQL}_signup"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 passed" in done.stdout
