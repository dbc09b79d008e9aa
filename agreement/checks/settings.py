"""Checks of ``settings.AGREEMENT``: the names, types and values of the settings, and what their dotted paths name."""

from __future__ import annotations

import base64
import difflib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from email.utils import parseaddr
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own name
from django.core.exceptions import FieldDoesNotExist, FieldError
from django.core.validators import slug_re
from django.db import connections
from django.db.models import F, ForeignObjectRel
from django.db.models.constants import LOOKUP_SEP
from django.utils.module_loading import import_string

from agreement import conf
from agreement.models import Agreement, log_records, rate_limits
from agreement.models.errors import MAX_STATED
from agreement.text import consent, languages

#: Settings that contain one dotted path, or several. ``AUDIENCES`` contains one for each slug.
DOTTED_PATHS, LISTS_OF_PATHS = ("ACTING_AS", "AUDIENCE", "ENQUEUE", "SIGNATURE_VERIFIER"), ("CHANNELS", "LINT_RULES")
#: The smallest and the largest value of a number. What a draft states has the limits of an edition.
RANGES = {
    "NOTICE_DAYS": (0, MAX_STATED["notice_days"]),
    "GRACE_DAYS": (0, MAX_STATED["grace_days"]),
    "RETENTION_YEARS": (0, MAX_STATED["retention_years"]),
    "REMINDER_DAYS": (0, MAX_STATED["notice_days"]),
    "SENDERS": (1, 1000),
    "REPLY_DAYS": (1, 366),
}
#: Maps the former name of a setting to its new name. A search for similar names would suggest another setting.
RENAMED = {"HOLD": "SENDING_SUSPENDED", "PACE": "RATE_LIMITS", "JOIN_BEFOREHAND": "ACCEPT_ANNOUNCED"}
#: The settings that are texts. A text with choices is checked by its choices.
_TEXTS = [one.name for one in fields(conf.Conf) if one.type == "str"]
#: The texts that may also be path objects.
_PATHS = {"PRIVATE_ROOT", "TIMESTAMP_CERTIFICATES"}
#: The value of ``ENQUEUE`` that needs Celery. Without Celery, the path names nothing.
CELERY = "agreement.tasks.enqueue_celery"
#: The settings that state where a value of a user is, each with the function that returns it as an expression.
USER_VALUES = {
    "USER_EMAIL": conf.user_email,
    "USER_PHONE": conf.user_phone,
    "USER_LANGUAGE": conf.user_language,
    "USER_ACTIVE_AT": conf.user_active_at,
}
CHOICES = {
    "PREVAILING_LANGUAGE": (*languages.LANGUAGES, ""),
    "DATABASE_AWAY": ("read", "all", "none"),
    "FILE_WITHDRAWALS": ("suspended", "ended", ""),
}


def check_settings(app_configs: Sequence[AppConfig] | None, **kwargs: object) -> Iterable[CheckMessage]:
    """Check the settings of the app. If ``settings.AGREEMENT`` is not a dict, nothing else is checked. If a setting
    that must be a text is something else, only names and types are checked. If dotted paths can't be imported, only the
    first of them is reported, and the channels are not checked; all other values are.
    """
    stored = getattr(settings, "AGREEMENT", {})
    if not isinstance(stored, dict):
        yield Error(
            f"AGREEMENT is {stored!r}, which is not a dict.",
            hint='Write AGREEMENT = {"BASE_URL": "https://portal.example.kz"}.',
            id="agreement.E002",
        )
        return
    yield from _check_names_and_types(stored)
    now = conf.get()
    if not all(_is_text(name, getattr(now, name)) for name in _TEXTS):
        return
    yield from _check_values(now)
    yield from _check_user_values(now)
    yield from _check_pseudonym_keys(now.PSEUDONYM_KEYS)
    yield from _check_consents(now.CONSENTS)
    yield from _check_audiences(now.AUDIENCES)
    yield from _check_base_url(now.BASE_URL)
    yield from _check_site_name(now.SITE_NAME)
    yield from _check_private_root(now.PRIVATE_ROOT)
    yield from _check_time_stamps(now)
    yield from _check_log(now)
    yield from _check_signatures(now)
    yield from _check_celery(now)
    yield from _check_rate_limits(now.RATE_LIMITS)
    not_importable = list(_check_dotted_paths(now))
    yield from not_importable or _check_channels(now.CHANNELS)


def check_slugs(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **kwargs: object
) -> Iterable[CheckMessage]:
    """Check that these databases, which are given by alias (``None``: none), have an agreement for each slug in
    ``AUDIENCES``, and for ``DEFAULT_AGREEMENT``. A slug of no agreement gives a warning. A database without agreements,
    or without their table, gives nothing: the site may name a slug before it loads the first agreement.

    For each database 2 queries; none if both settings are empty or of a wrong type.
    """
    audiences, default = conf.get().AUDIENCES, conf.get().DEFAULT_AGREEMENT
    named = [("AUDIENCES", slug) for slug in (audiences if isinstance(audiences, dict) else ())]
    named += [("DEFAULT_AGREEMENT", default)] if default and isinstance(default, str) else []
    for alias in (databases or ()) if named else ():
        if Agreement._meta.db_table not in connections[alias].introspection.table_names():
            continue
        slugs = sorted(Agreement.objects.using(alias).values_list("slug", flat=True))
        for key, slug in named if slugs else ():
            if slug not in slugs:
                near = difflib.get_close_matches(str(slug), slugs, n=1, cutoff=0.4)
                yield Warning(
                    f'AGREEMENT["{key}"] names {slug!r}, which is not the slug of an agreement in the database'
                    f" {alias!r}.",
                    hint=f"Did you mean {near[0]!r}?" if near else f"The slugs are: {', '.join(slugs)}.",
                    id="agreement.W051",
                )


def _check_names_and_types(stored: Mapping[str, object]) -> Iterator[CheckMessage]:
    types = {one.name: type(one.default) for one in fields(conf.Conf)}
    for key in stored:
        if key not in conf.KEYS:
            yield Error(f"AGREEMENT has no setting {key!r}.", hint=_hint_for_unknown(key), id="agreement.E001")
    for name in _TEXTS:
        if not _is_text(name, stored.get(name)):
            yield _wrong(name, stored[name], "must be a text")
    for key, value in stored.items():
        if key in types and types[key] in (bool, int, tuple, timedelta) and not _has_type(value, types[key]):
            yield _wrong(key, value, f"must be of type {types[key].__name__}")


def _hint_for_unknown(key: str) -> str:
    if key in RENAMED:
        return f"It is called {RENAMED[key]!r} now."
    near = difflib.get_close_matches(str(key).upper(), conf.KEYS, n=1, cutoff=0.4)
    return f"Did you mean {near[0]!r}?" if near else f"The settings are: {', '.join(conf.KEYS)}."


def _check_values(now: conf.Conf) -> Iterator[CheckMessage]:
    """Check the ranges of numbers, with a warning of more ``REPLY_DAYS`` than the law gives; the settings with choices;
    ``NOTICE_DELAY`` and ``CLOSED_AT``; the slug ``DEFAULT_AGREEMENT``; and the mail addresses ``FROM_EMAIL``,
    ``REPLY_TO`` and ``VERP``.
    """
    for key, (least, most) in RANGES.items():
        value = getattr(now, key)
        if _has_type(value, int) and not least <= value <= most:
            yield _wrong(key, value, f"must be between {least} and {most}")
    if now.DEFAULT_AGREEMENT and not slug_re.match(now.DEFAULT_AGREEMENT):
        yield _wrong("DEFAULT_AGREEMENT", now.DEFAULT_AGREEMENT, 'must be a slug, like "user-agreement"')
    if _has_type(now.TRUSTED_PROXIES, int) and now.TRUSTED_PROXIES < 0:
        yield _wrong("TRUSTED_PROXIES", now.TRUSTED_PROXIES, "must not be negative")
    if _has_type(now.NOTICE_DELAY, timedelta) and not timedelta() <= now.NOTICE_DELAY <= timedelta(days=1):
        yield _wrong("NOTICE_DELAY", now.NOTICE_DELAY, "must be between 0 and 1 day")
    if _has_type(now.REPLY_DAYS, int) and 15 < now.REPLY_DAYS <= RANGES["REPLY_DAYS"][1]:
        yield Warning(
            f'AGREEMENT["REPLY_DAYS"] is {now.REPLY_DAYS!r}, but the law of Kazakhstan gives 15 days.',
            hint="Use 15 or less, or silence this warning if another law applies to the site.",
            id="agreement.W006",
        )
    for key, choices in CHOICES.items():
        if getattr(now, key) not in choices:
            names = [f'"{choice}"' for choice in choices]
            yield _wrong(key, getattr(now, key), f"must be {', '.join(names[:-1])} or {names[-1]}")
    if not _is_instant(now.CLOSED_AT):
        yield _wrong("CLOSED_AT", now.CLOSED_AT, 'must be like "2030-01-01T00:00:00+05:00"')
    for key in ("FROM_EMAIL", "REPLY_TO"):
        if getattr(now, key) and parseaddr(getattr(now, key))[1].count("@") != 1:
            yield _wrong(key, getattr(now, key), "is not an address")
    if now.VERP and not re.fullmatch(r"[A-Za-z0-9._-]{1,24}@[^@\s<>,]+", str(now.VERP)):
        yield _wrong(
            "VERP", now.VERP, 'must be like "bounces@portal.example.kz", with at most 24 characters before the @'
        )


def _check_user_values(now: conf.Conf) -> Iterator[CheckMessage]:
    """Check that a query of the user model can contain the expressions of ``USER_VALUES``, and that they follow no
    relation by which a user has several rows, because such a user would have several addresses or languages. An empty
    setting is not checked: its default may be absent from the user model. No query is made.
    """
    for key, expression in USER_VALUES.items():
        value = getattr(now, key)
        found = expression() if value else None
        if found is None:
            continue
        try:
            query = get_user_model()._base_manager.annotate(agreement_value=found).query
        except (FieldError, TypeError) as error:
            problem = next(filter(None, map(_missing_field, _paths(found))), str(error).rstrip("."))
            yield _wrong(key, value, f"can't be read from the user model ({problem})")
            continue
        for join in query.alias_map.values():
            relation = getattr(join, "join_field", None)  # A table itself has none.
            if isinstance(relation, ForeignObjectRel) and relation.multiple:
                one, many = relation.model._meta.label, relation.related_model._meta.label
                yield _wrong(key, value, f"must have one value for each user: {one!r} has several {many!r}")


def _paths(expression: object) -> Iterator[str]:
    """The field paths in an expression."""
    if isinstance(expression, F):
        yield expression.name  # type: ignore[attr-defined]  # The stubs lack it.
    for one in getattr(expression, "get_source_expressions", list)():
        yield from _paths(one)


def _missing_field(path: str) -> str:
    """Return which field of which model a path from the user model lacks; ``""`` if it lacks none. Django's own message
    about a path through a relation names neither.
    """
    model: Any = get_user_model()
    last = ""
    for name in path.split(LOOKUP_SEP):
        if model is None:
            return f"{last!r} is no relation, so {name!r} can't follow it"
        try:
            field = model._meta.pk if name == "pk" else model._meta.get_field(name)
        except FieldDoesNotExist:
            fields_of_model = ", ".join(repr(one.name) for one in model._meta.get_fields())
            return f"{model._meta.label!r} has no field {name!r}. Its fields are: {fields_of_model}"
        model, last = field.related_model, f"{model._meta.label}.{name}"
    return ""


def _check_pseudonym_keys(keys: object) -> Iterator[CheckMessage]:
    """Check that the keys of pseudonyms are a dict of secrets by id, both of them texts. If they are not, nothing else
    is checked. Check that no secret is the ``SECRET_KEY`` or one of ``SECRET_KEY_FALLBACKS``, that each secret has at
    least 32 characters, and that each id has 1 to 32 characters. For each key the first problem is reported.
    """
    if not isinstance(keys, dict) or not all(isinstance(text, str) for pair in keys.items() for text in pair):
        yield _wrong("PSEUDONYM_KEYS", type(keys).__name__, "must be a dict of secrets by id")
        return
    used = {settings.SECRET_KEY, *getattr(settings, "SECRET_KEY_FALLBACKS", ())}
    for name, secret in keys.items():
        if secret in used:
            problem = "is the site's SECRET_KEY"
            hint = "Make another key: it must never change, and it must be stored apart from the SECRET_KEY."
        elif len(secret) < 32:
            problem = "is shorter than 32 characters"
            hint = "Make a longer key: python -c 'import secrets; print(secrets.token_hex())'"
        elif not 0 < len(name) <= 32:
            problem, hint = "has an id that is empty or longer than 32 characters", "Use the year as its id."
        else:
            continue
        yield Error(f'The key {name!r} in AGREEMENT["PSEUDONYM_KEYS"] {problem}.', hint=hint, id="agreement.E020")


def _check_consents(consents: object) -> Iterator[CheckMessage]:
    """Check that each consent has a text in both languages or complete parts (:mod:`agreement.text.consent`), and a
    name of 1 to 64 letters, digits, hyphens and underscores.
    """
    if not isinstance(consents, dict):
        yield _wrong("CONSENTS", consents, 'must be like {"registration": {"kk": "…", "ru": "…"}}')
        return
    for name, texts in consents.items():
        if isinstance(texts, dict) and consent.has_parts(texts):
            for key, problem, hint in consent.faults(texts):
                where = f'AGREEMENT["CONSENTS"][{name!r}]'
                yield Error(f"{where}: {key!r} {problem}.", hint=hint, id="agreement.E024")
        elif not _has_texts(texts):
            yield _wrong("CONSENTS", name, "must have one text in kk, one text in ru, and nothing else")
        if not re.fullmatch(r"[-a-zA-Z0-9_]{1,64}", str(name)):
            yield _wrong("CONSENTS", name, "must be a name of at most 64 letters, digits, - and _")


def _check_audiences(audiences: object) -> Iterator[CheckMessage]:
    """Check that the audiences of agreements are a dict of dotted paths by slug."""
    if not isinstance(audiences, dict) or not all(
        isinstance(slug, str) and slug_re.match(slug) and isinstance(path, str) and path
        for slug, path in audiences.items()
    ):
        yield _wrong("AUDIENCES", audiences, 'must be like {"partner-terms": "portal.users.partners"}')


def _has_texts(value: object) -> bool:
    """Return whether the value is a dict with a text for ``kk`` and one for ``ru``, and nothing else. A text with
    nothing but white space does not count.
    """
    if not isinstance(value, dict) or set(value) != set(languages.LANGUAGES):
        return False
    return all(isinstance(text, str) and text.strip() for text in value.values())


def _check_base_url(url: str) -> Iterator[CheckMessage]:
    if url and not _is_http_address(url):
        yield _wrong("BASE_URL", url, 'must be like "https://portal.example.kz"')
    elif url and urlsplit(url).path.strip("/"):
        yield _wrong("BASE_URL", url, "must end with the host: the addresses of the pages contain their own path")


def _check_site_name(name: object) -> Iterator[CheckMessage]:
    """Check that the name of the site is a text, or a dict with a text for ``kk``, one for ``ru`` and nothing else. The
    texts in a dict must not be empty. No text may have several lines, because headers of mails contain it.
    """
    texts = list(name.values()) if isinstance(name, dict) else [name]
    complete = not isinstance(name, dict) or (set(name) == set(languages.LANGUAGES) and all(texts))
    if not complete or not all(isinstance(text, str) and len(text.splitlines()) < 2 for text in texts):
        yield _wrong("SITE_NAME", name, 'must be one line, or like {"kk": "…", "ru": "…"}')


def _is_http_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:  # For example, the bracket after an IPv6 address is missing.
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _check_private_root(root: str) -> Iterator[CheckMessage]:
    """Check that the folder of scans, if the site has one, is outside ``MEDIA_ROOT``, ``STATIC_ROOT`` and the folders
    of ``STATICFILES_DIRS``, whose files the web server serves.
    """
    if not root:
        return
    entries: list[Any] = list(settings.STATICFILES_DIRS)  # A folder, or a prefix and a folder.
    collected = [entry[-1] if isinstance(entry, (tuple, list)) else entry for entry in entries]
    served = [("MEDIA_ROOT", settings.MEDIA_ROOT), ("STATIC_ROOT", settings.STATIC_ROOT)]
    for name, folder in [*served, *(("STATICFILES_DIRS", entry) for entry in collected)]:
        if folder and Path(root).resolve().is_relative_to(Path(folder).resolve()):
            yield _wrong("PRIVATE_ROOT", str(root), f"is in {name} ({str(folder)!r}), which anybody can read")


def _check_time_stamps(now: conf.Conf) -> Iterator[CheckMessage]:
    if not now.TIMESTAMP_AUTHORITY:
        return
    if not _is_http_address(now.TIMESTAMP_AUTHORITY):
        yield _wrong("TIMESTAMP_AUTHORITY", now.TIMESTAMP_AUTHORITY, 'must be like "https://tsa.example.kz"')
    if not Path(now.TIMESTAMP_CERTIFICATES or "").is_file():
        yield _wrong(
            "TIMESTAMP_CERTIFICATES",
            now.TIMESTAMP_CERTIFICATES,
            "is not a file with the root certificates of the authority",
        )
    if find_spec("rfc3161_client") is None:
        yield Error(
            "'rfc3161_client' is not installed, and TIMESTAMP_AUTHORITY needs it.",
            hint=_hint_for_extra("timestamp"),
            id="agreement.E004",
        )
    if not now.LOG_KEY:
        yield Error(
            "TIMESTAMP_AUTHORITY is set, but LOG_KEY is empty: no checkpoint is signed, so none can be stamped.",
            hint="Set LOG_KEY to what `openssl rand -base64 32` prints.",
            id="agreement.E026",
        )


def _check_log(now: conf.Conf) -> Iterator[CheckMessage]:
    """Check the delay of the logs and, if there is a key, that it can sign: its form, the host by which checkpoints
    name the log, and the package. The key is secret, so no message contains it.
    """
    if _has_type(now.LOG_DELAY, timedelta) and now.LOG_DELAY <= log_records.INTERVAL:
        yield _wrong("LOG_DELAY", now.LOG_DELAY, "must be more than 5 minutes, in which acceptances are entered")
    if not now.LOG_KEY:
        return
    if not _is_log_key(now.LOG_KEY):
        yield Error(
            'AGREEMENT["LOG_KEY"] is not 32 bytes in Base64.',
            hint="Make a key: openssl rand -base64 32",
            id="agreement.E025",
        )
    if not now.BASE_URL:
        yield Error(
            'AGREEMENT["LOG_KEY"] is set, but BASE_URL is empty, and its host names the logs.',
            hint='Set BASE_URL, such as "https://portal.example.kz".',
            id="agreement.E025",
        )
    if find_spec("cryptography") is None:
        yield Error(
            "'cryptography' is not installed, and LOG_KEY needs it.",
            hint=_hint_for_extra("log"),
            id="agreement.E004",
        )


def _is_log_key(key: str) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == 32
    except ValueError:
        return False


def _check_signatures(now: conf.Conf) -> Iterator[CheckMessage]:
    if now.SIGNATURE_VERIFIER and find_spec("asn1crypto") is None:
        yield Error(
            "'asn1crypto' is not installed, and SIGNATURE_VERIFIER needs it.",
            hint=_hint_for_extra("signature"),
            id="agreement.E004",
        )


def _check_celery(now: conf.Conf) -> Iterator[CheckMessage]:
    if now.ENQUEUE == CELERY and find_spec("celery") is None:
        yield Error(
            "'celery' is not installed, and ENQUEUE needs it.",
            hint=_hint_for_extra("celery"),
            id="agreement.E004",
        )


def _check_rate_limits(limits_by_channel: object) -> Iterator[CheckMessage]:
    if not isinstance(limits_by_channel, dict):
        yield _wrong("RATE_LIMITS", limits_by_channel, 'must be like {"email": ("2500/h", "20000/d")}')
        return
    for channel, limits in limits_by_channel.items():
        try:
            if not _has_type(limits, tuple):
                raise ValueError
            rate_limits.parse_all(limits)
        except ValueError as error:
            problem = str(error).rstrip(".") or 'must be like {"email": ("2500/h",)}'
            yield _wrong("RATE_LIMITS", {channel: limits}, problem)


def _check_dotted_paths(now: conf.Conf) -> Iterator[CheckMessage]:
    """Report the first dotted path, in the settings that contain such paths, that can't be imported; nothing if all can
    be. A path that needs Celery is left out if Celery is missing, because :func:`_check_celery` reports that.
    """
    absent = CELERY if find_spec("celery") is None else None
    paths = [(key, path) for key in DOTTED_PATHS if (path := getattr(now, key)) and path != absent]
    for key in LISTS_OF_PATHS:
        paths += [(key, path) for path in getattr(now, key)] if _has_type(getattr(now, key), tuple) else []
    audiences = now.AUDIENCES.values() if isinstance(now.AUDIENCES, dict) else ()
    paths += [("AUDIENCES", path) for path in audiences if isinstance(path, str) and path]
    for key, path in paths:
        try:
            import_string(path)
        except (ImportError, AttributeError, TypeError) as error:
            yield _wrong(key, path, f"can't be imported ({error})")
            return


def _check_channels(paths: tuple[str, ...]) -> Iterator[CheckMessage]:
    """Report the sentences that the method ``faults()`` of each channel returns, and channels with the same name, which
    would share their deliveries.
    """
    channels = [import_string(path)() for path in paths] if _has_type(paths, tuple) else []
    hint = "Correct the channel, or remove it from CHANNELS."
    for channel in channels:
        for fault in channel.faults():
            yield Error(f"The channel {channel.name!r}: {fault}", hint=hint, id="agreement.E009")
    names = [channel.name for channel in channels]
    for name in {name for name in names if names.count(name) > 1}:
        yield Error(f"Two channels are called {name!r}.", hint=hint, id="agreement.E009")


def _is_instant(text: str) -> bool:
    """Return whether the text is empty, or an instant in ISO 8601 with a UTC offset."""
    try:
        return not text or datetime.fromisoformat(text).tzinfo is not None
    except (TypeError, ValueError):
        return False


def _has_type(value: object, kind: type) -> bool:
    if kind is tuple:
        return isinstance(value, (tuple, list)) and all(isinstance(item, str) for item in value)
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _is_text(name: str, value: object) -> bool:
    """Return whether this value of the setting with that name, one of ``_TEXTS``, counts as a text: a string, or
    ``None``. For a setting of ``_PATHS`` a path object does too. For a setting of ``CHOICES`` any value does, because
    :func:`_check_values` compares it with the choices.
    """
    kinds: tuple[type, ...] = (str, os.PathLike) if name in _PATHS else (str,)
    return value is None or name in CHOICES or isinstance(value, kinds)


def _hint_for_extra(name: str) -> str:
    # "agreement" alone is the name of another project on PyPI.
    return f'Install the extra, from where the app was installed: pip install "/path/to/clone[{name}]".'


def _wrong(key: str, value: object, problem: str) -> Error:
    return Error(
        f'AGREEMENT["{key}"] is {value!r}, but {problem}.', hint="Correct or remove the setting.", id="agreement.E002"
    )
