"""What ``check --deploy`` asks for, and that the grants and the web server of the guide are what they say."""

from __future__ import annotations

import re
import subprocess
import sys
import uuid

import pytest

from agreement.checks import check_deployment, check_role
from agreement.editions import pdf
from tests.support.site import ROOT, Site, database, site
from tests.support.zone_files import zone_files


def guide(kind: str) -> str:
    """The block of that kind in the guide to operation."""
    text = (ROOT / "agreement/docs/operate.md").read_text(encoding="utf-8")
    return re.search(rf"```{kind}\n(.*?)```", text, re.DOTALL)[1]


# check --deploy

SOUND = {
    "BASE_URL": "https://portal.example.kz",
    "PSEUDONYM_KEYS": {"2026": "k" * 64},
    "DATA_LOCATION": "Астана; 2026 жылғы 1 наурыздағы № 12 бұйрық",
    "TRUSTED_PROXIES": 1,
    "RECORD_IP": True,
}
PROXIED = ("HTTP_X_FORWARDED_PROTO", "https")


@pytest.mark.parametrize(
    ("stated", "found"),
    [
        ({}, []),
        ({"BASE_URL": "http://portal.example.kz"}, ["agreement.W041"]),
        ({"DATA_LOCATION": " "}, ["agreement.W044"]),
        ({"DATA_LOCATION": None}, ["agreement.W044"]),
        ({"TRUSTED_PROXIES": 0}, ["agreement.W043"]),
        ({"CONSENTS": {"news": {"operator": {"bin": "000000000000"}}}}, ["agreement.W049"]),
    ],
)
def test_each_deploy_check_names_what_is_missing(settings, stated, found):
    settings.SECURE_SSL_REDIRECT, settings.SECURE_PROXY_SSL_HEADER = True, PROXIED
    settings.AGREEMENT = SOUND | stated
    assert [message.id for message in check_deployment(None)] == found
    assert all(message.hint for message in check_deployment(None))


def test_W043_sees_the_redirect_that_never_ends(settings):  # noqa: N802
    settings.SECURE_SSL_REDIRECT, settings.SECURE_PROXY_SSL_HEADER = True, None
    settings.AGREEMENT = SOUND
    (message,) = check_deployment(None)
    assert (message.id, "redirected without end" in message.msg) == ("agreement.W043", True)


def test_W042_asks_for_a_policy(settings):  # noqa: N802
    settings.SECURE_SSL_REDIRECT, settings.SECURE_PROXY_SSL_HEADER = True, PROXIED
    settings.AGREEMENT = SOUND
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "csp" not in name.lower()]
    assert [message.id for message in check_deployment(None)] == ["agreement.W042"]


def without(settings, *names: str) -> None:
    settings.INSTALLED_APPS = [name for name in settings.INSTALLED_APPS if not name.startswith(names)]


def sound(settings) -> None:
    settings.SECURE_SSL_REDIRECT, settings.SECURE_PROXY_SSL_HEADER = True, PROXIED
    settings.AGREEMENT = SOUND


def test_W046_asks_for_a_limit_on_failed_logins(settings):  # noqa: N802
    sound(settings)
    without(settings, "axes")
    (message,) = check_deployment(None)
    assert (message.id, "django-axes" in message.hint) == ("agreement.W046", True)


def test_W046_sees_that_the_limit_of_axes_is_off(settings):  # noqa: N802
    sound(settings)
    settings.AXES_ENABLED = False
    assert [message.id for message in check_deployment(None)] == ["agreement.W046"]


def test_W047_asks_for_a_second_factor(settings):  # noqa: N802
    sound(settings)
    without(settings, "django_otp")
    (message,) = check_deployment(None)
    assert (message.id, "django-otp" in message.hint) == ("agreement.W047", True)


def test_W047_is_about_sites_whose_publishers_use_the_admin(settings):  # noqa: N802
    sound(settings)
    without(settings, "django_otp", "portal_site")
    assert list(check_deployment(None)) == []


@pytest.mark.django_db
def test_W045_is_about_roles_of_postgresql(settings):  # noqa: N802
    found = [message.id for message in check_role(None, ["default"])]
    assert found == (["agreement.W045"] if "postgresql" in settings.DATABASES["default"]["ENGINE"] else [])


@pytest.mark.system
def test_the_portal_of_the_guide_passes_every_deploy_check(tmp_path):
    """As the guide configures it behind its web server; Django's own checks among them."""
    environment = Site(f"sqlite:///{tmp_path / 'portal.sqlite3'}").env | {
        "DEBUG": "0",
        "HTTPS": "1",
        "SECRET_KEY": "".join(chr(33 + number) for number in range(80)),
        "ALLOWED_HOSTS": "portal.example.kz",
        "AGREEMENT_BASE_URL": "https://portal.example.kz",
        "AGREEMENT_PSEUDONYM_KEYS": "2026=" + "k" * 64,
        "AGREEMENT_DATA_LOCATION": "Astana; order No 12 of 2026",
        "AGREEMENT_TRUSTED_PROXIES": "1",
        "OPERATOR_BIN": "009940000006",  # Its check digit is right, and no number has the month 99.
    }
    done = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    # The demo's mailbox shows letters in a frame of its own; being preloaded by browsers is a site's own wish. The
    # machine of a developer may have WeasyPrint without fonts.
    found = set(re.findall(r"\((\w+\.[EW]\d+)\)", done.stderr))
    assert found <= {"security.W019", "security.W021"} | ({"agreement.W048"} if pdf.fault() else set()), done.stderr


# The machine


@pytest.mark.system
@pytest.mark.sqlite
def test_E022_refuses_zone_files_from_before_2024_and_its_hint_cures_them(tmp_path, monkeypatch):  # noqa: N802
    old = zone_files(tmp_path)
    with site(tmp_path) as portal:
        monkeypatch.setenv("PYTHONTZPATH", str(old))
        refused, status = portal.run("check", code=1), portal.run("agreement_status", code=2)
        monkeypatch.setenv("PYTHONTZPATH", "")
        accepted, cured = portal.run("check"), portal.run("agreement_status", code=1)

    assert "(agreement.E022)" in refused
    assert "'Asia/Almaty' UTC+6, 'Asia/Qostanay' UTC+6, but Kazakhstan has UTC+5." in refused
    assert status.startswith("act: the time zone data is older than 2024: it gives Asia/Almaty UTC+6; ")
    assert "no issues" in accepted
    assert cured.startswith("look: no edition is in force\n")


# The role of the application


@pytest.mark.system
@pytest.mark.postgresql
def test_a_role_with_the_guides_grants_runs_the_site_and_cannot_take_the_seal_off(tmp_path):
    import psycopg

    role = f"agreement_app_{uuid.uuid4().hex[:8]}"
    grants = guide("sql").replace("portal_app", role)
    with database(tmp_path) as url:
        owner = Site(url)
        server = url.partition("://")[2].rpartition("@")[2]
        app = Site(f"postgres://{role}:change-me@{server}")
        try:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(grants)
            owner.run("migrate", "-v0")

            app.python("from tests.support.factories import users; users(2)")
            published = app.run("publish_edition", app.draft(tmp_path))
            sent = app.run("deliver_notices")
            verified = app.run("verify_editions")
            app.run("migrate", "--check")

            assert "Published edition 1" in published
            assert "Deliveries: 2 sent" in sent
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


def test_the_guides_server_speaks_tls_1_2_and_newer_only():
    (protocols,) = re.findall(r"ssl_protocols ([^;]+);", guide("nginx"))
    assert protocols.split() == ["TLSv1.2", "TLSv1.3"]
