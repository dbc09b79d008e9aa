"""Signing up by django-allauth itself, on a site of its own; skipped where it is not installed (extra ``dev``)."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.site import ROOT


def test_django_allauth_signs_up_through_the_mixin():
    pytest.importorskip("allauth")
    command = [sys.executable, "-m", "pytest", "-q", "--ds=tests.signup.settings", "tests/signup/with_allauth.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout
