"""The portal's settings for a test run: SQLite in a file of its own, or ``AGREEMENT_TEST_POSTGRESQL``.

A file and not memory, because tests with several processes or connections need one; WAL as in the portal.
"""

import os
import tempfile
from pathlib import Path

os.environ.pop("CELERY_BROKER_URL", None)
os.environ.pop("EMAIL_URL", None)
os.environ["DATABASE_URL"] = os.environ.get("AGREEMENT_TEST_POSTGRESQL", "")
# A test's database need not outlive a power failure. Each process that a test starts reads this too.
os.environ.setdefault("PGOPTIONS", "-c synchronous_commit=off")
from portal_site.settings import *

if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["TEST"] = {"NAME": Path(tempfile.gettempdir()) / f"test_agreement_{os.getpid()}.sqlite3"}
    DATABASES["default"]["OPTIONS"]["init_command"] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
DEBUG = False
SECRET_KEY = "tests"
# Nobody waits; the tests of the notice delay set their own. Tests name their agreements as they like. Tests of signed
# checkpoints set a key.
AGREEMENT = {**AGREEMENT, "NOTICE_DELAY": timedelta(), "DEFAULT_AGREEMENT": "", "LOG_KEY": ""}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
