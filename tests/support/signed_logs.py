"""What the tests of signed checkpoints need: a key, a log with entries, and a reader of the served log."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from django.db import transaction

from agreement.models import Edition, LogEntry
from agreement.models.log import NewEntry, append
from agreement.seal import log as tree

SECRET = base64.b64encode(hashlib.sha256(b"a key for tests").digest()).decode()
OTHER_SECRET = base64.b64encode(hashlib.sha256(b"another key for tests").digest()).decode()
BASE = "https://portal.example"
ORIGIN = "portal.example/kk/agreements/terms/log"


def sign_with(settings: Any, secret: str = SECRET) -> None:
    """Let the site sign its checkpoints with that key; with ``""`` not at all."""
    settings.AGREEMENT = {**settings.AGREEMENT, "LOG_KEY": secret, "BASE_URL": BASE}


def fill(edition: Edition, count: int) -> None:
    """Add so many entries to the log of the agreement, in one transaction."""
    first = LogEntry.objects.count()
    entries = [NewEntry(kind="stamp", content={"n": row}, row=row) for row in range(first, first + count)]
    with transaction.atomic():
        append(edition.agreement, entries)


class Reader:
    """Reads the log at ``address`` as a stranger does: by the client, and without the database."""

    def __init__(self, client: Any, address: str = "/kk/agreements/terms/log") -> None:
        self.client, self.address = client, address

    def read(self, path: str) -> bytes:
        """The content at that path, which must exist."""
        response = self.client.get(f"{self.address}/{path}")
        assert response.status_code == 200, path
        content: bytes = response.content
        return content

    def note(self) -> str:
        return self.read("checkpoint").decode()

    def tree(self, size: int) -> tree.Tree:
        """The tree of that size. Each tile is read once."""
        tiles: dict[tuple[int, int, int], bytes] = {}

        def tile(level: int, number: int, width: int) -> bytes:
            if (level, number, width) not in tiles:
                path = tree.TilePath(level=level, number=number, width=width)
                tiles[level, number, width] = self.read(f"tile/{path}")
            return tiles[level, number, width]

        return tree.Tree(size, tile)

    def entries(self, size: int) -> list[bytes]:
        """The first entries of the log."""
        found: list[bytes] = []
        while len(found) < size:
            number = len(found) // tree.TILE_WIDTH
            path = tree.TilePath(level=None, number=number, width=min(tree.TILE_WIDTH, size - len(found)))
            content = self.read(f"tile/{path}")
            while content:
                length = int.from_bytes(content[:2])
                found.append(content[2 : 2 + length])
                content = content[2 + length :]
        return found
