"""The database of each released version is migrated by this one, and everything that was sealed is the same."""

from __future__ import annotations

import json
import lzma

import pytest

from tests.system.test_foreign_site import run
from tests.system.upgrades import DESCRIBE, FOLDER, VERSIONS

PUBLISH = """
from agreement.models import Edition
draft = Edition.objects.drafts().get()
Edition.objects.published().filter(agreement=draft.agreement_id).last().cancel()
draft.publish(reason="Сот шешімі.")
print(f"published {draft.number}")
"""


def test_the_newest_version_has_a_database():
    assert VERSIONS


@pytest.mark.parametrize("version", VERSIONS)
def test_the_database_of_a_released_version_is_migrated_and_nothing_sealed_changes(version, tmp_path):
    database = tmp_path / "host.sqlite3"
    database.write_bytes(lzma.decompress((FOLDER / f"{version}.sqlite3.xz").read_bytes()))
    ended = run(
        ["migrate", "-v0"],
        ["check", "--database", "default"],
        ["verify_editions"],
        ["shell", "-v0", "-c", DESCRIBE],
        ["shell", "-v0", "-c", PUBLISH],
        ["verify_editions"],
        languages="kk,ru",
        database=f"sqlite://{database}",
    )
    assert [code for code, _said in ended] == [0] * 6, ended
    assert json.loads(ended[3][1]) == json.loads((FOLDER / f"{version}.json").read_text(encoding="utf-8"))
    assert "published 5" in ended[4][1]
