"""A site of django CMS, as its tutorial makes one, with the app installed as ``agreement/docs/install.md`` and
``agreement/docs/djangocms.md`` say.

``HOST_FOLDER`` is where its database and its cache are. ``HOST_VERSIONING`` is ``1`` for a site that also uses
djangocms-versioning.
"""

import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent
FOLDER = Path(os.environ["HOST_FOLDER"])
VERSIONING = os.environ.get("HOST_VERSIONING") == "1"

SECRET_KEY = "host"
DEBUG = os.environ.get("HOST_DEBUG") == "1"
ALLOWED_HOSTS = ["127.0.0.1", "testserver"]
SITE_ID = 1

INSTALLED_APPS = [
    "agreement",
    "agreement.contrib.djangocms",
    "modeltranslation",
    "reversion",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.sites",
    "cms",
    "menus",
    "treebeard",
    "sekizai",
    "djangocms_text",
    *(["djangocms_versioning"] if VERSIONING else []),
]

MIDDLEWARE = [
    "measure.QueryCount",
    "cms.middleware.utils.ApphookReloadMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "agreement.middleware.AgreementMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "cms.middleware.user.CurrentUserMiddleware",
    "cms.middleware.page.CurrentPageMiddleware",
    "cms.middleware.toolbar.ToolbarMiddleware",
    "cms.middleware.language.LanguageCookieMiddleware",
]

ROOT_URLCONF = "urls"
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
                "cms.context_processors.cms_settings",
                "sekizai.context_processors.sekizai",
            ]
        },
    }
]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": FOLDER / "db.sqlite3",
        "OPTIONS": {
            "timeout": 30,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
    }
}
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": str(FOLDER / "cache")}
}

LANGUAGE_CODE = "kk"
LANGUAGES = [("kk", "Қазақша"), ("ru", "Русский")]
MODELTRANSLATION_LANGUAGES = ("kk", "ru")
TIME_ZONE = "Asia/Almaty"
USE_I18N = True
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "/static/"
X_FRAME_OPTIONS = "SAMEORIGIN"
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"

CMS_CONFIRM_VERSION4 = True
# A warning about a class of django CMS itself.
SILENCED_SYSTEM_CHECKS = ["treebeard.E001"]
CMS_TEMPLATES = [("page.html", "Page")]
# A day: only the plugins limit how long a page is stored.
CMS_CACHE_DURATIONS = {"content": 86_400, "menus": 3_600, "permissions": 3_600}

LOGIN_URL = "admin:login"
DEFAULT_FROM_EMAIL = "noreply@portal.example.kz"
# With a key of 32 zero bytes the site also serves a signed log.
AGREEMENT = {"BASE_URL": "https://portal.example.kz", "ENQUEUE": None, "LOG_KEY": "A" * 43 + "="}
