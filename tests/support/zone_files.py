"""Zone files as a machine has them, made with ``zic``, which Debian and macOS have in every installation."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ZIC = shutil.which("zic", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
#: Kazakhstan as tzdata 2023d has it, the last version from before the change of 1 March 2024.
BEFORE_2024 = """
Zone Asia/Almaty 5:07:48 - LMT 1924 May 2
                 5:00 - +05 1930 Jun 21
                 6:00 - +06
Zone Asia/Qostanay 4:14:28 - LMT 1924 May 2
                   5:00 - +05 2004 Oct 31 2:00s
                   6:00 - +06
"""


def zone_files(folder: Path, source: str = BEFORE_2024) -> Path:
    """Compile that source of zones into ``folder``, and return it."""
    if ZIC is None:
        pytest.skip("needs zic")
    (folder / "asia").write_text(source, encoding="utf-8")
    subprocess.run([ZIC, "-d", str(folder / "zoneinfo"), str(folder / "asia")], check=True)
    return folder / "zoneinfo"
