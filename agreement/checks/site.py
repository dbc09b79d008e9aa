"""Checks of the site's other settings on which the app depends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from django.apps import AppConfig, apps
from django.conf import settings
from django.conf.urls.i18n import is_language_prefix_patterns_used
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own name
from django.db import connections
from django.middleware.locale import LocaleMiddleware
from django.urls import NoReverseMatch, reverse
from django.utils.module_loading import import_string

from agreement import conf
from agreement.middleware import AgreementMiddleware
from agreement.models import AcceptanceMode, Agreement
from agreement.text import dates, languages

#: Maps each required app to its place in INSTALLED_APPS.
REQUIRED_APPS = {"modeltranslation": "before django.contrib.admin", "reversion": "anywhere"}


def check_site(app_configs: Sequence[AppConfig] | None, **kwargs: object) -> Iterable[CheckMessage]:
    """Check the required apps and their order, the languages of django-modeltranslation and of the site, ``USE_TZ``,
    ``USE_I18N``, the age of the time zone data, the middleware and its order, whether ``BASE_URL`` is set, whether the
    site includes the app's URLs, and the task engine that ``ENQUEUE`` names. Celery must have a broker. Django's tasks,
    unless ``DEBUG`` is on, must not use the immediate backend, which has no workers.
    """
    yield from _check_apps()
    yield from _check_languages()
    if not settings.USE_TZ:
        yield Error(
            "USE_TZ is False: the moment at which an edition takes effect needs a time zone.",
            hint="Set USE_TZ = True.",
            id="agreement.E006",
        )
    if not settings.USE_I18N:
        yield Error(
            "USE_I18N is False: the words of letters, pages and replies would be English for every user.",
            hint="Set USE_I18N = True.",
            id="agreement.E023",
        )
    yield from _check_zone_data()
    yield from _check_middleware()
    yield from _check_addresses()
    yield from _check_task_engine()


def _check_apps() -> Iterator[CheckMessage]:
    order = [config.name for config in apps.get_app_configs()]
    for name, place in REQUIRED_APPS.items():
        if name not in order:
            yield Error(f"{name!r} is not in INSTALLED_APPS.", hint=f'Add "{name}", {place}.', id="agreement.E004")
    admin = "django.contrib.admin"
    if {"modeltranslation", admin} <= set(order) and order.index("modeltranslation") > order.index(admin):
        yield Error(
            "'modeltranslation' comes after 'django.contrib.admin' in INSTALLED_APPS.",
            hint='Move "modeltranslation" before "django.contrib.admin".',
            id="agreement.E005",
        )


def _check_languages() -> Iterator[CheckMessage]:
    translated = getattr(settings, "MODELTRANSLATION_LANGUAGES", None) or [code for code, _ in settings.LANGUAGES]
    if missing := [code for code in languages.LANGUAGES if code not in translated]:
        yield Error(
            f"The languages of django-modeltranslation, {tuple(translated)!r}, do not contain"
            f" {', '.join(map(repr, missing))}.",
            hint='Add the line MODELTRANSLATION_LANGUAGES = ("kk", "ru") to the settings.',
            id="agreement.E003",
        )
    site = {code.partition("-")[0] for code, _ in settings.LANGUAGES}
    if missing := [code for code in languages.LANGUAGES if code not in site]:
        yield Warning(
            f"LANGUAGES does not contain {', '.join(map(repr, missing))}: the site has no pages in this language.",
            hint='Set LANGUAGES = [("kk", "Қазақша"), ("ru", "Русский")].',
            id="agreement.W005",
        )


def _check_zone_data() -> Iterator[CheckMessage]:
    if outdated := dates.outdated_zones():
        yield Error(
            "The time zone data that Python reads is older than 2024: after 1 March 2024 it gives"
            f" {', '.join(f'{name!r} {wrong}' for name, wrong in outdated.items())}, but Kazakhstan has UTC+5.",
            hint="Update the package tzdata of the system. Or set the environment variable PYTHONTZPATH to an empty"
            " value for every process: Python then reads the zones from PyPI's package tzdata.",
            id="agreement.E022",
        )


def _check_middleware() -> Iterator[CheckMessage]:
    ours, theirs = "agreement.middleware.AgreementMiddleware", "django.contrib.auth.middleware.AuthenticationMiddleware"
    if ours in settings.MIDDLEWARE and theirs not in settings.MIDDLEWARE[: settings.MIDDLEWARE.index(ours)]:
        yield Error(
            f"In MIDDLEWARE, {theirs!r} does not come before {ours!r}, which needs to know the user.",
            hint=f"Put {ours!r} after {theirs!r}.",
            id="agreement.E021",
        )
    try:
        prefixed, _ = is_language_prefix_patterns_used(settings.ROOT_URLCONF)
    except ImportError:
        return  # W002 reports it.
    if prefixed and not _has_middleware(LocaleMiddleware):
        yield Warning(
            "The URLconf uses i18n_patterns, but MIDDLEWARE has no LocaleMiddleware: only the pages in the language of"
            f" LANGUAGE_CODE, {settings.LANGUAGE_CODE!r}, have an address.",
            hint='Add "django.middleware.locale.LocaleMiddleware" after SessionMiddleware.',
            id="agreement.W053",
        )


def check_gate(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **kwargs: object
) -> Iterable[CheckMessage]:
    """Check that ``MIDDLEWARE`` has the middleware of the app if an agreement in these databases, which are given by
    alias (``None``: none), is accepted by confirmation. 2 queries for each database without it.
    """
    for alias in () if _has_middleware(AgreementMiddleware) else databases or ():
        if Agreement._meta.db_table not in connections[alias].introspection.table_names():
            continue
        asked = Agreement.objects.using(alias).filter(acceptance_mode=AcceptanceMode.BY_CONFIRMATION)
        if slugs := sorted(asked.values_list("slug", flat=True)):
            yield Warning(
                f"MIDDLEWARE has no AgreementMiddleware, but these agreements in the database {alias!r} are accepted by"
                f" confirmation: {', '.join(map(repr, slugs))}. No user is asked, except before views that check it"
                " themselves.",
                hint='Add "agreement.middleware.AgreementMiddleware" after AuthenticationMiddleware. If all views that'
                " need it check the acceptance themselves, silence this warning.",
                id="agreement.W052",
            )


def _has_middleware(wanted: type) -> bool:
    """Return whether ``MIDDLEWARE`` has this class, or one that is derived from it."""
    found = []
    for path in settings.MIDDLEWARE:
        with suppress(ImportError):  # Django reports it when the server starts.
            found.append(import_string(path))
    return any(isinstance(one, type) and issubclass(one, wanted) for one in found)


def _check_addresses() -> Iterator[CheckMessage]:
    if not conf.get().BASE_URL:
        yield Warning(
            'AGREEMENT["BASE_URL"] is empty: notices are not sent, because their links would lead nowhere.',
            hint='Set AGREEMENT = {"BASE_URL": "https://portal.example.kz"}.',
            id="agreement.W001",
        )
    try:
        reverse("agreement:index")
    except (NoReverseMatch, ImportError):
        yield Warning(
            "The agreement's pages have no address.",
            hint='Add path("agreements/", include("agreement.urls")) to the URLconf.',
            id="agreement.W002",
        )


def _check_task_engine() -> Iterator[CheckMessage]:
    if conf.get().ENQUEUE == "agreement.tasks.enqueue_celery":
        from agreement import tasks  # Only here, because it imports Celery, which takes long.

        engine = getattr(tasks, "celery_engine", None)  # Without Celery, E004 reports it.
        if engine and not engine.is_configured:
            yield Warning(
                "ENQUEUE names Celery, but this process has no Celery app with a broker.",
                hint="Set CELERY_BROKER_URL, and import the site's Celery app in the __init__.py of its package.",
                id="agreement.W050",
            )
        return
    if conf.get().ENQUEUE != conf.Conf().ENQUEUE or settings.DEBUG:
        return
    engine = getattr(settings, "TASKS", {}).get("default", {}).get("BACKEND", "immediate")
    if "immediate" not in engine.lower():
        return
    problem = "TASKS uses the immediate backend: a publisher waits until all notices are sent."
    if delay := conf.get().NOTICE_DELAY:
        problem = f"TASKS uses the immediate backend: it does not send notices that wait for NOTICE_DELAY ({delay})."
    yield Warning(
        problem,
        hint='Use a backend that has workers, or set AGREEMENT["ENQUEUE"] = None and run deliver_notices --watch.',
        id="agreement.W004",
    )
