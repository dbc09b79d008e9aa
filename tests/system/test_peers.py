"""A site with django-termsandconditions and django-tos (``tests/system/hosts/peers``) imports what they have stored.

The site runs in processes of its own, by ``AGREEMENT_TEST_PEERS_PYTHON``: the Python of an environment with the app and
both packages. Without it the tests are skipped.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from tests.system.test_foreign_site import COMMANDS

HOST = Path(__file__).parent / "hosts" / "peers"
PYTHON = os.environ.get("AGREEMENT_TEST_PEERS_PYTHON", "")
TABLES = (
    "termsandconditions_termsandconditions",
    "termsandconditions_usertermsandconditions",
    "tos_termsofservice",
    "tos_useragreement",
)

pytestmark = pytest.mark.peers


def run(database: Path, *commands: list[str], peers: bool = True) -> list[str]:
    """What each command wrote. All must exit with 0."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    done = subprocess.run(
        [PYTHON, "-u", "-c", COMMANDS, json.dumps(commands)],
        cwd=HOST,
        env=kept
        | {
            "DJANGO_SETTINGS_MODULE": "settings",
            "PYTHONPATH": str(HOST),
            "HOST_DATABASE": str(database),
            "HOST_PEERS": str(int(peers)),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr
    parts = done.stdout.split("\0")
    written = list(zip(parts[:-1:2], parts[1::2], strict=True))
    assert [code for _text, code in written] == ["0"] * len(commands), (written, done.stderr)
    return [text for text, _code in written]


def digest(database: Path) -> str:
    """A digest of all rows of the packages, and of the definitions of their tables."""
    rows = []
    with closing(sqlite3.connect(database)) as connection:
        for table in TABLES:
            rows += connection.execute("SELECT sql FROM sqlite_master WHERE tbl_name = ? ORDER BY name", [table])
            rows += connection.execute(f"SELECT * FROM {table} ORDER BY id")  # noqa: S608 - the names above
    return hashlib.sha256(repr(rows).encode()).hexdigest()


def counts(database: Path) -> dict[str, tuple[int, int]]:
    """Agreement → the number of its editions, and of its acceptances."""
    query = """
        SELECT agreement.slug, COUNT(DISTINCT edition.id), COUNT(acceptance.id) FROM agreement_agreement agreement
        JOIN agreement_edition edition ON edition.agreement_id = agreement.id
        LEFT JOIN agreement_acceptance acceptance ON acceptance.edition_id = edition.id GROUP BY agreement.slug
    """
    with closing(sqlite3.connect(database)) as connection:
        return {slug: (editions, acceptances) for slug, editions, acceptances in connection.execute(query)}


IMPORTS = [
    ["import_from_termsandconditions", "--slug", "site-terms", "--language", "ru", "--create"],
    ["import_from_termsandconditions", "--slug", "contrib-terms", "--language", "ru", "--create"],
    ["import_from_tos", "--agreement", "tos", "--language", "ru", "--title-ru", "Terms of Service", "--create"],
]


def test_what_both_packages_have_stored_is_imported_and_their_tables_stay_as_they_were(tmp_path):
    database = tmp_path / "host.sqlite3"
    fill = f"exec(open({str(HOST / 'examples.py')!r}, encoding='utf-8').read())"
    *_, stored = run(database, ["migrate", "-v0"], ["shell", "-v0", "-c", fill])
    assert stored.split() == ["4", "3", "2", "5"]  # Texts and acceptances of the one package, then of the other.
    before = digest(database)

    dry = run(database, *[[*command, "--dry-run"] for command in IMPORTS])
    assert counts(database) == {}
    imported = run(database, *IMPORTS)
    assert imported == [written.replace("Would import", "Imported") for written in dry]

    # The texts that were never in force are named: the one of 2100, and no other.
    assert counts(database) == {"site-terms": (2, 2), "contrib-terms": (1, 1), "tos": (2, 5)}
    assert [written.count("is not imported") for written in imported] == [0, 1, 0]
    assert "Version 2.00 is not imported: it takes effect in the future (2100-01-01T00:00:00" in imported[1]
    assert "can't be imported" not in "".join(imported)
    [verified] = run(database, ["verify_editions"])
    assert "5 editions verified" in verified
    assert digest(database) == before

    # The packages are removed from the site. Their tables are still there, and nothing is imported twice.
    again = run(database, *IMPORTS, ["verify_editions"], peers=False)
    assert [written.splitlines()[-1] for written in again[:3]] == [
        "Imported 0 acceptances of 'site-terms'. 2 were recorded already.",
        "Imported 0 acceptances of 'contrib-terms'. 1 were recorded already.",
        "Imported 0 acceptances of 'tos'. 5 were recorded already.",
    ]
    assert counts(database) == {"site-terms": (2, 2), "contrib-terms": (1, 1), "tos": (2, 5)}
    assert digest(database) == before
