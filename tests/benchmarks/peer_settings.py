"""The portal with a peer in it, for ``gate --peers`` and ``deliver --peers``."""

import os

from portal_site.settings import *

INSTALLED_APPS = [
    *INSTALLED_APPS,
    {
        "django-tos": "tos",
        "django-termsandconditions": "termsandconditions",
        "django-post_office": "post_office",
    }[os.environ["BENCHMARK_PEER"]],
]
DEFAULT_TERMS_SLUG = "site-terms"
TERMS_EXCLUDE_URL_LIST = frozenset()
