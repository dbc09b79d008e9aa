"""Each system check: its message about a wrong value, and that a right one passes."""

from __future__ import annotations

import base64
import subprocess
import sys
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
from django.apps import apps
from django.core import checks
from django.core.checks import CheckMessage
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connection, connections
from django.db.models import F, Value
from django.db.models.functions import Coalesce, Lower
from django.middleware.locale import LocaleMiddleware
from django.test import override_settings
from django.urls import include, path

from agreement import conf, tasks
from agreement.checks import (
    check_deployment,
    check_gate,
    check_pseudonym_keys,
    check_seal,
    check_settings,
    check_site,
    check_slugs,
)
from agreement.middleware import AgreementMiddleware
from agreement.models import AcceptanceMode, Agreement
from agreement.seal import triggers
from tests.support import factories

urlpatterns = [path("agreements/", include("agreement.urls"))]


def ids(messages: Any) -> list[str]:
    return [message.id for message in messages]


def only(messages: Any) -> CheckMessage:
    (message,) = messages
    assert message.hint
    return message


@pytest.mark.django_db
def test_the_portal_passes_every_check():
    assert checks.run_checks(databases=["default"]) == []


def test_E001_names_the_nearest_right_setting(settings):  # noqa: N802
    settings.AGREEMENT = {"BASE_ULR": "https://portal.example.kz"}
    message = only(check_settings(None))
    assert (message.id, message.msg) == ("agreement.E001", "AGREEMENT has no setting 'BASE_ULR'.")
    assert message.hint == "Did you mean 'BASE_URL'?"


@pytest.mark.parametrize(
    ("old", "new"),
    [("HOLD", "SENDING_SUSPENDED"), ("PACE", "RATE_LIMITS"), ("JOIN_BEFOREHAND", "ACCEPT_ANNOUNCED")],
)
def test_E001_names_what_a_renamed_setting_is_called_now(settings, old, new):  # noqa: N802
    assert new in conf.KEYS
    settings.AGREEMENT = {old: True}
    message = only(check_settings(None))
    assert (message.id, message.hint) == ("agreement.E001", f"It is called {new!r} now.")


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("NOTICE_DAYS", "ten", "'ten', but must be of type int"),
        ("NOTICE_DAYS", True, "True, but must be of type int"),
        ("NOTICE_DAYS", -1, "-1, but must be between 0 and 3650"),
        ("GRACE_DAYS", 3651, "3651, but must be between 0 and 3650"),
        ("NOTICE_DELAY", 600, "600, but must be of type timedelta"),
        ("NOTICE_DELAY", timedelta(days=-1), "but must be between 0 and 1 day"),
        ("LOG_DELAY", timedelta(minutes=5), "but must be more than 5 minutes"),
        ("LOG_DELAY", -timedelta(hours=1), "but must be more than 5 minutes"),
        ("LOG_DELAY", 3600, "3600, but must be of type timedelta"),
        ("SHOW_SCHEDULED", 1, "1, but must be of type bool"),
        ("PREVAILING_LANGUAGE", "en", '\'en\', but must be "kk", "ru" or ""'),
        ("BASE_URL", "portal.example.kz", "'portal.example.kz', but must be like"),
        ("BASE_URL", "https://[2001:db8::1", "'https://[2001:db8::1', but must be like"),
        ("CHANNELS", "agreement.notices.channels.EmailChannel", "but must be of type tuple"),
        (
            "CHANNELS",
            ("agreement.notices.channels.email.Pigeon",),
            "'agreement.notices.channels.email.Pigeon', but can't be imported",
        ),
        ("DATABASE_AWAY", "maybe", '\'maybe\', but must be "read", "all" or "none"'),
        ("SENDERS", 0, "0, but must be between 1 and 1000"),
        ("TRUSTED_PROXIES", -1, "-1, but must not be negative"),
        ("EXEMPT", "health", "'health', but must be of type tuple"),
        ("PSEUDONYM_KEYS", ["secret"], "'list', but must be a dict of secrets by id"),
        ("VERP", "b+c@portal.example.kz", "'b+c@portal.example.kz', but must be like"),
        ("VERP", "b" * 25 + "@portal.example.kz", "with at most 24 characters before the @"),
        ("PRIVATE_ROOT", 7, "7, but must be a text"),
        ("BASE_URL", 7, "7, but must be a text"),
        ("DEFAULT_AGREEMENT", "Келісім 1", "'Келісім 1', but must be"),
        ("SITE_NAME", {"kk": "Портал"}, "{'kk': 'Портал'}, but must be one line"),
        ("SITE_NAME", "Портал\nX", "'Портал\\nX', but must be one line"),
        ("DATA_LOCATION", ["Astana"], "['Astana'], but must be a text"),
        ("RATE_LIMITS", {"email": "2500/h"}, "{'email': '2500/h'}, but must be like"),
        ("RATE_LIMITS", {"email": ("2500 an hour",)}, "'2500 an hour' is not a rate limit. Write it like"),
        ("RATE_LIMITS", ("2500/h",), "('2500/h',), but must be like"),
        ("SENDING_SUSPENDED", "yes", "'yes', but must be of type bool"),
        ("AUDIENCE", "nowhere.at_all", "'nowhere.at_all', but can't be imported"),
        ("SIGNATURE_VERIFIER", "nowhere.at_all", "'nowhere.at_all', but can't be imported"),
        ("SIGNATURE_VERIFIER", 7, "7, but must be a text"),
    ],
)
def test_E002_quotes_the_wrong_value(settings, key, value, text):  # noqa: N802
    settings.AGREEMENT = {key: value}
    message = only(check_settings(None))
    assert message.id == "agreement.E002"
    assert f'AGREEMENT["{key}"] is ' in message.msg
    assert text in message.msg


@pytest.mark.parametrize("key", ["USER_EMAIL", "USER_PHONE", "USER_LANGUAGE", "USER_ACTIVE_AT"])
@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("mail", "can't be read from the user model ('auth.User' has no field 'mail'. Its fields are: "),
        ("get_full_name", "can't be read from the user model ('auth.User' has no field 'get_full_name'. Its fields"),
        (Coalesce(F("mail"), Value("ru")), "can't be read from the user model ('auth.User' has no field 'mail'. Its"),
        (
            "profile__lang",
            "can't be read from the user model ('portal_site.Profile' has no field 'lang'. Its fields are: 'id',",
        ),
        (
            Coalesce(F("profile__user__lang"), Value("ru")),
            "can't be read from the user model ('auth.User' has no field 'lang'. Its fields are: ",
        ),
        (
            "username__lang",
            "can't be read from the user model ('auth.User.username' is no relation, so 'lang' can't follow it)",
        ),
        (7, "can't be read from the user model ("),
        ("groups__name", "must have one value for each user: 'auth.User' has several 'auth.User_groups'"),
        (Lower("logentry__object_repr"), "must have one value for each user: 'auth.User' has several 'admin.LogEntry'"),
    ],
)
def test_E002_names_what_can_not_be_read_from_the_user_model(settings, key, value, problem):  # noqa: N802
    settings.AGREEMENT = {key: value}
    message = only(check_settings(None))
    assert message.id == "agreement.E002"
    assert message.msg.startswith(f'AGREEMENT["{key}"] is {value!r}, but {problem}')


@pytest.mark.parametrize("value", ["last_name", Coalesce(F("last_name"), Value("ru")), Lower("email")])
def test_what_can_be_read_from_the_user_model_passes(settings, value):
    settings.AGREEMENT = {"USER_EMAIL": value, "USER_PHONE": value, "USER_LANGUAGE": value}
    assert list(check_settings(None)) == []


@pytest.mark.parametrize("name", sorted(conf.KEYS))
@pytest.mark.parametrize("value", [None, 7, -1.5, True, "x", [], [7], {}, {"a": 7}], ids=repr)
@pytest.mark.django_db
def test_no_value_of_any_type_stops_the_checks(settings, name, value):
    settings.AGREEMENT = {**settings.AGREEMENT, name: value}
    for check in (check_settings, check_site, check_deployment):
        assert all(message.id for message in check(None))


def test_a_base_url_of_none_counts_as_empty(settings):
    settings.AGREEMENT = {"BASE_URL": None}
    assert ids(check_settings(None)) == []
    assert "agreement.W001" in ids(check_site(None))


def test_E002_refuses_what_is_no_dict(settings):  # noqa: N802
    settings.AGREEMENT = ["BASE_URL"]
    assert "which is not a dict" in only(check_settings(None)).msg


@pytest.mark.parametrize("languages", [("ru",), ("kk", "en"), ("en",)])
def test_E003_prints_the_line_to_add(settings, languages):  # noqa: N802
    settings.MODELTRANSLATION_LANGUAGES = languages
    message = only(check_site(None))
    assert message.id == "agreement.E003"
    assert 'MODELTRANSLATION_LANGUAGES = ("kk", "ru")' in message.hint


def test_E006_refuses_times_without_zones(settings):  # noqa: N802
    settings.USE_TZ = False
    assert only(check_site(None)).id == "agreement.E006"


@pytest.mark.django_db
def test_E007_names_the_trigger_that_is_missing_and_the_command_that_installs_it():  # noqa: N802
    assert list(check_seal(None, ["default"])) == []
    triggers.remove(connection, apps.get_model)
    messages = list(check_seal(None, ["default"]))
    assert set(ids(messages)) == {"agreement.E007"}
    assert any("the trigger agreement_seal_edition_" in message.msg for message in messages)

    assert "manage.py migrate --skip-checks," in messages[0].hint
    with pytest.raises(SystemCheckError, match=r"agreement\.E007"):
        call_command("migrate", skip_checks=False, verbosity=0)
    call_command("migrate", "--skip-checks", verbosity=0)
    assert list(check_seal(None, ["default"])) == []


@pytest.mark.django_db
def test_W003_says_that_the_guarantee_is_weaker_on_another_database(monkeypatch):  # noqa: N802
    monkeypatch.setattr(connections["default"], "vendor", "mysql")
    message = only(check_seal(None, ["default"]))
    assert message.id == "agreement.W003"
    assert "'default' is mysql" in message.msg
    assert "not by triggers" in message.msg
    assert "PostgreSQL or SQLite" in message.hint


def test_W001_asks_for_the_sites_address(settings):  # noqa: N802
    settings.AGREEMENT = {}
    assert only(check_site(None)).id == "agreement.W001"


def test_W002_asks_for_the_include(settings):  # noqa: N802
    settings.ROOT_URLCONF = "tests.support.no_urls"
    message = only(check_site(None))
    assert message.id == "agreement.W002"
    assert 'include("agreement.urls")' in message.hint


def test_W004_warns_of_a_publisher_who_waits(settings):  # noqa: N802
    settings.TASKS = {"default": {"BACKEND": "django.tasks.backends.immediate.ImmediateBackend"}}
    assert only(check_site(None)).id == "agreement.W004"
    settings.AGREEMENT = {**settings.AGREEMENT, "NOTICE_DELAY": timedelta(minutes=10)}
    assert "it does not send notices that wait for NOTICE_DELAY (0:10:00)." in only(check_site(None)).msg


@pytest.mark.django_db
def test_W051_names_a_slug_in_audiences_that_no_agreement_has(settings):  # noqa: N802
    names = {"partner-terms": "tests.users.partners", "partners": "tests.users.partners", "z": "tests.users.partners"}
    settings.AGREEMENT = {**settings.AGREEMENT, "AUDIENCES": names}
    Agreement.objects.all().delete()
    assert list(check_slugs(None, ["default"])) == []  # No agreement is loaded yet.

    factories.agreement("partner-terms")
    factories.agreement("user-agreement")
    assert list(check_slugs(None)) == []
    near, unknown = checks.run_checks(tags=[checks.Tags.database], databases=["default"])
    assert (near.id, near.level) == ("agreement.W051", checks.WARNING)
    assert near.msg == (
        "AGREEMENT[\"AUDIENCES\"] names 'partners', which is not the slug of an agreement in the database 'default'."
    )
    assert near.hint == "Did you mean 'partner-terms'?"
    assert unknown.hint == "The slugs are: partner-terms, user-agreement."

    settings.AGREEMENT = {**settings.AGREEMENT, "AUDIENCES": {"partner-terms": "tests.users.partners"}}
    assert list(check_slugs(None, ["default"])) == []


@pytest.mark.django_db
def test_W051_names_a_default_agreement_that_does_not_exist(settings):  # noqa: N802
    settings.AGREEMENT = {**settings.AGREEMENT, "DEFAULT_AGREEMENT": "user-agrement"}
    Agreement.objects.all().delete()
    assert list(check_slugs(None, ["default"])) == []  # No agreement is loaded yet.

    factories.agreement("user-agreement")
    message = only(check_slugs(None, ["default"]))
    assert message.id == "agreement.W051"
    assert message.msg == (
        "AGREEMENT[\"DEFAULT_AGREEMENT\"] names 'user-agrement', which is not the slug of an agreement in the database"
        " 'default'."
    )
    assert message.hint == "Did you mean 'user-agreement'?"

    settings.AGREEMENT = {**settings.AGREEMENT, "DEFAULT_AGREEMENT": "user-agreement"}
    assert list(check_slugs(None, ["default"])) == []


@pytest.mark.django_db
def test_W051_is_no_matter_before_the_tables_exist(settings, monkeypatch):  # noqa: N802
    settings.AGREEMENT = {**settings.AGREEMENT, "AUDIENCES": {"partners": "tests.users.partners"}}
    factories.agreement("partner-terms")
    assert ids(check_slugs(None, ["default"])) == ["agreement.W051"]
    monkeypatch.setattr(connection.introspection, "table_names", list)
    assert list(check_slugs(None, ["default"])) == []


class DerivedLocale(LocaleMiddleware):
    pass


class DerivedGate(AgreementMiddleware):
    pass


@pytest.mark.django_db
def test_W052_warns_of_a_confirmation_that_nobody_asks_for(settings):  # noqa: N802
    gate = "agreement.middleware.AgreementMiddleware"
    factories.agreement("by-use")
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if name != gate]
    assert list(check_gate(None, ["default"])) == []

    factories.agreement("terms")
    Agreement.objects.filter(slug="terms").update(acceptance_mode=AcceptanceMode.BY_CONFIRMATION)
    message = only(check_gate(None, ["default"]))
    assert (message.id, message.level) == ("agreement.W052", checks.WARNING)
    assert message.msg == (
        "MIDDLEWARE has no AgreementMiddleware, but these agreements in the database 'default' are accepted by"
        " confirmation: 'terms'. No user is asked, except before views that check it themselves."
    )
    assert gate in message.hint

    for name in (gate, f"{__name__}.DerivedGate"):
        with override_settings(MIDDLEWARE=[*settings.MIDDLEWARE, name]):
            assert list(check_gate(None, ["default"])) == []


@pytest.mark.django_db
def test_W052_is_no_matter_before_the_tables_exist(settings, monkeypatch):  # noqa: N802
    factories.agreement("terms")
    Agreement.objects.update(acceptance_mode=AcceptanceMode.BY_CONFIRMATION)
    settings.MIDDLEWARE = []
    monkeypatch.setattr(connection.introspection, "table_names", list)
    assert list(check_gate(None, ["default"])) == []


def test_W053_warns_of_addresses_in_languages_that_nothing_chooses(settings):  # noqa: N802
    locale = "django.middleware.locale.LocaleMiddleware"
    others = [name for name in settings.MIDDLEWARE if name != locale]
    settings.MIDDLEWARE = others
    message = only(check_site(None))
    assert (message.id, message.level) == ("agreement.W053", checks.WARNING)
    assert message.msg == (
        "The URLconf uses i18n_patterns, but MIDDLEWARE has no LocaleMiddleware: only the pages in the language of"
        f" LANGUAGE_CODE, {settings.LANGUAGE_CODE!r}, have an address."
    )
    assert locale in message.hint

    settings.MIDDLEWARE = [*others, f"{__name__}.DerivedLocale"]
    assert list(check_site(None)) == []
    settings.MIDDLEWARE, settings.ROOT_URLCONF = others, __name__
    assert list(check_site(None)) == []


def test_the_checks_leave_a_middleware_that_does_not_exist_to_django(settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "mysite.middleware.Nothing"]
    assert list(check_site(None)) == []


def test_W050_warns_of_celery_without_a_broker(settings, monkeypatch):  # noqa: N802
    celery = pytest.importorskip("celery", reason="needs Celery")
    settings.AGREEMENT = {**settings.AGREEMENT, "ENQUEUE": "agreement.tasks.enqueue_celery"}
    before = celery.current_app._get_current_object()
    try:
        app = celery.Celery("site", set_as_current=True)
        message = only(check_site(None))
        app.conf.broker_url = "memory://"
        assert list(check_site(None)) == []
    finally:
        before.set_current()
    assert (message.id, message.msg) == (
        "agreement.W050",
        "ENQUEUE names Celery, but this process has no Celery app with a broker.",
    )
    monkeypatch.delattr(tasks, "celery_engine")  # As without Celery. Then E004 reports it.
    assert list(check_site(None)) == []


def test_W005_warns_of_a_text_without_pages(settings):  # noqa: N802
    settings.LANGUAGES = [("kk", "Қазақша")]
    assert only(check_site(None)).id == "agreement.W005"


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"2026": "the-site's-own-secret-of-forty-characters"}, "'2026' in AGREEMENT"),
        ({"2026": "a-former-secret-of-at-least-forty-characters"}, "is the site's SECRET_KEY"),
        ({"2026": "tiny"}, "is shorter than 32 characters"),
        ({"": "x" * 64}, "has an id that is empty"),
        ({"y" * 33: "x" * 64}, "longer than 32 characters"),
    ],
)
def test_E020_refuses_keys_that_protect_nobody(settings, keys, text):  # noqa: N802
    settings.SECRET_KEY = "the-site's-own-secret-of-forty-characters"
    settings.SECRET_KEY_FALLBACKS = ["a-former-secret-of-at-least-forty-characters"]
    settings.AGREEMENT = {"PSEUDONYM_KEYS": {"2020": "x" * 64} | keys}
    message = only(check_settings(None))
    assert message.id == "agreement.E020"
    assert text in message.msg
    assert not any(secret in message.msg for secret in keys.values())


KEY = base64.b64encode(b"k" * 32).decode()


@pytest.mark.parametrize("secret", [base64.b64encode(b"k" * 31).decode(), f"{KEY[:-1]}", "k" * 64, f"{KEY} ", "!"])
def test_E025_refuses_a_key_that_is_not_32_bytes_in_base64_and_does_not_quote_it(settings, secret):  # noqa: N802
    settings.AGREEMENT = {"LOG_KEY": secret, "BASE_URL": "https://portal.example.kz"}
    message = only(check_settings(None))
    assert message.id == "agreement.E025"
    assert "is not 32 bytes in Base64" in message.msg
    assert secret not in message.msg
    assert "openssl rand -base64 32" in message.hint


def test_E025_wants_a_host_that_names_the_logs(settings):  # noqa: N802
    settings.AGREEMENT = {"LOG_KEY": KEY}
    message = only(check_settings(None))
    assert message.id == "agreement.E025"
    assert "BASE_URL is empty" in message.msg
    settings.AGREEMENT = {"LOG_KEY": KEY, "BASE_URL": "https://portal.example.kz", "LOG_DELAY": timedelta(minutes=6)}
    assert list(check_settings(None)) == []


@pytest.mark.parametrize("order", list(permutations(["django.contrib.admin", "agreement", "modeltranslation"])))
def test_E005_is_reported_for_every_wrong_order_of_the_apps(order):  # noqa: N802
    """In a process of its own, because the apps are loaded once."""
    right = order.index("modeltranslation") < order.index("django.contrib.admin")
    source = f"""
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", *{order!r}, "reversion"],
    LANGUAGES=[("kk", "kk"), ("ru", "ru")], MODELTRANSLATION_LANGUAGES=("kk", "ru"), LANGUAGE_CODE="kk",
    ROOT_URLCONF="tests.support.no_urls",
)
import django; django.setup()
from django.contrib import admin
from agreement.checks import check_site
from agreement.models import Edition
assert admin.site.is_registered(Edition) or not {right}
print([message.id for message in check_site(None) if message.id.startswith("agreement.E")])
"""
    done = subprocess.run([sys.executable, "-c", source], text=True, capture_output=True, check=False)
    assert done.stdout.strip() == ("[]" if right else "['agreement.E005']"), done.stderr


def test_E004_wants_the_extra_of_the_logs(settings, monkeypatch):  # noqa: N802
    settings.AGREEMENT = {"LOG_KEY": KEY, "BASE_URL": "https://portal.example.kz"}
    monkeypatch.setattr("agreement.checks.settings.find_spec", lambda name: None)
    message = only(check_settings(None))
    assert message.id == "agreement.E004"
    assert "'cryptography' is not installed, and LOG_KEY needs it." in message.msg
    assert "/path/to/clone[log]" in message.hint


def test_E004_wants_the_extra_of_celery(settings, monkeypatch):  # noqa: N802
    settings.AGREEMENT = {"ENQUEUE": "agreement.tasks.enqueue_celery"}
    monkeypatch.delattr(tasks, "enqueue_celery", raising=False)  # As without Celery.
    monkeypatch.setattr("agreement.checks.settings.find_spec", lambda name: None)
    message = only(check_settings(None))
    assert message.id == "agreement.E004"
    assert message.msg == "'celery' is not installed, and ENQUEUE needs it."
    assert "/path/to/clone[celery]" in message.hint


def test_E023_wants_translation(settings):  # noqa: N802
    settings.USE_I18N = False
    assert only(check_site(None)).id == "agreement.E023"


def test_E021_wants_the_user_known_before_the_gate(settings):  # noqa: N802
    settings.MIDDLEWARE = sorted(settings.MIDDLEWARE, key=lambda name: "agreement" not in name)
    assert only(check_site(None)).id == "agreement.E021"


def test_W006_warns_of_more_days_for_a_reply_than_the_law_gives(settings):  # noqa: N802
    settings.AGREEMENT = {"REPLY_DAYS": 16}
    (message,) = check_settings(None)
    assert message.id == "agreement.W006"
    assert message.msg == 'AGREEMENT["REPLY_DAYS"] is 16, but the law of Kazakhstan gives 15 days.'
    settings.AGREEMENT = {"REPLY_DAYS": 15}
    assert list(check_settings(None)) == []


def test_W020_warns_before_a_deployment_without_keys(settings):  # noqa: N802
    assert list(check_pseudonym_keys(None)) == []
    settings.AGREEMENT = {}
    assert only(check_pseudonym_keys(None)).id == "agreement.W020"


@pytest.mark.parametrize("name", ["MEDIA_ROOT", "STATIC_ROOT", "STATICFILES_DIRS"])
def test_E002_names_a_private_folder_that_anybody_may_read(settings, tmp_path, name):  # noqa: N802
    settings.AGREEMENT = {**settings.AGREEMENT, "PRIVATE_ROOT": str(tmp_path / "served" / "x" / ".." / "scans")}
    setattr(settings, name, [("prefix", tmp_path / "served")] if name == "STATICFILES_DIRS" else tmp_path / "served")
    message = only(check_settings(None))
    assert message.id == "agreement.E002"
    assert f"scans', but is in {name} ('{tmp_path}/served'), which anybody can read." in message.msg

    settings.AGREEMENT = {**settings.AGREEMENT, "PRIVATE_ROOT": str(tmp_path / "served-not" / "scans")}
    assert list(check_settings(None)) == []
