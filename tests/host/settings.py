"""A site that has nothing in common with the portal and only installs the app, in one of two shapes.

``HOST_LANGUAGES``: ``kk,ru``, as the README advises, or ``kk,ru,en``, with a model of the site's own in all three.
"""

import os
from datetime import timedelta
from urllib.parse import urlsplit

from django.db.models import F, Value
from django.db.models.functions import Coalesce

LANGUAGES = [("kk", "Қазақша"), ("ru", "Русский"), ("en", "English")]
MODELTRANSLATION_LANGUAGES = tuple(os.environ["HOST_LANGUAGES"].split(","))
OWN_TRANSLATIONS = "en" in MODELTRANSLATION_LANGUAGES

DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
STATIC_URL = "static/"
SECRET_KEY = "host"
ALLOWED_HOSTS = ["*"]
USE_TZ = True
ROOT_URLCONF = "urls"
AUTH_USER_MODEL = "people.Person"
INSTALLED_APPS = [
    "modeltranslation",
    "reversion",
    "agreement",
    "people",
    "django.contrib.auth",
    "django.contrib.contenttypes",
]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]

AGREEMENT = {
    "NOTICE_DELAY": timedelta(),  # Its tests look at what was sent.
    "BASE_URL": "https://host.example.kz",
    "USER_EMAIL": "profile__address",
    "USER_LANGUAGE": "profile__language",
}
if OWN_TRANSLATIONS:
    LANGUAGE_CODE = "en"
    INSTALLED_APPS += ["pages"]
    AGREEMENT["USER_LANGUAGE"] = Coalesce(F("profile__language"), Value("ru"))
else:
    LANGUAGE_CODE = "kk"

url = urlsplit(os.environ["HOST_DATABASE"])
if url.scheme == "sqlite":
    # Nothing here need outlive a power failure.
    options = {"init_command": "PRAGMA synchronous=OFF"}
    DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": url.path, "OPTIONS": options}}
else:
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": url.path.lstrip("/"),
            "USER": url.username,
            "PASSWORD": url.password or "",
            "HOST": url.hostname,
            "PORT": url.port or "",
        }
    }
DATABASES["default"]["TEST"] = {
    "MIGRATE": os.environ.get("HOST_TEST_MIGRATE", "1") == "1",
    "NAME": os.environ.get("HOST_TEST_NAME") or None,
}
