"""The app's settings: one dict, ``AGREEMENT``. It is read at call time, so that tests may override it.

Its keys are the attributes of :class:`Conf`. Every key has a default; an unknown key is the system-check error
``agreement.E001``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from email.utils import parseaddr
from typing import Any
from urllib.parse import urlsplit

from django.apps import apps
from django.conf import settings
from django.conf.locale import LANG_INFO
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.db.models import F, Model, QuerySet, Value
from django.db.models.expressions import Combinable
from django.utils.module_loading import import_string
from django.utils.translation import get_language

from agreement import memory

__all__ = ["get", "user_email", "user_phone"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conf:
    """``settings.AGREEMENT`` with its defaults."""

    BASE_URL: str = ""
    """Scheme and host of the site, ``"https://portal.example.kz"``, for absolute addresses in mails, pages, feeds and
    the sitemap. While it is empty, notices are not mailed, editions have no PDF, and pages use the host of the request
    and are not remembered."""

    SITE_NAME: str | Mapping[str, str] = ""
    """The name of the site in mails, as one text or by language: ``{"kk": "Портал", "ru": "Портал"}``. Default: the
    name of the current site of ``django.contrib.sites`` or, without that app, the host of ``BASE_URL``."""

    DEFAULT_AGREEMENT: str = ""
    """The slug of the agreement that the template tags mean if they name none, ``"user-agreement"``. Empty: the site's
    only agreement."""

    USER_EMAIL: str | Combinable = ""
    """Where a user's mail address is: a field path (``"profile__mail"``) or an ORM expression.
    Default: the user model's ``EMAIL_FIELD``, or ``email`` if the model names no such field."""

    USER_PHONE: str | Combinable = ""
    """Where a user's telephone number is, for a channel of the site that sends text messages: a field path
    (``"profile__phone"``) or an ORM expression. Empty: no user has one."""

    USER_LANGUAGE: str | Combinable | None = None
    """Where a user's language is: a field path or an ORM expression that gives ``"kk"``, ``"ru"``, ``"kk-KZ"``, or the
    name of the language. ``None`` or an unknown value: notices are sent in Kazakh, then Russian, in one mail."""

    USER_ACTIVE_AT: str | Combinable | None = "last_login"
    """Where the moment of a user's last activity is: a field path or an ORM expression. The most recently active users
    are notified first. If it is ``None``, or if the user model lacks the default field, users are notified in the order
    of their primary keys."""

    AUDIENCE: str = "agreement.notices.audience.active_users"
    """Dotted path of a callable without arguments that returns the users to notify, as a ``QuerySet`` that is neither a
    slice nor a union. Default: the users with ``is_active``."""

    AUDIENCES: Mapping[str, str] = field(default_factory=dict)
    """Whom an agreement binds, by its slug, ``{"partner-terms": "portal.users.partners"}``: dotted paths of callables
    without arguments that return users as ``AUDIENCE`` does. Other users are not asked to accept it, not notified of it
    and not counted. An agreement that is not named binds every user."""

    NOTICE_DELAY: timedelta = timedelta(minutes=10)
    """How long a notice waits at least after a publication, a cancellation or the announcement of a breach, as a
    ``timedelta``. Until then no message is sent, so a person can pause the notice before the first one. The audience is
    written in the meantime. ``timedelta(0)``: no delay."""

    REMINDER_DAYS: int = 0
    """How many days before an announced edition takes effect users are reminded of it. 0: never. An edition for which
    the reminder would not be due after its first notice gets none."""

    CHANNELS: tuple[str, ...] = ("agreement.notices.channels.EmailChannel",)
    """Dotted paths of the channels by which every notice is sent."""

    RATE_LIMITS: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Rate limits of notices by channel, ``{"email": ("2500/h", "20000/d")}``: messages per s, min, h or d. Each
    applies to every rolling window of its length, over all workers and notices. Default: as fast as the server accepts
    messages."""

    SENDING_SUSPENDED: bool = False
    """If true, no notices and no replies are sent, and workers write no audience. Set it for a restored database, until
    a person has compared the ledger with the mail server's log by ``agreement.notices.dispatch.reconcile()``, which
    writes the missing deliveries."""

    ENQUEUE: str | None = "agreement.tasks.enqueue"
    """Dotted path of a callable without arguments, which starts the sending: by Django's Tasks, or by Celery with
    ``agreement.tasks.enqueue_celery``. It is called after each commit that
    created or resumed a notice, let deliveries be sent again, or registered the withdrawal of a user, whose reply is
    mailed. ``None``: nothing is called, and ``deliver_notices --watch`` finds the work."""

    SENDERS: int = 1
    """How many tasks the two functions for ``ENQUEUE`` start, which then send at the same time. Set it to the number of
    free workers of the task engine."""

    FROM_EMAIL: str = ""
    """The ``From`` address of notices and of replies to withdrawals. Default: ``DEFAULT_FROM_EMAIL``. If the address
    has no display name, the name of the site is added."""

    REPLY_TO: str = ""
    """The ``Reply-To`` address of notices and of replies to withdrawals. Default: none."""

    VERP: str = ""
    """The address to which mail servers return notices, ``"bounces@portal.example.kz"``. A token is added to it for
    each letter, ``bounces+12-3f…@portal.example.kz``, by which ``record_bounces`` finds the letter; no other returned
    letter is then recorded by this command. Empty: notices are returned to their ``From`` address, without a token."""

    MAIL_CONNECTION: Mapping[str, Any] = field(default_factory=dict)
    """Before Django 6.1: arguments of ``get_connection()`` for the mail server of notices and of replies to
    withdrawals, ``{"host": …}``. Empty: the mail server of the site."""

    MAILER: str = "default"
    """Alias in Django's ``MAILERS`` (6.1 and later) of the mail server for notices and replies to withdrawals."""

    TIME_ZONE: str = ""
    """The time zone of a new agreement, ``"Asia/Almaty"``, and of the moments in lists that are about several
    agreements. Default: the site's ``TIME_ZONE``."""

    PREVAILING_LANGUAGE: str = ""
    """The prevailing language of a new draft: ``"kk"``, ``"ru"`` or ``""`` (none stated). A draft that takes over
    the values of an edition does not use it."""

    NOTICE_DAYS: int = 0
    """What a new draft promises: the least number of days between the publication of the *next* edition and its effect.
    A draft that takes over the values of an edition does not use it."""

    GRACE_DAYS: int = 0
    """What a new draft states: days after its effect during which an earlier acceptance by confirmation counts. A draft
    that takes over the values of an edition does not use it."""

    RETENTION_YEARS: int = 3
    """What a new draft states: years for which personal data is stored after the agreement with a user ends. A draft
    that takes over the values of an edition does not use it."""

    SHOW_SCHEDULED: bool = True
    """Are editions public before they take effect? If so, the pages state when they take effect. If not, cancelled
    editions are not public either, and the notice of an edition is not due before the edition takes effect."""

    PAGE_SECONDS: int = 60
    """Seconds for which a process may reuse a rendered public page while no edition is published, is cancelled or takes
    effect. The part of the page that comes from the site's base template may be this old. 0: every page is rendered for
    its request."""

    PSEUDONYM_KEYS: Mapping[str, str] = field(default_factory=dict)
    """Secrets by id, ``{"2026": "64 random characters"}``. With them the acceptances, declines, consents, withdrawals
    and deliveries of a deleted account are found, and the ledger stores a digest of each address that a notice was sent
    to, never the address. New rows use the first secret; all secrets are tried when rows are looked up. Do not use
    ``SECRET_KEY``, which is changed from time to time. Empty: after an account is deleted its records are not found,
    and no digest is stored."""

    CONSENTS: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Consents to data processing that users are asked for, separate from acceptance, each in both languages:
    ``{"registration": {"kk": "…", "ru": "…"}}``, or with the parts of ``agreement.text.consent`` in place of the texts.
    If the words change, users who consented to them are asked again."""

    RECORD_IP: bool = False
    """Is the IP address of a user who accepts or declines recorded?"""

    RECORD_USER_AGENT: bool = False
    """Is the browser (``User-Agent``) of a user who accepts or declines recorded?"""

    TRUSTED_PROXIES: int = 0
    """How many of the site's own proxies each request passes; each of them adds to ``X-Forwarded-For``. 0: the header
    is ignored."""

    ACCEPT_ANNOUNCED: bool = False
    """May users accept an announced edition, the next one to take effect, by confirmation before it takes effect? The
    page offers it only if ``SHOW_SCHEDULED`` is true."""

    SEPARATE_ANSWERS: bool = False
    """Does the page that asks about several agreements let a user accept some of them and decline others? If not, one
    answer is about all of them."""

    EXEMPT: tuple[str, ...] = ()
    """Pages that a user who has not accepted can reach, besides those that are always reachable: names of views
    (``"health"``, ``"api:status"``), namespaces (``"accounts:"``) or paths with all that is below them
    (``"/healthz"``, ``"/media/"``)."""

    EXEMPT_STAFF: bool = False
    """May staff use the site without acceptance? If so, no deemed acceptances of staff are recorded either."""

    ACTING_AS: str = ""
    """Dotted path of a callable that takes a request and returns who acts in the name of its user: an account, a name,
    or ``True`` if that is unknown; ``None`` if users act for themselves. While somebody acts in the name of a user,
    nothing is recorded for the user. django-hijack, django-loginas and django-impersonate are recognised without it."""

    DATABASE_AWAY: str = "read"
    """Which requests the middleware lets through when the database is away, and not only busy: ``"read"`` (GET and
    other safe methods), ``"all"`` or ``"none"``."""

    FOUR_EYES: bool = False
    """Must the publisher be an account other than that of the last author of the draft?"""

    LINT_RULES: tuple[str, ...] = ()
    """Dotted paths of further lint rules: callables that take ``agreement.text.lint.Texts`` and return messages."""

    LINT_SILENCED: tuple[str, ...] = ()
    """Ids of warnings that the lint does not report, ``"agreement.L017"``. Errors can't be silenced."""

    PRIVATE_ROOT: str = ""
    """Folder for scans of applications, outside ``MEDIA_ROOT`` and every other folder that is served. Empty: no scan
    can be stored."""

    FILE_WITHDRAWALS: str = ""
    """The effect when a user withdraws consent on the site: ``"suspended"`` or ``"ended"``. Empty: users withdraw only
    by a written application, which an officer registers."""

    REPLY_DAYS: int = 15
    """Calendar days from the receipt of an application to withdraw consent to the last day for the reply."""

    CLOSED_AT: str = ""
    """When the site was closed permanently, ``"2030-01-01T00:00:00+05:00"``: retention terms that had not begun start
    then."""

    DATA_LOCATION: str = ""
    """Where the database and its backups are, and who decided it, in words: ``"Astana; order No 12 of 2026"``."""

    LOG_KEY: str = ""
    """The secret key (Ed25519) that signs the checkpoints of the logs: 32 random bytes in Base64, as ``openssl rand
    -base64 32`` prints them. It needs the extra ``log`` and ``BASE_URL``. Empty: the logs are written all the same, but
    no checkpoint is signed, published, sent or stamped."""

    LOG_DELAY: timedelta = timedelta(hours=1)
    """The longest time from an acceptance or a withdrawal until its entry is in the log. If one waits longer,
    ``agreement_status`` reports it, and if one was entered later, ``verify_editions`` names it. The entries are written
    by ``deliver_notices`` and by the workers of a task engine, every five minutes at most."""

    TIMESTAMP_AUTHORITY: str = ""
    """Address of an RFC 3161 authority, ``"https://tsa.example.kz"``, from which ``stamp_log`` requests time stamps on
    the checkpoints of the logs. It needs ``LOG_KEY``. Default: none."""

    TIMESTAMP_CERTIFICATES: str = ""
    """Path of a PEM file with the root certificates of that authority, and the intermediate certificates that its
    responses lack. A stamp that they do not verify is not stored."""

    SIGNATURE_VERIFIER: str = ""
    """Dotted path of a function that verifies the signature of an official before it is stored. It gets the bytes of
    the manifest and those of the detached CMS signature. It returns who verified what, or nothing, and raises an
    exception if the signature is not valid. Empty: signatures are stored without being verified, and the pages say
    so."""


#: The names that ``settings.AGREEMENT`` may contain.
KEYS = tuple(one.name for one in fields(Conf))


def stored() -> Mapping[str, Any]:
    """``settings.AGREEMENT`` as it is written, without defaults. Empty if it is not set or is not a mapping; a system
    check reports every value that is not a dict.
    """
    value = getattr(settings, "AGREEMENT", {})
    return value if isinstance(value, Mapping) else {}


def get() -> Conf:
    """The present settings. Unknown keys are ignored: ``agreement.E001`` names them. Values are not checked here.

    The result is cached, because it is read several times for each request and once for each message. It is made again
    if ``settings.AGREEMENT`` is no longer equal to the dict from which it was made.
    """
    global _last
    value, last = stored(), _last
    if last is None or last[0] != value:
        last = _last = {**value}, Conf(**{key: value for key, value in value.items() if key in KEYS})
    return last[1]


_last: tuple[Mapping[str, Any], Conf] | None = None


def _clear() -> None:
    global _last
    _last = None


memory.register(__name__, _clear)


def lint_options() -> dict[str, Any]:
    """The keyword arguments ``rules`` (the imported callables) and ``silenced`` for ``lint()``, from the settings
    ``LINT_RULES`` and ``LINT_SILENCED``. Raises ``ImportError`` for a path that can't be imported.
    """
    return {"rules": [import_string(path) for path in get().LINT_RULES], "silenced": get().LINT_SILENCED}


def active_language() -> str:
    """The active language without its region: ``kk``, ``ru``, or another one, for which dates and messages of the lint
    are in English; ``""`` if no language is active (``translation.deactivate_all()``).
    """
    return (get_language() or "").partition("-")[0]


def native_name(language: str, name: str) -> str:
    """The name of the language with the code ``language`` in that language, such as ``Русский``; ``name`` if Django
    does not know the language. Only the first letter is a capital.
    """
    if language == "kk":  # Django names it «Қазақ», which is the name of the people.
        return "Қазақша"
    local: str = LANG_INFO.get(language, {}).get("name_local", name)
    return local.capitalize()


def audience() -> QuerySet[Model]:
    """The users to notify, as ``AUDIENCE`` defines them. The queryset is not evaluated.

    Raises ``ImproperlyConfigured`` if ``AUDIENCE`` does not return a queryset of users, or returns a slice or a union,
    and ``ImportError`` if it can't be imported.
    """
    return _users('AGREEMENT["AUDIENCE"]', get().AUDIENCE)


def bound_users(slug: str) -> QuerySet[Model] | None:
    """The users whom the agreement with that slug binds, as ``AUDIENCES`` defines them; ``None`` if it binds every
    user. The queryset is not evaluated. Raises errors as :func:`audience` does.
    """
    path = get().AUDIENCES.get(slug)
    return _users(f'AGREEMENT["AUDIENCES"][{slug!r}]', path) if path else None


def _users(setting: str, path: str) -> QuerySet[Model]:
    callable_: Callable[[], object] = import_string(path)
    users = callable_()
    if not isinstance(users, QuerySet) or users.model is not get_user_model():
        msg = f"{setting} {path!r} returns {users!r:.80}, which is not a queryset of users."
        raise ImproperlyConfigured(msg)
    if users.query.is_sliced or users.query.combinator:
        msg = f'{setting} {path!r} returns a slice or a union; wrap it: filter(pk__in=users.values("pk")).'
        raise ImproperlyConfigured(msg)
    return users


def user_email() -> Combinable:
    """An expression on the user model for the mail address: ``USER_EMAIL`` or, if it is empty, the field that the user
    model names as its ``EMAIL_FIELD``; ``email`` if it names none.
    """
    source = get().USER_EMAIL or getattr(get_user_model(), "EMAIL_FIELD", "") or "email"
    return F(source) if isinstance(source, str) else source


def user_phone() -> Combinable:
    """An expression on the user model for the telephone number; an empty text if the setting ``USER_PHONE`` is
    empty.
    """
    source = get().USER_PHONE or Value("")
    return F(source) if isinstance(source, str) else source


def user_language() -> Combinable | None:
    """An expression on the user model for the language; ``None`` if the setting ``USER_LANGUAGE`` is ``None`` or
    empty.
    """
    source = get().USER_LANGUAGE
    return F(source) if isinstance(source, str) and source else (source or None)


def user_active_at() -> Combinable | None:
    """An expression on the user model for the moment of the last activity; ``None`` if the setting ``USER_ACTIVE_AT``
    is ``None`` or empty, or if it names the default field, ``last_login``, and the user model lacks that field.
    """
    source = get().USER_ACTIVE_AT
    if source == Conf().USER_ACTIVE_AT and source not in {field.name for field in get_user_model()._meta.fields}:
        return None
    return F(source) if isinstance(source, str) and source else (source or None)


def user_created_at() -> F | None:
    """An expression on the user model for the moment when the account was created, ``date_joined``; ``None`` if the
    user model has no such field.
    """
    return F("date_joined") if any(field.name == "date_joined" for field in get_user_model()._meta.fields) else None


def from_email() -> str:
    """The ``From`` address of notices and of replies to withdrawals: ``FROM_EMAIL`` or, if it is empty, Django's
    ``DEFAULT_FROM_EMAIL``.
    """
    return get().FROM_EMAIL or settings.DEFAULT_FROM_EMAIL


def canonical_language() -> str:
    """The language whose URL is canonical for what is the same in all languages: Kazakh; if the site has no Kazakh
    pages, Russian, or else the default language of the site.
    """
    known = dict(settings.LANGUAGES)
    return next((language for language in ("kk", "ru") if language in known), settings.LANGUAGE_CODE)


def site_name(language: str) -> str:
    """The name of the site in ``kk``, ``ru`` or ``mul`` (both). If ``SITE_NAME`` is a text, it is that text. If
    ``SITE_NAME`` maps languages to texts, it is the text in that language, or ``""`` if there is none; for ``mul``, it
    is all these texts, equal ones once, with slashes between them. If ``SITE_NAME`` is an empty text, it is the name of
    the current site of ``django.contrib.sites``. If that app is not installed, or its site is not set up, it is the
    host of ``BASE_URL``, or ``""`` if there is no host. The only query is that of ``django.contrib.sites``, which
    caches its site.
    """
    name = get().SITE_NAME
    if isinstance(name, Mapping):
        codes = name if language == "mul" else (language,)
        return " / ".join(dict.fromkeys(filter(None, (name.get(code, "") for code in codes))))
    return name or _current_site() or _host(get().BASE_URL)


def _current_site() -> str:
    """The name of the current site of ``django.contrib.sites``. ``""`` if that app is not installed, if there is no
    current site, or if its name is ``example.com``, as the migrations of that app create it.
    """
    if not apps.is_installed("django.contrib.sites"):
        return ""
    from django.contrib.sites.models import Site

    try:
        name: str = Site.objects.get_current().name
    except (ImproperlyConfigured, Site.DoesNotExist):
        return ""
    return "" if name == "example.com" else name


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def sender(language: str) -> str:
    """The ``From`` header of a mail in ``kk``, ``ru`` or ``mul`` (both): the address of :func:`from_email` with its
    display name. If it has no display name, :func:`site_name` is added as one, unless the site has no name.
    """
    name, address = parseaddr(from_email())
    if name or not address or not (name := site_name(language)):
        return from_email()
    quoted = name.replace("\\", r"\\").replace('"', r"\"")
    return f'"{quoted}" <{address}>'


def time_zone() -> str:
    """The name of the default time zone of a new agreement, which is also that of lists that are about several
    agreements: the app's setting ``TIME_ZONE`` or, if it is empty, Django's setting.
    """
    return get().TIME_ZONE or settings.TIME_ZONE


def prevailing_language() -> str:
    """The default of the field ``prevailing_language`` of an edition: the setting ``PREVAILING_LANGUAGE``."""
    return get().PREVAILING_LANGUAGE


def notice_days() -> int:
    """The default of the field ``notice_days`` of an edition: the setting ``NOTICE_DAYS``."""
    return get().NOTICE_DAYS


def grace_days() -> int:
    """The default of the field ``grace_days`` of an edition: the setting ``GRACE_DAYS``."""
    return get().GRACE_DAYS


def retention_years() -> int:
    """The default of the field ``retention_years`` of an edition: the setting ``RETENTION_YEARS``. The erasure uses it
    too, where no edition states a term.
    """
    return get().RETENTION_YEARS


def closed_at() -> datetime | None:
    """When the site was or will be closed permanently; ``None`` if ``CLOSED_AT`` is empty. Raises ``ValueError`` if it
    is not a moment in ISO 8601. Without an offset in the setting the result is naive; a system check reports that.
    """
    text = get().CLOSED_AT
    return datetime.fromisoformat(text) if text else None
