"""How often a rule is tried: a few times, or in the full run (``AGREEMENT_TEST_FULL=1``) as often as the rare takes."""

from __future__ import annotations

import os

FULL = bool(os.environ.get("AGREEMENT_TEST_FULL"))


def examples(count: int) -> int:
    """So many examples in the full run, a tenth of them otherwise."""
    return count if FULL else count // 10
