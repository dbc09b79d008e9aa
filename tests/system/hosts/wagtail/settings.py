"""A Wagtail site as its tutorial makes one, with Kazakh and Russian pages, that installs the app by ``docs/install.md``
and ``docs/wagtail.md``.

``HOST_DATABASE`` is the path of its SQLite file, and ``HOST_PURGED`` that of the file in which its cache writes which
addresses it was told to remove. The site caches its pages for ten minutes.
"""

import os
from pathlib import Path

BASE_DIR = Path(__file__).parent
SECRET_KEY = "host"
DEBUG = os.environ.get("HOST_DEBUG") == "1"
ALLOWED_HOSTS = ["*"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ROOT_URLCONF = "urls"
STATIC_URL = "static/"
MEDIA_ROOT = Path(os.environ["HOST_DATABASE"]).parent / "media"
MEDIA_URL = "media/"

INSTALLED_APPS = [
    "agreement",
    "agreement.contrib.wagtail",
    "modeltranslation",
    "reversion",
    "home",
    "wagtail.contrib.frontend_cache",
    "wagtail.contrib.forms",
    "wagtail.contrib.redirects",
    "wagtail.embeds",
    "wagtail.sites",
    "wagtail.users",
    "wagtail.snippets",
    "wagtail.documents",
    "wagtail.images",
    "wagtail.search",
    "wagtail.admin",
    "wagtail",
    "modelcluster",
    "taggit",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]

MIDDLEWARE = [
    "django.middleware.cache.UpdateCacheMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "agreement.middleware.AgreementMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "wagtail.contrib.redirects.middleware.RedirectMiddleware",
    "django.middleware.cache.FetchFromCacheMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ["HOST_DATABASE"],
        "OPTIONS": {
            "timeout": 30,
            "transaction_mode": "IMMEDIATE",
            # Nothing here need outlive a power failure.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;",
        },
        "TEST": {"NAME": os.environ["HOST_DATABASE"] + ".test"},
    }
}

LANGUAGE_CODE = "kk"
LANGUAGES = [("kk", "Қазақша"), ("ru", "Русский"), ("en", "English")]
MODELTRANSLATION_LANGUAGES = ("kk", "ru")
TIME_ZONE = "Asia/Almaty"
USE_TZ = True
LOGIN_URL = "admin:login"
DEFAULT_FROM_EMAIL = "noreply@portal.example.kz"
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
AGREEMENT = {"BASE_URL": os.environ.get("HOST_URL", "http://127.0.0.1:8000"), "ENQUEUE": None}

CACHE_MIDDLEWARE_SECONDS = 600
WAGTAIL_SITE_NAME = "Host"
WAGTAILADMIN_BASE_URL = AGREEMENT["BASE_URL"]
WAGTAILFRONTENDCACHE = {"file": {"BACKEND": "home.cache.FileBackend"}}
