"""The direction of imports between the packages of the app, and that no package imports in a circle."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_imports_go_one_way_and_never_in_a_circle():
    # In a process of its own: import-linter configures logging and thereby disables the loggers of the app.
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    linted = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert linted.returncode == 0, (
        f"{linted.stdout}{linted.stderr}\nThe lines are in pyproject.toml under [tool.importlinter]. Move what both "
        "packages need down to a line below them, or turn the import round. A package that is new at the top of "
        "agreement/ belongs on one of the lines."
    )
