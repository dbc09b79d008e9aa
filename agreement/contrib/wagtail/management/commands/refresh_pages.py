from __future__ import annotations

import time
from argparse import ArgumentParser

from django.core.management.base import BaseCommand
from django.db import close_old_connections

from agreement.contrib.wagtail import page_cache


class Command(BaseCommand):
    help = (
        "Remove pages that quote an agreement from the caches in front of the site, if an edition took effect, was"
        " published or was cancelled since the last time."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--watch", action="store_true", help="look each second until the process is stopped")

    def handle(self, *, watch: bool, **options: object) -> None:
        while True:
            pages = page_cache.refresh()
            if pages is not None:
                self.stdout.write(f"Removed {pages} pages from the caches.")
            elif not watch:
                self.stdout.write("Nothing has changed since the last time.")
            if not watch:
                return
            close_old_connections()
            time.sleep(1)
