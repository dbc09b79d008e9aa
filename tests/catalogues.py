"""Are the catalogues complete, compiled and those of the sources? ``python -m tests.catalogues`` (needs gettext)."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CATALOGUES = [
    ROOT / package / "locale" / language / "LC_MESSAGES" / "django.po"
    for package in ("agreement", "portal_site")
    for language in ("kk", "ru")
]


def messages(po: str | Path) -> set[str]:
    """The messages of a catalogue, without positions, in gettext's own form."""
    run = ["msgattrib", "--no-location", "--no-wrap", "--clear-fuzzy", "--no-obsolete", "--sort-output", "--empty", str(po)]
    text = subprocess.run(run, check=True, capture_output=True, text=True).stdout
    return {entry for entry in text.split("\n\n")[1:] if entry.strip()}


def faults() -> list[str]:
    """What is wrong, a line each: strings missing, fuzzy or obsolete, and ``.mo`` files older than their text."""
    found: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "site"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(copy)], check=True)
        for catalogue in CATALOGUES:
            name = catalogue.relative_to(ROOT)
            check = subprocess.run(
                ["msgfmt", "--check", "--statistics", "-o", f"{folder}/out.mo", str(catalogue)],
                capture_output=True,
                text=True,
                check=False,
                env={**os.environ, "LC_ALL": "C"},
            )
            if check.returncode or "fuzzy" in check.stderr or "untranslated" in check.stderr:
                found.append(f"{name}: {check.stderr.strip()}")
                continue
            if Path(f"{folder}/out.mo").read_bytes() != catalogue.with_suffix(".mo").read_bytes():
                found.append(f"{name}: compile it (manage.py compilemessages)")
            package, language = name.parts[0], name.parts[2]
            subprocess.run(
                [sys.executable, "-m", "django", "makemessages", "-l", language, "--no-location", "-v0"],
                cwd=copy / package,
                check=True,
                env={**os.environ, "DJANGO_SETTINGS_MODULE": "", "PYTHONPATH": str(copy)},
            )
            if new := messages(copy / name) - messages(catalogue):
                found.append(f"{name}: {len(new)} messages of the sources are missing, such as {min(new)!r}")
    return found


if __name__ == "__main__":
    problems = faults()
    print("\n".join(problems) or "The catalogues are complete.")
    sys.exit(bool(problems))
