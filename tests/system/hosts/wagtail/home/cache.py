import os
from pathlib import Path

from wagtail.contrib.frontend_cache.backends import BaseBackend


class FileBackend(BaseBackend):
    """Writes the addresses that a cache in front of the site would remove, one a line."""

    def purge(self, url):
        with Path(os.environ["HOST_PURGED"]).open("a") as file:
            file.write(f"{url}\n")
