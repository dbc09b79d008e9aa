"""What the tests of pages need besides the fixtures of all tests."""

from __future__ import annotations

import pytest

from agreement.editions import pdf


@pytest.fixture(scope="session", autouse=True)
def _renderer_tried():
    """The first page of an edition in a process tries the PDF renderer. Some tests measure seconds, so it is tried
    before them.
    """
    pdf.is_available("")
