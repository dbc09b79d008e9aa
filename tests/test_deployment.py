"""What ``check --deploy`` asks for, and that README's grants and web server are what they say."""

from __future__ import annotations

import re
import uuid

import pytest

from tests.site import ROOT, Site, database


def readme(kind: str) -> str:
    """The block of that kind in README, "Deploy"."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Deploy")[2]
    return re.search(rf"```{kind}\n(.*?)```", section, re.DOTALL)[1]


# The role of the application


@pytest.mark.postgresql
def test_a_role_with_readmes_grants_runs_the_site_and_cannot_take_the_seal_off(tmp_path):
    import psycopg

    role = f"agreement_app_{uuid.uuid4().hex[:8]}"
    grants = readme("sql").replace("portal_app", role)
    with database(tmp_path) as url:
        owner = Site(url)
        server = url.partition("://")[2].rpartition("@")[2]
        app = Site(f"postgres://{role}:change-me@{server}")
        try:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(grants)
            owner.run("migrate", "-v0")

            app.python("from tests.factories import users; users(2)")
            published = app.run("publish_edition", app.draft(tmp_path))
            sent = app.run("deliver_notices")
            verified = app.run("verify_editions")
            app.run("migrate", "--check")

            assert "Published edition 1" in published
            assert "Sent 2 notices" in sent
            assert "1 editions verified" in verified
            assert "could remove the triggers" not in verified
            assert "could remove the triggers" in owner.run("verify_editions")
            with psycopg.connect(app.database_url, autocommit=True) as connection:
                for attack in (
                    "ALTER TABLE agreement_edition DISABLE TRIGGER ALL",
                    "DROP TRIGGER agreement_seal_edition_row ON agreement_edition",
                    "DROP FUNCTION agreement_seal_edition() CASCADE",
                    "CREATE OR REPLACE FUNCTION agreement_seal_edition() RETURNS trigger LANGUAGE sql AS ''",
                    "SET session_replication_role = replica",
                    "TRUNCATE agreement_edition CASCADE",
                    "DROP TABLE agreement_edition CASCADE",
                    "ALTER TABLE agreement_edition RENAME TO x",
                ):
                    with pytest.raises(psycopg.errors.InsufficientPrivilege):
                        connection.execute(attack)
                with pytest.raises(psycopg.errors.CheckViolation):
                    connection.execute("UPDATE agreement_edition SET body_kk = 'x'")
        finally:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(f"DROP OWNED BY {role}")
                connection.execute(f"DROP ROLE {role}")


def test_readmes_server_speaks_tls_1_2_and_newer_only():
    (protocols,) = re.findall(r"ssl_protocols ([^;]+);", readme("nginx"))
    assert protocols.split() == ["TLSv1.2", "TLSv1.3"]
