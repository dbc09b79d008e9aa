"""The ``Message-ID`` of a letter: of notice, channel and user, so that it is the same whenever this user is sent this
notice, even where the ledger was restored from a backup and is written anew.
"""

from __future__ import annotations

import re
import uuid
from typing import Any
from urllib.parse import quote, unquote

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError


def write(notice: uuid.UUID, channel: str, user_key: object) -> str:
    """What stands before the ``@``."""
    return f"{notice.hex}.{_atom(channel)}.{_atom(user_key)}"


def read(message_id: str) -> tuple[uuid.UUID, str, Any] | None:
    """Notice, channel and user's key; ``None`` if it is none of ours."""
    found = re.fullmatch(r"<?([0-9a-f]{32})\.([^.@<>]+)\.([^.@<>]+)@[^<>]*>?", message_id.strip())
    if found is None or not (written := unquote(found[3])).isprintable():
        return None
    try:
        user_key = get_user_model()._meta.pk.to_python(written)
    except (ValueError, ValidationError):
        return None
    if isinstance(user_key, int) and user_key >= 2**63:  # More than a database takes.
        return None
    return uuid.UUID(found[1]), unquote(found[2]), user_key


def _atom(value: object) -> str:
    """As it may stand between two dots (RFC 5322 §3.2.3)."""
    written = str(value)
    return written if written.isalnum() and written.isascii() else quote(written, safe="").replace(".", "%2E")
