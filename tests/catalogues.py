"""Are the catalogues complete, compiled and those of the sources? ``python -m tests.catalogues`` (needs gettext).

It compares what is committed with messages made from the sources in a clone. ``--update`` writes the sources' messages
into the catalogues here and compiles them. What needs no gettext is in ``test_catalogues``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LANGUAGES = ("kk", "ru")
MAKE = ["makemessages", *(f"--locale={language}" for language in LANGUAGES), "--no-location", "--verbosity=0"]
# The portal's catalogue is of portal_site and of templates/, which lies beside it; LOCALE_PATHS says where it is.
ELSEWHERE = [f"--ignore={name}" for name in ("agreement/*", "tests/*", ".venv*", "build/*")]
#: Whose catalogue it is → the folder in which its messages are made, and how.
PACKAGES = {
    "agreement": ("agreement", [sys.executable, "-m", "django", *MAKE]),
    "portal_site": (".", [sys.executable, "manage.py", *MAKE, *ELSEWHERE]),
}

#: What to do when a catalogue differs from the sources.
MEND = (
    "Run `python -m tests.catalogues --update` (needs gettext), translate what is empty or fuzzy in the .po files,"
    " and run it again: it compiles them."
)


def messages(po: Path) -> set[str]:
    """The messages of a catalogue, plurals too, in gettext's own form and without their translations."""
    run = ["msgattrib", "--no-location", "--no-wrap", "--no-obsolete", str(po)]
    text = subprocess.run(run, check=True, capture_output=True, text=True).stdout
    entries = ("\n".join(line for line in entry.splitlines() if line[0] != "#") for entry in text.split("\n\n")[1:])
    return {entry.partition("\nmsgstr")[0] for entry in entries}


def faults() -> list[str]:
    """What is wrong, a line each: strings missing, fuzzy or obsolete, and ``.mo`` files older than their text."""
    found: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        copy, compiled = Path(folder) / "site", Path(folder) / "out.mo"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(copy)], check=True)
        env = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
        env |= {"LC_ALL": "C.UTF-8", "PYTHONPATH": str(copy), "DEBUG": "1"}
        for package, (where, make) in PACKAGES.items():
            subprocess.run(make, cwd=copy / where, check=True, env=env)
            for language in LANGUAGES:
                name = Path(package, "locale", language, "LC_MESSAGES", "django.po")
                catalogue = ROOT / name
                check = subprocess.run(
                    ["msgfmt", "--check", "--statistics", "-o", str(compiled), str(catalogue)],
                    capture_output=True,
                    text=True,
                    check=False,
                    env=env,
                )
                if check.returncode or "fuzzy" in check.stderr or "untranslated" in check.stderr:
                    found.append(f"{name}: {check.stderr.strip()}")
                    continue
                if compiled.read_bytes() != catalogue.with_suffix(".mo").read_bytes():
                    found.append(f"{name}: compile it (manage.py compilemessages)")
                if "\n#~" in catalogue.read_text(encoding="utf-8"):
                    found.append(f"{name}: obsolete messages (msgattrib --no-obsolete)")
                ours, theirs = messages(catalogue), messages(copy / name)
                if new := theirs - ours:
                    found.append(f"{name}: {len(new)} messages of the sources are missing, such as {min(new)!r}")
                if old := ours - theirs:
                    found.append(f"{name}: {len(old)} messages are not in the sources, such as {min(old)!r}")
        stray = subprocess.run(
            ["git", "ls-files", "--others"], cwd=copy, check=True, capture_output=True, text=True
        ).stdout.split()
        found += [f"{name}: makemessages writes it, but it is not committed" for name in stray if ".po" in name]
    return found


def update() -> None:
    """Write the messages of the sources into the catalogues, without obsolete ones, and compile them."""
    env = os.environ | {"LC_ALL": "C.UTF-8", "PYTHONPATH": str(ROOT), "DEBUG": "1"}
    env.pop("DJANGO_SETTINGS_MODULE", None)
    for package, (where, make) in PACKAGES.items():
        subprocess.run(make, cwd=ROOT / where, check=True, env=env)
        for language in LANGUAGES:
            po = str(ROOT / package / "locale" / language / "LC_MESSAGES" / "django.po")
            subprocess.run(["msgattrib", "--no-obsolete", "--output-file", po, po], check=True, env=env)
            subprocess.run(["msgfmt", "--check", "-o", po.replace(".po", ".mo"), po], check=True, env=env)


if __name__ == "__main__":
    if sys.argv[1:] == ["--update"]:
        update()
        sys.exit()
    problems = faults()
    print("\n".join([*problems, MEND] if problems else ["The catalogues are complete."]))
    sys.exit(bool(problems))
