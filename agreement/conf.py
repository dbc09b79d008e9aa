"""The app's settings: one dict, ``AGREEMENT``, read at call time so that tests may override it.

Keys are the attributes of :class:`Conf` in capitals. Every key has a default; an unknown key is the
system-check error ``agreement.E001``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.db.models import F, Model, QuerySet
from django.db.models.expressions import Combinable
from django.utils.module_loading import import_string

from agreement import pace

#: The languages every edition is written in, the first being the one the base columns mirror.
LANGUAGES = ("kk", "ru")


@dataclass(frozen=True, slots=True, kw_only=True)
class Conf:
    """``settings.AGREEMENT`` with its defaults."""

    BASE_URL: str = ""
    """Scheme and host of the site, ``"https://portal.example.kz"``: makes the addresses in mails absolute.
    Notices are not sent while it is empty."""

    USER_EMAIL: str | Combinable = ""
    """Where a user's address is: a field path (``"profile__mail"``) or an ORM expression.
    Default: the user model's ``EMAIL_FIELD``."""

    USER_LANGUAGE: str | Combinable | None = None
    """Where a user's language is: a field path or an ORM expression giving ``"kk"``, ``"ru"``, ``"kk-KZ"``…
    ``None`` or an unknown value: notices go out in Kazakh, then Russian, in one mail."""

    USER_ACTIVE_AT: str | Combinable | None = "last_login"
    """Where the moment of a user's last activity is: a field path or an ORM expression. Who was active last is told
    first. ``None``, or a field the user model lacks: in the order of keys."""

    AUDIENCE: str = "agreement.audience.active_users"
    """Dotted path of a callable without arguments that gives the users to be told, as a ``QuerySet``."""

    NOTICE_DELAY: timedelta = timedelta(minutes=10)
    """A breath after publishing or cancelling, as a ``timedelta``: no notice leaves before it has passed, so that
    somebody can still hold it. The audience is written meanwhile. ``timedelta(0)``: at once."""

    REMINDER_DAYS: int = 0
    """Days before its effect on which users are reminded of an announced edition. 0: never."""

    CHANNELS: tuple[str, ...] = ("agreement.channels.EmailChannel",)
    """Dotted paths of the channels every notice goes out by."""

    PACE: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Caps by channel, ``{"email": ("2500/h", "20000/d")}``: a number a s, min, h or d. Each holds in every rolling
    window of its length, over all workers and notices. Default: as fast as the server takes them."""

    HOLD: bool = False
    """Send nothing, write no audience. For a database that was restored: hold until a person has compared the ledger
    with the mail server's log (``agreement.dispatch.reconcile()``)."""

    ENQUEUE: str | None = "agreement.tasks.enqueue"
    """Dotted path of the callable that is called after the commit that created notices.
    ``None``: nothing is called, and ``deliver_notices --watch`` finds the work by itself."""

    SENDERS: int = 1
    """How many tasks share the sending of what is due: as many as the engine has workers to spare."""

    FROM_EMAIL: str = ""
    """The ``From`` address of notices. Default: ``DEFAULT_FROM_EMAIL``."""

    REPLY_TO: str = ""
    """The ``Reply-To`` address of notices. Default: none."""

    MAIL_CONNECTION: Mapping[str, Any] = field(default_factory=dict)
    """Before Django 6.1: arguments of ``get_connection()`` for a mail server of the notices' own, ``{"host": …}``."""

    MAILER: str = "default"
    """Alias in Django's ``MAILERS`` (6.1 and later) of the mail server for notices."""

    TIME_ZONE: str = ""
    """Zone of a new agreement's dates, ``"Asia/Almaty"``. Default: the site's ``TIME_ZONE``."""

    PREVAILING_LANGUAGE: str = ""
    """What a new draft states: ``"kk"``, ``"ru"`` or ``""`` (none stated)."""

    NOTICE_DAYS: int = 0
    """What a new draft states: days between the publication of the *next* edition and its effect."""

    RETENTION_YEARS: int = 3
    """What a new draft states: years personal data is kept after the agreement with a user ends."""

    SHOW_SCHEDULED: bool = True
    """Are editions public before they take effect? Then they are announced as such."""

    PAGE_SECONDS: int = 60
    """Seconds a process may reuse a rendered page while nothing is published: how old, at most, the frame is that the
    site's own base template puts around the text. 0: every page is rendered for its request."""

    PSEUDONYM_KEYS: Mapping[str, str] = field(default_factory=dict)
    """Secrets by id, ``{"2026": "64 random characters"}``: under them what a user joined and was told is found when
    the account is gone, and the ledger keeps a digest of each address it wrote to, never the address. The first
    writes, all read. Not ``SECRET_KEY``, which is changed now and then. Empty: nobody is found, no digest is kept."""

    CONSENTS: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Consents to data that users are asked for, apart from joining, each in both languages:
    ``{"registration": {"kk": "…", "ru": "…"}}``. Other words are asked about anew."""

    RECORD_IP: bool = False
    """Is the address a user joined from recorded?"""

    RECORD_USER_AGENT: bool = False
    """Is the name of the browser a user joined with recorded?"""

    TRUSTED_PROXIES: int = 0
    """How many proxies of the site's own each request comes through, every one of which adds to
    ``X-Forwarded-For``. 0: the header is not looked at."""

    JOIN_BEFOREHAND: bool = False
    """May users join an announced edition before it takes effect?"""

    EXEMPT: tuple[str, ...] = ()
    """What stays reachable for a user who has not joined, besides what always does: names of views
    (``"health"``, ``"api:status"``), namespaces (``"accounts:"``) or paths (``"/healthz"``, ``"/media/"``)."""

    EXEMPT_STAFF: bool = False
    """Do staff go in without joining?"""

    DATABASE_AWAY: str = "read"
    """What the middleware lets through when the database does not answer: ``"read"`` (GET and the like),
    ``"all"`` or ``"none"``."""

    FOUR_EYES: bool = False
    """Must somebody else publish than the one who wrote the draft last?"""

    LINT_RULES: tuple[str, ...] = ()
    """Dotted paths of further lint rules: callables from ``agreement.text.lint.Texts`` to messages."""

    LINT_SILENCED: tuple[str, ...] = ()
    """Ids of warnings the lint does not give, ``"agreement.L017"``. Errors can't be silenced."""

    PRIVATE_ROOT: str = ""
    """Folder for scans of applications, outside ``MEDIA_ROOT`` and every other folder that is served. Empty: none can
    be kept."""

    FILE_WITHDRAWALS: str = ""
    """What it does when a user withdraws consent on the site: ``"suspended"`` or ``"ended"``. Empty: withdrawing is by
    written application alone, which an officer registers."""

    CLOSED_AT: str = ""
    """When the site was closed for good, ``"2030-01-01T00:00:00+05:00"``: terms of retention that had not begun run
    from then."""

    DATA_LOCATION: str = ""
    """Where the database and its backups stand, and who decided it, in words: ``"Astana; order No 12 of 2026"``."""

    TIMESTAMP_AUTHORITY: str = ""
    """Address of an RFC 3161 authority, ``"https://tsa.example.kz"``, that ``stamp_editions`` asks to stamp the digest
    of every edition. Default: none is asked."""

    TIMESTAMP_CERTIFICATES: str = ""
    """Path of a PEM file with that authority's root certificates: a stamp they do not vouch for is not kept."""


#: The names ``settings.AGREEMENT`` may hold.
KEYS = tuple(one.name for one in fields(Conf))


def stored() -> Mapping[str, Any]:
    """What the site wrote, unchecked; anything but a mapping counts as empty and is named by a check."""
    value = getattr(settings, "AGREEMENT", {})
    return value if isinstance(value, Mapping) else {}


def get() -> Conf:
    """The settings in force now; unknown keys are left to ``agreement.E001``. Made anew when any of them changes:
    this is asked several times a request and once a letter.
    """
    global _last
    value = stored()
    if _last is None or _last[0] != value:
        _last = {**value}, Conf(**{key: value for key, value in value.items() if key in KEYS})
    return _last[1]


_last: tuple[Mapping[str, Any], Conf] | None = None


def lint() -> dict[str, Any]:
    """What the site adds to ``agreement.text.lint.lint()``, and silences in it."""
    return {"rules": [import_string(path) for path in get().LINT_RULES], "silenced": get().LINT_SILENCED}


def audience() -> QuerySet[Model]:
    """The users to be told, as the site defines them; ``ImproperlyConfigured`` if that is no plain queryset."""
    path = get().AUDIENCE
    give: Callable[[], Any] = import_string(path)
    users = give()
    if not isinstance(users, QuerySet) or users.model is not get_user_model():
        msg = f'AGREEMENT["AUDIENCE"] {path!r} gives {users!r:.80}, which is no queryset of users.'
        raise ImproperlyConfigured(msg)
    if users.query.is_sliced or users.query.combinator:
        msg = f'AGREEMENT["AUDIENCE"] {path!r} gives a slice or a union; wrap it: filter(pk__in=users.values("pk")).'
        raise ImproperlyConfigured(msg)
    return users


def user_email() -> Combinable:
    """An expression on the user model that gives the address."""
    where = get().USER_EMAIL or getattr(get_user_model(), "EMAIL_FIELD", "") or "email"
    return F(where) if isinstance(where, str) else where


def user_language() -> Combinable | None:
    """An expression on the user model that gives the language, if the site knows it."""
    where = get().USER_LANGUAGE
    return F(where) if isinstance(where, str) and where else (where or None)


def user_active_at() -> Combinable | None:
    """An expression on the user model that gives the moment of the last activity, if the site knows it."""
    where = get().USER_ACTIVE_AT
    if where == Conf().USER_ACTIVE_AT and where not in {field.name for field in get_user_model()._meta.fields}:
        return None
    return F(where) if isinstance(where, str) and where else (where or None)


def notice_language(value: object) -> str:
    """The language of a user's notice: ``kk``, ``ru``, or ``mul`` (ISO 639-2: several) when unknown."""
    code = str(value or "").replace("_", "-").partition("-")[0].lower()
    return code if code in LANGUAGES else "mul"


def limits(channel: str) -> tuple[pace.Cap, ...]:
    """The caps of a channel, as ``agreement.pace`` reads them."""
    return pace.limits(get().PACE.get(channel, ()))


def from_email() -> str:
    """The address notices come from."""
    return get().FROM_EMAIL or settings.DEFAULT_FROM_EMAIL


def time_zone() -> str:
    """The name of the zone a new agreement's dates are in."""
    return get().TIME_ZONE or settings.TIME_ZONE


def prevailing_language() -> str:
    """A new draft's ``prevailing_language``."""
    return get().PREVAILING_LANGUAGE


def notice_days() -> int:
    """A new draft's ``notice_days``."""
    return get().NOTICE_DAYS


def retention_years() -> int:
    """A new draft's ``retention_years``."""
    return get().RETENTION_YEARS


def closed_at() -> datetime | None:
    """When the site was closed for good, if it was."""
    written = get().CLOSED_AT
    return datetime.fromisoformat(written) if written else None
