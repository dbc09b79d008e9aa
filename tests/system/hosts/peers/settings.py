"""A site that had django-termsandconditions and django-tos, and installs the app beside them.

``HOST_DATABASE`` is the file of its database. With ``HOST_PEERS=0`` it has removed both packages; their tables stay.
"""

import os

PEERS = os.environ.get("HOST_PEERS", "1") == "1"

SECRET_KEY = "host"
ALLOWED_HOSTS = ["testserver"]
ROOT_URLCONF = "urls"
TIME_ZONE = "UTC"
USE_TZ = True
INSTALLED_APPS = [
    "modeltranslation",
    "reversion",
    "agreement",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.sites",
    *(["termsandconditions", "tos"] if PEERS else []),
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
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
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["HOST_DATABASE"]}}
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
LANGUAGE_CODE = "ru"
LANGUAGES = [("kk", "Қазақша"), ("ru", "Русский")]
MODELTRANSLATION_LANGUAGES = ("kk", "ru")
SITE_ID = 1
AGREEMENT = {"BASE_URL": "https://host.example.kz"}
