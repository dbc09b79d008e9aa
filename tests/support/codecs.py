"""The names of Python's codecs, any of which a request may state as its charset."""

from __future__ import annotations

import pkgutil
from encodings import __path__ as folders
from encodings.aliases import aliases

CODECS = sorted({*aliases, *aliases.values(), *(module.name for module in pkgutil.iter_modules(folders))})
