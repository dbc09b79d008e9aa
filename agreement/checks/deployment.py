"""Checks of a public site (``check --deploy``), in addition to Django's own security checks.

Django itself warns of a missing redirect to TLS (``security.W008``), of HSTS (``W004``) and of cookies without TLS
(``W012``, ``W016``). The checks here do not repeat that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from django.apps import AppConfig, apps
from django.conf import settings
from django.core.checks import CheckMessage, Warning  # noqa: A004 - Django's own name

from agreement import conf
from agreement.editions import pdf
from agreement.text import consent

#: Maps each middleware that sends a content security policy to the setting that contains the policy.
POLICIES = {
    "django.middleware.csp.ContentSecurityPolicyMiddleware": "SECURE_CSP",
    "csp.middleware.CSPMiddleware": "CONTENT_SECURITY_POLICY",
}

#: Maps each app that limits failed logins to the setting that turns its limits off.
LOGIN_LIMITS = {
    "axes": "AXES_ENABLED",
    "defender": "DEFENDER_LOGIN_FAILURE_LIMIT",
    "allauth.account": "ACCOUNT_RATE_LIMITS",
}
#: Apps that ask for a second factor. django-two-factor-auth uses the first one.
SECOND_FACTORS = ("django_otp", "allauth.mfa", "mfa")


def check_pseudonym_keys(app_configs: Sequence[AppConfig] | None, **kwargs: object) -> Iterable[CheckMessage]:
    """Warn if the site has no keys for pseudonyms. Without them the records of a deleted account can't be found."""
    if not conf.get().PSEUDONYM_KEYS:
        yield Warning(
            'AGREEMENT["PSEUDONYM_KEYS"] is empty: after an account is deleted, nobody can find its records.',
            hint='Set it to {"2026": "<64 random characters>"}, and store a copy of it apart from the database.',
            id="agreement.W020",
        )


def check_deployment(app_configs: Sequence[AppConfig] | None, **kwargs: object) -> Iterable[CheckMessage]:
    """Warn if ``BASE_URL`` is not empty and does not begin with ``https://``, if no known middleware sends a content
    security policy, if the setting ``DATA_LOCATION`` is empty, if WeasyPrint is installed and does not work, and if no
    known app limits failed logins. Warn if one of the two settings of proxies is missing: ``SECURE_PROXY_SSL_HEADER``
    while ``SECURE_SSL_REDIRECT`` and ``TRUSTED_PROXIES`` are set, or ``TRUSTED_PROXIES`` while
    ``SECURE_PROXY_SSL_HEADER`` and ``RECORD_IP`` are set. Warn of each consent whose operator has the number that only
    examples use (:data:`agreement.text.consent.NOBODY`). If the admin is installed, warn if no known app asks for a
    second factor.
    """
    now = conf.get()
    if now.BASE_URL and not str(now.BASE_URL).startswith("https://"):
        yield Warning(
            f'AGREEMENT["BASE_URL"] is {now.BASE_URL!r}: links in notices and feeds lead to pages without TLS.',
            hint='Write it with "https://", and let the web server accept TLS 1.2 or newer only.',
            id="agreement.W041",
        )
    if not any(name in settings.MIDDLEWARE and getattr(settings, key, None) for name, key in POLICIES.items()):
        yield Warning(
            "The site sends no content security policy: a script that an attacker puts into a page would run.",
            hint="Set SECURE_CSP with Django's ContentSecurityPolicyMiddleware (Django 6.0), or install django-csp."
            " The app's own pages need no inline script or style.",
            id="agreement.W042",
        )
    yield from _check_proxies(now)
    if not str(now.DATA_LOCATION or "").strip():
        yield Warning(
            'AGREEMENT["DATA_LOCATION"] is empty: state where personal data is stored and who decided it.',
            hint='Write where the database and its backups are, and who decided it: "Astana; order No 12 of 2026".'
            " The law of Kazakhstan requires them to be in Kazakhstan.",
            id="agreement.W044",
        )
    if pdf.is_installed() and (fault := pdf.fault()):
        yield Warning(
            f"Editions have no PDF: {fault}.",
            hint="Install Pango and a font with every Kazakh letter, on Debian by"
            ' "apt install libpangoft2-1.0-0 fonts-noto-core", and restart the site. Or uninstall WeasyPrint.',
            id="agreement.W048",
        )
    yield from _check_operators(now)
    yield from _check_logins()


def _check_operators(now: conf.Conf) -> Iterator[CheckMessage]:
    """Warn of each consent whose operator has the number that only examples use, as its BIN or IIN. ``now`` are the
    settings of the app.
    """
    stated_consents: object = now.CONSENTS
    for name, stated in stated_consents.items() if isinstance(stated_consents, dict) else ():
        operator = stated.get("operator") if isinstance(stated, dict) else None
        if isinstance(operator, dict) and consent.NOBODY in operator.values():
            yield Warning(
                f'AGREEMENT["CONSENTS"][{name!r}]: the number {consent.NOBODY!r} belongs to no operator.',
                hint="Enter the BIN of the operator of the site, or the IIN if the operator is a person.",
                id="agreement.W049",
            )


def _check_logins() -> Iterator[CheckMessage]:
    if not any(apps.is_installed(name) and getattr(settings, key, True) for name, key in LOGIN_LIMITS.items()):
        yield Warning(
            "No known app limits failed logins: an attacker may try any number of passwords.",
            hint="Install django-axes. If another app or server limits them, silence this warning.",
            id="agreement.W046",
        )
    if apps.is_installed("django.contrib.admin") and not any(map(apps.is_installed, SECOND_FACTORS)):
        yield Warning(
            "No known app asks for a second factor: anyone who knows a publisher's password can publish an edition.",
            hint="Install django-otp or allauth.mfa, and require a second factor of publishers and superusers."
            " portal_site/admin.py shows it. If an identity provider requires it, silence this warning.",
            id="agreement.W047",
        )


def _check_proxies(now: conf.Conf) -> Iterator[CheckMessage]:
    proxied: object = settings.SECURE_PROXY_SSL_HEADER
    if settings.SECURE_SSL_REDIRECT and now.TRUSTED_PROXIES and not proxied:
        yield Warning(
            "Requests come through a proxy, but SECURE_PROXY_SSL_HEADER is not set: every request is redirected without"
            " end.",
            hint='Set SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https"). The proxy must overwrite it.',
            id="agreement.W043",
        )
    if proxied and now.RECORD_IP and not now.TRUSTED_PROXIES:
        yield Warning(
            "Requests come through a proxy, but TRUSTED_PROXIES is 0: the address of the proxy is recorded as the"
            " address of every user.",
            hint='Set AGREEMENT["TRUSTED_PROXIES"] to the number of your own proxies.',
            id="agreement.W043",
        )
