"""The system checks of the app. Each message states a problem, and its hint states how to correct it.

The package provides ``register()``, which ``AgreementConfig.ready()`` calls, and the check functions.

``settings``: ``E001`` unknown setting · ``E002`` wrong value of a setting · ``E004`` missing package ·
``E009`` a channel reports a fault, or two channels have the same name · ``E020`` unsuitable keys of pseudonyms ·
``E024`` missing or wrong parts of a consent · ``E025`` unsuitable key of the logs ·
``E026`` time stamps without a key of the logs · ``W006`` more days for a reply than the law gives ·
``W051`` a slug of an unknown agreement (only with ``check --database``)

``site``: ``E003`` modeltranslation lacks a language · ``E004`` missing app · ``E005`` wrong order of apps ·
``E006`` ``USE_TZ`` is off · ``E021`` wrong order of middleware · ``E022`` old time zone data ·
``E023`` ``USE_I18N`` is off · ``W001`` no ``BASE_URL`` · ``W002`` no URLs of the app ·
``W004`` tasks run in the process that starts them · ``W005`` the site lacks a language ·
``W050`` Celery without a broker · ``W052`` an agreement by confirmation without the middleware (only with
``check --database``) · ``W053`` ``i18n_patterns`` without ``LocaleMiddleware``

``seal``: ``E007`` the seal is altered · ``W003`` database without triggers ·
``W045`` a role that can remove the triggers (only with ``check --deploy --database``)

``deployment`` (``check --deploy``): ``W020`` no keys of pseudonyms · ``W041`` an address without TLS · ``W042`` no
content security policy · ``W043`` settings of proxies that contradict each other ·
``W044`` the location of the data is not stated · ``W046`` no limit on failed logins · ``W047`` no second factor ·
``W048`` WeasyPrint is installed, but can't make PDFs ·
``W049`` the operator of a consent has a number that only examples use
"""

from django.core import checks

from agreement.checks.deployment import check_deployment, check_pseudonym_keys
from agreement.checks.seal import check_role, check_seal
from agreement.checks.settings import check_settings, check_slugs
from agreement.checks.site import check_gate, check_site

__all__ = [
    "check_deployment",
    "check_gate",
    "check_pseudonym_keys",
    "check_role",
    "check_seal",
    "check_settings",
    "check_site",
    "check_slugs",
    "register",
]


def register() -> None:
    """Register the checks. ``AgreementConfig.ready()`` calls this once."""
    checks.register(check_settings, "agreement")
    checks.register(check_site, "agreement")
    checks.register(check_seal, checks.Tags.database)
    checks.register(check_slugs, checks.Tags.database)
    checks.register(check_gate, checks.Tags.database)
    checks.register(check_pseudonym_keys, "agreement", deploy=True)
    checks.register(check_deployment, checks.Tags.security, deploy=True)
    checks.register(check_role, checks.Tags.database, deploy=True)
