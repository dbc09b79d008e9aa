"""The system checks of the app. Each message states a problem, and its hint states how to correct it.

The package provides ``register()``, which ``AgreementConfig.ready()`` calls, and the check functions.

``settings``: ``E001`` unknown setting · ``E002`` wrong value of a setting · ``E004`` missing package ·
``E009`` channels · ``E020`` keys of pseudonyms · ``E024`` parts of a consent ·
``W006`` more days for a reply than the law gives ·
``W051`` an audience of an unknown agreement (only with ``check --database``)

``site``: ``E003`` languages of modeltranslation · ``E004`` missing app · ``E005`` order of apps · ``E006`` ``USE_TZ`` ·
``E021`` order of middleware · ``E022`` old time zone data · ``E023`` ``USE_I18N`` · ``W001`` no ``BASE_URL`` ·
``W002`` no URLs · ``W004`` immediate tasks · ``W005`` languages of the site · ``W050`` Celery without a broker

``seal``: ``E007`` the seal is altered · ``W003`` database without triggers ·
``W045`` a role that can remove the triggers (only with ``check --deploy``)

``deployment`` (``check --deploy``): ``W020`` no keys of pseudonyms · ``W041`` an address without TLS · ``W042`` no
content security policy · ``W043`` settings of proxies · ``W044`` the location of the data ·
``W046`` no limit on failed logins · ``W047`` no second factor · ``W048`` no PDF ·
``W049`` the number of no operator
"""

from django.core import checks

from agreement.checks.deployment import check_deployment, check_pseudonym_keys
from agreement.checks.seal import check_role, check_seal
from agreement.checks.settings import check_audiences, check_settings
from agreement.checks.site import check_site

__all__ = [
    "check_audiences",
    "check_deployment",
    "check_pseudonym_keys",
    "check_role",
    "check_seal",
    "check_settings",
    "check_site",
    "register",
]


def register() -> None:
    """Register the checks. ``AgreementConfig.ready()`` calls this once."""
    checks.register(check_settings, "agreement")
    checks.register(check_site, "agreement")
    checks.register(check_seal, checks.Tags.database)
    checks.register(check_audiences, checks.Tags.database)
    checks.register(check_pseudonym_keys, "agreement", deploy=True)
    checks.register(check_deployment, checks.Tags.security, deploy=True)
    checks.register(check_role, checks.Tags.database, deploy=True)
