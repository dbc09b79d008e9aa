"""What a site that is open to the public still lacks: ``check --deploy``, beside Django's own security checks.

Django itself warns of a missing redirect to TLS (``security.W008``), of HSTS (``W004``) and of cookies that travel in
the clear (``W012``, ``W016``); nothing of that is said twice here.

``W041`` an address without TLS · ``W042`` no content security policy · ``W043`` a proxy that is not named ·
``W044`` where the data lie · ``W045`` a database role that owns the tables
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Warning  # noqa: A004 - Django's own name
from django.db import connections

from agreement import conf
from agreement.models import triggers

#: Middleware that sends a policy → the settings it takes it from.
POLICIES = {
    "django.middleware.csp.ContentSecurityPolicyMiddleware": "SECURE_CSP",
    "csp.middleware.CSPMiddleware": "CONTENT_SECURITY_POLICY",
}


def register() -> None:
    """Called once, by ``AgreementConfig.ready()``."""
    checks.register(check_deployment, checks.Tags.security, deploy=True)
    checks.register(check_role, checks.Tags.database, deploy=True)


def check_deployment(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Iterable[CheckMessage]:
    """The settings a site needs before strangers use it."""
    now = conf.get()
    if now.BASE_URL and not now.BASE_URL.startswith("https://"):
        yield Warning(
            f'AGREEMENT["BASE_URL"] is {now.BASE_URL!r}: links in notices and feeds lead to pages without TLS.',
            hint='Write it with "https://", and let the web server speak TLS 1.2 or newer only.',
            id="agreement.W041",
        )
    if not any(name in settings.MIDDLEWARE and getattr(settings, key, None) for name, key in POLICIES.items()):
        yield Warning(
            "No content security policy is sent: a script that finds its way into a page would run.",
            hint="Set SECURE_CSP with Django's ContentSecurityPolicyMiddleware (Django 6.0), or install django-csp."
            " The app's own pages need no inline script or style.",
            id="agreement.W042",
        )
    proxied: object = settings.SECURE_PROXY_SSL_HEADER
    if settings.SECURE_SSL_REDIRECT and now.TRUSTED_PROXIES and not proxied:
        yield Warning(
            "Requests come through a proxy, but SECURE_PROXY_SSL_HEADER is not set: each is redirected for ever.",
            hint='Set SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https"), which the proxy must overwrite.',
            id="agreement.W043",
        )
    if proxied and now.RECORD_IP and not now.TRUSTED_PROXIES:
        yield Warning(
            "Requests come through a proxy, but TRUSTED_PROXIES is 0: the proxy's address is recorded as every user's.",
            hint='Set AGREEMENT["TRUSTED_PROXIES"] to the number of proxies of one\'s own.',
            id="agreement.W043",
        )
    if not now.DATA_LOCATION.strip():
        yield Warning(
            'AGREEMENT["DATA_LOCATION"] is empty: where personal data lie is to be a decision somebody made.',
            hint='Write where the database and its backups stand, and who decided it: "Astana; order No 12 of 2026".'
            " The law of Kazakhstan has them in Kazakhstan.",
            id="agreement.W044",
        )


def check_role(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **kwargs: Any
) -> Iterable[CheckMessage]:
    """Whether the role the application connects as could take the seal off (``--database default``)."""
    for alias in databases or ():
        connection = connections[alias]
        if (
            connection.vendor == "postgresql"
            and triggers.expected(connection)
            and triggers.removable(connection, apps.get_model)
        ):
            yield Warning(
                f"The role {connection.settings_dict['USER']!r} of the database {alias!r} could remove the triggers"
                " that seal published editions.",
                hint="Connect as a role that does not own the tables: README, “Deploy”.",
                id="agreement.W045",
            )
