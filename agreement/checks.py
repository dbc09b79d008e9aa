"""System checks: what an installation lacks, and the line that mends it.

``E001`` unknown setting · ``E002`` setting of the wrong kind · ``E003`` modeltranslation's languages ·
``E004`` missing app · ``E005`` order of apps · ``E006`` ``USE_TZ`` · ``E007`` triggers missing ·
``E009`` channels · ``E020`` keys of pseudonyms · ``E021`` order of middleware ·
``W001`` no ``BASE_URL`` · ``W002`` no addresses · ``W003`` database without triggers · ``W004`` immediate tasks ·
``W005`` site languages · ``W020`` no keys of pseudonyms (``check --deploy``)
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from email.utils import parseaddr
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig, apps
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own name
from django.db import connections
from django.urls import NoReverseMatch, reverse
from django.utils.module_loading import import_string

from agreement import conf, pace
from agreement.models import triggers

NEEDED = {"modeltranslation": "before django.contrib.admin", "reversion": "anywhere"}
# Settings that are strings by their annotation but more than that by their meaning.
DOTTED = ("AUDIENCE", "ENQUEUE")


def register() -> None:
    """Called once, by ``AgreementConfig.ready()``."""
    checks.register(check_settings, "agreement")
    checks.register(check_site, "agreement")
    checks.register(check_seal, checks.Tags.database)
    checks.register(check_deployment, "agreement", deploy=True)


def check_settings(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Iterable[CheckMessage]:
    """``settings.AGREEMENT``: unknown keys, values of the wrong kind, paths that lead nowhere."""
    written = getattr(settings, "AGREEMENT", {})
    if not isinstance(written, dict):
        yield Error(
            f"AGREEMENT is {written!r}, which is not a dict.",
            hint='Write AGREEMENT = {"BASE_URL": "https://portal.example.kz"}.',
            id="agreement.E002",
        )
        return
    for key in written:
        if key not in conf.KEYS:
            near = difflib.get_close_matches(str(key).upper(), conf.KEYS, n=1, cutoff=0.4)
            hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(conf.KEYS)}."
            yield Error(f"AGREEMENT has no setting {key!r}.", hint=hint, id="agreement.E001")
    kinds = {one.name: type(one.default) for one in fields(conf.Conf)}
    for key, value in written.items():
        if key in kinds and kinds[key] in (bool, int, tuple, timedelta) and not _is(value, kinds[key]):
            yield _wrong(key, value, f"must be of type {kinds[key].__name__}")
    now = conf.get()
    for key in ("NOTICE_DAYS", "RETENTION_YEARS", "REMINDER_DAYS"):
        if _is(getattr(now, key), int) and not 0 <= getattr(now, key) <= 32767:
            yield _wrong(key, getattr(now, key), "must lie between 0 and 32767")
    if _is(now.NOTICE_DELAY, timedelta) and not timedelta() <= now.NOTICE_DELAY <= timedelta(days=1):
        yield _wrong("NOTICE_DELAY", now.NOTICE_DELAY, "must lie between no time and a day")
    if _is(now.SENDERS, int) and not 1 <= now.SENDERS <= 1000:
        yield _wrong("SENDERS", now.SENDERS, "must lie between 1 and 1000")
    if now.PREVAILING_LANGUAGE not in ("", *conf.LANGUAGES):
        yield _wrong("PREVAILING_LANGUAGE", now.PREVAILING_LANGUAGE, 'must be "kk", "ru" or ""')
    if now.DATABASE_AWAY not in ("read", "all", "none"):
        yield _wrong("DATABASE_AWAY", now.DATABASE_AWAY, 'must be "read", "all" or "none"')
    if _is(now.TRUSTED_PROXIES, int) and now.TRUSTED_PROXIES < 0:
        yield _wrong("TRUSTED_PROXIES", now.TRUSTED_PROXIES, "must not be negative")
    yield from _check_keys(now.PSEUDONYM_KEYS)
    yield from _check_consents(now.CONSENTS)
    if now.BASE_URL and (urlsplit(now.BASE_URL).scheme not in {"http", "https"} or not urlsplit(now.BASE_URL).hostname):
        yield _wrong("BASE_URL", now.BASE_URL, 'must be like "https://portal.example.kz"')
    elif urlsplit(now.BASE_URL).path.strip("/"):
        yield _wrong("BASE_URL", now.BASE_URL, "must end with the host: the pages' addresses bring their own path")
    yield from _check_private(now.PRIVATE_ROOT)
    if now.FILE_WITHDRAWALS not in ("", "suspended", "ended"):
        yield _wrong("FILE_WITHDRAWALS", now.FILE_WITHDRAWALS, 'must be "suspended", "ended" or ""')
    if not _instant(now.CLOSED_AT):
        yield _wrong("CLOSED_AT", now.CLOSED_AT, 'must be like "2030-01-01T00:00:00+05:00"')
    if now.TIMESTAMP_AUTHORITY:
        if urlsplit(now.TIMESTAMP_AUTHORITY).scheme not in {"http", "https"}:
            yield _wrong("TIMESTAMP_AUTHORITY", now.TIMESTAMP_AUTHORITY, 'must be like "https://tsa.example.kz"')
        if not Path(now.TIMESTAMP_CERTIFICATES).is_file():
            yield _wrong("TIMESTAMP_CERTIFICATES", now.TIMESTAMP_CERTIFICATES, "is no file of the authority's roots")
        if find_spec("rfc3161_client") is None:
            yield Error(
                "'rfc3161_client' is not installed, and TIMESTAMP_AUTHORITY needs it.",
                hint='Install the extra: pip install "agreement[timestamp]".',
                id="agreement.E004",
            )
    yield from _paces(now.PACE)
    for key in ("FROM_EMAIL", "REPLY_TO"):
        if getattr(now, key) and parseaddr(getattr(now, key))[1].count("@") != 1:
            yield _wrong(key, getattr(now, key), "is no address")
    paths = [(key, getattr(now, key)) for key in DOTTED if getattr(now, key)]
    for key in ("CHANNELS", "LINT_RULES"):
        paths += [(key, path) for path in getattr(now, key)] if _is(getattr(now, key), tuple) else []
    for key, path in paths:
        try:
            import_string(path)
        except (ImportError, AttributeError, TypeError) as error:
            yield _wrong(key, path, f"can't be imported ({error})")
            return
    yield from _channels(now.CHANNELS)


def _check_consents(consents: object) -> Iterable[CheckMessage]:
    """Words of consents: by a name that fits its column, in both languages."""
    if not isinstance(consents, dict):
        yield _wrong("CONSENTS", consents, 'must be like {"registration": {"kk": "…", "ru": "…"}}')
        return
    for name, words in consents.items():
        whole = isinstance(words, dict) and set(words) == set(conf.LANGUAGES)
        if not whole or not all(isinstance(text, str) and text.strip() for text in words.values()):
            yield _wrong("CONSENTS", name, "must have its words in kk and ru, and nothing else")
        elif not re.fullmatch(r"[-a-zA-Z0-9_]{1,64}", str(name)):
            yield _wrong("CONSENTS", name, "must be a name of at most 64 letters, digits, - and _")


def _check_private(root: object) -> Iterable[CheckMessage]:
    """The folder of scans: in none of those whose files the web server gives to anybody."""
    if not root:
        return
    if not isinstance(root, (str, os.PathLike)):
        yield _wrong("PRIVATE_ROOT", root, "must be a folder")
        return
    entries: list[Any] = list(settings.STATICFILES_DIRS)  # A folder, or a prefix and a folder.
    collected = [entry[-1] if isinstance(entry, (tuple, list)) else entry for entry in entries]
    served = [("MEDIA_ROOT", settings.MEDIA_ROOT), ("STATIC_ROOT", settings.STATIC_ROOT)]
    for name, folder in [*served, *(("STATICFILES_DIRS", entry) for entry in collected)]:
        if folder and Path(root).resolve().is_relative_to(Path(folder).resolve()):
            yield _wrong("PRIVATE_ROOT", str(root), f"lies in {name} ({str(folder)!r}), which anybody may read")


def _check_keys(keys: object) -> Iterable[CheckMessage]:
    """Secrets of pseudonyms: their own, long enough not to be guessed, with ids that fit their column."""
    if not isinstance(keys, dict) or not all(isinstance(text, str) for pair in keys.items() for text in pair):
        yield _wrong("PSEUDONYM_KEYS", type(keys).__name__, "must be a dict of secrets by id")
        return
    known = {settings.SECRET_KEY, *getattr(settings, "SECRET_KEY_FALLBACKS", ())}
    for name, secret in keys.items():
        if secret in known:
            why, hint = "is the site's SECRET_KEY", "It will be changed one day, and must be kept apart: make another."
        elif len(secret) < 32:
            why, hint = (
                "is shorter than 32 characters",
                "Make one: python -c 'import secrets; print(secrets.token_hex())'",
            )
        elif not 0 < len(name) <= 32:
            why, hint = "has an id that is empty or longer than 32 characters", "Name it by its year."
        else:
            continue
        yield Error(f'The key {name!r} in AGREEMENT["PSEUDONYM_KEYS"] {why}.', hint=hint, id="agreement.E020")


def check_deployment(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Iterable[CheckMessage]:
    """What a site in use needs besides (``check --deploy``)."""
    if not conf.get().PSEUDONYM_KEYS:
        yield Warning(
            'AGREEMENT["PSEUDONYM_KEYS"] is empty: nothing is found of a user once the account is deleted.',
            hint='Set it to {"2026": "<64 random characters>"}, and keep a copy apart from the database.',
            id="agreement.W020",
        )


def check_site(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Iterable[CheckMessage]:
    """The rest of the site's settings, as far as the app stands on them."""
    order = [config.name for config in apps.get_app_configs()]
    for name, place in NEEDED.items():
        if name not in order:
            yield Error(f"{name!r} is not in INSTALLED_APPS.", hint=f'Add "{name}", {place}.', id="agreement.E004")
    admin = "django.contrib.admin"
    if {"modeltranslation", admin} <= set(order) and order.index("modeltranslation") > order.index(admin):
        yield Error(
            "'modeltranslation' stands after 'django.contrib.admin' in INSTALLED_APPS.",
            hint='Move "modeltranslation" before "django.contrib.admin".',
            id="agreement.E005",
        )
    available = getattr(settings, "MODELTRANSLATION_LANGUAGES", None) or [code for code, _ in settings.LANGUAGES]
    if missing := [code for code in conf.LANGUAGES if code not in available]:
        yield Error(
            f"django-modeltranslation knows {tuple(available)!r}, which lacks {', '.join(map(repr, missing))}.",
            hint='Add the line MODELTRANSLATION_LANGUAGES = ("kk", "ru") to the settings.',
            id="agreement.E003",
        )
    if not settings.USE_TZ:
        yield Error(
            "USE_TZ is False: a moment without a zone can't bind anyone.",
            hint="Set USE_TZ = True.",
            id="agreement.E006",
        )
    ours, theirs = "agreement.middleware.AgreementMiddleware", "django.contrib.auth.middleware.AuthenticationMiddleware"
    if ours in settings.MIDDLEWARE and theirs not in settings.MIDDLEWARE[: settings.MIDDLEWARE.index(ours)]:
        yield Error(
            f"{ours!r} stands in MIDDLEWARE without {theirs!r} before it: it would not know the user.",
            hint="Move it behind.",
            id="agreement.E021",
        )
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
    if conf.get().ENQUEUE == conf.Conf().ENQUEUE and not settings.DEBUG:
        engine = getattr(settings, "TASKS", {}).get("default", {}).get("BACKEND", "immediate")
        if "immediate" in engine.lower():
            waits = "TASKS is the immediate backend: whoever publishes waits until every user has been written to."
            if now := conf.get().NOTICE_DELAY:
                waits = f"TASKS is the immediate backend: nobody sends what waits for NOTICE_DELAY ({now})."
            yield Warning(
                waits,
                hint='Set a backend that has workers, or AGREEMENT["ENQUEUE"] = None with deliver_notices --watch.',
                id="agreement.W004",
            )
    site = {code.partition("-")[0] for code, _ in settings.LANGUAGES}
    if missing := [code for code in conf.LANGUAGES if code not in site]:
        yield Warning(
            f"LANGUAGES lacks {', '.join(map(repr, missing))}: that text has no page.",
            hint='Set LANGUAGES = [("kk", "Қазақша"), ("ru", "Русский")].',
            id="agreement.W005",
        )


def check_seal(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **kwargs: Any
) -> Iterable[CheckMessage]:
    """The triggers, on the databases that are asked about (``check --database default``, ``migrate``)."""
    for alias in databases or ():
        connection = connections[alias]
        if connection.vendor not in triggers.VENDORS:
            yield Warning(
                f"The database {alias!r} is {connection.vendor}: published editions are guarded by Python and by"
                " their chain of digests, not by triggers.",
                hint="Use PostgreSQL or SQLite for the full guarantee.",
                id="agreement.W003",
            )
        elif triggers.expected(connection):
            for name in triggers.missing(connection, apps.get_model):
                yield Error(
                    f"The trigger {name!r} that seals published editions is missing, disabled or altered.",
                    hint="Run manage.py migrate, which reinstalls it, then manage.py verify_editions.",
                    id="agreement.E007",
                )


def _paces(written: object) -> Iterable[CheckMessage]:
    if not isinstance(written, dict):
        yield _wrong("PACE", written, 'must be like {"email": ("2500/h", "20000/d")}')
        return
    for channel, caps in written.items():
        try:
            if not _is(caps, tuple):
                raise ValueError
            pace.limits(caps)
        except ValueError as error:
            yield _wrong("PACE", {channel: caps}, str(error).rstrip(".") or 'must be like {"email": ("2500/h",)}')


def _channels(paths: object) -> Iterable[CheckMessage]:
    """What each channel says of its settings; two of one name would share a ledger."""
    found = [import_string(path)() for path in paths] if _is(paths, tuple) else []  # type: ignore[attr-defined]
    hint = "Correct the channel, or take it out of CHANNELS."
    for channel in found:
        for fault in channel.faults():
            yield Error(f"The channel {channel.name!r}: {fault}", hint=hint, id="agreement.E009")
    for name in {channel.name for channel in found if [one.name for one in found].count(channel.name) > 1}:
        yield Error(f"Two channels are called {name!r}.", hint=hint, id="agreement.E009")


def _instant(written: str) -> bool:
    try:
        return not written or datetime.fromisoformat(written).tzinfo is not None
    except (TypeError, ValueError):
        return False


def _is(value: object, kind: type) -> bool:
    if kind is tuple:
        return isinstance(value, (tuple, list)) and all(isinstance(item, str) for item in value)
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _wrong(key: str, value: object, why: str) -> Error:
    return Error(f'AGREEMENT["{key}"] is {value!r}, but {why}.', hint="Correct or remove it.", id="agreement.E002")
