"""The ``Message-ID`` of a notice's mail. Its part before the ``@`` is made of the notice, the channel and the user, so
that it is the same each time this notice is sent to this user by this channel.
"""

from __future__ import annotations

import re
import uuid
from typing import Any
from urllib.parse import quote, unquote

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError


def local_part(notice: uuid.UUID, channel: str, user_key: object) -> str:
    """The part of the ``Message-ID`` before the ``@``: the UUID of the notice as 32 hexadecimal digits, the channel and
    the primary key of the user, with dots between them. In the last two, special characters are percent-encoded.
    """
    return f"{notice.hex}.{_atom(channel)}.{_atom(user_key)}"


def parse(message_id: str) -> tuple[uuid.UUID, str, Any] | None:
    """The UUID of the notice, the channel and the primary key of the user, converted to its type; ``None`` for an id of
    another form, or if the last part can't be a primary key of the user model.

    Angle brackets and white space around the id are ignored. Only the form is checked: the host may be any, and the
    notice and the user need not exist.
    """
    found = re.fullmatch(r"<?([0-9a-f]{32})\.([^.@<>]+)\.([^.@<>]+)@[^<>]*>?", message_id.strip())
    if found is None or not (written := unquote(found[3])).isprintable():
        return None
    try:
        user_key = get_user_model()._meta.pk.to_python(written)
    except (ValueError, ValidationError):
        return None
    if isinstance(user_key, int) and user_key >= 2**63:  # More than a database column can store.
        return None
    return uuid.UUID(found[1]), unquote(found[2]), user_key


def _atom(value: object) -> str:
    """The value as it may be written between two dots (RFC 5322 §3.2.3): percent-encoded, the dot too. ASCII letters,
    digits, ``_``, ``-`` and ``~`` remain.
    """
    written = str(value)
    return written if written.isalnum() and written.isascii() else quote(written, safe="").replace(".", "%2E")
