"""The exceptions from the security rules of ruff, and the upper bounds of the dependencies."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
#: A major release of these could change what is sealed, the triggers, or how a sealed text is displayed.
BOUNDED = {"Django", "django-modeltranslation", "django-reversion", "Markdown", "nh3", "psycopg", "rfc3161-client"}


def test_the_app_and_the_portal_have_no_exception_from_a_whole_security_rule():
    lint = PROJECT["tool"]["ruff"]["lint"]
    excepted = {place for place, codes in lint["per-file-ignores"].items() if any(re.match(r"S\d*$", c) for c in codes)}

    assert "S" in lint["select"]
    assert not [code for code in lint["ignore"] if re.match(r"S\d*$", code)]
    assert all(place.startswith("tests/") for place in excepted)


def test_each_line_that_breaks_a_security_rule_gives_its_reason():
    files = [file for folder in ("agreement", "portal_site", "tests") for file in (ROOT / folder).rglob("*.py")]
    lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    exceptions = [found[0] for line in lines if (found := re.search(r"#\s*noqa\b(?:(?!:)|:.*\bS\d{3}).*", line))]

    assert len(exceptions) > 10
    assert [one for one in exceptions if not re.fullmatch(r"# noqa: S\d{3} - \w.+", one)] == []


def test_what_the_seal_depends_on_has_an_upper_bound():
    project = PROJECT["project"]
    wanted = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    bounded = {re.split(r"[\[<>=~]", requirement)[0] for requirement in wanted if "<" in requirement}

    assert bounded >= BOUNDED
