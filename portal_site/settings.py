"""The settings of the portal. Every value that a deployment may change is read from an environment variable."""

import base64
from datetime import timedelta
from pathlib import Path

import django
import environ
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

DEBUG = env.bool("DEBUG", default=True)
HTTPS = env.bool("HTTPS", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="")
if not SECRET_KEY:
    if not DEBUG:
        msg = "SECRET_KEY is empty: with DEBUG=0 the portal needs a secret of its own, 50 random characters."
        raise ImproperlyConfigured(msg)
    SECRET_KEY = "only-for-the-demo-on-this-machine"  # noqa: S105 - refused unless DEBUG is on
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

# modeltranslation and reversion extend the admin, so they come before it.
INSTALLED_APPS = [
    "agreement",
    "modeltranslation",
    "reversion",
    "portal_site",
    "portal_site.apps.PortalAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.sitemaps",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_tasks_db",
    "axes",
    "django_otp",
    "django_otp.plugins.otp_static",
    "django_otp.plugins.otp_totp",
]
MIDDLEWARE = [
    "portal_site.middleware.HeadMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "portal_site.middleware.NotFoundMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "agreement.middleware.AgreementMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "portal_site.urls"
WSGI_APPLICATION = "portal_site.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "portal_site.context_processors.languages",
                "portal_site.context_processors.privacy_policy",
            ]
        },
    }
]

# Database: an SQLite file beside manage.py, or DATABASE_URL.
DATABASE_URL = env.str("DATABASE_URL", default="") or f"sqlite:///{BASE_DIR / 'db.sqlite3'}"
DATABASES = {"default": env.db_url_config(DATABASE_URL)}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # Several processes write. In WAL mode readers and the writer do not block each other. A transaction that takes the
    # write lock when it begins waits for it; otherwise it could fail later.
    DATABASES["default"].setdefault("OPTIONS", {}).update(
        timeout=30,
        transaction_mode="IMMEDIATE",
        init_command="PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    )
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LANGUAGES = [("kk", _("Kazakh")), ("ru", _("Russian")), ("en", _("English"))]
LANGUAGE_CODE = "kk"
MODELTRANSLATION_LANGUAGES = ("kk", "ru")
LOCALE_PATHS = [BASE_DIR / "portal_site" / "locale"]
TIME_ZONE = env.str("TIME_ZONE", default="Asia/Almaty")
USE_TZ = True
# Django has no Kazakh formats of dates.
FORMAT_MODULE_PATH = ["portal_site.formats"]

STATIC_URL = "static/"
# Without STATIC_ROOT, static files are served from their folders, and collectstatic is not needed. With it,
# collectstatic compresses them and adds a digest of its content to the name of each, so that browsers keep them.
STATIC_ROOT = env.str("STATIC_ROOT", default="") or None
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if STATIC_ROOT
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = not STATIC_ROOT
WHITENOISE_AUTOREFRESH = DEBUG
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "home"

# Failed logins. An account or an address is locked for 15 minutes after ten of them. An attempt during the lock does
# not prolong it, so that nobody can lock a publisher out for good. A success deletes no failures: an attacker could log
# in to an account of their own between two attempts. Successes are not recorded, because that personal data has no use.
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = ["username", "ip_address"]
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_CLIENT_IP_CALLABLE = "agreement.acceptance.ip_address"
AXES_LOCKOUT_TEMPLATE = "registration/locked.html"
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False

# Users who may publish need a second factor in the admin.
SECOND_FACTOR = env.bool("SECOND_FACTOR", default=not DEBUG)
OTP_TOTP_ISSUER = env.str("OTP_TOTP_ISSUER", default="Portal")

# Mail is stored in files, which the mailbox page displays. With EMAIL_URL (smtp+tls://user:password@host:587) it is
# sent to a server.
MAILBOX = Path(env.str("MAILBOX", default=str(BASE_DIR / "var" / "mailbox")))
EMAIL_URL = env.str("EMAIL_URL", default="")
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="noreply@portal.example.kz")
_mail = (
    env.email_url("EMAIL_URL")
    if EMAIL_URL
    else {"EMAIL_BACKEND": "portal_site.mailbox.EmailBackend", "EMAIL_FILE_PATH": str(MAILBOX)}
)
# Less than half the lease of a delivery, so that no lease ends while a worker waits for a server.
_mail["EMAIL_TIMEOUT"] = 10
if django.VERSION >= (6, 1):
    _options = {
        "EMAIL_HOST": "host",
        "EMAIL_PORT": "port",
        "EMAIL_HOST_USER": "username",
        "EMAIL_HOST_PASSWORD": "password",
        "EMAIL_USE_TLS": "use_tls",
        "EMAIL_USE_SSL": "use_ssl",
        "EMAIL_TIMEOUT": "timeout",
        "EMAIL_FILE_PATH": "file_path",
    }
    _smtp = _mail["EMAIL_BACKEND"].endswith("smtp.EmailBackend")
    MAILERS = {
        "default": {
            "BACKEND": _mail["EMAIL_BACKEND"],
            "OPTIONS": {
                option: _mail[key]
                for key, option in _options.items()
                if _mail.get(key) and _smtp == (option != "file_path")
            },
        }
    }
else:
    globals().update(_mail)

# Tasks are stored in the database and executed by `manage.py db_worker`. If there is a broker, Celery executes them.
CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default="")
if CELERY_BROKER_URL:
    CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}

AGREEMENT = {
    "BASE_URL": env.str("AGREEMENT_BASE_URL", default="http://127.0.0.1:8000"),
    "DEFAULT_AGREEMENT": "user-agreement",
    "SITE_NAME": {"kk": "Ашық кітапхана", "ru": "Открытая библиотека"},
    "USER_LANGUAGE": "profile__language",
    "FROM_EMAIL": env.str("AGREEMENT_FROM_EMAIL", default=""),
    "REPLY_TO": env.str("AGREEMENT_REPLY_TO", default=""),
    "VERP": env.str("AGREEMENT_VERP", default=""),
    "RATE_LIMITS": {"email": env.tuple("AGREEMENT_RATE_LIMITS", default=())},
    "ENQUEUE": f"agreement.tasks.{'enqueue_celery' if CELERY_BROKER_URL else 'enqueue'}",
    "SENDERS": env.int("AGREEMENT_SENDERS", default=1),
    "SENDING_SUSPENDED": env.bool("AGREEMENT_SENDING_SUSPENDED", default=False),
    # Seconds. A person who tries the demo should not wait long.
    "NOTICE_DELAY": timedelta(seconds=env.int("AGREEMENT_NOTICE_DELAY", default=20 if DEBUG else 600)),
    "REMINDER_DAYS": env.int("AGREEMENT_REMINDER_DAYS", default=0),
    "NOTICE_DAYS": env.int("AGREEMENT_NOTICE_DAYS", default=0),
    "GRACE_DAYS": env.int("AGREEMENT_GRACE_DAYS", default=0),
    "RETENTION_YEARS": env.int("AGREEMENT_RETENTION_YEARS", default=3),
    "PREVAILING_LANGUAGE": env.str("AGREEMENT_PREVAILING_LANGUAGE", default=""),
    "SHOW_SCHEDULED": env.bool("AGREEMENT_SHOW_SCHEDULED", default=True),
    # id=secret,older-id=older-secret
    "PSEUDONYM_KEYS": env.dict(
        "AGREEMENT_PSEUDONYM_KEYS", default={"demo": "only-for-the-demo-and-for-nothing-else"} if DEBUG else {}
    ),
    # 32 bytes in Base64
    "LOG_KEY": env.str(
        "AGREEMENT_LOG_KEY",
        default=base64.b64encode(b"only for the demo, nothing else!").decode() if DEBUG else "",
    ),
    "CONSENTS": {
        "registration": {
            "purpose": {
                "kk": "порталда тіркелу және пайдаланушыларға хабарлама жіберу",
                "ru": "регистрация на портале и отправка уведомлений пользователям",
            },
            # The library does not exist. The number can't exist: a real one has a month. `check --deploy` reports it.
            "operator": {
                "name": {"kk": "«Ашық кітапхана» порталы", "ru": "портал «Открытая библиотека»"},
                "bin": env.str("OPERATOR_BIN", default="000000000000"),
            },
            "data": {
                "kk": ["пайдаланушының аты", "электрондық пошта мекенжайы", "хабарламалардың тілі"],
                "ru": ["имя пользователя", "адрес электронной почты", "язык уведомлений"],
            },
            "term": {
                "kk": "есептік жазба жойылғанға немесе келісім кері қайтарып алынғанға дейін",
                "ru": "до удаления учётной записи или до отзыва согласия",
            },
            "third_parties": False,
            "cross_border": False,
            "publication": False,
        }
    },
    "PRIVATE_ROOT": env.str("AGREEMENT_PRIVATE_ROOT", default=""),
    "FILE_WITHDRAWALS": env.str("AGREEMENT_FILE_WITHDRAWALS", default="ended" if DEBUG else ""),
    "DATA_LOCATION": env.str("AGREEMENT_DATA_LOCATION", default=""),
    "RECORD_IP": env.bool("AGREEMENT_RECORD_IP", default=False),
    "RECORD_USER_AGENT": env.bool("AGREEMENT_RECORD_USER_AGENT", default=False),
    "TRUSTED_PROXIES": env.int("AGREEMENT_TRUSTED_PROXIES", default=0),
}

# Security. Set HTTPS=1 if the portal is served over TLS.
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "SAMEORIGIN"
SESSION_COOKIE_HTTPONLY = True
_CSP = {
    "default-src": ["'self'"],
    "base-uri": ["'none'"],
    "form-action": ["'self'"],
    "frame-ancestors": ["'self'"],
    "object-src": ["'none'"],
}
if django.VERSION >= (6, 0):
    MIDDLEWARE.insert(2, "django.middleware.csp.ContentSecurityPolicyMiddleware")
    SECURE_CSP = _CSP
else:
    MIDDLEWARE.insert(2, "csp.middleware.CSPMiddleware")
    CONTENT_SECURITY_POLICY = {"DIRECTIVES": _CSP}
if HTTPS:
    SECURE_SSL_REDIRECT = True
    SECURE_HSTS_SECONDS = 31_536_000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {"agreement": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")}},
}
